package ots_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
	"github.com/golang/protobuf/proto"

	"chatconf/shared/emulator/ots"
	"chatconf/shared/emulator/ots/otstest"
)

// A raw is a request that the SDK cannot send.
type raw struct {
	method, operation string
	headers           map[string]string
	body              []byte
}

func hash(secret, text string) string {
	h := hmac.New(sha1.New, []byte(secret))
	io.WriteString(h, text)
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

func md5Of(b []byte) string {
	sum := md5.Sum(b)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// newRaw returns an unsigned request with all required headers.
func newRaw(in *otstest.Instance, operation string, body []byte) *raw {
	return &raw{method: http.MethodPost, operation: operation, body: body, headers: map[string]string{
		"x-ots-date": time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), "x-ots-apiversion": "2015-12-31",
		"x-ots-accesskeyid": in.KeyID,
		"x-ots-contentmd5":  md5Of(body), "x-ots-instancename": in.Name,
	}}
}

func (r *raw) sign(secret string) *raw {
	text := "/" + r.operation + "\nPOST\n\n"
	for _, name := range slices.Sorted(maps.Keys(r.headers)) {
		text += name + ":" + strings.TrimSpace(r.headers[name]) + "\n"
	}
	r.headers["x-ots-signature"] = hash(secret, text)
	return r
}

// signV4 signs like a client with a region.
func (r *raw) signV4(secret, date, region string) *raw {
	r.headers["x-ots-signdate"], r.headers["x-ots-signregion"] = date, region
	text := "/" + r.operation + "\nPOST\n\n"
	for _, name := range slices.Sorted(maps.Keys(r.headers)) {
		text += name + ":" + strings.TrimSpace(r.headers[name]) + "\n"
	}
	sum := hash256(keyV4(secret, date, region), text+"ots")
	r.headers["x-ots-signaturev4"] = base64.StdEncoding.EncodeToString([]byte(sum))
	return r
}

// keyV4 returns the key that V4 derives from the secret.
func keyV4(secret, date, region string) string {
	key := "aliyun_v4" + secret
	for _, part := range []string{date, region, "ots", "aliyun_v4_request"} {
		key = hash256(key, part)
	}
	return base64.StdEncoding.EncodeToString([]byte(key))
}

func hash256(secret, text string) string {
	h := hmac.New(sha256.New, []byte(secret))
	io.WriteString(h, text)
	return string(h.Sum(nil))
}

// send returns the answer, and its error if there is one.
func (r *raw) send(t testing.TB, in *otstest.Instance) (*http.Response, []byte, string) {
	t.Helper()
	req, err := http.NewRequest(r.method, in.Endpoint+"/"+r.operation, bytes.NewReader(r.body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range r.headers {
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.Header.Get("x-ots-response-compress-type") != "" {
		body = decompress(t, body)
	}
	if res.StatusCode < 300 {
		return res, body, "ok"
	}
	var e otsprotocol.Error
	if err := proto.Unmarshal(body, &e); err != nil {
		t.Fatalf("status %d: the body is no Error: %v", res.StatusCode, err)
	}
	return res, body, res.Status[:3] + " " + e.GetCode() + ": " + e.GetMessage()
}

func TestSignatures(t *testing.T) {
	in := otstest.RunT(t, func(o *ots.Options) {
		o.AccessKeys["role"], o.STSTokens = "role's secret", map[string]string{"role": "token"}
	})
	role := func(token string) *raw {
		r := newRaw(in, "ListTable", nil)
		r.headers["x-ots-accesskeyid"] = "role"
		if token != "" {
			r.headers["x-ots-ststoken"] = token
		}
		return r.sign("role's secret")
	}
	change := func(fn func(*raw)) *raw {
		r := newRaw(in, "ListTable", nil)
		fn(r)
		return r.sign(in.KeySecret)
	}
	without := func(name string) *raw {
		r := newRaw(in, "ListTable", nil).sign(in.KeySecret)
		delete(r.headers, name)
		return r
	}
	v4 := func(fn func(*raw)) *raw {
		r := newRaw(in, "ListTable", nil).signV4(in.KeySecret, "20261129", "cn-hangzhou")
		fn(r)
		return r
	}
	date := func(offset time.Duration, layout string) *raw {
		return change(func(r *raw) { r.headers["x-ots-date"] = time.Now().Add(offset).UTC().Format(layout) })
	}
	const iso = "2006-01-02T15:04:05.000Z"
	for _, test := range []struct {
		what string
		r    *raw
		want string
	}{
		{"as it should be", change(func(*raw) {}), "ok"},
		{"further headers are signed too", change(func(r *raw) {
			r.headers["x-ots-sdk-traceid"], r.headers["x-ots-sourceip"] = "trace ", "::1"
		}), "ok"},
		{"a temporary token, of which none was given out",
			change(func(r *raw) { r.headers["x-ots-ststoken"] = "token" }),
			"403 OTSAuthFailed: The STS token is invalid."},
		{"the token of its key", role("token"), "ok"},
		{"another token", role("token2"), "403 OTSAuthFailed: The STS token is invalid."},
		{"no token where there is one", role(""), "403 OTSAuthFailed: The STS token is invalid."},
		{"a header that was not signed",
			func() *raw { r := change(func(*raw) {}); r.headers["x-ots-request-tag"] = "x"; return r }(),
			"403 OTSAuthFailed: Signature mismatch."},
		{"another secret", newRaw(in, "ListTable", nil).sign("x"), "403 OTSAuthFailed: Signature mismatch."},
		{"an unknown key", change(func(r *raw) { r.headers["x-ots-accesskeyid"] = "x" }),
			"403 OTSAuthFailed: The AccessKeyID does not exist."},
		{"another body", func() *raw { r := change(func(*raw) {}); r.body = []byte{1}; return r }(),
			"403 OTSAuthFailed: Mismatch between MD5 value of request body and x-ots-contentmd5 in header."},
		{"no date", without("x-ots-date"), "400 OTSMissingHeader: Missing header: 'x-ots-date'."},
		{"no signature", without("x-ots-signature"), "400 OTSMissingHeader: Missing header: 'x-ots-signature'."},
		{"no instance", without("x-ots-instancename"), "400 OTSMissingHeader: Missing header: 'x-ots-instancename'."},
		{"an instance with a slash", change(func(r *raw) { r.headers["x-ots-instancename"] = "a/b" }),
			"400 OTSParameterInvalid: Invalid instance name: 'a/b'."},
		{"no date at all", change(func(r *raw) { r.headers["x-ots-date"] = "blahblah" }),
			"400 OTSParameterInvalid: Invalid date format: blahblah."},
		{"14 minutes ago", date(-14*time.Minute, iso), "ok"},
		{"in 14 minutes", date(14*time.Minute, iso), "ok"},
		{"16 minutes ago", date(-16*time.Minute, iso),
			"403 OTSAuthFailed: Mismatch between system time and x-ots-date: "},
		{"in 16 minutes", date(16*time.Minute, iso),
			"403 OTSAuthFailed: Mismatch between system time and x-ots-date: "},
		{"the Go SDK's fraction", date(0, "2006-01-02T15:04:05.123Z"), "ok"},
		{"no fraction", date(0, "2006-01-02T15:04:05Z"), "ok"},
		{"the form of RFC 1123", date(0, "Mon, 02 Jan 2006 15:04:05 GMT"), "ok"},
		{"V4", v4(func(*raw) {}), "ok"},
		{"V4 with another secret", newRaw(in, "ListTable", nil).signV4("x", "20261129", "cn-hangzhou"),
			"403 OTSAuthFailed: Signature mismatch."},
		{"V4 of another day", v4(func(r *raw) { r.headers["x-ots-signdate"] = "20261130" }),
			"403 OTSAuthFailed: Signature mismatch."},
		{"V4 of another region", v4(func(r *raw) { r.headers["x-ots-signregion"] = "cn-shanghai" }),
			"403 OTSAuthFailed: Signature mismatch."},
		{"V4 that is wrong beside a signature that is right", change(func(r *raw) {
			r.headers["x-ots-signdate"], r.headers["x-ots-signregion"] = "20261129", "cn-hangzhou"
			r.headers["x-ots-signaturev4"] = "x"
		}), "403 OTSAuthFailed: Signature mismatch."},
		{"V4 without its day", v4(func(r *raw) { delete(r.headers, "x-ots-signdate") }),
			"400 OTSMissingHeader: Missing header: 'x-ots-signdate'."},
		{"V4 without its region", v4(func(r *raw) { delete(r.headers, "x-ots-signregion") }),
			"400 OTSMissingHeader: Missing header: 'x-ots-signregion'."},
	} {
		if _, _, got := test.r.send(t, in); !strings.HasPrefix(got, test.want) {
			t.Errorf("%s: %s, want %s", test.what, got, test.want)
		}
	}
}

// TestARequestIsReadOnceItsHeadersAreVerified announces a body of 5 MB and sends none of it.
func TestARequestIsReadOnceItsHeadersAreVerified(t *testing.T) {
	in := otstest.RunT(t)
	server, err := ots.New(ots.Options{AccessKeys: map[string]string{in.KeyID: in.KeySecret}})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	for _, test := range []struct {
		what, secret, code string
		reads              bool
	}{
		{"a forged one", "x", "OTSAuthFailed", false},
		{"a signed one", in.KeySecret, "OTSRequestTimeout", true},
	} {
		body := &absent{}
		r := httptest.NewRequest(http.MethodPost, "/ListTable", body)
		r.ContentLength = 5 << 20
		for name, value := range newRaw(in, "ListTable", nil).sign(test.secret).headers {
			r.Header.Set(name, value)
		}
		w := httptest.NewRecorder()
		server.ServeHTTP(w, r)
		var e otsprotocol.Error
		if err := proto.Unmarshal(w.Body.Bytes(), &e); err != nil || e.GetCode() != test.code {
			t.Errorf("%s: %v, %v, want %s", test.what, &e, err, test.code)
		}
		if got := body.room > 0; got != test.reads || body.room > 1<<20 {
			t.Errorf("%s: %d bytes were ready for what did not come", test.what, body.room)
		}
	}
}

// An absent body ends with an error at the first read, and records the size of the reader's buffer.
type absent struct{ room int }

func (a *absent) Read(b []byte) (int, error) {
	a.room = len(b)
	return 0, io.ErrUnexpectedEOF
}

func TestSignaturesMayBeOff(t *testing.T) {
	in := otstest.RunT(t, func(o *ots.Options) { o.AccessKeys, o.Unsigned = nil, true })
	r := newRaw(in, "ListTable", nil)
	r.headers = map[string]string{"x-ots-instancename": "any"}
	if _, _, got := r.send(t, in); got != "ok" {
		t.Errorf("an unsigned request: %s", got)
	}
}

func TestNoKeysAreRefused(t *testing.T) {
	for name, o := range map[string]ots.Options{
		"none":              {},
		"one without id":    {AccessKeys: map[string]string{"": "secret"}},
		"one of no secrecy": {AccessKeys: map[string]string{"id": ""}},
	} {
		if _, err := ots.New(o); err == nil {
			t.Errorf("New with %s: no error", name)
		}
	}
}

// TestAnswersAreSigned checks what the Java and Python SDKs check.
func TestAnswersAreSigned(t *testing.T) {
	in := otstest.RunT(t, func(o *ots.Options) {
		o.NewID = func() string { return "id-1" }
		o.Wall = time.Now
	})
	for _, test := range []struct{ operation, region string }{{"ListTable", ""}, {"DescribeTable", ""},
		{"ListTable", "cn-hangzhou"}} {
		operation, request, secret := test.operation, newRaw(in, test.operation, nil), in.KeySecret
		if test.region == "" {
			request.sign(secret)
		} else {
			request.signV4(secret, "20261129", test.region)
			secret = keyV4(secret, "20261129", test.region)
		}
		res, body, _ := request.send(t, in)
		text := ""
		for _, name := range []string{"x-ots-contentmd5", "x-ots-contenttype", "x-ots-date", "x-ots-requestid"} {
			text += name + ":" + res.Header.Get(name) + "\n"
		}
		if got, want := res.Header.Get("Authorization"), "OTS "+in.KeyID+
			":"+hash(secret, text+"/"+operation); got != want {
			t.Errorf("%s: Authorization = %q, want %q", operation, got, want)
		}
		if got, want := res.Header.Get("x-ots-contentmd5"), md5Of(body); got != want {
			t.Errorf("%s: x-ots-contentmd5 = %q, want %q", operation, got, want)
		}
		if got, want := res.Header.Get("x-ots-contenttype"), "protocol buffer"; got != want {
			t.Errorf("%s: x-ots-contenttype = %q, want %q", operation, got, want)
		}
		if got, want := res.Header.Get("x-ots-requestid"), "id-1"; got != want {
			t.Errorf("%s: x-ots-requestid = %q, want %q", operation, got, want)
		}
		if at, err := time.Parse("2006-01-02T15:04:05.000Z", res.Header.Get("x-ots-date")); err != nil ||
			time.Since(at).Abs() > time.Minute {
			t.Errorf("%s: x-ots-date = %v, %v", operation, at, err)
		}
	}
}

func message(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRequestsThatNoSDKSends(t *testing.T) {
	in := otstest.RunT(t)
	c := newClient(t, in)
	c.create("t", "p:string")
	condition := &otsprotocol.Condition{RowExistence: otsprotocol.RowExistenceExpectation_IGNORE.Enum()}
	whole, deleted := key("p", "k").Build(false), key("p", "k").Build(true)
	broken := bytes.Clone(whole)
	broken[len(broken)-1]++
	for _, test := range []struct {
		what, operation string
		body            []byte
		want            string
	}{
		{"an operation that is not emulated", "Search", nil,
			"400 OTSParameterInvalid: Unsupported operation: 'Search'."},
		{"search indexes, of which there are none", "ListSearchIndex", nil, "ok"},
		{"time series, of which there are none", "ListTimeseriesTable", nil, "ok"},
		{"a bulk export", "BulkExport", nil, "400 OTSParameterInvalid: Unsupported operation: 'BulkExport'."},
		{"splits of a search index", "ComputeSplits", nil,
			"400 OTSParameterInvalid: Unsupported operation: 'ComputeSplits'."},
		{"a tunnel", "CreateTunnel", nil, "400 OTSParameterInvalid: Unsupported operation: 'CreateTunnel'."},
		{"streams, of which there are none", "ListStream", nil, "ok"},
		{"a stream without id", "DescribeStream", nil,
			"400 OTSParameterInvalid: Failed to parse the ProtoBuf message."},
		{"a bulk import of nothing", "BulkImport", message(t, &ots.BulkImportRequest{TableName: proto.String("t")}),
			"400 OTSParameterInvalid: No operation is specified for table: 't'."},
		{"a bulk import of 201 rows", "BulkImport", message(t, &ots.BulkImportRequest{
			TableName: proto.String("t"), Rows: slices.Repeat([]*ots.BulkImportRow{bulkPut(key("p", "a"), nil)}, 201),
		}), "400 OTSParameterInvalid: Rows count exceeds the upper limit: 200."},
		{"a bulk import that deletes without marker", "BulkImport", message(t, &ots.BulkImportRequest{
			TableName: proto.String("t"), Rows: []*ots.BulkImportRow{{Type: otsprotocol.OperationType_DELETE.Enum(),
				RowChange: whole}},
		}), "400 OTSParameterInvalid: Invalid request of delete row: missing RowDeleteMarker in request."},
		{"five key columns, written to no table", "PutRow", message(t, &otsprotocol.PutRowRequest{
			TableName: proto.String("nowhere"), Row: key("a", 1, "b", 2, "c", 3, "d", 4, "e", 5).Build(false),
			Condition: &otsprotocol.Condition{RowExistence: otsprotocol.RowExistenceExpectation_IGNORE.Enum()},
		}), "400 OTSParameterInvalid: The number of primary key columns must be in range: [1, 4]."},
		{"five key columns, read", "GetRow", message(t, &otsprotocol.GetRowRequest{
			TableName: proto.String("t"), PrimaryKey: key("a", 1, "b", 2, "c", 3, "d", 4, "e", 5).Build(false),
			MaxVersions: proto.Int32(1),
		}), "400 OTSParameterInvalid: The number of primary key columns must be in range: [1, 4]."},
		{"a column that cannot be, before a key that is not the table's", "GetRow",
			message(t, &otsprotocol.GetRowRequest{
				TableName: proto.String("t"), PrimaryKey: key("x", 1).Build(false), ColumnsToGet: []string{"#"},
			}), "400 OTSParameterInvalid: Invalid column name: '#'."},
		{"columns to return with the primary key", "PutRow", message(t, &otsprotocol.PutRowRequest{
			TableName: proto.String("t"), Row: whole,
			Condition: &otsprotocol.Condition{RowExistence: otsprotocol.RowExistenceExpectation_IGNORE.Enum()},
			ReturnContent: &otsprotocol.ReturnContent{
				ReturnType: otsprotocol.ReturnType_RT_PK.Enum(), ReturnColumnNames: []string{"v"},
			},
		}), "400 OTSParameterInvalid: Return columns cannot be given when the primary key is returned."},
		{"an operation in lower case", "listtable", nil,
			"400 OTSParameterInvalid: Unsupported operation: 'listtable'."},
		{"no operation", "", nil, "400 OTSParameterInvalid: Unsupported operation: ''."},
		{"no protobuf", "ListTable", []byte{0xFF}, "400 OTSParameterInvalid: Failed to parse the ProtoBuf message."},
		{"a message without what it needs", "GetRow", nil,
			"400 OTSParameterInvalid: Failed to parse the ProtoBuf message."},
		{"a body of more than 5 MB", "ListTable", make([]byte, 5<<20+1),
			"413 OTSRequestBodyTooLarge: The size of POST data is too large."},
		{"a read without versions", "GetRow", message(t, &otsprotocol.GetRowRequest{TableName: proto.String("t"),
			PrimaryKey: whole}),
			"400 OTSParameterInvalid: No version condition is specified."},
		{"a range without versions", "GetRange", message(t, &otsprotocol.GetRangeRequest{
			TableName: proto.String("t"), Direction: otsprotocol.Direction_FORWARD.Enum(),
			InclusiveStartPrimaryKey: whole, ExclusiveEndPrimaryKey: key("p", "l").Build(false),
		}), "400 OTSParameterInvalid: No version condition is specified."},
		{"a batch without versions", "BatchGetRow", message(t, &otsprotocol.BatchGetRowRequest{
			Tables: []*otsprotocol.TableInBatchGetRowRequest{{TableName: proto.String("t"),
				PrimaryKey: [][]byte{whole}}},
		}), "400 OTSParameterInvalid: No version condition is specified while querying row."},
		{"a start of time without an end", "GetRow", message(t, &otsprotocol.GetRowRequest{
			TableName: proto.String("t"), PrimaryKey: whole,
			TimeRange: &otsprotocol.TimeRange{StartTime: proto.Int64(1)},
		}), "400 OTSParameterInvalid: Start and end time must be given at the same time."},
		{"a timestamp and a range", "GetRow", message(t, &otsprotocol.GetRowRequest{
			TableName: proto.String("t"), PrimaryKey: whole,
			TimeRange: &otsprotocol.TimeRange{StartTime: proto.Int64(1), EndTime: proto.Int64(2),
				SpecificTime: proto.Int64(1)},
		}), "400 OTSParameterInvalid: Specific timestamp and time range cannot be given at the same time."},
		{"a token", "GetRow", message(t, &otsprotocol.GetRowRequest{TableName: proto.String("t"), PrimaryKey: whole,
			MaxVersions: proto.Int32(1), Token: []byte{1}}),
			"400 OTSParameterInvalid: Invalid token."},
		{"a wrong checksum", "GetRow", message(t, &otsprotocol.GetRowRequest{TableName: proto.String("t"),
			PrimaryKey: broken, MaxVersions: proto.Int32(1)}),
			"400 OTSParameterInvalid: Cell data broken, checksum is mismatch."},
		{"a delete marker in a read", "GetRow", message(t, &otsprotocol.GetRowRequest{TableName: proto.String("t"),
			PrimaryKey: deleted, MaxVersions: proto.Int32(1)}),
			"400 OTSParameterInvalid: Delete marker cannot be given."},
		{"a delete without marker", "DeleteRow", message(t, &otsprotocol.DeleteRowRequest{TableName: proto.String("t"),
			PrimaryKey: whole, Condition: condition}),
			"400 OTSParameterInvalid: Invalid request of delete row: missing RowDeleteMarker in request."},
		{"a put with a marker", "PutRow", message(t, &otsprotocol.PutRowRequest{TableName: proto.String("t"),
			Row: deleted, Condition: condition}),
			"400 OTSParameterInvalid: Invalid request of put/update row: unexpected RowDeleteMarker in request."},
		{"an unknown expectation", "PutRow", message(t, &otsprotocol.PutRowRequest{
			TableName: proto.String("t"), Row: whole,
			Condition: &otsprotocol.Condition{RowExistence: otsprotocol.RowExistenceExpectation(9).Enum()},
		}), "400 OTSParameterInvalid: Invalid row-existence expectation: 9."},
		{"a filter that is none", "PutRow", message(t, &otsprotocol.PutRowRequest{
			TableName: proto.String("t"), Row: whole,
			Condition: &otsprotocol.Condition{RowExistence: condition.RowExistence, ColumnCondition: []byte{1}},
		}), "400 OTSParameterInvalid: Deserialize filter failed."},
	} {
		res, _, got := newRaw(in, test.operation, test.body).sign(in.KeySecret).send(t, in)
		if got != test.want {
			t.Errorf("%s: %s, want %s", test.what, got, test.want)
		}
		if res.Header.Get("x-ots-requestid") == "" {
			t.Errorf("%s: no request id", test.what)
		}
	}
	r := newRaw(in, "ListTable", nil).sign(in.KeySecret)
	r.method = http.MethodPut
	if _, _, got := r.send(t, in); got != "405 OTSMethodNotAllowed: Only POST method for requests is supported." {
		t.Errorf("PUT: %s", got)
	}
}

func TestATransactionInABatch(t *testing.T) {
	in := otstest.RunT(t)
	c := newClient(t, in)
	c.create("t", "p:string n:integer", transactional)
	id := c.mustStart("t", key("p", "a"))
	row := func(n int) *otsprotocol.RowInBatchWriteRowRequest {
		return &otsprotocol.RowInBatchWriteRowRequest{
			Type: otsprotocol.OperationType_PUT.Enum(), RowChange: put("t", key("p", "a", "n", n), nil).Serialize(),
			Condition: &otsprotocol.Condition{RowExistence: otsprotocol.RowExistenceExpectation_IGNORE.Enum()},
		}
	}
	_, body, got := newRaw(in, "BatchWriteRow", message(t, &otsprotocol.BatchWriteRowRequest{
		TransactionId: &id,
		Tables: []*otsprotocol.TableInBatchWriteRowRequest{{TableName: proto.String("t"),
			Rows: []*otsprotocol.RowInBatchWriteRowRequest{row(1), row(2)}}},
	})).sign(in.KeySecret).send(t, in)
	var out otsprotocol.BatchWriteRowResponse
	if err := proto.Unmarshal(body, &out); got != "ok" || err != nil || !out.Tables[0].Rows[1].GetIsOk() {
		t.Fatalf("BatchWriteRow: %s, %v, %v", got, err, &out)
	}
	if rows := c.dump("t", "p", "n"); len(rows) != 0 {
		t.Errorf("before the commit: %q", rows)
	}
	if err := c.commit(id); err != nil {
		t.Fatal(err)
	}
	if rows := c.dump("t", "p", "n"); !slices.Equal(rows, []string{"a/1", "a/2"}) {
		t.Errorf("after the commit: %q", rows)
	}
}

// batchIn writes rows of a table in a transaction, which no SDK does, and returns each row's
// result.
func (c *client) batchIn(id string, atomic bool, changes ...*tablestore.PutRowChange) ([]string, string) {
	c.t.Helper()
	in := &otsprotocol.TableInBatchWriteRowRequest{TableName: proto.String("t")}
	for _, change := range changes {
		expect := otsprotocol.RowExistenceExpectation(change.Condition.RowExistenceExpectation)
		in.Rows = append(in.Rows, &otsprotocol.RowInBatchWriteRowRequest{
			Type: otsprotocol.OperationType_PUT.Enum(), RowChange: change.Serialize(),
			Condition: &otsprotocol.Condition{RowExistence: &expect},
		})
	}
	_, body, got := newRaw(c.in, "BatchWriteRow", message(c.t, &otsprotocol.BatchWriteRowRequest{
		TransactionId: &id, IsAtomic: &atomic, Tables: []*otsprotocol.TableInBatchWriteRowRequest{in},
	})).sign(c.in.KeySecret).send(c.t, c.in)
	var out otsprotocol.BatchWriteRowResponse
	if got != "ok" {
		return nil, got
	}
	if err := proto.Unmarshal(body, &out); err != nil {
		c.t.Fatal(err)
	}
	var results []string
	for _, row := range out.Tables[0].Rows {
		results = append(results, row.GetError().GetCode())
	}
	return results, got
}

func TestABatchThatATransactionRefusesLeavesNothing(t *testing.T) {
	c := run(t)
	c.create("t", "p:string n:integer", transactional)
	id := c.mustStart("t", key("p", "a"))
	large := func(n int) *tablestore.PutRowChange {
		return put("t", key("p", "a", "n", n), cols("v", strings.Repeat("x", 3<<19)))
	}
	if _, got := c.batchIn(id, false, large(1)); got != "ok" {
		t.Fatal(got)
	}
	for range 3 {
		_, got := c.batchIn(id, false, large(2), large(3))
		if want := "400 OTSParameterInvalid: The total data size of the transaction exceeds the limit, limit size: " +
			"4194304."; got != want {
			t.Errorf("a batch beyond the limit: %s, want %s", got, want)
		}
	}
	if _, got := c.batchIn(id, false, large(4)); got != "ok" {
		t.Errorf("a row that fits after one that did not: %s", got)
	}
	if err := c.commit(id); err != nil {
		t.Fatal(err)
	}
	for n, want := range map[int]bool{1: true, 2: false, 3: false, 4: true} {
		if got := c.get("t", key("p", "a", "n", n)) != "-"; got != want {
			t.Errorf("row %d is there: %v, want %v", n, got, want)
		}
	}
}

func TestAnAtomicBatchInATransaction(t *testing.T) {
	c := run(t)
	c.create("t", "p:string n:integer", transactional)
	c.must(put("t", key("p", "a", "n", 2), cols("v", 1)))
	id := c.mustStart("t", key("p", "a"))
	row := func(n int) *tablestore.PutRowChange {
		return expecting(put("t", key("p", "a", "n", n), nil), notExist)
	}
	results, got := c.batchIn(id, true, row(1), row(2))
	if want := []string{"OTSConditionCheckFail", "OTSConditionCheckFail"}; got != "ok" || !slices.Equal(results, want) {
		t.Errorf("an atomic batch of which one fails: %s, %q, want %q", got, results, want)
	}
	if results, got = c.batchIn(id, false, row(3), row(2)); got != "ok" ||
		!slices.Equal(results, []string{"", "OTSConditionCheckFail"}) {
		t.Errorf("a batch of which one fails: %s, %q", got, results)
	}
	if err := c.commit(id); err != nil {
		t.Fatal(err)
	}
	if got, want := c.dump("t", "p", "n"), []string{"a/2 v=1", "a/3"}; !slices.Equal(got, want) {
		t.Errorf("after the commit: %q, want %q", got, want)
	}
}

func TestTheSDKSeesStatusAndRequestID(t *testing.T) {
	c := run(t, func(o *ots.Options) { o.NewID = func() string { return "the-id" } })
	_, err := c.DescribeTable(&tablestore.DescribeTableRequest{TableName: "none"})
	e, ok := err.(*tablestore.OtsError)
	if !ok || e.HttpStatusCode != http.StatusNotFound || e.RequestId != "the-id" {
		t.Errorf("DescribeTable: %#v", err)
	}
}

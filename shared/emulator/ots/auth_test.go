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
	return r.stream(t, in, bytes.NewReader(r.body))
}

// stream sends the request with a body from another reader.
func (r *raw) stream(t testing.TB, in *otstest.Instance, from io.Reader) (*http.Response, []byte, string) {
	t.Helper()
	req, err := http.NewRequest(r.method, in.Endpoint+"/"+r.operation, from)
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
		t.Fatalf("status %d: the body is not an Error: %v", res.StatusCode, err)
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
		{"an invalid V4 signature with a valid V1 signature", change(func(r *raw) {
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
			t.Errorf("%s: %d bytes were allocated for an absent body", test.what, body.room)
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

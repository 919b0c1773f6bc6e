package ots_test

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
	"github.com/golang/protobuf/proto"

	"chatconf/shared/emulator/ots"
	"chatconf/shared/emulator/ots/otstest"
)

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
		{"an invalid column name is reported before the key of another table", "GetRow",
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
		{"a message without its required fields", "GetRow", nil,
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
		{"an invalid filter", "PutRow", message(t, &otsprotocol.PutRowRequest{
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
			t.Errorf("row %d exists: %v, want %v", n, got, want)
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

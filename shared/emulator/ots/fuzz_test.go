package ots_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
	"github.com/aliyun/aliyun-tablestore-go-sdk/tunnel/protocol"
	"github.com/golang/protobuf/proto"

	"chatconf/shared/emulator/ots"
	"chatconf/shared/emulator/ots/otstest"
	"chatconf/shared/emulator/ots/plainbuffer"
)

// A recorded message is the body of a request from the SDK.
type recorded struct {
	operation string
	body      []byte
}

// record returns the SDK's requests for a script that uses every operation. The first ones create a
// table with rows, an index, and a transaction on the partition "locked".
var record = sync.OnceValue(func() (all []recorded) {
	var mu sync.Mutex
	t := &testing.T{}
	s, err := ots.New(fuzzOptions(func(r ots.Request) ots.Fault {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, recorded{r.Operation, bytes.Clone(r.Body)})
		return ots.Fault{}
	}))
	if err != nil {
		panic(err)
	}
	server := httptest.NewServer(s)
	defer server.Close()
	script(newClient(t, &otstest.Instance{Endpoint: server.URL, Name: "i", KeyID: "k", KeySecret: "s"}))
	return all
})

// setup is how many messages of the script set up what the others need.
const setup = 6

func fuzzOptions(hook func(ots.Request) ots.Fault) ots.Options {
	return ots.Options{Unsigned: true, Now: newClock().Now, NewID: func() string { return "id" }, Fault: hook}
}

func script(c *client) {
	at := newClock().ms()
	c.create("t", "p:string n:integer", transactional, withDefined, func(r *tablestore.CreateTableRequest) {
		r.AddIndexMeta(indexMeta("by_age", false, "age", "city"))
	})
	c.must(put("t", key("p", "a", "n", 1), cols("age", 3, "city", "Ulm", "f", 2.5, "b", []byte("x"), "t", true)))
	c.must(put("t", key("p", "a", "n", 2), cols("age", 4)))
	c.create("s", "p:binary", versions(3), timeToLive(100), streamed(0, "v"))
	c.create("u", "p:string n:integer+")
	c.mustStart("t", key("p", "locked"))

	c.write(putIn("id", key("p", "locked", "n", 1), cols("age", 3)))
	c.write(put("s", key("p", []byte{0, 1}), []cell{{"v", 1, at}, {"v", 2, at - 1}}))
	auto := put("u", key("p", "b", "n", auto), cols("age", 1))
	auto.SetReturnPk()
	c.write(auto)
	u := update("t", key("p", "a", "n", 1))
	u.IncrementColumn("age", 1)
	u.DeleteColumn("city")
	u.PutColumn("x", "y")
	u.SetReturnIncrementValue()
	u.AppendIncrementColumnToReturn("age")
	u.SetColumnCondition(combine(tablestore.LO_AND, strict("age", gt, 1),
		combine(tablestore.LO_NOT, single("f", eq, 1.5))))
	c.write(u)
	u = update("s", key("p", []byte{0, 1}))
	u.DeleteColumnWithTimestamp("v", at)
	u.PutColumnWithTimestamp("w", false, at)
	c.write(u)
	d := remove("t", key("p", "a", "n", 2))
	d.SetCondition(tablestore.RowExistenceExpectation_EXPECT_EXIST)
	c.write(d)
	c.get("t", key("p", "a", "n", 1), both(columnsToGet("age", "p"), within("id")))
	c.get("t", key("p", "locked", "n", 1), within("id"))
	c.get("s", key("p", []byte{0, 1}), timed(at-5, at+5))
	c.get("t", key("p", "a", "n", 1), func(q *tablestore.SingleRowQueryCriteria) {
		q.SetStartColumn("a")
		q.SetEndtColumn("z")
		q.Filter = &tablestore.PaginationFilter{Offset: 1, Limit: 2}
	})
	c.get("t", key("p", "a", "n", 1), func(q *tablestore.SingleRowQueryCriteria) {
		q.Filter = tablestore.NewSingleColumnValueRegexFilter("city", gt,
			tablestore.NewValueTransferRule("([0-9]+)", tablestore.Variant_INTEGER), int64(41))
	})
	for _, q := range []*tablestore.RangeRowQueryCriteria{
		whole("t", "p", "n"), reversed(whole("t", "p", "n")), whole("by_age", "age", "p", "n"), whole("s", "p"),
		{TableName: "t", StartPrimaryKey: key("p", "a", "n", infMin), EndPrimaryKey: key("p", "a", "n", infMax),
			Limit: 1, DataBlockType: tablestore.SimpleRowMatrix},
	} {
		q.MaxVersion = 1
		c.GetRange(&tablestore.GetRangeRequest{RangeRowQueryCriteria: q})
	}
	c.batch(false, put("t", key("p", "c", "n", 1), cols("age", 1)), put("s", key("p", []byte("b")), nil),
		remove("s", key("p", []byte("c"))))
	c.batch(true, put("t", key("p", "c", "n", 1), nil), put("t", key("p", "c", "n", 2), nil))
	get := &tablestore.MultiRowQueryCriteria{TableName: "t", MaxVersion: 1}
	get.AddRow(key("p", "a", "n", 1))
	get.AddRow(key("p", "a", "n", 9))
	c.BatchGetRow(&tablestore.BatchGetRowRequest{MultiRowQueryCriteria: []*tablestore.MultiRowQueryCriteria{get}})
	c.ComputeSplitPointsBySize(&tablestore.ComputeSplitPointsBySizeRequest{TableName: "t", SplitSize: 1})
	c.ListTable()
	c.ListSearchIndex(&tablestore.ListSearchIndexRequest{TableName: "t"})
	tablestore.NewTimeseriesClient(c.in.Endpoint, c.in.Name, c.in.KeyID, c.in.KeySecret).ListTimeseriesTable()
	c.DescribeTable(&tablestore.DescribeTableRequest{TableName: "t"})
	c.UpdateTable(&tablestore.UpdateTableRequest{TableName: "s", TableOption: tablestore.NewTableOption(7, 2),
		StreamSpec: &tablestore.StreamSpecification{EnableStream: true, OriginColumnsToGet: []string{"w"}}})
	iterator := c.iterate("s")
	c.must(put("s", key("p", []byte("c")), cols("v", 1)))
	c.records(iterator)
	c.bulk("s", bulkPut(key("p", []byte("d")), cols("v", 1)), bulkDelete(key("p", []byte("d"))))
	add := &tablestore.AddDefinedColumnRequest{TableName: "t"}
	add.AddDefinedColumn("more", tablestore.DefinedColumn_BINARY)
	c.AddDefinedColumn(add)
	c.DeleteDefinedColumn(&tablestore.DeleteDefinedColumnRequest{TableName: "t", DefinedColumns: []string{"weight"}})
	c.CreateIndex(&tablestore.CreateIndexRequest{MainTableName: "t", IndexMeta: indexMeta("i2", true, "p age"),
		IncludeBaseData: true})
	c.DeleteIndex(&tablestore.DeleteIndexRequest{MainTableName: "t", IndexName: "by_age"})
	c.commit("id")
	c.abort("id")
	c.DeleteTable(&tablestore.DeleteTableRequest{TableName: "s"})
}

// send serves a message without checking signatures.
func send(s *ots.Server, operation string, body []byte) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/"+operation, bytes.NewReader(body))
	r.Header.Set("x-ots-instancename", "i")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// fuzz sends one message to a server that has a table. The answer must be an error, or a response
// whose rows are PlainBuffer, and the server must still work.
func fuzz(f *testing.F, operation string, response func() proto.Message) {
	all := record()
	n := 0
	for _, m := range all {
		if m.operation == operation {
			f.Add(m.body)
			n++
		}
	}
	if n == 0 {
		f.Fatalf("the script has no %s", operation)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		s := newFuzzed(t, all)
		checkAnswer(t, send(s, operation, body), response())
		if w := send(s, "ListTable", nil); w.Code != http.StatusOK {
			t.Errorf("ListTable afterwards: status %d", w.Code)
		}
		for _, m := range all {
			if m.operation == "GetRange" {
				if w := send(s, m.operation, m.body); w.Code >= 500 {
					t.Errorf("GetRange afterwards: status %d", w.Code)
				}
			}
		}
	})
}

// newFuzzed returns a server after the setup.
func newFuzzed(t *testing.T, all []recorded) *ots.Server {
	s, err := ots.New(fuzzOptions(nil))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	for _, m := range all[:setup] {
		if w := send(s, m.operation, m.body); w.Code != http.StatusOK {
			t.Fatalf("%s: status %d", m.operation, w.Code)
		}
	}
	return s
}

func checkAnswer(t *testing.T, w *httptest.ResponseRecorder, response proto.Message) {
	body := w.Body.Bytes()
	if w.Code != http.StatusOK {
		var e otsprotocol.Error
		if err := proto.Unmarshal(body, &e); err != nil || e.GetCode() == "" || w.Code < 400 || w.Code >= 500 {
			t.Errorf("status %d, error %v (%v)", w.Code, &e, err)
		}
		return
	}
	if err := proto.Unmarshal(body, response); err != nil {
		t.Fatalf("the answer is not a %T: %v", response, err)
	}
	var rows [][]byte
	switch m := response.(type) {
	case *otsprotocol.GetRowResponse:
		rows = append(rows, m.Row)
	case *otsprotocol.PutRowResponse:
		rows = append(rows, m.Row)
	case *otsprotocol.UpdateRowResponse:
		rows = append(rows, m.Row)
	case *otsprotocol.GetRangeResponse:
		rows = append(rows, m.NextStartPrimaryKey)
		if m.GetDataBlockType() == otsprotocol.DataBlockType_DBT_PLAIN_BUFFER {
			rows = append(rows, m.Rows)
		}
	case *otsprotocol.GetStreamRecordResponse:
		for _, r := range m.StreamRecords {
			if _, err := protocol.ReadRowsWithHeader(bytes.NewReader(r.Record)); err != nil {
				t.Errorf("the answer's record: %v", err)
			}
			rows = append(rows, r.OriginRecord)
		}
	case *otsprotocol.ComputeSplitPointsBySizeResponse:
		rows = m.SplitPoints
	}
	for _, b := range rows {
		if _, err := plainbuffer.Decode(b); len(b) > 0 && err != nil {
			t.Errorf("the answer's rows: %v", err)
		}
	}
}

func TestTheScriptHasEveryOperation(t *testing.T) {
	var names []string
	for i, m := range record() {
		if i == setup-1 && m.operation != "StartLocalTransaction" {
			t.Errorf("the setup ends with %s", m.operation)
		}
		if !slices.Contains(names, m.operation) {
			names = append(names, m.operation)
		}
	}
	slices.Sort(names)
	if got, want := fmt.Sprint(names), fmt.Sprint(ots.Operations()); got != want {
		t.Errorf("the script has\n%s, want\n%s", got, want)
	}
}

func FuzzCreateTable(f *testing.F) {
	fuzz(f, "CreateTable", func() proto.Message { return &otsprotocol.CreateTableResponse{} })
}

func FuzzListTable(f *testing.F) {
	fuzz(f, "ListTable", func() proto.Message { return &otsprotocol.ListTableResponse{} })
}

func FuzzDescribeTable(f *testing.F) {
	fuzz(f, "DescribeTable", func() proto.Message { return &otsprotocol.DescribeTableResponse{} })
}

func FuzzUpdateTable(f *testing.F) {
	fuzz(f, "UpdateTable", func() proto.Message { return &otsprotocol.UpdateTableResponse{} })
}

func FuzzDeleteTable(f *testing.F) {
	fuzz(f, "DeleteTable", func() proto.Message { return &otsprotocol.DeleteTableResponse{} })
}

func FuzzCreateIndex(f *testing.F) {
	fuzz(f, "CreateIndex", func() proto.Message { return &otsprotocol.CreateIndexResponse{} })
}

func FuzzDropIndex(f *testing.F) {
	fuzz(f, "DropIndex", func() proto.Message { return &otsprotocol.DropIndexResponse{} })
}

func FuzzAddDefinedColumn(f *testing.F) {
	fuzz(f, "AddDefinedColumn", func() proto.Message { return &otsprotocol.AddDefinedColumnResponse{} })
}

func FuzzDeleteDefinedColumn(f *testing.F) {
	fuzz(f, "DeleteDefinedColumn", func() proto.Message { return &otsprotocol.DeleteDefinedColumnResponse{} })
}

func FuzzPutRow(f *testing.F) {
	fuzz(f, "PutRow", func() proto.Message { return &otsprotocol.PutRowResponse{} })
}

func FuzzUpdateRow(f *testing.F) {
	fuzz(f, "UpdateRow", func() proto.Message { return &otsprotocol.UpdateRowResponse{} })
}

func FuzzDeleteRow(f *testing.F) {
	fuzz(f, "DeleteRow", func() proto.Message { return &otsprotocol.DeleteRowResponse{} })
}

func FuzzGetRow(f *testing.F) {
	fuzz(f, "GetRow", func() proto.Message { return &otsprotocol.GetRowResponse{} })
}

func FuzzGetRange(f *testing.F) {
	fuzz(f, "GetRange", func() proto.Message { return &otsprotocol.GetRangeResponse{} })
}

func FuzzBatchGetRow(f *testing.F) {
	fuzz(f, "BatchGetRow", func() proto.Message { return &otsprotocol.BatchGetRowResponse{} })
}

func FuzzBatchWriteRow(f *testing.F) {
	fuzz(f, "BatchWriteRow", func() proto.Message { return &otsprotocol.BatchWriteRowResponse{} })
}

func FuzzStartLocalTransaction(f *testing.F) {
	fuzz(f, "StartLocalTransaction", func() proto.Message { return &otsprotocol.StartLocalTransactionResponse{} })
}

func FuzzCommitTransaction(f *testing.F) {
	fuzz(f, "CommitTransaction", func() proto.Message { return &otsprotocol.CommitTransactionResponse{} })
}

func FuzzAbortTransaction(f *testing.F) {
	fuzz(f, "AbortTransaction", func() proto.Message { return &otsprotocol.AbortTransactionResponse{} })
}

func FuzzComputeSplitPointsBySize(f *testing.F) {
	fuzz(f, "ComputeSplitPointsBySize", func() proto.Message { return &otsprotocol.ComputeSplitPointsBySizeResponse{} })
}

func FuzzBulkImport(f *testing.F) {
	fuzz(f, "BulkImport", func() proto.Message { return &otsprotocol.TableInBatchWriteRowResponse{} })
}

func FuzzListStream(f *testing.F) {
	fuzz(f, "ListStream", func() proto.Message { return &otsprotocol.ListStreamResponse{} })
}

func FuzzDescribeStream(f *testing.F) {
	fuzz(f, "DescribeStream", func() proto.Message { return &otsprotocol.DescribeStreamResponse{} })
}

func FuzzGetShardIterator(f *testing.F) {
	fuzz(f, "GetShardIterator", func() proto.Message { return &otsprotocol.GetShardIteratorResponse{} })
}

func FuzzGetStreamRecord(f *testing.F) {
	fuzz(f, "GetStreamRecord", func() proto.Message { return &otsprotocol.GetStreamRecordResponse{} })
}

// FuzzChange sends validly encoded rows with any content.
func FuzzChange(f *testing.F) {
	f.Add("PutRow", "t", "p", byte(plainbuffer.String), []byte("a"), int64(1), "age", byte(0),
		byte(plainbuffer.Integer), int64(5), []byte("x"), false, int64(0), int32(0))
	f.Add("UpdateRow", "s", "p", byte(plainbuffer.Blob), []byte{0, 1}, int64(1), "v", byte(plainbuffer.DeleteOne),
		byte(plainbuffer.Double), int64(5), []byte("x"), true, newClock().ms(), int32(1))
	f.Add("UpdateRow", "t", "p", byte(plainbuffer.String), []byte("a"), int64(1), "age", byte(plainbuffer.Increment),
		byte(plainbuffer.Integer), int64(1)<<62, []byte("x"), false, int64(0), int32(1))
	f.Add("DeleteRow", "t", "p", byte(plainbuffer.String), []byte("a"), int64(2), "", byte(0),
		byte(plainbuffer.AutoIncrement), int64(5), []byte("x"), true, newClock().ms(), int32(2))
	all := record()
	f.Fuzz(func(t *testing.T, operation, table, column string, keyType byte, data []byte, n int64, name string, op,
		valueType byte, number int64, text []byte, stamped bool, ms int64, expect int32) {
		s := newFuzzed(t, all)
		row := plainbuffer.Row{Deleted: operation == "DeleteRow", Key: []plainbuffer.Cell{
			{Name: []byte(column), HasValue: true, Value: plainbuffer.Value{Type: plainbuffer.Type(keyType),
				Bits: uint64(n), Data: data}},
		}}
		if table == "t" {
			row.Key = append(row.Key, plainbuffer.Cell{Name: []byte("n"), HasValue: true,
				Value: plainbuffer.IntegerValue(n)})
		}
		if name != "" {
			row.Cells = append(row.Cells, plainbuffer.Cell{
				Name: []byte(name), Op: plainbuffer.Op(op), HasValue: op != byte(plainbuffer.DeleteAll) &&
					op != byte(plainbuffer.DeleteOne),
				Value:        plainbuffer.Value{Type: plainbuffer.Type(valueType), Bits: uint64(number), Data: text},
				HasTimestamp: stamped, Timestamp: ms,
			})
		}
		b := plainbuffer.AppendRow(plainbuffer.AppendHeader(nil), &row)
		condition := &otsprotocol.Condition{RowExistence: otsprotocol.RowExistenceExpectation(expect).Enum()}
		after := &otsprotocol.ReturnContent{ReturnType: otsprotocol.ReturnType_RT_AFTER_MODIFY.Enum(),
			ReturnColumnNames: []string{name}}
		switch operation {
		case "PutRow":
			checkAnswer(t, send(s, operation, message(t, &otsprotocol.PutRowRequest{TableName: &table, Row: b,
				Condition: condition})), &otsprotocol.PutRowResponse{})
		case "UpdateRow":
			checkAnswer(t, send(s, operation, message(t, &otsprotocol.UpdateRowRequest{TableName: &table, RowChange: b,
				Condition: condition, ReturnContent: after})), &otsprotocol.UpdateRowResponse{})
		case "DeleteRow":
			checkAnswer(t, send(s, operation, message(t, &otsprotocol.DeleteRowRequest{TableName: &table, PrimaryKey: b,
				Condition: condition})), &otsprotocol.DeleteRowResponse{})
		}
		for _, m := range all {
			if m.operation == "GetRange" || m.operation == "GetRow" {
				if w := send(s, m.operation, m.body); w.Code >= 500 {
					t.Errorf("%s afterwards: status %d", m.operation, w.Code)
				}
			}
		}
	})
}

package ots_test

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"net/http"
	"testing"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
	"github.com/golang/protobuf/proto"

	"chatconf/shared/emulator/ots/plainbuffer"
)

func valued(name string, v plainbuffer.Value) plainbuffer.Cell {
	return plainbuffer.Cell{Name: []byte(name), Value: v, HasValue: true}
}

func stamped(c plainbuffer.Cell, ms int64) plainbuffer.Cell {
	c.Timestamp, c.HasTimestamp = ms, true
	return c
}

func doing(c plainbuffer.Cell, op plainbuffer.Op) plainbuffer.Cell {
	c.Op = op
	return c
}

// TestCellsThatAreRefused sends rows that are valid PlainBuffer, but that the SDK cannot create.
func TestCellsThatAreRefused(t *testing.T) {
	c := run(t)
	c.create("t", "p:string")
	good := valued("p", plainbuffer.StringValue("k"))
	one := valued("a", plainbuffer.IntegerValue(1))
	bare := plainbuffer.Cell{Name: []byte("a")}
	for _, test := range []struct {
		what  string
		op    string
		key   plainbuffer.Cell
		cells []plainbuffer.Cell
		want  string
	}{
		{"a good put", "PutRow", good, []plainbuffer.Cell{one}, "ok"},
		{"an operation on a key", "PutRow", doing(good, plainbuffer.Increment),
			nil, "OpType cannot be given for primary key name :p."},
		{"a timestamp of a key", "PutRow", stamped(good, 1), nil, "Timestamp cannot be given for primary key name:p."},
		{"a key without value", "PutRow", plainbuffer.Cell{Name: []byte("p")}, nil,
			"No value is given for primary key name:p."},
		{"a double as a key", "PutRow", valued("p", plainbuffer.DoubleValue(1)), nil,
			"VT_DOUBLE is an invalid type for the primary key."},
		{"-inf in a put", "PutRow", valued("p", plainbuffer.Value{Type: plainbuffer.InfMin}), nil,
			"VT_INF_MIN is an invalid type for the primary key."},
		{"an operation in a put", "PutRow", good, []plainbuffer.Cell{doing(one, plainbuffer.Increment)},
			"OpType cannot be given for column name:a in PutRow."},
		{"a put without value", "PutRow", good, []plainbuffer.Cell{bare},
			"Cell data broken, attr has no value, name:a."},
		{"an update without value", "UpdateRow", good, []plainbuffer.Cell{bare},
			"Cell data broken, attr has no value, name:a."},
		{"null", "PutRow", good, []plainbuffer.Cell{valued("a", plainbuffer.Value{Type: plainbuffer.Null})},
			"VT_NULL is an invalid type for the attribute column."},
		{"+inf", "PutRow", good, []plainbuffer.Cell{valued("a", plainbuffer.Value{Type: plainbuffer.InfMax})},
			"VT_INF_MAX is an invalid type for the attribute column."},
		{"NaN", "PutRow", good, []plainbuffer.Cell{valued("a", plainbuffer.DoubleValue(math.NaN()))},
			"NaN can't be set to double value."},
		{"infinity", "PutRow", good, []plainbuffer.Cell{valued("a", plainbuffer.DoubleValue(math.Inf(-1)))},
			"Infinity can't be set to double value."},
		{"a string that is not UTF-8", "PutRow", good, []plainbuffer.Cell{valued("a", plainbuffer.StringValue("\xff"))},
			"Value of column 'a' must be UTF8 encoding."},
		{"a removal with a value", "UpdateRow", good, []plainbuffer.Cell{doing(one, plainbuffer.DeleteAll)},
			"Column value cannot be given when type is DELETE_ONE_VERSION,DELETE_ALL_VERSION."},
		{"a removal of one version without its timestamp", "UpdateRow", good,
			[]plainbuffer.Cell{doing(bare, plainbuffer.DeleteOne)},
			"Timestamp must be given when type is DELETE_ONE_VERSION."},
		{"a removal of all versions with a timestamp", "UpdateRow", good,
			[]plainbuffer.Cell{doing(stamped(bare, 1), plainbuffer.DeleteAll)},
			"Timestamp cannot be given when type is DELETE_ALL_VERSION."},
		{"an increment at a timestamp", "UpdateRow", good,
			[]plainbuffer.Cell{doing(stamped(one, 1), plainbuffer.Increment)},
			"Timestamp cannot be given when type is INCREMENT."},
		{"an increment by a string", "UpdateRow", good,
			[]plainbuffer.Cell{doing(valued("a", plainbuffer.StringValue("1")), plainbuffer.Increment)},
			"Increment value of column 'a' must be integer."},
		{"cells in a delete", "DeleteRow", good, []plainbuffer.Cell{one},
			"Invalid delete row request: unexpected cells in request."},
	} {
		row := plainbuffer.Row{Key: []plainbuffer.Cell{test.key}, Cells: test.cells, Deleted: test.op == "DeleteRow"}
		b := plainbuffer.AppendRow(plainbuffer.AppendHeader(nil), &row)
		condition := &otsprotocol.Condition{RowExistence: otsprotocol.RowExistenceExpectation_IGNORE.Enum()}
		body := map[string]proto.Message{
			"PutRow": &otsprotocol.PutRowRequest{TableName: proto.String("t"), Row: b, Condition: condition},
			"UpdateRow": &otsprotocol.UpdateRowRequest{TableName: proto.String("t"), RowChange: b,
				Condition: condition},
			"DeleteRow": &otsprotocol.DeleteRowRequest{TableName: proto.String("t"), PrimaryKey: b,
				Condition: condition},
		}[test.op]
		want := "400 OTSParameterInvalid: " + test.want
		if test.want == "ok" {
			want = "ok"
		}
		if _, _, got := newRaw(c.in, test.op, message(t, body)).sign(c.in.KeySecret).send(t, c.in); got != want {
			t.Errorf("%s: %s, want %s", test.what, got, want)
		}
	}
}

func TestABodyOfUnknownLength(t *testing.T) {
	c := run(t)
	for _, test := range []struct {
		size int
		want int
	}{{0, http.StatusOK}, {5<<20 + 1, http.StatusRequestEntityTooLarge}} {
		body := make([]byte, test.size)
		r := newRaw(c.in, "ListTable", body).sign(c.in.KeySecret)
		res, _, _ := r.stream(t, c.in, io.MultiReader(bytes.NewReader(body)))
		if res.StatusCode != test.want {
			t.Errorf("%d bytes: status %d, want %d", test.size, res.StatusCode, test.want)
		}
	}
}

func TestEncryptionIsDescribed(t *testing.T) {
	c := run(t)
	c.create("t", "p:string", func(r *tablestore.CreateTableRequest) {
		sse := &tablestore.SSESpecification{}
		sse.SetEnable(true)
		sse.SetKeyType(tablestore.SSE_KMS_SERVICE)
		r.SSESpecification = sse
	})
	d, err := c.DescribeTable(&tablestore.DescribeTableRequest{TableName: "t"})
	if err != nil || !d.SSEDetails.Enable || d.SSEDetails.KeyType != tablestore.SSE_KMS_SERVICE {
		t.Errorf("DescribeTable: %+v, %v", d.SSEDetails, err)
	}
}

func TestTransactionsOfOtherPartitionKeys(t *testing.T) {
	c := run(t)
	c.create("t", "p:integer n:integer+", transactional)
	id := c.mustStart("t", key("p", -7))
	p := putIn(id, key("p", -7, "n", auto), cols("a", 1))
	p.SetReturnPk()
	out, err := c.PutRow(&tablestore.PutRowRequest{PutRowChange: p})
	if err != nil {
		t.Fatal(err)
	}
	if got := c.get("t", &out.PrimaryKey, within(id)); got != "a=1" {
		t.Errorf("the row with a made key, within the transaction: %s", got)
	}
	fails(t, "another partition", c.write(putIn(id, key("p", 8, "n", auto), nil)),
		"OTSDataOutOfRange: Data out of scope of transaction. Transaction PartKey:-7. Data PartKey:8")
	if err := c.commit(id); err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(c.dump("t", "p", "n")), fmt.Sprintf("[%s a=1]", showKey(&out.PrimaryKey)); got != want {
		t.Errorf("after the commit: %s, want %s", got, want)
	}
	c.create("b", "p:binary n:integer", transactional)
	id = c.mustStart("b", key("p", []byte{0, 1}))
	other := put("b", key("p", []byte{0}, "n", 1), nil)
	other.TransactionId = &id
	fails(t, "a prefix of the partition key", c.write(other), "OTSDataOutOfRange: ")
	c.must(put("b", key("p", []byte{0, 1, 0}, "n", 1), nil))
	inside := put("b", key("p", []byte{0, 1}, "n", 1), nil)
	fails(t, "the partition from outside", c.write(inside), conflict)
}

package ots_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
	"github.com/golang/protobuf/proto"
	"github.com/google/go-cmp/cmp"

	"chatconf/shared/emulator/ots/otstest"
)

func TestCreateDescribeUpdateDelete(t *testing.T) {
	c := run(t)
	yes := true
	c.create("t", "p:string n:integer+ b:binary", withDefined, versions(3), timeToLive(86400), transactional,
		func(r *tablestore.CreateTableRequest) {
			r.TableOption.AllowUpdate = &yes
			r.TableOption.DeviationCellVersionInSec = 77
			r.StreamSpec = &tablestore.StreamSpecification{EnableStream: true, ExpirationTime: 24,
				OriginColumnsToGet: []string{"a"}}
		})
	d, err := c.DescribeTable(&tablestore.DescribeTableRequest{TableName: "t"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(d.TableMeta, func() *tablestore.TableMeta {
		r := definition("t", "p:string n:integer+ b:binary")
		withDefined(r)
		return r.TableMeta
	}()); diff != "" {
		t.Errorf("DescribeTable: meta (-got +want):\n%s", diff)
	}
	if o := d.TableOption; o.MaxVersion != 3 || o.TimeToAlive != 86400 || o.DeviationCellVersionInSec != 77 ||
		!*o.AllowUpdate {
		t.Errorf("DescribeTable: options %+v", o)
	}
	if s := d.StreamDetails; !s.EnableStream || s.ExpirationTime != 24 || s.StreamId == nil ||
		!slices.Equal(s.OriginColumnsToGet, []string{"a"}) {
		t.Errorf("DescribeTable: stream %+v", s)
	}
	u, err := c.UpdateTable(&tablestore.UpdateTableRequest{
		TableName: "t", TableOption: tablestore.NewTableOption(-1, 5), StreamSpec: &tablestore.StreamSpecification{},
		ReservedThroughput: &tablestore.ReservedThroughput{Readcap: 1, Writecap: 2},
	})
	if err != nil {
		t.Fatal(err)
	}
	if u.TableOption.MaxVersion != 5 || u.TableOption.TimeToAlive != -1 || u.StreamDetails.EnableStream ||
		u.ReservedThroughput.Writecap != 2 {
		t.Errorf("UpdateTable: %+v %+v %+v", u.TableOption, u.StreamDetails, u.ReservedThroughput)
	}
	c.create("s", "p:string")
	list, err := c.ListTable()
	if err != nil || !slices.Equal(list.TableNames, []string{"s", "t"}) {
		t.Errorf("ListTable: %q, %v", list.TableNames, err)
	}
	if _, err := c.DeleteTable(&tablestore.DeleteTableRequest{TableName: "t"}); err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		"DescribeTable": errorOf(c.DescribeTable(&tablestore.DescribeTableRequest{TableName: "t"})),
		"DeleteTable":   errorOf(c.DeleteTable(&tablestore.DeleteTableRequest{TableName: "t"})),
		"UpdateTable": errorOf(c.UpdateTable(&tablestore.UpdateTableRequest{TableName: "t",
			TableOption: tablestore.NewTableOption(-1, 5)})),
		"PutRow": c.write(put("t", key("p", "a"), nil)),
	} {
		fails(t, what+" of a table that is gone", err, "OTSObjectNotExist: Requested table does not exist.")
	}
}

func TestATableMadeAnewIsEmpty(t *testing.T) {
	c := run(t)
	for range 2 {
		c.create("t", "p:string")
		if got := c.dump("t", "p"); len(got) != 0 {
			t.Errorf("a new table holds %q", got)
		}
		c.must(put("t", key("p", "a"), nil))
		if _, err := c.DeleteTable(&tablestore.DeleteTableRequest{TableName: "t"}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestInstancesAreApart(t *testing.T) {
	c := run(t)
	c.create("t", "p:string")
	c.must(put("t", key("p", "a"), nil))
	d := newClient(t, &otstest.Instance{Endpoint: c.in.Endpoint, Name: "another-instance", KeyID: c.in.KeyID,
		KeySecret: c.in.KeySecret})
	if list, err := d.ListTable(); err != nil || len(list.TableNames) != 0 {
		t.Errorf("ListTable of another instance: %q, %v", list.TableNames, err)
	}
	d.create("t", "p:string")
	if got := d.dump("t", "p"); len(got) != 0 {
		t.Errorf("a table of the same name in another instance: %q", got)
	}
}

func TestDefinitionsThatAreRefused(t *testing.T) {
	c := run(t)
	c.create("there", "p:string")
	options := func(ttl, versions int) func(*tablestore.CreateTableRequest) {
		return func(r *tablestore.CreateTableRequest) { r.TableOption = tablestore.NewTableOption(ttl, versions) }
	}
	define := func(names ...string) func(*tablestore.CreateTableRequest) {
		return func(r *tablestore.CreateTableRequest) {
			for _, name := range names {
				r.TableMeta.AddDefinedColumn(name, tablestore.DefinedColumn_STRING)
			}
		}
	}
	many := make([]string, 33)
	for i := range many {
		many[i] = fmt.Sprintf("d%d", i)
	}
	for _, test := range []struct {
		what, table, schema string
		set                 func(*tablestore.CreateTableRequest)
		want                string
	}{
		{"an existing name", "there", "p:string", nil, "OTSObjectAlreadyExist: Requested table already exists."},
		{"no name", "", "p:string", nil, "OTSParameterInvalid: Invalid table name: ''."},
		{"a name that begins with a digit", "1t", "p:string", nil, "OTSParameterInvalid: Invalid table name: '1t'."},
		{"a name with a hyphen", "a-b", "p:string", nil, "OTSParameterInvalid: Invalid table name: 'a-b'."},
		{"five key columns", "t", "a:string b:string c:string d:string e:string", nil,
			"OTSParameterInvalid: The number of primary key columns must be in range: [1, 4]."},
		{"a key column twice", "t", "a:string a:string", nil, "OTSParameterInvalid: Duplicated primary key name: 'a'."},
		{"a key column's name", "t", "a.b:string", nil, "OTSParameterInvalid: Invalid column name: 'a.b'."},
		{"AUTO_INCREMENT first", "t", "a:integer+", nil,
			"OTSParameterInvalid: First primary key can't be auto increment, table: t."},
		{"AUTO_INCREMENT twice", "t", "a:string b:integer+ c:integer+", nil,
			"OTSParameterInvalid: AUTO_INCREMENT primary key count must <= 1."},
		{"a time to live of 0", "t", "a:string", options(0, 1),
			"OTSParameterInvalid: TimeToLive cannot be 0 or less than -1."},
		{"a time to live of -2", "t", "a:string", options(-2, 1),
			"OTSParameterInvalid: TimeToLive cannot be 0 or less than -1."},
		{"no versions", "t", "a:string", options(-1, 0),
			"OTSParameterInvalid: The maximum versions cannot be less than or equal to 0."},
		{"33 defined columns", "t", "a:string", define(many...),
			"OTSParameterInvalid: The number of defined columns must be in range: [0, 32]."},
		{"a defined column of the key", "t", "a:string", define("a"),
			"OTSParameterInvalid: Duplicated attribute column name with primary key column: 'a'."},
		{"negative throughput", "t", "a:string",
			func(r *tablestore.CreateTableRequest) { r.ReservedThroughput.Readcap = -1 },
			"OTSParameterInvalid: Invalid Capacity Unit:-1"},
	} {
		r := definition(test.table, test.schema)
		if test.set != nil {
			test.set(r)
		}
		fails(t, test.what, errorOf(c.CreateTable(r)), test.want)
	}
	fails(t, "nothing to update", errorOf(c.UpdateTable(&tablestore.UpdateTableRequest{TableName: "there"})),
		"OTSParameterInvalid: ")
	yes := true
	o := tablestore.NewTableOption(-1, 1)
	o.UpdateFullRow = &yes
	err := errorOf(c.UpdateTable(&tablestore.UpdateTableRequest{TableName: "there", TableOption: o}))
	if !strings.Contains(codeOf(err), "contain updateFullRow") {
		t.Errorf("UpdateTable with updateFullRow: %v", err)
	}
}

func TestATableThatDoesNotAllowUpdates(t *testing.T) {
	c := run(t)
	no := false
	c.create("t", "p:string", withDefined, timeToLive(100), func(r *tablestore.CreateTableRequest) {
		r.TableOption.AllowUpdate = &no
		r.AddIndexMeta(indexMeta("by_age", false, "age"))
	})
	u := update("t", key("p", "k"))
	u.PutColumn("age", int64(1))
	fails(t, "UpdateRow", c.write(u), "OTSParameterInvalid: Update operation is not allowed in this table")
	c.must(put("t", key("p", "k"), cols("age", 1)))
	if got := c.dump("by_age", "age", "p"); len(got) != 1 {
		t.Errorf("the index: %q", got)
	}
}

func TestAnInstanceHas64Tables(t *testing.T) {
	c := run(t)
	for i := range 64 {
		c.create(fmt.Sprintf("t%d", i), "p:string")
	}
	_, err := c.CreateTable(definition("one_more", "p:string"))
	fails(t, "the 65th table", err, "OTSQuotaExhausted: Number of tables exceeds the quota:64.")
}

func TestDefinedColumns(t *testing.T) {
	c := run(t)
	c.create("t", "p:string")
	add := &tablestore.AddDefinedColumnRequest{TableName: "t"}
	add.AddDefinedColumn("a", tablestore.DefinedColumn_INTEGER)
	add.AddDefinedColumn("b", tablestore.DefinedColumn_BINARY)
	if _, err := c.AddDefinedColumn(add); err != nil {
		t.Fatal(err)
	}
	fails(t, "the same again", errorOf(c.AddDefinedColumn(add)),
		"OTSParameterInvalid: Duplicated attribute column name: 'a'.")
	remove := &tablestore.DeleteDefinedColumnRequest{TableName: "t", DefinedColumns: []string{"a"}}
	if _, err := c.DeleteDefinedColumn(remove); err != nil {
		t.Fatal(err)
	}
	fails(t, "a column that was deleted already", errorOf(c.DeleteDefinedColumn(remove)),
		"OTSParameterInvalid: Column does not exist:a.")
	d, err := c.DescribeTable(&tablestore.DescribeTableRequest{TableName: "t"})
	if err != nil || len(d.TableMeta.DefinedColumns) != 1 ||
		*d.TableMeta.DefinedColumns[0] != (tablestore.DefinedColumnSchema{Name: "b",
			ColumnType: tablestore.DefinedColumn_BINARY}) {
		t.Errorf("DescribeTable: %+v, %v", d.TableMeta.DefinedColumns, err)
	}
}

func TestRowsThatAreRefused(t *testing.T) {
	now := newClock()
	c := run(t, withClock(now))
	c.create("t", "p:string")
	many := make([]cell, 1025)
	for i := range many {
		many[i] = cell{name: fmt.Sprintf("c%d", i), value: 1}
	}
	long := strings.Repeat("x", 2097153)
	half := strings.Repeat("x", 3<<19)
	good := key("p", "k")
	for _, test := range []struct {
		what string
		row  *tablestore.PutRowChange
		want string
	}{
		{"another key column", put("t", key("q", "k"), nil), "OTSInvalidPK: Validate PK name fail. Input: q, Meta: p."},
		{"another type", put("t", key("p", 1), nil),
			"OTSInvalidPK: Validate PK type fail. Input: VT_INTEGER, Meta: VT_STRING."},
		{"two key columns", put("t", key("p", "a", "q", "b"), nil),
			"OTSInvalidPK: Validate PK size fail. Input: 2, Meta: 1."},
		{"five key columns", put("t", key("p", "a", "b", "b", "c", "c", "d", "d", "e", "e"), nil),
			"OTSParameterInvalid: The number of primary key columns must be in range: [1, 4]."},
		{"AUTO_INCREMENT in a table without it", put("t", key("p", auto), nil),
			"OTSInvalidPK: Validate PK type fail. Input: VT_AUTO_INCREMENT, Meta: VT_STRING."},
		{"1024 bytes of key", put("t", key("p", strings.Repeat("k", 1024)), nil), "ok"},
		{"1025 bytes of key", put("t", key("p", strings.Repeat("k", 1025)), nil),
			"OTSParameterInvalid: The length of primary key column: 'p' exceeds the MaxLength:1024 with " +
				"CurrentLength:1025."},
		{"a key that is not UTF-8", put("t", key("p", "\xff"), nil),
			"OTSParameterInvalid: Value of column 'p' must be UTF8 encoding."},
		{"an attribute named as the key", put("t", good, cols("p", 1)),
			"OTSParameterInvalid: Duplicated attribute column name with primary key column: 'p'."},
		{"an attribute without name", put("t", good, cols("", 1)), "OTSParameterInvalid: Invalid column name: ''."},
		{"an attribute's name", put("t", good, cols("#a", 1)), "OTSParameterInvalid: Invalid column name: '#a'."},
		{"an attribute in another script", put("t", good, cols("公司", 1)), "ok"},
		{"an attribute with a hyphen", put("t", good, cols("price-2", 1)), "ok"},
		{"an attribute with a dot", put("t", good, cols("a.b", 1)), "ok"},
		{"an attribute with a blank", put("t", good, cols("a b", 1)), "ok"},
		{"255 bytes of name", put("t", good, cols(strings.Repeat("n", 255), 1)), "ok"},
		{"256 bytes of name", put("t", good, cols(strings.Repeat("n", 256), 1)),
			"OTSParameterInvalid: Invalid column name: 'nnn"},
		{"2 MB of value", put("t", good, cols("a", long[1:])), "ok"},
		{"a byte more", put("t", good, cols("a", long)),
			"OTSParameterInvalid: The length of attribute column: 'a' exceeds the MaxLength:2097152 " +
				"with CurrentLength:2097153."},
		{"more than 4 MB together", put("t", good, cols("a", half, "b", half, "c", half)),
			"OTSParameterInvalid: The total data size of PutRow request exceeds the limit, limit size: 4194304, " +
				"data size: 4718597."},
		{"1024 columns", put("t", good, many[1:]), "ok"},
		{"1025 columns", put("t", good, many), "OTSParameterInvalid: The number of attribute columns exceeds the " +
			"limit, limit count: 1024, column count: 1025."},
	} {
		fails(t, test.what, c.write(test.row), test.want)
	}
	fails(t, "-inf", c.write(remove("t", key("p", infMin))),
		"OTSParameterInvalid: VT_INF_MIN is an invalid type for the primary key.")
	if got, want := c.get("t", key("p", infMax)),
		"OTSParameterInvalid: VT_INF_MAX is an invalid type for the primary key."; got != want {
		t.Errorf("+inf: %s, want %s", got, want)
	}
	fails(t, "an update without columns", c.write(update("t", good)),
		"OTSParameterInvalid: Attribute column is missing.")
	_, err := c.batch(false, update("t", good))
	fails(t, "the same in a batch", err, "OTSParameterInvalid: Invalid update row request: missing cells in request.")
	twice := update("t", good)
	twice.DeleteColumn("a")
	twice.DeleteColumn("a")
	fails(t, "a column deleted twice", c.write(twice),
		"OTSParameterInvalid: Duplicated attribute column name: 'a' while updating row.")
	twice = update("t", key("p", "twice"))
	twice.PutColumn("a", "x")
	twice.PutColumn("b", "x")
	twice.DeleteColumn("a")
	fails(t, "a column written and deleted", c.write(twice), "ok")
	if got, want := c.get("t", key("p", "twice")), "b=x"; got != want {
		t.Errorf("a row with a column written and deleted: %s, want %s", got, want)
	}
	twice.IncrementColumn("b", 1)
	fails(t, "a column written and incremented", c.write(twice),
		"OTSParameterInvalid: Duplicated attribute column name: 'b' while updating row.")
	fails(t, "no key", c.write(put("t", key(), cols("a", 1))), "OTSParameterInvalid: Cell data broken, empty PK.")
}

// TestCreationTime reads creation_time=9 in microseconds, a field that the Go SDK lacks.
func TestCreationTime(t *testing.T) {
	now := newClock()
	c := run(t, withClock(now))
	c.create("t", "p:string", withDefined, func(r *tablestore.CreateTableRequest) {
		r.AddIndexMeta(indexMeta("with", false, "age"))
	})
	created := now.now.UnixMicro()
	now.advance(time.Hour)
	if _, err := c.CreateIndex(&tablestore.CreateIndexRequest{MainTableName: "t",
		IndexMeta: indexMeta("later", false, "city")}); err != nil {
		t.Fatal(err)
	}
	setStream(c, "t", tablestore.StreamSpecification{EnableStream: true})
	for name, want := range map[string]int64{"t": created, "with": created, "later": now.now.UnixMicro()} {
		body := message(t, &otsprotocol.DescribeTableRequest{TableName: &name})
		_, body, failure := newRaw(c.in, "DescribeTable", body).sign(c.in.KeySecret).send(t, c.in)
		var out otsprotocol.DescribeTableResponse
		if err := proto.Unmarshal(body, &out); err != nil || failure != "ok" {
			t.Fatalf("DescribeTable(%s): %v, %s", name, err, failure)
		}
		if got, want := out.XXX_unrecognized, append([]byte{9 << 3},
			proto.EncodeVarint(uint64(want))...); !bytes.Equal(got, want) {
			t.Errorf("DescribeTable(%s): %x, want %x", name, got, want)
		}
	}
}

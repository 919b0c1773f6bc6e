package ots_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
	"github.com/google/go-cmp/cmp"
)

func withDefined(r *tablestore.CreateTableRequest) {
	r.TableMeta.AddDefinedColumn("city", tablestore.DefinedColumn_STRING)
	r.TableMeta.AddDefinedColumn("age", tablestore.DefinedColumn_INTEGER)
	r.TableMeta.AddDefinedColumn("weight", tablestore.DefinedColumn_DOUBLE)
}

// indexMeta returns an index with space-separated key columns, and the others as attributes.
func indexMeta(name string, local bool, columns string, attributes ...string) *tablestore.IndexMeta {
	m := &tablestore.IndexMeta{IndexName: name}
	for column := range strings.FieldsSeq(columns) {
		m.AddPrimaryKeyColumn(column)
	}
	for _, name := range attributes {
		m.AddDefinedColumn(name)
	}
	if m.SetAsGlobalIndex(); local {
		m.SetAsLocalIndex()
	}
	return m
}

// dump reads a table or index as text.
func (c *client) dump(table string, columns ...string) []string {
	c.t.Helper()
	q := whole(table, columns...)
	q.MaxVersion = 1
	out, err := c.GetRange(&tablestore.GetRangeRequest{RangeRowQueryCriteria: q})
	if err != nil {
		c.t.Fatalf("GetRange of %s: %v", table, err)
	}
	rows := []string{}
	for _, row := range out.Rows {
		rows = append(rows, strings.TrimSpace(showKey(row.PrimaryKey)+" "+show(row.Columns)))
	}
	return rows
}

func TestIndexesFollowTheTable(t *testing.T) {
	c := run(t)
	c.create("t", "p:string s:string", withDefined, func(r *tablestore.CreateTableRequest) {
		r.AddIndexMeta(indexMeta("by_city", false, "city", "age"))
		r.AddIndexMeta(indexMeta("by_age", true, "p age"))
	})
	step := func(what string, byCity, byAge []string) {
		t.Helper()
		if diff := cmp.Diff(byCity, c.dump("by_city", "city", "p", "s")); diff != "" {
			t.Errorf("%s: by_city (-want +got):\n%s", what, diff)
		}
		if diff := cmp.Diff(byAge, c.dump("by_age", "p", "age", "s")); diff != "" {
			t.Errorf("%s: by_age (-want +got):\n%s", what, diff)
		}
	}
	c.must(put("t", key("p", "a", "s", "1"), cols("city", "Ulm", "age", 30, "x", 1)),
		put("t", key("p", "b", "s", "2"), cols("city", "Bonn")))
	step("put", []string{"Bonn/b/2", "Ulm/a/1 age=30"}, []string{"a/30/1"})
	u := update("t", key("p", "b", "s", "2"))
	u.PutColumn("age", int64(4))
	c.must(u)
	step("an attribute that was missing", []string{"Bonn/b/2 age=4", "Ulm/a/1 age=30"}, []string{"a/30/1", "b/4/2"})
	u = update("t", key("p", "a", "s", "1"))
	u.DeleteColumn("city")
	u.IncrementColumn("age", 1)
	c.must(u)
	step("a key column that is gone", []string{"Bonn/b/2 age=4"}, []string{"a/31/1", "b/4/2"})
	c.must(put("t", key("p", "b", "s", "2"), cols("city", 7, "age", 4)))
	step("a key column of another type", []string{}, []string{"a/31/1", "b/4/2"})
	if _, err := c.batch(true, put("t", key("p", "a", "s", "1"), cols("city", "Ahlen")),
		put("t", key("p", "a", "s", "0"), cols("city", "Ahlen"))); err != nil {
		t.Fatal(err)
	}
	step("an atomic batch", []string{"Ahlen/a/0", "Ahlen/a/1"}, []string{"b/4/2"})
	c.must(remove("t", key("p", "a", "s", "0")), remove("t", key("p", "b", "s", "2")))
	step("delete", []string{"Ahlen/a/1"}, []string{})
	if got, want := c.get("by_city", key("city", "Ahlen", "p", "a", "s", "1")), ""; got != want {
		t.Errorf("GetRow of an index: %q, want a row without columns", got)
	}
	fails(t, "a write to an index", c.write(put("by_city", key("city", "x", "p", "y", "s", "z"), nil)),
		"OTSParameterInvalid: Can't write index table directly.")
}

func TestAnIndexHoldsWhatTheTableDoesWhateverHappens(t *testing.T) {
	c := run(t)
	c.create("t", "p:integer", withDefined, func(r *tablestore.CreateTableRequest) {
		r.AddIndexMeta(indexMeta("by_age", false, "age city", "weight"))
	})
	random := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		pk := key("p", random.IntN(20))
		var cells []cell
		for _, column := range cols("age", random.IntN(5), "city", fmt.Sprint(random.IntN(3)), "weight", 0.5) {
			if random.IntN(4) > 0 {
				cells = append(cells, column)
			}
		}
		switch random.IntN(4) {
		case 0:
			c.must(remove("t", pk))
		case 1:
			c.must(put("t", pk, cells))
		default:
			u := update("t", pk)
			u.PutColumn("other", int64(1))
			for _, column := range cells {
				if random.IntN(3) == 0 {
					u.DeleteColumn(column.name)
				} else if n, ok := column.value.(int); ok {
					u.PutColumn(column.name, int64(n))
				} else {
					u.PutColumn(column.name, column.value)
				}
			}
			c.must(u)
		}
	}
	before := c.dump("by_age", "age", "city", "p")
	if len(before) == 0 {
		t.Fatal("the index is empty")
	}
	drop := func(name string) {
		if _, err := c.DeleteIndex(&tablestore.DeleteIndexRequest{MainTableName: "t", IndexName: name}); err != nil {
			t.Fatal(err)
		}
	}
	drop("by_age")
	create := func(base bool) {
		_, err := c.CreateIndex(&tablestore.CreateIndexRequest{
			MainTableName: "t", IndexMeta: indexMeta("by_age", false, "age city", "weight"), IncludeBaseData: base,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	create(true)
	if diff := cmp.Diff(before, c.dump("by_age", "age", "city", "p")); diff != "" {
		t.Errorf("the index rebuilt from the table (-kept +made):\n%s", diff)
	}
	drop("by_age")
	create(false)
	if got := c.dump("by_age", "age", "city", "p"); len(got) != 0 {
		t.Errorf("an index without base data: %q", got)
	}
	drop("by_age")
	fails(t, "an index that was dropped",
		errorOf(c.GetRange(&tablestore.GetRangeRequest{RangeRowQueryCriteria: func() *tablestore.RangeRowQueryCriteria {
			q := whole("by_age", "age", "city", "p")
			q.MaxVersion = 1
			return q
		}()})), "OTSObjectNotExist")
}

func errorOf[T any](_ T, err error) error { return err }

func TestIndexDefinitions(t *testing.T) {
	c := run(t)
	c.create("t", "p:string s:string", withDefined)
	c.create("several", "p:string", withDefined, versions(2))
	c.create("aging", "p:string", withDefined, timeToLive(100))
	c.create("full", "p:string", withDefined, func(r *tablestore.CreateTableRequest) {
		for i := range 5 {
			r.AddIndexMeta(indexMeta(fmt.Sprint("full", i), false, "city"))
		}
	})
	for _, test := range []struct {
		name, table string
		meta        *tablestore.IndexMeta
		want        string
	}{
		{"an undefined column", "t", indexMeta("i", false, "x"), "OTSParameterInvalid: Column does not exist:x."},
		{"a double", "t", indexMeta("i", false, "weight"),
			"OTSParameterInvalid: Invalid column type, only STRING,INTEGER,BINARY is allowed."},
		{"an undefined attribute", "t", indexMeta("i", false, "city", "x"),
			"OTSParameterInvalid: Column does not exist:x."},
		{"no columns", "t", indexMeta("i", false, ""),
			"OTSParameterInvalid: The number of primary key columns must be in range: [1, 4] in index."},
		{"no columns, of no table", "nowhere", indexMeta("i", false, ""),
			"OTSParameterInvalid: The number of primary key columns must be in range: [1, 4] in index."},
		{"33 attributes", "t", indexMeta("i", false, "city", make([]string, 33)...),
			"OTSParameterInvalid: The number of attribute columns must be in range: [0, 32] in index."},
		{"a sixth index", "full", indexMeta("i", false, "city"),
			"OTSParameterInvalid: Number of index per table exceeds the quota:5."},
		{"a column twice", "t", indexMeta("i", false, "city city"),
			"OTSParameterInvalid: Duplicated primary key name: 'city'."},
		{"a column as key and attribute", "t", indexMeta("i", false, "city", "city"), "OTSParameterInvalid: "},
		{"a local index without the partition key", "t", indexMeta("i", true, "city"), "OTSParameterInvalid: "},
		{"a table with versions", "several", indexMeta("i", false, "city"), "OTSParameterInvalid: "},
		{"a table whose rows age one by one", "aging", indexMeta("i", false, "city"), "OTSParameterInvalid: "},
		{"the name of a table", "t", indexMeta("several", false, "city"), "OTSObjectAlreadyExist: "},
		{"a good one", "t", indexMeta("i", false, "city s", "age"), "ok"},
		{"its name again", "t", indexMeta("i", false, "age"), "OTSObjectAlreadyExist: Requested table already exists."},
	} {
		_, err := c.CreateIndex(&tablestore.CreateIndexRequest{MainTableName: test.table, IndexMeta: test.meta})
		fails(t, test.name, err, test.want)
	}
	d, err := c.DescribeTable(&tablestore.DescribeTableRequest{TableName: "t"})
	if err != nil {
		t.Fatal(err)
	}
	if len(d.IndexMetas) != 1 || !slices.Equal(d.IndexMetas[0].Primarykey, []string{"city", "s"}) ||
		!slices.Equal(d.IndexMetas[0].DefinedColumns, []string{"age"}) {
		t.Errorf("DescribeTable: indexes %+v", d.IndexMetas)
	}
	stamped := put("t", key("p", "a", "s", "b"), []cell{{"x", 1, 1_700_000_000_000}})
	fails(t, "a timestamp in an indexed table", c.write(stamped), "OTSParameterInvalid: ")
	_, err = c.batch(false, put("t", key("p", "a", "s", "b"), nil), put("t", key("p", "a", "s", "b"), nil))
	fails(t, "a repeated row of an indexed table", err, "OTSParameterInvalid: Duplicate rows detected in MultiPut.")
	_, err = c.UpdateTable(&tablestore.UpdateTableRequest{TableName: "t",
		TableOption: tablestore.NewTableOption(-1, 2)})
	fails(t, "more versions for an indexed table", err, "OTSParameterInvalid: ")
	_, err = c.DeleteDefinedColumn(&tablestore.DeleteDefinedColumnRequest{TableName: "t",
		DefinedColumns: []string{"age"}})
	fails(t, "removing a column that an index has", err, "OTSParameterInvalid: ")
	if _, err := c.DeleteTable(&tablestore.DeleteTableRequest{TableName: "t"}); err != nil {
		t.Fatal(err)
	}
	c.create("i", "p:string")
	if got := c.dump("i", "p"); len(got) != 0 {
		t.Errorf("a table with the name of an index that went with its table: %q", got)
	}
}

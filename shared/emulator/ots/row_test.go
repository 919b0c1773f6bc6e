package ots_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
)

func TestWritesAndExistence(t *testing.T) {
	const absent, present = false, true
	writes := map[string]func(pk *tablestore.PrimaryKey) (tablestore.RowChange,
		func(tablestore.RowExistenceExpectation)){
		"put": func(pk *tablestore.PrimaryKey) (tablestore.RowChange, func(tablestore.RowExistenceExpectation)) {
			c := put("t", pk, cols("b", 2))
			return c, c.SetCondition
		},
		"update": func(pk *tablestore.PrimaryKey) (tablestore.RowChange, func(tablestore.RowExistenceExpectation)) {
			c := update("t", pk)
			c.PutColumn("b", int64(2))
			return c, c.SetCondition
		},
		"delete": func(pk *tablestore.PrimaryKey) (tablestore.RowChange, func(tablestore.RowExistenceExpectation)) {
			c := remove("t", pk)
			return c, c.SetCondition
		},
	}
	const (
		ignore = tablestore.RowExistenceExpectation_IGNORE
		exist  = tablestore.RowExistenceExpectation_EXPECT_EXIST
		not    = tablestore.RowExistenceExpectation_EXPECT_NOT_EXIST
		failed = "OTSConditionCheckFail: Condition check failed."
	)
	for _, c := range []struct {
		write  string
		before bool
		expect tablestore.RowExistenceExpectation
		want   string // the error
		after  string
	}{
		{"put", absent, ignore, "ok", "b=2"},
		{"put", absent, exist, failed, "-"},
		{"put", absent, not, "ok", "b=2"},
		{"put", present, ignore, "ok", "b=2"},
		{"put", present, exist, "ok", "b=2"},
		{"put", present, not, failed, "a=1"},
		{"update", absent, ignore, "ok", "b=2"},
		{"update", absent, exist, failed, "-"},
		{"update", absent, not, "ok", "b=2"},
		{"update", present, ignore, "ok", "a=1 b=2"},
		{"update", present, exist, "ok", "a=1 b=2"},
		{"update", present, not, failed, "a=1"},
		{"delete", absent, ignore, "ok", "-"},
		{"delete", absent, exist, failed, "-"},
		{"delete", absent, not, "ok", "-"},
		{"delete", present, ignore, "ok", "-"},
		{"delete", present, exist, "ok", "-"},
		{"delete", present, not, failed, "a=1"},
	} {
		t.Run(fmt.Sprintf("%s, row present %v, expect %v", c.write, c.before, c.expect), func(t *testing.T) {
			client := run(t)
			client.create("t", "p:string")
			pk := key("p", "k")
			if c.before {
				client.must(put("t", pk, cols("a", 1)))
			}
			change, setCondition := writes[c.write](pk)
			setCondition(c.expect)
			if got := codeOf(client.write(change)); got != c.want {
				t.Errorf("write: %s, want %s", got, c.want)
			}
			if got := client.get("t", pk); got != c.after {
				t.Errorf("row after it: %s, want %s", got, c.after)
			}
		})
	}
}

func TestValuesOfAllTypesComeBack(t *testing.T) {
	c := run(t)
	c.create("t", "p:string i:integer b:binary")
	pk := key("p", "schlüssel", "i", int64(-1<<63), "b", []byte{0, 255, 0})
	c.must(put("t", pk, cols("z", "text\x00ü", "y", int64(1<<62), "x", 2.5, "w", true, "v", []byte{0, 1}, "u", "", "s",
		false)))
	if got, want := c.get("t", pk), "s=false u= v=\x00\x01 w=true x=2.5 y=4611686018427387904 "+
		"z=text\x00ü"; got != want {
		t.Errorf("GetRow: %q, want %q", got, want)
	}
}

func TestARowWithoutAttributesIsARow(t *testing.T) {
	c := run(t)
	c.create("t", "p:string")
	c.must(put("t", key("p", "bare"), nil), put("t", key("p", "emptied"), cols("a", 1)))
	u := update("t", key("p", "emptied"))
	u.DeleteColumn("a")
	c.must(u)
	for _, name := range []string{"bare", "emptied"} {
		if got := c.get("t", key("p", name)); got != "" {
			t.Errorf("GetRow(%s) = %q, want a row without columns", name, got)
		}
		selected := c.get("t", key("p", name), columnsToGet("a"))
		if selected != "-" {
			t.Errorf("GetRow(%s) of a column that it lacks = %q, want no row", name, selected)
		}
	}
}

func columnsToGet(names ...string) func(*tablestore.SingleRowQueryCriteria) {
	return func(q *tablestore.SingleRowQueryCriteria) { q.ColumnsToGet = names }
}

func TestColumnsToGetAndColumnRanges(t *testing.T) {
	c := run(t)
	c.create("t", "p:string")
	pk := key("p", "k")
	c.must(put("t", pk, cols("a", 1, "b", 2, "c", 3, "d", 4)))
	between := func(start, end string) func(*tablestore.SingleRowQueryCriteria) {
		return func(q *tablestore.SingleRowQueryCriteria) {
			if start != "" {
				q.SetStartColumn(start)
			}
			if end != "" {
				q.SetEndtColumn(end)
			}
		}
	}
	for _, test := range []struct {
		name string
		set  func(*tablestore.SingleRowQueryCriteria)
		want string
	}{
		{"two columns, in any order", columnsToGet("c", "a"), "a=1 c=3"},
		{"an absent column and an existing one", columnsToGet("x", "a"), "a=1"},
		{"only an absent column", columnsToGet("x"), "-"},
		{"a primary key column", columnsToGet("p"), ""},
		{"from b to d, which is not in it", between("b", "d"), "b=2 c=3"},
		{"from b", between("b", ""), "b=2 c=3 d=4"},
		{"up to b", between("", "b"), "a=1"},
		{"a range without columns is the primary key alone", between("x", "y"), ""},
		{"end before start", between("d", "b"), "OTSParameterInvalid: Start column must be less than end column."},
		{"an invalid name", columnsToGet("#a"), "OTSParameterInvalid: Invalid column name: '#a'."},
		{"page of columns", func(q *tablestore.SingleRowQueryCriteria) {
			q.Filter = &tablestore.PaginationFilter{Offset: 1, Limit: 2}
		}, "b=2 c=3"},
		{"page beyond the last column", func(q *tablestore.SingleRowQueryCriteria) {
			q.Filter = &tablestore.PaginationFilter{Offset: 4, Limit: 2}
		}, ""},
		{"page with a negative offset", func(q *tablestore.SingleRowQueryCriteria) {
			q.Filter = &tablestore.PaginationFilter{Offset: -1, Limit: 2}
		}, "OTSParameterInvalid: Offset in ColumnPaginationFilter must be greater than or equal to 0."},
		{"page of no columns", func(q *tablestore.SingleRowQueryCriteria) {
			q.Filter = &tablestore.PaginationFilter{}
		}, "OTSParameterInvalid: Limit in ColumnPaginationFilter must be greater than 0."},
	} {
		if got := c.get("t", pk, test.set); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func TestIncrement(t *testing.T) {
	c := run(t)
	c.create("t", "p:string")
	add := func(column string, n int64) (string, error) {
		u := update("t", key("p", "k"))
		u.IncrementColumn(column, n)
		u.SetReturnIncrementValue()
		u.AppendIncrementColumnToReturn(column)
		out, err := c.UpdateRow(&tablestore.UpdateRowRequest{UpdateRowChange: u})
		if err != nil {
			return "", err
		}
		return show(out.Columns), nil
	}
	for _, step := range []struct {
		n    int64
		want string
	}{{5, "n=5"}, {-7, "n=-2"}, {0, "n=-2"}} {
		if got, err := add("n", step.n); got != step.want || err != nil {
			t.Errorf("increment by %d: %q, %v, want %q", step.n, got, err, step.want)
		}
	}
	c.must(put("t", key("p", "k"), cols("n", int64(1<<63-1), "s", "text")))
	_, err := add("n", 1)
	fails(t, "overflow", err, "OTSParameterInvalid: ")
	_, err = add("s", 1)
	fails(t, "increment of a string", err, "OTSParameterInvalid: ")
	if got, want := c.get("t", key("p", "k")), fmt.Sprintf("n=%d s=text", int64(1<<63-1)); got != want {
		t.Errorf("row after failed increments: %s, want %s", got, want)
	}
	u := update("t", key("p", "k"))
	u.IncrementColumn("n", -1)
	u.IncrementColumn("n", -1)
	fails(t, "two increments of one column", c.write(u), "OTSParameterInvalid: ")

	u = update("t", key("p", "k"))
	u.IncrementColumn("n", -1)
	u.PutColumn("s", "new")
	u.SetReturnIncrementValue()
	u.AppendIncrementColumnToReturn("s")
	fails(t, "the value of a column that is written", c.write(u),
		"OTSParameterInvalid: The return column 's' is not incremented.")
	if got, want := c.get("t", key("p", "k")), fmt.Sprintf("n=%d s=text", int64(1<<63-1)); got != want {
		t.Errorf("row after refused returns: %s, want %s", got, want)
	}
}

func TestAutoIncrement(t *testing.T) {
	now := newClock()
	c := run(t, withClock(now))
	c.create("t", "p:string n:integer+ s:string")
	var last int64
	for i := range 5 {
		if i == 3 {
			now.advance(-time.Hour) // a clock that goes back does not matter
		}
		p := put("t", key("p", "a", "n", auto, "s", "x"), cols("i", i))
		p.SetReturnPk()
		out, err := c.PutRow(&tablestore.PutRowRequest{PutRowChange: p})
		if err != nil {
			t.Fatal(err)
		}
		n := out.PrimaryKey.PrimaryKeys[1].Value.(int64)
		if len(out.PrimaryKey.PrimaryKeys) != 3 || n <= last {
			t.Errorf("put %d: primary key %s after %d", i, showKey(&out.PrimaryKey), last)
		}
		last = n
		if got, want := c.get("t", &out.PrimaryKey), fmt.Sprintf("i=%d", i); got != want {
			t.Errorf("row under the key that was returned: %s, want %s", got, want)
		}
	}
	exist := put("t", key("p", "a", "n", auto, "s", "x"), nil)
	exist.SetCondition(tablestore.RowExistenceExpectation_EXPECT_NOT_EXIST)
	fails(t, "existence condition", c.write(exist),
		"OTSParameterInvalid: Invalid expect:EXPECT_NOT_EXIST when modify row with pk auto increment.")
	conditional := put("t", key("p", "a", "n", auto, "s", "x"), nil)
	conditional.SetColumnCondition(tablestore.NewSingleColumnCondition("i", tablestore.CT_EQUAL, int64(1)))
	fails(t, "column condition", c.write(conditional),
		"OTSParameterInvalid: Can't set condition when modify row with pk auto increment.")
	fails(t, "delete", c.write(remove("t", key("p", "a", "n", auto, "s", "x"))),
		"OTSParameterInvalid: Invalid row to delete which with pk auto increment.")
	if got, want := c.get("t", key("p", "a", "n", auto, "s", "x")),
		"OTSParameterInvalid: PKAutoIncr can't be used for read operations."; got != want {
		t.Errorf("GetRow: %s, want %s", got, want)
	}
}

func TestCapacityUnits(t *testing.T) {
	c := run(t)
	c.create("t", "p:string")
	long := strings.Repeat("x", 4096)
	conditional := func(p *tablestore.PutRowChange) *tablestore.PutRowChange {
		p.SetCondition(tablestore.RowExistenceExpectation_EXPECT_EXIST)
		return p
	}
	for _, test := range []struct {
		name  string
		p     *tablestore.PutRowChange
		units tablestore.ConsumedCapacityUnit
	}{
		{"a small put", put("t", key("p", "k"), cols("a", 1)), tablestore.ConsumedCapacityUnit{Write: 1}},
		{"4096 bytes", put("t", key("p", "k"), cols("a", long[:4096-3])), tablestore.ConsumedCapacityUnit{Write: 1}},
		{"4097 bytes", put("t", key("p", "k"), cols("a", long[:4096-2])), tablestore.ConsumedCapacityUnit{Write: 2}},
		{"a condition", conditional(put("t", key("p", "k"), cols("a", long))),
			tablestore.ConsumedCapacityUnit{Write: 2, Read: 1}},
	} {
		out, err := c.PutRow(&tablestore.PutRowRequest{PutRowChange: test.p})
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		if got := *out.ConsumedCapacityUnit; got != test.units {
			t.Errorf("%s: %+v, want %+v", test.name, got, test.units)
		}
	}
	read := func(name string, pk *tablestore.PrimaryKey, columns []string, want int32) {
		out, err := c.GetRow(&tablestore.GetRowRequest{SingleRowQueryCriteria: &tablestore.SingleRowQueryCriteria{
			TableName: "t", PrimaryKey: pk, MaxVersion: 1, ColumnsToGet: columns,
		}})
		if err != nil {
			t.Fatal(err)
		}
		if got := *out.ConsumedCapacityUnit; got != (tablestore.ConsumedCapacityUnit{Read: want}) {
			t.Errorf("%s: %+v, want %d", name, got, want)
		}
	}
	read("a row of more than 4096 bytes", key("p", "k"), nil, 2)
	read("its primary key", key("p", "k"), []string{"p"}, 1)
	read("an absent row", key("p", "none"), nil, 1)
}

func TestAnUpdateThatOnlyRemovesMakesNoRow(t *testing.T) {
	c := run(t)
	c.create("t", "p:string")
	pk := key("p", "k")
	u := update("t", pk)
	u.DeleteColumn("a")
	c.must(u)
	if got, want := c.get("t", pk), "-"; got != want {
		t.Errorf("the row after nothing was removed: %s, want %s", got, want)
	}
	u.PutColumn("b", int64(1))
	c.must(u)
	if got, want := c.get("t", pk), "b=1"; got != want {
		t.Errorf("the row after a column was removed and another written: %s, want %s", got, want)
	}
	gone := update("t", pk)
	gone.DeleteColumn("b")
	c.must(gone)
	if got, want := c.get("t", pk), ""; got != want {
		t.Errorf("the row after its last column was removed: %q, want %q, a row of its key alone", got, want)
	}
}

func TestOnlyTheServiceMakesValuesOfAutoIncrement(t *testing.T) {
	const failed = "OTSConditionCheckFail: Condition check failed."
	c := run(t)
	c.create("t", "p:string n:integer+")
	pk := key("p", "k", "n", 7)
	fails(t, "a put of a given value", c.write(put("t", pk, cols("a", 1))), failed)
	u := update("t", pk)
	u.PutColumn("a", int64(1))
	fails(t, "an update of a given value", c.write(u), failed)
	if err := c.write(remove("t", pk)); err != nil {
		t.Errorf("the deletion of an absent row: %v", err)
	}
	made := put("t", key("p", "k", "n", auto), cols("a", 1))
	made.SetReturnPk()
	out, err := c.PutRow(&tablestore.PutRowRequest{PutRowChange: made})
	if err != nil {
		t.Fatal(err)
	}
	c.must(put("t", &out.PrimaryKey, cols("a", 2)))
	if got, want := c.get("t", &out.PrimaryKey), "a=2"; got != want {
		t.Errorf("a row whose value the service made, put again: %s, want %s", got, want)
	}
}

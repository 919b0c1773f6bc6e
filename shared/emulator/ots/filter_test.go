package ots_test

import (
	"bufio"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
	"github.com/golang/protobuf/proto"
)

func single(column string, c tablestore.ComparatorType, v any) *tablestore.SingleColumnCondition {
	if n, ok := v.(int); ok {
		v = int64(n)
	}
	return tablestore.NewSingleColumnCondition(column, c, v)
}

// strict is single with the two flags for compare-and-set.
func strict(column string, c tablestore.ComparatorType, v any) *tablestore.SingleColumnCondition {
	f := single(column, c, v)
	f.FilterIfMissing, f.LatestVersionOnly = true, true
	return f
}

func latest(f *tablestore.SingleColumnCondition) *tablestore.SingleColumnCondition {
	f.LatestVersionOnly = true
	return f
}

func combine(op tablestore.LogicalOperator, filters ...tablestore.ColumnFilter) tablestore.ColumnFilter {
	f := tablestore.NewCompositeColumnCondition(op)
	for _, sub := range filters {
		f.AddFilter(sub)
	}
	return f
}

const (
	eq = tablestore.CT_EQUAL
	ne = tablestore.CT_NOT_EQUAL
	gt = tablestore.CT_GREATER_THAN
	ge = tablestore.CT_GREATER_EQUAL
	lt = tablestore.CT_LESS_THAN
	le = tablestore.CT_LESS_EQUAL
)

// An existence is a filter with a comparator of the Java and Python SDKs that the Go SDK lacks.
type existence struct {
	*tablestore.SingleColumnCondition
	comparator otsprotocol.ComparatorType
}

func (e existence) ToFilter() *otsprotocol.Filter {
	f := e.SingleColumnCondition.ToFilter()
	var m otsprotocol.SingleColumnValueFilter
	proto.Unmarshal(f.Filter, &m)
	m.Comparator = &e.comparator
	f.Filter, _ = proto.Marshal(&m)
	return f
}

func (e existence) Serialize() []byte {
	b, _ := proto.Marshal(e.ToFilter())
	return b
}

func exists(f *tablestore.SingleColumnCondition) existence    { return existence{f, 7} }
func notExists(f *tablestore.SingleColumnCondition) existence { return existence{f, 8} }

// finds returns a filter on the integer that a pattern extracts from r.
func finds(pattern string) *tablestore.SingleColumnCondition {
	rule := tablestore.NewValueTransferRule(pattern, tablestore.Variant_INTEGER)
	return tablestore.NewSingleColumnValueRegexFilter("r", eq, rule, int64(0))
}

// filterCases are filters, and whether they match this row: p=k n=5 s=abc f=2.5 t=true b=0x00FF,
// with versions v=2 and, older, v=1.
var filterCases = []struct {
	name   string
	filter tablestore.ColumnFilter
	passes bool
}{
	{"integer =", single("n", eq, 5), true},
	{"integer = another", single("n", eq, 6), false},
	{"integer !=", single("n", ne, 6), true},
	{"integer >", single("n", gt, 5), false},
	{"integer > less", single("n", gt, -6), true},
	{"integer >=", single("n", ge, 5), true},
	{"integer <", single("n", lt, 5), false},
	{"integer <=", single("n", le, 5), true},
	{"string >", single("s", gt, "abb"), true},
	{"string > its extension", single("s", gt, "abcd"), false},
	{"double <", single("f", lt, 2.6), true},
	{"boolean =", single("t", eq, true), true},
	{"boolean >", single("t", gt, false), true},
	{"binary <", single("b", lt, []byte{1}), true},
	{"another type is not equal", single("n", eq, "5"), false},
	{"another type is unequal", single("n", ne, "5"), true},
	{"another type is not less", single("n", lt, "5"), false},
	{"a missing column passes", single("x", eq, 5), true},
	{"a missing column does not match a strict filter", strict("x", eq, 5), false},
	{"a missing column does not match even !=", strict("x", ne, 5), false},
	{"a primary key column", strict("p", eq, "k"), true},
	{"any version may match", single("v", eq, 1), true},
	{"but not, if only the latest counts", latest(single("v", eq, 1)), false},
	{"the latest", latest(single("v", eq, 2)), true},
	{"not", combine(tablestore.LO_NOT, single("n", eq, 5)), false},
	{"and", combine(tablestore.LO_AND, single("n", eq, 5), single("s", eq, "abc"), single("f", gt, 2.0)), true},
	{"and, one false", combine(tablestore.LO_AND, single("n", eq, 5), single("s", eq, "x")), false},
	{"or", combine(tablestore.LO_OR, single("n", eq, 6), single("s", eq, "abc")), true},
	{"or, all false", combine(tablestore.LO_OR, single("n", eq, 6), single("s", eq, "x")), false},
	{"nested", combine(tablestore.LO_AND, combine(tablestore.LO_NOT, single("n", eq, 6)),
		combine(tablestore.LO_OR, single("n", eq, 6), single("s", eq, "abc"))), true},
	{"part of a string as an integer", tablestore.NewSingleColumnValueRegexFilter("r",
		gt, tablestore.NewValueTransferRule("n=([0-9]+)", tablestore.Variant_INTEGER), int64(41)), true},
	{"part of a string as a string", tablestore.NewSingleColumnValueRegexFilter("r", eq,
		tablestore.NewValueTransferRule("[a-z]+", tablestore.Variant_STRING), "n"), true},
	{"a column that exists", exists(strict("n", eq, 0)), true},
	{"a column of the key that exists", exists(strict("p", eq, 0)), true},
	{"a column that does not exist", exists(single("none", eq, 0)), false},
	{"an existing column that must not exist", notExists(single("n", eq, 0)), false},
	{"an absent column that must not exist", notExists(strict("none", eq, 0)), true},
	{"a pattern that matches", exists(finds("n=([0-9]+)")), true},
	{"a pattern that must not match, but does", notExists(finds("n=([0-9]+)")), false},
	{"a pattern that must match, but does not", exists(finds("x=([0-9]+)")), false},
	{"a pattern that must not match, and does not", notExists(finds("x=([0-9]+)")), true},
	{"a pattern that does not match", tablestore.NewSingleColumnValueRegexFilter("r", ne,
		tablestore.NewValueTransferRule("x([0-9]+)", tablestore.Variant_INTEGER), int64(1)), false},
}

func newFilterTable(t *testing.T) (*client, *tablestore.PrimaryKey) {
	now := newClock()
	c := run(t, withClock(now))
	c.create("t", "p:string", versions(2))
	pk := key("p", "k")
	c.must(put("t", pk, append(cols("n", 5, "s", "abc", "f", 2.5, "t", true, "b", []byte{0, 255}, "r", "n=42;"),
		cell{"v", 1, now.ms() - 1}, cell{"v", 2, now.ms()})))
	return c, pk
}

func TestFiltersOfReads(t *testing.T) {
	c, pk := newFilterTable(t)
	for _, test := range filterCases {
		got := c.get("t", pk, func(q *tablestore.SingleRowQueryCriteria) { q.MaxVersion, q.Filter = 2, test.filter })
		if passes := got != "-"; passes != test.passes {
			t.Errorf("%s: passes %v (%s), want %v", test.name, passes, got, test.passes)
		}
	}
}

func TestConditionsOfWrites(t *testing.T) {
	c, pk := newFilterTable(t)
	for _, test := range filterCases {
		u := update("t", pk)
		u.PutColumn("w", int64(1))
		u.SetColumnCondition(test.filter)
		want := "ok"
		if !test.passes {
			want = "OTSConditionCheckFail: Condition check failed."
		}
		if got := codeOf(c.write(u)); got != want {
			t.Errorf("%s: %s, want %s", test.name, got, want)
		}
	}
}

func TestAFilterDoesNotSeeWhatIsNotSelected(t *testing.T) {
	c, pk := newFilterTable(t)
	for _, test := range []struct {
		name   string
		filter tablestore.ColumnFilter
		want   string
	}{
		{"an unselected column is missing", single("n", eq, 6), "s=abc"},
		{"and does not match a strict filter", strict("n", eq, 5), "-"},
		{"the primary key is always seen", strict("p", eq, "k"), "s=abc"},
	} {
		got := c.get("t", pk, both(columnsToGet("s"),
			func(q *tablestore.SingleRowQueryCriteria) { q.Filter = test.filter }))
		if got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
	got := c.get("t", pk, func(q *tablestore.SingleRowQueryCriteria) { q.Filter = single("v", eq, 1) })
	if got != "-" {
		t.Errorf("a version that is not selected: %s, want no row", got)
	}
}

func TestConditionOnARowThatIsNotThere(t *testing.T) {
	c := run(t)
	c.create("t", "p:string")
	lax := put("t", key("p", "lax"), nil)
	lax.SetColumnCondition(single("n", eq, 5))
	c.must(lax)
	compareAndSet := put("t", key("p", "strict"), nil)
	compareAndSet.SetColumnCondition(strict("n", eq, 5))
	fails(t, "a strict condition", c.write(compareAndSet), "OTSConditionCheckFail")
}

func TestFilterErrors(t *testing.T) {
	c, pk := newFilterTable(t)
	many := make([]tablestore.ColumnFilter, 32)
	for i := range many {
		many[i] = single("n", eq, i)
	}
	pattern := func(text string) tablestore.ColumnFilter {
		return tablestore.NewSingleColumnValueRegexFilter("r", eq,
			tablestore.NewValueTransferRule(text, tablestore.Variant_STRING), "")
	}
	for _, test := range []struct {
		name   string
		filter tablestore.ColumnFilter
		want   string
	}{
		{"a long pattern", pattern(strings.Repeat("x", 1025)),
			"The regex of the filter exceeds the limit, limit size: 1024, size: 1025."},
		{"a value of more than 2 MB", single("n", eq, strings.Repeat("x", 2<<20+1)),
			"The length of attribute column: 'n' exceeds the MaxLength:2097152 with CurrentLength:2097153."},
		{"much repetition", pattern(strings.Repeat("x{1000}", 5)), "The regexes of the filter are too complex."},
		{"large classes", pattern(strings.Repeat(`\pL`, 9)), "The regexes of the filter are too complex."},
		{"much in all", combine(tablestore.LO_OR, pattern("x{1000}"), pattern("x{1000}y{1000}"), pattern("x{1000}y")),
			"The regexes of the filter are too complex."},
		{"not of two", combine(tablestore.LO_NOT, many[:2]...),
			"Invalid NOT operator: the number of sub-filters must be 1."},
		{"and of one", combine(tablestore.LO_AND, many[:1]...),
			"Invalid AND/OR operator: the number of sub-filters must be more than 1."},
		{"or of none", combine(tablestore.LO_OR),
			"Invalid AND/OR operator: the number of sub-filters must be more than 1."},
		{"33 filters below an operator with too many", combine(tablestore.LO_NOT, many...),
			"The count of filter exceeds the max: 32."},
		{"33 filters of which the first operator has too many",
			combine(tablestore.LO_OR, append([]tablestore.ColumnFilter{
				combine(tablestore.LO_NOT, many[:2]...),
			}, many...)...), "The count of filter exceeds the max: 32."},
		{"33 filters", combine(tablestore.LO_OR, many...), "The count of filter exceeds the max: 32."},
		{"a page of columns within", combine(tablestore.LO_OR, single("n", eq, 1),
			&tablestore.PaginationFilter{Limit: 1}), "Invalid type of filter: 3."},
		{"an invalid column", single("#n", eq, 1), "Invalid column name: '#n'."},
		{"an invalid pattern", tablestore.NewSingleColumnValueRegexFilter("r", eq,
			tablestore.NewValueTransferRule("(", tablestore.Variant_STRING), ""),
			"Deserialize relation filter failed."},
	} {
		want := "OTSParameterInvalid: " + test.want
		if got := c.get("t", pk, func(q *tablestore.SingleRowQueryCriteria) { q.Filter = test.filter }); got != want {
			t.Errorf("read with %s: %s, want %s", test.name, got, want)
		}
		u := update("t", pk)
		u.PutColumn("n", int64(1))
		u.SetColumnCondition(test.filter)
		fails(t, "write with "+test.name, c.write(u), want)
	}
	u := update("t", pk)
	u.PutColumn("n", int64(1))
	u.SetColumnCondition(&tablestore.PaginationFilter{Limit: 1})
	fails(t, "a page of columns as a condition", c.write(u), "OTSParameterInvalid: Invalid type of filter: 3.")
}

// filterVectors are the filters of testdata/filters.txt, each with a matching row and one that does
// not match.
var filterVectors = map[string]struct {
	sdk       tablestore.ColumnFilter
	good, bad []cell
}{
	"c = 7, a missing column fails, latest version only": {strict("c", eq, 7), cols("c", 7), cols("d", 7)},
}

func TestFilterVectors(t *testing.T) {
	file, err := os.Open("testdata/filters.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	seen := 0
	for lines := bufio.NewScanner(file); lines.Scan(); {
		name, digits, ok := strings.Cut(lines.Text(), "\t")
		if !ok {
			continue
		}
		seen++
		vector, known := filterVectors[name]
		b, err := hex.DecodeString(digits)
		if err != nil || !known {
			t.Fatalf("%s: %v", name, err)
		}
		if got := vector.sdk.Serialize(); string(got) != string(b) {
			t.Errorf("%s: the SDK encodes %x, want %x", name, got, b)
		}
		c := run(t)
		c.create("t", "p:string")
		c.must(put("t", key("p", "good"), vector.good), put("t", key("p", "bad"), vector.bad))
		for row, want := range map[string]string{"good": "ok",
			"bad": "403 OTSConditionCheckFail: Condition check failed."} {
			body := message(t, &otsprotocol.PutRowRequest{
				TableName: proto.String("t"), Row: put("t", key("p", row), nil).Serialize(),
				Condition: &otsprotocol.Condition{RowExistence: otsprotocol.RowExistenceExpectation_IGNORE.Enum(),
					ColumnCondition: b},
			})
			if _, _, got := newRaw(c.in, "PutRow", body).sign(c.in.KeySecret).send(t, c.in); got != want {
				t.Errorf("%s: put over the %s row: %s, want %s", name, row, got, want)
			}
		}
	}
	if seen != len(filterVectors) {
		t.Errorf("%d vectors in the file, want %d", seen, len(filterVectors))
	}
}

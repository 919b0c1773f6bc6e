package ots_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
	"github.com/google/go-cmp/cmp"
)

func whole(table string, columns ...string) *tablestore.RangeRowQueryCriteria {
	var lo, hi []any
	for _, name := range columns {
		lo, hi = append(lo, name, infMin), append(hi, name, infMax)
	}
	return &tablestore.RangeRowQueryCriteria{TableName: table, StartPrimaryKey: key(lo...), EndPrimaryKey: key(hi...)}
}

func reversed(q *tablestore.RangeRowQueryCriteria) *tablestore.RangeRowQueryCriteria {
	r := *q
	r.StartPrimaryKey, r.EndPrimaryKey, r.Direction = q.EndPrimaryKey, q.StartPrimaryKey, tablestore.BACKWARD
	return &r
}

// walk reads all pages of a range.
func (c *client) walk(q *tablestore.RangeRowQueryCriteria) (keys []string, pages int) {
	c.t.Helper()
	next := *q
	for {
		out, err := c.GetRange(&tablestore.GetRangeRequest{RangeRowQueryCriteria: &next})
		if err != nil {
			c.t.Fatalf("GetRange: %v", err)
		}
		for _, row := range out.Rows {
			keys = append(keys, showKey(row.PrimaryKey))
		}
		if pages++; out.NextStartPrimaryKey == nil {
			return keys, pages
		}
		next.StartPrimaryKey = out.NextStartPrimaryKey
	}
}

func TestOrderOfKeys(t *testing.T) {
	for _, test := range []struct {
		kind   string
		values []any // sorted
	}{
		{"integer", []any{int64(math.MinInt64), int64(-256), int64(-1), int64(0), int64(1), int64(255), int64(256),
			int64(math.MaxInt64)}},
		{"string", []any{"", "\x00", "\x00\x00", "\x00\x01", "\x00a", "\x01", "A", "a", "a\x00", "a\x00\x00", "a\x01",
			"aa", "b", "ü", "世界", "\U0001F600"}},
		{"binary", []any{[]byte{}, []byte{0}, []byte{0, 0}, []byte{0, 1}, []byte{0, 255}, []byte{1}, []byte{127},
			[]byte{128}, []byte{255}, []byte{255, 0}, []byte{255, 255}}},
	} {
		t.Run(test.kind, func(t *testing.T) {
			c := run(t)
			c.create("t", "p:"+test.kind+" q:"+test.kind)
			var want []string
			for _, v := range test.values {
				for _, w := range test.values {
					want = append(want, showKey(key("p", v, "q", w)))
				}
			}
			for _, i := range rand.Perm(len(want)) {
				n := len(test.values)
				c.must(put("t", key("p", test.values[i/n], "q", test.values[i%n]), nil))
			}
			q := whole("t", "p", "q")
			q.MaxVersion = 1
			got, _ := c.walk(q)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("forward (-want +got):\n%s", diff)
			}
			got, _ = c.walk(reversed(q))
			slices.Reverse(got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("backward (-want +got):\n%s", diff)
			}
		})
	}
}

func TestBoundsOfRanges(t *testing.T) {
	c := run(t)
	c.create("t", "p:string n:integer")
	for _, p := range []string{"a", "b"} {
		for n := range 3 {
			c.must(put("t", key("p", p, "n", n), nil))
		}
	}
	k := func(p, n any) *tablestore.PrimaryKey { return key("p", p, "n", n) }
	for _, test := range []struct {
		name       string
		start, end *tablestore.PrimaryKey
		back       bool
		limit      int32
		want       string
	}{
		{"the start is in it, the end is not", k("a", 1), k("b", 1), false, 0, "[a/1 a/2 b/0] -"},
		{"backward too", k("b", 1), k("a", 1), true, 0, "[b/1 b/0 a/2] -"},
		{"one partition", k("a", infMin), k("a", infMax), false, 0, "[a/0 a/1 a/2] -"},
		{"one partition backward", k("b", infMax), k("b", infMin), true, 0, "[b/2 b/1 b/0] -"},
		{"a limit leaves a next key", k("a", infMin), k("b", infMax), false, 2, "[a/0 a/1] a/2"},
		{"backward too", k("b", infMax), k("a", infMin), true, 4, "[b/2 b/1 b/0 a/2] a/1"},
		{"a limit that is reached with the last row leaves none", k("a", infMin), k("a", infMax), false,
			3, "[a/0 a/1 a/2] -"},
		{"a start between rows", k("a", 2), k("b", infMin), false, 0, "[a/2] -"},
		{"an empty range", k("c", infMin), k("d", infMin), false, 0, "[] -"},
		{"-inf to +inf in the first column", k(infMin, infMin), k(infMax, infMax), false, 5,
			"[a/0 a/1 a/2 b/0 b/1] b/2"},
		{"+inf of one partition is before the next", k("a", infMax), k("b", 0), false, 0, "[] -"},
	} {
		q := &tablestore.RangeRowQueryCriteria{TableName: "t", StartPrimaryKey: test.start, EndPrimaryKey: test.end,
			Limit: test.limit}
		if test.back {
			q.Direction = tablestore.BACKWARD
		}
		keys, next := c.page(q)
		if got := fmt.Sprint(keys, " ", next); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

func TestBoundsThatAreRefused(t *testing.T) {
	c := run(t)
	c.create("t", "p:string n:integer")
	k := func(p, n any) *tablestore.PrimaryKey { return key("p", p, "n", n) }
	for _, test := range []struct {
		name       string
		start, end *tablestore.PrimaryKey
		direction  tablestore.Direction
		limit      int32
		want       string
	}{
		{"equal", k("a", 1), k("a", 1), tablestore.FORWARD, 0,
			"OTSParameterInvalid: Begin key must less than end key in FORWARD"},
		{"the wrong way", k("b", 1), k("a", 1), tablestore.FORWARD, 0,
			"OTSParameterInvalid: Begin key must less than end key in FORWARD"},
		{"the wrong way backward", k("a", 1), k("b", 1), tablestore.BACKWARD, 0,
			"OTSParameterInvalid: Begin key must more than end key in BACKWARD"},
		{"a negative limit", k("a", 1), k("b", 1), tablestore.FORWARD, -1,
			"OTSParameterInvalid: The limit must be greater than 0."},
		{"one column", key("p", "a"), k("b", 1), tablestore.FORWARD, 0,
			"OTSInvalidPK: Validate PK size fail. Input: 1, Meta: 2."},
		{"another name", key("p", "a", "m", 1), k("b", 1), tablestore.FORWARD, 0,
			"OTSInvalidPK: Validate PK name fail. Input: m, Meta: n."},
		{"another type", key("p", "a", "n", []byte{1}), k("b", 1), tablestore.FORWARD,
			0, "OTSInvalidPK: Validate PK type fail. Input: VT_BLOB, Meta: VT_INTEGER."},
	} {
		_, err := c.GetRange(&tablestore.GetRangeRequest{RangeRowQueryCriteria: &tablestore.RangeRowQueryCriteria{
			TableName: "t", StartPrimaryKey: test.start, EndPrimaryKey: test.end, Direction: test.direction,
			Limit: test.limit, MaxVersion: 1,
		}})
		if got := codeOf(err); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

func TestEveryLimitGivesTheSameRows(t *testing.T) {
	c := run(t)
	c.create("t", "p:integer")
	var want []string
	for i := range 23 {
		c.must(put("t", key("p", i), cols("odd", i%2)))
		want = append(want, fmt.Sprint(i))
	}
	for limit := int32(1); limit <= 24; limit++ {
		q := whole("t", "p")
		q.MaxVersion, q.Limit = 1, limit
		got, pages := c.walk(q)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("limit %d (-want +got):\n%s", limit, diff)
		}
		if want := max(1, (23+int(limit)-1)/int(limit)); pages != want {
			t.Errorf("limit %d: %d pages, want %d", limit, pages, want)
		}
		back, _ := c.walk(reversed(q))
		slices.Reverse(back)
		if diff := cmp.Diff(want, back); diff != "" {
			t.Errorf("limit %d, backward (-want +got):\n%s", limit, diff)
		}
		q.Filter = strict("odd", eq, 1)
		filtered, _ := c.walk(q)
		if len(filtered) != 11 {
			t.Errorf("limit %d, filtered: %q", limit, filtered)
		}
	}
}

func TestAPageEndsAfter5000RowsWhateverIsFiltered(t *testing.T) {
	c := run(t)
	c.create("t", "p:integer")
	for i := 0; i < 10000; i += 200 {
		batch := &tablestore.BatchWriteRowRequest{}
		for j := i; j < i+200; j++ {
			batch.AddRowChange(put("t", key("p", j), cols("n", j)))
		}
		if _, err := c.BatchWriteRow(batch); err != nil {
			t.Fatal(err)
		}
	}
	for _, below := range []int{0, 1, 5000, 10000} {
		q := whole("t", "p")
		q.MaxVersion, q.Filter = 1, strict("n", lt, below)
		for name, q := range map[string]*tablestore.RangeRowQueryCriteria{"forward": q, "backward": reversed(q)} {
			keys, pages := c.walk(q)
			if len(keys) != below || pages != 2 {
				t.Errorf("%s, rows below %d: %d rows in %d pages, want two pages", name, below, len(keys), pages)
			}
		}
	}
}

func TestAPageEndsBefore4MB(t *testing.T) {
	c := run(t)
	c.create("t", "p:integer")
	blob := []byte(strings.Repeat("x", 1<<20))
	for i := range 9 {
		c.must(put("t", key("p", i), cols("v", blob)))
	}
	q := whole("t", "p")
	keys, next := c.page(q)
	if got, want := fmt.Sprint(keys, " ", next), "[0 1 2] 3"; got != want {
		t.Errorf("rows of a little more than 1 MB: %s, want %s", got, want)
	}
	if _, pages := c.walk(q); pages != 3 {
		t.Errorf("9 rows in %d pages, want 3", pages)
	}
}

func TestReturnSpecifiedPrimaryKeysOnly(t *testing.T) {
	c := run(t)
	c.create("t", "p:string n:integer")
	c.must(put("t", key("p", "a", "n", 1), cols("v", 1)))
	for _, block := range []tablestore.DataBlockType{tablestore.PlainBuffer, tablestore.SimpleRowMatrix} {
		q := whole("t", "p", "n")
		q.ColumnsToGet, q.ReturnSpecifiedPkOnly, q.DataBlockType = []string{"n", "v"}, true, block
		keys, _ := c.page(q)
		if got, want := fmt.Sprint(keys), "[1]"; got != want {
			t.Errorf("block type %d: %s, want %s", block, got, want)
		}
	}
}

func TestSimpleRowMatrixHoldsWhatPlainBufferDoes(t *testing.T) {
	c := run(t)
	c.create("t", "s:string b:binary i:integer")
	random := rand.New(rand.NewPCG(3, 4))
	values := []any{int64(7), 2.5, true, false, "text", []byte{0, 1, 255}}
	for i := range 50 {
		var cells []cell
		for j := range 8 {
			if random.IntN(3) > 0 {
				cells = append(cells, cell{name: fmt.Sprintf("c%d", j), value: values[random.IntN(len(values))]})
			}
		}
		c.must(put("t", key("s", fmt.Sprint(random.IntN(9)), "b", []byte{byte(i)}, "i", i), cells))
	}
	read := func(block tablestore.DataBlockType) (rows []string, got tablestore.DataBlockType) {
		q := whole("t", "s", "b", "i")
		q.MaxVersion, q.DataBlockType = 1, block
		out, err := c.GetRange(&tablestore.GetRangeRequest{RangeRowQueryCriteria: q})
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range out.Rows {
			rows = append(rows, showKey(row.PrimaryKey)+" "+show(row.Columns))
		}
		return rows, out.DataBlockType
	}
	plain, _ := read(tablestore.PlainBuffer)
	matrix, got := read(tablestore.SimpleRowMatrix)
	if got != tablestore.SimpleRowMatrix {
		t.Errorf("block type %d, want a matrix", got)
	}
	if diff := cmp.Diff(plain, matrix); diff != "" || len(plain) != 50 {
		t.Errorf("%d rows (-plain +matrix):\n%s", len(plain), diff)
	}
}

func TestASparseMatrixIsAnsweredAsPlainBuffer(t *testing.T) {
	c := run(t)
	c.create("t", "p:string n:integer")
	var want []string
	for i := range 200 {
		name := fmt.Sprintf("c%03d", i)
		c.must(put("t", key("p", "a", "n", i), cols(name, i)))
		want = append(want, fmt.Sprintf("a/%d %s=%d", i, name, i))
	}
	for limit, kind := range map[int32]tablestore.DataBlockType{4: tablestore.SimpleRowMatrix,
		5: tablestore.PlainBuffer, 200: tablestore.PlainBuffer} {
		q := whole("t", "p", "n")
		q.MaxVersion, q.DataBlockType, q.Limit = 1, tablestore.SimpleRowMatrix, limit
		out, err := c.GetRange(&tablestore.GetRangeRequest{RangeRowQueryCriteria: q})
		if err != nil {
			t.Fatal(err)
		}
		if out.DataBlockType != kind {
			t.Errorf("%d rows with a column each: block type %d, want %d", limit, out.DataBlockType, kind)
		}
		var got []string
		for _, row := range out.Rows {
			got = append(got, showKey(row.PrimaryKey)+" "+show(row.Columns))
		}
		if diff := cmp.Diff(want[:limit], got); diff != "" {
			t.Errorf("%d rows (-want +got):\n%s", limit, diff)
		}
	}
}

func TestSplitPoints(t *testing.T) {
	c := run(t)
	c.create("t", "p:string n:integer")
	for i := range 40 {
		c.must(put("t", key("p", fmt.Sprintf("%02d", i/4), "n", i), cols("v", strings.Repeat("x", 130<<10))))
	}
	split := func(size, unit int64) (*tablestore.ComputeSplitPointsBySizeResponse, error) {
		return c.ComputeSplitPointsBySize(&tablestore.ComputeSplitPointsBySizeRequest{
			TableName: "t", SplitSize: size, SplitSizeUnitInByte: &unit,
		})
	}
	const mb = 1 << 20
	fails(t, "pieces of size 0", errorOf(split(0, mb)),
		"OTSParameterInvalid: The split_size should be greater than 0.")
	fails(t, "a small unit", errorOf(split(1, mb-1)),
		"OTSParameterInvalid: The split_size_unit_in_byte should be greater equal than: 1048576")
	fails(t, "larger pieces than can be counted", errorOf(split(math.MaxInt64/mb+1, mb)), "OTSParameterInvalid: ")
	out, err := split(1, mb)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, split := range out.Splits {
		q := &tablestore.RangeRowQueryCriteria{TableName: "t", StartPrimaryKey: split.LowerBound,
			EndPrimaryKey: split.UpperBound}
		keys, _ := c.page(q)
		got = append(got, fmt.Sprintf("%d %d", len(keys), len(split.Location)))
	}
	if want := []string{"8 32", "8 32", "8 32", "8 32", "8 32"}; !slices.Equal(got, want) {
		t.Errorf("splits of 1 MB have rows and characters of location %q, want %q", got, want)
	}
}

package ots_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
)

func timed(start, end int64) func(*tablestore.SingleRowQueryCriteria) {
	return func(q *tablestore.SingleRowQueryCriteria) {
		q.MaxVersion, q.TimeRange = 0, &tablestore.TimeRange{Start: start, End: end}
	}
}

func newest(n int32) func(*tablestore.SingleRowQueryCriteria) {
	return func(q *tablestore.SingleRowQueryCriteria) { q.MaxVersion = n }
}

func both(a, b func(*tablestore.SingleRowQueryCriteria)) func(*tablestore.SingleRowQueryCriteria) {
	return func(q *tablestore.SingleRowQueryCriteria) { a(q); b(q) }
}

func TestVersions(t *testing.T) {
	now := newClock()
	c := run(t, withClock(now))
	c.create("t", "p:string", versions(3))
	pk, at := key("p", "k"), now.ms()
	for i := range int64(5) {
		u := update("t", pk)
		u.PutColumnWithTimestamp("a", i, at+i)
		c.must(u)
	}
	u := update("t", pk)
	u.PutColumn("b", int64(9))
	c.must(u)
	for _, test := range []struct {
		name string
		set  func(*tablestore.SingleRowQueryCriteria)
		want string
	}{
		{"the newest", newest(1), "a=4 b=9"},
		{"the newest two, newest first", newest(2), "a=4 a=3 b=9"},
		{"no more than the table keeps", newest(9), "a=4 a=3 a=2 b=9"},
		{"a time range has a start and not its end", timed(at+2, at+4), "a=3 a=2"},
		{"a time range and a number of versions", both(timed(at+2, at+4), newest(1)), "a=3"},
		{"one timestamp", func(q *tablestore.SingleRowQueryCriteria) {
			q.MaxVersion, q.TimeRange = 0, &tablestore.TimeRange{Specific: at + 3}
		}, "a=3"},
		{"one timestamp and a number of versions", func(q *tablestore.SingleRowQueryCriteria) {
			q.TimeRange = &tablestore.TimeRange{Specific: at + 3}
		}, "OTSParameterInvalid: Specific timestamp and max versions cannot be given at the same time."},
		{"versions that are gone", timed(at, at+2), "b=9"},
		{"a column without a version in the range", both(timed(at+2, at+4), columnsToGet("b")), "-"},
		{"a range that ends before it begins", timed(at+4, at+2), "OTSParameterInvalid: "},
		{"a negative number of versions", newest(-1),
			"OTSParameterInvalid: Invalid max versions: -1. Reason: Max versions must be positive."},
	} {
		if got := c.get("t", pk, test.set); !strings.HasPrefix(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func TestLoweringVersionsHidesThemUntilTheNextWrite(t *testing.T) {
	now := newClock()
	c := run(t, withClock(now))
	c.create("t", "p:string", versions(3))
	set := func(row string, value int64) {
		u := update("t", key("p", row))
		u.PutColumn("a", value)
		c.must(u)
		now.advance(time.Second)
	}
	keep := func(n int) {
		if _, err := c.UpdateTable(&tablestore.UpdateTableRequest{TableName: "t",
			TableOption: tablestore.NewTableOption(-1, n)}); err != nil {
			t.Fatal(err)
		}
	}
	for value := range int64(3) {
		set("idle", value)
		set("busy", value)
	}
	check := func(when, want string) {
		t.Helper()
		if got := c.get("t", key("p", "idle"), newest(9)) + "; " +
			c.get("t", key("p", "busy"), newest(9)); got != want {
			t.Errorf("%s: %s, want %s", when, got, want)
		}
	}
	keep(1)
	check("lowered", "a=2; a=2")
	set("busy", 3)
	keep(3)
	check("raised again", "a=2 a=1 a=0; a=3")
}

func TestRemovingVersions(t *testing.T) {
	now := newClock()
	c := run(t, withClock(now))
	c.create("t", "p:string", versions(5))
	pk, at := key("p", "k"), now.ms()
	for i := range int64(4) {
		u := update("t", pk)
		u.PutColumnWithTimestamp("a", i, at+i)
		u.PutColumnWithTimestamp("b", i, at+i)
		c.must(u)
	}
	u := update("t", pk)
	u.DeleteColumnWithTimestamp("a", at+3)
	u.DeleteColumnWithTimestamp("a", at+1)
	u.DeleteColumn("b")
	c.must(u)
	if got, want := c.get("t", pk, newest(5)), "a=2 a=0"; got != want {
		t.Errorf("after removing versions 3 and 1 of a, and b: %s, want %s", got, want)
	}
	u = update("t", pk)
	u.PutColumnWithTimestamp("a", "other", at+2)
	c.must(u)
	if got, want := c.get("t", pk, newest(5)), "a=other a=0"; got != want {
		t.Errorf("after putting an existing version: %s, want %s", got, want)
	}
	c.must(put("t", pk, cols("c", 1)))
	if got, want := c.get("t", pk, newest(5)), "c=1"; got != want {
		t.Errorf("PutRow replaces all versions: %s, want %s", got, want)
	}
}

func TestTimestampsFarFromNow(t *testing.T) {
	now := newClock()
	c := run(t, withClock(now))
	c.create("t", "p:string", versions(5),
		func(r *tablestore.CreateTableRequest) { r.TableOption.DeviationCellVersionInSec = 60 })
	for _, test := range []struct {
		seconds int64
		want    string
	}{
		{-61, "OTSParameterInvalid: Invalid timestamp. Cell:a."}, {-60, "ok"}, {0, "ok"}, {59, "ok"},
		{60, "OTSParameterInvalid: Invalid timestamp. Cell:a."},
	} {
		err := c.write(put("t", key("p", fmt.Sprint(test.seconds)), []cell{{"a", 1, now.ms() + test.seconds*1000}}))
		if got := codeOf(err); got != test.want {
			t.Errorf("%d s from now: %s, want %s", test.seconds, got, test.want)
		}
	}
	u := update("t", key("p", "0"))
	u.PutColumnWithTimestamp("a", int64(1), -1)
	fails(t, "negative timestamp", c.write(u), "OTSParameterInvalid: Timestamp must be in range [0, INT64_MAX/1000).")
}

func TestTimeToLive(t *testing.T) {
	now := newClock()
	c := run(t, withClock(now))
	c.create("t", "p:string", timeToLive(100), versions(2))
	pk := key("p", "k")
	c.must(put("t", pk, cols("a", 1, "b", 1)))
	now.advance(60 * time.Second)
	u := update("t", pk)
	u.PutColumn("a", int64(2))
	c.must(u)
	step := func(after time.Duration, n int32, want string) {
		t.Helper()
		now.advance(after)
		if got := c.get("t", pk, newest(n)); got != want {
			t.Errorf("at %v: %q, want %q", now.now.Sub(newClock().now), got, want)
		}
	}
	step(39*time.Second, 2, "a=2 a=1 b=1")
	step(time.Second, 2, "a=2")
	step(59*time.Second, 2, "a=2")
	step(time.Second, 2, "-")
	exist := put("t", pk, cols("a", 3))
	exist.SetCondition(tablestore.RowExistenceExpectation_EXPECT_EXIST)
	fails(t, "a write that expects an expired row", c.write(exist), "OTSConditionCheckFail")
	c.must(put("t", pk, cols("a", 3)))
	fails(t, "an expired timestamp", c.write(put("t", pk, []cell{{"a", 1, now.ms() - 101_000}})),
		"OTSParameterInvalid: Invalid timestamp.")
	if _, err := c.UpdateTable(&tablestore.UpdateTableRequest{TableName: "t",
		TableOption: tablestore.NewTableOption(-1, 2)}); err != nil {
		t.Fatal(err)
	}
	step(1000*time.Second, 2, "a=3")
}

func TestAWriteAfterTheClockWasSetBackIsTheNewest(t *testing.T) {
	now := newClock()
	c := run(t, withClock(now))
	c.create("one", "p:string", versions(1))
	c.create("three", "p:string", versions(3))
	for i := range int64(5) {
		for _, table := range []string{"one", "three"} {
			u := update(table, key("p", "k"))
			u.PutColumn("a", i)
			c.must(u)
		}
		now.advance(-time.Hour)
	}
	for table, want := range map[string]string{"one": "a=4", "three": "a=4 a=3 a=2"} {
		if got := c.get(table, key("p", "k"), newest(3)); got != want {
			t.Errorf("%s: %s, want %s", table, got, want)
		}
	}
	now.advance(10 * time.Hour)
	c.must(put("one", key("p", "k"), cols("a", 5)))
	if got, want := c.get("one", key("p", "k"), timed(now.ms(), now.ms()+1)), "a=5"; got != want {
		t.Errorf("once the clock is ahead again: %s, want %s at its time", got, want)
	}
}

func TestRowsOverAgeAreNotInARange(t *testing.T) {
	now := newClock()
	c := run(t, withClock(now))
	c.create("t", "p:string", timeToLive(100))
	for i := range 30 {
		c.must(put("t", key("p", fmt.Sprintf("%02d", i)), nil))
		now.advance(10 * time.Second)
	}
	keys, next := c.page(&tablestore.RangeRowQueryCriteria{TableName: "t", StartPrimaryKey: key("p", infMin),
		EndPrimaryKey: key("p", infMax)})
	if got, want := fmt.Sprint(keys, " ", next), "[21 22 23 24 25 26 27 28 29] -"; got != want {
		t.Errorf("GetRange: %s, want %s", got, want)
	}
}

// Package tabletest tests every table adapter against the contract of package table.
//
// The suite uses only the port. It works on partitions with random names and deletes nothing at the
// end. So all tests may run on one remote table with other users.
package tabletest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"chatconf/shared/table"

	"github.com/google/go-cmp/cmp"
)

// Options configure the table for a test.
type Options struct {
	// TTL is the table's time to live; zero means none.
	TTL time.Duration
	// Now is the adapter's clock, for writing and for hiding expired items. It starts at the true
	// time and only runs faster. So an engine with a true clock never removes an item before the
	// adapter hides it. Nil means time.Now.
	Now func() time.Time
}

// Caps are the limitations of an engine. The zero Caps mean none.
type Caps struct {
	// TextKeys means that the engine's keys are text. The suite then skips keys that are not UTF-8.
	TextKeys bool
	// Slow means that each call goes to another machine. The suite then makes fewer calls.
	Slow bool
}

// An Opener opens a table, or fails t. The tables of one test may share their items. The suite
// closes them; use t.Cleanup for other resources.
type Opener func(t *testing.T, o Options) table.Table

// Run runs the whole suite.
func Run(t *testing.T, open func(t *testing.T, o Options) table.Table, caps Caps) {
	s := &suite{open: open, caps: caps}
	for _, test := range []struct {
		name string
		run  func(*testing.T, *suite)
	}{
		{"Verbs", testVerbs},
		{"Invalid", testInvalid},
		{"Closed", testClosed},
		{"Context", testContext},
		{"Conditions", testConditions},
		{"Atomic", testAtomic},
		{"Races", testRaces},
		{"Adds", testAdds},
		{"Linear", testLinear},
		{"Random", testRandom},
		{"Pages", testPages},
		{"Keys", testKeys},
		{"Partitions", testPartitions},
		{"Values", testValues},
		{"Copies", testCopies},
		{"Age", testAge},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, s) })
	}
}

type suite struct {
	open Opener
	caps Caps
}

// fewer returns n, or slow if calls are slow.
func (s *suite) fewer(n, slow int) int {
	if s.caps.Slow {
		return slow
	}
	return n
}

func (s *suite) table(t *testing.T, o Options) table.Table {
	t.Helper()
	tb := s.open(t, o)
	t.Cleanup(func() {
		if err := tb.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return tb
}

// partition returns an unused partition name.
func partition() string {
	var b [12]byte
	rand.Read(b[:]) // never fails
	return "tabletest/" + hex.EncodeToString(b[:])
}

// A clock stands still until a test moves it.
type clock struct {
	nanos atomic.Int64
}

// newClock returns a clock at the present time plus a fraction of a millisecond, which no item may
// show.
func newClock() *clock {
	c := new(clock)
	c.nanos.Store(time.Now().Truncate(time.Millisecond).UnixNano() + 654_321)
	return c
}

// Now returns the time in a zone other than UTC, which no item may show.
func (c *clock) Now() time.Time {
	return time.Unix(0, c.nanos.Load()).In(time.FixedZone("UTC+8", 8*60*60))
}

func (c *clock) advance(d time.Duration) { c.nanos.Add(int64(d)) }

// written returns the expected Item.Written of a write at this moment.
func (c *clock) written() time.Time { return c.Now().UTC().Truncate(time.Millisecond) }

// write makes a change that must succeed.
func write(t *testing.T, tb table.Table, partition string, c table.Change) {
	t.Helper()
	if err := tb.Write(t.Context(), partition, c); err != nil {
		t.Fatalf("Write(%v): %v", describe(c), err)
	}
}

// put stores items without conditions, in as few writes as the port allows.
func put(t *testing.T, tb table.Table, partition string, puts ...table.Put) {
	t.Helper()
	for chunk := range slices.Chunk(puts, table.MaxWrite) {
		write(t, tb, partition, table.Change{Puts: chunk})
	}
}

// get returns the item under a key, and whether there is one.
func get(t *testing.T, tb table.Table, partition, sort string) (table.Item, bool) {
	t.Helper()
	items, err := tb.Get(t.Context(), table.Key{Partition: partition, Sort: sort})
	if err != nil {
		t.Fatalf("Get(%q): %v", sort, err)
	}
	if len(items) == 0 {
		return table.Item{}, false
	}
	if len(items) > 1 || items[0].Key != (table.Key{Partition: partition, Sort: sort}) {
		t.Fatalf("Get(%q): %d items, the first is %q", sort, len(items), items[0].Key)
	}
	return items[0], true
}

// query returns the items of a range.
func query(t *testing.T, tb table.Table, r table.Range) []table.Item {
	t.Helper()
	items, err := tb.Query(t.Context(), r)
	if err != nil {
		t.Fatalf("Query(%+v): %v", r, err)
	}
	return items
}

// list returns the items of a partition, which must be fewer than table.MaxQuery.
func list(t *testing.T, tb table.Table, partition string) []table.Item {
	t.Helper()
	return query(t, tb, table.Range{Partition: partition, Limit: table.MaxQuery})
}

// wantItems fails unless got equals want, in order. Empty and nil values are equal; time zones do
// not matter.
func wantItems(t *testing.T, what string, got, want []table.Item) {
	t.Helper()
	if diff := cmp.Diff(normal(want), normal(got)); diff != "" {
		t.Errorf("%s: items differ (-want +got):\n%s", what, diff)
	}
}

func normal(items []table.Item) []table.Item {
	out := make([]table.Item, len(items))
	for i, item := range items {
		if len(item.Value) == 0 {
			item.Value = nil
		}
		out[i] = item
	}
	return out
}

// byKey sorts the result of a Get.
func byKey(items []table.Item) []table.Item {
	return slices.SortedFunc(slices.Values(items), func(a, b table.Item) int {
		if c := strings.Compare(a.Partition, b.Partition); c != 0 {
			return c
		}
		return strings.Compare(a.Sort, b.Sort)
	})
}

func sorts(items []table.Item) []string {
	names := []string{}
	for _, item := range items {
		names = append(names, item.Sort)
	}
	return names
}

// describe returns a change for failure messages, without values.
func describe(c table.Change) string {
	var b strings.Builder
	for _, p := range c.Puts {
		b.WriteString(" put " + p.Sort + " if " + p.If.String())
	}
	for _, d := range c.Deletes {
		b.WriteString(" delete " + d.Sort + " if " + d.If.String())
	}
	for _, a := range c.Adds {
		b.WriteString(" add " + a.Sort)
	}
	return strings.TrimSpace(b.String())
}

func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// Package tabletest holds every table adapter to the contract of package table, in the same way, so
// that no two stores differ.
//
// The suite needs nothing but the port. It works on partitions with random names and leaves no
// order behind, so that all of it may run on one remote table, beside other users of that table.
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

// Options say what table a test wants.
type Options struct {
	// TTL is the table's time to live; zero is none.
	TTL time.Duration
	// Now is the clock that the adapter must write, and hide what is over age, by. It begins at the
	// true time and only ever gains on it, so that an engine with a true clock does not remove
	// anything before the adapter has hidden it. Nil is time.Now.
	Now func() time.Time
}

// Caps say in what an engine falls short of the port, or needs to be spared. The zero Caps spare it
// nothing.
type Caps struct {
	// TextKeys says that the engine's keys are text: keys that are not UTF-8 are left out.
	TextKeys bool
	// Slow says that a call is a round trip to another machine: the suite makes fewer of them.
	Slow bool
}

// An Opener opens a table, or fails t. Two tables of one test need not share their items, but may.
// The suite closes what it opens; what else there is to be freed is for t.Cleanup.
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

// fewer returns n, or slow where calls are dear.
func (s *suite) fewer(n, slow int) int {
	if s.caps.Slow {
		return slow
	}
	return n
}

// table opens a table that is closed when the test ends.
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

// partition returns the name of a partition that nobody else uses.
func partition() string {
	var b [12]byte
	rand.Read(b[:]) // never fails
	return "tabletest/" + hex.EncodeToString(b[:])
}

// A clock stands still until it is moved.
type clock struct {
	nanos atomic.Int64
}

// newClock returns a clock at the present, with a fraction of a millisecond, which no item may
// show.
func newClock() *clock {
	c := new(clock)
	c.nanos.Store(time.Now().Truncate(time.Millisecond).UnixNano() + 654_321)
	return c
}

// Now returns the time in a zone that is not UTC, which no item may show either.
func (c *clock) Now() time.Time {
	return time.Unix(0, c.nanos.Load()).In(time.FixedZone("UTC+8", 8*60*60))
}

func (c *clock) advance(d time.Duration) { c.nanos.Add(int64(d)) }

// written returns what Item.Written must be for a write at this moment.
func (c *clock) written() time.Time { return c.Now().UTC().Truncate(time.Millisecond) }

// write makes a change that must succeed.
func write(t *testing.T, tb table.Table, partition string, c table.Change) {
	t.Helper()
	if err := tb.Write(t.Context(), partition, c); err != nil {
		t.Fatalf("Write(%v): %v", describe(c), err)
	}
}

// put stores items without conditions, as many at a time as the port allows.
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

// list returns the items of a partition, of which there are fewer than table.MaxQuery.
func list(t *testing.T, tb table.Table, partition string) []table.Item {
	t.Helper()
	return query(t, tb, table.Range{Partition: partition, Limit: table.MaxQuery})
}

// wantItems fails unless got is want, in order. Values of no bytes are all the same, and so are the
// zones of times.
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

// byKey orders the items of a Get, which come in no order.
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

// describe returns a change as failures show it: no values.
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

// canceled returns a context that has ended.
func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

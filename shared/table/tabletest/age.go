package tabletest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"chatconf/shared/table"
)

// testAge moves the clock past the age of items. Then they must seem absent, even if the engine has
// not removed them.
func testAge(t *testing.T, s *suite) {
	const ttl = time.Hour
	now := newClock()
	tb := s.table(t, Options{TTL: ttl, Now: now.Now})
	p := partition()
	first := now.Now()
	put(t, tb, p, table.Put{Sort: "a", Value: []byte("old"), Revision: 1}, table.Put{Sort: "b", Revision: 1},
		table.Put{Sort: "c", Revision: 1}, table.Put{Sort: "d", Revision: 1})
	add(t, tb, p, "n", 5)
	add(t, tb, p, "kept", 5)
	now.advance(ttl / 2)
	put(t, tb, p, table.Put{Sort: "e", Revision: 1})
	add(t, tb, p, "kept", 5) // written again, so that its age starts here
	want := []string{"a", "b", "c", "d", "e", "kept", "n"}
	now.advance(first.Truncate(time.Millisecond).Add(ttl - time.Millisecond).Sub(now.Now()))
	if got := sorts(list(t, tb, p)); !slices.Equal(got, want) {
		t.Errorf("a millisecond before the first items expire there are %q, want %q", got, want)
	}

	now.advance(time.Millisecond)
	want = []string{"e", "kept"}
	for _, reverse := range []bool{false, true} {
		got := sorts(query(t, tb, table.Range{Partition: p, Limit: 2, Reverse: reverse}))
		if reverse {
			slices.Reverse(got)
		}
		if !slices.Equal(got, want) {
			t.Errorf("a page of 2, reverse %v, after the first items expired is %q, want %q", reverse, got, want)
		}
	}
	if item, ok := get(t, tb, p, "a"); ok {
		t.Errorf("Get of an expired item = %v, want none", item)
	}
	if item, _ := get(t, tb, p, "kept"); item.Count != 10 {
		t.Errorf("the item that was added to has count %d, want 10", item.Count)
	}

	for verb, c := range map[string]table.Change{
		"put at its revision":    {Puts: []table.Put{{Sort: "a", If: table.AtRevision(1)}}},
		"delete at its revision": {Deletes: []table.Delete{{Sort: "a", If: table.AtRevision(1)}}},
	} {
		err := tb.Write(t.Context(), p, c)
		wantCondition(t, verb+" of an expired item", err, table.Key{Partition: p, Sort: "a"}, table.AtRevision(1))
	}
	err := tb.Write(t.Context(), p, table.Change{Puts: []table.Put{{Sort: "e", If: table.Absent()}}})
	wantCondition(t, "put if absent over an item that has not expired", err, table.Key{Partition: p, Sort: "e"},
		table.Absent())

	write(t, tb, p, table.Change{
		Puts:    []table.Put{{Sort: "a", Revision: 2, If: table.Absent()}, {Sort: "b", Revision: 2}},
		Deletes: []table.Delete{{Sort: "c"}},
		Adds:    []table.Add{{Sort: "d", N: 7}, {Sort: "n", N: 7}},
	})
	written := now.written()
	item := func(sort string, revision, count int64) table.Item {
		return table.Item{Key: table.Key{Partition: p, Sort: sort}, Revision: revision, Count: count, Written: written}
	}
	wantItems(t, "writes over expired items", slices.DeleteFunc(list(t, tb, p),
		func(i table.Item) bool { return i.Sort == "e" || i.Sort == "kept" }),
		[]table.Item{item("a", 2, 0), item("b", 2, 0), item("d", 0, 7), item("n", 0, 7)})

	now.advance(ttl)
	wantItems(t, "when all have expired", list(t, tb, p), nil)
	testAgeRaces(t, s)
}

// testAgeRaces lets many goroutines race to write a ticket first, each time after it has expired.
func testAgeRaces(t *testing.T, s *suite) {
	now := newClock()
	tb := s.table(t, Options{TTL: time.Second, Now: now.Now})
	p := partition()
	for round := range s.fewer(10, 3) {
		wins := make(chan int, 8)
		race(cap(wins), func(racer int) {
			err := tb.Write(t.Context(), p,
				table.Change{Puts: []table.Put{{Sort: "ticket", Value: fmt.Append(nil, racer), If: table.Absent()}},
					Adds: []table.Add{{Sort: "n", N: 1}}})
			if err == nil {
				wins <- racer
			}
		})
		if item, _ := get(t, tb, p, "n"); len(wins) != 1 || item.Count != 1 {
			t.Errorf("round %d: %d of %d took the ticket and %d were counted, want 1", round, len(wins), cap(wins),
				item.Count)
		}
		now.advance(time.Second)
	}
}

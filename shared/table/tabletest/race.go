package tabletest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"chatconf/shared/table"
)

// testRaces lets many goroutines try writes of which only one can succeed.
func testRaces(t *testing.T, s *suite) {
	tb := s.table(t, Options{})
	racers := s.fewer(16, 6)
	for name, change := range map[string]func(racer int) table.Change{
		"put if absent": func(racer int) table.Change {
			return table.Change{Puts: []table.Put{{Sort: "absent", Value: fmt.Append(nil, racer), If: table.Absent()}},
				Adds: []table.Add{{Sort: "wins", N: 1}}}
		},
		"put at a revision": func(racer int) table.Change {
			return table.Change{Puts: []table.Put{{Sort: "there", Value: fmt.Append(nil, racer), Revision: 2,
				If: table.AtRevision(1)}}, Adds: []table.Add{{Sort: "wins", N: 1}}}
		},
		"delete at a revision": func(racer int) table.Change {
			return table.Change{Deletes: []table.Delete{{Sort: "there", If: table.AtRevision(1)}},
				Puts: []table.Put{{Sort: "winner", Value: fmt.Append(nil, racer)}},
				Adds: []table.Add{{Sort: "wins", N: 1}}}
		},
	} {
		for range s.fewer(10, 2) {
			p := partition()
			put(t, tb, p, table.Put{Sort: "there", Revision: 1})
			var winner atomic.Int64
			var wins atomic.Int64
			race(racers, func(racer int) {
				err := tb.Write(t.Context(), p, change(racer))
				var failed *table.ConditionError
				if err == nil {
					wins.Add(1)
					winner.Store(int64(racer))
				} else if !errors.As(err, &failed) {
					t.Errorf("%s, lost = %v, want a ConditionError", name, err)
				}
			})
			if wins.Load() != 1 {
				t.Errorf("%s: %d of %d won, want 1", name, wins.Load(), racers)
			}
			if item, _ := get(t, tb, p, "wins"); item.Count != 1 {
				t.Errorf("%s: %d changes were made, want 1", name, item.Count)
			}
			for _, item := range list(t, tb, p) {
				if got, want := string(item.Value), fmt.Sprint(winner.Load()); got != "" && got != want {
					t.Errorf("%s: the change is that of %s, but %s returned nil", name, got, want)
				}
			}
		}
	}
}

// race runs fn in n goroutines that start together.
func race(n int, fn func(racer int)) {
	start := make(chan struct{})
	var racers sync.WaitGroup
	for i := range n {
		racers.Go(func() {
			<-start
			fn(i)
		})
	}
	close(start)
	racers.Wait()
}

// testAdds lets many goroutines add to the same counters. Conditional writes to other items must
// not make an add fail.
func testAdds(t *testing.T, s *suite) {
	tb := s.table(t, Options{})
	p := partition()
	adders, rounds := s.fewer(8, 4), s.fewer(50, 10)
	put(t, tb, p, table.Put{Sort: "full", Value: []byte("kept"), Revision: 4})
	race(adders, func(adder int) {
		for i := range rounds {
			c := table.Change{Adds: []table.Add{{Sort: "full", N: int64(i)}, {Sort: "bare", N: -1},
				{Sort: fmt.Sprint("own", adder), N: 1}}}
			if err := tb.Write(t.Context(), p, c); err != nil {
				t.Errorf("Write(%s): %v", describe(c), err)
				return
			}
			if i%5 == 0 {
				c := table.Change{Puts: []table.Put{{Sort: "contended", If: table.Absent()}},
					Adds: []table.Add{{Sort: "bare", N: 1000}}}
				var failed *table.ConditionError
				if err := tb.Write(t.Context(), p, c); err != nil && !errors.As(err, &failed) {
					t.Errorf("Write(%s): %v", describe(c), err)
				}
			}
		}
	})
	sum := int64(adders * rounds * (rounds - 1) / 2)
	if item, _ := get(t, tb, p, "full"); item.Count != sum || string(item.Value) != "kept" || item.Revision != 4 {
		t.Errorf("the full item has count %d, value %q, revision %d, want %d, %q, 4", item.Count, item.Value,
			item.Revision, sum, "kept")
	}
	if item, _ := get(t, tb, p, "bare"); item.Count != int64(1000-adders*rounds) {
		t.Errorf("the bare item has count %d, want %d", item.Count, 1000-adders*rounds)
	}
	for adder := range adders {
		if item, _ := get(t, tb, p, fmt.Sprint("own", adder)); item.Count != int64(rounds) {
			t.Errorf("the item of adder %d has count %d, want %d", adder, item.Count, rounds)
		}
	}
}

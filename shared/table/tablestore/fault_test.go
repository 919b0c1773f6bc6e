package tablestore_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"chatconf/shared/emulator/ots"
	"chatconf/shared/emulator/ots/otstest"
	"chatconf/shared/table"
	"chatconf/shared/table/tablestore"
	"chatconf/shared/table/tabletest"

	"github.com/google/go-cmp/cmp"
)

// A fault is what happens to one request that writes.
type fault struct {
	name    string
	hook    ots.Fault                               // of the emulator
	tamper  func(*exchange) (*http.Response, error) // on the wire
	applied bool                                    // the request is carried out
	known   bool                                    // the client can tell that it was not
	final   bool                                    // and that there is no use in trying again
	batch   bool                                    // it happens to batches only
}

func busy(code string) ots.Fault { return ots.Fault{Err: &ots.Error{Code: code, Message: "injected"}} }

func lost(code string) ots.Fault {
	f := busy(code)
	f.Applied = true
	return f
}

// half has some rows of a batch not processed.
func half(code string) ots.Fault {
	return ots.Fault{Row: func(_ string, row int) *ots.Error {
		if row%2 == 0 {
			return nil
		}
		return &ots.Error{Code: code, Message: "injected"}
	}}
}

// garble answers with something else, before or after the request is carried out.
func garble(applied bool, resp func() *http.Response) func(*exchange) (*http.Response, error) {
	return func(e *exchange) (*http.Response, error) {
		if applied {
			if _, err := e.send(); err != nil {
				return nil, err
			}
		}
		if r := resp(); r != nil {
			return r, nil
		}
		return nil, errReset
	}
}

var faults = []fault{
	{name: "throttled", hook: busy("OTSServerBusy"), known: true},
	{name: "out of capacity", hook: busy("OTSNotEnoughCapacityUnit"), known: true},
	{name: "conflict", hook: busy("OTSRowOperationConflict"), known: true},
	{name: "table not ready", hook: busy("OTSTableNotReady"), known: true},
	{name: "partition moving", hook: busy("OTSPartitionUnavailable"), known: true},
	{name: "connection refused", tamper: func(*exchange) (*http.Response, error) { return nil, errRefused },
		known: true},
	{name: "half a batch not processed", hook: half("OTSServerBusy"), known: true, batch: true},
	{name: "half a batch failed", hook: half("OTSInternalServerError"), batch: true},
	{name: "timed out before", hook: busy("OTSTimeout")},
	{name: "timed out after", hook: lost("OTSTimeout"), applied: true},
	{name: "unavailable before", hook: busy("OTSServerUnavailable")},
	{name: "unavailable after", hook: lost("OTSServerUnavailable"), applied: true},
	{name: "internal error after", hook: lost("OTSInternalServerError"), applied: true},
	{name: "connection closed before", hook: ots.Fault{Drop: true}},
	{name: "connection closed after", hook: ots.Fault{Drop: true, Applied: true}, applied: true},
	{name: "connection reset before", tamper: garble(false, func() *http.Response { return nil })},
	{name: "connection reset after", tamper: garble(true, func() *http.Response { return nil }), applied: true},
	{name: "expired credentials", hook: busy("OTSAuthFailed"), known: true, final: true},
	{name: "an empty answer before", tamper: garble(false, func() *http.Response { return answer(200, "") })},
	{name: "an empty answer after", tamper: garble(true, func() *http.Response { return answer(200, "") }),
		applied: true},
	{name: "a page of HTML", tamper: garble(false,
		func() *http.Response { return answer(200, "<html>please log in</html>") })},
	{name: "a page of HTML after", tamper: garble(true,
		func() *http.Response { return answer(502, "<html>bad gateway</html>") }), applied: true},
	{name: "a refusal by a proxy", tamper: garble(false,
		func() *http.Response { return answer(407, "authenticate yourself") })},
	{name: "a redirect", tamper: garble(false, func() *http.Response {
		r := answer(307, "")
		r.Header.Set("Location", "http://elsewhere.test/")
		return r
	})},
	{name: "an answer cut short", applied: true, tamper: func(e *exchange) (*http.Response, error) {
		resp, err := e.send()
		if err != nil {
			return nil, err
		}
		resp.Body = http.MaxBytesReader(nil, resp.Body, 3)
		return resp, nil
	}},
	{name: "the answer to another request", applied: true, tamper: func(e *exchange) (*http.Response, error) {
		if _, err := e.send(); err != nil {
			return nil, err
		}
		return answer(200, "\x0a\x06\x0a\x01tables"), nil
	}},
}

// A subject is a change whose first request meets a fault.
type subject struct {
	name   string
	change table.Change
	// guarded: one of its own conditions does not hold any more once it is done, so that it cannot
	// be done twice.
	guarded bool
	// traced: it leaves its number on a row.
	traced bool
}

func subjects(ttl time.Duration) []subject {
	type change = table.Change
	revision := table.AtRevision(1)
	return []subject{
		{"put", change{Puts: []table.Put{{Sort: "a", Value: []byte("new"), Revision: 2}}}, false, true},
		{"put if absent", change{Puts: []table.Put{{Sort: "new", Value: []byte("new"), Revision: 2,
			If: table.Absent()}}}, true, true},
		{"put at a revision", change{Puts: []table.Put{{Sort: "a", Revision: 2, If: revision}}}, true, true},
		{"put at a revision that stays",
			change{Puts: []table.Put{{Sort: "a", Value: []byte("new"), Revision: 1, If: revision}}}, false, true},
		{"delete", change{Deletes: []table.Delete{{Sort: "a"}}}, false, false},
		{"delete at a revision", change{Deletes: []table.Delete{{Sort: "a", If: revision}}}, true, false},
		{"add", change{Adds: []table.Add{{Sort: "n", N: 5}}}, ttl > 0, true},
		{"add to nothing", change{Adds: []table.Add{{Sort: "new", N: 5}}}, ttl > 0, true},
		{"several with a condition", change{
			Puts: []table.Put{{Sort: "new", Revision: 1, If: table.Absent()},
				{Sort: "a", Value: []byte("new"), Revision: 1}},
			Deletes: []table.Delete{{Sort: "b"}},
			Adds:    []table.Add{{Sort: "n", N: 5}, {Sort: "o", N: 1}},
		}, true, true},
		{"several without", change{
			Puts:    []table.Put{{Sort: "a", Value: []byte("new"), Revision: 1}},
			Deletes: []table.Delete{{Sort: "b"}},
			Adds:    []table.Add{{Sort: "n", N: 5}},
		}, ttl > 0, true},
		{"deletes and an add", change{
			Deletes: []table.Delete{{Sort: "a", If: revision}, {Sort: "b", If: revision}},
			Adds:    []table.Add{{Sort: "n", N: 5}},
		}, true, true},
	}
}

// Each fault befalls the first request of each change: the change is done once or not at all, what
// the caller is told is so, and it is success wherever it can be.
func TestFaults(t *testing.T) {
	for _, ttl := range []time.Duration{0, time.Hour} {
		synctest.Test(t, func(t *testing.T) { testFaults(t, local(t), ttl, faults) })
	}
	// Those that the emulator makes of a real connection, over one.
	closed := slices.DeleteFunc(slices.Clone(faults), func(f fault) bool { return !f.hook.Drop })
	if len(closed) == 0 {
		t.Fatal("there are none")
	}
	testFaults(t, remote(t), 0, closed)
}

func testFaults(t *testing.T, s *service, ttl time.Duration, faults []fault) {
	now := time.Now()
	s.TTL, s.Now = ttl, func() time.Time { return now }
	tb := s.table(t, "items")
	for _, f := range faults {
		for _, sub := range subjects(ttl) {
			if f.batch && len(sub.change.Puts)+len(sub.change.Deletes)+len(sub.change.Adds) == 1 {
				continue
			}
			what := fmt.Sprintf("%s, of %s, ttl %v", f.name, sub.name, ttl)
			p := fmt.Sprintf("%s/%s", f.name, sub.name)
			prepare(t, tb, p)
			prepare(t, tb, p+"/twin")
			before := list(t, tb, p)
			write(t, tb, p+"/twin", sub.change)
			after := rename(list(t, tb, p+"/twin"), p)

			s.set(f, 1, isWrite)
			err := tb.Write(t.Context(), p, sub.change)
			s.set(fault{}, 0, nil)
			got := list(t, tb, p)

			succeeds, happens := true, true
			switch {
			case f.final:
				succeeds, happens = false, false
			case f.known:
			case f.applied:
				succeeds = sub.traced
			default:
				succeeds, happens = sub.guarded, sub.guarded
			}
			want := before
			if happens {
				want = after
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: the items differ (-want +got):\n%s", what, diff)
			}
			if succeeds && err != nil || !succeeds && !errors.Is(err, table.ErrUnavailable) {
				t.Errorf("%s: Write = %v, want success: %v, or else ErrUnavailable", what, err, succeeds)
			}
		}
	}
}

// set makes a fault befall the next n requests of some kind, in the emulator or on the wire.
func (s *service) set(f fault, n int, kind func(operation string) bool) {
	var seen atomic.Int64 // by the goroutines of a server
	due := func(operation string) bool { return kind(operation) && seen.Add(1) <= int64(n) }
	s.wire.set(nil)
	s.fault(nil)
	switch {
	case n == 0:
	case f.tamper != nil:
		s.wire.set(func(e *exchange) (*http.Response, error) {
			if due(e.operation) {
				return f.tamper(e)
			}
			return e.send()
		})
	default:
		s.fault(func(r ots.Request) ots.Fault {
			if due(r.Operation) {
				return f.hook
			}
			return ots.Fault{}
		})
	}
}

// prepare makes the items that the subjects work on.
func prepare(t *testing.T, tb table.Table, partition string) {
	t.Helper()
	write(t, tb, partition, table.Change{
		Puts: []table.Put{{Sort: "a", Value: []byte("old"), Revision: 1}, {Sort: "b", Revision: 1},
			{Sort: "n", Value: []byte("kept"), Revision: 3}},
	})
	write(t, tb, partition, table.Change{Adds: []table.Add{{Sort: "n", N: 100}}})
}

func write(t *testing.T, tb table.Table, partition string, c table.Change) {
	t.Helper()
	if err := tb.Write(t.Context(), partition, c); err != nil {
		t.Fatalf("Write to %q: %v", partition, err)
	}
}

func list(t *testing.T, tb table.Table, partition string) []table.Item {
	t.Helper()
	items, err := tb.Query(t.Context(), table.Range{Partition: partition, Limit: table.MaxQuery})
	if err != nil {
		t.Fatalf("Query of %q: %v", partition, err)
	}
	return items
}

func rename(items []table.Item, partition string) []table.Item {
	for i := range items {
		items[i].Partition = partition
	}
	return items
}

// Reads outlast whatever passes, and never return what is not so.
func TestFaultsOfReads(t *testing.T) {
	synctest.Test(t, testFaultsOfReads)
}

func testFaultsOfReads(t *testing.T) {
	s := local(t)
	tb := s.table(t, "items")
	prepare(t, tb, "p")
	want := list(t, tb, "p")
	var keys []table.Key
	for _, item := range want {
		keys = append(keys, item.Key)
	}
	any := func(string) bool { return true }
	for _, f := range faults {
		for _, keys := range [][]table.Key{keys[:1], keys} {
			s.set(f, 2, any)
			got, err := tb.Get(t.Context(), keys...)
			wantRead(t, f, fmt.Sprintf("Get of %d", len(keys)), got, want[:len(keys)], err)
		}
		s.set(f, 2, any)
		got, err := tb.Query(t.Context(), table.Range{Partition: "p", Limit: 10})
		wantRead(t, f, "Query", got, want, err)
	}
}

func wantRead(t *testing.T, f fault, what string, got, want []table.Item, err error) {
	t.Helper()
	if f.final {
		if !errors.Is(err, table.ErrUnavailable) {
			t.Errorf("%s, %s = %v, want ErrUnavailable", what, f.name, err)
		}
		return
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%s, %s = %v (-want +got):\n%s", what, f.name, err, diff)
	}
}

// A request that is late, because the network or the service held it back, changes nothing after
// the Write has succeeded without it, and does not make the Write fail.
func TestLateRequest(t *testing.T) {
	for name, deliverAt := range map[string]int{"before the outcome is read": 2,
		"before it is sent again": 3, "when all is over": 0} {
		t.Run(name, func(t *testing.T) {
			s := local(t)
			tb := s.table(t, "items")
			prepare(t, tb, "p")
			var late *exchange
			n := 0
			deliver := func() {
				if resp, err := late.send(); err != nil || resp.StatusCode != http.StatusOK {
					t.Errorf("the late request: %v, %v", resp, err)
				}
			}
			s.wire.set(func(e *exchange) (*http.Response, error) {
				if n++; n == 1 {
					late = e
					return nil, errReset
				}
				if n == deliverAt {
					deliver()
				}
				return e.send()
			})
			c := table.Change{Puts: []table.Put{{Sort: "new", Value: []byte("v"), Revision: 1, If: table.Absent()}},
				Adds: []table.Add{{Sort: "n", N: 5}}}
			if err := tb.Write(t.Context(), "p", c); err != nil {
				t.Errorf("Write = %v, want success", err)
			}
			if deliverAt == 0 {
				deliver()
			}
			s.wire.set(nil)
			items, err := tb.Get(t.Context(), table.Key{Partition: "p", Sort: "n"})
			if err != nil || len(items) != 1 || items[0].Count != 105 {
				t.Errorf("the counter is %v, %v, want 105", items, err)
			}
		})
	}
}

// A Write that somebody else's has overtaken while its outcome was unknown does not call that a
// failed condition.
func TestUnknownOutcomeThatSomebodyElseHides(t *testing.T) {
	s := local(t)
	tb, other := s.table(t, "items"), newTable(t, "items", s.Options)
	first := true
	s.wire.set(func(e *exchange) (*http.Response, error) {
		if !first || !isWrite(e.operation) {
			return e.send()
		}
		first = false
		if _, err := e.send(); err != nil {
			return nil, err
		}
		write(t, other, "p", table.Change{Puts: []table.Put{{Sort: "a", Revision: 2, If: table.AtRevision(1)}}})
		return nil, errReset
	})
	err := tb.Write(t.Context(), "p", table.Change{Puts: []table.Put{{Sort: "a", Revision: 1, If: table.Absent()}}})
	var failed *table.ConditionError
	if !errors.Is(err, table.ErrUnavailable) || errors.As(err, &failed) {
		t.Errorf("Write = %v, want ErrUnavailable", err)
	}
}

// The emulator loses the outcome of a Write, before or after it is done, and somebody else then
// breaks a condition of it. Whether the Write is beneath cannot be told, nor is the broken
// condition the last word on a request that may be late: it ends as ErrUnavailable, is not sent
// again, and the other's items stay.
func TestLostOutcomeWithABrokenCondition(t *testing.T) {
	type change = table.Change
	absent, first := table.Absent(), table.AtRevision(1)
	theirs := table.Item{Value: []byte("theirs"), Revision: 9}
	put := func(sort string, condition table.Condition) table.Put {
		return table.Put{Sort: sort, Value: []byte("mine"), Revision: 2, If: condition}
	}
	for name, test := range map[string]struct {
		change change
		breaks string // the item that the other puts
		reads  string // the operation that looks for the outcome
	}{
		"one put if absent":        {change{Puts: []table.Put{put("new", absent)}}, "new", "GetRow"},
		"one put at a revision":    {change{Puts: []table.Put{put("a", first)}}, "a", "GetRow"},
		"one delete at a revision": {change{Deletes: []table.Delete{{Sort: "a", If: first}}}, "a", "GetRow"},
		"several, the first breaks": {change{Puts: []table.Put{put("new", absent)},
			Deletes: []table.Delete{{Sort: "b", If: first}}}, "new", "BatchGetRow"},
		// The other write of the batch would prove it, were it done. It is a delete, which proves
		// nothing.
		"several, the last breaks": {change{Deletes: []table.Delete{{Sort: "a"}, {Sort: "b", If: first}}},
			"b", "BatchGetRow"},
		"several with an add beneath": {change{Puts: []table.Put{put("new", absent)},
			Adds: []table.Add{{Sort: "n", N: 5}}}, "new", "BatchGetRow"},
		"several, only deletes, broken": {change{Deletes: []table.Delete{{Sort: "a", If: first},
			{Sort: "b", If: first}}}, "a", "BatchGetRow"},
	} {
		for _, ttl := range []time.Duration{0, time.Hour} {
			for _, lose := range []fault{
				{name: "before", hook: busy("OTSTimeout")},
				{name: "after", hook: lost("OTSTimeout"), applied: true},
				{name: "and the connection before", hook: ots.Fault{Drop: true}},
				{name: "and the connection after", hook: ots.Fault{Drop: true, Applied: true}, applied: true},
			} {
				t.Run(fmt.Sprintf("%s, lost %s, ttl %v", name, lose.name, ttl), func(t *testing.T) {
					s := local(t)
					s.TTL = ttl
					tb, other := s.table(t, "items"), newTable(t, "items", s.Options)
					prepare(t, tb, "p")
					var writes, reads int
					s.fault(func(r ots.Request) ots.Fault {
						switch {
						case isWrite(r.Operation):
							if writes++; writes == 1 {
								return lose.hook
							}
						case writes == 1: // the first look at what became of it
							if reads++; reads == 1 {
								if r.Operation != test.reads {
									t.Errorf("the outcome is looked for by %s, want %s", r.Operation, test.reads)
								}
								write(t, other, "p", change{
									Puts: []table.Put{{Sort: test.breaks,
										Value: theirs.Value, Revision: theirs.Revision}},
									// so that its number is not on the counter either
									Adds: []table.Add{{Sort: "n", N: 100}},
								})
								writes--
							}
						}
						return ots.Fault{}
					})
					err := tb.Write(t.Context(), "p", test.change)
					s.fault(nil)
					var failed *table.ConditionError
					if !errors.Is(err, table.ErrUnavailable) || errors.As(err, &failed) {
						t.Errorf("Write = %v, want ErrUnavailable alone", err)
					}
					if writes != 1 || reads == 0 {
						t.Errorf("the Write was sent %d times and looked for %d times, want once and at least once",
							writes, reads)
					}
					count := int64(200)
					if lose.applied {
						for _, a := range test.change.Adds {
							count += a.N
						}
					}
					items, err := other.Get(t.Context(), table.Key{Partition: "p", Sort: test.breaks},
						table.Key{Partition: "p", Sort: "n"})
					if err != nil || len(items) != 2 {
						t.Fatalf("Get = %v, %v", items, err)
					}
					for _, item := range items {
						if item.Sort == "n" && item.Count != count {
							t.Errorf("the counter is at %d, want %d", item.Count, count)
						}
						if item.Sort == test.breaks && (item.Revision != theirs.Revision ||
							string(item.Value) != string(theirs.Value)) {
							t.Errorf("%q is %v, want what the other put", item.Sort, item)
						}
					}
				})
			}
		}
	}
}

// A first request is lost and its condition still holds; somebody else breaks it before the second,
// which is refused. That refusal is no proof either.
func TestRefusalAfterALostOutcome(t *testing.T) {
	for name, c := range map[string]table.Change{
		"one": {Puts: []table.Put{{Sort: "new", Revision: 1, If: table.Absent()}}},
		"several": {Puts: []table.Put{{Sort: "new", Revision: 1, If: table.Absent()}},
			Deletes: []table.Delete{{Sort: "b"}}},
	} {
		t.Run(name, func(t *testing.T) {
			s := local(t)
			tb, other := s.table(t, "items"), newTable(t, "items", s.Options)
			prepare(t, tb, "p")
			writes := 0
			s.fault(func(r ots.Request) ots.Fault {
				if !isWrite(r.Operation) {
					return ots.Fault{}
				}
				switch writes++; writes {
				case 1:
					return busy("OTSTimeout")
				case 2:
					write(t, other, "p", table.Change{Puts: []table.Put{{Sort: "new", Revision: 9}}})
				}
				return ots.Fault{}
			})
			err := tb.Write(t.Context(), "p", c)
			s.fault(nil)
			var failed *table.ConditionError
			if !errors.Is(err, table.ErrUnavailable) || errors.As(err, &failed) || writes != 3 { // two and the other's
				t.Errorf("Write = %v after %d writes, want ErrUnavailable alone after 3", err, writes)
			}
			if items := list(t, tb, "p"); len(items) != 4 || items[3].Revision != 9 {
				t.Errorf("the items are %v, want those from before, and the other's", items)
			}
		})
	}
}

// Somebody else's add, between two tries of a Write that puts and adds where items age, does not
// keep the second from it.
func TestUnknownOutcomeBesideAnAdd(t *testing.T) {
	s := local(t)
	s.TTL = time.Hour
	tb, other := s.table(t, "items"), newTable(t, "items", s.Options)
	first := true
	s.wire.set(func(e *exchange) (*http.Response, error) {
		if !first || !isWrite(e.operation) {
			return e.send()
		}
		first = false
		write(t, other, "p", table.Change{Adds: []table.Add{{Sort: "n", N: 100}}})
		return nil, errReset
	})
	write(t, tb, "p", table.Change{Puts: []table.Put{{Sort: "a", If: table.Absent()}},
		Adds: []table.Add{{Sort: "n", N: 5}}})
	if items := list(t, tb, "p"); len(items) != 2 || items[1].Count != 105 {
		t.Errorf("the items are %v, want two, and a count of 105", items)
	}
}

// TestChaos makes random changes over a wire on which any request may fail, or be late, and
// compares each with what it says.
func TestChaos(t *testing.T) {
	for _, ttl := range []time.Duration{0, time.Hour} {
		t.Run(fmt.Sprintf("ttl %v", ttl), func(t *testing.T) {
			synctest.Test(t,
				func(t *testing.T) { testChaos(t, ttl) })
		})
	}
}

func testChaos(t *testing.T, ttl time.Duration) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	s := local(t)
	s.TTL, s.Now = ttl, func() time.Time { return time.UnixMilli(1_700_000_000_000) }
	tb := s.table(t, "items")
	twin := s.table(t, "twin")
	outcomes := make(map[string]int)
	for n := range 800 {
		c := randomChange(rng)
		before := list(t, tb, "p")
		var broken *table.ConditionError
		twinErr := twin.Write(t.Context(), "p", c)
		if twinErr != nil && !errors.As(twinErr, &broken) {
			t.Fatalf("step %d: the twin: %v", n, twinErr)
		}
		after := list(t, twin, "p")

		s.wire.set(chaos(rng))
		err := tb.Write(t.Context(), "p", c)
		late(s.wire)
		s.wire.set(nil)

		got := list(t, tb, "p")
		var failed *table.ConditionError
		switch {
		case err == nil:
			outcomes["success"]++
			if twinErr != nil || !cmp.Equal(got, after) {
				t.Errorf("step %d: success, the twin: %v (-want +got):\n%s", n, twinErr, cmp.Diff(after, got))
			}
		case errors.As(err, &failed):
			outcomes["condition"]++
			if twinErr == nil || *failed != *broken || !cmp.Equal(got, before) {
				t.Errorf("step %d: %v, the twin: %v (-want +got):\n%s", n, err, twinErr, cmp.Diff(before, got))
			}
		case errors.Is(err, table.ErrUnavailable):
			outcomes["unavailable"]++
			if !cmp.Equal(got, before) && !cmp.Equal(got, after) {
				t.Errorf("step %d: %v, and the change is there in part, or twice (-before +got):\n%s",
					n, err, cmp.Diff(before, got))
			}
		default:
			t.Errorf("step %d: %v", n, err)
		}
		if t.Failed() {
			t.FailNow()
		}
		// The twin follows, so that the two begin the next step alike.
		level(t, twin, after, got)
	}
	t.Log(outcomes)
	if len(outcomes) != 3 {
		t.Errorf("outcomes were %v, want some of all three", outcomes)
	}
}

// level makes the items of the twin those that it should have.
func level(t *testing.T, twin table.Table, has, want []table.Item) {
	t.Helper()
	if cmp.Equal(has, want) {
		return
	}
	for _, item := range has {
		write(t, twin, "p", table.Change{Deletes: []table.Delete{{Sort: item.Sort}}})
	}
	for _, item := range want {
		write(t, twin, "p", table.Change{Puts: []table.Put{{Sort: item.Sort,
			Value: item.Value, Revision: item.Revision}}})
		if item.Count != 0 {
			write(t, twin, "p", table.Change{Adds: []table.Add{{Sort: item.Sort, N: item.Count}}})
		}
	}
	if got := list(t, twin, "p"); !cmp.Equal(got, want) {
		t.Fatalf("the twin did not follow:\n%s", cmp.Diff(want, got))
	}
}

func randomChange(rng *rand.Rand) table.Change {
	var c table.Change
	condition := func() table.Condition {
		switch rng.IntN(3) {
		case 0:
			return table.Absent()
		case 1:
			return table.AtRevision(rng.Int64N(2))
		default:
			return table.Condition{}
		}
	}
	for _, i := range rng.Perm(4)[:1+rng.IntN(3)] {
		sort := string(rune('a' + i))
		switch rng.IntN(6) {
		case 0, 1:
			c.Adds = append(c.Adds, table.Add{Sort: sort, N: 1 + rng.Int64N(9)})
		case 2:
			d := table.Delete{Sort: sort, If: condition()}
			if d.If.IsAbsent() {
				d.If = table.Condition{}
			}
			c.Deletes = append(c.Deletes, d)
		default:
			c.Puts = append(c.Puts, table.Put{Sort: sort, Value: fmt.Append(nil, rng.IntN(100)),
				Revision: rng.Int64N(2), If: condition()})
		}
	}
	return c
}

// chaos lets one request in three fail: not begun, not done, done and lost, or late. A late one is
// done at a later request's time, or when late is called.
func chaos(rng *rand.Rand) func(*exchange) (*http.Response, error) {
	var held []*exchange
	release := func() {
		for _, e := range held {
			e.send()
		}
		held = nil
	}
	return func(e *exchange) (*http.Response, error) {
		if e.operation == "" {
			release()
			return nil, errReset
		}
		if rng.IntN(3) == 0 {
			release()
		}
		switch rng.IntN(15) {
		case 0:
			return failure(503, "OTSServerBusy", "injected"), nil
		case 1:
			return failure(503, "OTSTimeout", "injected"), nil
		case 2:
			e.send()
			return failure(503, "OTSServerUnavailable", "injected"), nil
		case 3:
			e.send()
			return nil, errReset
		case 4:
			held = append(held, e)
			return nil, errReset
		default:
			return e.send()
		}
	}
}

// late lets the requests that chaos holds through.
func late(w *wire) {
	w.mu.Lock()
	tamper := w.tamper
	w.mu.Unlock()
	tamper(&exchange{})
}

// Many want the same tickets over a bad wire: none goes to two, and each that is gone is counted
// once.
func TestFaultyRaces(t *testing.T) {
	s := local(t)
	tb := s.table(t, "items")
	var mu sync.Mutex
	rng := rand.New(rand.NewPCG(rand.Uint64(), 0))
	s.wire.set(func(e *exchange) (*http.Response, error) {
		mu.Lock()
		dice := rng.IntN(12)
		mu.Unlock()
		switch {
		case dice == 0:
			return failure(503, "OTSTimeout", "injected"), nil
		case dice == 1:
			e.send()
			return nil, errReset
		case dice == 2:
			return failure(409, "OTSRowOperationConflict", "injected"), nil
		default:
			return e.send()
		}
	})
	const racers = 6
	var wins, taken atomic.Int64
	for round := range 30 {
		ticket := fmt.Sprint("ticket/", round)
		var won, doubtful atomic.Int64
		var wg sync.WaitGroup
		for range racers {
			wg.Go(func() {
				err := tb.Write(t.Context(), "p", table.Change{
					Puts: []table.Put{{Sort: ticket, If: table.Absent()}}, // all write the very same
					Adds: []table.Add{{Sort: "n", N: 1}},
				})
				var failed *table.ConditionError
				switch {
				case err == nil:
					won.Add(1)
				case errors.Is(err, table.ErrUnavailable):
					doubtful.Add(1)
				case !errors.As(err, &failed):
					t.Errorf("Write: %v", err)
				}
			})
		}
		wg.Wait()
		if won.Load() > 1 || won.Load()+doubtful.Load() == 0 {
			t.Errorf("%s went to %d, and to one of %d perhaps", ticket, won.Load(), doubtful.Load())
		}
		wins.Add(won.Load())
	}
	s.wire.set(nil)
	items := list(t, tb, "p")
	for _, item := range items {
		if strings.HasPrefix(item.Sort, "ticket/") {
			taken.Add(1)
		} else if item.Count != int64(len(items)-1) {
			t.Errorf("%d tickets are gone, %d were counted", len(items)-1, item.Count)
		}
	}
	if wins.Load() > taken.Load() || taken.Load() < 20 {
		t.Errorf("%d tickets are gone, %d are said to be", taken.Load(), wins.Load())
	}
}

// Clients read and write the same few items over a bad wire, on which what was given up may arrive
// later. Whatever they are told must fit one order of their calls, each done once or, where it is
// not known, at most once.
func TestLinearWithFaults(t *testing.T) {
	for range 8 {
		s := local(t)
		tb := s.table(t, "items")
		var mu sync.Mutex
		var held []*exchange
		deliver := func() {
			mu.Lock()
			late := held
			held = nil
			mu.Unlock()
			for _, e := range late {
				e.send()
			}
		}
		s.wire.set(func(e *exchange) (*http.Response, error) {
			switch rand.IntN(16) {
			case 0:
				return failure(503, "OTSServerBusy", "injected"), nil
			case 1:
				return failure(503, "OTSTimeout", "injected"), nil
			case 2:
				e.send()
				return failure(503, "OTSServerUnavailable", "injected"), nil
			case 3:
				e.send()
				return nil, errReset
			case 4, 5:
				mu.Lock()
				held = append(held, e)
				mu.Unlock()
				return nil, errReset
			case 6, 7:
				deliver()
			}
			return e.send()
		})
		tabletest.Linear(t, tb, 4, 25, tabletest.Faults{Repeats: true, Settle: func() table.Table {
			s.wire.set(nil)
			deliver()
			return tb
		}})
	}
}

// A service that is busy for ever, or does not answer at all, is unavailable after a while, or when
// the context ends.
func TestPatience(t *testing.T) {
	silent := func(*exchange) (*http.Response, error) { return nil, context.DeadlineExceeded }
	throttled := func(*exchange) (*http.Response, error) { return failure(503, "OTSServerBusy", "injected"), nil }
	for name, tamper := range map[string]func(*exchange) (*http.Response, error){"silent": silent,
		"throttled": throttled} {
		for _, deadline := range []time.Duration{0, time.Second} {
			t.Run(fmt.Sprint(name, " ", deadline), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := local(t)
					tb := s.table(t, "items")
					s.wire.set(func(e *exchange) (*http.Response, error) {
						if name == "silent" {
							<-e.ctx.Done()
						}
						return tamper(e)
					})
					ctx := t.Context()
					limit := 16 * time.Second
					if deadline > 0 {
						var cancel context.CancelFunc
						ctx, cancel = context.WithTimeout(ctx, deadline)
						defer cancel()
						limit = deadline
					}
					for verb, call := range map[string]func() error{
						"Get": func() error {
							_, err := tb.Get(ctx,
								table.Key{Partition: "p", Sort: "a"})
							return err
						},
						"Query": func() error {
							_, err := tb.Query(ctx,
								table.Range{Partition: "p", Limit: 1})
							return err
						},
						"Write": func() error {
							return tb.Write(ctx, "p",
								table.Change{Puts: []table.Put{{Sort: "a"}}})
						},
					} {
						start := time.Now()
						err := call()
						want := table.ErrUnavailable
						if ctx.Err() != nil {
							want = context.DeadlineExceeded
						}
						if !errors.Is(err, want) {
							t.Errorf("%s = %v, want %v", verb, err, want)
						}
						if took := time.Since(start); took > limit {
							t.Errorf("%s took %v, want at most %v", verb, took, limit)
						}
					}
				})
			})
		}
	}
}

// A context that ends while the service is at work ends the call, with its own error.
func TestContextEndsDuringCall(t *testing.T) {
	in := otstest.RunT(t)
	tb := open(t, in, "items", tablestore.Options{})
	for verb, call := range map[string]func(context.Context) error{
		"Get": func(ctx context.Context) error {
			_, err := tb.Get(ctx, table.Key{Partition: "p", Sort: "a"})
			return err
		},
		"Query": func(ctx context.Context) error {
			_, err := tb.Query(ctx, table.Range{Partition: "p", Limit: 1})
			return err
		},
		"Write": func(ctx context.Context) error {
			return tb.Write(ctx, "p", table.Change{Puts: []table.Put{{Sort: "a"}}})
		},
	} {
		for _, want := range []error{context.Canceled, context.DeadlineExceeded} {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			in.SetFault(func(ots.Request) ots.Fault {
				if want == context.Canceled {
					cancel()
				}
				return ots.Fault{Before: make(chan struct{})}
			})
			if err := call(ctx); !errors.Is(err, want) || errors.Is(err, table.ErrUnavailable) {
				t.Errorf("%s = %v, want %v alone", verb, err, want)
			}
			cancel()
			in.SetFault(nil)
		}
	}
}

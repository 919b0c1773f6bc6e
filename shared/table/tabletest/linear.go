package tabletest

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"chatconf/shared/table"

	"github.com/anishathalye/porcupine"
)

func testLinear(t *testing.T, s *suite) {
	tb := s.table(t, Options{})
	for range s.fewer(3, 1) {
		Linear(t, tb, 5, s.fewer(60, 20), Faults{})
	}
}

// Faults describe a table with injected faults.
type Faults struct {
	// Settle, unless nil, is called when the clients are done. It returns a table for the last
	// reads.
	Settle func() table.Table
	// Repeats means that a Write with an unknown outcome is repeated if its conditions hold. So a
	// put if absent is repeated even if it was done and another client has deleted the item since.
	// Each history then has such puts or deletes, not both.
	Repeats bool
}

// Linear records the results of clients that read and write the same few items concurrently. It
// then looks for a sequential order of all calls that gives the same results: linearizability, by
// porcupine. A Write that ends with table.ErrUnavailable was done at any time after it began, or
// never. Reads must succeed. Adapters also run it with injected faults.
func Linear(t *testing.T, tb table.Table, clients, calls int, faults Faults) {
	t.Helper()
	seed := newSeed(t)
	h := &history{table: tb, partition: partition(), start: time.Now(), items: 3, makes: true, deletes: true}
	if faults.Repeats {
		if h.makes = seed%2 == 0; h.makes {
			h.items = 8 // each is put once
		}
		h.deletes = !h.makes
	}
	race(clients, func(client int) {
		h.run(t, client, rand.New(rand.NewPCG(seed, uint64(client))), calls)
	})
	if faults.Settle != nil {
		h.table = faults.Settle()
		for i := range h.items {
			h.read(t, clients, sortOf(i))
		}
	}
	for _, calls := range bySort(h.operations) {
		switch porcupine.CheckOperationsTimeout(linearModel, calls, time.Minute) {
		case porcupine.Illegal:
			t.Errorf("a history of %d calls is not linearizable; seed %d\n%s", len(calls), seed, describeCalls(calls))
		case porcupine.Unknown:
			t.Errorf("no answer about a history of %d calls; seed %d", len(calls), seed)
		}
	}
}

// describeCalls returns a line for each call, ordered by its begin: its client, its begin and end
// in microseconds, and its result.
func describeCalls(calls []porcupine.Operation) string {
	slices.SortFunc(calls, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	var b strings.Builder
	for _, c := range calls {
		end := "     ?"
		if c.Return != math.MaxInt64 {
			end = fmt.Sprintf("%6d", c.Return/1000)
		}
		fmt.Fprintf(&b, "client %d %6d–%s %+v: %+v\n", c.ClientId, c.Call/1000, end, c.Input, c.Output)
	}
	return b.String()
}

// bySort groups the calls by item. Each item has its own history.
func bySort(calls []porcupine.Operation) map[string][]porcupine.Operation {
	out := make(map[string][]porcupine.Operation)
	for _, c := range calls {
		sort := c.Input.(input).sort
		out[sort] = append(out[sort], c)
	}
	return out
}

func sortOf(i int) string { return fmt.Sprint("item", i) }

// A register is the state of one item in the model. The zero register means no item.
type register struct {
	exists          bool
	revision, count int64
	value           string
}

type verb int

const (
	reading verb = iota
	putting
	deleting
	adding
)

// An input is one part of a call. Each item is checked by itself: the parts of a Write become
// separate calls.
type input struct {
	sort      string
	verb      verb
	condition table.Condition
	revision  int64 // the revision that it puts
	value     string
	n         int64
}

type outcome int

const (
	succeeded outcome = iota
	refused           // its condition did not hold
	unknown           // it happened, or not, or happens later
)

type output struct {
	outcome outcome
	read    register
}

// A history records the calls of clients and their results.
type history struct {
	table     table.Table
	partition string
	start     time.Time
	items     int  // number of clients that share it
	makes     bool // it contains puts if absent
	deletes   bool

	mu         sync.Mutex
	operations []porcupine.Operation
	revision   int64 // the last revision used
}

func (h *history) nextRevision() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.revision++
	return h.revision
}

// run makes n calls as one client. Their conditions use the state that the client saw last.
func (h *history) run(t *testing.T, client int, rng *rand.Rand, n int) {
	seen := make([]register, h.items)
	for range n {
		i := rng.IntN(len(seen))
		sort := sortOf(i)
		if rng.IntN(5) < 2 {
			seen[i] = h.read(t, client, sort)
			continue
		}
		parts := []input{h.part(rng, sort, seen[i])}
		if rng.IntN(3) == 0 {
			j := (i + 1) % len(seen)
			parts = append(parts, h.part(rng, sortOf(j), seen[j]))
		}
		h.write(t, client, parts)
	}
}

func (h *history) part(rng *rand.Rand, sort string, seen register) input {
	in := input{sort: sort, revision: h.nextRevision()}
	if seen.exists {
		in.condition = table.AtRevision(seen.revision)
	}
	switch dice := rng.IntN(6); {
	case dice == 0:
		in.verb, in.n, in.condition = adding, int64(1+rng.IntN(9)), table.Condition{}
	case dice == 1 && h.deletes:
		in.verb = deleting
	case dice == 2:
		in.verb, in.condition = putting, table.Condition{}
	default:
		in.verb = putting
		if !seen.exists && h.makes {
			in.condition = table.Absent()
		}
	}
	in.value = fmt.Sprint("value", in.revision)
	return in
}

func (h *history) read(t *testing.T, client int, sort string) register {
	call := time.Since(h.start)
	items, err := h.table.Get(t.Context(), table.Key{Partition: h.partition, Sort: sort})
	end := time.Since(h.start)
	if err != nil {
		t.Errorf("Get(%q): %v", sort, err)
		return register{}
	}
	var r register
	if len(items) == 1 {
		r = register{exists: true, revision: items[0].Revision, count: items[0].Count, value: string(items[0].Value)}
	}
	h.record(client, call, end, input{sort: sort}, output{read: r})
	return r
}

func (h *history) write(t *testing.T, client int, parts []input) {
	var c table.Change
	for _, in := range parts {
		switch in.verb {
		case putting:
			c.Puts = append(c.Puts, table.Put{Sort: in.sort, Value: []byte(in.value), Revision: in.revision,
				If: in.condition})
		case deleting:
			c.Deletes = append(c.Deletes, table.Delete{Sort: in.sort, If: in.condition})
		case adding:
			c.Adds = append(c.Adds, table.Add{Sort: in.sort, N: in.n})
		}
	}
	call := time.Since(h.start)
	err := h.table.Write(t.Context(), h.partition, c)
	end := time.Since(h.start)
	var failed *table.ConditionError
	for _, in := range parts {
		switch {
		case err == nil:
			h.record(client, call, end, in, output{outcome: succeeded})
		case errors.As(err, &failed):
			if failed.Key.Sort == in.sort {
				h.record(client, call, end, in, output{outcome: refused})
			}
		case errors.Is(err, table.ErrUnavailable):
			h.record(client, call, math.MaxInt64, in, output{outcome: unknown})
		default:
			t.Errorf("Write(%s): %v", describe(c), err)
		}
	}
}

func (h *history) record(client int, call, end time.Duration, in input, out output) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.operations = append(h.operations, porcupine.Operation{ClientId: client, Input: in, Call: int64(call), Output: out,
		Return: int64(end)})
}

var linearModel = (&porcupine.NondeterministicModel{
	Init: func() []any { return []any{register{}} },
	Step: func(state, in, out any) []any { return step(state.(register), in.(input), out.(output)) },
}).ToModel()

// step returns the possible states of r after a part with this outcome; none if the outcome is
// impossible.
func step(r register, in input, out output) []any {
	if in.verb == reading {
		if out.read == r {
			return []any{r}
		}
		return nil
	}
	revision, exact := in.condition.Revision()
	holds := in.condition.IsAlways() || in.condition.IsAbsent() && !r.exists || exact && r.exists &&
		r.revision == revision
	next := r
	switch in.verb {
	case putting:
		next = register{exists: true, revision: in.revision, value: in.value}
	case deleting:
		next = register{}
	case adding:
		next.exists = true
		next.count += in.n
	}
	switch {
	case out.outcome == succeeded && holds:
		return []any{next}
	case out.outcome == refused && !holds:
		return []any{r}
	case out.outcome == unknown && holds:
		return []any{r, next}
	case out.outcome == unknown:
		return []any{r}
	default:
		return nil
	}
}

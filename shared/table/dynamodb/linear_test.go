package dynamodb_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"chatconf/shared/table"
	"chatconf/shared/table/dynamodb"
	"chatconf/shared/table/dynamodb/dynamotest"

	"github.com/anishathalye/porcupine"
)

// Clients read and write the same few items at once, while every fourth request meets some fault, and what was given up may
// arrive later. Whatever they are told must fit one order of their calls, each done once or, where it is not known, at most once.
func TestLinearWithFaults(t *testing.T) {
	all := []fault{
		unconnected, throttled, conflict, brokenBefore, brokenAfter, resetBefore, resetAfter, mute, garbageAfter, halfAfter, emptyAfter, swapped,
		late, late, late, late, resetAfter, resetAfter,
	}
	for round := range 20 {
		seed := rand.Uint64()
		f := dynamotest.New()
		front := &faulty{next: f}
		front.pick = func(op string) fault {
			switch n := rand.IntN(16); {
			case n < 3:
				front.deliver()
				return none
			case n < 7:
				return all[rand.IntN(len(all))]
			default:
				return none
			}
		}
		h := &history{table: open(t, front, dynamodb.Options{}), start: time.Now()}
		var clients sync.WaitGroup
		for client := range 4 {
			clients.Go(func() { h.run(t, client, rand.New(rand.NewPCG(seed, uint64(client)))) })
		}
		clients.Wait()
		front.deliver()
		h.table = open(t, f, dynamodb.Options{})
		for i := range items { // the last word
			h.read(t, 4, sortOf(i))
		}
		switch porcupine.CheckOperationsTimeout(model, h.operations, time.Minute) {
		case porcupine.Illegal:
			t.Errorf("round %d: a history of %d calls is not linearizable", round, len(h.operations))
		case porcupine.Unknown:
			t.Errorf("round %d: no answer about a history of %d calls", round, len(h.operations))
		}
	}
}

const items = 3

func sortOf(i int) string { return fmt.Sprint("item", i) }

// A register is what the history knows of one item. The zero register is no item.
type register struct {
	exists          bool
	revision, count int64
}

// An input is one part of a call. Porcupine looks at each item by itself: the parts of a Write enter as calls of their own.
type input struct {
	sort string
	what part
	n    int64 // revision of a put, number of an add
	when table.Condition
}

type part int

const (
	reading part = iota
	putting
	deleting
	adding
)

// An output is what became of it.
type output struct {
	outcome outcome
	read    register
}

type outcome int

const (
	succeeded outcome = iota
	refused           // its condition did not hold
	unknown           // it happened or it did not, or does later
)

// A history is what clients did and were told.
type history struct {
	table table.Table
	start time.Time

	mu         sync.Mutex
	operations []porcupine.Operation
	revision   int64
}

func (h *history) run(t *testing.T, client int, rng *rand.Rand) {
	var seen [items]register
	for range 25 {
		i := rng.IntN(items)
		if rng.IntN(3) == 0 {
			seen[i] = h.read(t, client, sortOf(i))
			continue
		}
		parts := []input{h.part(rng, i, seen[i])}
		if j := (i + 1) % items; rng.IntN(2) == 0 {
			parts = append(parts, h.part(rng, j, seen[j]))
		}
		h.write(t, client, parts)
	}
}

// part aims at what the client saw last.
func (h *history) part(rng *rand.Rand, i int, seen register) input {
	in := input{sort: sortOf(i)}
	if seen.exists {
		in.when = table.AtRevision(seen.revision)
	}
	switch rng.IntN(6) {
	case 0:
		return input{sort: in.sort, what: adding, n: int64(1 + rng.IntN(9))}
	case 1:
		in.what = deleting
		return in
	case 2:
		in.when = table.Condition{}
	default:
		if !seen.exists {
			in.when = table.Absent()
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.revision++
	in.what, in.n = putting, h.revision
	return in
}

func (h *history) read(t *testing.T, client int, sort string) (r register) {
	call := time.Since(h.start)
	items, err := h.table.Get(t.Context(), table.Key{Partition: "p", Sort: sort})
	if err != nil {
		t.Errorf("Get(%q): %v", sort, err)
		return register{}
	}
	if len(items) == 1 {
		r = register{exists: true, revision: items[0].Revision, count: items[0].Count}
	}
	h.record(client, call, time.Since(h.start), input{sort: sort}, output{read: r})
	return r
}

func (h *history) write(t *testing.T, client int, parts []input) {
	var c table.Change
	for _, in := range parts {
		switch in.what {
		case putting:
			c.Puts = append(c.Puts, table.Put{Sort: in.sort, Revision: in.n, If: in.when})
		case deleting:
			c.Deletes = append(c.Deletes, table.Delete{Sort: in.sort, If: in.when})
		case adding:
			c.Adds = append(c.Adds, table.Add{Sort: in.sort, N: in.n})
		}
	}
	call := time.Since(h.start)
	err := h.table.Write(t.Context(), "p", c)
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
			t.Errorf("Write: %v", err)
		}
	}
}

func (h *history) record(client int, call, end time.Duration, in input, out output) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.operations = append(h.operations, porcupine.Operation{ClientId: client, Input: in, Call: int64(call), Output: out, Return: int64(end)})
}

var model = (&porcupine.NondeterministicModel{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		var parts [items][]porcupine.Operation
		for _, o := range history {
			for i := range items {
				if o.Input.(input).sort == sortOf(i) {
					parts[i] = append(parts[i], o)
				}
			}
		}
		return parts[:]
	},
	Init: func() []any { return []any{register{}} },
	Step: func(state, in, out any) []any { return step(state.(register), in.(input), out.(output)) },
}).ToModel()

// step returns the states that r may be in after a part with this outcome; none if it cannot have had it.
func step(r register, in input, out output) []any {
	if in.what == reading {
		if out.read == r {
			return []any{r}
		}
		return nil
	}
	revision, exact := in.when.Revision()
	holds := in.when.IsAlways() || in.when.IsAbsent() && !r.exists || exact && r.exists && r.revision == revision
	next := r
	switch in.what {
	case putting:
		next = register{exists: true, revision: in.n}
	case deleting:
		next = register{}
	case adding:
		next.exists, next.count = true, r.count+in.n
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

package tabletest

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"chatconf/shared/table"
)

// seedVariable is the environment variable for repeating a run with its seed.
const seedVariable = "TABLETEST_SEED"

func newSeed(t *testing.T) uint64 {
	seed := rand.Uint64()
	if text, ok := os.LookupEnv(seedVariable); ok {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("%s: %v", seedVariable, err)
		}
	}
	t.Logf("%s=%d", seedVariable, seed)
	return seed
}

// testRandom makes the same random calls on the table and on the model, with and without a time to
// live. The answers must be equal.
func testRandom(t *testing.T, s *suite) {
	for _, ttl := range []time.Duration{0, time.Minute} {
		t.Run(fmt.Sprintf("ttl %v", ttl), func(t *testing.T) {
			seed := newSeed(t)
			now := newClock()
			o := Options{TTL: ttl, Now: now.Now}
			w := &walk{
				rng:        rand.New(rand.NewPCG(seed, 0)),
				now:        now,
				table:      s.table(t, o),
				model:      newMemory(o),
				partitions: []string{partition(), partition()},
			}
			for range s.fewer(600, 60) {
				w.step(t)
				if t.Failed() {
					t.Fatalf("set %s=%d to see it again", seedVariable, seed)
				}
			}
		})
	}
}

// A walk is a sequence of random calls.
type walk struct {
	rng        *rand.Rand
	now        *clock
	table      table.Table
	model      *memory
	partitions []string
}

func (w *walk) step(t *testing.T) {
	switch w.rng.IntN(10) {
	case 0:
		w.now.advance(time.Duration(w.rng.IntN(20_000)) * time.Millisecond)
	case 1, 2:
		w.get(t)
	case 3, 4:
		w.query(t)
	default:
		w.write(t)
	}
}

func (w *walk) get(t *testing.T) {
	keys := make(map[table.Key]bool)
	for range w.rng.IntN(5) {
		keys[table.Key{Partition: w.partition(), Sort: w.sort()}] = true
	}
	list := slices.Collect(maps.Keys(keys))
	got, err := w.table.Get(t.Context(), list...)
	want, wantErr := w.model.Get(t.Context(), list...)
	if err != nil || wantErr != nil {
		t.Fatalf("Get(%q) = %v, want %v", list, err, wantErr)
	}
	wantItems(t, fmt.Sprintf("Get(%q)", list), byKey(got), byKey(want))
}

func (w *walk) query(t *testing.T) {
	r := table.Range{Partition: w.partition(), Limit: 1 + w.rng.IntN(12), Reverse: w.rng.IntN(2) == 0}
	if w.rng.IntN(2) == 0 {
		r.Prefix = w.sort()[:1]
	}
	if w.rng.IntN(2) == 0 {
		r.After = w.sort()
	}
	got, err := w.table.Query(t.Context(), r)
	want, wantErr := w.model.Query(t.Context(), r)
	if err != nil || wantErr != nil {
		t.Fatalf("Query(%+v) = %v, want %v", r, err, wantErr)
	}
	wantItems(t, fmt.Sprintf("Query(%+v)", r), got, want)
}

func (w *walk) write(t *testing.T) {
	p, c := w.partition(), w.change()
	err := w.table.Write(t.Context(), p, c)
	wantErr := w.model.Write(t.Context(), p, c)
	if wantErr == nil {
		if err != nil {
			t.Errorf("Write(%s) = %v, want success", describe(c), err)
		}
		return
	}
	var failed *table.ConditionError
	if !errors.As(wantErr, &failed) {
		t.Fatalf("Write(%s) = %v, and the model said %v", describe(c), err, wantErr)
	}
	wantCondition(t, "Write("+describe(c)+")", err, failed.Key, failed.If)
}

// change returns one to four parts on different keys.
func (w *walk) change() table.Change {
	var c table.Change
	seen := make(map[string]bool)
	for range 1 + w.rng.IntN(4) {
		sort := w.sort()
		if seen[sort] {
			continue
		}
		seen[sort] = true
		switch w.rng.IntN(6) {
		case 0:
			c.Adds = append(c.Adds, table.Add{Sort: sort, N: w.rng.Int64N(201) - 100})
		case 1:
			d := table.Delete{Sort: sort, If: w.condition()}
			if d.If.IsAbsent() {
				d.If = table.Condition{}
			}
			c.Deletes = append(c.Deletes, d)
		default:
			value := []byte(strings.Repeat("v", w.rng.IntN(50)))
			c.Puts = append(c.Puts, table.Put{Sort: sort, Value: value, Revision: w.rng.Int64N(3), If: w.condition()})
		}
	}
	return c
}

func (w *walk) condition() table.Condition {
	switch w.rng.IntN(4) {
	case 0:
		return table.Absent()
	case 1:
		return table.AtRevision(w.rng.Int64N(3))
	default:
		return table.Condition{}
	}
}

func (w *walk) partition() string { return w.partitions[w.rng.IntN(len(w.partitions))] }

// sort returns one of a few sort keys, so that calls meet.
func (w *walk) sort() string {
	return string([]byte{'a' + byte(w.rng.IntN(3)), '#', 'a' + byte(w.rng.IntN(4))})[:1+2*w.rng.IntN(2)]
}

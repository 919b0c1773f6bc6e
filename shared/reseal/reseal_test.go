package reseal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"chatconf/shared/invoke"
	"chatconf/shared/reseal"
	"chatconf/shared/seal"
	"chatconf/shared/table"
	"chatconf/shared/table/file"

	"github.com/google/go-cmp/cmp"
)

// ring returns a ring of obviously fake keys, the current one first.
func ring(t testing.TB, ids ...string) *seal.Ring {
	t.Helper()
	var keys []seal.Key
	for _, id := range ids {
		k := seal.Key{ID: id}
		copy(k.Secret[:], "not a real secret "+id)
		keys = append(keys, k)
	}
	r, err := seal.NewRing(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A faulty table fails one of its calls, or changes something before a write.
type faulty struct {
	*file.Table
	calls  *counter
	before func(partition string, c table.Change)
}

type counter struct {
	n, failAt int
	late      bool // the failing call takes effect
}

var errFault = fmt.Errorf("%w: injected", table.ErrUnavailable)

func (c *counter) do(call func() error) error {
	c.n++
	if c.n != c.failAt {
		return call()
	}
	if c.late {
		if err := call(); err != nil {
			return err
		}
	}
	return errFault
}

func (f *faulty) Get(ctx context.Context, keys ...table.Key) (items []table.Item, err error) {
	err = f.calls.do(func() (err error) { items, err = f.Table.Get(ctx, keys...); return err })
	return items, err
}

func (f *faulty) Query(ctx context.Context, r table.Range) (items []table.Item, err error) {
	err = f.calls.do(func() (err error) { items, err = f.Table.Query(ctx, r); return err })
	return items, err
}

func (f *faulty) Partitions(ctx context.Context, after string, n int) (found []string, err error) {
	err = f.calls.do(func() (err error) { found, err = f.Table.Partitions(ctx, after, n); return err })
	return found, err
}

func (f *faulty) Write(ctx context.Context, partition string, c table.Change) error {
	if f.before != nil {
		f.before(partition, c)
	}
	return f.calls.do(func() error { return f.Table.Write(ctx, partition, c) })
}

// A world has sealed items in two tables.
type world struct {
	t      testing.TB
	main   *faulty // its items are in many partitions, under the prefixes a# and b#
	single *faulty // its items are in one
	texts  map[table.Key]string
}

const single = "keys"

func newWorld(t testing.TB) *world {
	t.Helper()
	db, err := file.Open(filepath.Join(t.TempDir(), "test.db"), file.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	calls := new(counter)
	w := &world{t: t, texts: make(map[table.Key]string)}
	w.main = &faulty{Table: db.Table("main", file.TableOptions{}), calls: calls}
	w.single = &faulty{Table: db.Table("single", file.TableOptions{}), calls: calls}
	return w
}

func placeOf(k table.Key) seal.Place { return seal.Place{Account: k.Partition, Name: k.Sort} }

// put stores an item at revision 7.
func (w *world) put(t *faulty, r *seal.Ring, k table.Key, text string) {
	w.t.Helper()
	w.write(t, k.Partition, w.sealed(r, k, text))
}

func (w *world) sealed(r *seal.Ring, k table.Key, text string) table.Put {
	w.t.Helper()
	sealed, err := r.Seal(placeOf(k), []byte(text))
	if err != nil {
		w.t.Fatal(err)
	}
	w.texts[k] = text
	return table.Put{Sort: k.Sort, Value: sealed, Revision: 7}
}

func (w *world) write(t *faulty, partition string, puts ...table.Put) {
	w.t.Helper()
	for some := range slices.Chunk(puts, table.MaxWrite) {
		if err := t.Table.Write(w.t.Context(), partition, table.Change{Puts: some}); err != nil {
			w.t.Fatal(err)
		}
	}
}

// fill stores items in three partitions and in the single one, and others that are not sealed.
func (w *world) fill(r *seal.Ring, each int) {
	for _, p := range []string{"1/eu", "1/us", "2/eu"} {
		puts := []table.Put{{Sort: "c#", Value: []byte("not sealed")}}
		for i := range each {
			k := table.Key{Partition: p, Sort: fmt.Sprintf("a#%03d", i)}
			puts = append(puts, w.sealed(r, k, fmt.Sprint("a", p, i)))
		}
		puts = append(puts, w.sealed(r, table.Key{Partition: p, Sort: "b#"}, "b"+p))
		w.write(w.main, p, puts...)
	}
	w.put(w.single, r, table.Key{Partition: single, Sort: "k"}, "k")
}

func (w *world) resealer(r *seal.Ring) *reseal.Resealer {
	each := func(item table.Item, again reseal.Again) ([]byte, error) {
		if string(item.Value) == "newer" {
			return nil, errors.New("a newer version wrote it")
		}
		return again(placeOf(item.Key), item.Value)
	}
	return reseal.New(r, w.main, func() time.Time { return time.Unix(1e9, 0) },
		reseal.Area{Name: "main", Table: w.main, Prefixes: []string{"a#", "b#"}, Reseal: each},
		reseal.Area{Name: "single", Table: w.single, Partition: single, Prefixes: []string{"k"}, Reseal: each})
}

// step makes steps until the walk is done.
func (w *world) walk(r *reseal.Resealer, restart bool) *reseal.Progress {
	w.t.Helper()
	for range 1000 {
		p, err := r.Step(w.t.Context(), restart)
		if err != nil {
			w.t.Fatal(err)
		}
		if p.Done {
			return p
		}
		restart = false
	}
	w.t.Fatal("the walk does not end")
	return nil
}

// wantTexts wants that every item opens with the ring, at revision 7, and has its text.
func (w *world) wantTexts(r *seal.Ring) {
	w.t.Helper()
	for k, text := range w.texts {
		from := w.main
		if k.Partition == single {
			from = w.single
		}
		items, err := from.Table.Get(w.t.Context(), k)
		if err != nil || len(items) != 1 {
			w.t.Fatalf("%q: %d items, %v", k, len(items), err)
		}
		got, err := r.Open(placeOf(k), items[0].Value)
		if err != nil || string(got) != text || items[0].Revision != 7 {
			w.t.Errorf("%q = %q at revision %d, %v, want %q at 7", k, got, items[0].Revision, err, text)
		}
	}
}

func TestAWalkSealsEverythingAgain(t *testing.T) {
	w := newWorld(t)
	w.fill(ring(t, "old"), 250)
	w.put(w.main, ring(t, "new"), table.Key{Partition: "1/eu", Sort: "a#current"}, "x")
	r := w.resealer(ring(t, "new", "old"))
	got := w.walk(r, false)
	want := &reseal.Progress{Key: "new", Seen: 3*251 + 2, Resealed: 3*251 + 1, Done: true,
		Uses: map[string]int64{"new": 3*251 + 2}, Started: time.Unix(1e9, 0).UTC()}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the progress (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]reseal.KeyUse{{"new", 3*251 + 2}, {"old", 0}}, got.Keys(r.Ring())); diff != "" {
		t.Errorf("the keys (-want +got):\n%s", diff)
	}
	w.wantTexts(ring(t, "new"))

	// A second walk changes nothing.
	w.main.before = func(partition string, c table.Change) {
		if partition != "service" {
			t.Errorf("the second walk writes to %q", partition)
		}
	}
	if got := w.walk(r, false); got.Seen != want.Seen || got.Resealed != 0 || !got.Done {
		t.Errorf("the second walk = %+v", got)
	}
}

func TestAWalkOfNothingIsDone(t *testing.T) {
	w := newWorld(t)
	got := w.walk(w.resealer(ring(t, "new", "old")), false)
	if got.Seen != 0 || !got.Done {
		t.Errorf("the walk = %+v", got)
	}
}

// Every call of the tables fails once, before or after it took effect, and the process ends with
// it. Another process continues.
func TestACrashAtEveryCallLosesNothing(t *testing.T) {
	for _, late := range []bool{false, true} {
		for at := 1; ; at++ {
			w := newWorld(t)
			w.fill(ring(t, "old"), 3)
			w.main.calls.failAt, w.main.calls.late = at, late
			_, err := w.resealer(ring(t, "new", "old")).Step(t.Context(), false)
			w.wantTexts(ring(t, "old", "new"))
			if err == nil {
				if w.main.calls.n >= at || at < 20 {
					t.Fatalf("a failure of call %d, late %v, is not returned", at, late)
				}
				break
			}
			if !errors.Is(err, table.ErrUnavailable) {
				t.Errorf("call %d: error = %v, want that of the table", at, err)
			}
			w.main.calls.failAt = 0
			got := w.walk(w.resealer(ring(t, "new", "old")), false)
			if want := int64(3*4 + 1); got.Seen != want || got.Uses["new"] != want || got.Uses["old"] != 0 {
				t.Errorf("call %d, late %v: the walk after it = %+v", at, late, got)
			}
			w.wantTexts(ring(t, "new"))
		}
	}
}

// A large walk takes several steps; a process continues where another one ended.
func TestStepsAreBoundedAndResumable(t *testing.T) {
	w := newWorld(t)
	var puts []table.Put
	for i := range 5000 {
		puts = append(puts, w.sealed(ring(t, "old"), table.Key{Partition: "1/eu", Sort: fmt.Sprintf("a#%04d", i)}, "x"))
	}
	w.write(w.main, "1/eu", puts...)
	var seen []int64
	for {
		p, err := w.resealer(ring(t, "new", "old")).Step(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		if seen = append(seen, p.Seen); p.Done {
			break
		}
	}
	if diff := cmp.Diff([]int64{2000, 4000, 5000}, seen); diff != "" {
		t.Errorf("seen after each step (-want +got):\n%s", diff)
	}
	w.wantTexts(ring(t, "new"))

	// With little time left, a step is one page.
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	p, err := w.resealer(ring(t, "new", "old")).Step(ctx, false)
	if err != nil || p.Done || p.Seen > 100 {
		t.Errorf("a step with a second left = %+v, %v", p, err)
	}
	// Restart forgets that.
	if p, err := w.resealer(ring(t, "new", "old")).Step(t.Context(), true); err != nil || p.Seen != 2000 {
		t.Errorf("a restart = %+v, %v", p, err)
	}
	// So does another current key.
	if p, err := w.resealer(ring(t, "newer", "new")).Step(t.Context(), false); err != nil || p.Seen != 2000 ||
		p.Key != "newer" {
		t.Errorf("a step of another key = %+v, %v", p, err)
	}
}

// Another writer changes items of a page, or deletes them, right before it is written.
func TestAPageInConflictIsWrittenItemByItem(t *testing.T) {
	w := newWorld(t)
	old, both := ring(t, "old"), ring(t, "new", "old")
	w.fill(old, 5)
	once := sync.OnceFunc(func() {
		changed, gone := table.Key{Partition: "1/eu", Sort: "a#001"}, table.Key{Partition: "1/eu", Sort: "a#002"}
		sealed, err := both.Seal(placeOf(changed), []byte("changed"))
		if err != nil {
			t.Fatal(err)
		}
		err = w.main.Table.Write(t.Context(), "1/eu", table.Change{
			Puts:    []table.Put{{Sort: changed.Sort, Value: sealed, Revision: 8}},
			Deletes: []table.Delete{{Sort: gone.Sort}}})
		if err != nil {
			t.Fatal(err)
		}
		delete(w.texts, gone)
		delete(w.texts, changed)
	})
	w.main.before = func(partition string, c table.Change) {
		if partition == "1/eu" && c.Puts[0].Sort == "a#000" && len(c.Puts) > 1 {
			once()
		}
	}
	got := w.walk(w.resealer(both), false)
	if got.Seen != 3*6 || got.Uses["new"] != 3*6 || got.Uses["old"] != 0 {
		t.Errorf("the walk = %+v", got)
	}
	w.wantTexts(ring(t, "new"))
	items, err := w.main.Table.Get(t.Context(), table.Key{Partition: "1/eu", Sort: "a#001"})
	if err != nil || len(items) != 1 || items[0].Revision != 8 {
		t.Fatalf("the changed item: %v, %v", items, err)
	}
	if text, err := both.Open(placeOf(items[0].Key), items[0].Value); err != nil || string(text) != "changed" {
		t.Errorf("the change of the other writer is lost: %q, %v", text, err)
	}
}

// An item that changes all the time ends the step with an error, and not never.
func TestAnItemThatKeepsChanging(t *testing.T) {
	w := newWorld(t)
	old := ring(t, "old")
	k := table.Key{Partition: "1/eu", Sort: "a#"}
	w.put(w.main, old, k, "x")
	revision := int64(8)
	w.main.before = func(partition string, _ table.Change) {
		if partition != k.Partition {
			return
		}
		sealed, err := old.Seal(placeOf(k), []byte("x"))
		if err != nil {
			t.Fatal(err)
		}
		w.write(w.main, k.Partition, table.Put{Sort: k.Sort, Value: sealed, Revision: revision})
		revision++
	}
	_, err := w.resealer(ring(t, "new", "old")).Step(t.Context(), false)
	if err == nil || !strings.Contains(err.Error(), "another current key") {
		t.Errorf("error = %v, want one that asks for a process with another ring", err)
	}
}

func TestWhatCannotBeReadStaysAndIsCounted(t *testing.T) {
	w := newWorld(t)
	w.fill(ring(t, "old"), 2)
	lost, moved := table.Key{Partition: "3/eu", Sort: "a#lost"}, table.Key{Partition: "3/eu", Sort: "a#moved"}
	w.put(w.main, ring(t, "gone"), lost, "x")
	elsewhere, err := ring(t, "old").Seal(placeOf(lost), []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	for sort, value := range map[string][]byte{moved.Sort: elsewhere, "a#newer": []byte("newer"), "a#none": {}} {
		w.write(w.main, "3/eu", table.Put{Sort: sort, Value: value})
	}
	before, err := w.main.Table.Query(t.Context(), table.Range{Partition: "3/eu", Limit: 10})
	if err != nil || len(before) != 4 {
		t.Fatalf("%d items, %v", len(before), err)
	}
	var log bytes.Buffer
	r := w.resealer(ring(t, "new", "old"))
	ctx := invoke.With(t.Context(), &invoke.Invocation{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	got, err := r.Step(ctx, false)
	if err != nil || !got.Done || got.Unreadable != 3 || got.Seen != 3*3+1+4 {
		t.Errorf("the walk = %+v, %v, want 3 unreadable items", got, err)
	}
	if want := map[string]int64{"new": 3*3 + 1, "gone": 1}; !maps.Equal(got.Uses, want) {
		t.Errorf("uses = %v, want %v", got.Uses, want)
	}
	want := []reseal.KeyUse{{"new", 10}, {"old", 0}, {"gone", 1}}
	if diff := cmp.Diff(want, got.Keys(r.Ring())); diff != "" {
		t.Errorf("the keys (-want +got):\n%s", diff)
	}
	for _, sort := range []string{moved.Sort, "a#newer", "a#none"} {
		if !strings.Contains(log.String(), sort) {
			t.Errorf("the log does not name %s:\n%s", sort, &log)
		}
	}
	after, err := w.main.Table.Query(t.Context(), table.Range{Partition: "3/eu", Limit: 10})
	if diff := cmp.Diff(before, after); diff != "" || err != nil {
		t.Errorf("unreadable items changed (%v, -want +got):\n%s", err, diff)
	}
}

func TestOfTwoStepsAtTheSameTimeOneCounts(t *testing.T) {
	w := newWorld(t)
	w.fill(ring(t, "old"), 5)
	both := ring(t, "new", "old")
	var inner *reseal.Progress
	w.main.before = func(partition string, _ table.Change) {
		if partition == "service" {
			w.main.before = nil
			inner = w.walk(w.resealer(both), false)
		}
	}
	outer, err := w.resealer(both).Step(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(inner, outer); diff != "" || outer.Seen != 3*6+1 {
		t.Errorf("two steps at once differ (-inner +outer):\n%s", diff)
	}
}

// A progress that cannot be understood is replaced.
func TestProgressOfAnotherVersion(t *testing.T) {
	for _, text := range []string{"", "[]", `{"key":"new","area":9}`, `{"key":"new","area":-1}`,
		`{"key":"new","area":0,"prefix":2}`} {
		w := newWorld(t)
		w.fill(ring(t, "old"), 2)
		w.write(w.main, "service", table.Put{Sort: "reseal", Value: []byte(text), Revision: 3})
		if got := w.walk(w.resealer(ring(t, "new", "old")), false); got.Seen != 3*3+1 {
			t.Errorf("after the progress %q, the walk = %+v", text, got)
		}
	}
}

func TestATableThatDoesNotListPartitions(t *testing.T) {
	w := newWorld(t)
	w.fill(ring(t, "old"), 1)
	r := reseal.New(ring(t, "new", "old"), w.main, nil, reseal.Area{Name: "hidden",
		Table: struct{ table.Table }{w.main}, Prefixes: []string{"a#"}})
	if _, err := r.Step(t.Context(), false); err == nil || !strings.Contains(err.Error(), "does not list") {
		t.Errorf("error = %v, want one about partitions", err)
	}
}

func TestReplaceKeepsWhatItDoesNotKnow(t *testing.T) {
	got, err := reseal.Replace([]byte(`{"v":1,"secrets":{"a":"b"},"later":{"z":[1.50,"<&>"]}}`), "secrets",
		map[string]string{"a": "c"})
	if want := `{"later":{"z":[1.50,"<&>"]},"secrets":{"a":"c"},"v":1}`; err != nil || string(got) != want {
		t.Errorf("Replace = %s, %v, want %s", got, err, want)
	}
	if _, err := reseal.Replace([]byte("[]"), "a", 1); err == nil {
		t.Error("Replace in an array: no error")
	}
}

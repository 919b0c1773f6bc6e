package announce_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"chatconf/shared/announce"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/command"
	"chatconf/shared/table"
	"chatconf/shared/table/file"
)

const lease = 90 * time.Second

// A post is an outbox on a real file, with a clock under the test's hand.
type post struct {
	*announce.Outbox
	t   *testing.T
	spy *chattest.Spy
	now time.Time
}

func newPost(t *testing.T) *post {
	t.Helper()
	p := &post{t: t, spy: chattest.NewSpy(t), now: time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)}
	p.Outbox = p.another()
	return p
}

// another returns the outbox of another process on the same table.
func (p *post) another() *announce.Outbox {
	return announce.New(p.spy, func() time.Time { return p.now })
}

func refOf(account, name string) command.Ref {
	return command.Ref{Account: account, Region: "cn-hangzhou", Name: name}
}

func eventOf(name string, revision int64) []byte {
	return fmt.Appendf(nil, `{"n":"%s %d"}`, name, revision)
}

// put writes events of revisions of a name.
func (p *post) put(account, name string, revisions ...int64) {
	p.t.Helper()
	for _, n := range revisions {
		of := refOf(account, name)
		of.Life = "life"
		put, err := announce.Put(of, n, p.now, eventOf(name, n))
		if err == nil {
			err = p.Write(p.t.Context(), account+"/cn-hangzhou", table.Change{Puts: []table.Put{put}})
		}
		if err != nil {
			p.t.Fatal(err)
		}
	}
}

func (p *post) claim(name string) *announce.Event {
	p.t.Helper()
	e, err := p.Claim(p.t.Context(), refOf("1", name), lease)
	if err != nil {
		p.t.Fatalf("Claim(%q): %v", name, err)
	}
	return e
}

func (p *post) nothing(name string) {
	p.t.Helper()
	if e, err := p.Claim(p.t.Context(), refOf("1", name), lease); !errors.Is(err, announce.ErrNothing) {
		p.t.Errorf("Claim(%q) = %+v, %v, want nothing", name, e, err)
	}
}

// due returns the names that are due, in their order, and what cannot be read.
func (p *post) due(n int) (names, unreadable []string) {
	p.t.Helper()
	refs, err := p.Due(p.t.Context(), n, func(err error) { unreadable = append(unreadable, err.Error()) })
	if err != nil {
		p.t.Fatal(err)
	}
	for _, of := range refs {
		names = append(names, of.Account+" "+of.Name)
	}
	slices.Sort(names)
	return names, unreadable
}

func TestTheEventsOfANameComeInOrder(t *testing.T) {
	p := newPost(t)
	p.put("1", "ops", 9, 10, 11)
	p.put("1", "ops-2", 1)
	for _, revision := range []int64{9, 10, 11} {
		e := p.claim("ops")
		want := refOf("1", "ops")
		want.Life, want.ID = "life", fmt.Sprintf("1/cn-hangzhou/ops/%d", revision)
		if e.Ref != want || string(e.Body) != string(eventOf("ops", revision)) || !e.Date.Equal(p.now) ||
			e.Attempts != 1 {
			t.Errorf("claimed is %+v with %s", e, e.Body)
		}
		p.nothing("ops") // the others wait
		if err := p.Remove(t.Context(), e); err != nil {
			t.Error(err)
		}
	}
	p.nothing("ops")
	if names, _ := p.due(10); !slices.Equal(names, []string{"1 ops-2"}) {
		t.Errorf("due = %q", names)
	}
}

// A process that crashes loses nothing: the event is due again after its lease. A process that is
// too late changes nothing.
func TestALeaseEnds(t *testing.T) {
	p := newPost(t)
	p.put("1", "ops", 1, 2)
	first := p.claim("ops")
	if names, _ := p.due(10); len(names) != 0 {
		t.Errorf("during the lease, due = %q", names)
	}
	p.now = p.now.Add(lease)
	if names, _ := p.due(10); !slices.Equal(names, []string{"1 ops"}) {
		t.Errorf("after the lease, due = %q", names)
	}
	second := p.claim("ops")
	if second.ID != first.ID || second.Attempts != 2 {
		t.Errorf("claimed again is %+v", second)
	}
	for what, err := range map[string]error{
		"Remove": p.Remove(t.Context(), first),
		"PutOff": p.PutOff(t.Context(), first, p.now),
	} {
		if !errors.Is(err, announce.ErrNothing) {
			t.Errorf("%s of a lost lease = %v", what, err)
		}
	}
	if err := p.Remove(t.Context(), second); err != nil {
		t.Error(err)
	}
	if e := p.claim("ops"); e.ID != "1/cn-hangzhou/ops/2" {
		t.Errorf("the next is %+v", e)
	}
}

func TestAnEventIsPutOff(t *testing.T) {
	p := newPost(t)
	p.put("1", "ops", 1, 2)
	e := p.claim("ops")
	if err := p.PutOff(t.Context(), e, p.now.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	p.nothing("ops")
	p.now = p.now.Add(time.Minute - time.Millisecond)
	p.nothing("ops")
	p.now = p.now.Add(time.Millisecond)
	again := p.claim("ops")
	if again.ID != e.ID || again.Attempts != 2 || string(again.Body) != string(e.Body) || again.Life != "life" ||
		!again.Date.Equal(e.Date) {
		t.Errorf("again = %+v, first = %+v", again, e)
	}
}

// One name with many events does not hide others, and neither do other partitions.
func TestDueFindsEveryName(t *testing.T) {
	p := newPost(t)
	for n := range int64(250) {
		p.put("1", "busy", n+1)
	}
	for i := range 120 {
		p.put("1", fmt.Sprintf("c%03d", i), 1, 2)
	}
	p.put("2", "busy", 1)
	names, unreadable := p.due(1000)
	if len(names) != 1+120+1 || len(unreadable) != 0 || !slices.Contains(names, "2 busy") ||
		!slices.Contains(names, "1 busy") || !slices.Contains(names, "1 c119") || len(slices.Compact(names)) != 122 {
		t.Errorf("due = %d names %q, unreadable %q", len(names), names, unreadable)
	}
	if names, _ := p.due(5); len(names) != 5 {
		t.Errorf("due of at most 5 = %q", names)
	}
}

// What cannot be read delays its own name only, however much of it there is.
func TestAnItemThatCannotBeRead(t *testing.T) {
	p := newPost(t)
	p.put("1", "one", 1)
	p.put("1", "zoe", 1)
	var puts []table.Put
	for i := range 99 {
		puts = append(puts, table.Put{Sort: fmt.Sprintf("e#two%%ZZ#%d", i)})
	}
	tamper := func(puts ...table.Put) {
		if err := p.spy.Table.Write(t.Context(), "1/cn-hangzhou", table.Change{Puts: puts}); err != nil {
			t.Fatal(err)
		}
	}
	tamper(puts...)
	tamper(table.Put{Sort: "e#three#0000000001", Value: []byte("planted")},
		table.Put{Sort: "e#four#0000000001", Value: []byte(`{"v":2}`)},
		table.Put{Sort: "e#five#1", Value: []byte(`{"v":1}`)})
	names, unreadable := p.due(10)
	if !slices.Equal(names, []string{"1 one", "1 zoe"}) || len(unreadable) != 99+3 {
		t.Errorf("due = %q, %d unreadable", names, len(unreadable))
	}
	for _, name := range []string{"three", "four", "five"} {
		if e, err := p.Claim(t.Context(), refOf("1", name), lease); err == nil || errors.Is(err, announce.ErrNothing) {
			t.Errorf("Claim(%q) = %+v, %v", name, e, err)
		}
	}
	for key, want := range map[string]bool{"e#one#0000000001": true, "e#three#0000000001": false,
		"e#four#0000000001": false, "e#five#1": false, "e#two%ZZ#3": false} {
		items, err := p.spy.Table.Get(t.Context(), table.Key{Partition: "1/cn-hangzhou", Sort: key})
		if err != nil || len(items) != 1 {
			t.Fatalf("item %q: %v, %v", key, items, err)
		}
		if err := announce.Check(items[0]); (err == nil) != want {
			t.Errorf("Check(%q) = %v", key, err)
		}
	}
}

// A partition is listed once, and before anything is written to it.
func TestThePartitionIsListedFirst(t *testing.T) {
	p := newPost(t)
	put, err := announce.Put(refOf("1", "ops"), 1, p.now, eventOf("ops", 1))
	if err != nil {
		t.Fatal(err)
	}
	change := table.Change{Puts: []table.Put{{Sort: "c#ops"}, put}}
	p.spy.Fail("Write", 1, table.ErrUnavailable)
	if err := p.Write(t.Context(), "1/cn-hangzhou", change); !errors.Is(err, table.ErrUnavailable) {
		t.Errorf("Write when the list cannot be written = %v", err)
	}
	p.spy.Reset()
	if err := p.Write(t.Context(), "1/cn-hangzhou", table.Change{Puts: []table.Put{{Sort: "c#other"}}}); err != nil {
		t.Error(err)
	}
	if got := p.spy.Took(); got != "Write" {
		t.Errorf("a change without an event made the calls %q", got)
	}
	if err := p.Write(t.Context(), "1/cn-hangzhou", change); err != nil {
		t.Error(err)
	}
	if got := p.spy.Took(); got != "Write Write" {
		t.Errorf("the first event made the calls %q", got)
	}
	p.put("1", "ops", 2)
	if got := p.spy.Took(); got != "Write" {
		t.Errorf("the second event made the calls %q", got)
	}
	if names, _ := p.due(10); !slices.Equal(names, []string{"1 ops"}) {
		t.Errorf("due = %q", names)
	}
}

// The watcher learns of each written event, and of none that was not written.
func TestAWriteTellsTheWatcher(t *testing.T) {
	p := newPost(t)
	var seen []string
	p.Watch(func(of command.Ref) { seen = append(seen, of.Account+" "+of.Region+" "+of.Name) })
	p.put("1", "ops", 1)
	put, err := announce.Put(refOf("1", "ops"), 1, p.now, eventOf("ops", 1))
	if err != nil {
		t.Fatal(err)
	}
	err = p.Write(t.Context(), "1/cn-hangzhou", table.Change{Puts: []table.Put{put}})
	var broken *table.ConditionError
	if !errors.As(err, &broken) {
		t.Errorf("a second event of a revision: %v", err)
	}
	p.Watch(nil)
	p.put("1", "ops", 2)
	if want := []string{"1 cn-hangzhou ops"}; !slices.Equal(seen, want) {
		t.Errorf("seen = %q, want %q", seen, want)
	}
}

func TestAnEventThatIsTooLongIsRefused(t *testing.T) {
	long := []byte(`"` + strings.Repeat("x", announce.MaxEvent) + `"`)
	for what, event := range map[string][]byte{"too long": long, "not JSON": []byte("planted{")} {
		if _, err := announce.Put(refOf("1", "ops"), 1, time.Now(), event); err == nil ||
			strings.Contains(err.Error(), "planted") {
			t.Errorf("Put of an event that is %s: %v", what, err)
		}
	}
}

// Whatever call of the table fails, no event is lost or overtakes another.
func TestEveryCallOfTheTableMayFail(t *testing.T) {
	deliver := func(ctx context.Context, o *announce.Outbox, now time.Time, seen *[]string) error {
		due, err := o.Due(ctx, 10, func(err error) { t.Error(err) })
		for err == nil && len(due) > 0 {
			var e *announce.Event
			if e, err = o.Claim(ctx, due[0], lease); errors.Is(err, announce.ErrNothing) {
				return nil
			}
			if err != nil {
				return err
			}
			if e.Attempts == 1 && strings.HasSuffix(e.ID, "/2") {
				err = o.PutOff(ctx, e, now)
				continue
			}
			*seen = append(*seen, e.ID)
			err = o.Remove(ctx, e)
		}
		return err
	}
	for about, f := range chattest.Faults {
		for n := 1; ; n++ {
			p := newPost(t)
			p.put("1", "ops", 1, 2, 3)
			var seen []string
			ctx, calls := p.spy.FailAt(t.Context(), n, f)
			err := deliver(ctx, p.Outbox, p.now, &seen)
			made := calls()
			p.spy.Reset()
			if made < n {
				if err != nil || n < 10 {
					t.Errorf("after %d calls: %v", made, err)
				}
				break
			}
			if !errors.Is(err, f.Err) {
				t.Errorf("when %s at call %d: %v", about, n, err)
			}
			p.now = p.now.Add(lease) // the process crashed, and another one continues
			if err := deliver(t.Context(), p.another(), p.now, &seen); err != nil {
				t.Errorf("when %s at call %d, afterwards: %v", about, n, err)
			}
			want := []string{"1/cn-hangzhou/ops/1", "1/cn-hangzhou/ops/2", "1/cn-hangzhou/ops/3"}
			if !slices.IsSorted(seen) || !slices.Equal(slices.Compact(seen), want) {
				t.Errorf("when %s at call %d: delivered %q", about, n, seen)
			}
		}
	}
}

// Events of a damaged list of partitions are an error and not skipped.
func TestAPartitionThatIsNone(t *testing.T) {
	db, err := file.Open(filepath.Join(t.TempDir(), "table.db"), file.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tb := db.Table("configurations", file.TableOptions{})
	err = tb.Write(t.Context(), announce.Partitions, table.Change{Puts: []table.Put{{Sort: "nowhere"}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := announce.New(tb, nil).Due(t.Context(), 1, func(error) {}); err == nil ||
		!strings.Contains(err.Error(), "nowhere") {
		t.Errorf("Due = %v", err)
	}
}

package stream_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/invoke"
	"chatconf/shared/journal"
	"chatconf/shared/platform/callback"
	"chatconf/shared/stream"
	"chatconf/shared/table"
)

// A process is one of several on one table. It is the Dialer of its connections, which tells them
// apart, and its own connection to the table.
type process struct {
	table.Table
	*world
	name       string
	supervisor *stream.Supervisor

	mu    sync.Mutex
	cut   bool                 // the table does not answer
	dead  bool                 // the process was killed
	lie   bool                 // writes happen and fail
	skew  time.Duration        // of its wall clock
	delay func() time.Duration // of each call
}

// Dial implements callback.Dialer.
func (*process) Dial(context.Context, callback.Dial) (callback.Socket, error) {
	return nil, errors.New("not used")
}

// process starts one.
func (w *world) process(name string, t table.Table, delay func() time.Duration,
	change ...func(*stream.Options)) *process {
	p := &process{Table: t, world: w, name: name, delay: delay}
	p.supervisor = w.start(func(o *stream.Options) {
		o.Dialer = p
		o.Leases = stream.NewLeases(p, name)
		o.Now = func() time.Time {
			p.mu.Lock()
			defer p.mu.Unlock()
			return time.Now().Add(p.skew)
		}
		for _, c := range change {
			c(o)
		}
	})
	return p
}

func (p *process) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

// kill ends a process without a farewell.
func (p *process) kill() {
	p.set(func() { p.dead = true })
	var names []string
	p.world.do(func() { names = slices.Collect(maps.Keys(p.world.conns)) })
	for _, name := range names {
		for _, c := range p.world.open(name) {
			if c.process == p {
				c.Close()
			}
		}
	}
}

// mayOpen fails the test if another process has a connection of the bot.
func (p *process) mayOpen(bot string) error {
	p.mu.Lock()
	dead := p.dead
	p.mu.Unlock()
	if dead {
		return errors.New("the process is dead")
	}
	for _, c := range p.world.open(bot) {
		if c.process != p {
			p.Errorf("%v: %s opens a connection of %s while %s has one", time.Now(), p.name, bot, c.process.name)
		}
	}
	return nil
}

// call is a call of the table, with what may happen on the way.
func (p *process) call(ctx context.Context, do func() error) error {
	p.mu.Lock()
	cut, lie, delay := p.cut || p.dead, p.lie, p.delay
	p.mu.Unlock()
	if delay != nil {
		if err := invoke.Sleep(ctx, delay()); err != nil {
			return err
		}
	}
	if cut {
		<-ctx.Done()
		return ctx.Err()
	}
	err := do()
	if delay != nil && err == nil {
		err = invoke.Sleep(ctx, delay())
	}
	if err == nil && lie {
		err = table.ErrUnavailable
	}
	return err
}

// Get implements table.Table.
func (p *process) Get(ctx context.Context, keys ...table.Key) (items []table.Item, err error) {
	err = p.call(ctx, func() error {
		items, err = p.Table.Get(context.WithoutCancel(ctx), keys...)
		return err
	})
	return items, err
}

// Query implements table.Table.
func (p *process) Query(ctx context.Context, r table.Range) (items []table.Item, err error) {
	err = p.call(ctx, func() error {
		items, err = p.Table.Query(context.WithoutCancel(ctx), r)
		return err
	})
	return items, err
}

// Write implements table.Table.
func (p *process) Write(ctx context.Context, partition string, c table.Change) error {
	return p.call(ctx, func() error { return p.Table.Write(context.WithoutCancel(ctx), partition, c) })
}

// holder returns the process that holds the connection of a bot, empty if none does.
func (w *world) holder(bot string) string {
	synctest.Wait()
	open := w.open(bot)
	if len(open) == 0 {
		return ""
	}
	return open[len(open)-1].process.name
}

// items returns the sort keys of all leases.
func items(t *testing.T, of table.Table) (keys []string) {
	all, err := of.Query(t.Context(), table.Range{Partition: stream.Partition, Limit: table.MaxQuery})
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range all {
		keys = append(keys, i.Sort)
	}
	return keys
}

func TestOneOfTwoProcessesHoldsAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, tab := newWorld(t), newTable(t)
		for i := range 20 {
			w.put(fmt.Sprint(i), "s")
		}
		p1, p2 := w.process("p1", tab, nil), w.process("p2", tab, nil)
		time.Sleep(20 * time.Second)
		held := make(map[string]int)
		for i := range 20 {
			held[w.only(fmt.Sprint(i)).process.name]++
		}
		if held["p1"]+held["p2"] != 20 {
			t.Errorf("held: %v", held)
		}
		if err := p1.supervisor.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(6 * time.Second)
		for i := range 20 {
			if got := w.only(fmt.Sprint(i)).process; got != p2 {
				t.Errorf("%d is held by %s after a clean stop of p1", i, got.name)
			}
		}
		for i := range 20 {
			w.remove(fmt.Sprint(i))
		}
		time.Sleep(6 * time.Second)
		if got := items(t, tab); len(got) != 1 || !strings.HasPrefix(got[0], "p#") {
			t.Errorf("items of bots that were disabled: %v", got)
		}
		if err := p2.supervisor.Close(); err != nil {
			t.Fatal(err)
		}
		if got := items(t, tab); len(got) != 0 {
			t.Errorf("items after the end: %v", got)
		}
	})
}

// What one process holds no place for, another one holds. The first one says nothing of it then.
func TestAnotherProcessHoldsWhatIsTooMuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, tab := newWorld(t), newTable(t)
		w.put("a", "s")
		p1 := w.process("p1", tab, nil, func(o *stream.Options) { o.Max = 1 })
		time.Sleep(20 * time.Second)
		w.put("b", "s")
		time.Sleep(20 * time.Second)
		if w.holder("a") != "p1" || w.holder("b") != "" || w.lastNote("b").State != journal.Excess {
			t.Errorf("held by %q and %q; notes: %+v", w.holder("a"), w.holder("b"), w.noted("b"))
		}
		w.process("p2", tab, nil)
		time.Sleep(2 * time.Minute)
		if w.holder("b") != "p2" {
			t.Errorf("held by %q", w.holder("b"))
		}
		w.do(func() { w.notes["b"] = nil })
		time.Sleep(10 * time.Minute)
		for _, n := range w.noted("b") {
			if n.State != journal.Alive {
				t.Errorf("noted %+v", n)
			}
		}
		if err := p1.supervisor.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if w.holder("a") != "p2" {
			t.Errorf("held by %q", w.holder("a"))
		}
	})
}

func TestAnotherProcessTakesOverAfterACrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, tab := newWorld(t), newTable(t)
		w.put("a", "s")
		p1 := w.process("p1", tab, nil)
		time.Sleep(7 * time.Second)
		w.process("p2", tab, nil)
		time.Sleep(time.Minute)
		if got := w.holder("a"); got != "p1" {
			t.Fatalf("held by %q", got)
		}
		p1.kill()
		time.Sleep(10 * time.Second)
		if got := w.holder("a"); got != "" {
			t.Errorf("held by %s before p1 is known to be dead", got)
		}
		time.Sleep(20 * time.Second)
		if got := w.holder("a"); got != "p2" {
			t.Errorf("held by %q half a minute after the crash", got)
		}
	})
}

// A process that the table does not answer drops its connections before another one takes them.
func TestAProcessWithoutTheTableDropsItsConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, tab := newWorld(t), newTable(t)
		w.put("a", "s")
		p1 := w.process("p1", tab, nil)
		time.Sleep(7 * time.Second)
		w.process("p2", tab, nil)
		time.Sleep(time.Minute)
		p1.set(func() { p1.cut = true })
		time.Sleep(11 * time.Second)
		if got := w.holder("a"); got != "" {
			t.Errorf("still held by %q", got)
		}
		time.Sleep(15 * time.Second)
		if got := w.holder("a"); got != "p2" {
			t.Errorf("held by %q", got)
		}
		p1.set(func() { p1.cut = false })
		time.Sleep(time.Minute)
		if got := w.holder("a"); got != "p2" {
			t.Errorf("held by %q after the return of p1", got)
		}
		if !slices.ContainsFunc(w.noted("a"), func(c journal.Connection) bool {
			return c.State == journal.Lost && c.Step == stream.StepLease
		}) {
			t.Errorf("notes: %+v", w.noted("a"))
		}
		if !strings.Contains(w.logged(), "the leases of connections were not renewed") {
			t.Error("the log does not say that leases were not renewed")
		}
	})
}

// A process that was the only one need not wait until it is dead itself.
func TestAProcessComesBackUnderItsName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, tab := newWorld(t), newTable(t)
		w.put("a", "s")
		p := w.process("p1", tab, nil)
		time.Sleep(time.Minute)
		before := items(t, tab)
		p.set(func() { p.cut = true })
		time.Sleep(13 * time.Second)
		if got := w.holder("a"); got != "" {
			t.Errorf("still held by %q", got)
		}
		p.set(func() { p.cut = false })
		time.Sleep(10 * time.Second)
		if got := w.holder("a"); got != "p1" {
			t.Errorf("held by %q", got)
		}
		if got := items(t, tab); !slices.Equal(got, before) {
			t.Errorf("items %v, want %v", got, before)
		}
	})
}

// A write that happens although it fails does not end a term.
func TestAWriteThatSeemsToFailIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, tab := newWorld(t), newTable(t)
		w.put("a", "s")
		p := w.process("p1", tab, nil)
		time.Sleep(time.Minute)
		c := w.only("a")
		p.set(func() { p.lie = true })
		time.Sleep(5 * time.Second)
		p.set(func() { p.lie = false })
		time.Sleep(time.Minute)
		if w.only("a") != c {
			t.Error("the connection was dropped")
		}
		p.set(func() { p.lie = true }) // when a bot is claimed, too
		w.put("b", "s")
		time.Sleep(7 * time.Second)
		p.set(func() { p.lie = false })
		time.Sleep(12 * time.Second)
		w.only("b")
	})
}

// A machine that slept finds that its term is over before it handles a delivery.
func TestAHolderThatSleptDropsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, tab := newWorld(t), newTable(t)
		w.put("a", "s")
		p := w.process("p1", tab, nil)
		time.Sleep(7 * time.Second)
		c := w.only("a")
		p.set(func() { p.cut, p.skew = true, 20*time.Second })
		c.deliver("m")
		if synctest.Wait(); !c.isClosed() || w.hasRecorded("a/m") || len(c.acknowledged()) != 0 {
			t.Error("a delivery after the sleep was handled")
		}
	})
}

func TestADamagedLeaseIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, tab := newWorld(t), newTable(t)
		damaged := table.Change{Puts: []table.Put{{Sort: "b#x", Value: []byte("x")}}}
		if err := tab.Write(t.Context(), stream.Partition, damaged); err != nil {
			t.Fatal(err)
		}
		w.put("a", "s")
		w.process("p1", tab, nil)
		time.Sleep(10 * time.Second)
		if got := w.logged(); w.holder("a") != "" || !strings.Contains(got, `item \"b#x\"`) {
			t.Errorf("logged %s", got)
		}
	})
}

// Processes that are cut off, killed and started at random never hold one connection at the same
// time, and some process holds each connection soon after all is well.
func TestProcessesNeverHoldOneConnectionTogether(t *testing.T) {
	for seed := range uint64(4) {
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			random := rand.New(rand.NewPCG(1, seed))
			draw := func(n int) int {
				mu.Lock()
				defer mu.Unlock()
				return random.IntN(n)
			}
			delay := func() time.Duration { // mostly short
				if draw(10) > 0 {
					return time.Duration(draw(50)) * time.Millisecond
				}
				return time.Duration(draw(5000)) * time.Millisecond
			}
			w, tab := newWorld(t), newTable(t)
			bots := []string{"a", "b", "c"}
			for _, name := range bots {
				w.put(name, "s")
			}
			var processes []*process
			for i := range 3 {
				processes = append(processes, w.process(fmt.Sprint("p", i), tab, delay))
			}
			for step := range 60 {
				time.Sleep(time.Duration(draw(20000)) * time.Millisecond)
				i := draw(len(processes))
				p := processes[i]
				switch draw(6) {
				case 0:
					p.kill()
					processes[i] = w.process(fmt.Sprint("q", step), tab, delay)
				case 1:
					if err := p.supervisor.Close(); err != nil {
						t.Error(err)
					}
					processes[i] = w.process(fmt.Sprint("r", step), tab, delay)
				case 2:
					name := bots[draw(len(bots))]
					w.remove(name)
					time.Sleep(time.Duration(draw(10000)) * time.Millisecond)
					w.put(name, "s")
				default:
					p.set(func() { p.cut = !p.cut })
				}
			}
			for _, p := range processes {
				p.set(func() { p.cut, p.delay = false, nil })
			}
			time.Sleep(40 * time.Second)
			for _, name := range bots {
				w.only(name)
			}
		})
	}
}

// A process whose settings were refused says nothing more of them once another one has the lease.
func TestARefusalIsForgottenWithItsLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, tab := newWorld(t), newTable(t)
		w.put("a", "s")
		w.refuse = func(string) error { return callback.Final("the app is not published") }
		var said []journal.Connection // by p1
		p1 := w.process("p1", tab, nil, func(o *stream.Options) {
			o.Note = func(_ context.Context, _ command.Ref, n journal.Connection) {
				w.do(func() { said = append(said, n) })
			}
		})
		time.Sleep(20 * time.Second)
		if synctest.Wait(); len(said) == 0 || said[len(said)-1].State != journal.Refused {
			t.Fatalf("p1 noted %+v", said)
		}
		p1.set(func() { p1.cut = true })
		w.do(func() { w.refuse = nil })
		w.process("p2", tab, nil)
		time.Sleep(time.Minute)
		if w.holder("a") != "p2" {
			t.Fatalf("held by %q", w.holder("a"))
		}
		p1.set(func() { p1.cut = false })
		time.Sleep(5 * time.Minute)
		w.do(func() { said = nil })
		time.Sleep(10 * time.Minute)
		if w.only("a").process.name != "p2" || len(said) > 0 {
			t.Errorf("p1 noted %+v", said)
		}
	})
}

package dispatch_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"chatconf/shared/announce"
	"chatconf/shared/chat"
	"chatconf/shared/command"
	"chatconf/shared/dispatch"
	"chatconf/shared/platform/platformtest"
	"chatconf/shared/table"
	"chatconf/shared/webhook/webhooktest"
)

// A listener is the target of events.
type listener struct {
	mu     sync.Mutex
	events []string // name and revision
	answer func(ctx context.Context, id string) error
}

// Deliver implements dispatch.Deliverer.
func (l *listener) Deliver(ctx context.Context, d dispatch.Delivery) error {
	var event struct{ ID, Type, Subject string }
	if err := json.Unmarshal(d.Body, &event); err != nil || event.ID != d.ID ||
		!strings.HasPrefix(event.Type, "chatconf.configuration.") || d.Target.Name != "the target" {
		return fmt.Errorf("not an event: %s", d.Body)
	}
	if l.answer != nil {
		if err := l.answer(ctx, d.ID); err != nil {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, strings.TrimPrefix(d.ID, webhooktest.Account+"/"+webhooktest.Region+"/"))
	return nil
}

// Check implements dispatch.Deliverer.
func (l *listener) Check(t command.Target) error {
	if t.Name != "the target" {
		return errors.New("not the target")
	}
	return nil
}

// of returns the accepted events of a name.
func (l *listener) of(name string) (ids []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range l.events {
		if strings.HasPrefix(id, name+"/") {
			ids = append(ids, id)
		}
	}
	return ids
}

// A newsroom is a process whose changes are announced.
type newsroom struct {
	*webhooktest.Process
	outbox *announce.Outbox
	*dispatch.Announcer
}

func newNewsroom(w *webhooktest.World, l *listener) *newsroom {
	w.Helper()
	n := &newsroom{Process: w.Process(), outbox: announce.New(w.Configurations, w.Now)}
	var err error
	n.Service, err = chat.New(w.Configurations, w.Ring, w.Platforms.Descriptions(),
		chat.Options{Journal: n.Journal, Now: w.Now, Outbox: n.outbox})
	if err == nil {
		n.Announcer, err = dispatch.NewAnnouncer(dispatch.AnnouncerOptions{Outbox: n.outbox, Deliverer: l,
			Target: command.Target{Name: "the target"}, Journal: n.Journal, Now: w.Now})
	}
	if err != nil {
		w.Fatal(err)
	}
	return n
}

// create makes a configuration and changes it, until it has the given number of revisions.
func (n *newsroom) create(name string, revisions int) {
	n.Helper()
	n.Create(name, "Slack", platformtest.Settings("Slack"))
	for i := range revisions - 1 {
		status := chat.StatusInactive
		if i%2 == 1 {
			status = chat.StatusActive
		}
		if _, err := n.Service.Update(n.As(), &chat.UpdateRequest{Name: name, Status: status}); err != nil {
			n.Fatal(err)
		}
	}
}

func (n *newsroom) announce() int {
	n.Helper()
	found, err := n.Announce(n.Context())
	if err != nil {
		n.Fatal(err)
	}
	return found
}

// left returns how many events are not delivered.
func (n *newsroom) left() int {
	n.Helper()
	items, err := n.Configurations.Table.Query(n.Context(), table.Range{
		Partition: webhooktest.Account + "/" + webhooktest.Region, Prefix: announce.Prefix, Limit: table.MaxQuery})
	if err != nil {
		n.Fatal(err)
	}
	return len(items)
}

// ids returns the ids of the first revisions of a name.
func ids(name string, revisions int) (all []string) {
	for i := range revisions {
		all = append(all, fmt.Sprintf("%s/%d", name, i+1))
	}
	return all
}

func TestAnnouncerNeedsItsParts(t *testing.T) {
	if _, err := dispatch.NewAnnouncer(dispatch.AnnouncerOptions{}); err == nil {
		t.Error("an announcer without anything is made")
	}
	p := webhooktest.New(t).Process()
	if _, err := dispatch.NewAnnouncer(dispatch.AnnouncerOptions{Outbox: announce.New(p.Configurations, p.Now),
		Deliverer: new(listener), Journal: p.Journal}); err == nil || err.Error() != "not the target" {
		t.Errorf("NewAnnouncer with a target that takes no events = %v", err)
	}
}

// Every change is announced once, those of one name in their order.
func TestChangesAreAnnouncedInOrder(t *testing.T) {
	l := new(listener)
	n := newNewsroom(webhooktest.New(t), l)
	for i := range 50 { // more than one query finds
		n.create(fmt.Sprint("c", i), 3)
	}
	if found := n.announce(); found != 50 || n.left() != 0 {
		t.Errorf("found %d, left %d", found, n.left())
	}
	for i := range 50 {
		name := fmt.Sprint("c", i)
		if got, want := l.of(name), ids(name, 3); !slices.Equal(got, want) {
			t.Errorf("announced %q, want %q", got, want)
		}
	}
	if found := n.announce(); found != 0 || len(l.events) != 150 {
		t.Errorf("again: found %d, announced %d", found, len(l.events))
	}
	if log := n.Log(); strings.Count(log, `"msg":"announced"`) != 150 ||
		!strings.Contains(log, `"outcome":"Delivered"`) {
		t.Errorf("log = %s", log[:min(len(log), 500)])
	}
}

// A target that is down gets the event again, after longer and longer pauses, and what follows it
// only then. After a day the event is given up.
func TestADeliveryIsTriedForADay(t *testing.T) {
	w, l := webhooktest.New(t), new(listener)
	n := newNewsroom(w, l)
	n.create("ops", 1)
	var pauses []time.Duration
	last := w.Now()
	l.answer = func(_ context.Context, id string) error {
		if !strings.HasSuffix(id, "/ops/1") {
			return nil
		}
		pauses = append(pauses, w.Now().Sub(last))
		last = w.Now()
		return &dispatch.Error{Why: "deliver: the endpoint answered 500", Again: true, Cause: "planted cause"}
	}
	n.announce()
	w.Advance(time.Hour - time.Minute)
	n.create("later", 1)
	w.Advance(-time.Hour + time.Minute)
	if _, err := n.Service.Update(n.As(), &chat.UpdateRequest{Name: "ops", Status: "Inactive"}); err != nil {
		t.Fatal(err)
	}
	for range 60 * 25 {
		w.Advance(time.Minute)
		n.announce()
	}
	want := []time.Duration{0, 1, 2, 4, 8, 16, 32}
	for len(want) < len(pauses) {
		want = append(want, 60)
	}
	for i := range want {
		want[i] *= time.Minute
	}
	if !slices.Equal(pauses, want) || len(pauses) != 7+23 {
		t.Errorf("%d attempts with the pauses %v", len(pauses), pauses)
	}
	if got := l.of("ops"); !slices.Equal(got, []string{"ops/2"}) || n.left() != 0 {
		t.Errorf("announced %q, left %d", got, n.left())
	}
	if got := l.of("later"); !slices.Equal(got, []string{"later/1"}) {
		t.Errorf("another's: %q", got)
	}
	health := n.Health("ops").Health
	if e := health.LastEventError; e == nil || e.Step != "announce" ||
		e.Reason != "deliver: the endpoint answered 500" ||
		health.LastCallbackDate != "" || health.State != chat.HealthSilent {
		t.Errorf("health = %+v, event error %+v", health, e)
	}
	if log := n.Log(); strings.Count(log, `"outcome":"Failed"`) != 1 || strings.Count(log, `"outcome":"Retry"`) != 29 ||
		!strings.Contains(log, `"cause":"planted cause"`) {
		t.Errorf("log = %s", log[:min(len(log), 1000)])
	}
}

// After a failure no further delivery is started in the round, so a target that is down costs
// little.
func TestAFailureEndsTheRound(t *testing.T) {
	w, l := webhooktest.New(t), new(listener)
	n := newNewsroom(w, l)
	for i := range 40 {
		n.create(fmt.Sprint("c", i), 1)
	}
	var mu sync.Mutex
	tries := 0
	l.answer = func(context.Context, string) error {
		mu.Lock()
		defer mu.Unlock()
		tries++
		return errors.New("planted")
	}
	n.announce()
	if tries == 0 || tries > 17 {
		t.Errorf("%d deliveries were tried", tries)
	}
	l.answer = nil
	w.Advance(time.Minute)
	if n.announce(); n.left() != 0 {
		t.Errorf("left %d", n.left())
	}
	if log := n.Log(); strings.Contains(log, `"detail":"planted`) {
		t.Error("the text of an unknown error is shown as the detail")
	}
}

// Whatever call of the tables goes wrong, and however, every event is delivered, in order, and most
// of them once.
func TestNoCrashLosesAnEvent(t *testing.T) {
	for about, f := range map[string]webhooktest.Fault{
		"fails":                  {},
		"loses its answer":       {After: true},
		"is the last":            {Dies: true},
		"is the last, but works": {Dies: true, After: true},
		"panics":                 {Panics: true},
	} {
		for at := 1; ; at++ {
			w, l := webhooktest.New(t), new(listener)
			n := newNewsroom(w, l)
			n.create("ops", 3)
			w.FailAt(at, f)
			func() {
				defer func() {
					if p := recover(); p != nil && p != "planted" {
						panic(p)
					}
				}()
				n.Announce(n.Context())
			}()
			failed := w.Failed()
			w.FailAt(0, webhooktest.Fault{})
			w.Advance(2 * time.Minute)
			if next := newNewsroom(w, l); next.announce() == 0 && next.left() > 0 {
				t.Errorf("call %d %s: nothing was found, and %d are left", at, about, next.left())
			}
			got := l.of("ops")
			if !slices.IsSorted(got) || !slices.Equal(slices.Compact(slices.Clone(got)), ids("ops", 3)) ||
				len(got) > 4 || n.left() != 0 {
				t.Errorf("call %d %s: announced %q, left %d", at, about, got, n.left())
			}
			if !failed {
				break
			}
		}
	}
}

// When the process is told to end in the middle of a delivery, the next one need not wait for the
// lease.
func TestADeliveryThatIsCutOffIsDueAtOnce(t *testing.T) {
	w, l := webhooktest.New(t), new(listener)
	n := newNewsroom(w, l)
	n.create("ops", 2)
	ctx, cancel := context.WithCancel(n.Context())
	l.answer = func(ctx context.Context, _ string) error {
		cancel()
		<-ctx.Done()
		return ctx.Err()
	}
	n.Announce(ctx)
	l.answer = nil
	newNewsroom(w, l).announce()
	if got := l.of("ops"); !slices.Equal(got, ids("ops", 2)) {
		t.Errorf("announced %q", got)
	}
}

// A round ends in time for the invocation that it runs in.
func TestARoundOfEventsEndsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // whose clock is far from the deadlines
		w, l := webhooktest.New(t), new(listener)
		n := newNewsroom(w, l)
		n.create("ops", 1)
		for _, more := range []time.Duration{0, time.Second} {
			ctx, cancel := context.WithDeadline(n.Context(), w.Now().Add(dispatch.WorkTime+more))
			if found, err := n.Announce(ctx); err != nil || found != 1 || (len(l.events) == 1) != (more > 0) {
				t.Errorf("%v more: found %d, announced %q, %v", more, found, l.events, err)
			}
			cancel()
		}
	})
}

// A worker announces right after the write. What it cannot deliver before its end, the next one
// does.
func TestAWorkerAnnounces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, l := webhooktest.New(t), new(listener)
		n := newNewsroom(w, l)
		n.create("before", 1)
		worker := dispatch.NewAnnounceWorker(n.Context(), n.Announcer)
		synctest.Wait()
		if got := l.of("before"); !slices.Equal(got, ids("before", 1)) {
			t.Errorf("at its start it announced %q", got)
		}
		n.create("ops", 3)
		synctest.Wait()
		if got := l.of("ops"); !slices.Equal(got, ids("ops", 3)) {
			t.Errorf("announced %q", got)
		}
		l.answer = func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() }
		n.create("stuck", 2)
		synctest.Wait()
		began := time.Now()
		if err := worker.Close(); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != dispatch.DrainTime {
			t.Errorf("closing took %v", took)
		}
		if err := worker.Close(); err != nil {
			t.Errorf("closed again: %v", err)
		}
		n.create("after", 1) // no worker is told
		l.answer = nil
		next := newNewsroom(w, l)
		worker = dispatch.NewAnnounceWorker(next.Context(), next.Announcer)
		synctest.Wait()
		if err := worker.Close(); err != nil {
			t.Error(err)
		}
		for name, revisions := range map[string]int{"stuck": 2, "after": 1} {
			if got, want := l.of(name), ids(name, revisions); !slices.Equal(got, want) {
				t.Errorf("the next announced %q, want %q", got, want)
			}
		}
	})
}

// A worker's next round delivers what failed. A worker survives a panic, and tables that fail.
func TestAWorkerGoesOnAnnouncing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, l := webhooktest.New(t), new(listener)
		n := newNewsroom(w, l)
		n.create("ops", 2)
		w.FailAt(1, webhooktest.Fault{Panics: true})
		worker := dispatch.NewAnnounceWorker(n.Context(), n.Announcer)
		synctest.Wait()
		if !w.Failed() || len(l.events) != 0 {
			t.Errorf("announced %q", l.events)
		}
		w.FailAt(1, webhooktest.Fault{})
		w.Advance(time.Minute)
		time.Sleep(time.Minute)
		synctest.Wait()
		w.FailAt(0, webhooktest.Fault{})
		w.Advance(time.Minute)
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := l.of("ops"); !slices.Equal(got, ids("ops", 2)) {
			t.Errorf("announced %q", got)
		}
		if log := w.Log(); strings.Count(log, "not all that is due was announced") != 2 {
			t.Errorf("log = %s", log)
		}
		l.answer = func(context.Context, string) error { panic("planted") }
		n.create("panic", 1)
		synctest.Wait()
		if log := w.Log(); !strings.Contains(log, "not announced") {
			t.Errorf("log = %s", log)
		}
		if err := worker.Close(); err != nil {
			t.Error(err)
		}
	})
}

package chat_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"chatconf/shared/chat"
	"chatconf/shared/command"
	"chatconf/shared/table"
)

func TestHealth(t *testing.T) {
	h := newBase(t, chat.Options{})
	e := h.bot("one")
	note := func(n chat.Note) {
		t.Helper()
		h.clock.advance(10 * time.Second)
		if err := h.journal.Note(h.ctx, e.Ref(), n); err != nil {
			t.Fatal(err)
		}
	}
	want := chat.Health{Name: "one", Type: "Slack", Status: "Active", State: chat.HealthSilent, Counters: counters(nil)}
	equal(t, "at first", h.health("one"), want)

	note(chat.Note{Counter: chat.CountRefused, Step: "signature", Reason: "the signature was made with another secret"})
	failed := &chat.HealthError{Date: "2026-11-23T08:00:10+00:00", Step: "signature", Reason: "the signature was made with another secret"}
	want.State, want.LastCallbackDate, want.LastError = chat.HealthFailing, failed.Date, failed
	want.Counters["Refused"] = 1
	equal(t, "after a refusal", h.health("one"), want)

	note(chat.Note{Counter: chat.CountHandshakes})
	want.State, want.LastCallbackDate, want.LastSuccessDate, want.LastHandshakeDate = chat.HealthWorking, "2026-11-23T08:00:20+00:00", "2026-11-23T08:00:20+00:00", "2026-11-23T08:00:20+00:00"
	want.Counters["Handshakes"] = 1
	equal(t, "after a handshake", h.health("one"), want)

	note(chat.Note{Counter: chat.CountIgnored})
	want.LastCallbackDate = "2026-11-23T08:00:30+00:00"
	want.Counters["Ignored"] = 1
	equal(t, "after something without a message", h.health("one"), want)

	h.clock.advance(10 * time.Second)
	for i := range 20 {
		h.record(e, arrival(t, e, fmt.Sprint("m", i), "u1", "restart"))
	}
	h.record(e, arrival(t, e, "m-stop", "u1", "stop"))
	want.LastCallbackDate, want.LastSuccessDate, want.LastCommandDate = "2026-11-23T08:00:40+00:00", "2026-11-23T08:00:40+00:00", "2026-11-23T08:00:40+00:00"
	want.Counters["Allowed"], want.Counters["Denied"] = 20, 1
	equal(t, "after commands", h.health("one"), want)

	for i, outcome := range []chat.Outcome{chat.OutcomeDelivered, chat.OutcomeFailed} {
		job, err := h.journal.Claim(h.ctx, h.pending(e, fmt.Sprint("p", i)), time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if err := h.journal.Settle(h.ctx, job, chat.Result{Outcome: outcome, Detail: "410 from the target"}); err != nil {
			t.Fatal(err)
		}
	}
	want.LastDeliveryError = &chat.HealthError{Date: "2026-11-23T08:00:40+00:00", Step: "deliver", Reason: "410 from the target"}
	want.Counters["Delivered"], want.Counters["Failed"], want.Counters["Allowed"] = 1, 1, 22
	equal(t, "after deliveries", h.health("one"), want)

	note(chat.Note{Counter: chat.CountRefused, Step: "decrypt", Reason: strings.Repeat("x", 5000)})
	got := h.health("one")
	if got.State != chat.HealthFailing || got.LastError.Step != "decrypt" || len(got.LastError.Reason) > 1100 || got.Counters["Refused"] != 2 {
		t.Errorf("after another refusal: %+v", got)
	}
	if other := h.bot("two"); other != nil {
		if got := h.health("two"); got.State != chat.HealthSilent {
			t.Errorf("of another configuration: %+v", got)
		}
	}
}

// TestIgnoredByKind holds that what is ignored is counted by what it is, bounded, and in no more
// writes.
func TestIgnoredByKind(t *testing.T) {
	h := newBase(t, chat.Options{})
	e := h.bot("one")
	ignored := func(kind string, times int) {
		t.Helper()
		for range times {
			if err := h.journal.Note(h.ctx, e.Ref(), chat.Note{Counter: chat.CountIgnored, Kind: kind}); err != nil {
				t.Fatal(err)
			}
		}
	}
	h.spy.reset()
	ignored("reaction_added", 2)
	ignored("message/channel_join", 1)
	ignored("", 1)
	ignored("a b\n\x00é"+strings.Repeat("x", 100), 1)
	if got := h.spy.took(); got != "Write" {
		t.Errorf("calls = %s", got)
	}
	got := h.health("one")
	equal(t, "ignored", got.Ignored, map[string]int64{"reaction_added": 2, "message/channel_join": 1, "a_b" + strings.Repeat("x", 61): 1})
	equal(t, "the sum", got.Counters, counters(map[string]int64{"Ignored": 5}))
	if got.State != chat.HealthWorking {
		t.Errorf("state = %s", got.State)
	}
	for i := range 100 {
		ignored(fmt.Sprintf("kind-%d", i), 1)
	}
	if got := h.health("one"); len(got.Ignored) != 50 || got.Ignored["other"] != 100-46 || got.Ignored["reaction_added"] != 2 || got.Counters["Ignored"] != 105 {
		t.Errorf("of many kinds: %+v", got)
	}
	// Another process counts other kinds one by one.
	other := h.journalWith(h.ring)
	for i := range 40 {
		if err := other.Note(h.ctx, e.Ref(), chat.Note{Counter: chat.CountIgnored, Kind: fmt.Sprintf("more-%d", i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := other.Flush(h.ctx); err != nil {
		t.Fatal(err)
	}
	if got := h.health("one"); len(got.Ignored) != 50 || got.Ignored["reaction_added"] != 2 || got.Counters["Ignored"] != 145 {
		t.Errorf("of two processes: %+v", got)
	}
	// What cannot be written is kept for the next time.
	h.clock.advance(time.Minute)
	h.spy.fail("Write", 0, fmt.Errorf("planted: %w", table.ErrUnavailable))
	wantError(t, "Note", h.journal.Note(h.ctx, e.Ref(), chat.Note{Counter: chat.CountIgnored, Kind: "reaction_added"}), chat.Unavailable, "")
	h.spy.reset()
	if got := h.health("one"); got.Ignored["reaction_added"] != 3 || got.Counters["Ignored"] != 146 {
		t.Errorf("after a failed write: %+v", got)
	}
}

// TestMentionShowsInHealth holds that a name which is not BotName is told to the owner, and is no
// callback of its own.
func TestMentionShowsInHealth(t *testing.T) {
	h := newBase(t, chat.Options{})
	e := h.bot("one")
	if err := h.journal.Note(h.ctx, e.Ref(), chat.Note{Mention: "Ops {Bot}\n"}); err != nil {
		t.Fatal(err)
	}
	got := h.health("one")
	equal(t, "the mention", got.LastMention, &chat.HealthError{Date: "2026-11-23T08:00:00+00:00", Step: "mention",
		Reason: `a message mentions "Ops {Bot}\n", which is not BotName; if that is this bot, set BotName to it`})
	equal(t, "the counters", got.Counters, counters(nil))
	if got.State != chat.HealthSilent || got.LastCallbackDate != "" || got.Ignored != nil {
		t.Errorf("health = %+v", got)
	}
}

// TestWrongTokenShowsInHealth holds that a URL with another token is told to the owner.
func TestWrongTokenShowsInHealth(t *testing.T) {
	h := newBase(t, chat.Options{})
	h.create("one")
	for range 3 {
		h.stranger("one")
	}
	got := h.health("one")
	if got.State != chat.HealthFailing || got.LastError == nil || got.LastError.Step != "token" || got.Counters["Refused"] != 3 {
		t.Errorf("health = %+v", got)
	}
}

// Anybody can guess a name. What strangers do to a URL without its token must not hide what the platform's own callbacks met, nor say that it fails.
func TestStrangersDoNotSpeakForThePlatform(t *testing.T) {
	h := newBase(t, chat.Options{})
	e := h.bot("one")
	stranger := func() {
		t.Helper()
		h.clock.advance(10 * time.Second)
		h.stranger("one")
	}
	note := func(n chat.Note) {
		t.Helper()
		h.clock.advance(10 * time.Second)
		if err := h.journal.Note(h.ctx, e.Ref(), n); err != nil {
			t.Fatal(err)
		}
	}
	note(chat.Note{Counter: chat.CountRefused, Step: "signature", Reason: "another secret"})
	called := h.health("one").LastCallbackDate
	stranger()
	if got := h.health("one"); got.State != chat.HealthFailing || got.LastError.Step != "signature" || got.LastCallbackDate != called {
		t.Errorf("while it fails: %+v", got)
	}
	note(chat.Note{Counter: chat.CountHandshakes})
	stranger()
	if got := h.health("one"); got.State != chat.HealthWorking || got.LastError.Step != "token" || got.Counters["Refused"] != 3 {
		t.Errorf("while it works: %+v", got)
	}
}

// TestFloodOfNotesIsFewWrites holds that many callbacks that are refused become one write in a few seconds, and none is lost.
func TestFloodOfNotesIsFewWrites(t *testing.T) {
	h := newBase(t, chat.Options{})
	h.create("one")
	ref := h.open("one").Ref()
	ref.ID = "of a command, which does not matter"
	h.spy.reset()
	const seconds, each = 20, 100
	for range seconds {
		inParallel(t, each, func(i int) error {
			return h.journal.Note(h.ctx, ref, chat.Note{Counter: chat.CountRefused, Step: "signature", Reason: fmt.Sprint(i)})
		})
		h.clock.advance(time.Second)
	}
	if got := len(strings.Fields(h.spy.took())); got != seconds/5 {
		t.Errorf("%d calls, want %d", got, seconds/5)
	}
	if got := h.health("one").Counters["Refused"]; got != seconds*each {
		t.Errorf("%d refused, want %d", got, seconds*each)
	}
	h.spy.reset()
	if err := h.journal.Flush(h.ctx); err != nil || h.spy.took() != "" {
		t.Errorf("a second Flush: %v", err)
	}
	// A clock that goes back holds nothing up.
	h.clock.advance(-time.Hour)
	if err := h.journal.Note(h.ctx, ref, chat.Note{Counter: chat.CountIgnored}); err != nil || h.spy.took() != "Write" {
		t.Errorf("after the clock went back: %v", err)
	}
}

// TestNotesThatCannotBeWritten holds that they are kept for the next time, and that the newest error stays the last.
func TestNotesThatCannotBeWritten(t *testing.T) {
	h := newBase(t, chat.Options{})
	e := h.bot("one")
	h.spy.fail("Write", 0, fmt.Errorf("planted: %w", table.ErrUnavailable))
	err := h.journal.Note(h.ctx, e.Ref(), chat.Note{Counter: chat.CountRefused, Step: "signature", Reason: "first"})
	wantError(t, "Note", err, chat.Unavailable, "")
	if err := h.journal.Note(h.ctx, e.Ref(), chat.Note{Counter: chat.CountRefused, Step: "decrypt", Reason: "second"}); err != nil {
		t.Errorf("Note right after: %v", err)
	}
	if err := h.journal.Flush(h.ctx); chat.CodeOf(errors.Unwrap(errors.Join(err))) != chat.Internal && err == nil {
		t.Errorf("Flush: %v", err)
	}
	out, err := h.Health(h.ctx, &chat.HealthRequest{Name: "one"}) // what is written already can be read all the same
	if err != nil || out.Health.Counters["Refused"] != 0 {
		t.Errorf("Health = %+v, %v", out, err)
	}
	h.spy.reset()
	got := h.health("one")
	if got.Counters["Refused"] != 2 || got.LastError.Reason != "second" {
		t.Errorf("health = %+v", got)
	}
}

// TestNotesInBetween holds that what is noted while a write fails is not overwritten by what the write held.
func TestNotesInBetween(t *testing.T) {
	h := newBase(t, chat.Options{})
	e := h.bot("one")
	h.pages.write = func(*table.Change) error {
		h.pages.write = nil
		h.clock.advance(time.Second)
		if err := h.journal.Note(h.ctx, e.Ref(), chat.Note{Counter: chat.CountRefused, Step: "decrypt", Reason: "newer"}); err != nil {
			t.Error(err)
		}
		return table.ErrUnavailable
	}
	if err := h.journal.Note(h.ctx, e.Ref(), chat.Note{Counter: chat.CountRefused, Step: "signature", Reason: "older"}); err == nil {
		t.Error("no error")
	}
	if got := h.health("one"); got.LastError.Reason != "newer" || got.Counters["Refused"] != 2 {
		t.Errorf("health = %+v", got)
	}
}

// TestNotesThatNobodyWaitsFor holds that they outlive their caller, and that one which cannot be written is given up in time.
func TestNotesThatNobodyWaitsFor(t *testing.T) {
	h := newBase(t, chat.Options{})
	h.create("one")
	ctx, cancel := context.WithCancel(h.ctx)
	release := make(chan struct{})
	h.pages.write = func(*table.Change) error { <-release; return nil }
	h.journal.NoteLater(ctx, h.open("one").Ref(), chat.Note{Counter: chat.CountRefused, Step: "signature"}) // it does not wait
	cancel()
	close(release)
	if err := h.journal.Flush(h.ctx); err != nil {
		t.Fatal(err)
	}
	h.pages.write = nil
	if got := h.health("one").Counters["Refused"]; got != 1 {
		t.Errorf("%d refused", got)
	}
	synctest.Test(t, func(t *testing.T) {
		stuck := &stuckTable{heeds: true}
		j, err := chat.NewJournal(stuck, newRing(t, 1), chat.JournalOptions{})
		if err != nil {
			t.Fatal(err)
		}
		j.NoteLater(t.Context(), command.Ref{Account: "1", Region: "r-1", Name: "n"}, chat.Note{Counter: chat.CountRefused})
		started := time.Now()
		chat.WaitNotes(j)
		if waited := time.Since(started); waited != 5*time.Second {
			t.Errorf("a note that cannot be written took %v", waited)
		}
	})
}

// A stuckTable never writes.
type stuckTable struct {
	table.Table
	heeds bool          // the end of a context
	free  chan struct{} // closed when those that do not may end
}

func (s *stuckTable) Write(ctx context.Context, _ string, _ table.Change) error {
	var ended <-chan struct{}
	if s.heeds {
		ended = ctx.Done()
	}
	select {
	case <-ended:
		return ctx.Err()
	case <-s.free:
		return table.ErrUnavailable
	}
}

func TestNotesAreBounded(t *testing.T) {
	h := newBase(t, chat.Options{})
	h.create("one")
	chat.FillNotes(h.journal, chat.MaxNotes)
	if err := h.journal.Note(h.ctx, command.Ref{Account: account, Region: region, Name: "one"}, chat.Note{Counter: chat.CountIgnored}); err != nil {
		t.Fatal(err)
	}
	if got := chat.Notes(h.journal); got != chat.MaxNotes {
		t.Errorf("notes of %d configurations, want %d", got, chat.MaxNotes)
	}
}

// TestReaderWritesItsOwnNotes holds that a reader of health writes what was noted of its own configuration and of no other, and that the
// end of the process writes all.
func TestReaderWritesItsOwnNotes(t *testing.T) {
	h := newBase(t, chat.Options{})
	const configurations = 40
	ref := func(i int) command.Ref { return h.bot(fmt.Sprint("bot-", i)).Ref() }
	var refs []command.Ref
	for i := range configurations {
		refs = append(refs, ref(i))
	}
	other := command.Ref{Account: "1234567890123457", Region: region, Name: "bot-0"}
	note := func(ref command.Ref) {
		t.Helper()
		if err := h.journal.Note(h.ctx, ref, chat.Note{Counter: chat.CountIgnored}); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // the second is kept
		for _, ref := range append(refs, other) {
			note(ref)
		}
	}
	h.pages.reset()
	if got := h.health("bot-0").Counters["Ignored"]; got != 2 {
		t.Errorf("%d ignored, want 2", got)
	}
	if got, want := h.pages.took(), "Write Query Query"; got != want {
		t.Errorf("a reader made the calls %s, want %s", got, want)
	}
	h.pages.reset()
	if err := h.journal.Flush(h.ctx); err != nil {
		t.Fatal(err)
	}
	if got := strings.Fields(h.pages.took()); len(got) != configurations {
		t.Errorf("Flush made %d calls, want %d", len(got), configurations)
	}
}

// A reader that finds a write under way waits for it, and then writes what was noted since.
func TestReaderWaitsForTheWriteUnderWay(t *testing.T) {
	for about, outcome := range map[string]error{"that succeeds": nil, "that fails": table.ErrUnavailable} {
		h := newBase(t, chat.Options{})
		e := h.bot("one")
		begun, release := make(chan struct{}), make(chan struct{})
		h.pages.write = func(*table.Change) error {
			h.pages.write = nil
			close(begun)
			<-release
			return outcome
		}
		h.journal.NoteLater(h.ctx, e.Ref(), chat.Note{Counter: chat.CountIgnored})
		<-begun
		h.journal.NoteLater(h.ctx, e.Ref(), chat.Note{Counter: chat.CountIgnored})
		time.AfterFunc(10*time.Millisecond, func() { close(release) })
		if got := h.health("one").Counters["Ignored"]; got != 2 {
			t.Errorf("beside a write %s: %d ignored, want 2", about, got)
		}
	}
}

// TestReadersBesideStrangers is for the race detector: callbacks with a wrong token, which are noted in the background, beside readers of
// health and the end of the process.
func TestReadersBesideStrangers(t *testing.T) {
	h := newBase(t, chat.Options{})
	const rounds = 400
	names := []string{"one", "two", "three"}
	for _, name := range names {
		h.create(name)
	}
	inParallel(t, rounds, func(i int) error {
		name := names[i%len(names)]
		h.clock.advance(time.Second)
		switch i % 4 {
		case 0:
			_, err := h.Health(h.ctx, &chat.HealthRequest{Name: name})
			return err
		case 1:
			return h.journal.Flush(h.ctx)
		default:
			_, err := h.OpenWebhook(h.ctx, account, region, name, "x")
			var why *chat.Unproven
			if !errors.As(err, &why) {
				return fmt.Errorf("OpenWebhook = %w", err)
			}
			h.journal.NoteLater(h.ctx, why.Of, chat.Note{Counter: chat.CountRefused, Step: chat.StepToken, Reason: why.Reason})
			return nil
		}
	})
	var refused int64
	for _, name := range names {
		refused += h.health(name).Counters["Refused"]
	}
	if want := int64(rounds / 2); refused != want {
		t.Errorf("%d refused, want %d", refused, want)
	}
}

// TestHungTable holds that no caller waits longer for the health to be written than it is bound to, whether or not the table heeds its context.
func TestHungTable(t *testing.T) {
	for about, heeds := range map[string]bool{"one that heeds its context": true, "one that does not": false} {
		synctest.Test(t, func(t *testing.T) {
			hung := &stuckTable{free: make(chan struct{}), heeds: heeds}
			defer close(hung.free)
			j, err := chat.NewJournal(hung, newRing(t, 1), chat.JournalOptions{})
			if err != nil {
				t.Fatal(err)
			}
			for i := range 100 {
				j.NoteLater(t.Context(), command.Ref{Account: "1", Region: "r-1", Name: fmt.Sprint("n", i)}, chat.Note{Counter: chat.CountRefused})
			}
			const bound = 250 * time.Millisecond
			for what, call := range map[string]func(context.Context) error{
				"Flush": j.Flush,
				"a reader": func(ctx context.Context) error {
					return chat.Flushed(j, ctx, command.Ref{Account: "1", Region: "r-1", Name: "n1"})
				},
				"Note": func(ctx context.Context) error {
					return j.Note(ctx, command.Ref{Account: "1", Region: "r-1", Name: "another"}, chat.Note{Counter: chat.CountRefused})
				},
			} {
				ctx, cancel := context.WithTimeout(t.Context(), bound)
				started := time.Now()
				err := call(ctx)
				cancel()
				if took := time.Since(started); took > bound || !errors.Is(err, context.DeadlineExceeded) && heeds == (what == "a reader") {
					t.Errorf("%s of %s took %v: %v", what, about, took, err)
				}
			}
			ended, cancel := context.WithCancel(t.Context())
			cancel()
			if err := j.Flush(ended); err == nil {
				t.Errorf("Flush of %s without time: no error", about)
			}
		})
	}
}

// What Flush had no time for is given up, so that the table can be closed.
func TestFlushGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hung := &stuckTable{free: make(chan struct{}), heeds: true}
		j, err := chat.NewJournal(hung, newRing(t, 1), chat.JournalOptions{})
		if err != nil {
			t.Fatal(err)
		}
		ref := command.Ref{Account: "1", Region: "r-1", Name: "n"}
		j.NoteLater(t.Context(), ref, chat.Note{Counter: chat.CountRefused})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		started := time.Now()
		if err := j.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "1 of 1") {
			t.Errorf("Flush = %v", err)
		}
		chat.WaitNotes(j)
		if took := time.Since(started); took != time.Second {
			t.Errorf("the write ended after %v", took)
		}
	})
}

// A panic of the table's is an error of the write that it happened in.
func TestPanicWhileNotesAreWritten(t *testing.T) {
	h := newBase(t, chat.Options{})
	e := h.bot("one")
	h.pages.write = func(*table.Change) error { h.pages.write = nil; panic("planted") }
	err := h.journal.Note(h.ctx, e.Ref(), chat.Note{Counter: chat.CountIgnored})
	wantError(t, "Note", err, chat.Internal, "")
	if cause := errors.Unwrap(err); cause == nil || !strings.Contains(cause.Error(), "panic: planted") || !strings.Contains(cause.Error(), "health_test.go") {
		t.Errorf("the cause has no stack: %v", cause)
	}
	if got := h.health("one").Counters["Ignored"]; got != 1 {
		t.Errorf("%d ignored, want 1", got)
	}
}

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
	"chatconf/shared/secret"
	"chatconf/shared/table"
)

func (h *house) health(name string) chat.Health {
	h.t.Helper()
	out, err := h.Health(h.ctx, &chat.HealthRequest{Name: name})
	if err != nil {
		h.t.Fatalf("Health: %v", err)
	}
	return out.Health
}

// counters returns every counter, zero but for those given.
func counters(given map[string]int64) map[string]int64 {
	out := map[string]int64{"Allowed": 0, "Denied": 0, "Delivered": 0, "Failed": 0, "Handshakes": 0, "Ignored": 0, "Duplicates": 0, "Refused": 0}
	for name, n := range given {
		out[name] = n
	}
	return out
}

func TestHealth(t *testing.T) {
	h := newHouse(t)
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
	h := newHouse(t)
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
	h := newHouse(t)
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

// stranger calls the webhook of a configuration with another token. Its handler notes that.
func (h *house) stranger(name string) {
	h.t.Helper()
	_, err := h.OpenWebhook(h.ctx, account, region, name, "x")
	var why *chat.Unproven
	if !errors.As(err, &why) || why.Of.Name != name {
		h.t.Fatal(err)
	}
	note := chat.Note{Counter: chat.CountRefused, Step: chat.StepToken, Reason: "the URL has another token"}
	if err := h.journal.Note(h.ctx, why.Of, note); err != nil {
		h.t.Fatal(err)
	}
}

// TestWrongTokenShowsInHealth holds that a URL with another token is told to the owner.
func TestWrongTokenShowsInHealth(t *testing.T) {
	h := newHouse(t)
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
	h := newHouse(t)
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
	h := newHouse(t)
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
	h := newHouse(t)
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
	h := newHouse(t)
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
	h := newHouse(t)
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
	h := newHouse(t)
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
	h := newHouse(t)
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
		h := newHouse(t)
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
	h := newHouse(t)
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
	h := newHouse(t)
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

func TestHealthIsRefused(t *testing.T) {
	h := newHouse(t)
	h.create("one")
	for about, c := range map[string]struct {
		in    chat.HealthRequest
		code  chat.Code
		param string
	}{
		"no name":          {chat.HealthRequest{}, chat.MissingParameter, "Name"},
		"a bad name":       {chat.HealthRequest{Name: "a b"}, chat.InvalidParameter, "Name"},
		"none of the name": {chat.HealthRequest{Name: "two"}, chat.NotFound, "Name"},
		"a bad region":     {chat.HealthRequest{Name: "one", RegionID: "x"}, chat.InvalidRegion, "RegionId"},
	} {
		_, err := h.Health(h.ctx, &c.in)
		wantError(t, "Health with "+about, err, c.code, c.param)
	}
	_, err := h.serviceWith(chat.Options{}, h.ring).Health(h.ctx, &chat.HealthRequest{Name: "one"})
	wantError(t, "Health without a journal", err, chat.Unavailable, "", "keeps no journal")
	if err := h.pages.Table.Write(h.ctx, partition, table.Change{Puts: []table.Put{{Sort: chat.HealthKey(h.open("one").Ref(), "last#error"), Value: []byte("planted")}}}); err != nil {
		t.Fatal(err)
	}
	_, err = h.Health(h.ctx, &chat.HealthRequest{Name: "one"})
	wantError(t, "Health that is tampered", err, chat.Internal, "")
	wantNoDetail(t, err)
}

func TestListCommands(t *testing.T) {
	h := newHouse(t)
	e := h.bot("one")
	h.bot("one-1")
	// A command a minute, of three users, every fourth of them stop.
	var all []string
	for i := range 240 {
		text := []string{"restart i", "scale-out", "stop", "Help"}[i%4]
		ref := h.record(e, arrival(t, e, fmt.Sprint("m", i), fmt.Sprint("U", i%3), text))
		all = append(all, ref.ID)
		h.clock.advance(time.Minute)
	}
	list := func(in chat.ListCommandsRequest) (ids []string, calls int) {
		t.Helper()
		in.Name = "one"
		for calls = 1; ; calls++ {
			out, err := h.ListCommands(h.ctx, &in)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range out.ChatCommands {
				ids = append(ids, c.Id)
			}
			if in.NextToken = out.NextPageToken(); in.NextToken == "" {
				return ids, calls
			}
			if calls > 1000 {
				t.Fatal("the list has no end")
			}
		}
	}
	want := func(keep func(i int) bool) (ids []string) {
		for i := len(all) - 1; i >= 0; i-- {
			if keep(i) {
				ids = append(ids, all[i])
			}
		}
		return ids
	}
	at := func(minutes int) string {
		return time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC).Add(time.Duration(minutes) * time.Minute).Format(time.RFC3339)
	}
	for about, c := range map[string]struct {
		in    chat.ListCommandsRequest
		keep  func(i int) bool
		calls int // at most
	}{
		"all":                           {chat.ListCommandsRequest{}, func(int) bool { return true }, 5},
		"all, one by one":               {chat.ListCommandsRequest{MaxResults: ptr[int64](1)}, func(int) bool { return true }, 240},
		"all, in full pages":            {chat.ListCommandsRequest{MaxResults: ptr[int64](80)}, func(int) bool { return true }, 3},
		"of a user":                     {chat.ListCommandsRequest{User: "u1"}, func(i int) bool { return i%3 == 1 }, 3},
		"of nobody":                     {chat.ListCommandsRequest{User: "u9"}, func(int) bool { return false }, 1},
		"a command":                     {chat.ListCommandsRequest{Command: "Restart"}, func(i int) bool { return i%4 == 0 }, 3},
		"a pattern":                     {chat.ListCommandsRequest{Command: "s*"}, func(i int) bool { return i%4 == 1 || i%4 == 2 }, 4},
		"denied":                        {chat.ListCommandsRequest{Decision: "denied"}, func(i int) bool { return i%4 == 2 }, 3},
		"allowed":                       {chat.ListCommandsRequest{Decision: "Allowed"}, func(i int) bool { return i%4 != 2 }, 5},
		"since":                         {chat.ListCommandsRequest{Since: at(200)}, func(i int) bool { return i >= 200 }, 1},
		"until":                         {chat.ListCommandsRequest{Until: at(30)}, func(i int) bool { return i < 30 }, 1},
		"since and until":               {chat.ListCommandsRequest{Since: at(10), Until: at(20)}, func(i int) bool { return i >= 10 && i < 20 }, 1},
		"since and until, by fives":     {chat.ListCommandsRequest{Since: at(10), Until: at(20), MaxResults: ptr[int64](5)}, func(i int) bool { return i >= 10 && i < 20 }, 3},
		"until a part of a millisecond": {chat.ListCommandsRequest{Until: "2026-11-23T08:01:00.0005Z"}, func(i int) bool { return i < 2 }, 1},
		"nothing between":               {chat.ListCommandsRequest{Since: at(20), Until: at(10)}, func(int) bool { return false }, 1},
		"long ago":                      {chat.ListCommandsRequest{Until: "1960-01-01T00:00:00Z"}, func(int) bool { return false }, 1},
		"in another zone":               {chat.ListCommandsRequest{Since: "2026-11-23T19:50:00+08:00"}, func(i int) bool { return i >= 230 }, 1},
		"all filters":                   {chat.ListCommandsRequest{Since: at(100), Until: at(200), User: "U2", Command: "stop", Decision: "Denied"}, func(i int) bool { return i >= 100 && i < 200 && i%3 == 2 && i%4 == 2 }, 1},
	} {
		got, calls := list(c.in)
		equal(t, about, got, want(c.keep))
		if calls > c.calls {
			t.Errorf("%s: %d calls, want at most %d", about, calls, c.calls)
		}
	}
	h.delete("one")
	if got, _ := list(chat.ListCommandsRequest{}); len(got) != 240 {
		t.Errorf("of a configuration that was deleted, %d are shown", len(got))
	}
	if out, err := h.ListCommands(h.ctx, &chat.ListCommandsRequest{Name: "one-1"}); err != nil || len(out.ChatCommands) != 0 || out.ChatCommands == nil || out.MaxResults != 50 {
		t.Errorf("of a bot that nobody asked: %+v, %v", out, err)
	}
}

// What was asked of a configuration that was deleted is as closed as it was: its tags count on.
func TestListCommandsOfWhatWasDeletedKeepsItsTags(t *testing.T) {
	h := newHouse(t)
	h.create("one", func(in *chat.CreateRequest) { in.Tags = map[string]string{"env": "prod"} })
	e := h.open("one")
	h.record(e, arrival(t, e, "m1", "u1", "restart"))
	tags := []string{`{"Effect":"Allow","Action":"oos:*","Resource":"*"}`, `{"Effect":"Deny","Action":"oos:ListChatCommands","Resource":"*","Condition":{"StringEquals":{"oos:tag/env":["prod"]}}}`}
	closed := as(h.ctx, caller(t, "CCKclosed", tags...))
	list := func(ctx context.Context, name string) error {
		_, err := h.ListCommands(ctx, &chat.ListCommandsRequest{Name: name})
		return err
	}
	wantError(t, "while it is there", list(closed, "one"), chat.NoPermission, "")
	if _, err := h.Delete(h.ctx, &chat.DeleteRequest{Name: "one"}); err != nil {
		t.Fatal(err)
	}
	wantError(t, "when it is gone", list(closed, "one"), chat.NoPermission, "")
	if err := list(h.ctx, "one"); err != nil {
		t.Errorf("when it is gone, by who may: %v", err)
	}
	wantError(t, "of one that never was", list(closed, "never"), chat.NotFound, "Name")

	h.spy.fail("Query", 1, table.ErrUnavailable)
	wantError(t, "when the history cannot be read", list(h.ctx, "one"), chat.Unavailable, "")
	h.spy.reset()
	item := h.item("h#one#0000000002")
	h.tamper(table.Change{Puts: []table.Put{{Sort: item.Sort, Value: []byte("planted"), Revision: item.Revision}}})
	wantError(t, "when the history is damaged", list(h.ctx, "one"), chat.Internal, "")
}

// TestListCommandsIsBounded holds that one call reads a bounded number of records, however few it selects.
func TestListCommandsIsBounded(t *testing.T) {
	h := newHouse(t)
	e := h.bot("one")
	inParallel(t, 1100, func(i int) error {
		_, _, err := h.journal.Record(h.ctx, e, arrival(t, e, fmt.Sprint("m", i), "u1", "restart"))
		return err
	})
	in := &chat.ListCommandsRequest{Name: "one", User: "nobody"}
	for call := 1; ; call++ {
		h.spy.reset()
		out, err := h.ListCommands(h.ctx, in)
		if err != nil || len(out.ChatCommands) != 0 {
			t.Fatalf("%+v, %v", out, err)
		}
		if got := len(strings.Fields(h.spy.took())); got > 6 {
			t.Errorf("call %d made %d calls", call, got)
		}
		if in.NextToken = out.NextToken; in.NextToken == "" {
			if call != 3 {
				t.Errorf("%d calls", call)
			}
			return
		}
	}
}

func TestListCommandsIsRefused(t *testing.T) {
	h := newHouse(t)
	e := h.bot("one")
	h.bot("two")
	for i := range 3 {
		h.record(e, arrival(t, e, fmt.Sprint("m", i), "u1", "restart"))
	}
	first, err := h.ListCommands(h.ctx, &chat.ListCommandsRequest{Name: "one", MaxResults: ptr[int64](1)})
	if err != nil || first.NextToken == "" {
		t.Fatalf("%+v, %v", first, err)
	}
	for about, c := range map[string]struct {
		in    chat.ListCommandsRequest
		code  chat.Code
		param string
	}{
		"no name":                           {chat.ListCommandsRequest{}, chat.MissingParameter, "Name"},
		"a bad name":                        {chat.ListCommandsRequest{Name: "a b"}, chat.InvalidParameter, "Name"},
		"none of the name":                  {chat.ListCommandsRequest{Name: "three"}, chat.NotFound, "Name"},
		"a bad region":                      {chat.ListCommandsRequest{Name: "one", RegionID: "x"}, chat.InvalidRegion, "RegionId"},
		"a page of none":                    {chat.ListCommandsRequest{Name: "one", MaxResults: ptr[int64](0)}, chat.InvalidParameter, "MaxResults"},
		"a decision that is none":           {chat.ListCommandsRequest{Name: "one", Decision: "Maybe"}, chat.InvalidParameter, "Decision"},
		"a command that is none":            {chat.ListCommandsRequest{Name: "one", Command: "a b"}, chat.InvalidParameter, "Command"},
		"a date that is none":               {chat.ListCommandsRequest{Name: "one", Since: "yesterday"}, chat.InvalidParameter, "Since"},
		"another":                           {chat.ListCommandsRequest{Name: "one", Until: "2026-11-23"}, chat.InvalidParameter, "Until"},
		"a token that is none":              {chat.ListCommandsRequest{Name: "one", NextToken: "x"}, chat.InvalidNextToken, "NextToken"},
		"a token of another configuration":  {chat.ListCommandsRequest{Name: "two", NextToken: first.NextToken}, chat.InvalidNextToken, "NextToken"},
		"a token of another filter":         {chat.ListCommandsRequest{Name: "one", User: "u1", NextToken: first.NextToken}, chat.InvalidNextToken, "NextToken"},
		"a token of another filter's value": {chat.ListCommandsRequest{Name: "one", Since: "2026-11-23T00:00:00Z", NextToken: first.NextToken}, chat.InvalidNextToken, "NextToken"},
	} {
		_, err := h.ListCommands(h.ctx, &c.in)
		wantError(t, "ListCommands with "+about, err, c.code, c.param)
	}
	_, err = h.serviceWith(chat.Options{}, h.ring).ListCommands(h.ctx, &chat.ListCommandsRequest{Name: "one"})
	wantError(t, "ListCommands without a journal", err, chat.Unavailable, "", "keeps no journal")
	// A token goes on where it stands, after its record is gone too.
	gone := h.open("one").Ref()
	gone.ID = first.ChatCommands[0].Id
	if err := h.pages.Table.Write(h.ctx, partition, table.Change{Deletes: []table.Delete{{Sort: chat.EntryKey(gone)}}}); err != nil {
		t.Fatal(err)
	}
	rest, err := h.ListCommands(h.ctx, &chat.ListCommandsRequest{Name: "one", NextToken: first.NextToken})
	if err != nil || len(rest.ChatCommands) != 2 || rest.NextToken != "" {
		t.Errorf("the rest = %+v, %v", rest, err)
	}
}

func TestSimulate(t *testing.T) {
	h := newHouse(t)
	h.create("one", func(in *chat.CreateRequest) {
		in.Configuration = secret.Text(with(slack, `"UserGroups":{"sre":["u1"]},"Permissions":[
			{"Effect":"Allow","Principals":["group:sre"],"Commands":["restart","scale-*"],"RamRole":"OpsRole"},{"Effect":"Deny","Principals":["*"],"Commands":["scale-in"]}]`))
	})
	simulate := func(user, command string) chat.SimulatedPermission {
		t.Helper()
		out, err := h.Simulate(h.ctx, &chat.SimulateRequest{Name: "one", UserID: user, ConversationID: "c1", Command: command})
		if err != nil {
			t.Fatal(err)
		}
		return out.Permission
	}
	h.spy.reset()
	equal(t, "what is allowed", simulate("u1", `Restart "i 1"`), chat.SimulatedPermission{
		Command: "restart", Allowed: true, RamRole: "OpsRole", Statement: ptr(0), StatementText: `{"Effect":"Allow","Principals":["group:sre"],"Commands":["restart","scale-*"],"RamRole":"OpsRole"}`,
		Cause: command.CauseStatement, Reason: "Permissions[0] allows restart.", Groups: []string{"sre"}, Commands: []string{"restart", "scale-*"}, Except: []string{"scale-in"},
	})
	if got := h.spy.took(); got != "Get" {
		t.Errorf("calls = %s", got)
	}
	equal(t, "what is not", simulate("u2", "restart"), chat.SimulatedPermission{
		Command: "restart", Cause: command.CauseDefault, Reason: "No statement of Permissions allows restart for the user u2 in the conversation c1.", Groups: []string{}, Commands: []string{}, Except: []string{},
	})
	// It says what will be decided.
	e := h.open("one")
	for _, user := range []string{"u1", "u2"} {
		for _, command := range []string{"restart", "scale-out", "scale-in", "help", "whoami", "x"} {
			a, got := arrival(t, e, "m", user, command), simulate(user, command)
			if d := a.Decision; d.Allowed != got.Allowed || d.Reason != got.Reason || d.RamRole != got.RamRole || d.Cause != got.Cause {
				t.Errorf("%s by %s: simulated %+v, decided %+v", command, user, got, d)
			}
		}
	}
	// And it reads a command as it is read in the chat.
	for _, command := range []string{
		"`restart i-1`", "`restart` i-1", "**restart i-1**", "*restart* i-1", "_Restart_", "/restart i-1", "'/restart'", "```sh\nrestart i-1\n```", "restart —force",
	} {
		if got := simulate("u1", command); got.Command != "restart" || !got.Allowed {
			t.Errorf("%s: simulated %+v", command, got)
		}
	}
	in := chat.SimulateRequest{Name: "one", UserID: "u", ConversationID: "c", Command: "x"}
	for about, c := range map[string]struct {
		edit  func(*chat.SimulateRequest)
		code  chat.Code
		param string
	}{
		"no name":          {func(in *chat.SimulateRequest) { in.Name = "" }, chat.MissingParameter, "Name"},
		"no user":          {func(in *chat.SimulateRequest) { in.UserID = "" }, chat.MissingParameter, "UserId"},
		"no conversation":  {func(in *chat.SimulateRequest) { in.ConversationID = "" }, chat.MissingParameter, "ConversationId"},
		"no command":       {func(in *chat.SimulateRequest) { in.Command = "" }, chat.MissingParameter, "Command"},
		"a broken command": {func(in *chat.SimulateRequest) { in.Command = "x 'y" }, chat.InvalidParameter, "Command"},
		"a stray backtick": {func(in *chat.SimulateRequest) { in.Command = "x `y" }, chat.InvalidParameter, "Command"},
		"none of the name": {func(in *chat.SimulateRequest) { in.Name = "two" }, chat.NotFound, "Name"},
		"a bad region":     {func(in *chat.SimulateRequest) { in.RegionID = "x" }, chat.InvalidRegion, "RegionId"},
	} {
		in := in
		c.edit(&in)
		_, err := h.Simulate(h.ctx, &in)
		wantError(t, "Simulate with "+about, err, c.code, c.param)
	}
	for about, edit := range map[string]func(map[string]any){
		"a type that is not known":     func(m map[string]any) { m["type"] = "Matrix" },
		"a configuration that is none": func(m map[string]any) { m["configuration"] = "planted" },
	} {
		item := h.item("c#one")
		h.tamper(table.Change{Puts: []table.Put{{Sort: "c#one", Value: chat.Reencode(item.Value, edit), Revision: item.Revision}}})
		_, err := h.Simulate(h.ctx, &in)
		wantError(t, "Simulate of a record with "+about, err, chat.Internal, "")
		wantNoDetail(t, err)
		h.tamper(table.Change{Puts: []table.Put{{Sort: "c#one", Value: item.Value, Revision: item.Revision}}})
	}
}

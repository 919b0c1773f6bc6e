package journal_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/command"
	"chatconf/shared/fault"
	"chatconf/shared/journal"
	"chatconf/shared/table"
)

// A record has the time of its command in milliseconds. A command right after a refusal still
// counts as the later one.
func TestACommandRightAfterARefusal(t *testing.T) {
	h := chattest.New(t, chat.Options{})
	e := h.Bot("one")
	h.Clock.Advance(300 * time.Microsecond)
	if err := h.Journal.Note(h.Ctx, e.Ref(), journal.Note{Counter: journal.CountRefused, Step: "signature",
		Reason: "the signature was made with another secret"}); err != nil {
		t.Fatal(err)
	}
	if got := h.MustHealth("one").State; got != chat.HealthFailing {
		t.Errorf("after the refusal: %s, want %s", got, chat.HealthFailing)
	}
	h.Clock.Advance(300 * time.Microsecond)
	h.MustRecord(e, chattest.Arrival(t, e, "m", "u1", "restart"))
	if got := h.MustHealth("one").State; got != chat.HealthWorking {
		t.Errorf("after the command: %s, want %s", got, chat.HealthWorking)
	}
}

func TestHealth(t *testing.T) {
	h := chattest.New(t, chat.Options{})
	e := h.Bot("one")
	note := func(n journal.Note) {
		t.Helper()
		h.Clock.Advance(10 * time.Second)
		if err := h.Journal.Note(h.Ctx, e.Ref(), n); err != nil {
			t.Fatal(err)
		}
	}
	want := chat.Health{Name: "one", Type: "Slack", Status: "Active", State: chat.HealthSilent,
		Counters: chattest.Counters(nil)}
	chattest.Equal(t, "at first", h.MustHealth("one"), want)

	note(journal.Note{Counter: journal.CountRefused, Step: "signature",
		Reason: "the signature was made with another secret"})
	failed := &chat.HealthError{Date: "2026-11-23T08:00:10+00:00", Step: "signature",
		Reason: "the signature was made with another secret"}
	want.State, want.LastCallbackDate, want.LastError = chat.HealthFailing, failed.Date, failed
	want.Counters["Refused"] = 1
	chattest.Equal(t, "after a refusal", h.MustHealth("one"), want)

	note(journal.Note{Counter: journal.CountHandshakes})
	want.State, want.LastCallbackDate, want.LastSuccessDate, want.LastHandshakeDate = chat.HealthWorking,
		"2026-11-23T08:00:20+00:00", "2026-11-23T08:00:20+00:00", "2026-11-23T08:00:20+00:00"
	want.Counters["Handshakes"] = 1
	chattest.Equal(t, "after a handshake", h.MustHealth("one"), want)

	note(journal.Note{Counter: journal.CountIgnored})
	want.LastCallbackDate = "2026-11-23T08:00:30+00:00"
	want.Counters["Ignored"] = 1
	chattest.Equal(t, "after something without a message", h.MustHealth("one"), want)

	h.Clock.Advance(10 * time.Second)
	for i := range 20 {
		h.MustRecord(e, chattest.Arrival(t, e, fmt.Sprint("m", i), "u1", "restart"))
	}
	h.MustRecord(e, chattest.Arrival(t, e, "m-stop", "u1", "stop"))
	want.LastCallbackDate, want.LastSuccessDate, want.LastCommandDate = "2026-11-23T08:00:40+00:00",
		"2026-11-23T08:00:40+00:00", "2026-11-23T08:00:40+00:00"
	want.Counters["Allowed"], want.Counters["Denied"] = 20, 1
	chattest.Equal(t, "after commands", h.MustHealth("one"), want)

	for i, outcome := range []journal.Outcome{journal.OutcomeDelivered, journal.OutcomeFailed} {
		job, err := h.Journal.Claim(h.Ctx, h.Pending(e, fmt.Sprint("p", i)), time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Journal.Settle(h.Ctx, job, journal.Result{Outcome: outcome,
			Detail: "410 from the target"}); err != nil {
			t.Fatal(err)
		}
	}
	want.LastDeliveryError = &chat.HealthError{Date: "2026-11-23T08:00:40+00:00",
		Step: "deliver", Reason: "410 from the target"}
	want.Counters["Delivered"], want.Counters["Failed"], want.Counters["Allowed"] = 1, 1, 22
	chattest.Equal(t, "after deliveries", h.MustHealth("one"), want)

	note(journal.Note{Counter: journal.CountRefused, Step: "decrypt", Reason: strings.Repeat("x", 5000)})
	got := h.MustHealth("one")
	if got.State != chat.HealthFailing || got.LastError.Step != "decrypt" || len(got.LastError.Reason) > 1100 ||
		got.Counters["Refused"] != 2 {
		t.Errorf("after another refusal: %+v", got)
	}
	if other := h.Bot("two"); other != nil {
		if got := h.MustHealth("two"); got.State != chat.HealthSilent {
			t.Errorf("of another configuration: %+v", got)
		}
	}
}

// TestIgnoredByKind holds that what is ignored is counted by what it is, bounded, and in no more
// writes.
func TestIgnoredByKind(t *testing.T) {
	h := chattest.New(t, chat.Options{})
	e := h.Bot("one")
	ignored := func(kind string, times int) {
		t.Helper()
		for range times {
			if err := h.Journal.Note(h.Ctx, e.Ref(), journal.Note{Counter: journal.CountIgnored,
				Kind: kind}); err != nil {
				t.Fatal(err)
			}
		}
	}
	h.Spy.Reset()
	ignored("reaction_added", 2)
	ignored("message/channel_join", 1)
	ignored("", 1)
	ignored("a b\n\x00é"+strings.Repeat("x", 100), 1)
	if got := h.Spy.Took(); got != "Write" {
		t.Errorf("calls = %s", got)
	}
	got := h.MustHealth("one")
	chattest.Equal(t, "ignored", got.Ignored, map[string]int64{"reaction_added": 2, "message/channel_join": 1,
		"a_b" + strings.Repeat("x", 61): 1})
	chattest.Equal(t, "the sum", got.Counters, chattest.Counters(map[string]int64{"Ignored": 5}))
	if got.State != chat.HealthWorking {
		t.Errorf("state = %s", got.State)
	}
	for i := range 100 {
		ignored(fmt.Sprintf("kind-%d", i), 1)
	}
	if got := h.MustHealth("one"); len(got.Ignored) != 50 || got.Ignored["other"] != 100-46 ||
		got.Ignored["reaction_added"] != 2 || got.Counters["Ignored"] != 105 {
		t.Errorf("of many kinds: %+v", got)
	}
	// Another process counts other kinds one by one.
	other := h.JournalWith(h.Ring)
	for i := range 40 {
		if err := other.Note(h.Ctx, e.Ref(), journal.Note{Counter: journal.CountIgnored,
			Kind: fmt.Sprintf("more-%d", i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := other.Flush(h.Ctx); err != nil {
		t.Fatal(err)
	}
	if got := h.MustHealth("one"); len(got.Ignored) != 50 || got.Ignored["reaction_added"] != 2 ||
		got.Counters["Ignored"] != 145 {
		t.Errorf("of two processes: %+v", got)
	}
	// What cannot be written is kept for the next time.
	h.Clock.Advance(time.Minute)
	h.Spy.Fail("Write", 0, fmt.Errorf("planted: %w", table.ErrUnavailable))
	chattest.WantError(t, "Note", h.Journal.Note(h.Ctx, e.Ref(),
		journal.Note{Counter: journal.CountIgnored, Kind: "reaction_added"}), fault.Unavailable, "")
	h.Spy.Reset()
	if got := h.MustHealth("one"); got.Ignored["reaction_added"] != 3 || got.Counters["Ignored"] != 146 {
		t.Errorf("after a failed write: %+v", got)
	}
}

// TestMentionShowsInHealth holds that a name which is not BotName is told to the owner, and is no
// callback of its own.
func TestMentionShowsInHealth(t *testing.T) {
	h := chattest.New(t, chat.Options{})
	e := h.Bot("one")
	if err := h.Journal.Note(h.Ctx, e.Ref(), journal.Note{Mention: "Ops {Bot}\n"}); err != nil {
		t.Fatal(err)
	}
	got := h.MustHealth("one")
	chattest.Equal(t, "the mention", got.LastMention,
		&chat.HealthError{Date: "2026-11-23T08:00:00+00:00", Step: "mention",
			Reason: `a message mentions "Ops {Bot}\n", which is not BotName; if this is the bot, set BotName to it`})
	chattest.Equal(t, "the counters", got.Counters, chattest.Counters(nil))
	if got.State != chat.HealthSilent || got.LastCallbackDate != "" || got.Ignored != nil {
		t.Errorf("health = %+v", got)
	}
}

// TestWrongTokenShowsInHealth holds that a URL with another token is told to the owner.
func TestWrongTokenShowsInHealth(t *testing.T) {
	h := chattest.New(t, chat.Options{})
	h.MustCreate("one")
	for range 3 {
		stranger(h, "one")
	}
	got := h.MustHealth("one")
	if got.State != chat.HealthFailing || got.LastError == nil || got.LastError.Step != "token" ||
		got.Counters["Refused"] != 3 {
		t.Errorf("health = %+v", got)
	}
}

// Anybody can guess a name. What strangers do to a URL without its token must not hide what the
// platform's own callbacks met, nor say that it fails.
func TestStrangersDoNotSpeakForThePlatform(t *testing.T) {
	h := chattest.New(t, chat.Options{})
	e := h.Bot("one")
	stranger := func() {
		t.Helper()
		h.Clock.Advance(10 * time.Second)
		stranger(h, "one")
	}
	note := func(n journal.Note) {
		t.Helper()
		h.Clock.Advance(10 * time.Second)
		if err := h.Journal.Note(h.Ctx, e.Ref(), n); err != nil {
			t.Fatal(err)
		}
	}
	note(journal.Note{Counter: journal.CountRefused, Step: "signature", Reason: "another secret"})
	called := h.MustHealth("one").LastCallbackDate
	stranger()
	if got := h.MustHealth("one"); got.State != chat.HealthFailing || got.LastError.Step != "signature" ||
		got.LastCallbackDate != called {
		t.Errorf("while it fails: %+v", got)
	}
	note(journal.Note{Counter: journal.CountHandshakes})
	stranger()
	if got := h.MustHealth("one"); got.State != chat.HealthWorking || got.LastError.Step != "token" ||
		got.Counters["Refused"] != 3 {
		t.Errorf("while it works: %+v", got)
	}
}

// TestFloodOfNotesIsFewWrites holds that many callbacks that are refused become one write in a few
// seconds, and none is lost.
func TestFloodOfNotesIsFewWrites(t *testing.T) {
	h := chattest.New(t, chat.Options{})
	h.MustCreate("one")
	ref := h.Open("one").Ref()
	ref.ID = "of a command, which does not matter"
	h.Spy.Reset()
	const seconds, each = 20, 100
	for range seconds {
		chattest.InParallel(t, each, func(i int) error {
			return h.Journal.Note(h.Ctx, ref, journal.Note{Counter: journal.CountRefused,
				Step: "signature", Reason: fmt.Sprint(i)})
		})
		h.Clock.Advance(time.Second)
	}
	if got := len(strings.Fields(h.Spy.Took())); got != seconds/5 {
		t.Errorf("%d calls, want %d", got, seconds/5)
	}
	if got := h.MustHealth("one").Counters["Refused"]; got != seconds*each {
		t.Errorf("%d refused, want %d", got, seconds*each)
	}
	h.Spy.Reset()
	if err := h.Journal.Flush(h.Ctx); err != nil || h.Spy.Took() != "" {
		t.Errorf("a second Flush: %v", err)
	}
	// A clock that goes back holds nothing up.
	h.Clock.Advance(-time.Hour)
	if err := h.Journal.Note(h.Ctx, ref, journal.Note{Counter: journal.CountIgnored}); err != nil ||
		h.Spy.Took() != "Write" {
		t.Errorf("after the clock went back: %v", err)
	}
}

// TestNotesThatCannotBeWritten holds that they are kept for the next time, and that the newest
// error stays the last.
func TestNotesThatCannotBeWritten(t *testing.T) {
	h := chattest.New(t, chat.Options{})
	e := h.Bot("one")
	h.Spy.Fail("Write", 0, fmt.Errorf("planted: %w", table.ErrUnavailable))
	err := h.Journal.Note(h.Ctx, e.Ref(), journal.Note{Counter: journal.CountRefused,
		Step: "signature", Reason: "first"})
	chattest.WantError(t, "Note", err, fault.Unavailable, "")
	if err := h.Journal.Note(h.Ctx, e.Ref(), journal.Note{Counter: journal.CountRefused, Step: "decrypt",
		Reason: "second"}); err != nil {
		t.Errorf("Note right after: %v", err)
	}
	if err := h.Journal.Flush(h.Ctx); fault.CodeOf(errors.Unwrap(errors.Join(err))) != fault.Internal && err == nil {
		t.Errorf("Flush: %v", err)
	}
	out, err := h.Health(h.Ctx, &chat.HealthRequest{Name: "one"}) // what is written already can be read all the same
	if err != nil || out.Health.Counters["Refused"] != 0 {
		t.Errorf("Health = %+v, %v", out, err)
	}
	h.Spy.Reset()
	got := h.MustHealth("one")
	if got.Counters["Refused"] != 2 || got.LastError.Reason != "second" {
		t.Errorf("health = %+v", got)
	}
}

// TestNotesInBetween holds that what is noted while a write fails is not overwritten by what the
// write held.
func TestNotesInBetween(t *testing.T) {
	h := chattest.New(t, chat.Options{})
	e := h.Bot("one")
	h.Pages.OnWrite = func(*table.Change) error {
		h.Pages.OnWrite = nil
		h.Clock.Advance(time.Second)
		if err := h.Journal.Note(h.Ctx, e.Ref(), journal.Note{Counter: journal.CountRefused,
			Step: "decrypt", Reason: "newer"}); err != nil {
			t.Error(err)
		}
		return table.ErrUnavailable
	}
	if err := h.Journal.Note(h.Ctx, e.Ref(), journal.Note{Counter: journal.CountRefused,
		Step: "signature", Reason: "older"}); err == nil {
		t.Error("no error")
	}
	if got := h.MustHealth("one"); got.LastError.Reason != "newer" || got.Counters["Refused"] != 2 {
		t.Errorf("health = %+v", got)
	}
}

// TestNotesThatNobodyWaitsFor holds that they outlive their caller, and that one which cannot be
// written is given up in time.
func TestNotesThatNobodyWaitsFor(t *testing.T) {
	h := chattest.New(t, chat.Options{})
	h.MustCreate("one")
	ctx, cancel := context.WithCancel(h.Ctx)
	release := make(chan struct{})
	h.Pages.OnWrite = func(*table.Change) error { <-release; return nil }
	// it does not wait
	h.Journal.NoteLater(ctx, h.Open("one").Ref(), journal.Note{Counter: journal.CountRefused, Step: "signature"})
	cancel()
	close(release)
	if err := h.Journal.Flush(h.Ctx); err != nil {
		t.Fatal(err)
	}
	h.Pages.OnWrite = nil
	if got := h.MustHealth("one").Counters["Refused"]; got != 1 {
		t.Errorf("%d refused", got)
	}
	synctest.Test(t, func(t *testing.T) {
		stuck := &stuckTable{heeds: true}
		j, err := journal.New(stuck, chattest.NewRing(t, 1), journal.Options{})
		if err != nil {
			t.Fatal(err)
		}
		j.NoteLater(t.Context(), command.Ref{Account: "1", Region: "r-1", Name: "n"},
			journal.Note{Counter: journal.CountRefused})
		started := time.Now()
		journal.WaitNotes(j)
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
	h := chattest.New(t, chat.Options{})
	h.MustCreate("one")
	journal.FillNotes(h.Journal, journal.MaxNotes)
	if err := h.Journal.Note(h.Ctx, command.Ref{Account: chattest.Account, Region: chattest.Region, Name: "one"},
		journal.Note{Counter: journal.CountIgnored}); err != nil {
		t.Fatal(err)
	}
	if got := journal.Notes(h.Journal); got != journal.MaxNotes {
		t.Errorf("notes of %d configurations, want %d", got, journal.MaxNotes)
	}
}

// TestReaderWritesItsOwnNotes holds that a reader of health writes what was noted of its own
// configuration and of no other, and that the end of the process writes all.
func TestReaderWritesItsOwnNotes(t *testing.T) {
	h := chattest.New(t, chat.Options{})
	const configurations = 40
	ref := func(i int) command.Ref { return h.Bot(fmt.Sprint("bot-", i)).Ref() }
	var refs []command.Ref
	for i := range configurations {
		refs = append(refs, ref(i))
	}
	other := command.Ref{Account: "1234567890123457", Region: chattest.Region, Name: "bot-0"}
	note := func(ref command.Ref) {
		t.Helper()
		if err := h.Journal.Note(h.Ctx, ref, journal.Note{Counter: journal.CountIgnored}); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // the second is kept
		for _, ref := range append(refs, other) {
			note(ref)
		}
	}
	h.Pages.Reset()
	if got := h.MustHealth("bot-0").Counters["Ignored"]; got != 2 {
		t.Errorf("%d ignored, want 2", got)
	}
	if got, want := h.Pages.Took(), "Write Query Query"; got != want {
		t.Errorf("a reader made the calls %s, want %s", got, want)
	}
	h.Pages.Reset()
	if err := h.Journal.Flush(h.Ctx); err != nil {
		t.Fatal(err)
	}
	if got := strings.Fields(h.Pages.Took()); len(got) != configurations {
		t.Errorf("Flush made %d calls, want %d", len(got), configurations)
	}
}

// A reader that finds a write under way waits for it, and then writes what was noted since.
func TestReaderWaitsForTheWriteUnderWay(t *testing.T) {
	for about, outcome := range map[string]error{"that succeeds": nil, "that fails": table.ErrUnavailable} {
		h := chattest.New(t, chat.Options{})
		e := h.Bot("one")
		begun, release := make(chan struct{}), make(chan struct{})
		h.Pages.OnWrite = func(*table.Change) error {
			h.Pages.OnWrite = nil
			close(begun)
			<-release
			return outcome
		}
		h.Journal.NoteLater(h.Ctx, e.Ref(), journal.Note{Counter: journal.CountIgnored})
		<-begun
		h.Journal.NoteLater(h.Ctx, e.Ref(), journal.Note{Counter: journal.CountIgnored})
		time.AfterFunc(10*time.Millisecond, func() { close(release) })
		if got := h.MustHealth("one").Counters["Ignored"]; got != 2 {
			t.Errorf("beside a write %s: %d ignored, want 2", about, got)
		}
	}
}

// TestReadersBesideStrangers is for the race detector: callbacks with a wrong token, which are
// noted in the background, beside readers of health and the end of the process.
func TestReadersBesideStrangers(t *testing.T) {
	h := chattest.New(t, chat.Options{})
	const rounds = 400
	names := []string{"one", "two", "three"}
	for _, name := range names {
		h.MustCreate(name)
	}
	chattest.InParallel(t, rounds, func(i int) error {
		name := names[i%len(names)]
		h.Clock.Advance(time.Second)
		switch i % 4 {
		case 0:
			_, err := h.Health(h.Ctx, &chat.HealthRequest{Name: name})
			return err
		case 1:
			return h.Journal.Flush(h.Ctx)
		default:
			_, err := h.OpenWebhook(h.Ctx, chattest.Account, chattest.Region, name, "x")
			var why *chat.Unproven
			if !errors.As(err, &why) {
				return fmt.Errorf("OpenWebhook = %w", err)
			}
			h.Journal.NoteLater(h.Ctx, why.Of, journal.Note{Counter: journal.CountRefused,
				Step: journal.StepToken, Reason: why.Reason})
			return nil
		}
	})
	var refused int64
	for _, name := range names {
		refused += h.MustHealth(name).Counters["Refused"]
	}
	if want := int64(rounds / 2); refused != want {
		t.Errorf("%d refused, want %d", refused, want)
	}
}

// TestHungTable holds that no caller waits longer for the health to be written than it is bound to,
// whether or not the table heeds its context.
func TestHungTable(t *testing.T) {
	for about, heeds := range map[string]bool{"one that heeds its context": true, "one that does not": false} {
		synctest.Test(t, func(t *testing.T) {
			hung := &stuckTable{free: make(chan struct{}), heeds: heeds}
			defer close(hung.free)
			j, err := journal.New(hung, chattest.NewRing(t, 1), journal.Options{})
			if err != nil {
				t.Fatal(err)
			}
			for i := range 100 {
				j.NoteLater(t.Context(), command.Ref{Account: "1", Region: "r-1", Name: fmt.Sprint("n", i)},
					journal.Note{Counter: journal.CountRefused})
			}
			const bound = 250 * time.Millisecond
			for what, call := range map[string]func(context.Context) error{
				"Flush": j.Flush,
				"a reader": func(ctx context.Context) error {
					return journal.Flushed(j, ctx, command.Ref{Account: "1", Region: "r-1", Name: "n1"})
				},
				"Note": func(ctx context.Context) error {
					return j.Note(ctx, command.Ref{Account: "1", Region: "r-1", Name: "another"},
						journal.Note{Counter: journal.CountRefused})
				},
			} {
				ctx, cancel := context.WithTimeout(t.Context(), bound)
				started := time.Now()
				err := call(ctx)
				cancel()
				if took := time.Since(started); took > bound || !errors.Is(err, context.DeadlineExceeded) &&
					heeds == (what == "a reader") {
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
		j, err := journal.New(hung, chattest.NewRing(t, 1), journal.Options{})
		if err != nil {
			t.Fatal(err)
		}
		ref := command.Ref{Account: "1", Region: "r-1", Name: "n"}
		j.NoteLater(t.Context(), ref, journal.Note{Counter: journal.CountRefused})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		started := time.Now()
		if err := j.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "1 of 1") {
			t.Errorf("Flush = %v", err)
		}
		journal.WaitNotes(j)
		if took := time.Since(started); took != time.Second {
			t.Errorf("the write ended after %v", took)
		}
	})
}

// A panic of the table's is an error of the write that it happened in.
func TestPanicWhileNotesAreWritten(t *testing.T) {
	h := chattest.New(t, chat.Options{})
	e := h.Bot("one")
	h.Pages.OnWrite = func(*table.Change) error { h.Pages.OnWrite = nil; panic("planted") }
	err := h.Journal.Note(h.Ctx, e.Ref(), journal.Note{Counter: journal.CountIgnored})
	chattest.WantError(t, "Note", err, fault.Internal, "")
	if cause := errors.Unwrap(err); cause == nil || !strings.Contains(cause.Error(), "panic: planted") ||
		!strings.Contains(cause.Error(), "health_test.go") {
		t.Errorf("the cause has no stack: %v", cause)
	}
	if got := h.MustHealth("one").Counters["Ignored"]; got != 1 {
		t.Errorf("%d ignored, want 1", got)
	}
}

package chat_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"chatconf/shared/chat"
	"chatconf/shared/command"
	"chatconf/shared/secret"
	"chatconf/shared/table"
)

func TestRecord(t *testing.T) {
	h := newBase(t, chat.Options{})
	e := h.bot("one", `"Target":{"Type":"Http","Url":"https://h.example.com/planted","Secret":"`+targetSecret+`"}`)
	a := arrival(t, e, "m1", "u1", "Restart i-1 --token planted password=planted")
	a.Received = h.clock.Now()
	a.Guards = []string{"g1", "g1", "g2"}
	a.Handover = &chat.Handover{ReplyTo: command.ReplyTo{Kind: "response_url", URL: "https://planted.example.com", ID: "planted-id"}}
	h.clock.advance(1234 * time.Millisecond)
	h.spy.reset()
	ref := h.record(e, a)
	if got := h.spy.took(); got != "Write Write" { // the record, and once in a process that its partition holds something
		t.Errorf("calls = %s", got)
	}
	if ref.Name != "one" || ref.Account != account || ref.Region != region || !strings.HasPrefix(ref.ID, "1795420801234-") || len(ref.ID) != 30 {
		t.Errorf("ref = %+v", ref)
	}
	b := arrival(t, e, "m2", "u2", "stop")
	b.Answered = true
	h.clock.advance(time.Second)
	h.spy.reset()
	h.record(e, b)
	if got := h.spy.took(); got != "Write" {
		t.Errorf("calls = %s", got)
	}
	list := h.commands("one")
	for i := range list {
		list[i].Id = ""
	}
	equal(t, "the records", list, []chat.ChatCommand{
		{Date: "2026-11-23T08:00:02+00:00", Name: "one", Revision: 1, Platform: "Slack", ConversationId: "c1", UserId: "u2", UserName: "the u2", Command: "stop", Arguments: []string{},
			Decision: "Denied", Statement: ptr(1), StatementText: `{"Effect":"Deny","Principals":["*"],"Commands":["stop"]}`, Reason: "Permissions[1] denies stop.", Outcome: "Recorded", Answered: true, MessageId: "m2"},
		{Date: "2026-11-23T08:00:01+00:00", Name: "one", Revision: 1, Platform: "Slack", ConversationId: "c1", UserId: "u1", UserName: "the u1", Command: "restart",
			Arguments: []string{"i-1", "--token", "******", "password=******"}, Decision: "Allowed", Statement: ptr(0),
			StatementText: `{"Effect":"Allow","Principals":["*"],"Commands":["*"],"RamRole":"OpsRole"}`, Reason: "Permissions[0] allows restart.", RamRole: "OpsRole",
			Target: "Http h.example.com", Outcome: "Pending", Latency: 1234, MessageId: "m1"},
	})
	items := h.journalItems(partition)
	var kinds []string
	for _, item := range items {
		kinds = append(kinds, item.Sort[:2])
		if strings.Contains(string(item.Value), "planted") || strings.Contains(string(item.Value), targetSecret) {
			t.Errorf("%s holds a secret: %s", item.Sort, item.Value)
		}
	}
	slices.Sort(kinds)
	if got := strings.Join(kinds, " "); got != "g# g# h# h# m# m# o# r# r#" {
		t.Errorf("items = %s", got)
	}
	if got := h.journalItems("journals"); len(got) != 1 || got[0].Sort != partition {
		t.Errorf("journals = %v", got)
	}
}

// TestRecordCountsAMessageOnce holds that of many deliveries at once one is fresh.
func TestRecordCountsAMessageOnce(t *testing.T) {
	h := newBase(t, chat.Options{})
	e := h.bot("one")
	a := arrival(t, e, "m1", "u1", "restart")
	a.Guards = []string{"g"}
	a.Handover = &chat.Handover{}
	var fresh, duplicate atomic.Int64
	var mu sync.Mutex
	ids := make(map[string]bool)
	journals := []*chat.Journal{h.journal, h.journalWith(h.ring)}
	inParallel(t, 100, func(i int) error {
		ref, verdict, err := journals[i%2].Record(h.ctx, e, a)
		switch {
		case err != nil:
			return err
		case verdict == chat.Fresh:
			fresh.Add(1)
		case verdict == chat.Duplicate:
			duplicate.Add(1)
		}
		mu.Lock()
		defer mu.Unlock()
		ids[ref.ID] = true
		return nil
	})
	if fresh.Load() != 1 || duplicate.Load() != 99 || len(ids) != 1 {
		t.Errorf("%d fresh, %d duplicates, ids %v", fresh.Load(), duplicate.Load(), ids)
	}
	if got := h.commands("one"); len(got) != 1 {
		t.Errorf("%d records", len(got))
	}
	if due, err := h.journal.Due(h.ctx, 10, 1000); err != nil || len(due) != 0 {
		t.Errorf("due = %v, %v", due, err)
	}
	h.clock.advance(time.Minute)
	if due, err := h.journal.Due(h.ctx, 10, 1000); err != nil || len(due) != 1 {
		t.Errorf("due = %v, %v", due, err)
	}
	// The same message to another configuration is another message.
	two := h.bot("two")
	h.record(two, a)
}

func TestRecordRefusesAGuardThatWasSeen(t *testing.T) {
	h := newBase(t, chat.Options{})
	e := h.bot("one")
	a := arrival(t, e, "m1", "u1", "restart")
	a.Guards = []string{"g1", "g2"}
	h.record(e, a)
	before := h.journalItems(partition)
	if _, verdict, err := h.journal.Record(h.ctx, e, a); verdict != chat.Duplicate || err != nil {
		t.Errorf("the same message = %v, %v", verdict, err)
	}
	b := arrival(t, e, "m2", "u1", "drop")
	b.Guards = []string{"g3", "g2"}
	if ref, verdict, err := h.journal.Record(h.ctx, e, b); verdict != chat.Replayed || err != nil || ref != (command.Ref{}) {
		t.Errorf("another message under the same guard = %v, %v, %v", ref, verdict, err)
	}
	equal(t, "the journal", h.journalItems(partition), before)
	b.Guards = []string{"g3"}
	h.record(e, b)
	// After the retention all are forgotten.
	h.clock.advance(chat.DefaultRetention + time.Second)
	h.record(e, a)
}

func TestGuardsWithoutACommand(t *testing.T) {
	h := newBase(t, chat.Options{})
	e := h.bot("one")
	h.spy.reset()
	if err := h.journal.Guard(h.ctx, e, nil); err != nil || h.spy.took() != "" {
		t.Errorf("no guards = %v", err)
	}
	for range 2 { // the callback is delivered again
		if err := h.journal.Guard(h.ctx, e, []string{"g1", "g1", "g2"}); err != nil {
			t.Errorf("Guard = %v", err)
		}
	}
	if got := h.spy.took(); got != "Write Write" {
		t.Errorf("calls = %s", got)
	}
	a := arrival(t, e, "m1", "u1", "restart")
	a.Guards = []string{"g2"}
	if _, verdict, err := h.journal.Record(h.ctx, e, a); verdict != chat.Replayed || err != nil {
		t.Errorf("a message under the guard = %v, %v", verdict, err)
	}
	a.Guards = []string{"g3"}
	h.record(e, a)
	if err := h.journal.Guard(h.ctx, e, make([]string, 17)); err == nil {
		t.Error("too many guards are taken")
	}
}

func TestRecordRefusesWhatItCannotKeep(t *testing.T) {
	h := newBase(t, chat.Options{})
	e := h.bot("one")
	_, _, err := h.journal.Record(h.ctx, e, arrival(t, e, "", "u1", "restart"))
	wantError(t, "Record of a message without id", err, chat.Internal, "")
	a := arrival(t, e, "m1", "u1", "restart")
	a.Guards = make([]string, 17)
	_, _, err = h.journal.Record(h.ctx, e, a)
	wantError(t, "Record with 17 guards", err, chat.Internal, "")
	a.Guards = nil
	a.Command.Sent = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC) // which JSON has no form for
	a.Handover = &chat.Handover{}
	_, _, err = h.journal.Record(h.ctx, e, a)
	wantError(t, "Record with a time that is none", err, chat.Internal, "")
	a.Command.Sent, a.Handover.Answer = time.Time{}, strings.Repeat("x", 300<<10)
	_, _, err = h.journal.Record(h.ctx, e, a)
	wantError(t, "Record with an answer that cannot be sealed", err, chat.Internal, "")
	j, err := chat.NewJournal(h.pages, h.ring, chat.JournalOptions{Now: h.clock.Now, Random: &few{}})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = j.Record(h.ctx, e, a)
	wantError(t, "Record without random", err, chat.Internal, "")
	if got := h.journalItems(partition); len(got) != 0 {
		t.Errorf("%d items", len(got))
	}
}

// TestRecordOfTheLongest holds that whatever a message may hold fits into an item, cut where it is only shown.
func TestRecordOfTheLongest(t *testing.T) {
	h := newBase(t, chat.Options{})
	h.create(strings.Repeat("n", 200), func(in *chat.CreateRequest) {
		in.Configuration = secret.Text(with(slack, `"Permissions":[{"Effect":"Allow","Principals":["*"],"Commands":["`+strings.Repeat(`x","x`, 1)+strings.Repeat("重", 100)+`"]}]`))
	})
	e := h.open(strings.Repeat("n", 200))
	long := strings.Repeat("重", 5000)
	c, err := e.Command(&command.Message{ID: long, User: long, UserName: long, Conversation: long, Text: "x " + strings.Repeat("重", 2700)})
	if err != nil {
		t.Fatal(err)
	}
	d := e.Decide(c)
	d.Text = long
	ref := h.record(e, chat.Arrival{Command: c, Decision: d, Handover: &chat.Handover{}})
	got := h.commands(e.Name)[0]
	for what, text := range map[string]string{"user": got.UserId, "name": got.UserName, "conversation": got.ConversationId, "message": got.MessageId, "statement": got.StatementText} {
		if len(text) > 1100 || !strings.HasSuffix(text, "重…") {
			t.Errorf("the %s has %d bytes", what, len(text))
		}
	}
	job, err := h.journal.Claim(h.ctx, ref, time.Minute)
	if err != nil || job.Command.User != long || len(job.Command.Arguments) != 1 {
		t.Errorf("Claim = %v", err)
	}
}

// TestRecordWhoseAnswerWasLost holds that a write which happened, and whose answer was lost on the way to the store, counts as done when
// the store's client tries it again.
func TestRecordWhoseAnswerWasLost(t *testing.T) {
	h := newBase(t, chat.Options{})
	e := h.bot("one")
	h.pages.write = func(c *table.Change) error {
		if len(c.Puts) > 1 {
			return h.pages.Table.Write(h.ctx, partition, *c) // and then once more
		}
		return nil
	}
	ref := h.record(e, arrival(t, e, "m1", "u1", "restart"))
	h.pages.reset()
	if got := h.commands("one"); len(got) != 1 || got[0].Id != ref.ID {
		t.Errorf("records = %+v", got)
	}
}

// version returns a version of the message m1, decided.
func version(e *command.Endpoint, edit, text string) chat.Arrival {
	c, _ := e.Command(&command.Message{ID: "m1", EventID: "e" + edit, Edit: edit, Conversation: "c1", User: "u1", Text: text})
	return chat.Arrival{Command: c, Decision: e.Decide(c), Handover: &chat.Handover{}}
}

// TestEditedMessage holds that of a message and its edits one runs at most: the first that may.
// Those before it are answered, and nothing is twice.
func TestEditedMessage(t *testing.T) {
	type step struct {
		edit, text string
		want       chat.Verdict
	}
	for about, steps := range map[string][]step{
		"it ran":                      {{"", "restart i-1", chat.Fresh}, {"1", "restart i-2", chat.Duplicate}, {"2", "stop", chat.Duplicate}, {"", "restart i-1", chat.Duplicate}},
		"it was mistyped":             {{"", "stop i-1", chat.Fresh}, {"1", "restart i-1", chat.Fresh}, {"2", "restart i-2", chat.Duplicate}, {"1", "restart i-1", chat.Duplicate}},
		"it was no command":           {{"", "restart 'i", chat.Fresh}, {"1", "restart 'i'", chat.Fresh}, {"2", "restart i-2", chat.Duplicate}},
		"it was mistyped twice":       {{"", "stop", chat.Fresh}, {"9", "stop i-1", chat.Fresh}, {"9", "stop i-1", chat.Duplicate}, {"10", "restart", chat.Fresh}, {"11", "restart i-1", chat.Duplicate}},
		"an edit changed nothing":     {{"", "stop", chat.Fresh}, {"1", "stop", chat.Duplicate}, {"2", "restart", chat.Fresh}},
		"an edit comes late":          {{"", "stop", chat.Fresh}, {"2", "stop i-1", chat.Fresh}, {"1", "restart", chat.Duplicate}},
		"the edit comes first":        {{"1", "restart", chat.Fresh}, {"", "restart", chat.Duplicate}},
		"delivered again, not edited": {{"", "stop", chat.Fresh}, {"", "restart", chat.Duplicate}},
		"what is built in":            {{"", "help", chat.Fresh}, {"1", "restart", chat.Duplicate}},
	} {
		h := newBase(t, chat.Options{})
		e := h.bot("one")
		fresh := 0
		for i, s := range steps {
			h.clock.advance(time.Second)
			ref, verdict, err := h.journal.Record(h.ctx, e, version(e, s.edit, s.text))
			if err != nil || verdict != s.want || ref.ID == "" {
				t.Errorf("%s, step %d: %v, %v, %v", about, i, ref, verdict, err)
			}
			if s.want == chat.Fresh {
				fresh++
			}
		}
		ran, list := 0, h.commands("one")
		for _, c := range list {
			if c.Decision == chat.DecisionAllowed {
				ran++
			}
			if c.MessageId != "m1" {
				t.Errorf("%s: %+v", about, c)
			}
		}
		if len(list) != fresh || ran > 1 || len(h.journalItems("journals")) != 1 {
			t.Errorf("%s: %d run of %+v", about, ran, list)
		}
	}
}

// TestEditsAtOnce holds that of many edits at the same time one runs.
func TestEditsAtOnce(t *testing.T) {
	h := newBase(t, chat.Options{})
	e := h.bot("one")
	h.record(e, version(e, "", "stop"))
	var fresh atomic.Int64
	inParallel(t, 16, func(i int) error {
		_, verdict, err := h.journal.Record(h.ctx, e, version(e, fmt.Sprint(10+i), fmt.Sprint("restart ", i)))
		if verdict == chat.Fresh {
			fresh.Add(1)
		}
		return err
	})
	if list := h.commands("one"); fresh.Load() != 1 || len(list) != 2 {
		t.Errorf("%d are fresh, and recorded is %+v", fresh.Load(), list)
	}
}

// TestEditWhenTheStoreFails holds that what cannot be told is an error, and that the next delivery
// tells; and that what is gone or damaged runs nothing.
func TestEditWhenTheStoreFails(t *testing.T) {
	begin := func(t *testing.T) (*base, *command.Endpoint, command.Ref) {
		h := newBase(t, chat.Options{})
		e := h.bot("one")
		return h, e, h.record(e, version(e, "", "stop"))
	}
	for about, f := range faults {
		for _, at := range []struct {
			verb string
			n    int
		}{{"Get", 1}, {"Get", 2}, {"Write", 2}} {
			h, e, _ := begin(t)
			h.pages.fail(at.verb, at.n, f.err)
			if _, _, err := h.journal.Record(h.ctx, e, version(e, "1", "restart")); err == nil {
				t.Errorf("%s at %s %d: no error", about, at.verb, at.n)
			}
			h.pages.reset()
			if _, verdict, err := h.journal.Record(h.ctx, e, version(e, "1", "restart")); err != nil || verdict != chat.Fresh || len(h.commands("one")) != 2 {
				t.Errorf("%s at %s %d, again: %v, %v", about, at.verb, at.n, verdict, err)
			}
		}
	}
	h, e, _ := begin(t)
	h.pages.write = func(c *table.Change) error { // its answer is lost, and the store's client tries it again
		if c.Puts[0].If == table.AtRevision(1) {
			return h.pages.Table.Write(h.ctx, partition, *c)
		}
		return nil
	}
	if _, verdict, err := h.journal.Record(h.ctx, e, version(e, "1", "restart")); err != nil || verdict != chat.Fresh {
		t.Errorf("whose answer was lost: %v, %v", verdict, err)
	}
	h, e, ref := begin(t)
	planted := table.Change{Puts: []table.Put{{Sort: chat.EntryKey(ref), Value: []byte("planted")}}}
	if err := h.pages.Table.Write(h.ctx, partition, planted); err != nil {
		t.Fatal(err)
	}
	if _, _, err := h.journal.Record(h.ctx, e, version(e, "1", "restart")); err == nil {
		t.Error("of a record that is damaged: no error")
	}
	if err := h.pages.Table.Write(h.ctx, partition, table.Change{Deletes: []table.Delete{{Sort: chat.EntryKey(ref)}}}); err != nil {
		t.Fatal(err)
	}
	if _, verdict, err := h.journal.Record(h.ctx, e, version(e, "1", "restart")); err != nil || verdict != chat.Duplicate {
		t.Errorf("of a record that is gone: %v, %v", verdict, err)
	}
	h.pages.read = func([]table.Item) []table.Item { return nil } // the message vanishes by its age
	if _, verdict, err := h.journal.Record(h.ctx, e, version(e, "1", "restart")); err != nil || verdict != chat.Duplicate {
		t.Errorf("of a message that is gone: %v, %v", verdict, err)
	}
}

func TestRecordWhenTheStoreFails(t *testing.T) {
	for about, f := range faults {
		for n := 1; n <= 2; n++ {
			h := newBase(t, chat.Options{})
			e := h.bot("one")
			a := arrival(t, e, "m1", "u1", "restart")
			a.Handover = &chat.Handover{}
			ctx, calls := h.spy.failAt(h.ctx, n, f)
			_, _, err := h.journal.Record(ctx, e, a)
			calls()
			h.spy.reset()
			what := fmt.Sprintf("Record when %s at call %d", about, n)
			wantError(t, what, err, f.code, "")
			// Whichever of the two writes failed, the platform's next delivery makes it whole.
			_, verdict, err := h.journal.Record(h.ctx, e, a)
			if err != nil {
				t.Errorf("%s: again: %v, %v", what, verdict, err)
			}
			if len(h.commands("one")) != 1 || len(h.journalItems("journals")) != 1 {
				t.Errorf("%s: it is not whole", what)
			}
		}
		h := newBase(t, chat.Options{})
		e := h.bot("one")
		a := arrival(t, e, "m1", "u1", "restart")
		h.record(e, a)
		h.spy.fail("Get", 1, f.err)
		_, _, err := h.journal.Record(h.ctx, e, a)
		if err == nil {
			t.Errorf("Record of a duplicate when %s: no error", about)
		}
	}
}

// TestJournalsAreListedAgain holds that a partition is listed where something is to be handed on, and again before the list forgets it.
func TestJournalsAreListedAgain(t *testing.T) {
	h := newBase(t, chat.Options{})
	e := h.bot("one")
	writes := func(id string, handover *chat.Handover) string {
		h.spy.reset()
		a := arrival(t, e, id, "u1", "restart")
		a.Handover = handover
		h.record(e, a)
		return h.spy.took()
	}
	if got, want := writes("m", nil), "Write"; got != want || len(h.journalItems("journals")) != 0 {
		t.Errorf("with nothing to be handed on: calls = %s, want %s", got, want)
	}
	for i, c := range []struct {
		after time.Duration
		want  string
	}{{0, "Write Write"}, {0, "Write"}, {24*time.Hour - time.Millisecond, "Write"}, {time.Millisecond, "Write Write"}, {-time.Hour, "Write Write"}, {0, "Write"}} {
		h.clock.advance(c.after)
		if got := writes(fmt.Sprint("m", i), &chat.Handover{}); got != c.want {
			t.Errorf("record %d: calls = %s, want %s", i, got, c.want)
		}
	}
}

func TestNewJournalRefusesWhatCannotWork(t *testing.T) {
	h := newBase(t, chat.Options{})
	for about, c := range map[string]struct {
		table     table.Table
		retention time.Duration
		ring      bool
	}{
		"no table":                   {nil, 0, true},
		"no ring":                    {h.pages, 0, false},
		"a retention below two days": {h.pages, 47 * time.Hour, true},
		"a retention below zero":     {h.pages, -time.Hour, true},
		"a retention of eons":        {h.pages, 3651 * 24 * time.Hour, true},
	} {
		ring := h.ring
		if !c.ring {
			ring = nil
		}
		if j, err := chat.NewJournal(c.table, ring, chat.JournalOptions{Retention: c.retention}); err == nil || j != nil {
			t.Errorf("%s: no error", about)
		}
	}
	// A platform may deliver a message again up to 25 hours later, when the journal must still know it.
	if _, err := chat.NewJournal(h.pages, h.ring, chat.JournalOptions{Retention: 48 * time.Hour}); err != nil {
		t.Errorf("two days: %v", err)
	}
	if err := chat.CheckRetention(chat.DefaultRetention); err != nil {
		t.Error(err)
	}
}

func TestClaim(t *testing.T) {
	h := newBase(t, chat.Options{})
	e := h.bot("one", `"UserGroups":{"sre":["u1"]}`)
	now := h.clock.Now()
	ref := h.pending(e, "m1")
	h.spy.reset()
	job, err := h.journal.Claim(h.ctx, ref, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if got := h.spy.took(); got != "Get Write" {
		t.Errorf("calls = %s", got)
	}
	equal(t, "the command", job.Command, command.Command{
		Account: account, Region: region, Configuration: "one", Platform: "Slack", Conversation: "c1", User: "u1", UserName: "the u1", Groups: []string{"sre"}, MessageID: "m1",
		Sent: now, Text: "Login 'i 1' --password planted", Name: "login", Arguments: []string{"i 1", "--password", "planted"},
	})
	equal(t, "where to answer", job.ReplyTo, command.ReplyTo{Kind: "response_url", URL: "https://planted.example.com", ID: "to", Expires: now.Add(time.Hour)})
	if job.Ref != ref || job.RamRole != "OpsRole" || job.Answer != "" || job.Attempts != 1 || !job.Recorded.Equal(now) || !job.Created.Equal(e.Created) || e.Created.IsZero() {
		t.Errorf("job = %v", job.Ref)
	}
	if _, err := h.journal.Claim(h.ctx, ref, time.Minute); !errors.Is(err, chat.ErrTaken) {
		t.Errorf("Claim of what is taken: %v", err)
	}
	h.clock.advance(time.Minute - time.Millisecond)
	if _, err := h.journal.Claim(h.ctx, ref, time.Minute); !errors.Is(err, chat.ErrTaken) {
		t.Errorf("Claim within the lease: %v", err)
	}
	if due, _ := h.journal.Due(h.ctx, 9, 1000); len(due) != 0 {
		t.Errorf("within the lease, due is %v", due)
	}
	h.clock.advance(time.Millisecond)
	if due, _ := h.journal.Due(h.ctx, 9, 1000); !slices.Equal(due, []command.Ref{ref}) {
		t.Errorf("after the lease, due is %v", due)
	}
	second, err := h.journal.Claim(h.ctx, ref, time.Minute)
	if err != nil || second.Attempts != 2 {
		t.Fatalf("Claim after the lease: %v", err)
	}
	// Who lost the lease has nothing to say any more.
	if err := h.journal.Settle(h.ctx, job, chat.Result{Outcome: chat.OutcomeFailed}); !errors.Is(err, chat.ErrTaken) {
		t.Errorf("Settle after the lease: %v", err)
	}
	if err := h.journal.Retry(h.ctx, job, now, ""); !errors.Is(err, chat.ErrTaken) {
		t.Errorf("Retry after the lease: %v", err)
	}
	if err := h.journal.Retry(h.ctx, second, h.clock.Now().Add(time.Hour), "503 from the target"); err != nil {
		t.Fatal(err)
	}
	if got := h.commands("one")[0]; got.Attempts != 2 || got.Detail != "503 from the target" || got.Outcome != chat.OutcomePending {
		t.Errorf("after a retry: %+v", got)
	}
	h.clock.advance(time.Hour - time.Millisecond)
	if _, err := h.journal.Claim(h.ctx, ref, time.Minute); !errors.Is(err, chat.ErrTaken) {
		t.Errorf("Claim before its time: %v", err)
	}
	h.clock.advance(time.Millisecond)
	third, err := h.journal.Claim(h.ctx, ref, time.Minute)
	if err != nil || third.Attempts != 3 {
		t.Fatalf("Claim at its time: %v", err)
	}
	if err := h.journal.Settle(h.ctx, third, chat.Result{Outcome: chat.OutcomeDelivered, Answered: true, Detail: "200"}); err != nil {
		t.Fatal(err)
	}
	got := h.commands("one")[0]
	if got.Attempts != 3 || got.Detail != "200" || got.Outcome != chat.OutcomeDelivered || !got.Answered || got.SettledDate != "2026-11-23T09:01:00+00:00" {
		t.Errorf("settled: %+v", got)
	}
	for about, err := range map[string]error{
		"Claim": func() error { _, err := h.journal.Claim(h.ctx, ref, time.Minute); return err }(),
		"another": func() error {
			_, err := h.journal.Claim(h.ctx, command.Ref{Account: "9", Region: region, Name: "x", ID: "y"}, time.Minute)
			return err
		}(),
	} {
		if !errors.Is(err, chat.ErrSettled) {
			t.Errorf("%s of what is settled: %v", about, err)
		}
	}
	if err := h.journal.Settle(h.ctx, third, chat.Result{}); !errors.Is(err, chat.ErrTaken) {
		t.Errorf("Settle twice: %v", err)
	}
	for _, item := range h.journalItems(partition) {
		if strings.HasPrefix(item.Sort, "o#") {
			t.Errorf("%s is left", item.Sort)
		}
	}
}

// TestClaimByManyAtOnce holds that one of many gets a command.
func TestClaimByManyAtOnce(t *testing.T) {
	h := newBase(t, chat.Options{})
	ref := h.pending(h.bot("one"), "m1")
	var got atomic.Int64
	inParallel(t, 32, func(int) error {
		switch _, err := h.journal.Claim(h.ctx, ref, time.Minute); {
		case err == nil:
			got.Add(1)
		case !errors.Is(err, chat.ErrTaken):
			return err
		}
		return nil
	})
	if got.Load() != 1 {
		t.Errorf("%d claims", got.Load())
	}
}

// TestSettleWithoutRecord holds that a command whose record vanished by its age is settled all the same.
func TestSettleWithoutRecord(t *testing.T) {
	h := newBase(t, chat.Options{})
	ref := h.pending(h.bot("one"), "m1")
	if err := h.pages.Table.Write(h.ctx, partition, table.Change{Deletes: []table.Delete{{Sort: chat.EntryKey(ref)}}}); err != nil {
		t.Fatal(err)
	}
	job, err := h.journal.Claim(h.ctx, ref, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.journal.Settle(h.ctx, job, chat.Result{Outcome: chat.OutcomeFailed, Detail: "gone"}); err != nil {
		t.Fatal(err)
	}
	if got := h.commands("one"); len(got) != 0 {
		t.Errorf("records = %v", got)
	}
}

func TestOutboxWhenTheStoreFails(t *testing.T) {
	for about, f := range faults {
		h := newBase(t, chat.Options{})
		e := h.bot("one")
		ref := h.pending(e, "m1")
		fail := func(what string, n int, call func(context.Context) error) {
			t.Helper()
			ctx, calls := h.spy.failAt(h.ctx, n, f)
			err := call(ctx)
			calls()
			h.spy.reset()
			wantError(t, fmt.Sprintf("%s when %s at call %d", what, about, n), err, f.code, "")
		}
		for n := 1; n <= 2; n++ {
			fail("Claim", n, func(ctx context.Context) error { _, err := h.journal.Claim(ctx, ref, time.Minute); return err })
		}
		job, err := h.journal.Claim(h.ctx, ref, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		fail("Settle", 1, func(ctx context.Context) error {
			return h.journal.Settle(ctx, job, chat.Result{Outcome: chat.OutcomeDelivered})
		})
		fail("Retry", 1, func(ctx context.Context) error { return h.journal.Retry(ctx, job, h.clock.Now(), "") })
		for n := 1; n <= 2; n++ {
			fail("Due", n, func(ctx context.Context) error { _, err := h.journal.Due(ctx, 9, 9); return err })
		}
	}
}

func TestOutboxThatIsTampered(t *testing.T) {
	for about, edit := range map[string]func(h *base, items map[string]table.Item) table.Item{
		"no JSON": func(_ *base, items map[string]table.Item) table.Item {
			i := items["o#"]
			i.Value = []byte("planted")
			return i
		},
		"another version": func(_ *base, items map[string]table.Item) table.Item {
			i := items["o#"]
			i.Value = chat.Reencode(i.Value, func(m map[string]any) { m["v"] = 2 })
			return i
		},
		"a bit of what is sealed": func(_ *base, items map[string]table.Item) table.Item {
			i := items["o#"]
			i.Value = chat.Reencode(i.Value, func(m map[string]any) { m["sealed"] = flipBit(m["sealed"].(string)) })
			return i
		},
		"something else sealed": func(h *base, items map[string]table.Item) table.Item {
			i := items["o#"]
			i.Value = chat.Reencode(i.Value, func(m map[string]any) {
				m["sealed"] = chat.SealOutbox(h.ring, account, region, "one", i.Sort[2:], "planted")
			})
			return i
		},
	} {
		h := newBase(t, chat.Options{})
		ref := h.pending(h.bot("one"), "m1")
		items := make(map[string]table.Item)
		for _, item := range h.journalItems(partition) {
			items[item.Sort[:2]] = item
		}
		item := edit(h, items)
		if err := h.pages.Table.Write(h.ctx, partition, table.Change{Puts: []table.Put{{Sort: item.Sort, Value: item.Value, Revision: item.Revision}}}); err != nil {
			t.Fatal(err)
		}
		_, err := h.journal.Claim(h.ctx, ref, time.Minute)
		wantError(t, "Claim with "+about, err, chat.Internal, "")
		wantNoDetail(t, err)
		if strings.Contains(fmt.Sprint(errors.Unwrap(err)), "planted") {
			t.Errorf("%s: the log would show the content: %v", about, errors.Unwrap(err))
		}
		h.clock.advance(time.Hour)
		for _, store := range []error{table.ErrUnavailable, nil} { // when it is due, it is put off, if the store lets it be
			if store != nil {
				h.spy.fail("Write", 1, store)
			}
			_, err = h.journal.Claim(h.ctx, ref, time.Minute)
			if err == nil {
				t.Errorf("Claim of what is due, with %s: no error", about)
			}
			h.spy.reset()
		}
		if due, err := h.journal.Due(h.ctx, 9, 9); err != nil || len(due) > 0 {
			t.Errorf("%s: due is %v, %v", about, due, err)
		}
		whole := h.pending(h.open("one"), "m2")
		h.clock.advance(time.Hour)
		due, err := h.journal.Due(h.ctx, 9, 1000) // it does not stand in the way of others
		if err != nil || !slices.Contains(due, whole) {
			t.Errorf("%s: due = %v, %v", about, due, err)
		}
	}
	h := newBase(t, chat.Options{})
	ref := h.pending(h.bot("one"), "m1")
	job, err := h.journal.Claim(h.ctx, ref, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for about, value := range map[string]string{"no JSON": "planted", "another name": `{"v":1,"id":"` + ref.ID + `","name":"two","life":"` + ref.Life + `"}`, "another life": `{"v":1,"id":"` + ref.ID + `","name":"one","life":"0-1"}`, "no life": `{"v":1,"id":"` + ref.ID + `","name":"one"}`, "another version": `{"v":2,"id":"` + ref.ID + `","name":"one"}`} {
		chat.SetJobEntry(job, []byte(value))
		wantError(t, "Settle with "+about, h.journal.Settle(h.ctx, job, chat.Result{Outcome: chat.OutcomeFailed}), chat.Internal, "")
		wantError(t, "Retry with "+about, h.journal.Retry(h.ctx, job, h.clock.Now(), ""), chat.Internal, "")
		if err := h.pages.Table.Write(h.ctx, partition, table.Change{Puts: []table.Put{{Sort: chat.EntryKey(ref), Value: []byte(value)}}}); err != nil {
			t.Fatal(err)
		}
		_, err := h.ListCommands(h.ctx, &chat.ListCommandsRequest{Name: "one"})
		wantError(t, "ListCommands with "+about, err, chat.Internal, "")
		wantNoDetail(t, err)
		_, err = h.Health(h.ctx, &chat.HealthRequest{Name: "one"})
		wantError(t, "Health with "+about, err, chat.Internal, "")
	}
}

// TestDueIsFair holds that what is due is found in every partition, the oldest of each first, and no partition takes all.
func TestDueIsFair(t *testing.T) {
	h := newBase(t, chat.Options{})
	other := *administrator
	other.Account = "9"
	one := h.bot("one")
	var refs []command.Ref
	for i := range 250 {
		h.clock.advance(time.Millisecond)
		refs = append(refs, h.pending(one, fmt.Sprint("m", i)))
	}
	there := *one
	there.Account = "9"
	far := *one
	far.Region = "us-east-1"
	late := []command.Ref{h.pending(&there, "m"), h.pending(&far, "m")}
	if due, err := h.journal.Due(h.ctx, 1000, 1000); err != nil || len(due) != 0 {
		t.Errorf("at once %d are due, %v", len(due), err)
	}
	h.clock.advance(time.Minute)
	due, err := h.journal.Due(h.ctx, 1000, 1000)
	if err != nil || len(due) != 252 {
		t.Errorf("%d are due, %v", len(due), err)
	}
	for range 10 {
		due, err := h.journal.Due(h.ctx, 9, 1000)
		if err != nil || len(due) > 9 || !slices.Contains(due, late[0]) || !slices.Contains(due, late[1]) || !slices.Contains(due, refs[0]) || !slices.Contains(due, refs[2]) {
			t.Errorf("of nine, %v are due, %v", due, err)
		}
	}
	if due, err := h.journal.Due(h.ctx, 0, 1000); err != nil || len(due) != 0 {
		t.Errorf("none: %v, %v", due, err)
	}
	if err := h.pages.Table.Write(h.ctx, "journals", table.Change{Puts: []table.Put{{Sort: "planted"}}}); err != nil {
		t.Fatal(err)
	}
	_, err = h.journal.Due(h.ctx, 1000, 1000)
	wantError(t, "Due with a partition that is none", err, chat.Internal, "")
}

// TestDueGetsPastWhatIsNotDue holds that very many commands of a target that is down, which wait to be tried again, do not keep others from being found.
func TestDueGetsPastWhatIsNotDue(t *testing.T) {
	h := newBase(t, chat.Options{})
	one := h.bot("one")
	inParallel(t, 1050, func(i int) error {
		a := arrival(t, one, fmt.Sprint("m", i), "u1", "restart")
		a.Handover = &chat.Handover{}
		ref, _, err := h.journal.Record(h.ctx, one, a)
		if err != nil {
			return err
		}
		job, err := h.journal.Claim(h.ctx, ref, time.Minute)
		if err != nil {
			return err
		}
		return h.journal.Retry(h.ctx, job, h.clock.Now().Add(24*time.Hour), "down")
	})
	h.clock.advance(time.Second)
	last := h.pending(one, "last")
	h.clock.advance(time.Minute)
	var found []command.Ref
	for range 2 {
		due, err := h.journal.Due(h.ctx, 10, 1000)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, due...)
	}
	if !slices.Equal(found, []command.Ref{last}) {
		t.Errorf("found %v, want %v", found, last)
	}
	// What was passed over is looked at again.
	h.clock.advance(25 * time.Hour)
	if due, err := h.journal.Due(h.ctx, 10, 1000); err != nil || len(due) != 10 || slices.Contains(due, last) {
		t.Errorf("a day later %v are due, %v", due, err)
	}
}

// TestDueOfManyConfigurations holds that what is due of one configuration does not hide what is due of others.
func TestDueOfManyConfigurations(t *testing.T) {
	h := newBase(t, chat.Options{})
	one, two := h.bot("one"), h.bot("two")
	for i := range 150 {
		h.pending(one, fmt.Sprint("m", i))
	}
	h.clock.advance(time.Millisecond) // of one millisecond, which comes first is chance
	last := h.pending(two, "m")
	h.clock.advance(time.Hour)
	due, err := h.journal.Due(h.ctx, 40, 4)
	if err != nil || len(due) != 5 || due[4] != last {
		t.Errorf("due is %v, %v", due, err)
	}
}

func TestDueOfManyPartitions(t *testing.T) {
	h := newBase(t, chat.Options{})
	for i := range 13 {
		var c table.Change
		for k := range 77 {
			c.Puts = append(c.Puts, table.Put{Sort: fmt.Sprintf("%d/cn-hangzhou", 77*i+k)})
		}
		if err := h.pages.Table.Write(h.ctx, "journals", c); err != nil {
			t.Fatal(err)
		}
	}
	h.spy.reset()
	if _, err := h.journal.Due(h.ctx, 10_000, 1000); err != nil {
		t.Fatal(err)
	}
	if got := len(strings.Fields(h.spy.took())); got != 2+1001 {
		t.Errorf("%d calls", got)
	}
}

// TestClaimOfAnAnswer holds that of a command that is only to be answered no text is kept, which may be long where it is no command.
func TestClaimOfAnAnswer(t *testing.T) {
	h := newBase(t, chat.Options{})
	e := h.bot("one")
	m := &command.Message{ID: "m1", User: "u1", Conversation: "c1", Text: strings.Repeat("<", 200_000)}
	c, notOne := e.Command(m)
	if notOne == nil {
		t.Fatal("it is a command")
	}
	a := chat.Arrival{Command: c, Decision: e.Decide(c), Handover: &chat.Handover{ReplyTo: command.ReplyTo{Kind: "message", ID: "to"}, Answer: "too long"}}
	job, err := h.journal.Claim(h.ctx, h.record(e, a), time.Minute)
	if err != nil || job.Answer != "too long" || job.Command.Text != "" || job.Command.Arguments != nil || job.Command.User != "u1" || job.ReplyTo.ID != "to" {
		t.Errorf("Claim = %v, %v", job, err)
	}
}

func TestEvent(t *testing.T) {
	h := newBase(t, chat.Options{})
	e := h.bot("one")
	ref := h.pending(e, "m<1>")
	job, err := h.journal.Claim(h.ctx, ref, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	got, err := job.Event().MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"specversion":"1.0","id":"` + ref.ID + `","source":"acs:oos:cn-hangzhou:1234567890123456:chatconfiguration/one","type":"chatconf.command.v1","subject":"login",` +
		`"time":"2026-11-23T08:00:00Z","datacontenttype":"application/json","data":{"accountId":"1234567890123456","regionId":"cn-hangzhou","configuration":"one","platform":"Slack",` +
		`"conversationId":"c1","direct":false,"userId":"u1","userName":"the u1","groups":[],"text":"Login 'i 1' --password planted","command":"login","arguments":["i 1","--password","planted"],` +
		`"ramRole":"OpsRole","messageId":"m<1>","sentDate":"2026-11-23T08:00:00Z"}}`
	if string(got) != want {
		t.Errorf("event =\n%s, want\n%s", got, want)
	}
	if via, err := json.Marshal(job.Event()); err != nil || !json.Valid(via) {
		t.Errorf("json.Marshal = %s, %v", via, err)
	}
	job.Command.Sent, job.Command.Groups, job.Command.Arguments, job.Ref.ID = time.Time{}, []string{"a"}, nil, "x"
	if text, err := job.Event().MarshalJSON(); err != nil || !strings.Contains(string(text), `"groups":["a"]`) || !strings.Contains(string(text), `"arguments":[]`) || strings.Contains(string(text), "sentDate") {
		t.Errorf("event = %s, %v", text, err)
	}
}

func TestRefThatHasNoTime(t *testing.T) {
	for id, want := range map[string]bool{"1795420801234-0000000000000000": true, "": false, "x-y": false} {
		if got := !chat.RefTime(command.Ref{ID: id}).IsZero(); got != want {
			t.Errorf("%q has a time: %v", id, got)
		}
	}
}

// A command's own name may hold a secret, or say that its arguments are some.
func TestRecordMasksTheNameOfACommand(t *testing.T) {
	h := newBase(t, chat.Options{})
	e := h.bot("one")
	for text, want := range map[string]string{
		"token=planted x":              "token=****** [x]",
		"xoxb-planted":                 "****** []",
		"set-password planted planted": "set-password [****** ******]",
		"stop planned":                 "stop [planned]",
	} {
		h.clock.advance(time.Second)
		h.record(e, arrival(t, e, fmt.Sprint("m", len(text), want[:1]), "u1", text))
		got := h.commands("one")[0]
		if show := fmt.Sprint(got.Command, " ", got.Arguments); show != want || strings.Contains(got.Reason, "planted") || !strings.Contains(got.Reason, got.Command) {
			t.Errorf("%s: %s, %s", text, show, got.Reason)
		}
		command, err := e.Command(&command.Message{Text: text})
		if err != nil {
			t.Fatal(err)
		}
		if log := command.LogValue().String(); strings.Contains(log, "planted") {
			t.Errorf("%s: the log has %s", text, log)
		}
	}
	for _, item := range h.journalItems(partition) {
		if strings.HasPrefix(item.Sort, "r#") && strings.Contains(string(item.Value), "planted") {
			t.Errorf("%s holds a secret: %s", item.Sort, item.Value)
		}
	}
}

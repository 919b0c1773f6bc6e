package journal_test

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
	"chatconf/shared/chat/chattest"
	"chatconf/shared/command"
	"chatconf/shared/fault"
	"chatconf/shared/journal"
	"chatconf/shared/secret"
	"chatconf/shared/table"
)

func TestRecord(t *testing.T) {
	h := chattest.New(t, chat.Options{})
	e := h.Bot("one", `"Target":{"Type":"Http","Url":"https://h.example.com/planted","Secret":"`+
		chattest.TargetSecret+`"}`)
	a := chattest.Arrival(t, e, "m1", "u1", "Restart i-1 --token planted password=planted")
	a.Received = h.Clock.Now()
	a.Guards = []string{"g1", "g1", "g2"}
	a.Pending = &journal.Pending{ReplyTo: command.ReplyTo{Kind: "response_url",
		URL: "https://planted.example.com", ID: "planted-id"}}
	h.Clock.Advance(1234 * time.Millisecond)
	h.Spy.Reset()
	ref := h.MustRecord(e, a)
	// the record, and once in a process that its partition holds something
	if got := h.Spy.Took(); got != "Write Write" {
		t.Errorf("calls = %s", got)
	}
	if ref.Name != "one" || ref.Account != chattest.Account || ref.Region != chattest.Region ||
		!strings.HasPrefix(ref.ID, "1795420801234-") || len(ref.ID) != 30 {
		t.Errorf("ref = %+v", ref)
	}
	b := chattest.Arrival(t, e, "m2", "u2", "stop")
	b.Answered = true
	h.Clock.Advance(time.Second)
	h.Spy.Reset()
	h.MustRecord(e, b)
	if got := h.Spy.Took(); got != "Write" {
		t.Errorf("calls = %s", got)
	}
	list := h.Commands("one")
	for i := range list {
		list[i].Id = ""
	}
	chattest.Equal(t, "the records", list, []chat.ChatCommand{
		{Date: "2026-11-23T08:00:02+00:00", Name: "one", Revision: 1, Platform: "Slack", ConversationId: "c1",
			UserId: "u2", UserName: "the u2", Command: "stop", Arguments: []string{},
			Decision: "Denied", Statement: chattest.Ptr(1),
			StatementText: `{"Effect":"Deny","Principals":["*"],"Commands":["stop"]}`,
			Reason:        "Permissions[1] denies stop.", Outcome: "Recorded", Answered: true, MessageId: "m2"},
		{Date: "2026-11-23T08:00:01+00:00", Name: "one", Revision: 1, Platform: "Slack", ConversationId: "c1",
			UserId: "u1", UserName: "the u1", Command: "restart",
			Arguments: []string{"i-1", "--token", "******", "password=******"},
			Decision:  "Allowed", Statement: chattest.Ptr(0),
			StatementText: `{"Effect":"Allow","Principals":["*"],"Commands":["*"],"RamRole":"OpsRole"}`,
			Reason:        "Permissions[0] allows restart.", RamRole: "OpsRole",
			Target: "Http h.example.com", Outcome: "Pending", State: "Accepted", Latency: 1234, MessageId: "m1"},
	})
	items := h.JournalItems(chattest.Partition)
	var kinds []string
	for _, item := range items {
		kinds = append(kinds, item.Sort[:2])
		if strings.Contains(string(item.Value), "planted") ||
			strings.Contains(string(item.Value), chattest.TargetSecret) {
			t.Errorf("%s holds a secret: %s", item.Sort, item.Value)
		}
	}
	slices.Sort(kinds)
	if got := strings.Join(kinds, " "); got != "g# g# h# h# l# l# m# m# o# r# r#" {
		t.Errorf("items = %s", got)
	}
	if got := h.JournalItems("journals"); len(got) != 1 || got[0].Sort != chattest.Partition {
		t.Errorf("journals = %v", got)
	}
}

// TestRecordCountsAMessageOnce holds that of many deliveries at once one is fresh.
func TestRecordCountsAMessageOnce(t *testing.T) {
	h := chattest.New(t, chat.Options{})
	e := h.Bot("one")
	a := chattest.Arrival(t, e, "m1", "u1", "restart")
	a.Guards = []string{"g"}
	a.Pending = &journal.Pending{}
	var fresh, duplicate atomic.Int64
	var mu sync.Mutex
	ids := make(map[string]bool)
	journals := []*journal.Journal{h.Journal, h.JournalWith(h.Ring)}
	chattest.InParallel(t, 100, func(i int) error {
		ref, verdict, err := journals[i%2].Record(h.Ctx, e, a)
		switch {
		case err != nil:
			return err
		case verdict == journal.Fresh:
			fresh.Add(1)
		case verdict == journal.Duplicate:
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
	if got := h.Commands("one"); len(got) != 1 {
		t.Errorf("%d records", len(got))
	}
	if due, err := h.Journal.Due(h.Ctx, 10, 1000); err != nil || len(due) != 0 {
		t.Errorf("due = %v, %v", due, err)
	}
	h.Clock.Advance(time.Minute)
	if due, err := h.Journal.Due(h.Ctx, 10, 1000); err != nil || len(due) != 1 {
		t.Errorf("due = %v, %v", due, err)
	}
	// The same message to another configuration is another message.
	two := h.Bot("two")
	h.MustRecord(two, a)
}

func TestRecordRefusesAGuardThatWasSeen(t *testing.T) {
	h := chattest.New(t, chat.Options{})
	e := h.Bot("one")
	a := chattest.Arrival(t, e, "m1", "u1", "restart")
	a.Guards = []string{"g1", "g2"}
	h.MustRecord(e, a)
	before := h.JournalItems(chattest.Partition)
	if _, verdict, err := h.Journal.Record(h.Ctx, e, a); verdict != journal.Duplicate || err != nil {
		t.Errorf("the same message = %v, %v", verdict, err)
	}
	b := chattest.Arrival(t, e, "m2", "u1", "drop")
	b.Guards = []string{"g3", "g2"}
	if ref, verdict, err := h.Journal.Record(h.Ctx, e, b); verdict != journal.Replayed ||
		err != nil || ref != (command.Ref{}) {
		t.Errorf("another message under the same guard = %v, %v, %v", ref, verdict, err)
	}
	chattest.Equal(t, "the journal", h.JournalItems(chattest.Partition), before)
	b.Guards = []string{"g3"}
	h.MustRecord(e, b)
	// After the retention all are forgotten.
	h.Clock.Advance(journal.DefaultRetention + time.Second)
	h.MustRecord(e, a)
}

func TestGuardsWithoutACommand(t *testing.T) {
	h := chattest.New(t, chat.Options{})
	e := h.Bot("one")
	h.Spy.Reset()
	if err := h.Journal.Guard(h.Ctx, e, nil); err != nil || h.Spy.Took() != "" {
		t.Errorf("no guards = %v", err)
	}
	for range 2 { // the callback is delivered again
		if err := h.Journal.Guard(h.Ctx, e, []string{"g1", "g1", "g2"}); err != nil {
			t.Errorf("Guard = %v", err)
		}
	}
	if got := h.Spy.Took(); got != "Write Write" {
		t.Errorf("calls = %s", got)
	}
	a := chattest.Arrival(t, e, "m1", "u1", "restart")
	a.Guards = []string{"g2"}
	if _, verdict, err := h.Journal.Record(h.Ctx, e, a); verdict != journal.Replayed || err != nil {
		t.Errorf("a message under the guard = %v, %v", verdict, err)
	}
	a.Guards = []string{"g3"}
	h.MustRecord(e, a)
	if err := h.Journal.Guard(h.Ctx, e, make([]string, 17)); err == nil {
		t.Error("too many guards are taken")
	}
}

func TestRecordRefusesWhatItCannotKeep(t *testing.T) {
	h := chattest.New(t, chat.Options{})
	e := h.Bot("one")
	_, _, err := h.Journal.Record(h.Ctx, e, chattest.Arrival(t, e, "", "u1", "restart"))
	chattest.WantError(t, "Record of a message without id", err, fault.Internal, "")
	a := chattest.Arrival(t, e, "m1", "u1", "restart")
	a.Guards = make([]string, 17)
	_, _, err = h.Journal.Record(h.Ctx, e, a)
	chattest.WantError(t, "Record with 17 guards", err, fault.Internal, "")
	a.Guards = nil
	a.Command.Sent = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC) // which JSON has no form for
	a.Pending = &journal.Pending{}
	_, _, err = h.Journal.Record(h.Ctx, e, a)
	chattest.WantError(t, "Record with an invalid time", err, fault.Internal, "")
	a.Command.Sent, a.Pending.Answer = time.Time{}, strings.Repeat("x", 300<<10)
	_, _, err = h.Journal.Record(h.Ctx, e, a)
	chattest.WantError(t, "Record with an answer that cannot be sealed", err, fault.Internal, "")
	j, err := journal.New(h.Pages, h.Ring, journal.Options{Now: h.Clock.Now, Random: &chattest.Few{}})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = j.Record(h.Ctx, e, a)
	chattest.WantError(t, "Record without random", err, fault.Internal, "")
	if got := h.JournalItems(chattest.Partition); len(got) != 0 {
		t.Errorf("%d items", len(got))
	}
}

// TestRecordOfTheLongest holds that whatever a message may hold fits into an item, cut where it is
// only shown.
func TestRecordOfTheLongest(t *testing.T) {
	h := chattest.New(t, chat.Options{})
	h.MustCreate(strings.Repeat("n", 200), func(in *chat.CreateRequest) {
		in.Configuration = secret.Text(chattest.With(chattest.Slack,
			`"Permissions":[{"Effect":"Allow","Principals":["*"],"Commands":["`+strings.Repeat(`x","x`, 1)+
				strings.Repeat("重", 100)+`"]}]`))
	})
	e := h.Open(strings.Repeat("n", 200))
	long := strings.Repeat("重", 5000)
	c, err := e.Command(&command.Message{ID: long, User: long, UserName: long, Conversation: long,
		Text: "x " + strings.Repeat("重", 2700)})
	if err != nil {
		t.Fatal(err)
	}
	d := e.Decide(c)
	d.Text = long
	ref := h.MustRecord(e, journal.Arrival{Command: c, Decision: d, Pending: &journal.Pending{}})
	got := h.Commands(e.Name)[0]
	for what, text := range map[string]string{"user": got.UserId, "name": got.UserName,
		"conversation": got.ConversationId, "message": got.MessageId, "statement": got.StatementText} {
		if len(text) > 1100 || !strings.HasSuffix(text, "重…") {
			t.Errorf("the %s has %d bytes", what, len(text))
		}
	}
	job, err := h.Journal.Claim(h.Ctx, ref, time.Minute)
	if err != nil || job.Command.User != long || len(job.Command.Arguments) != 1 {
		t.Errorf("Claim = %v", err)
	}
}

// TestRecordWhoseAnswerWasLost holds that a write which happened, and whose answer was lost on the
// way to the store, counts as done when the store's client tries it again.
func TestRecordWhoseAnswerWasLost(t *testing.T) {
	h := chattest.New(t, chat.Options{})
	e := h.Bot("one")
	h.Pages.OnWrite = func(c *table.Change) error {
		if len(c.Puts) > 1 {
			return h.Pages.Table.Write(h.Ctx, chattest.Partition, *c) // and then once more
		}
		return nil
	}
	ref := h.MustRecord(e, chattest.Arrival(t, e, "m1", "u1", "restart"))
	h.Pages.Reset()
	if got := h.Commands("one"); len(got) != 1 || got[0].Id != ref.ID {
		t.Errorf("records = %+v", got)
	}
}

// version returns a version of the message m1, decided.
func version(e *command.Endpoint, edit, text string) journal.Arrival {
	c, _ := e.Command(&command.Message{ID: "m1", EventID: "e" + edit, Edit: edit,
		Conversation: "c1", User: "u1", Text: text})
	return journal.Arrival{Command: c, Decision: e.Decide(c), Pending: &journal.Pending{}}
}

// TestEditedMessage holds that of a message and its edits one runs at most: the first that may.
// Those before it are answered, and nothing is twice.
func TestEditedMessage(t *testing.T) {
	type step struct {
		edit, text string
		want       journal.Verdict
	}
	for about, steps := range map[string][]step{
		"it ran": {{"", "restart i-1", journal.Fresh}, {"1", "restart i-2", journal.Duplicate},
			{"2", "stop", journal.Duplicate}, {"", "restart i-1", journal.Duplicate}},
		"it was mistyped": {{"", "stop i-1", journal.Fresh}, {"1", "restart i-1", journal.Fresh},
			{"2", "restart i-2", journal.Duplicate}, {"1", "restart i-1", journal.Duplicate}},
		"it was no command": {{"", "restart 'i", journal.Fresh}, {"1", "restart 'i'", journal.Fresh},
			{"2", "restart i-2", journal.Duplicate}},
		"it was mistyped twice": {{"", "stop", journal.Fresh}, {"9", "stop i-1", journal.Fresh},
			{"9", "stop i-1", journal.Duplicate}, {"10", "restart", journal.Fresh},
			{"11", "restart i-1", journal.Duplicate}},
		"an edit changed nothing": {{"", "stop", journal.Fresh}, {"1", "stop", journal.Duplicate},
			{"2", "restart", journal.Fresh}},
		"an edit comes late": {{"", "stop", journal.Fresh}, {"2", "stop i-1", journal.Fresh},
			{"1", "restart", journal.Duplicate}},
		"the edit comes first":        {{"1", "restart", journal.Fresh}, {"", "restart", journal.Duplicate}},
		"delivered again, not edited": {{"", "stop", journal.Fresh}, {"", "restart", journal.Duplicate}},
		"what is built in":            {{"", "help", journal.Fresh}, {"1", "restart", journal.Duplicate}},
	} {
		h := chattest.New(t, chat.Options{})
		e := h.Bot("one")
		fresh := 0
		for i, s := range steps {
			h.Clock.Advance(time.Second)
			ref, verdict, err := h.Journal.Record(h.Ctx, e, version(e, s.edit, s.text))
			if err != nil || verdict != s.want || ref.ID == "" {
				t.Errorf("%s, step %d: %v, %v, %v", about, i, ref, verdict, err)
			}
			if s.want == journal.Fresh {
				fresh++
			}
		}
		ran, list := 0, h.Commands("one")
		for _, c := range list {
			if c.Decision == journal.DecisionAllowed {
				ran++
			}
			if c.MessageId != "m1" {
				t.Errorf("%s: %+v", about, c)
			}
		}
		if len(list) != fresh || ran > 1 || len(h.JournalItems("journals")) != 1 {
			t.Errorf("%s: %d run of %+v", about, ran, list)
		}
	}
}

// TestEditsAtOnce holds that of many edits at the same time one runs.
func TestEditsAtOnce(t *testing.T) {
	h := chattest.New(t, chat.Options{})
	e := h.Bot("one")
	h.MustRecord(e, version(e, "", "stop"))
	var fresh atomic.Int64
	chattest.InParallel(t, 16, func(i int) error {
		_, verdict, err := h.Journal.Record(h.Ctx, e, version(e, fmt.Sprint(10+i), fmt.Sprint("restart ", i)))
		if verdict == journal.Fresh {
			fresh.Add(1)
		}
		return err
	})
	if list := h.Commands("one"); fresh.Load() != 1 || len(list) != 2 {
		t.Errorf("%d are fresh, and recorded is %+v", fresh.Load(), list)
	}
}

// TestEditWhenTheStoreFails holds that what cannot be told is an error, and that the next delivery
// tells; and that what is gone or damaged runs nothing.
func TestEditWhenTheStoreFails(t *testing.T) {
	begin := func(t *testing.T) (*chattest.House, *command.Endpoint, command.Ref) {
		h := chattest.New(t, chat.Options{})
		e := h.Bot("one")
		return h, e, h.MustRecord(e, version(e, "", "stop"))
	}
	for about, f := range chattest.Faults {
		for _, at := range []struct {
			verb string
			n    int
		}{{"Get", 1}, {"Get", 2}, {"Write", 2}} {
			h, e, _ := begin(t)
			h.Pages.Fail(at.verb, at.n, f.Err)
			if _, _, err := h.Journal.Record(h.Ctx, e, version(e, "1", "restart")); err == nil {
				t.Errorf("%s at %s %d: no error", about, at.verb, at.n)
			}
			h.Pages.Reset()
			if _, verdict, err := h.Journal.Record(h.Ctx, e, version(e, "1", "restart")); err != nil ||
				verdict != journal.Fresh || len(h.Commands("one")) != 2 {
				t.Errorf("%s at %s %d, again: %v, %v", about, at.verb, at.n, verdict, err)
			}
		}
	}
	h, e, _ := begin(t)
	h.Pages.OnWrite = func(c *table.Change) error { // its answer is lost, and the store's client tries it again
		if c.Puts[0].If == table.AtRevision(1) {
			return h.Pages.Table.Write(h.Ctx, chattest.Partition, *c)
		}
		return nil
	}
	if _, verdict, err := h.Journal.Record(h.Ctx, e, version(e, "1", "restart")); err != nil ||
		verdict != journal.Fresh {
		t.Errorf("whose answer was lost: %v, %v", verdict, err)
	}
	h, e, ref := begin(t)
	planted := table.Change{Puts: []table.Put{{Sort: journal.EntryKey(ref), Value: []byte("planted")}}}
	if err := h.Pages.Table.Write(h.Ctx, chattest.Partition, planted); err != nil {
		t.Fatal(err)
	}
	if _, _, err := h.Journal.Record(h.Ctx, e, version(e, "1", "restart")); err == nil {
		t.Error("of a record that is damaged: no error")
	}
	if err := h.Pages.Table.Write(h.Ctx, chattest.Partition,
		table.Change{Deletes: []table.Delete{{Sort: journal.EntryKey(ref)}}}); err != nil {
		t.Fatal(err)
	}
	if _, verdict, err := h.Journal.Record(h.Ctx, e, version(e, "1", "restart")); err != nil ||
		verdict != journal.Duplicate {
		t.Errorf("of a record that is gone: %v, %v", verdict, err)
	}
	h.Pages.OnRead = func([]table.Item) []table.Item { return nil } // the message vanishes by its age
	if _, verdict, err := h.Journal.Record(h.Ctx, e, version(e, "1", "restart")); err != nil ||
		verdict != journal.Duplicate {
		t.Errorf("of a message that is gone: %v, %v", verdict, err)
	}
}

func TestRecordWhenTheStoreFails(t *testing.T) {
	for about, f := range chattest.Faults {
		for n := 1; n <= 2; n++ {
			h := chattest.New(t, chat.Options{})
			e := h.Bot("one")
			a := chattest.Arrival(t, e, "m1", "u1", "restart")
			a.Pending = &journal.Pending{}
			ctx, calls := h.Spy.FailAt(h.Ctx, n, f)
			_, _, err := h.Journal.Record(ctx, e, a)
			calls()
			h.Spy.Reset()
			what := fmt.Sprintf("Record when %s at call %d", about, n)
			chattest.WantError(t, what, err, f.Code, "")
			// Whichever of the two writes failed, the platform's next delivery makes it whole.
			_, verdict, err := h.Journal.Record(h.Ctx, e, a)
			if err != nil {
				t.Errorf("%s: again: %v, %v", what, verdict, err)
			}
			if len(h.Commands("one")) != 1 || len(h.JournalItems("journals")) != 1 {
				t.Errorf("%s: it is not whole", what)
			}
		}
		h := chattest.New(t, chat.Options{})
		e := h.Bot("one")
		a := chattest.Arrival(t, e, "m1", "u1", "restart")
		h.MustRecord(e, a)
		h.Spy.Fail("Get", 1, f.Err)
		_, _, err := h.Journal.Record(h.Ctx, e, a)
		if err == nil {
			t.Errorf("Record of a duplicate when %s: no error", about)
		}
	}
}

// TestJournalsAreListedAgain holds that a partition is listed where something is pending,
// and again before the list forgets it.
func TestJournalsAreListedAgain(t *testing.T) {
	h := chattest.New(t, chat.Options{})
	e := h.Bot("one")
	writes := func(id string, pending *journal.Pending) string {
		h.Spy.Reset()
		a := chattest.Arrival(t, e, id, "u1", "restart")
		a.Pending = pending
		h.MustRecord(e, a)
		return h.Spy.Took()
	}
	if got, want := writes("m", nil), "Write"; got != want || len(h.JournalItems("journals")) != 0 {
		t.Errorf("with nothing pending: calls = %s, want %s", got, want)
	}
	for i, c := range []struct {
		after time.Duration
		want  string
	}{{0, "Write Write"}, {0, "Write"}, {24*time.Hour - time.Millisecond, "Write"}, {time.Millisecond, "Write Write"},
		{-time.Hour, "Write Write"}, {0, "Write"}} {
		h.Clock.Advance(c.after)
		if got := writes(fmt.Sprint("m", i), &journal.Pending{}); got != c.want {
			t.Errorf("record %d: calls = %s, want %s", i, got, c.want)
		}
	}
}

func TestNewJournalRefusesWhatCannotWork(t *testing.T) {
	h := chattest.New(t, chat.Options{})
	for about, c := range map[string]struct {
		table     table.Table
		retention time.Duration
		ring      bool
	}{
		"no table":                   {nil, 0, true},
		"no ring":                    {h.Pages, 0, false},
		"a retention below two days": {h.Pages, 47 * time.Hour, true},
		"a retention below zero":     {h.Pages, -time.Hour, true},
		"a retention of eons":        {h.Pages, 3651 * 24 * time.Hour, true},
	} {
		ring := h.Ring
		if !c.ring {
			ring = nil
		}
		if j, err := journal.New(c.table, ring, journal.Options{Retention: c.retention}); err == nil || j != nil {
			t.Errorf("%s: no error", about)
		}
	}
	// A platform may deliver a message again up to 25 hours later, when the journal must still know
	// it.
	if _, err := journal.New(h.Pages, h.Ring, journal.Options{Retention: 48 * time.Hour}); err != nil {
		t.Errorf("two days: %v", err)
	}
	if err := journal.CheckRetention(journal.DefaultRetention); err != nil {
		t.Error(err)
	}
}

func TestClaim(t *testing.T) {
	h := chattest.New(t, chat.Options{})
	e := h.Bot("one", `"UserGroups":{"sre":["u1"]}`)
	now := h.Clock.Now()
	ref := h.Pending(e, "m1")
	h.Spy.Reset()
	job, err := h.Journal.Claim(h.Ctx, ref, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if got := h.Spy.Took(); got != "Get Write" {
		t.Errorf("calls = %s", got)
	}
	chattest.Equal(t, "the command", job.Command, command.Command{
		Account: chattest.Account, Region: chattest.Region, Configuration: "one", Platform: "Slack", Conversation: "c1",
		User: "u1", UserName: "the u1", Groups: []string{"sre"}, MessageID: "m1",
		Sent: now, Text: "Login 'i 1' --password planted", Name: "login",
		Arguments: []string{"i 1", "--password", "planted"},
	})
	chattest.Equal(t, "where to answer", job.ReplyTo, command.ReplyTo{Kind: "response_url",
		URL: "https://planted.example.com", ID: "to", Expires: now.Add(time.Hour)})
	if job.Ref != ref || job.RamRole != "OpsRole" || job.Answer != "" || job.Attempts != 1 ||
		!job.Recorded.Equal(now) || !job.Created.Equal(e.Created) || e.Created.IsZero() {
		t.Errorf("job = %v", job.Ref)
	}
	if _, err := h.Journal.Claim(h.Ctx, ref, time.Minute); !errors.Is(err, journal.ErrTaken) {
		t.Errorf("Claim of what is taken: %v", err)
	}
	h.Clock.Advance(time.Minute - time.Millisecond)
	if _, err := h.Journal.Claim(h.Ctx, ref, time.Minute); !errors.Is(err, journal.ErrTaken) {
		t.Errorf("Claim within the lease: %v", err)
	}
	if due, _ := h.Journal.Due(h.Ctx, 9, 1000); len(due) != 0 {
		t.Errorf("within the lease, due is %v", due)
	}
	h.Clock.Advance(time.Millisecond)
	if due, _ := h.Journal.Due(h.Ctx, 9, 1000); !slices.Equal(due, []command.Ref{ref}) {
		t.Errorf("after the lease, due is %v", due)
	}
	second, err := h.Journal.Claim(h.Ctx, ref, time.Minute)
	if err != nil || second.Attempts != 2 {
		t.Fatalf("Claim after the lease: %v", err)
	}
	// Who lost the lease has nothing to say any more.
	if err := h.Journal.Settle(h.Ctx, job, journal.Result{Outcome: journal.OutcomeFailed}); !errors.Is(err,
		journal.ErrTaken) {
		t.Errorf("Settle after the lease: %v", err)
	}
	if err := h.Journal.Retry(h.Ctx, job, now, ""); !errors.Is(err, journal.ErrTaken) {
		t.Errorf("Retry after the lease: %v", err)
	}
	if err := h.Journal.Retry(h.Ctx, second, h.Clock.Now().Add(time.Hour), "503 from the target"); err != nil {
		t.Fatal(err)
	}
	if got := h.Commands("one")[0]; got.Attempts != 2 || got.Detail != "503 from the target" ||
		got.Outcome != journal.OutcomePending {
		t.Errorf("after a retry: %+v", got)
	}
	h.Clock.Advance(time.Hour - time.Millisecond)
	if _, err := h.Journal.Claim(h.Ctx, ref, time.Minute); !errors.Is(err, journal.ErrTaken) {
		t.Errorf("Claim before its time: %v", err)
	}
	h.Clock.Advance(time.Millisecond)
	third, err := h.Journal.Claim(h.Ctx, ref, time.Minute)
	if err != nil || third.Attempts != 3 {
		t.Fatalf("Claim at its time: %v", err)
	}
	if err := h.Journal.Settle(h.Ctx, third, journal.Result{Outcome: journal.OutcomeDelivered,
		Answered: true, Detail: "200"}); err != nil {
		t.Fatal(err)
	}
	got := h.Commands("one")[0]
	if got.Attempts != 3 || got.Detail != "200" || got.Outcome != journal.OutcomeDelivered || !got.Answered ||
		got.SettledDate != "2026-11-23T09:01:00+00:00" {
		t.Errorf("settled: %+v", got)
	}
	for about, err := range map[string]error{
		"Claim": func() error { _, err := h.Journal.Claim(h.Ctx, ref, time.Minute); return err }(),
		"another": func() error {
			_, err := h.Journal.Claim(h.Ctx, command.Ref{Account: "9", Region: chattest.Region, Name: "x", ID: "y"},
				time.Minute)
			return err
		}(),
	} {
		if !errors.Is(err, journal.ErrSettled) {
			t.Errorf("%s of what is settled: %v", about, err)
		}
	}
	if err := h.Journal.Settle(h.Ctx, third, journal.Result{}); !errors.Is(err, journal.ErrTaken) {
		t.Errorf("Settle twice: %v", err)
	}
	for _, item := range h.JournalItems(chattest.Partition) {
		if strings.HasPrefix(item.Sort, "o#") {
			t.Errorf("%s is left", item.Sort)
		}
	}
}

// TestClaimByManyAtOnce holds that one of many gets a command.
func TestClaimByManyAtOnce(t *testing.T) {
	h := chattest.New(t, chat.Options{})
	ref := h.Pending(h.Bot("one"), "m1")
	var got atomic.Int64
	chattest.InParallel(t, 32, func(int) error {
		switch _, err := h.Journal.Claim(h.Ctx, ref, time.Minute); {
		case err == nil:
			got.Add(1)
		case !errors.Is(err, journal.ErrTaken):
			return err
		}
		return nil
	})
	if got.Load() != 1 {
		t.Errorf("%d claims", got.Load())
	}
}

// TestSettleWithoutRecord holds that a command whose record vanished by its age is settled all the
// same.
func TestSettleWithoutRecord(t *testing.T) {
	h := chattest.New(t, chat.Options{})
	ref := h.Pending(h.Bot("one"), "m1")
	if err := h.Pages.Table.Write(h.Ctx, chattest.Partition,
		table.Change{Deletes: []table.Delete{{Sort: journal.EntryKey(ref)}}}); err != nil {
		t.Fatal(err)
	}
	job, err := h.Journal.Claim(h.Ctx, ref, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Journal.Settle(h.Ctx, job, journal.Result{Outcome: journal.OutcomeFailed, Detail: "gone"}); err != nil {
		t.Fatal(err)
	}
	if got := h.Commands("one"); len(got) != 0 {
		t.Errorf("records = %v", got)
	}
}

func TestOutboxWhenTheStoreFails(t *testing.T) {
	for about, f := range chattest.Faults {
		h := chattest.New(t, chat.Options{})
		e := h.Bot("one")
		ref := h.Pending(e, "m1")
		fail := func(what string, n int, call func(context.Context) error) {
			t.Helper()
			ctx, calls := h.Spy.FailAt(h.Ctx, n, f)
			err := call(ctx)
			calls()
			h.Spy.Reset()
			chattest.WantError(t, fmt.Sprintf("%s when %s at call %d", what, about, n), err, f.Code, "")
		}
		for n := 1; n <= 2; n++ {
			fail("Claim", n, func(ctx context.Context) error {
				_,
					err := h.Journal.Claim(ctx, ref, time.Minute)
				return err
			})
		}
		job, err := h.Journal.Claim(h.Ctx, ref, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		fail("Settle", 1, func(ctx context.Context) error {
			return h.Journal.Settle(ctx, job, journal.Result{Outcome: journal.OutcomeDelivered})
		})
		fail("Retry", 1, func(ctx context.Context) error { return h.Journal.Retry(ctx, job, h.Clock.Now(), "") })
		for n := 1; n <= 2; n++ {
			fail("Due", n, func(ctx context.Context) error { _, err := h.Journal.Due(ctx, 9, 9); return err })
		}
	}
}

func TestOutboxThatIsTampered(t *testing.T) {
	for about, edit := range map[string]func(h *chattest.House, items map[string]table.Item) table.Item{
		"no JSON": func(_ *chattest.House, items map[string]table.Item) table.Item {
			i := items["o#"]
			i.Value = []byte("planted")
			return i
		},
		"another version": func(_ *chattest.House, items map[string]table.Item) table.Item {
			i := items["o#"]
			i.Value = chattest.Reencode(i.Value, func(m map[string]any) { m["v"] = 2 })
			return i
		},
		"a bit of what is sealed": func(_ *chattest.House, items map[string]table.Item) table.Item {
			i := items["o#"]
			i.Value = chattest.Reencode(i.Value,
				func(m map[string]any) { m["sealed"] = chattest.FlipBit(m["sealed"].(string)) })
			return i
		},
		"something else sealed": func(h *chattest.House, items map[string]table.Item) table.Item {
			i := items["o#"]
			i.Value = chattest.Reencode(i.Value, func(m map[string]any) {
				m["sealed"] = journal.SealOutbox(h.Ring, chattest.Account,
					chattest.Region, "one", i.Sort[2:], "planted")
			})
			return i
		},
	} {
		h := chattest.New(t, chat.Options{})
		ref := h.Pending(h.Bot("one"), "m1")
		items := make(map[string]table.Item)
		for _, item := range h.JournalItems(chattest.Partition) {
			items[item.Sort[:2]] = item
		}
		item := edit(h, items)
		if err := h.Pages.Table.Write(h.Ctx, chattest.Partition,
			table.Change{Puts: []table.Put{{Sort: item.Sort, Value: item.Value,
				Revision: item.Revision}}}); err != nil {
			t.Fatal(err)
		}
		_, err := h.Journal.Claim(h.Ctx, ref, time.Minute)
		chattest.WantError(t, "Claim with "+about, err, fault.Internal, "")
		chattest.WantNoDetail(t, err)
		if strings.Contains(fmt.Sprint(errors.Unwrap(err)), "planted") {
			t.Errorf("%s: the log would show the content: %v", about, errors.Unwrap(err))
		}
		h.Clock.Advance(time.Hour)
		// when it is due, it is put off, if the store lets it be
		for _, store := range []error{table.ErrUnavailable, nil} {
			if store != nil {
				h.Spy.Fail("Write", 1, store)
			}
			_, err = h.Journal.Claim(h.Ctx, ref, time.Minute)
			if err == nil {
				t.Errorf("Claim of what is due, with %s: no error", about)
			}
			h.Spy.Reset()
		}
		if due, err := h.Journal.Due(h.Ctx, 9, 9); err != nil || len(due) > 0 {
			t.Errorf("%s: due is %v, %v", about, due, err)
		}
		whole := h.Pending(h.Open("one"), "m2")
		h.Clock.Advance(time.Hour)
		due, err := h.Journal.Due(h.Ctx, 9, 1000) // it does not stand in the way of others
		if err != nil || !slices.Contains(due, whole) {
			t.Errorf("%s: due = %v, %v", about, due, err)
		}
	}
	h := chattest.New(t, chat.Options{})
	ref := h.Pending(h.Bot("one"), "m1")
	job, err := h.Journal.Claim(h.Ctx, ref, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for about, value := range map[string]string{"no JSON": "planted", "another name": `{"v":1,"id":"` + ref.ID +
		`","name":"two","life":"` + ref.Life + `"}`, "another life": `{"v":1,"id":"` + ref.ID +
		`","name":"one","life":"0-1"}`, "no life": `{"v":1,"id":"` + ref.ID + `","name":"one"}`,
		"another version": `{"v":2,"id":"` + ref.ID + `","name":"one"}`} {
		journal.SetJobEntry(job, []byte(value))
		chattest.WantError(t, "Settle with "+about, h.Journal.Settle(h.Ctx, job,
			journal.Result{Outcome: journal.OutcomeFailed}), fault.Internal, "")
		chattest.WantError(t, "Retry with "+about, h.Journal.Retry(h.Ctx, job, h.Clock.Now(), ""), fault.Internal, "")
		if err := h.Pages.Table.Write(h.Ctx, chattest.Partition,
			table.Change{Puts: []table.Put{{Sort: journal.EntryKey(ref), Value: []byte(value)}}}); err != nil {
			t.Fatal(err)
		}
		_, err := h.ListCommands(h.Ctx, &chat.ListCommandsRequest{Name: "one"})
		chattest.WantError(t, "ListCommands with "+about, err, fault.Internal, "")
		chattest.WantNoDetail(t, err)
		_, err = h.Health(h.Ctx, &chat.HealthRequest{Name: "one"})
		chattest.WantError(t, "Health with "+about, err, fault.Internal, "")
	}
}

// TestDueIsFair holds that what is due is found in every partition, the oldest of each first, and
// no partition takes all.
func TestDueIsFair(t *testing.T) {
	h := chattest.New(t, chat.Options{})
	other := *chattest.Administrator
	other.Account = "9"
	one := h.Bot("one")
	var refs []command.Ref
	for i := range 250 {
		h.Clock.Advance(time.Millisecond)
		refs = append(refs, h.Pending(one, fmt.Sprint("m", i)))
	}
	there := *one
	there.Account = "9"
	far := *one
	far.Region = "us-east-1"
	late := []command.Ref{h.Pending(&there, "m"), h.Pending(&far, "m")}
	if due, err := h.Journal.Due(h.Ctx, 1000, 1000); err != nil || len(due) != 0 {
		t.Errorf("at once %d are due, %v", len(due), err)
	}
	h.Clock.Advance(time.Minute)
	due, err := h.Journal.Due(h.Ctx, 1000, 1000)
	if err != nil || len(due) != 252 {
		t.Errorf("%d are due, %v", len(due), err)
	}
	for range 10 {
		due, err := h.Journal.Due(h.Ctx, 9, 1000)
		if err != nil || len(due) > 9 || !slices.Contains(due, late[0]) || !slices.Contains(due, late[1]) ||
			!slices.Contains(due, refs[0]) || !slices.Contains(due, refs[2]) {
			t.Errorf("of nine, %v are due, %v", due, err)
		}
	}
	if due, err := h.Journal.Due(h.Ctx, 0, 1000); err != nil || len(due) != 0 {
		t.Errorf("none: %v, %v", due, err)
	}
	if err := h.Pages.Table.Write(h.Ctx, "journals", table.Change{Puts: []table.Put{{Sort: "planted"}}}); err != nil {
		t.Fatal(err)
	}
	_, err = h.Journal.Due(h.Ctx, 1000, 1000)
	chattest.WantError(t, "Due with an invalid partition", err, fault.Internal, "")
}

// TestDueGetsPastWhatIsNotDue holds that very many commands of a target that is down, which wait to
// be tried again, do not keep others from being found.
func TestDueGetsPastWhatIsNotDue(t *testing.T) {
	h := chattest.New(t, chat.Options{})
	one := h.Bot("one")
	chattest.InParallel(t, 1050, func(i int) error {
		a := chattest.Arrival(t, one, fmt.Sprint("m", i), "u1", "restart")
		a.Pending = &journal.Pending{}
		ref, _, err := h.Journal.Record(h.Ctx, one, a)
		if err != nil {
			return err
		}
		job, err := h.Journal.Claim(h.Ctx, ref, time.Minute)
		if err != nil {
			return err
		}
		return h.Journal.Retry(h.Ctx, job, h.Clock.Now().Add(24*time.Hour), "down")
	})
	h.Clock.Advance(time.Second)
	last := h.Pending(one, "last")
	h.Clock.Advance(time.Minute)
	var found []command.Ref
	for n := range 2 {
		due, err := h.Journal.Due(h.Ctx, 10, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if more := h.Journal.More(); more != (n == 0) {
			t.Errorf("after %d of 2, there is more: %v", n+1, more)
		}
		found = append(found, due...)
	}
	if !slices.Equal(found, []command.Ref{last}) {
		t.Errorf("found %v, want %v", found, last)
	}
	// What was passed over is looked at again.
	h.Clock.Advance(25 * time.Hour)
	if due, err := h.Journal.Due(h.Ctx, 10, 1000); err != nil || len(due) != 10 || slices.Contains(due, last) {
		t.Errorf("a day later %v are due, %v", due, err)
	}
}

// TestDueOfManyConfigurations holds that what is due of one configuration does not hide what is due
// of others.
func TestDueOfManyConfigurations(t *testing.T) {
	h := chattest.New(t, chat.Options{})
	one, two := h.Bot("one"), h.Bot("two")
	for i := range 150 {
		h.Pending(one, fmt.Sprint("m", i))
	}
	h.Clock.Advance(time.Millisecond) // of one millisecond, which comes first is chance
	last := h.Pending(two, "m")
	h.Clock.Advance(time.Hour)
	due, err := h.Journal.Due(h.Ctx, 40, 4)
	if err != nil || len(due) != 5 || due[4] != last {
		t.Errorf("due is %v, %v", due, err)
	}
}

func TestDueOfManyPartitions(t *testing.T) {
	h := chattest.New(t, chat.Options{})
	for i := range 13 {
		var c table.Change
		for k := range 77 {
			c.Puts = append(c.Puts, table.Put{Sort: fmt.Sprintf("%d/cn-hangzhou", 77*i+k)})
		}
		if err := h.Pages.Table.Write(h.Ctx, "journals", c); err != nil {
			t.Fatal(err)
		}
	}
	h.Spy.Reset()
	if _, err := h.Journal.Due(h.Ctx, 10_000, 1000); err != nil {
		t.Fatal(err)
	}
	if got := len(strings.Fields(h.Spy.Took())); got != 2+1001 {
		t.Errorf("%d calls", got)
	}
}

// TestClaimOfAnAnswer holds that of a command that is only to be answered no text is kept, which
// may be long where it is no command.
func TestClaimOfAnAnswer(t *testing.T) {
	h := chattest.New(t, chat.Options{})
	e := h.Bot("one")
	m := &command.Message{ID: "m1", User: "u1", Conversation: "c1", Text: strings.Repeat("<", 200_000)}
	c, notOne := e.Command(m)
	if notOne == nil {
		t.Fatal("it is a command")
	}
	a := journal.Arrival{Command: c, Decision: e.Decide(c),
		Pending: &journal.Pending{ReplyTo: command.ReplyTo{Kind: "message", ID: "to"}, Answer: "too long"}}
	job, err := h.Journal.Claim(h.Ctx, h.MustRecord(e, a), time.Minute)
	if err != nil || job.Answer != "too long" || job.Command.Text != "" || job.Command.Arguments != nil ||
		job.Command.User != "u1" || job.ReplyTo.ID != "to" {
		t.Errorf("Claim = %v, %v", job, err)
	}
}

func TestEvent(t *testing.T) {
	h := chattest.New(t, chat.Options{})
	e := h.Bot("one")
	ref := h.Pending(e, "m<1>")
	job, err := h.Journal.Claim(h.Ctx, ref, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	got, err := job.Event().MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"specversion":"1.0","id":"` + ref.ID +
		`","source":"acs:oos:cn-hangzhou:1234567890123456:chatconfiguration/one",` +
		`"type":"chatconf.command.v1","subject":"login",` +
		`"time":"2026-11-23T08:00:00Z","datacontenttype":"application/json","data":{"accountId":"1234567890123456",` +
		`"regionId":"cn-hangzhou","configuration":"one","platform":"Slack",` +
		`"conversationId":"c1","direct":false,"userId":"u1","userName":"the u1","groups":[],"text":"Login 'i 1' ` +
		`--password planted","command":"login","arguments":["i 1","--password","planted"],` +
		`"ramRole":"OpsRole","messageId":"m<1>","sentDate":"2026-11-23T08:00:00Z"}}`
	if string(got) != want {
		t.Errorf("event =\n%s, want\n%s", got, want)
	}
	if via, err := json.Marshal(job.Event()); err != nil || !json.Valid(via) {
		t.Errorf("json.Marshal = %s, %v", via, err)
	}
	job.Command.Sent, job.Command.Groups, job.Command.Arguments, job.Ref.ID = time.Time{}, []string{"a"}, nil, "x"
	if text, err := job.Event().MarshalJSON(); err != nil || !strings.Contains(string(text), `"groups":["a"]`) ||
		!strings.Contains(string(text), `"arguments":[]`) || strings.Contains(string(text), "sentDate") {
		t.Errorf("event = %s, %v", text, err)
	}
}

// The values of an action reach its target through the outbox, and a secret one goes nowhere else.
func TestEventOfAnAction(t *testing.T) {
	h := chattest.New(t, chat.Options{})
	e := h.Bot("one", `"Actions":{"login":{"Aliases":["signin"],"DryRun":true,"Parameters":[{"Name":"user"},`+
		`{"Name":"password","Secret":true},{"Name":"count","Type":"Integer","Default":"7"}]}}`)
	a := chattest.Arrival(t, e, "m1", "u1", "signin password=planted-words bob --dry-run")
	a.Pending = &journal.Pending{}
	ref := h.MustRecord(e, a)
	recorded := h.Commands("one")[0]
	if args := []string{"user=bob", "password=******", "count=7", "--dry-run"}; recorded.Command != "login" ||
		!slices.Equal(recorded.Arguments, args) {
		t.Errorf("the record is %+v", recorded)
	}
	for _, item := range h.JournalItems(chattest.Account + "/" + chattest.Region) {
		if strings.Contains(string(item.Value), "planted") {
			t.Errorf("%s holds %s", item.Sort, item.Value)
		}
	}
	job, err := h.Journal.Claim(h.Ctx, ref, time.Minute)
	if err != nil || e.Again(job.Command) != nil || e.Decide(job.Command) != a.Decision {
		t.Fatalf("Claim: %v", err)
	}
	got, err := job.Event().MarshalJSON()
	const text = `"text":"login user=bob password=****** count=7 --dry-run","command":"login",` +
		`"arguments":["user=bob","password=******","count=7","--dry-run"],`
	const values = `"action":"login","parameters":{"user":"bob","password":"planted-words","count":7},"dryRun":true}}`
	if err != nil || !strings.Contains(string(got), text) || !strings.HasSuffix(string(got), values) {
		t.Errorf("event = %s, %v", got, err)
	}

	// A command that its action cannot read is recorded without what may be a secret.
	wrong, err := e.Command(&command.Message{ID: "m2", User: "u1", Conversation: "c1", Text: "login bob pw planted 2"})
	d := e.Decide(wrong)
	if err == nil || d.Allowed {
		t.Fatalf("too many values: %+v", d)
	}
	h.MustRecord(e, journal.Arrival{Command: wrong, Decision: d, Pending: &journal.Pending{Answer: e.Reply(wrong, d)}})
	if recorded := h.Commands("one")[0]; strings.Contains(fmt.Sprintf("%+v", recorded), "planted") ||
		recorded.Command != "login" || len(recorded.Arguments) != 4 {
		t.Errorf("the record is %+v", recorded)
	}
}

func TestRefThatHasNoTime(t *testing.T) {
	for id, want := range map[string]bool{"1795420801234-0000000000000000": true, "": false, "x-y": false} {
		if got := !journal.RefTime(command.Ref{ID: id}).IsZero(); got != want {
			t.Errorf("%q has a time: %v", id, got)
		}
	}
}

// A command's own name may hold a secret, or say that its arguments are some.
func TestRecordMasksTheNameOfACommand(t *testing.T) {
	h := chattest.New(t, chat.Options{})
	e := h.Bot("one")
	for text, want := range map[string]string{
		"token=planted x":              "token=****** [x]",
		"xoxb-planted":                 "****** []",
		"set-password planted planted": "set-password [****** ******]",
		"stop planned":                 "stop [planned]",
	} {
		h.Clock.Advance(time.Second)
		h.MustRecord(e, chattest.Arrival(t, e, fmt.Sprint("m", len(text), want[:1]), "u1", text))
		got := h.Commands("one")[0]
		if show := fmt.Sprint(got.Command, " ", got.Arguments); show != want ||
			strings.Contains(got.Reason, "planted") || !strings.Contains(got.Reason, got.Command) {
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
	for _, item := range h.JournalItems(chattest.Partition) {
		if strings.HasPrefix(item.Sort, "r#") && strings.Contains(string(item.Value), "planted") {
			t.Errorf("%s holds a secret: %s", item.Sort, item.Value)
		}
	}
}

// stranger calls the webhook of a configuration with another token. Its handler notes that.
func stranger(h *chattest.House, name string) {
	h.T.Helper()
	_, err := h.OpenWebhook(h.Ctx, chattest.Account, chattest.Region, name, "x")
	var why *chat.Unproven
	if !errors.As(err, &why) || why.Of.Name != name {
		h.T.Fatal(err)
	}
	note := journal.Note{Counter: journal.CountRefused, Step: journal.StepToken, Reason: "the URL has another token"}
	if err := h.Journal.Note(h.Ctx, why.Of, note); err != nil {
		h.T.Fatal(err)
	}
}

package journal_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/command"
	"chatconf/shared/fault"
	"chatconf/shared/journal"
	"chatconf/shared/table"
)

// started records a command, claims it and says that it runs until a minute from now.
func started(h *chattest.House, waiting bool) (*journal.Job, command.Ref) {
	h.T.Helper()
	ref := h.Pending(h.Bot("one"), "m1")
	job := claim(h, ref)
	job.Operation = journal.Operation{Execution: "exec-1", Started: h.Clock.Now(), Session: "Slack.u1",
		Target: command.Target{Type: command.TargetOOS, TemplateName: "T"}}
	if err := h.Journal.Running(h.Ctx, job, h.Clock.Now().Add(time.Minute), waiting, journal.StateRunning,
		"at work"); err != nil {
		h.T.Fatal(err)
	}
	return job, ref
}

func claim(h *chattest.House, ref command.Ref) *journal.Job {
	h.T.Helper()
	job, err := h.Journal.Claim(h.Ctx, ref, time.Minute)
	if err != nil {
		h.T.Fatalf("Claim: %v", err)
	}
	return job
}

// cancel asks to cancel a command.
func cancel(h *chattest.House, ref command.Ref, id string) {
	h.T.Helper()
	h.Clock.Advance(time.Second)
	a := chattest.Arrival(h.T, h.Open("one"), id, "u2", "cancel "+ref.ID)
	a.Cancels = ref.ID
	h.MustRecord(h.Open("one"), a)
}

// TestRunning checks that a started command keeps what is known of it, and that claims to follow it
// are no attempts.
func TestRunning(t *testing.T) {
	h := chattest.New(t, chat.Options{})
	_, ref := started(h, true)
	if _, err := h.Journal.Claim(h.Ctx, ref, time.Minute); !errors.Is(err, journal.ErrTaken) {
		t.Errorf("Claim before it is due = %v", err)
	}
	for _, detail := range []string{"", "", "", "", "", "", "", "", "at the end"} {
		h.Clock.Advance(time.Minute)
		job := claim(h, ref)
		if job.Attempts != 1 || job.Doubt || job.Lost != 0 || job.Operation.Execution != "exec-1" ||
			job.Operation.Target.TemplateName != "T" || job.Operation.Session != "Slack.u1" || job.Cancel != nil {
			t.Fatalf("job = %+v", job)
		}
		job.Operation.Polls++
		if err := h.Journal.Running(h.Ctx, job, h.Clock.Now().Add(time.Minute), true, journal.StateRunning,
			detail); err != nil {
			t.Fatal(err)
		}
		if got := h.Commands("one")[0].Detail; got != detail {
			t.Errorf("detail = %q, want %q", got, detail)
		}
	}
	c := h.Commands("one")[0]
	if c.State != "Running" || c.ExecutionId != "exec-1" || c.SessionName != "Slack.u1" || c.Target != "Oos T" ||
		c.Outcome != "Pending" || c.Detail != "at the end" || c.Attempts != 1 || *c.Duration != 9*60_000 {
		t.Errorf("record = %+v", c)
	}
	h.Clock.Advance(time.Minute)
	job := claim(h, ref)
	if err := h.Journal.Settle(h.Ctx, job, journal.Result{Outcome: journal.OutcomeDelivered,
		State: journal.StateSucceeded}); err != nil {
		t.Fatal(err)
	}
	h.Clock.Advance(time.Hour)
	if c := h.Commands("one")[0]; c.State != "Succeeded" || c.Target != "Oos T" || *c.Duration != 10*60_000 {
		t.Errorf("record = %+v", c)
	}
	if text := fmt.Sprint(h.JournalItems(chattest.Partition)); strings.Contains(text, "o#") {
		t.Errorf("the outbox is not empty: %s", text)
	}
}

// TestProcessesThatEnd checks that a process that ends is noticed: before the start it leaves a
// doubt, and after it, it is counted.
func TestProcessesThatEnd(t *testing.T) {
	h := chattest.New(t, chat.Options{})
	ref := h.Pending(h.Bot("one"), "m1")
	claim(h, ref)
	h.Clock.Advance(time.Minute)
	job := claim(h, ref)
	if !job.Doubt || job.Attempts != 2 {
		t.Errorf("after a process that ended: %+v", job)
	}
	if err := h.Journal.Retry(h.Ctx, job, h.Clock.Now(), "busy"); err != nil {
		t.Fatal(err)
	}
	if job = claim(h, ref); !job.Doubt || job.Attempts != 3 {
		t.Errorf("the doubt is forgotten: %+v", job)
	}

	h = chattest.New(t, chat.Options{})
	_, ref = started(h, false)
	for n := 1; n <= 3; n++ {
		h.Clock.Advance(time.Minute)
		if job = claim(h, ref); job.Lost != n || job.Attempts != 1 || job.Doubt {
			t.Errorf("after %d processes: %+v", n, job)
		}
	}
	if err := h.Journal.Running(h.Ctx, job, h.Clock.Now(), true, journal.StateRunning, ""); err != nil {
		t.Fatal(err)
	}
	if job = claim(h, ref); job.Lost != 0 {
		t.Errorf("after one that gave it back: %+v", job)
	}
}

// TestCancellation checks that a request to cancel is found with the claim, also before the command
// is due, but not while a process holds it.
func TestCancellation(t *testing.T) {
	h := chattest.New(t, chat.Options{})
	_, ref := started(h, true)
	cancel(h, ref, "m2")
	job := claim(h, ref)
	if job.Cancel == nil || job.Cancel.User != "u2" || job.Cancel.Conversation != "c1" {
		t.Errorf("Cancel = %+v", job.Cancel)
	}
	if _, err := h.Journal.Claim(h.Ctx, ref, time.Minute); !errors.Is(err, journal.ErrTaken) {
		t.Errorf("Claim while it is held = %v", err)
	}
	if err := h.Journal.Settle(h.Ctx, job, journal.Result{Outcome: journal.OutcomeRecorded,
		State: journal.StateCancelled}); err != nil {
		t.Fatal(err)
	}
	if c := h.Commands("one")[1]; c.State != "Cancelled" || c.Outcome != "Recorded" {
		t.Errorf("record = %+v", c)
	}
	for _, item := range h.JournalItems(chattest.Partition) {
		if strings.HasPrefix(item.Sort, "x#") {
			t.Errorf("%s is left", item.Sort)
		}
	}

	h = chattest.New(t, chat.Options{})
	job, ref = started(h, false)
	if err := h.Journal.Cancelled(h.Ctx, job); err != nil || job.Cancel != nil {
		t.Errorf("before it: %v, %+v", err, job.Cancel)
	}
	cancel(h, ref, "m2")
	h.Spy.Fail("Get", 1, table.ErrUnavailable)
	if err := h.Journal.Cancelled(h.Ctx, job); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("without the table: %v", err)
	}
	h.Spy.Reset()
	if err := h.Journal.Cancelled(h.Ctx, job); err != nil || job.Cancel == nil || job.Cancel.User != "u2" {
		t.Errorf("Cancelled = %v, %+v", err, job.Cancel)
	}
}

// TestCancellationThatIsTampered checks that an invalid request cancels nothing, and does not
// stop the work on the command.
func TestCancellationThatIsTampered(t *testing.T) {
	for _, value := range []string{"planted", `{"v":2,"name":"one"}`, `{"v":1,"name":"two","user":"u1"}`,
		`{"v":1,"name":"one","life":"other"}`} {
		h := chattest.New(t, chat.Options{})
		_, ref := started(h, true)
		if err := h.Pages.Table.Write(h.Ctx, chattest.Partition,
			table.Change{Puts: []table.Put{{Sort: "x#" + ref.ID, Value: []byte(value)}}}); err != nil {
			t.Fatal(err)
		}
		h.Clock.Advance(time.Minute)
		if job := claim(h, ref); job.Cancel != nil {
			t.Errorf("%s cancels: %+v", value, job.Cancel)
		}
	}
}

// TestRunningWhenTheStoreFails checks that after an error nothing is half written, and that a lease
// that is over is noticed.
func TestRunningWhenTheStoreFails(t *testing.T) {
	h := chattest.New(t, chat.Options{})
	job, ref := started(h, false)
	running := func() error {
		return h.Journal.Running(h.Ctx, job, h.Clock.Now(), true, journal.StateRunning, "")
	}
	h.Spy.Fail("Write", 1, table.ErrUnavailable)
	if err := running(); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("without the table: %v", err)
	}
	h.Spy.Reset()
	h.Clock.Advance(time.Minute)
	claim(h, ref)
	if err := running(); !errors.Is(err, journal.ErrTaken) {
		t.Errorf("after the lease: %v", err)
	}
	journal.SetJobEntry(job, []byte("planted"))
	if err := running(); fault.CodeOf(err) != fault.Internal || strings.Contains(err.Error(), "planted") {
		t.Errorf("with a record that cannot be read: %v", err)
	}
}

// TestOldItemsAreRead checks that records and outbox items from before operations are read: they
// have no doubt, no operation, and no state.
func TestOldItemsAreRead(t *testing.T) {
	h := chattest.New(t, chat.Options{})
	ref := h.Pending(h.Bot("one"), "m1")
	claim(h, ref)
	for _, item := range h.JournalItems(chattest.Partition) {
		if item.Sort[:2] != "r#" && item.Sort[:2] != "o#" {
			continue
		}
		var members map[string]any
		if err := json.Unmarshal(item.Value, &members); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"state", "execution", "sessionName", "started", "ended", "waiting", "doubt",
			"lost"} {
			delete(members, name)
		}
		if item.Sort[:2] == "o#" {
			members["sealed"] = journal.SealOutbox(h.Ring, chattest.Account, chattest.Region, "one", ref.ID,
				`{"Created":"2026-11-23T08:00:00Z","Command":{"Account":"1","Region":"r","Configuration":"one",`+
					`"Platform":"Slack","Conversation":"c1","Direct":false,"User":"u1","UserName":"",`+
					`"Groups":null,"MessageID":"m1","EventID":"","Sent":"0001-01-01T00:00:00Z",`+
					`"Text":"restart i-1","Name":"restart","Arguments":["i-1"]},"RamRole":"OpsRole",`+
					`"Answer":"","ReplyTo":{"Kind":"channel","URL":"","ID":"c1",`+
					`"Expires":"0001-01-01T00:00:00Z"}}`)
		}
		value, err := json.Marshal(members)
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Pages.Table.Write(h.Ctx, chattest.Partition, table.Change{Puts: []table.Put{{Sort: item.Sort,
			Value: value, Revision: item.Revision}}}); err != nil {
			t.Fatal(err)
		}
	}
	if c := h.Commands("one")[0]; c.State != "" || c.Duration != nil || c.Outcome != "Pending" {
		t.Errorf("record = %+v", c)
	}
	if _, err := h.Journal.Claim(h.Ctx, ref, time.Minute); !errors.Is(err, journal.ErrTaken) {
		t.Errorf("Claim of what is held = %v", err)
	}
	h.Clock.Advance(time.Minute)
	job := claim(h, ref)
	if job.Attempts != 2 || job.Operation.Execution != "" || job.Command.Name != "restart" ||
		job.Command.Action != "" ||
		job.ReplyTo.ID != "c1" || job.ReplyTo.Uses != 0 {
		t.Errorf("job = %+v", job)
	}
}

// TestGetOfARecord checks that only an id of this life has a record, whatever a person types.
func TestGetOfARecord(t *testing.T) {
	h := chattest.New(t, chat.Options{})
	e := h.Bot("one")
	ref := h.Pending(e, "m1")
	if found, err := h.Journal.Get(h.Ctx, e.Ref(), ref.ID); err != nil || len(found) != 1 || found[0].ID != ref.ID {
		t.Errorf("Get = %v, %v", found, err)
	}
	for _, id := range []string{"", "x", strings.Repeat("9", 5000), ref.ID + "#", strings.ToUpper(ref.ID)[:29] + "G",
		ref.ID[:13] + "-0000000000000000", "../" + ref.ID} {
		if found, err := h.Journal.Get(h.Ctx, e.Ref(), id); err != nil || len(found) > 0 {
			t.Errorf("Get(%.40q) = %v, %v", id, found, err)
		}
	}
	other := h.Bot("two")
	if found, err := h.Journal.Get(h.Ctx, other.Ref(), ref.ID); err != nil || len(found) > 0 {
		t.Errorf("of another configuration: %v, %v", found, err)
	}
	for about, f := range chattest.Faults {
		ctx, calls := h.Spy.FailAt(h.Ctx, 1, f)
		if _, err := h.Journal.Get(ctx, e.Ref(), ref.ID); err == nil {
			t.Errorf("when %s: no error", about)
		}
		calls()
		h.Spy.Reset()
	}
}

// TestFindByState checks that ListChatCommands filters by State, and status by what has not ended.
func TestFindByState(t *testing.T) {
	h := chattest.New(t, chat.Options{})
	e := h.Bot("one")
	refs := make(map[journal.State]command.Ref)
	for i, state := range journal.States {
		h.Clock.Advance(time.Second)
		ref := h.Pending(e, fmt.Sprint("m", i))
		refs[state] = ref
		if state == journal.StateAccepted {
			continue
		}
		job := claim(h, ref)
		job.Operation.Execution = "exec"
		if err := h.Journal.Running(h.Ctx, job, h.Clock.Now(), true, state, ""); err != nil {
			t.Fatal(err)
		}
	}
	for _, state := range journal.States {
		out, err := h.ListCommands(h.Ctx, &chat.ListCommandsRequest{Name: "one", State: strings.ToLower(string(state))})
		if err != nil || len(out.ChatCommands) != 1 || out.ChatCommands[0].Id != refs[state].ID {
			t.Errorf("%s: %+v, %v", state, out, err)
		}
	}
	_, err := h.ListCommands(h.Ctx, &chat.ListCommandsRequest{Name: "one", State: "Done"})
	chattest.WantError(t, "an unknown state", err, fault.InvalidParameter, "State",
		`Unknown State "Done"; use one of Accepted, Running, Succeeded, Failed, Cancelled, TimedOut, Unknown.`)
	found, more, err := h.Journal.Unfinished(h.Ctx, e.Ref(), every, 10)
	if err != nil || more || len(found) != 2 || found[0].State != "Running" || found[1].State != "Accepted" {
		t.Errorf("what has not ended: %v, %v, %v", found, more, err)
	}
	running := func(r *journal.Record) bool { return r.State == journal.StateRunning }
	if found, _, err := h.Journal.Unfinished(h.Ctx, e.Ref(), running, 10); err != nil || len(found) != 1 {
		t.Errorf("what is running: %v, %v", found, err)
	}
	if found, _, err := h.Journal.Unfinished(h.Ctx, e.Ref(), every, 1); err != nil || len(found) != 1 ||
		found[0].State != "Running" {
		t.Errorf("the last one: %v, %v", found, err)
	}
	if found, more, err := h.Journal.Unfinished(h.Ctx, h.Bot("two").Ref(), every, 10); err != nil || more ||
		len(found) > 0 {
		t.Errorf("of another bot: %v, %v, %v", found, more, err)
	}
}

func every(*journal.Record) bool { return true }

// However many commands were settled since, an unfinished one is found. Only a region where too
// much is pending is not searched whole, and that is said.
func TestUnfinishedAmongMany(t *testing.T) {
	h := chattest.New(t, chat.Options{})
	e, other := h.Bot("one"), h.Bot("two")
	ref := h.Pending(e, "first")
	for i := range 150 {
		job := claim(h, h.Pending(e, fmt.Sprint("m", i)))
		if err := h.Journal.Settle(h.Ctx, job, journal.Result{Outcome: journal.OutcomeDelivered}); err != nil {
			t.Fatal(err)
		}
	}
	find := func() ([]*journal.Record, bool) {
		t.Helper()
		found, more, err := h.Journal.Unfinished(h.Ctx, e.Ref(), every, 10)
		if err != nil {
			t.Fatal(err)
		}
		return found, more
	}
	if found, more := find(); len(found) != 1 || more || found[0].ID != ref.ID {
		t.Errorf("after many settled ones: %v, %v", found, more)
	}
	for i := range 1000 {
		h.Clock.Advance(time.Millisecond)
		h.Pending(other, fmt.Sprint("o", i))
		if i == 900 {
			if found, more := find(); len(found) != 1 || more {
				t.Errorf("after 900 of another bot: %v, %v", found, more)
			}
		}
	}
	if found, more := find(); len(found) != 0 || !more {
		t.Errorf("after 1000 of another bot: %v, %v", found, more)
	}
}

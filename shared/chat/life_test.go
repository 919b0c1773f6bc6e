package chat_test

import (
	"context"
	"errors"
	"slices"
	"strings"
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

// again deletes a configuration and creates the name anew.
func (h *house) again(name string, tags map[string]string) *command.Endpoint {
	h.T.Helper()
	h.MustDelete(name)
	h.MustCreate(name, func(in *chat.CreateRequest) {
		in.Configuration, in.Tags = secret.Text(chattest.With(chattest.Slack, chattest.OpenToAll)), tags
	})
	return h.Open(name)
}

// TestALifeHasWhatIsItsOwn holds that nothing which belongs to a life is that of another of the
// same name, even at the same instant: records, message ids, guards, health, and what is left to be
// done.
func TestALifeHasWhatIsItsOwn(t *testing.T) {
	h := newHouse(t)
	first := h.Bot("one")
	a := chattest.Arrival(t, first, "m1", "u1", "restart")
	a.Guards = []string{"guard"}
	h.MustRecord(first, a)
	left := h.Pending(first, "m2")
	for _, note := range []journal.Note{{Counter: journal.CountHandshakes},
		{Counter: journal.CountRefused, Step: "signature", Reason: "planted"}} {
		if err := h.Journal.Note(h.Ctx, first.Ref(), note); err != nil {
			t.Fatal(err)
		}
	}
	second := h.again("one", nil)
	if first.Life == second.Life || second.Life == "" || first.Ref() == second.Ref() {
		t.Fatalf("the lives are %q and %q", first.Life, second.Life)
	}
	h.Spy.Reset()
	if got := h.Commands("one"); len(got) > 0 {
		t.Errorf("records of the second life = %+v", got)
	}
	if got := h.Spy.Took(); got != "Get Query" {
		t.Errorf("ListCommands: calls = %s, want no more than before", got)
	}
	chattest.Equal(t, "health of the second life", h.MustHealth("one"),
		chat.Health{Name: "one", Type: "Slack", Status: "Active", State: chat.HealthSilent,
			Counters: chattest.Counters(nil)})
	// The same message, with the same guard, is another in another life.
	b := chattest.Arrival(t, second, "m1", "u1", "restart")
	b.Guards = []string{"guard"}
	ref := h.MustRecord(second, b)
	if ref.Life != second.Life {
		t.Errorf("the record is of the life %q, want %q", ref.Life, second.Life)
	}
	if again, verdict, err := h.Journal.Record(h.Ctx, second, b); err != nil ||
		verdict != journal.Duplicate || again != ref {
		t.Errorf("once more: %v, %v, %v", again, verdict, err)
	}
	if got := h.Commands("one"); len(got) != 1 || got[0].Id != ref.ID {
		t.Errorf("records of the second life = %+v", got)
	}
	if got := h.MustHealth("one"); got.Counters["Allowed"] != 1 {
		t.Errorf("health of the second life = %+v", got)
	}
	// What is left of the first is found by its own name only, and is not the second's.
	other := left
	other.Life = second.Life
	if _, err := h.Journal.Claim(h.Ctx, other, time.Minute); !errors.Is(err, journal.ErrSettled) {
		t.Errorf("Claim in the second life: %v", err)
	}
	h.Clock.Advance(time.Hour)
	due, err := h.Journal.Due(h.Ctx, 9, 9)
	if err != nil || len(due) != 1 || due[0] != left {
		t.Errorf("due = %v, %v, want %v", due, err, left)
	}
	job, err := h.Journal.Claim(h.Ctx, left, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if !job.IsOf(first) || job.IsOf(second) {
		t.Errorf("the job is of the first life: %v, of the second: %v", job.IsOf(first), job.IsOf(second))
	}
	if err := h.Journal.Settle(h.Ctx, job, journal.Result{Outcome: journal.OutcomeFailed,
		Detail: "planted"}); err != nil {
		t.Fatal(err)
	}
	if got := h.MustHealth("one"); got.Counters["Failed"] != 0 || got.LastDeliveryError != nil {
		t.Errorf("the second life has the first one's failure: %+v", got)
	}
	if got, want := h.MustGet("one").Revision, int64(3); got != want {
		t.Errorf("revision = %d, want %d: they go on", got, want)
	}
	h.MustAgree()
}

// TestWhoMayReadAnEarlierLife holds that the records of what was deleted are for those who may read
// what has the tags that it had, and that nobody reads them once the name is created again: not
// even who deletes it then.
func TestWhoMayReadAnEarlierLife(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one", func(in *chat.CreateRequest) {
		in.Configuration, in.Tags = secret.Text(chattest.With(chattest.Slack, chattest.OpenToAll)),
			map[string]string{"team": "a"}
	})
	first := h.Open("one")
	h.MustRecord(first, chattest.Arrival(t, first, "m1", "u1", "restart"))
	h.MustRecord(first, chattest.Arrival(t, first, "m2", "u1", "restart"))
	team := func(name string) context.Context {
		return chattest.As(t.Context(), callerOf(t, "CCK"+name,
			`{"Effect":"Allow","Action":"oos:*","Resource":"*","Condition":{"StringEquals":{"oos:tag/team":"`+
				name+`"}}}`))
	}
	read := func(ctx context.Context) ([]chat.ChatCommand, error) {
		out, err := h.ListCommands(ctx, &chat.ListCommandsRequest{Name: "one"})
		if err != nil {
			return nil, err
		}
		return out.ChatCommands, nil
	}
	page, err := h.ListCommands(h.Ctx, &chat.ListCommandsRequest{Name: "one", MaxResults: chattest.Ptr[int64](1)})
	if err != nil || page.NextToken == "" {
		t.Fatalf("%+v, %v", page, err)
	}
	h.MustDelete("one")
	for name, want := range map[string]fault.Code{"a": fault.Internal, "b": fault.NoPermission} {
		got, err := read(team(name))
		if want == fault.NoPermission {
			chattest.WantError(t, "team "+name+" reads what was deleted", err, want, "")
		} else if err != nil || len(got) != 2 {
			t.Errorf("team %s reads what was deleted: %v, %v", name, got, err)
		}
	}
	rest, err := h.ListCommands(h.Ctx, &chat.ListCommandsRequest{Name: "one",
		MaxResults: chattest.Ptr[int64](1), NextToken: page.NextToken})
	if err != nil || len(rest.ChatCommands) != 1 {
		t.Errorf("the next page of what was deleted: %+v, %v", rest, err)
	}
	// Another team takes the name.
	_, err = h.Create(team("b"), &chat.CreateRequest{Name: "one", Type: "Slack", Configuration: chattest.Slack,
		Tags: map[string]string{"team": "b"}})
	if err != nil {
		t.Fatal(err)
	}
	for about, ctx := range map[string]context.Context{"team b": team("b"), "an administrator": h.Ctx} {
		if got, err := read(ctx); err != nil || len(got) > 0 {
			t.Errorf("%s reads the earlier life: %v, %v", about, got, err)
		}
	}
	_, err = read(team("a"))
	chattest.WantError(t, "team a reads the name of team b", err, fault.NoPermission, "")
	_, err = h.ListCommands(h.Ctx, &chat.ListCommandsRequest{Name: "one",
		MaxResults: chattest.Ptr[int64](1), NextToken: page.NextToken})
	chattest.WantError(t, "a page of the earlier life", err, fault.InvalidNextToken, "NextToken")
	h.MustDelete("one")
	for about, ctx := range map[string]context.Context{"team b": team("b"), "an administrator": h.Ctx} {
		got, err := read(ctx)
		chattest.WantError(t, about+" reads on, once the name is deleted again", err, fault.NotFound, "Name")
		if len(got) > 0 {
			t.Errorf("%s reads %v", about, got)
		}
	}
	// Of a name that no history knows, nothing is shown, whatever the journal has.
	h.MustRecord(&command.Endpoint{Account: chattest.Account, Region: chattest.Region, Name: "two", Type: "Slack",
		Permissions: first.Permissions}, chattest.Arrival(t, first, "m3", "u1", "restart"))
	_, err = h.ListCommands(h.Ctx, &chat.ListCommandsRequest{Name: "two"})
	chattest.WantError(t, "a name that never was", err, fault.NotFound, "Name")
}

// ofBefore makes a configuration one that was made before lives had ids.
func (h *house) ofBefore(name string) *command.Endpoint {
	h.T.Helper()
	for _, sort := range []string{"c#" + name, chat.HistoryKey(name, h.MustGet(name).Revision)} {
		item := h.Item(sort)
		value := chattest.Reencode(item.Value, func(m map[string]any) { delete(m, "born") })
		h.Tamper(table.Change{Puts: []table.Put{{Sort: sort, Revision: item.Revision, Value: value}}})
	}
	return h.Open(name)
}

// TestALifeOfBefore holds that a configuration that was made before lives had ids keeps its
// records, message ids and health, under the keys that they had then, and that by its date nothing
// of one before it, nor by its keys of one after it.
func TestALifeOfBefore(t *testing.T) {
	h := newHouse(t)
	h.Bot("one")
	oldest := h.ofBefore("one")
	if oldest.Life != "" {
		t.Fatalf("its life is %q", oldest.Life)
	}
	ref := h.MustRecord(oldest, chattest.Arrival(t, oldest, "m1", "u1", "restart"))
	isRecord := func(item table.Item) bool { return item.Sort == "r#one#"+ref.ID }
	if !slices.ContainsFunc(h.JournalItems(chattest.Partition), isRecord) {
		t.Errorf("no record is under r#one#%s", ref.ID)
	}
	if err := h.Journal.Note(h.Ctx, oldest.Ref(), journal.Note{Counter: journal.CountRefused, Step: "signature",
		Reason: "planted"}); err != nil {
		t.Fatal(err)
	}
	h.MustUpdate(&chat.UpdateRequest{Name: "one", RamRole: chattest.Ptr("Ops")})
	if got := h.Open("one"); got.Life != "" || len(h.Commands("one")) != 1 {
		t.Errorf("after an update its life is %q, its records are %v", got.Life, h.Commands("one"))
	}
	if _, verdict, err := h.Journal.Record(h.Ctx, h.Open("one"),
		chattest.Arrival(t, oldest, "m1", "u1", "restart")); err != nil || verdict != journal.Duplicate {
		t.Errorf("the message again: %v, %v", verdict, err)
	}
	// Two that were made before, one after the other.
	h.Clock.Advance(time.Minute)
	h.again("one", nil)
	old := h.ofBefore("one")
	if got := h.Commands("one"); len(got) > 0 {
		t.Errorf("records of the second = %v", got)
	}
	if got := h.MustHealth("one"); got.LastError != nil || got.LastCommandDate != "" || got.State != chat.HealthSilent {
		t.Errorf("health of the second = %+v", got)
	}
	h.MustRecord(old, chattest.Arrival(t, old, "m2", "u1", "stop"))
	h.Clock.Advance(time.Millisecond) // the order of a millisecond's records is chance
	left := h.Pending(old, "m3")
	if got := h.Commands("one"); len(got) != 2 || got[1].Command != "stop" {
		t.Errorf("records of the second = %+v", got)
	}
	job, err := h.Journal.Claim(h.Ctx, left, time.Minute)
	if err != nil || !job.IsOf(old) || job.IsOf(oldest) {
		t.Errorf("the job of the second: %v", err)
	}
	since := h.Clock.Now().Add(-time.Hour).Format(time.RFC3339)
	if list, err := h.ListCommands(h.Ctx, &chat.ListCommandsRequest{Name: "one", Since: since}); err != nil ||
		len(list.ChatCommands) != 2 {
		t.Errorf("since an hour: %+v, %v", list, err)
	}
	h.MustDelete("one")
	if got := h.Commands("one"); len(got) != 2 {
		t.Errorf("records of the second, once it is deleted = %v", got)
	}
	// One of today.
	h.Clock.Advance(time.Minute)
	h.MustCreate("one", func(in *chat.CreateRequest) {
		in.Configuration = secret.Text(chattest.With(chattest.Slack, chattest.OpenToAll))
	})
	e := h.Open("one")
	if e.Life == "" || job.IsOf(e) || len(h.Commands("one")) > 0 {
		t.Errorf("the third life, %q, has the records %v", e.Life, h.Commands("one"))
	}
	h.MustRecord(e, chattest.Arrival(t, e, "m2", "u1", "restart"))
	if got := h.Commands("one"); len(got) != 1 {
		t.Errorf("records of the third = %+v", got)
	}
	h.MustAgree()
}

// TestCheckFindsAnotherLife holds that history tells of the life that a configuration is in.
func TestCheckFindsAnotherLife(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one")
	item := h.Item("h#one#0000000001")
	h.Tamper(table.Change{Puts: []table.Put{{Sort: item.Sort, Revision: 1,
		Value: chattest.Reencode(item.Value, func(m map[string]any) { m["born"] = 7 })}}})
	report, err := h.Check(h.Ctx, chattest.Account, chattest.Region)
	if err != nil || !strings.Contains(strings.Join(report.Problems, " "),
		`history of "one" says that revision 1 is of another life`) {
		t.Errorf("%v, %v", report.Problems, err)
	}
}

package chat_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"chatconf/shared/chat"
	"chatconf/shared/command"
	"chatconf/shared/secret"
	"chatconf/shared/table"
)

// again deletes a configuration and creates the name anew.
func (h *house) again(name string, tags map[string]string) *command.Endpoint {
	h.t.Helper()
	h.delete(name)
	h.create(name, func(in *chat.CreateRequest) {
		in.Configuration, in.Tags = secret.Text(with(slack, openToAll)), tags
	})
	return h.open(name)
}

// TestALifeHasWhatIsItsOwn holds that nothing which belongs to a life is that of another of the same name, even at the same instant:
// records, message ids, guards, health, and what is left to be done.
func TestALifeHasWhatIsItsOwn(t *testing.T) {
	h := newHouse(t)
	first := h.bot("one")
	a := arrival(t, first, "m1", "u1", "restart")
	a.Guards = []string{"guard"}
	h.record(first, a)
	left := h.pending(first, "m2")
	for _, note := range []chat.Note{{Counter: chat.CountHandshakes}, {Counter: chat.CountRefused, Step: "signature", Reason: "planted"}} {
		if err := h.journal.Note(h.ctx, first.Ref(), note); err != nil {
			t.Fatal(err)
		}
	}
	second := h.again("one", nil)
	if first.Life == second.Life || second.Life == "" || first.Ref() == second.Ref() {
		t.Fatalf("the lives are %q and %q", first.Life, second.Life)
	}
	h.spy.reset()
	if got := h.commands("one"); len(got) > 0 {
		t.Errorf("records of the second life = %+v", got)
	}
	if got := h.spy.took(); got != "Get Query" {
		t.Errorf("ListCommands: calls = %s, want no more than before", got)
	}
	equal(t, "health of the second life", h.health("one"), chat.Health{Name: "one", Type: "Slack", Status: "Active", State: chat.HealthSilent, Counters: counters(nil)})
	// The same message, with the same guard, is another in another life.
	b := arrival(t, second, "m1", "u1", "restart")
	b.Guards = []string{"guard"}
	ref := h.record(second, b)
	if ref.Life != second.Life {
		t.Errorf("the record is of the life %q, want %q", ref.Life, second.Life)
	}
	if again, verdict, err := h.journal.Record(h.ctx, second, b); err != nil || verdict != chat.Duplicate || again != ref {
		t.Errorf("once more: %v, %v, %v", again, verdict, err)
	}
	if got := h.commands("one"); len(got) != 1 || got[0].Id != ref.ID {
		t.Errorf("records of the second life = %+v", got)
	}
	if got := h.health("one"); got.Counters["Allowed"] != 1 {
		t.Errorf("health of the second life = %+v", got)
	}
	// What is left of the first is found by its own name only, and is not the second's.
	other := left
	other.Life = second.Life
	if _, err := h.journal.Claim(h.ctx, other, time.Minute); !errors.Is(err, chat.ErrSettled) {
		t.Errorf("Claim in the second life: %v", err)
	}
	h.clock.advance(time.Hour)
	due, err := h.journal.Due(h.ctx, 9, 9)
	if err != nil || len(due) != 1 || due[0] != left {
		t.Errorf("due = %v, %v, want %v", due, err, left)
	}
	job, err := h.journal.Claim(h.ctx, left, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if !job.IsOf(first) || job.IsOf(second) {
		t.Errorf("the job is of the first life: %v, of the second: %v", job.IsOf(first), job.IsOf(second))
	}
	if err := h.journal.Settle(h.ctx, job, chat.Result{Outcome: chat.OutcomeFailed, Detail: "planted"}); err != nil {
		t.Fatal(err)
	}
	if got := h.health("one"); got.Counters["Failed"] != 0 || got.LastDeliveryError != nil {
		t.Errorf("the second life has the first one's failure: %+v", got)
	}
	if got, want := h.get("one").Revision, int64(3); got != want {
		t.Errorf("revision = %d, want %d: they go on", got, want)
	}
	h.mustAgree()
}

// TestWhoMayReadAnEarlierLife holds that the records of what was deleted are for those who may read what has the tags that it had, and that
// nobody reads them once the name is created again: not even who deletes it then.
func TestWhoMayReadAnEarlierLife(t *testing.T) {
	h := newHouse(t)
	h.create("one", func(in *chat.CreateRequest) {
		in.Configuration, in.Tags = secret.Text(with(slack, openToAll)), map[string]string{"team": "a"}
	})
	first := h.open("one")
	h.record(first, arrival(t, first, "m1", "u1", "restart"))
	h.record(first, arrival(t, first, "m2", "u1", "restart"))
	team := func(name string) context.Context {
		return as(t.Context(), caller(t, "CCK"+name, `{"Effect":"Allow","Action":"oos:*","Resource":"*","Condition":{"StringEquals":{"oos:tag/team":"`+name+`"}}}`))
	}
	read := func(ctx context.Context) ([]chat.ChatCommand, error) {
		out, err := h.ListCommands(ctx, &chat.ListCommandsRequest{Name: "one"})
		if err != nil {
			return nil, err
		}
		return out.ChatCommands, nil
	}
	page, err := h.ListCommands(h.ctx, &chat.ListCommandsRequest{Name: "one", MaxResults: ptr[int64](1)})
	if err != nil || page.NextToken == "" {
		t.Fatalf("%+v, %v", page, err)
	}
	h.delete("one")
	for name, want := range map[string]chat.Code{"a": chat.Internal, "b": chat.NoPermission} {
		got, err := read(team(name))
		if want == chat.NoPermission {
			wantError(t, "team "+name+" reads what was deleted", err, want, "")
		} else if err != nil || len(got) != 2 {
			t.Errorf("team %s reads what was deleted: %v, %v", name, got, err)
		}
	}
	rest, err := h.ListCommands(h.ctx, &chat.ListCommandsRequest{Name: "one", MaxResults: ptr[int64](1), NextToken: page.NextToken})
	if err != nil || len(rest.ChatCommands) != 1 {
		t.Errorf("the next page of what was deleted: %+v, %v", rest, err)
	}
	// Another team takes the name.
	_, err = h.Create(team("b"), &chat.CreateRequest{Name: "one", Type: "Slack", Configuration: slack, Tags: map[string]string{"team": "b"}})
	if err != nil {
		t.Fatal(err)
	}
	for about, ctx := range map[string]context.Context{"team b": team("b"), "an administrator": h.ctx} {
		if got, err := read(ctx); err != nil || len(got) > 0 {
			t.Errorf("%s reads the earlier life: %v, %v", about, got, err)
		}
	}
	_, err = read(team("a"))
	wantError(t, "team a reads the name of team b", err, chat.NoPermission, "")
	_, err = h.ListCommands(h.ctx, &chat.ListCommandsRequest{Name: "one", MaxResults: ptr[int64](1), NextToken: page.NextToken})
	wantError(t, "a page of the earlier life", err, chat.InvalidNextToken, "NextToken")
	h.delete("one")
	for about, ctx := range map[string]context.Context{"team b": team("b"), "an administrator": h.ctx} {
		got, err := read(ctx)
		wantError(t, about+" reads on, once the name is deleted again", err, chat.NotFound, "Name")
		if len(got) > 0 {
			t.Errorf("%s reads %v", about, got)
		}
	}
	// Of a name that no history knows, nothing is shown, whatever the journal has.
	h.record(&command.Endpoint{Account: account, Region: region, Name: "two", Type: "Slack", Permissions: first.Permissions}, arrival(t, first, "m3", "u1", "restart"))
	_, err = h.ListCommands(h.ctx, &chat.ListCommandsRequest{Name: "two"})
	wantError(t, "a name that never was", err, chat.NotFound, "Name")
}

// ofBefore makes a configuration one that was made before lives had ids.
func (h *house) ofBefore(name string) *command.Endpoint {
	h.t.Helper()
	for _, sort := range []string{"c#" + name, chat.HistoryKey(name, h.get(name).Revision)} {
		item := h.item(sort)
		value := chat.Reencode(item.Value, func(m map[string]any) { delete(m, "born") })
		h.tamper(table.Change{Puts: []table.Put{{Sort: sort, Revision: item.Revision, Value: value}}})
	}
	return h.open(name)
}

// TestALifeOfBefore holds that a configuration that was made before lives had ids keeps its records, message ids and health, under the keys
// that they had then, and that by its date nothing of one before it, nor by its keys of one after it.
func TestALifeOfBefore(t *testing.T) {
	h := newHouse(t)
	h.bot("one")
	oldest := h.ofBefore("one")
	if oldest.Life != "" {
		t.Fatalf("its life is %q", oldest.Life)
	}
	ref := h.record(oldest, arrival(t, oldest, "m1", "u1", "restart"))
	isRecord := func(item table.Item) bool { return item.Sort == "r#one#"+ref.ID }
	if !slices.ContainsFunc(h.journalItems(partition), isRecord) {
		t.Errorf("no record is under r#one#%s", ref.ID)
	}
	if err := h.journal.Note(h.ctx, oldest.Ref(), chat.Note{Counter: chat.CountRefused, Step: "signature", Reason: "planted"}); err != nil {
		t.Fatal(err)
	}
	h.update(&chat.UpdateRequest{Name: "one", RamRole: ptr("Ops")})
	if got := h.open("one"); got.Life != "" || len(h.commands("one")) != 1 {
		t.Errorf("after an update its life is %q, its records are %v", got.Life, h.commands("one"))
	}
	if _, verdict, err := h.journal.Record(h.ctx, h.open("one"), arrival(t, oldest, "m1", "u1", "restart")); err != nil || verdict != chat.Duplicate {
		t.Errorf("the message again: %v, %v", verdict, err)
	}
	// Two that were made before, one after the other.
	h.clock.advance(time.Minute)
	h.again("one", nil)
	old := h.ofBefore("one")
	if got := h.commands("one"); len(got) > 0 {
		t.Errorf("records of the second = %v", got)
	}
	if got := h.health("one"); got.LastError != nil || got.LastCommandDate != "" || got.State != chat.HealthSilent {
		t.Errorf("health of the second = %+v", got)
	}
	h.record(old, arrival(t, old, "m2", "u1", "stop"))
	h.clock.advance(time.Millisecond) // the order of a millisecond's records is chance
	left := h.pending(old, "m3")
	if got := h.commands("one"); len(got) != 2 || got[1].Command != "stop" {
		t.Errorf("records of the second = %+v", got)
	}
	job, err := h.journal.Claim(h.ctx, left, time.Minute)
	if err != nil || !job.IsOf(old) || job.IsOf(oldest) {
		t.Errorf("the job of the second: %v", err)
	}
	since := h.clock.Now().Add(-time.Hour).Format(time.RFC3339)
	if list, err := h.ListCommands(h.ctx, &chat.ListCommandsRequest{Name: "one", Since: since}); err != nil || len(list.ChatCommands) != 2 {
		t.Errorf("since an hour: %+v, %v", list, err)
	}
	h.delete("one")
	if got := h.commands("one"); len(got) != 2 {
		t.Errorf("records of the second, once it is deleted = %v", got)
	}
	// One of today.
	h.clock.advance(time.Minute)
	h.create("one", func(in *chat.CreateRequest) { in.Configuration = secret.Text(with(slack, openToAll)) })
	e := h.open("one")
	if e.Life == "" || job.IsOf(e) || len(h.commands("one")) > 0 {
		t.Errorf("the third life, %q, has the records %v", e.Life, h.commands("one"))
	}
	h.record(e, arrival(t, e, "m2", "u1", "restart"))
	if got := h.commands("one"); len(got) != 1 {
		t.Errorf("records of the third = %+v", got)
	}
	h.mustAgree()
}

// TestCheckFindsAnotherLife holds that history tells of the life that a configuration is in.
func TestCheckFindsAnotherLife(t *testing.T) {
	h := newHouse(t)
	h.create("one")
	item := h.item("h#one#0000000001")
	h.tamper(table.Change{Puts: []table.Put{{Sort: item.Sort, Revision: 1, Value: chat.Reencode(item.Value, func(m map[string]any) { m["born"] = 7 })}}})
	report, err := h.Check(h.ctx, account, region)
	if err != nil || !strings.Contains(strings.Join(report.Problems, " "), `history of "one" says that revision 1 is of another life`) {
		t.Errorf("%v, %v", report.Problems, err)
	}
}

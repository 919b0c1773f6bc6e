package chat_test

import (
	"context"
	"testing"

	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/fault"
)

// TestCompareAnyTwoRevisions checks that Changes may refer to any other revision that the caller
// may read, an earlier or a later one.
func TestCompareAnyTwoRevisions(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one", func(in *chat.CreateRequest) { in.Tags = map[string]string{"team": "a"} })
	h.MustUpdate(&chat.UpdateRequest{Name: "one", Status: "Inactive"})
	h.MustUpdate(&chat.UpdateRequest{Name: "one", RamRole: new("Ops")})
	h.MustDelete("one")
	h.MustCreate("one", func(in *chat.CreateRequest) { in.Tags = map[string]string{"team": "b"} })
	compare := func(ctx context.Context, compared, n int64) (chat.Revision, error) {
		out, err := h.GetRevision(ctx, &chat.GetRevisionRequest{Name: "one", Revision: &n, Compared: &compared})
		if err != nil {
			return chat.Revision{}, err
		}
		return out.ChatConfigurationRevision, nil
	}
	status := func(a, b string) chat.Change { return chat.Change{Path: "Status", Before: &a, After: &b} }
	for _, c := range []struct {
		from, to int64
		want     []chat.Change
	}{
		{1, 3, []chat.Change{status("Active", "Inactive"), {Path: "RamRole", After: new("Ops")}}},
		{3, 1, []chat.Change{status("Inactive", "Active"), {Path: "RamRole", Before: new("Ops")}}},
		{2, 2, []chat.Change{}},
		{3, 4, []chat.Change{}}, // a deletion has the last record
	} {
		got, err := compare(h.Ctx, c.from, c.to)
		if err != nil || got.Compared != c.from || got.Revision != c.to {
			t.Fatalf("%d with %d: %+v, %v", c.to, c.from, got, err)
		}
		chattest.Equal(t, "changes", got.Changes, c.want)
	}
	if got, err := compare(h.Ctx, 1, 5); err != nil || len(got.Changes) == 0 {
		t.Errorf("two lives: %+v, %v", got, err)
	}
	team := chattest.As(h.Ctx, callerOf(t, "CCKb", `{"Effect":"Allow","Action":"oos:*","Resource":"*",`+
		`"Condition":{"StringEquals":{"oos:tag/team":"b"}}}`))
	_, err := compare(team, 1, 5)
	chattest.WantError(t, "with a life that the caller may not read", err, fault.NotFound, "Revision", "no revision 1")
	_, err = compare(h.Ctx, 9, 5)
	chattest.WantError(t, "with no revision", err, fault.NotFound, "Revision", "no revision 9")
	_, err = compare(h.Ctx, 0, 5)
	chattest.WantError(t, "with revision 0", err, fault.InvalidParameter, "Compared")
	for about, f := range chattest.Faults {
		for n := 2; n <= 3; n++ { // the revision, and the one compared
			ctx, calls := h.Spy.FailAt(h.Ctx, n, f)
			if _, err := compare(ctx, 5, 5); err == nil {
				t.Errorf("when call %d is %s: no error", n, about)
			}
			calls()
			h.Spy.Reset()
		}
	}
}

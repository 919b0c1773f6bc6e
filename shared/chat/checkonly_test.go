package chat_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/fault"
	"chatconf/shared/secret"
	"chatconf/shared/table"
)

const weCom = `{"WeChatCorpId":"wwexample","WeChatAgentId":"1000002","WeChatSecret":"not-a-real-secret"}`

// TestACheckOfAnUpdateSaysWhatTheUpdateThenChanges holds that CheckOnly writes nothing, keeps no
// ClientToken, sends no event, and answers what history shows of the real update afterwards.
func TestACheckOfAnUpdateSaysWhatTheUpdateThenChanges(t *testing.T) {
	h, outbox := announcing(t)
	h.MustCreate("one")
	h.take(outbox, "one")
	before := h.Dump()
	in := &chat.UpdateRequest{Name: "one", RamRole: chattest.Ptr("Ops"), Status: "inactive", ClientToken: "token",
		Revision: chattest.Ptr[int64](1), ResourceGroupID: chattest.Ptr("rg-1"),
		Configuration: chattest.Ptr[secret.Text](`{"SlackSigningSecret":"another-secret-1","BotName":"ops"}`)}
	check := *in
	check.CheckOnly = true
	h.Clock.Advance(time.Minute)
	h.Spy.Reset()
	got := h.MustUpdate(&check)
	chattest.Equal(t, "calls", h.Spy.Took(), "Get")
	chattest.Equal(t, "the configuration in the answer", got.ChatConfiguration, chat.Written{Name: "one",
		CreatedDate: "2026-11-23T08:00:00+00:00", UpdatedDate: "2026-11-23T08:00:00+00:00", Revision: 1})
	chattest.Equal(t, "the table afterwards", h.Dump(), before)
	if events := h.take(outbox, "one"); len(events) > 0 {
		t.Errorf("events %v", events)
	}
	if out := h.MustUpdate(in); out.Changes != nil || out.ChatConfiguration.Revision != 2 {
		t.Errorf("the update answers %+v", out)
	}
	list, _ := h.revisions(h.Ctx, "one", 50)
	chattest.Equal(t, "the changes", got.Changes, list[0].Changes)
	if len(got.Changes) < 5 {
		t.Errorf("there are %d changes", len(got.Changes))
	}
	// The ClientToken now has its answer; a check is not mistaken for that request.
	check.Revision = nil
	if again := h.MustUpdate(&check); again.Changes == nil || len(again.Changes) > 0 ||
		again.ChatConfiguration.Revision != 2 {
		t.Errorf("a check of the same answers %+v", again)
	}
}

func TestACheckOfACreateSaysWhatTheCreateThenMakes(t *testing.T) {
	h := newHouse(t)
	before := h.Dump()
	in := &chat.CreateRequest{Name: "one", Type: "WeCom", Configuration: weCom, ClientToken: "token",
		Tags: map[string]string{"env": "prod"}}
	check := *in
	check.CheckOnly = true
	got, err := h.Create(h.Ctx, &check)
	if err != nil {
		t.Fatal(err)
	}
	chattest.Equal(t, "the configuration in the answer", got.ChatConfiguration, chat.Written{Name: "one"})
	chattest.Equal(t, "the table afterwards", h.Dump(), before)
	if _, err := h.Create(h.Ctx, in); err != nil {
		t.Fatal(err)
	}
	list, _ := h.revisions(h.Ctx, "one", 50)
	var generated []string
	for i, ch := range list[0].Changes {
		if *got.Changes[i].After == "generated" {
			generated = append(generated, ch.Path)
			ch.After = got.Changes[i].After
		}
		chattest.Equal(t, "a change", got.Changes[i], ch)
	}
	chattest.Equal(t, "the generated secrets", strings.Join(generated, " "),
		"Webhook Configuration.WeChatToken Configuration.WeChatEncodingAesKey")
	chattest.Equal(t, "the number of changes", len(got.Changes), len(list[0].Changes))
}

// A check refuses what the request would be refused for, with the same error.
func TestACheckIsRefusedLikeTheRequest(t *testing.T) {
	h := newHouseWith(t, chat.Options{Quota: 2})
	h.MustCreate("one")
	update := callerOf(t, "writer", `{"Effect":"Allow","Action":["oos:UpdateChatConfiguration",
		"oos:CreateChatConfiguration"],"Resource":"*"}`)
	for about, do := range map[string]func(checkOnly bool) error{
		"an invalid update": func(check bool) error {
			return second(h.Update(h.Ctx, &chat.UpdateRequest{Name: "one", Status: "Asleep", CheckOnly: check}))
		},
		"another revision": func(check bool) error {
			return second(h.Update(h.Ctx, &chat.UpdateRequest{Name: "one", Status: "Inactive", CheckOnly: check,
				Revision: chattest.Ptr[int64](7)}))
		},
		"an update of nothing": func(check bool) error {
			return second(h.Update(h.Ctx, &chat.UpdateRequest{Name: "two", Status: "Inactive", CheckOnly: check}))
		},
		"a name that exists": func(check bool) error {
			return second(h.Create(h.Ctx, &chat.CreateRequest{Name: "one", Type: "Slack", CheckOnly: check,
				Configuration: chattest.Slack}))
		},
		"a role that may not be passed": func(check bool) error {
			return second(h.Create(chat.WithCaller(h.Ctx, update), &chat.CreateRequest{Name: "two", Type: "Slack",
				RamRole: "Ops", Configuration: chattest.Slack, CheckOnly: check}))
		},
		"a group": func(check bool) error {
			return second(h.Create(chat.WithCaller(h.Ctx, update), &chat.CreateRequest{Name: "two", Type: "Slack",
				ResourceGroupID: "rg-1", Configuration: chattest.Slack, CheckOnly: check}))
		},
	} {
		want, got := do(false), do(true)
		if want == nil || got == nil || got.Error() != want.Error() || fault.CodeOf(got) != fault.CodeOf(want) {
			t.Errorf("%s: the check says %v, the request %v", about, got, want)
		}
	}
	h.MustCreate("two")
	err := second(h.Create(h.Ctx, &chat.CreateRequest{Name: "three", Type: "Slack", Configuration: chattest.Slack,
		CheckOnly: true}))
	if fault.CodeOf(err) != fault.QuotaExceeded {
		t.Errorf("over the quota: %v", err)
	}
	// The changes show what is stored, so Update alone is not enough.
	err = second(h.Update(chat.WithCaller(h.Ctx, update), &chat.UpdateRequest{Name: "one", Status: "Inactive",
		CheckOnly: true}))
	if fault.CodeOf(err) != fault.NoPermission || !strings.Contains(err.Error(), "oos:GetChatConfiguration on ") {
		t.Errorf("without GetChatConfiguration: %v", err)
	}
}

func TestACheckFailsWithTheTable(t *testing.T) {
	h := newHouse(t)
	for _, verb := range []string{"Query", "Get"} {
		h.Spy.Fail(verb, 1, table.ErrUnavailable)
		err := second(h.Create(h.Ctx, &chat.CreateRequest{Name: "one", Type: "Slack", Configuration: chattest.Slack,
			CheckOnly: true}))
		if fault.CodeOf(err) != fault.Unavailable {
			t.Errorf("%s fails: %v", verb, err)
		}
	}
}

// TestACheckOfADeletion holds that a deletion with CheckOnly is decided and refused like the
// deletion, needs no more, and deletes nothing.
func TestACheckOfADeletion(t *testing.T) {
	h, outbox := announcing(t)
	h.MustCreate("one")
	h.take(outbox, "one")
	before := h.Dump()
	deletes := chattest.As(t.Context(), callerOf(t, "CCKdeletes",
		`{"Effect":"Allow","Action":"oos:DeleteChatConfiguration","Resource":"*"}`))
	in := &chat.DeleteRequest{Name: "one", CheckOnly: true, ClientToken: "token", Revision: chattest.Ptr[int64](1)}
	got, err := h.Delete(deletes, in)
	if err != nil || got.Content != "Chat configuration can be deleted." || got.Changes == nil || len(got.Changes) > 0 {
		t.Errorf("the check answers %+v, %v", got, err)
	}
	chattest.Equal(t, "the table afterwards", h.Dump(), before)
	if events := h.take(outbox, "one"); len(events) > 0 {
		t.Errorf("events %v", events)
	}
	reads := chattest.As(t.Context(), callerOf(t, "CCKreads",
		`{"Effect":"Allow","Action":"oos:Get*","Resource":"*"}`))
	for about, c := range map[string]struct {
		ctx context.Context
		in  chat.DeleteRequest
	}{
		"another revision": {h.Ctx, chat.DeleteRequest{Name: "one", Revision: chattest.Ptr[int64](7)}},
		"nothing":          {h.Ctx, chat.DeleteRequest{Name: "two"}},
		"not allowed":      {reads, chat.DeleteRequest{Name: "one"}},
		"a wrong name":     {h.Ctx, chat.DeleteRequest{Name: "acs-x", ClientToken: "a b"}},
	} {
		want := second(h.Delete(c.ctx, &c.in))
		c.in.CheckOnly = true
		got := second(h.Delete(c.ctx, &c.in))
		if want == nil || got == nil || got.Error() != want.Error() || fault.CodeOf(got) != fault.CodeOf(want) {
			t.Errorf("%s: the check says %v, the deletion %v", about, got, want)
		}
	}
	// The ClientToken is still free, and the deletion's answer has no changes.
	in.CheckOnly = false
	if got, err := h.Delete(deletes, in); err != nil || got.Changes != nil {
		t.Errorf("the deletion answers %+v, %v", got, err)
	}
	list, _ := h.revisions(h.Ctx, "one", 50)
	if !slices.ContainsFunc(list, func(r chat.Revision) bool { return r.Operation == chat.OperationDeleted }) ||
		len(list[0].Changes) > 0 {
		t.Errorf("the history is %s", told(list))
	}
}

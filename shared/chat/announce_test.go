package chat_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"chatconf/shared/announce"
	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/command"
	"chatconf/shared/secret"
	"chatconf/shared/table"
)

// announcing returns a house whose changes are announced.
func announcing(t testing.TB) (*house, *announce.Outbox) {
	t.Helper()
	h := newHouse(t)
	outbox := announce.New(h.Spy, h.Clock.Now)
	h.Service = h.ServiceWith(chat.Options{Journal: h.Journal, Outbox: outbox}, h.Ring)
	return h, outbox
}

// An announced is an event as its receiver sees it.
type announced struct {
	SpecVersion, ID, Source, Type, Subject, Time, DataContentType string
	Data                                                          map[string]any
}

// take takes all events of a name out of the outbox, as if they were delivered.
func (h *house) take(o *announce.Outbox, name string) []announced {
	h.T.Helper()
	return h.takeIn(o, chattest.Region, name)
}

func (h *house) takeIn(o *announce.Outbox, region, name string) (all []announced) {
	h.T.Helper()
	of := command.Ref{Account: chattest.Account, Region: region, Name: name}
	for {
		e, err := o.Claim(h.Ctx, of, time.Minute)
		if errors.Is(err, announce.ErrNothing) {
			return all
		}
		if err == nil {
			var a announced
			if err = json.Unmarshal(e.Body, &a); err == nil {
				if e.ID != a.ID || a.Data["date"] == "" {
					h.T.Errorf("event %s has the body %s", e.ID, e.Body)
				}
				all, err = append(all, a), o.Remove(h.Ctx, e)
			}
		}
		if err != nil {
			h.T.Fatal(err)
		}
	}
}

// changesOf returns the changes in an event, with a '-' for no value and without the hexadecimal
// digits of digests.
func changesOf(e announced) string {
	var lines []string
	for _, item := range e.Data["changes"].([]any) {
		ch := item.(map[string]any)
		values := [2]string{"-", "-"}
		for i, key := range [...]string{"before", "after"} {
			if text, ok := ch[key].(string); ok {
				values[i] = text
			}
			if strings.HasPrefix(values[i], "digest:") {
				values[i] = "digest"
			}
		}
		lines = append(lines, fmt.Sprintf("%s: %s → %s", ch["path"], values[0], values[1]))
	}
	return strings.Join(lines, "; ")
}

// Every change has one event, in the write that makes it, and costs no call more.
func TestEveryChangeHasItsEvent(t *testing.T) {
	h, outbox := announcing(t)
	h.Ctx = from(h.Ctx, "request-1", "192.0.2.7")
	h.MustCreate("warm-up") // lists the partition
	h.Spy.Took()
	calls := func(what, want string) {
		t.Helper()
		if got := h.Spy.Took(); got != want {
			t.Errorf("%s made the calls %q, want %q", what, got, want)
		}
	}
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	h.MustCreate("ops", func(in *chat.CreateRequest) { in.Tags = map[string]string{"env": "prod"} })
	calls("Create", "Query Write")
	must(h.Update(h.Ctx, &chat.UpdateRequest{Name: "ops", Status: chat.StatusInactive}))
	calls("Update", "Get Write")
	must(h.Rotate(h.Ctx, &chat.RotateRequest{Name: "ops"}))
	h.Spy.Took()
	must(h.Tag(h.Ctx, &chat.TagRequest{ResourceType: resourceType, ResourceIDs: []string{"ops"},
		Tags: map[string]string{"team": "sre"}}))
	calls("Tag", "Get Write")
	must(h.Untag(h.Ctx, &chat.UntagRequest{ResourceType: resourceType, ResourceIDs: []string{"ops"}, All: true}))
	must(h.ChangeResourceGroup(h.Ctx, &chat.ChangeResourceGroupRequest{ResourceType: resourceType, ResourceID: "ops",
		NewResourceGroupID: "rg-1"}))
	h.MustDelete("ops")
	h.MustCreate("ops")
	var got, changes []string
	for i, e := range h.take(outbox, "ops") {
		got = append(got, fmt.Sprint(e.Type, " ", e.Data["operation"], " ", e.Data["action"]))
		want := announced{
			SpecVersion: "1.0", ID: fmt.Sprintf("%s/ops/%d", chattest.Partition, i+1), Type: e.Type,
			Source:  "acs:oos:cn-hangzhou:" + chattest.Account + ":chatconfiguration/ops",
			Subject: "ops", Time: h.Clock.Now().Format(time.RFC3339Nano), DataContentType: "application/json",
			Data: map[string]any{"accountId": chattest.Account, "regionId": chattest.Region, "configuration": "ops",
				"platform": "Slack", "revision": float64(i + 1), "operation": e.Data["operation"],
				"action": e.Data["action"], "caller": "CCKadmin", "sourceAddress": "192.0.2.7",
				"requestId": "request-1", "date": "2026-11-23T08:00:00+00:00", "changes": e.Data["changes"]},
		}
		chattest.Equal(t, e.ID, e, want)
		changes = append(changes, changesOf(e))
	}
	chattest.Equal(t, "the events", got, []string{
		"chatconf.configuration.created.v1 Created CreateChatConfiguration",
		"chatconf.configuration.updated.v1 Updated UpdateChatConfiguration",
		"chatconf.configuration.rotated.v1 Rotated RotateChatWebhook",
		"chatconf.configuration.updated.v1 Updated TagResources",
		"chatconf.configuration.updated.v1 Updated UntagResources",
		"chatconf.configuration.updated.v1 Updated ChangeResourceGroup",
		"chatconf.configuration.deleted.v1 Deleted DeleteChatConfiguration",
		"chatconf.configuration.created.v1 Created CreateChatConfiguration",
	})
	first := "Type: - → Slack; Status: - → Active; Webhook: - → digest; Tags.env: - → prod; " +
		"Configuration.SlackSigningSecret: - → digest"
	chattest.Equal(t, "the changes", changes, []string{
		first,
		"Status: Active → Inactive",
		"Webhook: digest → digest",
		"Tags.team: - → sre",
		"Tags.env: prod → -; Tags.team: sre → -",
		"ResourceGroupId: - → rg-1",
		"",
		strings.Replace(first, "Tags.env: - → prod; ", "", 1),
	})
	if report, err := h.Check(h.Ctx, chattest.Account, chattest.Region); err != nil || len(report.Problems) > 0 {
		t.Errorf("Check = %+v, %v", report, err)
	}
}

// An action whose write failed leaves no event, and one that succeeded leaves exactly one for each
// revision.
func TestNoChangeWithoutItsEvent(t *testing.T) {
	for about, f := range chattest.Faults {
		for action := range everyAction(nil, here) {
			h, _ := announcing(t)
			h.MustPrepare()
			before := h.Dump()
			for n := 1; ; n++ {
				// another process, which lists the partition again
				s := h.ServiceWith(chat.Options{Journal: h.Journal, Outbox: announce.New(h.Spy, h.Clock.Now)}, h.Ring)
				ctx, calls := h.Spy.FailAt(h.Ctx, n, f)
				err := everyAction(s, here)[action](ctx)
				made := calls()
				h.Spy.Reset()
				if made < n {
					break
				}
				what := fmt.Sprintf("%s when %s at call %d", action, about, n)
				chattest.WantError(t, what, err, f.Code, "")
				chattest.WantNoDetail(t, err)
				chattest.Equal(t, "the table after "+what, h.Dump(), before)
			}
			of := make(map[string]int)
			for _, item := range h.Dump() {
				if kind, rest, _ := strings.Cut(item.Sort, "#"); kind == "h" || kind == "e" {
					of[rest] ^= map[string]int{"h": 1, "e": 2}[kind]
				}
			}
			for revision, n := range of {
				if n != 3 {
					t.Errorf("%s: %s does not have one entry of history and one event", action, revision)
				}
			}
		}
	}
}

// Each way to change a configuration has its type of event. What changes nothing has none.
func TestEveryOperationHasItsType(t *testing.T) {
	h, outbox := announcing(t)
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	h.MustCreate("ops")
	update := &chat.UpdateRequest{Name: "ops", Configuration: chattest.Ptr(secret.Text(chattest.With(chattest.Slack,
		chattest.OpenToAll)))}
	must(h.Update(h.Ctx, update))
	must(h.Update(h.Ctx, update)) // is as it was
	must(h.Restore(h.Ctx, &chat.RestoreRequest{Name: "ops", Revision: chattest.Ptr[int64](1)}))
	must(h.RotateSecret(h.Ctx, &chat.RotateSecretRequest{Name: "ops", Key: "SlackSigningSecret",
		Value: "not-a-real-secret"}))
	must(h.Copy(h.Ctx, &chat.CopyRequest{Name: "ops", DestinationRegionID: "cn-shanghai", DestinationName: "copy"}))
	h.MustDelete("ops")
	must(h.Restore(h.Ctx, &chat.RestoreRequest{Name: "ops", Revision: chattest.Ptr[int64](2)}))
	var got []string
	for _, e := range append(h.take(outbox, "ops"), h.takeIn(outbox, "cn-shanghai", "copy")...) {
		got = append(got, strings.TrimPrefix(e.ID, chattest.Account+"/")+" "+e.Type)
		text := fmt.Sprint(e.Data)
		if strings.Contains(text, "not-a-real") || strings.Contains(text, "signing-secret") {
			t.Errorf("a secret is in %s", text)
		}
	}
	const kind = "chatconf.configuration."
	chattest.Equal(t, "the events", got, []string{
		"cn-hangzhou/ops/1 " + kind + "created.v1",
		"cn-hangzhou/ops/2 " + kind + "updated.v1",
		"cn-hangzhou/ops/3 " + kind + "restored.v1",
		"cn-hangzhou/ops/4 " + kind + "rotated.v1",
		"cn-hangzhou/ops/5 " + kind + "deleted.v1",
		"cn-hangzhou/ops/6 " + kind + "restored.v1",
		"cn-shanghai/copy/1 " + kind + "created.v1",
	})
	due, err := outbox.Due(h.Ctx, 10, func(err error) { t.Error(err) })
	if err != nil || len(due) != 0 {
		t.Errorf("left are %v, %v", due, err)
	}
}

// An event has the changes that history has, also for a restore of what was deleted.
func TestAnEventHasTheChangesOfHistory(t *testing.T) {
	h, outbox := announcing(t)
	h.MustCreate("ops")
	h.Touch("ops")
	h.MustDelete("ops")
	h.mustRestore(h.Ctx, "ops", 1) // in the same life
	h.MustDelete("ops")
	h.MustCreate("ops")
	h.mustRestore(h.Ctx, "ops", 2) // of an earlier life
	h.MustDelete("ops")
	h.mustRestore(h.Ctx, "ops", 2) // which goes on
	list, _ := h.revisions(h.Ctx, "ops", 50)
	events := h.take(outbox, "ops")
	for i, e := range events {
		rev := list[len(list)-1-i]
		if got, want := len(e.Data["changes"].([]any)), len(rev.Changes); got != want {
			t.Errorf("the event of revision %d has %d changes, history has %d", rev.Revision, got, want)
		}
	}
	if len(events) != len(list) {
		t.Errorf("%d events of %d revisions", len(events), len(list))
	}
}

// A request that is repeated for its ClientToken makes no second event.
func TestARepeatedRequestIsAnnouncedOnce(t *testing.T) {
	h, outbox := announcing(t)
	h.MustCreate("ops")
	for range 2 {
		in := &chat.UpdateRequest{Name: "ops", Configuration: chattest.Ptr[secret.Text](chattest.Slack),
			RamRole: chattest.Ptr("Ops"), ClientToken: "t"}
		if _, err := h.Update(h.Ctx, in); err != nil {
			t.Fatal(err)
		}
	}
	if all := h.take(outbox, "ops"); len(all) != 2 {
		t.Errorf("events = %+v", all)
	}
}

// However large a change is, its event fits into every target, says how many changes it leaves out,
// and holds no secret.
func TestALargeChangeHasASmallEvent(t *testing.T) {
	h, outbox := announcing(t)
	tags := make(map[string]string)
	for i := range chat.MaxTags {
		tags[fmt.Sprint(i, strings.Repeat("k", 100))] = strings.Repeat(`"`, 128)
	}
	var groups, permissions []string
	for i := range 110 {
		groups = append(groups, fmt.Sprintf(`"g%d":["u1"]`, i))
	}
	for i := range 100 {
		const one = `{"Effect":"Allow","Principals":["user:u%[1]d"],"Commands":["restart"],` +
			`"Conversations":["%[2]s","%[2]sy"]}`
		permissions = append(permissions, fmt.Sprintf(one, i, strings.Repeat("x", 250)))
	}
	h.MustCreate("ops", func(in *chat.CreateRequest) {
		in.Tags = tags
		in.Configuration = secret.Text(chattest.With(chattest.Slack, `"UserGroups":{`+strings.Join(groups, ",")+
			`},"Permissions":[`+strings.Join(permissions, ",")+`]`))
	})
	h.MustCreate("small", func(in *chat.CreateRequest) {
		in.Configuration = secret.Text(chattest.With(chattest.Slack, `"UserGroups":{}`))
	})
	_, err := h.Update(h.Ctx, &chat.UpdateRequest{Name: "small", Configuration: chattest.Ptr(secret.Text(
		chattest.With(chattest.Slack, `"UserGroups":{`+strings.Join(groups, ",")+`}`)))})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"ops": "…: - → 1 more changes", "small": "…: - → 10 more changes"} {
		all := h.take(outbox, name)
		e := all[len(all)-1]
		if got := changesOf(e); !strings.HasSuffix(got, want) || strings.Contains(got, "signing-secret") {
			t.Errorf("%s: the changes end with %q, want %q", name, got[max(0, len(got)-200):], want)
		}
	}
}

// An event fits into a message of Simple Message Queue, also where its characters need escaping.
func TestAnEventOfMarkupFits(t *testing.T) {
	h, outbox := announcing(t)
	var permissions []string
	for i := range 100 {
		permissions = append(permissions, fmt.Sprintf(`{"Effect":"Allow","Principals":["user:u%d"],`+
			`"Commands":["restart"],"Conversations":["%s"]}`, i, strings.Repeat("&<", 125)))
	}
	h.MustCreate("ops")
	h.MustUpdate(&chat.UpdateRequest{Name: "ops", Configuration: chattest.Ptr(secret.Text(
		chattest.With(chattest.Slack, `"Permissions":[`+permissions[0]+`]`)))})
	h.MustUpdate(&chat.UpdateRequest{Name: "ops", Configuration: chattest.Ptr(secret.Text(
		chattest.With(chattest.Slack, `"Permissions":[`+strings.Join(permissions, ",")+`]`)))})
	for range 3 {
		e, err := outbox.Claim(h.Ctx, command.Ref{Account: chattest.Account, Region: chattest.Region, Name: "ops"},
			time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		body := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(string(e.Body))
		if len(body) > 64<<10 {
			t.Errorf("%s has %d bytes as XML", e.ID, len(body))
		}
		if err := outbox.Remove(h.Ctx, e); err != nil {
			t.Fatal(err)
		}
	}
}

// Check finds an event that is damaged.
func TestCheckReadsEvents(t *testing.T) {
	h, _ := announcing(t)
	h.MustCreate("ops")
	h.Tamper(table.Change{Puts: []table.Put{{Sort: "e#ops#0000000007", Value: []byte("planted")}}})
	report, err := h.Check(context.Background(), chattest.Account, chattest.Region)
	if err != nil || len(report.Problems) != 1 || !strings.Contains(report.Problems[0], `"e#ops#0000000007"`) {
		t.Errorf("Check = %+v, %v", report, err)
	}
}

package chat_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/command"
	"chatconf/shared/dial"
	"chatconf/shared/fault"
	"chatconf/shared/secret"
	"chatconf/shared/table"
)

func (h *house) mustRestore(ctx context.Context, name string, n int64,
	edit ...func(*chat.RestoreRequest)) chat.Restored {
	h.T.Helper()
	in := &chat.RestoreRequest{Name: name, Revision: &n}
	for _, e := range edit {
		e(in)
	}
	out, err := h.Restore(ctx, in)
	if err != nil {
		h.T.Fatalf("Restore(%q, %d): %v", name, n, err)
	}
	return out.ChatConfiguration
}

// wantAs fails the test unless a configuration has all values and secrets of another one.
func (h *house) wantAs(about string, got, want *chat.Stored) {
	h.T.Helper()
	plain := func(s *chat.Stored) chat.Stored {
		out := *s
		out.Revision, out.Created, out.Updated, out.Sealed = 0, time.Time{}, time.Time{}, nil
		return out
	}
	chattest.Equal(h.T, about, plain(got), plain(want))
}

// TestRestoreUndoesAnEdit holds that a configuration becomes what it was, secrets included, as a
// new revision that says so, and that nothing is written if it is so already.
func TestRestoreUndoesAnEdit(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one", func(in *chat.CreateRequest) {
		in.RamRole, in.ResourceGroupID, in.Tags = "Ops", "rg-1", map[string]string{"env": "prod"}
		in.Configuration = secret.Text(chattest.With(chattest.Slack, chattest.OpenToAll+
			`,"Target":{"Type":"Http","Url":"https://8.8.8.8/","Secret":"`+chattest.TargetSecret+`"}`))
	})
	first, url := h.stored("one"), h.URL("one")
	h.Clock.Advance(time.Minute)
	h.MustUpdate(&chat.UpdateRequest{Name: "one", RamRole: chattest.Ptr(""), Status: "Inactive",
		ResourceGroupID: chattest.Ptr(""), Configuration: chattest.Ptr[secret.Text](
			`{"SlackSigningSecret":"another-secret-1","BotName":"bad"}`)})
	if err := h.tag(map[string]string{"env": "test", "more": ""}, "one"); err != nil {
		t.Fatal(err)
	}
	h.Clock.Advance(time.Minute)
	h.Spy.Reset()
	got := h.mustRestore(h.Ctx, "one", 1)
	chattest.Equal(t, "calls", h.Spy.Took(), "Get Get Write")
	h.wantAs("after the restore", h.stored("one"), first)
	if h.URL("one") != url {
		t.Error("the URL became another one")
	}
	list, _ := h.revisions(h.Ctx, "one", 50)
	chattest.Equal(t, "the answer", got, chat.Restored{Name: "one", CreatedDate: "2026-11-23T08:00:00+00:00",
		UpdatedDate: "2026-11-23T08:02:00+00:00", Revision: 4, RestoredRevision: 1, Changes: list[0].Changes})
	if text := told(list[:1]); !strings.HasPrefix(text,
		"4 of 1: Restored by RestoreChatConfiguration of 1, compared with 3\n\tStatus: Inactive → Active\n"+
			"\tRamRole: - → Ops\n\tResourceGroupId: - → rg-1\n\tTags.env: test → prod\n\tTags.more:  → -\n"+
			"\tConfiguration.SlackSigningSecret: digest:") ||
		!strings.Contains(text, "\tConfiguration.BotName: bad → -\n") {
		t.Errorf("the entry in history = %s", text)
	}
	if before, after := list[0].Changes[5], list[3].Changes; before.Path != "Configuration.SlackSigningSecret" ||
		!strings.Contains(lines(after), before.Path+": - → "+*before.After+"\n") {
		t.Errorf("the secret that came back has the digest %s, and had one of\n%s", *before.After, lines(after))
	}

	// Once more: nothing changes.
	h.Spy.Reset()
	got = h.mustRestore(h.Ctx, "one", 1)
	chattest.Equal(t, "calls of a restore of nothing", h.Spy.Took(), "Get Get")
	chattest.Equal(t, "the answer", got, chat.Restored{Name: "one", CreatedDate: "2026-11-23T08:00:00+00:00",
		UpdatedDate: "2026-11-23T08:02:00+00:00", Revision: 4, RestoredRevision: 1, Changes: []chat.Change{}})
	if out := (&chat.RestoreResponse{ChatConfiguration: got}).ETag(); out != `"4"` {
		t.Errorf("ETag = %s", out)
	}
	// And back again.
	h.mustRestore(h.Ctx, "one", 3)
	if got := h.stored("one"); got.Secrets["SlackSigningSecret"] != "another-secret-1" || got.Status != "Inactive" {
		t.Errorf("after the restore of the restore: %+v", got)
	}
	h.MustAgree()
}

// TestRestoreBringsBackWhatWasDeleted holds that the life of a deleted configuration goes on: with
// its URL, its records and its dates.
func TestRestoreBringsBackWhatWasDeleted(t *testing.T) {
	h := newHouseWith(t, chat.Options{Quota: 2})
	e := h.Bot("one")
	record := h.MustRecord(e, chattest.Arrival(t, e, "m1", "u1", "restart"))
	first, url := h.stored("one"), h.URL("one")
	h.Clock.Advance(time.Hour)
	h.MustDelete("one")
	got := h.mustRestore(h.Ctx, "one", 2) // as it was when it was deleted
	if got.Revision != 3 || got.CreatedDate != "2026-11-23T08:00:00+00:00" || len(got.Changes) != 0 {
		t.Errorf("the answer = %+v", got)
	}
	h.wantAs("after the restore", h.stored("one"), first)
	if again := h.Open("one"); again.Life != e.Life || h.URL("one") != url {
		t.Errorf("the life is %s and was %s", again.Life, e.Life)
	}
	if list := h.Commands("one"); len(list) != 1 || list[0].Id != record.ID {
		t.Errorf("the records are %+v", list)
	}
	h.MustAgree()
	// The quota is that of a create.
	h.MustDelete("one")
	h.MustCreate("two")
	h.MustCreate("three")
	_, err := h.Restore(h.Ctx, &chat.RestoreRequest{Name: "one", Revision: new(int64(1))})
	chattest.WantError(t, "Restore beyond the quota", err, fault.QuotaExceeded, "ChatConfiguration", "the quota is 2")
	h.MustDelete("two")
	h.mustRestore(h.Ctx, "one", 1)
	h.MustAgree()
}

// TestRestoreAcrossLives holds that a revision of an earlier life comes back into the present life
// while there is one, and continues its own life otherwise.
func TestRestoreAcrossLives(t *testing.T) {
	h := newHouse(t)
	first := h.Bot("one")
	record := h.MustRecord(first, chattest.Arrival(t, first, "m1", "u1", "restart"))
	stored, url := h.stored("one"), h.URL("one")
	h.Clock.Advance(time.Hour)
	second := h.again("one", map[string]string{"team": "b"})
	between := h.URL("one")

	got := h.mustRestore(h.Ctx, "one", 1)
	if e := h.Open("one"); e.Life != second.Life || got.CreatedDate != "2026-11-23T09:00:00+00:00" {
		t.Errorf("the life is %s, want the present one, %s: %+v", e.Life, second.Life, got)
	}
	want := *stored
	want.Secrets = map[string]string{"#WebhookTokenPrevious": strings.Split(between, "/")[7]}
	for field, value := range stored.Secrets {
		want.Secrets[field] = value
	}
	h.wantAs("in the present life", h.stored("one"), &want)
	for _, u := range []string{url, between} { // whichever the platform calls
		if _, err := h.OpenURL(u); err != nil {
			t.Errorf("the URL %s: %v", u, err)
		}
	}
	if list := h.Commands("one"); len(list) > 0 {
		t.Errorf("the records of the present life are %+v", list)
	}
	h.MustDelete("one")
	h.mustRestore(h.Ctx, "one", 1)
	h.wantAs("in its own life", h.stored("one"), stored)
	if e := h.Open("one"); e.Life != first.Life {
		t.Errorf("the life is %s, want its own, %s", e.Life, first.Life)
	}
	if list := h.Commands("one"); len(list) != 1 || list[0].Id != record.ID {
		t.Errorf("the records are %+v", list)
	}
	if _, err := h.OpenURL(between); err == nil {
		t.Error("the URL of the life between opens the earlier one")
	}
	list, _ := h.revisions(h.Ctx, "one", 50)
	var lives []int64
	for _, r := range list {
		lives = append(lives, r.Life)
	}
	chattest.Equal(t, "lives", lives, []int64{1, 3, 3, 3, 1, 1})
	if list[0].Compared != 0 || len(list[0].Changes) == 0 {
		t.Errorf("the return of a life is compared with another: %+v", list[0])
	}
	h.MustAgree()

	// A type belongs to a life.
	h.MustDelete("one")
	h.MustCreate("one", func(in *chat.CreateRequest) { in.Type, in.Configuration = "WeChat", minWeChat })
	_, err := h.Restore(h.Ctx, &chat.RestoreRequest{Name: "one", Revision: new(int64(1))})
	chattest.WantError(t, "Restore of another Type", err, fault.InvalidParameter, "Revision",
		`Revision 1 has Type Slack, and "one" has Type WeChat now`, "delete the configuration first")
}

// TestRestoreKeepsACalledBotReachable holds that a webhook token and generated secrets that a
// restore replaces stay valid for a day, but no secret that a caller has chosen.
func TestRestoreKeepsACalledBotReachable(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one", func(in *chat.CreateRequest) { in.Type, in.Configuration = "WeChat", minWeChat })
	first, old := h.stored("one"), h.URL("one")
	if _, err := h.Rotate(h.Ctx, &chat.RotateRequest{Name: "one", GraceSeconds: new(int64(0))}); err != nil {
		t.Fatal(err)
	}
	second, fresh := h.stored("one"), h.URL("one")
	h.mustRestore(h.Ctx, "one", 1)
	urls := func(about string, want ...string) *command.Endpoint {
		t.Helper()
		var e *command.Endpoint
		for _, u := range []string{old, fresh} {
			got, err := h.OpenURL(u)
			if open := strings.Contains(strings.Join(want, " "), u); open != (err == nil) {
				t.Errorf("%s: %s: %v", about, u, err)
			}
			if err == nil {
				e = got
			}
		}
		return e
	}
	e := urls("within the grace", old, fresh)
	for _, field := range []string{"WeChatToken", "WeChatEncodingAesKey"} {
		if e.Settings[field].Reveal() != first.Secrets[field] ||
			e.Settings[field+"Previous"].Reveal() != second.Secrets[field] {
			t.Errorf("%s is not as it was, or the replaced one is not valid", field)
		}
	}
	if h.URL("one") != old {
		t.Error("the URL is not the restored one")
	}
	outputs := h.MustGet("one").Outputs
	for _, field := range []string{"WeChatToken", "WeChatEncodingAesKey"} {
		if !strings.Contains(outputs, first.Secrets[field]) {
			t.Errorf("Outputs do not show %s", field)
		}
	}
	h.Clock.Advance(chat.DefaultGrace * time.Second)
	urls("after the grace", old)

	// What a caller chose is not valid any more, or the restore would not undo it.
	h.MustUpdate(&chat.UpdateRequest{Name: "one", Configuration: chattest.Ptr(secret.Text(
		`{"WeChatCorpId":"ww0123","WeChatAgentId":1000002,"WeChatSecret":"planted-1","WeChatToken":"mallory",` +
			`"WeChatEncodingAesKey":"` + strings.Repeat("m", 43) + `"}`))})
	h.mustRestore(h.Ctx, "one", 1)
	if got := h.stored("one"); len(got.Secrets) != len(first.Secrets) {
		t.Errorf("the secrets are %v", got.Secrets)
	}
	h.MustAgree()
}

// TestRestoreAcrossARotationOfTheRing holds that a revision comes back under today's key and with
// its digests, and that the error is clear once its key is gone.
func TestRestoreAcrossARotationOfTheRing(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one")
	first := h.stored("one")
	h.MustUpdate(&chat.UpdateRequest{Name: "one", Configuration: withSecret("b")})
	rotated := h.ServiceWith(chat.Options{}, chattest.NewRing(t, 2, 1))
	in := &chat.RestoreRequest{Name: "one", Revision: new(int64(1))}
	if _, err := rotated.Restore(h.Ctx, in); err != nil {
		t.Fatal(err)
	}
	h.Service = h.ServiceWith(chat.Options{}, chattest.NewRing(t, 2)) // the old key is gone
	h.wantAs("after the restore", h.stored("one"), first)
	now, err := h.Get(h.Ctx, &chat.GetRequest{Name: "one"})
	if err != nil {
		t.Fatal(err)
	}
	then, err := h.GetRevision(h.Ctx, &chat.GetRevisionRequest{Name: "one", Revision: new(int64(1))})
	if err != nil {
		t.Fatal(err)
	}
	if a, b := now.ChatConfiguration.Secrets[0], then.ChatConfiguration.Secrets[0]; a.Digest != b.Digest ||
		a.Digest == "" {
		t.Errorf("the digest is %q, and was %q", a.Digest, b.Digest)
	}
	for _, n := range []int64{1, 2} {
		_, err := h.Restore(h.Ctx, &chat.RestoreRequest{Name: "one", Revision: &n})
		chattest.WantError(t, "without its key", err, fault.InvalidParameter, "Revision",
			fmt.Sprintf("The secrets of revision %d are sealed under a key that is no longer in the key ring", n))
	}
	if got := h.mustRestore(h.Ctx, "one", 3); got.Revision != 3 {
		t.Errorf("the present one: %+v", got)
	}
	// A value that is damaged is a fault of the store.
	item := h.Item(chat.HistoryKey("one", 3))
	h.Tamper(table.Change{Puts: []table.Put{{Sort: item.Sort, Revision: 3,
		Value: chattest.Reencode(item.Value, func(m map[string]any) {
			m["secrets"].(map[string]any)["SlackSigningSecret"] = "AAAA"
		})}}})
	_, err = h.Restore(h.Ctx, &chat.RestoreRequest{Name: "one", Revision: new(int64(3))})
	chattest.WantError(t, "of a damaged revision", err, fault.Internal, "")
	chattest.WantNoDetail(t, err)
}

// TestRestoreIsDecidedByTheRulesOfToday holds that what would be refused today is not restored.
func TestRestoreIsDecidedByTheRulesOfToday(t *testing.T) {
	h := newHouseWith(t, chat.Options{Targets: dial.Networks{netip.MustParsePrefix("10.1.0.0/16")}})
	h.MustCreate("one", func(in *chat.CreateRequest) {
		in.Configuration = secret.Text(chattest.With(chattest.Slack,
			`"Target":{"Type":"Http","Url":"https://10.1.2.3/","Secret":"`+chattest.TargetSecret+`"}`))
	})
	h.MustUpdate(&chat.UpdateRequest{Name: "one", Configuration: chattest.Ptr[secret.Text](chattest.Slack)})
	h.Service = h.ServiceWith(chat.Options{}, h.Ring)
	in := &chat.RestoreRequest{Name: "one", Revision: new(int64(1))}
	_, err := h.Restore(h.Ctx, in)
	chattest.WantError(t, "Restore", err, fault.InvalidParameter, "Revision", "Revision 1 is not valid any more: ",
		"Configuration.Target.Url: ")
	// A caller who may not read revisions learns nothing of what is in one.
	_, err = h.Restore(chattest.As(t.Context(), callerOf(t, "CCKrestorer",
		`{"Effect":"Allow","Action":"oos:RestoreChatConfiguration","Resource":"*"}`)), in)
	chattest.WantError(t, "Restore", err, fault.InvalidParameter, "Revision",
		`Revision 1 of "one" is not valid any more.`)
	if strings.Contains(err.Error(), "Target") {
		t.Errorf("the error tells of the revision: %v", err)
	}
	// Tags and role too.
	item := h.Item(chat.HistoryKey("one", 2))
	for field, value := range map[string]any{"ramRole": "a b", "resourceGroupId": "a b",
		"tags": map[string]any{"acs:x": ""}} {
		h.Tamper(table.Change{Puts: []table.Put{{Sort: item.Sort, Revision: 2,
			Value: chattest.Reencode(item.Value, func(m map[string]any) { m[field] = value })}}})
		_, err = h.Restore(h.Ctx, &chat.RestoreRequest{Name: "one", Revision: new(int64(2))})
		chattest.WantError(t, "Restore of a bad "+field, err, fault.InvalidParameter, "Revision")
	}
	for field, value := range map[string]any{"type": "Matrix", "configuration": "{"} {
		h.Tamper(table.Change{Puts: []table.Put{{Sort: item.Sort, Revision: 2,
			Value: chattest.Reencode(item.Value, func(m map[string]any) { m[field] = value })}}})
		h.MustDelete("one")
		_, err = h.Restore(h.Ctx, &chat.RestoreRequest{Name: "one", Revision: new(int64(2))})
		chattest.WantError(t, "Restore of a broken "+field, err, fault.Internal, "")
		h.MustCreate("one")
	}
}

// TestWhoMayRestore holds that a restore needs the permissions that its changes would need, says
// all that are missing, and tells a caller without the permission to read revisions nothing of
// them.
func TestWhoMayRestore(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one", func(in *chat.CreateRequest) {
		in.Tags, in.ResourceGroupID = map[string]string{"team": "a"}, "rg-1"
		in.Configuration = secret.Text(slack(opsAllow))
	})
	h.MustUpdate(&chat.UpdateRequest{Name: "one", ResourceGroupID: chattest.Ptr(""),
		Configuration: chattest.Ptr(secret.Text(slack(plainAllow)))})
	if err := h.tag(map[string]string{"team": "b"}, "one"); err != nil {
		t.Fatal(err)
	}
	in := &chat.RestoreRequest{Name: "one", Revision: new(int64(1))}
	caller := func(actions ...string) context.Context {
		statements := make([]string, len(actions))
		for i, action := range actions {
			statements[i] = `{"Effect":"Allow","Action":"` + action + `","Resource":"*"}`
		}
		return chattest.As(t.Context(), callerOf(t, "CCKsome", statements...))
	}
	const resource = "acs:oos:cn-hangzhou:" + chattest.Account + ":chatconfiguration/one"
	for _, c := range []struct {
		about string
		ctx   context.Context
		want  string
	}{
		{"nobody", caller(), "oos:RestoreChatConfiguration on " + resource + "."},
		{"a caller with all but Restore", caller("oos:Get*", "oos:TagResources", "ram:PassRole"),
			"oos:RestoreChatConfiguration on " + resource + "."},
		{"a caller with Restore alone", caller("oos:RestoreChatConfiguration"),
			"oos:TagResources on " + resource + ", oos:ChangeResourceGroup on " + resource +
				", ram:PassRole on acs:ram::" + chattest.Account + ":role/******."},
		{"a caller who may read", caller("oos:RestoreChatConfiguration", "oos:GetChatConfigurationRevision"),
			"oos:TagResources on " + resource + ", oos:ChangeResourceGroup on " + resource + ", " + opsRole +
				" (for Configuration.Permissions[0].RamRole)."},
		{"a caller who may not pass the role", caller("oos:*"),
			opsRole + " (for Configuration.Permissions[0].RamRole)."},
	} {
		_, err := h.Restore(c.ctx, in)
		chattest.WantError(t, c.about, err, fault.NoPermission, "", "The caller may not perform "+c.want)
	}
	team := chattest.As(t.Context(), callerOf(t, "CCKteam", `{"Effect":"Allow","Action":"oos:*","Resource":"*",`+
		`"Condition":{"StringEquals":{"oos:tag/team":"b"}}}`, `{"Effect":"Allow","Action":"ram:PassRole","Resource":"*"}`))
	_, err := h.Restore(team, in)
	chattest.WantError(t, "a caller who would lose it", err, fault.NoPermission, "",
		"oos:TagResources on "+resource+" with the tags that it would have")
	h.Spy.Reset()
	if _, err := h.Restore(caller("oos:*"), &chat.RestoreRequest{Name: "none", Revision: new(int64(1))}); err == nil {
		t.Error("a name that never was is restored")
	} else {
		chattest.WantError(t, "a name that never was", err, fault.NotFound, "Name")
	}
	// Without the permission to read, the answer has no changes.
	got := h.mustRestore(caller("oos:RestoreChatConfiguration", "oos:TagResources", "oos:ChangeResourceGroup",
		"ram:PassRole"), "one", 1, func(in *chat.RestoreRequest) { in.ClientToken = "t" })
	if got.Revision != 4 || len(got.Changes) > 0 || got.Changes == nil {
		t.Errorf("the answer = %+v", got)
	}
	again := h.mustRestore(caller("oos:RestoreChatConfiguration"), "one", 1,
		func(in *chat.RestoreRequest) { in.ClientToken = "t" })
	chattest.Equal(t, "the repeated answer", again, got)
	// All uses of roles are new in a configuration that was deleted.
	h.MustDelete("one")
	_, err = h.Restore(caller("oos:*"), &chat.RestoreRequest{Name: "one", Revision: new(int64(4))})
	chattest.WantError(t, "what was deleted", err, fault.NoPermission, "", opsRole)
	// Nothing of another life without the permission to read it.
	h.MustCreate("one", func(in *chat.CreateRequest) { in.Tags = map[string]string{"team": "b"} })
	_, err = h.Restore(team, &chat.RestoreRequest{Name: "one", Revision: new(int64(4))})
	chattest.WantError(t, "of an earlier life", err, fault.NotFound, "Revision", "has no revision 4 ")
}

// TestRestoreIsRefused checks the errors for wrong requests, a revision that is not the present
// one, and changes by others in between.
func TestRestoreIsRefused(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one")
	h.Touch("one")
	of := func(name string, n int64) chat.RestoreRequest { return chat.RestoreRequest{Name: name, Revision: &n} }
	for about, c := range map[string]struct {
		in    chat.RestoreRequest
		code  fault.Code
		param string
	}{
		"no name":               {of("", 1), fault.MissingParameter, "Name"},
		"no revision":           {chat.RestoreRequest{Name: "one"}, fault.MissingParameter, "Revision"},
		"revision 0":            {of("one", 0), fault.InvalidParameter, "Revision"},
		"revision 9":            {of("one", 9), fault.NotFound, "Revision"},
		"a name that never was": {of("two", 1), fault.NotFound, "Name"},
		"a bad region": {chat.RestoreRequest{Name: "one", Revision: new(int64(1)), RegionID: "x"},
			fault.InvalidRegion, "RegionId"},
		"a bad token": {chat.RestoreRequest{Name: "one", Revision: new(int64(1)), ClientToken: "a b"},
			fault.InvalidParameter, "ClientToken"},
		"an old revision expected": {chat.RestoreRequest{Name: "one", Revision: new(int64(1)),
			ExpectedRevision: new(int64(1))}, fault.Conflict, "ExpectedRevision"},
	} {
		_, err := h.Restore(h.Ctx, &c.in)
		chattest.WantError(t, "Restore with "+about, err, c.code, c.param)
	}
	meddle := func(how func()) {
		once := false
		h.Spy.OnWrite = func(*table.Change) error {
			if !once {
				once = true
				how()
			}
			return nil
		}
	}
	meddle(func() { h.Touch("one") })
	_, err := h.Restore(h.Ctx, &chat.RestoreRequest{Name: "one", Revision: new(int64(1)),
		ExpectedRevision: new(int64(2))})
	chattest.WantError(t, "updated under a restore", err, fault.Conflict, "ExpectedRevision", "is at revision 3, not 2")
	meddle(func() { h.Touch("one") })
	if got := h.mustRestore(h.Ctx, "one", 1); got.Revision != 5 {
		t.Errorf("updated under a restore: %+v", got)
	}
	h.MustDelete("one")
	meddle(func() { h.MustCreate("one") })
	if got := h.mustRestore(h.Ctx, "one", 2); got.Revision != 8 {
		t.Errorf("created under a restore: %+v", got)
	}
	meddle(func() { h.MustDelete("one") })
	if got := h.mustRestore(h.Ctx, "one", 1); got.Revision != 10 {
		t.Errorf("deleted under a restore: %+v", got)
	}
	h.MustAgree()
}

// TestRestoreIsRepeated holds that a ClientToken repeats the answer with its changes.
func TestRestoreIsRepeated(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one")
	h.Touch("one")
	token := func(text string) func(*chat.RestoreRequest) {
		return func(in *chat.RestoreRequest) { in.ClientToken, in.ExpectedRevision = text, new(int64(2)) }
	}
	first := h.mustRestore(h.Ctx, "one", 1, token("t"))
	chattest.Equal(t, "changes", lines(first.Changes), "RamRole: Touched1 → -\n")
	chattest.Equal(t, "the answer again", h.mustRestore(h.Ctx, "one", 1, token("t")), first)
	nothing := h.mustRestore(h.Ctx, "one", 1, func(in *chat.RestoreRequest) { in.ClientToken = "u" })
	h.Touch("one")
	chattest.Equal(t, "the answer for nothing again", h.mustRestore(h.Ctx, "one", 1,
		func(in *chat.RestoreRequest) { in.ClientToken = "u" }), nothing)
	if nothing.Revision != 3 || len(nothing.Changes) > 0 {
		t.Errorf("the answer for nothing = %+v", nothing)
	}
	_, err := h.Restore(h.Ctx, &chat.RestoreRequest{Name: "one", Revision: new(int64(2)), ClientToken: "t"})
	chattest.WantError(t, "another restore with the token", err, fault.IdempotencyMismatch, "ClientToken")
	h.MustDelete("one") // and the answer stays
	chattest.Equal(t, "the answer after all", h.mustRestore(h.Ctx, "one", 1, token("t")), first)
	h.Tamper(table.Change{Deletes: []table.Delete{{Sort: chat.HistoryKey("one", 3)}}})
	first.Changes = []chat.Change{}
	chattest.Equal(t, "the answer without history", h.mustRestore(h.Ctx, "one", 1, token("t")), first)
}

package console_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/fault"
)

// conflicting returns the answer to a form that began before others changed the bot twice.
func conflicting(s *site, b *browser) string {
	s.T.Helper()
	s.Bot("ops", `"BotName":"first"`)
	form := b.form("ops")
	form.Set("Configuration.BotName", "mine")
	configuration := slack(`"BotName":"theirs"`, chattest.OpenToAll)
	update(s, "ops", func(in *chat.UpdateRequest) { in.Configuration = &configuration })
	update(s, "ops", func(in *chat.UpdateRequest) { in.RamRole = chattest.Ptr("TheirRole") })
	return b.refuse("/console/bots/ops/edit", form, http.StatusConflict)
}

// A conflict says who changed the bot and when, and every value that differs. Typed values stay.
func TestAConflictSaysWhoDidWhat(t *testing.T) {
	s := newSite(t)
	b := s.browser().signIn(owner)
	page := conflicting(s, b)
	at := s.Clock.Now().UTC().Format("2006-01-02T15:04:05Z")
	wantText(t, page, "Revision 3: Updated, <bdi>CCKadmin</bdi>, <time datetime=\""+at, "Revision 2: Updated",
		"What changed since revision 1", "<bdi>Configuration.BotName</bdi>", "<del><bdi>first</bdi></del>",
		"<ins><bdi>theirs</bdi></ins>", "<bdi>RamRole</bdi>", "Configuration.SlackSigningSecret", `value="mine"`)
	wantNoText(t, page, "Revision 1:", "earlier changes", planted)
	b.header.Set("Accept-Language", "zh")
	form := inputs(t, page, "/console/bots/ops/edit")
	form.Set("Revision", "2")
	wantText(t, b.refuse("/console/bots/ops/edit", form, http.StatusConflict), "自版本 2 以来的变更", "版本 3：")
}

func TestAConflictNamesTheLatestOfManyRevisions(t *testing.T) {
	s := newSite(t)
	b := s.browser().signIn(owner)
	page := conflicting(s, b)
	for i := range 12 {
		update(s, "ops", func(in *chat.UpdateRequest) { in.RamRole = chattest.Ptr(fmt.Sprint("Role", i)) })
	}
	page = b.refuse("/console/bots/ops/edit", inputs(t, page, "/console/bots/ops/edit"), http.StatusConflict)
	wantText(t, page, "Revision 15: ", "Revision 6: ", "There were earlier changes, too", "<bdi>Role11</bdi>")
	wantNoText(t, page, "Revision 5: ")
}

// The acts say it as the form does, and can then be done.
func TestAConflictOfAnActSaysWhoDidWhat(t *testing.T) {
	s := newSite(t)
	s.Bot("ops", `"BotName":"first"`)
	b := s.browser().signIn(owner)
	forms := make(map[string]url.Values)
	for path, at := range map[string]string{"rotate": "manage", "rotatesecret": "manage", "delete": "manage",
		"restore": "restore?revision=1"} {
		forms[path] = inputs(t, b.page("/console/bots/ops/"+at), "/console/bots/ops/"+path)
		forms[path].Set("Confirm", "ops")
	}
	forms["rotate"].Set("GraceSeconds", "61")
	forms["rotatesecret"].Set("Value", planted+"-typed")
	update(s, "ops", func(in *chat.UpdateRequest) { in.RamRole = chattest.Ptr("TheirRole") })
	for path, form := range forms {
		page := b.refuse("/console/bots/ops/"+path, form, http.StatusConflict)
		wantText(t, page, "Revision 2: Updated, <bdi>CCKadmin</bdi>", "<ins><bdi>TheirRole</bdi></ins>")
		wantNoText(t, page, planted)
		again := inputs(t, page, "/console/bots/ops/"+path)
		if got := again.Get("Revision") + again.Get("ExpectedRevision"); got != "2" && got != "12" {
			t.Errorf("%s goes on with revision %q", path, got)
		}
		if path == "rotate" && again.Get("GraceSeconds") != "61" {
			t.Errorf("the grace is %q", again.Get("GraceSeconds"))
		}
	}
	form := forms["restore"]
	form.Set("ExpectedRevision", "2")
	b.mustPost("/console/bots/ops/restore", form)
}

// A conflict without what the key may not see still shows what was typed.
func TestAConflictOfAKeyWithoutTheHistory(t *testing.T) {
	for action, shown := range map[string]string{"ListChatConfigurationRevisions": "",
		"GetChatConfigurationRevision": "Revision 3: "} {
		s := newSite(t)
		s.addKey("CCKeditor", mustPolicy(t, `{"Effect":"Allow","Action":"oos:*","Resource":"*"},`+
			`{"Effect":"Deny","Action":"oos:`+action+`","Resource":"*"}`))
		page := conflicting(s, s.browser().signIn("CCKeditor"))
		wantText(t, page, "It needs the permission oos:"+action, `value="mine"`, "<strong>Role</strong>", shown)
		wantNoText(t, page, "What changed since", "level=ERROR")
		wantNoText(t, s.log.String(), "level=ERROR")
	}
}

// An error of the history is in the log. What was typed is not lost for it.
func TestAConflictWhoseHistoryCannotBeRead(t *testing.T) {
	s, before := newSiteBetween(t)
	b := s.browser().signIn(owner)
	*before = func(action string, _ map[string]string) error {
		if strings.HasSuffix(action, "Revision") {
			return &fault.Error{Code: fault.Unavailable, Err: fmt.Errorf("%s detail", planted)}
		}
		return nil
	}
	page := conflicting(s, b)
	wantText(t, page, `value="mine"`, "Revision 3: ")
	wantNoText(t, page, "What changed since", planted)
	wantText(t, s.log.String(), "level=ERROR", planted+" detail")
}

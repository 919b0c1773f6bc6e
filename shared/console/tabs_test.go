package console_test

import (
	"strings"
	"testing"
)

// One row of tabs leads to the pages of a bot. Those that change it are there for keys that may.
func TestABotHasOneRowOfTabs(t *testing.T) {
	s := newSite(t)
	s.Bot("ops")
	b := s.browser().signIn(owner)
	for path, chosen := range map[string]string{"": "Overview", "/commands/chart": "Commands",
		"/history?revision=1": "History", "/restore?revision=1": "History", "/edit": "Edit", "/manage": "Manage"} {
		page := b.page("/console/bots/ops" + path)
		if n := strings.Count(page, "<nav"); n != 2 { // of the console, and of the bot
			t.Errorf("%s has %d rows of links, want 2:\n%s", path, n, page)
		}
		wantText(t, page, `aria-current="page">`+chosen+"</a>")
	}
	s.addKey("CCKget", mustPolicy(t, `{"Effect":"Allow","Action":"oos:GetChatConfiguration","Resource":"*"}`))
	page := s.browser().signIn("CCKget").page("/console/bots/ops")
	wantText(t, page, ">History</a>")
	wantNoText(t, page, ">Try it</a>", ">Edit</a>", ">Manage</a>")
}

package console_test

import (
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"chatconf/shared/chat/chattest"
)

// The first page of a list of commands has what the script needs: the rows and the links to other
// pages, a button to pause, and a status that screen readers read out. All of it is hidden without
// the script.
func TestCommandsAreLive(t *testing.T) {
	s := newSite(t)
	e := s.Bot("ops")
	b := s.browser().signIn(owner)
	for _, message := range []string{"m1", "m2"} { // without commands, and with one
		for _, path := range []string{"/console/commands", "/console/bots/ops/commands", "/console/commands?user=u1"} {
			page := b.page(path)
			wantText(t, page, `id="rows" data-live`, `id="pages" data-live`,
				`<p class="live" id="live" data-every="5" data-added="New commands: %d"`,
				`data-failed="The updates have stopped,`,
				` hidden><button id="pause" type="button" aria-pressed="false">`,
				`<span id="livestatus" role="status"></span>`, `<script src="/console/static/live.js?v=`)
		}
		s.MustRecord(e, chattest.Arrival(t, e, message, "u1", "restart i-1"))
	}
	wantText(t, b.page("/console/commands"), `<tr id="command-`)
	wantNoText(t, b.page("/console/"), "live.js")
}

// A later page does not change: new commands are on the first.
func TestALaterPageOfCommandsIsNotLive(t *testing.T) {
	s := newSite(t)
	e := s.Bot("ops")
	for i := range 60 {
		s.MustRecord(e, chattest.Arrival(t, e, "m"+string(rune('A'+i)), "u1", "restart i-1"))
	}
	b := s.browser().signIn(owner)
	m := regexp.MustCompile(`<a href="/console/commands\?page=([^"]+)" rel="next">`).FindStringSubmatch(
		b.page("/console/commands"))
	if m == nil {
		t.Fatal("there is no next page")
	}
	token, err := url.QueryUnescape(strings.ReplaceAll(m[1], "&amp;", "&"))
	if err != nil {
		t.Fatal(err)
	}
	later := b.page("/console/commands?page=" + url.QueryEscape(token))
	wantText(t, later, `id="rows"`, "First page")
	wantNoText(t, later, "live.js", `id="pause"`)
}

// The script uses only what the pages and the policy of the console have.
func TestTheScriptOfLivePages(t *testing.T) {
	text, err := os.ReadFile("asset/live.js")
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t)
	s.Bot("ops")
	b := s.browser().signIn(owner)
	s.answer = &sentAnswer{Answer: &sentText{200, ""}, CommandId: "c1", Outcome: "Pending"}
	_, page := b.say("ops", url.Values{"user": {"u1"}, "text": {"restart"}})
	for _, m := range regexp.MustCompile(`getElementById\("([a-z]+)"\)`).FindAllStringSubmatch(string(text), -1) {
		wantText(t, page, `id="`+m[1]+`"`)
	}
	for _, m := range regexp.MustCompile(`dataset\.([a-z]+)`).FindAllStringSubmatch(string(text), -1) {
		wantText(t, page, " data-"+m[1]+`="`)
	}
	wantNoText(t, string(text), "eval(", "innerHTML = ", "insertAdjacentHTML", "document.write", "http:", "https:")
	at := regexp.MustCompile(`/console/static/live\.js\?v=[0-9a-f]+`).FindString(page)
	resp := b.do(http.MethodGet, at, nil)
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/javascript; charset=utf-8" {
		t.Errorf("GET %s: %d, %v", at, resp.StatusCode, resp.Header)
	}
}

// Who is not signed in any more gets no rows, so that the script stops.
func TestRowsAreForThoseWhoAreSignedIn(t *testing.T) {
	s := newSite(t)
	b := s.browser().signIn(owner)
	b.page("/console/commands")
	b.do(http.MethodPost, "/console/signout", nil)
	status, page := b.get("/console/commands")
	if status != http.StatusSeeOther || strings.Contains(page, `id="rows"`) {
		t.Errorf("status = %d, want 303:\n%s", status, page)
	}
}

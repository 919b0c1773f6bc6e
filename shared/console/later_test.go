package console_test

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"chatconf/shared/chat/chattest"
)

// kept returns what the form to speak to a bot sends again.
func kept(t testing.TB, page, bot string) url.Values {
	t.Helper()
	form := make(url.Values)
	_, rest, ok := strings.Cut(page, `action="/console/bots/`+bot+`/try"`)
	if !ok {
		t.Fatalf("there is no form:\n%s", page)
	}
	for _, tag := range inputTag.FindAllString(rest, -1) {
		at := make(map[string]string)
		for _, m := range attribute.FindAllStringSubmatch(tag, -1) {
			at[m[1]] = html.UnescapeString(m[2])
		}
		if at["type"] == "hidden" {
			form.Add(at["name"], at["value"])
		}
	}
	return form
}

// An answer that comes late is on the page that the script asks, and then in the conversation.
func TestALaterAnswerIsShownWhenItComes(t *testing.T) {
	s := newSite(t)
	s.Bot("ops")
	b := s.browser().signIn(owner)
	s.answer = &sentAnswer{Answer: &sentText{200, "accepted"}, CommandId: "c1", Outcome: "Pending"}
	s.later = map[string]*sentAnswer{"c1": {CommandId: "c1", Outcome: "Pending"}}
	_, page := b.say("ops", url.Values{"user": {"alice"}, "text": {"restart"}})
	const path = "/console/bots/ops/try/later?command=c1"
	wantText(t, page, `<div id="later-c1" data-live>`, `data-every="2" data-from="`+path+`"`, "live.js", `role="log"`,
		`id="recentrows" data-live`, `href="`+path+`">Look for the later answer`)
	form := kept(t, page, "ops")
	chattest.Equal(t, "awaited", form["awaited"], []string{"c1"})

	page = b.page(path)
	wantText(t, page, `<div id="later-c1" data-live>`, "Pending", `id="recentrows" data-live`, "live.js",
		`href="/console/bots/ops/try" aria-current="page"`)
	wantNoText(t, page, "Later answer<")

	s.later["c1"] = &sentAnswer{CommandId: "c1", Outcome: "Delivered", Later: "it <b>ended</b>", Detail: "the detail"}
	page = b.page(path)
	wantText(t, page, `<div id="later-c1">`, "it &lt;b&gt;ended", "Delivered", "the detail")
	wantNoText(t, page, "live.js", "Look for the later")

	// Without the script it is there after the next message.
	s.answer = &sentAnswer{Answer: &sentText{200, "ids of alice"}, CommandId: "c2", Outcome: "Recorded"}
	form.Set("user", "alice")
	form.Set("text", "whoami")
	_, page = b.say("ops", form)
	wantText(t, page, ">accepted<", "it &lt;b&gt;ended", "ids of alice")
	wantNoText(t, page, "live.js")
	form = kept(t, page, "ops")
	chattest.Equal(t, "awaited then", form["awaited"], []string{"", ""})
	chattest.Equal(t, "answered", form["answered"], []string{"accepted\nit <b>ended</b>", "ids of alice"})
}

// Only the latest later answers are awaited, and each is where its message is.
func TestSeveralLaterAnswersAreAwaited(t *testing.T) {
	s := newSite(t)
	s.Bot("ops")
	b := s.browser().signIn(owner)
	s.later = make(map[string]*sentAnswer)
	form := make(url.Values)
	var page string
	for i := range 7 {
		id := fmt.Sprint("c", i)
		s.answer = &sentAnswer{Answer: &sentText{200, "now " + id}, CommandId: id, Outcome: "Pending"}
		s.later[id] = &sentAnswer{CommandId: id, Outcome: "Pending", Later: "part of " + id}
		form.Set("user", "alice")
		form.Set("text", "restart")
		_, page = b.say("ops", form)
		form = kept(t, page, "ops")
	}
	chattest.Equal(t, "awaited", form["awaited"], []string{"", "", "c2", "c3", "c4", "c5", "c6"})
	wantText(t, page, `data-from="/console/bots/ops/try/later?command=c2&amp;command=c3&amp;command=c4&amp;`+
		`command=c5&amp;command=c6"`, "now c0", `id="later-c2"`, "part of c5")
	wantNoText(t, page, `id="later-c1"`)
	delete(s.later, "c3") // such as of a record that has expired
	form.Set("user", "alice")
	form.Set("text", "help")
	s.answer = nil
	_, page = b.say("ops", form)
	chattest.Equal(t, "awaited then", kept(t, page, "ops")["awaited"], []string{"", "", "", "", "c4", "c5", "c6", ""})
}

// The script stops if a live part is not on the page that it asks: what is awaited no more is no
// such part.
func TestOnlyLaterAnswersThatAreAwaitedAreLive(t *testing.T) {
	s := newSite(t)
	s.Bot("ops")
	b := s.browser().signIn(owner)
	s.answer = &sentAnswer{Answer: &sentText{200, "accepted"}, CommandId: "c1", Outcome: "Pending"}
	_, page := b.say("ops", url.Values{"user": {"alice"}, "text": {"restart"}})
	s.later = map[string]*sentAnswer{"c1": {CommandId: "c1", Outcome: "Delivered", Later: "it ended"},
		"c2": {CommandId: "c2", Outcome: "Pending"}, "c3": {CommandId: "c3", Outcome: "Delivered"}}
	form := kept(t, page, "ops")
	form.Set("user", "alice")
	form.Set("text", "restart")
	s.answer = &sentAnswer{Answer: &sentText{200, "accepted"}, CommandId: "c2", Outcome: "Pending"}
	_, page = b.say("ops", form)
	wantText(t, page, "it ended", `data-from="/console/bots/ops/try/later?command=c2"`)
	live := regexp.MustCompile(`id="([^"]*)" data-live`)
	asked := b.page("/console/bots/ops/try/later?command=c2")
	for _, part := range live.FindAllStringSubmatch(page, -1) {
		wantText(t, asked, `id="`+part[1]+`"`)
	}
	form = kept(t, page, "ops")
	form.Set("user", "alice")
	form.Set("text", "restart")
	s.answer = &sentAnswer{Answer: &sentText{200, "done"}, CommandId: "c3", Outcome: "Delivered"}
	_, page = b.say("ops", form)
	for _, part := range live.FindAllStringSubmatch(page, -1) {
		wantText(t, asked, `id="`+part[1]+`"`)
	}
}

func TestPagesOfLaterAnswersThatAreNot(t *testing.T) {
	s := newSite(t)
	s.Bot("ops")
	s.later = map[string]*sentAnswer{"c1": {CommandId: "c1", Outcome: hostile, Later: hostile, Detail: hostile}}
	s.addKey("CCKall", mustPolicy(t, `{"Effect":"Allow","Action":"oos:*","Resource":"*"}`))
	b := s.browser().signIn(owner)
	for path, want := range map[string]int{
		"ops/try/later":                                                            http.StatusNotFound,
		"ops/try/later?command=none":                                               http.StatusBadRequest,
		"ops/try/later?command=c1&command=none":                                    http.StatusBadRequest,
		"ops/try/later?" + strings.Repeat("command=c1&", 6):                        http.StatusNotFound,
		"gone/try/later?command=c1":                                                http.StatusNotFound,
		"ops/try/later?command=" + url.QueryEscape(hostile):                        http.StatusBadRequest,
		url.PathEscape(hostile) + "/try/later?command=" + url.QueryEscape(hostile): http.StatusBadRequest,
		"ops/try/later?command=c1&lang=en&x=" + url.QueryEscape(hostile):           http.StatusOK,
	} {
		status, page := b.get("/console/bots/" + path)
		if status != want {
			t.Errorf("GET %s: %d, want %d", path, status, want)
		}
		wantNoText(t, page, "<script>", "<img", "\u202e", "\u2066", "\x1b")
	}
	status, page := s.browser().signIn("CCKall").get("/console/bots/ops/try/later?command=c1")
	if status != http.StatusForbidden {
		t.Errorf("a key that may not send: %d, want 403", status)
	}
	wantText(t, page, "oos:SendChatMessage")
	// The error of a look loses no message: none is sent.
	s.sendErr = fmt.Errorf("%s detail", planted)
	status, page = b.say("ops", url.Values{"user": {"a"}, "text": {"x"}, "who": {"a"}, "said": {"x"}, "answered": {""},
		"awaited": {"c1"}})
	if status != http.StatusInternalServerError || len(s.sent) > 0 {
		t.Errorf("an error of the service: %d, want 500; sent %v", status, s.sent)
	}
	wantNoText(t, page, planted)
}

// The chart has the parts that the script shows anew, also without a command.
func TestTheChartIsLive(t *testing.T) {
	s := newSite(t)
	e := s.Bot("ops")
	b := s.browser().signIn(owner)
	for message, want := range []string{"There was no command", "Commands: 1; the busiest hour had 1"} {
		for _, path := range []string{"/console/commands/chart", "/console/bots/ops/commands/chart"} {
			wantText(t, b.page(path), want, `<div id="chart" data-live>`, `<div id="counts" data-live>`, "live.js",
				`data-every="30"`)
		}
		s.MustRecord(e, chattest.Arrival(t, e, fmt.Sprint("m", message), "u1", "restart i-1"))
	}
}

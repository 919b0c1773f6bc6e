package console_test

import (
	"context"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/console"
	"chatconf/shared/fault"
)

// A sendRequest is what the console says to SendChatMessage.
type sendRequest struct {
	Name           string `param:"Name"`
	UserID         string `param:"UserId"`
	ConversationID string `param:"ConversationId"`
	Direct         bool   `param:"Direct"`
	Text           string `param:"Text"`
	DryRun         bool   `param:"DryRun"`
	CommandID      string `param:"CommandId"`
	WaitSeconds    *int64 `param:"WaitSeconds"`
}

// A sentAnswer is the part of the answer of SendChatMessage that the console shows.
type sentAnswer struct {
	Answer    *sentText
	Later     string
	CommandId string
	Outcome   string
	Detail    string
	Duplicate bool
	Problem   string
	Request   map[string]string
}

type sentText struct {
	Status int
	Text   string
}

// pendingID is the id of a command whose outcome every site awaits.
const pendingID = "pending"

// send is SendChatMessage of the tests, with the permissions of the real one.
func (s *site) send(of *chat.Service, ctx context.Context, in *sendRequest) (*sentAnswer, error) {
	if _, _, err := of.OpenToSend(ctx, "", in.Name, false); err != nil {
		return nil, err
	}
	if in.WaitSeconds != nil && *in.WaitSeconds < 0 {
		return nil, fault.Invalid("WaitSeconds", "WaitSeconds is %d.", *in.WaitSeconds)
	}
	if s.sendErr != nil {
		return nil, s.sendErr
	}
	if in.DryRun {
		return &sentAnswer{}, nil
	}
	if in.CommandID == pendingID {
		return &sentAnswer{CommandId: pendingID, Outcome: "Pending", Later: "not yet"}, nil
	}
	if in.CommandID != "" {
		if found := s.later[in.CommandID]; found != nil && in.Text == "" && in.WaitSeconds != nil {
			return found, nil
		}
		return nil, fault.Invalid("CommandId", "There is no command %s.", fault.Quote(in.CommandID))
	}
	s.sent = append(s.sent, *in)
	if s.answer == nil {
		return &sentAnswer{Answer: &sentText{200, "ok"}}, nil
	}
	return s.answer, nil
}

// say posts a message.
func (b *browser) say(name string, form url.Values) (int, string) {
	b.T.Helper()
	resp := b.do(http.MethodPost, "/console/bots/"+url.PathEscape(name)+"/try", form)
	return resp.StatusCode, b.text(resp)
}

func TestSpeakingToABot(t *testing.T) {
	s := newSite(t)
	e := s.Bot("ops", `"Actions":{"restart":{"Parameters":[{"Name":"pin","Secret":true}]}}`)
	ref := s.MustRecord(e, chattest.Arrival(t, e, "m1", "alice", "restart pin=hunter2"))
	s.answer = &sentAnswer{Answer: &sentText{200, "Accepted.\n<b>soon</b>"}, Later: "It <i>runs</i>.",
		CommandId: ref.ID, Outcome: "Delivered", Detail: "the detail",
		Request: map[string]string{"Body": planted + "-signed"}}
	b := s.browser().signIn(owner)
	wantText(t, b.page("/console/bots/ops/try?user=alice&conversation=c1"), `value="alice"`, `value="c1"`, "restart",
		`action="/console/bots/ops/try"`)
	status, page := b.say("ops", url.Values{"user": {" alice "}, "conversation": {"c1"}, "direct": {"true"},
		"text": {"restart pin=hunter2"}})
	if status != http.StatusOK {
		t.Fatalf("status = %d\n%s", status, page)
	}
	chattest.Equal(t, "what was sent", s.sent, []sendRequest{{Name: "ops", UserID: "alice", ConversationID: "c1",
		Direct: true, Text: "restart pin=hunter2"}})
	wantText(t, page, "Accepted.\n&lt;b&gt;soon", "It &lt;i&gt;runs", ref.ID, "Delivered", "the detail",
		"restart pin=******", `value="alice"`, "checked", `href="/console/bots/ops/commands#command-`+ref.ID+`"`)
	wantNoText(t, page, "hunter2", planted)
	wantText(t, b.page("/console/bots/ops/commands"), `id="command-`+ref.ID+`"`)
}

func TestAnswersOfABot(t *testing.T) {
	s := newSite(t)
	s.Bot("ops")
	b := s.browser().signIn(owner)
	for what, test := range map[string]struct {
		answer    sentAnswer
		text      string
		want, not []string
	}{
		"an answer": {sentAnswer{Answer: &sentText{200, "ids of alice"}}, "whoami", []string{"ids of alice", "whoami",
			"There is no command yet"}, []string{"nothing yet"}},
		"nothing": {sentAnswer{Answer: &sentText{200, ""}}, "restart", []string{"The platform shows nothing yet"}, nil},
		"a duplicate": {sentAnswer{Answer: &sentText{200, ""}, Duplicate: true}, "x", []string{"is a duplicate"},
			[]string{"nothing yet"}},
		"refused": {sentAnswer{Answer: &sentText{Status: 403}}, "x", []string{"with status 403"},
			[]string{"nothing yet"}},
		"unreachable": {sentAnswer{Problem: "the webhook did not answer"}, "x", []string{"did not answer"},
			[]string{"nothing yet"}},
		"unread": {sentAnswer{Answer: &sentText{200, "what?"}}, `"open secret`, []string{"what?"},
			[]string{"open secret"}},
		"with arguments": {sentAnswer{Answer: &sentText{200, "no"}}, "restart pin=1234", []string{"restart …"},
			[]string{"1234"}},
	} {
		t.Run(what, func(t *testing.T) {
			s.answer = &test.answer
			status, page := b.say("ops", url.Values{"user": {"alice"}, "text": {test.text}})
			if status != http.StatusOK {
				t.Errorf("status = %d", status)
			}
			wantText(t, page, test.want...)
			wantNoText(t, page, test.not...)
		})
	}
}

func TestSpeakingShowsMistakesAtTheForm(t *testing.T) {
	s := newSite(t)
	s.Bot("ops")
	b := s.browser().signIn(owner)
	s.sendErr = fault.Missing("UserId")
	status, page := b.say("ops", url.Values{"text": {"help"}})
	if status != http.StatusBadRequest {
		t.Errorf("status = %d, want 400", status)
	}
	wantText(t, page, `role="alert"`, "UserId", `method="post" action="/console/bots/ops/try"`)
	s.sendErr = fault.Invalid("Mode", "Start a stand-in.")
	page = b.page("/console/bots/ops/try")
	wantText(t, page, "Start a stand-in.")
	wantNoText(t, page, `name="text"`)
	s.sendErr = fault.Invalid("DryRun", "DryRun has no meaning here.")
	page = b.page("/console/bots/ops/try")
	wantText(t, page, `name="text"`)
	wantNoText(t, page, "no meaning")
	s.sendErr = fault.Invalid("Name", "Name is odd.")
	if status, page = b.get("/console/bots/ops/try"); status != http.StatusBadRequest {
		t.Errorf("another mistake: %d, want 400", status)
	}
	wantText(t, page, "Name is odd.")
	s.sendErr = errors.New(planted)
	status, page = b.say("ops", url.Values{"user": {"alice"}, "text": {"help"}})
	if status != http.StatusInternalServerError {
		t.Errorf("an error of the service: %d, want 500", status)
	}
	wantNoText(t, page, planted)
	if status, _ = b.say("ops", url.Values{"text": {strings.Repeat("x", 20<<10)}}); status != http.StatusBadRequest {
		t.Errorf("a form that is too large: %d, want 400", status)
	}
}

// Only a key whose policy names SendChatMessage may speak to a bot.
func TestSpeakingNeedsItsPermission(t *testing.T) {
	s := newSite(t)
	s.Bot("ops")
	s.addKey("CCKall", mustPolicy(t, `{"Effect":"Allow","Action":"oos:*","Resource":"*"}`))
	s.addKey("CCKsend", mustPolicy(t, `{"Effect":"Allow","Action":"oos:SendChatMessage","Resource":"*"}`))
	all := s.browser().signIn("CCKall")
	page := all.page("/console/bots/ops/try")
	wantText(t, page, "It needs the permission oos:SendChatMessage.")
	wantNoText(t, page, `name="text"`)
	said := url.Values{"user": {"alice"}, "text": {"help"}}
	status, page := all.say("ops", said)
	if status != http.StatusForbidden || len(s.sent) > 0 {
		t.Errorf("status = %d, want 403; sent %v", status, s.sent)
	}
	wantText(t, page, "It needs the permission oos:SendChatMessage.")
	status, page = s.browser().signIn("CCKsend").say("ops", said)
	if status != http.StatusOK || len(s.sent) != 1 {
		t.Errorf("status = %d, want 200; sent %v", status, s.sent)
	}
	wantText(t, page, ">ok<", "It needs the permission oos:ListChatCommands.")
	if status, _ := s.browser().say("ops", said); status != http.StatusSeeOther || len(s.sent) != 1 {
		t.Errorf("without a session: %d; sent %v", status, s.sent)
	}
}

// The page shows the earlier messages of a visit, as far as its form can send them again.
func TestAVisitKeepsItsMessages(t *testing.T) {
	s := newSite(t)
	s.Bot("ops")
	b := s.browser().signIn(owner)
	hidden := regexp.MustCompile(`<input type="hidden" name="([a-z]+)" value="([^"]*)">`)
	form := make(url.Values)
	say := func(text, answer string) string {
		t.Helper()
		form.Set("user", "alice")
		form.Set("text", text)
		s.answer = &sentAnswer{Answer: &sentText{200, answer}, Later: "later"}
		status, page := b.say("ops", form)
		if status != http.StatusOK {
			t.Fatalf("%s: status = %d", text, status)
		}
		form = make(url.Values)
		for _, m := range hidden.FindAllStringSubmatch(page, -1) {
			form.Add(m[1], html.UnescapeString(m[2]))
		}
		return page
	}
	say("one", "<first> "+hostile)
	page := say("two", "second")
	wantText(t, page, "&lt;first&gt;", ">two<", "second")
	wantNoText(t, page, "<first>", "<script>", "\u202e")
	chattest.Equal(t, "kept", form["said"], []string{"one", "two"})
	for range 8 {
		page = say("long", strings.Repeat("长", 500))
	}
	if n := len(form["said"]); n == 0 || n > 3 {
		t.Errorf("%d messages are kept", n)
	}
	wantNoText(t, page, "&lt;first&gt;")
	say("huge", strings.Repeat("长", 5000))
	if got := form["said"]; len(got) > 0 {
		t.Errorf("after a huge answer %q are kept", got)
	}
	form = url.Values{"who": {"a", "b"}, "said": {"x"}, "answered": {"y", "z"}, "awaited": {"", ""}} // not of this page
	say("odd", "fine")
	chattest.Equal(t, "kept of an odd form", form["said"], []string{"x", "odd"})
}

func TestAnotherSiteCannotSpeakToABot(t *testing.T) {
	s := newSite(t)
	s.Bot("ops")
	b := s.browser().signIn(owner)
	b.header.Set("Sec-Fetch-Site", "cross-site")
	status, page := b.say("ops", url.Values{"user": {"alice"}, "text": {"help"}})
	if status != http.StatusForbidden || len(s.sent) > 0 {
		t.Errorf("status = %d, want 403; sent %v", status, s.sent)
	}
	wantText(t, page, "came from another site")
}

// A service without the action says so, and where to go instead. It is no error.
func TestAServiceThatCannotSend(t *testing.T) {
	s, before := newSiteBetween(t)
	*before = func(action string, _ map[string]string) error {
		if action == "SendChatMessage" {
			return &fault.Error{Code: fault.Internal, Err: fmt.Errorf("%w: %s", console.ErrNoAction, action)}
		}
		return nil
	}
	s.Bot("ops")
	b := s.browser().signIn(owner)
	page := b.page("/console/bots/ops/try")
	posted, postedPage := b.say("ops", url.Values{"user": {"alice"}, "text": {"help"}})
	later, _ := b.get("/console/bots/ops/try/later?command=x")
	if posted != http.StatusNotFound || later != http.StatusNotFound || len(s.sent) > 0 {
		t.Errorf("status = %d and %d, want 404; sent %v", posted, later, s.sent)
	}
	for _, page := range []string{page, postedPage} {
		wantText(t, page, "only &#39;chatconf serve&#39; has", `href="/console/bots/ops/permissions"`,
			"Recent commands")
		wantNoText(t, page, `name="text"`)
	}
	wantNoText(t, s.log.String(), "level=ERROR")
}

func TestHostileConversationsWithABot(t *testing.T) {
	s := newSite(t)
	s.Bot("ops")
	s.answer = &sentAnswer{Answer: &sentText{200, hostile}, Later: hostile, CommandId: hostile, Outcome: hostile,
		Detail: hostile}
	b := s.browser().signIn(owner)
	_, page := b.say("ops", url.Values{"user": {hostile}, "conversation": {hostile}, "text": {hostile}})
	s.answer.Problem = hostile
	_, other := b.say("ops", url.Values{"user": {hostile}, "text": {hostile}})
	_, unknown := b.say(hostile, url.Values{"user": {hostile}, "text": {hostile}})
	for _, text := range []string{page, other, unknown} {
		wantNoText(t, text, "<script>", "<img", "\u202e", "\u2066", "\x1b")
	}
	wantText(t, html.UnescapeString(page), `\u202egnp.exe`)
}

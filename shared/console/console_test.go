package console_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"chatconf/shared/accesskey"
	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/console"
	"chatconf/shared/invoke"
	"chatconf/shared/journal"
	"chatconf/shared/platform"
	"chatconf/shared/policy"
	"chatconf/shared/rpc"
	"chatconf/shared/seal"
	"chatconf/shared/secret"
	"chatconf/shared/table/file"
)

// planted is in every secret of these tests: no page may have it.
const planted = "PLANTED"

// The keys of the tests, and their secret.
const (
	owner     = "CCKowner"
	keySecret = planted + "-key-secret"
)

// A site is a console over a real service on a real file, with its clock under the test's hand.
type site struct {
	*chattest.House
	keys    *accesskey.Store
	console *console.Console
	options console.Options
	log     bytes.Buffer
	logMu   sync.Mutex
	secure  bool // requests come over TLS
	source  string
	answer  *sentAnswer            // of SendChatMessage; nil: as if the bot answered ok
	later   map[string]*sentAnswer // of SendChatMessage about a command
	sent    []sendRequest
	sendErr error
}

// quota is how many bots a site may have.
const quota = 100_000

func newSite(t testing.TB, adjust ...func(*console.Options)) *site {
	t.Helper()
	s := &site{House: chattest.New(t, chat.Options{Quota: quota}), source: "192.0.2.1"}
	db, err := file.Open(filepath.Join(t.TempDir(), "keys.db"), file.Options{Now: s.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	s.keys = accesskey.New(db.Table("keys", file.TableOptions{}), nil, s.Ring, s.Clock.Now)
	s.Service = s.ServiceWith(chat.Options{Quota: quota, Journal: s.Journal, Keys: s.keys}, s.Ring)
	handler, err := rpc.NewHandler(rpc.Options{Service: s.Service, Keys: s.keys,
		Tickets: db.Table("tickets", file.TableOptions{TTL: rpc.NonceAge}), Now: s.Clock.Now},
		slices.Concat(rpc.Actions(), rpc.KeyActions(), []rpc.Action{rpc.NewAction("SendChatMessage", s.send)})...)
	if err != nil {
		t.Fatal(err)
	}
	masked := mustPolicy(t, `{"Effect":"Deny","Action":"oos:RevealChatConfigurationOutputs","Resource":"*"}`)
	s.options = console.Options{Ring: s.Ring, Platforms: platform.All().Descriptions(), Key: handler.Key,
		API:     func(id string) console.API { return handler.As(id, masked) },
		NoteUse: handler.NoteUse, Now: s.Clock.Now}
	for _, a := range adjust {
		a(&s.options)
	}
	if s.console, err = console.New(s.options); err != nil {
		t.Fatal(err)
	}
	s.addKey(owner, policy.Owner())
	return s
}

func mustPolicy(t testing.TB, statements string) *policy.Policy {
	t.Helper()
	p, err := policy.Parse([]byte(`{"Version":"1","Statement":[` + statements + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (s *site) addKey(id string, p *policy.Policy, edit ...func(*accesskey.Key)) {
	s.T.Helper()
	key := accesskey.Key{ID: id, Secret: keySecret, Account: chattest.Account, Name: "key " + id,
		Policies: []*policy.Policy{p}}
	for _, e := range edit {
		e(&key)
	}
	if _, err := s.keys.Create(s.T.Context(), key); err != nil {
		s.T.Fatal(err)
	}
}

// Write makes a site the destination of its log.
func (s *site) Write(line []byte) (int, error) {
	s.logMu.Lock()
	defer s.logMu.Unlock()
	return s.log.Write(line)
}

// A browser keeps the cookies of a site, as far as these tests need it.
type browser struct {
	*site
	cookies map[string]string
	header  http.Header
	host    string // of requests; empty: that of the address
}

func (s *site) browser() *browser {
	return &browser{site: s, cookies: make(map[string]string), header: make(http.Header)}
}

// do sends one request and keeps the cookies of the answer.
func (b *browser) do(method, path string, form url.Values) *http.Response {
	b.T.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for name, values := range b.header {
		r.Header[name] = values
	}
	if b.host != "" {
		r.Host = b.host
	}
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	r = r.WithContext(invoke.With(r.Context(), &invoke.Invocation{RequestID: "REQUEST-ID", SourceIP: b.source,
		Secure: b.secure, Logger: slog.New(slog.NewTextHandler(b.site, nil))}))
	w := httptest.NewRecorder()
	b.console.ServeHTTP(w, r)
	resp := w.Result()
	for _, c := range resp.Cookies() {
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		} else {
			b.cookies[c.Name] = c.Value
		}
	}
	return resp
}

func (b *browser) get(path string) (int, string) {
	b.T.Helper()
	resp := b.do(http.MethodGet, path, nil)
	return resp.StatusCode, b.text(resp)
}

// styled is the style that every page has.
var styled = regexp.MustCompile(`(?s)<style>.*?</style>\n`)

// text returns the page of an answer, without its style.
func (b *browser) text(resp *http.Response) string {
	b.T.Helper()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.T.Fatal(err)
	}
	return styled.ReplaceAllString(string(text), "")
}

// page returns a page that must be there.
func (b *browser) page(path string) string {
	b.T.Helper()
	status, text := b.get(path)
	if status != http.StatusOK {
		b.T.Fatalf("GET %s: %d\n%s", path, status, text)
	}
	return text
}

// signIn signs in with a key.
func (b *browser) signIn(id string) *browser {
	b.T.Helper()
	if got := b.trySignIn(id, keySecret); got != http.StatusSeeOther {
		b.T.Fatalf("sign in as %s: %d", id, got)
	}
	return b
}

func (b *browser) trySignIn(id, password string) int {
	b.T.Helper()
	return b.do(http.MethodPost, "/console/signin", url.Values{"id": {id}, "secret": {password}}).StatusCode
}

// isSignedIn reports whether the first page is shown, and not the way to sign in.
func (b *browser) isSignedIn() bool {
	b.T.Helper()
	status, _ := b.get("/console/")
	if status != http.StatusOK && status != http.StatusSeeOther {
		b.T.Fatalf("GET /console/: %d", status)
	}
	return status == http.StatusOK
}

func wantText(t testing.TB, page string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(page, text) {
			t.Errorf("the page has no %q:\n%s", text, page)
		}
	}
}

func wantNoText(t testing.TB, page string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if strings.Contains(page, text) {
			t.Errorf("the page has %q:\n%s", text, page)
		}
	}
}

// slack returns the settings of a Slack bot with planted secrets.
func slack(members ...string) secret.Text {
	return secret.Text(chattest.With(`{"SlackSigningSecret":"`+planted+`-signing"}`, strings.Join(members, ",")))
}

// allPages are the paths of the pages for a person who is signed in, of a bot.
func allPages(name string) []string {
	bot := "/console/bots/" + url.PathEscape(name)
	simulated := "?user=u1&conversation=c1&text=restart+i-123"
	return []string{"/console/", bot, bot + "/permissions", bot + "/permissions" + simulated, bot + "/try",
		bot + "/commands", bot + "/history", bot + "/history?revision=1", "/console/commands", "/console/new",
		"/console/new?type=Slack", bot + "/edit", bot + "/permissions/edit", bot + "/actions/edit",
		bot + "/manage", bot + "/restore?revision=1",
		bot + "/try/later?command=" + pendingID, bot + "/commands/chart", "/console/commands/chart", "/console/about",
		"/console/keys", "/console/keys/new", "/console/keys/" + owner}
}

func TestAllPagesShowABot(t *testing.T) {
	s := newSite(t)
	e := s.Bot("ops", `"BotName":"the ops bot"`)
	s.MustRecord(e, chattest.Arrival(t, e, "m1", "u1", "restart i-123"))
	s.MustRecord(e, chattest.Arrival(t, e, "m2", "u2", "stop i-123"))
	b := s.browser().signIn(owner)
	for path, want := range map[string][]string{
		"/console/": {`href="/console/bots/ops"`, "Slack", "Active", "Working", "Bots: 1"},
		"/console/bots/ops": {"SlackSigningSecret", "secrets are never shown", "the ops bot", "OpsRole",
			"******", "<ol>"},
		"/console/bots/ops/commands": {"restart i-123", "Denied", "the u1", "2026-11-23",
			`/console/bots/ops/permissions?conversation=`, `text=stop&#43;i-123&amp;user=u2#simulate">Why?</a>`},
		"/console/commands":                      {"restart i-123", `href="/console/bots/ops"`},
		"/console/commands?decision=Allowed":     {"restart i-123"},
		"/console/bots/ops/history":              {"Created", "CCKadmin", "history?revision=1"},
		"/console/bots/ops/history?revision=1":   {"Configuration.BotName", "the ops bot"},
		"/console/?name=op&type=Slack":           {`href="/console/bots/ops"`},
		"/console/?status=Inactive":              {"No bot on this page matches"},
		"/console/bots/ops/commands?user=nobody": {"No command matches"},
	} {
		wantText(t, b.page(path), want...)
	}
	wantNoText(t, b.page("/console/commands?decision=Allowed"), "stop i-123")
	wantNoText(t, b.page("/console/bots/ops/commands?user=u2"), "restart")
}

func TestAnEmptyServiceSaysWhatToDo(t *testing.T) {
	b := newSite(t).browser().signIn(owner)
	page := b.page("/console/")
	wantText(t, page, "There is no bot yet", `yet. <a href="/console/new">`, "A bot takes commands from one chat")
	wantNoText(t, page, `role="search"`)
	wantText(t, b.page("/console/?name=gone"), "No bot on this page matches", `role="search"`,
		`href="/console/bots/gone/history">If gone was deleted`)
	wantNoText(t, b.page("/console/?type=Slack"), "was deleted")
	wantText(t, b.page("/console/commands"), "No command matches")
}

// A failing bot shows its step and what to do, in the list and on its page.
func TestAFailingBotSaysWhatToDo(t *testing.T) {
	s := newSite(t)
	e := s.Bot("ops")
	if err := s.Journal.Note(s.Ctx, e.Ref(), journal.Note{Counter: journal.CountRefused, Step: "signature",
		Reason: "the signature is wrong"}); err != nil {
		t.Fatal(err)
	}
	b := s.browser().signIn(owner)
	wantText(t, b.page("/console/"), "Failing", "signature")
	wantText(t, b.page("/console/bots/ops"), "Failing", "Step: signature", "What to do: The secret here differs")
}

// Pages are in English or Chinese: by the browser, by the parameter, and then by the cookie.
func TestLanguage(t *testing.T) {
	s := newSite(t)
	b := s.browser().signIn(owner)
	wantText(t, b.page("/console/"), `<html lang="en">`, "Sign out")
	b.header.Set("Accept-Language", "fr, zh-TW;q=0.9, en;q=0.8")
	wantText(t, b.page("/console/"), `<html lang="zh-CN">`, "退出登录", `href="/console/?lang=en"`)
	wantText(t, b.page("/console/?lang=en"), `<html lang="en">`)
	wantText(t, b.page("/console/"), `<html lang="en">`)
	wantText(t, b.page("/console/?lang=zh"), `<html lang="zh-CN">`)
	wantText(t, b.page("/console/?lang=xx"), `<html lang="zh-CN">`)
	wantText(t, b.page("/console/?name=a%26b&lang=en"), `lang=zh-CN&amp;name=a%26b`)
}

func TestListsHavePages(t *testing.T) {
	s := newSite(t)
	for i := range 60 {
		s.MustCreate(fmt.Sprintf("bot-%03d", i), func(in *chat.CreateRequest) {
			in.Tags = map[string]string{"env": "prod"}
		})
	}
	b := s.browser().signIn(owner)
	first := b.page("/console/?tag=env%3Dprod&status=Active")
	wantText(t, first, "bot-000", "bot-049")
	wantNoText(t, first, "bot-050", "First page")
	_, after, _ := strings.Cut(first, `<a href="/console/?page=`)
	next, _, found := strings.Cut(after, `"`)
	if !found {
		t.Fatalf("there is no next page:\n%s", first)
	}
	second := b.page("/console/?page=" + strings.ReplaceAll(next, "&amp;", "&"))
	wantText(t, second, "bot-050", "bot-059", "First page")
	wantNoText(t, second, "bot-049", "Next page")
	if status, page := b.get("/console/?page=forged"); status != http.StatusBadRequest {
		t.Errorf("a forged page: %d", status)
	} else {
		wantText(t, page, "Start again at the first page")
	}
}

// What a key may not read is said in its place.
func TestAKeyThatMayNotReadEverything(t *testing.T) {
	s := newSite(t)
	e := s.Bot("ops")
	s.MustRecord(e, chattest.Arrival(t, e, "m1", "u1", "restart i-123"))
	allow := func(actions string) *policy.Policy {
		return mustPolicy(t, `{"Effect":"Allow","Action":[`+actions+`],"Resource":"*"}`)
	}
	s.addKey("CCKlist", allow(`"oos:ListChatConfigurations"`))
	s.addKey("CCKget", allow(`"oos:GetChatConfiguration"`))
	s.addKey("CCKhealth", allow(`"oos:GetChatConfigurationHealth"`))
	list := s.browser().signIn("CCKlist")
	wantText(t, list.page("/console/"), "ops", "some bots (1)", "oos:GetChatConfigurationHealth")
	status, page := list.get("/console/bots/ops")
	if status != http.StatusForbidden {
		t.Errorf("a bot that may not be read: %d", status)
	}
	wantText(t, page, "It needs the permission oos:GetChatConfiguration.")
	get := s.browser().signIn("CCKget")
	wantText(t, get.page("/console/bots/ops"), "SlackSigningSecret", "permission oos:GetChatConfigurationHealth")
	for path, permission := range map[string]string{
		"/console/":                            "oos:ListChatConfigurations",
		"/console/commands":                    "oos:ListChatCommands",
		"/console/bots/ops/commands":           "oos:ListChatCommands",
		"/console/bots/ops/history":            "oos:ListChatConfigurationRevisions",
		"/console/bots/ops/history?revision=1": "oos:GetChatConfigurationRevision",
	} {
		if status, page := get.get(path); status != http.StatusForbidden {
			t.Errorf("GET %s: %d, want 403", path, status)
		} else {
			wantText(t, page, "It needs the permission "+permission+".")
			wantNoText(t, page, "restart", "SlackSigning")
		}
	}
	health := s.browser().signIn("CCKhealth")
	page = health.page("/console/bots/ops")
	wantText(t, page, "Working", "permission oos:GetChatConfiguration.")
	wantNoText(t, page, "SlackSigningSecret")
}

func TestPagesOfErrors(t *testing.T) {
	s := newSite(t)
	b := s.browser().signIn(owner)
	for path, want := range map[string]int{
		"/console/bots/absent":             http.StatusNotFound,
		"/console/bots/absent/history":     http.StatusNotFound,
		"/console/bots/-bad%20name!":       http.StatusBadRequest,
		"/console/nothing":                 http.StatusNotFound,
		"/console/commands?state=Nonsense": http.StatusBadRequest,
		"/console/commands?since=someday":  http.StatusBadRequest,
	} {
		if got, page := b.get(path); got != want {
			t.Errorf("GET %s: %d, want %d", path, got, want)
		} else {
			wantText(t, page, "<h1>", `role="alert"`, `href="/console/"`)
		}
	}
}

// An error of the service is in the log and not on the page.
func TestAnErrorOfTheServiceHasNoDetails(t *testing.T) {
	s := newSite(t)
	b := s.browser().signIn(owner)
	s.Spy.Fail("Query", 1, fmt.Errorf("%s detail", planted))
	status, page := b.get("/console/")
	if status != http.StatusInternalServerError {
		t.Errorf("status = %d, want 500", status)
	}
	wantNoText(t, page, planted)
	wantText(t, page, "An error occurred in the service", "REQUEST-ID")
	wantText(t, s.log.String(), planted+" detail", "level=ERROR")
}

func TestAPanicIsAnError(t *testing.T) {
	s := newSite(t, func(o *console.Options) { o.API = func(string) console.API { return panicking{} } })
	b := s.browser().signIn(owner)
	status, page := b.get("/console/")
	if status != http.StatusInternalServerError {
		t.Errorf("status = %d, want 500", status)
	}
	wantNoText(t, page, planted)
	wantText(t, s.log.String(), "panic: "+planted)
}

type panicking struct{}

func (panicking) Call(context.Context, string, map[string]string, any) error { panic(planted) }

func TestNewRefuses(t *testing.T) {
	full := newSite(t).options
	for what, remove := range map[string]func(*console.Options){
		"no ring":      func(o *console.Options) { o.Ring = (*seal.Ring)(nil) },
		"no keys":      func(o *console.Options) { o.Key = nil },
		"no API":       func(o *console.Options) { o.API = nil },
		"no platforms": func(o *console.Options) { o.Platforms = nil },
	} {
		o := full
		remove(&o)
		if _, err := console.New(o); err == nil {
			t.Errorf("New with %s succeeds", what)
		}
	}
}

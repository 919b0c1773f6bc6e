package console_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"chatconf/shared/accesskey"
	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/console"
	"chatconf/shared/policy"
	"chatconf/shared/seal"
	"chatconf/shared/secret"
)

type ctx = context.Context

func digestOf(password string) string {
	sum := sha256.Sum256([]byte("chatconf/console/v1\x00" + password))
	return base64.StdEncoding.EncodeToString(sum[:])
}

func encodeCookie(s *site, at seal.Place, text string) string {
	s.T.Helper()
	sealed, err := s.Ring.Seal(at, []byte(text))
	if err != nil {
		s.T.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(sealed)
}

// The cookie of sealedAt is one at the place of sessions, so that the test with another place tests
// the place.
func TestASessionIsAtItsPlace(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	b.cookies[sessionCookie] = sealedAt(s, seal.Place{Account: "#Console", Region: "#Console", Name: "#Console",
		Field: "Session"}, s.Clock.Now().Add(1e9))
	if !b.isSignedIn() {
		t.Error("the session is not accepted")
	}
}

// Every answer has all headers, that of an error and that of another site's request too.
func TestEveryAnswerHasTheHeaders(t *testing.T) {
	s := newSite(t)
	s.Bot("ops")
	b := s.browser().signIn(owner)
	stranger := s.browser()
	var answers []*http.Response
	for _, path := range append(allPages("ops"), "/console", "/console/signin", "/console/nothing",
		"/console/bots/absent", "/console//", "/console/static/console.js", "/console/static/absent") {
		answers = append(answers, b.do(http.MethodGet, path, nil), stranger.do(http.MethodGet, path, nil))
	}
	answers = append(answers, stranger.do(http.MethodPost, "/console/signin", nil),
		stranger.do(http.MethodPost, "/console/signout", nil), stranger.do(http.MethodPost, "/console/bots/ops", nil))
	stranger.header.Set("Sec-Fetch-Site", "cross-site")
	answers = append(answers, stranger.do(http.MethodPost, "/console/signin", nil))
	for _, resp := range answers {
		h := resp.Header
		policy := h.Get("Content-Security-Policy")
		for _, directive := range []string{"default-src 'self'", "frame-ancestors 'none'", "base-uri 'none'",
			"form-action 'self'"} {
			if !slices.Contains(strings.Split(policy, "; "), directive) {
				t.Errorf("%d: the policy %q has no %s", resp.StatusCode, policy, directive)
			}
		}
		if strings.Contains(policy, "unsafe") {
			t.Errorf("the policy is %q", policy)
		}
		static := strings.HasPrefix(h.Get("Cache-Control"), "public")
		if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") != "same-origin" ||
			h.Get("Cross-Origin-Resource-Policy") != "same-origin" || !static && h.Get("Cache-Control") != "no-store" {
			t.Errorf("%d: the headers are %v", resp.StatusCode, h)
		}
	}
}

var inline = regexp.MustCompile(`(?i)<script[^>]*>[^<]|<style|\sstyle=|\son[a-z]+=|javascript:|` +
	`https?://[^"]*\.(js|css)`)

// No page has a script or a style of its own inside, nor loads one from elsewhere: the policy would
// block it.
func TestPagesHaveNothingInline(t *testing.T) {
	s := newSite(t)
	e := s.Bot("ops")
	s.MustRecord(e, chattest.Arrival(t, e, "m1", "u1", "restart i-123"))
	b := s.browser().signIn(owner)
	pages := []string{}
	for _, path := range allPages("ops") {
		pages = append(pages, b.page(path))
	}
	pages = append(pages, s.browser().page("/console/signin"))
	for _, page := range pages {
		if found := inline.FindString(page); found != "" {
			t.Errorf("a page has %q:\n%s", found, page)
		}
		for _, want := range []string{`<a class="skip" href="#main">`, `<main id="main"`, "<h1>", `<html lang="en">`,
			`name="viewport"`} {
			wantText(t, page, want)
		}
	}
}

// Every page has one style, which is the one that the policy allows.
func TestPagesHaveTheStyleOfThePolicy(t *testing.T) {
	s := newSite(t)
	s.Bot("ops")
	b := s.browser().signIn(owner)
	for _, path := range append(allPages("ops"), "/console/nothing") {
		resp := b.do(http.MethodGet, path, nil)
		page, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		_, style, _ := strings.Cut(string(page), "<style>")
		style, _, _ = strings.Cut(style, "</style>")
		sum := sha256.Sum256([]byte(style))
		wantText(t, resp.Header.Get("Content-Security-Policy"),
			"; style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"';")
		if strings.Count(string(page), "<style") != 1 || len(style) < 1000 {
			t.Errorf("%s has %d styles, the first of %d bytes", path, strings.Count(string(page), "<style"), len(style))
		}
	}
}

// A key that may reveal secrets over the API sees none in the console, and what is typed when
// signing in is not on the page that refuses it.
func TestNoPageHasASecret(t *testing.T) {
	s := newSite(t)
	target := base64.StdEncoding.EncodeToString([]byte(planted + "-secret-of-the-target"))
	s.MustCreate("ops", func(in *chat.CreateRequest) {
		in.Configuration = slack(`"Target":{"Type":"Http","Url":"https://example.com/hook","Secret":"`+target+`"}`,
			chattest.OpenToAll)
	})
	token := s.URL("ops")
	token = token[strings.LastIndexByte(token, '/')+1:]
	if len(token) < 16 {
		t.Fatalf("the token is %q", token)
	}
	b := s.browser().signIn(owner)
	for _, path := range allPages("ops") {
		wantNoText(t, b.page(path), planted, token, target)
	}
	resp := s.browser().do(http.MethodPost, "/console/signin", url.Values{"id": {owner}, "secret": {planted + "x"}})
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	wantNoText(t, string(text), planted)
	wantNoText(t, s.log.String(), planted, token)
}

// A leaking API does not mask the secrets of a Configuration.
type leaking struct{ console.API }

func (l leaking) Call(ctx context.Context, action string, params map[string]string, answer any) error {
	err := l.API.Call(ctx, action, params, answer)
	if got, ok := answer.(*chat.GetResponse); ok {
		c := &got.ChatConfiguration
		c.Configuration = strings.ReplaceAll(c.Configuration, secret.Mask, planted)
	}
	return err
}

// The value of a secret setting is not on the page, even if the API showed it.
func TestASecretSettingHasNoValue(t *testing.T) {
	s := newSite(t, func(o *console.Options) {
		api := o.API
		o.API = func(id string) console.API { return leaking{api(id)} }
	})
	s.MustCreate("ops", func(in *chat.CreateRequest) { in.Configuration = slack(chattest.OpenToAll) })
	page := s.browser().signIn(owner).page("/console/bots/ops")
	wantText(t, page, "SlackSigningSecret", "secrets are never shown")
	wantNoText(t, page, planted)
}

// hostile is what others may write: marks of HTML, quotes, and characters that change how the rest
// is read.
const hostile = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\u202egnp.exe\u2066\x1b[31m{{.}}"

// What others write cannot become a part of a page, wherever they may write it.
func TestHostileTexts(t *testing.T) {
	s := newSite(t)
	s.MustCreate("ops", func(in *chat.CreateRequest) {
		in.Configuration = slack(`"BotName":"<b>x</b>\"'"`, chattest.OpenToAll)
		in.Tags = map[string]string{"<i>k</i>": "<script>alert(3)</script>"}
	})
	e := s.Open("ops")
	a := chattest.Arrival(t, e, "m1", "u1", "restart "+`'<script>alert(4)</script>'`)
	a.Command.UserName, a.Command.Conversation = hostile, hostile
	s.MustRecord(e, a)
	s.addKey("CCKhostile", policy.Owner(), func(k *accesskey.Key) {
		k.Name = `<b>x</b>"'<img src=x>`
		k.Description = "<script>alert(5)</script>\u202egnp.exe\u2066"
	})
	b := s.browser().signIn(owner)
	query := "?name=" + url.QueryEscape(hostile) + "&user=" + url.QueryEscape(hostile) + "&lang=en"
	pages := []string{}
	for _, path := range allPages("ops") {
		pages = append(pages, b.page(path))
	}
	for _, path := range []string{"/console/keys/CCKhostile", "/console/keys/" + url.PathEscape(hostile),
		"/console/" + query, "/console/commands" + query,
		"/console/bots/" + url.PathEscape(hostile),
		"/console/bots/ops/permissions" + query + "&conversation=c1&text=" + url.QueryEscape(hostile),
		"/console/bots/ops/permissions?who=" + url.QueryEscape(hostile) + "&what=" + url.QueryEscape(hostile),
		"/console/bots/" + url.PathEscape(hostile) + "/permissions",
		"/console/bots/" + url.PathEscape(hostile) + "/try",
		"/console/bots/ops/try" + query + "&conversation=" + url.QueryEscape(hostile),
		"/console/bots/ops/history?revision=" + url.QueryEscape(hostile),
		"/console/commands?page=" + url.QueryEscape(hostile), "/console/signin?next=" + url.QueryEscape(hostile)} {
		_, page := b.get(path)
		pages = append(pages, page)
	}
	resp := s.browser().do(http.MethodPost, "/console/signin", url.Values{"id": {hostile}, "secret": {"x"},
		"next": {hostile}})
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range append(pages, string(text)) {
		wantNoText(t, page, "<script>", "<img", "<b>x", "<i>k", "\u202e", "\u2066", "\x1b")
	}
	wantText(t, b.page("/console/bots/ops/commands"), `\u202e`, "&lt;script&gt;alert(4)")
}

var wordUse = regexp.MustCompile(`\bt "([a-z. ]+)"`)

// Every word that is used is there in both languages, and every word that is there is used.
func TestEveryWordIsInBothLanguages(t *testing.T) {
	words := consoleWords()
	used := make(map[string]bool)
	files, err := filepath.Glob("asset/*.html")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d templates: %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range wordUse.FindAllStringSubmatch(string(text), -1) {
			used[m[1]] = true
			if _, ok := words[m[1]]; !ok {
				t.Errorf("%s: there is no word %q", file, m[1])
			}
		}
	}
	code, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, file := range code {
		if strings.HasSuffix(file, "_test.go") || strings.HasPrefix(file, "word") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	for name, text := range words {
		if !used[name] && !strings.Contains(all.String(), `"`+name+`"`) && !strings.HasPrefix(name, "step.") {
			t.Errorf("the word %q is not used", name)
		}
		if text[0] == "" || text[1] == "" && name != "mark.gap" ||
			strings.Count(text[0], "%") != strings.Count(text[1], "%") {
			t.Errorf("the word %q is %q and %q", name, text[0], text[1])
		}
		isHan := func(r rune) bool { return r >= 0x4e00 && r <= 0x9fff }
		if !strings.ContainsFunc(text[1], isHan) && name != "language" && !strings.HasPrefix(name, "mark.") {
			t.Errorf("the word %q is not in Chinese: %q", name, text[1])
		}
	}
}

// Every step where a callback or a connection can fail has a sentence on what to do.
func TestEveryStepHasAnAdvice(t *testing.T) {
	step := regexp.MustCompile(`(?m)^\s+Step[A-Z][A-Za-z]*\s+(?:Step )?= "([a-z ]+)"`)
	n := 0
	for _, file := range []string{"../platform/callback/receiver.go", "../stream/supervisor.go",
		"../journal/health.go"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range step.FindAllStringSubmatch(string(text), -1) {
			n++
			// Nobody sees the health of a bot that is not found.
			if _, ok := consoleWords()["step."+m[1]]; !ok && m[1] != "find" {
				t.Errorf("there is no advice for the step %q", m[1])
			}
		}
	}
	if n < 15 {
		t.Errorf("only %d steps were found", n)
	}
}

// A page with its assets is small.
func TestPagesAreSmall(t *testing.T) {
	s := newSite(t)
	fill(s, 120, 1200)
	b := s.browser().signIn(owner)
	if css, err := os.Stat("asset/console.css"); err != nil || css.Size() > 20<<10 {
		t.Errorf("console.css has %d bytes: %v", css.Size(), err)
	}
	for _, path := range allPages("bot-00000") {
		for _, language := range []string{"en", "zh-CN"} {
			b.header.Set("Accept-Language", language)
			size := weight(t, b.page(path))
			t.Logf("%s in %s: %d bytes with assets", path, language, size)
			if size > 100<<10 {
				t.Errorf("%s has %d bytes with its assets, want at most 100 KiB", path, size)
			}
		}
	}
}

func TestStaticFiles(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	signIn := b.page("/console/signin")
	found := regexp.MustCompile(`"(/console/static/[a-z.]+\?v=[0-9a-f]+)"`).FindAllStringSubmatch(signIn, -1)
	if len(found) != 2 {
		t.Fatalf("%d files:\n%s", len(found), signIn)
	}
	for _, m := range found {
		resp := b.do(http.MethodGet, m[1], nil)
		if resp.StatusCode != http.StatusOK || !strings.Contains(resp.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("GET %s: %d, %v", m[1], resp.StatusCode, resp.Header)
		}
	}
	for _, path := range []string{"/console/static/layout.html", "/console/static/..%2fword.go",
		"/console/static/absent.js", "/console/static/console.css"} {
		if status, _ := b.get(path); status != http.StatusNotFound {
			t.Errorf("GET %s: %d, want 404", path, status)
		}
	}
}

// endless is an API whose lists have no bounds.
type endless struct{ console.API }

func (a endless) Call(c ctx, action string, params map[string]string, answer any) error {
	if to, ok := answer.(*chat.ListResponse); ok {
		to.ChatConfigurations = slices.Repeat([]chat.Summary{{Name: strings.Repeat("x", 1<<20)}}, 20)
		return nil
	}
	return a.API.Call(c, action, params, answer)
}

// A service elsewhere cannot make a page without bounds.
func TestAPageHasBounds(t *testing.T) {
	s := newSite(t, func(o *console.Options) {
		inner := o.API
		o.API = func(id string) console.API { return endless{inner(id)} }
	})
	status, page := s.browser().signIn(owner).get("/console/")
	if status != http.StatusInternalServerError || len(page) > 10_000 {
		t.Errorf("the page has %d bytes: %d", len(page), status)
	}
	wantText(t, s.log.String(), "page bots: it is larger than 16 MiB")
}

package console_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"chatconf/shared/accesskey"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/console"
	"chatconf/shared/fault"
	"chatconf/shared/policy"
)

// linkOf returns the path of a link of a key.
func (s *site) linkOf(id string) string {
	s.T.Helper()
	link, err := s.console.NewLink(s.T.Context(), id)
	if err != nil {
		s.T.Fatal(err)
	}
	return link.Path.Reveal()
}

// press presses the button of the page behind a link.
func (b *browser) press(link string) *http.Response {
	b.T.Helper()
	u, err := url.Parse(link)
	if err != nil {
		b.T.Fatal(err)
	}
	return b.do(http.MethodPost, u.Path, url.Values{"token": {u.Query().Get("token")}})
}

func TestALinkSignsInOnce(t *testing.T) {
	s := newSite(t)
	link := s.linkOf(owner)
	preview := s.browser()
	for range 3 {
		preview.do(http.MethodHead, link, nil)
		wantText(t, preview.page(link), "This link signs you in once", "key "+owner, `action="/console/enter"`,
			"<button")
	}
	if preview.isSignedIn() {
		t.Error("a look at the link signs in")
	}
	b := s.browser()
	resp := b.press(link)
	if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/console/" || !b.isSignedIn() {
		t.Fatalf("the button: %d, to %q, signed in: %v", resp.StatusCode, resp.Header.Get("Location"), b.isSignedIn())
	}
	other := s.browser()
	if got := other.press(link).StatusCode; got != http.StatusForbidden || other.isSignedIn() {
		t.Errorf("the second time: %d, signed in: %v", got, other.isSignedIn())
	}
	if !b.isSignedIn() {
		t.Error("the second attempt ends the session of the first")
	}
	// The person who is signed in has pressed the button twice, or has loaded the page again.
	for _, resp := range []*http.Response{b.press(link), b.do(http.MethodGet, link, nil)} {
		if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/console/" {
			t.Errorf("a second time in the same browser: %d, to %q", resp.StatusCode, resp.Header.Get("Location"))
		}
	}
}

// A link that signs in another person ends the session that the browser had.
func TestALinkReplacesASession(t *testing.T) {
	s := newSite(t)
	s.addKey("CCKsecond", policy.Owner())
	b := s.browser().signIn(owner)
	before := b.cookies[sessionCookie]
	if got := b.press(s.linkOf("CCKsecond")).StatusCode; got != http.StatusSeeOther {
		t.Fatalf("the button: %d", got)
	}
	wantText(t, b.page("/console/"), "Signed in as key CCKsecond")
	b.cookies[sessionCookie] = before
	if b.isSignedIn() {
		t.Error("the session before goes on")
	}
}

func TestLinksThatAreRefused(t *testing.T) {
	inactive := false
	var first string
	for name, spoil := range map[string]func(s *site, link string) string{
		"a used link": func(s *site, link string) string { s.browser().press(link); return link },
		"an expired link": func(s *site, link string) string {
			s.Clock.Advance(console.LinkAge)
			return link
		},
		"a forged link": func(_ *site, link string) string { return link[:len(link)-1] + "!" },
		"an empty link": func(*site, string) string { return "/console/enter?token=" },
		"no token":      func(*site, string) string { return "/console/enter" },
		"a link of another service": func(*site, string) string {
			return newSite(t).linkOf(owner)
		},
		"a link of a revoked key": func(s *site, link string) string {
			if _, err := s.keys.Update(t.Context(), "", owner, accesskey.Change{Active: &inactive}); err != nil {
				t.Fatal(err)
			}
			return link
		},
		"a link of a deleted key": func(s *site, link string) string {
			if err := s.keys.Delete(t.Context(), "", owner); err != nil {
				t.Fatal(err)
			}
			return link
		},
		"a link of a key with another secret": func(s *site, link string) string {
			if err := s.keys.Delete(t.Context(), "", owner); err != nil {
				t.Fatal(err)
			}
			s.addKey(owner, policy.Owner(), func(k *accesskey.Key) { k.Secret = planted + "-another-secret" })
			return link
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			made := s.linkOf(owner)
			link := spoil(s, made)
			b := s.browser()
			status, page := b.get(link)
			if status != http.StatusForbidden {
				t.Errorf("the page: %d, want 403", status)
			}
			wantText(t, page, "The link is not valid", `action="/console/signin"`, "<code>chatconf open</code>",
				"<code>dist/chatconf open</code>", "access-key.json")
			wantNoText(t, page, "<button type=\"submit\" autofocus")
			_, alert, _ := strings.Cut(page, `role="alert"`)
			alert, _, _ = strings.Cut(alert, "</p>")
			if first == "" {
				first = alert
			}
			if alert != first {
				t.Errorf("the sentence is %q, another one is %q", alert, first)
			}
			resp := b.press(link)
			if resp.StatusCode != http.StatusForbidden || b.isSignedIn() {
				t.Errorf("the button: %d, signed in: %v", resp.StatusCode, b.isSignedIn())
			}
			_, token, _ := strings.Cut(made, "token=")
			if strings.Contains(s.log.String(), token) || strings.Contains(s.log.String(), "token=") {
				t.Errorf("the log has the token:\n%s", s.log.String())
			}
		})
	}
}

// The log of a link that works does not have its token either, and no page but its own has it.
func TestTheTokenOfALinkIsNowhere(t *testing.T) {
	s := newSite(t)
	link := s.linkOf(owner)
	_, token, _ := strings.Cut(link, "token=")
	b := s.browser()
	shown := b.do(http.MethodGet, link, nil)
	if got, want := shown.Header.Get("Referrer-Policy"), "strict-origin"; got != want {
		t.Errorf("Referrer-Policy of the page = %q, want %q", got, want)
	}
	pressed := b.press(link)
	if got := pressed.Header.Get("Location"); strings.Contains(got, token) {
		t.Errorf("Location = %q", got)
	}
	for _, c := range pressed.Cookies() {
		if strings.Contains(c.Value, token) {
			t.Errorf("the cookie %s has the token", c.Name)
		}
	}
	wantNoText(t, b.page("/console/"), token)
	wantNoText(t, s.log.String(), token)
	wantText(t, s.log.String(), "/console/enter")
	if len(token) < 26 {
		t.Errorf("the token has %d characters", len(token))
	}
}

// Of many at once, one person is signed in.
func TestALinkSignsInOnceAlsoAtTheSameTime(t *testing.T) {
	s := newSite(t)
	link := s.linkOf(owner)
	var in sync.WaitGroup
	var mu sync.Mutex
	codes := make(map[int]int)
	for range 32 {
		in.Go(func() {
			got := s.browser().press(link).StatusCode
			mu.Lock()
			defer mu.Unlock()
			codes[got]++
		})
	}
	in.Wait()
	if codes[http.StatusSeeOther] != 1 || codes[http.StatusForbidden] != 31 {
		t.Errorf("answers = %v, want one 303 and 31 403", codes)
	}
}

// Another site cannot press the button.
func TestOtherSitesCannotUseALink(t *testing.T) {
	s := newSite(t)
	link := s.linkOf(owner)
	b := s.browser()
	b.header.Set("Sec-Fetch-Site", "cross-site")
	if got := b.press(link).StatusCode; got != http.StatusForbidden || b.cookies[sessionCookie] != "" {
		t.Errorf("the button from another site: %d", got)
	}
	if got := s.browser().press(link).StatusCode; got != http.StatusSeeOther {
		t.Errorf("the link is used up: %d", got)
	}
}

// A store that cannot answer does not use a link up.
func TestALinkWithoutAStore(t *testing.T) {
	broken := false
	s := newSite(t, func(o *console.Options) {
		find := o.Key
		o.Key = func(c ctx, id string) (*accesskey.Key, error) {
			if broken {
				return nil, errors.New(planted)
			}
			return find(c, id)
		}
	})
	link := s.linkOf(owner)
	broken = true
	if got := s.browser().press(link).StatusCode; got != http.StatusInternalServerError {
		t.Errorf("the button: %d, want 500", got)
	}
	if _, err := s.console.NewLink(t.Context(), owner); err == nil || fault.CodeOf(err) == fault.KeyNotFound {
		t.Errorf("NewLink: %v", err)
	}
	broken = false
	if got := s.browser().press(link).StatusCode; got != http.StatusSeeOther {
		t.Errorf("the button, later: %d", got)
	}
}

func TestNewLinkNeedsAKeyThatIsActive(t *testing.T) {
	s := newSite(t)
	s.addKey("CCKold", policy.Owner(), func(k *accesskey.Key) { k.Expires = s.Clock.Now().Add(time.Minute) })
	s.Clock.Advance(time.Minute)
	for _, id := range []string{"CCKnobody", "CCKold", ""} {
		_, err := s.console.NewLink(t.Context(), id)
		chattest.WantError(t, "NewLink of "+id, err, fault.KeyNotFound, "AccessKeyId", "not active")
	}
}

// A key has ten links at most: the oldest ends.
func TestLinksAreFew(t *testing.T) {
	s := newSite(t)
	s.addKey("CCKsecond", policy.Owner())
	others := s.linkOf("CCKsecond")
	var made []string
	for range 12 {
		made = append(made, s.linkOf(owner))
		s.Clock.Advance(time.Second)
	}
	for i, link := range append(made, others) {
		want := http.StatusOK
		if i < 2 {
			want = http.StatusForbidden
		}
		if got, _ := s.browser().get(link); got != want {
			t.Errorf("link %d: %d, want %d", i, got, want)
		}
	}
	s.Clock.Advance(console.LinkAge)
	s.linkOf(owner)
	if got := console.CountLinks(s.console); got != 1 {
		t.Errorf("%d links are kept, want 1", got)
	}
}

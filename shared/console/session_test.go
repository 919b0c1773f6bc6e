package console_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"chatconf/shared/accesskey"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/console"
	"chatconf/shared/invoke"
	"chatconf/shared/policy"
	"chatconf/shared/seal"
)

const sessionCookie = "chatconf_session"

func TestTheSessionCookieIsProtected(t *testing.T) {
	s := newSite(t)
	for _, secure := range []bool{false, true} {
		s.secure = secure
		b := s.browser()
		resp := b.do(http.MethodPost, "/console/signin", url.Values{"id": {owner}, "secret": {keySecret}})
		var found *http.Cookie
		for _, c := range resp.Cookies() {
			if c.Name == sessionCookie {
				found = c
			}
		}
		if found == nil {
			t.Fatalf("there is no cookie: %d", resp.StatusCode)
		}
		if !found.HttpOnly || found.SameSite != http.SameSiteStrictMode || found.Path != "/console" ||
			found.MaxAge != 12*3600 || found.Domain != "" || found.Secure != secure {
			t.Errorf("over TLS %v: the cookie is %+v", secure, found)
		}
		if strings.Contains(found.Value, owner) || strings.Contains(found.Value, keySecret) {
			t.Errorf("the cookie is readable: %s", found.Value)
		}
	}
}

// Two services on one machine have the same host, so one browser sends the cookies of each to both.
func TestTheSessionsOfTwoPortsAreApart(t *testing.T) {
	one, two := newSite(t).browser(), newSite(t).browser()
	two.cookies = one.cookies
	const first, second = "http://127.0.0.1:9911/console/", "http://127.0.0.1:9912/console/"
	for b, at := range map[*browser]string{one: first, two: second} {
		if resp := b.do(http.MethodPost, at+"signin", url.Values{"id": {owner},
			"secret": {keySecret}}); resp.StatusCode != http.StatusSeeOther {
			t.Fatalf("sign in at %s: %d", at, resp.StatusCode)
		}
	}
	names := slices.Sorted(maps.Keys(one.cookies))
	chattest.Equal(t, "the cookies", names, []string{sessionCookie + "_9911", sessionCookie + "_9912"})
	one.page(first)
	two.page(second)
	two.do(http.MethodPost, second+"signout", nil)
	one.page(first)
	if status, _ := two.get(second); status != http.StatusSeeOther {
		t.Errorf("after the sign-out: %d", status)
	}
	for _, host := range []string{"chat.example.com", "chat.example.com:", "[::1]", "x:y:z", "x:1;b"} {
		b := newSite(t).browser()
		b.host = host
		if b.signIn(owner); b.cookies[sessionCookie] == "" {
			t.Errorf("at %q the cookies are %v", host, b.cookies)
		}
	}
}

// Behind a proxy that ends TLS the browser tells that it speaks TLS.
func TestTheSessionCookieIsSecureBehindAProxy(t *testing.T) {
	s := newSite(t)
	for origin, want := range map[string]bool{"https://example.com": true, "http://example.com": false, "": false} {
		b := s.browser()
		b.header.Set("Origin", origin)
		for _, c := range b.do(http.MethodPost, "/console/signin", url.Values{"id": {owner},
			"secret": {keySecret}}).Cookies() {
			if c.Secure != want {
				t.Errorf("a form of %q: the cookie is %+v", origin, c)
			}
		}
		if !b.isSignedIn() {
			t.Errorf("a form of %q does not sign in", origin)
		}
	}
}

// Signing in again ends the session before: nobody can sign it out any more.
func TestSigningInAgainEndsTheSessionBefore(t *testing.T) {
	s := newSite(t)
	b := s.browser().signIn(owner)
	before := b.cookies[sessionCookie]
	b.signIn(owner)
	if !b.isSignedIn() {
		t.Error("the new session is over")
	}
	b.cookies[sessionCookie] = before
	if b.isSignedIn() {
		t.Error("the session before goes on")
	}
}

// The sessions that were signed out are forgotten, but not their end: so many of one key end all of
// its sessions, and none of another key.
func TestVeryManySessionsEnd(t *testing.T) {
	s := newSite(t)
	s.addKey("CCKother", policy.Owner())
	other, kept := s.browser().signIn("CCKother"), s.browser().signIn(owner)
	first := ""
	for range 1001 {
		b := s.browser().signIn(owner)
		if first == "" {
			first = b.cookies[sessionCookie]
		}
		b.do(http.MethodPost, "/console/signout", nil)
	}
	if n := console.CountEnded(s.console); n > 1000 {
		t.Errorf("%d sessions are remembered", n)
	}
	b := s.browser()
	b.cookies[sessionCookie] = first
	if b.isSignedIn() {
		t.Error("a session that was signed out goes on")
	}
	if kept.isSignedIn() || !other.isSignedIn() {
		t.Error("another session of the key goes on, or one of another key is over")
	}
	s.Clock.Advance(time.Second)
	if !kept.signIn(owner).isSignedIn() {
		t.Error("the key cannot sign in any more")
	}
	s.Clock.Advance(12 * time.Hour)
	s.browser().signIn(owner).do(http.MethodPost, "/console/signout", nil)
	if n := console.CountEnded(s.console); n != 1 {
		t.Errorf("%d sessions are remembered after they expired", n)
	}
}

func TestASessionEnds(t *testing.T) {
	inactive := false
	for name, end := range map[string]func(*site, *browser){
		"after 12 hours": func(s *site, _ *browser) { s.Clock.Advance(12 * time.Hour) },
		"when its person signs out": func(s *site, b *browser) {
			copied := b.cookies[sessionCookie]
			if got := b.do(http.MethodPost, "/console/signout", nil).StatusCode; got != http.StatusSeeOther {
				s.T.Errorf("sign out: %d", got)
			}
			if _, kept := b.cookies[sessionCookie]; kept {
				s.T.Error("the browser keeps the cookie")
			}
			b.cookies[sessionCookie] = copied
		},
		"when its key is revoked": func(s *site, _ *browser) {
			if _, err := s.keys.Update(s.T.Context(), "", owner, accesskey.Change{Active: &inactive}); err != nil {
				s.T.Fatal(err)
			}
		},
		"when its key is deleted": func(s *site, _ *browser) {
			if err := s.keys.Delete(s.T.Context(), "", owner); err != nil {
				s.T.Fatal(err)
			}
		},
		"when its key gets another secret": func(s *site, _ *browser) {
			if err := s.keys.Delete(s.T.Context(), "", owner); err != nil {
				s.T.Fatal(err)
			}
			s.addKey(owner, policy.Owner(), func(k *accesskey.Key) { k.Secret = planted + "-another-secret" })
		},
		"when its key expires": func(s *site, _ *browser) {
			expires := s.Clock.Now().Add(time.Hour)
			if _, err := s.keys.Update(s.T.Context(), "", owner, accesskey.Change{Expires: &expires}); err != nil {
				s.T.Fatal(err)
			}
			s.Clock.Advance(time.Hour)
		},
		"when the key ring is another one": func(s *site, b *browser) {
			s.options.Ring = chattest.NewRing(s.T, 2)
			var err error
			if s.console, err = console.New(s.options); err != nil {
				s.T.Fatal(err)
			}
		},
		"when the cookie is changed": func(_ *site, b *browser) {
			sealed, err := base64.RawURLEncoding.DecodeString(b.cookies[sessionCookie])
			if err != nil {
				b.T.Fatal(err)
			}
			sealed[len(sealed)-20] ^= 1
			b.cookies[sessionCookie] = base64.RawURLEncoding.EncodeToString(sealed)
		},
		"when the cookie is cut": func(_ *site, b *browser) {
			b.cookies[sessionCookie] = b.cookies[sessionCookie][:40]
		},
		"when the cookie is not base64": func(_ *site, b *browser) { b.cookies[sessionCookie] = "!!" },
		"when the cookie is a value that was sealed elsewhere": func(s *site, b *browser) {
			b.cookies[sessionCookie] = sealedAt(s, seal.Place{Account: "#Console", Region: "#Console",
				Name: "#Console", Field: "Other"}, s.Clock.Now().Add(time.Hour))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			b := s.browser().signIn(owner)
			s.Clock.Advance(11 * time.Hour)
			if !b.isSignedIn() {
				t.Fatal("the session is over too early")
			}
			end(s, b)
			if b.isSignedIn() {
				t.Error("the session goes on")
			}
			if status, page := b.get("/console/bots/ops"); status != http.StatusSeeOther {
				t.Errorf("a page is shown: %d\n%s", status, page)
			}
		})
	}
}

// Another site on a port of this machine, or of a domain above, can set a cookie that browsers send
// first. It cannot make a person go on as somebody else unseen.
func TestTwoSessionsAreNone(t *testing.T) {
	s := newSite(t)
	s.addKey("CCKother", policy.ReadOnly())
	mine, theirs := s.browser().signIn(owner), s.browser().signIn("CCKother")
	for _, first := range []string{theirs.cookies[sessionCookie], "x", ""} {
		b := s.browser()
		b.header.Set("Cookie", sessionCookie+"="+first+"; "+sessionCookie+"="+mine.cookies[sessionCookie])
		if b.isSignedIn() {
			t.Errorf("a session after the cookie %q is accepted", first)
		}
	}
	wantText(t, s.log.String(), "several cookies of a session")
	if !mine.isSignedIn() || !theirs.isSignedIn() {
		t.Error("the sessions are over")
	}
}

// A session that was refused once is over: a stolen one does not come back with its key.
func TestASessionDoesNotComeBackWithItsKey(t *testing.T) {
	s := newSite(t)
	b := s.browser().signIn(owner)
	for _, active := range []bool{false, true} {
		if _, err := s.keys.Update(t.Context(), "", owner, accesskey.Change{Active: &active}); err != nil {
			t.Fatal(err)
		}
		if b.isSignedIn() {
			t.Errorf("the session goes on; the key is active: %v", active)
		}
	}
	if !b.signIn(owner).isSignedIn() {
		t.Error("the key cannot sign in again")
	}
}

// A key whose policies change has the new ones in the same session.
func TestChangedPoliciesCountAtOnce(t *testing.T) {
	s := newSite(t)
	b := s.browser().signIn(owner)
	b.page("/console/")
	none := mustPolicy(t, `{"Effect":"Deny","Action":"oos:*","Resource":"*"}`)
	change := accesskey.Change{Policies: []*policy.Policy{none}}
	if _, err := s.keys.Update(t.Context(), "", owner, change); err != nil {
		t.Fatal(err)
	}
	if status, _ := b.get("/console/"); status != http.StatusForbidden {
		t.Errorf("status = %d, want 403", status)
	}
}

func TestSignInRefuses(t *testing.T) {
	s := newSite(t)
	inactive := false
	s.addKey("CCKoff", policy.Owner())
	if _, err := s.keys.Update(t.Context(), "", "CCKoff", accesskey.Change{Active: &inactive}); err != nil {
		t.Fatal(err)
	}
	s.addKey("CCKold", policy.Owner(), func(k *accesskey.Key) { k.Expires = s.Clock.Now().Add(time.Minute) })
	s.Clock.Advance(time.Minute)
	var first string
	for name, in := range map[string][2]string{
		"a wrong secret":  {owner, "not-the-secret"},
		"no secret":       {owner, ""},
		"an unknown key":  {"CCKnobody", keySecret},
		"no key at all":   {"", ""},
		"a revoked key":   {"CCKoff", keySecret},
		"an expired key":  {"CCKold", keySecret},
		"a hostile id":    {`k#/%00'"<>`, "x"},
		"a very long key": {strings.Repeat("k", 10_000), "x"},
	} {
		b := s.browser()
		resp := b.do(http.MethodPost, "/console/signin", url.Values{"id": {in[0]}, "secret": {in[1]}})
		if resp.StatusCode != http.StatusUnauthorized || b.cookies[sessionCookie] != "" {
			t.Errorf("%s: %d, cookies %v", name, resp.StatusCode, b.cookies)
		}
		if b.isSignedIn() {
			t.Errorf("%s signs in", name)
		}
		var text strings.Builder
		if err := resp.Write(&text); err != nil {
			t.Fatal(err)
		}
		_, alert, _ := strings.Cut(text.String(), `role="alert"`)
		alert, _, _ = strings.Cut(alert, "</p>")
		if first == "" {
			first = alert
		}
		if alert != first || !strings.Contains(alert, "is wrong, or the key is not active") {
			t.Errorf("%s: the sentence is %q, another one is %q", name, alert, first)
		}
	}
	if strings.Contains(s.log.String(), keySecret) || strings.Contains(s.log.String(), "not-the-secret") {
		t.Errorf("the log has a secret:\n%s", s.log.String())
	}
}

// A store that cannot answer is not a wrong secret.
func TestSignInWithoutAStore(t *testing.T) {
	s := newSite(t)
	s.options.Key = nil
	o := newSite(t).options
	o.Key = func(_ ctx, _ string) (*accesskey.Key, error) { return nil, errors.New(planted) }
	var err error
	if s.console, err = console.New(o); err != nil {
		t.Fatal(err)
	}
	b := s.browser()
	resp := b.do(http.MethodPost, "/console/signin", url.Values{"id": {owner}, "secret": {keySecret}})
	if resp.StatusCode != http.StatusInternalServerError {
		t.Errorf("sign in: %d, want 500", resp.StatusCode)
	}
}

func TestAttemptsAreBounded(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	attempt := func(id, source, typed string) int {
		s.source = source
		return b.trySignIn(id, typed)
	}
	for i := range 100 {
		if got := attempt(owner, fmt.Sprintf("192.0.2.%d", i/20), "wrong"); got != http.StatusUnauthorized {
			t.Fatalf("attempt %d on one key: %d", i, got)
		}
	}
	if got := attempt(owner, "192.0.2.99", keySecret); got != http.StatusTooManyRequests {
		t.Errorf("attempt 101 on one key: %d, want 429", got)
	}
	s.Clock.Advance(5 * time.Minute)
	if got := attempt(owner, "192.0.2.99", keySecret); got != http.StatusSeeOther {
		t.Errorf("after five minutes: %d", got)
	}
	delete(b.cookies, sessionCookie)
	for i := range 30 {
		// IPv6: one network is one source
		got := attempt("CCK"+string(rune('a'+i)), "2001:db8::"+string(rune('1'+i%9)), "wrong")
		if got != http.StatusUnauthorized {
			t.Fatalf("attempt %d of one source: %d", i, got)
		}
	}
	if got := attempt(owner, "2001:db8::f", keySecret); got != http.StatusTooManyRequests {
		t.Errorf("attempt 31 of one source: %d, want 429", got)
	}
	if got := attempt(owner, "2001:db8:1::f", keySecret); got != http.StatusSeeOther {
		t.Errorf("another source: %d", got)
	}
}

// A stranger with one address cannot keep the holder of a key out: neither from elsewhere, nor
// behind the same proxy. Others cannot choose their source.
func TestAStrangerCannotKeepOthersOut(t *testing.T) {
	for name, test := range map[string]struct {
		stranger, person string // the peer, and the header X-Forwarded-For
		want             int
	}{
		"from elsewhere":        {"192.0.2.1", "192.0.2.2", http.StatusSeeOther},
		"from the same address": {"192.0.2.1", "192.0.2.1", http.StatusTooManyRequests},
		"behind a proxy":        {"127.0.0.1 192.0.2.1", "127.0.0.1 192.0.2.2", http.StatusSeeOther},
		"behind a proxy of the private network": {"172.17.0.1 192.0.2.1", "172.17.0.1 192.0.2.2",
			http.StatusSeeOther},
		"behind a proxy of IPv6": {"::1 2001:db8::1", "::1 2001:db8:1::1", http.StatusSeeOther},
		"behind a proxy that names the same network": {"::1 2001:db8::1", "::1 2001:db8::2",
			http.StatusTooManyRequests},
		"with an address before that of the proxy": {"127.0.0.1 192.0.2.1", "127.0.0.1 192.0.2.9, 192.0.2.1",
			http.StatusTooManyRequests},
		"behind a proxy that names nobody": {"127.0.0.1", "127.0.0.1 unknown", http.StatusTooManyRequests},
		"with a header of their own":       {"192.0.2.1", "192.0.2.1 192.0.2.9", http.StatusTooManyRequests},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			b := s.browser()
			attempt := func(from, typed string) int {
				peer, forwarded, _ := strings.Cut(from, " ")
				s.source = peer
				b.header.Set("X-Forwarded-For", forwarded)
				return b.trySignIn(owner, typed)
			}
			for range 40 {
				attempt(test.stranger, "wrong")
			}
			if got := attempt(test.person, keySecret); got != test.want {
				t.Errorf("sign in: %d, want %d", got, test.want)
			}
		})
	}
}

// A store that does not answer uses no attempt up.
func TestAnErrorOfTheStoreIsNoAttempt(t *testing.T) {
	s, broken := newSite(t), true
	find := s.options.Key
	s.options.Key = func(c ctx, id string) (*accesskey.Key, error) {
		if broken {
			return nil, errors.New(planted)
		}
		return find(c, id)
	}
	var err error
	if s.console, err = console.New(s.options); err != nil {
		t.Fatal(err)
	}
	for range 40 {
		s.browser().trySignIn(owner, keySecret)
	}
	broken = false
	s.browser().signIn(owner)
}

// Signing in often is not an attack.
func TestSuccessesDoNotCount(t *testing.T) {
	s := newSite(t)
	for range 40 {
		s.browser().signIn(owner)
	}
}

func TestAfterSigningInThePageIsShown(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	resp := b.do(http.MethodGet, "/console/commands?user=u1", nil)
	if got, want := resp.Header.Get("Location"), "/console/signin?next=%2Fconsole%2Fcommands%3Fuser%3Du1"; got != want {
		t.Errorf("Location = %q, want %q", got, want)
	}
	wantText(t, b.page(resp.Header.Get("Location")), `name="next" value="/console/commands?user=u1"`)
	for next, want := range map[string]string{
		"/console/commands?user=u1":  "/console/commands?user=u1",
		"":                           "/console/",
		"https://evil.example.com/":  "/console/",
		"//evil.example.com/console": "/console/",
		"/console/../webhook":        "/console/",
		"/console//evil.example.com": "/console/",
		`/console/\evil.example.com`: "/console/",
		"/console/\r\nX: y":          "/console/",
		"javascript:alert(1)":        "/console/",
	} {
		resp := s.browser().do(http.MethodPost, "/console/signin", url.Values{"id": {owner}, "secret": {keySecret},
			"next": {next}})
		if got := resp.Header.Get("Location"); got != want {
			t.Errorf("next %q leads to %q, want %q", next, got, want)
		}
	}
	b.signIn(owner)
	resp = b.do(http.MethodGet, "/console/signin?next=/console/commands", nil)
	if got, want := resp.Header.Get("Location"), "/console/commands"; got != want {
		t.Errorf("a person who is signed in is sent to %q, want %q", got, want)
	}
}

func TestOtherSitesCannotPost(t *testing.T) {
	s := newSite(t)
	for name, set := range map[string]func(http.Header){
		"a cross-site form": func(h http.Header) { h.Set("Sec-Fetch-Site", "cross-site") },
		"a sibling's form":  func(h http.Header) { h.Set("Sec-Fetch-Site", "same-site") },
		"another site's script": func(h http.Header) {
			h["Sec-Fetch-Site"] = nil
			h.Set("Origin", "https://evil.example.com")
		},
		"a page without a place": func(h http.Header) {
			h["Sec-Fetch-Site"] = nil
			h.Set("Origin", "null")
		},
	} {
		b := s.browser().signIn(owner)
		set(b.header)
		for _, path := range []string{"/console/signin", "/console/signout"} {
			resp := b.do(http.MethodPost, path, url.Values{"id": {owner}, "secret": {keySecret}})
			if resp.StatusCode != http.StatusForbidden || len(resp.Cookies()) > 0 {
				t.Errorf("%s to %s: %d, cookies %v", name, path, resp.StatusCode, resp.Cookies())
			}
		}
		b.header = make(http.Header)
		if !b.isSignedIn() {
			t.Errorf("%s signs out", name)
		}
	}
}

// The limit of requests per second of a key counts here, too.
func TestRequestsAreLimited(t *testing.T) {
	left := 2
	s := newSite(t, func(o *console.Options) {
		o.Admit = func(id string) (int, bool) {
			left--
			return 7, left >= 0 && id == owner
		}
	})
	b := s.browser().signIn(owner)
	b.page("/console/")
	b.page("/console/commands")
	resp := b.do(http.MethodGet, "/console/", nil)
	if resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") != "7" {
		t.Errorf("the third request: %d, %v", resp.StatusCode, resp.Header)
	}
}

// A form is not read without end.
func TestFormsAreBounded(t *testing.T) {
	s := newSite(t)
	if got := s.browser().trySignIn(owner, strings.Repeat("x", 20<<10)); got != http.StatusBadRequest {
		t.Errorf("a form of 20 KiB: %d, want 400", got)
	}
}

// A stranger cannot fill the log: of equal lines the first is written, and how many followed.
func TestStrangersDoNotFillTheLog(t *testing.T) {
	s := newSite(t)
	var log bytes.Buffer
	lines := invoke.CollapseRepeats(slog.NewTextHandler(&log, nil), time.Hour)
	for i := range 50 {
		for _, path := range []string{"/console/", "/console/signin", "/console/enter?token=x",
			fmt.Sprintf("/console/bots/bot-%d", i)} {
			r := httptest.NewRequest(http.MethodGet, path, nil)
			s.console.ServeHTTP(httptest.NewRecorder(), r.WithContext(invoke.With(r.Context(),
				&invoke.Invocation{SourceIP: "192.0.2.1", Logger: slog.New(lines)})))
		}
	}
	lines.Flush()
	if n := strings.Count(log.String(), "\n"); n > 8 {
		t.Errorf("the log has %d lines:\n%s", n, &log)
	}
}

// Only what is shown to everyone is shown to a stranger.
func TestStrangersSeeNothing(t *testing.T) {
	s := newSite(t)
	s.Bot("ops")
	for _, path := range append(allPages("ops"), "/console/nothing", "/console/bots/absent") {
		if status, page := s.browser().get(path); status != http.StatusSeeOther || strings.Contains(page, "<table") {
			t.Errorf("GET %s: %d\n%s", path, status, page)
		}
	}
}

// sealedAt returns the cookie of a session that is sealed at a place.
func sealedAt(s *site, at seal.Place, expires time.Time) string {
	s.T.Helper()
	return encodeCookie(s, at, `{"id":"x","key":"`+owner+`","digest":"`+digestOf(keySecret)+`","expires":"`+
		expires.Format(time.RFC3339)+`"}`)
}

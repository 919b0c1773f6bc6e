package console_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"chatconf/shared/console"
	"chatconf/shared/fault"
	"chatconf/shared/policy"
)

var (
	madeID     = regexp.MustCompile(`<dd><code data-copy>(CCK[0-9A-Za-z]{20})</code>`)
	madeSecret = regexp.MustCompile(`Its secret</dt><dd><code data-copy="Its secret">([^<]+)</code>`)
)

// The secret of a new key is on the page that answers, and nowhere else. It signs in.
func TestAKeyIsMadeAndItsSecretShownOnce(t *testing.T) {
	s := newSite(t)
	b := s.browser().signIn(owner)
	wantText(t, b.page("/console/keys"), "key "+owner, "this session&#39;s", `href="/console/keys/new"`)
	status, _, page := b.post("/console/keys/new", url.Values{"Name": {`<b>"reader`}, "Policy": {"ReadOnly"},
		"Expires": {"2099-01-31"}, "Description": {"reads"}})
	id, made := madeID.FindStringSubmatch(page), madeSecret.FindStringSubmatch(page)
	if status != http.StatusOK || id == nil || made == nil {
		t.Fatalf("create: %d\n%s", status, page)
	}
	wantText(t, page, "never shown again", "&lt;b&gt;")
	for _, path := range []string{"/console/keys", "/console/keys/" + id[1], "/console/"} {
		wantNoText(t, b.page(path), made[1], "<b>")
	}
	wantNoText(t, s.log.String(), made[1])
	wantText(t, b.page("/console/keys/"+id[1]), "2099-02-01 00:00:00 UTC", "Disable the key", "oos:Get*", owner)
	wantText(t, b.page("/console/keys"), id[1], "reads")
	if got := s.browser().trySignIn(id[1], made[1]); got != http.StatusSeeOther {
		t.Errorf("sign in with the new key: %d", got)
	}
}

func TestAKeyIsDisabledAndExpires(t *testing.T) {
	s := newSite(t)
	s.addKey("CCKother", policy.Owner())
	b, other := s.browser().signIn(owner), s.browser().signIn("CCKother")
	change := func(form url.Values) {
		t.Helper()
		if status, to, page := b.post("/console/keys/CCKother", form); status != http.StatusSeeOther ||
			to != "/console/keys/CCKother?notice=keychanged" {
			t.Fatalf("%v: %d to %q\n%s", form, status, to, page)
		}
	}
	change(url.Values{"Status": {"Inactive"}})
	wantText(t, b.page("/console/keys/CCKother?notice=keychanged"), "Enable the key", "was changed")
	if other.isSignedIn() {
		t.Error("the session of a disabled key goes on")
	}
	change(url.Values{"Status": {"Active"}})
	today := s.Clock.Now().UTC().Format(time.DateOnly)
	change(url.Values{"Expires": {today}})
	if !other.signIn("CCKother").isSignedIn() {
		t.Error("the key has expired on its last day")
	}
	s.Clock.Advance(24 * time.Hour)
	b = s.browser().signIn(owner)
	wantText(t, b.page("/console/keys"), "expired")
	change(url.Values{"Expires": {""}})
	wantNoText(t, b.page("/console/keys"), "expired")
	for name, form := range map[string]url.Values{"a wrong date": {"Expires": {"someday"}},
		"a wrong status": {"Status": {"Gone"}}, "nothing": {}} {
		status, _, page := b.post("/console/keys/CCKother", form)
		if status != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d, want 422", name, status)
		}
		wantText(t, page, `role="alert"`)
	}
}

func TestAKeyIsDeletedByTypingItsID(t *testing.T) {
	s := newSite(t)
	s.addKey("CCKother", policy.Owner())
	b := s.browser().signIn(owner)
	for _, typed := range []string{"", "cckother", owner} {
		status, _, page := b.post("/console/keys/CCKother/delete", url.Values{"Confirm": {typed}})
		if status != http.StatusUnprocessableEntity {
			t.Errorf("typed %q: %d, want 422", typed, status)
		}
		wantText(t, page, "Nothing was deleted")
	}
	status, to, _ := b.post("/console/keys/CCKother/delete", url.Values{"Confirm": {"CCKother"}})
	if status != http.StatusSeeOther || to != "/console/keys?notice=keydeleted" {
		t.Errorf("delete: %d to %q", status, to)
	}
	wantNoText(t, b.page("/console/keys"), "CCKother")
	for _, path := range []string{"/console/keys/CCKother", "/console/keys/absent"} {
		if got, _ := b.get(path); got != http.StatusNotFound {
			t.Errorf("GET %s: %d, want 404", path, got)
		}
	}
	b.refuse("/console/keys/CCKother/delete", url.Values{"Confirm": {"CCKother"}}, http.StatusNotFound)
}

func TestMistakesInANewKeyAreShown(t *testing.T) {
	s := newSite(t)
	b := s.browser().signIn(owner)
	wantText(t, b.page("/console/keys/new"), "Everything, also access keys")
	for want, form := range map[string]url.Values{
		"Name is mandatory":     {"Policy": {"ReadOnly"}},
		"Policy is mandatory":   {"Name": {"x"}},
		"Unknown Policy":        {"Name": {"x"}, "Policy": {"Everything"}},
		"PolicyDocument":        {"Name": {"x"}, "Policy": {"Document"}, "Document": {"{"}},
		"ExpireDate":            {"Name": {"x"}, "Policy": {"ReadOnly"}, "Expires": {"soon"}},
		"ExpireDate &#34;&lt;b": {"Name": {"x"}, "Policy": {"ReadOnly"}, "Expires": {"<b>"}},
	} {
		status, _, page := b.post("/console/keys/new", form)
		if status != http.StatusUnprocessableEntity {
			t.Errorf("%v: %d, want 422", form, status)
		}
		wantText(t, page, want, `role="alert"`)
	}
}

// A key without the permission is refused, whatever it posts, and so is another site.
func TestKeysNeedPermissions(t *testing.T) {
	s := newSite(t)
	s.addKey("CCKadmin", mustPolicy(t, `{"Effect":"Allow","Action":"oos:*","Resource":"*"}`))
	b := s.browser().signIn("CCKadmin")
	for _, path := range []string{"/console/keys", "/console/keys/" + owner} {
		status, page := b.get(path)
		if status != http.StatusForbidden {
			t.Errorf("GET %s: %d, want 403", path, status)
		}
		wantText(t, page, "oos:ListAccessKeys")
		wantNoText(t, page, "key "+owner)
	}
	wantNoText(t, b.page("/console/"), "/console/keys")
	without, before := newSiteBetween(t)
	*before = func(action string, _ map[string]string) error {
		if strings.HasSuffix(action, "AccessKeys") {
			return &fault.Error{Code: fault.Internal, Err: console.ErrNoAction}
		}
		return nil
	}
	stranger := without.browser().signIn(owner)
	wantNoText(t, stranger.page("/console/"), "/console/keys")
	if status, _ := stranger.get("/console/keys"); status != http.StatusNotFound {
		t.Errorf("a service without the actions: %d, want 404", status)
	}
	s.addKey("CCKlister", mustPolicy(t, `{"Effect":"Allow","Action":["oos:ListAccessKeys","oos:*"],"Resource":"*"}`))
	lister := s.browser().signIn("CCKlister")
	wantText(t, lister.page("/console/"), `href="/console/keys"`)
	wantNoText(t, lister.page("/console/keys"), "/console/keys/new")
	if status, _ := lister.get("/console/keys/new"); status != http.StatusForbidden {
		t.Errorf("the form of a new key has the status %d, want 403", status)
	}
	wantNoText(t, lister.page("/console/keys/"+owner), "Disable the key", "Set the last day")
	posts := map[string]url.Values{
		"/console/keys/new":                  {"Name": {"x"}, "Policy": {"Owner"}},
		"/console/keys/" + owner:             {"Status": {"Inactive"}},
		"/console/keys/" + owner + "/delete": {"Confirm": {owner}},
	}
	for path, form := range posts {
		if status, _, page := b.post(path, form); status != http.StatusForbidden || madeSecret.MatchString(page) {
			t.Errorf("POST %s: %d, want 403\n%s", path, status, page)
		}
	}
	other := s.browser().signIn(owner)
	other.header.Set("Sec-Fetch-Site", "cross-site")
	for path, form := range posts {
		if status, _, _ := other.post(path, form); status != http.StatusForbidden {
			t.Errorf("POST %s from another site: %d, want 403", path, status)
		}
		if status, to, _ := s.browser().post(path, form); status != http.StatusSeeOther ||
			!strings.HasPrefix(to, "/console/signin") {
			t.Errorf("POST %s of a stranger: %d to %q", path, status, to)
		}
	}
	keys, err := s.keys.List(t.Context())
	if err != nil || len(keys) != 3 || !keys[0].Active || !keys[1].Active || !keys[2].Active {
		t.Errorf("the keys are %v, %v", keys, err)
	}
}

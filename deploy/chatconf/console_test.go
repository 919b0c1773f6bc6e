package main

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"chatconf/shared/app"
	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/policy"
	"chatconf/shared/secret"
)

// A local service shows its bots under /console to a person with an access key, without secrets,
// and serves webhooks and the API as without it.
func TestServeShowsTheConsole(t *testing.T) {
	settings, err := app.ReadSettings(func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	settings.Data = t.TempDir()
	role, closeTargets, err := localRole(&settings, "", nil, nil, new(door))
	if err != nil {
		t.Fatal(err)
	}
	l, err := app.OpenLocal(t.Context(), settings, role)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if err := closeTargets(); err != nil {
			t.Error(err)
		}
	})
	owner := chattest.As(t.Context(), &chat.Caller{Account: settings.AccountID,
		Policies: []*policy.Policy{policy.Owner()}})
	if _, err := l.Service.Create(owner, &chat.CreateRequest{Name: "ops", Type: "Slack",
		Configuration: secret.Text(chattest.Slack)}); err != nil {
		t.Fatal(err)
	}
	shown, err := l.Service.Get(owner, &chat.GetRequest{Name: "ops"})
	if err != nil || strings.Contains(shown.ChatConfiguration.Outputs, secret.Mask) {
		t.Fatalf("Get = %+v, %v; want Outputs with the token", shown, err)
	}
	key, err := app.ReadAccessKey(settings.Data)
	if err != nil {
		t.Fatal(err)
	}
	var cookies []*http.Cookie
	ask := func(method, path string, form url.Values) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
		if method == http.MethodPost {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		for _, c := range cookies {
			r.AddCookie(c)
		}
		w := httptest.NewRecorder()
		l.Handler.ServeHTTP(w, r)
		return w
	}
	w := ask(http.MethodPost, "/console/signin", url.Values{"id": {key.ID}, "secret": {key.Secret.Reveal()}})
	if cookies = w.Result().Cookies(); w.Code != http.StatusSeeOther || len(cookies) != 1 {
		t.Fatalf("sign in: %d, %s", w.Code, w.Body)
	}
	page := ask(http.MethodGet, "/console/bots/ops", nil)
	if page.Code != http.StatusOK || !strings.Contains(page.Body.String(), "SlackSigningSecret") ||
		!strings.Contains(page.Body.String(), "/webhook/"+settings.AccountID+"/"+settings.Region+"/ops/"+secret.Mask) ||
		strings.Contains(page.Body.String(), "signing-secret-0") {
		t.Errorf("the page of a bot: %d\n%s", page.Code, page.Body)
	}
	if got := ask(http.MethodGet, "/", nil); got.Code != http.StatusOK ||
		!strings.HasPrefix(got.Header().Get("Content-Type"), "text/plain") {
		t.Errorf("GET /: %d %s", got.Code, got.Body)
	}
	if got := ask(http.MethodPost, "/webhook/"+settings.AccountID+"/"+settings.Region+"/ops/wrong", nil); got.Code ==
		http.StatusSeeOther || strings.Contains(got.Body.String(), "<html") {
		t.Errorf("a webhook: %d %s", got.Code, got.Body)
	}
}

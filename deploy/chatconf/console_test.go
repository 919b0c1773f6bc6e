package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"chatconf/shared/app"
	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/dial"
	"chatconf/shared/policy"
	"chatconf/shared/secret"
)

// Another site can lead a name of its own to this machine. Its pages then share the origin of what
// they reach, so the console does not answer for such a name.
func TestTheConsoleOnALoopbackAddressKnowsItsNames(t *testing.T) {
	settings, err := app.ReadSettings(func(name string) string {
		return map[string]string{"CHATCONF_HOSTS": "chat.example.com,other.example.com:8443",
			"CHATCONF_WEBHOOK_BASE_URL": "https://hooks.example.com/base"}[name]
	})
	if err != nil {
		t.Fatal(err)
	}
	pages := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "the console") })
	plain := httptest.NewServer(onlyFor(knownHosts(settings), pages))
	defer plain.Close()
	ask := func(client *http.Client, to, host string) (int, string) {
		r, err := http.NewRequest(http.MethodGet, to, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(text)
	}
	for host, known := range map[string]bool{
		"127.0.0.1:9000": true, "127.0.0.1": true, "[::1]:9000": true, "[::1]": true, "192.0.2.1:80": true,
		"localhost:9000": true, "LocalHost": true, "chat.example.com": true, "CHAT.example.com.": true,
		"chat.example.com:9000": true, "other.example.com": true, "hooks.example.com": true,
		"evil.example": false, "evil.example:9000": false, "127.0.0.1.evil.example": false,
		"localhost.evil.example": false, "xchat.example.com": false, "127.0.0.1@evil.example": false, ".": false,
	} {
		status, text := ask(http.DefaultClient, plain.URL, host)
		refused := status == http.StatusMisdirectedRequest && strings.Contains(text, "CHATCONF_HOSTS")
		if refused == known || known != (text == "the console") {
			t.Errorf("host %s: %d %s", host, status, text)
		}
	}
	// With TLS the certificate names the service, and elsewhere nobody knows its names.
	tls := httptest.NewTLSServer(onlyFor(nil, pages))
	defer tls.Close()
	if status, text := ask(tls.Client(), tls.URL, "chat.example.com"); status != http.StatusOK {
		t.Errorf("over TLS: %d %s", status, text)
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "http://chat.example.com/console/", nil)
	onlyFor(nil, pages).ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey,
		&net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)})))
	if w.Code != http.StatusOK {
		t.Errorf("on an address of the network: %d", w.Code)
	}
}

// A local service shows its bots under /console to a person with an access key, without secrets,
// and serves webhooks and the API as without it.
func TestServeShowsTheConsole(t *testing.T) {
	settings, err := app.ReadSettings(func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	settings.Data = t.TempDir()
	settings.TargetNetworks = dial.Networks{netip.MustParsePrefix("10.1.0.0/16")}
	settings.MaxStreams = 12345
	role, closeTargets, err := localRole(&settings, "", nil, nil,
		&localConsole{about: aboutService(settings, storeFile), hosts: knownHosts(settings)})
	if err != nil {
		t.Fatal(err)
	}
	l, err := app.OpenLocal(t.Context(), settings, role)
	if err != nil {
		t.Fatal(err)
	}
	rebound := httptest.NewServer(l.Handler)
	t.Cleanup(rebound.Close)
	resp, _ := visitor{method: "GET", url: rebound.URL + "/console/signin", host: "evil.example"}.do(t)
	if resp.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("a name of another site: %d", resp.StatusCode)
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
	about := ask(http.MethodGet, "/console/about", nil).Body.String()
	for _, want := range []string{"<dd>file<", settings.AccountID, settings.Region, "10.1.0.0/16", "<dd>12345<",
		"90 days", "256 KiB", "1024 KiB", "no limit"} {
		if !strings.Contains(about, want) {
			t.Errorf("the page about the service lacks %q:\n%s", want, about)
		}
	}
	if strings.Contains(about, settings.Data) {
		t.Errorf("the page about the service has the path of its data:\n%s", about)
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

// A message of the console reaches the bot as the platform's would: it is decided, recorded and
// answered.
func TestTheConsoleSpeaksToABot(t *testing.T) {
	data := newData(t)
	settings, err := localSettings(data)
	if err != nil {
		t.Fatal(err)
	}
	settings.Addr = "127.0.0.1:0"
	role, closeTargets, err := localRole(&settings, "", nil, nil, new(localConsole))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	started, stopped := make(chan app.Started, 1), make(chan error, 1)
	go func() { stopped <- app.ServeLocal(ctx, settings, func(s app.Started) { started <- s }, role) }()
	defer func() {
		stop()
		if err := errors.Join(<-stopped, closeTargets()); err != nil {
			t.Error(err)
		}
	}()
	var at app.Started
	select {
	case at = <-started:
	case err := <-stopped:
		stopped <- err
		t.Fatal(err)
	}
	create(t, []string{"--data", data}, "ops", "WeChat", `,"BotName":"ops"`)
	key, err := app.ReadAccessKey(settings.Data)
	if err != nil {
		t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar}
	post := func(path string, form url.Values) string {
		t.Helper()
		resp, err := browser.PostForm(at.Endpoint+path, form)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("POST %s: %d, %v\n%s", path, resp.StatusCode, err, text)
		}
		return string(text)
	}
	post("/console/signin", url.Values{"id": {key.ID}, "secret": {key.Secret.Reveal()}})
	page := post("/console/bots/ops/try", url.Values{"user": {"manager4220"}, "text": {"whoami"}})
	if _, answer, found := strings.Cut(page, `class="lines"`); !found || !strings.Contains(answer, "manager4220") ||
		leak.MatchString(page) {
		t.Errorf("the answer is not on the page:\n%s", page)
	}
	page = post("/console/bots/ops/try", url.Values{"user": {"manager4220"}, "text": {"restart i-123"}})
	if !strings.Contains(page, "<code>restart i-123</code>") || leak.MatchString(page) {
		t.Errorf("the record is not on the page:\n%s", page)
	}
}

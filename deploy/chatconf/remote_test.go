package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"chatconf/shared/chat"
	"chatconf/shared/console"
	"chatconf/shared/fault"
	"chatconf/shared/rpc/sign"
	"chatconf/shared/secret"
	"chatconf/shared/serve"
)

// remoteConsole serves the console over the API of a service, and returns its link.
func remoteConsole(t *testing.T, at []string) (link string) {
	t.Helper()
	flags := clientFlags{endpoint: at[1], data: at[3]}
	c, err := flags.resolve(func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	links, done := make(chan string, 1), make(chan error, 1)
	go func() {
		done <- serveConsole(ctx, &remoteAPI{client: c}, "127.0.0.1:0", slog.New(slog.DiscardHandler), serve.Limits{},
			func(link string) { links <- link })
	}()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	select {
	case link = <-links:
	case err := <-done:
		done <- nil
		t.Fatal(err)
	}
	return link
}

// A visitor is a request to a console, and what it answers.
type visitor struct {
	method, url, host, body string
	cookies                 []*http.Cookie
}

func (v visitor) do(t *testing.T) (resp *http.Response, body string) {
	t.Helper()
	req, err := http.NewRequest(v.method, v.url, strings.NewReader(v.body))
	if err != nil {
		t.Fatal(err)
	}
	if v.body != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if v.host != "" {
		req.Host = v.host
	}
	for _, c := range v.cookies {
		req.AddCookie(c)
	}
	if resp, err = httpClient.Do(req); err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}

// The console of a service elsewhere shows its bots to the browser with the link, without secrets.
func TestConsoleOverAnAPI(t *testing.T) {
	at := team(t)
	link := remoteConsole(t, at)
	to, token, _ := strings.Cut(link, "?")
	host := strings.TrimSuffix(to, "/console/enter")
	resp, _ := visitor{method: "POST", url: to, body: token}.do(t)
	cookies := resp.Cookies()
	if resp.StatusCode != http.StatusSeeOther || len(cookies) != 1 {
		t.Fatalf("the link: %d", resp.StatusCode)
	}
	for path, want := range map[string]string{
		"/console/":                     `href="/console/bots/ops"`,
		"/console/bots/ops":             "/ops/" + secret.Mask,
		"/console/bots/ops/commands":    "restart",
		"/console/bots/ops/history":     "Created",
		"/console/commands":             "restart",
		"/console/bots/dev":             "DevRole",
		"/console/about":                "Its limits are not known here.",
		"/console/?name=d&type=Nothing": "Type",
		"/console/bots/ops/try":         `name="text"`, // the service is one of 'chatconf serve'
	} {
		_, page := visitor{method: "GET", url: host + path, cookies: cookies}.do(t)
		if !strings.Contains(page, want) || leak.MatchString(page) {
			t.Errorf("%s lacks %q or has a secret:\n%s", path, want, page)
		}
	}
	resp, page := visitor{method: "GET", url: host + "/console/bots/absent", cookies: cookies}.do(t)
	if resp.StatusCode != http.StatusNotFound || !strings.Contains(page, "absent") {
		t.Errorf("a bot that is absent: %d %s", resp.StatusCode, page)
	}
	resp, _ = visitor{method: "GET", url: host + "/", cookies: cookies}.do(t)
	if got := resp.Header.Get("Location"); got != "/console/" {
		t.Errorf("/ leads to %q", got)
	}
}

// Nobody gets in without the link, and no other name leads to the console.
func TestConsoleOverAnAPILetsNobodyElseIn(t *testing.T) {
	at, _ := newSendService(t)
	key, err := localKey(at[3])
	if err != nil {
		t.Fatal(err)
	}
	link := remoteConsole(t, at)
	to, token, _ := strings.Cut(link, "?")
	host := strings.TrimSuffix(to, "/console/enter")
	for name, test := range map[string]struct {
		visitor
		want int
	}{
		"a stranger":       {visitor{method: "GET", url: host + "/console/"}, http.StatusSeeOther},
		"the sign-in page": {visitor{method: "GET", url: host + "/console/signin"}, http.StatusForbidden},
		"a forged link":    {visitor{method: "POST", url: to, body: "token=x"}, http.StatusForbidden},
		"another name": {visitor{method: "GET", url: link, host: "evil.example.com"},
			http.StatusMisdirectedRequest},
		"a post by a name": {visitor{method: "POST", url: to, body: token, host: "evil.example.com"},
			http.StatusMisdirectedRequest},
		"the API": {visitor{method: "GET", url: host + "/?Action=ListChatConfigurations"},
			http.StatusSeeOther},
		"another path":       {visitor{method: "GET", url: host + "/openapi.json"}, http.StatusNotFound},
		"a path of a prefix": {visitor{method: "GET", url: host + "/consoles"}, http.StatusNotFound},
		"the key and its secret": {visitor{method: "POST", url: host + "/console/signin",
			body: "id=" + key.ID + "&secret=" + key.Secret}, http.StatusSeeOther},
	} {
		resp, page := test.visitor.do(t)
		if resp.StatusCode != test.want || len(resp.Cookies()) > 0 || strings.Contains(page, "<table") {
			t.Errorf("%s: %d, want %d\n%s", name, resp.StatusCode, test.want, page)
		}
	}
	if resp, _ := (visitor{method: "POST", url: to, body: token}).do(t); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("the link after all this: %d", resp.StatusCode)
	}
}

func TestConsoleNeedsALoopbackAddress(t *testing.T) {
	for addr, ok := range map[string]bool{"127.0.0.1:0": true, "localhost:0": true, "[::1]:9400": true,
		"0.0.0.0:9400": false, ":9400": false, "[::]:9400": false, "192.0.2.1:9400": false, "example.com:80": false,
		"nonsense": false} {
		if err := checkLoopback(addr); (err == nil) != ok || err != nil && !isUsage(err) {
			t.Errorf("checkLoopback(%q) = %v", addr, err)
		}
	}
	api := &remoteAPI{client: &client{key: credential{sign.Key{ID: "CCKx", Secret: "x"}, "test"}}}
	err := serveConsole(t.Context(), api, "0.0.0.0:0", slog.New(slog.DiscardHandler), serve.Limits{}, func(string) {
		t.Error("the console starts")
	})
	if err == nil || !strings.Contains(err.Error(), "is no loopback address") {
		t.Errorf("serveConsole = %v", err)
	}
}

// Errors of the service are those of the domain, so that pages say what can be done.
func TestErrorsOverAnAPI(t *testing.T) {
	denied := `"AccessDeniedDetail":{"AuthAction":"oos:ListChatConfigurations"}`
	for answer, want := range map[string]fault.Code{
		`{"Code":"NoPermission","Message":"No.",` + denied + `}`:         fault.NoPermission,
		`{"Code":"NoPermission","Message":"No.","AccessDeniedDetail":7}`: fault.NoPermission,
		`{"Code":"EntityNotExists.ChatConfiguration","Message":"x"}`:     fault.NotFound,
		`{"Code":"InvalidParameter.Name","Message":"Name is wrong."}`:    fault.InvalidParameter,
		`{"Code":"InvalidAccessKeyId.Inactive","Message":"x"}`:           fault.KeyNotFound,
		`{"Code":"InvalidAccessKeyId.NotFound","Message":"x"}`:           fault.KeyNotFound,
		`{"Code":"SomethingNew","Message":"x"}`:                          fault.Internal,
		`{"Code":"InvalidApi.NotFound","Message":"x"}`:                   fault.Internal,
		`no JSON`:     fault.Unavailable,
		`200 no JSON`: fault.Internal,
		`200 {"ChatConfiguration":{"Outputs":"no JSON"}}`:   fault.Internal,
		`200 {"ChatConfiguration":[{"Outputs":"no JSON"}]}`: fault.Internal,
		`200 {"ChatConfiguration":7}`:                       fault.Internal,
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			text, ok := strings.CutPrefix(answer, "200 ")
			if !ok {
				w.WriteHeader(http.StatusBadRequest)
			}
			io.WriteString(w, text)
		}))
		api := &remoteAPI{region: "cn-beijing", client: &client{endpoint: s.URL, http: httpClient,
			key: credential{sign.Key{ID: "CCKx", Secret: "x"}, "test"}}}
		err := api.Call(t.Context(), "GetChatConfiguration", map[string]string{"Name": "x"}, new(chat.GetResponse))
		s.Close()
		var e *fault.Error
		if !errors.As(err, &e) || e.Code != want {
			t.Errorf("%s: %v, want %v", answer, err, want)
			continue
		}
		if e.Code == fault.InvalidParameter && (e.Param != "Name" || e.Message != "Name is wrong.") {
			t.Errorf("%s: %+v", answer, e)
		}
		if got := errors.Is(err, console.ErrNoAction); got != strings.Contains(answer, "InvalidApi") {
			t.Errorf("%s: an unknown action: %v", answer, got)
		}
		if strings.Contains(answer, denied) &&
			(e.Denied == nil || e.Denied.AuthAction != "oos:ListChatConfigurations") {
			t.Errorf("%s: %+v", answer, e.Denied)
		}
	}
}

// A request has the region of the context, unless the page names one. Outputs are masked.
func TestCallOverAnAPI(t *testing.T) {
	var regions []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in map[string]string
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			t.Error(err)
		}
		regions = append(regions, in["RegionId"])
		io.WriteString(w, `{"ChatConfiguration":{"Name":"ops","Revision":12345678901234567,"Outputs":"{\"URL\":`+
			`\"https://x/webhook/1/r/ops/PLANTED\",\"Token\":\"PLANTED\",`+
			`\"Setup\":\"Paste https://x/PLANTED\"}"}}`)
	}))
	t.Cleanup(s.Close)
	api := &remoteAPI{region: "cn-beijing", client: &client{endpoint: s.URL, http: httpClient,
		key: credential{sign.Key{ID: "CCKx", Secret: "x"}, "test"}}}
	for _, region := range []string{"", "cn-shanghai"} {
		var got chat.GetResponse
		err := api.Call(t.Context(), "GetChatConfiguration", map[string]string{"RegionId": region}, &got)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(got.ChatConfiguration.Outputs, "PLANTED") ||
			!strings.Contains(got.ChatConfiguration.Outputs, "/ops/"+secret.Mask) {
			t.Errorf("Outputs = %s", got.ChatConfiguration.Outputs)
		}
	}
	if strings.Join(regions, " ") != "cn-beijing cn-shanghai" {
		t.Errorf("regions = %v", regions)
	}
}

//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"chatconf/shared/app"
	"chatconf/shared/chat"
	"chatconf/shared/console"
	"chatconf/shared/platform"
	"chatconf/shared/rpc"
	"chatconf/shared/seal"
)

// consoleOf returns a console with the access keys of a service.
func consoleOf(t *testing.T, l *app.Local) *console.Console {
	t.Helper()
	text, err := seal.GenerateRing("test")
	if err != nil {
		t.Fatal(err)
	}
	ring, err := seal.ParseRing(text)
	if err != nil {
		t.Fatal(err)
	}
	c, err := console.New(console.Options{Ring: ring, Platforms: platform.All().Descriptions(), Key: l.Keys.Find,
		API: func(string) console.API { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// openLink follows a link with a button, and returns the status of the page that it leads to.
func openLink(t *testing.T, link string) int {
	t.Helper()
	at, query, _ := strings.Cut(link, "?")
	req, err := http.NewRequest(http.MethodPost, at, strings.NewReader(query))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := httpClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if len(resp.Cookies()) == 0 {
		return resp.StatusCode
	}
	first, err := http.NewRequest(http.MethodGet, strings.TrimSuffix(at, "enter"), nil)
	if err != nil {
		t.Fatal(err)
	}
	first.AddCookie(resp.Cookies()[0])
	shown, err := httpClient.Do(first)
	if err != nil {
		t.Fatal(err)
	}
	shown.Body.Close()
	return shown.StatusCode
}

// A link signs in with the key that asked for it, once. In a pipe it is only printed.
func TestOpenPrintsALink(t *testing.T) {
	at, _ := newSendService(t)
	for _, args := range [][]string{{"open"}, {"open", "--print"}} {
		out := mustRun(t, append(args, at...)...)
		link := strings.TrimSpace(out)
		if !strings.HasPrefix(link, at[1]+"/console/enter?token=") || strings.Contains(link, "\n") {
			t.Fatalf("%v prints %q", args, out)
		}
		if got := openLink(t, link); got != http.StatusOK {
			t.Errorf("%v: the console answers %d", args, got)
		}
		if got := openLink(t, link); got != http.StatusForbidden {
			t.Errorf("%v: the second time the console answers %d, want 403", args, got)
		}
	}
}

// On a terminal the browser gets a file that only its owner can read, and not the link.
func TestOpenKeepsTheLinkOutOfArguments(t *testing.T) {
	at, _ := newSendService(t)
	bin, cache := t.TempDir(), t.TempDir()
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv("XDG_CACHE_HOME", cache)
	t.Setenv("DISPLAY", ":0")
	script := filepath.Join(bin, "xdg-open")
	for name, exit := range map[string]string{"a browser": "0", "a browser that fails": "3"} {
		if err := os.WriteFile(script, []byte("#!/bin/sh\nprintf '%s\\n' \"$@\" > "+bin+"/args\nexit "+exit+"\n"),
			0o700); err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(cache, "chatconf", "open.html"), []byte("an old one"))
		if err := os.Chmod(filepath.Join(cache, "chatconf", "open.html"), 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := onTerminal(t, nil, append([]string{"open"}, at...)...)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		link, said, _ := strings.Cut(out, "\n")
		args, err := os.ReadFile(filepath.Join(bin, "args"))
		if err != nil {
			t.Fatal(err)
		}
		path := strings.TrimSpace(string(args))
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		_, token, _ := strings.Cut(link, "token=")
		if path != filepath.Join(cache, "chatconf", "open.html") || token == "" || strings.Contains(path, token) ||
			!strings.Contains(string(text), `url=`+link+`"`) {
			t.Errorf("%s: opens %s: %s", name, path, text)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: the mode of the file: %v, %v", name, info.Mode(), err)
		}
		if failed := exit != "0"; strings.Contains(said, "No browser was opened: ") != failed ||
			strings.Contains(said, token) {
			t.Errorf("%s: says %q", name, said)
		}
	}
}

func TestOpenWithoutABrowser(t *testing.T) {
	at, _ := newSendService(t)
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("WAYLAND_DISPLAY", "")
	for want, set := range map[string][2]string{
		"there is no screen":        {"DISPLAY", ""},
		"xdg-open is not installed": {"PATH", t.TempDir()},
	} {
		t.Run(want, func(t *testing.T) {
			t.Setenv("DISPLAY", ":0")
			t.Setenv(set[0], set[1])
			out, err := onTerminal(t, nil, append([]string{"open"}, at...)...)
			if err != nil || !strings.Contains(out, "No browser was opened: "+want+". Copy the link.") {
				t.Errorf("open: %v, %s", err, out)
			}
		})
	}
}

// A service that has no console, or is another one, is named as that.
func TestOpenOfAnotherService(t *testing.T) {
	for answer, want := range map[string]string{
		`{"Code":"InvalidApi.NotFound","Message":"x"}`:      "has no web console; 'chatconf serve' has one",
		`{"Code":"NoPermission","Message":"x"}`:             "NoPermission",
		`{}`:                                                "sent no answer of CreateConsoleLink",
		`{"ConsolePath":"https://evil.example.com/x"}`:      "sent no answer of CreateConsoleLink",
		`{"ConsolePath":"@evil.example.com/console/"}`:      "sent no answer of CreateConsoleLink",
		`{"ConsolePath":"/console/enter?token=x%zz\u007f"}`: "is not a URL",
		`no JSON`: "sent no answer of CreateConsoleLink",
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if strings.Contains(answer, `"Code"`) {
				w.WriteHeader(http.StatusNotFound)
			}
			fmt.Fprint(w, answer)
		}))
		out, err := run(t, "", "open", "--endpoint", s.URL, "--access-key-id", "CCKx", "--access-key-secret", "x")
		s.Close()
		if err == nil || !strings.Contains(err.Error(), want) || out != "" {
			t.Errorf("%s: %v, %q", answer, err, out)
		}
	}
}

// No function offers CreateConsoleLink, and a request of it is not repeated.
func TestCreateConsoleLink(t *testing.T) {
	is := func(a rpc.Action) bool { return a.Name == linkAction }
	if slices.ContainsFunc(rpc.Actions(), is) || slices.ContainsFunc(serveActions(nil), is) ||
		!slices.ContainsFunc(new(localConsole).actions(), is) {
		t.Error("CreateConsoleLink is an action of the API, or none of serve")
	}
	if _, err := new(localConsole).link(nil, t.Context(), nil); err == nil {
		t.Error("a service without a console makes a link")
	}
	_, l := newSendService(t)
	d := new(localConsole)
	if _, err := d.open(app.SiteParts{}); err == nil {
		t.Error("a console without parts opens")
	}
	keys, err := l.Keys.List(t.Context())
	if err != nil || len(keys) == 0 {
		t.Fatal(err)
	}
	id := keys[0].ID
	replayed := errors.New("replayed")
	d.console = consoleOf(t, l)
	ctx := chat.WithCaller(t.Context(), &chat.Caller{AccessKeyID: id,
		Confirm: func(context.Context) error { return replayed }})
	if _, err := d.link(l.Service, ctx, nil); err != replayed {
		t.Errorf("a replayed request: %v", err)
	}
	for id, ok := range map[string]bool{id: true, "CCKnobody": false, "": false} {
		answer, err := d.link(l.Service, chat.WithCaller(t.Context(), &chat.Caller{AccessKeyID: id}), nil)
		if (err == nil) != ok {
			t.Errorf("a link for %q: %v", id, err)
		}
		if ok && strings.Contains(fmt.Sprintf("%v %+v %#v %s", answer, answer, answer, answer), "token") {
			t.Errorf("the answer prints its token: %v", answer)
		}
	}
}

// Only a first start prints a link, and only on a terminal: elsewhere the output may be a log.
func TestTheBannerHasALinkOnATerminal(t *testing.T) {
	_, l := newSendService(t)
	d := &localConsole{console: consoleOf(t, l)}
	key, err := l.Keys.List(t.Context())
	if err != nil || len(key) == 0 {
		t.Fatal(err)
	}
	started := app.Started{Endpoint: "http://127.0.0.1:9000", AccessKeyID: key[0].ID, First: true}
	p := newTerminal(t, nil)
	go p.watch()
	d.introduce(t.Context(), p.inside, started, "chatconf open")
	p.inside.Close()
	<-p.done
	if !strings.Contains(p.shown.String(), "  console          http://127.0.0.1:9000/console/enter?token=") {
		t.Errorf("on a terminal: %q", p.shown.String())
	}
	var b bytes.Buffer
	d.introduce(t.Context(), &b, started, "chatconf open")
	(*localConsole)(nil).introduce(t.Context(), &b, started, "chatconf open")
	new(localConsole).introduce(t.Context(), &b, started, "chatconf open")
	want := "  console          http://127.0.0.1:9000/console/ (to sign in: chatconf open)\n"
	if b.String() != want {
		t.Errorf("in a pipe: %q, want %q", &b, want)
	}
}

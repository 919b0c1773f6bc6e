package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"chatconf/shared/chat"
	"chatconf/shared/secret"
)

func TestRotate(t *testing.T) {
	at, _ := newSendService(t)
	create(t, at, "ops", "Slack", "")
	create(t, at, "wecom", "WeChat", "")
	show := func(stdin string, args ...string) string {
		t.Helper()
		out, err := run(t, stdin, append(append([]string{"rotate"}, args...), at...)...)
		if err != nil {
			t.Fatalf("rotate %q: %v", args, err)
		}
		if leak.MatchString(out) {
			t.Errorf("rotate %q shows a secret: %s", args, out)
		}
		return screen(out)
	}
	list := "KEY  SINCE (UTC)  DIGEST  PREVIOUS VALID UNTIL\n"
	if got, want := show("", "ops"), list+"SlackSigningSecret  DATE  DIGEST  -\n"; !strings.HasPrefix(got, want) {
		t.Errorf("the secrets:\n%s\nwant\n%s", got, want)
	}
	want := "Rotated SlackSigningSecret of ops. Its digest is DIGEST.\nThe previous value is valid until DATE UTC.\n"
	if got := show("PLANTED-new\n", "ops", "SlackSigningSecret=@-"); got != want {
		t.Errorf("by standard input:\n%s\nwant\n%s", got, want)
	}
	if got := show("", "ops"); !strings.Contains(got, "SlackSigningSecret  DATE  DIGEST  DATE\n") {
		t.Errorf("the secrets then:\n%s", got)
	}
	file := filepath.Join(t.TempDir(), "new")
	if err := os.WriteFile(file, []byte("PLANTED-file"), 0o600); err != nil {
		t.Fatal(err)
	}
	want = "Rotated SlackSigningSecret of ops. Its digest is DIGEST.\nThe previous value is no longer valid.\n"
	if got := show("", "ops", "SlackSigningSecret=@"+file, "--grace", "0s"); got != want {
		t.Errorf("by a file:\n%s\nwant\n%s", got, want)
	}
	if got := show("", "wecom", "WeChatToken"); !strings.Contains(got,
		"The service made the new value; it is in Outputs") {
		t.Errorf("made by the service:\n%s", got)
	}
	want = "The webhook of wecom has a new URL. The old one is valid until DATE UTC.\n"
	if got := show("", "wecom", "Webhook"); !strings.HasPrefix(got, want+"Enter the new one") {
		t.Errorf("the webhook:\n%s", got)
	}
	out := mustRun(t, append([]string{"rotate", "wecom", "Webhook", "--show-url", "--grace", "1h"}, at...)...)
	if !strings.HasPrefix(screen(out), want+"URL  http://127.0.0.1:") || !strings.Contains(out, "\nAesKey  ") ||
		!strings.Contains(out, "\nToken   ") || strings.Contains(out, "Setup") {
		t.Errorf("the webhook with its URL:\n%s", out)
	}
	if _, err := run(t, "", append([]string{"rotate", "ops", "SlackSigningSecret"}, at...)...); err == nil ||
		!strings.Contains(err.Error(), "write SlackSigningSecret=@FILE, or SlackSigningSecret=@- for standard input") {
		t.Errorf("a secret that the service cannot make: %v", err)
	}
	var answer chat.RotateResponse
	out = mustRun(t, append([]string{"rotate", "ops", "Webhook", "-o", "json"}, at...)...)
	if err := json.Unmarshal([]byte(out), &answer); err != nil || answer.ChatConfiguration.Outputs != "" ||
		answer.ChatConfiguration.GraceUntil == "" {
		t.Errorf("rotate -o json: %s", out)
	}
	var secrets []chat.SecretState
	out = mustRun(t, append([]string{"rotate", "ops", "-o", "json"}, at...)...)
	if err := json.Unmarshal([]byte(out), &secrets); err != nil || len(secrets) < 2 || secrets[0].Digest == "" {
		t.Errorf("the secrets as JSON: %s", out)
	}
	for _, args := range [][]string{{}, {"ops", "a", "b"}, {"ops", "SlackSigningSecret=" + planted},
		{"ops", "=" + planted}, {"ops", "Webhook=@-"}, {"ops", "SlackSigningSecret=@/nonexistent"},
		{"ops", "SlackSigningSecret=@-"}, {"ops", "webhook"}, {"ops", "Webhook", "--grace", "1000h"},
		{"ops", "Webhook", "--grace", "8d"}, {"ops", "Webhook", "--grace", "-1h"}, {"ops", "Webhook", "--grace", "1w"},
		{"wecom", "WeChatToken=@-"}, {"ops", "-o", "xml"}} {
		out, err := run(t, "", append(append([]string{"rotate"}, args...), at...)...)
		if !isUsage(err) || out != "" || strings.Contains(err.Error(), planted) {
			t.Errorf("rotate %q: %q, %v, want a usage error", args, out, err)
		}
	}
	for _, args := range [][]string{{"missing"}, {"missing", "Webhook"}, {"ops", "SlackSigningSecret"},
		{"ops", "SlackTeamId=@-"}} {
		out, err := run(t, "x", append(append([]string{"rotate"}, args...), at...)...)
		if err == nil || isUsage(err) || out != "" {
			t.Errorf("rotate %q: %q, %v, want the error of the service", args, out, err)
		}
	}
}

func TestGraceTime(t *testing.T) {
	for text, want := range map[string]string{"0s": "0h", "90m": "1h30m0s", "24h": "24h", "2d": "48h", "7d": "168h"} {
		var grace graceTime
		if err := grace.Set(text); err != nil || grace.String() != want {
			t.Errorf("%s: %v, %v, want %s", text, &grace, err, want)
		}
	}
}

// On a terminal the new value is asked for, and is not shown.
func TestRotateAsks(t *testing.T) {
	var sent map[string]string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent = nil
		if err := json.NewDecoder(r.Body).Decode(&sent); err != nil {
			t.Error(err)
		}
		io.WriteString(w, `{"ChatConfiguration":{"Secret":{"Key":"K","Digest":"d"}}}`)
	}))
	defer s.Close()
	for about, c := range map[string]struct {
		typed string
		err   error
		want  map[string]string
	}{
		"a value":  {typed: planted, want: map[string]string{"Name": "ops", "Key": "K", "Value": planted}},
		"nothing":  {want: map[string]string{"Name": "ops", "Key": "K"}},
		"no input": {err: errors.New("planted")},
	} {
		var out, messages bytes.Buffer
		sent = nil
		v := &verb{client: &client{endpoint: s.URL, http: httpClient, key: credential{}}, out: &out,
			messages: &messages, in: bufio.NewReader(strings.NewReader("")), asks: true}
		v.output = "table"
		v.client.key.ID, v.client.key.Secret = "a", "b"
		v.hidden = func(_ context.Context, prompt string) (secret.Text, error) {
			if prompt != "New value of K (empty: the service makes one): " {
				t.Errorf("it asks %q", prompt)
			}
			return secret.Text(c.typed), c.err
		}
		err := v.rotate(t.Context(), map[string]string{"Name": "ops"}, "K", false)
		if !errors.Is(err, c.err) || strings.Contains(out.String(), planted) {
			t.Errorf("%s: %v, %s", about, err, &out)
		}
		if got, want := len(sent), len(c.want); got != want || sent["Value"] != c.want["Value"] {
			t.Errorf("%s: sent %v, want %v", about, sent, c.want)
		}
	}
}

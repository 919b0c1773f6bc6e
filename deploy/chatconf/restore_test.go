package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"chatconf/shared/chat"
)

func TestRestore(t *testing.T) {
	at := edited(t)
	do := func(args ...string) string {
		t.Helper()
		out := mustRun(t, append(append([]string{"restore"}, args...), at...)...)
		if leak.MatchString(out) {
			t.Errorf("restore %q shows a secret: %s", args, out)
		}
		return screen(out)
	}
	plan := "ops will change from revision 2 to what it was at revision 1:\n\nStatus\n  - Inactive\n  + Active\n" +
		"Configuration.SlackSigningSecret\n  - DIGEST\n  + DIGEST\n" +
		"Configuration.Permissions[0].Commands[0]\n  - *\n  + restart\n\n"
	if out, err := run(t, "y\n", append([]string{"restore", "ops"}, at...)...); !isUsage(err) || screen(out) != plan {
		t.Errorf("without somebody to ask: %v\n%s\nwant a usage error and\n%s", err, out, plan)
	}
	if got, want := do("ops", "--yes"), plan+"Restored revision 1 of ops as revision 3.\n"; got != want {
		t.Errorf("the one before:\n%s\nwant\n%s", got, want)
	}
	if got, want := do("ops", "1", "-y"), "ops is what it was at revision 1; nothing to do.\n"; got != want {
		t.Errorf("once more: %s, want %s", got, want)
	}
	if got := screen(mustRun(t, append([]string{"history", "ops"}, at...)...)); !strings.Contains(got,
		"\n3  DATE  Restored 1  KEY  Status, ") {
		t.Errorf("the history: %s", got)
	}
	if got := do("ops", "--yes"); !strings.HasSuffix(got, "Restored revision 2 of ops as revision 4.\n") {
		t.Errorf("the restore is undone: %s", got)
	}
	mustRun(t, append([]string{"call", "DeleteChatConfiguration", "Name=ops"}, at...)...)
	want := "ops was deleted at DATE UTC by KEY. It will be what it was at revision 4.\n" +
		"Restored revision 4 of ops as revision 6.\n"
	if got := do("ops", "--yes"); got != want {
		t.Errorf("a deleted bot:\n%s\nwant\n%s", got, want)
	}
	var answer chat.RestoreResponse
	if got := do("ops", "1", "--yes", "-o", "json"); json.Unmarshal([]byte(got), &answer) != nil ||
		answer.ChatConfiguration.Revision != 7 || len(answer.ChatConfiguration.Changes) != 3 {
		t.Errorf("restore -o json: %s", got)
	}
	if got := do("ops", "1", "--yes", "-o", "json"); json.Unmarshal([]byte(got), &answer) != nil ||
		answer.ChatConfiguration.Revision != 7 || len(answer.ChatConfiguration.Changes) != 0 {
		t.Errorf("nothing to do, as JSON: %s", got)
	}
	mustRun(t, append([]string{"call", "DeleteChatConfiguration", "Name=ops"}, at...)...)
	create(t, at, "ops", "DingTalk", "")
	out, err := run(t, "", append([]string{"restore", "ops", "1", "--yes"}, at...)...)
	if want := "ops has the Type DingTalk now, and revision 1 has Slack, which no restore can change; delete ops " +
		"first, and restore the revision then"; err == nil || err.Error() != want || out != "" {
		t.Errorf("a revision of another Type: %q, %v, want %s", out, err, want)
	}
	create(t, at, "new", "Slack", "")
	for _, args := range []string{"missing", "new", "ops 99"} {
		out, err := run(t, "", append(append([]string{"restore", "--yes"}, strings.Fields(args)...), at...)...)
		if err == nil || isUsage(err) || out != "" {
			t.Errorf("restore %s: %q, %v, want an error", args, out, err)
		}
	}
	for _, args := range []string{"", "ops x", "ops 1 2", "ops -o xml"} {
		out, err := run(t, "", append(append([]string{"restore"}, strings.Fields(args)...), at...)...)
		if !isUsage(err) || out != "" {
			t.Errorf("restore %s: %q, %v, want a usage error", args, out, err)
		}
	}
}

// A person sees the plan and decides. The request holds the revision that the person saw, so that
// nothing is lost which somebody else changes meanwhile.
func TestRestoreAsks(t *testing.T) {
	var sent map[string]string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch action := r.Header.Get("X-Acs-Action"); action {
		case "ListChatConfigurationRevisions":
			io.WriteString(w, `{"ChatConfigurationRevisions":[{"Revision":9},{"Revision":8,"Deleted":true},{"Revision":7}]}`)
		case "GetChatConfigurationRevision":
			io.WriteString(w, `{"ChatConfigurationRevision":{"Changes":[{"Path":"Status"}]}}`)
		default:
			if err := json.NewDecoder(r.Body).Decode(&sent); err != nil || action != "RestoreChatConfiguration" {
				t.Errorf("%s: %v", action, err)
			}
			io.WriteString(w, `{"ChatConfiguration":{"Revision":10}}`)
		}
	}))
	defer s.Close()
	for typed, want := range map[string]map[string]string{
		"n\n": nil,
		"y\n": {"Name": "ops", "Revision": "7", "ExpectedRevision": "9"},
	} {
		sent = nil
		var out, messages bytes.Buffer
		v := &verb{client: &client{endpoint: s.URL, http: httpClient}, out: &out, messages: &messages, asks: true,
			in: bufio.NewReader(strings.NewReader(typed))}
		v.output = "table"
		v.client.key.ID, v.client.key.Secret = "a", "b"
		err := v.restore(t.Context(), "ops", 0, false)
		if messages.String() != "Restore revision 7 of ops? [y/N] " || (err == nil) != (want != nil) ||
			len(sent) != len(want) || sent["Revision"] != want["Revision"] ||
			sent["ExpectedRevision"] != want["ExpectedRevision"] {
			t.Errorf("%q: asked %q, sent %v, %v, want %v", typed, &messages, sent, err, want)
		}
	}
}

package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"chatconf/shared/chat"
)

// What differs from run to run in the output of verbs: dates, access keys, digests and widths.
var (
	onDate   = regexp.MustCompile(`\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\+00:00)?`)
	byKey    = regexp.MustCompile(`CCK[0-9A-Za-z]{20}`)
	aDigest  = regexp.MustCompile(`digest:[0-9a-f]{16}|\b[0-9a-f]{16}\b`)
	manyGaps = regexp.MustCompile(` {2,}`)
)

// screen returns the output of a verb without what differs from run to run.
func screen(text string) string {
	text = onDate.ReplaceAllString(text, "DATE")
	text = aDigest.ReplaceAllString(byKey.ReplaceAllString(text, "KEY"), "DIGEST")
	return manyGaps.ReplaceAllString(text, "  ")
}

// edited makes a bot and edits it badly: it gets another role and another secret.
func edited(t *testing.T) (at []string) {
	t.Helper()
	at, _ = newSendService(t)
	create(t, at, "ops", "Slack", "")
	mustRun(t, append([]string{"call", "UpdateChatConfiguration", "Name=ops", "Status=Inactive", "Configuration={" +
		strings.Replace(planting["Slack"], "PLANTED-1", "PLANTED-9", 1) + "," +
		strings.Replace(permissions, `"restart"`, `"*"`, 1) + "}"}, at...)...)
	return at
}

func TestHistoryAndDiff(t *testing.T) {
	at := edited(t)
	show := func(args ...string) string {
		t.Helper()
		out := mustRun(t, append(args, at...)...)
		if leak.MatchString(out) {
			t.Errorf("%q shows a secret: %s", args, out)
		}
		return screen(out)
	}
	head := "REVISION  DATE (UTC)  OPERATION  CALLER  CHANGED\n"
	rows := "2  DATE  Updated  KEY  Status, Configuration.SlackSigningSecret, " +
		"Configuration.Permissions[0].Commands[0]\n1  DATE  Created  KEY  -\n"
	if got, want := show("history", "ops"), head+rows; got != want {
		t.Errorf("history:\n%s\nwant\n%s", got, want)
	}
	wide := strings.ReplaceAll(screen(mustRun(t, append([]string{"history", "ops", "-o", "wide"}, at...)...)),
		"KEY  -  ", "KEY  ")
	if want := strings.Replace(head, "CHANGED", "ADDRESS  CHANGED", 1) + rows; wide != want {
		t.Errorf("history -o wide:\n%s\nwant\n%s", wide, want)
	}
	changes := "\n\nStatus\n  - Active\n  + Inactive\n" +
		"Configuration.SlackSigningSecret\n  - DIGEST\n  + DIGEST\n" +
		"Configuration.Permissions[0].Commands[0]\n  - restart\n  + *\n"
	by := "ops, revision 2: Updated by KEY at DATE UTC, compared with revision 1"
	for _, args := range []string{"diff ops", "diff ops 1", "diff ops 1 2"} {
		if got := show(strings.Fields(args)...); got != by+changes {
			t.Errorf("%s:\n%s\nwant\n%s", args, got, by+changes)
		}
	}
	if got := show("diff", "ops", "2", "1"); !strings.Contains(got, "\nStatus\n  - Inactive\n  + Active\n") ||
		!strings.Contains(got, "revision 1: Created by KEY at DATE UTC, compared with revision 2\n") {
		t.Errorf("the other way: %s", got)
	}
	if got := show("diff", "ops", "2"); !strings.HasSuffix(got, "compared with revision 2\n\nNothing changed.\n") {
		t.Errorf("with itself: %s", got)
	}
	// Every member of the API is in the JSON.
	var list []chat.Revision
	if out := show("history", "ops", "-o", "json"); json.Unmarshal([]byte(out), &list) != nil || len(list) != 2 ||
		list[0].Action != "UpdateChatConfiguration" || len(list[0].Changes) != 3 {
		t.Errorf("history -o json: %s", out)
	}
	var one chat.Revision
	if out := show("diff", "ops", "-o", "json"); json.Unmarshal([]byte(out), &one) != nil || len(one.Changes) != 3 {
		t.Errorf("diff -o json: %s", out)
	}
	// A second life.
	mustRun(t, append([]string{"call", "DeleteChatConfiguration", "Name=ops"}, at...)...)
	if got := show("diff", "ops"); !strings.HasSuffix(got,
		"\n\nThe configuration was deleted. 'chatconf restore ops' brings it back.\n") {
		t.Errorf("diff of a deletion: %s", got)
	}
	create(t, at, "ops", "DingTalk", "")
	want := "REVISION  LIFE  DATE (UTC)  OPERATION  CALLER  CHANGED\n4  4  DATE  Created  KEY  -\n" +
		"3  1  DATE  Deleted  KEY  -\n2  1  DATE  Updated"
	if got := show("history", "ops"); !strings.HasPrefix(got, want) {
		t.Errorf("two lives:\n%s\nwant\n%s", got, want)
	}
	if _, err := run(t, "", append([]string{"diff", "ops", "x", "0"}, at...)...); err == nil ||
		!strings.HasPrefix(err.Error(), `"x" or "0" is not a revision; write a number such as 3;`) {
		t.Errorf("two mistakes: %v", err)
	}
	for _, args := range []string{"diff ops zero", "diff ops 0", "diff ops 1 -o xml", "diff", "diff ops 1 2 3",
		"history", "history ops dev"} {
		if out, err := run(t, "", append(strings.Fields(args), at...)...); !isUsage(err) || out != "" {
			t.Errorf("%s: %q, %v, want a usage error", args, out, err)
		}
	}
	for _, args := range []string{"history missing", "diff missing", "diff missing 1 2", "diff ops 9", "diff ops 1 9"} {
		if out, err := run(t, "", append(strings.Fields(args), at...)...); err == nil || isUsage(err) || out != "" {
			t.Errorf("%s: %q, %v, want the error of the service", args, out, err)
		}
	}
}

// What a service of another version may answer.
func TestHistoryOfAStranger(t *testing.T) {
	noEnv(t)
	var answers []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := answers[0]
		answers = answers[1:]
		io.WriteString(w, answer)
	}))
	defer s.Close()
	at := []string{"--endpoint", s.URL, "--access-key-id", "a", "--access-key-secret", "b"}
	list := func(rest string) string { return `{"ChatConfigurationRevisions":[` + rest + "}" }
	answers = []string{list(`],"NextToken":"x"`), list(`{"Revision":7,"Compared":6,"Date":"planted",` +
		`"Operation":"Moved","Changes":[{"Path":"a"},{"Path":"b"},{"Path":"c"},{"Path":"d"},{"Path":"e"}]}]`)}
	if got := mustRun(t, append([]string{"history", "ops"}, at...)...); !strings.HasSuffix(screen(got),
		"\n7  planted  Moved  -  a, b, c, d, …\n") {
		t.Errorf("history: %s", got)
	}
	answers = []string{list(`{"Revision":7,"SourceAddress":"192.0.2.1",` +
		`"Changes":[{"Path":"x","Before":"two\nlines\u001b"},` +
		`{"Path":"…","After":"3 more changes"}]}]`)}
	if got := mustRun(t, append([]string{"diff", "ops"}, at...)...); !strings.HasSuffix(got,
		" from 192.0.2.1 at  UTC\n\nx\n  - two\n  - lines\ufffd\n… 3 more changes\n") {
		t.Errorf("diff: %q", got)
	}
	for _, answer := range []string{list("]"), "<html>"} {
		answers = []string{answer}
		if out, err := run(t, "", append([]string{"diff", "ops"}, at...)...); err == nil || out != "" {
			t.Errorf("%s: %q, %v", answer, out, err)
		}
	}
}

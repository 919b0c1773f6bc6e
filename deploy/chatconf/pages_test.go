package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

// A service whose list never ends is found out: it repeats a page, goes in a circle, or sends empty
// pages only.
func TestAListWithoutAnEnd(t *testing.T) {
	noEnv(t)
	const entry = `{"Name":"ops","Type":"Slack","Configuration":"{}"}`
	asked := 0
	var answer func(n int) (entries, token string)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		action := r.Header.Get("X-Acs-Action")
		if action == "CreateChatConfiguration" {
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, faultText("InvalidParameter.CheckOnly",
				`Parameter CheckOnly: "unsure" is not a boolean.`))
			return
		}
		entries, token := answer(asked)
		fmt.Fprintf(w, `{"ChatConfigurations":[%s],"ChatConfigurationRevisions":[%[1]s],"ChatCommands":[%[1]s],`+
			`"AccessKeys":[%[1]s],"NextToken":%q}`, entries, token)
	}))
	defer s.Close()
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "ops.yaml"), []byte("Name: ops\nType: Slack\nConfiguration: {}\n"))
	at := []string{"--endpoint", s.URL, "--access-key-id", "a", "--access-key-secret", "b"}
	for about, c := range map[string]struct {
		answer func(int) (string, string)
		most   int // requests
	}{
		"the same page": {func(int) (string, string) { return entry, "same" }, 4},
		"a circle":      {func(n int) (string, string) { return entry, fmt.Sprint(n % 3) }, 6},
		"empty pages":   {func(n int) (string, string) { return "", fmt.Sprint(n) }, maxEmpty + 3},
	} {
		answer = c.answer
		for _, args := range [][]string{{"bots"}, {"history", "ops"}, {"log", "-n", "0"}, {"keys", "list"},
			{"export", t.TempDir()}, {"apply", dir, "--yes"}, {"apply", dir, "--prune", "--yes"}, {"diff", dir}} {
			asked = 0
			out, err := run(t, "", append(args, at...)...)
			if err == nil || out != "" || !strings.Contains(err.Error(), "repeats the pages of the list") ||
				strings.Contains(err.Error(), ". ") {
				t.Errorf("%s for %s: %q, %v", about, args, out, err)
			}
			if asked > c.most {
				t.Errorf("%s for %s: %d requests, want at most %d", about, args, asked, c.most)
			}
		}
	}
	// A search may find nothing for some pages.
	answer = func(n int) (string, string) {
		if n < maxEmpty {
			return "", fmt.Sprint(n)
		}
		return entry, ""
	}
	asked = 0
	if out := mustRun(t, append([]string{"export", filepath.Join(dir, "more")}, at...)...); !strings.Contains(out,
		"Exported 1 bot") {
		t.Errorf("after empty pages: %s", out)
	}
}

package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestCompleteNext(t *testing.T) {
	at := team(t)
	mustRun(t, append([]string{"set", "ops", "BotName=Two"}, at...)...)
	for line, want := range map[string]string{
		"bots ops |":         "dev\nold\n:4\n",
		"log ops dev o|":     "old\n:4\n",
		"diff ops |":         "2\tUpdated by KEY at DATE\n1\tCreated by KEY at DATE\n:4\n",
		"diff ops 1 2|":      "2\tUpdated by KEY at DATE\n:4\n",
		"diff ops 1 2 |":     ":4\n",
		"restore ops 1|":     "1\tCreated by KEY at DATE\n:4\n",
		"restore ops 1 |":    ":4\n",
		"rotate ops Target|": "Target.Secret\n:4\n",
		"set ops Sl|": "SlackSigningSecret=@\nSlackSigningSecretPrevious=@\nSlackAppToken=@\n" +
			"SlackBotToken=@\nSlackTeamId=\n:6\n",
		"set ops X=1 Status|": "Status=\n:6\n",
		"show ops |":          ":4\n",
		"send op|":            "ops\n:4\n",
		"send ops |":          ":4\n",
		"send ops --mode |":   "button\ncheck\ncommand\nevent\nstream\n:4\n",
		"send ops --mode s|":  "stream\n:4\n",
		"send --mode p|":      "plain-check\n:4\n",
		"copy ops |":          ":4\n",
		"diff missing |":      ":4\n",
		"rotate missing |":    ":4\n",
		"set missing |":       ":6\n",
	} {
		words, start, _ := strings.Cut(strings.TrimSuffix(line, "|"), " ")
		args := append([]string{words}, at...)
		got, err := completeLine(t, append(args, strings.Split(start, " ")...)...)
		if got = screen(got); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", line, got, err, want)
		}
	}
	if got, err := completeLine(t, "diff", "--endpoint", "ftp://x", "ops", ""); err != nil || got != ":4\n" {
		t.Errorf("without a service: %q, %v", got, err)
	}
}

// What a service names is completed only if the shell can print it.
func TestCompletionDoesNotControlATerminal(t *testing.T) {
	noEnv(t)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"ChatConfigurations":[{"Name":"ops"},{"Name":"o\u001b[2Jx"},{"Name":"o\u202ex"}],`+
			`"ChatConfiguration":{"Name":"ops","Type":"Slack","Secrets":[{"Key":"A"},{"Key":"B\u009b"}]}}`)
	}))
	defer s.Close()
	t.Setenv("CHATCONF_ENDPOINT", s.URL)
	t.Setenv("CHATCONF_ACCESS_KEY_ID", "a")
	t.Setenv("CHATCONF_ACCESS_KEY_SECRET", "b")
	for line, want := range map[string]string{"show ": "ops\n:4\n", "rotate ops ": "A\n:4\n"} {
		if got, err := completeLine(t, strings.Split(line, " ")...); err != nil || got != want {
			t.Errorf("%q completes %q, %v, want %q", line, got, err, want)
		}
	}
}

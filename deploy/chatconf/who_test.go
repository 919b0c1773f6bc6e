package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// What who-can says is what the service decides.
func TestWhoCanIsWhatTheServiceDecides(t *testing.T) {
	at := team(t)
	checked := 0
	for _, text := range []string{"restart", "show-it", "scale env=test", "scale env=prod", "stop now", "help"} {
		var found []right
		out, _, err := runBoth(t, "", append([]string{"who-can", text, "-o", "json"}, at...)...)
		if err := json.Unmarshal([]byte(out), &found); err != nil {
			t.Fatal(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		for bot, users := range map[string][]string{"dev": {"u1", "u2", "u3", "u9"},
			"ops": {"manager4220", "U1", "u9"}} {
			for _, user := range users {
				for _, place := range []string{"c1", "c2"} {
					var says struct {
						Permission struct {
							Allowed bool
							RamRole string
						}
					}
					text := mustRun(t, append([]string{"call", "SimulateChatPermission", "Name=" + bot,
						"UserId=" + user, "ConversationId=" + place, "Command=" + text}, at...)...)
					if err := json.Unmarshal([]byte(text), &says); err != nil {
						t.Fatal(err)
					}
					role, allowed := "", false
					for _, name := range []string{anyoneElse, user} { // the row of the person counts
						for _, r := range found {
							if r.Bot == bot && r.User == name && (slices.Contains(r.Conversations, place) ||
								slices.Contains(r.Conversations, everywhere)) {
								role, allowed = r.RamRole, r.Allowed
							}
						}
					}
					if checked++; allowed != says.Permission.Allowed || allowed && role != says.Permission.RamRole {
						t.Errorf("%s runs %q with %s in %s: %v as %q, the service says %+v", user, text, bot, place,
							allowed, role, says)
					}
				}
			}
		}
	}
	if checked < 50 {
		t.Errorf("only %d decisions were compared", checked)
	}
}

func TestWhoCan(t *testing.T) {
	at := team(t)
	both := func(line ...string) (string, string, error) {
		t.Helper()
		return runBoth(t, "", append(line, at...)...)
	}
	if out, said, err := both("who-can", "scale env=bogus"); err != nil || out != "Nobody may run scale env=bogus.\n" ||
		!strings.Contains(said, "\ndev: ") && !strings.HasPrefix(said, "dev: ") {
		t.Errorf("a wrong value: %q, %q, %v", out, said, err)
	}
	mustRun(t, append([]string{"set", "dev", `Permissions=[{"Effect":"Allow","Principals":["*"],"Commands":["*"]},` +
		`{"Effect":"Deny","Principals":["user:u2"],"Commands":["restart"]}]`}, at...)...)
	if out, _, err := both("who-can", "restart"); err != nil || screen(out) !=
		"BOT  WHO  MAY RUN  CONVERSATIONS  ROLE  STATEMENT\ndev  u2  Denied  c1, c2  -  1\n"+
			"dev  anyone else  restart  c1, c2  DevRole  0\nops  manager4220  restart  *  -  0\n" {
		t.Errorf("a person who is denied: %s, %v", out, err)
	}
	for _, line := range [][]string{{"who-can"}, {"who-can", "a", "b"}, {"who-can", `a "`}, {"who-can", ""}, {"can"},
		{"can", "a", "b"}, {"can", "a*"}, {"can", "a b"}} {
		if out, _, err := both(line...); !isUsage(err) || out != "" {
			t.Errorf("%q: %s, %v", line, out, err)
		}
	}
	if got, err := completeLine(t, append(append([]string{"can"}, at...), "")...); err != nil || got != ":4\n" {
		t.Errorf("completion of a user: %q, %v", got, err)
	}
}

// A service without WithConfiguration is asked for each bot, and a strange answer is an error.
func TestWhoCanOfAStranger(t *testing.T) {
	noEnv(t)
	var get string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Acs-Action") == "ListChatConfigurations" {
			w.Write([]byte(`{"ChatConfigurations":[{"Name":"a","Type":"Slack"}]}`))
			return
		}
		w.Write([]byte(get))
	}))
	defer s.Close()
	at := []string{"--endpoint", s.URL, "--access-key-id", "a", "--access-key-secret", "b"}
	get = `{"ChatConfiguration":{"Name":"a","Type":"Slack","Configuration":` +
		`"{\"Permissions\":[{\"Effect\":\"Allow\",\"Principals\":[\"user:U1\"],\"Commands\":[\"restart\"]}]}"}}`
	if out := mustRun(t, append([]string{"can", "U1"}, at...)...); !strings.Contains(out, "restart") {
		t.Errorf("can U1: %s", out)
	}
	for _, get = range []string{`{"ChatConfiguration":{"Name":"a","Type":"Pigeon","Configuration":"{}"}}`, "<html>",
		`{"ChatConfiguration":{"Name":"a","Type":"Slack","Configuration":"["}}`,
		`{"ChatConfiguration":{"Name":"a","Type":"Slack","Configuration":"[]"}}`} {
		for _, verb := range []string{"can U1", "set a BotName=x", "edit a"} {
			if out, err := run(t, "", append(strings.Fields(verb), at...)...); err == nil || out != "" {
				t.Errorf("%s of %s: %s, %v", verb, get, out, err)
			}
		}
	}
}

// A key that may do little gets a useful answer from every verb: what it may see, or which right is
// missing.
func TestKeyThatMayDoLittle(t *testing.T) {
	at := team(t)
	t.Chdir(t.TempDir())
	writeFile(t, "secret", []byte("PLANTED-1"))
	writeFile(t, "bots/ops.yaml", []byte("Name: ops\nType: Slack\nConfiguration:\n  SlackSigningSecret: '******'\n"))
	withEditor(t, "exit 0")
	for about, actions := range map[string]string{"lists": `"oos:ListChatConfigurations"`,
		"gets": `"oos:GetChatConfiguration"`, "other": `"oos:TagResources"`} {
		policy := writePolicy(t, `{"Version":"1","Statement":[{"Effect":"Allow","Action":[`+actions+
			`],"Resource":"*"}]}`)
		var key struct{ AccessKeyId, AccessKeySecret string }
		made := mustRun(t, append([]string{"keys", "create", "--name", about, "--policy", policy, "-o", "json"},
			at...)...)
		if err := json.Unmarshal([]byte(made), &key); err != nil {
			t.Fatal(err)
		}
		as := []string{"--endpoint", at[1], "--access-key-id", key.AccessKeyId,
			"--access-key-secret", key.AccessKeySecret}
		var all strings.Builder
		covered := make(map[string]bool)
		for _, line := range []string{"bots", "show ops", "who-can restart", "can u1", "log", "log ops", "history ops",
			"diff ops", "restore ops --yes", "rotate ops",
			"rotate ops Webhook", "copy ops new", "set ops BotName=x", "edit ops",
			"delete ops --yes", "create new --type Slack SlackSigningSecret=@secret", "export", "apply bots --yes",
			"call GetChatConfigurationHealth Name=ops", "send ops help --user U1", "doctor", "keys list",
			"keys create --name x --read-only", "keys update CCKexample --expires never", "keys disable CCKexample",
			"keys enable CCKexample", "keys delete CCKexample", "keyring reseal", "backup backup.db",
			"open --print"} {
			cmd, _, err := newRoot().Find(strings.Fields(line))
			if err != nil {
				t.Fatal(err)
			}
			covered[cmd.CommandPath()] = true
			out, said, err := runBoth(t, "", append(strings.Fields(line), as...)...)
			if leak.MatchString(out + said) {
				t.Errorf("%s: %s shows a secret: %s%s", about, line, out, said)
			}
			all.WriteString("$ chatconf " + line + "\n" + out + said)
			if err != nil {
				all.WriteString("Error: " + err.Error() + "\n")
				if text := out + err.Error(); !strings.Contains(text, "oos:") {
					t.Errorf("%s: %s: %s does not say which right is missing", about, line, text)
				}
			}
		}
		withKey(newRoot(), func(path string) {
			others := []string{"chatconf keyring retire", "chatconf console"} // as reseal, and by its pages
			if !covered[path] && !slices.Contains(others, path) {
				t.Errorf("%s is not run with a key that may do little", path)
			}
		})
		golden(t, "key-that-"+about, steady(at, all.String()))
	}
}

// withKey calls do with the paths of the commands that a caller signs with an access key.
func withKey(cmd *cobra.Command, do func(path string)) {
	if cmd.Runnable() && cmd.Flags().Lookup("access-key-id") != nil && cmd.Flags().Lookup("secret-file") == nil {
		do(cmd.CommandPath())
	}
	for _, sub := range cmd.Commands() {
		withKey(sub, do)
	}
}

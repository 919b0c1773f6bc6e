//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"chatconf/shared/app"
	"chatconf/shared/emulator/ots/otstest"
)

// A shot is a command line and what a person sees of it, in a pipe and on a terminal.
type shot struct {
	line    string
	pipe    string            // the line in a pipe, where it is another one
	answers map[string]string // what the person types on the terminal, by the prompt
	stdin   string            // in the pipe
	until   string            // of a server: what it says last at its start; it is ended then
	editor  string            // a script
	prepare func(t *testing.T)
}

// screens are the shots of every command, in an order in which each finds what it needs. A person
// works in a folder with the data of a service that runs, .chatconf.
var screens = []shot{
	{line: "bots"}, {line: "bots -o wide"}, {line: "bots dev -o yaml"}, {line: "bots nothing*"},
	{line: "bots --region cn-beijing"}, {line: "bots --type Ding"},
	{line: "show ops"}, {line: "show dev"}, {line: "show old"}, {line: "show nobody"},
	{line: "who-can restart"}, {line: "who-can scale -o wide"}, {line: "who-can show-it --in c1"},
	{line: "who-can drop --in c9"},
	{line: "can u1 -o wide"}, {line: "can u2"}, {line: "can user:u3"}, {line: "can u4 --in c9"},
	{line: "can u3 -o json"},
	{line: "call GetChatConfigurationHealth Name=old"}, {line: "call GetChatConfiguration Name=nobody"},
	{line: "call CreateChatConfiguration Name=ops! Type=Slak Configuration={}"},
	{line: "send ops restart --user manager4220 --conversation C1"},
	{line: "send ops drop --user U9"}, {line: "send nobody help --user U9"}, {line: "send ops help"},
	{line: "log"}, {line: "log old"}, {line: "log --decision Denied -o yaml"},
	{line: "set dev BotName=Builder"}, {line: "set dev BotName=Builder"},
	{line: "set dev BotNam=Builder Type=Slack"},
	{line: "set ops SlackSigningSecret", answers: map[string]string{": ": "hidden:PLANTED-9"},
		pipe: "set ops SlackSigningSecret=@-", stdin: "PLANTED-9"},
	{line: "edit old", editor: `sed -i 's/Inactive/Active/' "$1"`}, {line: "edit old", editor: "true"},
	{line: "edit ops", editor: `sed -i 's/T0EXAMPLE/not an id/; s/Effect: Allow/Effect: Maybe/' "$1"`,
		answers: map[string]string{"Edit again? [Y/n] ": "n"}},
	{line: "history dev"}, {line: "history dev -o wide"}, {line: "history nobody"},
	{line: "diff dev"}, {line: "diff ops"}, {line: "diff dev 1 1"}, {line: "diff dev 9"},
	{line: "restore dev", pipe: "restore dev --yes", answers: map[string]string{"[y/N] ": "y"}},
	{line: "restore dev 1", pipe: "restore dev 1", answers: map[string]string{"[y/N] ": "n"}},
	{line: "restore nobody"},
	{line: "rotate ops"}, {line: "rotate ops Webhook"},
	{line: "rotate ops Nothing", answers: map[string]string{": ": "hidden:PLANTED-8"},
		pipe: "rotate ops Nothing=@-", stdin: "PLANTED-8"},
	{line: "copy ops ops-test"}, {line: "copy ops --to-region cn-beijing"}, {line: "copy ops"},
	{line: "create new --type Slack", pipe: "create new --type slack SlackSigningSecret=@- RamRole=Ops",
		stdin: "PLANTED-5", answers: map[string]string{"Receive, ": "", "SlackSigningSecret": "hidden:PLANTED-5",
			"SlackBotToken": "hidden:", "SlackTeamId": "", "Ids of users": "U1"}},
	{line: "create b+d --type Slack --status On RamRole=a!"}, {line: "create bad --type Slack BotNam=x"},
	{line: "create new --type Slack", pipe: "create new --type Slack SlackSigningSecret=@-", stdin: "PLANTED-5",
		answers: map[string]string{"Receive, ": "", "SlackSigningSecret": "hidden:PLANTED-5",
			"SlackBotToken": "hidden:", "SlackTeamId": "", "Ids of users": "U1"}},
	{line: "export"}, {line: "export"}, {line: "export empty --region cn-shanghai"},
	{line: "apply bots"}, {line: "apply bots --dry-run", prepare: setSecrets},
	{line: "apply bots", pipe: "apply bots --yes", answers: map[string]string{"[y/N] ": "y"},
		prepare: func(t *testing.T) { replaceIn(t, "bots/dev.yaml", "RamRole: DevRole", "RamRole: OpsRole") }},
	{line: "apply bots"}, {line: "apply nowhere"}, {line: "apply"},
	{line: "delete new", pipe: "delete new --yes", answers: map[string]string{"[y/N] ": "y"}},
	{line: "delete dev", answers: map[string]string{"[y/N] ": "n"}}, {line: "delete nobody --yes"},
	{line: "context list"},
	{line: "context set prod --endpoint https://chatconf.example.com --access-key-id CCKexample --secret-file secret",
		prepare: func(t *testing.T) { writeFile(t, "secret", []byte("PLANTED")) }},
	{line: "context set east --endpoint https://chatconf.example.com --region cn-beijing"},
	{line: "context set a/b --endpoint ftp://x"},
	{line: "context list"}, {line: "context list -o yaml"},
	{line: "context use east"}, {line: "context use nowhere"}, {line: "context use --none"},
	{line: "context delete east"}, {line: "context delete nowhere"},
	{line: "env"}, {line: "env --data nowhere"},
	{line: "keys list"}, {line: "keys list -o wide"},
	{line: "keys create --name reader --read-only --expires 2099-01-31"},
	{line: "keys create"},
	{line: "keys update KEY --description reads"}, {line: "keys disable KEY"}, {line: "keys enable KEY"},
	{line: "keys delete KEY"}, {line: "keys delete KEY"}, {line: "keys enable KEY"},
	{line: "keys update KEY --expires never"},
	{line: "doctor"}, {line: "doctor nobody -o wide"},
	{line: "backup backup.db"}, {line: "backup backup.db"}, {line: "backup other.db --data nowhere"},
	{line: "restore-backup backup.db --data restored"},
	{line: "restore-backup backup.db --data restored", prepare: func(t *testing.T) {
		ring, err := os.ReadFile(".chatconf/keyring.json")
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, "restored/keyring.json", ring)
	}},
	{line: "restore-backup backup.db --data restored"},
	{line: "check --data restored"}, {line: "check"}, {line: "check --data nowhere"},
	{line: "open", prepare: func(t *testing.T) {
		t.Setenv("DISPLAY", "")
		t.Setenv("WAYLAND_DISPLAY", "")
	}},
	{line: "open --print"}, {line: "open --data nowhere"},
	{line: "console", until: "Ctrl-C"}, {line: "console --addr 0.0.0.0:9400"},
	{line: "serve --data fresh --addr 127.0.0.1:0", until: "For SDKs"},
	{line: "serve --data restored --addr 127.0.0.1:0", until: "listens on"}, {line: "serve --addr foo"},
	{line: "serve --data restored --target mars"},
	{line: "ots --data= --addr 127.0.0.1:0", until: "secret"}, {line: "ots --addr foo"},
	{line: "keyring new --id first --out ring.json"}, {line: "keyring new", pipe: "keyring new --out ring.json"},
	{line: "keyring add ring.json --id second --last --out more.json"}, {line: "keyring add nowhere.json"},
	{line: "keyring promote second more.json --out new.json"}, {line: "keyring promote third more.json --out x.json"},
	{line: "keyring rotate --id second --data restored"}, {line: "keyring rotate --data nowhere"},
	{line: "keyring reseal --data restored"}, {line: "keyring reseal --data nowhere"},
	{line: "keyring retire RING --data restored"}, {line: "keyring retire RING --data restored"},
	{line: "tables --target fc", prepare: atNoStore}, {line: "tables --target mars"},
	{line: "tables --target fc --dry-run", prepare: atStore}, {line: "tables --target fc"},
	{line: "tables --target fc"}, {line: "tables check --target fc"},
	{line: "keyring claim --store tablestore"}, {line: "keyring claim --store tablestore"},
	{line: "keyring claim --store floppy"},
	{line: "connect --store tablestore", until: "chatconf holds", prepare: func(t *testing.T) {
		t.Setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", otstest.KeyID)
		t.Setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", otstest.KeySecret)
	}},
	{line: "connect --store file"}, {line: "connect"},
	{line: "invoke list-chat-configurations"},
	{line: "version"}, {line: "version -o json"}, {line: "version now"},
}

// atStore has the next commands find a Tablestore emulator; atNoStore, none.
func atStore(t *testing.T) {
	instance := otstest.RunT(t)
	t.Setenv("TABLESTORE_ENDPOINT", instance.Endpoint)
	t.Setenv("TABLESTORE_INSTANCE", otstest.Name)
	t.Setenv("TABLESTORE_ACCESS_KEY_ID", otstest.KeyID)
	t.Setenv("TABLESTORE_ACCESS_KEY_SECRET", otstest.KeySecret)
	t.Setenv("CHATCONF_KEYRING", "file:ring.json")
}

func atNoStore(t *testing.T) {
	for _, name := range []string{"ENDPOINT", "INSTANCE", "ACCESS_KEY_ID", "ACCESS_KEY_SECRET"} {
		t.Setenv("TABLESTORE_"+name, "")
	}
}

// setSecrets sets the variables of the secrets in the files that export has written.
func setSecrets(t *testing.T) {
	for name, text := range filesOf(t, "bots") {
		bot, err := parseYAML(name, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		planted, err := parseYAML("planting", []byte("{"+planting[bot.TextOf("Type", "")]+"}"))
		if err != nil {
			t.Fatal(err)
		}
		for _, variable := range setReference.FindAllStringSubmatch(text, -1) {
			t.Setenv(variable[2], planted.TextOf(variable[1], "whsec_UExBTlRFRC1ub3QtYS1yZWFsLXNlY3JldC1ub3QtYSE="))
		}
	}
}

// setReference is a key of a bot file whose value is a variable.
var setReference = regexp.MustCompile(`(\w+): \$\{env:(\w+)\}`)

// ringKey returns the id of the key that the ring of the service began with.
func ringKey(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(".chatconf/keyring.json")
	if err != nil {
		t.Fatal(err)
	}
	ids, _, err := splitRing(text)
	if err != nil {
		t.Fatal(err)
	}
	return ids[0]
}

// unshown are the commands without screens, and why.
var unshown = map[string]string{
	"demo": "TestDemo has the whole text of it",
}

// Every command has a screen in a pipe and on a terminal, in files by the name of the command.
func TestScreens(t *testing.T) {
	defer func(program string) { os.Args[0] = program }(os.Args[0])
	os.Args[0] = "chatconf"
	for _, where := range []string{"pipe", "terminal"} {
		t.Run(where, func(t *testing.T) {
			at := team(t)
			t.Chdir(t.TempDir())
			if err := os.Symlink(at[3], ".chatconf"); err != nil {
				t.Fatal(err)
			}
			listens(t, at[3], at[1])
			t.Setenv("TERM", "xterm")
			t.Setenv("NO_COLOR", "")
			t.Setenv("VISUAL", "")
			all := make(map[string]*strings.Builder)
			key := ""
			for _, s := range screens {
				if s.prepare != nil {
					s.prepare(t)
				}
				t.Setenv("EDITOR", s.editor)
				line := s.line
				if where == "pipe" && s.pipe != "" {
					line = s.pipe
				}
				args := strings.Split(line, " ")
				for i, arg := range args {
					args[i] = strings.ReplaceAll(strings.ReplaceAll(arg, "KEY", key), "RING", ringKey(t))
				}
				cmd, _, err := newRoot().Find(args)
				if err != nil {
					t.Fatalf("%s: %v", line, err)
				}
				name := strings.ReplaceAll(strings.TrimPrefix(cmd.CommandPath(), "chatconf "), " ", "-")
				if all[name] == nil {
					all[name] = new(strings.Builder)
				}
				text, err := s.take(t, where == "terminal", args)
				if made := byKey.FindString(text); name == "keys-create" && made != "" {
					key = made
				}
				if leak.MatchString(text) || err != nil && leak.MatchString(err.Error()) {
					t.Errorf("%s shows a secret: %s, %v", line, text, err)
				}
				fmt.Fprintf(all[name], "$ chatconf %s\n%s", line, text)
				if err != nil {
					fmt.Fprintf(all[name], "Error: %s\n", printable(err.Error()))
				}
			}
			for name, text := range all {
				golden(t, filepath.Join(where, name), steady(at, text.String()))
			}
			for _, name := range commandNames(newRoot()) {
				if all[name] == nil && unshown[name] == "" {
					t.Errorf("%s has no screen; add lines of it to screens", name)
				}
			}
		})
	}
	for name := range unshown {
		if !slices.Contains(commandNames(newRoot()), name) {
			t.Errorf("%s is no command", name)
		}
	}
}

// commandNames returns the names of the commands that run, with a hyphen before the name of a
// command of another one.
func commandNames(cmd *cobra.Command) (names []string) {
	for _, sub := range cmd.Commands() {
		if sub.Name() == "help" || sub.Name() == "completion" { // cobra's
			continue
		}
		under := commandNames(sub)
		for i := range under {
			under[i] = sub.Name() + "-" + under[i]
		}
		if len(under) == 0 || sub.Name() == "tables" {
			under = append(under, sub.Name())
		}
		names = append(names, under...)
	}
	return names
}

// take runs a line and returns what a person sees. In a pipe, the lines of standard error begin
// with "2> ".
func (s shot) take(t *testing.T, onTerminal bool, args []string) (string, error) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute) // of a question without an answer
	defer stop()
	see := func(text string) {
		if s.until != "" && strings.Contains(text, s.until) {
			stop()
		}
	}
	if onTerminal {
		answers := make(map[string]string) // they are used up
		for prompt, answer := range s.answers {
			answers[prompt] = answer
		}
		p := newTerminal(t, answers)
		p.sees = see
		text, err := p.runUntil(ctx, args...)
		return colored.ReplaceAllString(text, "<$1>"), err
	}
	var mu sync.Mutex
	var out strings.Builder
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(strings.NewReader(s.stdin))
	root.SetOut(writerFunc(func(b []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		out.Write(b)
		see(out.String())
		return len(b), nil
	}))
	root.SetErr(writerFunc(func(b []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		for line := range strings.Lines(string(b)) {
			out.WriteString("2> " + line)
		}
		return len(b), nil
	}))
	err := root.ExecuteContext(ctx)
	return out.String(), err
}

// A writerFunc is a function that writes.
type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

var _ io.Writer = writerFunc(nil)

// differing is what differs from run to run on a screen. What replaces it is as wide, so that
// columns stay as they are.
var differing = []struct {
	pattern *regexp.Regexp
	with    string // "" hides digits
}{
	{regexp.MustCompile(`\d{13}-[0-9a-f]{16}`), "NNNNNNNNNNNNN-xxxxxxxxxxxxxxxx"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d`), ""},
	{regexp.MustCompile(`CCK[0-9A-Za-z]{20}`), "CCKxxxxxxxxxxxxxxxxxxxx"},
	{regexp.MustCompile(`(AccessKeySecret +|access key secret +|_ACCESS_KEY_SECRET=)\S+`), "${1}SECRET"},
	{regexp.MustCompile(`request id: [0-9A-F-]{36}`), "request id: XXXXXXXX-XXXX-XXXX-XXXX-XXXXXXXXXXXX"},
	{regexp.MustCompile(`"RequestId": "[0-9A-F-]{36}"`), `"RequestId": "XXXXXXXX-XXXX-XXXX-XXXX-XXXXXXXXXXXX"`},
	{regexp.MustCompile(`\b[0-9a-f]{16}\b`), "xxxxxxxxxxxxxxxx"},
	{regexp.MustCompile(`MessageId: [0-9a-f]+`), "MessageId: x"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d-\d{6}\.\d{3}`), ""},
	{regexp.MustCompile(`\b20[0-2][0-9]-[01][0-9]-[0-3][0-9]`), "NNNN-NN-NN"},
	{regexp.MustCompile(`digest:[0-9a-f]{16}`), "digest:xxxxxxxxxxxxxxxx"},
	{regexp.MustCompile(`127\.0\.0\.1:\d{5}`), "127.0.0.1:PPPPP"},
	{regexp.MustCompile(`bytes: \d+`), "bytes: N"},
	{regexp.MustCompile(`Latency: \d+`), "Latency: N"},
	{regexp.MustCompile(`\d+ MiB left *`), "N MiB left"},
	{regexp.MustCompile(`token=[A-Z2-7]{26}\b`), "token=XXXXXXXXXXXXXXXXXXXXXXXXXX"},
	{regexp.MustCompile(`go1\.[0-9.]+`), "go1.N"},
}

// steady returns a screen without what differs from run to run.
func steady(at []string, text string) string {
	text = strings.ReplaceAll(text, at[1], "http://127.0.0.1:PPPPP")
	if dir, err := os.Getwd(); err == nil {
		text = strings.ReplaceAll(text, dir, "/home/me")
	}
	text = strings.ReplaceAll(text, app.DefaultAccountID, "\x00") // it looks like a digest
	for _, d := range differing {
		if d.with != "" {
			text = d.pattern.ReplaceAllString(text, d.with)
			continue
		}
		text = d.pattern.ReplaceAllStringFunc(text, func(found string) string {
			return strings.Map(func(r rune) rune {
				if '0' <= r && r <= '9' {
					return 'N'
				}
				return r
			}, found)
		})
	}
	return strings.ReplaceAll(text, "\x00", app.DefaultAccountID)
}

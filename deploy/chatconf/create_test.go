//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"chatconf/shared/chat"
	"chatconf/shared/document"
	"chatconf/shared/secret"
)

// getBot returns a bot as the service has it.
func getBot(t *testing.T, at []string, name string) string {
	t.Helper()
	return mustRun(t, append([]string{"call", "GetChatConfiguration", "Name=" + name}, at...)...)
}

// A person is asked for what the platform declares, is told what is invalid, and types secrets that
// are not shown.
func TestCreateAsks(t *testing.T) {
	at, _ := newSendService(t)
	t.Setenv("NO_COLOR", "1")
	shown, err := onTerminal(t, map[string]string{
		"Type (DingTalk, WeChat, WeCom, Feishu, Lark, Slack, Teams): ": "slack",
		"Receive, ":            "",
		"SlackSigningSecret, ": "hidden:PLANTED-1",
		"SlackBotToken, ":      "hidden:",
		"SlackTeamId, ":        "not an id|",
		"Ids of users who may run every command, with commas (Enter: nobody yet): ": "U 1|U1, U2",
	}, append([]string{"create", "ops"}, at...)...)
	if err != nil || strings.Contains(shown, "PLANTED") || strings.Contains(shown, "SlackSigningSecretPrevious") ||
		!strings.Contains(shown, "This is invalid; write ") || !strings.Contains(shown, "Created ops. ") {
		t.Fatalf("%v\n%s", err, shown)
	}
	golden(t, "create.terminal", shown)
	if got := getBot(t, at, "ops"); !strings.Contains(got, `\"user:U1\",\"user:U2\"`) ||
		!strings.Contains(got, `\"SlackSigningSecret\":\"******\"`) {
		t.Errorf("the bot: %s", got)
	}
}

// A person who wants a connection is asked only for what that needs.
func TestCreateAsksForAConnection(t *testing.T) {
	at, _ := newSendService(t)
	t.Setenv("NO_COLOR", "1")
	shown, err := onTerminal(t, map[string]string{
		"Receive, ":       "Socket|stream",
		"SlackAppToken, ": "hidden:PLANTED-1|hidden:xapp-PLANTED-1",
		"SlackBotToken, ": "hidden:",
		"SlackTeamId, ":   "",
		"Ids of users who may run every command, with commas (Enter: nobody yet): ": "",
	}, append([]string{"create", "ops", "--type", "Slack"}, at...)...)
	if err != nil || strings.Contains(shown, "PLANTED") || strings.Contains(shown, "SlackSigningSecret") ||
		!strings.Contains(shown, "This is invalid; write Webhook or Stream.") {
		t.Fatalf("%v\n%s", err, shown)
	}
	golden(t, "create-stream.terminal", shown)
	if got := getBot(t, at, "ops"); !strings.Contains(got, `\"Receive\":\"Stream\",\"SlackAppToken\":\"******\"`) {
		t.Errorf("the bot: %s", got)
	}
	if got := mustRun(t, append([]string{"show", "ops"}, at...)...); !strings.Contains(got, "Socket Mode: turn on ") ||
		rowOf(got, "Receive Stream") == "" || rowOf(got, "Connection ") == "" {
		t.Errorf("show: %s", got)
	}
	// No bot needs the webhook.
	if got, _ := run(t, "", append([]string{"doctor", "-o", "wide"}, at...)...); !strings.HasPrefix(
		rowOf(got, "webhook "), "webhook - Passed no bot needs it") || rowOf(got, "bot ops connection ") == "" {
		t.Errorf("doctor: %s", got)
	}
	// Teams has one way only, so nothing is asked, and a given one is not asked for again.
	for _, args := range []string{"a --type Teams", "b --type Slack Receive=Stream"} {
		shown, err := onTerminal(t, map[string]string{
			"TeamsWebhookSecret, ": "hidden:bm90IGEgcmVhbCBzZWNyZXQgb2YgMzIgYnl0ZXM=", "TeamsTenantId, ": "",
			"SlackAppToken, ": "hidden:xapp-PLANTED-1", "SlackBotToken, ": "hidden:", "SlackTeamId, ": "",
			"Ids of users who may run every command, with commas (Enter: nobody yet): ": "",
		}, append(append([]string{"create"}, strings.Fields(args)...), at...)...)
		if err != nil || strings.Contains(shown, "Receive, ") || !strings.Contains(shown, "Created ") {
			t.Errorf("create %s: %v\n%s", args, err, shown)
		}
	}
}

// A stream keeps no generated setting that a file lacks.
func TestKeptOfAStream(t *testing.T) {
	stored := objectOf("WeChatToken", "******")
	for receive, want := range map[string]string{
		"":        `{"WeChatToken":"******"}`,
		"Webhook": `{"Receive":"Webhook","WeChatToken":"******"}`,
		"Stream":  `{"Receive":"Stream"}`,
	} {
		file := objectOf()
		if receive != "" {
			file = objectOf("Receive", receive)
		}
		if got := keptOf("WeChat", stored, file).String(); got != want {
			t.Errorf("Receive %q: %s, want %s", receive, got, want)
		}
	}
}

func TestCreateInAPipe(t *testing.T) {
	at, _ := newSendService(t)
	dir := t.TempDir()
	hidden := filepath.Join(dir, "secret")
	writeFile(t, hidden, []byte("PLANTED-1\n"))
	file := filepath.Join(dir, "ops.yaml")
	writeFile(t, file, []byte("# a bot\nSlackSigningSecret: PLANTED-1\nPermissions:\n"+
		"  - {Effect: Allow, Principals: ['*'], Commands: [\"*\"]}\n"))
	do := func(stdin string, args ...string) (string, error) {
		t.Helper()
		out, err := run(t, stdin, append(append([]string{"create"}, args...), at...)...)
		if leak.MatchString(out) || err != nil && leak.MatchString(err.Error()) {
			t.Errorf("create %q shows a secret: %s, %v", args, out, err)
		}
		return out, err
	}
	for name, args := range map[string][]string{
		"from-file":  {"--type", "Slack", "--from", file, "--tag", "env=prod", "--role", "OpsRole"},
		"from-stdin": {"--type", "slack", "--from", "-", "BotName=Ops", "Status=Inactive"},
		"by-keys":    {"--type", "Slack", "SlackSigningSecret=@" + hidden, "ConversationIds=C1, C2"},
		"by-console": {"--type", "Lark", "AppId=cli_a", "App Secret=@" + hidden, "FeishuEncryptKey=@" + hidden},
	} {
		out, err := do(`{"SlackSigningSecret":"PLANTED-\u0031"}`, append([]string{name}, args...)...)
		if err != nil || !strings.HasPrefix(out, "Created "+name+".") {
			t.Errorf("create %s: %v, %s", name, err, out)
		}
	}
	if got := getBot(t, at, "by-keys"); !strings.Contains(got, `\"ConversationIds\":[\"C1\",\"C2\"]`) {
		t.Errorf("by-keys: %s", got)
	}
	if got := getBot(t, at, "from-file"); !strings.Contains(got, `"env": "prod"`) ||
		!strings.Contains(got, "OpsRole") {
		t.Errorf("from-file: %s", got)
	}
	for about, c := range map[string]struct {
		args  string
		wants []string
		usage bool
	}{
		"no type":           {"x --from " + file, []string{"--type"}, true},
		"an unknown type":   {"x --type Slak --from " + file, []string{"did you mean Slack?"}, true},
		"nobody to ask":     {"x --type Slack", []string{"--from FILE"}, true},
		"a bad tag":         {"x --type Slack --tag env", []string{"KEY=VALUE"}, true},
		"a missing file":    {"x --type Slack --from " + dir + "/none", []string{"none"}, true},
		"a secret argument": {"x --type Slack SlackSigningSecret=PLANTED-1", []string{"=@FILE"}, true},
		"all unknown keys": {"x --type Slack SlakTeamId=1 Target.Uri=x", []string{"did you mean SlackTeamId?",
			"did you mean Url?"}, true},
		"all mistakes of values": {"1aliyun* --type Slack SlackTeamId=x Language=fr --role a/b", []string{
			"SlackSigningSecret", "Language", "RamRole", "nothing was sent"}, false},
		"a taken name": {"by-keys --type Slack --from " + file, []string{"EntityAlreadyExists"}, false},
	} {
		out, err := do("", strings.Fields(c.args)...)
		if err == nil || isUsage(err) != c.usage || out != "" {
			t.Errorf("%s: %v, %s", about, err, out)
			continue
		}
		for _, want := range c.wants {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", about, err, want)
			}
		}
	}
	for about, text := range map[string]string{
		"no YAML": "a: *PLANTED-1\nb: [", "a list": "- a", "empty": "", "two documents": "a: b\n---\nc: d",
		"a bot file": "Name: x\nType: Slack\nConfiguration: {}", "a twice": "a: 1\na: 2", "a tag": "a: !!binary aGk=",
		"no number": "a: 0x1F",
	} {
		if out, err := do(text, "x", "--type", "Slack", "--from", "-"); !isUsage(err) || out != "" {
			t.Errorf("--from with %s: %v, %s", about, err, out)
		}
	}
}

func TestSet(t *testing.T) {
	at := team(t)
	dir := t.TempDir()
	hidden := filepath.Join(dir, "secret")
	writeFile(t, hidden, []byte("PLANTED-7\r\n"))
	do := func(stdin string, args ...string) (string, error) {
		t.Helper()
		out, err := run(t, stdin, append(append([]string{"set"}, args...), at...)...)
		if leak.MatchString(out) || err != nil && leak.MatchString(err.Error()) {
			t.Errorf("set %q shows a secret: %s, %v", args, out, err)
		}
		return out, err
	}
	for _, args := range []string{"BotName=New Status=Inactive", "SlackSigningSecret=@" + hidden,
		"SlackSigningSecret=@-", "Target.Secret=@-", "BotName=", "RamRole=Ops", "RamRole=", `Permissions=[]`,
		"UserGroups.new=a,b", "BotName=@@x",
		"UserGroups=", "Target="} {
		stdin := "PLANTED-8"
		if strings.HasPrefix(args, "Target") {
			stdin = "whsec_UExBTlRFRC1ub3QtYS1yZWFsLXNlY3JldC1ub3QtYSA=\n"
		}
		if out, err := do(stdin, append([]string{"ops"}, strings.Fields(args)...)...); err != nil ||
			!strings.HasPrefix(out, "Changed ops; it is at revision ") {
			t.Errorf("set %s: %v, %s", args, err, out)
		}
	}
	if got := getBot(t, at, "ops"); !strings.Contains(got, `\"BotName\":\"@x\"`) ||
		!strings.Contains(got, "Inactive") ||
		strings.Contains(got, "Target") {
		t.Errorf("the bot: %s", got)
	}
	if out, err := do("", "ops", "Status=Inactive"); err != nil ||
		out != "ops already has these values; nothing was changed.\n" {
		t.Errorf("the same again: %v, %s", err, out)
	}
	for args, want := range map[string]string{
		"ops SlackSigningSecret=PLANTED": "=@FILE", "ops Target.Secret=PLANTED": "=@FILE",
		`ops Target={"Secret":"PLANTED"}`: "of Target.Secret is secret, and other users can see an argument; " +
			"write Target=@FILE",
		`ops Actions={"x":{"Target":{"Secret":["PLANTED"]}}}`: "of Actions.x.Target.Secret is secret",
		"ops BotName":  "BotName=VALUE",
		"ops BotNam=x": "did you mean BotName?", "ops BotName=a BotName=b": "twice", "ops BotName.x=1": "no keys",
		"ops BotName=@/nonexistent": "BotName", "ops": "nothing to change", "": "nothing to change",
		"ops Permissions=@" + dir: "Permissions", "ops Permissions={": "YAML", "ops Target.Secret.x=@-": "no keys",
	} {
		if out, err := do("", strings.Fields(args)...); !isUsage(err) || out != "" ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("set %s: %v, %s, want %q", args, err, out, want)
		}
	}
	for args, want := range map[string]string{"ops Status=Off": "Status", "missing BotName=x": "EntityNotExists",
		"ops Language=fr SlackTeamId=x": "Language"} {
		if out, err := do("", strings.Fields(args)...); err == nil || isUsage(err) || out != "" ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("set %s: %v, %s, want %q", args, err, out, want)
		}
	}
	// A person is asked for a value, and a secret is not shown.
	for key, typed := range map[string]string{"SlackSigningSecret": "hidden:PLANTED-9", "BotName": "Typed"} {
		shown, err := onTerminal(t, map[string]string{key + ": ": typed}, append([]string{"set", "ops", key}, at...)...)
		if err != nil || leak.MatchString(shown) || !strings.Contains(shown, "Changed ops; ") {
			t.Errorf("set ops %s: %v, %s", key, err, shown)
		}
	}
}

// withEditor makes a script the editor. It gets the file as $1.
func withEditor(t *testing.T, script string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "editor")
	writeFile(t, path, []byte("#!/bin/sh\nset -e\n"+script+"\n"))
	if err := os.Chmod(path, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("VISUAL", "")
	t.Setenv("EDITOR", path)
}

// Without a terminal the default editor would wait forever.
func TestEditNeedsATerminal(t *testing.T) {
	noEnv(t)
	t.Setenv("VISUAL", "")
	t.Setenv("EDITOR", "")
	t.Setenv("PATH", "") // no vi
	at := []string{"edit", "ops", "--endpoint", "http://127.0.0.1:1", "--access-key-id", "a",
		"--access-key-secret", "b"}
	for given, shown := range map[string]string{"": "vi", "vim": "vim", "/usr/bin/nano -w": "/usr/bin/nano -w",
		" nvim": " nvim"} {
		t.Setenv("EDITOR", given)
		out, err := run(t, "", at...)
		if want := "edit needs a terminal for the editor " + shown + "; without one use 'chatconf set' or 'chatconf " +
			"apply', or set EDITOR to a program that changes the file"; !isUsage(err) || err.Error() != want ||
			out != "" {
			t.Errorf("with EDITOR=%q: %q, %v, want %s", given, out, err, want)
		}
	}
	if _, err := onTerminal(t, nil, at...); err == nil || isUsage(err) {
		t.Errorf("on a terminal: %v, want that the service cannot be reached", err)
	}
	for _, editor := range []string{"true", "code --wait", "vim -es", "ex -s", "vi +wq"} {
		t.Setenv("EDITOR", editor)
		if _, err := run(t, "", at...); err == nil || isUsage(err) {
			t.Errorf("with EDITOR=%q: %v, want that the service cannot be reached", editor, err)
		}
	}
}

func TestEdit(t *testing.T) {
	at := team(t)
	t.Setenv("TMPDIR", t.TempDir())
	keep := filepath.Join(t.TempDir(), "seen")
	withEditor(t, `cp "$1" `+keep+`; ls -l "$1" >> `+keep+`
sed -i 's/BotName: Ops/BotName: Edited/; s/T0EXAMPLE/T0NEW/' "$1"`)
	edit := append([]string{"edit", "ops"}, at...)
	if out := mustRun(t, edit...); out != "Changed ops; it is at revision 2. 'chatconf diff ops' shows the change.\n" {
		t.Errorf("edit: %s", out)
	}
	seen, err := os.ReadFile(keep)
	text, list, _ := strings.Cut(string(seen), "\n-rw-------")
	if err != nil || list == "" || leak.Match(seen) {
		t.Errorf("the editor saw %s", seen)
	}
	golden(t, "edit", text+"\n")
	if got := getBot(t, at, "ops"); !strings.Contains(got, `\"BotName\":\"Edited\"`) {
		t.Errorf("the bot: %s", got)
	}
	if out := mustRun(t, edit...); out != "Changed ops; it is at revision 3. 'chatconf diff ops' shows the change.\n" &&
		out != "Nothing was changed.\n" {
		t.Errorf("the same edit again: %s", out)
	}
	left, err := os.ReadDir(os.Getenv("TMPDIR"))
	if err != nil || len(left) > 0 {
		t.Errorf("files are left: %v, %v", left, err)
	}
	for about, script := range map[string]string{
		"an invalid value": `sed -i 's/T0NEW/no id/' "$1"`, "no YAML": `echo 'a: [' > "$1"`, "nothing": `: > "$1"`,
		"a failing editor": "exit 3", "a list": `echo '- a' > "$1"`, "an unknown key": `echo 'Name: x' >> "$1"`,
		"no Configuration":    `echo 'Status: Active' > "$1"`,
		"a number for a role": `sed -i 's/^RamRole.*/RamRole: 7/' "$1"`, "a text": `echo 'Configuration: x' > "$1"`,
	} {
		withEditor(t, script)
		out, said, err := runBoth(t, "", edit...)
		if err == nil || out != "" || !strings.Contains(err.Error(), "nothing was changed") {
			t.Errorf("%s: %q, %q, %v", about, out, said, err)
		}
	}
	if _, err := run(t, "", append([]string{"edit", "missing"}, at...)...); err == nil {
		t.Error("a bot that is missing was edited")
	}
	// A person is shown the mistakes, and edits again.
	count := filepath.Join(t.TempDir(), "count")
	withEditor(t, `if [ -e `+count+` ]; then cp "$1" `+keep+`
sed -i 's/no id/T0THIRD/; s/^RamRole:.*/RamRole: Ops/' "$1"
else touch `+count+`; sed -i 's/T0NEW/no id/' "$1"; fi`)
	shown, err := onTerminal(t, map[string]string{"Edit again? [Y/n] ": ""}, edit...)
	if err != nil || !strings.Contains(shown, "Configuration.SlackTeamId") ||
		!strings.Contains(shown, "Changed ops; ") {
		t.Errorf("edit again: %v, %s", err, shown)
	}
	if seen, err := os.ReadFile(keep); err != nil || !strings.Contains(string(seen), "\n# !") {
		t.Errorf("the second text has no mistakes in it: %s", seen)
	}
	withEditor(t, `sed -i 's/T0THIRD/no id/' "$1"`)
	if shown, err := onTerminal(t, map[string]string{"Edit again? [Y/n] ": "n"}, edit...); err == nil ||
		err.Error() != "nothing was changed" {
		t.Errorf("not again: %v, %s", err, shown)
	}
}

// Another caller changes the bot while the editor is open.
// A conflict shows no new secret, whatever the names around it.
func TestAConflictShowsNoSecret(t *testing.T) {
	for path, want := range map[string]bool{"Configuration.Target": true, "Configuration.Target.Secret": true,
		"Configuration.Actions": true, "Configuration.Actions.restart.Target": true,
		`Configuration.Actions["停止"]`:                                    true,
		`Configuration.Actions["a.\"]b"].Target.Secret`:                  true,
		document.Under("Configuration.Actions", strings.Repeat("停", 50)): true,
		`Configuration.Actions["停止"].Summary`:                            false,
		"Configuration.BotName":                                          false, "Status": false,
		"Configuration.Permissions[0]": false} {
		if got := isSecretPath(path); got != want {
			t.Errorf("%s may have a secret: %v", path, got)
		}
	}
}

// The text may have a new secret, so it is removed when the terminal is gone, too.
func TestEditOfATerminalThatEnds(t *testing.T) {
	at := team(t)
	t.Setenv("TMPDIR", t.TempDir())
	t.Setenv("VISUAL", fmt.Sprintf("kill -HUP %d; exec tail -f >/dev/null", os.Getpid()))
	if _, err := run(t, "", append([]string{"edit", "ops"}, at...)...); err == nil ||
		!strings.Contains(err.Error(), "nothing was changed") {
		t.Errorf("the edit: %v", err)
	}
	left, err := os.ReadDir(os.Getenv("TMPDIR"))
	if err != nil || len(left) > 0 {
		t.Errorf("files are left: %v, %v", left, err)
	}
}

func TestEditConflict(t *testing.T) {
	at := team(t)
	call := func(configuration string) string {
		path := filepath.Join(t.TempDir(), "args")
		writeFile(t, path, []byte(configuration))
		return path
	}
	theirs := call(`{` + planting["Slack"] + `,"BotName":"Theirs","Language":"zh"}`)
	count := filepath.Join(t.TempDir(), "count")
	keep := filepath.Join(t.TempDir(), "seen")
	done := make(chan struct{})
	fifo := filepath.Join(t.TempDir(), "go")
	withEditor(t, `if [ -e `+count+` ]; then cp "$1" `+keep+`; exit 0; fi
touch `+count+`; echo x > `+fifo+`; while [ ! -e `+fifo+`.done ]; do sleep 0.01; done
sed -i 's/BotName: Ops/BotName: Mine/; s/T0EXAMPLE/T0MINE/' "$1"
sed -i 's/SlackSigningSecret: .*/SlackSigningSecret: PLANTED-5/' "$1"`)
	go func() {
		defer close(done)
		for {
			if _, err := os.Stat(fifo); err == nil {
				break
			}
		}
		mustRun(t, append([]string{"call", "UpdateChatConfiguration", "Name=ops", "Configuration=@" + theirs},
			at...)...)
		writeFile(t, fifo+".done", nil)
	}()
	shown, err := onTerminal(t, map[string]string{"Edit again? [Y/n] ": "y"}, append([]string{"edit", "ops"}, at...)...)
	<-done
	if err != nil || leak.MatchString(shown) || !strings.Contains(shown, "Changed ops; it is at revision 3.") {
		t.Fatalf("edit: %v, %s", err, shown)
	}
	golden(t, "edit-conflict.terminal", screen(shown))
	got := getBot(t, at, "ops")
	for _, want := range []string{`\"BotName\":\"Mine\"`, `\"Language\":\"zh\"`, "T0MINE"} {
		if !strings.Contains(got, want) {
			t.Errorf("the bot lacks %s: %s", want, got)
		}
	}
	if seen, err := os.ReadFile(keep); err != nil || !strings.Contains(string(seen), "Where both changed the same") {
		t.Errorf("the second text: %s, %v", seen, err)
	}
}

func TestDelete(t *testing.T) {
	at := team(t)
	if out, err := run(t, "", append([]string{"delete", "ops"}, at...)...); !isUsage(err) || out != "" {
		t.Errorf("nobody to ask: %v, %s", err, out)
	}
	shown, err := onTerminal(t, map[string]string{"[y/N] ": "n"}, append([]string{"delete", "ops"}, at...)...)
	if err == nil || !strings.Contains(shown, "Delete ops, a bot of Slack that is Active, last message ") {
		t.Errorf("no: %v, %s", err, shown)
	}
	shown, err = onTerminal(t, map[string]string{"[y/N] ": "y"}, append([]string{"delete", "ops"}, at...)...)
	if err != nil || !strings.Contains(shown, "Deleted ops. 'chatconf restore ops' brings it back.") {
		t.Errorf("yes: %v, %s", err, shown)
	}
	if out := mustRun(t, append([]string{"delete", "dev", "--yes", "--region", "cn-hangzhou"}, at...)...); out !=
		"Deleted dev. 'chatconf restore dev --region cn-hangzhou' brings it back.\n" {
		t.Errorf("--yes: %s", out)
	}
	if _, err := run(t, "", append([]string{"delete", "dev"}, at...)...); err == nil || isUsage(err) {
		t.Errorf("a bot that is gone: %v", err)
	}
}

// A request is checked as the service does, without its addresses.
func TestCheckRequest(t *testing.T) {
	text := secret.Text(`{"SlackSigningSecret":"PLANTED-1","Target":{"Type":"Http","Url":"https://10.0.0.1/",` +
		`"Secret":"whsec_UExBTlRFRC1ub3QtYS1yZWFsLXNlY3JldC1ub3QtYSE="}}`)
	in := &chat.CreateRequest{Name: "ops", Type: "Slack", Configuration: text}
	if err := checkRequest(in); err != nil {
		t.Errorf("a Target inside: %v", err)
	}
}

package command_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"chatconf/shared/command"
)

// rules are Permissions that name values.
const rules = `,"Permissions":[
	{"Effect":"Allow","Principals":["user:dev"],"Commands":["deploy"],"Parameters":{"ENV":["test","预*"]}},
	{"Effect":"Allow","Principals":["user:sre"],"Commands":["deploy"],"RamRole":"Sre"},
	{"Effect":"Deny","Principals":["user:sre"],"Commands":["*"],"Parameters":{"env":["prod"],"force":["true"]}},
	{"Effect":"Allow","Principals":["user:few"],"Commands":["*"],"Parameters":{"count":["1","2"],"env":["prod"]}},
	{"Effect":"Allow","Principals":["user:all"],"Commands":["*"]},
	{"Effect":"Allow","Principals":["user:any"],"Commands":["anything"]},
	{"Effect":"Allow","Principals":["user:alias"],"Commands":["发布"]},
	{"Effect":"Deny","Principals":["user:never"],"Commands":["SHIP"]},
	{"Effect":"Allow","Principals":["user:never"],"Commands":["*"]}]`

func TestPermissionsByValue(t *testing.T) {
	e := endpoint(t, twoActions+rules)
	for _, c := range []struct {
		user, text string
		allowed    bool
		statement  int
		role       string
		reason     string
	}{
		{"dev", "deploy v1", true, 0, "ActionRole", "Permissions[0] allows deploy."}, // by default
		{"dev", "发布 v1 test", true, 0, "ActionRole", "Permissions[0] allows deploy."},
		{"dev", "deploy v1 env=TEST", true, 0, "ActionRole", "Permissions[0] allows deploy."},
		{"dev", "deploy v1 env=预发", true, 0, "ActionRole", "Permissions[0] allows deploy."},
		{"dev", "deploy v1 env=prod", false, -1, "",
			"Permissions allow deploy for the user dev in the conversation c " +
				"only with other values of env."},
		{"dev", "deploy v1 --dry-run env=prod", false, -1, "", "only with other values of env."},
		{"dev", "ping", false, -1, "",
			"No statement of Permissions allows ping for the user dev in the conversation c."},
		{"dev", "undeclared env=test", false, -1, "", "No statement of Permissions allows undeclared"},
		{"sre", "deploy v1 env=prod", true, 1, "Sre", "Permissions[1] allows deploy."},
		{"sre", "deploy v1 test --force", true, 1, "Sre", "Permissions[1] allows deploy."},
		{"sre", "deploy v1 prod --force", false, 2, "", "Permissions[2] denies deploy."},
		{"sre", "deploy v1 prod --force=no", true, 1, "Sre", "Permissions[1] allows deploy."},
		{"few", "deploy v1 prod 2", true, 3, "ActionRole", "Permissions[3] allows deploy."},
		{"few", "deploy v1 prod 3", false, -1, "", "only with other values of count."},
		{"few", "deploy v1", false, -1, "", "only with other values of count, env."},
		{"few", "ping", false, -1, "", "No statement of Permissions allows ping"},
		{"few", "undeclared count=1 env=prod", false, -1, "", "No statement of Permissions allows undeclared"},
		{"all", "undeclared", true, 4, "ConfigurationRole", "Permissions[4] allows undeclared."},
		{"all", "ping", true, 4, "ConfigurationRole", "Permissions[4] allows ping."},
		{"all", "deploy v1", true, 4, "ActionRole", "Permissions[4] allows deploy."},
		{"alias", "deploy v1", true, 6, "ActionRole", "Permissions[6] allows deploy."},
		{"never", "发布 v1", false, 7, "", "Permissions[7] denies deploy."},
		{"nobody", "deploy v1", false, -1, "", "No statement of Permissions allows deploy"},
	} {
		m := said(c.text)
		m.User = c.user
		parsed, err := e.Command(m)
		d := e.Decide(parsed)
		if err != nil || d.Allowed != c.allowed || d.Statement != c.statement || d.RamRole != c.role ||
			!strings.Contains(d.Reason, c.reason) {
			t.Errorf("%s by %s: %v, %+v", c.text, c.user, err, d)
		}
	}
}

// A Deny of a value holds for every spelling that the action accepts, and however it is declared.
func TestNoSpellingEscapesADeny(t *testing.T) {
	e := endpoint(t, `"Actions":{
		"deploy":{"Parameters":[{"Name":"env","Type":"Enum","Values":["test","prod"],"Default":"prod"},
			{"Name":"n","Type":"Integer","Default":"5"},{"Name":"force","Type":"Boolean"}]},
		"drop":{"Parameters":[{"Name":"env","Type":"Enum","Values":["Test","PROD-1","Straße"],"Default":"Test"}]}},
		"Permissions":[{"Effect":"Allow","Principals":["*"],"Commands":["*"]},
		{"Effect":"Deny","Principals":["user:env"],"Commands":["*"],"Parameters":{"env":["prod*","STRASSE","straße"]}},
		{"Effect":"Deny","Principals":["user:n"],"Commands":["deploy"],"Parameters":{"n":["5"]}},
		{"Effect":"Deny","Principals":["user:force"],"Commands":["deploy"],"Parameters":{"force":["true"]}}]`)
	for user, texts := range map[string][]string{
		"env": {"deploy", "deploy prod", "deploy PROD", "deploy env=Prod", "deploy --env ｐｒｏｄ", "deploy ENV＝ＰＲＯＤ",
			"drop PROD-1", "drop prod-1", "drop env=ｐｒｏｄ－１", "drop straße", "drop STRAẞE", "drop ſtraße"},
		"n":     {"deploy", "deploy test 5", "deploy n=05", "deploy n=+5", "deploy n=５", "deploy n=＋０5"},
		"force": {"deploy --force", "deploy force=yes", "deploy force=ON", "deploy force=是", "deploy force=ＴＲＵＥ"},
	} {
		for _, text := range texts {
			m := said(text)
			m.User = user
			c, err := e.Command(m)
			if d := e.Decide(c); err != nil || d.Allowed || d.Cause != command.CauseStatement {
				t.Errorf("%s by %s: %v, %+v", text, user, err, d)
			}
		}
		m := said("drop Test")
		m.User = user
		if c, err := e.Command(m); err != nil || !e.Decide(c).Allowed {
			t.Errorf("%s by %s: %v, %+v", m.Text, user, err, e.Decide(c))
		}
	}
}

// The statement in a refusal allows the command with its values, and with no other values that the
// statements distinguish.
func TestAGrantByValue(t *testing.T) {
	e := endpoint(t, twoActions+rules)
	for _, c := range []struct{ user, text, grant, other string }{
		{"dev", "deploy v1 prod", `{"Effect":"Allow","Principals":["user:dev"],"Commands":["deploy"],` +
			`"Conversations":["c"],"Parameters":{"env":["prod"]}}`, ""},
		{"few", "deploy v1 test 3", `{"Effect":"Allow","Principals":["user:few"],"Commands":["deploy"],` +
			`"Conversations":["c"],"Parameters":{"env":["test"],"count":["3"]}}`, "deploy v1 test 4"},
		{"few", "deploy v1", `{"Effect":"Allow","Principals":["user:few"],"Commands":["deploy"],` +
			`"Conversations":["c"],"Parameters":{"env":["test"]}}`, "deploy v1 预发"},
		{"nobody", "deploy v1", `{"Effect":"Allow","Principals":["user:nobody"],"Commands":["deploy"],` +
			`"Conversations":["c"]}`, "ping"},
	} {
		m := said(c.text)
		m.User = c.user
		parsed, _ := e.Command(m)
		_, grant, ok := strings.Cut(e.Reply(parsed, e.Decide(parsed)), " of ops: ")
		if !ok || grant != c.grant {
			t.Errorf("%s by %s is refused with %s", c.text, c.user, grant)
			continue
		}
		granted := endpoint(t, twoActions+strings.TrimSuffix(rules, "]")+","+grant+"]")
		if d := granted.Decide(parsed); !d.Allowed {
			t.Errorf("%s by %s, granted: %+v", c.text, c.user, d)
		}
		if m.Text = c.other; c.other != "" {
			parsed, _ = granted.Command(m)
			if d := granted.Decide(parsed); d.Allowed {
				t.Errorf("%s by %s, not granted: %+v", c.other, c.user, d)
			}
		}
	}
	// A value with a wildcard grants little more than itself.
	e = endpoint(t, `"Actions":{"say":{"Parameters":[{"Name":"text","Min":0}]}},"Permissions":[`+
		`{"Effect":"Allow","Principals":["*"],"Commands":["say"],"Parameters":{"text":["hello"]}}]`)
	for value, pattern := range map[string]string{"b*?": `"b??"`, "a\n\tb": `"a??b"`, `"`: `"\""`,
		strings.Repeat("中", 201): `"` + strings.Repeat("中", 199) + `*"`, "": ""} {
		parsed, err := e.Command(said(command.Format("say", []string{value})))
		got := e.Reply(parsed, e.Decide(parsed))
		if err != nil || !strings.HasSuffix(got, `"Conversations":["c"],"Parameters":{"text":[`+pattern+`]}}`) &&
			(pattern != "" || !strings.HasSuffix(got, `"Conversations":["c"]}`)) {
			t.Errorf("%q: %v, %s", value, err, got)
		}
	}
}

func TestHelpOfActions(t *testing.T) {
	e := endpoint(t, twoActions+rules)
	const deploy = "Deploys a version.\n" +
		"Usage: Deploy version=… [env=test|prod|预发] [count=-2..10] [--force] [Note=…] [--dry-run]\n" +
		"Other names: 发布, ship.\n" +
		"version: text of 1 to 20 characters in the form v?[0-9.]+|最新; required. As in the release notes.\n" +
		"env: one of test, prod, 预发; default test.\n" +
		"count: a whole number from -2 to 10.\n" +
		"force: true or false.\n" +
		"region: always cn-hangzhou.\n" +
		"Note: text of at least 0 characters.\n" +
		"--dry-run: a trial without any effect.\n" +
		"Example: Deploy version=…"
	const one = "Deploy version=… [env=test|prod|预发] [count=-2..10] [--force] [Note=…] [--dry-run]: Deploys a version."
	const more = "Say help and a command to read more about it."
	const unknown = "There is no such command here, or you may not run it.\n"
	const builtIn = "Always allowed: help, whoami, status, cancel."
	for _, c := range []struct{ user, text, want string }{
		{"dev", "help deploy", deploy},
		{"dev", "help /SHIP and more", deploy},
		{"few", "help deploy", deploy},
		{"dev", "help", "You may run here:\n" + one + "\n" + more + "\n" + builtIn},
		{"dev", "help login", unknown + "You may run here:\n" + one + "\n" + more + "\n" + builtIn},
		{"dev", "help x", unknown + "You may run here:\n" + one + "\n" + more + "\n" + builtIn},
		{"never", "help deploy", unknown + "You may run here: *.\nExcept: deploy.\n" +
			"login user=… password=…\nping\n" + more + "\n" + builtIn},
		{"all", "help login", "Usage: login user=… password=…\nuser: text; required.\n" +
			"password: text of at least 4 characters; required. It is not recorded.\n" +
			"Example: login user=USER password=PASSWORD"},
		{"all", "help ping", "Usage: ping\nExample: ping"},
		{"dev", "help help", "You may run here:\n" + one + "\n" + more + "\n" + builtIn},
		{"dev", "help status", "status shows the last unfinished operation here. " +
			"Write status and an id for another one."},
		{"dev", "help CANCEL", "cancel ends the unfinished operation here. " +
			"If there are several, write cancel and an id."},
		{"any", "help anything", "You may run it here, with any arguments.\nYou may run here: anything.\n" + builtIn},
		{"any", "help other", unknown + "You may run here: anything.\n" + builtIn},
		{"nobody", "help deploy", unknown + "You may not run any command here.\n" + builtIn},
	} {
		m := said(c.text)
		m.User = c.user
		parsed, err := e.Command(m)
		if got := e.Reply(parsed, e.Decide(parsed)); err != nil || got != c.want {
			t.Errorf("%s by %s: %v\n got %s\nwant %s", c.text, c.user, err, got, c.want)
		}
	}
	// Without actions help is as it was.
	e = endpoint(t, `"BotName":"b"`+allowAll)
	parsed, _ := e.Command(said("help deploy"))
	if got := e.Reply(parsed, e.Decide(parsed)); got != "You may run here: *.\nAlways allowed: help, whoami." {
		t.Errorf("without actions: %s", got)
	}
	// Each action is listed once: the first ones with their usage, all others by name.
	list := func(n int, rest string) string {
		var many []string
		for i := range n {
			many = append(many, fmt.Sprintf(`"a%03d":{}`, i))
		}
		e := endpoint(t, `"Actions":{`+strings.Join(many, ",")+`}`+rest)
		parsed, _ := e.Command(said("help"))
		return e.Reply(parsed, e.Decide(parsed))
	}
	got := list(25, allowAll)
	if !strings.HasPrefix(got, "You may run here: *, a020, a021, a022, a023, a024.\na000\na001\n") ||
		!strings.HasSuffix(got, "\na019\n"+more+"\nAlways allowed: help, whoami.") || strings.Count(got, "a0") != 25 {
		t.Errorf("of many: %s", got)
	}
	if got := list(101, allowAll); !strings.Contains(got, "\na019\nThe list is not complete.\n"+more) {
		t.Errorf("of too many: %s", got)
	}
	got = list(1, `,"Language":"zh","Permissions":[
		{"Effect":"Allow","Principals":["*"],"Commands":["help","a*","a000"]}]`)
	if want := "您在此可以执行：a*。\na000\n发送 help 加命令名查看详情。\n始终可用：help、whoami。"; got != want {
		t.Errorf("in Chinese: %s", got)
	}
	got = list(1, `,"Language":"zh","Permissions":[{"Effect":"Allow","Principals":["*"],"Commands":["A000"]}]`)
	if want := "您在此可以执行：\na000\n发送 help 加命令名查看详情。\n始终可用：help、whoami。"; got != want {
		t.Errorf("in Chinese, of one: %s", got)
	}
}

func TestUsageAndExample(t *testing.T) {
	e := endpoint(t, `"Actions":{
		"a":{"Parameters":[{"Name":"n","Type":"Integer","Min":3},{"Name":"o","Type":"Integer","Max":-1}]},
		"b":{"Parameters":[{"Name":"on","Type":"Boolean","Default":"true"},{"Name":"t","Default":"x y"}]},
		"c":{"Parameters":[{"Name":"e","Type":"Enum","Required":"true","Values":["1","2","3","4","5","6","7","8","9",
			"10","11"]},{"Name":"i","Type":"Integer","Required":"true"},{"Name":"b","Type":"Boolean","Required":"true"},
			{"Name":"m","Type":"Integer","Max":-7,"Required":"true"},
			{"Name":"k","Type":"Integer","Min":5,"Required":"true"}]},
		"d":{"Parameters":[{"Name":"f","Fixed":"x","Secret":"true"},
			{"Name":"s","Default":"y","Secret":"true"}]}}`+allowAll)
	for text, want := range map[string][]string{
		"help a": {"Usage: a [n=3..] [o=..-1]", "n: a whole number of at least 3.",
			"o: a whole number of at most -1.",
			"Example: a n=3"},
		"help b": {"Usage: b [on=true|false] [t=…]", "on: true or false; default true.", "t: text; default x y.",
			"Example: b on=true"},
		"help c": {"Usage: c e=1|2|3|4|5|6|7|8|9|10|… i=… --b m=..-7 k=5..", "i: a whole number; required.",
			"Example: c e=1 i=1 b=true m=-7 k=5"},
		"help d": {"Usage: d [s=…]", "f: set by an administrator. It is not recorded.",
			"s: text. It is not recorded."},
	} {
		c, _ := e.Command(said(text))
		got := e.Reply(c, e.Decide(c))
		for _, line := range want {
			if !strings.Contains("\n"+got+"\n", "\n"+line+"\n") {
				t.Errorf("%s: %s\nwant %s", text, got, line)
			}
		}
		// The example is a command of the action.
		_, example, _ := strings.Cut(got, "Example: ")
		if c, err := e.Command(said(example)); err != nil || c.Action == "" {
			t.Errorf("%s: %s: %v", text, example, err)
		}
	}
}

// For a mistyped action the answer suggests the one that was meant, if the sender may run it.
func TestTheNearestAction(t *testing.T) {
	for strict, want := range map[string]string{
		"false": "You may not run deplyo here.\nDid you mean Deploy?\nYour user id is ",
		"true":  "This bot has no such command. Say help to see what you may run. Did you mean Deploy?",
	} {
		e := endpoint(t, twoActions+`,"StrictActions":"`+strict+`"`+rules)
		for user, told := range map[string]bool{"dev": true, "nobody": false} {
			m := said("deplyo v1")
			m.User = user
			c, _ := e.Command(m)
			got := e.Reply(c, e.Decide(c))
			if strings.HasPrefix(got, want) != told || strings.Contains(got, "Did you") != told {
				t.Errorf("%s, strict %s: %s", user, strict, got)
			}
		}
		m := said("发部 v1")
		m.User = "dev"
		c, _ := e.Command(m)
		if got := e.Reply(c, e.Decide(c)); !strings.Contains(got, "Did you mean 发布?") {
			t.Errorf("an alias, strict %s: %s", strict, got)
		}
	}
}

// An invalid pattern in a stored configuration accepts no value.
func TestAnInvalidPatternMatchesNothing(t *testing.T) {
	e := endpoint(t, `"Actions":{"a":{"Parameters":[{"Name":"x","Pattern":"("}]}}`+allowAll)
	if _, err := e.Command(said("a (")); err == nil {
		t.Error("a value is taken")
	}
	if _, err := e.Command(said("a")); err != nil {
		t.Error(err)
	}
}

// Status and cancel are built in only where something can be followed.
func TestOperations(t *testing.T) {
	followed := endpoint(t, twoActions+rules)
	plain := endpoint(t, `"Actions":{"ping":{"Target":{"Type":"Function","Name":"f"}}}`+allowAll)
	for text, id := range map[string]string{"status": "", "CANCEL": "", "status 1795-ab": "1795-ab",
		"/cancel x": "x"} {
		c, err := followed.Command(said(text))
		d := followed.Decide(c)
		if err != nil || !d.Allowed || d.Cause != command.CauseBuiltIn || c.OperationID() != id ||
			followed.Reply(c, d) != "" || !command.IsOperation(c.Name) || followed.Again(c) != nil {
			t.Errorf("%s: %v, %+v", text, err, d)
		}
		c, err = plain.Command(said(text))
		if d := plain.Decide(c); err != nil || !d.Allowed || d.Cause != command.CauseStatement || c.Action != "" {
			t.Errorf("%s as an undeclared command: %v, %+v", text, err, d)
		}
	}
	c, err := followed.Command(said("cancel a b"))
	d := followed.Decide(c)
	if err == nil || d.Allowed || d.Cause != command.CauseCommand ||
		d.Reason != "Write cancel, or cancel and the id of one command." {
		t.Errorf("two ids: %v, %+v", err, d)
	}

	by := func(user, text string) command.Command {
		m := said(text)
		m.User = user
		c, err := followed.Command(m)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for _, c := range []struct {
		user, operation string
		may             bool
	}{
		{"dev", "deploy v1", true}, {"dev", "deploy v1 prod", false}, {"sre", "deploy v1 prod", true},
		{"sre", "deploy v1 prod --force", false}, {"nobody", "deploy v1", false}, {"dev", "login bob hunter2", false},
		{"all", "login bob hunter2", true}, {"never", "deploy v1", false}, {"dev", "deploy v1 --dry-run", true},
	} {
		operation := by("all", c.operation)
		recorded, err := followed.RecordedCommand(operation.Recorded())
		if err != nil {
			t.Errorf("%s: %v", c.operation, err)
		}
		recorded.Conversation = operation.Conversation
		if recorded.DryRun != operation.DryRun || len(recorded.Parameters) != len(operation.Parameters) {
			t.Errorf("%s is recorded as %v", c.operation, recorded.Parameters)
		}
		role := followed.Decide(by(c.user, c.operation)).RamRole
		for about, op := range map[string]command.Command{"the command": operation, "its record": recorded} {
			if got := followed.MayOperate(by(c.user, "status"), op, role); got != c.may {
				t.Errorf("%s by %s, of %s: %v", c.operation, c.user, about, got)
			}
		}
	}
	// help is not an operation that somebody could see or cancel.
	if followed.MayOperate(by("all", "status"), by("all", "help"), "") {
		t.Error("help is an operation")
	}
	// A value that was masked, though it is not secret, may be one that a Deny names.
	if _, err := followed.RecordedCommand("deploy", []string{"env=******"}); err == nil {
		t.Error("a masked value is taken")
	}
	hidden, err := followed.RecordedCommand("deploy", []string{"version=v1", "env=test", "Note=token=******"})
	hidden.Conversation = "c"
	if err != nil || !followed.MayOperate(by("dev", "status"), hidden, "ActionRole") {
		t.Errorf("a masked value that no statement names: %v", err)
	}
	// An action that is not declared any more is decided by its name.
	gone, err := followed.RecordedCommand("gone", []string{"a=b", "--dry-run"})
	gone.Conversation = "c"
	if err != nil || !followed.MayOperate(by("all", "status"), gone, "ConfigurationRole") ||
		followed.MayOperate(by("dev", "status"), gone, "") {
		t.Errorf("an action that is gone: %v", err)
	}
}

// An operation runs under a role and in a conversation. People who may run its command only under
// another role, or only in another conversation, can neither see nor cancel it, unless it is their
// own.
func TestOperationsOfOthers(t *testing.T) {
	e := endpoint(t, twoActions+`,"Permissions":[
		{"Effect":"Allow","Principals":["user:prod"],"Commands":["deploy"],"RamRole":"Prod"},
		{"Effect":"Allow","Principals":["user:test"],"Commands":["deploy"],"RamRole":"Test"},
		{"Effect":"Allow","Principals":["user:there"],"Commands":["deploy"],"Conversations":["there"],"RamRole":"Prod"},
		{"Effect":"Allow","Principals":["user:here"],"Commands":["deploy"],"Conversations":["c"],"RamRole":"Prod"},
		{"Effect":"Deny","Principals":["user:not here"],"Commands":["deploy"],"Conversations":["c"]},
		{"Effect":"Allow","Principals":["user:both","user:not here"],"Commands":["deploy"],"RamRole":"Prod"}]`)
	at := func(user, conversation, text string) command.Command {
		m := said(text)
		m.User, m.Conversation = user, conversation
		c, err := e.Command(m)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for _, test := range []struct {
		user, conversation, of, in, role string
		may                              bool
	}{
		{"prod", "c", "other", "c", "Prod", true},
		{"test", "c", "other", "c", "Prod", false}, // another role would be put to use
		{"test", "c", "other", "c", "Test", true},
		{"prod", "c", "other", "c", "", false},
		{"prod", "c", "prod", "c", "Before", true}, // Permissions were changed since
		{"both", "c", "other", "there", "Prod", true},
		{"here", "c", "other", "there", "Prod", false},
		{"here", "c", "here", "there", "Prod", false},
		{"there", "there", "other", "there", "Prod", true},
		{"there", "there", "other", "c", "Prod", false},
		{"there", "c", "other", "there", "Prod", false},
		{"not here", "there", "other", "there", "Prod", true},
		{"not here", "there", "other", "c", "Prod", false},
		{"not here", "c", "other", "there", "Prod", false},
	} {
		op := at(test.of, test.in, "deploy v1")
		if got := e.MayOperate(at(test.user, test.conversation, "status"), op, test.role); got != test.may {
			t.Errorf("%+v: %v", test, got)
		}
	}
}

// A secret value reaches the target, and nothing else.
func TestSecretValues(t *testing.T) {
	const planted = "Pl4nted-words"
	e := endpoint(t, twoActions+`,"Target":{"Type":"Function","Name":"f"}`+allowAll)
	for _, text := range []string{"login bob " + planted, "login password=" + planted + " user=bob",
		"login --password '" + planted + " 2' bob", "login bob password=" + planted, "login " + planted +
			" " + planted,
		"login bob password=" + planted + " x=" + planted, "login --pass=" + planted,
		"login pssword=" + planted + " robert",
		"login Ｐssword＝" + planted + " robert", "login password=" + planted,
		"login bob " + planted + " " + planted, "login bob -" + planted, "login user=bob password=1 --" + planted} {
		c, err := e.Command(said(text))
		d := e.Decide(c)
		var log bytes.Buffer
		for _, handler := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
			slog.New(handler).Info("m", "command", c, "values", c.Parameters,
				"object", command.TypedObject(c.Parameters), "error", err, "decision", d)
		}
		name, args := c.Recorded()
		shown := log.String() + fmt.Sprint(name, args, d, err) + e.Reply(c, d)
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			shown += fmt.Sprintf(verb, c) + fmt.Sprintf(verb, &c) + fmt.Sprintf(verb, c.Parameters) +
				fmt.Sprintf(verb, []command.Command{c})
			for _, v := range c.Parameters {
				shown += fmt.Sprintf(verb, v) + fmt.Sprintf(verb, &v)
			}
		}
		user := strings.Contains(text, "login "+planted) // it is no secret there
		if !user && (strings.Contains(shown, planted) || strings.Contains(shown, fmt.Sprintf("%x", planted))) {
			t.Errorf("%s: shown in %s", text, shown)
		}
		if err != nil {
			continue
		}
		if words, args := c.Words(); !user && strings.Contains(words+strings.Join(args, " "), planted) ||
			!strings.Contains(words, "password=******") {
			t.Errorf("%s: repeated as %q %q", text, words, args)
		}
		// The outbox and the target have it.
		object, err := json.Marshal(command.TypedObject(c.Parameters))
		stored, err2 := json.Marshal(c)
		var again command.Command
		if err != nil || err2 != nil || json.Unmarshal(stored, &again) != nil ||
			!strings.Contains(string(object), `"password":"`+planted) || e.Again(again) != nil {
			t.Errorf("%s: the target gets %s", text, object)
		}
	}
}

// An undeclared command is repeated as it was typed.
func TestWordsOfOtherCommands(t *testing.T) {
	e := endpoint(t, twoActions+allowAll)
	for _, text := range []string{"restart  i-1", "deploy  v1"} {
		c, _ := e.Command(said(text))
		if words, args := c.Words(); words != text || len(args) != 1 {
			t.Errorf("%s: repeated as %q %q", text, words, args)
		}
	}
}

func TestTypedObject(t *testing.T) {
	e := endpoint(t, twoActions+allowAll)
	c, err := e.Command(said(`deploy v1 count=007 --force note='a "b" 中'`))
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(command.EventData{Action: c.Action, Parameters: command.TypedObject(c.Parameters)})
	const want = `"action":"Deploy","parameters":{"version":"v1","env":"test","count":7,"force":true,` +
		`"region":"cn-hangzhou","Note":"a \"b\" 中"}}`
	if err != nil || !strings.HasSuffix(string(got), want) {
		t.Errorf("%s, %v", got, err)
	}
	got, _ = json.Marshal(command.EventData{Action: "ping", Parameters: command.TypedObject{}, DryRun: true})
	if !strings.HasSuffix(string(got), `"action":"ping","parameters":{},"dryRun":true}`) {
		t.Errorf("without parameters: %s", got)
	}
	got, _ = json.Marshal(command.EventData{})
	for _, key := range []string{"action", "parameters", "dryRun"} {
		if strings.Contains(string(got), `"`+key+`"`) {
			t.Errorf("an undeclared command: %s", got)
		}
	}
}

func TestExpand(t *testing.T) {
	e := endpoint(t, `"Actions":{
		"own":{"Target":{"Type":"Oos","TemplateName":"t"},"Parameters":[
			{"Name":"id"},{"Name":"n","Type":"Integer"},{"Name":"on","Type":"Boolean"}]},
		"all":{"Target":{"Type":"Oos","TemplateName":"t","Parameters":{
			"Id":"{id}","Ids":["{id}","{ID}-x","fixed","{n}","{on}"],"N":"{n}","On":"{on}","Text":"{id}/{n}: {on}",
			"Plain":"no { brace } {-} {}{ {{id}}","Json":"{\"a\":\"{id}\"}","Empty":[]}},"Parameters":[
			{"Name":"id"},{"Name":"n","Type":"Integer"},{"Name":"on","Type":"Boolean"}]}}`+allowAll)
	for text, want := range map[string]string{
		"own i-1 7 true": `{"id":"i-1","n":7,"on":true}`,
		"own":            `{}`,
		"all {n} 7 false": `{"Empty":[],"Id":"{n}","Ids":["{n}","{n}-x","fixed",7,false],"Json":"{\"a\":\"{n}\"}",` +
			`"N":7,"On":false,"Plain":"no { brace } {-} {}{ {{n}}","Text":"{n}/7: false"}`,
		"all n=1": `{"Empty":[],"Ids":["fixed",1],"N":1}`,
	} {
		c, err := e.Command(said(text))
		if err != nil {
			t.Fatal(err)
		}
		got, err := json.Marshal(e.TargetOf(c).Expand(c.Parameters))
		if err != nil || string(got) != want {
			t.Errorf("%s:\n got %s, %v\nwant %s", text, got, err, want)
		}
	}
}

// Allow can contain values, and a value cannot widen it.
func TestRights(t *testing.T) {
	e := endpoint(t, `"Actions":{"restart":{"Target":{"Type":"Oos","TemplateName":"t","Allow":[
		{"Action":"ecs:RebootInstance","Resource":"acs:ecs:*:*:instance/{ID}"},
		{"Action":["a:B","a:C"],"Resource":["{zone}","fixed","{id}/{zone}"]},
		{"Action":"a:D","Resource":"{zone}"}]},
		"Parameters":[{"Name":"id"},{"Name":"zone"},{"Name":"note"}]}}`+allowAll)
	for text, want := range map[string]string{
		"restart i-1": `[{[ecs:RebootInstance] [acs:ecs:*:*:instance/i-1]} {[a:B a:C] [fixed]}]`,
		"restart i-1 z note=*": `[{[ecs:RebootInstance] [acs:ecs:*:*:instance/i-1]} {[a:B a:C] [z fixed i-1/z]} ` +
			`{[a:D] [z]}]`,
		"restart":          `[{[a:B a:C] [fixed]}]`,
		`restart "i-*"`:    "the value of id must not contain '*', '?' or '$', since the target's Allow uses it",
		"restart i-1 ?":    "the value of zone must not contain '*', '?' or '$', since the target's Allow uses it",
		"restart '${aws}'": "the value of id must not contain '*', '?' or '$', since the target's Allow uses it",
	} {
		c, err := e.Command(said(text))
		if err != nil {
			t.Fatal(err)
		}
		rights, err := e.TargetOf(c).Rights(c.Parameters)
		got := fmt.Sprint(rights)
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s:\n got %s\nwant %s", text, got, want)
		}
	}
	if rights, err := (command.Target{}).Rights(nil); rights != nil || err != nil {
		t.Errorf("without Allow: %v, %v", rights, err)
	}
}

// The target of a command is its action's, else the configuration's.
func TestTargetOf(t *testing.T) {
	e := endpoint(t, twoActions+`,"Target":{"Type":"Function","Name":"f"}`+allowAll)
	for text, want := range map[string]string{"deploy v1": "Oos t", "SHIP v1": "Oos t", "ping": "Function f",
		"undeclared": "Function f"} {
		c, _ := e.Command(said(text))
		if got := e.TargetOf(c).String(); got != want {
			t.Errorf("%s: %s", text, got)
		}
	}
	for _, target := range []command.Target{{Type: "Program", Name: "x"}, {Type: "Ssm", DocumentName: "x"},
		{Type: "StepFunctions", StateMachineArn: "x"}} {
		if got := target.String(); got != target.Type+" x" {
			t.Errorf("%s", got)
		}
	}
}

// A recorded command is another one when its action reads it in another way.
func TestAgain(t *testing.T) {
	e := endpoint(t, twoActions+allowAll)
	for text, edit := range map[string][2]string{
		"deploy v1":                {`"Default":"test"`, `"Default":"prod"`},
		"deploy v1 prod":           {`"Values":["test","prod"`, `"Values":["test"`},
		"deploy v1 test 3":         {`{"Name":"count","Type":"Integer","Min":-2,"Max":10},`, ""},
		"deploy v1 --dry-run":      {`"DryRun":"true",`, ""},
		"发布 v1":                    {`"发布",`, ""},
		"deploy v1 note=x":         {`"Fixed":"cn-hangzhou"`, `"Fixed":"cn-beijing"`},
		"login bob hunter2":        {`"Secret":"true",`, ""},
		"ping":                     {`"ping":{}`, `"pong":{"Aliases":["ping"]}`},
		"pong":                     {`"ping":{}`, `"pong":{}`},
		"deploy v1 prod force=yes": {`"Deploy"`, `"Other"`},
	} {
		c, err := e.Command(said(text))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if err := e.Again(c); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if after := endpoint(t, strings.Replace(twoActions, edit[0], edit[1], 1)+allowAll); after.Again(c) == nil {
			t.Errorf("%s is the same after %s", text, edit[1])
		}
	}
}

package command_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"chatconf/shared/command"
	"chatconf/shared/document"
)

// deploy has a parameter of every type; secret has one that nobody may see.
const twoActions = `"Actions":{
	"Deploy":{"Summary":"Deploys a version.","Aliases":["发布","ship"],"DryRun":"true","RamRole":"ActionRole",
		"Target":{"Type":"Oos","TemplateName":"t"},"Parameters":[
		{"Name":"version","Required":"true","Max":20,"Pattern":"v?[0-9.]+|最新","Help":"As in the release notes."},
		{"Name":"env","Type":"Enum","Values":["test","prod","预发"],"Default":"test"},
		{"Name":"count","Type":"Integer","Min":-2,"Max":10},
		{"Name":"force","Type":"Boolean"},
		{"Name":"region","Fixed":"cn-hangzhou"},
		{"Name":"Note","Min":0}]},
	"login":{"Parameters":[
		{"Name":"user","Required":"true"},
		{"Name":"password","Required":"true","Secret":"true","Min":4}]},
	"ping":{}}`

// endpoint returns an endpoint with the members of a valid Configuration.
func endpoint(t testing.TB, members string) *command.Endpoint {
	t.Helper()
	root, err := document.Parse("Configuration", "{"+members+"}")
	if err != nil {
		t.Fatal(err)
	}
	return &command.Endpoint{Account: "1", Region: "r", Name: "ops", Type: "Slack", Active: true,
		Language: root.TextOf(command.KeyLanguage, command.English),
		Target:   command.NewTarget(root.Get(command.KeyTarget)),
		Actions:  command.NewActions(root, nil),
		Permissions: command.NewPermissions(command.PermissionOptions{Name: "ops", Active: true,
			RamRole: "ConfigurationRole"}, root)}
}

const allowAll = `,"Permissions":[{"Effect":"Allow","Principals":["*"],"Commands":["*"]}]`

// said is a message of u in c.
func said(text string) *command.Message {
	return &command.Message{ID: "m", User: "u", Conversation: "c", Text: text}
}

func TestArguments(t *testing.T) {
	e := endpoint(t, twoActions+allowAll)
	short := strings.NewReplacer("@", "version=v1 env=test", "#", "region=cn-hangzhou", "&", "count=1 force=true #")
	full := func(text string) string { return short.Replace(short.Replace(text)) }
	for text, want := range map[string]string{
		// In any order, by name and by place.
		"deploy v1":                                    "@ #",
		"DEPLOY v1 prod":                               "version=v1 env=prod #",
		"deploy version=v1 env=prod":                   "version=v1 env=prod #",
		"deploy env=prod version=v1":                   "version=v1 env=prod #",
		"deploy env=prod v1":                           "version=v1 env=prod #",
		"deploy --env prod v1 3":                       "version=v1 env=prod count=3 #",
		"deploy --env=prod --version v1":               "version=v1 env=prod #",
		"deploy -env prod -version=v1":                 "version=v1 env=prod #",
		"deploy v1 test 3 true 'a note'":               "@ count=3 force=true # Note=a note",
		"deploy v1 count=3 prod no":                    "version=v1 env=prod count=3 force=false #",
		"ship v1":                                      "@ #",
		"发布 最新":                                        "version=最新 env=test #",
		"/deploy v1":                                   "@ #",
		"ping":                                         "",
		"deploy ENV=PROD v1":                           "version=v1 env=prod #",
		"deploy ｅｎｖ＝ｐｒｏｄ v1":                           "version=v1 env=prod #",
		"deploy env=预发 v1":                             "version=v1 env=预发 #",
		"deploy v1 note=说明：一切正常":                       "@ # Note=说明：一切正常",
		"deploy v1 count=３":                            "@ count=3 #",
		"deploy v1 count=−2":                           "@ count=-2 #",
		"deploy v1 count=＋2":                           "@ count=2 #",
		"deploy v1 test -2":                            "@ count=-2 #",
		"deploy v1 --count -2":                         "@ count=-2 #",
		"deploy v1 count=007":                          "@ count=7 #",
		"deploy v1 --force":                            "@ force=true #",
		"deploy --force v1":                            "@ force=true #",
		"deploy --force false v1":                      "@ force=false #",
		"deploy —force v1":                             "@ force=true #",
		"deploy v1 –count 4":                           "@ count=4 #",
		"deploy v1 force=是":                            "@ force=true #",
		"deploy v1 force=ON":                           "@ force=true #",
		"deploy v1 force=否":                            "@ force=false #",
		"deploy v1 note=a=b=c":                         "@ # Note=a=b=c",
		"deploy v1 note==":                             "@ # Note==",
		"deploy v1 note=":                              "@ # Note=",
		"deploy v1 'note=with blanks'":                 "@ # Note=with blanks",
		`deploy v1 note="with 'quotes'"`:               "@ # Note=with 'quotes'",
		"deploy v1 note=“全角 引号”":                       "@ # Note=全角 引号",
		"deploy v1 note=--env":                         "@ # Note=--env",
		"deploy v1 --note -x":                          "@ # Note=-x",
		"deploy v1 --note --unknown":                   "@ # Note=--unknown",
		"deploy v1 test 1 true -- -x":                  "@ & Note=-x",
		"deploy v1 test 1 true -- env=prod":            "@ & Note=env=prod",
		"deploy v1 test 1 true undeclared=x":           "@ & Note=undeclared=x",
		"deploy v1 test 1 true -":                      "@ & Note=-",
		"deploy v1 test 1 true -中":                     "@ & Note=-中",
		"deploy v1 test 1 true =x":                     "@ & Note==x",
		"deploy --dry-run v1":                          "@ # --dry-run",
		"deploy v1 --DRY-RUN=true":                     "@ # --dry-run",
		"deploy v1 --dry-run=false":                    "@ #",
		"login bob hunter2":                            "user=bob password=******",
		"login password=hunter2 bob":                   "user=bob password=******",
		"login --password 'hunter 2' --user=bob":       "user=bob password=******",
		"login bob password=********":                  "user=bob password=******",
		"deploy v1 test 1 true password=hunter2-words": "@ & Note=password=******",
	} {
		c, err := e.Command(said(text))
		name, args := c.Recorded()
		if got := strings.Join(args, " "); err != nil || got != full(want) ||
			name != strings.ToLower(c.Action) || c.Action == "" {
			t.Errorf("%s: %s %q, %v\nwant %q", text, name, got, err, full(want))
		}
		if d := e.Decide(c); !d.Allowed {
			t.Errorf("%s: %+v", text, d)
		}
		if err := e.Again(c); err != nil {
			t.Errorf("%s again: %v", text, err)
		}
	}
}

func TestArgumentsThatAreWrong(t *testing.T) {
	const usage = "\nUsage: Deploy version=… [env=test|prod|预发] [count=-2..10] [--force] [Note=…] [--dry-run]"
	const version = "text of 1 to 20 characters in the form v?[0-9.]+|最新." + usage
	const fixed = "region is set by an administrator. Write the command without it." + usage
	const count = "count must be a whole number from -2 to 10." + usage
	for text, want := range map[string]string{
		"deploy":                                 "version is missing. Write " + version,
		"deploy env=prod":                        "version is missing. Write " + version,
		"deploy version=":                        "version must be " + version,
		"deploy banana":                          "version must be " + version,
		"deploy 1.1.1.1.1.1.1.1.1.1.1":           "version must be " + version,
		"deploy v1 prd":                          "env must be one of test, prod, 预发. Did you mean prod?" + usage,
		"deploy v1 env=production":               "env must be one of test, prod, 预发. Did you mean prod?" + usage,
		"deploy v1 env=":                         "env must be one of test, prod, 预发." + usage,
		"deploy v1 env=q":                        "env must be one of test, prod, 预发." + usage,
		"deploy v1 count=11":                     count,
		"deploy v1 count=-3":                     count,
		"deploy v1 count=1.5":                    count,
		"deploy v1 count=1e1":                    count,
		"deploy v1 count=1_0":                    count,
		"deploy v1 count=0x1":                    count,
		"deploy v1 count=":                       count,
		"deploy v1 count=9999999999999999999999": count,
		"deploy v1 force=maybe":                  "force must be true or false." + usage,
		"deploy v1 env=prod env=test":            "env is given twice. Write it once." + usage,
		"deploy v1 --env prod ENV=test":          "env is given twice. Write it once." + usage,
		"deploy v1 --env":                        "env has no value. Write one of test, prod, 预发." + usage,
		"deploy v1 --env --force":                "env has no value. Write one of test, prod, 预发." + usage,
		"deploy v1 --env --dry-run":              "env has no value. Write one of test, prod, 预发." + usage,
		"deploy v1 --env --":                     "env has no value. Write one of test, prod, 预发." + usage,
		"deploy v1 region=cn-beijing":            fixed,
		"deploy v1 --region cn-hangzhou":         fixed,
		"deploy v1 --enw prod":                   "Deploy has no parameter enw. Did you mean env?" + usage,
		"deploy v1 enw=prod":                     "Deploy has no parameter enw. Did you mean env?" + usage,
		"deploy vresion=v1":                      "Deploy has no parameter vresion. Did you mean version?" + usage,
		"deploy a/b=v1":                          "version must be " + version,
		"deploy version=versoin=v1":              "version must be " + version,
		"deploy --help":                          "Deploy has no parameter help. Did you mean help Deploy?" + usage,
		"deploy -h":                              "Deploy has no parameter h. Did you mean help Deploy?" + usage,
		"deploy v1 -f":                           "Deploy has no parameter f." + usage,
		"deploy v1 --":                           "", // nothing follows
		"deploy v1 --=x":                         "Deploy has no parameter ." + usage,
		"deploy v1 --dryrun":                     "Deploy has no parameter dryrun. Did you mean dry-run?" + usage,
		"deploy v1 --dry-run=perhaps":            "--dry-run must be true or false." + usage,
		"deploy v1 test 1 true a b": "There are more values than Deploy has parameters. " +
			"Put quotes around a value with spaces." + usage,
		"ping x": "There are more values than ping has parameters. " +
			"Put quotes around a value with spaces.\nUsage: ping",
		"ping --dry-run": "ping has no --dry-run.\nUsage: ping",
		// Nothing of a text that may hold a secret is repeated.
		"login bob --pasword hunter2": "One of the names is not a parameter of login. Did you mean password?\n" +
			"Usage: login user=… password=…",
		"login bob hun": "password must be text of at least 4 characters.\nUsage: login user=… password=…",
		"login bob --hunter2": "One of the names is not a parameter of login. Did you mean user?\n" +
			"Usage: login user=… password=…",
		"login bob hunter2 x": "There are more values than login has parameters. " +
			"Put quotes around a value with spaces." +
			"\nUsage: login user=… password=…",
	} {
		e := endpoint(t, twoActions+allowAll)
		c, err := e.Command(said(text))
		if want == "" {
			if err != nil {
				t.Errorf("%s: %v", text, err)
			}
			continue
		}
		var wrong *command.Error
		if !errors.As(err, &wrong) || wrong.Sentence(command.English) != want {
			t.Errorf("%s:\n got %v\nwant %s", text, err, want)
			continue
		}
		if chinese := wrong.Sentence(command.Chinese); chinese == want || strings.Contains(chinese, "{") {
			t.Errorf("%s in Chinese: %s", text, chinese)
		}
		if strings.Contains(wrong.Error(), "\n") {
			t.Errorf("%s: the log gets %q", text, wrong.Error())
		}
		d := e.Decide(c)
		if d.Allowed || d.Cause != command.CauseCommand || d.Reason != want || e.Reply(c, d) != want {
			t.Errorf("%s: %+v", text, d)
		}
		if c.Parameters != nil || c.DryRun || c.Action == "" || e.Again(c) == nil {
			t.Errorf("%s: %v", text, c.Parameters)
		}
		if _, args := c.Recorded(); c.Action == "login" && strings.Contains(strings.Join(args, " "), "hun") {
			t.Errorf("%s: recorded as %q", text, args)
		}
		// A sender who may not run it at all learns nothing about it.
		for _, permissions := range []string{"",
			`,"Permissions":[{"Effect":"Deny","Principals":["*"],"Commands":["*"]}]`} {
			e = endpoint(t, twoActions+permissions)
			c, _ = e.Command(said(text))
			d := e.Decide(c)
			if d.Allowed || d.Cause == command.CauseCommand || strings.Contains(e.Reply(c, d), "Usage") {
				t.Errorf("%s by somebody else: %+v", text, d)
			}
		}
	}
}

func TestAnActionInChinese(t *testing.T) {
	e := endpoint(t, twoActions+`,"Language":"zh"`+allowAll)
	for text, want := range map[string]string{
		"发布": "缺少 version，请填写 1 到 20 个字符的文本，格式为 v?[0-9.]+|最新。\n" +
			"用法：Deploy version=… [env=test|prod|预发] [count=-2..10] [--force] [Note=…] [--dry-run]",
		"发布 v1 env=预": "env 必须是以下之一：test、prod、预发。您是不是想输入 预发？\n" +
			"用法：Deploy version=… [env=test|prod|预发] [count=-2..10] [--force] [Note=…] [--dry-run]",
		"help 发布": "Deploys a version.\n" +
			"用法：Deploy version=… [env=test|prod|预发] [count=-2..10] [--force] [Note=…] [--dry-run]\n" +
			"别名：发布、ship。\nversion：1 到 20 个字符的文本，格式为 v?[0-9.]+|最新，必填。As in the release notes.\n" +
			"env：以下之一：test、prod、预发，默认为 test。\ncount：-2 到 10 的整数。\nforce：true 或 false。\n" +
			"region：固定为 cn-hangzhou。\nNote：至少 0 个字符的文本。\n--dry-run：仅试运行，不产生实际影响。\n" +
			"示例：Deploy version=…",
	} {
		c, _ := e.Command(said(text))
		if got := e.Reply(c, e.Decide(c)); got != want {
			t.Errorf("%s:\n got %s\nwant %s", text, got, want)
		}
	}
}

// An undeclared command is as it was, unless StrictActions is set.
func TestUndeclaredCommands(t *testing.T) {
	open, strict := endpoint(t, twoActions+allowAll), endpoint(t, twoActions+`,"StrictActions":"true"`+allowAll)
	for _, text := range []string{"restart i-1 --force env=prod", "deploys v1", "statuses"} {
		c, err := open.Command(said(text))
		name, args, _ := command.Parse(text)
		if d := open.Decide(c); err != nil || !d.Allowed || d.RamRole != "ConfigurationRole" || c.Action != "" ||
			c.Parameters != nil || c.Name != name || !slices.Equal(c.Arguments, args) {
			t.Errorf("%s: %v, %+v", text, err, d)
		}
		if err := open.Again(c); err != nil {
			t.Errorf("%s again: %v", text, err)
		}
		if strict.Again(c) == nil {
			t.Errorf("%s is the same command where only actions are commands", text)
		}
		c, err = strict.Command(said(text))
		d := strict.Decide(c)
		if err == nil || d.Allowed || d.Cause != command.CauseCommand ||
			!strings.HasPrefix(d.Reason, "This bot has no such command. Say help to see what you may run.") {
			t.Errorf("%s, strictly: %v, %+v", text, err, d)
		}
		c.Problem = nil // as it comes from the outbox
		if d := strict.Decide(c); d.Allowed {
			t.Errorf("%s, strictly and without its problem: %+v", text, d)
		}
	}
	for _, text := range []string{"help", "whoami", "ping", "status", "cancel"} {
		c, err := strict.Command(said(text))
		if d := strict.Decide(c); err != nil || !d.Allowed {
			t.Errorf("%s, strictly: %v, %+v", text, err, d)
		}
	}
	if got := fmt.Sprint(strict.Permissions.Runnable("u", "c")); got != "{[deploy login ping] [] false}" {
		t.Errorf("runnable, strictly: %s", got)
	}
	if got := fmt.Sprint(open.Permissions.Runnable("u", "c")); got != "{[* deploy login ping] [] false}" {
		t.Errorf("runnable: %s", got)
	}
	only := endpoint(t, `"StrictActions":"true"`+allowAll)
	if only.Actions.Find("x") != nil || only.Actions.All() != nil || !only.Actions.Strict() {
		t.Errorf("strict without actions: %+v", only.Actions)
	}
}

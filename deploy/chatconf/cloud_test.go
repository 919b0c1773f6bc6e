package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"chatconf/shared/app"
	"chatconf/shared/command"
	"chatconf/shared/dispatch"
)

// cloudBot has an action for each way of an execution.
const cloudBot = `{"DingTalkClientId":"dingexample","DingTalkClientSecret":"not-a-real-secret",
	"Actions":{
	"restart":{"Parameters":[{"Name":"instance","Required":true}],"Target":{"Type":"Oos",
		"TemplateName":"restart-instance","Parameters":{"InstanceId":"{instance}","OOSAssumeRole":"chatconf-steps"}}},
	"reboot":{"Parameters":[{"Name":"InstanceId","Required":true}],"Target":{"Type":"Oos",
		"TemplateName":"restart-instance","Allow":[{"Action":"ecs:RebootInstance",
		"Resource":"acs:ecs:*:*:instance/{InstanceId}"}]}},
	"wide":{"Parameters":[{"Name":"InstanceId","Required":true}],"Target":{"Type":"Oos",
		"TemplateName":"restart-instance","Allow":[{"Action":"ecs:RebootInstance","Resource":"*"}]}},
	"check":{"Target":{"Type":"Oos","TemplateName":"fails"}},
	"slow":{"Target":{"Type":"Oos","TemplateName":"slow"}},
	"call":{"Target":{"Type":"Function","Name":"f"}}},
	"Permissions":[{"Effect":"Allow","Principals":["user:alice"],"Commands":["*"]}]}`

// Commands of a local service run in the emulated cloud under their role. The sessions have no more
// rights than they use.
func TestCommandsRunUnderARole(t *testing.T) {
	noEnv(t)
	settings, err := app.ReadSettings(func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	settings.Data, settings.Addr = t.TempDir(), "127.0.0.1:0"
	log, err := os.Create(filepath.Join(settings.Data, "log"))
	if err != nil {
		t.Fatal(err)
	}
	settings.Log = log
	emulated, err := openEmulators(t.Context(), []string{"oos", "sts"}, settings, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer emulated.close()
	role, closed, err := localRole(&settings, "", emulated, nil, new(localConsole))
	if err != nil {
		t.Fatal(err)
	}
	defer closed()
	ctx, stop := context.WithCancel(t.Context())
	started, ended := make(chan bool), make(chan error, 1)
	go func() { ended <- app.ServeLocal(ctx, settings, func(app.Started) { close(started) }, role) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	<-started
	mustRun(t, "call", "--data", settings.Data, "CreateChatConfiguration", "Name=ops", "Type=DingTalk",
		"RamRole="+emulatedRole, "Configuration="+cloudBot)
	say := func(text string) string {
		return mustRun(t, "send", "--data", settings.Data, "--wait", "20s", "ops", "--user", "alice", text)
	}
	for _, test := range []struct{ text, says, state string }{
		{"restart i-1", "i-1 has been restarted", "Succeeded"},
		{"reboot i-2", "i-2 has been restarted", "Succeeded"},
		{"check", "the disk is full", "Failed"},
		{"call", "could not be delivered", "Failed"}, // no emulator has functions
	} {
		if out := say(test.text); !strings.Contains(out, test.says) {
			t.Errorf("%s: %s", test.text, out)
		}
		var list struct {
			ChatCommands []struct{ State, RamRole, SessionName, ExecutionId, Detail string }
		}
		if err := json.Unmarshal([]byte(mustRun(t, "call", "--data", settings.Data, "ListChatCommands",
			"Name=ops", "MaxResults=1")), &list); err != nil {
			t.Fatal(err)
		}
		c := list.ChatCommands[0]
		ran := strings.HasPrefix(c.ExecutionId, "exec-")
		if c.State != test.state || c.RamRole != "chatconf-operator" ||
			ran == (test.says == "could not be delivered") || ran && c.SessionName != "DingTalk.alice" {
			t.Errorf("%s: %+v", test.text, c)
		}
	}
	out := mustRun(t, "send", "--data", settings.Data, "ops", "--user", "alice", "slow") + say("cancel")
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		records := mustRun(t, "call", "--data", settings.Data, "ListChatCommands", "Name=ops", "MaxResults=2")
		if strings.Contains(records, `"Cancelled"`) {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("cancelled is %s\n%s", out, records)
		}
	}
	for _, grant := range emulated.account.Unused() {
		t.Error(grant)
	}
	for _, s := range emulated.account.Sessions() {
		if s.ExternalID != "acs:oos:cn-hangzhou:1000000000000000:chatconfiguration/ops" ||
			s.SourceIdentity != "DingTalk.alice" || s.Policy == "" {
			t.Errorf("session = %+v", s)
		}
	}
	// A value that would widen a policy starts nothing.
	before := len(emulated.account.Decisions())
	if out := say("reboot i-*"); !strings.Contains(out, "could not be delivered") ||
		len(emulated.account.Decisions()) != before+2 { // AssumeRole and SetSourceIdentity
		t.Errorf("a wildcard: %s", out)
	}
	// A policy that is wider than the work shows.
	unused := len(emulated.account.Unused())
	if say("wide i-3"); len(emulated.account.Unused()) != unused+1 {
		t.Errorf("unused = %v, want the wide one", emulated.account.Unused())
	}
	if text, err := os.ReadFile(log.Name()); err != nil || strings.Contains(string(text), "fake-secret") ||
		strings.Contains(string(text), "fake-token") || strings.Contains(string(text), emulatedKeySecret) {
		t.Errorf("the log shows a secret: %s, %v", text, err)
	}
}

func TestOpenCloud(t *testing.T) {
	noEnv(t)
	environment := map[string]string{"ALIBABA_CLOUD_ACCESS_KEY_ID": "id", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "secret",
		"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret"}
	getenv := func(name string) string { return environment[name] }
	for name, kinds := range map[string][]string{
		"alibaba": {command.TargetFunction, command.TargetOOS},
		"aws":     {command.TargetFunction, command.TargetSSM, command.TargetStepFunctions},
	} {
		c, ok, err := openCloud(name, getenv, "cn-hangzhou", nil)
		// and topics, for the events of changes, which run under no role
		if err != nil || !ok || len(c.Targets) != len(kinds)+1 || c.Targets[command.TargetTopic] == nil ||
			c.Assume == nil {
			t.Errorf("%s: %v, %v, %v", name, c.Targets, ok, err)
		}
		for _, kind := range kinds {
			if _, scoped := c.Targets[kind].(dispatch.Scoped); !scoped {
				t.Errorf("%s: %s is %T", name, kind, c.Targets[kind])
			}
		}
		c.Close()
	}
	if c, ok, err := openCloud("", getenv, "cn-hangzhou", nil); ok || err != nil {
		t.Errorf("none: %v, %v", c, err)
	}
	for name, missing := range map[string]string{"azure": `unknown --cloud "azure"; use alibaba or aws`,
		"alibaba": "set ALIBABA_CLOUD_ACCESS_KEY_ID", "aws": "AWS_SECRET_ACCESS_KEY"} {
		delete(environment, "ALIBABA_CLOUD_ACCESS_KEY_ID")
		delete(environment, "AWS_SECRET_ACCESS_KEY")
		if _, _, err := openCloud(name, getenv, "cn-hangzhou", nil); !isUsage(err) ||
			!strings.Contains(err.Error(), missing) {
			t.Errorf("%s: %v", name, err)
		}
	}
	environment["ALIBABA_CLOUD_ACCESS_KEY_ID"], environment["CHATCONF_OOS_ENDPOINT"] = "id", "oos.example.com"
	if _, _, err := openCloud("alibaba", getenv, "cn-hangzhou", nil); !isUsage(err) ||
		!strings.Contains(err.Error(), "CHATCONF_OOS_ENDPOINT") {
		t.Errorf("an invalid endpoint: %v", err)
	}
	for _, args := range [][]string{{"--cloud", "alibaba", "--target", "fc"}, {"--cloud", "aws", "--emulate", "oos"},
		{"--cloud", "azure"}} {
		if _, err := run(t, "", append([]string{"serve", "--data", t.TempDir()}, args...)...); !isUsage(err) {
			t.Errorf("serve %v: %v", args, err)
		}
	}
}

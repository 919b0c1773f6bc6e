package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"chatconf/shared/chat"
)

// runBoth runs the tool in process and returns what it wrote to both outputs.
func runBoth(t *testing.T, stdin string, args ...string) (stdout, messages string, err error) {
	t.Helper()
	var out, said bytes.Buffer
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(strings.NewReader(stdin))
	root.SetOut(&out)
	root.SetErr(&said)
	err = root.ExecuteContext(t.Context())
	return out.String(), said.String(), err
}

// team makes bots that daily work has, one of them failing.
func team(t *testing.T) (at []string) {
	t.Helper()
	at, _ = newSendService(t)
	call := func(args ...string) { t.Helper(); mustRun(t, append(append([]string{"call"}, args...), at...)...) }
	create(t, at, "ops", "Slack", `,"BotName":"Ops","Target":{"Type":"Http","Url":"https://run.example.com/hook",`+
		`"Secret":"whsec_UExBTlRFRC1ub3QtYS1yZWFsLXNlY3JldC1ub3QtYSE="},"UserGroups":{"oncall":["U1","U2"]}`)
	call("CreateChatConfiguration", "Name=dev", "Type=DingTalk", "RamRole=DevRole", `Tags={"env":"dev","a":"b"}`,
		"Configuration={"+planting["DingTalk"]+`,"UserGroups":{"admins":["u1","u2"]},"ConversationIds":["c1","c2"],`+
			`"Actions":{"scale":{"Summary":"Change the size","RamRole":"ScaleRole",`+
			`"Parameters":[{"Name":"env","Type":"Enum","Values":["test","prod"],"Required":true}]}},"Permissions":[`+
			`{"Effect":"Allow","Principals":["*"],"Commands":["show-*"]},`+
			`{"Effect":"Allow","Principals":["group:admins"],"Commands":["*"],"Conversations":["c1"],`+
			`"RamRole":"AdminRole"},`+
			`{"Effect":"Allow","Principals":["user:u3"],"Commands":["scale"],"Parameters":{"env":["test"]}},`+
			`{"Effect":"Deny","Principals":["user:u2"],"Commands":["restart"]}]}`)
	call("CreateChatConfiguration", "Name=old", "Type=Teams", "Status=Inactive",
		"Configuration={"+planting["Teams"]+"}")
	mustRun(t, append([]string{"send", "ops", "restart i-1", "--user", "manager4220", "--conversation", "C1"},
		at...)...)
	return at
}

// testdata does not depend on the working folder, which a test may change.
var testdata, _ = filepath.Abs("testdata")

// golden compares a screen with a file of testdata/screens.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join(testdata, "screens", name+".golden")
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s: %s", path, diff)
	}
}

// masked returns a screen without the address of the service.
func masked(at []string, text string) string {
	return strings.ReplaceAll(text, at[1], "http://SERVICE")
}

func TestBots(t *testing.T) {
	at := team(t)
	names := func(args ...string) string {
		t.Helper()
		var list []listed
		out := mustRun(t, append(append([]string{"bots", "-o", "json"}, args...), at...)...)
		if err := json.Unmarshal([]byte(out), &list); err != nil || leak.MatchString(out) {
			t.Fatalf("%v: %s", err, out)
		}
		var found []string
		for _, b := range list {
			found = append(found, b.Name)
		}
		return strings.Join(found, " ")
	}
	for args, want := range map[string]string{"": "dev old ops", "--type dingtalk": "dev", "--status Inactive": "old",
		"--tag env=dev --tag a=b": "dev", "--tag env=prod": "", "o* --type Slack": "ops", "ops dev": "dev ops",
		"--no-health": "dev old ops"} {
		if got := names(strings.Fields(args)...); got != want {
			t.Errorf("bots %s: %s, want %s", args, got, want)
		}
	}
	if out := mustRun(t, append([]string{"bots", "--no-health"}, at...)...); strings.Contains(out, "Working") {
		t.Errorf("bots --no-health: %s", out)
	}
	if out, err := run(t, "", append([]string{"bots", "--tag", "env"}, at...)...); !isUsage(err) || out != "" {
		t.Errorf("a tag without a value: %v, %s", err, out)
	}
	if _, err := run(t, "", append([]string{"bots", "--type", "Ding"}, at...)...); !isUsage(err) ||
		!strings.Contains(err.Error(), "DingTalk") {
		t.Errorf("an unknown type: %v", err)
	}
}

// A list of many pages is whole, and a bot that is deleted meanwhile has no health.
func TestBotsOfAStranger(t *testing.T) {
	noEnv(t)
	page := 0
	answer := map[string]string{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		action := r.Header.Get("X-Acs-Action")
		text := answer[action]
		if action == "ListChatConfigurations" && page < 2 {
			page++
			text = strings.Replace(text, "]", fmt.Sprintf(`],"NextToken":"%d"`, page), 1)
		}
		if strings.Contains(text, `"Code"`) {
			w.WriteHeader(http.StatusNotFound)
		}
		w.Write([]byte(text))
	}))
	defer s.Close()
	at := []string{"--endpoint", s.URL, "--access-key-id", "a", "--access-key-secret", "b"}
	answer["ListChatConfigurations"] = `{"ChatConfigurations":[{"Name":"a","Type":"\u001b[2J"}]}`
	answer["GetChatConfigurationHealth"] = `{"Code":"EntityNotExists.ChatConfiguration","Message":"gone"}`
	out, said, err := runBoth(t, "", append([]string{"bots"}, at...)...)
	if err != nil || said != "" || strings.Count(out, "\na ") != 3 || strings.Contains(out, "\x1b") {
		t.Errorf("%q, %q, %v", out, said, err)
	}
	answer["GetChatConfigurationHealth"] = `{"Code":"InvalidAction.NotFound","Message":"no such action"}`
	for _, verb := range []string{"bots", "show a"} {
		answer["GetChatConfiguration"] = `{"ChatConfiguration":{"Name":"a","Configuration":"{}","Outputs":""}}`
		out, said, err = runBoth(t, "", append(strings.Fields(verb), at...)...)
		if err != nil || said != "The service does not show the health of bots.\n" || !strings.Contains(out, "\na ") &&
			!strings.Contains(out, "NAME           a\n") {
			t.Errorf("%s: %q, %q, %v", verb, out, said, err)
		}
	}
	answer["GetChatConfigurationHealth"] = "<html>"
	for _, verb := range []string{"bots", "show a"} {
		if out, err := run(t, "", append(strings.Fields(verb), at...)...); err == nil || out != "" {
			t.Errorf("%s of no service: %q, %v", verb, out, err)
		}
	}
	for _, configuration := range []string{`"Configuration":"{"`, `"Configuration":"{}","Outputs":"{"`} {
		answer["GetChatConfigurationHealth"] = `{"Health":{}}`
		answer["GetChatConfiguration"] = `{"ChatConfiguration":{` + configuration + `}}`
		for _, verb := range []string{"show a", "show a --show-url"} {
			if out, err := run(t, "", append(strings.Fields(verb), at...)...); err == nil || out != "" {
				t.Errorf("%s with %s: %q, %v", verb, configuration, out, err)
			}
		}
	}
}

func TestShowURL(t *testing.T) {
	at := team(t)
	out := mustRun(t, append([]string{"show", "ops", "--show-url"}, at...)...)
	if !leak.MatchString(out) || strings.Contains(out, "PLANTED") {
		t.Errorf("show --show-url: %s", out)
	}
	var b shownBot
	text := mustRun(t, append([]string{"show", "dev", "-o", "json"}, at...)...)
	if err := json.Unmarshal([]byte(text), &b); err != nil || b.ChatConfiguration.Name != "dev" || b.Health == nil ||
		b.Health.State != chat.HealthSilent || leak.MatchString(text) {
		t.Errorf("show -o json: %v, %s", err, text)
	}
}

// The health of many bots costs one request for each page of them, also with a key that may not
// see it.
func TestBotsCostFewRequests(t *testing.T) {
	at := team(t)
	m, through := newMiddle(t, at)
	key, err := localKey(at[3])
	if err != nil {
		t.Fatal(err)
	}
	policy := writePolicy(t, `{"Version":"1","Statement":[{"Effect":"Allow","Action":["oos:ListChatConfigurations"],`+
		`"Resource":"*"},{"Effect":"Allow","Action":["oos:GetChatConfigurationHealth"],`+
		`"Resource":"acs:oos:*:*:chatconfiguration/dev"}]}`)
	var some struct{ AccessKeyId, AccessKeySecret string }
	made := mustRun(t, append([]string{"keys", "create", "--name", "some", "--policy", policy, "-o", "json"}, at...)...)
	if err := json.Unmarshal([]byte(made), &some); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ id, secret, says string }{
		{key.ID, key.Secret, ""},
		{some.AccessKeyId, some.AccessKeySecret,
			"The access key may not see the health of 2 bots; it needs oos:GetChatConfigurationHealth.\n"},
	} {
		clear(m.counts)
		out, said, err := runBoth(t, "", append(append([]string{"bots"}, through...), "--access-key-id", c.id,
			"--access-key-secret", c.secret)...)
		if err != nil || said != c.says || !strings.Contains(out, "Silent") ||
			len(m.counts) != 1 || m.counts["ListChatConfigurations"] != 1 {
			t.Errorf("%v requests, %v, %q, %s", m.counts, err, said, out)
		}
	}
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"chatconf/shared/accesskey"
	"chatconf/shared/app"
	"chatconf/shared/chat"
	"chatconf/shared/command"
	"chatconf/shared/dispatch"
	"chatconf/shared/document"
	"chatconf/shared/fault"
	"chatconf/shared/invoke"
	"chatconf/shared/journal"
	"chatconf/shared/platform"
	"chatconf/shared/platform/callback"
	"chatconf/shared/platform/platformsim"
	"chatconf/shared/policy"
	"chatconf/shared/rpc"
	"chatconf/shared/secret"
	"chatconf/shared/webhook"
)

// newSendService serves new data with its webhooks, as 'chatconf serve' does, and returns the flags
// that find it.
func newSendService(t *testing.T) (flags []string, local *app.Local) {
	t.Helper()
	data := newData(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	settings, err := localSettings(data)
	if err != nil {
		t.Fatal(err)
	}
	settings.WebhookBaseURL = "http://" + listener.Addr().String()
	console := new(localConsole)
	l, err := app.OpenLocal(t.Context(), settings, app.Actions(slices.Concat(serveActions(nil), backupActions(),
		console.actions())...).Under(consolePrefix, console.open))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	hooks := newHooks(t, l)
	s := &httptest.Server{Listener: listener, Config: &http.Server{
		Handler: quiet(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if webhook.IsPath(r.URL.Path) {
				hooks.ServeHTTP(w, r)
				return
			}
			l.Handler.ServeHTTP(w, r)
		}))}}
	s.Start()
	t.Cleanup(s.Close)
	return []string{"--endpoint", s.URL, "--data", data}, l
}

// newHooks returns the webhooks of a service, which dispatches commands to a target that says
// "done", and to one that is down. No platform may be called: the messages are made here.
func newHooks(t *testing.T, l *app.Local) http.Handler {
	t.Helper()
	d, err := dispatch.New(dispatch.Options{
		Open:    l.Service.OpenConfiguration,
		Journal: l.Journal,
		Targets: map[string]dispatch.Target{command.TargetHTTP: standIn{}},
		Sender: func(e *command.Endpoint) (dispatch.Sender, error) {
			t.Errorf("%s: a platform is told of a message that was made here", e.Name)
			return nil, errors.New("no platform")
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	worker := dispatch.NewWorker(invoke.With(t.Context(), &invoke.Invocation{Logger: slog.New(slog.DiscardHandler)}), d)
	t.Cleanup(func() { worker.Close() })
	h, err := webhook.NewHandler(webhook.Options{Service: l.Service, Journal: l.Journal,
		Receivers: platform.All().Receivers(), Dispatch: worker.Start})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// downURL is of a target that is down.
const downURL = "https://down.example.com/"

// A standIn is the target Http without a network.
type standIn struct{}

// Start implements dispatch.Target.
func (standIn) Start(_ context.Context, c *dispatch.Call) (dispatch.Progress, error) {
	if c.Target.URL == downURL {
		return dispatch.Progress{}, &dispatch.Error{Why: "the endpoint answered 503", Again: true, Refused: true}
	}
	return dispatch.Progress{State: journal.StateSucceeded, Text: "done by the target"}, nil
}

// planting are secrets of every platform, all that it has, one of them in characters that JSON and
// URLs escape.
var planting = map[string]string{
	"DingTalk": `"DingTalkClientId":"dingexample","DingTalkClientSecret":"PLANTED-\"1\"<&` +
		`\\","DingTalkClientSecretPrevious":"PLANTED-2","DingTalkToken":"PLANTED3",` +
		`"DingTalkEncodingAesKey":"PLANTEDkeynotarealkeynotarealkeynotarealkey","DingTalkCardSecret":"PLANTED-4"`,
	"WeChat": `"WeChatCorpId":"wwexample","WeChatAgentId":"1000002","WeChatSecret":"PLANTED-1",` +
		`"WeChatToken":"PLANTED2","WeChatTokenPrevious":"PLANTED3",` +
		`"WeChatEncodingAesKey":"PLANTEDkeynotarealkeynotarealkeynotarealkey","WeChatAibot":"true"`,
	"Feishu": `"FeishuAppId":"cli_example","FeishuAppSecret":"PLANTED-1","FeishuEncryptKey":"PLANTED-2",` +
		`"FeishuEncryptKeyPrevious":"PLANTED-3",` +
		`"FeishuVerificationToken":"PLANTED-4\"<&\\","FeishuOldCards":"true"`,
	"Slack": `"SlackSigningSecret":"PLANTED-1","SlackSigningSecretPrevious":"PLANTED-2","SlackTeamId":"T0EXAMPLE"`,
	"Teams": `"TeamsWebhookSecret":"UExBTlRFRC1ub3QtYS1yZWFsLXNlY3JldC1ub3QtYSE=",` +
		`"TeamsWebhookSecretPrevious":"UExBTlRFRC1ub3QtYS1yZWFsLXNlY3JldC1ub3QtYj8="`,
}

const permissions = `"Permissions":[{"Effect":"Allow","Principals":["user:manager4220"],` +
	`"Commands":["restart"],"Conversations":["*"]}]`

// leak finds what must not be seen.
var leak = regexp.MustCompile(`PLANTED|UExBTlRFRC|webhook/[0-9]+/[^/]+/[^/]+/[A-Za-z0-9_-]`)

func create(t *testing.T, at []string, name, kind, more string) {
	t.Helper()
	configuration := "{" + planting[kind] + "," + permissions + more + "}"
	mustRun(t, append([]string{"call", "CreateChatConfiguration", "Name=" + name, "Type=" + kind,
		"Configuration=" + configuration}, at...)...)
}

// What the issue calls done, for each platform: a message is sent and answered, its record is
// there, who has no grant is refused and told how to be granted, and the simulation says the same
// beforehand.
func TestSend(t *testing.T) {
	at, _ := newSendService(t)
	for _, p := range platform.All().Descriptions() {
		t.Run(p.Type, func(t *testing.T) {
			name := strings.ToLower(p.Type)
			create(t, at, name, p.Type, "")
			for user, allowed := range map[string]bool{"manager4220": true, "stranger7": false} {
				decision := map[bool]string{true: "Allowed", false: "Denied"}[allowed]
				out := mustRun(t, append([]string{"call", "SimulateChatPermission", "Name=" + name, "UserId=" + user,
					"ConversationId=c1", "Command=restart"}, at...)...)
				if !strings.Contains(out, fmt.Sprintf(`"Allowed": %v`, allowed)) {
					t.Errorf("%s: the simulation says %s", user, out)
				}
				out = mustRun(t, append([]string{"send", name, "restart i-123", "-v", "--user", user,
					"--conversation", "c1"}, at...)...)
				if seen, wire := strings.Index(out, p.Type+" shows:\n\n  "),
					strings.Index(out, "\nPOST http"); seen != 0 || wire < 0 {
					t.Errorf("%s: what is seen is at %d, the wire at %d: %s", user, seen, wire, out)
				}
				if !strings.Contains(out, "/webhook/"+app.DefaultAccountID+"/"+app.DefaultRegion+"/"+name+"/******") ||
					!strings.Contains(out, "200 OK, in ") || leak.MatchString(out) {
					t.Errorf("%s: %s", user, out)
				}
				if grants := strings.Contains(out,
					`{"Effect":"Allow","Principals":["user:stranger7"],"Commands":["restart"],`); grants == allowed ||
					!strings.Contains(out, p.Type+" shows") {
					t.Errorf("%s: %s", user, out)
				}
				out = mustRun(t, append([]string{"call", "ListChatCommands", "Name=" + name, "User=" + user}, at...)...)
				if !strings.Contains(out, `"Command": "restart"`) || !strings.Contains(out, `"i-123"`) ||
					!strings.Contains(out, `"Decision": "`+decision+`"`) || strings.Contains(out, `"Pending"`) {
					t.Errorf("%s: the record is %s", user, out)
				}
			}
		})
	}
}

// The service as 'chatconf serve' has it, found by its data directory.
func TestSendThroughServe(t *testing.T) {
	data := newData(t)
	settings, err := localSettings(data)
	if err != nil {
		t.Fatal(err)
	}
	settings.Addr = "127.0.0.1:0"
	ctx, stop := context.WithCancel(t.Context())
	started, stopped := make(chan app.Started, 1), make(chan error, 1)
	go func() {
		stopped <- app.ServeLocal(ctx, settings, func(s app.Started) { started <- s },
			app.Everything(serveActions(nil)...))
	}()
	select {
	case <-started:
	case err := <-stopped:
		t.Fatal(err)
	}
	at := []string{"--data", data}
	create(t, at, "ops", "WeChat", `,"BotName":"ops"`)
	for _, mode := range []string{"app", "json", "aibot"} {
		out := mustRun(t, append([]string{"send", "ops", "restart i-123", "--user", "manager4220", "--mode", mode},
			at...)...)
		if !strings.Contains(out, "WeChat shows:\n\n  ") || leak.MatchString(out) {
			t.Errorf("%s: %s", mode, out)
		}
	}
	if out := mustRun(t, append([]string{"call", "ListChatCommands", "Name=ops"}, at...)...); strings.Count(out,
		`"Command": "restart"`) != 3 {
		t.Errorf("the records are %s", out)
	}
	stop()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// Every kind of callback is answered, with either secret, and what is printed holds no secret.
func TestSendInEveryMode(t *testing.T) {
	at, _ := newSendService(t)
	for _, p := range platform.All().Descriptions() {
		name := strings.ToLower(p.Type)
		create(t, at, name, p.Type, "")
		messages, checks := platformsim.Modes(p.Type)
		for _, mode := range append(messages, checks...) {
			for _, more := range [][]string{{}, {"--previous"}, {"--direct", "--user-name", "Ann"}, {"-v"},
				{"-o", "json"}, {"--dry-run"}, {"--dry-run", "-o", "json"}} {
				args := append([]string{"send", name, "--mode", mode}, more...)
				if !slices.Contains(checks, mode) {
					args = append(args, "--user", "manager4220", "whoami")
				}
				out, err := run(t, "", append(args, at...)...)
				if err != nil || leak.MatchString(out) {
					t.Errorf("%q: %v\n%s", args, err, out)
				}
				dry, wire := slices.Contains(more, "--dry-run"), slices.Contains(more, "-v") ||
					slices.Contains(more, "json")
				if got := strings.Contains(out, "200 OK") ||
					strings.Contains(out, `"Status": 200`); got != (wire && !dry) {
					t.Errorf("%q: %s", args, out)
				}
				if got := strings.Contains(out, " shows") ||
					strings.Contains(out, "The check of the URL succeeded"); got != !dry &&
					!slices.Contains(more, "json") {
					t.Errorf("%q: %s", args, out)
				}
				var sent sendResponse
				if slices.Contains(more, "json") && (json.Unmarshal([]byte(out), &sent) != nil || sent.Type != p.Type ||
					sent.Mode != mode || sent.Request.Method == "" ||
					(sent.Request.Body == "") != (sent.Request.Method == "GET")) {
					t.Errorf("%q: %s", args, out)
				}
			}
		}
	}
}

// A message that is delivered again does nothing.
func TestSendOfADuplicate(t *testing.T) {
	at, _ := newSendService(t)
	for _, p := range platform.All().Descriptions() {
		name := strings.ToLower(p.Type)
		create(t, at, name, p.Type, "")
		for i := range 2 {
			out := mustRun(t, append([]string{"send", name, "restart", "--user", "manager4220", "--message-id", "7"},
				at...)...)
			if got := strings.Contains(out, "shows nothing: the message is a duplicate, "+
				"and nothing was done."); got != (i == 1) {
				t.Errorf("%s, time %d: %s", p.Type, i, out)
			}
		}
		out := mustRun(t, append([]string{"call", "ListChatCommands", "Name=" + name}, at...)...)
		if got := strings.Count(out, `"Command": "restart"`); got != 1 {
			t.Errorf("%s: %d records", p.Type, got)
		}
	}
}

// After a rotation the old secrets are taken for a while, and it can be tried out that they are.
func TestSendAfterARotation(t *testing.T) {
	at, _ := newSendService(t)
	mustRun(t, append([]string{"call", "CreateChatConfiguration", "Name=ops", "Type=WeChat",
		`Configuration={"WeChatCorpId":"wwexample","WeChatAgentId":"1000002","WeChatSecret":"PLANTED-1"}`}, at...)...)
	send := append([]string{"send", "ops", "whoami", "--user", "u"}, at...)
	if _, err := run(t, "", append(send, "--previous")...); err == nil {
		t.Error("a previous secret before any rotation")
	}
	for grace, want := range map[string]bool{"60": true, "0": false} {
		mustRun(t, append([]string{"call", "RotateChatWebhook", "Name=ops", "GraceSeconds=" + grace}, at...)...)
		mustRun(t, send...)
		if out, err := run(t, "", append(send, "--previous")...); (err == nil) != want {
			t.Errorf("with the previous secret, %s s of grace: %v, %s", grace, err, out)
		}
	}
}

// What comes after the webhook's own answer is waited for and printed; the platform is not called,
// and the record is settled.
func TestSendOfWhatIsSaidLater(t *testing.T) {
	at, _ := newSendService(t)
	const target = `,"Target":{"Type":"Http","Url":"%s","Secret":"whsec_bm90LWEtcmVhbC1zZWNyZXQtbm90LWEtcmVhbA=="}`
	create(t, at, "feishu", "Feishu", "")
	create(t, at, "slack", "Slack", "")
	for _, p := range platform.All().Descriptions() {
		create(t, at, "target-"+p.Type, p.Type, fmt.Sprintf(target, "https://example.com/"))
	}
	create(t, at, "down", "Feishu", fmt.Sprintf(target, downURL))
	for args, want := range map[string]struct{ later, outcome string }{
		"feishu whoami":                      {"manager4220", "Delivered"},
		"feishu restart":                     {"ccepted", "Delivered"},
		`feishu restart\x20"i-123`:           {"quot", "Delivered"},
		"feishu whoami --mode card":          {"", "Recorded"},
		"feishu whoami --mode v1":            {"manager4220", "Delivered"},
		"feishu whoami --mode old-card":      {"manager4220", "Delivered"},
		"feishu --mode check":                {"", ""},
		"feishu whoami --direct":             {"manager4220", "Delivered"},
		"target-Feishu whoami":               {"manager4220", "Delivered"},
		"target-Feishu restart":              {"done by the target", "Delivered"},
		"target-Feishu scale":                {`"Commands":["scale"]`, "Delivered"},
		"target-DingTalk restart":            {"done by the target", "Delivered"},
		"target-WeChat restart":              {"done by the target", "Delivered"},
		"target-WeChat restart --mode aibot": {"done by the target", "Delivered"},
		"target-Slack restart":               {"done by the target", "Delivered"},
		"target-Slack restart --mode event":  {"done by the target", "Delivered"},
		"target-Teams restart":               {"", "Delivered"}, // which has no way to answer later
		"slack whoami --mode button":         {"manager4220", "Delivered"},
		"slack whoami --mode event":          {"manager4220", "Delivered"},
		"slack whoami":                       {"", "Recorded"},
		"down restart --wait 0s":             {"", "Pending"},
	} {
		fields := strings.Fields(args)
		for i, field := range fields {
			fields[i] = strings.ReplaceAll(field, `\x20`, " ")
		}
		out := mustRun(t, append(append([]string{"send", "--user", "manager4220", "-o", "json"}, fields...), at...)...)
		var sent sendResponse
		if err := json.Unmarshal([]byte(out), &sent); err != nil || (sent.Later == "") != (want.later == "") ||
			!strings.Contains(sent.Later, want.later) || string(sent.Outcome) != want.outcome {
			t.Errorf("%s: %v, later %q, %s %s, want %q, %s", args, err, sent.Later, sent.Outcome,
				sent.Detail, want.later, want.outcome)
		}
		if strings.Contains(out, chat.SentHeader) {
			t.Errorf("%s: the wire has a header that is none of the platform's: %s", args, out)
		}
	}
	for args, want := range map[string]string{
		"feishu whoami":               "Feishu shows:\n\n  ",
		"target-DingTalk restart":     "restart was accepted.\n\nand then:\n\n  done by the target\n",
		"down restart --wait 0s":      "shows nothing yet; 'chatconf log down' will show",
		"feishu --mode check":         "The check of the URL succeeded: Feishu received what it had sent.\n",
		"target-Teams restart":        "Teams shows:\n\n  restart was accepted.\n",
		"slack --mode check --direct": "\n--user has no effect: it does not occur in the callback check of Slack.\n",
	} {
		if out := mustRun(t, append(append([]string{"send", "--user", "manager4220"}, strings.Fields(args)...),
			at...)...); !strings.Contains(out, want) || strings.Contains(out, "POST ") {
			t.Errorf("%s: %s, want %q", args, out, want)
		}
	}
	// The answer is sealed in the record: it may hold anything, and the list is for all who may
	// read.
	if out := mustRun(t, append([]string{"call", "ListChatCommands", "Name=target-Feishu"},
		at...)...); strings.Contains(out, "done by the target") ||
		!strings.Contains(out, "the message came from SendChatMessage, so the answer was kept") {
		t.Errorf("the records are %s", out)
	}
}

// What became of a message can be asked for later, by the id of its command. Nothing is sent then.
func TestLookingAgainForALaterAnswer(t *testing.T) {
	at, l := newSendService(t)
	const target = `,"Target":{"Type":"Http","Url":"%s","Secret":"whsec_bm90LWEtcmVhbC1zZWNyZXQtbm90LWEtcmVhbA=="}`
	create(t, at, "slow", "Feishu", fmt.Sprintf(target, "https://example.com/"))
	create(t, at, "down", "Feishu", fmt.Sprintf(target, downURL))
	ask := func(params ...string) (sent sendResponse) {
		t.Helper()
		out := mustRun(t, append(append([]string{"call", sendAction}, params...), at...)...)
		if err := json.Unmarshal([]byte(out), &sent); err != nil || leak.MatchString(out) {
			t.Fatalf("%v: %s", err, out)
		}
		return sent
	}
	first := ask("Name=slow", "UserId=manager4220", "Text=restart", "WaitSeconds=0")
	again := ask("Name=slow", "CommandId="+first.CommandId, "WaitSeconds=30")
	if again.CommandId != first.CommandId || again.Outcome != journal.OutcomeDelivered ||
		!strings.Contains(again.Later, "done by the target") || again.Answer != nil {
		t.Errorf("afterwards: %+v", again)
	}
	down := ask("Name=down", "UserId=manager4220", "Text=restart", "WaitSeconds=0")
	if again = ask("Name=down", "CommandId="+down.CommandId, "WaitSeconds=0"); again.Outcome != journal.OutcomePending {
		t.Errorf("before the end: %+v", again)
	}
	if out := mustRun(t, append([]string{"call", "ListChatCommands"}, at...)...); strings.Count(out, `"Id"`) != 2 {
		t.Errorf("the commands are %s", out)
	}
	for params, want := range map[string]string{
		"CommandId=" + first.CommandId:                  `"down" has no command "` + first.CommandId,
		"CommandId=x":                                   `"down" has no command "x"`,
		"CommandId=" + down.CommandId + " Text=restart": "leave one out",
	} {
		args := append([]string{"call", sendAction, "Name=down"}, strings.Fields(params)...)
		if _, err := run(t, "", append(args, at...)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", params, err, want)
		}
	}
	// Of a message over a connection, the stand-in has the answers.
	gateways := &standInGateways{of: map[string]platformsim.Gateway{"Feishu": gotLater{}}}
	p := &simulator{now: time.Now, gateways: gateways}
	for i := range maxStreamed + 1 {
		p.streamed.add(fmt.Sprint(i), 9)
	}
	p.streamed.add(first.CommandId, 1)
	out, err := p.send(l.Service, asAdministrator(t), &sendRequest{Name: "slow", CommandID: first.CommandId})
	if err != nil || out.Later != "second\n\nthird" {
		t.Errorf("over a connection: %+v, %v", out, err)
	}
	if _, ok := p.streamed.before("1"); ok || len(p.streamed.all) != maxStreamed {
		t.Errorf("%d messages are remembered", len(p.streamed.all))
	}
}

// A gotLater is a gateway that has got answers.
type gotLater struct{ platformsim.Gateway }

func (gotLater) Sent(callback.Settings) []string { return []string{"first", "second", "third"} }

// What a flag cannot change is said.
func TestSendSaysWhatDoesNotApply(t *testing.T) {
	at, _ := newSendService(t)
	for _, p := range platform.All().Descriptions() {
		create(t, at, strings.ToLower(p.Type), p.Type, "")
	}
	for args, want := range map[string][]string{
		"wechat whoami --conversation c1":                            {"--conversation"},
		"wechat whoami --conversation c1 --mode json":                {"--conversation"},
		"wechat whoami --conversation c1 --mode aibot":               nil,
		"wechat whoami --conversation c1 --mode aibot --direct":      {"--conversation"},
		"wechat whoami --direct --user-name Ann":                     {"--user-name", "--direct"},
		"dingtalk whoami --conversation c1 --direct --user-name Ann": nil,
		"feishu whoami --conversation c1 --direct --user-name Ann":   {"--user-name"},
		"slack whoami --conversation c1 --user-name Ann":             nil,
		"teams whoami --conversation c1 --direct --user-name Ann":    nil,
		"slack whoami --conversation c1 --mode check --message-id 7": {"--message-id",
			"--user", "--conversation", "The message"},
		"dingtalk whoami --conversation c1 --mode card --user-name Ann": {"--user-name"},
	} {
		out := mustRun(t, append(append([]string{"send", "--user", "u"}, strings.Fields(args)...), at...)...)
		var got []string
		for _, m := range regexp.MustCompile(`(?m)^(.*) has no effect: `).FindAllStringSubmatch(out, -1) {
			got = append(got, m[1])
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q have no effect, want %q\n%s", args, got, want, out)
		}
	}
}

func TestSendShowsTheURLWhenAsked(t *testing.T) {
	at, _ := newSendService(t)
	create(t, at, "ops", "Slack", "")
	got := mustRun(t, append([]string{"call", "GetChatConfiguration", "Name=ops"}, at...)...)
	token := regexp.MustCompile(`/ops/([A-Za-z0-9_-]+)`).FindStringSubmatch(got)[1]
	if out := mustRun(t, append([]string{"send", "ops", "help", "--user", "u", "--show-url"},
		at...)...); !strings.Contains(out, "/ops/"+token+"\n") {
		t.Errorf("%s", out)
	}
	if out := mustRun(t, append([]string{"send", "ops", "help", "--user", "u", "-v"}, at...)...); strings.Contains(out,
		token) || !strings.Contains(out, "/ops/******\n") {
		t.Errorf("%s", out)
	}
}

// The URL's token is shown to callers who may reveal Outputs; SendChatMessage is a permission of
// its own, which no pattern gives.
func TestSendIsAuthorised(t *testing.T) {
	at, l := newSendService(t)
	create(t, at, "ops", "Slack", "")
	for about, test := range map[string]struct {
		actions    string
		send, show bool
	}{
		"a reader":                 {`"oos:Get*","oos:List*"`, false, false},
		"a sender":                 {`"oos:SendChatMessage"`, true, false},
		"a sender who reads, too":  {`"oos:SendChatMessage","oos:Get*","oos:List*"`, true, false},
		"a sender who may reveal":  {`"oos:SendChatMessage","oos:RevealChatConfigurationOutputs"`, true, true},
		"who may all by a pattern": {`"oos:*"`, false, false},
		"who does something other": {`"oos:UpdateChatConfiguration"`, false, false},
	} {
		p, err := policy.Parse([]byte(`{"Version":"1","Statement":[{"Effect":"Allow","Action":[` + test.actions +
			`],"Resource":"acs:oos:*:*:chatconfiguration/ops"}]}`))
		if err != nil {
			t.Fatal(err)
		}
		key, err := l.Keys.Create(t.Context(), accesskey.Key{Account: app.DefaultAccountID,
			Name: about, Policies: []*policy.Policy{p}})
		if err != nil {
			t.Fatal(err)
		}
		as := append([]string{"send", "ops", "help", "--user", "u", "--access-key-id", key.ID,
			"--access-key-secret", key.Secret.Reveal()}, at...)
		for _, c := range []struct {
			more []string
			want bool
		}{{nil, test.send}, {[]string{"--show-url"}, test.show}} {
			out, err := run(t, "", append(as, c.more...)...)
			if (err == nil) != c.want || !c.want && (out != "" || isUsage(err) ||
				!strings.Contains(err.Error(), "NoPermission (403)")) {
				t.Errorf("%s %q: %v, %s", about, c.more, err, out)
			}
		}
	}
}

// What a person sees of a refusal says where to look.
func TestSendThatIsRefused(t *testing.T) {
	at, l := newSendService(t)
	create(t, at, "ops", "Slack", "")
	create(t, at, "bare", "Feishu", "")
	mustRun(t, append([]string{"call", "UpdateChatConfiguration", "Name=bare",
		`Configuration={"FeishuAppId":"cli_example","FeishuAppSecret":"******","FeishuEncryptKey":"******"}`},
		at...)...)
	for args, want := range map[string]string{
		"missing help --user u": "EntityNotExists.ChatConfiguration (404)",
		"ops help --user u --mode pigeon": `Mode "pigeon" is unknown to Slack; ` +
			`use command, event, button, stream, check.`,
		"ops help --mode event":                       "MissingParameter.UserId (400)",
		"ops --user u --mode event":                   "MissingParameter.Text (400)",
		"bare help --user u --mode old-card":          "FeishuVerificationToken is not set",
		"bare help --user u --previous":               "has no previous secret",
		"ops help --user u --region us-east-1":        "EntityNotExists.ChatConfiguration (404)",
		"ops help --user u --region x":                "InvalidRegion.NotFound (404)",
		"ops help --user u --conversation " + planted: "",
	} {
		out, err := run(t, "", append(append([]string{"send"}, strings.Fields(args)...), at...)...)
		switch {
		case want == "":
			if err != nil {
				t.Errorf("%s: %v", args, err)
			}
		case err == nil || isUsage(err) || out != "" || !strings.Contains(err.Error(), want) ||
			leak.MatchString(err.Error()):
			t.Errorf("%s: %q, %v, want %s", args, out, err, want)
		}
	}
	// The webhook's own refusal: a clock that is wrong makes every signature stale.
	p := &simulator{client: httpClient, now: func() time.Time { return time.Now().Add(-time.Hour) }}
	sent, err := p.send(l.Service, asAdministrator(t), &sendRequest{Name: "ops", UserID: "u", Text: "help"})
	if err != nil || sent.ok() || sent.Answer.Status != http.StatusUnauthorized ||
		sent.Answer.Text != "" || sent.Later != "" {
		t.Fatalf("%+v, %v", sent, err)
	}
	if err := sent.refusal(); err == nil || !strings.Contains(err.Error(), "refused the callback") ||
		!strings.Contains(err.Error(), "GetChatConfigurationHealth Name=ops") {
		t.Errorf("%v", err)
	}
	var b strings.Builder
	if err := sent.print(&b, true); err != nil || !strings.Contains(b.String(), "\n401 Unauthorized, in ") ||
		strings.Contains(b.String(), "shows") || leak.MatchString(b.String()) {
		t.Errorf("%v, %s", err, &b)
	}
	if out := mustRun(t, append([]string{"call", "GetChatConfigurationHealth", "Name=ops"},
		at...)...); !strings.Contains(out, `"Step": "freshness"`) {
		t.Errorf("the health is %s", out)
	}
}

func asAdministrator(t *testing.T) context.Context {
	t.Helper()
	return chat.WithCaller(t.Context(), &chat.Caller{Account: app.DefaultAccountID,
		Policies: []*policy.Policy{policy.Owner()}})
}

// What is wrong with the answer is told, without the URL.
func TestSendToAStranger(t *testing.T) {
	data := newData(t)
	var answer http.HandlerFunc
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer(w, r) }))
	defer s.Close()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	open := func(base string) *app.Local {
		settings, err := localSettings(data)
		if err != nil {
			t.Fatal(err)
		}
		settings.WebhookBaseURL = base
		l, err := app.OpenLocal(t.Context(), settings, app.Actions(serveActions(nil)...))
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	l := open("")
	configuration := secret.Text("{" + planting["Slack"] + "}")
	if _, err := l.Service.Create(asAdministrator(t), &chat.CreateRequest{Name: "ops", Type: "Slack",
		Configuration: configuration}); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for about, test := range map[string]struct {
		base   string
		answer http.HandlerFunc
		want   string
	}{
		"nobody listens": {gone.URL, nil, "the webhook did not answer: dial tcp"},
		"an answer of much": {s.URL, func(w http.ResponseWriter, _ *http.Request) {
			io.Copy(w,
				io.LimitReader(zeros{}, webhook.MaxBody+1))
		}, "longer than 1048576 bytes"},
		"an answer that ends": {s.URL, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9")
			io.WriteString(w, "x")
		}, "incomplete: unexpected EOF"},
		"an invalid answer": {s.URL, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>") },
			"would reject the answer: the answer is not the expected JSON"},
		"an answer to all": {s.URL, func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, `{"response_type":"in_channel","text":"PLANTED-1"}`)
		}, "visible to everyone"},
		"a redirect": {s.URL, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere?PLANTED-2", http.StatusTemporaryRedirect)
		}, "the webhook answered with status 307"},
	} {
		answer = test.answer
		l := open(test.base)
		p := &simulator{client: httpClient, now: time.Now}
		sent, err := p.send(l.Service, asAdministrator(t), &sendRequest{Name: "ops", UserID: "u", Text: "help"})
		if err := errors.Join(err, l.Close()); err != nil {
			t.Fatalf("%s: %v", about, err)
		}
		if err := sent.refusal(); err == nil || !strings.Contains(err.Error(), test.want) ||
			leak.MatchString(err.Error()) {
			t.Errorf("%s: %v, want %s", about, err, test.want)
		}
		var b strings.Builder
		if err := sent.print(&b, true); err != nil || !strings.Contains(b.String(), "POST ") ||
			leak.MatchString(b.String()) || strings.Contains(b.String(), "shows") {
			t.Errorf("%s: %v, %s", about, err, &b)
		}
	}
}

// A service that is none of ours, an older one, or none at all.
func TestSendNeedsALocalService(t *testing.T) {
	data := newData(t)
	at := []string{"--data", data}
	if out, err := run(t, "", append([]string{"send", "ops", "help", "--user", "u"}, at...)...); !isUsage(err) ||
		out != "" || !strings.Contains(err.Error(), "chatconf serve") {
		t.Errorf("no service: %v", err)
	}
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	if _, err := run(t, "", append([]string{"send", "ops", "help", "--user", "u", "--endpoint", gone.URL},
		at...)...); err == nil || isUsage(err) || !strings.Contains(err.Error(),
		"start the service with 'chatconf serve'") {
		t.Errorf("nobody listens: %v", err)
	}
	if _, err := run(t, "", append([]string{"send", "ops", "help", "--user", "u", "--endpoint", newService(t, data)},
		at...)...); err == nil || isUsage(err) || !strings.Contains(err.Error(),
		"has no action SendChatMessage; use 'chatconf serve'") {
		t.Errorf("a service without the action: %v", err)
	}
	other := httptest.NewServer(http.HandlerFunc(
		func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{}`) }))
	defer other.Close()
	if out, err := run(t, "", append([]string{"send", "ops", "help", "--user", "u", "--endpoint", other.URL},
		at...)...); err == nil || isUsage(err) || out != "" ||
		!strings.Contains(err.Error(), "sent no answer of SendChatMessage") {
		t.Errorf("something else: %v", err)
	}
}

// The help names each mode that a platform's mandatory settings are not enough for.
func TestSendHelpSaysWhatModesNeed(t *testing.T) {
	at, _ := newSendService(t)
	_, needs, _ := strings.Cut(mustRun(t, "send", "--help"), "Some modes need additional settings:\n")
	needs, _, _ = strings.Cut(needs, "\n\n")
	for kind, configuration := range map[string]string{
		"DingTalk": `{"DingTalkClientId":"dingexample","DingTalkClientSecret":"PLANTED-1"}`,
		"WeChat":   `{"WeChatCorpId":"wwexample","WeChatAgentId":"1000002","WeChatSecret":"PLANTED-1"}`,
		"Feishu":   `{"FeishuAppId":"cli_example","FeishuAppSecret":"PLANTED-1","FeishuEncryptKey":"PLANTED-2"}`,
		"Slack":    `{"SlackSigningSecret":"PLANTED-1"}`,
		"Teams":    `{"TeamsWebhookSecret":"UExBTlRFRC1ub3QtYS1yZWFsLXNlY3JldC1ub3QtYSE="}`,
	} {
		mustRun(t, append([]string{"call", "CreateChatConfiguration", "Name=bare-" + kind, "Type=" + kind,
			"Configuration=" + configuration}, at...)...)
		messages, checks := platformsim.Modes(kind)
		for _, mode := range append(messages, checks...) {
			_, err := run(t, "", append([]string{"send", "bare-" + kind, "whoami", "--user", "u", "--mode", mode},
				at...)...)
			if named := regexp.MustCompile(`(?m)^  ` + kind + ` +` + mode +
				` `).MatchString(needs); named != (err != nil) {
				t.Errorf("%s, %s: %v, but that the help names it is %v", kind, mode, err, named)
			}
			if err != nil && strings.Contains(err.Error(), "platformsim") {
				t.Errorf("%s, %s: %v names a package", kind, mode, err)
			}
		}
	}
}

func TestSendUsage(t *testing.T) {
	data := newData(t)
	for _, args := range []string{
		"send", "send ops", "send ops help", "send ops --user u", "send ops restart i-123 --user u",
		"send ops help --user u -o xml", "send ops help --user u --store mars",
		"send ops help --user u --store dynamodb", "send ops help --user u --timeout soon",
		"send ops help --user u --wait 31s", "send ops help --user u --wait=-1s",
	} {
		if out, err := run(t, "", append(strings.Fields(args), "--data", data)...); !isUsage(err) || out != "" {
			t.Errorf("%q: %v, %q", args, err, out)
		}
	}
}

// On the tables of a store, send needs no service that offers it.
func TestSendOnAStore(t *testing.T) {
	onDynamo(t)
	data := filepath.Join(t.TempDir(), "data")
	at := []string{"--store", "dynamodb", "--data", data}
	if _, err := run(t, "", append([]string{"send", "ops", "help", "--user", "u"}, at...)...); !isUsage(err) ||
		!strings.Contains(err.Error(), "CHATCONF_WEBHOOK_BASE_URL") {
		t.Errorf("no base URL: %v", err)
	}
	mustRun(t, "tables", "--target", "lambda")
	posted := make(chan *http.Request, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		posted <- r
		io.WriteString(w, `{"response_type":"ephemeral","text":"1 &lt; 2\u001b[31m"}`)
	}))
	defer s.Close()
	t.Setenv("CHATCONF_WEBHOOK_BASE_URL", s.URL)
	if _, err := run(t, "", append([]string{"send", "ops", "help", "--user", "u"}, at...)...); !isUsage(err) ||
		!strings.Contains(err.Error(), "has no service yet") {
		t.Errorf("no service yet: %v", err)
	}
	l, _ := openOn(t, storeDynamoDB, data)
	if _, err := l.Service.Create(asAdministrator(t), &chat.CreateRequest{Name: "ops", Type: "Slack",
		Configuration: secret.Text("{" + planting["Slack"] + "}")}); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	out := mustRun(t, append([]string{"send", "ops", "help", "--user", "u"}, at...)...)
	r := <-posted
	if !strings.Contains(out, "Slack shows:\n\n  1 < 2\ufffd[31m\n") || leak.MatchString(out) ||
		r.Header.Get("X-Slack-Signature") == "" {
		t.Errorf("%v\n%s", r.Header, out)
	}
	if _, err := run(t, "", append([]string{"send", "missing", "help", "--user", "u"},
		at...)...); fault.CodeOf(err) != fault.NotFound {
		t.Errorf("a configuration that is not there: %v", err)
	}
	// Without the setting, the service of the data directory is meant.
	t.Setenv("CHATCONF_WEBHOOK_BASE_URL", "")
	if err := os.WriteFile(filepath.Join(data, "endpoint"), []byte(s.URL+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	mustRun(t, append([]string{"send", "ops", "help", "--user", "u"}, at...)...)
	<-posted
}

// Secrets are masked however they are written, and of two of which one begins with the other, both
// whole.
func TestHider(t *testing.T) {
	e := &command.Endpoint{Type: "Slack", Settings: map[string]secret.Text{
		"SlackSigningSecret": `PLANTED"<&>+\/'"`, "SlackSigningSecretPrevious": `PLANTED"<&>+\/'"LONGER`,
		"SlackBotToken": "", "SlackTeamId": "T0EXAMPLE"}}
	const address = "https://example.com/webhook/1/cn/ops/A-TOKEN"
	hide := hider(e, address, false)
	for _, key := range []string{"SlackSigningSecret", "SlackSigningSecretPrevious"} {
		secret := e.Settings[key].Reveal()
		escaped, err := json.Marshal(secret)
		if err != nil {
			t.Fatal(err)
		}
		var plain bytes.Buffer
		document.WriteString(&plain, secret)
		for _, written := range []string{secret, string(escaped[1 : len(escaped)-1]), plain.String()[1 : plain.Len()-1],
			url.QueryEscape(secret), url.PathEscape(secret), html.EscapeString(secret)} {
			if got, want := hide("a "+written+" T0EXAMPLE A-TOKEN b"), "a ****** T0EXAMPLE ****** b"; got != want {
				t.Errorf("%s as %s: %q, want %q", key, written, got, want)
			}
		}
	}
	if got, want := hider(e, address, true)("A-TOKEN"), "A-TOKEN"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	// A short one would mask parts of every other word.
	short := &command.Endpoint{Type: "Feishu", Settings: map[string]secret.Text{
		"FeishuVerificationToken": "t", "FeishuAppSecret": `t"<`, "FeishuEncryptKey": "sixsix",
		"FeishuEncryptKeyPrevious": "fives"}}
	if got, want := hider(short, address, false)(`text fives sixsix {"token":"t","a":"t\"<","b":"tt","c":"fives"}`),
		`text fives ****** {"token":"******","a":"******","b":"tt","c":"******"}`; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// No function offers SendChatMessage: it is not among the actions of the API.
func TestOnlyServeSends(t *testing.T) {
	is := func(a rpc.Action) bool { return a.Name == sendAction }
	if slices.ContainsFunc(rpc.Actions(), is) || !slices.ContainsFunc(serveActions(nil), is) ||
		len(serveActions(nil)) != len(rpc.Actions())+len(rpc.KeyActions())+len(rpc.ResealActions())+1 {
		t.Error("SendChatMessage is an action of the API, or none of serve")
	}
}

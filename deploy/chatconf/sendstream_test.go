package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"chatconf/shared/app"
	"chatconf/shared/command"
	"chatconf/shared/journal"
	"chatconf/shared/platform"
	"chatconf/shared/platform/callback"
	"chatconf/shared/platform/platformsim"
	"chatconf/shared/secret"
)

// serveStandIns starts the service as 'chatconf serve' does, with stand-ins for all platforms. It
// returns the flags that find it.
func serveStandIns(t *testing.T) (at []string) {
	t.Helper()
	data := newData(t)
	settings, err := localSettings(data)
	if err != nil {
		t.Fatal(err)
	}
	settings.Addr = "127.0.0.1:0"
	var names []string
	for name := range standIns {
		names = append(names, name)
	}
	gateways, err := openStandIns(names, &settings, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(gateways.close)
	role, closeTargets, err := localRole(&settings, "", nil, gateways, new(localConsole))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	started, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		stopped <- app.ServeLocal(ctx, settings, func(app.Started) { close(started) }, role)
	}()
	select {
	case <-started:
	case err := <-stopped:
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
		if err := closeTargets(); err != nil {
			t.Error(err)
		}
	})
	return []string{"--data", data}
}

// streamPlanting are secrets of bots with connections.
var streamPlanting = map[string]string{
	"DingTalk": `"DingTalkClientId":"dingexample","DingTalkClientSecret":"PLANTED-1"`,
	"Feishu":   `"FeishuAppId":"cli_example","FeishuAppSecret":"PLANTED-1"`,
	"Slack":    `"SlackAppToken":"xapp-1-A0EXAMPLE-1-PLANTED"`,
	"WeChat":   `"WeChatBotId":"aibexample","WeChatBotSecret":"PLANTED-1"`,
}

// A bot of each platform answers over the connection that the service opens to the stand-in: at
// once or later, as the platform does it. It is recorded as by a webhook, and nothing leaks.
func TestSendOverConnections(t *testing.T) {
	at := serveStandIns(t)
	streams := platform.All().Streams()
	if len(streams) != len(standIns) {
		t.Errorf("%d platforms have connections, and %d stand-ins", len(streams), len(standIns))
	}
	for platformType := range streams {
		t.Run(platformType, func(t *testing.T) {
			t.Parallel()
			name := strings.ToLower(platformType)
			mustRun(t, append([]string{"call", "CreateChatConfiguration", "Name=" + name, "Type=" + platformType,
				`Configuration={"Receive":"Stream",` + streamPlanting[platformType] + "," + permissions + "}"},
				at...)...)
			send := func(user, text string, more ...string) string {
				t.Helper()
				out := mustRun(t, slices.Concat([]string{"send", name, "--user", user, text}, more, at)...)
				if leak.MatchString(out) {
					t.Errorf("%s: %s", text, out)
				}
				return out
			}
			stream := []string{"--mode", modeStream}
			for _, said := range []struct{ user, text, shows string }{
				{"manager4220", "restart i-123", "restart was accepted."},
				{"manager4220", "whoami", "Your user id is manager4220"},
				{"manager4220", "drop i-123", "You may not run drop here."},
				{"stranger7", "restart i-123", "You may not run restart here."},
			} {
				if out := send(said.user, said.text, stream...); !strings.HasPrefix(out,
					platformType+" shows:\n\n  "+said.shows) {
					t.Errorf("%s says %s: %s", said.user, said.text, out)
				}
			}
			// It is the default for such a bot.
			var sent sendResponse
			text := send("manager4220", "restart i-124", "-o", "json")
			if err := json.Unmarshal([]byte(text), &sent); err != nil || sent.Mode != modeStream ||
				sent.Answer == nil || !strings.Contains(sent.Answer.Text+sent.Later, "accepted") || sent.Duplicate {
				t.Errorf("%v: %s", err, text)
			}
			if sent.CommandId == "" ||
				sent.Outcome != journal.OutcomeRecorded && sent.Outcome != journal.OutcomeDelivered {
				t.Errorf("the record is %q, %s", sent.CommandId, sent.Outcome)
			}
			out := mustRun(t, append([]string{"call", "ListChatCommands", "Name=" + name, "User=manager4220",
				"Command=restart"}, at...)...)
			if !strings.Contains(out, sent.CommandId) || strings.Count(out, `"Decision": "Allowed"`) != 2 {
				t.Errorf("%s is not in %s", sent.CommandId, out)
			}
			record := regexp.MustCompile(`\n\nThe message went over the connection of ` + name +
				`, and was acknowledged in \d+ ms\.\nIts record is \S+: (Recorded|Delivered)\.\n$`)
			if out := send("manager4220", "help", "-v"); !record.MatchString(out) {
				t.Errorf("with -v: %s", out)
			}
			if platformType != "WeChat" { // which waits seconds for an answer that never comes
				duplicate := append([]string{"--message-id", "7"}, stream...)
				send("manager4220", "help", duplicate...)
				if out := send("manager4220", "help", duplicate...); out != platformType+
					" shows nothing: the message is a duplicate, and nothing was done.\n" {
					t.Errorf("a duplicate: %s", out)
				}
			}
			out = mustRun(t, append([]string{"show", name}, at...)...)
			if !strings.Contains(out, "Working: the connection is open.\n") ||
				rowOf(out, "Connection Connected") == "" || leak.MatchString(out) {
				t.Errorf("show: %s", out)
			}
		})
	}
}

// A person who mixes connections and webhooks up is told what to do.
func TestSendToTheOtherKindOfBot(t *testing.T) {
	at, _ := newSendService(t)
	mustRun(t, append([]string{"call", "CreateChatConfiguration", "Name=ops", "Type=Slack",
		`Configuration={"Receive":"Stream",` + streamPlanting["Slack"] + "}"}, at...)...)
	for line, want := range map[string]string{
		"send ops --user u help":               "serve --emulate slack', and use Mode stream",
		"send ops --user u --mode stream help": "serve --emulate slack'",
		"send ops --mode stream help":          "the sender is missing; use --user",
		"send ops --mode stream --user u":      "the message is missing",
		"send ops --mode socket --user u help": `Mode "socket" is unknown to Slack; use command, event, button, stream`,
	} {
		_, err := run(t, "", append(strings.Fields(line), at...)...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q in it", line, err, want)
		}
	}
}

// What keeps a message from going over a connection is said, all at once.
func TestAMessageThatGoesOverNoConnection(t *testing.T) {
	gateway, err := platformsim.NewGateway("DingTalk", platformsim.GatewayOptions{})
	if err != nil {
		t.Fatal(err)
	}
	stream := func(platform string) *command.Endpoint {
		return &command.Endpoint{Name: "ops", Type: platform, Receive: command.ReceiveStream, Active: true}
	}
	for about, test := range map[string]struct {
		e       *command.Endpoint
		in      sendRequest
		gateway platformsim.Gateway
		want    []string
	}{
		"a platform without connections": {stream("Teams"), sendRequest{UserID: "u", Text: "help"}, nil,
			[]string{"no connections to Teams"}},
		"no stand-in": {stream("WeChat"), sendRequest{UserID: "u", Text: "help"}, nil,
			[]string{"--emulate wecom"}},
		"a bot that is off": {&command.Endpoint{Name: "ops", Type: "DingTalk", Receive: command.ReceiveStream},
			sendRequest{UserID: "u", Text: "help"}, gateway, []string{"chatconf set ops Status=Active"}},
		"a bot with a webhook": {&command.Endpoint{Name: "ops", Type: "DingTalk", Active: true},
			sendRequest{UserID: "u", Text: "help"}, gateway,
			[]string{`needs Receive "Stream" in the Configuration of "ops", and it is "Webhook"`}},
		"all at once": {&command.Endpoint{Name: "ops", Type: "Slack"}, sendRequest{Previous: true, DryRun: true,
			ShowURL: true}, nil, []string{"--emulate slack", `Receive "Stream"`, "Previous cannot be used",
			"DryRun cannot be used", "ShowUrl cannot be used", "UserId", "Text"}},
	} {
		err := checkStream(test.e, &test.in, test.gateway)
		for _, want := range test.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q in it", about, err, want)
			}
		}
	}
	if err := checkStream(stream("DingTalk"), &sendRequest{UserID: "u", Text: "help"}, gateway); err != nil {
		t.Error(err)
	}
}

// A pushing is a gateway to which messages come to a certain end.
type pushing struct {
	platformsim.Gateway
	pushed platformsim.Pushed
	err    error
}

func (p pushing) Push(context.Context, callback.Settings, platformsim.Message) (platformsim.Pushed, error) {
	return p.pushed, p.err
}

// What the service did not do with a message is said, without the secrets of the bot.
func TestAMessageThatIsNotAcknowledged(t *testing.T) {
	gateway, err := platformsim.NewGateway("DingTalk", platformsim.GatewayOptions{})
	if err != nil {
		t.Fatal(err)
	}
	e := &command.Endpoint{Name: "ops", Type: "DingTalk", Receive: command.ReceiveStream, Active: true,
		Settings: map[string]secret.Text{"DingTalkClientId": "dingexample", "DingTalkClientSecret": "PLANTED-1"}}
	for want, test := range map[string]pushing{
		"the service has no connection for the bot; 'chatconf show ops' says why": {err: context.DeadlineExceeded},
		"the answer is PLANTED": {err: errors.New("platformsim: the answer is PLANTED-1")},
		"the service could not record the message, and asked for it again; its log says why": {
			pushed: platformsim.Pushed{Again: true, Deliveries: 3}},
	} {
		test.Gateway = gateway
		gateways := &standInGateways{of: map[string]platformsim.Gateway{"DingTalk": test}}
		p := &simulator{now: time.Now, gateways: gateways}
		out, err := p.sendStream(t.Context(), nil, e, &sendRequest{UserID: "u", Text: "help"}, 0)
		if err != nil {
			t.Fatal(err)
		}
		want = strings.ReplaceAll(want, "PLANTED", secret.Mask)
		if out.Problem != want || out.ok() || out.Answer != nil {
			t.Errorf("%+v, want %q", out, want)
		}
	}
}

// The stand-ins take the place of the platforms' addresses, so nothing else may name those.
func TestStandInsAreAlone(t *testing.T) {
	settings, err := localSettings(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	settings.PlatformAddresses = map[string]string{"slack.com:443": "127.0.0.1:1"}
	if _, err := openStandIns([]string{"slack"}, &settings, nil); err == nil ||
		!strings.Contains(err.Error(), "CHATCONF_PLATFORM_ADDRESSES") {
		t.Errorf("openStandIns beside other addresses: %v", err)
	}
}

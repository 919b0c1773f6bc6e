package main

import (
	"strings"
	"testing"

	"chatconf/shared/command"
	"chatconf/shared/platform/platformsim"
)

// What keeps a message from going over a connection is said, all at once.
func TestAMessageThatGoesOverNoConnection(t *testing.T) {
	gateway, err := platformsim.NewGateway("DingTalk", platformsim.GatewayOptions{})
	if err != nil {
		t.Fatal(err)
	}
	stream := func(platform string) *command.Endpoint {
		return &command.Endpoint{Name: "ops", Type: platform, Receive: command.ReceiveStream}
	}
	for about, test := range map[string]struct {
		e       *command.Endpoint
		in      sendRequest
		gateway platformsim.Gateway
		want    []string
	}{
		"a platform without connections": {stream("Teams"), sendRequest{UserID: "u", Text: "help"}, nil,
			[]string{"unknown to Teams"}},
		"no stand-in": {stream("WeChat"), sendRequest{UserID: "u", Text: "help"}, nil,
			[]string{"--emulate wecom"}},
		"a bot with a webhook": {&command.Endpoint{Name: "ops", Type: "DingTalk"},
			sendRequest{UserID: "u", Text: "help"}, gateway,
			[]string{`needs Receive "Stream" in the Configuration of "ops", and it is "Webhook"`}},
		"all at once": {&command.Endpoint{Name: "ops", Type: "Slack"}, sendRequest{Previous: true, DryRun: true,
			ShowURL: true}, nil, []string{"--emulate slack", `Receive "Stream"`, "Previous has no meaning",
			"DryRun has no meaning", "ShowUrl has no meaning", "UserId", "Text"}},
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

package slack_test

import (
	"strings"
	"testing"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/platform/callback"
	"chatconf/shared/platform/platformtest"
	"chatconf/shared/platform/slack"
	"chatconf/shared/secret"
)

func TestSend(t *testing.T) {
	byURL := command.ReplyTo{Kind: "response_url", URL: "https://hooks.slack.com/commands/not-a-real-path",
		Expires: now.Add(time.Minute)}
	gov := command.ReplyTo{Kind: "response_url", URL: "https://hooks.slack-gov.com/commands/not-a-real-path"}
	channel, thread := command.ReplyTo{Kind: "channel", ID: "C1"}, command.ReplyTo{Kind: "channel", ID: "C1:1.2"}
	const bot = "xoxb-not-a-real-token"
	for name, test := range map[string]struct {
		to        command.ReplyTo
		token     string
		status    int
		answer    string
		ok, again bool
		sent      string // the path
		body      string // a part of it
	}{
		"by an address": {byURL, "", 200, "ok", true, false, "/commands/not-a-real-path",
			`{"response_type":"ephemeral","replace_original":false,"mrkdwn":false,"parse":"none","link_names":false,` +
				`"text":"a &lt;!channel&gt; &amp; b"}`},
		"by an address, answered in JSON": {byURL, "", 200, `{"ok":true}`, true,
			false, "/commands/not-a-real-path", ""},
		"by an address of the government": {gov, "", 200, "ok", true, false, "/commands/not-a-real-path", ""},
		"by an address that was used up": {byURL, "", 404, "used_url", false,
			false, "/commands/not-a-real-path", ""},
		"by an address, refused in JSON": {byURL, "", 200, `{"ok":false,"error":"invalid_payload"}`, false,
			false, "/commands/not-a-real-path", ""},
		"by an address, answered by a page": {byURL, "", 200, "<html>" + strings.Repeat("x", 100), false,
			false, "/commands/not-a-real-path", ""},
		"too often": {byURL, "", 429, "", false, true, "/commands/not-a-real-path", ""},
		"by an address that has expired": {command.ReplyTo{Kind: "response_url", URL: byURL.URL, Expires: now},
			"", 200, "ok", false, false, "", ""},
		"by an address that has expired, without a person": {command.ReplyTo{Kind: "response_url", URL: byURL.URL,
			Expires: now}, bot, 200, "ok", false, false, "", ""},
		"by an address that has expired, without a token": {command.ReplyTo{Kind: "response_url", URL: byURL.URL,
			ID: "C1:U1", Expires: now}, "", 200, "ok", false, false, "", ""},
		"to a person in a channel, after it": {command.ReplyTo{Kind: "response_url", URL: byURL.URL, ID: "C1:U1",
			Expires: now}, bot, 200, `{"ok":true}`, true, false, "/api/chat.postEphemeral",
			`{"channel":"C1","user":"U1","unfurl_links":false,`},
		"to a person who is not in the channel": {command.ReplyTo{Kind: "response_url", URL: byURL.URL, ID: "C1:U1",
			Expires: now}, bot, 200, `{"ok":false,"error":"user_not_in_channel"}`, false, false,
			"/api/chat.postEphemeral", ""},
		"by an address of somebody else": {command.ReplyTo{Kind: "response_url",
			URL: "https://hooks.slack.com.example.com/not-a-real-path"}, "", 200, "ok", false, false, "", ""},
		"to a channel": {channel, bot, 200, `{"ok":true,"ts":"1"}`, true, false,
			"/api/chat.postMessage", `{"channel":"C1","unfurl_links":false,"unfurl_media":false,"mrkdwn":false`},
		"to a thread": {thread, bot, 200, `{"ok":true}`, true, false, "/api/chat.postMessage",
			`{"channel":"C1","thread_ts":"1.2",`},
		"to a channel it is not in": {channel, bot, 200, `{"ok":false,"error":"not_in_channel"}`, false,
			false, "/api/chat.postMessage", ""},
		"to a channel, too often": {channel, bot, 429, `{"ok":false,"error":"ratelimited"}`, false,
			true, "/api/chat.postMessage", ""},
		"to a channel, while Slack is down": {channel, bot, 200, `{"ok":false,"error":"service_unavailable"}`, false,
			true, "/api/chat.postMessage", ""},
		"to a channel, not whole": {channel, bot, 200, `{"ok":false,"error":"request_timeout"}`, false,
			true, "/api/chat.postMessage", ""},
		"to a channel, while it moves": {channel, bot, 200, `{"ok":false,"error":"team_added_to_org"}`, false,
			true, "/api/chat.postMessage", ""},
		"to a channel, with an internal one": {channel, bot, 200, `{"ok":false,"error":"internal_error"}`, false,
			true, "/api/chat.postMessage", ""},
		"to a channel without a token": {channel, "", 200, `{"ok":true}`, false, false, "", ""},
		"by another way":               {command.ReplyTo{Kind: "pigeon"}, bot, 200, "ok", false, false, "", ""},
	} {
		p := platformtest.NewServer(t, now, []string{"hooks.slack.com", "hooks.slack-gov.com", "slack.com"},
			func(platformtest.Request) (int, string) { return test.status, test.answer })
		s, err := slack.Platform{}.NewSender(callback.Settings{"SlackBotToken": secret.Text(test.token)}, p.Client)
		if err != nil {
			t.Fatal(err)
		}
		err = s.Send(t.Context(), test.to, "a <!channel> & b")
		platformtest.CheckSendError(t, name, err, test.ok, test.again)
		r := p.Requests()
		switch {
		case len(r) == 0 && test.sent == "":
		case len(r) != 1 || r[0].URI != test.sent || !strings.Contains(r[0].Body, test.body):
			t.Errorf("%s: %+v", name, r)
		case test.token != "" && r[0].Header.Get("Authorization") != "Bearer "+test.token:
			t.Errorf("%s: no token", name)
		}
	}
}

func TestSendWithoutANetwork(t *testing.T) {
	p := platformtest.NewServer(t, now, []string{"slack.com"}, nil)
	s, err := slack.Platform{}.NewSender(callback.Settings{"SlackBotToken": "xoxb-not-a-real-token"}, p.Client)
	if err != nil {
		t.Fatal(err)
	}
	platformtest.CheckSendCanceled(t, s, command.ReplyTo{Kind: "channel", ID: "C1"},
		command.ReplyTo{Kind: "response_url", URL: "https://hooks.slack.com/not-a-real-path"})
}

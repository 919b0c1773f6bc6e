package platformsim

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"html"
	"net/url"
	"strings"

	"chatconf/shared/platform/callback"
)

// slack simulates Slack.
var slack = Simulator{
	Type: "Slack",
	Modes: []Mode{
		{Name: "command", Make: slackCommand, Receiver: []string{"SlackTeamId"}, Carries: true},
		{Name: "event", Make: slackEvent, Receiver: []string{"SlackTeamId"}},
		{Name: "button", Make: slackButton, Receiver: []string{"SlackTeamId"}},
		{Name: "check", Check: true, Make: slackCheck},
	},
	Enclosures: map[string]func(*Maker, string) (*Callback, error){"event": slackEventOf,
		"form": slackFormOf, "payload": slackPayloadOf},
	Example: callback.Settings{"SlackSigningSecret": "not-a-real-secret", "SlackTeamId": "T0EXAMPLE"},
}

const formURLEncoded = "application/x-www-form-urlencoded"

func (k *Maker) slack(body []byte, contentType string) (*Callback, error) {
	if err := k.need("SlackSigningSecret"); err != nil {
		return nil, err
	}
	at := k.seconds()
	return post(body, contentType, "X-Slack-Request-Timestamp", at,
		"X-Slack-Signature", "v0="+hex.EncodeToString(mac(k.Settings.Get("SlackSigningSecret"),
			"v0:"+at+":"+string(body)))), nil
}

func (k *Maker) slackTeam() string { return cmp.Or(k.Settings.Get("SlackTeamId"), "T0EXAMPLE") }

// slackEscape escapes typed text as Slack does.
func slackEscape(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
}

func slackChannel(m Message) string {
	if m.Direct {
		return cmp.Or(m.Conversation, "D0EXAMPLE")
	}
	return cmp.Or(m.Conversation, "C0EXAMPLE")
}

// slackCommand is a slash command.
func slackCommand(k *Maker, m Message) (*Callback, error) {
	c, err := k.slack([]byte(slackCommandForm(k, m).Encode()), formURLEncoded)
	if err != nil {
		return nil, err
	}
	return c.reading(slackAnswer), nil
}

// slackCommandForm is what Slack sends of a slash command, by either way.
func slackCommandForm(k *Maker, m Message) url.Values {
	form := url.Values{"team_id": {k.slackTeam()}, "team_domain": {"example"}, "channel_id": {slackChannel(m)},
		"channel_name": {"example"}, "user_id": {m.User},
		"user_name": {cmp.Or(m.UserName, m.User)}, "command": {"/chatconf"}, "text": {slackEscape(m.Text)},
		"trigger_id": {m.ID}, "api_app_id": {"A0EXAMPLE"},
		"is_enterprise_install": {"false"}}
	if m.ReplyURL != "" {
		form.Set("response_url", m.ReplyURL)
	}
	return form
}

// slackAnswer reads the answer to a slash command. Without a type, only its sender sees it.
func slackAnswer(body []byte) (string, error) {
	if len(body) == 0 {
		return "", nil
	}
	var a struct {
		Type string `json:"response_type"`
		Text string `json:"text"`
	}
	if err := decode(body, &a); err != nil {
		return "", err
	}
	if cmp.Or(a.Type, "ephemeral") != "ephemeral" || strings.ContainsAny(a.Text, "<>") {
		return "", fmt.Errorf("platformsim: the answer is visible to everyone, or has markup")
	}
	return html.UnescapeString(a.Text), nil
}

// slackTS derives a message's ts from its id, so that a duplicate has the same ts.
func slackTS(id string) string {
	h := fnv.New64a()
	h.Write([]byte(id))
	sum := h.Sum64()
	return fmt.Sprintf("%d.%06d", 1_700_000_000+sum%100_000_000, sum/100_000_000%1_000_000)
}

// slackEvent is a mention of the bot in a channel, or a message to it.
func slackEvent(k *Maker, m Message) (*Callback, error) {
	return k.slack(slackEventBody(k, m).bytes(), "application/json")
}

// slackEventBody is what Slack sends of an event, by either way.
func slackEventBody(k *Maker, m Message) object {
	at := slackTS(m.ID)
	event := object{"type": "app_mention", "user": m.User, "text": "<@U0BOT> " + slackEscape(m.Text),
		"channel": slackChannel(m), "ts": at, "event_ts": at}
	if m.Direct {
		event["type"], event["channel_type"], event["text"] = "message", "im", slackEscape(m.Text)
	}
	return object{"token": "example", "team_id": k.slackTeam(), "api_app_id": "A0EXAMPLE",
		"type": "event_callback", "event_id": m.ID,
		"event_time": k.Now.Unix(), "event": event, "is_ext_shared_channel": false,
		"authorizations": []object{{"enterprise_id": nil, "team_id": k.slackTeam(), "user_id": "U0BOT",
			"is_bot": true}}}
}

// slackButton is a button with the text as its value.
func slackButton(k *Maker, m Message) (*Callback, error) {
	return k.slack([]byte(url.Values{"payload": {slackButtonPayload(k, m).String()}}.Encode()), formURLEncoded)
}

// slackButtonPayload is what Slack sends of a button, by either way.
func slackButtonPayload(k *Maker, m Message) object {
	payload := object{"type": "block_actions", "user": object{"id": m.User, "username": cmp.Or(m.UserName, m.User),
		"team_id": k.slackTeam()},
		"team":    object{"id": k.slackTeam(), "domain": "example"},
		"channel": object{"id": slackChannel(m), "name": "example"}, "trigger_id": m.ID,
		"actions": []object{{"type": "button", "action_id": "run", "block_id": "b", "value": m.Text,
			"action_ts": fmt.Sprintf("%d.000100", k.Now.Unix())}}}
	if m.ReplyURL != "" {
		payload["response_url"] = m.ReplyURL
	}
	return payload
}

// slackCheck is the check of the URL.
func slackCheck(k *Maker, _ Message) (*Callback, error) {
	challenge := k.hex(16)
	c, err := k.slack(object{"token": "example", "challenge": challenge, "type": "url_verification"}.bytes(),
		"application/json")
	if err != nil {
		return nil, err
	}
	return c.reading(echo(challenge)), nil
}

func slackEventOf(k *Maker, text string) (*Callback, error) {
	return k.slack([]byte(text), "application/json")
}

func slackFormOf(k *Maker, text string) (*Callback, error) {
	return k.slack([]byte(text), formURLEncoded)
}

func slackPayloadOf(k *Maker, text string) (*Callback, error) {
	return slackFormOf(k, url.Values{"payload": {text}}.Encode())
}

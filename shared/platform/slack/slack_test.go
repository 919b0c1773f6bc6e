package slack_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/platform/callback"
	"chatconf/shared/platform/platformtest"
	"chatconf/shared/platform/slack"
)

var now = platformtest.Now

func receiver(t testing.TB, team string) callback.Receiver {
	t.Helper()
	return platformtest.Receiver(t, slack.Platform{}.NewReceiver, platformtest.With("Slack", "SlackTeamId", team))
}

// signed is a callback of a body, signed.
func signed(body string) *callback.Request {
	at := strconv.FormatInt(now.Unix(), 10)
	h := hmac.New(sha256.New, []byte("not-a-real-secret"))
	h.Write([]byte("v0:" + at + ":" + body))
	return &callback.Request{Method: "POST", Body: []byte(body), Now: now,
		Header: http.Header{"X-Slack-Request-Timestamp": {at},
			"X-Slack-Signature": {"v0=" + hex.EncodeToString(h.Sum(nil))}}}
}

const formStart = "team_id=T0EXAMPLE&channel_id=C1&user_id=U1&user_name=u&command=%2Fops&trigger_id=t1&" +
	"response_url=https%3A%2F%2Fhooks.slack.com%2Fx&text="

func event(rest string) string {
	return `{"type":"event_callback","team_id":"T0EXAMPLE","event_id":"Ev1","authorizations":[{"user_id":"UBOT",` +
		`"is_bot":true}],"event":` + rest + `}`
}

func action(rest string) string {
	return url.Values{"payload": {`{"type":"block_actions","user":{"id":"U1","username":"u","team_id":"T0EXAMPLE"},` +
		`"team":{"id":"T0EXAMPLE"},"trigger_id":"t1","response_url":"https://hooks.slack.com/x"` + rest + `}`}}.Encode()
}

func TestMessages(t *testing.T) {
	r := receiver(t, "T0EXAMPLE")
	for name, test := range map[string]struct {
		body             string
		text, user, room string
		direct, nothing  bool
		step             callback.Step
	}{
		"a command": {body: formStart + "restart+i-1",
			text: "restart i-1", user: "U1", room: "C1"},
		"a command one to one": {body: strings.Replace(formStart, "C1", "D1", 1) + "help",
			text: "help", user: "U1", room: "D1", direct: true},
		"entities are decoded once": {body: formStart + url.QueryEscape("a &lt;b&gt; &amp;lt; \u00a0c"),
			text: "a <b> &lt;  c", user: "U1", room: "C1"},
		"a mention, a channel, a group, all": {body: formStart +
			url.QueryEscape("<@U2|bob> <#C2|general> <!subteam^S1|@sre> <!here>"),
			text: "@U2 #C2 @S1 @here", user: "U1", room: "C1"},
		"a link that Slack made is what was typed": {body: formStart +
			url.QueryEscape("<http://db.example.com|db.example.com> <mailto:a@b.c|a@b.c> <tel:123|123>"),
			text: "db.example.com a@b.c 123", user: "U1", room: "C1"},
		"a link with another label is its address": {body: formStart +
			url.QueryEscape("<https://a.example.com/x|b.example.com> <https://c.example.com>"),
			text: "https://a.example.com/x https://c.example.com", user: "U1", room: "C1"},
		"markup that does not end": {body: formStart + url.QueryEscape("a < b"),
			text: "a < b", user: "U1", room: "C1"},
		"the probe of the certificate": {body: "ssl_check=1&token=x", nothing: true},
		"a form with a field twice":    {body: formStart + "x&user_id=U2", step: callback.StepDecode},
		"an invalid form":              {body: formStart + "%zz", step: callback.StepDecode},
		"a form with a semicolon":      {body: formStart + "x;user_id=U2", step: callback.StepDecode},
		"a form that is not UTF-8":     {body: formStart + "%ff", step: callback.StepDecode},
		"a form without a command": {body: strings.Replace(formStart, "command", "c", 1) +
			"x", step: callback.StepDecode},
		"no body": {body: "", step: callback.StepReceiver},
		"another workspace": {body: strings.Replace(formStart, "T0EXAMPLE", "T0OTHER", 1) +
			"x", step: callback.StepReceiver},
		"a workspace of the organisation": {body: "enterprise_id=T0EXAMPLE&" +
			strings.Replace(formStart, "T0EXAMPLE", "T0OTHER", 1) + "x", text: "x", user: "U1", room: "C1"},
		"no channel": {body: strings.Replace(formStart, "channel_id=C1&", "", 1) +
			"x", step: callback.StepDecode},
		"a mention of the bot": {
			body: event(`{"type":"app_mention","user":"U1","text":"<@UBOT> restart <@U2>","channel":"C1"}`),
			text: "restart @U2", user: "U1", room: "C1"},
		"a mention of the bot behind": {
			body: event(`{"type":"app_mention","user":"U1","text":"restart <@UBOT|ops>","channel":"C1"}`),
			text: "restart", user: "U1", room: "C1"},
		"a mention, and nobody says who the bot is": {
			body: `{"type":"event_callback","team_id":"T0EXAMPLE","event_id":"Ev1","event":{"type":"app_mention",` +
				`"user":"U1","text":" <@UX> help <@UY>","channel":"C1"}}`, text: "help @UY", user: "U1", room: "C1"},
		"no mention, and nobody says who it is": {
			body: `{"type":"event_callback","team_id":"T0EXAMPLE","event_id":"Ev1","event":{"type":"app_mention",` +
				`"user":"U1","text":"help","channel":"C1"}}`, text: "help", user: "U1", room: "C1"},
		"a mention that does not end": {
			body: event(`{"type":"app_mention","user":"U1","text":"help <@UBOT","channel":"C1"}`),
			text: "help <@UBOT", user: "U1", room: "C1"},
		"a message one to one": {
			body: event(`{"type":"message","channel_type":"im","user":"U1","text":"help","channel":"D1"}`),
			text: "help", user: "U1", room: "D1", direct: true},
		"somebody of another workspace": {
			body: event(`{"type":"app_mention","user":"U1","user_team":"T0OTHER","text":"help","channel":"C1"}`),
			text: "help", user: "T0OTHER/U1", room: "C1"},
		"a message in a channel": {
			body:    event(`{"type":"message","channel_type":"channel","user":"U1","text":"help","channel":"C1"}`),
			nothing: true},
		"a bot's message": {
			body: event(`{"type":"message","channel_type":"im","user":"U1","bot_id":"B1","text":"help",` +
				`"channel":"D1"}`), nothing: true},
		"a message with a bot's profile": {
			body: event(`{"type":"message","channel_type":"im","user":"U1","bot_profile":{"id":"B1"},"text":"help",` +
				`"channel":"D1"}`), nothing: true},
		"a mention by a bot with a profile": {
			body: event(`{"type":"app_mention","user":"U1","bot_profile":{"id":"B1"},"text":"<@UBOT> ` +
				`help","channel":"C1"}`), nothing: true},
		"the bot's own message": {
			body:    event(`{"type":"message","channel_type":"im","user":"UBOT","text":"help","channel":"D1"}`),
			nothing: true},
		"a message that was changed": {
			body:    event(`{"type":"message","channel_type":"im","subtype":"message_changed","channel":"D1"}`),
			nothing: true},
		"too many events": {body: `{"type":"app_rate_limited","team_id":"T0EXAMPLE"}`,
			nothing: true},
		"an event of another workspace": {body: strings.Replace(
			event(`{"type":"app_mention","user":"U1","text":"x","channel":"C1"}`), "T0EXAMPLE", "T0OTHER", 1),
			step: callback.StepReceiver},
		"an event without an id": {body: strings.Replace(
			event(`{"type":"app_mention","user":"U1","text":"x","channel":"C1"}`), "Ev1", "", 1),
			step: callback.StepDecode},
		"an event whose text is a number": {
			body: event(`{"type":"app_mention","user":"U1","text":1,"channel":"C1"}`), step: callback.StepDecode},
		"an event of a type that is a number": {body: `{"type":1}`, step: callback.StepDecode},
		"invalid JSON":                        {body: `{"type"`, step: callback.StepDecode},
		"a challenge that is missing":         {body: `{"type":"url_verification"}`, step: callback.StepDecode},
		"a button": {body: action(
			`,"channel":{"id":"C1"},"actions":[{"action_id":"a","value":"restart <x>"}]`),
			text: "restart <x>", user: "U1", room: "C1"},
		"a menu": {body: action(
			`,"channel":{"id":"D1"},"actions":[{"action_id":"a","selected_option":{"value":"help"}}]`), text: "help",
			user: "U1", room: "D1", direct: true},
		"a button on no message": {body: action(`,"actions":[{"action_id":"a","value":"x"}]`),
			nothing: true},
		"a link": {body: action(
			`,"channel":{"id":"C1"},"actions":[{"action_id":"a"}]`), nothing: true},
		"no actions": {body: action(`,"channel":{"id":"C1"}`), nothing: true},
		"a button whose value is a number": {body: action(`,"channel":{"id":"C1"},"actions":[{"value":1}]`),
			step: callback.StepDecode},
		"actions that are no objects": {body: action(`,"actions":["x"]`), step: callback.StepDecode},
		"a payload that is no JSON":   {body: "payload=x", step: callback.StepDecode},
		"a button, of another workspace": {body: strings.ReplaceAll(action(`,"actions":[]`), "T0EXAMPLE",
			"T0OTHER"), step: callback.StepReceiver},
		"a button, by somebody of another": {body: strings.Replace(
			action(`,"channel":{"id":"C1"},"actions":[{"value":"x"}]`), "T0EXAMPLE", "T0OTHER", 1),
			text: "x", user: "T0OTHER/U1", room: "C1"},
	} {
		in, err := r.Receive(signed(test.body))
		if platformtest.StepOf(err) != test.step {
			t.Errorf("%s: %v, want %q", name, err, test.step)
			continue
		}
		if err != nil {
			continue
		}
		if m := in.Message; (m == nil) != test.nothing || m != nil &&
			(m.Text != test.text || m.User != test.user || m.Conversation != test.room || m.Direct != test.direct) {
			t.Errorf("%s: %+v", name, m)
		}
		if response, err := r.Answer(in, ""); err != nil || response.Status != 200 || len(response.Body) > 0 {
			t.Errorf("%s: acknowledged with %+v, %v", name, response, err)
		}
	}
}

func TestRepliesAndIDs(t *testing.T) {
	r := receiver(t, "")
	receive := func(body string) *command.Message {
		t.Helper()
		in, err := r.Receive(signed(body))
		if err != nil || in.Message == nil {
			t.Fatalf("%s: %v", body, err)
		}
		return in.Message
	}
	if m := receive(formStart + "x"); m.ID != "t1" || m.ReplyTo.Kind != "response_url" ||
		m.ReplyTo.URL.Reveal() != "https://hooks.slack.com/x" || m.ReplyTo.Uses != 5 ||
		m.ReplyTo.ID != m.Conversation+":"+m.User ||
		!m.ReplyTo.Expires.Equal(now.Add(30*time.Minute).Truncate(time.Second)) {
		t.Errorf("%+v", m)
	}
	bare := strings.NewReplacer("trigger_id=t1&", "", "response_url=https%3A%2F%2Fhooks.slack.com%2Fx&",
		"").Replace(formStart)
	if m := receive(bare + "x"); m.ID == "" || m.ID != receive(bare+"x").ID || m.ID == receive(bare+"y").ID ||
		m.ReplyTo != (command.ReplyTo{}) {
		t.Errorf("%+v", m)
	}
	if m := receive(event(`{"type":"app_mention","user":"U1","text":"x","channel":"C1",` +
		`"thread_ts":"1.2"}`)); m.ID != "Ev1" || m.ReplyTo != (command.ReplyTo{Kind: "channel", ID: "C1:1.2"}) {
		t.Errorf("%+v", m)
	}
}

// What is not signed decides nothing: a content type that lies changes nothing.
func TestContentTypeCountsForNothing(t *testing.T) {
	r := receiver(t, "")
	for _, body := range []string{formStart + "x",
		event(`{"type":"app_mention","user":"U1","text":"x","channel":"C1"}`)} {
		for _, kind := range []string{"", "application/json", "application/x-www-form-urlencoded",
			"text/xml; charset=gbk"} {
			in := signed(body)
			in.Header.Set("Content-Type", kind)
			if got, err := r.Receive(in); err != nil || got.Message == nil {
				t.Errorf("%q: %v", kind, err)
			}
		}
	}
}

func TestAnswersMentionNobody(t *testing.T) {
	r := receiver(t, "")
	in, err := r.Receive(signed(formStart + "x"))
	if err != nil {
		t.Fatal(err)
	}
	response, err := r.Answer(in, "<!channel> <@U1> & <https://example.com|x>"+strings.Repeat("x", 20_000))
	if err != nil {
		t.Fatal(err)
	}
	var a struct {
		Type   string `json:"response_type"`
		Text   string `json:"text"`
		Mrkdwn *bool  `json:"mrkdwn"`
	}
	if err := json.Unmarshal(response.Body, &a); err != nil || a.Type != "ephemeral" || a.Mrkdwn == nil || *a.Mrkdwn ||
		strings.ContainsAny(a.Text, "<>") ||
		!strings.HasPrefix(a.Text, "&lt;!channel&gt; ") || len(a.Text) > 13_000 {
		t.Errorf("%.200s, %v", response.Body, err)
	}
}

// FuzzReceive gives any body, signed. Whatever is taken has ids that can be kept, and what is
// answered holds no markup.
func FuzzReceive(f *testing.F) {
	for _, body := range []string{formStart + "x",
		event(`{"type":"app_mention","user":"U1","text":"<@UBOT> <a|b>","channel":"C1"}`),
		action(`,"channel":{"id":"C1"},"actions":[{"value":"x"}]`), "ssl_check=1"} {
		f.Add(body)
	}
	r := receiver(f, "")
	f.Fuzz(func(t *testing.T, body string) {
		in, err := r.Receive(signed(body))
		if err != nil {
			if platformtest.StepOf(err) == "" {
				t.Errorf("an error that is no refusal: %v", err)
			}
			return
		}
		if m := in.Message; m != nil && (m.ID == "" || m.Conversation == "" ||
			strings.ContainsAny(m.User+m.ID+m.Conversation, " \n\x00")) {
			t.Errorf("%+v", m)
		}
		response, err := r.Answer(in, body)
		if err != nil || response.Carries && (!json.Valid(response.Body) ||
			strings.ContainsAny(string(response.Body), "<>")) {
			t.Errorf("%+v, %v", response, err)
		}
	})
}

// A message is its channel and ts, whatever event tells of it and however often.
func TestAMessageHasOneID(t *testing.T) {
	r := receiver(t, "")
	seen := make(map[string]string)
	for _, told := range []string{
		`"event_id":"Ev1","event":{"type":"app_mention","user":"U1","text":"<@UBOT> ` +
			`help","channel":"C1","ts":"1795420800.000100"}`,
		`"event_id":"Ev2","event":{"type":"app_mention","user":"U1","text":"<@UBOT> ` +
			`help","channel":"C1","ts":"1795420800.000100","edited":{"ts":"1"}}`,
		`"event_id":"Ev3","event":{"type":"message","channel_type":"channel","user":"U1","text":"<@UBOT> ` +
			`help","channel":"C1","ts":"1795420800.000100"}`,
		`"event_id":"Ev4","event":{"type":"message","subtype":"message_changed","channel_type":"channel",` +
			`"channel":"C1","ts":"1795420801.000200",` +
			`"message":{"user":"U1","text":"<@UBOT> help","ts":"1795420800.000100","edited":{"user":"U1","ts":"1"}}}`,
	} {
		in, err := r.Receive(
			signed(`{"type":"event_callback","team_id":"T1","authorizations":[{"user_id":"UBOT","is_bot":true}],` +
				told + `}`))
		if err != nil || in.Message == nil {
			t.Fatalf("%s: %+v, %v", told, in, err)
		}
		m := in.Message
		if m.ID != "C1/1795420800.000100" || m.Text != "help" || m.User != "U1" ||
			m.Unread != "" || m.ReplyTo.ID != "C1" {
			t.Errorf("%s: %+v", told, m)
		}
		if (m.Edit != "") != strings.Contains(told, "edited") {
			t.Errorf("%s: its edit is %q", told, m.Edit)
		}
		seen[m.EventID] = m.ID
	}
	if len(seen) != 4 {
		t.Errorf("the events are %v", seen)
	}
	for ts, want := range map[string]string{"1795334401.000100": "", "1795334399.000100": command.UnreadEdit,
		"x": "", "-1": "", "99999999999999": ""} {
		in, err := r.Receive(signed(event(`{"type":"app_mention","user":"U1","text":"help","channel":"C1","ts":"` +
			ts + `","edited":{"ts":"1"}}`)))
		if err != nil || in.Message.Unread != want {
			t.Errorf("edited, of %s: %+v, %v", ts, in, err)
		}
	}
}

// The probe of the certificate is not signed. Whatever is in it, it is acknowledged and does
// nothing; nothing else comes without a signature.
func TestProbe(t *testing.T) {
	r := receiver(t, "T0EXAMPLE")
	for about, c := range map[string]struct {
		method, query, body string
		refused             bool
	}{
		"a form":                {method: "POST", body: "ssl_check=1&token=example"},
		"a form, the other way": {method: "POST", body: "token=example&ssl_check=1"},
		"a form with more":      {method: "POST", body: formStart + "restart&ssl_check=1"},
		"a query":               {method: "GET", query: "ssl_check=1&token=example"},
		"a query with a body": {method: "POST", query: "ssl_check=1",
			body: event(`{"type":"app_mention","user":"U1","text":"x","channel":"C1"}`)},
		"another value":       {method: "POST", body: "ssl_check=0&token=example", refused: true},
		"a longer value":      {method: "POST", body: "ssl_check=11", refused: true},
		"a longer name":       {method: "POST", body: "xssl_check=1", refused: true},
		"no value":            {method: "POST", body: "ssl_check", refused: true},
		"twice in the query":  {method: "GET", query: "ssl_check=1&ssl_check=1", refused: true},
		"by GET, with a body": {method: "GET", body: "ssl_check=1", refused: true},
		"by another method":   {method: "PUT", body: "ssl_check=1", refused: true},
		"too long to be looked at": {method: "POST", body: strings.Repeat("x=1&", 1024) +
			"ssl_check=1", refused: true},
		"a command without a proof": {method: "POST", body: formStart + "restart", refused: true},
	} {
		query, err := url.ParseQuery(c.query)
		if err != nil {
			t.Fatal(err)
		}
		in, err := r.Receive(&callback.Request{Method: c.method, Query: query, Body: []byte(c.body),
			Header: http.Header{}, Now: now})
		if c.refused {
			if platformtest.StepOf(err) != callback.StepRequest {
				t.Errorf("%s: %+v, %v", about, in, err)
			}
			continue
		}
		if err != nil || !in.Unproven || in.Kind != "ssl_check" || in.Message != nil ||
			in.Handshake != nil || in.Guards != nil {
			t.Errorf("%s: %+v, %v", about, in, err)
			continue
		}
		if out, err := r.Answer(in, "text"); err != nil || out.Status != 200 || len(out.Body) > 0 {
			t.Errorf("%s: %+v, %v", about, out, err)
		}
	}
	wrong := signed("ssl_check=1&token=example")
	wrong.Header.Set("X-Slack-Signature", "v0="+strings.Repeat("0", 64))
	if in, err := r.Receive(wrong); platformtest.StepOf(err) != callback.StepSignature {
		t.Errorf("with a wrong signature: %+v, %v", in, err)
	}
}

// Whatever somebody uses, and in whichever workspace of an organisation, it is the same person.
// Somebody of another organisation is told from them.
func TestOnePersonHasOneID(t *testing.T) {
	told := func(outer, inner string) string {
		return `{"type":"event_callback","event_id":"Ev1",` + outer +
			`,"event":{"type":"app_mention","user":"U1","text":"help","channel":"C1","ts":"1.2"` + inner + `}}`
	}
	pressed := func(team, rest string) string {
		return url.Values{"payload": {`{"type":"block_actions","user":{"id":"U1","team_id":"` + team +
			`"},"channel":{"id":"C1"},"actions":[{"value":"x"}],` + rest + `}`}}.Encode()
	}
	command := func(team, organisation string) string {
		return "team_id=" + team + "&enterprise_id=" + organisation +
			"&is_enterprise_install=true&channel_id=C1&user_id=U1&command=%2Fops&text=x&trigger_id=t"
	}
	const (
		grid    = `"context_team_id":"T1","context_enterprise_id":"E1"`
		orgWide = `"team_id":"T2","enterprise_id":"E1","authorizations":[{"enterprise_id":"E1","team_id":null,` +
			`"user_id":"UBOT","is_bot":true,"is_enterprise_install":true}]`
		external = `,"is_ext_shared_channel":true`
	)
	for about, c := range map[string]struct{ setting, body, want string }{
		"a slash command in the workspace":     {"E1", command("T1", "E1"), "U1"},
		"a slash command in another workspace": {"E1", command("T2", "E1"), "U1"},
		"a mention in the workspace": {"E1",
			told(`"team_id":"T1","enterprise_id":"E1",`+grid, ""), "U1"},
		"a mention in another workspace": {"E1",
			told(`"team_id":"T2","enterprise_id":"E1",`+grid, ""), "U1"},
		"a mention by somebody of another workspace": {"E1",
			told(`"team_id":"T1","enterprise_id":"E1",`+grid, `,"user_team":"T2"`), "U1"},
		"a mention by somebody of the organisation": {"E1",
			told(`"team_id":"T1","enterprise_id":"E1",`+grid, `,"user_team":"E1"`), "U1"},
		"a mention, and the app is the organisation's": {"E1", told(orgWide, `,"team":"T2"`), "U1"},
		"the same by somebody of a third workspace":    {"E1", told(orgWide, `,"user_team":"T3"`), "U1"},
		"the same in a shared channel":                 {"E1", told(orgWide+external, ""), "U1"},
		"a mention in a shared channel from another workspace": {"E1",
			told(`"team_id":"T2","enterprise_id":"E1",`+grid+external, `,"user_team":"T2"`), "U1"},
		"a button in the workspace": {"E1",
			pressed("T1", `"team":{"id":"T1"},"enterprise":{"id":"E1"}`), "U1"},
		"a button in another workspace": {"E1",
			pressed("T2", `"team":{"id":"T1"},"enterprise":{"id":"E1"}`), "U1"},
		"a button, and the app is the organisation's": {"E1",
			pressed("T2", `"team":null,"enterprise":{"id":"E1"},"is_enterprise_install":true`), "U1"},
		"a button, the organisation told with the workspace": {"E1",
			pressed("T2", `"team":{"id":"T1","enterprise_id":"E1"},"enterprise":null`), "U1"},
		"without an organisation, a slash command": {"T1", command("T1", ""), "U1"},
		"without an organisation, a mention": {"T1",
			told(`"team_id":"T1"`+external, `,"user_team":"T1"`), "U1"},
		"without an organisation, a button": {"T1",
			pressed("T1", `"team":{"id":"T1"},"enterprise":null`), "U1"},
		"a stranger's mention": {"T1",
			told(`"team_id":"T1"`+external, `,"user_team":"T9"`), "T9/U1"},
		"a stranger's mention, told of by the other workspace": {"T1",
			told(`"team_id":"T9","context_team_id":"T1"`+external, ""), "T9/U1"},
		"a stranger's mention, of another organisation": {"T1",
			told(`"team_id":"T9","enterprise_id":"E9","context_team_id":"T1"`+external, `,"user_team":"E9"`), "T9/U1"},
		"a stranger's button": {"T1",
			pressed("T9", `"team":{"id":"T1"},"enterprise":null`), "T9/U1"},
		"a stranger's mention in a channel of the organisation": {"E1",
			told(`"team_id":"T1","enterprise_id":"E1",`+grid+external, `,"user_team":"T9"`), "T9/U1"},
		"nobody": {"T1", strings.Replace(told(`"team_id":"T9","context_team_id":"T1"`, ""), `"user":"U1",`, "", 1), ""},
	} {
		in, err := receiver(t, c.setting).Receive(signed(c.body))
		if err != nil || in.Message == nil || in.Message.User != c.want {
			t.Errorf("%s: %+v, %v, want %q", about, in, err, c.want)
		}
	}
	for about, body := range map[string]string{
		"a slash command": command("T9", "E9"),
		"a mention":       told(`"team_id":"T9","enterprise_id":"E9","context_team_id":"T9"`, ""),
		"a button":        pressed("T1", `"team":{"id":"T9"}`),
	} {
		if in, err := receiver(t, "T1").Receive(signed(body)); platformtest.StepOf(err) != callback.StepReceiver {
			t.Errorf("%s of another workspace: %+v, %v", about, in, err)
		}
	}
}

// In a shared channel, the workspace an event is of need not be the one that this app is in, and
// ids are each workspace's own.
func TestUsersOfAnotherWorkspaceAreNotTakenForThisOnes(t *testing.T) {
	r := receiver(t, "T0EXAMPLE")
	for members, want := range map[string]string{
		`"team_id":"T0OTHER","context_team_id":"T0EXAMPLE","event":{"user_team":"T0OTHER",`:     "T0OTHER/U1",
		`"team_id":"T0OTHER","context_team_id":"T0EXAMPLE","event":{`:                           "T0OTHER/U1",
		`"team_id":"T0OTHER","context_team_id":"T0EXAMPLE","event":{"user_team":"T0EXAMPLE",`:   "U1",
		`"team_id":"T0EXAMPLE","context_team_id":"T0EXAMPLE","event":{"source_team":"T0OTHER",`: "T0OTHER/U1",
		`"team_id":"T0EXAMPLE","event":{`:                                                       "U1",
	} {
		in, err := r.Receive(signed(`{"type":"event_callback","event_id":"Ev1",` + members +
			`"type":"app_mention","user":"U1","text":"help","channel":"C1"}}`))
		if err != nil || in.Message.User != want {
			t.Errorf("%s: %+v, %v, want %s", members, in, err, want)
		}
	}
}

package slack_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"chatconf/shared/dispatch"
	"chatconf/shared/platform/callback"
	"chatconf/shared/platform/platformtest"
	"chatconf/shared/platform/slack"
)

const (
	hello     = `{"type":"hello","num_connections":1,"debug_info":{"approximate_connection_time":18060}}`
	opened    = `{"ok":true,"url":"wss://wss-primary.slack.com/link/?ticket=not-a-real-ticket"}`
	appToken  = "xapp-not-a-real-token"
	socketURL = "wss://wss-primary.slack.com/link/?ticket=not-a-real-ticket"
)

// open opens a connection over a socket. Slack answers the call before with a status and a body.
func open(t testing.TB, socket *platformtest.Socket, status int, body string) (callback.Connection, error) {
	t.Helper()
	server := platformtest.NewServer(t, now, []string{"slack.com"}, func(r platformtest.Request) (int, string) {
		if r.URI != "/api/apps.connections.open" || r.Method != "POST" ||
			r.Header.Get("Authorization") != "Bearer "+appToken {
			t.Errorf("%s %s with %q", r.Method, r.URI, r.Header.Get("Authorization"))
		}
		return status, body
	})
	s, err := slack.Platform{}.NewStream(callback.Settings{"SlackAppToken": appToken, "SlackTeamId": "T0EXAMPLE"},
		server.Client)
	if err != nil {
		t.Fatal(err)
	}
	return s.Open(t.Context(), socket)
}

// connected returns a connection over which Slack has greeted, and sends the frames.
func connected(t testing.TB, frames ...string) (callback.Connection, *platformtest.Socket) {
	t.Helper()
	socket := platformtest.NewSocket(append([]string{hello}, frames...)...)
	c, err := open(t, socket, 200, opened)
	if err != nil {
		t.Fatal(err)
	}
	return c, socket
}

func envelope(kind, payload string) string {
	return fmt.Sprintf(`{"type":%q,"envelope_id":"e1","accepts_response_payload":%v,"payload":%s,"retry_attempt":0}`,
		kind, kind == "slash_commands", payload)
}

// slash is the payload of a command that is a form by webhook.
func slash(t testing.TB, form string) string {
	t.Helper()
	values, err := url.ParseQuery(form)
	if err != nil {
		t.Fatal(err)
	}
	fields := make(map[string]string)
	for name := range values {
		fields[name] = values.Get(name)
	}
	text, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestOpen(t *testing.T) {
	c, socket := connected(t)
	want := []callback.Dial{{What: "slack: Socket Mode", URL: socketURL, Hosts: []string{".slack.com"}}}
	if diff := cmp.Diff(want, socket.Dialed()); diff != "" {
		t.Error(diff)
	}
	if c.PingEvery() != 0 || c.Ping(t.Context()) != nil || c.Close() != nil || !socket.Closed() {
		t.Error("a connection that pings, or does not close")
	}
	if _, err := (slack.Platform{}).NewStream(callback.Settings{"SlackSigningSecret": "not-a-real-secret"},
		nil); err == nil || dispatch.Retryable(err) {
		t.Errorf("without a token: %v", err)
	}
}

// Only what a person must change in the settings ends the retries.
func TestOpenFails(t *testing.T) {
	for about, test := range map[string]struct {
		status int
		body   string
		socket *platformtest.Socket
		want   string
		final  bool
	}{
		"a wrong token":        {body: `{"ok":false,"error":"invalid_auth"}`, want: "does not accept", final: true},
		"a bot's token":        {body: `{"ok":false,"error":"not_allowed_token_type"}`, want: "xapp-", final: true},
		"a token without it":   {body: `{"ok":false,"error":"missing_scope"}`, want: "connections:write", final: true},
		"an outage":            {body: `{"ok":false,"error":"internal_error"}`, want: "internal_error"},
		"another error":        {body: `{"ok":false,"error":"access_denied"}`, want: "access_denied"},
		"too many calls":       {status: 429, body: `{}`, want: "429"},
		"a page":               {status: 502, body: `<html>`, want: "502"},
		"no address":           {body: `{"ok":true}`, want: "200"},
		"no answer":            {status: -1, want: "apps.connections.open"},
		"a socket that is not": {socket: &platformtest.Socket{Refused: errors.New("refused")}, want: "refused"},
		"no greeting":          {socket: platformtest.NewSocket(), want: "closed"},
		"another greeting":     {socket: platformtest.NewSocket(`{"type":"x"}`), want: "did not send its first"},
		"garbage":              {socket: platformtest.NewSocket("\x00"), want: "did not send its first"},
		"an end": {socket: platformtest.NewSocket(`{"type":"disconnect","reason":"too_many_websockets"}`),
			want: "too_many_websockets"},
		"Socket Mode is off": {socket: platformtest.NewSocket(`{"type":"disconnect","reason":"link_disabled"}`),
			want: "turn on Socket Mode"},
	} {
		t.Run(about, func(t *testing.T) {
			status, body, socket := 200, opened, test.socket
			if socket == nil {
				socket, body = platformtest.NewSocket(hello), test.body
			}
			if status = test.status; status == 0 {
				status = 200
			} else if status < 0 {
				status = 0
			}
			_, err := open(t, socket, status, body)
			platformtest.CheckSendError(t, about, err, false, !test.final)
			if err != nil && (!strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "wss:")) {
				t.Errorf("%v; want %q", err, test.want)
			}
			if socket.Refused == nil && len(socket.Dialed()) > 0 && !socket.Closed() {
				t.Error("the socket is still open")
			}
		})
	}
}

// What comes over a connection is the same message as by webhook.
func TestTheSameMessageAsByWebhook(t *testing.T) {
	mention := event(`{"type":"app_mention","user":"U1","text":"<@UBOT> restart i-1","channel":"C1","ts":"1.000100"}`)
	button := action(`,"channel":{"id":"C1"},"actions":[{"type":"button","action_id":"a","value":"restart i-1"}]`)
	form, err := url.ParseQuery(button)
	if err != nil {
		t.Fatal(err)
	}
	r := receiver(t, "T0EXAMPLE")
	for about, test := range map[string]struct{ body, frame string }{
		"an event":  {mention, envelope("events_api", mention)},
		"a button":  {button, envelope("interactive", form.Get("payload"))},
		"a command": {formStart + "restart+i-1", envelope("slash_commands", slash(t, formStart+"restart+i-1"))},
	} {
		want, err := r.Receive(signed(test.body))
		if err != nil {
			t.Fatal(err)
		}
		c, _ := connected(t, test.frame)
		got, err := c.Next(t.Context())
		if err != nil || got.Refused != nil {
			t.Fatalf("%s: %+v, %v", about, got, err)
		}
		if diff := cmp.Diff(want.Message, got.Received.Message); want.Message == nil || diff != "" {
			t.Errorf("%s: %s", about, diff)
		}
	}
}

func TestNext(t *testing.T) {
	mention := `{"type":"app_mention","user":"U1","text":"<@UBOT> help","channel":"C1","ts":"1.000100"}`
	for about, test := range map[string]struct {
		frame, kind, text string
		step              callback.Step
		renew             string
		mute              bool // there is nothing to acknowledge
	}{
		"an event":         {frame: envelope("events_api", event(mention)), text: "help"},
		"an ignored event": {frame: envelope("events_api", event(`{"type":"reaction_added"}`)), kind: "reaction_added"},
		"the check": {frame: envelope("events_api", `{"type":"url_verification","challenge":"x"}`),
			kind: "events_api"},
		"another workspace": {frame: envelope("events_api", strings.ReplaceAll(event(mention), "T0EX", "T1EX")),
			step: callback.StepReceiver},
		"a damaged event": {frame: envelope("events_api", `[1]`), step: callback.StepDecode},
		"a member twice":  {frame: envelope("events_api", `{"type":"x","type":"y"}`), step: callback.StepDecode},
		"no payload":      {frame: `{"type":"events_api","envelope_id":"e1"}`, step: callback.StepDecode},
		"a null":          {frame: envelope("interactive", `null`), step: callback.StepDecode},
		"a modal": {frame: envelope("interactive", `{"type":"view_submission","team":{"id":"T0EXAMPLE"}}`),
			kind: "view_submission"},
		"no command": {frame: envelope("slash_commands", `{"team_id":"T0EXAMPLE"}`), step: callback.StepDecode},
		"a number": {frame: envelope("slash_commands", `{"team_id":"T0EXAMPLE","command":"/o","channel_id":"C1",`+
			`"trigger_id":1}`), step: callback.StepDecode},
		"a list":        {frame: envelope("slash_commands", `[]`), step: callback.StepDecode},
		"something new": {frame: envelope("workflows", `"x"`), kind: "workflows"},
		"garbage":       {frame: "\xff{", step: callback.StepDecode, mute: true},
		"no object":     {frame: `[]`, step: callback.StepDecode, mute: true},
		"a warning":     {frame: `{"type":"disconnect","reason":"warning","debug_info":{}}`, renew: "warning"},
		"a refresh":     {frame: `{"type":"disconnect","reason":"refresh_requested"}`, renew: "refresh_requested"},
		"another end":   {frame: `{"type":"disconnect","reason":"some thing\n"}`, renew: "some_thing"},
	} {
		t.Run(about, func(t *testing.T) {
			c, _ := connected(t, `{"type":"hello"}`, `{"type":"pong"}`, test.frame) // the first two are skipped
			d, err := c.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got := platformtest.StepOf(d.Refused); got != test.step {
				t.Errorf("%v, want step %q", d.Refused, test.step)
			}
			if (test.renew == "") != (d.Renew == "") || !strings.HasSuffix(d.Renew, test.renew) {
				t.Errorf("Renew is %q, want %q", d.Renew, test.renew)
			}
			if (d.Acknowledge == nil) != (test.mute || test.renew != "") {
				t.Error("what is acknowledged")
			}
			kind, text := "", ""
			if r := d.Received; r != nil {
				if kind = r.Kind; r.Message != nil {
					text = r.Message.Text
				}
			}
			if kind != test.kind || text != test.text {
				t.Errorf("kind %q, text %q", kind, text)
			}
			if _, err := c.Next(t.Context()); err == nil {
				t.Error("there is another delivery")
			} else if ended := (*callback.Ended)(nil); !errors.As(err, &ended) || ended.Replaced {
				t.Errorf("at the end: %v", err)
			}
		})
	}
}

func TestSocketModeIsSwitchedOff(t *testing.T) {
	c, _ := connected(t, `{"type":"disconnect","reason":"link_disabled"}`)
	if _, err := c.Next(t.Context()); err == nil || !dispatch.Retryable(err) ||
		!strings.Contains(err.Error(), "turn on Socket Mode") {
		t.Errorf("%v", err)
	}
}

// An event was sent when it says, also if it is delivered again later.
func TestWhenAnEventWasSent(t *testing.T) {
	sent := now.Add(-10 * time.Minute)
	for member, want := range map[string]time.Time{fmt.Sprint(sent.Unix()): sent, `"x"`: now, "1": now, "{}": now} {
		c, _ := connected(t, envelope("events_api", strings.Replace(event(
			`{"type":"app_mention","user":"U1","text":"help","channel":"C1","ts":"1.000100"}`),
			`"event_id"`, `"event_time":`+member+`,"event_id"`, 1)))
		if d, err := c.Next(t.Context()); err != nil || d.Refused != nil || !d.Received.Message.Sent.Equal(want) {
			t.Errorf("%s: %+v, %v", member, d, err)
		}
	}
}

// Slack shows the text of an acknowledgement to the sender of a command.
func TestAcknowledge(t *testing.T) {
	c, socket := connected(t)
	for about, test := range map[string]struct {
		frame, text, want string
		carries           bool
	}{
		"a command": {envelope("slash_commands", slash(t, formStart+"help")), "<b>", `{"envelope_id":"e1","payload":` +
			`{"response_type":"ephemeral","mrkdwn":false,"parse":"none","link_names":false,"text":"&lt;b&gt;"}}`, true},
		"a command without an answer": {envelope("slash_commands", slash(t, formStart+"help")), "",
			`{"envelope_id":"e1"}`, false},
		"a command whose answer is not shown": {strings.Replace(envelope("slash_commands", slash(t, formStart+"help")),
			`"accepts_response_payload":true`, `"accepts_response_payload":false`, 1), "x",
			`{"envelope_id":"e1"}`, false},
		"an answer that Slack would drop": {envelope("slash_commands", slash(t, formStart+"help")),
			strings.Repeat("&", 11_000), `{"envelope_id":"e1"}`, false},
		"an event": {envelope("events_api", event(`{"type":"reaction_added"}`)), "x", `{"envelope_id":"e1"}`, false},
	} {
		socket.Send(test.frame)
		d, err := c.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		answer, err := c.Answer(d.Received, test.text)
		if err != nil || answer.Carries != test.carries {
			t.Fatalf("%s: %+v, %v", about, answer, err)
		}
		if err := d.Acknowledge(t.Context(), answer); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{test.want}, socket.Written()); diff != "" {
			t.Errorf("%s: %s", about, diff)
		}
	}
}

// What was not recorded is not acknowledged, so Slack delivers it again; what was refused is.
func TestAcknowledgeWhatWasNotRecorded(t *testing.T) {
	c, socket := connected(t, envelope("events_api", event(`{"type":"reaction_added"}`)))
	d, err := c.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for status, want := range map[int][]string{401: {`{"envelope_id":"e1"}`}, 500: nil, 503: nil} {
		answer := &callback.Response{Status: status, Body: []byte("no JSON\n")}
		if err := d.Acknowledge(t.Context(), answer); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(want, socket.Written()); diff != "" {
			t.Errorf("%d: %s", status, diff)
		}
	}
	broken := errors.New("broken")
	socket.Break(broken)
	if err := d.Acknowledge(t.Context(), callback.Acknowledge()); !errors.Is(err, broken) {
		t.Errorf("the error of a write is %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("the error of a canceled read is %v", err)
	}
}

// FuzzStream gives any frame. Whatever is acknowledged is JSON, and what is refused is no message.
func FuzzStream(f *testing.F) {
	f.Add([]byte(envelope("events_api", event(`{"type":"app_mention","user":"U1","text":"<@UBOT> x","channel":"C1"}`))))
	f.Add([]byte(envelope("slash_commands", slash(f, formStart+"x"))))
	f.Add([]byte(envelope("interactive", `{"type":"block_actions","channel":{"id":"C1"},"actions":[{"value":"x"}]}`)))
	f.Add([]byte(`{"type":"disconnect","reason":"warning"}`))
	f.Add([]byte(envelope("events_api", strings.Replace(
		event(`{"type":"app_mention","user":"U1","text":"<@UBOT> x","channel":"C1"}`), "event_id", "other_id", 1))))
	f.Fuzz(func(t *testing.T, frame []byte) {
		c, socket := connected(t, string(frame))
		d, err := c.Next(t.Context())
		if err != nil {
			return
		}
		if d.Refused != nil && (platformtest.StepOf(d.Refused) == "" || d.Received != nil) {
			t.Errorf("%+v", d)
		}
		if d.Received == nil || d.Acknowledge == nil {
			return
		}
		if m := d.Received.Message; m != nil && (m.ID == "" || m.Conversation == "" || m.Sent.IsZero()) {
			t.Errorf("%+v", m)
		}
		answer, err := c.Answer(d.Received, string(frame))
		if err == nil {
			err = d.Acknowledge(t.Context(), answer)
		}
		written := socket.Written()
		if err != nil || len(written) != 1 || !json.Valid([]byte(written[0])) ||
			len(written[0]) >= 20<<10+len(frame) {
			t.Errorf("%v, %.200q", err, written)
		}
	})
}

// FuzzStreamPayload gives any payload. It is read as by webhook.
func FuzzStreamPayload(f *testing.F) {
	f.Add(event(`{"type":"app_mention","user":"U1","text":"<@UBOT> x","channel":"C1","ts":"1.1"}`))
	f.Add(event(`{"type":"message","channel_type":"im","user":"U1","text":"x","channel":"D1","ts":"1.1"}`))
	r := receiver(f, "T0EXAMPLE")
	f.Fuzz(func(t *testing.T, payload string) {
		if !json.Valid([]byte(payload)) || !strings.HasPrefix(payload, "{") {
			return
		}
		in, err := r.Receive(signed(payload))
		c, _ := connected(t, envelope("events_api", payload))
		d, end := c.Next(t.Context())
		if end != nil {
			t.Fatal(end)
		}
		if (err == nil) != (d.Refused == nil) {
			t.Fatalf("by webhook %v, over the connection %v", err, d.Refused)
		}
		if err != nil || in.Message == nil {
			return
		}
		got, want := *d.Received.Message, *in.Message
		got.Sent, want.Sent = time.Time{}, time.Time{}
		if got != want {
			t.Errorf("by webhook %+v, over the connection %+v", want, got)
		}
	})
}

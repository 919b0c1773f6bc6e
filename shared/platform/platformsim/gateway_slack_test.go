package platformsim_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"chatconf/shared/platform/callback"
	"chatconf/shared/platform/platformsim"
)

var slackClient = gatewayClient{
	settings: callback.Settings{"SlackAppToken": "xapp-1-A0EXAMPLE-1-not-a-real-token",
		"SlackBotToken": "xoxb-not-a-real-token"},
	app: "A0EXAMPLE", secret: "xapp-1-A0EXAMPLE-1-not-a-real-token", mode: "event",
	open: func(t *testing.T, g *gateway) *program {
		t.Helper()
		p, err := g.dial(t, slackOpen(t, g))
		if err != nil {
			t.Fatal(err)
		}
		if f, err := slackRead(p); err != nil || f.Type != "hello" || f.DebugInfo.Time != 18060 ||
			f.ConnectionInfo.AppID != "A0EXAMPLE" {
			t.Fatalf("%+v, %v, want a hello", f, err)
		}
		return p
	},
	next: func(p *program) (delivered, error) {
		f, err := slackRead(p)
		if err != nil || f.Type == "disconnect" {
			return delivered{}, err
		}
		var event struct {
			ID    string `json:"event_id"`
			Event struct{ Text string }
		}
		if err := json.Unmarshal(f.Payload, &event); err != nil {
			return delivered{}, err
		}
		return delivered{event.ID, event.Event.Text, func(bool) { f.acknowledge(p, nil) }}, nil
	},
}

// A slackFrame is a frame of Slack's.
type slackFrame struct {
	Type           string
	Reason         string
	ID             string `json:"envelope_id"`
	Payload        json.RawMessage
	Accepts        bool `json:"accepts_response_payload"`
	Attempt        int  `json:"retry_attempt"`
	Connections    int  `json:"num_connections"`
	ConnectionInfo struct {
		AppID string `json:"app_id"`
	} `json:"connection_info"`
	DebugInfo struct {
		Time int `json:"approximate_connection_time"`
	} `json:"debug_info"`
}

func slackRead(p *program) (f slackFrame, err error) {
	err = p.read(&f)
	return f, err
}

func (f slackFrame) acknowledge(p *program, payload any) {
	p.t.Helper()
	p.write(map[string]any{"envelope_id": f.ID, "payload": payload})
}

// A slackReply is the answer to a call.
type slackReply struct {
	OK    bool
	Error string
	URL   string
}

// slackOpen returns the address of a connection.
func slackOpen(t *testing.T, g *gateway) string {
	t.Helper()
	var out slackReply
	if g.call(t, "POST", "/api/apps.connections.open", "", &out, "Authorization", "Bearer "+g.secret); !out.OK {
		t.Fatalf("%+v", out)
	}
	return out.URL
}

func TestSlackGatewayRefusesTokens(t *testing.T) {
	g := startGateway(t, "Slack")
	for token, want := range map[string]string{"": "not_authed", "xoxb-not-a-real-token": "not_allowed_token_type",
		"xapp-1-A0EXAMPLE-1-other": "invalid_auth", "xapp-1-A0OTHER-1-not-a-real-token": "invalid_auth",
		"xapp-not-a-real-token": "invalid_auth", "other": "invalid_auth"} {
		var out slackReply
		g.call(t, "POST", "/api/apps.connections.open", "", &out, "Authorization", "Bearer "+token)
		if out.OK || out.Error != want {
			t.Errorf("%q: %+v, want %s", token, out, want)
		}
	}
}

func TestSlackTicketIsForOneConnectionAndAWhile(t *testing.T) {
	g := startGateway(t, "Slack")
	address := slackOpen(t, g)
	if _, err := g.dial(t, address); err != nil {
		t.Fatal(err)
	}
	if _, err := g.dial(t, address); err == nil {
		t.Error("a ticket is good for two connections")
	}
	address = slackOpen(t, g)
	g.ahead.Add(int64(31 * time.Second))
	if _, err := g.dial(t, address); err == nil {
		t.Error("a ticket is good after 31 s")
	}
}

func TestSlackGatewayCountsConnectionsAndAttempts(t *testing.T) {
	g := startGateway(t, "Slack")
	p := g.open(t, g)
	done := g.push(t.Context(), platformsim.Message{User: "U1", Text: "help"})
	for attempt := range 4 {
		f, err := slackRead(p)
		if err != nil || f.Type != "events_api" || f.Attempt != attempt || f.Accepts {
			t.Errorf("%+v, %v, want attempt %d", f, err, attempt)
		}
		g.over <- time.Time{}
	}
	if got := <-done; got.err == nil || got.Deliveries != 4 {
		t.Errorf("%+v", got)
	}
	other, err := g.dial(t, slackOpen(t, g))
	if err != nil {
		t.Fatal(err)
	}
	if f, err := slackRead(other); err != nil || f.Connections != 2 {
		t.Errorf("%+v, %v", f, err)
	}
	if n := g.Connections(g.settings); n != 2 {
		t.Errorf("%d connections", n)
	}
}

func TestSlackGatewayReadsAcknowledgements(t *testing.T) {
	g := startGateway(t, "Slack")
	p := g.open(t, g)
	for _, c := range []struct {
		mode    string
		payload any
		answer  string
		ok      bool
	}{
		{"command", nil, "", true},
		{"command", map[string]string{}, "", true},
		{"command", map[string]string{"response_type": "ephemeral", "text": "a &lt; b"}, "a < b", true},
		{"command", map[string]string{"text": "done"}, "done", true},
		{"command", map[string]string{"response_type": "in_channel", "text": "done"}, "", false},
		{"command", "done", "", false},
		{"button", map[string]string{}, "", true},
		{"button", map[string]string{"text": "done"}, "", false},
		{"event", map[string]string{}, "", true},
		{"event", map[string]string{"text": "done"}, "", false},
	} {
		done := g.push(t.Context(), platformsim.Message{User: "U1", Text: "help", Mode: c.mode})
		f, err := slackRead(p)
		if err != nil || !strings.Contains(string(f.Payload), "help") || f.Accepts != (c.mode == "command") {
			t.Fatalf("%+v, %v", f, err)
		}
		f.acknowledge(p, c.payload)
		if got := <-done; got.Answer != c.answer || (got.err == nil) != c.ok || got.Deliveries != 1 {
			t.Errorf("%s, %v: %+v", c.mode, c.payload, got)
		}
	}
	// A long acknowledgement is dropped, and a command comes once.
	done := g.push(t.Context(), platformsim.Message{User: "U1", Text: "help", Mode: "command"})
	f, err := slackRead(p)
	if err != nil {
		t.Fatal(err)
	}
	f.acknowledge(p, map[string]string{"text": strings.Repeat("x", 20<<10)})
	g.over <- time.Time{}
	if got := <-done; got.err == nil || got.Deliveries != 1 {
		t.Errorf("%+v", got)
	}
	if _, err := g.Push(t.Context(), g.settings, platformsim.Message{Mode: "pigeon"}); err == nil {
		t.Error("an unknown mode")
	}
	if _, err := g.Push(t.Context(), nil, platformsim.Message{}); err == nil {
		t.Error("no settings")
	}
	if err := p.conn.Write(t.Context(), websocket.MessageText, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := slackRead(p); websocket.CloseStatus(err) != websocket.StatusInvalidFramePayloadData {
		t.Errorf("a frame that is no JSON: %v", err)
	}
}

func TestSlackGatewayTakesAnswers(t *testing.T) {
	g := startGateway(t, "Slack")
	p := g.open(t, g)
	done := g.push(t.Context(), platformsim.Message{User: "U1", Text: "help", Mode: "command"})
	f, err := slackRead(p)
	if err != nil {
		t.Fatal(err)
	}
	f.acknowledge(p, nil)
	<-done
	var command struct {
		URL string `json:"response_url"`
	}
	if err := json.Unmarshal(f.Payload, &command); err != nil {
		t.Fatal(err)
	}
	hook := g.under(t, command.URL)
	call := func(path, body string, headers ...string) string {
		t.Helper()
		if path == hook {
			status := g.call(t, "POST", path, body, nil)
			return http.StatusText(status)
		}
		var out slackReply
		if g.call(t, "POST", path, body, &out, headers...); !out.OK {
			return out.Error
		}
		return http.StatusText(http.StatusOK)
	}
	const bot, asForm, asJSON = "Bearer xoxb-not-a-real-token", "application/x-www-form-urlencoded", "application/json"
	for _, c := range []struct{ path, body, token, kind, want string }{
		{hook, `{"text":"one &amp; two"}`, "", "", "OK"},
		{hook, `{"text":"<!channel>"}`, "", "", "Not Found"},
		{"/commands/other", `{"text":"x"}`, "", "", "expired_url"},
		{"/api/chat.postMessage", `{"channel":"C1","text":"three"}`, bot, asJSON, "OK"},
		{"/api/chat.postEphemeral", "channel=C1&user=U1&text=four", bot, asForm, "OK"},
		{"/api/chat.postMessage", "token=xoxb-not-a-real-token&channel=C1&text=five", "", asForm, "OK"},
		{"/api/chat.postMessage", "text=x", bot, asForm, "channel_not_found"},
		{"/api/chat.postMessage", "channel=C1", bot, asForm, "no_text"},
		{"/api/chat.postMessage", "channel=C1&text=x", "", asForm, "not_authed"},
		{"/api/chat.postMessage", "channel=C1&text=x", "Bearer other", asForm, "invalid_auth"},
		{"/api/chat.postMessage", "channel=C1&text=x", "Bearer xapp-1", asForm, "not_allowed_token_type"},
		{"/api/auth.test", "", bot, asForm, "OK"},
		{"/api/conversations.info", "channel=C1", bot, asForm, "OK"},
		{"/api/conversations.info", "", bot, asForm, "channel_not_found"},
	} {
		if got := call(c.path, c.body, "Authorization", c.token, "Content-Type", c.kind); got != c.want {
			t.Errorf("%s %s: %s, want %s", c.path, c.body, got, c.want)
		}
	}
	want := []string{"one & two", "three", "four", "five"}
	if got := g.Sent(g.settings); !slices.Equal(got, want) {
		t.Errorf("sent %q, want %q", got, want)
	}
	for use := 2; use <= 6; use++ { // a response URL takes five answers
		if got := call(hook, `{"text":"x"}`); (got == "OK") != (use <= 5) {
			t.Errorf("use %d: %s", use, got)
		}
	}
}

package platformsim

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"chatconf/shared/platform/callback"
)

// Slack's hosts: of calls, of response URLs, and of connections.
const (
	slackAPI     = "slack.com"
	slackHooks   = "hooks.slack.com"
	slackConnect = "wss-primary.slack.com"
)

// Limits of Slack's Socket Mode.
const (
	slackTicket    = 30 * time.Second
	slackLimit     = 3 * time.Second // for an acknowledgement
	slackMost      = 4               // deliveries of an event; a command or a button comes once
	slackPing      = 10 * time.Second
	slackGone      = 10 * time.Second // from the warning to the end of a connection
	slackLife      = 18060            // seconds that a connection lives, as its greeting says
	slackAnswerMax = 20 << 10         // bytes of an acknowledgement; a longer one is dropped
	slackHookLife  = 30 * time.Minute
	slackHookUses  = 5
)

// A slackGateway stands in for Slack's Socket Mode. Each workspace is T0EXAMPLE.
// https://docs.slack.dev/apis/events-api/using-socket-mode
type slackGateway struct {
	*hub

	mu      sync.Mutex
	tickets map[string]slackTicketOf
	replies map[string]*slackHook // by the path of the response URL
}

// A slackTicketOf is what a ticket stands for.
type slackTicketOf struct {
	app     string
	expires time.Time
}

// A slackHook is a response URL.
type slackHook struct {
	app     string
	expires time.Time
	uses    int
}

func newSlackGateway(o GatewayOptions) Gateway {
	g := &slackGateway{hub: newHub(o, slackAPI, slackHooks, slackConnect), tickets: map[string]slackTicketOf{},
		replies: map[string]*slackHook{}}
	g.app = func(s callback.Settings) (string, []string) {
		return slackApp(s.Get("SlackAppToken")), []string{slackBot(s.Get("SlackBotToken"))}
	}
	g.notice = g.warn
	for pattern, handler := range map[string]http.HandlerFunc{
		"POST " + slackAPI + "/api/apps.connections.open": g.open,
		"GET " + slackConnect + "/link/":                  g.connect,
		slackAPI + "/api/auth.test":                       g.authorized(g.test),
		slackAPI + "/api/conversations.info":              g.authorized(g.channel),
		"POST " + slackAPI + "/api/chat.postMessage":      g.authorized(g.post),
		"POST " + slackAPI + "/api/chat.postEphemeral":    g.authorized(g.post),
		"POST " + slackHooks + "/commands/":               g.respond,
	} {
		g.mux.HandleFunc(pattern, handler)
	}
	return g
}

// slackApp returns the app of an app-level token, such as A0EXAMPLE of xapp-1-A0EXAMPLE-1-…. The
// app of a token in another form is the token itself. It is empty if the token is of another kind.
func slackApp(token string) string {
	if !strings.HasPrefix(token, "xapp-") {
		return ""
	}
	if parts := strings.Split(token, "-"); len(parts) >= 5 && strings.HasPrefix(parts[2], "A") {
		return parts[2]
	}
	return token
}

// slackBot returns the name of the sender with a bot's token.
func slackBot(token string) string { return "bot " + token }

// slackBearer returns the token in the header of a call.
func slackBearer(r *http.Request) string {
	return strings.TrimSpace(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer"))
}

// slackError answers a call with an error of Slack's.
func slackError(w http.ResponseWriter, code string) {
	writeJSON(w, http.StatusOK, object{"ok": false, "error": code})
}

// open gives the address of a connection.
func (g *slackGateway) open(w http.ResponseWriter, r *http.Request) {
	token := slackBearer(r)
	app := slackApp(token)
	switch {
	case token == "":
		slackError(w, "not_authed")
		return
	case app == "" && strings.HasPrefix(token, "xox"):
		slackError(w, "not_allowed_token_type")
		return
	case !g.accepts(app, token):
		slackError(w, "invalid_auth")
		return
	}
	ticket := random(16)
	g.mu.Lock()
	g.tickets[ticket] = slackTicketOf{app, g.Now().Add(slackTicket)}
	g.mu.Unlock()
	writeJSON(w, http.StatusOK, object{"ok": true, "url": "wss://" + hostOf(r, slackConnect) + "/link/?" +
		url.Values{"ticket": {ticket}, "app_id": {app}}.Encode()})
}

// connect serves a connection. A ticket is valid for one connection, and expires.
func (g *slackGateway) connect(w http.ResponseWriter, r *http.Request) {
	ticket := r.URL.Query().Get("ticket")
	g.mu.Lock()
	of, ok := g.tickets[ticket]
	delete(g.tickets, ticket)
	g.mu.Unlock()
	if !ok || g.Now().After(of.expires) {
		http.Error(w, "unknown ticket", http.StatusUnauthorized)
		return
	}
	c, err := g.accept(w, r, websocket.MessageText)
	if err != nil {
		return
	}
	defer c.end()
	g.join(c, of.app, object{"type": "hello", "num_connections": len(g.of(of.app)) + 1,
		"connection_info": object{"app_id": of.app},
		"debug_info": object{"host": "applink-example", "build_number": 1,
			"approximate_connection_time": slackLife}}.bytes())
	go c.ping(slackPing)
	for {
		message, err := c.read()
		if err != nil {
			return
		}
		var in struct {
			ID string `json:"envelope_id"`
		}
		if decode(message, &in) != nil {
			c.close(websocket.StatusInvalidFramePayloadData)
			return
		}
		if len(message) < slackAnswerMax {
			c.acknowledge(in.ID, message)
		}
	}
}

// warn gives notice that a connection ends.
func (g *slackGateway) warn(c *gatewayConn) {
	frame := func(reason string) []byte {
		return object{"type": "disconnect", "reason": reason, "debug_info": object{"host": "applink-example"}}.bytes()
	}
	c.silent.Store(true)
	c.write(frame("warning"))
	c.closeAfter(slackGone, frame("refresh_requested"))
}

// Push implements Gateway.
func (g *slackGateway) Push(ctx context.Context, s callback.Settings, m Message) (Pushed, error) {
	k := &Maker{Settings: s, Now: g.Now(), Random: rand.Reader}
	if err := k.need("SlackAppToken"); err != nil {
		return Pushed{}, fmt.Errorf("platformsim: Slack: %w", err)
	}
	m.ID = cmp.Or(m.ID, random(12))
	d := delivery{most: 1, limit: slackLimit, read: slackReadNothing, message: g.MessageID(m)}
	var payload func(m Message) object
	switch m.Mode {
	case "", "command":
		d.topic, d.read = "slash_commands", slackReadCommand
		payload = func(m Message) object {
			out := object{}
			for name, values := range slackCommandForm(k, m) {
				out[name] = values[0]
			}
			return out
		}
	case "event":
		d.topic, d.most = "events_api", slackMost
		payload = func(m Message) object { return slackEventBody(k, m) }
	case "button":
		d.topic = "interactive"
		payload = func(m Message) object { return slackButtonPayload(k, m) }
	default:
		return Pushed{}, fmt.Errorf("platformsim: unknown mode %q of Slack; use command, event or button", m.Mode)
	}
	path := "/commands/" + k.slackTeam() + "/" + random(8) + "/" + random(12)
	g.mu.Lock()
	g.replies[path] = &slackHook{app: slackApp(s.Get("SlackAppToken")), expires: k.Now.Add(slackHookLife)}
	g.mu.Unlock()
	d.frames = func(c *gatewayConn, attempt int) (string, [][]byte, error) {
		m := m
		m.ReplyURL = cmp.Or(m.ReplyURL, "https://"+c.host(slackHooks)+path)
		id := random(16)
		envelope := object{"envelope_id": id, "type": d.topic, "payload": payload(m),
			"accepts_response_payload": d.topic == "slash_commands"}
		if d.topic == "events_api" {
			envelope["retry_attempt"], envelope["retry_reason"] = attempt, ""
			if attempt > 0 {
				envelope["retry_reason"] = "timeout"
			}
		}
		return id, [][]byte{envelope.bytes()}, nil
	}
	return g.push(ctx, s, d)
}

// MessageID implements Gateway.
func (g *slackGateway) MessageID(m Message) string {
	switch m.Mode {
	case "", "command":
		return m.ID
	case "event":
		return slackChannel(m) + "/" + slackTS(m.ID)
	}
	return ""
}

// slackRead returns the payload of an acknowledgement, empty if it has no members.
func slackRead(acknowledgement []byte) ([]byte, error) {
	var in struct{ Payload map[string]json.RawMessage }
	if err := decode(acknowledgement, &in); err != nil || len(in.Payload) == 0 {
		return nil, err
	}
	return json.Marshal(in.Payload)
}

// slackReadCommand reads the acknowledgement of a slash command.
func slackReadCommand(acknowledgement []byte) (string, bool, error) {
	payload, err := slackRead(acknowledgement)
	if err != nil {
		return "", false, err
	}
	answer, err := slackAnswer(payload)
	return answer, false, err
}

// slackReadNothing reads an acknowledgement that can carry no answer.
func slackReadNothing(acknowledgement []byte) (string, bool, error) {
	payload, err := slackRead(acknowledgement)
	if err == nil && len(payload) > 0 {
		err = fmt.Errorf("platformsim: the acknowledgement has a payload, which Slack does not take here")
	}
	return "", false, err
}

// slackForm returns the arguments of a call, which are a form or JSON.
func slackForm(w http.ResponseWriter, r *http.Request) url.Values {
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		r.Body = http.MaxBytesReader(w, r.Body, maxGatewayBody)
		_ = r.ParseForm() // an argument that cannot be read is missing
		return r.Form
	}
	form := url.Values{}
	var in map[string]any
	if json.NewDecoder(http.MaxBytesReader(w, r.Body, maxGatewayBody)).Decode(&in) == nil {
		for name, value := range in {
			if text, ok := value.(string); ok {
				form.Set(name, text)
			}
		}
	}
	return form
}

// authorized serves a call with a bot's token. Every such token is accepted.
func (g *slackGateway) authorized(serve func(w http.ResponseWriter, token string, form url.Values)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		form := slackForm(w, r)
		token := cmp.Or(slackBearer(r), form.Get("token"))
		switch {
		case token == "":
			slackError(w, "not_authed")
		case strings.HasPrefix(token, "xapp-"):
			slackError(w, "not_allowed_token_type")
		case !strings.HasPrefix(token, "xoxb-"):
			slackError(w, "invalid_auth")
		default:
			w.Header().Set("X-OAuth-Scopes", "app_mentions:read,chat:write,commands,im:history")
			serve(w, token, form)
		}
	}
}

func (g *slackGateway) test(w http.ResponseWriter, _ string, _ url.Values) {
	writeJSON(w, http.StatusOK, object{"ok": true, "url": "https://example.slack.com/", "team": "example",
		"user": "chatconf", "team_id": "T0EXAMPLE", "user_id": "U0BOT", "bot_id": "B0EXAMPLE",
		"is_enterprise_install": false})
}

func (g *slackGateway) channel(w http.ResponseWriter, _ string, form url.Values) {
	id := form.Get("channel")
	if id == "" {
		slackError(w, "channel_not_found")
		return
	}
	writeJSON(w, http.StatusOK, object{"ok": true, "channel": object{"id": id, "name": "example", "is_member": true,
		"is_im": strings.HasPrefix(id, "D"), "is_archived": false}})
}

// post takes a message of a bot's own.
func (g *slackGateway) post(w http.ResponseWriter, token string, form url.Values) {
	channel, text := form.Get("channel"), form.Get("text")
	switch {
	case channel == "":
		slackError(w, "channel_not_found")
	case text == "":
		slackError(w, "no_text")
	default:
		g.record(slackBot(token), html.UnescapeString(text))
		ts := slackTS(random(8))
		writeJSON(w, http.StatusOK, object{"ok": true, "channel": channel, "ts": ts, "message_ts": ts,
			"message": object{"type": "message", "text": text, "ts": ts, "bot_id": "B0EXAMPLE"}})
	}
}

// respond takes an answer by a response URL.
func (g *slackGateway) respond(w http.ResponseWriter, r *http.Request) {
	var body json.RawMessage
	if !readJSON(w, r, &body) {
		return
	}
	answer, err := slackAnswer(body)
	g.mu.Lock()
	hook := g.replies[r.URL.Path]
	code := ""
	switch {
	case hook == nil || g.Now().After(hook.expires):
		code = "expired_url"
	case hook.uses == slackHookUses:
		code = "used_url"
	case err != nil:
		code = "invalid_payload"
	default:
		hook.uses++
	}
	g.mu.Unlock()
	if code != "" {
		writeJSON(w, http.StatusNotFound, object{"ok": false, "error": code})
		return
	}
	g.record(hook.app, answer)
	_, _ = w.Write([]byte("ok"))
}

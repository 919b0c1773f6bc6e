package slack

import (
	"context"
	"encoding/json"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/document"
	"chatconf/shared/platform/callback"
	"chatconf/shared/secret"
)

// socketHosts are where connections of Socket Mode lead.
var socketHosts = []string{".slack.com"}

const (
	// helloTime is how long Slack may take to greet on a new connection.
	helloTime = 15 * time.Second
	// maxPayload is how long the answer in an acknowledgement may be. According to
	// github.com/slack-go/slack, Slack silently drops acknowledgements of 20 KiB and more.
	maxPayload = 18 << 10
)

// wrongTokens says what is wrong with SlackAppToken, by the error of apps.connections.open.
// https://docs.slack.dev/reference/methods/apps.connections.open
var wrongTokens = map[string]string{
	"invalid_auth": badAppToken, "not_authed": badAppToken, "token_revoked": badAppToken,
	"token_expired": badAppToken, "account_inactive": badAppToken,
	"not_allowed_token_type": "SlackAppToken is not an app-level token; such a token begins with xapp-",
	"missing_scope":          "SlackAppToken lacks the scope connections:write; generate a token with this scope",
}

const badAppToken = "Slack does not accept SlackAppToken; generate an app-level token with the scope " +
	"connections:write on the app's page Basic Information"

// A stream opens connections of Socket Mode.
// https://docs.slack.dev/apis/events-api/using-socket-mode
type stream struct {
	secret.Hidden
	client *callback.Client
	token  secret.Text
	reader reader
}

var _ callback.Streamable = Platform{}

// NewStream implements callback.Streamable.
func (Platform) NewStream(s callback.Settings, client *callback.Client) (callback.Stream, error) {
	out := &stream{client: client, token: s["SlackAppToken"], reader: newReader(s)}
	if out.token == "" {
		return nil, callback.Final("slack: SlackAppToken is not set")
	}
	return out, nil
}

// Open implements callback.Stream. Slack has accepted a connection when it greets.
func (s *stream) Open(ctx context.Context, d callback.Dialer) (callback.Connection, error) {
	const what = "slack: apps.connections.open"
	answer, err := s.client.Do(ctx, callback.Call{What: what, Hosts: apiHosts,
		URL:     "https://slack.com/api/apps.connections.open",
		Headers: map[string]secret.Text{"Authorization": "Bearer " + s.token}})
	if err != nil {
		return nil, err
	}
	address := answer.Text("url")
	if !answer.Is("ok") || address == "" {
		return nil, answer.NotOpened(what, answer.Text("error"), wrongTokens)
	}
	socket, err := d.Dial(ctx, callback.Dial{What: "slack: Socket Mode", URL: secret.Text(address), Hosts: socketHosts})
	if err != nil {
		return nil, err
	}
	if err := greet(ctx, socket); err != nil {
		_ = socket.Close()
		return nil, err
	}
	return &connection{socket: socket, reader: s.reader, now: s.client.Now}, nil
}

// greet waits for Slack's greeting.
func greet(ctx context.Context, socket callback.Socket) error {
	ctx, cancel := context.WithTimeout(ctx, helloTime)
	defer cancel()
	text, err := socket.Read(ctx)
	if err != nil {
		return err
	}
	f, err := readFrame(text)
	switch {
	case err == nil && f.Type == "hello":
		return nil
	case err == nil && f.Type == "disconnect":
		return &callback.Ended{Reason: f.disconnected()}
	}
	return &callback.Ended{Reason: "slack: Socket Mode: Slack did not send its first message, hello"}
}

// A frame is what Slack sends over a connection. Its payload is read as the body of a callback is.
type frame struct {
	Type     string          `json:"type"`
	Reason   string          `json:"reason"` // of a disconnect
	Envelope string          `json:"envelope_id"`
	Payload  json.RawMessage `json:"payload"`
	Accepts  bool            `json:"accepts_response_payload"`
}

func readFrame(text []byte) (*frame, error) {
	f := new(frame)
	if err := json.Unmarshal(text, f); err != nil {
		// The error may quote it.
		return nil, callback.Refuse(callback.StepDecode, "a frame is not valid JSON of Socket Mode")
	}
	return f, nil
}

// off is Slack's reason if Socket Mode is turned off. A change of the configuration cannot turn it
// on, so chatconf tries to connect again.
const off = "link_disabled"

// disconnected returns why Slack ends the connection.
func (f *frame) disconnected() string {
	text := "slack: Socket Mode: Slack ends the connection: " + command.Printable(f.Reason, 64)
	if f.Reason == off {
		text += "; turn on Socket Mode in the app"
	}
	return text
}

// A connection is one of Socket Mode.
type connection struct {
	reader
	socket callback.Socket
	now    func() time.Time
}

// Next implements callback.Connection.
func (c *connection) Next(ctx context.Context) (*callback.Delivery, error) {
	for {
		text, err := c.socket.Read(ctx)
		if err != nil {
			return nil, err
		}
		f, err := readFrame(text)
		switch {
		case err != nil:
			return &callback.Delivery{Refused: err}, nil
		case f.Type == "disconnect" && f.Reason == off:
			return nil, &callback.Ended{Reason: f.disconnected()}
		case f.Type == "disconnect":
			return &callback.Delivery{Renew: f.disconnected()}, nil
		case f.Envelope != "":
			return c.deliver(f), nil
		}
	}
}

// deliver reads an envelope.
func (c *connection) deliver(f *frame) *callback.Delivery {
	out := &callback.Delivery{Acknowledge: func(ctx context.Context, r *callback.Response) error {
		return c.acknowledge(ctx, f.Envelope, r)
	}}
	now := c.now()
	switch f.Type {
	case "events_api":
		out.Received, out.Refused = c.event(string(f.Payload), time.Time{}, now)
	case "interactive":
		out.Received, out.Refused = c.interaction(string(f.Payload), now)
	case "slash_commands":
		out.Received, out.Refused = c.slash(string(f.Payload), now)
		if out.Refused == nil && !f.Accepts {
			out.Received.State = nil
		}
	default:
		out.Received = &callback.Received{Kind: f.Type}
	}
	switch {
	case out.Refused != nil:
		out.Received = nil
	case out.Received.Handshake != nil: // there is no URL to check
		out.Received = &callback.Received{Kind: f.Type}
	}
	return out
}

// slash reads a slash command, whose fields are those of the form.
func (c *connection) slash(payload string, now time.Time) (*callback.Received, error) {
	f, err := callback.Object("the payload", payload)
	if err != nil {
		return nil, err
	}
	received, err := c.command(f.Text, payload, now)
	if err == nil {
		err = f.Err()
	}
	if err != nil {
		return nil, err
	}
	return received, nil
}

// acknowledge acknowledges an envelope, with the answer if there is one. An envelope that was not
// recorded is not acknowledged: then Slack delivers an event again, and tells the sender of a
// command that it failed.
func (c *connection) acknowledge(ctx context.Context, id string, r *callback.Response) error {
	out := struct {
		Envelope string          `json:"envelope_id"`
		Payload  json.RawMessage `json:"payload,omitempty"`
	}{Envelope: id}
	switch r.Status {
	case 200:
		out.Payload = r.Body
	case 401: // another delivery would be refused, too
	default:
		return nil
	}
	return c.socket.Write(ctx, document.Marshal(out))
}

// Answer implements callback.Answerer. A longer text than an acknowledgement holds is sent later.
func (c *connection) Answer(in *callback.Received, text string) (*callback.Response, error) {
	out, err := c.reader.Answer(in, text)
	if err == nil && len(out.Body) > maxPayload {
		return callback.Acknowledge(), nil
	}
	return out, err
}

// PingEvery implements callback.Connection. Slack's own protocol has no heartbeat.
func (*connection) PingEvery() time.Duration { return 0 }

// Ping implements callback.Connection.
func (*connection) Ping(context.Context) error { return nil }

// Close implements callback.Connection.
func (c *connection) Close() error { return c.socket.Close() }

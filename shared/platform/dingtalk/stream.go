package dingtalk

import (
	"cmp"
	"context"
	"net/url"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/document"
	"chatconf/shared/platform/callback"
	"chatconf/shared/secret"
)

// streamHosts are where connections of the Stream mode lead.
var streamHosts = []string{".dingtalk.com"}

// The topics of callbacks.
const (
	topicRobot = "/v1.0/im/bot/messages/get"
	topicCard  = "/v1.0/card/instances/callback"
)

// The types of frames.
const (
	typeSystem   = "SYSTEM"
	typeEvent    = "EVENT"
	typeCallback = "CALLBACK"
)

// wrongApp says what is wrong with the settings of an app, by the code of connections/open.
var wrongApp = map[string]string{"authFailed": badApp, "invalidClientIdOrSecret": badApp}

const badApp = "DingTalk does not accept DingTalkClientId with DingTalkClientSecret; copy both from the app's page " +
	"Credentials, and publish the app"

// A stream opens connections of the Stream mode.
// https://open.dingtalk.com/document/direction/stream-mode-protocol-access-description
type stream struct {
	secret.Hidden
	client   *callback.Client
	clientID string
	secret   secret.Text
	reader   reader
}

var _ callback.Streamable = Platform{}

// NewStream implements callback.Streamable.
func (Platform) NewStream(s callback.Settings, client *callback.Client) (callback.Stream, error) {
	out := &stream{client: client, clientID: s.Get("DingTalkClientId"), secret: s["DingTalkClientSecret"],
		reader: newReader(s)}
	if out.clientID == "" || out.secret == "" {
		return nil, callback.Final("dingtalk: DingTalkClientId or DingTalkClientSecret is not set")
	}
	return out, nil
}

// Open implements callback.Stream. It does not subscribe to events, none of which is a message.
func (s *stream) Open(ctx context.Context, d callback.Dialer) (callback.Connection, error) {
	const what = "dingtalk: gateway/connections/open"
	type subscription struct {
		Type  string `json:"type"`
		Topic string `json:"topic"`
	}
	answer, err := s.client.Do(ctx, callback.Call{What: what, Hosts: apiHosts,
		URL: "https://api.dingtalk.com/v1.0/gateway/connections/open",
		Body: document.Marshal(struct {
			ID            string         `json:"clientId"`
			Secret        string         `json:"clientSecret"`
			Subscriptions []subscription `json:"subscriptions"`
			UserAgent     string         `json:"ua"`
		}{s.clientID, s.secret.Reveal(), []subscription{{typeCallback, topicRobot}, {typeCallback, topicCard}},
			"chatconf"})})
	if err != nil {
		return nil, err
	}
	endpoint, ticket := answer.Text("endpoint"), answer.Text("ticket")
	if answer.Status != 200 || endpoint == "" || ticket == "" {
		return nil, answer.NotOpened(what, answer.Text("code"), wrongApp)
	}
	socket, err := d.Dial(ctx, callback.Dial{What: "dingtalk: Stream mode", Hosts: streamHosts,
		URL: secret.Text(endpoint + "?ticket=" + url.QueryEscape(ticket))})
	if err != nil {
		return nil, err
	}
	return &connection{reader: s.reader, socket: socket, now: s.client.Now}, nil
}

// A frame is what DingTalk sends over a connection.
type frame struct {
	kind, topic, id string
	time            string // milliseconds
	event, corpID   string // of an event
	data            string // mostly JSON
}

func readFrame(text []byte) (*frame, error) {
	f, err := callback.Object("the frame", string(text))
	if err != nil {
		return nil, err
	}
	headers := f.Object("headers")
	out := &frame{kind: f.Text("type"), topic: headers.Text("topic"), id: headers.Text("messageId"),
		time: headers.NumberOrText("time"), event: headers.Text("eventType"), corpID: headers.Text("eventCorpId"),
		data: f.Text("data")}
	return out, f.Err()
}

// The codes of acknowledgements: those of HTTP.
const (
	codeOK       = 200
	codeRefused  = 400
	codeNotFound = 404
	codeFailed   = 500
)

// A connection is one of the Stream mode.
type connection struct {
	reader
	socket callback.Socket
	now    func() time.Time
}

// Next implements callback.Connection. DingTalk delivers nothing more after its notice that the
// connection ends.
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
		case f.kind == typeSystem: // the answer to a ping repeats its data
			if err := c.write(ctx, f, codeOK, f.data); err != nil {
				return nil, err
			}
			if f.topic == "disconnect" {
				return &callback.Delivery{Renew: f.disconnected()}, nil
			}
		case f.kind == typeEvent:
			return c.event(f), nil
		case f.kind == typeCallback && (f.topic == topicRobot || f.topic == topicCard):
			return c.callback(f), nil
		default:
			if err := c.write(ctx, f, codeNotFound, ""); err != nil {
				return nil, err
			}
		}
	}
}

// disconnected returns why DingTalk ends the connection.
func (f *frame) disconnected() string {
	why := "dingtalk: Stream mode: DingTalk ends the connection"
	data, err := callback.Object("data", f.data)
	if err != nil {
		return why
	}
	return why + ": " + cmp.Or(command.Printable(data.Text("reason"), 64), "without a reason")
}

// callback reads a message to the robot or the action of a card. The id of a frame is the same when
// DingTalk delivers it again, and so is the id of the action.
func (c *connection) callback(f *frame) *callback.Delivery {
	out := new(callback.Delivery)
	data, err := callback.Object("the message", f.data)
	shown := `{"response":null}` // a robot's answer here is not shown
	switch {
	case err != nil:
	case f.topic == topicRobot:
		out.Received, err = c.message(data)
	default:
		shown = `{"response":{}}` // the card stays as it is
		out.Received, err = c.action(data, f.id, c.sent(f))
	}
	if out.Refused = err; err != nil {
		out.Received = nil
	}
	out.Acknowledge = func(ctx context.Context, r *callback.Response) error {
		switch r.Status {
		case 200:
			return c.write(ctx, f, codeOK, shown)
		case 401:
			return c.write(ctx, f, codeRefused, "")
		}
		return c.write(ctx, f, codeFailed, "")
	}
	return out
}

// sent returns when a frame was sent.
func (c *connection) sent(f *frame) time.Time {
	if at := millis(f.time); !at.IsZero() {
		return at
	}
	return c.now()
}

// event reads an event of a subscription, none of which is a message.
func (c *connection) event(f *frame) *callback.Delivery {
	out := &callback.Delivery{Received: &callback.Received{Kind: "event/" + f.event}}
	if f.corpID != "" {
		out.Refused = c.corp(f.corpID)
	}
	if out.Refused != nil {
		out.Received = nil
	}
	out.Acknowledge = func(ctx context.Context, r *callback.Response) error {
		if r.Status != 200 && r.Status != 401 {
			return c.write(ctx, f, codeFailed, `{"status":"LATER","message":"not recorded"}`)
		}
		return c.write(ctx, f, codeOK, `{"status":"SUCCESS","message":"OK"}`)
	}
	return out
}

// write acknowledges a frame.
func (c *connection) write(ctx context.Context, f *frame, code int, data string) error {
	type headers struct {
		ID          string `json:"messageId"`
		ContentType string `json:"contentType"`
	}
	message := "OK"
	if code != codeOK {
		message = "failed"
	}
	return c.socket.Write(ctx, document.Marshal(struct {
		Code    int     `json:"code"`
		Headers headers `json:"headers"`
		Message string  `json:"message"`
		Data    string  `json:"data"`
	}{code, headers{f.id, "application/json"}, message, data}))
}

// Answer implements callback.Answerer. DingTalk shows no text of an acknowledgement, so it is sent
// later.
func (*connection) Answer(*callback.Received, string) (*callback.Response, error) {
	return callback.Acknowledge(), nil
}

// PingEvery implements callback.Connection. DingTalk pings.
func (*connection) PingEvery() time.Duration { return 0 }

// Ping implements callback.Connection.
func (*connection) Ping(context.Context) error { return nil }

// Close implements callback.Connection.
func (c *connection) Close() error { return c.socket.Close() }

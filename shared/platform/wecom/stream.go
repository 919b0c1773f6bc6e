package wecom

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/document"
	"chatconf/shared/platform/callback"
	"chatconf/shared/secret"
)

// The connection of an intelligent robot (智能机器人). A robot has only one. When another program
// connects, WeCom sends disconnected_event over the old connection and closes it.
// https://developer.work.weixin.qq.com/document/path/101463
// https://www.npmjs.com/package/@wecom/aibot-node-sdk

// gateway is the only host that a connection may lead to.
const gateway = "openws.work.weixin.qq.com"

// Limits of a connection. The times are those of the official client.
const (
	pingEvery     = 30 * time.Second
	maxUnanswered = 2 // pings
	signInTime    = 10 * time.Second
	answerTime    = 5 * time.Second // until the answer to a command
	maxWaiting    = 500             // commands without an answer
	maxID         = 256             // bytes of a req_id
	maxEarly      = 16              // frames that come before the answer to aibot_subscribe
)

// The commands of frames.
const (
	cmdSubscribe = "aibot_subscribe"
	cmdPing      = "ping"
	cmdMessage   = "aibot_msg_callback"
	cmdEvent     = "aibot_event_callback"
	cmdRespond   = "aibot_respond_msg"
	cmdSend      = "aibot_send_msg"
)

// Prefixes of ReplyTo.ID, since the id of a person can look like that of a chat.
const (
	ofUser = "user/"
	ofChat = "chat/"
)

// notSubscribed is the code for a connection that WeCom no longer counts as the robot's. It stays
// open, but nothing comes any more.
const notSubscribed = "846609"

type stream struct {
	secret.Hidden
	reader reader
	botID  string
	secret secret.Text
}

var (
	_ callback.Streamable = Platform{}
	_ callback.Stream     = (*stream)(nil)
)

// NewStream implements callback.Streamable. It needs nothing of an app.
func (Platform) NewStream(s callback.Settings, _ *callback.Client) (callback.Stream, error) {
	out := &stream{reader: newReader(s), botID: s.Get("WeChatBotId"), secret: s["WeChatBotSecret"]}
	if out.botID == "" || out.secret == "" {
		return nil, errors.New("wecom: WeChatBotId or WeChatBotSecret is not set")
	}
	out.reader.stream = true
	return out, nil
}

// Open implements callback.Stream.
func (s *stream) Open(ctx context.Context, d callback.Dialer) (callback.Connection, error) {
	socket, err := d.Dial(ctx, callback.Dial{What: "wecom: connection of the robot", Hosts: []string{gateway},
		URL: "wss://" + gateway})
	if err != nil {
		return nil, err
	}
	c := &connection{reader: &s.reader, socket: socket, waiting: make(map[string]chan string),
		ended: make(chan struct{})}
	if err := c.subscribe(ctx, s); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// wrong says what is wrong with the settings, by the code of WeCom.
var wrong = map[string]string{
	"40001":  wrongBot,
	"40058":  wrongBot,
	"93019":  wrongBot,
	"853000": wrongBot,
}

const wrongBot = "copy WeChatBotId and WeChatBotSecret from the robot's page; the robot must be in API mode with the " +
	"long connection (长连接)"

// A connection is the connection of a robot.
type connection struct {
	*reader
	socket     callback.Socket
	unanswered atomic.Int32 // pings
	early      [][]byte     // frames that came before the answer to aibot_subscribe

	mu      sync.Mutex
	waiting map[string]chan string // each for the code of the answer to a command, by req_id
	end     sync.Once
	ended   chan struct{} // closed at the end
}

var _ callback.Sending = (*connection)(nil)

// A frame is a message of a connection. A frame without a command answers one.
type frame struct {
	cmd, id, code string
	body          callback.Fields
}

// decodeFrame reads a frame. Its body is read further by the reader.
func decodeFrame(b []byte) (frame, error) {
	f, err := callback.Object("the frame", escapeControls(string(b)))
	if err != nil {
		return frame{}, err
	}
	out := frame{cmd: f.Text("cmd"), id: f.Object("headers").Text("req_id"), code: f.Number("errcode"),
		body: f.Object("body")}
	if len(out.id) > maxID {
		return frame{}, callback.Refuse(callback.StepDecode, "the frame's req_id has more than %d bytes", maxID)
	}
	return out, f.Err()
}

// write sends a frame. The id of an answer is that of what it answers.
func (c *connection) write(ctx context.Context, cmd, id string, body any) error {
	type headers struct {
		ID string `json:"req_id"`
	}
	err := c.socket.Write(ctx, document.Marshal(struct {
		Command string  `json:"cmd"`
		Headers headers `json:"headers"`
		Body    any     `json:"body,omitempty"`
	}{cmd, headers{id}, body}))
	if err != nil {
		return fmt.Errorf("wecom: %s: %w", cmd, err)
	}
	return nil
}

// newID returns an id for a command of our own.
func newID(cmd string) string { return cmd + "_" + rand.Text() }

// isOwn reports whether an id is that of a command of our own. Others are WeCom's.
func isOwn(id string) bool {
	return strings.HasPrefix(id, cmdSubscribe+"_") || strings.HasPrefix(id, cmdPing+"_") ||
		strings.HasPrefix(id, cmdSend+"_")
}

// subscribe signs in. What comes before the answer is kept for Next, since WeCom sends it once.
func (c *connection) subscribe(ctx context.Context, s *stream) error {
	ctx, cancel := context.WithTimeout(ctx, signInTime)
	defer cancel()
	id := newID(cmdSubscribe)
	err := c.write(ctx, cmdSubscribe, id, struct {
		ID     string `json:"bot_id"`
		Secret string `json:"secret"`
	}{s.botID, s.secret.Reveal()})
	if err != nil {
		return err
	}
	for {
		b, err := c.socket.Read(ctx)
		if err != nil {
			return fmt.Errorf("wecom: %s: %w", cmdSubscribe, err)
		}
		f, err := decodeFrame(b)
		switch {
		case err != nil:
			return fmt.Errorf("wecom: %s: %w", cmdSubscribe, err)
		case f.cmd == "" && f.id != id: // the answer to something else
		case f.cmd != "" && len(c.early) >= maxEarly:
			return fmt.Errorf("wecom: %s: other frames came, and no answer", cmdSubscribe)
		case f.cmd != "":
			c.early = append(c.early, b)
		case f.code == "0":
			return nil
		default:
			return new(callback.Answer).NotOpened("wecom: "+cmdSubscribe, named(f.code), wrong)
		}
	}
}

// named returns a code, or a name for a missing one.
func named(code string) string {
	if code == "" {
		return "missing"
	}
	return code
}

// PingEvery implements callback.Connection.
func (c *connection) PingEvery() time.Duration { return pingEvery }

// Ping implements callback.Connection.
func (c *connection) Ping(ctx context.Context) error {
	if c.unanswered.Load() >= maxUnanswered {
		return &callback.Ended{Reason: fmt.Sprintf("wecom: %d pings were not answered", maxUnanswered)}
	}
	c.unanswered.Add(1)
	return c.write(ctx, cmdPing, newID(cmdPing), nil)
}

// Close implements callback.Connection.
func (c *connection) Close() error {
	c.end.Do(func() { close(c.ended) })
	return c.socket.Close()
}

// Next implements callback.Connection.
func (c *connection) Next(ctx context.Context) (*callback.Delivery, error) {
	for {
		d, err := c.next(ctx)
		if err != nil {
			c.end.Do(func() { close(c.ended) }) // the answers to commands are no longer read
		}
		if d != nil || err != nil {
			return d, err
		}
	}
}

// read returns the next frame.
func (c *connection) read(ctx context.Context) ([]byte, error) {
	if len(c.early) == 0 {
		return c.socket.Read(ctx)
	}
	b := c.early[0]
	c.early = c.early[1:]
	return b, nil
}

// next reads a frame. It returns neither a delivery nor an error for the answer to a command.
func (c *connection) next(ctx context.Context) (*callback.Delivery, error) {
	b, err := c.read(ctx)
	if err != nil {
		return nil, err
	}
	f, err := decodeFrame(b)
	switch {
	case err != nil:
		return &callback.Delivery{Refused: err}, nil
	case f.cmd == cmdMessage || f.cmd == cmdEvent:
		c.unanswered.Store(0)
		return c.deliver(f)
	case f.code == notSubscribed:
		return nil, &callback.Ended{Reason: "wecom: WeCom delivers nothing more over this connection (code " +
			notSubscribed + ")"}
	case f.code == "0":
		c.unanswered.Store(0)
	}
	return c.answered(f), nil
}

// answered passes the code of an answer on to the command that waits for it. An answer to a message
// has no such command: waiting would limit how many messages are handled at once. If WeCom refuses
// an answer to a message, answered returns a delivery that tells the owner of the configuration.
func (c *connection) answered(f frame) *callback.Delivery {
	c.mu.Lock()
	defer c.mu.Unlock()
	if wait := c.waiting[f.id]; wait != nil {
		delete(c.waiting, f.id)
		wait <- f.code
		return nil
	}
	if f.id == "" || f.code == "" || f.code == "0" || isOwn(f.id) {
		return nil
	}
	return &callback.Delivery{Refused: callback.Refuse(callback.StepDeliver,
		"WeCom refused an answer; its code is %s", f.code)}
}

// deliver reads a message or an event. WeCom waits for no acknowledgement, except for an answer
// that carries a text.
func (c *connection) deliver(f frame) (*callback.Delivery, error) {
	if f.cmd == cmdEvent && f.body.Object("event").Text("eventtype") == "disconnected_event" {
		return nil, &callback.Ended{Reason: "wecom: another program has connected as the same robot", Replaced: true}
	}
	received, err := c.aibot(state{form: formRobot}, f.body)
	if err == nil && f.id == "" {
		err = callback.Refuse(callback.StepDecode, "the frame has no req_id")
	}
	if err != nil {
		return &callback.Delivery{Refused: err}, nil
	}
	return &callback.Delivery{Received: received, Acknowledge: func(ctx context.Context, r *callback.Response) error {
		if r.Status != 200 || !r.Carries {
			return nil
		}
		return c.write(ctx, cmdRespond, f.id, json.RawMessage(r.Body))
	}}, nil
}

// Answer implements callback.Answerer.
func (c *connection) Answer(in *callback.Received, text string) (*callback.Response, error) {
	s, ok := in.State.(state)
	if !ok || text == "" || in.Message == nil || s.acknowledged {
		return callback.Acknowledge(), nil
	}
	response := callback.JSON(robotReply(s, text))
	response.Carries = true
	return response, nil
}

// call sends a command of our own and waits for its answer, which Next reads.
func (c *connection) call(ctx context.Context, cmd string, body any) error {
	id, wait := newID(cmd), make(chan string, 1)
	c.mu.Lock()
	if len(c.waiting) >= maxWaiting {
		c.mu.Unlock()
		return fmt.Errorf("wecom: %s: too many commands wait for an answer of WeCom", cmd)
	}
	c.waiting[id] = wait
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.waiting, id)
	}()
	limit, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	if err := c.write(limit, cmd, id, body); err != nil {
		return err
	}
	var code string
	select {
	case code = <-wait:
	case <-c.ended:
		select {
		case code = <-wait: // the answer was the last frame that was read
		default:
			return fmt.Errorf("wecom: %s: the connection ended before the answer", cmd)
		}
	case <-limit.Done():
		if ctx.Err() != nil {
			return fmt.Errorf("wecom: %s: %w", cmd, ctx.Err())
		}
		return fmt.Errorf("wecom: %s: no answer within %s", cmd, answerTime)
	}
	if code == "0" {
		return nil
	}
	return new(callback.Answer).Refused("wecom: "+cmd, named(code), passing(code))
}

// Send implements callback.Sender: as a message of the robot. WeCom takes a few of them for each
// message to the robot, and fewer without one.
func (c *connection) Send(ctx context.Context, to command.ReplyTo, text string) error {
	body := struct {
		Chat     string        `json:"chatid"`
		Kind     int           `json:"chat_type"` // 1 for a person, 2 for a chat; without it WeCom guesses
		Type     string        `json:"msgtype"`
		Markdown callback.Text `json:"markdown"`
	}{Type: "markdown", Markdown: callback.Text{Content: markdown(text)}}
	if user, ok := strings.CutPrefix(to.ID, ofUser); ok {
		body.Chat, body.Kind = user, 1
	} else if chat, ok := strings.CutPrefix(to.ID, ofChat); ok {
		body.Chat, body.Kind = chat, 2
	}
	if to.Kind != toStream || body.Chat == "" {
		return callback.Final("wecom: an answer of the kind %q cannot be sent over a connection", to.Kind)
	}
	return c.call(ctx, cmdSend, body)
}

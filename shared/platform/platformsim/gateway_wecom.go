package platformsim

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"

	"chatconf/shared/platform/callback"
)

// wecomConnect is the host of WeCom's connections.
const wecomConnect = "openws.work.weixin.qq.com"

// Limits of the connections of intelligent robots.
// https://developer.work.weixin.qq.com/document/path/101463
const (
	wecomLimit  = 5 * time.Second // for an answer to a message, and for one to a button
	wecomPing   = 30 * time.Second
	wecomGone   = 10 * time.Second // from the notice to the end of a connection
	wecomLength = 20_480           // bytes of a text
)

// The codes by which WeCom refuses a command, as people who met them report.
const (
	wecomWrongType     = 40008
	wecomWrongBody     = 40058
	wecomWrongID       = 846605
	wecomWrongStream   = 846608
	wecomNotSubscribed = 846609
	wecomWrongSecret   = 853000
)

// A wecomGateway stands in for the connections of WeCom's intelligent robots. A robot has one: when
// it gets another, it is told over the first.
type wecomGateway struct {
	*hub

	mu       sync.Mutex
	current  map[string]*gatewayConn  // by robot
	messages map[string]*wecomMessage // by req_id
}

// A wecomMessage is something that was delivered, and can be answered.
type wecomMessage struct {
	app      string
	event    bool
	at       time.Time
	answered bool   // by a stream that is not finished
	stream   string // its id
}

func newWecomGateway(o GatewayOptions) Gateway {
	g := &wecomGateway{hub: newHub(o, wecomConnect), current: map[string]*gatewayConn{},
		messages: map[string]*wecomMessage{}}
	g.app = func(s callback.Settings) (string, []string) { return s.Get("WeChatBotId"), nil }
	g.notice = g.replace
	g.mux.HandleFunc("GET "+wecomConnect+"/{$}", g.connect)
	return g
}

// A wecomFrame is a command of the program.
type wecomFrame struct {
	Command string `json:"cmd"`
	Headers struct {
		ID string `json:"req_id"`
	} `json:"headers"`
	Body json.RawMessage `json:"body"`
}

// A wecomRefusal is why a command is refused.
type wecomRefusal struct {
	code    int
	message string
}

// Error implements error.
func (r *wecomRefusal) Error() string { return r.message }

// connect serves a connection. Its first command subscribes to the messages of a robot.
func (g *wecomGateway) connect(w http.ResponseWriter, r *http.Request) {
	c, err := g.accept(w, r, websocket.MessageText)
	if err != nil {
		return
	}
	defer c.end()
	defer g.forgetCurrent(c)
	pinged := make(chan struct{}, 1)
	go g.watch(c, pinged)
	for {
		message, err := c.read()
		if err != nil {
			return
		}
		var f wecomFrame
		if decode(message, &f) != nil {
			c.close(websocket.StatusInvalidFramePayloadData)
			return
		}
		refused, after := g.command(c, f)
		code, text := 0, "ok"
		if refused != nil {
			code, text = refused.code, refused.message
		}
		c.write(object{"headers": object{"req_id": f.Headers.ID}, "errcode": code, "errmsg": text}.bytes())
		if after != nil {
			after()
		}
		if f.Command == "ping" && refused == nil {
			pinged <- struct{}{}
		}
	}
}

// watch ends a connection that does not ping.
func (g *wecomGateway) watch(c *gatewayConn, pinged <-chan struct{}) {
	const silence = 2*wecomPing + wecomPing/2
	timer := time.NewTimer(silence)
	defer timer.Stop()
	for {
		select {
		case <-c.done:
			return
		case <-pinged:
			timer.Reset(silence)
		case <-timer.C:
			c.close(websocket.StatusPolicyViolation)
			return
		}
	}
}

// command does what a command says. The caller answers, and then calls after.
//
// https://github.com/WecomTeam/aibot-node-sdk/blob/main/src/types/api.ts
func (g *wecomGateway) command(c *gatewayConn, f wecomFrame) (refused *wecomRefusal, after func()) {
	if f.Headers.ID == "" {
		return &wecomRefusal{wecomWrongBody, "invalid Request Parameter: req_id"}, nil
	}
	if f.Command == "aibot_subscribe" {
		return g.subscribe(c, f.Body)
	}
	if !g.subscribed(c) {
		return &wecomRefusal{wecomNotSubscribed, "aibot websocket not subscribed"}, nil
	}
	switch f.Command {
	case "ping":
		return nil, nil
	case "aibot_respond_msg":
		return g.respond(c, f.Headers.ID, f.Body)
	case "aibot_respond_update_msg":
		return g.update(c, f.Headers.ID, f.Body), nil
	case "aibot_send_msg":
		return g.send(c, f.Body), nil
	}
	return &wecomRefusal{wecomWrongBody, "invalid Request Parameter: cmd"}, nil
}

func (g *wecomGateway) subscribed(c *gatewayConn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return c.app != "" && g.current[c.app] == c
}

// subscribe makes a connection that of a robot, in the place of the one before.
func (g *wecomGateway) subscribe(c *gatewayConn, body []byte) (*wecomRefusal, func()) {
	var in struct {
		ID     string `json:"bot_id"`
		Secret string `json:"secret"`
	}
	if decode(body, &in) != nil || !g.accepts(in.ID, in.Secret) || c.app != "" && c.app != in.ID {
		return &wecomRefusal{wecomWrongSecret, "invalid bot_id or secret"}, nil
	}
	if c.app != "" {
		return nil, nil
	}
	return nil, func() {
		g.mu.Lock()
		others := g.join(c, in.ID)
		g.current[in.ID] = c
		g.mu.Unlock()
		for _, other := range others {
			g.replaced(other)
		}
	}
}

// replace gives notice to a connection that another has its place.
func (g *wecomGateway) replace(c *gatewayConn) {
	g.forgetCurrent(c)
	g.replaced(c)
}

// forgetCurrent ends the subscription of a connection.
func (g *wecomGateway) forgetCurrent(c *gatewayConn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.current[c.app] == c {
		delete(g.current, c.app)
	}
}

// replaced tells a connection that another has its place. It stays open for a while.
func (g *wecomGateway) replaced(c *gatewayConn) {
	c.silent.Store(true)
	g.leave(c)
	c.write(wecomCallback("aibot_event_callback", random(16), object{"msgid": random(16), "msgtype": "event",
		"create_time": g.Now().Unix(), "aibotid": c.app, "event": object{"eventtype": "disconnected_event"}}))
	c.closeAfter(wecomGone)
}

// wecomCallback is what is sent to a program.
func wecomCallback(command, id string, body object) []byte {
	return object{"cmd": command, "headers": object{"req_id": id}, "body": body}.bytes()
}

// Push implements Gateway. Neither the documents nor the official clients know an acknowledgement:
// a message comes once, and may be answered.
func (g *wecomGateway) Push(ctx context.Context, s callback.Settings, m Message) (Pushed, error) {
	k := &Maker{Settings: s, Now: g.Now(), Random: rand.Reader}
	if err := k.need("WeChatBotId"); err != nil {
		return Pushed{}, fmt.Errorf("platformsim: WeChat: %w", err)
	}
	m.ID = cmp.Or(m.ID, random(12))
	robot := s.Get("WeChatBotId")
	switch m.Mode {
	case "", "aibot":
		body := wecomSaid(k, m)
		body["create_time"] = k.Now.Unix()
		return g.push(ctx, s, delivery{most: 1, limit: wecomLimit, unanswered: true, message: g.MessageID(m),
			frames: func(*gatewayConn, int) (string, [][]byte, error) {
				id := g.expectAnswer(robot, false)
				return id, [][]byte{wecomCallback("aibot_msg_callback", id, body)}, nil
			},
			read: func(answer []byte) (string, bool, error) {
				reply, refused := readWecomAnswer(answer)
				if refused != nil {
					return "", false, refused
				}
				return reply.shown(), false, nil
			}})
	case "button": // WeCom waits for no answer
		c, err := g.pick(ctx, robot, "")
		if err != nil {
			return Pushed{}, err
		}
		c.write(wecomCallback("aibot_event_callback", g.expectAnswer(robot, true), wecomPressed(k, m)))
		return Pushed{Deliveries: 1}, nil
	}
	return Pushed{}, fmt.Errorf("platformsim: unknown mode %q of WeChat; use aibot or button", m.Mode)
}

// MessageID implements Gateway.
func (g *wecomGateway) MessageID(m Message) string {
	if m.Mode == "button" {
		return ""
	}
	return m.ID
}

// expectAnswer returns a new req_id.
func (g *wecomGateway) expectAnswer(robot string, event bool) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	id := random(16)
	g.messages[id] = &wecomMessage{app: robot, event: event, at: g.Now()}
	return id
}

// A wecomAnswer is an answer, or a message of a robot's own.
type wecomAnswer struct {
	Type   string `json:"msgtype"`
	Chat   string `json:"chatid"`
	Stream struct {
		ID      string `json:"id"`
		Finish  bool   `json:"finish"`
		Content string `json:"content"`
	} `json:"stream"`
	Markdown struct {
		Content string `json:"content"`
	} `json:"markdown"`
	Response string    `json:"response_type"`
	Card     wecomCard `json:"template_card"`
}

// A wecomCard is a card: what is shown of it.
type wecomCard struct {
	Type  string `json:"card_type"`
	Title struct {
		Title string `json:"title"`
	} `json:"main_title"`
}

// shown returns the text that a person sees, empty while a stream is not finished.
func (r *wecomAnswer) shown() string {
	switch r.Type {
	case "stream":
		if !r.Stream.Finish {
			return ""
		}
		return callback.Plain(unmarkdown(r.Stream.Content))
	case "markdown":
		return callback.Plain(unmarkdown(r.Markdown.Content))
	}
	return r.Card.Title.Title
}

// readWecomAnswer reads an answer or a message.
func readWecomAnswer(body []byte) (*wecomAnswer, *wecomRefusal) {
	var r wecomAnswer
	if decode(body, &r) != nil {
		return nil, &wecomRefusal{wecomWrongBody, "invalid Request Parameter: body"}
	}
	ok := false
	switch r.Type {
	case "stream":
		ok = r.Stream.ID != "" && len(r.Stream.Content) <= wecomLength
	case "markdown":
		ok = r.Markdown.Content != "" && len(r.Markdown.Content) <= wecomLength
	case "template_card":
		ok = r.Card.Type != ""
	default:
		return nil, &wecomRefusal{wecomWrongType, "invalid message type"}
	}
	if !ok {
		return nil, &wecomRefusal{wecomWrongBody, "invalid Request Parameter: " + r.Type}
	}
	return &r, nil
}

// respond takes an answer to a message. The first acknowledges it. Later ones continue its stream.
func (g *wecomGateway) respond(c *gatewayConn, id string, body []byte) (*wecomRefusal, func()) {
	r, refused := readWecomAnswer(body)
	if refused != nil {
		return refused, nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	m := g.messages[id]
	switch {
	case m == nil || m.event || m.app != c.app:
		return &wecomRefusal{wecomWrongID, "invalid req_id"}, nil
	case m.answered && m.stream != r.Stream.ID:
		return &wecomRefusal{wecomWrongStream, "it is not the stream of the message"}, nil
	}
	first := !m.answered
	if m.answered, m.stream = true, r.Stream.ID; r.Type != "stream" || r.Stream.Finish {
		delete(g.messages, id)
	}
	return nil, func() {
		if first && c.acknowledge(id, body) {
			return
		}
		if text := r.shown(); text != "" {
			g.record(c.app, text)
		}
	}
}

// update takes a new card in the place of the one whose button was pressed.
func (g *wecomGateway) update(c *gatewayConn, id string, body []byte) *wecomRefusal {
	var r wecomAnswer
	if decode(body, &r) != nil || r.Response != "update_template_card" || r.Card.Type == "" {
		return &wecomRefusal{wecomWrongBody, "invalid Request Parameter: template_card"}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	m := g.messages[id]
	if m == nil || !m.event || m.app != c.app || g.Now().After(m.at.Add(wecomLimit)) {
		return &wecomRefusal{wecomWrongID, "invalid req_id"}
	}
	delete(g.messages, id)
	g.record(c.app, r.shown())
	return nil
}

// send takes a message of the robot's own.
func (g *wecomGateway) send(c *gatewayConn, body []byte) *wecomRefusal {
	r, refused := readWecomAnswer(body)
	switch {
	case refused != nil:
		return refused
	case r.Type == "stream":
		return &wecomRefusal{wecomWrongType, "invalid message type"}
	case r.Chat == "":
		return &wecomRefusal{wecomWrongBody, "invalid Request Parameter: chatid"}
	}
	g.record(c.app, r.shown())
	return nil
}

package platformsim_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"chatconf/shared/platform/callback"
	"chatconf/shared/platform/platformsim"
)

var wecomClient = gatewayClient{
	settings: callback.Settings{"WeChatBotId": "aibexample", "WeChatBotSecret": "not-a-real-secret"},
	app:      "aibexample", secret: "not-a-real-secret", once: true,
	open: func(t *testing.T, g *gateway) *program {
		t.Helper()
		p := wecomDial(t, g)
		if code := wecomSubscribe(p, g.app, g.secret); code != 0 {
			t.Fatalf("code %d", code)
		}
		wecomPing(p)
		return p
	},
	next: func(p *program) (delivered, error) {
		f, err := wecomRead(p)
		if err != nil || f.Body.Event.Type == "disconnected_event" {
			return delivered{}, err
		}
		return delivered{f.Body.ID, f.Body.Text.Content, func(bool) { // WeCom cannot be asked for another delivery
			if code := wecomCall(p, "aibot_respond_msg", f.Headers.ID, wecomStream("s1", "done", true)); code != 0 {
				p.t.Errorf("code %d", code)
			}
		}}, nil
	},
}

// A wecomFrame is a frame of WeCom's.
type wecomFrame struct {
	Command string `json:"cmd"`
	Headers struct {
		ID string `json:"req_id"`
	}
	Errcode *int
	Body    struct {
		ID       string `json:"msgid"`
		Robot    string `json:"aibotid"`
		Chattype string
		From     struct{ Userid string }
		Text     struct{ Content string }
		Event    struct {
			Type string `json:"eventtype"`
			Card struct {
				Key string `json:"event_key"`
			} `json:"template_card_event"`
		}
	}
}

// wecomDial opens a connection that has not subscribed.
func wecomDial(t *testing.T, g *gateway) *program {
	t.Helper()
	p, err := g.dial(t, "wss"+strings.TrimPrefix(g.URL, "https"))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// wecomRead reads what is delivered.
func wecomRead(p *program) (f wecomFrame, err error) {
	if len(p.waiting) > 0 {
		f, p.waiting = p.waiting[0], p.waiting[1:]
		return f, nil
	}
	err = p.read(&f)
	return f, err
}

// wecomCall sends a command and returns its code. It keeps what is delivered meanwhile.
func wecomCall(p *program, command, id string, body any) int {
	p.t.Helper()
	p.write(map[string]any{"cmd": command, "headers": map[string]string{"req_id": id}, "body": body})
	for {
		var f wecomFrame
		if err := p.read(&f); err != nil {
			p.t.Fatal(err)
		}
		if f.Errcode != nil {
			if f.Headers.ID != id {
				p.t.Errorf("the answer has req_id %q, want %q", f.Headers.ID, id)
			}
			return *f.Errcode
		}
		p.waiting = append(p.waiting, f)
	}
}

func wecomSubscribe(p *program, robot, key string) int {
	p.t.Helper()
	return wecomCall(p, "aibot_subscribe", "aibot_subscribe_1", map[string]string{"bot_id": robot, "secret": key})
}

// wecomPing pings. Once the gateway answers, it knows the connection.
func wecomPing(p *program) {
	p.t.Helper()
	if code := wecomCall(p, "ping", "ping_1", nil); code != 0 {
		p.t.Fatalf("a ping: code %d", code)
	}
}

func wecomStream(id, content string, finish bool) map[string]any {
	return map[string]any{"msgtype": "stream", "stream": map[string]any{"id": id, "content": content, "finish": finish}}
}

func wecomMarkdown(chat, content string) map[string]any {
	return map[string]any{"chatid": chat, "msgtype": "markdown", "markdown": map[string]string{"content": content}}
}

func wecomCard(title string) map[string]any {
	return map[string]any{"msgtype": "template_card", "chatid": "ann", "response_type": "update_template_card",
		"template_card": map[string]any{"card_type": "text_notice", "main_title": map[string]string{"title": title}}}
}

func TestWecomGatewayRefusesCredentials(t *testing.T) {
	g := startGateway(t, "WeChat")
	p := wecomDial(t, g)
	for _, c := range [][2]string{{g.app, "other"}, {"aibother", g.secret}, {"", ""}} {
		if code := wecomSubscribe(p, c[0], c[1]); code != 853000 {
			t.Errorf("%v: code %d", c, code)
		}
	}
	for command, body := range map[string]any{"ping": nil, "aibot_send_msg": wecomMarkdown("ann", "x")} {
		if code := wecomCall(p, command, "id", body); code != 846609 {
			t.Errorf("%s before the subscription: code %d", command, code)
		}
	}
	if code := wecomSubscribe(p, g.app, g.secret); code != 0 {
		t.Errorf("code %d", code)
	}
	wecomPing(p)
	if code := wecomSubscribe(p, g.app, g.secret); code != 0 || g.Connections(g.settings) != 1 {
		t.Errorf("again: code %d, %d connections", code, g.Connections(g.settings))
	}
	if code := wecomCall(p, "ping", "", nil); code != 40058 {
		t.Errorf("without req_id: code %d", code)
	}
	if code := wecomCall(p, "aibot_dance", "id", nil); code != 40058 {
		t.Errorf("an unknown command: code %d", code)
	}
	if err := p.conn.Write(t.Context(), websocket.MessageText, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := wecomRead(p); websocket.CloseStatus(err) != websocket.StatusInvalidFramePayloadData {
		t.Errorf("%v", err)
	}
}

// A robot has one connection. The one before is told, and stays open without use.
func TestWecomGatewayReplacesAConnection(t *testing.T) {
	g := startGateway(t, "WeChat")
	first := g.open(t, g)
	second := g.open(t, g)
	f, err := wecomRead(first)
	if err != nil || f.Command != "aibot_event_callback" || f.Body.Event.Type != "disconnected_event" ||
		f.Body.Robot != g.app {
		t.Errorf("%+v, %v", f, err)
	}
	if code := wecomCall(first, "ping", "ping_2", nil); code != 846609 {
		t.Errorf("the connection before: code %d", code)
	}
	if n := g.Connections(g.settings); n != 1 {
		t.Errorf("%d connections", n)
	}
	done := g.push(t.Context(), platformsim.Message{ID: "m1", User: "ann", Text: "help"})
	g.mustNext(t, second).acknowledge(false)
	if got := <-done; got.err != nil || got.Answer != "done" {
		t.Errorf("%+v", got)
	}
}

func TestWecomGatewayTakesAnswers(t *testing.T) {
	g := startGateway(t, "WeChat")
	p := g.open(t, g)
	deliver := func(m platformsim.Message) (wecomFrame, <-chan pushResult) {
		t.Helper()
		m.User = "ann"
		done := g.push(t.Context(), m)
		f, err := wecomRead(p)
		if err != nil {
			t.Fatal(err)
		}
		return f, done
	}
	f, done := deliver(platformsim.Message{Text: "help", Direct: true})
	if f.Command != "aibot_msg_callback" || f.Body.Robot != g.app || f.Body.From.Userid != "ann" ||
		f.Body.Chattype != "single" || f.Body.Text.Content != "help" {
		t.Errorf("%+v", f)
	}
	for _, c := range []struct {
		command, id string
		body        any
		code        int
	}{
		{"aibot_respond_msg", f.Headers.ID, map[string]any{"msgtype": "text", "text": "x"}, 40008},
		{"aibot_respond_msg", f.Headers.ID, "x", 40058},
		{"aibot_respond_msg", f.Headers.ID, wecomStream("", "x", true), 40058},
		{"aibot_respond_msg", f.Headers.ID, wecomStream("s", strings.Repeat("x", 20_481), true), 40058},
		{"aibot_respond_msg", "other", wecomStream("s", "x", true), 846605},
		{"aibot_respond_update_msg", f.Headers.ID, wecomCard("x"), 846605},
		{"aibot_respond_msg", f.Headers.ID, wecomStream("s1", "one mo", false), 0}, // acknowledges
		{"aibot_respond_msg", f.Headers.ID, wecomStream("s2", "x", true), 846608},
		{"aibot_respond_msg", f.Headers.ID, wecomStream("s1", `one \*moment\*`, true), 0},
		{"aibot_respond_msg", f.Headers.ID, wecomStream("s1", "x", true), 846605},
		{"aibot_send_msg", "m1", wecomMarkdown("ann", "two"), 0},
		{"aibot_send_msg", "m2", wecomCard("three"), 0},
		{"aibot_send_msg", "m3", wecomMarkdown("", "x"), 40058},
		{"aibot_send_msg", "m4", wecomStream("s", "x", true), 40008},
		{"aibot_send_msg", "m5", map[string]any{"msgtype": "template_card", "chatid": "ann"}, 40058},
	} {
		if code := wecomCall(p, c.command, c.id, c.body); code != c.code {
			t.Errorf("%s %v: code %d, want %d", c.command, c.body, code, c.code)
		}
	}
	if got := <-done; got.err != nil || got.Answer != "" || got.Deliveries != 1 {
		t.Errorf("%+v", got)
	}
	want := []string{"one *moment*", "two", "three"}
	if got := g.Sent(g.settings); !slices.Equal(got, want) {
		t.Errorf("sent %q, want %q", got, want)
	}
	f, done = deliver(platformsim.Message{Text: "help", Mode: "aibot"})
	if code := wecomCall(p, "aibot_respond_msg", f.Headers.ID, wecomMarkdown("", "it is *so*")); code != 0 {
		t.Errorf("code %d", code)
	}
	if got := <-done; got.err != nil || got.Answer != "it is *so*" {
		t.Errorf("%+v", got)
	}
	if _, err := g.Push(t.Context(), g.settings, platformsim.Message{Mode: "pigeon"}); err == nil {
		t.Error("an unknown mode")
	}
	if _, err := g.Push(t.Context(), nil, platformsim.Message{}); err == nil {
		t.Error("no settings")
	}
}

// A card can be changed for a while after its button was pressed, once.
func TestWecomGatewayTakesAnotherCard(t *testing.T) {
	g := startGateway(t, "WeChat")
	p := g.open(t, g)
	press := func() string {
		t.Helper()
		got, err := g.Push(t.Context(), g.settings, platformsim.Message{User: "ann", Text: "restart", Mode: "button"})
		if err != nil || got.Deliveries != 1 {
			t.Errorf("%+v, %v", got, err)
		}
		f, err := wecomRead(p)
		if err != nil || f.Command != "aibot_event_callback" || f.Body.Event.Type != "template_card_event" ||
			f.Body.Event.Card.Key != "restart" || f.Body.ID == "" {
			t.Fatalf("%+v, %v", f, err)
		}
		return f.Headers.ID
	}
	id := press()
	for _, c := range []struct {
		command string
		body    any
		code    int
	}{
		{"aibot_respond_msg", wecomStream("s", "x", true), 846605},
		{"aibot_respond_update_msg", wecomStream("s", "x", true), 40058},
		{"aibot_respond_update_msg", wecomCard("restarted"), 0},
		{"aibot_respond_update_msg", wecomCard("again"), 846605},
	} {
		if code := wecomCall(p, c.command, id, c.body); code != c.code {
			t.Errorf("%s %v: code %d, want %d", c.command, c.body, code, c.code)
		}
	}
	id = press()
	g.ahead.Add(int64(6 * time.Second))
	if code := wecomCall(p, "aibot_respond_update_msg", id, wecomCard("late")); code != 846605 {
		t.Errorf("after 6 s: code %d", code)
	}
	if got, want := g.Sent(g.settings), []string{"restarted"}; !slices.Equal(got, want) {
		t.Errorf("sent %q, want %q", got, want)
	}
	g.Gateway.Close()
	if _, err := wecomRead(p); err == nil {
		t.Error("the connection is open")
	}
}

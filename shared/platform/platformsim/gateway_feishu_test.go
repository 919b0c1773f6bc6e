package platformsim_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"chatconf/shared/platform/callback"
	"chatconf/shared/platform/platformsim"
)

var feishuClient = gatewayClient{
	settings: callback.Settings{"FeishuAppId": "cli_0123456789abcdef", "FeishuAppSecret": "not-a-real-secret"},
	app:      "cli_0123456789abcdef", secret: "not-a-real-secret",
	open: func(t *testing.T, g *gateway) *program {
		t.Helper()
		address := feishuOpen(t, g)
		p, err := g.dial(t, address)
		if err != nil {
			t.Fatal(err)
		}
		feishuPing(p, feishuService(t, address))
		var early []*platformsim.FeishuFrame
		for { // once the gateway answers, it knows the connection
			f, err := feishuNext(p)
			if err != nil {
				t.Fatal(err)
			}
			if feishuHeader(f, "type") == "pong" {
				break
			}
			early = append(early, f)
		}
		p.early = early
		return p
	},
	next: func(p *program) (delivered, error) {
		f, payload, err := feishuRead(p)
		switch {
		case websocket.CloseStatus(err) == websocket.StatusGoingAway:
			return delivered{}, nil // the only notice that Feishu gives
		case err != nil:
			return delivered{}, err
		}
		var event struct {
			Event struct {
				Message struct{ MessageID, Content string }
			}
		}
		if err := json.Unmarshal([]byte(strings.ReplaceAll(string(payload), "message_id", "messageid")),
			&event); err != nil {
			return delivered{}, err
		}
		message := event.Event.Message
		return delivered{strings.TrimPrefix(message.MessageID, "om_"), message.Content, func(again bool) {
			if again {
				feishuAnswer(p, f, `{"code":500}`)
			} else {
				feishuAnswer(p, f, `{"code":200,"headers":null,"data":null}`)
			}
		}}, nil
	},
}

const feishuOpenCall = `{"AppID":%q,"AppSecret":%q}`

// A feishuEndpoint is the answer to the call before a connection.
type feishuEndpoint struct {
	Code int
	Msg  string
	Data struct {
		URL          string
		ClientConfig struct{ ReconnectCount, ReconnectInterval, ReconnectNonce, PingInterval int }
	}
}

// feishuOpen returns the address of a connection.
func feishuOpen(t *testing.T, g *gateway) string {
	t.Helper()
	var out feishuEndpoint
	if status := g.call(t, "POST", "/callback/ws/endpoint", fmt.Sprintf(feishuOpenCall, g.app, g.secret),
		&out); status != http.StatusOK || out.Code != 0 {
		t.Fatalf("status %d, %+v", status, out)
	}
	return out.Data.URL
}

// feishuHeader returns a header of a frame.
func feishuHeader(f *platformsim.FeishuFrame, key string) string {
	for _, h := range f.Headers {
		if h.Key == key {
			return h.Value
		}
	}
	return ""
}

// feishuNext reads a frame.
func feishuNext(p *program) (*platformsim.FeishuFrame, error) {
	if len(p.early) > 0 {
		f := p.early[0]
		p.early = p.early[1:]
		return f, nil
	}
	_, message, err := p.conn.Read(p.t.Context())
	if err != nil {
		return nil, err
	}
	return platformsim.ReadFeishuFrame(message)
}

// feishuRead reads what is delivered, which may come in parts: the last frame, and all of the
// payload.
func feishuRead(p *program) (*platformsim.FeishuFrame, []byte, error) {
	parts := map[string][]byte{}
	for {
		f, err := feishuNext(p)
		if err != nil {
			return nil, nil, err
		}
		sum, _ := strconv.Atoi(feishuHeader(f, "sum"))
		if sum <= 1 {
			return f, f.Payload, nil
		}
		if parts[feishuHeader(f, "seq")] = f.Payload; len(parts) < sum {
			continue
		}
		var payload []byte
		for i := range len(parts) {
			payload = append(payload, parts[strconv.Itoa(i)]...)
		}
		return f, payload, nil
	}
}

// feishuWrite writes a frame.
func feishuWrite(p *program, f *platformsim.FeishuFrame) {
	p.t.Helper()
	if err := p.conn.Write(p.t.Context(), websocket.MessageBinary, platformsim.WriteFeishuFrame(f)); err != nil {
		p.t.Error(err)
	}
}

// feishuService returns the service of an address.
func feishuService(t *testing.T, address string) int32 {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	service, err := strconv.ParseInt(u.Query().Get("service_id"), 10, 32)
	if err != nil || u.Query().Get("device_id") == "" {
		t.Fatalf("%s: %v", address, err)
	}
	return int32(service)
}

// feishuPing writes a ping.
func feishuPing(p *program, service int32) {
	p.t.Helper()
	feishuWrite(p, &platformsim.FeishuFrame{Service: service,
		Headers: []platformsim.FeishuHeader{{Key: "type", Value: "ping"}}})
}

// feishuAnswer returns a frame with another payload.
func feishuAnswer(p *program, f *platformsim.FeishuFrame, payload string) {
	p.t.Helper()
	answer := *f
	answer.Headers = append(slices.Clone(f.Headers), platformsim.FeishuHeader{Key: "biz_rt", Value: "3"})
	answer.Payload = []byte(payload)
	feishuWrite(p, &answer)
}

func TestFeishuGatewayRefusesCredentials(t *testing.T) {
	g := startGateway(t, "Feishu")
	for _, c := range []struct {
		app, secret string
		code, token int
	}{
		{g.app, "other", 1000040345, 10014},
		{"cli_other", g.secret, 1000040346, 10003},
		{"", g.secret, 1000040344, 10003},
		{g.app, "", 1000040344, 10014},
	} {
		var out feishuEndpoint
		if status := g.call(t, "POST", "/callback/ws/endpoint", fmt.Sprintf(feishuOpenCall, c.app, c.secret),
			&out); status != http.StatusOK || out.Code != c.code || out.Data.URL != "" {
			t.Errorf("%q, %q: status %d, %+v, want code %d", c.app, c.secret, status, out, c.code)
		}
		var token struct{ Code int }
		g.call(t, "POST", "/open-apis/auth/v3/tenant_access_token/internal",
			fmt.Sprintf(`{"app_id":%q,"app_secret":%q}`, c.app, c.secret), &token)
		if token.Code != c.token {
			t.Errorf("%q, %q: code %d of a token, want %d", c.app, c.secret, token.Code, c.token)
		}
	}
	for _, path := range []string{"/callback/ws/endpoint", "/open-apis/auth/v3/tenant_access_token/internal"} {
		if status := g.call(t, "POST", path, "{", nil); status != http.StatusBadRequest {
			t.Errorf("%s: status %d", path, status)
		}
	}
}

// The handshake of a connection that Feishu refuses says why in headers.
func TestFeishuTicketIsForOneConnectionAndAWhile(t *testing.T) {
	g := startGateway(t, "Feishu")
	refused := func(address, code string) {
		t.Helper()
		_, r, err := websocket.Dial(t.Context(), address, &websocket.DialOptions{HTTPClient: g.Client()})
		if err == nil || r == nil || r.Header.Get("Handshake-Status") != "514" ||
			r.Header.Get("Handshake-Autherrcode") != code || r.Header.Get("Handshake-Msg") == "" {
			t.Errorf("%v, %+v", err, r)
		}
	}
	address := feishuOpen(t, g)
	if _, err := g.dial(t, address); err != nil {
		t.Fatal(err)
	}
	refused(address, "1000040345")
	address = feishuOpen(t, g)
	refused(strings.Replace(address, "service_id=", "service_id=9", 1), "1000040345")
	address = feishuOpen(t, g)
	g.ahead.Add(int64(2 * time.Minute))
	refused(address, "1000040345")

	late := feishuOpen(t, g)
	for g.Connections(g.settings) < 50 {
		g.open(t, g)
	}
	var out feishuEndpoint
	g.call(t, "POST", "/callback/ws/endpoint", fmt.Sprintf(feishuOpenCall, g.app, g.secret), &out)
	if out.Code != 1000040350 {
		t.Errorf("the 51st connection: %+v", out)
	}
	refused(late, "1000040350")
}

func TestFeishuGatewayTellsHowToReconnectAndToPing(t *testing.T) {
	g := startGateway(t, "Feishu")
	var out feishuEndpoint
	g.call(t, "POST", "/callback/ws/endpoint", fmt.Sprintf(feishuOpenCall, g.app, g.secret), &out)
	if c := out.Data.ClientConfig; c.ReconnectCount != -1 || c.ReconnectInterval != 120 || c.ReconnectNonce != 30 ||
		c.PingInterval != 120 {
		t.Errorf("%+v", c)
	}
	service := feishuService(t, out.Data.URL)
	p, err := g.dial(t, out.Data.URL)
	if err != nil {
		t.Fatal(err)
	}
	feishuPing(p, service)
	pong, payload, err := feishuRead(p)
	if err != nil || pong.Method != 0 || pong.Service != service || feishuHeader(pong, "type") != "pong" ||
		!strings.Contains(string(payload), `"PingInterval":120`) {
		t.Errorf("%+v, %v", pong, err)
	}
	feishuPing(p, service+1) // of another connection
	if _, _, err := feishuRead(p); websocket.CloseStatus(err) != websocket.StatusInvalidFramePayloadData {
		t.Errorf("%v", err)
	}
	p = g.open(t, g)
	if err := p.conn.Write(t.Context(), websocket.MessageBinary, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := feishuRead(p); websocket.CloseStatus(err) != websocket.StatusInvalidFramePayloadData {
		t.Errorf("%v", err)
	}

	quick, err := platformsim.NewGateway("Feishu", platformsim.GatewayOptions{Reconnect: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	g.Gateway, g.Config.Handler = quick, quick
	out = feishuEndpoint{}
	g.call(t, "POST", "/callback/ws/endpoint", fmt.Sprintf(feishuOpenCall, "cli_any", "any"), &out)
	if c := out.Data.ClientConfig; c.ReconnectInterval != 1 || c.ReconnectNonce != 0 {
		t.Errorf("%+v", out)
	}
}

func TestFeishuGatewayDeliversInParts(t *testing.T) {
	for how, first := range map[platformsim.Disturbance]string{platformsim.Split: "0", platformsim.Shuffle: ""} {
		g := startGateway(t, "Feishu")
		p := g.open(t, g)
		if err := g.Disturb(g.settings, how); err != nil {
			t.Fatal(err)
		}
		done := g.push(t.Context(), platformsim.Message{ID: "m1", User: "ann", Text: "restart i-123"})
		f, err := feishuNext(p)
		if err != nil {
			t.Fatal(err)
		}
		if seq := feishuHeader(f, "seq"); (seq == "0") != (first == "0") || feishuHeader(f, "sum") < "2" {
			t.Errorf("%s: the first part is %s of %s", how, seq, feishuHeader(f, "sum"))
		}
		feishuAnswer(p, f, `{"code":500}`) // so that all of it comes again
		for range 2 {
			d := g.mustNext(t, p)
			if d.id != "" && strings.Contains(d.text, "restart i-123") {
				d.acknowledge(false)
				break
			}
		}
		if got := <-done; got.err != nil || got.Deliveries != 2 {
			t.Errorf("%s: %+v", how, got)
		}
	}
}

func TestFeishuGatewayReadsAcknowledgements(t *testing.T) {
	g := startGateway(t, "Feishu")
	p := g.open(t, g)
	toast := `{"code":200,"data":"` + "eyJ0b2FzdCI6eyJ0eXBlIjoiaW5mbyIsImNvbnRlbnQiOiJkb25lIn19" + `"}`
	for _, c := range []struct {
		mode, frame, kind, payload, answer string
		deliveries                         int
		again, ok                          bool
	}{
		{"", "event", "im.message.receive_v1", `{"code":200,"data":"e30="}`, "", 1, false, true},
		{"message", "event", "im.message.receive_v1", `{"code":500}`, "", 5, true, true},
		{"message", "event", "im.message.receive_v1", toast, "", 1, false, false},
		{"message", "event", "im.message.receive_v1", `x`, "", 1, false, false},
		{"v1", "event", "event_callback", `{"code":200}`, "", 1, false, true},
		{"menu", "event", "application.bot.menu_v6", `{"code":200}`, "", 1, false, true},
		{"card", "event", "card.action.trigger", toast, "done", 1, false, true},
		{"card", "event", "card.action.trigger", `{"code":200,"data":"IQ=="}`, "", 1, false, false},
		{"card-frame", "card", "card.action.trigger", toast, "done", 1, false, true},
		{"old-card", "card", "open_message_id", `{"code":200,"data":""}`, "", 1, false, true},
	} {
		done := g.push(t.Context(), platformsim.Message{User: "ann", Text: "help", Mode: c.mode})
		for range c.deliveries {
			f, payload, err := feishuRead(p)
			if err != nil {
				t.Fatal(err)
			}
			if feishuHeader(f, "type") != c.frame || !strings.Contains(string(payload), c.kind) {
				t.Errorf("%s: %s of type %s", c.mode, payload, feishuHeader(f, "type"))
			}
			feishuAnswer(p, f, c.payload)
		}
		got := <-done
		if got.Answer != c.answer || got.Again != c.again || (got.err == nil) != c.ok ||
			got.Deliveries != c.deliveries {
			t.Errorf("%s, %s: %+v", c.mode, c.payload, got)
		}
	}
	for name, change := range map[string]func(*platformsim.FeishuFrame){
		"another sequence":         func(f *platformsim.FeishuFrame) { f.Sequence++ },
		"another log":              func(f *platformsim.FeishuFrame) { f.Log++ },
		"a header is missing":      func(f *platformsim.FeishuFrame) { f.Headers = f.Headers[1:] },
		"without the time it took": func(f *platformsim.FeishuFrame) { f.Headers[len(f.Headers)-1].Key = "x" },
	} {
		done := g.push(t.Context(), platformsim.Message{User: "ann", Text: "help"})
		f, _, err := feishuRead(p)
		if err != nil {
			t.Fatal(err)
		}
		f.Headers = append(f.Headers, platformsim.FeishuHeader{Key: "biz_rt", Value: "3"})
		f.Payload = []byte(`{"code":200}`)
		change(f)
		feishuWrite(p, f)
		if got := <-done; got.err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if _, err := g.Push(t.Context(), g.settings, platformsim.Message{Mode: "pigeon"}); err == nil ||
		!strings.Contains(err.Error(), "card, card-frame, menu, message, old-card, v1") {
		t.Errorf("an unknown mode: %v", err)
	}
	if _, err := g.Push(t.Context(), nil, platformsim.Message{}); err == nil {
		t.Error("no settings")
	}
}

func TestFeishuGatewayTakesAnswers(t *testing.T) {
	g := startGateway(t, "Feishu")
	var token struct {
		Token string `json:"tenant_access_token"`
	}
	g.call(t, "POST", "/open-apis/auth/v3/tenant_access_token/internal",
		fmt.Sprintf(`{"app_id":%q,"app_secret":%q}`, g.app, g.secret), &token)
	const reply, chat, person = "/open-apis/im/v1/messages/om_1/reply",
		"/open-apis/im/v1/messages?receive_id_type=chat_id", "/open-apis/im/v1/messages?receive_id_type=open_id"
	post := `{"msg_type":"post","uuid":"u1","content":"{\"zh_cn\":{\"content\":[[{\"tag\":\"text\",\"text\":\"one\"},` +
		`{\"tag\":\"text\",\"text\":\" two\"}],[{\"tag\":\"text\",\"text\":\"three\"}]]}}"}`
	text := func(to, text string) string {
		return fmt.Sprintf(`{"receive_id":%q,"msg_type":"text","content":%q}`, to, fmt.Sprintf(`{"text":%q}`, text))
	}
	call := func(method, path, body, authorization string) (code int) {
		var out struct{ Code int }
		g.call(t, method, path, body, &out, "Authorization", authorization)
		return out.Code
	}
	for _, c := range []struct {
		path, body string
		code       int
	}{
		{reply, post, 0},
		{reply, post, 0}, // the same
		{reply, strings.Replace(post, "u1", "u2", 1), 0},
		{chat, text("oc_1", "to the chat"), 0},
		{person, text("ou_1", "to ann"), 0},
		{person, text("", "x"), 230001},
		{"/open-apis/im/v1/messages?receive_id_type=email", text("ou_1", "x"), 230001},
		{reply, `{"msg_type":"image","content":"{}"}`, 230001},
		{reply, `{"msg_type":"post","content":"x"}`, 230001},
		{reply, `{"msg_type":"text","content":"{}"}`, 230001},
	} {
		if got := call("POST", c.path, c.body, "Bearer "+token.Token); got != c.code {
			t.Errorf("%s: code %d, want %d", c.body, got, c.code)
		}
	}
	for _, path := range []string{reply, chat} {
		if status := g.call(t, "POST", path, "{", nil, "Authorization", "Bearer "+token.Token); status != 400 {
			t.Errorf("%s: status %d", path, status)
		}
	}
	want := []string{"one two\nthree", "one two\nthree", "to the chat", "to ann"}
	if got := g.Sent(g.settings); !slices.Equal(got, want) {
		t.Errorf("sent %q, want %q", got, want)
	}
	const scopes, member = "/open-apis/application/v6/scopes", "/open-apis/im/v1/chats/oc_1/members/is_in_chat"
	for _, path := range []string{scopes, member} {
		if got := call("GET", path, "", "Bearer "+token.Token); got != 0 {
			t.Errorf("%s: code %d", path, got)
		}
		if got := call("GET", path, "", ""); got != 99991661 {
			t.Errorf("%s without a token: code %d", path, got)
		}
		if got := call("GET", path, "", "Bearer other"); got != 99991663 {
			t.Errorf("%s with another token: code %d", path, got)
		}
	}
	g.ahead.Add(int64(90 * time.Minute))
	call("POST", reply, post, "Bearer "+token.Token) // an hour later the same is another
	if got := len(g.Sent(g.settings)); got != 5 {
		t.Errorf("%d answers, want 5", got)
	}
	g.ahead.Add(int64(time.Hour))
	if got := call("POST", reply, post, "Bearer "+token.Token); got != 99991663 {
		t.Errorf("with an expired token: code %d", got)
	}
}

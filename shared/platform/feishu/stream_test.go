package feishu_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/platform/callback"
	"chatconf/shared/platform/feishu"
	"chatconf/shared/platform/platformtest"
)

// gateway is where Feishu says to connect.
const gateway = "wss://msg-frontier.feishu.cn/ws/v2?device_id=1&ticket=not-a-real-ticket&service_id="

const granted = `{"code":0,"msg":"ok","data":{"URL":"` + gateway +
	`33554678","ClientConfig":{"ReconnectCount":-1,"PingInterval":90}}}`

// streamSettings are settings for a stream: there is no Encrypt Key.
func streamSettings(pairs ...string) callback.Settings {
	s := with(pairs...)
	delete(s, "FeishuEncryptKey")
	return s
}

// connect opens a connection over a socket.
func connect(t testing.TB, socket callback.Dialer, pairs ...string) callback.Connection {
	t.Helper()
	p := platformtest.NewServer(t, now, []string{"open.feishu.cn"},
		func(platformtest.Request) (int, string) { return 200, granted })
	s, err := feishu.Platform{}.NewStream(streamSettings(pairs...), p.Client)
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.Open(t.Context(), socket)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// data is a data frame on the wire.
func data(kind, payload string, headers ...string) string {
	f := feishu.Frame{SeqID: 1, LogID: 2, Service: 33554678, Method: 1, Kind: "json", Payload: []byte(payload),
		Headers: [][2]string{{"type", kind}, {"trace_id", "t"}}, NewLogID: "log"}
	for i := 0; i < len(headers); i += 2 {
		f.Headers = append(f.Headers, [2]string{headers[i], headers[i+1]})
	}
	return string(f.Encode())
}

// control is a control frame on the wire.
func control(kind, payload string) string {
	f := feishu.Frame{Service: 33554678, Headers: [][2]string{{"type", kind}}}
	if payload != "" {
		f.Payload = []byte(payload)
	}
	return string(f.Encode())
}

// acknowledged reads the acknowledgement that was written: its code and its data.
func acknowledged(t *testing.T, socket *platformtest.Socket) (frame feishu.Frame, code int, answer string) {
	t.Helper()
	written := socket.Written()
	if len(written) != 1 {
		t.Fatalf("%d frames were written, want 1", len(written))
	}
	frame, err := feishu.DecodeFrame([]byte(written[0]))
	if err != nil {
		t.Fatal(err)
	}
	var a struct {
		Code int     `json:"code"`
		Data *string `json:"data"`
	}
	if err := json.Unmarshal(frame.Payload, &a); err != nil {
		t.Fatal(err)
	}
	if a.Data != nil {
		b, err := base64.StdEncoding.DecodeString(*a.Data)
		if err != nil {
			t.Fatal(err)
		}
		answer = string(b)
	}
	return frame, a.Code, answer
}

func TestOpen(t *testing.T) {
	refused := func(code, said string) string { return `{"code":` + code + `,"msg":"` + said + `"}` }
	granting := func(data string) string { return `{"code":0,"data":{` + data + `}}` }
	for name, test := range map[string]struct {
		status    int
		answer    string
		dial      error
		ok, again bool
		says      string
	}{
		"granted": {status: 200, answer: granted, ok: true},
		"a wrong secret": {status: 200, answer: refused("1000040345", "app_id or app_secret is invalid"),
			says: "FeishuAppSecret"},
		"a wrong app":          {status: 200, answer: refused("1000040346", "app_id is invalid"), says: "FeishuAppId"},
		"a wrong app, as 400":  {status: 400, answer: refused("10014", "invalid"), says: "FeishuAppSecret"},
		"busy, with that code": {status: 200, answer: refused("1000040345", "system busy"), again: true},
		"busy":                 {status: 200, answer: refused("1", "system busy"), again: true},
		"an internal error":    {status: 200, answer: refused("1000040343", "internal error"), again: true},
		"forbidden":            {status: 200, answer: refused("403", "forbidden"), again: true},
		"an unknown code":      {status: 200, answer: refused("7", "x"), again: true},
		"too many connections": {status: 200, answer: refused("1000040350", "exceed"), again: true,
			says: "as many connections"},
		"no JSON":                {status: 502, answer: "<html>", again: true},
		"no answer":              {again: true},
		"no address":             {status: 200, answer: granting(``), again: true},
		"an address of no text":  {status: 200, answer: granting(`"URL":1`), again: true},
		"an address that is bad": {status: 200, answer: granting(`"URL":"wss://not-a-real\u0001"`), again: true},
		"no service":             {status: 200, answer: granting(`"URL":"` + gateway + `"`), again: true},
		"a service of no number": {status: 200, answer: granting(`"URL":"` + gateway + `99999999999"`), again: true},
		"the connection fails": {status: 200, answer: granted, again: true,
			dial: &callback.CallError{What: "feishu: connection", Status: 500, Again: true}},
		"too many connections, at the connection": {status: 200, answer: granted, again: true,
			dial: &callback.CallError{What: "x", Code: "1000040350", Status: 403, Again: true},
			says: "as many connections"},
	} {
		for _, domain := range []string{"feishu", "lark"} {
			host := map[string]string{"feishu": "open.feishu.cn", "lark": "open.larksuite.com"}[domain]
			p := platformtest.NewServer(t, now, []string{host}, func(platformtest.Request) (int, string) {
				return test.status, test.answer
			})
			s, err := feishu.Platform{}.NewStream(streamSettings("FeishuDomain", domain), p.Client)
			if err != nil {
				t.Fatal(err)
			}
			socket := platformtest.NewSocket()
			socket.Refused = test.dial
			c, err := s.Open(t.Context(), socket)
			platformtest.CheckSendError(t, name, err, test.ok, test.again)
			if (c != nil) != test.ok || err != nil && !strings.Contains(err.Error(), test.says) {
				t.Errorf("%s: %v, %v", name, c, err)
			}
			r := p.Requests()
			if len(r) != 1 || r[0].Method != "POST" || r[0].URI != "/callback/ws/endpoint" ||
				r[0].Body != `{"AppID":"cli_example","AppSecret":"not-a-real-secret"}` {
				t.Errorf("%s: %+v", name, r)
			}
			if !test.ok {
				continue
			}
			d := socket.Dialed()
			if len(d) != 1 || !strings.Contains(d[0].URL.Reveal(), "not-a-real-ticket") || !d[0].Binary ||
				!slices.Equal(d[0].Hosts, []string{".feishu.cn", ".larksuite.com"}) {
				t.Errorf("%s: %+v", name, d)
			}
			if got := c.PingEvery(); got != 90*time.Second {
				t.Errorf("%s: a ping each %s", name, got)
			}
		}
	}
}

func TestNewStream(t *testing.T) {
	client := callback.NewClient(callback.ClientOptions{})
	for _, key := range []string{"FeishuAppId", "FeishuAppSecret"} {
		if _, err := (feishu.Platform{}).NewStream(streamSettings(key, ""), client); err == nil ||
			!strings.Contains(err.Error(), key) {
			t.Errorf("without %s: %v", key, err)
		}
	}
	if _, err := (feishu.Platform{}).NewStream(streamSettings("FeishuVerificationToken", ""), client); err != nil {
		t.Errorf("without a Verification Token: %v", err)
	}
}

// TestPushesAreCallbacks holds that what comes over a connection is what comes by the webhook.
func TestPushesAreCallbacks(t *testing.T) {
	card := v2("card.action.trigger", `{"operator":{"open_id":"ou_1"},"token":"c-1",`+
		`"action":{"tag":"button","value":{"command":"restart i-1"}},`+
		`"context":{"open_message_id":"om_1","open_chat_id":"oc_1"}}`)
	menu := v2("application.bot.menu_v6",
		`{"operator":{"operator_id":{"open_id":"ou_1"}},"event_key":"restart i-1","timestamp":1795420800}`)
	first := `{"ts":"1795420800.1","uuid":"u1","token":"not-a-real-token","type":"event_callback","event":` +
		`{"type":"message","app_id":"cli_example","open_message_id":"om_1","open_chat_id":"oc_1","chat_type":"private",` +
		`"open_id":"ou_1","msg_type":"text","text":"restart i-1"}}`
	webhook := receiver(t, with())
	for name, test := range map[string]struct{ kind, payload string }{
		"a message":                  {"event", said("user", "text", `{"text":"restart i-1"}`, p2p)},
		"a message in a group":       {"event", said("user", "text", `{"text":"@_user_1 restart i-1"}`, group)},
		"a message to somebody else": {"event", said("user", "text", `{"text":"x"}`, group)},
		"a picture":                  {"event", said("user", "image", `{"image_key":"x"}`, p2p)},
		"an event of version 1":      {"event", first},
		"a menu":                     {"event", menu},
		"a card, as an event":        {"event", card},
		"a card, as a card":          {"card", card},
		"another event":              {"event", v2("im.chat.disbanded_v1", "{}")},
		"an event for another app":   {"event", strings.Replace(card, "cli_example", "cli_other", 1)},
		"another Verification Token": {"event", strings.Replace(card, "not-a-real-token", "another", 1)},
		"no event":                   {"event", `{"type":"what"}`},
		"a damaged event":            {"event", `{"schema":2}`},
		"no JSON":                    {"event", `{`},
	} {
		want, refusal := webhook.Receive(sealed(test.payload))
		socket := platformtest.NewSocket(data(test.kind, test.payload))
		c := connect(t, socket)
		d, err := c.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := platformtest.StepOf(d.Refused); name != "no JSON" && got != platformtest.StepOf(refusal) ||
			(d.Refused == nil) != (refusal == nil) || (d.Received == nil) != (refusal != nil) {
			t.Errorf("%s: %v, want %v", name, d.Refused, refusal)
			continue
		}
		if refusal != nil {
			continue
		}
		if d.Received.Kind != want.Kind || d.Received.State != want.State ||
			(d.Received.Message == nil) != (want.Message == nil) {
			t.Errorf("%s: %+v, want %+v", name, d.Received, want)
		} else if want.Message != nil && *d.Received.Message != *want.Message {
			t.Errorf("%s: %+v, want %+v", name, *d.Received.Message, *want.Message)
		}
	}
}

// TestEveryKindComesOverAConnection holds that each kind of message and event in the platform's
// file is the same over a connection and by the webhook.
func TestEveryKindComesOverAConnection(t *testing.T) {
	kinds, err := platformtest.ReadKinds(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	webhook := receiver(t, with("BotName", "ops"))
	fill := strings.NewReplacer("{seconds}", strconv.FormatInt(now.Unix(), 10),
		"{millis}", strconv.FormatInt(now.UnixMilli(), 10), "{id}", "1")
	compared := 0
	for _, k := range kinds {
		text := fill.Replace(k.Text)
		want, err := webhook.Receive(sealed(text))
		if k.Enclosure != "event" || err != nil {
			continue
		}
		compared++
		d, err := connect(t, platformtest.NewSocket(data("event", text)), "BotName", "ops").Next(t.Context())
		if err != nil || d.Refused != nil {
			t.Errorf("%s: %v, %v", k.About, err, d.Refused)
		} else if !reflect.DeepEqual(d.Received, want) {
			t.Errorf("%s: %+v, want %+v", k.About, d.Received, want)
		}
	}
	if compared < 50 {
		t.Errorf("only %d kinds were compared", compared)
	}
}

// The older callback of cards has no event around it. The connection proves it, so that the setting
// for it is not needed.
func TestPushesOfOlderCards(t *testing.T) {
	card := `{"open_id":"ou_1","open_message_id":"om_1","open_chat_id":"oc_1","tenant_key":"t","token":"c-1",` +
		`"action":{"tag":"button","value":{"command":"restart i-1"}}}`
	want, err := receiver(t, with("FeishuOldCards", "true")).Receive(plain(card, true))
	if err != nil {
		t.Fatal(err)
	}
	c := connect(t, platformtest.NewSocket(data("card", card), data("card", `{"open_id":1}`), data("card", "[")))
	d, err := c.Next(t.Context())
	if err != nil || d.Refused != nil || *d.Received.Message != *want.Message || d.Received.State != want.State {
		t.Errorf("%+v, %v", d, err)
	}
	for range 2 {
		if d, err = c.Next(t.Context()); err != nil || platformtest.StepOf(d.Refused) != callback.StepDecode {
			t.Errorf("%+v, %v", d, err)
		}
	}
}

// An event over a connection may have no Verification Token. One by the webhook may not.
func TestPushesWithoutAVerificationToken(t *testing.T) {
	bare := strings.Replace(said("user", "text", `{"text":"help"}`, p2p), `"token":"not-a-real-token",`, "", 1)
	for _, token := range []string{"not-a-real-token", ""} {
		d, err := connect(t, platformtest.NewSocket(data("event", bare)),
			"FeishuVerificationToken", token).Next(t.Context())
		if err != nil || d.Refused != nil || d.Received.Message.Text != "help" {
			t.Errorf("%+v, %v", d, err)
		}
	}
	if _, err := receiver(t, with()).Receive(sealed(bare)); platformtest.StepOf(err) != callback.StepSignature {
		t.Errorf("by the webhook: %v", err)
	}
}

func TestAcknowledge(t *testing.T) {
	pressed := v2("card.action.trigger", `{"operator":{"open_id":"ou_1"},"token":"c-1",`+
		`"action":{"tag":"button","value":"help"},"context":{"open_message_id":"om_1","open_chat_id":"oc_1"}}`)
	for name, test := range map[string]struct {
		payload, text string
		status        int // of the response; 0 is that of Answer
		code          int
		answer        string
	}{
		"a message":           {said("user", "text", `{"text":"help"}`, p2p), "hello", 0, 200, ""},
		"a card":              {pressed, "hello", 0, 200, `{"toast":{"type":"info","content":"hello"}}`},
		"a card, no answer":   {pressed, "", 0, 200, ""},
		"not recorded":        {pressed, "hello", 503, 500, ""},
		"refused":             {`{`, "", 401, 500, ""},
		"an event for no-one": {v2("im.chat.disbanded_v1", "{}"), "", 0, 200, ""},
	} {
		socket := platformtest.NewSocket(data("event", test.payload, "message_id", "m1", "sum", "1", "seq", "0"))
		c := connect(t, socket)
		d, err := c.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		response := &callback.Response{Status: test.status}
		if test.status == 0 {
			if response, err = c.Answer(d.Received, test.text); err != nil {
				t.Fatal(err)
			}
		}
		if err := d.Acknowledge(t.Context(), response); err != nil {
			t.Fatal(err)
		}
		f, code, answer := acknowledged(t, socket)
		if code != test.code || answer != test.answer {
			t.Errorf("%s: code %d and %q, want %d and %q", name, code, answer, test.code, test.answer)
		}
		want, _ := feishu.DecodeFrame([]byte(data("event", "", "message_id", "m1", "sum", "1", "seq", "0",
			"biz_rt", "0")))
		if f.Payload, want.Payload = nil, nil; !slices.Equal(f.Headers, want.Headers) || f.SeqID != 1 || f.LogID != 2 ||
			f.Service != 33554678 || f.Method != 1 || f.Kind != "json" || f.NewLogID != "log" {
			t.Errorf("%s: %+v, want %+v", name, f, want)
		}
		socket.Break(errors.New("broken pipe"))
		if err := d.Acknowledge(t.Context(), response); err == nil {
			t.Errorf("%s: acknowledged over a broken connection", name)
		}
	}
}

func TestFramesThatAreNoEvents(t *testing.T) {
	socket := platformtest.NewSocket(
		control("pong", ""), control("pong", `{"PingInterval":30}`), control("pong", "{"), control("ping", "x"),
		control("what", "{}"), string(feishu.Frame{Method: 7}.Encode()),
		data("what", "{}"), "garbage", data("event", v2("im.chat.disbanded_v1", "{}")))
	c := connect(t, socket)
	d, err := c.Next(t.Context())
	if err != nil || d.Received == nil || d.Received.Kind != "frame/what" || d.Acknowledge != nil {
		t.Fatalf("a data frame of another type: %+v, %v", d, err)
	}
	if got := c.PingEvery(); got != 30*time.Second {
		t.Errorf("a ping each %s after a pong that says 30 seconds", got)
	}
	d, err = c.Next(t.Context())
	if err != nil || platformtest.StepOf(d.Refused) != callback.StepDecode || d.Acknowledge != nil {
		t.Errorf("garbage: %+v, %v", d, err)
	}
	if d, err = c.Next(t.Context()); err != nil || d.Received.Kind != "im.chat.disbanded_v1" {
		t.Errorf("after garbage: %+v, %v", d, err)
	}
	var ended *callback.Ended
	if _, err = c.Next(t.Context()); !errors.As(err, &ended) || ended.Replaced {
		t.Errorf("after the end: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = c.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of the context: %v", err)
	}
	if err := c.Close(); err != nil || !socket.Closed() {
		t.Errorf("not closed: %v", err)
	}
}

func TestPing(t *testing.T) {
	socket := platformtest.NewSocket()
	c := connect(t, socket)
	for range 2 {
		if err := c.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	ping, err := feishu.DecodeFrame([]byte(socket.Written()[0]))
	if err != nil || ping.Method != 0 || ping.Service != 33554678 || len(ping.Headers) != 1 ||
		ping.Headers[0] != [2]string{"type", "ping"} {
		t.Errorf("%+v, %v", ping, err)
	}
	var ended *callback.Ended
	if err := c.Ping(t.Context()); !errors.As(err, &ended) {
		t.Errorf("after two pings without an answer: %v", err)
	}
	socket.Send(control("pong", ""), data("event", v2("im.chat.disbanded_v1", "{}")))
	if _, err := c.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Ping(t.Context()); err != nil {
		t.Errorf("after an answer: %v", err)
	}
	socket.Break(errors.New("broken pipe"))
	if err := c.Ping(t.Context()); err == nil {
		t.Error("a ping over a broken connection")
	}
}

func TestPingEveryIsBounded(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"1": 10 * time.Second, "60": time.Minute, "3600": 10 * time.Minute,
		"9999999999":           10 * time.Minute,
		"99999999999999999999": 90 * time.Second, "0": 90 * time.Second, "-1": 90 * time.Second,
		`"x"`: 90 * time.Second,
	} {
		c := connect(t, platformtest.NewSocket(control("pong", `{"PingInterval":`+text+`}`), "garbage"))
		if _, err := c.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := c.PingEvery(); got != want {
			t.Errorf("PingInterval %s: a ping each %s, want %s", text, got, want)
		}
	}
}

// part is a part of a payload.
func part(id string, sum, seq int, payload string) string {
	return data("event", payload, "message_id", id, "sum", strconv.Itoa(sum), "seq", strconv.Itoa(seq))
}

func TestPayloadsInParts(t *testing.T) {
	whole := said("user", "text", `{"text":"restart i-1"}`, p2p)
	a, b, c := whole[:10], whole[10:20], whole[20:]
	other := v2("im.chat.disbanded_v1", "{}")
	big := strings.Repeat("x", 1<<19)
	for name, test := range map[string]struct {
		frames []string
		want   []string // the text or the kind of each delivery; the step of a refusal
	}{
		"in order": {[]string{part("m", 3, 0, a), part("m", 3, 1, b), part("m", 3, 2, c)},
			[]string{"restart i-1"}},
		"out of order": {[]string{part("m", 3, 2, c), part("m", 3, 0, a), part("m", 3, 1, b)},
			[]string{"restart i-1"}},
		"two at once": {[]string{part("m", 2, 1, whole[9:]), part("n", 2, 0, other[:9]), part("m", 2, 0, whole[:9]),
			part("n", 2, 1, other[9:])}, []string{"restart i-1", "im.chat.disbanded_v1"}},
		"a part twice": {[]string{part("m", 2, 0, whole[:9]), part("m", 2, 0, whole[:9]), part("m", 2, 1, whole[9:])},
			[]string{"restart i-1"}},
		"an empty part": {[]string{part("m", 3, 1, ""), part("m", 3, 0, whole[:9]), part("m", 3, 2, whole[9:])},
			[]string{"restart i-1"}},
		"a whole between parts": {[]string{part("m", 2, 0, whole[:9]), data("event", other),
			part("m", 2, 1, whole[9:])}, []string{"im.chat.disbanded_v1", "restart i-1"}},
		"another number of parts": {[]string{part("m", 3, 0, a), part("m", 2, 0, whole[:9]),
			part("m", 2, 1, whole[9:])}, []string{"restart i-1"}},
		"a part that never comes": {[]string{part("m", 2, 0, a)}, nil},
		"no number":               {[]string{data("event", whole, "sum", "x")}, []string{"decode"}},
		"no number of the part": {[]string{data("event", whole, "message_id", "m", "sum", "2", "seq", "-1")},
			[]string{"decode"}},
		"too many parts":         {[]string{part("m", 257, 0, a)}, []string{"decode"}},
		"a part beyond the last": {[]string{part("m", 2, 2, a)}, []string{"decode"}},
		"no message_id":          {[]string{data("event", whole, "sum", "2", "seq", "0")}, []string{"decode"}},
		"no parts": {[]string{data("event", other, "message_id", "m", "sum", "0", "seq", "0")},
			[]string{"im.chat.disbanded_v1"}},
		"too large": {[]string{part("m", 4, 0, big), part("m", 4, 1, big), part("m", 4, 2, "x"),
			data("event", other)}, []string{"decode", "im.chat.disbanded_v1"}},
	} {
		conn := connect(t, platformtest.NewSocket(test.frames...))
		var got []string
		for {
			d, err := conn.Next(t.Context())
			if err != nil {
				break
			}
			switch {
			case d.Acknowledge == nil:
				t.Errorf("%s: a delivery without an acknowledgement", name)
			case d.Refused != nil:
				got = append(got, string(platformtest.StepOf(d.Refused)))
			case d.Received.Message != nil:
				got = append(got, d.Received.Message.Text)
			default:
				got = append(got, d.Received.Kind)
			}
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

// TestPartsKeepNoFrames holds that a small part does not keep the memory of a large frame: only the
// parts are counted.
func TestPartsKeepNoFrames(t *testing.T) {
	whole := said("user", "text", `{"text":"restart i-1"}`, p2p)
	conn := connect(t, reused{platformtest.NewSocket(part("m", 2, 0, whole[:10]), part("m", 2, 1, whole[10:])),
		make([]byte, 4096)})
	if d, err := conn.Next(t.Context()); err != nil || d.Received == nil || d.Received.Message.Text != "restart i-1" {
		t.Errorf("%+v: %v", d, err)
	}
}

// A reused is a socket that reads all frames into the same memory.
type reused struct {
	*platformtest.Socket
	memory []byte
}

// Dial implements callback.Dialer.
func (r reused) Dial(context.Context, callback.Dial) (callback.Socket, error) { return r, nil }

// Read implements callback.Socket.
func (r reused) Read(ctx context.Context) ([]byte, error) {
	b, err := r.Socket.Read(ctx)
	return r.memory[:copy(r.memory, b)], err
}

// TestIncompletePayloadsAreDropped holds that parts of payloads that never become whole are dropped
// by their age, their number and their size. What is dropped is pushed again.
func TestIncompletePayloadsAreDropped(t *testing.T) {
	whole := said("user", "text", `{"text":"restart i-1"}`, p2p)
	half := strings.Repeat("x", 1<<19)
	for name, test := range map[string]struct {
		between int // frames with a part of another payload each
		part    string
		after   time.Duration
		kept    bool
	}{
		"few":       {between: 3, part: "x", after: 10 * time.Second, kept: true},
		"late":      {between: 1, part: "x", after: 11 * time.Second},
		"many":      {between: 63, part: "x", kept: true},
		"too many":  {between: 64, part: "x"},
		"large":     {between: 7, part: half, kept: true},
		"too large": {between: 8, part: half},
	} {
		at := now
		client := callback.NewClient(callback.ClientOptions{Now: func() time.Time { return at },
			Transport: platformtest.RoundTripper(func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(granted))}, nil
			})})
		s, err := feishu.Platform{}.NewStream(streamSettings(), client)
		if err != nil {
			t.Fatal(err)
		}
		socket := platformtest.NewSocket(part("m", 2, 0, whole[:9]))
		c, err := s.Open(t.Context(), socket)
		if err != nil {
			t.Fatal(err)
		}
		next := func() *callback.Delivery { // a whole frame ends what is read
			socket.Send(data("event", v2("im.chat.disbanded_v1", "{}")))
			d, err := c.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
		next()
		at = at.Add(test.after)
		for i := range test.between {
			socket.Send(part("n"+strconv.Itoa(i), 2, 0, test.part))
		}
		next()
		socket.Send(part("m", 2, 1, whole[9:]))
		if d := next(); (d.Received.Message != nil) != test.kept {
			t.Errorf("%s: %+v", name, d.Received)
		}
	}
}

// FuzzNext holds that whatever Feishu pushes is a delivery with one outcome, or none, and that a
// message that is read is one that can be recorded.
func FuzzNext(f *testing.F) {
	f.Add([]byte(data("event", said("user", "text", `{"text":"help"}`, p2p))))
	f.Add([]byte(part("m", 2, 1, "x")))
	f.Add([]byte(data("card", `{"open_id":"ou_1","action":{"tag":"button","value":"x"}}`)))
	f.Add([]byte(control("pong", `{"PingInterval":1}`)))
	f.Fuzz(func(t *testing.T, b []byte) {
		socket := platformtest.NewSocket(string(b))
		c := connect(t, socket)
		d, err := c.Next(t.Context())
		if err != nil {
			return
		}
		if (d.Received == nil) == (d.Refused == nil) || d.Renew != "" {
			t.Fatalf("%+v", d)
		}
		if d.Received != nil && d.Received.Message != nil {
			if err := callback.Check(d.Received.Message); err != nil {
				t.Errorf("%+v: %v", d.Received.Message, err)
			}
			var none command.ReplyTo
			if d.Received.Message.ReplyTo == none {
				t.Errorf("nobody can be answered: %+v", d.Received.Message)
			}
		}
		if every := c.PingEvery(); every < 10*time.Second || every > 10*time.Minute {
			t.Errorf("a ping each %s", every)
		}
	})
}

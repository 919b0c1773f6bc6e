package wecom_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/dispatch"
	"chatconf/shared/platform/callback"
	"chatconf/shared/platform/platformtest"
	"chatconf/shared/platform/wecom"
)

// streamSettings are settings for a stream: there is nothing of an app.
func streamSettings(pairs ...string) callback.Settings {
	s := callback.Settings{"WeChatBotId": "aibexample", "WeChatBotSecret": "not-a-real-secret"}
	for key, value := range with(pairs...) {
		if slices.Contains(pairs, key) {
			s[key] = value
		}
	}
	return s
}

// A sent is a frame that we wrote.
type sent struct {
	Command string `json:"cmd"`
	Headers struct {
		ID string `json:"req_id"`
	} `json:"headers"`
	Body json.RawMessage `json:"body"`
}

func read(t testing.TB, frame string) (s sent) {
	t.Helper()
	if err := json.Unmarshal([]byte(frame), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// answering returns what answers commands with codes, by command; 0 for others. A command without a
// code gets no answer.
func answering(t testing.TB, codes map[string]string) func(string) []string {
	return func(written string) []string {
		s := read(t, written)
		code, ok := codes[s.Command]
		switch {
		case !ok:
			code = "0"
		case code == "":
			return nil
		}
		return []string{`{"headers":{"req_id":"` + s.Headers.ID + `"},"errcode":` + code + `,"errmsg":"x"}`}
	}
}

// connect opens a connection over which frames come.
func connect(t testing.TB, frames ...string) (callback.Sending, *platformtest.Socket) {
	t.Helper()
	return connectWith(t, streamSettings(), frames...)
}

func connectWith(t testing.TB, settings callback.Settings, frames ...string) (callback.Sending, *platformtest.Socket) {
	t.Helper()
	socket := platformtest.NewSocket()
	socket.Reply = answering(t, nil)
	s, err := wecom.Platform{}.NewStream(settings, nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.Open(t.Context(), socket)
	if err != nil {
		t.Fatal(err)
	}
	socket.Written()
	socket.Send(frames...)
	return c.(callback.Sending), socket
}

// next reads the delivery of a frame.
func next(t testing.TB, c callback.Connection) *callback.Delivery {
	t.Helper()
	d, err := c.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// WeCom sends a message once, perhaps right before the answer to aibot_subscribe.
func TestMessagesBeforeTheAnswerAreKept(t *testing.T) {
	for name, count := range map[string]int{"one": 1, "several": 16, "too many": 17} {
		socket := platformtest.NewSocket()
		answer := answering(t, nil)
		socket.Reply = func(written string) []string {
			return append(slices.Repeat([]string{push("aibot_msg_callback", direct)}, count), answer(written)...)
		}
		s, err := wecom.Platform{}.NewStream(streamSettings(), nil)
		if err != nil {
			t.Fatal(err)
		}
		c, err := s.Open(t.Context(), socket)
		if count > 16 {
			if err == nil || !socket.Closed() || !dispatch.Retryable(err) {
				t.Errorf("%s: %v, closed %v", name, err, socket.Closed())
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for range count {
			if d := next(t, c); d.Received == nil || d.Received.Message.ID != "m1" {
				t.Errorf("%s: %+v", name, d)
			}
		}
		if _, err := c.Next(t.Context()); err == nil {
			t.Errorf("%s: a frame came twice", name)
		}
	}
}

func push(cmd, body string) string {
	return `{"cmd":"` + cmd + `","headers":{"req_id":"r1"},"body":` + body + `}`
}

const (
	direct = `{"msgid":"m1","aibotid":"aibexample","chattype":"single","from":{"userid":"ZhangSan"},` +
		`"response_url":"https://qyapi.weixin.qq.com/not-a-real-code","msgtype":"text","text":{"content":"help"}}`
	inGroup = `{"msgid":"m1","aibotid":"aibexample","chattype":"group","chatid":"wr1","from":{"userid":"ZhangSan"},` +
		`"msgtype":"text","text":{"content":"@example restart i-1"}}`
	pressed = `{"msgid":"m1","create_time":1795420800,"aibotid":"aibexample","chattype":"single",` +
		`"from":{"userid":"ZhangSan"},"msgtype":"event","event":{"eventtype":"template_card_event",` +
		`"template_card_event":{"card_type":"button_interaction","event_key":"restart i-1","task_id":"t1"}}}`
	entered = `{"msgid":"m1","create_time":1795420800,"chattype":"single","from":{"userid":"ZhangSan"},` +
		`"msgtype":"event","event":{"eventtype":"enter_chat"}}`
	replaced = `{"msgid":"m1","create_time":1795420800,"msgtype":"event","event":{"eventtype":"disconnected_event"}}`
)

func TestOpen(t *testing.T) {
	for name, test := range map[string]struct {
		code, first string // of the answer, and a frame before it
		dial        error
		ok, again   bool
		says        string
	}{
		"accepted":              {code: "0", ok: true},
		"after another frame":   {code: "0", first: `{"headers":{"req_id":"x"},"errcode":7}`, ok: true},
		"after a message":       {code: "0", first: push("aibot_msg_callback", direct), ok: true},
		"a wrong secret":        {code: "853000", says: "WeChatBotSecret"},
		"a wrong bot":           {code: "93019", says: "WeChatBotId"},
		"a damaged bot id":      {code: "40058", says: "WeChatBotId"},
		"too often":             {code: "45009", again: true},
		"busy":                  {code: "-1", again: true},
		"an unknown code":       {code: "7", again: true},
		"no code":               {code: "null", again: true},
		"a code that is a text": {code: `"0"`, again: true},
		"no answer":             {code: "", again: true},
		"garbage":               {code: "0", first: "garbage", again: true},
		"no connection":         {dial: &callback.Ended{Reason: "connection refused"}, again: true},
	} {
		var before []string
		if test.first != "" {
			before = []string{test.first}
		}
		socket := platformtest.NewSocket(before...)
		socket.Refused = test.dial
		socket.Reply = answering(t, map[string]string{"aibot_subscribe": test.code})
		s, err := wecom.Platform{}.NewStream(streamSettings(), nil)
		if err != nil {
			t.Fatal(err)
		}
		c, err := s.Open(t.Context(), socket)
		platformtest.CheckSendError(t, name, err, test.ok, test.again)
		if (c != nil) != test.ok || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, %v", name, c, err)
		}
		if test.dial != nil {
			continue
		}
		if socket.Closed() == test.ok {
			t.Errorf("%s: the connection is closed: %v", name, socket.Closed())
		}
		d := socket.Dialed()
		if len(d) != 1 || d[0].URL.Reveal() != "wss://openws.work.weixin.qq.com" || d[0].Binary ||
			!slices.Equal(d[0].Hosts, []string{"openws.work.weixin.qq.com"}) {
			t.Errorf("%s: %+v", name, d)
		}
		w := socket.Written()
		if len(w) != 1 {
			t.Fatalf("%s: %d frames were written", name, len(w))
		}
		f := read(t, w[0])
		if f.Command != "aibot_subscribe" || !strings.HasPrefix(f.Headers.ID, "aibot_subscribe_") ||
			string(f.Body) != `{"bot_id":"aibexample","secret":"not-a-real-secret"}` {
			t.Errorf("%s: %s", name, w[0])
		}
	}
}

// A quiet connection sends nothing.
type quiet struct{ *platformtest.Socket }

func (q quiet) Dial(context.Context, callback.Dial) (callback.Socket, error) { return q, nil }

func (q quiet) Read(ctx context.Context) ([]byte, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestOpenTakesNoLongerThanTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := wecom.Platform{}.NewStream(streamSettings(), nil)
		if err != nil {
			t.Fatal(err)
		}
		q, begun := quiet{platformtest.NewSocket()}, time.Now()
		if _, err := s.Open(t.Context(), q); !errors.Is(err, context.DeadlineExceeded) || !q.Closed() ||
			time.Since(begun) != 10*time.Second {
			t.Errorf("after %s: %v; closed: %v", time.Since(begun), err, q.Closed())
		}
	})
}

func TestOpenCannotWrite(t *testing.T) {
	socket := platformtest.NewSocket()
	socket.Break(&callback.Ended{Reason: "broken pipe"})
	s, err := wecom.Platform{}.NewStream(streamSettings(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Open(t.Context(), socket); err == nil || !socket.Closed() {
		t.Errorf("%v; closed: %v", err, socket.Closed())
	}
}

func TestNewStream(t *testing.T) {
	for _, key := range []string{"WeChatBotId", "WeChatBotSecret"} {
		s := streamSettings()
		delete(s, key)
		if _, err := (wecom.Platform{}).NewStream(s, nil); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("without %s: %v", key, err)
		}
	}
}

// TestPushesAreCallbacks holds that what comes over a connection is what comes by the webhook,
// except for the way to answer.
func TestPushesAreCallbacks(t *testing.T) {
	webhook := receiver(t, with("WeChatAibot", "true"))
	user, chat := command.ReplyTo{Kind: "stream", ID: "user/ZhangSan"}, command.ReplyTo{Kind: "stream", ID: "chat/wr1"}
	other := strings.NewReplacer(`"userid":"ZhangSan"`, `"userid":"ZhangSan","corpid":"wwother"`)
	for name, test := range map[string]struct {
		cmd, body string
		to        command.ReplyTo
	}{
		"a message one to one": {"aibot_msg_callback", direct, user},
		"a message in a group": {"aibot_msg_callback", inGroup, chat},
		"a button":             {"aibot_event_callback", pressed, user},
		"a button in a group": {"aibot_event_callback",
			strings.Replace(pressed, `"single"`, `"group","chatid":"wr1"`, 1), chat},
		"a picture": {"aibot_msg_callback", `{"msgid":"m1","chattype":"single","from":{"userid":"ZhangSan"},` +
			`"msgtype":"image","image":{"url":"x","aeskey":"not-a-real-key"}}`, user},
		"somebody enters":       {"aibot_event_callback", entered, command.ReplyTo{}},
		"a stranger's button":   {"aibot_event_callback", other.Replace(pressed), command.ReplyTo{}},
		"a stranger in a group": {"aibot_msg_callback", other.Replace(inGroup), chat},
		"our own, with the corp": {"aibot_event_callback",
			strings.Replace(other.Replace(pressed), "wwother", "wwexample", 1), user},
		"a control character":     {"aibot_msg_callback", strings.Replace(direct, "help", "he\x01lp", 1), user},
		"no message id":           {"aibot_msg_callback", strings.Replace(direct, `"msgid":"m1",`, "", 1), user},
		"no person":               {"aibot_msg_callback", strings.Replace(direct, "ZhangSan", "", 1), user},
		"a time that is not one":  {"aibot_event_callback", strings.Replace(pressed, "1795420800", "17", 1), user},
		"a text that is a number": {"aibot_msg_callback", strings.Replace(direct, `"help"`, "7", 1), user},
		"no message":              {"aibot_msg_callback", `{}`, user},
	} {
		want, refusal := webhook.Receive(robot(t, test.body))
		c, _ := connectWith(t, streamSettings("WeChatCorpId", "wwexample"), push(test.cmd, test.body))
		d := next(t, c)
		if platformtest.StepOf(d.Refused) != platformtest.StepOf(refusal) || (d.Received == nil) != (refusal != nil) ||
			(d.Acknowledge == nil) != (refusal != nil) {
			t.Errorf("%s: %v, want %v", name, d.Refused, refusal)
			continue
		}
		if refusal != nil {
			continue
		}
		if d.Received.Kind != want.Kind || d.Received.Mention != want.Mention ||
			(d.Received.Message == nil) != (want.Message == nil) {
			t.Errorf("%s: %+v, want %+v", name, d.Received, want)
			continue
		}
		if want.Message == nil {
			continue
		}
		want.Message.ReplyTo = test.to
		if *d.Received.Message != *want.Message {
			t.Errorf("%s: %+v, want %+v", name, *d.Received.Message, *want.Message)
		}
	}
}

// TestEveryKindComesOverAConnection holds that each kind of message and event of a robot in the
// platform's file is the same over a connection and by the webhook, except for the way to answer.
func TestEveryKindComesOverAConnection(t *testing.T) {
	kinds, err := platformtest.ReadKinds(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	webhook := receiver(t, with("WeChatAibot", "true"))
	settings := streamSettings("WeChatCorpId", "wwexample")
	fill := strings.NewReplacer("{seconds}", at, "{id}", "1")
	compared := 0
	for _, k := range kinds {
		text := fill.Replace(k.Text)
		if k.Enclosure != "aibot" {
			continue
		}
		want, err := webhook.Receive(robot(t, text))
		if err != nil {
			t.Fatalf("%s: %v", k.About, err)
		}
		compared++
		c, _ := connectWith(t, settings, push("aibot_msg_callback", text))
		d := next(t, c)
		if d.Refused != nil {
			t.Errorf("%s: %v", k.About, d.Refused)
			continue
		}
		if m := want.Message; m != nil {
			m.ReplyTo = d.Received.Message.ReplyTo
		}
		want.State, d.Received.State = nil, nil // the webhook's has the envelope
		if !reflect.DeepEqual(d.Received, want) {
			t.Errorf("%s: %+v, want %+v", k.About, d.Received, want)
		}
	}
	if compared < 15 {
		t.Errorf("only %d kinds were compared", compared)
	}
}

// Without WeChatCorpId nobody who comes with a corporation is known, be it ours. Their userid may
// be that of one of our people, so it gives no right, and no answer is sent to it.
func TestStrangersWithoutACorporationOfOurOwn(t *testing.T) {
	stranger := strings.Replace(pressed, `"userid":"ZhangSan"`, `"userid":"ZhangSan","corpid":"wwother"`, 1)
	c, _ := connect(t, push("aibot_event_callback", stranger), push("aibot_event_callback", pressed))
	m := next(t, c).Received.Message
	if m.User != "" || m.Conversation != "wwother/zhangsan" || m.ReplyTo.Kind != "" {
		t.Errorf("%+v", m)
	}
	m = next(t, c).Received.Message
	if m.User != "zhangsan" || m.Conversation != "zhangsan" || m.ReplyTo.ID != "user/ZhangSan" {
		t.Errorf("%+v", m)
	}
}

func TestAcknowledge(t *testing.T) {
	hello := `{"msgtype":"stream","stream":{"id":"` + callback.Digest("wecom stream", "m1")[:32] +
		`","finish":true,"content":"\\*hello\\*"}}`
	for name, test := range map[string]struct {
		push, text string
		status     int    // of the response; 0 is that of Answer
		want       string // the body of the answer; empty if none is written
	}{
		"a message":              {push("aibot_msg_callback", direct), "*hello*", 0, hello},
		"no answer to a message": {push("aibot_msg_callback", direct), "", 0, ""},
		"a button":               {push("aibot_event_callback", pressed), "hello", 0, ""},
		"somebody enters":        {push("aibot_event_callback", entered), "hello", 0, ""},
		"not recorded":           {push("aibot_msg_callback", direct), "hello", 503, ""},
	} {
		c, socket := connect(t, test.push)
		d := next(t, c)
		response := &callback.Response{Status: test.status}
		if test.status == 0 {
			var err error
			if response, err = c.Answer(d.Received, test.text); err != nil {
				t.Fatal(err)
			}
		}
		if response.Carries != (test.want != "") {
			t.Errorf("%s: carries the answer: %v", name, response.Carries)
		}
		if err := d.Acknowledge(t.Context(), response); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		w := socket.Written()
		if (len(w) == 1) != (test.want != "") || len(w) > 1 {
			t.Fatalf("%s: %q was written", name, w)
		}
		if test.want == "" {
			continue
		}
		if f := read(t, w[0]); f.Command != "aibot_respond_msg" || f.Headers.ID != "r1" ||
			string(f.Body) != test.want {
			t.Errorf("%s: %s, want %s", name, w[0], test.want)
		}
		socket.Break(&callback.Ended{Reason: "broken pipe"})
		if err := d.Acknowledge(t.Context(), response); err == nil {
			t.Errorf("%s: answered over a broken connection", name)
		}
	}
}

// Nobody waits until WeCom has accepted the answer to a message. Its refusal is told, and holds up
// nothing.
func TestARefusedAnswerIsTold(t *testing.T) {
	c, socket := connect(t, push("aibot_msg_callback", direct))
	socket.Reply = answering(t, map[string]string{"aibot_respond_msg": "846605"})
	d := next(t, c)
	response, err := c.Answer(d.Received, "hello")
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Acknowledge(t.Context(), response); err != nil {
		t.Fatal(err)
	}
	socket.Send(push("aibot_msg_callback", direct))
	told := next(t, c)
	if platformtest.StepOf(told.Refused) != callback.StepDeliver || !strings.Contains(told.Refused.Error(), "846605") ||
		told.Received != nil || told.Acknowledge != nil {
		t.Errorf("%+v", told)
	}
	if d := next(t, c); d.Received == nil {
		t.Errorf("after it: %+v", d)
	}
}

func TestStreamSend(t *testing.T) {
	user, chat := command.ReplyTo{Kind: "stream", ID: "user/ZhangSan"}, command.ReplyTo{Kind: "stream", ID: "chat/wr1"}
	for name, test := range map[string]struct {
		to        command.ReplyTo
		code      string
		ok, again bool
		want      string
	}{
		"to a person": {user, "0", true, false, `{"chatid":"ZhangSan","chat_type":1,"msgtype":"markdown",` +
			`"markdown":{"content":"\\*done\\*"}}`},
		"to a chat": {chat, "0", true, false, `{"chatid":"wr1","chat_type":2,"msgtype":"markdown",` +
			`"markdown":{"content":"\\*done\\*"}}`},
		"refused":                     {user, "40008", false, false, "x"},
		"refused, for now":            {chat, "45033", false, true, "x"},
		"too often":                   {user, "45009", false, true, "x"},
		"busy":                        {user, "-1", false, true, "x"},
		"no code":                     {user, "null", false, false, "x"},
		"no longer subscribed":        {user, "846609", false, true, "x"},
		"no answer before the end":    {user, "", false, true, "x"},
		"to nobody":                   {command.ReplyTo{Kind: "stream", ID: "user/"}, "0", false, false, ""},
		"to something else":           {command.ReplyTo{Kind: "stream", ID: "ZhangSan"}, "0", false, false, ""},
		"by another way":              {command.ReplyTo{Kind: "user", ID: "user/ZhangSan"}, "0", false, false, ""},
		"by a response URL":           {command.ReplyTo{Kind: "response_url", URL: "https://x"}, "0", false, false, ""},
		"by another way, to somebody": {command.ReplyTo{Kind: "pigeon", ID: "chat/wr1"}, "0", false, false, ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			c, socket := connect(t)
			socket.Reply = answering(t, map[string]string{"aibot_send_msg": test.code})
			done := make(chan error, 1)
			go func() { done <- c.Send(t.Context(), test.to, "*done*") }()
			synctest.Wait()
			var ended *callback.Ended
			if _, err := c.Next(t.Context()); !errors.As(err, &ended) {
				t.Errorf("%s: %v", name, err)
			}
			platformtest.CheckSendError(t, name, <-done, test.ok, test.again)
			w := socket.Written()
			if (len(w) == 1) != (test.want != "") {
				t.Fatalf("%s: %q was written", name, w)
			}
			if !test.ok {
				return
			}
			if f := read(t, w[0]); f.Command != "aibot_send_msg" ||
				!strings.HasPrefix(f.Headers.ID, "aibot_send_msg_") || string(f.Body) != test.want {
				t.Errorf("%s: %s, want %s", name, w[0], test.want)
			}
		})
	}
}

func TestCommandsWithoutAnAnswer(t *testing.T) {
	to := command.ReplyTo{Kind: "stream", ID: "chat/wr1"}
	synctest.Test(t, func(t *testing.T) {
		c, socket := connect(t)
		socket.Reply = answering(t, map[string]string{"aibot_send_msg": ""})
		begun := time.Now()
		if err := c.Send(t.Context(), to, "x"); err == nil || time.Since(begun) != 5*time.Second {
			t.Errorf("after %s: %v", time.Since(begun), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.Send(ctx, to, "x"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with less time: %v", err)
		}
		done := make(chan error, 1)
		go func() { done <- c.Send(t.Context(), to, "x") }()
		synctest.Wait()
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err == nil {
			t.Error("sent over a closed connection")
		}
		if err := c.Send(t.Context(), to, "x"); err == nil {
			t.Error("sent after the end")
		}
		if err := c.Close(); err != nil { // more than once
			t.Error(err)
		}
	})
}

// TestCommandsAreBounded holds that only so many commands wait for their answers.
func TestCommandsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, socket := connect(t)
		socket.Reply = answering(t, map[string]string{"aibot_send_msg": ""})
		sent := make(chan error, 500)
		for range 500 {
			go func() { sent <- c.Send(t.Context(), command.ReplyTo{Kind: "stream", ID: "chat/wr1"}, "x") }()
		}
		synctest.Wait()
		begun := time.Now()
		if err := c.Send(t.Context(), command.ReplyTo{Kind: "stream", ID: "chat/wr1"}, "x"); err == nil ||
			time.Since(begun) > 0 {
			t.Errorf("one more command, after %s: %v", time.Since(begun), err)
		}
		for range 500 {
			if err := <-sent; err == nil {
				t.Error("sent without an answer")
			}
		}
		socket.Reply = answering(t, nil)
		go func() { sent <- c.Send(t.Context(), command.ReplyTo{Kind: "stream", ID: "chat/wr1"}, "x") }()
		synctest.Wait()
		_, _ = c.Next(t.Context())
		if err := <-sent; err != nil {
			t.Errorf("after all of them: %v", err)
		}
	})
}

func TestFramesThatAreNoMessages(t *testing.T) {
	c, _ := connect(t,
		`{"headers":{"req_id":"nobody's"},"errcode":0}`, `{"headers":{"req_id":"aibot_send_msg_1"},"errcode":7}`,
		`{"headers":{"req_id":"nobody's"}}`, `{"errcode":7}`, `{"cmd":"aibot_what","headers":{"req_id":"r"}}`, `{}`,
		"garbage", `{"cmd":7}`, `[]`, "", `{"cmd":"aibot_msg_callback","body":[]}`,
		strings.Replace(push("aibot_msg_callback", direct), `"r1"`, `""`, 1),
		strings.Replace(push("aibot_msg_callback", direct), "r1", strings.Repeat("r", 257), 1),
		push("aibot_msg_callback", direct))
	for i := range 7 {
		if d := next(t, c); platformtest.StepOf(d.Refused) != callback.StepDecode || d.Received != nil ||
			d.Acknowledge != nil {
			t.Errorf("%d: %+v", i, d)
		}
	}
	if d := next(t, c); d.Received == nil || d.Received.Message == nil || d.Received.Message.Text != "help" {
		t.Errorf("after them: %+v", d)
	}
	var ended *callback.Ended
	if _, err := c.Next(t.Context()); !errors.As(err, &ended) || ended.Replaced {
		t.Errorf("at the end: %v", err)
	}
}

func TestTheEndOfAConnection(t *testing.T) {
	for name, test := range map[string]struct {
		frame    string
		replaced bool
	}{
		"another connection":       {push("aibot_event_callback", replaced), true},
		"a ping is not subscribed": {`{"headers":{"req_id":"ping_1"},"errcode":846609}`, false},
		"closed":                   {"", false},
	} {
		var frames []string
		if test.frame != "" {
			frames = []string{test.frame, push("aibot_msg_callback", direct)}
		}
		c, _ := connect(t, frames...)
		var ended *callback.Ended
		if _, err := c.Next(t.Context()); !errors.As(err, &ended) || ended.Replaced != test.replaced {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A person can write it, but only WeCom sends it as an event.
	said := strings.Replace(replaced, "{", `{"chattype":"single","from":{"userid":"u"},`, 1)
	c, _ := connect(t, push("aibot_msg_callback", said))
	if d := next(t, c); d.Received == nil ||
		d.Received.Kind != "event/disconnected_event" {
		t.Errorf("as a message: %+v", d)
	}
}

func TestPing(t *testing.T) {
	c, socket := connect(t)
	if got := c.PingEvery(); got != 30*time.Second {
		t.Errorf("a ping each %s", got)
	}
	socket.Reply = nil
	ping := func() error { return c.Ping(t.Context()) }
	for range 2 {
		if err := ping(); err != nil {
			t.Fatal(err)
		}
	}
	var ended *callback.Ended
	if err := ping(); !errors.As(err, &ended) {
		t.Errorf("after two pings without an answer: %v", err)
	}
	w := socket.Written()
	f := read(t, w[0])
	if f.Command != "ping" || !strings.HasPrefix(f.Headers.ID, "ping_") || strings.Contains(w[0], "body") ||
		f.Headers.ID == read(t, w[1]).Headers.ID {
		t.Errorf("%q", w)
	}
	for code, ok := range map[int]bool{0: true, 45009: false} {
		socket.Send(`{"headers":{"req_id":"ping_1"},"errcode":`+strconv.Itoa(code)+`}`, "garbage")
		next(t, c)
		if err := ping(); (err == nil) != ok {
			t.Errorf("after the answer %d: %v", code, err)
		}
		for ping() == nil {
		}
	}
	socket.Send(push("aibot_event_callback", entered))
	next(t, c)
	if err := ping(); err != nil {
		t.Errorf("after an event: %v", err)
	}
	socket.Break(errors.New("broken pipe"))
	if err := ping(); err == nil {
		t.Error("a ping over a broken connection")
	}
}

// The process without the connection has no way to send, but may have one later.
func TestSendWithoutAConnection(t *testing.T) {
	p := platformtest.NewServer(t, now, []string{"qyapi.weixin.qq.com"},
		func(platformtest.Request) (int, string) { return 200, `{"errcode":0}` })
	s, err := wecom.Platform{}.NewSender(streamSettings(), p.Client)
	if err != nil {
		t.Fatal(err)
	}
	err = s.Send(t.Context(), command.ReplyTo{Kind: "stream", ID: "user/u"}, "done")
	platformtest.CheckSendError(t, "over a connection", err, false, true)
	if !strings.Contains(err.Error(), "only the process that holds the robot's connection") {
		t.Error(err)
	}
	err = s.Send(t.Context(), command.ReplyTo{Kind: "user", ID: "u"}, "done")
	platformtest.CheckSendError(t, "as the app", err, false, false)
	if !strings.Contains(err.Error(), "WeChatSecret") || len(p.Requests()) > 0 {
		t.Error(err)
	}
	err = s.Send(t.Context(), command.ReplyTo{Kind: "response_url", URL: "https://qyapi.weixin.qq.com/x"}, "done")
	platformtest.CheckSendError(t, "by a response URL", err, true, false)
	var why command.Uncheckable
	if _, err := (wecom.Platform{}).NewChecker(streamSettings(), p.Client); !errors.As(err, &why) {
		t.Errorf("an app that is not there is checked: %v", err)
	}
}

// FuzzNext holds that whatever WeCom sends is a delivery with one outcome, the end, or nothing, and
// that a message that is read can be recorded.
func FuzzNext(f *testing.F) {
	for _, frame := range []string{push("aibot_msg_callback", direct), push("aibot_msg_callback", inGroup),
		push("aibot_event_callback", pressed), push("aibot_event_callback", replaced),
		`{"headers":{"req_id":"ping_1"},"errcode":846609}`, "{\"cmd\":\"a\x01\"}"} {
		f.Add(frame)
	}
	f.Fuzz(func(t *testing.T, frame string) {
		c, _ := connect(t, frame)
		d, err := c.Next(t.Context())
		if err != nil {
			return
		}
		if (d.Received == nil) == (d.Refused == nil) || d.Renew != "" || d.Refused != nil && d.Acknowledge != nil {
			t.Fatalf("%+v", d)
		}
		if d.Received != nil && d.Received.Message != nil {
			if err := callback.Check(d.Received.Message); err != nil {
				t.Errorf("%+v: %v", d.Received.Message, err)
			}
		}
	})
}

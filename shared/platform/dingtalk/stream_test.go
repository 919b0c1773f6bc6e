package dingtalk_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"chatconf/shared/dispatch"
	"chatconf/shared/platform/callback"
	"chatconf/shared/platform/dingtalk"
	"chatconf/shared/platform/platformtest"
)

const opens = `{"endpoint":"wss://wss-open-connection.dingtalk.com:443/connect","ticket":"not-a-real+ticket"}`

// open opens a connection over a socket. DingTalk answers the call before with a status and a body.
func open(t testing.TB, socket *platformtest.Socket, status int, body string) (callback.Connection, error) {
	t.Helper()
	server := platformtest.NewServer(t, now, []string{"api.dingtalk.com"}, func(r platformtest.Request) (int, string) {
		const want = `{"clientId":"dingexample","clientSecret":"not-a-real-secret","subscriptions":[` +
			`{"type":"CALLBACK","topic":"/v1.0/im/bot/messages/get"},` +
			`{"type":"CALLBACK","topic":"/v1.0/card/instances/callback"}],"ua":"chatconf"}`
		if r.Method != "POST" || r.URI != "/v1.0/gateway/connections/open" || r.Body != want {
			t.Errorf("%s %s %s", r.Method, r.URI, r.Body)
		}
		return status, body
	})
	s, err := dingtalk.Platform{}.NewStream(with(), server.Client)
	if err != nil {
		t.Fatal(err)
	}
	return s.Open(t.Context(), socket)
}

// connected returns a connection over which DingTalk sends the frames.
func connected(t testing.TB, frames ...string) (callback.Connection, *platformtest.Socket) {
	t.Helper()
	socket := platformtest.NewSocket(frames...)
	c, err := open(t, socket, 200, opens)
	if err != nil {
		t.Fatal(err)
	}
	return c, socket
}

const (
	robotTopic = "/v1.0/im/bot/messages/get"
	cardTopic  = "/v1.0/card/instances/callback"
)

// frame is a frame with more headers, each with a comma before it.
func frame(kind, topic, data, headers string) string {
	return fmt.Sprintf(`{"specVersion":"1.0","type":%q,"headers":{"topic":%q,"messageId":"f1","time":"%d",`+
		`"contentType":"application/json"%s},"data":%s}`, kind, topic, now.UnixMilli(), headers, quote(data))
}

func quote(text string) string {
	b, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func acknowledged(code int, message, data string) string {
	return fmt.Sprintf(`{"code":%d,"headers":{"messageId":"f1","contentType":"application/json"},"message":%q,`+
		`"data":%s}`, code, message, quote(data))
}

const clicked = `{"type":"actionCallback","outTrackId":"t1","corpId":"dingcorp","userId":"u1","userIdType":1,` +
	`"spaceId":"cid==","spaceType":"IM_GROUP","content":"{\"cardPrivateData\":{\"params\":{\"command\":\"help\"}}}"}`

func TestOpen(t *testing.T) {
	c, socket := connected(t)
	want := []callback.Dial{{What: "dingtalk: Stream mode", Hosts: []string{".dingtalk.com"},
		URL: "wss://wss-open-connection.dingtalk.com:443/connect?ticket=not-a-real%2Bticket"}}
	if diff := cmp.Diff(want, socket.Dialed()); diff != "" {
		t.Error(diff)
	}
	if c.PingEvery() != 0 || c.Ping(t.Context()) != nil || c.Close() != nil || !socket.Closed() {
		t.Error("a connection that pings, or does not close")
	}
	for _, key := range []string{"DingTalkClientId", "DingTalkClientSecret"} {
		if _, err := (dingtalk.Platform{}).NewStream(with(key, ""), nil); err == nil || dispatch.Retryable(err) {
			t.Errorf("without %s: %v", key, err)
		}
	}
}

// Only what a person must change in the settings ends the retries.
func TestOpenFails(t *testing.T) {
	for about, test := range map[string]struct {
		status int
		body   string
		refuse error // of the socket
		want   string
		final  bool
	}{
		"a wrong secret": {status: 401, body: `{"code":"authFailed","requestid":"x"}`, want: "does not accept",
			final: true},
		"a wrong app":  {status: 400, body: `{"code":"invalidClientIdOrSecret"}`, want: "does not accept", final: true},
		"an outage":    {status: 503, body: `{"code":"ServiceUnavailable"}`, want: "ServiceUnavailable"},
		"a page":       {status: 400, body: `<html>`, want: "status 400"},
		"another code": {status: 403, body: `{"code":"Forbidden.AccessDenied.Other"}`, want: "AccessDenied"},
		"no endpoint":  {status: 200, body: `{"ticket":"not-a-real"}`, want: "status 200"},
		"no ticket":    {status: 200, body: `{"endpoint":"wss://x.dingtalk.com"}`, want: "status 200"},
		"no answer":    {want: "connections/open"},
		"a socket that is not": {status: 200, body: opens, want: "refused",
			refuse: errors.New("refused")},
	} {
		_, err := open(t, &platformtest.Socket{Refused: test.refuse}, test.status, test.body)
		platformtest.CheckSendError(t, about, err, false, !test.final)
		if err != nil && (!strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "wss:")) {
			t.Errorf("%s: %v; want %q", about, err, test.want)
		}
	}
}

// What comes over a connection is the same message as by webhook.
func TestTheSameMessageAsByWebhook(t *testing.T) {
	want, err := receiver(t, with()).Receive(robot(members()))
	if err != nil {
		t.Fatal(err)
	}
	c, _ := connected(t, frame("CALLBACK", robotTopic, members(), ""))
	got, err := c.Next(t.Context())
	if err != nil || got.Refused != nil {
		t.Fatalf("%+v, %v", got, err)
	}
	if diff := cmp.Diff(want.Message, got.Received.Message); diff != "" {
		t.Error(diff)
	}
	if len(got.Received.Guards) != 0 {
		t.Error("a connection needs no guards")
	}
}

// A card is called by HTTP or over a connection, and never by both. Over a connection, the id of
// the frame tells two clicks apart. It does not change when DingTalk delivers a frame again.
func TestActionsOverAConnection(t *testing.T) {
	first := frame("CALLBACK", cardTopic, clicked, "")
	later := strings.Replace(first, fmt.Sprint(now.UnixMilli()), fmt.Sprint(now.UnixMilli()+900), 1)
	c, _ := connected(t, first, later, strings.Replace(first, `"f1"`, `"f2"`, 1),
		strings.Replace(first, `"time":"`, `"time":"x`, 1))
	ids := make(map[string]int)
	for i := range 4 {
		d, err := c.Next(t.Context())
		if err != nil || d.Refused != nil {
			t.Fatalf("%+v, %v", d, err)
		}
		m := d.Received.Message
		if ids[m.ID]++; m.Text != "help" || m.User != "u1" || m.Conversation != "cid==" ||
			i != 1 && !m.Sent.Equal(now) {
			t.Errorf("%+v", m)
		}
	}
	if len(ids) != 2 {
		t.Errorf("the ids are %v", ids)
	}
}

func TestNext(t *testing.T) {
	for about, test := range map[string]struct {
		frame, kind, text string
		step              callback.Step
		renew             string
		none              bool   // there is no delivery
		written           string // before it is acknowledged
		mute              bool   // there is nothing to acknowledge
	}{
		"a message":           {frame: frame("CALLBACK", robotTopic, members(), ""), text: "help"},
		"an action of a card": {frame: frame("CALLBACK", cardTopic, clicked, ""), text: "help"},
		"a card's other type": {frame: frame("CALLBACK", cardTopic, `{"type":"x","corpId":"dingcorp"}`, ""),
			kind: "card/x"},
		"the robot's own": {frame: frame("CALLBACK", robotTopic, members("senderId", `"bot"`), ""),
			kind: "own/text"},
		"another robot": {frame: frame("CALLBACK", robotTopic, members("robotCode", `"other"`), ""),
			step: callback.StepReceiver},
		"another corporation": {frame: frame("CALLBACK", robotTopic, members("chatbotCorpId", `"other"`), ""),
			step: callback.StepReceiver},
		"a card of another corporation": {frame: frame("CALLBACK", cardTopic, `{"corpId":"other"}`, ""),
			step: callback.StepReceiver},
		"a message without an id": {frame: frame("CALLBACK", robotTopic, members("msgId", ""), ""),
			step: callback.StepDecode},
		"a card without its content": {frame: frame("CALLBACK", cardTopic, `{"type":"actionCallback",`+
			`"corpId":"dingcorp"}`, ""), step: callback.StepDecode},
		"data that is no JSON": {frame: frame("CALLBACK", robotTopic, "x", ""), step: callback.StepDecode},
		"no data": {frame: `{"type":"CALLBACK","headers":{"topic":"` + robotTopic + `"}}`,
			step: callback.StepDecode},
		"an event": {frame: frame("EVENT", "*", `{}`, `,"eventType":"user_add_org","eventCorpId":"dingcorp"`),
			kind: "event/user_add_org"},
		"an event of another corporation": {frame: frame("EVENT", "*", `{}`, `,"eventType":"x","eventCorpId":"other"`),
			step: callback.StepReceiver},
		"a ping": {frame: frame("SYSTEM", "ping", `{"opaque":"0-1"}`, ""), none: true,
			written: acknowledged(200, "OK", `{"opaque":"0-1"}`)},
		"an end": {frame: frame("SYSTEM", "disconnect", `{"reason":"persistent connection is timeout"}`, ""),
			renew: "persistent_connection_is_timeout", written: acknowledged(200, "OK",
				`{"reason":"persistent connection is timeout"}`)},
		"an end without a reason": {frame: frame("SYSTEM", "disconnect", `{}`, ""), renew: "without a reason",
			written: acknowledged(200, "OK", `{}`)},
		"an end without data": {frame: frame("SYSTEM", "disconnect", ``, ""), renew: "ends the connection",
			written: acknowledged(200, "OK", ``)},
		"another topic": {frame: frame("CALLBACK", "/v1.0/graph/api/invoke", `{}`, ""), none: true,
			written: acknowledged(404, "failed", "")},
		"another type":        {frame: frame("X", "", `{}`, ""), none: true, written: acknowledged(404, "failed", "")},
		"garbage":             {frame: "\xff{", step: callback.StepDecode, mute: true},
		"no object":           {frame: `[]`, step: callback.StepDecode, mute: true},
		"data of other kinds": {frame: `{"type":"CALLBACK","data":{}}`, step: callback.StepDecode, mute: true},
	} {
		t.Run(about, func(t *testing.T) {
			c, socket := connected(t, test.frame)
			d, err := c.Next(t.Context())
			if got := strings.Join(socket.Written(), "\n"); got != test.written {
				t.Errorf("wrote %s, want %s", got, test.written)
			}
			if test.none {
				if ended := (*callback.Ended)(nil); !errors.As(err, &ended) || ended.Replaced {
					t.Errorf("%+v, %v", d, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := platformtest.StepOf(d.Refused); got != test.step || (d.Refused != nil) == (d.Received != nil) &&
				test.renew == "" {
				t.Errorf("%v, want step %q; %+v", d.Refused, test.step, d.Received)
			}
			if (test.renew == "") != (d.Renew == "") || !strings.HasSuffix(d.Renew, test.renew) {
				t.Errorf("Renew is %q, want %q", d.Renew, test.renew)
			}
			if (d.Acknowledge == nil) != (test.mute || test.renew != "") {
				t.Error("what is acknowledged")
			}
			kind, text := "", ""
			if r := d.Received; r != nil {
				if kind = r.Kind; r.Message != nil {
					text = r.Message.Text
				}
			}
			if kind != test.kind || text != test.text {
				t.Errorf("kind %q, text %q", kind, text)
			}
		})
	}
}

// What was not recorded is to be delivered again; what was refused is not.
func TestAcknowledge(t *testing.T) {
	const success, later = `{"status":"SUCCESS","message":"OK"}`, `{"status":"LATER","message":"not recorded"}`
	for about, test := range map[string]struct {
		frame                      string
		recorded, refused, failing string
	}{
		"a message": {frame("CALLBACK", robotTopic, members(), ""), acknowledged(200, "OK", `{"response":null}`),
			acknowledged(400, "failed", ""), acknowledged(500, "failed", "")},
		"a card": {frame("CALLBACK", cardTopic, clicked, ""), acknowledged(200, "OK", `{"response":{}}`),
			acknowledged(400, "failed", ""), acknowledged(500, "failed", "")},
		"an event": {frame("EVENT", "*", `{}`, `,"eventType":"x"`), acknowledged(200, "OK", success),
			acknowledged(200, "OK", success), acknowledged(500, "failed", later)},
	} {
		c, socket := connected(t, test.frame)
		d, err := c.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		answer, err := c.Answer(d.Received, "an answer")
		if err != nil || answer.Carries || answer.Status != 200 {
			t.Fatalf("%s: %+v, %v", about, answer, err)
		}
		for _, r := range []*callback.Response{answer, {Status: 401}, {Status: 500, Body: []byte("x")}, {Status: 503}} {
			if err := d.Acknowledge(t.Context(), r); err != nil {
				t.Error(err)
			}
		}
		if diff := cmp.Diff([]string{test.recorded, test.refused, test.failing, test.failing},
			socket.Written()); diff != "" {
			t.Errorf("%s: %s", about, diff)
		}
		broken := errors.New("broken")
		socket.Break(broken)
		if err := d.Acknowledge(t.Context(), answer); !errors.Is(err, broken) {
			t.Errorf("%s: the error of a write is %v", about, err)
		}
		for _, f := range []string{frame("SYSTEM", "ping", `{}`, ""), frame("X", "", ``, "")} {
			socket.Send(f)
			if _, err := c.Next(t.Context()); !errors.Is(err, broken) {
				t.Errorf("the error of a write is %v", err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := c.Next(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("the error of a canceled read is %v", err)
		}
	}
}

// FuzzStream gives any frame. What is received has ids that can be kept, and every acknowledgement
// is JSON.
func FuzzStream(f *testing.F) {
	f.Add([]byte(frame("CALLBACK", robotTopic, members(), "")))
	f.Add([]byte(frame("CALLBACK", cardTopic, clicked, "")))
	f.Add([]byte(frame("EVENT", "*", `{}`, `,"eventType":"x"`)))
	f.Add([]byte(frame("SYSTEM", "ping", `{"opaque":"x"}`, "")))
	f.Add([]byte(frame("SYSTEM", "disconnect", `{"reason":"x"}`, "")))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, socket := connected(t, string(text))
		d, err := c.Next(t.Context())
		if err == nil && d.Refused != nil && (platformtest.StepOf(d.Refused) == "" || d.Received != nil) {
			t.Errorf("%+v", d)
		}
		if err == nil && d.Received != nil {
			if m := d.Received.Message; m != nil && (m.ID == "" || m.Conversation == "") {
				t.Errorf("%+v", m)
			}
			answer, err := c.Answer(d.Received, "x")
			if err == nil {
				err = d.Acknowledge(t.Context(), answer)
			}
			if err != nil {
				t.Error(err)
			}
		}
		for _, written := range socket.Written() {
			if !json.Valid([]byte(written)) {
				t.Errorf("wrote %q", written)
			}
		}
	})
}

// FuzzStreamData gives any message to the robot. It is read as by webhook.
func FuzzStreamData(f *testing.F) {
	f.Add(members())
	f.Add(rich(`{"text":"@ops"},{"type":"picture"},{"text":" x"}`))
	r := receiver(f, with("DingTalkToken", "", "DingTalkEncodingAesKey", ""))
	f.Fuzz(func(t *testing.T, data string) {
		if !json.Valid([]byte(data)) || quote(data) != quote(strings.ToValidUTF8(data, "")) {
			return
		}
		in, err := r.Receive(robot(data))
		if err != nil && platformtest.StepOf(err) == callback.StepDecrypt {
			return
		}
		c, _ := connected(t, frame("CALLBACK", robotTopic, data, ""))
		d, end := c.Next(t.Context())
		if end != nil {
			t.Fatal(end)
		}
		if (err == nil) != (d.Refused == nil) {
			t.Fatalf("by webhook %v, over the connection %v", err, d.Refused)
		}
		if err == nil && in.Message != nil && *in.Message != *d.Received.Message {
			t.Errorf("by webhook %+v, over the connection %+v", in.Message, d.Received.Message)
		}
	})
}

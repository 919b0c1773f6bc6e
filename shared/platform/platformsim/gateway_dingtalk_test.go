package platformsim_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/coder/websocket"

	"chatconf/shared/platform/callback"
	"chatconf/shared/platform/platformsim"
)

var dingtalkClient = gatewayClient{
	settings: callback.Settings{"DingTalkClientId": "dingexample", "DingTalkClientSecret": "not-a-real-secret"},
	app:      "dingexample", secret: "not-a-real-secret",
	open: func(t *testing.T, g *gateway) *program {
		t.Helper()
		p, err := g.dial(t, dingtalkOpen(t, g))
		if err != nil {
			t.Fatal(err)
		}
		for _, topic := range []string{"CONNECTED", "REGISTERED"} {
			if f, err := dingtalkRead(p); err != nil || f.Type != "SYSTEM" || f.Headers.Topic != topic {
				t.Fatalf("%+v, %v, want %s", f, err, topic)
			}
		}
		return p
	},
	next: func(p *program) (delivered, error) {
		for {
			f, err := dingtalkRead(p)
			switch {
			case err != nil || f.Headers.Topic == "disconnect":
				return delivered{}, err
			case f.Headers.Topic == "ping":
				f.answer(p, http.StatusOK, f.Data)
				continue
			}
			var message struct {
				ID   string                   `json:"msgId"`
				Text struct{ Content string } `json:"text"`
			}
			if err := json.Unmarshal([]byte(f.Data), &message); err != nil {
				return delivered{}, err
			}
			return delivered{message.ID, message.Text.Content, func(again bool) {
				if again {
					f.answer(p, http.StatusInternalServerError, "")
				} else {
					f.answer(p, http.StatusOK, `{"response":null}`)
				}
			}}, nil
		}
	},
}

// A dingtalkFrame is a frame of DingTalk's.
type dingtalkFrame struct {
	Type    string
	Headers struct{ Topic, MessageID, Time, ContentType string }
	Data    string
}

func dingtalkRead(p *program) (f dingtalkFrame, err error) {
	err = p.read(&f)
	return f, err
}

// answer answers a frame.
func (f dingtalkFrame) answer(p *program, code int, data string) {
	p.t.Helper()
	p.write(map[string]any{"code": code, "message": "OK", "data": data,
		"headers": map[string]string{"messageId": f.Headers.MessageID, "contentType": "application/json"}})
}

const dingtalkOpenCall = `{"clientId":%q,"clientSecret":%q,"ua":"test","subscriptions":[` +
	`{"type":"EVENT","topic":"*"},{"type":"CALLBACK","topic":"/v1.0/im/bot/messages/get"},` +
	`{"type":"CALLBACK","topic":"/v1.0/card/instances/callback"}]}`

// dingtalkOpen returns the address of a connection.
func dingtalkOpen(t *testing.T, g *gateway) string {
	t.Helper()
	var out struct{ Endpoint, Ticket string }
	if status := g.call(t, "POST", "/v1.0/gateway/connections/open", fmt.Sprintf(dingtalkOpenCall, g.app, g.secret),
		&out); status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	return out.Endpoint + "?ticket=" + out.Ticket
}

func TestDingTalkGatewayRefusesCredentials(t *testing.T) {
	g := startGateway(t, "DingTalk")
	for _, c := range [][2]string{{"dingexample", "other"}, {"dingother", "not-a-real-secret"}, {"", ""}} {
		var refused struct{ Code string }
		if status := g.call(t, "POST", "/v1.0/gateway/connections/open", fmt.Sprintf(dingtalkOpenCall, c[0], c[1]),
			&refused); status != http.StatusUnauthorized || refused.Code != "authFailed" {
			t.Errorf("%v: status %d, code %q", c, status, refused.Code)
		}
		if status := g.call(t, "POST", "/v1.0/oauth2/accessToken", fmt.Sprintf(`{"appKey":%q,"appSecret":%q}`, c[0],
			c[1]), &refused); status != http.StatusBadRequest || refused.Code != "invalidClientIdOrSecret" {
			t.Errorf("%v: status %d, code %q", c, status, refused.Code)
		}
	}
	if status := g.call(t, "POST", "/v1.0/gateway/connections/open", "{", nil); status != http.StatusBadRequest {
		t.Errorf("status %d", status)
	}
}

func TestDingTalkTicketIsForOneConnectionAndAWhile(t *testing.T) {
	g := startGateway(t, "DingTalk")
	address := dingtalkOpen(t, g)
	if _, err := g.dial(t, address); err != nil {
		t.Fatal(err)
	}
	if _, err := g.dial(t, address); err == nil {
		t.Error("a ticket is good for two connections")
	}
	address = dingtalkOpen(t, g)
	g.ahead.Add(int64(91 * time.Second))
	if _, err := g.dial(t, address); err == nil {
		t.Error("a ticket is good after 91 s")
	}
}

func TestDingTalkGatewayTakesAnswers(t *testing.T) {
	g := startGateway(t, "DingTalk")
	p := g.open(t, g)
	done := g.push(t.Context(), platformsim.Message{User: "ann", Text: "help"})
	var f dingtalkFrame
	for f.Type != "CALLBACK" {
		var err error
		if f, err = dingtalkRead(p); err != nil {
			t.Fatal(err)
		}
		if f.Headers.Topic == "ping" {
			f.answer(p, http.StatusOK, f.Data)
		}
	}
	f.answer(p, http.StatusOK, `{"response":{"msgtype":"text"}}`)
	if got := <-done; got.err != nil || got.Answer != "" { // DingTalk shows none
		t.Errorf("%+v", got)
	}
	var message struct{ SessionWebhook string }
	if err := json.Unmarshal([]byte(f.Data), &message); err != nil {
		t.Fatal(err)
	}
	session := g.under(t, message.SessionWebhook)
	var token struct{ AccessToken string }
	g.call(t, "POST", "/v1.0/oauth2/accessToken", `{"appKey":"dingexample","appSecret":"not-a-real-secret"}`, &token)
	const group, people, robots = "/v1.0/robot/groupMessages/send", "/v1.0/robot/oToMessages/batchSend",
		"/v1.0/robot/groups/robots/query"
	const param = `"msgKey":"sampleText","msgParam":"{\"content\":\"%s\"}"}`
	for _, c := range []struct {
		path, body, code string // empty is success
	}{
		{session, `{"msgtype":"text","text":{"content":"by session"}}`, "0"},
		{session, `{"msgtype":"text","text":{"content":"x"},"at":{"isAtAll":true}}`, "40035"},
		{"/robot/sendBySession?session=other", `{"msgtype":"text","text":{"content":"x"}}`, "300001"},
		{group, `{"robotCode":"r","openConversationId":"c",` + fmt.Sprintf(param, "to group"), ""},
		{people, `{"robotCode":"r","userIds":["u"],` + fmt.Sprintf(param, "to ann"), ""},
		{group, `{"robotCode":"r",` + fmt.Sprintf(param, "x"), "invalid.openConversationId"},
		{people, `{"userIds":["u"],` + fmt.Sprintf(param, "x"), "invalidParameter.robotCode.auth"},
		{people, `{"robotCode":"r","userIds":["u"],"msgKey":"other","msgParam":"{\"content\":\"x\"}"}`,
			"invalidParameter.msgKey.invalid"},
		{people, `{"robotCode":"r","userIds":["u"],"msgKey":"sampleText","msgParam":"x"}`,
			"invalidParameter.msgParam.invalid"},
		{robots, `{"openConversationId":"c"}`, ""},
		{robots, `{}`, "invalid.openConversationId"},
	} {
		var out struct {
			Errcode json.Number
			Code    string
		}
		g.call(t, "POST", c.path, c.body, &out, "x-acs-dingtalk-access-token", token.AccessToken)
		if got := out.Code + out.Errcode.String(); got != c.code {
			t.Errorf("%s: code %q, want %q", c.body, got, c.code)
		}
	}
	if got, want := g.Sent(g.settings), []string{"by session", "to group", "to ann"}; !slices.Equal(got, want) {
		t.Errorf("sent %q, want %q", got, want)
	}
	g.ahead.Add(int64(3 * time.Hour))
	var expired struct {
		Errcode int
		Code    string
	}
	g.call(t, "POST", session, `{"msgtype":"text","text":{"content":"x"}}`, &expired)
	g.call(t, "POST", group, `{}`, &expired, "x-acs-dingtalk-access-token", token.AccessToken)
	if expired.Errcode != 300001 || expired.Code != "InvalidAuthentication" {
		t.Errorf("what has expired: %+v", expired)
	}
}

func TestDingTalkGatewayReadsTheAnswerOfACard(t *testing.T) {
	g := startGateway(t, "DingTalk")
	p := g.open(t, g)
	for _, c := range []struct {
		code         int
		data, answer string
		again, ok    bool
	}{
		{200, `{"response":{"cardData":{"cardParamMap":{"b":"two","a":"one"}},"userPrivateData":{"cardParamMap":` +
			`{"c":"three"}}}}`, "one\ntwo\nthree", false, true},
		{200, `{"response":null}`, "", false, true},
		{200, "", "", false, true},
		{500, "", "", true, true},
		{404, "", "", false, false},
		{200, `{"response":[]}`, "", false, false},
		{200, "x", "", false, false},
	} {
		done := g.push(t.Context(), platformsim.Message{User: "ann", Text: "help", Mode: "card"})
		var got *pushResult
		for n := 0; got == nil; {
			f, err := dingtalkRead(p)
			if err != nil {
				t.Fatal(err)
			}
			if f.Headers.Topic == "ping" {
				f.answer(p, http.StatusOK, f.Data)
				continue
			}
			if f.Headers.Topic != "/v1.0/card/instances/callback" {
				t.Errorf("topic %q", f.Headers.Topic)
			}
			f.answer(p, c.code, c.data)
			if n++; !c.again || n == 3 {
				r := <-done
				got = &r
			}
		}
		if got.Answer != c.answer || got.Again != c.again || (got.err == nil) != c.ok {
			t.Errorf("%d %s: %+v", c.code, c.data, got)
		}
	}
	if _, err := g.Push(t.Context(), g.settings, platformsim.Message{Mode: "pigeon"}); err == nil {
		t.Error("an unknown mode")
	}
	if _, err := g.Push(t.Context(), nil, platformsim.Message{}); err == nil {
		t.Error("no settings")
	}
}

// A program that answers a ping with other data than the ping's is cut off.
func TestDingTalkGatewayChecksPongs(t *testing.T) {
	for _, data := range []string{`{"opaque":"other"}`, `x`} {
		g := startGateway(t, "DingTalk")
		p := g.open(t, g)
		f, err := dingtalkRead(p)
		if err != nil || f.Headers.Topic != "ping" {
			t.Fatalf("%+v, %v", f, err)
		}
		f.answer(p, http.StatusOK, data)
		if f, err := dingtalkRead(p); websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
			t.Errorf("%s: %+v, %v", data, f, err)
		}
	}
	g := startGateway(t, "DingTalk")
	p := g.open(t, g)
	if err := p.conn.Write(t.Context(), websocket.MessageText, []byte("x")); err != nil {
		t.Fatal(err)
	}
	for {
		if f, err := dingtalkRead(p); err != nil {
			if websocket.CloseStatus(err) != websocket.StatusInvalidFramePayloadData {
				t.Errorf("%+v, %v", f, err)
			}
			break
		}
	}
}

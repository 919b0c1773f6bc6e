package feishu_test

import (
	"encoding/json"
	"testing"

	"chatconf/shared/command"
	"chatconf/shared/platform/feishu"
	"chatconf/shared/platform/platformtest"
)

func TestSend(t *testing.T) {
	to := command.ReplyTo{Kind: "message", ID: "om_1/../x"}
	for name, test := range map[string]struct {
		domain    string
		to        command.ReplyTo
		token     string
		status    int
		answers   []string
		ok, again bool
		sent      int
	}{
		"in Feishu":              {to: to, answers: []string{`{"code":0,"data":{}}`}, ok: true, sent: 2},
		"in Lark":                {domain: "lark", to: to, answers: []string{`{"code":0}`}, ok: true, sent: 2},
		"the token has expired":  {to: to, answers: []string{`{"code":99991663}`, `{"code":0}`}, ok: true, sent: 4},
		"the token is not taken": {to: to, status: 400, answers: []string{`{"code":99991661}`}, sent: 4},
		"too often":              {to: to, status: 400, answers: []string{`{"code":99991400}`}, again: true, sent: 2},
		"too often to a group":   {to: to, status: 400, answers: []string{`{"code":230020}`}, again: true, sent: 2},
		"the bot is not there":   {to: to, status: 400, answers: []string{`{"code":230002}`}, sent: 2},
		"an invalid answer":      {to: to, answers: []string{``}, sent: 2},
		"the secret is not right": {to: to, token: `{"code":10014,"msg":"app secret invalid"}`,
			sent: 1},
		"a token that is empty": {to: to, token: `{"code":0}`, sent: 1},
		"to a person": {to: command.ReplyTo{Kind: "person", ID: "ou_1"},
			answers: []string{`{"code":0}`}, ok: true, sent: 2},
		"to nobody":      {to: command.ReplyTo{Kind: "person"}},
		"to nothing":     {to: command.ReplyTo{Kind: "message"}},
		"by another way": {to: command.ReplyTo{Kind: "pigeon", ID: "x"}},
	} {
		host := "open.feishu.cn"
		if test.domain == "lark" {
			host = "open.larksuite.com"
		}
		p := platformtest.NewServer(t, now, []string{host}, func(r platformtest.Request) (int, string) {
			if r.URI == "/open-apis/auth/v3/tenant_access_token/internal" {
				if test.token == "" {
					return 200, `{"code":0,"tenant_access_token":"not-a-real-access-token","expire":7200}`
				}
				return 200, test.token
			}
			one := test.answers[0]
			if len(test.answers) > 1 {
				test.answers = test.answers[1:]
			}
			if test.status != 0 {
				return test.status, one
			}
			return 200, one
		})
		s, err := feishu.Platform{}.NewSender(with("FeishuDomain", test.domain), p.Client)
		if err != nil {
			t.Fatal(err)
		}
		err = s.Send(t.Context(), test.to, "<at user_id=\"all\"></at>\n[x](https://example.com)")
		platformtest.CheckSendError(t, name, err, test.ok, test.again)
		r := p.Requests()
		if len(r) != test.sent {
			t.Fatalf("%s: %d calls, want %d", name, len(r), test.sent)
		}
		if !test.ok {
			continue
		}
		last := r[len(r)-1]
		uri, receiver := "/open-apis/im/v1/messages/om_1%2F..%2Fx/reply", ""
		if test.to.Kind == "person" {
			uri, receiver = "/open-apis/im/v1/messages?receive_id_type=open_id", "ou_1"
		}
		var body struct {
			ReceiveID string `json:"receive_id"`
			MsgType   string `json:"msg_type"`
			Content   string `json:"content"`
			UUID      string `json:"uuid"`
		}
		if err := json.Unmarshal([]byte(last.Body), &body); err != nil {
			t.Fatal(err)
		}
		const content = `{"zh_cn":{"content":[[{"tag":"text","text":"<at ` +
			`user_id=\"all\"></at>"}],[{"tag":"text","text":"[x](https://example.com)"}]]}}`
		if last.URI != uri || body.ReceiveID != receiver ||
			last.Header.Get("Authorization") != "Bearer not-a-real-access-token" ||
			body.MsgType != "post" || body.Content != content || len(body.UUID) != 40 ||
			r[0].Body != `{"app_id":"cli_example","app_secret":"not-a-real-secret"}` {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func TestSendWithoutANetwork(t *testing.T) {
	p := platformtest.NewServer(t, now, nil, nil)
	s, err := feishu.Platform{}.NewSender(with(), p.Client)
	if err != nil {
		t.Fatal(err)
	}
	platformtest.CheckSendCanceled(t, s, command.ReplyTo{Kind: "message", ID: "om_1"})
}

package wecom_test

import (
	"strings"
	"testing"

	"chatconf/shared/command"
	"chatconf/shared/platform/platformtest"
	"chatconf/shared/platform/wecom"
)

func TestSend(t *testing.T) {
	user := command.ReplyTo{Kind: "user", ID: "ZhangSan"}
	robot := command.ReplyTo{Kind: "response_url",
		URL: "https://qyapi.weixin.qq.com/cgi-bin/aibot/response?response_code=not-a-real-code"}
	const token = `{"errcode":0,"errmsg":"ok","access_token":"not-a-real+token","expires_in":7200}`
	for name, test := range map[string]struct {
		to        command.ReplyTo
		tokens    []string // the answers of gettoken, one after the other; the last stays
		answers   []string // those of what is sent
		ok, again bool
		sent      int // calls
	}{
		"to a person": {to: user, answers: []string{`{"errcode":0,"errmsg":"ok","msgid":"x"}`},
			ok: true, sent: 2},
		"to a person who is none": {to: user, answers: []string{`{"errcode":81013}`}, sent: 2},
		"to a person, dropped in silence": {to: user, answers: []string{`{"errcode":0,"invaliduser":"zhangsan"}`},
			sent: 2},
		"to a person without a licence": {to: user,
			answers: []string{`{"errcode":0,"unlicenseduser":"zhangsan"}`}, sent: 2},
		"the token has expired": {to: user, answers: []string{`{"errcode":42001}`, `{"errcode":0}`},
			ok: true, sent: 4},
		"the token is not taken": {to: user, answers: []string{`{"errcode":40014}`, `{"errcode":40014}`},
			sent: 4},
		"busy": {to: user, answers: []string{`{"errcode":-1}`}, again: true, sent: 2},
		"too often": {to: user, answers: []string{`{"errcode":45009}`},
			again: true, sent: 2},
		"from an address that is not trusted": {to: user, answers: []string{`{"errcode":60020}`}, sent: 2},
		"an invalid answer":                   {to: user, answers: []string{`<html>`}, sent: 2},
		"an answer without a code":            {to: user, answers: []string{`{}`}, sent: 2},
		"an answer that is wrong":             {to: user, answers: []string{`{"errcode":0,"invaliduser":1}`}, sent: 2},
		"the secret is not right":             {to: user, tokens: []string{`{"errcode":40001}`}, sent: 1},
		"a token that is empty":               {to: user, tokens: []string{`{"errcode":0}`}, sent: 1},
		"to everybody":                        {to: command.ReplyTo{Kind: "user", ID: "@all"}},
		"to several":                          {to: command.ReplyTo{Kind: "user", ID: "a|b"}},
		"to nobody":                           {to: command.ReplyTo{Kind: "user"}},
		"by another way":                      {to: command.ReplyTo{Kind: "pigeon", ID: "x"}},
		"as a robot":                          {to: robot, answers: []string{`{"errcode":0}`}, ok: true, sent: 1},
		"as a robot, too late":                {to: robot, answers: []string{`{"errcode":846605}`}, sent: 1},
		"as a robot, by somebody else's place": {to: command.ReplyTo{Kind: "response_url",
			URL: "https://example.com/not-a-real-code"}},
	} {
		if test.tokens == nil {
			test.tokens = []string{token}
		}
		next := func(all *[]string) string {
			one := (*all)[0]
			if len(*all) > 1 {
				*all = (*all)[1:]
			}
			return one
		}
		p := platformtest.NewServer(t, now, []string{"qyapi.weixin.qq.com"},
			func(r platformtest.Request) (int, string) {
				if strings.HasPrefix(r.URI, "/cgi-bin/gettoken?") {
					return 200, next(&test.tokens)
				}
				return 200, next(&test.answers)
			})
		s, err := wecom.Platform{}.NewSender(with(), p.Client)
		if err != nil {
			t.Fatal(err)
		}
		err = s.Send(t.Context(), test.to, "<a href=\"x\">*done*</a> @all")
		platformtest.CheckSendError(t, name, err, test.ok, test.again)
		r := p.Requests()
		if len(r) != test.sent {
			t.Fatalf("%s: %d calls, want %d", name, len(r), test.sent)
		}
		if !test.ok {
			continue
		}
		last := r[len(r)-1]
		if strings.Contains(last.Body, "<a ") || strings.Contains(last.Body, "@all") {
			t.Errorf("%s: what was said is markup, or mentions all: %s", name, last.Body)
		}
		if strings.Contains(last.Body, "duplicate") {
			t.Errorf("%s: the platform is to drop what reads like a message before it, as the answers to two "+
				"commands may: %s", name, last.Body)
		}
		want := `{"msgtype":"markdown","markdown":{"content":`
		if test.to.Kind == "user" {
			want = `{"touser":"ZhangSan","msgtype":"text","agentid":1000002,"text":{"content":`
			if r[0].Method != "GET" || r[0].URI != "/cgi-bin/gettoken?corpid=wwexample&corpsecret=not-a-real-secret" ||
				last.URI != "/cgi-bin/message/send?access_token=not-a-real%2Btoken" {
				t.Errorf("%s: %+v", name, r)
			}
		}
		if !strings.HasPrefix(last.Body, want) {
			t.Errorf("%s: %s", name, last.Body)
		}
	}
}

func TestSendWithoutANetwork(t *testing.T) {
	p := platformtest.NewServer(t, now, nil, nil)
	s, err := wecom.Platform{}.NewSender(with(), p.Client)
	if err != nil {
		t.Fatal(err)
	}
	platformtest.CheckSendCanceled(t, s, command.ReplyTo{Kind: "user", ID: "u"},
		command.ReplyTo{Kind: "response_url", URL: "https://qyapi.weixin.qq.com/not-a-real-code"})
}

// The API wants the AgentId as a number, which does not begin with a zero in JSON.
func TestSendAgentID(t *testing.T) {
	for id, want := range map[string]string{"1000002": "1000002", "0": "0", "007": "7", "x": "", "1e3": "", "-1": ""} {
		p := platformtest.NewServer(t, now, []string{"qyapi.weixin.qq.com"}, func(platformtest.Request) (int, string) {
			return 200, `{"errcode":0,"access_token":"not-a-real-token","expires_in":7200}`
		})
		s, err := wecom.Platform{}.NewSender(with("WeChatAgentId", id), p.Client)
		if want == "" {
			if err == nil {
				t.Errorf("a sender is made of the AgentId %q", id)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Send(t.Context(), command.ReplyTo{Kind: "user", ID: "u"}, "done"); err != nil {
			t.Fatal(err)
		}
		if r := p.Requests(); len(r) != 2 || !strings.Contains(r[1].Body, `"agentid":`+want+`,`) {
			t.Errorf("AgentId %q: %+v", id, r)
		}
	}
}

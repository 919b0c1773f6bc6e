package wecom

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/document"
	"chatconf/shared/platform/callback"
	"chatconf/shared/secret"
)

// api is the only host that is called.
const api = "qyapi.weixin.qq.com"

type sender struct {
	secret.Hidden
	client  *callback.Client
	corpID  string
	agentID string
	secret  secret.Text
	app     bool // there is an app that can send
}

var _ callback.Sender = (*sender)(nil)

// NewSender returns the sender of a configuration of type WeChat. It sends as the app, and by the
// response URL of an intelligent robot. A robot with a connection needs no app.
func (Platform) NewSender(s callback.Settings, client *callback.Client) (callback.Sender, error) {
	out := &sender{client: client, corpID: s.Get("WeChatCorpId"), agentID: s.Get("WeChatAgentId"),
		secret: s["WeChatSecret"]}
	if out.app = out.corpID != "" && out.agentID != "" && out.secret != ""; !out.app {
		if s.Get("WeChatBotId") == "" {
			return nil, errNoApp
		}
		return out, nil
	}
	if !agentID.Fits(out.agentID) {
		return nil, callback.Final("wecom: WeChatAgentId is not %s", agentID.Want)
	}
	// The API wants a number, and JSON knows none that begins with a zero.
	out.agentID = cmp.Or(strings.TrimLeft(out.agentID, "0"), "0")
	return out, nil
}

// errNoApp is the error of what only an app can send.
var errNoApp = callback.Final("wecom: WeChatCorpId, WeChatAgentId or WeChatSecret is not set")

// errElsewhere is the error of an answer that goes over a connection, if this process does not hold
// it. Another process may hold it, or this process may open it again soon.
var errElsewhere = errors.New("wecom: only the process that holds the robot's connection can send this answer")

// Send implements callback.Sender: as a message of the app to one person, or by an intelligent
// robot's response URL.
func (s *sender) Send(ctx context.Context, to command.ReplyTo, text string) error {
	switch to.Kind {
	case toURL:
		return s.byURL(ctx, to.URL, text)
	case toUser:
		return s.message(ctx, to.ID, text)
	case toStream:
		return errElsewhere
	}
	return callback.Final("wecom: there is no way to answer by %q", to.Kind)
}

// byURL answers as an intelligent robot. https://developer.work.weixin.qq.com/document/path/101138
func (s *sender) byURL(ctx context.Context, address secret.Text, text string) error {
	const what = "wecom: answer by response_url"
	body := document.Marshal(struct {
		Type     string        `json:"msgtype"`
		Markdown callback.Text `json:"markdown"`
	}{"markdown", callback.Text{Content: markdown(text)}})
	answer, err := s.client.Do(ctx, callback.Call{What: what, URL: address, Hosts: []string{api}, Body: body})
	if err != nil {
		return err
	}
	return refusal(answer, what)
}

// message answers as the app. That somebody is written to is also refused where the answer names an
// invalid user, of which it says nothing else.
//
// It is not told to check for duplicates (enable_duplicate_check), which drops what is the same as
// a message shortly before: two commands may well be answered alike. A message whose answer is lost
// is not sent again for that, since the target has the command by then.
// https://developer.work.weixin.qq.com/document/path/90236
func (s *sender) message(ctx context.Context, user, text string) error {
	const what = "wecom: message/send"
	if !s.app {
		return errNoApp
	}
	if user == "" || user == "@all" || strings.Contains(user, "|") {
		return callback.Final("%s: the message must be for one person", what)
	}
	body := document.Marshal(struct {
		User    string        `json:"touser"`
		Type    string        `json:"msgtype"`
		AgentID json.Number   `json:"agentid"`
		Text    callback.Text `json:"text"`
	}{user, "text", json.Number(s.agentID), callback.Text{Content: plain(text)}})
	key := callback.Digest("wecom", s.corpID, s.agentID, s.secret.Reveal())
	return s.client.WithToken(ctx, key, s.token, func(token secret.Text) (bool, error) {
		answer, err := s.client.Do(ctx, callback.Call{What: what, Hosts: []string{api}, Body: body,
			URL: "https://" + api + "/cgi-bin/message/send?access_token=" +
				secret.Text(url.QueryEscape(token.Reveal()))})
		if err != nil {
			return false, err
		}
		if err := refusal(answer, what); err != nil {
			code := answer.Number("errcode")
			return code == "40014" || code == "42001" || code == "40001", err
		}
		if answer.Text("invaliduser") != "" || answer.Text("unlicenseduser") != "" {
			return false, answer.Refused(what, "invaliduser", false)
		}
		if err := answer.Err(); err != nil {
			return false, callback.Final("%s: it was taken, but %v", what, err) // once more would be twice
		}
		return false, nil
	})
}

// token fetches an access token. https://developer.work.weixin.qq.com/document/path/91039
func (s *sender) token(ctx context.Context) (secret.Text, time.Duration, error) {
	const what = "wecom: gettoken"
	query := url.Values{"corpid": {s.corpID}, "corpsecret": {s.secret.Reveal()}}
	answer, err := s.client.Do(ctx, callback.Call{What: what, Method: "GET", Hosts: []string{api},
		URL: secret.Text("https://" + api + "/cgi-bin/gettoken?" + query.Encode())})
	if err != nil {
		return "", 0, err
	}
	if err := refusal(answer, what); err != nil {
		return "", 0, err
	}
	token := answer.Text("access_token")
	if token == "" {
		return "", 0, answer.Refused(what, "no access_token", false)
	}
	return secret.Text(token), callback.Lifetime(answer.Number("expires_in")), nil
}

// refusal returns why the platform refused: it says so by errcode, with status 200.
func refusal(answer *callback.Answer, what string) error {
	code := answer.Number("errcode")
	if answer.Status == 200 && code == "0" {
		return nil
	}
	return answer.Refused(what, code, passing(code))
}

// passing reports whether a retry may succeed: the platform is busy, or there were too many calls.
func passing(code string) bool { return code == "-1" || code == "45009" || code == "45033" }

package feishu

import (
	"context"
	"net/url"
	"strings"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/document"
	"chatconf/shared/platform/callback"
	"chatconf/shared/secret"
)

// maxText is how long an answer may be, in bytes; a message may have 30 KB.
const maxText = 12_000

type sender struct {
	secret.Hidden
	client *callback.Client
	host   string
	appID  string
	secret secret.Text
}

var _ callback.Sender = (*sender)(nil)

// NewSender returns the sender of a configuration of type Feishu. FeishuDomain says whether its app
// is in Feishu or in Lark.
func (Platform) NewSender(s callback.Settings, client *callback.Client) (callback.Sender, error) {
	out := &sender{client: client, host: hostOf(s), appID: s.Get("FeishuAppId"), secret: s["FeishuAppSecret"]}
	if out.appID == "" || out.secret == "" {
		return nil, callback.Final("feishu: FeishuAppId or FeishuAppSecret is not set")
	}
	return out, nil
}

// hostOf returns the host of the API: Feishu's or Lark's.
func hostOf(s callback.Settings) string {
	if s.Get("FeishuDomain") == "lark" {
		return "open.larksuite.com"
	}
	return "open.feishu.cn"
}

// Send implements callback.Sender. It replies to the message, or sends to the person if there is no
// message. The answer is rich text of plain parts, since the text of a plain message may have tags.
// Within an hour, Feishu sends the same text to the same message only once.
// https://open.feishu.cn/document/server-docs/im-v1/message/reply
// https://open.feishu.cn/document/server-docs/im-v1/message/create
func (s *sender) Send(ctx context.Context, to command.ReplyTo, text string) error {
	text = callback.Cut(text, maxText)
	body := struct {
		ReceiveID string `json:"receive_id,omitempty"`
		Type      string `json:"msg_type"`
		Content   string `json:"content"`
		UUID      string `json:"uuid"`
	}{Type: "post", Content: postOf(text), UUID: callback.Digest("feishu reply", to.ID, text)[:40]}
	var what, path string
	switch {
	case to.ID == "" || to.Kind != toMessage && to.Kind != toPerson && to.Kind != toChat:
		return callback.Final("feishu: there is no way to answer by %q", to.Kind)
	case to.Kind == toMessage:
		what, path = "feishu: im/v1/messages/reply", "/"+url.PathEscape(to.ID)+"/reply"
	case to.Kind == toChat:
		what, path, body.ReceiveID = "feishu: im/v1/messages", "?receive_id_type=chat_id", to.ID
	default:
		what, path, body.ReceiveID = "feishu: im/v1/messages", "?receive_id_type=open_id", to.ID
	}
	key := callback.Digest("feishu", s.host, s.appID, s.secret.Reveal())
	return s.client.WithToken(ctx, key, s.token, func(token secret.Text) (bool, error) {
		answer, err := s.client.Do(ctx, callback.Call{What: what, Hosts: []string{s.host}, Body: document.Marshal(body),
			URL:     secret.Text("https://" + s.host + "/open-apis/im/v1/messages" + path),
			Headers: map[string]secret.Text{"Authorization": "Bearer " + token}})
		if err != nil {
			return false, err
		}
		code := answer.Number("code")
		if answer.Status == 200 && code == "0" {
			return false, nil
		}
		// 99991400 is of the API's limit, 230020 of the conversation's.
		return code == "99991661" || code == "99991663", answer.Refused(what, code,
			code == "99991400" || code == "230020")
	})
}

// postOf is the content of a message of rich text, a paragraph for each line.
func postOf(text string) string {
	type element struct {
		Tag  string `json:"tag"`
		Text string `json:"text"`
	}
	type post struct {
		Content [][]element `json:"content"`
	}
	var content [][]element
	for line := range strings.SplitSeq(text, "\n") {
		content = append(content, []element{{"text", line}})
	}
	return string(document.Marshal(struct {
		Chinese post `json:"zh_cn"`
	}{post{content}}))
}

// token fetches an access token.
// https://open.feishu.cn/document/server-docs/authentication-management/access-token/tenant_access_token_internal
func (s *sender) token(ctx context.Context) (secret.Text, time.Duration, error) {
	const what = "feishu: auth/v3/tenant_access_token/internal"
	body := document.Marshal(struct {
		ID     string `json:"app_id"`
		Secret string `json:"app_secret"`
	}{s.appID, s.secret.Reveal()})
	answer, err := s.client.Do(ctx, callback.Call{What: what, Hosts: []string{s.host}, Body: body,
		URL: secret.Text("https://" + s.host + "/open-apis/auth/v3/tenant_access_token/internal")})
	if err != nil {
		return "", 0, err
	}
	token, code := answer.Text("tenant_access_token"), answer.Number("code")
	if answer.Status != 200 || code != "0" || token == "" {
		return "", 0, answer.Refused(what, code, code == "99991400")
	}
	return secret.Text(token), callback.Lifetime(answer.Number("expire")), nil
}

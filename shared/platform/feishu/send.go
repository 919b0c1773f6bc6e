package feishu

import (
	"bytes"
	"context"
	"net/url"
	"strings"
	"time"

	"chatconf/shared/chat"
	"chatconf/shared/document"
	"chatconf/shared/platform/callback"
	"chatconf/shared/secret"
)

// maxText is how long an answer may be, in bytes; a message may have 30 KB.
const maxText = 12_000

type sender struct {
	client *callback.Client
	host   string
	appID  string
	secret secret.Text
}

var _ callback.Sender = (*sender)(nil)

// NewSender returns the sender of a configuration of type Feishu. FeishuDomain says which of two worlds its app is in.
func NewSender(s callback.Settings, client *callback.Client) (callback.Sender, error) {
	out := &sender{client, "open.feishu.cn", s.Get("FeishuAppId"), s["FeishuAppSecret"]}
	if s.Get("FeishuDomain") == "lark" {
		out.host = "open.larksuite.com"
	}
	if out.appID == "" || out.secret == "" {
		return nil, callback.Final("feishu: FeishuAppId or FeishuAppSecret is not set")
	}
	return out, nil
}

// Send implements callback.Sender: as a reply to the message, or to a person where there is no message, of
// rich text whose parts are all plain, since a plain message's text knows tags. The same text to the same
// message is sent once, however often it is tried within an hour.
// https://open.feishu.cn/document/server-docs/im-v1/message/reply
// https://open.feishu.cn/document/server-docs/im-v1/message/create
func (s *sender) Send(ctx context.Context, to chat.ReplyTo, text string) error {
	var what, path string
	text = callback.Cut(text, maxText)
	var b bytes.Buffer
	b.WriteByte('{')
	switch {
	case to.ID == "" || to.Kind != toMessage && to.Kind != toPerson:
		return callback.Final("feishu: there is no way to answer by %q", to.Kind)
	case to.Kind == toMessage:
		what, path = "feishu: im/v1/messages/reply", "/"+url.PathEscape(to.ID)+"/reply"
	default:
		what, path = "feishu: im/v1/messages", "?receive_id_type=open_id"
		b.WriteString(`"receive_id":`)
		document.WriteString(&b, to.ID)
		b.WriteByte(',')
	}
	b.WriteString(`"msg_type":"post","content":`)
	document.WriteString(&b, postOf(text))
	b.WriteString(`,"uuid":`)
	document.WriteString(&b, callback.Digest("feishu reply", to.ID, text)[:40])
	b.WriteByte('}')
	key := callback.Digest("feishu", s.host, s.appID, s.secret.Reveal())
	return s.client.WithToken(ctx, key, s.token, func(token secret.Text) (bool, error) {
		answer, err := s.client.Do(ctx, callback.Call{What: what, Hosts: []string{s.host}, Body: b.Bytes(),
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
		return code == "99991661" || code == "99991663", answer.Refused(what, code, code == "99991400" || code == "230020")
	})
}

// postOf is the content of a message of rich text, a paragraph for each line.
func postOf(text string) string {
	var b bytes.Buffer
	b.WriteString(`{"zh_cn":{"content":[`)
	for i, line := range strings.Split(text, "\n") {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`[{"tag":"text","text":`)
		document.WriteString(&b, line)
		b.WriteString(`}]`)
	}
	b.WriteString("]}}")
	return b.String()
}

// token fetches an access token. https://open.feishu.cn/document/server-docs/authentication-management/access-token/tenant_access_token_internal
func (s *sender) token(ctx context.Context) (secret.Text, time.Duration, error) {
	const what = "feishu: auth/v3/tenant_access_token/internal"
	var b bytes.Buffer
	b.WriteString(`{"app_id":`)
	document.WriteString(&b, s.appID)
	b.WriteString(`,"app_secret":`)
	document.WriteString(&b, s.secret.Reveal())
	b.WriteByte('}')
	answer, err := s.client.Do(ctx, callback.Call{What: what, Hosts: []string{s.host}, Body: b.Bytes(),
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

package feishu

import (
	"context"
	"net/url"
	"strings"

	"chatconf/shared/command"
	"chatconf/shared/platform/callback"
	"chatconf/shared/secret"
)

type checker struct {
	*sender
	access secret.Text
}

var _ callback.Checkable = Platform{}

// NewChecker implements callback.Checkable.
func (p Platform) NewChecker(s callback.Settings, client *callback.Client) (command.Checker, error) {
	out, err := p.NewSender(s, client)
	if err != nil {
		return nil, err
	}
	return &checker{sender: out.(*sender)}, nil
}

const lacksScope = "99991672"

// refusals are the findings of codes.
// https://open.feishu.cn/document/server-docs/api-call-guide/generic-error-code
var refusals = map[string]command.Finding{
	"10003":    callback.Failed("FeishuAppId is not the App ID of an app; copy it from Credentials"),
	"10014":    callback.Failed("FeishuAppSecret is not the App Secret of FeishuAppId; copy it from Credentials"),
	lacksScope: callback.Failed("the app lacks a permission for this; see the step scopes"),
	"230002":   notInChat,
	"230006":   noBot,
	"232006":   callback.Failed("there is no such chat"),
	"232009":   callback.Failed("the chat was dissolved"),
	"232010":   callback.Failed("the chat is of another tenant"),
	"232025":   noBot,
	"232034":   callback.Failed("the app is not available in this tenant; create and publish a version"),
}

var (
	notInChat = callback.Failed("the bot is not in the chat; add it there")
	noBot     = callback.Failed("the app has no bot; add the bot capability, and publish a version")
)

// page returns a Finding of a failure with the app's page.
func (c *checker) page(f command.Finding) command.Finding {
	if f.State != command.FindingFailed {
		return f
	}
	f.Page = "https://" + c.host + "/app/" + url.PathEscape(c.appID)
	return f
}

// Token implements command.Checker.
func (c *checker) Token(ctx context.Context) command.Finding {
	var err error
	c.access, _, err = c.sender.token(ctx)
	return c.page(callback.Found(err, refusals))
}

// get calls a method that reads.
func (c *checker) get(ctx context.Context, what, path string) (*callback.Answer, error) {
	answer, err := c.client.Do(ctx, callback.Call{What: what, Method: "GET", Hosts: []string{c.host},
		URL:     secret.Text("https://" + c.host + "/open-apis/" + path),
		Headers: map[string]secret.Text{"Authorization": "Bearer " + c.access}})
	if err != nil {
		return nil, err
	}
	if code := answer.Number("code"); answer.Status != 200 || code != "0" {
		return nil, answer.Refused(what, code, code == "99991400" || code == "232019")
	}
	return answer, nil
}

// Scopes implements command.Checker.
// https://open.feishu.cn/document/server-docs/application-v6/scope/list
func (c *checker) Scopes(ctx context.Context) command.Finding {
	answer, err := c.get(ctx, "feishu: application/v6/scopes", "application/v6/scopes")
	if err != nil {
		return c.page(callback.Found(err, refusals))
	}
	var granted []string
	for _, f := range answer.Object("data").Items("scopes") {
		if f.Number("grant_status") == "1" && f.Text("scope_type") != "user" {
			granted = append(granted, f.Text("scope_name"))
		}
	}
	if err := answer.Err(); err != nil {
		return callback.Failed("feishu: application/v6/scopes: %v", err)
	}
	return c.page(callback.FoundScopes(granted,
		[]string{"im:message.group_at_msg:readonly", "im:message.group_at_msg", "im:message.group_msg"},
		[]string{"im:message.p2p_msg:readonly", "im:message.p2p_msg"},
		[]string{"im:message:send_as_bot", "im:message", "im:message:send"}))
}

// Conversation implements command.Checker: whether the bot is in the chat.
// https://open.feishu.cn/document/server-docs/group/chat-member/is_in_chat
func (c *checker) Conversation(ctx context.Context, id string) command.Finding {
	if !strings.HasPrefix(id, "oc_") {
		return callback.NotPossible("it is not the id of a chat, which begins with oc_")
	}
	answer, err := c.get(ctx, "feishu: im/v1/chats/members/is_in_chat",
		"im/v1/chats/"+url.PathEscape(id)+"/members/is_in_chat")
	switch {
	case callback.CodeOf(err) == lacksScope:
		return c.page(callback.NotPossible("without im:chat.members:read, Feishu does not tell whether the bot is " +
			"in a chat"))
	case err == nil && !answer.Object("data").Is("is_in_chat"):
		return c.page(notInChat)
	}
	return c.page(callback.Found(err, refusals))
}

// Send implements command.Checker.
func (c *checker) Send(ctx context.Context, id, text string) command.Finding {
	return c.page(callback.Found(c.sender.Send(ctx, command.ReplyTo{Kind: toChat, ID: id}, text), refusals))
}

package wecom

import (
	"context"
	"net/url"

	"chatconf/shared/command"
	"chatconf/shared/platform/callback"
	"chatconf/shared/secret"
)

type checker struct {
	*sender
	aibot  bool
	access secret.Text
}

var _ callback.Checkable = Platform{}

// NewChecker implements callback.Checkable.
func (p Platform) NewChecker(s callback.Settings, client *callback.Client) (command.Checker, error) {
	out, err := p.NewSender(s, client)
	if err != nil {
		return nil, err
	}
	app := out.(*sender)
	if !app.app {
		return nil, errNoCalls
	}
	return &checker{sender: app, aibot: s.Get("WeChatAibot") == "true"}, nil
}

// errNoCalls is the error of a robot without an app. A second sign-in would end its connection.
const errNoCalls = command.Uncheckable("WeCom has no API to check an intelligent robot with a connection; " +
	"see the step connection")

const notFound = "60111"

// refusals are the findings of codes.
// https://developer.work.weixin.qq.com/document/path/90313
var refusals = map[string]command.Finding{
	"40001": callback.Failed("WeChatSecret is not the Secret of an app of this company; copy it from the app's page"),
	"40013": callback.Failed("WeCom knows no company WeChatCorpId; copy it from My company"),
	"40056": noAgent,
	"60020": callback.Failed("WeCom does not trust the address of this service (60020); add its public IP address to " +
		"the Trusted IPs of the app"),
	"60011": callback.Failed("the app may not do this (60011); check the range of people who can see it"),
	"81013": callback.Failed("nobody can receive it (81013): there is no such person, or the app is not visible to " +
		"them"),
	notFound: callback.Failed("there is no such person, or the app is not visible to them"),
	"301002": noAgent,
}

var noAgent = callback.Failed("WeChatAgentId is not the app that WeChatSecret belongs to; copy both from one page")

// Token implements command.Checker.
func (c *checker) Token(ctx context.Context) command.Finding {
	var err error
	c.access, _, err = c.sender.token(ctx)
	return callback.Found(err, refusals)
}

// get calls a method that reads.
func (c *checker) get(ctx context.Context, what, path string, query url.Values) (*callback.Answer, error) {
	query.Set("access_token", c.access.Reveal())
	answer, err := c.client.Do(ctx, callback.Call{What: what, Method: "GET", Hosts: []string{api},
		URL: secret.Text("https://" + api + "/cgi-bin/" + path + "?" + query.Encode())})
	if err != nil {
		return nil, err
	}
	return answer, refusal(answer, what)
}

// Scopes implements command.Checker. WeCom has no scopes: an app is visible to some people, is
// turned on or off, and accepts calls from some addresses.
// https://developer.work.weixin.qq.com/document/path/90227
func (c *checker) Scopes(ctx context.Context) command.Finding {
	answer, err := c.get(ctx, "wecom: agent/get", "agent/get", url.Values{"agentid": {c.agentID}})
	if err != nil {
		return callback.Found(err, refusals)
	}
	if answer.Number("close") == "1" {
		return callback.Failed("the app is turned off; turn it on")
	}
	return callback.Passed("")
}

// Conversation implements command.Checker. The conversation of an app is a person; WeCom shows an
// app nothing about the group of an intelligent robot.
// https://developer.work.weixin.qq.com/document/path/90196
func (c *checker) Conversation(ctx context.Context, id string) command.Finding {
	_, err := c.get(ctx, "wecom: user/get", "user/get", url.Values{"userid": {id}})
	if !c.aibot || callback.CodeOf(err) != notFound {
		return callback.Found(err, refusals)
	}
	return callback.NotPossible("it is no person whom the app can see, and WeCom does not look up the group of an " +
		"intelligent robot")
}

// Send implements command.Checker: to a person.
func (c *checker) Send(ctx context.Context, id, text string) command.Finding {
	return callback.Found(c.message(ctx, id, text), refusals)
}

package dingtalk

import (
	"context"
	"slices"

	"chatconf/shared/command"
	"chatconf/shared/document"
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

const permissionDenied = "Forbidden.AccessDenied.AccessTokenPermissionDenied"

// refusals are the findings of codes that every call may answer.
// https://open.dingtalk.com/document/development/error-code
var refusals = map[string]command.Finding{
	"invalidClientIdOrSecret": callback.Failed("DingTalk does not know DingTalkClientId with DingTalkClientSecret; " +
		"copy both from Credentials of the app"),
	"Forbidden.AccessDenied.IpNotInWhiteList": callback.Failed("the app accepts calls only from listed addresses; " +
		"add the public IP address of this service in Security settings"),
	permissionDenied: callback.Failed("the app lacks the permission qyapi_robot_sendmsg; " +
		"apply for it in Permission management"),
	"invalidParameter.robotCode.auth": callback.Failed("the app has no robot with this code; " +
		"turn the robot on, publish the app, or correct DingTalkRobotCode"),
	"invalid.openConversationId": callback.Failed("DingTalk knows no such conversation"),
	"conversation.org.notMatch":  callback.Failed("the conversation is of another organization"),
	"group.disbanded":            callback.Failed("the group was disbanded"),
	"bot.stopped":                callback.Failed("the robot is stopped; turn it on in the app"),
}

var notInGroup = callback.Failed("the robot is not in the group; add it there")

// Token implements command.Checker.
func (c *checker) Token(ctx context.Context) command.Finding {
	var err error
	c.access, _, err = c.sender.token(ctx)
	return callback.Found(err, refusals)
}

// Scopes implements command.Checker. There is a list of the scopes of contacts only.
func (*checker) Scopes(context.Context) command.Finding {
	return callback.NotPossible("DingTalk does not list the permissions of an app; " +
		"late answers need qyapi_robot_sendmsg")
}

// Conversation implements command.Checker: the robot must be one of the group's.
// https://open.dingtalk.com/document/development/obtain-the-list-of-robots-in-the-group
func (c *checker) Conversation(ctx context.Context, id string) command.Finding {
	const what = "dingtalk: robot/groups/robots/query"
	answer, err := c.client.Do(ctx, callback.Call{What: what, Hosts: apiHosts,
		URL:     "https://api.dingtalk.com/v1.0/robot/groups/robots/query",
		Headers: map[string]secret.Text{"x-acs-dingtalk-access-token": c.access},
		Body: document.Marshal(struct {
			ID string `json:"openConversationId"`
		}{id})})
	switch {
	case err != nil:
		return callback.Found(err, nil)
	case answer.Text("code") == permissionDenied:
		return callback.NotPossible("without the permission qyapi_chat_manage, DingTalk does not tell which robots " +
			"are in a group")
	case answer.Status != 200:
		code := answer.Text("code")
		return callback.Found(answer.Refused(what, code, busy(code)), refusals)
	}
	robots := answer.Items("chatbotInstanceVOList")
	in := slices.ContainsFunc(robots, func(f callback.Fields) bool { return f.Text("robotCode") == c.robotCode })
	if err := answer.Err(); err != nil {
		return callback.Failed("%s: %v", what, err)
	}
	if !in {
		return notInGroup
	}
	return callback.Passed("")
}

// Send implements command.Checker.
func (c *checker) Send(ctx context.Context, id, text string) command.Finding {
	return callback.Found(c.byRobot(ctx, command.ReplyTo{Kind: toGroup, ID: id}, text), refusals)
}

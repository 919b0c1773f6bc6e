package slack

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
	team   string // SlackTeamId
	scopes string // as the answer to auth.test has them
}

var _ callback.Checkable = Platform{}

// NewChecker implements callback.Checkable.
func (Platform) NewChecker(s callback.Settings, client *callback.Client) (command.Checker, error) {
	return &checker{sender: &sender{client: client, token: s["SlackBotToken"]}, team: s.Get("SlackTeamId")}, nil
}

// refusals are the findings of errors. https://docs.slack.dev/reference/methods/auth.test
var refusals = map[string]command.Finding{
	"invalid_auth": badToken, "not_authed": badToken, "token_revoked": badToken, "token_expired": badToken,
	"account_inactive": badToken, "not_allowed_token_type": badToken,
	"channel_not_found": callback.Failed("Slack knows no such channel, or it is private and the app is not in it"),
	"not_in_channel":    callback.Failed("the app is not in the channel; invite it there"),
	"is_archived":       archived,
	"missing_scope":     callback.Failed("the app lacks a scope for this; see the step scopes"),
}

var (
	badToken = callback.Failed("Slack does not accept SlackBotToken; install the app to the workspace, and copy the " +
		"Bot User OAuth Token")
	archived = callback.Failed("the channel is archived")
)

// get calls a method that reads.
func (c *checker) get(ctx context.Context, method string, query url.Values) (*callback.Answer, error) {
	what := "slack: " + method
	answer, err := c.client.Do(ctx, callback.Call{What: what, Method: "GET", Hosts: apiHosts,
		URL:     secret.Text("https://slack.com/api/" + method + "?" + query.Encode()),
		Headers: map[string]secret.Text{"Authorization": "Bearer " + c.token}})
	if err != nil {
		return nil, err
	}
	if !answer.Is("ok") {
		code := answer.Text("error")
		return nil, answer.Refused(what, code, busy[code])
	}
	return answer, nil
}

// Token implements command.Checker.
func (c *checker) Token(ctx context.Context) command.Finding {
	if c.token == "" {
		return callback.NotPossible("SlackBotToken is not set; slash commands are answered without it, " +
			"mentions are not")
	}
	answer, err := c.get(ctx, "auth.test", nil)
	if err != nil {
		return callback.Found(err, refusals)
	}
	c.scopes = answer.Header.Get("X-Oauth-Scopes")
	if team := answer.Text("team_id"); c.team != "" && team != c.team {
		return callback.Failed("SlackBotToken is of the workspace %s, and SlackTeamId is %s",
			callback.Cut(team, 32), c.team)
	}
	return callback.Passed("")
}

// Scopes implements command.Checker. A bot for slash commands alone needs no scope for events.
func (c *checker) Scopes(context.Context) command.Finding {
	if c.scopes == "" {
		return callback.NotPossible("Slack did not list the scopes of the token")
	}
	granted := strings.FieldsFunc(c.scopes, func(r rune) bool { return r == ',' || r == ' ' })
	return callback.FoundScopes(granted, []string{"chat:write"}, []string{"commands", "app_mentions:read"})
}

// Conversation implements command.Checker.
// https://docs.slack.dev/reference/methods/conversations.info
func (c *checker) Conversation(ctx context.Context, id string) command.Finding {
	answer, err := c.get(ctx, "conversations.info", url.Values{"channel": {id}})
	switch {
	case callback.CodeOf(err) == "missing_scope":
		return callback.NotPossible("without channels:read, and groups:read for private channels, Slack does not " +
			"look up a channel")
	case err != nil:
		return callback.Found(err, refusals)
	}
	channel := answer.Object("channel")
	switch {
	case channel.Is("is_archived"):
		return archived
	case !channel.Is("is_member") && !channel.Is("is_im"):
		return callback.Passed("the app is not in the channel; slash commands work there, mentions do not")
	}
	return callback.Passed("")
}

// Send implements command.Checker.
func (c *checker) Send(ctx context.Context, id, text string) command.Finding {
	return callback.Found(c.post(ctx, "chat.postMessage", id, text), refusals)
}

// Package slack is Slack: the settings of a configuration of type Slack, its callbacks and its
// answers.
package slack

import (
	"strings"

	"chatconf/shared/command"
	"chatconf/shared/platform/callback"
)

// appToken is the shape of an app-level token. The other tokens of an app begin otherwise.
// https://docs.slack.dev/authentication/tokens
var appToken = command.Shape{
	Want:  "xapp- and up to 250 printable ASCII characters without blanks",
	Least: 6, Most: 255,
	Each: command.Visible(1, 1).Each,
	Also: func(text string) bool { return strings.HasPrefix(text, "xapp-") },
}

// Platform is the platform, as shared/platform lists it.
type Platform struct{}

var _ callback.Platform = Platform{}

// Description returns the type and its settings.
// https://docs.slack.dev/authentication/verifying-requests-from-slack
func (Platform) Description() command.Platform {
	return command.Platform{
		Type:        "Slack",
		Title:       "Slack",
		Console:     "https://api.slack.com/apps",
		Setup:       setup,
		StreamSetup: streamSetup,
		Settings: []command.Setting{
			{Key: "SlackSigningSecret", Required: true, Secret: true, Shape: command.Visible(8, 256),
				For: command.ReceiveWebhook, Help: "Signing Secret of the app"},
			{Key: "SlackSigningSecretPrevious", Secret: true, Shape: command.Visible(8, 256),
				Help: "the previous Signing Secret, during rotation"},
			{Key: "SlackAppToken", Required: true, Secret: true, Shape: appToken, For: command.ReceiveStream,
				Names: []string{"AppLevelToken"}, Help: "app-level token with the scope connections:write"},
			{Key: "SlackBotToken", Secret: true, Shape: command.Visible(1, 256), Names: []string{"BotUserOAuthToken"},
				Help: "Bot User OAuth Token, such as xoxb-…"},
			{Key: "SlackTeamId", Shape: command.Alphanumeric(1, 32), Names: []string{"WorkspaceId"},
				Help: "the only workspace whose callbacks are accepted, such as T0123456789"},
		},
	}
}

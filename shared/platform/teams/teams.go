// Package teams is Microsoft Teams: the settings of a configuration of type Teams, its callbacks
// and its answers.
package teams

import (
	"chatconf/shared/command"
	"chatconf/shared/platform/callback"
)

// minSecret is the minimum length of a secret in bytes; Teams uses 32.
const minSecret = 16

// Platform is the platform, as shared/platform lists it.
type Platform struct{}

var _ callback.Platform = Platform{}

// Description returns the type and its settings.
// https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/add-outgoing-webhook
func (Platform) Description() command.Platform {
	return command.Platform{
		Type:  "Teams",
		Title: "Microsoft Teams",
		Setup: setup,
		// An object id is a GUID, in which case does not matter.
		FoldUsers: true,
		Settings: []command.Setting{
			{Key: "TeamsWebhookSecret", Required: true, Secret: true, Shape: command.Base64(minSecret, 64),
				Names: []string{"SecurityToken"},
				Help:  "security token of the outgoing webhook, as Teams shows it (base64)"},
			{Key: "TeamsWebhookSecretPrevious", Secret: true, Shape: command.Base64(minSecret, 64),
				Help: "the previous security token, during rotation"},
			{Key: "TeamsTenantId", Shape: command.Visible(1, 64), Names: []string{"DirectoryId"},
				Help: "the only tenant whose callbacks are accepted"},
		},
	}
}

// Package teams is Microsoft Teams: the settings of a configuration of type Teams.
package teams

import "chatconf/shared/chat"

// Platform declares the type and its settings.
// https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/add-outgoing-webhook
func Platform() chat.Platform {
	return chat.Platform{
		Type:  "Teams",
		Title: "Microsoft Teams",
		Settings: []chat.Setting{
			{Key: "TeamsWebhookSecret", Required: true, Secret: true, Shape: chat.Base64(16, 64), Help: "security token of the outgoing webhook, in base64 as Teams shows it"},
			{Key: "TeamsTenantId", Shape: chat.Visible(1, 64), Help: "tenant that may call"},
		},
	}
}

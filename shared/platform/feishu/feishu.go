// Package feishu is Feishu (飞书) and Lark: the settings of a configuration of type Feishu, its
// callbacks and its answers.
package feishu

import (
	"time"

	"chatconf/shared/command"
	"chatconf/shared/platform/callback"
)

// maxWindow is longer than Feishu retries an event, which it does after 15 seconds, 5 minutes, an
// hour and six hours. Its documents do not say whether a retry has a new time.
const maxWindow = 8 * time.Hour

// Platform is the platform, as shared/platform lists it.
type Platform struct{}

var _ callback.Platform = Platform{}

// Description returns the type and its settings.
// https://open.feishu.cn/document/server-docs/event-subscription-guide/event-subscription-configure-/encrypt-key-encryption-configuration-case
func (Platform) Description() command.Platform {
	return command.Platform{
		Type:        "Feishu",
		Aliases:     []string{"Lark"},
		Title:       "Feishu / Lark",
		Console:     "https://open.feishu.cn/app",
		Setup:       setup,
		StreamSetup: streamSetup,
		Settings: []command.Setting{
			{Key: "FeishuAppId", Required: true, Shape: command.Visible(1, 128), Help: "App ID, such as cli_…"},
			{Key: "FeishuAppSecret", Required: true, Secret: true, Shape: command.Visible(1, 256), Help: "App Secret"},
			{Key: "FeishuEncryptKey", Required: true, Secret: true, Shape: command.Visible(1, 256),
				For: command.ReceiveWebhook, Help: "Encrypt Key of events and callbacks"},
			{Key: "FeishuVerificationToken", Secret: true, Shape: command.Visible(1, 256),
				Help: "Verification Token of events and callbacks"},
			{Key: "FeishuEncryptKeyPrevious", Secret: true, Shape: command.Visible(1, 256),
				Help: "the previous Encrypt Key, during rotation"},
			{Key: "FeishuVerificationTokenPrevious", Secret: true, Shape: command.Visible(1, 256),
				Help: "the previous Verification Token, during rotation"},
			{Key: "FeishuWindowSeconds", Shape: command.UpTo(int(maxWindow / time.Second)),
				Help: "maximum seconds between a callback's time and now; default 300"},
			{Key: "FeishuOldCards", Shape: command.TrueOrFalse(),
				Help: "true to also accept the cards' older callback, which only the Verification Token proves"},
			{Key: "FeishuDomain", Shape: command.OneOf("feishu", "lark"), Help: "feishu (default) or lark"},
		},
	}
}

// Package feishu is Feishu (飞书) and Lark: the settings of a configuration of type Feishu.
package feishu

import "chatconf/shared/chat"

// Platform declares the type and its settings.
// https://open.feishu.cn/document/server-docs/event-subscription-guide/event-subscription-configure-/encrypt-key-encryption-configuration-case
func Platform() chat.Platform {
	return chat.Platform{
		Type:    "Feishu",
		Aliases: []string{"Lark"},
		Title:   "Feishu / Lark",
		Settings: []chat.Setting{
			{Key: "FeishuAppId", Required: true, Shape: chat.Visible(1, 128), Help: "App ID, such as cli_…"},
			{Key: "FeishuAppSecret", Required: true, Secret: true, Shape: chat.Visible(1, 256), Help: "App Secret"},
			{Key: "FeishuEncryptKey", Required: true, Secret: true, Shape: chat.Visible(1, 256), Help: "Encrypt Key of events and callbacks"},
			{Key: "FeishuVerificationToken", Secret: true, Shape: chat.Visible(1, 256), Help: "Verification Token of events and callbacks"},
			{Key: "FeishuDomain", Shape: chat.OneOf("feishu", "lark"), Help: "feishu (default) or lark"},
		},
	}
}

package platform

import (
	"chatconf/shared/platform/dingtalk"
	"chatconf/shared/platform/feishu"
	"chatconf/shared/platform/outbound"
	"chatconf/shared/platform/slack"
	"chatconf/shared/platform/teams"
	"chatconf/shared/platform/wecom"
	"chatconf/shared/webhook"
)

// Receivers returns what makes the receiver of a configuration, by its type. It is apart from All, so that only functions that call it link
// the verification.
func Receivers() map[string]func(webhook.Settings) (webhook.Receiver, error) {
	return map[string]func(webhook.Settings) (webhook.Receiver, error){
		"DingTalk": dingtalk.NewReceiver,
		"WeChat":   wecom.NewReceiver,
		"Feishu":   feishu.NewReceiver,
		"Slack":    slack.NewReceiver,
		"Teams":    teams.NewReceiver,
	}
}

// Senders returns what makes the sender of a configuration, by its type. Teams has none: an outgoing webhook is answered at once or never.
func Senders() map[string]func(webhook.Settings, *outbound.Client) (webhook.Sender, error) {
	return map[string]func(webhook.Settings, *outbound.Client) (webhook.Sender, error){
		"DingTalk": dingtalk.NewSender,
		"WeChat":   wecom.NewSender,
		"Feishu":   feishu.NewSender,
		"Slack":    slack.NewSender,
	}
}

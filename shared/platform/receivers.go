package platform

import (
	"chatconf/shared/platform/callback"
	"chatconf/shared/platform/dingtalk"
	"chatconf/shared/platform/feishu"
	"chatconf/shared/platform/slack"
	"chatconf/shared/platform/teams"
	"chatconf/shared/platform/wecom"
)

// Receivers returns what makes the receiver of a configuration, by its type. It is apart from All, so that only functions that call it link
// the verification.
func Receivers() map[string]func(callback.Settings) (callback.Receiver, error) {
	return map[string]func(callback.Settings) (callback.Receiver, error){
		"DingTalk": dingtalk.NewReceiver,
		"WeChat":   wecom.NewReceiver,
		"Feishu":   feishu.NewReceiver,
		"Slack":    slack.NewReceiver,
		"Teams":    teams.NewReceiver,
	}
}

// Senders returns what makes the sender of a configuration, by its type. Teams has none: an outgoing webhook is answered at once or never.
func Senders() map[string]func(callback.Settings, *callback.Client) (callback.Sender, error) {
	return map[string]func(callback.Settings, *callback.Client) (callback.Sender, error){
		"DingTalk": dingtalk.NewSender,
		"WeChat":   wecom.NewSender,
		"Feishu":   feishu.NewSender,
		"Slack":    slack.NewSender,
	}
}

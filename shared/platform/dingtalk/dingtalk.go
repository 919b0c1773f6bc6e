// Package dingtalk is DingTalk (钉钉): the settings of a configuration of type DingTalk.
package dingtalk

import "chatconf/shared/chat"

// Platform declares the type and its settings.
// https://open.dingtalk.com/document/orgapp/the-robot-development-guide
func Platform() chat.Platform {
	return chat.Platform{
		Type:  "DingTalk",
		Title: "DingTalk",
		Settings: []chat.Setting{
			{Key: "DingTalkClientId", Required: true, Shape: chat.Visible(1, 128), Help: "Client ID of the app, formerly AppKey"},
			{Key: "DingTalkClientSecret", Required: true, Secret: true, Shape: chat.Visible(1, 256), Help: "Client Secret of the app, formerly AppSecret"},
			{Key: "DingTalkTemplateId", Shape: chat.Visible(1, 256), Help: "template of interactive cards, such as <uuid>.schema"},
			{Key: "DingTalkRobotCode", Shape: chat.Visible(1, 128), Help: "code of the robot, where it is not the Client ID"},
			{Key: "DingTalkToken", Secret: true, Shape: chat.Alphanumeric(3, 63), Help: "Token of the event subscription"},
			{Key: "DingTalkEncodingAesKey", Secret: true, Shape: chat.EncodingAESKey, Help: "aes_key of the event subscription"},
		},
	}
}

// Package dingtalk is DingTalk (钉钉): the settings of a configuration of type DingTalk, its
// callbacks and its answers.
package dingtalk

import (
	"time"

	"chatconf/shared/command"
	"chatconf/shared/platform/callback"
)

// maxWindow is how old DingTalk says a robot's message may be at most.
const maxWindow = time.Hour

// Platform is the platform, as shared/platform lists it.
type Platform struct{}

var _ callback.Platform = Platform{}

// Description returns the type and its settings.
// https://open.dingtalk.com/document/orgapp/the-robot-development-guide
func (Platform) Description() command.Platform {
	return command.Platform{
		Type:        "DingTalk",
		Title:       "DingTalk",
		Console:     "https://open-dev.dingtalk.com",
		Setup:       setup,
		StreamSetup: streamSetup,
		Settings: []command.Setting{
			{Key: "DingTalkClientId", Required: true, Shape: command.Visible(1, 128), Names: []string{"AppKey"},
				Help: "Client ID of the app, formerly AppKey"},
			{Key: "DingTalkClientSecret", Required: true, Secret: true, Shape: command.Visible(1, 256),
				Names: []string{"AppSecret"}, Help: "Client Secret of the app, formerly AppSecret"},
			{Key: "DingTalkClientSecretPrevious", Secret: true, Shape: command.Visible(1, 256),
				Help: "the previous Client Secret, during rotation"},
			{Key: "DingTalkTemplateId", Shape: command.Visible(1, 256), Names: []string{"CardTemplateId"},
				Help: "template of interactive cards, such as <uuid>.schema"},
			{Key: "DingTalkRobotCode", Shape: command.Visible(1, 128),
				Help: "code of the robot, if it differs from the Client ID"},
			{Key: "DingTalkCorpId", Shape: command.Visible(1, 64),
				Help: "the only corporation whose messages are accepted, such as ding…"},
			{Key: "DingTalkWindowSeconds", Shape: command.UpTo(int(maxWindow / time.Second)),
				Help: "maximum seconds between a callback's time and now; default 300"},
			{Key: "DingTalkToken", Secret: true, Shape: command.Alphanumeric(3, 63), Needs: "DingTalkEncodingAesKey",
				Help: "Token of the event subscription"},
			{Key: "DingTalkEncodingAesKey", Secret: true, Shape: command.EncodingAESKey, Needs: "DingTalkToken",
				Names: []string{"AesKey"}, Help: "aes_key of the event subscription"},
			{Key: "DingTalkTokenPrevious", Secret: true, Shape: command.Alphanumeric(3, 63),
				Help: "the previous Token, during rotation"},
			{Key: "DingTalkEncodingAesKeyPrevious", Secret: true, Shape: command.EncodingAESKey,
				Help: "the previous aes_key, during rotation"},
			{Key: "DingTalkOwnerKey", Shape: command.Visible(1, 128),
				Help: "receive id of the event subscription, if it is not the Client ID: the Corp ID or suite key"},
			{Key: "DingTalkCardSecret", Secret: true, Shape: command.Visible(1, 256), Names: []string{"ApiSecret"},
				Help: "apiSecret of the callback of interactive cards"},
			{Key: "DingTalkCardSecretPrevious", Secret: true, Shape: command.Visible(1, 256),
				Help: "the previous apiSecret, during rotation"},
		},
	}
}

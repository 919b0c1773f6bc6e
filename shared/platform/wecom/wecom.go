// Package wecom is WeCom (企业微信): the settings of a configuration of type WeChat, which is what the
// API calls it, its callbacks and its answers.
package wecom

import (
	"chatconf/shared/command"
	"chatconf/shared/platform/callback"
)

// agentID is the shape of an AgentId.
var agentID = command.Digits(20)

// Platform is the platform, as shared/platform lists it.
type Platform struct{}

var _ callback.Platform = Platform{}

// Description returns the type and its settings. Token and EncodingAESKey of the callback are made
// up when they are not given, and shown in Outputs, to be pasted into WeCom's console.
// https://developer.work.weixin.qq.com/document/path/90238
func (Platform) Description() command.Platform {
	return command.Platform{
		Type:        "WeChat",
		Aliases:     []string{"WeCom"},
		Title:       "WeCom",
		Console:     "https://work.weixin.qq.com/wework_admin",
		FoldUsers:   true, // a UserID is the same in any case
		Setup:       setup,
		StreamSetup: streamSetup,
		Settings: []command.Setting{
			{Key: "WeChatCorpId", Required: true, Shape: command.Visible(1, 64), For: command.ReceiveWebhook,
				Help: "Corp ID of the company"},
			{Key: "WeChatAgentId", Required: true, Shape: agentID, For: command.ReceiveWebhook,
				Help: "AgentId of the app"},
			{Key: "WeChatSecret", Required: true, Secret: true, Shape: command.Visible(1, 256),
				For: command.ReceiveWebhook, Names: []string{"CorpSecret"}, Help: "Secret of the app"},
			{Key: "WeChatToken", Secret: true, Shape: command.Alphanumeric(1, 32), Generate: true, Output: "Token",
				For: command.ReceiveWebhook, Help: "Token of the callback"},
			{Key: "WeChatEncodingAesKey", Secret: true, Shape: command.EncodingAESKey, Generate: true, Output: "AesKey",
				For: command.ReceiveWebhook, Names: []string{"AesKey"}, Help: "EncodingAESKey of the callback"},
			{Key: "WeChatTokenPrevious", Secret: true, Shape: command.Alphanumeric(1, 32),
				Help: "the previous Token, during rotation"},
			{Key: "WeChatEncodingAesKeyPrevious", Secret: true, Shape: command.EncodingAESKey,
				Help: "the previous EncodingAESKey, during rotation"},
			{Key: "WeChatBotId", Required: true, Shape: command.Visible(1, 128), For: command.ReceiveStream,
				Help: "Bot ID of an intelligent robot (智能机器人), such as aib…"},
			{Key: "WeChatBotSecret", Required: true, Secret: true, Shape: command.Visible(1, 256),
				For: command.ReceiveStream, Help: "Secret of the intelligent robot"},
			{Key: "WeChatAibot", Shape: command.TrueOrFalse(),
				Help: "true to also accept callbacks of an intelligent robot (智能机器人)"},
		},
	}
}

package slack

import (
	"chatconf/shared/command"
)

// setup returns the steps in Slack's console.
func setup(webhookURL, language string) []string {
	if language == command.Chinese {
		return []string{
			"打开 https://api.slack.com/apps ，进入应用。",
			"Basic Information：把 Signing Secret 填入 SlackSigningSecret。",
			"Slash Commands > Create New Command：Command 例如 /ops，Request URL 填写：" + webhookURL,
			"Event Subscriptions：开启，Request URL 填写同一地址，bot events 添加 app_mention 与 message.im。",
			"Interactivity & Shortcuts：开启，Request URL 填写同一地址。",
			"OAuth & Permissions：添加 commands、app_mentions:read、im:history、chat:write。",
			"把应用安装到工作区，然后把 Bot User OAuth Token 填入 SlackBotToken。",
			"把工作区的 id 填入 SlackTeamId。",
			"在频道中发送 /ops whoami，回复中包含要填入 Permissions 的 id。",
		}
	}
	return []string{
		"Open https://api.slack.com/apps and select the app.",
		"Basic Information: copy the Signing Secret into SlackSigningSecret.",
		"Slash Commands > Create New Command: enter a Command such as /ops, and set the Request URL to " + webhookURL,
		"Event Subscriptions: turn them on, set the same Request URL, and add the bot events app_mention and " +
			"message.im.",
		"Interactivity & Shortcuts: turn it on and set the same Request URL.",
		"OAuth & Permissions: add commands, app_mentions:read, im:history and chat:write.",
		"Install the app to the workspace, and copy the Bot User OAuth Token into SlackBotToken.",
		"Set SlackTeamId to the id of the workspace.",
		"Send /ops whoami in a channel. The answer has the ids for Permissions.",
	}
}

// streamSetup is setup for Socket Mode.
func streamSetup(language string) []string {
	if language == command.Chinese {
		return []string{
			"打开 https://api.slack.com/apps ，进入应用。",
			"Socket Mode：开启 Enable Socket Mode。",
			"Basic Information > App-Level Tokens：生成 scope 为 connections:write 的令牌，填入 SlackAppToken。",
			"Slash Commands > Create New Command：Command 例如 /ops，无需填写 Request URL。",
			"Event Subscriptions：开启，bot events 添加 app_mention 与 message.im。",
			"Interactivity & Shortcuts：开启。",
			"OAuth & Permissions：添加 commands、app_mentions:read、im:history、chat:write。",
			"把应用安装到工作区，然后把 Bot User OAuth Token 填入 SlackBotToken。",
			"把工作区的 id 填入 SlackTeamId。",
			"在频道中发送 /ops whoami，回复中包含要填入 Permissions 的 id。",
		}
	}
	return []string{
		"Open https://api.slack.com/apps and select the app.",
		"Socket Mode: turn on Enable Socket Mode.",
		"Basic Information > App-Level Tokens: generate a token with the scope connections:write, and copy it into " +
			"SlackAppToken.",
		"Slash Commands > Create New Command: enter a Command such as /ops. It needs no Request URL.",
		"Event Subscriptions: turn them on, and add the bot events app_mention and message.im.",
		"Interactivity & Shortcuts: turn it on.",
		"OAuth & Permissions: add commands, app_mentions:read, im:history and chat:write.",
		"Install the app to the workspace, and copy the Bot User OAuth Token into SlackBotToken.",
		"Set SlackTeamId to the id of the workspace.",
		"Send /ops whoami in a channel. The answer has the ids for Permissions.",
	}
}

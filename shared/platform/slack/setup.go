package slack

import (
	"chatconf/shared/command"
)

// setup says what to do in Slack's console.
func setup(webhookURL, language string) []string {
	if language == command.Chinese {
		return []string{
			"打开 https://api.slack.com/apps ，进入应用；Basic Information 中的 Signing Secret 填入 SlackSigningSecret。",
			"Slash Commands > Create New Command：Command 例如 /ops，Request URL 填写：" + webhookURL,
			"Event Subscriptions：打开，Request URL 填写同一地址，bot events 添加 app_mention 与 message.im。",
			"Interactivity & Shortcuts：打开，Request URL 填写同一地址。",
			"OAuth & Permissions：添加 commands、app_mentions:read、im:history、chat:write，安装到工作区；Bot User OAuth Token " +
				"填入 SlackBotToken，工作区 id 填入 SlackTeamId。",
			"在频道中发送 /ops whoami，查看写入 Permissions 的 id。",
		}
	}
	return []string{
		"Open https://api.slack.com/apps and the app; put the Signing Secret of Basic " +
			"Information into SlackSigningSecret.",
		"Slash Commands > Create New Command: a Command such as /ops, and as Request URL " + webhookURL,
		"Event Subscriptions: turn them on, set the same Request URL, and add the " +
			"bot events app_mention and message.im.",
		"Interactivity & Shortcuts: turn it on and set the same Request URL.",
		"OAuth & Permissions: add commands, app_mentions:read, im:history and chat:write, and install the app to " +
			"the workspace; put the Bot User OAuth Token into SlackBotToken and the workspace's id into SlackTeamId.",
		"In a channel send /ops whoami: it answers with the ids to put into Permissions.",
	}
}

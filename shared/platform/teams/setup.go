package teams

import (
	"chatconf/shared/command"
)

// setup returns the steps in Teams.
func setup(webhookURL, language string) []string {
	if language == command.Chinese {
		return []string{
			"在 Teams 中打开团队 > 管理团队 > 应用 > 创建传出 Webhook。",
			"填写名称：成员用 @名称 发送命令。",
			"把同一名称填入 BotName，用于识别消息中的 @。",
			"回调 URL 填写：" + webhookURL,
			"创建 Webhook，把安全令牌填入 TeamsWebhookSecret。Teams 只显示一次令牌。",
			"把租户 id 填入 TeamsTenantId。",
			"在频道中 @名称 发送 whoami，回复中包含要填入 Permissions 的 id。",
		}
	}
	return []string{
		"In Teams open the team > Manage team > Apps > Create an outgoing webhook.",
		"Enter a name. People mention this name to send commands.",
		"Set BotName to the same name. It identifies the bot's mention in a message.",
		"Set the callback URL to " + webhookURL,
		"Create the webhook, and copy the security token into TeamsWebhookSecret. Teams shows the token only once.",
		"Set TeamsTenantId to the id of the tenant.",
		"Mention the name in a channel and send whoami. The answer has the ids for Permissions.",
	}
}

package teams

import (
	"chatconf/shared/command"
)

// setup says what to do in Teams.
func setup(webhookURL, language string) []string {
	if language == command.Chinese {
		return []string{
			"在 Teams 中打开团队 > 管理团队 > 应用 > 创建传出 Webhook。",
			"名称即成员 @ 它时使用的名字，同样填入 BotName，以便区分它与其他被 @ 的人；回调 URL 填写：" + webhookURL,
			"创建后安全令牌只显示一次：填入 TeamsWebhookSecret；租户 id 填入 TeamsTenantId。",
			"在频道中 @该名称 发送 whoami，查看写入 Permissions 的 id。",
		}
	}
	return []string{
		"In Teams open the team > Manage team > Apps > Create an outgoing webhook.",
		"Its name is what people mention. Put it into BotName too, which tells it from others who are mentioned; " +
			"set the callback URL to " + webhookURL,
		"The security token is shown once: put it into TeamsWebhookSecret, and the tenant's id into TeamsTenantId.",
		"In a channel mention the name and send whoami: it answers with the ids to put into Permissions.",
	}
}

package wecom

import (
	"chatconf/shared/command"
)

// setup returns the steps in WeCom's console. Outputs contain Token and AesKey, so the steps do
// not repeat them.
func setup(webhookURL, language string) []string {
	if language == command.Chinese {
		return []string{
			"打开 https://work.weixin.qq.com/wework_admin ，应用管理 > 自建，进入 AgentId 为 WeChatAgentId 的应用。",
			"接收消息 > 设置 API 接收，URL 填写：" + webhookURL,
			"Token 填写 Outputs 中的 Token，EncodingAESKey 填写 Outputs 中的 AesKey。" +
				"自行指定的值在 Outputs 中显示为 ******，填写该值。",
			"保存。企业微信会立即验证该 URL。",
			"企业可信 IP：填写本服务的出口 IP，否则企业微信拒绝延迟回复（错误码 60020）。",
			"如需智能机器人，创建时选择 API 模式，填写同样的 URL、Token、EncodingAESKey，并把 WeChatAibot 设为 true。",
			"使用智能机器人时，把 BotName 设为机器人的名称，用于识别群消息正文中的 @名称。",
			"向应用发送 whoami，回复中包含要填入 Permissions 的 id。",
		}
	}
	return []string{
		"Open https://work.weixin.qq.com/wework_admin , App management > Self-built, and select the app whose " +
			"AgentId is WeChatAgentId.",
		"Receive messages > Set API receiving: set the URL to " + webhookURL,
		"Set Token to the Token of Outputs, and EncodingAESKey to the AesKey of Outputs. Outputs show values that " +
			"you chose as ******; enter your values.",
		"Save. WeCom checks the URL at once.",
		"Trusted IPs of the company: add the public IP address of this service. Otherwise WeCom refuses late " +
			"answers (error 60020).",
		"For an intelligent robot (智能机器人), create it in API mode with the same URL, Token and EncodingAESKey, " +
			"and set WeChatAibot to true.",
		"With an intelligent robot, set BotName to the robot's name. It identifies the robot's mention in a group.",
		"Send whoami to the app. The answer has the ids for Permissions.",
	}
}

// streamSetup is setup for the long connection of an intelligent robot.
func streamSetup(language string) []string {
	if language == command.Chinese {
		return []string{
			"打开 https://work.weixin.qq.com/wework_admin ，安全与管理 > 管理工具 > 智能机器人，创建机器人，选择 API 模式。",
			"连接方式选择长连接，无需填写 URL。",
			"把 Bot ID 填入 WeChatBotId，把 Secret 填入 WeChatBotSecret。",
			"一个机器人只能有一条长连接：请勿在其他程序中使用同一个 Bot ID，否则双方会互相挤掉线。",
			"把 BotName 设为机器人的名称，用于识别群消息正文中的 @名称。",
			"设置机器人的可见范围，或把它添加到群。",
			"@机器人 发送 whoami，回复中包含要填入 Permissions 的 id。",
		}
	}
	return []string{
		"Open https://work.weixin.qq.com/wework_admin , Security and management > Tools > Intelligent robots " +
			"(智能机器人), and create a robot in API mode.",
		"Select the long connection (长连接). It needs no URL.",
		"Copy the Bot ID into WeChatBotId, and the Secret into WeChatBotSecret.",
		"A robot has only one connection. Do not use this Bot ID in another program: the two programs would " +
			"disconnect each other.",
		"Set BotName to the robot's name. It identifies the robot's mention in a group.",
		"Set who can see the robot, or add it to a group.",
		"Mention the robot and send whoami. The answer has the ids for Permissions.",
	}
}

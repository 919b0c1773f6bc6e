package wecom

import (
	"chatconf/shared/command"
)

// setup says what to do in WeCom's console. Token and AesKey are in Outputs, and not repeated here.
func setup(webhookURL, language string) []string {
	if language == command.Chinese {
		return []string{
			"打开 https://work.weixin.qq.com/wework_admin ，应用管理 > 自建，进入 AgentId 为 WeChatAgentId 的应用。",
			"接收消息 > 设置 API 接收，URL 填写：" + webhookURL,
			"Token 填写 Outputs 中的 Token，EncodingAESKey 填写 Outputs 中的 AesKey（自行指定的值显示为 ******，填写该值），保存；企业微信会立即验证该 URL。",
			"企业可信 IP：填写本服务的出口 IP，否则无法发送延迟回复（错误码 60020）。",
			"智能机器人：创建时选择 API 模式，填写同样的 URL、Token、EncodingAESKey，并把 WeChatAibot 设为 true，把 BotName " +
				"设为机器人的名称：群消息的正文中只有 @名称，名称含空格或同时 @ 他人时须凭它识别。",
			"向应用发送 whoami，查看写入 Permissions 的 id。",
		}
	}
	return []string{
		"Open https://work.weixin.qq.com/wework_admin , App management > Self-built, and " +
			"the app whose AgentId is WeChatAgentId.",
		"Receive messages > Set API receiving: set URL to " + webhookURL,
		"Set Token to the Token of Outputs and EncodingAESKey to the AesKey of Outputs (****** if you chose them: " +
			"then to what you chose), and save; WeCom checks the URL at once.",
		"Trusted IPs of the company: add the address this service calls from, or answers " +
			"that come late are refused (60020).",
		"For an intelligent robot (智能机器人): create it in API mode with the same URL, Token and EncodingAESKey, and " +
			"set WeChatAibot to true and BotName to the robot's name: a group's message has it as text only, and " +
			"a name with blanks, or beside other mentions, is found by it.",
		"Send the app whoami: it answers with the ids to put into Permissions.",
	}
}

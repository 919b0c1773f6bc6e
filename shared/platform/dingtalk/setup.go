package dingtalk

import (
	"chatconf/shared/command"
)

// setup says what to do in DingTalk's console.
func setup(webhookURL, language string) []string {
	if language == command.Chinese {
		return []string{
			"打开 https://open-dev.dingtalk.com ，进入 DingTalkClientId 所属的企业内部应用。",
			"应用能力 > 机器人：开启机器人，消息接收模式选择 HTTP 模式，消息接收地址填写：" + webhookURL,
			"版本管理与发布：发布应用；未发布时消息里没有发送者的 userid，一律拒绝。机器人的 robotCode 如与 Client ID 不同，填入 DingTalkRobotCode；富文本消息中会保留 " +
				"@机器人，把 BotName 设为机器人的名称即可识别。",
			"可选，事件订阅：推送方式选择 HTTP，请求网址填写同一地址，加密 aes_key 与签名 token 填写 DingTalkEncodingAesKey " +
				"与 DingTalkToken 的值（先保存配置，再在控制台保存）。",
			"可选，互动卡片：调用 POST /v1.0/card/callbacks/register，callbackUrl 填写同一地址，apiSecret 填写 DingTalkCardSecret 的值。",
			"可选，延迟回复：权限管理中申请 qyapi_robot_sendmsg。",
			"把机器人添加到群，@机器人 发送 whoami，查看写入 Permissions 的 id。",
		}
	}
	return []string{
		"Open https://open-dev.dingtalk.com and the organisation's internal app that has the DingTalkClientId.",
		"App capabilities > Robot: turn it on, choose the message receive mode HTTP, and set the message " +
			"receive address to " + webhookURL,
		"Version management: publish the app; before that messages do not tell the sender's userid, and are denied. " +
			"If the robotCode is not the Client ID, set DingTalkRobotCode. Set BotName to the robot's name: rich " +
			"text keeps its mention, which is found by it.",
		"If you want events, Event subscription: choose HTTP push, the same address, and as aes_key and token the " +
			"values of DingTalkEncodingAesKey and DingTalkToken (save them here first).",
		"If you use interactive cards: call POST /v1.0/card/callbacks/register with the same address as callbackUrl " +
			"and the value of DingTalkCardSecret as apiSecret.",
		"For answers that come late: apply for the permission qyapi_robot_sendmsg.",
		"Add the robot to a group and send it whoami: it answers with the ids to put into Permissions.",
	}
}

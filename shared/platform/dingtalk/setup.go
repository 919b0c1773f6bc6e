package dingtalk

import (
	"chatconf/shared/command"
)

// setup returns the steps in DingTalk's console.
func setup(webhookURL, language string) []string {
	if language == command.Chinese {
		return []string{
			"打开 https://open-dev.dingtalk.com ，进入 Client ID 为 DingTalkClientId 的企业内部应用。",
			"应用能力 > 机器人：开启机器人，消息接收模式选择 HTTP 模式，消息接收地址填写：" + webhookURL,
			"版本管理与发布：发布应用。未发布的应用收到的消息没有发送者的 userid，会被拒绝。",
			"把 BotName 设为机器人的名称，用于识别富文本消息中的 @机器人。",
			"如果机器人的 robotCode 与 Client ID 不同，填入 DingTalkRobotCode。",
			"如需事件，先在这里保存 DingTalkToken 与 DingTalkEncodingAesKey。再打开事件订阅：" +
				"推送方式选择 HTTP，请求网址填写同一地址，签名 token 与加密 aes_key 填写这两个值。",
			"如需互动卡片，调用 POST /v1.0/card/callbacks/register：" +
				"callbackUrl 填写同一地址，apiSecret 填写 DingTalkCardSecret 的值。",
			"如需延迟回复，在权限管理中申请 qyapi_robot_sendmsg。",
			"把机器人添加到群。",
			"@机器人 发送 whoami，回复中包含要填入 Permissions 的 id。",
		}
	}
	return []string{
		"Open https://open-dev.dingtalk.com and select the internal app whose Client ID is DingTalkClientId.",
		"App capabilities > Robot: turn it on, select the message receive mode HTTP, and set the message " +
			"receive address to " + webhookURL,
		"Version management: publish the app. Messages to an unpublished app lack the sender's userid and are denied.",
		"Set BotName to the robot's name. It identifies the robot's mention in rich text.",
		"If the robotCode differs from the Client ID, set DingTalkRobotCode.",
		"For events, first save DingTalkToken and DingTalkEncodingAesKey here. Then open Event subscription: " +
			"select HTTP push, and enter the same address and these two values as token and aes_key.",
		"For interactive cards, call POST /v1.0/card/callbacks/register with the same address as callbackUrl " +
			"and the value of DingTalkCardSecret as apiSecret.",
		"For late answers, apply for the permission qyapi_robot_sendmsg.",
		"Add the robot to a group.",
		"Mention the robot and send whoami. The answer has the ids for Permissions.",
	}
}

// streamSetup is setup for Stream mode.
func streamSetup(language string) []string {
	if language == command.Chinese {
		return []string{
			"打开 https://open-dev.dingtalk.com ，进入 Client ID 为 DingTalkClientId 的企业内部应用。",
			"应用能力 > 机器人：开启机器人，消息接收模式选择 Stream 模式，无需填写地址。",
			"版本管理与发布：发布应用。未发布的应用收到的消息没有发送者的 userid，会被拒绝。",
			"把 BotName 设为机器人的名称，用于识别富文本消息中的 @机器人。",
			"如果机器人的 robotCode 与 Client ID 不同，填入 DingTalkRobotCode。",
			"互动卡片的回调也通过该连接推送，无需注册回调地址。",
			"如需延迟回复，在权限管理中申请 qyapi_robot_sendmsg。",
			"把机器人添加到群。",
			"@机器人 发送 whoami，回复中包含要填入 Permissions 的 id。",
		}
	}
	return []string{
		"Open https://open-dev.dingtalk.com and select the internal app whose Client ID is DingTalkClientId.",
		"App capabilities > Robot: turn it on, and select the message receive mode Stream. It needs no address.",
		"Version management: publish the app. Messages to an unpublished app lack the sender's userid and are denied.",
		"Set BotName to the robot's name. It identifies the robot's mention in rich text.",
		"If the robotCode differs from the Client ID, set DingTalkRobotCode.",
		"Callbacks of interactive cards come over the same connection. They need no address.",
		"For late answers, apply for the permission qyapi_robot_sendmsg.",
		"Add the robot to a group.",
		"Mention the robot and send whoami. The answer has the ids for Permissions.",
	}
}

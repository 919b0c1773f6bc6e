package feishu

import (
	"chatconf/shared/command"
)

// setup returns the steps in Feishu's or Lark's console.
func setup(webhookURL, language string) []string {
	if language == command.Chinese {
		return []string{
			"打开 https://open.feishu.cn/app （Lark 为 https://open.larksuite.com/app ），" +
				"进入 App ID 为 FeishuAppId 的应用。",
			"添加应用能力：添加机器人。",
			"事件与回调 > 加密策略：Encrypt Key 填写 FeishuEncryptKey 的值。",
			"把同一页的 Verification Token 填入 FeishuVerificationToken。",
			"事件配置：订阅方式选择将事件发送至开发者服务器，请求地址填写：" + webhookURL,
			"添加事件 im.message.receive_v1（接收消息）。",
			"如果有机器人菜单，再添加事件 application.bot.menu_v6；菜单项的 event_key 即为命令。",
			"把 BotName 设为机器人在飞书中的名称。群消息中 @ 了哪个机器人，只能凭名称判断；" +
				"未设置时，@ 其他机器人的消息也可能被当作命令。",
			"回调配置：请求地址填写同一地址，添加回调 card.action.trigger（卡片回传交互）。",
			"权限管理：开通 im:message.group_at_msg:readonly、im:message.p2p_msg:readonly 与 im:message:send_as_bot。",
			"创建并发布版本。",
			"把机器人添加到群。",
			"@机器人 发送 whoami，回复中包含要填入 Permissions 的 id。",
		}
	}
	return []string{
		"Open https://open.feishu.cn/app (Lark: https://open.larksuite.com/app ) and select the app whose App ID " +
			"is FeishuAppId.",
		"Add the bot capability.",
		"Events and callbacks > Encryption strategy: set Encrypt Key to the value of FeishuEncryptKey.",
		"Copy the Verification Token of the same page into FeishuVerificationToken.",
		"Event configuration: select sending events to the developer's server, and set the request URL to " +
			webhookURL,
		"Add the event im.message.receive_v1.",
		"If the bot has a menu, add the event application.bot.menu_v6. The event_key of an item is its command.",
		"Set BotName to the bot's name in Feishu. In a group only the name identifies the mentioned bot; without " +
			"it, a message to another bot can be read as a command.",
		"Callback configuration: set the same request URL and add the callback card.action.trigger.",
		"Permissions: enable im:message.group_at_msg:readonly, im:message.p2p_msg:readonly and " +
			"im:message:send_as_bot.",
		"Create and publish a version.",
		"Add the bot to a group.",
		"Mention the bot and send whoami. The answer has the ids for Permissions.",
	}
}

// streamSetup is setup for the long connection.
func streamSetup(language string) []string {
	if language == command.Chinese {
		return []string{
			"打开 https://open.feishu.cn/app （Lark 为 https://open.larksuite.com/app ），" +
				"进入 App ID 为 FeishuAppId 的企业自建应用。",
			"添加应用能力：添加机器人。",
			"事件与回调 > 事件配置：订阅方式选择使用长连接接收事件。保存时飞书会检查长连接，" +
				"请先确认机器人的连接状态为 Connected。",
			"添加事件 im.message.receive_v1（接收消息）。",
			"如果有机器人菜单，再添加事件 application.bot.menu_v6；菜单项的 event_key 即为命令。",
			"把 BotName 设为机器人在飞书中的名称。群消息中 @ 了哪个机器人，只能凭名称判断；" +
				"未设置时，@ 其他机器人的消息也可能被当作命令。",
			"回调配置：订阅方式选择使用长连接接收回调，添加回调 card.action.trigger（卡片回传交互）。",
			"权限管理：开通 im:message.group_at_msg:readonly、im:message.p2p_msg:readonly 与 im:message:send_as_bot。",
			"创建并发布版本。",
			"把机器人添加到群。",
			"@机器人 发送 whoami，回复中包含要填入 Permissions 的 id。",
		}
	}
	return []string{
		"Open https://open.feishu.cn/app (Lark: https://open.larksuite.com/app ) and select the custom app whose " +
			"App ID is FeishuAppId.",
		"Add the bot capability.",
		"Events and callbacks > Event configuration: select receiving events through the long connection (长连接). " +
			"Save when the bot's health says Connected, because Feishu then checks the connection.",
		"Add the event im.message.receive_v1.",
		"If the bot has a menu, add the event application.bot.menu_v6. The event_key of an item is its command.",
		"Set BotName to the bot's name in Feishu. In a group only the name identifies the mentioned bot; without " +
			"it, a message to another bot can be read as a command.",
		"Callback configuration: select receiving callbacks through the long connection, too, and add the callback " +
			"card.action.trigger.",
		"Permissions: enable im:message.group_at_msg:readonly, im:message.p2p_msg:readonly and " +
			"im:message:send_as_bot.",
		"Create and publish a version.",
		"Add the bot to a group.",
		"Mention the bot and send whoami. The answer has the ids for Permissions.",
	}
}

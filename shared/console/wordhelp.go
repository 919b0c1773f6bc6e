package console

// helps are the help texts of settings, and the titles of platforms. Menus and values have the
// names that the platforms' consoles show.
var helps = []pair{
	{"DingTalk", "钉钉"},
	{"WeCom", "企业微信"},
	{"Feishu / Lark", "飞书 / Lark"},
	{"Slack", "Slack"},
	{"Microsoft Teams", "Microsoft Teams"},

	{"Client ID of the app, formerly AppKey", "应用的 Client ID，原 AppKey"},
	{"Client Secret of the app, formerly AppSecret", "应用的 Client Secret，原 AppSecret"},
	{"the previous Client Secret, during rotation", "轮换期间仍有效的旧 Client Secret"},
	{"template of interactive cards, such as <uuid>.schema", "互动卡片的模板 ID，例如 <uuid>.schema"},
	{"code of the robot, if it differs from the Client ID", "机器人的 robotCode，与 Client ID 不同时填写"},
	{"the only corporation whose messages are accepted, such as ding…", "企业的 CorpId，例如 ding…；填写后只接受该企业的消息"},
	{"maximum seconds between a callback's time and now; default 300", "回调时间与当前时间允许相差的秒数，默认 300"},
	{"Token of the event subscription", "事件订阅的签名 token"},
	{"aes_key of the event subscription", "事件订阅的加密 aes_key"},
	{"the previous Token, during rotation", "轮换期间仍有效的旧 Token"},
	{"the previous aes_key, during rotation", "轮换期间仍有效的旧 aes_key"},
	{"receive id of the event subscription, if it is not the Client ID: the Corp ID or suite key",
		"事件订阅的 OWNER_KEY，不是 Client ID 时填写 CorpId 或 suiteKey"},
	{"apiSecret of the callback of interactive cards", "注册互动卡片回调地址时使用的 apiSecret"},
	{"the previous apiSecret, during rotation", "轮换期间仍有效的旧 apiSecret"},

	{"Corp ID of the company", "企业 ID，即 CorpID"},
	{"AgentId of the app", "应用的 AgentId"},
	{"Secret of the app", "应用的 Secret"},
	{"Token of the callback", "“设置 API 接收”中的 Token"},
	{"EncodingAESKey of the callback", "“设置 API 接收”中的 EncodingAESKey"},
	{"the previous EncodingAESKey, during rotation", "轮换期间仍有效的旧 EncodingAESKey"},
	{"Bot ID of an intelligent robot (智能机器人), such as aib…", "智能机器人的 Bot ID，例如 aib…"},
	{"Secret of the intelligent robot", "智能机器人的 Secret"},
	{"true to also accept callbacks of an intelligent robot (智能机器人)", "设为 true 时也接收智能机器人的回调"},

	{"App ID, such as cli_…", "应用的 App ID，例如 cli_…"},
	{"App Secret", "应用的 App Secret"},
	{"Encrypt Key of events and callbacks", "事件与回调 > 加密策略中的 Encrypt Key"},
	{"Verification Token of events and callbacks", "事件与回调 > 加密策略中的 Verification Token"},
	{"the previous Encrypt Key, during rotation", "轮换期间仍有效的旧 Encrypt Key"},
	{"the previous Verification Token, during rotation", "轮换期间仍有效的旧 Verification Token"},
	{"true to also accept the cards' older callback, which only the Verification Token proves",
		"设为 true 时也接收旧版卡片回调，旧版回调仅由 Verification Token 验证"},
	{"feishu (default) or lark", "feishu（默认）或 lark"},

	{"Signing Secret of the app", "应用的 Signing Secret"},
	{"the previous Signing Secret, during rotation", "轮换期间仍有效的旧 Signing Secret"},
	{"app-level token with the scope connections:write", "scope 为 connections:write 的 App-Level Token"},
	{"Bot User OAuth Token, such as xoxb-…", "Bot User OAuth Token，例如 xoxb-…"},
	{"the only workspace whose callbacks are accepted, such as T0123456789",
		"工作区的 ID，例如 T0123456789；填写后只接受该工作区的回调"},

	{"security token of the outgoing webhook, as Teams shows it (base64)",
		"传出 Webhook 的安全令牌，按 Teams 的显示填写（base64）"},
	{"the previous security token, during rotation", "轮换期间仍有效的旧安全令牌"},
	{"the only tenant whose callbacks are accepted", "租户的 ID；填写后只接受该租户的回调"},

	{"the bot's name as the platform shows it", "机器人在平台上显示的名称"},
	{"the bot answers only in these conversations", "会话 ID；填写后机器人只在这些会话中响应"},
	{"user ids by the name of a group, for Principals", "用户组：组名及其成员的用户 ID，供 Principals 引用"},
	{"who may run which commands; a command that no statement allows is denied", "授权语句：谁可以执行哪些命令；未被允许的命令一律拒绝"},
	{"commands with typed parameters, by name", "动作：带参数类型的命令，以名称为键"},
	{"true: the bot has only the commands in Actions", "设为 true 时，机器人只有 Actions 中的命令"},
	{"where allowed commands go; default Journal", "被允许的命令分发到的目标，默认 Journal（只记录）"},
	{"how messages come: by Webhook (default), or over a connection that chatconf opens (Stream)",
		"消息接收方式：Webhook（默认），或由 chatconf 建立的长连接（Stream）"},
	{"the language of the answers: en (default) or zh", "回复的语言：en（默认）或 zh"},

	{"where a command goes", "命令分发到的目标的类型"},
	{"the address that commands are posted to", "接收命令的地址（POST）"},
	{"the key that signs each request, by Standard Webhooks", "对请求签名的密钥（Standard Webhooks）"},
	{"the name of the function, or of the program's file", "函数名，或程序的文件名"},
	{"the name of the OOS template", "OOS 模板名称"},
	{"the version of the template; default the latest", "模板版本，默认最新版本"},
	{"the safety check of the execution: Skip or ConfirmEveryHighRiskAction",
		"执行的安全检查：Skip 或 ConfirmEveryHighRiskAction"},
	{"the name of the runbook, or its ARN", "Runbook 的名称或 ARN"},
	{"the state machine", "状态机"},
	{"what the template gets, by name; {name} stands for the value of a parameter of the action",
		"传给模板的参数，以名称为键；{name} 表示动作的参数值"},
	{"what the steps of the template may do with the session of the command", "模板的步骤可用命令的会话执行的操作"},
	{"the operations, such as ecs:RebootInstance", "操作，例如 ecs:RebootInstance"},
	{"the resources; {name} stands for the value of a parameter of the action", "资源；{name} 表示动作的参数值"},
}

// helpChinese are the helps in Chinese, by the English text.
var helpChinese = func() map[string]string {
	out := make(map[string]string, len(helps))
	for _, p := range helps {
		out[p[english]] = p[chinese]
	}
	return out
}()

// statesChinese are the words of the API that say a state, a decision or a change, in Chinese.
var statesChinese = map[string]string{
	"Active": "启用", "Inactive": "停用",
	"Working": "正常", "Failing": "异常", "Silent": "尚未连通",
	"Connected": "已连接", "Connecting": "连接中", "Refused": "被拒绝", "Lost": "失联", "Absent": "无连接",
	"Allow": "允许", "Deny": "拒绝", "Allowed": "允许", "Denied": "拒绝",
	"Accepted": "已受理", "Running": "执行中", "Succeeded": "成功", "Failed": "失败", "Cancelled": "已取消", "TimedOut": "超时",
	"Unknown": "结果未知", "Recorded": "已记录", "Pending": "待处理", "Delivered": "已送达",
	"DingTalk": "钉钉", "WeChat": "企业微信", "Feishu": "飞书",
	"file": "文件", "unknown": "未知",
	"Created": "创建", "Updated": "修改", "Deleted": "删除", "Restored": "恢复", "Rotated": "轮换",
}

// paramsChinese are the labels of parameters that a form has, in Chinese.
var paramsChinese = map[string]string{
	"Name": "名称", "UserId": "用户 ID", "ConversationId": "会话 ID", "Command": "命令", "Text": "消息", "Policy": "权限策略",
	"Value": "新值", "Key": "配置项", "Type": "类型", "Revision": "版本", "ExpireDate": "到期时间", "Status": "状态",
	"Description": "描述", "RamRole": "角色", "ResourceGroupId": "资源组", "GraceSeconds": "旧值继续有效的时间", "Since": "起始",
	"Until": "截止", "Target": "目标", "State": "状态", "Decision": "鉴权结果", "User": "用户",
}

// stepsChinese are the steps where a callback or a connection can fail, in Chinese.
var stepsChinese = map[string]string{
	"find": "查找机器人", "token": "URL 令牌", "configuration": "配置", "request": "请求格式", "signature": "签名校验",
	"freshness": "时效检查", "decrypt": "解密", "receive id": "接收方校验", "decode": "消息解析", "replay": "重放检查",
	"deliver": "发送回复", "lease": "连接租约", "open": "建立连接", "read": "接收消息", "replaced": "连接被顶替", "limit": "连接数上限",
	"mention": "识别 @", "announce": "发送事件",
}

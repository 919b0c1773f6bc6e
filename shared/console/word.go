package console

import (
	"fmt"
	"net/http"
	"strings"
)

// A language of the pages.
type language int

// The languages.
const (
	english language = iota
	chinese
	languages
)

// languageCookie is the name of the cookie with the language that a person chose.
const languageCookie = "chatconf_lang"

func (l language) tag() string { return [languages]string{"en", "zh-CN"}[l] }

// languageOf returns the language of a tag such as zh-TW.
func languageOf(tag string) (language, bool) {
	switch primary, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(tag)), "-"); primary {
	case "en":
		return english, true
	case "zh":
		return chinese, true
	}
	return english, false
}

// chooseLanguage returns the language of the parameter lang, which a cookie then remembers, else
// that of the cookie, else the first of the browser that the console has.
func chooseLanguage(w http.ResponseWriter, r *http.Request) language {
	if l, ok := languageOf(r.URL.Query().Get("lang")); ok {
		http.SetCookie(w, &http.Cookie{Name: languageCookie, Value: l.tag(), Path: Prefix, MaxAge: 365 * 24 * 3600,
			HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteStrictMode})
		return l
	}
	if cookie, err := r.Cookie(languageCookie); err == nil {
		if l, ok := languageOf(cookie.Value); ok {
			return l
		}
	}
	for tag := range strings.SplitSeq(r.Header.Get("Accept-Language"), ",") {
		tag, _, _ = strings.Cut(tag, ";")
		if l, ok := languageOf(tag); ok {
			return l
		}
	}
	return english
}

// say returns a word, with its arguments put in. An unknown name is an error of ours, which a test
// finds; the page then shows the name.
func (l language) say(name string, args ...any) string {
	text, ok := words[name]
	switch {
	case !ok:
		return name
	case len(args) > 0:
		return fmt.Sprintf(text[l], args...)
	}
	return text[l]
}

// hasWord reports whether there is a word.
func hasWord(name string) bool { _, ok := words[name]; return ok }

// words are all texts of the pages, in each language.
var words = map[string][languages]string{
	"console":   {"chatconf console", "chatconf 控制台"},
	"skip":      {"Skip to content", "跳到正文"},
	"nav":       {"Pages", "页面"},
	"language":  {"中文", "English"},
	"signedin":  {"Signed in as %s", "已登录：%s"},
	"signout":   {"Sign out", "退出登录"},
	"bots":      {"Bots", "机器人"},
	"bot":       {"Bot %s", "机器人 %s"},
	"commands":  {"Commands", "命令"},
	"history":   {"History", "历史"},
	"overview":  {"Overview", "概览"},
	"next":      {"Next page", "下一页"},
	"first":     {"First page", "第一页"},
	"listpages": {"Pages of the list", "列表翻页"},
	"filter":    {"Filter", "筛选"},
	"clear":     {"Clear filters", "清除筛选"},
	"any":       {"Any", "不限"},
	"none":      {"none", "无"},
	"never":     {"never", "从未"},
	"name":      {"Name", "名称"},
	"type":      {"Type", "类型"},
	"status":    {"Status", "状态"},
	"health":    {"Health", "健康状态"},
	"tags":      {"Tags", "标签"},
	"tag":       {"Tag", "标签"},
	"updated":   {"Updated", "更新时间"},
	"created":   {"Created", "创建时间"},
	"revision":  {"Revision", "版本"},

	// between words that a template puts together
	"mark.gap":   {" ", ""},
	"mark.comma": {", ", "，"},
	"mark.list":  {", ", "、"},
	"mark.stop":  {". ", "。"},
	"mark.colon": {": ", "："},
	"mark.open":  {" (", "（"},
	"mark.close": {")", "）"},

	"role":  {"Role", "角色"},
	"group": {"Resource group", "资源组"},
	"lacks": {"This access key may not see this. It needs the permission %s.", "此访问密钥无权查看，需要权限 %s。"},
	"lackspart": {
		"This access key may not see the health of some bots (%d). It needs the permission %s.",
		"此访问密钥无权查看 %d 个机器人的健康状况，需要权限 %s。",
	},

	"signin.title":  {"Sign in", "登录"},
	"signin.lead":   {"Use an access key of this service.", "请使用本服务的访问密钥登录。"},
	"signin.id":     {"Access key id", "访问密钥 ID"},
	"signin.secret": {"Access key secret", "访问密钥 Secret"},
	"signin.do":     {"Sign in", "登录"},
	"signin.how":    {"If you have no access key at hand", "如果手边没有访问密钥"},
	"signin.open": {
		"On the machine of the service, open a terminal in the folder in which the service was started. This " +
			"command opens the console, signed in:",
		"在服务所在的机器上，在启动服务的目录中打开终端。以下命令会打开控制台并登录：",
	},
	"signin.make": {"or after 'make run'", "用 'make run' 启动时为"},
	"signin.first": {
		"Or copy the first key: its id and its secret are in the file access-key.json of the data directory. That " +
			"is the folder .chatconf in the same place, or the one after --data.",
		"或使用首个密钥：其 ID 和 Secret 保存在数据目录的 access-key.json 文件中。数据目录是同一位置的 .chatconf，或 --data 指定的目录。",
	},
	"signin.ask": {
		"If you do not run the service, ask its owner for an access key.",
		"如果服务不由您运行，请向其负责人索取访问密钥。",
	},
	"signin.session": {"You stay signed in for 12 hours.", "登录状态保持 12 小时。"},
	"signin.wrong": {
		"The access key id or its secret is wrong, or the key is not active.",
		"访问密钥 ID 或 Secret 错误，或密钥未启用。",
	},
	"signin.toomany": {"There were too many attempts. Try again in 5 minutes.", "尝试次数过多，请 5 分钟后再试。"},

	"link.lead": {"This link signs you in once, with this access key:", "此链接仅可使用一次，将以此访问密钥登录："},
	"link.key":  {"Access key", "访问密钥"},
	"link.help": {
		"If you did not ask for the link, close this page.",
		"如果不是您请求的链接，请关闭此页面。",
	},
	"link.wrong": {
		"The link is not valid: it works once, for 5 minutes, and only until the access key changes. Sign in with " +
			"the access key, or get another link as described below.",
		"链接无效：链接只能使用一次，5 分钟内有效，且密钥变更后失效。请使用访问密钥登录，或按下方说明获取新链接。",
	},
	"link.again": {
		"The link is not valid: it works once, for 5 minutes. Run 'chatconf console' again for another one.",
		"链接无效：链接只能使用一次，5 分钟内有效。请重新运行 'chatconf console' 获取新链接。",
	},
	"link.only": {
		"You are not signed in, or the access key is not valid any more. Run 'chatconf console' again " +
			"and use its link.",
		"您未登录，或访问密钥已失效。请重新运行 'chatconf console' 并使用其链接。",
	},

	"error.title": {"This page cannot be shown", "无法显示此页面"},
	"error.page":  {"There is no such page.", "页面不存在。"},
	"error.crossorigin": {
		"The request came from another site. Open the console and try again.",
		"请求来自其他网站。请打开控制台后重试。",
	},
	"error.toomany":    {"The access key has sent too many requests. Wait a moment.", "此访问密钥的请求过多，请稍候。"},
	"error.form":       {"The form could not be read. Go back and try again.", "无法读取表单，请返回重试。"},
	"error.forbidden":  {"The access key may not do this.", "此访问密钥无权执行该操作。"},
	"error.permission": {"It needs the permission %s.", "需要权限 %s。"},
	"error.nexttoken": {
		"This page of the list has expired. Start again at the first page.",
		"列表的这一页已失效，请从第一页重新开始。",
	},
	"error.unavailable": {"The service cannot answer now. Try again in a moment.", "服务暂时无法响应，请稍后重试。"},
	"error.internal":    {"An error occurred in the service.", "服务发生错误。"},
	"error.id":          {"The log has the details under the request id %s.", "详情见日志，请求 ID 为 %s。"},
	"error.home":        {"Go to the list of bots", "返回机器人列表"},

	"bots.search":  {"Name begins with", "名称前缀"},
	"bots.taghint": {"such as env=prod", "例如 env=prod"},
	"bots.empty":   {"There is no bot yet.", "还没有机器人。"},
	"bots.what": {
		"A bot takes commands from one chat platform, and decides who may run them.",
		"机器人接收一个聊天平台的命令，并决定谁可以执行。",
	},
	"bots.deleted": {"If %s was deleted, see its history.", "如果 %s 已被删除，可查看其历史。"},
	"bots.nomatch": {"No bot on this page matches the filters.", "本页没有符合筛选条件的机器人。"},
	"bots.count":   {"Bots: %d", "共 %d 个机器人"},

	"bot.settings":   {"Settings", "设置"},
	"bot.key":        {"Key", "配置项"},
	"bot.unsets":     {"Settings that are not set (%d)", "未设置的项（%d）"},
	"bot.secretset":  {"set; secrets are never shown", "已设置；密钥不会显示"},
	"bot.unset":      {"not set", "未设置"},
	"bot.required":   {"required", "必填"},
	"bot.since":      {"since", "自"},
	"bot.who":        {"Who may run what", "谁可以执行哪些命令"},
	"bot.effect":     {"Effect", "效力"},
	"bot.principals": {"Who", "授权主体"},
	"bot.mayrun":     {"Commands", "命令"},
	"bot.where":      {"Conversations", "会话"},
	"bot.anywhere":   {"everywhere", "所有会话"},
	"bot.rule": {
		"A command is denied unless a statement allows it. A Deny statement wins.",
		"未被任何语句允许的命令一律拒绝；Deny 语句优先。",
	},
	"bot.nobody": {
		"No statement allows a command yet, so nobody may run one.",
		"还没有授权语句允许任何命令，因此无人可以执行命令。",
	},
	"bot.setup":   {"Set-up", "接入步骤"},
	"bot.outputs": {"Values for the platform", "平台所需的值"},
	"bot.masked": {
		"Secret parts are shown as ******. To see them, run in a terminal:",
		"密钥部分显示为 ******。如需查看，请在终端运行：",
	},
	"bot.platform": {"Open the platform's console", "打开平台控制台"},
	"copy":         {"Copy", "复制"},
	"copy.done":    {"Copied: %s", "已复制：%s"},
	"copy.failed":  {"The browser did not copy it. It is selected: copy it yourself.", "浏览器未能复制。文字已选中，请手动复制。"},

	"permissions":    {"Permissions", "权限"},
	"permissions.of": {"Permissions of %s", "%s 的权限"},
	"permissions.inactive": {
		"The bot is inactive and runs no command. The table shows what its people may run once it is active.",
		"机器人已停用，不执行任何命令。下表显示启用后各人员可执行的命令。",
	},
	"permissions.statements": {"Statements", "授权语句"},
	"permissions.decides":    {"decides", "由此决定"},
	"permissions.actions":    {"Actions", "动作"},
	"permissions.noactions": {
		"The bot has no actions, so its commands may have any arguments. An action says which parameters a " +
			"command has, and where it goes.",
		"该机器人没有动作，命令可带任意参数。动作规定命令的参数和分发到的目标。",
	},

	"matrix.who":       {"Who", "人员"},
	"matrix.what":      {"Command", "命令"},
	"matrix.group":     {"Group", "组"},
	"matrix.user":      {"User", "用户"},
	"matrix.anyone":    {"Anyone else", "其他人"},
	"matrix.allowed":   {"allowed", "允许"},
	"matrix.denied":    {"denied", "拒绝"},
	"matrix.some":      {"in some conversations", "仅部分会话"},
	"matrix.values":    {"with some values", "仅部分参数值"},
	"matrix.both":      {"in some conversations, with some values", "仅部分会话和部分参数值"},
	"matrix.elsewhere": {"all others", "其他会话"},
	"matrix.empty":     {"No user, group or command matches.", "没有符合的人员或命令。"},
	"matrix.pattern": {
		"A column with * or ? is for the commands that have no column of their own.",
		"含 * 或 ? 的列代表未单独列出的命令。",
	},
	"matrix.cell": {"Select a cell to see why.", "点击单元格可查看原因。"},
	"matrix.cut": {
		"The table is too large to show whole. Narrow it with a part of a name.",
		"表格过大，无法全部显示。请输入名称的一部分以缩小范围。",
	},

	"simulate.title":  {"What if?", "权限模拟"},
	"simulate.lead":   {"See what the bot would decide. Nothing is run.", "查看机器人会如何判断，不会执行任何命令。"},
	"simulate.conv":   {"Conversation id", "会话 ID"},
	"simulate.text":   {"Message", "消息"},
	"simulate.hint":   {"such as restart i-123", "例如 restart i-123"},
	"simulate.do":     {"Show the decision", "模拟"},
	"simulate.yes":    {"Allowed", "允许"},
	"simulate.no":     {"Denied", "拒绝"},
	"simulate.by":     {"Statement %d decides.", "由授权语句 %d 决定。"},
	"simulate.read":   {"Understood as", "解析为"},
	"simulate.dry":    {"a dry run", "试运行"},
	"simulate.groups": {"Groups of the user", "用户所属的组"},
	"simulate.may":    {"May run here", "在此可执行"},
	"simulate.except": {"Except", "除外"},
	"simulate.change": {"What would have to change", "如需允许"},
	"simulate.statement": {
		"Statement %d denies it. Take the user, the command or the conversation out of that statement.",
		"授权语句 %d 拒绝了该命令。请从该语句中去掉此用户、命令或会话。",
	},
	"simulate.inactive": {"Make the bot active.", "启用该机器人。"},
	"simulate.conversation": {
		"Add the conversation to ConversationIds in the settings.",
		"在设置的 ConversationIds 中添加此会话。",
	},
	"simulate.default": {"Add a statement that allows it, such as:", "添加一条授权语句，例如："},
	"simulate.message": {"Correct the message; the reason says how.", "请更正消息，原因中有说明。"},

	"chart":        {"The last 24 hours by outcome", "最近 24 小时的命令结果"},
	"chart.of":     {"The last 24 hours of %s", "%s 最近 24 小时的命令结果"},
	"chart.counts": {"Counts by hour", "每小时的数量"},
	"chart.hour":   {"Hour", "小时"},
	"chart.done":   {"done", "已完成"},
	"chart.open":   {"not finished", "未结束"},
	"chart.failed": {"failed", "失败"},
	"chart.denied": {"denied", "拒绝"},
	"chart.total":  {"Commands: %d; the busiest hour had %d.", "共 %d 条命令，最多的一小时有 %d 条。"},
	"chart.cut": {
		"These are the latest commands only. There were more in these 24 hours.",
		"仅统计最近的命令，这 24 小时内还有更多命令。",
	},
	"chart.empty": {"There was no command in the last 24 hours.", "最近 24 小时没有命令。"},
	"chart.list":  {"All commands", "所有命令"},

	"try":    {"Try it", "对话测试"},
	"try.of": {"Try %s", "测试 %s"},
	"try.lead": {
		"Speak to the bot as any user. Commands that are allowed really run.",
		"以任意用户的身份与机器人对话。被允许的命令会真正执行。",
	},
	"try.nosend": {
		"This service cannot speak for the platform: only 'chatconf serve' has the action SendChatMessage, and " +
			"cloud functions do not. Send the bot a message in its chat, or see what it would decide:",
		"此服务无法代表平台发送消息：只有 'chatconf serve' 提供 SendChatMessage，云函数不提供。请在聊天中给机器人发消息，或查看它会如何判断：",
	},
	"try.chat":      {"Conversation", "对话"},
	"try.convhint":  {"empty: an example", "留空则使用示例"},
	"try.direct":    {"Direct conversation with the bot", "与机器人单聊"},
	"try.send":      {"Send", "发送"},
	"try.answer":    {"Answer", "回复"},
	"try.later":     {"Later answer", "延迟回复"},
	"try.laterof":   {"Later answers of %s", "%s 的延迟回复"},
	"try.look":      {"Look for the later answer", "查看延迟回复"},
	"try.silent":    {"The platform shows nothing yet.", "平台暂时不显示任何内容。"},
	"try.refused":   {"The bot refused the message with status %d.", "机器人拒绝了消息，状态码 %d。"},
	"try.duplicate": {"The message is a duplicate. Nothing was done.", "消息重复，未执行任何操作。"},
	"try.id":        {"Command id", "命令 ID"},
	"try.recent":    {"Recent commands of this bot", "此机器人的最近命令"},
	"try.norecent": {"There is no command yet. Send help to see what the user may run.",
		"还没有命令。发送 help 查看该用户可执行的命令。"},

	"health.callback":   {"Last callback", "最近回调"},
	"health.success":    {"Last success", "最近成功"},
	"health.command":    {"Last command", "最近命令"},
	"health.error":      {"Last refused callback", "最近被拒绝的回调"},
	"health.delivery":   {"Last failed dispatch", "最近分发失败"},
	"health.mention":    {"Last message to another name", "最近提到其他名称的消息"},
	"health.event":      {"Last event not delivered", "最近未送达的事件"},
	"health.conn":       {"Connection", "长连接"},
	"health.connerror":  {"Last error of the connection", "最近的长连接错误"},
	"health.step":       {"Step: %s", "步骤：%s"},
	"health.do":         {"What to do: %s", "处理方法：%s"},
	"health.frame":      {"Last delivery by the connection", "长连接最近收到消息"},
	"health.reconnects": {"Reconnects", "重连次数"},
	"health.holder":     {"Held by", "持有者"},

	"connection.connected": {"The connection is open.", "长连接已建立。"},
	"connection.connecting": {
		"The connection is not open. A process tries to open it.",
		"长连接尚未建立，有进程正在尝试。",
	},
	"connection.refused": {
		"The connection was refused. It is tried again when the settings change.",
		"长连接被拒绝，设置更改后会重试。",
	},
	"connection.lost": {
		"The process that holds the connection has reported nothing for some minutes.",
		"持有长连接的进程已有数分钟没有上报状态。",
	},
	"connection.absent": {
		"No process holds the connection. Run 'chatconf serve' or 'chatconf connect'.",
		"没有进程持有长连接，请运行 'chatconf serve' 或 'chatconf connect'。",
	},
	"health.silent": {"The platform has never called. Follow the set-up steps below.", "平台尚未发来回调，请按下方步骤接入。"},

	"step.token": {
		"The URL in the platform's console has a wrong token. Copy the current URL there.",
		"平台控制台中的 URL 令牌错误，请重新复制当前 URL。",
	},
	"step.request": {
		"The request does not have this platform's form. Check that the URL belongs to a bot of this type.",
		"请求不是该平台的格式。请检查 URL 是否属于此类型的机器人。",
	},
	"step.configuration": {"A setting is missing or invalid. Correct the settings.", "某项设置缺失或无效，请更正设置。"},
	"step.signature": {
		"The secret here differs from the one in the platform's console. Copy it again.",
		"此处的密钥与平台控制台不一致，请重新复制。",
	},
	"step.freshness": {
		"The request's time differs too much from this machine's time. Check the clock of this machine.",
		"请求时间与本机时间相差过大，请检查本机时钟。",
	},
	"step.decrypt": {
		"The encryption key here differs from the one in the platform's console. Copy it again.",
		"此处的加密密钥与平台控制台不一致，请重新复制。",
	},
	"step.receive id": {
		"The request is for another app or tenant. Compare the ids with the platform's console.",
		"请求属于其他应用或租户，请与平台控制台核对 ID。",
	},
	"step.decode": {
		"The message could not be read. See the reason, and report it if it persists.",
		"无法读取消息，请查看原因；若持续出现请反馈。",
	},
	"step.replay": {
		"The same request came twice, with different content. See the reason.",
		"收到重复请求，但内容不同，请查看原因。",
	},
	"advice.delivery": {
		"The target could not be called. Check the target and the role.",
		"无法调用目标，请检查目标和角色。",
	},
	"advice.mention": {
		"The message mentions another name. Correct BotName if it is this bot's name.",
		"消息提到了其他名称。若它是此机器人的名称，请更正 BotName。",
	},
	"advice.event": {
		"The event could not be delivered. Check CHATCONF_EVENTS of the service.",
		"事件无法送达，请检查服务的 CHATCONF_EVENTS。",
	},
	"step.deliver": {
		"The platform refused an answer. See the reason, and check the app's permissions.",
		"平台拒绝了回复，请查看原因并检查应用权限。",
	},
	"step.lease": {
		"The store of the service did not answer. Check it. The connection opens again by itself.",
		"服务的存储没有响应，请检查存储；系统会自动重连。",
	},
	"step.open": {
		"The connection could not be opened. See the reason, and check the app's credentials.",
		"无法建立连接，请查看原因并检查应用凭证。",
	},
	"step.read":     {"The connection broke. It opens again by itself.", "连接中断，系统会自动重连。"},
	"step.replaced": {"Another program uses the same app. Stop that program.", "另一个程序正在使用同一应用，请停止该程序。"},
	"step.limit": {
		"The service holds as many connections as it may. Raise CHATCONF_MAX_STREAMS.",
		"服务的连接数已达上限，请调高 CHATCONF_MAX_STREAMS。",
	},

	"commands.of":       {"Commands of %s", "%s 的命令"},
	"commands.date":     {"Date", "时间"},
	"commands.bot":      {"Bot", "机器人"},
	"commands.user":     {"User", "用户"},
	"commands.userid":   {"User id", "用户 ID"},
	"commands.direct":   {"direct", "单聊"},
	"commands.command":  {"Command", "命令"},
	"commands.decision": {"Decision", "鉴权结果"},
	"commands.state":    {"State", "状态"},
	"commands.target":   {"Target", "目标"},
	"commands.why":      {"Why?", "原因"},
	"commands.since":    {"Since", "起始"},
	"commands.until":    {"Until", "截止"},
	"commands.ago":      {"such as 24h, or a date", "例如 24h 或日期"},
	"commands.detail":   {"Detail", "详情"},
	"commands.empty": {
		"No command matches. Send the bot a message in chat, or use fewer filters.",
		"没有符合条件的命令。请在聊天中给机器人发消息，或减少筛选条件。",
	},
	"commands.attempts": {"attempts: %d", "尝试次数：%d"},

	"live.pause": {"Pause updates", "暂停更新"},
	"live.added": {"New commands: %d", "新命令：%d"},
	"live.failed": {
		"The updates have stopped, because the service did not answer as expected. Load the page again.",
		"服务未正常响应，更新已停止。请重新加载页面。",
	},

	"history.from":     {"From revision", "起始版本"},
	"history.to":       {"To revision", "目标版本"},
	"history.compare":  {"Compare", "比较"},
	"history.of":       {"History of %s", "%s 的历史"},
	"history.what":     {"Change", "变更"},
	"history.who":      {"By", "操作者"},
	"history.changes":  {"Values changed", "变更项数"},
	"history.diff":     {"Show the changes", "查看变更"},
	"history.revision": {"Revision %d of %s", "%[2]s 的版本 %[1]d"},
	"history.compared": {"Compared with revision %d.", "与版本 %d 比较。"},
	"history.start":    {"There is no earlier revision of this bot to compare with.", "没有更早的版本可供比较。"},
	"history.path":     {"Value", "配置项"},
	"history.before":   {"Before", "之前"},
	"history.after":    {"After", "之后"},
	"history.same":     {"All values that are shown are the same.", "没有可显示的差异。"},
	"history.back":     {"All revisions", "所有版本"},
	"history.lead":     {"Open a revision to see what it changed, or to restore it.", "点击版本号可查看变更或恢复该版本。"},
	"history.empty":    {"There is no history.", "没有历史记录。"},
	"history.restored": {"revision %d", "版本 %d"},
}

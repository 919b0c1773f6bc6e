package command

import "strings"

// Languages of the answers in chat.
const (
	English = "en"
	Chinese = "zh"
)

// A phrase is one sentence for people in chat, in every language.
type phrase uint8

const (
	none phrase = iota

	commandEmpty
	commandTooLong
	commandTooMany
	commandBadName
	commandHidden
	commandQuote
	commandBackslash
	commandBacktick
	commandUnread
	commandMention
	commandEdited
	commandUndeclared

	usageUnknown
	usageUnknownHidden
	usageTwice
	usageMissing
	usageNoValue
	usageWrong
	usageFixed
	usageMany
	usageDryRun
	usageDryRunValue
	usageOperation

	wantText
	wantTextLeast
	wantTextBoth
	wantPattern
	wantNumber
	wantNumberLeast
	wantNumberMost
	wantNumberBoth
	wantBoolean
	wantEnum

	decidedAllow
	decidedDeny
	decidedNone
	decidedBuiltIn
	decidedInactive
	decidedConversation
	decidedNobody
	decidedCommand
	decidedValues

	saidAccepted
	saidUndelivered
	saidDenied
	saidGrant
	saidJoin
	saidNothing
	saidCommands
	saidActions
	saidExcept
	saidMore
	saidBuiltIn
	saidWho
	saidGroups

	saidChoice
	saidUsage
	saidAction
	saidActionMore
	saidNotHere
	saidUndeclared
	saidAliases
	saidParameter
	saidParameterRequired
	saidParameterDefault
	saidParameterFixed
	saidParameterFixedSecret
	saidSecret
	saidDryRun
	saidExample
	saidHelpStatus
	saidHelpCancel

	saidRunning
	saidSucceeded
	saidFailed
	saidCancelled
	saidTimedOut
	saidUnknown
	saidState
	saidExecution
	saidCancelling
	saidSeveral
	saidNoOperation
	saidNoSuchOperation
	saidTooManyOperations

	phrases
)

// sentences are the phrases in English and Chinese. Names in braces are filled in.
var sentences = [phrases][2]string{
	commandEmpty:   {"The message has no command. Say help to see what you may run.", "消息中没有命令。发送 help 查看您可以执行的命令。"},
	commandTooLong: {"The message is too long for a command. Write at most 8 KiB.", "消息过长，命令最多 8 KiB。"},
	commandTooMany: {"The command has too many arguments. Write at most 100.", "命令的参数过多，最多 100 个。"},
	commandBadName: {
		"The first word is not the name of a command. Write the command first, without markup, such as restart i-1.",
		"第一个词不是命令名。请把命令写在最前面，不加格式，例如 restart i-1。",
	},
	commandHidden: {"The message contains invisible characters. Type it again without them.",
		"消息中含有不可见字符，请去掉后重新输入。"},
	commandQuote: {"A quotation mark is not closed.", "引号没有闭合。"},
	commandBackslash: {"The message ends in a backslash. Remove it, or write a character after it.",
		"消息以反斜杠结尾。请删除反斜杠，或在其后输入字符。"},
	commandBacktick: {
		"A backtick is not closed, or several words are between two backticks. Write the command without " +
			"backticks, such as restart i-1.",
		"反引号没有闭合，或其中有多个词。请不用反引号书写命令，例如 restart i-1。",
	},
	commandUnread: {
		"I can read only text, and this message contains {unread}. Write the command as text, such as restart i-1.",
		"我只能识别文字，而此消息含有{unread}。请用文字书写命令，例如 restart i-1。",
	},
	commandMention: {
		"I cannot tell which words after @ are my name. Mention me first, then write the command. " +
			"An administrator can set BotName to my name.",
		"无法判断 @ 之后哪些词是我的名字。请先 @ 我，再写命令。管理员可将 BotName 设为我的名字。",
	},
	commandEdited: {
		"This message is too old to edit a command. Send the command as a new message.",
		"此消息发送已久，编辑后不再执行。请将命令作为新消息发送。",
	},
	commandUndeclared: {"This bot has no such command. Say help to see what you may run.",
		"此机器人没有该命令。发送 help 查看您可以执行的命令。"},

	usageUnknown:       {"{command} has no parameter {word}.", "{command} 没有参数 {word}。"},
	usageUnknownHidden: {"One of the names is not a parameter of {command}.", "其中有的名称不是 {command} 的参数。"},
	usageTwice:         {"{parameter} is given twice. Write it once.", "{parameter} 重复，请只写一次。"},
	usageMissing:       {"{parameter} is missing. Write {want}.", "缺少 {parameter}，请填写{want}。"},
	usageNoValue:       {"{parameter} has no value. Write {want}.", "{parameter} 没有值，请填写{want}。"},
	usageWrong:         {"{parameter} must be {want}.", "{parameter} 必须是{want}。"},
	usageFixed: {"{parameter} is set by an administrator. Write the command without it.",
		"{parameter} 由管理员设定，请不要填写。"},
	usageMany: {"There are more values than {command} has parameters. Put quotes around a value with spaces.",
		"值的个数超过 {command} 的参数个数。含空格的值请加引号。"},
	usageDryRun:      {"{command} has no --dry-run.", "{command} 不支持 --dry-run。"},
	usageDryRunValue: {"--dry-run must be true or false.", "--dry-run 必须是 true 或 false。"},
	usageOperation: {"Write {word}, or {word} and the id of one command.",
		"请发送 {word}，或 {word} 加一个命令编号。"},

	wantText:        {"text", "文本"},
	wantTextLeast:   {"text of at least {least} characters", "至少 {least} 个字符的文本"},
	wantTextBoth:    {"text of {least} to {most} characters", " {least} 到 {most} 个字符的文本"},
	wantPattern:     {"{text} in the form {pattern}", "{text}，格式为 {pattern}"},
	wantNumber:      {"a whole number", "整数"},
	wantNumberLeast: {"a whole number of at least {least}", "不小于 {least} 的整数"},
	wantNumberMost:  {"a whole number of at most {most}", "不大于 {most} 的整数"},
	wantNumberBoth:  {"a whole number from {least} to {most}", " {least} 到 {most} 的整数"},
	wantBoolean:     {"true or false", " true 或 false"},
	wantEnum:        {"one of {values}", "以下之一：{values}"},

	decidedAllow: {"Permissions[{statement}] allows {command}.", "Permissions[{statement}] 允许执行 {command}。"},
	decidedDeny:  {"Permissions[{statement}] denies {command}.", "Permissions[{statement}] 拒绝执行 {command}。"},
	decidedNone: {"No statement of Permissions allows {command} for the user {user} in the conversation " +
		"{conversation}.", "Permissions 中没有语句允许用户 {user} 在会话 {conversation} 中执行 {command}。"},
	decidedBuiltIn:  {"{command} is always allowed.", "{command} 始终允许执行。"},
	decidedInactive: {"The chat configuration {name} is inactive.", "聊天配置 {name} 已停用。"},
	decidedConversation: {"The conversation {conversation} is not in ConversationIds.",
		"会话 {conversation} 不在 ConversationIds 中。"},
	decidedNobody:  {"The platform did not identify the user.", "平台没有提供用户标识。"},
	decidedCommand: {"The message has no command.", "消息中没有命令。"},
	decidedValues: {"Permissions allow {command} for the user {user} in the conversation {conversation} only with " +
		"other values of {values}.",
		"Permissions 只允许用户 {user} 在会话 {conversation} 中以其他 {values} 值执行 {command}。"},

	saidAccepted: {"{command} was accepted.", "已受理 {command}。"},
	saidUndelivered: {"{command} could not be delivered. An administrator of {name} finds the details with " +
		"ListChatCommands, under {id}.", "{command} 未能送达。{name} 的管理员可通过 ListChatCommands 查看编号 {id} 的详情。"},
	saidDenied: {"You may not run {command} here.", "您无权在此执行 {command}。"},
	saidGrant: {"An administrator can allow it with this statement in Permissions of {name}: {grant}",
		"管理员可在 {name} 的 Permissions 中添加以下语句授权：{grant}"},
	saidJoin: {"An administrator can add the conversation to ConversationIds of {name}.",
		"管理员可将该会话加入 {name} 的 ConversationIds。"},
	saidNothing:  {"You may not run any command here.", "您在此没有可执行的命令。"},
	saidCommands: {"You may run here: {commands}.", "您在此可以执行：{commands}。"},
	saidActions:  {"You may run here:", "您在此可以执行："},
	saidExcept:   {"Except: {commands}.", "但不包括：{commands}。"},
	saidMore:     {"The list is not complete.", "此列表不完整。"},
	saidBuiltIn:  {"Always allowed: {commands}.", "始终可用：{commands}。"},
	saidWho: {"Your user id is {user}; in Principals, write user:{user}. The conversation id is {conversation}.",
		"您的用户标识为 {user}，在 Principals 中写作 user:{user}。会话标识为 {conversation}。"},
	saidGroups: {"Your groups are {groups}.", "您所在的用户组为 {groups}。"},

	saidChoice:               {"Did you mean {choice}?", "您是不是想输入 {choice}？"},
	saidUsage:                {"Usage: {usage}", "用法：{usage}"},
	saidAction:               {"{usage}: {summary}", "{usage}：{summary}"},
	saidActionMore:           {"Say help and a command to read more about it.", "发送 help 加命令名查看详情。"},
	saidNotHere:              {"There is no such command here, or you may not run it.", "没有该命令，或您无权在此执行。"},
	saidUndeclared:           {"You may run it here, with any arguments.", "您可以在此执行该命令，参数不限。"},
	saidAliases:              {"Other names: {aliases}.", "别名：{aliases}。"},
	saidParameter:            {"{name}: {want}.", "{name}：{want}。"},
	saidParameterRequired:    {"{name}: {want}; required.", "{name}：{want}，必填。"},
	saidParameterDefault:     {"{name}: {want}; default {value}.", "{name}：{want}，默认为 {value}。"},
	saidParameterFixed:       {"{name}: always {value}.", "{name}：固定为 {value}。"},
	saidParameterFixedSecret: {"{name}: set by an administrator.", "{name}：由管理员设定。"},
	saidSecret:               {" It is not recorded.", "不会被记录。"},
	saidDryRun:               {"--dry-run: a trial without any effect.", "--dry-run：仅试运行，不产生实际影响。"},
	saidExample:              {"Example: {example}", "示例：{example}"},

	saidHelpStatus: {"status shows the last unfinished operation here. Write status and an id for another one.",
		"status 显示此处最近一个尚未结束的操作。如需查看其他操作，请在 status 后写上编号。"},
	saidHelpCancel: {"cancel ends the unfinished operation here. If there are several, write cancel and an id.",
		"cancel 取消此处尚未结束的操作。如有多个，请在 cancel 后写上编号。"},

	saidRunning:   {"{command} is running.", "{command} 执行中。"},
	saidSucceeded: {"{command} succeeded.", "{command} 执行成功。"},
	saidFailed:    {"{command} failed.", "{command} 执行失败。"},
	saidCancelled: {"{command} was cancelled.", "{command} 已取消。"},
	saidTimedOut:  {"{command} took too long and was stopped.", "{command} 执行超时，已终止。"},
	saidUnknown: {"It is not known how {command} ended. An administrator of {name} finds the details with " +
		"ListChatCommands, under {id}.", "{command} 的结果未知。{name} 的管理员可通过 ListChatCommands 查看编号 {id} 的详情。"},
	saidState:      {"{command}: {state}. Its id is {id}.", "{command}：{state}。编号为 {id}。"},
	saidExecution:  {"The execution {execution} started at {started}.", "执行编号为 {execution}，开始于 {started}。"},
	saidCancelling: {"{command} will be cancelled.", "正在取消 {command}。"},
	saidSeveral: {"Several operations are unfinished. Write cancel and the id of one.",
		"有多个操作尚未结束，请在 cancel 后写上其中一个的编号。"},
	saidNoOperation: {"There is no unfinished operation here.", "此处没有尚未结束的操作。"},
	saidNoSuchOperation: {"There is no operation {id}, or you may not run its command.",
		"没有编号为 {id} 的操作，或您无权执行其命令。"},
	saidTooManyOperations: {"Too many operations are unfinished to find yours. Write {word} and its id.",
		"尚未结束的操作过多，无法找到您的操作。请在 {word} 后写上编号。"},
}

// InBothLanguages returns the sentences of decisions and of mistakes in messages, and what is
// filled into them, in English and Chinese. They are in answers of the API and in records. No
// function links it.
func InBothLanguages() (pairs [][2]string) {
	for p := commandEmpty; p <= decidedValues; p++ {
		pairs = append(pairs, sentences[p])
	}
	pairs = append(pairs, sentences[saidChoice], sentences[saidUsage])
	for english, chinese := range unreadChinese {
		pairs = append(pairs, [2]string{english, chinese})
	}
	return append(pairs, [2]string{unreadElement + "{kind}", unreadIn(Chinese, unreadElement+"{kind}")})
}

// sentenceIn returns a phrase in a language; English if the language is unknown. fill alternates
// names in braces and their values.
func sentenceIn(language string, p phrase, fill ...string) string {
	text := sentences[p][0]
	if language == Chinese {
		text = sentences[p][1]
	}
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "{")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		name, after, _ := strings.Cut(rest, "}")
		b.WriteString(filling(name, fill)) // not filled in again: it may contain braces
		text = after
	}
}

func filling(name string, fill []string) string {
	for i := 0; i < len(fill); i += 2 {
		if fill[i] == name {
			return fill[i+1]
		}
	}
	return "{" + name + "}"
}

// comma returns the separator of a list in a sentence.
func comma(language string) string {
	if language == Chinese {
		return "、"
	}
	return ", "
}

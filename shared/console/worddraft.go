package console

import "maps"

func init() { maps.Copy(words, draftWords) }

// draftWords are the texts of the page to edit statements and groups.
var draftWords = map[string][languages]string{
	"draft":    {"Edit statements", "编辑授权语句"},
	"draft.of": {"Edit the permissions of %s", "编辑 %s 的权限"},
	"draft.lead": {
		"Change what you like. Nothing counts before you save it.",
		"更改在保存后才会生效。",
	},
	"draft.edited":  {"The draft is changed. It is not saved.", "草稿已更改，尚未保存。"},
	"draft.granted": {"The statement is in the draft. Save it so that it counts.", "授权语句已加入草稿，保存后生效。"},
	"draft.same":    {"No mistakes. Nothing is changed yet.", "没有错误，也没有任何更改。"},
	"draft.right": {
		"No mistakes. Changes that are not saved: %d.",
		"没有错误。尚未保存的更改：%d 处。",
	},
	"draft.mistakes": {"Not saved. Correct:", "尚未保存。请更正："},
	"draft.merged": {
		"Not saved. The draft now has the changes of others. Check it and save again.",
		"尚未保存。草稿已包含他人的更改，请检查后重新保存。",
	},
	"draft.conflict": {
		"Another user changed this bot meanwhile. Press Save to see what is different.",
		"他人已修改此机器人。点击“保存”可查看差异。",
	},
	"draft.failed": {
		"The draft could not be checked just now. Press Check.",
		"暂时无法检查草稿，请点击“检查”。",
	},
	"draft.check":   {"Check", "检查"},
	"draft.discard": {"Discard", "放弃更改"},
	"draft.up":      {"Move up", "上移"},
	"draft.down":    {"Move down", "下移"},
	"draft.remove":  {"Remove", "删除"},
	"draft.p":       {"Statement %d", "语句 %d"},
	"draft.g":       {"Group %d", "组 %d"},
	"draft.addp":    {"Add a statement", "添加语句"},
	"draft.addg":    {"Add a group", "添加组"},
	"draft.groups":  {"Groups", "组"},
	"draft.new":     {"new", "新增"},
	"draft.changed": {"changed", "已更改"},
	"draft.theirs":  {"from another user", "来自他人"},
	"draft.both":    {"another user changed or removed it, too", "他人也修改或删除了它"},
	"draft.nobody": {
		"There is no statement, so nobody may run a command. Add one.",
		"还没有授权语句，因此没有人可以执行命令。请添加一条。",
	},
	"draft.nogroups": {
		"There is no group. With a group, one statement is about several people.",
		"还没有组。使用组可以让一条语句适用于多人。",
	},
	"draft.who":       {"Who", "授权主体"},
	"draft.whohelp":   {"user:alice, group:ops or *; one per line", "user:alice、group:ops 或 *，每行一项"},
	"draft.whathelp":  {"restart, scale-* or *; one per line", "restart、scale-* 或 *，每行一项"},
	"draft.wherehelp": {"ids, with * and ?; one per line; empty: everywhere", "会话 ID，可含 * 和 ?，每行一项；留空表示所有会话"},
	"draft.values":    {"Only with these values", "仅限这些参数值"},
	"draft.valueshelp": {"of an action, such as env=test; one per line; empty: any",
		"动作的参数值，例如 env=test，每行一项；留空表示任意值"},
	"draft.rolehelp":    {"only of Allow; empty: the action's, else the bot's", "仅用于 Allow；留空则使用动作或机器人的角色"},
	"draft.namehelp":    {"as in group:ops", "例如 group:ops 中的 ops"},
	"draft.members":     {"Members", "成员"},
	"draft.membershelp": {"user ids, without user:; one per line", "用户 ID，不含 user:，每行一个"},
	"draft.noname":      {"The group has no name.", "组没有名称。"},
	"draft.twice":       {"Another group has this name.", "已有同名的组。"},
	"draft.nomembers":   {"The group has no members. Write one, or remove the group.", "组没有成员。请填写成员，或删除该组。"},
	"draft.line":        {"Line %d:", "第 %d 行："},
	"draft.matrix":      {"What the draft means", "草稿的效果"},
	"draft.notsaved":    {"This is the draft, which is not saved.", "这是尚未保存的草稿。"},
	"draft.toolarge":    {"The settings are too large to save, so there is no table.", "设置过大，无法保存，因此没有表格。"},
	"draft.wouldby":     {"by statement %d", "由语句 %d 决定"},
	"draft.simulate":    {"What if?", "权限模拟"},
	"draft.add":         {"Add this statement", "添加此语句"},

	"action":            {"Action", "动作"},
	"action.summary":    {"What it does", "用途"},
	"action.parameters": {"Parameters", "参数"},
	"action.limits":     {"Limits", "限制"},
	"action.bots":       {"that of the bot", "与机器人相同"},
	"action.seconds":    {"times out after %d s", "%d 秒后超时"},
	"action.dry":        {"may be tried with --dry-run", "可用 --dry-run 试运行"},
}

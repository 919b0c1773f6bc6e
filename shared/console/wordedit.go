package console

import "maps"

func init() { maps.Copy(words, editWords) }

// editWords are the texts of the pages that change bots.
var editWords = map[string][languages]string{
	"edit":          {"Edit", "编辑"},
	"edit.new":      {"New bot", "新建机器人"},
	"edit.newof":    {"New bot for %s", "新建机器人：%s"},
	"edit.of":       {"Edit %s", "编辑 %s"},
	"edit.choose":   {"Choose the chat platform of the bot.", "请选择机器人所在的聊天平台。"},
	"edit.namehelp": {"the name of the bot in this service: letters, digits, - and _", "机器人在本服务中的名称：字母、数字、- 和 _"},
	"edit.save":     {"Save", "保存"},
	"edit.create":   {"Create the bot", "创建机器人"},
	"edit.default":  {"default", "默认"},
	"edit.more":     {"More settings", "更多设置"},
	"edit.raw":      {"Groups, permissions, actions and the target, as JSON", "用户组、权限、动作和目标（JSON）"},
	"edit.forms":    {"Most of these have a form on another page:", "其中大部分可在另一页以表单编辑："},
	"edit.later":    {"You can set these later, in forms on the page Permissions of the bot.", "也可以稍后在机器人的“权限”页以表单设置。"},
	"edit.receive":  {"only with Receive %s", "仅当 Receive 为 %s"},
	"edit.keep":     {"It is set. Leave it empty to keep it.", "已设置；留空则保持不变。"},
	"edit.remove":   {"Remove %s", "删除 %s"},
	"edit.again":    {"A secret that you typed is not shown again. Type it again.", "输入的密钥不会再次显示，请重新输入。"},
	"edit.lines":    {"One per line.", "每行一项。"},
	"edit.tags":     {"One per line, such as env=prod.", "每行一项，例如 env=prod。"},
	"edit.json":     {"JSON; secrets in it are shown as ******, which keeps them.", "JSON 格式；密钥显示为 ******，保留则不变。"},
	"edit.mistakes": {"Nothing was saved. Correct:", "尚未保存。请更正："},
	"edit.conflict": {
		"Another user changed this bot while you were editing. Nothing was saved.",
		"在您编辑期间，他人修改了此机器人。尚未保存任何内容。",
	},
	"edit.changed": {"The other user changed:", "对方修改了："},
	"edit.goon": {
		"The form has the new values where you changed nothing, and yours where you did. Check it and save again.",
		"未改动的项已采用对方的值，您改动的项保留您的值。请检查后重新保存。",
	},
	"conflict.more":    {"There were earlier changes, too.", "还有更早的变更。"},
	"conflict.changes": {"What changed since revision %d", "自版本 %d 以来的变更"},
	"edit.theirs":      {"Another user changed this, too. It is now:", "他人也修改了此项，当前值为："},

	"manage":             {"Manage", "管理"},
	"manage.of":          {"Manage %s", "管理 %s"},
	"manage.nothing":     {"This access key may neither rotate secrets nor delete the bot.", "此访问密钥无权轮换密钥或删除机器人。"},
	"manage.grace":       {"Seconds that the old one stays valid", "旧值继续有效的时间（秒）"},
	"manage.confirm":     {"To confirm, type the name: %s", "请输入名称以确认：%s"},
	"manage.unconfirmed": {"Type the name of the bot to confirm.", "请输入机器人的名称以确认。"},
	"manage.conflict": {
		"Another user changed this bot meanwhile. Check it and try again.",
		"他人已修改此机器人，请检查后重试。",
	},
	"manage.rotate": {"Rotate the webhook", "轮换 Webhook"},
	"manage.rotatehelp": {
		"The bot gets a new URL. Set it in the platform's console before the old one expires.",
		"机器人将获得新的 URL。请在旧 URL 失效前将其填入平台控制台。",
	},
	"manage.secret": {"Rotate a secret", "轮换密钥"},
	"manage.secrethelp": {
		"The secret gets a new value. Leave the value empty if the service can make it.",
		"密钥将更换为新值。若服务可自动生成，请将值留空。",
	},
	"manage.value":  {"New value", "新值"},
	"manage.delete": {"Delete the bot", "删除机器人"},
	"manage.deletehelp": {
		"The bot stops answering. Its history stays. To bring it back with its commands, restore a revision. A new " +
			"bot of the same name does not have them.",
		"机器人将不再响应，其历史会保留。恢复某个版本可找回机器人及其命令记录；同名的新机器人没有这些记录。",
	},

	"restore.of": {"Restore revision %s of %s", "恢复 %[2]s 的版本 %[1]s"},
	"restore.help": {
		"The bot becomes what it was at this revision, with its secrets. This makes a new revision.",
		"机器人将恢复到此版本的状态，包括其密钥，并生成新版本。",
	},
	"restore.do":     {"Restore this revision", "恢复此版本"},
	"restore.before": {"Restore revision %d, as it was before", "恢复之前的版本 %d"},

	"notice.created":       {"The bot was created. Follow the set-up steps below.", "机器人已创建，请按下方步骤接入。"},
	"notice.saved":         {"The changes were saved.", "更改已保存。"},
	"notice.unchanged":     {"Nothing was changed.", "没有任何更改。"},
	"notice.restored":      {"The revision was restored.", "版本已恢复。"},
	"notice.rotated":       {"The webhook has a new URL.", "Webhook 已使用新的 URL。"},
	"notice.secretrotated": {"The secret has a new value.", "密钥已更换为新值。"},
	"notice.deleted": {"The bot was deleted. Its history stays. To bring it back, restore a revision.",
		"机器人已删除，其历史会保留。恢复某个版本可找回机器人。"},
}

package console

import "maps"

func init() { maps.Copy(words, keyWords) }

// keyWords are the texts of the pages of access keys.
var keyWords = map[string][languages]string{
	"keys":           {"Access keys", "访问密钥"},
	"keys.lead":      {"Callers of the API and people who sign in here use an access key.", "API 调用和登录控制台都使用访问密钥。"},
	"keys.new":       {"New access key", "新建访问密钥"},
	"keys.of":        {"Access key %s", "访问密钥 %s"},
	"keys.made":      {"The access key was created", "访问密钥已创建"},
	"keys.all":       {"All access keys", "所有访问密钥"},
	"keys.id":        {"Access key id", "访问密钥 ID"},
	"keys.secret":    {"Its secret", "访问密钥 Secret"},
	"keys.once":      {"Copy the secret now. It is never shown again.", "请立即复制 Secret，之后不再显示。"},
	"keys.expires":   {"Expires", "到期时间"},
	"keys.expired":   {"expired", "已过期"},
	"keys.never":     {"never", "永不过期"},
	"keys.used":      {"Last used (UTC)", "最近使用（UTC）"},
	"keys.own":       {"this session's", "当前登录"},
	"keys.ownhelp":   {"You are signed in with this key. Without it this session ends.", "您正使用此密钥登录；停用或删除后会话即结束。"},
	"keys.policy":    {"What it may do", "权限策略"},
	"keys.choose":    {"Choose one", "请选择"},
	"keys.readonly":  {"Read everything except secrets", "只读，不含密钥"},
	"keys.owner":     {"Everything, also access keys and speaking as any user", "全部权限，含管理访问密钥和以任何人身份发言"},
	"keys.document":  {"Only what the policy below allows", "使用下方策略"},
	"keys.text":      {"Policy in JSON, only if you chose the policy below", "JSON 策略（选择“使用下方策略”时填写）"},
	"keys.last":      {"Last day (UTC); empty: it never expires", "最后一天（UTC）；留空则永不过期"},
	"keys.create":    {"Create the key", "创建密钥"},
	"keys.change":    {"Changes", "变更"},
	"keys.disable":   {"Disable the key", "停用密钥"},
	"keys.enable":    {"Enable the key", "启用密钥"},
	"keys.setexpiry": {"Set the last day", "设置最后一天"},
	"keys.delete":    {"Delete the key", "删除密钥"},
	"keys.deletehelp": {
		"Callers with this key are refused from then on. This cannot be undone.",
		"之后使用此密钥的调用将被拒绝，且无法撤销。",
	},
	"keys.confirm": {"Type %s to confirm", "输入 %s 以确认"},
	"keys.administrator": {
		"Everything except access keys and speaking as any user", "全部权限，不含管理访问密钥和以任何人身份发言",
	},
	"keys.description": {"Description", "描述"},
	"keys.unconfirmed": {"The id that you typed is another one. Nothing was deleted.", "输入的 ID 不一致，未删除任何内容。"},

	"notice.keychanged": {"The access key was changed.", "访问密钥已变更。"},
	"notice.keydeleted": {"The access key was deleted.", "访问密钥已删除。"},
}

package console

import "maps"

func init() { maps.Copy(words, aboutWords) }

// aboutWords are the texts of the page about the service.
var aboutWords = map[string][languages]string{
	"about":             {"About", "关于"},
	"about.version":     {"Version", "版本"},
	"about.revision":    {"Source revision", "源代码版本"},
	"about.endpoint":    {"Endpoint of the API", "API 端点"},
	"about.store":       {"Store", "存储"},
	"about.account":     {"Account", "账号"},
	"about.region":      {"Region", "地域"},
	"about.networks":    {"Targets may be in", "目标可用的网络"},
	"about.public":      {"public addresses", "公网地址"},
	"about.bots":        {"Bots, at most", "机器人数量上限"},
	"about.history":     {"Revisions kept of a bot", "每个机器人保留的版本数"},
	"about.requestbody": {"Size of an API request, at most", "API 请求大小上限"},
	"about.messagebody": {"Size of a callback, at most", "回调大小上限"},
	"about.rate":        {"Requests per second of a key", "每个密钥每秒请求数"},
	"about.nolimit":     {"no limit", "不限"},
	"about.streams":     {"Connections to platforms, at most", "平台连接数上限"},
	"about.retention":   {"Records of commands are kept", "命令记录保留时间"},
	"about.days":        {"%d days", "%d 天"},
	"about.elsewhere": {
		"The service runs elsewhere. Its limits are not known here.",
		"服务运行在其他地方，此处无法获知其限制。",
	},
}

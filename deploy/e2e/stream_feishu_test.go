package e2e_test

// feishuApp is an id as the official client of Node wants it.
const feishuApp = "cli_0123456789abcdef"

var feishuStream = streamPlatform{
	name:     "Feishu",
	settings: map[string]string{"FeishuAppId": feishuApp, "FeishuAppSecret": "not-a-real-secret"},
	secrets:  map[string]string{feishuApp: "not-a-real-secret"},
	wrong:    map[string]string{"FeishuAppId": feishuApp, "FeishuAppSecret": "other"},
	refused:  "1000040345: app_id or app_secret is invalid",
	modes:    []string{"message", "v1", "card", "menu"},
	again:    "message",
	disturb:  []string{"split", "shuffle"},
	peers: []streamPeer{
		{name: "oapi-sdk-go"},
		nodePeer("@larksuiteoapi/node-sdk", "@larksuiteoapi/node-sdk", "feishu.js"),
		pythonPeer("lark-oapi", "lark_oapi", "feishu.py"),
	},
}

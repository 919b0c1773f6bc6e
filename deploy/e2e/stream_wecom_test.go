package e2e_test

var wecomStream = streamPlatform{
	name:     "WeChat",
	settings: map[string]string{"WeChatBotId": "aibexample", "WeChatBotSecret": "not-a-real-secret"},
	secrets:  map[string]string{"aibexample": "not-a-real-secret"},
	wrong:    map[string]string{"WeChatBotId": "aibexample", "WeChatBotSecret": "other"},
	refused:  "invalid bot_id or secret (code: 853000)",
	modes:    []string{"aibot", "button"},
	ends:     "cut", // the notice says that another program has taken its place, and clients give way
	peers: []streamPeer{ // WeCom has no client for Go
		nodePeer("@wecom/aibot-node-sdk", "@wecom/aibot-node-sdk", "wecom.js"),
		pythonPeer("wecom-aibot-python-sdk", "aibot", "wecom.py"),
	},
}

package e2e_test

var dingtalkStream = streamPlatform{
	name:     "DingTalk",
	settings: map[string]string{"DingTalkClientId": "dingexample", "DingTalkClientSecret": "not-a-real-secret"},
	secrets:  map[string]string{"dingexample": "not-a-real-secret"},
	wrong:    map[string]string{"DingTalkClientId": "dingexample", "DingTalkClientSecret": "other"},
	refused:  "authFailed",
	modes:    []string{"robot", "card"},
	again:    "robot",
	peers: []streamPeer{
		{name: "dingtalk-stream-sdk-go"},
		func() streamPeer {
			p := nodePeer("dingtalk-stream of Node", "dingtalk-stream", "dingtalk.js")
			p.waits = true
			return p
		}(),
		pythonPeer("dingtalk-stream of Python", "dingtalk_stream", "dingtalk.py"),
	},
}

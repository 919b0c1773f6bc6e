package e2e_test

const slackAppToken = "xapp-1-A0EXAMPLE-1-not-a-real-token"

var slackStream = streamPlatform{
	name:     "Slack",
	settings: map[string]string{"SlackAppToken": slackAppToken, "SlackBotToken": "xoxb-not-a-real-token"},
	secrets:  map[string]string{"A0EXAMPLE": slackAppToken},
	wrong:    map[string]string{"SlackAppToken": "xapp-1-A0EXAMPLE-1-other"},
	refused:  "invalid_auth",
	modes:    []string{"command", "event", "button"},
	again:    "event",
	peers: []streamPeer{
		{name: "slack-go"},
		nodePeer("@slack/socket-mode", "@slack/socket-mode", "slack.js"),
		pythonPeer("slack-bolt", "slack_bolt", "slack.py"),
	},
}

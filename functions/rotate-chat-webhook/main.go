// Command rotate-chat-webhook gives a chat configuration a new webhook URL: the action
// RotateChatWebhook.
package main

import (
	"chatconf/shared/app"
	"chatconf/shared/chat"
)

func main() { app.Run(app.Action("RotateChatWebhook", (*chat.Service).Rotate)) }

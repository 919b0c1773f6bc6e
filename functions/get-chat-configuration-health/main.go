// Command get-chat-configuration-health returns how the webhook of a chat configuration is doing:
// the action GetChatConfigurationHealth.
package main

import (
	"chatconf/shared/app"
	"chatconf/shared/chat"
)

func main() { app.Run(app.Action("GetChatConfigurationHealth", (*chat.Service).Health)) }

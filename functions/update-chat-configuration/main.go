// Command update-chat-configuration changes a chat configuration: the action
// UpdateChatConfiguration.
package main

import (
	"chatconf/shared/app"
	"chatconf/shared/chat"
)

func main() { app.Run(app.Action("UpdateChatConfiguration", (*chat.Service).Update)) }

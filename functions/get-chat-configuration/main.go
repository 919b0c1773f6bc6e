// Command get-chat-configuration returns a chat configuration: the action GetChatConfiguration.
package main

import (
	"chatconf/shared/app"
	"chatconf/shared/chat"
)

func main() { app.Run(app.Action("GetChatConfiguration", (*chat.Service).Get)) }

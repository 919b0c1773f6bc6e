// Command create-chat-configuration makes a chat configuration: the action CreateChatConfiguration.
package main

import (
	"chatconf/shared/app"
	"chatconf/shared/chat"
)

func main() { app.Run(app.Action("CreateChatConfiguration", (*chat.Service).Create)) }

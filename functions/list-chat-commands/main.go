// Command list-chat-commands returns what was asked of a bot: the action ListChatCommands.
package main

import (
	"chatconf/shared/app"
	"chatconf/shared/chat"
)

func main() { app.Run(app.Action("ListChatCommands", (*chat.Service).ListCommands)) }

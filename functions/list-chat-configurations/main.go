// Command list-chat-configurations returns a page of chat configurations: the action
// ListChatConfigurations.
package main

import (
	"chatconf/shared/app"
	"chatconf/shared/chat"
)

func main() { app.Run(app.Action("ListChatConfigurations", (*chat.Service).List)) }

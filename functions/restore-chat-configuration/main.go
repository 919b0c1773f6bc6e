// Command restore-chat-configuration makes a configuration again what it was at a revision: the
// action RestoreChatConfiguration.
package main

import (
	"chatconf/shared/app"
	"chatconf/shared/chat"
)

func main() { app.Run(app.Action("RestoreChatConfiguration", (*chat.Service).Restore)) }

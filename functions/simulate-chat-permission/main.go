// Command simulate-chat-permission tells whether somebody may run a command: the action
// SimulateChatPermission.
package main

import (
	"chatconf/shared/app"
	"chatconf/shared/chat"
)

func main() { app.Run(app.Action("SimulateChatPermission", (*chat.Service).Simulate)) }

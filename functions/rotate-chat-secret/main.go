// Command rotate-chat-secret gives one secret of a chat configuration a new value: the action
// RotateChatSecret.
package main

import (
	"chatconf/shared/app"
	"chatconf/shared/chat"
)

func main() { app.Run(app.Action("RotateChatSecret", (*chat.Service).RotateSecret)) }

// Command delete-chat-configuration removes a chat configuration: the action
// DeleteChatConfiguration.
package main

import (
	"chatconf/shared/app"
	"chatconf/shared/chat"
)

func main() { app.Run(app.Action("DeleteChatConfiguration", (*chat.Service).Delete)) }

// Command copy-chat-configuration makes a chat configuration like another one: the action
// CopyChatConfiguration.
package main

import (
	"chatconf/shared/app"
	"chatconf/shared/chat"
)

func main() { app.Run(app.Action("CopyChatConfiguration", (*chat.Service).Copy)) }

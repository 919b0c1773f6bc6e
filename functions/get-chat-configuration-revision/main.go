// Command get-chat-configuration-revision returns a configuration as it was at a
// revision: the action GetChatConfigurationRevision.
package main

import (
	"chatconf/shared/app"
	"chatconf/shared/chat"
)

func main() { app.Run(app.Action("GetChatConfigurationRevision", (*chat.Service).GetRevision)) }

// Command list-chat-configuration-revisions returns the history of a configuration:
// the action ListChatConfigurationRevisions.
package main

import (
	"chatconf/shared/app"
	"chatconf/shared/chat"
)

func main() { app.Run(app.Action("ListChatConfigurationRevisions", (*chat.Service).ListRevisions)) }

// Command check-chat-configuration checks a chat configuration against its platform: the action
// CheckChatConfiguration.
package main

import "chatconf/shared/app"

func main() { app.Run(app.Check()) }

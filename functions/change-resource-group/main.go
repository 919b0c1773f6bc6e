// Command change-resource-group moves a chat configuration to another resource group: the action
// ChangeResourceGroup.
package main

import (
	"chatconf/shared/app"
	"chatconf/shared/chat"
)

func main() { app.Run(app.Action("ChangeResourceGroup", (*chat.Service).ChangeResourceGroup)) }

// Command untag-resources takes tags away from chat configurations: the action UntagResources.
package main

import (
	"chatconf/shared/app"
	"chatconf/shared/chat"
)

func main() { app.Run(app.Action("UntagResources", (*chat.Service).Untag)) }

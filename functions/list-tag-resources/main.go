// Command list-tag-resources returns the tags of chat configurations: the action ListTagResources.
package main

import (
	"chatconf/shared/app"
	"chatconf/shared/chat"
)

func main() { app.Run(app.Action("ListTagResources", (*chat.Service).ListTagResources)) }

// Command tag-resources sets tags on chat configurations: the action TagResources.
package main

import (
	"chatconf/shared/app"
	"chatconf/shared/chat"
)

func main() { app.Run(app.Action("TagResources", (*chat.Service).Tag)) }

// Command list-tag-keys returns the keys of all tags in use: the action ListTagKeys.
package main

import (
	"chatconf/shared/app"
	"chatconf/shared/chat"
)

func main() { app.Run(app.Action("ListTagKeys", (*chat.Service).ListTagKeys)) }

// Command list-tag-values returns the values that a tag has: the action ListTagValues.
package main

import (
	"chatconf/shared/app"
	"chatconf/shared/chat"
)

func main() { app.Run(app.Action("ListTagValues", (*chat.Service).ListTagValues)) }

// Command redrive-commands hands on the recorded commands that are due: those that dispatch-command
// did not get to. A timer invokes it.
package main

import "chatconf/shared/app"

func main() { app.Run(app.Redrive()) }

// Command dispatch-command hands one recorded command to its target, and sends the answer. The
// function webhook invokes it, asynchronously.
package main

import "chatconf/shared/app"

func main() { app.Run(app.Dispatch()) }

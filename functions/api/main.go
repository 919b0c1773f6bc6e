// Command api serves every action behind one URL, which is what SDKs and the CLI call.
package main

import "chatconf/shared/app"

func main() { app.Run(app.API()) }

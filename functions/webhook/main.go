// Command webhook serves the webhooks of chat configurations, which the chat platforms call.
package main

import "chatconf/shared/app"

func main() { app.Run(app.Webhook()) }

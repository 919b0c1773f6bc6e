// Command reseal seals all stored secrets again after the key ring was rotated: the action
// ResealSecrets, a bounded piece of work at each call or event.
package main

import "chatconf/shared/app"

func main() { app.Run(app.Reseal()) }

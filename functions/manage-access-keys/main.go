// Command manage-access-keys creates, lists, changes and deletes access keys: the actions
// CreateAccessKey, ListAccessKeys, UpdateAccessKey and DeleteAccessKey. No other function may write
// the table of keys.
package main

import "chatconf/shared/app"

func main() { app.Run(app.AccessKeys()) }

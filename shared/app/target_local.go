//go:build !fc && !lambda

package app

import (
	"context"
	"slices"

	"chatconf/shared/rpc"
)

// run runs a role in this process, over HTTP and on the file table.
func run(ctx context.Context, getenv func(string) string, r Role, names ...string) error {
	settings, err := ReadSettings(getenv, names...)
	if err != nil {
		return err
	}
	return ServeLocal(ctx, settings, func(Started) {}, r)
}

// API is the role of the binary api. It serves the actions on access keys and ResealSecrets too: no
// other process can open the file.
func API() Role {
	return Actions(slices.Concat(rpc.Actions(), rpc.KeyActions(), rpc.ResealActions())...).Resealing()
}

// Webhook is the role of the binary webhook, which dispatches commands itself.
func Webhook() Role { return LocalWebhook() }

// Dispatch is the role of the binary dispatch-command.
func Dispatch() Role { return DispatchIn(nil) }

// Redrive is the role of the binary redrive-commands.
func Redrive() Role { return RedriveIn(nil) }

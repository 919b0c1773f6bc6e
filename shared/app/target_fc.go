//go:build fc && !lambda

package app

import (
	"context"

	"chatconf/shared/cloud/alibaba"
	"chatconf/shared/rpc"
	"chatconf/shared/serve/fc"
	target "chatconf/shared/target/alibaba"
)

// run runs a role as a function of Function Compute, on Tablestore.
func run(ctx context.Context, getenv func(string) string, r Role, names ...string) error {
	f, err := NewFunction(getenv, alibaba.Read, r, names...)
	if err != nil {
		return err
	}
	return f.Serve(ctx, getenv, fc.Runtime)
}

// API is the role of the function api. It serves no action on access keys: the function may not
// write the table of keys.
func API() Role { return Actions(rpc.Actions()...) }

// Webhook is the role of the function webhook.
func Webhook() Role { return CloudWebhook() }

// Dispatch is the role of the function dispatch-command.
func Dispatch() Role { return DispatchIn(target.Read) }

// Redrive is the role of the function redrive-commands.
func Redrive() Role { return RedriveIn(target.Read) }

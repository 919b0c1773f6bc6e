//go:build fc && !lambda

package app

import (
	"context"

	"chatconf/shared/app/target/fc"
	"chatconf/shared/rpc"
)

// runTarget serves a program as a function of Function Compute, on Tablestore.
func runTarget(ctx context.Context, getenv func(string) string, p Program, names ...string) error {
	return serveFunction(ctx, getenv, fc.Read, p, names...)
}

// allActions are the actions of the function api.
func allActions() []rpc.Action { return rpc.Actions() }

// targetWebhook is the program of the function webhook.
func targetWebhook() Program { return Webhook() }

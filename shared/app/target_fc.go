//go:build fc && !lambda

package app

import (
	"context"

	"chatconf/shared/cloud/alibaba"
	"chatconf/shared/rpc"
	"chatconf/shared/serve/fc"
)

// runTarget serves a program as a function of Function Compute, on Tablestore.
func runTarget(ctx context.Context, getenv func(string) string, p Program, names ...string) error {
	return serveFunction(ctx, getenv, alibaba.Read, fc.Runtime, p, names...)
}

// allActions are the actions of the function api.
func allActions() []rpc.Action { return rpc.Actions() }

// targetWebhook is the program of the function webhook.
func targetWebhook() Program { return Webhook() }

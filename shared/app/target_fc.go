//go:build fc && !lambda

package app

import (
	"context"

	"chatconf/shared/app/target/fc"
)

// runTarget serves a program as a function of Function Compute, on Tablestore.
func runTarget(ctx context.Context, getenv func(string) string, p Program, names ...string) error {
	return serveFunction(ctx, getenv, fc.Read, p, names...)
}

// targetWebhook is the program of the function webhook.
func targetWebhook() Program { return Webhook() }

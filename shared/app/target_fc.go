//go:build fc && !lambda

package app

import (
	"context"

	"chatconf/shared/app/target/fc"
	"chatconf/shared/rpc"
)

// runTarget serves the actions as a function of Function Compute, on Tablestore.
func runTarget(ctx context.Context, getenv func(string) string, actions []rpc.Action) error {
	return serveFunction(ctx, getenv, fc.Read, actions)
}

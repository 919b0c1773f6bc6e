//go:build !fc && !lambda

package app

import (
	"context"

	"chatconf/shared/rpc"
)

// runTarget serves the actions over HTTP from the file table.
func runTarget(ctx context.Context, s Settings, actions []rpc.Action) error {
	return ServeLocal(ctx, s, func(Started) {}, actions...)
}

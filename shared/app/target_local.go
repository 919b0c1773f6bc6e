//go:build !fc && !lambda

package app

import (
	"context"

	"chatconf/shared/rpc"
)

// runTarget serves the actions over HTTP from the file table.
func runTarget(ctx context.Context, getenv func(string) string, actions []rpc.Action) error {
	settings, err := ReadSettings(getenv)
	if err != nil {
		return err
	}
	return ServeLocal(ctx, settings, func(Started) {}, actions...)
}

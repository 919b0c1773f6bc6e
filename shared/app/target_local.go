//go:build !fc && !lambda

package app

import (
	"context"
	"slices"

	"chatconf/shared/rpc"
)

// runTarget serves a program over HTTP from the file table.
func runTarget(ctx context.Context, getenv func(string) string, p Program, names ...string) error {
	settings, err := ReadSettings(getenv, names...)
	if err != nil {
		return err
	}
	return serveProgram(ctx, settings, func(Started) {}, p)
}

// allActions are the actions of the function api, which is alone here: the file has one owner.
func allActions() []rpc.Action { return slices.Concat(rpc.Actions(), rpc.KeyActions()) }

// targetWebhook is the program of the function webhook, which is alone here.
func targetWebhook() Program { return LocalWebhook() }

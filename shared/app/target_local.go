//go:build !fc && !lambda

package app

import "context"

// runTarget serves a program over HTTP from the file table.
func runTarget(ctx context.Context, getenv func(string) string, p Program, names ...string) error {
	settings, err := ReadSettings(getenv, names...)
	if err != nil {
		return err
	}
	return serveProgram(ctx, settings, func(Started) {}, p)
}

// targetWebhook is the program of the function webhook, which is alone here.
func targetWebhook() Program { return LocalWebhook() }

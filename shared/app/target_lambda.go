//go:build lambda && !fc

package app

import (
	"context"

	"chatconf/shared/cloud/aws"
	"chatconf/shared/rpc"
	"chatconf/shared/serve/lambda"
	target "chatconf/shared/target/aws"
)

// run runs a role as a function of AWS Lambda, on DynamoDB.
func run(ctx context.Context, getenv func(string) string, r Role, names ...string) error {
	f, err := NewFunction(getenv, aws.Read, r, names...)
	if err != nil {
		return err
	}
	return f.Serve(ctx, getenv, lambda.Runtime)
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

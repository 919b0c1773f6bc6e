//go:build lambda && !fc

package app

import (
	"context"

	"chatconf/shared/cloud/aws"
	"chatconf/shared/rpc"
	"chatconf/shared/serve/lambda"
)

// runTarget serves a program as a function of AWS Lambda, on DynamoDB.
func runTarget(ctx context.Context, getenv func(string) string, p Program, names ...string) error {
	return serveFunction(ctx, getenv, aws.Read, lambda.Runtime, p, names...)
}

// allActions are the actions of the function api.
func allActions() []rpc.Action { return rpc.Actions() }

// targetWebhook is the program of the function webhook.
func targetWebhook() Program { return Webhook() }

//go:build lambda && !fc

package app

import (
	"context"

	"chatconf/shared/app/target/lambda"
	"chatconf/shared/rpc"
)

// runTarget serves the actions as a function of AWS Lambda, on DynamoDB.
func runTarget(ctx context.Context, getenv func(string) string, actions []rpc.Action) error {
	return serveFunction(ctx, getenv, lambda.Read, actions)
}

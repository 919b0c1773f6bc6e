// Package lambda is the runtime of AWS Lambda's provided environments, through aws-lambda-go. Build
// it with the tag lambda.norpc: without it, the SDK links net/rpc for an environment that no longer
// exists.
package lambda

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	sdk "github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambda/messages"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"chatconf/shared/serve"
)

// variable has the address of Lambda's runtime API.
const variable = "AWS_LAMBDA_RUNTIME_API"

// Runtime is AWS Lambda. The function is warmed in the init phase, before the first invocation.
// SIGTERM and the end of the context stop it after current invocations; an internal extension is
// registered for SIGTERM. When the runtime API is gone, the SDK ends the process.
var Runtime = serve.Runtime{Variable: variable, Name: "AWS Lambda", Serve: run}

// The time for current invocations, and for the SDK to send the last answer. With an internal
// extension, Lambda kills the process 500 ms after SIGTERM:
// https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html#runtimes-lifecycle-shutdown.
// Tests change them.
var (
	drainTime = 300 * time.Millisecond
	sendTime  = 100 * time.Millisecond
)

// run serves p at address. The SDK's loop never returns and continues when run does; the process
// must end then.
func run(ctx context.Context, address string, p serve.Function) error {
	running := serve.Start(p)
	// The SDK reads the variable itself.
	if os.Getenv(variable) != address {
		if err := os.Setenv(variable, address); err != nil {
			return errors.Join(fmt.Errorf("serve/lambda: %w", err), running.Stop(0, 0))
		}
	}
	base := context.WithoutCancel(ctx)
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM)
	defer stop()
	// The option registers the extension, while the function is being warmed.
	made := make(chan sdk.Handler, 1)
	go func() {
		made <- sdk.NewHandlerWithOptions(handler{running}, sdk.WithContext(base), sdk.WithEnableSIGTERM())
	}()
	serve.Warm(ctx, p)
	go func() { sdk.Start(<-made) }()
	<-ctx.Done()
	return running.Stop(drainTime, sendTime)
}

// A handler is the SDK's Handler of one function.
type handler struct{ running *serve.Running }

var _ sdk.Handler = handler{}

// Invoke implements sdk.Handler.
func (h handler) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	call := serve.Call{Function: lambdacontext.FunctionName}
	if c, ok := lambdacontext.FromContext(ctx); ok {
		call.RequestID = c.AwsRequestID
	}
	answer, err := h.running.Deliver(ctx, call, payload)
	var failure *serve.Failure
	if errors.As(err, &failure) {
		return nil, messages.InvokeResponse_Error{Message: failure.Error(), Type: failure.Code}
	}
	return answer, err
}

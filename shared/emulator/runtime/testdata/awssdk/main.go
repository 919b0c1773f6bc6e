// Command awssdk is a Lambda function for each kind of handler of the SDK. MODE selects one.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-lambda-go/lambdaurl"
)

type person struct {
	Name string
	Age  int
}

// A codedError has its own type in the error document.
type codedError struct{}

func (codedError) Error() string { return "on purpose" }

var handlers = map[string]any{
	"typed": func(p person) (string, error) { return fmt.Sprintf("%s is %d", p.Name, p.Age), nil },
	"context": func(ctx context.Context) (map[string]any, error) {
		known, ok := lambdacontext.FromContext(ctx)
		deadline, limited := ctx.Deadline()
		if !ok || !limited {
			return nil, errors.New("no context")
		}
		return map[string]any{
			"request": known.AwsRequestID, "arn": known.InvokedFunctionArn, "name": lambdacontext.FunctionName,
			"memory": lambdacontext.MemoryLimitInMB,
			"group":  lambdacontext.LogGroupName, "deadline": deadline.UnixMilli(),
			"trace": ctx.Value("x-amzn-trace-id"),
		}, nil
	},
	"error":   func() error { return codedError{} },
	"nothing": func() {},
	"gateway": func(r events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
		return events.APIGatewayV2HTTPResponse{
			StatusCode: http.StatusAccepted, Body: r.Body + " at " + r.RawPath, Cookies: []string{"a=b", "c=d"},
		}, nil
	},
	"queue": func(e events.SQSEvent) (events.SQSEventResponse, error) {
		var r events.SQSEventResponse
		for _, m := range e.Records {
			if strings.Contains(m.Body, "fail") {
				r.BatchItemFailures = append(r.BatchItemFailures,
					events.SQSBatchItemFailure{ItemIdentifier: m.MessageId})
			}
		}
		return r, nil
	},
	"url": lambdaurl.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(http.StatusAccepted)
		for range 3 { // without buffering
			fmt.Fprintln(w, r.Method, r.URL.Path)
		}
	})),
	"stream": func() (io.Reader, error) { return strings.NewReader("as it is"), nil },
}

func main() {
	mode := os.Getenv("MODE")
	if handlers[mode] == nil {
		fmt.Println("unknown MODE", mode)
		os.Exit(2)
	}
	lambda.Start(handlers[mode])
}

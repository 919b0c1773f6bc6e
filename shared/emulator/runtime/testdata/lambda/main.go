// Command lambda is hello as a function of Lambda.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"

	"github.com/aws/aws-lambda-go/lambda"

	"chatconf/shared/emulator/runtime/testdata/hello"
)

type handler struct{}

func (handler) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	return hello.Handle(ctx, payload)
}

// A stream is an HTTP answer that is sent without buffering.
type stream struct{ io.Reader }

func (stream) ContentType() string { return "application/vnd.awslambda.http-integration-response" }

// MarshalJSON fails. If it succeeded, aws-lambda-go would send the JSON instead of the stream.
func (stream) MarshalJSON() ([]byte, error) { return nil, errors.New("not JSON") }

// streamed answers with a stream, complete or broken.
func streamed(_ context.Context, payload json.RawMessage) (io.Reader, error) {
	if strings.Contains(string(payload), "broken") {
		return stream{hello.Broken("some of it")}, nil
	}
	return stream{strings.NewReader(`{"statusCode":201,"headers":{"X-Stream":"yes"},"cookies":["a=b"]}` +
		strings.Repeat("\x00", 8) + "streamed body")}, nil
}

func main() {
	hello.Start()
	if os.Getenv("HELLO_STREAM") != "" {
		lambda.Start(streamed)
	}
	if os.Getenv("HELLO_TERM") != "" {
		lambda.StartWithOptions(handler{}, lambda.WithEnableSIGTERM())
	}
	lambda.Start(handler{})
}

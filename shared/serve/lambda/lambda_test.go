package lambda_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"chatconf/shared/serve"
	"chatconf/shared/serve/lambda"
	"chatconf/shared/serve/servetest"
)

func TestMain(m *testing.M) {
	servetest.Main(m, lambda.Runtime, func(ctx context.Context, kind string) context.Context {
		lambda.SetTimes(time.Minute, time.Second)
		if kind == "deaf" {
			return context.WithoutCancel(ctx) // only the SDK hears SIGTERM
		}
		return ctx
	})
}

// start starts a platform, and returns the names under which extensions are registered.
func start(t *testing.T) (p *servetest.Platform, extensions <-chan string) {
	t.Helper()
	p = servetest.Start(t, servetest.API{
		Path:      "/2018-06-01/runtime",
		RequestID: "Lambda-Runtime-Aws-Request-Id",
		Deadline:  "Lambda-Runtime-Deadline-Ms",
		Headers: map[string]string{
			"Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:123456789012:" +
				"function:get-chat-configuration"},
		Answered: http.StatusAccepted,
	})
	names := make(chan string, 10)
	p.Mux.HandleFunc("POST /2020-01-01/extension/register", func(w http.ResponseWriter, r *http.Request) {
		names <- r.Header.Get("Lambda-Extension-Name")
		w.Header().Set("Lambda-Extension-Identifier", "extension-1")
	})
	p.Mux.HandleFunc("GET /2020-01-01/extension/event/next",
		func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	return p, names
}

// child starts a function of a kind.
func child(t *testing.T, kind, address string) (c *exec.Cmd, out *servetest.Log, begun <-chan struct{}) {
	t.Helper()
	return servetest.Child(t, kind, "AWS_LAMBDA_RUNTIME_API="+address,
		"AWS_LAMBDA_FUNCTION_NAME=get-chat-configuration")
}

const request = `{"version":"2.0","rawPath":"%s","rawQueryString":"b=2&a=1","headers":{"host":"x.example"},` +
	`"requestContext":{"domainName":"x.example","http":{"method":"GET","protocol":"HTTP/1.1","sourceIp":"192.0.2.1"}}}`

// One process serves all of these, one after another: whatever happens in one, the next is served.
func TestRuntime(t *testing.T) {
	platform, extensions := start(t)
	log := new(servetest.Log)
	var warmed, closed atomic.Int32
	p := serve.Function{
		Handler: servetest.Handler{},
		Logger:  slog.New(slog.NewJSONHandler(log, nil)),
		Warm: func(context.Context) error {
			if platform.Asked() {
				t.Error("an invocation was asked for before the program was warm")
			}
			warmed.Add(1)
			return errors.New("no network")
		},
		Close: func() error { closed.Add(1); return errors.New("not flushed") },
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	t.Setenv("AWS_LAMBDA_RUNTIME_API", "192.0.2.1:1") // what Run is told counts
	go func() {
		done <- serve.Run(ctx, func(string) string { return platform.Address }, p, lambda.Runtime)
	}()

	past := map[string]string{"Lambda-Runtime-Deadline-Ms": strconv.FormatInt(time.Now().UnixMilli(), 10)}
	for _, test := range []struct {
		name, payload string
		headers       map[string]string
		kind, want    string
	}{
		{"a direct invocation", `{"Name":"<x>"}`, nil, "response",
			`{"id":"%s","data":{"Name":"<x>"},"key":"","limited":true}`},
		{"an HTTP request", fmt.Sprintf(request, "/a%20b"), nil, "response",
			`"cookies":["a=1"],"isBase64Encoded":false,"body":"GET /a%%20b?b=2&a=1 from 192.0.2.1, request %s"`},
		{"an HTTP request that panics", fmt.Sprintf(request, "/panic"), nil, "response", `{"statusCode":500`},
		{"an event that panics", `{"a":"panic"}`, nil, "error", `"errorType":"InternalError"`},
		{"an event that may succeed later", `{"a":"later"}`, nil, "error", `"errorType":"ServiceUnavailable"`},
		{"an event whose time is over", `{"a":"hang"}`, past, "error", `"errorType":"ServiceUnavailable"`},
		{"messages of which one may succeed later",
			`{"Records":[{"messageId":"m1","eventSource":"aws:sqs","body":"{}"},{"messageId":"m2",` +
				`"eventSource":"aws:sqs","body":"{\"a\":\"later\"}"}]}`, nil, "response",
			`{"batchItemFailures":[{"itemIdentifier":"m2"}]}`},
		{"an invalid payload", `nonsense`, nil, "response", `"Code":"InvalidEvent"`},
		{"no payload", ``, nil, "response", `"Code":"InvalidEvent"`},
		{"an invalid deadline", `{}`, map[string]string{"Lambda-Runtime-Deadline-Ms": "tomorrow"},
			"error", "failed to parse deadline"},
		{"an invalid client context", `{}`, map[string]string{"Lambda-Runtime-Client-Context": "{"},
			"error", "client context"},
		{"one more", `{}`, nil, "response", `"data":{}`},
	} {
		platform.Invoke(t, test.name, test.payload, test.headers, test.kind, test.want)
	}
	if name := <-extensions; name == "" {
		t.Error("an extension without a name was registered")
	}
	stop()
	if err := <-done; err == nil || err.Error() != "serve: close: not flushed" ||
		warmed.Load() != 1 || closed.Load() != 1 {
		t.Errorf("Run = %v, warmed %d times, closed %d times, want what Close said, once each",
			err, warmed.Load(), closed.Load())
	}
	log.Check(t, "no network", `"panic":"a planted panic"`, "servetest.go", "the planted detail",
		`"request_id":"request-an-event-that-panics"`)
}

// SIGTERM lets what is under way be answered, ends the program's work, and the process without an
// error, whoever hears it.
func TestSIGTERM(t *testing.T) {
	for _, kind := range []string{"hears", "deaf"} {
		t.Run(kind, func(t *testing.T) {
			platform, _ := start(t)
			c, out, begun := child(t, kind, platform.Address)
			platform.TerminateUnderWay(t, c, out, begun)
			if !strings.Contains(out.String(), "warmed\n") {
				t.Errorf("it was not warmed, and said %s", out)
			}
			if !strings.Contains(out.String(), `"request_id":"r1","function":"get-chat-configuration"`) {
				t.Errorf("the log does not name request and function: %s", out)
			}
		})
	}
}

// When the platform's API is gone, the process ends.
func TestGone(t *testing.T) {
	platform, _ := start(t)
	platform.Close()
	c, out, _ := child(t, "hears", platform.Address)
	err := c.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(out.String(),
		"failed to get the next invoke") {
		t.Errorf("the process ended with %v and said %s", err, out)
	}
}

package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
)

// A Handler serves HTTP requests and events.
type Handler interface {
	http.Handler
	// ServeEvent processes one event and returns the answer, as JSON, also if it refuses the
	// event. An error says that the same event may succeed when it is delivered again.
	ServeEvent(ctx context.Context, e Event) (answer []byte, err error)
}

// An Event is one message from a caller, a queue, a timer or a rule.
type Event struct {
	Source Source
	ID     string // of the message, the same when it is delivered again
	Data   []byte // the parameters of an action, as JSON
}

// A Source is where an event came from, for logs.
type Source string

// The sources of events.
const (
	Direct     Source = "direct"     // invoked with the action's parameters
	CloudEvent Source = "cloudevent" // EventBridge of either cloud
	SQS        Source = "sqs"
	MNS        Source = "mns"
	Timer      Source = "timer"
)

// A Function is a program that a runtime runs.
type Function struct {
	Handler Handler
	Logger  *slog.Logger
	// Warm prepares the function before the first invocation. An error is logged; the function
	// starts, and the first invocation tries again.
	Warm func(context.Context) error
	// Close ends the function's work before the process stops.
	Close func() error
}

// A Runtime is an environment that can run a function.
type Runtime struct {
	Variable string // the environment variable that selects the runtime
	Name     string // for errors
	// Serve serves p at the value of Variable until ctx ends or the runtime has no more work.
	Serve func(ctx context.Context, value string, p Function) error
}

// HTTPRuntime is an HTTP server on the address in CHATCONF_ADDR, host and port. It takes no events.
var HTTPRuntime = Runtime{Variable: "CHATCONF_ADDR", Name: "plain HTTP", Serve: serveHTTP}

// serveHTTP serves p on an address until ctx ends, also while p is being warmed.
func serveHTTP(ctx context.Context, address string, p Function) error {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return errors.Join(fmt.Errorf("serve: %w", err), Close(p))
	}
	p.logger().Info("listening", "address", l.Addr().String())
	warm := make(chan struct{})
	go func() {
		defer close(warm)
		Warm(ctx, p)
	}()
	err = HTTP(ctx, l, p.Handler, p.logger(), Limits{})
	<-warm
	return errors.Join(err, Close(p))
}

// Run serves p under the first of the runtimes whose variable is set.
func Run(ctx context.Context, getenv func(string) string, p Function, runtimes ...Runtime) error {
	looked := make([]string, len(runtimes))
	for i, r := range runtimes {
		if value := getenv(r.Variable); value != "" {
			return r.Serve(ctx, value, p)
		}
		looked[i] = fmt.Sprintf("%s (%s)", r.Variable, r.Name)
	}
	return fmt.Errorf("serve: no runtime found; set one of %s", strings.Join(looked, ", "))
}

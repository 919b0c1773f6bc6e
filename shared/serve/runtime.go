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

// A Handler is what a runtime serves: requests, and messages of the event doors.
type Handler interface {
	http.Handler
	// ServeEvent does what one message asks for and returns the answer, JSON as it would be over
	// HTTP, a refusal included. An error says that the same message may succeed later, and is worth
	// another delivery.
	ServeEvent(ctx context.Context, e Event) (answer []byte, err error)
}

// An Event is one message that came through an event door.
type Event struct {
	Door Door
	ID   string // the message's own id, which is the same when it is delivered again
	Data []byte // what it carries: the parameters of an action, as JSON
}

// A Door is where an event came from, as logs name it.
type Door string

// The event doors.
const (
	Direct     Door = "direct"     // invoked with the action's parameters
	CloudEvent Door = "cloudevent" // EventBridge, of either cloud
	SQS        Door = "sqs"
	MNS        Door = "mns"
	Timer      Door = "timer"
)

// A Function is what a runtime runs.
type Function struct {
	Handler Handler
	Logger  *slog.Logger
	// Warm does ahead of the first invocation what every invocation needs. What it cannot do, the
	// first invocation does; so its error is logged and does not keep the function from starting.
	Warm func(context.Context) error
	// Close ends the function's work before its process is stopped.
	Close func() error
}

// A Runtime is one way to be run.
type Runtime struct {
	Variable string // of the environment, that says the runtime is there
	Name     string // for people
	// Serve serves p at the variable's value until ctx ends or the runtime has no more work.
	Serve func(ctx context.Context, value string, p Function) error
}

// HTTPRuntime is a plain HTTP server on the address of CHATCONF_ADDR, host and port. It has no
// event doors.
var HTTPRuntime = Runtime{Variable: "CHATCONF_ADDR", Name: "plain HTTP", Serve: serveHTTP}

// serveHTTP serves p on an address until ctx ends. It takes requests while p is getting warm.
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

// Run serves p under the first of the runtimes that the environment names.
func Run(ctx context.Context, getenv func(string) string, p Function, runtimes ...Runtime) error {
	looked := make([]string, len(runtimes))
	for i, r := range runtimes {
		if value := getenv(r.Variable); value != "" {
			return r.Serve(ctx, value, p)
		}
		looked[i] = fmt.Sprintf("%s (%s)", r.Variable, r.Name)
	}
	return fmt.Errorf("serve: no runtime is there; looked for %s", strings.Join(looked, ", "))
}

// Package fc is the runtime of Function Compute 3.0's built-in Go environment, through
// fc-runtime-go-sdk.
package fc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	sdk "github.com/aliyun/fc-runtime-go-sdk/fc"
	"github.com/aliyun/fc-runtime-go-sdk/fc/messages"
	"github.com/aliyun/fc-runtime-go-sdk/fccontext"

	"chatconf/shared/invoke"
	"chatconf/shared/serve"
)

// variable is where the platform says that it is there, and where.
const variable = "FC_RUNTIME_API"

// Runtime is Function Compute. The initializer, where the function has one, warms the function;
// pre-stop ends its work, and so does the end of the context, which waits for invocations under
// way. When the platform's API is gone for GoneTime, Serve returns an error.
var Runtime = serve.Runtime{Variable: variable, Name: "Function Compute", Serve: run}

// GoneTime is how long the platform's API may be out of reach, and goneTries how often: an instance
// may be frozen between two tries.
const (
	GoneTime  = 10 * time.Second
	goneTries = 10
)

// Variables for tests: GoneTime, and what the SDK is given to send the last answer.
var (
	goneTime = GoneTime
	sendTime = 500 * time.Millisecond
)

// errGone is why Serve returns when nobody has asked it to.
var errGone = errors.New("serve/fc: the runtime API is gone")

// run serves p at address. The SDK's loop never returns, so it is left behind when run does; the
// process is to end then.
func run(ctx context.Context, address string, p serve.Function) error {
	r := &runner{function: p, running: serve.Start(p)}
	// The SDK looks for itself.
	if os.Getenv(variable) != address {
		if err := os.Setenv(variable, address); err != nil {
			return errors.Join(fmt.Errorf("serve/fc: %w", err), r.running.Stop(0, 0))
		}
	}
	gone := watch(address, goneTime)
	sdk.RegisterInitializerFunction(r.initialize)
	sdk.RegisterPreStopFunction(r.preStop)
	go sdk.Start(r.invoke)
	select {
	case <-gone:
		return errors.Join(errGone, r.running.Stop(0, 0))
	case <-ctx.Done():
		return r.running.Stop(serve.DrainTime, sendTime)
	}
}

// A runner is one function under the platform.
type runner struct {
	function serve.Function
	running  *serve.Running
}

// initialize warms the function, with the credentials that the platform gives for it.
func (r *runner) initialize(ctx context.Context) {
	call := callOf(ctx)
	serve.Warm(invoke.With(ctx, &invoke.Invocation{RequestID: serve.RequestID(call.RequestID),
		Credentials: call.Credentials, Logger: r.function.Logger}), r.function)
}

// preStop ends the function's work. What goes wrong is logged: the SDK's hook has no error.
func (r *runner) preStop(ctx context.Context) {
	if err := r.running.Stop(serve.DrainTime, sendTime); err != nil && r.function.Logger != nil {
		r.function.Logger.ErrorContext(ctx, "not stopped cleanly", "error", err)
	}
}

// invoke serves one invocation. It is a function, and its answer raw JSON, because the SDK takes
// nothing else as it is.
func (r *runner) invoke(ctx context.Context, payload []byte) (json.RawMessage, error) {
	answer, err := r.running.Deliver(ctx, callOf(ctx), payload)
	var failure *serve.Failure
	if errors.As(err, &failure) {
		return nil, messages.InvokeResponse_Error{Message: failure.Error(), Type: failure.Code}
	}
	return answer, err
}

// callOf returns what the platform says of an invocation or a life cycle call.
func callOf(ctx context.Context) (call serve.Call) {
	if c, ok := fccontext.FromContext(ctx); ok {
		call.RequestID = c.RequestID
		call.Function = c.Function.Name
		call.Credentials = invoke.Credentials{
			AccessKeyID:     c.Credentials.AccessKeyId,
			AccessKeySecret: c.Credentials.AccessKeySecret,
			SecurityToken:   c.Credentials.SecurityToken,
		}
	}
	return call
}

// watch returns a channel that is closed when address has been out of reach for limit. The SDK asks
// for the next invocation again at once when it could not ask, for ever and with a whole core; its
// HTTP client is the default one, so it is held back where it dials.
func watch(address string, limit time.Duration) <-chan struct{} {
	w := &watchdog{address: address, limit: limit, now: time.Now, pause: invoke.Sleep, gone: make(chan struct{})}
	if transport, ok := http.DefaultTransport.(*http.Transport); ok {
		if w.dial = transport.DialContext; w.dial == nil {
			w.dial = new(net.Dialer).DialContext
		}
		transport.DialContext = w.dialContext
	}
	return w.gone
}

// A watchdog dials, and holds back who dials in vain.
type watchdog struct {
	address string
	limit   time.Duration
	dial    func(ctx context.Context, network, address string) (net.Conn, error)
	now     func() time.Time
	pause   func(context.Context, time.Duration) error

	mu    sync.Mutex
	since time.Time // of the first failure after the last success
	tries int       // that failed since the last success
	gone  chan struct{}
	over  bool // gone is closed
}

// The pauses between two tries double from the least to the most.
const (
	leastPause = time.Millisecond
	mostPause  = 500 * time.Millisecond
)

func (w *watchdog) dialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := w.dial(ctx, network, address)
	if address != w.address {
		return conn, err
	}
	if err == nil {
		w.reached()
		return conn, nil
	}
	rest, over := w.missed()
	if over {
		<-ctx.Done() // the process ends; until then the SDK's loop is to rest
		return nil, errGone
	}
	w.pause(ctx, rest)
	return nil, err
}

// reached notes a try that succeeded.
func (w *watchdog) reached() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tries = 0
}

// missed notes a try that failed. It returns how long to rest, and whether the address is gone.
func (w *watchdog) missed() (rest time.Duration, over bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.tries == 0 {
		w.since = w.now()
	}
	w.tries++
	if !w.over && w.tries >= goneTries && w.now().Sub(w.since) >= w.limit {
		w.over = true
		close(w.gone)
	}
	return min(leastPause<<min(w.tries-1, 16), mostPause), w.over
}

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

// variable has the address of Function Compute's runtime API.
const variable = "FC_RUNTIME_API"

// Runtime is Function Compute. The initializer, if the function has one, warms the function.
// Pre-stop and the end of the context stop it after current invocations. Serve returns an error
// when the runtime API has been unreachable for GoneTime.
var Runtime = serve.Runtime{Variable: variable, Name: "Function Compute", Serve: run}

// The runtime API is gone after GoneTime without a connection, and goneTries tries: an instance may
// be frozen between two tries.
const (
	GoneTime  = 10 * time.Second
	goneTries = 10
)

// GoneTime, and the time for the SDK to send the last answer. Tests change them.
var (
	goneTime = GoneTime
	sendTime = 500 * time.Millisecond
)

var errGone = errors.New("serve/fc: the runtime API cannot be reached any more")

// run serves p at address. The SDK's loop never returns and continues when run does; the process
// must end then.
func run(ctx context.Context, address string, p serve.Function) error {
	r := &runner{function: p, running: serve.Start(p)}
	// The SDK reads the variable itself.
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

type runner struct {
	function serve.Function
	running  *serve.Running
}

// initialize warms the function, with the credentials of the initializer's call.
func (r *runner) initialize(ctx context.Context) {
	call := callOf(ctx)
	serve.Warm(invoke.With(ctx, &invoke.Invocation{RequestID: serve.RequestID(call.RequestID),
		Credentials: call.Credentials, Logger: r.function.Logger}), r.function)
}

// preStop stops the function. It logs an error, because the SDK's hook returns none.
func (r *runner) preStop(ctx context.Context) {
	if err := r.running.Stop(serve.DrainTime, sendTime); err != nil && r.function.Logger != nil {
		r.function.Logger.ErrorContext(ctx, "stopping failed", "error", err)
	}
}

// invoke serves one invocation. The answer is raw JSON, which the SDK does not encode again.
func (r *runner) invoke(ctx context.Context, payload []byte) (json.RawMessage, error) {
	answer, err := r.running.Deliver(ctx, callOf(ctx), payload)
	var failure *serve.Failure
	if errors.As(err, &failure) {
		return nil, messages.InvokeResponse_Error{Message: failure.Error(), Type: failure.Code}
	}
	return answer, err
}

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

// watch returns a channel that is closed when address has been unreachable for limit. After an
// error, the SDK asks for the next invocation again at once, forever, with a full core. It uses the
// default HTTP client, so watch slows down that client's dials.
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

// A watchdog dials, with a pause after each failure.
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

// The pauses after failures double from the first to the last.
const (
	firstPause = time.Millisecond
	lastPause  = 500 * time.Millisecond
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
		<-ctx.Done() // block the SDK's loop until the process ends
		return nil, errGone
	}
	w.pause(ctx, rest)
	return nil, err
}

func (w *watchdog) reached() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tries = 0
}

// missed notes a failure. It returns the pause, and whether the address is gone.
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
	return min(firstPause<<min(w.tries-1, 16), lastPause), w.over
}

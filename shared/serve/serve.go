// Package serve connects runtimes to handlers: it turns each invocation into one call of an
// http.Handler or of a handler of events. It knows nothing of the service behind them.
//
// A function runs under the first Runtime whose environment variable is set. The HTTP server is in
// this package. Function Compute and AWS Lambda are the packages fc and lambda, so that a binary
// links only one SDK. Deliver decodes the payloads of both.
package serve

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"chatconf/shared/invoke"
)

// DrainTime is how long a stopping server waits for current requests. A second remains to close the
// rest: process managers kill after five seconds or more.
const DrainTime = 4 * time.Second

// maxHeaderBytes is the size of URL and headers that net/http reads before it gives up without a
// readable answer. It is larger than the limits of handlers, so that they can answer in their own
// form.
const maxHeaderBytes = 48 << 10

// Main calls run. SIGINT and SIGTERM end its context. After an error, Main writes it to standard
// error and exits with code 1.
func Main(run func(context.Context) error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

// HTTP serves h on l until ctx ends, then accepts no more requests, waits up to DrainTime for
// current ones, closes l and returns. Each request has an invocation with a new request id. Limits
// bound connections and bodies; see gate.
func HTTP(ctx context.Context, l net.Listener, h http.Handler, logger *slog.Logger, limits Limits) error {
	gate := newGate(l, limits, logger)
	server := &http.Server{
		Handler:   gate.handler(invoked(h, logger)),
		ConnState: gate.state,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx,
				connKey{}, c)
		},
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          log.New(serverLog{logger}, "", 0),
	}
	stopped := make(chan error, 1)
	go func() { stopped <- server.Serve(gate) }()
	select {
	case err := <-stopped:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), DrainTime)
	defer cancel()
	if err := server.Shutdown(drain); errors.Is(err, context.DeadlineExceeded) {
		logger.Warn("the time to stop is over; current requests were cut off", "after", DrainTime)
		server.Close()
	}
	return nil
}

// A serverLog receives the log lines of net/http. Unauthenticated clients cause most of them, such
// as failed TLS handshakes.
type serverLog struct{ *slog.Logger }

func (l serverLog) Write(line []byte) (int, error) {
	text := strings.TrimSuffix(string(line), "\n")
	about, _, _ := strings.Cut(text, " from ") // an address follows
	l.WarnContext(invoke.Repeatable(context.Background(), "net/http "+about[:min(len(about), 64)]), text)
	return len(line), nil
}

func invoked(h http.Handler, logger *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r.WithContext(invoke.With(r.Context(), &invoke.Invocation{
			RequestID: invoke.NewRequestID(),
			SourceIP:  hostOf(r.RemoteAddr),
			Secure:    r.TLS != nil,
			Logger:    logger,
		})))
	})
}

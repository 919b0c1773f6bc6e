// Package serve is the doors: it turns what a runtime delivers into one call of an http.Handler, or
// of a handler of events. It knows nothing of what is served.
//
// A function runs under the first Runtime of its table that the environment names. A plain HTTP
// server is here; Function Compute and AWS Lambda are packages of their own, fc and lambda, so that
// a binary links the SDK of one only. What the two deliver is decoded here, in Deliver.
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

// DrainTime is how long requests under way are waited for when the server is told to stop. What is
// closed after them has another second until whoever stopped it loses patience.
const DrainTime = 4 * time.Second

// maxHeaderBytes is what net/http reads of URL and headers before it gives up without an answer
// that a client could read. It is larger than what a handler takes, so that the handler can say so
// in its own form.
const maxHeaderBytes = 48 << 10

// Main runs a function until it is done, or until SIGINT or SIGTERM ends its context. An error goes
// to standard error and makes the exit code 1.
func Main(run func(context.Context) error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

// HTTP serves h on l until ctx ends, then takes no more requests, waits up to DrainTime for those
// under way, and returns. Each request carries an invocation with a fresh request id. What is held
// at once is bound by limits; see gate. HTTP closes l.
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
		logger.Warn("requests under way were cut off", "after", DrainTime)
		server.Close()
	}
	return nil
}

// A serverLog takes the lines that net/http writes of its own. Strangers cause most of them, such
// as that of a TLS handshake that fails.
type serverLog struct{ *slog.Logger }

func (l serverLog) Write(line []byte) (int, error) {
	text := strings.TrimSuffix(string(line), "\n")
	about, _, _ := strings.Cut(text, " from ") // what follows is an address
	l.WarnContext(invoke.Repeatable(context.Background(), "net/http "+about[:min(len(about), 64)]), text)
	return len(line), nil
}

// invoked gives every request its invocation.
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

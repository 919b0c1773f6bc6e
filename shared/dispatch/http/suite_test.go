package http_test

import (
	"context"
	"encoding/pem"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/dial"
	"chatconf/shared/dispatch/dispatchtest"
	targethttp "chatconf/shared/dispatch/http"
)

// The suite of all targets, with an endpoint of this machine.
func TestSuite(t *testing.T) {
	dispatchtest.Run(t, func(t *testing.T) *dispatchtest.Fixture {
		var started atomic.Int32
		server := dispatchtest.NewService(t, true, func(w http.ResponseWriter, _ *http.Request) {
			started.Add(1)
			io.WriteString(w, `{"text":"done"}`)
		}, func(w http.ResponseWriter, fault dispatchtest.Fault) {
			if fault == dispatchtest.Busy {
				w.WriteHeader(http.StatusTooManyRequests)
				return
			}
			w.WriteHeader(http.StatusForbidden)
			io.WriteString(w, `{"text":"planted-answer"}`)
		})
		authority, err := dial.ParseRoots(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE",
			Bytes: server.Certificate().Raw})))
		if err != nil {
			t.Fatal(err)
		}
		client := targethttp.New(targethttp.Options{
			Transport: dial.NewRedirected(map[string]string{"example.com:443": server.Listener.Addr().String()},
				authority),
			Wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
		})
		t.Cleanup(client.Close)
		return &dispatchtest.Fixture{
			Target:        client,
			Type:          command.TargetHTTP,
			Configuration: `{"Type":"Http","Url":"https://example.com/?key=planted-key","Secret":"` + secret + `"}`,
			Started:       func() int { return int(started.Load()) },
			Fault:         server.Set,
			Secrets:       []string{"planted-key", "planted-answer", secret},
		}
	})
}

package fc_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"chatconf/shared/invoke"
	"chatconf/shared/serve"
	"chatconf/shared/serve/fc"
	"chatconf/shared/serve/servetest"
)

func TestMain(m *testing.M) {
	servetest.Main(m, fc.Runtime, func(ctx context.Context, _ string) context.Context {
		fc.SetTimes(100*time.Millisecond, time.Second)
		return ctx
	})
}

// start starts a platform.
func start(t *testing.T) *servetest.Platform {
	t.Helper()
	return servetest.Start(t, servetest.API{
		Path:      "/2020-11-11/runtime",
		RequestID: "x-fc-request-id",
		Deadline:  "x-fc-function-deadline",
		Headers: map[string]string{
			"x-fc-function-timeout": "60",
			"x-fc-function-name":    "get-chat-configuration",
			"x-fc-access-key-id":    "fake-id", "x-fc-access-key-secret": "fake-secret",
			"x-fc-security-token": "fake-token",
		},
		Answered: http.StatusOK,
	})
}

const request = `{"version":"v1","rawPath":"%s","headers":{"Host":"x.example"},"queryParameters":{"a":"b"},` +
	`"requestContext":{"domainName":"x.example","http":{"method":"GET","protocol":"HTTP/1.1","sourceIp":"192.0.2.1"}}}`

// One process serves all of these, one after another: whatever happens in one, the next is served.
func TestRuntime(t *testing.T) {
	platform := start(t)
	log := new(servetest.Log)
	var warmed, closed atomic.Int32
	p := serve.Function{
		Handler: servetest.Handler{},
		Logger:  slog.New(slog.NewJSONHandler(log, nil)),
		Warm: func(ctx context.Context) error {
			warmed.Add(1)
			// What is asked for then, of the table and the key service, is asked with these: there
			// may be no others.
			want := invoke.Credentials{AccessKeyID: "fake-id", AccessKeySecret: "fake-secret",
				SecurityToken: "fake-token"}
			if inv := invoke.From(ctx); inv.Credentials != want ||
				!strings.HasPrefix(inv.RequestID, "request-the-initializer") {
				t.Errorf("the initializer has the credentials %t, and the request id %q",
					inv.Credentials == want, inv.RequestID)
			}
			return errors.New("no network")
		},
		Close: func() error { closed.Add(1); return errors.New("not flushed") },
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	t.Setenv("FC_RUNTIME_API", "192.0.2.1:1") // what Run is told counts
	go func() {
		done <- serve.Run(ctx, func(string) string { return platform.Address }, p, fc.Runtime)
	}()

	past := map[string]string{"x-fc-function-deadline": strconv.FormatInt(time.Now().UnixMilli(), 10)}
	for _, test := range []struct {
		name, payload string
		headers       map[string]string
		kind, want    string
	}{
		{"the initializer, which cannot do its work", "", map[string]string{"x-fc-function-type": "1"}, "response", ""},
		{"a direct invocation", `{"Name":"<x>"}`, nil, "response",
			`{"id":"%s","data":{"Name":"\u003cx\u003e"},"key":"fake-secret","limited":true}`},
		{"an HTTP request", fmt.Sprintf(request, "/a%20b"), nil, "response",
			`"body":"GET /a%%20b?a=b from 192.0.2.1, request %s"`},
		{"an HTTP request that panics", fmt.Sprintf(request, "/panic"), nil, "response", `{"statusCode":500`},
		{"an event that panics", `{"a":"panic"}`, nil, "error", `"errorType":"InternalError"`},
		{"an event that may succeed later", `{"a":"later"}`, nil, "error", `"errorType":"ServiceUnavailable"`},
		{"an event whose time is over", `{"a":"hang"}`, past, "error", `"errorType":"ServiceUnavailable"`},
		{"an invalid payload", `nonsense`, nil, "response", `"Code":"InvalidEvent"`},
		{"no payload", ``, nil, "response", `"Code":"InvalidEvent"`},
		{"a life cycle call that nobody asked for", ``, map[string]string{"x-fc-function-type": "3"},
			"error", `no prefreeze`},
		{"a type that is unknown", `{}`, map[string]string{"x-fc-function-type": "9"}, "response", `"data":{}`},
		{"pre-stop", "", map[string]string{"x-fc-function-type": "2"}, "response", ""},
		{"an invocation after it", `{}`, nil, "response", `"data":{}`},
	} {
		platform.Invoke(t, test.name, test.payload, test.headers, test.kind, test.want)
	}
	if warmed.Load() != 1 || closed.Load() != 1 {
		t.Errorf("warmed %d times, closed %d times, want once each", warmed.Load(), closed.Load())
	}

	// The SDK does not answer an invocation whose headers are broken; the next one is served.
	platform.Deliver("broken", `{}`, map[string]string{"x-fc-function-deadline": "tomorrow"})
	platform.Deliver("broken", `{}`, map[string]string{"x-fc-function-timeout": ""})
	platform.Deliver("whole", `{}`, nil)
	if got := <-platform.Answers; got.ID != "whole" || got.Kind != "response" {
		t.Errorf("after broken headers: %+v", got)
	}

	stop()
	if err := <-done; err == nil || err.Error() != "serve: close: not flushed" || closed.Load() != 1 {
		t.Errorf("Run = %v, closed %d times, want what Close said, once", err, closed.Load())
	}
	log.Check(t, "no network", "not flushed", `"panic":"a planted panic"`, "servetest.go", "the planted detail",
		`"request_id":"request-an-event-that-panics","function":"get-chat-configuration"`)
	if text := log.String(); strings.Contains(text, "fake-secret") || strings.Contains(text, "fake-token") {
		t.Errorf("the log has credentials: %s", text)
	}
}

// SIGTERM lets what is under way be answered, ends the program's work, and the process without an
// error.
func TestSIGTERM(t *testing.T) {
	platform := start(t)
	c, out, begun := servetest.Child(t, "function", "FC_RUNTIME_API="+platform.Address)
	platform.TerminateUnderWay(t, c, out, begun)
}

// When the platform's API is gone, the process ends, and has not spun.
func TestGone(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	c, out, _ := servetest.Child(t, "function", "FC_RUNTIME_API="+address)
	err = c.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(out.String(),
		"the runtime API cannot be reached") ||
		!strings.Contains(out.String(), "closed\n") {
		t.Errorf("the process ended with %v and said %s", err, out)
	}
	if n := strings.Count(out.String(), "failed to get invoke request"); n < 2 || n > 100 {
		t.Errorf("the SDK asked %d times", n)
	}
}

func TestWatchdog(t *testing.T) {
	const address = "192.0.2.1:9001"
	now := time.Unix(0, 0)
	var fail error
	var pauses []time.Duration
	ours, theirs := net.Pipe()
	defer ours.Close()
	defer theirs.Close()
	w := fc.NewWatchdog(address, func(context.Context, string, string) (net.Conn, error) {
		if fail != nil {
			return nil, fail
		}
		return ours, nil
	}, func() time.Time { return now }, func(d time.Duration) { pauses = append(pauses, d); now = now.Add(d) })
	gone := func() bool {
		select {
		case <-w.Gone():
			return true
		default:
			return false
		}
	}
	if conn, err := w.Dial(t.Context(), address); conn != ours || err != nil || len(pauses) != 0 {
		t.Errorf("Dial = %v, %v, pauses %v", conn, err, pauses)
	}
	fail = errors.New("refused")
	for range 25 { // somebody else's trouble
		if _, err := w.Dial(t.Context(), "192.0.2.2:1"); err != fail || len(pauses) != 0 {
			t.Fatalf("Dial of another address = %v, pauses %v", err, pauses)
		}
	}
	for range 12 {
		if _, err := w.Dial(t.Context(), address); err != fail {
			t.Fatalf("Dial = %v, want %v", err, fail)
		}
	}
	if pauses[0] != time.Millisecond || pauses[1] != 2*time.Millisecond || pauses[11] != 500*time.Millisecond {
		t.Errorf("pauses = %v", pauses)
	}
	fail = nil
	if _, err := w.Dial(t.Context(), address); err != nil {
		t.Errorf("Dial = %v", err)
	}
	fail = errors.New("refused again")
	for range 3 { // frozen for an hour between two tries
		w.Dial(t.Context(), address)
		now = now.Add(time.Hour)
	}
	if gone() {
		t.Fatal("gone after three tries")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // else who dials rests for ever
	for tries := 3; !gone(); tries++ {
		if tries == 10 {
			t.Fatal("not gone after ten tries in hours")
		}
		w.Dial(ctx, address)
	}
	before := len(pauses)
	if conn, err := w.Dial(ctx, address); conn != nil || err == nil ||
		!strings.Contains(err.Error(), "cannot be reached") || len(pauses) != before {
		t.Errorf("Dial of what is gone = %v, %v", conn, err)
	}
}

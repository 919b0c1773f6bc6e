package fc_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"chatconf/shared/invoke"
	"chatconf/shared/serve"
	"chatconf/shared/serve/fc"
)

// asChild is the environment variable that makes the test binary a function.
const asChild = "CHATCONF_TEST_FUNCTION"

func TestMain(m *testing.M) {
	if os.Getenv(asChild) != "" {
		fc.SetTimes(100*time.Millisecond, time.Second)
		serve.Main(func(ctx context.Context) error {
			return serve.Run(ctx, os.Getenv, serve.Program{
				Handler: handler{},
				Logger:  slog.New(slog.NewJSONHandler(os.Stdout, nil)),
				Close:   func() error { _, err := fmt.Println("closed"); return err },
			}, fc.Runtime)
		})
		os.Exit(0)
	}
	stdlog.SetOutput(io.Discard) // what the SDK says of its own
	os.Exit(m.Run())
}

// A handler does as it is told.
type handler struct{}

func (handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/panic" {
		panic("a planted panic")
	}
	inv := invoke.From(r.Context())
	fmt.Fprintf(w, "%s %s from %s, request %s", r.Method, r.RequestURI, inv.SourceIP, inv.RequestID)
}

func (handler) ServeEvent(ctx context.Context, e serve.Event) ([]byte, error) {
	inv := invoke.From(ctx)
	_, limited := ctx.Deadline()
	switch {
	case bytes.Contains(e.Data, []byte("panic")):
		panic("a planted panic")
	case bytes.Contains(e.Data, []byte("later")):
		return nil, errors.New("the planted detail")
	case bytes.Contains(e.Data, []byte("hang")):
		<-ctx.Done()
		return nil, ctx.Err()
	case bytes.Contains(e.Data, []byte("until SIGTERM")):
		signaled := make(chan os.Signal, 1)
		signal.Notify(signaled, syscall.SIGTERM)
		inv.Logger.Info("begun")
		<-signaled
	}
	inv.Logger.Info("event")
	return fmt.Appendf(nil, `{"id":%q,"data":%s,"key":%q,"limited":%v}`, e.ID, e.Data, inv.Credentials.AccessKeySecret, limited), nil
}

// An api is the platform as the SDK sees it.
type api struct {
	*httptest.Server
	next    chan delivery
	answers chan answer
}

type delivery struct {
	id, payload string
	headers     map[string]string
}

type answer struct {
	id, kind string // kind is response or error
	body     string
}

// startAPI starts a platform. It is not closed: the SDK's loop never ends.
func startAPI(t *testing.T) *api {
	t.Helper()
	a := &api{next: make(chan delivery), answers: make(chan answer, 10)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2020-11-11/runtime/invocation/next", func(w http.ResponseWriter, r *http.Request) {
		select {
		case d := <-a.next:
			for name, value := range d.headers {
				w.Header().Set(name, value)
			}
			w.Header().Set("x-fc-request-id", d.id)
			io.WriteString(w, d.payload)
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("POST /2020-11-11/runtime/invocation/{id}/{kind}", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		a.answers <- answer{r.PathValue("id"), r.PathValue("kind"), string(body)}
	})
	a.Server = httptest.NewServer(mux)
	return a
}

func (a *api) address() string { return strings.TrimPrefix(a.URL, "http://") }

// deliver hands out one invocation, which has a minute or what headers say.
func (a *api) deliver(id, payload string, headers map[string]string) {
	all := map[string]string{
		"x-fc-function-deadline": strconv.FormatInt(time.Now().Add(time.Minute).UnixMilli(), 10),
		"x-fc-function-timeout":  "60",
		"x-fc-function-name":     "get-chat-configuration",
		"x-fc-access-key-id":     "fake-id", "x-fc-access-key-secret": "fake-secret", "x-fc-security-token": "fake-token",
	}
	for name, value := range headers {
		all[name] = value
	}
	a.next <- delivery{id, payload, all}
}

// A log keeps what is logged.
type log struct {
	mu    sync.Mutex
	text  bytes.Buffer
	begun chan struct{} // closed when the handler says so; may be nil
}

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, err := l.text.Write(b)
	if l.begun != nil && bytes.Contains(l.text.Bytes(), []byte(`"begun"`)) {
		close(l.begun)
		l.begun = nil
	}
	return n, err
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

const request = `{"version":"v1","rawPath":"%s","headers":{"Host":"x.example"},"queryParameters":{"a":"b"},"requestContext":{"domainName":"x.example","http":{"method":"GET","protocol":"HTTP/1.1","sourceIp":"192.0.2.1"}}}`

// One process serves all of these, one after another: whatever happens in one, the next is served.
func TestRuntime(t *testing.T) {
	a := startAPI(t)
	l := &log{}
	var warmed, closed atomic.Int32
	p := serve.Program{
		Handler: handler{},
		Logger:  slog.New(slog.NewJSONHandler(l, nil)),
		Warm: func(ctx context.Context) error {
			warmed.Add(1)
			// What is asked for then, of the table and the key service, is asked with these: there may be no others.
			want := invoke.Credentials{AccessKeyID: "fake-id", AccessKeySecret: "fake-secret", SecurityToken: "fake-token"}
			if inv := invoke.From(ctx); inv.Credentials != want || !strings.HasPrefix(inv.RequestID, "request-the-initializer") {
				t.Errorf("the initializer has the credentials %t, and the request id %q", inv.Credentials == want, inv.RequestID)
			}
			return errors.New("no network")
		},
		Close: func() error { closed.Add(1); return errors.New("not flushed") },
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	t.Setenv("FC_RUNTIME_API", "192.0.2.1:1") // what Run is told counts
	go func() {
		done <- serve.Run(ctx, func(string) string { return a.address() }, p, fc.Runtime)
	}()

	past := map[string]string{"x-fc-function-deadline": strconv.FormatInt(time.Now().UnixMilli(), 10)}
	for _, test := range []struct {
		name, payload string
		headers       map[string]string
		kind, want    string
	}{
		{"the initializer, which cannot do its work", "", map[string]string{"x-fc-function-type": "1"}, "response", ""},
		{"a direct invocation", `{"Name":"<x>"}`, nil, "response", `{"id":"%s","data":{"Name":"\u003cx\u003e"},"key":"fake-secret","limited":true}`},
		{"an HTTP request", fmt.Sprintf(request, "/a%20b"), nil, "response", `"body":"GET /a%%20b?a=b from 192.0.2.1, request %s"`},
		{"an HTTP request that panics", fmt.Sprintf(request, "/panic"), nil, "response", `{"statusCode":500`},
		{"an event that panics", `{"a":"panic"}`, nil, "error", `"errorType":"InternalError"`},
		{"an event that may succeed later", `{"a":"later"}`, nil, "error", `"errorType":"ServiceUnavailable"`},
		{"an event whose time is over", `{"a":"hang"}`, past, "error", `"errorType":"ServiceUnavailable"`},
		{"a payload that is none", `nonsense`, nil, "response", `"Code":"InvalidEvent"`},
		{"no payload", ``, nil, "response", `"Code":"InvalidEvent"`},
		{"a life cycle call that nobody asked for", ``, map[string]string{"x-fc-function-type": "3"}, "error", `no prefreeze`},
		{"a type that is unknown", `{}`, map[string]string{"x-fc-function-type": "9"}, "response", `"data":{}`},
		{"pre-stop", "", map[string]string{"x-fc-function-type": "2"}, "response", ""},
		{"an invocation after it", `{}`, nil, "response", `"data":{}`},
	} {
		id := "request-" + strings.ReplaceAll(test.name, " ", "-")
		id = strings.ReplaceAll(id, ",", "")
		a.deliver(id, test.payload, test.headers)
		got := <-a.answers
		want := test.want
		if strings.Contains(want, "%s") {
			want = fmt.Sprintf(want, id)
		}
		if got.id != id || got.kind != test.kind || !strings.Contains(got.body, want) || strings.Contains(got.body, "planted") {
			t.Errorf("%s: %+v, want %s with %s", test.name, got, test.kind, want)
		}
	}
	if warmed.Load() != 1 || closed.Load() != 1 {
		t.Errorf("warmed %d times, closed %d times, want once each", warmed.Load(), closed.Load())
	}

	// The SDK does not answer an invocation whose headers are broken; the next one is served.
	a.deliver("broken", `{}`, map[string]string{"x-fc-function-deadline": "tomorrow"})
	a.deliver("broken", `{}`, map[string]string{"x-fc-function-timeout": ""})
	a.deliver("whole", `{}`, nil)
	if got := <-a.answers; got.id != "whole" || got.kind != "response" {
		t.Errorf("after broken headers: %+v", got)
	}

	stop()
	if err := <-done; err == nil || err.Error() != "serve: close: not flushed" || closed.Load() != 1 {
		t.Errorf("Run = %v, closed %d times, want what Close said, once", err, closed.Load())
	}
	text := l.String()
	for _, want := range []string{"no network", "not flushed", `"panic":"a planted panic"`, "fc_test.go", "the planted detail", `"request_id":"request-an-event-that-panics","function":"get-chat-configuration"`} {
		if !strings.Contains(text, want) {
			t.Errorf("the log has no %q: %s", want, text)
		}
	}
	if strings.Contains(text, "fake-secret") || strings.Contains(text, "fake-token") {
		t.Errorf("the log has credentials: %s", text)
	}
	for line := range strings.Lines(text) {
		if !json.Valid([]byte(line)) {
			t.Errorf("a line of the log is no JSON: %s", line)
		}
	}
}

// A child is the test binary as a function, in a process of its own.
func child(t *testing.T, address string) (c *exec.Cmd, out *log, begun <-chan struct{}) {
	t.Helper()
	began := make(chan struct{})
	out = &log{begun: began}
	c = exec.CommandContext(t.Context(), os.Args[0])
	c.Env = []string{asChild + "=1", "FC_RUNTIME_API=" + address}
	c.Stdout, c.Stderr = out, out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	return c, out, began
}

// SIGTERM lets what is under way be answered, ends the program's work, and the process without an error.
func TestSIGTERM(t *testing.T) {
	a := startAPI(t)
	c, out, begun := child(t, a.address())
	a.deliver("r1", `{"a":"until SIGTERM"}`, nil)
	<-begun
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if got := <-a.answers; got.id != "r1" || got.kind != "response" {
		t.Errorf("what was under way: %+v", got)
	}
	if err := c.Wait(); err != nil || !strings.Contains(out.String(), "closed\n") {
		t.Errorf("the process ended with %v and said %s", err, out)
	}
}

// When the platform's API is gone, the process ends, and has not spun.
func TestGone(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	c, out, _ := child(t, address)
	err = c.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(out.String(), "the runtime API is gone") || !strings.Contains(out.String(), "closed\n") {
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
	if conn, err := w.Dial(ctx, address); conn != nil || err == nil || !strings.Contains(err.Error(), "gone") || len(pauses) != before {
		t.Errorf("Dial of what is gone = %v, %v", conn, err)
	}
}

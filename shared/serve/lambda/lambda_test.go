package lambda_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"log/slog"
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
	"chatconf/shared/serve/lambda"
)

// asChild is the environment variable that makes the test binary a function.
const asChild = "CHATCONF_TEST_FUNCTION"

func TestMain(m *testing.M) {
	if os.Getenv(asChild) != "" {
		lambda.SetTimes(time.Minute, time.Second)
		serve.Main(func(ctx context.Context) error {
			if os.Getenv(asChild) == "deaf" {
				ctx = context.WithoutCancel(ctx) // only the SDK hears SIGTERM
			}
			return serve.Run(ctx, os.Getenv, serve.Program{
				Handler: handler{},
				Logger:  slog.New(slog.NewJSONHandler(os.Stdout, nil)),
				Warm:    func(context.Context) error { _, err := fmt.Println("warmed"); return err },
				Close:   func() error { _, err := fmt.Println("closed"); return err },
			}, lambda.Runtime)
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
	http.SetCookie(w, &http.Cookie{Name: "a", Value: "1"})
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
	return fmt.Appendf(nil, `{"id":%q,"data":%s,"limited":%v}`, e.ID, e.Data, limited), nil
}

// An api is the platform as the SDK sees it.
type api struct {
	*httptest.Server
	asked   chan struct{} // for the next invocation
	next    chan delivery
	answers chan answer
	names   chan string // of extensions
}

type delivery struct {
	id, payload string
	headers     map[string]string
}

type answer struct {
	id, kind string // kind is response or error
	body     string
}

// startAPI starts a platform. It is not closed: the SDK's loop never ends, but with the process.
func startAPI(t *testing.T) *api {
	t.Helper()
	a := &api{asked: make(chan struct{}, 100), next: make(chan delivery), answers: make(chan answer, 10), names: make(chan string, 10)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", func(w http.ResponseWriter, r *http.Request) {
		a.asked <- struct{}{}
		select {
		case d := <-a.next:
			for name, value := range d.headers {
				w.Header().Set(name, value)
			}
			w.Header().Set("Lambda-Runtime-Aws-Request-Id", d.id)
			io.WriteString(w, d.payload)
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/{kind}", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		a.answers <- answer{r.PathValue("id"), r.PathValue("kind"), string(body)}
		w.WriteHeader(http.StatusAccepted)
	})
	mux.HandleFunc("POST /2020-01-01/extension/register", func(w http.ResponseWriter, r *http.Request) {
		a.names <- r.Header.Get("Lambda-Extension-Name")
		w.Header().Set("Lambda-Extension-Identifier", "extension-1")
	})
	mux.HandleFunc("GET /2020-01-01/extension/event/next", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	a.Server = httptest.NewServer(mux)
	return a
}

func (a *api) address() string { return strings.TrimPrefix(a.URL, "http://") }

// deliver hands out one invocation, which has a minute or what headers say.
func (a *api) deliver(id, payload string, headers map[string]string) {
	all := map[string]string{
		"Lambda-Runtime-Deadline-Ms":          strconv.FormatInt(time.Now().Add(time.Minute).UnixMilli(), 10),
		"Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:123456789012:function:get-chat-configuration",
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

const request = `{"version":"2.0","rawPath":"%s","rawQueryString":"b=2&a=1","headers":{"host":"x.example"},"requestContext":{"domainName":"x.example","http":{"method":"GET","protocol":"HTTP/1.1","sourceIp":"192.0.2.1"}}}`

// One process serves all of these, one after another: whatever happens in one, the next is served.
func TestRuntime(t *testing.T) {
	a := startAPI(t)
	l := &log{}
	var warmed, closed atomic.Int32
	p := serve.Program{
		Handler: handler{},
		Logger:  slog.New(slog.NewJSONHandler(l, nil)),
		Warm: func(context.Context) error {
			if len(a.asked) != 0 {
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
		done <- serve.Run(ctx, func(string) string { return a.address() }, p, lambda.Runtime)
	}()

	past := map[string]string{"Lambda-Runtime-Deadline-Ms": strconv.FormatInt(time.Now().UnixMilli(), 10)}
	for _, test := range []struct {
		name, payload string
		headers       map[string]string
		kind, want    string
	}{
		{"a direct invocation", `{"Name":"<x>"}`, nil, "response", `{"id":"%s","data":{"Name":"<x>"},"limited":true}`},
		{"an HTTP request", fmt.Sprintf(request, "/a%20b"), nil, "response", `"cookies":["a=1"],"isBase64Encoded":false,"body":"GET /a%%20b?b=2&a=1 from 192.0.2.1, request %s"`},
		{"an HTTP request that panics", fmt.Sprintf(request, "/panic"), nil, "response", `{"statusCode":500`},
		{"an event that panics", `{"a":"panic"}`, nil, "error", `"errorType":"InternalError"`},
		{"an event that may succeed later", `{"a":"later"}`, nil, "error", `"errorType":"ServiceUnavailable"`},
		{"an event whose time is over", `{"a":"hang"}`, past, "error", `"errorType":"ServiceUnavailable"`},
		{"messages of which one may succeed later", `{"Records":[{"messageId":"m1","eventSource":"aws:sqs","body":"{}"},{"messageId":"m2","eventSource":"aws:sqs","body":"{\"a\":\"later\"}"}]}`, nil, "response", `{"batchItemFailures":[{"itemIdentifier":"m2"}]}`},
		{"a payload that is none", `nonsense`, nil, "response", `"Code":"InvalidEvent"`},
		{"no payload", ``, nil, "response", `"Code":"InvalidEvent"`},
		{"a deadline that is none", `{}`, map[string]string{"Lambda-Runtime-Deadline-Ms": "tomorrow"}, "error", "failed to parse deadline"},
		{"a client context that is none", `{}`, map[string]string{"Lambda-Runtime-Client-Context": "{"}, "error", "client context"},
		{"one more", `{}`, nil, "response", `"data":{}`},
	} {
		id := "request-" + strings.ReplaceAll(test.name, " ", "-")
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
	if name := <-a.names; name == "" {
		t.Error("an extension without a name was registered")
	}
	stop()
	if err := <-done; err == nil || err.Error() != "serve: close: not flushed" || warmed.Load() != 1 || closed.Load() != 1 {
		t.Errorf("Run = %v, warmed %d times, closed %d times, want what Close said, once each", err, warmed.Load(), closed.Load())
	}
	text := l.String()
	for _, want := range []string{"no network", `"panic":"a planted panic"`, "lambda_test.go", "the planted detail", `"request_id":"request-an-event-that-panics"`} {
		if !strings.Contains(text, want) {
			t.Errorf("the log has no %q: %s", want, text)
		}
	}
	for line := range strings.Lines(text) {
		if !json.Valid([]byte(line)) {
			t.Errorf("a line of the log is no JSON: %s", line)
		}
	}
}

// A child is the test binary as a function, in a process of its own.
func child(t *testing.T, kind, address string) (c *exec.Cmd, out *log, begun <-chan struct{}) {
	t.Helper()
	began := make(chan struct{})
	out = &log{begun: began}
	c = exec.CommandContext(t.Context(), os.Args[0])
	c.Env = []string{asChild + "=" + kind, "AWS_LAMBDA_RUNTIME_API=" + address, "AWS_LAMBDA_FUNCTION_NAME=get-chat-configuration"}
	c.Stdout, c.Stderr = out, out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	return c, out, began
}

// SIGTERM lets what is under way be answered, ends the program's work, and the process without an error, whoever hears it.
func TestSIGTERM(t *testing.T) {
	for _, kind := range []string{"hears", "deaf"} {
		t.Run(kind, func(t *testing.T) {
			a := startAPI(t)
			c, out, begun := child(t, kind, a.address())
			a.deliver("r1", `{"a":"until SIGTERM"}`, nil)
			<-begun
			if err := c.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if got := <-a.answers; got.id != "r1" || got.kind != "response" {
				t.Errorf("what was under way: %+v", got)
			}
			if err := c.Wait(); err != nil || !strings.Contains(out.String(), "warmed\n") || !strings.Contains(out.String(), "closed\n") {
				t.Errorf("the process ended with %v and said %s", err, out)
			}
			if !strings.Contains(out.String(), `"request_id":"r1","function":"get-chat-configuration"`) {
				t.Errorf("the log does not name request and function: %s", out)
			}
		})
	}
}

// When the platform's API is gone, the process ends.
func TestGone(t *testing.T) {
	a := startAPI(t)
	a.Close()
	c, out, _ := child(t, "hears", a.address())
	err := c.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(out.String(), "failed to get the next invoke") {
		t.Errorf("the process ended with %v and said %s", err, out)
	}
}

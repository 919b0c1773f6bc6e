// Package servetest is shared by the tests of the runtimes: a runtime API as an SDK sees it, a
// function for tests, and that function as a separate process.
package servetest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"chatconf/shared/invoke"
	"chatconf/shared/serve"
)

// An API has the differences between runtime APIs.
type API struct {
	Path      string // before invocation/next
	RequestID string // the header of an invocation's id
	Deadline  string // the header of its deadline
	Headers   map[string]string
	Answered  int // the status that the API gives to an answer
}

// A Platform delivers invocations and receives their answers.
type Platform struct {
	Mux     *http.ServeMux // for more paths
	Address string
	Answers chan Answer
	asked   chan struct{}
	next    chan delivery
	api     API
	server  *httptest.Server
}

type delivery struct {
	id, payload string
	headers     map[string]string
}

// An Answer is the answer to one invocation.
type Answer struct {
	ID, Kind string // Kind: response or error
	Body     string
}

// Start starts a platform. It is not closed, because an SDK's loop ends only with the process.
func Start(t testing.TB, api API) *Platform {
	t.Helper()
	p := &Platform{Mux: http.NewServeMux(), Answers: make(chan Answer, 10), asked: make(chan struct{}, 100),
		next: make(chan delivery), api: api}
	p.Mux.HandleFunc("GET "+api.Path+"/invocation/next", func(w http.ResponseWriter, r *http.Request) {
		p.asked <- struct{}{}
		select {
		case d := <-p.next:
			for name, value := range d.headers {
				w.Header().Set(name, value)
			}
			w.Header().Set(api.RequestID, d.id)
			io.WriteString(w, d.payload)
		case <-r.Context().Done():
		}
	})
	p.Mux.HandleFunc("POST "+api.Path+"/invocation/{id}/{kind}", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		p.Answers <- Answer{r.PathValue("id"), r.PathValue("kind"), string(body)}
		w.WriteHeader(api.Answered)
	})
	p.server = httptest.NewServer(p.Mux)
	p.Address = strings.TrimPrefix(p.server.URL, "http://")
	return p
}

// Close closes the server.
func (p *Platform) Close() { p.server.Close() }

// Asked reports whether the runtime has asked for an invocation.
func (p *Platform) Asked() bool { return len(p.asked) > 0 }

// Deliver delivers one invocation, with a deadline of a minute or that in headers.
func (p *Platform) Deliver(id, payload string, headers map[string]string) {
	all := maps.Clone(p.api.Headers)
	all[p.api.Deadline] = strconv.FormatInt(time.Now().Add(time.Minute).UnixMilli(), 10)
	maps.Copy(all, headers)
	p.next <- delivery{id, payload, all}
}

// Invoke delivers one invocation and checks its answer: the kind, and a part of the body, in which
// %s is the request id. The body must not contain "planted". The request id is made of the name.
func (p *Platform) Invoke(t *testing.T, name, payload string, headers map[string]string, kind, want string) {
	t.Helper()
	id := "request-" + strings.NewReplacer(" ", "-", ",", "").Replace(name)
	p.Deliver(id, payload, headers)
	got := <-p.Answers
	if strings.Contains(want, "%s") {
		want = fmt.Sprintf(want, id)
	}
	if got.ID != id || got.Kind != kind || !strings.Contains(got.Body, want) || strings.Contains(got.Body, "planted") {
		t.Errorf("%s: %+v, want %s with %s", name, got, kind, want)
	}
}

// A Handler is a function whose path or event tells what it does.
type Handler struct{}

var _ serve.Handler = Handler{}

// ServeHTTP panics at /panic, and answers with the request at other paths.
func (Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/panic" {
		panic("a planted panic")
	}
	inv := invoke.From(r.Context())
	http.SetCookie(w, &http.Cookie{Name: "a", Value: "1"})
	fmt.Fprintf(w, "%s %s from %s, request %s", r.Method, r.RequestURI, inv.SourceIP, inv.RequestID)
}

// ServeEvent panics, fails, hangs until its context ends or waits for SIGTERM, as the data says,
// and answers with the event.
func (Handler) ServeEvent(ctx context.Context, e serve.Event) ([]byte, error) {
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
	return fmt.Appendf(nil, `{"id":%q,"data":%s,"key":%q,"limited":%v}`, e.ID, e.Data,
		inv.Credentials.AccessKeySecret, limited), nil
}

// A Log keeps log lines.
type Log struct {
	mu    sync.Mutex
	text  bytes.Buffer
	begun chan struct{} // closed when the handler logs "begun"; may be nil
}

// Write implements io.Writer.
func (l *Log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, err := l.text.Write(b)
	if l.begun != nil && bytes.Contains(l.text.Bytes(), []byte(`"begun"`)) {
		close(l.begun)
		l.begun = nil
	}
	return n, err
}

// String returns the log.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// Check checks that every line is JSON, and that the log contains all wanted texts.
func (l *Log) Check(t *testing.T, wanted ...string) {
	t.Helper()
	text := l.String()
	for _, want := range wanted {
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

// asChild is the environment variable that makes a test binary a function; its value is the kind.
const asChild = "CHATCONF_TEST_FUNCTION"

// Main is TestMain of a runtime's tests. In a process that Child started, it runs the function
// under the runtime, with the context that prepare returns.
func Main(m *testing.M, r serve.Runtime, prepare func(ctx context.Context, kind string) context.Context) {
	if kind := os.Getenv(asChild); kind != "" {
		serve.Main(func(ctx context.Context) error {
			return serve.Run(prepare(ctx, kind), os.Getenv, serve.Function{
				Handler: Handler{},
				Logger:  slog.New(slog.NewJSONHandler(os.Stdout, nil)),
				Warm:    func(context.Context) error { _, err := fmt.Println("warmed"); return err },
				Close:   func() error { _, err := fmt.Println("closed"); return err },
			}, r)
		})
		os.Exit(0)
	}
	stdlog.SetOutput(io.Discard) // the SDK's own lines
	os.Exit(m.Run())
}

// Child starts the test binary as a function of a kind, in a separate process. begun is closed when
// the handler logs "begun".
func Child(t *testing.T, kind string, env ...string) (c *exec.Cmd, out *Log, begun <-chan struct{}) {
	t.Helper()
	began := make(chan struct{})
	out = &Log{begun: began}
	c = exec.CommandContext(t.Context(), os.Args[0])
	c.Env = append([]string{asChild + "=" + kind}, env...)
	c.Stdout, c.Stderr = out, out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	return c, out, began
}

// TerminateUnderWay sends SIGTERM to a child during an invocation. It checks that the answer is
// sent, the function closed, and the process ends without an error.
func (p *Platform) TerminateUnderWay(t *testing.T, c *exec.Cmd, out *Log, begun <-chan struct{}) {
	t.Helper()
	p.Deliver("r1", `{"a":"until SIGTERM"}`, nil)
	<-begun
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if got := <-p.Answers; got.ID != "r1" || got.Kind != "response" {
		t.Errorf("what was under way: %+v", got)
	}
	if err := c.Wait(); err != nil || !strings.Contains(out.String(), "closed\n") {
		t.Errorf("the process ended with %v and said %s", err, out)
	}
}

// Package servetest is what the tests of the clouds' runtimes share: a platform as an SDK sees it,
// a function that does as it is told, and that function in a process of its own.
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

// An API is what runtime APIs differ in.
type API struct {
	Path      string // before invocation/next
	RequestID string // the header of an invocation's id
	Deadline  string // the header of its deadline
	Headers   map[string]string
	Answered  int // the status of what is answered to an answer
}

// A Platform hands out invocations and takes their answers.
type Platform struct {
	Mux     *http.ServeMux // for what else the platform has
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

// An Answer is what a runtime said of one invocation.
type Answer struct {
	ID, Kind string // Kind is response or error
	Body     string
}

// Start starts a platform. It is not closed: an SDK's loop never ends, but with the process.
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

// Close makes the platform gone.
func (p *Platform) Close() { p.server.Close() }

// Asked reports whether an invocation was ever asked for.
func (p *Platform) Asked() bool { return len(p.asked) > 0 }

// Deliver hands out one invocation, which has a minute or what headers say.
func (p *Platform) Deliver(id, payload string, headers map[string]string) {
	all := maps.Clone(p.api.Headers)
	all[p.api.Deadline] = strconv.FormatInt(time.Now().Add(time.Minute).UnixMilli(), 10)
	maps.Copy(all, headers)
	p.next <- delivery{id, payload, all}
}

// Invoke delivers one invocation and holds its answer against what is wanted: a kind, and a part of
// the body, in which %s is the request id. No answer shows what a function keeps to itself. The id
// is "request-" and the name with hyphens, without commas.
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

// A Handler does as it is told by paths and data.
type Handler struct{}

var _ serve.Handler = Handler{}

// ServeHTTP panics at /panic, and says elsewhere what it was asked.
func (Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/panic" {
		panic("a planted panic")
	}
	inv := invoke.From(r.Context())
	http.SetCookie(w, &http.Cookie{Name: "a", Value: "1"})
	fmt.Fprintf(w, "%s %s from %s, request %s", r.Method, r.RequestURI, inv.SourceIP, inv.RequestID)
}

// ServeEvent panics, fails, hangs until its context ends or waits for SIGTERM if the data say so,
// and answers what it was given.
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

// A Log keeps what is logged.
type Log struct {
	mu    sync.Mutex
	text  bytes.Buffer
	begun chan struct{} // closed when the handler says so; may be nil
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

// String returns what was logged.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// Check proves that every line is JSON, and that the log says all that is wanted.
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

// asChild is the environment variable that makes a test binary a function, of the kind that it
// says.
const asChild = "CHATCONF_TEST_FUNCTION"

// Main is TestMain of a runtime's tests. In a process that Child starts it runs the function under
// the runtime instead, once prepare has seen to what that needs.
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
	stdlog.SetOutput(io.Discard) // what the SDK says of its own
	os.Exit(m.Run())
}

// Child starts the test binary as a function of a kind, in a process of its own; begun is closed
// when it logs that it has begun.
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

// TerminateUnderWay sends SIGTERM to a child while it serves an invocation, and proves that this is
// answered, and that the process then ends without an error, having closed its function.
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

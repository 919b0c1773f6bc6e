package localcloud

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"chatconf/shared/emulator/runtime"
	"chatconf/shared/rpc/sign"
	"chatconf/shared/serve"
)

// programs are the test functions of the runtime emulator, which are built once.
var programs sync.Map

// helloZip returns the zip file of the runtime emulator's test function.
func helloZip(t testing.TB, kind runtime.Kind) string {
	t.Helper()
	build, _ := programs.LoadOrStore(kind, sync.OnceValues(func() ([]byte, error) {
		dir, err := os.MkdirTemp("", "hello-")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
		cmd := exec.Command("go", "build", "-trimpath", "-tags", "lambda.norpc", "-o", filepath.Join(dir, "hello"),
			"chatconf/shared/emulator/runtime/testdata/"+kind.String())
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%w\n%s", err, out)
		}
		return os.ReadFile(filepath.Join(dir, "hello"))
	}))
	program, err := build.(func() ([]byte, error))()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	name := map[runtime.Kind]string{runtime.FC: "main", runtime.Lambda: "bootstrap"}[kind]
	header := &zip.FileHeader{Name: name, Method: zip.Store}
	header.SetMode(0o755)
	f, err := w.CreateHeader(header)
	if err == nil {
		_, err = f.Write(program)
	}
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "hello.zip")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A record is what a cloud has logged, and how often each function has reported an invocation.
type record struct {
	bytes.Buffer
	mu      sync.Mutex
	reports map[string]int
}

func (r *record) add(l runtime.Line) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if l.Stream == runtime.Platform && strings.Contains(l.Text, "Duration: ") {
		r.reports[l.Function]++
	}
}

func (r *record) count(function string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.reports[function]
}

// newCloud returns a cloud in which the test function has the given names, and its record.
func newCloud(t *testing.T, names ...string) (*Cloud, *record) {
	t.Helper()
	log := &record{reports: make(map[string]int)}
	c := New(Options{
		Log: log.add, Logger: slog.New(slog.NewTextHandler(log, nil)), Limits: serve.DefaultLimits(1 << 20),
	})
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	path := helloZip(t, runtime.FC)
	for _, name := range names {
		c.Add(runtime.Function{Name: name, Kind: runtime.FC, Zip: path, Timeout: 10 * time.Second, Memory: 128})
	}
	return c, log
}

// wait waits until something is so, which other processes bring about.
func wait(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after 20 seconds it is not so that %s", what)
		}
	}
}

// A request is led to a function by its host, by the route, or by its path, and else to the root
// function. The function sees the path that is its own.
func TestFront(t *testing.T) {
	c, log := newCloud(t, "api", "hello", "hook")
	hook := c.Function("hook")
	front := httptest.NewServer(c.Front("api", func(r *http.Request) http.Handler {
		if r.URL.Query().Has("hook") {
			return hook
		}
		return nil
	}))
	defer front.Close()
	for _, test := range []struct{ host, path, function, want string }{
		{"", "/hello/event", "hello", "/event"},
		{"", "/hello/event?a=b", "hello", "/event"},
		{"", "/api/event", "api", "/event"},
		{"", "/event", "api", "/event"},
		{"", "/event?hook", "hook", "/event"},
		{"", "/hello/event?hook", "hook", ""}, // which the test function does not know

		{"hello.localhost:9000", "/event", "hello", "/event"},
		{"hello.localhost", "/event?hook", "hello", "/event"},
		{"nobody.localhost", "/event", "api", "/event"},
	} {
		before := log.count(test.function)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, front.URL+
			test.path, strings.NewReader("text"))
		if err != nil {
			t.Fatal(err)
		}
		r.Host = test.host
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		var event struct{ RawPath string }
		err = json.NewDecoder(resp.Body).Decode(&event)
		resp.Body.Close()
		if err != nil || event.RawPath != test.want {
			t.Errorf("%s%s arrives as %+v: %v, want the path %s", test.host, test.path, event, err, test.want)
		}
		wait(t, test.host+test.path+" is reported by "+test.function,
			func() bool { return log.count(test.function) == before+1 })
	}
	none := c.Front("nobody", func(*http.Request) http.Handler { return nil })
	if w := answerOf(none, httptest.NewRequest(http.MethodGet, "/event", nil)); w.Code != http.StatusNotFound {
		t.Errorf("without a root function = %d, want 404", w.Code)
	}
	long := httptest.NewRequest(http.MethodPost, "/hello", nil)
	long.ContentLength = MaxBody + 1
	if w := answerOf(none, long); w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("a large body = %d, want 413", w.Code)
	}
	if c.Function("nobody") != nil || c.Functions() != 3 {
		t.Errorf("there is a function nobody, or %d functions", c.Functions())
	}
}

func TestAt(t *testing.T) {
	for path, want := range map[string]string{"/": "/", "/a%2Fb": "/a%2Fb", "/%e9": "/%e9",
		"/a b": "/a%20b", "/%zz": "/%25zz"} {
		r := at(httptest.NewRequest(http.MethodGet, "/f/x?q=1", nil), path)
		if got := r.URL.EscapedPath(); got != want || r.RequestURI != want+"?q=1" {
			t.Errorf("at %q: path %q, URI %q, want %q", path, got, r.RequestURI, want)
		}
	}
}

// A zip file that cannot be unpacked fails the function, and not the cloud. Only the log says why.
func TestAFunctionThatCannotBeUnpacked(t *testing.T) {
	c, log := newCloud(t)
	c.Add(runtime.Function{Name: "hello", Kind: runtime.FC, Zip: filepath.Join(t.TempDir(), "planted.zip")})
	front := c.Front("hello", func(*http.Request) http.Handler { return nil })
	w := answerOf(front, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Code != http.StatusBadGateway || strings.Contains(w.Body.String(), "planted") ||
		!strings.Contains(log.String(), "planted") {
		t.Errorf("answer = %d %s, want 502 without the reason, which is in the log: %s", w.Code, w.Body, log)
	}
	if err := c.tick(t.Context(), "hello", "{}"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("tick = %v, want that the zip file is missing", err)
	}
	if err := c.tick(t.Context(), "nobody", "{}"); err == nil {
		t.Error("tick of an unknown function is no error")
	}
}

// A timer invokes its function until the cloud is closed.
func TestEvery(t *testing.T) {
	c, log := newCloud(t, "hello")
	c.Every(time.Millisecond, "hello", `{}`)
	wait(t, "the function was invoked twice", func() bool { return log.count("hello") >= 2 })
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// Functions can be invoked by the API, signed with one of the keys, and the Tablestore answers.
func TestServers(t *testing.T) {
	c, _ := newCloud(t, "hello")
	var closed []string
	tables, err := c.OpenTablestore(filepath.Join(t.TempDir(), "ots.db"), map[string]string{"id": "not-a-real-secret"})
	if err != nil {
		t.Fatal(err)
	}
	c.OnClose(func() error { closed = append(closed, "first"); return nil })
	c.OnClose(func() error { closed = append(closed, "second"); return errors.New("on purpose") })
	api, err := c.ServeInvokeAPI(nil, "", given,
		runtime.Credentials{AccessKeyID: "other", AccessKeySecret: "not-a-real-secret"})
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]int{"other": http.StatusOK, "nobody": http.StatusForbidden} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, api+fcDialect.prefix+
			"hello/invocations", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Acs-Action", "InvokeFunction")
		r.Header.Set("X-Acs-Version", "2023-03-30")
		key := sign.Key{ID: id, Secret: "not-a-real-secret"}
		if err := key.SignACS3(r, []byte("{}"), time.Now(), "nonce-"+id); err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != want {
			t.Errorf("invoked by the key %s: %d %s, %v, want %d", id, resp.StatusCode, body, err, want)
		}
	}
	resp, err := http.Post(tables+"/ListTable", "application/octet-stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden && resp.StatusCode != http.StatusBadRequest &&
		resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("an unsigned request to the Tablestore = %d", resp.StatusCode)
	}
	if err := c.Close(); err == nil || err.Error() != "on purpose" ||
		!slices.Equal(closed, []string{"second", "first"}) {
		t.Errorf("Close = %v after %q", err, closed)
	}
	if _, err := http.Get(api); err == nil {
		t.Error("the API answers after Close")
	}
	if _, err := New(Options{}).OpenTablestore(filepath.Join(t.TempDir(), "none", "ots.db"), nil); err == nil {
		t.Error("a Tablestore in a folder that does not exist opens")
	}
}

// A function that works does not hold up the end for longer than it may, and is no error.
func TestCloseWaitsForNoFunction(t *testing.T) {
	c, log := newCloud(t, "hello")
	if err := c.Prepare("hello"); err != nil {
		t.Fatal(err)
	}
	work, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer work.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		payload := fmt.Appendf(nil, `{"Do":"wait","Arg":%q}`, work.Addr())
		result, err := c.Host().Invoke(context.Background(), "hello", runtime.Request{Payload: payload})
		if err == nil && result.Failure == runtime.Answered {
			t.Errorf("the function that waits has answered %s", result.Payload)
		}
	}()
	conn, err := work.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := c.Close(); err != nil {
		t.Errorf("Close = %v", err)
	}
	<-done
	if !strings.Contains(log.String(), "functions were killed") {
		t.Errorf("the log says %s", log)
	}
}

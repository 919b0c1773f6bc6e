package serve_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"chatconf/shared/invoke"
	"chatconf/shared/serve"
)

// A listener hands out connections in memory, so that time in these tests is synctest's.
type listener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newListener() *listener {
	return &listener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *listener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9000} }

var errRefused = errors.New("connection refused")

// dial returns the client's end of a new connection.
func (l *listener) dial() (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case l.conns <- theirs:
		return ours, nil
	case <-l.closed:
		return nil, errRefused
	}
}

// A server is HTTP under way.
type server struct {
	*listener
	stop context.CancelFunc
	done chan error
}

func start(t *testing.T, h http.HandlerFunc) *server {
	t.Helper()
	return startWithin(t, serve.Limits{}, h)
}

func startWithin(t *testing.T, limits serve.Limits, h http.HandlerFunc) *server {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	s := &server{newListener(), stop, make(chan error, 1)}
	go func() {
		s.done <- serve.HTTP(ctx, s.listener, h, slog.New(slog.NewTextHandler(io.Discard, nil)), limits)
	}()
	return s
}

// get makes one request on a connection of its own and returns status and body.
func (s *server) get(header string) (int, string, error) {
	c, err := s.dial()
	if err != nil {
		return 0, "", err
	}
	defer c.Close()
	go io.WriteString(c, "GET / HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n"+header+"\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0, "", err
	}
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

// Every request carries an invocation with an id of its own, where it came from, and the logger.
func TestRequestsCarryTheirInvocation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen []*invoke.Invocation
		s := start(t, func(w http.ResponseWriter, r *http.Request) { seen = append(seen, invoke.From(r.Context())) })
		for range 2 {
			if status, _, err := s.get(""); status != 200 || err != nil {
				t.Errorf("status %d, %v", status, err)
			}
		}
		if len(seen) != 2 || len(seen[0].RequestID) != 36 || seen[0].RequestID == seen[1].RequestID {
			t.Fatalf("invocations = %v", seen)
		}
		for _, inv := range seen {
			// net.Pipe's address
			if inv.SourceIP != "pipe" || inv.Secure || inv.Logger == nil || inv.Credentials != (invoke.Credentials{}) {
				t.Errorf("invocation = %+v", inv)
			}
		}
		s.stop()
		if err := <-s.done; err != nil {
			t.Errorf("HTTP = %v", err)
		}
	})
}

func TestSourceIP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	got := make(chan string, 1)
	go func() {
		done <- serve.HTTP(ctx, l,
			http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- invoke.From(r.Context()).SourceIP }),
			slog.New(slog.DiscardHandler), serve.Limits{})
	}()
	req, err := http.NewRequest(http.MethodGet, "http://"+l.Addr().String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Forwarded-For", "203.0.113.7") // anybody can write that
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if ip := <-got; ip != "127.0.0.1" {
		t.Errorf("source ip = %q, want 127.0.0.1", ip)
	}
	stop()
	if err := <-done; err != nil {
		t.Errorf("HTTP = %v", err)
	}
	if _, err := net.Dial("tcp", l.Addr().String()); err == nil {
		t.Error("the listener is open after HTTP returned")
	}
}

// Told to stop, the server takes nothing new, and answers what is under way: its context goes on.
func TestDrainAnswersWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		entered := make(chan struct{})
		var ended error
		s := start(t, func(w http.ResponseWriter, r *http.Request) {
			close(entered)
			select {
			case <-time.After(serve.DrainTime - time.Second):
			case <-r.Context().Done():
			}
			ended = r.Context().Err()
			io.WriteString(w, "done")
		})
		answered := make(chan string, 1)
		go func() {
			_, body, err := s.get("")
			if err != nil {
				body = err.Error()
			}
			answered <- body
		}()
		<-entered
		began := time.Now()
		s.stop()
		synctest.Wait()
		if _, _, err := s.get(""); !errors.Is(err, errRefused) {
			t.Errorf("a new request while draining: %v, want it refused", err)
		}
		select {
		case err := <-s.done:
			t.Errorf("HTTP returned %v before the request was answered", err)
		default:
		}
		if body := <-answered; body != "done" {
			t.Errorf("the request under way got %q", body)
		}
		if ended != nil {
			t.Errorf("the request's context ended: %v", ended)
		}
		if err := <-s.done; err != nil {
			t.Errorf("HTTP = %v", err)
		}
		if took := time.Since(began); took > serve.DrainTime {
			t.Errorf("draining took %v, want at most %v", took, serve.DrainTime)
		}
	})
}

// A request that does not end is cut off when the time is over, and HTTP returns.
func TestDrainEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		entered, release := make(chan struct{}), make(chan struct{})
		s := start(t, func(_ http.ResponseWriter, r *http.Request) {
			close(entered)
			<-release
		})
		failed := make(chan error, 1)
		go func() {
			_, _, err := s.get("")
			failed <- err
		}()
		<-entered
		began := time.Now()
		s.stop()
		if err := <-s.done; err != nil {
			t.Errorf("HTTP = %v", err)
		}
		if took := time.Since(began); took != serve.DrainTime {
			t.Errorf("draining took %v, want %v", took, serve.DrainTime)
		}
		if err := <-failed; err == nil {
			t.Error("a request that was cut off had an answer")
		}
		close(release)
	})
}

// Idle connections hold nobody up.
func TestDrainClosesIdleConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok") })
		c, err := s.dial()
		if err != nil {
			t.Fatal(err)
		}
		go io.WriteString(c, "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(resp.Body); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		began := time.Now()
		s.stop()
		if err := <-s.done; err != nil || time.Since(began) > time.Second {
			t.Errorf("HTTP = %v after %v", err, time.Since(began))
		}
		c.Close()
	})
}

// A head larger than the handler would take still reaches it, so that the answer is in its form;
// one that is beyond all measure does not.
func TestLargeHeads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		called := 0
		s := start(t, func(w http.ResponseWriter, r *http.Request) { called++; w.WriteHeader(http.StatusTeapot) })
		for _, test := range []struct{ size, status, called int }{
			{40 << 10, http.StatusTeapot, 1},
			{100 << 10, http.StatusRequestHeaderFieldsTooLarge, 1},
		} {
			status, _, err := s.get("Cookie: " + strings.Repeat("a", test.size) + "\r\n")
			if status != test.status || called != test.called {
				t.Errorf("head of %d bytes: %d, %v, the handler was called %d times, want %d and %d", test.size, status,
					err, called, test.status, test.called)
			}
		}
		s.stop()
		<-s.done
	})
}

// A client that does not finish its head is not waited for.
func TestSlowHeads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, func(http.ResponseWriter, *http.Request) { t.Error("half a request was served") })
		c, err := s.dial()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		began := time.Now()
		go io.WriteString(c, "GET / HTTP/1.1\r\nHost:")
		io.Copy(io.Discard, c)
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("half a request was waited for %v", took)
		}
		s.stop()
		<-s.done
	})
}

// A listener that breaks is an error, not a server that serves nobody.
func TestBrokenListener(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := serve.HTTP(t.Context(), l, http.NotFoundHandler(), slog.New(slog.DiscardHandler),
		serve.Limits{}); err == nil || !strings.HasPrefix(err.Error(), "serve: ") {
		t.Errorf("HTTP = %v, want an error", err)
	}
}

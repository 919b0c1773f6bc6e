package serve_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"chatconf/shared/invoke"
	"chatconf/shared/serve"
)

// isOpen reports whether the server has not closed its end of a connection.
func isOpen(c net.Conn) bool {
	if err := c.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		return false // as net.Pipe says it
	}
	_, err := c.Read(make([]byte, 1))
	return errors.Is(err, os.ErrDeadlineExceeded)
}

// open opens n connections and writes text to each.
func (s *server) open(t *testing.T, n int, text string) []net.Conn {
	t.Helper()
	conns := make([]net.Conn, n)
	for i := range conns {
		c, err := s.dial()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if text != "" {
			go io.WriteString(c, text)
		}
		synctest.Wait()
		conns[i] = c
	}
	return conns
}

func (s *server) end(t *testing.T) {
	t.Helper()
	s.stop()
	if err := <-s.done; err != nil {
		t.Errorf("HTTP = %v", err)
	}
}

// Connections without a request give way at once, those that never sent one as well as those that
// are kept alive, the longest idle first.
func TestIdleConnectionsGiveWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startWithin(t, serve.Limits{Connections: 4},
			func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "served") })
		var kept []net.Conn
		for range 2 {
			c, err := s.dial()
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			go io.WriteString(c, "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil || resp.StatusCode != http.StatusOK {
				t.Fatalf("%v, %v", resp, err)
			}
			io.Copy(io.Discard, resp.Body)
			kept = append(kept, c)
			time.Sleep(time.Second)
		}
		silent := s.open(t, 100, "")
		began := time.Now()
		if status, body, err := s.get(""); status != http.StatusOK || body != "served" || err != nil {
			t.Errorf("a request beside 100 idle connections: %d %q, %v", status, body, err)
		}
		if took := time.Since(began); took > 100*time.Millisecond {
			t.Errorf("it took %v", took)
		}
		synctest.Wait()
		for i, c := range kept {
			if isOpen(c) {
				t.Errorf("connection %d, which was kept alive for longest, is open", i)
			}
		}
		left := 0
		for i, c := range silent {
			if isOpen(c) {
				left++
				if i < 96 {
					t.Errorf("silent connection %d is open, though later ones were closed", i)
				}
			}
		}
		if left != 3 {
			t.Errorf("%d silent connections are left of 4 places, want 3", left)
		}
		s.end(t)
	})
}

// Requests that come byte by byte have their second, and then give way to others: heads as well as
// bodies.
func TestSlowRequestsGiveWay(t *testing.T) {
	for name, start := range map[string]string{
		"heads":  "POST / HTTP/1.1\r\nHost: example.com\r\nX-",
		"bodies": "POST / HTTP/1.1\r\nHost: example.com\r\nContent-Length: 100000\r\n\r\nx",
		"chunks": "POST / HTTP/1.1\r\nHost: example.com\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var broken atomic.Int32
				s := startWithin(t, serve.Limits{Connections: 4, Bodies: 3},
					func(w http.ResponseWriter, r *http.Request) {
						if _, err := io.ReadAll(r.Body); err != nil {
							broken.Add(1)
						}
						io.WriteString(w, "served")
					})
				s.open(t, 3, start)
				began := time.Now()
				if status, body, err := s.get("Content-Length: 0\r\n"); status != http.StatusOK || body != "served" ||
					err != nil || time.Since(began) > 0 {
					t.Errorf("with a place left: %d %q, %v after %v", status, body, err, time.Since(began))
				}
				s.open(t, 1, start)
				for i := range 3 {
					began := time.Now()
					if status, body, err := s.get(""); status != http.StatusOK || body != "served" || err != nil ||
						time.Since(began) > 1200*time.Millisecond {
						t.Errorf("request %d beside slow ones: %d %q, %v after %v", i,
							status, body, err, time.Since(began))
					}
				}
				s.end(t)
				if name != "heads" && broken.Load() == 0 {
					t.Error("no slow body was cut off")
				}
			})
		})
	}
}

// Of bodies there are so many at once. Another one waits for its place, takes it from a slow one,
// or is told to come back.
func TestBodiesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s := startWithin(t, serve.Limits{Connections: 10, Bodies: 2}, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			if string(body) == "wait" {
				<-release
			}
			io.WriteString(w, "served")
		})
		post := func(body string) (*http.Response, error) {
			c, err := s.dial()
			if err != nil {
				return nil, err
			}
			t.Cleanup(func() { c.Close() })
			go fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: example.com\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
			return http.ReadResponse(bufio.NewReader(c), nil)
		}
		done := make(chan int, 2)
		for range 2 {
			go func() {
				resp, err := post("wait")
				if err != nil {
					t.Error(err)
				}
				done <- resp.StatusCode
			}()
		}
		synctest.Wait()
		began := time.Now()
		resp, err := post("third")
		if err != nil || resp.StatusCode != http.StatusServiceUnavailable ||
			resp.Header.Get("Retry-After") != "1" || !resp.Close {
			t.Fatalf("a third body: %v, %v, want 503", resp, err)
		}
		if took := time.Since(began); took < 900*time.Millisecond || took > 1100*time.Millisecond {
			t.Errorf("it waited for %v, want a second", took)
		}
		if status, _, err := s.get(""); status != http.StatusOK || err != nil {
			t.Errorf("a request without a body: %d, %v", status, err)
		}
		go func() { time.Sleep(500 * time.Millisecond); close(release) }()
		if resp, err := post("fourth"); err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("a body that waited: %v, %v", resp, err)
		}
		for range 2 {
			if status := <-done; status != http.StatusOK {
				t.Errorf("what was served meanwhile: %d", status)
			}
		}
		s.end(t)
	})
}

// A connection that waits for a place while the server ends is not kept.
func TestWaitingForAPlaceEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s := startWithin(t, serve.Limits{Connections: 1}, func(w http.ResponseWriter, r *http.Request) { <-release })
		s.open(t, 1, "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")
		waiting := s.open(t, 1, "")[0]
		if !isOpen(waiting) {
			t.Error("a connection that waits for a place was closed")
		}
		s.stop()
		synctest.Wait()
		if isOpen(waiting) {
			t.Error("a connection that waits for a place is open though the server ends")
		}
		close(release)
		if err := <-s.done; err != nil {
			t.Errorf("HTTP = %v", err)
		}
	})
}

// A brokenListener fails as often as it is told to before it accepts.
type brokenListener struct {
	*listener
	err   error
	fails atomic.Int32
	tries atomic.Int32
}

func (l *brokenListener) Accept() (net.Conn, error) {
	l.tries.Add(1)
	if l.fails.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: l.err}
	}
	return l.listener.Accept()
}

// Whatever Accept says but that the listener is closed, the server goes on, and does not spin.
func TestAcceptErrors(t *testing.T) {
	for _, err := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EPERM,
		syscall.EINVAL, errors.New("unknown")} {
		synctest.Test(t, func(t *testing.T) {
			l := &brokenListener{listener: newListener(), err: err}
			l.fails.Store(20)
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() {
				done <- serve.HTTP(ctx, l, http.NotFoundHandler(), slog.New(slog.DiscardHandler), serve.Limits{})
			}()
			time.Sleep(10 * time.Second)
			if tries := l.tries.Load(); tries < 10 || tries > 20 {
				t.Errorf("%v: %d tries in 10 s, want 10 to 20", err, tries)
			}
			s := &server{l.listener, stop, done}
			if status, _, err := s.get(""); status != http.StatusNotFound || err != nil {
				t.Errorf("after %v: %d, %v", err, status, err)
			}
			l.fails.Store(1000)
			go l.dial() // which the loop waits for
			time.Sleep(time.Minute)
			s.end(t) // while it fails
		})
	}
}

func TestNumberOfHeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		called := 0
		s := start(t, func(http.ResponseWriter, *http.Request) { called++ })
		lines := func(n int) string {
			var b strings.Builder
			for i := range n {
				fmt.Fprintf(&b, "%x:\r\n", i)
			}
			return b.String()
		}
		// get writes Host and Connection.
		for _, test := range []struct {
			header         string
			status, called int
		}{
			{lines(serve.MaxHeaderLines - 2), http.StatusOK, 1},
			{lines(serve.MaxHeaderLines - 1), http.StatusRequestHeaderFieldsTooLarge, 1},
			{strings.Repeat("a:\r\n", serve.MaxHeaderLines), http.StatusRequestHeaderFieldsTooLarge, 1},
			{strings.Repeat("a:\r\n", 8000), http.StatusRequestHeaderFieldsTooLarge, 1},
		} {
			status, _, err := s.get(test.header)
			if status != test.status || called != test.called {
				t.Errorf("%d lines: %d, %v, the handler was called %d times; want %d and %d",
					strings.Count(test.header, "\n")+2, status, err, called, test.status, test.called)
			}
		}
		// One request after another is counted by itself.
		c, err := s.dial()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		r := bufio.NewReader(c)
		for range 3 {
			go io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n"+lines(100)+
				"\r\n"+strings.Repeat("\n\n", 500))
			resp, err := http.ReadResponse(r, nil)
			if err != nil || resp.StatusCode != http.StatusOK {
				t.Fatalf("%v, %v", resp, err)
			}
		}
		s.end(t)
	})
	many := strings.Repeat("a:\r\n", serve.MaxHeaderLines+1)
	few := strings.Repeat("a:\r\n", serve.MaxHeaderLines)
	const begin = "GET / HTTP/1.1\r\n"
	for name, test := range map[string]struct {
		pieces        []string
		tooLong, over bool
	}{
		"one piece":                {[]string{begin + many + "\r\n"}, true, false},
		"as many as there may be":  {[]string{begin + few + "\r\n"}, false, true},
		"no end":                   {[]string{begin + few}, false, false},
		"a body of lines":          {[]string{begin + "\r\n" + many}, false, true},
		"byte by byte":             {strings.Split(begin+many, ""), true, false},
		"byte by byte, and an end": {strings.Split(begin+few+"\r\n"+many, ""), false, true},
		"line feeds only":          {[]string{strings.ReplaceAll(begin+many, "\r", "")}, true, false},
		"line feeds only, an end": {strings.Split(strings.ReplaceAll(begin+few+"\r\n"+many, "\r", ""), ""),
			false, true},
		"empty lines ahead":         {[]string{"\r\n\r\n" + begin + many}, true, false},
		"a carriage return in line": {[]string{begin, "a\r", "\r\n", "\r", "\n", many}, false, true},
		"nothing":                   {[]string{"", ""}, false, false},
	} {
		if tooLong, over := serve.TooLongHead(test.pieces...); tooLong != test.tooLong || over != test.over {
			t.Errorf("%s: too long %v, ended %v; want %v, %v", name, tooLong, over, test.tooLong, test.over)
		}
	}
}

func TestDefaultLimits(t *testing.T) {
	for _, test := range []struct {
		size   int64
		files  uint64
		memory int64
		want   serve.Limits
	}{
		{4 << 20, 1 << 20, 16 << 30, serve.Limits{Connections: 4096, Bodies: 1024}},
		{4 << 20, 1024, 16 << 30, serve.Limits{Connections: 512, Bodies: 512}},
		{4 << 20, 64, 16 << 30, serve.Limits{Connections: 32, Bodies: 32}},
		{4 << 20, 0, 512 << 20, serve.Limits{Connections: 512, Bodies: 32}},
		{4 << 20, 1 << 63, 64 << 20, serve.Limits{Connections: 64, Bodies: 4}},
		{128 << 20, 1024, 256 << 20, serve.Limits{Connections: 256, Bodies: 2}},
		{0, 3, 1, serve.Limits{Connections: 4, Bodies: 2}},
	} {
		if got := serve.DefaultLimitsFor(test.size, test.files, test.memory); got != test.want {
			t.Errorf("%d bytes a body, %d files, %d bytes of memory: %+v, want %+v", test.size,
				test.files, test.memory, got, test.want)
		}
	}
	if got := serve.DefaultLimits(4 << 20); got.Connections < 4 || got.Bodies < 2 {
		t.Errorf("here: %+v", got)
	}
}

// With TLS a request is known to be secure, by the connection and not by what it says, and a
// handshake that does not end holds no place.
func TestTLSOnlyTheConnectionDecides(t *testing.T) {
	donor := httptest.NewTLSServer(nil)
	defer donor.Close()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	seen := make(chan *invoke.Invocation, 10)
	go func() {
		done <- serve.HTTP(ctx, tls.NewListener(inner, &tls.Config{Certificates: donor.TLS.Certificates}),
			http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.TLS == nil || !r.TLS.HandshakeComplete {
					t.Errorf("the request's TLS is %+v", r.TLS)
				}
				seen <- invoke.From(r.Context())
			}), slog.New(slog.DiscardHandler), serve.Limits{Connections: 4})
	}()
	for range 10 {
		c, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		io.WriteString(c, "\x16\x03\x01")
	}
	client := donor.Client()
	client.Timeout = 3 * time.Second
	for range 3 {
		resp, err := client.Get("https://" + inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if inv := <-seen; !inv.Secure || inv.SourceIP != "127.0.0.1" {
			t.Errorf("invocation = %+v", inv)
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Errorf("HTTP = %v", err)
	}
}

package bench_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// A recorder is an SDK's transport, and writes down what goes over it.
type recorder struct {
	*http.Transport

	mu       sync.Mutex
	requests [][]byte
}

// RoundTrip implements http.RoundTripper.
func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	out := req.Clone(req.Context())
	out.Body = io.NopCloser(bytes.NewReader(body))
	if err := out.Write(&text); err != nil {
		return nil, err
	}
	r.mu.Lock()
	r.requests = append(r.requests, text.Bytes())
	r.mu.Unlock()
	out.Body = io.NopCloser(bytes.NewReader(body))
	return r.Transport.RoundTrip(out)
}

// A replay sends what an SDK has sent again, byte for byte, and looks at no more of an answer than
// its status and its length. It costs next to nothing, so that what is measured is the server.
type replay struct {
	requests [][]byte
	idle     chan *connection
}

type connection struct {
	net.Conn
	in *bufio.Reader
}

// newReplay records some hundred requests of a client, and opens connections to send them on.
func newReplay(b *testing.B, e engine, do func(client, int) error, clients int) *replay {
	b.Helper()
	rec := &recorder{Transport: newTransport(b)}
	c := e.connect(e.server.url, rec)
	for i := range 500 {
		if err := do(c, i*7919); err != nil {
			b.Fatal(err)
		}
	}
	r := &replay{requests: rec.requests, idle: make(chan *connection, clients)}
	for range clients {
		conn, err := net.Dial("tcp", strings.TrimPrefix(e.server.url, "http://"))
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { conn.Close() })
		r.idle <- &connection{conn, bufio.NewReaderSize(conn, 64<<10)}
	}
	return r
}

func (r *replay) do(i int) error {
	c := <-r.idle
	defer func() { r.idle <- c }()
	if _, err := c.Write(r.requests[i%len(r.requests)]); err != nil {
		return err
	}
	status, length := "", -1
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		text := strings.TrimSpace(string(line))
		if status == "" {
			status = text
		}
		if text == "" {
			break
		}
		if name, n, ok := strings.Cut(text, ": "); ok && strings.EqualFold(name, "Content-Length") {
			if length, err = strconv.Atoi(n); err != nil {
				return err
			}
		}
	}
	if status != "HTTP/1.1 200 OK" || length < 0 {
		return fmt.Errorf("answer %q of %d bytes", status, length)
	}
	_, err := c.in.Discard(length)
	return err
}

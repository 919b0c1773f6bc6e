package serve

import (
	"bytes"
	"cmp"
	"container/list"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"chatconf/shared/invoke"
)

const (
	// slowTime is the time to send a request while others wait for a place. Without waiters the
	// server's timeouts apply.
	slowTime = time.Second
	// placeTime is how long a request with a body waits for a place before the answer is 503.
	placeTime = time.Second
	// retryAfter is the header Retry-After of that answer, in seconds.
	retryAfter = "1"
	// maxHeaderLines is the number of headers of a request. Short headers are expensive:
	// net/http needs longer for 256 KiB of the shortest than for a thousand usual requests.
	maxHeaderLines = 128
)

// The pauses after failed accepts double from the first to the last.
const (
	firstAcceptPause = 5 * time.Millisecond
	lastAcceptPause  = time.Second
)

// A gate is a listener that limits the number of connections, and a handler that limits the number
// of requests with a body.
//
// When a new connection comes and all places are taken, the gate closes the connection that has
// been idle longest: between two requests, or before its first. If none is idle, it closes the
// connection that has been sending its request longest, if that takes longer than slowTime. If all
// connections are being served, the new one waits.
//
// A request with a body needs a second place, and gets it in the same way; after placeTime the
// answer is 503. So clients that keep connections open or send slowly lose their places to others.
type gate struct {
	net.Listener
	limits Limits
	log    *slog.Logger
	once   sync.Once
	closed chan struct{}

	mu      sync.Mutex
	count   int           // connections that have a place
	bodies  int           // requests with a body that have a place
	idle    *list.List    // of *conn: waiting for a request, the longest first
	reading *list.List    // of *conn: receiving a request, the longest first
	changed chan struct{} // closed when a place may be free; nil: nothing waits
}

func newGate(l net.Listener, limits Limits, log *slog.Logger) *gate {
	usual := DefaultLimits(usualBody)
	limits.Connections = cmp.Or(limits.Connections, usual.Connections)
	limits.Bodies = cmp.Or(limits.Bodies, usual.Bodies)
	return &gate{
		Listener: l, limits: limits, log: log,
		closed: make(chan struct{}), idle: list.New(), reading: list.New(),
	}
}

// usualBody is the default for the memory of a request with a body, in bytes: the largest body of a
// callback, and its parts.
const usualBody = 4 << 20

type conn struct {
	net.Conn
	head headCount

	// Guarded by the gate's mutex.
	in      *list.List // nil while its request is served
	element *list.Element
	since   time.Time
	left    bool // it has lost its place
	body    bool // its request has the place of a body
}

// Close closes the listener.
func (g *gate) Close() error {
	g.once.Do(func() { close(g.closed) })
	return g.Listener.Close()
}

// Accept waits for a connection and for a place. The only error is that the listener is closed: if
// the process has no file descriptor left, Accept closes an idle connection, and it retries after
// all other errors, with a pause.
func (g *gate) Accept() (net.Conn, error) {
	pause := time.Duration(0)
	for {
		c, err := g.Listener.Accept()
		if err == nil {
			return g.admit(c)
		}
		select {
		case <-g.closed:
			return nil, net.ErrClosed
		default:
		}
		if errors.Is(err, net.ErrClosed) {
			return nil, err
		}
		g.warn("accept", "accepting a connection failed; it is retried", "error", err)
		g.evict(g.idle, 0)
		pause = min(max(2*pause, firstAcceptPause), lastAcceptPause)
		if !g.rest(pause, nil) {
			return nil, net.ErrClosed
		}
	}
}

// rest waits for d, or until changed is closed. It returns false if the listener is closed.
func (g *gate) rest(d time.Duration, changed <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-changed:
	case <-g.closed:
		return false
	}
	return true
}

// admit waits until the connection has a place.
func (g *gate) admit(inner net.Conn) (net.Conn, error) {
	for {
		g.mu.Lock()
		if g.count < g.limits.Connections {
			g.count++
			c := &conn{Conn: inner}
			g.moveLocked(c, g.idle)
			g.mu.Unlock()
			return c, nil
		}
		changed := g.changedLocked()
		g.mu.Unlock()
		if g.evict(g.idle, 0) || g.evict(g.reading, slowTime) {
			continue
		}
		if !g.rest(slowTime/10, changed) {
			inner.Close()
			return nil, net.ErrClosed
		}
	}
}

// evict closes the first connection of a list if it has been there longer than age, and reports
// whether it did.
func (g *gate) evict(from *list.List, age time.Duration) bool {
	g.mu.Lock()
	front := from.Front()
	if front == nil || time.Since(front.Value.(*conn).since) < age {
		g.mu.Unlock()
		return false
	}
	c := front.Value.(*conn)
	g.leaveLocked(c)
	g.mu.Unlock()
	key, message := "idle", "an idle connection was closed to make room"
	if from == g.reading {
		key, message = "slow", "a connection that sends its request slowly was closed to make room"
	}
	g.warn(key, message, "source_ip", hostOf(c.RemoteAddr().String()),
		"connections", g.limits.Connections, "bodies", g.limits.Bodies)
	c.cut()
	return true
}

// cut closes the connection without the closing message of TLS, which could block.
func (c *conn) cut() {
	if t, ok := c.Conn.(*tls.Conn); ok {
		t.NetConn().Close()
		return
	}
	c.Conn.Close()
}

// state is the server's hook: https://pkg.go.dev/net/http#ConnState.
func (g *gate) state(inner net.Conn, s http.ConnState) {
	c, ok := inner.(*conn)
	if !ok {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	switch s {
	case http.StateActive:
		g.moveLocked(c, g.reading)
	case http.StateIdle:
		c.head = headCount{} // safe: only the server's goroutine reads
		g.moveLocked(c, g.idle)
		g.freeLocked()
	case http.StateClosed, http.StateHijacked:
		g.leaveLocked(c)
	}
}

// moveLocked moves a connection to the end of a list; nil: it is being served.
func (g *gate) moveLocked(c *conn, to *list.List) {
	if c.in != nil {
		c.in.Remove(c.element)
	}
	c.in, c.element, c.since = to, nil, time.Now()
	if c.left {
		c.in = nil
	} else if to != nil {
		c.element = to.PushBack(c)
	}
}

func (g *gate) leaveLocked(c *conn) {
	if c.left {
		return
	}
	c.left = true
	g.moveLocked(c, nil)
	g.count--
	g.dropBodyLocked(c)
	g.freeLocked()
}

func (g *gate) dropBodyLocked(c *conn) {
	if c.body {
		c.body = false
		g.bodies--
		g.freeLocked()
	}
}

// freeLocked wakes the waiters: there may be a place.
func (g *gate) freeLocked() {
	if g.changed != nil {
		close(g.changed)
		g.changed = nil
	}
}

// changedLocked returns a channel that is closed when there may be a place.
func (g *gate) changedLocked() <-chan struct{} {
	if g.changed == nil {
		g.changed = make(chan struct{})
	}
	return g.changed
}

type connKey struct{}

func (g *gate) handler(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _ := r.Context().Value(connKey{}).(*conn)
		if t, ok := c.Conn.(*tls.Conn); ok {
			state := t.ConnectionState()
			r.TLS = &state // net/http does not look inside a conn
		}
		switch {
		case tooManyHeaders(r.Header):
			refuse(w, http.StatusRequestHeaderFieldsTooLarge, "too many headers\n")
			return
		case r.ContentLength == 0: // -1: a body of unknown length
			g.mu.Lock()
			g.moveLocked(c, nil)
			g.mu.Unlock()
		case !g.enter(c):
			w.Header().Set("Retry-After", retryAfter)
			refuse(w, http.StatusServiceUnavailable, "too many requests; try again\n")
			return
		default:
			defer g.leave(c)
			r.Body = &body{r.Body, sync.OnceFunc(func() {
				g.mu.Lock()
				g.moveLocked(c, nil)
				g.mu.Unlock()
			})}
		}
		h.ServeHTTP(w, r)
	})
}

// refuse answers a request without serving it. It closes the connection, so the body is not read.
func refuse(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Connection", "close")
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	io.WriteString(w, text)
}

// enter waits until a request has the place of a body. It returns false after placeTime.
func (g *gate) enter(c *conn) bool {
	deadline := time.Now().Add(placeTime)
	for {
		g.mu.Lock()
		if g.bodies < g.limits.Bodies && !c.left {
			g.bodies++
			c.body = true
			g.moveLocked(c, g.reading)
			g.mu.Unlock()
			return true
		}
		g.moveLocked(c, nil) // not slow: it waits for us
		gone, changed := c.left, g.changedLocked()
		g.mu.Unlock()
		left := time.Until(deadline)
		switch {
		case gone:
			return false // the client is gone
		case left <= 0:
			g.warn("busy", "too many requests: one was answered with 503",
				"source_ip", hostOf(c.RemoteAddr().String()), "bodies", g.limits.Bodies)
			return false
		case g.evict(g.reading, slowTime):
		case !g.rest(min(left, slowTime/10), changed):
			return false
		}
	}
}

func (g *gate) leave(c *conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.dropBodyLocked(c)
}

// A body calls ended when it has been read.
type body struct {
	io.ReadCloser
	ended func()
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.ended()
	}
	return n, err
}

// warn logs an event of the gate; equal events within a second are counted.
func (g *gate) warn(key, message string, args ...any) {
	g.log.WarnContext(invoke.Repeatable(context.Background(), "serve "+key), message, args...)
}

func hostOf(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return host
}

func tooManyHeaders(h http.Header) bool {
	n := 0
	for _, values := range h {
		n += len(values)
	}
	return n > maxHeaderLines
}

// A headCount counts the lines of a request's head while it is read. Bytes that net/http reads
// ahead, up to 4 KB, are counted as part of the body before.
type headCount struct {
	lines int
	line  int  // bytes of the current line
	last  byte // the last of them
	over  bool // the head is complete
}

// tooLong counts the lines in p, and reports whether the head has more than maxHeaderLines and the
// request line.
func (h *headCount) tooLong(p []byte) bool {
	for !h.over && len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			h.line, h.last = h.line+len(p), p[len(p)-1]
			return false
		}
		length, last := h.line+i, h.last
		if i > 0 {
			last = p[i-1]
		}
		p = p[i+1:]
		h.line = 0
		if length == 0 || length == 1 && last == '\r' {
			h.over = h.lines > 0
			continue
		}
		if h.lines++; h.lines > maxHeaderLines+1 {
			return true
		}
	}
	return false
}

var tooManyLines = []byte("HTTP/1.1 431 Request Header Fields Too Large\r\n" +
	"Content-Type: text/plain; charset=utf-8\r\nContent-Length: 17\r\nConnection: close\r\n\r\n" +
	"too many headers\n")

// Read reads from the connection, and ends it after too many header lines.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.head.tooLong(p[:n]) {
		c.Conn.Write(tooManyLines)
		return 0, io.EOF
	}
	return n, err
}

package streamtest

import (
	"context"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// A network is a listener in memory, and the way to it. In a bubble of testing/synctest its
// connections block as channels do, so that time passes by itself. What is written is kept until it
// is read: a side that does not read holds nobody up.
type network struct {
	incoming chan net.Conn
	closed   chan struct{}
	once     sync.Once

	mu   sync.Mutex
	open int // connections that the client has not closed
	all  int
}

func newNetwork() *network {
	return &network{incoming: make(chan net.Conn), closed: make(chan struct{})}
}

// address is that of both ends.
type address struct{}

func (address) Network() string { return "memory" }
func (address) String() string  { return "192.0.2.1:443" }

// Accept implements net.Listener.
func (n *network) Accept() (net.Conn, error) {
	select {
	case c := <-n.incoming:
		return c, nil
	case <-n.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (n *network) Close() error {
	n.once.Do(func() { close(n.closed) })
	return nil
}

// Addr implements net.Listener.
func (*network) Addr() net.Addr { return address{} }

// dial connects to the listener.
func (n *network) dial(ctx context.Context) (net.Conn, error) {
	up, down := newHalf(), newHalf()
	select {
	case n.incoming <- &conn{in: up, out: down}:
	case <-n.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	n.count(1)
	return &conn{in: down, out: up, ended: func() { n.count(-1) }}, nil
}

func (n *network) count(by int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.open += by
	n.all += max(by, 0)
}

// A conn is one end of a connection.
type conn struct {
	in, out *half
	once    sync.Once
	ended   func()
}

func (c *conn) Read(p []byte) (int, error)  { return c.in.read(p) }
func (c *conn) Write(p []byte) (int, error) { return c.out.write(p) }

// Close ends both directions. The other end reads what was written before.
func (c *conn) Close() error {
	c.once.Do(func() {
		if c.ended != nil {
			c.ended()
		}
		c.in.close(net.ErrClosed)
		c.out.close(io.EOF)
	})
	return nil
}

func (*conn) LocalAddr() net.Addr                  { return address{} }
func (*conn) RemoteAddr() net.Addr                 { return address{} }
func (c *conn) SetReadDeadline(at time.Time) error { c.in.setDeadline(at); return nil }
func (*conn) SetWriteDeadline(time.Time) error     { return nil } // nothing waits for the other side
func (c *conn) SetDeadline(at time.Time) error     { return c.SetReadDeadline(at) }

// A half is one direction of a connection.
type half struct {
	mu       sync.Mutex
	changed  *sync.Cond
	data     []byte
	err      error // of reads after data, and of writes
	deadline time.Time
	timer    *time.Timer
}

func newHalf() *half {
	h := new(half)
	h.changed = sync.NewCond(&h.mu)
	return h
}

func (h *half) read(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		switch {
		case h.err == net.ErrClosed:
			return 0, h.err
		case !h.deadline.IsZero() && !time.Now().Before(h.deadline):
			return 0, os.ErrDeadlineExceeded
		case len(h.data) > 0:
			n := copy(p, h.data)
			h.data = h.data[n:]
			return n, nil
		case h.err != nil:
			return 0, h.err
		}
		h.changed.Wait()
	}
}

func (h *half) write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err != nil {
		return 0, io.ErrClosedPipe
	}
	h.data = append(h.data, p...)
	h.changed.Broadcast()
	return len(p), nil
}

func (h *half) close(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err != nil && err != net.ErrClosed {
		return
	}
	h.err = err
	if h.timer != nil {
		h.timer.Stop()
	}
	h.changed.Broadcast()
}

func (h *half) setDeadline(at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.timer != nil {
		h.timer.Stop()
		h.timer = nil
	}
	if h.deadline = at; !at.IsZero() && h.err == nil {
		h.timer = time.AfterFunc(time.Until(at), func() {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.changed.Broadcast()
		})
	}
	h.changed.Broadcast()
}

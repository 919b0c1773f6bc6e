package platformsim

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// A gatewayConn is a connection to a gateway.
type gatewayConn struct {
	hub    *hub
	app    string // set by join
	socket *websocket.Conn
	kind   websocket.MessageType
	pipe   *pipe
	done   chan struct{}            // closed when the connection has ended
	host   func(host string) string // the host to name in an address for this client
	silent atomic.Bool              // nothing is delivered to it
	topics []string                 // what is delivered to it; everything if nil

	mu      sync.Mutex
	waiting map[string]chan []byte // for acknowledgements, by their ids
}

// accept accepts a WebSocket connection. The caller reads it until it fails, and then calls end.
func (h *hub) accept(w http.ResponseWriter, r *http.Request, kind websocket.MessageType) (*gatewayConn, error) {
	p := &pipe{frozen: make(chan struct{})}
	socket, err := websocket.Accept(piped{w, p}, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return nil, err
	}
	socket.SetReadLimit(maxGatewayBody)
	return &gatewayConn{hub: h, socket: socket, kind: kind, pipe: p, done: make(chan struct{}),
		host: func(host string) string { return hostOf(r, host) }, waiting: map[string]chan []byte{}}, nil
}

// end ends the connection, and its place among those of its app.
func (c *gatewayConn) end() {
	c.hub.leave(c)
	close(c.done)
	_ = c.socket.CloseNow()
}

// cut ends the connection without a close message.
func (c *gatewayConn) cut() {
	c.silent.Store(true)
	_ = c.pipe.Close()
}

// close ends the connection as WebSocket does, unless it is frozen.
func (c *gatewayConn) close(code websocket.StatusCode) {
	if !c.pipe.isFrozen() {
		_ = c.socket.Close(code, "")
	}
}

// closeAfter ends the connection after a time, with a last message, if it is still open then.
func (c *gatewayConn) closeAfter(d time.Duration, last ...[]byte) {
	go func() {
		select {
		case <-c.done:
			return
		case <-time.After(d):
		}
		for _, frame := range last {
			c.write(frame)
		}
		c.close(websocket.StatusNormalClosure)
	}()
}

// read returns the next message of the program.
func (c *gatewayConn) read() ([]byte, error) {
	_, message, err := c.socket.Read(context.Background())
	return message, err
}

// gatewayWrite is how long the program may take to read a message.
const gatewayWrite = 10 * time.Second

// write sends a message to the program. If that fails, the connection has ended.
func (c *gatewayConn) write(message []byte) {
	ctx, cancel := context.WithTimeout(context.Background(), gatewayWrite)
	defer cancel()
	if c.socket.Write(ctx, c.kind, message) != nil {
		c.cut()
	}
}

// ping pings the program as WebSocket does, at once and then in intervals, until the connection
// ends. A program that does not answer is cut off.
func (c *gatewayConn) ping(every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		ctx, cancel := context.WithTimeout(context.Background(), every)
		err := c.socket.Ping(ctx)
		cancel()
		if err != nil && !c.pipe.isFrozen() {
			c.cut()
		}
		select {
		case <-c.done:
			return
		case <-tick.C:
		}
	}
}

// expect returns the channel that receives the acknowledgement with an id.
func (c *gatewayConn) expect(id string) <-chan []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	acknowledged := make(chan []byte, 1)
	c.waiting[id] = acknowledged
	return acknowledged
}

// forget no longer expects an acknowledgement.
func (c *gatewayConn) forget(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiting, id)
}

// acknowledge hands over an acknowledgement, and reports whether it was expected.
func (c *gatewayConn) acknowledge(id string, message []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	acknowledged, ok := c.waiting[id]
	if ok {
		delete(c.waiting, id)
		acknowledged <- message
	}
	return ok
}

// piped is the response to a request whose connection becomes a WebSocket over a pipe.
type piped struct {
	http.ResponseWriter
	pipe *pipe
}

// Hijack implements http.Hijacker.
func (p piped) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffers, err := http.NewResponseController(p.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	p.pipe.Conn = conn
	buffers.Writer = bufio.NewWriter(p.pipe)
	return p.pipe, buffers, nil
}

// A pipe is the network connection below a WebSocket. Once it is frozen, what either side writes is
// lost; it stays open until the program closes it.
type pipe struct {
	net.Conn
	once   sync.Once
	frozen chan struct{}
}

func (p *pipe) freeze() { p.once.Do(func() { close(p.frozen) }) }

func (p *pipe) isFrozen() bool {
	select {
	case <-p.frozen:
		return true
	default:
		return false
	}
}

// Read implements net.Conn.
func (p *pipe) Read(b []byte) (int, error) {
	for {
		n, err := p.Conn.Read(b)
		if err != nil || !p.isFrozen() {
			return n, err
		}
	}
}

// Write implements net.Conn.
func (p *pipe) Write(b []byte) (int, error) {
	if p.isFrozen() {
		return len(b), nil
	}
	return p.Conn.Write(b)
}

// Close implements net.Conn. It closes the connection below TLS, without a close message.
func (p *pipe) Close() error {
	if below, ok := p.Conn.(interface{ NetConn() net.Conn }); ok {
		return below.NetConn().Close()
	}
	return p.Conn.Close()
}

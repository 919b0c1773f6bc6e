package platformsim

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"maps"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"chatconf/shared/platform/callback"
	"chatconf/shared/secret"
)

// A hub is what all gateways have in common: hosts, connections by app, deliveries, and the answers
// that were sent later.
type hub struct {
	secret.Hidden // addresses of answers and tokens are in it
	GatewayOptions
	hosts []string
	mux   *http.ServeMux // its patterns have hosts
	// app returns the id of the app of settings, and the names by which its answers are recorded,
	// if they are others.
	app func(callback.Settings) (id string, senders []string)
	// notice sends the platform's own notice that a connection ends.
	notice func(*gatewayConn)
	// others are disturbances of the platform's own.
	others map[Disturbance]func(*gatewayConn)

	mu      sync.Mutex
	conns   map[string][]*gatewayConn // by app, in the order in which they came
	changed chan struct{}             // closed when a connection is added
	sent    []sentAnswer
}

// A sentAnswer is an answer that was sent later.
type sentAnswer struct{ sender, text string }

func newHub(o GatewayOptions, hosts ...string) *hub {
	return &hub{GatewayOptions: o, hosts: hosts, mux: http.NewServeMux(), conns: map[string][]*gatewayConn{},
		changed: make(chan struct{})}
}

// Hosts implements Gateway.
func (h *hub) Hosts() []string { return slices.Clone(h.hosts) }

// ServeHTTP implements Gateway.
func (h *hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if slices.Contains(h.hosts, hostname(r)) {
		h.mux.ServeHTTP(w, r)
		return
	}
	as := new(http.Request)
	*as = *r
	as = as.WithContext(context.WithValue(r.Context(), hostKey{}, r.Host))
	for _, host := range h.hosts {
		as.Host = host
		if _, pattern := h.mux.Handler(as); pattern != "" {
			break
		}
	}
	h.mux.ServeHTTP(w, as)
}

// hostKey is the key of the host under which a client calls the gateway, if that is not a host of
// the platform.
type hostKey struct{}

func hostname(r *http.Request) string {
	if host, _, err := net.SplitHostPort(r.Host); err == nil {
		return host
	}
	return r.Host
}

// hostOf returns the host to name in an address for the client of a request: the given one of the
// platform, or the one by which the client knows the gateway.
func hostOf(r *http.Request, host string) string {
	if known, ok := r.Context().Value(hostKey{}).(string); ok {
		return known
	}
	return host
}

// accepts reports whether a secret is that of an app.
func (h *hub) accepts(app, given string) bool {
	if app == "" || given == "" {
		return false
	}
	if h.Secret == nil {
		return true
	}
	want := h.Secret(app)
	return want != "" && want.Reveal() == given
}

// random returns n random bytes in hexadecimal.
func random(n int) string { return (&Maker{Random: rand.Reader}).hex(n) }

// Connections implements Gateway.
func (h *hub) Connections(s callback.Settings) int {
	app, _ := h.app(s)
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.conns[app])
}

// of returns the connections of an app.
func (h *hub) of(app string) []*gatewayConn {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.conns[app])
}

// join adds a connection to those of an app, and returns the others. From now on messages are
// delivered to it, and welcome comes before them.
func (h *hub) join(c *gatewayConn, app string, welcome ...[]byte) []*gatewayConn {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, frame := range welcome {
		c.write(frame)
	}
	others := slices.Clone(h.conns[app])
	c.app = app
	h.conns[app] = append(h.conns[app], c)
	close(h.changed)
	h.changed = make(chan struct{})
	return others
}

// leave removes a connection.
func (h *hub) leave(c *gatewayConn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.conns[c.app] = slices.DeleteFunc(h.conns[c.app], func(other *gatewayConn) bool { return other == c })
	if len(h.conns[c.app]) == 0 {
		delete(h.conns, c.app)
	}
}

// pick returns one of the connections of an app that takes a topic, at random. It waits until there
// is one.
func (h *hub) pick(ctx context.Context, app, topic string) (*gatewayConn, error) {
	for {
		h.mu.Lock()
		open := slices.DeleteFunc(slices.Clone(h.conns[app]), func(c *gatewayConn) bool {
			return c.silent.Load() || c.topics != nil && !slices.Contains(c.topics, topic)
		})
		changed := h.changed
		h.mu.Unlock()
		if len(open) > 0 {
			return open[mathrand.IntN(len(open))], nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("platformsim: the app has no connection that takes messages: %w", ctx.Err())
		case <-changed:
		}
	}
}

// A delivery is how a message is delivered.
type delivery struct {
	topic string        // in the platform's terms
	most  int           // deliveries, unless one is acknowledged
	limit time.Duration // for an acknowledgement
	// message is the id of the message that chatconf's receiver reads, empty if that is not known.
	message string
	// unanswered says that the platform wants none: it only takes the answer, if one comes in time.
	unanswered bool
	// frames returns what delivers the message over a connection, the first time with attempt 0,
	// and the id by which the program acknowledges it.
	frames func(c *gatewayConn, attempt int) (id string, frames [][]byte, err error)
	// read reads an acknowledgement: the answer that it carries, or that it asks for another
	// delivery.
	read func(acknowledgement []byte) (answer string, again bool, err error)
}

// push delivers a message to the app of settings. The next delivery follows at once when the
// program asks for it, when its time is over, and when the connection has ended.
func (h *hub) push(ctx context.Context, s callback.Settings, d delivery) (Pushed, error) {
	app, _ := h.app(s)
	out := Pushed{MessageID: d.message}
	for out.Deliveries < d.most {
		c, err := h.pick(ctx, app, d.topic)
		if err != nil {
			return out, err
		}
		id, frames, err := d.frames(c, out.Deliveries)
		if err != nil {
			return out, err
		}
		acknowledged := c.expect(id)
		for _, frame := range frames {
			c.write(frame) // if the connection has ended, c.done says so
		}
		out.Deliveries++
		out.Again = false
		select {
		case <-ctx.Done():
			err = ctx.Err()
		case <-c.done:
		case <-h.After(d.limit):
			if d.unanswered {
				c.forget(id)
				return out, nil
			}
		case acknowledgement := <-acknowledged:
			if out.Answer, out.Again, err = d.read(acknowledgement); !out.Again && err == nil {
				return out, nil
			}
		}
		c.forget(id)
		if err != nil {
			return out, err
		}
	}
	if out.Again {
		return out, nil
	}
	return out, fmt.Errorf("platformsim: the message was delivered %d times and never acknowledged", out.Deliveries)
}

// Disturb implements Gateway.
func (h *hub) Disturb(s callback.Settings, how Disturbance) error {
	app, _ := h.app(s)
	conns := h.of(app)
	if len(conns) == 0 {
		return fmt.Errorf("platformsim: the app has no connection")
	}
	disturbances := map[Disturbance]func(*gatewayConn){
		Cut:     (*gatewayConn).cut,
		Freeze:  func(c *gatewayConn) { c.pipe.freeze() },
		Silence: func(c *gatewayConn) { c.silent.Store(true) },
		Notice:  h.notice,
	}
	maps.Copy(disturbances, h.others)
	disturb, ok := disturbances[how]
	if !ok {
		return fmt.Errorf("platformsim: unknown disturbance %q; use %s", how,
			listed(disturbances))
	}
	for _, c := range conns {
		disturb(c)
	}
	return nil
}

// Close implements Gateway.
func (h *hub) Close() {
	h.mu.Lock()
	var all []*gatewayConn
	for _, conns := range h.conns {
		all = append(all, conns...)
	}
	h.mu.Unlock()
	for _, c := range all {
		c.cut()
	}
}

// record records an answer that was sent later.
func (h *hub) record(sender, text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sent = append(h.sent, sentAnswer{sender, text})
}

// Sent implements Gateway.
func (h *hub) Sent(s callback.Settings) []string {
	app, senders := h.app(s)
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []string
	for _, one := range h.sent {
		if one.sender == app || slices.Contains(senders, one.sender) {
			out = append(out, one.text)
		}
	}
	return out
}

// maxGatewayBody is how long the body of a call may be.
const maxGatewayBody = 1 << 20

// readJSON reads the body of a call. If it is malformed, readJSON answers 400 and reports false.
func readJSON(w http.ResponseWriter, r *http.Request, to any) bool {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxGatewayBody))
	if err == nil {
		err = decode(body, to)
	}
	if err != nil {
		http.Error(w, "malformed body", http.StatusBadRequest)
	}
	return err == nil
}

// writeJSON answers a call.
func writeJSON(w http.ResponseWriter, status int, body object) {
	w.Header().Set("Content-Type", jsonUTF8)
	w.WriteHeader(status)
	_, _ = w.Write(body.bytes())
}

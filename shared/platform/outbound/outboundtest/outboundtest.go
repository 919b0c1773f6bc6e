// Package outboundtest stands in for the platforms' servers in tests of senders.
package outboundtest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"chatconf/shared/platform/outbound"
)

// A Request is one that a platform got.
type Request struct {
	Host, Method, URI, Body string
	Header                  http.Header
}

// A Platform is a server for several hosts, and a client that calls it for them.
type Platform struct {
	Client *outbound.Client

	mu       sync.Mutex
	requests []Request
}

// New starts a server for the given hosts that answers each request with a status and a body.
func New(t testing.TB, now time.Time, hosts []string, answer func(Request) (int, string)) *Platform {
	t.Helper()
	p := new(Platform)
	instead := make(map[string]string)
	for _, host := range hosts {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			in := Request{host, r.Method, r.URL.RequestURI(), string(body), r.Header}
			p.mu.Lock()
			p.requests = append(p.requests, in)
			p.mu.Unlock()
			status, text := answer(in)
			w.WriteHeader(status)
			io.WriteString(w, text)
		}))
		t.Cleanup(s.Close)
		instead[host] = s.URL
	}
	p.Client = outbound.New(outbound.Options{Now: func() time.Time { return now }, Instead: instead})
	return p
}

// Requests returns what came since it was last asked.
func (p *Platform) Requests() []Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.requests
	p.requests = nil
	return all
}

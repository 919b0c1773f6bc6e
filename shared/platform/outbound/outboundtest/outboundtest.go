// Package outboundtest stands in for the platforms' servers in tests of senders.
package outboundtest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"chatconf/shared/chat"
	"chatconf/shared/dispatch"
	"chatconf/shared/platform/callback"
	"chatconf/shared/platform/outbound"
)

// A Request is one that a platform got.
type Request struct {
	Host, Method, URI, Body string
	Header                  http.Header
}

// A Platform stands for several hosts, and has a client that calls it in their place.
type Platform struct {
	Client *outbound.Client

	mu       sync.Mutex
	requests []Request
}

// New returns a platform of the given hosts that answers each request with a status and a body. Others cannot be reached.
func New(t testing.TB, now time.Time, hosts []string, answer func(Request) (int, string)) *Platform {
	t.Helper()
	p := new(Platform)
	p.Client = outbound.New(outbound.Options{Now: func() time.Time { return now }, Transport: Transport(func(r *http.Request) (*http.Response, error) {
		if err := r.Context().Err(); err != nil {
			return nil, err
		}
		if !slices.Contains(hosts, r.URL.Host) {
			return nil, errors.New("connection refused")
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		in := Request{r.URL.Host, r.Method, r.URL.RequestURI(), string(body), r.Header}
		p.mu.Lock()
		p.requests = append(p.requests, in)
		p.mu.Unlock()
		status, text := answer(in)
		return &http.Response{StatusCode: status, Header: make(http.Header), Body: io.NopCloser(strings.NewReader(text)), Request: r}, nil
	})})
	return p
}

// A Transport is a function that makes one call.
type Transport func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f Transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Requests returns what came since it was last asked.
func (p *Platform) Requests() []Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.requests
	p.requests = nil
	return all
}

// CheckError checks what a sender said: whether it sent, whether it may go well later, and that its error holds neither an address nor a secret, which
// all have "not-a-real" in them.
func CheckError(t testing.TB, name string, err error, ok, again bool) {
	t.Helper()
	if (err == nil) != ok {
		t.Errorf("%s: %v", name, err)
	}
	if may := err != nil && dispatch.Passing(err); may != again {
		t.Errorf("%s: may go well later: %v; %v", name, may, err)
	}
	if err != nil && (strings.Contains(err.Error(), "not-a-real") || strings.Contains(err.Error(), "https:")) {
		t.Errorf("%s: the error holds a secret or an address: %v", name, err)
	}
}

// CheckCanceled checks that a sender has nothing to say but that the context has ended, whatever the way to answer.
func CheckCanceled(t testing.TB, s callback.Sender, ways ...chat.ReplyTo) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, to := range ways {
		if err := s.Send(ctx, to, "x"); !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "not-a-real") {
			t.Errorf("%s: %v", to.Kind, err)
		}
	}
}

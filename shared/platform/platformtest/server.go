package platformtest

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/platform/callback"
)

// A Request is a request to a Server.
type Request struct {
	Host, Method, URI, Body string
	Header                  http.Header
}

// A Server replaces a platform's hosts in tests of senders. Its client sends all calls to it.
type Server struct {
	Client *callback.Client
	Header http.Header // of every answer

	mu       sync.Mutex
	requests []Request
}

// errTimeOut is the error of a call without an answer in time. As in net/http, it names addresses.
var errTimeOut = &net.OpError{Op: "read", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(10, 9, 8, 7), Port: 443},
	Err: os.ErrDeadlineExceeded}

// NewServer returns a server for the given hosts that answers each request with a status and a
// body; the status 0 is no answer in time. Calls to other hosts fail.
func NewServer(t testing.TB, now time.Time, hosts []string, answer func(Request) (int, string)) *Server {
	t.Helper()
	p := new(Server)
	p.Client = callback.NewClient(callback.ClientOptions{Now: func() time.Time { return now },
		Transport: RoundTripper(func(r *http.Request) (*http.Response, error) {
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
			if status == 0 {
				return nil, errTimeOut
			}
			return &http.Response{StatusCode: status, Header: p.Header,
				Body: io.NopCloser(strings.NewReader(text)), Request: r}, nil
		})})
	return p
}

// A RoundTripper is a function that makes one call.
type RoundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f RoundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Requests returns the requests since its last call.
func (p *Server) Requests() []Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.requests
	p.requests = nil
	return all
}

// CheckSendError checks the error of a sender: whether it is nil, whether a retry may succeed, and
// that it contains neither an address nor a secret. All secrets of the tests contain "not-a-real".
func CheckSendError(t testing.TB, name string, err error, ok, again bool) {
	t.Helper()
	if (err == nil) != ok {
		t.Errorf("%s: %v", name, err)
	}
	var known interface{ Retryable() bool } // as package dispatch reads it
	if may := err != nil && (!errors.As(err, &known) || known.Retryable()); may != again {
		t.Errorf("%s: a retry may succeed: %v; %v", name, may, err)
	}
	if err != nil && (strings.Contains(err.Error(), "not-a-real") || strings.Contains(err.Error(), "https:")) {
		t.Errorf("%s: the error contains a secret or an address: %v", name, err)
	}
}

// CheckSendCanceled checks that a sender returns context.Canceled for every way to answer, if the
// context has ended.
func CheckSendCanceled(t testing.TB, s callback.Sender, ways ...command.ReplyTo) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, to := range ways {
		if err := s.Send(ctx, to, "x"); !errors.Is(err, context.Canceled) ||
			strings.Contains(err.Error(), "not-a-real") {
			t.Errorf("%s: %v", to.Kind, err)
		}
	}
}

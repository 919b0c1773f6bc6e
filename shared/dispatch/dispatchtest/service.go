package dispatchtest

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"chatconf/shared/cloud"
	"chatconf/shared/invoke"
)

// A Service is an HTTP service on this machine that can have every fault.
type Service struct {
	*httptest.Server
	fault atomic.Value
}

// NewService starts a service. handle is what it does without a fault, and refuse how it answers
// when it is Busy and when it Denies.
func NewService(t *testing.T, tls bool, handle http.HandlerFunc,
	refuse func(w http.ResponseWriter, fault Fault)) *Service {
	t.Helper()
	s := new(Service)
	s.fault.Store(None)
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch fault := s.fault.Load().(Fault); fault {
		case Hangs:
			http.MaxBytesReader(w, r.Body, 1<<20).Read(make([]byte, 1<<20)) // so that the end of the client is seen
			<-r.Context().Done()
		case Busy, Denies:
			refuse(w, fault)
		case Broken:
			handle(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		case TooLong:
			handle(httptest.NewRecorder(), r)
			w.Write([]byte(`{"text":"` + strings.Repeat("x", 1<<20) + `"}`))
		default:
			handle(w, r)
		}
	}))
	if tls {
		s.StartTLS()
	} else {
		s.Server.Start()
	}
	t.Cleanup(s.Close)
	return s
}

// AWSFails answers as the JSON services of AWS do when they are Busy and when they Deny.
func AWSFails(w http.ResponseWriter, fault Fault) {
	code := map[Fault]string{Busy: "ThrottlingException", Denies: "AccessDeniedException"}[fault]
	w.WriteHeader(http.StatusBadRequest)
	fmt.Fprintf(w, `{"__type":%q,"message":"planted-message"}`, code)
}

// Set sets the fault of all later requests.
func (s *Service) Set(f Fault) { s.fault.Store(f) }

// The value of Parameter, and the secrets of the credentials that Lend returns.
const (
	secretValue = "planted-value"
	lentSecret  = "planted-access-key-secret"
	lentToken   = "planted-security-token"
)

// Lend is a Fixture's Sessions without a cloud: its credentials are known to no service.
func Lend(ctx context.Context, _ cloud.Session) (context.Context, error) {
	own := *invoke.From(ctx)
	own.Credentials = invoke.Credentials{AccessKeyID: "ASIALENT", AccessKeySecret: lentSecret, SecurityToken: lentToken}
	return invoke.With(ctx, &own), nil
}

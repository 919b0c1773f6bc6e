package cloudtest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"chatconf/shared/cloud"
)

// Secret signs the requests of the tests.
const Secret = Planted + "-not-a-real-secret"

// A Client calls functions.
type Client interface {
	Call(ctx context.Context, name string, payload []byte) ([]byte, error)
	Start(ctx context.Context, name string, payload []byte) error
}

// A Refusal is an error response of a service and its expected handling.
type Refusal struct {
	Status    int
	Header    http.Header
	Body      string
	Says      string // part of the error
	Retryable bool
	Started   int // expected number of requests of Start
}

// Check checks that a client returns this refusal, and that Call sends one request. No error may
// contain a secret or a function's own text. asked returns the number of requests to the service.
func (r Refusal) Check(t *testing.T, client Client, asked func() int) {
	t.Helper()
	_, err := client.Call(t.Context(), "f", nil)
	var refused *cloud.Refusal
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), r.Says) || refused.Retryable != r.Retryable ||
		asked() != 1 {
		t.Errorf("Call = %v after %d requests, want %s", err, asked(), r.Says)
	}
	if strings.Contains(fmt.Sprintf("%v %+v", err, err), Secret) {
		t.Errorf("the error shows a secret: %v", err)
	}
	if err := client.Start(t.Context(), "f", nil); err == nil || asked() != 1+r.Started {
		t.Errorf("Start = %v after %d requests, want %d", err, asked()-1, r.Started)
	}
}

// A Transport fails every request.
type Transport func(*http.Request)

// RoundTrip implements http.RoundTripper.
func (t Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	t(r)
	return nil, errors.New("connection refused")
}

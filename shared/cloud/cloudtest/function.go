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

// A Client invokes.
type Client interface {
	Call(ctx context.Context, name string, payload []byte) ([]byte, error)
	Start(ctx context.Context, name string, payload []byte) error
}

// A Refusal is what a service says instead of an answer, and what is to be made of it.
type Refusal struct {
	Status  int
	Header  http.Header
	Body    string
	Says    string // part of the error
	Passing bool
	Started int // how often Start asks
}

// Check proves that a client refuses so, and that a call is sent once. No error shows a secret, or
// what a function says of its own. asked returns how many requests the service got.
func (r Refusal) Check(t *testing.T, client Client, asked func() int) {
	t.Helper()
	_, err := client.Call(t.Context(), "f", nil)
	var refused *cloud.Refusal
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), r.Says) || refused.Passing != r.Passing ||
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

// A Transport takes requests and answers none.
type Transport func(*http.Request)

// RoundTrip implements http.RoundTripper.
func (t Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	t(r)
	return nil, errors.New("nobody is there")
}

package invoke_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"

	"chatconf/shared/invoke"
)

func TestInvocationTravelsInTheContext(t *testing.T) {
	inv := &invoke.Invocation{RequestID: "r", SourceIP: "192.0.2.1", Secure: true}
	ctx := invoke.With(t.Context(), inv)
	if got := invoke.From(ctx); got != inv {
		t.Errorf("From = %+v, want %+v", got, inv)
	}
	other := &invoke.Invocation{RequestID: "s"}
	if got := invoke.From(invoke.With(ctx, other)); got != other {
		t.Errorf("From = %+v, want the inner one", got)
	}
	if got := invoke.From(t.Context()); got == nil || got.RequestID != "" || got.SourceIP != "" || got.Secure {
		t.Errorf("From without an invocation = %+v, want one with nothing known", got)
	}
}

func TestLogger(t *testing.T) {
	own := slog.New(slog.DiscardHandler)
	if got := invoke.Logger(invoke.With(t.Context(), &invoke.Invocation{Logger: own})); got != own {
		t.Error("Logger is not the invocation's")
	}
	if got := invoke.Logger(invoke.With(t.Context(), &invoke.Invocation{})); got != slog.Default() {
		t.Error("Logger of an invocation without one is not the default")
	}
	if got := invoke.Logger(t.Context()); got != slog.Default() {
		t.Error("Logger without an invocation is not the default")
	}
}

func TestCredentialsAreNeverShown(t *testing.T) {
	c := invoke.Credentials{AccessKeyID: "planted-id", AccessKeySecret: "planted-secret",
		SecurityToken: "planted-token"}
	for _, v := range []any{c, &c, invoke.Invocation{Credentials: c}, &invoke.Invocation{Credentials: c},
		[]invoke.Credentials{c}} {
		var b bytes.Buffer
		fmt.Fprintf(&b, "%v %+v %#v %s", v, v, v, v)
		slog.New(slog.NewTextHandler(&b, nil)).Info("x", "v", v)
		slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "v", v)
		text, err := json.Marshal(v)
		if err != nil {
			t.Errorf("JSON of %T: %v", v, err)
		}
		b.Write(text)
		if strings.Contains(b.String(), "planted") {
			t.Errorf("%T shows its credentials: %s", v, b.String())
		}
	}
}

func TestRequestIDs(t *testing.T) {
	// Alibaba Cloud's format: an upper-case UUID, version 4 (RFC 9562, section 5.4).
	form := regexp.MustCompile(`^[0-9A-F]{8}-[0-9A-F]{4}-4[0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12}$`)
	seen := make(map[string]bool)
	for range 1000 {
		id := invoke.NewRequestID()
		if !form.MatchString(id) || seen[id] {
			t.Fatalf("NewRequestID = %q, seen before: %v", id, seen[id])
		}
		seen[id] = true
	}
}

// A panic becomes an error with its place, also in another goroutine; without a panic the error is
// unchanged.
func TestRecover(t *testing.T) {
	do := func(what func() error) (err error) {
		defer invoke.Recover("room", &err)
		return what()
	}
	errs := make(chan error)
	go func() { errs <- do(func() error { panic("planted") }) }()
	err := <-errs
	if err == nil || !strings.HasPrefix(err.Error(), "room: panic: planted\ngoroutine ") ||
		!strings.Contains(err.Error(), "invoke_test.go") {
		t.Errorf("of a panic: %v", err)
	}
	want := errors.New("its own")
	if err := do(func() error { return want }); err != want {
		t.Errorf("of an error: %v", err)
	}
	if err := do(func() error { return nil }); err != nil {
		t.Errorf("of success: %v", err)
	}
}

// Package invoke carries the facts of one invocation in a context: request id, source address, the
// function's credentials, and a logger with the request's attributes.
package invoke

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"chatconf/shared/secret"
)

// An Invocation holds what is known of a call before its content is read.
type Invocation struct {
	secret.Hidden

	RequestID string // unique per invocation; also sent to the caller
	// the caller's address without port, from the connection or the cloud's gateway; empty for
	// events
	SourceIP string
	// the caller used TLS, or the cloud's gateway accepts only TLS
	Secure      bool
	Credentials Credentials  // of the function's role, if the runtime provides them per invocation
	Logger      *slog.Logger // nil means slog.Default
}

// Credentials are a cloud's credentials for one invocation of a function. The zero value means
// none.
type Credentials struct {
	secret.Hidden

	AccessKeyID     string
	AccessKeySecret string
	SecurityToken   string
}

type contextKey struct{}

// With returns a context that carries inv.
func With(ctx context.Context, inv *Invocation) context.Context {
	return context.WithValue(ctx, contextKey{}, inv)
}

// From returns the invocation in ctx, or an empty one. It never returns nil. Do not modify the
// result.
func From(ctx context.Context) *Invocation {
	if inv, ok := ctx.Value(contextKey{}).(*Invocation); ok {
		return inv
	}
	return &nothing
}

var nothing Invocation

// Logger returns the logger of the invocation in ctx, or slog.Default.
func Logger(ctx context.Context) *slog.Logger {
	if l := From(ctx).Logger; l != nil {
		return l
	}
	return slog.Default()
}

// Recover turns a panic into an error that contains the stack. Without it, a panic in a goroutine
// that serves one request would end the process. Defer it directly, first in that goroutine:
//
//	defer invoke.Recover("rpc", &err)
func Recover(where string, err *error) {
	if v := recover(); v != nil {
		*err = fmt.Errorf("%s: panic: %v\n%s", where, v, debug.Stack())
	}
}

// NewRequestID returns a new request id in Alibaba Cloud's format: an upper-case UUID with 122
// random bits.
func NewRequestID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	h := strings.ToUpper(hex.EncodeToString(b[:]))
	return h[0:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// Sleep returns after d, or with ctx's error as soon as ctx ends.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Package invoke is what one invocation carries in its context from the door to the store: request
// id, where it came from, the credentials that the runtime handed out for it, and a logger that
// knows the request.
package invoke

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"

	"chatconf/shared/secret"
)

// An Invocation is what a door knows of one call before anybody has looked at its content.
type Invocation struct {
	RequestID string // unique per invocation; the caller sees it too
	// the caller's address without port: the connection's, or what the cloud's gateway saw; empty
	// for events
	SourceIP string
	// the caller came by TLS: the connection's, or because the cloud's gateway takes nothing else
	Secure      bool
	Credentials Credentials  // of the function's role, where the runtime gives them per invocation
	Logger      *slog.Logger // nil is slog.Default
}

// Credentials are what a cloud's runtime gives a function for one invocation. The zero value is:
// none given.
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

// From returns the invocation that ctx carries; one with nothing known if it carries none. It is
// never nil, and not to be changed.
func From(ctx context.Context) *Invocation {
	if inv, ok := ctx.Value(contextKey{}).(*Invocation); ok {
		return inv
	}
	return &nothing
}

var nothing Invocation

// Logger returns the logger of the invocation that ctx carries, else slog.Default.
func Logger(ctx context.Context) *slog.Logger {
	if l := From(ctx).Logger; l != nil {
		return l
	}
	return slog.Default()
}

// Recover makes an error of a panic, with the stack in its text. It belongs at the top of every
// goroutine that serves one request, whose panic would end the process, and is deferred by itself:
//
//	defer invoke.Recover("rpc", &err)
func Recover(where string, err *error) {
	if v := recover(); v != nil {
		*err = fmt.Errorf("%s: panic: %v\n%s", where, v, debug.Stack())
	}
}

// NewRequestID returns a fresh request id in the form of Alibaba Cloud's: an upper-case UUID, 122
// bits of it random.
func NewRequestID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	h := strings.ToUpper(hex.EncodeToString(b[:]))
	return h[0:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

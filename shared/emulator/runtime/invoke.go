package runtime

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// A Request holds the input of an invocation.
type Request struct {
	Payload []byte
	// RequestID is the id of the invocation. Empty means a new one. An id that is in progress is
	// refused.
	RequestID string
	// ClientContext is JSON that a caller sends to a Lambda function with the payload.
	ClientContext string
	// TraceID is sent as the cloud's tracing header. Empty means a new one that is not sampled.
	TraceID string

	httpParams string // of a request to an HTTP function of FC
}

// A Result is the outcome of an invocation.
type Result struct {
	RequestID string
	// Payload is the answer of the function, or the cloud's error document if there is a Failure.
	Payload     []byte
	ContentType string // set by the function, on Lambda
	Failure     Failure
	Log         []byte // output during the invocation, at most the last 64 KiB
	Report      Report

	httpParams string // of an answer of an HTTP function of FC
}

// A Failure is the reason why an invocation has no answer.
type Failure string

// The failures. The clouds retry an asynchronous invocation after each of them.
const (
	Answered    Failure = ""          // no failure
	Returned    Failure = "error"     // the function returned an error, or panicked
	TimedOut    Failure = "timeout"   // the function was killed at its deadline
	Exited      Failure = "exit"      // the process ended before it answered
	InitFailed  Failure = "init"      // the process failed before it took the invocation
	BodyTooLong Failure = "too large" // the answer is too long
)

// A Report is a cloud's report at the end of an invocation.
type Report struct {
	Function  string
	RequestID string
	Instance  string
	Start     time.Time
	Duration  time.Duration // from the start of the invocation in the process to its answer
	Billed    time.Duration // Duration in whole milliseconds, rounded up
	Init      time.Duration // from the start of the process until it was ready; zero after its first invocation
	Memory    int           // the configured size in MB
	MaxMemory int64         // the peak resident memory of the process in bytes; zero if unknown
	Failure   Failure
}

// A Code is the reason why an invocation was refused.
type Code string

// The reasons.
const (
	NotFound   Code = "NotFound"   // no such function
	Throttled  Code = "Throttled"  // the process limit is reached and the queue is full
	TooLarge   Code = "TooLarge"   // the payload is too large
	BadRequest Code = "BadRequest" // the payload is not JSON, on Lambda; or the request id is in use
	Closed     Code = "Closed"     // the host is closed
)

// An Error reports a refused invocation. The function was not called.
type Error struct {
	Code    Code
	Message string
}

// Error returns the code and the message.
func (e *Error) Error() string { return fmt.Sprintf("runtime: %s: %s", e.Code, e.Message) }

// Status returns the HTTP status that both clouds use for the refusal.
func (e *Error) Status() int {
	switch e.Code {
	case NotFound:
		return http.StatusNotFound
	case Throttled:
		return http.StatusTooManyRequests
	case TooLarge:
		return http.StatusRequestEntityTooLarge
	case Closed:
		return http.StatusServiceUnavailable
	default:
		return http.StatusBadRequest
	}
}

// Invoke calls a function and waits for the result. An *Error means that the function was not
// called. When ctx ends, Invoke returns at once. An invocation that a process already took
// continues, as in the clouds.
func (h *Host) Invoke(ctx context.Context, name string, r Request) (*Result, error) {
	p, err := h.pool(name)
	if err != nil {
		return nil, err
	}
	c, err := p.newCall(r)
	if err != nil {
		return nil, err
	}
	if err := p.submit(c); err != nil {
		return nil, err
	}
	select {
	case <-c.done:
		return c.result(), nil
	case <-ctx.Done():
		p.withdraw(c)
		return nil, fmt.Errorf("runtime: invoke %s: %w", name, context.Cause(ctx))
	}
}

// A call is one delivery to a process: an invocation or a hook.
type call struct {
	id       string
	payload  []byte
	request  Request
	hook     hook
	retry    int
	patient  bool // waits in the queue without limit
	done     chan struct{}
	deadline time.Time

	// Guarded by the pool's mutex.
	finished  bool
	delivered time.Time // when the process took it; zero before
	stopTimer func() bool
	outcome   outcome
	report    Report

	log []byte // guarded by the instance's output; not written after the end
}

// A hook is the kind of a delivery. FC numbers them in x-fc-function-type.
type hook int

const (
	invocation  hook = 0
	initializer hook = 1
	preStop     hook = 2
)

// An outcome is the result of a call.
type outcome struct {
	payload     []byte
	contentType string
	failure     Failure
	httpParams  string
}

func (c *call) result() *Result {
	return &Result{
		RequestID: c.id, Payload: c.outcome.payload, ContentType: c.outcome.contentType,
		Failure: c.outcome.failure, Log: c.log, Report: c.report, httpParams: c.outcome.httpParams,
	}
}

// newCall validates a request as the cloud does.
func (p *pool) newCall(r Request) (*call, error) {
	if len(r.Payload) > p.fn.MaxBody {
		return nil, p.cloud.tooLarge(len(r.Payload), p.fn.MaxBody)
	}
	if p.fn.Kind == Lambda {
		if len(r.Payload) == 0 {
			r.Payload = []byte("{}") // as Lambda does
		}
		if !json.Valid(r.Payload) {
			return nil, &Error{Code: BadRequest, Message: "Could not parse request body into json"}
		}
	}
	if !validID(r.RequestID) {
		return nil, &Error{Code: BadRequest, Message: "invalid request id; use at most 128 letters, digits and -"}
	}
	if r.RequestID == "" {
		r.RequestID = p.host.o.NewID(p.fn.Kind)
	}
	if r.TraceID == "" {
		r.TraceID = p.cloud.trace()
	}
	if !plainHeader(r.ClientContext) || !plainHeader(r.TraceID) {
		return nil, &Error{Code: BadRequest, Message: "a header has a line break or a control character"}
	}
	return &call{id: r.RequestID, payload: r.Payload, request: r, done: make(chan struct{})}, nil
}

const alphanumeric = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

// validID reports whether s is safe in a path and a log line.
func validID(s string) bool { return len(s) <= 128 && strings.Trim(s, alphanumeric+"-") == "" }

// plainHeader reports whether s is a valid header value.
func plainHeader(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

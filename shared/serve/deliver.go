package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"chatconf/shared/document"
	"chatconf/shared/invoke"
	"chatconf/shared/secret"
)

// maxPayload is the size of a payload, in bytes. Lambda delivers up to 6 MiB and Function Compute
// up to 32 MiB, but no handler needs more than this.
const maxPayload = 16 << 20

// WarmTime bounds the time to warm a function.
const WarmTime = 3 * time.Second

// A Call describes one invocation, as the runtime has it.
type Call struct {
	secret.Hidden

	RequestID   string
	Function    string
	Credentials invoke.Credentials
}

// A Failure is the error of an invocation that may succeed when it is sent again. The cause is only
// in the log.
type Failure struct {
	Code      string // InternalError, or ServiceUnavailable
	RequestID string
}

// Error returns the code and the request id.
func (f *Failure) Error() string {
	return f.Code + ": the invocation failed and may be retried; for the cause, search the log for request id " +
		f.RequestID
}

// The codes of answers that this package gives.
const (
	codeInternal    = "InternalError"
	codeUnavailable = "ServiceUnavailable"
	codeEvent       = "InvalidEvent"
	codeRequest     = "InvalidRequest"
	codeTooLarge    = "RequestEntityTooLarge"
)

const internalMessage = "The request processing has failed due to some unknown error, exception or failure."

// RequestID returns the platform's request id, or a new one if id is empty, long or has special
// characters.
func RequestID(id string) string {
	if id == "" || len(id) > 128 || strings.Trim(id, alphanumeric+"-_=:.") != "" {
		return invoke.NewRequestID()
	}
	return id
}

// Deliver passes the payload of one invocation to p's handler and returns the answer. A payload
// with a requestContext is an HTTP request, and always gets an HTTP answer. Any other payload is an
// event. Decode reads it, and the answer is:
//
//   - one message: the handler's answer;
//   - SQS: {"batchItemFailures":[{"itemIdentifier":…}]}, the messages to deliver again, for an
//     event source mapping with ReportBatchItemFailures. In a FIFO queue, all messages after the
//     first failure are among them and are not processed;
//   - a list: [{"Id":…,"Answer":…},…], one for each message, in their order.
//
// An invalid message or payload, and one that the handler refuses, gets the answer
// {"RequestId","Code","Message"} and must not be sent again. The error, always a *Failure, says
// that a single message, or some messages of a list, may succeed later. The whole list is then
// delivered again, which the ids make harmless. A panic is logged, and is a failure of its message.
func Deliver(ctx context.Context, p Function, c Call, payload []byte) ([]byte, error) {
	d := &delivery{Function: p, call: &invoke.Invocation{RequestID: RequestID(c.RequestID), Credentials: c.Credentials}}
	d.call.Logger = tag(p.logger(), d.call.RequestID, c.Function)
	ctx = invoke.With(ctx, d.call)
	if len(payload) > maxPayload {
		return d.refuse(ctx, codeTooLarge, fmt.Errorf("the payload has more than %d bytes", maxPayload)), nil
	}
	v, err := parse(payload)
	if err != nil {
		return d.refuse(ctx, codeEvent, fmt.Errorf("invalid payload: %w", err)), nil
	}
	claim := claims(v)
	if claim&httpShape != 0 {
		return d.http(ctx, v, claim), nil
	}
	events, err := decode(v, claim, d.call.RequestID)
	if err != nil {
		return d.refuse(ctx, codeEvent, err), nil
	}
	switch {
	case events.Source == SQS:
		return d.queue(ctx, events), nil
	case events.List:
		return d.list(ctx, events)
	default:
		return d.serveEvent(ctx, events.Records[0])
	}
}

type delivery struct {
	Function
	call *invoke.Invocation
}

// refuse logs that an event is invalid, and returns the answer.
func (d *delivery) refuse(ctx context.Context, code string, err error) []byte {
	d.call.Logger.WarnContext(ctx, "event refused", "code", code, "error", err)
	return d.envelope(code, err.Error(), "")
}

func (d *delivery) envelope(code, message, host string) []byte {
	return document.Marshal(struct {
		RequestID string `json:"RequestId"`
		HostID    string `json:"HostId,omitempty"`
		Code      string
		Message   string
	}{d.call.RequestID, host, code, message})
}

func (d *delivery) http(ctx context.Context, v value, claim shape) []byte {
	w := &response{header: make(http.Header, 8)}
	r, format, err := decodeRequest(ctx, v)
	if !claim.one() {
		err = fmt.Errorf("the payload looks like %v", claim)
	}
	method := http.MethodGet
	if err != nil {
		d.refuseRequest(ctx, w, err)
	} else {
		method = r.Method
		d.serveHTTP(w, r)
	}
	answer, lost := w.payload(format, method)
	if lost > 0 {
		d.call.Logger.ErrorContext(ctx, "cookies were lost: the HTTP trigger answers with one at most", "lost", lost)
	}
	return answer
}

func (d *delivery) refuseRequest(ctx context.Context, w *response, err error) {
	status, code := http.StatusBadRequest, codeRequest
	if errors.Is(err, errBodyTooLarge) {
		status, code = http.StatusRequestEntityTooLarge, codeTooLarge
	}
	d.call.Logger.WarnContext(ctx, "request refused", "code", code, "error", err)
	d.writeError(w, status, code, "Invalid request: "+err.Error()+".", "")
}

// writeError replaces the answer with an error.
func (d *delivery) writeError(w *response, status int, code, message, host string) {
	*w = response{header: make(http.Header, 2)}
	w.header.Set("Content-Type", "application/json; charset=utf-8")
	w.header.Set("X-Acs-Request-Id", d.call.RequestID)
	w.WriteHeader(status)
	w.Write(d.envelope(code, message, host))
}

// serveHTTP calls the handler. A panic becomes an InternalError.
func (d *delivery) serveHTTP(w *response, r *http.Request) {
	defer func() {
		if v := recover(); v != nil {
			d.logPanic(r.Context(), v)
			d.writeError(w, http.StatusInternalServerError, codeInternal, internalMessage, r.Host)
		}
	}()
	d.Handler.ServeHTTP(w, r)
}

// serveEvent calls the handler for one message. A *Failure is the only error.
func (d *delivery) serveEvent(ctx context.Context, r Record) (answer []byte, err error) {
	if r.Err != nil {
		return d.refuse(ctx, codeEvent, r.Err), nil
	}
	if err := ctx.Err(); err != nil {
		return nil, d.fail(ctx, r, err)
	}
	defer func() {
		if v := recover(); v != nil {
			d.logPanic(ctx, v)
			answer, err = nil, &Failure{Code: codeInternal, RequestID: d.call.RequestID}
		}
	}()
	if answer, err = d.Handler.ServeEvent(ctx, r.Event); err != nil {
		return nil, d.fail(ctx, r, err)
	}
	return answer, nil
}

// fail logs that a message failed, and returns the error that causes another delivery.
func (d *delivery) fail(ctx context.Context, r Record, err error) error {
	d.call.Logger.WarnContext(ctx, "event failed and may be delivered again", "source",
		r.Source, "event", r.ID, "error", err)
	return &Failure{Code: codeUnavailable, RequestID: d.call.RequestID}
}

func (d *delivery) logPanic(ctx context.Context, v any) {
	d.call.Logger.ErrorContext(ctx, "panic", "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
}

// queue answers a batch of SQS:
// https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html.
func (d *delivery) queue(ctx context.Context, events *Events) []byte {
	type item struct {
		ItemIdentifier string `json:"itemIdentifier"`
	}
	failed := []item{}
	for _, r := range events.Records {
		if !events.Ordered || len(failed) == 0 {
			if _, err := d.serveEvent(ctx, r); err == nil {
				continue
			}
		}
		failed = append(failed, item{r.Handle})
	}
	return document.Marshal(struct {
		BatchItemFailures []item `json:"batchItemFailures"`
	}{failed})
}

func (d *delivery) list(ctx context.Context, events *Events) ([]byte, error) {
	type result struct {
		ID     string `json:"Id"`
		Answer json.RawMessage
	}
	var results []result
	var failed error
	for _, r := range events.Records {
		answer, err := d.serveEvent(ctx, r)
		if err != nil {
			failed = err
			continue
		}
		if len(answer) == 0 {
			answer = nil // null
		}
		results = append(results, result{r.ID, answer})
	}
	if failed != nil {
		return nil, failed
	}
	return document.Marshal(results), nil
}

// Warm calls p.Warm. It returns when that is done, after WarmTime, or when ctx ends. An error is
// only logged: the first invocation tries again.
func Warm(ctx context.Context, p Function) {
	if p.Warm == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, WarmTime)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- warm(ctx, p) }()
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		p.logger().WarnContext(ctx, "warming failed; the first invocation tries again", "error", err)
	}
}

func warm(ctx context.Context, p Function) (err error) {
	defer invoke.Recover("warm", &err)
	return p.Warm(ctx)
}

// Close calls p.Close.
func Close(p Function) (err error) {
	if p.Close == nil {
		return nil
	}
	defer invoke.Recover("serve: close", &err)
	if err := p.Close(); err != nil {
		return fmt.Errorf("serve: close: %w", err)
	}
	return nil
}

func (p Function) logger() *slog.Logger {
	if p.Logger == nil {
		return slog.Default()
	}
	return p.Logger
}

package dynamodb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"chatconf/shared/table"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

const (
	// attempts is how often one request is sent at most, which takes about two seconds with the
	// pauses.
	attempts = 10
	// firstPause and maxPause bound the random pause before a retry: up to 25, 50, 100 … 500
	// ms.
	firstPause = 25 * time.Millisecond
	maxPause   = 500 * time.Millisecond
	// maxAnswer is the size of an answer, in bytes: a BatchGetItem has up to 16 MB, in base64.
	maxAnswer = 32 << 20
)

// A fate is the result of one request.
type fate int

const (
	done      fate = iota // done
	refused               // not done; a retry cannot succeed
	denied                // not done, because of old credentials or a wrong clock; a retry may succeed
	deferred              // not done; a retry may succeed
	unsettled             // unknown: the answer is an internal error
	lost                  // unknown, and may still arrive: no valid answer
)

// An outcome is the result of a request that may have been sent several times.
type outcome struct {
	fate fate
	lost bool // one of the requests was lost and may still arrive
	err  error
}

// A sender sends a request once, with the given options.
type sender func(ctx context.Context, with func(*dynamodb.Options)) error

// call sends a request until it is done or refused, attempts times at most. A request that is not
// repeatable is not sent again when it may have been done.
func (t *Table) call(ctx context.Context, repeatable bool, send sender) outcome {
	var o outcome
	wasDenied := false
	for n := range attempts {
		var used aws.Credentials
		o.fate, used, o.err = t.once(ctx, send)
		o.lost = o.lost || o.fate == lost
		switch o.fate {
		case done, refused:
			return o
		case denied:
			if wasDenied {
				return o
			}
			wasDenied = true
			t.invalidate(ctx, used)
		case unsettled, lost:
			if !repeatable {
				return o
			}
		}
		if n == attempts-1 || !t.pause(ctx, n) {
			break
		}
	}
	return o
}

// ask sends a repeatable request.
func ask[In, Out any](ctx context.Context, t *Table,
	do func(context.Context, *In, ...func(*dynamodb.Options)) (*Out, error), in *In) (out *Out, err error) {
	o := t.call(ctx, true, func(ctx context.Context, with func(*dynamodb.Options)) (err error) {
		out, err = do(ctx, in, with)
		return err
	})
	if o.err != nil && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return out, o.err
}

// once sends a request once. It returns the result and the credentials that signed it, which the
// error does not show.
func (t *Table) once(ctx context.Context, send sender) (fate, aws.Credentials, error) {
	e := &exchange{client: t.http}
	s := &signer{own: t.credentials}
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	err := send(ctx, func(o *dynamodb.Options) { o.HTTPClient, o.Credentials = e, s })
	return judge(err, e.sent), s.used, describe(err, s.used)
}

// invalidate makes the provider fetch new credentials, unless it has replaced the refused ones
// already.
func (t *Table) invalidate(ctx context.Context, used aws.Credentials) {
	// such as aws.CredentialsCache, whose new credentials must not be dropped
	c, ok := t.credentials.(interface{ Invalidate() })
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	select {
	case t.invalidating <- struct{}{}:
		defer func() { <-t.invalidating }()
	case <-ctx.Done():
		return
	}
	if current, err := t.credentials.Retrieve(ctx); err == nil && current.AccessKeyID == used.AccessKeyID {
		c.Invalidate()
	}
}

// pause waits before retry n, counted from 0. It returns false if no time is left.
func (t *Table) pause(ctx context.Context, n int) bool {
	d := rand.N(min(firstPause<<n, maxPause))
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= d {
		return false
	}
	return t.sleep(ctx, d) == nil
}

// judge maps an error of the SDK to the fate of the request; sent tells whether it may have been
// sent. https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
func judge(err error, sent bool) fate {
	var stop *verdict
	var api smithy.APIError
	var answer *smithyhttp.ResponseError
	switch {
	case err == nil:
		return done
	case errors.As(err, &stop):
		return stop.fate
	case unsupported(err):
		return refused
	case errors.As(err, &api) && api.ErrorCode() != "":
		return judgeCode(api.ErrorCode(), errors.As(err, &answer) && answer.HTTPStatusCode() >= 500)
	case !sent:
		return deferred
	default:
		return lost
	}
}

// unsupported reports whether the server lacks the operation. DynamoDB has all; a replacement may
// not.
func unsupported(err error) bool {
	var answer *smithyhttp.ResponseError
	if errors.As(err, &answer) && answer.HTTPStatusCode() == http.StatusNotImplemented {
		return true
	}
	var api smithy.APIError
	if !errors.As(err, &api) {
		return false
	}
	switch api.ErrorCode() {
	case "UnknownOperationException", "UnknownOperation", "InvalidAction", "NotImplemented", "NotImplementedException",
		"UnsupportedOperationException", "UnsupportedOperation":
		return true
	}
	return false
}

func judgeCode(code string, serverError bool) fate {
	switch code {
	case "ThrottlingException", "Throttling", "ProvisionedThroughputExceededException", "RequestLimitExceeded",
		"TransactionConflictException", "ReplicatedWriteConflictException":
		return deferred
	case "ExpiredTokenException", "ExpiredToken", "UnrecognizedClientException", "InvalidSignatureException",
		"RequestExpired", "RequestTimeTooSkewed":
		return denied
	case "TransactionInProgressException", // our own earlier request
		"InternalServerError", "InternalFailure", "ServiceUnavailable", "ServiceUnavailableException":
		return unsettled
	case "UnknownError": // the SDK's code for an answer without one
		return lost
	}
	if serverError {
		return unsettled
	}
	return refused
}

// judgeReason maps the reason of one part of a cancelled transaction to its fate.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
func judgeReason(r types.CancellationReason) fate {
	switch {
	case r.Code == nil || *r.Code == "" || *r.Code == "None":
		return done
	case *r.Code == "TransactionConflict", *r.Code == "ProvisionedThroughputExceeded", *r.Code == "ThrottlingError":
		return deferred
	default:
		return refused
	}
}

// A verdict is an error with a known fate.
type verdict struct {
	fate fate
	err  error
}

func (v *verdict) Error() string { return v.err.Error() }
func (v *verdict) Unwrap() error { return v.err }

// A failure is an error of the SDK with a text that has no secret.
type failure struct {
	text string
	err  error
}

func (f *failure) Error() string { return f.text }
func (f *failure) Unwrap() error { return f.err }

// describe removes secrets from an error: after a wrong signature, AWS answers with the text to
// sign, including the session token.
func describe(err error, used aws.Credentials) error {
	var api smithy.APIError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &api):
		return &failure{describeAnswer(err, api, used), err}
	}
	if text := err.Error(); redact(text, used) != text {
		return &failure{redact(text, used), err}
	}
	return err
}

func describeAnswer(err error, api smithy.APIError, used aws.Credentials) string {
	text := "dynamodb: "
	var op *smithy.OperationError
	switch {
	case used.AccessKeyID == "": // not sent: the error is that of the credentials' provider
		text += "credentials: "
	case errors.As(err, &op):
		text += op.OperationName + ": "
	}
	text += fmt.Sprintf("%s: %.200q", plain(redact(api.ErrorCode(), used)), redact(api.ErrorMessage(), used))
	var answer *smithyhttp.ResponseError
	if errors.As(err, &answer) {
		text += fmt.Sprintf(", status %d", answer.HTTPStatusCode())
	}
	var request interface{ ServiceRequestID() string }
	if errors.As(err, &request) && request.ServiceRequestID() != "" {
		text += ", request " + plain(redact(request.ServiceRequestID(), used))
	}
	return text
}

func redact(text string, used aws.Credentials) string {
	for _, secret := range []string{used.SecretAccessKey, used.SessionToken} {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "[secret]")
		}
	}
	return text
}

// plain cuts a code or an id, and quotes it if it has unusual characters.
func plain(id string) string {
	id = fmt.Sprintf("%.80s", id)
	if quoted := strconv.Quote(id); quoted != `"`+id+`"` {
		return quoted
	}
	return id
}

// mapError maps the error of a call to one of the port. It does not wrap the SDK's errors: the
// timeout of one request must not look like the end of the caller's context.
func mapError(ctx context.Context, err error) error {
	var condition *table.ConditionError
	switch {
	case errors.As(err, &condition):
		return condition
	case errors.Is(err, table.ErrInvalid), errors.Is(err, table.ErrClosed), errors.Is(err, table.ErrUnavailable):
		return err
	case unsupported(err):
		return fmt.Errorf("%w: %v", table.ErrUnsupported, err)
	case ctx.Err() != nil:
		return ctx.Err()
	default:
		return fmt.Errorf("%w: %v", table.ErrUnavailable, err)
	}
}

// An exchange is the HTTP client of one request.
type exchange struct {
	client *http.Client
	sent   bool // a part of the request may have reached the server
}

// Do sends r and reads the answer.
func (e *exchange) Do(r *http.Request) (*http.Response, error) {
	resp, err := e.client.Do(r)
	if err != nil {
		var op *net.OpError
		e.sent = !errors.As(err, &op) || op.Op != "dial"
		return nil, err
	}
	e.sent = true
	defer resp.Body.Close()
	body, err := readAnswer(resp)
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// readAnswer reads an answer. It returns an error if the answer is too large or empty, or if its
// checksum is wrong. The SDK accepts an empty answer, and only logs a wrong checksum (smithy-go
// v1.28.8, CloseResponseBody).
func readAnswer(resp *http.Response) ([]byte, error) {
	var b bytes.Buffer
	if n := resp.ContentLength; n > 0 {
		b.Grow(int(min(n, 1<<20)) + bytes.MinRead)
	}
	n, err := io.Copy(&b, io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, err
	case n > maxAnswer:
		return nil, fmt.Errorf("an answer of more than %d bytes", maxAnswer)
	case n == 0:
		return nil, fmt.Errorf("an empty answer of status %d", resp.StatusCode)
	}
	if want := resp.Header.Get("X-Amz-Crc32"); want != "" {
		if got := strconv.FormatUint(uint64(crc32.ChecksumIEEE(b.Bytes())), 10); got != want {
			return nil, errors.New("the checksum of the answer is wrong")
		}
	}
	return b.Bytes(), nil
}

// A sameBody makes all requests of a call identical. The SDK writes maps in random order, and
// DynamoDB refuses a different payload with a known token; its documentation does not tell whether
// order counts.
type sameBody struct {
	bytes []byte
}

// keep adds the middleware to a request.
func (s *sameBody) keep(o *dynamodb.Options) {
	o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
		return stack.Build.Add(middleware.BuildMiddlewareFunc("chatconf:SameBody", s.handle), middleware.After)
	})
}

func (s *sameBody) handle(ctx context.Context, in middleware.BuildInput,
	next middleware.BuildHandler) (out middleware.BuildOutput, m middleware.Metadata, err error) {
	r, ok := in.Request.(*smithyhttp.Request)
	if !ok {
		return out, m, fmt.Errorf("a request of type %T", in.Request)
	}
	if s.bytes == nil {
		if s.bytes, err = io.ReadAll(r.GetStream()); err != nil {
			return out, m, err
		}
	}
	if in.Request, err = r.SetStream(bytes.NewReader(s.bytes)); err != nil {
		return out, m, err
	}
	return next.HandleBuild(ctx, in)
}

// Package cloud makes the few cloud API calls that the service needs: to decrypt a key ring, to
// assume roles, to invoke functions, and to start and follow executions. Each subfolder is one
// cloud; this package holds the shared code.
//
// Each call is one signed HTTP request, without an SDK. The signing code is linked anyway: AWS's by
// the DynamoDB adapter, Alibaba Cloud's by rpc/sign. An SDK adds a client of about fifty
// operations, and so megabytes and milliseconds to every start.
package cloud

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"chatconf/shared/dial"
	"chatconf/shared/invoke"
	"chatconf/shared/secret"
)

const (
	// DefaultAttempts is the maximum number of requests per call.
	DefaultAttempts = 5
	// DefaultTimeout limits one request. A retry uses a new connection.
	DefaultTimeout = 3 * time.Second
	// firstPause limits the random pause before the second request. The limit doubles each time.
	firstPause = 100 * time.Millisecond
	// DefaultLimit is the maximum size of an answer in bytes.
	DefaultLimit = 64 << 10
)

// A Refusal is a service's error response.
type Refusal struct {
	Status    int
	Code      string // from the service; empty if the response has none
	Message   string // from the service; it may contain signed text
	RequestID string
	Retryable bool // a retry may succeed
	// Failure is the error of a function that has failed, for the person who runs it. It may
	// contain anything, so that Error does not show it.
	Failure string
}

// Error returns code, message and request id.
func (r *Refusal) Error() string {
	text := "status " + strconv.Itoa(r.Status)
	if r.Code != "" {
		text = plain(r.Code) + ", " + text
	}
	if r.RequestID != "" {
		text += ", request " + plain(r.RequestID)
	}
	if r.Message != "" {
		text += fmt.Sprintf(": %.300q", r.Message)
	}
	return text
}

// CodeOf returns the code of a refusal; empty for any other error.
func CodeOf(err error) string {
	var refused *Refusal
	if !errors.As(err, &refused) {
		return ""
	}
	return refused.Code
}

// PlainCode returns the code for people.
func (r *Refusal) PlainCode() string {
	if r.Code == "" {
		return "without a code"
	}
	return plain(r.Code)
}

// A Reason says in plain words why a service refuses.
type Reason struct {
	Codes []string // of the service; one that ends in '.' is the beginning of codes
	Why   string
	Again bool // another attempt may succeed
}

// Reason returns the first of reasons that has the code of the refusal.
func (r *Refusal) Reason(reasons []Reason) (_ Reason, ok bool) {
	for _, reason := range reasons {
		for _, code := range reason.Codes {
			if r.Code == code || strings.HasSuffix(code, ".") && strings.HasPrefix(r.Code, code) {
				return reason, true
			}
		}
	}
	return Reason{}, false
}

// plain returns the beginning of a code or an id, quoted if it has special characters.
func plain(id string) string {
	id = fmt.Sprintf("%.80s", id)
	if quoted := strconv.Quote(id); quoted != `"`+id+`"` {
		return quoted
	}
	return id
}

// ErrNoCredentials is the error of a request without credentials.
var ErrNoCredentials = errors.New("no credentials: neither the invocation nor the environment has any")

// A Request is one signed request, with the secrets that no error may show.
type Request struct {
	secret.Hidden

	*http.Request
	Secrets []string
}

// A Question is one call of a service.
type Question struct {
	// Transport sends the requests. Nil means http.DefaultTransport.
	Transport http.RoundTripper
	// Sign makes a new signed request for each attempt. An error ends the call.
	Sign func(context.Context) (Request, error)
	// Read parses a response. It returns a *Refusal for an error response. Any other error, for an
	// invalid response, ends the call too.
	Read func(status int, h http.Header, body []byte) ([]byte, error)
	// Attempts is the maximum number of requests, and Timeout limits each. Zero means the default.
	Attempts int
	Timeout  time.Duration
	// Limit is the maximum size of an answer in bytes. Zero means the default.
	Limit int
}

// Ask sends requests until one has a final answer, and returns the result of Read. No error
// contains a secret.
func Ask(ctx context.Context, q Question) ([]byte, error) {
	if q.Attempts == 0 {
		q.Attempts = DefaultAttempts
	}
	if q.Timeout == 0 {
		q.Timeout = DefaultTimeout
	}
	if q.Limit == 0 {
		q.Limit = DefaultLimit
	}
	var last error
	for n := range q.Attempts {
		if n > 0 && !pause(ctx, n) {
			break
		}
		request, err := q.Sign(ctx)
		if err != nil {
			return nil, err
		}
		answer, err := q.ask(ctx, request)
		if err == nil {
			return answer, nil
		}
		last = redact(err, request.Secrets)
		if !retryable(err) {
			break
		}
	}
	if err := ctx.Err(); err != nil && !errors.Is(last, err) {
		return nil, errors.Join(last, err)
	}
	return nil, last
}

// retryable reports whether a retry may succeed: there was no response, or the service says so. A
// server with an invalid certificate is not retried.
func retryable(err error) bool {
	var refused *Refusal
	if errors.As(err, &refused) {
		return refused.Retryable
	}
	var lost *url.Error
	var stranger *tls.CertificateVerificationError
	return errors.As(err, &lost) && !errors.As(err, &stranger)
}

// ask sends one request. It returns a *url.Error if there was no response.
func (q *Question) ask(ctx context.Context, r Request) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, q.Timeout)
	defer cancel()
	client := &http.Client{
		Transport: q.Transport,
		// the signature is for one host only
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(r.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, int64(q.Limit)+1))
	if err != nil {
		return nil, &url.Error{Op: "read", URL: r.URL.Redacted(), Err: err}
	}
	if len(body) > q.Limit {
		return nil, fmt.Errorf("the answer has more than %d bytes", q.Limit)
	}
	return q.Read(resp.StatusCode, resp.Header, body)
}

// pause waits before attempt n+1. It returns false if there is not enough time.
func pause(ctx context.Context, n int) bool {
	d := rand.N(firstPause << (n - 1))
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= d {
		return false
	}
	return invoke.Sleep(ctx, d) == nil
}

// A failure is an error whose text contains no secret.
type failure struct {
	text string
	err  error
}

func (f *failure) Error() string { return f.text }
func (f *failure) Unwrap() error { return f.err }

// redact removes secrets from the text of an error. In a Refusal it does so before the message is
// cut, because half a secret would not be found.
func redact(err error, secrets []string) error {
	var pairs []string
	for _, secret := range secrets {
		if secret != "" {
			pairs = append(pairs, secret, "[secret]")
		}
	}
	without := strings.NewReplacer(pairs...)
	var refused *Refusal
	if errors.As(err, &refused) {
		refused.Code, refused.Message, refused.RequestID = without.Replace(refused.Code),
			without.Replace(refused.Message), without.Replace(refused.RequestID)
	}
	if text := err.Error(); without.Replace(text) != text {
		return &failure{without.Replace(text), err}
	}
	return err
}

// Retryable reports whether a retry may succeed after this status.
func Retryable(status int) bool {
	return status >= http.StatusInternalServerError || status == http.StatusTooManyRequests
}

// IsLabel reports whether a region or an account can be a part of a host name, and no more than
// that.
func IsLabel(text string) bool {
	return text != "" && strings.Trim(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// CheckEndpoint returns an error unless text is the URL of a host with https, or http for this
// machine. With http, anyone on the network path could read the answers, such as a key ring.
func CheckEndpoint(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil ||
		strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		// not shown: it may contain a password
		return errors.New("use an http or https URL with only a host")
	}
	if u.Scheme == "http" && !dial.Loopback(u.Hostname()) {
		return errors.New("use https; http is allowed only for this machine")
	}
	return nil
}

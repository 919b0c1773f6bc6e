// Package cloud calls the APIs of the clouds for the little that is needed of them: to open a key
// ring, and to invoke a function. Its folders are one cloud each; this package holds what they
// share.
//
// Each call is one signed HTTP request, and not one of an SDK. The signatures are linked anyway:
// that of AWS with the DynamoDB adapter, that of Alibaba Cloud in rpc/sign. An SDK would add a
// client of about fifty operations, and so megabytes and milliseconds to every start.
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
	// DefaultAttempts is how often a request is sent at most.
	DefaultAttempts = 5
	// DefaultTimeout is of one request. The next goes out on a fresh connection.
	DefaultTimeout = 3 * time.Second
	// firstPause bounds the random pause before the second request; it doubles with each.
	firstPause = 100 * time.Millisecond
	// maxAnswer is the size of the largest answer that is read, in bytes.
	maxAnswer = 64 << 10
)

// A Refusal is what a service answered instead of doing what it was asked for.
type Refusal struct {
	Status    int
	Code      string // the service's own; empty if the answer has none
	Message   string // the service's own; it may repeat what was signed
	RequestID string
	Passing   bool // the same request may be answered otherwise later
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

// plain returns the beginning of a code or an id, quoted if it does not look like one.
func plain(id string) string {
	id = fmt.Sprintf("%.80s", id)
	if quoted := strconv.Quote(id); quoted != `"`+id+`"` {
		return quoted
	}
	return id
}

// ErrNoCredentials is the error of a request that nobody can sign.
var ErrNoCredentials = errors.New("no credentials: the invocation carries none, and there are no others")

// A Request is one request, signed with credentials that no error may show.
type Request struct {
	secret.Hidden

	*http.Request
	Secrets []string
}

// A Question is what a service is asked, and how.
type Question struct {
	// Transport carries the requests. Nil is http.DefaultTransport.
	Transport http.RoundTripper
	// Sign makes each request anew; an error of it ends the call.
	Sign func(context.Context) (Request, error)
	// Read returns what is made of an answer: a *Refusal for what is none, or any error for what
	// cannot be understood, which ends the call too.
	Read func(status int, h http.Header, body []byte) ([]byte, error)
	// Attempts is how often a request is sent at most, and Timeout is of one of them. Zero is the
	// default.
	Attempts int
	Timeout  time.Duration
}

// Ask sends requests until one is answered for good, and returns what Read makes of the answer. No
// answer is passed on, and no error shows a secret.
func Ask(ctx context.Context, q Question) ([]byte, error) {
	if q.Attempts == 0 {
		q.Attempts = DefaultAttempts
	}
	if q.Timeout == 0 {
		q.Timeout = DefaultTimeout
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
		if !passing(err) {
			break
		}
	}
	if err := ctx.Err(); err != nil && !errors.Is(last, err) {
		return nil, errors.Join(last, err)
	}
	return nil, last
}

// passing reports whether another request may do better: there was no answer, other than from
// somebody who is not the service, or there was one that says so.
func passing(err error) bool {
	var refused *Refusal
	if errors.As(err, &refused) {
		return refused.Passing
	}
	var lost *url.Error
	var stranger *tls.CertificateVerificationError
	return errors.As(err, &lost) && !errors.As(err, &stranger)
}

// ask sends one request. The error is a *url.Error if there was no answer.
func (q *Question) ask(ctx context.Context, r Request) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, q.Timeout)
	defer cancel()
	client := &http.Client{
		Transport: q.Transport,
		// what is signed is for one host
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(r.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, &url.Error{Op: "read", URL: r.URL.Redacted(), Err: err}
	}
	if len(body) > maxAnswer {
		return nil, fmt.Errorf("an answer of more than %d bytes", maxAnswer)
	}
	return q.Read(resp.StatusCode, resp.Header, body)
}

// pause waits before a request is sent for the n+1st time. It reports false when there is no time
// left to.
func pause(ctx context.Context, n int) bool {
	d := rand.N(firstPause << (n - 1))
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= d {
		return false
	}
	return invoke.Sleep(ctx, d) == nil
}

// A failure is an error whose text holds no secret.
type failure struct {
	text string
	err  error
}

func (f *failure) Error() string { return f.text }
func (f *failure) Unwrap() error { return f.err }

// redact takes secrets out of the text of an error: of a refusal's before it is cut, which might
// leave half of one.
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

// Passing reports whether a status says that the same request may be answered otherwise later.
func Passing(status int) bool {
	return status >= http.StatusInternalServerError || status == http.StatusTooManyRequests
}

// CheckEndpoint returns an error unless text is the URL of a host: https, or of this machine http.
// Over http anybody on the way would read what is asked for, such as a key ring.
func CheckEndpoint(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil ||
		strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("wanted an http or https URL with a host and nothing else") // it would show a password in it
	}
	if u.Scheme == "http" && !dial.Loopback(u.Hostname()) {
		return errors.New("wanted https: http is for this machine only")
	}
	return nil
}

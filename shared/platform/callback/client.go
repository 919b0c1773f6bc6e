package callback

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"chatconf/shared/dial"
	"chatconf/shared/secret"
)

// maxAnswer is the maximum size of an answer, in bytes; the rest is not read.
const maxAnswer = 64 << 10

const callTimeout = 10 * time.Second

// A Client calls the platforms' APIs, for answers that come after the acknowledgement. It calls
// only known hosts over https, follows no redirects, reads answers of bounded size, and caches
// access tokens. Its errors hold no address and no secret. A process uses one Client for all, since
// it has the cache. It is safe for concurrent use.
type Client struct {
	secret.Hidden
	http *http.Client
	now  func() time.Time

	mu     sync.Mutex
	tokens map[string]*token
}

// ClientOptions are the options of NewClient.
type ClientOptions struct {
	Transport http.RoundTripper // default http.DefaultTransport
	Now       func() time.Time  // the clock; default time.Now
}

// NewClient returns a Client.
func NewClient(o ClientOptions) *Client {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Client{
		http: &http.Client{
			Transport:     o.Transport,
			Timeout:       callTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		now:    o.Now,
		tokens: make(map[string]*token),
	}
}

// Now returns the time by the client's clock.
func (c *Client) Now() time.Time { return c.now() }

// A Call is one request to a platform.
type Call struct {
	What    string // for errors, such as "slack: answer by response_url"
	Method  string // POST if empty
	URL     secret.Text
	Hosts   []string // the allowed hosts of the URL
	Headers map[string]secret.Text
	Body    []byte `json:"-"` // JSON; it may hold a secret, so it does not print
}

// An Answer is the answer of a platform.
type Answer struct {
	Status int
	Header http.Header
	Fields
	Raw string // the body, cut; some answers are not JSON
}

// A CallError says that a platform rejected a call, whatever the HTTP status.
type CallError struct {
	What string // Call.What
	Code string // the platform's error code; empty without one
	// Status is that of HTTP; zero if the answer came over a connection.
	Status int
	// Again says that a retry may succeed: the platform is busy or limits the rate.
	Again bool
}

func (e *CallError) Error() string {
	switch {
	case e.Code == "":
		return fmt.Sprintf("%s: answered with status %d and not in JSON that says so", e.What, e.Status)
	case e.Status == 0:
		return fmt.Sprintf("%s: refused with code %s", e.What, Cut(printable(e.Code), 64))
	}
	return fmt.Sprintf("%s: refused with code %s, status %d", e.What, Cut(printable(e.Code), 64), e.Status)
}

// Retryable reports whether the same call may succeed later.
func (e *CallError) Retryable() bool { return e.Again }

// A final is an error that no retry can fix.
type final string

func (e final) Error() string { return string(e) }

func (final) Retryable() bool { return false }

// Final returns an error of a sender that a retry cannot fix: a setting is missing, or there is no
// way to answer.
func Final(format string, args ...any) error { return final(fmt.Sprintf(format, args...)) }

// printable makes a platform's code safe for an error on one line.
func printable(text string) string {
	return strings.Map(func(c rune) rune {
		if c <= ' ' || c >= 0x7f {
			return '.'
		}
		return c
	}, text)
}

// Refused returns the CallError of an answer.
func (a *Answer) Refused(what, code string, again bool) error {
	return &CallError{what, code, a.Status, again || a.Status == http.StatusTooManyRequests || a.Status >= 500}
}

// NotOpened returns the error of an answer that opens no connection. wrong says what is wrong with
// the settings, by the platform's code; no retry can fix that. Any other code may be temporary: it
// may depend on what is switched on in the platform's console.
func (a *Answer) NotOpened(what, code string, wrong map[string]string) error {
	refused := a.Refused(what, code, true)
	if why := wrong[code]; why != "" {
		return Final("%v: %s", refused, why)
	}
	return refused
}

// errHost is the error for an address that is not called. It came with a message and may lead
// anywhere.
const errHost final = "the address is not https at a host of the platform"

// Do makes a call. It rejects a URL with a user, a port, a fragment, another scheme than https or a
// host that is not in Hosts. An answer that is not a JSON object is no error; its Fields are empty.
func (c *Client) Do(ctx context.Context, call Call) (*Answer, error) {
	u, err := url.Parse(call.URL.Reveal())
	if err != nil || u.Scheme != "https" || u.User != nil || u.Opaque != "" || u.Fragment != "" ||
		!slices.Contains(call.Hosts, u.Host) {
		return nil, fmt.Errorf("%s: %w", call.What, errHost) // url.Error would quote the URL
	}
	method := call.Method
	if method == "" {
		method = http.MethodPost
	}
	request, err := http.NewRequestWithContext(ctx, method, call.URL.Reveal(), bytes.NewReader(call.Body))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", call.What, errHost)
	}
	if method == http.MethodPost {
		request.Header.Set("Content-Type", "application/json; charset=utf-8")
	}
	for name, value := range call.Headers {
		request.Header.Set(name, value.Reveal())
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, dial.NewError(call.What, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return nil, dial.NewError(call.What+": read the answer", err)
	}
	if len(body) > maxAnswer {
		return nil, fmt.Errorf("%s: the answer is longer than %d bytes", call.What, maxAnswer)
	}
	answer := &Answer{Status: response.StatusCode, Header: response.Header, Raw: Cut(string(body), 256)}
	if answer.Fields, err = Object("the answer", string(body)); err != nil {
		answer.Fields, err = Object("the answer", "{}")
	}
	return answer, err
}

// A token is an access token, or one that is being fetched.
type token struct {
	secret.Hidden
	fetching chan struct{} // closed when text, until and err are set
	text     secret.Text
	until    time.Time
	err      error
}

// A Fetch fetches an access token, and returns it with its lifetime.
type Fetch func(context.Context) (secret.Text, time.Duration, error)

// maxTokens is the maximum number of tokens in the cache; beyond it, any may be dropped.
const maxTokens = 1000

// early is how long before its expiry a token is no longer used.
const early = 2 * time.Minute

// Token returns the access token of an app: the cached one of key, or a new one. Only one caller
// fetches a token at a time. The key is different for every app and secret. fetch returns the token
// and its lifetime.
func (c *Client) Token(ctx context.Context, key string, fetch Fetch) (secret.Text, error) {
	for {
		c.mu.Lock()
		t := c.tokens[key]
		if t == nil {
			t = &token{fetching: make(chan struct{})}
			if len(c.tokens) >= maxTokens {
				for other := range c.tokens {
					delete(c.tokens, other)
					break
				}
			}
			c.tokens[key] = t
			c.mu.Unlock()
			return c.fetch(ctx, key, t, fetch)
		}
		c.mu.Unlock()
		select {
		case <-t.fetching:
		case <-ctx.Done():
			return "", ctx.Err()
		}
		if t.err == nil && c.now().Before(t.until) {
			return t.text, nil
		}
		c.drop(key, t) // the other caller may have had less time
	}
}

// errNotFetched is the error of a fetch that did not return.
var errNotFetched = errors.New("callback: the access token was not fetched")

func (c *Client) fetch(ctx context.Context, key string, t *token, fetch Fetch) (secret.Text, error) {
	t.err = errNotFetched // for waiting callers if fetch panics; they fetch themselves
	defer func() {
		if t.err != nil {
			c.drop(key, t)
		}
		close(t.fetching)
	}()
	var lives time.Duration
	t.text, lives, t.err = fetch(ctx)
	t.until = c.now().Add(lives - early)
	return t.text, t.err
}

func (c *Client) drop(key string, t *token) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tokens[key] == t {
		delete(c.tokens, key)
	}
}

// Forget drops this token of key from the cache, after the platform rejected it.
func (c *Client) Forget(key string, text secret.Text) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.tokens[key]
	if t == nil {
		return
	}
	select {
	case <-t.fetching:
		if t.text == text {
			delete(c.tokens, key)
		}
	default:
	}
}

// WithToken calls do with an access token, and once more with a new one if do reports that the
// token has expired.
func (c *Client) WithToken(ctx context.Context, key string, fetch Fetch,
	do func(token secret.Text) (expired bool, err error)) error {
	for attempt := 0; ; attempt++ {
		text, err := c.Token(ctx, key, fetch)
		if err != nil {
			return err
		}
		expired, err := do(text)
		if !expired || attempt > 0 {
			return err
		}
		c.Forget(key, text)
	}
}

// Lifetime parses the lifetime of a token, a whole number of seconds; more than a day is a day. It
// is zero for other text.
func Lifetime(text string) time.Duration {
	var n int64
	for _, c := range text {
		if c < '0' || c > '9' || n > 1_000_000 {
			return 0
		}
		n = 10*n + int64(c-'0')
	}
	return min(time.Duration(n)*time.Second, 24*time.Hour)
}

// Package deliver hands an event to an HTTPS endpoint of the user's: signed by the Standard Webhooks scheme, sent to public addresses
// only, again while that can help.
package http

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"chatconf/shared/dial"
)

// Limits of a delivery.
const (
	// AttemptTime is how long an endpoint has for one attempt, its answer included.
	AttemptTime = 10 * time.Second
	// Attempts is how often one Post tries.
	Attempts = 3
	// MaxAnswer is the size of an endpoint's answer, in bytes. A longer one counts as no answer.
	MaxAnswer = 64 << 10
)

// Options are the settings of a Client.
type Options struct {
	// Allow says which addresses may be dialled, such as those of the public internet only. Without it none may.
	Allow func(netip.Addr) bool
	// Roots are what endpoints may chain to besides the roots of the machine; nil is nothing else.
	Roots *dial.Roots
	// Now is the clock and Wait sleeps until a time has passed or ctx ends; default the real ones.
	Now  func() time.Time
	Wait func(ctx context.Context, d time.Duration) error
}

// A Client delivers events.
type Client struct {
	http *http.Client
	now  func() time.Time
	wait func(context.Context, time.Duration) error
}

// New returns a client.
func New(o Options) *Client {
	if o.Allow == nil {
		o.Allow = func(netip.Addr) bool { return false }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Wait == nil {
		o.Wait = wait
	}
	dialer := &net.Dialer{
		Timeout: connectTime,
		// Asked of every address right before it is connected to, so a name that resolves to another address meanwhile gains nothing.
		Control: func(_, address string, _ syscall.RawConn) error { return check(address, o.Allow) },
	}
	transport := &http.Transport{
		Proxy:                  nil, // a proxy would resolve the name itself
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    connectTime,
		MaxIdleConnsPerHost:    2,
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: 32 << 10,
		DisableCompression:     true, // of a bomb
	}
	if o.Roots != nil {
		transport.DialTLSContext = (&dial.Dialer{Sets: []*dial.Roots{o.Roots}, Dial: dialer.DialContext, HandshakeTimeout: connectTime}).DialTLSContext
	}
	return &Client{
		http: &http.Client{
			Timeout:       AttemptTime,
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		now:  o.Now,
		wait: o.Wait,
	}
}

// connectTime bounds how long it takes to connect, and the TLS handshake after that.
const connectTime = 5 * time.Second

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// An Event is what is delivered.
type Event struct {
	ID          string // the same on every attempt, for the endpoint to tell what it has seen
	ContentType string
	Body        []byte
}

// An Error is why an endpoint has not taken an event. Its text shows neither the URL, whose query may hold a secret, nor the answer, nor what the
// network looks like from here.
type Error struct {
	Status int  // the endpoint's last answer; 0 if there was none
	Again  bool // another delivery may help
	err    error
}

func (e *Error) Error() string {
	if e.Status != 0 {
		return fmt.Sprintf("deliver: the endpoint answered %d", e.Status)
	}
	return fmt.Sprintf("deliver: %v", e.err)
}

func (e *Error) Unwrap() error { return e.err }

// ErrForbidden says that an endpoint has an address that may not be called.
var ErrForbidden = errors.New("the endpoint's address is not a public one")

// Post delivers e to an https URL, signed with secret in the form of Standard Webhooks (base64, with or without whsec_ before it), and
// returns the body of the endpoint's answer. It tries up to Attempts times while ctx lasts. Its error is an *Error.
func (c *Client) Post(ctx context.Context, endpoint, secret string, e Event) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil || len(key) == 0 {
		return nil, &Error{err: errors.New("the endpoint's secret is not base64")}
	}
	if u, err := url.Parse(endpoint); err != nil || u.Scheme != "https" || u.Host == "" {
		return nil, &Error{err: errors.New("the endpoint is not an https URL")}
	}
	pause := time.Second
	for attempt := 1; ; attempt++ {
		answer, failed := c.attempt(ctx, endpoint, key, e)
		if failed == nil {
			return answer, nil
		}
		if !failed.Again || attempt == Attempts || ctx.Err() != nil {
			return nil, failed
		}
		if c.wait(ctx, pause/2+rand.N(pause)) != nil {
			return nil, failed
		}
		pause *= 4
	}
}

func (c *Client) attempt(ctx context.Context, endpoint string, key []byte, e Event) ([]byte, *Error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, bytes.NewReader(e.Body))
	if err != nil {
		return nil, &Error{err: errors.New("the endpoint is not a URL")}
	}
	at := strconv.FormatInt(c.now().Unix(), 10)
	req.Header.Set("Content-Type", e.ContentType)
	req.Header.Set("User-Agent", "chatconf")
	req.Header.Set("Webhook-Id", e.ID)
	req.Header.Set("Webhook-Timestamp", at)
	req.Header.Set("Webhook-Signature", Sign(key, e.ID, at, e.Body))
	resp, err := c.http.Do(req)
	if err != nil {
		if errors.Is(err, ErrForbidden) {
			return nil, &Error{err: ErrForbidden}
		}
		var outer *url.Error
		if errors.As(err, &outer) {
			err = outer.Err // what is around it quotes the URL
		}
		return nil, &Error{Again: true, err: &dial.Error{What: "the endpoint", Err: err}}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, MaxAnswer+1))
	switch {
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return nil, &Error{Status: resp.StatusCode, Again: again(resp.StatusCode)}
	case err != nil || len(body) > MaxAnswer:
		return nil, nil // taken; what it wanted to say is lost
	}
	return body, nil
}

// Sign returns the signature of an event by the Standard Webhooks scheme; at is its time in seconds of the epoch, in decimal.
// https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
func Sign(key []byte, id, at string, body []byte) string {
	mac := hmac.New(sha256.New, key)
	io.WriteString(mac, id+"."+at+".")
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// again reports whether a status says that the same request may be taken later.
func again(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return status >= 500 && status != http.StatusNotImplemented
}

func check(address string, allow func(netip.Addr) bool) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || !allow(at.Addr().Unmap().WithZone("")) {
		return ErrForbidden
	}
	return nil
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

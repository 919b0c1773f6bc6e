// Package http is the target Http: it delivers an event to an HTTPS endpoint of the user, signed by
// the Standard Webhooks scheme, and again while that can help.
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
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/dial"
	"chatconf/shared/dispatch"
	"chatconf/shared/journal"
	"chatconf/shared/secret"
)

// Limits of a delivery.
const (
	// AttemptTime is the time that an endpoint has for one attempt, including its answer.
	AttemptTime = 10 * time.Second
	// Attempts is the number of attempts of one Post.
	Attempts = 3
	// MaxAnswer is the size of an endpoint's answer, in bytes. A longer one is ignored.
	MaxAnswer = 64 << 10
)

// Options are the settings of a Client.
type Options struct {
	// Transport sends the requests: one of dial.NewRestricted, since users choose the endpoints.
	// Nil is one that connects to no address at all.
	Transport http.RoundTripper
	// Now is the clock, and Wait sleeps until a time has passed or ctx ends. Nil is the real one.
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
	if o.Transport == nil {
		o.Transport = dial.NewRestricted(nil, nil)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Wait == nil {
		o.Wait = wait
	}
	return &Client{
		http: &http.Client{
			Timeout:       AttemptTime,
			Transport:     o.Transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		now:  o.Now,
		wait: o.Wait,
	}
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

var (
	_ dispatch.Target    = (*Client)(nil)
	_ dispatch.Deliverer = (*Client)(nil)
)

// Start implements dispatch.Target. An endpoint that answers 202 does not say how the operation
// ends.
func (c *Client) Start(ctx context.Context, call *dispatch.Call) (dispatch.Progress, error) {
	body, err := call.Event.MarshalJSON()
	if err != nil {
		return dispatch.Progress{}, &dispatch.Error{Refused: true,
			Why: "the command cannot be encoded as an event", Cause: err.Error()}
	}
	status, answer, err := c.post(ctx, dispatch.Delivery{ID: call.ID, Target: call.Target, Body: body})
	if err != nil {
		return dispatch.Progress{}, err
	}
	progress := dispatch.Progress{State: journal.StateSucceeded, Text: dispatch.TextOf(answer)}
	if status == http.StatusAccepted {
		progress.State = journal.StateAccepted
	}
	return progress, nil
}

// Check implements dispatch.Deliverer. It accepts every target: a host may come later.
func (c *Client) Check(command.Target) error { return nil }

// Deliver implements dispatch.Deliverer.
func (c *Client) Deliver(ctx context.Context, d dispatch.Delivery) error {
	_, _, err := c.post(ctx, d)
	return err
}

// post posts an event to its target. Its error is a *dispatch.Error.
func (c *Client) post(ctx context.Context, d dispatch.Delivery) (status int, answer []byte, err error) {
	status, answer, err = c.Post(ctx, d.Target.URL.Reveal(), d.Target.Secrets,
		Event{ID: d.ID, ContentType: command.EventMediaType, Body: d.Body})
	var failed *Error
	if errors.As(err, &failed) {
		why := failed.Error()
		if errors.Is(failed, dial.ErrForbidden) { // the log has the address, which is internal
			why += "; CHATCONF_TARGET_NETWORKS of the service can allow its network, which the log names"
		}
		return 0, nil, &dispatch.Error{Why: why, Again: failed.Again || ctx.Err() != nil,
			Refused: !failed.Doubt, Cause: dial.Cause(failed)}
	}
	return status, answer, nil
}

// An Event is what is delivered.
type Event struct {
	ID          string // the same for every attempt, so that the endpoint can recognise a duplicate
	ContentType string
	Body        []byte
}

// An Error says why an endpoint did not accept an event. Its text contains neither the URL, whose
// query may hold a secret, nor the answer, and reveals nothing of the internal network.
type Error struct {
	Status int  // the endpoint's last answer; 0 if there was none
	Again  bool // another delivery may help
	Doubt  bool // the endpoint may have the event: an attempt reached it and had no answer
	err    error
}

func (e *Error) Error() string {
	if e.Status != 0 {
		return fmt.Sprintf("deliver: the endpoint answered %d", e.Status)
	}
	return fmt.Sprintf("deliver: %v", e.err)
}

func (e *Error) Unwrap() error { return e.err }

// Post delivers e to an https URL and returns the status and body of the endpoint's answer. Each
// secret signs e; it is in the form of Standard Webhooks: base64, with or without the prefix
// whsec_. The endpoint accepts e if it knows one of them. Post tries up to Attempts times while ctx
// lasts. Its error is an *Error.
func (c *Client) Post(ctx context.Context, endpoint string, secrets []secret.Text, e Event) (int, []byte, error) {
	if len(secrets) == 0 {
		return 0, nil, &Error{err: errors.New("the endpoint has no secret")}
	}
	keys := make([][]byte, len(secrets))
	for i, text := range secrets {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(text.Reveal(), "whsec_"))
		if err != nil || len(key) == 0 {
			return 0, nil, &Error{err: errors.New("the endpoint's secret is not base64")}
		}
		keys[i] = key
	}
	if u, err := url.Parse(endpoint); err != nil || u.Scheme != "https" || u.Host == "" {
		return 0, nil, &Error{err: errors.New("the endpoint is not an https URL")}
	}
	pause, doubt := time.Second, false
	for attempt := 1; ; attempt++ {
		status, answer, failed := c.attempt(ctx, endpoint, keys, e)
		if failed == nil {
			return status, answer, nil
		}
		doubt = doubt || failed.Status == 0 && !dial.Unsent(failed)
		failed.Doubt = doubt
		if !failed.Again || attempt == Attempts || ctx.Err() != nil {
			return 0, nil, failed
		}
		if c.wait(ctx, pause/2+rand.N(pause)) != nil {
			return 0, nil, failed
		}
		pause *= 4
	}
}

func (c *Client) attempt(ctx context.Context, endpoint string, keys [][]byte, e Event) (int, []byte, *Error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, bytes.NewReader(e.Body))
	if err != nil {
		return 0, nil, &Error{err: errors.New("the endpoint is not a URL")}
	}
	at := strconv.FormatInt(c.now().Unix(), 10)
	req.Header.Set("Content-Type", e.ContentType)
	req.Header.Set("User-Agent", "chatconf")
	req.Header.Set("Webhook-Id", e.ID)
	req.Header.Set("Webhook-Timestamp", at)
	signatures := make([]string, len(keys))
	for i, key := range keys {
		signatures[i] = Sign(key, e.ID, at, e.Body)
	}
	req.Header.Set("Webhook-Signature", strings.Join(signatures, " "))
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, nil, &Error{Again: !errors.Is(err, dial.ErrForbidden), err: dial.NewError("the endpoint", err)}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, MaxAnswer+1))
	switch {
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return 0, nil, &Error{Status: resp.StatusCode, Again: again(resp.StatusCode)}
	case err != nil || len(body) > MaxAnswer:
		return resp.StatusCode, nil, nil // the endpoint has accepted the event; only its answer is lost
	}
	return resp.StatusCode, body, nil
}

// Sign returns the signature of an event by the Standard Webhooks scheme; at is its Unix time in
// seconds, in decimal.
// https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
func Sign(key []byte, id, at string, body []byte) string {
	mac := hmac.New(sha256.New, key)
	io.WriteString(mac, id+"."+at+".")
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// again reports whether an endpoint that answers with status may accept the same request later.
func again(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return status >= 500 && status != http.StatusNotImplemented
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

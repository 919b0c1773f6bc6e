// Package alibaba calls Alibaba Cloud: its key service, Function Compute, with the roots of its
// hosts. Package rpc/sign signs the requests; it also verifies those of our own callers.
package alibaba

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"chatconf/shared/cloud"
	"chatconf/shared/invoke"
	"chatconf/shared/rpc/sign"
)

// Options of a Client.
type Options struct {
	// Region is the region of the service. It is required unless Endpoint is set.
	Region string
	// Endpoint is the URL of the service. Empty means the public endpoint of the region; inside a
	// VPC there is another one.
	Endpoint string
	// Credentials sign requests of invocations that have no credentials.
	Credentials invoke.Credentials
	// Transport sends the requests. Nil means http.DefaultTransport.
	Transport http.RoundTripper
	// Now is the clock for signatures. Nil means time.Now.
	Now func() time.Time
}

// A Client calls one service.
type Client struct {
	version     string
	endpoint    string
	credentials func() invoke.Credentials // a function, so that printing the Client does not show them
	transport   http.RoundTripper
	now         func() time.Time
}

// NewClient returns a client of the service at o.Endpoint, which is required here; version is that
// of its API. It does no I/O.
func NewClient(version string, o Options) (*Client, error) {
	if err := cloud.CheckEndpoint(o.Endpoint); err != nil {
		return nil, fmt.Errorf("endpoint: %w", err)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Client{
		version:     version,
		endpoint:    strings.TrimRight(o.Endpoint, "/"),
		credentials: func() invoke.Credentials { return o.Credentials },
		transport:   o.Transport,
		now:         o.Now,
	}, nil
}

// Ask posts the body and headers of an action to an escaped path, with the credentials of the
// invocation. q configures the call, except Transport and Sign.
func (c *Client) Ask(ctx context.Context, action, path string, h http.Header, body []byte,
	q cloud.Question) ([]byte, error) {
	q.Transport = c.transport
	q.Sign = func(ctx context.Context) (cloud.Request, error) {
		r, err := http.NewRequest(http.MethodPost, c.endpoint+path, bytes.NewReader(body))
		if err != nil {
			return cloud.Request{}, err
		}
		r.Header = h.Clone()
		r.Header.Set("X-Acs-Action", action)
		r.Header.Set("X-Acs-Version", c.version)
		return c.sign(ctx, r, body)
	}
	return cloud.Ask(ctx, q)
}

func (c *Client) sign(ctx context.Context, r *http.Request, body []byte) (cloud.Request, error) {
	credentials, err := c.credentialsOf(ctx)
	if err != nil {
		return cloud.Request{}, err
	}
	key := sign.Key{ID: credentials.AccessKeyID, Secret: credentials.AccessKeySecret,
		SecurityToken: credentials.SecurityToken}
	err = key.SignACS3(r, body, c.now(), invoke.NewRequestID())
	return cloud.Request{Request: r, Secrets: []string{credentials.AccessKeySecret, credentials.SecurityToken}}, err
}

// credentialsOf returns the credentials of the invocation, or else those of the client.
func (c *Client) credentialsOf(ctx context.Context) (invoke.Credentials, error) {
	credentials := invoke.From(ctx).Credentials
	if credentials.AccessKeyID == "" {
		credentials = c.credentials()
	}
	if credentials.AccessKeyID == "" {
		return invoke.Credentials{}, cloud.ErrNoCredentials
	}
	return credentials, nil
}

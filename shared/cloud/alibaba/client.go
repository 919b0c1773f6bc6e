// Package alibaba is Alibaba Cloud: its key service, the functions of Function Compute, and the
// roots of its hosts. Requests are signed by package rpc/sign, which also verifies our own callers.
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
	// Region is the region of what the service is asked for. It is required unless Endpoint is
	// given.
	Region string
	// Endpoint is the URL that requests go to. Empty is the service's own in the region that is
	// reached from the internet; inside a VPC there is another.
	Endpoint string
	// Credentials sign the requests of invocations that carry none of their own.
	Credentials invoke.Credentials
	// Transport carries the requests. Nil is http.DefaultTransport.
	Transport http.RoundTripper
	// Now is the clock that requests are signed by. Nil is time.Now.
	Now func() time.Time
}

// A Client asks one service.
type Client struct {
	version     string
	endpoint    string
	credentials func() invoke.Credentials // a function, so that they are not seen when the Client is printed
	transport   http.RoundTripper
	now         func() time.Time
}

// NewClient returns a client of the service at o.Endpoint, which must be given here, by the version
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

// Ask posts the body of an action with headers to an escaped path, in the name of the invocation,
// as q says but for Transport and Sign.
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
	credentials := invoke.From(ctx).Credentials
	if credentials.AccessKeyID == "" {
		credentials = c.credentials()
	}
	if credentials.AccessKeyID == "" {
		return cloud.Request{}, cloud.ErrNoCredentials
	}
	key := sign.Key{ID: credentials.AccessKeyID, Secret: credentials.AccessKeySecret,
		SecurityToken: credentials.SecurityToken}
	err := key.SignACS3(r, body, c.now(), invoke.NewRequestID())
	return cloud.Request{Request: r, Secrets: []string{credentials.AccessKeySecret, credentials.SecurityToken}}, err
}

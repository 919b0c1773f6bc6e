// Package aws is AWS: its key service, the functions of Lambda, and the roots of its hosts.
// Requests are signed by the signer of aws-sdk-go-v2.
package aws

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"chatconf/shared/cloud"
	"chatconf/shared/invoke"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// Options of a Client.
type Options struct {
	// Region is the AWS region of what the service is asked for. It is required.
	Region string
	// Endpoint is the URL that requests go to. Empty is AWS's own of the region.
	Endpoint string
	// Credentials sign the requests of invocations that carry none of their own. Nil is none.
	Credentials aws.CredentialsProvider
	// Transport carries the requests. Nil is http.DefaultTransport.
	Transport http.RoundTripper
	// Now is the clock that requests are signed by. Nil is time.Now.
	Now func() time.Time
}

// A Client asks one service.
type Client struct {
	service, region string
	endpoint        string
	// nil: none. A function, so that they are not seen when the Client is printed
	credentials func(context.Context) (aws.Credentials, error)
	transport   http.RoundTripper
	now         func() time.Time
	signer      *v4.Signer
}

// NewClient returns a client of a service, by its name in signatures and hosts, such as kms. It
// does no I/O.
func NewClient(service string, o Options) (*Client, error) {
	if o.Region == "" {
		return nil, errors.New("no region")
	}
	if o.Endpoint == "" {
		domain := "amazonaws.com"
		if strings.HasPrefix(o.Region, "cn-") {
			domain += ".cn"
		}
		o.Endpoint = "https://" + service + "." + o.Region + "." + domain
	}
	if err := cloud.CheckEndpoint(o.Endpoint); err != nil {
		return nil, fmt.Errorf("endpoint: %w", err)
	}
	c := &Client{
		service:   service,
		region:    o.Region,
		endpoint:  strings.TrimRight(o.Endpoint, "/"),
		transport: o.Transport,
		now:       o.Now,
		signer:    v4.NewSigner(),
	}
	if o.Credentials != nil {
		c.credentials = o.Credentials.Retrieve
	}
	if c.now == nil {
		c.now = time.Now
	}
	return c, nil
}

// Ask posts a body with headers to an escaped path, in the name of the invocation, as q says but
// for Transport and Sign.
func (c *Client) Ask(ctx context.Context, path string, h http.Header, body []byte, q cloud.Question) ([]byte, error) {
	q.Transport = c.transport
	q.Sign = func(ctx context.Context) (cloud.Request, error) {
		r, err := http.NewRequest(http.MethodPost, c.endpoint+path, bytes.NewReader(body))
		if err != nil {
			return cloud.Request{}, err
		}
		r.Header = h.Clone()
		return c.sign(ctx, r, body)
	}
	return cloud.Ask(ctx, q)
}

func (c *Client) sign(ctx context.Context, r *http.Request, body []byte) (cloud.Request, error) {
	credentials, err := c.credentialsOf(ctx)
	if err != nil {
		return cloud.Request{}, err
	}
	hash := sha256.Sum256(body)
	err = c.signer.SignHTTP(ctx, credentials, r, hex.EncodeToString(hash[:]), c.service, c.region, c.now())
	return cloud.Request{Request: r, Secrets: []string{credentials.SecretAccessKey, credentials.SessionToken}}, err
}

// credentialsOf returns those of the invocation, else the client's own.
func (c *Client) credentialsOf(ctx context.Context) (aws.Credentials, error) {
	if own := invoke.From(ctx).Credentials; own.AccessKeyID != "" {
		return aws.Credentials{AccessKeyID: own.AccessKeyID, SecretAccessKey: own.AccessKeySecret,
			SessionToken: own.SecurityToken}, nil
	}
	if c.credentials == nil {
		return aws.Credentials{}, cloud.ErrNoCredentials
	}
	return c.credentials(ctx)
}

// Package aws calls AWS: its key service, Lambda, with the roots of its hosts. The signer of
// aws-sdk-go-v2 signs the requests.
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
	// Region is the AWS region of the service. It is required.
	Region string
	// Endpoint is the URL of the service. Empty means AWS's own endpoint of the region.
	Endpoint string
	// Credentials sign requests of invocations that have no credentials. Nil means none.
	Credentials aws.CredentialsProvider
	// Transport sends the requests. Nil means http.DefaultTransport.
	Transport http.RoundTripper
	// Now is the clock for signatures. Nil means time.Now.
	Now func() time.Time
}

// A Client calls one service.
type Client struct {
	service, region string
	endpoint        string
	// nil means none. A function, so that printing the Client does not show them
	credentials func(context.Context) (aws.Credentials, error)
	transport   http.RoundTripper
	now         func() time.Time
	signer      *v4.Signer
}

// NewClient returns a client of a service, by its name in signatures and hosts, such as kms. It
// does no I/O.
func NewClient(service string, o Options) (*Client, error) {
	if o.Region == "" {
		return nil, errors.New("set the region")
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

// Ask posts a body and headers to an escaped path, with the credentials of the invocation. q
// configures the call, except Transport and Sign.
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

// credentialsOf returns the credentials of the invocation, or else those of the client.
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

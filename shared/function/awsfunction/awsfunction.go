// Package awsfunction invokes functions of AWS Lambda.
// https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
package awsfunction

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"chatconf/shared/cloud"
	"chatconf/shared/cloud/awssign"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Options of a Client.
type Options struct {
	// Region is the AWS region of the functions. It is required.
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

// A Client invokes.
type Client struct {
	endpoint  string
	signer    *awssign.Signer
	transport http.RoundTripper
}

// New returns a client. It does no I/O.
func New(o Options) (*Client, error) {
	if o.Region == "" {
		return nil, errors.New("function: no region")
	}
	if o.Endpoint == "" {
		domain := "amazonaws.com"
		if strings.HasPrefix(o.Region, "cn-") {
			domain += ".cn"
		}
		o.Endpoint = "https://lambda." + o.Region + "." + domain
	}
	if err := cloud.CheckEndpoint(o.Endpoint); err != nil {
		return nil, fmt.Errorf("function: endpoint: %w", err)
	}
	signer := awssign.New(awssign.Options{Service: "lambda", Region: o.Region, Credentials: o.Credentials, Now: o.Now})
	return &Client{strings.TrimSuffix(o.Endpoint, "/"), signer, o.Transport}, nil
}

// CallTime is how long a function that is waited for may take.
const CallTime = 40 * time.Second

// Call invokes a function and returns its answer. It is invoked once. That it failed is a *cloud.Refusal that is passing.
func (c *Client) Call(ctx context.Context, name string, payload []byte) ([]byte, error) {
	return c.invoke(ctx, name, payload, "RequestResponse", cloud.Question{Read: answer, Attempts: 1, Timeout: CallTime})
}

// Start has a function invoked, and does not wait for it.
func (c *Client) Start(ctx context.Context, name string, payload []byte) error {
	_, err := c.invoke(ctx, name, payload, "Event", cloud.Question{Read: accepted, Attempts: 2})
	return err
}

func (c *Client) invoke(ctx context.Context, name string, payload []byte, kind string, q cloud.Question) ([]byte, error) {
	q.Transport = c.transport
	q.Sign = func(ctx context.Context) (cloud.Request, error) {
		r, err := http.NewRequest(http.MethodPost, c.endpoint+"/2015-03-31/functions/"+url.PathEscape(name)+"/invocations", bytes.NewReader(payload))
		if err != nil {
			return cloud.Request{}, err
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Amz-Invocation-Type", kind)
		return c.signer.Sign(ctx, r, payload)
	}
	out, err := cloud.Ask(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("function: invoke %.80q: %w", name, err)
	}
	return out, nil
}

// answer returns what a function answered.
func answer(status int, h http.Header, body []byte) ([]byte, error) {
	if status != http.StatusOK {
		return nil, refusal(status, h, body)
	}
	if failed := h.Get("X-Amz-Function-Error"); failed != "" {
		// What it says of its error is its own affair, and may hold anything.
		return nil, &cloud.Refusal{Status: status, Code: failed, RequestID: h.Get("X-Amzn-Requestid"), Passing: true}
	}
	return body, nil
}

// accepted reads the answer to a request that is not waited for.
func accepted(status int, h http.Header, body []byte) ([]byte, error) {
	if status != http.StatusAccepted {
		return nil, refusal(status, h, body)
	}
	return nil, nil
}

func refusal(status int, h http.Header, body []byte) error {
	var said struct{ Message string }
	if json.Unmarshal(body, &said) != nil {
		said.Message = "" // the code will do
	}
	code, _, _ := strings.Cut(h.Get("X-Amzn-Errortype"), ":")
	return &cloud.Refusal{Status: status, Code: code, Message: said.Message, RequestID: h.Get("X-Amzn-Requestid"), Passing: cloud.Passing(status)}
}

// Package alifunction invokes functions of Function Compute 3.0.
// https://www.alibabacloud.com/help/en/functioncompute/fc-3-0/developer-reference/api-fc-2023-03-30-invokefunction
package alifunction

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
	"chatconf/shared/cloud/alisign"
	"chatconf/shared/invoke"
)

const version = "2023-03-30"

// Options of a Client.
type Options struct {
	// Account and Region are whose functions are invoked. They are required unless Endpoint is given.
	Account, Region string
	// Endpoint is the URL that requests go to. Empty is the account's own in the region that is reached from the internet; inside a
	// VPC it is https://<account>.<region>-internal.fc.aliyuncs.com.
	Endpoint string
	// Credentials sign the requests of invocations that carry none of their own.
	Credentials invoke.Credentials
	// Transport carries the requests. Nil is http.DefaultTransport.
	Transport http.RoundTripper
	// Now is the clock that requests are signed by. Nil is time.Now.
	Now func() time.Time
}

// A Client invokes.
type Client struct {
	endpoint  string
	signer    *alisign.Signer
	transport http.RoundTripper
}

// New returns a client. It does no I/O.
func New(o Options) (*Client, error) {
	if o.Endpoint == "" {
		if o.Account == "" || o.Region == "" {
			return nil, errors.New("function: no account, or no region")
		}
		o.Endpoint = "https://" + o.Account + "." + o.Region + ".fc.aliyuncs.com"
	}
	if err := cloud.CheckEndpoint(o.Endpoint); err != nil {
		return nil, fmt.Errorf("function: endpoint: %w", err)
	}
	return &Client{strings.TrimSuffix(o.Endpoint, "/"), alisign.New(alisign.Options{Credentials: o.Credentials, Now: o.Now}), o.Transport}, nil
}

// CallTime is how long a function that is waited for may take.
const CallTime = 40 * time.Second

// Call invokes a function and returns its answer. It is invoked once. That it failed is a *cloud.Refusal that is passing.
func (c *Client) Call(ctx context.Context, name string, payload []byte) ([]byte, error) {
	return c.invoke(ctx, name, payload, "Sync", cloud.Question{Read: answer, Attempts: 1, Timeout: CallTime})
}

// Start has a function invoked, and does not wait for it.
func (c *Client) Start(ctx context.Context, name string, payload []byte) error {
	_, err := c.invoke(ctx, name, payload, "Async", cloud.Question{Read: accepted, Attempts: 2})
	return err
}

func (c *Client) invoke(ctx context.Context, name string, payload []byte, kind string, q cloud.Question) ([]byte, error) {
	q.Transport = c.transport
	q.Sign = func(ctx context.Context) (cloud.Request, error) {
		r, err := http.NewRequest(http.MethodPost, c.endpoint+"/"+version+"/functions/"+url.PathEscape(name)+"/invocations", bytes.NewReader(payload))
		if err != nil {
			return cloud.Request{}, err
		}
		r.Header.Set("Content-Type", "application/octet-stream")
		r.Header.Set("X-Fc-Invocation-Type", kind)
		r.Header.Set("X-Acs-Action", "InvokeFunction")
		r.Header.Set("X-Acs-Version", version)
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
	if failed := h.Get("X-Fc-Error-Type"); failed != "" && status < http.StatusBadRequest {
		// What it says of its error is its own affair, and may hold anything.
		return nil, &cloud.Refusal{Status: status, Code: failed, RequestID: h.Get("X-Fc-Request-Id"), Passing: true}
	}
	if status != http.StatusOK {
		return nil, refusal(status, h, body)
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
	var said struct{ Code, Message, RequestId string }
	if json.Unmarshal(body, &said) != nil {
		said.Code = h.Get("X-Fc-Error-Type")
	}
	if said.RequestId == "" {
		said.RequestId = h.Get("X-Fc-Request-Id")
	}
	return &cloud.Refusal{Status: status, Code: said.Code, Message: said.Message, RequestID: said.RequestId, Passing: cloud.Passing(status)}
}

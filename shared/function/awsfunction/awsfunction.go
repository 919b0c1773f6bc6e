// Package awsfunction invokes functions of AWS Lambda.
// https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
package awsfunction

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"chatconf/shared/cloud"
	"chatconf/shared/cloud/awsapi"
	"chatconf/shared/function"
)

// A Client invokes.
type Client struct {
	api *awsapi.Client
}

// New returns a client. It does no I/O.
func New(o awsapi.Options) (*Client, error) {
	api, err := awsapi.New("lambda", o)
	if err != nil {
		return nil, fmt.Errorf("function: %w", err)
	}
	return &Client{api}, nil
}

// Call invokes a function and returns its answer. It is invoked once. That it failed is a *cloud.Refusal that is passing.
func (c *Client) Call(ctx context.Context, name string, payload []byte) ([]byte, error) {
	return c.invoke(ctx, name, payload, "RequestResponse", function.Call(answer))
}

// Start has a function invoked, and does not wait for it.
func (c *Client) Start(ctx context.Context, name string, payload []byte) error {
	_, err := c.invoke(ctx, name, payload, "Event", function.Start(refusal))
	return err
}

func (c *Client) invoke(ctx context.Context, name string, payload []byte, kind string, q cloud.Question) ([]byte, error) {
	out, err := c.api.Ask(ctx, "/2015-03-31/functions/"+url.PathEscape(name)+"/invocations", http.Header{
		"Content-Type":          {"application/json"},
		"X-Amz-Invocation-Type": {kind},
	}, payload, q)
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

func refusal(status int, h http.Header, body []byte) error {
	var said struct{ Message string }
	if json.Unmarshal(body, &said) != nil {
		said.Message = "" // the code will do
	}
	code, _, _ := strings.Cut(h.Get("X-Amzn-Errortype"), ":")
	return &cloud.Refusal{Status: status, Code: code, Message: said.Message, RequestID: h.Get("X-Amzn-Requestid"), Passing: cloud.Passing(status)}
}

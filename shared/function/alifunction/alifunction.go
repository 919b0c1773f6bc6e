// Package alifunction invokes functions of Function Compute 3.0.
// https://www.alibabacloud.com/help/en/functioncompute/fc-3-0/developer-reference/api-fc-2023-03-30-invokefunction
package alifunction

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"chatconf/shared/cloud"
	"chatconf/shared/cloud/aliapi"
	"chatconf/shared/function"
)

const version = "2023-03-30"

// A Client invokes.
type Client struct {
	api *aliapi.Client
}

// New returns a client that invokes the functions of an account, which is required unless o.Endpoint is given; inside a VPC that is
// https://<account>.<region>-internal.fc.aliyuncs.com. It does no I/O.
func New(account string, o aliapi.Options) (*Client, error) {
	if o.Endpoint == "" {
		if account == "" || o.Region == "" {
			return nil, errors.New("function: no account, or no region")
		}
		o.Endpoint = "https://" + account + "." + o.Region + ".fc.aliyuncs.com"
	}
	api, err := aliapi.New(version, o)
	if err != nil {
		return nil, fmt.Errorf("function: %w", err)
	}
	return &Client{api}, nil
}

// Call invokes a function and returns its answer. It is invoked once. That it failed is a *cloud.Refusal that is passing.
func (c *Client) Call(ctx context.Context, name string, payload []byte) ([]byte, error) {
	return c.invoke(ctx, name, payload, "Sync", function.Call(answer))
}

// Start has a function invoked, and does not wait for it.
func (c *Client) Start(ctx context.Context, name string, payload []byte) error {
	_, err := c.invoke(ctx, name, payload, "Async", function.Start(refusal))
	return err
}

func (c *Client) invoke(ctx context.Context, name string, payload []byte, kind string, q cloud.Question) ([]byte, error) {
	out, err := c.api.Ask(ctx, "InvokeFunction", "/"+version+"/functions/"+url.PathEscape(name)+"/invocations", http.Header{
		"Content-Type":         {"application/octet-stream"},
		"X-Fc-Invocation-Type": {kind},
	}, payload, q)
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

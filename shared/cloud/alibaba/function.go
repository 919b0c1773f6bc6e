package alibaba

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"chatconf/shared/cloud"
)

// functionVersion is the API version of Function Compute 3.0.
// https://www.alibabacloud.com/help/en/functioncompute/fc-3-0/developer-reference/api-fc-2023-03-30-invokefunction
const functionVersion = "2023-03-30"

// Functions calls functions in Function Compute.
type Functions struct {
	client func(account string) (*Client, error) // a function, so that printing does not show credentials
	own    string                                // the account of the service
	region string
}

// NewFunctions returns the functions of any account; account is the service's own. With o.Endpoint,
// the functions of all accounts are called there. Without it, account is required. Inside a VPC
// the endpoint is https://<account>.<region>-internal.fc.aliyuncs.com. It does no I/O.
func NewFunctions(account string, o Options) (*Functions, error) {
	f := &Functions{own: account, region: o.Region, client: func(account string) (*Client, error) {
		o := o
		if o.Endpoint == "" {
			if !cloud.IsLabel(account) || !cloud.IsLabel(o.Region) {
				return nil, errors.New("function: set the account and the region")
			}
			o.Endpoint = "https://" + account + "." + o.Region + ".fc.aliyuncs.com"
		}
		api, err := NewClient(functionVersion, o)
		if err != nil {
			return nil, fmt.Errorf("function: %w", err)
		}
		return api, nil
	}}
	if _, err := f.client(account); err != nil {
		return nil, err
	}
	return f, nil
}

// Call invokes a function of the service's account once and returns its answer. If the function
// fails, the error is a *cloud.Refusal that is Retryable.
func (f *Functions) Call(ctx context.Context, name string, payload []byte) ([]byte, error) {
	return f.CallIn(ctx, "", name, payload)
}

// CallIn is Call for a function of another account; empty is the service's own.
func (f *Functions) CallIn(ctx context.Context, account, name string, payload []byte) ([]byte, error) {
	return f.invoke(ctx, cmp.Or(account, f.own), name, payload, "Sync", cloud.CallQuestion(answer))
}

// Right returns the action and the resource that a policy must allow for a call.
func (f *Functions) Right(account, name string) (action, resource string) {
	return "fc:InvokeFunction", "acs:fc:" + f.region + ":" + cmp.Or(account, f.own) + ":functions/" + name
}

// Start invokes a function without waiting for its answer.
func (f *Functions) Start(ctx context.Context, name string, payload []byte) error {
	_, err := f.invoke(ctx, f.own, name, payload, "Async", cloud.StartQuestion(refusal))
	return err
}

func (f *Functions) invoke(ctx context.Context, account, name string, payload []byte, kind string,
	q cloud.Question) ([]byte, error) {
	api, err := f.client(account)
	if err != nil {
		return nil, err
	}
	out, err := api.Ask(ctx, "InvokeFunction", "/"+functionVersion+"/functions/"+url.PathEscape(name)+"/invocations",
		http.Header{
			"Content-Type":         {"application/octet-stream"},
			"X-Fc-Invocation-Type": {kind},
		}, payload, q)
	if err != nil {
		return nil, fmt.Errorf("function: invoke %.80q: %w", name, err)
	}
	return out, nil
}

// answer parses the answer of a function.
func answer(status int, h http.Header, body []byte) ([]byte, error) {
	if failed := h.Get("X-Fc-Error-Type"); failed != "" && status < http.StatusBadRequest {
		return nil, cloud.FunctionFailed(failed, h.Get("X-Fc-Request-Id"), body)
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
	return &cloud.Refusal{Status: status, Code: said.Code, Message: said.Message, RequestID: said.RequestId,
		Retryable: cloud.Retryable(status)}
}

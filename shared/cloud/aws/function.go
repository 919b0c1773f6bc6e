package aws

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"chatconf/shared/cloud"
)

// Functions calls the functions of an account and region in Lambda.
// https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
type Functions struct {
	api *Client
}

// NewFunctions returns the functions. It does no I/O.
func NewFunctions(o Options) (*Functions, error) {
	api, err := NewClient("lambda", o)
	if err != nil {
		return nil, fmt.Errorf("function: %w", err)
	}
	return &Functions{api}, nil
}

// Call invokes a function once and returns its answer. If the function fails, the error is a
// *cloud.Refusal that is Retryable.
func (f *Functions) Call(ctx context.Context, name string, payload []byte) ([]byte, error) {
	return f.invoke(ctx, name, payload, "RequestResponse", cloud.CallQuestion(answer))
}

// CallIn is Call: a name is of the account whose credentials sign, and an ARN names its account.
func (f *Functions) CallIn(ctx context.Context, _, name string, payload []byte) ([]byte, error) {
	return f.Call(ctx, name, payload)
}

// Right returns the action and the resource that a policy must allow for a call.
func (f *Functions) Right(account, name string) (action, resource string) {
	arn := "arn:" + Partition(f.api.region) + ":lambda:" + f.api.region + ":"
	switch {
	case strings.HasPrefix(name, "arn:"):
		arn = ""
	case strings.Contains(name, ":function:"): // <account>:function:<name>
	default:
		arn += account + ":function:"
	}
	return "lambda:InvokeFunction", arn + name
}

// Start invokes a function without waiting for its answer.
func (f *Functions) Start(ctx context.Context, name string, payload []byte) error {
	_, err := f.invoke(ctx, name, payload, "Event", cloud.StartQuestion(refusal))
	return err
}

func (f *Functions) invoke(ctx context.Context, name string, payload []byte, kind string,
	q cloud.Question) ([]byte, error) {
	out, err := f.api.Ask(ctx, "/2015-03-31/functions/"+url.PathEscape(name)+"/invocations", http.Header{
		"Content-Type":          {"application/json"},
		"X-Amz-Invocation-Type": {kind},
	}, payload, q)
	if err != nil {
		return nil, fmt.Errorf("function: invoke %.80q: %w", name, err)
	}
	return out, nil
}

// answer parses the answer of a function.
func answer(status int, h http.Header, body []byte) ([]byte, error) {
	if status != http.StatusOK {
		return nil, refusal(status, h, body)
	}
	if failed := h.Get("X-Amz-Function-Error"); failed != "" {
		return nil, cloud.FunctionFailed(failed, h.Get("X-Amzn-Requestid"), body)
	}
	return body, nil
}

func refusal(status int, h http.Header, body []byte) error {
	var said struct{ Message string }
	if json.Unmarshal(body, &said) != nil {
		said.Message = "" // the code is enough
	}
	code, _, _ := strings.Cut(h.Get("X-Amzn-Errortype"), ":")
	return &cloud.Refusal{Status: status, Code: code, Message: said.Message, RequestID: h.Get("X-Amzn-Requestid"),
		Retryable: cloud.Retryable(status)}
}

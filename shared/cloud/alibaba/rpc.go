package alibaba

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"chatconf/shared/cloud"
)

// newRegional returns a client of a service whose endpoint is named after the region.
func newRegional(service, version string, o Options) (*Client, error) {
	if o.Endpoint == "" {
		if !cloud.IsLabel(o.Region) {
			return nil, fmt.Errorf("%s: set the region", service)
		}
		o.Endpoint = "https://" + service + "." + o.Region + ".aliyuncs.com"
	}
	api, err := NewClient(version, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", service, err)
	}
	return api, nil
}

// askRPC calls an action of an RPC API with parameters. Without q.Read it returns the JSON of the
// answer.
func (c *Client) askRPC(ctx context.Context, action string, params url.Values, q cloud.Question) ([]byte, error) {
	if q.Read == nil {
		q.Read = readRPC
	}
	return c.Ask(ctx, action, "/", http.Header{
		"Accept":       {"application/json"},
		"Content-Type": {"application/x-www-form-urlencoded"},
	}, []byte(params.Encode()), q)
}

// readRPC returns the JSON of an answer. The reason of a refusal is in its message, which may name
// accounts and roles.
func readRPC(status int, _ http.Header, body []byte) ([]byte, error) {
	if status == http.StatusOK {
		if !json.Valid(body) {
			return nil, errors.New("the answer is not the expected JSON")
		}
		return body, nil
	}
	var answer struct{ Code, Message, RequestId string }
	if json.Unmarshal(body, &answer) != nil {
		answer.Code, answer.Message, answer.RequestId = "", "", ""
	}
	return nil, &cloud.Refusal{
		Status:    status,
		Code:      answer.Code,
		Message:   answer.Message,
		RequestID: answer.RequestId,
		Retryable: cloud.Retryable(status) || strings.HasPrefix(answer.Code, "Throttling"),
	}
}

package e2e_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/client"
	oos "github.com/alibabacloud-go/oos-20190601/v4/client"
	"github.com/alibabacloud-go/tea/dara"
	"github.com/alibabacloud-go/tea/tea"
	"github.com/google/go-cmp/cmp"
)

// dialects are the SDK's settings for its two ways to sign.
var dialects = []struct {
	name      string
	algorithm *string
}{
	{"ACS3", nil},
	{"V1", dara.String("v2")},
}

// client returns the official SDK's client of the service, as anybody would make it.
func (s *service) client(t *testing.T, edit ...func(*openapi.Config)) *oos.Client {
	t.Helper()
	config := &openapi.Config{
		AccessKeyId:     dara.String(s.key.ID),
		AccessKeySecret: dara.String(s.key.Secret),
		Endpoint:        dara.String(s.endpoint),
		Protocol:        dara.String("HTTP"),
	}
	for _, f := range edit {
		f(config)
	}
	client, err := oos.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// clientOf returns the SDK's client with another access key.
func (s *service) clientOf(t *testing.T, key accessKey) *oos.Client {
	t.Helper()
	return s.client(t, func(c *openapi.Config) {
		c.AccessKeyId, c.AccessKeySecret = dara.String(key.ID), dara.String(key.Secret)
	})
}

// ownClient returns a client for a goroutine beside others: one client is not to be used by two of
// them, and all clients of an endpoint share an HTTP client of the SDK's that is no better.
func (s *service) ownClient(t *testing.T) *oos.Client {
	t.Helper()
	return s.client(t, func(c *openapi.Config) { c.HttpClient = sharedHTTP{} })
}

// clients returns clients for as many goroutines.
func (s *service) clients(t *testing.T, n int) []*oos.Client {
	t.Helper()
	list := make([]*oos.Client, n)
	for i := range list {
		list[i] = s.ownClient(t)
	}
	return list
}

// A sharedHTTP sends requests through the transport of the raw ones.
type sharedHTTP struct{}

// Call implements the SDK's HttpClient.
func (sharedHTTP) Call(req *http.Request, _ *http.Transport) (*http.Response, error) {
	return transport.RoundTrip(req)
}

// queries and headers are what the SDK's requests have no fields for.
type (
	queries map[string]string
	headers map[string]string
)

// extend returns runtime options that send parameters and headers besides those of the request.
func extend(q queries, h headers) *dara.RuntimeOptions {
	more := &dara.ExtendsParameters{Queries: make(map[string]*string), Headers: make(map[string]*string)}
	for name, value := range q {
		more.Queries[name] = dara.String(value)
	}
	for name, value := range h {
		more.Headers[name] = dara.String(value)
	}
	return &dara.RuntimeOptions{ExtendsParameters: more}
}

// wantSDKError asks for an error of a code and a status, and returns it.
func wantSDKError(t *testing.T, err error, status int, code string) *tea.SDKError {
	t.Helper()
	var e *tea.SDKError
	if !errors.As(err, &e) {
		t.Fatalf("error = %v (%T), want %d %s", err, err, status, code)
	}
	if dara.StringValue(e.Code) != code || dara.IntValue(e.StatusCode) != status {
		t.Errorf("error = %d %s (%s), want %d %s", dara.IntValue(e.StatusCode), dara.StringValue(e.Code),
			dara.StringValue(e.Message), status, code)
	}
	var data envelope
	if err := json.Unmarshal([]byte(dara.StringValue(e.Data)), &data); err != nil || data.RequestId == "" ||
		!strings.Contains(e.Error(), data.RequestId) {
		t.Errorf("error %q has no request id, or not that of %+v: %v", e.Error(), data, err)
	}
	return e
}

// must asks for no error.
func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// jsonText returns v as JSON.
func jsonText(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // the tests give nothing that is not JSON
	}
	return string(text)
}

// object is a JSON object.
type object = map[string]any

// wantJSON asks that a text is the JSON of an object.
func wantJSON(t *testing.T, text *string, want object) {
	t.Helper()
	var got object
	if err := json.Unmarshal([]byte(dara.StringValue(text)), &got); err != nil {
		t.Fatalf("%q: %v", dara.StringValue(text), err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("JSON differs (-want +got):\n%s", diff)
	}
}

// dingTalk returns a Configuration of type DingTalk.
func dingTalk(bot string) string {
	return jsonText(object{"DingTalkClientId": "dingexample", "DingTalkClientSecret": "not-a-real-secret",
		"BotName": bot})
}

// create makes a configuration of type DingTalk.
func create(t *testing.T, client *oos.Client, name string) *oos.CreateChatConfigurationResponse {
	t.Helper()
	return must(client.CreateChatConfiguration(&oos.CreateChatConfigurationRequest{
		Name:          dara.String(name),
		Type:          dara.String("DingTalk"),
		Configuration: dara.String(dingTalk(name)),
	}))(t)
}

// get reads a configuration.
func get(t *testing.T, client *oos.Client, name string) *oos.GetChatConfigurationResponse {
	t.Helper()
	return must(client.GetChatConfiguration(&oos.GetChatConfigurationRequest{Name: dara.String(name)}))(t)
}

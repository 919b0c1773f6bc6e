package alifunction_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"chatconf/shared/cloud"
	"chatconf/shared/function/alifunction"
	"chatconf/shared/invoke"
	"chatconf/shared/rpc/sign"
)

const secret = "PLANTED-not-a-real-secret"

// A request is one that the service got.
type request struct {
	path, kind, action, version, key, token, body string
}

// functionCompute is a service that proves signatures and answers all alike.
func functionCompute(t *testing.T, status int, header http.Header, answer string) (*alifunction.Client, *[]request) {
	t.Helper()
	got := new([]request)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		s, err := sign.Parse(r, url.Values{}, body)
		if err == nil {
			err = s.Verify(secret)
		}
		if err != nil {
			t.Errorf("the signature: %v", err)
			return
		}
		*got = append(*got, request{r.URL.EscapedPath(), r.Header.Get("X-Fc-Invocation-Type"), s.Action, s.Version, s.AccessKeyID, s.SecurityToken, string(body)})
		for name, values := range header {
			w.Header()[name] = values
		}
		w.WriteHeader(status)
		io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	client, err := alifunction.New(alifunction.Options{Endpoint: server.URL + "/", Credentials: invoke.Credentials{AccessKeyID: "LTAIexample", AccessKeySecret: secret}})
	if err != nil {
		t.Fatal(err)
	}
	return client, got
}

func TestCall(t *testing.T) {
	client, got := functionCompute(t, http.StatusOK, nil, `{"text":"done"}`)
	answer, err := client.Call(t.Context(), "restart-bot", []byte(`{"a":1}`))
	if err != nil || string(answer) != `{"text":"done"}` {
		t.Fatalf("Call = %s, %v", answer, err)
	}
	if r, want := (*got)[0], (request{"/2023-03-30/functions/restart-bot/invocations", "Sync", "InvokeFunction", "2023-03-30", "LTAIexample", "", `{"a":1}`}); r != want {
		t.Errorf("request = %+v, want %+v", r, want)
	}
	// The invocation's own credentials come first.
	ctx := invoke.With(t.Context(), &invoke.Invocation{Credentials: invoke.Credentials{AccessKeyID: "STS.example", AccessKeySecret: secret, SecurityToken: "token"}})
	if _, err := client.Call(ctx, "../x?y#z", nil); err != nil || (*got)[1].path != "/2023-03-30/functions/..%2Fx%3Fy%23z/invocations" || (*got)[1].key != "STS.example" || (*got)[1].token != "token" {
		t.Errorf("request = %+v, %v", (*got)[1], err)
	}
}

func TestStart(t *testing.T) {
	client, got := functionCompute(t, http.StatusAccepted, nil, "")
	if err := client.Start(t.Context(), "dispatch", []byte(`{}`)); err != nil || (*got)[0].kind != "Async" {
		t.Errorf("Start = %v, %+v", err, *got)
	}
	client, _ = functionCompute(t, http.StatusOK, nil, "")
	if err := client.Start(t.Context(), "dispatch", nil); err == nil {
		t.Error("an answer of 200 to what is not waited for: no error")
	}
}

// What the service says instead, whether it may pass, and how often it is asked. No error shows a secret, or what a function says of its own.
func TestRefusals(t *testing.T) {
	for about, test := range map[string]struct {
		status  int
		header  http.Header
		body    string
		says    string
		passing bool
		started int // how often Start asks
	}{
		"no such function":       {404, http.Header{"X-Fc-Request-Id": {"r-2"}}, `{"Code":"FunctionNotFound","Message":"function 'f' does not exist","RequestId":"r-1"}`, "FunctionNotFound, status 404, request r-1", false, 1},
		"not allowed":            {403, nil, `{"Code":"AccessDenied","Message":"` + secret + `"}`, `AccessDenied, status 403: "[secret]"`, false, 1},
		"too many":               {429, nil, `{"Code":"ResourceThrottled"}`, "ResourceThrottled, status 429", true, 2},
		"broken":                 {500, http.Header{"X-Fc-Request-Id": {"r-1"}, "X-Fc-Error-Type": {"FcCommonError"}}, `no JSON`, "FcCommonError, status 500, request r-1", true, 2},
		"the function failed":    {200, http.Header{"X-Fc-Error-Type": {"UnhandledInvocationError"}}, `{"errorMessage":"` + secret + `"}`, "UnhandledInvocationError, status 200", true, 1},
		"it moved, which is odd": {302, http.Header{"Location": {"http://192.0.2.1/"}}, ``, "status 302", false, 1},
	} {
		client, got := functionCompute(t, test.status, test.header, test.body)
		_, err := client.Call(t.Context(), "f", nil)
		var refused *cloud.Refusal
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), test.says) || refused.Passing != test.passing || len(*got) != 1 {
			t.Errorf("%s: Call = %v after %d requests, want %s", about, err, len(*got), test.says)
		}
		if strings.Contains(fmt.Sprintf("%v %+v", err, err), secret) {
			t.Errorf("%s: the error shows a secret: %v", about, err)
		}
		if err := client.Start(t.Context(), "f", nil); err == nil || len(*got) != 1+test.started {
			t.Errorf("%s: Start = %v after %d requests, want %d", about, err, len(*got)-1, test.started)
		}
	}
}

func TestNew(t *testing.T) {
	for about, o := range map[string]alifunction.Options{
		"no account":               {Region: "cn-hangzhou"},
		"no region":                {Account: "1"},
		"an endpoint that is none": {Endpoint: "fc.example.com"},
	} {
		if _, err := alifunction.New(o); err == nil {
			t.Errorf("%s: no error", about)
		}
	}
	asked := ""
	client, err := alifunction.New(alifunction.Options{Account: "1000000000000000", Region: "cn-hangzhou", Transport: transport(func(r *http.Request) { asked = r.URL.Host }),
		Credentials: invoke.Credentials{AccessKeyID: "LTAIexample", AccessKeySecret: secret}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Call(t.Context(), "f", nil); err == nil || asked != "1000000000000000.cn-hangzhou.fc.aliyuncs.com" {
		t.Errorf("asked is %s, %v", asked, err)
	}
	if text := fmt.Sprintf("%+v %#v", client, client); strings.Contains(text, secret) {
		t.Errorf("the client shows its secret: %s", text)
	}
	none, err := alifunction.New(alifunction.Options{Account: "1", Region: "cn-hangzhou"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := none.Call(t.Context(), "f", nil); err == nil || !strings.Contains(err.Error(), "no credentials") {
		t.Errorf("without credentials: %v", err)
	}
}

// transport takes requests and answers none.
type transport func(*http.Request)

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	t(r)
	return nil, errors.New("nobody is there")
}

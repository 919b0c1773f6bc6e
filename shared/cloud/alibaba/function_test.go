package alibaba_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"chatconf/shared/cloud/alibaba"
	"chatconf/shared/cloud/cloudtest"
	"chatconf/shared/invoke"
	"chatconf/shared/rpc/sign"
)

const secret = cloudtest.Secret

// A request is one request that the service received.
type request struct {
	path, kind, action, version, key, token, body string
}

// functionCompute is a service that verifies signatures and always gives the same answer.
func functionCompute(t *testing.T, status int, header http.Header, answer string) (*alibaba.Functions, *[]request) {
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
		*got = append(*got, request{r.URL.EscapedPath(), r.Header.Get("X-Fc-Invocation-Type"), s.Action, s.Version,
			s.AccessKeyID, s.SecurityToken, string(body)})
		for name, values := range header {
			w.Header()[name] = values
		}
		w.WriteHeader(status)
		io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	client, err := alibaba.NewFunctions("", alibaba.Options{Endpoint: server.URL + "/",
		Credentials: invoke.Credentials{AccessKeyID: "LTAIexample", AccessKeySecret: secret}})
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
	if r, want := (*got)[0], (request{"/2023-03-30/functions/restart-bot/invocations", "Sync", "InvokeFunction",
		"2023-03-30", "LTAIexample", "", `{"a":1}`}); r != want {
		t.Errorf("request = %+v, want %+v", r, want)
	}
	// The invocation's own credentials come first.
	ctx := invoke.With(t.Context(), &invoke.Invocation{Credentials: invoke.Credentials{AccessKeyID: "STS.example",
		AccessKeySecret: secret, SecurityToken: "token"}})
	if _, err := client.Call(ctx, "../x?y#z", nil); err != nil ||
		(*got)[1].path != "/2023-03-30/functions/..%2Fx%3Fy%23z/invocations" || (*got)[1].key != "STS.example" ||
		(*got)[1].token != "token" {
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
		t.Error("Start accepted status 200")
	}
}

// Error responses, whether a retry may help, and the number of requests.
func TestFunctionsRefuse(t *testing.T) {
	for about, test := range map[string]cloudtest.Refusal{
		"no such function": {Status: 404, Header: http.Header{"X-Fc-Request-Id": {"r-2"}},
			Body: `{"Code":"FunctionNotFound","Message":"function 'f' does not exist","RequestId":"r-1"}`,
			Says: "FunctionNotFound, status 404, request r-1", Started: 1},
		"not allowed": {Status: 403, Body: `{"Code":"AccessDenied","Message":"` + secret + `"}`,
			Says: `AccessDenied, status 403: "[secret]"`, Started: 1},
		"too many": {Status: 429, Body: `{"Code":"ResourceThrottled"}`,
			Says: "ResourceThrottled, status 429", Retryable: true, Started: 2},
		"broken": {Status: 500, Header: http.Header{"X-Fc-Request-Id": {"r-1"},
			"X-Fc-Error-Type": {"FcCommonError"}}, Body: `no JSON`, Says: "FcCommonError, status 500, request r-1",
			Retryable: true, Started: 2},
		"the function failed": {Status: 200, Header: http.Header{"X-Fc-Error-Type": {"UnhandledInvocationError"}},
			Body: `{"errorMessage":"` + secret + `"}`, Says: "UnhandledInvocationError, status 200", Retryable: true,
			Started: 1},
		"it moved, which is odd": {Status: 302, Header: http.Header{"Location": {"http://192.0.2.1/"}},
			Says: "status 302", Started: 1},
	} {
		t.Run(about, func(t *testing.T) {
			client, got := functionCompute(t, test.Status, test.Header, test.Body)
			test.Check(t, client, func() int { return len(*got) })
		})
	}
}

func TestNewFunctions(t *testing.T) {
	for about, test := range map[string]struct {
		account string
		options alibaba.Options
	}{
		"no account":                 {"", alibaba.Options{Region: "cn-hangzhou"}},
		"no region":                  {"1", alibaba.Options{}},
		"an invalid endpoint":        {"", alibaba.Options{Endpoint: "fc.example.com"}},
		"an endpoint with something": {"", alibaba.Options{Endpoint: "https://fc.example.com/x"}},
	} {
		if _, err := alibaba.NewFunctions(test.account, test.options); err == nil {
			t.Errorf("%s: no error", about)
		}
	}
	asked := ""
	client, err := alibaba.NewFunctions("1000000000000000", alibaba.Options{Region: "cn-hangzhou",
		Transport:   cloudtest.Transport(func(r *http.Request) { asked = r.URL.Host }),
		Credentials: invoke.Credentials{AccessKeyID: "LTAIexample", AccessKeySecret: secret}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Call(t.Context(), "f", nil); err == nil ||
		asked != "1000000000000000.cn-hangzhou.fc.aliyuncs.com" {
		t.Errorf("asked is %s, %v", asked, err)
	}
	if _, err := client.CallIn(t.Context(), "2000000000000000", "f", nil); err == nil ||
		asked != "2000000000000000.cn-hangzhou.fc.aliyuncs.com" {
		t.Errorf("asked is %s, %v", asked, err)
	}
	for _, account := range []string{"evil.example.com/", "1.evil", "1?", "1#", "1@evil", "1:2"} {
		asked = ""
		if _, err := client.CallIn(t.Context(), account, "f", nil); err == nil || asked != "" {
			t.Errorf("account %q: asked is %q, %v", account, asked, err)
		}
	}
	if text := fmt.Sprintf("%+v %#v", client, client); strings.Contains(text, secret) {
		t.Errorf("the client shows its secret: %s", text)
	}
	for account, want := range map[string]string{"": "1000000000000000", "2": "2"} {
		if action, resource := client.Right(account, "f"); action != "fc:InvokeFunction" ||
			resource != "acs:fc:cn-hangzhou:"+want+":functions/f" {
			t.Errorf("Right = %s %s", action, resource)
		}
	}
	none, err := alibaba.NewFunctions("1", alibaba.Options{Region: "cn-hangzhou"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := none.Call(t.Context(), "f", nil); err == nil || !strings.Contains(err.Error(), "no credentials") {
		t.Errorf("without credentials: %v", err)
	}
}

package aws_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"chatconf/shared/cloud/aws"
	"chatconf/shared/cloud/cloudtest"
	"chatconf/shared/invoke"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

var invokedAt = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)

const secret = cloudtest.Secret

// A request is one request that the service received.
type request struct {
	path, kind, authorization, token, body string
}

// lambda is a service that always gives the same answer. It compares the signature with one that
// the SDK's signer makes for the received request.
func lambda(t *testing.T, status int, header http.Header, answer string) (*aws.Functions, *[]request) {
	t.Helper()
	got := new([]request)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		*got = append(*got, request{r.URL.EscapedPath(), r.Header.Get("X-Amz-Invocation-Type"),
			r.Header.Get("Authorization"), r.Header.Get("X-Amz-Security-Token"), string(body)})
		for name, values := range header {
			w.Header()[name] = values
		}
		w.WriteHeader(status)
		io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	client, err := aws.NewFunctions(aws.Options{
		Region: "eu-central-1", Endpoint: server.URL + "/", Now: func() time.Time { return invokedAt },
		Credentials: awssdk.CredentialsProviderFunc(func(context.Context) (awssdk.Credentials, error) {
			return awssdk.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: secret}, nil
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	return client, got
}

func TestCall(t *testing.T) {
	client, got := lambda(t, http.StatusOK, nil, `{"text":"done"}`)
	answer, err := client.Call(t.Context(), "restart-bot:live", []byte(`{"a":1}`))
	if err != nil || string(answer) != `{"text":"done"}` {
		t.Fatalf("Call = %s, %v", answer, err)
	}
	if r := (*got)[0]; r.path != "/2015-03-31/functions/restart-bot:live/invocations" || r.kind != "RequestResponse" ||
		r.body != `{"a":1}` ||
		!strings.HasPrefix(r.authorization,
			"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261123/eu-central-1/lambda/aws4_request, SignedHeaders=") {
		t.Errorf("request = %+v", r)
	}
	// A name cannot change other parts of the path.
	if _, err := client.Call(t.Context(), "../x?y#z", nil); err != nil ||
		(*got)[1].path != "/2015-03-31/functions/..%2Fx%3Fy%23z/invocations" {
		t.Errorf("request = %+v, %v", (*got)[1], err)
	}
}

// The signature equals that of an independent signer for the same request.
func TestSignature(t *testing.T) {
	var sent, want string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent = r.Header.Get("Authorization")
		again, err := http.NewRequest(r.Method, "http://"+r.Host+r.URL.EscapedPath(), strings.NewReader("{}"))
		if err != nil {
			t.Error(err)
		}
		again.Header.Set("Content-Type", r.Header.Get("Content-Type"))
		again.Header.Set("X-Amz-Invocation-Type", r.Header.Get("X-Amz-Invocation-Type"))
		const hash = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a" // of {}
		if err := v4.NewSigner().SignHTTP(r.Context(), awssdk.Credentials{AccessKeyID: "ASIAEXAMPLE",
			SecretAccessKey: secret, SessionToken: "token"}, again, hash, "lambda", "eu-central-1",
			invokedAt); err != nil {
			t.Error(err)
		}
		want = again.Header.Get("Authorization")
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(server.Close)
	client, err := aws.NewFunctions(aws.Options{Region: "eu-central-1", Endpoint: server.URL,
		Now: func() time.Time { return invokedAt }})
	if err != nil {
		t.Fatal(err)
	}
	ctx := invoke.With(t.Context(), &invoke.Invocation{Credentials: invoke.Credentials{AccessKeyID: "ASIAEXAMPLE",
		AccessKeySecret: secret, SecurityToken: "token"}})
	if err := client.Start(ctx, "dispatch", []byte("{}")); err != nil || sent != want ||
		!strings.Contains(sent, "x-amz-invocation-type") {
		t.Errorf("sent %s, want %s, %v", sent, want, err)
	}
	if err := client.Start(t.Context(), "dispatch", []byte("{}")); err == nil ||
		!strings.Contains(err.Error(), "no credentials") {
		t.Errorf("without credentials: %v", err)
	}
}

func TestStart(t *testing.T) {
	client, got := lambda(t, http.StatusAccepted, nil, "")
	if err := client.Start(t.Context(), "dispatch", []byte(`{}`)); err != nil || (*got)[0].kind != "Event" {
		t.Errorf("Start = %v, %+v", err, *got)
	}
	client, _ = lambda(t, http.StatusOK, nil, "")
	if err := client.Start(t.Context(), "dispatch", nil); err == nil {
		t.Error("Start accepted status 200")
	}
}

// Error responses, whether a retry may help, and the number of requests.
func TestFunctionsRefuse(t *testing.T) {
	for about, test := range map[string]cloudtest.Refusal{
		"no such function": {Status: 404,
			Header: http.Header{"X-Amzn-Errortype": {"ResourceNotFoundException:http://internal"}},
			Body:   `{"Message":"Function not found"}`, Says: "ResourceNotFoundException, status 404", Started: 1},
		"not allowed": {Status: 403, Header: http.Header{"X-Amzn-Errortype": {"AccessDeniedException"}},
			Body: `{"Message":"` + secret + `"}`, Says: `AccessDeniedException, status 403: "[secret]"`, Started: 1},
		"too many": {Status: 429, Body: `{"Message":"Rate exceeded"}`, Says: "status 429", Retryable: true,
			Started: 2},
		"broken": {Status: 500, Header: http.Header{"X-Amzn-Requestid": {"r-1"}}, Body: `no JSON`,
			Says: "status 500, request r-1", Retryable: true, Started: 2},
		"the function failed": {Status: 200, Header: http.Header{"X-Amz-Function-Error": {"Unhandled"}},
			Body: `{"errorMessage":"` + secret + `"}`, Says: "Unhandled, status 200", Retryable: true, Started: 1},
	} {
		t.Run(about, func(t *testing.T) {
			client, got := lambda(t, test.Status, test.Header, test.Body)
			test.Check(t, client, func() int { return len(*got) })
		})
	}
}

func TestNewFunctions(t *testing.T) {
	for about, o := range map[string]aws.Options{
		"no region":                  {},
		"an invalid endpoint":        {Region: "eu-central-1", Endpoint: "lambda.example.com"},
		"an endpoint with something": {Region: "eu-central-1", Endpoint: "https://lambda.example.com/x"},
	} {
		if _, err := aws.NewFunctions(o); err == nil {
			t.Errorf("%s: no error", about)
		}
	}
	for region, host := range map[string]string{"eu-central-1": "lambda.eu-central-1.amazonaws.com",
		"cn-north-1": "lambda.cn-north-1.amazonaws.com.cn"} {
		asked := ""
		client, err := aws.NewFunctions(aws.Options{Region: region,
			Transport: cloudtest.Transport(func(r *http.Request) { asked = r.URL.Host }),
			Credentials: awssdk.CredentialsProviderFunc(func(context.Context) (awssdk.Credentials, error) {
				return awssdk.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: secret}, nil
			})})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.Call(t.Context(), "f", nil); err == nil || asked != host {
			t.Errorf("%s: asked is %s, want %s", region, asked, host)
		}
	}
}

func TestRights(t *testing.T) {
	client, err := aws.NewFunctions(aws.Options{Region: "cn-north-1"})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"restart":                             "arn:aws-cn:lambda:cn-north-1:123456789012:function:restart",
		"restart:live":                        "arn:aws-cn:lambda:cn-north-1:123456789012:function:restart:live",
		"9:function:restart":                  "arn:aws-cn:lambda:cn-north-1:9:function:restart",
		"arn:aws:lambda:r:9:function:restart": "arn:aws:lambda:r:9:function:restart",
	} {
		action, resource := client.Right("123456789012", name)
		if action != "lambda:InvokeFunction" || resource != want {
			t.Errorf("Right(%s) = %s %s, want %s", name, action, resource, want)
		}
	}
}

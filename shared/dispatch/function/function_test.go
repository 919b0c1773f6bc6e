package function_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"

	"chatconf/shared/cloud/alibaba"
	"chatconf/shared/cloud/aws"
	"chatconf/shared/command"
	"chatconf/shared/dispatch"
	"chatconf/shared/dispatch/function"
	"chatconf/shared/invoke"
	"chatconf/shared/journal"
)

// A fake answers every call of either cloud's functions.
type fake struct {
	status int
	header http.Header
	body   string
	asked  []string // path and body
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	f.asked = append(f.asked, r.URL.Path+" "+string(body))
	for name, values := range f.header {
		w.Header()[name] = values
	}
	w.WriteHeader(f.status)
	io.WriteString(w, f.body)
}

// targets returns the targets of both clouds, which call the fake.
func targets(t *testing.T, f *fake) map[string]*function.Target {
	t.Helper()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return targetsAt(t, server.URL)
}

// targetsAt returns the targets of both clouds at an endpoint.
func targetsAt(t *testing.T, endpoint string) map[string]*function.Target {
	t.Helper()
	fc, err := alibaba.NewFunctions("1000000000000000", alibaba.Options{Region: "cn-hangzhou", Endpoint: endpoint,
		Credentials: invoke.Credentials{AccessKeyID: "id", AccessKeySecret: "secret"}})
	if err != nil {
		t.Fatal(err)
	}
	lambda, err := aws.NewFunctions(aws.Options{Region: "eu-central-1", Endpoint: endpoint,
		Credentials: awssdk.CredentialsProviderFunc(nil)})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]*function.Target{"fc": function.New("Function Compute", "1", fc),
		"lambda": function.New("Lambda", "2012-10-17", lambda)}
}

func newCall() *dispatch.Call {
	c := command.Command{Account: "123456789012", Platform: "Slack", User: "U1", Parameters: []command.Value{
		{Name: "password", Type: command.TypeString, Text: "PLANTED", Secret: true}}}
	return &dispatch.Call{
		ID:       "record-1",
		Endpoint: &command.Endpoint{Account: "123456789012", Region: "eu-central-1", Name: "bot"},
		Event: &command.Event{ID: "record-1", Data: command.EventData{Command: "restart",
			Parameters: command.TypedObject(c.Parameters)}},
		Command: c,
		Target:  command.Target{Type: command.TargetFunction, Name: "restart-bot"},
		Role:    "ops",
	}
}

func TestStart(t *testing.T) {
	f := &fake{status: 200, body: `{"text":"i-1 is up"}`}
	for name, target := range targets(t, f) {
		f.asked = nil
		ctx := invoke.With(t.Context(), &invoke.Invocation{Credentials: invoke.Credentials{AccessKeyID: "lent",
			AccessKeySecret: "secret", SecurityToken: "token"}})
		p, err := target.Start(ctx, newCall())
		if err != nil || p != (dispatch.Progress{State: journal.StateSucceeded, Text: "i-1 is up"}) {
			t.Errorf("%s: Start = %+v, %v", name, p, err)
		}
		if len(f.asked) != 1 || !strings.Contains(f.asked[0], "/functions/restart-bot/invocations ") ||
			!strings.Contains(f.asked[0], `"id":"record-1"`) ||
			!strings.Contains(f.asked[0], `"parameters":{"password":"PLANTED"}`) {
			t.Errorf("%s: asked %q", name, f.asked)
		}
	}
}

func TestDeliver(t *testing.T) {
	f := &fake{status: 200}
	own := invoke.With(t.Context(), &invoke.Invocation{Credentials: invoke.Credentials{AccessKeyID: "own",
		AccessKeySecret: "secret"}})
	d := dispatch.Delivery{ID: "event-1", Body: []byte(`{"id":"event-1"}`),
		Target: command.Target{Type: command.TargetFunction, Name: "audit"}}
	for name, target := range targets(t, f) {
		f.asked, f.status, f.body = nil, 200, "anything"
		if err := errors.Join(target.Check(d.Target), target.Deliver(own, d)); err != nil {
			t.Errorf("%s: Deliver = %v", name, err)
		}
		if len(f.asked) != 1 || !strings.HasSuffix(f.asked[0], `/functions/audit/invocations {"id":"event-1"}`) {
			t.Errorf("%s: asked %q", name, f.asked)
		}
		f.status, f.body = 404, `{"Code":"FunctionNotFound","Type":"ResourceNotFoundException"}`
		var failed *dispatch.Error
		if err := target.Deliver(own, d); !errors.As(err, &failed) || !failed.Refused {
			t.Errorf("%s: Deliver to no function = %v", name, err)
		}
	}
}

func TestPolicies(t *testing.T) {
	all := targets(t, new(fake))
	for _, test := range []struct{ cloud, role, want string }{
		{"fc", "ops", `{"Version":"1","Statement":[{"Effect":"Allow","Action":["fc:InvokeFunction"],` +
			`"Resource":["acs:fc:cn-hangzhou:123456789012:functions/restart-bot"]}]}`},
		{"fc", "acs:ram::2:role/ops", `{"Version":"1","Statement":[{"Effect":"Allow","Action":["fc:InvokeFunction"],` +
			`"Resource":["acs:fc:cn-hangzhou:2:functions/restart-bot"]}]}`},
		{"lambda", "ops", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["lambda:InvokeFunction"],` +
			`"Resource":["arn:aws:lambda:eu-central-1:123456789012:function:restart-bot"]}]}`},
	} {
		c := newCall()
		c.Role = test.role
		if got := all[test.cloud].Policy(dispatch.StepStart, c); got != test.want {
			t.Errorf("Policy = %s, want %s", got, test.want)
		}
	}
}

func TestFailures(t *testing.T) {
	for _, test := range []struct {
		cloud          string
		fake           fake
		why            string
		again, refused bool
	}{
		{"fc", fake{status: 200, header: http.Header{"X-Fc-Error-Type": {"UnhandledInvocationError"}},
			body: `{"errorMessage":"no such\n instance, PLANTED","errorType":"x"}`},
			`the function "restart-bot" failed: no such instance, ******`, true, true},
		{"lambda", fake{status: 200, header: http.Header{"X-Amz-Function-Error": {"Unhandled"}},
			body: `{"errorMessage":"` + strings.Repeat("é", 301) + `"}`},
			`the function "restart-bot" failed: ` + strings.Repeat("é", 300) + "…", true, true},
		{"lambda", fake{status: 200, header: http.Header{"X-Amz-Function-Error": {"Unhandled"}}, body: "no JSON"},
			`the function "restart-bot" failed: Unhandled`, true, true},
		{"fc", fake{status: 403, body: `{"Code":"AccessDenied","Message":"of an account"}`},
			`the role "ops" was denied by Function Compute. Its policies must allow fc:InvokeFunction on ` +
				"acs:fc:cn-hangzhou:123456789012:functions/restart-bot", false, true},
		{"fc", fake{status: 404, body: `{"Code":"FunctionNotFound"}`},
			`Function Compute has no function "restart-bot" in the account of the role "ops"`, false, true},
		{"lambda", fake{status: 429, header: http.Header{"X-Amzn-Errortype": {"TooManyRequestsException"}}, body: "{}"},
			"Lambda is throttled", true, true},
		{"lambda", fake{status: 403, header: http.Header{"X-Amzn-Errortype": {"ExpiredTokenException"}}, body: "{}"},
			`the credentials of the role "ops" are invalid or have expired`, true, true},
		{"fc", fake{status: 500, body: `{"Code":"InternalServerError"}`},
			"Function Compute answered InternalServerError, status 500", true, false},
	} {
		target := targets(t, &test.fake)[test.cloud]
		ctx := invoke.With(t.Context(), &invoke.Invocation{Credentials: invoke.Credentials{AccessKeyID: "lent",
			AccessKeySecret: "secret", SecurityToken: "token"}})
		_, err := target.Start(ctx, newCall())
		var e *dispatch.Error
		if !errors.As(err, &e) || e.Why != test.why || e.Again != test.again || e.Refused != test.refused ||
			len(test.fake.asked) != 1 {
			t.Errorf("Start = %+v, want %q", err, test.why)
		}
		if strings.Contains(fmt.Sprint(e, e.Cause), "PLANTED") {
			t.Errorf("it shows a secret: %v %s", e, e.Cause)
		}
	}
}

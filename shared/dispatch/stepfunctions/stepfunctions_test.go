package stepfunctions_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"chatconf/shared/cloud"
	"chatconf/shared/cloud/aws"
	"chatconf/shared/cloud/cloudtest"
	"chatconf/shared/command"
	"chatconf/shared/dispatch"
	"chatconf/shared/dispatch/stepfunctions"
	"chatconf/shared/invoke"
	"chatconf/shared/journal"
)

const (
	machine   = "arn:aws:states:eu-central-1:123456789012:stateMachine:restart"
	execution = "arn:aws:states:eu-central-1:123456789012:execution:restart:record-1"
)

func newTarget(t *testing.T, endpoint string) *stepfunctions.Target {
	t.Helper()
	machines, err := aws.NewStateMachines(aws.Options{Region: "eu-west-1", Endpoint: endpoint})
	if err != nil {
		t.Fatal(err)
	}
	return stepfunctions.New(machines)
}

func lent(ctx context.Context) context.Context {
	return invoke.With(ctx, &invoke.Invocation{Credentials: invoke.Credentials{AccessKeyID: "ASIALENT",
		AccessKeySecret: "secret", SecurityToken: "token"}})
}

func newCall() *dispatch.Call {
	return &dispatch.Call{
		ID:       "record-1",
		Endpoint: &command.Endpoint{Account: "123456789012", Region: "eu-central-1", Name: "bot"},
		Command: command.Command{Platform: "Slack", User: "U1", Parameters: []command.Value{
			{Name: "instance", Type: command.TypeString, Text: "i-1"},
			{Name: "password", Type: command.TypeString, Text: "PLANTED", Secret: true}}},
		Target: command.Target{Type: command.TargetStepFunctions, StateMachineArn: machine},
		Role:   "ops",
	}
}

// Moto's Step Functions start one execution for a record, and end it on demand.
func TestMotoExecution(t *testing.T) {
	endpoint := cloudtest.Moto(t)
	target, ctx := newTarget(t, endpoint), lent(t.Context())
	api, err := aws.NewClient("states", aws.Options{Region: "eu-central-1", Endpoint: endpoint})
	if err != nil {
		t.Fatal(err)
	}
	body, err := api.Ask(ctx, "/", http.Header{"Content-Type": {"application/x-amz-json-1.0"},
		"X-Amz-Target": {"AWSStepFunctions.CreateStateMachine"}}, []byte(`{"name":"restart",
		"roleArn":"arn:aws:iam::123456789012:role/states",
		"definition":"{\"StartAt\":\"a\",\"States\":{\"a\":{\"Type\":\"Pass\",\"End\":true}}}"}`),
		cloud.Question{Read: func(_ int, _ http.Header, body []byte) ([]byte, error) { return body, nil }})
	var made struct{ StateMachineArn string }
	if err := errors.Join(err, json.Unmarshal(body, &made)); err != nil || made.StateMachineArn != machine {
		t.Fatalf("CreateStateMachine = %s, %v", body, err)
	}
	c := newCall()
	for range 2 {
		p, err := target.Start(ctx, c)
		if err != nil || p != (dispatch.Progress{State: journal.StateRunning, Execution: execution}) {
			t.Fatalf("Start = %+v, %v", p, err)
		}
	}
	c.Execution = execution
	if p, err := target.Follow(ctx, c); err != nil || p.State != journal.StateRunning {
		t.Errorf("Follow = %+v, %v", p, err)
	}
	if err := target.Cancel(ctx, c); err != nil {
		t.Error(err)
	}
	if p, err := target.Follow(ctx, c); err != nil || p.State != journal.StateCancelled {
		t.Errorf("Follow = %+v, %v", p, err)
	}
	c.Command.Parameters[0].Text = "i-2"
	var e *dispatch.Error
	if _, err := target.Start(ctx, c); !errors.As(err, &e) || e.Refused || e.Again ||
		e.Why != "an execution for this command was started before, with other parameters" {
		t.Errorf("Start with other parameters = %v", err)
	}
	c.Execution += "-none"
	if p, err := target.Follow(ctx, c); err != nil || p.State != journal.StateUnknown || p.Detail == "" {
		t.Errorf("Follow of none = %+v, %v", p, err)
	}
	if err := target.Cancel(ctx, c); err != nil {
		t.Errorf("Cancel of none = %v", err)
	}
	c.Target.StateMachineArn += "-none"
	if _, err := target.Start(ctx, c); !errors.As(err, &e) || !e.Refused ||
		e.Why != "Step Functions has no state machine "+machine+"-none" {
		t.Errorf("Start of none = %v", err)
	}
}

// answering returns a target whose service always answers this.
func answering(t *testing.T, status int, body string) *stepfunctions.Target {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.Header.Get("Authorization"), "/eu-central-1/states/aws4_request") ||
			r.Header.Get("X-Amz-Security-Token") != "token" {
			t.Errorf("signed %v", r.Header)
		}
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(server.Close)
	return newTarget(t, server.URL)
}

func TestStates(t *testing.T) {
	for _, test := range []struct {
		answer string
		state  journal.State
		text   string
	}{
		{`{"status":"RUNNING"}`, journal.StateRunning, ""},
		{`{"status":"PENDING_REDRIVE"}`, journal.StateRunning, ""},
		{`{"status":"SUCCEEDED","output":"{\"text\":\"i-1 is up, PLANTED\"}"}`, journal.StateSucceeded,
			"i-1 is up, ******"},
		{`{"status":"SUCCEEDED","output":"\"up\""}`, journal.StateSucceeded, "up"},
		{`{"status":"SUCCEEDED","output":"{\"a\":1}"}`, journal.StateSucceeded, `{"a":1}`},
		{`{"status":"FAILED","error":"States.TaskFailed","cause":"PLANTED"}`, journal.StateFailed,
			"States.TaskFailed: ******"},
		{`{"status":"FAILED"}`, journal.StateFailed, ""},
		{`{"status":"TIMED_OUT","error":"States.Timeout"}`, journal.StateTimedOut, "States.Timeout"},
		{`{"status":"ABORTED","cause":"by hand"}`, journal.StateCancelled, "by hand"},
	} {
		c := newCall()
		c.Execution = execution
		p, err := answering(t, 200, test.answer).Follow(lent(t.Context()), c)
		if err != nil || p.State != test.state || p.Text != test.text || p.Execution != execution ||
			p.State != journal.StateSucceeded && p.Detail != p.Text {
			t.Errorf("%s: %+v, %v", test.answer, p, err)
		}
	}
}

func TestRefusals(t *testing.T) {
	for _, test := range []struct {
		code           string
		status         int
		why            string
		again, refused bool
	}{
		{"AccessDeniedException", 400, `the role "ops" was denied by Step Functions. Its policies must allow ` +
			"states:StartExecution on " + machine, false, true},
		{"InvalidExecutionInput", 400, "Step Functions refused the input of " + machine, false, true},
		{"ExecutionLimitExceeded", 400, "Step Functions runs as many executions as it may", true, true},
		{"ThrottlingException", 400, "Step Functions is throttled", true, true},
		{"InternalError", 500, "Step Functions answered InternalError, status 500", true, false},
	} {
		target := answering(t, test.status, `{"__type":"com.amazonaws.states#`+test.code+`","message":"m"}`)
		ctx, c := lent(t.Context()), newCall()
		var e *dispatch.Error
		if _, err := target.Start(ctx, c); !errors.As(err, &e) || e.Why != test.why || e.Again != test.again ||
			e.Refused != test.refused {
			t.Errorf("%s: %+v", test.code, err)
		}
		c.Execution = execution
		if _, err := target.Follow(ctx, c); !errors.As(err, &e) || e.Again != test.again {
			t.Errorf("Follow, %s: %+v", test.code, err)
		}
		if err := target.Cancel(ctx, c); !errors.As(err, &e) || e.Again != test.again {
			t.Errorf("Cancel, %s: %+v", test.code, err)
		}
	}
	ctx, c := lent(t.Context()), newCall()
	for about, body := range map[string]string{"no ARN": "{}", "no JSON": "<html>"} {
		if _, err := answering(t, 200, body).Start(ctx, c); err == nil {
			t.Errorf("%s: no error", about)
		}
	}
	c.Target.StateMachineArn = "arn:aws:states:evil.example.com/:1:stateMachine:x"
	if _, err := newTarget(t, "").Start(ctx, c); err == nil || !strings.Contains(err.Error(), "Step Functions") {
		t.Errorf("an ARN with another host: %v", err)
	}
	c.Command.DryRun = true
	var e *dispatch.Error
	if _, err := newTarget(t, "").Start(ctx, c); !errors.As(err, &e) || !e.Refused {
		t.Errorf("a dry run: %v", err)
	}
}

func TestPolicies(t *testing.T) {
	c := newCall()
	c.Execution = execution
	for step, want := range map[dispatch.Step]string{
		dispatch.StepStart:  `states:StartExecution"],"Resource":["` + machine,
		dispatch.StepFollow: `states:DescribeExecution"],"Resource":["` + execution,
		dispatch.StepCancel: `states:StopExecution"],"Resource":["` + execution} {
		want = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["` + want + `"]}]}`
		if got := newTarget(t, "").Policy(step, c); got != want {
			t.Errorf("Policy(%s) = %s, want %s", step, got, want)
		}
	}
}

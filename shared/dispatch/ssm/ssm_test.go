package ssm_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"chatconf/shared/cloud/aws"
	"chatconf/shared/command"
	"chatconf/shared/dispatch"
	"chatconf/shared/dispatch/ssm"
	"chatconf/shared/document"
	"chatconf/shared/invoke"
	"chatconf/shared/journal"
)

const execution = "4105a4fc-f944-11e6-9d32-0a1b2c3d495h"

// A fake is Systems Manager as its API pages describe it: it starts one execution for a token, and
// knows no other members of requests than those of the pages.
type fake struct {
	*testing.T
	asked  []string          // the operations
	tokens map[string]string // ClientToken to the request
	status string
	more   string // members of an execution, in JSON
	fails  string // the type of the error of every answer
	code   int    // its status
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	operation, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "AmazonSSM.")
	if !ok || r.Header.Get("Content-Type") != "application/x-amz-json-1.1" || r.URL.Path != "/" ||
		!strings.Contains(r.Header.Get("Authorization"), "Credential=ASIALENT/") ||
		!strings.Contains(r.Header.Get("Authorization"), "/eu-central-1/ssm/aws4_request") ||
		r.Header.Get("X-Amz-Security-Token") != "token" {
		f.Errorf("%s %v", r.URL, r.Header)
	}
	f.asked = append(f.asked, operation)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		f.Error(err)
	}
	if f.fails != "" {
		w.WriteHeader(f.code)
		fmt.Fprintf(w, `{"__type":"com.amazonaws.ssm#%s","Message":"of an account"}`, f.fails)
		return
	}
	var in struct {
		DocumentName, ClientToken, AutomationExecutionId, Type string
		Parameters                                             map[string][]string
	}
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		f.Errorf("%s: %v", body, err)
	}
	switch operation {
	case "StartAutomationExecution":
		before, ok := f.tokens[in.ClientToken]
		if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).
			MatchString(in.ClientToken) || ok && before != string(body) || in.AutomationExecutionId != "" {
			f.Errorf("%s", body)
		}
		f.tokens[in.ClientToken] = string(body)
		fmt.Fprintf(w, `{"AutomationExecutionId":%q}`, execution)
	case "GetAutomationExecution":
		fmt.Fprintf(w, `{"AutomationExecution":{"AutomationExecutionId":%q,"AutomationExecutionStatus":%q%s}}`,
			in.AutomationExecutionId, f.status, f.more)
	case "StopAutomationExecution":
		if in.Type != "Cancel" || in.AutomationExecutionId != execution {
			f.Errorf("%s", body)
		}
		fmt.Fprint(w, "{}")
	default:
		f.Errorf("unknown operation %s", operation)
	}
}

func newTarget(t *testing.T) (*ssm.Target, *fake) {
	t.Helper()
	f := &fake{T: t, tokens: make(map[string]string)}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	automations, err := aws.NewAutomations(aws.Options{Region: "eu-central-1", Endpoint: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	return ssm.New(automations), f
}

func newCall() *dispatch.Call {
	return &dispatch.Call{
		ID:       "record-1",
		Endpoint: &command.Endpoint{Account: "123456789012", Region: "eu-central-1", Name: "bot"},
		Command: command.Command{Platform: "Slack", User: "U1", Parameters: []command.Value{
			{Name: "InstanceId", Type: command.TypeString, Text: "i-1"},
			{Name: "Count", Type: command.TypeInteger, Text: "3"},
			{Name: "Force", Type: command.TypeBoolean, Text: "true"},
			{Name: "Password", Type: command.TypeString, Text: "PLANTED", Secret: true}}},
		Target: command.Target{Type: command.TargetSSM, DocumentName: "Restart"},
		Role:   "ops",
	}
}

func TestExecution(t *testing.T) {
	target, f := newTarget(t)
	ctx := invoke.With(t.Context(), &invoke.Invocation{Credentials: invoke.Credentials{AccessKeyID: "ASIALENT",
		AccessKeySecret: "secret", SecurityToken: "token"}})
	c := newCall()
	for range 2 {
		p, err := target.Start(ctx, c)
		if err != nil || p != (dispatch.Progress{State: journal.StateRunning, Execution: execution}) {
			t.Fatalf("Start = %+v, %v", p, err)
		}
	}
	if len(f.tokens) != 1 {
		t.Errorf("tokens = %v, want one", f.tokens)
	}
	for _, body := range f.tokens {
		if !strings.Contains(body, `"DocumentName":"Restart"`) || !strings.Contains(body,
			`"Parameters":{"Count":["3"],"Force":["true"],"InstanceId":["i-1"],"Password":["PLANTED"]}`) {
			t.Errorf("request = %s", body)
		}
	}
	other := newCall()
	other.ID = "record-2"
	if _, err := target.Start(ctx, other); err != nil || len(f.tokens) != 2 {
		t.Errorf("another record: %v, %d tokens", err, len(f.tokens))
	}
	parameters, err := document.Parse("p", `{"InstanceId":["{InstanceId}","i-{Count}"],"Force":"{Force}"}`)
	if err != nil {
		t.Fatal(err)
	}
	other.ID, other.Target.Parameters = "record-3", parameters
	_, err = target.Start(ctx, other)
	if sent := slices.Collect(maps.Values(f.tokens)); err != nil || !slices.ContainsFunc(sent, func(s string) bool {
		return strings.Contains(s, `"Parameters":{"Force":["true"],"InstanceId":["i-1","i-3"]}`)
	}) {
		t.Errorf("sent %s, %v", sent, err)
	}
	c.Execution = execution
	for _, test := range []struct {
		status, more string
		state        journal.State
		text         string
	}{
		{"Pending", "", journal.StateRunning, ""},
		{"InProgress", `,"CurrentStepName":"stop","CurrentAction":"aws:changeInstanceState"`, journal.StateRunning,
			`It is running the task "stop".`},
		{"Waiting", `,"CurrentStepName":"ask","CurrentAction":"aws:approve"`, journal.StateRunning,
			`The task "ask" waits for an approval in Systems Manager.`},
		{"Cancelling", "", journal.StateRunning, ""},
		{"Success", `,"Outputs":{"restart.Output":["i-1 is up","PLANTED"]}`, journal.StateSucceeded,
			"i-1 is up, ******"},
		{"Success", `,"Outputs":{"b":["2"],"a":["1"]}`, journal.StateSucceeded, "a: 1\nb: 2"},
		{"CompletedWithSuccess", "", journal.StateSucceeded, ""},
		{"Failed", `,"FailureMessage":"Step fails with PLANTED"`, journal.StateFailed, "Step fails with ******"},
		{"Rejected", "", journal.StateFailed, ""},
		{"TimedOut", `,"FailureMessage":"late"`, journal.StateTimedOut, "late"},
		{"Cancelled", "", journal.StateCancelled, ""},
	} {
		f.status, f.more = test.status, test.more
		p, err := target.Follow(ctx, c)
		if err != nil || p.State != test.state || p.Text != test.text || p.Execution != execution ||
			p.State != journal.StateSucceeded && p.Detail != p.Text || strings.Contains(p.Detail, "PLANTED") {
			t.Errorf("%s: %+v, %v", test.status, p, err)
		}
	}
	if err := target.Cancel(ctx, c); err != nil || !slices.Contains(f.asked, "StopAutomationExecution") {
		t.Errorf("Cancel = %v", err)
	}
	f.fails, f.code = "AutomationExecutionNotFoundException", 400
	if p, err := target.Follow(ctx, c); err != nil || p.State != journal.StateUnknown || p.Detail == "" {
		t.Errorf("Follow of none = %+v, %v", p, err)
	}
	if err := target.Cancel(ctx, c); err != nil {
		t.Errorf("Cancel of none = %v", err)
	}
	f.fails = "InvalidAutomationStatusUpdateException"
	if err := target.Cancel(ctx, c); err != nil {
		t.Errorf("Cancel of what has ended = %v", err)
	}
}

func TestRefusals(t *testing.T) {
	for _, test := range []struct {
		fails          string
		code           int
		why            string
		again, refused bool
	}{
		{"AccessDeniedException", 400, `the role "ops" was denied by Systems Manager. Its policies must allow ` +
			`ssm:StartAutomationExecution on the runbook "Restart", and what its steps need`, false, true},
		{"AutomationDefinitionNotFoundException", 400,
			`Systems Manager has no runbook "Restart" in region eu-central-1 of account 123456789012`, false, true},
		{"InvalidAutomationExecutionParametersException", 400,
			`Systems Manager refused the parameters of the runbook "Restart"`, false, true},
		{"AutomationExecutionLimitExceededException", 400, "Systems Manager runs as many executions as it may", true,
			true},
		{"IdempotentParameterMismatch", 400, "an execution for this command was started before, with other parameters",
			false, false},
		{"ThrottlingException", 400, "Systems Manager is throttled", true, true},
		{"ExpiredTokenException", 400, `the credentials of the role "ops" are invalid or have expired`, true, true},
		{"InternalServerError", 500, "Systems Manager answered InternalServerError, status 500", true, false},
	} {
		target, f := newTarget(t)
		ctx := invoke.With(t.Context(), &invoke.Invocation{Credentials: invoke.Credentials{AccessKeyID: "ASIALENT",
			AccessKeySecret: "secret", SecurityToken: "token"}})
		f.fails, f.code = test.fails, test.code
		_, err := target.Start(ctx, newCall())
		var e *dispatch.Error
		if !errors.As(err, &e) || e.Why != test.why || e.Again != test.again || e.Refused != test.refused {
			t.Errorf("%s: %+v", test.fails, err)
		}
		c := newCall()
		c.Execution = execution
		if _, err := target.Follow(ctx, c); !errors.As(err, &e) || e.Again != test.again {
			t.Errorf("Follow, %s: %+v", test.fails, err)
		}
		if err := target.Cancel(ctx, c); !errors.As(err, &e) || e.Again != test.again {
			t.Errorf("Cancel, %s: %+v", test.fails, err)
		}
	}
	target, f := newTarget(t)
	c := newCall()
	c.Command.Parameters[0].Text = "*"
	var err error
	if c.Target.Allow, err = document.Parse("Allow", `[{"Action":"a","Resource":"{InstanceId}"}]`); err != nil {
		t.Fatal(err)
	}
	if _, err := target.Start(t.Context(), c); err == nil || len(f.asked) > 0 {
		t.Errorf("a wildcard: %v", err)
	}
	c.Command.DryRun = true
	var e *dispatch.Error
	if _, err := target.Start(t.Context(), c); !errors.As(err, &e) || !e.Refused || len(f.asked) > 0 {
		t.Errorf("a dry run: %v", err)
	}
}

func TestPolicies(t *testing.T) {
	target, _ := newTarget(t)
	policy := func(action, resources string) string {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["ssm:` + action + `"],"Resource":[` +
			resources + `]}]}`
	}
	allow, err := document.Parse("Allow", `[{"Action":["ec2:RebootInstances"],"Resource":"i/{InstanceId}"}]`)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		step           dispatch.Step
		runbook, role  string
		action, allows string
	}{
		{dispatch.StepStart, "Restart", "ops", "StartAutomationExecution",
			`"arn:aws:ssm:eu-central-1:123456789012:document/Restart",` +
				`"arn:aws:ssm:eu-central-1:123456789012:automation-definition/Restart:$DEFAULT"`},
		{dispatch.StepStart, "AWS-RestartEC2Instance", "ops", "StartAutomationExecution",
			`"arn:aws:ssm:eu-central-1::document/AWS-RestartEC2Instance",` +
				`"arn:aws:ssm:eu-central-1::automation-definition/AWS-RestartEC2Instance:$DEFAULT"`},
		{dispatch.StepStart, "arn:aws:ssm:eu-central-1:999999999999:document/Shared", "ops",
			"StartAutomationExecution", `"arn:aws:ssm:eu-central-1:999999999999:document/Shared",` +
				`"arn:aws:ssm:eu-central-1:999999999999:automation-definition/Shared:$DEFAULT"`},
		{dispatch.StepFollow, "Restart", "arn:aws:iam::210987654321:role/ops", "GetAutomationExecution",
			`"arn:aws:ssm:eu-central-1:210987654321:automation-execution/` + execution + `"`},
		{dispatch.StepCancel, "Restart", "ops", "StopAutomationExecution",
			`"arn:aws:ssm:eu-central-1:123456789012:automation-execution/` + execution + `"`},
	} {
		c := newCall()
		c.Target.Allow = allow
		if test.step == dispatch.StepStart {
			test.allows += `]},{"Effect":"Allow","Action":["ec2:RebootInstances"],"Resource":["i/i-1"`
		}
		c.Target.DocumentName, c.Role, c.Execution = test.runbook, test.role, execution
		if got, want := target.Policy(test.step, c), policy(test.action, test.allows); got != want {
			t.Errorf("Policy(%s, %s) = %s, want %s", test.step, test.runbook, got, want)
		}
	}
}

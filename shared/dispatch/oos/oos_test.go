package oos_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"chatconf/shared/cloud"
	"chatconf/shared/cloud/alibaba"
	"chatconf/shared/command"
	"chatconf/shared/dispatch"
	target "chatconf/shared/dispatch/oos"
	"chatconf/shared/document"
	"chatconf/shared/emulator/oos"
	"chatconf/shared/emulator/oos/oostest"
	"chatconf/shared/emulator/sts"
	"chatconf/shared/invoke"
	"chatconf/shared/journal"
)

const account = sts.DefaultAccountID

const externalID = "acs:oos:cn-hangzhou:" + account + ":chatconfiguration/bot"

// A fixture is an account with a role, and a target that runs under it as the dispatcher does.
type fixture struct {
	*testing.T
	in       *oostest.Instance
	target   *target.Target
	sessions *cloud.Sessions
}

func newFixture(t *testing.T, set ...func(*oostest.Options)) *fixture {
	t.Helper()
	in := oostest.RunT(t, append([]func(*oostest.Options){func(o *oostest.Options) {
		trust := `{"Version":"1","Statement":[{"Effect":"Allow","Action":["sts:AssumeRole","sts:SetSourceIdentity"],
			"Principal":{"RAM":"acs:ram::` + account + `:root"},
			"Condition":{"StringEquals":{"sts:ExternalId":"` + externalID + `"}}}]}`
		o.Account.Roles = []sts.Role{{Name: "ops", Trust: trust, Policies: []string{oostest.Everything}},
			{Name: "weak", Trust: trust}}
		o.Templates = []oos.Template{
			{Name: "restart", Parameters: []oos.Parameter{{Name: "instance", Required: true}, {Name: "password"}},
				Steps:   []oos.Step{{Name: "reboot", Action: "ACS::ECS::RebootInstance", Takes: time.Minute}},
				Outputs: map[string]string{"message": "{{ instance }} is up, {{ password }}"}},
			{Name: "two", Steps: []oos.Step{{Name: "s"}}, Outputs: map[string]string{"a": "1", "b": "2"}},
			{Name: "fails", Steps: []oos.Step{{Name: "check", Fails: "the disk is full"}}},
			{Name: "approve", Steps: []oos.Step{{Name: "ask", Action: "ACS::Approve", Approve: true}}},
			{Name: "risky", Steps: []oos.Step{{Name: "format", Action: "ACS::ECS::Format", Risky: true}}},
			{Name: "slow", Steps: []oos.Step{{Name: "wait", Endless: true}}},
			{Name: "needs", Parameters: []oos.Parameter{{Name: "instance", Required: true}},
				Steps: []oos.Step{{Name: "reboot", Needs: []oos.Permission{{Action: "ecs:RebootInstance",
					Resource: "acs:ecs:*:*:instance/{{ instance }}"}}}}},
		}
	}}, set...)...)
	to, sessions := connect(t, in)
	return &fixture{t, in, to, sessions}
}

// connect returns a target and the sessions of roles, both in the emulators.
func connect(t *testing.T, in *oostest.Instance) (*target.Target, *cloud.Sessions) {
	t.Helper()
	options := alibaba.Options{Credentials: invoke.Credentials{AccessKeyID: oostest.KeyID,
		AccessKeySecret: oostest.KeySecret}}
	options.Endpoint = in.STS
	roles, err := alibaba.NewRoles(options)
	if err != nil {
		t.Fatal(err)
	}
	options.Endpoint = in.OOS
	executions, err := alibaba.NewExecutions(options)
	if err != nil {
		t.Fatal(err)
	}
	return target.New(executions, in.Now), cloud.NewSessions(roles.Assume, in.Now)
}

// call returns a call of a template with text values.
func (f *fixture) call(template string, values ...command.Value) *dispatch.Call {
	return &dispatch.Call{
		ID:       "record-1",
		Endpoint: &command.Endpoint{Account: account, Region: oos.DefaultRegion, Name: "bot"},
		Event:    &command.Event{Time: f.in.Now()},
		Command:  command.Command{Platform: "Slack", User: "U1", Parameters: values},
		Target:   command.Target{Type: command.TargetOOS, TemplateName: template},
		Role:     "ops",
		Timeout:  20 * time.Minute,
	}
}

func text(name, value string) command.Value {
	return command.Value{Name: name, Type: command.TypeString, Text: value}
}

// as returns the context of a session for one step.
func (f *fixture) as(step dispatch.Step, c *dispatch.Call) context.Context {
	f.Helper()
	ctx, err := f.sessions.With(f.Context(), cloud.Session{Role: c.Role, Account: account, Name: "slack.U1",
		ExternalID: externalID, Policy: f.target.Policy(step, c), Duration: time.Minute})
	if err != nil {
		f.Fatal(err)
	}
	return ctx
}

func (f *fixture) start(c *dispatch.Call) dispatch.Progress {
	f.Helper()
	p, err := f.target.Start(f.as(dispatch.StepStart, c), c)
	if err != nil {
		f.Fatal(err)
	}
	return p
}

func (f *fixture) follow(c *dispatch.Call) dispatch.Progress {
	f.Helper()
	p, err := f.target.Follow(f.as(dispatch.StepFollow, c), c)
	if err != nil {
		f.Fatal(err)
	}
	return p
}

// narrow checks that no session could do more than it did.
func (f *fixture) narrow() {
	f.Helper()
	for _, grant := range f.in.Account.Unused() {
		f.Error(grant)
	}
}

// An execution from its start to its end, under a role, with sessions that can do nothing else.
func TestExecution(t *testing.T) {
	f := newFixture(t)
	c := f.call("restart", text("instance", "i-1"),
		command.Value{Name: "password", Type: command.TypeString, Text: "PLANTED", Secret: true})
	first := f.start(c)
	if first.State != journal.StateRunning || first.Execution == "" {
		t.Fatalf("Start = %+v", first)
	}
	c.Execution = first.Execution
	if p := f.follow(c); p.State != journal.StateRunning || p.Execution != first.Execution ||
		p.Text != `It is running the task "reboot".` {
		t.Errorf("Follow = %+v", p)
	}
	if again := f.start(c); again.Execution != first.Execution {
		t.Errorf("Start again = %+v, want the first", again)
	}
	got := f.in.Server.Executions()
	want := map[string]string{"chatconf-platform": "Slack", "chatconf-sender": "U1", "chatconf-record": "record-1"}
	if len(got) != 1 || got[0].ClientToken != "record-1" || fmt.Sprint(got[0].Tags) != fmt.Sprint(want) ||
		got[0].Principal != "acs:ram::"+account+":role/ops/slack.U1" || got[0].Parameters["password"] != "PLANTED" {
		t.Errorf("executions = %+v", got)
	}
	f.in.Advance(time.Minute)
	if p := f.follow(c); p.State != journal.StateSucceeded || p.Text != "i-1 is up, ******" || p.Detail != "" {
		t.Errorf("Follow = %+v", p)
	}
	f.narrow()
}

// How executions end, and what they wait for.
func TestStates(t *testing.T) {
	for _, test := range []struct {
		template, language string
		state              journal.State
		text               string
	}{
		{"two", "", journal.StateSucceeded, "a: 1\nb: 2"},
		{"fails", "", journal.StateFailed, "check: the disk is full"},
		{"approve", "en", journal.StateRunning, `The task "ask" waits for an approval in OOS.`},
		{"approve", "zh", journal.StateRunning, `任务 "ask" 待审批，请在 OOS 中处理。`},
		{"risky", "", journal.StateRunning, `The task "format" waits for a confirmation in OOS.`},
		{"slow", "zh", journal.StateRunning, `正在执行任务 "wait"。`},
	} {
		f := newFixture(t)
		c := f.call(test.template)
		c.Endpoint.Language = test.language
		if test.template == "risky" {
			c.Target.SafetyCheck = "ConfirmEveryHighRiskAction"
		}
		c.Execution = f.start(c).Execution
		f.in.Advance(time.Second)
		if p := f.follow(c); p.State != test.state || p.Text != test.text ||
			(p.Detail == "") != (p.State == journal.StateSucceeded) {
			t.Errorf("%s: %+v, want %s %q", test.template, p, test.state, test.text)
		}
		f.narrow()
	}
}

// The steps of a template may do what Allow says, for this value and no other.
func TestAllow(t *testing.T) {
	allow, err := document.Parse("Allow",
		`[{"Action":"ecs:RebootInstance","Resource":"acs:ecs:*:*:instance/{instance}"}]`)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		allow *document.Node
		state journal.State
	}{{nil, journal.StateFailed}, {allow, journal.StateSucceeded}} {
		f := newFixture(t)
		c := f.call("needs", text("instance", "i-1"))
		c.Target.Allow = test.allow
		c.Execution = f.start(c).Execution
		f.in.Advance(time.Second)
		if p := f.follow(c); p.State != test.state ||
			p.State == journal.StateFailed && !strings.Contains(p.Text, "ecs:RebootInstance") {
			t.Errorf("Follow = %+v, want %s", p, test.state)
		}
		f.narrow()
	}
	f := newFixture(t)
	c := f.call("needs", text("instance", "i-*"))
	c.Target.Allow = allow
	var e *dispatch.Error
	if _, err := f.target.Start(f.as(dispatch.StepStart, c), c); !errors.As(err, &e) || !e.Refused || e.Again ||
		!strings.Contains(e.Why, "the value of instance must not contain") || len(f.in.Server.Executions()) != 0 {
		t.Errorf("Start with a wildcard = %v", err)
	}
	if policy := f.target.Policy(dispatch.StepStart, c); strings.Contains(policy, "ecs:") {
		t.Errorf("the policy with a wildcard is %s", policy)
	}
}

func TestCancel(t *testing.T) {
	f := newFixture(t)
	c := f.call("slow")
	c.Execution = f.start(c).Execution
	for range 2 { // the second time it has ended
		if err := f.target.Cancel(f.as(dispatch.StepCancel, c), c); err != nil {
			t.Fatal(err)
		}
	}
	if p := f.follow(c); p.State != journal.StateCancelled {
		t.Errorf("Follow = %+v", p)
	}
	f.narrow()
	c.Execution = "exec-none"
	if err := f.target.Cancel(f.as(dispatch.StepCancel, c), c); err != nil {
		t.Errorf("Cancel of none = %v", err)
	}
	var e *dispatch.Error
	if _, err := f.target.Follow(f.as(dispatch.StepFollow, c), c); !errors.As(err, &e) || !e.Again {
		t.Errorf("Follow of an execution that is not listed yet = %v", err)
	}
	f.in.Advance(time.Minute)
	if p := f.follow(c); p.State != journal.StateUnknown || p.Execution != "exec-none" || p.Detail == "" {
		t.Errorf("Follow of none = %+v", p)
	}
}

// Refusals, in words that say what to do, and whether something may have been started.
func TestRefusals(t *testing.T) {
	for _, test := range []struct {
		about   string
		change  func(*dispatch.Call)
		fault   sts.Fault
		why     string
		again   bool
		refused bool
	}{
		{about: "a weak role", change: func(c *dispatch.Call) { c.Role = "weak" }, refused: true,
			why: `the role "weak" was denied by OOS. Its policies must allow oos:StartExecution on template/restart ` +
				`and execution/*, and what the template's steps need`},
		{about: "no such template", change: func(c *dispatch.Call) { c.Target.TemplateName = "none" }, refused: true,
			why: `OOS has no template "none" in region cn-hangzhou of account ` + account},
		{about: "no such version", change: func(c *dispatch.Call) { c.Target.TemplateVersion = "v9" }, refused: true,
			why: `OOS has no template "restart" of version v9 in region cn-hangzhou of account ` + account},
		{about: "no parameter", change: func(c *dispatch.Call) { c.Command.Parameters = nil }, refused: true,
			why: `OOS refused the parameters of the template "restart"`},
		{about: "a dry run", change: func(c *dispatch.Call) { c.Command.DryRun = true }, refused: true,
			why: "this target has no dry run, so nothing was started"},
		{about: "throttled", fault: sts.Fault{Err: sts.Throttled(1)}, why: "OOS is throttled", again: true,
			refused: true},
		{about: "down", fault: sts.Fault{Err: sts.Unavailable()},
			why: "OOS answered ServiceUnavailable, status 503", again: true},
		{about: "no answer", fault: sts.Fault{Drop: true, Applied: true}, why: "OOS", again: true},
		{about: "an odd answer", fault: sts.Fault{Body: []byte("{}")}, why: "OOS", again: true},
		{about: "a bad key", fault: sts.Fault{Err: sts.Errorf("InvalidSecurityToken.Expired", "x")}, again: true,
			refused: true, why: `the credentials of the role "ops" are invalid or have expired`},
		{about: "other parameters before", fault: sts.Fault{Err: sts.Errorf("IdempotentParameterMismatch", "x")},
			why: "an execution for this command was started before, with other parameters"},
		{about: "a role of the template", fault: sts.Fault{Err: sts.Errorf("AssumeRoleNotExist", "x")}, refused: true,
			why: `the role of the template "restart" does not exist, or does not trust oos.aliyuncs.com`},
	} {
		t.Run(test.about, func(t *testing.T) {
			f := newFixture(t)
			c := f.call("restart", text("instance", "i-1"))
			if test.change != nil {
				test.change(c)
			}
			ctx := f.as(dispatch.StepStart, c)
			f.in.SetFault(func(sts.Request) sts.Fault { return test.fault })
			_, err := f.target.Start(ctx, c)
			var e *dispatch.Error
			if !errors.As(err, &e) || !strings.HasPrefix(e.Why, test.why) || e.Again != test.again ||
				e.Refused != test.refused {
				t.Errorf("Start = %#v, want %q, again %v, refused %v", err, test.why, test.again, test.refused)
			}
			if strings.Contains(e.Why, "127.0.0.1") {
				t.Errorf("it names a host: %s", e.Why)
			}
		})
	}
	f := newFixture(t)
	c := f.call("restart")
	c.Role, c.Execution = "weak", "exec-1"
	var e *dispatch.Error
	if _, err := f.target.Follow(f.as(dispatch.StepFollow, c), c); !errors.As(err, &e) ||
		e.Why != `the role "weak" was denied by OOS. Its policies must allow oos:ListExecutions on execution/*` {
		t.Errorf("Follow = %v", err)
	}
	if err := f.target.Cancel(f.as(dispatch.StepCancel, c), c); !errors.As(err, &e) ||
		e.Why != `the role "weak" was denied by OOS. Its policies must allow oos:CancelExecution on execution/*` {
		t.Errorf("Cancel = %v", err)
	}
	c.Role = ""
	none, err := alibaba.NewExecutions(alibaba.Options{Endpoint: f.in.OOS})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := target.New(none, nil).Start(t.Context(), c); !errors.As(err, &e) || !e.Refused ||
		e.Why != "this service has no credentials for OOS" {
		t.Errorf("without credentials: %v", err)
	}
}

// A sender that a tag cannot contain is replaced in it.
func TestTags(t *testing.T) {
	f := newFixture(t)
	for i, sender := range []string{strings.Repeat("x", 128), strings.Repeat("x", 129), "http://x", "王伟"} {
		c := f.call("two")
		c.ID, c.Command.User = fmt.Sprint("record-", i), sender
		f.start(c)
		want := sender
		if i == 1 || i == 2 {
			want = cloud.SessionName("Slack", sender)
		}
		if got := f.in.Server.Executions()[i].Tags["chatconf-sender"]; got != want {
			t.Errorf("the tag of %q is %q, want %q", sender, got, want)
		}
	}
}

// The steps of a template run under the role that its parameter names. The session may pass exactly
// that role, and has no right of its own for a step.
func TestStepsUnderARole(t *testing.T) {
	for _, test := range []struct {
		role  string
		state journal.State
		text  string
	}{
		{"worker", journal.StateSucceeded, ""},
		{"", journal.StateFailed, "reboot: NoPermission: You are not authorized to do this action. "},
		{"weak", "", `the role of the template "reboot" does not exist, or does not trust oos.aliyuncs.com`},
		{"*", "", `the role "ops" was denied by OOS. `},
		{"work*", "", `the role "ops" was denied by OOS. `},
		{strings.Repeat("w", 65), "", `the role "ops" was denied by OOS. `},
	} {
		f := newFixture(t, func(o *oostest.Options) {
			o.Account.Roles = append(o.Account.Roles, sts.Role{Name: "worker",
				Trust: `{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole",
					"Principal":{"Service":"oos.aliyuncs.com"}}]}`,
				Policies: []string{oostest.Allow("*", "ecs:RebootInstance")}})
			o.Templates = []oos.Template{{Name: "reboot", RamRole: "{{ OOSAssumeRole }}",
				Parameters: []oos.Parameter{{Name: "OOSAssumeRole"}},
				Steps: []oos.Step{{Name: "reboot", Action: "ACS::ECS::RebootInstance",
					Needs: []oos.Permission{{Action: "ecs:RebootInstance", Resource: "acs:ecs:*:*:instance/i-1"}}}}}}
		})
		c := f.call("reboot", text("OOSAssumeRole", test.role))
		p, err := f.target.Start(f.as(dispatch.StepStart, c), c)
		if test.state == "" {
			if err == nil || !strings.HasPrefix(err.Error(), test.text) {
				t.Errorf("%q: %+v, %v, want %q", test.role, p, err, test.text)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		c.Execution = p.Execution
		f.in.Advance(time.Second)
		p = f.follow(c)
		if p.State != test.state || !strings.HasPrefix(p.Text, test.text) {
			t.Errorf("%q: %+v, want %s %q", test.role, p, test.state, test.text)
		}
		const cure = ". The steps may do only what the target's Allow lists, or what the role in OOSAssumeRole may do"
		if refused := p.State == journal.StateFailed; strings.HasSuffix(p.Detail, cure) != refused {
			t.Errorf("%q: the record says %q", test.role, p.Detail)
		}
		f.narrow()
	}
}

// A role of another account has its templates there.
func TestPolicyOfAnotherAccount(t *testing.T) {
	f := newFixture(t)
	c := f.call("restart")
	c.Role = "acs:ram::2000000000000000:role/ops"
	want := `{"Version":"1","Statement":[{"Effect":"Allow","Action":["oos:StartExecution"],"Resource":[` +
		`"acs:oos:cn-hangzhou:2000000000000000:template/restart","acs:oos:cn-hangzhou:2000000000000000:execution/*"]}]}`
	if got := f.target.Policy(dispatch.StepStart, c); got != want {
		t.Errorf("Policy = %s, want %s", got, want)
	}
}

// Package ssm is the target Ssm: it starts executions of runbooks in AWS Systems Manager
// Automation, and follows them to their end.
package ssm

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"

	"chatconf/shared/cloud"
	"chatconf/shared/cloud/aws"
	"chatconf/shared/command"
	"chatconf/shared/dispatch"
	"chatconf/shared/journal"
)

// service is the name of the service in sentences.
const service = "Systems Manager"

// A Target starts executions of runbooks, in the region of the service.
type Target struct {
	automations *aws.Automations
}

var (
	_ dispatch.Follower = (*Target)(nil)
	_ dispatch.Scoped   = (*Target)(nil)
)

// New returns a target.
func New(automations *aws.Automations) *Target { return &Target{automations} }

// Start implements dispatch.Target. AWS starts one execution for the record's id.
func (t *Target) Start(ctx context.Context, c *dispatch.Call) (dispatch.Progress, error) {
	if c.Command.DryRun {
		return dispatch.Progress{}, dispatch.NoDryRun()
	}
	if _, err := dispatch.Allowed(c); err != nil {
		return dispatch.Progress{}, err
	}
	parameters := lists(c.Target.Expand(c.Command.Parameters))
	id, err := t.automations.Start(ctx, c.Target.DocumentName, token(c.ID), parameters)
	if err != nil {
		return dispatch.Progress{}, t.failed(c, dispatch.StepStart, err)
	}
	return dispatch.Progress{State: journal.StateRunning, Execution: id}, nil
}

// token returns the token of a record, which must be a UUID: one of version 8, RFC 9562.
func token(record string) string {
	b := sha256.Sum256([]byte("chatconf " + record))
	b[6], b[8] = b[6]&0x0f|0x80, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:16])
}

// lists returns the parameters of a runbook: each is a list of texts.
func lists(parameters map[string]any) map[string][]string {
	out := make(map[string][]string, len(parameters))
	for name, value := range parameters {
		list, ok := value.([]any)
		if !ok {
			list = []any{value}
		}
		out[name] = make([]string, len(list))
		for i, item := range list {
			out[name][i] = fmt.Sprint(item)
		}
	}
	return out
}

// Follow implements dispatch.Follower.
func (t *Target) Follow(ctx context.Context, c *dispatch.Call) (dispatch.Progress, error) {
	e, err := t.automations.Get(ctx, c.Execution)
	switch {
	case cloud.CodeOf(err) == "AutomationExecutionNotFoundException":
		return dispatch.Progress{State: journal.StateUnknown, Execution: c.Execution,
			Detail: service + " does not know the execution, or no longer"}, nil
	case err != nil:
		return dispatch.Progress{}, t.failed(c, dispatch.StepFollow, err)
	}
	return progress(c, e), nil
}

// Cancel implements dispatch.Follower.
func (t *Target) Cancel(ctx context.Context, c *dispatch.Call) error {
	err := t.automations.Cancel(ctx, c.Execution)
	switch cloud.CodeOf(err) {
	case "AutomationExecutionNotFoundException", "InvalidAutomationStatusUpdateException":
		return nil // it has ended, or Follow will say that it is unknown
	}
	if err != nil {
		return t.failed(c, dispatch.StepCancel, err)
	}
	return nil
}

// Policy implements dispatch.Scoped. The steps of a runbook without a role run with the session of
// StepStart, so that it has the target's Allow too.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssystemsmanager.html
func (t *Target) Policy(step dispatch.Step, c *dispatch.Call) string {
	const version = "2012-10-17"
	account := cloud.RoleAccount(c.Role, c.Endpoint.Account)
	arn := "arn:" + aws.Partition(t.automations.Region()) + ":ssm:" + t.automations.Region() + ":"
	grant := command.Right{Action: []string{"ssm:GetAutomationExecution"},
		Resource: []string{arn + account + ":automation-execution/" + c.Execution}}
	var more []command.Right
	switch step {
	case dispatch.StepStart:
		more, _ = dispatch.Allowed(c) // Start returns the error
		name := c.Target.DocumentName
		if strings.HasPrefix(name, "AWS") {
			account = "" // a runbook of AWS
		} else if fields := strings.SplitN(name, ":", 6); len(fields) == 6 {
			// arn:aws:ssm:<region>:<account>:document/<name>
			account, name = fields[4], strings.TrimPrefix(fields[5], "document/")
		}
		grant = command.Right{Action: []string{"ssm:StartAutomationExecution"}, Resource: []string{
			arn + account + ":document/" + name, arn + account + ":automation-definition/" + name + ":$DEFAULT"}}
	case dispatch.StepCancel:
		grant.Action[0] = "ssm:StopAutomationExecution"
	}
	return dispatch.PolicyText(version, append([]command.Right{grant}, more...)...)
}

// failed returns the error of a step.
func (t *Target) failed(c *dispatch.Call, step dispatch.Step, err error) *dispatch.Error {
	denied := map[dispatch.Step]string{
		dispatch.StepStart: fmt.Sprintf("ssm:StartAutomationExecution on the runbook %q, and what its steps need",
			c.Target.DocumentName),
		dispatch.StepFollow: "ssm:GetAutomationExecution on automation-execution/*",
		dispatch.StepCancel: "ssm:StopAutomationExecution on automation-execution/*",
	}[step]
	e := c.CloudError(service, err, append(dispatch.AWSReasons(c, service, denied),
		cloud.Reason{Codes: []string{"AutomationDefinitionNotFoundException"}, Why: fmt.Sprintf(
			"%s has no runbook %q in region %s of account %s", service, c.Target.DocumentName, t.automations.Region(),
			cloud.RoleAccount(c.Role, c.Endpoint.Account))},
		cloud.Reason{Codes: []string{"InvalidAutomationExecutionParametersException"},
			Why: fmt.Sprintf("%s refused the parameters of the runbook %q", service, c.Target.DocumentName)},
		cloud.Reason{Codes: []string{"AutomationExecutionLimitExceededException"},
			Why: service + " runs as many executions as it may", Again: true},
		cloud.Reason{Codes: []string{"IdempotentParameterMismatch"},
			Why: "an execution for this command was started before, with other parameters"},
	)...)
	if cloud.CodeOf(err) == "IdempotentParameterMismatch" {
		e.Refused = false
	}
	return e
}

// progress returns what an execution says of itself.
func progress(c *dispatch.Call, e aws.Automation) dispatch.Progress {
	p := dispatch.Progress{Execution: e.ID}
	switch e.Status {
	case "Success", "CompletedWithSuccess":
		p.State, p.Text = journal.StateSucceeded, c.Told(outputs(e.Outputs))
		return p
	case "Failed", "CompletedWithFailure", "Rejected", "Exited", "ChangeCalendarOverrideRejected":
		p.State, p.Text = journal.StateFailed, c.Told(e.Failure)
	case "TimedOut":
		p.State, p.Text = journal.StateTimedOut, c.Told(e.Failure)
	case "Cancelled":
		p.State, p.Text = journal.StateCancelled, c.Told(e.Failure)
	default:
		p.State = journal.StateRunning
		switch {
		case e.Step == "":
		case e.Action == "aws:approve" || e.Status == "PendingApproval":
			p.Text = c.WaitsForApproval(e.Step, service)
		default:
			p.Text = c.AtTask(e.Step)
		}
	}
	p.Detail = p.Text
	return p
}

// outputs returns the outputs of an execution for people: the value of a single one, else a line
// for each.
func outputs(all map[string][]string) string {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		value := strings.Join(all[name], ", ")
		if len(all) == 1 {
			return value
		}
		lines = append(lines, name+": "+value)
	}
	return strings.Join(lines, "\n")
}

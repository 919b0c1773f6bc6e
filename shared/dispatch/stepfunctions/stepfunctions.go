// Package stepfunctions is the target StepFunctions: it starts executions of standard state
// machines in AWS Step Functions, and follows them to their end.
package stepfunctions

import (
	"context"
	"fmt"
	"strings"

	"chatconf/shared/cloud"
	"chatconf/shared/cloud/aws"
	"chatconf/shared/command"
	"chatconf/shared/dispatch"
	"chatconf/shared/document"
	"chatconf/shared/journal"
)

// service is the name of the service in sentences.
const service = "Step Functions"

// A Target starts executions of state machines.
type Target struct {
	machines *aws.StateMachines
}

var (
	_ dispatch.Follower = (*Target)(nil)
	_ dispatch.Scoped   = (*Target)(nil)
)

// New returns a target.
func New(machines *aws.StateMachines) *Target { return &Target{machines} }

// Start implements dispatch.Target. AWS starts one execution with the record's id as its name.
func (t *Target) Start(ctx context.Context, c *dispatch.Call) (dispatch.Progress, error) {
	if c.Command.DryRun {
		return dispatch.Progress{}, dispatch.NoDryRun()
	}
	id, err := t.machines.Start(ctx, c.Target.StateMachineArn, c.ID, dispatch.ParametersOf(c))
	if err != nil {
		return dispatch.Progress{}, failed(c, dispatch.StepStart, err)
	}
	return dispatch.Progress{State: journal.StateRunning, Execution: id}, nil
}

// Follow implements dispatch.Follower.
func (t *Target) Follow(ctx context.Context, c *dispatch.Call) (dispatch.Progress, error) {
	e, err := t.machines.Get(ctx, c.Execution)
	switch {
	case cloud.CodeOf(err) == "ExecutionDoesNotExist":
		return dispatch.Progress{State: journal.StateUnknown, Execution: c.Execution,
			Detail: service + " does not know the execution, or no longer"}, nil
	case err != nil:
		return dispatch.Progress{}, failed(c, dispatch.StepFollow, err)
	}
	p := dispatch.Progress{Execution: c.Execution}
	switch e.Status {
	case "RUNNING", "PENDING_REDRIVE":
		p.State = journal.StateRunning
		return p, nil
	case "SUCCEEDED":
		p.State, p.Text = journal.StateSucceeded, c.Told(output(e.Output))
		return p, nil
	case "TIMED_OUT":
		p.State = journal.StateTimedOut
	case "ABORTED":
		p.State = journal.StateCancelled
	default:
		p.State = journal.StateFailed
	}
	p.Text = c.Told(strings.Trim(e.Error+": "+e.Cause, ": "))
	p.Detail = p.Text
	return p, nil
}

// output returns the output of an execution for people: the text of {"text":"…"}, as functions
// answer, or of a JSON string; else the JSON.
func output(text string) string {
	if said := dispatch.TextOf([]byte(text)); said != "" {
		return said
	}
	if n, err := document.Parse("output", text); err == nil && n.Kind == document.String {
		return n.Text
	}
	return text
}

// Cancel implements dispatch.Follower.
func (t *Target) Cancel(ctx context.Context, c *dispatch.Call) error {
	err := t.machines.Cancel(ctx, c.Execution)
	if err == nil || cloud.CodeOf(err) == "ExecutionDoesNotExist" { // Follow will say that it is unknown
		return nil
	}
	return failed(c, dispatch.StepCancel, err)
}

// Policy implements dispatch.Scoped.
// https://docs.aws.amazon.com/step-functions/latest/dg/concept-create-iam-advanced.html
func (t *Target) Policy(step dispatch.Step, c *dispatch.Call) string {
	grant := command.Right{Action: []string{"states:DescribeExecution"}, Resource: []string{c.Execution}}
	switch step {
	case dispatch.StepStart:
		grant = command.Right{Action: []string{"states:StartExecution"}, Resource: []string{c.Target.StateMachineArn}}
	case dispatch.StepCancel:
		grant.Action[0] = "states:StopExecution"
	}
	return dispatch.PolicyText("2012-10-17", grant)
}

// failed returns the error of a step.
func failed(c *dispatch.Call, step dispatch.Step, err error) *dispatch.Error {
	denied := map[dispatch.Step]string{
		dispatch.StepStart:  "states:StartExecution on " + c.Target.StateMachineArn,
		dispatch.StepFollow: "states:DescribeExecution on the executions of " + c.Target.StateMachineArn,
		dispatch.StepCancel: "states:StopExecution on the executions of " + c.Target.StateMachineArn,
	}[step]
	e := c.CloudError(service, err, append(dispatch.AWSReasons(c, service, denied),
		cloud.Reason{Codes: []string{"StateMachineDoesNotExist"},
			Why: fmt.Sprintf("%s has no state machine %s", service, c.Target.StateMachineArn)},
		cloud.Reason{Codes: []string{"InvalidExecutionInput"},
			Why: fmt.Sprintf("%s refused the input of %s", service, c.Target.StateMachineArn)},
		cloud.Reason{Codes: []string{"ExecutionLimitExceeded"},
			Why: service + " runs as many executions as it may", Again: true},
		cloud.Reason{Codes: []string{"ExecutionAlreadyExists"},
			Why: "an execution for this command was started before, with other parameters"},
	)...)
	if cloud.CodeOf(err) == "ExecutionAlreadyExists" {
		e.Refused = false
	}
	return e
}

// Package oos is the target Oos: it starts executions of templates in Alibaba Cloud CloudOps
// Orchestration Service, and follows them to their end.
package oos

import (
	"context"
	"fmt"
	"strings"
	"time"

	"chatconf/shared/cloud"
	"chatconf/shared/cloud/alibaba"
	"chatconf/shared/command"
	"chatconf/shared/dispatch"
	"chatconf/shared/document"
	"chatconf/shared/journal"
)

// service is the name of the service in sentences.
const service = "OOS"

// listed is how long after a command an execution may be missing in a list, which may be a little
// behind.
const listed = time.Minute

// A Target starts executions. They run in the region of the configuration.
type Target struct {
	executions *alibaba.Executions
	now        func() time.Time
}

var (
	_ dispatch.Follower = (*Target)(nil)
	_ dispatch.Scoped   = (*Target)(nil)
)

// New returns a target. Nil now is time.Now.
func New(executions *alibaba.Executions, now func() time.Time) *Target {
	if now == nil {
		now = time.Now
	}
	return &Target{executions, now}
}

// Start implements dispatch.Target. OOS starts one execution for the record's id.
func (t *Target) Start(ctx context.Context, c *dispatch.Call) (dispatch.Progress, error) {
	if c.Command.DryRun {
		return dispatch.Progress{}, dispatch.NoDryRun()
	}
	if _, err := dispatch.Allowed(c); err != nil {
		return dispatch.Progress{}, err
	}
	e, err := t.executions.Start(ctx, c.Endpoint.Region, alibaba.StartRequest{
		TemplateName:    c.Target.TemplateName,
		TemplateVersion: c.Target.TemplateVersion,
		SafetyCheck:     c.Target.SafetyCheck,
		Parameters:      dispatch.ParametersOf(c),
		Tags:            tags(c),
		ClientToken:     c.ID,
	})
	if err != nil {
		return dispatch.Progress{}, failed(c, dispatch.StepStart, err)
	}
	return progress(c, e), nil
}

// Follow implements dispatch.Follower.
func (t *Target) Follow(ctx context.Context, c *dispatch.Call) (dispatch.Progress, error) {
	e, found, err := t.executions.Get(ctx, c.Endpoint.Region, c.Execution)
	switch {
	case err != nil:
		return dispatch.Progress{}, failed(c, dispatch.StepFollow, err)
	case !found && t.now().Sub(c.Event.Time) < listed:
		return dispatch.Progress{}, &dispatch.Error{Why: "OOS does not show the execution yet", Again: true}
	case !found:
		return dispatch.Progress{State: journal.StateUnknown, Execution: c.Execution,
			Detail: "OOS does not know the execution, or no longer"}, nil
	}
	return progress(c, e), nil
}

// Cancel implements dispatch.Follower.
func (t *Target) Cancel(ctx context.Context, c *dispatch.Call) error {
	err := t.executions.Cancel(ctx, c.Endpoint.Region, c.Execution)
	switch cloud.CodeOf(err) {
	case "InvalidExecutionStatus", "EntityNotExists.Execution":
		return nil // it has ended, or Follow will say that it is unknown
	}
	if err != nil {
		return failed(c, dispatch.StepCancel, err)
	}
	return nil
}

// The tags of an execution. Their limits are those of
// https://help.aliyun.com/en/resource-management/tag/product-overview/limits
const (
	tagPlatform = "chatconf-platform"
	tagSender   = "chatconf-sender"
	tagRecord   = "chatconf-record"
	maxTag      = 128
)

// tags returns the tags of the execution of a call, so that it can be found by its sender. A sender
// that a tag cannot contain is replaced by the name of its sessions.
func tags(c *dispatch.Call) map[string]string {
	sender := c.Command.User
	if len(sender) > maxTag || strings.Contains(sender, "http://") || strings.Contains(sender, "https://") {
		sender = cloud.SessionName(c.Command.Platform, sender)
	}
	return map[string]string{tagPlatform: c.Command.Platform, tagSender: sender, tagRecord: c.ID}
}

// Policy implements dispatch.Scoped. The steps of a template without a RamRole run with the session
// of StepStart, so that it has the target's Allow too.
// https://www.alibabacloud.com/help/en/oos/ram-authorization-policies
func (t *Target) Policy(step dispatch.Step, c *dispatch.Call) string {
	const version = "1"
	ofRole := cloud.RoleAccount(c.Role, c.Endpoint.Account)
	prefix := "acs:oos:" + c.Endpoint.Region + ":" + ofRole + ":"
	rights := []command.Right{{Action: []string{"oos:ListExecutions"},
		Resource: []string{prefix + "execution/" + c.Execution}}}
	switch step {
	case dispatch.StepStart:
		rights, _ = dispatch.Allowed(c) // Start returns the error
		rights = append(rights, command.Right{Action: []string{"oos:StartExecution"},
			Resource: []string{prefix + "template/" + c.Target.TemplateName, prefix + "execution/*"}})
		if role := stepRole(c); role != "" {
			rights = append(rights, command.Right{Action: []string{"ram:PassRole"},
				Resource: []string{"acs:ram::" + ofRole + ":role/" + role}})
		}
	case dispatch.StepCancel:
		rights[0].Action[0] = "oos:CancelExecution"
	}
	return dispatch.PolicyText(version, rights...)
}

// keyStepRole is the parameter with the role of a template's steps, as in all public templates of
// OOS. Without such a role the steps have the session's rights.
// https://www.alibabacloud.com/help/en/oos/user-guide/grant-ram-permissions-to-oos
const keyStepRole = "OOSAssumeRole"

// stepRole returns the role that the steps of the template run under; empty if the parameters have
// none, or an invalid one, which must not get into the policy of a session.
func stepRole(c *dispatch.Call) string {
	role, _ := c.Target.Expand(c.Command.Parameters)[keyStepRole].(string)
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"
	if len(role) > 64 || strings.Trim(role, allowed) != "" {
		return ""
	}
	return role
}

// failed returns the error of a step.
func failed(c *dispatch.Call, step dispatch.Step, err error) *dispatch.Error {
	denied := map[dispatch.Step]string{
		dispatch.StepStart: fmt.Sprintf("oos:StartExecution on template/%s and execution/*, and what the template's "+
			"steps need", c.Target.TemplateName),
		dispatch.StepFollow: "oos:ListExecutions on execution/*",
		dispatch.StepCancel: "oos:CancelExecution on execution/*",
	}[step]
	template := fmt.Sprintf("the template %q", c.Target.TemplateName)
	if c.Target.TemplateVersion != "" {
		template += " of version " + c.Target.TemplateVersion
	}
	e := c.CloudError(service, err,
		cloud.Reason{Codes: []string{"NoPermission", "Forbidden.RAM", "Forbidden"},
			Why: c.RoleOf() + " was denied by OOS. Its policies must allow " + denied},
		cloud.Reason{Codes: []string{"EntityNotExists.Template"}, Why: fmt.Sprintf(
			"OOS has no %s in region %s of account %s", strings.TrimPrefix(template, "the "), c.Endpoint.Region,
			cloud.RoleAccount(c.Role, c.Endpoint.Account))},
		cloud.Reason{Codes: []string{"InvalidParameter", "InvalidParameter.", "MissingParameter", "MissingParameter."},
			Why: "OOS refused the parameters of " + template},
		cloud.Reason{Codes: []string{"AssumeRoleNotExist"}, Why: "the role of " + template +
			" does not exist, or does not trust oos.aliyuncs.com"},
		cloud.Reason{Codes: []string{"InvalidAccessKeyId.", "InvalidSecurityToken.", "SignatureDoesNotMatch"},
			Why: "the credentials of " + c.RoleOf() + " are invalid or have expired", Again: true},
		cloud.Reason{Codes: []string{"IdempotentParameterMismatch"},
			Why: "an execution for this command was started before, with other parameters"},
		cloud.Reason{Codes: []string{"Throttling", "Throttling."}, Why: "OOS is throttled", Again: true},
	)
	if cloud.CodeOf(err) == "IdempotentParameterMismatch" {
		e.Refused = false
	}
	return e
}

// progress returns what an execution says of itself.
func progress(c *dispatch.Call, e alibaba.Execution) dispatch.Progress {
	p := dispatch.Progress{Execution: e.ID}
	message := c.Told(e.StatusMessage)
	switch e.Status {
	case "Success":
		p.State, p.Text = journal.StateSucceeded, c.Told(outputs(e.Outputs))
	case "Failed", "Skipped":
		p.State, p.Text, p.Detail = journal.StateFailed, message, message
		if strings.Contains(e.StatusMessage, "NoPermission") || strings.Contains(e.StatusMessage, "Forbidden.RAM") {
			p.Detail = strings.TrimRight(message, ". ") +
				". The steps may do only what the target's Allow lists, or what the role in " + keyStepRole + " may do"
		}
	case "Cancelled":
		p.State, p.Text, p.Detail = journal.StateCancelled, message, message
	default:
		p.State = journal.StateRunning
		p.Text = task(c, e)
		p.Detail = p.Text
	}
	return p
}

// task says which task an execution is at, or waits for; empty if none.
func task(c *dispatch.Call, e alibaba.Execution) string {
	if len(e.CurrentTasks) == 0 {
		return ""
	}
	switch now := e.CurrentTasks[0]; {
	case e.Status == "Waiting" && now.Action == "ACS::Approve":
		return c.WaitsForApproval(now.Name, service)
	case e.Status == "Waiting":
		return c.WaitsForConfirmation(now.Name, service)
	default:
		return c.AtTask(now.Name)
	}
}

// outputs returns the outputs of an execution for people: the value of a single one, else a line
// for each.
func outputs(text string) string {
	n, err := document.Parse("Outputs", text)
	if err != nil || n.Kind != document.Object {
		return text
	}
	if len(n.Members) == 1 {
		return value(n.Members[0].Value)
	}
	lines := make([]string, len(n.Members))
	for i, m := range n.Members {
		lines[i] = m.Key + ": " + value(m.Value)
	}
	return strings.Join(lines, "\n")
}

// value returns the text of a string, and the JSON of anything else.
func value(n *document.Node) string {
	if n.Kind == document.String {
		return n.Text
	}
	return n.String()
}

// Package function is the target Function: it invokes a function of the cloud with the event and
// waits for its answer.
package function

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"chatconf/shared/cloud"
	"chatconf/shared/command"
	"chatconf/shared/dispatch"
	"chatconf/shared/journal"
)

// Functions are the functions of a cloud. An account is that of the role, empty for the service's
// own.
type Functions interface {
	// CallIn invokes a function and returns its answer.
	CallIn(ctx context.Context, account, name string, payload []byte) ([]byte, error)
	// Right returns what a session policy must allow for it.
	Right(account, name string) (action, resource string)
}

// A Target invokes functions. A function that is invoked again for the same record gets the same
// event, with the same id.
type Target struct {
	service   string
	version   string
	functions Functions
}

var (
	_ dispatch.Scoped    = (*Target)(nil)
	_ dispatch.Deliverer = (*Target)(nil)
)

// New returns a target. service is the cloud's service for people, and version that of the cloud's
// policy language.
func New(service, version string, functions Functions) *Target {
	return &Target{service, version, functions}
}

// account returns the account of a call's function.
func account(c *dispatch.Call) string {
	if c.Role == "" {
		return ""
	}
	return cloud.RoleAccount(c.Role, c.Endpoint.Account)
}

// Policy implements dispatch.Scoped.
func (t *Target) Policy(_ dispatch.Step, c *dispatch.Call) string {
	action, resource := t.functions.Right(account(c), c.Target.Name)
	return dispatch.PolicyText(t.version, command.Right{Action: []string{action}, Resource: []string{resource}})
}

// Start implements dispatch.Target. The function has ended when it returns.
func (t *Target) Start(ctx context.Context, c *dispatch.Call) (dispatch.Progress, error) {
	event, err := c.Event.MarshalJSON()
	if err != nil {
		return dispatch.Progress{}, &dispatch.Error{Refused: true,
			Why: "the command cannot be encoded as an event", Cause: err.Error()}
	}
	answer, err := t.functions.CallIn(ctx, account(c), c.Target.Name, event)
	if err != nil {
		return dispatch.Progress{}, t.failed(c, err)
	}
	return dispatch.Progress{State: journal.StateSucceeded, Text: dispatch.TextOf(answer)}, nil
}

// Check implements dispatch.Deliverer. It accepts every target: a function may come later.
func (t *Target) Check(command.Target) error { return nil }

// Deliver implements dispatch.Deliverer. It invokes the function with the service's own rights.
func (t *Target) Deliver(ctx context.Context, d dispatch.Delivery) error {
	if _, err := t.functions.CallIn(ctx, "", d.Target.Name, d.Body); err != nil {
		return t.failed(&dispatch.Call{Target: d.Target}, err)
	}
	return nil
}

// maxFailure is the maximum length of a function's error in a sentence, in characters.
const maxFailure = 300

// failed returns the error of a call.
func (t *Target) failed(c *dispatch.Call, err error) *dispatch.Error {
	action, resource := t.functions.Right(account(c), c.Target.Name)
	e := c.CloudError(t.service, err,
		cloud.Reason{Codes: []string{"AccessDenied", "AccessDeniedException", "NoPermission", "Forbidden"},
			Why: fmt.Sprintf("%s was denied by %s. Its policies must allow %s on %s", c.RoleOf(), t.service, action,
				resource)},
		cloud.Reason{Codes: []string{"FunctionNotFound", "ResourceNotFoundException"},
			Why: fmt.Sprintf("%s has no function %q in the account of %s", t.service, c.Target.Name, c.RoleOf())},
		cloud.Reason{Codes: []string{"ResourceThrottled", "TooManyRequestsException", "ThrottlingException"},
			Why: t.service + " is throttled", Again: true},
		cloud.Reason{Codes: []string{"ExpiredTokenException", "UnrecognizedClientException",
			"InvalidSignatureException", "InvalidAccessKeyID", "SignatureNotMatch", "InvalidSecurityToken."},
			Why: "the credentials of " + c.RoleOf() + " are invalid or have expired", Again: true},
	)
	var refused *cloud.Refusal
	if errors.As(err, &refused) && refused.Status == 200 { // the function has failed, and ended
		e.Why = fmt.Sprintf("the function %q failed: %s", c.Target.Name, refused.PlainCode())
		if refused.Failure != "" {
			e.Why = fmt.Sprintf("the function %q failed: %s", c.Target.Name, oneLine(c.Told(refused.Failure)))
		}
	}
	return e
}

// oneLine returns the beginning of a text on one line.
func oneLine(text string) string {
	runes := []rune(strings.Join(strings.Fields(text), " "))
	if len(runes) > maxFailure {
		return string(runes[:maxFailure]) + "…"
	}
	return string(runes)
}

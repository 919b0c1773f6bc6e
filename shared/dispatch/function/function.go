// Package function is the target Function: it invokes a function of the cloud with the event and
// waits for its answer.
package function

import (
	"context"
	"errors"
	"fmt"

	"chatconf/shared/cloud"
	"chatconf/shared/dial"
	"chatconf/shared/dispatch"
	"chatconf/shared/journal"
)

// A Target invokes functions.
type Target struct {
	call func(ctx context.Context, name string, payload []byte) ([]byte, error)
}

var _ dispatch.Target = (*Target)(nil)

// New returns a target. call invokes a function of the cloud and returns its answer; nil means no
// cloud.
func New(call func(ctx context.Context, name string, payload []byte) ([]byte, error)) *Target {
	return &Target{call}
}

// Start implements dispatch.Target. The function has ended when it returns.
func (t *Target) Start(ctx context.Context, c *dispatch.Call) (dispatch.Progress, error) {
	if t.call == nil {
		return dispatch.Progress{}, &dispatch.Error{Refused: true,
			Why: "this service does not run in a cloud, so it cannot invoke functions"}
	}
	event, err := c.Event.MarshalJSON()
	if err != nil {
		return dispatch.Progress{}, &dispatch.Error{Refused: true,
			Why: "the command cannot be encoded as an event", Cause: err.Error()}
	}
	answer, err := t.call(ctx, c.Target.Name, event)
	var refused *cloud.Refusal
	switch {
	case errors.As(err, &refused): // its message may name roles and accounts
		return dispatch.Progress{}, &dispatch.Error{Again: refused.Retryable, Refused: true, Cause: refused.Error(),
			Why: fmt.Sprintf("the function was not invoked: %s, status %d", refused.Code, refused.Status)}
	case err != nil:
		return dispatch.Progress{}, &dispatch.Error{Why: (&dial.Error{What: "the target", Err: err}).Error(),
			Again: true, Cause: err.Error()}
	}
	return dispatch.Progress{State: journal.StateSucceeded, Text: dispatch.TextOf(answer)}, nil
}

package webhook

import (
	"context"
	"slices"

	"chatconf/shared/command"
	"chatconf/shared/journal"
)

// maxOperations is how many operations of a conversation status and cancel know.
const maxOperations = 20

// operate returns the answer to a status or cancel, and the id of the operation to cancel, if any.
// An operation that the sender may not run is answered like an unknown one.
func (h *Handler) operate(ctx context.Context, e *command.Endpoint, c command.Command) (text, cancel string,
	err error) {
	id := c.OperationID()
	mayOperate := func(r *journal.Record) bool {
		ran, err := e.RecordedCommand(r.Command, r.Arguments)
		ran.User, ran.Conversation = r.User, r.Conversation
		return err == nil && r.State != "" && e.MayOperate(c, ran, r.RamRole)
	}
	var may []*journal.Record
	more := false
	if id != "" {
		may, err = h.journal.Get(ctx, e.Ref(), id)
		may = slices.DeleteFunc(may, func(r *journal.Record) bool { return !mayOperate(r) })
	} else {
		may, more, err = h.journal.Unfinished(ctx, e.Ref(), func(r *journal.Record) bool {
			return r.Conversation == c.Conversation && mayOperate(r)
		}, maxOperations)
	}
	switch {
	case err != nil:
		return "", "", err
	case len(may) == 0 && more:
		return e.TooManyOperations(c.Name), "", nil
	case len(may) == 0:
		return e.NoOperation(id), "", nil
	case c.Name == command.Status || may[0].State.Ended() || may[0].Outcome != journal.OutcomePending:
		return e.Shown(operationOf(may[0])), "", nil
	case len(may) > 1:
		all := make([]command.Operation, len(may))
		for i, r := range may {
			all[i] = operationOf(r)
		}
		return e.Several(all), "", nil
	}
	return e.Cancelling(operationOf(may[0])), may[0].ID, nil
}

// operationOf returns what the conversation may know. Before the target has started an operation,
// the record's detail is for administrators: it may name accounts and roles.
func operationOf(r *journal.Record) command.Operation {
	out := command.Operation{ID: r.ID, Command: r.Command, State: string(r.State), Execution: r.Execution,
		Started: r.Started}
	if r.Execution != "" && r.Detail != journal.DetailKept {
		out.Text = r.Detail
	}
	return out
}

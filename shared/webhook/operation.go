package webhook

import (
	"context"

	"chatconf/shared/command"
	"chatconf/shared/journal"
)

// maxOperations is how many operations of a conversation status and cancel look at.
const maxOperations = 20

// operate returns the answer to a status or cancel, and the id of the operation to cancel, if any.
// An operation that the sender may not run is answered like an unknown one.
func (h *Handler) operate(ctx context.Context, e *command.Endpoint, c command.Command) (text, cancel string,
	err error) {
	id := c.OperationID()
	var found []*journal.Record
	if id != "" {
		found, err = h.journal.Get(ctx, e.Ref(), id)
	} else {
		found, _, err = h.journal.Find(ctx, e.Ref(),
			&journal.Selection{Conversation: c.Conversation, Open: true}, "", maxOperations)
	}
	if err != nil {
		return "", "", err
	}
	var may []*journal.Record
	for _, r := range found {
		ran, err := e.RecordedCommand(r.Command, r.Arguments)
		ran.User, ran.Conversation = r.User, r.Conversation
		if err == nil && r.State != "" && e.MayOperate(c, ran, r.RamRole) {
			may = append(may, r)
		}
	}
	switch {
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

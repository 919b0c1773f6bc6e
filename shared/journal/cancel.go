package journal

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/document"
	"chatconf/shared/invoke"
	"chatconf/shared/table"
)

// A Cancellation is a person's request to cancel a command. It is a separate item, written with
// the record of the request. So it never conflicts with the process that holds the command.
type Cancellation struct {
	Version      int       `json:"v"`
	Name         string    `json:"name"`
	Life         string    `json:"life,omitempty"`
	Time         time.Time `json:"time"`
	User         string    `json:"user"`
	Conversation string    `json:"conversation"`
	Direct       bool      `json:"direct,omitempty"`
}

func cancelKey(r command.Ref) string { return cancelPrefix + r.ID }

// cancelPut returns the put of a request of the sender of c. The next process that claims or
// follows the command decides on it. For a command that is settled the request has no effect.
func cancelPut(ref command.Ref, c command.Command, now time.Time) (table.Put, error) {
	value, err := document.Encode(Cancellation{Version: RecordVersion, Name: ref.Name, Life: ref.Life, Time: now,
		User: c.User, Conversation: c.Conversation, Direct: c.Direct})
	if err != nil {
		return table.Put{}, fmt.Errorf("journal: encode a cancellation: %w", err)
	}
	return table.Put{Sort: cancelKey(ref), Value: value, Revision: now.UnixNano()}, nil
}

// Cancelled reads whether a held command is to be cancelled by now, into job.Cancel.
func (j *Journal) Cancelled(ctx context.Context, job *Job) error {
	items, err := j.table.Get(ctx, table.Key{Partition: partitionOf(job.Ref), Sort: cancelKey(job.Ref)})
	if err != nil {
		return storeError(ctx, "read a cancellation", err)
	}
	if len(items) > 0 {
		job.readCancellation(ctx, items[0])
	}
	return nil
}

// readCancellation reads the item of a cancellation, if there is one. An invalid one cancels
// nothing, and does not stop the work on the command.
func (job *Job) readCancellation(ctx context.Context, item table.Item) {
	if item.Sort == "" {
		return
	}
	c := new(Cancellation)
	err := json.Unmarshal(item.Value, c)
	if err == nil && (c.Version != RecordVersion || c.Name != job.Name || c.Life != job.Life) {
		err = fmt.Errorf("it is of a command of %q, version %d", c.Name, c.Version)
	}
	if err != nil {
		invoke.Logger(ctx).ErrorContext(ctx, "a cancellation cannot be read", "name", job.Name, "command_id", job.ID,
			"error", err)
		return
	}
	job.Cancel = c
}

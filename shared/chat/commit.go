package chat

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"chatconf/shared/document"
	"chatconf/shared/fault"
	"chatconf/shared/invoke"
	"chatconf/shared/table"
)

// A step is the change of one configuration. A creation has no before, a deletion no after.
type step struct {
	before, after *record
}

// revision returns the entry of history for an action of the caller, still without its record.
func (c scope) revision(ctx context.Context, action string) revision {
	return revision{
		Action:    action,
		Actor:     c.caller.actor(),
		SourceIP:  invoke.From(ctx).SourceIP,
		RequestID: invoke.From(ctx).RequestID,
		At:        c.now().UTC(),
	}
}

// addStep adds the writes of a step to a change: document, history, event, index entries, stream
// and counter. how is the entry of history without its record.
func (s *Service) addStep(c scope, how revision, st step, to *table.Change) error {
	how.record = st.after
	if st.after == nil {
		how.record, how.Deleted = st.before.clone(), true
		how.record.follow(st.before)
	}
	if err := s.vault.refresh(c, how.record); err != nil {
		return err
	}
	how.record.prune(s.kept, to)
	name, condition := how.record.Name, table.Absent()
	if st.before != nil {
		condition = table.AtRevision(st.before.Revision)
	}
	if st.after == nil {
		to.Deletes = append(to.Deletes, table.Delete{Sort: configurationKey(name), If: condition})
		to.Adds = append(to.Adds, table.Add{Sort: counterKey(name), N: -1})
	} else {
		value, err := document.Encode(st.after)
		if err != nil {
			return fmt.Errorf("chat: encode %q: %w", name, err)
		}
		to.Puts = append(to.Puts, table.Put{Sort: configurationKey(name), Value: value,
			Revision: st.after.Revision, If: condition})
	}
	if st.before == nil {
		to.Adds = append(to.Adds, table.Add{Sort: counterKey(name), N: 1})
	}
	value, err := document.Encode(how)
	if err != nil {
		return fmt.Errorf("chat: encode history of %q: %w", name, err)
	}
	n := how.record.Revision
	to.Puts = append(to.Puts, table.Put{Sort: historyKey(name, n), Value: value, Revision: n, If: table.Absent()})
	if s.store.outbox != nil {
		put, err := s.eventPut(c, how, st.before)
		if err != nil {
			return err
		}
		to.Puts = append(to.Puts, put)
	}
	puts, deletes := indexDiff(st.before, st.after)
	to.Puts = append(to.Puts, puts...)
	to.Deletes = append(to.Deletes, deletes...)
	return addStream(st, to)
}

// maxPruned is the maximum number of revisions that one write deletes from history. It is more than
// one, so that history shrinks after the number to keep became less.
const maxPruned = 3

// prune adds to the write of a record the deletion of revisions that are more than kept. The first
// revision always stays: it makes a create fail that does not know of an earlier life of the name.
func (r *record) prune(kept int64, to *table.Change) {
	oldest := max(r.keptBefore, 2)
	for end := min(oldest+maxPruned, r.Revision-kept+2); oldest < end; oldest++ {
		to.Deletes = append(to.Deletes, table.Delete{Sort: historyKey(r.Name, oldest)})
	}
	if r.Oldest = oldest; oldest == defaultOldest(r.Revision) {
		r.Oldest = 0
	}
}

// actor returns the caller's name in history.
func (c *Caller) actor() string {
	if c.AccessKeyID != "" {
		return c.AccessKeyID
	}
	return c.Name
}

// retry runs try, and repeats it while a concurrent write breaks its conditions, until the deadline
// or a bounded number of times. try must read again whatever its write depends on. The error is one
// for the caller.
func retry(ctx context.Context, what string, try func() error) error {
	const attempts = 100
	for attempt := range attempts {
		err := try()
		var broken *table.ConditionError
		switch {
		case err == nil:
			return nil
		case !errors.As(err, &broken):
			return storeError(ctx, what, err)
		}
		// Wait for a random time of up to 1, 2, 4 … 32 ms, so that competing writers do not collide
		// again.
		pause := time.NewTimer(rand.N(time.Millisecond << min(attempt, 5)))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return storeError(ctx, what, ctx.Err())
		}
	}
	return &fault.Error{Code: fault.Conflict,
		Message: "Other callers keep changing the same configurations. Try again."}
}

func notFound(name string) error {
	return &fault.Error{Code: fault.NotFound, Param: "Name",
		Message: fmt.Sprintf("There is no chat configuration %s.", fault.Quote(name))}
}

// maxWeight is the total size of the values in one write of several documents, in bytes. A DynamoDB
// transaction and a Tablestore batch hold 4 MB.
const maxWeight = 2 << 20

func weight(c table.Change) int {
	n := 0
	for _, p := range c.Puts {
		n += len(p.Value)
	}
	return n
}

// pack puts as many steps as fit into one change, and returns their number. A step that changes no
// tag needs no write.
func (s *Service) pack(c scope, how revision, steps []step) (int, table.Change, error) {
	var change table.Change
	for i, st := range steps {
		if maps.Equal(st.before.Tags, st.after.Tags) {
			continue
		}
		bigger := table.Change{Puts: slices.Clone(change.Puts), Deletes: slices.Clone(change.Deletes)}
		if err := s.addStep(c, how, st, &bigger); err != nil {
			return 0, change, err
		}
		if i > 0 && (len(bigger.Puts)+len(bigger.Deletes)+len(bigger.Adds) > table.MaxWrite ||
			weight(bigger) > maxWeight) {
			return i, change, nil
		}
		change = bigger
	}
	return len(steps), change, nil
}

package journal

import (
	"context"
	"strings"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/policy"
	"chatconf/shared/table"
)

// A Selection selects records; an empty field selects all.
type Selection struct {
	User, Command, Decision string
	State                   State
	Target                  string    // a pattern of the type, or of the type and the name after a space
	Since, Until            time.Time // zero: no bound

	// Conversation selects the records of one, and Open those whose operation has not ended.
	Conversation string
	Open         bool
}

// matches reports whether a record is selected, regardless of its date.
func (sel *Selection) matches(e *Record) bool {
	return (sel.User == "" || strings.EqualFold(sel.User, e.User)) &&
		(sel.Command == "" || policy.Match(sel.Command, e.Command)) &&
		(sel.Decision == "" || sel.Decision == e.Decision) &&
		(sel.State == "" || sel.State == e.State) &&
		(sel.Target == "" || matchesTarget(sel.Target, e.Target)) &&
		(sel.Conversation == "" || sel.Conversation == e.Conversation) &&
		(!sel.Open || e.Outcome == OutcomePending && (e.State == StateAccepted || e.State == StateRunning))
}

// matchesTarget reports whether a pattern selects the target of a record. It never selects a record
// without one.
func matchesTarget(pattern, target string) bool {
	if !strings.Contains(pattern, " ") {
		target, _, _ = strings.Cut(target, " ")
	}
	return target != "" && policy.Match(pattern, target)
}

// Find returns up to n selected records before the id, the latest first. next is the id to continue
// before; it is empty at the end. Find reads a bounded number of records, so a page may be short
// and still have a next.
func (j *Journal) Find(ctx context.Context, ref command.Ref, sel *Selection, before string,
	n int) (found []*Record, next string, err error) {
	const rounds = 5
	prefix := recordKey(ref)
	if before == "" && !sel.Until.IsZero() {
		before = idTime(ceil(sel.Until)) // sorts before every id of that time
	}
	r := table.Range{Partition: partitionOf(ref), Prefix: prefix, Reverse: true}
	if before != "" {
		r.After = prefix + before
	}
	for range rounds {
		r.Limit = n - len(found) + 1
		if !sel.all() {
			r.Limit = table.MaxGet
		}
		items, err := j.table.Query(ctx, r)
		if err != nil {
			return nil, "", err
		}
		for i, item := range items {
			e, err := decodeRecord(item)
			if err != nil {
				return nil, "", err
			}
			if e.Time.Before(sel.Since) {
				return found, "", nil
			}
			r.After, next = item.Sort, e.ID
			if sel.matches(e) {
				found = append(found, e)
			}
			if len(found) == n {
				if i == len(items)-1 && len(items) < r.Limit {
					return found, "", nil
				}
				return found, next, nil
			}
		}
		if len(items) < r.Limit {
			return found, "", nil
		}
	}
	return found, next, nil
}

// Get returns the record of a command, or none if there is no such record in this life.
func (j *Journal) Get(ctx context.Context, ref command.Ref, id string) ([]*Record, error) {
	if !isID(id) { // people type ids
		return nil, nil
	}
	ref.ID = id
	items, err := j.table.Get(ctx, table.Key{Partition: partitionOf(ref), Sort: recordKey(ref)})
	if err != nil || len(items) == 0 {
		return nil, err
	}
	e, err := decodeRecord(items[0])
	if err != nil {
		return nil, err
	}
	return []*Record{e}, nil
}

// all reports whether the selection depends only on the date.
func (sel *Selection) all() bool {
	return sel.User+sel.Command+sel.Decision+string(sel.State)+sel.Target+sel.Conversation == "" && !sel.Open
}

// ceil returns the first whole millisecond that is not before t.
func ceil(t time.Time) time.Time {
	if whole := t.Truncate(time.Millisecond); whole.Before(t) {
		return whole.Add(time.Millisecond)
	}
	return t
}

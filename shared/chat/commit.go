package chat

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"chatconf/shared/fault"
	"chatconf/shared/invoke"
	"chatconf/shared/table"
)

// A step is the change of one configuration. A creation has no before, a deletion no after.
type step struct {
	before, after *record
}

func (st step) name() string {
	if st.after != nil {
		return st.after.Name
	}
	return st.before.Name
}

// addStep adds the writes of a step to a change: document, history, index entries and counter.
func (s *Service) addStep(ctx context.Context, c scope, action string, st step, to *table.Change) error {
	how := revision{
		Action:    action,
		Actor:     c.caller.actor(),
		SourceIP:  invoke.From(ctx).SourceIP,
		RequestID: invoke.From(ctx).RequestID,
		At:        s.now().UTC(),
	}
	name := st.name()
	switch {
	case st.after == nil:
		how.record, how.Deleted = st.before.clone(), true
		how.record.Revision++
		to.Deletes = append(to.Deletes, table.Delete{Sort: configurationKey(name),
			If: table.AtRevision(st.before.Revision)})
		to.Adds = append(to.Adds, table.Add{Sort: counterKey(name), N: -1})
	case st.before == nil:
		how.record = st.after
		if err := putRecord(st.after, table.Absent(), to); err != nil {
			return err
		}
		to.Adds = append(to.Adds, table.Add{Sort: counterKey(name), N: 1})
	default:
		how.record = st.after
		if err := putRecord(st.after, table.AtRevision(st.before.Revision), to); err != nil {
			return err
		}
	}
	value, err := encodeRecord(how)
	if err != nil {
		return fmt.Errorf("chat: encode history of %q: %w", name, err)
	}
	n := how.record.Revision
	to.Puts = append(to.Puts, table.Put{Sort: historyKey(name, n), Value: value, Revision: n, If: table.Absent()})
	// The first revision is kept: it makes a create fail that does not know of an earlier life of
	// the name.
	if oldest := n - MaxHistory + 1; oldest > 1 {
		to.Deletes = append(to.Deletes, table.Delete{Sort: historyKey(name, oldest)})
	}
	puts, deletes := indexDiff(st.before, st.after)
	to.Puts = append(to.Puts, puts...)
	to.Deletes = append(to.Deletes, deletes...)
	return nil
}

func putRecord(r *record, condition table.Condition, to *table.Change) error {
	value, err := encodeRecord(r)
	if err != nil {
		return fmt.Errorf("chat: encode %q: %w", r.Name, err)
	}
	to.Puts = append(to.Puts, table.Put{Sort: configurationKey(r.Name), Value: value,
		Revision: r.Revision, If: condition})
	return nil
}

// actor returns the caller's name in history.
func (c *Caller) actor() string {
	if c.AccessKeyID != "" {
		return c.AccessKeyID
	}
	return c.Name
}

// write writes a change, once it is certain that the request is not a replay.
func (s *Service) write(ctx context.Context, c scope, change table.Change) error {
	if c.caller.Confirm != nil {
		if err := c.caller.Confirm(ctx); err != nil {
			return err
		}
	}
	return s.table.Write(ctx, c.partition(), change)
}

// retry runs try, and repeats it while a concurrent write breaks its conditions, until the deadline
// or a bounded number of times. try must read again whatever its write depends on. The error is one
// for the caller.
func (s *Service) retry(ctx context.Context, what string, try func() error) error {
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

// get reads a configuration; nil if it does not exist.
func (s *Service) get(ctx context.Context, c scope, name string) (*record, error) {
	items, err := s.table.Get(ctx, table.Key{Partition: c.partition(), Sort: configurationKey(name)})
	if err != nil || len(items) == 0 {
		return nil, err
	}
	return decodeRecord(items[0])
}

// lastLife reads the configuration of a name. If there is none, it returns the record at the time
// of its deletion, or nil if there never was one. It costs one Get, and one Query more without a
// configuration.
func (s *Service) lastLife(ctx context.Context, c scope, name string) (last *record, there bool, err error) {
	r, err := s.get(ctx, c, name)
	if err != nil || r != nil {
		return r, r != nil, err
	}
	prefix := historyPrefix + table.Escape(name) + "#"
	items, err := s.table.Query(ctx, table.Range{Partition: c.partition(), Prefix: prefix, Limit: 1, Reverse: true})
	if err != nil || len(items) == 0 {
		return nil, false, err
	}
	rev, err := decodeRevision(items[0])
	if err != nil {
		return nil, false, err
	}
	return rev.record, false, nil
}

// getAll reads several configurations, by name; missing ones are absent. names has no duplicates.
func (s *Service) getAll(ctx context.Context, c scope, names []string) (map[string]*record, error) {
	found := make(map[string]*record, len(names))
	for len(names) > 0 {
		n := min(len(names), table.MaxGet)
		keys := make([]table.Key, n)
		for i, name := range names[:n] {
			keys[i] = table.Key{Partition: c.partition(), Sort: configurationKey(name)}
		}
		names = names[n:]
		items, err := s.table.Get(ctx, keys...)
		if err != nil {
			return nil, err
		}
		for _, item := range items {
			r, err := decodeRecord(item)
			if err != nil {
				return nil, err
			}
			found[r.Name] = r
		}
	}
	return found, nil
}

func (s *Service) count(ctx context.Context, c scope) (int64, error) {
	items, err := s.table.Query(ctx, table.Range{Partition: c.partition(), Prefix: counterPrefix, Limit: counters})
	if err != nil {
		return 0, err
	}
	var sum int64
	for _, item := range items {
		sum += item.Count
	}
	return sum, nil
}

// lastRevision returns the highest revision of a name in history; 0 if there is none.
func (s *Service) lastRevision(ctx context.Context, c scope, name string) (int64, error) {
	prefix := historyPrefix + table.Escape(name) + "#"
	items, err := s.table.Query(ctx, table.Range{Partition: c.partition(), Prefix: prefix, Limit: 1, Reverse: true})
	if err != nil || len(items) == 0 {
		return 0, err
	}
	return items[0].Revision, nil
}

func notFound(name string) error {
	return &fault.Error{Code: fault.NotFound, Param: "Name",
		Message: fmt.Sprintf("There is no chat configuration %s.", fault.Quote(name))}
}

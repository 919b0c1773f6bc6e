package chat

import (
	"context"
	"slices"

	"chatconf/shared/announce"
	"chatconf/shared/table"
)

// A store reads and writes configurations in the table, and finds them by its index entries.
type store struct {
	table  table.Table
	outbox *announce.Outbox // of the events of changes; nil: changes are not announced
	// streaming lists the partitions that ever had a stream.
	streaming *table.Register
}

// write writes a change, once it is certain that the request is not a replay.
func (s store) write(ctx context.Context, c scope, change table.Change) error {
	if err := c.confirm(ctx); err != nil {
		return err
	}
	if slices.ContainsFunc(change.Puts, isStream) {
		if err := s.streaming.Add(ctx, c.partition()); err != nil {
			return err
		}
	}
	if s.outbox != nil {
		return s.outbox.Write(ctx, c.partition(), change)
	}
	return s.table.Write(ctx, c.partition(), change)
}

// get reads a configuration; nil if it does not exist.
func (s store) get(ctx context.Context, c scope, name string) (*record, error) {
	items, err := s.table.Get(ctx, table.Key{Partition: c.partition(), Sort: configurationKey(name)})
	if err != nil || len(items) == 0 {
		return nil, err
	}
	return decodeRecord(items[0])
}

// lastLife reads the configuration of a name. Without one, it returns the record at the time
// of its deletion, or nil if there never was one. It costs one Get, and one Query more without a
// configuration.
func (s store) lastLife(ctx context.Context, c scope, name string) (last *record, there bool, err error) {
	r, err := s.get(ctx, c, name)
	if err != nil || r != nil {
		return r, r != nil, err
	}
	r, err = s.lastRecord(ctx, c, name)
	return r, false, err
}

// lastRecord returns the record of the latest entry of a name in history; nil if none.
func (s store) lastRecord(ctx context.Context, c scope, name string) (*record, error) {
	items, err := s.latest(ctx, c, name)
	if err != nil || len(items) == 0 {
		return nil, err
	}
	rev, err := decodeRevision(items[0])
	if err != nil {
		return nil, err
	}
	return rev.record, nil
}

// getAll reads several configurations, by name; missing ones are absent. names has no duplicates.
func (s store) getAll(ctx context.Context, c scope, names []string) (map[string]*record, error) {
	found := make(map[string]*record, len(names))
	for some := range slices.Chunk(names, table.MaxGet) {
		keys := make([]table.Key, len(some))
		for i, name := range some {
			keys[i] = table.Key{Partition: c.partition(), Sort: configurationKey(name)}
		}
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

func (s store) count(ctx context.Context, c scope) (int64, error) {
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

// latest returns the latest entry of a name in history; nothing if none.
func (s store) latest(ctx context.Context, c scope, name string) ([]table.Item, error) {
	return s.table.Query(ctx, table.Range{Partition: c.partition(), Prefix: historyRange(name), Limit: 1,
		Reverse: true})
}

// walk calls look for every item whose sort key starts with prefix.
func (s store) walk(ctx context.Context, c scope, prefix string, look func(table.Item)) error {
	after := ""
	for {
		items, err := s.table.Query(ctx, table.Range{Partition: c.partition(), Prefix: prefix,
			After: after, Limit: table.MaxGet})
		if err != nil {
			return err
		}
		for _, item := range items {
			look(item)
			after = item.Sort
		}
		if len(items) < table.MaxGet {
			return nil
		}
	}
}

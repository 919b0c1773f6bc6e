package journal

import (
	"context"
	"slices"
	"strings"

	"chatconf/shared/command"
	"chatconf/shared/table"
)

// Unfinished returns up to n selected records of a life whose operation has not ended, the latest
// first. It reads only what is pending in the region, and a bounded number of it: more reports that
// it stopped before the end.
func (j *Journal) Unfinished(ctx context.Context, ref command.Ref, selected func(*Record) bool,
	n int) (found []*Record, more bool, err error) {
	const rounds = 10
	r := table.Range{Partition: partitionOf(ref), Prefix: outboxPrefix, Reverse: true, Limit: table.MaxGet}
	for range rounds {
		items, err := j.table.Query(ctx, r)
		if err != nil {
			return nil, false, err
		}
		var keys []table.Key
		for _, item := range items {
			r.After = item.Sort
			p, err := decodeOutboxItem(item)
			if err == nil && p.Name == ref.Name && p.Life == ref.Life { // Due logs an error
				ref.ID = strings.TrimPrefix(item.Sort, outboxPrefix)
				keys = append(keys, table.Key{Partition: r.Partition, Sort: recordKey(ref)})
			}
		}
		page, err := j.unfinished(ctx, keys)
		if err != nil {
			return nil, false, err
		}
		for _, e := range page {
			if selected(e) {
				found = append(found, e)
			}
			if len(found) == n {
				return found, false, nil
			}
		}
		if len(items) < r.Limit {
			return found, false, nil
		}
	}
	return found, true, nil
}

// unfinished returns the records with the given keys whose operation has not ended, the latest
// first.
func (j *Journal) unfinished(ctx context.Context, keys []table.Key) (out []*Record, err error) {
	if len(keys) == 0 {
		return nil, nil
	}
	items, err := j.table.Get(ctx, keys...)
	if err != nil {
		return nil, err
	}
	for _, item := range items {
		e, err := decodeRecord(item)
		if err != nil {
			return nil, err
		}
		if e.Outcome == OutcomePending && (e.State == StateAccepted || e.State == StateRunning) {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(a, b *Record) int { return strings.Compare(b.ID, a.ID) })
	return out, nil
}

// Waiting returns up to n commands of all accounts and regions that no process holds and that are
// not due yet: operations to follow, and commands to try again. The latest of each region come
// first. It reads a bounded number of items of each.
func (j *Journal) Waiting(ctx context.Context, n int) (out []command.Ref, err error) {
	partitions, err := j.partitions(ctx)
	if err != nil {
		return nil, storeError(ctx, "find what is waiting", err)
	}
	for _, partition := range partitions {
		items, err := j.table.Query(ctx, table.Range{Partition: partition, Prefix: outboxPrefix, Reverse: true,
			Limit: table.MaxGet})
		if err != nil {
			return out, storeError(ctx, "find what is waiting", err)
		}
		account, region, _ := strings.Cut(partition, "/") // Due checks it
		for _, item := range items {
			p, err := decodeOutboxItem(item)
			if err != nil || !p.Waiting || !j.now().Before(p.Due) { // Due logs an error
				continue
			}
			if len(out) == n {
				return out, nil
			}
			out = append(out, command.Ref{Account: account, Region: region, Name: p.Name, Life: p.Life,
				ID: strings.TrimPrefix(item.Sort, outboxPrefix)})
		}
	}
	return out, nil
}

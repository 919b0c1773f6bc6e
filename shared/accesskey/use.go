package accesskey

import (
	"context"
	"errors"
	"slices"
	"time"

	"chatconf/shared/invoke"
	"chatconf/shared/table"
)

const (
	// usePartition has an item for each access key, under its escaped id. The item's revision is
	// the day of the last use.
	usePartition = "uses"
	// UseAge is the time to live of the table of uses. A key without a use in that time has no last
	// use.
	UseAge = 400 * 24 * time.Hour
	// useTime bounds one attempt to write a use.
	useTime = 10 * time.Second
	// useRetry is the pause after a failed attempt.
	useRetry = 10 * time.Minute

	secondsPerDay = 24 * 60 * 60
)

// A use is a key's last use in this process.
type use struct {
	day  int64     // the written day, in days since 1970 UTC
	next time.Time // no attempt before this time
}

// NoteUse records that a request was signed with the key today. It returns at once. The day is
// written in the background, once a day for each key. After a failure a later request tries again.
func (k *Store) NoteUse(ctx context.Context, id string) {
	if k.uses == nil {
		return
	}
	now := k.now()
	day := now.Unix() / secondsPerDay
	k.mu.Lock()
	last := k.used[id]
	due := last.day != day && !now.Before(last.next)
	if due {
		keep(k.used, id, use{last.day, now.Add(useRetry)})
	}
	k.mu.Unlock()
	if !due {
		return
	}
	go func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), useTime)
		defer cancel()
		if err := k.writeUse(ctx, id, day); err != nil {
			if !errors.Is(err, table.ErrClosed) {
				invoke.Logger(ctx).WarnContext(ctx, "the day of an access key's last use was not written", "error", err)
			}
			return
		}
		k.mu.Lock()
		keep(k.used, id, use{day: day})
		k.mu.Unlock()
	}()
}

// writeUse writes the day of a key's last use, unless this or a later day is already written.
func (k *Store) writeUse(ctx context.Context, id string, day int64) error {
	key := table.Key{Partition: usePartition, Sort: table.Escape(id)}
	items, err := k.uses.Get(ctx, key)
	if err != nil {
		return err
	}
	condition := table.Absent()
	if len(items) > 0 {
		if items[0].Revision >= day {
			return nil
		}
		condition = table.AtRevision(items[0].Revision)
	}
	err = k.uses.Write(ctx, usePartition,
		table.Change{Puts: []table.Put{{Sort: key.Sort, Revision: day, If: condition}}})
	var broken *table.ConditionError
	if errors.As(err, &broken) {
		return nil // another process wrote it at the same moment
	}
	return err
}

// LastUses returns the day of each key's last use, as 2006-01-02 in UTC. A key without a recorded
// use within UseAge has none.
func (k *Store) LastUses(ctx context.Context, ids ...string) (map[string]string, error) {
	days := make(map[string]string, len(ids))
	if k.uses == nil {
		return days, nil
	}
	for some := range slices.Chunk(ids, table.MaxGet) {
		keys := make([]table.Key, len(some))
		for i, id := range some {
			keys[i] = table.Key{Partition: usePartition, Sort: table.Escape(id)}
		}
		items, err := k.uses.Get(ctx, keys...)
		if err != nil {
			return nil, storeError(ctx, "list access keys", err)
		}
		for _, item := range items {
			id, err := table.Unescape(item.Sort)
			if err != nil {
				return nil, storeError(ctx, "list access keys", err)
			}
			days[id] = time.Unix(item.Revision*secondsPerDay, 0).UTC().Format(time.DateOnly)
		}
	}
	return days, nil
}

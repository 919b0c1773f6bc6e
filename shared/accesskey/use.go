package accesskey

import (
	"context"
	"errors"
	"time"

	"chatconf/shared/invoke"
	"chatconf/shared/table"
)

const (
	// usePartition holds an item for each access key, under its escaped id, whose revision is the
	// day of its last use.
	usePartition = "uses"
	// UseAge is how long a table of uses keeps an item: a key that was not used for longer has no
	// last use.
	UseAge = 400 * 24 * time.Hour
	// useTime bounds one attempt to write a use.
	useTime = 10 * time.Second
	// useRetry is how long a process waits after an attempt that failed.
	useRetry = 10 * time.Minute

	secondsPerDay = 24 * 60 * 60
)

// A use is what this process knows of a key's last use.
type use struct {
	day  int64     // that is written down, in days since 1970 UTC
	next time.Time // of the next attempt, while day is over
}

// NoteUse notes that a request was signed with the key today. It returns at once and fails no
// request: the day is written in the background, once a day for each key whichever process does it,
// and tried again with a later request if that fails.
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

// writeUse writes the day of a key's last use, unless that or a later one is written already.
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

// LastUses returns the days on which keys were last used, as 2006-01-02 in UTC. A key that was not
// used within UseAge, or whose use is not noted, has none.
func (k *Store) LastUses(ctx context.Context, ids ...string) (map[string]string, error) {
	days := make(map[string]string, len(ids))
	if k.uses == nil {
		return days, nil
	}
	for len(ids) > 0 {
		n := min(len(ids), table.MaxGet)
		keys := make([]table.Key, n)
		for i, id := range ids[:n] {
			keys[i] = table.Key{Partition: usePartition, Sort: table.Escape(id)}
		}
		ids = ids[n:]
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

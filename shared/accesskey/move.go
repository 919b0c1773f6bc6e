package accesskey

import (
	"context"
	"errors"
	"fmt"
	"time"

	"chatconf/shared/table"
)

// Earlier versions kept access keys in the table of configurations, which many functions may write.
// The keys are moved once and never read there again, so that a later write there makes no key.
const (
	movedKey = "moved" // the progress of the move, in the table of keys; sorts behind all keys
	// moveBatch is the number of keys of one write, which writes movedKey too.
	moveBatch = table.MaxGet - 1
	// keptAfterMove is how long the old rows stay after the move, for functions of the earlier
	// version.
	keptAfterMove = 24 * time.Hour
	// moveDone is the revision of movedKey after the move. During the move it is 2 or more.
	moveDone = 1
)

// Move copies the access keys from the table of configurations into the table of keys, once, and
// removes the old rows a day later. It may be interrupted, repeated, and run by several processes
// at the same time. It copies the sealed rows and leaves existing keys as they are. It reports
// whether this call finished the copying.
func (k *Store) Move(ctx context.Context, from table.Table) (moved bool, err error) {
	moved, err = k.move(ctx, from)
	if err != nil {
		return false, storeError(ctx, "move access keys", err)
	}
	return moved, nil
}

func (k *Store) move(ctx context.Context, from table.Table) (moved bool, err error) {
	for {
		items, err := k.table.Get(ctx, table.Key{Partition: partition, Sort: movedKey})
		if err != nil {
			return false, err
		}
		revision, after := int64(0), ""
		if len(items) > 0 {
			revision, after = items[0].Revision, string(items[0].Value)
		}
		if revision == moveDone {
			if k.now().Sub(items[0].Written) < keptAfterMove {
				return moved, nil
			}
			return moved, removeMoved(ctx, from)
		}
		err = k.moveSome(ctx, from, revision, after)
		var broken *table.ConditionError
		if errors.As(err, &broken) && broken.Key.Sort == movedKey {
			continue // another process runs Move too
		}
		if err != nil {
			return false, err
		}
		moved = true
	}
}

// moveSome copies one batch of keys behind after, and records the progress in the same write.
func (k *Store) moveSome(ctx context.Context, from table.Table, revision int64, after string) error {
	items, err := from.Query(ctx, table.Range{Partition: partition, Prefix: prefix, After: after, Limit: moveBatch})
	if err != nil {
		return err
	}
	mark := table.Put{Sort: movedKey, Revision: moveDone, If: table.Absent()}
	if revision != 0 {
		mark.If = table.AtRevision(revision)
	}
	if len(items) == moveBatch {
		mark.Revision, mark.Value = max(revision, moveDone)+1, []byte(items[len(items)-1].Sort)
	}
	for {
		change := table.Change{Puts: []table.Put{mark}}
		for _, item := range items {
			change.Puts = append(change.Puts, table.Put{Sort: item.Sort, Value: item.Value,
				Revision: item.Revision, If: table.Absent()})
		}
		err := k.table.Write(ctx, partition, change)
		var broken *table.ConditionError
		if !errors.As(err, &broken) || broken.Key.Sort == movedKey {
			return err
		}
		rest := items[:0]
		for _, item := range items {
			if item.Sort != broken.Key.Sort { // which already exists
				rest = append(rest, item)
			}
		}
		if len(rest) == len(items) {
			return fmt.Errorf("accesskey: move access keys: the store rejects %q, which is not part of the write",
				broken.Key.Sort)
		}
		items = rest
	}
}

func removeMoved(ctx context.Context, from table.Table) error {
	for {
		items, err := from.Query(ctx, table.Range{Partition: partition, Prefix: prefix, Limit: table.MaxWrite})
		if err != nil || len(items) == 0 {
			return err
		}
		var change table.Change
		for _, item := range items {
			change.Deletes = append(change.Deletes, table.Delete{Sort: item.Sort})
		}
		if err := from.Write(ctx, partition, change); err != nil {
			return err
		}
	}
}

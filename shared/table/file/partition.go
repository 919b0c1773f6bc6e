package file

import (
	"context"
	"fmt"

	"chatconf/shared/bolt"
)

// Partitions returns the partition keys of all items, also of expired ones. It reads one row of
// each partition.
func (t *Table) Partitions(ctx context.Context) ([]string, error) {
	if err := t.gate.Enter(ctx); err != nil {
		return nil, fmt.Errorf("table: partitions: %w", err)
	}
	defer t.gate.Leave()
	var partitions []string
	err := t.view(func(b *bolt.Bucket) error {
		c := b.Cursor()
		for key, _ := c.First(); key != nil; {
			if err := ctx.Err(); err != nil {
				return err
			}
			partition, _, err := splitKey(key)
			if err != nil {
				return fmt.Errorf("%q: %w", key, err)
			}
			partitions = append(partitions, string(partition))
			key, _ = c.Seek(after(appendKey(nil, string(partition), "")))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("table: partitions: %w", err)
	}
	return partitions, nil
}

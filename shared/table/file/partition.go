package file

import (
	"context"
	"fmt"

	"chatconf/shared/bolt"
	"chatconf/shared/table"
)

var _ table.Partitioner = (*Table)(nil)

// Partitions implements table.Partitioner: shorter keys come first. It reads one row of each
// partition.
func (t *Table) Partitions(ctx context.Context, after string, limit int) ([]string, error) {
	if err := t.gate.EnterPartitions(ctx, after, limit); err != nil {
		return nil, err
	}
	defer t.gate.Leave()
	var partitions []string
	err := t.view(func(b *bolt.Bucket) error {
		c := b.Cursor()
		key, _ := c.First()
		if after != "" {
			key, _ = c.Seek(behind(after))
		}
		for key != nil && len(partitions) < limit {
			if err := ctx.Err(); err != nil {
				return err
			}
			partition, _, err := splitKey(key)
			if err != nil {
				return fmt.Errorf("%q: %w", key, err)
			}
			partitions = append(partitions, string(partition))
			key, _ = c.Seek(behind(string(partition)))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("table: partitions: %w", err)
	}
	return partitions, nil
}

// behind returns the first key behind all keys of a partition.
func behind(partition string) []byte { return after(appendKey(nil, partition, "")) }

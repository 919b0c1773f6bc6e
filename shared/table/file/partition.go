package file

import (
	"context"
	"encoding/binary"
	"fmt"

	"chatconf/shared/bolt"
)

// Partitions returns the partition keys under which the table has items, over age or not. It reads one row of each.
func (t *Table) Partitions(ctx context.Context) ([]string, error) {
	var partitions []string
	err := t.view(ctx, func(b *bolt.Bucket) error {
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
			key, _ = c.Seek(beyondPartition(partition))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("table: partitions: %w", err)
	}
	return partitions, nil
}

// beyondPartition returns the least key that no item of the partition and of those before it can have: the first of the next longer
// partition's length, or of the next partition of the same length.
func beyondPartition(partition []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(len(partition)))
	b = append(b, partition...)
	for i := len(b) - 1; i >= 0; i-- {
		if b[i]++; b[i] != 0 {
			return b[:i+1]
		}
	}
	return nil // not reached: the length's high byte is small
}

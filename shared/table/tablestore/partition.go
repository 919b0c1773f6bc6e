package tablestore

import (
	"context"
	"fmt"

	"chatconf/shared/table"

	sdk "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
)

var _ table.Partitioner = (*Table)(nil)

// Partitions implements table.Partitioner, in the byte order of the keys. It is one GetRange for
// each partition, and each reads one row.
func (t *Table) Partitions(ctx context.Context, last string, limit int) ([]string, error) {
	if err := t.gate.EnterPartitions(ctx, last, limit); err != nil {
		return nil, err
	}
	defer t.gate.Leave()
	var partitions []string
	for tries := newTries(ctx); len(partitions) < limit; {
		next, err := t.nextPartition(ctx, tries, last)
		if err != nil {
			return nil, fmt.Errorf("table: partitions: %w", portError(ctx, err))
		}
		if next == "" {
			break
		}
		partitions = append(partitions, next)
		last = next
	}
	return partitions, nil
}

// nextPartition returns the partition behind the last one; empty at the end.
func (t *Table) nextPartition(ctx context.Context, tries *tries, last string) (string, error) {
	start, end := anywhere(sdk.MIN), anywhere(sdk.MAX)
	if last != "" {
		low := after(last)
		if low == "" {
			return "", nil
		}
		start = edge(low, "", sdk.MIN)
	}
	page, err := t.page(ctx, tries, table.Range{}, start, end, 1)
	if err != nil || len(page.Rows) == 0 {
		return "", err
	}
	k, ok := parseKey(page.Rows[0].PrimaryKey)
	if !ok || k.Partition <= last {
		return "", garbled("a row outside of the range")
	}
	return k.Partition, nil
}

// anywhere returns the first or the last end of the table.
func anywhere(option sdk.PrimaryKeyOption) *sdk.PrimaryKey {
	k := edge("", "", option)
	k.PrimaryKeys[0] = &sdk.PrimaryKeyColumn{ColumnName: partitionColumn, PrimaryKeyOption: option}
	return k
}

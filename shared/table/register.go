package table

import (
	"context"
	"fmt"
	"sync"
)

// A Register lists partitions of a table in a partition of its own, so that they can be found
// without a walk over the table. It is safe for concurrent use.
type Register struct {
	table Table
	under string

	mu    sync.Mutex
	added map[string]struct{} // partitions that this process has added
}

// NewRegister returns the register in a partition of a table. It does no I/O.
func NewRegister(t Table, partition string) *Register {
	return &Register{table: t, under: partition, added: make(map[string]struct{})}
}

// Add adds a partition. Call it before the first write into that partition. The first call for a
// partition in this process costs one Write; later calls cost nothing.
func (r *Register) Add(ctx context.Context, partition string) error {
	r.mu.Lock()
	_, added := r.added[partition]
	r.mu.Unlock()
	if added {
		return nil
	}
	if err := r.table.Write(ctx, r.under, Change{Puts: []Put{{Sort: partition}}}); err != nil {
		return fmt.Errorf("table: list partition %q in %q: %w", partition, r.under, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.added[partition] = struct{}{}
	return nil
}

// All returns every partition that was ever added, in the order of their keys.
func (r *Register) All(ctx context.Context) ([]string, error) {
	var all []string
	for after := ""; ; {
		items, err := r.table.Query(ctx, Range{Partition: r.under, After: after, Limit: MaxQuery})
		if err != nil {
			return nil, err
		}
		for _, i := range items {
			after = i.Sort
			all = append(all, after)
		}
		if len(items) < MaxQuery {
			return all, nil
		}
	}
}

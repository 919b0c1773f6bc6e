package tabletest

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"chatconf/shared/table"
)

// A memory is the simplest implementation of the contract, to compare adapters with. It is a table,
// so the suite can run on it, and on broken variants of it.
type memory struct {
	ttl time.Duration
	now func() time.Time

	gate  table.Gate
	mu    sync.Mutex
	items map[table.Key]table.Item
}

var (
	_ table.Table       = (*memory)(nil)
	_ table.Partitioner = (*memory)(nil)
)

func newMemory(o Options) *memory {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &memory{ttl: o.TTL, now: o.Now, items: make(map[table.Key]table.Item)}
}

func (m *memory) Get(ctx context.Context, keys ...table.Key) ([]table.Item, error) {
	if err := m.gate.EnterGet(ctx, keys); err != nil {
		return nil, err
	}
	defer m.gate.Leave()
	m.mu.Lock()
	defer m.mu.Unlock()
	var items []table.Item
	for _, k := range keys {
		if item, ok := m.itemLocked(k); ok {
			items = append(items, clone(item))
		}
	}
	return items, nil
}

func (m *memory) Query(ctx context.Context, r table.Range) ([]table.Item, error) {
	if err := m.gate.EnterQuery(ctx, r); err != nil {
		return nil, err
	}
	defer m.gate.Leave()
	m.mu.Lock()
	defer m.mu.Unlock()
	keys := slices.SortedFunc(maps.Keys(m.items), func(a, b table.Key) int { return strings.Compare(a.Sort, b.Sort) })
	if r.Reverse {
		slices.Reverse(keys)
	}
	var items []table.Item
	for _, k := range keys {
		item, ok := m.itemLocked(k)
		beyond := r.After == "" || k.Sort > r.After && !r.Reverse || k.Sort < r.After && r.Reverse
		if ok && k.Partition == r.Partition && strings.HasPrefix(k.Sort, r.Prefix) && beyond && len(items) < r.Limit {
			items = append(items, clone(item))
		}
	}
	return items, nil
}

func (m *memory) Partitions(ctx context.Context, after string, limit int) ([]string, error) {
	if err := m.gate.EnterPartitions(ctx, after, limit); err != nil {
		return nil, err
	}
	defer m.gate.Leave()
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []string
	for k := range m.items {
		if k.Partition > after {
			all = append(all, k.Partition)
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	return all[:min(limit, len(all))], nil
}

func (m *memory) Write(ctx context.Context, partition string, c table.Change) error {
	if err := m.gate.EnterWrite(ctx, partition, c); err != nil {
		return err
	}
	defer m.gate.Leave()
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.conditionsLocked(partition, c); err != nil {
		return err
	}
	m.applyLocked(partition, c)
	return nil
}

func (m *memory) Close() error {
	m.gate.Close()
	return nil
}

// itemLocked returns the item under k unless it has expired.
func (m *memory) itemLocked(k table.Key) (table.Item, bool) {
	item, ok := m.items[k]
	if ok && m.ttl > 0 && m.now().Sub(item.Written) >= m.ttl {
		return table.Item{}, false
	}
	return item, ok
}

func (m *memory) conditionsLocked(partition string, c table.Change) error {
	check := func(sort string, want table.Condition) error {
		k := table.Key{Partition: partition, Sort: sort}
		item, ok := m.itemLocked(k)
		revision, exact := want.Revision()
		if want.IsAlways() || want.IsAbsent() && !ok || exact && ok && item.Revision == revision {
			return nil
		}
		return &table.ConditionError{Key: k, If: want}
	}
	for _, p := range c.Puts {
		if err := check(p.Sort, p.If); err != nil {
			return err
		}
	}
	for _, d := range c.Deletes {
		if err := check(d.Sort, d.If); err != nil {
			return err
		}
	}
	return nil
}

func (m *memory) applyLocked(partition string, c table.Change) {
	written := m.now().UTC().Truncate(time.Millisecond)
	for _, p := range c.Puts {
		k := table.Key{Partition: partition, Sort: p.Sort}
		m.items[k] = table.Item{Key: k, Value: bytes.Clone(p.Value), Revision: p.Revision, Written: written}
	}
	for _, d := range c.Deletes {
		delete(m.items, table.Key{Partition: partition, Sort: d.Sort})
	}
	for _, a := range c.Adds {
		k := table.Key{Partition: partition, Sort: a.Sort}
		item, _ := m.itemLocked(k)
		item.Key = k
		item.Count += a.N
		item.Written = written
		m.items[k] = item
	}
}

func clone(item table.Item) table.Item {
	item.Value = bytes.Clone(item.Value)
	return item
}

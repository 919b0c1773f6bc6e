package file

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"chatconf/shared/bolt"
	"chatconf/shared/table"
)

// checkEvery is how many rows a scan reads between two checks of its context.
const checkEvery = 64

// A Table is one table of a file.
type Table struct {
	db     *DB
	bucket string
	ttl    time.Duration

	gate table.Gate

	swept []byte // where the last purge ended; used only in updates, which run one at a time
}

var _ table.Table = (*Table)(nil)

// Get implements table.Table.
func (t *Table) Get(ctx context.Context, keys ...table.Key) ([]table.Item, error) {
	if err := t.gate.EnterGet(ctx, keys); err != nil {
		return nil, err
	}
	defer t.gate.Leave()
	var items []table.Item
	err := t.view(func(b *bolt.Bucket) error {
		var buf [128]byte // enough for most keys
		now := t.db.now()
		for _, k := range keys {
			key := appendKey(buf[:0], k.Partition, k.Sort)
			r, ok, err := t.read(b, key, now)
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
			if items == nil {
				items = make([]table.Item, 0, len(keys))
			}
			items = append(items, r.item(k))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("table: get: %w", err)
	}
	return items, nil
}

// Query implements table.Table.
func (t *Table) Query(ctx context.Context, r table.Range) ([]table.Item, error) {
	if err := t.gate.EnterQuery(ctx, r); err != nil {
		return nil, err
	}
	defer t.gate.Leave()
	var items []table.Item
	err := t.view(func(b *bolt.Bucket) (err error) {
		items, err = t.scan(ctx, b, r)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("table: query: %w", err)
	}
	return items, nil
}

func (t *Table) scan(ctx context.Context, b *bolt.Bucket, r table.Range) ([]table.Item, error) {
	var items []table.Item
	now := t.db.now()
	c := b.Cursor()
	prefix := appendKey(nil, r.Partition, r.Prefix)
	k, v := start(c, r, prefix)
	for n := 1; bytes.HasPrefix(k, prefix) && len(items) < r.Limit; n++ {
		if n%checkEvery == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		row, err := decodeRow(k, v)
		if err != nil {
			return nil, err
		}
		if !t.over(row, now) {
			sort := string(k[partitionN+len(r.Partition):])
			items = append(items, row.item(table.Key{Partition: r.Partition, Sort: sort}))
		}
		if r.Reverse {
			k, v = c.Prev()
		} else {
			k, v = c.Next()
		}
	}
	return items, nil
}

// start moves c to the first row of r, in its direction.
func start(c *bolt.Cursor, r table.Range, prefix []byte) (k, v []byte) {
	cursor := appendKey(nil, r.Partition, r.After)
	if r.Reverse {
		end := after(prefix)
		if r.After != "" && bytes.Compare(cursor, end) < 0 {
			end = cursor
		}
		return c.SeekBefore(end)
	}
	if r.After == "" || bytes.Compare(cursor, prefix) < 0 {
		return c.Seek(prefix)
	}
	if k, v = c.Seek(cursor); bytes.Equal(k, cursor) {
		return c.Next()
	}
	return k, v
}

// Write implements table.Table.
func (t *Table) Write(ctx context.Context, partition string, c table.Change) error {
	if err := t.gate.EnterWrite(ctx, partition, c); err != nil {
		return err
	}
	defer t.gate.Leave()
	err := t.db.bolt.Update(ctx, size(partition, c), func(tx *bolt.Tx) error {
		return t.write(tx, partition, c)
	})
	if err != nil {
		return fmt.Errorf("table: write: %w", mapError(err))
	}
	return nil
}

// write checks all conditions and counters before its first change: an error after a change makes
// other writes in the same transaction slower.
func (t *Table) write(tx *bolt.Tx, partition string, c table.Change) error {
	now := t.db.now()
	b := tx.Bucket(t.bucket)
	if err := t.conditions(b, partition, c, now); err != nil {
		return err
	}
	sums, err := t.sums(b, partition, c.Adds, now)
	if err != nil {
		return err
	}
	if b, err = tx.CreateBucket(t.bucket); err != nil {
		return err
	}
	for _, p := range c.Puts {
		if err := put(b, appendKey(nil, partition, p.Sort), row{revision: p.Revision, value: p.Value},
			now); err != nil {
			return err
		}
	}
	for _, d := range c.Deletes {
		if err := b.Delete(appendKey(nil, partition, d.Sort)); err != nil {
			return err
		}
	}
	for i, a := range c.Adds {
		if err := put(b, appendKey(nil, partition, a.Sort), sums[i], now); err != nil {
			return err
		}
	}
	return t.purge(b, now, len(c.Puts)+len(c.Deletes)+len(c.Adds))
}

// conditions returns a *table.ConditionError for the first condition of c that does not hold.
func (t *Table) conditions(b *bolt.Bucket, partition string, c table.Change, now time.Time) error {
	check := func(sort string, want table.Condition) error {
		if want.IsAlways() {
			return nil
		}
		r, ok, err := t.read(b, appendKey(nil, partition, sort), now)
		if err != nil {
			return err
		}
		revision, exact := want.Revision()
		if want.IsAbsent() && !ok || exact && ok && r.revision == revision {
			return nil
		}
		return &table.ConditionError{Key: table.Key{Partition: partition, Sort: sort}, If: want}
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

// sums returns the rows after the adds.
func (t *Table) sums(b *bolt.Bucket, partition string, adds []table.Add, now time.Time) ([]row, error) {
	rows := make([]row, len(adds))
	for i, a := range adds {
		r, _, err := t.read(b, appendKey(nil, partition, a.Sort), now)
		if err != nil {
			return nil, err
		}
		sum := r.count + a.N
		if (sum > r.count) != (a.N > 0) && a.N != 0 {
			return nil, fmt.Errorf("add %d to %q overflows its count of %d: %w", a.N, a.Sort, r.count, table.ErrInvalid)
		}
		r.count = sum
		r.value = bytes.Clone(r.value) // the next changes may move the page
		rows[i] = r
	}
	return rows, nil
}

func put(b *bolt.Bucket, key []byte, r row, now time.Time) error {
	r.written = now.UnixMilli()
	return b.Put(key, encodeRow(key, r))
}

// read returns the row under key, unless it has expired.
func (t *Table) read(b *bolt.Bucket, key []byte, now time.Time) (r row, ok bool, err error) {
	v := b.Get(key)
	if v == nil {
		return row{}, false, nil
	}
	if r, err = decodeRow(key, v); err != nil || t.over(r, now) {
		return row{}, false, err
	}
	return r, true, nil
}

func (t *Table) over(r row, now time.Time) bool {
	return t.ttl > 0 && now.Sub(time.UnixMilli(r.written)) >= t.ttl
}

// Close implements table.Table. It does not close the file.
func (t *Table) Close() error {
	t.gate.Close()
	return nil
}

func (t *Table) view(fn func(*bolt.Bucket) error) error {
	err := t.db.bolt.View(func(tx *bolt.Tx) error { return fn(tx.Bucket(t.bucket)) })
	if err != nil {
		return mapError(err)
	}
	return nil
}

func size(partition string, c table.Change) int {
	n := (len(c.Puts) + len(c.Deletes) + len(c.Adds)) * (len(partition) + 64)
	for _, p := range c.Puts {
		n += len(p.Value)
	}
	return n
}

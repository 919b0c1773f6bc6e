package bolt

import (
	"bytes"
	"fmt"

	"go.etcd.io/bbolt"
)

// A Tx is the transaction of a View or an Update. It is valid only during the callback.
type Tx struct {
	tx      *bbolt.Tx
	leaves  map[string]*leaves
	changed bool // by at least one attempt
}

// Bucket returns the bucket with the given name, or nil. A nil Bucket can be read and is empty.
func (tx *Tx) Bucket(name string) *Bucket {
	if name == formatBucket {
		return nil
	}
	b := tx.tx.Bucket([]byte(name))
	if b == nil {
		return nil
	}
	return &Bucket{tx: tx, bucket: b, leaves: tx.leaves[name]}
}

// CreateBucket returns the bucket with the given name, and creates it if it does not exist.
func (tx *Tx) CreateBucket(name string) (*Bucket, error) {
	if name == formatBucket {
		return nil, fmt.Errorf("bolt: create bucket %q: the name is reserved", name)
	}
	if b := tx.Bucket(name); b != nil {
		return b, nil
	}
	tx.changed = true
	b, err := tx.tx.CreateBucket([]byte(name))
	if err != nil {
		return nil, fmt.Errorf("bolt: create bucket %q: %w", name, err)
	}
	return &Bucket{tx: tx, bucket: b, leaves: tx.leaves[name]}, nil
}

// DeleteBucket deletes a bucket and its content. A missing bucket is not an error.
func (tx *Tx) DeleteBucket(name string) error {
	if tx.Bucket(name) == nil {
		return nil
	}
	if err := tx.leaves[name].checkAll(); err != nil {
		return fmt.Errorf("bolt: delete bucket %q: %w", name, err)
	}
	tx.changed = true
	if err := tx.tx.DeleteBucket([]byte(name)); err != nil {
		return fmt.Errorf("bolt: delete bucket %q: %w", name, err)
	}
	return nil
}

// Buckets returns the names of all buckets, in byte order.
func (tx *Tx) Buckets() []string {
	var names []string
	c := tx.tx.Cursor()
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		if string(k) != formatBucket {
			names = append(names, string(k))
		}
	}
	return names
}

// A Bucket is an ordered map from keys to values. Keys are 1 to 32,768 bytes.
type Bucket struct {
	tx     *Tx
	bucket *bbolt.Bucket
	leaves *leaves
}

// Get returns the value of key, or nil. It is memory of the mapped file: do not change or keep it.
func (b *Bucket) Get(key []byte) []byte {
	if b == nil {
		return nil
	}
	mustBeSound(b.leaves.checkKey(key))
	return b.bucket.Get(key)
}

// Put stores a value. It copies key, but not value.
func (b *Bucket) Put(key, value []byte) error {
	if err := b.leaves.checkKey(key); err != nil {
		return fmt.Errorf("bolt: put %q: %w", key, err)
	}
	b.tx.changed = true
	if err := b.bucket.Put(key, value); err != nil {
		return fmt.Errorf("bolt: put %q: %w", key, err)
	}
	return nil
}

// Delete deletes key and its value. A missing key is not an error.
func (b *Bucket) Delete(key []byte) error {
	if b == nil {
		return nil
	}
	if err := b.leaves.checkDelete(key); err != nil {
		return fmt.Errorf("bolt: delete %q: %w", key, err)
	}
	b.tx.changed = true
	if err := b.bucket.Delete(key); err != nil {
		return fmt.Errorf("bolt: delete %q: %w", key, err)
	}
	return nil
}

// Cursor returns a cursor over the keys in byte order. A change to the bucket makes it invalid.
func (b *Bucket) Cursor() *Cursor {
	if b == nil {
		return &Cursor{}
	}
	return &Cursor{cursor: b.bucket.Cursor(), leaves: b.leaves}
}

// A Cursor walks a bucket. Its methods return a nil key at the end; for the memory see Get.
type Cursor struct {
	cursor *bbolt.Cursor
	leaves *leaves

	low, high []byte // the bounds of the current leaf, whose neighbours are checked; nil: none
}

// enter checks leaf i and its neighbours, before the cursor moves into it.
func (c *Cursor) enter(i int) {
	_, _, err := c.leaves.checkAround(i)
	mustBeSound(err)
	c.low, c.high = nil, c.leaves.high(i)
	if i > 0 {
		c.low = c.leaves.low(i)
	}
}

// moved checks the neighbours of the leaf that the cursor is in now.
func (c *Cursor) moved(key, value []byte) ([]byte, []byte) {
	if key != nil && c.leaves.active() && (bytes.Compare(key, c.low) < 0 || c.high != nil &&
		bytes.Compare(key, c.high) >= 0) {
		c.enter(c.leaves.find(key))
	}
	return key, value
}

// First moves to the first key.
func (c *Cursor) First() (key, value []byte) {
	if c.cursor == nil {
		return nil, nil
	}
	if c.leaves.active() {
		c.enter(0)
	}
	return c.moved(c.cursor.First())
}

// Last moves to the last key.
func (c *Cursor) Last() (key, value []byte) {
	if c.cursor == nil {
		return nil, nil
	}
	if c.leaves.active() {
		c.enter(len(c.leaves.pages) - 1)
	}
	return c.moved(c.cursor.Last())
}

// Seek moves to the first key that is not before key.
func (c *Cursor) Seek(key []byte) (k, value []byte) {
	if c.cursor == nil {
		return nil, nil
	}
	if c.leaves.active() {
		c.enter(c.leaves.find(key))
	}
	return c.moved(c.cursor.Seek(key))
}

// SeekBefore moves to the last key that is before key.
func (c *Cursor) SeekBefore(key []byte) (k, value []byte) {
	if k, _ := c.Seek(key); k == nil {
		return c.Last()
	}
	return c.Prev()
}

// Next moves to the key after.
func (c *Cursor) Next() (key, value []byte) {
	if c.cursor == nil {
		return nil, nil
	}
	return c.moved(c.cursor.Next())
}

// Prev moves to the key before.
func (c *Cursor) Prev() (key, value []byte) {
	if c.cursor == nil {
		return nil, nil
	}
	return c.moved(c.cursor.Prev())
}

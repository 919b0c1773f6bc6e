package store

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"sync"
)

var (
	errNoBucket = errors.New("store: the bucket does not exist")
	errClosed   = errors.New("store: closed")
)

// memory is a Store in memory. A snapshot is a map of immutable trees: an update builds new trees,
// and replaces the map when it succeeds.
type memory struct {
	writing sync.Mutex // held by the running update

	mu     sync.RWMutex
	trees  map[string]*node
	closed bool
}

// Memory returns an empty Store in memory.
func Memory() Store { return &memory{trees: map[string]*node{}} }

func (m *memory) snapshot() (map[string]*node, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.closed {
		return nil, errClosed
	}
	return m.trees, nil
}

func (m *memory) View(fn func(Tx) error) error {
	trees, err := m.snapshot()
	if err != nil {
		return err
	}
	return fn(&memoryTx{trees: trees})
}

func (m *memory) Update(ctx context.Context, _ int, fn func(Tx) error) error {
	m.writing.Lock()
	defer m.writing.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	trees, err := m.snapshot()
	if err != nil {
		return err
	}
	tx := &memoryTx{trees: trees}
	if err := fn(tx); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.trees = tx.trees
	return nil
}

func (m *memory) Close() error {
	m.writing.Lock()
	defer m.writing.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed, m.trees = true, nil
	return nil
}

type memoryTx struct {
	trees  map[string]*node
	copied bool // trees belongs to this transaction
}

func (t *memoryTx) set(name string, root *node) {
	if !t.copied {
		t.trees, t.copied = maps.Clone(t.trees), true
	}
	t.trees[name] = root
}

func (t *memoryTx) Bucket(name string) Bucket {
	_, ok := t.trees[name]
	return &memoryBucket{tx: t, name: name, exists: ok}
}

func (t *memoryTx) CreateBucket(name string) error {
	if _, ok := t.trees[name]; !ok {
		t.set(name, nil)
	}
	return nil
}

func (t *memoryTx) DeleteBucket(name string) error {
	if _, ok := t.trees[name]; ok {
		t.set(name, nil)
		delete(t.trees, name)
	}
	return nil
}

type memoryBucket struct {
	tx     *memoryTx
	name   string
	exists bool
}

func (b *memoryBucket) Get(key []byte) []byte {
	if n := b.tx.trees[b.name].find(key); n != nil {
		return n.value
	}
	return nil
}

func (b *memoryBucket) Put(key, value []byte) error {
	if !b.exists {
		return errNoBucket
	}
	b.tx.set(b.name, b.tx.trees[b.name].put(bytes.Clone(key), value))
	return nil
}

func (b *memoryBucket) Delete(key []byte) error {
	if root := b.tx.trees[b.name]; root.find(key) != nil {
		b.tx.set(b.name, root.remove(key))
	}
	return nil
}

func (b *memoryBucket) Cursor() Cursor { return &treeCursor{root: b.tx.trees[b.name]} }

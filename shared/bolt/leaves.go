package bolt

import (
	"bytes"
	"fmt"
	"sort"
	"sync"
	"sync/atomic"
)

// leaves are the leaf pages of one bucket when the file was opened. Each is checked before bbolt
// reads it for the first time.
//
// Pages that bbolt has written since need no check. A leaf that no update has replaced has all keys
// from its first up to the first of the next leaf. So for a key, bbolt reads the leaf of that key
// or, after a neighbour was emptied or merged, the one next to it. Methods on a nil *leaves, and on
// leaves that are all checked, do nothing. They are safe for concurrent use.
type leaves struct {
	*level
	in *inspector

	unchecked atomic.Int64 // number of leaves

	mu      sync.RWMutex
	checked []bool
	// 1: the leaf is checked, and an update may have merged it; the search for a neighbour
	// skips it.
	gone []byte
}

func newLeaves(in *inspector, v *level) *leaves {
	l := &leaves{level: v, in: in, checked: make([]bool, len(v.pages)), gone: make([]byte, len(v.pages))}
	l.unchecked.Store(int64(len(v.pages)))
	return l
}

func (l *leaves) active() bool { return l != nil && l.unchecked.Load() > 0 }

func (l *leaves) find(key []byte) int {
	return max(0, sort.Search(len(l.pages), func(i int) bool { return bytes.Compare(l.low(i), key) > 0 })-1)
}

func (l *leaves) check(i int) error {
	l.mu.RLock()
	checked := l.checked[i]
	l.mu.RUnlock()
	if checked {
		return nil
	}
	if err := l.in.leaf(l.level, i, 0, func(_, _ []byte) {}); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.checked[i] {
		l.checked[i] = true
		l.unchecked.Add(-1)
	}
	return nil
}

// checkKey checks the leaf that bbolt reads for a key.
func (l *leaves) checkKey(key []byte) error {
	if !l.active() {
		return nil
	}
	return l.check(l.find(key))
}

// checkAround checks leaf i and its neighbours, which bbolt reads when a cursor leaves it. It
// returns the indexes of the neighbours: -1 and the number of leaves if a side has none.
func (l *leaves) checkAround(i int) (left, right int, err error) {
	l.mu.RLock()
	left = bytes.LastIndexByte(l.gone[:i], 0)
	right = bytes.IndexByte(l.gone[i+1:], 0)
	l.mu.RUnlock()
	if right < 0 {
		right = len(l.pages)
	} else {
		right += i + 1
	}
	for _, j := range []int{i, left, right} {
		if j >= 0 && j < len(l.pages) && err == nil {
			err = l.check(j)
		}
	}
	return left, right, err
}

// checkDelete checks the leaves that bbolt reads to delete a key: the leaf may be merged with a
// neighbour.
func (l *leaves) checkDelete(key []byte) error {
	if !l.active() {
		return nil
	}
	i := l.find(key)
	left, right, err := l.checkAround(i)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, j := range []int{i, left, right} {
		if j >= 0 && j < len(l.pages) {
			l.gone[j] = 1
		}
	}
	return nil
}

func (l *leaves) checkAll() error {
	if !l.active() {
		return nil
	}
	for i := range l.pages {
		if err := l.check(i); err != nil {
			return err
		}
	}
	return nil
}

// A damage is the panic of a method that returns no error; guard recovers it.
type damage struct{ err error }

func mustBeSound(err error) {
	if err != nil {
		panic(damage{fmt.Errorf("bolt: %w", err)})
	}
}

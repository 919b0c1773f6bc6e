package store

import (
	"bytes"
	"hash/maphash"
)

// A node is the root of a treap: a search tree by key, and a heap by the hash of the key. The hash
// keeps it balanced for every order of insertion. Nodes are immutable: put and remove return a new
// root, and share all nodes outside the path.
type node struct {
	key, value  []byte
	priority    uint64
	left, right *node
}

var seed = maphash.MakeSeed()

func (n *node) find(key []byte) *node {
	for n != nil {
		switch c := bytes.Compare(key, n.key); {
		case c < 0:
			n = n.left
		case c > 0:
			n = n.right
		default:
			return n
		}
	}
	return nil
}

// put returns the tree with value under key.
func (n *node) put(key, value []byte) *node {
	if n == nil {
		return &node{key: key, value: value, priority: maphash.Bytes(seed, key)}
	}
	m := *n
	switch c := bytes.Compare(key, n.key); {
	case c < 0:
		if m.left = n.left.put(key, value); m.left.priority > m.priority {
			return m.rotateRight()
		}
	case c > 0:
		if m.right = n.right.put(key, value); m.right.priority > m.priority {
			return m.rotateLeft()
		}
	default:
		m.value = value
	}
	return &m
}

// rotateRight moves the left child, which is new, above m.
func (n node) rotateRight() *node {
	top := n.left
	n.left, top.right = top.right, &n
	return top
}

// rotateLeft moves the right child, which is new, above m.
func (n node) rotateLeft() *node {
	top := n.right
	n.right, top.left = top.left, &n
	return top
}

// remove returns the tree without key, which must exist.
func (n *node) remove(key []byte) *node {
	m := *n
	switch c := bytes.Compare(key, n.key); {
	case c < 0:
		m.left = n.left.remove(key)
	case c > 0:
		m.right = n.right.remove(key)
	default:
		return join(n.left, n.right)
	}
	return &m
}

// join returns the tree of all nodes of a and b. All keys of b are greater than those of a.
func join(a, b *node) *node {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	case a.priority > b.priority:
		top := *a
		top.right = join(a.right, b)
		return &top
	default:
		top := *b
		top.left = join(a, b.left)
		return &top
	}
}

// A treeCursor is a Cursor of a tree. It keeps the path to its position.
type treeCursor struct {
	root *node
	path []*node
}

func (c *treeCursor) current() (key, value []byte) {
	if len(c.path) == 0 {
		return nil, nil
	}
	n := c.path[len(c.path)-1]
	return n.key, n.value
}

func (c *treeCursor) Seek(key []byte) (k, value []byte)       { return c.seek(key, false) }
func (c *treeCursor) SeekBefore(key []byte) (k, value []byte) { return c.seek(key, true) }
func (c *treeCursor) Next() (k, value []byte)                 { return c.step(true) }
func (c *treeCursor) Prev() (k, value []byte)                 { return c.step(false) }

// seek moves to the last key before the given one, or to the first of all others.
func (c *treeCursor) seek(key []byte, before bool) (k, value []byte) {
	c.path = c.path[:0]
	found := 0
	for n := c.root; n != nil; {
		c.path = append(c.path, n)
		less := bytes.Compare(n.key, key) < 0
		if less == before {
			found = len(c.path)
		}
		n = n.child(less)
	}
	c.path = c.path[:found]
	return c.current()
}

func (n *node) child(right bool) *node {
	if right {
		return n.right
	}
	return n.left
}

// step moves to the next or the previous key.
func (c *treeCursor) step(forward bool) (k, value []byte) {
	if len(c.path) == 0 {
		return nil, nil
	}
	if n := c.path[len(c.path)-1].child(forward); n != nil {
		for ; n != nil; n = n.child(!forward) {
			c.path = append(c.path, n)
		}
		return c.current()
	}
	for {
		last := len(c.path) - 1
		child := c.path[last]
		c.path = c.path[:last]
		if last == 0 || c.path[last-1].child(!forward) == child {
			return c.current()
		}
	}
}

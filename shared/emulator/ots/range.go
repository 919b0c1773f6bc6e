package ots

import (
	"bytes"
	"math"
	"slices"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
	"github.com/golang/protobuf/proto"

	"chatconf/shared/bolt"
	"chatconf/shared/emulator/ots/plainbuffer"
)

// A page of a range ends after this many rows or bytes read, including rows that a filter or the
// time to live hides.
const (
	maxPageRows  = 5000
	maxPageBytes = 4 << 20
)

// A span is the part of a table that a range reads, from start (inclusive) to end (exclusive).
type span struct {
	start, end []byte // stored keys
	backward   bool
}

func (s *span) holds(key []byte) bool {
	if key == nil {
		return false
	}
	if s.backward {
		return bytes.Compare(key, s.end) > 0
	}
	return bytes.Compare(key, s.end) < 0
}

func (t *table) newSpan(start, end []byte, direction otsprotocol.Direction) (*span, error) {
	from, err := t.readKey(start, forRange)
	if err != nil {
		return nil, err
	}
	to, err := t.readKey(end, forRange)
	if err != nil {
		return nil, err
	}
	s := &span{start: newKey(from), end: newKey(to), backward: direction == otsprotocol.Direction_BACKWARD}
	switch c := bytes.Compare(s.start, s.end); {
	case direction != otsprotocol.Direction_FORWARD && direction != otsprotocol.Direction_BACKWARD:
		return nil, invalid("Invalid direction: %d.", direction)
	case !s.backward && c >= 0:
		return nil, invalid("Begin key must less than end key in FORWARD")
	case s.backward && c <= 0:
		return nil, invalid("Begin key must more than end key in BACKWARD")
	}
	return s, nil
}

// readKey decodes and checks a primary key of a read.
func (t *table) readKey(b []byte, use keyUse) ([]plainbuffer.Cell, error) {
	r, err := plainbuffer.DecodeRow(b)
	switch {
	case err != nil:
		return nil, brokenRow(err)
	case len(r.Cells) > 0:
		return nil, invalid("Attribute column cannot be given while reading data.")
	case r.Deleted:
		return nil, invalid("Delete marker cannot be given.")
	}
	return r.Key, t.checkKey(r.Key, use)
}

// A walker returns the stored rows of a span, in the span's direction.
type walker interface {
	first() (key, value []byte)
	next() (key, value []byte)
}

// A bucketWalker walks a bucket of the store.
type bucketWalker struct {
	cursor *bolt.Cursor
	span   *span
}

func (w *bucketWalker) first() (key, value []byte) {
	if w.span.backward {
		return w.within(w.cursor.SeekBefore(append(slices.Clip(w.span.start), 0))) // the first key after start
	}
	return w.within(w.cursor.Seek(w.span.start))
}

func (w *bucketWalker) next() (key, value []byte) {
	if w.span.backward {
		return w.within(w.cursor.Prev())
	}
	return w.within(w.cursor.Next())
}

func (w *bucketWalker) within(key, value []byte) ([]byte, []byte) {
	if !w.span.holds(key) {
		return nil, nil
	}
	return key, value
}

// An overlayWalker walks a bucket together with uncommitted changes.
type overlayWalker struct {
	bucketWalker
	changes map[string][]byte
	keys    []string // changed keys of the span that are not returned yet, in its direction
	k, v    []byte   // the bucket's current row
}

func newOverlayWalker(b bucketWalker, changes map[string][]byte) *overlayWalker {
	w := &overlayWalker{bucketWalker: b, changes: changes}
	for key := range changes {
		before := bytes.Compare([]byte(key), w.span.start) < 0
		if w.span.holds([]byte(key)) && (before == w.span.backward || key == string(w.span.start)) {
			w.keys = append(w.keys, key)
		}
	}
	slices.Sort(w.keys)
	if w.span.backward {
		slices.Reverse(w.keys)
	}
	return w
}

func (w *overlayWalker) first() (key, value []byte) {
	w.k, w.v = w.bucketWalker.first()
	return w.next()
}

func (w *overlayWalker) next() (key, value []byte) {
	for {
		if len(w.keys) == 0 || w.k != nil && w.bucketFirst() {
			key, value = w.k, w.v
			if w.k != nil {
				w.k, w.v = w.bucketWalker.next()
			}
			return key, value
		}
		changed := w.keys[0]
		w.keys = w.keys[1:]
		if w.k != nil && string(w.k) == changed {
			w.k, w.v = w.bucketWalker.next()
		}
		if value := w.changes[changed]; value != nil {
			return []byte(changed), value
		}
	}
}

// bucketFirst reports whether the bucket's row comes before the next change.
func (w *overlayWalker) bucketFirst() bool {
	c := bytes.Compare(w.k, []byte(w.keys[0]))
	return c != 0 && c > 0 == w.span.backward
}

// A collector collects the rows of one page.
type collector interface {
	add(r *row, s *selection) (size int, ok bool, err error)
	bytes() ([]byte, otsprotocol.DataBlockType)
}

// A plainPage is a page as PlainBuffer. It starts with a buffer's header.
type plainPage struct{ b []byte }

// newPlainPage returns an empty page in the memory of b.
func newPlainPage(b []byte) *plainPage { return &plainPage{plainbuffer.AppendHeader(b[:0])} }

func (p *plainPage) add(r *row, s *selection) (size int, ok bool, err error) {
	p.b, size, ok, err = s.append(p.b, r)
	return size, ok, err
}

func (p *plainPage) bytes() ([]byte, otsprotocol.DataBlockType) {
	if len(p.b) == plainbuffer.HeaderSize {
		return []byte{}, otsprotocol.DataBlockType_DBT_PLAIN_BUFFER
	}
	return p.b, otsprotocol.DataBlockType_DBT_PLAIN_BUFFER
}

// A page is the result of a range.
type page struct {
	rows []byte
	kind otsprotocol.DataBlockType // of rows
	next []byte                    // the primary key of the first unread row; nil at the end
	size int                       // bytes read
}

func (s *selection) read(w walker, into collector, limit int) (page, error) {
	var out page
	var r row // outside the loop, because it escapes to the heap
	rows, scanned := 0, 0
	for k, v := w.first(); k != nil; k, v = w.next() {
		if scanned++; scanned > maxPageRows {
			return out.end(k, v, into)
		}
		var err error
		if r, err = readRow(k, v, s.expiry); err != nil {
			return out, err
		}
		if !r.exists() {
			continue
		}
		if rows == limit || out.size > 0 && out.size+r.size > maxPageBytes {
			return out.end(k, v, into)
		}
		size, ok, err := into.add(&r, s)
		if err != nil {
			return out, err
		}
		out.size += size
		if ok {
			rows++
		}
	}
	out.rows, out.kind = into.bytes()
	return out, nil
}

// end closes a page before the row with key k.
func (p page) end(k, v []byte, into collector) (page, error) {
	r, err := readRow(k, v, minTime)
	if err != nil {
		return p, err
	}
	content, err := r.content()
	if err != nil {
		return p, err
	}
	p.rows, p.kind = into.bytes()
	p.next = plainbuffer.AppendRow(plainbuffer.AppendHeader(nil), &plainbuffer.Row{Key: content.Key})
	return p, nil
}

func (s *Server) getRange(c *call, req *otsprotocol.GetRangeRequest) (proto.Message, error) {
	s.schema.RLock()
	defer s.schema.RUnlock()
	t, err := s.find(c, req.GetTableName())
	if err != nil {
		return nil, err
	}
	sel, err := t.selection(query{
		columns: req.ColumnsToGet, times: req.TimeRange, maxVersions: req.MaxVersions, filter: req.Filter,
		start: req.StartColumn, end: req.EndColumn, token: req.Token,
	}, s.now())
	if err != nil {
		return nil, err
	}
	sp, err := t.newSpan(req.InclusiveStartPrimaryKey, req.ExclusiveEndPrimaryKey, req.GetDirection())
	if err != nil {
		return nil, err
	}
	if !req.GetReturnEntirePrimaryKeys() {
		sel.keyColumns = append([]string{}, req.ColumnsToGet...)
	}
	limit := math.MaxInt // of returned rows
	if req.Limit != nil {
		if limit = int(req.GetLimit()); limit <= 0 {
			return nil, invalid("The limit must be greater than 0.")
		}
	}
	plain := newPlainPage(c.scratch.rows)
	defer func() { c.scratch.rows = plain.b }()
	var into collector = plain
	if req.GetDataBlockTypeHint() == otsprotocol.DataBlockType_DBT_SIMPLE_ROW_MATRIX &&
		min(sel.versions, sel.stored) == 1 {
		into = newMatrix(t, sel)
	}
	p, err := s.readRange(t, sp, sel, into, limit, req.TransactionId)
	if err != nil {
		return nil, err
	}
	return &otsprotocol.GetRangeResponse{
		Consumed: consumed(units(p.size), 0), Rows: p.rows, NextStartPrimaryKey: p.next,
		DataBlockType: &p.kind, CompressType: otsprotocol.CompressType_CPT_NONE.Enum(),
	}, nil
}

// readRange reads one page of a span, within a transaction if one is given.
func (s *Server) readRange(t *table, sp *span, sel *selection, into collector, limit int,
	transaction *string) (out page, err error) {
	var changes map[string][]byte
	if transaction != nil {
		session, err := s.enter(*transaction, t, sp.start, sp.end)
		if err != nil {
			return out, err
		}
		defer session.mu.Unlock()
		changes = session.changes
	}
	err = s.store.View(func(tx *bolt.Tx) error {
		b := bucketWalker{tx.Bucket(t.bucket()).Cursor(), sp}
		if transaction == nil {
			out, err = sel.read(&b, into, limit)
		} else {
			out, err = sel.read(newOverlayWalker(b, changes), into, limit)
		}
		return err
	})
	return out, err
}

package ots

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"time"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"

	"chatconf/shared/emulator/ots/plainbuffer"
	"chatconf/shared/emulator/ots/store"
)

// rows are the rows of one table as a write sees them: those in the store, or with changes above
// them that are not there yet.
type rows interface {
	get(key []byte) []byte
	put(key, value []byte) error // no value removes the row
	log(record []byte) error     // appends to the stream of the table
}

// An outcome is what one row of a write comes to.
type outcome struct {
	read, write int32  // units of capacity
	row         []byte // what was asked to be returned
}

// A writer applies changes within one update of the store, at one time.
type writer struct {
	tx  store.Tx
	now time.Time
}

// apply does one change. When it returns an error it has changed nothing, except that an
// AUTO_INCREMENT value may be gone.
func (w *writer) apply(c *change, rows rows) (outcome, error) {
	expiry := c.table.expiry(w.now)
	key, columns := c.key, c.row.Key
	if c.auto {
		var err error
		if columns, err = w.nextKey(c); err != nil {
			return outcome{}, err
		}
		key = newKey(columns)
	}
	old, err := readRow(key, rows.get(key), expiry)
	if err != nil {
		return outcome{}, err
	}
	var before plainbuffer.Row
	if old.exists() && (c.op == otsprotocol.OperationType_UPDATE || c.condition != nil || c.table.keepsOrigin()) {
		if before, err = old.content(); err != nil {
			return outcome{}, err
		}
	}
	if err := c.check(&old, &before, expiry); err != nil {
		return outcome{}, err
	}
	after := plainbuffer.Row{Key: columns}
	var value, record []byte
	var written []plainbuffer.Cell
	switch {
	case c.op == otsprotocol.OperationType_DELETE:
	case !old.exists() && c.onlyRemoves(): // there is nothing to remove, and no row comes of it
		written = c.row.Cells
	default:
		at := w.stamp(&old)
		if after.Cells, written, err = c.cells(before.Cells, w.now, at, expiry); err != nil {
			return outcome{}, err
		}
		value = encodeRow(key, &after, at)
	}
	if c.table.streams() { // before the change to the store, which ends the life of what was read
		origin := trimCells(before.Cells, expiry, int(c.table.MaxVersions))
		record = c.record(columns, written, origin, old.exists())
	}
	if err := rows.put(key, value); err != nil {
		return outcome{}, err
	}
	if record != nil {
		err = rows.log(record)
	}
	return c.outcome(columns, after.Cells), err
}

// stamp returns the timestamp of a write to a row, in milliseconds since 1970: the time, unless the
// clock was set back since the last write. Then it is later than that one's, which is the greatest
// that the server has made there, because a version that is older than one before it could be
// acknowledged and not be there.
func (w *writer) stamp(old *row) int64 {
	now := w.now.UnixMilli()
	if old.exists() && old.written > now {
		return old.written + 1
	}
	return now
}

// check says whether the row is as the change expects it.
func (c *change) check(old *row, before *plainbuffer.Row, expiry int64) error {
	switch {
	case c.expect == otsprotocol.RowExistenceExpectation_EXPECT_EXIST && !old.exists(),
		c.expect == otsprotocol.RowExistenceExpectation_EXPECT_NOT_EXIST && old.exists(),
		c.given && c.op != otsprotocol.OperationType_DELETE && !old.exists(): // only the service makes new values
		return errCondition
	case c.condition == nil:
		return nil
	}
	var v view
	if old.exists() {
		v.key = before.Key
		for _, cell := range trimCells(slices.Clone(before.Cells), expiry, int(c.table.MaxVersions)) {
			v.cells = append(v.cells, picked{Cell: cell})
		}
	}
	if !c.condition.match(&v) {
		return errCondition
	}
	return nil
}

// cells returns the attribute cells of the row after the change, given those before it, and what of
// them is written and removed, if that makes a record of a stream. At is the timestamp of those
// that the client gave none.
func (c *change) cells(before []plainbuffer.Cell, now time.Time, at,
	expiry int64) (after, written []plainbuffer.Cell, err error) {
	after = make([]plainbuffer.Cell, 0, len(before)+len(c.row.Cells))
	if c.op == otsprotocol.OperationType_UPDATE {
		after = append(after, trimCells(slices.Clone(before), expiry, int(c.table.MaxVersions))...)
	}
	for i := range c.row.Cells {
		cell := c.row.Cells[i]
		if err := c.table.checkTimestamp(&cell, now); err != nil {
			return nil, nil, err
		}
		if c.table.streams() && (cell.Op == plainbuffer.DeleteAll || cell.Op == plainbuffer.DeleteOne) {
			written = append(written, cell)
		}
		switch cell.Op {
		case plainbuffer.DeleteAll:
			after = slices.DeleteFunc(after, func(a plainbuffer.Cell) bool { return bytes.Equal(a.Name, cell.Name) })
			continue
		case plainbuffer.DeleteOne:
			after = slices.DeleteFunc(after, func(a plainbuffer.Cell) bool { return compareCells(a, cell) == 0 })
			continue
		case plainbuffer.Increment:
			if err := increment(&cell, after); err != nil {
				return nil, nil, err
			}
		}
		if !cell.HasTimestamp {
			cell.Timestamp, cell.HasTimestamp = at, true
		}
		cell.Op = 0
		after = append(after, cell)
		if c.table.streams() {
			written = append(written, cell)
		}
	}
	return trimCells(sortCells(after), expiry, int(c.table.MaxVersions)), written, nil
}

// checkTimestamp says whether a cell may have the timestamp that the client gave it: neither over
// age nor further from now than the table allows. A version to remove may have any.
func (t *table) checkTimestamp(cell *plainbuffer.Cell, now time.Time) error {
	if !cell.HasTimestamp || cell.Op == plainbuffer.DeleteOne {
		return nil
	}
	seconds, at := now.Unix(), cell.Timestamp/1000
	if at < seconds-t.Deviation || at >= seconds+t.Deviation || t.TTL >= 0 && at < seconds-int64(t.TTL) {
		return invalid("Invalid timestamp. Cell:%s.", cell.Name)
	}
	return nil
}

// increment makes of a cell that adds to its column one that puts the sum. Cells that are there
// hold the newest version of a column first.
func increment(cell *plainbuffer.Cell, cells []plainbuffer.Cell) error {
	i := slices.IndexFunc(cells, func(a plainbuffer.Cell) bool { return bytes.Equal(a.Name, cell.Name) })
	if i < 0 {
		return nil
	}
	if cells[i].Value.Type != plainbuffer.Integer {
		// the service's wording is not known
		return invalid("Column '%s' is not an integer and cannot be incremented.", cell.Name)
	}
	a, b := cells[i].Value.Int(), cell.Value.Int()
	if b > 0 && a > math.MaxInt64-b || b < 0 && a < math.MinInt64-b {
		return invalid("Increment of column '%s' overflows.", cell.Name) // likewise
	}
	cell.Value = plainbuffer.IntegerValue(a + b)
	return nil
}

// outcome returns what the change costs and answers. A condition costs the reading of the primary
// key.
func (c *change) outcome(key, cells []plainbuffer.Cell) outcome {
	out := outcome{write: units(c.size)}
	if c.conditional() {
		out.read = units(keySize(key))
	}
	r := plainbuffer.Row{Key: key}
	switch c.returns {
	case otsprotocol.ReturnType_RT_NONE:
		return out
	case otsprotocol.ReturnType_RT_AFTER_MODIFY:
		for i := range cells {
			newest := i == 0 || !bytes.Equal(cells[i].Name, cells[i-1].Name)
			if newest && slices.Contains(c.columns, string(cells[i].Name)) {
				r.Cells = append(r.Cells, cells[i])
			}
		}
	}
	out.row = plainbuffer.AppendRow(plainbuffer.AppendHeader(nil), &r)
	return out
}

// nextKey returns the primary key with a value in place of AUTO_INCREMENT: the time in
// microseconds, or one more than the last one that the table was given.
func (w *writer) nextKey(c *change) ([]plainbuffer.Cell, error) {
	if err := w.tx.CreateBucket(counterBucket); err != nil {
		return nil, err
	}
	counters, id := w.tx.Bucket(counterBucket), []byte(c.table.id())
	n := w.now.UnixMicro()
	if last := counters.Get(id); len(last) == 8 {
		n = max(n, int64(binary.BigEndian.Uint64(last))+1)
	}
	if err := counters.Put(id, binary.BigEndian.AppendUint64(nil, uint64(n))); err != nil {
		return nil, err
	}
	key := slices.Clone(c.row.Key)
	key[c.table.autoColumn()].Value = plainbuffer.IntegerValue(n)
	return key, nil
}

// direct are the rows in the store. A change to them changes the indexes.
type direct struct {
	tx     store.Tx
	table  *table
	bucket store.Bucket
	now    time.Time
}

func newDirect(tx store.Tx, t *table, now time.Time) *direct {
	return &direct{tx, t, tx.Bucket(t.bucket()), now}
}

func (d *direct) get(key []byte) []byte { return d.bucket.Get(key) }

func (d *direct) put(key, value []byte) error {
	if len(d.table.indexes) > 0 {
		if err := d.table.reindex(d.tx, key, d.bucket.Get(key), value); err != nil {
			return err
		}
	}
	if value == nil {
		return d.bucket.Delete(key)
	}
	return d.bucket.Put(key, value)
}

// An overlay is changes above the rows in the store, which stay as they are until it is flushed.
type overlay struct {
	base    rows
	changes map[string][]byte // nil is a row that was removed
	records [][]byte          // of the stream, in the order of the changes
	size    int
}

func newOverlay(base rows) *overlay { return &overlay{base: base, changes: map[string][]byte{}} }

func (o *overlay) get(key []byte) []byte {
	if value, ok := o.changes[string(key)]; ok {
		return value
	}
	return o.base.get(key)
}

func (o *overlay) put(key, value []byte) error {
	o.changes[string(key)] = value
	o.size += len(key) + len(value)
	return nil
}

func (o *overlay) log(record []byte) error {
	o.records = append(o.records, record)
	return nil
}

// flush puts all changes into the rows below.
func (o *overlay) flush() error {
	for key, value := range o.changes {
		if err := o.base.put([]byte(key), value); err != nil {
			return err
		}
	}
	for _, record := range o.records {
		if err := o.base.log(record); err != nil {
			return err
		}
	}
	return nil
}

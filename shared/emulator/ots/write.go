package ots

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"time"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"

	"chatconf/shared/bolt"
	"chatconf/shared/emulator/ots/plainbuffer"
)

// rows are the rows of one table during a write: those of the store, or the same with uncommitted
// changes.
type rows interface {
	get(key []byte) []byte
	put(key, value []byte) error // nil removes the row
	log(record []byte) error     // appends to the table's stream
}

// An outcome is the result of one row of a write.
type outcome struct {
	read, write int32  // capacity units
	row         []byte // the requested part of the row
}

// A writer applies changes within one update of the store, at one time.
type writer struct {
	tx  *bolt.Tx
	now time.Time
}

// apply applies one change. If it fails it has changed nothing, except that it may have used up an
// AUTO_INCREMENT value.
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
	case !old.exists() && c.onlyRemoves(): // nothing to delete, and no row is created
		written = c.row.Cells
	default:
		at := w.stamp(&old)
		if after.Cells, written, err = c.cells(before.Cells, w.now, at, expiry); err != nil {
			return outcome{}, err
		}
		value = encodeRow(key, &after, at)
	}
	if c.table.streams() { // before the store changes, which invalidates the slices read
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

// stamp returns the timestamp of a write to a row, in milliseconds since 1970. It is the current
// time, unless the clock was set back since the last write to the row. In that case it is later
// than that write, so that the new version is the newest and can be read.
func (w *writer) stamp(old *row) int64 {
	now := w.now.UnixMilli()
	if old.exists() && old.written > now {
		return old.written + 1
	}
	return now
}

// check returns errCondition if the row does not meet the change's conditions.
func (c *change) check(old *row, before *plainbuffer.Row, expiry int64) error {
	switch {
	case c.expect == otsprotocol.RowExistenceExpectation_EXPECT_EXIST && !old.exists(),
		c.expect == otsprotocol.RowExistenceExpectation_EXPECT_NOT_EXIST && old.exists(),
		c.given && c.op != otsprotocol.OperationType_DELETE && !old.exists(): // only the server creates new values
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

// cells returns the row's attribute cells after the change, and the cells for the stream's record.
// At is the timestamp of cells for which the client sends none.
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

// checkTimestamp returns an error if the client's timestamp has expired, or is further from now
// than the table allows. A version to delete can have any timestamp.
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

// increment changes a cell that adds to a column into one that puts the sum. In cells, the newest
// version of a column comes first.
func increment(cell *plainbuffer.Cell, cells []plainbuffer.Cell) error {
	i := slices.IndexFunc(cells, func(a plainbuffer.Cell) bool { return bytes.Equal(a.Name, cell.Name) })
	if i < 0 {
		return nil
	}
	if cells[i].Value.Type != plainbuffer.Integer {
		// The service's wording is not known.
		return invalid("Column '%s' is not an integer and cannot be incremented.", cell.Name)
	}
	a, b := cells[i].Value.Int(), cell.Value.Int()
	if b > 0 && a > math.MaxInt64-b || b < 0 && a < math.MinInt64-b {
		return invalid("Increment of column '%s' overflows.", cell.Name) // the service's wording is not known
	}
	cell.Value = plainbuffer.IntegerValue(a + b)
	return nil
}

// outcome returns the cost and the answer of the change. A condition costs one read of the primary
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

// nextKey returns the primary key with a new AUTO_INCREMENT value: the time in microseconds, or the
// table's last value plus one.
func (w *writer) nextKey(c *change) ([]plainbuffer.Cell, error) {
	counters, err := w.tx.CreateBucket(counterBucket)
	if err != nil {
		return nil, err
	}
	id, n := []byte(c.table.id()), w.now.UnixMicro()
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

// direct are the rows of the store. Changes update the indexes.
type direct struct {
	tx     *bolt.Tx
	table  *table
	bucket *bolt.Bucket
	now    time.Time
}

func newDirect(tx *bolt.Tx, t *table, now time.Time) *direct {
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

// An overlay keeps changes above other rows, which do not change until it is flushed.
type overlay struct {
	base    rows
	changes map[string][]byte // nil is a removed row
	records [][]byte          // for the stream, in the order of the changes
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

// flush applies all changes to the rows below.
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

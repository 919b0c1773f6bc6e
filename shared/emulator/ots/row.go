package ots

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"

	"chatconf/shared/emulator/ots/plainbuffer"
)

// A stored row is a head and the row as PlainBuffer without the buffer's header. Cells are sorted
// by name, newest version first. The head tells whether a read can copy the stored bytes, which is
// the usual case. Numbers are big-endian.
//
//	┌────────┬─────────┬─────────┬─────────┬─────────┬─────────┬─────────┬────────────┐
//	│ format │ CRC-32C │ written │ oldest  │ newest  │ size    │ several │ PlainBuffer│
//	│ 1 byte │ 4 bytes │ 8 bytes │ 8 bytes │ 8 bytes │ 4 bytes │ 1 byte  │ the rest   │
//	└────────┴─────────┴─────────┴─────────┴─────────┴─────────┴─────────┴────────────┘
//
// The CRC covers the key and everything after it.
const (
	rowFormat = 1
	rowHead   = 1 + 4 + 8 + 8 + 8 + 4 + 1
	crcEnd    = 1 + 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errRow = errors.New("ots: damaged row")

// minTime is before every timestamp: the expiry of a row without time to live.
const minTime = math.MinInt64

// A row is a stored row, with its head decoded. Its bytes belong to the store.
type row struct {
	written int64  // time of the last put or update: milliseconds since 1970
	oldest  int64  // the smallest timestamp of a cell
	newest  int64  // the greatest
	size    int    // bytes that the service counts for primary key and all cells
	several bool   // a column has more than one version
	body    []byte // PlainBuffer without header; nil when there is no row
}

func (r *row) exists() bool { return r.body != nil }

// aliveAfter reports whether a cell, or the last write to the row, is newer than expiry.
func (r *row) aliveAfter(expiry int64) bool { return r.written > expiry || r.newest > expiry }

// readRow decodes the value stored under key. The row is absent if value is nil or the row has
// expired.
func readRow(key, value []byte, expiry int64) (row, error) {
	if value == nil {
		return row{}, nil
	}
	if len(value) < rowHead || value[0] != rowFormat || binary.BigEndian.Uint32(value[1:]) != rowCRC(key, value) {
		return row{}, fmt.Errorf("%w under %q", errRow, key)
	}
	r := row{
		written: int64(binary.BigEndian.Uint64(value[5:])),
		oldest:  int64(binary.BigEndian.Uint64(value[13:])),
		newest:  int64(binary.BigEndian.Uint64(value[21:])),
		size:    int(binary.BigEndian.Uint32(value[29:])),
		several: value[33] != 0,
		body:    value[rowHead:],
	}
	if !r.aliveAfter(expiry) {
		return row{}, nil
	}
	return r, nil
}

func rowCRC(key, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value[crcEnd:])
}

// encodeRow returns the stored form of a row with sorted cells.
func encodeRow(key []byte, r *plainbuffer.Row, written int64) []byte {
	oldest, newest, several := int64(math.MaxInt64), int64(math.MinInt64), false
	size, room := keySize(r.Key), rowHead
	for i := range r.Cells {
		c := &r.Cells[i]
		oldest, newest = min(oldest, c.Timestamp), max(newest, c.Timestamp)
		several = several || i > 0 && bytes.Equal(c.Name, r.Cells[i-1].Name)
		size += c.Size()
		room += c.Size() + 32
	}
	b := make([]byte, crcEnd, room+keySize(r.Key)+32*len(r.Key))
	b[0] = rowFormat
	b = binary.BigEndian.AppendUint64(b, uint64(written))
	b = binary.BigEndian.AppendUint64(b, uint64(oldest))
	b = binary.BigEndian.AppendUint64(b, uint64(newest))
	b = binary.BigEndian.AppendUint32(b, uint32(size))
	b = append(b, boolByte(several))
	b = plainbuffer.AppendRow(b, r)
	binary.BigEndian.PutUint32(b[1:], rowCRC(key, b))
	return b
}

func boolByte(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// content decodes the row. Names and values are slices of the store.
func (r *row) content() (plainbuffer.Row, error) {
	var out plainbuffer.Row
	s, err := plainbuffer.ScanRow(r.body)
	if err != nil {
		return out, err
	}
	if out.Key, err = scanAll(&s); err != nil || !s.Data() {
		return out, err
	}
	out.Cells, err = scanAll(&s)
	return out, err
}

func scanAll(s *plainbuffer.Scanner) ([]plainbuffer.Cell, error) {
	var cells []plainbuffer.Cell
	for {
		var c plainbuffer.Cell
		if _, ok, err := s.Next(&c); err != nil || !ok {
			return cells, err
		}
		cells = append(cells, c)
	}
}

// sortCells sorts cells as they are stored. Of two with the same name and timestamp, the later one
// is kept.
func sortCells(cells []plainbuffer.Cell) []plainbuffer.Cell {
	slices.Reverse(cells) // so that the later of two equal cells comes first
	slices.SortStableFunc(cells, compareCells)
	return slices.CompactFunc(cells, func(a, b plainbuffer.Cell) bool { return compareCells(a, b) == 0 })
}

func compareCells(a, b plainbuffer.Cell) int {
	if c := bytes.Compare(a.Name, b.Name); c != 0 {
		return c
	}
	switch {
	case a.Timestamp > b.Timestamp:
		return -1
	case a.Timestamp < b.Timestamp:
		return 1
	}
	return 0
}

// trimCells removes cells that have expired, and versions beyond the table's number. The cells are
// sorted.
func trimCells(cells []plainbuffer.Cell, expiry int64, maxVersions int) []plainbuffer.Cell {
	versions := 0
	kept := cells[:0]
	for i := range cells {
		if i > 0 && !bytes.Equal(cells[i].Name, cells[i-1].Name) {
			versions = 0
		}
		if versions++; versions <= maxVersions && cells[i].Timestamp > expiry {
			kept = append(kept, cells[i])
		}
	}
	return kept
}

// Package plainbuffer encodes and decodes PlainBuffer, the format of rows in Tablestore's protocol.
//
// A buffer is a header and rows. A row has primary key cells, attribute cells and an optional
// delete marker. Every cell and every row ends with a checksum. Numbers are little-endian. The
// decoder accepts only what the encoder produces: it verifies checksums, lengths and order. It
// allocates memory in proportion to the input. Decoded names and values are slices of the input.
//
// The format: https://help.aliyun.com/zh/tablestore/developer-reference/plainbuffer.
package plainbuffer

import (
	"encoding/binary"
	"errors"
)

const header = 0x75

const (
	tagRowKey       = 0x1
	tagRowData      = 0x2
	tagCell         = 0x3
	tagCellName     = 0x4
	tagCellValue    = 0x5
	tagCellOp       = 0x6
	tagCellTime     = 0x7
	tagDeleteMarker = 0x8
	tagRowChecksum  = 0x9
	tagCellChecksum = 0xA
	tagExtension    = 0xB
	tagSequence     = 0xC
	tagEpoch        = 0xD
	tagSequenceTime = 0xE
	tagRowIndex     = 0xF
)

// HeaderSize is the size of the header in bytes.
const HeaderSize = 4

// ErrChecksum is returned for a wrong checksum only.
var ErrChecksum = errors.New("checksum is mismatch")

// An Op is the operation of a cell in an update. The zero Op puts the value.
type Op byte

// The operations of an update.
const (
	DeleteAll Op = 0x1 // deletes all versions of the column; the cell has neither value nor timestamp
	DeleteOne Op = 0x3 // deletes the version with the timestamp; the cell has no value
	Increment Op = 0x4 // adds the integer value to the newest version
)

// A Cell is one column of a primary key, or one version of an attribute column.
type Cell struct {
	Name         []byte
	Value        Value
	Timestamp    int64 // milliseconds since 1970
	Op           Op
	HasValue     bool
	HasTimestamp bool
}

// Size returns how many bytes the service counts for the cell's name and value.
func (c *Cell) Size() int { return len(c.Name) + c.Value.Size() }

// A Row is one row, or a change to one row.
type Row struct {
	Key     []Cell
	Cells   []Cell
	Deleted bool // has a delete marker, like the key of a DeleteRow
}

// AppendHeader appends the header, which comes once, before all rows.
func AppendHeader(b []byte) []byte { return binary.LittleEndian.AppendUint32(b, header) }

// AppendRow appends a row with its checksums.
func AppendRow(b []byte, r *Row) []byte {
	b, crc := AppendKey(b, r.Key)
	if len(r.Cells) > 0 {
		b = AppendDataTag(b)
		for i := range r.Cells {
			b = AppendCell(b, &r.Cells[i])
			crc = crc8Byte(crc, b[len(b)-1])
		}
	}
	if r.Deleted {
		b = append(b, tagDeleteMarker)
	}
	return AppendEnd(b, crc, r.Deleted)
}

// AppendKey appends the primary key, which starts a row. Pass the checksum to AppendRaw and
// AppendEnd.
func AppendKey(b []byte, key []Cell) (_ []byte, checksum byte) {
	b = append(b, tagRowKey)
	for i := range key {
		b = AppendCell(b, &key[i])
		checksum = crc8Byte(checksum, b[len(b)-1])
	}
	return b, checksum
}

// AppendDataTag appends the tag before the first attribute cell. A row without attributes has none.
func AppendDataTag(b []byte) []byte { return append(b, tagRowData) }

// AppendRaw appends a cell in its encoded form, and returns the row's updated checksum.
func AppendRaw(b, raw []byte, checksum byte) ([]byte, byte) {
	return append(b, raw...), crc8Byte(checksum, raw[len(raw)-1])
}

// AppendEnd appends the end of a row, with its checksum.
func AppendEnd(b []byte, checksum byte, deleted bool) []byte {
	marker := byte(0)
	if deleted {
		marker = 1
	}
	return append(b, tagRowChecksum, crc8Byte(checksum, marker))
}

// rowEnd is the encoded size of a row's checksum, and sequenceSize that of a stream position.
const (
	rowEnd       = 2
	sequenceSize = 1 + 4 + 1 + 8 + 1 + 4
)

// AppendSequenced appends a row from AppendRow together with its position in a stream: time, in
// microseconds since 1970. The row's checksum does not cover the position.
func AppendSequenced(b, row []byte, time int64) []byte {
	end := len(row) - rowEnd
	b = append(b, row[:end]...)
	b = append(b, tagExtension)
	b = binary.LittleEndian.AppendUint32(b, 1+4+sequenceSize)
	b = append(b, tagSequence)
	b = binary.LittleEndian.AppendUint32(b, sequenceSize)
	b = append(b, tagEpoch, 0, 0, 0, 0, tagSequenceTime)
	b = binary.LittleEndian.AppendUint64(b, uint64(time))
	b = append(b, tagRowIndex, 0, 0, 0, 0)
	return append(b, row[end:]...)
}

// AppendCell appends a cell with its checksum, which is its last byte.
func AppendCell(b []byte, c *Cell) []byte {
	b = append(b, tagCell, tagCellName)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(c.Name)))
	b = append(b, c.Name...)
	if c.HasValue {
		b = append(b, tagCellValue)
		b = binary.LittleEndian.AppendUint32(b, uint32(c.Value.encodedSize()))
		b = AppendValue(b, c.Value)
	}
	if c.Op != 0 {
		b = append(b, tagCellOp, byte(c.Op))
	}
	if c.HasTimestamp {
		b = append(b, tagCellTime)
		b = binary.LittleEndian.AppendUint64(b, uint64(c.Timestamp))
	}
	return append(b, tagCellChecksum, c.checksum())
}

// AppendValue appends a value as filters and the simple row matrix encode it: its type and its
// data, without tag and length.
func AppendValue(b []byte, v Value) []byte {
	b = append(b, byte(v.Type))
	switch v.Type {
	case Integer, Double:
		b = binary.LittleEndian.AppendUint64(b, v.Bits)
	case Boolean:
		b = append(b, byte(v.Bits))
	case String, Blob:
		b = binary.LittleEndian.AppendUint32(b, uint32(len(v.Data)))
		b = append(b, v.Data...)
	}
	return b
}

// encodedSize returns how many bytes AppendValue appends.
func (v Value) encodedSize() int {
	switch v.Type {
	case Integer, Double:
		return 1 + 8
	case Boolean:
		return 1 + 1
	case String, Blob:
		return 1 + 4 + len(v.Data)
	}
	return 1
}

package plainbuffer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

var (
	errShort   = errors.New("unexpected end of the buffer")
	errHeader  = errors.New("invalid header")
	errRows    = errors.New("the buffer must have exactly one row")
	errBoolean = errors.New("a boolean must be 0 or 1")
	errTotal   = errors.New("the length of a value differs from its data")
	errValue   = errors.New("bytes after the value")
)

// Decode reads all rows of a buffer.
func Decode(b []byte) ([]Row, error) {
	s, err := open(b)
	if err != nil {
		return nil, err
	}
	var rows []Row
	for len(s.b) > 0 {
		var r Row
		if err := s.row(&r); err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// DecodeRow reads a buffer with exactly one row. It ignores zeros after the row: the SDK for
// Node.js allocates one byte too many for some cells, and sends the whole buffer.
func DecodeRow(b []byte) (Row, error) {
	var r Row
	s, err := open(b)
	if err != nil {
		return r, err
	}
	if len(s.b) == 0 {
		return r, errRows
	}
	if err := s.row(&r); err != nil {
		return r, err
	}
	if slices.ContainsFunc(s.b, func(b byte) bool { return b != 0 }) {
		return r, errRows
	}
	return r, nil
}

// DecodeValue reads a value that AppendValue has encoded. It must fill b.
func DecodeValue(b []byte) (Value, error) {
	s := Scanner{b: b}
	v, err := s.value()
	if err == nil && len(s.b) > 0 {
		err = errValue
	}
	return v, err
}

// ScanRow returns a Scanner for the row at the start of b, which has no header. The scanner does
// not verify checksums: use it for rows that were verified before.
func ScanRow(b []byte) (Scanner, error) {
	s := Scanner{b: b, trusted: true}
	return s, s.tag(tagRowKey)
}

// A Scanner reads the cells of a row: first its key, then its attributes.
type Scanner struct {
	b       []byte
	trusted bool
}

// Next reads the next cell of the key, or of the attributes after a call of Data, and reports
// whether there is one. Raw is its encoding, for AppendRaw.
func (s *Scanner) Next(c *Cell) (raw []byte, ok bool, err error) {
	if len(s.b) == 0 || s.b[0] != tagCell {
		return nil, false, nil
	}
	before := s.b
	if err := s.cell(c); err != nil {
		return nil, false, err
	}
	return before[:len(before)-len(s.b)], true, nil
}

// Data moves from the end of the key to the attributes, and reports whether there are any.
func (s *Scanner) Data() bool {
	if len(s.b) == 0 || s.b[0] != tagRowData {
		return false
	}
	s.b = s.b[1:]
	return true
}

func open(b []byte) (Scanner, error) {
	s := Scanner{b: b}
	n, err := s.uint32()
	if err != nil {
		return s, err
	}
	if n != header {
		return s, errHeader
	}
	return s, nil
}

func (s *Scanner) row(r *Row) (err error) {
	if err = s.tag(tagRowKey); err != nil {
		return err
	}
	crc := byte(0)
	if r.Key, crc, err = s.cells(crc); err != nil {
		return err
	}
	if s.Data() {
		if r.Cells, crc, err = s.cells(crc); err != nil {
			return err
		}
		if len(r.Cells) == 0 {
			return fmt.Errorf("row data without cells: %w", s.unexpected())
		}
	}
	marker := byte(0)
	if len(s.b) > 0 && s.b[0] == tagDeleteMarker {
		s.b, r.Deleted, marker = s.b[1:], true, 1
	}
	return s.checksum(tagRowChecksum, crc8Byte(crc, marker))
}

func (s *Scanner) cells(crc byte) ([]Cell, byte, error) {
	var cells []Cell
	for {
		var c Cell
		raw, ok, err := s.Next(&c)
		if err != nil || !ok {
			return cells, crc, err
		}
		if cells == nil {
			cells = make([]Cell, 0, 4)
		}
		cells = append(cells, c)
		crc = crc8Byte(crc, raw[len(raw)-1])
	}
}

func (s *Scanner) cell(c *Cell) (err error) {
	*c = Cell{}
	s.b = s.b[1:] // skip its tag
	if err = s.tag(tagCellName); err != nil {
		return err
	}
	if c.Name, err = s.bytes(); err != nil {
		return err
	}
	if c.HasValue = s.at(tagCellValue); c.HasValue {
		if c.Value, err = s.cellValue(); err != nil {
			return err
		}
	}
	if s.at(tagCellOp) {
		op, err := s.byte()
		if err != nil {
			return err
		}
		if c.Op = Op(op); c.Op != DeleteAll && c.Op != DeleteOne && c.Op != Increment {
			return fmt.Errorf("unknown operation %#x of a cell", op)
		}
	}
	if c.HasTimestamp = s.at(tagCellTime); c.HasTimestamp {
		n, err := s.uint64()
		if err != nil {
			return err
		}
		c.Timestamp = int64(n)
	}
	if s.trusted {
		return s.skipChecksum()
	}
	return s.checksum(tagCellChecksum, c.checksum())
}

// cellValue reads a value that has its length before it.
func (s *Scanner) cellValue() (Value, error) {
	total, err := s.uint32()
	if err != nil {
		return Value{}, err
	}
	before := len(s.b)
	v, err := s.value()
	if err == nil && uint64(total) != uint64(before-len(s.b)) {
		err = errTotal
	}
	return v, err
}

func (s *Scanner) value() (Value, error) {
	t, err := s.byte()
	if err != nil {
		return Value{}, err
	}
	v := Value{Type: Type(t)}
	switch v.Type {
	case Integer, Double:
		v.Bits, err = s.uint64()
	case Boolean:
		var b byte
		if b, err = s.byte(); err == nil && b > 1 {
			err = errBoolean
		}
		v.Bits = uint64(b)
	case String, Blob:
		v.Data, err = s.bytes()
	case Null, InfMin, InfMax, AutoIncrement:
	default:
		err = fmt.Errorf("unknown type %#x of a value", t)
	}
	return v, err
}

// at skips the given tag, and reports whether it comes next.
func (s *Scanner) at(tag byte) bool {
	if len(s.b) == 0 || s.b[0] != tag {
		return false
	}
	s.b = s.b[1:]
	return true
}

func (s *Scanner) tag(want byte) error {
	if !s.at(want) {
		return s.unexpected()
	}
	return nil
}

func (s *Scanner) unexpected() error {
	if len(s.b) == 0 {
		return errShort
	}
	return fmt.Errorf("unexpected tag %#x", s.b[0])
}

func (s *Scanner) checksum(tag, want byte) error {
	if err := s.tag(tag); err != nil {
		return err
	}
	got, err := s.byte()
	if err != nil {
		return err
	}
	if got != want {
		return ErrChecksum
	}
	return nil
}

func (s *Scanner) skipChecksum() error {
	if len(s.b) < 2 {
		return errShort
	}
	s.b = s.b[2:]
	return nil
}

func (s *Scanner) byte() (byte, error) {
	if len(s.b) < 1 {
		return 0, errShort
	}
	b := s.b[0]
	s.b = s.b[1:]
	return b, nil
}

func (s *Scanner) uint32() (uint32, error) {
	if len(s.b) < 4 {
		return 0, errShort
	}
	n := binary.LittleEndian.Uint32(s.b)
	s.b = s.b[4:]
	return n, nil
}

func (s *Scanner) uint64() (uint64, error) {
	if len(s.b) < 8 {
		return 0, errShort
	}
	n := binary.LittleEndian.Uint64(s.b)
	s.b = s.b[8:]
	return n, nil
}

// bytes reads a length and that many bytes, without copying them.
func (s *Scanner) bytes() ([]byte, error) {
	n, err := s.uint32()
	if err != nil {
		return nil, err
	}
	if uint64(n) > uint64(len(s.b)) {
		return nil, errShort
	}
	b := s.b[:n:n]
	s.b = s.b[n:]
	return b, nil
}

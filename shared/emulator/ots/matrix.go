package ots

import (
	"encoding/binary"
	"maps"
	"slices"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"

	"chatconf/shared/emulator/ots/plainbuffer"
)

// A matrix is a page as SimpleRowMatrix, which has each column name once. With few columns it is
// smaller than PlainBuffer, and faster to read. Each column has one version. Numbers are
// little-endian.
//
//	version                      4 bytes
//	offset of data               4 bytes
//	offset of options            4 bytes
//	number of key columns        4 bytes
//	number of attribute columns  4 bytes
//	names, options, data         see encode
//	checksum                     2 bytes
//
// It is described only by the Go SDK, which does not verify the checksum; it is written as 0.
type matrix struct {
	keyNames []string
	entire   bool // the whole primary key is returned
	names    map[string]bool
	cells    int // total number
	rows     []view
}

// maxSparse is how many places a matrix may have for each cell. A row has a place for every column
// name on the page, so many rows with few cells could need any size. Such a page is sent as
// PlainBuffer, which the protocol allows.
const maxSparse = 4

const (
	matrixVersion = 0x304d5253

	matrixChecksum = 1
	matrixRowTag   = 2
	matrixRowCount = 3
	matrixEntire   = 10
)

func newMatrix(t *table, s *selection) *matrix {
	m := &matrix{entire: s.keyColumns == nil, names: map[string]bool{}}
	for _, k := range t.Key {
		if m.entire || slices.Contains(s.keyColumns, k.Name) {
			m.keyNames = append(m.keyNames, k.Name)
		}
	}
	return m
}

// add implements collector. It keeps slices of the store, so bytes must be called within the same
// View.
func (m *matrix) add(r *row, s *selection) (size int, ok bool, err error) {
	v, size, ok, err := s.pick(r)
	if err != nil || !ok {
		return size, false, err
	}
	m.rows = append(m.rows, view{key: slices.Clone(v.key), cells: slices.Clone(v.cells)})
	m.cells += len(v.cells)
	for i := range v.cells {
		if name := v.cells[i].Name; !m.names[string(name)] {
			m.names[string(name)] = true
		}
	}
	return size, true, nil
}

func (m *matrix) bytes() ([]byte, otsprotocol.DataBlockType) {
	switch {
	case len(m.rows) == 0:
		return []byte{}, otsprotocol.DataBlockType_DBT_SIMPLE_ROW_MATRIX
	case len(m.rows)*len(m.names) > maxSparse*m.cells:
		return m.plain(), otsprotocol.DataBlockType_DBT_PLAIN_BUFFER
	}
	return m.encode(), otsprotocol.DataBlockType_DBT_SIMPLE_ROW_MATRIX
}

func (m *matrix) plain() []byte {
	b := plainbuffer.AppendHeader(nil)
	for i := range m.rows {
		b = m.rows[i].append(b)
	}
	return b
}

func (m *matrix) encode() []byte {
	names := slices.Sorted(maps.Keys(m.names))
	var b []byte
	for _, n := range []int{matrixVersion, 0, 0, len(m.keyNames), len(names)} {
		b = binary.LittleEndian.AppendUint32(b, uint32(n))
	}
	for _, name := range slices.Concat(m.keyNames, names) {
		b = binary.LittleEndian.AppendUint16(b, uint16(len(name)))
		b = append(b, name...)
	}
	binary.LittleEndian.PutUint32(b[8:], uint32(len(b)))
	b = append(b, matrixEntire, boolByte(m.entire), matrixRowCount)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(m.rows)))
	binary.LittleEndian.PutUint32(b[4:], uint32(len(b)))
	for i := range m.rows {
		b = appendMatrixRow(b, &m.rows[i], names)
	}
	return append(b, matrixChecksum, 0)
}

// appendMatrixRow appends a row with a place for each name. Names and the row's cells are sorted.
func appendMatrixRow(b []byte, r *view, names []string) []byte {
	b = append(b, matrixRowTag)
	for i := range r.key {
		b = plainbuffer.AppendValue(b, r.key[i].Value)
	}
	cells := r.cells
	for _, name := range names {
		v := plainbuffer.Value{Type: plainbuffer.Null}
		if len(cells) > 0 && string(cells[0].Name) == name {
			v, cells = cells[0].Value, cells[1:]
		}
		b = plainbuffer.AppendValue(b, v)
	}
	return b
}

package ots

import (
	"encoding/binary"
	"slices"

	"chatconf/shared/emulator/ots/plainbuffer"
)

// A matrix is a page as SimpleRowMatrix, in which the names of columns stand once: with few columns it is smaller than
// PlainBuffer, and quicker to read. A column has one version. Numbers are little-endian.
//
//	┌─────────┬──────────────┬────────────────┬──────────────┬─────────────────┬───────┬─────────┬──────┬──────────┐
//	│ version │ where data   │ where options  │ primary key  │ other columns   │ names │ options │ data │ checksum │
//	│ 4 bytes │ is: 4 bytes  │ are: 4 bytes   │ columns: 4   │ 4 bytes         │       │         │      │ 2 bytes  │
//	└─────────┴──────────────┴────────────────┴──────────────┴─────────────────┴───────┴─────────┴──────┴──────────┘
//
// The Go SDK is the only public description, and does not verify the checksum: it is written as 0.
type matrix struct {
	keyNames []string
	entire   bool // the primary key is there as a whole
	names    map[string]int
	rows     []matrixRow
}

type matrixRow struct {
	key   []plainbuffer.Value
	cells map[string]plainbuffer.Value
}

const (
	matrixVersion = 0x304d5253

	matrixChecksum = 1
	matrixRowTag   = 2
	matrixRowCount = 3
	matrixEntire   = 10
)

func newMatrix(t *table, s *selection) *matrix {
	m := &matrix{entire: s.keyColumns == nil, names: map[string]int{}}
	for _, k := range t.Key {
		if m.entire || slices.Contains(s.keyColumns, k.Name) {
			m.keyNames = append(m.keyNames, k.Name)
		}
	}
	return m
}

// add implements collector. What it keeps lies in the store, so that the page must end with the view of it.
func (m *matrix) add(r *row, s *selection) (size int, ok bool, err error) {
	v, size, ok, err := s.pick(r)
	if err != nil || !ok {
		return size, false, err
	}
	row := matrixRow{cells: make(map[string]plainbuffer.Value, len(v.cells))}
	for i := range v.key {
		row.key = append(row.key, v.key[i].Value)
	}
	for i := range v.cells {
		name := string(v.cells[i].Name)
		row.cells[name] = v.cells[i].Value
		m.names[name] = 0
	}
	m.rows = append(m.rows, row)
	return size, true, nil
}

// bytes implements collector.
func (m *matrix) bytes() []byte {
	if len(m.rows) == 0 {
		return []byte{}
	}
	names := make([]string, 0, len(m.names))
	for name := range m.names {
		names = append(names, name)
	}
	slices.Sort(names)
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
		b = m.rows[i].append(b, names)
	}
	return append(b, matrixChecksum, 0)
}

func (r *matrixRow) append(b []byte, names []string) []byte {
	b = append(b, matrixRowTag)
	for _, v := range r.key {
		b = plainbuffer.AppendValue(b, v)
	}
	for _, name := range names {
		v, ok := r.cells[name]
		if !ok {
			v = plainbuffer.Value{Type: plainbuffer.Null}
		}
		b = plainbuffer.AppendValue(b, v)
	}
	return b
}

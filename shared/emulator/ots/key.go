package ots

import (
	"encoding/binary"
	"unicode/utf8"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"

	"chatconf/shared/emulator/ots/plainbuffer"
)

// The key that a row is stored under orders rows as their primary keys are ordered: column by
// column, INF_MIN before all values and INF_MAX after them, integers by size, strings and binaries
// by their bytes. Each column is a byte that says which of the three it is, and then, of a value,
//
//	integer         8 bytes, big-endian, the sign bit flipped
//	string, binary  the bytes, 00 as 00 FF, and at the end 00 01: a prefix comes first, and no key is the beginning of another
const (
	keyMin   = 0x00
	keyValue = 0x01
	keyMax   = 0xFF
)

// maxKeyValue is the size in bytes of a string or binary in a primary key.
const maxKeyValue = 1024

// appendKey appends the stored form of the columns to b.
func appendKey(b []byte, columns []plainbuffer.Cell) []byte {
	for i := range columns {
		b = appendKeyColumn(b, columns[i].Value)
	}
	return b
}

// newKey returns the stored form of the columns.
func newKey(columns []plainbuffer.Cell) []byte {
	return appendKey(make([]byte, 0, keySize(columns)+8*len(columns)), columns)
}

func appendKeyColumn(b []byte, v plainbuffer.Value) []byte {
	switch v.Type {
	case plainbuffer.InfMin:
		return append(b, keyMin)
	case plainbuffer.InfMax:
		return append(b, keyMax)
	case plainbuffer.Integer:
		return binary.BigEndian.AppendUint64(append(b, keyValue), v.Bits^1<<63)
	}
	b = append(b, keyValue)
	for _, c := range v.Data {
		if b = append(b, c); c == 0 {
			b = append(b, 0xFF)
		}
	}
	return append(b, 0x00, 0x01)
}

// partition returns the beginning of a stored key that is its first column: what all rows of a
// partition share.
func (t *table) partition(key []byte) []byte {
	if t.Key[0].Type == otsprotocol.PrimaryKeyType_INTEGER {
		return key[:1+8]
	}
	for i := 1; i+1 < len(key); i++ {
		if key[i] != 0 {
			continue
		}
		if i++; key[i] == 0x01 {
			return key[:i+1]
		}
	}
	return key
}

// decodeKeyInt and decodeKeyBytes are the reverse of appendKeyColumn for one value.
func decodeKeyInt(column []byte) int64 { return int64(binary.BigEndian.Uint64(column[1:]) ^ 1<<63) }

func decodeKeyBytes(column []byte) []byte {
	var out []byte
	for i := 1; i+2 < len(column); i++ {
		if out = append(out, column[i]); column[i] == 0 {
			i++ // its escape
		}
	}
	return out
}

// A keyUse says what a primary key in a request is for, and so what may stand in it besides values.
type keyUse int

const (
	forRead  keyUse = iota // the key of one row
	forWrite               // likewise; AUTO_INCREMENT where the table has it
	forRange               // INF_MIN and INF_MAX too
)

// checkKey says whether the columns are a primary key of the table. The wording is that of the
// service.
func (t *table) checkKey(columns []plainbuffer.Cell, use keyUse) error {
	// The key of an index may have more columns than a table's.
	if err := checkKeyCells(columns, max(maxKeyColumns, len(t.Key)), use); err != nil {
		return err
	}
	return t.matchKey(columns)
}

// matchKey says whether the columns are those of the table's primary key.
func (t *table) matchKey(columns []plainbuffer.Cell) error {
	if len(columns) != len(t.Key) {
		return invalidKey("Validate PK size fail. Input: %d, Meta: %d.", len(columns), len(t.Key))
	}
	for i := range columns {
		if err := t.Key[i].check(&columns[i]); err != nil {
			return err
		}
	}
	return nil
}

// checkKeyCells checks what can be said of a primary key without its table.
func checkKeyCells(columns []plainbuffer.Cell, most int, use keyUse) error {
	switch {
	case len(columns) == 0:
		return invalid("Cell data broken, empty PK.")
	case len(columns) > most:
		return errKeySize
	}
	for i := range columns {
		if err := checkKeyCell(&columns[i], use); err != nil {
			return err
		}
	}
	return nil
}

// checkKeyCell checks what can be said of a key column without its table.
func checkKeyCell(c *plainbuffer.Cell, use keyUse) error {
	switch {
	case c.Op != 0:
		return invalid("OpType cannot be given for primary key name :%s.", c.Name)
	case c.HasTimestamp:
		return invalid("Timestamp cannot be given for primary key name:%s.", c.Name)
	case !c.HasValue:
		return invalid("No value is given for primary key name:%s.", c.Name)
	}
	switch v := c.Value; v.Type {
	case plainbuffer.Integer:
	case plainbuffer.String, plainbuffer.Blob:
		if len(v.Data) > maxKeyValue {
			return invalid("The length of primary key column: '%s' exceeds the MaxLength:%d with CurrentLength:%d.",
				c.Name, maxKeyValue, len(v.Data))
		}
		if v.Type == plainbuffer.String && !utf8.Valid(v.Data) {
			return invalid("Value of column '%s' must be UTF8 encoding.", c.Name)
		}
	case plainbuffer.InfMin, plainbuffer.InfMax:
		if use != forRange {
			return invalid("%s is an invalid type for the primary key.", v.Type)
		}
	case plainbuffer.AutoIncrement:
		if use != forWrite {
			return invalid("PKAutoIncr can't be used for read operations.")
		}
	default:
		return invalid("%s is an invalid type for the primary key.", v.Type)
	}
	return nil
}

// check says whether c is a value of the column.
func (k *keyColumn) check(c *plainbuffer.Cell) error {
	if string(c.Name) != k.Name {
		return invalidKey("Validate PK name fail. Input: %s, Meta: %s.", c.Name, k.Name)
	}
	switch c.Value.Type {
	case plainbuffer.InfMin, plainbuffer.InfMax:
		return nil
	case plainbuffer.AutoIncrement:
		if k.Auto {
			return nil
		}
	}
	if want := k.valueType(); c.Value.Type != want {
		return invalidKey("Validate PK type fail. Input: %s, Meta: %s.", c.Value.Type, want)
	}
	return nil
}

// keySize returns how many bytes the service counts for a primary key.
func keySize(columns []plainbuffer.Cell) int {
	n := 0
	for i := range columns {
		n += columns[i].Size()
	}
	return n
}

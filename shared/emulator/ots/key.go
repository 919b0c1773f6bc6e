package ots

import (
	"encoding/binary"
	"unicode/utf8"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"

	"chatconf/shared/emulator/ots/plainbuffer"
)

// Rows are stored under keys whose byte order is the order of primary keys: column by column, first
// INF_MIN, then values, then INF_MAX. Integers are ordered by size, strings and binaries bytewise.
// Each column is a byte for one of these three kinds; for a value, its encoding follows:
//
//	integer         8 bytes, big-endian, the sign bit flipped
//	string, binary  the bytes, with 00 written as 00 FF, then 00 01
//
// So a prefix comes first, and no key is the start of another one.
const (
	keyMin   = 0x00
	keyValue = 0x01
	keyMax   = 0xFF
)

// maxKeyValue is the largest size in bytes of a string or binary in a primary key.
const maxKeyValue = 1024

func appendKey(b []byte, columns []plainbuffer.Cell) []byte {
	for i := range columns {
		b = appendKeyColumn(b, columns[i].Value)
	}
	return b
}

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

// partition returns the start of a stored key that encodes the first column. All rows of a
// partition share it.
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

// decodeKeyInt and decodeKeyBytes decode one value from appendKeyColumn.
func decodeKeyInt(column []byte) int64 { return int64(binary.BigEndian.Uint64(column[1:]) ^ 1<<63) }

func decodeKeyBytes(column []byte) []byte {
	var out []byte
	for i := 1; i+2 < len(column); i++ {
		if out = append(out, column[i]); column[i] == 0 {
			i++ // skip the escape byte
		}
	}
	return out
}

// A keyUse is the purpose of a primary key, which decides about special values in it.
type keyUse int

const (
	forRead  keyUse = iota // the key of one row: no special values
	forWrite               // the key of one row: AUTO_INCREMENT where the table has it
	forRange               // the end of a range: INF_MIN and INF_MAX
)

// checkKey returns an error, with the service's text, if the columns are not a primary key of the
// table.
func (t *table) checkKey(columns []plainbuffer.Cell, use keyUse) error {
	// The key of an index may have more columns than a table's.
	if err := checkKeyCells(columns, max(maxKeyColumns, len(t.Key)), use); err != nil {
		return err
	}
	return t.matchKey(columns)
}

// matchKey compares names and types of the columns with the table's primary key.
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

// checkKeyCells checks everything about a primary key that does not depend on its table.
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

// check returns an error if c is not a value of the column.
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

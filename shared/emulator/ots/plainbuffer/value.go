package plainbuffer

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
)

// A Type is the type of a value.
type Type byte

// The types of values. The last three have no data: two ends of the order of primary keys, and a
// value that the server assigns.
const (
	Integer       Type = 0x0
	Double        Type = 0x1
	Boolean       Type = 0x2
	String        Type = 0x3
	Null          Type = 0x6
	Blob          Type = 0x7
	InfMin        Type = 0x9
	InfMax        Type = 0xA
	AutoIncrement Type = 0xB
)

var typeNames = map[Type]string{
	Integer: "VT_INTEGER", Double: "VT_DOUBLE", Boolean: "VT_BOOLEAN", String: "VT_STRING", Null: "VT_NULL",
	Blob:   "VT_BLOB",
	InfMin: "VT_INF_MIN", InfMax: "VT_INF_MAX", AutoIncrement: "VT_AUTO_INCREMENT",
}

// String returns the type's name in the service's messages.
func (t Type) String() string {
	if name, ok := typeNames[t]; ok {
		return name
	}
	return fmt.Sprintf("VT_%d", byte(t))
}

// A Value is the content of a cell.
type Value struct {
	Type Type
	Bits uint64 // of an Integer, a Double (IEEE 754) or a Boolean (0 or 1)
	Data []byte // of a String or a Blob
}

// IntegerValue returns n as a Value.
func IntegerValue(n int64) Value { return Value{Type: Integer, Bits: uint64(n)} }

// DoubleValue returns f as a Value.
func DoubleValue(f float64) Value { return Value{Type: Double, Bits: math.Float64bits(f)} }

// BooleanValue returns b as a Value.
func BooleanValue(b bool) Value {
	if b {
		return Value{Type: Boolean, Bits: 1}
	}
	return Value{Type: Boolean}
}

// StringValue returns s as a Value.
func StringValue(s string) Value { return Value{Type: String, Data: []byte(s)} }

// BlobValue returns b as a Value, without copying it.
func BlobValue(b []byte) Value { return Value{Type: Blob, Data: b} }

// Int returns the number of an Integer.
func (v Value) Int() int64 { return int64(v.Bits) }

// Float returns the number of a Double.
func (v Value) Float() float64 { return math.Float64frombits(v.Bits) }

// Size returns how many bytes the service counts for the value.
func (v Value) Size() int {
	switch v.Type {
	case Integer, Double:
		return 8
	case Boolean:
		return 1
	}
	return len(v.Data)
}

// Compare orders two values of the same type: numbers by size, false before true, strings and blobs
// bytewise. Ok is false for values of different types and for types without data.
func (v Value) Compare(w Value) (order int, ok bool) {
	if v.Type != w.Type {
		return 0, false
	}
	switch v.Type {
	case Integer:
		return cmp.Compare(v.Int(), w.Int()), true
	case Double:
		return cmp.Compare(v.Float(), w.Float()), true
	case Boolean:
		return cmp.Compare(v.Bits, w.Bits), true
	case String, Blob:
		return bytes.Compare(v.Data, w.Data), true
	}
	return 0, false
}

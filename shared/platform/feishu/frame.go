package feishu

import (
	"encoding/binary"
	"errors"
	"math"
)

// A frame is one message of a connection, in Protocol Buffers. The fields and their numbers are
// those of the official client; the first four are required.
// https://github.com/larksuite/oapi-sdk-go/blob/v3_main/ws/pbbp2.pb.go
type frame struct {
	seqID, logID    uint64   // 1, 2
	service, method int32    // 3, 4
	headers         []header // 5
	encoding, kind  string   // 6, 7: payload_encoding and payload_type
	payload         []byte   // 8
	newLogID        string   // 9
}

// A header is one header of a frame.
type header struct {
	key   string // 1
	value string // 2
}

// maxHeaders is more headers than a frame of Feishu has, which is about eight.
const maxHeaders = 64

// header returns the first header of this key, or an empty text.
func (f *frame) header(key string) string {
	for _, h := range f.headers {
		if h.key == key {
			return h.value
		}
	}
	return ""
}

// errFrame is the error of every frame that cannot be decoded.
var errFrame = errors.New("the message is not a valid frame")

// The wire types.
// https://protobuf.dev/programming-guides/encoding/#structure
const (
	wireVarint = 0
	wire64     = 1
	wireBytes  = 2
	wire32     = 5
)

// A field is a field of a message on the wire. The value of a varint is in number, that of bytes in
// bytes; other values are skipped.
type field struct {
	tag    uint64 // number and wire type
	number uint64
	bytes  []byte
}

// tag returns the tag of a field.
func tag(number, wire uint64) uint64 { return number<<3 | wire }

// cut reads the first field of a message, and returns the rest.
func cut(b []byte) (f field, rest []byte, err error) {
	if f.tag, b, err = cutVarint(b); err != nil || f.tag>>3 == 0 || f.tag>>3 > 1<<29-1 {
		return f, nil, errFrame
	}
	size := uint64(0)
	switch f.tag & 7 {
	case wireVarint:
		f.number, b, err = cutVarint(b)
	case wireBytes:
		size, b, err = cutVarint(b)
	case wire64:
		size = 8
	case wire32:
		size = 4
	default: // groups, which are no longer used
		err = errFrame
	}
	if err != nil || size > uint64(len(b)) {
		return f, nil, errFrame
	}
	f.bytes = b[:size:size]
	return f, b[size:], nil
}

func cutVarint(b []byte) (uint64, []byte, error) {
	v, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, nil, errFrame
	}
	return v, b[n:], nil
}

// decodeFrame reads a frame. It skips unknown fields, as Protocol Buffers demand. It refuses a
// known field of another wire type, one that is there twice, and a frame without the required ones.
// The frame shares memory with b.
func decodeFrame(b []byte) (*frame, error) {
	out, seen := new(frame), uint64(0)
	for len(b) > 0 {
		var f field
		var err error
		if f, b, err = cut(b); err != nil {
			return nil, err
		}
		switch f.tag {
		case tag(1, wireVarint):
			out.seqID = f.number
		case tag(2, wireVarint):
			out.logID = f.number
		case tag(3, wireVarint):
			out.service, err = signed(f.number)
		case tag(4, wireVarint):
			out.method, err = signed(f.number)
		case tag(5, wireBytes):
			err = out.decodeHeader(f.bytes)
		case tag(6, wireBytes):
			out.encoding = string(f.bytes)
		case tag(7, wireBytes):
			out.kind = string(f.bytes)
		case tag(8, wireBytes):
			out.payload = f.bytes
		case tag(9, wireBytes):
			out.newLogID = string(f.bytes)
		default:
			if f.tag>>3 <= 9 {
				return nil, errFrame
			}
			continue
		}
		bit := uint64(1) << (f.tag >> 3)
		if err != nil || seen&bit != 0 && f.tag != tag(5, wireBytes) {
			return nil, errFrame
		}
		seen |= bit
	}
	const required = 1<<1 | 1<<2 | 1<<3 | 1<<4
	if seen&required != required {
		return nil, errFrame
	}
	return out, nil
}

// signed returns an int32, which is a varint of 64 bits with its sign.
func signed(v uint64) (int32, error) {
	n := int64(v)
	if n < math.MinInt32 || n > math.MaxInt32 {
		return 0, errFrame
	}
	return int32(n), nil
}

func (f *frame) decodeHeader(b []byte) error {
	var h header
	var hasKey, hasValue bool
	for len(b) > 0 {
		var in field
		var err error
		if in, b, err = cut(b); err != nil {
			return err
		}
		switch {
		case in.tag == tag(1, wireBytes) && !hasKey:
			h.key, hasKey = string(in.bytes), true
		case in.tag == tag(2, wireBytes) && !hasValue:
			h.value, hasValue = string(in.bytes), true
		case in.tag>>3 <= 2:
			return errFrame
		}
	}
	if !hasKey || !hasValue || len(f.headers) == maxHeaders {
		return errFrame
	}
	f.headers = append(f.headers, h)
	return nil
}

// encode writes the frame as the official client does: optional texts even if they are empty.
func (f *frame) encode() []byte {
	b := make([]byte, 0, 256+len(f.payload))
	b = appendNumber(b, 1, f.seqID)
	b = appendNumber(b, 2, f.logID)
	b = appendNumber(b, 3, uint64(int64(f.service)))
	b = appendNumber(b, 4, uint64(int64(f.method)))
	for _, h := range f.headers {
		b = appendBytes(b, 5, appendBytes(appendBytes(nil, 1, h.key), 2, h.value))
	}
	b = appendBytes(b, 6, f.encoding)
	b = appendBytes(b, 7, f.kind)
	if f.payload != nil {
		b = appendBytes(b, 8, f.payload)
	}
	return appendBytes(b, 9, f.newLogID)
}

func appendNumber(b []byte, number, v uint64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(b, tag(number, wireVarint)), v)
}

func appendBytes[T string | []byte](b []byte, number uint64, v T) []byte {
	b = binary.AppendUvarint(b, tag(number, wireBytes))
	return append(binary.AppendUvarint(b, uint64(len(v))), v...)
}

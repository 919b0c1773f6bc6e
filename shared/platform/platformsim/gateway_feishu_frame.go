package platformsim

import (
	"encoding/binary"
	"errors"
	"unicode/utf8"
)

// A feishuFrame is what travels over a connection of Feishu, in Protocol Buffers.
// https://github.com/larksuite/oapi-sdk-go/blob/v3_main/ws/pbbp2.pb.go
type feishuFrame struct {
	Sequence, Log   uint64
	Service, Method int32
	Headers         []feishuHeader
	Encoding, Type  string
	Payload         []byte
	NewLog          string
}

// A feishuHeader is a header of a frame.
type feishuHeader struct{ Key, Value string }

// The numbers of a frame's fields.
const (
	feishuSequence = iota + 1
	feishuLog
	feishuService
	feishuMethod
	feishuHeaders
	feishuEncoding
	feishuType
	feishuPayload
	feishuNewLog
)

// The kinds of a field on the wire, which are the last three bits of its tag.
// https://protobuf.dev/programming-guides/encoding/#structure
const (
	wireNumber = 0
	wireEight  = 1
	wireBytes  = 2
	wireFour   = 5
)

// header returns the first value of a header, or an empty text.
func (f *feishuFrame) header(key string) string {
	for _, h := range f.Headers {
		if h.Key == key {
			return h.Value
		}
	}
	return ""
}

// bytes encodes a frame.
func (f *feishuFrame) bytes() []byte {
	b := putNumber(nil, feishuSequence, f.Sequence)
	b = putNumber(b, feishuLog, f.Log)
	b = putNumber(b, feishuService, uint64(int64(f.Service))) // a negative number has ten bytes
	b = putNumber(b, feishuMethod, uint64(int64(f.Method)))
	for _, h := range f.Headers {
		b = putBytes(b, feishuHeaders, putBytes(putBytes(nil, 1, []byte(h.Key)), 2, []byte(h.Value)))
	}
	if f.Encoding != "" {
		b = putBytes(b, feishuEncoding, []byte(f.Encoding))
	}
	if f.Type != "" {
		b = putBytes(b, feishuType, []byte(f.Type))
	}
	if f.Payload != nil {
		b = putBytes(b, feishuPayload, f.Payload)
	}
	if f.NewLog != "" {
		b = putBytes(b, feishuNewLog, []byte(f.NewLog))
	}
	return b
}

func putNumber(b []byte, number int, value uint64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(b, uint64(number)<<3|wireNumber), value)
}

func putBytes(b []byte, number int, value []byte) []byte {
	b = binary.AppendUvarint(b, uint64(number)<<3|wireBytes)
	return append(binary.AppendUvarint(b, uint64(len(value))), value...)
}

// errFrame is the error of bytes that are not a frame.
var errFrame = errors.New("it is not a frame in Protocol Buffers")

// A wireField is a field of a message. It has a number or bytes, by its kind.
type wireField struct {
	tag, kind int
	number    uint64
	bytes     []byte
}

// eachField calls a function with each field of a message.
func eachField(b []byte, do func(wireField) error) error {
	for len(b) > 0 {
		tag, n := binary.Uvarint(b)
		if n <= 0 || tag>>3 == 0 || tag>>3 > 1<<29-1 {
			return errFrame
		}
		b = b[n:]
		f := wireField{tag: int(tag >> 3), kind: int(tag & 7)}
		size := uint64(0)
		switch f.kind {
		case wireNumber, wireBytes:
			if f.number, n = binary.Uvarint(b); n <= 0 {
				return errFrame
			}
			if b = b[n:]; f.kind == wireBytes {
				size = f.number
			}
		case wireEight:
			size = 8
		case wireFour:
			size = 4
		default:
			return errFrame
		}
		if size > uint64(len(b)) {
			return errFrame
		}
		f.bytes, b = b[:size], b[size:]
		if err := do(f); err != nil {
			return err
		}
	}
	return nil
}

// readFeishuFrame decodes a frame. It ignores unknown fields. The first four fields are required.
func readFeishuFrame(b []byte) (*feishuFrame, error) {
	f, seen := new(feishuFrame), uint(0)
	err := eachField(b, func(w wireField) error {
		if w.tag > feishuNewLog {
			return nil
		}
		if (w.tag <= feishuMethod) != (w.kind == wireNumber) || w.kind != wireNumber && w.kind != wireBytes {
			return errFrame
		}
		seen |= 1 << w.tag
		switch w.tag {
		case feishuSequence:
			f.Sequence = w.number
		case feishuLog:
			f.Log = w.number
		case feishuService:
			f.Service = int32(w.number)
		case feishuMethod:
			f.Method = int32(w.number)
		case feishuHeaders:
			h, err := readFeishuHeader(w.bytes)
			f.Headers = append(f.Headers, h)
			return err
		case feishuEncoding:
			return readText(&f.Encoding, w.bytes)
		case feishuType:
			return readText(&f.Type, w.bytes)
		case feishuPayload:
			f.Payload = append([]byte{}, w.bytes...)
		case feishuNewLog:
			return readText(&f.NewLog, w.bytes)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	const required = 1<<feishuSequence | 1<<feishuLog | 1<<feishuService | 1<<feishuMethod
	if seen&required != required {
		return nil, errors.New("the frame lacks SeqID, LogID, service or method")
	}
	return f, nil
}

// readFeishuHeader decodes a header. It must have its key and its value.
func readFeishuHeader(b []byte) (feishuHeader, error) {
	var h feishuHeader
	seen := 0
	err := eachField(b, func(w wireField) error {
		switch {
		case w.tag > 2:
			return nil
		case w.kind != wireBytes:
			return errFrame
		case w.tag == 1:
			seen |= 1
			return readText(&h.Key, w.bytes)
		default:
			seen |= 2
			return readText(&h.Value, w.bytes)
		}
	})
	if err == nil && seen != 3 {
		err = errors.New("a header of the frame lacks its key or its value")
	}
	return h, err
}

func readText(to *string, b []byte) error {
	if !utf8.Valid(b) {
		return errFrame
	}
	*to = string(b)
	return nil
}

package file

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"chatconf/shared/table"
)

// Each table is a bucket of the file, and each item a row of it. Numbers are big-endian.
//
//	key    ┌─────────┬─────────────┬──────────┐
//	       │ n       │ partition   │ sort key │
//	       │ 2 bytes │ n bytes     │ the rest │
//	       └─────────┴─────────────┴──────────┘
//	value  ┌─────────┬─────────┬──────────┬─────────┬─────────┬──────────┐
//	       │ format  │ CRC-32C │ revision │ count   │ written │ value    │
//	       │ 1 byte  │ 4 bytes │ 8 bytes  │ 8 bytes │ 8 bytes │ the rest │
//	       └─────────┴─────────┴──────────┴─────────┴─────────┴──────────┘
//
// So the items of a partition are together, in the byte order of their sort keys, and every key is
// unique. The CRC covers the key and the fields after it. written is in milliseconds since 1970.
const (
	bucketPrefix = "table/" // of a table's bucket, before its name

	rowFormat  = 1
	rowHeader  = 1 + 4 + 8 + 8 + 8
	crcEnd     = 1 + 4
	partitionN = 2
)

// The CRC finds damage in a row; bbolt has no checksums. The table is made at its first use, which
// spares programs that only link this package.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

var errRow = errors.New("damaged row")

// A row is a stored item without its key. Its value may be memory of the mapped file.
type row struct {
	revision int64
	count    int64
	written  int64 // milliseconds since 1970
	value    []byte
}

// appendKey appends the key of an item to b, or a prefix of keys if sort is a prefix of sort keys.
func appendKey(b []byte, partition, sort string) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(partition)))
	b = append(b, partition...)
	return append(b, sort...)
}

// splitKey is the reverse of appendKey. Its results share memory with key.
func splitKey(key []byte) (partition, sort []byte, err error) {
	if len(key) < partitionN {
		return nil, nil, errRow
	}
	n := int(binary.BigEndian.Uint16(key))
	if n == 0 || n > table.MaxKey || len(key) <= partitionN+n || len(key) > partitionN+n+table.MaxKey {
		return nil, nil, errRow
	}
	return key[partitionN : partitionN+n], key[partitionN+n:], nil
}

func encodeRow(key []byte, r row) []byte {
	b := make([]byte, crcEnd, rowHeader+len(r.value))
	b[0] = rowFormat
	b = binary.BigEndian.AppendUint64(b, uint64(r.revision))
	b = binary.BigEndian.AppendUint64(b, uint64(r.count))
	b = binary.BigEndian.AppendUint64(b, uint64(r.written))
	b = append(b, r.value...)
	binary.BigEndian.PutUint32(b[1:], rowCRC(key, b))
	return b
}

// decodeRow is the reverse of encodeRow. All other bytes are an error, which names the key. The
// row's value shares memory with b.
func decodeRow(key, b []byte) (row, error) {
	partition, sort, err := splitKey(key)
	switch {
	case err != nil:
		return row{}, fmt.Errorf("row %.80q: %w: its key is malformed", key, errRow)
	case len(b) < rowHeader || len(b) > rowHeader+table.MaxValue || b[0] != rowFormat:
		return row{}, fmt.Errorf("item %q of %q: %w: its %d bytes are malformed", sort, partition, errRow, len(b))
	case binary.BigEndian.Uint32(b[1:]) != rowCRC(key, b):
		return row{}, fmt.Errorf("item %q of %q: %w: its checksum is wrong", sort, partition, errRow)
	}
	return row{
		revision: int64(binary.BigEndian.Uint64(b[5:])),
		count:    int64(binary.BigEndian.Uint64(b[13:])),
		written:  int64(binary.BigEndian.Uint64(b[21:])),
		value:    b[rowHeader:],
	}, nil
}

func rowCRC(key, b []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli()), castagnoli(), b[crcEnd:])
}

func (r row) item(k table.Key) table.Item {
	item := table.Item{Key: k, Revision: r.revision, Count: r.count, Written: time.UnixMilli(r.written).UTC()}
	if len(r.value) > 0 {
		item.Value = bytes.Clone(r.value)
	}
	return item
}

// after returns the first key behind all keys with the prefix. There always is one, because no
// partition has 65535 bytes.
func after(prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] != 0xFF {
			b := bytes.Clone(prefix[:i+1])
			b[i]++
			return b
		}
	}
	return nil
}

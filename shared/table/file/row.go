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
//	       │ n       │ partition   │ sort key │   ordered as (n, partition, sort key): a partition lies together, its items
//	       │ 2 bytes │ n bytes     │ the rest │   in the byte order of their sort keys, and no key is two items'
//	       └─────────┴─────────────┴──────────┘
//	value  ┌─────────┬─────────┬──────────┬─────────┬─────────┬──────────┐
//	       │ format  │ CRC-32C │ revision │ count   │ written │ value    │   written is in milliseconds since 1970; the CRC
//	       │ 1 byte  │ 4 bytes │ 8 bytes  │ 8 bytes │ 8 bytes │ the rest │   is of the key and of all that follows it here
//	       └─────────┴─────────┴──────────┴─────────┴─────────┴──────────┘
const (
	bucketPrefix = "table/" // of a table's bucket, before its name

	rowFormat  = 1
	rowHeader  = 1 + 4 + 8 + 8 + 8
	crcEnd     = 1 + 4
	partitionN = 2
)

// bbolt has no checksums of its own: this one finds what a bad disk or a wrong hand has done to a
// row. The table is made when it is first needed: programs that link this package for the sake of
// another start without it.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

var errRow = errors.New("damaged row")

// A row is what is stored of an item, without its key. Its value may lie in the mapped file.
type row struct {
	revision int64
	count    int64
	written  int64 // milliseconds since 1970
	value    []byte
}

// appendKey appends the key of an item to b. With a prefix of a sort key it makes the prefix of the
// keys.
func appendKey(b []byte, partition, sort string) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(partition)))
	b = append(b, partition...)
	return append(b, sort...)
}

// splitKey is the reverse of appendKey. Its results lie in key.
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

// encodeRow returns the stored form of r under key.
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

// decodeRow is the reverse of encodeRow. It takes only what encodeRow makes; the error names the
// key. The row's value lies in b.
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

// item returns a copy of the row as the item under k.
func (r row) item(k table.Key) table.Item {
	item := table.Item{Key: k, Revision: r.revision, Count: r.count, Written: time.UnixMilli(r.written).UTC()}
	if len(r.value) > 0 {
		item.Value = bytes.Clone(r.value)
	}
	return item
}

// after returns the first key that is beyond all that begin with prefix. The length of a partition
// is never 65535, so that there always is one.
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

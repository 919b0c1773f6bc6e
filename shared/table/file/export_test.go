package file

import (
	"bytes"

	"chatconf/shared/bolt"
)

// Recode decodes a row and encodes what it means again, and reports whether it was one.
func Recode(key, b []byte) (again []byte, err error) {
	r, err := decodeRow(key, b)
	if err != nil {
		return nil, err
	}
	partition, sort, err := splitKey(key)
	if err != nil {
		return nil, err
	}
	if again := appendKey(nil, string(partition), string(sort)); !bytes.Equal(again, key) {
		return again, nil
	}
	return encodeRow(key, r), nil
}

// Row returns a stored row.
func Row(partition, sort string, revision, count, written int64, value []byte) (key, b []byte) {
	key = appendKey(nil, partition, sort)
	return key, encodeRow(key, row{revision: revision, count: count, written: written, value: value})
}

// Engine returns the file's engine, to do in it what no Write does.
func (db *DB) Engine() *bolt.DB { return db.bolt }

// Bucket returns the name of the table's bucket.
func (t *Table) Bucket() string { return t.bucket }

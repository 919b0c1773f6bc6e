package ots

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"

	"chatconf/shared/bolt"
	"chatconf/shared/emulator/ots/plainbuffer"
)

// A table is the definition of one table or index. It is immutable: a changed definition is a new
// table.
type table struct {
	Instance string
	Name     string
	Key      []keyColumn
	Defined  []definedColumn `json:",omitempty"`

	TTL           int32 // seconds; -1 is unlimited
	MaxVersions   int32
	Deviation     int64                        // seconds
	BloomFilter   *otsprotocol.BloomFilterType `json:",omitempty"`
	BlockSize     *int32                       `json:",omitempty"`
	AllowUpdate   *bool                        `json:",omitempty"`
	UpdateFullRow *bool                        `json:",omitempty"`

	Created int64 `json:",omitempty"` // microseconds since 1970; 0 in older files

	Read, Write int32 // reserved throughput
	Increased   int64 // when it was last raised, seconds since 1970; Decreased: when it was last lowered
	Decreased   int64 `json:",omitempty"`

	Stream     *otsprotocol.StreamDetails `json:",omitempty"`
	Encryption *otsprotocol.SSEDetails    `json:",omitempty"`
	LocalTxn   bool                       `json:",omitempty"`

	Main  string `json:",omitempty"` // of an index: its table
	Index *index `json:",omitempty"` // of an index: its definition

	indexes []*table // of a table, in order of creation
}

// A keyColumn is one column of a primary key.
type keyColumn struct {
	Name string
	Type otsprotocol.PrimaryKeyType
	Auto bool `json:",omitempty"` // AUTO_INCREMENT
}

// A definedColumn is an attribute column with a declared type.
type definedColumn struct {
	Name string
	Type otsprotocol.DefinedColumnType
}

func (k *keyColumn) valueType() plainbuffer.Type {
	switch k.Type {
	case otsprotocol.PrimaryKeyType_INTEGER:
		return plainbuffer.Integer
	case otsprotocol.PrimaryKeyType_BINARY:
		return plainbuffer.Blob
	}
	return plainbuffer.String
}

func (t *table) isKey(name string) bool { return t.keyIndex(name) >= 0 }

func (t *table) keyIndex(name string) int {
	for i := range t.Key {
		if t.Key[i].Name == name {
			return i
		}
	}
	return -1
}

func (t *table) defined(name string) *definedColumn {
	for i := range t.Defined {
		if t.Defined[i].Name == name {
			return &t.Defined[i]
		}
	}
	return nil
}

// autoColumn returns the position of the AUTO_INCREMENT column, or -1.
func (t *table) autoColumn() int {
	for i := range t.Key {
		if t.Key[i].Auto {
			return i
		}
	}
	return -1
}

// expiry returns the time in milliseconds since 1970 at or before which cells have expired.
func (t *table) expiry(now time.Time) int64 {
	if t.TTL < 0 {
		return minTime
	}
	return now.UnixMilli() - int64(t.TTL)*1000
}

// The store keeps all definitions as JSON in one bucket, and the rows of each table in a bucket of
// its own. Names of instances and tables contain no slash.
const (
	catalogBucket = "catalog"
	counterBucket = "counters" // the last AUTO_INCREMENT value of each table
	rowsPrefix    = "rows/"
)

func tableID(instance, name string) string { return instance + "/" + name }

func (t *table) id() string     { return tableID(t.Instance, t.Name) }
func (t *table) bucket() string { return rowsPrefix + t.id() }

func (t *table) save(tx *bolt.Tx) error {
	b, err := json.Marshal(t)
	if err != nil {
		return fmt.Errorf("ots: save table %s: %w", t.id(), err)
	}
	catalog, err := tx.CreateBucket(catalogBucket)
	if err != nil {
		return err
	}
	return catalog.Put([]byte(t.id()), b)
}

func (t *table) create(tx *bolt.Tx) error {
	if _, err := tx.CreateBucket(t.bucket()); err != nil {
		return err
	}
	return t.save(tx)
}

func (t *table) remove(tx *bolt.Tx) error {
	if err := tx.DeleteBucket(t.bucket()); err != nil {
		return err
	}
	if err := t.removeStream(tx); err != nil {
		return err
	}
	if err := tx.Bucket(counterBucket).Delete([]byte(t.id())); err != nil {
		return err
	}
	return tx.Bucket(catalogBucket).Delete([]byte(t.id()))
}

func loadTables(st *bolt.DB) (map[string]*table, error) {
	tables := map[string]*table{}
	err := st.View(func(tx *bolt.Tx) error {
		c := tx.Bucket(catalogBucket).Cursor()
		for k, v := c.Seek([]byte{0}); k != nil; k, v = c.Next() {
			t := new(table)
			if err := json.Unmarshal(v, t); err != nil {
				return fmt.Errorf("ots: table %q: %w", k, err)
			}
			tables[string(k)] = t
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, t := range tables {
		if main := tables[tableID(t.Instance, t.Main)]; t.Index != nil && main != nil {
			main.indexes = append(main.indexes, t)
		}
	}
	for _, t := range tables {
		sortIndexes(t.indexes)
	}
	return tables, nil
}

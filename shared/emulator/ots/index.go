package ots

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"

	"chatconf/shared/bolt"
	"chatconf/shared/emulator/ots/plainbuffer"
)

// maxIndexKey is how many key columns the definition of an index may name, and maxIndexColumns how
// many attributes.
const (
	maxIndexKey     = 4
	maxIndexColumns = 32
)

// An index is the definition of an index. Its rows change in the same commit as those of the main
// table. The service promises that for local indexes, and less for global ones.
type index struct {
	Key     []string // as requested, without the main table's remaining key columns
	Defined []string
	Type    otsprotocol.IndexType
	Mode    otsprotocol.IndexUpdateMode
	Phase   otsprotocol.IndexSyncPhase
	Created int64 // its position among the indexes of the table
}

func sortIndexes(indexes []*table) {
	slices.SortFunc(indexes, func(a, b *table) int { return cmp.Compare(a.Index.Created, b.Index.Created) })
}

// checkIndex checks everything about an index that does not depend on its table.
func checkIndex(m *otsprotocol.IndexMeta) error {
	switch n := len(m.PrimaryKey); {
	case n == 0 || n > maxIndexKey:
		return invalid("The number of primary key columns must be in range: [1, %d] in index.", maxIndexKey)
	case len(m.DefinedColumn) > maxIndexColumns:
		return invalid("The number of attribute columns must be in range: [0, %d] in index.", maxIndexColumns)
	}
	return checkTableName(m.GetName())
}

// newIndex checks the definition of an index, and returns the index.
func (t *table) newIndex(m *otsprotocol.IndexMeta) (*table, error) {
	if err := checkIndex(m); err != nil {
		return nil, err
	}
	ix := &table{
		Instance: t.Instance, Name: m.GetName(), Main: t.Name,
		TTL: t.TTL, MaxVersions: 1, Deviation: t.Deviation, Created: t.Created, Increased: t.Increased,
		Index: &index{
			Key: m.PrimaryKey, Defined: m.DefinedColumn, Type: m.GetIndexType(), Mode: m.GetIndexUpdateMode(),
			Phase: otsprotocol.IndexSyncPhase_ISP_INCR, Created: int64(len(t.indexes)),
		},
	}
	if n := len(t.indexes); n > 0 {
		ix.Index.Created = t.indexes[n-1].Index.Created + 1
	}
	if err := t.checkIndexable(); err != nil {
		return nil, err
	}
	if err := ix.setIndexKey(t); err != nil {
		return nil, err
	}
	return ix, ix.setIndexColumns(t)
}

// checkIndexable returns an error if the table cannot have another index. The service's wording is
// not known.
func (t *table) checkIndexable() error {
	switch {
	case t.MaxVersions != 1:
		return invalid("Table with secondary index must have max versions 1.")
	case t.TTL != -1 && (t.AllowUpdate == nil || *t.AllowUpdate):
		return invalid("Table with secondary index must have time to live -1, or must not allow updates.")
	case len(t.indexes) >= maxIndexes:
		return invalid("Number of index per table exceeds the quota:%d.", maxIndexes)
	}
	return nil
}

// setIndexKey sets the primary key: the requested columns, then the main table's remaining ones.
func (t *table) setIndexKey(main *table) error {
	names := t.Index.Key
	if t.Index.Type == otsprotocol.IndexType_IT_LOCAL_INDEX && names[0] != main.Key[0].Name {
		// The service's wording is not known.
		return invalid("The first primary key column of a local index must be that of the table.")
	}
	for _, name := range names {
		column, err := main.indexKeyColumn(name)
		if err != nil {
			return err
		}
		if t.isKey(name) {
			return invalid("Duplicated primary key name: '%s'.", name)
		}
		t.Key = append(t.Key, column)
	}
	for _, column := range main.Key {
		if !t.isKey(column.Name) {
			t.Key = append(t.Key, keyColumn{Name: column.Name, Type: column.Type})
		}
	}
	return nil
}

// indexKeyColumn returns the column with the given name for the primary key of an index.
func (t *table) indexKeyColumn(name string) (keyColumn, error) {
	if i := t.keyIndex(name); i >= 0 {
		return keyColumn{Name: name, Type: t.Key[i].Type}, nil
	}
	d := t.defined(name)
	if d == nil {
		return keyColumn{}, invalid("Column does not exist:%s.", name)
	}
	switch d.Type {
	case otsprotocol.DefinedColumnType_DCT_INTEGER:
		return keyColumn{Name: name, Type: otsprotocol.PrimaryKeyType_INTEGER}, nil
	case otsprotocol.DefinedColumnType_DCT_STRING:
		return keyColumn{Name: name, Type: otsprotocol.PrimaryKeyType_STRING}, nil
	case otsprotocol.DefinedColumnType_DCT_BLOB:
		return keyColumn{Name: name, Type: otsprotocol.PrimaryKeyType_BINARY}, nil
	}
	return keyColumn{}, invalid("Invalid column type, only STRING,INTEGER,BINARY is allowed.")
}

func (t *table) setIndexColumns(main *table) error {
	for _, name := range t.Index.Defined {
		d := main.defined(name)
		switch {
		case d == nil:
			return invalid("Column does not exist:%s.", name)
		case t.isKey(name):
			return invalid("Duplicated attribute column name with primary key column: '%s'.", name)
		}
		t.Defined = append(t.Defined, *d)
	}
	return nil
}

func (t *table) indexMeta() *otsprotocol.IndexMeta {
	return &otsprotocol.IndexMeta{
		Name: &t.Name, PrimaryKey: t.Index.Key, DefinedColumn: t.Index.Defined,
		IndexUpdateMode: &t.Index.Mode, IndexType: &t.Index.Type, IndexSyncPhase: &t.Index.Phase,
	}
}

// reindex updates the indexes for a row that changes from before to after. Either is nil for an
// absent row.
func (t *table) reindex(tx *bolt.Tx, key, before, after []byte) error {
	type entry struct {
		ix              *table
		old, key, value []byte
	}
	entries := make([]entry, 0, len(t.indexes))
	for _, ix := range t.indexes {
		old, _, err := ix.entry(key, before)
		if err != nil {
			return err
		}
		k, v, err := ix.entry(key, after)
		if err != nil {
			return err
		}
		entries = append(entries, entry{ix, old, k, v})
	}
	for _, e := range entries { // in a second loop, because a change invalidates the slices read
		b := tx.Bucket(e.ix.bucket())
		if e.old != nil && !bytes.Equal(e.old, e.key) {
			if err := b.Delete(e.old); err != nil {
				return err
			}
		}
		if e.key != nil {
			if err := b.Put(e.key, e.value); err != nil {
				return err
			}
		}
	}
	return nil
}

// entry returns the index row for a stored row of the main table. The key is nil if the row lacks a
// column of the index's key.
func (t *table) entry(mainKey, stored []byte) (key, value []byte, err error) {
	r, err := readRow(mainKey, stored, minTime)
	if err != nil || !r.exists() {
		return nil, nil, err
	}
	main, err := r.content()
	if err != nil {
		return nil, nil, err
	}
	var out plainbuffer.Row
	for i := range t.Key {
		c, ok := findCell(&main, t.Key[i].Name)
		if !ok || c.Value.Type != t.Key[i].valueType() || len(c.Value.Data) > maxKeyValue {
			return nil, nil, nil
		}
		out.Key = append(out.Key, plainbuffer.Cell{Name: c.Name, Value: c.Value, HasValue: true})
	}
	for i := range t.Defined {
		if c, ok := findCell(&main, t.Defined[i].Name); ok {
			out.Cells = append(out.Cells, c)
		}
	}
	out.Cells = sortCells(out.Cells)
	key = newKey(out.Key)
	return key, encodeRow(key, &out, r.written), nil
}

// findCell returns the newest version of an attribute, or a primary key column.
func findCell(r *plainbuffer.Row, name string) (plainbuffer.Cell, bool) {
	for _, cells := range [2][]plainbuffer.Cell{r.Key, r.Cells} {
		for i := range cells {
			if string(cells[i].Name) == name {
				return cells[i], true
			}
		}
	}
	return plainbuffer.Cell{}, false
}

// fill adds the rows of a new index for all rows of the main table. It seeks again after each put,
// because a put invalidates the cursor.
func (t *table) fill(tx *bolt.Tx, main *table) error {
	rows, entries := tx.Bucket(main.bucket()), tx.Bucket(t.bucket())
	c := rows.Cursor()
	for k, v := c.Seek([]byte{0}); k != nil; {
		k = bytes.Clone(k)
		key, value, err := t.entry(k, v)
		if err != nil {
			return err
		}
		if key != nil {
			if err := entries.Put(key, value); err != nil {
				return err
			}
		}
		c = rows.Cursor()
		if _, v = c.Seek(k); v == nil {
			return nil
		}
		k, v = c.Next()
	}
	return nil
}

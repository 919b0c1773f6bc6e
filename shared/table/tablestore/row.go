package tablestore

import (
	"time"

	"chatconf/shared/table"

	sdk "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
)

// The columns to read: the others cost nothing.
var (
	itemColumns  = []string{valueColumn, revisionColumn, countColumn, writtenColumn}
	traceColumns = []string{revisionColumn, writtenColumn, writeColumn}
	allColumns   = []string{valueColumn, revisionColumn, countColumn, writtenColumn, writeColumn}
)

// A row is a stored item without its key. The zero row does not exist.
type row struct {
	exists   bool
	value    []byte
	revision int64
	count    int64
	written  int64 // milliseconds since 1970
	write    int64
}

// decodeRow returns the row with the given columns. A row that this package did not write is an
// error.
func decodeRow(k table.Key, columns []*sdk.AttributeColumn) (row, error) {
	r := row{exists: true}
	var revision, written bool
	for _, c := range columns {
		ok := true
		switch c.ColumnName {
		case valueColumn:
			r.value, ok = c.Value.([]byte)
		case revisionColumn:
			r.revision, ok = c.Value.(int64)
			revision = true
		case countColumn:
			r.count, ok = c.Value.(int64)
		case writtenColumn:
			r.written, ok = c.Value.(int64)
			written = true
		case writeColumn:
			r.write, ok = c.Value.(int64)
		}
		if !ok {
			return row{}, foreign(k, "column "+c.ColumnName+" has a wrong type")
		}
	}
	if !revision || !written {
		return row{}, foreign(k, "it has no "+revisionColumn+" or no "+writtenColumn)
	}
	return r, nil
}

// foreign returns the failure for a row that this package did not write.
func foreign(k table.Key, why string) *failure {
	return &failure{fate: hopeless, text: "tablestore: row " + quote(k.Sort) + " of " +
		quote(k.Partition) + " is not an item: " + why}
}

func (r row) item(k table.Key) table.Item {
	item := table.Item{Key: k, Revision: r.revision, Count: r.count, Written: time.UnixMilli(r.written).UTC()}
	if len(r.value) > 0 {
		item.Value = r.value
	}
	return item
}

// cutoff returns a time in milliseconds: items written until then have expired.
func (t *Table) cutoff() int64 {
	return t.now().Add(-t.ttl).UnixMilli()
}

// alive reports whether r exists and has not expired.
func (t *Table) alive(r row, cutoff int64) bool {
	return r.exists && (t.ttl == 0 || r.written > cutoff)
}

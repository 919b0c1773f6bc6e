package ots_test

import (
	"strings"
	"testing"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
	"github.com/golang/protobuf/proto"

	"chatconf/shared/emulator/ots"
)

func bulkPut(pk *tablestore.PrimaryKey, cells []cell) *ots.BulkImportRow {
	return &ots.BulkImportRow{Type: otsprotocol.OperationType_PUT.Enum(), RowChange: put("", pk, cells).Serialize()}
}

func bulkUpdate(u *tablestore.UpdateRowChange) *ots.BulkImportRow {
	return &ots.BulkImportRow{Type: otsprotocol.OperationType_UPDATE.Enum(), RowChange: u.Serialize()}
}

func bulkDelete(pk *tablestore.PrimaryKey) *ots.BulkImportRow {
	return &ots.BulkImportRow{Type: otsprotocol.OperationType_DELETE.Enum(), RowChange: pk.Build(true)}
}

// bulk sends a request like the Java SDK's writer, and returns the result of each row.
func (c *client) bulk(table string, rows ...*ots.BulkImportRow) string {
	c.t.Helper()
	body := message(c.t, &ots.BulkImportRequest{TableName: &table, Rows: rows})
	_, body, failure := newRaw(c.in, "BulkImport", body).sign(c.in.KeySecret).send(c.t, c.in)
	if failure != "ok" {
		return failure
	}
	var out otsprotocol.TableInBatchWriteRowResponse
	if err := proto.Unmarshal(body, &out); err != nil || out.GetTableName() != table {
		c.t.Fatalf("BulkImport: %v, %v", &out, err)
	}
	var results []string
	for _, row := range out.Rows {
		switch {
		case !row.GetIsOk():
			results = append(results, row.Error.GetCode())
		case row.Consumed.CapacityUnit.GetWrite() != 0 || len(row.Consumed.XXX_unrecognized) == 0 || row.Row != nil:
			results = append(results, row.String())
		default:
			results = append(results, "ok")
		}
	}
	return strings.Join(results, " ")
}

func TestBulkImport(t *testing.T) {
	c := run(t)
	c.create("t", "p:string n:integer", withDefined, transactional, func(r *tablestore.CreateTableRequest) {
		r.AddIndexMeta(indexMeta("by_age", false, "age"))
	})
	c.must(put("t", key("p", "gone", "n", 1), nil), put("t", key("p", "b", "n", 1), cols("x", 1)))
	u := update("t", key("p", "b", "n", 1))
	u.IncrementColumn("x", 41)
	got := c.bulk("t", bulkPut(key("p", "a", "n", 1), cols("age", 7)), bulkUpdate(u),
		bulkDelete(key("p", "gone", "n", 1)),
		bulkPut(key("p", "short"), nil))
	if want := "ok ok ok OTSInvalidPK"; got != want {
		t.Errorf("BulkImport: %s, want %s", got, want)
	}
	if got, want := strings.Join(c.dump("t", "p", "n"), ", "), "a/1 age=7, b/1 x=42"; got != want {
		t.Errorf("rows: %s, want %s", got, want)
	}
	if got, want := strings.Join(c.dump("by_age", "age", "p", "n"), ", "), "7/a/1"; got != want {
		t.Errorf("rows of the index: %s, want %s", got, want)
	}
	c.mustStart("t", key("p", "locked"))
	large := strings.Repeat("x", 2<<20)
	for _, test := range []struct{ what, got, want string }{
		{"a partition in a transaction",
			c.bulk("t", bulkPut(key("p", "locked", "n", 1), nil), bulkPut(key("p", "c", "n", 1), nil)),
			"OTSRowOperationConflict ok"},
		{"an index", c.bulk("by_age", bulkPut(key("age", 1, "p", "a", "n", 1), nil)),
			"400 OTSParameterInvalid: Can't write index table directly."},
		{"no table", c.bulk("none", bulkPut(key("p", "a", "n", 1), nil)), "OTSObjectNotExist"},
		{"a name that no table has", c.bulk("no-table", bulkPut(key("p", "a", "n", 1), nil)),
			"400 OTSParameterInvalid: Invalid table name: 'no-table'."},
		{"a defined column of another type",
			c.bulk("t", bulkPut(key("p", "d", "n", 1), cols("age", "x")), bulkPut(key("p", "e", "n", 1), nil)),
			"OTSParameterInvalid ok"},
		{"an unknown type",
			c.bulk("t", &ots.BulkImportRow{Type: otsprotocol.OperationType(9).Enum(), RowChange: []byte{}}),
			"400 OTSParameterInvalid: The modify type is invalid."},
		{"more than 4 MB",
			c.bulk("t", bulkPut(key("p", "a", "n", 1), cols("x", large, "y", large))),
			"400 OTSParameterInvalid: The total data size of BatchWriteRow request exceeds the limit, "},
	} {
		if !strings.HasPrefix(test.got, test.want) {
			t.Errorf("%s: %s, want %s", test.what, test.got, test.want)
		}
	}
}

// TestBulkImportOnTheWire checks request and answer byte by byte, as the Java SDK encodes them.
func TestBulkImportOnTheWire(t *testing.T) {
	c := run(t)
	c.create("t", "p:string")
	row := key("p", "a").Build(false)
	inner := append([]byte{1 << 3, 1, 2<<3 | 2, byte(len(row))}, row...)
	body := append([]byte{1<<3 | 2, 1, 't', 2<<3 | 2, byte(len(inner))}, inner...)
	_, got, _ := newRaw(c.in, "BulkImport", body).sign(c.in.KeySecret).send(t, c.in)
	// table_name=1 "t"; rows=2 { is_ok=1 true; consumed=3 {
	// capacity_unit=1 { read=1 0, write=2 0 };
	// capacity_data_size=2 { read_size=1 0, write_size=2 2 } } }
	want := []byte{
		0x0a, 1, 't', 0x12, 16, 0x08, 1, 0x1a, 12, 0x0a, 4, 0x08, 0, 0x10, 0, 0x12, 4, 0x08, 0, 0x10, 2,
	}
	if string(got) != string(want) {
		t.Errorf("BulkImport: %x, want %x", got, want)
	}
	if got := c.get("t", key("p", "a")); got != "" {
		t.Errorf("the row: %q", got)
	}
}

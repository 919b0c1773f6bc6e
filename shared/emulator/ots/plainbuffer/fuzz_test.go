package plainbuffer_test

import (
	"bytes"
	"math"
	"testing"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/search/model"
	"github.com/google/go-cmp/cmp"

	"chatconf/shared/emulator/ots/plainbuffer"
)

// FuzzDecode: input that Decode accepts must encode to the same bytes, and a Scanner and the SDK
// must decode the same values from it.
func FuzzDecode(f *testing.F) {
	for _, b := range readVectors(f) {
		f.Add(b)
		f.Add(append(bytes.Clone(b), b[plainbuffer.HeaderSize:]...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		rows, err := plainbuffer.Decode(b)
		if err != nil {
			return
		}
		if again := encode(rows...); !bytes.Equal(again, b) {
			t.Fatalf("Decode and AppendRow of\n%x make\n%x", b, again)
		}
		compareWithSDK(t, b, rows)
		for i := range rows {
			compareWithScanner(t, &rows[i])
		}
	})
}

// compareWithSDK decodes b with the SDK, which verifies no checksum and knows fewer types.
func compareWithSDK(t *testing.T, b []byte, rows []plainbuffer.Row) {
	got, err := model.ReadRowsWithHeader(bytes.NewReader(b))
	if err != nil {
		t.Fatalf("the SDK does not decode %x: %v", b, err)
	}
	if len(got) != len(rows) {
		t.Fatalf("the SDK finds %d rows, want %d", len(got), len(rows))
	}
	for i, row := range rows {
		if len(got[i].PrimaryKey) != len(row.Key) || len(got[i].Cells) != len(row.Cells) {
			t.Fatalf("row %d: the SDK finds %d and %d cells, want %d and %d", i, len(got[i].PrimaryKey),
				len(got[i].Cells), len(row.Key), len(row.Cells))
		}
		for j, c := range row.Cells {
			sdk := got[i].Cells[j]
			if !bytes.Equal(sdk.CellName, c.Name) || sdk.CellTimestamp != c.Timestamp {
				t.Errorf("row %d, cell %d: the SDK finds %q at %d, want %q at %d", i, j, sdk.CellName,
					sdk.CellTimestamp, c.Name, c.Timestamp)
			}
			if want, ok := goValue(c); ok && !cmp.Equal(sdk.CellValue.Value, want) {
				t.Errorf("row %d, cell %q: the SDK finds %v, want %v", i, c.Name, sdk.CellValue.Value, want)
			}
		}
	}
}

// goValue returns a value as the SDK decodes it. Ok is false for types the SDK does not know, and
// for values that are not equal to themselves.
func goValue(c plainbuffer.Cell) (any, bool) {
	if !c.HasValue {
		return nil, false
	}
	switch v := c.Value; v.Type {
	case plainbuffer.Integer:
		return v.Int(), true
	case plainbuffer.Double:
		return v.Float(), !math.IsNaN(v.Float())
	case plainbuffer.Boolean:
		return v.Bits == 1, true
	case plainbuffer.String:
		return string(v.Data), true
	case plainbuffer.Blob:
		return v.Data, true
	}
	return nil, false
}

func compareWithScanner(t *testing.T, row *plainbuffer.Row) {
	b := plainbuffer.AppendRow(nil, row)
	s, err := plainbuffer.ScanRow(b)
	if err != nil {
		t.Fatal(err)
	}
	copied, checksum := plainbuffer.AppendKey(nil, nil)
	scan := func(want []plainbuffer.Cell) {
		for i := range want {
			var c plainbuffer.Cell
			raw, ok, err := s.Next(&c)
			if err != nil || !ok {
				t.Fatalf("Next: %v, %v, want a cell", ok, err)
			}
			if !bytes.Equal(plainbuffer.AppendCell(nil, &c), plainbuffer.AppendCell(nil, &want[i])) {
				t.Errorf("Next: %+v, want %+v", c, want[i])
			}
			copied, checksum = plainbuffer.AppendRaw(copied, raw, checksum)
		}
		if _, ok, err := s.Next(&plainbuffer.Cell{}); ok || err != nil {
			t.Errorf("Next after the last cell: %v, %v", ok, err)
		}
	}
	scan(row.Key)
	if s.Data() {
		copied = plainbuffer.AppendDataTag(copied)
		scan(row.Cells)
	}
	if row.Deleted {
		return
	}
	if copied = plainbuffer.AppendEnd(copied, checksum, false); !bytes.Equal(copied, b) {
		t.Errorf("a row copied cell by cell is\n%x, want\n%x", copied, b)
	}
}

// FuzzSDK: Decode must read the values that the SDK encoded.
func FuzzSDK(f *testing.F) {
	f.Add("pk", "a", "column", "text", []byte("bytes"), int64(1), 2.5, true, int64(1001))
	f.Fuzz(func(t *testing.T, name, pk, column, text string, blob []byte, n int64, x float64, b bool, ms int64) {
		c := tablestore.PutRowChange{PrimaryKey: sdkKey(name, pk, name, n, name, blob)}
		for _, v := range []any{text, blob, n, x, b} {
			c.AddColumnWithTimestamp(column, v, ms)
		}
		want := plainbuffer.Row{
			Key: []plainbuffer.Cell{
				value(name, plainbuffer.StringValue(pk)), value(name, plainbuffer.IntegerValue(n)),
				value(name, plainbuffer.BlobValue(blob)),
			},
			Cells: []plainbuffer.Cell{
				value(column, plainbuffer.StringValue(text)), value(column, plainbuffer.BlobValue(blob)),
				value(column, plainbuffer.IntegerValue(n)),
				value(column, plainbuffer.DoubleValue(x)), value(column, plainbuffer.BooleanValue(b)),
			},
		}
		for i := range want.Cells {
			if ms > 0 { // for the SDK, 0 or less is no timestamp
				want.Cells[i] = at(want.Cells[i], ms)
			}
		}
		buffer := c.Serialize()
		if _, err := plainbuffer.DecodeRow(buffer); err != nil {
			t.Fatalf("DecodeRow: %v", err)
		}
		if got := encode(want); !bytes.Equal(got, buffer) {
			t.Errorf("AppendRow:\n%x, the SDK:\n%x", got, buffer)
		}
	})
}

package plainbuffer_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
	"github.com/aliyun/aliyun-tablestore-go-sdk/tunnel/protocol"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"chatconf/shared/emulator/ots/plainbuffer"
)

var rewrite = flag.Bool("update", false, "rewrite the golden files")

func value(name string, v plainbuffer.Value) plainbuffer.Cell {
	return plainbuffer.Cell{Name: []byte(name), Value: v, HasValue: true}
}

func at(c plainbuffer.Cell, ms int64) plainbuffer.Cell {
	c.Timestamp, c.HasTimestamp = ms, true
	return c
}

// vectors are rows, each with the SDK's encoder for it; nil encodes nothing.
var vectors = []struct {
	name string
	row  plainbuffer.Row
	sdk  func() []byte
}{
	{
		"key",
		plainbuffer.Row{Key: []plainbuffer.Cell{value("pk", plainbuffer.StringValue("a"))}},
		func() []byte { return sdkKey("pk", "a").Build(false) },
	}, {
		"key-deleted",
		plainbuffer.Row{Key: []plainbuffer.Cell{value("pk", plainbuffer.StringValue("a"))}, Deleted: true},
		func() []byte { return sdkKey("pk", "a").Build(true) },
	}, {
		"key-of-all-types",
		plainbuffer.Row{Key: []plainbuffer.Cell{
			value("s", plainbuffer.StringValue("")), value("i", plainbuffer.IntegerValue(-1)),
			value("b", plainbuffer.BlobValue([]byte{0, 255})),
		}},
		func() []byte { return sdkKey("s", "", "i", int64(-1), "b", []byte{0, 255}).Build(false) },
	}, {
		"key-of-places",
		plainbuffer.Row{Key: []plainbuffer.Cell{
			value("pk1", plainbuffer.Value{Type: plainbuffer.InfMin}),
			value("pk2", plainbuffer.Value{Type: plainbuffer.InfMax}),
			value("pk3", plainbuffer.Value{Type: plainbuffer.AutoIncrement}),
		}},
		func() []byte {
			pk := &tablestore.PrimaryKey{}
			pk.AddPrimaryKeyColumnWithMinValue("pk1")
			pk.AddPrimaryKeyColumnWithMaxValue("pk2")
			pk.AddPrimaryKeyColumnWithAutoIncrement("pk3")
			return pk.Build(false)
		},
	}, {
		"put",
		plainbuffer.Row{
			Key: []plainbuffer.Cell{value("pk1", plainbuffer.StringValue("iampk")),
				value("pk2", plainbuffer.IntegerValue(100))},
			Cells: []plainbuffer.Cell{
				at(value("column1", plainbuffer.StringValue("bad")), 1001),
				at(value("column2", plainbuffer.IntegerValue(128)), 1002),
				at(value("column3", plainbuffer.DoubleValue(34.2)), 1003),
			},
		},
		func() []byte {
			c := tablestore.PutRowChange{PrimaryKey: sdkKey("pk1", "iampk", "pk2", int64(100))}
			c.AddColumnWithTimestamp("column1", "bad", 1001)
			c.AddColumnWithTimestamp("column2", int64(128), 1002)
			c.AddColumnWithTimestamp("column3", 34.2, 1003)
			return c.Serialize()
		},
	}, {
		"put-booleans-and-blobs",
		plainbuffer.Row{
			Key: []plainbuffer.Cell{value("pk", plainbuffer.StringValue("a"))},
			Cells: []plainbuffer.Cell{
				value("t", plainbuffer.BooleanValue(true)), value("f", plainbuffer.BooleanValue(false)),
				value("b", plainbuffer.BlobValue([]byte("bytes"))),
			},
		},
		func() []byte {
			c := tablestore.PutRowChange{PrimaryKey: sdkKey("pk", "a")}
			c.AddColumn("t", true)
			c.AddColumn("f", false)
			c.AddColumn("b", []byte("bytes"))
			return c.Serialize()
		},
	}, {
		"update",
		plainbuffer.Row{
			Key: []plainbuffer.Cell{value("pk", plainbuffer.StringValue("a"))},
			Cells: []plainbuffer.Cell{
				{Name: []byte("all"), Op: plainbuffer.DeleteAll},
				at(plainbuffer.Cell{Name: []byte("one"), Op: plainbuffer.DeleteOne}, 1001),
				{Name: []byte("more"), Op: plainbuffer.Increment, Value: plainbuffer.IntegerValue(-2), HasValue: true},
			},
		},
		func() []byte {
			c := tablestore.UpdateRowChange{PrimaryKey: sdkKey("pk", "a")}
			c.DeleteColumn("all")
			c.DeleteColumnWithTimestamp("one", 1001)
			c.IncrementColumn("more", -2)
			return c.Serialize()
		},
	},
}

func sdkKey(namesAndValues ...any) *tablestore.PrimaryKey {
	pk := &tablestore.PrimaryKey{}
	for i := 0; i < len(namesAndValues); i += 2 {
		pk.AddPrimaryKeyColumn(namesAndValues[i].(string), namesAndValues[i+1])
	}
	return pk
}

func encode(rows ...plainbuffer.Row) []byte {
	b := plainbuffer.AppendHeader(nil)
	for i := range rows {
		b = plainbuffer.AppendRow(b, &rows[i])
	}
	return b
}

func readVectors(t testing.TB) map[string][]byte {
	t.Helper()
	text, err := os.ReadFile("testdata/vectors.txt")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		name, digits, _ := strings.Cut(strings.TrimSpace(line), " ")
		if out[name], err = hex.DecodeString(strings.TrimSpace(digits)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	if len(out) == 0 {
		t.Fatal("no vectors")
	}
	return out
}

func TestVectors(t *testing.T) {
	if *rewrite {
		writeVectors(t)
	}
	golden := readVectors(t)
	if len(golden) != len(vectors) {
		t.Errorf("%d golden vectors, want %d", len(golden), len(vectors))
	}
	for _, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			want := golden[v.name]
			if got := v.sdk(); !bytes.Equal(got, want) {
				t.Errorf("the SDK encodes\n%x, want\n%x", got, want)
			}
			if got := encode(v.row); !bytes.Equal(got, want) {
				t.Errorf("AppendRow:\n%x, want\n%x", got, want)
			}
			got, err := plainbuffer.DecodeRow(want)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(v.row, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("DecodeRow (-want +got):\n%s", diff)
			}
		})
	}
}

func writeVectors(t *testing.T) {
	var b strings.Builder
	b.WriteString("# Rows as the Go SDK v1.7.17 encodes them: a name, and the buffer in hexadecimal. The first two " +
		"are from facts/tablestore-wire.md.\n")
	for _, v := range vectors {
		fmt.Fprintf(&b, "%-24s %x\n", v.name, v.sdk())
	}
	if err := os.WriteFile("testdata/vectors.txt", []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestChecksumsOfTheFacts(t *testing.T) {
	put, places := readVectors(t)["put"], readVectors(t)["key-of-places"]
	for _, c := range []struct {
		name   string
		buffer []byte
		cells  []byte // the checksums of the cells, in order
		row    byte
	}{
		{"put", put, []byte{0x98, 0x05, 0x30, 0x69, 0xcf}, 0xa8},
		{"places", places, []byte{0xc8, 0xfe, 0xec}, 0xe5},
	} {
		var got []byte
		s, err := plainbuffer.ScanRow(c.buffer[plainbuffer.HeaderSize:])
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			for {
				var cell plainbuffer.Cell
				raw, ok, err := s.Next(&cell)
				if err != nil {
					t.Fatal(err)
				}
				if !ok {
					break
				}
				got = append(got, raw[len(raw)-1])
			}
			s.Data()
		}
		if !bytes.Equal(got, c.cells) {
			t.Errorf("%s: cell checksums %x, want %x", c.name, got, c.cells)
		}
		if got := c.buffer[len(c.buffer)-1]; got != c.row {
			t.Errorf("%s: row checksum %x, want %x", c.name, got, c.row)
		}
	}
}

func TestEveryChangedByteIsFound(t *testing.T) {
	for name, b := range readVectors(t) {
		for i := range b {
			for bit := range 8 {
				changed := bytes.Clone(b)
				changed[i] ^= 1 << bit
				if _, err := plainbuffer.DecodeRow(changed); err == nil {
					t.Errorf("%s: DecodeRow with bit %d of byte %d flipped: no error", name, bit, i)
				}
			}
		}
	}
}

func TestEveryCutIsFound(t *testing.T) {
	for name, b := range readVectors(t) {
		for i := range b {
			if _, err := plainbuffer.DecodeRow(b[:i]); err == nil {
				t.Errorf("%s: DecodeRow of the first %d bytes: no error", name, i)
			}
		}
		if _, err := plainbuffer.DecodeRow(append(bytes.Clone(b), 0, 0, 0)); err != nil {
			t.Errorf("%s: DecodeRow with zeros behind the row, as the SDK for Node.js sends: %v", name, err)
		}
		if _, err := plainbuffer.DecodeRow(append(bytes.Clone(b), 0, 1)); err == nil {
			t.Errorf("%s: DecodeRow with other bytes behind the row: no error", name)
		}
	}
}

func TestWrongChecksumIsErrChecksum(t *testing.T) {
	for name, b := range readVectors(t) {
		b[len(b)-1]++
		if _, err := plainbuffer.DecodeRow(b); !errors.Is(err, plainbuffer.ErrChecksum) {
			t.Errorf("%s: DecodeRow with a wrong row checksum: %v, want %v", name, err, plainbuffer.ErrChecksum)
		}
	}
}

func TestLengthsBeyondTheInputAllocateNothing(t *testing.T) {
	b := []byte("\x75\x00\x00\x00\x01\x03\x04\xff\xff\xff\x7f")
	allocations := testing.AllocsPerRun(100, func() {
		if _, err := plainbuffer.DecodeRow(b); err == nil {
			t.Error("DecodeRow: no error")
		}
	})
	if allocations > 0 {
		t.Errorf("%v allocations, want none", allocations)
	}
}

func TestValuesWithoutLength(t *testing.T) {
	for _, c := range []struct {
		sdk  *tablestore.ColumnValue
		want plainbuffer.Value
	}{
		{tablestore.NewColumnValue(tablestore.ColumnType_INTEGER, int64(-7)), plainbuffer.IntegerValue(-7)},
		{tablestore.NewColumnValue(tablestore.ColumnType_DOUBLE, 2.5), plainbuffer.DoubleValue(2.5)},
		{tablestore.NewColumnValue(tablestore.ColumnType_BOOLEAN, true), plainbuffer.BooleanValue(true)},
		{tablestore.NewColumnValue(tablestore.ColumnType_STRING, "text"), plainbuffer.StringValue("text")},
		{tablestore.NewColumnValue(tablestore.ColumnType_BINARY, []byte("bytes")),
			plainbuffer.BlobValue([]byte("bytes"))},
	} {
		b := c.sdk.WriteCellValueWithoutLengthPrefix()
		got, err := plainbuffer.DecodeValue(b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("DecodeValue(%x) (-want +got):\n%s", b, diff)
		}
		if got := plainbuffer.AppendValue(nil, c.want); !bytes.Equal(got, b) {
			t.Errorf("AppendValue: %x, want %x", got, b)
		}
		if _, err := plainbuffer.DecodeValue(append(b, 0)); err == nil {
			t.Errorf("DecodeValue(%x) with a byte more: no error", b)
		}
	}
}

// TestAppendSequenced: the position follows the delete marker, and the checksum does not cover it.
func TestAppendSequenced(t *testing.T) {
	r := plainbuffer.Row{Key: []plainbuffer.Cell{value("pk", plainbuffer.StringValue("a"))}, Deleted: true}
	row := plainbuffer.AppendRow(nil, &r)
	b := plainbuffer.AppendSequenced(plainbuffer.AppendHeader(nil), row, 0x0102030405060708)
	want := "7500000001030402000000706b05060000000301000000610ad408" +
		"0b18000000" + "0c13000000" + "0d00000000" + "0e0807060504030201" + "0f00000000" + "09e9"
	if got := hex.EncodeToString(b); got != want {
		t.Errorf("AppendSequenced:\n%s, want\n%s", got, want)
	}
	rows, err := protocol.ReadRowsWithHeader(bytes.NewReader(b))
	if err != nil || len(rows) != 1 || rows[0].Extension == nil || rows[0].Extension.Timestamp != 0x0102030405060708 {
		t.Errorf("the SDK reads %+v, %v", rows, err)
	}
}

package file_test

import (
	"bytes"
	"strings"
	"testing"

	"chatconf/shared/table"
	"chatconf/shared/table/file"
)

func TestRowThatIsNotSoundIsAnErrorThatNamesIt(t *testing.T) {
	key, row := file.Row("partition", "sort", 1, 2, 3, []byte("value"))
	if again, err := file.Recode(key, row); err != nil || !bytes.Equal(again, row) {
		t.Fatalf("a sound row = %x, %v, want %x", again, err, row)
	}
	longKey, longRow := file.Row("partition", strings.Repeat("s", table.MaxKey+1), 1, 2, 3, nil)
	emptyKey, emptyRow := file.Row("partition", "", 1, 2, 3, nil)
	_, large := file.Row("partition", "sort", 1, 2, 3, make([]byte, table.MaxValue+1))
	other, _ := file.Row("partition", "other", 1, 2, 3, nil)
	for name, test := range map[string]struct{ key, row []byte }{
		"nothing":                    {key, nil},
		"a header without its end":   {key, row[:28]},
		"a value without its end":    {key, row[:len(row)-1]},
		"a value with more":          {key, append(bytes.Clone(row), 0)},
		"a value beyond the largest": {key, large},
		"another's row":              {other, row},
		"another format":             {key, append([]byte{2}, row[1:]...)},
		"an empty key":               {nil, row},
		"a key of one byte":          {[]byte{0}, row},
		"a key beyond its end":       {[]byte{0, 9, 'p'}, row},
		"a key without a sort key":   {emptyKey, emptyRow},
		"a sort key too long":        {longKey, longRow},
		"an empty partition":         {[]byte{0, 0, 's'}, row},
	} {
		_, err := file.Recode(test.key, test.row)
		if err == nil {
			t.Errorf("%s is taken for a row", name)
			continue
		}
		if bytes.Equal(test.key, key) && !strings.Contains(err.Error(), `"sort" of "partition"`) {
			t.Errorf("%s = %v, which does not name the row", name, err)
		}
	}
	for i := range len(row) {
		spoiled := bytes.Clone(row)
		spoiled[i] ^= 0x10
		if _, err := file.Recode(key, spoiled); err == nil {
			t.Errorf("a row with byte %d changed is taken", i)
		}
	}
}

// FuzzRow holds that each row has one form: what decodes, encodes to the same bytes.
func FuzzRow(f *testing.F) {
	for _, value := range []string{"", "value", strings.Repeat("\xff", 300)} {
		key, row := file.Row("p", "s", 1, -1, 1<<62, []byte(value))
		f.Add(key, row)
	}
	key, row := file.Row("\x00\xff", "s", -1<<63, 1<<63-1, -1, nil)
	f.Add(key, row[:len(row)-1])
	f.Add(key[:3], row)
	f.Fuzz(func(t *testing.T, key, b []byte) {
		again, err := file.Recode(key, b)
		if err == nil && !bytes.Equal(again, b) {
			t.Errorf("row %x decodes, and encodes as %x", b, again)
		}
	})
}

// FuzzItem holds that what is encoded decodes, whatever it is.
func FuzzItem(f *testing.F) {
	f.Add("p", "s", int64(1), int64(2), int64(3), []byte("value"))
	f.Add("\xff", strings.Repeat("\x00", table.MaxKey), int64(-1<<63), int64(1<<63-1), int64(0), []byte(nil))
	f.Fuzz(func(t *testing.T, partition, sort string, revision, count, written int64, value []byte) {
		if partition == "" || len(partition) > table.MaxKey || sort == "" || len(sort) > table.MaxKey ||
			len(value) > table.MaxValue {
			t.Skip("no item")
		}
		key, row := file.Row(partition, sort, revision, count, written, value)
		if again, err := file.Recode(key, row); err != nil || !bytes.Equal(again, row) {
			t.Errorf("row %x does not decode: %v", row, err)
		}
	})
}

package tabletest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"chatconf/shared/table"
)

// hostile are parts of keys that may have a special meaning for an engine or an adapter.
var hostile = []string{
	"a", "A", "b", " ", "  ", "#", "##", "/", "//", "%", "%00", "%2F", "\\", "\\x00", "'", `"`, "`", ";", "--", "?",
	"&", "=", "+", "*", "_", "$", ":", "|",
	".", "..", "../", "\x00", "\x00\x00", "a\x00", "a\x00b", "\x00a", "\x01", "\t", "\n", "\r\n", "\x7f", "\u0080",
	"\u00e9", "e\u0301", "\u00df",
	"名", "名字", "\u2028", "\ufeff", "\ufffd", "\uffff", "\U0001f600", "\U0010ffff", "null", "INF_MIN", "INF_MAX",
	"\x80", "\xc3", "\xc3\x28", "\xed\xa0\x80", "\xf5", "\xfe", "\xff", "\xff\xff", "a\xff", "a\xff\xff", "\x00\xff",
	"\xff\x00", "\xef\xbf\xbe",
}

// testKeys puts items under hostile keys, in hostile partitions, and wants each back under its own,
// in byte order.
func testKeys(t *testing.T, s *suite) {
	tb := s.table(t, Options{})
	p := partition()
	keys := slices.DeleteFunc(slices.Clone(hostile), func(k string) bool {
		return s.caps.TextKeys &&
			!utf8.ValidString(k)
	})
	// The longest keys; three bytes may be one letter, so that those which count letters are found
	// out.
	keys = append(keys, strings.Repeat("k", table.MaxKey), strings.Repeat("k", table.MaxKey-1),
		strings.Repeat("名", table.MaxKey/3)+"k", strings.Repeat("\x00", table.MaxKey))
	if !s.caps.TextKeys {
		keys = append(keys, strings.Repeat("\xff", table.MaxKey), strings.Repeat("\xff", table.MaxKey-1))
	}

	var puts []table.Put
	for i, k := range keys {
		puts = append(puts, table.Put{Sort: k, Value: []byte(k), Revision: int64(i)})
	}
	put(t, tb, p, puts...)
	for i, k := range keys {
		if item, ok := get(t, tb, p, k); !ok || string(item.Value) != k || item.Revision != int64(i) {
			t.Errorf("Get(%.20q) = %.20q at %d, %v, want %.20q at %d", k, item.Value, item.Revision, ok, k, i)
		}
	}
	sorted := slices.Clone(keys)
	slices.Sort(sorted)
	if got := sorts(list(t, tb, p)); !slices.Equal(got, sorted) {
		t.Errorf("hostile keys come as %.10q, want %.10q", got, sorted)
	}
	for _, reverse := range []bool{false, true} {
		for i, k := range sorted {
			if s.caps.Slow && i%8 != 0 {
				continue
			}
			for _, r := range []table.Range{{Prefix: k}, {After: k}, {Prefix: k, After: k}, {Prefix: k[:1], After: k}} {
				if s.caps.TextKeys && !utf8.ValidString(r.Prefix) {
					continue
				}
				r.Partition, r.Limit, r.Reverse = p, table.MaxQuery, reverse
				if got, want := sorts(query(t, tb, r)), beyond(sorted, r.Prefix, r.After, reverse); !slices.Equal(got,
					want) {
					t.Errorf("Query prefix %.20q after %.20q reverse %v = %.10q, want %.10q", r.Prefix, r.After,
						reverse, got, want)
				}
			}
		}
	}
	testHostilePartitions(t, s, tb, keys)
}

// testHostilePartitions puts an item into hostile partitions. They begin with a name of this run's
// own, and the longest are cut to size.
func testHostilePartitions(t *testing.T, s *suite, tb table.Table, names []string) {
	own := partition()
	if s.caps.Slow {
		names = names[:10]
	}
	var partitions []string
	for _, name := range names {
		partitions = append(partitions, own+name[:min(len(name), table.MaxKey-len(own))])
	}
	partitions = slices.DeleteFunc(partitions, func(p string) bool { return s.caps.TextKeys && !utf8.ValidString(p) })
	slices.Sort(partitions)
	partitions = slices.Compact(partitions)
	for i, p := range partitions {
		put(t, tb, p, table.Put{Sort: "only", Revision: int64(i)})
	}
	for i, p := range partitions {
		if items := list(t, tb, p); len(items) != 1 || items[0].Partition != p || items[0].Revision != int64(i) {
			t.Errorf("partition %.60q has %d items, want its own one", p, len(items))
		}
		write(t, tb, p, table.Change{Deletes: []table.Delete{{Sort: "only", If: table.AtRevision(int64(i))}}})
	}
	// A partition and a sort key are two things: no other division of the same bytes is the same
	// item.
	put(t, tb, own, table.Put{Sort: "ab"})
	for _, k := range []table.Key{{Partition: own + "a", Sort: "b"},
		{Partition: own[:len(own)-1], Sort: own[len(own)-1:] + "ab"}} {
		if item, ok := get(t, tb, k.Partition, k.Sort); ok {
			t.Errorf("Get(%q) = %q, want nothing", k, item.Key)
		}
	}
}

// testValues puts values of all bytes and of the largest size.
func testValues(t *testing.T, s *suite) {
	tb := s.table(t, Options{})
	p := partition()
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	largest := bytes.Repeat(every, table.MaxValue/len(every)+1)[:table.MaxValue]
	for i, value := range [][]byte{every, largest, largest[:table.MaxValue-1], {0}, {0xFF}, nil, {}} {
		put(t, tb, p, table.Put{Sort: "value", Value: value, Revision: int64(i)})
		item, ok := get(t, tb, p, "value")
		if !ok || !bytes.Equal(item.Value, value) || item.Revision != int64(i) {
			t.Errorf("a value of %d bytes comes back as one of %d", len(value), len(item.Value))
		}
	}
	// A counter beside the largest value, under the largest keys.
	key := strings.Repeat("k", table.MaxKey)
	long := p + strings.Repeat("p", table.MaxKey-len(p))
	put(t, tb, long, table.Put{Sort: key, Value: largest, Revision: 1<<63 - 1})
	write(t, tb, long, table.Change{Adds: []table.Add{{Sort: key, N: -1 << 63}}})
	item, _ := get(t, tb, long, key)
	if !bytes.Equal(item.Value, largest) || item.Revision != 1<<63-1 || item.Count != -1<<63 {
		t.Errorf("the largest item comes back with %d bytes, revision %d, count %d", len(item.Value), item.Revision,
			item.Count)
	}
	// Several of the largest at once: more than one answer of an engine may hold.
	var puts []table.Put
	for i := range 4 {
		puts = append(puts, table.Put{Sort: fmt.Sprint("large", i), Value: largest})
	}
	put(t, tb, p, puts...)
	for _, item := range query(t, tb, table.Range{Partition: p, Prefix: "large", Limit: 10}) {
		if !bytes.Equal(item.Value, largest) {
			t.Errorf("%s comes back with %d bytes", item.Sort, len(item.Value))
		}
	}
}

// testCopies changes what it gave to a table and what it got from one; neither may be the table's
// own.
func testCopies(t *testing.T, s *suite) {
	tb := s.table(t, Options{})
	p := partition()
	given := []byte("original")
	change := table.Change{Puts: []table.Put{{Sort: "a", Value: given}, {Sort: "b", Value: given}}}
	write(t, tb, p, change)
	copy(given, "spoiled!")
	change.Puts[0] = table.Put{Sort: "z"}
	spoil := func(items []table.Item) {
		for _, item := range items {
			if string(item.Value) != "original" {
				t.Errorf("%s has become %q", item.Sort, item.Value)
			}
			copy(item.Value, "spoiled!")
			_ = append(item.Value, "spoiled too"...)
		}
	}
	for range 2 {
		items, err := tb.Get(t.Context(), table.Key{Partition: p, Sort: "a"}, table.Key{Partition: p, Sort: "b"})
		if err != nil || len(items) != 2 {
			t.Fatalf("Get = %d items, %v, want 2", len(items), err)
		}
		spoil(items)
		spoil(list(t, tb, p))
	}
}

package tabletest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"chatconf/shared/table"
)

// testPages reads one partition with every limit, cursor, prefix and direction.
func testPages(t *testing.T, s *suite) {
	tb := s.table(t, Options{})
	p := partition()
	all := []string{"#", "a", "a#", "a#1", "a#10", "a#2", "a\x7f", "aa", "ab", "b", "b#1", "b#2", "c\u00e9", "z", "z#1",
		"~"}
	slices.Sort(all)
	var puts []table.Put
	for _, sort := range slices.Backward(all) { // shuffled
		puts = append(puts, table.Put{Sort: sort, Value: []byte(sort)})
	}
	put(t, tb, p, puts...)
	put(t, tb, p[:len(p)-1], table.Put{Sort: "a#1"}) // neighbours that no page may contain
	put(t, tb, p+"a", table.Put{Sort: "a#1"}, table.Put{Sort: "#"})
	put(t, tb, p+"\x01", table.Put{Sort: "a#1"})

	// Cursors on every item, between all, before the first and after the last. Most have no item.
	cursors := []string{"", "!", "\x01", "a!", "a#0", "a#11", "a#~", "b#", "c", "zz", "~~", "\U0010ffff"}
	cursors = append(cursors, all...)
	prefixes := []string{"", "a", "a#", "a#1", "b", "z", "#", "~", "none", "a#1 ", "zzz", "\x01", "\u00ff", "c"}
	limits := []int{1, 2, 3, len(all) - 1, len(all), len(all) + 1, table.MaxQuery}
	if s.caps.Slow {
		cursors, prefixes, limits = []string{"", "a#0", "a#1", "b#"}, []string{"", "a#", "b", "none"},
			[]int{1, 3, table.MaxQuery}
	}
	for _, reverse := range []bool{false, true} {
		for _, prefix := range prefixes {
			for _, after := range cursors {
				want := beyond(all, prefix, after, reverse)
				for _, limit := range limits {
					r := table.Range{Partition: p, Prefix: prefix, After: after, Limit: limit, Reverse: reverse}
					got := sorts(query(t, tb, r))
					if want := want[:min(limit, len(want))]; !slices.Equal(got, want) {
						t.Errorf("Query(%+v) = %q, want %q", r, got, want)
					}
				}
			}
			walkPages(t, s, tb, table.Range{Partition: p, Prefix: prefix, Reverse: reverse},
				beyond(all, prefix, "", reverse))
		}
	}
	testGoneCursor(t, tb)
	testLongPages(t, s, tb)
}

// beyond returns the sort keys of a range without a limit.
func beyond(all []string, prefix, after string, reverse bool) []string {
	keys := []string{}
	for _, sort := range all {
		if strings.HasPrefix(sort, prefix) && (after == "" || !reverse && sort > after || reverse && sort < after) {
			keys = append(keys, sort)
		}
	}
	if reverse {
		slices.Reverse(keys)
	}
	return keys
}

// walkPages reads a range page by page with a cursor. It must return every item once, and end.
func walkPages(t *testing.T, s *suite, tb table.Table, r table.Range, want []string) {
	t.Helper()
	limits := []int{1, 2, 3, 5, 7, 100}
	if s.caps.Slow {
		limits = []int{2, 7}
	}
	for _, r.Limit = range limits {
		got := []string{}
		r.After = ""
		for range len(want) + 2 {
			page := sorts(query(t, tb, r))
			got = append(got, page...)
			if len(page) < r.Limit {
				break
			}
			r.After = page[len(page)-1]
		}
		if !slices.Equal(got, want) {
			t.Errorf("pages of %d of %q, reverse %v, are %q, want %q", r.Limit, r.Prefix, r.Reverse, got, want)
		}
	}
}

// testGoneCursor deletes the item of a cursor, and the next one too.
func testGoneCursor(t *testing.T, tb table.Table) {
	for reverse, want := range map[bool][]string{false: {"e", "f"}, true: {"b", "a"}} {
		p := partition()
		for _, sort := range []string{"a", "b", "c", "d", "e", "f"} {
			put(t, tb, p, table.Put{Sort: sort})
		}
		r := table.Range{Partition: p, Limit: 3, Reverse: reverse}
		page := query(t, tb, r)
		if len(page) != 3 {
			t.Fatalf("Query(%+v) = %q, want three", r, sorts(page))
		}
		r.After = page[2].Sort
		write(t, tb, p, table.Change{Deletes: []table.Delete{{Sort: "c"}, {Sort: "d"}}})
		if got := sorts(query(t, tb, r)); !slices.Equal(got, want) {
			t.Errorf("the page after %q, which is gone, reverse %v, is %q, want %q", r.After, reverse, got, want)
		}
	}
}

// testLongPages fills a partition with more and larger items than an engine may return at once.
// DynamoDB and Tablestore end a page at 1 or 4 MB. A Query must still be short only at the end of
// its range.
func testLongPages(t *testing.T, s *suite, tb table.Table) {
	p := partition()
	n := s.fewer(table.MaxQuery+50, 250)
	value := make([]byte, 20_000)
	var want []string
	var puts []table.Put
	for i := range n {
		sort := fmt.Sprintf("long/%06d", i)
		want = append(want, sort)
		puts = append(puts, table.Put{Sort: sort, Value: value[:20_000/(1+i%2*40)]})
	}
	put(t, tb, p, puts...)
	for _, limit := range []int{100, n - 1, table.MaxQuery} {
		limit = min(limit, table.MaxQuery)
		got := sorts(query(t, tb, table.Range{Partition: p, Prefix: "long/", Limit: limit}))
		if want := want[:min(limit, n)]; !slices.Equal(got, want) {
			t.Errorf("Query with limit %d returned %d long items, want %d", limit, len(got), len(want))
		}
	}
}

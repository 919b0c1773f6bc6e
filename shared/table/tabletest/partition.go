package tabletest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"chatconf/shared/table"
)

// testPartitions lists the partitions page by page. Other users of the table may have some too.
func testPartitions(t *testing.T, s *suite) {
	tb := s.table(t, Options{})
	lister, ok := tb.(table.Partitioner)
	if !ok {
		t.Fatalf("%T does not list its partitions", tb)
	}
	own := partition()
	var want []string
	for _, end := range []string{"", "a", "b", "ab", "\x00", "\U0010ffff", "\xff\xff", strings.Repeat("p", 256),
		strings.Repeat("p", table.MaxKey-len(own))} {
		if s.caps.TextKeys && !utf8.ValidString(end) {
			continue
		}
		want = append(want, own+end)
		sorts := []string{"\x00", "k", "k\x00", strings.Repeat("\U0010ffff", table.MaxKey/4)}
		for _, sort := range sorts {
			put(t, tb, own+end, table.Put{Sort: sort})
		}
	}
	slices.Sort(want)
	limits := []int{1, 2, 5, table.MaxQuery}
	if s.caps.Slow {
		limits = limits[2:]
	}
	for _, limit := range limits {
		var got []string
		for after, n := "", limit; n == limit; {
			page := partitions(t, lister, after, limit)
			if n = len(page); n > limit {
				t.Fatalf("Partitions with limit %d returned %d", limit, n)
			}
			for _, p := range page {
				if after = p; strings.HasPrefix(p, own) {
					got = append(got, p)
				}
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("Partitions with limit %d = %.80q, want %.80q, each once", limit, got, want)
		}
	}
	testPartitionsOfGoneCursor(t, tb, lister, own, want)
	for _, limit := range []int{0, -1, table.MaxQuery + 1} {
		if got, err := lister.Partitions(t.Context(), "", limit); !errors.Is(err, table.ErrInvalid) || got != nil {
			t.Errorf("Partitions with limit %d = %d, %v, want ErrInvalid", limit, len(got), err)
		}
	}
	if _, err := lister.Partitions(t.Context(), strings.Repeat("k", table.MaxKey+1), 1); !errors.Is(err,
		table.ErrInvalid) {
		t.Errorf("Partitions after a key that is too long: %v, want ErrInvalid", err)
	}
	if _, err := lister.Partitions(canceled(), "", 1); !errors.Is(err, context.Canceled) {
		t.Errorf("Partitions of an ended context: %v, want its error", err)
	}
	tb.Close()
	if _, err := lister.Partitions(t.Context(), "", 1); !errors.Is(err, table.ErrClosed) {
		t.Errorf("Partitions of a closed table: %v, want ErrClosed", err)
	}
}

// testPartitionsOfGoneCursor continues behind a partition whose items were deleted meanwhile.
func testPartitionsOfGoneCursor(t *testing.T, tb table.Table, lister table.Partitioner, own string, want []string) {
	all, err := table.AllPartitions(t.Context(), lister)
	if err != nil {
		t.Fatal(err)
	}
	all = slices.DeleteFunc(all, func(p string) bool { return !strings.HasPrefix(p, own) })
	gone := all[len(all)/2]
	for _, item := range list(t, tb, gone) {
		write(t, tb, gone, table.Change{Deletes: []table.Delete{{Sort: item.Sort}}})
	}
	rest := partitions(t, lister, gone, table.MaxQuery)
	rest = slices.DeleteFunc(rest, func(p string) bool { return !strings.HasPrefix(p, own) })
	if after := all[len(all)/2+1:]; !slices.Equal(rest, after) {
		t.Errorf("Partitions after one that is gone = %.80q, want %.80q", rest, after)
	}
	all, err = table.AllPartitions(t.Context(), lister)
	if err != nil || slices.Contains(all, gone) {
		t.Errorf("a partition without items is listed (%v)", err)
	}
}

func partitions(t *testing.T, lister table.Partitioner, after string, limit int) []string {
	t.Helper()
	got, err := lister.Partitions(t.Context(), after, limit)
	if err != nil {
		t.Fatalf("Partitions after %.80q: %v", after, err)
	}
	return got
}

package file_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"chatconf/shared/table"
	"chatconf/shared/table/file"
)

func TestPartitionsAreListedEachOnce(t *testing.T) {
	db, err := file.Open(filepath.Join(t.TempDir(), "test.db"), file.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tb := db.Table("t", file.TableOptions{})
	if got, err := table.AllPartitions(t.Context(), tb); len(got) > 0 || err != nil {
		t.Errorf("Partitions of an empty table = %q, %v, want none", got, err)
	}
	want := []string{"a", "b", "\xff", "\xff\xff", "a/b", strings.Repeat("\xff", 255), strings.Repeat("p", 256)}
	for _, p := range want {
		for _, sort := range []string{"\x00", "k", "\xff\xff"} {
			if err := tb.Write(t.Context(), p, table.Change{Puts: []table.Put{{Sort: sort}}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	got, err := table.AllPartitions(t.Context(), tb)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) || err != nil {
		t.Errorf("Partitions = %.10q, %v, want %.10q", got, err, want)
	}
}

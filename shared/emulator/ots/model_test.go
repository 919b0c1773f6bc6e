package ots_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
	"github.com/google/go-cmp/cmp"
)

// A modelRow is the simplest model of a row: the values of each column by timestamp.
type modelRow map[string]map[int64]any

// read returns the newest n versions of the row, given how many the table keeps.
func (r modelRow) read(n, kept int, columns []string) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(r)) {
		if columns != nil && !slices.Contains(columns, name) {
			continue
		}
		at := slices.Sorted(maps.Keys(r[name]))
		slices.Reverse(at)
		for _, t := range at[:min(n, kept, len(at))] {
			parts = append(parts, fmt.Sprintf("%s=%v", name, r[name][t]))
		}
	}
	if columns != nil && parts == nil {
		return "-"
	}
	return strings.Join(parts, " ")
}

// trim removes versions that the table does not keep.
func (r modelRow) trim(kept int) {
	for name, versions := range r {
		at := slices.Sorted(maps.Keys(versions))
		for _, t := range at[:max(0, len(at)-kept)] {
			delete(versions, t)
		}
		if len(versions) == 0 {
			delete(r, name)
		}
	}
}

func (r modelRow) set(name string, at int64, v any) {
	if r[name] == nil {
		r[name] = map[int64]any{}
	}
	r[name][at] = v
}

// TestRandomWritesAgreeWithAModel writes at random, and compares each row, read in several ways,
// with the model.
func TestRandomWritesAgreeWithAModel(t *testing.T) {
	const kept = 3
	for seed := range uint64(4) {
		random := rand.New(rand.NewPCG(seed, 7))
		now := newClock()
		c := run(t, withClock(now))
		c.create("t", "p:integer", versions(kept))
		model := map[int]modelRow{}
		for range 250 {
			p := random.IntN(8)
			row, exists := model[p]
			switch random.IntN(8) {
			case 0:
				c.must(remove("t", key("p", p)))
				delete(model, p)
			case 1:
				cells := randomCells(random, now.ms())
				c.must(put("t", key("p", p), cells))
				model[p] = modelRow{}
				for _, cell := range cells {
					model[p].set(cell.name, cell.at, int64(cell.value.(int)))
				}
				model[p].trim(kept)
			default:
				if !exists {
					row = modelRow{}
					model[p] = row
				}
				c.must(randomUpdate(random, p, now.ms(), row))
				row.trim(kept)
			}
		}
		for p := range 8 {
			compareRow(t, c, p, model[p], kept)
		}
		var want []string
		for _, p := range slices.Sorted(maps.Keys(model)) {
			want = append(want, strings.TrimSpace(fmt.Sprint(p, " ", model[p].read(1, kept, nil))))
		}
		if diff := cmp.Diff(want, c.dump("t", "p")); diff != "" {
			t.Errorf("seed %d: the table (-want +got):\n%s", seed, diff)
		}
	}
}

func randomCells(random *rand.Rand, now int64) []cell {
	var cells []cell
	for range random.IntN(6) {
		cells = append(cells, cell{fmt.Sprintf("c%d", random.IntN(3)), random.IntN(100), now - int64(random.IntN(5))})
	}
	return cells
}

// randomUpdate returns an update, and applies it to the model.
func randomUpdate(random *rand.Rand, p int, now int64, row modelRow) tablestore.RowChange {
	u := update("t", key("p", p))
	for i := range 3 {
		name, at := fmt.Sprintf("c%d", i), now-int64(random.IntN(5))
		switch random.IntN(4) {
		case 0:
			u.DeleteColumn(name)
			delete(row, name)
		case 1:
			u.DeleteColumnWithTimestamp(name, at)
			delete(row[name], at)
		case 2:
			n := int64(random.IntN(100))
			u.PutColumnWithTimestamp(name, n, at)
			row.set(name, at, n)
		default:
			u.PutColumnWithTimestamp(name, "text", at)
			row.set(name, at, "text")
		}
	}
	return u
}

func compareRow(t *testing.T, c *client, p int, row modelRow, kept int) {
	t.Helper()
	for n := 1; n <= kept+1; n++ {
		for _, columns := range [][]string{nil, {"c0"}, {"c2", "c1"}} {
			want := "-"
			if row != nil {
				want = row.read(n, kept, columns)
			}
			got := c.get("t", key("p", p), both(newest(int32(n)),
				func(q *tablestore.SingleRowQueryCriteria) { q.ColumnsToGet = columns }))
			if got != want {
				t.Errorf("row %d, %d versions of %q: %q, want %q", p, n, columns, got, want)
			}
		}
	}
}

package table_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"chatconf/shared/table"
	"chatconf/shared/table/file"
)

// A counter, an index entry and an item change together, and only if the name is new.
func ExampleTable() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	db, err := file.Open(filepath.Join(dir, "example.db"), file.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()

	var t table.Table = db.Table("bots", file.TableOptions{})
	ctx := context.Background()
	create := table.Change{
		Puts: []table.Put{
			{Sort: "bot#ops", Value: []byte("DingTalk"), Revision: 1, If: table.Absent()},
			{Sort: "type#DingTalk#ops"},
		},
		Adds: []table.Add{{Sort: "count", N: 1}},
	}
	fmt.Println(t.Write(ctx, "team", create))

	var failed *table.ConditionError
	if err := t.Write(ctx, "team", create); errors.As(err, &failed) {
		fmt.Println(failed)
	}

	items, err := t.Query(ctx, table.Range{Partition: "team", Limit: 10})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, item := range items {
		fmt.Printf("%s %q revision %d count %d\n", item.Sort, item.Value, item.Revision, item.Count)
	}
	// Output:
	// <nil>
	// item "bot#ops" is not absent
	// bot#ops "DingTalk" revision 1 count 0
	// count "" revision 0 count 1
	// type#DingTalk#ops "" revision 0 count 0
}

func ExampleEscape() {
	key := "type#" + table.Escape("50% #1")
	name, err := table.Unescape(key[len("type#"):])
	fmt.Println(key, name, err)
	// Output: type#50%25%20%231 50% #1 <nil>
}

package accesskey

import (
	"fmt"
	"strings"

	"chatconf/shared/reseal"
	"chatconf/shared/table"
)

// ResealArea returns the sealed items in the table of access keys.
func ResealArea(t table.Table) reseal.Area {
	return reseal.Area{Name: "access keys", Table: t, Partition: partition, Prefixes: []string{prefix},
		Kinds: []string{"access keys"}, Reseal: func(item table.Item, again reseal.Again) ([]byte, error) {
			id, err := table.Unescape(strings.TrimPrefix(item.Sort, prefix))
			if err != nil {
				return nil, fmt.Errorf("accesskey: item %q: %w", item.Sort, err)
			}
			return again(place(id), item.Value)
		}}
}

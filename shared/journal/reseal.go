package journal

import (
	"bytes"
	"fmt"
	"strings"

	"chatconf/shared/command"
	"chatconf/shared/reseal"
	"chatconf/shared/table"
)

// ResealArea returns the sealed items of a journal: commands to be dispatched, and records with a
// kept answer. An item that is sealed again expires later, as after every write.
func ResealArea(t table.Table) reseal.Area {
	return reseal.Area{Name: "journal", Table: t, Prefixes: []string{outboxPrefix, recordPrefix},
		Kinds: []string{"commands to do", "commands"}, Reseal: resealItem}
}

func resealItem(item table.Item, again reseal.Again) ([]byte, error) {
	account, region, ok := strings.Cut(item.Partition, "/")
	if !ok {
		return nil, fmt.Errorf("journal: partition %q is not ACCOUNT/REGION", item.Partition)
	}
	ref := command.Ref{Account: account, Region: region}
	if id, ok := strings.CutPrefix(item.Sort, outboxPrefix); ok {
		p, err := decodeOutboxItem(item)
		if err != nil {
			return nil, err
		}
		ref.Name, ref.ID = p.Name, id
		sealed, err := again(outboxPlace(ref), p.Sealed)
		if err != nil || bytes.Equal(sealed, p.Sealed) {
			return item.Value, err
		}
		return reseal.Replace(item.Value, "sealed", sealed)
	}
	e, err := decodeRecord(item)
	if err != nil || len(e.Kept) == 0 {
		return item.Value, err
	}
	ref.Name, ref.ID = e.Name, e.ID
	sealed, err := again(keptPlace(ref), e.Kept)
	if err != nil || bytes.Equal(sealed, e.Kept) {
		return item.Value, err
	}
	return reseal.Replace(item.Value, "kept", sealed)
}

package app

import (
	"chatconf/shared/accesskey"
	"chatconf/shared/chat"
	"chatconf/shared/journal"
	"chatconf/shared/reseal"
	"chatconf/shared/rpc"
	"chatconf/shared/seal"
	"chatconf/shared/table"
)

// Reseal is the role of the function that seals all secrets again.
func Reseal() Role { return Actions(rpc.ResealActions()...).Resealing() }

// Resealing returns the role with the means to do ResealSecrets.
func (r Role) Resealing() Role {
	r.resealer = newResealer
	return r
}

// newResealer returns a resealer of all that a ring seals in the tables.
func newResealer(t Tables, ring *seal.Ring) *reseal.Resealer {
	return reseal.New(ring, t.Configurations, nil, sealedAreas(t)...)
}

// sealedAreas returns all that a ring seals in the tables. The claim comes last: until all items
// are sealed again, the old key must stay in the ring.
func sealedAreas(t Tables) []reseal.Area {
	areas := []reseal.Area{chat.ResealArea(t.Configurations), accesskey.ResealArea(t.Keys)}
	if t.Journal != nil {
		areas = append(areas, journal.ResealArea(t.Journal))
	}
	return append(areas, reseal.Area{Name: "claim of the key ring", Table: t.Configurations,
		Partition: claimKey.Partition, Prefixes: []string{claimKey.Sort}, Kinds: []string{"claims"},
		Reseal: func(item table.Item, again reseal.Again) ([]byte, error) { return again(claimPlace, item.Value) }})
}

package ots

import "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"

// capacityUnit is how many bytes one unit of capacity is for. What counts is names and values, and
// in a write eight bytes more for each timestamp that the client gives. Whether reads count
// timestamps is not known, and they are not counted here.
const capacityUnit = 4096

// units returns how many units of capacity size bytes cost: at least one.
func units(size int) int32 { return int32(max(1, (size+capacityUnit-1)/capacityUnit)) }

// consumed returns the message for it, in one allocation: every row of a batch has one.
func consumed(read, write int32) *otsprotocol.ConsumedCapacity {
	m := &struct {
		outer       otsprotocol.ConsumedCapacity
		inner       otsprotocol.CapacityUnit
		read, write int32
	}{read: read, write: write}
	m.inner.Read, m.inner.Write = &m.read, &m.write
	m.outer.CapacityUnit = &m.inner
	return &m.outer
}

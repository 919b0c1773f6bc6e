package ots

import "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"

// capacityUnit is how many bytes one capacity unit covers. Names and values count, and in writes
// eight bytes for each timestamp that the client sends. It is not documented whether reads count
// timestamps; here they do not.
const capacityUnit = 4096

// units returns how many capacity units size bytes cost, at least one.
func units(size int) int32 { return int32(max(1, (size+capacityUnit-1)/capacityUnit)) }

// consumed returns the message in one allocation, because every row of a batch has one.
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

package ots

import (
	"bytes"
	"math"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
	"github.com/golang/protobuf/proto"

	"chatconf/shared/bolt"
	"chatconf/shared/emulator/ots/plainbuffer"
)

// location is the location of every split. The service's locations have 32 characters, and the
// vendor's suites check that.
const location = "00000000000000000000000000000000"

// minSplitUnit is the smallest unit of sizes in bytes; the Java suite expects it.
const minSplitUnit = 1 << 20

// computeSplitPoints reads the whole table, and splits it between partition keys into pieces of
// about the given size.
func (s *Server) computeSplitPoints(c *call, req *otsprotocol.ComputeSplitPointsBySizeRequest) (proto.Message, error) {
	s.schema.RLock()
	defer s.schema.RUnlock()
	t, err := s.find(c, req.GetTableName())
	if err != nil {
		return nil, err
	}
	unit := int64(100 << 20)
	if req.SplitSizeUnitInByte != nil {
		unit = req.GetSplitSizeUnitInByte()
	}
	switch n := req.GetSplitSize(); {
	case n <= 0:
		return nil, invalid("The split_size should be greater than 0.")
	case unit < minSplitUnit:
		return nil, invalid("The split_size_unit_in_byte should be greater equal than: %d", minSplitUnit)
	case n > math.MaxInt64/unit:
		return nil, invalid("The split_size is too large.") // the service's wording is not known
	}
	limit := math.MaxInt32
	if req.SplitPointLimit != nil {
		limit = int(req.GetSplitPointLimit())
	}
	out := &otsprotocol.ComputeSplitPointsBySizeResponse{Consumed: consumed(1, 0), Schema: t.schema()}
	err = s.store.View(func(tx *bolt.Tx) error {
		out.SplitPoints, err = t.splits(tx, req.GetSplitSize()*unit, limit)
		return err
	})
	if err != nil {
		return nil, err
	}
	out.Locations = []*otsprotocol.ComputeSplitPointsBySizeResponse_SplitLocation{{
		Location: proto.String(location), Repeat: proto.Int64(int64(len(out.SplitPoints) + 1)),
	}}
	return out, nil
}

// splits returns the partition key at the start of each piece except the first. It never splits a
// partition.
func (t *table) splits(tx *bolt.Tx, size int64, limit int) ([][]byte, error) {
	var points [][]byte
	var piece int64
	var partition []byte
	c := tx.Bucket(t.bucket()).Cursor()
	for k, v := c.Seek([]byte{0}); k != nil && len(points) < limit; k, v = c.Next() {
		r, err := readRow(k, v, minTime)
		if err != nil {
			return nil, err
		}
		if p := t.partition(k); !bytes.Equal(p, partition) {
			partition = p
			if piece >= size {
				point, err := r.splitPoint()
				if err != nil {
					return nil, err
				}
				points, piece = append(points, point), 0
			}
		}
		piece += int64(r.size)
	}
	return points, nil
}

// splitPoint returns a primary key with only its first column; the absent ones count as INF_MIN.
func (r *row) splitPoint() ([]byte, error) {
	content, err := r.content()
	if err != nil {
		return nil, err
	}
	return plainbuffer.AppendRow(plainbuffer.AppendHeader(nil), &plainbuffer.Row{Key: content.Key[:1]}), nil
}

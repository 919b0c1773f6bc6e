package ots

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
	"github.com/golang/protobuf/proto"

	"chatconf/shared/bolt"
	"chatconf/shared/emulator/ots/plainbuffer"
)

// A stream has one record for each successful write, in commit order, stored in the same commit. A
// row that expires has no record. Each stream has a bucket, with records by position: the time of
// the commit in microseconds since 1970, or the last position plus one. The newest record is never
// removed, so positions do not repeat.
//
//	┌────────┬─────────┬──────────┬────────┬─────────┬─────────┬───────────────────┐
//	│ format │ CRC-32C │ previous │ action │ length  │ the row │ the row before it │
//	│ 1 byte │ 4 bytes │ 8 bytes  │ 1 byte │ 4 bytes │         │ the rest          │
//	└────────┴─────────┴──────────┴────────┴─────────┴─────────┴───────────────────┘
//
// The CRC covers the key and everything after it. Previous is the position of the record before; it
// tells a reader whether records after its own position have expired. Rows are PlainBuffer without
// header.
const (
	streamPrefix  = "stream/"
	recordFormat  = 1
	recordHead    = crcEnd + 8
	recordRow     = 1 + 4 // action and length
	sweepPerLog   = 2     // how many expired records each new record removes
	defaultExpiry = 24    // hours
	// In hours:
	// https://www.alibabacloud.com/help/en/tablestore/developer-reference/stream-operations
	maxExpiry   = 168
	maxRecords  = 1000 // per page
	maxPage     = 4 << 20
	shardSuffix = "_0" // every stream has one shard

	// The service reads no stream of a table whose name is longer than 238 bytes. That fits a limit
	// of 255 bytes for the id: the name, "_" and 16 digits.
	maxStreamID = 255
)

var (
	errStreamNotExist = &Error{Code: "OTSObjectNotExist", Message: "Requested stream does not exist."}
	errTrimmed        = &Error{
		Code: "OTSTrimmedDataAccess", Message: "Requested stream data is already trimmed or does not exist.",
	}
	errStreamID = invalid("Invalid stream id.")      // known of the service's text: its first three words
	errIterator = invalid("Invalid shard iterator.") // the service's wording is not known, here and below
)

// streamBucket returns the bucket of the table's records. Each time the stream is enabled it is a
// new one.
func (t *table) streamBucket() string {
	return streamPrefix + t.Instance + "/" + t.Stream.GetStreamId()
}

func (s *Server) newStreamID(t *table) string {
	sum := sha256.Sum256([]byte(s.newID()))
	return t.Name + "_" + hex.EncodeToString(sum[:8])
}

func (t *table) shard() string { return t.Stream.GetStreamId() + shardSuffix }

// trimmed returns the last position that has expired.
func (t *table) trimmed(now time.Time) int64 {
	return now.Add(-time.Duration(t.Stream.GetExpirationTime()) * time.Hour).UnixMicro()
}

// streams reports whether writes to the table add records.
func (t *table) streams() bool { return t.Stream != nil }

// keepsOrigin reports whether records include columns of the row before the write.
func (t *table) keepsOrigin() bool { return len(t.Stream.GetColumnsToGet()) > 0 }

func (t *table) removeStream(tx *bolt.Tx) error {
	if !t.streams() {
		return nil
	}
	return tx.DeleteBucket(t.streamBucket())
}

func positionKey(position int64) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(position))
}

// record returns the stored record of a change, from the action on. Cells are the written and
// deleted cells; before is the former row, if it existed.
func (c *change) record(key, cells []plainbuffer.Cell, before []plainbuffer.Cell, existed bool) []byte {
	row := plainbuffer.Row{Key: key, Cells: cells, Deleted: c.op == otsprotocol.OperationType_DELETE}
	action := otsprotocol.ActionType_PUT_ROW
	switch c.op {
	case otsprotocol.OperationType_UPDATE:
		action = otsprotocol.ActionType_UPDATE_ROW
	case otsprotocol.OperationType_DELETE:
		action = otsprotocol.ActionType_DELETE_ROW
	}
	b := append(make([]byte, 0, 256), byte(action), 0, 0, 0, 0)
	b = plainbuffer.AppendRow(b, &row)
	binary.BigEndian.PutUint32(b[1:], uint32(len(b)-recordRow))
	columns := c.table.Stream.GetColumnsToGet()
	if !existed || !c.table.keepsOrigin() {
		return b
	}
	origin := plainbuffer.Row{Key: key}
	for i := range before {
		newest := i == 0 || !bytes.Equal(before[i].Name, before[i-1].Name)
		if newest && slices.Contains(columns, string(before[i].Name)) {
			origin.Cells = append(origin.Cells, before[i])
		}
	}
	return plainbuffer.AppendRow(b, &origin)
}

// log appends a record to the table's stream, and removes a few expired ones.
func (d *direct) log(record []byte) error {
	if !d.table.streams() {
		return nil
	}
	bucket, err := d.tx.CreateBucket(d.table.streamBucket())
	if err != nil {
		return err
	}
	last := lastPosition(bucket)
	key := positionKey(max(d.now.UnixMicro(), last+1))
	b := make([]byte, crcEnd, recordHead+len(record))
	b[0] = recordFormat
	b = binary.BigEndian.AppendUint64(b, uint64(last))
	b = append(b, record...)
	binary.BigEndian.PutUint32(b[1:], rowCRC(key, b))
	if err := bucket.Put(key, b); err != nil {
		return err
	}
	var expired [][]byte
	c, trimmed := bucket.Cursor(), d.table.trimmed(d.now)
	for k, _ := c.Seek([]byte{0}); len(expired) < sweepPerLog && expiredKey(k, trimmed); k, _ = c.Next() {
		expired = append(expired, bytes.Clone(k))
	}
	for _, k := range expired {
		if err := bucket.Delete(k); err != nil {
			return err
		}
	}
	return nil
}

func expiredKey(key []byte, trimmed int64) bool {
	return len(key) == 8 && int64(binary.BigEndian.Uint64(key)) <= trimmed
}

// lastPosition returns the position of the newest record, or 0.
func lastPosition(b *bolt.Bucket) int64 {
	k, _ := b.Cursor().SeekBefore(positionKey(-1))
	if len(k) != 8 {
		return 0
	}
	return int64(binary.BigEndian.Uint64(k))
}

// A record is one record of a stream. Its bytes belong to the store.
type record struct {
	position, previous int64
	action             otsprotocol.ActionType
	row, origin        []byte
}

func readRecord(key, value []byte) (record, error) {
	var r record
	if len(key) != 8 || len(value) < recordHead+recordRow || value[0] != recordFormat ||
		binary.BigEndian.Uint32(value[1:]) != rowCRC(key, value) {
		return r, fmt.Errorf("ots: damaged stream record under %x", key)
	}
	r.position = int64(binary.BigEndian.Uint64(key))
	r.previous = int64(binary.BigEndian.Uint64(value[crcEnd:]))
	r.action = otsprotocol.ActionType(value[recordHead])
	n := binary.BigEndian.Uint32(value[recordHead+1:])
	rows := value[recordHead+recordRow:]
	if uint64(n) > uint64(len(rows)) {
		return r, fmt.Errorf("ots: damaged stream record under %x", key)
	}
	r.row, r.origin = rows[:n], rows[n:]
	return r, nil
}

// message returns the record as an answer. The service numbers rows of the same time; here no two
// records have the same time.
func (r *record) message() *otsprotocol.GetStreamRecordResponse_StreamRecord {
	m := &otsprotocol.GetStreamRecordResponse_StreamRecord{
		ActionType: r.action.Enum(),
		Record:     plainbuffer.AppendSequenced(plainbuffer.AppendHeader(nil), r.row, r.position),
	}
	if len(r.origin) > 0 {
		m.OriginRecord = append(plainbuffer.AppendHeader(nil), r.origin...)
	}
	return m
}

func (s *Server) listStream(c *call, req *otsprotocol.ListStreamRequest) (proto.Message, error) {
	s.schema.RLock()
	defer s.schema.RUnlock()
	if req.TableName != nil {
		if _, err := s.find(c, req.GetTableName()); err != nil {
			return nil, err
		}
	}
	out := &otsprotocol.ListStreamResponse{}
	for _, t := range s.tables {
		named := req.TableName == nil || t.Name == req.GetTableName()
		if t.streams() && t.Instance == c.instance && named {
			out.Streams = append(out.Streams, &otsprotocol.Stream{
				StreamId: t.Stream.StreamId, TableName: &t.Name, CreationTime: t.Stream.LastEnableTime,
			})
		}
	}
	slices.SortFunc(out.Streams, func(a, b *otsprotocol.Stream) int {
		return strings.Compare(a.GetTableName(), b.GetTableName())
	})
	return out, nil
}

// findStream returns the table with the given stream id, or nil. The caller holds the schema lock.
func (s *Server) findStream(c *call, id string) *table {
	for _, t := range s.tables {
		if t.streams() && t.Instance == c.instance && t.Stream.GetStreamId() == id {
			return t
		}
	}
	return nil
}

func (s *Server) describeStream(c *call, req *otsprotocol.DescribeStreamRequest) (proto.Message, error) {
	s.schema.RLock()
	defer s.schema.RUnlock()
	t := s.findStream(c, req.GetStreamId())
	switch {
	case t == nil:
		return nil, errStreamNotExist
	case req.InclusiveStartShardId != nil && req.GetInclusiveStartShardId() != t.shard():
		return nil, invalid("Invalid shard id: '%s'.", req.GetInclusiveStartShardId())
	case req.ShardLimit != nil && req.GetShardLimit() <= 0:
		return nil, invalid("The shard limit must be greater than 0.")
	}
	return &otsprotocol.DescribeStreamResponse{
		StreamId: t.Stream.StreamId, ExpirationTime: t.Stream.ExpirationTime, TableName: &t.Name,
		CreationTime: t.Stream.LastEnableTime, StreamStatus: otsprotocol.StreamStatus_STREAM_ACTIVE.Enum(),
		Shards: []*otsprotocol.StreamShard{{ShardId: proto.String(t.shard())}},
	}, nil
}

// An iterator is a stream id and the position of the last record read.
func formatIterator(stream string, position int64) *string {
	return proto.String(fmt.Sprintf("%s/%016x", stream, position))
}

func parseIterator(text string) (stream string, position int64, err error) {
	i := strings.LastIndexByte(text, '/')
	if i < 0 {
		return "", 0, errIterator
	}
	n, err := strconv.ParseUint(text[i+1:], 16, 63)
	if err != nil || *formatIterator(text[:i], int64(n)) != text {
		return "", 0, errIterator
	}
	return text[:i], int64(n), nil
}

// getShardIterator returns an iterator at the oldest record, or, if a timestamp in microseconds is
// given, at the first record that is not older.
func (s *Server) getShardIterator(c *call, req *otsprotocol.GetShardIteratorRequest) (proto.Message, error) {
	s.schema.RLock()
	defer s.schema.RUnlock()
	t := s.findStream(c, req.GetStreamId())
	switch {
	case t == nil:
		return nil, errStreamNotExist
	case req.GetShardId() != t.shard():
		return nil, invalid("Invalid shard id: '%s'.", req.GetShardId())
	case req.GetTimestamp() < 0:
		return nil, invalid("The timestamp must not be negative.")
	case req.GetToken() != "":
		return nil, invalid("Invalid token.")
	}
	after := max(req.GetTimestamp()-1, 0)
	err := s.store.View(func(tx *bolt.Tx) error {
		bucket := tx.Bucket(t.streamBucket())
		k, v := bucket.Cursor().Seek(positionKey(max(after, t.trimmed(s.now())) + 1))
		if k == nil {
			after = max(after, lastPosition(bucket))
			return nil
		}
		r, err := readRecord(k, v)
		after = max(after, r.previous)
		return err
	})
	return &otsprotocol.GetShardIteratorResponse{ShardIterator: formatIterator(req.GetStreamId(), after)}, err
}

// getStreamRecord returns the records after the iterator, and an iterator for the records that
// follow. It is the same iterator if there are no records yet.
func (s *Server) getStreamRecord(c *call, req *otsprotocol.GetStreamRecordRequest) (proto.Message, error) {
	id, after, err := parseIterator(req.GetShardIterator())
	if err != nil {
		return nil, err
	}
	if len(id) > maxStreamID {
		return nil, errStreamID
	}
	limit := maxRecords
	if req.Limit != nil {
		if limit = min(int(req.GetLimit()), maxRecords); limit <= 0 {
			return nil, invalid("The limit must be greater than 0.")
		}
	}
	s.schema.RLock()
	defer s.schema.RUnlock()
	t := s.findStream(c, id)
	if t == nil || req.TableName != nil && req.GetTableName() != t.Name {
		return nil, errTrimmed
	}
	out, size := &otsprotocol.GetStreamRecordResponse{MayMoreRecord: proto.Bool(false)}, 0
	err = s.store.View(func(tx *bolt.Tx) error {
		c, trimmed := tx.Bucket(t.streamBucket()).Cursor(), t.trimmed(s.now())
		for k, v := c.Seek(positionKey(after + 1)); k != nil; k, v = c.Next() {
			r, err := readRecord(k, v)
			if err != nil {
				return err
			}
			if r.position <= trimmed || r.previous > after {
				return errTrimmed
			}
			m := r.message()
			out.StreamRecords = append(out.StreamRecords, m)
			after, size = r.position, size+len(m.Record)+len(m.OriginRecord)
			if len(out.StreamRecords) == limit || size >= maxPage {
				*out.MayMoreRecord = true // always, even at the end
				return nil
			}
		}
		return nil
	})
	out.NextShardIterator, out.Consumed = formatIterator(id, after), consumed(units(size), 0)
	return out, err
}

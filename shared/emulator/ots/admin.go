package ots

import (
	"slices"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
	"github.com/golang/protobuf/proto"

	"chatconf/shared/bolt"
)

// find returns the table or index with the given name. The caller holds the schema lock.
func (s *Server) find(c *call, name string) (*table, error) {
	if err := checkTableName(name); err != nil {
		return nil, err
	}
	t := s.tables[tableID(c.instance, name)]
	if t == nil {
		return nil, errTableNotExist
	}
	return t, nil
}

// findMain is find for operations on tables; it refuses an index.
func (s *Server) findMain(c *call, name string) (*table, error) {
	t, err := s.find(c, name)
	if err == nil && t.Index != nil {
		return nil, errIndexWrite
	}
	return t, err
}

// alter changes the store, and then the tables in memory. The caller holds the schema lock for
// writing.
func (s *Server) alter(c *call, fn func(*bolt.Tx) error, publish func()) error {
	if err := s.store.Update(c.ctx, 0, fn); err != nil {
		return err
	}
	publish()
	return nil
}

func (s *Server) createTable(c *call, req *otsprotocol.CreateTableRequest) (proto.Message, error) {
	t, err := s.newTable(c, req)
	if err != nil {
		return nil, err
	}
	s.schema.Lock()
	defer s.schema.Unlock()
	if err := s.checkRoom(t); err != nil {
		return nil, err
	}
	created := append([]*table{t}, t.indexes...)
	for i, u := range created {
		same := func(v *table) bool { return v.Name == u.Name }
		if s.tables[u.id()] != nil || slices.ContainsFunc(created[:i], same) {
			return nil, errTableExists
		}
	}
	err = s.alter(c, func(tx *bolt.Tx) error {
		for _, u := range created {
			if err := u.create(tx); err != nil {
				return err
			}
		}
		return nil
	}, func() {
		for _, u := range created {
			s.tables[u.id()] = u
		}
	})
	return &otsprotocol.CreateTableResponse{}, err
}

// checkRoom returns an error if the instance has as many tables as it may. Indexes do not count.
func (s *Server) checkRoom(t *table) error {
	n := 0
	for _, u := range s.tables {
		if u.Instance == t.Instance && u.Index == nil {
			n++
		}
	}
	if n >= maxTables {
		return &Error{Code: "OTSQuotaExhausted", Message: "Number of tables exceeds the quota:64."}
	}
	return nil
}

func (s *Server) listTable(c *call, _ *otsprotocol.ListTableRequest) (proto.Message, error) {
	s.schema.RLock()
	defer s.schema.RUnlock()
	out := &otsprotocol.ListTableResponse{}
	for _, t := range s.tables {
		if t.Instance == c.instance && t.Index == nil {
			out.TableNames = append(out.TableNames, t.Name)
		}
	}
	slices.Sort(out.TableNames)
	return out, nil
}

// listSearchIndex and listTimeseriesTable answer empty lists: the emulator creates neither.
func (s *Server) listSearchIndex(*call, *otsprotocol.ListSearchIndexRequest) (proto.Message, error) {
	return &otsprotocol.ListSearchIndexResponse{}, nil
}

func (s *Server) listTimeseriesTable(*call, *otsprotocol.ListTimeseriesTableRequest) (proto.Message, error) {
	return &otsprotocol.ListTimeseriesTableResponse{}, nil
}

// creationTime is the number of a field of DescribeTableResponse, in microseconds since 1970. The
// Java SDK reads it; the Go SDK does not know it.
const creationTime = 9

func (s *Server) describeTable(c *call, req *otsprotocol.DescribeTableRequest) (proto.Message, error) {
	s.schema.RLock()
	defer s.schema.RUnlock()
	t, err := s.find(c, req.GetTableName())
	if err != nil {
		return nil, err
	}
	out := &otsprotocol.DescribeTableResponse{
		TableMeta: t.meta(), ReservedThroughputDetails: t.throughput(), TableOptions: t.options(),
		TableStatus: otsprotocol.TableStatus_ACTIVE.Enum(), StreamDetails: t.stream(), SseDetails: t.Encryption,
	}
	for _, ix := range t.indexes {
		out.IndexMetas = append(out.IndexMetas, ix.indexMeta())
	}
	if t.Created != 0 {
		out.XXX_unrecognized = proto.EncodeVarint(creationTime << 3)
		out.XXX_unrecognized = append(out.XXX_unrecognized, proto.EncodeVarint(uint64(t.Created))...)
	}
	return out, nil
}

func (s *Server) updateTable(c *call, req *otsprotocol.UpdateTableRequest) (proto.Message, error) {
	s.schema.Lock()
	defer s.schema.Unlock()
	old, err := s.findMain(c, req.GetTableName())
	if err != nil {
		return nil, err
	}
	t := *old
	if err := s.update(&t, req); err != nil {
		return nil, err
	}
	same := t.Stream.GetStreamId() == old.Stream.GetStreamId()
	err = s.alter(c, func(tx *bolt.Tx) error {
		if same {
			return t.save(tx)
		}
		if err := old.removeStream(tx); err != nil {
			return err
		}
		return t.save(tx)
	}, func() {
		s.tables[t.id()] = &t
		if !same {
			s.sessions.drop(t.id()) // their changes made records for the former stream, or none
		}
	})
	if err != nil {
		return nil, err
	}
	return &otsprotocol.UpdateTableResponse{
		ReservedThroughputDetails: t.throughput(), TableOptions: t.options(), StreamDetails: t.stream(),
	}, nil
}

func (s *Server) update(t *table, req *otsprotocol.UpdateTableRequest) error {
	if req.ReservedThroughput == nil && req.TableOptions == nil && req.StreamSpec == nil {
		return invalid("No parameter is specified in table options.")
	}
	if m := req.GetReservedThroughput().GetCapacityUnit(); m != nil {
		read, write, now := t.Read, t.Write, s.now().Unix()
		if err := t.setThroughput(m, false); err != nil {
			return err
		}
		if t.Read > read || t.Write > write {
			t.Increased = now
		}
		if t.Read < read || t.Write < write {
			t.Decreased = now
		}
	}
	if m := req.TableOptions; m != nil {
		if m.UpdateFullRow != nil {
			// Only the last two words of the service's text are known.
			return invalid("UpdateTable can not contain updateFullRow.")
		}
		if err := t.setOptions(m); err != nil {
			return err
		}
		if len(t.indexes) > 0 {
			if err := t.checkIndexed(); err != nil {
				return err
			}
		}
	}
	return s.setStream(t, req.StreamSpec)
}

// checkIndexed returns an error if the new options do not fit the table's indexes. The indexes keep
// their time to live.
func (t *table) checkIndexed() error {
	if t.TTL != t.indexes[0].TTL {
		// The service's wording is not known.
		return invalid("Time to live of a table with secondary index can not be changed.")
	}
	u := *t
	u.indexes = nil
	return u.checkIndexable()
}

func (s *Server) deleteTable(c *call, req *otsprotocol.DeleteTableRequest) (proto.Message, error) {
	s.schema.Lock()
	defer s.schema.Unlock()
	t, err := s.findMain(c, req.GetTableName())
	if err != nil {
		return nil, err
	}
	removed := append([]*table{t}, t.indexes...)
	err = s.alter(c, func(tx *bolt.Tx) error {
		for _, u := range removed {
			if err := u.remove(tx); err != nil {
				return err
			}
		}
		return nil
	}, func() {
		for _, u := range removed {
			delete(s.tables, u.id())
		}
		s.sessions.drop(t.id())
	})
	return &otsprotocol.DeleteTableResponse{}, err
}

func (s *Server) createIndex(c *call, req *otsprotocol.CreateIndexRequest) (proto.Message, error) {
	s.schema.Lock()
	defer s.schema.Unlock()
	if err := checkIndex(req.GetIndexMeta()); err != nil {
		return nil, err
	}
	old, err := s.findMain(c, req.GetMainTableName())
	if err != nil {
		return nil, err
	}
	ix, err := old.newIndex(req.GetIndexMeta())
	if err != nil {
		return nil, err
	}
	if s.tables[ix.id()] != nil {
		return nil, errTableExists
	}
	ix.Created = s.now().UnixMicro()
	t := *old
	t.indexes = append(slices.Clone(old.indexes), ix)
	err = s.alter(c, func(tx *bolt.Tx) error {
		if err := ix.create(tx); err != nil || !req.GetIncludeBaseData() {
			return err
		}
		return ix.fill(tx, old)
	}, func() { s.tables[t.id()], s.tables[ix.id()] = &t, ix })
	return &otsprotocol.CreateIndexResponse{}, err
}

func (s *Server) dropIndex(c *call, req *otsprotocol.DropIndexRequest) (proto.Message, error) {
	s.schema.Lock()
	defer s.schema.Unlock()
	old, err := s.findMain(c, req.GetMainTableName())
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(old.indexes, func(ix *table) bool { return ix.Name == req.GetIndexName() })
	if i < 0 {
		return nil, errTableNotExist
	}
	ix, t := old.indexes[i], *old
	t.indexes = slices.Delete(slices.Clone(old.indexes), i, i+1)
	err = s.alter(c, ix.remove, func() {
		s.tables[t.id()] = &t
		delete(s.tables, ix.id())
	})
	return &otsprotocol.DropIndexResponse{}, err
}

func (s *Server) addDefinedColumn(c *call, req *otsprotocol.AddDefinedColumnRequest) (proto.Message, error) {
	err := s.redefine(c, req.GetTableName(), func(t *table) error { return t.addDefined(req.Columns) })
	return &otsprotocol.AddDefinedColumnResponse{}, err
}

func (s *Server) deleteDefinedColumn(c *call, req *otsprotocol.DeleteDefinedColumnRequest) (proto.Message, error) {
	err := s.redefine(c, req.GetTableName(), func(t *table) error { return t.removeDefined(req.Columns) })
	return &otsprotocol.DeleteDefinedColumnResponse{}, err
}

func (s *Server) redefine(c *call, name string, fn func(*table) error) error {
	s.schema.Lock()
	defer s.schema.Unlock()
	old, err := s.findMain(c, name)
	if err != nil {
		return err
	}
	t := *old
	t.Defined = slices.Clone(old.Defined)
	if err := fn(&t); err != nil {
		return err
	}
	return s.alter(c, t.save, func() { s.tables[t.id()] = &t })
}

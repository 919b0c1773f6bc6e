package ots

import (
	"slices"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
	"github.com/golang/protobuf/proto"

	"chatconf/shared/bolt"
	"chatconf/shared/emulator/ots/plainbuffer"
)

func (s *Server) getRow(c *call, req *otsprotocol.GetRowRequest) (proto.Message, error) {
	s.schema.RLock()
	defer s.schema.RUnlock()
	t, err := s.find(c, req.GetTableName())
	if err != nil {
		return nil, err
	}
	sel, err := t.selection(query{
		columns: req.ColumnsToGet, times: req.TimeRange, maxVersions: req.MaxVersions, filter: req.Filter,
		start: req.StartColumn, end: req.EndColumn, token: req.Token,
	}, s.now())
	if err != nil {
		return nil, err
	}
	columns, err := t.readKey(req.PrimaryKey, forRead)
	if err != nil {
		return nil, err
	}
	key := newKey(columns)
	var changes map[string][]byte
	if req.TransactionId != nil {
		session, err := s.enter(req.GetTransactionId(), t, key)
		if err != nil {
			return nil, err
		}
		defer session.mu.Unlock()
		changes = session.changes
	}
	out := &otsprotocol.GetRowResponse{}
	err = s.store.View(func(tx *bolt.Tx) error {
		value, changed := changes[string(key)]
		if !changed {
			value = tx.Bucket(t.bucket()).Get(key)
		}
		row, size, err := sel.one(c.scratch.rows, key, value)
		if len(row) > 0 {
			c.scratch.rows = row
		}
		out.Row, out.Consumed = row, consumed(units(size), 0)
		return err
	})
	return out, err
}

// one encodes the selected part of one stored row, in the memory of room. The result is empty if
// nothing is selected.
func (s *selection) one(room, key, value []byte) (b []byte, size int, err error) {
	r, err := readRow(key, value, s.expiry)
	if err != nil || !r.exists() {
		return []byte{}, 0, err
	}
	p := newPlainPage(slices.Grow(room[:0], plainbuffer.HeaderSize+len(r.body)))
	size, _, err = p.add(&r, s)
	b, _ = p.bytes()
	return b, size, err
}

func (s *Server) putRow(c *call, req *otsprotocol.PutRowRequest) (proto.Message, error) {
	out, err := s.writeRow(c, rowWrite{
		req.GetTableName(), otsprotocol.OperationType_PUT, req.Row, req.Condition, req.ReturnContent, req.TransactionId,
	})
	return &otsprotocol.PutRowResponse{Consumed: consumed(out.read, out.write), Row: out.row}, err
}

func (s *Server) updateRow(c *call, req *otsprotocol.UpdateRowRequest) (proto.Message, error) {
	out, err := s.writeRow(c, rowWrite{
		req.GetTableName(), otsprotocol.OperationType_UPDATE, req.RowChange, req.Condition, req.ReturnContent,
		req.TransactionId,
	})
	return &otsprotocol.UpdateRowResponse{Consumed: consumed(out.read, out.write), Row: out.row}, err
}

func (s *Server) deleteRow(c *call, req *otsprotocol.DeleteRowRequest) (proto.Message, error) {
	out, err := s.writeRow(c, rowWrite{
		req.GetTableName(), otsprotocol.OperationType_DELETE, req.PrimaryKey, req.Condition, req.ReturnContent,
		req.TransactionId,
	})
	return &otsprotocol.DeleteRowResponse{Consumed: consumed(out.read, out.write), Row: out.row}, err
}

// A rowWrite is the common part of PutRow, UpdateRow and DeleteRow.
type rowWrite struct {
	table       string
	op          otsprotocol.OperationType
	row         []byte
	condition   *otsprotocol.Condition
	returns     *otsprotocol.ReturnContent
	transaction *string
}

var operationNames = map[otsprotocol.OperationType]string{
	otsprotocol.OperationType_PUT: "PutRow", otsprotocol.OperationType_UPDATE: "UpdateRow",
	otsprotocol.OperationType_DELETE: "DeleteRow",
}

func (s *Server) writeRow(c *call, req rowWrite) (out outcome, err error) {
	s.schema.RLock()
	defer s.schema.RUnlock()
	ch, err := newChange(req.op, req.row, req.condition, req.returns)
	if err == errNoCells {
		err = errNoColumns
	}
	if err != nil {
		return out, err
	}
	if err := ch.checkSize(operationNames[req.op]); err != nil {
		return out, err
	}
	t, err := s.find(c, req.table)
	if err != nil {
		return out, err
	}
	if err := ch.bind(t); err != nil {
		return out, err
	}
	if req.transaction != nil {
		return s.writeInSession(c, *req.transaction, ch)
	}
	err = s.store.Update(c.ctx, len(req.row), func(tx *bolt.Tx) error {
		w := s.writer(tx)
		if err := s.sessions.check(ch, w.now); err != nil {
			return err
		}
		if out, err = w.apply(ch, newDirect(tx, t, w.now)); err != nil {
			return err
		}
		return s.sweep(tx, t, w.now)
	})
	return out, err
}

func (s *Server) writer(tx *bolt.Tx) *writer { return &writer{tx, s.now()} }

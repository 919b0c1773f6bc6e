package ots

import (
	"errors"
	"fmt"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
	"github.com/golang/protobuf/proto"

	"chatconf/shared/bolt"
	"chatconf/shared/emulator/ots/plainbuffer"
)

// ofRow reports whether an error in a batch concerns one row: its table does not exist, or the
// table has another primary key. All other errors refuse the whole request.
func ofRow(err error) (*Error, bool) {
	var e *Error
	return e, errors.As(err, &e) && e.Code != "OTSParameterInvalid"
}

func (s *Server) batchGetRow(c *call, req *otsprotocol.BatchGetRowRequest) (proto.Message, error) {
	if err := checkBatchGet(req); err != nil {
		return nil, err
	}
	s.schema.RLock()
	defer s.schema.RUnlock()
	out := &otsprotocol.BatchGetRowResponse{}
	err := s.store.View(func(tx *bolt.Tx) error {
		for _, in := range req.Tables {
			rows, err := s.getRows(c, tx, in)
			if err != nil {
				return err
			}
			out.Tables = append(out.Tables, &otsprotocol.TableInBatchGetRowResponse{TableName: in.TableName,
				Rows: rows})
		}
		return nil
	})
	return out, err
}

func checkBatchGet(req *otsprotocol.BatchGetRowRequest) error {
	names, n := map[string]bool{}, 0
	for _, in := range req.Tables {
		if names[in.GetTableName()] {
			return invalid("Duplicated table name: '%s'.", in.GetTableName())
		}
		names[in.GetTableName()] = true
		n += len(in.PrimaryKey)
	}
	switch {
	case len(req.Tables) == 0:
		return invalid("No row specified in the request of BatchGetRow.")
	case n > maxRowsGet:
		return invalid("Rows count exceeds the upper limit: %d.", maxRowsGet)
	}
	return nil
}

func (s *Server) getRows(c *call, tx *bolt.Tx,
	in *otsprotocol.TableInBatchGetRowRequest) ([]*otsprotocol.RowInBatchGetRowResponse, error) {
	out := make([]*otsprotocol.RowInBatchGetRowResponse, len(in.PrimaryKey))
	t, err := s.find(c, in.GetTableName())
	if e, ok := ofRow(err); ok {
		for i := range out {
			out[i] = failedGet(e)
		}
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	sel, err := t.selection(query{
		columns: in.ColumnsToGet, times: in.TimeRange, maxVersions: in.MaxVersions, filter: in.Filter,
		start: in.StartColumn, end: in.EndColumn,
	}, s.now())
	if err == errNoVersions {
		err = errNoVersionsRows
	}
	if err != nil {
		return nil, err
	}
	bucket := tx.Bucket(t.bucket())
	for i, b := range in.PrimaryKey {
		if i < len(in.Token) && len(in.Token[i]) > 0 {
			return nil, invalid("Invalid token.")
		}
		columns, err := t.readKey(b, forRead)
		if e, ok := ofRow(err); ok {
			out[i] = failedGet(e)
			continue
		}
		if err != nil {
			return nil, err
		}
		key := newKey(columns)
		if e := c.rowFault(in.GetTableName(), i); e != nil {
			out[i] = failedGet(e)
			continue
		}
		row, size, err := sel.one(nil, key, bucket.Get(key))
		if err != nil {
			return nil, err
		}
		out[i] = &otsprotocol.RowInBatchGetRowResponse{IsOk: proto.Bool(true), Consumed: consumed(units(size), 0),
			Row: row}
	}
	return out, nil
}

func failedGet(e *Error) *otsprotocol.RowInBatchGetRowResponse {
	return &otsprotocol.RowInBatchGetRowResponse{IsOk: proto.Bool(false), Error: e.message()}
}

func (e *Error) message() *otsprotocol.Error {
	return &otsprotocol.Error{Code: proto.String(e.Code), Message: proto.String(e.Message)}
}

// A batch is the changes to one table in a BatchWriteRow, with their results.
type batch struct {
	table    *table // nil if the table does not exist
	name     *string
	changes  []*change // nil if the change failed already
	outcomes []outcome
	errs     []*Error
}

func (s *Server) batchWriteRow(c *call, req *otsprotocol.BatchWriteRowRequest) (proto.Message, error) {
	batches, err := s.writeBatches(c, req, nil)
	if err != nil {
		return nil, err
	}
	out := &otsprotocol.BatchWriteRowResponse{}
	for i := range batches {
		out.Tables = append(out.Tables, batches[i].response())
	}
	return out, nil
}

// writeBatches writes all rows of the request. If check is not nil, each change must pass it too.
func (s *Server) writeBatches(
	c *call, req *otsprotocol.BatchWriteRowRequest, check func(*change) *Error,
) ([]batch, error) {
	if err := checkBatchWrite(req); err != nil {
		return nil, err
	}
	s.schema.RLock()
	defer s.schema.RUnlock()
	batches, size, err := s.newBatches(c, req)
	if err != nil {
		return nil, err
	}
	if check != nil {
		for i := range batches {
			batches[i].fail(check)
		}
	}
	if req.TransactionId != nil {
		err = s.batchInSession(c, req.GetTransactionId(), batches, req.GetIsAtomic())
	} else {
		err = s.store.Update(c.ctx, size, func(tx *bolt.Tx) error {
			w := s.writer(tx)
			for i := range batches {
				if err := s.writeBatch(w, batches[i].fresh(), req.GetIsAtomic()); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return batches, err
}

func checkBatchWrite(req *otsprotocol.BatchWriteRowRequest) error {
	names, n := map[string]bool{}, 0
	for _, in := range req.Tables {
		if names[in.GetTableName()] {
			return invalid("Duplicated table name: '%s'.", in.GetTableName())
		}
		names[in.GetTableName()] = true
		if len(in.Rows) == 0 {
			return invalid("No operation is specified for table: '%s'.", in.GetTableName())
		}
		n += len(in.Rows)
	}
	switch {
	case n == 0:
		return invalid("No row is specified in BatchWriteRow.")
	case n > maxRowsWrite:
		return invalid("Rows count exceeds the upper limit: %d.", maxRowsWrite)
	}
	return nil
}

func (s *Server) newBatches(c *call, req *otsprotocol.BatchWriteRowRequest) (batches []batch, size int, err error) {
	for _, in := range req.Tables {
		b, err := s.newBatch(c, in)
		if err != nil {
			return nil, 0, err
		}
		batches = append(batches, b)
		for _, ch := range b.changes {
			if ch != nil {
				size += ch.size
			}
		}
	}
	if size > maxWrite {
		return nil, 0, invalid("The total data size of BatchWriteRow request exceeds the limit, limit size: %d, "+
			"data size: %d.", maxWrite, size)
	}
	return batches, size, nil
}

func (s *Server) newBatch(c *call, in *otsprotocol.TableInBatchWriteRowRequest) (batch, error) {
	b := batch{name: in.TableName, changes: make([]*change, len(in.Rows)), errs: make([]*Error, len(in.Rows))}
	var err error
	for i, row := range in.Rows {
		switch op := row.GetType(); op {
		case otsprotocol.OperationType_PUT, otsprotocol.OperationType_UPDATE, otsprotocol.OperationType_DELETE:
			b.changes[i], err = newChange(op, row.RowChange, row.Condition, row.ReturnContent)
		default:
			err = invalid("The modify type is invalid.")
		}
		if err != nil {
			return b, err
		}
	}
	t, err := s.find(c, in.GetTableName())
	if e, ok := ofRow(err); ok {
		clear(b.changes)
		b.failAll(e)
		return b, nil
	}
	if err != nil {
		return b, err
	}
	b.table = t
	for i, ch := range b.changes {
		err := ch.bind(t)
		if e, ok := ofRow(err); ok {
			b.changes[i], b.errs[i] = nil, e
		} else if err != nil {
			return b, err
		}
		if e := c.rowFault(in.GetTableName(), i); e != nil {
			b.changes[i], b.errs[i] = nil, e
		}
	}
	return b, b.checkRepeated()
}

// checkRepeated returns an error if two changes to the same row cannot be combined.
func (b *batch) checkRepeated() error {
	seen := make(map[string]*change, len(b.changes))
	for _, ch := range b.changes {
		if ch == nil || ch.auto {
			continue
		}
		first, repeated := seen[string(ch.key)]
		if !repeated {
			seen[string(ch.key)] = ch
			continue
		}
		for _, ch := range []*change{first, ch} {
			switch {
			case len(b.table.indexes) > 0:
				return invalid("Duplicate rows detected in MultiPut.")
			case ch.expect != otsprotocol.RowExistenceExpectation_IGNORE:
				return errRepeatedExist
			case ch.condition != nil:
				return errRepeatedFilter
			}
		}
	}
	return nil
}

// fail marks the changes that check refuses as failed.
func (b *batch) fail(check func(*change) *Error) {
	for i, ch := range b.changes {
		if ch == nil {
			continue
		}
		if e := check(ch); e != nil {
			b.changes[i], b.errs[i] = nil, e
		}
	}
}

func (b *batch) failAll(e *Error) {
	for i := range b.errs {
		b.errs[i] = e
	}
}

// failTogether fails all changes with the first error, and reports whether there is one.
func (b *batch) failTogether() bool {
	for _, e := range b.errs {
		if e != nil {
			b.failAll(e)
			return true
		}
	}
	return false
}

// fresh clears the results of an earlier run, and returns the batch.
func (b *batch) fresh() *batch {
	b.outcomes = make([]outcome, len(b.changes))
	for i, ch := range b.changes {
		if ch != nil {
			b.errs[i] = nil
		}
	}
	return b
}

// writeBatch applies the changes to one table: each on its own, or all of them or none.
func (s *Server) writeBatch(w *writer, b *batch, atomic bool) error {
	if b.table == nil {
		return nil
	}
	below := newDirect(w.tx, b.table, w.now)
	if !atomic {
		if err := s.applyEach(w, b, below); err != nil {
			return err
		}
		return s.sweep(w.tx, b.table, w.now)
	}
	if e := b.checkPartition(); e != nil {
		b.failAll(e)
		return nil
	}
	above := newOverlay(below)
	if err := s.applyEach(w, b, above); err != nil {
		return err
	}
	if b.failTogether() {
		return nil
	}
	return above.flush()
}

func (s *Server) applyEach(w *writer, b *batch, rows rows) error {
	for i, ch := range b.changes {
		if ch == nil {
			continue
		}
		if err := s.sessions.check(ch, w.now); err != nil {
			b.errs[i] = errConflict
			continue
		}
		if err := b.apply(i, w, rows); err != nil {
			return err
		}
	}
	return nil
}

// apply applies one change, and keeps its result. It returns only errors of the store.
func (b *batch) apply(i int, w *writer, rows rows) error {
	var err error
	b.outcomes[i], err = w.apply(b.changes[i], rows)
	if err != nil && !errors.As(err, &b.errs[i]) {
		return err
	}
	return nil
}

// checkPartition returns an error unless all changes are in one partition.
//
// It is not documented what an atomic batch answers for the other rows when one row's condition
// fails. Here every row of the table gets that error, as the service does for rows of several
// partitions. So a client cannot tell from the answer which row failed.
func (b *batch) checkPartition() *Error {
	var first *change
	for _, ch := range b.changes {
		if ch == nil {
			continue
		}
		if first == nil {
			first = ch
		}
		if p, q := first.row.Key[0].Value, ch.row.Key[0].Value; !sameValue(p, q) {
			return outOfScope("atomic", "Atomic", showValue(p), showValue(q))
		}
	}
	return nil
}

func sameValue(a, b plainbuffer.Value) bool {
	order, ok := a.Compare(b)
	return ok && order == 0
}

// showValue returns a primary key's value as error messages show it.
func showValue(v plainbuffer.Value) string {
	if v.Type == plainbuffer.Integer {
		return fmt.Sprint(v.Int())
	}
	return string(v.Data)
}

func (b *batch) response() *otsprotocol.TableInBatchWriteRowResponse {
	out := &otsprotocol.TableInBatchWriteRowResponse{TableName: b.name}
	for i, e := range b.errs {
		row := &otsprotocol.RowInBatchWriteRowResponse{IsOk: proto.Bool(e == nil)}
		if e != nil {
			row.Error = e.message()
		} else {
			row.Consumed, row.Row = consumed(b.outcomes[i].read, b.outcomes[i].write), b.outcomes[i].row
		}
		out.Rows = append(out.Rows, row)
	}
	return out
}

package ots

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
	"github.com/golang/protobuf/proto"

	"chatconf/shared/emulator/ots/plainbuffer"
	"chatconf/shared/emulator/ots/store"
)

// A local transaction lives this long, and may write this much.
const (
	sessionLife = time.Minute
	sessionSize = 4 << 20
)

// A session is a local transaction: the sole right to write to one partition, and the changes that
// wait for its commit. They are in memory only, so that a crash aborts it.
type session struct {
	id        string
	table     *table
	partition string // the beginning of all keys in it
	shown     string // the partition key, as an error shows it
	ends      time.Time

	mu      sync.Mutex // held by the one request under way
	changes map[string][]byte
	records [][]byte // of the stream, in the order of the changes
	size    int
}

func (s *session) lock() string { return s.table.id() + "\x00" + s.partition }

// sessions are the local transactions under way. One whose time is over is forgotten by whoever
// meets it next, or begins another.
type sessions struct {
	count atomic.Int64 // so that a write need not take the lock when there is none

	mu     sync.Mutex
	byID   map[string]*session
	byLock map[string]*session
}

// acquire takes the lock of a session, unless another one holds it, and forgets those whose time is
// over.
func (s *sessions) acquire(in *session, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, other := range s.byID {
		if !now.Before(other.ends) {
			s.removeLocked(other)
		}
	}
	if held := s.byLock[in.lock()]; held != nil && held != in {
		return errConflict
	}
	s.byID[in.id], s.byLock[in.lock()] = in, in
	s.count.Store(int64(len(s.byID)))
	return nil
}

func (s *sessions) remove(in *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removeLocked(in)
}

func (s *sessions) removeLocked(in *session) {
	if s.byID[in.id] == in {
		delete(s.byID, in.id)
		delete(s.byLock, in.lock())
		s.count.Store(int64(len(s.byID)))
	}
}

// drop ends the sessions of a table.
func (s *sessions) drop(table string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, in := range s.byID {
		if in.table.id() == table {
			s.removeLocked(in)
		}
	}
}

// find returns the session with the given id that is still alive.
func (s *sessions) find(id string, now time.Time) (*session, error) {
	if !validID(id) {
		return nil, errTransactionID
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	in := s.byID[id]
	if in == nil {
		return nil, errNoSession
	}
	if !now.Before(in.ends) {
		s.removeLocked(in)
		return nil, errNoSession
	}
	return in, nil
}

// check says whether a change that belongs to no session may be made: whether no session holds its
// partition. It runs within the update, so that a session which begins in a later one sees what the
// change has left.
func (s *sessions) check(ch *change, now time.Time) error {
	if s.count.Load() == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	held := s.byLock[ch.table.id()+"\x00"+string(appendKeyColumn(nil, ch.row.Key[0].Value))]
	if held == nil {
		return nil
	}
	if now.Before(held.ends) {
		return errConflict
	}
	s.removeLocked(held)
	return nil
}

func (s *Server) startTransaction(c *call, req *otsprotocol.StartLocalTransactionRequest) (proto.Message, error) {
	s.schema.RLock()
	defer s.schema.RUnlock()
	t, err := s.findMain(c, req.GetTableName())
	if err != nil {
		return nil, err
	}
	if !t.LocalTxn {
		return nil, errTxnDisabled
	}
	key, err := t.readPartition(req.Key)
	if err != nil {
		return nil, err
	}
	in := &session{
		id: s.newID(), table: t, partition: string(appendKeyColumn(nil, key)), shown: showValue(key),
		ends: s.now().Add(sessionLife), changes: map[string][]byte{},
	}
	// An update, though it changes nothing: it ends after all that were before it, and those that
	// come after see the lock.
	err = s.store.Update(c.ctx, 0, func(store.Tx) error { return s.sessions.acquire(in, s.now()) })
	if err != nil {
		s.sessions.remove(in)
		return nil, err
	}
	return &otsprotocol.StartLocalTransactionResponse{TransactionId: &in.id}, nil
}

// readPartition decodes and checks a key that is the first column of a primary key alone.
func (t *table) readPartition(b []byte) (plainbuffer.Value, error) {
	r, err := plainbuffer.DecodeRow(b)
	if err != nil {
		return plainbuffer.Value{}, brokenRow(err)
	}
	if len(r.Key) != 1 {
		return plainbuffer.Value{}, invalid("StartLocalTransaction support only one primary key.")
	}
	if err := checkKeyCell(&r.Key[0], forRead); err != nil {
		return plainbuffer.Value{}, err
	}
	return r.Key[0].Value, t.Key[0].check(&r.Key[0])
}

// enter returns the session with the given id, locked, for keys of its partition.
func (s *Server) enter(id string, t *table, keys ...[]byte) (*session, error) {
	if !t.LocalTxn {
		return nil, errTxnDisabled
	}
	in, err := s.lockSession(id)
	if err != nil {
		return nil, err
	}
	if err := in.admit(t, keys...); err != nil {
		in.mu.Unlock()
		return nil, err
	}
	return in, nil
}

// admit says whether all keys are of the session's partition.
func (s *session) admit(t *table, keys ...[]byte) error {
	for _, key := range keys {
		if s.table.id() != t.id() || !s.holds(key) {
			return outOfScope("transaction", "Transaction", s.shown, showPartition(t, key))
		}
	}
	return nil
}

// lockSession returns the session with the given id, locked. It looks twice, because the session
// may end while this waits.
func (s *Server) lockSession(id string) (*session, error) {
	in, err := s.sessions.find(id, s.now())
	if err != nil {
		return nil, err
	}
	in.mu.Lock()
	if _, err := s.sessions.find(id, s.now()); err != nil {
		in.mu.Unlock()
		return nil, err
	}
	return in, nil
}

func (s *session) holds(key []byte) bool {
	return len(key) >= len(s.partition) && string(key[:len(s.partition)]) == s.partition
}

// showPartition returns the first column of a stored key as an error shows it.
func showPartition(t *table, key []byte) string {
	if len(key) == 0 || key[0] != keyValue {
		return "INF"
	}
	p := t.partition(key)
	if t.Key[0].Type == otsprotocol.PrimaryKeyType_INTEGER {
		return showValue(plainbuffer.IntegerValue(decodeKeyInt(p)))
	}
	return string(decodeKeyBytes(p))
}

// writeInSession makes a change that waits for the commit.
func (s *Server) writeInSession(c *call, id string, ch *change) (outcome, error) {
	b := []batch{{table: ch.table, changes: []*change{ch}, errs: make([]*Error, 1)}}
	if err := s.batchInSession(c, id, b, false); err != nil {
		return outcome{}, err
	}
	if b[0].errs[0] != nil {
		return outcome{}, b[0].errs[0]
	}
	return b[0].outcomes[0], nil
}

// batchInSession makes the changes of a request that wait for the commit. When it fails, the
// session is as it was: all changes are admitted before the first is made, and those that are
// admitted are of one table.
func (s *Server) batchInSession(c *call, id string, batches []batch, atomic bool) error {
	for i := range batches {
		for _, ch := range batches[i].changes {
			if ch == nil {
				continue
			}
			if err := s.resolve(c.ctx, ch); err != nil {
				return err
			}
			if !ch.table.LocalTxn {
				return errTxnDisabled
			}
		}
	}
	in, err := s.lockSession(id)
	if err != nil {
		return err
	}
	defer in.mu.Unlock()
	for i := range batches {
		for _, ch := range batches[i].changes {
			if ch == nil {
				continue
			}
			if err := in.admit(ch.table, ch.key); err != nil {
				return err
			}
		}
	}
	return s.store.View(func(tx store.Tx) error {
		for i := range batches {
			if err := in.write(s.writer(tx), batches[i].fresh(), atomic); err != nil {
				return err
			}
		}
		return nil
	})
}

// write makes the changes to one table: each by itself, or all or none. They are above those of the
// session until all were made, so that none is left of a batch that is refused.
func (s *session) write(w *writer, b *batch, atomic bool) error {
	if b.table == nil {
		return nil
	}
	below := &overlay{base: newDirect(w.tx, b.table, w.now), changes: s.changes, records: s.records, size: s.size}
	above := newOverlay(below)
	for i, ch := range b.changes {
		if ch == nil {
			continue
		}
		if below.size+above.size+ch.size > sessionSize {
			// the service's wording is not known
			return invalid("The total data size of the transaction exceeds the limit, limit size: %d.", sessionSize)
		}
		if err := b.apply(i, w, above); err != nil {
			return err
		}
	}
	if atomic && b.failTogether() {
		return nil
	}
	if err := above.flush(); err != nil {
		return err
	}
	s.records, s.size = below.records, below.size
	return nil
}

// resolve gives a change its AUTO_INCREMENT value before it is made, because a session writes
// nothing before its commit.
func (s *Server) resolve(ctx context.Context, ch *change) error {
	if !ch.auto {
		return nil
	}
	var key []plainbuffer.Cell
	err := s.store.Update(ctx, 64, func(tx store.Tx) (err error) {
		key, err = s.writer(tx).nextKey(ch)
		return err
	})
	if err == nil {
		ch.row.Key, ch.key, ch.auto = key, newKey(key), false
	}
	return err
}

func (s *Server) commitTransaction(c *call, req *otsprotocol.CommitTransactionRequest) (proto.Message, error) {
	s.schema.RLock()
	defer s.schema.RUnlock()
	in, err := s.lockSession(req.GetTransactionId())
	if err != nil {
		return nil, err
	}
	defer in.mu.Unlock()
	err = s.store.Update(c.ctx, in.size, func(tx store.Tx) error {
		if _, err := s.sessions.find(in.id, s.now()); err != nil {
			return err // its time ended in the queue, and another may hold the partition
		}
		t := s.tables[in.table.id()] // the indexes may have changed since the session began
		return (&overlay{base: newDirect(tx, t, s.now()), changes: in.changes, records: in.records}).flush()
	})
	if err != nil {
		return nil, err
	}
	s.sessions.remove(in)
	return &otsprotocol.CommitTransactionResponse{}, nil
}

func (s *Server) abortTransaction(_ *call, req *otsprotocol.AbortTransactionRequest) (proto.Message, error) {
	in, err := s.lockSession(req.GetTransactionId())
	if err != nil {
		return nil, err
	}
	defer in.mu.Unlock()
	s.sessions.remove(in)
	return &otsprotocol.AbortTransactionResponse{}, nil
}

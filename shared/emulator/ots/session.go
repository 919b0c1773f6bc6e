package ots

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
	"github.com/golang/protobuf/proto"

	"chatconf/shared/bolt"
	"chatconf/shared/emulator/ots/plainbuffer"
)

// sessionLife is how long a local transaction lives, and sessionSize how many bytes it may write.
const (
	sessionLife = time.Minute
	sessionSize = 4 << 20
)

// A session is a local transaction: the exclusive right to write to one partition, and the
// uncommitted changes. They are in memory only, so a crash aborts the transaction.
type session struct {
	id        string
	table     *table
	partition string // the start of all its keys
	shown     string // the partition key for error messages
	ends      time.Time

	mu      sync.Mutex // held during a request
	changes map[string][]byte
	records [][]byte // for the stream, in the order of the changes
	size    int
}

func (s *session) lock() string { return s.table.id() + "\x00" + s.partition }

// sessions are the active local transactions. An expired one is removed when it is used or when
// another starts.
type sessions struct {
	count atomic.Int64 // lets writes skip the lock if there are no sessions

	mu     sync.Mutex
	byID   map[string]*session
	byLock map[string]*session
}

// acquire locks the session's partition, and removes expired sessions. It fails if another session
// holds the lock.
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

func (s *sessions) drop(table string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, in := range s.byID {
		if in.table.id() == table {
			s.removeLocked(in)
		}
	}
}

// find returns the active session with the given id.
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

// check returns an error if a session holds the partition of a change that belongs to no session.
// It runs within the store's update, so a session that starts later sees the change.
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
	// This update changes nothing. It waits for earlier updates, and later ones see the lock.
	err = s.store.Update(c.ctx, 0, func(*bolt.Tx) error { return s.sessions.acquire(in, s.now()) })
	if err != nil {
		s.sessions.remove(in)
		return nil, err
	}
	return &otsprotocol.StartLocalTransactionResponse{TransactionId: &in.id}, nil
}

// readPartition decodes and checks a primary key that consists of its first column only.
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

// enter returns the session with the given id, locked, after checking that it covers the keys.
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

// admit returns an error if a key is outside the session's partition.
func (s *session) admit(t *table, keys ...[]byte) error {
	for _, key := range keys {
		if s.table.id() != t.id() || !s.holds(key) {
			return outOfScope("transaction", "Transaction", s.shown, showPartition(t, key))
		}
	}
	return nil
}

// lockSession returns the session with the given id, locked. It checks again after it has the lock,
// because the session may have ended meanwhile.
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

// showPartition returns the first column of a stored key for error messages.
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

// writeInSession applies one change within a session.
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

// batchInSession applies the changes of a request within a session. It checks all of them first, so
// a failed request leaves the session unchanged.
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
	return s.store.View(func(tx *bolt.Tx) error {
		for i := range batches {
			if err := in.write(s.writer(tx), batches[i].fresh(), atomic); err != nil {
				return err
			}
		}
		return nil
	})
}

// write applies the changes to one table: each on its own, or all of them or none. It collects them
// in an overlay of the session's, so a failed batch leaves nothing behind.
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
			// The service's wording is not known.
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

// resolve sets the AUTO_INCREMENT value of a change. A session writes nothing to the store before
// its commit, so this is an update of its own.
func (s *Server) resolve(ctx context.Context, ch *change) error {
	if !ch.auto {
		return nil
	}
	var key []plainbuffer.Cell
	err := s.store.Update(ctx, 64, func(tx *bolt.Tx) (err error) {
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
	err = s.store.Update(c.ctx, in.size, func(tx *bolt.Tx) error {
		if _, err := s.sessions.find(in.id, s.now()); err != nil {
			return err // it expired while waiting, and another session may hold the partition
		}
		t := s.tables[in.table.id()] // its indexes may have changed since the session started
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

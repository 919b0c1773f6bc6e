package bolt

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync/atomic"

	"go.etcd.io/bbolt"
)

// A batch takes all waiting calls up to these limits. They keep its memory small, and its time
// small against a flush of the disk. An update larger than maxBatchBytes is a batch of its own.
const (
	maxBatchCalls = 512
	maxBatchBytes = 4 << 20
)

// A call is one update or verification in the queue.
type call struct {
	ctx    context.Context
	size   int
	fn     func(*Tx) error
	verify bool // not an update: check the file

	state atomic.Int32  // a callState; leaving waiting decides the result
	err   error         // the result, when done is closed
	done  chan struct{} // closed with the result
}

type callState = int32

const (
	waiting callState = iota
	running
	abandoned
)

// start reports whether the caller still waits, so that the call may run. If not, it finishes the
// call.
func (c *call) start() bool {
	if c.ctx.Err() == nil && c.state.CompareAndSwap(waiting, running) {
		return true
	}
	c.finish(c.ctx.Err())
	return false
}

func (c *call) finish(err error) {
	c.err = err
	close(c.done)
}

// do queues a call and waits for its result, or until its context ends before the call runs.
func (db *DB) do(c *call) error {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	c.done = make(chan struct{})
	db.mu.Lock()
	if db.closing {
		db.mu.Unlock()
		return ErrClosed
	}
	db.queue = append(db.queue, c)
	db.wake.Signal()
	db.mu.Unlock()

	select {
	case <-c.done:
	case <-c.ctx.Done():
		if c.state.CompareAndSwap(waiting, abandoned) {
			return c.ctx.Err()
		}
		<-c.done
	}
	return c.err
}

// run is the committer: it runs batches of waiting calls until the DB is closed and none waits.
// While one batch is flushed to disk, the next one gathers, so no timer is needed.
func (db *DB) run() {
	for batch := db.take(); batch != nil; batch = db.take() {
		if batch[0].verify {
			db.runVerify(batch[0])
		} else {
			db.runBatch(batch)
		}
	}
	close(db.drained)
}

// take returns the next batch in order of arrival, within the limits, or one verification; nil at
// the end.
func (db *DB) take() []*call {
	db.mu.Lock()
	defer db.mu.Unlock()
	for len(db.queue) == 0 {
		if db.closing {
			return nil
		}
		db.wake.Wait()
	}
	n, bytes := 0, 0
	for n < len(db.queue) && n < maxBatchCalls {
		c := db.queue[n]
		if n > 0 && (c.verify || db.queue[0].verify || bytes+c.size > maxBatchBytes) {
			break
		}
		bytes += c.size
		n++
	}
	batch := db.queue[:n:n]
	if db.queue = db.queue[n:]; len(db.queue) == 0 {
		db.queue = nil
	}
	return batch
}

// runBatch runs the calls in one transaction. No call gets a result before the commit, not even an
// error: it may depend on other calls of the batch, which a failed commit undoes.
func (db *DB) runBatch(batch []*call) {
	var together, alone []*call
	for _, c := range batch {
		if c.start() {
			together = append(together, c)
		}
	}
	// A call that fails after a change spoils the transaction. The others run again without it.
	// Then it runs alone, so that its error also describes the content of the file.
	for len(together) > 0 {
		i := db.transact(together)
		if i < 0 {
			break
		}
		alone = append(alone, together[i])
		together = slices.Delete(together, i, i+1)
	}
	for _, c := range alone {
		db.transact([]*call{c})
	}
}

// transact runs the calls in one transaction, commits it and finishes all calls. If one of several
// fails after a change, it finishes none and returns the index of that one; otherwise -1.
func (db *DB) transact(calls []*call) (dirty int) {
	finish := func(err error) {
		for _, c := range calls {
			if err != nil {
				c.err = err
			}
			close(c.done)
		}
	}
	if err := db.broken.Load(); err != nil {
		finish(*err)
		return -1
	}
	tx, err := db.bolt.Begin(true)
	if err != nil {
		finish(fmt.Errorf("bolt: write %s: %w", db.path, err))
		return -1
	}
	changed := false
	for i, c := range calls {
		t := &Tx{tx: tx, leaves: db.leaves}
		c.err = guard(t, c.fn)
		if c.err != nil && t.changed {
			if err := db.rollback(tx); err != nil {
				finish(err)
				return -1
			}
			if len(calls) > 1 {
				return i
			}
			finish(nil)
			return -1
		}
		changed = changed || t.changed
	}
	if changed {
		finish(db.tryCommit(tx))
	} else {
		finish(db.rollback(tx))
	}
	return -1
}

// tryCommit commits tx. If that fails and may have changed the file, the DB is broken.
func (db *DB) tryCommit(tx *bbolt.Tx) error {
	id := tx.ID()
	defer db.hurry()()
	err := guard(&Tx{tx: tx}, func(*Tx) error { return db.commit(tx) })
	if err == nil {
		return nil
	}
	err = fmt.Errorf("bolt: write %s: %w", db.path, err)
	if broken := db.rollback(tx); broken != nil {
		return errors.Join(err, broken)
	}
	// bbolt writes the new meta page last. If that succeeded and the flush after it failed,
	// readers would see changes that a power cut may undo.
	last := -1
	if viewErr := db.View(func(t *Tx) error { last = t.tx.ID(); return nil }); viewErr != nil || last >= id {
		return db.fail(err)
	}
	return err
}

// rollback undoes tx if it is still open. bbolt panics if it cannot.
func (db *DB) rollback(tx *bbolt.Tx) error {
	if tx.DB() == nil {
		return nil
	}
	if err := guard(&Tx{tx: tx}, func(t *Tx) error { return t.tx.Rollback() }); err != nil {
		return db.fail(fmt.Errorf("bolt: roll back %s: %w", db.path, err))
	}
	return nil
}

// fail makes every later call return ErrBroken because of err, and returns that error.
func (db *DB) fail(err error) error {
	err = fmt.Errorf("%w: %w", ErrBroken, err)
	db.broken.CompareAndSwap(nil, &err)
	return err
}

// runVerify checks the file. No update runs meanwhile, so the disk has the result of the last
// commit.
func (db *DB) runVerify(c *call) {
	if !c.start() {
		return
	}
	if err := db.broken.Load(); err != nil {
		c.finish(*err)
		return
	}
	c.finish(db.check())
}

// check inspects the file before bbolt does: bbolt follows a wrong page number past the end of its
// mapping.
func (db *DB) check() error {
	if err := db.inspectAll(); err != nil {
		return fmt.Errorf("bolt: verify %s: %w", db.path, err)
	}
	// bbolt's check reads the list of free pages, which a writer may change
	tx, err := db.bolt.Begin(db.readOnly == nil)
	if err != nil {
		return fmt.Errorf("bolt: verify %s: %w", db.path, err)
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	var first error
	for err := range tx.Check() {
		if first == nil {
			first = fmt.Errorf("bolt: verify %s: %w: %w", db.path, ErrDamaged, err)
		}
	}
	return errors.Join(first, db.rollback(tx))
}

func (db *DB) inspectAll() error {
	info, err := db.file.Stat()
	if err != nil {
		return err
	}
	_, buckets, err := inspect(db.file, info.Size())
	if err != nil {
		return err
	}
	for _, b := range buckets {
		if err := b.checkAll(); err != nil {
			return err
		}
	}
	return nil
}

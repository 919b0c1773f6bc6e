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

// A batch takes all that waits, up to these bounds. They keep its memory, and the time that its
// first waits for its last, small beside what a flush of the disk costs. One update beyond the
// bytes goes alone.
const (
	maxBatchCalls = 512
	maxBatchBytes = 4 << 20
)

// A call is one update on its way.
type call struct {
	ctx    context.Context
	size   int
	fn     func(*Tx) error
	verify bool // not an update: check the file

	state atomic.Int32  // of callState; who moves it on from waiting owns the outcome
	err   error         // the outcome, once done is closed
	done  chan struct{} // closed with the outcome
}

type callState = int32

const (
	waiting callState = iota
	running
	abandoned
)

// start reports whether the call may run: whether its caller still waits for it. If not, the call
// is finished.
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

// do queues a call and waits for its outcome, or for the end of its context if that comes before
// its turn.
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

// run is the committer: it takes all calls that wait, does them, and looks again, until the DB is
// closed and none waits. While it flushes one batch to the disk the next gathers, so that it needs
// no timer.
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

// take returns the next batch, in the order of arrival: as much as its bounds allow, or one
// verification; nil at the end.
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

// runBatch runs the calls in one transaction. No call is answered before the commit, not even one
// that failed: what it saw may have been the work of another in the batch, which a failed commit
// would make undone.
func (db *DB) runBatch(batch []*call) {
	var together, alone []*call
	for _, c := range batch {
		if c.start() {
			together = append(together, c)
		}
	}
	// A call that fails after it has changed something takes the transaction with it. The others
	// run again without it, and then it runs again alone, on what they left, so that its error too
	// tells of what is in the file.
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

// transact runs the calls in one transaction, commits it and answers them all. If one of several
// fails after it has changed something, nothing is committed, nobody is answered, and its index is
// returned; otherwise -1.
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

// tryCommit commits tx. When that fails and cannot be shown to have changed nothing, the DB is
// broken from then on.
func (db *DB) tryCommit(tx *bbolt.Tx) error {
	id := tx.ID()
	err := guard(&Tx{tx: tx}, func(*Tx) error { return db.commit(tx) })
	if err == nil {
		return nil
	}
	err = fmt.Errorf("bolt: write %s: %w", db.path, err)
	if broken := db.rollback(tx); broken != nil {
		return errors.Join(err, broken)
	}
	// bbolt writes the new meta page last. If it is there although the flush after it failed,
	// readers would see what may be gone after a power cut.
	last := -1
	if viewErr := db.View(func(t *Tx) error { last = t.tx.ID(); return nil }); viewErr != nil || last >= id {
		return db.fail(err)
	}
	return err
}

// rollback undoes tx, if it is still open. bbolt panics when that cannot be done.
func (db *DB) rollback(tx *bbolt.Tx) error {
	if tx.DB() == nil {
		return nil
	}
	if err := guard(&Tx{tx: tx}, func(t *Tx) error { return t.tx.Rollback() }); err != nil {
		return db.fail(fmt.Errorf("bolt: roll back %s: %w", db.path, err))
	}
	return nil
}

// fail makes every later call end with an ErrBroken because of err, and returns that.
func (db *DB) fail(err error) error {
	err = fmt.Errorf("%w: %w", ErrBroken, err)
	db.broken.CompareAndSwap(nil, &err)
	return err
}

// runVerify checks the file. No update runs meanwhile, so that what is on the disk is what the last
// commit left there.
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

// check reads the file by itself before it lets bbolt do it, which follows a wrong page number over
// the end of its mapping.
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

// inspectAll reads the whole file as it is now.
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

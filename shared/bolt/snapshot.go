package bolt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// Errors of Snapshot, for errors.Is.
var (
	// ErrCopying: another snapshot of the file is open.
	ErrCopying = errors.New("another copy is being made; try again when it is done")
	// ErrWaiting: an update needed the file to grow, and could not while the snapshot was open.
	ErrWaiting = errors.New("the copy was ended, because changes had to wait for it; try again")
)

// patience is how long a commit may take before it ends an open snapshot: the commit may wait for
// it.
const patience = 2 * time.Second

// Snapshot calls fn with the content of the file after all updates that were acknowledged before.
// WriteTo writes it as a file for Open, in small pieces. Updates continue. Only one snapshot is
// open at a time; a second one is ErrCopying.
//
// While it is open, the file reuses no space, and it cannot grow beyond its mapping: such an update
// waits. So fn must be quick, and return soon after its context ends. The context ends early if a
// commit takes long (ErrWaiting), and if the DB is closed (ErrClosed). Give ctx a deadline: it
// bounds how much the file grows.
func (db *DB) Snapshot(ctx context.Context, fn func(context.Context, io.WriterTo) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if !db.snapshot.CompareAndSwap(nil, &cancel) {
		return fmt.Errorf("bolt: copy %s: %w", db.path, ErrCopying)
	}
	defer db.snapshot.Store(nil)
	db.mu.Lock()
	closing := db.closing
	db.mu.Unlock()
	if closing {
		return ErrClosed
	}
	return db.View(func(tx *Tx) error {
		err := fn(ctx, &snapshot{ctx, tx})
		if cause := context.Cause(ctx); err != nil && cause != nil {
			return fmt.Errorf("bolt: copy %s: %w", db.path, cause)
		}
		return err
	})
}

// endSnapshot ends the snapshot that is open, if there is one.
func (db *DB) endSnapshot(cause error) {
	if cancel := db.snapshot.Load(); cancel != nil {
		(*cancel)(cause)
	}
}

// hurry ends the snapshot that is open if stop is not called soon.
func (db *DB) hurry() (stop func() bool) {
	return time.AfterFunc(db.patience, func() { db.endSnapshot(ErrWaiting) }).Stop
}

// A snapshot is the content of a file.
type snapshot struct {
	ctx context.Context
	tx  *Tx
}

// WriteTo implements io.WriterTo.
func (s *snapshot) WriteTo(w io.Writer) (int64, error) {
	until := &untilDone{ctx: s.ctx, w: w}
	n, err := s.tx.tx.WriteTo(until)
	if until.err != nil {
		return n, until.err // bbolt returns only its text
	}
	return n, err
}

// untilDone writes until its context ends.
type untilDone struct {
	ctx context.Context
	w   io.Writer
	err error // of the last write
}

func (u *untilDone) Write(p []byte) (n int, err error) {
	if u.err = context.Cause(u.ctx); u.err == nil {
		n, u.err = u.w.Write(p)
	}
	return n, u.err
}

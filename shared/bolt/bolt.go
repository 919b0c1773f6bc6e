// Package bolt opens a bbolt file safely and commits updates in groups. It knows nothing of tables;
// the file table and emulators keep their data in it.
//
// Only one process at a time opens a file. A file has one kind, stored in its format bucket. Every
// page is checked before it is used. Open checks all pages but leaves before bbolt may write. It
// refuses a file that is damaged or of another kind, and does not change it. A leaf page is checked
// when it is read first; damage is then the error ErrDamaged of that View or Update. Verify checks
// all pages. After a power cut or a kill, the file has exactly the acknowledged updates, and
// possibly one more batch that was being written.
package bolt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"
)

// Errors, for errors.Is.
var (
	// ErrInUse: another process, or another DB of this process, has the file open.
	ErrInUse = errors.New("another process has it open")
	// ErrForeign: the file belongs to another program, or has another kind or version.
	ErrForeign = errors.New("not a file of this store")
	// ErrNewer is the ErrForeign of a file of this kind with a newer version.
	ErrNewer = fmt.Errorf("%w, but of a newer version", ErrForeign)
	// ErrDamaged: the file is ours, and damaged.
	ErrDamaged = errors.New("the file is damaged")
	// ErrReadOnly: the file can only be read.
	ErrReadOnly = errors.New("the file is read-only")
	// ErrClosed: the DB is closed.
	ErrClosed = errors.New("the file is closed")
	// ErrBroken: a commit failed, and the content of the disk is unknown until the file is
	// opened again.
	ErrBroken = errors.New("the file must be opened again; restart the program")
)

// A PanicError is the error of a callback that panicked. Damage can cause a panic too: of bbolt, or
// of the kernel when the file has become shorter.
type PanicError struct {
	Value any
	Stack []byte
}

// Error returns the value and the stack, for the log.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v\n%s", e.Value, e.Stack) }

// Unwrap returns the value when it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// Options describe a file.
type Options struct {
	// Kind names the content of the file, and Version its layout. Open refuses a file with
	// others.
	Kind    string
	Version int
	// MaxSize is the largest size of the file, in bytes. An update beyond it fails. Zero: no
	// limit.
	MaxSize int
	// Wait is how long Open waits until another process closes the file. Zero: half a second.
	Wait time.Duration
}

// A DB is one open file. It is safe for concurrent use.
type DB struct {
	bolt   *bbolt.DB
	file   *os.File           // bbolt's own; read only in a transaction
	leaves map[string]*leaves // by bucket, from when the file was opened
	path   string

	readOnly error                 // why the file cannot be written; nil: it can
	broken   atomic.Pointer[error] // set once, by the first ErrBroken

	mu      sync.Mutex
	wake    sync.Cond // on mu: the queue has grown, or closing is set
	queue   []*call
	closing bool
	drained chan struct{} // closed when the committer has ended
	closed  chan struct{} // closed when the file is

	snapshot atomic.Pointer[context.CancelCauseFunc] // ends the one that is open; nil: none is

	commit   func(*bbolt.Tx) error // (*bbolt.Tx).Commit, but for tests
	patience time.Duration
}

func newDB(b *bbolt.DB, f *os.File, path string, leaves map[string]*leaves, readOnly error) *DB {
	db := &DB{bolt: b, file: f, path: path, leaves: leaves, readOnly: readOnly, drained: make(chan struct{}),
		closed: make(chan struct{}), commit: (*bbolt.Tx).Commit, patience: patience}
	db.wake.L = &db.mu
	go db.run()
	return db
}

// Path returns the path that was given to Open.
func (db *DB) Path() string { return db.path }

// ReadOnly returns why the file cannot be written; nil if it can.
func (db *DB) ReadOnly() error { return db.readOnly }

// View runs fn on a snapshot with all updates that were acknowledged before. Many run concurrently,
// also with updates. An old snapshot keeps the file from reusing space and from growing its
// mapping, so fn must be quick; it must not call View, Update or Close. What fn reads is valid only
// until it returns. View returns the error of fn, and its panic as a *PanicError.
func (db *DB) View(fn func(*Tx) error) error {
	if err := db.broken.Load(); err != nil {
		return *err
	}
	tx, err := db.bolt.Begin(false)
	if errors.Is(err, bbolterrors.ErrDatabaseNotOpen) {
		return ErrClosed
	}
	if err != nil {
		return fmt.Errorf("bolt: read %s: %w", db.path, err)
	}
	defer tx.Rollback()
	return guard(&Tx{tx: tx, leaves: db.leaves}, fn)
}

// Update runs fn on the result of all earlier updates, and makes its changes durable before it
// returns. Waiting updates share one transaction and one flush of the disk, but do not disturb each
// other. If fn returns an error, none of its changes remain and Update returns that error; a panic
// is a *PanicError. This is cheapest if fn checks everything before its first change.
//
// fn runs on another goroutine, one update at a time, and possibly more than once; only its last
// run counts. It must not call View, Update, Close or runtime.Goexit. What it reads is valid only
// until it returns or changes something. The slices that it puts must not change until Update
// returns.
//
// size is about how many bytes fn changes; it bounds the shared transaction. If ctx ends before fn
// has begun, fn does not run and the error is ctx's; later, ctx has no effect. If the commit fails,
// every update in it gets the error and none of their changes remain, unless the error is
// ErrBroken.
//
// The error is ErrReadOnly if the file can only be read; fn does not run then.
func (db *DB) Update(ctx context.Context, size int, fn func(*Tx) error) error {
	if db.readOnly != nil {
		return fmt.Errorf("bolt: write %s: %w: %w", db.path, ErrReadOnly, db.readOnly)
	}
	return db.do(&call{ctx: ctx, size: size, fn: fn})
}

// Verify checks the whole file, including its free pages. It waits in the queue of updates, so no
// update runs meanwhile. It returns the first damage as an ErrDamaged.
func (db *DB) Verify(ctx context.Context) error {
	return db.do(&call{ctx: ctx, verify: true})
}

// Close completes waiting updates, ends an open snapshot, waits for current views and closes the
// file. Later calls return ErrClosed. A second Close is not an error.
func (db *DB) Close() error {
	db.mu.Lock()
	first := !db.closing
	db.closing = true
	db.wake.Broadcast()
	db.mu.Unlock()
	db.endSnapshot(ErrClosed)
	if !first {
		<-db.closed
		return nil
	}
	<-db.drained
	err := db.bolt.Close()
	close(db.closed)
	if err != nil {
		return fmt.Errorf("bolt: close %s: %w", db.path, err)
	}
	return nil
}

// guard runs fn and returns its panic as a *PanicError, also for a fault in the mapped file, which
// would end the process.
func guard(tx *Tx, fn func(*Tx) error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		switch v := recover().(type) {
		case nil:
		case damage:
			err = v.err
		default:
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	return fn(tx)
}

// Package bolt is an engine for local stores: one bbolt file, opened with care, and group commit.
//
// It knows nothing of tables. The file table keeps its items in it, and so may an emulator of a
// store with other semantics.
//
// A file belongs to one process at a time, and to one kind of store for ever: its format bucket
// says which. No page of the file is used before it is checked. Open checks all but the leaf pages
// before bbolt may write, and refuses a file that is damaged or not ours without changing a byte of
// it. A leaf page is checked when it is read first: damage is then the error, ErrDamaged, of that
// View or Update. Verify checks all. After a power cut or a kill, the file holds exactly the
// updates that were acknowledged, and perhaps one batch more that was about to be.
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

// Sentinel errors, to be found with errors.Is.
var (
	// ErrInUse says that another process, or another DB of this one, has the file open.
	ErrInUse = errors.New("another process has it open")
	// ErrForeign says that the file is sound, or never was ours: another program's, or of another
	// kind or version.
	ErrForeign = errors.New("not a file of this store")
	// ErrDamaged says that the file was ours and is no longer whole.
	ErrDamaged = errors.New("the file is damaged")
	// ErrReadOnly says that the file may be read and not written.
	ErrReadOnly = errors.New("the file is read-only")
	// ErrClosed says that the DB was closed.
	ErrClosed = errors.New("the file is closed")
	// ErrBroken says that a commit failed in such a way that nobody can tell what the disk holds,
	// or that bbolt lost its footing. Only opening the file anew can tell.
	ErrBroken = errors.New("the file must be opened anew")
)

// A PanicError is what a callback that panicked gets. bbolt reports damage it meets by a panic too,
// and so does the kernel when the file is shorter than it was.
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

// Options say which file is wanted.
type Options struct {
	// Kind names what is kept in the file, and Version the layout it is kept in. A file of another
	// kind or version is refused.
	Kind    string
	Version int
	// MaxSize is the size in bytes that the file may grow to; an update that would take it further
	// is refused. Zero is no bound.
	MaxSize int
	// Wait is how long Open waits for another process to let go of the file. Zero is half a second.
	Wait time.Duration
}

// A DB is one open file. Its methods may be called from many goroutines at once.
type DB struct {
	bolt   *bbolt.DB
	file   *os.File           // bbolt's own; to be read in a transaction only
	leaves map[string]*leaves // by bucket, as the file was when it was opened
	path   string

	readOnly error                 // why the file cannot be written; nil: it can
	broken   atomic.Pointer[error] // set once, when nothing can be trusted any more

	mu      sync.Mutex
	wake    sync.Cond // on mu: the queue has grown, or closing was set
	queue   []*call
	closing bool
	drained chan struct{} // closed when the committer has ended
	closed  chan struct{} // closed when the file is

	commit func(*bbolt.Tx) error // (*bbolt.Tx).Commit, but for tests
}

// newDB starts the committer of a file.
func newDB(b *bbolt.DB, f *os.File, path string, leaves map[string]*leaves, readOnly error) *DB {
	db := &DB{bolt: b, file: f, path: path, leaves: leaves, readOnly: readOnly, drained: make(chan struct{}),
		closed: make(chan struct{}), commit: (*bbolt.Tx).Commit}
	db.wake.L = &db.mu
	go db.run()
	return db
}

// Path returns the path that the file was opened by.
func (db *DB) Path() string { return db.path }

// ReadOnly returns why the file cannot be written, nil if it can.
func (db *DB) ReadOnly() error { return db.readOnly }

// View runs fn on a snapshot: all updates that were acknowledged before it began, and none that
// come after. Many run at once, beside updates. The file cannot give back the room of what was
// deleted or replaced while an old snapshot is held, and cannot grow its mapping, so fn must be
// quick; it must not call View, Update or Close. What it reads is valid only until it returns. Its
// error is returned as it is; its panic as a *PanicError.
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

// Update runs fn on the state that all earlier updates left, and makes what it changed durable
// before it returns. Updates that wait at the same time share one transaction and one flush of the
// disk, but none can disturb another: when fn returns an error, nothing that it changed remains,
// and the error is returned as it is; a panic likewise, as a *PanicError. That is cheapest when fn
// checks everything before it changes anything.
//
// fn runs on another goroutine, one update at a time, and possibly more than once; only its last
// run counts. It must not call View, Update or Close, nor runtime.Goexit. What it reads is valid
// only until it returns or changes something. The slices that it puts must not change until Update
// returns.
//
// size is about how many bytes fn changes; it bounds what shares a transaction. When ctx ends
// before fn has begun, fn is not run and the error is ctx's; after that the outcome is the true
// one. If the commit itself fails, every update in it gets the error and nothing of them remains,
// unless the error is ErrBroken.
//
// Of a file that was opened for reading only, it is an ErrReadOnly, and fn is not run.
func (db *DB) Update(ctx context.Context, size int, fn func(*Tx) error) error {
	if db.readOnly != nil {
		return fmt.Errorf("bolt: write %s: %w: %w", db.path, ErrReadOnly, db.readOnly)
	}
	return db.do(&call{ctx: ctx, size: size, fn: fn})
}

// Verify reads the whole file and checks it, its free pages included, while no update runs. It
// stands in the queue of updates, and returns the first damage found as an ErrDamaged.
func (db *DB) Verify(ctx context.Context) error {
	return db.do(&call{ctx: ctx, verify: true})
}

// Close ends the updates that wait, waits for the views under way, and lets go of the file. Later
// calls are ErrClosed. Closing twice is not an error.
func (db *DB) Close() error {
	db.mu.Lock()
	first := !db.closing
	db.closing = true
	db.wake.Broadcast()
	db.mu.Unlock()
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

// guard runs fn and turns its panic into a *PanicError, and so a fault in the mapped file, which
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

package bolt

import (
	"os"
	"time"

	"go.etcd.io/bbolt"
)

// MaxBatchCalls and MaxBatchBytes are the bounds of a batch.
const (
	MaxBatchCalls = maxBatchCalls
	MaxBatchBytes = maxBatchBytes
)

// SetCommit puts commit in the place of bbolt's own. It must be called before the first update.
func (db *DB) SetCommit(commit func(*bbolt.Tx) error) { db.commit = commit }

// SetPatience sets how long a commit may take before it ends an open snapshot. It must be called
// before the first update.
func (db *DB) SetPatience(d time.Duration) { db.patience = d }

// Waiting returns how many calls the committer has not taken yet.
func (db *DB) Waiting() int {
	db.mu.Lock()
	defer db.mu.Unlock()
	return len(db.queue)
}

// Closing reports whether Close was called.
func (db *DB) Closing() bool {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.closing
}

// SetOpenFile puts open in the place of os.OpenFile until the function that it returns is called.
func SetOpenFile(open func(name string, flag int, perm os.FileMode) (*os.File, error)) (restore func()) {
	openFile = open
	return func() { openFile = os.OpenFile }
}

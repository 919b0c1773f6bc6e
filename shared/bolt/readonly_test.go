package bolt_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.etcd.io/bbolt"

	"chatconf/shared/bolt"
)

// refuseWrites makes files fail to open for writing with err, as those of a file system that is
// read-only do.
func refuseWrites(t *testing.T, err error) {
	t.Helper()
	t.Cleanup(bolt.SetOpenFile(func(name string, flag int, perm os.FileMode) (*os.File, error) {
		if flag&(os.O_RDWR|os.O_WRONLY) != 0 {
			return nil, &fs.PathError{Op: "open", Path: name, Err: err}
		}
		return os.OpenFile(name, flag, perm)
	}))
}

// A file that may not be written is opened for reading, and not changed.
func TestReadOnly(t *testing.T) {
	for _, why := range []error{syscall.EROFS, syscall.EACCES, syscall.EPERM} {
		t.Run(why.Error(), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "test.db")
			db := openAt(t, path, options)
			if err := db.ReadOnly(); err != nil {
				t.Errorf("ReadOnly of a file that can be written = %v", err)
			}
			mustPut(t, db, "a", "1")
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, 0o444); err != nil {
				t.Fatal(err)
			}
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			refuseWrites(t, why)
			db = openAt(t, path, options)
			if err := db.ReadOnly(); !errors.Is(err, why) || !strings.Contains(err.Error(), path) {
				t.Errorf("ReadOnly = %v, want %v", err, why)
			}
			wantKeys(t, db, "a")
			ran := false
			err = db.Update(t.Context(), 1, func(*bolt.Tx) error { ran = true; return nil })
			if !errors.Is(err, bolt.ErrReadOnly) || !errors.Is(err, why) || ran {
				t.Errorf("Update = %v, ran %v, want ErrReadOnly because of %v", err, ran, why)
			}
			if err := db.Verify(t.Context()); err != nil {
				t.Errorf("Verify: %v", err)
			}
			other := openAt(t, path, options) // readers do not exclude each other
			wantKeys(t, other, "a")
			bolt.SetOpenFile(os.OpenFile)
			if _, err := bolt.Open(path, options); !errors.Is(err, bolt.ErrInUse) {
				t.Errorf("Open for writing beside readers = %v, want ErrInUse", err)
			}
			for _, db := range []*bolt.DB{db, other} {
				if err := db.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			}
			after, err := os.ReadFile(path)
			info, statErr := os.Stat(path)
			if err != nil || statErr != nil || !bytes.Equal(before, after) || info.Mode().Perm() != 0o444 {
				t.Errorf("the file was changed: mode %v, %v, %v", info.Mode(), err, statErr)
			}
			openAt(t, path, options) // and it can be written again
		})
	}
}

// What cannot be opened at all, and what is not sound, is told as that.
func TestReadOnlyRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	db := openAt(t, path, options)
	if _, err := bolt.Open(path, options); !errors.Is(err, bolt.ErrInUse) {
		t.Errorf("Open beside a writer = %v, want ErrInUse", err)
	}
	refuseWrites(t, syscall.EROFS)
	if _, err := bolt.Open(path, options); !errors.Is(err, bolt.ErrInUse) {
		t.Errorf("Open for reading beside a writer = %v, want ErrInUse", err)
	}
	db.Close()
	if _, err := bolt.Open(filepath.Join(t.TempDir(), "absent.db"), options); !errors.Is(err, syscall.EROFS) {
		t.Errorf("Open of what is not there = %v, want EROFS", err)
	}
	if err := os.Truncate(path, 5000); err != nil {
		t.Fatal(err)
	}
	if _, err := bolt.Open(path, options); !errors.Is(err, bolt.ErrDamaged) {
		t.Errorf("Open of a damaged file = %v, want ErrDamaged", err)
	}
	bolt.SetOpenFile(func(name string, _ int, _ os.FileMode) (*os.File, error) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.EACCES}
	})
	if _, err := bolt.Open(path, options); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("Open of what cannot be read = %v, want a permission error", err)
	}
	bolt.SetOpenFile(func(name string, _ int, _ os.FileMode) (*os.File, error) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.EIO}
	})
	if _, err := bolt.Open(path, options); !errors.Is(err, syscall.EIO) {
		t.Errorf("Open on a broken disk = %v, want EIO", err)
	}
}

// On a full disk an update fails, nothing of it is there, what was acknowledged is, and when there
// is room again the next one succeeds.
func TestFullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	db := openAt(t, path, options)
	full := false
	db.SetCommit(func(tx *bbolt.Tx) error {
		if full {
			return syscall.ENOSPC
		}
		return tx.Commit()
	})
	mustPut(t, db, "before", "")
	full = true
	for range 3 {
		if err := db.Update(t.Context(), 1, put("lost", "")); !errors.Is(err, syscall.ENOSPC) ||
			errors.Is(err, bolt.ErrBroken) {
			t.Errorf("Update on a full disk = %v, want ENOSPC alone", err)
		}
		wantKeys(t, db, "before")
	}
	full = false
	mustPut(t, db, "later", "")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	wantKeys(t, openAt(t, path, options), "before", "later")
}

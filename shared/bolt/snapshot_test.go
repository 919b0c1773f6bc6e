package bolt_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"chatconf/shared/bolt"
)

// copyOf copies db into a new file, and calls meanwhile after the first piece of it.
func copyOf(t *testing.T, db *bolt.DB, meanwhile func()) (path string, err error) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "copy.db")
	err = db.Snapshot(t.Context(), func(_ context.Context, from io.WriterTo) error {
		f, err := os.Create(path)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = from.WriteTo(&interrupted{f, sync.OnceFunc(meanwhile)})
		return err
	})
	return path, err
}

// interrupted calls meanwhile after each write.
type interrupted struct {
	io.Writer
	meanwhile func()
}

func (i *interrupted) Write(p []byte) (int, error) {
	n, err := i.Writer.Write(p)
	i.meanwhile()
	return n, err
}

// A snapshot has what was acknowledged before it, and nothing of what comes while it is copied.
func TestSnapshotIsAFileOfOneMoment(t *testing.T) {
	db := open(t, options)
	for i := range 300 {
		mustPut(t, db, strconv.Itoa(1000+i), strings.Repeat("v", 2000))
	}
	before := keys(t, db)
	path, err := copyOf(t, db, func() {
		for i := range 300 {
			mustPut(t, db, strconv.Itoa(1000+i), strings.Repeat("w", 1000+i))
			mustPut(t, db, strconv.Itoa(2000+i), "new")
		}
	})
	if err != nil {
		t.Fatalf("Snapshot: %v", err)
	}
	copied := openAt(t, path, options)
	if err := copied.Verify(t.Context()); err != nil {
		t.Errorf("Verify of the copy: %v", err)
	}
	wantKeys(t, copied, before...)
	err = copied.View(func(tx *bolt.Tx) error {
		for _, key := range before {
			if got := tx.Bucket("b").Get([]byte(key)); !bytes.Equal(got, bytes.Repeat([]byte("v"), 2000)) {
				t.Errorf("%s of the copy has %d bytes", key, len(got))
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if err := db.Verify(t.Context()); err != nil {
		t.Errorf("Verify of the original: %v", err)
	}
}

func TestOnlyOneSnapshotIsOpen(t *testing.T) {
	db := open(t, options)
	var second error
	if _, err := copyOf(t, db, func() { _, second = copyOf(t, db, func() {}) }); err != nil {
		t.Errorf("the first snapshot: %v", err)
	}
	if !errors.Is(second, bolt.ErrCopying) {
		t.Errorf("a second snapshot = %v, want ErrCopying", second)
	}
	if _, err := copyOf(t, db, func() {}); err != nil {
		t.Errorf("a snapshot after them: %v", err)
	}
}

// An update that must enlarge the mapping waits for readers. It does not wait for a snapshot.
func TestAnUpdateThatWaitsEndsTheSnapshot(t *testing.T) {
	db := open(t, options)
	db.SetPatience(time.Millisecond)
	mustPut(t, db, "a", "1")
	large := string(make([]byte, 80<<20)) // beyond the first mapping
	var done sync.WaitGroup
	err := db.Snapshot(t.Context(), func(ctx context.Context, from io.WriterTo) error {
		done.Go(func() { mustPut(t, db, "large", large) })
		<-ctx.Done()
		_, err := from.WriteTo(io.Discard)
		return err
	})
	if !errors.Is(err, bolt.ErrWaiting) {
		t.Errorf("Snapshot = %v, want ErrWaiting", err)
	}
	done.Wait()
	wantKeys(t, db, "a", "large")
}

func TestASnapshotEndsWithItsContextAndItsFile(t *testing.T) {
	db := open(t, options)
	ctx, cancel := context.WithCancel(t.Context())
	err := db.Snapshot(ctx, func(_ context.Context, from io.WriterTo) error {
		cancel()
		_, err := from.WriteTo(io.Discard)
		return err
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Snapshot whose context ends = %v", err)
	}
	failed := errors.New("failed")
	if err := db.Snapshot(t.Context(), func(context.Context, io.WriterTo) error { return failed }); err != failed {
		t.Errorf("Snapshot whose function fails = %v", err)
	}
	var closed sync.WaitGroup
	err = db.Snapshot(t.Context(), func(ctx context.Context, _ io.WriterTo) error {
		closed.Go(func() { db.Close() })
		<-ctx.Done()
		return ctx.Err()
	})
	if !errors.Is(err, bolt.ErrClosed) {
		t.Errorf("Snapshot while the file is closed = %v, want ErrClosed", err)
	}
	closed.Wait()
	if err := db.Snapshot(t.Context(), nil); !errors.Is(err, bolt.ErrClosed) {
		t.Errorf("Snapshot of a closed file = %v, want ErrClosed", err)
	}
}

func TestAFileOfANewerVersionIsKnown(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	for version, newer := range map[int]bool{2: true, 1: false} {
		content := ownFile(t, bolt.Options{Kind: "test", Version: version})
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		o := bolt.Options{Kind: "test", Version: 3 - version}
		db, err := bolt.Open(path, o)
		if err == nil {
			db.Close()
		}
		if !errors.Is(err, bolt.ErrForeign) || errors.Is(err, bolt.ErrNewer) != newer {
			t.Errorf("version %d opened as %d = %v", version, o.Version, err)
		}
	}
}

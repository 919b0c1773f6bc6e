package bolt_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"chatconf/shared/bolt"

	"go.etcd.io/bbolt"
)

var options = bolt.Options{Kind: "test", Version: 1}

// open opens a new file that is closed when the test ends.
func open(t testing.TB, o bolt.Options) *bolt.DB {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "test.db"), o)
}

func openAt(t testing.TB, path string, o bolt.Options) *bolt.DB {
	t.Helper()
	db, err := bolt.Open(path, o)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return db
}

// put returns a callback that puts one key.
func put(key, value string) func(*bolt.Tx) error {
	return func(tx *bolt.Tx) error {
		b, err := tx.CreateBucket("b")
		if err != nil {
			return err
		}
		return b.Put([]byte(key), []byte(value))
	}
}

func mustPut(t testing.TB, db *bolt.DB, key, value string) {
	t.Helper()
	if err := db.Update(t.Context(), len(value), put(key, value)); err != nil {
		t.Fatalf("Update: %v", err)
	}
}

// keys returns the keys that are in the file.
func keys(t testing.TB, db *bolt.DB) []string {
	t.Helper()
	got := []string{}
	err := db.View(func(tx *bolt.Tx) error {
		c := tx.Bucket("b").Cursor()
		for k, _ := c.First(); k != nil; k, _ = c.Next() {
			got = append(got, string(k))
		}
		return nil
	})
	if err != nil {
		t.Fatalf("View: %v", err)
	}
	return got
}

func wantKeys(t *testing.T, db *bolt.DB, want ...string) {
	t.Helper()
	if got := keys(t, db); !slices.Equal(got, want) {
		t.Errorf("the file has %q, want %q", got, want)
	}
}

// hold makes the committer wait in an update until release is called, and returns when it does.
func hold(t *testing.T, db *bolt.DB) (release func()) {
	t.Helper()
	held, free := make(chan struct{}), make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		err := db.Update(context.Background(), 0, func(*bolt.Tx) error {
			close(held)
			<-free
			return nil
		})
		if err != nil {
			t.Errorf("Update that holds the committer: %v", err)
		}
	})
	<-held
	return func() {
		close(free)
		done.Wait()
	}
}

// queue starts updates in order, so that all of them wait, and returns a function that waits for
// their errors.
func queue(t *testing.T, db *bolt.DB, size int, fns ...func(*bolt.Tx) error) (wait func() []error) {
	t.Helper()
	errs := make([]error, len(fns))
	var done sync.WaitGroup
	for i, fn := range fns {
		n := db.Waiting()
		done.Go(func() { errs[i] = db.Update(context.Background(), size, fn) })
		for db.Waiting() == n {
			runtime.Gosched()
		}
	}
	return func() []error {
		done.Wait()
		return errs
	}
}

// countCommits counts the commits of db.
func countCommits(db *bolt.DB) *atomic.Int64 {
	var n atomic.Int64
	db.SetCommit(func(tx *bbolt.Tx) error {
		n.Add(1)
		return tx.Commit()
	})
	return &n
}

func TestUpdatesThatWaitShareACommit(t *testing.T) {
	db := open(t, options)
	commits := countCommits(db)
	release := hold(t, db)
	var fns []func(*bolt.Tx) error
	var want []string
	for i := range 20 {
		want = append(want, fmt.Sprintf("%02d", i))
		fns = append(fns, put(want[i], ""))
	}
	wait := queue(t, db, 100, fns...)
	release()
	for i, err := range wait() {
		if err != nil {
			t.Errorf("Update %d: %v", i, err)
		}
	}
	wantKeys(t, db, want...)
	if got := commits.Load(); got != 1 {
		t.Errorf("20 updates that waited made %d commits, want 1", got)
	}
}

func TestBatchesAreBounded(t *testing.T) {
	for _, test := range []struct {
		name        string
		size, calls int
		commits     int64
	}{
		{"by bytes", bolt.MaxBatchBytes / 2, 6, 3},
		{"by bytes, when each is too large", bolt.MaxBatchBytes + 1, 3, 3},
		{"by calls", 0, bolt.MaxBatchCalls + 1, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			db := open(t, options)
			commits := countCommits(db)
			release := hold(t, db)
			var fns []func(*bolt.Tx) error
			for i := range test.calls {
				fns = append(fns, put(fmt.Sprint(i), ""))
			}
			wait := queue(t, db, test.size, fns...)
			release()
			if err := errors.Join(wait()...); err != nil {
				t.Errorf("Update: %v", err)
			}
			if got, want := len(keys(t, db)), test.calls; got != want {
				t.Errorf("%d updates are in the file, want %d", got, want)
			}
			if got := commits.Load(); got != test.commits {
				t.Errorf("%d commits, want %d", got, test.commits)
			}
		})
	}
}

func TestAnUpdateThatFailsDisturbsNoOther(t *testing.T) {
	errTest := errors.New("failed on purpose")
	fail := func(*bolt.Tx) error { return errTest }
	failDirty := func(tx *bolt.Tx) error { return errors.Join(put("dirty", "")(tx), put("b", "spoiled")(tx), errTest) }
	panicDirty := func(tx *bolt.Tx) error {
		if err := put("dirty", "")(tx); err != nil {
			return err
		}
		panic(errTest)
	}
	deleteAll := func(tx *bolt.Tx) error { return errors.Join(tx.DeleteBucket("b"), errTest) }
	for name, bad := range map[string]func(*bolt.Tx) error{
		"before it changes anything": fail,
		"after it changed something": failDirty,
		"with a panic":               func(*bolt.Tx) error { panic(errTest) },
		"with a panic after changes": panicDirty,
		"after it deleted a bucket":  deleteAll,
		"on an index out of range":   func(*bolt.Tx) error { var none []int; _ = none[len(none)]; return nil },
		"with bbolt's own panic":     func(tx *bolt.Tx) error { var b *bolt.Bucket; return b.Put(nil, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			db := open(t, options)
			mustPut(t, db, "before", "")
			release := hold(t, db)
			// One call is bad in the middle, one at each end, and the good ones must all come out
			// as if alone.
			wait := queue(t, db, 0, bad, put("a", ""), put("b", "sound"), bad, put("c", ""), bad)
			release()
			for i, err := range wait() {
				isBad := i == 0 || i == 3 || i == 5
				if isBad != (err != nil) {
					t.Errorf("update %d = %v, want an error: %v", i, err, isBad)
				}
				var panicked *bolt.PanicError
				if strings.Contains(name, "anic") && isBad && !errors.As(err, &panicked) {
					t.Errorf("update %d = %v, want a PanicError", i, err)
				}
			}
			wantKeys(t, db, "a", "b", "before", "c")
			err := db.View(func(tx *bolt.Tx) error {
				if got, want := string(tx.Bucket("b").Get([]byte("b"))), "sound"; got != want {
					t.Errorf("b is %q, want %q", got, want)
				}
				return nil
			})
			if err != nil {
				t.Errorf("View: %v", err)
			}
			mustPut(t, db, "later", "")
			if err := db.Verify(t.Context()); err != nil {
				t.Errorf("Verify: %v", err)
			}
		})
	}
}

// An update that fails because of what another in its batch did, must not be told so before that is
// in the file.
func TestFailureTellsOfWhatIsInTheFile(t *testing.T) {
	errTaken, errCommit := errors.New("taken"), errors.New("no room")
	take := func(key string, dirty bool) func(*bolt.Tx) error {
		return func(tx *bolt.Tx) error {
			taken := tx.Bucket("b").Get([]byte("seat")) != nil
			if taken && !dirty {
				return errTaken
			}
			if err := put("seat", key)(tx); err != nil {
				return err
			}
			if taken {
				return errTaken
			}
			return nil
		}
	}
	for _, dirty := range []bool{false, true} {
		db := open(t, options)
		var failing atomic.Bool
		db.SetCommit(func(tx *bbolt.Tx) error {
			if failing.Swap(false) {
				return errCommit
			}
			return tx.Commit()
		})
		release := hold(t, db)
		failing.Store(true)
		wait := queue(t, db, 0, take("first", dirty), take("second", dirty))
		release()
		errs := wait()
		if !errors.Is(errs[0], errCommit) {
			t.Errorf("the first of a batch whose commit fails = %v, want %v", errs[0], errCommit)
		}
		// Unchanged, it shares the commit that failed; after changes it ran again by itself, and
		// found the seat free.
		if !dirty && !errors.Is(errs[1], errCommit) || dirty && errs[1] != nil {
			t.Errorf("the second, dirty %v, of a batch whose commit fails = %v, which is not true of the file",
				dirty, errs[1])
		}
	}
}

func TestFailedCommitLeavesNothing(t *testing.T) {
	errCommit := errors.New("no room")
	db := open(t, options)
	var failing atomic.Bool
	db.SetCommit(func(tx *bbolt.Tx) error {
		if failing.Load() {
			return errCommit
		}
		return tx.Commit()
	})
	mustPut(t, db, "before", "")
	release := hold(t, db)
	wait := queue(t, db, 0, put("a", ""), put("before", "changed"),
		func(tx *bolt.Tx) error { return tx.DeleteBucket("b") })
	failing.Store(true)
	release()
	for i, err := range wait() {
		if !errors.Is(err, errCommit) || errors.Is(err, bolt.ErrBroken) {
			t.Errorf("update %d of a batch whose commit fails = %v, want %v", i, err, errCommit)
		}
	}
	wantKeys(t, db, "before")
	failing.Store(false)
	mustPut(t, db, "after", "")
	wantKeys(t, db, "after", "before")
}

func TestFullFileKeepsWhatItHas(t *testing.T) {
	o := options
	o.MaxSize = 4 << 20
	path := filepath.Join(t.TempDir(), "test.db")
	db := openAt(t, path, o)
	large := strings.Repeat("v", 300_000)
	var err error
	var want []string
	for n := 0; n < 100; n++ {
		key := fmt.Sprintf("large%02d", n)
		if err = db.Update(t.Context(), len(large), put(key, large)); err != nil {
			break
		}
		want = append(want, key)
	}
	if err == nil || errors.Is(err, bolt.ErrBroken) || !strings.Contains(err.Error(), path) {
		t.Errorf("Update of a full file = %v, want an error that names the file", err)
	}
	if len(want) < 5 {
		t.Errorf("the file was full after %d updates", len(want))
	}
	wantKeys(t, db, want...)
	if err := db.Verify(t.Context()); err != nil {
		t.Errorf("Verify: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	again := openAt(t, path, options)
	mustPut(t, again, "now there is room", large)
	wantKeys(t, again, append(want, "now there is room")...)
}

// When the flush after the last page fails, the page may be on the disk or not: no later answer
// could be relied on.
func TestDoubtfulCommitBreaksTheFile(t *testing.T) {
	errFlush := errors.New("flush failed")
	path := filepath.Join(t.TempDir(), "test.db")
	db := openAt(t, path, options)
	db.SetCommit(func(tx *bbolt.Tx) error {
		if err := tx.Commit(); err != nil {
			return err
		}
		return errFlush
	})
	if err := db.Update(t.Context(), 0, put("a", "")); !errors.Is(err, bolt.ErrBroken) || !errors.Is(err, errFlush) {
		t.Errorf("Update whose flush fails = %v, want ErrBroken and %v", err, errFlush)
	}
	if err := db.Update(t.Context(), 0, put("b", "")); !errors.Is(err, bolt.ErrBroken) {
		t.Errorf("Update after that = %v, want ErrBroken", err)
	}
	if err := db.View(func(*bolt.Tx) error { return nil }); !errors.Is(err, bolt.ErrBroken) {
		t.Errorf("View after that = %v, want ErrBroken", err)
	}
	if err := db.Verify(t.Context()); !errors.Is(err, bolt.ErrBroken) {
		t.Errorf("Verify after that = %v, want ErrBroken", err)
	}
	if err := db.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	wantKeys(t, openAt(t, path, options), "a")
}

func TestCommitThatPanics(t *testing.T) {
	db := open(t, options)
	var failing atomic.Bool
	db.SetCommit(func(tx *bbolt.Tx) error {
		if failing.Load() {
			panic("page 7 already freed")
		}
		return tx.Commit()
	})
	mustPut(t, db, "before", "")
	failing.Store(true)
	var panicked *bolt.PanicError
	if err := db.Update(t.Context(), 0, put("a", "")); !errors.As(err, &panicked) {
		t.Errorf("Update whose commit panics = %v, want a PanicError", err)
	} else if text := err.Error(); !strings.Contains(text, "panic: page 7 already freed\n") ||
		!strings.Contains(text, "bolt_test.go") {
		t.Errorf("Update whose commit panics = %v, want the stack", err)
	}
	failing.Store(false)
	mustPut(t, db, "after", "")
	wantKeys(t, db, "after", "before")
}

func TestContextThatEndsWhileWaiting(t *testing.T) {
	db := open(t, options)
	release := hold(t, db)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	for range 2 {
		go func() { ended <- db.Update(ctx, 0, put("late", "")) }()
	}
	go func() { ended <- db.Verify(ctx) }()
	for db.Waiting() < 3 {
		runtime.Gosched()
	}
	cancel()
	for range 3 {
		// The committer is still held: the answer does not wait for it.
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("a call whose context ended while it waited = %v, want Canceled", err)
		}
	}
	if err := db.Update(ctx, 0, put("late", "")); !errors.Is(err, context.Canceled) {
		t.Errorf("Update with a context that had ended = %v, want Canceled", err)
	}
	release()
	mustPut(t, db, "next", "")
	wantKeys(t, db, "next")
}

func TestContextThatEndsWhileRunning(t *testing.T) {
	db := open(t, options)
	ctx, cancel := context.WithCancel(t.Context())
	err := db.Update(ctx, 0, func(tx *bolt.Tx) error {
		cancel()
		return put("done", "")(tx)
	})
	if err != nil {
		t.Errorf("Update whose context ended while it ran = %v, want the true outcome", err)
	}
	wantKeys(t, db, "done")
}

func TestCloseEndsWhatWaits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	db := openAt(t, path, options)
	release := hold(t, db)
	wait := queue(t, db, 0, put("a", ""), put("b", ""))
	inView, leaveView := make(chan struct{}), make(chan struct{})
	var calls sync.WaitGroup
	calls.Go(func() {
		err := db.View(func(tx *bolt.Tx) error {
			close(inView)
			<-leaveView
			tx.Bucket("b").Get([]byte("a"))
			return nil
		})
		if err != nil {
			t.Errorf("View beside Close: %v", err)
		}
	})
	<-inView
	closed := make(chan error, 2)
	for range cap(closed) {
		go func() { closed <- db.Close() }()
	}
	for !db.Closing() {
		runtime.Gosched()
	}
	if err := db.Update(t.Context(), 0, put("c", "")); !errors.Is(err, bolt.ErrClosed) {
		t.Errorf("Update after Close was called = %v, want ErrClosed", err)
	}
	release()
	if err := errors.Join(wait()...); err != nil {
		t.Errorf("Update that waited when Close was called: %v", err)
	}
	select {
	case <-closed:
		t.Error("Close did not wait for the View under way")
	default:
	}
	close(leaveView)
	for range cap(closed) {
		if err := <-closed; err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	calls.Wait()
	if err := db.Update(t.Context(), 0, put("d", "")); !errors.Is(err, bolt.ErrClosed) {
		t.Errorf("Update after Close = %v, want ErrClosed", err)
	}
	if err := db.View(func(*bolt.Tx) error { return nil }); !errors.Is(err, bolt.ErrClosed) {
		t.Errorf("View after Close = %v, want ErrClosed", err)
	}
	if err := db.Verify(t.Context()); !errors.Is(err, bolt.ErrClosed) {
		t.Errorf("Verify after Close = %v, want ErrClosed", err)
	}
	wantKeys(t, openAt(t, path, options), "a", "b")
}

func TestBuckets(t *testing.T) {
	db := open(t, options)
	err := db.Update(t.Context(), 0, func(tx *bolt.Tx) error {
		if got := tx.Buckets(); len(got) != 0 {
			t.Errorf("a new file has buckets %q", got)
		}
		if k, _ := tx.Bucket("none").Cursor().SeekBefore([]byte("z")); k != nil {
			t.Errorf("a bucket that is not there has key %q", k)
		}
		if tx.Bucket("none").Get([]byte("a")) != nil || tx.Bucket("none").Delete([]byte("a")) != nil {
			t.Error("a bucket that is not there is not empty")
		}
		if _, err := tx.CreateBucket("\x00format"); err == nil || tx.Bucket("\x00format") != nil {
			t.Error("the format bucket is within reach")
		}
		for _, name := range []string{"c", "a", "b", "a"} {
			b, err := tx.CreateBucket(name)
			if err != nil {
				return err
			}
			if err := b.Put([]byte(name), []byte("value of "+name)); err != nil {
				return err
			}
		}
		return tx.DeleteBucket("c")
	})
	if err != nil {
		t.Fatalf("Update: %v", err)
	}
	err = db.View(func(tx *bolt.Tx) error {
		if got, want := tx.Buckets(), []string{"a", "b"}; !slices.Equal(got, want) {
			t.Errorf("Buckets() = %q, want %q", got, want)
		}
		if got, want := string(tx.Bucket("b").Get([]byte("b"))), "value of b"; got != want {
			t.Errorf("Get = %q, want %q", got, want)
		}
		if b, err := tx.CreateBucket("new"); err == nil {
			t.Errorf("a View made a bucket: %v", b)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("View: %v", err)
	}
}

func TestCursor(t *testing.T) {
	db := open(t, options)
	for _, k := range []string{"b", "d", "f"} {
		mustPut(t, db, k, "value of "+k)
	}
	err := db.View(func(tx *bolt.Tx) error {
		c := tx.Bucket("b").Cursor()
		for name, test := range map[string]struct {
			move func() (k, v []byte)
			want string
		}{
			"First":                         {c.First, "b"},
			"Last":                          {c.Last, "f"},
			"Seek to a key":                 {func() (k, v []byte) { return c.Seek([]byte("d")) }, "d"},
			"Seek between keys":             {func() (k, v []byte) { return c.Seek([]byte("c")) }, "d"},
			"Seek beyond the last":          {func() (k, v []byte) { return c.Seek([]byte("g")) }, ""},
			"SeekBefore a key":              {func() (k, v []byte) { return c.SeekBefore([]byte("d")) }, "b"},
			"SeekBefore between keys":       {func() (k, v []byte) { return c.SeekBefore([]byte("e")) }, "d"},
			"SeekBefore beyond the last":    {func() (k, v []byte) { return c.SeekBefore([]byte("g")) }, "f"},
			"SeekBefore the first":          {func() (k, v []byte) { return c.SeekBefore([]byte("b")) }, ""},
			"Next after Seek":               {func() (k, v []byte) { c.Seek([]byte("b")); return c.Next() }, "d"},
			"Prev after Seek":               {func() (k, v []byte) { c.Seek([]byte("f")); return c.Prev() }, "d"},
			"Next at the end":               {func() (k, v []byte) { c.Last(); return c.Next() }, ""},
			"Prev after SeekBefore, at end": {func() (k, v []byte) { c.SeekBefore([]byte("z")); return c.Prev() }, "d"},
		} {
			k, v := test.move()
			if got := string(k); got != test.want || got != "" && string(v) != "value of "+got {
				t.Errorf("%s = %q, %q, want %q", name, k, v, test.want)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatalf("View: %v", err)
	}
}

func TestViewIsASnapshot(t *testing.T) {
	db := open(t, options)
	mustPut(t, db, "a", "old")
	err := db.View(func(tx *bolt.Tx) error {
		done := make(chan error)
		go func() { done <- db.Update(context.Background(), 0, put("a", "new")) }()
		if err := <-done; err != nil {
			return err
		}
		if got, want := string(tx.Bucket("b").Get([]byte("a"))), "old"; got != want {
			t.Errorf("in a View a is %q, want %q", got, want)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("View: %v", err)
	}
}

func BenchmarkUpdate(b *testing.B) {
	for _, writers := range []int{1, 16} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			db := open(b, options)
			value := strings.Repeat("v", 600)
			var n atomic.Int64
			var done sync.WaitGroup
			b.ResetTimer()
			for range writers {
				done.Go(func() {
					for i := n.Add(1); i <= int64(b.N); i = n.Add(1) {
						if err := db.Update(b.Context(), len(value),
							put(fmt.Sprintf("%024d", i*7919%100_003), value)); err != nil {
							b.Errorf("Update: %v", err)
						}
					}
				})
			}
			done.Wait()
		})
	}
}

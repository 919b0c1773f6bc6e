package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"chatconf/shared/emulator/ots/store"
)

// each runs a test for every kind of store.
func each(t *testing.T, test func(t *testing.T, s store.Store)) {
	t.Run("memory", func(t *testing.T) { test(t, store.Memory()) })
	t.Run("file", func(t *testing.T) {
		s, err := store.Open(filepath.Join(t.TempDir(), "store.db"))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		test(t, s)
	})
}

func update(t testing.TB, s store.Store, fn func(store.Tx) error) {
	t.Helper()
	if err := s.Update(context.Background(), 0, fn); err != nil {
		t.Fatal(err)
	}
}

// all reads a bucket in both directions, and compares them.
func all(t testing.TB, s store.Store, bucket string) (keys []string) {
	t.Helper()
	err := s.View(func(tx store.Tx) error {
		c := tx.Bucket(bucket).Cursor()
		for k, v := c.Seek([]byte{0}); k != nil; k, v = c.Next() {
			keys = append(keys, fmt.Sprintf("%s=%s", k, v))
		}
		var back []string
		for k, v := c.SeekBefore([]byte{0xFF}); k != nil; k, v = c.Prev() {
			back = append(back, fmt.Sprintf("%s=%s", k, v))
		}
		slices.Reverse(back)
		if diff := cmp.Diff(keys, back); diff != "" {
			t.Errorf("forward and backward differ:\n%s", diff)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestRandomUpdatesAgreeWithAMap(t *testing.T) {
	each(t, func(t *testing.T, s store.Store) {
		random := rand.New(rand.NewPCG(1, 2))
		model := map[string]string{}
		for range 60 {
			after := map[string]string{}
			for k, v := range model {
				after[k] = v
			}
			failing := random.IntN(4) == 0
			err := s.Update(context.Background(), 0, func(tx store.Tx) error {
				if err := tx.CreateBucket("b"); err != nil {
					return err
				}
				for range random.IntN(40) {
					k, v := fmt.Sprintf("k%03d", random.IntN(150)), fmt.Sprint(random.Uint32())
					if got, want := string(tx.Bucket("b").Get([]byte(k))), after[k]; got != want {
						t.Errorf("Get(%s) = %q, want %q", k, got, want)
					}
					if random.IntN(3) == 0 {
						delete(after, k)
						if err := tx.Bucket("b").Delete([]byte(k)); err != nil {
							return err
						}
						continue
					}
					after[k] = v
					if err := tx.Bucket("b").Put([]byte(k), []byte(v)); err != nil {
						return err
					}
				}
				if failing {
					return errors.New("stop")
				}
				return nil
			})
			if failing != (err != nil) {
				t.Fatal(err)
			}
			if !failing {
				model = after
			}
			var want []string
			for k, v := range model {
				want = append(want, k+"="+v)
			}
			slices.Sort(want)
			if diff := cmp.Diff(want, all(t, s, "b")); diff != "" {
				t.Fatalf("bucket (-want +got):\n%s", diff)
			}
		}
	})
}

func TestCursorFromEveryPlace(t *testing.T) {
	each(t, func(t *testing.T, s store.Store) {
		var keys [][]byte
		update(t, s, func(tx store.Tx) error {
			if err := tx.CreateBucket("b"); err != nil {
				return err
			}
			for i := byte(2); i < 100; i += 2 {
				keys = append(keys, []byte{i})
				if err := tx.Bucket("b").Put([]byte{i}, []byte{i}); err != nil {
					return err
				}
			}
			return nil
		})
		err := s.View(func(tx store.Tx) error {
			c := tx.Bucket("b").Cursor()
			for i := byte(1); i < 102; i++ {
				n, _ := slices.BinarySearchFunc(keys, []byte{i}, bytes.Compare)
				k, _ := c.Seek([]byte{i})
				if want := at(keys, n); !bytes.Equal(k, want) {
					t.Errorf("Seek(%d) = %d, want %d", i, k, want)
				}
				k, _ = c.SeekBefore([]byte{i})
				if want := at(keys, n-1); !bytes.Equal(k, want) {
					t.Errorf("SeekBefore(%d) = %d, want %d", i, k, want)
				}
				if k == nil {
					continue
				}
				k, _ = c.Next()
				if want := at(keys, n); !bytes.Equal(k, want) {
					t.Errorf("SeekBefore(%d) and Next = %d, want %d", i, k, want)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func at(keys [][]byte, i int) []byte {
	if i < 0 || i >= len(keys) {
		return nil
	}
	return keys[i]
}

func TestViewIsASnapshot(t *testing.T) {
	each(t, func(t *testing.T, s store.Store) {
		put := func(v string) {
			update(t, s, func(tx store.Tx) error {
				if err := tx.CreateBucket("b"); err != nil {
					return err
				}
				return tx.Bucket("b").Put([]byte("k"), []byte(v))
			})
		}
		put("before")
		reading, written := make(chan struct{}), make(chan struct{})
		var wait sync.WaitGroup
		wait.Go(func() {
			s.View(func(tx store.Tx) error {
				close(reading)
				<-written
				if got := string(tx.Bucket("b").Get([]byte("k"))); got != "before" {
					t.Errorf("Get during a view that began before the update = %q", got)
				}
				return nil
			})
		})
		<-reading
		put("after")
		close(written)
		wait.Wait()
		if got := all(t, s, "b"); !slices.Equal(got, []string{"k=after"}) {
			t.Errorf("after the update: %q", got)
		}
	})
}

func TestBuckets(t *testing.T) {
	each(t, func(t *testing.T, s store.Store) {
		update(t, s, func(tx store.Tx) error {
			if err := tx.Bucket("none").Put([]byte("k"), nil); err == nil {
				t.Error("Put into an absent bucket: no error")
			}
			if got := tx.Bucket("none").Get([]byte("k")); got != nil {
				t.Errorf("Get from an absent bucket = %q", got)
			}
			if k, _ := tx.Bucket("none").Cursor().Seek([]byte("k")); k != nil {
				t.Errorf("Seek in an absent bucket = %q", k)
			}
			if err := tx.Bucket("none").Delete([]byte("k")); err != nil {
				t.Errorf("Delete in an absent bucket: %v", err)
			}
			if err := tx.DeleteBucket("none"); err != nil {
				t.Errorf("DeleteBucket of an absent bucket: %v", err)
			}
			return tx.CreateBucket("b")
		})
		update(t, s, func(tx store.Tx) error { return tx.Bucket("b").Put([]byte("k"), []byte("v")) })
		update(t, s, func(tx store.Tx) error { return tx.CreateBucket("b") })
		if got := all(t, s, "b"); len(got) != 1 {
			t.Errorf("CreateBucket of an existing bucket: %q", got)
		}
		update(t, s, func(tx store.Tx) error { return tx.DeleteBucket("b") })
		update(t, s, func(tx store.Tx) error { return tx.CreateBucket("b") })
		if got := all(t, s, "b"); len(got) != 0 {
			t.Errorf("a bucket created again: %q", got)
		}
	})
}

func TestClosed(t *testing.T) {
	each(t, func(t *testing.T, s store.Store) {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := s.View(func(store.Tx) error { return nil }); err == nil {
			t.Error("View: no error")
		}
		if err := s.Update(context.Background(), 0, func(store.Tx) error { return nil }); err == nil {
			t.Error("Update: no error")
		}
	})
}

func TestUpdateWhoseCallerHasGone(t *testing.T) {
	each(t, func(t *testing.T, s store.Store) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		err := s.Update(ctx, 0, func(tx store.Tx) error { return tx.CreateBucket("b") })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Update: %v", err)
		}
	})
}

func BenchmarkMemoryGet(b *testing.B) {
	s := store.Memory()
	update(b, s, func(tx store.Tx) error {
		if err := tx.CreateBucket("b"); err != nil {
			return err
		}
		for i := range 100_000 {
			if err := tx.Bucket("b").Put(fmt.Appendf(nil, "key-%06d", i), []byte("v")); err != nil {
				return err
			}
		}
		return nil
	})
	key := []byte("key-050000")
	b.ReportAllocs()
	for b.Loop() {
		s.View(func(tx store.Tx) error {
			if tx.Bucket("b").Get(key) == nil {
				b.Error("no value")
			}
			return nil
		})
	}
}

package bolt_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"chatconf/shared/bolt"
)

// A model is what a file is known to hold.
type model map[string]string

// denseKey is key i of a dense model: no byte of it can change without its order. It is long, so
// that few of them make a tree of several levels.
func denseKey(i int) string {
	return strings.Repeat("v", 300) + string(binary.BigEndian.AppendUint16(nil, uint16(i)))
}

// denseFile makes a file with keys of which none is missing, and values that consist of v, some of
// them longer than a page. It has free pages.
func denseFile(t testing.TB) (content []byte, m model) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dense.db")
	db, err := bolt.Open(path, options)
	if err != nil {
		t.Fatal(err)
	}
	m = make(model)
	for round := range 4 {
		err := db.Update(t.Context(), 0, func(tx *bolt.Tx) error {
			for i := range 500 {
				if round > 0 && i%(17*round) != 0 {
					continue
				}
				key, value := denseKey(i), strings.Repeat("v", 1+i*i%400)
				if i%50 == 0 {
					value = strings.Repeat("v", 5000+i)
				}
				m[key] = value
				if err := put(key, value)(tx); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return read(t, path), m
}

// openContent opens a file of this content.
func openContent(t *testing.T, content []byte) (*bolt.DB, string, error) {
	path := filepath.Join(t.TempDir(), "test.db")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := bolt.Open(path, options)
	return db, path, err
}

// reads are ways to read all of a file. What they say they have read is in m, or they return an
// error.
var reads = map[string]func(rng *rand.Rand, b *bolt.Bucket, m model) error{
	"get": func(rng *rand.Rand, b *bolt.Bucket, m model) error {
		for _, i := range rng.Perm(520) {
			if got, want := b.Get([]byte(denseKey(i))), m[denseKey(i)]; string(got) != want {
				return fmt.Errorf("key %d: %w", i, errWrong)
			}
		}
		return nil
	},
	"forward": func(_ *rand.Rand, b *bolt.Bucket, m model) error {
		c := b.Cursor()
		var keys []string
		for k, v := c.First(); k != nil; k, v = c.Next() {
			if keys = append(keys, string(k)); string(v) != m[string(k)] {
				return fmt.Errorf("value of %x: %w", k[300:], errWrong)
			}
		}
		return wantAll(keys, m)
	},
	"backward": func(_ *rand.Rand, b *bolt.Bucket, m model) error {
		c := b.Cursor()
		var keys []string
		for k, v := c.Last(); k != nil; k, v = c.Prev() {
			if keys = append(keys, string(k)); string(v) != m[string(k)] {
				return fmt.Errorf("value of %x: %w", k[300:], errWrong)
			}
		}
		slices.Reverse(keys)
		return wantAll(keys, m)
	},
	"seek": func(rng *rand.Rand, b *bolt.Bucket, m model) error {
		sorted := slices.Sorted(maps.Keys(m))
		c := b.Cursor()
		for range 200 {
			key := denseKey(rng.IntN(520))
			i, _ := slices.BinarySearch(sorted, key)
			var want, before string
			if i < len(sorted) {
				want = sorted[i]
			}
			if i > 0 {
				before = sorted[i-1]
			}
			if k, v := c.Seek([]byte(key)); string(k) != want || string(v) != m[want] {
				return fmt.Errorf("seek: %w", errWrong)
			}
			if k, v := c.SeekBefore([]byte(key)); string(k) != before || string(v) != m[before] {
				return fmt.Errorf("seek before: %w", errWrong)
			}
		}
		return nil
	},
}

var errWrong = errors.New("what was read is not what is in the file")

func wantAll(keys []string, m model) error {
	if !slices.Equal(keys, slices.Sorted(maps.Keys(m))) {
		return fmt.Errorf("keys: %w", errWrong)
	}
	return nil
}

// readAll reads a file in one way. It is an error of the test if that reads what is not there and
// says nothing.
func readAll(t *testing.T, rng *rand.Rand, db *bolt.DB, m model, way string) error {
	t.Helper()
	err := db.View(func(tx *bolt.Tx) error { return reads[way](rng, tx.Bucket("b"), m) })
	if err != nil && !errors.Is(err, bolt.ErrDamaged) {
		t.Errorf("%s = %v, want what is in the file or ErrDamaged", way, err)
	}
	return err
}

// change changes a file and m alike, and returns an error if one change was refused, which then
// left nothing behind.
func change(t *testing.T, rng *rand.Rand, db *bolt.DB, m model) (refused error) {
	t.Helper()
	for range 4 {
		changed := maps.Clone(m)
		err := db.Update(t.Context(), 0, func(tx *bolt.Tx) error {
			b, err := tx.CreateBucket("b")
			if err != nil {
				return err
			}
			first, n := rng.IntN(500), 1+rng.IntN(60)
			for i := first; i < first+n; i++ {
				key := denseKey(i)
				if string(b.Get([]byte(key))) != changed[key] {
					return fmt.Errorf("get of an update: %w", errWrong)
				}
				if rng.IntN(8) == 0 {
					changed[key] = strings.Repeat("v", 1+rng.IntN(500))
					err = b.Put([]byte(key), []byte(changed[key]))
				} else {
					delete(changed, key)
					err = b.Delete([]byte(key))
				}
				if err != nil {
					return err
				}
			}
			return reads["forward"](rng, b, changed)
		})
		switch {
		case err == nil:
			clear(m)
			maps.Copy(m, changed)
		case !errors.Is(err, bolt.ErrDamaged):
			t.Errorf("Update = %v, want ErrDamaged", err)
		}
		refused = errors.Join(refused, err)
	}
	return refused
}

// Of 740 damaged files none is silently wrong: whatever is read is what was in the file, or an
// ErrDamaged; and so it stays when the file is changed, and opened again. No byte of a value is
// damaged, nor the size of the last key and value of a page: nothing in the file could tell.
func TestDamageIsNeverSilent(t *testing.T) {
	if os.Getpagesize() != pageSize {
		t.Skipf("the file is made for pages of %d bytes", pageSize)
	}
	sound, m := denseFile(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	var atOpen, inUseOnly, harmless int
	for range 740 {
		b := bytes.Clone(sound)
		for n := 1 + rng.IntN(3); n > 0; {
			at := rng.IntN(inUse(sound)*pageSize - 1)
			if rng.IntN(2) == 0 { // most of what has a meaning is at the start of pages
				at = at/pageSize*pageSize + rng.IntN(64)
			}
			if sound[at] == 'v' || isLastSize(sound, at) {
				continue
			}
			for b[at] == sound[at] || b[at] == 'v' {
				b[at] ^= 1 << rng.IntN(8)
			}
			n--
		}
		db, path, err := openContent(t, b)
		if err != nil {
			atOpen++
			if !errors.Is(err, bolt.ErrDamaged) && !errors.Is(err, bolt.ErrForeign) {
				t.Errorf("Open = %v", err)
			}
			continue
		}
		now := maps.Clone(m)
		found := false
		note := func(err error) { found = found || err != nil }
		ways := slices.Sorted(maps.Keys(reads))
		if rng.IntN(2) == 0 {
			note(readAll(t, rng, db, now, ways[rng.IntN(len(ways))]))
		}
		note(change(t, rng, db, now))
		for _, way := range ways {
			note(readAll(t, rng, db, now, way))
		}
		if err := db.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if again, err := bolt.Open(path, options); err != nil {
			t.Errorf("Open once more = %v, after it was changed", err)
		} else {
			note(readAll(t, rng, again, now, "forward"))
			again.Close()
		}
		if found {
			inUseOnly++
		} else {
			harmless++
		}
	}
	t.Logf("%d were found by Open, %d in use, %d do no harm", atOpen, inUseOnly, harmless)
	if atOpen == 0 || inUseOnly == 0 {
		t.Errorf("%d were found by Open, %d in use", atOpen, inUseOnly)
	}
}

// isLastSize reports whether the byte at the given place is of the sizes of a leaf page's last
// element.
func isLastSize(b []byte, at int) bool {
	page := b[at/pageSize*pageSize:]
	last := 16 * int(binary.NativeEndian.Uint16(page[10:]))
	return binary.NativeEndian.Uint16(page[8:]) == 2 && at%pageSize >= last+8 && at%pageSize < last+16
}

// A sound file is found sound, however it is read and changed from the state in which it was
// opened.
func TestSoundFilesStaySound(t *testing.T) {
	sound, m := denseFile(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 30 {
		db, _, err := openContent(t, sound)
		if err != nil {
			t.Fatal(err)
		}
		now := maps.Clone(m)
		for range 4 {
			if err := change(t, rng, db, now); err != nil {
				t.Errorf("change: %v", err)
			}
			for way := range reads {
				if err := readAll(t, rng, db, now, way); err != nil {
					t.Errorf("%s: %v", way, err)
				}
			}
		}
		if err := db.Verify(t.Context()); err != nil {
			t.Errorf("Verify: %v", err)
		}
		err = db.Update(t.Context(), 0, func(tx *bolt.Tx) error { return tx.DeleteBucket("b") })
		if err := errors.Join(err, db.Verify(t.Context()), db.Close()); err != nil {
			t.Errorf("without the bucket: %v", err)
		}
	}
}

// Views and updates check pages at the same time, and a view goes on reading what was replaced
// meanwhile.
func TestPagesAreCheckedAtOnce(t *testing.T) {
	sound, m := denseFile(t)
	db, _, err := openContent(t, sound)
	if err != nil {
		t.Fatal(err)
	}
	var done sync.WaitGroup
	for range 4 {
		done.Go(func() {
			rng := rand.New(rand.NewPCG(rand.Uint64(), 0))
			if err := db.View(func(tx *bolt.Tx) error { return reads["get"](rng, tx.Bucket("b"), m) }); err != nil &&
				!errors.Is(err, errWrong) {
				t.Errorf("View: %v", err)
			}
			for i := range 20 {
				if err := db.Update(context.Background(), 0,
					func(tx *bolt.Tx) error { return tx.Bucket("b").Delete([]byte(denseKey(i * 20))) }); err != nil {
					t.Errorf("Update: %v", err)
				}
			}
		})
	}
	done.Wait()
	if err := errors.Join(db.Verify(t.Context()), db.Close()); err != nil {
		t.Errorf("Verify: %v", err)
	}
}

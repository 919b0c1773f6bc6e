package bolt_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"chatconf/shared/bolt"

	"go.etcd.io/bbolt"
)

// childVariable holds the path that a child of this test binary is to open.
const childVariable = "BOLT_CHILD"

func TestMain(m *testing.M) {
	path, ok := os.LookupEnv(childVariable)
	if !ok {
		os.Exit(m.Run())
	}
	db, err := bolt.Open(path, options)
	if err != nil {
		fmt.Print(err)
		os.Exit(3)
	}
	db.Close()
}

func TestOpenMakesFileAndDirectoryForTheirOwnerOnly(t *testing.T) {
	top := filepath.Join(t.TempDir(), "a")
	path := filepath.Join(top, "b", "test.db")
	openAt(t, path, options)
	for name, want := range map[string]fs.FileMode{top: fs.ModeDir | 0o700,
		filepath.Dir(path): fs.ModeDir | 0o700, path: 0o600} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode(); got != want {
			t.Errorf("%s has mode %v, want %v", name, got, want)
		}
	}
	wantFiles(t, filepath.Dir(path), "test.db")
}

func TestOpenTakesTheFileFromOthers(t *testing.T) {
	path := soundFile(t)
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	openAt(t, path, options)
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("Stat = %v, %v, want mode 0600", info.Mode(), err)
	}
}

func TestSecondOpenIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	db := openAt(t, path, options)
	mustPut(t, db, "a", "")

	start := time.Now()
	again, err := bolt.Open(path, options)
	if !errors.Is(err, bolt.ErrInUse) || again != nil {
		t.Fatalf("a second Open = %v, want ErrInUse", err)
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("a second Open was refused after %v, want less than a second", took)
	}
	if text := err.Error(); !strings.Contains(text, path) || !strings.Contains(text, "another process has it open") {
		t.Errorf("a second Open = %q, want an error that says which file and why", text)
	}

	out, err := child(t, path)
	if err == nil || !strings.Contains(out, path) || !strings.Contains(out, "another process has it open") {
		t.Errorf("Open in a second process = %q, %v, want an error that says which file and why", out, err)
	}
	mustPut(t, db, "b", "")
	wantKeys(t, db, "a", "b")
	if err := db.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if out, err := child(t, path); err != nil {
		t.Errorf("Open in a second process after Close = %q, %v", out, err)
	}
}

// child opens path in another process.
func child(t *testing.T, path string) (out string, err error) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Env = append(os.Environ(), childVariable+"="+path)
	b, err := cmd.CombinedOutput()
	return string(b), err
}

func TestCreatorsDoNotDestroyEachOthersFile(t *testing.T) {
	for range 8 {
		path := filepath.Join(t.TempDir(), "new", "test.db")
		o := options
		o.Wait = 30 * time.Second
		var creators sync.WaitGroup
		var want []string
		for i := range 8 {
			want = append(want, fmt.Sprint(i))
			creators.Go(func() {
				db, err := bolt.Open(path, o)
				if err != nil {
					t.Errorf("Open: %v", err)
					return
				}
				mustPut(t, db, fmt.Sprint(i), "")
				if err := db.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
		}
		creators.Wait()
		wantKeys(t, openAt(t, path, options), want...)
		wantFiles(t, filepath.Dir(path), "test.db")
	}
}

func TestOpenGoesOnWhereACrashedCreatorEnded(t *testing.T) {
	sound := read(t, soundFile(t))
	for name, left := range map[string][]byte{"nothing": {}, "a part": sound[:5000], "all": sound} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "test.db")
			if err := os.WriteFile(path+".creating", left, 0o600); err != nil {
				t.Fatal(err)
			}
			db := openAt(t, path, options)
			wantKeys(t, db)
			mustPut(t, db, "a", "")
			wantFiles(t, filepath.Dir(path), "test.db")
		})
	}
}

// soundFile returns the path of a file with some hundred keys, some free pages, and a value of
// several pages.
func soundFile(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "test.db")
	db, err := bolt.Open(path, options)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	err = db.Update(t.Context(), 0, func(tx *bolt.Tx) error {
		for i := range 300 {
			if err := put(fmt.Sprintf("key%04d", i), strings.Repeat("v", 100))(tx); err != nil {
				return err
			}
		}
		return put("large", strings.Repeat("large", 4000))(tx)
	})
	if err != nil {
		t.Fatalf("Update: %v", err)
	}
	for i := range 3 {
		mustPut(t, db, fmt.Sprintf("key%04d", 100*i), "changed")
	}
	if err := db.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	return path
}

const pageSize = 4096

func TestOpenRefusesWhatIsNotASoundFileOfItsKind(t *testing.T) {
	if os.Getpagesize() != pageSize {
		t.Skipf("the cases are made for pages of %d bytes", pageSize)
	}
	sound := read(t, soundFile(t))
	changed := func(change func(b []byte)) []byte {
		b := bytes.Clone(sound)
		change(b)
		return b
	}
	type bad struct {
		content []byte
		want    error
		text    string // in the error
	}
	cases := map[string]bad{
		"an empty file": {[]byte{}, bolt.ErrForeign, "empty"},
		"one byte":      {[]byte{0}, bolt.ErrForeign, "only 1 bytes"},
		"a text file": {[]byte(strings.Repeat("not a database\n", 1000)),
			bolt.ErrForeign, "not a bbolt file"},
		"zeros":                        {make([]byte, 1<<16), bolt.ErrForeign, "not a bbolt file"},
		"another program's bbolt file": {otherFile(t), bolt.ErrForeign, "another program"},
		"another kind of ours": {ownFile(t, bolt.Options{Kind: "other", Version: 1}),
			bolt.ErrForeign, `"other"`},
		"a later version of ours":       {ownFile(t, bolt.Options{Kind: "test", Version: 2}), bolt.ErrForeign, `"2"`},
		"the first page only":           {sound[:pageSize], bolt.ErrDamaged, "fewer than four pages"},
		"a file without its last page":  {truncated(sound, 1), bolt.ErrDamaged, "end is missing"},
		"a file without half a page":    {sound[:inUse(sound)*pageSize-pageSize/2], bolt.ErrDamaged, "end is missing"},
		"a file whose start was zeroed": {changed(func(b []byte) { clear(b[:16]) }), bolt.ErrDamaged, "page 0"},
		"a bad first meta page":         {changed(func(b []byte) { b[16+40]++ }), bolt.ErrDamaged, "checksum"},
		"a bad second meta page": {changed(func(b []byte) { b[pageSize+16+48]++ }),
			bolt.ErrDamaged, "checksum"},
		"no second meta page": {changed(func(b []byte) { clear(b[pageSize : 2*pageSize]) }),
			bolt.ErrDamaged, "page 1"},
		"a strange page size": {changed(func(b []byte) { b[16+8] = 3 }), bolt.ErrDamaged, "page size"},
		"text over the middle": {changed(func(b []byte) {
			copy(b[2*pageSize:],
				strings.Repeat("text", 2*pageSize))
		}), bolt.ErrDamaged, ""},
		"a page that is another's copy": {changed(copyLeaf), bolt.ErrDamaged, ""},
		"a key that is out of order": {changed(func(b []byte) { b[bytes.LastIndex(b, []byte("key0150"))] = 'z' }),
			bolt.ErrDamaged, "out of place"},
		"a free page that is in use too": {changed(freeUsedPage), bolt.ErrDamaged, "used twice"},
	}
	for i := 2; i < inUse(sound); i++ {
		if free(sound)[uint64(i)] || i > 2 && overflows(sound, i) {
			continue
		}
		cases[fmt.Sprintf("zeros for page %d", i)] = bad{
			changed(func(b []byte) { clear(b[i*pageSize : (i+1)*pageSize]) }), bolt.ErrDamaged, ""}
	}
	found := 0
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "test.db")
			if err := os.WriteFile(path, test.content, 0o640); err != nil {
				t.Fatal(err)
			}
			db, err := bolt.Open(path, options)
			if err == nil {
				found++ // in a leaf page
				err = db.Verify(t.Context())
				if used := useAll(db); !errors.Is(used, bolt.ErrDamaged) {
					t.Errorf("use of every page = %v, want %v", used, bolt.ErrDamaged)
				}
				if err := db.Close(); err != nil {
					t.Error(err)
				}
				if err := os.Chmod(path, 0o640); err != nil { // Open takes from others what it opens
					t.Fatal(err)
				}
			}
			if !errors.Is(err, test.want) || err != nil && !strings.Contains(err.Error(), test.text) {
				t.Errorf("Open = %v, want %v with %q", err, test.want, test.text)
			}
			if err != nil && !strings.Contains(err.Error(), path) {
				t.Errorf("Open = %v, which does not name the file", err)
			}
			if !bytes.Equal(read(t, path), test.content) {
				t.Error("Open changed the file")
			}
			if info, err := os.Stat(path); err != nil || info.Mode() != 0o640 {
				t.Errorf("Stat = %v, %v, want the mode as it was", info.Mode(), err)
			}
			wantFiles(t, filepath.Dir(path), "test.db")
		})
	}
	if found == 0 || found > len(cases)-18 {
		t.Errorf("Open took %d of %d files; it is to refuse those that are damaged outside leaf pages",
			found, len(cases))
	}
}

func TestOpenRefusesADirectory(t *testing.T) {
	if _, err := bolt.Open(t.TempDir(), options); !errors.Is(err, bolt.ErrForeign) {
		t.Errorf("Open of a directory = %v, want ErrForeign", err)
	}
}

// However a file is damaged, Open and all that comes after it end in an ErrDamaged, not in a crash;
// and if Open refuses the file, it leaves it as it is.
func TestDamageDoesNotCrash(t *testing.T) {
	sound := read(t, soundFile(t))
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	refused := 0
	for range 80 {
		b := bytes.Clone(sound)
		for range 1 + rng.IntN(3) {
			// Most of what has a meaning is at the start of pages.
			at := rng.IntN(inUse(sound))*pageSize + min(rng.IntN(pageSize), rng.IntN(pageSize), rng.IntN(pageSize))
			b[at] ^= byte(1 + rng.IntN(255))
		}
		if tryOpen(t, b) != nil {
			refused++
		}
	}
	if refused == 0 {
		t.Error("no damage was found")
	}
}

func FuzzOpen(f *testing.F) {
	for _, b := range [][]byte{read(f, soundFile(f)), ownFile(f, options), otherFile(f)} {
		f.Add(truncated(b, 0)) // without the hole at the end
	}
	f.Add([]byte("text"))
	f.Fuzz(func(t *testing.T, b []byte) { tryOpen(t, b) })
}

// tryOpen opens a file with this content, and if that goes well, does everything with it.
func tryOpen(t *testing.T, content []byte) error {
	path := filepath.Join(t.TempDir(), "test.db")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := bolt.Open(path, options)
	if err != nil {
		if !bytes.Equal(read(t, path), content) {
			t.Errorf("Open = %v, and changed the file", err)
		}
		return err
	}
	first := db.Verify(t.Context())
	for _, err := range []error{
		first,
		useAll(db),
		db.Update(t.Context(), 0, put("new", strings.Repeat("v", 10_000))),
		db.Verify(t.Context()),
	} {
		if err != nil && (first == nil || !errors.Is(err, bolt.ErrDamaged)) {
			t.Errorf("a file that Open took: %v; at first Verify = %v", err, first)
		}
	}
	return errors.Join(first, db.Close())
}

// useAll reads all that is in the file.
func useAll(db *bolt.DB) error {
	return db.View(func(tx *bolt.Tx) error {
		for _, name := range tx.Buckets() {
			c := tx.Bucket(name).Cursor()
			for k, v := c.First(); k != nil; k, v = c.Next() {
				_ = bytes.Clone(v)
			}
		}
		return nil
	})
}

func TestDamageUnderAnOpenFileIsAnError(t *testing.T) {
	for name, damage := range map[string]func(f *os.File) error{
		"overwritten": func(f *os.File) error {
			_, err := f.WriteAt(make([]byte, 200*pageSize),
				2*pageSize)
			return err
		},
		"cut short": func(f *os.File) error { return f.Truncate(2 * pageSize) },
	} {
		t.Run(name, func(t *testing.T) {
			path := soundFile(t)
			db := openAt(t, path, options)
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(damage(f), f.Close()); err != nil {
				t.Fatal(err)
			}
			get := func(key string) error {
				return db.View(func(tx *bolt.Tx) error { tx.Bucket("b").Get([]byte(key)); return nil })
			}
			var panicked *bolt.PanicError
			if err := get("key0100"); !errors.As(err, &panicked) && !errors.Is(err, bolt.ErrDamaged) {
				t.Errorf("View = %v, want a PanicError or ErrDamaged", err)
			}
			if err := db.Verify(t.Context()); err == nil {
				t.Error("Verify found nothing")
			}
			if err := db.Update(t.Context(), 0, put("key0100", "")); err == nil {
				t.Error("Update found nothing")
			}
		})
	}
}

// The following know as much of bbolt's layout as it takes to damage it.

// inUse returns the number of pages in use by the newer meta page.
func inUse(b []byte) int {
	m := newerMeta(b)
	return int(binary.NativeEndian.Uint64(m[40:]))
}

func newerMeta(b []byte) []byte {
	first, second := b[16:], b[pageSize+16:]
	if binary.NativeEndian.Uint64(first[48:]) > binary.NativeEndian.Uint64(second[48:]) {
		return first
	}
	return second
}

// freelist returns the page with the list of free pages.
func freelist(b []byte) []byte {
	return b[binary.NativeEndian.Uint64(newerMeta(b)[32:])*pageSize:]
}

// free returns the free pages.
func free(b []byte) map[uint64]bool {
	page := freelist(b)
	ids := make(map[uint64]bool)
	for i := range int(binary.NativeEndian.Uint16(page[10:])) {
		ids[binary.NativeEndian.Uint64(page[16+8*i:])] = true
	}
	return ids
}

// overflows reports whether page i is the continuation of another: it has no header.
func overflows(b []byte, i int) bool {
	return binary.NativeEndian.Uint64(b[i*pageSize:]) != uint64(i)
}

// freeUsedPage puts the root page into the list of free pages.
func freeUsedPage(b []byte) {
	root := binary.NativeEndian.Uint64(newerMeta(b)[16:])
	binary.NativeEndian.PutUint64(freelist(b)[16:], root)
}

// copyLeaf copies a leaf page over another.
func copyLeaf(b []byte) {
	var leaves []int
	for i := 2; i < inUse(b); i++ {
		if !free(b)[uint64(i)] && !overflows(b, i) && b[i*pageSize+8] == 2 {
			leaves = append(leaves, i)
		}
	}
	copy(b[leaves[0]*pageSize:(leaves[0]+1)*pageSize], b[leaves[1]*pageSize:])
}

// truncated returns b without the last n pages in use.
func truncated(b []byte, n int) []byte { return b[:(inUse(b)-n)*pageSize] }

func otherFile(t testing.TB) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "other.db")
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucket([]byte("theirs"))
		if err != nil {
			return err
		}
		return b.Put([]byte("k"), []byte("v"))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	return read(t, path)
}

func ownFile(t testing.TB, o bolt.Options) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "own.db")
	db, err := bolt.Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return read(t, path)
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func wantFiles(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("the directory has %q, want %q", got, want)
	}
}

func TestATemporaryFileLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	db, err := bolt.OpenTemporary(options)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(t.Context(), 0, func(tx *bolt.Tx) error {
		b, err := tx.CreateBucket("b")
		return errors.Join(err, b.Put([]byte("k"), []byte("v")))
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.View(func(tx *bolt.Tx) error {
		if got := string(tx.Bucket("b").Get([]byte("k"))); got != "v" {
			t.Errorf("Get = %q, want v", got)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err := errors.Join(err, db.Close()); err != nil || len(files) > 0 {
		t.Errorf("files %v, error %v, want neither", files, err)
	}
	t.Setenv("TMPDIR", filepath.Join(dir, "none"))
	if _, err := bolt.OpenTemporary(options); err == nil {
		t.Error("OpenTemporary without a folder: no error")
	}
}

package bolt

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
)

// The format bucket identifies the file. Callers cannot use its name.
const (
	formatBucket = "\x00format"
	formatKey    = "format"
	kindKey      = "kind"
	versionKey   = "version"

	formatName = "chatconf bolt 1" // of the format bucket itself
)

const (
	defaultWait = 500 * time.Millisecond
	lockPoll    = 10 * time.Millisecond
)

const (
	// mapping is the first size of the mapping. To grow it, an update must wait until no View
	// runs, and new ones wait too; bbolt would grow at 32 KB, 64 KB and so on.
	mapping = 64 << 20
	// allocation is the step by which a file grows. bbolt's default of 16 MiB suits larger
	// files.
	allocation = 1 << 20
)

// errMoved: the path now names another file than the one that was opened. A creator has just
// renamed it, or the file was replaced.
var errMoved = errors.New("the file was moved")

// Open opens the file at path. It creates a missing file, mode 0600, and a missing directory, mode
// 0700. The error is ErrInUse, ErrForeign or ErrDamaged; Open does not change such a file. An empty
// file is ErrForeign. Open does not read leaf pages: damage in them is found when they are used.
//
// A file that cannot be written, such as on a read-only file system, is opened for reading:
// ReadOnly returns why, and Update returns ErrReadOnly.
func Open(path string, o Options) (*DB, error) {
	if o.Wait == 0 {
		o.Wait = defaultWait
	}
	db, err := open(path, o)
	if err != nil {
		return nil, fmt.Errorf("bolt: open %s: %w", path, err)
	}
	return db, nil
}

func open(path string, o Options) (*DB, error) {
	deadline := time.Now().Add(o.Wait)
	for {
		db, err := openExisting(path, o, deadline)
		if errors.Is(err, fs.ErrNotExist) {
			db, err = create(path, o, deadline)
		}
		if !errors.Is(err, errMoved) || time.Now().After(deadline) {
			return db, err
		}
	}
}

// openExisting opens the file at path. bbolt opens it only after it is locked and checked.
func openExisting(path string, o Options, deadline time.Time) (*DB, error) {
	// Before opening, because opening a named pipe would block.
	if info, err := os.Stat(path); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: it is not a regular file", ErrForeign)
	}
	var readOnly error
	f, err := openFile(path, os.O_RDWR, 0)
	if isReadOnly(err) {
		readOnly = err
		f, err = openFile(path, os.O_RDONLY, 0)
	}
	if err != nil {
		return nil, err
	}
	if err := lockAt(f, path, deadline, readOnly != nil); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	leaves, err := o.check(f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if readOnly == nil {
		if err := f.Chmod(0o600); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	b, err := openBolt(f, o, readOnly != nil)
	if err != nil {
		return nil, err
	}
	return newDB(b, f, path, leaves, readOnly), nil
}

// openFile is os.OpenFile, but for tests.
var openFile = os.OpenFile

// isReadOnly reports whether an error means that a file may still be opened for reading.
func isReadOnly(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)
}

// create creates the file under a temporary name and renames it when it is complete, so a crash
// leaves no partial file under path. It locks the file before it writes: of two creators, one waits
// and then finds the file.
func create(path string, o Options, deadline time.Time) (*DB, error) {
	if err := makeDir(filepath.Dir(path)); err != nil {
		return nil, err
	}
	temp := path + ".creating"
	f, err := openFile(temp, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lockAt(f, temp, deadline, false); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if _, err := os.Lstat(path); err == nil {
		return nil, errors.Join(errMoved, os.Remove(temp), f.Close())
	}
	if err := errors.Join(f.Chmod(0o600), f.Truncate(0)); err != nil { // the rest of a crashed creator
		return nil, errors.Join(err, f.Close())
	}
	b, err := openBolt(f, o, false)
	if err != nil {
		return nil, err
	}
	err = b.Update(o.describe)
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(temp), b.Close())
	}
	return newDB(b, f, path, nil, nil), nil
}

// OpenTemporary opens an empty file without a name, which is gone after Close. Its updates are not
// flushed to disk.
func OpenTemporary(o Options) (*DB, error) {
	f, err := os.CreateTemp("", "chatconf-*.db")
	if err != nil {
		return nil, fmt.Errorf("bolt: open a temporary file: %w", err)
	}
	defer os.Remove(f.Name()) // where the system cannot remove an open file, it stays
	b, err := openBolt(f, o, false)
	if err != nil {
		return nil, fmt.Errorf("bolt: open %s: %w", f.Name(), err)
	}
	b.NoSync = true
	return newDB(b, f, f.Name(), nil, nil), nil
}

// openBolt opens the locked file f with bbolt, and closes it on an error.
func openBolt(f *os.File, o Options, readOnly bool) (b *bbolt.DB, err error) {
	defer func() {
		if v := recover(); v != nil { // bbolt panics on damage
			err = errors.Join(fmt.Errorf("%w: %v", ErrDamaged, v), f.Close())
		}
	}()
	b, err = bbolt.Open(f.Name(), 0o600, &bbolt.Options{
		OpenFile:        func(string, int, os.FileMode) (*os.File, error) { return f, nil },
		Timeout:         time.Millisecond, // f is locked already; a process may lock its own file twice
		FreelistType:    bbolt.FreelistMapType,
		InitialMmapSize: mapping,
		NoStatistics:    true, // a lock that every reader would take
		MaxSize:         o.MaxSize,
		ReadOnly:        readOnly,
	})
	if err != nil {
		return nil, err
	}
	b.AllocSize = allocation
	return b, nil
}

// lockAt locks f and checks that path still names it.
func lockAt(f *os.File, path string, deadline time.Time, shared bool) error {
	for {
		locked, err := lock(f, shared)
		if err != nil {
			return fmt.Errorf("lock: %w", err)
		}
		if locked {
			break
		}
		if time.Now().After(deadline) {
			return ErrInUse
		}
		time.Sleep(lockPoll) // the system's own wait has no timeout
	}
	opened, err := f.Stat()
	if err != nil {
		return err
	}
	if named, err := os.Stat(path); err != nil || !os.SameFile(opened, named) {
		return errMoved
	}
	return nil
}

func (o Options) describe(tx *bbolt.Tx) error {
	b, err := tx.CreateBucket([]byte(formatBucket))
	if err != nil {
		return err
	}
	return errors.Join(
		b.Put([]byte(formatKey), []byte(formatName)),
		b.Put([]byte(kindKey), []byte(o.Kind)),
		b.Put([]byte(versionKey), []byte(strconv.Itoa(o.Version))),
	)
}

// check inspects f, and returns an error unless describe has written its format.
func (o Options) check(f *os.File) (map[string]*leaves, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	format, leaves, err := inspect(f, info.Size())
	if err != nil {
		return nil, err
	}
	version := strconv.Itoa(o.Version)
	switch {
	case format == nil:
		return nil, fmt.Errorf("%w: it is a bbolt file of another program", ErrForeign)
	case format[formatKey] != formatName:
		return nil, fmt.Errorf("%w: its format is %.40q, not %q", ErrForeign, format[formatKey], formatName)
	case format[kindKey] != o.Kind:
		return nil, fmt.Errorf("%w: its content is %.40q, not %q", ErrForeign, format[kindKey], o.Kind)
	case format[versionKey] != version:
		foreign := ErrForeign
		if n, err := strconv.Atoi(format[versionKey]); err == nil && n > o.Version {
			foreign = ErrNewer
		}
		return nil, fmt.Errorf("%w: its version is %.40q; this program reads only %q",
			foreign, format[versionKey], version)
	}
	return leaves, nil
}

// makeDir creates dir and its missing parents, and flushes their names to disk, so they survive a
// power cut.
func makeDir(dir string) error {
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := makeDir(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(parent)
}

// syncDir flushes the names in a directory to disk.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"chatconf/shared/bolt"
	"chatconf/shared/seal"
	"chatconf/shared/table"
	"chatconf/shared/table/file"
)

// Contents are what a backup has.
type Contents struct {
	Size       int64          // of the file, in bytes
	Items      map[string]int // by their kind, such as "configurations"
	Keys       []string       // the ids of the ring's keys that sealed a value, in order
	Unreadable int            // sealed items that are damaged, or that a newer version has written
}

// A BackupSource writes a copy of the tables of a service. It ends with its context.
type BackupSource func(ctx context.Context, w io.Writer) error

// CopyFile returns the source of the file in a data directory that no service has open.
func CopyFile(data string) BackupSource {
	return func(ctx context.Context, w io.Writer) error {
		path := filepath.Join(data, TableFile)
		if _, err := os.Stat(path); err != nil { // opening would create it
			return err
		}
		db, err := file.Open(path, file.Options{})
		if err != nil {
			return err
		}
		err = db.Snapshot(ctx, func(_ context.Context, from io.WriterTo) error {
			_, err := from.WriteTo(w)
			return err
		})
		return errors.Join(err, db.Close())
	}
}

// WriteBackup writes a backup to a new file that only its owner can read, whole or not at all. It
// checks the backup before the file gets its name: it must open, be valid, and have a claim. The
// key ring is not in it, and not needed.
func WriteBackup(ctx context.Context, s Settings, path string, source BackupSource) (found *Contents, err error) {
	// The file might be the only good backup, a key ring, or the data of the service.
	if _, err := os.Lstat(path); err == nil {
		return nil, fmt.Errorf("%s exists; name a new file, or remove that one", path)
	}
	err = fillFile(path, true, func(f *os.File) error {
		if err := source(ctx, f); err != nil {
			return err
		}
		reached("copied")
		found, err = s.inspect(ctx, f.Name(), nil, nil)
		reached("checked")
		return err
	})
	return found, err
}

// RestoreBackup restores the tables of a backup into an empty data directory. The directory may
// have a key ring and an access key. The ring there, or that of the settings, must open the backup.
// The file appears whole or not at all.
func RestoreBackup(ctx context.Context, s Settings, backup io.Reader) (found *Contents, err error) {
	if _, err := os.Lstat(s.Data); errors.Is(err, fs.ErrNotExist) {
		defer func() {
			if err != nil {
				os.Remove(s.Data) // made by this restore, and empty again
			}
		}()
	}
	if err := prepareRestore(s.Data); err != nil {
		return nil, err
	}
	path := filepath.Join(s.Data, TableFile)
	err = fillFile(path, true, func(f *os.File) error {
		if _, err := io.Copy(f, &contextReader{ctx, backup}); err != nil {
			return err
		}
		reached("copied")
		ring, noRing := localRing(s, "the backup", false)
		found, err = s.inspect(ctx, f.Name(), ring, noRing)
		if err != nil {
			return err
		}
		reached("checked")
		if err := f.Sync(); err != nil {
			return err
		}
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s has appeared meanwhile; is a service starting there?", path)
		}
		return nil
	})
	return found, err
}

// reached is called after each step of a backup and of a restore, for tests.
var reached = func(step string) {}

// prepareRestore makes a data directory, or returns an error unless it is empty. It removes what a
// restore that was killed has left.
func prepareRestore(data string) error {
	if err := os.MkdirAll(data, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(data)
	if err != nil {
		return err
	}
	var others []string
	for _, e := range entries {
		name := e.Name()
		switch {
		case name == KeyRingFile || name == AccessKeyFile || strings.HasPrefix(name, KeyRingFile+"."):
		case strings.HasPrefix(name, "."+TableFile+"-"):
			if err := os.Remove(filepath.Join(data, name)); err != nil {
				return err
			}
		default:
			others = append(others, name)
		}
	}
	if len(others) > 0 {
		const full = "%s is not empty, it has %s; restore into a new directory that has at most %s and %s"
		return fmt.Errorf(full, data, strings.Join(others, ", "), KeyRingFile, AccessKeyFile)
	}
	return nil
}

// inspect checks the file of a backup and returns what it has. If there is a ring, it must open the
// claim, and have all keys that are needed; noRing says why there is no ring.
func (s Settings) inspect(ctx context.Context, path string, ring *seal.Ring, noRing error) (*Contents, error) {
	db, err := file.Open(path, file.Options{})
	switch {
	case errors.Is(err, bolt.ErrNewer):
		return nil, fmt.Errorf("a newer version of chatconf made the backup; restore it with that version: %w", err)
	case err != nil:
		return nil, fmt.Errorf("this is not a valid backup: %w", err)
	}
	defer db.Close()
	if err := db.Verify(ctx); err != nil {
		return nil, fmt.Errorf("this is not a valid backup: %w", err)
	}
	t, err := s.fileTables(db)
	if err != nil {
		return nil, err
	}
	defer t.Close()
	t.Where = "the backup"
	claims, err := t.Configurations.Get(ctx, claimKey)
	switch {
	case err != nil:
		return nil, err
	case len(claims) == 0:
		return nil, fmt.Errorf("table %s of the backup has no claim of a key ring, so no service has used it; "+
			"does the service have another CHATCONF_TABLE?", s.Table)
	}
	found, err := readContents(ctx, t, ring)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	found.Size = info.Size()
	switch {
	case noRing != nil:
		return nil, fmt.Errorf("the backup needs the key ring with %s: %w", keyList(found.Keys), noRing)
	case ring == nil:
		return found, nil
	}
	missing := slices.DeleteFunc(slices.Clone(found.Keys), func(id string) bool {
		return slices.Contains(ring.IDs(), id)
	})
	if len(missing) > 0 {
		const other = "the backup needs %s, which the key ring does not have; its keys are %s; " +
			"use the ring of that time, such as %s.previous"
		return nil, fmt.Errorf(other, keyList(missing), strings.Join(ring.IDs(), ", "), KeyRingFile)
	}
	_, err = proveClaim(t, ring, claims[0])
	return found, err
}

// keyList returns ids of keys in words.
func keyList(ids []string) string {
	if len(ids) == 1 {
		return "the key " + ids[0]
	}
	return "the keys " + strings.Join(ids, ", ")
}

// readContents counts the items of tables, and the keys that sealed them. If there is a ring, it
// counts what the ring cannot open too.
func readContents(ctx context.Context, t Tables, ring *seal.Ring) (*Contents, error) {
	found := &Contents{Items: make(map[string]int)}
	ids := make(map[string]bool)
	for _, area := range sealedAreas(t) {
		for _, kind := range area.Kinds {
			found.Items[kind] = 0
		}
		err := area.Walk(ctx, func(item table.Item, prefix int) {
			found.Items[area.Kinds[prefix]]++
			readable := true
			_, err := area.Reseal(item, func(place seal.Place, sealed []byte) ([]byte, error) {
				id, err := seal.KeyID(sealed)
				if err != nil {
					readable = false
					return sealed, nil
				}
				ids[id] = true
				if ring != nil {
					_, err = ring.Open(place, sealed)
				}
				if err != nil && !errors.Is(err, seal.ErrUnknownKey) {
					readable = false
				}
				return sealed, nil
			})
			if err != nil || !readable {
				found.Unreadable++
			}
		})
		if err != nil {
			return nil, err
		}
	}
	found.Keys = slices.Sorted(maps.Keys(ids))
	return found, nil
}

// contextReader reads until its context ends.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

// Read implements io.Reader.
func (r *contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

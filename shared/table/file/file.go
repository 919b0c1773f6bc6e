// Package file is the table adapter for one machine and for tests: any number of tables in one
// local file.
//
// Only one process at a time opens the file. Package bolt describes how it is opened, and its
// content after a crash.
package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"chatconf/shared/bolt"
	"chatconf/shared/table"
)

// Version is the version of the file; this code opens no other. A change to the layout in row.go
// needs a new version.
const Version = 1

// kind is the kind of the file, which package bolt checks.
const kind = "chatconf tables"

// Options of a file. The zero value has the defaults.
type Options struct {
	// Now is the clock of all tables in the file. Default: time.Now.
	Now func() time.Time
	// MaxSize is the largest size of the file, in bytes. A Write beyond it returns
	// ErrUnavailable. Zero: no limit.
	MaxSize int
}

// TableOptions of one table. The zero value has the defaults.
type TableOptions struct {
	// TTL is the time from the last write of an item until it expires. Zero: never. The file
	// does not store it, so it can change.
	TTL time.Duration
}

// A DB is an open file of tables.
type DB struct {
	bolt *bolt.DB
	now  func() time.Time
}

// Open opens the file at path. It creates a missing file, mode 0600, and a missing directory, mode
// 0700. If another process has the file open, or it is not a file of tables, Open returns an error
// within a second and does not change the file. The same holds for damage outside of the pages with
// items; calls that read such a page return its damage. Verify checks all pages.
func Open(path string, o Options) (*DB, error) {
	b, err := bolt.Open(path, bolt.Options{Kind: kind, Version: Version, MaxSize: o.MaxSize})
	if err != nil {
		return nil, fmt.Errorf("table: %w", err)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &DB{bolt: b, now: o.Now}, nil
}

// Table returns the table with the given name, which may be new and empty. Closing it does not
// close the file or other tables, even of the same name.
func (db *DB) Table(name string, o TableOptions) *Table {
	return &Table{db: db, bucket: bucketPrefix + name, ttl: o.TTL}
}

// ReadOnly returns why the file cannot be written; nil if it can. If it cannot, a Write returns
// ErrUnavailable.
func (db *DB) ReadOnly() error { return db.bolt.ReadOnly() }

// Snapshot calls fn with a copy of all tables at one moment, which WriteTo writes as a file for
// Open. It returns the error of fn. For its context and its other errors see package bolt.
func (db *DB) Snapshot(ctx context.Context, fn func(context.Context, io.WriterTo) error) error {
	var failed error
	err := db.bolt.Snapshot(ctx, func(ctx context.Context, from io.WriterTo) error {
		failed = fn(ctx, from)
		return failed
	})
	switch {
	case err == nil:
		return nil
	case err == failed: // not the file's
		return err
	}
	return fmt.Errorf("table: %w", mapError(err))
}

// Verify checks the whole file and every row of every table. It returns the first damage.
func (db *DB) Verify(ctx context.Context) error {
	if err := db.bolt.Verify(ctx); err != nil {
		return fmt.Errorf("table: verify: %w", mapError(err))
	}
	err := db.bolt.View(func(tx *bolt.Tx) error {
		for _, bucket := range tx.Buckets() {
			if err := verifyBucket(ctx, tx, bucket); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("table: verify: %w", mapError(err))
	}
	return nil
}

func verifyBucket(ctx context.Context, tx *bolt.Tx, bucket string) error {
	c := tx.Bucket(bucket).Cursor()
	n := 0
	for k, v := c.First(); k != nil; k, v = c.Next() {
		if n++; n%checkEvery == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if _, err := decodeRow(k, v); err != nil {
			return fmt.Errorf("%q: %w", bucket, err)
		}
	}
	return nil
}

// Close waits for current calls and closes the file and all tables. A second Close is not an error.
func (db *DB) Close() error {
	if err := db.bolt.Close(); err != nil {
		return fmt.Errorf("table: %w", err)
	}
	return nil
}

// mapError maps an error of package bolt to one of the port.
func mapError(err error) error {
	var condition *table.ConditionError
	switch {
	case errors.Is(err, bolt.ErrClosed):
		return table.ErrClosed
	case errors.As(err, &condition), errors.Is(err, table.ErrInvalid),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	default:
		return fmt.Errorf("%w: %w", table.ErrUnavailable, err)
	}
}

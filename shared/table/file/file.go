// Package file is the table adapter for a laptop and for tests: any number of tables in one local
// file.
//
// The file belongs to one process at a time; package bolt says how it is opened and what a crash
// leaves of it.
package file

import (
	"context"
	"errors"
	"fmt"
	"time"

	"chatconf/shared/bolt"
	"chatconf/shared/table"
)

// Version is the version of the file; this code opens no other. A change to the layout in row.go
// needs a new version.
const Version = 1

// kind is the kind of the file, which package bolt checks.
const kind = "chatconf tables"

// Options of a file. The zero Options are good.
type Options struct {
	// Now is the clock of all tables in the file. Nil is time.Now.
	Now func() time.Time
	// MaxSize is the size in bytes that the file may grow to; a Write that would take it further is
	// ErrUnavailable. Zero is no bound.
	MaxSize int
}

// TableOptions of one table. The zero TableOptions are good.
type TableOptions struct {
	// TTL is how long after they were last written the table's items vanish. Zero is never. It is
	// not kept in the file, so that a program may change its mind.
	TTL time.Duration
}

// A DB is an open file of tables.
type DB struct {
	bolt *bolt.DB
	now  func() time.Time
}

// Open opens the file at path, or makes it, with mode 0600, in a directory that it makes too, with
// mode 0700. When another process has the file open, or it is not a file of tables, the error says
// so within a second, and the file is left as it is. So it is for damage, except to the pages that
// hold items: that is the error of the calls that meet it. Verify looks everywhere.
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

// Table returns the table with the given name; one that nothing was written to is empty. Closing it
// leaves the file open and other tables, even of the same name, as they are.
func (db *DB) Table(name string, o TableOptions) *Table {
	return &Table{db: db, bucket: bucketPrefix + name, ttl: o.TTL}
}

// ReadOnly returns why the file cannot be written, nil if it can. Of one that cannot, a Write is
// ErrUnavailable.
func (db *DB) ReadOnly() error { return db.bolt.ReadOnly() }

// Verify checks the whole file, and every row of every table, while no Write runs. It returns the
// first damage found.
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

// Close closes the file and with it all tables. It waits for calls under way. Closing twice is not
// an error.
func (db *DB) Close() error {
	if err := db.bolt.Close(); err != nil {
		return fmt.Errorf("table: %w", err)
	}
	return nil
}

// mapError gives an error of the engine its place in the port's contract.
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

// Package store keeps the emulator's rows: ordered buckets of keys and values, in a file or in
// memory, with serialized transactions.
package store

import (
	"context"
	"fmt"

	"chatconf/shared/bolt"
)

// Version is the version of the file; this code opens no other. A change to the stored data needs a
// new version.
const Version = 1

// kind is the kind of the file, which package bolt checks.
const kind = "chatconf tablestore emulator"

// A Store is an open file, or memory. It is safe for concurrent use.
type Store interface {
	// View runs fn on a snapshot of all acknowledged updates. Data that fn reads is valid until fn
	// returns.
	View(fn func(Tx) error) error
	// Update runs fn after all earlier updates, and makes its changes durable before it returns. If
	// fn returns an error, nothing changes. It may call fn more than once, never concurrently; only
	// the last call counts. Size is about how many bytes fn changes. Data that fn reads is valid
	// until its next change. Data that fn puts must not be modified until Update returns.
	Update(ctx context.Context, size int, fn func(Tx) error) error
	// Close waits for running transactions. Later calls return an error.
	Close() error
}

// A Tx is a transaction: the argument of the function in View or Update.
type Tx interface {
	// Bucket returns the bucket with the given name. A bucket that does not exist is empty, and a
	// Put into it fails.
	Bucket(name string) Bucket
	// CreateBucket creates the bucket, unless it exists.
	CreateBucket(name string) error
	// DeleteBucket removes the bucket and its content, if it exists.
	DeleteBucket(name string) error
}

// A Bucket is an ordered map from keys to values.
type Bucket interface {
	Get(key []byte) []byte // nil if absent
	Put(key, value []byte) error
	Delete(key []byte) error
	Cursor() Cursor
}

// A Cursor walks a bucket in the byte order of its keys. The key is nil at the end. A change to the
// bucket invalidates the cursor.
type Cursor interface {
	Seek(key []byte) (k, value []byte)       // the first key >= key
	SeekBefore(key []byte) (k, value []byte) // the last key < key
	Next() (k, value []byte)
	Prev() (k, value []byte)
}

// Open opens the file at path, or creates it. It fails like bolt.Open.
func Open(path string) (Store, error) {
	db, err := bolt.Open(path, bolt.Options{Kind: kind, Version: Version})
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return file{db}, nil
}

// A file is a Store in a file.
type file struct{ db *bolt.DB }

func (f file) View(fn func(Tx) error) error {
	return f.db.View(func(tx *bolt.Tx) error { return fn(fileTx{tx}) })
}

func (f file) Update(ctx context.Context, size int, fn func(Tx) error) error {
	return f.db.Update(ctx, size, func(tx *bolt.Tx) error { return fn(fileTx{tx}) })
}

func (f file) Close() error { return f.db.Close() }

type fileTx struct{ tx *bolt.Tx }

func (t fileTx) Bucket(name string) Bucket { return fileBucket{t.tx.Bucket(name)} }

func (t fileTx) CreateBucket(name string) error {
	_, err := t.tx.CreateBucket(name)
	return err
}

func (t fileTx) DeleteBucket(name string) error { return t.tx.DeleteBucket(name) }

type fileBucket struct{ *bolt.Bucket }

func (b fileBucket) Cursor() Cursor { return b.Bucket.Cursor() }

func (b fileBucket) Put(key, value []byte) error {
	if b.Bucket == nil {
		return errNoBucket
	}
	return b.Bucket.Put(key, value)
}

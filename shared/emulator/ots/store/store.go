// Package store is where the emulator keeps its rows: ordered buckets of keys and values, in a file
// or in memory, changed by transactions that happen one after another.
package store

import (
	"context"
	"fmt"

	"chatconf/shared/bolt"
)

// kind and version are the file's, as package bolt checks them. A change to what the emulator keeps
// in it needs another version.
const (
	kind    = "chatconf tablestore emulator"
	version = 1
)

// A Store is an open file, or memory. Its methods may be called from many goroutines at once.
type Store interface {
	// View runs fn on a snapshot of all updates that were acknowledged. What fn reads is valid only
	// until it returns.
	View(fn func(Tx) error) error
	// Update runs fn on what all earlier updates left, and makes what it changed durable before it
	// returns; nothing, when fn returns an error. It may run fn more than once, one update at a
	// time; only the last run counts. Size is about how many bytes fn changes. What fn reads is
	// valid until it changes something, and what it puts must not change until Update returns.
	Update(ctx context.Context, size int, fn func(Tx) error) error
	// Close waits for what is under way. Later calls are an error.
	Close() error
}

// A Tx is what the function of a View or an Update works on.
type Tx interface {
	// Bucket returns the bucket with the given name. One that was not created is empty, and cannot
	// be written to.
	Bucket(name string) Bucket
	// CreateBucket makes the bucket with the given name, if there is none.
	CreateBucket(name string) error
	// DeleteBucket removes a bucket, if it is there, and all in it.
	DeleteBucket(name string) error
}

// A Bucket is an ordered map from keys to values.
type Bucket interface {
	Get(key []byte) []byte // nil when there is none
	Put(key, value []byte) error
	Delete(key []byte) error
	Cursor() Cursor
}

// A Cursor walks a bucket in the byte order of its keys. The key is nil when there is none. A
// change to the bucket makes the cursor invalid.
type Cursor interface {
	Seek(key []byte) (k, value []byte)       // to the first key that is not before key
	SeekBefore(key []byte) (k, value []byte) // to the last key that is before key
	Next() (k, value []byte)
	Prev() (k, value []byte)
}

// Open opens the file at path, or makes it. It fails as bolt.Open does.
func Open(path string) (Store, error) {
	db, err := bolt.Open(path, bolt.Options{Kind: kind, Version: version})
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return file{db}, nil
}

// A file is a Store in one file.
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

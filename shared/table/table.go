// Package table is the storage port: items under a partition key and a sort key, as in DynamoDB and
// Tablestore.
//
// An adapter stores rows and maps its engine's errors. Everything else (index entries, counters,
// revisions, retries on conflict) is written once, above the port, so that no two engines differ.
// Package tabletest is the suite that every adapter must pass. It tests the contract below.
package table

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Limits of the port, which every engine supports. A call beyond them is ErrInvalid, and nothing is
// sent.
const (
	// MaxKey is the maximum size of a partition key or a sort key in bytes; neither may be empty.
	// DynamoDB allows a sort key of 1,024 bytes, Tablestore a primary key column of 1 KB.
	MaxKey = 1024
	// MaxValue is the maximum size of a value in bytes. A DynamoDB item has at most 409,600 bytes,
	// including its keys and attribute names.
	MaxValue = 400_000
	// MaxGet is the maximum number of keys of one Get. A DynamoDB or Tablestore batch read takes
	// 100.
	MaxGet = 100
	// MaxQuery is the maximum Limit of one Query.
	MaxQuery = 1000
	// MaxWrite is the maximum number of puts, deletes and adds together in one Write. A DynamoDB
	// transaction takes 100.
	MaxWrite = 100
)

// A Key identifies an item by its partition key and its sort key in the partition. Both are byte
// strings, not necessarily UTF-8.
type Key struct {
	Partition string
	Sort      string
}

// An Item is one row.
type Item struct {
	Key
	Value    []byte // from the last put; empty and nil are equal
	Revision int64  // from the last put; 0 for an item created by an Add
	Count    int64  // the sum of all adds since the item was created or last put
	// the time of the last write, in whole milliseconds UTC, by the clock of the writing process
	Written time.Time
}

// A Condition must hold for a put or a delete. The zero Condition always holds.
type Condition struct {
	kind     conditionKind
	revision int64
}

type conditionKind uint8

const (
	always conditionKind = iota
	absent
	atRevision
)

// Absent holds if there is no item under the key, or an expired one.
func Absent() Condition { return Condition{kind: absent} }

// AtRevision holds if there is an item under the key and its Revision is n.
func AtRevision(n int64) Condition { return Condition{kind: atRevision, revision: n} }

// IsAlways reports whether c is the zero Condition.
func (c Condition) IsAlways() bool { return c.kind == always }

// IsAbsent reports whether c is Absent.
func (c Condition) IsAbsent() bool { return c.kind == absent }

// Revision returns the revision of an AtRevision.
func (c Condition) Revision() (n int64, ok bool) { return c.revision, c.kind == atRevision }

// String returns the condition for error messages.
func (c Condition) String() string {
	switch c.kind {
	case absent:
		return "absent"
	case atRevision:
		return fmt.Sprintf("at revision %d", c.revision)
	default:
		return "always"
	}
}

// A Put stores an item and replaces any item under the same key. Its Count becomes zero.
type Put struct {
	Sort     string
	Value    []byte
	Revision int64
	If       Condition
}

// A Delete removes an item. Without a condition, deleting an absent item is not an error. Its
// condition must not be Absent.
type Delete struct {
	Sort string
	If   Condition
}

// An Add adds N to an item's Count, without reading it and without a condition. So adds never
// conflict with each other. If there is no item, Add creates it. It does not change Value or
// Revision.
type Add struct {
	Sort string
	N    int64
}

// A Change is the content of one Write. No two parts may have the same sort key.
type Change struct {
	Puts    []Put
	Deletes []Delete
	Adds    []Add
}

// A Range selects items of one partition in the byte order of their sort keys.
type Range struct {
	Partition string
	Prefix    string // only sort keys with this prefix; empty means all
	// only sort keys after this one in the direction of the query; empty means from the start. The
	// item need not exist.
	After   string
	Limit   int  // 1 to MaxQuery
	Reverse bool // from the last sort key to the first
}

// A Table is one table of one engine. Its methods are safe for concurrent use. All reads are
// strongly consistent: they see every write that returned before the read began. The caller owns
// the results.
//
// Errors can be found with errors.Is and errors.As: ErrInvalid for a call that no engine accepts,
// ErrClosed after Close, *ConditionError for a Write whose condition did not hold, the context's
// error if it ended first, and ErrUnavailable if the engine cannot do it now. After the context's
// error or ErrUnavailable, a Write has happened completely or not at all; read the items to find
// out.
type Table interface {
	// Get returns the items with the given keys, at most MaxGet, in no particular order. It leaves
	// out keys without an item; that is not an error. A duplicate key is ErrInvalid. Without keys
	// it returns no items.
	Get(ctx context.Context, keys ...Key) ([]Item, error)

	// Query returns the items of a range in its direction. It returns fewer than Limit only at the
	// end of the range.
	Query(ctx context.Context, r Range) ([]Item, error)

	// Write makes all changes or none, in one partition, durably before it returns. If a condition
	// does not hold, the error is a *ConditionError with the first such part, puts before deletes,
	// and nothing has changed. An empty Change is ErrInvalid.
	Write(ctx context.Context, partition string, c Change) error

	// Close releases the resources of the table. It waits for calls in progress; later calls are
	// ErrClosed. Closing twice is not an error.
	Close() error
}

// A Partitioner is a Table that can list its partitions. Every adapter implements it, apart from
// Table, because functions do not list partitions and need not link it.
type Partitioner interface {
	// Partitions returns up to limit partition keys, 1 to MaxQuery, in an order of the engine's own
	// that does not change. With after, a partition that an earlier call returned, it continues
	// behind that one, even if its items are gone. Partitions whose items have all expired may be
	// returned too. It returns fewer than limit only at the end.
	Partitions(ctx context.Context, after string, limit int) ([]string, error)
}

// AllPartitions returns all partition keys of a table.
func AllPartitions(ctx context.Context, t Partitioner) ([]string, error) {
	var all []string
	for after := ""; ; after = all[len(all)-1] {
		page, err := t.Partitions(ctx, after, MaxQuery)
		if err != nil {
			return nil, err
		}
		if all = append(all, page...); len(page) < MaxQuery {
			return all, nil
		}
	}
}

// Sentinel errors of the port, for errors.Is.
var (
	// ErrInvalid means that the call is wrong and can never succeed.
	ErrInvalid = errors.New("invalid call")
	// ErrClosed means that the table is closed.
	ErrClosed = errors.New("table is closed")
	// ErrUnavailable means that the engine cannot do it now: it is unreachable, overloaded or
	// broken. A retry may succeed.
	ErrUnavailable = errors.New("table is unavailable")
	// ErrUnsupported means that the engine lacks the operation. A substitute for a cloud's store
	// may lack transactions, for example. No retry succeeds, and nothing was changed.
	ErrUnsupported = errors.New("the store does not support this operation")
)

// A ConditionError names the part of a Write whose condition did not hold.
type ConditionError struct {
	Key Key
	If  Condition // the condition that did not hold
}

// Error names the sort key and the condition.
func (e *ConditionError) Error() string {
	return fmt.Sprintf("item %q is not %v", e.Key.Sort, e.If)
}

// CheckGet returns ErrInvalid if keys are invalid for a Get.
func CheckGet(keys []Key) error {
	if len(keys) > MaxGet {
		return fmt.Errorf("table: get: %d keys; use at most %d: %w", len(keys), MaxGet, ErrInvalid)
	}
	for i, k := range keys {
		if err := checkKey("get", "partition", k.Partition); err != nil {
			return err
		}
		if err := checkKey("get", "sort", k.Sort); err != nil {
			return err
		}
		for _, other := range keys[:i] {
			if other == k {
				return fmt.Errorf("table: get: key %q is listed twice: %w", k.Sort, ErrInvalid)
			}
		}
	}
	return nil
}

// CheckQuery returns ErrInvalid if r is invalid for a Query.
func CheckQuery(r Range) error {
	if err := checkKey("query", "partition", r.Partition); err != nil {
		return err
	}
	if len(r.Prefix) > MaxKey || len(r.After) > MaxKey {
		return fmt.Errorf("table: query: prefix of %d and cursor of %d bytes; use at most %d each: %w",
			len(r.Prefix), len(r.After), MaxKey, ErrInvalid)
	}
	if r.Limit < 1 || r.Limit > MaxQuery {
		return fmt.Errorf("table: query: limit %d; use 1 to %d: %w", r.Limit, MaxQuery, ErrInvalid)
	}
	return nil
}

// CheckPartitions returns ErrInvalid if after and limit are invalid for Partitions.
func CheckPartitions(after string, limit int) error {
	if len(after) > MaxKey {
		return fmt.Errorf("table: partitions: cursor of %d bytes; use at most %d: %w", len(after), MaxKey, ErrInvalid)
	}
	if limit < 1 || limit > MaxQuery {
		return fmt.Errorf("table: partitions: limit %d; use 1 to %d: %w", limit, MaxQuery, ErrInvalid)
	}
	return nil
}

// CheckWrite returns ErrInvalid if partition and c are invalid for a Write.
func CheckWrite(partition string, c Change) error {
	if err := checkKey("write", "partition", partition); err != nil {
		return err
	}
	parts := len(c.Puts) + len(c.Deletes) + len(c.Adds)
	if parts == 0 || parts > MaxWrite {
		return fmt.Errorf("table: write: %d parts; use 1 to %d: %w", parts, MaxWrite, ErrInvalid)
	}
	seen := make(map[string]struct{}, parts)
	check := func(sort string) error {
		if err := checkKey("write", "sort", sort); err != nil {
			return err
		}
		if _, twice := seen[sort]; twice {
			return fmt.Errorf("table: write: key %q is listed twice: %w", sort, ErrInvalid)
		}
		seen[sort] = struct{}{}
		return nil
	}
	for _, p := range c.Puts {
		if err := check(p.Sort); err != nil {
			return err
		}
		if len(p.Value) > MaxValue {
			return fmt.Errorf("table: put %q: value of %d bytes; use at most %d: %w", p.Sort, len(p.Value), MaxValue,
				ErrInvalid)
		}
	}
	for _, d := range c.Deletes {
		if err := check(d.Sort); err != nil {
			return err
		}
		if d.If.IsAbsent() {
			return fmt.Errorf("table: delete %q: the condition Absent is not allowed: %w", d.Sort, ErrInvalid)
		}
	}
	for _, a := range c.Adds {
		if err := check(a.Sort); err != nil {
			return err
		}
	}
	return nil
}

func checkKey(verb, which, key string) error {
	if key == "" || len(key) > MaxKey {
		return fmt.Errorf("table: %s: %s key of %d bytes; use 1 to %d: %w", verb, which, len(key), MaxKey,
			ErrInvalid)
	}
	return nil
}

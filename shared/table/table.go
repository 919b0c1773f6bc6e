// Package table is the storage port: items under a partition key and a sort key, in the manner of
// DynamoDB and Tablestore.
//
// An adapter keeps rows and maps its engine's errors, nothing more. Everything that gives the rows
// a meaning (index entries, counters, revisions, retries on conflict) is written once, above the
// port, so that no two engines can differ. Package tabletest holds the suite that every adapter
// must pass; it is the contract below in executable form.
package table

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"
)

// Limits of the port: what every engine behind it can keep. A call beyond them is ErrInvalid and
// nothing is sent.
const (
	// MaxKey is the size of a partition key or a sort key, in bytes; neither may be empty. DynamoDB
	// allows a sort key 1,024 bytes, Tablestore a primary key column 1 KB.
	MaxKey = 1024
	// MaxValue is the size of a value, in bytes. A DynamoDB item holds 409,600 bytes with its keys
	// and attribute names.
	MaxValue = 400_000
	// MaxGet is the number of keys of one Get: a DynamoDB or Tablestore batch read takes 100.
	MaxGet = 100
	// MaxQuery is the largest Limit of one Query.
	MaxQuery = 1000
	// MaxWrite is the number of puts, deletes and adds of one Write together: a DynamoDB
	// transaction takes 100.
	MaxWrite = 100
)

// A Key places an item: its partition, and its sort key inside the partition. Both are byte
// strings, not necessarily UTF-8.
type Key struct {
	Partition string
	Sort      string
}

// An Item is one row.
type Item struct {
	Key
	Value    []byte // what was put; empty and absent are the same
	Revision int64  // what the last put said; 0 for an item that only adds have touched
	Count    int64  // the sum of all adds since the item was made or last put
	// when the item was last written, in whole milliseconds UTC, by the clock of the process that
	// wrote it
	Written time.Time
}

// A Condition says when a put or a delete may happen. The zero Condition is: always.
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

// Absent is met when there is no item under the key. An item over the table's age counts as none.
func Absent() Condition { return Condition{kind: absent} }

// AtRevision is met when there is an item under the key and its Revision is exactly n.
func AtRevision(n int64) Condition { return Condition{kind: atRevision, revision: n} }

// IsAlways reports whether c is the zero Condition.
func (c Condition) IsAlways() bool { return c.kind == always }

// IsAbsent reports whether c is Absent.
func (c Condition) IsAbsent() bool { return c.kind == absent }

// Revision returns the revision that c asks for, if it is an AtRevision.
func (c Condition) Revision() (n int64, ok bool) { return c.revision, c.kind == atRevision }

// String returns the condition as errors show it.
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

// A Put stores an item, in place of the one under the same key if there is one; its Count starts
// again at zero.
type Put struct {
	Sort     string
	Value    []byte
	Revision int64
	If       Condition
}

// A Delete removes an item. With no condition, removing what is not there is not an error. It may
// not ask for absence.
type Delete struct {
	Sort string
	If   Condition
}

// An Add changes an item's Count by N, without reading it and without a condition, so that adds
// never conflict with each other. It makes the item if there is none, and leaves Value and Revision
// as they are.
type Add struct {
	Sort string
	N    int64
}

// A Change is what one Write does. No two of its parts may name the same sort key.
type Change struct {
	Puts    []Put
	Deletes []Delete
	Adds    []Add
}

// A Range selects items of one partition in the byte order of their sort keys.
type Range struct {
	Partition string
	Prefix    string // only sort keys that start with it; empty is all
	// only sort keys beyond it in the direction of travel, itself excluded; empty is from the
	// start. No item need have it.
	After   string
	Limit   int  // 1 to MaxQuery
	Reverse bool // from the last sort key down to the first
}

// A Table is one table of one engine. Its methods may be called from many goroutines at once. All
// reads are strongly consistent: they see every write that returned before they began. What they
// return belongs to the caller.
//
// Errors: ErrInvalid for a call that no engine could take, ErrClosed after Close, *ConditionError
// for a Write whose condition did not hold, the context's own error when it ended first,
// ErrUnavailable when the engine cannot do it now; errors.Is and errors.As find each. When a Write
// ends with the context's error or with ErrUnavailable, it has happened either wholly or not at
// all; which of the two is for the caller to read back.
type Table interface {
	// Get returns the items with the given keys, at most MaxGet, in no particular order. A key
	// without an item is left out; that is not an error. A key given twice is ErrInvalid. No keys,
	// no items.
	Get(ctx context.Context, keys ...Key) ([]Item, error)

	// Query returns the items of a range, in its direction. Fewer than Limit are returned only
	// where the range ends.
	Query(ctx context.Context, r Range) ([]Item, error)

	// Write makes all the changes or none of them, in one partition, durably before it returns. If
	// a condition does not hold the error is a *ConditionError that names the first such part, puts
	// before deletes, and nothing has changed. A Change with no parts is ErrInvalid.
	Write(ctx context.Context, partition string, c Change) error

	// Close frees what the table holds. It waits for calls under way; later calls are ErrClosed.
	// Closing twice is not an error.
	Close() error
}

// Sentinel errors of the port, to be found with errors.Is.
var (
	// ErrInvalid says that the call is wrong in itself: the same call can never succeed.
	ErrInvalid = errors.New("invalid call")
	// ErrClosed says that the table was closed.
	ErrClosed = errors.New("table is closed")
	// ErrUnavailable says that the engine cannot do it now: it is out of reach, too busy, or
	// broken. A later try may succeed.
	ErrUnavailable = errors.New("table is unavailable")
	// ErrUnsupported says that the engine has no such operation: what stands in for a cloud's store
	// may lack transactions. No later try succeeds; nothing was changed.
	ErrUnsupported = errors.New("the store cannot do this")
)

// A ConditionError says which part of a Write could not be done, and why nothing of it was.
type ConditionError struct {
	Key Key
	If  Condition // the condition that did not hold
}

// Error names the sort key and the condition.
func (e *ConditionError) Error() string {
	return fmt.Sprintf("item %q is not %v", e.Key.Sort, e.If)
}

// CheckGet returns an ErrInvalid when keys cannot be the keys of a Get. Adapters call it first.
func CheckGet(keys []Key) error {
	if len(keys) > MaxGet {
		return fmt.Errorf("table: get of %d keys, the most is %d: %w", len(keys), MaxGet, ErrInvalid)
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
				return fmt.Errorf("table: get of key %q twice: %w", k.Sort, ErrInvalid)
			}
		}
	}
	return nil
}

// CheckQuery returns an ErrInvalid when r cannot be the range of a Query. Adapters call it first.
func CheckQuery(r Range) error {
	if err := checkKey("query", "partition", r.Partition); err != nil {
		return err
	}
	if len(r.Prefix) > MaxKey || len(r.After) > MaxKey {
		return fmt.Errorf("table: query with a prefix of %d and a cursor of %d bytes, the most is %d: %w",
			len(r.Prefix), len(r.After), MaxKey, ErrInvalid)
	}
	if r.Limit < 1 || r.Limit > MaxQuery {
		return fmt.Errorf("table: query with limit %d, wanted 1 to %d: %w", r.Limit, MaxQuery, ErrInvalid)
	}
	return nil
}

// CheckWrite returns an ErrInvalid when partition and c cannot be those of a Write. Adapters call
// it first.
func CheckWrite(partition string, c Change) error {
	if err := checkKey("write", "partition", partition); err != nil {
		return err
	}
	parts := len(c.Puts) + len(c.Deletes) + len(c.Adds)
	if parts == 0 || parts > MaxWrite {
		return fmt.Errorf("table: write of %d parts, wanted 1 to %d: %w", parts, MaxWrite, ErrInvalid)
	}
	seen := make(map[string]struct{}, parts)
	check := func(sort string) error {
		if err := checkKey("write", "sort", sort); err != nil {
			return err
		}
		if _, twice := seen[sort]; twice {
			return fmt.Errorf("table: write of key %q twice: %w", sort, ErrInvalid)
		}
		seen[sort] = struct{}{}
		return nil
	}
	for _, p := range c.Puts {
		if err := check(p.Sort); err != nil {
			return err
		}
		if len(p.Value) > MaxValue {
			return fmt.Errorf("table: put %q: value of %d bytes, the most is %d: %w", p.Sort, len(p.Value), MaxValue,
				ErrInvalid)
		}
	}
	for _, d := range c.Deletes {
		if err := check(d.Sort); err != nil {
			return err
		}
		if d.If.IsAbsent() {
			return fmt.Errorf("table: delete %q if absent: %w", d.Sort, ErrInvalid)
		}
	}
	for _, a := range c.Adds {
		if err := check(a.Sort); err != nil {
			return err
		}
	}
	return nil
}

// CheckText returns an ErrInvalid unless all keys are UTF-8. Adapters to engines whose keys are
// text call it after the others; verb is get, query or write.
func CheckText(verb string, keys ...string) error {
	for _, k := range keys {
		if !utf8.ValidString(k) {
			return fmt.Errorf("table: %s: key %.80q is not UTF-8: %w", verb, k, ErrInvalid)
		}
	}
	return nil
}

func checkKey(verb, which, key string) error {
	if key == "" || len(key) > MaxKey {
		return fmt.Errorf("table: %s: %s key of %d bytes, wanted 1 to %d: %w", verb, which, len(key), MaxKey,
			ErrInvalid)
	}
	return nil
}

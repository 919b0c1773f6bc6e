// Package accesskey keeps access keys and their policies in a table of their own.
//
// A key is in the partition "keys" as k#<AccessKeyId>, sealed as a whole. The day of its last use
// is in another table, in the partition "uses".
package accesskey

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"chatconf/shared/fault"
	"chatconf/shared/policy"
	"chatconf/shared/seal"
	"chatconf/shared/secret"
	"chatconf/shared/table"
)

const (
	partition = "keys"
	prefix    = "k#"
	field     = "AccessKey"

	// CacheAge is how long a process caches an access key. A change of a key takes effect in all
	// processes within this time. Expiry is exact.
	CacheAge = 10 * time.Second
	// cacheSize bounds the cache. Beyond it any entry is dropped.
	cacheSize = 10_000
	// maxDescription is the length of a key's Description, in characters.
	maxDescription = 256
)

// A Key is an access key, with which a caller signs requests.
type Key struct {
	ID          string
	Secret      secret.Text // empty in a list
	Account     string      // the owner of the configurations that the caller sees
	Name        string      // the caller's name, for people
	Description string
	Policies    []*policy.Policy
	Active      bool
	Created     time.Time
	CreatedBy   string    // the access key id of the creator; empty for the command-line tool
	Expires     time.Time // the key is invalid from this moment on; zero: never
}

// Expired reports whether the key is expired at the given time.
func (key *Key) Expired(now time.Time) bool {
	return !key.Expires.IsZero() && !now.Before(key.Expires)
}

// A Store keeps the access keys of all accounts. Anyone with write access to its table and the key
// ring can make an administrator. A second table has the days of use; every verifier of keys may
// write it. A Store is safe for concurrent use. All its errors are *Error.
type Store struct {
	table table.Table
	uses  table.Table // nil: uses are not recorded
	ring  *seal.Ring
	now   func() time.Time

	mu    sync.Mutex
	cache map[string]cacheEntry
	used  map[string]use
}

type cacheEntry struct {
	key  *Key // nil: the key does not exist
	read time.Time
}

// New returns the store of the access keys in t, sealed with ring. The table uses has the days of
// use; nil means that uses are not recorded. A nil clock is time.Now. New does no I/O.
func New(t, uses table.Table, ring *seal.Ring, now func() time.Time) *Store {
	if now == nil {
		now = time.Now
	}
	return &Store{
		table: t,
		uses:  uses,
		ring:  ring,
		now:   now,
		cache: make(map[string]cacheEntry),
		used:  make(map[string]use),
	}
}

// record is an access key as it is stored: JSON, sealed as a whole. Without the key ring, a writer
// of the table can neither read a secret nor change a key's policies or account.
type record struct {
	Version     int              `json:"v"`
	ID          string           `json:"id"`
	Secret      string           `json:"secret"`
	Account     string           `json:"account"`
	Name        string           `json:"name"`
	Description string           `json:"description,omitempty"`
	Policies    []*policy.Policy `json:"policies"`
	Active      bool             `json:"active"`
	Revision    int64            `json:"revision"`
	Created     time.Time        `json:"created"`
	CreatedBy   string           `json:"createdBy,omitempty"`
	Expires     time.Time        `json:"expires,omitzero"`
}

// Find returns the key with the given id; it may be up to CacheAge old. The caller must check
// Active and Expired.
//
// Errors: KeyNotFound.
func (k *Store) Find(ctx context.Context, id string) (*Key, error) {
	now := k.now()
	k.mu.Lock()
	cached, ok := k.cache[id]
	k.mu.Unlock()
	if !ok || now.Sub(cached.read) >= CacheAge || now.Before(cached.read) {
		r, err := k.read(ctx, id)
		if err != nil {
			return nil, storeError(ctx, "find access key", err)
		}
		cached = cacheEntry{read: now}
		if r != nil {
			cached.key = r.key()
			cached.key.Secret = secret.Text(r.Secret)
		}
		k.remember(id, cached)
	}
	if cached.key == nil {
		return nil, notFound(id)
	}
	return cached.key, nil
}

// remember caches an existing key. A missing key is not cached: it may be created at any moment,
// and invented ids must not displace real ones.
func (k *Store) remember(id string, c cacheEntry) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if c.key == nil {
		delete(k.cache, id)
		return
	}
	keep(k.cache, id, c)
}

// Create stores a new key for the account. Without ID and Secret it draws both. It returns the key
// with its secret, which no other method returns.
//
// Errors: MissingParameter, InvalidParameter, AlreadyExists.
func (k *Store) Create(ctx context.Context, key Key) (*Key, error) {
	if key.ID == "" && key.Secret == "" {
		var err error
		if key.ID, key.Secret, err = Draw(rand.Reader); err != nil {
			return nil, err
		}
	}
	if err := key.Check(); err != nil {
		return nil, err
	}
	now := k.now().UTC()
	if err := checkExpires(key.Expires, now); err != nil {
		return nil, err
	}
	key.Active, key.Created, key.Expires = true, now.Truncate(time.Millisecond), key.Expires.UTC()
	err := k.write(ctx, &record{
		Version:     RecordVersion,
		ID:          key.ID,
		Secret:      key.Secret.Reveal(),
		Account:     key.Account,
		Name:        key.Name,
		Description: key.Description,
		Policies:    key.Policies,
		Active:      true,
		Revision:    1,
		Created:     key.Created,
		CreatedBy:   key.CreatedBy,
		Expires:     key.Expires,
	}, table.Absent())
	var broken *table.ConditionError
	if errors.As(err, &broken) {
		return nil, &fault.Error{Code: fault.AlreadyExists, Param: "AccessKeyId",
			Message: fmt.Sprintf("Access key %s already exists.", fault.Quote(key.ID))}
	}
	if err != nil {
		return nil, storeError(ctx, "create access key", err)
	}
	return &key, nil
}

// RecordVersion is the only version of stored records that this code writes and reads.
const RecordVersion = 1

// storeError turns an error of the table into one for the caller.
func storeError(ctx context.Context, what string, err error) error {
	return fault.Wrap(ctx, "accesskey: "+what, err)
}

// keep puts a value into a map of at most cacheSize, and drops any other to make room.
func keep[V any](in map[string]V, id string, value V) {
	if _, ok := in[id]; !ok && len(in) >= cacheSize {
		for other := range in {
			delete(in, other)
			break
		}
	}
	in[id] = value
}

// Draw returns a new id, CCK and 20 random letters and digits, and a secret of 40.
// random is crypto/rand.Reader, except in tests.
func Draw(random io.Reader) (id string, hidden secret.Text, err error) {
	var b [2][32]byte
	for i := range b {
		if _, err := io.ReadFull(random, b[i][:]); err != nil {
			return "", "", storeError(context.Background(), "draw access key", err)
		}
	}
	return "CCK" + secret.Alphanumeric(b[0][:], 20), secret.Text(secret.Alphanumeric(b[1][:], 40)), nil
}

// idBytes are the characters of an id.
const idBytes = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."

// fits reports whether text has at most n characters and no control character.
func fits(text string, n int) bool {
	return utf8.RuneCountInString(text) <= n && !strings.ContainsFunc(text,
		func(r rune) bool { return r < ' ' || r == 0x7f })
}

// Check returns an error unless Create would accept the key.
func (key Key) Check() error {
	switch {
	case key.ID == "" || len(key.ID) > 128 || strings.Trim(key.ID, idBytes) != "":
		return fault.Invalid("AccessKeyId",
			"AccessKeyId %s is invalid; use 1 to 128 letters, digits, '.', '-' and '_'.",
			fault.Quote(key.ID))
	case len(key.Secret) < 8 || len(key.Secret) > 256:
		return fault.Invalid("AccessKeySecret", "AccessKeySecret has %d bytes; use 8 to 256.", len(key.Secret))
	case !ValidAccount(key.Account):
		return fault.Invalid("AccountId", "AccountId %s is invalid; use 1 to 32 digits.", fault.Quote(key.Account))
	case key.Name == "" || !fits(key.Name, 128):
		return fault.Invalid("Name", "Name %s of an access key is invalid; use 1 to 128 characters.",
			fault.Quote(key.Name))
	case key.Description != "" && !fits(key.Description, maxDescription):
		return fault.Invalid("Description", "Description %s is invalid; use at most %d characters and no control "+
			"characters.", fault.Quote(key.Description), maxDescription)
	case len(key.Policies) == 0:
		return fault.Missing("Policy")
	}
	return nil
}

// checkExpires returns an error for a date that has passed.
func checkExpires(expires, now time.Time) error {
	if !expires.IsZero() && !expires.After(now) {
		return fault.Invalid("ExpireDate", "ExpireDate %s has passed; write a later date such as %s.",
			expires.UTC().Format(time.RFC3339), now.AddDate(0, 1, 0).Format(time.RFC3339))
	}
	return nil
}

// ValidAccount reports whether id has the form of an account id.
func ValidAccount(id string) bool {
	return id != "" && len(id) <= 32 && strings.Trim(id, "0123456789") == ""
}

// List returns all keys without their secrets, in the order of their ids.
func (k *Store) List(ctx context.Context) ([]*Key, error) {
	var keys []*Key
	after := ""
	for {
		found, last, err := k.Page(ctx, after, table.MaxGet)
		if err != nil {
			return nil, storeError(ctx, "list access keys", err)
		}
		keys = append(keys, found...)
		if last == "" {
			return keys, nil
		}
		after = last
	}
}

// Page returns up to n keys without their secrets, whose sort keys are greater than after. last is
// the sort key to continue after; it is empty at the end.
func (k *Store) Page(ctx context.Context, after string, n int) (keys []*Key, last string, err error) {
	items, err := k.table.Query(ctx, table.Range{Partition: partition, Prefix: prefix, After: after, Limit: n})
	if err != nil {
		return nil, "", err
	}
	for _, item := range items {
		r, err := k.decode(item)
		if err != nil {
			return nil, "", err
		}
		keys = append(keys, r.key())
		last = item.Sort
	}
	if len(items) < n {
		last = ""
	}
	return keys, last, nil
}

// A Change is a change of an access key. A nil field stays as it is.
type Change struct {
	Active      *bool
	Policies    []*policy.Policy
	Expires     *time.Time // zero: never
	Description *string
}

// Update changes a key and returns it without its secret. The key must belong to account, unless
// account is empty. Other processes see the change within CacheAge.
//
// Errors: AccessKeyNotFound, InvalidParameter, Conflict.
func (k *Store) Update(ctx context.Context, account, id string, change Change) (*Key, error) {
	var after *Key
	err := k.edit(ctx, account, id, func(r *record) error {
		before := r.Revision
		if change.Active != nil {
			r.Active = *change.Active
		}
		if change.Policies != nil {
			r.Policies = change.Policies
		}
		if change.Expires != nil {
			if err := checkExpires(*change.Expires, k.now().UTC()); err != nil {
				return err
			}
			r.Expires = change.Expires.UTC()
		}
		if change.Description != nil {
			r.Description = *change.Description
		}
		after = r.key()
		after.Secret = secret.Text(r.Secret)
		if err := after.Check(); err != nil {
			return err
		}
		after.Secret = ""
		r.Revision++
		return k.write(ctx, r, table.AtRevision(before))
	})
	if err != nil {
		return nil, err
	}
	return after, nil
}

// Delete removes a key for good. account is as in Update. Other processes see the change within
// CacheAge.
//
// Errors: AccessKeyNotFound, Conflict.
func (k *Store) Delete(ctx context.Context, account, id string) error {
	return k.edit(ctx, account, id, func(r *record) error {
		return k.table.Write(ctx, partition, table.Change{
			Deletes: []table.Delete{{Sort: prefix + table.Escape(id), If: table.AtRevision(r.Revision)}},
		})
	})
}

func (k *Store) edit(ctx context.Context, account, id string, do func(*record) error) error {
	r, err := k.read(ctx, id)
	if err == nil && (r == nil || account != "" && r.Account != account) {
		return &fault.Error{Code: fault.AccessKeyNotFound, Param: "UserAccessKeyId",
			Message: fmt.Sprintf("There is no access key %s.", fault.Quote(id))}
	}
	if err == nil {
		err = do(r)
	}
	k.mu.Lock()
	delete(k.cache, id) // also after an error: the change may have been made
	k.mu.Unlock()
	var broken *table.ConditionError
	if errors.As(err, &broken) {
		return &fault.Error{Code: fault.Conflict, Param: "UserAccessKeyId",
			Message: fmt.Sprintf("Another caller changed access key %s at the same time. Try again.", fault.Quote(id))}
	}
	if err != nil {
		return storeError(ctx, "change access key", err)
	}
	return nil
}

// read returns the stored key; nil if it does not exist.
func (k *Store) read(ctx context.Context, id string) (*record, error) {
	if id == "" || len(id) > 128 {
		return nil, nil
	}
	items, err := k.table.Get(ctx, table.Key{Partition: partition, Sort: prefix + table.Escape(id)})
	if err != nil || len(items) == 0 {
		return nil, err
	}
	return k.decode(items[0])
}

func (k *Store) write(ctx context.Context, r *record, condition table.Condition) error {
	text, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("accesskey: encode access key: %w", err)
	}
	value, err := k.ring.Seal(place(r.ID), text)
	if err != nil {
		return fmt.Errorf("accesskey: seal access key: %w", err)
	}
	return k.table.Write(ctx, partition, table.Change{
		Puts: []table.Put{{Sort: prefix + table.Escape(r.ID), Value: value, Revision: r.Revision, If: condition}},
	})
}

// decode opens the record of an item, and refuses a record that belongs to another key.
func (k *Store) decode(item table.Item) (*record, error) {
	id, err := table.Unescape(strings.TrimPrefix(item.Sort, prefix))
	if err != nil {
		return nil, fmt.Errorf("accesskey: item %q: %w", item.Sort, err)
	}
	text, err := k.ring.Open(place(id), item.Value)
	if err != nil {
		return nil, fmt.Errorf("accesskey: open access key %q: %w", id, err)
	}
	r := new(record)
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("accesskey: access key %q is not a record", id) // err may quote the text
	}
	if r.Version != RecordVersion || r.ID != id || r.Revision != item.Revision {
		return nil, fmt.Errorf("accesskey: item %q at revision %d holds the access key %q, version %d, revision %d",
			item.Sort, item.Revision, r.ID, r.Version, r.Revision)
	}
	return r, nil
}

// key returns the Key without its secret.
func (r *record) key() *Key {
	return &Key{
		ID:          r.ID,
		Account:     r.Account,
		Name:        r.Name,
		Description: r.Description,
		Policies:    r.Policies,
		Active:      r.Active,
		Created:     r.Created,
		CreatedBy:   r.CreatedBy,
		Expires:     r.Expires,
	}
}

func place(id string) seal.Place {
	return seal.Place{Account: partition, Region: partition, Name: id, Field: field}
}

func notFound(id string) error {
	return &fault.Error{Code: fault.KeyNotFound, Param: "AccessKeyId",
		Message: fmt.Sprintf("There is no access key %s.", fault.Quote(id))}
}

package chat

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

	"chatconf/shared/policy"
	"chatconf/shared/seal"
	"chatconf/shared/table"
)

const (
	keyPartition = "keys"
	keyPrefix    = "k#"
	keyField     = "AccessKey"

	// keyAge is how long a process believes what it read of an access key: a key disabled anywhere stops working everywhere within it.
	keyAge = 60 * time.Second
	// keyCacheSize bounds the cache; beyond it, any entry may go.
	keyCacheSize = 10_000
)

// An AccessKey is what a caller signs with.
type AccessKey struct {
	ID       string
	Secret   Secret // empty in a list
	Account  string // whose configurations the caller works on
	Name     string // what people call the caller
	Policies []*policy.Policy
	Active   bool
	Created  time.Time
}

// Keys are the access keys of all accounts, in the same table as the configurations.
// Its methods may be called from many goroutines at once. Every error that a method returns is an *Error.
type Keys struct {
	table  table.Table
	ring   *seal.Ring
	now    func() time.Time
	random io.Reader

	mu    sync.Mutex
	cache map[string]cachedKey
}

type cachedKey struct {
	key  *AccessKey // nil: there is none
	read time.Time
}

// NewKeys returns the access keys in t, sealed with ring. A nil clock is time.Now. It does no input or output.
func NewKeys(t table.Table, ring *seal.Ring, now func() time.Time) *Keys {
	if now == nil {
		now = time.Now
	}
	return &Keys{table: t, ring: ring, now: now, random: rand.Reader, cache: make(map[string]cachedKey)}
}

// keyRecord is an access key as it is stored: JSON, sealed as a whole. Who can write to the table but has no key ring can neither read
// a secret nor give a key other policies or another account.
type keyRecord struct {
	Version  int              `json:"v"`
	ID       string           `json:"id"`
	Secret   string           `json:"secret"`
	Account  string           `json:"account"`
	Name     string           `json:"name"`
	Policies []*policy.Policy `json:"policies"`
	Active   bool             `json:"active"`
	Revision int64            `json:"revision"`
	Created  time.Time        `json:"created"`
}

// Find returns the key with the given id; it may be as it was up to a minute ago. Whoever calls it must look at Active.
//
// Errors: KeyNotFound.
func (k *Keys) Find(ctx context.Context, id string) (*AccessKey, error) {
	now := k.now()
	k.mu.Lock()
	cached, ok := k.cache[id]
	k.mu.Unlock()
	if !ok || now.Sub(cached.read) >= keyAge || now.Before(cached.read) {
		r, err := k.read(ctx, id)
		if err != nil {
			return nil, storeError(ctx, "find access key", err)
		}
		cached = cachedKey{read: now}
		if r != nil {
			cached.key = r.key()
			cached.key.Secret = Secret(r.Secret)
		}
		k.remember(id, cached)
	}
	if cached.key == nil {
		return nil, keyNotFound(id)
	}
	return cached.key, nil
}

// remember keeps a key that was found. One that was not is not kept: it may be made the next moment, and inventing ids must not push out real ones.
func (k *Keys) remember(id string, c cachedKey) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if c.key == nil {
		delete(k.cache, id)
		return
	}
	keep(k.cache, keyCacheSize, id, c)
}

// keep puts a value into a map of at most so many. Where they are too many with it, any other goes.
func keep[K comparable, V any](in map[K]V, most int, key K, value V) {
	if _, ok := in[key]; !ok && len(in) >= most {
		for other := range in {
			delete(in, other)
			break
		}
	}
	in[key] = value
}

// Create stores a new key for the account. A key without ID and Secret is drawn. It returns the key with its secret, which is shown only here.
//
// Errors: MissingParameter, InvalidParameter, AlreadyExists.
func (k *Keys) Create(ctx context.Context, key AccessKey) (*AccessKey, error) {
	if key.ID == "" && key.Secret == "" {
		var err error
		if key.ID, key.Secret, err = drawAccessKey(k.random); err != nil {
			return nil, err
		}
	}
	if err := key.Check(); err != nil {
		return nil, err
	}
	key.Active, key.Created = true, k.now().UTC().Truncate(time.Millisecond)
	err := k.write(ctx, &keyRecord{
		Version:  recordVersion,
		ID:       key.ID,
		Secret:   key.Secret.Reveal(),
		Account:  key.Account,
		Name:     key.Name,
		Policies: key.Policies,
		Active:   true,
		Revision: 1,
		Created:  key.Created,
	}, table.Absent())
	var broken *table.ConditionError
	if errors.As(err, &broken) {
		return nil, &Error{Code: AlreadyExists, Param: "AccessKeyId", Message: fmt.Sprintf("There is an access key %s already.", quote(key.ID))}
	}
	if err != nil {
		return nil, storeError(ctx, "create access key", err)
	}
	return &key, nil
}

// DrawAccessKey returns a new id and secret: 23 and 40 random letters and digits, of which the id's first three are fixed.
func DrawAccessKey() (id string, secret Secret, err error) { return drawAccessKey(rand.Reader) }

func drawAccessKey(random io.Reader) (id string, secret Secret, err error) {
	var b [2][32]byte
	for i := range b {
		if _, err := io.ReadFull(random, b[i][:]); err != nil {
			return "", "", storeError(context.Background(), "draw access key", err)
		}
	}
	return "CCK" + makeAlphanumeric(b[0][:], 20), Secret(makeAlphanumeric(b[1][:], 40)), nil
}

// Check returns an error unless Create would take the key.
func (key AccessKey) Check() error {
	switch {
	case key.ID == "" || len(key.ID) > 128 || !only(key.ID, func(b byte) bool { return nameByte(b) || b == '.' }):
		return invalid("AccessKeyId", "AccessKeyId %s is not one; wanted 1 to 128 letters, digits, '.', '-' and '_'.", quote(key.ID))
	case len(key.Secret) < 8 || len(key.Secret) > 256:
		return invalid("AccessKeySecret", "AccessKeySecret has %d bytes; wanted 8 to 256.", len(key.Secret))
	case !validAccount(key.Account):
		return invalid("AccountId", "AccountId %s is none; wanted 1 to 32 digits.", quote(key.Account))
	case key.Name == "" || !Text(128).Fits(key.Name):
		return invalid("Name", "Name %s of an access key: wanted 1 to 128 characters.", quote(key.Name))
	case len(key.Policies) == 0:
		return missing("Policy")
	}
	return nil
}

func validAccount(id string) bool {
	return id != "" && len(id) <= 32 && only(id, func(b byte) bool { return '0' <= b && b <= '9' })
}

// List returns all keys without their secrets, in the order of their ids. It opens each of them.
func (k *Keys) List(ctx context.Context) ([]*AccessKey, error) {
	var keys []*AccessKey
	after := ""
	for {
		items, err := k.table.Query(ctx, table.Range{Partition: keyPartition, Prefix: keyPrefix, After: after, Limit: table.MaxGet})
		if err != nil {
			return nil, storeError(ctx, "list access keys", err)
		}
		for _, item := range items {
			r, err := k.decode(item)
			if err != nil {
				return nil, storeError(ctx, "list access keys", err)
			}
			keys = append(keys, r.key())
			after = item.Sort
		}
		if len(items) < table.MaxGet {
			return keys, nil
		}
	}
}

// SetActive turns a key on or off. Other processes learn of it within a minute.
//
// Errors: KeyNotFound, Conflict.
func (k *Keys) SetActive(ctx context.Context, id string, active bool) error {
	return k.edit(ctx, id, func(r *keyRecord) error {
		before := r.Revision
		r.Active = active
		r.Revision++
		return k.write(ctx, r, table.AtRevision(before))
	})
}

// Delete removes a key for good. Other processes learn of it within a minute.
//
// Errors: KeyNotFound, Conflict.
func (k *Keys) Delete(ctx context.Context, id string) error {
	return k.edit(ctx, id, func(r *keyRecord) error {
		return k.table.Write(ctx, keyPartition, table.Change{
			Deletes: []table.Delete{{Sort: keyPrefix + escape(id), If: table.AtRevision(r.Revision)}},
		})
	})
}

func (k *Keys) edit(ctx context.Context, id string, do func(*keyRecord) error) error {
	r, err := k.read(ctx, id)
	if err == nil && r == nil {
		return keyNotFound(id)
	}
	if err == nil {
		err = do(r)
	}
	var broken *table.ConditionError
	if errors.As(err, &broken) {
		return &Error{Code: Conflict, Param: "AccessKeyId", Message: fmt.Sprintf("Access key %s was changed by somebody else. Try again.", quote(id))}
	}
	if err != nil {
		return storeError(ctx, "change access key", err)
	}
	k.mu.Lock()
	delete(k.cache, id)
	k.mu.Unlock()
	return nil
}

// read returns the stored key; nil if there is none.
func (k *Keys) read(ctx context.Context, id string) (*keyRecord, error) {
	if id == "" || len(id) > 128 {
		return nil, nil
	}
	items, err := k.table.Get(ctx, table.Key{Partition: keyPartition, Sort: keyPrefix + escape(id)})
	if err != nil || len(items) == 0 {
		return nil, err
	}
	return k.decode(items[0])
}

func (k *Keys) write(ctx context.Context, r *keyRecord, condition table.Condition) error {
	text, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("chat: encode access key: %w", err)
	}
	value, err := k.ring.Seal(keyPlace(r.ID), text)
	if err != nil {
		return fmt.Errorf("chat: seal access key: %w", err)
	}
	return k.table.Write(ctx, keyPartition, table.Change{
		Puts: []table.Put{{Sort: keyPrefix + escape(r.ID), Value: value, Revision: r.Revision, If: condition}},
	})
}

// decode opens the record of an item, and refuses one that cannot be the item's.
func (k *Keys) decode(item table.Item) (*keyRecord, error) {
	id, err := unescape(strings.TrimPrefix(item.Sort, keyPrefix))
	if err != nil {
		return nil, fmt.Errorf("chat: item %q: %w", item.Sort, err)
	}
	text, err := k.ring.Open(keyPlace(id), item.Value)
	if err != nil {
		return nil, fmt.Errorf("chat: open access key %q: %w", id, err)
	}
	r := new(keyRecord)
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("chat: access key %q is no record", id) // err may quote the text
	}
	if r.Version != recordVersion || r.ID != id || r.Revision != item.Revision {
		return nil, fmt.Errorf("chat: item %q at revision %d holds the access key %q, version %d, revision %d", item.Sort, item.Revision, r.ID, r.Version, r.Revision)
	}
	return r, nil
}

// key returns the key without its secret.
func (r *keyRecord) key() *AccessKey {
	return &AccessKey{ID: r.ID, Account: r.Account, Name: r.Name, Policies: r.Policies, Active: r.Active, Created: r.Created}
}

func keyPlace(id string) seal.Place {
	return seal.Place{Account: keyPartition, Region: keyPartition, Name: id, Field: keyField}
}

func keyNotFound(id string) error {
	return &Error{Code: KeyNotFound, Param: "AccessKeyId", Message: fmt.Sprintf("There is no access key %s.", quote(id))}
}

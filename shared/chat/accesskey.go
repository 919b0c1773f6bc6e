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
	"unicode/utf8"

	"chatconf/shared/policy"
	"chatconf/shared/seal"
	"chatconf/shared/secret"
	"chatconf/shared/table"
)

const (
	keyPartition = "keys"
	keyPrefix    = "k#"
	keyField     = "AccessKey"

	// KeyAge is how long a process uses what it read of an access key. A key that is changed, disabled or deleted
	// anywhere is so everywhere within it. Expiry needs no reading, and is exact.
	KeyAge = 10 * time.Second
	// keyCacheSize bounds the cache; beyond it, any entry may go.
	keyCacheSize = 10_000
	// maxDescription is the length of a key's Description, in characters.
	maxDescription = 256
)

// An AccessKey is what a caller signs with.
type AccessKey struct {
	ID          string
	Secret      secret.Text // empty in a list
	Account     string      // whose configurations the caller works on
	Name        string      // what people call the caller
	Description string
	Policies    []*policy.Policy
	Active      bool
	Created     time.Time
	CreatedBy   string    // the access key id of the caller who made it; empty if the command-line tool did
	Expires     time.Time // the first moment at which it is no longer good; zero: never
}

// Expired reports whether the key is no longer good at the given time.
func (key *AccessKey) Expired(now time.Time) bool {
	return !key.Expires.IsZero() && !now.Before(key.Expires)
}

// Keys are the access keys of all accounts, in a table of their own: anyone who can write it, and has the key ring, can
// make an administrator. Beside it is a table of the days on which keys were used, which all who verify keys may write.
// Its methods may be called from many goroutines at once. Every error that a method returns is an *Error.
type Keys struct {
	table  table.Table
	uses   table.Table // nil: the use of keys is not noted
	ring   *seal.Ring
	now    func() time.Time
	random io.Reader

	mu    sync.Mutex
	cache map[string]cachedKey
	used  map[string]keyUse
}

type cachedKey struct {
	key  *AccessKey // nil: there is none
	read time.Time
}

// NewKeys returns the access keys in t, sealed with ring. The days on which they are used are kept in uses; nil: they are
// not. A nil clock is time.Now. It does no input or output.
func NewKeys(t, uses table.Table, ring *seal.Ring, now func() time.Time) *Keys {
	if now == nil {
		now = time.Now
	}
	return &Keys{
		table:  t,
		uses:   uses,
		ring:   ring,
		now:    now,
		random: rand.Reader,
		cache:  make(map[string]cachedKey),
		used:   make(map[string]keyUse),
	}
}

// keyRecord is an access key as it is stored: JSON, sealed as a whole. Who can write to the table but has no key ring can neither read
// a secret nor give a key other policies or another account.
type keyRecord struct {
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

// Find returns the key with the given id; it may be as it was up to KeyAge ago. The caller must look at Active and at
// Expired.
//
// Errors: KeyNotFound.
func (k *Keys) Find(ctx context.Context, id string) (*AccessKey, error) {
	now := k.now()
	k.mu.Lock()
	cached, ok := k.cache[id]
	k.mu.Unlock()
	if !ok || now.Sub(cached.read) >= KeyAge || now.Before(cached.read) {
		r, err := k.read(ctx, id)
		if err != nil {
			return nil, keyError(ctx, "find access key", err)
		}
		cached = cachedKey{read: now}
		if r != nil {
			cached.key = r.key()
			cached.key.Secret = secret.Text(r.Secret)
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
	keepKey(k.cache, id, c)
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
	now := k.now().UTC()
	if err := checkExpires(key.Expires, now); err != nil {
		return nil, err
	}
	key.Active, key.Created, key.Expires = true, now.Truncate(time.Millisecond), key.Expires.UTC()
	err := k.write(ctx, &keyRecord{
		Version:     keyVersion,
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
		return nil, &Error{Code: AlreadyExists, Param: "AccessKeyId", Message: fmt.Sprintf("There is an access key %s already.", quote(key.ID))}
	}
	if err != nil {
		return nil, keyError(ctx, "create access key", err)
	}
	return &key, nil
}

// Draw returns a new id and secret, from the store's own source of random bytes.
func (k *Keys) Draw() (string, secret.Text, error) { return drawAccessKey(k.random) }

// keyVersion is the version of the records that this code writes; it reads no other.
const keyVersion = 1

// keyError turns an error of the table into one for the caller.
func keyError(ctx context.Context, what string, err error) error {
	return Wrap(ctx, "accesskey: "+what, err)
}

// keepKey puts a value into a map of at most keyCacheSize. Where they are too many with it, any other goes.
func keepKey[V any](in map[string]V, id string, value V) {
	if _, ok := in[id]; !ok && len(in) >= keyCacheSize {
		for other := range in {
			delete(in, other)
			break
		}
	}
	in[id] = value
}

// DrawAccessKey returns a new id and secret: 23 and 40 random letters and digits, of which the id's first three are fixed.
func DrawAccessKey() (id string, secret secret.Text, err error) { return drawAccessKey(rand.Reader) }

func drawAccessKey(random io.Reader) (id string, hidden secret.Text, err error) {
	var b [2][32]byte
	for i := range b {
		if _, err := io.ReadFull(random, b[i][:]); err != nil {
			return "", "", keyError(context.Background(), "draw access key", err)
		}
	}
	return "CCK" + secret.Alphanumeric(b[0][:], 20), secret.Text(secret.Alphanumeric(b[1][:], 40)), nil
}

// idBytes are what an id is made of.
const idBytes = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."

// fits reports whether a text has at most n characters, and none that controls.
func fits(text string, n int) bool {
	return utf8.RuneCountInString(text) <= n && !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// Check returns an error unless Create would take the key.
func (key AccessKey) Check() error {
	switch {
	case key.ID == "" || len(key.ID) > 128 || strings.Trim(key.ID, idBytes) != "":
		return invalid("AccessKeyId", "AccessKeyId %s is not one; wanted 1 to 128 letters, digits, '.', '-' and '_'.", quote(key.ID))
	case len(key.Secret) < 8 || len(key.Secret) > 256:
		return invalid("AccessKeySecret", "AccessKeySecret has %d bytes; wanted 8 to 256.", len(key.Secret))
	case !validAccount(key.Account):
		return invalid("AccountId", "AccountId %s is none; wanted 1 to 32 digits.", quote(key.Account))
	case key.Name == "" || !fits(key.Name, 128):
		return invalid("Name", "Name %s of an access key: wanted 1 to 128 characters.", quote(key.Name))
	case key.Description != "" && !fits(key.Description, maxDescription):
		return invalid("Description", "Description %s is too long, or has control characters; the most is %d characters.",
			quote(key.Description), maxDescription)
	case len(key.Policies) == 0:
		return missing("Policy")
	}
	return nil
}

// checkExpires returns an error for a key that would be made expired.
func checkExpires(expires, now time.Time) error {
	if !expires.IsZero() && !expires.After(now) {
		return invalid("ExpireDate", "ExpireDate %s has passed; write a later date such as %s.",
			expires.UTC().Format(time.RFC3339), now.AddDate(0, 1, 0).Format(time.RFC3339))
	}
	return nil
}

// ValidAccount reports whether id has the form of an account id.
func validAccount(id string) bool {
	return id != "" && len(id) <= 32 && strings.Trim(id, "0123456789") == ""
}

// List returns all keys without their secrets, in the order of their ids. It opens each of them.
func (k *Keys) List(ctx context.Context) ([]*AccessKey, error) {
	var keys []*AccessKey
	after := ""
	for {
		found, last, err := k.page(ctx, after, table.MaxGet)
		if err != nil {
			return nil, keyError(ctx, "list access keys", err)
		}
		keys = append(keys, found...)
		if last == "" {
			return keys, nil
		}
		after = last
	}
}

// page returns up to n keys, without their secrets, whose sort keys are beyond after, and the sort key to go on after; it
// is empty at the end.
func (k *Keys) page(ctx context.Context, after string, n int) (keys []*AccessKey, last string, err error) {
	items, err := k.table.Query(ctx, table.Range{Partition: keyPartition, Prefix: keyPrefix, After: after, Limit: n})
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

// A KeyChange is what Update changes of an access key. What is nil stays as it is.
type KeyChange struct {
	Active      *bool
	Policies    []*policy.Policy
	Expires     *time.Time // zero: never
	Description *string
}

// Update changes a key and returns it without its secret. account is whose key it must be; empty is anybody's. Other
// processes learn of it within KeyAge.
//
// Errors: AccessKeyNotFound, InvalidParameter, Conflict.
func (k *Keys) Update(ctx context.Context, account, id string, change KeyChange) (*AccessKey, error) {
	var after *AccessKey
	err := k.edit(ctx, account, id, func(r *keyRecord) error {
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

// Delete removes a key for good. account is as in Update. Other processes learn of it within KeyAge.
//
// Errors: AccessKeyNotFound, Conflict.
func (k *Keys) Delete(ctx context.Context, account, id string) error {
	return k.edit(ctx, account, id, func(r *keyRecord) error {
		return k.table.Write(ctx, keyPartition, table.Change{
			Deletes: []table.Delete{{Sort: keyPrefix + escape(id), If: table.AtRevision(r.Revision)}},
		})
	})
}

func (k *Keys) edit(ctx context.Context, account, id string, do func(*keyRecord) error) error {
	r, err := k.read(ctx, id)
	if err == nil && (r == nil || account != "" && r.Account != account) {
		return &Error{Code: AccessKeyNotFound, Param: "UserAccessKeyId", Message: fmt.Sprintf("There is no access key %s.", quote(id))}
	}
	if err == nil {
		err = do(r)
	}
	k.mu.Lock()
	delete(k.cache, id) // even after an error: the change may have been made
	k.mu.Unlock()
	var broken *table.ConditionError
	if errors.As(err, &broken) {
		return &Error{Code: Conflict, Param: "UserAccessKeyId", Message: fmt.Sprintf("Access key %s was changed by another caller. Try again.", quote(id))}
	}
	if err != nil {
		return keyError(ctx, "change access key", err)
	}
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
		return fmt.Errorf("accesskey: encode access key: %w", err)
	}
	value, err := k.ring.Seal(keyPlace(r.ID), text)
	if err != nil {
		return fmt.Errorf("accesskey: seal access key: %w", err)
	}
	return k.table.Write(ctx, keyPartition, table.Change{
		Puts: []table.Put{{Sort: keyPrefix + escape(r.ID), Value: value, Revision: r.Revision, If: condition}},
	})
}

// decode opens the record of an item, and refuses one that cannot be the item's.
func (k *Keys) decode(item table.Item) (*keyRecord, error) {
	id, err := unescape(strings.TrimPrefix(item.Sort, keyPrefix))
	if err != nil {
		return nil, fmt.Errorf("accesskey: item %q: %w", item.Sort, err)
	}
	text, err := k.ring.Open(keyPlace(id), item.Value)
	if err != nil {
		return nil, fmt.Errorf("accesskey: open access key %q: %w", id, err)
	}
	r := new(keyRecord)
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("accesskey: access key %q is no record", id) // err may quote the text
	}
	if r.Version != keyVersion || r.ID != id || r.Revision != item.Revision {
		return nil, fmt.Errorf("accesskey: item %q at revision %d holds the access key %q, version %d, revision %d", item.Sort, item.Revision, r.ID, r.Version, r.Revision)
	}
	return r, nil
}

// key returns the key without its secret.
func (r *keyRecord) key() *AccessKey {
	return &AccessKey{
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

func keyPlace(id string) seal.Place {
	return seal.Place{Account: keyPartition, Region: keyPartition, Name: id, Field: keyField}
}

func keyNotFound(id string) error {
	return &Error{Code: KeyNotFound, Param: "AccessKeyId", Message: fmt.Sprintf("There is no access key %s.", quote(id))}
}

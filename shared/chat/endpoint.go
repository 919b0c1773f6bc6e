package chat

import (
	"bytes"
	"context"
	"crypto/subtle"
	"sync"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/document"
	"chatconf/shared/table"
)

// maxEndpoints is the maximum number of endpoints in the cache; beyond it, any may be dropped.
const maxEndpoints = 1000

// endpoints is a cache of parsed and unsealed records. The record is still read each time; the
// cached endpoint is used if the record has not changed. A request with a wrong token fills the
// cache too.
type endpoints struct {
	store     store
	vault     *vault
	platforms platforms

	mu    sync.Mutex
	cache map[command.Ref]madeEndpoint
}

func newEndpoints(s store, v *vault, ps platforms) *endpoints {
	return &endpoints{store: s, vault: v, platforms: ps, cache: make(map[command.Ref]madeEndpoint)}
}

type madeEndpoint struct {
	of     []byte    // the stored record
	until  time.Time // when it expires; zero if never
	tokens [][]byte  // of the webhook's URL: the present one, and the previous one while it is valid
	made   *command.Endpoint
}

// opens reports whether token is valid for the webhook.
func (m *madeEndpoint) opens(token string) bool {
	found := 0
	for _, good := range m.tokens {
		found |= subtle.ConstantTimeCompare(good, []byte(token))
	}
	return found == 1
}

// get reads a configuration and returns its endpoint, cached or new. Errors: NotFound.
func (e *endpoints) get(ctx context.Context, ref command.Ref) (*madeEndpoint, error) {
	ref = command.Ref{Account: ref.Account, Region: ref.Region, Name: ref.Name}
	c := scopeOf(ref)
	items, err := e.store.table.Get(ctx, table.Key{Partition: c.partition(), Sort: configurationKey(ref.Name)})
	if err != nil {
		return nil, err
	}
	if len(items) == 0 {
		return nil, notFound(ref.Name)
	}
	e.mu.Lock()
	known, ok := e.cache[ref]
	e.mu.Unlock()
	if ok && bytes.Equal(known.of, items[0].Value) && (known.until.IsZero() || e.vault.now().Before(known.until)) {
		return &known, nil
	}
	r, err := decodeRecord(items[0])
	if err != nil {
		return nil, err
	}
	known = madeEndpoint{of: items[0].Value}
	if known.made, err = e.make(c, r); err != nil {
		return nil, err
	}
	if known.tokens, err = e.vault.webhookTokens(c, r); err != nil {
		return nil, err
	}
	if r.Rotation.live(e.vault.now()) {
		known.until = r.Rotation.Until
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, ok := e.cache[ref]; !ok && len(e.cache) >= maxEndpoints {
		for other := range e.cache {
			delete(e.cache, other)
			break
		}
	}
	e.cache[ref] = known
	return &known, nil
}

// make returns the endpoint of a record.
func (e *endpoints) make(c scope, r *record) (*command.Endpoint, error) {
	p, err := e.platforms.of(r)
	if err != nil {
		return nil, err
	}
	return e.vault.endpoint(c, p, r)
}

// permissionsOf returns the permissions of a record; root is its parsed Configuration.
func permissionsOf(r *record, p *platform, root *document.Node) *command.Permissions {
	return command.NewPermissions(command.PermissionOptions{
		Name:      r.Name,
		Active:    r.Status == StatusActive,
		RamRole:   r.RamRole,
		FoldUsers: p.FoldUsers,
	}, root)
}

package chat

import (
	"bytes"
	"context"
	"crypto/subtle"
	"sync"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/document"
	"chatconf/shared/secret"
	"chatconf/shared/table"
)

// maxEndpoints is the maximum number of endpoints in the cache; beyond it, any may be dropped.
const maxEndpoints = 1000

// endpoints is a cache of parsed and unsealed records. The record is still read each time; the
// cached endpoint is used if the record has not changed. A request with a wrong token fills the
// cache too.
type endpoints struct {
	mu    sync.Mutex
	cache map[command.Ref]madeEndpoint
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

// endpoint reads a configuration and returns its endpoint, cached or new. Errors: NotFound.
func (s *Service) endpoint(ctx context.Context, ref command.Ref) (*madeEndpoint, error) {
	ref = command.Ref{Account: ref.Account, Region: ref.Region, Name: ref.Name}
	c := scopeOf(ref)
	items, err := s.table.Get(ctx, table.Key{Partition: c.partition(), Sort: configurationKey(ref.Name)})
	if err != nil {
		return nil, err
	}
	if len(items) == 0 {
		return nil, notFound(ref.Name)
	}
	s.endpoints.mu.Lock()
	known, ok := s.endpoints.cache[ref]
	s.endpoints.mu.Unlock()
	if ok && bytes.Equal(known.of, items[0].Value) && (known.until.IsZero() || s.now().Before(known.until)) {
		return &known, nil
	}
	r, err := decodeRecord(items[0])
	if err != nil {
		return nil, err
	}
	known = madeEndpoint{of: items[0].Value}
	if known.made, err = s.makeEndpoint(c, r); err != nil {
		return nil, err
	}
	if known.tokens, err = s.webhookTokens(c, r); err != nil {
		return nil, err
	}
	if r.Rotation.live(s.now()) {
		known.until = r.Rotation.Until
	}
	s.endpoints.mu.Lock()
	defer s.endpoints.mu.Unlock()
	if s.endpoints.cache == nil {
		s.endpoints.cache = make(map[command.Ref]madeEndpoint)
	}
	if _, ok := s.endpoints.cache[ref]; !ok && len(s.endpoints.cache) >= maxEndpoints {
		for other := range s.endpoints.cache {
			delete(s.endpoints.cache, other)
			break
		}
	}
	s.endpoints.cache[ref] = known
	return &known, nil
}

func (s *Service) makeEndpoint(c scope, r *record) (*command.Endpoint, error) {
	p, err := s.platformOf(r)
	if err != nil {
		return nil, err
	}
	root, err := r.parse()
	if err != nil {
		return nil, err
	}
	target, err := s.open(c, r, fieldTargetSecret)
	if err != nil {
		return nil, err
	}
	e := &command.Endpoint{
		Account:     c.account,
		Region:      c.region,
		Name:        r.Name,
		Type:        r.Type,
		Revision:    r.Revision,
		Life:        r.life(),
		Created:     r.Created,
		Active:      r.Status == StatusActive,
		Language:    root.TextOf(command.KeyLanguage, command.English),
		BotName:     root.TextOf(keyBotName, ""),
		RamRole:     r.RamRole,
		Settings:    make(map[string]secret.Text),
		Target:      command.NewTarget(root.Get(keyTarget), secret.Text(target)),
		Actions:     command.NewActions(root, nil),
		Permissions: permissionsOf(r, p, root),
	}
	if e.BotName != "" {
		e.Settings[keyBotName] = secret.Text(e.BotName)
	}
	for _, setting := range p.Settings {
		n := root.Get(setting.Key)
		switch {
		case n == nil:
			continue
		case !setting.Secret:
			e.Settings[setting.Key] = secret.Text(n.Text)
			continue
		}
		hidden, err := s.open(c, r, setting.Key)
		if err != nil {
			return nil, err
		}
		e.Settings[setting.Key] = secret.Text(hidden)
	}
	if !r.Rotation.live(s.now()) {
		return e, nil
	}
	for _, field := range r.Rotation.Fields {
		hidden, err := s.open(c, r, previousField(field))
		if err != nil {
			return nil, err
		}
		if field != fieldWebhookToken && len(hidden) > 0 {
			e.Settings[field+command.Previous] = secret.Text(hidden)
		}
	}
	return e, nil
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

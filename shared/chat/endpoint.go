package chat

import (
	"bytes"
	"context"
	"crypto/subtle"
	"errors"
	"sync"
	"time"

	"chatconf/shared/accesskey"
	"chatconf/shared/command"
	"chatconf/shared/document"
	"chatconf/shared/fault"
	"chatconf/shared/secret"
	"chatconf/shared/table"
)

// ErrNoWebhook is the error of OpenWebhook for an unknown configuration or a wrong token. It is
// wrapped in an *Unproven with the reason, for log and health only.
var ErrNoWebhook = errors.New("chat: no such webhook")

// Unproven is an ErrNoWebhook with its reason. The client gets the same answer for every reason.
type Unproven struct {
	Reason string      // "there is no such configuration" or "the token is wrong"
	Of     command.Ref // the configuration, if only the token is wrong
}

// Error returns the reason.
func (e *Unproven) Error() string { return ErrNoWebhook.Error() + ": " + e.Reason }

// Unwrap returns ErrNoWebhook.
func (e *Unproven) Unwrap() error { return ErrNoWebhook }

// OpenWebhook returns the configuration of a webhook's URL. It costs one Get, or none for a
// malformed URL. The token, 128 random bits, is compared in constant time. After a rotation, the
// previous token is valid during the grace time.
//
// The error for an unknown URL is an *Unproven, which wraps ErrNoWebhook. Its time may reveal
// whether a configuration exists, since names are not secret. Other errors are of type
// *fault.Error.
func (s *Service) OpenWebhook(ctx context.Context, account, region, name, token string) (*command.Endpoint, error) {
	unknown := &Unproven{Reason: "there is no such configuration"}
	if !accesskey.ValidAccount(account) || !validRegion(region) || checkName(name) != nil {
		return nil, unknown
	}
	known, err := s.endpoints.get(ctx, command.Ref{Account: account, Region: region, Name: name})
	switch {
	case fault.CodeOf(err) == fault.NotFound:
		return nil, unknown
	case err != nil:
		return nil, storeError(ctx, "open webhook", err)
	case !known.opens(token):
		return nil, &Unproven{Reason: "the token is wrong", Of: known.made.Ref()}
	}
	return known.made, nil
}

// OpenConfiguration returns a configuration to a trusted caller, such as the function that
// dispatches commands. It costs one Get.
//
// Errors: NotFound.
func (s *Service) OpenConfiguration(ctx context.Context, ref command.Ref) (*command.Endpoint, error) {
	known, err := s.endpoints.get(ctx, ref)
	if err != nil {
		return nil, storeError(ctx, "open configuration", err)
	}
	return known.made, nil
}

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
	secret.Hidden
	of     []byte        // the stored record
	until  time.Time     // when it expires; zero if never
	tokens []secret.Text // of the webhook's URL: the present one, and the previous one while it is valid
	made   *command.Endpoint
}

// opens reports whether token is valid for the webhook.
func (m *madeEndpoint) opens(token string) bool {
	found := 0
	for _, good := range m.tokens {
		found |= subtle.ConstantTimeCompare([]byte(good), []byte(token))
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
	for field, until := range r.Previous {
		if r.hasPrevious(field, e.vault.now()) && (known.until.IsZero() || until.Before(known.until)) {
			known.until = until
		}
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

// make returns the endpoint of a record, with its secrets.
func (e *endpoints) make(c scope, r *record) (*command.Endpoint, error) {
	p, err := e.platforms.of(r)
	if err != nil {
		return nil, err
	}
	root, err := r.parse()
	if err != nil {
		return nil, err
	}
	signing := make(map[string][]secret.Text) // by field
	for _, field := range targetSecrets(root) {
		if signing[field], err = e.vault.valid(c, r, field); err != nil {
			return nil, err
		}
	}
	out := &command.Endpoint{
		Account:  c.account,
		Region:   c.region,
		Name:     r.Name,
		Type:     r.Type,
		Revision: r.Revision,
		Life:     r.life(),
		Created:  r.Created,
		Active:   r.Status == StatusActive,
		Receive:  command.ReceiveOf(root),
		Language: root.TextOf(command.KeyLanguage, command.English),
		BotName:  root.TextOf(keyBotName, ""),
		RamRole:  r.RamRole,
		Settings: make(map[string]secret.Text),
		Target:   command.NewTarget(root.Get(keyTarget), signing[fieldTargetSecret]...),
		Actions: command.NewActions(root, func(action string) []secret.Text {
			return signing[actionSecretField(action)]
		}),
		Permissions: permissionsOf(r, p, root),
	}
	if out.BotName != "" {
		out.Settings[keyBotName] = secret.Text(out.BotName)
	}
	if out.Receive != command.ReceiveWebhook {
		out.Settings[command.KeyReceive] = secret.Text(out.Receive)
	}
	for _, setting := range p.Settings {
		n := root.Get(setting.Key)
		switch {
		case n == nil:
			continue
		case !setting.Secret:
			out.Settings[setting.Key] = secret.Text(n.Text)
			continue
		}
		valid, err := e.vault.valid(c, r, setting.Key)
		if err != nil {
			return nil, err
		}
		for i, hidden := range valid {
			out.Settings[setting.Key+[...]string{"", command.Previous}[i]] = hidden
		}
	}
	return out, nil
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

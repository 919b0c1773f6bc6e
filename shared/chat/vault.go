package chat

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/fault"
	"chatconf/shared/seal"
	"chatconf/shared/secret"
)

// A vault seals the secrets of records, opens them and replaces them.
type vault struct {
	ring      *seal.Ring
	digestKey []byte    // of digests of secrets
	random    io.Reader // of webhook tokens and generated secrets
	now       func() time.Time
}

func newVault(ring *seal.Ring, random io.Reader, now func() time.Time) *vault {
	return &vault{ring: ring, digestKey: ring.Derive("secret digest")[0], random: random, now: now}
}

// seal puts the secrets of a settled Configuration, sealed, into the record. It copies those that
// the request keeps from before, or sends again unchanged, and drops the rest. before is nil for a
// new configuration.
func (v *vault) seal(c scope, r, before *record, in *settled) error {
	r.Secrets = make(map[string][]byte, len(in.secrets)+len(in.kept)+1)
	r.Set = make(map[string]set, len(in.secrets)+len(in.kept)+1)
	r.Previous, r.Generated = nil, slices.Clone(in.made)
	for field, secret := range in.secrets {
		if before != nil && v.holds(c, before, field, secret) {
			r.keep(before, field)
		} else if err := v.put(c, r, field, secret); err != nil {
			return err
		}
	}
	for _, field := range in.kept {
		r.keep(before, field)
		if slices.Contains(before.Generated, field) {
			r.Generated = append(r.Generated, field)
		}
	}
	slices.Sort(r.Generated)
	if before != nil {
		r.keep(before, fieldWebhookToken)
		r.keepPrevious(before)
		return nil
	}
	token, err := v.newWebhookToken()
	if err != nil {
		return err
	}
	return v.put(c, r, fieldWebhookToken, token)
}

// holds reports whether a secret is the present value of a field.
func (v *vault) holds(c scope, r *record, field, secret string) bool {
	present, err := v.open(c, r, field)
	return err == nil && subtle.ConstantTimeCompare(present, []byte(secret)) == 1
}

// put sets a field of a record to a new secret.
func (v *vault) put(c scope, r *record, field, secret string) error {
	sealed, err := v.sealOne(c, r.Name, field, secret)
	if err != nil {
		return err
	}
	if r.Set == nil { // in a record from before these were kept
		r.Set = make(map[string]set)
	}
	r.Secrets[field] = sealed
	r.Set[field] = set{Since: v.now().UTC().Truncate(time.Second), Digest: v.digest(c, r.Name, field, secret)}
	return nil
}

// keep copies the secret of a field from the record before.
func (r *record) keep(before *record, field string) {
	r.Secrets[field] = before.Secrets[field]
	if s, ok := before.Set[field]; ok {
		r.Set[field] = s
	}
}

// keepPrevious copies the previous values from the record before. That of a field ends with the
// field, and if the Configuration itself now names one.
func (r *record) keepPrevious(before *record) {
	for field, until := range before.Previous {
		_, there := r.Secrets[field]
		if _, named := r.Secrets[field+command.Previous]; !there || named {
			continue
		}
		if r.Previous == nil {
			r.Previous = make(map[string]time.Time)
		}
		r.Previous[field] = until
		r.Secrets[previousField(field)] = before.Secrets[previousField(field)]
	}
}

// refresh is part of every write of a record. It drops the previous secrets that are no longer
// valid, seals again what an older key of the ring has sealed, and adds the digests that a record
// from before these were kept has not. A secret that does not open stays as it is, so that its
// configuration can still be changed.
func (v *vault) refresh(c scope, r *record) error {
	for field := range r.Previous {
		if !r.hasPrevious(field, v.now()) {
			r.dropPreviousOf(field)
		}
	}
	for field, sealed := range r.Secrets {
		_, known := r.Set[field]
		known = known || r.isPrevious(field)
		if id, err := seal.KeyID(sealed); known && (err != nil || id == v.ring.Current()) {
			continue
		}
		secret, err := v.open(c, r, field)
		if err != nil {
			continue
		}
		if r.Secrets[field], err = v.sealOne(c, r.Name, field, string(secret)); err != nil {
			return err
		}
		if known {
			continue
		}
		if r.Set == nil {
			r.Set = make(map[string]set)
		}
		r.Set[field] = set{Digest: v.digest(c, r.Name, field, string(secret))}
	}
	return nil
}

// dropPreviousOf drops the previous value of a field.
func (r *record) dropPreviousOf(field string) {
	delete(r.Previous, field)
	delete(r.Secrets, previousField(field))
}

// isPrevious reports whether a field of Secrets holds a previous value that the service keeps.
func (r *record) isPrevious(field string) bool {
	return field != fieldWebhookToken && strings.HasPrefix(field, managedPrefix)
}

// digest returns a keyed digest of a secret at its place: 16 hexadecimal digits that reveal nothing
// of it.
func (v *vault) digest(c scope, name, field, secret string) string {
	mac := hmac.New(sha256.New, v.digestKey)
	for _, text := range [...]string{c.account, c.region, name, field, secret} {
		mac.Write(binary.BigEndian.AppendUint32(nil, uint32(len(text))))
		mac.Write([]byte(text))
	}
	return hex.EncodeToString(mac.Sum(nil)[:8])
}

// withDigests returns two records, either of which may be nil, with the digests of all secrets that
// open. The present key of the ring makes the missing ones, unless the other record has a digest of
// the same secret.
func (v *vault) withDigests(c scope, a, b *record) (*record, *record) {
	lacks := func(r *record, field string) bool {
		_, there := r.Secrets[field]
		_, known := r.Set[field]
		return there && !known && !r.isPrevious(field)
	}
	fill := func(r, other *record) *record {
		out := r
		for field := range r.Secrets {
			if !lacks(r, field) {
				continue
			}
			secret, err := v.open(c, r, field)
			if err != nil {
				continue
			}
			s := set{Digest: v.digest(c, r.Name, field, string(secret))}
			if other != nil && v.holds(c, other, field, string(secret)) && !lacks(other, field) {
				s.Digest = other.Set[field].Digest
			}
			if out == r {
				if out = r.clone(); out.Set == nil {
					out.Set = make(map[string]set)
				}
			}
			out.Set[field] = s
		}
		return out
	}
	first, second := a, b
	if a != nil {
		first = fill(a, b)
	}
	if b != nil {
		second = fill(b, a)
	}
	return first, second
}

// sealOne seals the secret of a field.
func (v *vault) sealOne(c scope, name, field, secret string) ([]byte, error) {
	sealed, err := v.ring.Seal(c.place(name, field), []byte(secret))
	if err != nil {
		return nil, fmt.Errorf("chat: seal %s: %w", field, err)
	}
	return sealed, nil
}

// newWebhookToken makes the secret part of a webhook URL: 128 random bits in base64url.
func (v *vault) newWebhookToken() (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(v.random, b[:]); err != nil {
		return "", fmt.Errorf("chat: make webhook token: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b[:]), nil
}

// open returns the secret of a field; nil if none.
func (v *vault) open(c scope, r *record, field string) ([]byte, error) {
	sealed, ok := r.Secrets[field]
	if !ok {
		return nil, nil
	}
	secret, err := v.ring.Open(c.place(r.Name, field), sealed)
	if err != nil {
		return nil, fmt.Errorf("chat: open %s of %q: %w", field, r.Name, err)
	}
	return secret, nil
}

// rotate returns the next revision of a configuration, with a new webhook token and new values of
// the generated secrets in Outputs. The present values stay valid until the given time.
func (v *vault) rotate(c scope, p *platform, before *record, until time.Time) (*record, error) {
	after := before.clone()
	after.advance(v.now())
	token, err := v.newWebhookToken()
	if err != nil {
		return nil, err
	}
	if err := v.replace(c, after, before, fieldWebhookToken, token, until); err != nil {
		return nil, err
	}
	if err := after.dropPrevious(p, generated); err != nil {
		return nil, err
	}
	for _, setting := range p.Settings {
		if _, ok := before.Secrets[setting.Key]; !ok || !generated(setting) {
			continue
		}
		made, err := v.generate(after, setting.Key, setting.Shape)
		if err != nil {
			return nil, err
		}
		if err := v.replace(c, after, before, setting.Key, made, until); err != nil {
			return nil, err
		}
	}
	return after, nil
}

// rotateSecret returns the next revision of a configuration, with a new secret in one place. The
// service makes it if value is empty. The present one stays valid until the given time, if the
// other side has it, too.
func (v *vault) rotateSecret(c scope, p *platform, before *record, k secretKey, value string,
	until time.Time) (*record, error) {
	after := before.clone()
	after.advance(v.now())
	if value == "" {
		var err error
		if value, err = v.generate(after, k.field, k.shape); err != nil {
			return nil, err
		}
	} else {
		after.Generated = slices.DeleteFunc(after.Generated, func(field string) bool { return field == k.field })
	}
	if !k.grace {
		until = v.now()
	}
	if err := v.replace(c, after, before, k.field, value, until); err != nil {
		return nil, err
	}
	return after, after.dropPrevious(p, func(s command.Setting) bool { return s.Key == k.field })
}

// generate makes a secret for a field of a record, and notes that the service made it.
func (v *vault) generate(r *record, field string, shape command.Shape) (string, error) {
	var b [32]byte
	if _, err := io.ReadFull(v.random, b[:]); err != nil {
		return "", fmt.Errorf("chat: make %s: %w", field, err)
	}
	if !slices.Contains(r.Generated, field) {
		r.Generated = append(r.Generated, field)
		slices.Sort(r.Generated)
	}
	return shape.Make(b[:]), nil
}

// graceEnd returns when a grace time that begins now ends.
func (v *vault) graceEnd(grace time.Duration) time.Time {
	return v.now().UTC().Truncate(time.Millisecond).Add(grace)
}

// replace sets a new secret in a field of after. That of before becomes the field's previous value
// until the given time. It is sealed again, since a sealed value opens only under its own field.
func (v *vault) replace(c scope, after, before *record, field, secret string, until time.Time) error {
	after.dropPreviousOf(field)
	if v.now().Before(until) {
		old, err := v.open(c, before, field)
		if errors.Is(err, seal.ErrUnknownKey) {
			return fault.Invalid("GraceSeconds", "The present value cannot stay valid, because it is sealed under a "+
				"key that is no longer in the key ring; use 0.")
		}
		if err != nil {
			return err
		}
		if after.Previous == nil {
			after.Previous = make(map[string]time.Time)
		}
		after.Previous[field] = until
		after.Secrets[previousField(field)], err = v.sealOne(c, before.Name, previousField(field), string(old))
		if err != nil {
			return err
		}
	}
	return v.put(c, after, field, secret)
}

// valid returns the valid secrets of a field: the present one, and the previous one while it is
// valid.
func (v *vault) valid(c scope, r *record, field string) ([]secret.Text, error) {
	present, err := v.open(c, r, field)
	if err != nil {
		return nil, err
	}
	out := []secret.Text{secret.Text(present)}
	if r.hasPrevious(field, v.now()) {
		previous, err := v.open(c, r, previousField(field))
		if err != nil {
			return nil, err
		}
		if len(previous) > 0 {
			out = append(out, secret.Text(previous))
		}
	}
	return out, nil
}

// webhookTokens returns the valid tokens of a configuration's webhook, the present one first.
func (v *vault) webhookTokens(c scope, r *record) ([]secret.Text, error) {
	tokens, err := v.valid(c, r, fieldWebhookToken)
	if err != nil {
		return nil, err
	}
	if tokens[0] == "" {
		return nil, fmt.Errorf("chat: %q has no webhook token", r.Name)
	}
	return tokens, nil
}

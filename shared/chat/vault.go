package chat

import (
	"encoding/base64"
	"fmt"
	"io"
	"slices"
	"time"

	"chatconf/shared/seal"
)

// A vault seals the secrets of records, opens them and replaces them.
type vault struct {
	ring   *seal.Ring
	random io.Reader // of webhook tokens and generated secrets
	now    func() time.Time
}

// seal puts the new secrets, sealed, into the record. It copies those that the request keeps from
// before, and drops the rest. before is nil for a new configuration.
func (v *vault) seal(c scope, r, before *record, in *settled) error {
	var err error
	secrets := make(map[string][]byte, len(in.secrets)+len(in.kept)+1)
	for field, secret := range in.secrets {
		if secrets[field], err = v.sealOne(c, r.Name, field, secret); err != nil {
			return err
		}
	}
	r.Generated = slices.Clone(in.made)
	for _, field := range in.kept {
		secrets[field] = before.Secrets[field]
		if slices.Contains(before.Generated, field) {
			r.Generated = append(r.Generated, field)
		}
	}
	r.Secrets = secrets
	if before != nil {
		secrets[fieldWebhookToken] = before.Secrets[fieldWebhookToken]
		v.keepPrevious(r, before)
		return nil
	}
	token, err := v.newWebhookToken()
	if err != nil {
		return err
	}
	secrets[fieldWebhookToken], err = v.sealOne(c, r.Name, fieldWebhookToken, token)
	return err
}

// keepPrevious copies the previous secrets of a rotation from one record to the next, while they
// are valid.
func (v *vault) keepPrevious(r, before *record) {
	if r.Rotation = nil; !before.Rotation.live(v.now()) {
		return
	}
	r.Rotation = before.Rotation
	for _, field := range before.Rotation.Fields {
		r.Secrets[previousField(field)] = before.Secrets[previousField(field)]
	}
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
// the generated secrets in Outputs. The present values stay valid for the grace time.
func (v *vault) rotate(c scope, p *platform, before *record, grace time.Duration) (*record, error) {
	after := before.clone()
	if before.Rotation != nil { // the secrets of an earlier rotation are no longer valid
		for _, field := range before.Rotation.Fields {
			delete(after.Secrets, previousField(field))
		}
	}
	after.advance(v.now())
	after.Rotation = &rotation{Until: v.now().UTC().Truncate(time.Millisecond).Add(grace),
		Fields: []string{fieldWebhookToken}}
	token, err := v.newWebhookToken()
	if err != nil {
		return nil, err
	}
	if err := v.replace(c, after, before, fieldWebhookToken, token); err != nil {
		return nil, err
	}
	if err := after.dropPrevious(p); err != nil {
		return nil, err
	}
	for _, setting := range p.Settings {
		if _, ok := before.Secrets[setting.Key]; !ok || !setting.Generate || setting.Output == "" {
			continue
		}
		after.Rotation.Fields = append(after.Rotation.Fields, setting.Key)
		if !slices.Contains(after.Generated, setting.Key) {
			after.Generated = append(after.Generated, setting.Key)
		}
		var b [32]byte
		if _, err := io.ReadFull(v.random, b[:]); err != nil {
			return nil, fmt.Errorf("chat: make %s: %w", setting.Key, err)
		}
		if err := v.replace(c, after, before, setting.Key, setting.Shape.Make(b[:])); err != nil {
			return nil, err
		}
	}
	return after, nil
}

// replace sets a new secret in a field of after and stores that of before as its previous value.
// This one is sealed again, since a sealed value opens only under its own field.
func (v *vault) replace(c scope, after, before *record, field, secret string) error {
	old, err := v.open(c, before, field)
	if err != nil {
		return err
	}
	after.Secrets[previousField(field)], err = v.sealOne(c, before.Name, previousField(field), string(old))
	if err != nil {
		return err
	}
	after.Secrets[field], err = v.sealOne(c, before.Name, field, secret)
	return err
}

// webhookTokens returns the valid tokens of a configuration's webhook, the present one first.
func (v *vault) webhookTokens(c scope, r *record) ([][]byte, error) {
	current, err := v.open(c, r, fieldWebhookToken)
	if err != nil {
		return nil, err
	}
	if len(current) == 0 {
		return nil, fmt.Errorf("chat: %q has no webhook token", r.Name)
	}
	if !r.Rotation.live(v.now()) {
		return [][]byte{current}, nil
	}
	before, err := v.open(c, r, previousField(fieldWebhookToken))
	if err != nil || len(before) == 0 {
		return [][]byte{current}, err
	}
	return [][]byte{current, before}, nil
}

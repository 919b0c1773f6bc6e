package chat

import (
	"encoding/base64"
	"fmt"
	"io"
	"slices"
)

// sealSecrets seals the new secrets into the record, keeps those of before that were to be kept,
// and drops the rest. before is nil for a new configuration.
func (s *Service) sealSecrets(c scope, r, before *record, in *settled) error {
	secrets := make(map[string][]byte, len(in.secrets)+len(in.kept)+1)
	for field, secret := range in.secrets {
		sealed, err := s.ring.Seal(c.place(r.Name, field), []byte(secret))
		if err != nil {
			return fmt.Errorf("chat: seal %s: %w", field, err)
		}
		secrets[field] = sealed
	}
	r.Generated = slices.Clone(in.made)
	for _, field := range in.kept {
		secrets[field] = before.Secrets[field]
		if slices.Contains(before.Generated, field) {
			r.Generated = append(r.Generated, field)
		}
	}
	if before != nil {
		secrets[fieldWebhookToken] = before.Secrets[fieldWebhookToken]
		s.keepPrevious(r, before, secrets)
	} else {
		sealed, err := s.newWebhookToken(c, r.Name)
		if err != nil {
			return err
		}
		secrets[fieldWebhookToken] = sealed
	}
	r.Secrets = secrets
	return nil
}

// keepPrevious copies the previous secrets of a rotation from one record to the next, while they
// are valid.
func (s *Service) keepPrevious(r, before *record, secrets map[string][]byte) {
	if r.Rotation = nil; !before.Rotation.live(s.now()) {
		return
	}
	r.Rotation = before.Rotation
	for _, field := range before.Rotation.Fields {
		secrets[previousField(field)] = before.Secrets[previousField(field)]
	}
}

// newWebhookToken makes the secret part of a webhook URL, sealed: 128 random bits in base64url.
func (s *Service) newWebhookToken(c scope, name string) ([]byte, error) {
	var b [16]byte
	if _, err := io.ReadFull(s.random, b[:]); err != nil {
		return nil, fmt.Errorf("chat: make webhook token: %w", err)
	}
	sealed, err := s.ring.Seal(c.place(name, fieldWebhookToken), []byte(base64.RawURLEncoding.EncodeToString(b[:])))
	if err != nil {
		return nil, fmt.Errorf("chat: seal webhook token: %w", err)
	}
	return sealed, nil
}

// open returns the secret of a field; nil if there is none.
func (s *Service) open(c scope, r *record, field string) ([]byte, error) {
	sealed, ok := r.Secrets[field]
	if !ok {
		return nil, nil
	}
	secret, err := s.ring.Open(c.place(r.Name, field), sealed)
	if err != nil {
		return nil, fmt.Errorf("chat: open %s of %q: %w", field, r.Name, err)
	}
	return secret, nil
}

// replace sets a new secret in a field of after and stores that of before as its previous value.
// This one is sealed again, since a sealed value opens only under its own field.
func (s *Service) replace(c scope, after, before *record, field string, make func() ([]byte, error)) error {
	old, err := s.open(c, before, field)
	if err != nil {
		return err
	}
	if after.Secrets[previousField(field)], err = s.ring.Seal(c.place(before.Name, previousField(field)),
		old); err != nil {
		return fmt.Errorf("chat: seal %s: %w", previousField(field), err)
	}
	after.Secrets[field], err = make()
	return err
}

// webhookTokens returns the valid tokens of a configuration's webhook, the present one first.
func (s *Service) webhookTokens(c scope, r *record) ([][]byte, error) {
	current, err := s.open(c, r, fieldWebhookToken)
	if err != nil {
		return nil, err
	}
	if len(current) == 0 {
		return nil, fmt.Errorf("chat: %q has no webhook token", r.Name)
	}
	if !r.Rotation.live(s.now()) {
		return [][]byte{current}, nil
	}
	before, err := s.open(c, r, previousField(fieldWebhookToken))
	if err != nil || len(before) == 0 {
		return [][]byte{current}, err
	}
	return [][]byte{current, before}, nil
}

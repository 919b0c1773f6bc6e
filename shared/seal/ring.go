package seal

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"chatconf/shared/document"
	"chatconf/shared/secret"
)

const (
	// KeySize is the size of a key's secret, and of the keys that Derive returns, in bytes.
	KeySize = 32
	// MaxID is the maximum length of a key id.
	MaxID = 32
	// MaxRing is the maximum size of a ring's text in bytes, enough for some hundred keys.
	MaxRing = 64 << 10
)

// A Key is one key of a ring. It prints as a placeholder in fmt, slog and JSON, so no log line or
// error contains the secret. In an unexported field fmt cannot call its methods, as for every such
// type.
type Key struct {
	secret.Hidden

	ID     string        // 1 to MaxID letters, digits, '.', '_' or '-'; stored in clear text with sealed values
	Secret [KeySize]byte // uniformly random
}

// A Ring holds one or more keys. The first key is current and seals; all keys open. A Ring is
// immutable and safe for concurrent use. It prints as a placeholder, like Key.
type Ring struct {
	secret.Hidden

	keys []*ringKey
}

type ringKey struct {
	id string
	// a pointer: fmt follows only the first pointer (*ringKey) and prints this one as an address
	secret *[KeySize]byte
	header []byte // of the values it seals
	aead   cipher.AEAD
}

// NewRing returns a ring of the given keys, the current one first. It returns an error for no keys,
// an invalid id, a duplicate id or secret, or a secret of zeros. Errors identify keys by their
// position, because a secret may have been given as the id.
func NewRing(keys ...Key) (*Ring, error) {
	if len(keys) == 0 {
		return nil, errors.New("seal: no keys; give at least one")
	}
	r := &Ring{keys: make([]*ringKey, 0, len(keys))}
	for i, k := range keys {
		if !validID(k.ID) {
			return nil, fmt.Errorf("seal: keys[%d]: invalid id; use 1 to %d letters, digits, '.', '_' or '-'", i, MaxID)
		}
		if k.Secret == [KeySize]byte{} {
			return nil, fmt.Errorf("seal: keys[%d]: key is all zero", i)
		}
		for j, other := range r.keys {
			if other.id == k.ID {
				return nil, fmt.Errorf("seal: keys[%d]: same id as keys[%d]", i, j)
			}
			// A rotation to the same secret would protect nothing.
			if *other.secret == k.Secret {
				return nil, fmt.Errorf("seal: keys[%d]: same key as keys[%d], with another id", i, j)
			}
		}
		aead, err := newAEAD(&k.Secret)
		if err != nil {
			return nil, fmt.Errorf("seal: keys[%d]: %w", i, err)
		}
		header := append([]byte{Version, byte(len(k.ID))}, k.ID...)
		r.keys = append(r.keys, &ringKey{id: k.ID, secret: &k.Secret, header: header, aead: aead})
	}
	return r, nil
}

// Current returns the id of the key that seals.
func (r *Ring) Current() string { return r.keys[0].id }

// IDs returns the ids of all keys, the current one first.
func (r *Ring) IDs() []string {
	ids := make([]string, len(r.keys))
	for i, k := range r.keys {
		ids[i] = k.id
	}
	return ids
}

// Derive returns a key of KeySize bytes for another purpose from each key of the ring, the current
// one first. MAC or encrypt with the first one, and accept all. The function is HKDF-SHA256 (RFC
// 5869) with no salt and the purpose as info. So keys for different purposes reveal nothing about
// each other or about the sealing key. The caller owns the result.
func (r *Ring) Derive(purpose string) [][]byte {
	derived := make([][]byte, len(r.keys))
	for i, k := range r.keys {
		key, err := hkdf.Key(sha256.New, k.secret[:], nil, purpose, KeySize)
		if err != nil {
			panic("seal: derive: " + err.Error()) // only a length over 255 hashes is an error
		}
		derived[i] = key
	}
	return derived
}

// GenerateRing returns the text of a ring with one new key, for ParseRing.
func GenerateRing(id string) (jsonText []byte, err error) {
	if !validID(id) {
		return nil, fmt.Errorf("seal: generate ring: invalid id; use 1 to %d letters, digits, '.', '_' or '-'", MaxID)
	}
	var secret [KeySize]byte
	rand.Read(secret[:]) // never fails: crypto/rand ends the program instead
	return fmt.Appendf(nil, "{\"keys\":[{\"id\":%q,\"key\":%q}]}\n", id, base64.StdEncoding.EncodeToString(secret[:])),
		nil
}

// ParseRing returns the ring of a JSON text, the current key first:
//
//	{"keys":[{"id":"2026-11","key":"<base64 of 32 bytes>"}, …]}
//
// The base64 is the standard one with padding (RFC 4648, section 4). Unknown and duplicate members
// and trailing data are errors, as is everything that NewRing refuses. Errors name the invalid
// member but contain no text of the ring.
func ParseRing(data []byte) (*Ring, error) {
	if len(data) > MaxRing {
		return nil, fmt.Errorf("seal: the ring has %d bytes; use at most %d", len(data), MaxRing)
	}
	root, _, err := document.ParseRepeated("ring", string(data))
	if err != nil { // not wrapped: it may contain a key of the text
		return nil, errors.New("seal: ring is not valid JSON")
	}
	if err := checkMembers("ring", root, "keys"); err != nil {
		return nil, err
	}
	items := root.Get("keys")
	if items.Kind != document.Array {
		return nil, errors.New("seal: keys: write an array")
	}
	keys := make([]Key, len(items.Items))
	for i, n := range items.Items {
		if keys[i], err = parseKey(document.At("keys", i), n); err != nil {
			return nil, err
		}
	}
	return NewRing(keys...)
}

func parseKey(path string, n *document.Node) (Key, error) {
	if err := checkMembers(path, n, "id", "key"); err != nil {
		return Key{}, err
	}
	for _, member := range n.Members {
		if member.Value.Kind != document.String {
			return Key{}, fmt.Errorf("seal: %s.%s: write a string", path, member.Key)
		}
	}
	text := n.Get("key").Text
	// The decoder accepts newlines even in strict mode.
	secret, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(secret) != KeySize || strings.ContainsAny(text, "\r\n") {
		return Key{}, fmt.Errorf("seal: %s.key: not base64 of %d bytes", path, KeySize)
	}
	return Key{ID: n.Get("id").Text, Secret: [KeySize]byte(secret)}, nil
}

// checkMembers returns an error unless n is an object with each of the members exactly once.
func checkMembers(path string, n *document.Node, members ...string) error {
	if n.Kind != document.Object {
		return fmt.Errorf("seal: %s: write an object", path)
	}
	for _, m := range n.Members {
		switch {
		case !slices.Contains(members, m.Key):
			return fmt.Errorf("seal: %s: unknown member; use %s", path, strings.Join(members, ", "))
		case slices.Contains(n.Twice, m.Key):
			return fmt.Errorf("seal: %s.%s: given twice", path, m.Key)
		}
	}
	for _, m := range members {
		if n.Get(m) == nil {
			return fmt.Errorf("seal: %s.%s: missing; add it", path, m)
		}
	}
	return nil
}

func validID(id string) bool {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
	return id != "" && len(id) <= MaxID && strings.Trim(id, allowed) == ""
}

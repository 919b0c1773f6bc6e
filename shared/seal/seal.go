// Package seal encrypts values so that only this service can read them, and binds each one to its
// place.
//
// A sealed value opens only with a key of the ring, and only at its own place. If it is moved to
// another field, configuration, region or account, Open refuses it. So write access to the table is
// not enough to swap values. A sealed value names its key by id, so keys can be rotated: put a new
// key first in the ring, and keep the old ones after it while any value uses them.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
)

// MaxPlaintext is the maximum size of a plaintext in bytes. Sealed and in base64, it fits into one
// item of a table.
const MaxPlaintext = 256 << 10

var (
	// ErrOpen means that a sealed value cannot be opened: it is damaged, or for another place, or
	// its key is not in the ring.
	ErrOpen = errors.New("cannot open the sealed value")
	// ErrUnknownKey is the ErrOpen of a value whose key is not in the ring. To fix it, put the key
	// back. The header with the key id is not verified at that point.
	ErrUnknownKey = fmt.Errorf("%w: its key is not in the ring", ErrOpen)
)

// A Place is where a sealed value belongs. All four strings count and may contain anything.
type Place struct {
	Account string
	Region  string
	Name    string
	Field   string
}

// A sealed value is
//
//	 0         1       2          2+n             14+n                  s-16       s
//	+---------+-------+----------+---------------+---------------------+----------+
//	| version | n     | key id   | nonce, random | plaintext encrypted | tag      |
//	+---------+-------+----------+---------------+---------------------+----------+
//	'------- header ------------'
//
// with AES-256-GCM. The additional data is the header, followed by account, region, name and field,
// each with its length in bytes as a big-endian uint32. So no two places have the same encoding.
// The AES key is HKDF-SHA256 of the ring key's secret with salt sealSalt and info sealInfo.
const (
	// Version is the version of sealed values; this code opens no other.
	Version = 1

	sealedOverhead = 12 + 16 // nonce and tag
)

// The salt separates the AES key from every key of Derive, which uses any info but no salt (RFC
// 5869, section 3.1).
const (
	sealSalt = "chatconf/seal/v1"
	sealInfo = "AES-256-GCM"
)

// Seal encrypts plaintext with the current key of the ring, for this place. Two calls give
// different values. Nonces are random, so one key is safe for 2³² values (NIST SP 800-38D, section
// 8.3). A plaintext over MaxPlaintext is an error. So is the zero Place, because it would bind to
// nothing.
func (r *Ring) Seal(place Place, plaintext []byte) ([]byte, error) {
	if place == (Place{}) {
		return nil, errors.New("seal: the place is empty")
	}
	if len(plaintext) > MaxPlaintext {
		return nil, fmt.Errorf("seal: the plaintext has %d bytes; use at most %d", len(plaintext), MaxPlaintext)
	}
	k := r.keys[0]
	sealed := make([]byte, len(k.header), len(k.header)+len(plaintext)+sealedOverhead)
	copy(sealed, k.header)
	return k.aead.Seal(sealed, nil, plaintext, associated(k.header, place)), nil
}

// Open returns the plaintext of a value that Seal made with a key of the ring for this place. For
// any other value it returns ErrOpen or ErrUnknownKey. The errors reveal nothing of the content.
func (r *Ring) Open(place Place, sealed []byte) ([]byte, error) {
	id, body, ok := split(sealed)
	if !ok {
		return nil, fmt.Errorf("seal: open: %w", ErrOpen)
	}
	for _, k := range r.keys {
		if k.id != string(id) {
			continue
		}
		plaintext, err := k.aead.Open(nil, nil, body, associated(k.header, place))
		if err != nil {
			return nil, fmt.Errorf("seal: open with key %q: %w", k.id, ErrOpen)
		}
		return plaintext, nil
	}
	return nil, fmt.Errorf("seal: open with key %q: %w", id, ErrUnknownKey)
}

// KeyID returns the key id in a sealed value. If it differs from Ring.Current, the value should be
// sealed again. KeyID does not verify the value; only Open does. A malformed value returns ErrOpen.
func KeyID(sealed []byte) (string, error) {
	id, _, ok := split(sealed)
	if !ok {
		return "", fmt.Errorf("seal: key id: %w", ErrOpen)
	}
	return string(id), nil
}

// split splits a sealed value into the key id and the part after the header. It checks form and
// bounds, not content.
func split(sealed []byte) (id, body []byte, ok bool) {
	if len(sealed) < 2 || sealed[0] != Version {
		return nil, nil, false
	}
	n := int(sealed[1])
	if len(sealed) < 2+n+sealedOverhead {
		return nil, nil, false
	}
	id, body = sealed[2:2+n], sealed[2+n:]
	if len(body) > MaxPlaintext+sealedOverhead || !validID(string(id)) {
		return nil, nil, false
	}
	return id, body, true
}

// associated returns the additional data of a value.
func associated(header []byte, p Place) []byte {
	b := make([]byte, 0, len(header)+4*4+len(p.Account)+len(p.Region)+len(p.Name)+len(p.Field))
	b = append(b, header...)
	for _, s := range [...]string{p.Account, p.Region, p.Name, p.Field} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
		b = append(b, s...)
	}
	return b
}

func newAEAD(secret *[KeySize]byte) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, secret[:], []byte(sealSalt), sealInfo, KeySize)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

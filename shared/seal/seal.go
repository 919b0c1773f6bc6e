// Package seal is who can read it: authenticated encryption that is bound to its place.
//
// A sealed value opens only with a key of the ring, and only at the place it was sealed for: moved
// to another field, another configuration, another region or another account it is refused, so
// whoever can write to the table still cannot swap values. Keys have ids, and a sealed value names
// the one it uses, so keys can be rotated: a new key is put first in the ring, the old ones stay
// behind it until nothing uses them any more.
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

// MaxPlaintext is the size of the longest plaintext, in bytes: sealed and in base64 it still fits
// into one item of a table.
const MaxPlaintext = 256 << 10

var (
	// ErrOpen says that a sealed value cannot be opened: it was damaged, or sealed for another
	// place, or its key is not in the ring.
	ErrOpen = errors.New("sealed value cannot be opened")
	// ErrUnknownKey is the ErrOpen of a value whose key is not in the ring. It is told apart
	// because the cure is another one: to put the key back. The header that names the key is not
	// verified by then.
	ErrUnknownKey = fmt.Errorf("%w: its key is not in the ring", ErrOpen)
)

// A Place is where a sealed value belongs. All four strings count, and may have any content.
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
// by AES-256-GCM. What the tag vouches for besides the plaintext is the header, followed by
// account, region, name and field, each preceded by its length in bytes as a big-endian uint32, so
// that no two places have the same encoding. The AES key is HKDF-SHA256 of the ring key's secret
// with salt sealSalt and info sealInfo.
const (
	version        = 1
	sealedOverhead = 12 + 16 // nonce and tag
)

// The salt keeps the AES key apart from every key of Derive, which takes any info but no salt (RFC
// 5869, section 3.1).
const (
	sealSalt = "chatconf/seal/v1"
	sealInfo = "AES-256-GCM"
)

// Seal encrypts plaintext with the current key of the ring, for this place. Sealing twice gives two
// different values. The nonces are random, so one key is good for 2³² values (NIST SP 800-38D,
// section 8.3). A plaintext over MaxPlaintext is an error, and so is the zero Place, which would
// bind to nothing.
func (r *Ring) Seal(place Place, plaintext []byte) ([]byte, error) {
	if place == (Place{}) {
		return nil, errors.New("seal: place is empty")
	}
	if len(plaintext) > MaxPlaintext {
		return nil, fmt.Errorf("seal: plaintext of %d bytes, the most is %d", len(plaintext), MaxPlaintext)
	}
	k := r.keys[0]
	sealed := make([]byte, len(k.header), len(k.header)+len(plaintext)+sealedOverhead)
	copy(sealed, k.header)
	return k.aead.Seal(sealed, nil, plaintext, associated(k.header, place)), nil
}

// Open returns the plaintext of a value that Seal made with a key of the ring and for this place.
// Everything else is an ErrOpen, among them ErrUnknownKey; neither says anything about the content.
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

// KeyID returns the id of the key that a sealed value names. Compared with Ring's Current it tells
// whether the value is due to be sealed again. The value is not verified: only Open does that. What
// has not the form of a sealed value is ErrOpen.
func KeyID(sealed []byte) (string, error) {
	id, _, ok := split(sealed)
	if !ok {
		return "", fmt.Errorf("seal: key id: %w", ErrOpen)
	}
	return string(id), nil
}

// split takes a sealed value apart, into the key id and what follows the header. It checks form and
// bounds, not content.
func split(sealed []byte) (id, body []byte, ok bool) {
	if len(sealed) < 2 || sealed[0] != version {
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

// associated returns what the tag of a value vouches for besides the plaintext.
func associated(header []byte, p Place) []byte {
	b := make([]byte, 0, len(header)+4*4+len(p.Account)+len(p.Region)+len(p.Name)+len(p.Field))
	b = append(b, header...)
	for _, s := range [...]string{p.Account, p.Region, p.Name, p.Field} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
		b = append(b, s...)
	}
	return b
}

// newAEAD returns the cipher that seals under the given secret.
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

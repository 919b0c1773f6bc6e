// Package page makes page tokens. A client receives one with a page of a list and sends it to get
// the next page.
//
// A token is opaque and authenticated: a client can neither read its cursor nor forge one. It is
// valid only for its scope (account, region, action, filters), so it cannot be used for another
// list.
package page

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

const (
	// KeySize is the size of a key in bytes.
	KeySize = 32
	// MaxToken is the maximum length of a token in characters. Servers and proxies limit the length
	// of URLs.
	MaxToken = 4096
	// MaxCursor is the maximum size of a cursor in bytes, so that its token fits into MaxToken
	// characters.
	MaxCursor = MaxToken/4*3 - versionSize - sealedOverhead
)

// ErrInvalid is the only error of Decode, so that a forger learns nothing from it.
var ErrInvalid = errors.New("invalid page token")

// A token is the unpadded base64url text (RFC 4648, section 5) of
//
//	 0         1                13                        n-16       n
//	+---------+----------------+-------------------------+----------+
//	| version | nonce, random  | cursor, encrypted       | tag      |
//	+---------+----------------+-------------------------+----------+
//
// with AES-256-GCM. The additional data is the version byte, followed by each scope string with its
// length in bytes as a big-endian uint32. So no two scopes have the same encoding.
const (
	version        = 1
	versionSize    = 1
	sealedOverhead = 12 + 16 // nonce and tag
)

// encoding refuses padding and trailing bits that are not zero. It accepts newlines, which Decode
// must refuse.
var encoding = base64.RawURLEncoding.Strict()

// A Codec converts cursors to tokens and back. Its methods are safe for concurrent use.
type Codec struct {
	aeads []cipher.AEAD // the current one first
}

// New returns a codec that makes tokens with the first key and accepts tokens of all keys. Keys
// have KeySize bytes and must not be used elsewhere; seal.Ring.Derive makes them. Nonces are
// random, so a key is safe for 2³² tokens (NIST SP 800-38D, 8.3).
func New(keys ...[]byte) (*Codec, error) {
	if len(keys) == 0 {
		return nil, errors.New("page: no keys; give at least one")
	}
	c := &Codec{}
	for i, key := range keys {
		if len(key) != KeySize {
			return nil, fmt.Errorf("page: key %d has %d bytes; use %d", i, len(key), KeySize)
		}
		if [KeySize]byte(key) == [KeySize]byte{} {
			return nil, fmt.Errorf("page: key %d is all zero", i)
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, fmt.Errorf("page: key %d: %w", i, err)
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, fmt.Errorf("page: key %d: %w", i, err)
		}
		c.aeads = append(c.aeads, aead)
	}
	return c, nil
}

// Encode returns a token for cursor that is valid only for this scope: the same strings in the same
// order. Two tokens for one cursor differ. A token contains only letters, digits, '-' and '_', so
// URLs and headers need no escaping. Encode panics if the cursor is longer than MaxCursor.
func (c *Codec) Encode(cursor []byte, scope ...string) string {
	if len(cursor) > MaxCursor {
		panic(fmt.Sprintf("page: the cursor has %d bytes; use at most %d", len(cursor), MaxCursor))
	}
	token := make([]byte, versionSize, versionSize+len(cursor)+sealedOverhead)
	token[0] = version
	return encoding.EncodeToString(c.aeads[0].Seal(token, nil, cursor, associated(scope)))
}

// Decode returns the cursor of a token that was made by Encode with a key of c and for this scope.
// For every other string it returns ErrInvalid.
func (c *Codec) Decode(token string, scope ...string) ([]byte, error) {
	if len(token) > MaxToken || strings.ContainsAny(token, "\r\n") {
		return nil, ErrInvalid
	}
	data, err := encoding.DecodeString(token)
	if err != nil || len(data) < versionSize+sealedOverhead || data[0] != version {
		return nil, ErrInvalid
	}
	aad := associated(scope)
	for _, aead := range c.aeads {
		if cursor, err := aead.Open(nil, nil, data[versionSize:], aad); err == nil {
			return cursor, nil
		}
	}
	return nil, ErrInvalid
}

// associated returns the additional data of a token with this scope.
func associated(scope []string) []byte {
	size := versionSize
	for _, s := range scope {
		size += 4 + len(s)
	}
	b := append(make([]byte, 0, size), version)
	for _, s := range scope {
		b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
		b = append(b, s...)
	}
	return b
}

// Package page is what a client holds between two pages of a list: a token that says where the next
// one starts.
//
// The token is opaque and authenticated: a client can neither read the cursor inside nor make one,
// and a token is good only for the scope it was made for (account, region, action, filters), so it
// cannot be carried from one list to another.
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
	// KeySize is the size of a key, in bytes.
	KeySize = 32
	// MaxToken is the length of the longest token, in characters. Tokens travel in URLs, whose
	// length servers and proxies bound.
	MaxToken = 4096
	// MaxCursor is the size of the longest cursor, in bytes: what fits into a token of MaxToken
	// characters.
	MaxCursor = MaxToken/4*3 - versionSize - sealedOverhead
)

// ErrInvalid is the one error of Decode, whatever is wrong with the token: it tells a forger
// nothing.
var ErrInvalid = errors.New("invalid page token")

// A token is the unpadded base64url text (RFC 4648, section 5) of
//
//	 0         1                13                        n-16       n
//	+---------+----------------+-------------------------+----------+
//	| version | nonce, random  | cursor, encrypted       | tag      |
//	+---------+----------------+-------------------------+----------+
//
// by AES-256-GCM. What the tag vouches for besides the cursor is the version byte, followed by each
// scope string, each preceded by its length in bytes as a big-endian uint32, so that no two scopes
// have the same encoding.
const (
	version        = 1
	versionSize    = 1
	sealedOverhead = 12 + 16 // nonce and tag
)

// encoding refuses padding and trailing bits that are not zero. It lets newlines pass, which Decode
// has to refuse by itself.
var encoding = base64.RawURLEncoding.Strict()

// A Codec makes tokens of cursors and back. Its methods may be called from many goroutines at once.
type Codec struct {
	aeads []cipher.AEAD // the current one first
}

// New returns a codec that makes tokens with the first key and takes those made with any. Keys are
// KeySize bytes each and serve no other purpose; seal.Ring's Derive makes them. Nonces are random:
// a key is good for 2³² tokens (NIST SP 800-38D, 8.3).
func New(keys ...[]byte) (*Codec, error) {
	if len(keys) == 0 {
		return nil, errors.New("page: no key")
	}
	c := &Codec{}
	for i, key := range keys {
		if len(key) != KeySize {
			return nil, fmt.Errorf("page: key %d has %d bytes, wanted %d", i, len(key), KeySize)
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

// Encode returns a token for cursor that is good for exactly this scope: the same strings in the
// same order. Two tokens for the same cursor differ. A token has only letters, digits, '-' and '_',
// so it needs no escaping in a URL or a header. A cursor longer than MaxCursor is a mistake in the
// program, and Encode panics.
func (c *Codec) Encode(cursor []byte, scope ...string) string {
	if len(cursor) > MaxCursor {
		panic(fmt.Sprintf("page: cursor of %d bytes, the most is %d", len(cursor), MaxCursor))
	}
	token := make([]byte, versionSize, versionSize+len(cursor)+sealedOverhead)
	token[0] = version
	return encoding.EncodeToString(c.aeads[0].Seal(token, nil, cursor, associated(scope)))
}

// Decode returns the cursor of a token that Encode made with a key of c and for this scope. For
// every other string it returns ErrInvalid, as it is, and no cursor.
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

// associated returns what the tag of a token with this scope vouches for besides the cursor.
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

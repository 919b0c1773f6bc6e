package callback

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"chatconf/shared/secret"
)

// WeCom and DingTalk put their callbacks into an envelope: SHA-1 over a token, the time, a nonce
// and the ciphertext, and AES-256-CBC inside. Both published one sample library for it, and both
// accept the answer in the same envelope.
//
// The signature is over four texts that are sorted and joined with nothing between them. So time
// and nonce can change places, and digits can move between them, without changing it. A Box
// therefore requires a time of an exact number of digits, no decision rests on time and nonce, and
// a message without a time inside the envelope must pass Current.
// https://developer.work.weixin.qq.com/document/path/90968

// blockSize is the padding size of plaintexts in bytes: twice the block of the cipher.
const blockSize = 32

// headerSize is the size of what comes before the message: sixteen random bytes and its length.
const headerSize = 16 + 4

// errDamaged is the error of every ciphertext that does not open, so that it reveals no cause.
var errDamaged = errors.New("callback: the ciphertext is damaged or was made with another key")

// An EnvelopeKey encrypts.
type EnvelopeKey struct {
	secret.Hidden
	aes [32]byte
}

// ParseEnvelopeKey reads an EncodingAESKey: 43 characters that with "=" are base64 of 32 bytes.
// Only four bits of the last character count. The platforms' own keys have other bits set there, so
// those are ignored.
func ParseEnvelopeKey(text string) (EnvelopeKey, error) {
	var k EnvelopeKey
	if len(text) != 43 || strings.ContainsAny(text, "\r\n") {
		return k, errors.New("callback: an EncodingAESKey has 43 letters and digits")
	}
	b, err := base64.StdEncoding.DecodeString(text + "=")
	if err != nil || len(b) != len(k.aes) {
		return k, errors.New("callback: an EncodingAESKey has 43 letters and digits")
	}
	copy(k.aes[:], b)
	return k, nil
}

// SignEnvelope returns the signature of a ciphertext, in lower-case hexadecimal.
func SignEnvelope(token, timestamp, nonce, encrypt string) string {
	return hex.EncodeToString(sign(token, timestamp, nonce, encrypt))
}

func sign(token, timestamp, nonce, encrypt string) []byte {
	parts := []string{token, timestamp, nonce, encrypt}
	slices.Sort(parts)
	sum := sha1.Sum([]byte(strings.Join(parts, "")))
	return sum[:]
}

// Open decrypts a ciphertext from Seal or from the platform. It must be canonical base64, and its
// length a multiple of the given one. All bytes of the padding, one to 32, are checked. The receive
// id follows the message. The error is always the same.
func (k EnvelopeKey) Open(encrypt string, multiple int) (message, receiver string, err error) {
	b, err := base64.StdEncoding.Strict().DecodeString(encrypt)
	if err != nil || strings.ContainsAny(encrypt, "\r\n") || len(b) < 2*aes.BlockSize || len(b)%multiple != 0 {
		return "", "", errDamaged
	}
	c, err := aes.NewCipher(k.aes[:])
	if err != nil {
		return "", "", errDamaged // never, with 32 bytes
	}
	cipher.NewCBCDecrypter(c, k.aes[:aes.BlockSize]).CryptBlocks(b, b)
	pad := int(b[len(b)-1])
	if pad < 1 || pad > blockSize || pad > len(b)-headerSize {
		return "", "", errDamaged
	}
	for _, p := range b[len(b)-pad:] {
		if int(p) != pad {
			return "", "", errDamaged
		}
	}
	b = b[:len(b)-pad]
	n := binary.BigEndian.Uint32(b[16:headerSize])
	if uint64(n) > uint64(len(b)-headerSize) {
		return "", "", errDamaged
	}
	b = b[headerSize:]
	return string(b[:n]), string(b[n:]), nil
}

// Seal encrypts a message for a receive id.
func (k EnvelopeKey) Seal(random io.Reader, message, receiver string) (string, error) {
	b := make([]byte, headerSize, headerSize+len(message)+len(receiver)+blockSize)
	if _, err := io.ReadFull(random, b[:16]); err != nil {
		return "", fmt.Errorf("callback: read random bytes: %w", err)
	}
	binary.BigEndian.PutUint32(b[16:], uint32(len(message)))
	b = append(append(b, message...), receiver...)
	pad := blockSize - len(b)%blockSize
	for range pad {
		b = append(b, byte(pad))
	}
	c, err := aes.NewCipher(k.aes[:])
	if err != nil {
		return "", fmt.Errorf("callback: %w", err)
	}
	cipher.NewCBCEncrypter(c, k.aes[:aes.BlockSize]).CryptBlocks(b, b)
	return base64.StdEncoding.EncodeToString(b), nil
}

// A Box opens the envelopes of one configuration, and seals the answers.
type Box struct {
	secret.Hidden
	tokens   []string
	keys     []EnvelopeKey
	multiple int
	setting  string // the name of the receive id's setting, for refusals
}

// NewBox makes a Box of the settings that hold the token and the EncodingAESKey. While they are
// rotated, each may have two values. The length of a ciphertext must be a multiple of the given
// one, 16 or 32. The receive id comes from the setting receiver.
func NewBox(s Settings, token, key, receiver string, multiple int) (*Box, error) {
	tokens, err := Secrets(s, token)
	if err != nil {
		return nil, err
	}
	texts, err := Secrets(s, key)
	if err != nil {
		return nil, err
	}
	box := &Box{tokens: tokens, multiple: multiple, setting: receiver}
	for _, text := range texts {
		k, err := ParseEnvelopeKey(text)
		if err != nil {
			return nil, fmt.Errorf("%w: %s", err, key)
		}
		box.keys = append(box.keys, k)
	}
	return box, nil
}

// A Session holds the token and the key with which an envelope was made. Its answer is made with
// the same.
type Session struct {
	secret.Hidden
	token    string
	key      EnvelopeKey
	receiver string
}

// Verify returns the session of an envelope with a valid signature. It decrypts nothing.
func (b *Box) Verify(signature, timestamp, nonce, encrypt string) (*Session, error) {
	sum, ok := Hex(signature, sha1.Size)
	if !ok {
		return nil, Refuse(StepSignature, "the signature is not 40 lower-case hexadecimal digits")
	}
	token, ok := Match(b.tokens, sum, func(token string) []byte { return sign(token, timestamp, nonce, encrypt) })
	if !ok {
		hint := ""
		if strings.Contains(encrypt, " ") {
			hint = "; there are blanks in the ciphertext, where a proxy may have made them of +"
		}
		return nil, Refuse(StepSignature, "the signature was not made with the Token of this configuration%s", hint)
	}
	return &Session{token: token}, nil
}

// Open decrypts the envelope of a session, which must be for one of the given receive ids. An empty
// id is an id, too.
func (b *Box) Open(s *Session, encrypt string, receivers ...string) (string, error) {
	refusal := Refuse(StepDecrypt,
		"the ciphertext is damaged, or was not made with the EncodingAESKey of this configuration")
	for _, key := range b.keys {
		message, receiver, err := key.Open(encrypt, b.multiple)
		if err != nil {
			continue
		}
		if slices.Contains(receivers, receiver) {
			s.key, s.receiver = key, receiver
			return message, nil
		}
		refusal = Refuse(StepReceiver,
			"the message is for the receive id %q, which is not this configuration's; if it is yours, set %s to it",
			Cut(receiver, 64), b.setting)
	}
	return "", refusal
}

// since is the earliest time that Current checks for. Only messages to WeCom's robots, and checks
// and events without effect, have no time inside. Those robots have sent callbacks since 2025.
var since = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// Current refuses a genuine time and nonce that may be those of an old callback. If the two change
// places, or digits move between them, the same signature proves another time. A message with a
// time inside the envelope does not need this check. WeCom's nonces are often ten digits, and some
// are a time a few hours ahead: such a callback would be fresh again at that hour. A nonce that
// happens to be a time between 2025 and now is refused, too; of random nonces up to 2³¹ that is
// about one in 30.
func Current(now time.Time, timestamp, nonce string, window time.Duration) error {
	for _, text := range otherTimes(timestamp, nonce) {
		at, err := SecondsOrMillis(text)
		if err == nil && at.After(since) && at.Before(now.Add(-window)) {
			return Refuse(StepFreshness,
				"the signature would be the same for the earlier time %s: this is an old "+
					"callback, or a nonce that looks like one",
				at.UTC().Format(time.RFC3339))
		}
	}
	return nil
}

// otherTimes returns the other times, of ten or thirteen digits, that a callback with the same
// signature may have: the beginning and the end of the digits of both, and the nonce itself, if the
// token is sorted between the two.
func otherTimes(timestamp, nonce string) []string {
	joined := timestamp + nonce
	if nonce < timestamp {
		joined = nonce + timestamp
	}
	times := []string{nonce}
	for _, n := range []int{10, 13} {
		if len(joined) <= n {
			continue
		}
		if at, rest := joined[:n], joined[n:]; at <= rest && at != timestamp {
			times = append(times, at)
		}
		if rest, at := joined[:len(joined)-n], joined[len(joined)-n:]; rest <= at && at != timestamp {
			times = append(times, at)
		}
	}
	return times
}

// An Envelope is a sealed answer.
type Envelope struct{ Encrypt, Signature, Timestamp, Nonce string }

// Seal encrypts the answer to the envelope of a session, and signs it.
func (s *Session) Seal(random io.Reader, message, timestamp, nonce string) (*Envelope, error) {
	encrypt, err := s.key.Seal(random, message, s.receiver)
	if err != nil {
		return nil, err
	}
	return &Envelope{encrypt, SignEnvelope(s.token, timestamp, nonce, encrypt), timestamp, nonce}, nil
}

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
)

// WeCom and DingTalk put their callbacks into an envelope: SHA-1 over a token, the time, a nonce and the ciphertext, and AES-256-CBC
// inside. Both published one sample library for it, and both accept the answer in the same envelope.
//
// The signature is over four texts that are sorted and joined with nothing between them. So time and nonce can change places, and
// digits can move between them, without changing it. A Box therefore requires a time of an exact number of digits, no decision rests
// on time and nonce, and a message without a time inside the envelope must pass Current.
// https://developer.work.weixin.qq.com/document/path/90968

// blockSize is what plaintexts are padded to a multiple of, in bytes: twice the cipher's own.
const blockSize = 32

// headerSize is what stands before the message: sixteen random bytes and its length.
const headerSize = 16 + 4

// errDamaged is why a ciphertext does not open, whatever it was: nobody is told more.
var errDamaged = errors.New("callback: the ciphertext is damaged or was made with another key")

// An EnvelopeKey encrypts.
type EnvelopeKey struct{ aes [32]byte }

// ParseEnvelopeKey reads an EncodingAESKey: 43 characters that with "=" are base64 of 32 bytes. The last character carries four bits; the platforms'
// own keys leave the others set, so they are not looked at.
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

// Open decrypts what Seal, or the platform, made, whose length is a multiple of so many bytes: base64 in its one canonical form, padding of one
// to 32 bytes that are all checked, a length that leaves just the receive id behind the message. Its error is the same whatever is wrong.
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

// A Box opens the envelopes of one configuration, and seals the answers to them.
type Box struct {
	tokens   []string
	keys     []EnvelopeKey
	multiple int
	setting  string // names what the receive id comes from, for refusals
}

// NewBox makes a Box of the settings that hold the token and the EncodingAESKey. While they are being rotated each may be one of two. The length of
// a ciphertext must be a multiple of the given, 16 or 32. The receive id comes from the setting receiver.
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

// A Session is how an envelope was made, and how its answer is: with the token and the key that fitted it.
type Session struct {
	token    string
	key      EnvelopeKey
	receiver string
}

// Verify returns the session of an envelope whose signature is genuine. Nothing of it is decrypted yet.
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

// Open decrypts the envelope of a session, for one of the given receive ids; an empty one stands for itself.
func (b *Box) Open(s *Session, encrypt string, receivers ...string) (string, error) {
	refusal := Refuse(StepDecrypt, "the ciphertext is damaged, or was not made with the EncodingAESKey of this configuration")
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

// since is the earliest time that Current looks for. What has no time inside are messages to WeCom's
// robots, which did not call back before 2025, and checks and events that do nothing.
var since = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// Current refuses a genuine time and nonce that may be an old callback made fresh: they prove an earlier
// time just as well, if they change places or digits move from one to the other. What has a time inside
// of the envelope does not need it. WeCom's nonces are often ten digits, and some are the time a few
// hours ahead: such a callback would be fresh once more at that hour. A nonce that is by chance a time
// between 2025 and now is refused too; of random ones up to 2³¹ that is about one in 30.
func Current(now time.Time, timestamp, nonce string, window time.Duration) error {
	for _, text := range otherTimes(timestamp, nonce) {
		at, err := SecondsOrMillis(text)
		if err == nil && at.After(since) && at.Before(now.Add(-window)) {
			return Refuse(StepFreshness,
				"the signature would be the same for the earlier time %s: this is an old callback, or a nonce that looks like one",
				at.UTC().Format(time.RFC3339))
		}
	}
	return nil
}

// otherTimes returns the times, of ten digits or thirteen, that a callback with the same signature may
// have had: what begins or ends the digits of both, and the nonce itself, which may stand apart from the
// time where the token sorts between the two.
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

// An Envelope is an answer in its envelope.
type Envelope struct{ Encrypt, Signature, Timestamp, Nonce string }

// Seal encrypts the answer to the envelope of a session, and signs it.
func (s *Session) Seal(random io.Reader, message, timestamp, nonce string) (*Envelope, error) {
	encrypt, err := s.key.Seal(random, message, s.receiver)
	if err != nil {
		return nil, err
	}
	return &Envelope{encrypt, SignEnvelope(s.token, timestamp, nonce, encrypt), timestamp, nonce}, nil
}

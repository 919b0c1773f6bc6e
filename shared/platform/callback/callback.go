// Package callback has what the platforms share: the interfaces Receiver and Sender, and the
// reading of callbacks. Parameters occur once, timestamps have an exact number of digits, JSON is
// read strictly, a secret may have two values while it is rotated, and text has no unusual spaces.
package callback

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/document"
)

// Skew is how far a signed timestamp may differ from now, unless the platform or the configuration
// says otherwise.
const Skew = 5 * time.Minute

// Parameter returns a query parameter, which must occur exactly once, since a proxy may read
// another one than we do.
func Parameter(r *Request, name string) (string, error) {
	return one("parameter", name, r.Query[name])
}

// HasParameter reports whether there is a query parameter of this name, even if it is empty.
func HasParameter(r *Request, name string) bool {
	_, ok := r.Query[name]
	return ok
}

// Header returns a header, which must occur exactly once. Its name may have any case, since
// gateways change it.
func Header(r *Request, name string) (string, error) {
	return one("header", name, headers(r, name))
}

// HasHeader reports whether there is a header of this name, even if it is empty.
func HasHeader(r *Request, name string) bool { return headers(r, name) != nil }

func headers(r *Request, name string) []string {
	var all []string
	for key, values := range r.Header {
		if strings.EqualFold(key, name) {
			all = append(all, values...)
		}
	}
	return all
}

func one(what, name string, values []string) (string, error) {
	switch {
	case len(values) == 0 || len(values) == 1 && values[0] == "":
		return "", Refuse(StepRequest, "the %s %s is missing", what, name)
	case len(values) > 1:
		return "", Refuse(StepRequest, "the %s %s is given %d times", what, name, len(values))
	}
	return values[0], nil
}

// maxNonce is longer than the nonce of any platform. It is too short for a nonce with whole blocks
// of ciphertext: a signature over joined texts does not show where one ends.
const maxNonce = 63

// Nonce returns the query parameter nonce: printable ASCII without blanks.
func Nonce(r *Request) (string, error) {
	nonce, err := Parameter(r, "nonce")
	if err != nil {
		return "", err
	}
	if len(nonce) > maxNonce || strings.ContainsFunc(nonce, func(c rune) bool { return c <= ' ' || c >= 0x7f }) {
		return "", Refuse(StepRequest,
			"the nonce is longer than %d characters, or has characters that are not printable ASCII", maxNonce)
	}
	return nonce, nil
}

// Seconds reads a timestamp of exactly ten digits, seconds since 1970.
func Seconds(text string) (time.Time, error) {
	if len(text) != 10 || !digits(text) {
		return time.Time{}, Refuse(StepRequest, "a timestamp is not ten digits, which are seconds")
	}
	n, _ := strconv.ParseInt(text, 10, 64) // ten digits fit
	return time.Unix(n, 0), nil
}

// Millis reads a timestamp of exactly thirteen digits, milliseconds since 1970.
func Millis(text string) (time.Time, error) {
	if len(text) != 13 || !digits(text) {
		return time.Time{}, Refuse(StepRequest, "a timestamp is not thirteen digits, which are milliseconds")
	}
	n, _ := strconv.ParseInt(text, 10, 64) // thirteen digits fit
	return time.UnixMilli(n), nil
}

// SecondsOrMillis reads a timestamp of exactly ten or thirteen digits, seconds or milliseconds
// since 1970.
func SecondsOrMillis(text string) (time.Time, error) {
	if len(text) == 10 {
		return Seconds(text)
	}
	return Millis(text)
}

func digits(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(c rune) bool { return c < '0' || c > '9' })
}

// Fresh refuses a time that differs from now by more than window.
func Fresh(what string, now, at time.Time, window time.Duration) error {
	age := now.Sub(at)
	switch {
	case age > window:
		return Refuse(StepFreshness,
			"%s is %s old, and %s are allowed: it was delayed or replayed, or this clock is ahead",
			what, round(age), window)
	case age < -window:
		return Refuse(StepFreshness,
			"%s is %s ahead, and %s are allowed: this clock is behind", what, round(-age), window)
	}
	return nil
}

func round(d time.Duration) time.Duration { return d.Round(time.Second) }

// Window returns the seconds of a setting as a duration, or fallback if it is not set.
func Window(s Settings, key string, fallback, most time.Duration) (time.Duration, error) {
	text := s.Get(key)
	if text == "" {
		return fallback, nil
	}
	shape := command.UpTo(int(most / time.Second))
	if !shape.Fits(text) {
		return 0, fmt.Errorf("callback: %s is not %s", key, shape.Want)
	}
	n, _ := strconv.Atoi(text) // it fits
	return time.Duration(n) * time.Second, nil
}

// Secrets returns the valid values of a secret: that of key and, during a rotation, that of
// <key>Previous. An empty secret is an error, since anyone could sign with it.
func Secrets(s Settings, key string) ([]string, error) {
	secret := s.Get(key)
	if secret == "" {
		return nil, fmt.Errorf("callback: %s is not set", key)
	}
	all := []string{secret}
	if previous := s.Get(key + command.Previous); previous != "" && previous != secret {
		all = append(all, previous)
	}
	return all, nil
}

// Match returns the secret with which sign makes the signature, and whether there is one. It
// compares in constant time and always tries every secret.
func Match(secrets []string, signature []byte, sign func(secret string) []byte) (string, bool) {
	found, ok := "", false
	for _, secret := range secrets {
		if secret != "" && hmac.Equal(sign(secret), signature) && !ok {
			found, ok = secret, true
		}
	}
	return found, ok
}

// Hex reads exactly n bytes of lower-case hexadecimal.
func Hex(text string, n int) ([]byte, bool) {
	if len(text) != 2*n || text != strings.ToLower(text) {
		return nil, false
	}
	b, err := hex.DecodeString(text)
	return b, err == nil
}

// Digest returns a short hash of several texts, for guards and for messages without an id.
func Digest(parts ...string) string {
	h := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(h, "%d:", len(part))
		h.Write([]byte(part))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Acknowledge is the empty answer.
func Acknowledge() *Response { return &Response{Status: 200} }

// JSON is an answer in JSON: body as document.Marshal writes it.
func JSON(body any) *Response {
	return &Response{Status: 200, ContentType: "application/json; charset=utf-8", Body: document.Marshal(body)}
}

// Empty is the JSON object without members.
type Empty struct{}

// A Text is the JSON object of a text, as several platforms have it.
type Text struct {
	Content string `json:"content"`
}

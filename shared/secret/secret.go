// Package secret has types for text that must not be printed.
package secret

import (
	"fmt"
	"io"
	"log/slog"
)

// Mask replaces a secret on every read. In an update it means: keep the secret.
const Mask = "******"

// A Text is a secret. It prints as Mask in fmt, JSON and slog; Reveal returns it.
type Text string

// Reveal returns the secret itself.
func (s Text) Reveal() string { return string(s) }

// String returns the mask.
func (Text) String() string { return Mask }

// Format writes the mask for every verb. fmt calls String only for the verbs of text.
func (Text) Format(s fmt.State, _ rune) { io.WriteString(s, Mask) }

// MarshalText returns the mask.
func (Text) MarshalText() ([]byte, error) { return []byte(Mask), nil }

// LogValue returns the mask.
func (Text) LogValue() slog.Value { return slog.StringValue(Mask) }

// A Map has secrets by name, such as an environment. It prints as Mask in fmt, JSON and slog.
type Map map[string]string

// String returns the mask.
func (Map) String() string { return Mask }

// Format writes the mask for every verb.
func (Map) Format(s fmt.State, _ rune) { io.WriteString(s, Mask) }

// MarshalJSON returns the mask.
func (Map) MarshalJSON() ([]byte, error) { return []byte(`"` + Mask + `"`), nil }

// LogValue returns the mask.
func (Map) LogValue() slog.Value { return slog.StringValue(Mask) }

// Hidden is for embedding in a struct with secrets: the whole struct prints as Mask in fmt, JSON
// and slog. If the struct is in an unexported field, fmt does not find these methods; the outer
// struct must have its own.
type Hidden struct{}

// String returns the mask.
func (Hidden) String() string { return Mask }

// Format writes the mask for every verb.
func (Hidden) Format(s fmt.State, _ rune) { io.WriteString(s, Mask) }

// MarshalJSON returns the mask.
func (Hidden) MarshalJSON() ([]byte, error) { return []byte(`"` + Mask + `"`), nil }

// LogValue returns the mask.
func (Hidden) LogValue() slog.Value { return slog.StringValue(Mask) }

// Alphanumeric returns n letters and digits drawn from 32 random bytes.
func Alphanumeric(random []byte, n int) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	// The bytes are one large number, of which each letter is a digit in base 62: 43 letters hold
	// 256 bits, so none is wasted.
	number := append([]byte(nil), random...)
	out := make([]byte, n)
	for i := range out {
		remainder := 0
		for j := range number {
			value := remainder<<8 | int(number[j])
			number[j], remainder = byte(value/len(letters)), value%len(letters)
		}
		out[i] = letters[remainder]
	}
	return string(out)
}

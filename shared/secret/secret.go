// Package secret is text that must not print.
package secret

import (
	"fmt"
	"io"
	"log/slog"
)

// Mask is what stands in place of a secret on every read. Sent back in an update it means: keep the secret.
const Mask = "******"

// A Text is text that must not be seen. It prints as Mask in fmt, JSON and slog; Reveal returns it.
type Text string

// Reveal returns the secret itself.
func (s Text) Reveal() string { return string(s) }

// String returns the mask.
func (Text) String() string { return Mask }

// Format writes the mask, whatever the verb: with one that is not for text, fmt would not ask String.
func (Text) Format(s fmt.State, _ rune) { io.WriteString(s, Mask) }

// MarshalText returns the mask.
func (Text) MarshalText() ([]byte, error) { return []byte(Mask), nil }

// LogValue returns the mask.
func (Text) LogValue() slog.Value { return slog.StringValue(Mask) }

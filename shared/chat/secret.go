package chat

import "log/slog"

// Mask is what stands in place of a secret on every read. Sent back in an update it means: keep the secret.
const Mask = "******"

// A Secret is text that must not be seen. It prints as Mask in fmt, JSON and slog; Reveal returns it.
type Secret string

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

// String returns the mask.
func (Secret) String() string { return Mask }

// GoString returns the mask.
func (Secret) GoString() string { return Mask }

// MarshalText returns the mask.
func (Secret) MarshalText() ([]byte, error) { return []byte(Mask), nil }

// LogValue returns the mask.
func (Secret) LogValue() slog.Value { return slog.StringValue(Mask) }

package dispatch

import (
	"context"
	"errors"

	"chatconf/shared/command"
)

// A Sender sends an answer after the acknowledgement.
type Sender interface {
	// Send answers a message with text, shown as it is. Its error may say whether another attempt
	// can help, as Passing reads it.
	Send(ctx context.Context, to command.ReplyTo, text string) error
}

// Passing reports whether what kept a Sender from sending, or one from being made, may pass. It
// does unless the error says otherwise, by a method Passing() bool of its own or of what it wraps:
// that the platform refused for good, a setting is missing, or there is no way to answer. Of
// several that it wraps the first counts.
func Passing(err error) bool {
	var known interface{ Passing() bool }
	return !errors.As(err, &known) || known.Passing()
}

package dispatch

import (
	"context"
	"errors"

	"chatconf/shared/command"
)

// A Sender sends an answer after the acknowledgement.
type Sender interface {
	// Send answers a message with text, shown as it is. Its error may say whether another attempt
	// can help, as Retryable reads it.
	Send(ctx context.Context, to command.ReplyTo, text string) error
}

// Retryable reports whether a retry can help after an error of a Sender, or of making one. The
// first error in its chain with a method Retryable() bool decides; without one a retry can help.
func Retryable(err error) bool {
	var known interface{ Retryable() bool }
	return !errors.As(err, &known) || known.Retryable()
}

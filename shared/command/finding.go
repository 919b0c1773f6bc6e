package command

import "context"

// States of a Finding.
const (
	FindingPassed      = "Passed"
	FindingFailed      = "Failed"
	FindingNotPossible = "NotPossible" // it cannot be checked, which is not a mistake
)

// A Finding is what a step of the check of a configuration found.
type Finding struct {
	State string
	// Reason says what was found: for a failure what is wrong and what would be right, otherwise a
	// note, or nothing. It holds no secret, and nothing of the network.
	Reason string
	Page   string // of the platform's console, where to correct it; empty for its first page
}

// An Uncheckable is the error of NewChecker if the platform has no API to check a configuration.
// Its text says why. It is not a mistake of the user.
type Uncheckable string

// Error returns why.
func (e Uncheckable) Error() string { return string(e) }

// A Checker checks one configuration against the API of its platform. Its methods are called one
// after the other, Token first; the others only if Token has passed.
type Checker interface {
	// Token gets an access token with the configuration's secrets, or has the platform check the
	// one in the configuration. It uses no cached token.
	Token(ctx context.Context) Finding
	// Scopes lists what the app may do, and finds what the bot needs.
	Scopes(ctx context.Context) Finding
	// Conversation looks up a conversation, and the bot in it.
	Conversation(ctx context.Context, id string) Finding
	// Send sends a text to a conversation, shown as it is.
	Send(ctx context.Context, id, text string) Finding
}

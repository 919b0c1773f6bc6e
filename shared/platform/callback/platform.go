package callback

import "chatconf/shared/command"

// A Platform is a chat platform. A function links only the methods that it calls, so one that
// manages configurations links neither receivers nor senders.
type Platform interface {
	// Description returns its names and its settings, for the control plane.
	Description() command.Platform
	// NewReceiver returns the receiver of a configuration. It fails if a secret is missing.
	NewReceiver(Settings) (Receiver, error)
	// NewSender returns the sender of a configuration. It fails for good if the platform has no way
	// to answer later.
	NewSender(Settings, *Client) (Sender, error)
}

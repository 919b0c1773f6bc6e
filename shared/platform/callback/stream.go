package callback

import (
	"context"
	"time"

	"chatconf/shared/secret"
)

// A Streamable is a Platform to which chatconf can open connections: those of a configuration whose
// Receive is Stream.
type Streamable interface {
	Platform
	// NewStream returns the stream of a configuration. It fails if a setting is missing.
	NewStream(Settings, *Client) (Stream, error)
}

// A Stream opens the connections of one configuration. It holds secrets, and is safe for concurrent
// use.
type Stream interface {
	// Open opens a connection and signs in. It returns when the platform has accepted the
	// connection. If its error has a method Retryable() bool that returns false, a setting is wrong
	// and a retry cannot help; otherwise it can. The error holds no secret and no address.
	Open(ctx context.Context, d Dialer) (Connection, error)
}

// A Connection is an open connection to a platform. One goroutine calls Next; the other methods and
// those of deliveries may be called meanwhile.
type Connection interface {
	Answerer
	// Next waits for the next delivery. It answers by itself what belongs to the protocol alone,
	// such as the platform's pings. After an error the connection delivers nothing more; an *Ended
	// says why it ended.
	Next(ctx context.Context) (*Delivery, error)
	// PingEvery is how often Ping must be called; zero means never.
	PingEvery() time.Duration
	// Ping sends the heartbeat of the platform's own protocol. It returns an error if the platform
	// did not answer the last heartbeats.
	Ping(ctx context.Context) error
	// Close ends the connection, and Next.
	Close() error
}

// A Sending is a Connection over which answers can be sent after the acknowledgement.
type Sending interface {
	Connection
	Sender
}

// A Delivery is what the platform sent over a connection: something received, or a notice.
type Delivery struct {
	// Received is what a Receiver returns for the same callback. Without Received and Refused, the
	// delivery is only acknowledged.
	Received *Received
	// Refused is a *Refusal if the delivery is not for this configuration, or could not be read.
	Refused error
	// Renew says that the platform will end the connection soon, and why. A new connection takes
	// its place before this one ends. Such a delivery has nothing else.
	Renew string
	// Acknowledge tells the platform that the delivery was recorded, with the answer. It is nil if
	// the platform waits for nothing. A Response with a status other than 200 says that the
	// delivery was not recorded. 401 means that it was refused. Any other status asks the platform
	// to deliver it again.
	Acknowledge func(context.Context, *Response) error
}

// An Ended is the error of a Connection that the platform or the network has ended.
type Ended struct {
	Reason string // for the owner of the configuration
	// Replaced says that another connection of the same app has taken the place of this one.
	Replaced bool
}

// Error returns the reason.
func (e *Ended) Error() string { return e.Reason }

// A Dialer opens WebSocket connections to platforms.
type Dialer interface {
	Dial(ctx context.Context, d Dial) (Socket, error)
}

// A Dial is where a connection leads, and how.
type Dial struct {
	What string // for errors, such as "slack: Socket Mode"
	URL  secret.Text
	// Hosts are the allowed hosts of the URL. One that begins with a dot stands for all names below
	// it.
	Hosts   []string
	Headers map[string]secret.Text
	Binary  bool // messages are binary; else text
	// CodeHeader is the response header with the platform's code if it refuses the connection;
	// empty if the platform has no such header.
	CodeHeader string
}

// A Socket is a WebSocket connection. It detects by itself that the other side is gone; then Read
// fails. One goroutine reads, any number may write. Its errors hold no address and no secret.
type Socket interface {
	// Read returns the next message. An *Ended says why the other side has closed the connection.
	Read(ctx context.Context) ([]byte, error)
	Write(ctx context.Context, message []byte) error
	Close() error
}

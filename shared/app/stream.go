package app

import (
	"context"
	"io"
	"net/http"

	"chatconf/shared/chat"
	"chatconf/shared/command"
	"chatconf/shared/dispatch"
	"chatconf/shared/journal"
	"chatconf/shared/platform/callback"
	"chatconf/shared/table"
	"chatconf/shared/webhook"
)

// StreamParts are what a process needs to open connections to chat platforms.
type StreamParts struct {
	Service *chat.Service
	Journal *journal.Journal
	Table   table.Table // of the configurations
	Alone   bool        // no other process uses the tables
	Max     int         // CHATCONF_MAX_STREAMS; 0: the default
	Client  *callback.Client
	// Transport connects to the platforms.
	Transport http.RoundTripper
	// Arrive records what came over a connection, and starts its dispatch.
	Arrive func(context.Context, command.Ref, callback.Answerer, *callback.Received, error) *callback.Response
}

// Streams are the connections of a process to chat platforms.
type Streams interface {
	// Start begins to open connections.
	Start(context.Context)
	// Send answers a message over the connection of a configuration. Its error is that of a Sender.
	Send(ctx context.Context, of command.Ref, to command.ReplyTo, text string) error
	// Close finishes the deliveries that have arrived, and closes the connections.
	io.Closer
}

// Streaming returns the role with connections to chat platforms. Only a process that runs all the
// time has them. No function links the code that opens them.
func (r Role) Streaming(open func(StreamParts) (Streams, error)) Role {
	r.streams = open
	return r
}

// Connect is the role of a process that only holds connections: it serves neither requests nor
// events. It dispatches commands itself. The targets are in the cloud that read returns.
func Connect(read dispatch.CloudReader, open func(StreamParts) (Streams, error)) Role {
	return Role{cloud: read, open: (*parts).localWebhook}.Streaming(open)
}

// openStreams makes the connections of a process whose role has them; Start opens them. Deliveries
// go to the handler that arrive returns.
func (p *parts) openStreams(arrive func() *webhook.Handler) error {
	if p.opener == nil {
		return nil
	}
	transport, client, err := p.platforms()
	if err != nil {
		return err
	}
	p.streams, err = p.opener(StreamParts{
		Service:   p.Service,
		Journal:   p.Journal,
		Table:     p.tables.Configurations,
		Alone:     p.tables.Alone,
		Max:       p.settings.MaxStreams,
		Client:    client,
		Transport: transport,
		Arrive: func(ctx context.Context, of command.Ref, a callback.Answerer, received *callback.Received,
			refused error) *callback.Response {
			return arrive().Arrive(ctx, of, a, received, refused)
		},
	})
	return err
}

// A streamSender sends answers over the connection of a configuration, and others by the API of the
// platform.
type streamSender struct {
	dispatch.Sender
	streams Streams
	of      command.Ref
}

// Send implements dispatch.Sender.
func (s *streamSender) Send(ctx context.Context, to command.ReplyTo, text string) error {
	if to.Kind == command.ReplyStream {
		return s.streams.Send(ctx, s.of, to, text)
	}
	return s.Sender.Send(ctx, to, text)
}

package platformtest

import (
	"context"
	"slices"
	"sync"

	"chatconf/shared/platform/callback"
)

// A Socket is a connection to a platform in tests of clients, and the Dialer of it. The platform
// sends frames that the test gives, and then ends the connection.
type Socket struct {
	// Refused is the error of Dial, if set.
	Refused error
	// Reply returns the frames that the platform sends for a written one, if set.
	Reply func(written string) []string

	mu      sync.Mutex
	dialed  []callback.Dial
	frames  [][]byte
	written []string
	closed  bool
	broken  error
}

var (
	_ callback.Dialer = (*Socket)(nil)
	_ callback.Socket = (*Socket)(nil)
)

// NewSocket returns a socket over which the platform sends the frames.
func NewSocket(frames ...string) *Socket {
	s := new(Socket)
	s.Send(frames...)
	return s
}

// Send adds frames to those that the platform sends.
func (s *Socket) Send(frames ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range frames {
		s.frames = append(s.frames, []byte(f))
	}
}

// Break lets all writes fail.
func (s *Socket) Break(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = err
}

// Dial implements callback.Dialer.
func (s *Socket) Dial(ctx context.Context, d callback.Dial) (callback.Socket, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dialed = append(s.dialed, d)
	if s.Refused != nil {
		return nil, s.Refused
	}
	return s, ctx.Err()
}

// Dialed returns how the socket was dialed.
func (s *Socket) Dialed() []callback.Dial {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.dialed)
}

// Read implements callback.Socket. After the last frame it returns a *callback.Ended.
func (s *Socket) Read(ctx context.Context) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case s.closed || len(s.frames) == 0:
		return nil, &callback.Ended{Reason: "the platform closed the connection"}
	}
	frame := s.frames[0]
	s.frames = s.frames[1:]
	return frame, nil
}

// Write implements callback.Socket.
func (s *Socket) Write(ctx context.Context, message []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case s.closed:
		return &callback.Ended{Reason: "the connection is closed"}
	case s.broken != nil:
		return s.broken
	}
	s.written = append(s.written, string(message))
	if s.Reply != nil {
		for _, f := range s.Reply(string(message)) {
			s.frames = append(s.frames, []byte(f))
		}
	}
	return nil
}

// Written returns what was written since its last call.
func (s *Socket) Written() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.written
	s.written = nil
	return all
}

// Close implements callback.Socket.
func (s *Socket) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

// Closed reports whether the socket was closed.
func (s *Socket) Closed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

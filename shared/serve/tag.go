package serve

import (
	"context"
	"log/slog"
)

// The attributes that identify the invocation of a log line.
const (
	requestIDKey = "request_id"
	functionKey  = "function"
)

// tag returns a logger that adds the function, and the request id where a line has none. Unlike
// Logger.With, it costs nothing for an invocation that logs nothing.
func tag(l *slog.Logger, requestID, function string) *slog.Logger {
	return slog.New(&tagged{l.Handler(), requestID, function})
}

// A tagged handler adds the request id and the function to records.
type tagged struct {
	slog.Handler
	requestID, function string
}

var _ slog.Handler = (*tagged)(nil)

// Handle adds the tags. It converts the time to UTC: clouds use no other zone, and loading the
// local one would slow down a cold start.
func (h *tagged) Handle(ctx context.Context, r slog.Record) error {
	tagged := false
	r.Attrs(func(a slog.Attr) bool {
		tagged = a.Key == requestIDKey
		return !tagged
	})
	r = r.Clone()
	r.Time = r.Time.UTC()
	if !tagged {
		r.AddAttrs(slog.String(requestIDKey, h.requestID))
	}
	if h.function != "" {
		r.AddAttrs(slog.String(functionKey, h.function))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h *tagged) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &tagged{h.Handler.WithAttrs(attrs), h.requestID, h.function}
}

// WithGroup implements slog.Handler. The tags stay outside of the group.
func (h *tagged) WithGroup(name string) slog.Handler {
	attrs := []slog.Attr{slog.String(requestIDKey, h.requestID)}
	if h.function != "" {
		attrs = append(attrs, slog.String(functionKey, h.function))
	}
	return h.Handler.WithAttrs(attrs).WithGroup(name)
}

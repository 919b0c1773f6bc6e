package serve

import (
	"context"
	"log/slog"
)

// The attributes that say which invocation a log line is about.
const (
	requestIDKey = "request_id"
	functionKey  = "function"
)

// tag returns a logger whose lines say the request id, unless they do so themselves, and the
// function. It costs an invocation that logs nothing next to nothing, which Logger.With does not.
func tag(l *slog.Logger, requestID, function string) *slog.Logger {
	return slog.New(&tagged{l.Handler(), requestID, function})
}

// A tagged handler adds request id and function to records.
type tagged struct {
	slog.Handler
	requestID, function string
}

var _ slog.Handler = (*tagged)(nil)

// Handle adds the tags and hands the record on. Its time is in UTC: a cloud has no other, and to
// look for the machine's own would cost a cold start the time of a request.
func (h *tagged) Handle(ctx context.Context, r slog.Record) error {
	said := false
	r.Attrs(func(a slog.Attr) bool {
		said = a.Key == requestIDKey
		return !said
	})
	r = r.Clone()
	r.Time = r.Time.UTC()
	if !said {
		r.AddAttrs(slog.String(requestIDKey, h.requestID))
	}
	if h.function != "" {
		r.AddAttrs(slog.String(functionKey, h.function))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs returns a handler that adds attributes and tags.
func (h *tagged) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &tagged{h.Handler.WithAttrs(attrs), h.requestID, h.function}
}

// WithGroup returns a handler for a group. The tags stay outside of it.
func (h *tagged) WithGroup(name string) slog.Handler {
	attrs := []slog.Attr{slog.String(requestIDKey, h.requestID)}
	if h.function != "" {
		attrs = append(attrs, slog.String(functionKey, h.function))
	}
	return h.Handler.WithAttrs(attrs).WithGroup(name)
}

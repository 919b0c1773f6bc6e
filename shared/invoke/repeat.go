package invoke

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

type repeatKey struct{}

// Repeatable marks the log lines of a context as possible repeats. A CollapseRepeats handler writes
// the first line of a key at once and counts the following ones. The key identifies equal lines. It
// must contain nothing that an unauthenticated client can vary.
func Repeatable(ctx context.Context, key string) context.Context {
	return context.WithValue(ctx, repeatKey{}, key)
}

// maxRepeats limits the keys that are counted at once. Lines beyond it are written immediately.
const maxRepeats = 1000

// A Collapser is a slog.Handler that replaces repeated lines by a count. It writes the first line
// of a Repeatable key at once. It only counts the following lines within the window. At the end of
// the window it writes the first line again, with the count as followed_by. All other lines are
// written immediately.
type Collapser struct {
	slog.Handler
	repeats *repeats // shared by all handlers made from one
}

// repeats are the keys with an open window.
type repeats struct {
	window time.Duration
	mu     sync.Mutex
	open   map[string]*repeat
}

// A repeat is a line and the number of lines that followed it.
type repeat struct {
	handler slog.Handler
	first   slog.Record
	count   int
	timer   *time.Timer
}

var _ slog.Handler = (*Collapser)(nil)

// CollapseRepeats returns a Collapser that writes to h.
func CollapseRepeats(h slog.Handler, window time.Duration) *Collapser {
	return &Collapser{h, &repeats{window: window, open: make(map[string]*repeat)}}
}

// Handle implements slog.Handler.
func (c *Collapser) Handle(ctx context.Context, record slog.Record) error {
	if key, ok := ctx.Value(repeatKey{}).(string); ok && !c.repeats.first(key, c.Handler, record) {
		return nil
	}
	return c.Handler.Handle(ctx, record)
}

// WithAttrs implements slog.Handler.
func (c *Collapser) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &Collapser{c.Handler.WithAttrs(attrs), c.repeats}
}

// WithGroup implements slog.Handler.
func (c *Collapser) WithGroup(name string) slog.Handler {
	return &Collapser{c.Handler.WithGroup(name), c.repeats}
}

// Flush ends all open windows and writes their counts.
func (c *Collapser) Flush() {
	c.repeats.mu.Lock()
	open := c.repeats.open
	c.repeats.open = make(map[string]*repeat)
	c.repeats.mu.Unlock()
	for _, r := range open {
		r.timer.Stop()
		r.write()
	}
}

// first reports whether a line must be written now. Otherwise it is counted.
func (r *repeats) first(key string, h slog.Handler, record slog.Record) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if known := r.open[key]; known != nil {
		known.count++
		return false
	}
	if len(r.open) >= maxRepeats {
		return true
	}
	now := &repeat{handler: h, first: record.Clone()}
	r.open[key] = now
	now.timer = time.AfterFunc(r.window, func() { r.end(key, now) })
	return true
}

func (r *repeats) end(key string, ended *repeat) {
	r.mu.Lock()
	if r.open[key] != ended {
		r.mu.Unlock()
		return // Flush already closed it
	}
	delete(r.open, key)
	r.mu.Unlock()
	ended.write()
}

// write writes the line again with its count.
func (r *repeat) write() {
	if r.count == 0 {
		return
	}
	record := slog.NewRecord(time.Now(), r.first.Level, r.first.Message, r.first.PC)
	r.first.Attrs(func(a slog.Attr) bool { record.AddAttrs(a); return true })
	record.AddAttrs(slog.Int("followed_by", r.count))
	r.handler.Handle(context.Background(), record) // there is no place to report an error
}

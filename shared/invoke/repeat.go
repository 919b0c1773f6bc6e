package invoke

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

type repeatKey struct{}

// Repeatable returns a context whose log lines may be some of many: a handler of CollapseRepeats
// writes the first of a key at once, and counts those that follow it. The key says what is equal
// about them. It must hold nothing that a stranger can vary at will.
func Repeatable(ctx context.Context, key string) context.Context {
	return context.WithValue(ctx, repeatKey{}, key)
}

// maxRepeats is how many keys are counted at once. A line beyond that is written as it comes.
const maxRepeats = 1000

// A Collapser is a slog.Handler that makes one line of many equal ones. Of the lines whose context
// is of one Repeatable key it writes the first at once. Those that follow within the window are not
// written, but counted; if there were any, the first is written once more at the end of the window,
// with their number as followed_by. All other lines go through.
type Collapser struct {
	slog.Handler
	repeats *repeats // of all handlers that were made from one
}

// repeats are the keys whose window is open.
type repeats struct {
	window time.Duration
	mu     sync.Mutex
	open   map[string]*repeat
}

// A repeat is a line, and how many followed it.
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

// Flush writes how many lines followed those whose window is still open.
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

// first reports whether a line is to be written now. If not, it is counted.
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

// end closes the window of a key.
func (r *repeats) end(key string, ended *repeat) {
	r.mu.Lock()
	if r.open[key] != ended {
		r.mu.Unlock()
		return // Flush was faster
	}
	delete(r.open, key)
	r.mu.Unlock()
	ended.write()
}

// write writes the line once more with the number of those that followed it.
func (r *repeat) write() {
	if r.count == 0 {
		return
	}
	record := slog.NewRecord(time.Now(), r.first.Level, r.first.Message, r.first.PC)
	r.first.Attrs(func(a slog.Attr) bool { record.AddAttrs(a); return true })
	record.AddAttrs(slog.Int("followed_by", r.count))
	r.handler.Handle(context.Background(), record) // there is nobody to tell an error
}

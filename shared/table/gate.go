package table

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"unicode/utf8"
)

// A Gate is where an adapter's calls begin. It checks them, and implements the port's rule for
// Close: calls in progress finish, later ones are ErrClosed. The zero Gate is open.
type Gate struct {
	Text bool // the engine's keys are text: a key that is not UTF-8 is ErrInvalid

	calls  sync.RWMutex // read-locked by every call in progress
	closed atomic.Bool
}

// Enter begins a call. If it returns nil, end the call with Leave. It returns the error of a
// context that has ended, or ErrClosed.
func (g *Gate) Enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if g.closed.Load() { // so that a refused call does not wait for Close
		return ErrClosed
	}
	g.calls.RLock()
	if g.closed.Load() {
		g.calls.RUnlock()
		return ErrClosed
	}
	return nil
}

// EnterGet is Enter for a Get with these keys.
func (g *Gate) EnterGet(ctx context.Context, keys []Key) error {
	err := CheckGet(keys)
	for _, k := range keys {
		err = cmp.Or(err, g.checkText("get", k.Partition), g.checkText("get", k.Sort))
	}
	return g.enter(ctx, "get", err)
}

// EnterQuery is Enter for a Query of r.
func (g *Gate) EnterQuery(ctx context.Context, r Range) error {
	err := cmp.Or(CheckQuery(r), g.checkText("query", r.Partition), g.checkText("query", r.Prefix),
		g.checkText("query", r.After))
	return g.enter(ctx, "query", err)
}

// EnterPartitions is Enter for a Partitions call.
func (g *Gate) EnterPartitions(ctx context.Context, after string, limit int) error {
	return g.enter(ctx, "partitions", cmp.Or(CheckPartitions(after, limit), g.checkText("partitions", after)))
}

// EnterWrite is Enter for a Write of c.
func (g *Gate) EnterWrite(ctx context.Context, partition string, c Change) error {
	err := cmp.Or(CheckWrite(partition, c), g.checkText("write", partition))
	for _, p := range c.Puts {
		err = cmp.Or(err, g.checkText("write", p.Sort))
	}
	for _, d := range c.Deletes {
		err = cmp.Or(err, g.checkText("write", d.Sort))
	}
	for _, a := range c.Adds {
		err = cmp.Or(err, g.checkText("write", a.Sort))
	}
	return g.enter(ctx, "write", err)
}

func (g *Gate) checkText(verb, key string) error {
	if g.Text && !utf8.ValidString(key) {
		return fmt.Errorf("table: %s: key %.80q is not UTF-8: %w", verb, key, ErrInvalid)
	}
	return nil
}

// enter begins a call unless it is invalid.
func (g *Gate) enter(ctx context.Context, verb string, invalid error) error {
	if invalid != nil {
		return invalid
	}
	if err := g.Enter(ctx); err != nil {
		return fmt.Errorf("table: %s: %w", verb, err)
	}
	return nil
}

// Leave ends a call.
func (g *Gate) Leave() { g.calls.RUnlock() }

// Close refuses new calls and waits for those in progress. Closing twice is allowed.
func (g *Gate) Close() {
	g.closed.Store(true)
	g.calls.Lock()
	defer g.calls.Unlock()
}

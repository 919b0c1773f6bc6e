package table

import (
	"context"
	"sync"
	"sync/atomic"
)

// A Gate is how an adapter keeps what the port says of Close: calls under way are waited for, later
// ones are ErrClosed. The zero Gate is open.
type Gate struct {
	calls  sync.RWMutex // held for reading by every call under way
	closed atomic.Bool
}

// Enter begins a call. Without an error the call must end with Leave. The error is that of a
// context that has ended, or ErrClosed.
func (g *Gate) Enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if g.closed.Load() { // so that nobody waits to be turned away while Close does for others
		return ErrClosed
	}
	g.calls.RLock()
	if g.closed.Load() {
		g.calls.RUnlock()
		return ErrClosed
	}
	return nil
}

// Leave ends a call.
func (g *Gate) Leave() { g.calls.RUnlock() }

// Close lets no more calls in, and returns when the last one has left. Closing twice is closing
// once.
func (g *Gate) Close() {
	g.closed.Store(true)
	g.calls.Lock()
	defer g.calls.Unlock()
}

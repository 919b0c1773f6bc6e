package table

import (
	"context"
	"sync"
	"sync/atomic"
)

// A Gate implements the port's rule for Close: calls in progress finish, later ones are ErrClosed.
// The zero Gate is open.
type Gate struct {
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

// Leave ends a call.
func (g *Gate) Leave() { g.calls.RUnlock() }

// Close refuses new calls and waits for those in progress. Closing twice is allowed.
func (g *Gate) Close() {
	g.closed.Store(true)
	g.calls.Lock()
	defer g.calls.Unlock()
}

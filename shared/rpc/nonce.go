package rpc

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"time"

	"chatconf/shared/fault"
	"chatconf/shared/invoke"
	"chatconf/shared/rpc/sign"
	"chatconf/shared/table"
)

// NonceAge is how long a nonce must be remembered: from MaxSkew before the request's time to
// MaxSkew behind it, that moment included. A ticket table's time to live must be no shorter.
const NonceAge = 2*sign.MaxSkew + time.Second

// noncesKept bounds what one process remembers: a generation of this many nonces, and the one
// before.
const noncesKept = 500_000

// nonces are the nonces that this process saw, which keeps reads from being replayed to it. They
// are kept in two generations: the older is dropped when the younger is NonceAge old or full. A
// replay that comes after a full generation was dropped shows the caller's own answer once more.
type nonces struct {
	mu         sync.Mutex
	since      time.Time
	young, old map[[16]byte]struct{}
}

// use remembers a nonce and reports whether it is new.
func (n *nonces) use(now time.Time, accessKeyID, nonce string) bool {
	var text [sign.MaxAccessKeyID + 1 + sign.MaxNonce]byte // which is what nearly all fit into; others are allocated
	sum := sha256.Sum256(append(append(append(text[:0], accessKeyID...), 0), nonce...))
	key := [16]byte(sum[:16])
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.young == nil || now.Sub(n.since) >= NonceAge || len(n.young) >= noncesKept {
		n.old, n.young, n.since = n.young, make(map[[16]byte]struct{}), now
	}
	if _, ok := n.young[key]; ok {
		return false
	}
	if _, ok := n.old[key]; ok {
		return false
	}
	n.young[key] = struct{}{}
	return true
}

// A ticket is the proof, still on its way, that a nonce was never used anywhere: a conditional
// write that runs beside the action's first read. Nothing may be changed before wait says so.
type ticket struct {
	done chan struct{}
	err  error
}

// ticketTime bounds the write of a ticket, which no longer has its request's deadline.
const ticketTime = 30 * time.Second

// punch starts to write the ticket of a nonce. The write goes on when the request ends early, so
// that the nonce is spent in any case.
func punch(ctx context.Context, tickets table.Table, accessKeyID, nonce string) *ticket {
	t := &ticket{done: make(chan struct{})}
	go func() {
		defer close(t.done)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ticketTime)
		defer cancel()
		err := writeTicket(ctx, tickets, accessKeyID, nonce)
		var used *table.ConditionError
		switch {
		case errors.As(err, &used):
			t.err = errNonceUsed
		case errors.Is(err, table.ErrUnsupported):
			t.err = &fault.Error{Code: fault.Unsupported, Err: err}
		case err != nil:
			t.err = &fault.Error{Code: fault.Unavailable, Err: err}
		}
	}()
	return t
}

// writeTicket writes the ticket of a nonce that was never used.
func writeTicket(ctx context.Context, tickets table.Table, accessKeyID, nonce string) (err error) {
	defer invoke.Recover("rpc", &err)
	return tickets.Write(ctx, "nonce/"+accessKeyID, table.Change{Puts: []table.Put{{Sort: nonce, If: table.Absent()}}})
}

// wait returns nil once the nonce is proven new.
func (t *ticket) wait(ctx context.Context) error {
	select {
	case <-t.done: // what is known counts, even where the context has ended since
		return t.err
	default:
	}
	select {
	case <-t.done:
		return t.err
	case <-ctx.Done():
		return &fault.Error{Code: fault.Unavailable, Err: ctx.Err()}
	}
}

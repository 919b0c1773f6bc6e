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

// NonceAge is how long a nonce must be remembered: from MaxSkew before the time of the request to
// MaxSkew after it, inclusive. The time to live of a ticket table must not be shorter.
const NonceAge = 2*sign.MaxSkew + time.Second

// noncesKept is the number of nonces in one generation.
const noncesKept = 500_000

// nonces are the nonces that this process has seen, so that reads cannot be replayed to it. There
// are two generations; the older is dropped when the younger is NonceAge old or full. After a full
// generation was dropped, a replay gets the caller's own answer again.
type nonces struct {
	mu         sync.Mutex
	since      time.Time
	young, old map[[16]byte]struct{}
}

func (n *nonces) use(now time.Time, accessKeyID, nonce string) bool {
	var text [sign.MaxAccessKeyID + 1 + sign.MaxNonce]byte // nearly all fit; the others are allocated
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

// A ticket is a conditional write that stores a nonce in the ticket table, while the action does
// its first read. Nothing may be changed before wait has returned nil.
type ticket struct {
	done chan struct{}
	err  error
}

// ticketTime bounds the write of a ticket, which does not have the request's deadline.
const ticketTime = 30 * time.Second

// startTicket starts to write the ticket of a nonce. The write continues when the request ends
// early, so the nonce is used in any case.
func startTicket(ctx context.Context, tickets table.Table, accessKeyID, nonce string) *ticket {
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

func writeTicket(ctx context.Context, tickets table.Table, accessKeyID, nonce string) (err error) {
	defer invoke.Recover("rpc", &err)
	return tickets.Write(ctx, "nonce/"+accessKeyID, table.Change{Puts: []table.Put{{Sort: nonce, If: table.Absent()}}})
}

// wait returns nil when the nonce is known to be new.
func (t *ticket) wait(ctx context.Context) error {
	select {
	case <-t.done: // a known result counts, even if the context has ended since
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

package serve

import (
	"context"
	"errors"
	"sync"
	"time"
)

// A Running is a program under a runtime that delivers payloads: it knows what is under way, and ends once.
type Running struct {
	program Program

	mu       sync.Mutex
	underWay int
	idle     chan struct{} // closed when nothing is under way any more; nil if nobody waits for that
	close    func() error
}

// Start returns p, ready for its first delivery. It does nothing yet.
func Start(p Program) *Running {
	return &Running{program: p, close: sync.OnceValue(func() error { return Close(p) })}
}

// Deliver is the function Deliver, counted.
func (r *Running) Deliver(ctx context.Context, c Call, payload []byte) ([]byte, error) {
	r.count(1)
	defer r.count(-1)
	return Deliver(ctx, r.program, c, payload)
}

func (r *Running) count(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.underWay += n
	if r.underWay == 0 && r.idle != nil {
		close(r.idle)
		r.idle = nil
	}
}

// errCutOff is the error of deliveries that took longer than they were waited for.
var errCutOff = errors.New("serve: invocations under way were cut off")

// Stop waits until nothing is under way, for limit at most, and closes the program, if that was not done. Where something was under way it lets sending
// pass first, in which the runtime can send the last answer: no SDK says when it has. What Stop returns is what closing returned.
func (r *Running) Stop(limit, sending time.Duration) error {
	idle := r.waits()
	if idle == nil {
		return r.close()
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	var cut error
	select {
	case <-idle:
		timer.Reset(sending)
		<-timer.C
	case <-timer.C:
		cut = errCutOff
	}
	return errors.Join(cut, r.close())
}

// waits returns a channel that will be closed when nothing is under way any more, nil if nothing is.
func (r *Running) waits() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.underWay > 0 && r.idle == nil {
		r.idle = make(chan struct{})
	}
	return r.idle
}

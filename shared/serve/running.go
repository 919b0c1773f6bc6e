package serve

import (
	"context"
	"errors"
	"sync"
	"time"
)

// A Running is a function under a runtime that delivers payloads: it knows what is under way, and
// ends once.
type Running struct {
	function Function

	mu       sync.Mutex
	underWay int
	done     time.Time     // when the last one was, whose answer may not be sent yet; zero if it was waited for
	idle     chan struct{} // closed when nothing is under way any more; nil if nobody waits for that
	close    func() error
}

// Start returns p, ready for its first delivery. It does nothing yet.
func Start(p Function) *Running {
	return &Running{function: p, close: sync.OnceValue(func() error { return Close(p) })}
}

// Deliver is the function Deliver, counted.
func (r *Running) Deliver(ctx context.Context, c Call, payload []byte) ([]byte, error) {
	r.count(1)
	defer r.count(-1)
	return Deliver(ctx, r.function, c, payload)
}

func (r *Running) count(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.underWay += n; n < 0 {
		r.done = time.Now()
	}
	if r.underWay == 0 && r.idle != nil {
		close(r.idle)
		r.idle = nil
	}
}

// errCutOff is the error of deliveries that took longer than they were waited for.
var errCutOff = errors.New("serve: invocations under way were cut off")

// Stop waits until nothing is under way, for limit at most, and closes the function, if that was
// not done. It lets sending pass since something was under way, in which the runtime can send the
// last answer: no SDK says when it has. What Stop returns is what closing returned.
func (r *Running) Stop(limit, sending time.Duration) error {
	var cut error
	if idle := r.waits(); idle != nil {
		timer := time.NewTimer(limit)
		defer timer.Stop()
		select {
		case <-idle:
		case <-timer.C:
			cut = errCutOff
		}
	}
	if cut == nil {
		r.send(sending)
	}
	return errors.Join(cut, r.close())
}

// send lets sending pass since the last answer was given to the runtime, once.
func (r *Running) send(sending time.Duration) {
	r.mu.Lock()
	done := r.done
	r.mu.Unlock()
	time.Sleep(sending - time.Since(done))
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.done.Equal(done) {
		r.done = time.Time{}
	}
}

// waits returns a channel that will be closed when nothing is under way any more, nil if nothing
// is.
func (r *Running) waits() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.underWay > 0 && r.idle == nil {
		r.idle = make(chan struct{})
	}
	return r.idle
}

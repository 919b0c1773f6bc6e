package serve

import (
	"context"
	"errors"
	"sync"
	"time"
)

// A Running is a function under a runtime that delivers payloads. It counts current deliveries.
type Running struct {
	function Function

	mu       sync.Mutex
	underWay int
	done     time.Time     // the end of the last delivery, whose answer the runtime may still be sending
	idle     chan struct{} // closed when the last delivery ends; nil: nothing waits
	close    func() error
}

// Start returns p, ready for its first delivery.
func Start(p Function) *Running {
	return &Running{function: p, close: sync.OnceValue(func() error { return Close(p) })}
}

// Deliver calls the function Deliver.
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

var errCutOff = errors.New("serve: the time to stop is over; current invocations were cut off")

// Stop waits up to limit for current deliveries, then closes the function once. Before that it
// waits until sending has passed since the last delivery, in which the runtime can send the last
// answer: no SDK tells when it has.
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

// send waits until sending has passed since the last delivery, once.
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

// waits returns a channel that is closed when the last delivery ends; nil if none.
func (r *Running) waits() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.underWay > 0 && r.idle == nil {
		r.idle = make(chan struct{})
	}
	return r.idle
}

package runtime

import (
	"context"
	"runtime/debug"
	"sync"
	"time"
)

// InvokeAsync accepts an invocation and returns its id without waiting for the result. It is
// Lambda's invocation type Event and FC's Async. A failed invocation is retried as often as the
// function allows. If done is not nil, it is called with the last result. An *Error means that the
// invocation was not accepted.
func (h *Host) InvokeAsync(_ context.Context, name string, r Request,
	done func(*Result)) (requestID string, err error) {
	p, err := h.pool(name)
	if err != nil {
		return "", err
	}
	c, err := p.newCall(r)
	if err != nil {
		return "", err
	}
	c.patient = true
	if err := p.async.take(); err != nil {
		return "", err
	}
	go p.async.run(c, done)
	return c.id, nil
}

// An asyncQueue limits the asynchronous invocations of a function and delays their retries.
type asyncQueue struct {
	pool *pool

	mu      sync.Mutex
	pending int
	closed  bool
	calls   sync.WaitGroup
	rush    chan struct{} // closed when delays end
	gone    chan struct{} // closed when retries end
}

func (q *asyncQueue) take() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return &Error{Code: Closed, Message: "the host is being closed"}
	}
	if q.pending >= q.pool.host.o.Pending {
		return &Error{Code: Throttled, Message: q.pool.cloud.throttled}
	}
	q.pending++
	q.calls.Add(1)
	return nil
}

func (q *asyncQueue) run(c *call, done func(*Result)) {
	defer func() {
		q.mu.Lock()
		q.pending--
		q.mu.Unlock()
		q.calls.Done()
	}()
	for {
		if err := q.pool.submit(c); err != nil {
			c.outcome = errorDocument{Message: err.Error()}.outcome(InitFailed)
		} else {
			<-c.done
		}
		if c.outcome.failure == Answered || c.retry >= q.pool.fn.Retries ||
			!q.sleep(q.pool.host.o.RetryDelay(c.retry+1)) {
			break
		}
		c = &call{id: c.id, payload: c.payload, request: c.request, patient: true, retry: c.retry +
			1, done: make(chan struct{})}
	}
	if done != nil {
		q.tell(done, c.result())
	}
}

func (q *asyncQueue) tell(done func(*Result), result *Result) {
	defer func() {
		if v := recover(); v != nil {
			q.pool.host.panicked(v, debug.Stack())
		}
	}()
	done(result)
}

// sleep waits between two attempts. It returns false if there is no next attempt.
func (q *asyncQueue) sleep(d time.Duration) bool {
	over := make(chan struct{})
	stop := q.pool.host.o.Clock.AfterFunc(d, func() { close(over) })
	defer stop()
	select {
	case <-over:
	case <-q.rush:
	case <-q.gone:
	}
	select {
	case <-q.gone:
		return false
	default:
		return true
	}
}

// hurry refuses new invocations and ends all delays.
func (q *asyncQueue) hurry() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	close(q.rush)
}

func (q *asyncQueue) drop() { close(q.gone) }

func (q *asyncQueue) wait() { q.calls.Wait() }

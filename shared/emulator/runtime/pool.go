package runtime

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A pool holds a function and its processes.
type pool struct {
	host  *Host
	fn    Function
	cloud *cloud
	arn   string

	calls  sync.WaitGroup // not finished; without hooks
	mu     sync.Mutex
	closed bool
	ended  bool // no more starts
	all    map[*instance]struct{}
	live   int         // all that are not stopping
	fresh  int         // live ones that are not ready
	free   []*instance // that wait for work; the last one was used last
	queue  []*call     // oldest first
	ids    map[string]struct{}
	began  int
	armed  bool // a timer for idle instances is set
	// ending counts answered invocations whose process did not ask for the next one yet. That takes
	// very little time, so a new call waits for them briefly instead of starting a process.
	ending int
	hoping bool    // a timer ends that wait
	over   []*call // finished; their callers are not informed yet
	async  *asyncQueue

	http atomic.Bool // the function uses fc.StartHttp
}

func newPool(h *Host, f Function) *pool {
	p := &pool{host: h, fn: f, cloud: clouds[f.Kind], arn: f.arn(), all: map[*instance]struct{}{},
		ids: map[string]struct{}{}}
	p.http.Store(f.http)
	p.async = &asyncQueue{pool: p, rush: make(chan struct{}), gone: make(chan struct{})}
	return p
}

func (p *pool) newHook(h hook) *call {
	return &call{id: p.host.o.NewID(p.fn.Kind), hook: h, done: make(chan struct{})}
}

func (p *pool) now() time.Time { return p.host.o.Clock.Now() }

func (p *pool) stats() Stats {
	p.mu.Lock()
	defer p.unlock()
	return Stats{Processes: len(p.all), Idle: len(p.free), Started: p.began, Queued: len(p.queue)}
}

// submit gives a call to a process or puts it in the queue.
func (p *pool) submit(c *call) error {
	p.mu.Lock()
	defer p.unlock()
	if p.ended || p.closed && !c.patient {
		return &Error{Code: Closed, Message: "the host is being closed"}
	}
	if _, used := p.ids[c.id]; used {
		return &Error{Code: BadRequest, Message: "the request id is already in use"}
	}
	if len(p.free) == 0 && p.live >= p.fn.Limit && !c.patient && len(p.queue) >= p.fresh+p.ending+
		max(p.fn.Queue, 0) {
		return &Error{Code: Throttled, Message: p.cloud.throttled}
	}
	p.calls.Add(1)
	p.ids[c.id] = struct{}{}
	if n := len(p.free); n > 0 {
		p.free[n-1].giveLocked(c)
		return nil
	}
	p.queue = append(p.queue, c)
	p.growLocked()
	return nil
}

// endingTime is how long a call waits for a process that has answered and will ask again.
const endingTime = 20 * time.Millisecond

// growLocked starts processes for calls that no existing process will take.
func (p *pool) growLocked() {
	if p.ended {
		for c := p.popLocked(); c != nil; c = p.popLocked() {
			p.endLocked(c, errorDocument{Message: "the host was closed"}.outcome(InitFailed))
		}
	}
	p.startLocked(p.ending)
	if p.live < p.fn.Limit && len(p.queue) > p.fresh && !p.hoping {
		p.hoping = true
		time.AfterFunc(endingTime, func() { // not the host's clock: the clouds promise nothing here
			p.mu.Lock()
			defer p.unlock()
			p.hoping = false
			p.startLocked(0)
		})
	}
}

// startLocked starts a process for each waiting call but the number others.
func (p *pool) startLocked(others int) {
	for !p.ended && p.live < p.fn.Limit && len(p.queue) > p.fresh+others {
		in := newInstance(p)
		p.all[in] = struct{}{}
		p.live++
		p.fresh++
		p.began++
		go in.run()
	}
}

// withdraw removes a call whose caller left, if no process has taken it.
func (p *pool) withdraw(c *call) {
	p.mu.Lock()
	defer p.unlock()
	if i := slices.Index(p.queue, c); i >= 0 {
		p.queue = slices.Delete(p.queue, i, i+1)
		p.endLocked(c, outcome{failure: Exited})
	}
}

func (p *pool) popLocked() *call {
	if len(p.queue) == 0 {
		return nil
	}
	c := p.queue[0]
	p.queue[0] = nil
	p.queue = p.queue[1:]
	return c
}

// againLocked gives a call that an instance did not receive to one that is free, or puts it at the
// front of the queue.
func (p *pool) againLocked(in *instance, c *call) {
	p.queue = append([]*call{c}, p.queue...)
	p.offerLocked(in)
	if n := len(p.free); n > 0 && len(p.queue) > 0 {
		p.free[n-1].giveLocked(p.popLocked())
	}
	p.growLocked()
}

// offerLocked gives a waiting call to an instance that waits for work, or marks the instance free.
func (p *pool) offerLocked(in *instance) {
	if in.stopping || !in.ready || in.call != nil || len(in.polls) == 0 {
		return
	}
	if c := p.popLocked(); c != nil {
		in.giveLocked(c)
		return
	}
	if !in.listed {
		in.listed = true
		p.free = append(p.free, in)
		in.idleSince = p.now()
		p.armLocked(p.fn.IdleTimeout)
	}
}

func (p *pool) unlistLocked(in *instance) {
	if !in.listed {
		return
	}
	in.listed = false
	i := slices.Index(p.free, in)
	p.free = slices.Delete(p.free, i, i+1)
}

func (p *pool) armLocked(d time.Duration) {
	if !p.armed && !p.closed {
		p.armed = true
		p.host.o.Clock.AfterFunc(d, p.reap)
	}
}

// reap stops the instances that were idle long enough.
func (p *pool) reap() {
	p.mu.Lock()
	p.armed = false
	var old []*instance
	next := time.Duration(-1)
	for _, in := range p.free {
		if left := p.fn.IdleTimeout - p.now().Sub(in.idleSince); left <= 0 {
			old = append(old, in)
		} else if next < 0 || left < next {
			next = left
		}
	}
	for _, in := range old {
		in.retireLocked()
	}
	if next >= 0 {
		p.armLocked(next)
	}
	p.unlock()
	for _, in := range old {
		p.host.o.Logger.Info("an idle process of a function is stopped", "function", p.fn.Name, "instance", in.id)
		go in.stop(context.Background())
	}
}

// finishLocked ends a call of an instance. It reports whether the call was still in progress.
func (p *pool) finishLocked(in *instance, c *call, o outcome) bool {
	if c.finished {
		return false
	}
	in.call = nil
	switch {
	case c.stopTimer == nil:
	case len(in.polls) == 0 && (o.failure == Answered || o.failure == Returned || o.failure == BodyTooLong):
		in.overtime = c.stopTimer // until it asks for more
	default:
		c.stopTimer()
	}
	if !c.delivered.IsZero() {
		c.report = in.reportLocked(c, o.failure)
	}
	if c.hook != invocation {
		c.finished, c.outcome = true, o
		p.over = append(p.over, c)
		return true
	}
	p.endLocked(c, o)
	return true
}

// unlock unlocks the pool. It then writes the log and informs the callers whose calls ended.
func (p *pool) unlock() {
	over := p.over
	p.over = nil
	p.mu.Unlock()
	for _, c := range over {
		if c.hook == invocation {
			p.log(&c.report)
			p.calls.Done()
		}
		close(c.done)
	}
}

// log writes the cloud's lines at the end of an invocation.
func (p *pool) log(r *Report) {
	if !p.host.logs {
		return
	}
	if p.fn.Kind == Lambda {
		p.platform(r.Instance, r.RequestID, "END RequestId: "+r.RequestID)
	}
	p.platform(r.Instance, r.RequestID, p.cloud.report(r))
}

func (p *pool) platform(instance, id, text string) {
	if p.host.logs {
		p.host.log(Line{Time: p.now(), Function: p.fn.Name, Instance: instance, RequestID: id, Stream: Platform,
			Text: text})
	}
}

// endLocked ends an invocation; unlock informs the caller.
func (p *pool) endLocked(c *call, o outcome) {
	if c.report.RequestID == "" {
		c.report = Report{Function: p.fn.Name, RequestID: c.id, Start: p.now(), Memory: p.fn.Memory, Failure: o.failure}
	}
	c.finished, c.outcome = true, o
	delete(p.ids, c.id)
	p.over = append(p.over, c)
}

// close waits for all calls and stops all instances. When ctx ends, it kills them.
func (p *pool) close(ctx context.Context) error {
	p.mu.Lock()
	p.closed = true
	p.unlock()
	p.async.hurry()
	idle := make(chan struct{})
	go func() {
		p.async.wait()
		p.calls.Wait()
		close(idle)
	}()
	var err error
	select {
	case <-idle:
	case <-ctx.Done():
		err = fmt.Errorf("function %s: %w", p.fn.Name, context.Cause(ctx))
		p.async.drop()
	}
	var all []*instance
	p.mu.Lock()
	for in := range p.all {
		all = append(all, in)
		if !in.stopping {
			in.retireLocked()
		}
	}
	p.ended = true
	p.growLocked()
	p.unlock()
	var wg sync.WaitGroup
	for _, in := range all {
		wg.Go(func() { in.stop(ctx) })
	}
	wg.Wait()
	<-idle // everything in progress has failed by now
	return err
}

package runtime

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"net"
	"os"
	"strconv"
	"time"
)

// An instance is one process of a function, with its runtime API.
type instance struct {
	pool   *pool
	id     string
	began  time.Time
	work   chan *call    // assigned calls for the process
	gone   chan struct{} // closed when the process is dead and all its calls are settled
	halt   chan struct{} // closed when the process is dead: no more deliveries
	output output
	memory memory

	proc *process // set before the API serves

	// Guarded by the pool's mutex.
	ready    bool
	stopping bool // no more calls are assigned
	dead     bool
	doomed   bool // kill the process as soon as it exists
	listed   bool // it is in pool.free
	slots    int  // calls that can be assigned now
	asked    int  // polls of a Lambda process that already has its maximum of calls
	// calls that came back from dead connections. An FC process frees their slots when it asks
	// again.
	unheard    int
	polls      int           // number of times it asked for work
	waiting    int           // connections that asked and got no call, dead ones included
	ending     int           // calls that it answered without asking again yet
	overtime   []func() bool // stop the timers of those calls
	flight     map[string]*call
	initDone   time.Duration // from start to ready; reported once
	idleSince  time.Time
	initCall   *call
	initError  *outcome // the init error that the process reported
	registered bool
	expired    bool // it received SIGTERM because a call timed out
	stopInit   func() bool
}

func newInstance(p *pool) *instance {
	var id [16]byte
	rand.Read(id[:])
	in := &instance{
		pool: p, id: hex.EncodeToString(id[:]), began: p.now(),
		work: make(chan *call, p.fn.Concurrency+2), // one more for a hook
		gone: make(chan struct{}), halt: make(chan struct{}),
		flight: map[string]*call{},
	}
	in.output.instance = in
	return in
}

// run starts the process, serves it, and settles its calls when it is dead.
func (in *instance) run() {
	how, err := in.start()
	if err != nil {
		in.pool.host.o.Logger.Error("cannot start a function's process", "function", in.pool.fn.Name, "err", err)
		how = err.Error()
	}
	in.settle(how)
}

// start runs the process until it ends, and returns how it ended.
func (in *instance) start() (how string, err error) {
	p := in.pool
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	server := server{serve: in.serve, admit: in.admit, limit: p.fn.MaxBody, panicked: p.host.panicked}
	p.mu.Lock()
	in.stopInit = p.host.o.Clock.AfterFunc(p.fn.InitTimeout, in.initTimedOut)
	p.unlock()
	proc, err := p.host.spawner.start(&p.fn, in.environment(l.Addr().String()), &in.output)
	if err != nil {
		return "", err
	}
	p.mu.Lock()
	in.proc = proc
	in.memory.of(proc.pid)
	doomed := in.stopping || in.doomed
	p.unlock()
	p.host.o.Logger.Info("a function's process was started", "function", p.fn.Name, "instance", in.id, "pid", proc.pid)
	if doomed {
		proc.kill()
	}
	go server.run(l, in.halt)
	how = proc.wait()
	in.output.finish()
	return how, nil
}

// errUnknownPeer means that the system does not identify the process behind a connection.
var errUnknownPeer = errors.New("the process behind the connection is unknown")

// admit reports whether a connection to the API belongs to the process or one of its children. Any
// other process could take invocations, with their credentials, and answer them. If the system
// cannot identify the process, the connection is served; then only the unknown port number protects
// the API.
func (in *instance) admit(conn net.Conn) bool {
	o := &in.pool.host.o
	if o.anyPeer {
		return true
	}
	err := checkPeer(conn, in.proc.pid)
	if errors.Is(err, errUnknownPeer) {
		in.pool.host.unchecked.Do(func() {
			o.Logger.Warn("this system does not identify the processes that connect to runtime APIs", "err", err)
		})
		return true
	}
	if err != nil {
		o.Logger.Warn("a connection to the runtime API was refused", "function", in.pool.fn.Name, "instance", in.id,
			"peer", conn.RemoteAddr().String(), "err", err)
	}
	return err == nil
}

// environment returns the environment of the process: a few of our variables, the cloud's, the
// function's, and the address of the API.
func (in *instance) environment(addr string) []string {
	var env []string
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	env = append(env, "GOMAXPROCS="+strconv.Itoa(in.pool.fn.cores()))
	env = append(env, in.pool.cloud.env(in)...)
	for name, value := range in.pool.fn.Env {
		env = append(env, name+"="+value)
	}
	return append(env, in.pool.cloud.variable+"="+addr) // os/exec uses the last of two values
}

// settle is called when the process is dead. Calls that it took fail; the others go to other
// processes. If the process never was ready, the call that has waited longest fails. So a function
// that cannot start fails each call once.
func (in *instance) settle(how string) {
	p := in.pool
	p.mu.Lock()
	in.dead = true
	close(in.halt)
	early := !in.ready && !in.stopping
	in.retireLocked()
	in.stopInit()
	delete(p.all, in)
	var lost []*call
	for _, c := range in.flight {
		if !c.delivered.IsZero() {
			p.finishLocked(in, c, p.cloud.exited(in, c.id, how).outcome(Exited))
		} else if c.hook == invocation {
			lost = append(lost, c)
		} else {
			p.finishLocked(in, c, outcome{failure: Exited})
		}
	}
	p.queue = append(lost, p.queue...)
	if early {
		if c := p.popLocked(); c != nil {
			o := p.cloud.exited(in, c.id, how).outcome(InitFailed)
			if in.initError != nil {
				o = *in.initError
			}
			c.log = in.output.initial
			p.endLocked(c, o)
		}
	}
	p.growLocked()
	p.unlock()
	if in.proc != nil {
		p.host.o.Logger.Info("a function's process ended", "function", p.fn.Name, "instance", in.id, "how", how)
	}
	close(in.gone)
}

// initTimedOut kills a process that did not become ready in time.
func (in *instance) initTimedOut() {
	in.pool.mu.Lock()
	defer in.pool.unlock()
	if in.ready || in.dead {
		return
	}
	o := errorDocument{Type: "Sandbox.Timedout", Message: "initialization timed out after " +
		in.pool.fn.InitTimeout.String()}.outcome(InitFailed)
	in.initError = &o
	in.killLocked()
}

// assignLocked assigns a call to the instance, which must have a free slot.
func (in *instance) assignLocked(c *call) {
	in.slots--
	if in.slots == 0 {
		in.pool.unlistLocked(in)
	}
	in.flight[c.id] = c
	in.work <- c // has room for as many calls as there are slots
}

// polled is called when the process asks for work.
func (in *instance) polled() {
	p := in.pool
	p.mu.Lock()
	defer p.unlock()
	in.polls++
	in.waiting++
	if in.unheard > 0 && p.fn.Kind == FC && in.ready {
		in.slots += in.unheard
		in.unheard = 0
		p.offerLocked(in)
	}
	if !in.ready {
		if p.fn.Initializer && in.initCall == nil {
			in.initCall = &call{id: p.host.o.NewID(p.fn.Kind), hook: initializer, done: make(chan struct{})}
			in.flight[in.initCall.id] = in.initCall
			in.work <- in.initCall
		}
		if in.initCall == nil {
			in.readyLocked()
		}
	}
	if p.fn.Kind == Lambda { // it asks again when its calls are finished
		in.asked++
		in.grantLocked()
	}
}

// grantLocked frees a slot for a Lambda process that asked for work and is below its maximum.
func (in *instance) grantLocked() {
	if in.asked == 0 || in.slots+len(in.flight) >= in.pool.fn.Concurrency {
		return
	}
	in.asked--
	in.slots++
	if in.ending > 0 {
		in.endingLocked(-1)
	}
	if len(in.overtime) > 0 {
		in.overtime[0]()
		in.overtime = in.overtime[1:]
	}
	in.pool.offerLocked(in)
}

// endingLocked updates the counts after an answer.
func (in *instance) endingLocked(n int) {
	if !in.stopping {
		in.ending += n
		in.pool.ending += n
	}
}

// readyLocked marks the instance as able to take calls.
func (in *instance) readyLocked() {
	p := in.pool
	if in.stopping {
		return
	}
	in.ready = true
	p.fresh--
	in.stopInit()
	in.initDone = p.now().Sub(in.began)
	if p.fn.Kind == FC { // an FC process asks for more while it works, so the host limits its calls
		in.slots = p.fn.Concurrency
		p.offerLocked(in)
	}
}

// deliver marks a call as taken by the process. It returns false if the call must not be delivered
// any more.
func (in *instance) deliver(c *call) bool {
	in.output.begin(c)
	p := in.pool
	p.mu.Lock()
	defer p.unlock()
	if in.dead || c.finished {
		return false
	}
	timeout := p.fn.Timeout
	switch c.hook {
	case initializer:
		timeout = p.fn.InitTimeout
	case preStop:
		timeout = p.host.o.Grace
	}
	c.delivered = p.now()
	c.deadline = c.delivered.Add(timeout)
	if c.hook == invocation {
		c.stopTimer = p.host.o.Clock.AfterFunc(timeout, func() { in.timedOut(c) })
	}
	return true
}

// takeBack takes back a call that was sent to a dead connection: the process did not receive it.
// The call goes to the next connection on which the process asked, or else to another process. A
// process that does not ask again is stopped after its init timeout.
func (in *instance) takeBack(c *call) {
	in.output.end(c)
	p := in.pool
	p.mu.Lock()
	defer p.unlock()
	if in.dead || c.finished { // settle did it
		return
	}
	if c.stopTimer != nil {
		c.stopTimer()
	}
	c.stopTimer, c.delivered, c.deadline = nil, time.Time{}, time.Time{}
	if in.waiting > 0 || c.hook != invocation { // a hook belongs to this process
		in.asked = max(in.asked-1, 0) // that of the dead connection
		in.work <- c                  // it has room for the call that came from it
		return
	}
	delete(in.flight, c.id)
	in.unheard++
	p.againLocked(c)
	polls := in.polls
	p.host.o.Clock.AfterFunc(p.fn.InitTimeout, func() {
		p.mu.Lock()
		defer p.unlock()
		if in.polls == polls && !in.dead {
			p.host.o.Logger.Warn("a function's process stopped asking for work and is killed", "function",
				p.fn.Name, "instance", in.id)
			in.killLocked()
		}
	})
}

// heard counts a connection that stopped waiting.
func (in *instance) heard() {
	in.pool.mu.Lock()
	in.waiting--
	in.pool.mu.Unlock()
}

// timedOut fails a call at its deadline and kills the process, as both clouds do. A Lambda process
// is also killed if it answered and has not finished.
func (in *instance) timedOut(c *call) {
	in.output.end(c)
	p := in.pool
	p.mu.Lock()
	first := p.finishLocked(in, c, p.cloud.timedOut(in, c).outcome(TimedOut))
	if first || in.ending > 0 {
		in.expireLocked()
	}
	p.unlock()
}

// expireLocked ends the process after a timeout. A Lambda process with an extension receives
// SIGTERM and has the grace period.
func (in *instance) expireLocked() {
	if !in.registered || in.stopping || in.dead {
		in.killLocked()
		return
	}
	in.expired = true
	in.retireLocked()
	in.proc.terminate()
	in.pool.host.o.Clock.AfterFunc(in.pool.host.o.Grace, func() {
		in.pool.mu.Lock()
		defer in.pool.unlock()
		in.killLocked()
	})
}

// killLocked kills the process at once. If the process was not ready, settle fails a call for it.
func (in *instance) killLocked() {
	in.doomed = true
	if in.proc != nil && !in.dead {
		in.proc.kill()
	}
	if in.ready {
		in.retireLocked()
	}
}

// complete ends a call with the answer of the process. It returns false if the call is not in
// progress.
func (in *instance) complete(c *call, o outcome) bool {
	in.output.end(c)
	p := in.pool
	p.mu.Lock()
	first := p.finishLocked(in, c, o)
	switch {
	case !first:
	case c.hook == initializer && o.failure == Answered:
		in.readyLocked()
	case c.hook == initializer:
		o.failure = InitFailed
		in.initError = &o
		in.killLocked()
	case c.hook == invocation && p.fn.Kind == FC:
		in.slots++
		p.offerLocked(in)
	case c.hook == invocation:
		in.endingLocked(1)
		in.grantLocked()
	}
	p.unlock()
	return first
}

// taken returns the call with this id that the process took and has not answered, or nil.
func (in *instance) taken(id string) *call {
	in.pool.mu.Lock()
	defer in.pool.unlock()
	if c := in.flight[id]; c != nil && !c.delivered.IsZero() {
		return c
	}
	return nil
}

// reportLocked makes the report of a call.
func (in *instance) reportLocked(c *call, f Failure) Report {
	p := in.pool
	r := Report{
		Function: p.fn.Name, RequestID: c.id, Instance: in.id, Start: c.delivered, Duration: p.now().Sub(c.delivered),
		Memory: p.fn.Memory, MaxMemory: in.memory.peak(), Failure: f,
	}
	r.Billed = (r.Duration + time.Millisecond - 1).Truncate(time.Millisecond)
	if c.hook == invocation {
		r.Init, in.initDone = in.initDone, 0
	}
	return r
}

// retireLocked stops further assignments to the instance.
func (in *instance) retireLocked() {
	if in.stopping {
		return
	}
	p := in.pool
	in.endingLocked(-in.ending)
	for _, stop := range in.overtime {
		stop()
	}
	in.stopping, in.overtime = true, nil
	p.live--
	if !in.ready {
		p.fresh--
	}
	p.unlistLocked(in)
}

var errGrace = errors.New("the grace period is over")

// stop ends the process as its cloud does. On FC it calls the pre-stop hook, if any, and sends
// SIGTERM. On Lambda it sends SIGTERM if the process registered an extension. Each step has a grace
// period; then the process is killed. When ctx ends, it is killed at once.
func (in *instance) stop(ctx context.Context) {
	p := in.pool
	p.mu.Lock()
	proc, ready, busy := in.proc, in.ready, len(in.flight) > 0
	signal, expired := p.fn.Kind == FC || in.registered, in.expired
	p.unlock()
	if proc != nil && ready && !busy && signal {
		if p.fn.PreStop {
			in.preStop(ctx)
		}
		if !expired {
			proc.terminate()
		}
		in.wait(ctx, in.gone)
	}
	if proc != nil {
		proc.kill()
	}
	<-in.gone
}

// preStop calls the hook and waits until it ends.
func (in *instance) preStop(ctx context.Context) {
	p := in.pool
	c := &call{id: p.host.o.NewID(FC), hook: preStop, done: make(chan struct{})}
	p.mu.Lock()
	if in.dead {
		p.unlock()
		return
	}
	in.flight[c.id] = c
	in.work <- c
	p.unlock()
	in.wait(ctx, c.done)
}

// wait waits for an event of the process, at most the grace period.
func (in *instance) wait(ctx context.Context, done <-chan struct{}) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer in.pool.host.o.Clock.AfterFunc(in.pool.host.o.Grace, func() { cancel(errGrace) })()
	select {
	case <-done:
	case <-in.gone:
	case <-ctx.Done():
	}
}

package runtime

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"net"
	"os"
	"slices"
	"strconv"
	"time"
)

// An instance is one process of a function, with its runtime API. It is free while it waits for
// work and has no call.
type instance struct {
	pool   *pool
	id     string
	began  time.Time
	gone   chan struct{} // closed when the process is dead and its call is settled
	halt   chan struct{} // closed when the process is dead: no more deliveries
	output output

	proc *process // set before the API serves

	// Guarded by the pool's mutex.
	ready      bool
	stopping   bool // no more calls are assigned
	dead       bool
	doomed     bool          // kill the process as soon as it exists
	listed     bool          // it is in pool.free
	polls      []chan *call  // the requests for work that wait, the last at the end
	call       *call         // assigned to the process, or taken by it; nil if none
	hook       *call         // given to the next request for work
	ending     bool          // it answered and did not ask for work again yet
	overtime   func() bool   // stops the timer that kills the process if it does not ask again
	initDone   time.Duration // from start to ready; reported once
	idleSince  time.Time
	initError  *outcome // the init error that the process reported
	registered bool
	expired    bool // it received SIGTERM because a call timed out
	stopInit   func() bool
	memory     int64 // the peak so far
}

func newInstance(p *pool) *instance {
	var id [16]byte
	rand.Read(id[:])
	in := &instance{
		pool: p, id: hex.EncodeToString(id[:]), began: p.now(),
		gone: make(chan struct{}), halt: make(chan struct{}), overtime: func() bool { return false },
	}
	if p.fn.Initializer {
		in.hook = p.newHook(initializer)
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
	server := in.server()
	defer server.Close()
	p.mu.Lock()
	in.stopInit = p.host.o.Clock.AfterFunc(p.fn.InitTimeout, in.initTimedOut)
	p.unlock()
	proc, err := p.host.spawner.start(&p.fn, in.environment(l.Addr().String()), &in.output)
	if err != nil {
		return "", err
	}
	p.mu.Lock()
	in.proc = proc
	doomed := in.stopping || in.doomed
	p.unlock()
	p.host.o.Logger.Info("a function's process was started", "function", p.fn.Name, "instance", in.id, "pid", proc.pid)
	if doomed {
		proc.kill()
	}
	go server.Serve(admitting{l, in.admit})
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

// settle is called when the process is dead. A call that it took fails; one that it did not take
// goes to another process. If the process never was ready, the call that has waited longest fails.
// So a function that cannot start fails each call once.
func (in *instance) settle(how string) {
	p := in.pool
	p.mu.Lock()
	in.dead = true
	close(in.halt)
	early := !in.ready && !in.stopping
	in.retireLocked()
	in.stopInit()
	delete(p.all, in)
	if c := in.call; c != nil && c.hook == invocation && c.delivered.IsZero() {
		p.queue = append([]*call{c}, p.queue...)
	} else if c != nil {
		p.finishLocked(in, c, p.cloud.exited(in, c.id, how).outcome(Exited))
	}
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

// poll waits until the process gets a call. It returns nil if the process dies, or if the
// connection ends on which it asked.
func (in *instance) poll(ctx context.Context) *call {
	work := make(chan *call, 1)
	in.polled(work)
	select {
	case c := <-work:
		if ctx.Err() == nil {
			return c
		}
		in.takeBack(c)
	case <-in.halt:
	case <-ctx.Done():
		in.hungUp(work)
	}
	return nil
}

// polled is called when the process asks for work.
func (in *instance) polled(work chan *call) {
	p := in.pool
	p.mu.Lock()
	defer p.unlock()
	in.polls = append(in.polls, work)
	in.overtime()
	in.endingLocked(false)
	switch {
	case in.call != nil, in.doomed: // it asks for the next one already, or its initializer failed
	case in.hook != nil:
		in.giveLocked(in.hook)
	case !in.ready:
		in.readyLocked()
	default:
		p.offerLocked(in)
	}
}

// hungUp is called when a connection ends on which the process asked for work.
func (in *instance) hungUp(work chan *call) {
	in.pool.mu.Lock()
	defer in.pool.unlock()
	i := slices.Index(in.polls, work)
	if i < 0 {
		in.takeBackLocked(<-work)
		return
	}
	in.polls = slices.Delete(in.polls, i, i+1)
	in.silentLocked()
}

// giveLocked gives a call to the process, which must be waiting for one.
func (in *instance) giveLocked(c *call) {
	in.pool.unlistLocked(in)
	if c == in.hook {
		in.hook = nil
	}
	last := len(in.polls) - 1 // the least likely to be on a dead connection
	work := in.polls[last]
	in.polls = in.polls[:last]
	in.call = c
	work <- c
}

// silentLocked notes that the process may not wait for work any more. It is killed if it does not
// ask again within its init timeout.
func (in *instance) silentLocked() {
	p := in.pool
	if len(in.polls) > 0 || in.call != nil || !in.ready || in.stopping {
		return
	}
	p.unlistLocked(in)
	in.overtime()
	in.overtime = p.host.o.Clock.AfterFunc(p.fn.InitTimeout, func() {
		p.mu.Lock()
		defer p.unlock()
		if len(in.polls) == 0 && in.call == nil && !in.dead {
			p.host.o.Logger.Warn("a function's process stopped asking for work and is killed", "function",
				p.fn.Name, "instance", in.id)
			in.killLocked()
		}
	})
}

// endingLocked notes whether the process answered and did not ask again yet.
func (in *instance) endingLocked(ending bool) {
	if ending == in.ending || in.stopping {
		return
	}
	if in.ending = ending; ending {
		in.pool.ending++
	} else {
		in.pool.ending--
	}
}

// readyLocked marks the instance as able to take invocations.
func (in *instance) readyLocked() {
	p := in.pool
	if in.stopping {
		return
	}
	in.ready = true
	p.fresh--
	in.stopInit()
	in.initDone = p.now().Sub(in.began)
	p.offerLocked(in)
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
// The call goes to the next connection on which the process asked, or else to another process.
func (in *instance) takeBack(c *call) {
	in.output.end(c)
	in.pool.mu.Lock()
	defer in.pool.unlock()
	in.takeBackLocked(c)
}

func (in *instance) takeBackLocked(c *call) {
	if in.dead || c.finished { // settle did it
		return
	}
	if c.stopTimer != nil {
		c.stopTimer()
	}
	c.stopTimer, c.delivered, c.deadline = nil, time.Time{}, time.Time{}
	in.call = nil
	switch {
	case c.hook == invocation:
		in.pool.againLocked(in, c)
	case len(in.polls) > 0:
		in.giveLocked(c)
	default:
		in.hook = c // it belongs to this process
	}
	in.silentLocked()
}

// timedOut fails a call at its deadline and kills the process, as both clouds do. A Lambda process
// is also killed if it answered and has not finished.
func (in *instance) timedOut(c *call) {
	in.output.end(c)
	p := in.pool
	p.mu.Lock()
	first := p.finishLocked(in, c, p.cloud.timedOut(in, c).outcome(TimedOut))
	if first || in.ending {
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
	case c.hook == invocation:
		in.endingLocked(len(in.polls) == 0)
		p.offerLocked(in)
	}
	p.unlock()
	return first
}

// taken returns the call with this id that the process took and has not answered, or nil.
func (in *instance) taken(id string) *call {
	in.pool.mu.Lock()
	defer in.pool.unlock()
	if c := in.call; c != nil && c.id == id && !c.delivered.IsZero() {
		return c
	}
	return nil
}

// peakLocked returns the peak resident memory of the process in bytes; zero if unknown.
func (in *instance) peakLocked() int64 {
	if in.proc != nil && !in.dead {
		in.memory = max(in.memory, maxResident(in.proc.pid))
	}
	return in.memory
}

func (in *instance) reportLocked(c *call, f Failure) Report {
	p := in.pool
	r := Report{
		Function: p.fn.Name, RequestID: c.id, Instance: in.id, Start: c.delivered, Duration: p.now().Sub(c.delivered),
		Memory: p.fn.Memory, MaxMemory: in.peakLocked(), Failure: f,
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
	in.endingLocked(false)
	in.overtime()
	in.stopping = true
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
	proc, ready, busy := in.proc, in.ready, in.call != nil
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
	c := p.newHook(preStop)
	p.mu.Lock()
	if in.hook = c; len(in.polls) > 0 && !in.dead {
		in.giveLocked(c)
	}
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

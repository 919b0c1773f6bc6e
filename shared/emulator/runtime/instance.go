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

// An instance is one process of a function and the runtime API that it speaks to.
type instance struct {
	pool   *pool
	id     string
	began  time.Time
	work   chan *call    // assigned, to be taken by the process
	gone   chan struct{} // closed when the process is dead and everything of it is settled
	halt   chan struct{} // closed when the process is dead: nothing more is handed out
	output output
	memory memory

	proc *process // set before the API serves

	// Guarded by the pool's mutex.
	ready    bool
	stopping bool // nothing more is assigned
	dead     bool
	doomed   bool // to be killed as soon as there is a process
	listed   bool // among the pool's free
	slots    int  // calls that can be assigned now
	asked    int  // for work, by a Lambda process that has as many calls as it may
	// calls that came back because nobody heard them; an FC process has their slots again when it
	// asks
	unheard    int
	polls      int           // how often it asked for work
	waiting    int           // connections on which it asked and was not given any, dead ones included
	ending     int           // calls that it answered without having asked for more
	overtime   []func() bool // stop the timers of those calls
	flight     map[string]*call
	initDone   time.Duration // from start to ready; told once
	idleSince  time.Time
	initCall   *call
	initError  *outcome // what the process said about its failure to start
	registered bool
	expired    bool // it was sent SIGTERM because a call timed out
	stopInit   func() bool
}

func newInstance(p *pool) *instance {
	var id [16]byte
	rand.Read(id[:])
	in := &instance{
		pool: p, id: hex.EncodeToString(id[:]), began: p.now(),
		work: make(chan *call, p.fn.Concurrency+2), // and a hook
		gone: make(chan struct{}), halt: make(chan struct{}),
		flight: map[string]*call{},
	}
	in.output.instance = in
	return in
}

// run starts the process, serves it, and settles everything when it is dead.
func (in *instance) run() {
	how, err := in.start()
	if err != nil {
		in.pool.host.o.Logger.Error("a function's process cannot be started", "function", in.pool.fn.Name, "err", err)
		how = err.Error()
	}
	in.settle(how)
}

// start runs the process to its end, and returns how it ended.
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

// errUnknownPeer is that the system does not say which process a connection is of.
var errUnknownPeer = errors.New("which process it is of is not known")

// admit reports whether a connection to the API is of the process, or of one that it started. Any
// other process on this machine could take invocations, with the credentials that come with them,
// and answer them. Where the system does not say whose a connection is, it is served; then nothing
// keeps other processes away but that they do not know the port.
func (in *instance) admit(conn net.Conn) bool {
	o := &in.pool.host.o
	if o.anyPeer {
		return true
	}
	err := checkPeer(conn, in.proc.pid)
	if errors.Is(err, errUnknownPeer) {
		in.pool.host.unchecked.Do(func() {
			o.Logger.Warn("which processes speak to runtime APIs is not checked on this system", "err", err)
		})
		return true
	}
	if err != nil {
		o.Logger.Warn("a connection to the runtime API was refused", "function", in.pool.fn.Name, "instance", in.id,
			"peer", conn.RemoteAddr().String(), "err", err)
	}
	return err == nil
}

// environment is that of the process: little of ours, what the cloud sets, what the function wants,
// and the API's address.
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
	return append(env, in.pool.cloud.variable+"="+addr) // of two values of a name os/exec takes the last
}

// settle is called when the process is dead. What it had taken fails, what it had not goes to
// another, and if it never was ready the call that waits longest fails for it: so a function that
// cannot start fails each call once.
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

// initTimedOut ends a process that did not become ready.
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

// assignLocked gives a call to the instance, which has a slot.
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
	if p.fn.Kind == Lambda { // it asks when it is done with what it had
		in.asked++
		in.grantLocked()
	}
}

// grantLocked lets a Lambda process that asked for work have some, if it does not have as much as
// it may.
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

// endingLocked counts what was answered, and what comes after it.
func (in *instance) endingLocked(n int) {
	if !in.stopping {
		in.ending += n
		in.pool.ending += n
	}
}

// readyLocked makes the instance one that can be given work.
func (in *instance) readyLocked() {
	p := in.pool
	if in.stopping {
		return
	}
	in.ready = true
	p.fresh--
	in.stopInit()
	in.initDone = p.now().Sub(in.began)
	if p.fn.Kind == FC { // it asks for more while it works, so it is us who count
		in.slots = p.fn.Concurrency
		p.offerLocked(in)
	}
}

// deliver marks a call as taken by the process; false means that it must not be handed out any
// more.
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

// takeBack takes back a call that was handed to a connection that is dead: the process did not get
// it. The next connection on which it asked may, or if there is none another process. A process
// that then does not ask again has as long as for its start.
func (in *instance) takeBack(c *call) {
	in.output.end(c)
	p := in.pool
	p.mu.Lock()
	defer p.unlock()
	if in.dead || c.finished { // settle has seen to it
		return
	}
	if c.stopTimer != nil {
		c.stopTimer()
	}
	c.stopTimer, c.delivered, c.deadline = nil, time.Time{}, time.Time{}
	if in.waiting > 0 || c.hook != invocation { // a hook is for this process alone
		in.asked = max(in.asked-1, 0) // that of the connection that is dead
		in.work <- c                  // which has room for what came from there
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
			p.host.o.Logger.Warn("a function's process does not ask for work any more and is stopped", "function",
				p.fn.Name, "instance", in.id)
			in.killLocked()
		}
	})
}

// heard counts that a connection waits no more.
func (in *instance) heard() {
	in.pool.mu.Lock()
	in.waiting--
	in.pool.mu.Unlock()
}

// timedOut fails a call at its deadline, and kills the process, as both clouds do. A Lambda process
// is killed then also if it answered and is not done.
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

// expireLocked ends the process after a timeout. A Lambda process that registered an extension is
// sent SIGTERM, and has the grace period.
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

// killLocked ends the process without further ado. One that was not ready is left to settle, which
// fails a call for it.
func (in *instance) killLocked() {
	in.doomed = true
	if in.proc != nil && !in.dead {
		in.proc.kill()
	}
	if in.ready {
		in.retireLocked()
	}
}

// complete ends a call with what the process said about it. It returns false if the call is not
// under way.
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

// taken returns the call of an id that the process took and did not answer yet, nil if there is
// none.
func (in *instance) taken(id string) *call {
	in.pool.mu.Lock()
	defer in.pool.unlock()
	if c := in.flight[id]; c != nil && !c.delivered.IsZero() {
		return c
	}
	return nil
}

// reportLocked says how a call went.
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

// retireLocked keeps further calls away from the instance.
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

// stop ends the process as its cloud does: on FC a pre-stop hook, if there is one, and SIGTERM; on
// Lambda SIGTERM if the process registered an extension; each has a grace period, and what is left
// is killed. When ctx ends that is at once.
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

// preStop calls the hook and waits for its end.
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

// wait waits for an event of the process for as long as the grace period.
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

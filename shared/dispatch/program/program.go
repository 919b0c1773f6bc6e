//go:build unix

// Package program runs executables of one folder of this machine as targets of commands.
//
// A program is started without a shell. It gets the command as a CloudEvent in JSON on its standard
// input, and the parameters that are not secret also as environment variables. What it writes to
// its standard output is the answer; its standard error goes to the log.
//
// Programs have the rights of the service's user. So their folder, its parents and the files must
// be writable only by that user and by root. This is checked at each start.
package program

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"chatconf/shared/dispatch"
	"chatconf/shared/invoke"
	"chatconf/shared/journal"
	"chatconf/shared/scratch"
)

// Limits of programs.
const (
	// MaxName is how long the name of a program may be.
	MaxName = 64
	// DefaultAtOnce is how many programs run at the same time if the options do not say it.
	DefaultAtOnce = 4
	// MaxTime is how long a program may run.
	MaxTime = 10 * time.Minute
	// MaxAnswer is how much of the standard output becomes the answer, in bytes.
	MaxAnswer = 16 << 10
	// maxTail is how much of the end of an output is kept, for a failed program and for the log.
	// maxLines is how many lines of it are shown.
	maxTail  = 2 << 10
	maxLines = 10
	// quick is how long Start waits for the end: most programs need no Follow.
	quick = 2 * time.Second
	// placeTime is how long Start waits for a place. A dispatch that waits delays other commands
	// of the configuration, such as the cancel that would free a place.
	placeTime = 5 * time.Second
	// grace is how long a program and its children may take to end after SIGTERM.
	grace = 3 * time.Second
	// drainTime is how long the rest of the output is read after the end. A process that has left
	// the group of its program may hold the output open.
	drainTime = time.Second
	// keepTime is how long the result of a program is kept for Follow, and maxKept how many.
	keepTime = time.Hour
	maxKept  = 1000
)

// Options are what a Folder needs.
type Options struct {
	Dir    string           // the folder of the programs
	AtOnce int              // how many run at the same time; default DefaultAtOnce
	Temp   string           // where each run gets a folder of its own; default that of the system
	Now    func() time.Time // default time.Now
}

// A Folder runs the programs of one folder: the target Program. Executions are kept in memory, so
// the State of one that an earlier process started is Unknown.
type Folder struct {
	options Options
	places  chan struct{} // has one element for each running program
	closing chan struct{}
	running sync.WaitGroup

	mu     sync.Mutex
	closed bool
	calls  map[string]*execution // by the id of the call
}

var _ dispatch.Follower = (*Folder)(nil)

// tempPrefix is the prefix of the folders that programs run in.
const tempPrefix = "chatconf-program-"

// Open checks the folder of the options and returns it. A symbolic link in its path is followed
// once, here. Open also removes what the programs of services that were killed left behind.
func Open(o Options) (*Folder, error) {
	dir, err := realFolder(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("the folder of programs: %w", err)
	}
	o.Dir = dir
	if o.AtOnce <= 0 {
		o.AtOnce = DefaultAtOnce
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	scratch.Sweep(o.Temp, tempPrefix)
	return &Folder{options: o, places: make(chan struct{}, o.AtOnce), closing: make(chan struct{}),
		calls: make(map[string]*execution)}, nil
}

// Dir returns the path of the folder, absolute and without symbolic links.
func (f *Folder) Dir() string { return f.options.Dir }

// Close ends all running programs and waits for them. Later calls of Start are refused.
func (f *Folder) Close() error {
	f.mu.Lock()
	if !f.closed {
		f.closed = true
		close(f.closing)
	}
	f.mu.Unlock()
	f.running.Wait()
	return nil
}

// An execution is one run of a program.
type execution struct {
	started chan struct{} // closed when the next two are valid
	err     *dispatch.Error
	id      string

	cancel func() // ends the program
	ended  chan struct{}
	// The rest is valid after ended.
	result dispatch.Progress
	at     time.Time
}

// progress returns what there is to say of an execution that was started.
func (e *execution) progress() dispatch.Progress {
	select {
	case <-e.ended:
		return e.result
	default:
		return dispatch.Progress{State: journal.StateRunning, Execution: e.id}
	}
}

// stopping is the error of a call while the service is stopping.
func stopping() *dispatch.Error {
	return &dispatch.Error{Why: "the service is stopping", Again: true, Refused: true}
}

// Start implements dispatch.Target. It waits for a place, starts the program, and waits a moment
// for its end. As long as this process lives, a call with the same id starts nothing.
func (f *Folder) Start(ctx context.Context, c *dispatch.Call) (dispatch.Progress, error) {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return dispatch.Progress{}, stopping()
	}
	e, known := f.calls[c.ID]
	if !known {
		f.forgetLocked()
		e = &execution{started: make(chan struct{}), ended: make(chan struct{})}
		f.calls[c.ID] = e
		f.running.Add(1)
	}
	f.mu.Unlock()
	if known {
		select {
		case <-e.started:
		case <-ctx.Done():
			return dispatch.Progress{}, ctx.Err()
		}
	} else {
		f.start(ctx, e, c)
	}
	if e.err != nil {
		return dispatch.Progress{}, e.err
	}
	if c.Began != nil {
		c.Began(e.id) // after a crash it is not started again
	}
	timer := time.NewTimer(quick)
	defer timer.Stop()
	select {
	case <-e.ended:
	case <-timer.C:
	case <-ctx.Done():
	}
	return e.progress(), nil
}

// start starts an execution, or makes its error valid and forgets it.
func (f *Folder) start(ctx context.Context, e *execution, c *dispatch.Call) {
	defer close(e.started)
	err := f.launch(ctx, e, c)
	if err == nil {
		return
	}
	e.err = err
	f.mu.Lock()
	delete(f.calls, c.ID)
	f.mu.Unlock()
	f.running.Done()
}

// launch waits for a place and starts a program. If there is no error, the execution ends by
// itself, and gives the place back.
func (f *Folder) launch(ctx context.Context, e *execution, c *dispatch.Call) (failed *dispatch.Error) {
	if err := f.take(ctx); err != nil {
		return err
	}
	var undo []func()
	release := func() {
		for _, f := range undo {
			f()
		}
		<-f.places
	}
	defer func() {
		if failed != nil {
			failed.Refused = true
			release()
		}
	}()
	file, failed := openProgram(f.options.Dir, c.Target.Name)
	if failed != nil {
		return failed
	}
	defer file.Close()
	folder, err := scratch.New(f.options.Temp, tempPrefix)
	if err != nil {
		return &dispatch.Error{Why: "the program has no folder to run in", Again: true, Cause: err.Error()}
	}
	log := invoke.Logger(ctx).With("program", c.Target.Name, "command_id", c.ID)
	undo = append(undo, func() {
		if err := folder.Remove(); err != nil {
			log.Warn("the folder of a program was not removed", "folder", folder.Path(), "error", err)
		}
	})
	env, failed := f.environment(c, folder.Path())
	if failed != nil {
		return failed
	}
	event, err := c.Event.MarshalJSON()
	if err != nil {
		return &dispatch.Error{Why: "the command cannot be encoded as an event", Cause: err.Error()}
	}
	out, diagnostics := newCapture(c.Secrets()), newCapture(c.Secrets())
	p, err := startProcess(file, folder.Path(), env, event, out, diagnostics)
	if err != nil {
		return startError(err)
	}
	cancelled := make(chan struct{})
	e.cancel = sync.OnceFunc(func() { close(cancelled) })
	// An id that an operator recognises, and that no other process of the service gives.
	e.id = fmt.Sprintf("%d.%d", p.process.Pid, f.options.Now().UnixNano())
	go func() {
		defer f.running.Done()
		defer close(e.ended)
		defer release()
		began := time.Now()
		state := f.await(p, cancelled, timeout(c.Timeout))
		ok, how := p.end(state != "")
		e.result = resultOf(state, ok, how, out)
		e.result.Execution, e.at = e.id, f.options.Now()
		level := slog.LevelInfo
		if e.result.State != journal.StateSucceeded {
			level = slog.LevelWarn
		}
		log.Log(context.Background(), level, "program ended", "state", e.result.State, "how", how,
			"duration_ms", time.Since(began).Milliseconds(), "stderr", diagnostics.lastLines())
	}()
	return nil
}

// take waits for a place. Waiters are served in order, since those of a channel are.
func (f *Folder) take(ctx context.Context) *dispatch.Error {
	ctx, cancel := context.WithTimeout(ctx, placeTime)
	defer cancel()
	select {
	case f.places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return &dispatch.Error{Why: "too many programs are running", Again: true, Refused: true}
	case <-f.closing:
		return stopping()
	}
}

// timeout returns how long a program may run.
func timeout(wanted time.Duration) time.Duration {
	if wanted <= 0 || wanted > MaxTime {
		return MaxTime
	}
	return wanted
}

// await waits until a program has ended by itself, and returns no state. If the program must be
// ended first, await returns the state that it then has.
func (f *Folder) await(p *process, cancelled <-chan struct{}, timeout time.Duration) journal.State {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-p.ended:
		return ""
	case <-timer.C:
		return journal.StateTimedOut
	case <-cancelled:
		return journal.StateCancelled
	case <-f.closing:
		return journal.StateUnknown
	}
}

// resultOf returns the result of a program that ended. Its state is empty if it ended by itself.
func resultOf(state journal.State, ok bool, how string, out *capture) dispatch.Progress {
	switch {
	case state == "" && ok:
		return dispatch.Progress{State: journal.StateSucceeded, Text: out.answer()}
	case state == "":
		return dispatch.Progress{State: journal.StateFailed, Text: out.lastLines(), Detail: "it ended with " + how}
	case state == journal.StateUnknown:
		return dispatch.Progress{State: state, Text: out.lastLines(), Detail: interrupted}
	}
	return dispatch.Progress{State: state, Text: out.lastLines()}
}

// interrupted is what is known of a program that ran when the service stopped.
const interrupted = "the service stopped while the program was running"

// forgetLocked forgets old results.
func (f *Folder) forgetLocked() {
	var kept int
	var oldest string
	var at time.Time
	for id, e := range f.calls {
		select {
		case <-e.ended:
		default:
			continue
		}
		if f.options.Now().Sub(e.at) > keepTime {
			delete(f.calls, id)
			continue
		}
		if kept++; oldest == "" || e.at.Before(at) {
			oldest, at = id, e.at
		}
	}
	if kept >= maxKept {
		delete(f.calls, oldest)
	}
}

// find returns the execution of a call, nil if this process does not know it.
func (f *Folder) find(c *dispatch.Call) *execution {
	f.mu.Lock()
	defer f.mu.Unlock()
	e := f.calls[c.ID]
	if e == nil {
		return nil
	}
	select {
	case <-e.started:
	default:
		return nil
	}
	if e.err != nil || e.id != c.Execution {
		return nil
	}
	return e
}

// Follow implements dispatch.Follower.
func (f *Folder) Follow(_ context.Context, c *dispatch.Call) (dispatch.Progress, error) {
	if e := f.find(c); e != nil {
		return e.progress(), nil
	}
	return dispatch.Progress{State: journal.StateUnknown, Execution: c.Execution, Detail: interrupted}, nil
}

// Cancel implements dispatch.Follower.
func (f *Folder) Cancel(_ context.Context, c *dispatch.Call) error {
	if e := f.find(c); e != nil {
		e.cancel()
	}
	return nil
}

// startError returns the error of a program that the system did not start.
func startError(err error) *dispatch.Error {
	e := &dispatch.Error{Cause: err.Error()}
	switch {
	case errors.Is(err, syscall.ENOEXEC):
		e.Why = "this machine cannot execute the program; a script needs a first line such as #!/bin/sh"
	case errors.Is(err, syscall.ENOENT):
		e.Why = "the interpreter in the first line of the program does not exist"
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		e.Why = "this service may not execute the program"
	case errors.Is(err, syscall.E2BIG):
		e.Why = "the parameters of the program are too long"
	default:
		e.Why, e.Again = "the program could not be started", true
	}
	return e
}

// environment returns all that a program gets as its environment. The service's own environment has
// secrets, and settings that would change what a program does.
func (f *Folder) environment(c *dispatch.Call, dir string) ([]string, *dispatch.Error) {
	env := []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"LANG=C.UTF-8", // answers are UTF-8
		"TMPDIR=" + dir,
		"CHATCONF_COMMAND_ID=" + c.ID,
		"CHATCONF_PROGRAMS=" + f.options.Dir, // $0 of a script does not show it
	}
	if c.Command.DryRun {
		env = append(env, "CHATCONF_DRY_RUN=true")
	}
	names := make(map[string]bool)
	for _, p := range c.Command.Parameters {
		name := VariableName(p.Name)
		switch {
		case names[name]:
			return nil, &dispatch.Error{Why: "two parameters have the environment variable " + name}
		case strings.ContainsRune(p.Text, 0):
			return nil, &dispatch.Error{Why: "the parameter " + strconv.Quote(p.Name) + " has the character NUL"}
		}
		names[name] = true
		if !p.Secret { // every process of the same user can read the environment
			env = append(env, name+"="+p.Text)
		}
	}
	return env, nil
}

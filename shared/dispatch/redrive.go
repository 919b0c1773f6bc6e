package dispatch

import (
	"context"
	"errors"
	"sync"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/invoke"
)

const (
	// RedriveTime is how long one round may start dispatching further commands. Commands in
	// progress are completed.
	RedriveTime = 60 * time.Second
	// batch is how many commands one query returns at most, and atOnce how many are dispatched
	// concurrently.
	batch  = 40
	atOnce = 16
	// each is how many commands of one configuration are dispatched concurrently, so that a target
	// that hangs does not delay other configurations.
	each = 4
)

// Redrive dispatches the commands that are due: those not claimed within a minute of their record,
// those whose retry is due, and those whose lease is over. It ends when none is left. After
// RedriveTime, or if ctx would end too early, it starts no further ones.
func (d *Dispatcher) Redrive(ctx context.Context) (found int, err error) {
	return d.redrive(ctx, func(command.Ref, time.Time) {})
}

// redrive is Redrive. It calls follow for each operation that goes on, with the time at which it
// must be followed again.
func (d *Dispatcher) redrive(ctx context.Context, follow func(command.Ref, time.Time)) (found int, err error) {
	until := d.until(ctx)
	for {
		due, err := d.options.Journal.Due(ctx, batch, each)
		found += len(due)
		errs := append(d.all(ctx, due, until, d.options.Journal.Claim, follow), err)
		if err := errors.Join(errs...); err != nil {
			return found, err // an error of the tables is not retried at once
		}
		if len(due) == 0 && !d.options.Journal.More() || !d.options.Now().Before(until) {
			return found, nil
		}
	}
}

// until returns when a round starts no further commands.
func (d *Dispatcher) until(ctx context.Context) time.Time {
	until := d.options.Now().Add(RedriveTime)
	if deadline, ok := ctx.Deadline(); ok && deadline.Add(-WorkTime).Before(until) {
		until = deadline.Add(-WorkTime)
	}
	return until
}

// Look follows the latest running operations, due or not, and is then Redrive. It is for a hint
// that an operation may have ended. The hint need not be true.
func (d *Dispatcher) Look(ctx context.Context) (found int, err error) {
	until := d.until(ctx)
	waiting, err := d.options.Journal.Waiting(ctx, batch)
	errs := d.all(ctx, waiting, until, d.options.Journal.ClaimEarly, func(command.Ref, time.Time) {})
	if err := errors.Join(append(errs, err)...); err != nil || !d.options.Now().Before(until) {
		return len(waiting), err
	}
	found, err = d.Redrive(ctx)
	return len(waiting) + found, err
}

// all dispatches commands concurrently, and starts none after until.
func (d *Dispatcher) all(ctx context.Context, due []command.Ref, until time.Time, claim claiming,
	follow func(command.Ref, time.Time)) []error {
	var mu sync.Mutex
	var errs []error
	var group sync.WaitGroup
	turn := make(chan struct{}, atOnce)
	for i, ref := range due {
		select {
		case turn <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil || i >= atOnce && !d.options.Now().Before(until) {
			break
		}
		group.Go(func() {
			defer func() { <-turn }()
			again, err := d.safely(ctx, ref, claim)
			if !again.IsZero() {
				follow(ref, again)
			}
			if err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			}
		})
	}
	group.Wait()
	return errs
}

// safely is run, with a panic as an error. The command is then due again after its lease; the
// others continue.
func (d *Dispatcher) safely(ctx context.Context, ref command.Ref, claim claiming) (due time.Time, err error) {
	defer invoke.Recover("dispatch", &err)
	return d.run(ctx, ref, claim)
}

// A Worker dispatches commands in the background, as dispatch-command and redrive-commands do in a
// cloud.
type Worker struct {
	dispatcher *Dispatcher
	queue      chan command.Ref
	context    context.Context // of the commands, cancelled at the end of DrainTime
	cut        context.CancelFunc
	group      sync.WaitGroup

	mu     sync.RWMutex
	closed bool
	done   chan struct{} // closed with it

	turns  turns
	timers timers
}

// maxTimers is how many operations a worker follows in time. Operations beyond it are followed by
// Redrive.
const maxTimers = 1024

// timers are the times at which running operations must be followed. The zero value is ready to
// use.
type timers struct {
	mu     sync.Mutex
	closed bool
	of     map[command.Ref]*time.Timer
}

// set calls do once after a time, instead of what was set for the command before.
func (t *timers) set(ref command.Ref, after time.Duration, do func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if before := t.of[ref]; before != nil {
		before.Stop()
		delete(t.of, ref)
	}
	if t.closed || len(t.of) == maxTimers {
		return
	}
	if t.of == nil {
		t.of = make(map[command.Ref]*time.Timer)
	}
	var timer *time.Timer
	timer = time.AfterFunc(after, func() {
		t.mu.Lock()
		if t.of[ref] == timer {
			delete(t.of, ref)
		}
		t.mu.Unlock()
		do()
	})
	t.of[ref] = timer
}

// close stops all timers.
func (t *timers) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	for _, timer := range t.of {
		timer.Stop()
	}
	t.of = nil
}

// Limits of a worker.
const (
	workers   = 64
	queueSize = 1024
	// every is the interval between rounds of Redrive.
	every = time.Minute
	// DrainTime is how long Close waits for commands in progress.
	DrainTime = 3 * time.Second
	// CutTime is how long Close waits for cancelled commands. Their outcome is still written, which
	// takes settleTime if a table hangs.
	CutTime = settleTime + time.Second
)

// ErrBusy says that a worker's queue is full, or that the worker is closing.
var ErrBusy = errors.New("dispatch: the worker is busy; the command is dispatched later")

// NewWorker starts a worker, which logs to the logger of ctx's invocation. It works until it is
// closed, also after ctx ends.
func NewWorker(ctx context.Context, d *Dispatcher) *Worker {
	w := &Worker{dispatcher: d, queue: make(chan command.Ref, queueSize), done: make(chan struct{})}
	w.context, w.cut = context.WithCancel(context.WithoutCancel(ctx))
	for range workers {
		w.group.Go(w.work)
	}
	w.group.Go(w.redrive)
	return w
}

// Start queues a command and does not wait for it. Its error is ErrBusy.
func (w *Worker) Start(_ context.Context, ref command.Ref) error {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.closed {
		return ErrBusy
	}
	select {
	case w.queue <- ref:
		return nil
	default:
		return ErrBusy
	}
}

// work dispatches queued commands until the queue is closed and empty.
func (w *Worker) work() {
	for ref := range w.queue {
		for ok := w.turns.take(ref); ok; ref, ok = w.turns.next(ref) {
			if w.context.Err() != nil {
				continue // the next process redrives it
			}
			due, err := w.dispatcher.safely(w.context, ref, w.dispatcher.options.Journal.Claim)
			if !due.IsZero() {
				w.follow(ref, due)
			}
			if err != nil {
				invoke.Logger(w.context).ErrorContext(w.context, "not dispatched", "name", ref.Name,
					"command_id", ref.ID, "error", err)
			}
		}
	}
}

// follow queues a running operation at the time when it is due. If the queue is full then, Redrive
// follows it.
func (w *Worker) follow(ref command.Ref, due time.Time) {
	w.timers.set(ref, due.Sub(w.dispatcher.options.Now()), func() { w.Start(w.context, ref) })
}

// maxWaiting is how many commands of one configuration wait for their turn. Commands beyond it are
// left to Redrive.
const maxWaiting = 64

// turns limits the commands in progress of one configuration to each. The zero value is ready to
// use.
type turns struct {
	mu      sync.Mutex
	busy    map[command.Ref]int // by configuration
	waiting map[command.Ref][]command.Ref
}

// configuration returns the configuration of a command.
func configuration(ref command.Ref) command.Ref {
	ref.ID = ""
	return ref
}

// take reports whether a command may start now. If not, next returns it later, or it is left to
// Redrive.
func (t *turns) take(ref command.Ref) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.busy == nil {
		t.busy, t.waiting = make(map[command.Ref]int), make(map[command.Ref][]command.Ref)
	}
	of := configuration(ref)
	if t.busy[of] < each {
		t.busy[of]++
		return true
	}
	if len(t.waiting[of]) < maxWaiting {
		t.waiting[of] = append(t.waiting[of], ref)
	}
	return false
}

// next ends a command's turn. It returns a waiting command of the same configuration, if there is
// one.
func (t *turns) next(ref command.Ref) (command.Ref, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	of := configuration(ref)
	if list := t.waiting[of]; len(list) > 0 {
		if t.waiting[of] = list[1:]; len(list) == 1 {
			delete(t.waiting, of)
		}
		return list[0], true
	}
	if t.busy[of]--; t.busy[of] == 0 {
		delete(t.busy, of)
	}
	return command.Ref{}, false
}

// redrive runs a round at once, and then at every interval.
func (w *Worker) redrive() {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		if err := w.round(); err != nil && w.context.Err() == nil {
			invoke.Logger(w.context).ErrorContext(w.context, "not all that is due was dispatched", "error", err)
		}
		select {
		case <-ticker.C:
		case <-w.done:
			return
		}
	}
}

// round runs Redrive once. A panic is returned as an error, so that the next round runs.
func (w *Worker) round() (err error) {
	defer invoke.Recover("dispatch", &err)
	_, err = w.dispatcher.redrive(w.context, w.follow)
	return err
}

// Close stops accepting commands, waits up to DrainTime for those in progress, and cancels the
// rest. Nothing is lost: they are due again for the next process. It returns an error if some
// command does not end within CutTime.
func (w *Worker) Close() error {
	w.mu.Lock()
	already := w.closed
	w.closed = true
	if !already {
		close(w.queue)
		close(w.done)
	}
	w.mu.Unlock()
	w.timers.close()
	defer w.cut()
	return drain(&w.group, w.cut)
}

// drain waits up to DrainTime for a group, then cuts it and waits up to CutTime.
func drain(group *sync.WaitGroup, cut func()) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		group.Wait()
	}()
	if ends(done, DrainTime) {
		return nil
	}
	cut()
	if ends(done, CutTime) {
		return nil
	}
	return errors.New("dispatch: some work did not end after it was cancelled")
}

// ends reports whether done is closed within d.
func ends(done <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

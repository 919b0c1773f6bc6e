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
	// RedriveTime is how long one round may begin work on further commands; what it has begun, it
	// ends.
	RedriveTime = 60 * time.Second
	// batch is how many commands are looked for at once, and atOnce at how many is worked at once.
	batch  = 40
	atOnce = 16
	// each is at how many commands of one configuration is worked at once, so that a target that
	// hangs holds up nobody else's.
	each = 4
)

// Redrive dispatches the commands that are due: commands that were not claimed within a minute of
// their record, whose retry is due, or whose lease is over. It ends if none is left. It begins no
// more after RedriveTime, or if ctx would end too early. It returns how many it found.
func (d *Dispatcher) Redrive(ctx context.Context) (found int, err error) {
	until := d.options.Now().Add(RedriveTime)
	if deadline, ok := ctx.Deadline(); ok && deadline.Add(-WorkTime).Before(until) {
		until = deadline.Add(-WorkTime)
	}
	for {
		due, err := d.options.Journal.Due(ctx, batch, each)
		found += len(due)
		errs := append(d.all(ctx, due, until), err)
		if err := errors.Join(errs...); err != nil {
			return found, err // what is wrong with the tables will not be better at once
		}
		if len(due) == 0 || !d.options.Now().Before(until) {
			return found, nil
		}
	}
}

// all dispatches commands, several at once, as long as there is time to begin.
func (d *Dispatcher) all(ctx context.Context, due []command.Ref, until time.Time) []error {
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
			if err := d.dispatch(ctx, ref); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			}
		})
	}
	group.Wait()
	return errs
}

// dispatch is Dispatch, with a panic as an error: the command stays claimed for its lease, and
// others are to be done.
func (d *Dispatcher) dispatch(ctx context.Context, ref command.Ref) (err error) {
	defer invoke.Recover("dispatch", &err)
	return d.Dispatch(ctx, ref)
}

// A Worker dispatches commands in the background, as dispatch-command and redrive-commands do in a
// cloud.
type Worker struct {
	dispatcher *Dispatcher
	queue      chan command.Ref
	context    context.Context // of the work, ended when it is cut off
	cut        context.CancelFunc
	group      sync.WaitGroup

	mu     sync.RWMutex
	closed bool
	done   chan struct{} // closed with it

	turns turns
}

// Bounds of a worker.
const (
	workers   = 64
	queueSize = 1024
	// every is how often a worker looks for what is due.
	every = time.Minute
	// DrainTime is how long a worker that is closed waits for what it has begun.
	DrainTime = 3 * time.Second
	// CutTime is how long what is cut off has to end. Its outcome is still written, which takes
	// settleTime on a table that hangs.
	CutTime = settleTime + time.Second
)

// ErrBusy says that a worker's queue is full, or that it is closing.
var ErrBusy = errors.New("dispatch: the worker is busy; the command is dispatched later")

// NewWorker starts a worker, whose lines go to the logger of ctx's invocation. It works until it is
// closed, and not only until ctx ends.
func NewWorker(ctx context.Context, d *Dispatcher) *Worker {
	w := &Worker{dispatcher: d, queue: make(chan command.Ref, queueSize), done: make(chan struct{})}
	w.context, w.cut = context.WithCancel(context.WithoutCancel(ctx))
	for range workers {
		w.group.Go(w.work)
	}
	w.group.Go(w.redrive)
	return w
}

// Start has a command dispatched, and does not wait for it. Its error is ErrBusy.
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

// work dispatches what is in the queue, until that is closed and empty.
func (w *Worker) work() {
	for ref := range w.queue {
		for ok := w.turns.take(ref); ok; ref, ok = w.turns.next(ref) {
			if w.context.Err() != nil {
				continue // the next process finds it
			}
			if err := w.dispatcher.dispatch(w.context, ref); err != nil {
				invoke.Logger(w.context).ErrorContext(w.context, "not dispatched", "name", ref.Name,
					"command_id", ref.ID, "error", err)
			}
		}
	}
}

// maxWaiting is how many commands of one configuration wait for their turn. Those beyond it are
// found later, as those that nobody took.
const maxWaiting = 64

// Turns see to it that at most each commands of one configuration are worked at. The zero value is
// nobody's turn.
type turns struct {
	mu      sync.Mutex
	busy    map[command.Ref]int // by configuration
	waiting map[command.Ref][]command.Ref
}

// configuration returns what a command is of.
func configuration(ref command.Ref) command.Ref {
	ref.ID = ""
	return ref
}

// take reports whether it is a command's turn. If not, next returns it later, or it is left.
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

// next ends a command's turn, and returns the one of the same configuration whose turn it is then,
// if one waits.
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

// redrive looks for what is due, at once and then again and again.
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

// round looks once for what is due. A panic is an error: the next round may go well.
func (w *Worker) round() (err error) {
	defer invoke.Recover("dispatch", &err)
	_, err = w.dispatcher.Redrive(w.context)
	return err
}

// Close accepts no more commands, waits up to DrainTime for those in progress, and cancels the
// rest. Nothing is lost: they are due again for the next process. It returns an error if some work
// does not end within CutTime.
func (w *Worker) Close() error {
	w.mu.Lock()
	already := w.closed
	w.closed = true
	if !already {
		close(w.queue)
		close(w.done)
	}
	w.mu.Unlock()
	defer w.cut()
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.group.Wait()
	}()
	if ends(done, DrainTime) {
		return nil
	}
	w.cut()
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

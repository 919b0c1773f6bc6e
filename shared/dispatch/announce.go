package dispatch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"chatconf/shared/announce"
	"chatconf/shared/command"
	"chatconf/shared/invoke"
	"chatconf/shared/journal"
)

// A Deliverer is a Target that also takes events of changes.
type Deliverer interface {
	// Deliver delivers an event: one try. ctx ends after StartTime at the latest. A delivery with
	// the same ID may come again. An error is an *Error, or means that there was no answer.
	Deliver(ctx context.Context, d Delivery) error
	// Check returns an error if the target takes no events, however often they are delivered. It
	// sends nothing.
	Check(t command.Target) error
}

// A Delivery is an event of a change for its target.
type Delivery struct {
	ID     string // the event's, the same for every try
	Target command.Target
	Body   []byte // the event: a CloudEvent in JSON
}

const (
	// GiveUpTime is how long the delivery of an event is tried.
	GiveUpTime = 24 * time.Hour
	// longestPause is the longest pause between two attempts. The first is firstPause, and each is
	// twice as long as the one before.
	longestPause = time.Hour
)

// AnnouncerOptions are what an Announcer needs.
type AnnouncerOptions struct {
	Outbox    *announce.Outbox
	Target    command.Target
	Deliverer Deliverer // delivers to the target
	Journal   *journal.Journal
	Now       func() time.Time // default time.Now
}

// An Announcer delivers the events of changes to one target.
type Announcer struct {
	options AnnouncerOptions
}

// NewAnnouncer returns an announcer. It does no I/O.
func NewAnnouncer(o AnnouncerOptions) (*Announcer, error) {
	if o.Outbox == nil || o.Deliverer == nil || o.Journal == nil {
		return nil, errors.New("dispatch: an announcer needs an outbox, a way to deliver, and a journal")
	}
	if err := o.Deliverer.Check(o.Target); err != nil {
		return nil, err
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Announcer{o}, nil
}

// Announce delivers the events that are due, those of one name in their order. It ends when none is
// left. After a failed delivery, after RedriveTime, or if ctx would end too early, it starts no
// further ones: the target may be down.
func (a *Announcer) Announce(ctx context.Context) (found int, err error) {
	until := a.options.Now().Add(RedriveTime)
	if deadline, ok := ctx.Deadline(); ok && deadline.Add(-WorkTime).Before(until) {
		until = deadline.Add(-WorkTime)
	}
	unreadable := func(err error) {
		invoke.Logger(ctx).ErrorContext(ctx, "the event of a change cannot be read", "error", err)
	}
	for {
		due, err := a.options.Outbox.Due(ctx, batch, unreadable)
		found += len(due)
		failed, errs := a.all(ctx, due, until)
		if err := errors.Join(append(errs, err)...); err != nil {
			return found, fmt.Errorf("dispatch: %w", err)
		}
		if len(due) == 0 || failed || !a.options.Now().Before(until) {
			return found, nil
		}
	}
}

// all delivers the events of several names concurrently. It reports whether a delivery failed.
func (a *Announcer) all(ctx context.Context, due []command.Ref, until time.Time) (failed bool, errs []error) {
	var mu sync.Mutex
	var group sync.WaitGroup
	turn := make(chan struct{}, atOnce)
	for _, of := range due {
		select {
		case turn <- struct{}{}:
		case <-ctx.Done():
		}
		mu.Lock()
		stop := failed || len(errs) > 0 || ctx.Err() != nil
		mu.Unlock()
		if stop {
			break
		}
		group.Go(func() {
			defer func() { <-turn }()
			ok, err := a.name(ctx, of, until)
			mu.Lock()
			defer mu.Unlock()
			failed = failed || !ok
			if err != nil {
				errs = append(errs, err)
			}
		})
	}
	group.Wait()
	return failed, errs
}

// name delivers the events of one name in their order, until none is due or one fails, and reports
// whether none failed. It starts no delivery after until. A panic is returned as an error.
func (a *Announcer) name(ctx context.Context, of command.Ref, until time.Time) (ok bool, err error) {
	defer invoke.Recover("dispatch", &err)
	for ctx.Err() == nil && a.options.Now().Before(until) {
		e, err := a.options.Outbox.Claim(ctx, of, lease)
		if errors.Is(err, announce.ErrNothing) {
			return true, nil
		}
		if err != nil {
			return true, err
		}
		if ok, err = a.deliver(ctx, e); err != nil || !ok {
			return ok, err
		}
	}
	return true, nil
}

// deliver delivers a claimed event and reports whether the target accepted it. An error means that
// the result could not be written; the event is then due again after the lease.
func (a *Announcer) deliver(ctx context.Context, e *announce.Event) (ok bool, err error) {
	started := a.options.Now()
	bound, cancel := context.WithTimeout(ctx, StartTime)
	err = a.options.Deliverer.Deliver(bound, Delivery{ID: e.ID, Target: a.options.Target, Body: e.Body})
	cancel()
	failed := new(Error)
	if ok = err == nil; !ok {
		failed = errorOf(err)
	}
	outcome, err := a.end(ctx, e, ok, failed.Why)
	a.log(ctx, e, outcome, failed, started, err)
	return ok, err
}

// end writes the result of an attempt, also after ctx ends. It returns the outcome for the log.
func (a *Announcer) end(ctx context.Context, e *announce.Event, ok bool, why string) (outcome string, err error) {
	now, cut := a.options.Now(), ctx.Err() != nil
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTime)
	defer cancel()
	switch {
	case ok:
		outcome, err = "Delivered", a.options.Outbox.Remove(ctx, e)
	case cut: // the next process tries at once
		outcome, err = "Retry", a.options.Outbox.PutOff(ctx, e, now)
	case now.Sub(e.Date) < GiveUpTime:
		pause := longestPause
		if e.Attempts < 10 {
			pause = min(firstPause<<(e.Attempts-1), longestPause)
		}
		outcome, err = "Retry", a.options.Outbox.PutOff(ctx, e, now.Add(pause))
	default:
		outcome = "Failed"
		if err = a.options.Journal.Unannounced(ctx, e.Ref, why); err == nil {
			err = a.options.Outbox.Remove(ctx, e)
		}
	}
	if errors.Is(err, announce.ErrNothing) {
		return outcome, nil // the lease was over, and another process has the event
	}
	return outcome, err
}

// log writes the log line of an attempt.
func (a *Announcer) log(ctx context.Context, e *announce.Event, outcome string, failed *Error, started time.Time,
	err error) {
	level := slog.LevelInfo
	switch {
	case err != nil:
		level, outcome = slog.LevelError, "Unknown"
	case outcome == "Failed":
		level = slog.LevelError
	case outcome == "Retry":
		level = slog.LevelWarn
	}
	attrs := []slog.Attr{
		slog.String("name", e.Name),
		slog.String("event_id", e.ID),
		slog.Int("attempt", e.Attempts),
		slog.String("outcome", outcome),
		slog.String("detail", failed.Why),
		slog.Float64("duration_ms", float64(a.options.Now().Sub(started).Microseconds())/1000),
	}
	if failed.Cause != "" {
		attrs = append(attrs, slog.String("cause", failed.Cause))
	}
	if err != nil {
		attrs = append(attrs, slog.Any("error", err))
	}
	invoke.Logger(ctx).LogAttrs(ctx, level, "announced", attrs...)
}

// An AnnounceWorker delivers events in the background: right after the write of a change in this
// process, and what is due once a minute.
type AnnounceWorker struct {
	announcer *Announcer
	queue     chan command.Ref
	context   context.Context // of the deliveries, cancelled at the end of DrainTime
	cut       context.CancelFunc
	group     sync.WaitGroup
	done      chan struct{}
	close     sync.Once
}

// announcers is how many names a worker delivers for concurrently, right after their change.
const announcers = 4

// NewAnnounceWorker starts a worker, which logs to the logger of ctx's invocation. It works until
// it is closed, also after ctx ends.
func NewAnnounceWorker(ctx context.Context, a *Announcer) *AnnounceWorker {
	w := &AnnounceWorker{announcer: a, queue: make(chan command.Ref, queueSize), done: make(chan struct{})}
	w.context, w.cut = context.WithCancel(context.WithoutCancel(ctx))
	a.options.Outbox.Watch(func(of command.Ref) {
		select {
		case w.queue <- of:
		default: // the next round finds it
		}
	})
	for range announcers {
		w.group.Go(w.work)
	}
	w.group.Go(w.rounds)
	return w
}

// work delivers the events of changed names.
func (w *AnnounceWorker) work() {
	for {
		select {
		case of := <-w.queue:
			if _, err := w.announcer.name(w.context, of, w.announcer.options.Now().Add(RedriveTime)); err != nil {
				invoke.Logger(w.context).ErrorContext(w.context, "not announced", "name", of.Name, "error", err)
			}
		case <-w.done:
			return
		}
	}
}

// rounds runs a round at once, and then at every interval.
func (w *AnnounceWorker) rounds() {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		if err := w.round(); err != nil && w.context.Err() == nil {
			invoke.Logger(w.context).ErrorContext(w.context, "not all that is due was announced", "error", err)
		}
		select {
		case <-ticker.C:
		case <-w.done:
			return
		}
	}
}

func (w *AnnounceWorker) round() (err error) {
	defer invoke.Recover("dispatch", &err)
	_, err = w.announcer.Announce(w.context)
	return err
}

// Close stops, waits up to DrainTime for deliveries in progress, and cancels the rest. Nothing is
// lost: what is not delivered is due for the next process. It returns an error if some delivery
// does not end within CutTime.
func (w *AnnounceWorker) Close() error {
	w.announcer.options.Outbox.Watch(nil)
	w.close.Do(func() { close(w.done) })
	defer w.cut()
	return drain(&w.group, w.cut)
}

// Package dispatch sends recorded commands to their targets, and the answers to the senders.
//
// A command is dispatched at least once. A process claims it for the time of a lease. If the
// process crashes, another one starts again with the same event id, so that a target can recognise
// a duplicate. If a target starts an operation, it is followed to its end.
//
// Each folder but dispatchtest is a target. This package imports none of them: package app gives
// them to it.
package dispatch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"time"

	"chatconf/shared/cloud"
	"chatconf/shared/command"
	"chatconf/shared/dial"
	"chatconf/shared/fault"
	"chatconf/shared/invoke"
	"chatconf/shared/journal"
)

const (
	// WorkTime bounds the work on one command: the target with its retries, and the answer.
	WorkTime = 55 * time.Second
	// StartTime bounds the target's part of it: one step.
	StartTime = 42 * time.Second
	// sendTime bounds the sending of an answer.
	sendTime = 10 * time.Second
	// settleTime bounds the write of the result, which is made even after a timeout.
	settleTime = 5 * time.Second
	// lease is how long a command is claimed. It is longer than WorkTime and settleTime together,
	// so that two processes never work on one command. The rest allows for clocks that differ.
	lease = 90 * time.Second

	// Attempts is how often a command is tried, including crashes.
	Attempts = 5
	// firstPause is the pause after the first attempt. It doubles each time, so a command fails
	// after a quarter of an hour: later the sender may no longer want it.
	firstPause = time.Minute
	// streamAttempts is how often an answer over a connection is tried, once each firstPause. Any
	// process may try it, and only the one that holds the connection can send it, if it is open.
	streamAttempts = 20
)

// Options are what a Dispatcher needs.
type Options struct {
	// Open returns a configuration as it is now. Its error for one that does not exist has the code
	// fault.NotFound.
	Open    func(context.Context, command.Ref) (*command.Endpoint, error)
	Journal *journal.Journal
	// Targets are the targets by their type, without Journal.
	Targets map[string]Target
	// Sessions returns a context whose invocation has the credentials of a role's session. Nil
	// means no cloud: a Scoped target then runs nothing under a role.
	Sessions func(context.Context, cloud.Session) (context.Context, error)
	// OwnRights reports whether a Scoped target of a type may run a command without RamRole, with
	// the service's own rights. Nil means none may.
	OwnRights func(targetType string) bool
	// Sender makes the sender of a configuration.
	Sender func(*command.Endpoint) (Sender, error)
	// Stay is how long a dispatch may wait for the end of an operation that it started, at most
	// MaxStay. Zero means that it is followed later.
	Stay time.Duration
	Now  func() time.Time // default time.Now
}

// A Dispatcher dispatches commands.
type Dispatcher struct {
	options Options
}

// New returns a dispatcher. It does no I/O.
func New(o Options) (*Dispatcher, error) {
	if o.Stay < 0 || o.Stay > MaxStay {
		return nil, fmt.Errorf("dispatch: Stay of %v: use at most %v", o.Stay, MaxStay)
	}
	if o.Open == nil || o.Journal == nil || o.Sender == nil {
		return nil, errors.New("dispatch: a dispatcher needs configurations, a journal, and a way to answer")
	}
	o.Targets = maps.Clone(o.Targets)
	if o.Targets == nil {
		o.Targets = make(map[string]Target)
	}
	o.Targets[command.TargetJournal] = onlyRecorded{}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Dispatcher{o}, nil
}

// Dispatch does the pending work for a command. It returns nil if nothing is pending, or if another
// process has claimed the command. It also returns nil if the target does not accept the command:
// the record then says Pending or Failed, and why. After an error the result is unknown, since the
// tables cannot be reached; the command is due again after the lease.
func (d *Dispatcher) Dispatch(ctx context.Context, ref command.Ref) error {
	_, err := d.run(ctx, ref, d.options.Journal.Claim)
	return err
}

// claiming is how a command is claimed: Claim or ClaimEarly of a Journal.
type claiming = func(context.Context, command.Ref, time.Duration) (*journal.Job, error)

// run is Dispatch. It also returns when an operation that continues must be followed again; zero if
// none continues.
func (d *Dispatcher) run(ctx context.Context, ref command.Ref, claim claiming) (due time.Time, err error) {
	caller := ctx
	ctx, cancel := context.WithTimeout(ctx, WorkTime)
	defer cancel()
	job, err := claim(ctx, ref, lease)
	switch {
	case errors.Is(err, journal.ErrSettled), errors.Is(err, journal.ErrTaken):
		invoke.Logger(ctx).InfoContext(ctx, "nothing to dispatch", "name", ref.Name, "command_id", ref.ID, "why", err)
		return time.Time{}, nil
	case err != nil:
		return time.Time{}, fmt.Errorf("dispatch: %w", err)
	}
	started := d.options.Now()
	result, then, err := d.work(ctx, job)
	if err == nil && then == settled && result.Outcome == journal.OutcomeFailed && !result.Answered {
		err = caller.Err() // if cancelled: the result is unknown, and the sender was not told
	}
	if err == nil {
		due, err = d.end(ctx, job, result, then)
	}
	d.log(ctx, job, result, then, started, err)
	if err != nil {
		return time.Time{}, fmt.Errorf("dispatch: %w", err)
	}
	return due, nil
}

// What follows the work on a command.
type then uint8

const (
	settled then = iota // it is done
	retry               // it must be tried again
	running             // its operation goes on, or its answer must still be sent
)

// work does the pending work for a command. It returns the result and what follows.
func (d *Dispatcher) work(ctx context.Context, job *journal.Job) (result journal.Result, next then, err error) {
	e, err := d.options.Open(ctx, job.Ref)
	switch {
	case fault.CodeOf(err) == fault.NotFound, err == nil && !job.IsOf(e):
		return d.lost(job, "the chat configuration was deleted in the meantime"), settled, nil
	case err != nil && (job.Attempts > Attempts || d.abandoned(job)):
		return d.lost(job, "the chat configuration could not be read"), settled, nil
	case err != nil:
		return journal.Result{}, settled, err
	case job.Answer != "" && job.Attempts <= attempts(job):
		return d.answer(ctx, e, job)
	case job.Operation.Execution != "" && job.Operation.State == "":
		return d.follow(ctx, e, job)
	case job.Attempts > Attempts:
		// Earlier processes claimed it and ended without a result. The target may have it.
		return d.giveUp(ctx, e, job, "every attempt ended without a result"), settled, nil
	}
	if cancelled(e, job) {
		by := "it was cancelled by " + job.Cancel.User
		if job.Doubt {
			// Another attempt would find out, but it might also start what is not wanted.
			return d.giveUp(ctx, e, job, by+"; an earlier attempt may have started it"), settled, nil
		}
		return d.notStarted(ctx, e, job, by+" before it was started"), settled, nil
	}
	if !e.Active {
		return d.giveUp(ctx, e, job, "the chat configuration became inactive in the meantime"), settled, nil
	}
	switch now := e.Decide(job.Command); {
	case e.Again(job.Command) != nil:
		return d.giveUp(ctx, e, job, "Actions were changed in the meantime and make another command of the message"),
			settled, nil
	case !now.Allowed:
		return d.giveUp(ctx, e, job, "Permissions were changed in the meantime and no longer allow it"), settled, nil
	case now.RamRole != job.RamRole:
		return d.giveUp(ctx, e, job, "Permissions were changed in the meantime and allow it only with another RamRole"),
			settled, nil
	}
	return d.start(ctx, e, job)
}

// lost is the result of a command whose configuration no longer exists. No answer can be sent.
func (d *Dispatcher) lost(job *journal.Job, why string) journal.Result {
	result := journal.Result{Outcome: journal.OutcomeFailed, Detail: why, State: endOf(job)}
	if job.Operation.Execution != "" {
		result.Outcome = journal.OutcomeDelivered
	}
	return result
}

// endOf returns the state of a command that is not tried again.
func endOf(job *journal.Job) journal.State {
	switch {
	case job.Operation.State != "":
		return job.Operation.State
	case job.Doubt || job.Operation.Execution != "":
		return journal.StateUnknown
	}
	return journal.StateFailed
}

// answer sends an answer that the callback's own response could not carry, or the final answer of
// an operation. It retries unless the platform refuses for good.
func (d *Dispatcher) answer(ctx context.Context, e *command.Endpoint,
	job *journal.Job) (result journal.Result, next then, err error) {
	job.Operation.Sends++
	sent, unsent := d.send(ctx, e, job, job.Answer)
	ended := job.Operation.State != ""
	switch {
	case sent:
		return journal.Result{Outcome: journal.OutcomeDelivered, Answered: true, Detail: job.Operation.Detail},
			settled, nil
	case unsent.Again && job.Attempts < attempts(job):
		return journal.Result{Detail: unsent.Why, Cause: unsent.Cause}, retry, nil
	case ended:
		return journal.Result{Outcome: journal.OutcomeDelivered, Detail: joined(job.Operation.Detail, unsent.Why),
			Cause: unsent.Cause}, settled, nil
	}
	return journal.Result{Outcome: journal.OutcomeFailed, Detail: unsent.Why, Cause: unsent.Cause}, settled, nil
}

// giveUp tells the sender that the command failed.
func (d *Dispatcher) giveUp(ctx context.Context, e *command.Endpoint, job *journal.Job, why string) journal.Result {
	result := journal.Result{Outcome: journal.OutcomeFailed, Detail: why, State: endOf(job)}
	if job.Answer != "" { // the job is an answer, not a command
		if job.Operation.State != "" {
			result.Outcome = journal.OutcomeDelivered
		}
		return result
	}
	text := e.Undelivered(job.Command, job.ID)
	if result.State == journal.StateUnknown {
		text = e.Ended(operationOf(job, result.State, ""))
	}
	sent, unsent := d.send(ctx, e, job, text)
	result.Answered, result.Detail, result.Cause = sent, joined(result.Detail, unsent.Why), unsent.Cause
	return result
}

// joined joins two texts; each may be empty.
func joined(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "; " + b
}

// send sends an answer to the sender of the command, if there is a way. It returns whether it was
// sent, and if an attempt failed, why.
func (d *Dispatcher) send(ctx context.Context, e *command.Endpoint, job *journal.Job,
	text string) (sent bool, why Error) {
	if text == "" || job.ReplyTo.Kind == "" {
		return false, Error{}
	}
	if job.KeepsAnswers() {
		job.Keep(text)
		return true, Error{}
	}
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	sender, err := d.options.Sender(e)
	if err == nil {
		err = sender.Send(ctx, job.ReplyTo, text)
	}
	if err != nil {
		return false, Error{Why: fmt.Sprintf("the answer was not sent: %v", err), Again: Retryable(err),
			Cause: dial.Cause(err)}
	}
	return true, Error{}
}

// errorOf returns the error of a target as an *Error: any other one means no answer.
func errorOf(err error) *Error {
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	return &Error{Why: (&dial.Error{What: "the target", Err: err}).Error(), Again: true, Cause: err.Error()}
}

// attempts returns how often the answer of a job is tried.
func attempts(job *journal.Job) int {
	if job.ReplyTo.Kind == command.ReplyStream {
		return streamAttempts
	}
	return Attempts
}

// next returns when a command is to be tried again.
func (d *Dispatcher) next(job *journal.Job) time.Time {
	if job.Answer != "" && job.ReplyTo.Kind == command.ReplyStream {
		return d.options.Now().Add(firstPause)
	}
	return d.options.Now().Add(firstPause << (job.Attempts - 1))
}

// end records the result of the work. It returns when a running operation must be followed again.
func (d *Dispatcher) end(ctx context.Context, job *journal.Job, result journal.Result, next then) (time.Time, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTime)
	defer cancel()
	switch next {
	case retry:
		return time.Time{}, d.options.Journal.Retry(ctx, job, d.next(job), result.Detail)
	case running:
		due := d.nextPoll(job)
		return due, d.options.Journal.Running(ctx, job, due, true, result.State, result.Detail)
	}
	return time.Time{}, d.options.Journal.Settle(ctx, job, result)
}

// log writes the log line of the work on a command.
func (d *Dispatcher) log(ctx context.Context, job *journal.Job, result journal.Result,
	next then, started time.Time, err error) {
	outcome := string(result.Outcome)
	level := slog.LevelInfo
	switch {
	case err != nil:
		level, outcome = slog.LevelError, "Unknown"
	case next == running && result.Cause != "":
		level, outcome = slog.LevelWarn, "Running"
	case next == running:
		if outcome = "Running"; job.Operation.Polls > 0 {
			level = slog.LevelDebug // each question to the target would be a line
		}
	case next == retry:
		level, outcome = slog.LevelWarn, "Retry"
	case result.Outcome == journal.OutcomeFailed:
		level = slog.LevelWarn
	}
	attrs := []slog.Attr{
		slog.String("account", job.Account),
		slog.String("region", job.Region),
		slog.String("name", job.Name),
		slog.String("command_id", job.ID),
		slog.String("command", job.Command.Shown()),
		slog.Int("attempt", job.Attempts),
		slog.String("outcome", outcome),
		slog.Bool("answered", result.Answered),
		slog.String("detail", result.Detail),
		slog.Float64("duration_ms", float64(d.options.Now().Sub(started).Microseconds())/1000),
	}
	if result.State != "" {
		attrs = append(attrs, slog.String("state", string(result.State)))
	}
	if job.Operation.Execution != "" {
		attrs = append(attrs, slog.String("execution", job.Operation.Execution))
	}
	if result.Cause != "" {
		attrs = append(attrs, slog.String("cause", result.Cause))
	}
	if err != nil {
		attrs = append(attrs, slog.Any("error", err))
	}
	invoke.Logger(ctx).LogAttrs(ctx, level, "dispatched", attrs...)
}

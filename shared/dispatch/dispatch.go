// Package dispatch sends recorded commands to their targets, and the answers to the senders.
//
// A command is dispatched at least once. A process claims it for the time of a lease. If the
// process crashes, another one starts again with the same event id, so that a target can recognise
// a duplicate.
package dispatch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
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
)

// Options are what a Dispatcher needs.
type Options struct {
	// Open returns a configuration as it is now. Its error for one that does not exist has the code
	// fault.NotFound.
	Open    func(context.Context, command.Ref) (*command.Endpoint, error)
	Journal *journal.Journal
	// Targets are the targets by their type. Journal needs none.
	Targets map[string]Target
	// Sessions returns a context whose invocation has the credentials of a role's session. Nil
	// means no cloud: a Scoped target then runs nothing under a role.
	Sessions func(context.Context, cloud.Session) (context.Context, error)
	// OwnRights reports whether a Scoped target of a type may run a command without RamRole, with
	// the service's own rights. Nil means none may.
	OwnRights func(targetType string) bool
	// Sender makes the sender of a configuration.
	Sender func(*command.Endpoint) (Sender, error)
	Now    func() time.Time // default time.Now
}

// A Dispatcher dispatches commands.
type Dispatcher struct {
	options Options
}

// New returns a dispatcher. It does no I/O.
func New(o Options) (*Dispatcher, error) {
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

// Dispatch does the pending work for a command. It returns nil if there is none, or if another
// process has claimed the command. It also returns nil if the target does not accept the command:
// the record then says Pending or Failed, and why. After an error the result is unknown, since the
// tables cannot be reached; the command is due again after the lease.
func (d *Dispatcher) Dispatch(ctx context.Context, ref command.Ref) error {
	caller := ctx
	ctx, cancel := context.WithTimeout(ctx, WorkTime)
	defer cancel()
	job, err := d.options.Journal.Claim(ctx, ref, lease)
	switch {
	case errors.Is(err, journal.ErrSettled), errors.Is(err, journal.ErrTaken):
		invoke.Logger(ctx).InfoContext(ctx, "nothing to dispatch", "name", ref.Name, "command_id", ref.ID, "why", err)
		return nil
	case err != nil:
		return fmt.Errorf("dispatch: %w", err)
	}
	started := d.options.Now()
	result, retry, err := d.work(ctx, job)
	if err == nil && result.Outcome == journal.OutcomeFailed && !result.Answered {
		err = caller.Err() // if cancelled: the result is unknown, and the sender was not told
	}
	if err == nil {
		err = d.end(ctx, job, result, retry)
	}
	d.log(ctx, job, result, retry, started, err)
	if err != nil {
		return fmt.Errorf("dispatch: %w", err)
	}
	return nil
}

// work does the pending work for a command. It returns the result, or with retry set, that it must
// be tried again.
func (d *Dispatcher) work(ctx context.Context, job *journal.Job) (result journal.Result, retry bool, err error) {
	e, err := d.options.Open(ctx, job.Ref)
	switch {
	case fault.CodeOf(err) == fault.NotFound, err == nil && !job.IsOf(e):
		return journal.Result{Outcome: journal.OutcomeFailed,
				Detail: "the chat configuration was deleted in the meantime"},
			false, nil
	case err != nil && job.Attempts > Attempts:
		return journal.Result{Outcome: journal.OutcomeFailed, Detail: "the chat configuration could not be read"},
			false, nil
	case err != nil:
		return journal.Result{}, false, err
	case job.Attempts > Attempts:
		// Earlier processes claimed it and ended without a result. The target may have it.
		return d.giveUp(ctx, e, job, "every attempt ended without a result"), false, nil
	case job.Answer != "":
		return d.answer(ctx, e, job)
	}
	if !e.Active {
		return d.giveUp(ctx, e, job, "the chat configuration became inactive in the meantime"), false, nil
	}
	switch now := e.Decide(job.Command); {
	case !now.Allowed:
		return d.giveUp(ctx, e, job, "Permissions were changed in the meantime and no longer allow it"), false, nil
	case now.RamRole != job.RamRole:
		return d.giveUp(ctx, e, job, "Permissions were changed in the meantime and allow it only with another RamRole"),
			false, nil
	}
	progress, failed := d.deliver(ctx, e, job)
	switch {
	case failed != nil && failed.Again && job.Attempts < Attempts:
		return journal.Result{Detail: failed.Why, Cause: failed.Cause}, true, nil
	case failed != nil:
		result = d.giveUp(ctx, e, job, failed.Why)
		result.Target, result.Cause = e.Target.String(), strings.Trim(failed.Cause+"; "+result.Cause, "; ")
		return result, false, nil
	}
	result = journal.Result{Outcome: journal.OutcomeDelivered, Target: e.Target.String(), Detail: progress.Detail}
	text := progress.Text
	if text != "" && job.ReplyTo.Kind == "" {
		result.Detail = "the target's answer was not sent: this conversation has no way to answer later"
		return result, false, nil
	}
	if text == "" && !job.Answered {
		text = e.Reply(job.Command, command.Decision{Allowed: true}) // not sent before
	}
	// The target has accepted it. A lost answer is no reason to dispatch it again.
	sent, unsent := d.send(ctx, e, job, text)
	if result.Answered, result.Cause = sent, unsent.Cause; unsent.Why != "" {
		result.Detail = unsent.Why
	}
	return result, false, nil
}

// answer sends an answer that the callback's own response could not carry. It retries unless the
// platform refuses for good.
func (d *Dispatcher) answer(ctx context.Context, e *command.Endpoint,
	job *journal.Job) (result journal.Result, retry bool, err error) {
	sent, unsent := d.send(ctx, e, job, job.Answer)
	switch {
	case sent:
		return journal.Result{Outcome: journal.OutcomeDelivered, Answered: true}, false, nil
	case unsent.Again && job.Attempts < Attempts && d.canStillSend(job):
		return journal.Result{Detail: unsent.Why, Cause: unsent.Cause}, true, nil
	}
	return journal.Result{Outcome: journal.OutcomeFailed, Detail: unsent.Why, Cause: unsent.Cause}, false, nil
}

// canStillSend reports whether an answer can still be sent at the time of the next attempt.
func (d *Dispatcher) canStillSend(job *journal.Job) bool {
	return job.ReplyTo.Expires.IsZero() || d.next(job).Before(job.ReplyTo.Expires)
}

// giveUp tells the sender that the command failed.
func (d *Dispatcher) giveUp(ctx context.Context, e *command.Endpoint, job *journal.Job, why string) journal.Result {
	result := journal.Result{Outcome: journal.OutcomeFailed, Detail: why}
	if job.Answer != "" {
		return result // the job is an answer, not a command
	}
	sent, unsent := d.send(ctx, e, job, e.Undelivered(job.Command, job.ID))
	if result.Answered, result.Cause = sent, unsent.Cause; unsent.Why != "" {
		result.Detail += "; " + unsent.Why
	}
	return result
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

// deliver starts the operation of a command at its target.
func (d *Dispatcher) deliver(ctx context.Context, e *command.Endpoint, job *journal.Job) (Progress, *Error) {
	ctx, cancel := context.WithTimeout(ctx, StartTime)
	defer cancel()
	target := d.options.Targets[e.Target.Type]
	if target == nil {
		return Progress{}, &Error{Why: fmt.Sprintf("this service has no targets of type %q", e.Target.Type),
			Refused: true}
	}
	progress, err := target.Start(ctx, &Call{ID: job.ID, Endpoint: e, Event: job.Event(), Command: job.Command,
		Target: e.Target, Timeout: StartTime})
	if err != nil {
		return Progress{}, errorOf(err)
	}
	return progress, nil
}

// errorOf returns the error of a target as an *Error: any other one means no answer.
func errorOf(err error) *Error {
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	return &Error{Why: (&dial.Error{What: "the target", Err: err}).Error(), Again: true, Cause: err.Error()}
}

// next returns when a command is to be tried again.
func (d *Dispatcher) next(job *journal.Job) time.Time {
	return d.options.Now().Add(firstPause << (job.Attempts - 1))
}

// end records the result of the work.
func (d *Dispatcher) end(ctx context.Context, job *journal.Job, result journal.Result, retry bool) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTime)
	defer cancel()
	if retry {
		return d.options.Journal.Retry(ctx, job, d.next(job), result.Detail)
	}
	return d.options.Journal.Settle(ctx, job, result)
}

// log writes the log line of the work on a command.
func (d *Dispatcher) log(ctx context.Context, job *journal.Job, result journal.Result,
	retry bool, started time.Time, err error) {
	outcome := string(result.Outcome)
	level := slog.LevelInfo
	switch {
	case err != nil:
		level, outcome = slog.LevelError, "Unknown"
	case retry:
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
	if result.Cause != "" {
		attrs = append(attrs, slog.String("cause", result.Cause))
	}
	if err != nil {
		attrs = append(attrs, slog.Any("error", err))
	}
	invoke.Logger(ctx).LogAttrs(ctx, level, "dispatched", attrs...)
}

// Package dispatch sends recorded commands to their targets, and the answers to the senders.
//
// A command is dispatched at least once. A process claims it for the time of a lease. If the
// process crashes, another one starts again with the same event id, so that a target can recognise
// a duplicate.
package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"chatconf/shared/chat"
	"chatconf/shared/cloud"
	"chatconf/shared/command"
	"chatconf/shared/dial"
	targethttp "chatconf/shared/dispatch/http"
	"chatconf/shared/fault"
	"chatconf/shared/invoke"
	"chatconf/shared/journal"
)

const (
	// WorkTime bounds the work on one command: the target with its retries, and the answer.
	WorkTime = 55 * time.Second
	// targetTime bounds the target's part of it.
	targetTime = 42 * time.Second
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
	Service *chat.Service
	Journal *journal.Journal
	// Post delivers an event to an https URL and returns the answer, as targethttp.Client does.
	Post func(ctx context.Context, url, secret string, e targethttp.Event) ([]byte, error)
	// Call invokes a function of the cloud and returns its answer. Nil means no cloud.
	Call func(ctx context.Context, name string, payload []byte) ([]byte, error)
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
	if o.Service == nil || o.Journal == nil || o.Post == nil || o.Sender == nil {
		return nil, errors.New("dispatch: a dispatcher needs a service, a journal, and ways to deliver and to answer")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Dispatcher{o}, nil
}

// An undelivered is the reason why a target did not accept a command, or a platform an answer.
type undelivered struct {
	why   string // for people; no secret
	again bool   // another attempt may help
	cause string // for the log
}

func (e *undelivered) Error() string { return e.why }

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
	e, err := d.options.Service.OpenConfiguration(ctx, job.Ref)
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
	text, err := d.deliver(ctx, e, job)
	var failed *undelivered
	switch {
	case errors.As(err, &failed) && failed.again && job.Attempts < Attempts:
		return journal.Result{Detail: failed.why, Cause: failed.cause}, true, nil
	case errors.As(err, &failed):
		result = d.giveUp(ctx, e, job, failed.why)
		result.Target, result.Cause = e.Target.String(), strings.Trim(failed.cause+"; "+result.Cause, "; ")
		return result, false, nil
	case err != nil:
		return journal.Result{}, false, err
	}
	result = journal.Result{Outcome: journal.OutcomeDelivered, Target: e.Target.String()}
	if text != "" && job.ReplyTo.Kind == "" {
		result.Detail = "the target's answer was not sent: this conversation has no way to answer later"
		return result, false, nil
	}
	if text == "" && !job.Answered {
		text = e.Reply(job.Command, command.Decision{Allowed: true}) // not sent before
	}
	// The target has accepted it. A lost answer is no reason to dispatch it again.
	sent, unsent := d.send(ctx, e, job, text)
	result.Answered, result.Detail, result.Cause = sent, unsent.why, unsent.cause
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
	case unsent.again && job.Attempts < Attempts && d.canStillSend(job):
		return journal.Result{Detail: unsent.why, Cause: unsent.cause}, true, nil
	}
	return journal.Result{Outcome: journal.OutcomeFailed, Detail: unsent.why, Cause: unsent.cause}, false, nil
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
	if result.Answered, result.Cause = sent, unsent.cause; unsent.why != "" {
		result.Detail += "; " + unsent.why
	}
	return result
}

// send sends an answer to the sender of the command, if there is a way. It returns whether it was
// sent, and if an attempt failed, why.
func (d *Dispatcher) send(ctx context.Context, e *command.Endpoint, job *journal.Job,
	text string) (sent bool, why undelivered) {
	if text == "" || job.ReplyTo.Kind == "" {
		return false, undelivered{}
	}
	if job.KeepsAnswers() {
		job.Keep(text)
		return true, undelivered{}
	}
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	sender, err := d.options.Sender(e)
	if err == nil {
		err = sender.Send(ctx, job.ReplyTo, text)
	}
	if err != nil {
		return false, undelivered{fmt.Sprintf("the answer was not sent: %v", err), Retryable(err), dial.Cause(err)}
	}
	return true, undelivered{}
}

// deliver sends a command to its target and returns the text of its answer. Its error is an
// *undelivered.
func (d *Dispatcher) deliver(ctx context.Context, e *command.Endpoint, job *journal.Job) (text string, err error) {
	ctx, cancel := context.WithTimeout(ctx, targetTime)
	defer cancel()
	event, err := job.Event().MarshalJSON()
	if err != nil {
		return "", &undelivered{why: "the command cannot be encoded as an event", cause: err.Error()}
	}
	var said []byte
	switch target := e.Target; target.Type {
	case command.TargetJournal:
		return "", nil
	case command.TargetHTTP:
		said, err = d.options.Post(ctx, target.URL.Reveal(), target.Secret.Reveal(),
			targethttp.Event{ID: job.ID, ContentType: command.EventMediaType, Body: event})
		var refused *targethttp.Error
		if errors.As(err, &refused) {
			return "", &undelivered{refused.Error(), refused.Again || ctx.Err() != nil, dial.Cause(refused)}
		}
	case command.TargetFunction:
		if d.options.Call == nil {
			return "", &undelivered{why: "this service does not run in a cloud, so it cannot invoke functions"}
		}
		said, err = d.options.Call(ctx, target.Name, event)
		var refused *cloud.Refusal
		if errors.As(err, &refused) { // its message may name roles and accounts
			return "", &undelivered{fmt.Sprintf("the function was not invoked: %s, status %d", refused.Code,
				refused.Status), refused.Retryable, refused.Error()}
		}
	default:
		return "", &undelivered{why: fmt.Sprintf("unknown target type %q", target.Type)}
	}
	if err != nil {
		return "", &undelivered{(&dial.Error{What: "the target", Err: err}).Error(), true, err.Error()}
	}
	return textOf(said), nil
}

// textOf returns the text of a target's answer {"text":"…"}. Any other answer has none.
func textOf(answer []byte) string {
	var out struct {
		Text string `json:"text"`
	}
	if json.Unmarshal(answer, &out) != nil {
		return ""
	}
	return out.Text
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

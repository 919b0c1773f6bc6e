package dispatch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"chatconf/shared/cloud"
	"chatconf/shared/command"
	"chatconf/shared/invoke"
	"chatconf/shared/journal"
)

const (
	// MaxStay is the maximum of Options.Stay.
	MaxStay = 20 * time.Second
	// DefaultTimeout is how long a followed operation may take if its action does not say, and
	// MaxTimeout the longest that an action may say.
	DefaultTimeout = time.Hour
	MaxTimeout     = 24 * time.Hour
	// endTime is how long an operation is still followed after its timeout was noticed. Without a
	// result by then, its state is Unknown.
	endTime = 10 * time.Minute
	// followTime bounds one question to a target, or one request to cancel.
	followTime = 10 * time.Second

	// firstPoll is the pause before the first question. The pause grows up to lastPoll.
	firstPoll = 2 * time.Second
	lastPoll  = time.Minute
	// sayEvery is the shortest time between two messages about progress.
	sayEvery = time.Minute
	// spareUses is how many uses of a limited way to answer are left for the final answer.
	spareUses = 3
)

// start starts the operation of a command.
func (d *Dispatcher) start(ctx context.Context, e *command.Endpoint,
	job *journal.Job) (result journal.Result, next then, err error) {
	call, began := d.call(e, job), d.options.Now().UTC()
	target := d.options.Targets[call.Target.Type]
	op, held := &job.Operation, false
	keep := func(execution string) {
		op.Started, op.Execution, op.Target = began, execution, call.Target
		op.Target.Parameters, op.Target.Allow = nil, nil // only Start needs them
		op.Deadline = op.Started.Add(call.Timeout)
	}
	call.Began = func(execution string) {
		keep(execution)
		// If this fails, so does the write of the result, or it succeeds and this does not matter.
		held = d.hold(ctx, job, "") == nil
	}
	progress, failed := d.try(ctx, StepStart, target, call, func(ctx context.Context) (Progress, error) {
		op.Session = sessionOf(ctx)
		return target.Start(ctx, call)
	})
	name := call.Target.String()
	switch {
	case failed != nil && !failed.Refused:
		job.Doubt = true
		fallthrough
	case failed != nil:
		if failed.Again && job.Attempts < Attempts {
			return journal.Result{Detail: failed.Why, Cause: failed.Cause}, retry, nil
		}
		result = d.giveUp(ctx, e, job, failed.Why)
		result.Target, result.Cause = name, joined(failed.Cause, result.Cause)
		return result, settled, nil
	}
	_, follows := target.(Follower)
	op.Started = began
	if progress.State != journal.StateRunning {
		return d.ended(ctx, e, job, progress, name, !follows)
	}
	keep(progress.Execution)
	if !follows || op.Execution == "" {
		return d.ended(ctx, e, job, Progress{State: journal.StateUnknown,
			Detail: "the target does not say how to follow the operation"}, name, false)
	}
	return d.begun(ctx, e, job, progress, held)
}

// begun keeps an operation that has just been started, unless it is held already, and waits for its
// end for Options.Stay.
func (d *Dispatcher) begun(ctx context.Context, e *command.Endpoint, job *journal.Job,
	progress Progress, held bool) (journal.Result, then, error) {
	result := journal.Result{State: journal.StateRunning, Detail: progress.Detail}
	stay := d.stay(ctx)
	tell := !job.Answered && job.ReplyTo.Uses == 0 && !job.KeepsAnswers() // the callback's response said nothing
	if stay <= 0 && !tell {
		return result, running, nil
	}
	// The target has it: the execution's id is written before anything else is done.
	if !held {
		if err := d.hold(ctx, job, progress.Detail); err != nil {
			return result, settled, err
		}
	}
	if tell {
		job.Operation.Sends++
		job.Answered, _ = d.send(ctx, e, job, e.Accepted(job.Command))
	}
	for end := time.Now().Add(stay); ; {
		pause := pollPause(job.Operation.Polls)
		if !time.Now().Add(pause).Before(end) || invoke.Sleep(ctx, pause) != nil {
			return result, running, nil
		}
		if err := d.options.Journal.Cancelled(ctx, job); err != nil {
			return result, settled, err
		}
		now, next, err := d.follow(ctx, e, job)
		if result = now; err != nil || next != running || job.Answer != "" {
			return result, next, err
		}
	}
}

// hold writes that an operation goes on, and keeps it for the rest of the lease.
func (d *Dispatcher) hold(ctx context.Context, job *journal.Job, detail string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTime)
	defer cancel()
	return d.options.Journal.Running(ctx, job, d.options.Now().Add(lease), false, journal.StateRunning, detail)
}

// stay returns how long this dispatch may wait for the end of an operation.
func (d *Dispatcher) stay(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return 0
	}
	return min(d.options.Stay, time.Until(deadline)-followTime-sendTime)
}

// follow asks the target for the progress of an operation. It ends the operation if that takes too
// long or must be cancelled, and tells the conversation the result.
func (d *Dispatcher) follow(ctx context.Context, e *command.Endpoint,
	job *journal.Job) (result journal.Result, next then, err error) {
	op := &job.Operation
	call := d.call(e, job)
	call.Target, call.Execution = op.Target, op.Execution
	op.Polls++
	if op.Ending == "" && cancelled(e, job) {
		op.Ending = journal.StateCancelled
	}
	if op.Late.IsZero() && !d.options.Now().Before(op.Deadline) {
		op.Late, op.Ending = d.options.Now().UTC(), cmp.Or(op.Ending, journal.StateTimedOut)
	}
	target, ok := d.options.Targets[op.Target.Type].(Follower)
	none := fmt.Sprintf("this service has no targets of type %q", op.Target.Type)
	if why, missing := d.options.Targets[op.Target.Type].(Unavailable); missing {
		none = string(why)
	}
	switch {
	case d.abandoned(job):
		return d.unknown(ctx, e, job, "every attempt to follow it ended without a result")
	case !ok && d.overdue(job):
		return d.unknown(ctx, e, job, none)
	case !ok:
		return journal.Result{State: journal.StateRunning, Detail: none}, running, nil
	}
	detail := ""
	if op.Ending != "" && op.Asked.IsZero() {
		_, failed := d.try(ctx, StepCancel, target, call, func(ctx context.Context) (Progress, error) {
			return Progress{}, target.Cancel(ctx, call)
		})
		if failed == nil {
			op.Asked, op.Polls = d.options.Now().UTC(), 1 // its end is near: look soon
		} else {
			detail = "the target did not cancel it: " + failed.Why
			result.Cause = failed.Cause
		}
	}
	progress, failed := d.try(ctx, StepFollow, target, call, func(ctx context.Context) (Progress, error) {
		return target.Follow(ctx, call)
	})
	switch {
	case failed != nil && d.overdue(job):
		return d.unknown(ctx, e, job, "the target did not say how it ended: "+failed.Why)
	case failed != nil:
		result.Cause = joined(result.Cause, failed.Cause)
		result.State, result.Detail = journal.StateRunning, "the target does not say how far it is: "+failed.Why
		return result, running, nil
	case progress.State == journal.StateUnknown && progress.Detail == "":
		progress.Detail = "the target does not know the execution, or no longer"
	case progress.State.Ended():
	case d.overdue(job):
		return d.unknown(ctx, e, job, joined("it did not end in time", detail))
	default:
		d.say(ctx, e, job, progress)
		result.State, result.Detail = journal.StateRunning, joined(detail, progress.Detail)
		return result, running, nil
	}
	if op.Ending != "" && progress.State == journal.StateCancelled {
		progress.State = op.Ending
	}
	return d.ended(ctx, e, job, progress, "", false)
}

// unknown ends the following of an operation whose end cannot be found out.
func (d *Dispatcher) unknown(ctx context.Context, e *command.Endpoint, job *journal.Job,
	why string) (journal.Result, then, error) {
	return d.ended(ctx, e, job, Progress{State: journal.StateUnknown, Detail: why}, "", false)
}

// overdue reports whether an operation was followed for so long that its end is Unknown. Time in
// which no process ran does not count.
func (d *Dispatcher) overdue(job *journal.Job) bool {
	late := job.Operation.Late
	return !late.IsZero() && d.options.Now().After(late.Add(endTime))
}

// abandoned reports whether an operation has taken too long, and the last processes that followed
// it ended without a result.
func (d *Dispatcher) abandoned(job *journal.Job) bool {
	return job.Operation.Execution != "" && job.Lost >= Attempts &&
		d.options.Now().After(job.Operation.Deadline.Add(endTime))
}

// ended tells the conversation the result of an operation. target is what the record shows; if
// empty, the record keeps its own. plain is for a target that only answers: its answer is shown
// unchanged.
func (d *Dispatcher) ended(ctx context.Context, e *command.Endpoint, job *journal.Job, progress Progress,
	target string, plain bool) (result journal.Result, next then, err error) {
	op := &job.Operation
	if op.Execution == "" {
		op.Execution = progress.Execution
	}
	result = journal.Result{Outcome: journal.OutcomeDelivered, Target: target, State: progress.State,
		Detail: progress.Detail}
	text := progress.Text
	good := progress.State == journal.StateSucceeded || progress.State == journal.StateAccepted
	switch {
	case !plain && (op.Polls > 0 || text == "") || !good:
		if progress.State != journal.StateUnknown { // then the sentence says where the details are
			text = cmp.Or(text, progress.Detail)
		}
		text = e.Ended(operationOf(job, progress.State, text))
	case text == "" && !job.Answered:
		text = e.Accepted(job.Command) // not sent before
	}
	if text != "" && job.ReplyTo.Kind == "" {
		result.Detail = joined(result.Detail,
			"the target's answer was not sent: this conversation has no way to answer later")
		return result, settled, nil
	}
	op.Sends++
	sent, unsent := d.send(ctx, e, job, text)
	if !sent && unsent.Again && (op.Polls > 0 || job.ReplyTo.Kind == command.ReplyStream) {
		// It ran for a while, so its result is worth another attempt to send it. A connection may
		// be closed for now, or another process holds it.
		op.State, op.Detail, job.Answer, job.Attempts = progress.State, progress.Detail, text, 1
		return journal.Result{State: progress.State, Detail: unsent.Why, Cause: unsent.Cause}, running, nil
	}
	// The target has accepted it. A lost answer is no reason to dispatch it again.
	result.Answered, result.Detail, result.Cause = sent, joined(result.Detail, unsent.Why), unsent.Cause
	return result, settled, nil
}

// say sends the progress of an operation to the conversation, if it is new and the last message is
// long enough ago. If the number of answers is limited, it leaves some for the result.
func (d *Dispatcher) say(ctx context.Context, e *command.Endpoint, job *journal.Job, progress Progress) {
	op, now := &job.Operation, d.options.Now()
	last := op.Said
	if last.IsZero() {
		last = op.Started
	}
	limited := job.ReplyTo.Uses > 0 && job.ReplyTo.Uses-op.Sends <= spareUses
	if progress.Text == "" || progress.Text == op.Text || now.Sub(last) < sayEvery || limited || job.KeepsAnswers() {
		return
	}
	op.Sends++
	// If it was not sent, it is not worth another attempt.
	op.Said, op.Text = now.UTC(), progress.Text
	d.send(ctx, e, job, e.Progress(operationOf(job, journal.StateRunning, progress.Text)))
}

// notStarted ends a command that was cancelled before it was started.
func (d *Dispatcher) notStarted(ctx context.Context, e *command.Endpoint, job *journal.Job, why string) journal.Result {
	result := journal.Result{Outcome: journal.OutcomeRecorded, State: journal.StateCancelled, Detail: why}
	sent, unsent := d.send(ctx, e, job, e.Ended(operationOf(job, result.State, "")))
	result.Answered, result.Detail, result.Cause = sent, joined(why, unsent.Why), unsent.Cause
	return result
}

// cancelled reports whether the command must be cancelled, for a person who may run it now.
func cancelled(e *command.Endpoint, job *journal.Job) bool {
	by := job.Cancel
	return by != nil && e.MayOperate(command.Command{User: by.User, Groups: e.Permissions.Groups(by.User),
		Conversation: by.Conversation, Direct: by.Direct}, job.Command, job.RamRole)
}

// call returns the call of a job's command.
func (d *Dispatcher) call(e *command.Endpoint, job *journal.Job) *Call {
	c := &Call{ID: job.ID, Endpoint: e, Event: job.Event(), Command: job.Command, Target: e.TargetOf(job.Command),
		Role: job.RamRole, Timeout: StartTime}
	if _, ok := d.options.Targets[c.Target.Type].(Follower); ok {
		c.Timeout = DefaultTimeout
	}
	if a := e.Actions.Find(command.FoldName(job.Command.Action)); a != nil && a.Timeout > 0 {
		c.Timeout = min(a.Timeout, MaxTimeout)
	}
	return c
}

// try does one step at a target, under the role of the call. What the target says is without the
// values of secret parameters.
func (d *Dispatcher) try(ctx context.Context, step Step, target Target, c *Call,
	do func(context.Context) (Progress, error)) (Progress, *Error) {
	if target == nil {
		return Progress{}, &Error{Why: fmt.Sprintf("this service has no targets of type %q", c.Target.Type),
			Refused: true}
	}
	time := followTime
	if step == StepStart {
		time = min(StartTime, c.Timeout)
	}
	ctx, cancel := context.WithTimeout(ctx, time)
	defer cancel()
	ctx, refused := d.session(ctx, step, target, c)
	if refused != nil {
		return Progress{}, refused
	}
	progress, err := do(ctx)
	if err != nil {
		failed := *errorOf(err)
		failed.Why, failed.Cause = c.masked(failed.Why), c.masked(failed.Cause)
		return Progress{}, &failed
	}
	progress.Text, progress.Detail = c.masked(progress.Text), c.masked(progress.Detail)
	return progress, nil
}

type sessionKey struct{}

// sessionOf returns the name of the role's session of a step; empty without one.
func sessionOf(ctx context.Context) string {
	name, _ := ctx.Value(sessionKey{}).(string)
	return name
}

// session returns the context of a step: for a Scoped target, with a session of the call's role.
func (d *Dispatcher) session(ctx context.Context, step Step, target Target, c *Call) (context.Context, *Error) {
	scoped, ok := target.(Scoped)
	switch {
	case !ok:
		return ctx, nil
	case c.Role == "" && d.options.OwnRights != nil && d.options.OwnRights(c.Target.Type):
		return ctx, nil
	case c.Role == "":
		return nil, &Error{Refused: true,
			Why: fmt.Sprintf("the command has no RamRole: set RamRole in the configuration, "+
				"in the action or in the statement, or let this service use its own rights for %s targets "+
				"with CHATCONF_OWN_RIGHTS", c.Target.Type)}
	case d.options.Sessions == nil:
		return nil, &Error{Refused: true, Why: fmt.Sprintf("this service has no cloud, so it cannot assume the role %q",
			c.Role)}
	}
	e := c.Endpoint
	want := cloud.Session{
		Role:       c.Role,
		Account:    e.Account,
		Name:       cloud.SessionName(e.Type, c.Command.User),
		ExternalID: c.Event.Source,
		Tags:       map[string]string{"platform": e.Type, "user": c.Command.User, "configuration": e.Name},
		Policy:     scoped.Policy(step, c),
		Duration:   followTime,
	}
	if step == StepStart {
		want.Duration = c.Timeout // a target may go on with these credentials
	}
	want.SourceIdentity = want.Name
	under, err := d.options.Sessions(ctx, want)
	var refused *cloud.RoleError
	switch {
	case errors.As(err, &refused):
		cause := ""
		if refused.Err != nil {
			cause = refused.Err.Error()
		}
		return nil, &Error{Why: refused.Error(), Again: refused.Again, Refused: true, Cause: cause}
	case err != nil: // nothing was sent to the target
		failed := errorOf(err)
		failed.Refused = true
		return nil, failed
	}
	return context.WithValue(under, sessionKey{}, want.Name), nil
}

// nextPoll returns when an operation is to be followed again, or its answer to be sent again.
func (d *Dispatcher) nextPoll(job *journal.Job) time.Time {
	if job.Answer != "" {
		return d.next(job)
	}
	return d.options.Now().Add(pollPause(job.Operation.Polls))
}

// pollPause returns the pause after n questions.
func pollPause(n int) time.Duration {
	pause := firstPoll
	for range min(n, 20) {
		pause = min(pause*3/2, lastPoll)
	}
	return pause
}

// operationOf describes a job's operation for people.
func operationOf(job *journal.Job, state journal.State, text string) command.Operation {
	return command.Operation{ID: job.ID, Command: job.Command.Shown(), State: string(state),
		Execution: job.Operation.Execution, Started: job.Operation.Started, Text: text}
}

package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/document"
	"chatconf/shared/invoke"
	"chatconf/shared/seal"
	"chatconf/shared/secret"
	"chatconf/shared/table"
)

// Errors of the outbox, to be found with errors.Is.
var (
	// ErrSettled says that nothing remains to be done for a command, or that there is no such
	// command.
	ErrSettled = errors.New("journal: nothing is left to be done for the command")
	// ErrTaken says that another process works on a command, or that its next retry is not due.
	ErrTaken = errors.New("journal: the command is taken")
)

// An outboxItem is a Pending as it is stored: JSON, under outboxKey.
type outboxItem struct {
	Version  int       `json:"v"`
	Name     string    `json:"name"`
	Life     string    `json:"life,omitempty"`
	Due      time.Time `json:"due"` // when any process may claim it
	Attempts int       `json:"attempts,omitempty"`
	// Waiting says that no process holds it: Due is not the end of a lease.
	Waiting bool `json:"waiting,omitempty"`
	// Doubt says that an attempt may have started the operation and did not say so.
	Doubt bool `json:"doubt,omitempty"`
	// Lost is how often in a row a process that followed the operation ended without a result.
	Lost   int    `json:"lost,omitempty"`
	Sealed []byte `json:"sealed"`
}

// A payload is the sealed part.
type payload struct {
	Created time.Time // the configuration's
	Command command.Command
	RamRole string
	Answer  string
	ReplyTo struct {
		Kind, URL, ID string
		Expires       time.Time
		Uses          int `json:",omitempty"`
	}
	Operation Operation `json:",omitzero"`
}

// An Operation is what is known of a command that its target has started. It is sealed.
type Operation struct {
	Execution string         // the target's id of it; not empty if it was started
	Target    command.Target // where it was started
	Started   time.Time
	Deadline  time.Time
	Session   string    `json:",omitempty"` // the name of the role's session that started it
	Ending    State     `json:",omitempty"` // Cancelled or TimedOut: the target must end it
	Asked     time.Time `json:",omitzero"`  // when the target took the request to end it
	Late      time.Time `json:",omitzero"`  // when it was first seen to have taken too long
	Polls     int       `json:",omitempty"` // how often the target was asked how far it is
	Said      time.Time `json:",omitzero"`  // when its progress was last sent to the conversation
	Text      string    `json:",omitempty"` // that progress
	Sends     int       `json:",omitempty"` // how often the way to answer was used
	State     State     `json:",omitempty"` // how it ended; only its answer must be sent
	Detail    string    `json:",omitempty"` // of the end, for the record
}

// A Job is a claimed command, to be dispatched or answered.
type Job struct {
	command.Ref
	Created  time.Time // the configuration's
	Command  command.Command
	RamRole  string // the role to run as
	ReplyTo  command.ReplyTo
	Answer   string // if set, it is sent, and nothing goes to the target
	Answered bool   // the sender knows that the command was accepted
	Attempts int    // the number of claims, including this one
	Recorded time.Time
	// Operation is of a command that was started. Running writes it.
	Operation Operation
	// Doubt says that an earlier attempt may have started the command and did not say so.
	Doubt bool
	// Lost is how often in a row a process that followed the operation ended without a result.
	Lost int
	// Cancel is the request to cancel the command; nil if none.
	Cancel *Cancellation

	pending  outboxItem
	revision int64      // of the outbox item
	entry    table.Item // the record
	kept     string     // an answer that Settle stores
}

// IsOf reports whether the command belongs to this life of the configuration.
func (job *Job) IsOf(e *command.Endpoint) bool {
	return job.Life == e.Life && job.Created.Equal(e.Created)
}

// LogValue returns the fields that a log may show.
func (job *Job) LogValue() slog.Value {
	return slog.GroupValue(slog.String("id", job.ID), slog.Int("attempts", job.Attempts),
		slog.Any("command", job.Command))
}

func (j *Journal) outboxPut(e *command.Endpoint, ref command.Ref, due time.Time, a Arrival) (table.Put, error) {
	p := payload{Created: e.Created, Command: a.Command, RamRole: a.Decision.RamRole, Answer: a.Pending.Answer}
	if p.Answer != "" {
		p.Command.Text, p.Command.Arguments, p.Command.Parameters = "", nil, nil // not needed, and may be long
	}
	sealed, err := j.sealPayload(ref, p, a.Pending.ReplyTo)
	if err != nil {
		return table.Put{}, err
	}
	return outboxItem{Version: RecordVersion, Name: ref.Name, Life: ref.Life, Due: due,
		Sealed: sealed}.put(ref, 1, table.Absent())
}

func (j *Journal) sealPayload(ref command.Ref, p payload, to command.ReplyTo) ([]byte, error) {
	p.ReplyTo.Kind, p.ReplyTo.URL, p.ReplyTo.ID = to.Kind, to.URL.Reveal(), to.ID
	p.ReplyTo.Expires, p.ReplyTo.Uses = to.Expires, to.Uses
	text, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("journal: encode outbox item: %w", err)
	}
	sealed, err := j.ring.Seal(outboxPlace(ref), text)
	if err != nil {
		return nil, fmt.Errorf("journal: seal outbox item: %w", err)
	}
	return sealed, nil
}

func (p outboxItem) put(ref command.Ref, revision int64, condition table.Condition) (table.Put, error) {
	value, err := document.Encode(p)
	if err != nil {
		return table.Put{}, fmt.Errorf("journal: encode outbox item: %w", err)
	}
	return table.Put{Sort: outboxKey(ref), Value: value, Revision: revision, If: condition}, nil
}

func decodeOutboxItem(item table.Item) (outboxItem, error) {
	var p outboxItem
	if err := json.Unmarshal(item.Value, &p); err != nil {
		return p, fmt.Errorf("journal: item %q: %w", item.Sort, err)
	}
	if p.Version != RecordVersion {
		return p, fmt.Errorf("journal: item %q has version %d; this program reads version %d", item.Sort, p.Version,
			RecordVersion)
	}
	return p, nil
}

// Claim takes a command for the time of a lease: to dispatch, to follow or to answer it. The first
// claim may come at once. Later claims must wait for the end of the lease, or for the time of Retry
// or Running. A command that must be cancelled need not wait if no process holds it. The caller
// must end with Settle, Retry or Running. Without these, the command is due again after the lease,
// so work may be done twice.
//
// A claim of a command that was started and is not yet to be answered does not count as an attempt.
//
// Errors: ErrSettled, ErrTaken, *Error.
func (j *Journal) Claim(ctx context.Context, ref command.Ref, lease time.Duration) (*Job, error) {
	return j.claim(ctx, ref, lease, false)
}

// ClaimEarly is Claim that does not wait for the time of Running: the operation may have ended.
func (j *Journal) ClaimEarly(ctx context.Context, ref command.Ref, lease time.Duration) (*Job, error) {
	return j.claim(ctx, ref, lease, true)
}

func (j *Journal) claim(ctx context.Context, ref command.Ref, lease time.Duration, early bool) (*Job, error) {
	items, err := j.table.Get(ctx,
		table.Key{Partition: partitionOf(ref), Sort: outboxKey(ref)},
		table.Key{Partition: partitionOf(ref), Sort: recordKey(ref)},
		table.Key{Partition: partitionOf(ref), Sort: cancelKey(ref)})
	if err != nil {
		return nil, storeError(ctx, "claim", err)
	}
	var out, record, cancel table.Item
	for _, item := range items {
		switch item.Sort {
		case outboxKey(ref):
			out = item
		case cancelKey(ref):
			cancel = item
		default:
			record = item
		}
	}
	if out.Sort == "" {
		return nil, ErrSettled
	}
	now := j.now().UTC()
	p, err := decodeOutboxItem(out)
	if err != nil {
		return nil, storeError(ctx, "claim", err)
	}
	if p.Name != ref.Name || p.Life != ref.Life {
		return nil, ErrSettled
	}
	job, err := j.openJob(ref, p, out, record)
	if err != nil {
		return nil, storeError(ctx, "claim", errors.Join(err, j.putOff(ctx, ref, p, out)))
	}
	job.readCancellation(ctx, cancel)
	early = p.Waiting && (job.Cancel != nil || early && job.running())
	if p.claimed() && now.Before(p.Due) && !early {
		return nil, ErrTaken
	}
	crashed := p.claimed() && !p.Waiting // no process released it
	switch {
	case !job.running():
		job.Doubt = job.Doubt || crashed && job.Answer == ""
		job.Attempts++
	case crashed:
		job.Lost++
	}
	put, err := job.put(now.Add(lease), false)
	if err == nil {
		err = j.writeJob(ctx, job, table.Change{Puts: []table.Put{put}})
	}
	if err != nil {
		return nil, jobError(ctx, "claim", err)
	}
	job.revision++
	return job, nil
}

// claimed reports whether the item was claimed before.
func (p outboxItem) claimed() bool { return p.Attempts > 0 || p.Waiting }

// running reports whether the job's command was started and how it ends is not known.
func (job *Job) running() bool { return job.Operation.Execution != "" && job.Operation.State == "" }

// put returns the put of the job's outbox item at its present revision. waiting says that no
// process holds it until then.
func (job *Job) put(due time.Time, waiting bool) (table.Put, error) {
	p := &job.pending
	if waiting {
		job.Lost = 0
	}
	p.Attempts, p.Doubt, p.Lost, p.Due, p.Waiting = job.Attempts, job.Doubt, job.Lost, due.UTC(), waiting
	return p.put(job.Ref, job.revision+1, table.AtRevision(job.revision))
}

// unreadable is the pause before an unreadable command is due again, so that it does not delay
// others. A key may be missing for a while.
const unreadable = time.Hour

// putOff postpones a due command that cannot be read.
func (j *Journal) putOff(ctx context.Context, ref command.Ref, p outboxItem, out table.Item) error {
	now := j.now().UTC()
	if now.Before(p.Due) {
		return nil
	}
	p.Due = now.Add(unreadable)
	put, err := p.put(ref, out.Revision+1, table.AtRevision(out.Revision))
	if err != nil {
		return err
	}
	return j.table.Write(ctx, partitionOf(ref), table.Change{Puts: []table.Put{put}})
}

func (j *Journal) openJob(ref command.Ref, p outboxItem, out, record table.Item) (*Job, error) {
	text, err := j.ring.Open(outboxPlace(ref), p.Sealed)
	if err != nil {
		return nil, fmt.Errorf("journal: open %q: %w", out.Sort, err)
	}
	var in payload
	if err := json.Unmarshal(text, &in); err != nil {
		return nil, fmt.Errorf("journal: item %q holds no command", out.Sort) // err may quote the text
	}
	// The job is written again, perhaps after a walk that seals everything again has passed.
	if id, err := seal.KeyID(p.Sealed); err != nil || id != j.ring.Current() {
		if p.Sealed, err = j.ring.Seal(outboxPlace(ref), text); err != nil {
			return nil, fmt.Errorf("journal: seal outbox item: %w", err)
		}
	}
	answered := true // without a record no answer is expected
	if record.Sort != "" {
		e, err := decodeRecord(record)
		if err != nil {
			return nil, err
		}
		answered = e.Answered
	}
	return &Job{
		Answered: answered,
		Ref:      ref,
		Created:  in.Created,
		Command:  in.Command,
		RamRole:  in.RamRole,
		ReplyTo: command.ReplyTo{Kind: in.ReplyTo.Kind, URL: secret.Text(in.ReplyTo.URL),
			ID: in.ReplyTo.ID, Expires: in.ReplyTo.Expires, Uses: in.ReplyTo.Uses},
		Answer:    in.Answer,
		Attempts:  p.Attempts,
		Recorded:  timeOf(ref),
		Operation: in.Operation,
		Doubt:     p.Doubt,
		Lost:      p.Lost,
		pending:   p,
		revision:  out.Revision,
		entry:     record,
	}, nil
}

// timeOf returns the time in a record's id; zero if the id is invalid.
func timeOf(r command.Ref) time.Time {
	text, _, _ := strings.Cut(r.ID, "-")
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// A Result is the result of the work on a command.
type Result struct {
	Outcome  Outcome // OutcomeDelivered or OutcomeFailed; OutcomeRecorded if nobody needs to do anything
	State    State   // of the operation; if empty, the record keeps its own
	Answered bool    // an answer was sent to the conversation
	Detail   string  // for people: the target's response, or why the command failed; no secret
	Target   string  // the target; if empty, the record keeps its own
	Cause    string  // only for a log: what Detail does not say
}

// Settle ends the work on a command for good. It writes the result into the record and removes the
// outbox item.
//
// Errors: ErrTaken if the lease was over and another process claimed it, *Error.
func (j *Journal) Settle(ctx context.Context, job *Job, r Result) error {
	now := j.now().UTC()
	change := table.Change{Deletes: []table.Delete{{Sort: outboxKey(job.Ref), If: table.AtRevision(job.revision)}}}
	err := job.amend(&change, func(e *Record) error {
		e.Outcome, e.Answered, e.Detail, e.Settled = r.Outcome, e.Answered || r.Answered,
			cut(r.Detail, 1024), now.Truncate(time.Millisecond)
		if r.Target != "" {
			e.Target = cut(r.Target, 512)
		}
		job.show(e, r.State, now)
		return j.keep(job, e)
	})
	if err != nil {
		return storeError(ctx, "settle", err)
	}
	if job.Cancel != nil || job.Operation.Execution != "" {
		change.Deletes = append(change.Deletes, table.Delete{Sort: cancelKey(job.Ref)})
	}
	counter := CountDelivered
	switch r.Outcome {
	case OutcomeFailed:
		counter = CountFailed
		last, err := document.Encode(Moment{At: now, Step: "deliver", Reason: cut(r.Detail, 1024)})
		if err != nil {
			return storeError(ctx, "settle", err)
		}
		change.Puts = append(change.Puts, table.Put{Sort: healthKey(job.Ref, LastDelivery),
			Value: last, Revision: now.UnixNano()})
	case OutcomeRecorded:
		counter = ""
	}
	if counter != "" {
		change.Adds = []table.Add{{Sort: shardKey(job.Ref, counter), N: 1}}
	}
	if err := j.writeJob(ctx, job, change); err != nil {
		return jobError(ctx, "settle", err)
	}
	return nil
}

// show writes the state of the job's operation into its record.
func (job *Job) show(e *Record, state State, now time.Time) {
	op := &job.Operation
	if state != "" {
		e.State = state
	}
	if op.Execution != "" || op.Session != "" {
		e.Execution, e.SessionName = cut(op.Execution, 512), op.Session
	}
	if !op.Started.IsZero() && e.State != StateAccepted {
		e.Started = op.Started.UTC().Truncate(time.Millisecond)
	}
	if e.State.Ended() && e.Ended.IsZero() {
		e.Ended = now.Truncate(time.Millisecond)
	}
}

// Running keeps a command whose operation was started, and writes job.Operation and job.Answer. The
// caller holds it until the given time. With waiting set, no process holds it, and it is due then.
// The record gets the state and the detail.
//
// Errors: ErrTaken if the lease was over and another process claimed it, *Error.
func (j *Journal) Running(ctx context.Context, job *Job, until time.Time, waiting bool, state State,
	detail string) error {
	var change table.Change
	sealed, err := j.sealPayload(job.Ref, payload{Created: job.Created, Command: job.Command, RamRole: job.RamRole,
		Answer: job.Answer, Operation: job.Operation}, job.ReplyTo)
	if err != nil {
		return storeError(ctx, "follow", err)
	}
	job.pending.Sealed = sealed
	put, err := job.put(until, waiting)
	if err == nil {
		change.Puts = append(change.Puts, put)
		err = job.amend(&change, func(e *Record) error {
			e.Answered, e.Detail = e.Answered || job.Answered, cut(detail, 1024)
			if job.Operation.Polls == 0 {
				e.Target = cut(job.Operation.Target.String(), 512)
			}
			job.show(e, state, j.now().UTC())
			return nil
		})
	}
	if err == nil {
		err = j.writeJob(ctx, job, change)
	}
	if err != nil {
		return jobError(ctx, "follow", err)
	}
	job.revision++
	if len(change.Puts) > 1 {
		job.entry.Value, job.entry.Revision = change.Puts[1].Value, change.Puts[1].Revision
	}
	return nil
}

// Retry returns a command to the outbox until the given time. The record says how often it was
// tried, in which session of the role, and why that failed.
//
// Errors: ErrTaken if the lease was over and another process claimed it, *Error.
func (j *Journal) Retry(ctx context.Context, job *Job, at time.Time, detail string) error {
	var change table.Change
	put, err := job.put(at, true)
	if err == nil {
		change.Puts = append(change.Puts, put)
		err = job.amend(&change, func(e *Record) error {
			e.Detail = cut(detail, 1024)
			if session := job.Operation.Session; session != "" {
				e.SessionName = session
			}
			return nil
		})
	}
	if err == nil {
		err = j.writeJob(ctx, job, change)
	}
	if err != nil {
		return jobError(ctx, "retry", err)
	}
	return nil
}

// amend adds the edited record to a change, unless the record has expired.
func (job *Job) amend(to *table.Change, edit func(*Record) error) error {
	if job.entry.Sort == "" {
		return nil
	}
	e, err := decodeRecord(job.entry)
	if err != nil {
		return err
	}
	e.Attempts = job.Attempts
	if err := edit(e); err != nil {
		return err
	}
	value, err := document.Encode(e)
	if err != nil {
		return fmt.Errorf("journal: encode record: %w", err)
	}
	// The put needs no condition: the outbox item in the same write has one.
	to.Puts = append(to.Puts, table.Put{Sort: job.entry.Sort, Value: value, Revision: job.entry.Revision + 1})
	return nil
}

func (j *Journal) writeJob(ctx context.Context, job *Job, c table.Change) error {
	return j.table.Write(ctx, partitionOf(job.Ref), c)
}

func jobError(ctx context.Context, what string, err error) error {
	var broken *table.ConditionError
	if errors.As(err, &broken) {
		return ErrTaken
	}
	return storeError(ctx, what, err)
}

// Due returns up to n commands of all accounts and regions that may be claimed: commands that were
// not claimed within dispatchDelay, whose lease is over, or whose retry is due. Partitions come in
// random order with equal shares; of each configuration come at most each, the oldest first. Due
// reads a bounded number of items of each partition and continues behind them the next time.
func (j *Journal) Due(ctx context.Context, n, each int) ([]command.Ref, error) {
	partitions, err := j.partitions(ctx)
	if err != nil {
		return nil, storeError(ctx, "find what is due", err)
	}
	rand.Shuffle(len(partitions), func(a, b int) { partitions[a], partitions[b] = partitions[b], partitions[a] })
	var out []command.Ref
	for i, partition := range partitions {
		left := len(partitions) - i
		share := (n - len(out) + left - 1) / left
		if share <= 0 {
			break
		}
		found, err := j.dueIn(ctx, partition, share, each)
		if err != nil {
			return out, storeError(ctx, "find what is due", err)
		}
		out = append(out, found...)
	}
	return out, nil
}

// More reports whether the last Due stopped before the end of a partition, so that the next one may
// find more.
func (j *Journal) More() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.resume) > 0
}

// dueIn is Due for one partition.
func (j *Journal) dueIn(ctx context.Context, partition string, n, each int) ([]command.Ref, error) {
	const rounds = 10
	now := j.now()
	account, region, ok := strings.Cut(partition, "/")
	if !ok {
		return nil, fmt.Errorf("journal: partition %q is not ACCOUNT/REGION", partition)
	}
	var out []command.Ref
	of := make(map[string]int)
	j.mu.Lock()
	after := j.resume[partition]
	delete(j.resume, partition) // set again below if this call does not reach the end
	j.mu.Unlock()
	for round := range rounds {
		items, err := j.table.Query(ctx, table.Range{Partition: partition, Prefix: outboxPrefix,
			After: after, Limit: table.MaxGet})
		if err != nil {
			return nil, err
		}
		for _, item := range items {
			after = item.Sort
			p, err := decodeOutboxItem(item)
			if err != nil {
				// It must not delay the others.
				invoke.Logger(ctx).ErrorContext(ctx, "a pending command cannot be read",
					"partition", partition, "error", err)
				continue
			}
			if now.Before(p.Due) || of[p.Name] == each {
				continue
			}
			of[p.Name]++
			out = append(out, command.Ref{Account: account, Region: region, Name: p.Name, Life: p.Life,
				ID: strings.TrimPrefix(item.Sort, outboxPrefix)})
			if len(out) == n {
				return out, nil
			}
		}
		if len(items) < table.MaxGet {
			break
		}
		if round == rounds-1 {
			j.mu.Lock()
			j.resume[partition] = after
			j.mu.Unlock()
		}
	}
	return out, nil
}

// partitions returns every partition that has, or had, an outbox item.
func (j *Journal) partitions(ctx context.Context) ([]string, error) {
	var out []string
	after := ""
	for {
		items, err := j.table.Query(ctx, table.Range{Partition: journalsPartition, After: after, Limit: table.MaxQuery})
		if err != nil {
			return nil, err
		}
		for _, item := range items {
			after = item.Sort
			out = append(out, after)
		}
		if len(items) < table.MaxQuery {
			return out, nil
		}
	}
}

// Event returns the event for the job's target.
func (job *Job) Event() *command.Event {
	c := job.Command
	text, arguments := c.Words()
	out := &command.Event{
		ID:     job.ID,
		Source: "acs:oos:" + job.Region + ":" + job.Account + ":chatconfiguration/" + job.Name,
		Time:   job.Recorded,
		Data: command.EventData{
			AccountID:      c.Account,
			RegionID:       c.Region,
			Configuration:  c.Configuration,
			Platform:       c.Platform,
			ConversationID: c.Conversation,
			Direct:         c.Direct,
			UserID:         c.User,
			UserName:       c.UserName,
			Groups:         append([]string{}, c.Groups...),
			Text:           text,
			Command:        c.Name,
			Arguments:      append([]string{}, arguments...),
			RamRole:        job.RamRole,
			MessageID:      c.MessageID,
			Action:         c.Action,
			DryRun:         c.DryRun,
		},
	}
	if c.Action != "" {
		out.Data.Parameters = append(command.TypedObject{}, c.Parameters...)
	}
	if !c.Sent.IsZero() {
		out.Data.SentDate = c.Sent.UTC().Format(time.RFC3339Nano)
	}
	return out
}

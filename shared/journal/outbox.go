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
	Sealed   []byte    `json:"sealed"`
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
	}
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
		p.Command.Text, p.Command.Arguments = "", nil // not needed, and may be long
	}
	to := a.Pending.ReplyTo
	p.ReplyTo.Kind, p.ReplyTo.URL, p.ReplyTo.ID, p.ReplyTo.Expires = to.Kind, to.URL.Reveal(), to.ID, to.Expires
	text, err := json.Marshal(p)
	if err != nil {
		return table.Put{}, fmt.Errorf("journal: encode outbox item: %w", err)
	}
	sealed, err := j.ring.Seal(outboxPlace(ref), text)
	if err != nil {
		return table.Put{}, fmt.Errorf("journal: seal outbox item: %w", err)
	}
	return outboxItem{Version: RecordVersion, Name: ref.Name, Life: ref.Life, Due: due,
		Sealed: sealed}.put(ref, 1, table.Absent())
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

// Claim takes a command for the time of a lease, to dispatch or to answer it. The first claim may
// come at once. Later claims must wait for the end of the lease, or for the time of Retry. The
// caller must end with Settle or Retry. Without either, the command is due again after the lease,
// so work may be done twice.
//
// Errors: ErrSettled, ErrTaken, *Error.
func (j *Journal) Claim(ctx context.Context, ref command.Ref, lease time.Duration) (*Job, error) {
	items, err := j.table.Get(ctx,
		table.Key{Partition: partitionOf(ref), Sort: outboxKey(ref)},
		table.Key{Partition: partitionOf(ref), Sort: recordKey(ref)})
	if err != nil {
		return nil, storeError(ctx, "claim", err)
	}
	var out, record table.Item
	for _, item := range items {
		if strings.HasPrefix(item.Sort, outboxPrefix) {
			out = item
		} else {
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
	if job.Attempts > 0 && now.Before(job.pending.Due) {
		return nil, ErrTaken
	}
	job.Attempts++
	job.pending.Attempts, job.pending.Due = job.Attempts, now.Add(lease)
	put, err := job.pending.put(ref, job.revision+1, table.AtRevision(job.revision))
	if err == nil {
		err = j.writeJob(ctx, job, table.Change{Puts: []table.Put{put}})
	}
	if err != nil {
		return nil, jobError(ctx, "claim", err)
	}
	job.revision++
	return job, nil
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
			ID: in.ReplyTo.ID, Expires: in.ReplyTo.Expires},
		Answer:   in.Answer,
		Attempts: p.Attempts,
		Recorded: timeOf(ref),
		pending:  p,
		revision: out.Revision,
		entry:    record,
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
	Outcome  Outcome // OutcomeDelivered or OutcomeFailed
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
		return j.keep(job, e)
	})
	if err != nil {
		return storeError(ctx, "settle", err)
	}
	counter := CountDelivered
	if r.Outcome != OutcomeDelivered {
		counter = CountFailed
		last, err := document.Encode(Moment{At: now, Step: "deliver", Reason: cut(r.Detail, 1024)})
		if err != nil {
			return storeError(ctx, "settle", err)
		}
		change.Puts = append(change.Puts, table.Put{Sort: healthKey(job.Ref, LastDelivery),
			Value: last, Revision: now.UnixNano()})
	}
	change.Adds = []table.Add{{Sort: shardKey(job.Ref, counter), N: 1}}
	if err := j.writeJob(ctx, job, change); err != nil {
		return jobError(ctx, "settle", err)
	}
	return nil
}

// Retry returns a command to the outbox until the given time. The record says how often it was
// tried, and why that failed.
//
// Errors: ErrTaken if the lease was over and another process claimed it, *Error.
func (j *Journal) Retry(ctx context.Context, job *Job, at time.Time, detail string) error {
	var change table.Change
	job.pending.Due = at.UTC()
	put, err := job.pending.put(job.Ref, job.revision+1, table.AtRevision(job.revision))
	if err == nil {
		change.Puts = append(change.Puts, put)
		err = job.amend(&change, func(e *Record) error {
			e.Detail = cut(detail, 1024)
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

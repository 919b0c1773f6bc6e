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
	"chatconf/shared/invoke"
	"chatconf/shared/secret"
	"chatconf/shared/table"
)

// Errors of the outbox, to be found with errors.Is.
var (
	// ErrSettled says that nothing is left to be done for a command, or that there is no such
	// command.
	ErrSettled = errors.New("journal: nothing is left to be done for the command")
	// ErrTaken says that somebody else is at work on a command, or that it is not to be tried again
	// yet.
	ErrTaken = errors.New("journal: the command is taken")
)

// A pending is what is left to be done for a command as it is stored: JSON, under Ref.outboxKey.
type pending struct {
	Version  int       `json:"v"`
	Name     string    `json:"name"`
	Life     string    `json:"life,omitempty"`
	Due      time.Time `json:"due"` // when somebody else than who recorded it, or works at it, may take it
	Attempts int       `json:"attempts,omitempty"`
	Sealed   []byte    `json:"sealed"`
}

// A payload is the sealed part.
type payload struct {
	Created time.Time // the configuration
	Command command.Command
	RamRole string
	Answer  string
	ReplyTo struct {
		Kind, URL, ID string
		Expires       time.Time
	}
}

// A Job is a command that was claimed, to be handed on or answered.
type Job struct {
	command.Ref
	Created  time.Time // when the configuration was that the command was given to
	Command  command.Command
	RamRole  string // that it runs as
	ReplyTo  command.ReplyTo
	Answer   string // if set, this is to be sent, and nothing goes to the target
	Answered bool   // whoever gave the command was told that it was accepted
	Attempts int    // how often it was claimed, this time included
	Recorded time.Time

	pending  pending
	revision int64      // of the pending
	entry    table.Item // the record
	kept     string     // an answer that Settle keeps
}

// IsOf reports whether the command was given to the configuration in this life of its name. With
// another it has nothing to do.
func (job *Job) IsOf(e *command.Endpoint) bool {
	return job.Life == e.Life && job.Created.Equal(e.Created)
}

// LogValue returns what a log may show.
func (job *Job) LogValue() slog.Value {
	return slog.GroupValue(slog.String("id", job.ID), slog.Int("attempts", job.Attempts),
		slog.Any("command", job.Command))
}

// outboxPut returns the put of what is left to be done.
func (j *Journal) outboxPut(e *command.Endpoint, ref command.Ref, due time.Time, a Arrival) (table.Put, error) {
	p := payload{Created: e.Created, Command: a.Command, RamRole: a.Decision.RamRole, Answer: a.Handover.Answer}
	if p.Answer != "" {
		p.Command.Text, p.Command.Arguments = "", nil // nobody gets them; and what is no command may be long
	}
	to := a.Handover.ReplyTo
	p.ReplyTo.Kind, p.ReplyTo.URL, p.ReplyTo.ID, p.ReplyTo.Expires = to.Kind, to.URL.Reveal(), to.ID, to.Expires
	text, err := json.Marshal(p)
	if err != nil {
		return table.Put{}, fmt.Errorf("journal: encode handover: %w", err)
	}
	sealed, err := j.ring.Seal(outboxPlace(ref), text)
	if err != nil {
		return table.Put{}, fmt.Errorf("journal: seal handover: %w", err)
	}
	return pending{Version: RecordVersion, Name: ref.Name, Life: ref.Life, Due: due,
		Sealed: sealed}.put(ref, 1, table.Absent())
}

func (p pending) put(ref command.Ref, revision int64, condition table.Condition) (table.Put, error) {
	value, err := encode(p)
	if err != nil {
		return table.Put{}, fmt.Errorf("journal: encode handover: %w", err)
	}
	return table.Put{Sort: outboxKey(ref), Value: value, Revision: revision, If: condition}, nil
}

func decodePending(item table.Item) (pending, error) {
	var p pending
	if err := json.Unmarshal(item.Value, &p); err != nil {
		return p, fmt.Errorf("journal: item %q: %w", item.Sort, err)
	}
	if p.Version != RecordVersion {
		return p, fmt.Errorf("journal: item %q has version %d, wanted %d", item.Sort, p.Version, RecordVersion)
	}
	return p, nil
}

// Claim takes a command to hand it on or to answer it, for the time of a lease. The first claim may
// come at once; later ones when the lease of the one before is over, or at the time that Retry
// said. Whoever claims a command ends with Settle or Retry; if it does neither, the command is due
// again after the lease, so what was begun may be done twice.
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
	p, err := decodePending(out)
	if err != nil {
		return nil, storeError(ctx, "claim", err)
	}
	if p.Name != ref.Name || p.Life != ref.Life {
		return nil, ErrSettled // there is no such command
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

// unreadable is how long a command rests that cannot be read, for want of a key perhaps, so that it
// does not keep others waiting.
const unreadable = time.Hour

// putOff has a command rest that is due and cannot be read.
func (j *Journal) putOff(ctx context.Context, ref command.Ref, p pending, out table.Item) error {
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

func (j *Journal) openJob(ref command.Ref, p pending, out, record table.Item) (*Job, error) {
	text, err := j.ring.Open(outboxPlace(ref), p.Sealed)
	if err != nil {
		return nil, fmt.Errorf("journal: open %q: %w", out.Sort, err)
	}
	var in payload
	if err := json.Unmarshal(text, &in); err != nil {
		return nil, fmt.Errorf("journal: item %q holds no command", out.Sort) // err may quote the text
	}
	answered := true // of a record that vanished, nobody waits for an answer
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

// timeOf returns when what the ref names was recorded, zero if its id is none.
func timeOf(r command.Ref) time.Time {
	text, _, _ := strings.Cut(r.ID, "-")
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// A Result is how the work on a command ended.
type Result struct {
	Outcome  Outcome // OutcomeDelivered or OutcomeFailed
	Answered bool    // an answer was sent to the conversation
	Detail   string  // for people: what the target said, or why it was given up; no secret
	Target   string  // that it was handed to, or would have been; if empty, the one that the record has
	Cause    string  // for a log alone: what Detail does not say
}

// Settle ends the work on a command for good. The record says how; what was sealed of the command
// is removed.
//
// Errors: ErrTaken when the lease was over and somebody else took it, *Error.
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
		last, err := encode(Moment{At: now, Step: "deliver", Reason: cut(r.Detail, 1024)})
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

// Retry gives a command back, to be tried again at a time. The record says how often it was tried
// and why it did not work.
//
// Errors: ErrTaken when the lease was over and somebody else took it, *Error.
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

// amend adds the changed record to a change, if there still is one: it vanishes by its age.
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
	value, err := encode(e)
	if err != nil {
		return fmt.Errorf("journal: encode record: %w", err)
	}
	// Without a condition: whoever holds the pending is the only one to write the record, and that
	// is conditional.
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

// Due returns commands of all accounts and regions that are due to be claimed: those recorded a
// minute ago or more that nobody claimed, those whose lease is over, and those whose time to be
// tried again has come. At most n of them, at most an equal share of each partition, and of each of
// its configurations at most each, the oldest first; which partitions come first is chance. It
// looks at a bounded number of candidates of each partition, and goes on behind them the next time,
// so that many that wait do not hide others.
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

// dueIn returns up to n commands of one partition that are due, of each configuration up to each.
func (j *Journal) dueIn(ctx context.Context, partition string, n, each int) ([]command.Ref, error) {
	const rounds = 10
	now := j.now()
	account, region, ok := strings.Cut(partition, "/")
	if !ok {
		return nil, fmt.Errorf("journal: %q is no partition of a journal", partition)
	}
	var out []command.Ref
	of := make(map[string]int)
	j.mu.Lock()
	after := j.resume[partition]
	delete(j.resume, partition) // unless this call does not get to the end either
	j.mu.Unlock()
	for round := range rounds {
		items, err := j.table.Query(ctx, table.Range{Partition: partition, Prefix: outboxPrefix,
			After: after, Limit: table.MaxGet})
		if err != nil {
			return nil, err
		}
		for _, item := range items {
			after = item.Sort
			p, err := decodePending(item)
			if err != nil {
				// It must not keep others from being handed on.
				invoke.Logger(ctx).ErrorContext(ctx, "a command that is to be handed on cannot be read",
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

// partitions returns every partition that holds, or held, something.
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

// Event returns the event of a job that is to be handed to its target.
func (job *Job) Event() *command.Event {
	c := job.Command
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
			Text:           c.Text,
			Command:        c.Name,
			Arguments:      append([]string{}, c.Arguments...),
			RamRole:        job.RamRole,
			MessageID:      c.MessageID,
		},
	}
	if !c.Sent.IsZero() {
		out.Data.SentDate = c.Sent.UTC().Format(time.RFC3339Nano)
	}
	return out
}

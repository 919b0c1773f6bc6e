// Package journal keeps what was asked of the bots and what became of it: records of commands, what
// is still to be dispatched, and the health of each configuration's webhook, in a table of their
// own.
package journal

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"chatconf/shared/command"
	"chatconf/shared/invoke"
	"chatconf/shared/seal"
	"chatconf/shared/table"
)

// DefaultRetention is how long the journal is kept when the settings do not say.
const DefaultRetention = 90 * 24 * time.Hour

// Bounds of the retention. A platform may deliver a message again up to 25 hours later, and its id
// must be there still. https://docs.slack.dev/apis/events-api
const (
	minRetention = 2 * 24 * time.Hour
	maxRetention = 3650 * 24 * time.Hour
)

// CheckRetention returns an error unless d can be Options.Retention.
func CheckRetention(d time.Duration) error {
	if d < minRetention || d > maxRetention {
		return fmt.Errorf("journal: retention of %v: wanted 2 to 3650 days", d)
	}
	return nil
}

// Options are the settings of a Journal that have a default.
type Options struct {
	Retention time.Duration    // the time to live of the table; default DefaultRetention
	Now       func() time.Time // the clock; default time.Now
	Random    io.Reader        // the source of ids; default crypto/rand
}

// A Journal is what was asked of the bots and what became of it: every command, allowed or not, and
// the health of each configuration's webhook. It keeps it in a table of its own whose items vanish
// when they are older than the retention. In the partition <account>/<region> stand
//
//	r#<name>$<life>#<id>         the record of a command, for people: JSON, nothing secret in it
//	m#<name>$<life>#<hash>       a message's id, so that the message counts once; the value is the record's id
//	g#<name>$<life>#<hash>       a guard: what may be seen once besides
//	o#<id>                       what is still to be handed on of a command: JSON, sealed inside; removed when it is
//	h#<name>$<life>#…            health: counters, and when things happened last
//
// A life is from the creation of a name to its deletion. A name that is created again begins
// another life, with nothing of the one before. Keys of configurations that were made before lives
// had ids lack "$<life>".
//
// An id is thirteen digits of milliseconds and sixteen of chance, so ids sort by time. Record,
// message id, guards and what is to be handed on are one atomic write. The partition "journals" has
// an item for each partition that has had anything to be handed on, so that what was left
// undelivered anywhere can be found.
//
// Its methods may be called from many goroutines at once.
type Journal struct {
	table     table.Table
	ring      *seal.Ring
	retention time.Duration
	now       func() time.Time
	random    io.Reader

	mu     sync.Mutex
	listed map[string]time.Time // partitions, and when this process last listed them
	// by partition, the sort key behind which to go on looking for what is due; none: from the
	// start
	resume map[string]string
	notes  map[command.Ref]*notes
}

// Prefixes of sort keys in the journal, and the partition that lists partitions.
const (
	recordPrefix  = "r#"
	messagePrefix = "m#"
	guardPrefix   = "g#"
	outboxPrefix  = "o#"
	healthPrefix  = "h#"

	journalsPartition = "journals"

	idTimeDigits = 13
	maxGuards    = 16
)

// New returns the journal in t, whose time to live is the retention, sealed with ring. It does no
// input or output.
func New(t table.Table, ring *seal.Ring, o Options) (*Journal, error) {
	if t == nil || ring == nil {
		return nil, errors.New("journal: a journal needs a table and a key ring")
	}
	j := &Journal{
		table:     t,
		ring:      ring,
		retention: o.Retention,
		now:       o.Now,
		random:    o.Random,
		listed:    make(map[string]time.Time),
		resume:    make(map[string]string),
		notes:     make(map[command.Ref]*notes),
	}
	if j.retention == 0 {
		j.retention = DefaultRetention
	}
	if err := CheckRetention(j.retention); err != nil {
		return nil, err
	}
	if j.now == nil {
		j.now = time.Now
	}
	if j.random == nil {
		j.random = rand.Reader
	}
	return j, nil
}

func partitionOf(r command.Ref) string { return r.Account + "/" + r.Region }

// keyUnder returns the sort key of something that belongs to the life, or without rest, what all
// these begin with.
func keyUnder(r command.Ref, prefix, rest string) string {
	key := prefix + table.Escape(r.Name)
	if r.Life != "" {
		key += "$" + table.Escape(r.Life)
	}
	return key + "#" + rest
}

// recordKey returns the sort key of a record; without an id, what those of all records of the life
// begin with.
func recordKey(r command.Ref) string { return keyUnder(r, recordPrefix, r.ID) }
func outboxKey(r command.Ref) string { return outboxPrefix + r.ID }

// outboxPlace returns where what is to be handed on is sealed.
func outboxPlace(r command.Ref) seal.Place { return placeOf(r, "#Outbox/"+r.ID) }

// placeOf returns where something of a configuration is sealed.
func placeOf(r command.Ref, field string) seal.Place {
	return seal.Place{Account: r.Account, Region: r.Region, Name: r.Name, Field: field}
}

// onceKey returns the sort key of something that is seen once in a life.
func onceKey(r command.Ref, prefix, what string) string {
	sum := sha256.Sum256([]byte(what))
	return keyUnder(r, prefix, hex.EncodeToString(sum[:16]))
}

// An Arrival is a command that came in and was decided, to be recorded.
type Arrival struct {
	Command  command.Command
	Decision command.Decision
	Guards   []string  // what may be seen only once besides the message's id
	Received time.Time // when the callback arrived
	Handover *Handover // nil: nothing is left to be done
	Answered bool      // the answer goes with the callback's own response
}

// A Handover is what is left to be done for a command after it was recorded: to hand it to the
// target, or only to send an answer.
type Handover struct {
	ReplyTo command.ReplyTo // where the target's answer, or Answer, goes
	Answer  string          // if set, this is to be sent, and nothing goes to the target
}

// A Verdict is what Record found.
type Verdict uint8

// The verdicts.
const (
	Fresh     Verdict = iota // it was recorded
	Duplicate                // the message was recorded before: acknowledge it and do nothing
	Replayed                 // a guard was seen before, with another message: this one is forged
)

// handoverDelay is how long whoever recorded a command has for handing it on before others look at
// it.
const handoverDelay = time.Minute

// Record writes down a command, once: its record, its message id, its guards, and what is left to
// be done, all or nothing. For a message that was recorded before, or a guard that was seen, it
// changes nothing and says so. A message that did not run and was edited to say something else is
// recorded again: a mistyped command can be corrected where it is, and still runs once.
//
// When it ends with an error it is not known whether the command was recorded. The platform's next
// delivery of the message will tell.
func (j *Journal) Record(ctx context.Context, e *command.Endpoint, a Arrival) (command.Ref, Verdict, error) {
	now := j.now().UTC()
	ref := e.Ref()
	var err error
	if ref.ID, err = j.newID(now); err != nil {
		return command.Ref{}, 0, storeError(ctx, "record", err)
	}
	change, err := j.arrival(e, ref, now, a)
	if err != nil {
		return command.Ref{}, 0, storeError(ctx, "record", err)
	}
	listed := func() error { return nil }
	if a.Handover != nil {
		listed = j.list(ctx, partitionOf(ref), now)
	}
	err = j.table.Write(ctx, partitionOf(ref), change)
	var broken *table.ConditionError
	if a.Command.Edit != "" && errors.As(err, &broken) && broken.Key.Sort == change.Puts[0].Sort {
		err = j.correct(ctx, ref, newRecord(e, ref, now, a), change, err)
	}
	notListed := listed()
	if broken = nil; errors.As(err, &broken) {
		if !strings.HasPrefix(broken.Key.Sort, messagePrefix) {
			return command.Ref{}, Replayed, nil
		}
		first, err := j.firstRecord(ctx, ref, broken.Key.Sort)
		if err == nil {
			err = notListed
		}
		switch {
		case err != nil:
			return command.Ref{}, 0, storeError(ctx, "record", err)
		case first == ref.ID: // our own write, whose answer was lost below
			return ref, Fresh, nil
		}
		ref.ID = first
		return ref, Duplicate, nil
	}
	if err == nil {
		err = notListed
	}
	if err != nil {
		return command.Ref{}, 0, storeError(ctx, "record", err)
	}
	return ref, Fresh, nil
}

// correct writes the change of a message that was edited, if what it said before did not run and
// was something else. The error is the write's; or duplicate, if nothing was written.
func (j *Journal) correct(ctx context.Context, ref command.Ref, now *Record,
	change table.Change, duplicate error) error {
	items, err := j.table.Get(ctx, table.Key{Partition: partitionOf(ref), Sort: change.Puts[0].Sort})
	if err != nil {
		return err
	}
	if len(items) == 0 { // it vanished just now
		return duplicate
	}
	message, before := items[0], ref
	before.ID = string(message.Value)
	items, err = j.table.Get(ctx, table.Key{Partition: partitionOf(ref), Sort: recordKey(before)})
	if err != nil {
		return err
	}
	if len(items) == 0 {
		return duplicate
	}
	said, err := decodeRecord(items[0])
	if err != nil {
		return err
	}
	if !now.corrects(said) {
		return duplicate
	}
	// Of two edits at once, only one finds the message as it was.
	change.Puts[0].Revision, change.Puts[0].If = message.Revision+1, table.AtRevision(message.Revision)
	return j.table.Write(ctx, partitionOf(ref), change)
}

// Guard remembers the guards of a callback that is genuine and no command, so that a message under
// one of them is found to be forged. They may be there: the callback may come again. It costs one
// Write, and nothing without guards.
func (j *Journal) Guard(ctx context.Context, e *command.Endpoint, guards []string) error {
	switch {
	case len(guards) == 0:
		return nil
	case len(guards) > maxGuards:
		return storeError(ctx, "guard", fmt.Errorf("journal: %d guards cannot be recorded", len(guards)))
	}
	ref := e.Ref()
	if err := j.table.Write(ctx, partitionOf(ref),
		table.Change{Puts: guardPuts(ref, guards, table.Condition{})}); err != nil {
		return storeError(ctx, "guard", err)
	}
	return nil
}

// guardPuts returns the puts of guards, each once.
func guardPuts(ref command.Ref, guards []string, condition table.Condition) []table.Put {
	var puts []table.Put
	seen := make(map[string]struct{}, len(guards))
	for _, guard := range guards {
		key := onceKey(ref, guardPrefix, guard)
		if _, twice := seen[key]; twice {
			continue
		}
		seen[key] = struct{}{}
		puts = append(puts, table.Put{Sort: key, Revision: 1, If: condition})
	}
	return puts
}

// firstRecord returns the id of the record that a message id stands for.
func (j *Journal) firstRecord(ctx context.Context, ref command.Ref, sort string) (string, error) {
	items, err := j.table.Get(ctx, table.Key{Partition: partitionOf(ref), Sort: sort})
	if err != nil || len(items) == 0 {
		return "", err // that it vanished just now changes nothing: the message was seen
	}
	return string(items[0].Value), nil
}

// arrival returns the change that records a command. The message id comes first, so that the same
// message delivered again is a duplicate and not a replay.
func (j *Journal) arrival(e *command.Endpoint, ref command.Ref, now time.Time, a Arrival) (table.Change, error) {
	var change table.Change
	if a.Command.MessageID == "" || len(a.Guards) > maxGuards {
		return change, fmt.Errorf("journal: a message with an id of %d bytes and %d guards cannot be recorded",
			len(a.Command.MessageID), len(a.Guards))
	}
	record := newRecord(e, ref, now, a)
	value, err := encode(record)
	if err != nil {
		return change, fmt.Errorf("journal: encode record: %w", err)
	}
	change.Puts = append(change.Puts, table.Put{Sort: onceKey(ref, messagePrefix, a.Command.MessageID),
		Value: []byte(ref.ID), Revision: 1, If: table.Absent()})
	change.Puts = append(change.Puts, guardPuts(ref, a.Guards, table.Absent())...)
	change.Puts = append(change.Puts, table.Put{Sort: recordKey(ref), Value: value, Revision: 1, If: table.Absent()})
	if a.Handover != nil {
		put, err := j.outboxPut(e, ref, now.Add(handoverDelay), a)
		if err != nil {
			return change, err
		}
		change.Puts = append(change.Puts, put)
	}
	counter := CountDenied
	if a.Decision.Allowed {
		counter = CountAllowed
	}
	change.Adds = []table.Add{{Sort: shardKey(ref, counter), N: 1}}
	return change, nil
}

// newID returns the id of what happens now.
func (j *Journal) newID(now time.Time) (string, error) {
	var b [8]byte
	if _, err := io.ReadFull(j.random, b[:]); err != nil {
		return "", fmt.Errorf("journal: make record id: %w", err)
	}
	return fmt.Sprintf("%s-%016x", idTime(now), binary.BigEndian.Uint64(b[:])), nil
}

// idTime returns what the ids of a time begin with.
func idTime(t time.Time) string {
	const most = 9_999_999_999_999 // in the year 2286
	return fmt.Sprintf("%0*d", idTimeDigits, min(max(0, t.UnixMilli()), most))
}

// list makes sure that the partition stands among those that have something to be handed on. It is
// done beside the caller's own write, and wait returns when it is done, or could not be; once it
// was done, it is not done again for a while, which is shorter than the time to live of what it
// wrote.
func (j *Journal) list(ctx context.Context, partition string, now time.Time) (wait func() error) {
	j.mu.Lock()
	last, ok := j.listed[partition]
	j.mu.Unlock()
	if age := now.Sub(last); ok && age >= 0 && age < minRetention/2 {
		return func() error { return nil }
	}
	done := make(chan error, 1)
	go func() {
		err := j.writePartition(ctx, partition)
		if err == nil {
			j.mu.Lock()
			j.listed[partition] = now
			j.mu.Unlock()
		}
		done <- err
	}()
	return func() error {
		select {
		case err := <-done:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// writePartition writes that a partition has something to be handed on.
func (j *Journal) writePartition(ctx context.Context, partition string) (err error) {
	defer invoke.Recover("journal", &err)
	return j.table.Write(ctx, journalsPartition, table.Change{Puts: []table.Put{{Sort: partition}}})
}

// cut returns s, cut where it is longer than n bytes, at the edge of a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// Package journal keeps the records of commands, the outbox of commands to dispatch, and the health
// of each configuration's webhook, in a table of their own.
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
	"chatconf/shared/document"
	"chatconf/shared/invoke"
	"chatconf/shared/seal"
	"chatconf/shared/table"
)

// DefaultRetention is how long the journal is kept by default.
const DefaultRetention = 90 * 24 * time.Hour

// Bounds of the retention. A platform may deliver a message again up to 25 hours later, so its id
// must be kept longer. https://docs.slack.dev/apis/events-api
const (
	minRetention = 2 * 24 * time.Hour
	maxRetention = 3650 * 24 * time.Hour
)

// CheckRetention returns an error unless d can be Options.Retention.
func CheckRetention(d time.Duration) error {
	if d < minRetention || d > maxRetention {
		return fmt.Errorf("journal: retention of %v: use 2 to 3650 days", d)
	}
	return nil
}

// Options are the settings of a Journal that have a default.
type Options struct {
	Retention time.Duration    // the time to live of the table; default DefaultRetention
	Now       func() time.Time // the clock; default time.Now
	Random    io.Reader        // the source of ids; default crypto/rand
}

// A Journal keeps a record of every command, allowed or not, and the health of each configuration's
// webhook. The items of its table expire after the retention. The partition <account>/<region> has
//
//	r#<name>$<life>#<id>         the record of a command, for people: JSON without secrets
//	l#<id>                       leads to that record, in the list of all configurations: JSON
//	m#<name>$<life>#<hash>       a message's id, to find duplicates; the value is the record's id
//	g#<name>$<life>#<hash>       a guard: anything else that may occur only once
//	o#<id>                       the outbox item of a pending command: JSON, sealed inside
//	x#<id>                       a request to cancel it: JSON
//	h#<name>$<life>#…            health: counters, and the time of each last event
//
// A life lasts from the creation of a name to its deletion, and lives share nothing. The keys of
// configurations from before lives had ids lack "$<life>".
//
// An id has thirteen digits of milliseconds and sixteen random ones, so ids sort by time. Record,
// entry, message id, guards and outbox item are one atomic write. The partition "journals" lists
// every partition that ever had an outbox item, so that Due finds all of them.
//
// A Journal is safe for concurrent use.
type Journal struct {
	table     table.Table
	ring      *seal.Ring
	retention time.Duration
	now       func() time.Time
	random    io.Reader

	mu     sync.Mutex
	listed map[string]time.Time // partitions, and when this process last listed them
	resume map[string]string    // by partition, the sort key after which Due continues
	notes  map[command.Ref]*notes
}

// Prefixes of sort keys in the journal, and the partition that lists partitions.
const (
	recordPrefix  = "r#"
	entryPrefix   = "l#"
	messagePrefix = "m#"
	guardPrefix   = "g#"
	outboxPrefix  = "o#"
	cancelPrefix  = "x#"
	healthPrefix  = "h#"

	journalsPartition = "journals"

	idTimeDigits = 13
	maxGuards    = 16
)

// New returns the journal in the table t, whose time to live is the retention. It seals with ring
// and does no I/O.
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

// keyUnder returns a sort key of the life; without rest, the prefix of all of them.
func keyUnder(r command.Ref, prefix, rest string) string {
	key := prefix + table.Escape(r.Name)
	if r.Life != "" {
		key += "$" + table.Escape(r.Life)
	}
	return key + "#" + rest
}

// recordKey returns the sort key of a record; without an id, the prefix of the life's records.
func recordKey(r command.Ref) string { return keyUnder(r, recordPrefix, r.ID) }
func outboxKey(r command.Ref) string { return outboxPrefix + r.ID }

// outboxPlace returns the place of a sealed outbox item.
func outboxPlace(r command.Ref) seal.Place { return placeOf(r, "#Outbox/"+r.ID) }

func placeOf(r command.Ref, field string) seal.Place {
	return seal.Place{Account: r.Account, Region: r.Region, Name: r.Name, Field: field}
}

// onceKey returns the sort key of something that may occur only once in a life.
func onceKey(r command.Ref, prefix, what string) string {
	sum := sha256.Sum256([]byte(what))
	return keyUnder(r, prefix, hex.EncodeToString(sum[:16]))
}

// An Arrival is a received and decided command, to be recorded.
type Arrival struct {
	Command  command.Command
	Decision command.Decision
	Guards   []string  // what may occur only once, in addition to the message's id
	Received time.Time // when the callback arrived
	Pending  *Pending  // nil: there is nothing more to do
	Answered bool      // the answer goes with the callback's own response
	Cancels  string    // the id of a command that the sender wants cancelled; empty if none
}

// A Pending is the work that remains after a command was recorded: to dispatch it to its target, or
// only to send an answer.
type Pending struct {
	ReplyTo command.ReplyTo // where the answer goes
	Answer  string          // if set, it is sent, and nothing goes to the target
}

// A Verdict is the result of Record.
type Verdict uint8

// The verdicts.
const (
	Fresh     Verdict = iota // it was recorded
	Duplicate                // the message was recorded before: acknowledge it and do nothing
	Replayed                 // another message had the same guard: this one is forged
)

// dispatchDelay is the time to dispatch a command after its record before other processes may.
const dispatchDelay = time.Minute

// Record records a command once: its record, entry, message id, guards and outbox item, all or
// nothing.
// For a duplicate or a replay it changes nothing. A denied message that was edited to another
// command is recorded again, so a sender can correct a mistyped command in place.
//
// After an error it is unknown whether the command was recorded. The next delivery of the message
// will show.
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
	if a.Pending != nil {
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
		case first == ref.ID: // our own write, retried below after a lost response
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

// correct writes the change of an edited message, if the earlier text did not run and was another.
// The error is the write's, or duplicate if nothing was written.
func (j *Journal) correct(ctx context.Context, ref command.Ref, now *Record,
	change table.Change, duplicate error) error {
	items, err := j.table.Get(ctx, table.Key{Partition: partitionOf(ref), Sort: change.Puts[0].Sort})
	if err != nil {
		return err
	}
	if len(items) == 0 { // it has just expired
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

// Guard records the guards of a genuine callback without a command, so that a message with one of
// them is recognised as forged. It is no error if they exist, since the callback may be delivered
// again. It costs one Write, and nothing without guards.
func (j *Journal) Guard(ctx context.Context, e *command.Endpoint, guards []string) error {
	switch {
	case len(guards) == 0:
		return nil
	case len(guards) > maxGuards:
		return storeError(ctx, "guard", fmt.Errorf("journal: there are %d guards; the most is %d",
			len(guards), maxGuards))
	}
	ref := e.Ref()
	if err := j.table.Write(ctx, partitionOf(ref),
		table.Change{Puts: guardPuts(ref, guards, table.Condition{})}); err != nil {
		return storeError(ctx, "guard", err)
	}
	return nil
}

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

// firstRecord returns the id of the record of a message id.
func (j *Journal) firstRecord(ctx context.Context, ref command.Ref, sort string) (string, error) {
	items, err := j.table.Get(ctx, table.Key{Partition: partitionOf(ref), Sort: sort})
	if err != nil || len(items) == 0 {
		return "", err // if it has just expired, the message is still a duplicate
	}
	return string(items[0].Value), nil
}

// arrival returns the change that records a command. The message id comes first, so that a second
// delivery is a duplicate and not a replay.
func (j *Journal) arrival(e *command.Endpoint, ref command.Ref, now time.Time, a Arrival) (table.Change, error) {
	var change table.Change
	if a.Command.MessageID == "" || len(a.Guards) > maxGuards {
		return change, fmt.Errorf("journal: a message needs an id and at most %d guards; "+
			"it has an id of %d bytes and %d guards",
			maxGuards, len(a.Command.MessageID), len(a.Guards))
	}
	record := newRecord(e, ref, now, a)
	value, err := document.Encode(record)
	if err != nil {
		return change, fmt.Errorf("journal: encode record: %w", err)
	}
	change.Puts = append(change.Puts, table.Put{Sort: onceKey(ref, messagePrefix, a.Command.MessageID),
		Value: []byte(ref.ID), Revision: 1, If: table.Absent()})
	change.Puts = append(change.Puts, guardPuts(ref, a.Guards, table.Absent())...)
	change.Puts = append(change.Puts, table.Put{Sort: recordKey(ref), Value: value, Revision: 1, If: table.Absent()})
	listed, err := entryPut(ref)
	if err != nil {
		return change, err
	}
	change.Puts = append(change.Puts, listed)
	if a.Pending != nil {
		put, err := j.outboxPut(e, ref, now.Add(dispatchDelay), a)
		if err != nil {
			return change, err
		}
		change.Puts = append(change.Puts, put)
	}
	if a.Cancels != "" {
		put, err := cancelPut(command.Ref{Name: ref.Name, Life: ref.Life, ID: a.Cancels}, a.Command, now)
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

// newID returns a new record id.
func (j *Journal) newID(now time.Time) (string, error) {
	var b [8]byte
	if _, err := io.ReadFull(j.random, b[:]); err != nil {
		return "", fmt.Errorf("journal: make record id: %w", err)
	}
	return fmt.Sprintf("%s-%016x", idTime(now), binary.BigEndian.Uint64(b[:])), nil
}

// isID reports whether a text has the shape of a record's id.
func isID(text string) bool {
	at, random, found := strings.Cut(text, "-")
	return found && len(at) == idTimeDigits && len(random) == 16 && strings.Trim(at, "0123456789") == "" &&
		strings.Trim(random, "0123456789abcdef") == ""
}

// idTime returns the beginning of the ids of a time.
func idTime(t time.Time) string {
	const most = 9_999_999_999_999 // in the year 2286
	return fmt.Sprintf("%0*d", idTimeDigits, min(max(0, t.UnixMilli()), most))
}

// list adds the partition to journalsPartition, in parallel with the caller's own write. wait
// returns the result. A success is remembered for half of the shortest retention.
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

func (j *Journal) writePartition(ctx context.Context, partition string) (err error) {
	defer invoke.Recover("journal", &err)
	return j.table.Write(ctx, journalsPartition, table.Change{Puts: []table.Put{{Sort: partition}}})
}

// cut returns at most n bytes of s, whole characters, with an ellipsis if it is cut.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

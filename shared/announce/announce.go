// Package announce keeps the events of changes until they are delivered: an outbox in the table
// that is changed.
//
// The write that makes a change also puts its event, so neither exists without the other. Events of
// one name are delivered in the order of its revisions: only the first one that remains can be
// claimed. An event is delivered at least once. If a process crashes after a delivery, another one
// delivers the event again, with the same id.
//
// The partition <account>/<region> has
//
//	e#<name>#<revision>   an event that is not delivered: JSON without secrets
//
// and the partition "events/partitions" lists every partition that ever had an event.
package announce

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/document"
	"chatconf/shared/table"
)

// MaxEvent is the maximum size of an event, in bytes. A message of Simple Message Queue has at most
// 64 KB, in which some characters need several bytes.
// https://www.alibabacloud.com/help/doc-detail/128343.htm
const MaxEvent = 48 << 10

const (
	// Prefix is the prefix of the sort keys of events.
	Prefix = "e#"
	// Partitions is the partition that lists partitions. Its form is that of an account and a
	// region, since functions may write no other partition.
	Partitions = "events/partitions"

	version        = 1
	revisionDigits = 10
)

// ErrNothing says that nothing can be claimed: no event is left, the first one is not due, or
// another process has claimed it.
var ErrNothing = errors.New("announce: nothing is due")

// An Event is an event that is not delivered.
type Event struct {
	command.Ref           // the life of the configuration that was changed, and the event's ID
	Date        time.Time // of the change
	Attempts    int       // the number of claims, including the present one
	Body        []byte    // the event: JSON

	sort     string
	revision int64 // of the item
}

// An item is an Event as it is stored: JSON, under eventKey.
type item struct {
	Version  int             `json:"v"`
	Life     string          `json:"life,omitempty"`
	Date     time.Time       `json:"date"`
	Due      time.Time       `json:"due"` // when any process may claim it
	Attempts int             `json:"attempts,omitempty"`
	Event    json.RawMessage `json:"event"`
}

// An Outbox is the events in a table. It is safe for concurrent use.
type Outbox struct {
	table table.Table
	now   func() time.Time

	partitions *table.Register // those that ever had an event

	mu    sync.Mutex
	watch func(command.Ref) // may be nil
}

// New returns the outbox in a table. It does no I/O.
func New(t table.Table, now func() time.Time) *Outbox {
	if now == nil {
		now = time.Now
	}
	return &Outbox{table: t, now: now, partitions: table.NewRegister(t, Partitions)}
}

// Watch sets the function that Write calls after each write, for every name with a new event. It
// must return at once.
func (o *Outbox) Watch(watch func(command.Ref)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.watch = watch
}

// prefixOf returns the prefix of all events of a name.
func prefixOf(name string) string { return Prefix + table.Escape(name) + "#" }

// keyOf returns the sort key of the event of a revision.
func keyOf(name string, revision int64) string {
	return fmt.Sprintf("%s%0*d", prefixOf(name), revisionDigits, revision)
}

// parseKey returns the name and the revision of an event's sort key.
func parseKey(sort string) (name string, revision int64, err error) {
	escaped, digits, _ := strings.Cut(strings.TrimPrefix(sort, Prefix), "#")
	name, bad := table.Unescape(escaped)
	revision, err = strconv.ParseInt(digits, 10, 64)
	if err != nil || bad != nil || name == "" || keyOf(name, revision) != sort {
		return "", 0, fmt.Errorf("announce: item %q is not an event", sort)
	}
	return name, revision, nil
}

// ID returns the id of the event of a revision. It is the same for every delivery.
func ID(of command.Ref, revision int64) string {
	return of.Account + "/" + of.Region + "/" + of.Name + "/" + strconv.FormatInt(revision, 10)
}

// Put returns the put of the event of a change, which made a revision of a configuration at a date.
// Write it in the same change.
func Put(of command.Ref, revision int64, date time.Time, event []byte) (table.Put, error) {
	if len(event) > MaxEvent {
		return table.Put{}, fmt.Errorf("announce: the event of %q has %d bytes; the most is %d", of.Name, len(event),
			MaxEvent)
	}
	value, err := document.Encode(item{Version: version, Life: of.Life, Date: date.UTC(), Due: date.UTC(),
		Event: event})
	if err != nil {
		return table.Put{}, fmt.Errorf("announce: encode the event of %q: %w", of.Name, err)
	}
	return table.Put{Sort: keyOf(of.Name, revision), Value: value, Revision: 1, If: table.Absent()}, nil
}

// Write writes a change that may have events. The first time in this process, it lists the
// partition before: an event in a partition that is not listed would not be found.
func (o *Outbox) Write(ctx context.Context, partition string, c table.Change) error {
	var names []string
	for _, p := range c.Puts {
		if name, _, err := parseKey(p.Sort); err == nil {
			names = append(names, name)
		}
	}
	if len(names) > 0 {
		if err := o.partitions.Add(ctx, partition); err != nil {
			return fmt.Errorf("announce: %w", err)
		}
	}
	if err := o.table.Write(ctx, partition, c); err != nil {
		return err
	}
	o.mu.Lock()
	watch := o.watch
	o.mu.Unlock()
	if watch != nil {
		account, region, _ := strings.Cut(partition, "/")
		for _, name := range names {
			watch(command.Ref{Account: account, Region: region, Name: name})
		}
	}
	return nil
}

// Due returns up to n names, in all accounts and regions, whose first event may be claimed. An item
// that cannot be read is reported to unreadable; it delays only the events of its own name.
func (o *Outbox) Due(ctx context.Context, n int, unreadable func(error)) ([]command.Ref, error) {
	partitions, err := o.partitions.All(ctx)
	if err != nil {
		return nil, fmt.Errorf("announce: find what is due: %w", err)
	}
	rand.Shuffle(len(partitions), func(a, b int) { partitions[a], partitions[b] = partitions[b], partitions[a] })
	var due []command.Ref
	for _, partition := range partitions {
		if due, err = o.dueIn(ctx, partition, n, due, unreadable); err != nil {
			return due, fmt.Errorf("announce: find what is due in %q: %w", partition, err)
		}
		if len(due) == n {
			break
		}
	}
	return due, nil
}

// dueIn adds the names of one partition to those of others, until there are n.
func (o *Outbox) dueIn(ctx context.Context, partition string, n int, due []command.Ref,
	unreadable func(error)) ([]command.Ref, error) {
	account, region, ok := strings.Cut(partition, "/")
	if !ok {
		return due, fmt.Errorf("partition %q is not ACCOUNT/REGION", partition)
	}
	now, last, after := o.now(), "", ""
	for {
		items, err := o.table.Query(ctx, table.Range{Partition: partition, Prefix: Prefix, After: after,
			Limit: table.MaxGet})
		if err != nil {
			return due, err
		}
		for _, i := range items {
			after = i.Sort
			name, _, err := parseKey(i.Sort)
			if err != nil {
				unreadable(err)
				continue
			}
			if name == last {
				continue // it waits for an earlier one
			}
			last = name
			e, err := decode(i)
			switch {
			case err != nil:
				unreadable(err)
			case !now.Before(e.Due):
				if due = append(due, command.Ref{Account: account, Region: region, Name: name}); len(due) == n {
					return due, nil
				}
			}
		}
		if len(items) < table.MaxGet {
			return due, nil
		}
		if name, _, err := parseKey(after); err == nil {
			// It may have many more events. '$' is the byte after '#', so this is behind all of
			// them.
			after = strings.TrimSuffix(prefixOf(name), "#") + "$"
		}
	}
}

func decode(i table.Item) (item, error) {
	var e item
	if err := json.Unmarshal(i.Value, &e); err != nil {
		return e, fmt.Errorf("announce: item %q: %w", i.Sort, err)
	}
	if e.Version != version {
		return e, fmt.Errorf("announce: item %q has version %d; this program reads version %d", i.Sort, e.Version,
			version)
	}
	return e, nil
}

// Check returns an error unless an item under Prefix is an event.
func Check(i table.Item) error {
	if _, _, err := parseKey(i.Sort); err != nil {
		return err
	}
	_, err := decode(i)
	return err
}

// Claim takes the first event of a name for the time of a lease. The caller must end with Remove or
// PutOff. Without these the event is due again after the lease, so it may be delivered twice.
//
// Errors: ErrNothing, and those of the table.
func (o *Outbox) Claim(ctx context.Context, of command.Ref, lease time.Duration) (*Event, error) {
	partition := partitionOf(of)
	items, err := o.table.Query(ctx, table.Range{Partition: partition, Prefix: prefixOf(of.Name), Limit: 1})
	if err != nil {
		return nil, fmt.Errorf("announce: claim: %w", err)
	}
	if len(items) == 0 {
		return nil, ErrNothing
	}
	_, revision, err := parseKey(items[0].Sort)
	if err != nil {
		return nil, err
	}
	stored, err := decode(items[0])
	if err != nil {
		return nil, err
	}
	now := o.now()
	if now.Before(stored.Due) {
		return nil, ErrNothing
	}
	stored.Attempts++
	stored.Due = now.Add(lease).UTC()
	e := &Event{Date: stored.Date, Attempts: stored.Attempts, Body: stored.Event, sort: items[0].Sort,
		revision: items[0].Revision}
	e.Ref = command.Ref{Account: of.Account, Region: of.Region, Name: of.Name, Life: stored.Life, ID: ID(of, revision)}
	if err := o.put(ctx, e, stored); err != nil {
		return nil, fmt.Errorf("announce: claim: %w", err)
	}
	return e, nil
}

func partitionOf(of command.Ref) string { return of.Account + "/" + of.Region }

// put replaces the item of an event. Its error is ErrNothing if another process has claimed the
// event, or it is gone.
func (o *Outbox) put(ctx context.Context, e *Event, to item) error {
	value, err := document.Encode(to)
	if err != nil {
		return err
	}
	err = o.write(ctx, e, table.Change{Puts: []table.Put{{Sort: e.sort, Value: value, Revision: e.revision + 1,
		If: table.AtRevision(e.revision)}}})
	if err == nil {
		e.revision++
	}
	return err
}

func (o *Outbox) write(ctx context.Context, e *Event, c table.Change) error {
	err := o.table.Write(ctx, partitionOf(e.Ref), c)
	var broken *table.ConditionError
	if errors.As(err, &broken) {
		return ErrNothing
	}
	return err
}

// Remove removes a claimed event: it was delivered, or given up. The next event of the name can
// then be claimed.
//
// Errors: ErrNothing if the lease was over and another process claimed it, and those of the table.
func (o *Outbox) Remove(ctx context.Context, e *Event) error {
	err := o.write(ctx, e, table.Change{Deletes: []table.Delete{{Sort: e.sort, If: table.AtRevision(e.revision)}}})
	if err != nil {
		return fmt.Errorf("announce: remove: %w", err)
	}
	return nil
}

// PutOff makes a claimed event due at a later time.
//
// Errors: those of Remove.
func (o *Outbox) PutOff(ctx context.Context, e *Event, due time.Time) error {
	err := o.put(ctx, e, item{Version: version, Life: e.Life, Date: e.Date, Due: due.UTC(), Attempts: e.Attempts,
		Event: e.Body})
	if err != nil {
		return fmt.Errorf("announce: put off: %w", err)
	}
	return nil
}

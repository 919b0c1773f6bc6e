package stream

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	random "math/rand/v2"
	"strings"
	"sync"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/document"
	"chatconf/shared/invoke"
	"chatconf/shared/table"
)

// Partition is the partition of the table that has the leases:
//
//	p#<holder>                   a process that may hold connections; it renews the item
//	b#<account>/<region>/<name>  the holder of a configuration's connection
//
// The form of the partition is that of an account and a region, since functions may write no other.
const Partition = "streams/leases"

const (
	holderPrefix = "p#"
	botPrefix    = "b#"
)

// Times of leases. A holder stops long before another process takes its place, and each of the two
// measures by its own clock alone.
const (
	renewEvery = 5 * time.Second
	retryEvery = time.Second // after an error
	// validFor is how long a holder may hold connections after the start of its last renewal.
	validFor = 10 * time.Second
	// deadAfter is how long the item of a holder must stay the same before another process removes
	// it.
	deadAfter = 15 * time.Second
	// leaseTime bounds one call of the table.
	leaseTime = 4 * time.Second
)

// A holding is the value of an item b#….
type holding struct {
	Holder string `json:"holder"`
}

// A holder is the value of an item p#….
type holder struct {
	Process string `json:"process"` // for people
}

// A term is a time during which this process may hold connections. Its context ends with it.
type term struct {
	context.Context
	end context.CancelFunc
}

// Leases are the leases in a table. They are safe for concurrent use. Nil stands for a process that
// is alone, and holds every lease.
//
// Each process has an item of its own, which it renews. If a process does not renew its item for
// deadAfter, another process removes the item. From then on any process may take the connections of
// that holder. A holder whose item is gone cannot renew it, and continues under another name. The
// item of a configuration is written only when its holder changes, at the revision that was read,
// so only one of several processes gets it.
type Leases struct {
	table   table.Table
	process string
	now     func() time.Time // the wall clock

	mu       sync.Mutex
	name     string // of this holder; empty: it has no item
	revision int64  // of its item
	renewed  time.Time
	wall     time.Time // renewed by the wall clock, which goes on while a machine sleeps
	term     *term     // nil: this process may hold no connections
	expiry   *time.Timer
	held     map[string]int64    // the revisions of this holder's items of configurations, by sort key
	others   map[string]sighting // other holders
	owners   map[string]owner    // of configurations, by sort key; nil: not known
	waiting  int                 // how many bots wait for a lease
	round    chan struct{}       // closed after a round
	hurry    chan struct{}       // asks for a round at once
}

// A sighting is the revision of another holder's item, and since when it is known.
type sighting struct {
	revision int64
	since    time.Time
}

// An owner is the holder of a configuration's connection, and the revision of its item.
type owner struct {
	holder   string
	revision int64
}

// NewLeases returns the leases in a table. The text says which process this is, for people. It does
// no I/O.
func NewLeases(t table.Table, process string) *Leases {
	return &Leases{table: t, process: process, now: time.Now, held: make(map[string]int64),
		others: make(map[string]sighting), round: make(chan struct{}), hurry: make(chan struct{}, 1)}
}

// botKey returns the sort key of a configuration's lease.
func botKey(ref command.Ref) string {
	return botPrefix + ref.Account + "/" + ref.Region + "/" + ref.Name
}

// keep renews the leases until ctx ends.
func (l *Leases) keep(ctx context.Context) {
	timer := time.NewTimer(renewEvery)
	defer timer.Stop()
	for failing := false; ; {
		start := time.Now()
		err := l.safely(ctx)
		next := renewEvery
		if err != nil {
			next = retryEvery
		}
		timer.Reset(max(0, next-time.Since(start)))
		if failed := err != nil && ctx.Err() == nil; failed != failing {
			if failing = failed; failed {
				invoke.Logger(ctx).ErrorContext(ctx, "the leases of connections were not renewed", "error", err)
			}
		}
		l.mu.Lock()
		close(l.round)
		l.round = make(chan struct{})
		l.mu.Unlock()
		select {
		case <-timer.C:
		case <-l.hurry:
		case <-ctx.Done():
			return
		}
	}
}

// safely renews and observes, with a panic as an error.
func (l *Leases) safely(ctx context.Context) (err error) {
	defer invoke.Recover("stream", &err)
	if err := l.renew(ctx); err != nil {
		return err
	}
	return l.observe(ctx)
}

// renew renews the item of this process. If another process has removed it, it makes one under a
// new name: those who removed the former may still be taking its connections.
func (l *Leases) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, leaseTime)
	defer cancel()
	l.expire()
	l.mu.Lock()
	name, revision := l.name, l.revision
	l.mu.Unlock()
	for again := false; name != ""; again = true {
		err := l.put(ctx, name, revision+1, table.AtRevision(revision))
		var broken *table.ConditionError
		switch {
		case err == nil:
			return nil
		case !errors.As(err, &broken) || again:
			return fmt.Errorf("stream: renew the lease: %w", err)
		}
		// An earlier write may have happened although it failed. Else the item is gone.
		items, err := l.table.Get(ctx, table.Key{Partition: Partition, Sort: holderPrefix + name})
		switch {
		case err != nil:
			return fmt.Errorf("stream: read the lease: %w", err)
		case len(items) == 0:
			l.lose()
			name = ""
		default:
			revision = items[0].Revision
		}
	}
	if err := l.put(ctx, rand.Text(), 1, table.Absent()); err != nil {
		return fmt.Errorf("stream: take a lease: %w", err)
	}
	return nil
}

// put writes the item of this process. The term lasts from the start of the write.
func (l *Leases) put(ctx context.Context, name string, revision int64, condition table.Condition) error {
	value, err := document.Encode(holder{l.process})
	if err != nil {
		return err
	}
	start, wall := time.Now(), l.now()
	err = l.table.Write(ctx, Partition, table.Change{Puts: []table.Put{{Sort: holderPrefix + name, Value: value,
		Revision: revision, If: condition}}})
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.name, l.revision, l.renewed, l.wall = name, revision, start, wall
	if l.term == nil {
		over, end := context.WithCancel(context.Background())
		l.term = &term{over, end}
	}
	if l.expiry != nil {
		l.expiry.Stop()
	}
	l.expiry = time.AfterFunc(max(0, validFor-time.Since(start)), l.expire)
	return nil
}

// valid reports whether a term goes on. After a pause of the process it does not, even if nobody
// had the time to end it.
func (l *Leases) valid(t *term) bool {
	if l == nil {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.term == t && l.validLocked()
}

func (l *Leases) validLocked() bool {
	return l.term != nil && time.Since(l.renewed) < validFor && l.now().Sub(l.wall) < validFor
}

// expire ends the term if it is over. The holder keeps its name: while its item is there, nobody
// has taken its connections.
func (l *Leases) expire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.term != nil && !l.validLocked() {
		l.endLocked()
	}
}

// lose ends the term, and gives up the name.
func (l *Leases) lose() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.endLocked()
	l.name = ""
	clear(l.held)
}

func (l *Leases) endLocked() {
	if l.term != nil {
		l.term.end()
		l.term = nil
	}
}

// close gives back all leases, after the last connection has ended.
func (l *Leases) close(ctx context.Context) {
	l.mu.Lock()
	name, revision := l.name, l.revision
	if l.expiry != nil {
		l.expiry.Stop()
	}
	l.endLocked()
	l.mu.Unlock()
	if name == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseTime)
	defer cancel()
	err := l.table.Write(ctx, Partition, table.Change{Deletes: []table.Delete{{Sort: holderPrefix + name,
		If: table.AtRevision(revision)}}})
	if err != nil {
		invoke.Logger(ctx).WarnContext(ctx, "the leases of connections were not given back", "error", err)
	}
}

// observe finds out which processes hold connections, and, if a bot waits, which ones. It reads the
// holders last: an owner that is not among them is gone.
func (l *Leases) observe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, leaseTime)
	defer cancel()
	l.mu.Lock()
	before, own, waiting := l.others, holderPrefix+l.name, l.waiting > 0
	l.mu.Unlock()
	var owners map[string]owner
	if waiting {
		var err error
		if owners, err = l.readOwners(ctx); err != nil {
			return err
		}
	}
	start := time.Now()
	items, err := l.query(ctx, holderPrefix)
	if err != nil {
		return fmt.Errorf("stream: find the holders of connections: %w", err)
	}
	others := make(map[string]sighting, len(items))
	for _, i := range items {
		name := strings.TrimPrefix(i.Sort, holderPrefix)
		s, known := before[name]
		switch {
		case i.Sort == own:
			continue
		case !known || s.revision != i.Revision:
			s = sighting{i.Revision, time.Now()}
		case start.Sub(s.since) >= deadAfter && l.remove(ctx, i):
			continue
		}
		others[name] = s
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.others = others; waiting {
		l.owners = owners
	}
	return nil
}

// remove removes the item of a dead holder, and reports whether it has. If the holder was only
// slow, it has renewed its item, or finds now that it cannot.
func (l *Leases) remove(ctx context.Context, i table.Item) bool {
	return l.table.Write(ctx, Partition, table.Change{Deletes: []table.Delete{{Sort: i.Sort,
		If: table.AtRevision(i.Revision)}}}) == nil
}

// readOwners reads which configurations have which holder.
func (l *Leases) readOwners(ctx context.Context) (map[string]owner, error) {
	items, err := l.query(ctx, botPrefix)
	if err != nil {
		return nil, fmt.Errorf("stream: read which process holds which connection: %w", err)
	}
	owners := make(map[string]owner, len(items))
	for _, i := range items {
		var h holding
		if err := json.Unmarshal(i.Value, &h); err != nil {
			return nil, fmt.Errorf("stream: item %q: %w", i.Sort, err)
		}
		owners[i.Sort] = owner{h.Holder, i.Revision}
	}
	return owners, nil
}

// query returns all items with a prefix.
func (l *Leases) query(ctx context.Context, prefix string) ([]table.Item, error) {
	var all []table.Item
	for after := ""; ; after = all[len(all)-1].Sort {
		page, err := l.table.Query(ctx, table.Range{Partition: Partition, Prefix: prefix, After: after,
			Limit: table.MaxQuery})
		if err != nil {
			return nil, err
		}
		if all = append(all, page...); len(page) < table.MaxQuery {
			return all, nil
		}
	}
}

// free waits until this process may try to claim the connection of a configuration: nobody holds
// it, or its holder is gone.
func (l *Leases) free(ctx context.Context, ref command.Ref) error {
	if l == nil {
		return ctx.Err()
	}
	defer l.look()()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.owners == nil {
		select {
		case l.hurry <- struct{}{}:
		default:
		}
	}
	for ctx.Err() == nil && !l.freeLocked(botKey(ref)) {
		round := l.round
		l.mu.Unlock()
		select {
		case <-round:
		case <-ctx.Done():
		}
		l.mu.Lock()
	}
	return ctx.Err()
}

// look has the owners read in each round, until done is called.
func (l *Leases) look() (done func()) {
	if l == nil {
		return func() {}
	}
	count := func(n int) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.waiting += n
	}
	count(1)
	return func() { count(-1) }
}

// holds reports whether this process has the lease of a configuration.
func (l *Leases) holds(ref command.Ref) bool {
	if l == nil {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ours := l.held[botKey(ref)]
	return ours
}

// isFree is free without the wait.
func (l *Leases) isFree(ref command.Ref) bool {
	if l == nil {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.freeLocked(botKey(ref))
}

func (l *Leases) freeLocked(key string) bool {
	if !l.validLocked() {
		return false
	}
	if _, ours := l.held[key]; ours {
		return true
	}
	o, owned := l.owners[key]
	_, lives := l.others[o.holder]
	return l.owners != nil && (!owned || !lives)
}

// claim takes the lease of a configuration for the present term. It returns nil if another process
// was faster, or the table did not answer; free then waits for the next round.
func (l *Leases) claim(ctx context.Context, ref command.Ref) *term {
	if l == nil {
		return &term{Context: context.Background()}
	}
	key := botKey(ref)
	l.mu.Lock()
	t, name, o, free := l.term, l.name, l.owners[key], l.freeLocked(key)
	_, ours := l.held[key]
	l.mu.Unlock()
	switch {
	case !free:
		return nil
	case ours:
		return t
	}
	// Not the next revision: an item that was deleted and made again must not have a former one.
	revision := random.Int64N(math.MaxInt64)
	if err := l.take(ctx, key, name, o, revision); err != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.owners = nil // they have changed
		var broken *table.ConditionError
		if !errors.As(err, &broken) && ctx.Err() == nil {
			invoke.Logger(ctx).ErrorContext(ctx, "the lease of a connection was not taken", "name", ref.Name,
				"error", err)
		}
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.name != name {
		return nil // the holder is another one now
	}
	l.held[key] = revision
	if l.term != t || !l.validLocked() {
		return nil
	}
	return t
}

// take writes the item of a configuration.
func (l *Leases) take(ctx context.Context, key, name string, from owner, revision int64) error {
	ctx, cancel := context.WithTimeout(ctx, leaseTime)
	defer cancel()
	condition := table.Absent()
	if from.holder != "" {
		condition = table.AtRevision(from.revision)
	}
	value, err := document.Encode(holding{name})
	if err != nil {
		return err
	}
	return l.table.Write(ctx, Partition, table.Change{Puts: []table.Put{{Sort: key, Value: value, Revision: revision,
		If: condition}}})
}

// release gives the lease of a configuration back, after its connection has ended. If that fails,
// the item stays until this process claims it again, or ends.
func (l *Leases) release(ctx context.Context, ref command.Ref) {
	if l == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseTime)
	defer cancel()
	key := botKey(ref)
	l.mu.Lock()
	revision, ours := l.held[key]
	delete(l.held, key)
	delete(l.owners, key)
	l.mu.Unlock()
	if !ours {
		return
	}
	err := l.table.Write(ctx, Partition, table.Change{Deletes: []table.Delete{{Sort: key,
		If: table.AtRevision(revision)}}})
	if err != nil {
		invoke.Logger(ctx).WarnContext(ctx, "the lease of a connection was not given back", "name", ref.Name,
			"error", err)
	}
}

package journal

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/invoke"
	"chatconf/shared/table"
)

// A Counter counts something that happens to a configuration's webhook.
type Counter string

// The counters. The journal itself counts commands and deliveries; the others are noted by whoever
// receives callbacks.
const (
	CountAllowed    Counter = "Allowed"    // commands that were allowed
	CountDenied     Counter = "Denied"     // and those that were not
	CountDelivered  Counter = "Delivered"  // commands that the target took, or answers that were sent
	CountFailed     Counter = "Failed"     // and those given up
	CountHandshakes Counter = "Handshakes" // the platform asked whether the URL is alive
	CountIgnored    Counter = "Ignored"    // callbacks without a message for the bot
	CountDuplicates Counter = "Duplicates" // messages that were delivered again
	CountRefused    Counter = "Refused"    // callbacks that were not proven genuine
)

var Counters = [...]Counter{CountAllowed, CountDenied, CountDelivered, CountFailed, CountHandshakes,
	CountIgnored, CountDuplicates, CountRefused}

// Steps of what is not a callback that was refused.
const (
	StepToken   = "token"   // a URL with a wrong token
	stepMention = "mention" // a message mentions a name that is not BotName
)

const (
	// shards is over how many items a counter of what every command adds to is spread, so that
	// commands at once do not meet in one.
	shards = 8
	// noteInterval is how long a process keeps notes of one configuration together before it writes
	// again.
	noteInterval = 5 * time.Second
	// noteTimeout is how long a note that nobody waits for may take to be written.
	noteTimeout = 5 * time.Second
	// maxNotes bounds the configurations that a process keeps notes of; beyond it, any may be
	// forgotten.
	maxNotes = 10_000
)

// Bounds of the kinds of callbacks that are counted one by one.
const (
	maxKinds  = 50 // in all of one configuration; the others are counted together
	maxKind   = 64 // bytes of one
	kindOther = "other"
)

// What happened last, in the sort keys of health.
const (
	LastError     = "last#error"
	LastToken     = "last#token" // a URL with a wrong token, which may be anybody's
	LastHandshake = "last#handshake"
	LastCallback  = "last#callback"
	LastDelivery  = "last#delivery" // one that failed
	LastMention   = "last#mention"  // of a name that is not BotName
	countOf       = "n#"

	// kindOf is of callbacks that were ignored, by kind; behind all others, so that these are read.
	kindOf = "type#"
)

func healthKey(ref command.Ref, what string) string { return keyUnder(ref, healthPrefix, what) }

// shardKey returns the sort key of a counter's part that a command adds to.
func shardKey(ref command.Ref, c Counter) string {
	h := fnv.New32a()
	h.Write([]byte(ref.ID))
	return healthKey(ref, fmt.Sprintf("%s%s#%d", countOf, c, h.Sum32()%shards))
}

// A Note is something that happened to a webhook, for its health.
type Note struct {
	Counter Counter
	Step    string // of a callback that was refused: where, such as signature
	Reason  string // and why: what was seen and what would be right; no secret
	Kind    string // of a callback that was ignored: what it is, as the platform calls it

	// Mention is the name that a message mentions where BotName should be. Such a Note has no
	// Counter.
	Mention string
}

// A moment is when something happened last, as it is stored.
type Moment struct {
	At     time.Time `json:"at"`
	Step   string    `json:"step,omitempty"`
	Reason string    `json:"reason,omitempty"`
}

// A tally is what was noted of one configuration and goes into one write.
type tally struct {
	count map[Counter]int64
	kinds map[string]int64  // how many were ignored, by kind
	last  map[string]Moment // by sort key of health, without what is before it
}

func newTally() tally {
	return tally{make(map[Counter]int64), make(map[string]int64), make(map[string]Moment)}
}

// empty reports whether there is nothing to be written.
func (t *tally) empty() bool { return len(t.count)+len(t.kinds)+len(t.last) == 0 }

// keep puts back what could not be written.
func (t *tally) keep(older tally) {
	for c, n := range older.count {
		t.count[c] += n
	}
	for kind, n := range older.kinds {
		t.kinds[kind] += n
	}
	for what, m := range older.last {
		if _, newer := t.last[what]; !newer {
			t.last[what] = m
		}
	}
}

// notes are what one process has noted of one configuration and not written yet.
type notes struct {
	tally
	seen    map[string]struct{} // the kinds that this process counts one by one
	written time.Time           // when notes were last written, or that was tried
	writing *noteWrite          // the write under way; nil: there is none
}

// A noteWrite is one write of the notes of one configuration. Only one is under way for each.
type noteWrite struct {
	done   chan struct{} // closed when err is set
	err    error
	cancel context.CancelFunc
}

// wait waits until the write has ended, or ctx has.
func (w *noteWrite) wait(ctx context.Context) error {
	select {
	case <-w.done: // what is known counts, even where the context has ended since
		return w.err
	default:
	}
	select {
	case <-w.done:
		return w.err
	case <-ctx.Done():
		return storeError(ctx, "note", ctx.Err())
	}
}

// own is wait for the caller that began the write: the write ends with ctx too.
func (w *noteWrite) own(ctx context.Context) error {
	defer w.cancel()
	return w.wait(ctx)
}

// Note notes something that happened to the webhook of a configuration that there is. It writes at
// most once in a few seconds for one configuration; what comes in between is kept and goes along
// with the next. Notes that are lost with a process are missing in the counters. An error means
// that the notes are kept for the next time.
func (j *Journal) Note(ctx context.Context, ref command.Ref, n Note) error {
	if w := j.jot(ctx, ref, n); w != nil {
		return w.own(ctx)
	}
	return nil
}

// NoteLater is Note in the background, for callers that must answer quickly.
func (j *Journal) NoteLater(ctx context.Context, ref command.Ref, n Note) {
	w := j.jot(ctx, ref, n)
	if w == nil {
		return
	}
	ctx = context.WithoutCancel(ctx)
	go func() {
		if err := w.wait(ctx); err != nil && !errors.Is(err, context.Canceled) { // what Flush gives up, it says itself
			invoke.Logger(ctx).WarnContext(ctx, "the health of a webhook was not written",
				"configuration", ref.Name, "error", err)
		}
	}()
}

// flushed makes sure that what was noted of one configuration so far is written. It returns an
// error when that cannot be, or not before ctx ends, and is then kept for the next time.
func (j *Journal) FlushOf(ctx context.Context, ref command.Ref) error {
	ref.ID = ""
	for again := false; ; again = true {
		w, fresh, err := j.flushWrite(ctx, ref)
		switch {
		case err != nil || w == nil:
			return err
		case fresh:
			return w.own(ctx)
		}
		// A write that was under way lacks what was noted after it began, and keeps what it could
		// not write: then another is needed. The one after it has everything.
		if err := w.wait(ctx); again || ctx.Err() != nil {
			return err
		}
	}
}

// flushWrite returns the write of a configuration's notes that is under way, else a fresh one; nil
// if there is nothing to write.
func (j *Journal) flushWrite(ctx context.Context, ref command.Ref) (w *noteWrite, fresh bool, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	kept := j.notes[ref]
	switch {
	case kept == nil:
		return nil, false, nil
	case kept.writing != nil:
		return kept.writing, false, nil
	case kept.empty():
		return nil, false, nil
	case ctx.Err() != nil:
		return nil, false, storeError(ctx, "note", ctx.Err())
	}
	return j.writeLocked(ctx, ref, kept), true, nil
}

// flushAtOnce is of how many configurations Flush writes the notes at once.
const flushAtOnce = 16

// Flush writes all notes that are kept, and waits for those that are being written. It returns when
// ctx ends; what is not written by then is given up, so that the table can be closed. A process
// that ends calls it.
func (j *Journal) Flush(ctx context.Context) error {
	j.mu.Lock()
	refs := slices.Collect(maps.Keys(j.notes))
	j.mu.Unlock()
	var mu sync.Mutex
	var first error
	failed := 0
	var group sync.WaitGroup
	turn := make(chan struct{}, flushAtOnce)
	for _, ref := range refs {
		turn <- struct{}{} // there soon is one: all end with ctx
		group.Go(func() {
			defer func() { <-turn }()
			if err := j.FlushOf(ctx, ref); err != nil {
				mu.Lock()
				defer mu.Unlock()
				if failed++; first == nil {
					first = err
				}
			}
		})
	}
	group.Wait()
	if failed == 0 {
		return nil
	}
	if ctx.Err() != nil {
		j.giveUp()
	}
	return fmt.Errorf("journal: the notes of %d of %d configurations were not written: %w", failed, len(refs), first)
}

// giveUp ends the writes under way.
func (j *Journal) giveUp() {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, kept := range j.notes {
		if kept.writing != nil {
			kept.writing.cancel()
		}
	}
}

// jot keeps a note, and returns the write of what is kept if it began one.
func (j *Journal) jot(ctx context.Context, ref command.Ref, n Note) *noteWrite {
	ref.ID = ""
	now := j.now().UTC()
	j.mu.Lock()
	defer j.mu.Unlock()
	kept := j.notes[ref]
	if kept == nil {
		kept = &notes{tally: newTally(), seen: make(map[string]struct{})}
		if len(j.notes) >= maxNotes {
			for other := range j.notes {
				delete(j.notes, other)
				break
			}
		}
		j.notes[ref] = kept
	}
	kept.add(n)
	switch {
	case n.Mention != "":
		const reason = "a message mentions %q, which is not BotName; if that is this bot, set BotName to it"
		kept.last[LastMention] = Moment{At: now, Step: stepMention, Reason: fmt.Sprintf(reason, cut(n.Mention, 256))}
	case n.Counter == CountRefused && n.Step == StepToken:
		kept.last[LastToken] = Moment{At: now, Step: StepToken, Reason: cut(n.Reason, 1024)}
	case n.Counter == CountRefused:
		kept.last[LastError] = Moment{At: now, Step: cut(n.Step, 64), Reason: cut(n.Reason, 1024)}
	case n.Counter == CountHandshakes:
		kept.last[LastHandshake] = Moment{At: now}
	}
	if n.Step != StepToken && n.Mention == "" { // else it need not be the platform that called
		kept.last[LastCallback] = Moment{At: now}
	}
	if since := now.Sub(kept.written); kept.writing != nil || !kept.written.IsZero() &&
		since >= 0 && since < noteInterval {
		return nil
	}
	return j.writeLocked(ctx, ref, kept)
}

// writeLocked begins to write what is kept of a configuration, in one write, which outlives ctx. No
// other may be under way.
func (j *Journal) writeLocked(ctx context.Context, ref command.Ref, kept *notes) *noteWrite {
	now := j.now().UTC()
	noted := kept.tally
	kept.tally, kept.written = newTally(), now
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTimeout)
	w := &noteWrite{done: make(chan struct{}), cancel: cancel}
	kept.writing = w
	go func() {
		defer close(w.done)
		defer cancel()
		if err := j.writeNotes(ctx, ref, now, noted); err != nil {
			w.err = storeError(ctx, "note", err)
		}
		j.mu.Lock()
		defer j.mu.Unlock()
		kept.writing = nil
		if w.err == nil {
			return
		}
		kept.keep(noted)
	}()
	return w
}

// add counts a note: what was ignored under its kind where that is known, and Counters has the sum.
func (n *notes) add(note Note) {
	kind := command.Printable(note.Kind, maxKind)
	switch {
	case note.Mention != "":
		return
	case note.Counter != CountIgnored || kind == "":
		n.count[note.Counter]++
		return
	}
	if _, ok := n.seen[kind]; !ok && len(n.seen) >= maxKinds-1 {
		kind = kindOther
	} else if !ok {
		n.seen[kind] = struct{}{}
	}
	n.kinds[kind]++
}

// writeNotes writes notes of a configuration. A panic is an error.
func (j *Journal) writeNotes(ctx context.Context, ref command.Ref, now time.Time, noted tally) (err error) {
	defer invoke.Recover("journal", &err)
	var change table.Change
	for what, m := range noted.last {
		value, err := encode(m)
		if err != nil {
			return err
		}
		change.Puts = append(change.Puts, table.Put{Sort: healthKey(ref, what), Value: value, Revision: now.UnixNano()})
	}
	for c, n := range noted.count {
		change.Adds = append(change.Adds, table.Add{Sort: healthKey(ref, countOf+string(c)), N: n})
	}
	for kind, n := range noted.kinds {
		change.Adds = append(change.Adds, table.Add{Sort: healthKey(ref, kindOf+kind), N: n})
	}
	return j.table.Write(ctx, partitionOf(ref), change)
}

// health is what the journal knows of a webhook's health.
type Health struct {
	Count  map[Counter]int64
	Kinds  map[string]int64
	Last   map[string]Moment
	Record *Record // of the last command; nil if there is none
}

// health reads what is known of a webhook, and happened no earlier than since.
func (j *Journal) Health(ctx context.Context, ref command.Ref, since time.Time) (*Health, error) {
	out := &Health{Count: make(map[Counter]int64), Kinds: make(map[string]int64), Last: make(map[string]Moment)}
	prefix := healthKey(ref, "")
	items, err := j.table.Query(ctx, table.Range{Partition: partitionOf(ref), Prefix: prefix, Limit: table.MaxQuery})
	if err != nil {
		return nil, err
	}
	for _, item := range items {
		what := strings.TrimPrefix(item.Sort, prefix)
		if counter, ok := strings.CutPrefix(what, countOf); ok {
			counter, _, _ = strings.Cut(counter, "#")
			out.Count[Counter(counter)] += item.Count
			continue
		}
		if kind, ok := strings.CutPrefix(what, kindOf); ok {
			out.Kinds[kind] += item.Count
			out.Count[CountIgnored] += item.Count
			continue
		}
		var m Moment
		if err := json.Unmarshal(item.Value, &m); err != nil {
			return nil, fmt.Errorf("journal: item %q: %w", item.Sort, err)
		}
		if !m.At.Before(since) {
			out.Last[what] = m
		}
	}
	items, err = j.table.Query(ctx, table.Range{Partition: partitionOf(ref),
		Prefix: recordKey(ref), Limit: 1, Reverse: true})
	if err != nil || len(items) == 0 {
		return out, err
	}
	if out.Record, err = decodeRecord(items[0]); err == nil && out.Record.Time.Before(since) {
		out.Record = nil
	}
	return out, err
}

// ignored returns what was ignored by kind, of many kinds those that came most often. Several
// processes may have counted different ones.
func (h *Health) Ignored() map[string]int64 {
	if len(h.Kinds) == 0 {
		return nil
	}
	kinds := slices.SortedFunc(maps.Keys(h.Kinds), func(a, b string) int {
		return cmp.Or(cmp.Compare(h.Kinds[b], h.Kinds[a]), cmp.Compare(a, b))
	})
	out := make(map[string]int64, maxKinds)
	shown := 0
	for _, kind := range kinds {
		if kind == kindOther || shown == maxKinds-1 {
			out[kindOther] += h.Kinds[kind]
			continue
		}
		out[kind] = h.Kinds[kind]
		shown++
	}
	return out
}

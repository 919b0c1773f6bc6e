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
	"chatconf/shared/document"
	"chatconf/shared/invoke"
	"chatconf/shared/table"
)

// A Counter counts one kind of event of a configuration's webhook.
type Counter string

// The counters. The journal counts commands and deliveries. Notes of the receiver count the others.
const (
	CountAllowed    Counter = "Allowed"    // allowed commands
	CountDenied     Counter = "Denied"     // denied commands
	CountDelivered  Counter = "Delivered"  // commands that the target accepted, and answers that were sent
	CountFailed     Counter = "Failed"     // commands and answers that failed for good
	CountHandshakes Counter = "Handshakes" // the platform checked the URL
	CountIgnored    Counter = "Ignored"    // callbacks without a message for the bot
	CountDuplicates Counter = "Duplicates" // messages that were delivered again
	CountRefused    Counter = "Refused"    // callbacks that are not genuine
)

// Counters are all counters.
var Counters = [...]Counter{CountAllowed, CountDenied, CountDelivered, CountFailed, CountHandshakes,
	CountIgnored, CountDuplicates, CountRefused}

// Steps of notes in addition to those of refused callbacks.
const (
	StepToken   = "token"   // a URL with a wrong token
	stepMention = "mention" // a message mentions a name other than BotName
)

const (
	// shards is the number of items of a counter to which every command adds, so that concurrent
	// commands rarely conflict.
	shards = 8
	// noteInterval is the shortest time between two writes of one configuration's notes.
	noteInterval = 5 * time.Second
	// noteTimeout bounds one write of notes.
	noteTimeout = 5 * time.Second
	// maxNotes bounds the configurations with notes in a process. Beyond it any one is dropped.
	maxNotes = 10_000
)

// Bounds of the kinds of callbacks that have a counter each.
const (
	maxKinds  = 50 // of one configuration; all others share one counter
	maxKind   = 64 // bytes of one
	kindOther = "other"
)

// The last events, in the sort keys of health.
const (
	LastError     = "last#error"
	LastToken     = "last#token" // a URL with a wrong token: any client may have sent it
	LastHandshake = "last#handshake"
	LastCallback  = "last#callback"
	LastDelivery  = "last#delivery" // a failed one
	LastMention   = "last#mention"  // of a name other than BotName
	LastEvent     = "last#event"    // of a change, whose delivery was given up
	countOf       = "n#"

	// kindOf counts ignored callbacks by kind. It sorts last, so that the others are always read.
	kindOf = "type#"
)

func healthKey(ref command.Ref, what string) string { return keyUnder(ref, healthPrefix, what) }

// shardKey returns the sort key of the shard of a counter to which a command adds.
func shardKey(ref command.Ref, c Counter) string {
	h := fnv.New32a()
	h.Write([]byte(ref.ID))
	return healthKey(ref, fmt.Sprintf("%s%s#%d", countOf, c, h.Sum32()%shards))
}

// A Note is one event of a webhook, for its health.
type Note struct {
	Counter Counter
	Step    string // where a callback was refused, such as signature
	Reason  string // why: what is wrong and what would be right; no secret
	Kind    string // the kind of an ignored callback, in the platform's terms

	// Mention is the name in a message that should be BotName. Such a Note has no Counter.
	Mention string
	// Connection is news of the connection that chatconf opens for the configuration. Such a Note
	// has nothing else.
	Connection Connection
}

// A Moment is the time and the reason of a last event, as it is stored.
type Moment struct {
	At     time.Time `json:"at"`
	Step   string    `json:"step,omitempty"`
	Reason string    `json:"reason,omitempty"`
	Holder string    `json:"holder,omitempty"` // of a connection
	Frame  time.Time `json:"frame,omitzero"`   // the last delivery over it
}

// A tally sums the notes of one configuration for one write.
type tally struct {
	count map[Counter]int64
	kinds map[string]int64  // ignored callbacks by kind
	last  map[string]Moment // by the last part of the sort key
}

func newTally() tally {
	return tally{make(map[Counter]int64), make(map[string]int64), make(map[string]Moment)}
}

func (t *tally) empty() bool { return len(t.count)+len(t.kinds)+len(t.last) == 0 }

// keep adds an older tally after a failed write.
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

// notes are the unwritten notes of one configuration in one process.
type notes struct {
	tally
	seen    map[string]struct{} // the kinds with a counter of their own
	written time.Time           // of the last attempt to write
	writing *noteWrite          // the current write, or nil
	planned bool                // a write is planned
}

// A noteWrite is one write of the notes of one configuration, which has at most one at a time.
type noteWrite struct {
	done   chan struct{} // closed when err is set
	err    error
	cancel context.CancelFunc
}

// wait waits until the write or ctx ends.
func (w *noteWrite) wait(ctx context.Context) error {
	select {
	case <-w.done: // a known result counts even if ctx has ended
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

// own is wait for the caller that began the write. The write then ends with ctx.
func (w *noteWrite) own(ctx context.Context) error {
	defer w.cancel()
	return w.wait(ctx)
}

// Note records an event of an existing configuration's webhook. It writes at most once in
// noteInterval for each configuration and collects notes in between. Notes of a process that
// crashes are lost. After an error the notes are kept for the next write.
func (j *Journal) Note(ctx context.Context, ref command.Ref, n Note) error {
	if w := j.addNote(ctx, ref, n); w != nil {
		return w.own(ctx)
	}
	return nil
}

// NoteLater is Note in the background, for callers that must answer quickly.
func (j *Journal) NoteLater(ctx context.Context, ref command.Ref, n Note) {
	w := j.addNote(ctx, ref, n)
	if w == nil {
		return
	}
	ctx = context.WithoutCancel(ctx)
	go func() { logUnwritten(ctx, ref, w.wait(ctx)) }()
}

// FlushOf writes all notes of one configuration so far. After an error, or if ctx ends first, they
// are kept for the next write.
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
		// A write that had already begun lacks later notes, and may fail. The next one has
		// everything.
		if err := w.wait(ctx); again || ctx.Err() != nil {
			return err
		}
	}
}

// flushWrite returns the current write of a configuration's notes, else a fresh one; nil if there
// is nothing to write.
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

// flushAtOnce is the number of configurations whose notes Flush writes concurrently.
const flushAtOnce = 16

// Flush writes all notes and waits for current writes. It is called before a process ends. When ctx
// ends, it cancels what is left, so that the table can be closed.
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
		turn <- struct{}{} // does not block for long: all end with ctx
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

// giveUp cancels the current writes.
func (j *Journal) giveUp() {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, kept := range j.notes {
		if kept.writing != nil {
			kept.writing.cancel()
		}
	}
}

// addNote adds a note, and returns the write if it began one.
func (j *Journal) addNote(ctx context.Context, ref command.Ref, n Note) *noteWrite {
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
		const reason = "a message mentions %q, which is not BotName; if this is the bot, set BotName to it"
		kept.last[LastMention] = Moment{At: now, Step: stepMention, Reason: fmt.Sprintf(reason, cut(n.Mention, 256))}
	case n.Counter == CountRefused && n.Step == StepToken:
		kept.last[LastToken] = Moment{At: now, Step: StepToken, Reason: cut(n.Reason, 1024)}
	case n.Counter == CountRefused:
		kept.last[LastError] = Moment{At: now, Step: cut(n.Step, 64), Reason: cut(n.Reason, 1024)}
	case n.Counter == CountHandshakes:
		kept.last[LastHandshake] = Moment{At: now}
	case n.Connection.State != "":
		kept.last[lastConnection+string(n.Connection.State)] = n.Connection.at(now)
	}
	// With a wrong token, the client may not be the platform.
	if n.Step != StepToken && n.Mention == "" && n.Connection.State == "" {
		kept.last[LastCallback] = Moment{At: now}
	}
	if since := now.Sub(kept.written); kept.writing != nil || !kept.written.IsZero() &&
		since >= 0 && since < noteInterval {
		if n.Connection.State != "" {
			j.planLocked(ctx, ref, kept)
		}
		return nil
	}
	return j.writeLocked(ctx, ref, kept)
}

// planLocked writes a configuration's notes after noteInterval, without another note or a reader.
func (j *Journal) planLocked(ctx context.Context, ref command.Ref, kept *notes) {
	if kept.planned {
		return
	}
	kept.planned = true
	ctx = context.WithoutCancel(ctx)
	time.AfterFunc(noteInterval, func() {
		j.mu.Lock()
		kept.planned = false
		j.mu.Unlock()
		logUnwritten(ctx, ref, j.FlushOf(ctx, ref))
	})
}

// logUnwritten logs that notes were not written; nothing for nil. Flush reports what it cancels.
func logUnwritten(ctx context.Context, ref command.Ref, err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		invoke.Logger(ctx).WarnContext(ctx, "the health of a webhook was not written", "configuration", ref.Name,
			"error", err)
	}
}

// writeLocked begins to write a configuration's notes in one write, which outlives ctx. There must
// be no current write.
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

// add counts a note. An ignored callback of a known kind counts only under its kind; Health adds
// up the kinds.
func (n *notes) add(note Note) {
	kind := command.Printable(note.Kind, maxKind)
	switch {
	case note.Mention != "":
		return
	case note.Connection.State != "":
		if note.Connection.State == Connected {
			n.count[countConnected]++
		}
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

// writeNotes writes a tally. A panic becomes an error.
func (j *Journal) writeNotes(ctx context.Context, ref command.Ref, now time.Time, noted tally) (err error) {
	defer invoke.Recover("journal", &err)
	var change table.Change
	for what, m := range noted.last {
		value, err := document.Encode(m)
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

// Unannounced records that the delivery of the event of a change was given up, and why.
func (j *Journal) Unannounced(ctx context.Context, ref command.Ref, why string) error {
	now := j.now().UTC()
	value, err := document.Encode(Moment{At: now, Step: "announce", Reason: cut(why, 1024)})
	if err == nil {
		err = j.table.Write(ctx, partitionOf(ref), table.Change{Puts: []table.Put{{Sort: healthKey(ref, LastEvent),
			Value: value, Revision: now.UnixNano()}}})
	}
	if err != nil {
		return storeError(ctx, "note", err)
	}
	return nil
}

// Health is the health of one configuration's webhook.
type Health struct {
	Count  map[Counter]int64
	Kinds  map[string]int64
	Last   map[string]Moment
	Record *Record // the last command's, or nil
}

// Health reads the health of a webhook. It ignores last events and commands before since.
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

// Ignored returns the ignored callbacks by kind. Several processes may have counted more than
// maxKinds together; the rarest then count as other.
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

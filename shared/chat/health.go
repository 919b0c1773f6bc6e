package chat

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"chatconf/shared/invoke"
	"chatconf/shared/table"
)

// A Counter counts something that happens to a configuration's webhook.
type Counter string

// The counters. The journal itself counts commands and deliveries; the others are noted by whoever receives callbacks.
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

var allCounters = [...]Counter{CountAllowed, CountDenied, CountDelivered, CountFailed, CountHandshakes, CountIgnored, CountDuplicates, CountRefused}

// stepToken is the step of a Note of a URL with a wrong token.
const stepToken = "token"

const (
	// shards is over how many items a counter of what every command adds to is spread, so that commands at once do not meet in one.
	shards = 8
	// noteInterval is how long a process keeps notes of one configuration together before it writes again.
	noteInterval = 5 * time.Second
	// noteTimeout is how long a note that nobody waits for may take to be written.
	noteTimeout = 5 * time.Second
	// flushWait is how long a reader of health waits for its notes to be written.
	flushWait = 250 * time.Millisecond
	// maxNotes bounds the configurations that a process keeps notes of; beyond it, any may be forgotten.
	maxNotes = 10_000
)

// What happened last, in the sort keys of health.
const (
	lastError     = "last#error"
	lastToken     = "last#token" // a URL with a wrong token, which may be anybody's
	lastHandshake = "last#handshake"
	lastCallback  = "last#callback"
	lastDelivery  = "last#delivery" // one that failed
	countOf       = "n#"
)

func healthKey(name, what string) string { return healthPrefix + escape(name) + "#" + what }

// shardKey returns the sort key of a counter's part that id adds to.
func shardKey(name string, c Counter, id string) string {
	h := fnv.New32a()
	h.Write([]byte(id))
	return healthKey(name, fmt.Sprintf("%s%s#%d", countOf, c, h.Sum32()%shards))
}

// A Note is something that happened to a webhook, for its health.
type Note struct {
	Counter Counter
	Step    string // of a callback that was refused: where, such as signature
	Reason  string // and why: what was seen and what would be right; no secret
}

// A moment is when something happened last, as it is stored.
type moment struct {
	At     time.Time `json:"at"`
	Step   string    `json:"step,omitempty"`
	Reason string    `json:"reason,omitempty"`
}

// notes are what one process has noted of one configuration and not written yet.
type notes struct {
	count   map[Counter]int64
	last    map[string]moment // by sort key of health, without what is before it
	written time.Time         // when notes were last written, or that was tried
	writing *noteWrite        // the write under way; nil: there is none
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

// Note notes something that happened to the webhook of a configuration that there is. It writes at most once in a few seconds for one
// configuration; what comes in between is kept and goes along with the next. Notes that are lost with a process are missing in the
// counters. An error means that the notes are kept for the next time.
func (j *Journal) Note(ctx context.Context, ref Ref, n Note) error {
	if w := j.jot(ctx, ref, n); w != nil {
		return w.own(ctx)
	}
	return nil
}

// NoteLater is Note in the background, for callers that must answer quickly.
func (j *Journal) NoteLater(ctx context.Context, ref Ref, n Note) {
	w := j.jot(ctx, ref, n)
	if w == nil {
		return
	}
	ctx = context.WithoutCancel(ctx)
	go func() {
		if err := w.wait(ctx); err != nil {
			invoke.Logger(ctx).WarnContext(ctx, "the health of a webhook was not written", "configuration", ref.Name, "error", err)
		}
	}()
}

// flushed makes sure that what was noted of one configuration so far is written. It returns an error when that cannot be, or not
// before ctx ends, and is then kept for the next time.
func (j *Journal) flushed(ctx context.Context, ref Ref) error {
	ref.ID = ""
	for again := false; ; again = true {
		w, fresh, err := j.flushWrite(ctx, ref)
		switch {
		case err != nil || w == nil:
			return err
		case fresh:
			return w.own(ctx)
		}
		// A write that was under way lacks what was noted after it began, and keeps what it could not write: then another is needed.
		// The one after it has everything.
		if err := w.wait(ctx); again || ctx.Err() != nil {
			return err
		}
	}
}

// flushWrite returns the write of a configuration's notes that is under way, else a fresh one; nil if there is nothing to write.
func (j *Journal) flushWrite(ctx context.Context, ref Ref) (w *noteWrite, fresh bool, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	kept := j.notes[ref]
	switch {
	case kept == nil:
		return nil, false, nil
	case kept.writing != nil:
		return kept.writing, false, nil
	case len(kept.count) == 0:
		return nil, false, nil
	case ctx.Err() != nil:
		return nil, false, storeError(ctx, "note", ctx.Err())
	}
	return j.writeLocked(ctx, ref, kept), true, nil
}

// flushAtOnce is of how many configurations Flush writes the notes at once.
const flushAtOnce = 16

// Flush writes all notes that are kept, and waits for those that are being written. It returns when ctx ends; what is not written by
// then is given up, so that the table can be closed. A process that ends calls it.
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
			if err := j.flushed(ctx, ref); err != nil {
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
	return fmt.Errorf("chat: the notes of %d of %d configurations were not written: %w", failed, len(refs), first)
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
func (j *Journal) jot(ctx context.Context, ref Ref, n Note) *noteWrite {
	ref.ID = ""
	now := j.now().UTC()
	j.mu.Lock()
	defer j.mu.Unlock()
	kept := j.notes[ref]
	if kept == nil {
		kept = &notes{count: make(map[Counter]int64), last: make(map[string]moment)}
		keep(j.notes, maxNotes, ref, kept)
	}
	kept.count[n.Counter]++
	switch {
	case n.Counter == CountRefused && n.Step == stepToken:
		kept.last[lastToken] = moment{At: now, Step: stepToken, Reason: cut(n.Reason, 1024)}
	case n.Counter == CountRefused:
		kept.last[lastError] = moment{At: now, Step: cut(n.Step, 64), Reason: cut(n.Reason, 1024)}
	case n.Counter == CountHandshakes:
		kept.last[lastHandshake] = moment{At: now}
	}
	if n.Step != stepToken { // else it need not be the platform that called
		kept.last[lastCallback] = moment{At: now}
	}
	if since := now.Sub(kept.written); kept.writing != nil || !kept.written.IsZero() && since >= 0 && since < noteInterval {
		return nil
	}
	return j.writeLocked(ctx, ref, kept)
}

// writeLocked begins to write what is kept of a configuration, in one write, which outlives ctx. No other may be under way.
func (j *Journal) writeLocked(ctx context.Context, ref Ref, kept *notes) *noteWrite {
	now := j.now().UTC()
	count, last := kept.count, kept.last
	kept.count, kept.last, kept.written = make(map[Counter]int64), make(map[string]moment), now
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTimeout)
	w := &noteWrite{done: make(chan struct{}), cancel: cancel}
	kept.writing = w
	go func() {
		defer close(w.done)
		defer cancel()
		if err := j.writeNotes(ctx, ref, now, count, last); err != nil {
			w.err = storeError(ctx, "note", err)
		}
		j.mu.Lock()
		defer j.mu.Unlock()
		kept.writing = nil
		if w.err == nil {
			return
		}
		for c, n := range count {
			kept.count[c] += n
		}
		for what, m := range last {
			if _, newer := kept.last[what]; !newer {
				kept.last[what] = m
			}
		}
	}()
	return w
}

// writeNotes writes notes of a configuration. A panic is an error.
func (j *Journal) writeNotes(ctx context.Context, ref Ref, now time.Time, count map[Counter]int64, last map[string]moment) (err error) {
	defer invoke.Recover("chat", &err)
	var change table.Change
	for what, m := range last {
		value, err := encodeRecord(m)
		if err != nil {
			return err
		}
		change.Puts = append(change.Puts, table.Put{Sort: healthKey(ref.Name, what), Value: value, Revision: now.UnixNano()})
	}
	for c, n := range count {
		change.Adds = append(change.Adds, table.Add{Sort: healthKey(ref.Name, countOf+string(c)), N: n})
	}
	return j.table.Write(ctx, ref.partition(), change)
}

// health is what the journal knows of a webhook's health.
type health struct {
	count map[Counter]int64
	last  map[string]moment
	entry *entry // of the last command; nil if there is none
}

// health reads what is known of a webhook.
func (j *Journal) health(ctx context.Context, ref Ref) (*health, error) {
	out := &health{count: make(map[Counter]int64), last: make(map[string]moment)}
	prefix := healthKey(ref.Name, "")
	items, err := j.table.Query(ctx, table.Range{Partition: ref.partition(), Prefix: prefix, Limit: table.MaxQuery})
	if err != nil {
		return nil, err
	}
	for _, item := range items {
		what := strings.TrimPrefix(item.Sort, prefix)
		if counter, ok := strings.CutPrefix(what, countOf); ok {
			counter, _, _ = strings.Cut(counter, "#")
			out.count[Counter(counter)] += item.Count
			continue
		}
		var m moment
		if err := json.Unmarshal(item.Value, &m); err != nil {
			return nil, fmt.Errorf("chat: item %q: %w", item.Sort, err)
		}
		out.last[what] = m
	}
	items, err = j.table.Query(ctx, table.Range{Partition: ref.partition(), Prefix: entryKey(ref.Name, ""), Limit: 1, Reverse: true})
	if err != nil || len(items) == 0 {
		return out, err
	}
	out.entry, err = decodeEntry(items[0])
	return out, err
}

const actionHealth = "GetChatConfigurationHealth"

// HealthRequest are the parameters of GetChatConfigurationHealth.
type HealthRequest struct {
	RegionID string `param:"RegionId"`
	Name     string `param:"Name"`
}

// HealthResponse is the answer of GetChatConfigurationHealth.
type HealthResponse struct {
	Health Health
}

// States of a webhook.
const (
	HealthSilent  = "Silent"  // the platform has never called
	HealthWorking = "Working" // the last callback that could be told was genuine
	HealthFailing = "Failing" // it was refused
)

// Health is how a configuration's webhook is doing. Dates are empty for what never happened.
type Health struct {
	Name              string
	Type              string
	Status            string
	State             string
	LastCallbackDate  string
	LastSuccessDate   string // of a command or a handshake
	LastCommandDate   string
	LastHandshakeDate string
	LastError         *HealthError `json:",omitempty"` // of a callback that was refused
	LastDeliveryError *HealthError `json:",omitempty"` // of a command that could not be handed on
	Counters          map[string]int64
}

// HealthError is what went wrong last: where, when and why.
type HealthError struct {
	Date   string
	Step   string // token, request, configuration, signature, freshness, decrypt, receive id, decode, replay or deliver
	Reason string
}

// Health returns how the webhook of a chat configuration is doing: GetChatConfigurationHealth. Counters are by name of the
// configuration, over all its lives, and a counter that does not move is forgotten with the journal's retention.
//
// Errors: MissingParameter, InvalidParameter, NotFound, NoPermission, InvalidRegion, Unavailable without a journal.
func (s *Service) Health(ctx context.Context, in *HealthRequest) (*HealthResponse, error) {
	c, r, err := s.mayRead(ctx, actionHealth, in.RegionID, in.Name)
	if err != nil {
		return nil, err
	}
	if r == nil {
		return nil, notFound(in.Name)
	}
	if s.journal == nil {
		return nil, noJournal()
	}
	ref := Ref{Account: c.account, Region: c.region, Name: r.Name}
	// What this process has noted and not written yet counts as well. That it cannot be written is no reason not to answer.
	flushing, cancel := context.WithTimeout(ctx, flushWait)
	err = s.journal.flushed(flushing, ref)
	cancel()
	if err != nil {
		invoke.Logger(ctx).WarnContext(ctx, "the health of a webhook was not written", "configuration", r.Name, "error", err)
	}
	h, err := s.journal.health(ctx, ref)
	if err != nil {
		return nil, storeError(ctx, "get health", err)
	}
	return &HealthResponse{h.show(r)}, nil
}

func (h *health) show(r *record) Health {
	out := Health{Name: r.Name, Type: r.Type, Status: r.Status, State: HealthSilent, Counters: make(map[string]int64, len(allCounters))}
	for _, c := range allCounters {
		out.Counters[string(c)] = h.count[c]
	}
	var command time.Time
	if h.entry != nil {
		command = h.entry.Time
	}
	success, failure := later(command, h.last[lastHandshake].At), h.last[lastError].At
	out.LastCallbackDate = dateOf(later(h.last[lastCallback].At, later(success, failure)))
	out.LastSuccessDate = dateOf(success)
	out.LastCommandDate = dateOf(command)
	out.LastHandshakeDate = dateOf(h.last[lastHandshake].At)
	out.LastError = h.last[lastError].show()
	// Anybody who guesses a name can call a URL with a wrong token. That says something where nothing else is wrong, and that the platform fails only
	// where it never succeeded.
	stranger := h.last[lastToken].At
	if stranger.After(failure) && !failure.After(success) {
		out.LastError = h.last[lastToken].show()
	}
	out.LastDeliveryError = h.last[lastDelivery].show()
	switch {
	case failure.After(success), success.IsZero() && !stranger.IsZero():
		out.State = HealthFailing
	case out.LastCallbackDate != "":
		out.State = HealthWorking
	}
	return out
}

func (m moment) show() *HealthError {
	if m.At.IsZero() {
		return nil
	}
	return &HealthError{Date: date(m.At), Step: m.Step, Reason: m.Reason}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// dateOf is date, and empty for what never happened.
func dateOf(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return date(t)
}

// mayRead does what actions that look at one configuration have in common. The record is nil if there is none and the caller may know.
func (s *Service) mayRead(ctx context.Context, action, regionID, name string) (scope, *record, error) {
	c, err := s.scope(ctx, regionID)
	if err := Join(err, checkName(name)); err != nil {
		return scope{}, nil, err
	}
	r, err := s.get(ctx, c, name)
	if err != nil {
		return scope{}, nil, storeError(ctx, action, err)
	}
	tags := r.tags()
	if r == nil { // a policy may say who must not see what is tagged so, and the journal outlives the tags
		if tags, err = s.tagsBefore(ctx, c, name); err != nil {
			return scope{}, nil, storeError(ctx, action, err)
		}
	}
	return c, r, s.authorize(ctx, c, action, name, tags)
}

// tagsBefore returns the tags that a configuration had when it was deleted, none if there never was one.
func (s *Service) tagsBefore(ctx context.Context, c scope, name string) (map[string]string, error) {
	items, err := s.table.Query(ctx, table.Range{Partition: c.partition(), Prefix: historyPrefix + escape(name) + "#", Limit: 1, Reverse: true})
	if err != nil || len(items) == 0 {
		return nil, err
	}
	last, err := decodeRevision(items[0])
	if err != nil {
		return nil, err
	}
	return last.tags(), nil
}

func noJournal() error {
	return &Error{Code: Unavailable, Message: "This service keeps no journal."}
}

// Package reseal seals the stored secrets again under the current key of the ring.
//
// A Resealer walks over all sealed items of a service, page by page, during live traffic. Each Step
// is a bounded piece of work. The progress is an item of a table, so any process can continue after
// a crash. A page that is done twice does no harm.
//
// An item keeps its revision: its content stays the same. A write under the condition of that
// revision never undoes another one. So the writers of the items need not know of the walk. But
// everything that they write must be sealed with the current key. Old processes, whose ring has
// another current key, must have ended before the walk begins.
package reseal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"chatconf/shared/document"
	"chatconf/shared/invoke"
	"chatconf/shared/seal"
	"chatconf/shared/table"
)

const (
	// pageSize is the number of items of a page, and of a write.
	pageSize = table.MaxWrite
	// maxWeight is the total size of the values in one write, in bytes. A DynamoDB transaction and
	// a Tablestore batch hold 4 MB.
	maxWeight = 2 << 20
	// stepSize is the number of items after which a Step ends.
	stepSize = 2000
	// spare is the time that a Step leaves to its caller.
	spare = 3 * time.Second
	// attempts is how often an item is read again if it changes meanwhile.
	attempts = 10
)

// An Area is the sealed items of one table.
type Area struct {
	Name      string // for logs
	Table     table.Table
	Partition string   // the only one; if empty, the area is in every partition, and Table a table.Partitioner
	Prefixes  []string // of the sort keys
	Kinds     []string // what the items of each prefix are, for people
	// Reseal returns the value of an item after again was applied to each sealed value in it.
	Reseal func(item table.Item, again Again) ([]byte, error)
}

// Walk calls each with every item of the area and the index of its prefix. It changes nothing.
func (a *Area) Walk(ctx context.Context, each func(item table.Item, prefix int)) error {
	partitions := []string{a.Partition}
	if a.Partition == "" {
		lister, ok := a.Table.(table.Partitioner)
		if !ok {
			return a.noLister()
		}
		var err error
		if partitions, err = table.AllPartitions(ctx, lister); err != nil {
			return fmt.Errorf("%s: %w", a.Name, err)
		}
	}
	for _, partition := range partitions {
		for i, prefix := range a.Prefixes {
			r := table.Range{Partition: partition, Prefix: prefix, Limit: pageSize}
			for more := true; more; {
				items, err := a.Table.Query(ctx, r)
				if err != nil {
					return fmt.Errorf("%s: %w", a.Name, err)
				}
				for _, item := range items {
					each(item, i)
				}
				if more = len(items) == pageSize; more {
					r.After = items[pageSize-1].Sort
				}
			}
		}
	}
	return nil
}

// noLister is the error of a table that does not list its partitions.
func (a *Area) noLister() error {
	return fmt.Errorf("%s: a table of type %T does not list its partitions", a.Name, a.Table)
}

// Again returns a sealed value as it must be stored: sealed again, or unchanged if it is current or
// cannot be opened.
type Again func(place seal.Place, sealed []byte) ([]byte, error)

// A Resealer seals the items of its areas again.
type Resealer struct {
	ring  *seal.Ring
	home  table.Table // has the progress
	areas []Area
	now   func() time.Time
}

// progressKey is the key of the progress.
var progressKey = table.Key{Partition: "service", Sort: "reseal"}

// New returns a Resealer that keeps its progress in the table home. It does no I/O. A nil clock is
// time.Now.
func New(ring *seal.Ring, home table.Table, now func() time.Time, areas ...Area) *Resealer {
	if now == nil {
		now = time.Now
	}
	return &Resealer{ring: ring, home: home, areas: areas, now: now}
}

// A Progress is how far a walk is. After a crash it counts an item once, but an item that was
// sealed again right before the crash is not in Resealed.
type Progress struct {
	Key      string `json:"key"`      // the current key
	Seen     int64  `json:"seen"`     // items
	Resealed int64  `json:"resealed"` // items that were sealed again
	// Unreadable are items that are damaged, or that a newer version has written. The log names
	// them. It is not known which keys they use.
	Unreadable int64 `json:"unreadable,omitempty"`
	// Uses are the sealed values by the id of their key, as the walk left them.
	Uses    map[string]int64 `json:"uses,omitempty"`
	Done    bool             `json:"done,omitempty"`
	Started time.Time        `json:"started"`
}

// state is a Progress as it is stored, with the position in the walk.
type state struct {
	Progress
	Area      int    `json:"area,omitempty"`
	Partition string `json:"partition,omitempty"` // empty: before the first one
	Prefix    int    `json:"prefix,omitempty"`
	After     string `json:"after,omitempty"`
}

// A KeyUse is the number of values that a key has sealed.
type KeyUse struct {
	ID   string
	Uses int64
}

// Keys returns the use of each key of a ring, the current one first, and then of keys that are not
// in it.
func (p *Progress) Keys(ring *seal.Ring) []KeyUse {
	ids := ring.IDs()
	for _, id := range slices.Sorted(maps.Keys(p.Uses)) {
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	uses := make([]KeyUse, len(ids))
	for i, id := range ids {
		uses[i] = KeyUse{ID: id, Uses: p.Uses[id]}
	}
	return uses
}

// Ring returns the ring that the Resealer seals with.
func (r *Resealer) Ring() *seal.Ring { return r.ring }

// Step continues the walk by some thousand items, and returns the progress. It begins a new walk if
// the last one was done or had another current key, or with restart.
//
// Of several Steps at the same time only one counts; the others return its progress.
func (r *Resealer) Step(ctx context.Context, restart bool) (*Progress, error) {
	w, revision, err := r.read(ctx)
	if err != nil {
		return nil, fmt.Errorf("reseal: read the progress: %w", err)
	}
	if restart || w == nil || w.Done || w.Key != r.ring.Current() {
		w = &state{Progress: Progress{Key: r.ring.Current(), Started: r.now().UTC().Truncate(time.Second)}}
	}
	if w.Uses == nil {
		w.Uses = make(map[string]int64)
	}
	for end := w.Seen + stepSize; !w.Done && w.Seen < end; {
		if err := r.page(ctx, w); err != nil {
			return nil, fmt.Errorf("reseal: %w", err)
		}
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < spare {
			break
		}
	}
	err = r.save(ctx, w, revision)
	var broken *table.ConditionError
	if errors.As(err, &broken) {
		other, _, err := r.read(ctx)
		switch {
		case err != nil:
			return nil, fmt.Errorf("reseal: read the progress: %w", err)
		case other == nil:
			return nil, errors.New("reseal: the progress has vanished")
		}
		return &other.Progress, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reseal: save the progress: %w", err)
	}
	return &w.Progress, nil
}

// read returns the stored state and its revision; nil if none, or if another version wrote it.
func (r *Resealer) read(ctx context.Context) (*state, int64, error) {
	items, err := r.home.Get(ctx, progressKey)
	if err != nil || len(items) == 0 {
		return nil, 0, err
	}
	w := new(state)
	if err := json.Unmarshal(items[0].Value, w); err != nil || w.Area < 0 || w.Area > len(r.areas) ||
		w.Area < len(r.areas) && (w.Prefix < 0 || w.Prefix >= len(r.areas[w.Area].Prefixes)) {
		w = nil
	}
	return w, items[0].Revision, nil
}

func (r *Resealer) save(ctx context.Context, w *state, revision int64) error {
	value, err := document.Encode(w)
	if err != nil {
		return err
	}
	condition := table.Absent()
	if revision > 0 {
		condition = table.AtRevision(revision)
	}
	return r.home.Write(ctx, progressKey.Partition, table.Change{
		Puts: []table.Put{{Sort: progressKey.Sort, Value: value, Revision: revision + 1, If: condition}},
	})
}

// page seals the next page again, and moves the state behind it.
func (r *Resealer) page(ctx context.Context, w *state) error {
	if w.Area == len(r.areas) {
		w.Done = true
		return nil
	}
	area := &r.areas[w.Area]
	if w.Partition == "" {
		return r.nextPartition(ctx, w)
	}
	items, err := area.Table.Query(ctx, table.Range{Partition: w.Partition, Prefix: area.Prefixes[w.Prefix],
		After: w.After, Limit: pageSize})
	if err != nil {
		return fmt.Errorf("%s: %w", area.Name, err)
	}
	if err := r.reseal(ctx, area, items, w); err != nil {
		return fmt.Errorf("%s: %w", area.Name, err)
	}
	if len(items) == pageSize {
		w.After = items[len(items)-1].Sort
		return nil
	}
	if w.After, w.Prefix = "", w.Prefix+1; w.Prefix < len(area.Prefixes) {
		return nil
	}
	w.Prefix = 0
	return r.nextPartition(ctx, w)
}

// nextPartition moves the state to the next partition, or behind the area.
func (r *Resealer) nextPartition(ctx context.Context, w *state) error {
	area := &r.areas[w.Area]
	switch {
	case area.Partition != "" && w.Partition == "":
		w.Partition = area.Partition
		return nil
	case area.Partition == "":
		lister, ok := area.Table.(table.Partitioner)
		if !ok {
			return area.noLister()
		}
		next, err := lister.Partitions(ctx, w.Partition, 1)
		if err != nil {
			return fmt.Errorf("%s: %w", area.Name, err)
		}
		if len(next) > 0 {
			w.Partition = next[0]
			return nil
		}
	}
	w.Area, w.Partition = w.Area+1, ""
	return nil
}

// A result is an item after resealing.
type result struct {
	put        table.Put
	changed    bool
	unreadable error
	uses       map[string]int64
}

// count adds the result to the state.
func (w *state) count(res *result) {
	w.Seen++
	if res.changed {
		w.Resealed++
	}
	if res.unreadable != nil {
		w.Unreadable++
	}
	for id, n := range res.uses {
		w.Uses[id] += n
	}
}

// reseal seals the items of a page again. It writes those that changed together, and one by one if
// another writer was faster.
func (r *Resealer) reseal(ctx context.Context, area *Area, items []table.Item, w *state) error {
	var pending []*result
	var weight int
	flush := func() error {
		err := r.write(ctx, area, w.Partition, pending, w)
		pending, weight = nil, 0
		return err
	}
	for _, item := range items {
		res, err := r.again(ctx, area, item)
		if err != nil {
			return err
		}
		if !res.changed {
			w.count(res)
			continue
		}
		if len(pending) > 0 && weight+len(res.put.Value) > maxWeight {
			if err := flush(); err != nil {
				return err
			}
		}
		pending, weight = append(pending, res), weight+len(res.put.Value)
	}
	return flush()
}

// write writes changed items.
func (r *Resealer) write(ctx context.Context, area *Area, partition string, pending []*result, w *state) error {
	if len(pending) == 0 {
		return nil
	}
	var change table.Change
	for _, res := range pending {
		change.Puts = append(change.Puts, res.put)
	}
	err := area.Table.Write(ctx, partition, change)
	var broken *table.ConditionError
	if errors.As(err, &broken) {
		for _, res := range pending {
			if err := r.one(ctx, area, table.Key{Partition: partition, Sort: res.put.Sort}, w); err != nil {
				return err
			}
		}
		return nil
	}
	if err != nil {
		return err
	}
	for _, res := range pending {
		w.count(res)
	}
	return nil
}

// one seals the item under a key again, as it is now.
func (r *Resealer) one(ctx context.Context, area *Area, key table.Key, w *state) error {
	for range attempts {
		items, err := area.Table.Get(ctx, key)
		if err != nil || len(items) == 0 { // deleted meanwhile
			return err
		}
		res, err := r.again(ctx, area, items[0])
		if err != nil {
			return err
		}
		if res.changed {
			err = area.Table.Write(ctx, key.Partition, table.Change{Puts: []table.Put{res.put}})
		}
		var broken *table.ConditionError
		if errors.As(err, &broken) {
			continue
		}
		if err == nil {
			w.count(res)
		}
		return err
	}
	return fmt.Errorf("item %q of %q changed too often meanwhile; is a process running whose ring has "+
		"another current key?", key.Sort, key.Partition)
}

// again returns an item with all its values sealed by the current key. The error is the ring's.
func (r *Resealer) again(ctx context.Context, area *Area, item table.Item) (*result, error) {
	res := &result{uses: make(map[string]int64)}
	var failed error
	value, err := area.Reseal(item, func(place seal.Place, sealed []byte) ([]byte, error) {
		out, err := r.value(place, sealed, res)
		failed = errors.Join(failed, err)
		return out, err
	})
	if failed != nil {
		return nil, failed
	}
	if res.unreadable = errors.Join(res.unreadable, err); res.unreadable != nil {
		invoke.Logger(ctx).ErrorContext(ctx, "a sealed item cannot be read", "area", area.Name,
			"partition", item.Partition, "item", item.Sort, "error", res.unreadable)
	}
	if res.changed = res.changed && err == nil; res.changed {
		res.put = table.Put{Sort: item.Sort, Value: value, Revision: item.Revision, If: table.AtRevision(item.Revision)}
	}
	return res, nil
}

// value returns a value sealed by the current key, if it opens. Otherwise it stays as it is.
func (r *Resealer) value(place seal.Place, sealed []byte, res *result) ([]byte, error) {
	current := r.ring.Current()
	id, err := seal.KeyID(sealed)
	switch {
	case err != nil:
		res.unreadable = err
		return sealed, nil
	case id == current:
		res.uses[current]++
		return sealed, nil
	}
	text, err := r.ring.Open(place, sealed)
	switch {
	case errors.Is(err, seal.ErrUnknownKey):
		res.uses[id]++
		return sealed, nil
	case err != nil:
		res.unreadable = err
		return sealed, nil
	}
	again, err := r.ring.Seal(place, text)
	if err != nil {
		return nil, err
	}
	res.changed = true
	res.uses[current]++
	return again, nil
}

// Replace returns the text of a JSON object with another value for one member. All other members
// stay as they are, also those that only a newer version knows.
func Replace(object []byte, member string, with any) ([]byte, error) {
	var members map[string]json.RawMessage
	err := json.Unmarshal(object, &members)
	if err == nil {
		members[member], err = document.Encode(with)
	}
	if err != nil {
		return nil, fmt.Errorf("reseal: replace %s: %w", member, err)
	}
	return document.Encode(members)
}

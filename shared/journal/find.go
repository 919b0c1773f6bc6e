package journal

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/document"
	"chatconf/shared/policy"
	"chatconf/shared/table"
)

// A Selection selects records; an empty field selects all.
type Selection struct {
	User, Command, Decision string
	State                   State
	Target                  string    // a pattern of the type, or of the type and the name after a space
	Since, Until            time.Time // zero: no bound

	// May, if set, reports which of the matching records the reader may see. It may report on only
	// the first of them; then the page ends there. The first call reports on at least one.
	May func(context.Context, []*Record) ([]bool, error)
}

// matches reports whether a record is selected, regardless of its date.
func (sel *Selection) matches(e *Record) bool {
	return (sel.User == "" || strings.EqualFold(sel.User, e.User)) &&
		(sel.Command == "" || policy.Match(sel.Command, e.Command)) &&
		(sel.Decision == "" || sel.Decision == e.Decision) &&
		(sel.State == "" || sel.State == e.State) &&
		(sel.Target == "" || matchesTarget(sel.Target, e.Target))
}

// matchesTarget reports whether a pattern selects the target of a record. It never selects a record
// without one.
func matchesTarget(pattern, target string) bool {
	if !strings.Contains(pattern, " ") {
		target, _, _ = strings.Cut(target, " ")
	}
	return target != "" && policy.Match(pattern, target)
}

// Find returns up to n selected records before the id, the latest first: those of a life, or
// without a name those of all configurations of the region. next is the id to continue before; it
// is empty at the end. Find reads a bounded number of records, so a page may be short and still
// have a next.
//
// Records of all configurations cost one Get more for each page that is read. Those from before
// they had an entry of their own are not found.
func (j *Journal) Find(ctx context.Context, ref command.Ref, sel *Selection, before string,
	n int) (found []*Record, next string, err error) {
	const rounds = 5
	prefix, read := recordKey(ref), readRecords
	all := ref.Name == ""
	if all {
		prefix, read = entryPrefix, j.readEntries
	}
	if before == "" && !sel.Until.IsZero() {
		before = idTime(ceil(sel.Until)) // sorts before every id of that time
	}
	r := table.Range{Partition: partitionOf(ref), Prefix: prefix, Reverse: true}
	if before != "" {
		r.After = prefix + before
	}
	for round := range rounds {
		r.Limit = n - len(found) + 1
		if !sel.all() || round > 0 || all && r.Limit > table.MaxGet {
			r.Limit = table.MaxGet
		}
		items, err := j.table.Query(ctx, r)
		if err != nil {
			return nil, "", err
		}
		end := len(items) < r.Limit
		early := func(item table.Item) bool {
			return timeOf(command.Ref{ID: item.Sort[len(prefix):]}).Before(sel.Since)
		}
		if i := slices.IndexFunc(items, early); i >= 0 {
			items, end = items[:i], true
		}
		records, err := read(ctx, items)
		if err != nil {
			return nil, "", err
		}
		shown, err := sel.show(ctx, records)
		if err != nil {
			return nil, "", err
		}
		for i, item := range items {
			if i == len(shown) {
				return found, next, nil
			}
			r.After, next = item.Sort, item.Sort[len(prefix):]
			if shown[i] {
				found = append(found, records[i])
			}
			if len(found) == n && end && i == len(items)-1 {
				next = ""
			}
			if len(found) == n {
				return found, next, nil
			}
		}
		if end {
			return found, "", nil
		}
	}
	return found, next, nil
}

// show reports which of the records are selected; nil records are not. It may report on only the
// first of them: see May.
func (sel *Selection) show(ctx context.Context, records []*Record) ([]bool, error) {
	shown := make([]bool, len(records))
	var matching []*Record
	var at []int
	for i, e := range records {
		if shown[i] = e != nil && sel.matches(e); shown[i] {
			matching, at = append(matching, e), append(at, i)
		}
	}
	if sel.May == nil || len(matching) == 0 {
		return shown, nil
	}
	may, err := sel.May(ctx, matching)
	if err != nil {
		return nil, err
	}
	for k, ok := range may {
		shown[at[k]] = ok
	}
	if len(may) < len(matching) {
		shown = shown[:at[len(may)]]
	}
	return shown, nil
}

// readRecords returns the records of their own items.
func readRecords(_ context.Context, items []table.Item) ([]*Record, error) {
	records := make([]*Record, len(items))
	for i, item := range items {
		var err error
		if records[i], err = decodeRecord(item); err != nil {
			return nil, err
		}
	}
	return records, nil
}

// An entry leads from an id to the record, in the list of all configurations: JSON, under entryKey.
type entry struct {
	Version int    `json:"v"`
	Name    string `json:"name"`
	Life    string `json:"life,omitempty"`
}

func entryKey(r command.Ref) string { return entryPrefix + r.ID }

func entryPut(ref command.Ref) (table.Put, error) {
	value, err := document.Encode(entry{RecordVersion, ref.Name, ref.Life})
	if err != nil {
		return table.Put{}, fmt.Errorf("journal: encode an entry: %w", err)
	}
	return table.Put{Sort: entryKey(ref), Value: value, Revision: 1}, nil
}

// readEntries returns the records of entries, with one Get; nil for one that has expired.
func (j *Journal) readEntries(ctx context.Context, items []table.Item) ([]*Record, error) {
	keys := make([]table.Key, len(items))
	of := make(map[string]int, len(items))
	for i, item := range items {
		var e entry
		err := json.Unmarshal(item.Value, &e)
		if err == nil && e.Version != RecordVersion {
			err = fmt.Errorf("it has version %d; this program reads version %d", e.Version, RecordVersion)
		}
		if err != nil {
			return nil, fmt.Errorf("journal: item %q: %w", item.Sort, err)
		}
		keys[i] = table.Key{Partition: item.Partition,
			Sort: recordKey(command.Ref{Name: e.Name, Life: e.Life, ID: item.Sort[len(entryPrefix):]})}
		of[keys[i].Sort] = i
	}
	found, err := j.table.Get(ctx, keys...)
	if err != nil {
		return nil, err
	}
	records := make([]*Record, len(items))
	for _, item := range found {
		e, err := decodeRecord(item)
		if err != nil {
			return nil, err
		}
		records[of[item.Sort]] = e
	}
	return records, nil
}

// Get returns the record of a command, or none if there is no such record in this life.
func (j *Journal) Get(ctx context.Context, ref command.Ref, id string) ([]*Record, error) {
	if !isID(id) { // people type ids
		return nil, nil
	}
	ref.ID = id
	items, err := j.table.Get(ctx, table.Key{Partition: partitionOf(ref), Sort: recordKey(ref)})
	if err != nil || len(items) == 0 {
		return nil, err
	}
	e, err := decodeRecord(items[0])
	if err != nil {
		return nil, err
	}
	return []*Record{e}, nil
}

// all reports whether the selection depends only on the date.
func (sel *Selection) all() bool {
	return sel.User+sel.Command+sel.Decision+string(sel.State)+sel.Target == ""
}

// ceil returns the first whole millisecond that is not before t.
func ceil(t time.Time) time.Time {
	if whole := t.Truncate(time.Millisecond); whole.Before(t) {
		return whole.Add(time.Millisecond)
	}
	return t
}

package chat

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/document"
	"chatconf/shared/table"
)

// Status values.
const (
	StatusActive   = "Active"
	StatusInactive = "Inactive"
)

// RecordVersion is the version of the stored records. This code reads no other.
const RecordVersion = 1

// A record is a stored configuration: JSON, under configurationKey and, inside a revision, under
// historyKey. It is immutable; a change makes another.
type record struct {
	Version         int               `json:"v"`
	Name            string            `json:"name"`
	Type            string            `json:"type"`
	RamRole         string            `json:"ramRole,omitempty"`
	ResourceGroupID string            `json:"resourceGroupId,omitempty"`
	Status          string            `json:"status"`
	Configuration   string            `json:"configuration"`       // compact JSON text, secrets masked
	Secrets         map[string][]byte `json:"secrets,omitempty"`   // sealed, by field
	Set             map[string]set    `json:"set,omitempty"`       // by field of Secrets, without previous ones
	Generated       []string          `json:"generated,omitempty"` // fields of generated secrets

	// Previous says until when the previous value of a field is valid. It is in Secrets, under
	// previousField.
	Previous map[string]time.Time `json:"previous,omitempty"`
	Rotation *rotation            `json:"rotation,omitempty"` // in older records only; decoding moves it to Previous

	Tags     map[string]string `json:"tags,omitempty"`
	Revision int64             `json:"revision"`
	Born     int64             `json:"born,omitempty"` // the first revision of this life; 0 before lives had ids
	Created  time.Time         `json:"created"`
	Updated  time.Time         `json:"updated"`

	// Oldest is the oldest revision after the first that history still has; 0 is defaultOldest.
	Oldest int64 `json:"oldest,omitempty"`

	keptBefore int64          // the oldest revision after the first that history had before this one
	shown      *document.Node // what configuration returned
}

// A set says when a secret got its present value, and identifies that value. In JSON it is a short
// text, since every record has some: the digest, a blank and the time in Unix seconds.
type set struct {
	Since  time.Time // in full seconds; zero in a record from before these were kept
	Digest string    // vault.digest at that time; a rotation of the ring does not change it
}

// MarshalText implements encoding.TextMarshaler.
func (s set) MarshalText() ([]byte, error) {
	if s.Since.IsZero() {
		return []byte(s.Digest), nil
	}
	return strconv.AppendInt([]byte(s.Digest+" "), s.Since.Unix(), 10), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *set) UnmarshalText(text []byte) error {
	digest, since, dated := strings.Cut(string(text), " ")
	*s = set{Digest: digest}
	if !dated {
		return nil
	}
	seconds, err := strconv.ParseInt(since, 10, 64)
	if err != nil {
		return fmt.Errorf("chat: the date of a secret: %w", err)
	}
	s.Since = time.Unix(seconds, 0).UTC()
	return nil
}

// A rotation is an older form of Previous: the same end for several fields.
type rotation struct {
	Until  time.Time `json:"until"`
	Fields []string  `json:"fields"`
}

// hasSecret reports whether a secret is stored under a field.
func (r *record) hasSecret(field string) bool { _, ok := r.Secrets[field]; return ok }

// hasPrevious reports whether the previous value of a field is valid at the given time.
func (r *record) hasPrevious(field string, now time.Time) bool { return now.Before(r.Previous[field]) }

// A revision is an entry of the history: the record after a change, and the change.
type revision struct {
	*record
	Deleted   bool      `json:"deleted,omitempty"` // the configuration was deleted; the record is the last one
	Action    string    `json:"action"`
	Actor     string    `json:"actor"` // the caller's access key id, or its name without one
	SourceIP  string    `json:"sourceIp,omitempty"`
	RequestID string    `json:"requestId,omitempty"`
	Restored  int64     `json:"restored,omitempty"` // the revision that was restored
	At        time.Time `json:"at"`

	over *record // what the changes of a restore refer to; nil if nothing; not stored
}

// decodeRecord decodes the record of an item.
func decodeRecord(item table.Item) (*record, error) {
	r := new(record)
	err := json.Unmarshal(item.Value, r)
	if err = r.check(item, configurationKey(r.Name), err); err != nil {
		return nil, err
	}
	return r, nil
}

// decodeRevision decodes the history entry of an item.
func decodeRevision(item table.Item) (*revision, error) {
	rev := &revision{record: new(record)}
	err := json.Unmarshal(item.Value, rev)
	if err = rev.check(item, historyKey(rev.Name, rev.Revision), err); err != nil {
		return nil, err
	}
	return rev, nil
}

// check returns an error unless the record was decoded, without err, from the item that has its key
// and its revision. It brings an older record into the present form.
func (r *record) check(item table.Item, key string, err error) error {
	switch {
	case err != nil:
		return fmt.Errorf("chat: item %q: %w", item.Sort, err)
	case r.Version != RecordVersion:
		return fmt.Errorf("chat: item %q has record version %d; this program reads version %d",
			item.Sort, r.Version, RecordVersion)
	case key != item.Sort || r.Revision != item.Revision:
		return fmt.Errorf("chat: item %q at revision %d holds the record of %q at revision %d", item.Sort,
			item.Revision, r.Name, r.Revision)
	}
	if old := r.Rotation; old != nil {
		r.Rotation, r.Previous = nil, make(map[string]time.Time, len(old.Fields))
		for _, field := range old.Fields {
			r.Previous[field] = old.Until
		}
	}
	return nil
}

// ref identifies the life of a configuration that the record belongs to.
func (c scope) ref(r *record) command.Ref {
	return command.Ref{Account: c.account, Region: c.region, Name: r.Name, Life: r.life()}
}

// life returns the id of the record's life: the time and the revision of its beginning. Revisions
// of a name never repeat, so the id is unique. It is empty in records from before lives had ids.
func (r *record) life() string {
	if r.Born == 0 {
		return ""
	}
	return strconv.FormatInt(r.Created.UnixMilli(), 10) + "-" + strconv.FormatInt(r.Born, 10)
}

// begun returns when the record's life began, for a life without an id, and zero for others. Lives
// of a name without ids share their keys in the journal, and are distinguished by this time.
func (r *record) begun() time.Time {
	if r.Born == 0 {
		return r.Created
	}
	return time.Time{}
}

// clone returns a copy with maps of its own, which may be changed.
func (r *record) clone() *record {
	c := *r
	c.shown = nil
	c.Secrets, c.Set, c.Previous = maps.Clone(r.Secrets), maps.Clone(r.Set), maps.Clone(r.Previous)
	c.Tags, c.Generated = maps.Clone(r.Tags), slices.Clone(r.Generated)
	return &c
}

// equal reports whether two records have the same values and the same sealed secrets. It does not
// compare their revisions, dates and previous secrets.
func (r *record) equal(other *record) bool {
	values := func(r *record) [6]string {
		return [...]string{r.Type, r.RamRole, r.ResourceGroupID, r.Status, r.Configuration,
			strings.Join(slices.Sorted(slices.Values(r.Generated)), " ")}
	}
	present := func(r *record) map[string][]byte {
		secrets := maps.Clone(r.Secrets)
		maps.DeleteFunc(secrets, func(field string, _ []byte) bool { return r.isPrevious(field) })
		return secrets
	}
	return values(r) == values(other) && maps.Equal(r.Tags, other.Tags) &&
		maps.EqualFunc(present(r), present(other), bytes.Equal)
}

// oldest returns the oldest revision after the first that history has.
func (r *record) oldest() int64 { return cmp.Or(r.Oldest, defaultOldest(r.Revision)) }

// defaultOldest returns oldest of a record that does not say it.
func defaultOldest(revision int64) int64 { return max(revision-DefaultHistory+2, 2) }

// follow makes a record the next revision after another one of its name.
func (r *record) follow(before *record) {
	r.Revision, r.keptBefore = before.Revision+1, before.oldest()
}

// An attribute is an indexed value of a record.
type attribute struct {
	name, value string
}

// Names of attributes in index entries; a tag's is tagAttribute before its key.
const (
	attributeType     = "Type"
	attributeRole     = "RamRole"
	attributeGroup    = "ResourceGroupId"
	attributeStatus   = "Status"
	tagAttribute      = "tag:"
	attributesOfEvery = 4
)

// attributes returns the indexed values of a record: a role or a group only if it has one; nothing
// for nil.
func (r *record) attributes() []attribute {
	if r == nil {
		return nil
	}
	list := make([]attribute, 0, attributesOfEvery+len(r.Tags))
	list = append(list, attribute{attributeType, r.Type}, attribute{attributeStatus, r.Status})
	if r.RamRole != "" {
		list = append(list, attribute{attributeRole, r.RamRole})
	}
	if r.ResourceGroupID != "" {
		list = append(list, attribute{attributeGroup, r.ResourceGroupID})
	}
	for key, value := range r.Tags {
		list = append(list, attribute{tagAttribute + key, value})
	}
	return list
}

// indexDiff returns the index entries that a change from before to after adds and removes. Either
// may be nil.
func indexDiff(before, after *record) (puts []table.Put, deletes []table.Delete) {
	had := make(map[attribute]struct{})
	for _, a := range before.attributes() {
		had[a] = struct{}{}
	}
	for _, a := range after.attributes() {
		if _, ok := had[a]; ok {
			delete(had, a)
			continue
		}
		puts = append(puts, table.Put{Sort: indexKey(a.name, a.value, after.Name)})
	}
	for a := range had {
		deletes = append(deletes, table.Delete{Sort: indexKey(a.name, a.value, before.Name)})
	}
	return puts, deletes
}

// textOf returns the text under a key of the Configuration; usual if it has none.
func (r *record) textOf(key, usual string) (string, error) {
	if !strings.Contains(r.Configuration, `"`+key+`"`) { // without parsing
		return usual, nil
	}
	root, err := r.parse()
	if err != nil {
		return "", err
	}
	return root.TextOf(key, usual), nil
}

func (r *record) language() (string, error) { return r.textOf(command.KeyLanguage, command.English) }

func (r *record) receive() (string, error) {
	return r.textOf(command.KeyReceive, command.ReceiveWebhook)
}

func (r *record) parse() (*document.Node, error) {
	root, err := document.Parse(configurationParam, r.Configuration)
	if err != nil {
		return nil, fmt.Errorf("chat: %q: %w", r.Name, err)
	}
	return root, nil
}

// date returns t as the API writes dates. OOS answers 2025-12-11T13:49:10+00:00.
func date(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05+00:00") }

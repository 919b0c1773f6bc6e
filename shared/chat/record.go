package chat

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/document"
	"chatconf/shared/secret"
	"chatconf/shared/table"
)

// Status values.
const (
	StatusActive   = "Active"
	StatusInactive = "Inactive"
)

// RecordVersion is the version of the stored records; this code reads no other.
const RecordVersion = 1

// A record is a configuration as it is stored: JSON, under configurationKey and, inside a revision,
// under historyKey. It is immutable; a change makes another.
type record struct {
	Version         int               `json:"v"`
	Name            string            `json:"name"`
	Type            string            `json:"type"`
	RamRole         string            `json:"ramRole,omitempty"`
	ResourceGroupID string            `json:"resourceGroupId,omitempty"`
	Status          string            `json:"status"`
	Configuration   string            `json:"configuration"`       // compact JSON text, secrets masked
	Secrets         map[string][]byte `json:"secrets,omitempty"`   // sealed, by field
	Generated       []string          `json:"generated,omitempty"` // fields whose secret the service made up
	Rotation        *rotation         `json:"rotation,omitempty"`
	Tags            map[string]string `json:"tags,omitempty"`
	Revision        int64             `json:"revision"`
	Born            int64             `json:"born,omitempty"` // the first revision of this life; 0 before lives had ids
	Created         time.Time         `json:"created"`
	Updated         time.Time         `json:"updated"`
}

// A rotation says which secrets have a predecessor that is still good, and until when. The
// predecessors are sealed under the fields' previousField.
type rotation struct {
	Until  time.Time `json:"until"`
	Fields []string  `json:"fields"`
}

// live reports whether the predecessors are good at the given time. No rotation is not.
func (ro *rotation) live(now time.Time) bool { return ro != nil && now.Before(ro.Until) }

// A revision is an entry of the history: the record as it became, and how.
type revision struct {
	*record
	Deleted   bool      `json:"deleted,omitempty"` // the configuration was deleted; the record is what it was before
	Action    string    `json:"action"`
	Actor     string    `json:"actor"` // the caller's access key id, or its name where it has none
	SourceIP  string    `json:"sourceIp,omitempty"`
	RequestID string    `json:"requestId,omitempty"`
	At        time.Time `json:"at"`
}

// encodeRecord returns v, a *record or *revision, as JSON that keeps < > & as they are.
func encodeRecord(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// decodeRecord reads the record of an item, and refuses one that cannot be the item's.
func decodeRecord(item table.Item) (*record, error) {
	r := new(record)
	if err := json.Unmarshal(item.Value, r); err != nil {
		return nil, fmt.Errorf("chat: item %q: %w", item.Sort, err)
	}
	if r.Version != RecordVersion {
		return nil, fmt.Errorf("chat: item %q has record version %d; this program reads version %d",
			item.Sort, r.Version, RecordVersion)
	}
	if configurationKey(r.Name) != item.Sort || r.Revision != item.Revision {
		return nil, fmt.Errorf("chat: item %q at revision %d holds the record of %q at revision %d", item.Sort,
			item.Revision, r.Name, r.Revision)
	}
	return r, nil
}

// decodeRevision reads the history entry of an item, and refuses one that cannot be the item's.
func decodeRevision(item table.Item) (*revision, error) {
	rev := &revision{record: new(record)}
	if err := json.Unmarshal(item.Value, rev); err != nil {
		return nil, fmt.Errorf("chat: item %q: %w", item.Sort, err)
	}
	if rev.Version != RecordVersion {
		return nil, fmt.Errorf("chat: item %q has record version %d; this program reads version %d",
			item.Sort, rev.Version, RecordVersion)
	}
	if historyKey(rev.Name, rev.Revision) != item.Sort || rev.Revision != item.Revision {
		return nil, fmt.Errorf("chat: item %q at revision %d holds revision %d of %q", item.Sort,
			item.Revision, rev.Revision, rev.Name)
	}
	return rev, nil
}

// ref names the life of a configuration that the record is of.
func (c scope) ref(r *record) command.Ref {
	return command.Ref{Account: c.account, Region: c.region, Name: r.Name, Life: r.life()}
}

// life returns the id of the record's life: when it began and with which revision, which no other
// life of the name has, since revisions go on from one to the next. It is empty in records made
// before lives had ids.
func (r *record) life() string {
	if r.Born == 0 {
		return ""
	}
	return strconv.FormatInt(r.Created.UnixMilli(), 10) + "-" + strconv.FormatInt(r.Born, 10)
}

// begun returns the time before which nothing in the journal belongs to the record's life; zero
// where its keys say what does. Lives without an id share keys, and are told apart by it.
func (r *record) begun() time.Time {
	if r.Born == 0 {
		return r.Created
	}
	return time.Time{}
}

// clone returns a copy that may be changed; its maps are its own.
func (r *record) clone() *record {
	c := *r
	c.Secrets, c.Tags, c.Generated = maps.Clone(r.Secrets), maps.Clone(r.Tags), slices.Clone(r.Generated)
	return &c
}

// An attribute is a value that a record is found by.
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

// attributes returns what the record is found by: a role or a group only if it has one. None for a
// nil record.
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

// indexDiff returns the index entries that a change from before to after makes and removes; either
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

// sealSecrets seals what was settled into the record, keeps what was to be kept of the record
// before it (nil if there is none), and drops the rest.
func (s *Service) sealSecrets(c scope, r, before *record, in *settled) error {
	secrets := make(map[string][]byte, len(in.secrets)+len(in.kept)+1)
	for field, secret := range in.secrets {
		sealed, err := s.ring.Seal(c.place(r.Name, field), []byte(secret))
		if err != nil {
			return fmt.Errorf("chat: seal %s: %w", field, err)
		}
		secrets[field] = sealed
	}
	r.Generated = slices.Clone(in.made)
	for _, field := range in.kept {
		secrets[field] = before.Secrets[field]
		if slices.Contains(before.Generated, field) {
			r.Generated = append(r.Generated, field)
		}
	}
	if before != nil {
		secrets[fieldWebhookToken] = before.Secrets[fieldWebhookToken]
		s.keepPrevious(r, before, secrets)
	} else {
		sealed, err := s.newWebhookToken(c, r.Name)
		if err != nil {
			return err
		}
		secrets[fieldWebhookToken] = sealed
	}
	r.Secrets = secrets
	return nil
}

// keepPrevious takes what a rotation left over from one record to the next, while it is good.
func (s *Service) keepPrevious(r, before *record, secrets map[string][]byte) {
	if r.Rotation = nil; !before.Rotation.live(s.now()) {
		return
	}
	r.Rotation = before.Rotation
	for _, field := range before.Rotation.Fields {
		secrets[previousField(field)] = before.Secrets[previousField(field)]
	}
}

// newWebhookToken makes the secret part of a webhook URL: 128 random bits in base64url, sealed.
func (s *Service) newWebhookToken(c scope, name string) ([]byte, error) {
	var b [16]byte
	if _, err := io.ReadFull(s.random, b[:]); err != nil {
		return nil, fmt.Errorf("chat: make webhook token: %w", err)
	}
	sealed, err := s.ring.Seal(c.place(name, fieldWebhookToken), []byte(base64.RawURLEncoding.EncodeToString(b[:])))
	if err != nil {
		return nil, fmt.Errorf("chat: seal webhook token: %w", err)
	}
	return sealed, nil
}

// open returns the secret that the record holds under a field; nil if it holds none.
func (s *Service) open(c scope, r *record, field string) ([]byte, error) {
	sealed, ok := r.Secrets[field]
	if !ok {
		return nil, nil
	}
	secret, err := s.ring.Open(c.place(r.Name, field), sealed)
	if err != nil {
		return nil, fmt.Errorf("chat: open %s of %q: %w", field, r.Name, err)
	}
	return secret, nil
}

// actionReveal allows to see the secrets in Outputs: the token of the webhook's URL, and what else
// the service made up for it.
const actionReveal = "RevealChatConfigurationOutputs"

// outputs returns the text of Outputs: the webhook's URL, what else the platform's console asks
// for, and with setup what to do there. Mask is in the place of each secret, unless reveal is set,
// and in any case in that of a secret which the caller had supplied.
func (s *Service) outputs(c scope, r *record, setup, reveal bool) (string, error) {
	webhook, err := s.webhookURL(c, r, reveal)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	size := 256
	if setup {
		size = 2 << 10
	}
	b.Grow(size)
	write := func(name, text string) {
		b.WriteString(name)
		document.WriteString(&b, text)
	}
	b.WriteString(`{"URL": "`)
	b.WriteString(webhook) // CheckBaseURL leaves nothing in it to be escaped
	b.WriteByte('"')
	p, err := s.platformOf(r)
	if err != nil {
		return "", err
	}
	for _, setting := range p.Settings {
		if setting.Output == "" {
			continue
		}
		value := []byte(secret.Mask)
		if _, ok := r.Secrets[setting.Key]; !ok || reveal && slices.Contains(r.Generated, setting.Key) {
			if value, err = s.open(c, r, setting.Key); err != nil {
				return "", err
			}
		}
		write(`, "`+setting.Output+`": `, string(value))
	}
	if setup && p.Setup != nil {
		language, err := r.language()
		if err != nil {
			return "", err
		}
		// One text, as all else in Outputs is: there are clients that read them as a map of
		// strings.
		write(`, "Setup": `, strings.Join(p.Setup(webhook, language), "\n"))
	}
	b.WriteByte('}')
	return b.String(), nil
}

// webhookURL returns the URL of a configuration's webhook, with Mask in place of its token unless
// reveal is set.
func (s *Service) webhookURL(c scope, r *record, reveal bool) (string, error) {
	token := []byte(secret.Mask)
	if reveal {
		var err error
		if token, err = s.open(c, r, fieldWebhookToken); err != nil {
			return "", err
		}
		if len(token) == 0 {
			return "", fmt.Errorf("chat: %q has no webhook token", r.Name)
		}
	}
	return s.baseURL + "/webhook/" + c.account + "/" + c.region + "/" + r.Name + "/" + string(token), nil
}

// language returns the Language of the record's Configuration.
func (r *record) language() (string, error) {
	// which is most often so, and saves the parsing
	if !strings.Contains(r.Configuration, `"`+command.KeyLanguage+`"`) {
		return command.English, nil
	}
	root, err := r.parse()
	if err != nil {
		return "", err
	}
	return root.TextOf(command.KeyLanguage, command.English), nil
}

// parse returns the record's Configuration as a document.
func (r *record) parse() (*document.Node, error) {
	root, err := document.Parse(configurationParam, r.Configuration)
	if err != nil {
		return nil, fmt.Errorf("chat: %q: %w", r.Name, err)
	}
	return root, nil
}

// date returns t as the API writes dates. OOS answers 2025-12-11T13:49:10+00:00.
func date(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05+00:00") }

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
	Generated       []string          `json:"generated,omitempty"` // fields of generated secrets
	Rotation        *rotation         `json:"rotation,omitempty"`
	Tags            map[string]string `json:"tags,omitempty"`
	Revision        int64             `json:"revision"`
	Born            int64             `json:"born,omitempty"` // the first revision of this life; 0 before lives had ids
	Created         time.Time         `json:"created"`
	Updated         time.Time         `json:"updated"`
}

// A rotation names the secrets whose previous values are still valid, and until when. The previous
// values are sealed under previousField.
type rotation struct {
	Until  time.Time `json:"until"`
	Fields []string  `json:"fields"`
}

// live reports whether the previous values are valid at the given time. It is false for nil.
func (ro *rotation) live(now time.Time) bool { return ro != nil && now.Before(ro.Until) }

// A revision is an entry of the history: the record after a change, and the change.
type revision struct {
	*record
	Deleted   bool      `json:"deleted,omitempty"` // the configuration was deleted; the record is the last one
	Action    string    `json:"action"`
	Actor     string    `json:"actor"` // the caller's access key id, or its name without one
	SourceIP  string    `json:"sourceIp,omitempty"`
	RequestID string    `json:"requestId,omitempty"`
	At        time.Time `json:"at"`
}

// encodeRecord returns v, a *record or *revision, as JSON in which < > & are not escaped.
func encodeRecord(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// decodeRecord decodes the record of an item. It rejects a record of another item.
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

// decodeRevision decodes the history entry of an item. It rejects an entry of another item.
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
// of a name without ids share their keys in the journal, and are told apart by this time.
func (r *record) begun() time.Time {
	if r.Born == 0 {
		return r.Created
	}
	return time.Time{}
}

// clone returns a copy with maps of its own, which may be changed.
func (r *record) clone() *record {
	c := *r
	c.Secrets, c.Tags, c.Generated = maps.Clone(r.Secrets), maps.Clone(r.Tags), slices.Clone(r.Generated)
	return &c
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

// sealSecrets seals the new secrets into the record, keeps those of before that were to be kept,
// and drops the rest. before is nil for a new configuration.
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

// keepPrevious copies the previous secrets of a rotation from one record to the next, while they
// are valid.
func (s *Service) keepPrevious(r, before *record, secrets map[string][]byte) {
	if r.Rotation = nil; !before.Rotation.live(s.now()) {
		return
	}
	r.Rotation = before.Rotation
	for _, field := range before.Rotation.Fields {
		secrets[previousField(field)] = before.Secrets[previousField(field)]
	}
}

// newWebhookToken makes the secret part of a webhook URL, sealed: 128 random bits in base64url.
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

// open returns the secret of a field; nil if there is none.
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

// actionReveal is the permission to see the secrets in Outputs: the token in the webhook's URL, and
// the generated secrets.
const actionReveal = "RevealChatConfigurationOutputs"

// outputs returns the text of Outputs: the webhook's URL, other values that the platform's console
// asks for, and with setup the steps in that console. Secrets are replaced by Mask unless reveal is
// set; secrets from the caller always are.
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
	b.WriteString(webhook) // CheckBaseURL allows no characters that need escaping
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
		// A single string, since some clients read Outputs as a map of strings.
		write(`, "Setup": `, strings.Join(p.Setup(webhook, language), "\n"))
	}
	b.WriteByte('}')
	return b.String(), nil
}

// webhookURL returns the URL of a configuration's webhook. Its token is Mask unless reveal is set.
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

func (r *record) language() (string, error) {
	// the usual case, without parsing
	if !strings.Contains(r.Configuration, `"`+command.KeyLanguage+`"`) {
		return command.English, nil
	}
	root, err := r.parse()
	if err != nil {
		return "", err
	}
	return root.TextOf(command.KeyLanguage, command.English), nil
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

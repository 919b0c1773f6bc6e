package chat

import (
	"context"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/document"
	"chatconf/shared/table"
)

// What tests of package chat_test must see of the inside.
var (
	IndexKey         = indexKey
	ParseIndexKey    = parseIndexKey
	ConfigurationKey = configurationKey
	CounterKey       = counterKey
	HistoryKey       = historyKey
)

// Set is what a record says of a secret.
type Set = set

// Digest is vault.digest: of account, region, name, field and secret.
func (s *Service) Digest(of [5]string) string {
	return s.vault.digest(scopeOf(command.Ref{Account: of[0], Region: of[1]}), of[2], of[3], of[4])
}

// Fields of secrets that are not keys of a Configuration.
const (
	FieldTargetSecret = fieldTargetSecret
	FieldWebhookToken = fieldWebhookToken
)

// ClientTokenKey returns the sort key of the entry of a ClientToken.
func ClientTokenKey(token string) string { return intent{token: token}.key() }

// CheckPlatform returns what New says of a platform's declaration.
func CheckPlatform(p command.Platform) error { return (&platform{p}).check() }

// Settled is called with every result of Settle.
var Settled = func(p command.Platform, text string, err error) {}

// Settle runs settle and returns its text, the secrets it found or made, and the fields it kept.
func Settle(p command.Platform, text string, keep func(string) bool,
	random io.Reader) (masked string, secrets map[string]string, kept []string, err error) {
	out, err := (&platform{p}).settle(text, keep, random, nil)
	Settled(p, text, err)
	if err != nil {
		return "", nil, nil, err
	}
	return out.text, out.secrets, slices.Clone(out.kept), nil
}

// Stored is a configuration as it lies in the table.
type Stored struct {
	Name, Type, RamRole, ResourceGroupID, Status, Configuration string
	Tags                                                        map[string]string
	Revision                                                    int64
	Created, Updated                                            time.Time
	Secrets                                                     map[string]string // opened
	Sealed                                                      map[string][]byte
}

// Read returns the stored configuration, its secrets opened; nil if none.
func (s *Service) Read(ctx context.Context, account, region, name string) (*Stored, error) {
	c := scopeOf(command.Ref{Account: account, Region: region})
	r, err := s.store.get(ctx, c, name)
	if err != nil || r == nil {
		return nil, err
	}
	return s.stored(c, r)
}

func (s *Service) stored(c scope, r *record) (*Stored, error) {
	out := &Stored{
		Name: r.Name, Type: r.Type, RamRole: r.RamRole, ResourceGroupID: r.ResourceGroupID, Status: r.Status,
		Configuration: r.Configuration, Tags: r.Tags, Revision: r.Revision, Created: r.Created, Updated: r.Updated,
		Secrets: make(map[string]string), Sealed: maps.Clone(r.Secrets),
	}
	for field := range r.Secrets {
		secret, err := s.vault.open(c, r, field)
		if err != nil {
			return nil, err
		}
		out.Secrets[field] = string(secret)
	}
	return out, nil
}

// Entry is one entry of the history, as it lies in the table.
type Entry struct {
	Stored                             *Stored
	Deleted                            bool
	Action, Actor, SourceIP, RequestID string
	At                                 time.Time
}

// ReadHistory returns all that is kept of the history of a name, oldest first.
func (s *Service) ReadHistory(ctx context.Context, account, region, name string) ([]Entry, error) {
	c := scopeOf(command.Ref{Account: account, Region: region})
	items, err := s.store.table.Query(ctx, table.Range{Partition: c.partition(), Prefix: historyRange(name),
		Limit: table.MaxQuery})
	if err != nil {
		return nil, err
	}
	var list []Entry
	for _, item := range items {
		rev, err := decodeRevision(item)
		if err != nil {
			return nil, err
		}
		stored, err := s.stored(c, rev.record)
		if err != nil {
			return nil, err
		}
		list = append(list, Entry{stored, rev.Deleted, rev.Action, rev.Actor, rev.SourceIP, rev.RequestID, rev.At})
	}
	return list, nil
}

// MaxEndpoints is how many endpoints a process keeps.
const MaxEndpoints = maxEndpoints

// Endpoints returns how many endpoints are kept.
func Endpoints(s *Service) int {
	s.endpoints.mu.Lock()
	defer s.endpoints.mu.Unlock()
	return len(s.endpoints.cache)
}

// FillEndpoints makes s keep n endpoints that nobody asked for.
func FillEndpoints(s *Service, n int) {
	s.endpoints.mu.Lock()
	defer s.endpoints.mu.Unlock()
	s.endpoints.cache = make(map[command.Ref]madeEndpoint)
	for i := range n {
		s.endpoints.cache[command.Ref{Name: strconv.Itoa(i)}] = madeEndpoint{}
	}
}

// EndpointOf returns the endpoint of an active configuration, without its secrets.
func EndpointOf(p command.Platform, configuration string) *command.Endpoint {
	root, err := document.Parse(configurationParam, configuration)
	if err != nil {
		panic(err)
	}
	return &command.Endpoint{Actions: command.NewActions(root, nil), Permissions: PermissionsOf(p, configuration),
		Target: command.NewTarget(root.Get(keyTarget))}
}

// PermissionsOf returns the permissions of an active configuration.
func PermissionsOf(p command.Platform, configuration string) *command.Permissions {
	root, err := document.Parse(configurationParam, configuration)
	if err != nil {
		panic(err)
	}
	return permissionsOf(&record{Name: "one", Status: StatusActive}, &platform{p}, root)
}

// KeysOfActions returns the keys of actions, of parameters, and of Targets by type: mandatory ones
// begin with a '*'.
func KeysOfActions() (action, parameter []string, target map[string][]string) {
	target = make(map[string][]string)
	for _, k := range targetKinds {
		keys := []string{}
		for _, key := range k.required {
			keys = append(keys, "*"+key)
		}
		target[k.name] = append(keys, k.optional...)
	}
	return actionKeys, parameterKeys, target
}

// A Version is what Diff compares: a record with the digests of its secrets, by field.
type Version struct {
	Type, Status, RamRole, ResourceGroupID, Configuration string
	Tags                                                  map[string]string
	Digests                                               map[string]string
}

func (v *Version) record() *record {
	if v == nil {
		return nil
	}
	r := &record{Name: "one", Type: v.Type, Status: v.Status, RamRole: v.RamRole, ResourceGroupID: v.ResourceGroupID,
		Configuration: v.Configuration, Tags: v.Tags, Set: make(map[string]set)}
	for field, digest := range v.Digests {
		r.Set[field] = set{Digest: digest}
	}
	return r
}

// Diff returns the changes from one version to another; nil is no configuration.
func Diff(before, after *Version) ([]Change, error) { return diff(before.record(), after.record()) }

// CommonKeys are commonKeys.
func CommonKeys() []string { return commonKeys[:] }

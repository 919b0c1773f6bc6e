// Package chat manages chat configurations: their rules, their permissions and their storage.
//
// Service has one method per action. A method takes a request whose fields have the names of the
// API's parameters, and returns the answer. Only this package knows the meaning of the rows. The
// partition <account>/<region> of the table has
//
//	c#<name>                     the configuration: a JSON record with sealed secrets
//	c!<00…15>                    counters by hash of the name; their sum counts configurations
//	i#<attribute>#<value>#<name> index entry, empty: Type, RamRole, ResourceGroupId, Status, and
//	                             tag:<key> for each tag
//	h#<name>#<revision>          history: the configuration at that revision, its author, the
//	                             time and the address
//	t#<hash of client token>     the answer to a ClientToken, for a day
//	e#<name>#<revision>          the event of a change that is not announced yet: see
//	                             shared/announce
//	s#<name>                     stream, the id of the life: the configuration is Active and its
//	                             Receive is Stream; the item's revision is the configuration's
//
// with names escaped by table.Escape. One atomic write changes all of these. The counters sort
// right before the configurations, so the query for a list's first page returns the total, too. The
// partition "streams/partitions" lists every partition that ever had a stream.
//
// Access keys are in shared/accesskey, commands in shared/command, and their records in
// shared/journal.
package chat

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"chatconf/shared/accesskey"
	"chatconf/shared/announce"
	"chatconf/shared/command"
	"chatconf/shared/dial"
	"chatconf/shared/fault"
	"chatconf/shared/journal"
	"chatconf/shared/page"
	"chatconf/shared/reseal"
	"chatconf/shared/seal"
	"chatconf/shared/table"
)

// Limits of the domain.
const (
	// DefaultQuota is the default maximum number of configurations of one account and region.
	DefaultQuota = 1000
	// MaxConfiguration is the maximum size of a Configuration, in bytes.
	MaxConfiguration = 64 << 10
	// DefaultHistory is the default number of revisions of a name that history keeps: the first and
	// the latest. It can be MinHistory to MaxHistory.
	DefaultHistory = 100
	MinHistory     = 2
	MaxHistory     = 1000
	// MaxTags is the maximum number of tags of one configuration.
	MaxTags = 20
	// DefaultResults and MaxResults are the default and the maximum number of results of a page.
	DefaultResults = 50
	MaxResults     = 100
	// clientTokenAge is how long the answer to a ClientToken is repeated.
	clientTokenAge = 24 * time.Hour
)

// Options are the settings of a Service that have a default.
type Options struct {
	Region string // for requests without RegionId; default "cn-hangzhou"
	// the beginning of Outputs.URL, without a slash at its end; default "http://127.0.0.1:9000"
	BaseURL  string
	Quota    int              // configurations per account and region; default DefaultQuota
	History  int              // revisions of a name that are kept; default DefaultHistory
	Now      func() time.Time // the clock; default time.Now
	Random   io.Reader        // the source of webhook tokens and generated secrets; default crypto/rand
	Journal  *journal.Journal // records of commands; without it, the actions that read them are Unavailable
	Keys     *accesskey.Store // access keys; without them, the actions on them are Unavailable
	Resealer *reseal.Resealer // seals secrets again; without it, ResealSecrets is Unavailable
	Targets  dial.Networks    // allowed for a Target, in addition to the public Internet
	Outbox   *announce.Outbox // of the events of changes, in the same table; nil: changes make no events
	// Checkers make what checks a configuration against its platform, by type; nil: this process
	// does not call platforms.
	Checkers map[string]NewChecker
	Snapshot Snapshot // of all tables; nil: BackupService is not supported
}

// A NewChecker returns the checker of a configuration, for one check.
type NewChecker func(*command.Endpoint) (command.Checker, error)

// A Service is the control plane over one table. It is safe for concurrent use. All its errors are
// of type *fault.Error.
type Service struct {
	store     store
	vault     *vault
	outputs   *outputs
	endpoints *endpoints
	tokens    *clientTokens
	cursors   cursors
	platforms platforms
	region    string
	quota     int
	kept      int64 // revisions of a name
	now       func() time.Time
	random    io.Reader
	targets   dial.Networks
	journal   *journal.Journal // may be nil
	keys      *accesskey.Store // may be nil
	resealer  *reseal.Resealer // may be nil
	checkers  map[string]NewChecker
	snapshot  Snapshot // may be nil
}

// New returns a service with its records in t. It seals secrets with ring and does no I/O.
func New(t table.Table, ring *seal.Ring, descriptions []command.Platform, o Options) (*Service, error) {
	if t == nil || ring == nil || len(descriptions) == 0 {
		return nil, errors.New("chat: a service needs a table, a key ring and at least one platform")
	}
	pages, err := page.New(ring.Derive("page")...)
	if err != nil {
		return nil, fmt.Errorf("chat: %w", err)
	}
	known, err := newPlatforms(descriptions)
	if err != nil {
		return nil, err
	}
	region := cmp.Or(o.Region, "cn-hangzhou")
	base := cmp.Or(o.BaseURL, "http://127.0.0.1:9000")
	if err := cmp.Or(CheckRegion(region), CheckBaseURL(base)); err != nil {
		return nil, err
	}
	if o.Quota < 0 {
		return nil, fmt.Errorf("chat: quota of %d configurations: use 1 or more", o.Quota)
	}
	kept := cmp.Or(o.History, DefaultHistory)
	if kept < MinHistory || kept > MaxHistory {
		return nil, fmt.Errorf("chat: history of %d revisions: use %d to %d", kept, MinHistory, MaxHistory)
	}
	s := &Service{
		store:     store{t, o.Outbox, table.NewRegister(t, streamPartitions)},
		cursors:   cursors{pages},
		platforms: known,
		region:    region,
		quota:     cmp.Or(o.Quota, DefaultQuota),
		kept:      int64(kept),
		now:       o.Now,
		random:    cmp.Or(o.Random, rand.Reader),
		targets:   o.Targets,
		journal:   o.Journal,
		keys:      o.Keys,
		resealer:  o.Resealer,
		checkers:  o.Checkers,
		snapshot:  o.Snapshot,
	}
	if s.now == nil {
		s.now = time.Now
	}
	s.vault = newVault(ring, s.random, s.now)
	s.outputs = &outputs{vault: s.vault, platforms: known, baseURL: strings.TrimRight(base, "/")}
	s.endpoints = newEndpoints(s.store, s.vault, known)
	s.tokens = &clientTokens{table: t, keys: ring.Derive("client token"), now: s.now}
	return s, nil
}

// CheckRegion returns an error unless region is valid for Options.Region.
func CheckRegion(region string) error {
	if !validRegion(region) {
		return fmt.Errorf("chat: region %q: use one such as cn-hangzhou", region)
	}
	return nil
}

// CheckBaseURL returns an error unless base is valid for Options.BaseURL.
func CheckBaseURL(base string) error {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil ||
		strings.ContainsAny(base, "?#\"\\") || !utf8.ValidString(base) {
		return errors.New("chat: webhook base URL: write http:// or https://, a host and optionally a path")
	}
	if err := dial.CheckHost(u); err != nil {
		return fmt.Errorf("chat: webhook base URL: %w", err)
	}
	return nil
}

// storeError converts an error of the table into one for the caller.
func storeError(ctx context.Context, what string, err error) error {
	return fault.Wrap(ctx, "chat: "+what, err)
}

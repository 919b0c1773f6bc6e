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
//
// with names escaped by table.Escape. One atomic write changes all of these. The counters sort
// right before the configurations, so the query for a list's first page returns the total, too.
//
// Access keys are in shared/accesskey, commands in shared/command, and their records in
// shared/journal.
package chat

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"chatconf/shared/accesskey"
	"chatconf/shared/command"
	"chatconf/shared/dial"
	"chatconf/shared/fault"
	"chatconf/shared/invoke"
	"chatconf/shared/journal"
	"chatconf/shared/page"
	"chatconf/shared/policy"
	"chatconf/shared/seal"
	"chatconf/shared/table"
)

// Limits of the domain.
const (
	// DefaultQuota is the default maximum number of configurations of one account and region.
	DefaultQuota = 1000
	// MaxConfiguration is the maximum size of a Configuration, in bytes.
	MaxConfiguration = 64 << 10
	// MaxHistory is the number of revisions of a configuration that history keeps: the first and
	// the latest.
	MaxHistory = 100
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
	BaseURL string
	Quota   int              // configurations per account and region; default DefaultQuota
	Now     func() time.Time // the clock; default time.Now
	Random  io.Reader        // the source of webhook tokens and generated secrets; default crypto/rand
	Journal *journal.Journal // records of commands; without it, the actions that read them are Unavailable
	Keys    *accesskey.Store // access keys; without them, the actions on them are Unavailable
	Targets dial.Networks    // allowed for a Target, in addition to the public Internet
}

// A Service is the control plane over one table. It is safe for concurrent use. All its errors are
// of type *fault.Error.
type Service struct {
	table     table.Table
	ring      *seal.Ring
	pages     *page.Codec
	platforms []platform
	tokenKeys [][]byte // MAC keys for the parameters of a ClientToken, current first
	region    string
	baseURL   string
	quota     int
	now       func() time.Time
	random    io.Reader
	journal   *journal.Journal // may be nil
	keys      *accesskey.Store // may be nil
	endpoints endpoints

	targets dial.Networks
}

// New returns a service with its records in t. It seals secrets with ring and does no I/O.
func New(t table.Table, ring *seal.Ring, platforms []command.Platform, o Options) (*Service, error) {
	if t == nil || ring == nil || len(platforms) == 0 {
		return nil, errors.New("chat: a service needs a table, a key ring and at least one platform")
	}
	pages, err := page.New(ring.Derive("page")...)
	if err != nil {
		return nil, fmt.Errorf("chat: %w", err)
	}
	s := &Service{
		table:     t,
		ring:      ring,
		pages:     pages,
		tokenKeys: ring.Derive("client token"),
		region:    o.Region,
		baseURL:   o.BaseURL,
		quota:     o.Quota,
		now:       o.Now,
		random:    o.Random,
		journal:   o.Journal,
		keys:      o.Keys,

		targets: o.Targets,
	}
	if s.region == "" {
		s.region = "cn-hangzhou"
	}
	if err := CheckRegion(s.region); err != nil {
		return nil, err
	}
	if s.baseURL == "" {
		s.baseURL = "http://127.0.0.1:9000"
	}
	if err := CheckBaseURL(s.baseURL); err != nil {
		return nil, err
	}
	s.baseURL = strings.TrimRight(s.baseURL, "/")
	if s.quota < 0 {
		return nil, fmt.Errorf("chat: quota of %d configurations: use 1 or more", s.quota)
	}
	if s.quota == 0 {
		s.quota = DefaultQuota
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.random == nil {
		s.random = rand.Reader
	}
	for _, description := range platforms {
		p := platform{description}
		if err := p.check(); err != nil {
			return nil, err
		}
		s.platforms = append(s.platforms, p)
	}
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

// A Caller is the owner of the access key that signed a request. The context carries it; without a
// caller nothing is allowed.
type Caller struct {
	Account     string           // the account whose configurations the caller sees
	AccessKeyID string           // of the request's signature; empty for an event
	Name        string           // the caller's name in history and log
	Policies    []*policy.Policy // what the caller may do

	// Confirm, if set, is called before the first change and waits until it is certain that the
	// request is not a replay. Its error ends the request without a change.
	Confirm func(context.Context) error
}

type callerKey struct{}

// WithCaller returns a context with the caller c.
func WithCaller(ctx context.Context, c *Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerFrom returns the caller of ctx. It is never nil; a caller without an account has no
// permissions.
func CallerFrom(ctx context.Context) *Caller {
	if c, ok := ctx.Value(callerKey{}).(*Caller); ok && c != nil {
		return c
	}
	return &nobody
}

var nobody Caller

// A scope is the account and region of a request, and its caller.
type scope struct {
	caller  *Caller
	account string
	region  string
}

// scope resolves the RegionId of a request; empty means the service's own region.
func (s *Service) scope(ctx context.Context, regionID string) (scope, error) {
	if err := checkRegion(regionID); err != nil {
		return scope{}, err
	}
	if regionID == "" {
		regionID = s.region
	}
	caller := CallerFrom(ctx)
	return scope{caller: caller, account: caller.Account, region: regionID}, nil
}

// checkRegion returns an error unless id is absent or a valid region id.
func checkRegion(id string) error {
	if id == "" || validRegion(id) {
		return nil
	}
	message := fmt.Sprintf("RegionId %s is not a region; use one such as cn-hangzhou.", fault.Quote(id))
	return &fault.Error{Code: fault.InvalidRegion, Param: "RegionId", Message: message}
}

// partition returns the partition key of the scope.
func (c scope) partition() string { return c.account + "/" + c.region }

// resource returns the resource name of a configuration in policies.
func (c scope) resource(name string) string {
	return "acs:oos:" + c.region + ":" + c.account + ":chatconfiguration/" + name
}

// place returns where a secret of the configuration name is sealed.
func (c scope) place(name, field string) seal.Place {
	return seal.Place{Account: c.account, Region: c.region, Name: name, Field: field}
}

// actionPrefix is the prefix of an action's name in policies.
const actionPrefix = "oos:"

// request returns the policy request for a configuration, without an action. tags are those of the
// configuration, nil if it has none.
func (s *Service) request(ctx context.Context, c scope, name string, tags map[string]string) policy.Request {
	return s.requestOn(ctx, c.resource(name), tags)
}

// requestOn returns the policy request for a resource, without an action.
func (s *Service) requestOn(ctx context.Context, resource string, tags map[string]string) policy.Request {
	inv := invoke.From(ctx)
	return policy.Request{
		Resource: resource,
		Value: func(key string) (string, bool) {
			switch key {
			case policy.KeySourceIP:
				return inv.SourceIP, inv.SourceIP != ""
			case policy.KeyCurrentTime:
				return s.now().UTC().Format(time.RFC3339), true
			case policy.KeySecureTransport:
				if inv.Secure {
					return "true", true
				}
				return "false", true
			}
			if tag, ok := strings.CutPrefix(key, policy.KeyTagPrefix); ok {
				value, ok := tags[tag]
				return value, ok
			}
			return "", false
		},
	}
}

// decide decides an action with the caller's policies. action is its name in policies.
func (c scope) decide(action string, of policy.Request) policy.Decision {
	if c.account == "" {
		return policy.Decision{Policy: -1, Statement: -1}
	}
	of.Action, of.Named = action, policy.MustName(action)
	return policy.Decide(of, c.caller.Policies...)
}

// allows reports whether decide allows an action.
func (c scope) allows(action string, of policy.Request) bool { return c.decide(action, of).Allowed }

// A need is a permission that a request needs.
type need struct {
	action string // its name in policies
	of     policy.Request
	after  bool // the tags are those that the request sets

	// For ram:PassRole: the role, empty if the caller may not know it, and the paths that name it.
	role  string
	paths []string
}

// authorize returns a NoPermission error unless the caller has the permission for action on the
// configuration name.
func (s *Service) authorize(ctx context.Context, c scope, action, name string, tags map[string]string) error {
	return c.require(need{action: actionPrefix + action, of: s.request(ctx, c, name, tags)})
}

// authorizeKey returns a NoPermission error unless the caller has the permission for action on the
// access key id; "*" stands for all keys.
func (s *Service) authorizeKey(ctx context.Context, c scope, action, id string) error {
	return c.require(need{action: actionPrefix + action, of: s.requestOn(ctx, c.keyResource(id), nil)})
}

// require returns a NoPermission error unless the caller has all permissions. It names all that are
// missing; the detail is that of the first.
func (c scope) require(needs ...need) error {
	var missing, roles []string
	var denied *fault.AccessDenied
	note := ""
	for _, n := range needs {
		decision := c.decide(n.action, n.of)
		if decision.Allowed {
			continue
		}
		what := n.action + " on " + n.resource()
		if slices.Contains(missing, what) {
			continue // already reported for the present tags
		}
		if n.after {
			what += " with the tags that it would have"
		}
		if len(n.paths) > 0 {
			what += " (for " + join(n.paths) + ")"
		}
		missing = append(missing, what)
		if n.role != "" && !decision.Explicit() {
			roles = append(roles, n.role)
		}
		if policy.MustName(n.action) {
			note = " A policy has to name " + n.action + "; no pattern allows it."
		}
		if denied == nil {
			denied = c.denial(n.action, decision)
		}
	}
	if denied == nil {
		return nil
	}
	return &fault.Error{
		Code:    fault.NoPermission,
		Message: "The caller may not perform " + strings.Join(missing, ", ") + "." + note + c.passRoleNote(roles),
		Denied:  denied,
	}
}

// denial returns the detail of a decision that denies an action.
func (c scope) denial(action string, decision policy.Decision) *fault.AccessDenied {
	denied := &fault.AccessDenied{
		AuthAction:               action,
		AuthPrincipalType:        "AccessKey",
		AuthPrincipalOwnerId:     c.account,
		AuthPrincipalDisplayName: c.caller.Name,
		NoPermissionType:         "ImplicitDeny",
		PolicyType:               "AccountLevelIdentityBasedPolicy",
	}
	if decision.Explicit() {
		denied.NoPermissionType = "ExplicitDeny"
	}
	return denied
}

// storeError converts an error of the table into one for the caller.
func storeError(ctx context.Context, what string, err error) error {
	return fault.Wrap(ctx, "chat: "+what, err)
}

package chat

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/fault"
	"chatconf/shared/invoke"
	"chatconf/shared/policy"
	"chatconf/shared/seal"
)

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
	now     func() time.Time // the clock, for policies
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
	return scope{caller: caller, account: caller.Account, region: regionID, now: s.now}, nil
}

// checkRegion returns an error unless id is absent or a valid region id.
func checkRegion(id string) error { return checkRegionOf("RegionId", id) }

// checkRegionOf returns an error unless a parameter is absent or a valid region id.
func checkRegionOf(param, id string) error {
	if id == "" || validRegion(id) {
		return nil
	}
	message := fmt.Sprintf("%s %s is not a region; use one such as cn-hangzhou.", param, fault.Quote(id))
	return &fault.Error{Code: fault.InvalidRegion, Param: param, Message: message}
}

// scopeOf returns the scope of a configuration, without a caller and a clock: it is only for reads
// of the service itself.
func scopeOf(r command.Ref) scope {
	return scope{caller: &nobody, account: r.Account, region: r.Region}
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
func (c scope) request(ctx context.Context, name string, tags map[string]string) policy.Request {
	return c.requestOn(ctx, c.resource(name), tags)
}

// requestOn returns the policy request for a resource, without an action.
func (c scope) requestOn(ctx context.Context, resource string, tags map[string]string) policy.Request {
	inv := invoke.From(ctx)
	return policy.Request{
		Resource: resource,
		Value: func(key string) (string, bool) {
			switch key {
			case policy.KeySourceIP:
				return inv.SourceIP, inv.SourceIP != ""
			case policy.KeyCurrentTime:
				return c.now().UTC().Format(time.RFC3339), true
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
	with   string // which tags decide, if not the present ones

	// For ram:PassRole: the role, empty if the caller may not know it, and the paths that name it.
	role  string
	paths []string
}

// Tags of a need other than the present ones.
const (
	tagsAfter = "that it would have"
	tagsAtEnd = "at the end of that life"
)

// authorize returns a NoPermission error unless the caller has the permission for action on the
// configuration name.
func (c scope) authorize(ctx context.Context, action, name string, tags map[string]string) error {
	return c.require(need{action: actionPrefix + action, of: c.request(ctx, name, tags)})
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
		what := n.action + " on " + c.resourceOf(n)
		plain := what
		if n.with != "" {
			what += " with the tags " + n.with
		}
		if slices.Contains(missing, plain) || slices.Contains(missing, what) {
			continue // already reported, perhaps for the present tags
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

package sts

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"chatconf/shared/document"
	"chatconf/shared/policy"
	"chatconf/shared/secret"
)

// An Identity is who acts: a user, the account itself, or a role's session.
type Identity struct {
	arn      string
	root     bool
	policies []*policy.Policy // of the user or the role
	session  *session         // nil for a user
}

// Format writes the ARN, whatever the verb, and nothing of the credentials.
func (i *Identity) Format(s fmt.State, _ rune) { io.WriteString(s, i.arn) }

// ARN returns the identity's name, such as acs:ram::1234567890123456:role/ops/alice.
func (i *Identity) ARN() string { return i.arn }

// Name returns the last part of the ARN: a user's name, "root", or role/session.
func (i *Identity) Name() string {
	_, name, _ := strings.Cut(strings.TrimPrefix(i.arn, "acs:ram::"), ":")
	if _, rest, ok := strings.Cut(name, "/"); ok {
		return rest
	}
	return name
}

// SourceIdentity returns the session's SourceIdentity, empty if it has none.
func (i *Identity) SourceIdentity() string {
	if i.session == nil {
		return ""
	}
	return i.session.SourceIdentity
}

// A Session is what one AssumeRole gave, without its credentials.
type Session struct {
	ARN            string // acs:ram::<account>:role/<role>/<session>
	Role           string // the role's name
	Name           string // RoleSessionName
	Principal      string // the ARN of who assumed the role
	ExternalID     string
	SourceIdentity string
	Policy         string // the session policy as it was sent; empty when there was none
	Expires        time.Time
}

// A session is a Session with its credentials.
type session struct {
	secret.Hidden
	Session

	accessKeyID, keySecret, token string
	policy                        *policy.Policy // nil when there was none
	who                           Identity
}

// A Decision is whether somebody was allowed to do something.
type Decision struct {
	Time      time.Time
	Principal string // the ARN of who asked
	Action    string
	Resource  string
	Allowed   bool
	// PolicyType says which policies refused, as in AccessDenied; empty when nothing did.
	PolicyType string
}

// A decision is a Decision and the session that asked, nil for a user.
type decision struct {
	Decision
	session *session
}

// The types of policies that refuse.
const (
	identityPolicy = "AccountLevelIdentityBasedPolicy"
	sessionPolicy  = "SessionPolicy"
	trustPolicy    = "AssumeRolePolicy"
)

// Authorize returns an error of code NoPermission unless an identity may do this: its policies
// allow it, and so does the session policy if the identity is a session that has one. The decision
// is logged.
func (a *Account) Authorize(who *Identity, action, resource string) error {
	now := a.now()
	request := policy.Request{Action: action, Resource: resource, Value: func(key string) (string, bool) {
		return now.UTC().Format(time.RFC3339), key == policy.KeyCurrentTime
	}}
	refused := ""
	var decided policy.Decision
	if !who.root {
		if decided = policy.Decide(request, who.policies...); !decided.Allowed {
			refused = identityPolicy
		}
	}
	if refused == "" && who.session != nil && who.session.policy != nil {
		if decided = policy.Decide(request, who.session.policy); !decided.Allowed {
			refused = sessionPolicy
		}
	}
	a.mu.Lock()
	a.decisions = append(a.decisions, decision{Decision{Time: now, Principal: who.arn, Action: action,
		Resource: resource, Allowed: refused == "", PolicyType: refused}, who.session})
	a.mu.Unlock()
	if refused == "" {
		return nil
	}
	return a.denied(who, action, resource, refused, decided.Explicit())
}

func (a *Account) denied(who *Identity, action, resource, policyType string, explicit bool) *Error {
	detail := &AccessDenied{
		AuthAction: action, AuthPrincipalType: "SubUser", AuthPrincipalOwnerId: a.id,
		AuthPrincipalDisplayName: who.Name(), NoPermissionType: "ImplicitDeny", PolicyType: policyType,
	}
	if who.session != nil {
		detail.AuthPrincipalType = "AssumedRoleUser"
		detail.AuthPrincipalDisplayName = strings.ReplaceAll(detail.AuthPrincipalDisplayName, "/", ":")
	}
	if explicit {
		detail.NoPermissionType = "ExplicitDeny"
	}
	return &Error{Status: http.StatusForbidden, Code: "NoPermission", Denied: detail,
		Message: fmt.Sprintf("You are not authorized to do this action. Action: %s, resource: %s, refused by: %s.",
			action, resource, policyType)}
}

// ServiceRole returns the identity that a service of the cloud acts as under a role, and whether
// there is such a role that trusts the service.
func (a *Account) ServiceRole(name, service string) (*Identity, bool) {
	r := a.roles[name]
	if r == nil || !r.trust.allows(trustRequest{action: actionAssumeRole, service: service}) {
		return nil, false
	}
	return &Identity{arn: r.arn + "/" + service, policies: r.policies}, true
}

// A Grant is a permission that a session had and did not need.
type Grant struct {
	Session  string // its ARN
	Action   string // as the session policy has it
	Resource string // as the session policy has it
	// Wide says that something was asked which fits, but nothing that is exactly this: the pattern
	// allows more than was needed.
	Wide bool
}

// String returns the grant as a sentence.
func (g Grant) String() string {
	text := "never used"
	if g.Wide {
		text = "wider than what was asked"
	}
	return fmt.Sprintf("%s: %s on %s: %s", g.Session, g.Action, g.Resource, text)
}

// Unused returns what session policies allow and nobody asked for: of each statement that allows,
// every pair of an action and a resource that is not word for word in an allowed request of that
// session. A session without a policy has one pair, * on *.
//
// A test that ends with no unused grant has proven that the session policies were as narrow as
// policies can be; that they were wide enough shows in the requests that were allowed.
func (a *Account) Unused() []Grant {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []Grant
	for _, s := range a.sessions {
		for _, pair := range s.pairs() {
			pair.Session = s.ARN
			exact := false
			for _, d := range a.decisions {
				if d.session != s || !d.Allowed {
					continue
				}
				exact = exact || strings.EqualFold(d.Action, pair.Action) && d.Resource == pair.Resource
				pair.Wide = pair.Wide || policy.Match(strings.ToLower(pair.Action), strings.ToLower(d.Action)) &&
					policy.Match(pair.Resource, d.Resource)
			}
			if !exact {
				out = append(out, pair)
			}
		}
	}
	return out
}

// pairs returns the actions and resources of the statements that allow.
func (s *session) pairs() (out []Grant) {
	if s.policy == nil {
		return []Grant{{Action: "*", Resource: "*"}}
	}
	root, err := document.Parse("policy", s.policy.String())
	if err != nil {
		panic("sts: a parsed policy does not parse: " + err.Error())
	}
	for _, statement := range root.Get("Statement").Items {
		if statement.TextOf("Effect", "") != string(policy.Allow) {
			continue
		}
		for _, action := range texts(statement.Get("Action")) {
			for _, resource := range texts(statement.Get("Resource")) {
				out = append(out, Grant{Action: action, Resource: resource})
			}
		}
	}
	return out
}

// texts returns a string, or the strings of an array.
func texts(n *document.Node) []string {
	if n.Kind != document.Array {
		return []string{n.Text}
	}
	out := make([]string, len(n.Items))
	for i, item := range n.Items {
		out[i] = item.Text
	}
	return out
}

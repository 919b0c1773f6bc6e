package policy

import (
	"fmt"
	"slices"
	"strings"
)

// A Request is an operation on a resource, to be decided.
type Request struct {
	Action string // such as oos:GetChatConfiguration
	Named  bool   // only an Allow without wildcards in its action allows it; any matching pattern denies it
	// such as acs:oos:cn-hangzhou:1234567890123456:chatconfiguration/prod; "*" as the name means
	// all names
	Resource string
	// Prefix, if set, is the beginning of Resource that an Allow must have in full, without
	// wildcards. Any matching pattern denies.
	Prefix string
	// Value returns the request's value for a condition key, and whether there is one. Nil means
	// that no key has a value. The constants of the keys describe the values.
	Value func(key string) (string, bool)
}

// A Decision is the answer to a Request and the statement that gave it. The zero Decision denies.
type Decision struct {
	Allowed   bool
	Policy    int // the index of the deciding policy in the arguments of Decide; -1 if none decided
	Statement int // the index of the deciding statement in its policy; -1 if none decided
}

// Explicit reports whether a statement decided. It distinguishes RAM's ExplicitDeny from its
// ImplicitDeny.
func (d Decision) Explicit() bool { return d.Statement >= 0 }

// String returns the decision without a subject, such as "denied by Statement[2] of policy 0".
func (d Decision) String() string {
	switch {
	case d.Allowed:
		return fmt.Sprintf("allowed by Statement[%d] of policy %d", d.Statement, d.Policy)
	case d.Statement >= 0:
		return fmt.Sprintf("denied by Statement[%d] of policy %d", d.Statement, d.Policy)
	case d.Policy >= 0:
		return fmt.Sprintf("denied because policy %d is missing", d.Policy)
	default:
		return "denied because no statement allows it"
	}
}

// Decide returns whether the policies together allow req. The first matching Deny decides. Without
// one, the first matching Allow decides. Without either, req is denied. The order is that of the
// policies as given.
//
// Actions are compared ignoring ASCII case, as in RAM, and so are roles in a Deny; other resources
// and values are compared exactly. A request for all names has a Resource that ends in '*'; only
// patterns that match every name match it. A request without action or resource is denied. If a
// policy is nil or zero, every request is denied, because it may have been a Deny that failed to
// load.
func Decide(req Request, policies ...*Policy) Decision {
	var t Tally
	if req.Action == "" || req.Resource == "" {
		return t.Decision()
	}
	for i, p := range policies {
		if p == nil || len(p.statements) == 0 {
			return Decision{Policy: i, Statement: -1}
		}
	}
	for i, p := range policies {
		for j := range p.statements {
			s := &p.statements[j]
			if s.matches(&req) && t.Add(s.effect, i, j) {
				return t.Decision()
			}
		}
	}
	return t.Decision()
}

// A Tally combines matching statements into a decision, by the rule of Decide. It does not depend
// on the form of a statement, so everything that allows and denies can share the rule. The zero
// Tally is ready to use.
type Tally struct {
	effect    Effect // of the deciding statement; empty if none decided
	policy    int
	statement int
}

// Add counts a matching statement, in order. It reports whether the decision is final, so that no
// later statement can change it.
func (t *Tally) Add(effect Effect, policy, statement int) (final bool) {
	if effect != Allow {
		effect = Deny
	}
	if t.effect == "" || t.effect == Allow && effect == Deny {
		*t = Tally{effect, policy, statement}
	}
	return t.effect == Deny
}

// Decision returns the decision on the statements added so far.
func (t *Tally) Decision() Decision {
	if t.effect == "" {
		return Decision{Policy: -1, Statement: -1}
	}
	return Decision{Allowed: t.effect == Allow, Policy: t.policy, Statement: t.statement}
}

func (s *statement) matches(req *Request) bool {
	return s.matchesAction(req) && s.matchesResource(req) && s.conditionsHold(req)
}

func (s *statement) matchesResource(req *Request) bool {
	c := s.comparison(req)
	return slices.ContainsFunc(s.resources, func(pattern string) bool {
		return (s.effect != Allow || strings.HasPrefix(pattern, req.Prefix)) && match(pattern, req.Resource, c)
	})
}

// comparison returns how resources are compared. RAM ignores the case of a role's name, so a Deny
// of role Prod denies prod too. An Allow names a role exactly.
func (s *statement) comparison(req *Request) comparison {
	if s.effect == Deny && strings.EqualFold(req.Action, PassRole) {
		return foldCase
	}
	return ofResource
}

func (s *statement) matchesAction(req *Request) bool {
	if req.Named && s.effect == Allow {
		return slices.ContainsFunc(s.actions, func(action string) bool { return strings.EqualFold(action, req.Action) })
	}
	return anyMatches(s.actions, req.Action, foldCase)
}

// conditionsHold reports whether all conditions hold. If the request's value has the wrong type for
// its key, an Allow does not match and a Deny does.
func (s *statement) conditionsHold(req *Request) bool {
	for i := range s.conditions {
		switch s.conditions[i].test(req) {
		case fails:
			return false
		case unreadable:
			if s.effect == Allow {
				return false
			}
		}
	}
	return true
}

func anyMatches(patterns []string, s string, c comparison) bool {
	for _, p := range patterns {
		if match(p, s, c) {
			return true
		}
	}
	return false
}

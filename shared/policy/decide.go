package policy

import (
	"fmt"
	"slices"
	"strings"
)

// A Request is what somebody asks to do.
type Request struct {
	Action string // such as oos:GetChatConfiguration
	Named  bool   // an Allow has to name the action: no pattern allows it, and any pattern denies it
	// such as acs:oos:cn-hangzhou:1234567890123456:chatconfiguration/prod; "*" for the name stands
	// for all names
	Resource string
	// Value returns what is known of the request under a condition key, and whether anything is;
	// nil is: nothing known. What each key holds, and what a key without a value means, is at the
	// constants of the keys.
	Value func(key string) (string, bool)
}

// A Decision is the answer to a Request, and which statement gave it. The zero Decision does not
// allow.
type Decision struct {
	Allowed   bool
	Policy    int // the index of the deciding policy among those given to Decide; -1 when none decided
	Statement int // the index of the deciding statement in its policy; -1 when none decided
}

// Explicit reports whether a statement decided, rather than the absence of one: RAM's ExplicitDeny
// against its ImplicitDeny.
func (d Decision) Explicit() bool { return d.Statement >= 0 }

// String returns the decision as a sentence without its subject, such as "denied by Statement[2] of
// policy 0".
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

// Decide returns whether the policies together allow req. The first statement that matches and
// denies decides; without one, the first that matches and allows; without either, req is denied.
// First is in the order of the policies as given.
//
// Actions are compared without regard to the case of ASCII letters, as RAM does; resources and
// values are compared exactly. A request for all names, whose Resource ends in a '*', is matched by
// the patterns that match every name. A request without action or resource is denied. So is every
// request when a policy is nil or zero: it may have been a Deny that failed to load.
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

// A Tally combines statements that match into a decision, by the rule of Decide. It knows nothing
// of what a statement is, so that everything that allows and denies can share the rule. The zero
// Tally is ready, and has seen no statement.
type Tally struct {
	effect    Effect // of the deciding statement; empty when there is none
	policy    int
	statement int
}

// Add counts a statement that matches, in order. It reports whether the decision is final: no later
// statement can change it.
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
	return s.matchesAction(req) &&
		anyMatches(s.resources, req.Resource, ofResource) &&
		s.conditionsHold(req)
}

func (s *statement) matchesAction(req *Request) bool {
	if req.Named && s.effect == Allow {
		return slices.ContainsFunc(s.actions, func(action string) bool { return strings.EqualFold(action, req.Action) })
	}
	return anyMatches(s.actions, req.Action, foldCase)
}

// conditionsHold reports whether all conditions hold. One that cannot be told, because the
// request's value is not of the type of its key, counts on the safe side: an Allow does not match
// for it, a Deny does.
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

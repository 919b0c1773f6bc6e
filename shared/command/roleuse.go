package command

import (
	"crypto/sha256"
	"maps"
	"slices"
	"strconv"
	"strings"

	"chatconf/shared/document"
	"chatconf/shared/policy"
)

// A RoleUse is a place in a configuration that makes commands run under a role.
type RoleUse struct {
	Role      string
	Statement int    // index into Permissions; -1: not the use of a statement
	Action    string // the action whose RamRole it is; empty: the statement's or the configuration's
	Named     bool   // the place names the role; else the statement has that of an action or the configuration
}

// NewUses returns the uses of roles in p that before does not have, or that are wider in p. Without
// before, every use is new. otherwise says that something outside Permissions has changed that
// decides who can speak, or where commands go; then every use is new too.
//
// A configuration's RamRole is a new use where it differs from that of before. The use by an Allow
// is as before if before has the same Allow with the same role, and everything that limited it
// still does: the Deny statements, the Allow statements of other roles in front of it, and
// ConversationIds. Any change makes another statement, also a change of a group that it names; the
// order of its lists and members does not count.
//
// An action's RamRole is a new use where the action is new, or differs from that of before in more
// than its texts for people. A statement that allows such an action is a new use of its role too.
// So is a statement that allows the undeclared command that a removed action or alias becomes.
func (p *Permissions) NewUses(before *Permissions, otherwise bool) []RoleUse {
	var uses []RoleUse
	roleIsNew := p.role != "" && (before == nil || before.role != p.role)
	if roleIsNew {
		uses = append(uses, RoleUse{Role: p.role, Statement: -1, Named: true})
	}
	users := make(map[string]int)
	was, is := before.reaches(users), p.reaches(users)
	sameGround := before != nil && !otherwise && p.listensWithin(before) &&
		(p.actions.Strict() || !before.actions.Strict())
	left := budget(mostCompared)
	for i, s := range is {
		named := p.statements[i].role != ""
		switch {
		case s.effect != policy.Allow || s.role == "":
		case !named && roleIsNew: // listed above
		case !sameGround || !isKept(was, is, i, &left):
			uses = append(uses, RoleUse{Role: s.role, Statement: i, Named: named})
		}
	}
	for _, a := range p.actions.All() {
		if a.RamRole != "" && (!sameGround || !a.isAs(before.actions.Find(FoldName(a.Name)))) {
			uses = append(uses, RoleUse{Role: a.RamRole, Statement: -1, Action: a.Name, Named: true})
		}
	}
	if sameGround { // else every use is listed, but those of statements under an action's role
		for _, use := range p.newUsesOfActions(before, was, is, roleIsNew, &left) {
			if !slices.Contains(uses, use) {
				uses = append(uses, use)
			}
		}
	}
	return uses
}

// newUsesOfActions returns the new uses by statements that allow one action, or a command that was
// one.
func (p *Permissions) newUsesOfActions(before *Permissions, was, is []reach, roleIsNew bool,
	left *budget) (uses []RoleUse) {
	names, seen := budget(mostNamed), make(map[RoleUse]struct{})
	check := func(name string, a *Action, changed bool) {
		wasOf, _, ok := reachesOf(was, name, before.roleOf(name), &names)
		isOf, indexes, okToo := reachesOf(is, name, p.roleOf(name), &names)
		for i, s := range isOf {
			named := p.statements[indexes[i]].role != ""
			switch {
			case s.effect != policy.Allow || s.role == "":
			case !named && (a == nil || a.RamRole == "") && roleIsNew: // listed already
			case !named && a != nil && a.RamRole != "" && changed: // listed already
			case changed || !ok || !okToo || !isKept(wasOf, isOf, i, left):
				use := RoleUse{Role: s.role, Statement: indexes[i], Named: named}
				if _, ok := seen[use]; !ok {
					seen[use] = struct{}{}
					uses = append(uses, use)
				}
			}
		}
	}
	same := slices.EqualFunc(was, is, func(r, s reach) bool {
		return r.effect == s.effect && r.permission.role == s.permission.role && r.role == s.role && r.sum == s.sum
	})
	for _, a := range p.actions.All() {
		// An action without a role has those of every other command.
		if changed := !a.isAs(before.actions.Find(FoldName(a.Name))); changed || a.RamRole != "" && !same {
			check(FoldName(a.Name), a, changed)
		}
	}
	var free []string // what was an action, an alias or built in, and may be an undeclared command now
	for _, a := range before.actions.All() {
		free = append(append(free, a.Name), a.Aliases...)
	}
	for _, word := range []string{Status, Cancel} {
		if before.actions.IsBuiltIn(word) && !p.actions.IsBuiltIn(word) {
			free = append(free, word)
		}
	}
	for _, word := range free {
		if word = FoldName(word); p.actions.Find(word) == nil && !p.actions.Strict() {
			check(word, nil, true)
		}
	}
	return uses
}

// isAs reports whether two actions do the same and read the same arguments.
func (a *Action) isAs(b *Action) bool { return b != nil && document.Same(work(a.node), work(b.node)) }

// work returns an action without its texts for people.
func work(n *document.Node) *document.Node {
	out := &document.Node{Kind: n.Kind}
	for _, m := range n.Members {
		switch m.Key {
		case "Summary":
			continue
		case "Parameters":
			list := &document.Node{Kind: m.Value.Kind}
			for _, p := range m.Value.Items {
				members := slices.DeleteFunc(slices.Clone(p.Members),
					func(m document.Member) bool { return m.Key == "Help" })
				list.Items = append(list.Items, &document.Node{Kind: p.Kind, Members: members})
			}
			m.Value = list
		}
		out.Members = append(out.Members, m)
	}
	return out
}

// reachesOf returns the statements that match a command's name, with its role where they have none,
// and their indexes. It reports whether the budget held the comparison; beyond it, every statement
// may match.
func reachesOf(all []reach, name, role string, left *budget) (out []reach, indexes []int, ok bool) {
	for i := range all {
		*left -= budget(len(all[i].commands))
		if *left >= 0 && !matchesAny(all[i].commands, name) {
			continue
		}
		r := all[i]
		if r.role = r.permission.role; r.role == "" {
			r.role = role
		}
		out, indexes = append(out, r), append(indexes, i)
	}
	return out, indexes, *left >= 0
}

// A reach is what a statement does, and what it matches.
type reach struct {
	*permission
	role  string            // that an allowed command runs as; empty if none
	users []uint64          // the bits of the users that it names, groups included
	on    string            // the values that it names
	sum   [sha256.Size]byte // of what it matches; equal for statements that match the same
}

// reaches returns the reach of each statement. users numbers the users; new ones are added to it.
func (p *Permissions) reaches(users map[string]int) []reach {
	if p == nil {
		return nil
	}
	number := func(user string) int {
		n, ok := users[user]
		if !ok {
			n = len(users)
			users[user] = n
		}
		return n
	}
	members := make(map[string][]int)
	for user, groups := range p.groups {
		for _, group := range groups {
			members[group] = append(members[group], number(user))
		}
	}
	sums := make(map[string][sha256.Size]byte) // of members
	for group, list := range members {
		slices.Sort(list)
		var b []byte
		for _, n := range list {
			b = append(strconv.AppendInt(b, int64(n), 10), ',')
		}
		sums[group] = sha256.Sum256(b)
	}
	out := make([]reach, len(p.statements))
	for i := range p.statements {
		s := &p.statements[i]
		r := reach{permission: s, role: s.role}
		if r.role == "" {
			r.role = p.role
		}
		b := strconv.AppendBool(nil, s.everyone)
		add := func(text string) { b = strconv.AppendQuote(b, text) }
		for _, user := range slices.Sorted(maps.Keys(s.users)) {
			add(user)
			r.name(number(user))
		}
		for _, group := range slices.Sorted(maps.Keys(s.groups)) {
			b = append(b, '@')
			add(group)
			sum := sums[group]
			b = append(b, sum[:]...)
			for _, n := range members[group] {
				r.name(n)
			}
		}
		for _, list := range [][]string{s.commands, s.conversations} { // an empty list is refused, so none is all
			b = append(b, '/')
			for _, pattern := range slices.Sorted(slices.Values(list)) {
				add(pattern)
			}
		}
		r.on = onValues(s.values)
		add(r.on)
		r.sum = sha256.Sum256(b)
		out[i] = r
	}
	return out
}

// onValues returns a text that is equal for equal values of a statement.
func onValues(values []valuePatterns) string {
	texts := make([]string, 0, len(values))
	for _, of := range values {
		text := strconv.Quote(strings.ToLower(of.name))
		for _, pattern := range slices.Sorted(slices.Values(of.patterns)) {
			text += strconv.Quote(pattern)
		}
		texts = append(texts, text)
	}
	slices.Sort(texts)
	return strings.Join(texts, "/")
}

// name adds a user to those that the statement names.
func (r *reach) name(n int) {
	for len(r.users) <= n/64 {
		r.users = append(r.users, 0)
	}
	r.users[n/64] |= 1 << (n % 64)
}

// listensWithin reports whether p takes commands in no conversation in which before does not.
func (p *Permissions) listensWithin(before *Permissions) bool {
	if before.conversations == nil {
		return true
	}
	for id := range p.conversations {
		if !before.listens(id) {
			return false
		}
	}
	return p.conversations != nil
}

// isKept reports whether the Allow is[i] runs nothing under its role that the statements of was did
// not run under it. Beyond the budget it compares no patterns, and assumes that they may differ.
func isKept(was, is []reach, i int, left *budget) bool {
	s := &is[i]
	j := slices.IndexFunc(was, func(r reach) bool {
		return r.effect == policy.Allow && r.role == s.role && r.sum == s.sum
	})
	if j < 0 {
		return false
	}
	for k := range was {
		other := &was[k]
		by := is[:i] // what may limit s as other did
		switch {
		case other.effect != policy.Allow:
			by = is
		case k >= j || other.role == s.role:
			continue
		}
		same := func(r reach) bool { return r.effect == other.effect && r.sum == other.sum }
		if slices.ContainsFunc(by, same) { // the usual case
			continue
		}
		limits := func(r reach) bool {
			return r.effect == other.effect && left.spend(&r, other) && r.covers(other)
		}
		if (!left.spend(other, s) || other.meets(s)) && !slices.ContainsFunc(by, limits) {
			return false
		}
	}
	return true
}

// mostCompared is how many pairs of patterns one call of NewUses compares: some 50 ms.
const mostCompared = 200_000

// mostNamed is how many patterns one call of NewUses compares with names of actions: some 50 ms.
const mostNamed = 1_000_000

// A budget is how many pairs of patterns may still be compared.
type budget int

// spend takes the cost of comparing two statements. It reports whether the budget holds it.
func (b *budget) spend(r, s *reach) bool {
	*b -= budget(len(r.commands)*len(s.commands) + len(r.conversations)*len(s.conversations))
	return *b >= 0
}

// maxCompared is how many pairs of patterns two statements may have to be compared. With more, they
// are taken to be as different as they can be.
const maxCompared = 1000

// meets reports whether both statements may match the same command, with some values. False is
// certain.
func (r *reach) meets(s *reach) bool {
	return r.sharesUser(s) && mayMeet(r.commands, s.commands) &&
		(r.conversations == nil || s.conversations == nil || mayMeet(r.conversations, s.conversations))
}

// covers reports whether r matches all that s matches. True is certain.
func (r *reach) covers(s *reach) bool {
	if r.sum == s.sum {
		return true
	}
	return r.hasUsersOf(s) && (r.on == "" || r.on == s.on) && coversAll(r.commands, s.commands) &&
		(r.conversations == nil || s.conversations != nil && coversAll(r.conversations, s.conversations))
}

func (r *reach) sharesUser(s *reach) bool {
	if r.everyone || s.everyone {
		return true
	}
	for i := range min(len(r.users), len(s.users)) {
		if r.users[i]&s.users[i] != 0 {
			return true
		}
	}
	return false
}

func (r *reach) hasUsersOf(s *reach) bool {
	if r.everyone || s.everyone {
		return r.everyone
	}
	for i, bits := range s.users {
		if i >= len(r.users) {
			if bits != 0 {
				return false
			}
		} else if bits&^r.users[i] != 0 {
			return false
		}
	}
	return true
}

// mayMeet reports whether a text may match patterns of both lists.
func mayMeet(a, b []string) bool {
	if len(a)*len(b) > maxCompared {
		return true
	}
	return slices.ContainsFunc(a, func(p string) bool {
		return slices.ContainsFunc(b, func(q string) bool {
			i, j := strings.IndexAny(p, Wildcards), strings.IndexAny(q, Wildcards)
			switch {
			case i < 0:
				return policy.Match(q, p)
			case j < 0:
				return policy.Match(p, q)
			}
			n := min(i, j) // both begin with so many characters that are no wildcards
			return p[:n] == q[:n]
		})
	})
}

// coversAll reports whether every text that matches a pattern of b matches one of a.
func coversAll(a, b []string) bool {
	if len(a)*len(b) > maxCompared {
		return false
	}
	for _, q := range b {
		covered := slices.ContainsFunc(a, func(p string) bool {
			// A '*' of p matches whatever a '*' or '?' of q stands for; a '?' does not.
			if strings.ContainsAny(q, Wildcards) && strings.Contains(p, "?") {
				return p == q
			}
			return policy.Match(p, q)
		})
		if !covered {
			return false
		}
	}
	return true
}

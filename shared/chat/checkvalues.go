package chat

import (
	"slices"
	"strings"

	"chatconf/shared/command"
	"chatconf/shared/document"
	"chatconf/shared/fault"
	"chatconf/shared/policy"
)

// declaredActions are the actions of a Configuration whose statements are checked. The
// Configuration may have mistakes.
type declaredActions struct {
	node     *document.Node    // the value of Actions; nil if none
	aliases  map[string]string // by folded alias: the name of the action
	strict   bool              // only actions are commands
	followed bool              // status and cancel are built in
	left     int               // how many characters may still be compared
	decided  int               // the same for the decision on a command
}

// newDeclaredActions returns the actions of the Configuration root.
func newDeclaredActions(root *document.Node) *declaredActions {
	d := &declaredActions{node: root.Get(command.KeyActions), aliases: make(map[string]string),
		strict: isTrue(root.Get(command.KeyStrictActions)), followed: followed(root), left: maxCompared,
		decided: maxDecided}
	if d.node != nil {
		for _, m := range d.node.Members {
			for _, alias := range itemsOf(m.Value.Get(keyAliases)) {
				d.aliases[command.FoldName(alias.Text)] = m.Key
			}
		}
	}
	return d
}

// hasName reports whether a folded pattern matches the name of an action, as far as it is compared.
func (d *declaredActions) hasName(pattern string) bool {
	return d.node != nil && slices.ContainsFunc(d.node.Members, func(m document.Member) bool {
		return d.match(pattern, command.FoldName(m.Key))
	}) || d.left < 0
}

// maxCompared is how many pairs of characters of patterns and names a check compares: some 20 ms.
const maxCompared = 5_000_000

// maxDecided is how many pairs of characters of patterns and values a decision on a command may
// compare: some 20 ms.
const maxDecided = 2_000_000

// isBuiltIn reports whether a folded name is of a built-in command.
func (d *declaredActions) isBuiltIn(name string) bool {
	return command.IsBuiltIn(name) || d.followed && command.IsOperation(name)
}

// match reports whether pattern matches text. Once there was too much to compare, it is false.
func (d *declaredActions) match(pattern, text string) bool {
	d.left -= len(pattern) * len(text)
	return d.left >= 0 && policy.Match(pattern, text)
}

// parametersOf returns the parameters of the actions that patterns match, by lower-case name. ok is
// false if there is too much to compare.
func (d *declaredActions) parametersOf(patterns *document.Node) (found map[string][]*document.Node, ok bool) {
	found = make(map[string][]*document.Node)
	if d.node == nil || patterns == nil {
		return found, true
	}
	folded := make([]string, len(patterns.Items))
	for i, pattern := range patterns.Items {
		folded[i] = command.FoldName(pattern.Text)
	}
	for _, action := range d.node.Members {
		name := command.FoldName(action.Key)
		matches := slices.ContainsFunc(folded, func(pattern string) bool { return d.match(pattern, name) })
		if d.left < 0 {
			return nil, false
		}
		if !matches {
			continue
		}
		for key, list := range declare(action.Value) {
			found[key] = append(found[key], list...)
		}
	}
	return found, true
}

// declare returns the parameters of an action by lower-case name.
func declare(action *document.Node) map[string][]*document.Node {
	declared := make(map[string][]*document.Node)
	for _, p := range itemsOf(action.Get(keyParameters)) {
		key := strings.ToLower(p.TextOf(keyName, ""))
		declared[key] = append(declared[key], p)
	}
	return declared
}

// checkStatementValues checks the Parameters of a statement: by name, patterns of values.
func (m *mistakes) checkStatementValues(path string, n, commands *document.Node, effect string,
	actions *declaredActions) {
	if n.Kind != document.Object || len(n.Members) == 0 {
		m.wrong(path, "write an object with names of parameters, such as {\"env\":[\"test\",\"dev-*\"]}")
		return
	}
	const tooMuch = "there is too much to compare; write fewer and shorter patterns, and a Max for a String"
	declared, ok := actions.parametersOf(commands)
	if !ok {
		m.wrong(path, tooMuch)
		return
	}
	seen := make(map[string]string, len(n.Members))
	for _, member := range n.Members {
		if m.full() {
			return
		}
		at := document.Under(path, member.Key)
		key := strings.ToLower(member.Key)
		if other, twice := seen[key]; twice {
			m.wrong(at, "is the same parameter as %s; write one of them", other)
			continue
		}
		seen[key] = member.Key
		parameters := declared[key]
		lacks := func(p *document.Node) bool { return mayLack(p, member.Value) }
		switch {
		case len(parameters) == 0:
			m.wrong(at, "no action of the statement's Commands declares this parameter; %s",
				suggestParameter(member.Key, declared))
		case slices.ContainsFunc(parameters, func(p *document.Node) bool { return isTrue(p.Get(keySecret)) }):
			m.wrong(at, "is a Secret, which a statement cannot name")
		case effect == string(policy.Deny) && slices.ContainsFunc(parameters, lacks):
			m.wrong(at, "a Deny does not match a command without this value; make the parameter Required, or give it "+
				"a Default")
		default:
			if !m.checkValuePatterns(at, member.Value, parameters, actions) {
				m.wrong(at, tooMuch)
			}
		}
	}
}

// mayLack reports whether a command may have no value of a parameter, and so none that matches
// patterns: the target then chooses it. A Boolean without a value is not set, as with false.
func mayLack(p, patterns *document.Node) bool {
	if isTrue(p.Get(keyRequired)) || p.Get(keyDefault) != nil || p.Get(keyFixed) != nil {
		return false
	}
	return p.TextOf(keyType, "") != string(command.TypeBoolean) ||
		slices.ContainsFunc(itemsOf(patterns), func(n *document.Node) bool { return policy.Match(n.Text, "false") })
}

// suggestParameter suggests one of the declared parameters.
func suggestParameter(name string, declared map[string][]*document.Node) string {
	if len(declared) == 0 {
		return "none is declared"
	}
	var names []string
	for _, parameters := range declared {
		names = append(names, parameters[0].TextOf(keyName, ""))
	}
	slices.Sort(names)
	return Suggestion(name, names)
}

// checkValuePatterns checks the patterns of a parameter's values. parameters are those of the name.
// It is false if there is too much to compare.
func (m *mistakes) checkValuePatterns(path string, n *document.Node, parameters []*document.Node,
	actions *declaredActions) bool {
	patterns := m.checkStrings(path, n, command.Text(command.MaxValuePattern))
	for _, pattern := range patterns {
		if actions.decided -= costOf(pattern, longest(parameters)); actions.decided < 0 {
			return false
		}
	}
	for i := range n.Items {
		pattern, ok := patterns[i]
		found := !ok || slices.ContainsFunc(parameters, func(p *document.Node) bool {
			return actions.mayHave(p, pattern)
		})
		if actions.left < 0 {
			return false
		}
		if !found {
			m.wrong(document.At(path, i), "%s matches no value that the parameter can have", fault.Quote(pattern))
		}
	}
	return true
}

// mayHave reports whether a parameter can have a value that the pattern matches, as far as that can
// be found out.
func (d *declaredActions) mayHave(p *document.Node, pattern string) bool {
	parameter := command.NewParameter(p)
	kind := parameter.Type
	if values, ok := possibleValues(&parameter); ok {
		pattern = kind.Fold(pattern)
		return slices.ContainsFunc(values, func(value string) bool { return d.match(pattern, kind.Fold(value)) })
	}
	switch {
	case kind != command.TypeInteger:
		return true
	case strings.ContainsAny(pattern, command.Wildcards):
		return strings.Trim(pattern, "-0123456789"+command.Wildcards) == ""
	}
	canonical, ok := parameter.Canonical(pattern)
	return ok && canonical == pattern // 05 is compared with 5
}

// costOf returns how many pairs of characters policy.Match may compare until it finds that a
// pattern does not match a text of n characters: what follows a '*' may begin at each of them.
func costOf(pattern string, n int) int {
	_, rest, _ := strings.Cut(pattern, "*")
	if rest == "" {
		return len(pattern)
	}
	most := 0
	for part := range strings.SplitSeq(rest, "*") {
		most = max(most, len(part))
	}
	return n * (most + 1)
}

// longest returns the length of the longest value that one of the parameters may have.
func longest(parameters []*document.Node) int {
	most := 0
	for _, p := range parameters {
		parameter := command.NewParameter(p)
		if values, ok := possibleValues(&parameter); ok {
			for _, value := range values {
				most = max(most, len(value))
			}
			continue
		}
		n := command.MaxText
		if parameter.Type == command.TypeInteger {
			n = len("-9223372036854775808")
		} else if parameter.Max != nil && *parameter.Max >= 0 && *parameter.Max < command.MaxText {
			n = int(*parameter.Max)
		}
		most = max(most, n)
	}
	return most
}

// possibleValues returns the values that a parameter can have, if they can be listed.
func possibleValues(p *command.Parameter) (values []string, ok bool) {
	switch {
	case p.Fixed != nil:
		return []string{*p.Fixed}, true
	case p.Type == command.TypeBoolean:
		return []string{"true", "false"}, true
	}
	return p.Values, p.Type == command.TypeEnum
}

// itemsOf returns the items of a node; none for nil.
func itemsOf(n *document.Node) []*document.Node {
	if n == nil {
		return nil
	}
	return n.Items
}

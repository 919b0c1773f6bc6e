package chat

import (
	"math"
	"slices"
	"strings"

	"chatconf/shared/command"
	"chatconf/shared/document"
	"chatconf/shared/fault"
	"chatconf/shared/policy"
)

// Keys of a statement.
const (
	keyEffect        = "Effect"
	keyPrincipals    = "Principals"
	keyCommands      = "Commands"
	keyConversations = "Conversations"
)

var (
	permissionKeys     = []string{keyEffect, keyPrincipals, keyCommands, keyConversations, keyParameters, roleParam}
	permissionRequired = []string{keyEffect, keyPrincipals, keyCommands}

	effectText = command.OneOf(string(policy.Allow), string(policy.Deny))
)

// maxStatements is the maximum number of statements in Permissions.
const maxStatements = 100

// checkPermissions checks for a list of statements of the Configuration root. An empty list allows
// nothing.
func (m *mistakes) checkPermissions(path string, n, root *document.Node) {
	if n.Kind != document.Array {
		m.wrong(path, "is %v; write an array of statements", n.Kind)
		return
	}
	if len(n.Items) > maxStatements {
		m.wrong(path, "has %d statements; the most is %d", len(n.Items), maxStatements)
		return
	}
	actions := newDeclaredActions(root)
	for i, statement := range n.Items {
		if m.full() {
			return
		}
		m.checkPermission(document.At(path, i), statement, root, actions)
	}
}

func (m *mistakes) checkPermission(path string, n, root *document.Node, actions *declaredActions) {
	if n.Kind != document.Object {
		m.wrong(path, "is %v; write an object", n.Kind)
		return
	}
	m.checkKnown(path, n, permissionKeys, permissionRequired)
	effect := ""
	if e := n.Get(keyEffect); e != nil && m.checkText(document.Under(path, keyEffect), e, effectText) {
		effect = e.Text
	}
	if principals := n.Get(keyPrincipals); principals != nil {
		at := document.Under(path, keyPrincipals)
		texts := m.checkStrings(at, principals, principalText)
		for i := range principals.Items {
			if text, ok := texts[i]; ok {
				m.checkPrincipal(document.At(at, i), text, root.Get(command.KeyUserGroups))
			}
		}
	}
	if commands := n.Get(keyCommands); commands != nil {
		m.checkCommands(document.Under(path, keyCommands), commands, effect, actions)
	}
	if patterns := n.Get(keyConversations); patterns != nil {
		m.checkPatterns(document.Under(path, keyConversations), patterns, root.Get(command.KeyConversationIDs))
	}
	if values := n.Get(keyParameters); values != nil {
		m.checkStatementValues(document.Under(path, keyParameters), values, n.Get(keyCommands), effect, actions)
	}
	role := n.Get(roleParam)
	switch {
	case role == nil:
	case effect == string(policy.Deny):
		m.wrong(document.Under(path, roleParam), "does not apply to a Deny statement; remove it")
	default:
		m.checkRoleName(document.Under(path, roleParam), role)
	}
}

// roleText is the shape of the role of a statement or an action.
var roleText = command.Shape{
	Want:  "the name of a role, or the ARN of a role of another account",
	Least: 1, Most: 256,
	Each: command.Among(nameBytes + ".@:/"),
	Also: isRole,
}

// checkRoleName checks for the role of a statement or an action.
func (m *mistakes) checkRoleName(path string, n *document.Node) {
	if n.Kind != document.String || !roleText.Fits(n.Text) {
		m.wrong(path, "is not a role; write a name of 1 to 64 letters, digits, '.', '@', '-' and '_', or the ARN of "+
			"a role of another account")
	}
}

// checkCommands checks for patterns of commands. A Deny may not name a built-in command, which it
// cannot deny. In an Allow a built-in command changes nothing and is accepted. An alias would match
// nothing.
func (m *mistakes) checkCommands(path string, n *document.Node, effect string, actions *declaredActions) {
	patterns := m.checkStrings(path, n, command.NamePattern)
	for i := range n.Items {
		pattern, ok := patterns[i]
		if !ok {
			continue
		}
		folded := command.FoldName(pattern)
		name, isAlias := actions.aliases[folded]
		switch {
		case actions.isBuiltIn(folded):
			if effect == string(policy.Deny) {
				m.wrong(document.At(path, i), "%s is always allowed, so it cannot be denied", fault.Quote(pattern))
			}
		case isAlias:
			m.wrong(document.At(path, i), "%s is an alias, and Permissions need the name of the action; write %s",
				fault.Quote(pattern), fault.Quote(name))
		case actions.strict && !actions.hasName(folded):
			m.wrong(document.At(path, i), "%s matches no action, and with StrictActions there is no other command",
				fault.Quote(pattern))
		}
	}
}

// checkPatterns checks for patterns of conversations. Each must match one where the bot listens.
func (m *mistakes) checkPatterns(path string, n, conversations *document.Node) {
	patterns := m.checkStrings(path, n, command.IDPattern)
	if conversations == nil || conversations.Kind != document.Array {
		return
	}
	for i := range n.Items {
		pattern, ok := patterns[i]
		matches := func(c *document.Node) bool { return policy.Match(pattern, c.Text) }
		if ok && !slices.ContainsFunc(conversations.Items, matches) {
			m.wrong(document.At(path, i), "%s matches none of ConversationIds, so it can match nothing",
				fault.Quote(pattern))
		}
	}
}

// principalText is the shape of any principal; checkPrincipal checks the details.
var principalText = command.Shape{Want: wantPrincipal, Least: 1, Most: math.MaxInt}

const wantPrincipal = "user:<id>, group:<name> or *"

func (m *mistakes) checkPrincipal(path, principal string, groups *document.Node) {
	kind, name, _ := strings.Cut(principal, ":")
	switch {
	case principal == "*":
	// such a Deny would deny no one
	case kind == "user" && strings.ContainsAny(name, command.Wildcards):
		m.wrong(path, "%s names a user with '*' or '?', which a user id cannot contain; write %s",
			fault.Quote(principal), wantPrincipal)
	case kind == "user" && name != "" && !command.ID.Fits(name):
		m.wrong(path, "%s names a user whose id is not %s", fault.Quote(principal), command.ID.Want)
	case kind == "group" && name != "" && (groups == nil || groups.Get(name) == nil):
		m.wrong(path, "the group %s is not among UserGroups", fault.Quote(name))
	case kind != "user" && kind != "group" || name == "":
		m.wrong(path, "%s is not a principal; write %s", fault.Quote(principal), wantPrincipal)
	}
}

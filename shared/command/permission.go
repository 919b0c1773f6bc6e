package command

import (
	"slices"
	"strconv"
	"strings"

	"chatconf/shared/document"
	"chatconf/shared/policy"
)

// Names of the commands that are built in and always allowed, wherever the bot listens at all.
const (
	Help   = "help"   // says what the asker may run here
	WhoAmI = "whoami" // says the ids to put into a grant
)

// IsBuiltIn reports whether the command of that name, as Parse returns it, is one of them.
func IsBuiltIn(command string) bool { return command == Help || command == WhoAmI }

// A Cause is what a Decision rests on.
type Cause string

// The causes, in the order in which they are looked at.
const (
	CauseInactive     Cause = "Inactive"     // the configuration's Status
	CauseConversation Cause = "Conversation" // it is not among ConversationIds
	CauseNobody       Cause = "Nobody"       // the platform could not say who asks
	CauseCommand      Cause = "Command"      // there is none, or its text could not be parsed
	CauseBuiltIn      Cause = "BuiltIn"      // the command is always allowed
	CauseStatement    Cause = "Statement"    // a statement of Permissions
	CauseDefault      Cause = "Default"      // no statement matches, and what nothing allows is denied
)

// A Decision is whether a user may run a command in a conversation, and why.
type Decision struct {
	Allowed   bool
	Cause     Cause
	RamRole   string // what an allowed command runs as; empty if neither the statement nor the configuration names one
	Statement int    // index into Permissions of the statement that decided; -1 if none did
	Text      string // that statement, as compact JSON
	Reason    string // a sentence, in the configuration's language
}

// Permissions are who may run what where, by one revision of one configuration. They never change.
//
// A statement matches when one of its principals, one of its commands and one of its conversations
// do; one without Conversations matches in all of them. The first that denies decides; without one,
// the first that allows, and its RamRole, else the configuration's, is what the command runs as.
// What no statement allows is denied. Patterns know '*' and '?'; commands are compared without
// regard to case.
type Permissions struct {
	name          string // of the configuration
	language      string
	active        bool
	foldUsers     bool
	conversations map[string]struct{} // nil: all
	groups        map[string][]string // of a user
	statements    []permission
	role          string
}

// A permission is one statement.
type permission struct {
	effect        policy.Effect
	anybody       bool
	users, groups map[string]struct{}
	commands      []string
	conversations []string // nil: all
	role          string
	text          string
}

// Keys of a Configuration that Permissions are read from.
const (
	KeyConversationIDs = "ConversationIds"
	KeyUserGroups      = "UserGroups"
	KeyPermissions     = "Permissions"
	KeyLanguage        = "Language"
)

// PermissionOptions are what Permissions depend on besides the text of a Configuration.
type PermissionOptions struct {
	Name      string // of the configuration
	Active    bool   // its Status
	RamRole   string // its own, for statements that name none
	FoldUsers bool   // the platform takes user ids that differ in case for the same
}

// NewPermissions reads the permissions of a Configuration that was found right.
func NewPermissions(o PermissionOptions, root *document.Node) *Permissions {
	out := &Permissions{
		name:      o.Name,
		language:  root.TextOf(KeyLanguage, English),
		active:    o.Active,
		foldUsers: o.FoldUsers,
		groups:    make(map[string][]string),
		role:      o.RamRole,
	}
	if list := root.Get(KeyConversationIDs); list != nil {
		out.conversations = set(texts(list), func(s string) string { return s })
	}
	if groups := root.Get(KeyUserGroups); groups != nil {
		for _, m := range groups.Members {
			for user := range set(texts(m.Value), out.fold) {
				out.groups[user] = append(out.groups[user], m.Key)
			}
		}
	}
	if list := root.Get(KeyPermissions); list != nil {
		for _, n := range list.Items {
			out.statements = append(out.statements, out.newPermission(n))
		}
	}
	return out
}

func (p *Permissions) newPermission(n *document.Node) permission {
	out := permission{
		effect:   policy.Effect(n.TextOf("Effect", string(policy.Deny))),
		users:    make(map[string]struct{}),
		groups:   make(map[string]struct{}),
		commands: texts(n.Get("Commands")),
		role:     n.TextOf("RamRole", ""),
		text:     n.String(),
	}
	for i, pattern := range out.commands {
		out.commands[i] = FoldName(pattern)
	}
	if list := n.Get("Conversations"); list != nil {
		out.conversations = texts(list)
	}
	for _, principal := range texts(n.Get("Principals")) {
		kind, id, _ := strings.Cut(principal, ":")
		switch kind {
		case "*":
			out.anybody = true
		case "user":
			out.users[p.fold(id)] = struct{}{}
		case "group":
			out.groups[id] = struct{}{}
		}
	}
	return out
}

// Decide returns whether user may run the command of that name, as Parse returns it, in
// conversation.
func (p *Permissions) Decide(user, conversation, command string) Decision {
	out := Decision{Statement: -1}
	say := decidedNone
	switch {
	case !p.active:
		out.Cause, say = CauseInactive, decidedInactive
	case !p.listens(conversation):
		out.Cause, say = CauseConversation, decidedConversation
	case user == "":
		out.Cause, say = CauseNobody, decidedNobody
	case command == "":
		out.Cause, say = CauseCommand, decidedCommand
	case IsBuiltIn(command):
		out.Allowed, out.Cause, say = true, CauseBuiltIn, decidedBuiltIn
	default:
		out, say = p.ask(user, conversation, command)
	}
	out.Reason = sentenceIn(p.language, say, "name", p.name, "user", user,
		"conversation", conversation, "command", command,
		"statement", strconv.Itoa(out.Statement))
	return out
}

// ask asks the statements.
func (p *Permissions) ask(user, conversation, command string) (Decision, phrase) {
	var tally policy.Tally
	for i := range p.statements {
		s := &p.statements[i]
		if p.applies(s, user, conversation) && matchesAny(s.commands, command) && tally.Add(s.effect, 0, i) {
			break
		}
	}
	d := tally.Decision()
	if !d.Explicit() {
		return Decision{Cause: CauseDefault, Statement: -1}, decidedNone
	}
	s := &p.statements[d.Statement]
	out := Decision{Allowed: d.Allowed, Cause: CauseStatement, Statement: d.Statement, Text: s.text}
	if !d.Allowed {
		return out, decidedDeny
	}
	if out.RamRole = s.role; out.RamRole == "" {
		out.RamRole = p.role
	}
	return out, decidedAllow
}

// listens reports whether the bot takes commands in a conversation at all.
func (p *Permissions) listens(conversation string) bool {
	if p.conversations == nil {
		return true
	}
	_, ok := p.conversations[conversation]
	return ok
}

// applies reports whether a statement is about what user does in conversation.
func (p *Permissions) applies(s *permission, user, conversation string) bool {
	if s.conversations != nil && !matchesAny(s.conversations, conversation) {
		return false
	}
	if s.anybody {
		return true
	}
	if _, ok := s.users[p.fold(user)]; ok {
		return true
	}
	return slices.ContainsFunc(p.Groups(user), func(group string) bool { _, ok := s.groups[group]; return ok })
}

// Groups returns the groups of UserGroups that a user is in.
func (p *Permissions) Groups(user string) []string { return p.groups[p.fold(user)] }

// fold returns what a user id is compared by.
func (p *Permissions) fold(user string) string {
	if p.foldUsers {
		return strings.ToLower(user)
	}
	return user
}

// A Runnable is what somebody may run somewhere: patterns of command names. Those of Except are
// denied though a pattern of Commands matches them, perhaps; the built-in commands are not listed.
type Runnable struct {
	Commands []string
	Except   []string
	More     bool // there are more than are listed
}

// maxRunnable is how many commands are listed.
const maxRunnable = 100

// Runnable returns what user may run in conversation.
func (p *Permissions) Runnable(user, conversation string) Runnable {
	var out Runnable
	if !p.active || user == "" || !p.listens(conversation) {
		return out
	}
	var allowed []string
	for i := range p.statements {
		s := &p.statements[i]
		switch {
		case !p.applies(s, user, conversation):
		case s.effect == policy.Allow:
			allowed = append(allowed, s.commands...)
		default:
			out.Except = append(out.Except, s.commands...)
		}
	}
	for _, list := range []*[]string{&allowed, &out.Except} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	for _, pattern := range allowed {
		// An exact name that is denied is no command to be listed; of a pattern, some of what it
		// matches may be left.
		if covered(out.Except, pattern) {
			continue
		}
		if len(out.Commands) == maxRunnable {
			out.More = true
			break
		}
		out.Commands = append(out.Commands, pattern)
	}
	if len(out.Commands) == 0 {
		return Runnable{}
	}
	if len(out.Except) > maxRunnable {
		out.Except, out.More = out.Except[:maxRunnable], true
	}
	return out
}

// covered reports whether it is plain that the patterns deny all that pattern matches.
func covered(denied []string, pattern string) bool {
	if strings.ContainsAny(pattern, "*?") {
		return slices.Contains(denied, "*") || slices.Contains(denied, pattern)
	}
	return matchesAny(denied, pattern)
}

func matchesAny(patterns []string, s string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return policy.Match(pattern, s) })
}

// texts returns the texts of an array's items, none for no array.
func texts(n *document.Node) []string {
	if n == nil {
		return nil
	}
	out := make([]string, len(n.Items))
	for i, item := range n.Items {
		out[i] = item.Text
	}
	return out
}

func set(list []string, fold func(string) string) map[string]struct{} {
	out := make(map[string]struct{}, len(list))
	for _, s := range list {
		out[fold(s)] = struct{}{}
	}
	return out
}

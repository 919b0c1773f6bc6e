package command

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"chatconf/shared/document"
	"chatconf/shared/policy"
)

// Names of the built-in commands. They are always allowed in the bot's conversations.
const (
	Help   = "help"   // lists the commands that the sender may run here
	WhoAmI = "whoami" // returns the ids to write into Permissions
	Status = "status" // tells the state of an operation
	Cancel = "cancel" // cancels an operation
)

// IsOperation reports whether a name, as Parse returns it, is of a command about operations. It is
// built in only in some configurations: see Actions.IsBuiltIn.
func IsOperation(command string) bool { return command == Status || command == Cancel }

// IsBuiltIn reports whether a name, as Parse returns it, is of a command that is always built in.
func IsBuiltIn(command string) bool { return command == Help || command == WhoAmI }

// A Cause is the rule that made a Decision.
type Cause string

// The causes, in the order in which they are checked.
const (
	CauseInactive     Cause = "Inactive"     // the configuration's Status is Inactive
	CauseConversation Cause = "Conversation" // the conversation is not in ConversationIds
	CauseNobody       Cause = "Nobody"       // the platform did not identify the user
	CauseCommand      Cause = "Command"      // the message has no command, or it could not be parsed
	CauseBuiltIn      Cause = "BuiltIn"      // the command is always allowed
	CauseStatement    Cause = "Statement"    // a statement of Permissions
	CauseDefault      Cause = "Default"      // no statement matches: denied
)

// A Decision says whether a user may run a command in a conversation, and why.
type Decision struct {
	Allowed   bool
	Cause     Cause
	RamRole   string // of an allowed command: the statement's, else the action's, else the configuration's
	Statement int    // index into Permissions of the deciding statement; -1 without one
	Text      string // that statement, as compact JSON
	Reason    string // a sentence, in the configuration's language
}

// Permissions decide which users may run which commands in which conversations, by one revision of
// one configuration. They are immutable.
//
// A statement matches if one of its principals, one of its commands and one of its conversations
// match; without Conversations it matches in all. A statement with Parameters matches only a
// declared action that has a matching value for each of them. The first matching Deny decides, else
// the first matching Allow. The role is the statement's RamRole, else the action's, else the
// configuration's. A command without a matching statement is denied. Patterns know '*' and '?'.
// Commands are compared regardless of case, and so are the values of an Enum.
type Permissions struct {
	name          string // of the configuration
	language      string
	active        bool
	foldUsers     bool
	conversations map[string]struct{} // nil: all
	groups        map[string][]string // by user
	statements    []permission
	role          string
	actions       *Actions
}

// A permission is one statement.
type permission struct {
	effect        policy.Effect
	everyone      bool
	users, groups map[string]struct{}
	commands      []string
	conversations []string // nil: all
	values        []valuePatterns
	role          string
	text          string
}

// valuePatterns are the values of a parameter that a statement matches.
type valuePatterns struct {
	name     string
	patterns []string
	folded   []string // for values of an Enum
}

// Keys of a Configuration that Permissions are read from.
const (
	KeyConversationIDs = "ConversationIds"
	KeyUserGroups      = "UserGroups"
	KeyPermissions     = "Permissions"
	KeyLanguage        = "Language"
)

// PermissionOptions are what Permissions need in addition to the Configuration.
type PermissionOptions struct {
	Name      string // of the configuration
	Active    bool   // its Status
	RamRole   string // its own, for statements without one
	FoldUsers bool   // user ids that differ only in case are the same user
}

// NewPermissions reads the permissions of a valid Configuration.
func NewPermissions(o PermissionOptions, root *document.Node) *Permissions {
	out := &Permissions{
		name:      o.Name,
		language:  root.TextOf(KeyLanguage, English),
		active:    o.Active,
		foldUsers: o.FoldUsers,
		groups:    make(map[string][]string),
		role:      o.RamRole,
		actions:   NewActions(root, nil),
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
		if out.commands[i] = FoldName(pattern); p.actions.Find(out.commands[i]) != nil { // perhaps an alias
			out.commands[i] = FoldName(p.actions.Find(out.commands[i]).Name)
		}
	}
	if list := n.Get("Conversations"); list != nil {
		out.conversations = texts(list)
	}
	if values := n.Get("Parameters"); values != nil {
		for _, m := range values.Members {
			of := valuePatterns{name: m.Key, patterns: texts(m.Value)}
			for _, pattern := range of.patterns {
				of.folded = append(of.folded, TypeEnum.Fold(pattern))
			}
			out.values = append(out.values, of)
		}
	}
	for _, principal := range texts(n.Get("Principals")) {
		kind, id, _ := strings.Cut(principal, ":")
		switch kind {
		case "*":
			out.everyone = true
		case "user":
			out.users[p.fold(id)] = struct{}{}
		case "group":
			out.groups[id] = struct{}{}
		}
	}
	return out
}

// Decide returns whether the command's user may run it in its conversation. Its name is as Parse
// returns it.
func (p *Permissions) Decide(c Command) Decision {
	user, conversation, command := c.User, c.Conversation, c.Name
	out := Decision{Statement: -1}
	say := decidedNone
	switch {
	case !p.active:
		out.Cause, say = CauseInactive, decidedInactive
	case !p.listens(conversation):
		out.Cause, say = CauseConversation, decidedConversation
	case user == "":
		out.Cause, say = CauseNobody, decidedNobody
	case command == "" || c.Problem != nil && c.Action == "":
		out.Cause, say = CauseCommand, decidedCommand
	case p.actions.IsBuiltIn(command):
		out.Allowed, out.Cause, say = true, CauseBuiltIn, decidedBuiltIn
	case p.actions.Strict() && c.Action == "":
		out.Cause, say = CauseCommand, commandUndeclared
	default:
		out, say = p.evaluate(&c)
	}
	var problem *Error
	if errors.As(c.Problem, &problem) {
		out, say = p.explain(&c, problem, out, say)
	}
	if out.Reason != "" {
		return out
	}
	values := ""
	if out.Cause == CauseDefault {
		if names := p.otherValues(&c); len(names) > 0 {
			say, values = decidedValues, strings.Join(names, comma(p.language))
		}
	}
	out.Reason = sentenceIn(p.language, say, "name", p.name, "user", user,
		"conversation", conversation, "command", command,
		"statement", strconv.Itoa(out.Statement), "values", values)
	return out
}

// explain decides a message that is not a command, or has wrong arguments for its action. The
// problem is the reason. A problem with an action's arguments is shown only to senders who may run
// the action with other arguments.
func (p *Permissions) explain(c *Command, problem *Error, d Decision, say phrase) (Decision, phrase) {
	switch {
	case d.Cause == CauseCommand && problem.problem == commandUndeclared:
		problem = &Error{problem: commandUndeclared, choice: p.nearest(c)}
	case d.Cause == CauseCommand:
	case d.Cause != CauseStatement && d.Cause != CauseDefault, !d.Allowed && d.Cause == CauseStatement:
		return d, say
	default:
		if a := p.actions.Find(FoldName(c.Action)); a == nil || !p.mayRun(c.User, c.Conversation, a) {
			return Decision{Cause: CauseDefault, Statement: -1}, decidedNone
		}
	}
	return Decision{Cause: CauseCommand, Statement: -1, Reason: problem.Sentence(p.language)}, none
}

// evaluate decides by the statements.
func (p *Permissions) evaluate(c *Command) (Decision, phrase) {
	var tally policy.Tally
	for i := range p.statements {
		s := &p.statements[i]
		if p.applies(s, c.User, c.Conversation) && matchesAny(s.commands, c.Name) && s.matchesValues(c) &&
			tally.Add(s.effect, 0, i) {
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
		out.RamRole = p.roleOf(c.Action)
	}
	return out, decidedAllow
}

// roleOf returns the role of a command that a statement without a role allows: the action's, else
// the configuration's.
func (p *Permissions) roleOf(action string) string {
	if a := p.actions.Find(FoldName(action)); a != nil && a.RamRole != "" {
		return a.RamRole
	}
	return p.role
}

// matchesValues reports whether a command has a matching value for each parameter that the
// statement names. An undeclared command has no values.
func (s *permission) matchesValues(c *Command) bool {
	for i := range s.values {
		if c.Action == "" || !s.values[i].matches(c.Parameters) {
			return false
		}
	}
	return true
}

func (of *valuePatterns) matches(values []Value) bool {
	return slices.ContainsFunc(values, func(v Value) bool {
		if !strings.EqualFold(v.Name, of.name) || v.Secret {
			return false
		}
		if v.Type == TypeEnum {
			return matchesAny(of.folded, v.Type.Fold(v.Text))
		}
		return matchesAny(of.patterns, v.Text)
	})
}

// mayRun reports whether the user may run an action in the conversation, at least with some values.
func (p *Permissions) mayRun(user, conversation string, a *Action) bool {
	allow, _, _ := p.someValues(user, conversation, FoldName(a.Name), a)
	return allow >= 0
}

// someValues returns the first statement that allows a command with at least some values, and the
// first that denies it with all values; -1 for none, and then at most one is set. limited says that
// only some values are allowed. a is nil for an undeclared command, which has no values.
func (p *Permissions) someValues(user, conversation, name string, a *Action) (allow, deny int, limited bool) {
	allow, deny = -1, -1
	for i := range p.statements {
		s := &p.statements[i]
		if !p.applies(s, user, conversation) || !matchesAny(s.commands, name) {
			continue
		}
		switch {
		case s.effect != policy.Allow && len(s.values) == 0:
			return -1, i, false
		case s.effect != policy.Allow:
			limited = limited || a != nil && s.isOf(a)
		case allow < 0 && len(s.values) == 0, allow < 0 && a != nil && s.isOf(a):
			allow = i
			limited = limited || len(s.values) > 0
		}
	}
	return allow, deny, limited && allow >= 0
}

// DecideName is Decide for a command of which only the name is known, or a pattern of names as
// Runnable returns it. It allows an action that the user may run with some values; some then says
// that other values are denied, or run under another statement. Reason is empty.
func (p *Permissions) DecideName(user, conversation, name string) (d Decision, some bool) {
	name = FoldName(name)
	a := p.actions.Find(name)
	if a != nil {
		name = FoldName(a.Name)
	}
	d = Decision{Statement: -1}
	switch {
	case !p.active:
		d.Cause = CauseInactive
		return d, false
	case !p.listens(conversation):
		d.Cause = CauseConversation
		return d, false
	case user == "":
		d.Cause = CauseNobody
		return d, false
	case p.actions.IsBuiltIn(name):
		d.Allowed, d.Cause = true, CauseBuiltIn
		return d, false
	case p.actions.Strict() && a == nil:
		d.Cause = CauseCommand
		return d, false
	}
	allow, deny, some := p.someValues(user, conversation, name, a)
	at := max(allow, deny)
	if at < 0 {
		d.Cause = CauseDefault
		return d, false
	}
	s := &p.statements[at]
	d = Decision{Allowed: allow >= 0, Cause: CauseStatement, Statement: at, Text: s.text}
	if d.Allowed {
		if d.RamRole = s.role; d.RamRole == "" {
			action := ""
			if a != nil {
				action = a.Name
			}
			d.RamRole = p.roleOf(action)
		}
	}
	return d, some
}

// nearest returns the action that the user may run, and may have meant by an undeclared name; empty
// if none.
func (p *Permissions) nearest(c *Command) string {
	var names []string
	if c.Action != "" || len(c.Name) > 4*maxParameterName { // comparing takes time
		return ""
	}
	for _, a := range p.actions.All() {
		if p.mayRun(c.User, c.Conversation, a) {
			names = append(append(names, a.Name), a.Aliases...)
		}
	}
	return Similar(c.Name, names)
}

// isOf reports whether an action has all the parameters that the statement names.
func (s *permission) isOf(a *Action) bool {
	return !slices.ContainsFunc(s.values, func(of valuePatterns) bool { return a.index(of.name) < 0 })
}

// otherValues returns the parameters whose other values would let an Allow match the command.
func (p *Permissions) otherValues(c *Command) []string {
	var out []string
	a := p.actions.Find(FoldName(c.Action))
	if c.Action == "" || a == nil {
		return nil
	}
	for i := range p.statements {
		s := &p.statements[i]
		if s.effect != policy.Allow || len(s.values) == 0 || !s.isOf(a) || !matchesAny(s.commands, c.Name) ||
			!p.applies(s, c.User, c.Conversation) {
			continue
		}
		for j := range s.values {
			if name := a.Parameters[a.index(s.values[j].name)].Name; !s.values[j].matches(c.Parameters) &&
				!slices.Contains(out, name) {
				out = append(out, name)
			}
		}
	}
	return out
}

// listens reports whether the bot accepts commands in a conversation.
func (p *Permissions) listens(conversation string) bool {
	if p.conversations == nil {
		return true
	}
	_, ok := p.conversations[conversation]
	return ok
}

// applies reports whether a statement matches user and conversation.
func (p *Permissions) applies(s *permission, user, conversation string) bool {
	if s.conversations != nil && !matchesAny(s.conversations, conversation) {
		return false
	}
	if s.everyone {
		return true
	}
	if _, ok := s.users[p.fold(user)]; ok {
		return true
	}
	return slices.ContainsFunc(p.Groups(user), func(group string) bool { _, ok := s.groups[group]; return ok })
}

// Groups returns the user's groups of UserGroups.
func (p *Permissions) Groups(user string) []string { return p.groups[p.fold(user)] }

// fold returns a user id in the form that ids are compared in.
func (p *Permissions) fold(user string) string {
	if p.foldUsers {
		return strings.ToLower(user)
	}
	return user
}

// A Runnable lists what a user may run in a conversation, as patterns of command names. Patterns of
// Except are denied even if a pattern of Commands matches. An action is listed if it may be run
// with some values. Built-in commands are not listed.
type Runnable struct {
	Commands []string
	Except   []string
	More     bool // the list is cut
}

// maxRunnable is how many patterns are listed.
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
		case s.effect == policy.Allow && len(s.values) == 0:
			allowed = append(allowed, s.commands...)
		case s.effect == policy.Deny && len(s.values) == 0:
			out.Except = append(out.Except, s.commands...)
		}
	}
	for _, a := range p.actions.All() {
		if p.mayRun(user, conversation, a) {
			allowed = append(allowed, FoldName(a.Name))
		}
	}
	if p.actions.Strict() {
		isAction := func(name string) bool { return p.actions.Find(name) == nil }
		allowed, out.Except = slices.DeleteFunc(allowed, isAction), nil
	}
	for _, list := range []*[]string{&allowed, &out.Except} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	for _, pattern := range allowed {
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

// covered reports whether the denied patterns clearly cover pattern. Of a pattern with wildcards
// some names may remain, so only the same pattern or * covers it.
func covered(denied []string, pattern string) bool {
	if strings.ContainsAny(pattern, "*?") {
		return slices.Contains(denied, "*") || slices.Contains(denied, pattern)
	}
	return matchesAny(denied, pattern)
}

func matchesAny(patterns []string, s string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return policy.Match(pattern, s) })
}

// texts returns the texts of an array's items; nil for nil.
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

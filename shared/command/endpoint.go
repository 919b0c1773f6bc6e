package command

import (
	"bytes"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"chatconf/shared/document"
	"chatconf/shared/secret"
)

// An Endpoint is one revision of one configuration for the data plane, with its secrets unsealed.
// It is immutable. It shows no secret in fmt, JSON and slog.
type Endpoint struct {
	Account  string
	Region   string
	Name     string
	Type     string // of the platform
	Revision int64
	Life     string // a new one each time the name is created; empty in configurations from before lives had ids
	Created  time.Time
	Active   bool   // Status
	Receive  string // how messages come: ReceiveWebhook or ReceiveStream
	Language string // English or Chinese
	BotName  string
	RamRole  string // the configuration's own

	// Settings are BotName, Receive if it is Stream, and the platform's settings in the
	// Configuration, by key. A key that ends in Previous holds a second valid secret: the one in
	// the Configuration or, during the grace time, the one that a rotation replaced.
	Settings map[string]secret.Text

	Target      Target
	Actions     *Actions
	Permissions *Permissions
}

// TargetOf returns the target of a command: its action's, else the configuration's.
func (e *Endpoint) TargetOf(c Command) Target {
	if a := e.Actions.Find(FoldName(c.Action)); a != nil {
		return a.targetOr(e.Target)
	}
	return e.Target
}

// Ref returns the reference to this life of the configuration.
func (e *Endpoint) Ref() Ref {
	return Ref{Account: e.Account, Region: e.Region, Name: e.Name, Life: e.Life}
}

// LogValue returns the fields that a log may show.
func (e *Endpoint) LogValue() slog.Value {
	return slog.GroupValue(slog.String("name", e.Name), slog.String("type", e.Type), slog.Int64("revision", e.Revision))
}

// Command parses a message of the platform's receiver. If the message is not a command, or has an
// unread part, the error is a *Error and the Command has no Name and no Arguments. If it is not a
// command of its action, the error is a *Error too, and the Command has no Parameters.
func (e *Endpoint) Command(m *Message) (Command, error) {
	out := Command{
		Account:       e.Account,
		Region:        e.Region,
		Configuration: e.Name,
		Platform:      e.Type,
		Conversation:  m.Conversation,
		Direct:        m.Direct,
		User:          m.User,
		UserName:      m.UserName,
		Groups:        e.Permissions.Groups(m.User),
		MessageID:     m.ID,
		EventID:       m.EventID,
		Edit:          m.Edit,
		Sent:          m.Sent,
		Text:          m.Text,
	}
	if m.Unread != "" {
		out.Problem = unreadProblem(m.Unread)
	} else {
		e.read(&out)
	}
	return out, out.Problem
}

// read parses the text of a command.
func (e *Endpoint) read(c *Command) {
	if c.Name, c.Arguments, c.Problem = Parse(c.Text); c.Problem == nil {
		c.Problem = e.Actions.resolve(c)
	}
}

// errChanged is the error of Again.
var errChanged = errors.New("command: the configuration reads the message in another way now")

// Again parses a recorded command's text again. It returns an error if the present Actions make
// another command of it.
func (e *Endpoint) Again(c Command) error {
	now := Command{Text: c.Text}
	e.read(&now)
	if now.Problem != nil || now.Name != c.Name || now.Action != c.Action || now.DryRun != c.DryRun ||
		!slices.Equal(now.Parameters, c.Parameters) {
		return errChanged
	}
	return nil
}

// Decide returns whether the command may run. If the message is not a command, Reason says why.
func (e *Endpoint) Decide(c Command) Decision { return e.Permissions.Decide(c) }

// Reply returns the answer for the sender: the command was accepted, the answer of a built-in
// command, or a denial with the ids and the statement that would allow it. It contains the sender's
// own words, so it must be shown as plain text. It is empty for Status and Cancel, whose answers
// need the journal.
func (e *Endpoint) Reply(c Command, d Decision) string {
	say := func(p phrase, fill ...string) string {
		return sentenceIn(e.Language, p, append(fill, "name", e.Name, "user", c.User, "conversation",
			c.Conversation, "command", c.Name)...)
	}
	who := func() string {
		lines := []string{say(saidWho)}
		if len(c.Groups) > 0 {
			lines = append(lines, say(saidGroups, "groups", strings.Join(c.Groups, comma(e.Language))))
		}
		return strings.Join(lines, "\n")
	}
	switch {
	case d.Cause == CauseBuiltIn && c.Name == WhoAmI:
		return who()
	case d.Cause == CauseBuiltIn && IsOperation(c.Name):
		return ""
	case d.Cause == CauseBuiltIn:
		return strings.Join(e.help(c), "\n")
	case d.Allowed:
		return say(saidAccepted)
	case d.Cause == CauseDefault:
		names := e.Permissions.otherValues(&c)
		lines := []string{say(saidDenied), who(), say(saidGrant, "grant", e.Grant(c))}
		if len(names) > 0 {
			lines = slices.Insert(lines, 1, d.Reason)
		}
		if choice := e.Permissions.nearest(&c); choice != "" {
			lines = slices.Insert(lines, 1, say(saidChoice, "choice", choice))
		}
		return strings.Join(lines, "\n")
	case d.Cause == CauseStatement:
		return strings.Join([]string{say(saidDenied), d.Reason, who()}, "\n")
	case d.Cause == CauseConversation:
		return strings.Join([]string{d.Reason, who(), say(saidJoin)}, "\n")
	}
	return d.Reason
}

// Undelivered returns the answer for the sender of an accepted command that the target did not
// accept. id is the record's.
func (e *Endpoint) Undelivered(c Command, id string) string {
	return sentenceIn(e.Language, saidUndelivered, "command", c.Name, "name", e.Name, "id", id)
}

// mostListed is how many actions are listed with their usage. Further ones are listed by name.
const mostListed = 20

// help describes the action that the sender names, or lists the commands that the sender may run
// here, and tells nothing about others.
func (e *Endpoint) help(c Command) []string {
	var lines []string
	if e.Actions != nil && len(c.Arguments) > 0 {
		name := FoldName(c.Arguments[0])
		a := e.Actions.Find(name)
		switch {
		case e.Actions.IsBuiltIn(name) && name == Status:
			return []string{sentenceIn(e.Language, saidHelpStatus)}
		case e.Actions.IsBuiltIn(name) && name == Cancel:
			return []string{sentenceIn(e.Language, saidHelpCancel)}
		case e.Actions.IsBuiltIn(name):
		case a != nil && e.Permissions.mayRun(c.User, c.Conversation, a):
			return a.Describe(e.Language)
		case a == nil && e.Decide(Command{User: c.User, Conversation: c.Conversation, Name: name}).Allowed:
			lines = append(lines, sentenceIn(e.Language, saidUndeclared))
		default:
			lines = append(lines, sentenceIn(e.Language, saidNotHere))
		}
	}
	list := func(p phrase, commands []string) {
		if len(commands) > 0 {
			lines = append(lines, sentenceIn(e.Language, p, "commands", strings.Join(commands, comma(e.Language))))
		}
	}
	may := e.Permissions.Runnable(c.User, c.Conversation)
	usages, names := e.usages(c)
	others := slices.DeleteFunc(may.Commands, func(name string) bool {
		return slices.Contains(names, name) || e.Actions.IsBuiltIn(name)
	})
	switch {
	case len(others) > 0:
		list(saidCommands, others)
	case len(usages) > 0:
		lines = append(lines, sentenceIn(e.Language, saidActions))
	default:
		lines = append(lines, sentenceIn(e.Language, saidNothing))
	}
	list(saidExcept, may.Except)
	lines = append(lines, usages...)
	if may.More {
		lines = append(lines, sentenceIn(e.Language, saidMore))
	}
	if len(usages) > 0 {
		lines = append(lines, sentenceIn(e.Language, saidActionMore))
	}
	builtIn := []string{Help, WhoAmI}
	if e.Actions.IsBuiltIn(Status) {
		builtIn = append(builtIn, Status, Cancel)
	}
	list(saidBuiltIn, builtIn)
	return lines
}

// usages returns how the first actions that the sender may run are written, and their names in
// Runnable.
func (e *Endpoint) usages(c Command) (lines, names []string) {
	for _, a := range e.Actions.All() {
		if len(lines) == mostListed {
			break
		}
		if !e.Permissions.mayRun(c.User, c.Conversation, a) {
			continue
		}
		line := a.Usage()
		if a.Summary != "" {
			line = sentenceIn(e.Language, saidAction, "usage", line, "summary", a.Summary)
		}
		lines, names = append(lines, line), append(names, FoldName(a.Name))
	}
	return lines, names
}

// MaxValuePattern is the length of a pattern of values in a statement, in characters.
const MaxValuePattern = 200

// patternOf returns a pattern that can be saved, and matches a value and little more; empty for an
// empty value.
func patternOf(value string) string {
	runes := []rune(strings.Map(func(r rune) rune {
		if r == '*' || r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, value))
	if len(runes) > MaxValuePattern {
		return string(runes[:MaxValuePattern-1]) + "*"
	}
	return string(runes)
}

// Grant returns the statement that would allow a command which no statement matches, as compact
// JSON. It names the command's values only where other statements would allow other values.
func (e *Endpoint) Grant(c Command) string { return grant(c, e.Permissions.otherValues(&c)) }

// grant returns the statement that would allow the command to its user in its conversation, with
// its values of the named parameters.
func grant(c Command, names []string) string {
	var b bytes.Buffer
	b.WriteString(`{"Effect":"Allow","Principals":[`)
	document.WriteString(&b, "user:"+c.User)
	b.WriteString(`],"Commands":[`)
	document.WriteString(&b, c.Name)
	b.WriteString(`],"Conversations":[`)
	document.WriteString(&b, c.Conversation)
	b.WriteByte(']')
	before := `,"Parameters":{`
	for _, v := range c.Parameters {
		if v.Secret || v.Text == "" || !slices.Contains(names, v.Name) {
			continue
		}
		b.WriteString(before)
		document.WriteString(&b, v.Name)
		b.WriteString(`:[`)
		document.WriteString(&b, patternOf(v.Text))
		b.WriteByte(']')
		before = ","
	}
	if before == "," {
		b.WriteByte('}')
	}
	b.WriteByte('}')
	return b.String()
}

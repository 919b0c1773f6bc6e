package command

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"time"

	"chatconf/shared/document"
	"chatconf/shared/secret"
)

// An Endpoint is one revision of one configuration as the data plane needs it, its secrets
// unsealed. It never changes, and the same revision may be the same Endpoint again. It shows no
// secret in fmt, JSON and slog.
type Endpoint struct {
	Account  string
	Region   string
	Name     string
	Type     string // of the platform
	Revision int64
	Life     string // another one each time that the name is created; empty where it was made before there were any
	Created  time.Time
	Active   bool   // Status
	Language string // English or Chinese
	BotName  string
	RamRole  string // the configuration's own

	// Settings are the platform's settings that are given, secret or not, by key, and BotName.
	// Under a key that ends in Previous is the secret that is taken besides the one before it: what
	// the Configuration says, or while its grace lasts, what a rotation replaced.
	Settings map[string]secret.Text

	Target      Target
	Permissions *Permissions
}

// Ref names the configuration, in this life of its name.
func (e *Endpoint) Ref() Ref {
	return Ref{Account: e.Account, Region: e.Region, Name: e.Name, Life: e.Life}
}

// LogValue returns what a log may show.
func (e *Endpoint) LogValue() slog.Value {
	return slog.GroupValue(slog.String("name", e.Name), slog.String("type", e.Type), slog.Int64("revision", e.Revision))
}

// Command makes a command of a message that the platform's receiver read. One that is none, or of
// which something could not be read, is a *Error, and what is known of it is returned with
// it, without Name and Arguments.
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
		out.Name, out.Arguments, out.Problem = Parse(m.Text)
	}
	return out, out.Problem
}

// Decide returns whether the command may run. Of a message that is none, the reason says why.
func (e *Endpoint) Decide(c Command) Decision {
	out := e.Permissions.Decide(c.User, c.Conversation, c.Name)
	var problem *Error
	if out.Cause == CauseCommand && errors.As(c.Problem, &problem) {
		out.Reason = problem.Sentence(e.Language)
	}
	return out
}

// Reply returns what to tell who gave a command that was decided so: that it was accepted, what a
// built-in command has to say, or that it was refused, with the ids and the statement that an
// administrator would need to grant it. A user's own words are in it, so it is to be shown as plain
// text.
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
	case d.Cause == CauseBuiltIn:
		return strings.Join(e.help(c), "\n")
	case d.Allowed:
		return say(saidAccepted)
	case d.Cause == CauseDefault:
		return strings.Join([]string{say(saidDenied), who(), say(saidGrant, "grant", grant(c))}, "\n")
	case d.Cause == CauseStatement:
		return strings.Join([]string{say(saidDenied), d.Reason, who()}, "\n")
	case d.Cause == CauseConversation:
		return strings.Join([]string{d.Reason, who(), say(saidJoin)}, "\n")
	}
	return d.Reason
}

// Undelivered returns what to tell who gave a command that was accepted, and then was not taken by
// the target. id is the record's.
func (e *Endpoint) Undelivered(c Command, id string) string {
	return sentenceIn(e.Language, saidUndelivered, "command", c.Name, "name", e.Name, "id", id)
}

// help says what the asker may run here, and nothing of what others may.
func (e *Endpoint) help(c Command) []string {
	var lines []string
	list := func(p phrase, commands []string) {
		if len(commands) > 0 {
			lines = append(lines, sentenceIn(e.Language, p, "commands", strings.Join(commands, comma(e.Language))))
		}
	}
	may := e.Permissions.Runnable(c.User, c.Conversation)
	list(saidCommands, may.Commands)
	list(saidExcept, may.Except)
	if len(may.Commands) == 0 {
		lines = append(lines, sentenceIn(e.Language, saidNothing))
	}
	if may.More {
		lines = append(lines, sentenceIn(e.Language, saidMore))
	}
	return append(lines, sentenceIn(e.Language, saidBuiltIn))
}

// grant returns the statement that would allow a command to its user where it was given.
func grant(c Command) string {
	var b bytes.Buffer
	b.WriteString(`{"Effect":"Allow","Principals":[`)
	document.WriteString(&b, "user:"+c.User)
	b.WriteString(`],"Commands":[`)
	document.WriteString(&b, c.Name)
	b.WriteString(`],"Conversations":[`)
	document.WriteString(&b, c.Conversation)
	b.WriteString(`]}`)
	return b.String()
}

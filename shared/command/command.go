// Package command parses chat messages into commands, decides who may run them, and has the
// sentences that people in chat read.
//
// An Endpoint is one chat configuration. Its Actions are declared commands with typed parameters.
// Permissions decide on a Command, and may name values of parameters. Redact masks likely secrets
// before a command is shown. The package does no I/O.
package command

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"chatconf/shared/secret"
)

// Limits of a command.
const (
	// MaxText is the size of a message's text, in bytes.
	MaxText = 8 << 10
	// MaxArguments is the number of arguments of a command.
	MaxArguments = 100
	// MaxName is the length of a command's name, in characters.
	MaxName = 128
)

// A Command is a message that asks a bot to do something: its sender, its place and its words.
// Text and Arguments are as the sender typed them. They may hold secrets, so a log shows neither.
type Command struct {
	Account       string
	Region        string
	Configuration string // the name of the chat configuration
	Platform      string // its type
	Conversation  string
	Direct        bool // one to one with the bot
	User          string
	UserName      string   // for people; not authenticated
	Groups        []string // the user's groups of UserGroups, in their order
	MessageID     string
	Edit          string    `json:"-"` // Message.Edit
	EventID       string    // the delivery's id, if the platform sends one
	Sent          time.Time // zero if the platform does not say
	Text          string
	Name          string // the first word, in lower case and half width
	Arguments     []string

	// Action is the name of the declared action that the command is; empty if it is undeclared or
	// built in. Name is then the action's name, also if the sender typed an alias.
	Action     string `json:",omitempty"`
	Parameters Values `json:",omitempty"` // of the action: given, default and fixed
	DryRun     bool   `json:",omitempty"`

	Problem error `json:"-"` // a *Error if the message is not a command, else nil
}

// LogValue returns the fields that a log may show.
func (c Command) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("configuration", c.Configuration),
		slog.String("platform", c.Platform),
		slog.String("user", c.User),
		slog.String("conversation", c.Conversation),
		slog.String("name", c.Shown()),
	)
}

// Format writes the fields that a log may show, for every verb.
func (c Command) Format(s fmt.State, _ rune) { io.WriteString(s, c.LogValue().String()) }

// Shown returns the name for logs and records. It is masked if it looks like a secret, since a
// sender may paste a secret by mistake.
func (c Command) Shown() string {
	if c.Action != "" {
		return c.Name
	}
	name, _ := redactWord(c.Name)
	return name
}

// Recorded returns the name and the arguments for a record. Those of an action are name=value, in
// declared order. Likely secrets are masked, and every value of a secret parameter.
func (c Command) Recorded() (name string, args []string) {
	if c.Action == "" {
		return Redact(c.Name, c.Arguments)
	}
	var wrong *Error
	if errors.As(c.Problem, &wrong) { // so there are no values
		if wrong.action == nil || wrong.action.hasSecret() {
			return c.Name, slices.Repeat([]string{secret.Mask}, len(c.Arguments))
		}
		return c.Name, redact(c.Arguments)
	}
	args = c.shownValues()
	for i := range args { // one by one, so that each keeps its name
		args[i] = redact(args[i : i+1])[0]
	}
	return c.Name, args
}

// shownValues returns the values as name=value, with secrets masked.
func (c Command) shownValues() []string {
	out := make([]string, 0, len(c.Parameters)+1)
	for _, v := range c.Parameters {
		out = append(out, v.String())
	}
	if c.DryRun {
		out = append(out, "--"+dryRun)
	}
	return out
}

// Words returns the text and the arguments for the target: as the sender typed them, or with a
// secret value of an action, made from the values with secrets masked.
func (c Command) Words() (text string, args []string) {
	if !slices.ContainsFunc(c.Parameters, func(v Value) bool { return v.Secret }) {
		return c.Text, c.Arguments
	}
	args = c.shownValues()
	return Format(c.Name, args), args
}

// An Error says why a text is not a command, or not one of its action.
type Error struct {
	problem   phrase
	unread    string     // Message.Unread, if that is the problem
	action    *Action    // whose usage is said; nil if the text is not a command of an action
	parameter *Parameter // that has the problem
	word      string     // that has the problem; no secret
	choice    string     // that the sender may have meant
}

// Error returns the text for a log. Sentence returns it for the sender.
func (e *Error) Error() string {
	return "command: " + strings.TrimSuffix(strings.ReplaceAll(e.Sentence(English), "\n", " "), ".")
}

// Sentence returns the text for the sender, in English or Chinese.
func (e *Error) Sentence(language string) string {
	fill := []string{"unread", unreadIn(language, e.unread), "word", e.word, "choice", e.choice}
	if p := e.parameter; p != nil {
		fill = append(fill, "parameter", p.Name, "want", p.Want(language))
	}
	if e.action != nil {
		fill = append(fill, "command", e.action.Name, "usage", e.action.Usage())
	}
	text := sentenceIn(language, e.problem, fill...)
	if e.choice != "" {
		text += space(language) + sentenceIn(language, saidChoice, fill...)
	}
	if e.action != nil {
		text += "\n" + sentenceIn(language, saidUsage, fill...)
	}
	return text
}

// Parse splits a message's text. The first word is the command's name, in lower case and half
// width. The other words are its arguments, unchanged.
//
// Blanks of any kind separate words: tabs, line ends, full-width and no-break spaces, and the
// zero-width spaces that chat clients leave behind mentions. Quotes work as in a shell. Inside '…'
// every character is literal. Inside "…" a backslash escapes a quote or a backslash. Outside
// quotes a backslash escapes any character and joins lines.
//
// Typographic quotes work too: “ ” and „ are double quotes and close each other; ‘ and ’ are
// single quotes. A ’ that closes nothing is an apostrophe.
//
// Parse undoes what chat clients and markup change outside quotes:
//
//   - dashes at the start of an argument, before a letter, become hyphens: –f is -f, and —force
//     and ––force are --force;
//   - backticks around a word or the whole text, and code fences, are removed;
//   - * and _ around the command, or around a text that begins with it, are removed;
//   - a / before the command is removed: /restart is restart;
//   - a Markdown link becomes its text if the client made the link, else its address.
//
// These are a *Error: a text over MaxText, more than MaxArguments arguments, an invalid name, an
// open quote or backtick, and control or invisible characters.
func Parse(text string) (name string, args []string, err error) {
	if len(text) > MaxText {
		return "", nil, &Error{problem: commandTooLong}
	}
	words, problem := splitWords(text)
	switch {
	case problem != none:
		return "", nil, &Error{problem: problem}
	case len(words) == 0:
		return "", nil, &Error{problem: commandEmpty}
	case len(words)-1 > MaxArguments:
		return "", nil, &Error{problem: commandTooMany}
	}
	if name = FoldName(words[0].text); !isName(name) {
		return "", nil, &Error{problem: commandBadName}
	}
	args = make([]string, 0, len(words)-1)
	for _, w := range words[1:] {
		args = append(args, w.argument())
	}
	return name, args, nil
}

// foldName returns a command's name, or a pattern for one, in the form that names are compared in:
// lower case, after Unicode simple folding, with full-width letters, digits and hyphens as ASCII.
func foldName(name string) string {
	if !strings.ContainsFunc(name, func(r rune) bool { return r >= utf8.RuneSelf }) { // the usual case
		return strings.ToLower(name)
	}
	return strings.Map(func(r rune) rune {
		// Not the full-width wildcards.
		if 'ａ' <= r && r <= 'ｚ' || 'Ａ' <= r && r <= 'Ｚ' || '０' <= r && r <= '９' || r == '－' || r == '＿' || r == '．' {
			r += '!' - '！'
		}
		least := r
		for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
			least = min(least, other)
		}
		return unicode.ToLower(least)
	}, name)
}

// isName reports whether a word can be a command's name. A > quotes another message.
func isName(name string) bool {
	return NamePattern.Fits(name) && !strings.ContainsAny(name, Wildcards) && name[0] != '>'
}

// Format returns the text that Parse parses into name and args, with quotes where needed.
func Format(name string, args []string) string {
	var b strings.Builder
	writeWord(&b, name, strings.HasPrefix(name, "_"))
	for _, arg := range args {
		b.WriteByte(' ')
		writeWord(&b, arg, hyphens(arg) != arg)
	}
	return b.String()
}

func writeWord(b *strings.Builder, word string, quoted bool) {
	special := func(r rune) bool { return r == '\\' || r == '`' || r == '[' || isBlank(r) || opens(r) != noQuote }
	if word != "" && !quoted && !strings.ContainsFunc(word, special) {
		b.WriteString(word)
		return
	}
	b.WriteByte('\'')
	b.WriteString(strings.ReplaceAll(word, "'", `'\''`))
	b.WriteByte('\'')
}

// NamePattern is the shape of a command's name, and of a pattern for one.
var NamePattern = Shape{
	Want:  "1 to 128 characters without blanks",
	Least: 1, Most: MaxName,
	Each: func(r rune) bool { return !isBlank(r) && !isHidden(r) && !joins(r) },
	Also: utf8.ValidString,
}

// Wildcards have a meaning in patterns, so a name contains none: a statement that grants such a
// name would grant more.
const Wildcards = "*?"

// isBlank reports whether a character separates words. U+200B and U+FEFF are spaces without width.
func isBlank(r rune) bool { return unicode.IsSpace(r) || r == '\u200b' || r == '\ufeff' }

// isHidden reports whether a character is invisible or changes the direction of writing, so that
// one command could look like another. The two joiners are allowed: emoji and several scripts need
// them.
func isHidden(r rune) bool {
	switch r {
	case '\t', '\n', '\u200b', '\ufeff', '\u200c', '\u200d':
		return false
	case '\u2800': // braille without dots
		return true
	}
	return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) ||
		unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r)
}

// joins reports whether a character only changes how its neighbours are drawn. An argument may need
// it. A name must not have it: two names that look alike may have different permissions.
func joins(r rune) bool { return unicode.In(r, unicode.Join_Control, unicode.Variation_Selector) }

// A quotation is the quote around a word.
type quotation uint8

const (
	noQuote     quotation = iota
	single                // '…'
	double                // "…"
	curlySingle           // ‘…’
	curlyDouble           // “…”
)

func opens(r rune) quotation {
	switch r {
	case '\'':
		return single
	case '"':
		return double
	case '‘':
		return curlySingle
	case '“', '”', '„':
		return curlyDouble
	}
	return noQuote
}

func (q quotation) closes(r rune) bool {
	if q == curlySingle {
		return r == '’'
	}
	return q != noQuote && opens(r) == q
}

// escapes reports whether a backslash escapes inside the quote.
func (q quotation) escapes() bool { return q != single && q != curlySingle }

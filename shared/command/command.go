// Package command is what was said in a chat: how a message becomes a Command, who may run it, and
// the sentences we answer.
//
// An Endpoint is a chat configuration as its webhook needs it, Permissions decide on a Command, and
// Redact masks what looks like a secret before a command is shown. The package does no input or
// output and knows no table.
package command

import (
	"log/slog"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
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

// A Command is a message that asks a bot to do something: who asked, where, and what.
// Text and Arguments are as they were typed and may hold secrets; a log shows neither.
type Command struct {
	Account       string
	Region        string
	Configuration string // the name of the chat configuration
	Platform      string // its type
	Conversation  string
	Direct        bool // one to one with the bot
	User          string
	UserName      string   // for people; proves nothing
	Groups        []string // of UserGroups that the user is in, in their order
	MessageID     string
	Edit          string    `json:"-"` // of a message that was edited, as Message.Edit
	EventID       string    // of the delivery, if the platform gives one
	Sent          time.Time // zero if the platform does not say
	Text          string
	Name          string // the first word, in lower case and half width
	Arguments     []string
	Problem       error `json:"-"` // a *Error that says why the message is no command; nil if it is one
}

// LogValue returns what a log may show.
func (c Command) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("configuration", c.Configuration),
		slog.String("platform", c.Platform),
		slog.String("user", c.User),
		slog.String("conversation", c.Conversation),
		slog.String("name", c.Shown()),
	)
}

// Shown returns the name as logs and records show it: masked if it looks like a secret, which
// somebody may have said to the bot by mistake.
func (c Command) Shown() string {
	name, _ := redactWord(c.Name)
	return name
}

// A Error says why a text is no command.
type Error struct {
	problem phrase
	unread  string // of the message, if that is the problem
}

// Error says it for a log; Sentence says it to the person who typed the text.
func (e *Error) Error() string {
	return "command: " + strings.TrimSuffix(e.Sentence(English), ".")
}

// Sentence says it to the person who typed the text, in a language of Languages.
func (e *Error) Sentence(language string) string {
	return sentenceIn(language, e.problem, "unread", unreadIn(language, e.unread))
}

// Parse takes a message's text apart: the first word is the command's name, in lower case and half
// width, the others are its arguments, as they are.
//
// Words are separated by blanks of any kind: tabs, line ends, full-width and no-break spaces, and
// those without width that chat clients leave behind mentions. Quotes are as in a shell. In '…'
// every character stands for itself; in "…" a backslash takes the meaning from a quote or a
// backslash, and elsewhere it is a character; outside quotes it does so for any character, and
// joins two lines at the end of one. Quotes inside a word belong to the word.
//
// Chat clients set quotes as a printer does. “ ” and „ are double quotes, each closing any other; ‘
// opens and ’ closes a single quote, and a ’ that closes nothing is an apostrophe.
//
// Chat clients change what is typed, and people mark up what they type. Outside quotes, also:
//
//   - dashes that begin an argument and stand before a letter are hyphens: –f is -f, and —force and
//     ––force are --force;
//   - backticks around a word, or around the whole text, and fences of code go;
//   - * and _ around the command, or around a text that begins with it, go;
//   - a / before the command goes: /restart is restart;
//   - a link in Markdown is its text where a client made the link of it, else its address.
//
// A text over MaxText, more than MaxArguments arguments, a name that is longer than MaxName or has
// a blank, a joiner or a wildcard in it, a quote or backtick that is not closed, and control
// characters and invisible ones, also those that turn the direction of writing, are a *Error.
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

// foldName returns a command's name, or a pattern for one, as names are compared: in lower case,
// with one letter for all that Unicode folds into one, and with ASCII's letters, digits and hyphens
// in place of the full-width forms that input methods for Chinese write.
func foldName(name string) string {
	return strings.Map(func(r rune) rune {
		// and no wildcard
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

// isName reports whether a word can be a command's name. One with a > quotes a message.
func isName(name string) bool {
	return NamePattern.Fits(name) && !strings.ContainsAny(name, Wildcards) && name[0] != '>'
}

// Format is the inverse of Parse: a text that it parses into name and args. What needs quotes is
// quoted.
func Format(name string, args []string) string {
	var b strings.Builder
	writeWord(&b, name, strings.HasPrefix(name, "_"))
	for _, arg := range args {
		b.WriteByte(' ')
		writeWord(&b, arg, hyphens(arg) != arg)
	}
	return b.String()
}

// writeWord writes a word, in quotes if it must be.
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
	Want: "1 to 128 characters without blanks",
	Fits: func(s string) bool {
		return s != "" && utf8.ValidString(s) && utf8.RuneCountInString(s) <= MaxName &&
			!strings.ContainsFunc(s, func(r rune) bool { return isBlank(r) || isHidden(r) || joins(r) })
	},
}

// wildcards have a meaning in patterns, and so are in no name: a statement that grants what was
// asked for would grant more.
const Wildcards = "*?"

// isBlank reports whether a character separates words. U+200B and U+FEFF are spaces without width.
func isBlank(r rune) bool { return unicode.IsSpace(r) || r == '\u200b' || r == '\ufeff' }

// isHidden reports whether a character cannot be seen, or turns the direction of writing, and so
// could make a command look like another. The two joiners are let pass: emoji and several scripts
// need them.
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

// joins reports whether a character only changes how those around it are drawn, if at all. In an
// argument it may be needed; two names must not look alike by it, since one may be denied and the
// other not.
func joins(r rune) bool { return unicode.In(r, unicode.Join_Control, unicode.Variation_Selector) }

// A quotation is what a word stands in.
type quotation uint8

const (
	noQuote     quotation = iota
	single                // '…'
	double                // "…"
	curlySingle           // ‘…’
	curlyDouble           // “…”
)

// opens returns the quote that a character opens.
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

// closes reports whether a character closes the quote.
func (q quotation) closes(r rune) bool {
	if q == curlySingle {
		return r == '’'
	}
	return q != noQuote && opens(r) == q
}

// escapes reports whether a backslash has a meaning in the quote.
func (q quotation) escapes() bool { return q != single && q != curlySingle }

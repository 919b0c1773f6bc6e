package callback

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"chatconf/shared/command"
)

// Whose says who is mentioned.
type Whose uint8

const (
	Unknown  Whose = iota // at most a name, which may be BotName
	ThisBot               // by an id or an entity
	Other                 // a person, a group or another bot, by an id or an entity
	Everyone              // all, here, channel
)

// A Part is a piece of a message: text, or a mention.
type Part struct {
	Text    string // as typed; of a mention, its text if it is an argument
	Mention bool
	Whose   Whose
	Name    string // of a mention: the displayed name without @; may be empty
}

// A Way is how a message reached the bot. It decides what a mention in it can mean.
type Way uint8

const (
	Called    Way = iota // the platform delivers only messages that mention the bot, and the mention is a part
	Addressed            // it needs no mention: one to one, or the platform removed the mention
	Overheard            // the platform delivers every message of the conversation
)

// Heard is what a message says to the bot.
type Heard struct {
	Text   string // folded, without the mentions that only call the bot
	Called bool   // the message is for the bot; else Text is empty
	Unread string // command.UnreadMention, if it cannot be told which mention is the bot's; see command.Message
	Name   string // the name mentioned in place of BotName; see Received.Mention
}

// Hear removes the mentions that call the bot. All platforms share this rule:
//
// An id or an entity tells which mention is the bot's; without one, the name botName does. The
// mentions before the command are removed, of anyone, and so is the bot's mention anywhere else. A
// mark such as : , or 、 right after a removed mention is removed with it. Any other mention is an
// argument and stays as it is.
//
// If nothing tells which of several mentions is the bot's, mentions before the command are enough.
// A single mention at the end is the bot's too, since the platform delivers only messages that
// mention it. Otherwise the arguments are not known, and the message must not run.
func Hear(parts []Part, botName string, way Way) Heard {
	parts = slices.Clone(parts)
	var h Heard
	bot, candidates, name := false, 0, ""
	for i := range parts {
		p := &parts[i]
		if !p.Mention {
			continue
		}
		if p.Whose == Unknown && botName != "" && sameName(p.Name, botName) {
			p.Whose = ThisBot
		}
		switch p.Whose {
		case ThisBot:
			bot = true
		case Unknown:
			candidates++
			if name == "" {
				name = p.Name
			}
		}
	}
	if !bot && botName != "" && way != Addressed {
		h.Name = Cut(name, maxName)
	}
	head := headOf(parts)
	if !bot && candidates > 0 && (way == Called || way == Overheard && botName == "") {
		bot, h.Unread = guess(parts, head, candidates, way)
	}
	if h.Called = bot || way != Overheard || h.Unread != ""; !h.Called {
		return h
	}
	h.Text = join(parts, head)
	return h
}

// guess finds and marks the bot's mention when neither ids nor names tell it.
func guess(parts []Part, head, candidates int, way Way) (found bool, unread string) {
	isCandidate := func(p Part) bool { return p.Mention && p.Whose == Unknown }
	if slices.ContainsFunc(parts[:head], isCandidate) && (way == Called || candidates == 1) {
		return true, ""
	}
	last := len(parts) - 1
	for last > 0 && !parts[last].Mention && tail(parts[last].Text) == "" {
		last--
	}
	if candidates == 1 && isCandidate(parts[last]) {
		parts[last].Whose = ThisBot
		return true, ""
	}
	return false, command.UnreadMention
}

// headOf returns the number of parts at the head: mentions, and blanks and marks between them.
func headOf(parts []Part) int {
	head := 0
	for i, p := range parts {
		switch {
		case p.Mention:
			head = i + 1
		case tail(p.Text) != "":
			return head
		}
	}
	return head
}

// join returns the text after the head, without the bot's mentions.
func join(parts []Part, head int) string {
	var b strings.Builder
	gap := head > 0 // a mention was removed here
	for _, p := range parts[head:] {
		if p.Mention && p.Whose == ThisBot {
			gap = true
			continue
		}
		text := p.Text
		if gap && !p.Mention {
			text = unmarked(text, b.Len() == 0)
		}
		if gap && text != "" && b.Len() > 0 {
			text = spaced(&b, text)
		}
		if text != "" {
			gap = false
		}
		b.WriteString(text)
	}
	return Fold(b.String())
}

// spaced returns text, which follows b after a removed mention, with one blank between the two.
func spaced(b *strings.Builder, text string) string {
	before, _ := utf8.DecodeLastRuneInString(b.String())
	after, size := utf8.DecodeRuneInString(text)
	switch {
	case !blank(before) && !blank(after):
		return " " + text
	case blank(before) && after == ' ':
		return text[size:]
	}
	return text
}

// What people type right after a mention: a mark may come before the command, and an ender ends a
// sentence.
const (
	marks  = ":：,，、"
	enders = ".。!！;；"
)

// unmarked returns text without the mark that belongs to the mention before it. At the head, blanks
// may come before the mark and the command right after it. Elsewhere a blank or the end must
// follow.
func unmarked(text string, head bool) string {
	rest := text
	if head {
		rest = strings.TrimLeftFunc(text, blank)
	}
	mark, size := utf8.DecodeRuneInString(rest)
	if size == 0 || !strings.ContainsRune(marks+enders, mark) {
		return text
	}
	after, n := utf8.DecodeRuneInString(rest[size:])
	if n == 0 || blank(after) || head && strings.ContainsRune(marks, mark) {
		return rest[size:]
	}
	return text
}

// tail returns text, which follows a mention, without blanks and without the mark that belongs to
// the mention.
func tail(text string) string {
	return strings.TrimFunc(unmarked(strings.TrimFunc(text, blank), true), blank)
}

// blank reports whether a character separates words, whatever its width.
func blank(c rune) bool { return unicode.IsSpace(c) || c == '\u200b' || c == '\ufeff' }

// everyone has the names of mentions of all members of a conversation.
var everyone = map[string]bool{
	"all": true, "everyone": true, "everybody": true, "here": true, "channel": true,
	"所有人": true, "全体成员": true, "全员": true,
}

// Split finds the mentions in plain text, where clients write @ and a name. A mention begins at the
// beginning of a word and ends at the word's end or at a mark; the name botName may have blanks.
// Only the name tells whose a mention is.
func Split(text, botName string) []Part {
	var parts []Part
	begun, start := 0, true // the beginning of the text not yet in parts; whether a word may begin here
	for i := 0; i < len(text); {
		c, size := utf8.DecodeRuneInString(text[i:])
		if c != '@' && c != '＠' || !start {
			i, start = i+size, blank(c)
			continue
		}
		n := nameAt(text[i+size:], botName)
		if n == 0 {
			i, start = i+size, false
			continue
		}
		if i > begun {
			parts = append(parts, Part{Text: text[begun:i]})
		}
		p := Part{Mention: true, Text: text[i : i+size+n], Name: text[i+size : i+size+n]}
		if everyone[strings.ToLower(p.Name)] && !sameName(p.Name, botName) {
			p.Whose = Everyone
		}
		parts = append(parts, p)
		i += size + n
		begun, start = i, false
		if mark, size := utf8.DecodeRuneInString(text[i:]); size > 0 && strings.ContainsRune(marks, mark) {
			i, start = i+size, true // another mention may follow without a blank
		}
	}
	if begun < len(text) {
		parts = append(parts, Part{Text: text[begun:]})
	}
	return parts
}

// nameAt returns the length in bytes of the name that text begins with, which may be botName.
func nameAt(text, botName string) int {
	if n := prefixName(text, botName); n > 0 {
		if c, size := utf8.DecodeRuneInString(text[n:]); size == 0 || blank(c) ||
			strings.ContainsRune(marks+enders, c) {
			return n
		}
	}
	if i := strings.IndexFunc(text, func(c rune) bool { return blank(c) || strings.ContainsRune(marks, c) }); i >= 0 {
		return i
	}
	return len(text)
}

// prefixName returns how many bytes of text are the name, in any case and width. A blank in the
// name fits any number of blanks. It returns 0 if text does not begin with the name.
func prefixName(text, name string) int {
	at := 0
	for _, want := range strings.TrimFunc(name, blank) {
		if blank(want) {
			at = len(text) - len(strings.TrimLeftFunc(text[at:], blank))
			continue
		}
		got, size := utf8.DecodeRuneInString(text[at:])
		if size == 0 || foldRune(got) != foldRune(want) {
			return 0
		}
		at += size
	}
	return at
}

// sameName reports whether two names are the same, regardless of case, width and blanks.
func sameName(a, b string) bool { return name(a) != "" && name(a) == name(b) }

func name(s string) string {
	return strings.Map(func(c rune) rune {
		if blank(c) {
			return -1
		}
		return foldRune(c)
	}, strings.TrimPrefix(s, "@"))
}

// foldRune returns the same character for all that differ only in case or width.
func foldRune(c rune) rune {
	if '！' <= c && c <= '～' {
		c -= '！' - '!'
	}
	least := c
	for other := unicode.SimpleFold(c); other != c; other = unicode.SimpleFold(other) {
		least = min(least, other)
	}
	return unicode.ToLower(least)
}

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
	Unknown   Whose = iota // nothing but a name, if that: BotName may tell
	ThisBot                // by an id or an entity
	Somebody               // a person, a group or another bot, by an id or an entity
	Everybody              // all, here, channel
)

// A Part is a piece of a message: text, or a mention.
type Part struct {
	Text    string // as it was typed; of a mention, what stays in its place if it is an argument
	Mention bool
	Whose   Whose
	Name    string // of a mention, as people see it and without its @, to be compared with BotName; may be empty
}

// A Way is how a message came to the bot, which says what a mention in it can mean.
type Way uint8

const (
	Called    Way = iota // the platform passes on only messages that mention the bot, and the mention is among the parts
	Addressed            // it is for the bot without a mention: one to one, or the platform took the bot's mention off
	Overheard            // the platform passes on what everybody says
)

// Heard is what a message says to the bot.
type Heard struct {
	Text   string // folded, without the mentions that only call the bot
	Called bool   // the message is for the bot; else Text is empty
	Unread string // command.UnreadMention, if it cannot be told which mention is the bot's; see command.Message
	Name   string // what is mentioned where BotName should be, if BotName is set and not mentioned; see Received
}

// Hear takes the mentions that call the bot off a message. It is the one rule of all platforms:
//
// The bot is who an id or an entity says it is, else who is called botName. The mentions at the head, whoever they are, are taken off, and so is the
// bot's mention anywhere else. A mark such as : , or 、 right behind a mention that is taken off goes with it. Any other mention is an argument and stays as
// it is.
//
// Where nothing tells which mention of several is the bot's, the ones at the head are enough. A single one at the end is the bot's too, since
// somebody called it. Else it is not known what is an argument, and the message is not to be run.
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

// guess finds the bot's mention where neither ids nor names tell it, and marks it.
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

// headOf returns how many parts the mentions at the head are, with the blanks and marks between them.
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

// join returns the text of the parts behind the head, without the bot's mentions.
func join(parts []Part, head int) string {
	var b strings.Builder
	gap := head > 0 // something was taken off here
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

// spaced returns text as it goes on behind what is written, one blank between them where there is one or a mention was.
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

// What people type right behind a mention: marks may stand between it and the command, and enders end a sentence with it.
const (
	marks  = ":：,，、"
	enders = ".。!！;；"
)

// unmarked returns text without the mark that belongs to the mention before it. At the head there may be blanks before the mark, and the command
// right behind it; elsewhere a word must end with it.
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

// tail returns what text, which follows a mention, has in it besides blanks and the mark that goes with the mention.
func tail(text string) string {
	return strings.TrimFunc(unmarked(strings.TrimFunc(text, blank), true), blank)
}

// blank reports whether a character separates words, whatever its width.
func blank(c rune) bool { return unicode.IsSpace(c) || c == '\u200b' || c == '\ufeff' }

// everybody are the names by which clients mention all of a conversation.
var everybody = map[string]bool{"all": true, "everyone": true, "everybody": true, "here": true, "channel": true, "所有人": true, "全体成员": true, "全员": true}

// Split finds the mentions in plain text, where clients write them as @ and a name: at the beginning of a word, up to the word's end or a mark; of botName all of
// it, be there blanks in it or not. Nothing but the name tells whose they are.
func Split(text, botName string) []Part {
	var parts []Part
	begun, start := 0, true // where the text began that is not in parts yet, and whether a word may begin here
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
		if everybody[strings.ToLower(p.Name)] && !sameName(p.Name, botName) {
			p.Whose = Everybody
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

// nameAt returns how long the name is that text begins with, in bytes: botName if it is that.
func nameAt(text, botName string) int {
	if n := prefixName(text, botName); n > 0 {
		if c, size := utf8.DecodeRuneInString(text[n:]); size == 0 || blank(c) || strings.ContainsRune(marks+enders, c) {
			return n
		}
	}
	if i := strings.IndexFunc(text, func(c rune) bool { return blank(c) || strings.ContainsRune(marks, c) }); i >= 0 {
		return i
	}
	return len(text)
}

// prefixName returns how much of text is the name, in any case and width; where the name has blanks, text may have any number of them. It is 0 if
// text begins otherwise.
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

// sameName reports whether two names are the same in any case and width, whatever blanks are in them.
func sameName(a, b string) bool { return name(a) != "" && name(a) == name(b) }

func name(s string) string {
	return strings.Map(func(c rune) rune {
		if blank(c) {
			return -1
		}
		return foldRune(c)
	}, strings.TrimPrefix(s, "@"))
}

// foldRune returns the one character of all that differ from c by case or width only.
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

package callback

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"chatconf/shared/command"
)

// Fold replaces the unusual spaces of input methods and editors by ordinary ones and every kind of
// line end by \n, and removes blanks at both ends. Other control characters stay, so that the
// parser of commands refuses them.
func Fold(text string) string {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	text = strings.Map(func(c rune) rune {
		switch {
		case c == '\r' || c == '\u2028' || c == '\u2029':
			return '\n'
		case c == '\u200b' || c == '\ufeff': // spaces of no width
			return -1
		case unicode.Is(unicode.Zs, c): // also U+00A0 and U+3000
			return ' '
		}
		return c
	}, text)
	return strings.Trim(text, " \n")
}

// Word makes one word of a user's name, since blanks or quotes in it would add words to a command
// that mentions the user. Every character but letters, digits and -._@ becomes _. A long name is
// cut, since a short text may mention it very often.
func Word(name string) string {
	return Cut(strings.Map(func(c rune) rune {
		if unicode.IsLetter(c) || unicode.IsMark(c) || unicode.IsDigit(c) || strings.ContainsRune("-._@", c) {
			return c
		}
		return '_'
	}, Fold(name)), maxName)
}

// maxName is the maximum length of a name in a message's text, in bytes.
const maxName = 128

// Cut shortens text to at most the given number of bytes. A shortened text ends in an ellipsis,
// which is counted.
func Cut(text string, most int) string {
	const ellipsis = "…"
	if len(text) <= most {
		return text
	}
	cut := most - len(ellipsis)
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + ellipsis
}

// Defuse puts a zero-width space after every < and @, so that text does not become a tag, a link or
// a mention.
func Defuse(text string) string { return defuser.Replace(text) }

var defuser = strings.NewReplacer("<", "<\u200b", "@", "@\u200b")

// Plain removes what Defuse inserted.
func Plain(text string) string { return plainer.Replace(text) }

var plainer = strings.NewReplacer("<\u200b", "<", "@\u200b", "@")

// maxID is the maximum length of a platform's id of a message, or of a user's name, in bytes.
const maxID = 256

// Check refuses a message whose ids do not fit a table, a log line or a grant. It cleans the user's
// name, which is only for display. The user may be empty.
func Check(m *command.Message) error {
	switch {
	case m.ID == "":
		return Refuse(StepDecode, "the message has no id")
	case len(m.ID) > maxID || !utf8.ValidString(m.ID) || strings.ContainsFunc(m.ID, unseen):
		return Refuse(StepDecode, "the id of the message is longer than %d bytes or holds what cannot be seen", maxID)
	case !command.ID.Fits(m.Conversation):
		return Refuse(StepDecode, "the id of the conversation is not %s", command.ID.Want)
	case m.User != "" && !command.ID.Fits(m.User):
		return Refuse(StepDecode, "the id of the user is not %s", command.ID.Want)
	case !utf8.ValidString(m.Text):
		return Refuse(StepDecode, "the text is not UTF-8")
	}
	m.UserName = Cut(strings.Map(func(c rune) rune {
		if unseen(c) && c != ' ' {
			return -1
		}
		return c
	}, strings.ToValidUTF8(m.UserName, "")), maxID)
	return nil
}

// unseen reports whether a character is not allowed in an id: blanks, control and format
// characters.
func unseen(c rune) bool { return unicode.IsSpace(c) || unicode.Is(unicode.C, c) }

// Gap returns the parts of a message, with a blank added if they end in a word. So two words with a
// picture or a line end between them stay separate.
func Gap(parts []Part) []Part {
	if len(parts) == 0 {
		return parts
	}
	last := parts[len(parts)-1]
	if c, _ := utf8.DecodeLastRuneInString(last.Text); last.Mention || !blank(c) {
		return append(parts, Part{Text: " "})
	}
	return parts
}

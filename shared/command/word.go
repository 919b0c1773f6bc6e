package command

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A word is one word of a text, without its quotes.
type word struct {
	text string
	lead int // bytes at its beginning that were typed outside quotes and without a backslash
	tail int // the same at its end
}

func (w word) argument() string { return hyphens(w.text[:w.lead]) + w.text[w.lead:] }

// hyphens replaces the dashes at the beginning of text by the hyphens that a client joined, if a
// letter of an option follows. A dash before Chinese text stays a dash.
func hyphens(text string) string {
	short, long := 0, 0
	for i, r := range text {
		switch r {
		case '-', '‐', '‑', '‒', '–', '−', '－', '﹣':
			short++
		case '—', '―':
			long++
		default:
			switch {
			case !unicode.IsUpper(r) && !unicode.IsLower(r) || short > 0 && long > 0 || short > 2 || long > 2:
				return text
			case long > 0 || short == 2:
				return "--" + text[i:]
			case short == 1:
				return "-" + text[i:]
			}
			return text
		}
	}
	return text
}

// splitWords splits a text into words, and removes the markup of the first.
func splitWords(text string) ([]word, phrase) {
	if !utf8.ValidString(text) {
		return nil, commandHidden
	}
	s := splitter{rest: wholeCode(strings.ReplaceAll(text, "\r\n", "\n"))}
	if problem := s.split(); problem != none {
		return nil, problem
	}
	return bare(s.words), none
}

// wholeCode returns text without the one or two backticks around it, if it contains no others.
func wholeCode(text string) string {
	trimmed := strings.TrimFunc(text, isBlank)
	for _, mark := range [...]string{"``", "`"} {
		inside, ok := strings.CutPrefix(trimmed, mark)
		if !ok {
			continue
		}
		if inside, ok = strings.CutSuffix(inside, mark); ok && !strings.Contains(inside, "`") {
			return inside
		}
	}
	return text
}

// A splitter splits a text into words.
type splitter struct {
	rest   string
	words  []word
	word   strings.Builder
	inWord bool // also for an empty word in quotes
	plain  bool // the word so far was typed outside quotes
	lead   int
	tail   int
}

// write adds text to the word. plain is false inside quotes and behind a backslash.
func (s *splitter) write(text string, plain bool) {
	if !s.inWord {
		s.inWord, s.plain = true, true
	}
	s.word.WriteString(text)
	if s.plain = s.plain && plain; s.plain {
		s.lead += len(text)
	}
	if plain {
		s.tail += len(text)
	} else {
		s.tail = 0
	}
}

// end ends the word, if there is one.
func (s *splitter) end() {
	if s.inWord {
		s.words = append(s.words, word{s.word.String(), s.lead, s.tail})
	}
	s.word.Reset()
	s.inWord, s.lead, s.tail = false, 0, 0
}

func (s *splitter) split() phrase {
	in, fenced := noQuote, false
	for s.rest != "" {
		r, size := utf8.DecodeRuneInString(s.rest)
		here := s.rest
		s.rest = s.rest[size:]
		switch {
		case isHidden(r):
			return commandHidden
		case r == '\\' && in.escapes():
			if problem := s.escape(in); problem != none {
				return problem
			}
		case in.closes(r):
			in = noQuote
		case in != noQuote:
			s.write(here[:size], false)
		case opens(r) != noQuote:
			in = opens(r)
			s.write("", false)
		case isBlank(r):
			s.end()
		case strings.HasPrefix(here, "```"):
			s.end()
			if s.rest, fenced = here[len("```"):], !fenced; fenced {
				s.rest = skipLanguage(s.rest)
			}
		case r == '`':
			if problem := s.code(here); problem != none {
				return problem
			}
		case r == '[':
			s.link(here)
		default:
			s.write(here[:size], true)
		}
	}
	switch {
	case in != noQuote:
		return commandQuote
	case fenced:
		return commandBacktick
	}
	s.end()
	return none
}

// escape reads the character behind a backslash.
func (s *splitter) escape(in quotation) phrase {
	r, size := utf8.DecodeRuneInString(s.rest)
	if size == 0 {
		return commandBackslash
	}
	if isHidden(r) {
		return commandHidden
	}
	if in != noQuote && r != '\\' && opens(r) != in {
		s.write(`\`, false)
	}
	if in != noQuote || r != '\n' {
		s.write(s.rest[:size], false)
	}
	s.rest = s.rest[size:]
	return none
}

// code reads one literal word between one or two backticks.
func (s *splitter) code(here string) phrase {
	mark := "`"
	if strings.HasPrefix(here, "``") {
		mark = "``"
	}
	inside, rest, ok := strings.Cut(here[len(mark):], mark)
	if !ok || inside == "" || strings.ContainsFunc(inside, isBlank) || strings.HasPrefix(rest, "`") {
		return commandBacktick
	}
	if strings.ContainsFunc(inside, isHidden) {
		return commandHidden
	}
	s.write(inside, true)
	s.rest = rest
	return none
}

// link reads a Markdown link, or a bracket alone. If the link's text is its address, a client made
// the link and the text counts. Otherwise the address counts.
func (s *splitter) link(here string) {
	if text, address, n := markdownLink(here); n > 0 {
		target := schemeless(address)
		if text == address || text != "" && strings.TrimSuffix(target, "/") == strings.TrimSuffix(text, "/") {
			address = text
		}
		s.write(address, true)
		s.rest = here[n:]
		return
	}
	s.write("[", true)
}

// markdownLink returns the text, the address and the length of the link that begins here; the
// length is 0 without one.
func markdownLink(here string) (text, address string, n int) {
	end := strings.IndexByte(here, ']')
	if end < 0 || !strings.HasPrefix(here[end:], "](") {
		return "", "", 0
	}
	size := strings.IndexByte(here[end:], ')')
	if size < 0 {
		return "", "", 0
	}
	text, address = here[1:end], here[end+len("]("):end+size]
	odd := func(r rune) bool { return isHidden(r) || r == '[' || r == '(' || r == '`' || opens(r) != noQuote }
	if schemeless(address) == "" || strings.ContainsFunc(text, odd) || strings.ContainsFunc(address, odd) ||
		strings.ContainsFunc(address, isBlank) {
		return "", "", 0
	}
	return text, address, end + size + 1
}

// schemeless returns an address without its scheme; empty if clients make no links of the scheme.
func schemeless(address string) string {
	for _, scheme := range [...]string{"http://", "https://", "mailto:", "tel:"} {
		if rest, ok := strings.CutPrefix(address, scheme); ok {
			return rest
		}
	}
	return ""
}

// skipLanguage removes the language that some clients write behind a code fence.
func skipLanguage(text string) string {
	first, rest, ok := strings.Cut(text, "\n")
	if ok {
		switch strings.ToLower(strings.TrimFunc(first, isBlank)) {
		case "sh", "bash", "zsh", "shell", "console", "text", "txt", "plaintext":
			return rest
		}
	}
	return text
}

// marks make text bold and italic.
var marks = [...]string{"**", "*", "__", "_"}

// bare removes the * and _ around the command, or around a text that begins with it.
func bare(words []word) []word {
	if len(words) > 2 && isMark(words[0]) && words[0] == words[1] { // they were around a mention
		words = words[2:]
	}
	for range 3 { // bold and italic together
		if !unmark(words) {
			break
		}
		// The mark was before a mention, and so is a word of its own.
		if words[0].text == "" && len(words) > 1 {
			words = words[1:]
		}
	}
	return words
}

// FoldName returns a command's name, or a pattern for one, in the form that names are compared in:
// folded, without the / before it.
func FoldName(name string) string { return unslash(foldName(name)) }

// unslash removes the / before a command, or a pattern for one, that is written like a slash
// command.
func unslash(name string) string {
	rest, ok := strings.CutPrefix(name, "/")
	if r, _ := utf8.DecodeRuneInString(rest); ok && (unicode.IsLetter(r) || unicode.IsDigit(r)) &&
		!strings.Contains(rest, "/") {
		return rest
	}
	return name
}

// isMark reports whether a word is only a mark of bold or italic.
func isMark(w word) bool { return w.lead == len(w.text) && slices.Contains(marks[:], w.text) }

// unmark removes one mark from the beginning of the command and from the end of the word that
// closes it. It reports whether there was one.
func unmark(words []word) bool {
	if len(words) == 0 {
		return false
	}
	first := &words[0]
	for _, mark := range marks {
		if !strings.HasPrefix(first.text[:first.lead], mark) {
			continue
		}
		for i := range words {
			w := &words[i]
			if !strings.HasSuffix(w.text[len(w.text)-w.tail:], mark) || len(w.text) == len(mark) ||
				i == 0 && len(w.text) <= 2*len(mark) {
				continue
			}
			w.text = w.text[:len(w.text)-len(mark)]
			w.lead, w.tail = min(w.lead, len(w.text)), w.tail-len(mark)
			first.text = first.text[len(mark):]
			first.lead, first.tail = first.lead-len(mark), min(first.tail, len(first.text))
			return true
		}
		return false
	}
	return false
}

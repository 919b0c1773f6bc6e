package console

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"chatconf/shared/command"
)

// A said is a text that was not written for the page: a mistake, a reason, a help text.
type said struct {
	Text     string
	Lang     string // of Text, for the attribute lang; empty: that of the page
	Original string // in English, below its translation; empty without one
}

// said returns a text of the API or of a bot for a page. If it is a sentence that is known in the
// language of the page, it is that sentence. Otherwise it stays as it is, with its language.
func (l language) said(text string) said {
	if l == english && isASCII(text) {
		return said{Text: text}
	}
	t := translations()
	if l == english {
		if !isChinese(text) {
			return said{Text: text}
		}
		if in, ok := t.english.text(text); ok {
			return said{Text: in}
		}
		return said{Text: text, Lang: chinese.tag()}
	}
	if in, ok := t.chat.text(text); ok {
		return said{Text: in}
	}
	if in, ok := t.chinese.text(text); ok {
		return said{Text: in, Original: text}
	}
	if isChinese(text) || !strings.ContainsFunc(text, unicode.IsLetter) {
		return said{Text: text}
	}
	return said{Text: text, Lang: english.tag()}
}

// help returns the help of a setting, or the title of a platform. A test finds those that are not
// translated.
func (l language) help(text string) string {
	if in, ok := helpChinese[text]; ok && l == chinese {
		return in
	}
	return text
}

// state returns a word of the API, such as a state, in the language of the page.
func (l language) state(word any) string {
	text := l.known(statesChinese, fmt.Sprint(word))
	if text == "WeChat" { // the API's old name
		return "WeCom"
	}
	return text
}

// step returns the name of a step where a callback or a connection failed.
func (l language) step(name string) string { return l.known(stepsChinese, name) }

func (l language) known(inChinese map[string]string, text string) string {
	if in, ok := inChinese[text]; ok && l == chinese {
		return in
	}
	return visible(text)
}

// chat is the language in the API.
func (l language) chat() string { return [languages]string{command.English, command.Chinese}[l] }

// setup returns set-up steps in the language of the page. The API has them in the language of the
// bot. Steps that this program does not know, of another version, stay as they are.
func (l language) setup(p command.Platform, url string, steps []string) []string {
	made := []func(language string) []string{p.StreamSetup}
	if p.Setup != nil {
		made = append(made, func(language string) []string { return p.Setup(url, language) })
	}
	for _, in := range made {
		if in != nil && (slices.Equal(steps, in(command.English)) || slices.Equal(steps, in(command.Chinese))) {
			return in(l.chat())
		}
	}
	return steps
}

func isASCII(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r >= utf8.RuneSelf })
}

func isHan(r rune) bool { return unicode.Is(unicode.Han, r) }

// isChinese reports whether a sentence is in Chinese: it has Chinese outside quotation marks. An
// English one may quote what somebody wrote.
func isChinese(text string) bool {
	found := false
	eachOutside(text, func(_ int, r rune) bool { found = found || isHan(r); return !found })
	return found
}

// A pair is a sentence, or a part of one, in English and Chinese. Names in braces stand for what
// is filled in.
type pair [2]string

// translations returns the translators: of the chat's sentences to Chinese and to English, and of
// the API's mistakes to Chinese.
var translations = sync.OnceValue(func() (t struct{ chat, english, chinese translator }) {
	var sentences []pair
	for _, p := range command.InBothLanguages() {
		sentences = append(sentences, p)
	}
	t.chat = translator{to: chinese, sentences: phrasesOf(sentences, english)}
	t.chat.parts = t.chat.sentences
	t.english = translator{to: english, sentences: phrasesOf(sentences, chinese)}
	t.english.parts = t.english.sentences
	t.chinese = translator{to: chinese, clauses: true, sentences: phrasesOf(clauses, english),
		parts: phrasesOf(slices.Concat(fragments, helps), english)}
	return t
})

// A translator translates texts that are made of known sentences.
type translator struct {
	to        language
	clauses   bool     // the sentences are clauses, which semicolons separate, perhaps after a path
	sentences []phrase // the first that fits counts
	parts     []phrase // of what is filled in

	fits int // how often a clause and its parts may still be compared with phrases
}

// text returns the translation of a text. ok tells that every sentence is known.
func (t translator) text(text string) (out string, ok bool) {
	if len(text) > maxTranslated {
		return "", false
	}
	var b strings.Builder
	for i, line := range strings.Split(strings.TrimSpace(text), "\n") {
		in, ok := t.line(line)
		if !ok {
			return "", false
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(in)
	}
	return b.String(), true
}

// The bounds of what is translated. Others may write a text so that many phrases fit parts of it.
const (
	maxTranslated = 8 << 10 // bytes of a text
	maxSentences  = 64      // of a line
	maxFits       = 16      // comparisons for a clause and its parts
)

// line translates a line. A known sentence may consist of several.
func (t *translator) line(line string) (string, bool) {
	pieces := splitSentences(line)
	if len(pieces) > maxSentences {
		return "", false
	}
	most := 3 // of a sentence of the chat
	if t.clauses {
		most = 1
	}
	var out []string
	for at := 0; at < len(pieces); {
		next := at
		for end := min(len(pieces), at+most); end > at; end-- {
			if in, ok := t.sentence(strings.TrimSpace(strings.Join(pieces[at:end], ""))); ok {
				out, next = append(out, in), end
				break
			}
		}
		if next == at {
			return "", false
		}
		at = next
	}
	if t.to == english {
		return strings.Join(out, " "), len(out) > 0
	}
	return strings.Join(out, ""), len(out) > 0
}

func (t *translator) sentence(text string) (string, bool) {
	if !t.clauses {
		t.fits = maxFits
		return t.fit(t.sentences, text)
	}
	stop := ""
	for mark, in := range map[string]string{".": "。", "?": "？"} {
		if rest, ok := strings.CutSuffix(text, mark); ok {
			text, stop = rest, in
		}
	}
	var out []string
	for _, clause := range splitOutside(text, "; ") {
		path := ""
		for range 3 {
			at := pathLength(clause)
			path, clause = path+clause[:at], clause[at:]
		}
		t.fits = maxFits
		in, ok := t.fit(t.sentences, clause)
		if !ok {
			return "", false
		}
		out = append(out, strings.ReplaceAll(path, ": ", "：")+in)
	}
	return strings.Join(out, "；") + stop, true
}

// fit translates a text by the first phrase that fits.
func (t *translator) fit(phrases []phrase, text string) (string, bool) {
	if t.fits--; t.fits < 0 {
		return "", false
	}
next:
	for i := range phrases {
		filled, ok := phrases[i].match(text)
		if !ok {
			continue
		}
		for name, value := range filled {
			if filled[name], ok = t.part(name, value); !ok {
				continue next
			}
		}
		return fill(phrases[i].other, filled, t.to), true
	}
	return "", false
}

// Names of what is filled in that say what it is. Anything is filled into the other names.
var (
	numberNames = []string{"n", "least", "most", "column", "statement"}
	wordNames   = []string{"param", "key", "word", "type", "mode", "action", "kind", "region", "prefix", "network"}
	// words, and texts in quotation marks
	valueNames = []string{"value", "other"}
	// parts that are known, too
	knownNames = []string{"json", "what", "want", "help", "place", "text", "needs", "more"}
	// known parts, or anything
	perhapsNames = []string{"list", "platform", "unread"}
)

// part translates what is filled into a sentence. ok tells that it is what its name says.
func (t *translator) part(name, text string) (out string, ok bool) {
	switch {
	case slices.Contains(numberNames, name):
		return text, strings.Trim(text, "0123456789-") == ""
	case slices.Contains(wordNames, name):
		if label, ok := paramsChinese[text]; ok && name == "param" {
			return label, true
		}
		return text, !strings.ContainsAny(text, " \"")
	case slices.Contains(valueNames, name):
		return text, eachOutside(text, func(_ int, r rune) bool { return r != ' ' })
	case strings.ContainsRune(`"{[`, rune(text[0])):
		return text, true
	}
	known := slices.Contains(knownNames, name)
	if known || slices.Contains(perhapsNames, name) {
		if in, ok := t.fit(t.parts, strings.TrimSpace(text)); ok {
			return in, true
		}
	}
	if words, ok := wordList(text); ok && t.to == chinese {
		return words, true
	}
	// A target says in its own words what is, or is not so: "the disk is not mounted".
	return text, !known || name == "want" && !strings.Contains(text, " ") && !unicode.IsLower(rune(text[0]))
}

// wordList returns a list of plain words such as "Http, Function or Topic" in Chinese.
func wordList(text string) (string, bool) {
	plain := func(r rune) bool { return r < utf8.RuneSelf && r > ' ' && r != ',' }
	words := strings.Fields(text)
	if len(words) < 2 {
		return "", false
	}
	var b strings.Builder
	separator := ""
	for _, word := range words {
		if word == "or" {
			separator = " 或 "
			continue
		}
		bare := strings.TrimSuffix(word, ",")
		if bare == "" || strings.ContainsFunc(bare, func(r rune) bool { return !plain(r) }) ||
			b.Len() > 0 && separator == "" {
			return "", false
		}
		b.WriteString(separator + bare)
		if separator = ""; bare != word {
			separator = "、"
		}
	}
	return b.String(), separator == ""
}

// A phrase is a sentence with names in braces: texts[0], names[0], texts[1] and so on.
type phrase struct {
	texts, names []string
	other        string // in the other language
}

// phrasesOf returns the phrases of pairs in the language that is translated from.
func phrasesOf(pairs []pair, from language) []phrase {
	out := make([]phrase, len(pairs))
	for i, p := range pairs {
		out[i] = phraseOf(strings.TrimSpace(p[from]))
		out[i].other = strings.TrimSpace(p[1-from])
	}
	return out
}

func phraseOf(text string) (out phrase) {
	from := 0
	for {
		start, end := hole(text, from)
		if start < 0 {
			out.texts = append(out.texts, text[from:])
			return out
		}
		out.texts = append(out.texts, text[from:start])
		out.names = append(out.names, text[start+1:end-1])
		from = end
	}
}

// hole returns where the next name in braces begins and ends; -1 without one.
func hole(text string, from int) (start, end int) {
	for start = from; start < len(text); start++ {
		if text[start] != '{' {
			continue
		}
		end = start + 1
		for end < len(text) && text[end] >= 'a' && text[end] <= 'z' {
			end++
		}
		if end < len(text) && text[end] == '}' && end > start+1 {
			return start, end + 1
		}
	}
	return -1, 0
}

// match returns what a text fills into the phrase. What is filled in has no open quotation mark.
func (p *phrase) match(text string) (filled map[string]string, ok bool) {
	rest, ok := strings.CutPrefix(text, p.texts[0])
	if !ok {
		return nil, false
	}
	last := len(p.texts) - 1
	if last == 0 {
		return nil, rest == ""
	}
	filled = make(map[string]string, last)
	for i, name := range p.names {
		at := len(rest) - len(p.texts[last])
		if i+1 < last {
			at = indexOutside(rest, p.texts[i+1])
		} else if !strings.HasSuffix(rest, p.texts[last]) {
			return nil, false
		}
		if at <= 0 || !isClosed(rest[:at]) {
			return nil, false
		}
		filled[name] = rest[:at]
		rest = rest[at+len(p.texts[i+1]):]
	}
	return filled, true
}

// fill puts what is filled in into a sentence. In Chinese a space is between Chinese and Latin.
func fill(text string, filled map[string]string, to language) string {
	var b strings.Builder
	write := func(text string) {
		if to == chinese && b.Len() > 0 && text != "" {
			before, _ := utf8.DecodeLastRuneInString(b.String())
			after, _ := utf8.DecodeRuneInString(text)
			if isHan(before) && isLatin(after) || isLatin(before) && isHan(after) {
				b.WriteByte(' ')
			}
		}
		b.WriteString(text)
	}
	for from := 0; ; {
		start, end := hole(text, from)
		if start < 0 {
			write(text[from:])
			return b.String()
		}
		write(text[from:start])
		write(filled[text[start+1:end-1]])
		from = end
	}
}

// isLatin reports whether a space is between a character and a Chinese one.
func isLatin(r rune) bool {
	return r > ' ' && r < 0x7f && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune(`"'{}[]*…`, r))
}

// isClosed reports whether every quotation mark of a text is closed.
func isClosed(text string) bool { return eachOutside(text, func(int, rune) bool { return true }) }

// eachOutside calls see for each character outside quotation marks, until it returns false. It
// reports whether it came to the end, and every quotation mark is closed.
func eachOutside(text string, see func(i int, r rune) bool) bool {
	open, escaped := false, false
	for i, r := range text {
		switch {
		case escaped:
			escaped = false
		case open && r == '\\':
			escaped = true
		case r == '"':
			open = !open
		case !open && !see(i, r):
			return false
		}
	}
	return !open
}

// indexOutside returns the first place of part in text that is not in quotation marks; -1 without
// one.
func indexOutside(text, part string) int {
	found := -1
	eachOutside(text, func(i int, _ rune) bool {
		if strings.HasPrefix(text[i:], part) {
			found = i
		}
		return found < 0
	})
	return found
}

// splitOutside splits a text at a separator that is not in quotation marks.
func splitOutside(text, separator string) (pieces []string) {
	for {
		at := indexOutside(text, separator)
		if at < 0 {
			return append(pieces, text)
		}
		pieces, text = append(pieces, text[:at]), text[at+len(separator):]
	}
}

// splitSentences splits a text into sentences, each with what follows it.
func splitSentences(text string) (pieces []string) {
	start := 0
	for i, r := range text {
		end := i + utf8.RuneLen(r)
		chineseStop := r == '。' || r == '？'
		if (chineseStop || (r == '.' || r == '?') && strings.HasPrefix(text[end:], " ")) && isClosed(text[:end]) {
			pieces, start = append(pieces, text[start:end]), end
		}
	}
	if strings.TrimSpace(text[start:]) != "" {
		pieces = append(pieces, text[start:])
	}
	return pieces
}

// pathLength returns how long the path of a value is at the beginning of a text, such as
// "Permissions[0].Commands: ", with the colon and the space; 0 without one.
func pathLength(text string) int {
	at := indexOutside(text, ": ")
	if at <= 0 || !unicode.IsLetter(rune(text[0])) {
		return 0
	}
	if !eachOutside(text[:at], func(_ int, r rune) bool { return r != ' ' && r != ',' }) {
		return 0
	}
	return at + len(": ")
}

package serve

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"

	"chatconf/shared/document"
)

// maxDepth is how deep a payload may nest. The envelopes of the clouds need eight; parameters have a limit of their own.
const maxDepth = 64

// maxMembers is how many members the outermost object of a payload may have, and those right inside of it: parameters, headers, a message.
const maxMembers = 1000

// A value is the text of one JSON value that was checked, without space around it; nil is one that is not there. encoding/json is not used
// for envelopes: it takes a key in any case for any field, and the last of two, where telling shapes apart must not be a guess. It also costs
// more than all the rest of a door.
type value []byte

// parse checks that text is one JSON value as RFC 8259 has it, in UTF-8, and nested no deeper than maxDepth. Errors never hold its content.
func parse(text []byte) (value, error) {
	if !utf8.Valid(text) {
		return nil, errors.New("it is not UTF-8")
	}
	s := scanner{text: text}
	s.space()
	from := s.at
	if err := s.value(0); err != nil {
		return nil, err
	}
	v := value(text[from:s.at])
	if s.space(); s.at < len(text) {
		return nil, s.errorf("something after its end")
	}
	return v, nil
}

// kind returns what v begins with, which says what it is: { [ " t f n, or a digit or minus sign; 0 for nothing.
func (v value) kind() byte {
	if len(v) == 0 {
		return 0
	}
	return v[0]
}

// String returns what v is as errors name it, never what it holds.
func (v value) String() string {
	switch v.kind() {
	case 0:
		return "nothing"
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '"':
		return "a string"
	case 't', 'f':
		return "true or false"
	case 'n':
		return "null"
	default:
		return "a number"
	}
}

// isNothing reports whether v is absent or null.
func (v value) isNothing() bool { return v.kind() == 0 || v.kind() == 'n' }

// text returns a string's text, and whether v is a string.
func (v value) text() (string, bool) {
	if v.kind() != '"' {
		return "", false
	}
	inside := v[1 : len(v)-1]
	if bytes.IndexByte(inside, '\\') < 0 {
		return string(inside), true
	}
	return document.Unquote(string(inside))
}

// A cursor goes over the members of an object, or the items of a list, in order. It is no iterator function: what such a loop's body uses would
// be allocated.
type cursor struct {
	at    scanner
	isKey bool
	key   []byte // of the member
	value value
}

// members returns a cursor before the first member of an object; there is none if v is not one.
func (v value) members() cursor { return v.inside('{') }

// items returns a cursor before the first item of a list; there is none if v is not one.
func (v value) items() cursor { return v.inside('[') }

func (v value) inside(open byte) cursor {
	if v.kind() != open {
		return cursor{}
	}
	return cursor{at: scanner{text: v, at: 1}, isKey: open == '{'}
}

// next goes to the next one, and reports whether there is one.
func (c *cursor) next() bool {
	s := &c.at
	if s.space(); s.peek() == ',' {
		s.at++
		s.space()
	}
	switch s.peek() {
	case 0, '}', ']':
		return false
	}
	if c.isKey {
		c.key = s.next().key()
		s.space()
		s.at++ // the colon
		s.space()
	}
	c.value = s.next()
	return true
}

// key returns the text of a string that is a key.
func (v value) key() []byte {
	inside := v[1 : len(v)-1]
	if bytes.IndexByte(inside, '\\') < 0 {
		return inside
	}
	s, _ := v.text()
	return []byte(s)
}

// A field is a member that is wanted, by its exact name, and where it goes.
type field struct {
	name string
	into *value
}

// fields reads those members of an object that are wanted. One that stands there twice is an error: two readers could take different ones.
func (v value) fields(wanted ...field) error {
	for m := v.members(); m.next(); {
		for _, f := range wanted {
			if string(m.key) != f.name {
				continue
			}
			if *f.into != nil {
				return errors.New(f.name + " stands there twice") // not by fmt, for which all fields would be allocated
			}
			*f.into = m.value
		}
	}
	return nil
}

// appendString appends s as a JSON string. Bytes that are no UTF-8 become the replacement character.
func appendString[T string | []byte](b []byte, s T) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))]))
			if r == utf8.RuneError && size == 1 {
				b = append(b, s[from:i]...)
				b = append(b, "\ufffd"...)
				from = i + 1
			}
			i += size
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		b = append(b, s[from:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
		}
		i++
		from = i
	}
	b = append(b, s[from:]...)
	return append(b, '"')
}

// A scanner walks over JSON text.
type scanner struct {
	text []byte
	at   int
}

func (s *scanner) errorf(format string, args ...any) error {
	return fmt.Errorf("it is not JSON: %s, at byte %d", fmt.Sprintf(format, args...), s.at)
}

// peek returns the byte that stands next, 0 at the end.
func (s *scanner) peek() byte {
	if s.at < len(s.text) {
		return s.text[s.at]
	}
	return 0
}

func (s *scanner) space() {
	for s.at < len(s.text) {
		switch s.text[s.at] {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return
		}
	}
}

// next returns the value that stands next in text that was checked, and goes on behind it.
func (s *scanner) next() value {
	from := s.at
	depth := 0
	for {
		switch s.text[s.at] {
		case '{', '[':
			depth++
			s.at++
		case '}', ']':
			depth--
			s.at++
		case '"':
			s.skipString()
		case ',', ':', ' ', '\t', '\r', '\n':
			s.at++
			continue
		default: // a number, true, false or null
			for s.at < len(s.text) && !isEnd(s.text[s.at]) {
				s.at++
			}
		}
		if depth == 0 {
			return s.text[from:s.at]
		}
	}
}

// skipString goes behind a string that was checked.
func (s *scanner) skipString() {
	s.at++
	end := bytes.IndexByte(s.text[s.at:], '"')
	if bytes.IndexByte(s.text[s.at:s.at+end], '\\') < 0 {
		s.at += end + 1
		return
	}
	for ; s.text[s.at] != '"'; s.at++ {
		if s.text[s.at] == '\\' {
			s.at++
		}
	}
	s.at++
}

// isEnd reports whether a byte ends a number or a word.
func isEnd(c byte) bool {
	switch c {
	case ',', ':', '}', ']', ' ', '\t', '\r', '\n':
		return true
	}
	return false
}

// value goes over one value and checks it.
func (s *scanner) value(depth int) error {
	switch c := s.peek(); {
	case c == '{' || c == '[':
		if depth == maxDepth {
			return fmt.Errorf("it is nested more than %d levels deep", maxDepth)
		}
		s.at++
		if c == '{' {
			return s.object(depth + 1)
		}
		return s.list(depth + 1)
	case c == '"':
		return s.string()
	case c == '-' || '0' <= c && c <= '9':
		return s.number()
	}
	for _, word := range [...]string{"true", "false", "null"} {
		if bytes.HasPrefix(s.text[s.at:], []byte(word)) {
			s.at += len(word)
			return nil
		}
	}
	if s.at == len(s.text) {
		return s.errorf("it ends where a value should be")
	}
	return s.errorf("no value")
}

func (s *scanner) object(depth int) error {
	if s.space(); s.peek() == '}' {
		s.at++
		return nil
	}
	for n := 1; ; n++ {
		if n > maxMembers && depth <= 2 {
			return fmt.Errorf("it has an object of more than %d members", maxMembers)
		}
		s.space()
		if s.peek() != '"' {
			return s.errorf("no key")
		}
		if err := s.string(); err != nil {
			return err
		}
		if s.space(); s.peek() != ':' {
			return s.errorf("no colon")
		}
		s.at++
		s.space()
		if err := s.value(depth); err != nil {
			return err
		}
		s.space()
		switch s.peek() {
		case ',':
			s.at++
		case '}':
			s.at++
			return nil
		default:
			return s.errorf("an object that does not end")
		}
	}
}

func (s *scanner) list(depth int) error {
	if s.space(); s.peek() == ']' {
		s.at++
		return nil
	}
	for {
		s.space()
		if err := s.value(depth); err != nil {
			return err
		}
		s.space()
		switch s.peek() {
		case ',':
			s.at++
		case ']':
			s.at++
			return nil
		default:
			return s.errorf("a list that does not end")
		}
	}
}

func (s *scanner) string() error {
	for s.at++; s.at < len(s.text); s.at++ {
		switch c := s.text[s.at]; {
		case c == '"':
			s.at++
			return nil
		case c < ' ':
			return s.errorf("a control character in a string")
		case c == '\\':
			s.at++
			if err := s.escape(); err != nil {
				return err
			}
		}
	}
	return s.errorf("a string that does not end")
}

// escape goes to the last byte of an escape sequence, of which the backslash was passed.
func (s *scanner) escape() error {
	switch s.peek() {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return nil
	case 'u':
		if s.at+5 <= len(s.text) && areHex(s.text[s.at+1:s.at+5]) {
			s.at += 4
			return nil
		}
	}
	return s.errorf("an escape sequence that is none")
}

// areHex reports whether all bytes are hexadecimal digits.
func areHex(b []byte) bool {
	for _, c := range b {
		if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'f') {
			return false
		}
	}
	return true
}

func (s *scanner) number() error {
	if s.peek() == '-' {
		s.at++
	}
	switch c := s.peek(); {
	case c == '0':
		s.at++
	case !s.digits():
		return s.errorf("a number that is none")
	}
	if s.peek() == '.' {
		s.at++
		if !s.digits() {
			return s.errorf("a number that is none")
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.at++
		if c := s.peek(); c == '+' || c == '-' {
			s.at++
		}
		if !s.digits() {
			return s.errorf("a number that is none")
		}
	}
	return nil
}

// digits goes over digits and reports whether there was one.
func (s *scanner) digits() bool {
	from := s.at
	for c := s.peek(); '0' <= c && c <= '9'; c = s.peek() {
		s.at++
	}
	return s.at > from
}

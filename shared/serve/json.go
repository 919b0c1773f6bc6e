package serve

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"chatconf/shared/document"
)

// maxDepth is how deep a payload may nest. The envelopes of the clouds need eight; parameters have
// a limit of their own.
const maxDepth = 64

// maxMembers is how many members the outermost object of a payload may have, and those right inside
// of it: parameters, headers, a message.
const maxMembers = 1000

// A value is the text of one JSON value that was checked, without space around it; nil is one that
// is not there. encoding/json checks envelopes, but does not read them: it takes a key in any case
// for any field, and the last of two, where telling shapes apart must not be a guess.
type value []byte

// parse checks that text is one JSON value in UTF-8, nested no deeper than maxDepth. Errors never
// hold its content.
func parse(text []byte) (value, error) {
	if !utf8.Valid(text) {
		return nil, errors.New("it is not UTF-8")
	}
	if err := checkLimits(text); err != nil {
		return nil, err
	}
	if !json.Valid(text) {
		var syntax *json.SyntaxError
		if errors.As(json.Unmarshal(text, new(json.RawMessage)), &syntax) {
			return nil, fmt.Errorf("it is not JSON, at byte %d", syntax.Offset)
		}
		return nil, errors.New("it is not JSON")
	}
	return bytes.Trim(text, " \t\r\n"), nil
}

// checkLimits checks how deep a text nests and how many members it has. The text need not be JSON.
func checkLimits(text []byte) error {
	var members [3]int // of the objects that it is in, by depth
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			for i++; i < len(text) && text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			if depth++; depth > maxDepth {
				return fmt.Errorf("it is nested more than %d levels deep", maxDepth)
			}
			if depth < len(members) {
				members[depth] = 0
			}
		case '}', ']':
			depth = max(0, depth-1)
		case ':':
			if depth < len(members) {
				if members[depth]++; members[depth] > maxMembers {
					return fmt.Errorf("it has an object of more than %d members", maxMembers)
				}
			}
		}
	}
	return nil
}

// kind returns what v begins with, which says what it is: { [ " t f n, or a digit or minus sign; 0
// for nothing.
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

// A cursor goes over the members of an object, or the items of a list, in order. It is no iterator
// function: what such a loop's body uses would be allocated.
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

// fields reads those members of an object that are wanted. One that stands there twice is an error:
// two readers could take different ones.
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

// A scanner walks over JSON text that was checked.
type scanner struct {
	text []byte
	at   int
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

// next returns the value that stands next, and goes on behind it.
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

// skipString goes behind a string.
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

package serve

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"chatconf/shared/document"
)

// maxDepth is the nesting depth of a payload. The envelopes of the clouds need eight; parameters
// have another limit.
const maxDepth = 64

// maxMembers is the number of members in the outermost object of a payload, and in each object
// directly inside it.
const maxMembers = 1000

// A value is the text of one valid JSON value without space around it; nil is an absent value.
// encoding/json only validates: its decoder ignores the case of keys and takes the last of two
// equal keys, which could give a payload the wrong shape.
type value []byte

// parse checks that text is one JSON value in UTF-8, within the limits. Errors never contain the
// text.
func parse(text []byte) (value, error) {
	if !utf8.Valid(text) {
		return nil, errors.New("not UTF-8")
	}
	if err := checkLimits(text); err != nil {
		return nil, err
	}
	if !json.Valid(text) {
		var syntax *json.SyntaxError
		if errors.As(json.Unmarshal(text, new(json.RawMessage)), &syntax) {
			return nil, fmt.Errorf("not JSON, at byte %d", syntax.Offset)
		}
		return nil, errors.New("not JSON")
	}
	return bytes.Trim(text, " \t\r\n"), nil
}

// checkLimits checks the depth and the number of members of a text, which need not be JSON.
func checkLimits(text []byte) error {
	var members [3]int // of the enclosing objects, by depth
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
				return fmt.Errorf("nested more than %d levels deep", maxDepth)
			}
			if depth < len(members) {
				members[depth] = 0
			}
		case '}', ']':
			depth = max(0, depth-1)
		case ':':
			if depth < len(members) {
				if members[depth]++; members[depth] > maxMembers {
					return fmt.Errorf("an object with more than %d members", maxMembers)
				}
			}
		}
	}
	return nil
}

// kind returns the first byte of v, which tells its type: { [ " t f n, a digit or a minus sign; 0
// if v is absent.
func (v value) kind() byte {
	if len(v) == 0 {
		return 0
	}
	return v[0]
}

// String returns the type of v for errors, never its content.
func (v value) String() string {
	switch v.kind() {
	case 0:
		return "missing"
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

func (v value) isNothing() bool { return v.kind() == 0 || v.kind() == 'n' }

// text returns the text of a string, and whether v is a string.
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

// A cursor walks the members of an object, or the items of a list, in order. An iterator function
// would allocate.
type cursor struct {
	rest  value // after an element, or after the opening bracket
	isKey bool
	key   []byte // of the member
	value value
}

// members returns a cursor over the members of v; none if v is not an object.
func (v value) members() cursor { return v.inside('{') }

// items returns a cursor over the items of v; none if v is not a list.
func (v value) items() cursor { return v.inside('[') }

func (v value) inside(open byte) cursor {
	if v.kind() != open {
		return cursor{}
	}
	return cursor{rest: v[1:], isKey: open == '{'}
}

// next moves to the next element, and reports whether there is one.
func (c *cursor) next() bool {
	c.value = c.take()
	if len(c.value) == 0 {
		return false
	}
	if c.isKey {
		c.key, c.value = c.value.key(), c.take()
	}
	return true
}

// take returns the next value; it is empty at the end of the object or list.
func (c *cursor) take() value {
	v := bytes.TrimLeft(c.rest, " \t\r\n,:")
	n := valueSize(v)
	c.rest = v[n:]
	return v[:n]
}

// valueSize returns the size of the value at the start of valid JSON; zero before a closing
// bracket.
func valueSize(text []byte) int {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			for i++; text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
			if depth == 0 {
				return i + 1
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 { // of what encloses the value
				return i
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',', ':', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return i
			}
		}
	}
	return len(text)
}

func (v value) key() []byte {
	inside := v[1 : len(v)-1]
	if bytes.IndexByte(inside, '\\') < 0 {
		return inside
	}
	s, _ := v.text()
	return []byte(s)
}

// A field is the exact name of a member, and where to store its value.
type field struct {
	name string
	into *value
}

// fields reads the given members of an object. A duplicate is an error: two readers could use
// different values.
func (v value) fields(wanted ...field) error {
	for m := v.members(); m.next(); {
		for _, f := range wanted {
			if string(m.key) != f.name {
				continue
			}
			if *f.into != nil {
				return errors.New(f.name + " is given twice") // fmt would allocate all fields
			}
			*f.into = m.value
		}
	}
	return nil
}

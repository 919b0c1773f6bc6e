// Package document reads JSON strictly: one value, UTF-8, no duplicate keys, limited depth. Its
// errors name the path of the mistake and never contain the text, which may be a secret.
package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A Node is a JSON value. Unlike encoding/json, it keeps the order of members and the text of
// numbers.
type Node struct {
	Kind    Kind
	Text    string   // of a string, a number, true, false or null
	Members []Member // of an object; only the first of a duplicate key
	Twice   []string // the duplicate keys of an object
	Items   []*Node  // of an array
}

// A Member is a key of an object and its value.
type Member struct {
	Key   string
	Value *Node
}

// A Kind is the type of a Node.
type Kind uint8

// The kinds.
const (
	Literal Kind = iota // true, false, null
	Number
	String
	Array
	Object
)

// String returns the kind for errors.
func (k Kind) String() string {
	return [...]string{"true, false or null", "a number", "a string", "an array", "an object"}[k]
}

// MaxDepth is the nesting depth of a document; a Configuration needs five.
const MaxDepth = 16

// Parse decodes JSON text strictly: one value, UTF-8, no duplicate keys, no deeper than MaxDepth.
// Errors name the path of the mistake, which starts with root; syntax errors also name line and
// column. They never contain a value, which may be a secret.
func Parse(root, text string) (*Node, error) {
	n, twice, err := ParseRepeated(root, text)
	if err == nil && len(twice) > 0 {
		return nil, fmt.Errorf("%s is given twice", twice[0])
	}
	return n, err
}

// MaxRepeated is how many duplicate keys ParseRepeated returns.
const MaxRepeated = 20

// ParseRepeated is Parse for callers that report all mistakes together. Duplicate keys are not an
// error: it returns their paths, in the order of the text. The node has the first value of each.
func ParseRepeated(root, text string) (n *Node, twice []string, err error) {
	if !utf8.ValidString(text) {
		return nil, nil, fmt.Errorf("%s is not UTF-8", root)
	}
	p := &parser{Decoder: json.NewDecoder(strings.NewReader(text)), text: text}
	p.UseNumber()
	if n, err = p.node(&place{key: root}, 0); err != nil {
		return nil, nil, err
	}
	end := p.InputOffset()
	if rest := text[end:]; strings.Trim(rest, blanks) != "" {
		end += int64(len(rest) - len(strings.TrimLeft(rest, blanks)))
		return nil, nil, fmt.Errorf("%s is not JSON: it has text after its end, at %s", root, position(text, end))
	}
	return n, p.twice, nil
}

// blanks is the white space of JSON. https://www.rfc-editor.org/rfc/rfc8259#section-2
const blanks = " \t\r\n"

type parser struct {
	*json.Decoder
	text  string
	twice []string // paths of duplicate keys
}

// A place is the position of the parser. Its path is made only for an error: a document of 100 KB
// may have 50,000 places.
type place struct {
	up    *place // nil for the root, whose key is its name
	key   string
	index int
	isKey bool // in an object; else in an array
}

// String returns the place as a path.
func (p *place) String() string {
	switch {
	case p.up == nil:
		return p.key
	case p.isKey:
		return Under(p.up.String(), p.key)
	default:
		return At(p.up.String(), p.index)
	}
}

func (p *parser) node(at *place, depth int) (*Node, error) {
	token, err := p.Token()
	if err != nil {
		return nil, p.syntaxError(at, err)
	}
	switch token := token.(type) {
	case json.Delim:
		if depth == MaxDepth {
			return nil, fmt.Errorf("%s is nested more than %d levels deep", at, MaxDepth)
		}
		if token == '[' {
			return p.array(at, depth)
		}
		return p.object(at, depth)
	case string:
		return &Node{Kind: String, Text: token}, nil
	case json.Number:
		return &Node{Kind: Number, Text: token.String()}, nil
	case bool:
		return &Node{Kind: Literal, Text: strconv.FormatBool(token)}, nil
	default:
		return &Node{Kind: Literal, Text: "null"}, nil
	}
}

func (p *parser) array(at *place, depth int) (*Node, error) {
	n := &Node{Kind: Array}
	inside := &place{up: at}
	for p.More() {
		inside.index = len(n.Items)
		item, err := p.node(inside, depth+1)
		if err != nil {
			return nil, err
		}
		n.Items = append(n.Items, item)
	}
	_, err := p.Token()
	if err != nil {
		return nil, p.syntaxError(at, err)
	}
	return n, nil
}

func (p *parser) object(at *place, depth int) (*Node, error) {
	n := &Node{Kind: Object}
	inside := &place{up: at, isKey: true}
	seen := make(map[string]struct{})
	for p.More() {
		token, err := p.Token()
		if err != nil {
			return nil, p.syntaxError(at, err)
		}
		key, ok := token.(string)
		if !ok {
			return nil, p.syntaxError(at, errNoKey)
		}
		inside.key = key
		_, twice := seen[key]
		if twice && len(p.twice) < MaxRepeated {
			p.twice = append(p.twice, inside.String())
		}
		value, err := p.node(inside, depth+1)
		if err != nil {
			return nil, err
		}
		if twice {
			n.Twice = append(n.Twice, key)
		} else {
			seen[key] = struct{}{}
			n.Members = append(n.Members, Member{key, value})
		}
	}
	if _, err := p.Token(); err != nil {
		return nil, p.syntaxError(at, err)
	}
	return n, nil
}

// errNoKey is a key of an object that is not a string.
var errNoKey = errors.New("document: a key is not a string")

// syntaxError names the position of the mistake. It drops the decoder's message, which quotes the
// text.
func (p *parser) syntaxError(at *place, err error) error {
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%s is not JSON: it ends too early, at %s", at, position(p.text, int64(len(p.text))))
	}
	// The decoder's offset is the end of the last token; Unmarshal's is exact.
	offset := p.InputOffset()
	var syntax *json.SyntaxError
	if errors.As(json.Unmarshal([]byte(p.text), new(json.RawMessage)), &syntax) {
		offset = syntax.Offset - 1
	}
	return fmt.Errorf("%s is not JSON at %s", at, position(p.text, offset))
}

// position returns line and column of a byte of text, from 1.
func position(text string, offset int64) string {
	before := text[:min(max(offset, 0), int64(len(text)))]
	line := strings.Count(before, "\n") + 1
	column := utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1
	return fmt.Sprintf("line %d, column %d", line, column)
}

// Under extends a path by a key. It cuts a long key.
func Under(path, key string) string {
	const most = 100
	switch {
	case len(key) > most:
		return path + "[" + strconv.Quote(key[:most]) + "…]"
	case plain(key):
		return path + "." + key
	default:
		return path + "[" + strconv.Quote(key) + "]"
	}
}

// plain reports whether a key needs no quotes in a path.
func plain(key string) bool {
	return key != "" && strings.Trim(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == ""
}

// At extends a path by an index.
func At(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// Get returns the value of a member of an object; nil if none.
func (n *Node) Get(key string) *Node {
	for _, m := range n.Members {
		if m.Key == key {
			return m.Value
		}
	}
	return nil
}

// TextOf returns the text of a member of an object, or otherwise without it.
func (n *Node) TextOf(key, otherwise string) string {
	if member := n.Get(key); member != nil {
		return member.Text
	}
	return otherwise
}

// Same reports whether two nodes are equal, regardless of the order of members.
func Same(a, b *Node) bool {
	if a == nil || b == nil || a.Kind != b.Kind || a.Text != b.Text || len(a.Members) != len(b.Members) {
		return a == b
	}
	for _, m := range a.Members {
		if !Same(m.Value, b.Get(m.Key)) {
			return false
		}
	}
	return slices.EqualFunc(a.Items, b.Items, Same)
}

// String returns the node as compact JSON, members in their order.
func (n *Node) String() string {
	var b bytes.Buffer
	n.write(&b)
	return b.String()
}

func (n *Node) write(b *bytes.Buffer) {
	switch n.Kind {
	case String:
		WriteString(b, n.Text)
	case Array:
		b.WriteByte('[')
		for i, item := range n.Items {
			if i > 0 {
				b.WriteByte(',')
			}
			item.write(b)
		}
		b.WriteByte(']')
	case Object:
		b.WriteByte('{')
		for i, m := range n.Members {
			if i > 0 {
				b.WriteByte(',')
			}
			WriteString(b, m.Key)
			b.WriteByte(':')
			m.Value.write(b)
		}
		b.WriteByte('}')
	default:
		b.WriteString(n.Text)
	}
}

// Encode returns v as compact JSON, without escaping < > &.
func Encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// Marshal is Encode for values that always encode, such as structs of strings. It panics for
// others.
func Marshal(v any) []byte {
	text, err := Encode(v)
	if err != nil {
		panic(fmt.Sprintf("document: a %T does not encode", v)) // the error may quote v
	}
	return text
}

// WriteString writes s as a JSON string, without escaping < > &.
func WriteString(b *bytes.Buffer, s string) {
	if !ordinary(s) {
		writeAny(b, s)
		return
	}
	b.WriteByte('"')
	for {
		i := strings.IndexAny(s, "\"\\\n")
		if i < 0 {
			break
		}
		b.WriteString(s[:i])
		b.WriteByte('\\')
		if s[i] == '\n' {
			b.WriteByte('n')
		} else {
			b.WriteByte(s[i])
		}
		s = s[i+1:]
	}
	b.WriteString(s)
	b.WriteByte('"')
}

// ordinary reports whether the JSON string of s escapes only quotes, backslashes and line ends.
func ordinary(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r < ' ' && r != '\n' || r == 0x7f || r == utf8.RuneError || r == '\u2028' || r == '\u2029'
	})
}

func writeAny(b *bytes.Buffer, s string) {
	b.Write(Marshal(s)) // in another buffer, so that b need not be on the heap
}

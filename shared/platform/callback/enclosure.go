package callback

import (
	"encoding/json"
	"strings"
	"unicode/utf8"

	"chatconf/shared/document"
)

// The text around a ciphertext is parsed before a callback is verified, so an unauthenticated
// client can send it. Its readers are about as fast as the check of the signature. They accept only
// what the platforms write: a few members with texts or numbers.
const (
	// MaxEnclosure is the maximum size of a body with a ciphertext, in bytes. The largest
	// documented one is a change of the address book with a thousand people, of less than 100 KiB.
	MaxEnclosure = 256 << 10
	// maxParts is the maximum number of members. WeCom writes three.
	maxParts = 16
)

// An Enclosure is the parsed text around a ciphertext.
type Enclosure struct{ parts []part }

type part struct {
	name, value string
	isText      bool
}

// Text returns the text of a member, empty if it is absent. Its error is a *Refusal of
// StepDecode.
func (e Enclosure) Text(name string) (string, error) {
	for _, p := range e.parts {
		switch {
		case p.name != name:
		case p.isText:
			return p.value, nil
		case p.value != "null":
			return "", Refuse(StepDecode, "%s in the body is not a string", name)
		}
	}
	return "", nil
}

// Has reports whether there is a member of this name that is not null.
func (e Enclosure) Has(name string) bool {
	for _, p := range e.parts {
		if p.name == name {
			return p.isText || p.value != "null"
		}
	}
	return false
}

// add adds a member. It returns false if there are too many, or one of this name.
func (e *Enclosure) add(p part) bool {
	if len(e.parts) == maxParts {
		return false
	}
	for _, other := range e.parts {
		if other.name == p.name {
			return false
		}
	}
	e.parts = append(e.parts, p)
	return true
}

// refuseEnclosure returns the error of a body that cannot be read, with the position in bytes.
func refuseEnclosure(format string, at int) error {
	return Refuse(StepDecode, "the body is not the %s around a ciphertext: "+
		"at most %d members, each once, each a text or a number; near byte %d", format, maxParts, at)
}

// ReadEnclosureJSON reads an enclosure in JSON. Its error is a *Refusal of StepDecode.
func ReadEnclosureJSON(body []byte) (Enclosure, error) {
	if err := checkEnclosure(body); err != nil {
		return Enclosure{}, err
	}
	r := enclosureReader{text: string(body)}
	e, ok := r.object()
	if !ok {
		return Enclosure{}, refuseEnclosure("JSON", r.at)
	}
	return e, nil
}

// ReadEnclosureXML reads an enclosure in XML: children of the root xml with ASCII text, plain or in
// a CDATA section. Its error is a *Refusal of StepDecode.
func ReadEnclosureXML(body []byte) (Enclosure, error) {
	if err := checkEnclosure(body); err != nil {
		return Enclosure{}, err
	}
	r := enclosureReader{text: string(body)}
	e, ok := r.xml()
	if !ok {
		return Enclosure{}, refuseEnclosure("XML", r.at)
	}
	return e, nil
}

func checkEnclosure(body []byte) error {
	switch {
	case len(body) > MaxEnclosure:
		return Refuse(StepRequest,
			"the body has more than %d bytes, which no ciphertext of the platform needs", MaxEnclosure)
	case !utf8.Valid(body):
		return Refuse(StepDecode, "the body is not UTF-8")
	}
	return nil
}

// An enclosureReader parses the text of an enclosure in one go.
type enclosureReader struct {
	text string
	at   int
}

// skip skips a text if it is next, and reports whether it was.
func (r *enclosureReader) skip(what string) bool {
	if !strings.HasPrefix(r.text[r.at:], what) {
		return false
	}
	r.at += len(what)
	return true
}

func (r *enclosureReader) space() {
	for r.at < len(r.text) && strings.IndexByte(" \t\r\n", r.text[r.at]) >= 0 {
		r.at++
	}
}

// until returns the text up to one of the given characters, which must follow.
func (r *enclosureReader) until(chars string) (string, bool) {
	i := strings.IndexAny(r.text[r.at:], chars)
	if i < 0 {
		return "", false
	}
	text := r.text[r.at : r.at+i]
	r.at += i
	return text, true
}

// object reads the whole text as an object.
func (r *enclosureReader) object() (e Enclosure, ok bool) {
	if r.space(); !r.skip("{") {
		return e, false
	}
	if r.space(); r.skip("}") {
		r.space()
		return e, r.at == len(r.text)
	}
	for {
		r.space()
		p, ok := r.member()
		if !ok || !e.add(p) {
			return e, false
		}
		if r.space(); r.skip(",") {
			continue
		}
		ok = r.skip("}")
		r.space()
		return e, ok && r.at == len(r.text)
	}
}

// member reads a key and its value.
func (r *enclosureReader) member() (p part, ok bool) {
	if p.name, ok = r.quoted(); !ok {
		return p, false
	}
	if r.space(); !r.skip(":") {
		return p, false
	}
	r.space()
	if strings.HasPrefix(r.text[r.at:], `"`) {
		p.isText = true
		p.value, ok = r.quoted()
		return p, ok
	}
	p.value, ok = r.until(",} \t\r\n")
	return p, ok && len(p.value) <= 64 && !strings.ContainsAny(p.value, "[{") && json.Valid([]byte(p.value))
}

// quoted reads a string.
func (r *enclosureReader) quoted() (string, bool) {
	if !r.skip(`"`) {
		return "", false
	}
	for i := r.at; ; i++ {
		next := strings.IndexByte(r.text[i:], '"')
		if next < 0 {
			return "", false
		}
		i += next
		slashes := i
		for slashes > r.at && r.text[slashes-1] == '\\' {
			slashes--
		}
		if (i-slashes)%2 == 0 {
			text, ok := document.Unquote(r.text[r.at:i])
			r.at = i + 1
			return text, ok
		}
	}
}

// xml reads the whole text as XML.
func (r *enclosureReader) xml() (e Enclosure, ok bool) {
	if r.space(); strings.HasPrefix(r.text[r.at:], "<?xml") && !r.declaration() {
		return e, false
	}
	if r.space(); !r.skip("<xml>") {
		return e, false
	}
	for {
		if r.space(); r.skip("</xml>") {
			r.space()
			return e, r.at == len(r.text)
		}
		p := part{isText: true}
		if !r.skip("<") {
			return e, false
		}
		if p.name, ok = r.until(">"); !ok || !isElement(p.name) || !r.skip(">") {
			return e, false
		}
		if r.skip("<![CDATA[") {
			end := strings.Index(r.text[r.at:], "]]>")
			if end < 0 {
				return e, false
			}
			p.value = r.text[r.at : r.at+end]
			r.at += end + len("]]>")
		} else if p.value, ok = r.until("<&"); !ok || strings.Contains(p.value, "]]>") {
			return e, false
		}
		if !isPrintable(p.value) || !r.skip("</"+p.name+">") || !e.add(p) {
			return e, false
		}
	}
}

// declaration skips an XML declaration of UTF-8.
func (r *enclosureReader) declaration() bool {
	end := strings.Index(r.text[r.at:], "?>")
	if end < 0 || end > 128 {
		return false
	}
	said := strings.NewReplacer(" ", "", "'", `"`).Replace(strings.ToLower(r.text[r.at : r.at+end]))
	r.at += end + len("?>")
	return said == `<?xmlversion="1.0"` || said == `<?xmlversion="1.0"encoding="utf-8"`
}

// isElement reports whether s is the name of an element as the platforms write them.
func isElement(s string) bool {
	for i := range len(s) {
		if c := s[i] | 0x20; (c < 'a' || c > 'z') && (i == 0 || s[i] != '_' && (s[i] < '0' || s[i] > '9')) {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

// isPrintable reports whether s is of printable ASCII.
func isPrintable(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c > '~' })
}

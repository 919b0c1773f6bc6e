package wecom

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"chatconf/shared/platform/callback"
)

// fields are the members of a message to an app, in XML or in JSON: their names are the same.
type fields struct {
	texts   map[string]string
	options []string // what was chosen on a card, in its order
}

// maxDepth is how deep XML may nest; a card's event needs five.
const maxDepth = 16

// What was chosen on a card is in elements, or members, OptionId below SelectedItems.
const (
	selectedItems = "SelectedItems"
	optionID      = "OptionId"
)

// parseXML reads the texts right below the root, which must be xml, and the choices of a card,
// which are deeper; what else is deeper is passed over. Elements twice, attributes, namespaces,
// comments, processing instructions other than the XML declaration and document types are refused.
func parseXML(what, text string) (fields, error) {
	d := xml.NewDecoder(strings.NewReader(text))
	out := fields{texts: make(map[string]string)}
	depth, name, nested, done := 0, "", false, false
	var value, option strings.Builder
	damaged := func(why string) error {
		return callback.Refuse(callback.StepDecode,
			"%s is not the XML it should be: %s, near byte %d", what, why, d.InputOffset())
	}
	for {
		token, err := d.Token()
		if err == io.EOF && done {
			return out, nil
		}
		if err != nil {
			return fields{}, damaged("it is damaged") // the decoder's words may quote it
		}
		switch token := token.(type) {
		case xml.StartElement:
			if done || len(token.Attr) > 0 || token.Name.Space != "" || depth == 0 &&
				token.Name.Local != "xml" || depth >= maxDepth {
				return fields{}, damaged("an element that has no place there, or an attribute")
			}
			if depth++; depth == 2 {
				name, nested = token.Name.Local, false
				value.Reset()
			}
			nested = nested || depth > 2
			option.Reset()
		case xml.EndElement:
			if name == selectedItems && token.Name.Local == optionID {
				out.options = append(out.options, option.String())
			}
			if depth--; depth == 1 {
				if _, twice := out.texts[name]; twice {
					return fields{}, damaged("an element is there twice")
				}
				if out.texts[name] = value.String(); nested {
					out.texts[name] = ""
				}
			}
			done = depth == 0
		case xml.CharData:
			switch {
			case depth == 2:
				value.Write(token)
			case depth > 2:
				option.Write(token)
			case strings.Trim(string(token), " \t\r\n") != "":
				return fields{}, damaged("text between elements")
			}
		case xml.ProcInst:
			if token.Target != "xml" || depth > 0 || done {
				return fields{}, damaged("a processing instruction")
			}
		default:
			return fields{}, damaged("a comment or a document type")
		}
	}
}

// readXML is parseXML for what WeCom wrote, as is proven by then. WeCom writes what people type
// between <![CDATA[ and ]]> as it is, also where that makes no XML: characters that XML cannot hold
// stay what they are, for the parser of commands to answer, and so does a ]]> that somebody typed.
func readXML(what, text string) (fields, error) {
	held, ok := hold(text)
	if !ok {
		return parseXML(what, text)
	}
	out, err := parseXML(what, held)
	if err != nil {
		rest, lifted := lift(held)
		if len(lifted) == 0 {
			return out, err
		}
		if out, err = parseXML(what, rest); err != nil {
			return out, err
		}
		for name, value := range lifted {
			out.texts[name] = value
		}
	}
	for name, value := range out.texts {
		out.texts[name] = release(value)
	}
	for i, value := range out.options {
		out.options[i] = release(value)
	}
	return out, nil
}

// Characters that XML cannot hold are read as ones of private use, this much further on.
const standIn = 0xf0000

func unfit(c rune) bool {
	return c < ' ' && c != '\t' && c != '\n' && c != '\r' || c == 0xfffe || c == 0xffff
}

func stands(c rune) bool { return c >= standIn && unfit(c-standIn) }

// hold puts stand-ins for the characters that XML cannot hold. It does not if the text has such
// already, or is not UTF-8.
func hold(text string) (string, bool) {
	if !utf8.ValidString(text) || strings.ContainsFunc(text, stands) {
		return "", false
	}
	return strings.Map(func(c rune) rune {
		if unfit(c) {
			return c + standIn
		}
		return c
	}, text), true
}

// release takes the stand-ins back.
func release(text string) string {
	return strings.Map(func(c rune) rune {
		if stands(c) {
			return c - standIn
		}
		return c
	}, text)
}

// typed are the elements that hold what people type, say, or send.
var typed = []string{"Content", "Recognition", "Title", "Description", "Label", "FileName"}

// lift takes out of XML what people typed, each where it begins and ends just once in all of the
// text, so that nobody can type an end of their own and other elements behind it.
func lift(text string) (rest string, lifted map[string]string) {
	lifted = make(map[string]string)
	for _, name := range typed {
		begin, end := "<"+name+"><![CDATA[", "]]></"+name+">"
		if strings.Count(text, begin) != 1 || strings.Count(text, end) != 1 {
			continue
		}
		before, after, _ := strings.Cut(text, begin)
		value, after, ok := strings.Cut(after, end)
		if ok {
			text, lifted[name] = before+"<"+name+"></"+name+">"+after, value
		}
	}
	return text, lifted
}

// escapeControls escapes the control characters in strings of JSON: WeCom is known not to do it in
// XML, and nothing but a string can have them.
func escapeControls(text string) string {
	if !strings.ContainsFunc(text, func(c rune) bool { return c < ' ' }) {
		return text
	}
	var b strings.Builder
	within, escaped := false, false
	for i := range len(text) {
		c := text[i]
		if within && c < ' ' {
			fmt.Fprintf(&b, `\u%04x`, c)
			escaped = false
			continue
		}
		b.WriteByte(c)
		switch {
		case escaped:
			escaped = false
		case within && c == '\\':
			escaped = true
		case c == '"':
			within = !within
		}
	}
	return b.String()
}

// jsonFields reads a message of an app in JSON. Numbers are as they stand: a MsgId is larger than a
// float can tell.
func jsonFields(text string) (fields, error) {
	f, err := callback.Object("the message", escapeControls(text))
	if err != nil {
		return fields{}, err
	}
	out := fields{texts: make(map[string]string)}
	for _, name := range []string{"ToUserName", "FromUserName", "CreateTime", "MsgType", "Content",
		"MsgId", "AgentID", "Event", "EventKey",
		"Recognition", "TaskId", "ResponseCode", "CardType"} {
		out.texts[name] = f.NumberOrText(name)
	}
	for _, item := range f.Object(selectedItems).Each("SelectedItem") {
		out.options = append(out.options, item.Object("OptionIds").EachText(optionID)...)
	}
	return out, f.Err()
}

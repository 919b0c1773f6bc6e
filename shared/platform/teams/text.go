package teams

import (
	"html"
	"strings"

	"chatconf/shared/command"
	"chatconf/shared/platform/callback"
)

// A content is the content of an activity.
type content struct {
	parts   []callback.Part
	unread  string // as command.Message.Unread
	quoted  bool   // a quotation was removed, because its text is someone else's
	picture bool   // the text contains a picture
}

// read reads the text of an activity, or its HTML copy if the text is empty.
// https://learn.microsoft.com/en-us/microsoftteams/platform/bots/how-to/conversations/channel-and-group-conversations
func read(f callback.Fields) content {
	text := f.Text("text")
	for _, a := range f.Items("attachments") {
		if strings.TrimSpace(text) == "" && a.Text("contentType") == "text/html" && a.IsText("content") {
			text = a.Text("content")
		}
	}
	recipient := f.Object("recipient")
	r := reader{mentions: mentionsOf(f), bot: recipient.Text("id"), botName: recipient.Text("name")}
	r.read(text)
	r.flush()
	if r.items > 1 { // perhaps several commands
		r.miss("a list")
	}
	return r.content
}

// A mentioned is the user or bot of a mention, from the activity's entities.
type mentioned struct {
	text, id, name string
	used           bool
}

// maxMentions is the maximum number of mentions that are resolved.
const maxMentions = 100

func mentionsOf(f callback.Fields) []mentioned {
	var all []mentioned
	for _, e := range f.Items("entities") {
		if e.Text("type") == "mention" && len(all) < maxMentions {
			of := e.Object("mentioned")
			all = append(all, mentioned{text: e.Text("text"), id: of.Text("id"), name: of.Text("name")})
		}
	}
	return all
}

// A reader recovers the typed text from the text of an activity. Mentions become parts, tags are
// removed, entities are decoded, and text that only looks like a tag stays.
type reader struct {
	content
	mentions     []mentioned
	bot, botName string // the recipient of the activity, if present

	text    strings.Builder // not in parts yet
	skip    string          // the tag whose content is removed; empty outside such a tag
	depth   int             // of nested such tags
	items   int             // of lists
	address string          // of the open link, whose text is then all of text; empty outside a link
}

// The kinds of tags.
const (
	kept    = iota + 1 // the content stays
	lined              // the content is on lines of its own
	skipped            // the content is removed
	single             // the tag has no content
)

var tags = map[string]int{
	"at": kept, "span": kept, "a": kept, "emoji": kept, "attachment": kept, "quoted": kept,
	"b": kept, "i": kept, "u": kept, "strong": kept, "em": kept, "mark": kept, "sub": kept, "sup": kept, "font": kept,
	"code": kept, "codeblock": kept, "ul": kept, "ol": kept,
	"p": lined, "div": lined, "pre": lined, "li": lined,
	"h1": lined, "h2": lined, "h3": lined, "h4": lined, "h5": lined, "h6": lined,
	"br": single, "hr": single, "img": single,
	"blockquote": skipped, "quote": skipped, "s": skipped, "strike": skipped, "del": skipped,
	"table": skipped, "video": skipped, "audio": skipped, "iframe": skipped, "object": skipped,
}

// missing are the skipped tags whose removal makes the message incomplete.
var missing = map[string]string{
	"s": command.UnreadStruck, "strike": command.UnreadStruck, "del": command.UnreadStruck,
	"table": command.UnreadTable, "video": command.UnreadVideo, "audio": command.UnreadVoice,
	"iframe": command.UnreadElement("iframe"), "object": command.UnreadElement("object"),
}

// mentionEnd is the end tag of a mention.
const mentionEnd = "</at>"

func (r *reader) read(text string) {
	// Searched once, because text may contain very many mentions without an end.
	lastMention, lastSpan := strings.LastIndex(text, mentionEnd), strings.LastIndex(text, "</span>")
	for at := 0; at < len(text); {
		name, length := tag(text[at:])
		if name == "" {
			if length = strings.IndexByte(text[at+1:], '<') + 1; length == 0 {
				length = len(text) - at
			}
			r.write(html.UnescapeString(text[at : at+length]))
			at += length
			continue
		}
		whole := text[at : at+length]
		switch {
		case name == "at" && at+length <= lastMention:
			inside, _, _ := strings.Cut(text[at+length:], mentionEnd)
			length += len(inside) + len(mentionEnd)
			r.mention(text[at:at+length], inside)
		case name == "span" && strings.Contains(whole, "schema.skype.com/Mention") && at+length <= lastSpan:
			// The form of the HTML copy.
			inside, _, _ := strings.Cut(text[at+length:], "</span>")
			length += len(inside) + len("</span>")
			r.mention("<at>"+inside+mentionEnd, inside)
		default:
			r.tag(name, whole)
		}
		at += length
	}
}

// tag processes a tag.
func (r *reader) tag(name, whole string) {
	name, end := strings.CutPrefix(name, "/")
	kind := tags[name]
	switch {
	case kind == skipped && r.skip == "" && !end && !strings.HasSuffix(whole, "/>"):
		r.skip, r.depth = name, 1
		if what, ok := missing[name]; ok {
			r.miss(what)
		} else {
			r.quoted = true
		}
	case r.skip == name && end:
		if r.depth--; r.depth == 0 {
			r.skip = ""
		}
	case r.skip == name && !strings.HasSuffix(whole, "/>"):
		r.depth++
	case kind == lined && end, name == "br", name == "hr":
		r.write("\n")
	case kind == lined:
		if text := r.text.String(); text != "" && !strings.HasSuffix(text, "\n") {
			r.write("\n")
		}
		if name == "li" {
			r.items++
		}
	case name == "a" && !end:
		r.flush()
		r.address = html.UnescapeString(attribute(whole, "href"))
	case name == "a":
		r.link()
	case name == "emoji" && !end, name == "img" && strings.Contains(whole, "schema.skype.com/Emoji"):
		r.write(html.UnescapeString(attribute(whole, "alt")))
	case name == "img":
		r.picture = true
	}
}

func (r *reader) write(text string) {
	if r.skip == "" {
		r.text.WriteString(text)
	}
}

func (r *reader) flush() {
	r.address = ""
	if r.text.Len() > 0 {
		r.parts = append(r.parts, callback.Part{Text: r.text.String()})
		r.text.Reset()
	}
}

// link ends a link. If the client made the address from the text, the text was typed. Otherwise the
// link becomes its address.
func (r *reader) link() {
	text := strings.TrimSuffix(strings.TrimSpace(r.text.String()), "/")
	if r.address == "" || r.skip != "" {
		return
	}
	for _, scheme := range []string{"", "http://", "https://", "mailto:", "tel:"} {
		if strings.TrimSuffix(r.address, "/") == scheme+text {
			r.address = ""
			return
		}
	}
	r.text.Reset()
	r.text.WriteString(r.address)
	r.flush()
}

// mention adds a mention, and resolves it with the activity's entities.
func (r *reader) mention(whole, inside string) {
	if r.skip != "" {
		return
	}
	r.flush()
	name := html.UnescapeString(inside)
	p := callback.Part{Mention: true, Name: name, Text: "@" + callback.Word(name)}
	if id := r.idOf(whole, name); id != "" {
		switch {
		case id == r.bot:
			p.Whose = callback.ThisBot
		case strings.HasPrefix(id, "28:") && r.bot == "": // some bot; its id cannot be compared
		case strings.HasPrefix(id, "19:"): // a channel or a team
			p.Whose = callback.Everyone
		default:
			p.Whose = callback.Other
		}
	} else if r.botName != "" && name == r.botName {
		p.Whose = callback.ThisBot
	}
	r.parts = append(r.parts, p)
}

// idOf returns the id of the mentioned user or bot: of the first unused entity with the same text
// or name, or else of a used one.
func (r *reader) idOf(whole, name string) string {
	for i := range r.mentions {
		if m := &r.mentions[i]; !m.used && (m.text == whole || m.name == name) {
			m.used = true
			return m.id
		}
	}
	for _, m := range r.mentions {
		if m.text == whole || m.name == name {
			return m.id
		}
	}
	return ""
}

// miss records content that cannot be read.
func (r *reader) miss(what string) {
	if r.unread == "" {
		r.unread = what
	}
}

// maxTag is the maximum length of a tag in bytes. The tag of a link contains its address.
const maxTag = 4096

// tag returns the name and the length of the tag at the start of text, empty if Teams does not
// write such a tag.
func tag(text string) (name string, length int) {
	if !strings.HasPrefix(text, "<") {
		return "", 0
	}
	text = text[:min(len(text), maxTag)]
	name = text[1:min(len(text), 1+len("/blockquote "))]
	if i := strings.IndexAny(name, " \n/>"); i > 0 {
		name = name[:i]
	} else if i == 0 && name[0] == '/' {
		if i = strings.IndexAny(name, " \n>"); i > 0 {
			name = name[:i]
		}
	}
	name = strings.ToLower(name)
	if tags[strings.TrimPrefix(name, "/")] == 0 {
		return "", 0
	}
	if end := strings.IndexByte(text, '>'); end >= 0 {
		return name, end + 1
	}
	return "", 0
}

// attribute returns the value of a tag's attribute, empty if it is absent.
func attribute(tag, name string) string {
	for _, quote := range []string{`"`, "'"} {
		if _, value, ok := strings.Cut(tag, " "+name+"="+quote); ok {
			value, _, _ = strings.Cut(value, quote)
			return value
		}
	}
	return ""
}

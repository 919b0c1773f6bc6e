package feishu

import (
	"slices"
	"strings"

	"chatconf/shared/command"
	"chatconf/shared/platform/callback"
)

// message reads the message of a person into m. In a group an app may get every message; one that
// does not mention this bot is not for it.
// https://open.feishu.cn/document/server-docs/im-v1/message/events/receive
func (r *reader) message(m *command.Message, e callback.Fields) *callback.Received {
	sender, said := e.Object("sender"), e.Object("message")
	kind := said.Text("message_type")
	if who := sender.Text("sender_type"); who != "user" { // the bot's own, or another's
		return &callback.Received{Kind: "im.message.receive_v1/sender/" + who}
	}
	m.ID = said.Text("message_id")
	m.User = sender.Object("sender_id").Text("open_id")
	m.Conversation = said.Text("chat_id")
	m.Direct = said.Text("chat_type") == "p2p"
	m.ReplyTo = command.ReplyTo{Kind: toMessage, ID: m.ID}
	way := callback.Overheard
	if m.Direct {
		way = callback.Addressed
	}
	if kind == "system" || kind != "text" && kind != "post" && !m.Direct { // which mention nobody
		return &callback.Received{Kind: "im.message.receive_v1/" + kind}
	}
	heard := callback.Heard{Unread: unread(kind), Called: true}
	if kind == "text" || kind == "post" {
		heard = r.hear(kind, said, way)
	}
	if !heard.Called {
		return &callback.Received{Kind: "im.message.receive_v1/not_mentioned", Mention: heard.Name}
	}
	m.Text, m.Unread = heard.Text, heard.Unread
	return &callback.Received{Message: m, Mention: heard.Name}
}

// unreadable are the types of messages that hold no text.
// https://open.feishu.cn/document/server-docs/im-v1/message-content-description/message_content
var unreadable = map[string]string{
	"image": command.UnreadPicture, "file": command.UnreadFile, "folder": command.UnreadFile,
	"audio": command.UnreadVoice,
	"media": command.UnreadVideo, "sticker": command.UnreadSticker, "interactive": command.UnreadCard,
	"share_chat": command.UnreadCard, "share_user": command.UnreadCard, "location": command.UnreadPlace,
	"merge_forward": command.UnreadForward, "hongbao": command.UnreadCard,
	"todo": command.UnreadCard, "vote": command.UnreadCard,
	"video_chat": command.UnreadCard, "share_calendar_event": command.UnreadCard, "calendar": command.UnreadCard,
	"general_calendar": command.UnreadCard,
}

func unread(kind string) string {
	if what := unreadable[kind]; what != "" {
		return what
	}
	return command.UnreadElement(kind)
}

// hear reads text, plain or rich.
func (r *reader) hear(kind string, said callback.Fields, way callback.Way) callback.Heard {
	mentions := make(map[string]callback.Part)
	for _, mention := range said.Items("mentions") {
		if key := mention.Text("key"); key != "" {
			mentions[key] = r.mentioned(key, mention, way)
		}
	}
	content := said.Inner("content")
	if kind == "text" {
		return callback.Hear(keyed(unlinked(content.Text("text")), mentions), r.botName, way)
	}
	p := post{mentions: mentions}
	p.read(content)
	heard := callback.Hear(p.parts, r.botName, way)
	switch {
	case p.unread != "":
		heard.Unread = p.unread
	case heard.Text == "" && heard.Unread == "":
		heard.Unread = p.files
	}
	return heard
}

// allKey is the key of a mention of everyone, in the text and at times in the list of mentions.
const allKey = "@_all"

// mentioned returns a mention as the message lists it. A bot has no user id. Only its name tells
// that it is this bot; in a direct message it is enough that it is a bot.
func (r *reader) mentioned(key string, f callback.Fields, way callback.Way) callback.Part {
	name := f.Text("name")
	p := callback.Part{Mention: true, Name: name, Text: "@" + callback.Word(name)}
	switch kind := f.Text("mentioned_type"); {
	case key == allKey:
		p.Whose = callback.Everyone
	case kind != "" && kind != "bot", !f.IsText("id") && f.Object("id").Text("user_id") != "":
		p.Whose = callback.Other
	case kind == "bot" && r.botName == "" && way == callback.Addressed:
		p.Whose = callback.ThisBot
	}
	return p
}

// keyed returns the parts of a text with keys of mentions in it: @_all, and @_user_ and a number. A
// key that is not in the list is text.
func keyed(text string, mentions map[string]callback.Part) []callback.Part {
	var parts []callback.Part
	begun := 0
	for at := 0; ; {
		i := strings.Index(text[at:], "@_")
		if i < 0 {
			return append(parts, callback.Part{Text: text[begun:]})
		}
		i += at
		key := keyOf(text[i:])
		p, ok := mentions[key]
		if !ok && key == allKey {
			p, ok = callback.Part{Mention: true, Whose: callback.Everyone, Text: "@all"}, true
		}
		if at = i + max(len(key), len("@_")); ok {
			parts, begun = append(parts, callback.Part{Text: text[begun:i]}, p), at
		}
	}
}

// keyOf returns the key at the beginning of text, empty if none.
func keyOf(text string) string {
	if strings.HasPrefix(text, allKey) {
		return allKey
	}
	const user = "@_user_"
	n := len(user)
	if !strings.HasPrefix(text, user) {
		return ""
	}
	for n < len(text) && '0' <= text[n] && text[n] <= '9' {
		n++
	}
	return text[:n]
}

// tagged returns the parts of a text of version 1, in which a mention is a tag such as
// <at open_id="ou_1">@Bob</at>.
func tagged(text string) []callback.Part {
	var parts []callback.Part
	for {
		before, rest, ok := strings.Cut(text, "<at ")
		_, rest, begun := strings.Cut(rest, ">")
		name, after, ended := strings.Cut(rest, "</at>")
		if !ok || !begun || !ended {
			return append(parts, callback.Part{Text: text})
		}
		name = strings.TrimPrefix(name, "@")
		parts = append(parts, callback.Part{Text: before},
			callback.Part{Mention: true, Name: name, Text: "@" + callback.Word(name)})
		text = after
	}
}

// unlinked returns a text without the links that Feishu makes of addresses, such as
// [db1.example.com](http://db1.example.com). Other links are left to the parser of commands.
func unlinked(text string) string {
	var b strings.Builder
	for {
		i := strings.Index(text, "](")
		if i < 0 {
			return b.String() + text
		}
		begin, end := strings.LastIndexByte(text[:i], '['), strings.IndexByte(text[i:], ')')
		if begin >= 0 && end >= 0 {
			label, href := text[begin+1:i], text[i+2:i+end]
			if link(label, href) == label && href != "" {
				b.WriteString(text[:begin] + label)
				text = text[i+end+1:]
				continue
			}
		}
		b.WriteString(text[:i+2])
		text = text[i+2:]
	}
}

// A post is rich text as it is being read.
type post struct {
	mentions map[string]callback.Part
	parts    []callback.Part
	unread   string // the last element whose text cannot be had
	files    string // the last picture or file, which is no part of a command
}

// read reads the title and the lines, which may be in one or several languages.
func (p *post) read(content callback.Fields) {
	if !content.Has("content") {
		if languages := content.Objects(); len(languages) > 0 {
			content = languages[0]
		}
	}
	if title := content.Text("title"); title != "" {
		p.line(keyed(title, p.mentions))
	}
	for _, line := range content.Lines("content") {
		p.line(nil)
		for _, element := range line {
			p.element(element)
		}
	}
}

// line begins a line with parts.
func (p *post) line(parts []callback.Part) {
	if len(p.parts) > 0 {
		p.parts = append(p.parts, callback.Part{Text: "\n"})
	}
	p.parts = append(p.parts, parts...)
}

// element reads one element of a line. Struck-out text is left out.
// https://open.feishu.cn/document/server-docs/im-v1/message-content-description/message_content
func (p *post) element(f callback.Fields) {
	tag := f.Text("tag")
	if tag == "text" || tag == "a" || tag == "at" {
		if slices.Contains(f.EachText("style"), "lineThrough") {
			p.unread = command.UnreadStruck
			return
		}
	}
	switch tag {
	case "text", "md", "code_block", "code":
		if !f.IsText("text") {
			p.unread = command.UnreadElement(tag)
			return
		}
		text := f.Text("text")
		if tag == "md" {
			if text = unlinked(text); strings.Contains(text, "~~") {
				p.unread = command.UnreadStruck
			}
		}
		if tag == "code_block" { // a block is lines of its own
			p.parts = callback.Gap(p.parts)
		}
		p.parts = append(p.parts, keyed(text, p.mentions)...)
	case "a":
		p.parts = append(p.parts, callback.Part{Text: link(f.Text("text"), f.Text("href"))})
	case "at":
		p.parts = append(p.parts, p.at(f))
	case "img":
		p.files, p.parts = command.UnreadPicture, callback.Gap(p.parts)
	case "media":
		p.files, p.parts = command.UnreadVideo, callback.Gap(p.parts)
	case "file":
		p.files, p.parts = command.UnreadFile, callback.Gap(p.parts)
	case "hr":
		p.parts = callback.Gap(p.parts)
	case "emotion":
		p.unread = command.UnreadSticker
	default:
		p.unread = command.UnreadElement(tag)
	}
}

// at reads a mention in rich text: by its key, or by the id and the name that some samples have
// there.
func (p *post) at(f callback.Fields) callback.Part {
	key := f.Text("user_id")
	if mention, ok := p.mentions[key]; ok {
		return mention
	}
	name := f.Text("user_name")
	mention := callback.Part{Mention: true, Name: name, Text: "@" + callback.Word(name)}
	if key == allKey || key == "all" {
		mention.Whose = callback.Everyone
	}
	if name == "" && mention.Whose != callback.Everyone {
		p.unread = command.UnreadElement("at")
	}
	return mention
}

// link returns what the person typed: the text of a link if a client made the address from it, or
// else the address.
func link(text, href string) string {
	for _, scheme := range []string{"", "http://", "https://", "mailto:", "tel:"} {
		if text != "" && strings.EqualFold(strings.TrimSuffix(href, "/"), scheme+strings.TrimSuffix(text, "/")) {
			return text
		}
	}
	if strings.Contains(href, ":") {
		return href
	}
	return text
}

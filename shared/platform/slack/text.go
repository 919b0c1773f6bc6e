package slack

import (
	"strings"

	"chatconf/shared/command"
	"chatconf/shared/platform/callback"
)

// split makes what was typed of Slack's markup: a mention its id, a link its address, or its label
// where Slack made the address of it, and the entities &amp; &lt; and &gt; what they stand for.
// bots are the users that are this app; empty if unknown.
// https://docs.slack.dev/messaging/formatting-message-text
func split(text string, bots map[string]bool) []callback.Part {
	var parts []callback.Part
	var b strings.Builder
	flush := func() {
		if b.Len() > 0 {
			parts = append(parts, callback.Part{Text: b.String()})
			b.Reset()
		}
	}
	for {
		i := strings.IndexByte(text, '<')
		if i < 0 {
			break
		}
		end := strings.IndexByte(text[i:], '>')
		if end < 0 {
			break
		}
		b.WriteString(entities.Replace(text[:i]))
		target, label, _ := strings.Cut(text[i+1:i+end], "|")
		text = text[i+end+1:]
		if p := mention(target, label, bots); p.Mention {
			flush()
			parts = append(parts, p)
			continue
		}
		b.WriteString(entities.Replace(unmark(target, label)))
	}
	b.WriteString(entities.Replace(text))
	flush()
	return parts
}

// mention returns the part of a mention; of other markup it is none.
func mention(target, label string, bots map[string]bool) callback.Part {
	switch {
	case strings.HasPrefix(target, "@"):
		p := callback.Part{Mention: true, Text: target, Name: strings.TrimPrefix(label, "@"), Whose: callback.Other}
		switch {
		case bots[target[1:]]:
			p.Whose = callback.ThisBot
		case len(bots) == 0:
			p.Whose = callback.Unknown
		}
		return p
	case strings.HasPrefix(target, "!subteam^"):
		return callback.Part{Mention: true, Text: "@" + target[len("!subteam^"):], Whose: callback.Other}
	case target == "!here", target == "!channel", target == "!everyone":
		return callback.Part{Mention: true, Text: "@" + target[1:], Whose: callback.Everyone}
	}
	return callback.Part{}
}

// unmark returns what was typed of markup that is no mention.
func unmark(target, label string) string {
	switch {
	case strings.HasPrefix(target, "#"):
		return target
	case strings.HasPrefix(target, "!date^") && label != "":
		return label
	case strings.HasPrefix(target, "!"):
		return "@" + target[1:]
	}
	return link(target, label)
}

// link returns what was typed of a link: its label if Slack made the address of that.
func link(address, label string) string {
	for _, scheme := range []string{"http://", "https://", "mailto:", "tel:"} {
		if label != "" && strings.TrimSuffix(address, "/") == scheme+strings.TrimSuffix(label, "/") {
			return label
		}
	}
	return address
}

// entities decodes in one pass, so &amp;lt; is &lt; and not <.
var entities = strings.NewReplacer("&amp;", "&", "&lt;", "<", "&gt;", ">")

// escape takes from text what mentions, links and entities begin with.
var escape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// A content is what a message says.
type content struct {
	parts  []callback.Part
	unread string // as command.Message.Unread
	quoted bool   // a quotation was left out: what somebody else said is no command

	text string // as the message has it beside its blocks
	bots map[string]bool
	rich bool // the blocks say more than text does
}

// read reads a message: its text, or the blocks of rich text where these tell more, such as whether
// a * was typed or makes text bold.
// https://docs.slack.dev/reference/block-kit/blocks/rich-text-block
func read(message callback.Fields, bots map[string]bool) content {
	c := content{text: message.Text("text"), bots: bots}
	blocks := message.Items("blocks")
	for _, block := range blocks {
		if block.Text("type") != "rich_text" { // a person's message has no others
			blocks = nil
			break
		}
		c.block(block.Items("elements"))
	}
	switch {
	case len(blocks) == 0:
		c = content{parts: split(c.text, bots)}
		if strings.HasPrefix(message.Text("text"), "&gt;") || strings.Contains(message.Text("text"), "\n&gt;") {
			c.unread = command.UnreadQuotation
		}
	case !c.rich && c.text != "":
		c.parts = split(c.text, bots)
	}
	return c
}

// block reads the elements of a block of rich text, each of which begins a line.
func (c *content) block(elements []callback.Fields) {
	for _, e := range elements {
		if len(c.parts) > 0 {
			c.add("\n")
		}
		inside := e.Items("elements")
		switch kind := e.Text("type"); kind {
		case "rich_text_section":
			c.line(inside)
		case "rich_text_preformatted":
			c.rich = true
			c.add("```\n")
			c.line(inside)
			c.add("\n```")
		case "rich_text_quote":
			c.rich, c.quoted = true, true
		case "rich_text_list":
			if c.rich = true; len(inside) > 1 { // several commands perhaps
				c.miss("a list")
				continue
			}
			c.block(inside)
		default:
			c.miss(command.UnreadElement(kind))
		}
	}
}

// line reads the elements of a line.
func (c *content) line(elements []callback.Fields) {
	for _, e := range elements {
		switch kind := e.Text("type"); kind {
		case "text":
			c.words(e.Text("text"), e.Object("style"))
		case "link":
			c.words(link(e.Text("url"), e.Text("text")), e.Object("style"))
		case "user":
			c.parts = append(c.parts, mention("@"+e.Text("user_id"), "", c.bots))
		case "usergroup":
			c.parts = append(c.parts, mention("!subteam^"+e.Text("usergroup_id"), "", c.bots))
		case "broadcast":
			c.parts = append(c.parts, mention("!"+e.Text("range"), "", c.bots))
		case "channel":
			c.add("#" + e.Text("channel_id"))
		case "emoji":
			c.add(":" + e.Text("name") + ":")
		case "color":
			c.add(e.Text("value"))
		case "date":
			c.add(e.Text("fallback"))
		default:
			c.miss(command.UnreadElement(kind))
		}
	}
}

// words adds text of a style.
func (c *content) words(text string, style callback.Fields) {
	if strings.Contains(text, "&") && !strings.Contains(c.text, escape.Replace(text)) {
		text = entities.Replace(text) // some clients escape here as in text
	}
	if style.Keys() > 0 {
		c.rich = true
	}
	switch {
	case style.Is("strike"):
		c.miss(command.UnreadStruck)
	case style.Is("code") && !strings.Contains(text, "`"):
		c.add("`" + text + "`") // as it is typed without a button for it
	default:
		c.add(text)
	}
}

func (c *content) add(text string) { c.parts = append(c.parts, callback.Part{Text: text}) }

// miss notes what could not be read.
func (c *content) miss(what string) {
	c.rich = true
	if c.unread == "" {
		c.unread = what
	}
}

package command

import (
	"chatconf/shared/secret"
	"strings"
	"time"
)

// A Message is what a person sent to a bot, proven to come from the platform and freed of its
// markup.
type Message struct {
	// ID is the message's own, the same in whatever deliveries and events the platform tells of it;
	// never empty. An act without a message of its own, such as a slash command or a button, has an
	// id of that act, the same when it is delivered again.
	ID           string
	EventID      string // the delivery's or event's own id, if the platform gives one; for people who look for it
	Edit         string // of a message that was edited: when, in digits that grow; empty if it was not
	Conversation string // as ConversationIds writes it; one-to-one conversations have one too
	Direct       bool   // one to one with the bot
	User         string // as grants write it; empty if the platform could not say, and then nothing is allowed
	UserName     string // for people; proves nothing
	Text         string // mentions of the bot taken off, entities decoded, line ends as \n; else as it was typed
	// Unread is what the message has besides its text that changes its meaning and could not be
	// read; empty if all was read.
	Unread  string
	Sent    time.Time // zero if the platform does not say
	ReplyTo ReplyTo   // where an answer goes that comes too late for the delivery's own; zero if nowhere
}

// What Unread may be. Any other English noun with its article will do too.
const (
	UnreadPicture   = "a picture"
	UnreadFile      = "a file"
	UnreadVoice     = "a voice message"
	UnreadVideo     = "a video"
	UnreadPlace     = "a location"
	UnreadLink      = "a link card"
	UnreadCard      = "a card"
	UnreadSticker   = "a sticker"
	UnreadForward   = "a forwarded message"
	UnreadQuotation = "a quotation"
	UnreadStruck    = "text that is struck out"
	UnreadTable     = "a table"

	// UnreadMention is a mention that may be the bot's own name or an argument, where neither an id
	// nor BotName tells which.
	UnreadMention = "a mention that may be the bot's own"
	// UnreadEdit is an edit of a message so old that nobody knows whether it was run.
	UnreadEdit = "an edit of an old message"
)

// UnreadElement is the Unread of an element of rich text of a type that is not known.
func UnreadElement(kind string) string {
	if kind = Printable(kind, 64); kind == "" {
		return "an element without a type"
	}
	return unreadElement + kind
}

const unreadElement = "an element of type "

// unreadProblem returns how to tell people what of a message could not be read.
func unreadProblem(unread string) *Error {
	switch unread {
	case UnreadMention:
		return &Error{problem: commandMention}
	case UnreadEdit:
		return &Error{problem: commandEdited}
	}
	return &Error{commandUnread, unread}
}

// unreadIn returns the Unread of a message in a language.
func unreadIn(language, unread string) string {
	if language != Chinese {
		return unread
	}
	if kind, ok := strings.CutPrefix(unread, unreadElement); ok {
		return "类型为 " + kind + " 的内容"
	}
	if chinese, ok := unreadChinese[unread]; ok {
		return chinese
	}
	return unread
}

var unreadChinese = map[string]string{
	UnreadPicture:   "图片",
	UnreadFile:      "文件",
	UnreadVoice:     "语音",
	UnreadVideo:     "视频",
	UnreadPlace:     "位置",
	UnreadLink:      "链接卡片",
	UnreadCard:      "卡片",
	UnreadSticker:   "表情",
	UnreadForward:   "转发的消息",
	UnreadQuotation: "引用",
	UnreadStruck:    "带删除线的文字",
	UnreadTable:     "表格",
}

// A ReplyTo is a way to answer a message later. It is kept sealed, since some ways are addresses
// that anybody could use.
type ReplyTo struct {
	Kind    string      // which way, in the platform's own terms, such as response_url
	URL     secret.Text // where to, if the platform gave an address
	ID      string      // of the message or person to answer, if the platform wants one
	Expires time.Time   // zero if it does not
}

// Printable returns the printable ASCII of a text, up to so many bytes of it.
func Printable(text string, most int) string {
	var b strings.Builder
	for i := 0; i < len(text) && b.Len() < most; i++ {
		if c := text[i]; c > ' ' && c < 0x7f {
			b.WriteByte(c)
		} else if c == ' ' {
			b.WriteByte('_')
		}
	}
	return b.String()
}

// replyKept is the kind of a ReplyTo whose answers are kept for SendChatMessage.
const replyKept = "kept"

// Kept returns the way to answer a message that SendChatMessage made: its answers are kept in the
// record, and not sent to a platform that knows nothing of the message. Where there is no way,
// there is none for it either.
func (r ReplyTo) Kept() ReplyTo {
	if r.Kind == "" {
		return ReplyTo{}
	}
	return ReplyTo{Kind: replyKept}
}

// IsKept reports whether answers are kept for SendChatMessage, and not sent.
func (r ReplyTo) IsKept() bool { return r.Kind == replyKept }

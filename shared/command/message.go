package command

import (
	"chatconf/shared/secret"
	"strings"
	"time"
)

// A Message is a genuine message from a person to a bot, without its markup.
type Message struct {
	// ID identifies the message in every delivery; it is never empty. A slash command or a button
	// has an id of its own, the same in every delivery.
	ID           string
	EventID      string // the delivery's id, if the platform sends one; for people
	Edit         string // the time of an edit, in digits that grow; empty if the message was not edited
	Conversation string // as ConversationIds writes it; one-to-one conversations have one too
	Direct       bool   // one to one with the bot
	User         string // as Principals writes it; empty if the platform does not say, and then nothing is allowed
	UserName     string // for people; not authenticated
	Text         string // without mentions of the bot, entities decoded, line ends as \n; else as typed
	// Unread names a part of the message, besides its text, that changes its meaning and could not
	// be read; empty if there is no such part.
	Unread  string
	Sent    time.Time // zero if the platform does not say
	ReplyTo ReplyTo   // where a later answer goes; zero if there is no way
}

// Values of Unread. Any other English noun with its article is valid too.
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

	// UnreadMention is a mention that may be the bot's own name or an argument: neither an id nor
	// BotName says which.
	UnreadMention = "a mention that may be the bot's own"
	// UnreadEdit is an edit of a message so old that its record may have expired.
	UnreadEdit = "an edit of an old message"
)

// UnreadElement returns the Unread for a rich text element of an unknown type.
func UnreadElement(kind string) string {
	if kind = Printable(kind, 64); kind == "" {
		return "an element without a type"
	}
	return unreadElement + kind
}

const unreadElement = "an element of type "

func unreadProblem(unread string) *Error {
	switch unread {
	case UnreadMention:
		return &Error{problem: commandMention}
	case UnreadEdit:
		return &Error{problem: commandEdited}
	}
	return &Error{problem: commandUnread, unread: unread}
}

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

// A ReplyTo is a way to answer a message later. It is stored sealed, since anyone could use some of
// the addresses.
type ReplyTo struct {
	Kind    string      // the way, in the platform's terms, such as response_url
	URL     secret.Text // the address, if the platform gave one
	ID      string      // the message or person to answer, if the platform needs one
	Expires time.Time   // zero if it does not expire
	Uses    int         // how many answers it takes; zero if there is no limit
}

// ReplyStream is the Kind of a ReplyTo over the connection by which the message came. Only the
// process that holds the connection can send such an answer.
const ReplyStream = "stream"

// Printable returns the printable ASCII characters of a text, at most that many bytes.
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

// Kept returns the way to answer a message of SendChatMessage: its answers are kept in the record
// and not sent, since the platform does not know the message. Without a way to answer it returns
// none.
func (r ReplyTo) Kept() ReplyTo {
	if r.Kind == "" {
		return ReplyTo{}
	}
	return ReplyTo{Kind: replyKept}
}

// IsKept reports whether answers are kept for SendChatMessage and not sent.
func (r ReplyTo) IsKept() bool { return r.Kind == replyKept }

package dingtalk

import (
	"cmp"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/platform/callback"
	"chatconf/shared/secret"
)

// The headers that tell a robot's message and a card's action apart. An event has its signature in
// the query.
const (
	robotSignature = "sign"
	robotTimestamp = "timestamp"
	cardSignature  = "x-ddpaas-signature"
	cardTimestamp  = "x-ddpaas-signature-timestamp"
)

// The ways to answer later, besides the session's address where there is one.
const (
	toGroup  = "group"  // ReplyTo.ID is an openConversationId
	toPerson = "person" // ReplyTo.ID is a userid
)

// maxText is how long an answer may be, in bytes.
// https://open.dingtalk.com/document/orgapp/robot-sends-a-group-chat-message
const maxText = 12_000

type receiver struct {
	secret.Hidden
	reader
	secrets []string      // of the robot
	cards   []string      // of card callbacks; none if they are not set up
	events  *callback.Box // of the event subscription; nil if it is not set up
	owner   string        // receive id of the event subscription
	window  time.Duration
	random  io.Reader
}

// A reader reads what is proven to come from DingTalk.
type reader struct {
	robotCode string
	codeGiven bool // the configuration names the robot, so a message must too
	corpID    string
	botName   string
}

func newReader(s callback.Settings) reader {
	return reader{
		robotCode: cmp.Or(s.Get("DingTalkRobotCode"), s.Get("DingTalkClientId")),
		codeGiven: s.Get("DingTalkRobotCode") != "",
		corpID:    s.Get("DingTalkCorpId"),
		botName:   s.Get("BotName"),
	}
}

var _ callback.Receiver = (*receiver)(nil)

// NewReceiver returns the receiver of a configuration of type DingTalk. It accepts a robot's
// messages, and the actions of cards and the events of a subscription if their secrets are set.
func (Platform) NewReceiver(s callback.Settings) (callback.Receiver, error) {
	r := &receiver{
		reader: newReader(s),
		owner:  cmp.Or(s.Get("DingTalkOwnerKey"), s.Get("DingTalkClientId")),
		random: rand.Reader,
	}
	var err error
	if r.secrets, err = callback.Secrets(s, "DingTalkClientSecret"); err != nil {
		return nil, fmt.Errorf("dingtalk: %w", err)
	}
	if r.owner == "" || r.robotCode == "" {
		return nil, fmt.Errorf("dingtalk: DingTalkClientId is not set")
	}
	if r.window, err = callback.Window(s, "DingTalkWindowSeconds", callback.Skew, maxWindow); err != nil {
		return nil, fmt.Errorf("dingtalk: %w", err)
	}
	if s.Get("DingTalkCardSecret") != "" {
		if r.cards, err = callback.Secrets(s, "DingTalkCardSecret"); err != nil {
			return nil, fmt.Errorf("dingtalk: %w", err)
		}
	}
	if s.Get("DingTalkToken") != "" || s.Get("DingTalkEncodingAesKey") != "" {
		if r.events, err = callback.NewBox(s, "DingTalkToken", "DingTalkEncodingAesKey",
			"DingTalkOwnerKey", 16); err != nil {
			return nil, fmt.Errorf("dingtalk: %w", err)
		}
	}
	return r, nil
}

// Receive implements callback.Receiver. A callback is signed in one of three ways, and the place of
// its signature tells which. A callback with two signatures is refused, so that one cannot replace
// another.
func (r *receiver) Receive(in *callback.Request) (*callback.Received, error) {
	if in.Method != "POST" {
		return nil, callback.Refuse(callback.StepRequest, "DingTalk calls by POST, not %s", callback.Cut(in.Method, 16))
	}
	robot, card := callback.HasHeader(in, robotSignature), callback.HasHeader(in, cardSignature)
	event := callback.HasParameter(in, "msg_signature") || callback.HasParameter(in, "signature")
	switch {
	case robot && !card && !event:
		return r.robot(in)
	case card && !robot && !event:
		return r.card(in)
	case event && !robot && !card:
		return r.event(in)
	case robot || card || event:
		return nil, callback.Refuse(callback.StepRequest, "there are signatures of two kinds")
	}
	return nil, callback.Refuse(callback.StepRequest,
		"there is no signature: neither the header %s, nor %s, nor the parameter msg_signature",
		robotSignature, cardSignature)
}

// A stamp is a time that is signed, both as they came.
type stamp struct {
	at, sign string
	time     time.Time
}

// signed checks a signature that covers only the time, as robots and cards have it, and that the
// time is fresh.
func (r *receiver) signed(in *callback.Request, signature, timestamp string, read func(string) (time.Time, error),
	secrets []string, message func(at, secret string) string) (*stamp, error) {
	sign, err := callback.Header(in, signature)
	if err != nil {
		return nil, err
	}
	at, err := callback.Header(in, timestamp)
	if err != nil {
		return nil, err
	}
	sent, err := read(at)
	if err != nil {
		return nil, err
	}
	sum, err := base64.StdEncoding.Strict().DecodeString(sign)
	if err != nil || len(sum) != sha256.Size || len(sign) != base64.StdEncoding.EncodedLen(sha256.Size) {
		return nil, callback.Refuse(callback.StepSignature,
			"the header %s is not base64 of %d bytes", signature, sha256.Size)
	}
	_, ok := callback.Match(secrets, sum, func(secret string) []byte {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte(message(at, secret)))
		return mac.Sum(nil)
	})
	if !ok {
		return nil, callback.Refuse(callback.StepSignature,
			"the header %s was not made with the secret of this configuration", signature)
	}
	if err := callback.Fresh("the timestamp", in.Now, sent, r.window); err != nil {
		return nil, err
	}
	return &stamp{at, sign, sent}, nil
}

// robot reads a message to a robot. Its signature covers the time and not the body. A leaked pair
// of time and signature would prove any message while it is fresh. So the pair is a guard: it
// proves only one message. https://open.dingtalk.com/document/orgapp/receive-message
func (r *receiver) robot(in *callback.Request) (*callback.Received, error) {
	s, err := r.signed(in, robotSignature, robotTimestamp, callback.Millis, r.secrets,
		func(at, secret string) string { return at + "\n" + secret })
	if err != nil {
		return nil, err
	}
	f, err := r.plain(in)
	if err != nil {
		return nil, err
	}
	received, err := r.message(f)
	if err != nil {
		return nil, err
	}
	received.Guards, received.State = []string{callback.Digest("dingtalk robot", s.at, s.sign)}, answersText
	return received, nil
}

// plain reads the body of a message to a robot. According to other projects it may be encrypted
// like an event, with the key of the event subscription. DingTalk's documents do not mention it.
func (r *receiver) plain(in *callback.Request) (callback.Fields, error) {
	f, err := callback.Object("the body", string(in.Body))
	if err != nil || !f.Has("encrypt") || f.Keys() != 1 {
		return f, err
	}
	if r.events == nil {
		return f, callback.Refuse(callback.StepDecrypt,
			"the body is encrypted; set DingTalkToken and DingTalkEncodingAesKey to those of the console")
	}
	encrypt := f.Text("encrypt")
	if err := f.Err(); err != nil {
		return f, err
	}
	text, err := r.events.Open(new(callback.Session), encrypt, r.owner)
	if err != nil {
		return f, err
	}
	return callback.Object("the message", text)
}

// meant refuses a message for another robot or corporation.
func (r *reader) meant(robotCode, corpID string) error {
	switch {
	case robotCode == "" && r.codeGiven:
		return callback.Refuse(callback.StepReceiver,
			"the message names no robot, and this configuration is for %q; if it is yours, remove DingTalkRobotCode",
			r.robotCode)
	case robotCode != "" && robotCode != r.robotCode:
		return callback.Refuse(callback.StepReceiver,
			"the message is for the robot %q, and this configuration is for %q; if it is "+
				"yours, set DingTalkRobotCode to %[1]q",
			callback.Cut(robotCode, 64), r.robotCode)
	}
	return r.corp(corpID)
}

func (r *reader) corp(id string) error {
	switch {
	case r.corpID == "" || id == r.corpID:
		return nil
	case id == "":
		return callback.Refuse(callback.StepReceiver,
			"the message names no corporation, and this configuration is for %q; if it is yours, remove DingTalkCorpId",
			r.corpID)
	}
	return callback.Refuse(callback.StepReceiver,
		"the message is of the corporation %q, and this configuration is for %q; if it is "+
			"yours, set DingTalkCorpId to %[1]q",
		callback.Cut(id, 64), r.corpID)
}

// message reads a message to the robot. The robot's own messages, and the notice that a quota is
// exceeded, which comes in place of the text, are only counted.
// https://open.dingtalk.com/document/orgapp/receive-message
func (r *reader) message(f callback.Fields) (*callback.Received, error) {
	if err := r.meant(f.Text("robotCode"), f.Text("chatbotCorpId")); err != nil {
		return nil, err
	}
	m := &command.Message{
		ID:           f.Text("msgId"),
		Conversation: f.Text("conversationId"),
		Direct:       f.NumberOrText("conversationType") == "1",
		User:         f.Text("senderStaffId"),
		UserName:     f.Text("senderNick"),
		Sent:         millis(f.NumberOrText("createAt")),
	}
	if sender, bot := f.Text("senderCorpId"), f.Text("chatbotCorpId"); sender != "" && bot != "" && sender != bot {
		m.User = "" // somebody of another organisation, whose userid may be that of somebody here
	}
	m.ReplyTo = replyTo(m)
	if m.ReplyTo.URL = secret.Text(f.Text("sessionWebhook")); m.ReplyTo.URL != "" {
		m.ReplyTo.Expires = millis(f.NumberOrText("sessionWebhookExpiredTime"))
	}
	kind, notice := f.Text("msgtype"), f.NumberOrText("errorCode")
	own := f.Text("senderId") != "" && f.Text("senderId") == f.Text("chatbotUserId")
	switch {
	case f.Err() != nil:
		return nil, f.Err()
	case own:
		return &callback.Received{Kind: "own/" + kind}, nil
	case notice != "" && notice != "0": // 20001: the organisation's quota is exceeded
		return &callback.Received{Kind: "errorCode/" + notice}, nil
	}
	heard := r.hear(f, kind, m.Direct)
	m.Text, m.Unread = heard.Text, heard.Unread
	if err := f.Err(); err != nil {
		return nil, err
	}
	return &callback.Received{Message: m, Mention: heard.Name}, callback.Check(m)
}

// files are the types of messages that hold no text.
var files = map[string]string{
	"picture": command.UnreadPicture, "image": command.UnreadPicture,
	"video": command.UnreadVideo, "file": command.UnreadFile,
	"interactiveCard": command.UnreadCard, "actionCard": command.UnreadCard, "link": command.UnreadLink,
	"location": command.UnreadPlace, "sticker": command.UnreadSticker,
}

// hear reads what a message says. Of text DingTalk takes the robot's mention off.
func (r *reader) hear(f callback.Fields, kind string, direct bool) callback.Heard {
	switch kind {
	case "text":
		text := f.Object("text").Text("content")
		if !f.Has("text") && f.IsText("content") {
			text = f.Text("content") // one sample of the documents has it so
		}
		return callback.Hear(callback.Split(text, r.botName), r.botName, callback.Addressed)
	case "richText":
		return r.richText(f, direct)
	case "audio":
		if text := f.Object("content").Text("recognition"); text != "" {
			return callback.Heard{Text: callback.Fold(text)}
		}
		return callback.Heard{Unread: command.UnreadVoice}
	}
	unread := files[kind]
	if unread == "" {
		unread = command.UnreadElement(kind)
	}
	return callback.Heard{Unread: unread}
}

// richText reads text with pictures, which are no part of a command. The robot's own mention is in
// it if there are as many mentions as atUsers, which counts the robot.
func (r *reader) richText(f callback.Fields, direct bool) callback.Heard {
	var parts []callback.Part
	unread, files := "", ""
	for _, element := range f.Object("content").Items("richText") {
		switch kind := element.Text("type"); {
		case kind == "picture":
			files, parts = command.UnreadPicture, callback.Gap(parts)
		case element.IsText("text") && (kind == "" || kind == "text"):
			parts = append(parts, callback.Split(element.Text("text"), r.botName)...)
		default:
			unread = command.UnreadElement(kind)
		}
	}
	mentions := 0
	for _, p := range parts {
		if p.Mention {
			mentions++
		}
	}
	way := callback.Called
	if direct || mentions < len(f.Items("atUsers")) {
		way = callback.Addressed
	}
	heard := callback.Hear(parts, r.botName, way)
	switch {
	case unread != "":
		heard.Unread = unread
	case heard.Text == "" && heard.Unread == "":
		heard.Unread = files
	}
	return heard
}

func replyTo(m *command.Message) command.ReplyTo {
	if m.Direct {
		return command.ReplyTo{Kind: toPerson, ID: m.User}
	}
	return command.ReplyTo{Kind: toGroup, ID: m.Conversation}
}

// millis reads a time that proves nothing: zero if it is none.
func millis(text string) time.Time {
	at, err := callback.Millis(text)
	if err != nil {
		return time.Time{}
	}
	return at
}

// card reads the action of a person on an interactive card. Its signature covers only the time,
// like a robot's. https://open.dingtalk.com/document/orgapp/event-callback-card
func (r *receiver) card(in *callback.Request) (*callback.Received, error) {
	if r.cards == nil {
		return nil, callback.Refuse(callback.StepRequest, "this is the action of a card; set DingTalkCardSecret")
	}
	// The documents do not say whether it is seconds.
	s, err := r.signed(in, cardSignature, cardTimestamp, callback.SecondsOrMillis, r.cards,
		func(at, _ string) string { return at })
	if err != nil {
		return nil, err
	}
	f, err := callback.Object("the body", string(in.Body))
	if err != nil {
		return nil, err
	}
	received, err := r.action(f, s.at, s.time)
	if err != nil {
		return nil, err
	}
	received.Guards, received.State = []string{callback.Digest("dingtalk card", s.at, s.sign)}, answersNothing
	return received, nil
}

// action reads the action of a card. The command is its parameter command, or else the id of the
// action. The other parameters are what was filled in or chosen. once tells the same action at
// another time apart.
func (r *reader) action(f callback.Fields, once string, sent time.Time) (*callback.Received, error) {
	if err := r.corp(f.Text("corpId")); err != nil {
		return nil, err
	}
	if kind := f.Text("type"); kind != "actionCallback" {
		return &callback.Received{Kind: "card/" + kind}, f.Err()
	}
	content := f.Text("content")
	action, err := callback.Object("content", content)
	if err != nil {
		return nil, err
	}
	private := action.Object("cardPrivateData")
	params := private.Object("params")
	cmd := params.Text("command")
	if ids := private.Texts("actionIds"); cmd == "" && len(ids) > 0 {
		cmd = ids[0]
	}
	choices, whole := params.Choices("command")
	unread := ""
	if !whole {
		unread = command.UnreadElement("params")
	}
	m := &command.Message{
		ID:           callback.Digest("dingtalk card", f.Text("outTrackId"), f.Text("userId"), content, once),
		EventID:      f.Text("outTrackId"),
		Conversation: space(f.Text("spaceId")),
		Direct:       strings.EqualFold(f.Text("spaceType"), "IM_ROBOT"),
		User:         f.Text("userId"),
		Text:         callback.Act(cmd, choices),
		Unread:       unread,
		Sent:         sent,
	}
	if kind := f.NumberOrText("userIdType"); kind != "" && kind != "1" {
		m.User = "" // a unionId, which is not what grants are written with
	}
	m.ReplyTo = replyTo(m)
	if m.Conversation == "" {
		m.Conversation, m.ReplyTo = f.Text("outTrackId"), command.ReplyTo{Kind: toPerson, ID: m.User}
	}
	for _, fields := range []callback.Fields{f, action} {
		if err := fields.Err(); err != nil {
			return nil, err
		}
	}
	return &callback.Received{Message: m}, callback.Check(m)
}

// space returns the conversation of a space that a card is in, which may be written as an
// openSpaceId is.
func space(id string) string {
	if rest, ok := strings.CutPrefix(id, "dtv1.card//"); ok {
		_, id, _ = strings.Cut(rest, ".")
	}
	return id
}

// event reads an event of a subscription, such as the check of the URL. No event is a message, and
// all get an encrypted answer.
// https://open.dingtalk.com/document/orgapp/configure-event-subcription
func (r *receiver) event(in *callback.Request) (*callback.Received, error) {
	if r.events == nil {
		return nil, callback.Refuse(callback.StepRequest,
			"this is an event of a subscription; set DingTalkToken and DingTalkEncodingAesKey")
	}
	name := "msg_signature" // some documents have it under one name, some under both
	if !callback.HasParameter(in, name) {
		name = "signature"
	} else if n := len(in.Query["signature"]); n > 1 {
		return nil, callback.Refuse(callback.StepRequest, "the parameter signature is given %d times", n)
	}
	signature, err := callback.Parameter(in, name)
	if err != nil {
		return nil, err
	}
	name = "timestamp"
	if callback.HasParameter(in, "timeStamp") {
		if callback.HasParameter(in, name) {
			return nil, callback.Refuse(callback.StepRequest, "the parameter timestamp is given twice")
		}
		name = "timeStamp"
	}
	timestamp, err := callback.Parameter(in, name)
	if err != nil {
		return nil, err
	}
	at, err := callback.SecondsOrMillis(timestamp)
	if err != nil {
		return nil, err
	}
	nonce, err := callback.Nonce(in)
	if err != nil {
		return nil, err
	}
	body, err := callback.ReadEnclosureJSON(in.Body)
	if err != nil {
		return nil, err
	}
	encrypt, err := body.Text("encrypt")
	if err != nil {
		return nil, err
	}
	session, err := r.events.Verify(signature, timestamp, nonce, encrypt)
	if err != nil {
		return nil, err
	}
	if err := callback.Fresh("the timestamp", in.Now, at, r.window); err != nil {
		return nil, err
	}
	text, err := r.events.Open(session, encrypt, r.owner)
	if err != nil {
		return nil, err
	}
	return r.opened(in, session, timestamp, nonce, text)
}

// opened reads an event that is genuine.
func (r *receiver) opened(in *callback.Request, session *callback.Session, timestamp, nonce, text string) (
	*callback.Received, error) {
	f, err := callback.Object("the event", text)
	if err != nil {
		return nil, err
	}
	kind, random, corpID := f.Text("EventType"), f.Text("Random"), f.Text("CorpId")
	inner := f.NumberOrText("TimeStamp")
	if err := f.Err(); err != nil {
		return nil, err
	}
	if kind == "" {
		return nil, callback.Refuse(callback.StepDecode, "the event has no EventType")
	}
	if inner == "" {
		if err := callback.Current(in.Now, timestamp, nonce, r.window); err != nil {
			return nil, err
		}
	} else {
		// The time in the query can be made of a nonce's digits without changing the signature;
		// this one cannot.
		at, err := callback.SecondsOrMillis(inner)
		if err != nil {
			return nil, err
		}
		if err := callback.Fresh("the event's TimeStamp", in.Now, at, r.window+retries); err != nil {
			return nil, err
		}
	}
	if corpID != "" {
		if err := r.corp(corpID); err != nil {
			return nil, err
		}
	}
	state := sealed{session, strconv.FormatInt(in.Now.UnixMilli(), 10), nonce}
	word := ""
	switch kind {
	case "check_url":
		word = success
	case "check_create_suite_url", "check_update_suite_url":
		word = random
	default:
		return &callback.Received{Kind: "event/" + kind, State: state}, nil
	}
	response, err := r.seal(state, word)
	if err != nil {
		return nil, err
	}
	return &callback.Received{Handshake: response, State: state}, nil
}

// success is what every event is answered with.
const success = "success"

// retries is how long DingTalk goes on delivering an event, and a little more.
const retries = time.Minute

// What Received.State says: how the callback is answered.
type kind int

const (
	answersText    kind = iota // with a message
	answersNothing             // with an empty object, since a card shows no text
)

// sealed is the state of an event, which is answered in an envelope.
type sealed struct {
	session          *callback.Session
	timestamp, nonce string
}

// Answer implements callback.Receiver.
func (r *receiver) Answer(in *callback.Received, text string) (*callback.Response, error) {
	switch state := in.State.(type) {
	case sealed:
		return r.seal(state, success)
	case kind:
		if state == answersNothing {
			return callback.JSON(callback.Empty{}), nil
		}
	}
	if text == "" {
		return callback.JSON(struct {
			Type string `json:"msgtype"`
		}{"empty"}), nil
	}
	response := callback.JSON(messageOf(text))
	response.Carries = true
	return response, nil
}

// A message is plain text. It mentions nobody, since only the members of At do.
type message struct {
	Type string        `json:"msgtype"`
	Text callback.Text `json:"text"`
	At   struct {
		Mobiles []string `json:"atMobiles"`
		Users   []string `json:"atUserIds"`
		All     bool     `json:"isAtAll"`
	} `json:"at"`
}

func messageOf(text string) message {
	m := message{Type: "text", Text: callback.Text{Content: callback.Cut(text, maxText)}}
	m.At.Mobiles, m.At.Users = []string{}, []string{}
	return m
}

func (r *receiver) seal(s sealed, word string) (*callback.Response, error) {
	a, err := s.session.Seal(r.random, word, s.timestamp, s.nonce)
	if err != nil {
		return nil, fmt.Errorf("dingtalk: %w", err)
	}
	return callback.JSON(struct {
		Signature string `json:"msg_signature"`
		Timestamp string `json:"timeStamp"`
		Nonce     string `json:"nonce"`
		Encrypt   string `json:"encrypt"`
	}{a.Signature, a.Timestamp, a.Nonce, a.Encrypt}), nil
}

package wecom

import (
	"bytes"
	"crypto/rand"
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"chatconf/shared/chat"
	"chatconf/shared/document"
	"chatconf/shared/platform/callback"
	"chatconf/shared/platform/envelope"
	"chatconf/shared/webhook"
)

// The ways to answer later.
const (
	toUser      = "user"         // ReplyTo.ID is a userid
	toURL       = "response_url" // ReplyTo.URL is the intelligent robot's
	maxText     = 2048           // bytes of an app's text. https://developer.work.weixin.qq.com/document/path/90236
	maxMarkdown = 20_480         // bytes of a robot's. https://developer.work.weixin.qq.com/document/path/101138
)

// retries is how much older than its delivery a message may be: three attempts of five seconds, and a queue before them.
const retries = 5 * time.Minute

type receiver struct {
	box     *envelope.Box
	corpID  string
	agentID string
	robot   bool // callbacks of an intelligent robot are taken, whose receive id is empty
	botName string
	random  io.Reader
}

var _ webhook.Receiver = (*receiver)(nil)

// NewReceiver returns the receiver of a configuration of type WeChat. It takes an app's callbacks, and those of an intelligent robot (智能机器人)
// if WeChatAibot is true: they have an empty receive id, which is otherwise that of nobody.
func NewReceiver(s webhook.Settings) (webhook.Receiver, error) {
	box, err := envelope.NewBox(s, "WeChatToken", "WeChatEncodingAesKey", "WeChatCorpId", 32)
	if err != nil {
		return nil, fmt.Errorf("wecom: %w", err)
	}
	r := &receiver{box: box, corpID: s.Get("WeChatCorpId"), agentID: s.Get("WeChatAgentId"), robot: s.Get("WeChatAibot") == "true",
		botName: s.Get("BotName"), random: rand.Reader}
	if r.corpID == "" || r.agentID == "" {
		return nil, fmt.Errorf("wecom: WeChatCorpId or WeChatAgentId is not set")
	}
	return r, nil
}

// Receive implements webhook.Receiver.
// https://developer.work.weixin.qq.com/document/path/90238
func (r *receiver) Receive(in *webhook.Request) (*webhook.Received, error) {
	signature, err := callback.Parameter(in, "msg_signature")
	if err != nil {
		return nil, err
	}
	timestamp, err := callback.Parameter(in, "timestamp")
	if err != nil {
		return nil, err
	}
	at, err := callback.Seconds(timestamp)
	if err != nil {
		return nil, err
	}
	nonce, err := callback.Nonce(in)
	if err != nil {
		return nil, err
	}
	e, err := r.enclosed(in)
	if err != nil {
		return nil, err
	}
	session, err := r.box.Verify(signature, timestamp, nonce, e.encrypt)
	if err != nil {
		return nil, err
	}
	if err := callback.Fresh("the timestamp", in.Now, at, callback.Skew); err != nil {
		return nil, err
	}
	text, err := r.box.Open(session, e.encrypt, e.receivers...)
	if err != nil {
		return nil, err
	}
	state := state{session: session, form: e.form, at: timestamp, timestamp: strconv.FormatInt(in.Now.Unix(), 10), nonce: nonce}
	switch e.form {
	case formURL:
		if err := envelope.Current(in.Now, timestamp, nonce, callback.Skew); err != nil {
			return nil, err
		}
		if !isEcho(text) {
			return nil, webhook.Refuse(webhook.StepDecode, "echostr is not what a check of the URL says, but a message perhaps")
		}
		return &webhook.Received{Handshake: &webhook.Response{Status: 200, ContentType: "text/plain; charset=utf-8", Body: []byte(text)}}, nil
	case formXML:
		f, err := readXML("the message", text)
		if err != nil {
			return nil, err
		}
		return r.app(in, state, f)
	case formJSON:
		f, err := jsonFields(text)
		if err != nil {
			return nil, err
		}
		return r.app(in, state, f)
	default:
		return r.aibot(in, state, text)
	}
}

// isEcho reports whether text is what a check of the URL asks to be told: digits, as far as is known. The signature of a message proves its ciphertext
// as an echostr too, so what looks like a message is not told to whoever asks.
func isEcho(text string) bool {
	return text != "" && len(text) <= 128 && !strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c >= 0x7f || strings.ContainsRune(`<>{}"&`, c) })
}

// A form is what a callback looks like, and so its answer.
type form int

const (
	formURL   form = iota // the check of the URL
	formXML               // of an app
	formJSON              // of an app that asked for JSON
	formRobot             // of an intelligent robot
)

// state is what Answer needs.
type state struct {
	session          *envelope.Session
	form             form
	at               string // the callback's own time
	timestamp, nonce string // of the answer
	user             string // who sent the message, as WeCom wrote it
	id               string // of the message
}

// An enclosure is a ciphertext, and for whom it may be.
type enclosure struct {
	form      form
	encrypt   string
	receivers []string
}

// enclosed finds the ciphertext. Nothing that it reads is proven yet; it only says which receive ids will do.
func (r *receiver) enclosed(in *webhook.Request) (enclosure, error) {
	app, none := []string{r.corpID}, []string(nil)
	if r.robot {
		none = []string{""}
	}
	switch {
	case in.Method == "GET":
		echo, err := callback.Parameter(in, "echostr")
		return enclosure{formURL, echo, append(app, none...)}, err
	case in.Method != "POST":
		return enclosure{}, webhook.Refuse(webhook.StepRequest, "WeCom calls by GET and POST, not %s", callback.Cut(in.Method, 16))
	case callback.HasParameter(in, "echostr"):
		return enclosure{}, webhook.Refuse(webhook.StepRequest, "echostr is a parameter of GET, and this is a POST")
	case bytes.HasPrefix(bytes.TrimLeft(in.Body, " \t\r\n"), []byte("<")):
		f, err := parseXML("the body", string(in.Body))
		if err != nil {
			return enclosure{}, err
		}
		return enclosure{formXML, f.texts["Encrypt"], app}, nil
	}
	f, err := callback.Object("the body", string(in.Body))
	if err != nil {
		return enclosure{}, err
	}
	encrypt := f.Text("encrypt")
	if f.Has("tousername") {
		return enclosure{formJSON, encrypt, app}, f.Err()
	}
	if !r.robot {
		return enclosure{}, webhook.Refuse(webhook.StepRequest, "this is the callback of an intelligent robot, and WeChatAibot is not true")
	}
	return enclosure{formRobot, encrypt, none}, f.Err()
}

// app reads a message to an app, or an event of it.
// https://developer.work.weixin.qq.com/document/path/90239
func (r *receiver) app(in *webhook.Request, s state, f fields) (*webhook.Received, error) {
	kind, agent := f.texts["MsgType"], f.texts["AgentID"]
	switch {
	case f.texts["ToUserName"] != r.corpID:
		return nil, webhook.Refuse(webhook.StepReceiver, "the message is for the corporation %q, and this configuration is for %s", callback.Cut(f.texts["ToUserName"], 64), r.corpID)
	case agent != r.agentID && (agent != "" || kind != "event"): // events of the address book have none
		return nil, webhook.Refuse(webhook.StepReceiver, "the message is for the app %q, and this configuration is for %s", callback.Cut(agent, 64), r.agentID)
	}
	// The time in the query can be made of a nonce's digits without changing the signature; this one cannot.
	created, err := callback.Seconds(f.texts["CreateTime"])
	if err != nil {
		return nil, err
	}
	if err := callback.Fresh("the message's CreateTime", in.Now, created, callback.Skew+retries); err != nil {
		return nil, err
	}
	s.user = f.texts["FromUserName"]
	user := strings.ToLower(s.user) // userids are the same in any case
	m := &chat.Message{
		ID:           f.texts["MsgId"],
		Conversation: user, // an app talks to one person at a time
		Direct:       true,
		User:         user,
		Sent:         created,
		ReplyTo:      chat.ReplyTo{Kind: toUser, ID: s.user},
	}
	switch {
	case kind == "text":
		m.Text = callback.Fold(f.texts["Content"])
	case kind == "event" && f.texts["Event"] == "click": // of the app's menu, whose keys the administrator wrote
		m.ID = callback.Digest("wecom event", user, f.texts["CreateTime"], f.texts["Event"], f.texts["EventKey"])
		m.Text = callback.Fold(f.texts["EventKey"])
	default:
		return &webhook.Received{State: s}, nil
	}
	if user == "" {
		return nil, webhook.Refuse(webhook.StepDecode, "the message has no FromUserName")
	}
	return &webhook.Received{Message: m, State: s}, callback.Check(m)
}

// aibot reads a message to an intelligent robot, or an event of it. The platform's asking for more of an answer (stream) is acknowledged: every answer is
// whole at once.
// https://developer.work.weixin.qq.com/document/path/100719
func (r *receiver) aibot(in *webhook.Request, s state, text string) (*webhook.Received, error) {
	f, err := callback.Object("the message", escapeControls(text))
	if err != nil {
		return nil, err
	}
	from := f.Object("from")
	user := strings.ToLower(from.Text("userid"))
	m := &chat.Message{
		ID:           f.Text("msgid"),
		Conversation: f.Text("chatid"),
		Direct:       f.Text("chattype") == "single",
		User:         user,
		ReplyTo:      chat.ReplyTo{Kind: toURL, URL: chat.Secret(f.Text("response_url"))},
	}
	if m.Direct {
		m.Conversation = user
	}
	// Somebody of another corporation, whose userid may be that of somebody here; of this one's people the platform does not say it.
	if corpID := from.Text("corpid"); corpID != "" && corpID != r.corpID {
		if m.User = ""; m.Direct {
			m.Conversation = corpID + "/" + user
		}
	}
	if m.ReplyTo.URL == "" {
		m.ReplyTo = chat.ReplyTo{}
	}
	created := f.NumberOrText("create_time")
	if created == "" { // messages have no time inside
		if err := envelope.Current(in.Now, s.at, s.nonce, callback.Skew); err != nil {
			return nil, err
		}
	} else {
		if m.Sent, err = callback.Seconds(created); err != nil {
			return nil, err
		}
		if err := callback.Fresh("the message's create_time", in.Now, m.Sent, callback.Skew+retries); err != nil {
			return nil, err
		}
	}
	kind := f.Text("msgtype")
	switch kind {
	case "text":
		m.Text = f.Object("text").Text("content")
	case "voice":
		m.Text = f.Object("voice").Text("content") // what was understood of it
	}
	if err := f.Err(); err != nil {
		return nil, err
	}
	if kind != "text" && kind != "voice" {
		return &webhook.Received{State: s}, nil
	}
	s.id = m.ID
	m.Text = callback.Fold(m.Text)
	if !m.Direct {
		m.Text = r.unmention(m.Text)
	}
	return &webhook.Received{Message: m, State: s}, callback.Check(m)
}

// unmention takes the mention of the robot off a group's message. Without BotName it is the first word, if that is a mention.
func (r *receiver) unmention(text string) string {
	if r.botName != "" {
		mention := "@" + callback.Fold(r.botName)
		for at := 0; ; {
			i := strings.Index(text[at:], mention)
			if i < 0 {
				return text
			}
			i += at
			before, after := text[:i], text[i+len(mention):]
			if (before == "" || strings.HasSuffix(before, " ") || strings.HasSuffix(before, "\n")) && (after == "" || after[0] == ' ' || after[0] == '\n') {
				return callback.Fold(before + strings.TrimPrefix(after, " "))
			}
			at = i + 1
		}
	}
	if !strings.HasPrefix(text, "@") {
		return text
	}
	i := strings.IndexAny(text, " \n")
	if i < 0 {
		return ""
	}
	return callback.Fold(text[i:])
}

// Answer implements webhook.Receiver: a passive reply in an envelope of the callback's own form.
func (r *receiver) Answer(in *webhook.Received, text string) (*webhook.Response, error) {
	s, ok := in.State.(state)
	if !ok || text == "" || in.Message == nil {
		return callback.Acknowledge(), nil
	}
	a, err := s.session.Seal(r.random, r.reply(s, text), s.timestamp, s.nonce)
	if err != nil {
		return nil, fmt.Errorf("wecom: %w", err)
	}
	var b bytes.Buffer
	response := &webhook.Response{Status: 200, ContentType: "application/json; charset=utf-8", Carries: true}
	switch s.form {
	case formXML:
		response.ContentType = "text/xml; charset=utf-8"
		fmt.Fprintf(&b, "<xml><Encrypt>%s</Encrypt><MsgSignature>%s</MsgSignature><TimeStamp>%s</TimeStamp><Nonce>%s</Nonce></xml>",
			a.Encrypt, a.Signature, a.Timestamp, escapeXML(a.Nonce))
	default: // the nonce must be the callback's, and the time a number
		b.WriteString(`{"encrypt":`)
		document.WriteString(&b, a.Encrypt)
		b.WriteString(`,"msgsignature":`)
		document.WriteString(&b, a.Signature)
		b.WriteString(`,"timestamp":` + a.Timestamp + `,"nonce":`)
		document.WriteString(&b, a.Nonce)
		b.WriteByte('}')
	}
	response.Body = b.Bytes()
	return response, nil
}

// reply is the message inside of a passive reply.
func (r *receiver) reply(s state, text string) string {
	switch s.form {
	case formXML:
		return "<xml><ToUserName>" + escapeXML(s.user) + "</ToUserName><FromUserName>" + escapeXML(r.corpID) + "</FromUserName><CreateTime>" + s.timestamp +
			"</CreateTime><MsgType>text</MsgType><Content>" + escapeXML(plain(text)) + "</Content></xml>"
	case formJSON:
		var b bytes.Buffer
		b.WriteString(`{"ToUserName":`)
		document.WriteString(&b, s.user)
		b.WriteString(`,"FromUserName":`)
		document.WriteString(&b, r.corpID)
		b.WriteString(`,"CreateTime":` + s.timestamp + `,"MsgType":"text","Content":`)
		document.WriteString(&b, plain(text))
		b.WriteByte('}')
		return b.String()
	default:
		var b bytes.Buffer
		b.WriteString(`{"msgtype":"stream","stream":{"id":`)
		document.WriteString(&b, callback.Digest("wecom stream", s.id)[:32])
		b.WriteString(`,"finish":true,"content":`)
		document.WriteString(&b, markdown(text))
		b.WriteString(`}}`)
		return b.String()
	}
}

// plain is text for an app's text message, in which only links are markup.
func plain(text string) string { return callback.Cut(callback.Defuse(text), maxText) }

// markdown is text for a message in Markdown, in which nothing is markup and nobody is mentioned.
func markdown(text string) string {
	return callback.Cut(callback.Defuse(marks.Replace(text)), maxMarkdown)
}

var marks = strings.NewReplacer(`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "#", `\#`, ">", `\>`, "~", `\~`, "|", `\|`, "!", `\!`)

// escapeXML makes text of an element: what XML cannot hold is replaced, so that the reply can always be read.
func escapeXML(text string) string {
	var b bytes.Buffer
	xml.EscapeText(&b, []byte(text)) // a Buffer never fails
	return b.String()
}

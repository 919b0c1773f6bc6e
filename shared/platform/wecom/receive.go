package wecom

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/document"
	"chatconf/shared/platform/callback"
	"chatconf/shared/secret"
)

// The ways to answer later.
const (
	toUser      = "user"         // ReplyTo.ID is a userid
	toURL       = "response_url" // ReplyTo.URL is the intelligent robot's
	toStream    = command.ReplyStream
	maxText     = 2048   // bytes of an app's text. https://developer.work.weixin.qq.com/document/path/90236
	maxMarkdown = 20_480 // bytes of a robot's. https://developer.work.weixin.qq.com/document/path/101138
)

// retries is how much older than its delivery a message may be: three attempts of five seconds, and
// a queue before them.
const retries = 5 * time.Minute

type receiver struct {
	secret.Hidden
	reader
	box     *callback.Box
	agentID string
	robot   bool // callbacks of an intelligent robot are taken, whose receive id is empty
	random  io.Reader
}

var _ callback.Receiver = (*receiver)(nil)

// A reader reads what is proven to be for an intelligent robot.
type reader struct {
	corpID  string // of our own people; may be empty for a connection
	botName string
	stream  bool // it comes over the robot's connection
}

func newReader(s callback.Settings) reader {
	return reader{corpID: s.Get("WeChatCorpId"), botName: s.Get("BotName")}
}

// NewReceiver returns the receiver of a configuration of type WeChat. It accepts an app's
// callbacks, and those of an intelligent robot (智能机器人) if WeChatAibot is true. Those have an empty
// receive id, which is refused otherwise.
func (Platform) NewReceiver(s callback.Settings) (callback.Receiver, error) {
	box, err := callback.NewBox(s, "WeChatToken", "WeChatEncodingAesKey", "WeChatCorpId", 32)
	if err != nil {
		return nil, fmt.Errorf("wecom: %w", err)
	}
	r := &receiver{reader: newReader(s), box: box, agentID: s.Get("WeChatAgentId"),
		robot: s.Get("WeChatAibot") == "true", random: rand.Reader}
	if r.corpID == "" || r.agentID == "" {
		return nil, fmt.Errorf("wecom: WeChatCorpId or WeChatAgentId is not set")
	}
	return r, nil
}

// Receive implements callback.Receiver.
// https://developer.work.weixin.qq.com/document/path/90238
func (r *receiver) Receive(in *callback.Request) (*callback.Received, error) {
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
	state := state{
		session: session, form: e.form, at: timestamp, timestamp: strconv.FormatInt(in.Now.Unix(), 10), nonce: nonce,
	}
	switch e.form {
	case formURL:
		if err := callback.Current(in.Now, timestamp, nonce, callback.Skew); err != nil {
			return nil, err
		}
		if !isEcho(text) {
			return nil, callback.Refuse(callback.StepDecode,
				"echostr is not the text of a check of the URL, but may be a message")
		}
		return &callback.Received{Handshake: &callback.Response{Status: 200,
			ContentType: "text/plain; charset=utf-8", Body: []byte(text)}}, nil
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
		f, err := callback.Object("the message", escapeControls(text))
		if err != nil {
			return nil, err
		}
		if err := current(in, state, f); err != nil {
			return nil, err
		}
		return r.aibot(state, f)
	}
}

// current refuses a robot's callback that may be an old one.
func current(in *callback.Request, s state, f callback.Fields) error {
	created := f.NumberOrText("create_time")
	if created == "" { // messages have no time inside
		return callback.Current(in.Now, s.at, s.nonce, callback.Skew)
	}
	sent, err := callback.Seconds(created)
	if err != nil {
		return err
	}
	return callback.Fresh("the message's create_time", in.Now, sent, callback.Skew+retries)
}

// isEcho reports whether text is that of a check of the URL: digits, as far as is known. The
// signature of a message also proves its ciphertext as an echostr, so a text that may be a message
// is not answered.
func isEcho(text string) bool {
	return text != "" && len(text) <= 128 && !strings.ContainsFunc(text, func(c rune) bool {
		return c <= ' ' || c >= 0x7f || strings.ContainsRune(`<>{}"&`, c)
	})
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
	session          *callback.Session
	form             form
	at               string // the callback's own time
	timestamp, nonce string // of the answer
	user             string // who sent the message, as WeCom wrote it
	id               string // of the message
	acknowledged     bool   // the answer can show no text
}

// An enclosure is a ciphertext, and for whom it may be.
type enclosure struct {
	form      form
	encrypt   string
	receivers []string
}

// enclosed finds the ciphertext, and which receive ids are accepted. Nothing that it reads is
// proven yet.
func (r *receiver) enclosed(in *callback.Request) (enclosure, error) {
	app, none := []string{r.corpID}, []string(nil)
	if r.robot {
		none = []string{""}
	}
	switch {
	case in.Method == "GET":
		echo, err := callback.Parameter(in, "echostr")
		return enclosure{formURL, echo, append(app, none...)}, err
	case in.Method != "POST":
		return enclosure{}, callback.Refuse(callback.StepRequest,
			"WeCom calls by GET and POST, not %s", callback.Cut(in.Method, 16))
	case callback.HasParameter(in, "echostr"):
		return enclosure{}, callback.Refuse(callback.StepRequest, "echostr is a parameter of GET, and this is a POST")
	case bytes.HasPrefix(bytes.TrimLeft(in.Body, " \t\r\n"), []byte("<")):
		e, err := callback.ReadEnclosureXML(in.Body)
		if err != nil {
			return enclosure{}, err
		}
		encrypt, err := e.Text("Encrypt")
		return enclosure{formXML, encrypt, app}, err
	}
	e, err := callback.ReadEnclosureJSON(in.Body)
	if err != nil {
		return enclosure{}, err
	}
	encrypt, err := e.Text("encrypt")
	if e.Has("tousername") {
		return enclosure{formJSON, encrypt, app}, err
	}
	if !r.robot {
		return enclosure{}, callback.Refuse(callback.StepRequest,
			"this is the callback of an intelligent robot; if it is yours, set WeChatAibot to \"true\"")
	}
	return enclosure{formRobot, encrypt, none}, err
}

// app reads a message to an app, or an event of it.
// https://developer.work.weixin.qq.com/document/path/90239
func (r *receiver) app(in *callback.Request, s state, f fields) (*callback.Received, error) {
	kind, agent := f.texts["MsgType"], f.texts["AgentID"]
	switch {
	case f.texts["ToUserName"] != r.corpID:
		return nil, callback.Refuse(callback.StepReceiver,
			"the message is for the corporation %q, and this configuration is for %q; if it is "+
				"yours, set WeChatCorpId to %[1]q",
			callback.Cut(f.texts["ToUserName"], 64), r.corpID)
	case agent != r.agentID && (agent != "" || kind != "event"): // events of the address book have none
		return nil, callback.Refuse(callback.StepReceiver,
			"the message is for the app %q, and this configuration is for %q; if it "+
				"is yours, set WeChatAgentId to %[1]q",
			callback.Cut(agent, 64), r.agentID)
	}
	// The time in the query can be made of a nonce's digits without changing the signature; this
	// one cannot.
	created, err := callback.Seconds(f.texts["CreateTime"])
	if err != nil {
		return nil, err
	}
	if err := callback.Fresh("the message's CreateTime", in.Now, created, callback.Skew+retries); err != nil {
		return nil, err
	}
	s.user = f.texts["FromUserName"]
	user := strings.ToLower(s.user) // userids are the same in any case
	m := &command.Message{
		ID:           f.texts["MsgId"],
		Conversation: user, // an app talks to one person at a time
		Direct:       true,
		User:         user,
		Sent:         created,
		ReplyTo:      command.ReplyTo{Kind: toUser, ID: s.user},
	}
	if kind == "event" {
		event := f.texts["Event"]
		if m.Text = said(f); m.Text == "" {
			return &callback.Received{Kind: "event/" + event, State: s}, nil
		}
		m.EventID = f.texts["TaskId"]
		m.ID = callback.Digest("wecom event", user, f.texts["CreateTime"], event,
			f.texts["EventKey"], m.EventID, m.Text)
	} else {
		heard := hear(f)
		m.Text, m.Unread = heard.Text, heard.Unread
	}
	if user == "" {
		return nil, callback.Refuse(callback.StepDecode, "the message has no FromUserName")
	}
	return &callback.Received{Message: m, State: s}, callback.Check(m)
}

// said returns what a person said by an event, empty if nothing: by the app's menu or a card, whose
// keys the administrator wrote.
// https://developer.work.weixin.qq.com/document/path/90240
func said(f fields) string {
	switch f.texts["Event"] {
	case "click", "template_card_menu_event":
		return callback.Fold(f.texts["EventKey"])
	case "template_card_event":
		return callback.Act(f.texts["EventKey"], choices(f.options))
	}
	return ""
}

func choices(options []string) []callback.Choice {
	var all []callback.Choice
	for _, option := range options {
		if option != "" {
			all = append(all, callback.Choice{Value: option})
		}
	}
	return all
}

// files are the types of messages that hold no text.
var files = map[string]string{
	"image": command.UnreadPicture, "voice": command.UnreadVoice, "video": command.UnreadVideo,
	"shortvideo": command.UnreadVideo,
	"file":       command.UnreadFile, "location": command.UnreadPlace, "link": command.UnreadLink,
	"miniprogram":   command.UnreadCard,
	"template_card": command.UnreadCard, "emotion": command.UnreadSticker, "sticker": command.UnreadSticker,
	"chatrecord": command.UnreadForward,
}

func unread(kind string) callback.Heard {
	if what := files[kind]; what != "" {
		return callback.Heard{Unread: what}
	}
	return callback.Heard{Unread: command.UnreadElement(kind)}
}

// hear reads what a message to an app says.
func hear(f fields) callback.Heard {
	switch kind := f.texts["MsgType"]; {
	case kind == "text":
		return callback.Heard{Text: callback.Fold(f.texts["Content"])}
	case kind == "voice" && f.texts["Recognition"] != "":
		return callback.Heard{Text: callback.Fold(f.texts["Recognition"])}
	default:
		return unread(kind)
	}
}

// aibot reads a message to an intelligent robot, or an event of it. The platform's request for more
// of an answer (stream) is acknowledged: every answer is whole. What a message quotes is no part of
// it.
// https://developer.work.weixin.qq.com/document/path/100719
func (r *reader) aibot(s state, f callback.Fields) (*callback.Received, error) {
	from := f.Object("from")
	user := strings.ToLower(from.Text("userid"))
	m := &command.Message{
		ID:           f.Text("msgid"),
		Conversation: f.Text("chatid"),
		Direct:       f.Text("chattype") == "single",
		User:         user,
	}
	if m.Direct {
		m.Conversation = user
	}
	// Somebody of another corporation, whose userid may be that of somebody here; of this one's
	// people the platform does not say it. If WeChatCorpId is not set, everybody with a corporation
	// is such a stranger: who is trusted must not depend on a missing setting.
	corpID := from.Text("corpid")
	stranger := corpID != "" && corpID != r.corpID
	if stranger {
		if m.User = ""; m.Direct {
			m.Conversation = corpID + "/" + user
		}
	}
	if created := f.NumberOrText("create_time"); created != "" {
		var err error
		if m.Sent, err = callback.Seconds(created); err != nil {
			return nil, err
		}
	}
	kind := f.Text("msgtype")
	var heard callback.Heard
	switch kind {
	case "stream":
		return &callback.Received{Kind: kind, State: s}, f.Err()
	case "event":
		event := f.Object("event")
		name := event.Text("eventtype")
		if heard.Text = pressed(event, name); heard.Text == "" {
			return &callback.Received{Kind: "event/" + name, State: s}, f.Err()
		}
		s.acknowledged = true // a card takes no text for an answer, only another card
		m.EventID = event.Object(name).Text("task_id")
	default:
		heard = r.hear(f, kind, m.Direct)
	}
	m.ReplyTo = r.wayTo(f, m.Direct, stranger, s.acknowledged)
	if err := f.Err(); err != nil {
		return nil, err
	}
	s.id = m.ID
	m.Text, m.Unread = heard.Text, heard.Unread
	return &callback.Received{Message: m, Mention: heard.Name, State: s}, callback.Check(m)
}

// wayTo returns the way to answer later. A stranger's userid is no address, since it may be that of
// somebody here.
func (r *reader) wayTo(f callback.Fields, direct, stranger, card bool) command.ReplyTo {
	user := f.Object("from").Text("userid")
	switch url := f.Text("response_url"); {
	case r.stream && !direct:
		return command.ReplyTo{Kind: toStream, ID: ofChat + f.Text("chatid")}
	case r.stream && !stranger:
		return command.ReplyTo{Kind: toStream, ID: ofUser + user}
	case r.stream:
		return command.ReplyTo{}
	case url != "":
		return command.ReplyTo{Kind: toURL, URL: secret.Text(url), Uses: 1}
	case card && !stranger:
		return command.ReplyTo{Kind: toUser, ID: user}
	}
	return command.ReplyTo{}
}

// pressed returns what a person said by a card, empty if nothing.
// https://developer.work.weixin.qq.com/document/path/101027
func pressed(event callback.Fields, name string) string {
	if name != "template_card_event" {
		return ""
	}
	card := event.Object(name)
	var options []string
	for _, item := range card.Object("selected_items").Each("selected_item") {
		options = append(options, item.Object("option_ids").EachText("option_id")...)
	}
	return callback.Act(card.Text("event_key"), choices(options))
}

// hear reads what a message to the robot says. In a group it is called by its name in the text.
func (r *reader) hear(f callback.Fields, kind string, direct bool) callback.Heard {
	way := callback.Called
	if direct {
		way = callback.Addressed
	}
	switch kind {
	case "text":
		return callback.Hear(callback.Split(f.Object("text").Text("content"), r.botName), r.botName, way)
	case "voice":
		if text := f.Object("voice").Text("content"); text != "" { // what was understood of it
			return callback.Heard{Text: callback.Fold(text)}
		}
	case "mixed":
		return r.mixed(f, way)
	}
	return unread(kind)
}

// mixed reads text with pictures, which are no part of a command.
func (r *reader) mixed(f callback.Fields, way callback.Way) callback.Heard {
	var parts []callback.Part
	unknown, other := "", ""
	mixed := f.Inner // some samples have it as text
	if !f.IsText("mixed") {
		mixed = f.Object
	}
	for _, item := range mixed("mixed").Items("msg_item") {
		parts = callback.Gap(parts)
		switch kind := item.Text("msgtype"); kind {
		case "text":
			parts = append(parts, callback.Split(item.Object("text").Text("content"), r.botName)...)
		case "image", "file", "video":
			other = files[kind]
		default:
			unknown = unread(kind).Unread
		}
	}
	heard := callback.Hear(parts, r.botName, way)
	switch {
	case unknown != "":
		heard.Unread = unknown
	case heard.Text == "" && heard.Unread == "":
		heard.Unread = other
	}
	return heard
}

// Answer implements callback.Receiver: a passive reply in an envelope of the callback's own form.
func (r *receiver) Answer(in *callback.Received, text string) (*callback.Response, error) {
	s, ok := in.State.(state)
	if !ok || text == "" || in.Message == nil || s.acknowledged {
		return callback.Acknowledge(), nil
	}
	a, err := s.session.Seal(r.random, r.reply(s, text), s.timestamp, s.nonce)
	if err != nil {
		return nil, fmt.Errorf("wecom: %w", err)
	}
	var response *callback.Response
	switch s.form {
	case formXML:
		body := fmt.Sprintf(
			"<xml><Encrypt>%s</Encrypt><MsgSignature>%s</MsgSignature><TimeStamp>%s</TimeStamp><Nonce>%s</Nonce></xml>",
			a.Encrypt, a.Signature, a.Timestamp, escapeXML(a.Nonce))
		response = &callback.Response{Status: 200, ContentType: "text/xml; charset=utf-8", Body: []byte(body)}
	default: // the nonce must be the callback's, and the time a number
		response = callback.JSON(struct {
			Encrypt   string      `json:"encrypt"`
			Signature string      `json:"msgsignature"`
			Timestamp json.Number `json:"timestamp"`
			Nonce     string      `json:"nonce"`
		}{a.Encrypt, a.Signature, json.Number(a.Timestamp), a.Nonce})
	}
	response.Carries = true
	return response, nil
}

// reply is the message inside of a passive reply.
func (r *receiver) reply(s state, text string) string {
	switch s.form {
	case formXML:
		return "<xml><ToUserName>" + escapeXML(s.user) + "</ToUserName><FromUserName>" + escapeXML(r.corpID) +
			"</FromUserName><CreateTime>" + s.timestamp +
			"</CreateTime><MsgType>text</MsgType><Content>" + escapeXML(plain(text)) + "</Content></xml>"
	case formJSON:
		return string(document.Marshal(struct {
			To      string      `json:"ToUserName"`
			From    string      `json:"FromUserName"`
			Time    json.Number `json:"CreateTime"`
			Type    string      `json:"MsgType"`
			Content string      `json:"Content"`
		}{s.user, r.corpID, json.Number(s.timestamp), "text", plain(text)}))
	default:
		return string(document.Marshal(robotReply(s, text)))
	}
}

// A streamed is the answer of a robot: a stream, which is whole and ends at once.
type streamed struct {
	Type   string `json:"msgtype"`
	Stream struct {
		ID     string `json:"id"`
		Finish bool   `json:"finish"`
		callback.Text
	} `json:"stream"`
}

func robotReply(s state, text string) streamed {
	out := streamed{Type: "stream"}
	out.Stream.ID, out.Stream.Finish = callback.Digest("wecom stream", s.id)[:32], true
	out.Stream.Content = markdown(text)
	return out
}

// plain is text for an app's text message, in which only links are markup.
func plain(text string) string { return callback.Cut(callback.Defuse(text), maxText) }

// markdown is text for a message in Markdown, in which nothing is markup and nobody is mentioned.
func markdown(text string) string {
	return callback.Cut(callback.Defuse(marks.Replace(text)), maxMarkdown)
}

var marks = strings.NewReplacer(`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "#", `\#`,
	">", `\>`, "~", `\~`, "|", `\|`, "!", `\!`)

// escapeXML makes text of an element: what XML cannot hold is replaced, so that the reply can
// always be read.
func escapeXML(text string) string {
	var b bytes.Buffer
	xml.EscapeText(&b, []byte(text)) // a Buffer never fails
	return b.String()
}

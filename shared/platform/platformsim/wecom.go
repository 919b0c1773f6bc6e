package platformsim

import (
	"bytes"
	"cmp"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"chatconf/shared/platform/callback"
)

// wecom simulates WeCom, which the API calls WeChat.
var wecom = Simulator{
	Type: "WeChat",
	Modes: []Mode{
		{Name: "app", Make: wecomApp, Receiver: []string{"WeChatCorpId", "WeChatAgentId"}, Direct: true, Carries: true},
		{Name: "json", Make: wecomJSON, Receiver: []string{"WeChatCorpId", "WeChatAgentId"},
			Direct: true, Carries: true},
		{Name: "button", Make: wecomButton, Receiver: []string{"WeChatCorpId", "WeChatAgentId"},
			Direct: true, Carries: true},
		{Name: "aibot", Make: wecomRobot, Needs: `WeChatAibot "true"`, Carries: true, DirectByUser: true},
		{Name: "check", Check: true, Make: wecomCheck, Receiver: []string{"WeChatCorpId"}},
	},
	Enclosures: map[string]func(*Maker, string) (*Callback, error){"app": wecomAppOf,
		"json": wecomJSONOf, "aibot": wecomRobotOf},
	Example: callback.Settings{"WeChatCorpId": "wwexample", "WeChatAgentId": "1000002",
		"WeChatSecret": "not-a-real-secret", "WeChatToken": "notarealtoken",
		"WeChatEncodingAesKey": "notarealkeynotarealkeynotarealkeynotarealke", "WeChatAibot": "true"},
}

const (
	wecomToken = "WeChatToken"
	wecomKey   = "WeChatEncodingAesKey"
)

// number derives a message id from a text. WeCom's ids are numbers that do not fit into a float.
func number(text string) string {
	n := uint64(1)
	for _, c := range []byte(text) {
		n = n*31 + uint64(c)
	}
	return fmt.Sprint(1<<62 | n&(1<<62-1))
}

func (k *Maker) wecom(message, receiver string) (*callback.Envelope, error) {
	if err := k.need(wecomToken, wecomKey, "WeChatCorpId", "WeChatAgentId"); err != nil {
		return nil, err
	}
	return k.envelope(wecomToken, wecomKey, message, receiver, k.seconds())
}

func signed(e *callback.Envelope) url.Values {
	return url.Values{"msg_signature": {e.Signature}, "timestamp": {e.Timestamp}, "nonce": {e.Nonce}}
}

// wecomApp is a message to an app, in XML.
func wecomApp(k *Maker, m Message) (*Callback, error) {
	return wecomXML(k, m, "<MsgType><![CDATA[text]]></MsgType>\n<Content>"+text(m.Text)+
		"</Content>\n<MsgId>"+number(m.ID)+"</MsgId>")
}

// wecomButton is a button of an app's card with the text as its key.
func wecomButton(k *Maker, m Message) (*Callback, error) {
	return wecomXML(k, m,
		"<MsgType><![CDATA[event]]></MsgType>\n<Event><![CDATA[template_card_event]]></Event>\n<EventKey>"+text(m.Text)+
			"</EventKey>\n<TaskId>"+text(m.ID)+"</TaskId>\n<CardType><![CDATA[button_interaction]]></CardType>")
}

// wecomXML makes a callback to an app in XML, and reads the answer.
func wecomXML(k *Maker, m Message, said string) (*Callback, error) {
	corp, agent := k.Settings.Get("WeChatCorpId"), k.Settings.Get("WeChatAgentId")
	inner := "<xml><ToUserName><![CDATA[" + corp + "]]></ToUserName>\n<FromUserName>" + text(m.User) +
		"</FromUserName>\n<CreateTime>" + k.seconds() +
		"</CreateTime>\n" + said + "\n<AgentID>" + agent + "</AgentID>\n</xml>"
	e, err := k.wecom(inner, corp)
	if err != nil {
		return nil, err
	}
	c := post([]byte("<xml><ToUserName><![CDATA["+corp+"]]></ToUserName><AgentID><![CDATA["+agent+
		"]]></AgentID><Encrypt><![CDATA["+e.Encrypt+"]]></Encrypt></xml>"), "text/xml")
	c.Query = signed(e)
	return c.reading(func(body []byte) (string, error) {
		if len(body) == 0 {
			return "", nil
		}
		var a struct {
			XMLName   xml.Name `xml:"xml"`
			Encrypt   string
			Signature string `xml:"MsgSignature"`
			Timestamp string `xml:"TimeStamp"`
			Nonce     string
		}
		if err := decodeXML(body, &a); err != nil {
			return "", err
		}
		inner, err := k.open(wecomToken, wecomKey, callback.Envelope{Encrypt: a.Encrypt, Signature: a.Signature,
			Timestamp: a.Timestamp, Nonce: a.Nonce}, corp)
		if err != nil {
			return "", err
		}
		var reply struct {
			XMLName                           xml.Name `xml:"xml"`
			ToUserName, FromUserName, MsgType string
			CreateTime                        int64
			Content                           string
		}
		if err := decodeXML([]byte(inner), &reply); err != nil {
			return "", err
		}
		return callback.Plain(reply.Content), wecomReply(reply.ToUserName, m.User,
			reply.FromUserName, corp, reply.MsgType)
	}), nil
}

// decodeXML reads an answer in XML, which must have no trailing data.
func decodeXML(body []byte, to any) error {
	d := xml.NewDecoder(bytes.NewReader(body))
	if err := d.Decode(to); err != nil {
		return fmt.Errorf("platformsim: the answer is not the expected XML: %w", err)
	}
	if d.InputOffset() != int64(len(body)) {
		return fmt.Errorf("platformsim: the answer has trailing data")
	}
	return nil
}

// wecomReply checks that a passive reply is a text from the corporation to the sender.
func wecomReply(to, user, from, corp, kind string) error {
	if to != user || from != corp || kind != "text" {
		return fmt.Errorf("platformsim: the reply has type %q, from %q to %q; want text from %q to %q",
			kind, from, to, corp, user)
	}
	return nil
}

// text returns s as CDATA, as WeCom writes it.
func text(s string) string {
	return "<![CDATA[" + strings.ReplaceAll(s, "]]>", "]]]]><![CDATA[>") + "]]>"
}

// wecomJSON is a message to an app that uses JSON.
func wecomJSON(k *Maker, m Message) (*Callback, error) {
	corp, agent := k.Settings.Get("WeChatCorpId"), k.Settings.Get("WeChatAgentId")
	inner := object{"ToUserName": corp, "FromUserName": m.User, "CreateTime": k.Now.Unix(),
		"MsgType": "text", "Content": m.Text,
		"MsgId": json.Number(number(m.ID)), "AgentID": json.Number(agent)}
	e, err := k.wecom(inner.String(), corp)
	if err != nil {
		return nil, err
	}
	c := post(object{"tousername": corp, "agentid": agent, "encrypt": e.Encrypt}.bytes(), "application/json")
	c.Query = signed(e)
	return c.reading(func(body []byte) (string, error) {
		inner, err := k.wecomAnswer(body, corp)
		if err != nil || inner == "" {
			return "", err
		}
		var reply struct{ ToUserName, FromUserName, MsgType, Content string }
		if err := decode([]byte(inner), &reply); err != nil {
			return "", err
		}
		return callback.Plain(reply.Content), wecomReply(reply.ToUserName, m.User,
			reply.FromUserName, corp, reply.MsgType)
	}), nil
}

// wecomAnswer opens an answer in JSON.
func (k *Maker) wecomAnswer(body []byte, receiver string) (string, error) {
	if len(body) == 0 {
		return "", nil
	}
	var a struct {
		Encrypt   string      `json:"encrypt"`
		Signature string      `json:"msgsignature"`
		Timestamp json.Number `json:"timestamp"`
		Nonce     string      `json:"nonce"`
	}
	if err := decode(body, &a); err != nil {
		return "", err
	}
	if bytes.Contains(body, []byte(`"timestamp":"`)) {
		return "", fmt.Errorf("platformsim: the answer's timestamp is not a number")
	}
	return k.open(wecomToken, wecomKey, callback.Envelope{Encrypt: a.Encrypt, Signature: a.Signature,
		Timestamp: a.Timestamp.String(), Nonce: a.Nonce}, receiver)
}

// wecomRobot is a message to an intelligent robot. Its receive id is empty.
func wecomRobot(k *Maker, m Message) (*Callback, error) {
	e, err := k.wecom(wecomSaid(k, m).String(), "")
	if err != nil {
		return nil, err
	}
	c := post(object{"encrypt": e.Encrypt}.bytes(), "application/json")
	c.Query = signed(e)
	return c.reading(func(body []byte) (string, error) {
		inner, err := k.wecomAnswer(body, "")
		if err != nil || inner == "" {
			return "", err
		}
		return wecomStream([]byte(inner))
	}), nil
}

// wecomSaid is a message to an intelligent robot.
func wecomSaid(k *Maker, m Message) object {
	said := object{"msgid": m.ID, "aibotid": cmp.Or(k.Settings.Get("WeChatBotId"), "example"), "chattype": "group",
		"chatid": cmp.Or(m.Conversation, "wrexample"), "from": object{"userid": m.User},
		"msgtype": "text", "text": object{"content": "@" + cmp.Or(k.Settings.Get("BotName"), "example") + " " + m.Text}}
	if m.Direct {
		said["chattype"], said["text"] = "single", object{"content": m.Text}
		delete(said, "chatid")
	}
	if m.ReplyURL != "" {
		said["response_url"] = m.ReplyURL
	}
	return said
}

// wecomPressed is a button of a robot's card with the text as its key.
func wecomPressed(k *Maker, m Message) object {
	pressed := wecomSaid(k, m)
	delete(pressed, "text")
	pressed["msgtype"], pressed["create_time"] = "event", k.Now.Unix()
	pressed["event"] = object{"eventtype": "template_card_event", "template_card_event": object{
		"card_type": "button_interaction", "event_key": m.Text, "task_id": m.ID}}
	return pressed
}

// wecomStream reads the answer to a message to an intelligent robot: a stream that is finished.
func wecomStream(body []byte) (string, error) {
	var reply struct {
		MsgType string `json:"msgtype"`
		Stream  struct {
			ID      string `json:"id"`
			Finish  bool   `json:"finish"`
			Content string `json:"content"`
		} `json:"stream"`
	}
	if err := decode(body, &reply); err != nil {
		return "", err
	}
	if reply.MsgType != "stream" || reply.Stream.ID == "" || !reply.Stream.Finish {
		return "", fmt.Errorf("platformsim: the reply is not a finished stream")
	}
	return callback.Plain(unmarkdown(reply.Stream.Content)), nil
}

// unmarkdown returns how Markdown without markup is shown: it removes the escaping backslashes.
func unmarkdown(text string) string { return escaped.ReplaceAllString(text, "$1") }

var escaped = regexp.MustCompile(`(?s)\\(.)`)

// wecomCheck is the check of the URL.
func wecomCheck(k *Maker, _ Message) (*Callback, error) {
	challenge := k.hex(8)
	e, err := k.wecom(challenge, k.Settings.Get("WeChatCorpId"))
	if err != nil {
		return nil, err
	}
	query := signed(e)
	query.Set("echostr", e.Encrypt)
	return &Callback{Method: http.MethodGet, Query: query, Header: http.Header{}, read: echo(challenge)}, nil
}

func wecomAppOf(k *Maker, text string) (*Callback, error) {
	corp, agent := k.Settings.Get("WeChatCorpId"), k.Settings.Get("WeChatAgentId")
	e, err := k.wecom(text, corp)
	if err != nil {
		return nil, err
	}
	c := post([]byte("<xml><ToUserName>"+corp+"</ToUserName><AgentID>"+agent+"</AgentID><Encrypt>"+
		e.Encrypt+"</Encrypt></xml>"), "text/xml")
	c.Query = signed(e)
	return c, nil
}

func wecomJSONOf(k *Maker, text string) (*Callback, error) {
	corp, agent := k.Settings.Get("WeChatCorpId"), k.Settings.Get("WeChatAgentId")
	e, err := k.wecom(text, corp)
	if err != nil {
		return nil, err
	}
	c := post(object{"tousername": corp, "agentid": agent, "encrypt": e.Encrypt}.bytes(), "application/json")
	c.Query = signed(e)
	return c, nil
}

func wecomRobotOf(k *Maker, text string) (*Callback, error) {
	e, err := k.wecom(text, "")
	if err != nil {
		return nil, err
	}
	c := post(object{"encrypt": e.Encrypt}.bytes(), "application/json")
	c.Query = signed(e)
	return c, nil
}

package platformsim

import (
	"cmp"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"chatconf/shared/platform/callback"
)

// dingtalk simulates DingTalk.
var dingtalk = Simulator{
	Type: "DingTalk",
	Modes: []Mode{
		{Name: "robot", Make: dingtalkRobot, Receiver: []string{"DingTalkRobotCode", "DingTalkCorpId"},
			Unsigned: true, Carries: true},
		{Name: "card", Make: dingtalkCard, Needs: "DingTalkCardSecret",
			Receiver: []string{"DingTalkCorpId"}, Unsigned: true},
		{Name: "check", Check: true, Make: dingtalkCheck, Needs: "DingTalkToken and DingTalkEncodingAesKey",
			Receiver: []string{"DingTalkOwnerKey"}},
	},
	Enclosures: map[string]func(*Maker, string) (*Callback, error){"robot": dingtalkRobotOf,
		"card": dingtalkCardOf, "event": dingtalkEventOf},
	Example: callback.Settings{"DingTalkClientId": "dingexample", "DingTalkClientSecret": "not-a-real-secret",
		"DingTalkRobotCode": "dingrobot",
		"DingTalkCorpId":    "dingcorp", "DingTalkToken": "notarealtoken",
		"DingTalkEncodingAesKey": "notarealkeynotarealkeynotarealkeynotarealke",
		"DingTalkOwnerKey":       "dingowner", "DingTalkCardSecret": "not-a-real-card-secret"},
	SealsChecks: true,
}

const jsonUTF8 = "application/json; charset=utf-8"

func (k *Maker) millis() string  { return strconv.FormatInt(k.Now.UnixMilli(), 10) }
func (k *Maker) seconds() string { return strconv.FormatInt(k.Now.Unix(), 10) }

func (k *Maker) robotCode() string {
	return cmp.Or(k.Settings.Get("DingTalkRobotCode"), k.Settings.Get("DingTalkClientId"))
}

// dingtalkRobot is a message to a robot.
func dingtalkRobot(k *Maker, m Message) (*Callback, error) {
	if err := k.need("DingTalkClientSecret", "DingTalkClientId"); err != nil {
		return nil, err
	}
	at, secret := k.millis(), k.Settings.Get("DingTalkClientSecret")
	return post(dingtalkRobotBody(k, m).bytes(), jsonUTF8, "timestamp", at, "sign",
		mac64(secret, at+"\n"+secret)).reading(dingtalkText), nil
}

// dingtalkRobotBody is what DingTalk sends of a message to a robot, by either way.
func dingtalkRobotBody(k *Maker, m Message) object {
	corp := cmp.Or(k.Settings.Get("DingTalkCorpId"), "dingexamplecorp")
	body := object{
		"msgtype": "text", "text": object{"content": " " + m.Text}, "msgId": m.ID,
		"createAt": k.Now.UnixMilli(), "conversationType": "2",
		"conversationId": cmp.Or(m.Conversation, "cidexample=="), "conversationTitle": "example",
		"senderId": "$:LWCP_v1:$sender", "senderStaffId": m.User,
		"senderNick": cmp.Or(m.UserName, m.User), "senderCorpId": corp, "chatbotCorpId": corp,
		"chatbotUserId": "$:LWCP_v1:$bot", "isAdmin": false,
		"robotCode": k.robotCode(), "isInAtList": true, "atUsers": []object{{"dingtalkId": "$:LWCP_v1:$bot"}},
	}
	if m.Direct {
		body["conversationType"] = "1"
	}
	if m.ReplyURL != "" {
		body["sessionWebhook"] = m.ReplyURL
		body["sessionWebhookExpiredTime"] = k.Now.Add(dingtalkSession).UnixMilli()
	}
	return body
}

// dingtalkSession is how long a sessionWebhook can be used.
const dingtalkSession = 90 * time.Minute

// dingtalkText reads a robot's answer.
func dingtalkText(body []byte) (string, error) {
	var a struct {
		MsgType string `json:"msgtype"`
		Text    struct {
			Content string `json:"content"`
		} `json:"text"`
		At struct {
			IsAtAll bool `json:"isAtAll"`
		} `json:"at"`
	}
	if err := decode(body, &a); err != nil {
		return "", err
	}
	switch {
	case a.At.IsAtAll:
		return "", fmt.Errorf("platformsim: the answer mentions everyone")
	case a.MsgType == "empty":
		return "", nil
	case a.MsgType != "text":
		return "", fmt.Errorf("platformsim: the answer has type %q, not text or empty", a.MsgType)
	}
	return a.Text.Content, nil
}

// dingtalkCard is a card's button with the text as its parameter command.
func dingtalkCard(k *Maker, m Message) (*Callback, error) {
	if err := k.need("DingTalkCardSecret"); err != nil {
		return nil, err
	}
	at := k.millis()
	return post(dingtalkCardBody(k, m).bytes(), jsonUTF8, "x-ddpaas-signature-timestamp", at, "x-ddpaas-signature",
		mac64(k.Settings.Get("DingTalkCardSecret"), at)), nil
}

// dingtalkCardBody is what DingTalk sends of a card's button, by either way.
func dingtalkCardBody(k *Maker, m Message) object {
	space := "IM_GROUP"
	if m.Direct {
		space = "IM_ROBOT"
	}
	return object{
		"type": "actionCallback", "outTrackId": m.ID, "corpId": cmp.Or(k.Settings.Get("DingTalkCorpId"),
			"dingexamplecorp"), "userId": m.User,
		"spaceId": cmp.Or(m.Conversation, "cidexample=="), "spaceType": space, "userIdType": 1,
		"content": object{"cardPrivateData": object{"actionIds": []string{"run"},
			"params": object{"command": m.Text}}}.String(),
	}
}

// dingtalkCheck is the check of an event subscription's URL.
func dingtalkCheck(k *Maker, _ Message) (*Callback, error) {
	if err := k.need("DingTalkToken", "DingTalkEncodingAesKey"); err != nil {
		return nil, err
	}
	receiver := cmp.Or(k.Settings.Get("DingTalkOwnerKey"), k.Settings.Get("DingTalkClientId"))
	e, err := k.envelope("DingTalkToken", "DingTalkEncodingAesKey",
		object{"EventType": "check_url", "TimeStamp": k.millis()}.String(), receiver, k.millis())
	if err != nil {
		return nil, err
	}
	c := post(object{"encrypt": e.Encrypt}.bytes(), jsonUTF8)
	c.Query = url.Values{"msg_signature": {e.Signature}, "signature": {e.Signature},
		"timestamp": {e.Timestamp}, "nonce": {e.Nonce}}
	return c.reading(func(body []byte) (string, error) {
		var a struct {
			Signature string `json:"msg_signature"`
			Timestamp string `json:"timeStamp"`
			Nonce     string `json:"nonce"`
			Encrypt   string `json:"encrypt"`
		}
		if err := decode(body, &a); err != nil {
			return "", err
		}
		return k.open("DingTalkToken", "DingTalkEncodingAesKey",
			callback.Envelope{Encrypt: a.Encrypt, Signature: a.Signature, Timestamp: a.Timestamp, Nonce: a.Nonce},
			receiver)
	}), nil
}

// envelope seals a message and signs it.
func (k *Maker) envelope(token, aes, message, receiver, timestamp string) (*callback.Envelope, error) {
	key, err := callback.ParseEnvelopeKey(k.Settings.Get(aes))
	if err != nil {
		return nil, err
	}
	encrypt, err := key.Seal(k.Random, message, receiver)
	if err != nil {
		return nil, err
	}
	nonce := k.hex(8)
	return &callback.Envelope{Encrypt: encrypt, Signature: callback.SignEnvelope(k.Settings.Get(token), timestamp,
		nonce, encrypt), Timestamp: timestamp, Nonce: nonce}, nil
}

// open reads the message of an answer in an envelope. It checks the signature and the receiver.
func (k *Maker) open(token, aes string, a callback.Envelope, receiver string) (string, error) {
	if a.Signature != callback.SignEnvelope(k.Settings.Get(token), a.Timestamp, a.Nonce, a.Encrypt) {
		return "", fmt.Errorf("platformsim: the signature of the answer is wrong")
	}
	key, err := callback.ParseEnvelopeKey(k.Settings.Get(aes))
	if err != nil {
		return "", err
	}
	message, got, err := key.Open(a.Encrypt, 32)
	if err != nil || got != receiver {
		return "", fmt.Errorf("platformsim: the answer cannot be decrypted, or is for another receiver")
	}
	return message, nil
}

func dingtalkRobotOf(k *Maker, text string) (*Callback, error) {
	if err := k.need("DingTalkClientSecret"); err != nil {
		return nil, err
	}
	at, secret := k.millis(), k.Settings.Get("DingTalkClientSecret")
	return post([]byte(text), jsonUTF8, "timestamp", at, "sign", mac64(secret, at+"\n"+secret)), nil
}

func dingtalkCardOf(k *Maker, text string) (*Callback, error) {
	if err := k.need("DingTalkCardSecret"); err != nil {
		return nil, err
	}
	at := k.millis()
	return post([]byte(text), jsonUTF8, "x-ddpaas-signature-timestamp", at, "x-ddpaas-signature",
		mac64(k.Settings.Get("DingTalkCardSecret"), at)), nil
}

func dingtalkEventOf(k *Maker, text string) (*Callback, error) {
	if err := k.need("DingTalkToken", "DingTalkEncodingAesKey"); err != nil {
		return nil, err
	}
	e, err := k.envelope("DingTalkToken", "DingTalkEncodingAesKey", text,
		cmp.Or(k.Settings.Get("DingTalkOwnerKey"), k.Settings.Get("DingTalkClientId")), k.millis())
	if err != nil {
		return nil, err
	}
	c := post(object{"encrypt": e.Encrypt}.bytes(), jsonUTF8)
	c.Query = signed(e)
	c.Query.Set("signature", e.Signature)
	return c, nil
}

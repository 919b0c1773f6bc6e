package e2e_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	larkcore "github.com/larksuite/oapi-sdk-go/v3/core"
	larkevent "github.com/larksuite/oapi-sdk-go/v3/event"
	wecom "github.com/silenceper/wechat/v2/util"
	"github.com/slack-go/slack"
)

// A peer is somebody else's implementation of a platform: it makes callbacks, and reads the answers
// as the platform would. Where all that a platform does is an HMAC, and no library makes one, it is
// that HMAC.
type peer struct {
	name string
	typ  string
	node bool // it is a library of Node's
	// say returns the callback of a saying.
	say func(t *testing.T, b *bot, s saying) callback
	// check returns the platform's check of the URL, which read reads, and what must be read; nil
	// if the platform has none.
	check func(t *testing.T, b *bot, at time.Time) (callback, string)
	// direct says that the platform has no conversations here but those with one person.
	direct bool
}

// users are people's ids as each platform writes them. WeCom's are the same in any case.
var users = map[string]struct{ writes, grants string }{
	"DingTalk": {"manager4220", "manager4220"},
	"WeChat":   {"Manager.Li", "manager.li"},
	"Feishu":   {"ou_84aad35d084aa403a838cf73ee18467", "ou_84aad35d084aa403a838cf73ee18467"},
	"Slack":    {"U2CERLKJA", "U2CERLKJA"},
	"Teams":    {"8c0a2a67-50ce-4114-bb6c-da9c5dbcf6ca", "8c0a2a67-50ce-4114-bb6c-da9c5dbcf6ca"},
}

// place returns the id of a conversation in which somebody says something to the peer's bot, as
// grants write it.
func (p peer) place(user string) string {
	if p.direct {
		return strings.ToLower(user)
	}
	return "cid+example/" + p.typ + "=="
}

// goPeers are those that need only Go.
var goPeers = []peer{
	{name: "DingTalk robot", typ: "DingTalk", say: dingTalkRobot(goHMAC), check: dingTalkCheck},
	{name: "WeCom by silenceper/wechat", typ: "WeChat", say: wecomApp(wecomGo{}),
		check: wecomCheck(wecomGo{}), direct: true},
	{name: "Feishu by its SDK", typ: "Feishu", say: feishuMessage, check: feishuCheck},
	{name: "Slack command, verified by slack-go", typ: "Slack", say: slackCommand(goHMAC), check: slackCheck(goHMAC)},
	{name: "Teams", typ: "Teams", say: teamsMessage(goHMAC)},
}

// A signer returns an HMAC-SHA256.
type signer func(t *testing.T, key []byte, message string) []byte

func goHMAC(_ *testing.T, key []byte, message string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(message))
	return mac.Sum(nil)
}

// decode reads JSON strictly: no unknown members, and nothing behind it.
func decode(t *testing.T, text []byte, to any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil || d.More() {
		t.Fatalf("%s: %v", text, err)
	}
}

// dingTalkRobot is a message to a robot. https://open.dingtalk.com/document/orgapp/receive-message
func dingTalkRobot(sign signer) func(*testing.T, *bot, saying) callback {
	return func(t *testing.T, b *bot, s saying) callback {
		secret := b.settings["DingTalkClientSecret"]
		return callback{
			header: map[string]string{
				"Content-Type": "application/json; charset=utf-8",
				"timestamp":    s.millis(),
				"sign":         base64.StdEncoding.EncodeToString(sign(t, []byte(secret), s.millis()+"\n"+secret)),
			},
			body: jsonText(object{
				"msgtype": "text", "text": object{"content": " " + s.text + " "},
				"msgId": s.id, "createAt": s.at.UnixMilli(),
				"conversationType": "2", "conversationId": s.conversation, "conversationTitle": "运维",
				"isInAtList": true, "isAdmin": true,
				"senderId": "$:LWCP_v1:$example", "senderStaffId": s.user, "senderNick": "李",
				"senderCorpId":  b.settings["DingTalkCorpId"],
				"chatbotCorpId": b.settings["DingTalkCorpId"], "chatbotUserId": "$:LWCP_v1:$bot",
				"robotCode": b.settings["DingTalkClientId"],
				"atUsers":   []object{{"dingtalkId": "$:LWCP_v1:$bot"}},
			}),
			read: readDingTalk,
		}
	}
}

func readDingTalk(t *testing.T, a answer) string {
	t.Helper()
	var said struct {
		MsgType string `json:"msgtype"`
		Text    struct {
			Content string `json:"content"`
		} `json:"text"`
		At struct {
			Mobiles []string `json:"atMobiles"`
			Users   []string `json:"atUserIds"`
			All     bool     `json:"isAtAll"`
		} `json:"at"`
	}
	decode(t, a.body, &said)
	if said.MsgType != "text" && said.MsgType != "empty" || said.At.All || len(said.At.Mobiles)+len(said.At.Users) > 0 {
		t.Errorf("answer = %s, want a text that mentions nobody", a.body)
	}
	return said.Text.Content
}

// dingTalkCheck is the check of an event subscription's URL. Its envelopes are WeCom's, with the
// app's id as receive id.
func dingTalkCheck(t *testing.T, b *bot, at time.Time) (callback, string) {
	t.Helper()
	token, key, owner := b.settings["DingTalkToken"], b.settings["DingTalkEncodingAesKey"],
		b.settings["DingTalkClientId"]
	s := saying{at: at}
	encrypt, signature := wecomGo{}.seal(t, token, key, owner, `{"EventType":"check_url"}`, s.millis(), "nonce123")
	return callback{
		query: url.Values{"msg_signature": {signature}, "signature": {signature},
			"timestamp": {s.millis()}, "nonce": {"nonce123"}},
		body: jsonText(object{"encrypt": encrypt}),
		read: func(t *testing.T, a answer) string {
			t.Helper()
			e := readDingTalkEnvelope(t, a)
			return wecomGo{}.open(t, token, key, owner, e.Encrypt, e.Signature, e.Timestamp, e.Nonce)
		},
	}, "success"
}

// A dingTalkEnvelope is what an event of a subscription is answered with.
type dingTalkEnvelope struct {
	Signature string `json:"msg_signature"`
	Timestamp string `json:"timeStamp"`
	Nonce     string `json:"nonce"`
	Encrypt   string `json:"encrypt"`
}

func readDingTalkEnvelope(t *testing.T, a answer) (e dingTalkEnvelope) {
	t.Helper()
	decode(t, a.body, &e)
	return e
}

// An enveloper encrypts and signs as WeCom does, and the other way round.
type enveloper interface {
	seal(t *testing.T, token, key, receiver, message, timestamp, nonce string) (encrypt, signature string)
	open(t *testing.T, token, key, receiver, encrypt, signature, timestamp, nonce string) string
}

// wecomGo is silenceper/wechat.
type wecomGo struct{}

func (wecomGo) seal(t *testing.T, token, key, receiver, message, timestamp, nonce string) (encrypt, signature string) {
	t.Helper()
	random := make([]byte, 16)
	rand.Read(random)
	sealed := must(wecom.EncryptMsg(random, []byte(message), receiver, key))(t)
	return string(sealed), wecom.Signature(token, timestamp, nonce, string(sealed))
}

func (wecomGo) open(t *testing.T, token, key, receiver, encrypt, signature, timestamp, nonce string) string {
	t.Helper()
	if got := wecom.Signature(token, timestamp, nonce, encrypt); got != signature {
		t.Errorf("the answer's signature is %s, want %s", signature, got)
	}
	_, message, err := wecom.DecryptMsg(receiver, encrypt, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(message)
}

// messageID makes a MsgId of a saying's id: a number beyond what a float can tell.
func messageID(id string) string {
	sum := sha256.Sum256([]byte(id))
	n, _ := strconv.ParseUint(hex.EncodeToString(sum[:7]), 16, 64) // 14 digits fit
	return strconv.FormatUint(1<<62+n, 10)
}

// wecomApp is a message to an app. https://developer.work.weixin.qq.com/document/path/90239
func wecomApp(by enveloper) func(*testing.T, *bot, saying) callback {
	return func(t *testing.T, b *bot, s saying) callback {
		t.Helper()
		token, key, corp, agent := b.settings["WeChatToken"], b.settings["WeChatEncodingAesKey"],
			b.settings["WeChatCorpId"], b.settings["WeChatAgentId"]
		message := fmt.Sprintf(
			"<xml><ToUserName><![CDATA[%s]]></ToUserName>\n<FromUserName><![CDATA[%s]]></FromUserName>\n"+
				"<CreateTime>%s</CreateTime>\n<MsgType><![CDATA[text]]></MsgType>\n"+
				"<Content><![CDATA[%s]]></Content>\n<MsgId>%s</MsgId>\n<AgentID>%s</AgentID>\n</xml>",
			corp, s.user, s.seconds(), s.text, messageID(s.id), agent)
		encrypt, signature := by.seal(t, token, key, corp, message, s.seconds(), "1372623149")
		return callback{
			query:  url.Values{"msg_signature": {signature}, "timestamp": {s.seconds()}, "nonce": {"1372623149"}},
			header: map[string]string{"Content-Type": "text/xml"},
			body: fmt.Sprintf(
				"<xml><ToUserName><![CDATA[%s]]></ToUserName><Encrypt><![CDATA[%s]]></Encrypt>"+
					"<AgentID><![CDATA[%s]]></AgentID></xml>",
				corp, encrypt, agent),
			read: func(t *testing.T, a answer) string {
				t.Helper()
				if len(a.body) == 0 {
					return ""
				}
				var e struct {
					XMLName                                 xml.Name `xml:"xml"`
					Encrypt, MsgSignature, TimeStamp, Nonce string
				}
				if err := xml.Unmarshal(a.body, &e); err != nil {
					t.Fatalf("%s: %v", a.body, err)
				}
				inner := by.open(t, token, key, corp, e.Encrypt, e.MsgSignature, e.TimeStamp, e.Nonce)
				var reply struct {
					XMLName                                                xml.Name `xml:"xml"`
					ToUserName, FromUserName, CreateTime, MsgType, Content string
				}
				if err := xml.Unmarshal([]byte(inner), &reply); err != nil {
					t.Fatalf("%s: %v", inner, err)
				}
				if reply.ToUserName != s.user || reply.FromUserName != corp || reply.MsgType != "text" ||
					len(reply.CreateTime) != 10 {
					t.Errorf("reply = %s, want a text from %s to %s", inner, corp, s.user)
				}
				return reply.Content
			},
		}
	}
}

// wecomCheck is the check of the URL. https://developer.work.weixin.qq.com/document/path/90238
func wecomCheck(by enveloper) func(*testing.T, *bot, time.Time) (callback, string) {
	return func(t *testing.T, b *bot, at time.Time) (callback, string) {
		t.Helper()
		challenge, s := "1616140317555161061", saying{at: at}
		encrypt, signature := by.seal(t, b.settings["WeChatToken"], b.settings["WeChatEncodingAesKey"],
			b.settings["WeChatCorpId"], challenge, s.seconds(), "263014780")
		return callback{
			method: http.MethodGet,
			query: url.Values{"msg_signature": {signature}, "timestamp": {s.seconds()},
				"nonce": {"263014780"}, "echostr": {encrypt}},
			read: func(_ *testing.T, a answer) string { return string(a.body) },
		}, challenge
	}
}

// feishuMessage is an event of version 2.
// https://open.feishu.cn/document/server-docs/im-v1/message/events/receive
func feishuMessage(t *testing.T, b *bot, s saying) callback {
	t.Helper()
	return feishuSigned(t, b, s, jsonText(object{
		"schema": "2.0",
		"header": object{
			"event_id": s.id, "event_type": "im.message.receive_v1", "create_time": s.millis(),
			"token":  b.settings["FeishuVerificationToken"],
			"app_id": b.settings["FeishuAppId"], "tenant_key": "2ca1d211f64f6438",
		},
		"event": object{
			"sender": object{"sender_id": object{"union_id": "on_example", "user_id": "e33ggbyz", "open_id": s.user},
				"sender_type": "user", "tenant_key": "2ca1d211f64f6438"},
			"message": object{
				"message_id": "om_" + s.id, "create_time": s.millis(), "chat_id": s.conversation,
				"chat_type": "group", "message_type": "text",
				"content": jsonText(object{"text": "@_user_1 " + s.text}),
				"mentions": []object{{"key": "@_user_1", "id": object{"open_id": "ou_bot"}, "name": "ops",
					"tenant_key": "2ca1d211f64f6438"}},
			},
		},
	}))
}

// feishuSigned encrypts and signs with the SDK.
func feishuSigned(t *testing.T, b *bot, s saying, event string) callback {
	t.Helper()
	key := b.settings["FeishuEncryptKey"]
	body := jsonText(object{"encrypt": must(larkcore.EncryptedEventMsg(context.Background(), event, key))(t)})
	return callback{
		header: map[string]string{
			"Content-Type":             "application/json;charset=utf-8",
			"X-Lark-Request-Timestamp": s.seconds(),
			"X-Lark-Request-Nonce":     "nonce-" + s.id,
			"X-Lark-Signature":         larkevent.Signature(s.seconds(), "nonce-"+s.id, key, body),
		},
		body: body,
	}
}

// feishuCheck is the check of the URL, which is encrypted and not signed.
func feishuCheck(t *testing.T, b *bot, at time.Time) (callback, string) {
	t.Helper()
	const challenge = "ajls384kdjx98XX"
	c := feishuSigned(t, b, saying{at: at}, jsonText(object{"challenge": challenge,
		"token": b.settings["FeishuVerificationToken"], "type": "url_verification"}))
	c.header = map[string]string{"Content-Type": "application/json"}
	c.read = func(t *testing.T, a answer) string {
		t.Helper()
		var said struct {
			Challenge string `json:"challenge"`
		}
		decode(t, a.body, &said)
		return said.Challenge
	}
	return c, challenge
}

// slackCommand is a slash command. https://docs.slack.dev/interactivity/implementing-slash-commands
func slackCommand(sign signer) func(*testing.T, *bot, saying) callback {
	return func(t *testing.T, b *bot, s saying) callback {
		t.Helper()
		form := url.Values{
			"token": {"deprecated"}, "team_id": {b.settings["SlackTeamId"]}, "team_domain": {"example"},
			"channel_id": {s.conversation}, "channel_name": {"ops"},
			"user_id": {s.user}, "user_name": {"li"}, "command": {"/ops"}, "text": {slackEscape.Replace(s.text)},
			"api_app_id":            {"A0EXAMPLE"},
			"is_enterprise_install": {"false"},
			"response_url":          {"https://hooks.slack.com/commands/T0EXAMPLE/1/example"}, "trigger_id": {s.id},
		}
		c := slackSigned(t, sign, b, s, form.Encode(), "application/x-www-form-urlencoded")
		if s.current() {
			verifySlack(t, b, c)
		}
		c.read = func(t *testing.T, a answer) string {
			t.Helper()
			if len(a.body) == 0 {
				return ""
			}
			var reply slack.WebhookMessage
			if err := json.Unmarshal(a.body, &reply); err != nil {
				t.Fatalf("%s: %v", a.body, err)
			}
			if reply.ResponseType != slack.ResponseTypeEphemeral || strings.ContainsAny(reply.Text, "<>") {
				t.Errorf("reply = %s, want a text to who asked, without markup", a.body)
			}
			return slackUnescape.Replace(reply.Text)
		}
		return c
	}
}

// What Slack writes &, < and > as in text, and back.
var (
	slackEscape   = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
	slackUnescape = strings.NewReplacer("&amp;", "&", "&lt;", "<", "&gt;", ">")
)

// slackSigned signs a body. https://docs.slack.dev/authentication/verifying-requests-from-slack
func slackSigned(t *testing.T, sign signer, b *bot, s saying, body, kind string) callback {
	t.Helper()
	mac := sign(t, []byte(b.settings["SlackSigningSecret"]), "v0:"+s.seconds()+":"+body)
	return callback{
		header: map[string]string{"Content-Type": kind, "X-Slack-Request-Timestamp": s.seconds(),
			"X-Slack-Signature": "v0=" + hex.EncodeToString(mac)},
		body: body,
	}
}

// verifySlack asks that slack-go takes a callback for genuine, and reads a command in it.
func verifySlack(t *testing.T, b *bot, c callback) {
	t.Helper()
	req := c.request(t, b)
	verifier, err := slack.NewSecretsVerifier(req.Header, b.settings["SlackSigningSecret"])
	if err == nil {
		verifier.Write([]byte(c.body))
		err = verifier.Ensure()
	}
	if err != nil {
		t.Errorf("slack-go: %v", err)
	}
	if command, err := slack.SlashCommandParse(req); err != nil || command.TeamID != b.settings["SlackTeamId"] ||
		command.Command != "/ops" {
		t.Errorf("slack-go reads %+v: %v", command, err)
	}
}

// slackCheck is the check of the Events API's URL.
// https://docs.slack.dev/reference/events/url_verification
func slackCheck(sign signer) func(*testing.T, *bot, time.Time) (callback, string) {
	return func(t *testing.T, b *bot, at time.Time) (callback, string) {
		t.Helper()
		const challenge = "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"
		body := jsonText(object{"token": "deprecated", "challenge": challenge, "type": "url_verification"})
		c := slackSigned(t, sign, b, saying{at: at}, body, "application/json")
		c.read = func(_ *testing.T, a answer) string { return string(a.body) }
		return c, challenge
	}
}

// teamsMessage is a message to an outgoing webhook.
// https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/add-outgoing-webhook
func teamsMessage(sign signer) func(*testing.T, *bot, saying) callback {
	return func(t *testing.T, b *bot, s saying) callback {
		t.Helper()
		tenant := b.settings["TeamsTenantId"]
		body := jsonText(object{
			"type": "message", "id": s.id, "timestamp": s.at.UTC().Format("2006-01-02T15:04:05.0000000Z"),
			"channelId":  "msteams",
			"serviceUrl": "https://smba.trafficmanager.net/emea/",
			"from":       object{"id": "29:1example", "name": "Li", "aadObjectId": s.user},
			"conversation": object{"isGroup": true, "conversationType": "channel", "tenantId": tenant,
				"id": s.conversation + ";messageid=" + s.id},
			"text": "<at>ops</at>&nbsp;" + html.EscapeString(s.text) + "\n", "textFormat": "plain",
			"channelData": object{"tenant": object{"id": tenant}},
		})
		return callback{
			header: map[string]string{"Content-Type": "application/json; charset=utf-8",
				"Authorization": teamsAuthorization(t, sign, b, body)},
			body: body,
			read: func(t *testing.T, a answer) string {
				t.Helper()
				var reply struct {
					Type   string `json:"type"`
					Format string `json:"textFormat"`
					Text   string `json:"text"`
				}
				decode(t, a.body, &reply)
				if reply.Type != "message" || reply.Format != "plain" || strings.Contains(reply.Text, "<at>") {
					t.Errorf("reply = %s, want a plain message that mentions nobody", a.body)
				}
				return reply.Text
			},
		}
	}
}

func teamsAuthorization(t *testing.T, sign signer, b *bot, body string) string {
	t.Helper()
	key := must(base64.StdEncoding.DecodeString(b.settings["TeamsWebhookSecret"]))(t)
	return "HMAC " + base64.StdEncoding.EncodeToString(sign(t, key, body))
}

// ofType returns the first peer of a type that needs only Go.
func ofType(typ string) peer {
	return goPeers[slices.IndexFunc(goPeers, func(p peer) bool { return p.typ == typ })]
}

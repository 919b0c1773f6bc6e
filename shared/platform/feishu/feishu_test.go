package feishu_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/platform/callback"
	"chatconf/shared/platform/feishu"
	"chatconf/shared/platform/platformtest"
)

var now = platformtest.Now

func with(pairs ...string) callback.Settings { return platformtest.With("Feishu", pairs...) }

func receiver(t testing.TB, s callback.Settings) callback.Receiver {
	t.Helper()
	return platformtest.Receiver(t, feishu.Platform{}.NewReceiver, s)
}

// encrypt pads and encrypts as Feishu does; a pad below 1 is the right one.
func encrypt(plain string, pad int) string {
	key := sha256.Sum256([]byte("not-a-real-key"))
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err)
	}
	n := 16 - len(plain)%16
	last := byte(n)
	if pad >= 0 {
		last = byte(pad)
	}
	b := append([]byte(plain), bytes.Repeat([]byte{last}, n)...)
	out := make([]byte, 16+len(b))
	cipher.NewCBCEncrypter(block, out[:16]).CryptBlocks(out[16:], b)
	return base64.StdEncoding.EncodeToString(out)
}

// plain is a callback of a body as it is, signed with the Encrypt Key, or by SHA-1 with the
// Verification Token.
func plain(body string, old bool) *callback.Request {
	at := strconv.FormatInt(now.Unix(), 10)
	r := &callback.Request{Method: "POST", Body: []byte(body), Now: now,
		Header: http.Header{"X-Lark-Request-Timestamp": {at}, "X-Lark-Request-Nonce": {"n"}}}
	sum := sha256.Sum256([]byte(at + "n" + "not-a-real-key" + body))
	if r.Header.Set("X-Lark-Signature", hex.EncodeToString(sum[:])); old {
		sum := sha1.Sum([]byte(at + "n" + "not-a-real-token" + body))
		r.Header.Set("X-Lark-Signature", hex.EncodeToString(sum[:]))
	}
	return r
}

func sealed(inner string) *callback.Request {
	return plain(`{"encrypt":"`+encrypt(inner, -1)+`"}`, false)
}

func bare(body string) *callback.Request {
	return &callback.Request{Method: "POST", Body: []byte(body), Now: now}
}

func v2(kind, event string) string {
	return `{"schema":"2.0","header":{"event_id":"e1","event_type":"` + kind +
		`","create_time":"1795420800000","token":"not-a-real-token","app_id":"cli_example","tenant_key":"t"},"event":` +
		event + `}`
}

func said(sender, kind, content, rest string) string {
	c, _ := json.Marshal(content)
	return v2("im.message.receive_v1", `{"sender":{"sender_id":{"open_id":"ou_1"},"sender_type":"`+sender+
		`"},"message":{"message_id":"om_1","chat_id":"oc_1","message_type":"`+kind+`","content":`+string(c)+rest+`}}`)
}

const (
	p2p   = `,"chat_type":"p2p"`
	group = `,"chat_type":"group","mentions":[{"key":"@_user_1","name":"Ops","mentioned_type":"bot"},` +
		`{"key":"@_user_2","name":"Bob","mentioned_type":"user"}]`
)

func TestEvents(t *testing.T) {
	first := func(event string) string {
		return `{"ts":"1795420800.1","uuid":"u1","token":"not-a-real-token","type":"event_callback","event":` +
			event + `}`
	}
	var many strings.Builder // ten mentions: the key of the first begins that of the last
	for i := 1; i <= 10; i++ {
		many.WriteString(`{"key":"@_user_` + strconv.Itoa(i) + `","name":"N` + strconv.Itoa(i) + `"},`)
	}
	for name, test := range map[string]struct {
		bot, inner, text, unread string
		direct, nothing          bool
		step                     callback.Step
	}{
		"a message one to one": {inner: said("user", "text", `{"text":"\u3000help me"}`, p2p),
			text: "help me", direct: true},
		"a message to the bot in a group": {inner: said("user", "text", `{"text":"@_user_1 restart @_user_2"}`,
			group), text: "restart @Bob"},
		"a group's message to somebody else": {inner: said("user", "text", `{"text":"@_user_2 x"}`,
			`,"chat_type":"group","mentions":[{"key":"@_user_2","name":"Bob","mentioned_type":"user"}]`),
			nothing: true},
		"a group's message to nobody": {inner: said("user", "text", `{"text":"x"}`,
			`,"chat_type":"group"`), nothing: true},
		"a bot of another name": {bot: "Other",
			inner: said("user", "text", `{"text":"@_user_1 x"}`, group), nothing: true},
		"a bot of this name": {bot: "Ops",
			inner: said("user", "text", `{"text":"@_user_1 x"}`, group), text: "x"},
		"a key that begins another": {bot: "N1",
			inner: said("user", "text", `{"text":"@_user_1 x @_user_10"}`, `,"chat_type":"group","mentions":[`+
				strings.TrimSuffix(many.String(), ",")+`]`), text: "x @N10"},
		"a rich text": {inner: said("user", "post",
			`{"title":"","content":[[{"tag":"at","user_id":"@_user_1"},{"tag":"text","text":" restart `+
				`"},{"tag":"a","text":"i-1","href":"x"}],[{"tag":"img"},{"tag":"md","text":"now"}]]}`, group),
			text: "restart i-1\nnow"},
		"a picture": {inner: said("user", "image", `{"image_key":"x"}`, p2p),
			unread: command.UnreadPicture, direct: true},
		"a picture in a group": {inner: said("user", "image", `{"image_key":"x"}`,
			`,"chat_type":"group"`), nothing: true},
		"a system message": {inner: said("user", "system", `{"template":"x"}`, p2p),
			nothing: true},
		"everybody": {inner: said("user", "text", `{"text":"@_all restart"}`,
			`,"chat_type":"group"`), nothing: true},
		"everybody, as a mention of the list": {inner: said("user", "text", `{"text":"@_all restart"}`,
			`,"chat_type":"group","mentions":[{"key":"@_all","name":"所有人"}]`), nothing: true},
		"everybody and the bot": {bot: "Ops",
			inner: said("user", "text", `{"text":"@_all @_user_1 restart i-1"}`, group), text: "restart i-1"},
		"somebody and the bot": {inner: said("user", "text",
			`{"text":"@_user_2 @_user_1，restart i-1"}`, group), text: "restart i-1"},
		"the bot at the end": {inner: said("user", "text", `{"text":"restart i-1 @_user_1"}`,
			group), text: "restart i-1"},
		"another bot": {bot: "Ops", inner: said("user", "text", `{"text":"@_user_1 x"}`,
			strings.Replace(group, `"Ops"`, `"Other"`, 1)), nothing: true},
		"somebody, by a user id": {inner: said("user", "text", `{"text":"@_user_1 x"}`,
			`,"chat_type":"group","mentions":[{"key":"@_user_1","name":"Bob","id":{"user_id":"u1"}}]`), nothing: true},
		"two bots, and no name": {inner: said("user", "text", `{"text":"@_user_1 kick @_user_2"}`,
			strings.Replace(group, `"user"`, `"bot"`, 1)), text: "kick @Bob", unread: command.UnreadMention},
		"the bot, one to one": {inner: said("user", "text", `{"text":"restart i-1 @_user_1"}`,
			p2p+strings.TrimPrefix(group, `,"chat_type":"group"`)), text: "restart i-1", direct: true},
		"what looks like a key and is none": {inner: said("user", "text", `{"text":"restart @_user_7 @_ @_x"}`,
			p2p), text: "restart @_user_7 @_ @_x", direct: true},
		"an address that a client made a link of": {inner: said("user", "text",
			`{"text":"restart [db1.example.com](http://db1.example.com) '[a.b](http://a.b/)'"}`, p2p),
			text: "restart db1.example.com 'a.b'", direct: true},
		"a link that somebody made": {inner: said("user", "text",
			`{"text":"get [x](http://a.b) ](y) [z]( [w](w"}`, p2p),
			text: "get [x](http://a.b) ](y) [z]( [w](w", direct: true},
		"a rich text with a block of code": {inner: said("user", "post",
			`{"content":[[{"tag":"at","user_id":"@_user_1"},{"tag":"text","text":"restart"}],[{"tag":"code_block",`+
				`"language":"GO","text":"i-1"}]]}`, group), text: "restart\ni-1"},
		"a block of code right behind the text": {inner: said("user", "post",
			`{"content":[[{"tag":"text","text":"restart"},{"tag":"code_block","text":"i-1"}]]}`, p2p),
			text: "restart i-1", direct: true},
		"a rich text with a title": {inner: said("user", "post",
			`{"title":"restart","content":[[{"tag":"text","text":"i-1"}]]}`, p2p), text: "restart\ni-1", direct: true},
		"a rich text in one language": {inner: said("user", "post",
			`{"zh_cn":{"title":"","content":[[{"tag":"text","text":"restart"}]]}}`, p2p),
			text: "restart", direct: true},
		"a rich text in two languages": {inner: said("user", "post",
			`{"en_us":{"content":[[{"tag":"text","text":"restart"}]]},"zh_cn":{"content":[[{"tag":"text",`+
				`"text":"重启"}]]}}`, p2p), text: "restart", direct: true},
		"a rich text with what is not known": {inner: said("user", "post",
			`{"content":[[{"tag":"text","text":"restart "},{"tag":"formula","text":"i-1"}]]}`, p2p), text: "restart",
			unread: "an element of type formula", direct: true},
		"a rich text with an emoji": {inner: said("user", "post",
			`{"content":[[{"tag":"text","text":"restart"},{"tag":"emotion","emoji_type":"OK"}]]}`, p2p),
			text: "restart", unread: command.UnreadSticker, direct: true},
		"a rich text whose element has no text": {inner: said("user", "post",
			`{"content":[[{"tag":"text","text":"restart"},{"tag":"code_block"}]]}`, p2p), text: "restart",
			unread: "an element of type code_block", direct: true},
		"a rich text with a video and a rule": {inner: said("user", "post",
			`{"content":[[{"tag":"text","text":"restart"},{"tag":"media","file_key":"x"},{"tag":"text",`+
				`"text":"i-1"}],[{"tag":"hr"}]]}`, p2p), text: "restart i-1", direct: true},
		"a rich text of pictures": {inner: said("user", "post",
			`{"content":[[{"tag":"img"}],[{"tag":"img"}]]}`, p2p), unread: command.UnreadPicture, direct: true},
		"a rich text of a file": {inner: said("user", "post", `{"content":[[{"tag":"file"}]]}`, p2p),
			unread: command.UnreadFile, direct: true},
		"a rich text with links": {inner: said("user", "post",
			`{"content":[[{"tag":"text","text":"get "},{"tag":"a","text":"a.b","href":"http://a.b/"},{"tag":"text",`+
				`"text":" "},{"tag":"a","text":"here","href":"https://a.b/c"}]]}`, p2p),
			text: "get a.b https://a.b/c", direct: true},
		"a rich text with Markdown": {inner: said("user", "post",
			`{"content":[[{"tag":"md","text":"get [a.b](http://a.b)"}]]}`, p2p), text: "get a.b", direct: true},
		"a rich text with a mention by name": {inner: said("user", "post",
			`{"content":[[{"tag":"text","text":"kick "},{"tag":"at","user_id":"ou_2","user_name":"Bo b"}]]}`, p2p),
			text: "kick @Bo_b", direct: true},
		"a rich text with a mention of nobody": {inner: said("user", "post",
			`{"content":[[{"tag":"text","text":"kick "},{"tag":"at","user_id":"ou_2"}]]}`, p2p), text: "kick @",
			unread: "an element of type at", direct: true},
		"a rich text to everybody": {inner: said("user", "post",
			`{"content":[[{"tag":"at","user_id":"@_all"},{"tag":"text","text":"restart"}]]}`, `,"chat_type":"group"`),
			nothing: true},
		"a rich text, some of it struck out": {inner: said("user", "post",
			`{"content":[[{"tag":"text","text":"restart `+
				`"},{"tag":"text","text":"i-1","style":["bold","lineThrough"]}]]}`, p2p), text: "restart",
			unread: command.UnreadStruck, direct: true},
		"a rich text, some of it bold": {inner: said("user", "post",
			`{"content":[[{"tag":"text","text":"restart ","style":["bold"]},{"tag":"text","text":"i-1","style":[]}]]}`,
			p2p), text: "restart i-1", direct: true},
		"Markdown, some of it struck out": {inner: said("user", "post",
			`{"content":[[{"tag":"md","text":"restart ~~i-1~~"}]]}`, p2p), text: "restart ~~i-1~~",
			unread: command.UnreadStruck, direct: true},
		"a style that is no list": {inner: said("user", "post",
			`{"content":[[{"tag":"text","text":"restart","style":"lineThrough"},{"tag":"img","style":{}}]]}`, p2p),
			unread: command.UnreadStruck, direct: true},
		"a mention whose id is text": {inner: said("user", "text", `{"text":"@_user_1 help"}`,
			`,"chat_type":"group","mentions":[{"key":"@_user_1","id":"ou_b","name":"Ops","mentioned_type":"bot"}]`),
			text: "help"},
		"an address in capitals": {inner: said("user", "text",
			`{"text":"ping [DB1.example.com](http://db1.example.com/)"}`, p2p),
			text: "ping DB1.example.com", direct: true},
		"a rich text of nothing":  {inner: said("user", "post", `{}`, p2p), direct: true},
		"a bot's message":         {inner: said("app", "text", `{"text":"x"}`, p2p), nothing: true},
		"content that is no JSON": {inner: said("user", "text", `x`, p2p), step: callback.StepDecode},
		"a text that is a number": {inner: said("user", "text", `{"text":1}`, p2p),
			step: callback.StepDecode},
		"an invalid rich text": {inner: said("user", "post", `{"content":["x"]}`, p2p),
			step: callback.StepDecode},
		"mentions that are none": {inner: said("user", "text", `{"text":"x"}`, `,"mentions":"x"`),
			step: callback.StepDecode},
		"another event": {inner: v2("im.chat.updated_v1", `{}`), nothing: true},
		"another app": {inner: strings.Replace(said("user", "text", `{"text":"x"}`, p2p),
			"cli_example", "cli_other", 1), step: callback.StepReceiver},
		"another token": {inner: strings.Replace(said("user", "text", `{"text":"x"}`, p2p),
			"not-a-real-token", "x", 1), step: callback.StepSignature},
		"no token": {inner: strings.Replace(said("user", "text", `{"text":"x"}`, p2p),
			"not-a-real-token", "", 1), step: callback.StepSignature},
		"no id": {inner: strings.Replace(said("user", "text", `{"text":"x"}`, p2p),
			`"om_1"`, `""`, 1), step: callback.StepDecode},
		"no content": {inner: strings.Replace(said("user", "text", `{"text":"x"}`, p2p),
			`"content"`, `"other"`, 1), direct: true},
		"an invalid header": {inner: `{"schema":"2.0","header":1}`, step: callback.StepDecode},
		"an invalid sender": {inner: v2("im.message.receive_v1", `{"sender":{"sender_type":1}}`),
			step: callback.StepDecode},
		"a button": {inner: v2("card.action.trigger",
			`{"operator":{"open_id":"ou_1"},"action":{"value":{"command":"restart"}},`+
				`"context":{"open_chat_id":"oc_1","open_message_id":"om_1"}}`), text: "restart"},
		"a button whose value is text": {inner: v2("card.action.trigger",
			`{"operator":{"open_id":"ou_1"},"action":{"value":"restart"},"context":{"open_chat_id":"oc_1",`+
				`"open_message_id":"om_1"}}`), text: "restart"},
		"an option of a menu": {inner: v2("card.action.trigger",
			`{"operator":{"open_id":"ou_1"},"action":{"value":{},"option":"restart"},`+
				`"context":{"open_chat_id":"oc_1","open_message_id":"om_1"}}`), text: "restart"},
		"a button that says nothing": {inner: v2("card.action.trigger",
			`{"operator":{"open_id":"ou_1"},"action":{},"context":{"open_chat_id":"oc_1"}}`), nothing: true},
		"a button whose operator is none": {inner: v2("card.action.trigger",
			`{"operator":1,"action":{"value":"x"},"context":{"open_chat_id":"oc_1"}}`), step: callback.StepDecode},
		"version 1, one to one": {inner: first(
			`{"type":"message","app_id":"cli_example","chat_type":"private","msg_type":"text","open_id":"ou_1",` +
				`"open_chat_id":"oc_1","open_message_id":"om_1","text":"help"}`), text: "help", direct: true},
		"version 1, to the bot": {inner: first(
			`{"type":"message","app_id":"cli_example","chat_type":"group","msg_type":"text","is_mention":true,` +
				`"open_id":"ou_1","open_chat_id":"oc_1","open_message_id":"om_1","text":"@x ` +
				`help","text_without_at_bot":" help"}`), text: "help"},
		"version 1, to nobody": {inner: first(
			`{"type":"message","app_id":"cli_example","chat_type":"group","msg_type":"text","open_id":"ou_1",` +
				`"open_chat_id":"oc_1","text":"help"}`), nothing: true},
		"version 1, a picture": {inner: first(
			`{"type":"message","app_id":"cli_example","chat_type":"private","msg_type":"image","open_id":"ou_1",` +
				`"open_chat_id":"oc_1","open_message_id":"om_1"}`), unread: command.UnreadPicture, direct: true},
		"version 1, a rich text": {inner: first(
			`{"type":"message","app_id":"cli_example","chat_type":"private","msg_type":"post","text":"x",` +
				`"open_id":"ou_1","open_chat_id":"oc_1","open_message_id":"om_1"}`),
			unread: "an element of type post", direct: true},
		"version 1, mentions of others": {inner: first(
			`{"type":"message","app_id":"cli_example","chat_type":"group","msg_type":"text","is_mention":true,` +
				`"open_id":"ou_1","open_chat_id":"oc_1","open_message_id":"om_1","text_without_at_bot":" kick <at ` +
				`open_id=\"ou_2\">@Bo b</at> <at x"}`), text: "kick @Bo_b <at x"},
		"version 1, another event": {inner: first(`{"type":"message_read","app_id":"cli_example"}`),
			nothing: true},
		"version 1, another app": {inner: first(`{"type":"message","app_id":"cli_other"}`),
			step: callback.StepReceiver},
		"version 1, another token": {inner: strings.Replace(first(`{"app_id":"cli_example"}`),
			"not-a-real-token", "x", 1), step: callback.StepSignature},
		"version 1, wrong": {inner: first(
			`{"type":"message","app_id":"cli_example","chat_type":1}`), step: callback.StepDecode},
		"version 1, an invalid event": {inner: first(`1`), step: callback.StepDecode},
		"neither version":             {inner: `{"schema":"3.0"}`, step: callback.StepDecode},
		"a type that is a number":     {inner: `{"type":1}`, step: callback.StepDecode},
		"bytes behind the end, as by an extension": {inner: said("user", "text", `{"text":"x"}`, p2p) +
			"\x80\x00", step: callback.StepDecode},
	} {
		r := receiver(t, with("BotName", test.bot))
		in, err := r.Receive(sealed(test.inner))
		if platformtest.StepOf(err) != test.step {
			t.Errorf("%s: %v, want %q", name, err, test.step)
			continue
		}
		if err != nil {
			continue
		}
		if m := in.Message; (m == nil) != test.nothing || m != nil &&
			(m.Text != test.text || m.Unread != test.unread || m.User != "ou_1" ||
				m.Conversation != "oc_1" || m.Direct != test.direct ||
				m.ReplyTo != (command.ReplyTo{Kind: "message", ID: "om_1"})) {
			t.Errorf("%s: %+v", name, m)
		}
		if response, err := r.Answer(in, ""); err != nil || string(response.Body) != "{}" {
			t.Errorf("%s: acknowledged with %+v, %v", name, response, err)
		}
	}
	for created, want := range map[string]int64{`"1795420800000"`: 1795420800000, `"1795420800000000"`: 1795420800000,
		`1795420800000`: 1795420800000, `"x"`: 0} {
		in, err := receiver(t, with()).Receive(sealed(strings.Replace(said("user", "text", `{"text":"x"}`, p2p),
			`"1795420800000"`, created, 1)))
		if err != nil || want != 0 && in.Message.Sent.UnixMilli() != want || want == 0 && !in.Message.Sent.IsZero() {
			t.Errorf("created %s: %v", created, err)
		}
	}
}

// A message is the same under two events; what has no message of its own is the same under two
// events, and another when it is done again.
func TestIdentity(t *testing.T) {
	r := receiver(t, with())
	id := func(inner string) string {
		t.Helper()
		in, err := r.Receive(sealed(inner))
		if err != nil || in.Message == nil {
			t.Fatalf("%s: %+v, %v", inner, in, err)
		}
		return in.Message.ID
	}
	press := v2("card.action.trigger",
		`{"token":"c-1","operator":{"open_id":"ou_1"},"action":{"value":"x"},"context":{"open_chat_id":"oc_1",`+
			`"open_message_id":"om_1"}}`)
	chosen := v2("application.bot.menu_v6",
		`{"operator":{"operator_id":{"open_id":"ou_1"}},"event_key":"help","timestamp":1669364458}`)
	for name, one := range map[string]string{"a message": said("user", "text", `{"text":"x"}`, p2p),
		"a button": press, "a menu": chosen} {
		if id(one) != id(strings.Replace(one, `"e1"`, `"e2"`, 1)) {
			t.Errorf("%s is another under another event", name)
		}
	}
	for name, other := range map[string][2]string{"a message": {said("user", "text", `{"text":"x"}`, p2p),
		strings.Replace(said("user", "text", `{"text":"x"}`, p2p), "om_1", "om_2", 1)},
		"a button":                 {press, strings.Replace(press, "c-1", "c-2", 1)},
		"a button of another card": {press, strings.Replace(press, "om_1", "om_2", 1)},
		"another's button":         {press, strings.Replace(press, "ou_1", "ou_2", 1)},
		"a menu":                   {chosen, strings.Replace(chosen, "1669364458", "1669364459", 1)},
		"another's menu":           {chosen, strings.Replace(chosen, "ou_1", "ou_2", 1)}} {
		if id(other[0]) == id(other[1]) {
			t.Errorf("%s done twice has one id", name)
		}
	}
	in, err := r.Receive(sealed(press))
	if err != nil || in.Message.EventID != "e1" {
		t.Errorf("%+v, %v", in, err)
	}
	without := v2("card.action.trigger",
		`{"operator":{"open_id":"ou_1"},"action":{"value":"x"},"context":{"open_chat_id":"oc_1"}}`)
	if id(without) != "e1" {
		t.Errorf("an act that says no id of its own has %q, want its event's", id(without))
	}
}

func TestActions(t *testing.T) {
	r := receiver(t, with())
	for name, test := range map[string]struct{ action, text, unread string }{
		"a button":                     {`{"tag":"button","value":{"command":"restart i-1"}}`, "restart i-1", ""},
		"a choice that is the command": {`{"tag":"overflow","option":"restart i-1"}`, "restart i-1", ""},
		"a choice with a command": {`{"tag":"select_static","value":{"command":"restart"},"option":"i 1"}`,
			"restart 'i 1'", ""},
		"several choices": {
			`{"tag":"multi_select_static","value":{"command":"restart"},"options":["i-1","","i-2"]}`,
			"restart i-1 i-2", ""},
		"a date": {
			`{"tag":"date_picker","value":{"command":"report"},"option":"2026-11-23 +0800"}`,
			"report '2026-11-23 +0800'", ""},
		"an input that is the command": {`{"tag":"input","input_value":"restart i-1"}`, "restart i-1", ""},
		"an input with a command": {
			`{"tag":"input","name":"instance","value":{"command":"restart"},"input_value":"i-1; stop"}`,
			"restart 'i-1; stop'", ""},
		"a box that is ticked": {`{"tag":"checker","name":"done","value":{"command":"close"},"checked":true}`,
			"close true", ""},
		"a box that is not": {`{"tag":"checker","name":"done","value":{"command":"close"},"checked":false}`,
			"close false", ""},
		"a box without a command": {`{"tag":"checker","checked":true}`, "", ""},
		"a form of one field": {
			`{"tag":"button","value":{"command":"restart"},"form_value":{"instance":"i-1"}}`, "restart i-1", ""},
		"a form of several": {
			`{"tag":"button","value":{"command":"restart"},"form_value":{"instance":"i-1","zone":["a","b"],"n":2,` +
				`"force":true,"empty":"","none":null}}`, "restart instance=i-1 zone=a zone=b n=2 force=true", ""},
		"a form whose field is a thing": {
			`{"tag":"button","value":{"command":"restart"},"form_value":{"instance":{"id":"i-1"}}}`,
			"restart", "an element of type form_value"},
		"a link, which says nothing": {`{"tag":"button","value":{}}`, "", ""},
	} {
		event := `{"operator":{"open_id":"ou_1"},"token":"c","action":` + test.action +
			`,"context":{"open_chat_id":"oc_1","open_message_id":"om_1"}}`
		flat := `{"open_id":"ou_1","token":"c","action":` + test.action +
			`,"open_chat_id":"oc_1","open_message_id":"om_1"}`
		for form, request := range map[string]*callback.Request{"new": sealed(v2("card.action.trigger", event)),
			"flat": sealed(v2("card.action.trigger_v1", flat)), "old": plain(flat, true)} {
			in, err := r.Receive(request)
			if err != nil {
				t.Errorf("%s, %s: %v", name, form, err)
				continue
			}
			if m := in.Message; (m == nil) != (test.text == "") || m != nil &&
				(m.Text != test.text || m.Unread != test.unread || m.User != "ou_1" || m.Conversation != "oc_1") ||
				m == nil && !strings.HasPrefix(in.Kind, "card.action.trigger") {
				t.Errorf("%s, %s: %+v, %+v", name, form, in, m)
			}
			if _, args, err := command.Parse(test.text); test.text != "" &&
				(err != nil || strings.Contains(test.text, "'") && len(args) != 1) {
				t.Errorf("%s: %q has the arguments %q, %v", name, test.text, args, err)
			}
		}
	}
}

func TestMenu(t *testing.T) {
	r := receiver(t, with())
	in, err := r.Receive(sealed(v2("application.bot.menu_v6",
		`{"operator":{"operator_name":"x","operator_id":{"open_id":"ou_1"}},"event_key":"restart `+
			`i-1","timestamp":"1669364458"}`)))
	if err != nil || in.Message == nil {
		t.Fatal(in, err)
	}
	m := in.Message
	if m.Text != "restart i-1" || m.User != "ou_1" || m.Conversation != "ou_1" || !m.Direct ||
		m.ReplyTo != (command.ReplyTo{Kind: "person", ID: "ou_1"}) {
		t.Errorf("%+v", m)
	}
	if in, err := r.Receive(sealed(v2("application.bot.menu_v6",
		`{"operator":{"operator_id":{"open_id":"ou_1"}}}`))); err != nil || in.Message != nil ||
		in.Kind != "application.bot.menu_v6" {
		t.Errorf("a menu without a key: %+v, %v", in, err)
	}
}

// A message that mentions another name than BotName is not for this bot, and health can say so.
func TestAWrongBotNameIsTold(t *testing.T) {
	in, err := receiver(t, with("BotName", "Other")).Receive(
		sealed(said("user", "text", `{"text":"@_user_1 x"}`, group)))
	if err != nil || in.Message != nil || in.Mention != "Ops" || in.Kind != "im.message.receive_v1/not_mentioned" {
		t.Errorf("%+v, %v", in, err)
	}
}

func TestProofs(t *testing.T) {
	message := said("user", "text", `{"text":"x"}`, p2p)
	challenge := `{"type":"url_verification","challenge":"c","token":"not-a-real-token"}`
	card := `{"open_id":"ou_1","open_message_id":"om_1","open_chat_id":"oc_1","token":"c",` +
		`"action":{"value":{"command":"x"}}}`
	enclosed := func(inner string) string { return `{"encrypt":"` + encrypt(inner, -1) + `"}` }
	noToken := with("FeishuVerificationToken", "")
	tampered := sealed(challenge)
	tampered.Header.Set("X-Lark-Signature", strings.Repeat("0", 64))
	for name, test := range map[string]struct {
		settings callback.Settings
		in       *callback.Request
		want     callback.Step
	}{
		"an event that is not signed":                   {with(), bare(enclosed(message)), callback.StepRequest},
		"an event that is neither signed nor encrypted": {with(), bare(message), callback.StepRequest},
		"an event that is signed and not encrypted":     {with(), plain(message, false), callback.StepDecrypt},
		"an event that is signed as a card":             {with(), plain(message, true), callback.StepSignature},
		"an event that is signed as a card, encrypted": {with(),
			plain(enclosed(message), true), callback.StepSignature},
		"an event without a token, where none is set": {noToken,
			sealed(strings.Replace(message, "not-a-real-token", "", 1)), ""},
		"a challenge that is signed":                      {with(), sealed(challenge), ""},
		"a challenge whose signature is wrong":            {with(), tampered, callback.StepSignature},
		"a challenge that is not signed":                  {with(), bare(enclosed(challenge)), ""},
		"a challenge in the clear":                        {with(), bare(challenge), ""},
		"a challenge in the clear, where no token is set": {noToken, bare(challenge), callback.StepSignature},
		"an encrypted challenge, where no token is set":   {noToken, bare(enclosed(challenge)), ""},
		"a challenge with another token": {with(),
			bare(enclosed(strings.Replace(challenge, "not-a-real-token", "x", 1))), callback.StepSignature},
		"a challenge in the clear with another token": {with(),
			bare(strings.Replace(challenge, "not-a-real-token", "x", 1)), callback.StepSignature},
		"a challenge without one": {with(),
			bare(`{"type":"url_verification","token":"not-a-real-token"}`), callback.StepDecode},
		"a challenge that is a number": {with(), bare(`{"type":"url_verification","challenge":1}`),
			callback.StepDecode},
		"an old card":            {with(), plain(card, true), ""},
		"an old card, encrypted": {with(), plain(enclosed(card), true), ""},
		"an old card, where they are not taken": {with("FeishuOldCards", "false"),
			plain(card, true), callback.StepSignature},
		"an old card, where nothing is said of them": {with("FeishuOldCards", ""),
			plain(card, true), callback.StepSignature},
		"an old card, where no token is set": {noToken, plain(card, true), callback.StepSignature},
		"an old card, signed as an event":    {with(), plain(card, false), callback.StepDecrypt},
		"an old card without a place": {with(),
			plain(`{"open_id":"u","open_message_id":"om","action":{"value":"x"}}`, true), ""},
		"an old card that says nothing": {with(), plain(`{"open_id":"u"}`, true), ""},
		"an old card that is wrong": {with(), plain(`{"open_id":1,"action":{"value":"x"}}`, true),
			callback.StepDecode},
		"something beside encrypt": {with(),
			plain(`{"encrypt":"`+encrypt(message, -1)+`","x":1}`, false), callback.StepDecode},
		"a ciphertext that is a number": {with(), plain(`{"encrypt":1}`, false), callback.StepDecode},
		"a ciphertext that is no base64": {with(),
			plain(`{"encrypt":"x"}`, false), callback.StepDecrypt},
		"a ciphertext with a line end in it": {with(),
			plain(`{"encrypt":"`+encrypt(message, -1)[:20]+`\n`+encrypt(message, -1)[20:]+`"}`, false),
			callback.StepDecrypt},
		"a ciphertext of one block": {with(),
			plain(`{"encrypt":"AAAAAAAAAAAAAAAAAAAAAA=="}`, false), callback.StepDecrypt},
		"padding of no bytes": {with(),
			plain(`{"encrypt":"`+encrypt("0123456789", 0)+`"}`, false), callback.StepDecrypt},
		"padding of 17 bytes": {with(),
			plain(`{"encrypt":"`+encrypt("0123456789", 17)+`"}`, false), callback.StepDecrypt},
		"padding whose bytes differ": {with(),
			plain(`{"encrypt":"`+encrypt("0123456789", 8)+`"}`, false), callback.StepDecrypt},
		"no JSON": {with(), plain(`x`, false), callback.StepDecode},
		"a signature of another length": {with(),
			func() *callback.Request { r := sealed(message); r.Header.Set("X-Lark-Signature", "00"); return r }(),
			callback.StepSignature},
		"a longer window, which a later delivery fits": {with("FeishuWindowSeconds", "28800"),
			func() *callback.Request { r := sealed(message); r.Now = now.Add(7 * time.Hour); return r }(), ""},
		"a later delivery, where the window is not set": {with(),
			func() *callback.Request { r := sealed(message); r.Now = now.Add(7 * time.Hour); return r }(),
			callback.StepFreshness},
		"a digit of the time went over to the nonce": {with(), func() *callback.Request {
			r := sealed(message)
			at := r.Header.Get("X-Lark-Request-Timestamp")
			r.Header.Set("X-Lark-Request-Timestamp", at[:9])
			r.Header.Set("X-Lark-Request-Nonce", at[9:]+"n")
			return r
		}(), callback.StepRequest},
		"the nonce went over to the key, as far as it could": {with(),
			func() *callback.Request { r := sealed(message); r.Header.Set("X-Lark-Request-Nonce", "nn"); return r }(),
			callback.StepSignature},
	} {
		in, err := receiver(t, test.settings).Receive(test.in)
		if platformtest.StepOf(err) != test.want || err == nil && in == nil {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

// Feishu's own sample of its encryption opens to the text that it publishes beside it.
// https://open.feishu.cn/document/server-docs/event-subscription-guide/event-subscription-configure-/encrypt-key-encryption-configuration-case
func TestThePublishedSampleOpens(t *testing.T) {
	const sample = "P37w+VZImNgPEO1RBhJ6RtKl7n6zymIbEG1pReEzghk="
	if got, err := feishu.Open("test key", sample); err != nil || got != "hello world" {
		t.Errorf("Open = %q, %v, want hello world", got, err)
	}
	if got, err := feishu.Open("test Key", sample); err == nil || got != "" {
		t.Errorf("Open with another key = %q, %v", got, err)
	}
}

func TestNewReceiver(t *testing.T) {
	for name, s := range map[string]callback.Settings{"no key": with("FeishuEncryptKey", ""),
		"no app": with("FeishuAppId", ""), "a window of a day": with("FeishuWindowSeconds", "86400"),
		"only a previous key": with("FeishuEncryptKey", "", "FeishuEncryptKeyPrevious", "x")} {
		if _, err := (feishu.Platform{}).NewReceiver(s); err == nil {
			t.Errorf("%s: a receiver is made", name)
		}
	}
}

func TestToastsAreCut(t *testing.T) {
	r := receiver(t, with())
	in, err := r.Receive(sealed(v2("card.action.trigger",
		`{"operator":{"open_id":"ou_1"},"action":{"value":"x"},"context":{"open_chat_id":"oc_1"}}`)))
	if err != nil {
		t.Fatal(err)
	}
	if response, err := r.Answer(in, strings.Repeat("x", 5000)); err != nil || !response.Carries ||
		!json.Valid(response.Body) || len(response.Body) > 1000 {
		t.Errorf("%+v, %v", response, err)
	}
}

// FuzzReceive gives any body, encrypted and signed, signed alone, and as a card. Whatever is taken
// has ids that can be kept.
func FuzzReceive(f *testing.F) {
	f.Add(said("user", "text", `{"text":"@_user_1 x"}`, group))
	f.Add(said("user", "post", `{"content":[[{"tag":"text","text":"x"}]]}`, group))
	f.Add(v2("card.action.trigger",
		`{"operator":{"open_id":"ou_1"},"action":{"value":"x"},"context":{"open_chat_id":"oc_1"}}`))
	f.Add(said("user", "text", `{"text":"@_all [a.b](http://a.b) @_user_2"}`, group))
	f.Add(said("user", "post",
		`{"zh_cn":{"title":"x","content":[[{"tag":"at","user_id":"@_user_1"},{"tag":"code_block","text":"x"},`+
			`{"tag":"a","href":"x"}]]}}`, group))
	f.Add(v2("card.action.trigger",
		`{"operator":{"open_id":"ou_1"},"action":{"value":"x","options":["a"],"form_value":{"a":[1]}},`+
			`"context":{"open_chat_id":"oc_1"}}`))
	f.Add(v2("application.bot.menu_v6", `{"operator":{"operator_id":{"open_id":"ou_1"}},"event_key":"x"}`))
	f.Add(`{"type":"url_verification","challenge":"c","token":"not-a-real-token"}`)
	f.Add(`{"uuid":"u","token":"not-a-real-token","type":"event_callback","event":{"app_id":"cli_example"}}`)
	r := receiver(f, with())
	f.Fuzz(func(t *testing.T, body string) {
		for i, request := range []*callback.Request{sealed(body), plain(body, false), plain(body, true), bare(body)} {
			in, err := r.Receive(request)
			if err != nil {
				if platformtest.StepOf(err) == "" {
					t.Errorf("an error that is no refusal: %v", err)
				}
				continue
			}
			if i == 3 && in.Handshake == nil {
				t.Error("what is not signed is taken")
			}
			if m := in.Message; m != nil && (m.ID == "" || m.Conversation == "" ||
				strings.ContainsAny(m.User+m.ID+m.Conversation, " \n\x00")) {
				t.Errorf("%+v", m)
			}
		}
	})
}

// People choose their names, so a name must not add words to the command of whoever mentions them.
func TestANameIsOneWord(t *testing.T) {
	for _, name := range []string{"Bob --all i-1", "Bob\u3000x", "Bob' x '", "“Bob", `Bob\`, "Bob\n", "@_user_1 x"} {
		quoted, err := json.Marshal(name)
		if err != nil {
			t.Fatal(err)
		}
		in, err := receiver(t, with()).Receive(sealed(said("user", "text", `{"text":"@_user_1 kick @_user_2 now"}`,
			strings.Replace(group, `"Bob"`, string(quoted), 1))))
		if err != nil {
			t.Fatal(err)
		}
		if _, args, err := command.Parse(in.Message.Text); err != nil || len(args) != 2 || args[1] != "now" {
			t.Errorf("%q: %q is %q, %v", name, in.Message.Text, args, err)
		}
	}
}

// One in 256 ciphertexts opens with the wrong key, as far as its padding goes. While the key is
// being rotated that must not hide the right one.
func TestBothKeysAreTried(t *testing.T) {
	r := receiver(t, with("FeishuEncryptKey", "the-new-key", "FeishuEncryptKeyPrevious",
		with().Get("FeishuEncryptKey")))
	for i := range 3000 {
		if _, err := r.Receive(sealed(said("user", "text", `{"text":"`+strconv.Itoa(i)+`"}`, p2p))); err != nil {
			t.Fatalf("ciphertext %d: %v", i, err)
		}
	}
}

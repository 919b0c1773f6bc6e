package wecom_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/platform/callback"
	"chatconf/shared/platform/platformsim"
	"chatconf/shared/platform/platformtest"
	"chatconf/shared/platform/wecom"
)

var (
	now = platformtest.Now
	at  = strconv.FormatInt(now.Unix(), 10)
)

// ago is the time so long before now, as WeCom writes it.
func ago(d time.Duration) string { return strconv.FormatInt(now.Add(-d).Unix(), 10) }

func with(pairs ...string) callback.Settings { return platformtest.With("WeChat", pairs...) }

func receiver(t testing.TB, s callback.Settings) callback.Receiver {
	t.Helper()
	return platformtest.Receiver(t, wecom.Platform{}.NewReceiver, s)
}

func seal(t testing.TB, message, receiver string) string {
	t.Helper()
	key, err := callback.ParseEnvelopeKey(with().Get("WeChatEncodingAesKey"))
	if err != nil {
		t.Fatal(err)
	}
	encrypt, err := key.Seal(rand.Reader, message, receiver)
	if err != nil {
		t.Fatal(err)
	}
	return encrypt
}

// post is a callback of a body that has a ciphertext in it, signed.
func post(body, encrypt string) *callback.Request {
	return &callback.Request{Method: "POST", Body: []byte(body), Now: now,
		Query: url.Values{"msg_signature": {callback.SignEnvelope("notarealtoken", at, "nonce", encrypt)},
			"timestamp": {at}, "nonce": {"nonce"}}}
}

func app(t testing.TB, inner string) *callback.Request {
	encrypt := seal(t, inner, "wwexample")
	return post("<xml><ToUserName><![CDATA[wwexample]]></ToUserName><Encrypt><![CDATA["+
		encrypt+"]]></Encrypt></xml>", encrypt)
}

func robot(t testing.TB, inner string) *callback.Request {
	encrypt := seal(t, inner, "")
	return post(`{"encrypt":"`+encrypt+`"}`, encrypt)
}

// message is an app's message with elements put in and taken out.
func message(replace ...string) string {
	return strings.NewReplacer(replace...).Replace(
		"<xml><ToUserName><![CDATA[wwexample]]></ToUserName><FromUserName><![CDATA[ZhangSan]]></FromUserName>" +
			"<CreateTime>" + at + "</CreateTime><MsgType><![CDATA[text]]></MsgType>" +
			"<Content><![CDATA[help]]></Content><MsgId>4561255354251345929</MsgId><AgentID>1000002</AgentID></xml>")
}

func TestAppMessages(t *testing.T) {
	r := receiver(t, with())
	event := func(kind, rest string) string {
		return message("text]]", "event]]", "<Content><![CDATA[help]]></Content><MsgId>4561255354251345929</MsgId>",
			"<Event>"+kind+"</Event>"+rest)
	}
	for name, test := range map[string]struct {
		inner, text, unread string
		step                callback.Step
		nothing             bool
	}{
		"a message": {inner: message(), text: "help"},
		"behind an XML declaration": {inner: `<?xml version="1.0" encoding="utf-8"?>` +
			"\n" + message(), text: "help"},
		"entities": {inner: message("<![CDATA[help]]>", "a &lt;b&gt; &amp;amp;&#160;c"),
			text: "a <b> &amp; c"},
		"tags in CDATA are text": {inner: message("[help]", "[<xml>&lt;</xml>]"),
			text: "<xml>&lt;</xml>"},
		"a click on a menu": {inner: event("click", "<EventKey>restart i-1</EventKey>"),
			text: "restart i-1"},
		"a button": {inner: event("template_card_event",
			"<EventKey>restart i-1</EventKey><TaskId>t</TaskId><CardType>button_interaction</CardType>"),
			text: "restart i-1"},
		"a button, and one choice": {inner: event("template_card_event",
			"<EventKey>restart</EventKey><SelectedItems><SelectedItem><QuestionKey>q</QuestionKey>"+
				"<OptionIds><OptionId>i-1</OptionId></OptionIds></SelectedItem></SelectedItems>"),
			text: "restart i-1"},
		"a choice without a button": {inner: event("template_card_event",
			"<EventKey></EventKey><SelectedItems><SelectedItem><OptionIds><OptionId><![CDATA[restart "+
				"i-1]]></OptionId></OptionIds></SelectedItem></SelectedItems>"), text: "restart i-1"},
		"two choices of two questions": {inner: event("template_card_event",
			"<EventKey>restart</EventKey><SelectedItems><SelectedItem><OptionIds><OptionId>i "+
				"1</OptionId></OptionIds></SelectedItem><SelectedItem><OptionIds>"+
				"<OptionId>now</OptionId></OptionIds></SelectedItem></SelectedItems>"),
			text: "restart 'i 1' now"},
		"a card's menu": {inner: event("template_card_menu_event",
			"<EventKey>help</EventKey><TaskId>t</TaskId>"), text: "help"},
		"another event, with elements within": {inner: event("template_card_event",
			"<SelectedItems><SelectedItem><QuestionKey>k</QuestionKey></SelectedItem></SelectedItems>"), nothing: true},
		"an event of no app": {inner: strings.Replace(event("change_contact", ""),
			"<AgentID>1000002</AgentID>", "", 1), nothing: true},
		"an event of another app": {inner: strings.Replace(event("click", "<EventKey>x</EventKey>"),
			"1000002", "1000003", 1), step: callback.StepReceiver},
		"a picture": {inner: message("text]]", "image]]"),
			text: "", unread: command.UnreadPicture},
		"another app": {inner: message("1000002", "1000003"), step: callback.StepReceiver},
		"no app": {inner: message("<AgentID>1000002</AgentID>", ""),
			step: callback.StepReceiver},
		"another corporation inside": {inner: message("[wwexample]", "[wwother]"),
			step: callback.StepReceiver},
		"an old message under a new time": {inner: message("<CreateTime>"+at, "<CreateTime>1409659813"),
			step: callback.StepFreshness},
		"a message that was queued and retried": {inner: message("<CreateTime>"+at, "<CreateTime>"+ago(10*time.Minute)),
			text: "help"},
		"one that is older than any retry": {inner: message("<CreateTime>"+at, "<CreateTime>"+
			ago(10*time.Minute+time.Second)), step: callback.StepFreshness},
		"a time in milliseconds": {inner: message("<CreateTime>"+at, "<CreateTime>"+at+"000"),
			step: callback.StepRequest},
		"no user": {inner: message("<FromUserName><![CDATA[ZhangSan]]></FromUserName>",
			""), step: callback.StepDecode},
		"no id": {inner: message("<MsgId>4561255354251345929</MsgId>", ""),
			step: callback.StepDecode},
		"a user of two words": {inner: message("ZhangSan", "zhang san"), step: callback.StepDecode},
		"another root": {inner: strings.NewReplacer("<xml>", "<html>", "</xml>",
			"</html>").Replace(message()), step: callback.StepDecode},
		"a root with an attribute": {inner: message("<xml>", `<xml a="b">`), step: callback.StepDecode},
		"a name space": {inner: message("<xml>", `<xml xmlns="x">`),
			step: callback.StepDecode},
		"an element in a name space": {inner: message("<MsgId>", "<a:MsgId>", "</MsgId>", "</a:MsgId>"),
			step: callback.StepDecode},
		"an element twice": {inner: message("<MsgId>", "<MsgId>1</MsgId><MsgId>"),
			step: callback.StepDecode},
		"a document type": {inner: `<!DOCTYPE xml [<!ENTITY a "help">]>` +
			message(), step: callback.StepDecode},
		"an entity that is not known": {inner: message("<![CDATA[help]]>", "&a;"), step: callback.StepDecode},
		"a comment": {inner: message("<![CDATA[help]]>", "he<!-- -->lp"),
			step: callback.StepDecode},
		"a processing instruction": {inner: message("<MsgId>", "<?a b?><MsgId>"),
			step: callback.StepDecode},
		"a second declaration": {inner: message() +
			`<?xml version="1.0"?>`, step: callback.StepDecode},
		"another encoding": {inner: `<?xml version="1.0" encoding="gbk"?>` +
			message(), step: callback.StepDecode},
		"two roots":             {inner: message() + message(), step: callback.StepDecode},
		"text behind the root":  {inner: message() + "x", step: callback.StepDecode},
		"text between elements": {inner: message("<MsgId>", "x<MsgId>"), step: callback.StepDecode},
		"an end that is missing": {inner: strings.TrimSuffix(message(), "</xml>"),
			step: callback.StepDecode},
		"nothing":                              {inner: "", step: callback.StepDecode},
		"elements within a text make it empty": {inner: message("<![CDATA[help]]>", "he<b>l</b>p"), text: ""},
		"elements deeper than anything sends": {inner: message("<![CDATA[help]]>", strings.Repeat("<a>", 20)+
			strings.Repeat("</a>", 20)), step: callback.StepDecode},
		"bytes that are not UTF-8":              {inner: message("help", "\xff"), step: callback.StepDecode},
		"a control character that XML can hold": {inner: message("help", "a\tb"), text: "a\tb"},
		"a control character that it cannot":    {inner: message("help", "restart\x02 i-1"), text: "restart\x02 i-1"},
		"nothing but control characters": {inner: message("help", "\x00\x1f\ufffe\uffff"),
			text: "\x00\x1f\ufffe\uffff"},
		"a control character in the user": {inner: message("ZhangSan", "Zhang\x02San"),
			step: callback.StepDecode},
		"a control character between elements": {inner: message("<MsgId>", "\x02<MsgId>"), step: callback.StepDecode},
		"characters that stand in for such":    {inner: message("help", "a\U000f0002b"), text: "a\U000f0002b"},
		"both": {inner: message("help", "a\U000f0002\x02b"),
			step: callback.StepDecode},
		"an end of CDATA that was typed": {inner: message("[help]", "[restart ]]> i-1]"),
			text: "restart ]]> i-1"},
		"an end of CDATA, cut in two by WeCom": {inner: message("[help]", "[restart ]]]]><![CDATA[> i-1]"),
			text: "restart ]]> i-1"},
		"an end of CDATA and tags, typed": {inner: message("[help]", "[a ]]><MsgId>1</MsgId><![CDATA[ b]"),
			text: ""},
		"an element's end that was typed": {inner: message("[help]",
			"[a]]></Content><MsgId>1</MsgId><Content><![CDATA[b]"), step: callback.StepDecode},
		"a message's end that was typed": {inner: message("[help]",
			"[a]]></Content><MsgId>1</MsgId><AgentID>1000002</AgentID></xml>]"), step: callback.StepDecode},
	} {
		in, err := r.Receive(app(t, test.inner))
		if platformtest.StepOf(err) != test.step {
			t.Errorf("%s: %v, want %q", name, err, test.step)
			continue
		}
		if err != nil {
			continue
		}
		if m := in.Message; (m == nil) != test.nothing || m != nil &&
			(m.Text != test.text || m.Unread != test.unread || m.User != "zhangsan" ||
				m.Conversation != "zhangsan" || !m.Direct ||
				m.ReplyTo != (command.ReplyTo{Kind: "user", ID: "ZhangSan"})) {
			t.Errorf("%s: %+v", name, m)
		}
		if response, err := r.Answer(in, "x"); err != nil || test.nothing &&
			(len(response.Body) > 0 || response.Carries) {
			t.Errorf("%s: answered with %+v, %v", name, response, err)
		}
	}
	first, err := r.Receive(app(t, event("click", "<EventKey>a</EventKey>")))
	if err != nil {
		t.Fatal(err)
	}
	second, err := r.Receive(app(t, event("click", "<EventKey>b</EventKey>")))
	if err != nil || first.Message.ID == second.Message.ID {
		t.Errorf("two events have the ids %q and %q, %v", first.Message.ID, second.Message.ID, err)
	}
}

func TestBodies(t *testing.T) {
	r, only := receiver(t, with()), receiver(t, with("WeChatAibot", "false"))
	encrypt, none, echo := seal(t, message(), "wwexample"), seal(t, `{"msgtype":"event"}`, ""),
		seal(t, "1616140317555161061", "")
	get := post("", echo)
	get.Method, get.Query["echostr"] = "GET", []string{echo}
	mixed := post("<xml><Encrypt>"+encrypt+"</Encrypt></xml>", encrypt)
	mixed.Query["echostr"] = []string{encrypt}
	for name, test := range map[string]struct {
		receiver callback.Receiver
		in       *callback.Request
		want     callback.Step
	}{
		"without a name":                   {r, post("<xml><Encrypt>"+encrypt+"</Encrypt></xml>", encrypt), ""},
		"a robot's, which is taken":        {r, post(`{"encrypt":"`+none+`"}`, none), ""},
		"a robot's, which is not declared": {only, post(`{"encrypt":"`+none+`"}`, none), callback.StepRequest},
		"for nobody, as an app's": {r, post("<xml><Encrypt>"+none+"</Encrypt></xml>", none),
			callback.StepReceiver},
		"for the corporation, as a robot's": {r, post(`{"encrypt":"`+encrypt+`"}`, encrypt),
			callback.StepReceiver},
		"a check for nobody, as robots have it": {r, get, ""},
		"a check for nobody, without a robot":   {only, get, callback.StepReceiver},
		"an echostr in a POST":                  {r, mixed, callback.StepRequest},
		"no ciphertext":                         {r, post("<xml></xml>", ""), callback.StepDecrypt},
		"a document type around it": {r, post("<!DOCTYPE a><xml><Encrypt>"+encrypt+
			"</Encrypt></xml>", encrypt), callback.StepDecode},
		"two ciphertexts": {r, post("<xml><Encrypt>"+encrypt+
			"</Encrypt><Encrypt>x</Encrypt></xml>", encrypt), callback.StepDecode},
		"neither XML nor JSON": {r, post("encrypt="+url.QueryEscape(encrypt), encrypt),
			callback.StepDecode},
		"a ciphertext that is a number": {r, post(`{"encrypt":1}`, "1"), callback.StepDecode},
		"JSON of an app, with a wrong ciphertext": {r, post(`{"tousername":"x","encrypt":1}`, "1"),
			callback.StepDecode},
		"JSON of an app, whose message is no JSON": {r, post(`{"tousername":"wwexample","encrypt":"`+encrypt+
			`"}`, encrypt), callback.StepDecode},
		"a ciphertext that is empty, as a robot's": {r, post(`{"encrypt":""}`, ""), callback.StepDecrypt},
	} {
		if _, err := test.receiver.Receive(test.in); platformtest.StepOf(err) != test.want {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

func TestRobotMessages(t *testing.T) {
	group := `{"msgid":"m1","aibotid":"b","chatid":"wr1","chattype":"group","from":{"userid":"ZhangSan"},` +
		`"response_url":"https://qyapi.weixin.qq.com/x","msgtype":"text","text":{"content":`
	mixed := strings.Replace(strings.TrimSuffix(group, `"text":{"content":`), `"msgtype":"text"`,
		`"msgtype":"mixed"`, 1) + `"mixed":{"msg_item":`
	mixedText := strings.TrimSuffix(mixed, `{"msg_item":`)
	for name, test := range map[string]struct {
		bot, inner, text, unread string
		step                     callback.Step
		nothing                  bool
	}{
		"a mention before":                       {inner: group + `"@Ops\u2005restart i-1"}}`, text: "restart i-1"},
		"a mention before, on a line of its own": {inner: group + `"@Ops\nrestart"}}`, text: "restart"},
		"nothing but a mention":                  {inner: group + `"@Ops"}}`, text: ""},
		"no mention":                             {inner: group + `"restart"}}`, text: "restart"},
		"a mention of two words": {bot: "Ops Bot", inner: group +
			`"@Ops Bot restart"}}`, text: "restart"},
		"a mention behind": {bot: "Ops Bot", inner: group +
			`"restart @Ops Bot"}}`, text: "restart"},
		"a mention in the middle": {bot: "Ops", inner: group +
			`"restart @Ops i-1"}}`, text: "restart i-1"},
		"a mention of somebody else": {bot: "Ops", inner: group +
			`"@Opsy restart x@Ops"}}`, text: "restart x@Ops"},
		"a mention of somebody and of the robot": {bot: "Robot A", inner: group +
			`"@Bob @Robot A restart i-1"}}`, text: "restart i-1"},
		"a mention at the end, without BotName": {inner: group + `"restart i-1 @RobotA"}}`, text: "restart i-1"},
		"a mention of everybody": {bot: "Ops", inner: group +
			`"@所有人 @Ops restart i-1"}}`, text: "restart i-1"},
		"one to one a mention at the head goes": {
			inner: `{"msgid":"m1","chattype":"single","from":{"userid":"ZhangSan"},"msgtype":"text",` +
				`"text":{"content":"@x y"}}`, text: "y"},
		"what was spoken": {
			inner: `{"msgid":"m1","chattype":"single","from":{"userid":"ZhangSan"},"msgtype":"voice",` +
				`"voice":{"content":"help"}}`, text: "help"},
		"the asking for more of an answer": {inner: `{"msgid":"m1","msgtype":"stream","stream":{"id":"s"}}`,
			nothing: true},
		"a picture": {
			inner: `{"msgid":"m1","chattype":"single","from":{"userid":"ZhangSan"},"msgtype":"image",` +
				`"image":{"url":"x"}}`, unread: command.UnreadPicture},
		"speech that was not understood": {
			inner: `{"msgid":"m1","chattype":"single","from":{"userid":"ZhangSan"},"msgtype":"voice",` +
				`"voice":{"content":""}}`, unread: command.UnreadVoice},
		"text beside a picture": {bot: "Ops", inner: mixed +
			`[{"msgtype":"text","text":{"content":"@Ops ` +
			`restart"}},{"msgtype":"image"},{"msgtype":"text","text":{"content":"i-1"}}]}}`, text: "restart i-1"},
		"a picture and a mention": {bot: "Ops", inner: mixed +
			`[{"msgtype":"text","text":{"content":"@Ops "}},{"msgtype":"image"}]}}`, unread: command.UnreadPicture},
		"text beside what is not known": {bot: "Ops", inner: mixed +
			`[{"msgtype":"text","text":{"content":"@Ops restart"}},{"msgtype":"formula"}]}}`, text: "restart",
			unread: "an element of type formula"},
		"a mixed message that is text": {bot: "Ops", inner: mixedText +
			`"{\"msg_item\":[{\"msgtype\":\"text\",\"text\":{\"content\":\"@Ops help\"}}]}"}`, text: "help"},
		"an invalid mixed message": {inner: mixed + `["x"]}}`, step: callback.StepDecode},
		"a quotation beside the text": {bot: "Ops", inner: group +
			`"@Ops help"},"quote":{"msgtype":"text","text":{"content":"restart i-1"}}}`, text: "help"},
		"an event": {inner: `{"msgid":"m1","create_time":` + at +
			`,"msgtype":"event","event":{"eventtype":"enter_chat"}}`, nothing: true},
		"an old event": {inner: `{"msgid":"m1","create_time":1409659813,"msgtype":"event"}`,
			step: callback.StepFreshness},
		"an event that was queued and retried": {inner: `{"msgid":"m1","create_time":` + ago(10*time.Minute) +
			`,"msgtype":"event"}`, nothing: true},
		"an event that is older than any retry": {inner: `{"msgid":"m1","create_time":` +
			ago(10*time.Minute+time.Second) + `,"msgtype":"event"}`, step: callback.StepFreshness},
		"an event of no time": {inner: `{"msgid":"m1","create_time":1,"msgtype":"event"}`,
			step: callback.StepRequest},
		"a text that is a number": {inner: group + `1}}`, step: callback.StepDecode},
		"no id": {inner: strings.Replace(group, `"msgid":"m1",`, "", 1) +
			`"x"}}`, step: callback.StepDecode},
		"no JSON": {inner: "x", step: callback.StepDecode},
		"a user that is no text": {inner: `{"msgid":"m1","from":{"userid":1},"msgtype":"text"}`,
			step: callback.StepDecode},
		"one to one without a user has no room": {
			inner: `{"msgid":"m1","chattype":"single","msgtype":"text","text":{"content":"x"}}`,
			step:  callback.StepDecode},
		"a group's message without a conversation": {
			inner: `{"msgid":"m1","chattype":"group","from":{"userid":"u"},"msgtype":"text","text":{"content":"x"}}`,
			step:  callback.StepDecode},
	} {
		r := receiver(t, with("BotName", test.bot))
		in, err := r.Receive(robot(t, test.inner))
		if platformtest.StepOf(err) != test.step {
			t.Errorf("%s: %v, want %q", name, err, test.step)
			continue
		}
		if err != nil {
			continue
		}
		if m := in.Message; (m == nil) != test.nothing || m != nil &&
			(m.Text != test.text || m.Unread != test.unread || m.User != "zhangsan") {
			t.Errorf("%s: %+v", name, m)
		}
		if in.Message == nil {
			if response, err := r.Answer(in, "x"); err != nil || len(response.Body) > 0 || response.Status != 200 {
				t.Errorf("%s: answered with %+v, %v", name, response, err)
			}
		}
	}
	in, err := receiver(t, with()).Receive(robot(t, group+`"@a b"}}`))
	if err != nil || in.Message.ReplyTo.Kind != "response_url" ||
		in.Message.ReplyTo.URL.Reveal() != "https://qyapi.weixin.qq.com/x" || in.Message.Conversation != "wr1" {
		t.Errorf("%+v, %v", in, err)
	}
}

// What a person types is never why a callback is refused: a control character is answered, as it is
// on other platforms, in XML and in both kinds of JSON.
func TestControlCharactersAreAnswered(t *testing.T) {
	r := receiver(t, with())
	inner := `{"ToUserName":"wwexample","FromUserName":"u","CreateTime":` + at +
		`,"MsgType":"text","Content":"restart` + "\x02" + ` \"i-1\"","MsgId":1,"AgentID":1000002}`
	encrypt := seal(t, inner, "wwexample")
	for name, in := range map[string]*callback.Request{
		"an app's XML":  app(t, message("[help]", "[restart\x02 \"i-1\"]")),
		"an app's JSON": post(`{"tousername":"wwexample","encrypt":"`+encrypt+`"}`, encrypt),
		"a robot's JSON": robot(t,
			`{"msgid":"m1","chattype":"single","from":{"userid":"u"},"msgtype":"text","text":{"content":"restart`+
				"\x02"+` \"i-1\""}}`),
	} {
		received, err := r.Receive(in)
		if err != nil || received.Message.Text != "restart\x02 \"i-1\"" {
			t.Errorf("%s: %+v, %v", name, received, err)
			continue
		}
		if _, _, err := command.Parse(received.Message.Text); err == nil ||
			!strings.Contains(err.Error(), "invisible") {
			t.Errorf("%s is a command: %v", name, err)
		}
	}
}

// An old message to a robot, and an old check of the URL, are not made fresh by exchanging the time
// and the nonce, which are sorted before they are signed. What has a time inside is not asked.
func TestTimeAndNonceAreNotExchanged(t *testing.T) {
	r := receiver(t, with())
	old, inner := ago(9*time.Hour),
		`{"msgid":"m1","chattype":"single","from":{"userid":"u"},"msgtype":"text","text":{"content":"restart"}`
	under := func(in *callback.Request, timestamp, nonce string) *callback.Request {
		f, err := callback.Object("the body", string(in.Body))
		encrypt := in.Query.Get("echostr")
		if err == nil {
			encrypt = f.Text("encrypt")
		}
		in.Query.Set("timestamp", timestamp)
		in.Query.Set("nonce", nonce)
		in.Query.Set("msg_signature", callback.SignEnvelope("notarealtoken", timestamp, nonce, encrypt))
		return in
	}
	check := func() *callback.Request {
		in := post("", "")
		in.Method = "GET"
		in.Query.Set("echostr", seal(t, "1616140317555161061", "wwexample"))
		return in
	}
	digits := "795420800" // of which and 1795388401 another split is now
	for name, test := range map[string]struct {
		in   *callback.Request
		want callback.Step
	}{
		"a robot's, as it was": {under(robot(t, inner+`}`), old, at), callback.StepFreshness},
		"a robot's, exchanged": {under(robot(t, inner+`}`), at, old), callback.StepFreshness},
		"a robot's, digits moved": {under(robot(t, inner+`}`), "1"+digits, "179538840"),
			callback.StepFreshness},
		"a robot's with a nonce of another age":   {under(robot(t, inner+`}`), at, "1372623149"), ""},
		"a robot's with a nonce of hours to come": {under(robot(t, inner+`}`), at, ago(-9*time.Hour)), ""},
		"a robot's with a time of its own":        {under(robot(t, inner+`,"create_time":`+at+`}`), at, old), ""},
		"a robot's with an old time of its own": {under(robot(t, inner+`,"create_time":`+old+`}`), at, old),
			callback.StepFreshness},
		"a robot's with an empty time of its own": {under(robot(t, inner+`,"create_time":""}`), at, old),
			callback.StepFreshness},
		"a check of the URL, exchanged":            {under(check(), at, old), callback.StepFreshness},
		"a check of the URL, digits moved":         {under(check(), "1"+digits, "179538840"), callback.StepFreshness},
		"a check of the URL with any other nonce":  {under(check(), at, "263014780"), ""},
		"a check of the URL with a nonce to come":  {under(check(), at, ago(-9*time.Hour)), ""},
		"a nonce longer than what a digest may be": {under(check(), at, strings.Repeat("n", 64)), callback.StepRequest},
	} {
		if _, err := r.Receive(test.in); platformtest.StepOf(err) != test.want {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

// A button of a robot's card is heard. WeCom takes no text for an answer to it, so that goes
// another way.
func TestRobotCards(t *testing.T) {
	r := receiver(t, with())
	press := func(rest, chosen string) string {
		return `{"msgid":"m1","create_time":` + at +
			`,"chatid":"wr1","chattype":"group","from":{"corpid":"wwexample","userid":"ZhangSan"}` + rest +
			`,"msgtype":"event","event":{"eventtype":"template_card_event",` +
			`"template_card_event":{"card_type":"vote_interaction","task_id":"t1"` + chosen + `}}}`
	}
	for name, test := range map[string]struct {
		rest, chosen, text string
		to                 command.ReplyTo
		step               callback.Step
	}{
		"a button": {"", `,"event_key":"restart i-1"`, "restart i-1",
			command.ReplyTo{Kind: "user", ID: "ZhangSan"}, ""},
		"with a response_url": {`,"response_url":"https://qyapi.weixin.qq.com/x"`, `,"event_key":"help"`, "help",
			command.ReplyTo{Kind: "response_url", URL: "https://qyapi.weixin.qq.com/x", Uses: 1}, ""},
		"a choice": {"",
			`,"event_key":"restart","selected_items":{"selected_item":[{"question_key":"q",` +
				`"option_ids":{"option_id":["i-1"]}}]}`, "restart i-1",
			command.ReplyTo{Kind: "user", ID: "ZhangSan"}, ""},
		"a choice that is one": {"", `,"selected_items":{"selected_item":{"option_ids":{"option_id":"restart i-1"}}}`,
			"restart i-1", command.ReplyTo{Kind: "user", ID: "ZhangSan"}, ""},
		"nothing":        {"", "", "", command.ReplyTo{}, ""},
		"an invalid key": {"", `,"event_key":1`, "", command.ReplyTo{}, callback.StepDecode},
	} {
		in, err := r.Receive(robot(t, press(test.rest, test.chosen)))
		if platformtest.StepOf(err) != test.step {
			t.Errorf("%s: %v, want %q", name, err, test.step)
		}
		if err != nil {
			continue
		}
		m := in.Message
		if (m == nil) != (test.text == "") || m != nil && (m.Text != test.text || m.ReplyTo != test.to ||
			m.User != "zhangsan" || m.ID != "m1" || m.EventID != "t1") ||
			m == nil && in.Kind != "event/template_card_event" {
			t.Errorf("%s: %+v, %+v", name, in, m)
		}
		if response, err := r.Answer(in, "x"); err != nil || len(response.Body) > 0 || response.Carries {
			t.Errorf("%s: answered with %+v, %v", name, response, err)
		}
	}
	in, err := r.Receive(robot(t, strings.Replace(press("", `,"event_key":"restart"`), "wwexample", "wwother", 1)))
	if err != nil || in.Message.User != "" || in.Message.ReplyTo != (command.ReplyTo{}) {
		t.Errorf("of another corporation: %+v, %v", in, err)
	}
}

// One press of a button is one act however often it is delivered, and two presses are two.
func TestCardActsAreToldApart(t *testing.T) {
	r := receiver(t, with())
	press := func(replace ...string) string {
		inner := message("text]]", "event]]", "<Content><![CDATA[help]]></Content><MsgId>4561255354251345929</MsgId>",
			"<Event>template_card_event</Event><EventKey>restart</EventKey><TaskId>t1</TaskId>")
		in, err := r.Receive(app(t, strings.NewReplacer(replace...).Replace(inner)))
		if err != nil {
			t.Fatal(err)
		}
		if in.Message.EventID == "" {
			t.Error("the act has no id of its task")
		}
		return in.Message.ID
	}
	first, again := press(), press()
	if first != again {
		t.Error("delivered again it is another")
	}
	for _, other := range [][]string{{"ZhangSan", "LiSi"}, {">t1<", ">t2<"}, {">restart<", ">stop<"},
		{"<CreateTime>" + at, "<CreateTime>" + ago(time.Second)}} {
		if first == press(other...) {
			t.Errorf("with %q it is the same", other)
		}
	}
}

// A robot's answer must have the nonce of its callback, and a time that is a number.
func TestRobotAnswers(t *testing.T) {
	r := receiver(t, with())
	in, err := r.Receive(robot(t,
		`{"msgid":"m1","chattype":"single","from":{"userid":"u"},"msgtype":"text","text":{"content":"x"}}`))
	if err != nil {
		t.Fatal(err)
	}
	response, err := r.Answer(in, "done")
	if err != nil {
		t.Fatal(err)
	}
	var a struct {
		Nonce     string `json:"nonce"`
		Timestamp int64  `json:"timestamp"`
	}
	if err := json.Unmarshal(response.Body, &a); err != nil || a.Nonce != "nonce" || a.Timestamp != now.Unix() {
		t.Errorf("%s: %v", response.Body, err)
	}
}

// Whatever a text is, the reply is XML that can be read, and not longer than WeCom takes.
func TestAnswersAreAlwaysXML(t *testing.T) {
	c, err := (&platformsim.Maker{Settings: with(), Now: now}).Make("WeChat", "app",
		platformsim.Message{User: "u]]>&<", Text: "x"})
	if err != nil {
		t.Fatal(err)
	}
	r := receiver(t, with())
	in, err := r.Receive(c.Received(now))
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{"a\x00\x1b]]>b\xff": "a\ufffd\ufffd]]>b\ufffd",
		"line\nline\r\t": "line\nline\r\t"} {
		response, err := r.Answer(in, text)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := c.ReadAnswer(response.Body); err != nil || got != want {
			t.Errorf("Answer(%q) shows %q, %v", text, got, err)
		}
	}
	response, err := r.Answer(in, strings.Repeat("<", 5000))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.ReadAnswer(response.Body); err != nil || len(got) > 2048 || !strings.HasSuffix(got, "…") {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestNewReceiver(t *testing.T) {
	for _, key := range []string{"WeChatCorpId", "WeChatAgentId", "WeChatToken", "WeChatEncodingAesKey"} {
		if _, err := (wecom.Platform{}).NewReceiver(with(key, "")); err == nil {
			t.Errorf("a receiver is made without %s", key)
		}
	}
}

// A ciphertext whose plaintext was padded to the cipher's block and not to WeCom's is none of
// WeCom's.
func TestPaddingIsToThirtyTwo(t *testing.T) {
	key, err := base64.StdEncoding.DecodeString(with().Get("WeChatEncodingAesKey") + "=")
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	for length, want := range map[int]callback.Step{48: callback.StepDecrypt, 64: callback.StepDecode} {
		plain := append(binary.BigEndian.AppendUint32(make([]byte, 16), 15), strings.Repeat("x", 15)+"wwexample"...)
		pad := length - len(plain)
		plain = append(plain, bytes.Repeat([]byte{byte(pad)}, pad)...)
		cipher.NewCBCEncrypter(block, key[:16]).CryptBlocks(plain, plain)
		encrypt := base64.StdEncoding.EncodeToString(plain)
		if _, err := receiver(t, with()).Receive(post("<xml><Encrypt>"+encrypt+"</Encrypt></xml>",
			encrypt)); platformtest.StepOf(err) != want {
			t.Errorf("%d bytes: %v, want %q", length, err, want)
		}
	}
}

// FuzzReceive gives any body, signed and sealed, to apps and robots. Whatever is taken has ids that
// can be kept.
func FuzzReceive(f *testing.F) {
	f.Add(message())
	f.Add(`{"msgid":"m1","chattype":"single","from":{"userid":"u"},"msgtype":"text","text":{"content":"x"}}`)
	f.Add(`{"ToUserName":"wwexample","FromUserName":"u","CreateTime":` + at +
		`,"MsgType":"text","Content":"x","MsgId":1,"AgentID":1000002}`)
	f.Add("<xml><a><b/></a></xml>")
	f.Add(message("[help]", "[a\x02 ]]> b]"))
	f.Add("{\"msgid\":\"m\\\x02\",\"a\x1f\":1}")
	r := receiver(f, with())
	f.Fuzz(func(t *testing.T, inner string) {
		encrypt := seal(t, inner, "wwexample")
		for _, request := range []*callback.Request{app(t, inner), robot(t, inner),
			post(`{"tousername":"wwexample","encrypt":"`+encrypt+`"}`, encrypt), post(inner, "")} {
			in, err := r.Receive(request)
			if err != nil {
				if platformtest.StepOf(err) == "" {
					t.Errorf("an error that is no refusal: %v", err)
				}
				continue
			}
			if m := in.Message; m != nil && (m.ID == "" || m.Conversation == "" || m.User != strings.ToLower(m.User) ||
				strings.ContainsAny(m.User+m.ID+m.Conversation, " \n\x00")) {
				t.Errorf("%+v", m)
			}
			if _, err := r.Answer(in, inner); err != nil {
				t.Error(err)
			}
		}
	})
}

// The signature of a message also proves a check of the URL with the message as its echostr, whose
// answer is the plaintext: whoever saw the callback pass would have it decrypted.
func TestTheCheckOfTheURLDecryptsNoMessage(t *testing.T) {
	r := receiver(t, with())
	for message, want := range map[string]callback.Step{
		"1616140317555161061": "", "n0nce_-.=": "",
		message(): callback.StepDecode, "\n" + message(): callback.StepDecode,
		`{"msgid":"m1","text":{"content":"x"}}`: callback.StepDecode,
		"":                                      callback.StepDecode, strings.Repeat("1", 129): callback.StepDecode,
	} {
		for _, receiveID := range []string{"wwexample", ""} {
			in := post("", seal(t, message, receiveID))
			encrypt := seal(t, message, receiveID)
			in.Method = "GET"
			in.Query.Set("echostr", encrypt)
			in.Query.Set("msg_signature", callback.SignEnvelope("notarealtoken", at, "nonce", encrypt))
			if got, err := r.Receive(in); platformtest.StepOf(err) != want || err == nil &&
				string(got.Handshake.Body) != message {
				t.Errorf("%.30q for %q: %v, want %q", message, receiveID, err, want)
			}
		}
	}
}

// A userid is somebody's in one corporation only.
func TestRobotMessagesOfAnotherCorporationAreNobodys(t *testing.T) {
	r := receiver(t, with())
	for corpID, user := range map[string]string{"": "zhangsan", "wwexample": "zhangsan", "wwother": ""} {
		for chat, room := range map[string]string{`"chattype":"single"`: "zhangsan",
			`"chattype":"group","chatid":"wr1"`: "wr1"} {
			in, err := r.Receive(robot(t, `{"msgid":"m1",`+chat+`,"from":{"userid":"ZhangSan","corpid":"`+corpID+
				`"},"msgtype":"text","text":{"content":"x"}}`))
			if user == "" && room == "zhangsan" {
				room = "wwother/zhangsan"
			}
			if err != nil || in.Message.User != user || in.Message.Conversation != room {
				t.Errorf("of %q, %s: %+v, %v", corpID, chat, in, err)
			}
		}
	}
}

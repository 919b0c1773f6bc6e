package dingtalk_test

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/platform/callback"
	"chatconf/shared/platform/dingtalk"
	"chatconf/shared/platform/platformtest"
)

var now = platformtest.Now

func with(pairs ...string) callback.Settings { return platformtest.With("DingTalk", pairs...) }

func receiver(t testing.TB, s callback.Settings) callback.Receiver {
	t.Helper()
	return platformtest.Receiver(t, dingtalk.Platform{}.NewReceiver, s)
}

func mac(secret, message string) string {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(message))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// robot signs a body as a robot's message.
func robot(body string) *callback.Request {
	at := strconv.FormatInt(now.UnixMilli(), 10)
	return &callback.Request{Method: "POST", Header: http.Header{"Timestamp": {at},
		"Sign": {mac("not-a-real-secret", at+"\nnot-a-real-secret")}}, Body: []byte(body), Now: now}
}

func card(body string) *callback.Request {
	at := strconv.FormatInt(now.UnixMilli(), 10)
	return &callback.Request{Method: "POST", Header: http.Header{"X-Ddpaas-Signature-Timestamp": {at},
		"X-Ddpaas-Signature": {mac("not-a-real-card-secret", at)}}, Body: []byte(body), Now: now}
}

// event seals and signs an event.
func event(t testing.TB, message, receiver, timestamp string) *callback.Request {
	t.Helper()
	key, err := callback.ParseEnvelopeKey(platformtest.Settings("DingTalk").Get("DingTalkEncodingAesKey"))
	if err != nil {
		t.Fatal(err)
	}
	encrypt, err := key.Seal(rand.Reader, message, receiver)
	if err != nil {
		t.Fatal(err)
	}
	return &callback.Request{Method: "POST", Now: now, Body: []byte(`{"encrypt":"` + encrypt + `"}`),
		Query: url.Values{"signature": {callback.SignEnvelope("notarealtoken", timestamp, "nonce", encrypt)},
			"timestamp": {timestamp}, "nonce": {"nonce"}}}
}

// members is a robot's message with some members changed; an empty text takes one away.
func members(pairs ...string) string {
	m := map[string]json.RawMessage{}
	if err := json.Unmarshal([]byte(`{"msgtype":"text","text":{"content":" help "},"msgId":"m1",
		"createAt":1795420799000,"conversationType":"2","conversationId":"cid==",
		"senderStaffId":"u1","senderNick":"U","senderCorpId":"dingcorp","chatbotCorpId":"dingcorp",
		"chatbotUserId":"bot","senderId":"sender","robotCode":"dingrobot",
		"sessionWebhook":"https://oapi.dingtalk.com/robot/sendBySession?session=not-real",
		"sessionWebhookExpiredTime":1795426200000}`), &m); err != nil {
		panic(err)
	}
	for i := 0; i < len(pairs); i += 2 {
		if m[pairs[i]] = json.RawMessage(pairs[i+1]); pairs[i+1] == "" {
			delete(m, pairs[i])
		}
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// rich is a robot's message of rich text with these elements.
func rich(elements string) string {
	return members("msgtype", `"richText"`, "content", `{"richText":[`+elements+`]}`)
}

func TestRobotMessages(t *testing.T) {
	r := receiver(t, with())
	for name, test := range map[string]struct {
		body string
		want *command.Message // its text, user and conversation
		step callback.Step
	}{
		"text": {body: members(), want: &command.Message{Text: "help", User: "u1", Conversation: "cid=="}},
		"one to one, with an odd space": {body: members("conversationType", `"1"`, "text",
			`{"content":"\u00a0help\u3000me"}`),
			want: &command.Message{Text: "help me", User: "u1", Conversation: "cid==", Direct: true}},
		"content beside the text counts for nothing": {body: members("content", `"other"`),
			want: &command.Message{Text: "help", User: "u1", Conversation: "cid=="}},
		"content alone, as one sample has it": {body: members("text", "", "content", `"help"`),
			want: &command.Message{Text: "help", User: "u1", Conversation: "cid=="}},
		"rich text": {body: members("msgtype", `"richText"`, "content",
			`{"richText":[{"text":"restart "},{"type":"picture","downloadCode":"x"},{"text":"i-1"}]}`),
			want: &command.Message{Text: "restart i-1", User: "u1", Conversation: "cid=="}},
		"a time as text": {body: members("createAt", `"1795420799000"`),
			want: &command.Message{Text: "help", User: "u1", Conversation: "cid=="}},
		"somebody without a userid": {body: members("senderStaffId", ""),
			want: &command.Message{Text: "help", Conversation: "cid=="}},
		"somebody of another organisation": {body: members("senderCorpId", `"dingother"`),
			want: &command.Message{Text: "help", Conversation: "cid=="}},
		"a picture": {body: members("msgtype", `"picture"`, "content",
			`{"downloadCode":"x"}`), want: &command.Message{Unread: command.UnreadPicture,
			User: "u1", Conversation: "cid=="}},
		"speech that was understood": {body: members("msgtype", `"audio"`, "content",
			`{"downloadCode":"x","recognition":"restart i-1"}`),
			want: &command.Message{Text: "restart i-1", User: "u1", Conversation: "cid=="}},
		"speech that was not": {body: members("msgtype", `"audio"`, "content",
			`{"downloadCode":"x","recognition":""}`), want: &command.Message{Unread: command.UnreadVoice,
			User: "u1", Conversation: "cid=="}},
		"what is not known": {body: members("msgtype", `"hologram"`),
			want: &command.Message{Unread: "an element of type hologram", User: "u1", Conversation: "cid=="}},
		"rich text with a mention of its own": {body: rich(`{"text":"@ops"},{"text":" restart i-1"}`),
			want: &command.Message{Text: "restart i-1", User: "u1", Conversation: "cid=="}},
		"rich text with a mention in the text": {body: rich(`{"text":"@ops restart i-1"}`),
			want: &command.Message{Text: "restart i-1", User: "u1", Conversation: "cid=="}},
		"rich text, a picture between two words": {
			body: rich(`{"text":"restart"},{"type":"picture","downloadCode":"x"},{"text":"i-1"}`),
			want: &command.Message{Text: "restart i-1", User: "u1", Conversation: "cid=="}},
		"rich text of pictures": {body: rich(`{"type":"picture"},{"type":"picture"}`),
			want: &command.Message{Unread: command.UnreadPicture, User: "u1", Conversation: "cid=="}},
		"rich text with what is not known": {body: rich(`{"text":"restart"},{"type":"code","text":"i-1"}`),
			want: &command.Message{Text: "restart", Unread: "an element of type code",
				User: "u1", Conversation: "cid=="}},
		"rich text with what has no type": {body: rich(`{"text":"restart"},{"downloadCode":"x"}`),
			want: &command.Message{Text: "restart", Unread: "an element without a type",
				User: "u1", Conversation: "cid=="}},
		"rich text with somebody as an argument": {body: members("msgtype", `"richText"`, "atUsers",
			`[{"dingtalkId":"bot"},{"dingtalkId":"bob"}]`, "content",
			`{"richText":[{"text":"kick "},{"text":"@Bob"}]}`),
			want: &command.Message{Text: "kick @Bob", User: "u1", Conversation: "cid=="}},
		"rich text of nothing": {body: rich(``),
			want: &command.Message{User: "u1", Conversation: "cid=="}},
		"somebody else as an argument of text": {body: members("text", `{"content":" kick @Bob"}`),
			want: &command.Message{Text: "kick @Bob", User: "u1", Conversation: "cid=="}},
		"somebody else before the command": {body: members("text", `{"content":" @Bob restart i-1"}`),
			want: &command.Message{Text: "restart i-1", User: "u1", Conversation: "cid=="}},
		"the robot's own": {body: members("senderId", `"bot"`)},
		"the notice of an exceeded quota, its text": {body: members("errorCode", "20001")},
		"the notice of an exceeded quota, no text":  {body: members("errorCode", `"20001"`, "text", "")},
		"a control character is left to the parser": {body: members("text", `{"content":"a\u0000b"}`),
			want: &command.Message{Text: "a\x00b", User: "u1", Conversation: "cid=="}},
		"another robot": {body: members("robotCode", `"dingother"`),
			step: callback.StepReceiver},
		"no robot, where one is set": {body: members("robotCode", ""), step: callback.StepReceiver},
		"another corporation": {body: members("chatbotCorpId", `"dingother"`),
			step: callback.StepReceiver},
		"no corporation, where one is set": {body: members("chatbotCorpId", ""), step: callback.StepReceiver},
		"no id":                            {body: members("msgId", ""), step: callback.StepDecode},
		"no conversation":                  {body: members("conversationId", ""), step: callback.StepDecode},
		"a text that is a number": {body: members("text", `{"content":1}`),
			step: callback.StepDecode},
		"keys in another case": {body: strings.Replace(members(), `"msgId"`, `"msgid"`, 1),
			step: callback.StepDecode},
		"a key twice": {body: strings.Replace(members(), `{`, `{"msgId":"m0",`, 1),
			step: callback.StepDecode},
		"no JSON":                 {body: "x", step: callback.StepDecode},
		"a type that is a number": {body: members("msgtype", "1"), step: callback.StepDecode},
		"a blank in the userid": {body: members("senderStaffId", `"a b"`),
			step: callback.StepDecode},
		"invalid rich text": {body: members("msgtype", `"richText"`, "content",
			`{"richText":["x"]}`), step: callback.StepDecode},
	} {
		in, err := r.Receive(robot(test.body))
		if platformtest.StepOf(err) != test.step {
			t.Errorf("%s: %v, want %q", name, err, test.step)
			continue
		}
		if err != nil {
			continue
		}
		if (in.Message == nil) != (test.want == nil) {
			t.Errorf("%s: message = %v", name, in.Message)
			continue
		}
		if m, want := in.Message, test.want; m != nil && (m.Text != want.Text || m.Unread != want.Unread ||
			m.User != want.User || m.Conversation != want.Conversation || m.Direct != want.Direct) {
			t.Errorf("%s: %+v", name, m)
		}
		if response, err := r.Answer(in, ""); err != nil || string(response.Body) != `{"msgtype":"empty"}` {
			t.Errorf("%s: acknowledged with %v, %v", name, response, err)
		}
	}
	in, err := r.Receive(robot(members()))
	if err != nil {
		t.Fatal(err)
	}
	to := in.Message.ReplyTo
	if to.Kind != "group" || to.ID != "cid==" ||
		to.URL.Reveal() != "https://oapi.dingtalk.com/robot/sendBySession?session=not-real" ||
		to.Expires.UnixMilli() != 1795426200000 {
		t.Errorf("answered later by %+v, %s", to, to.URL.Reveal())
	}
	if in.Message.Sent.UnixMilli() != 1795420799000 || in.Message.UserName != "U" {
		t.Errorf("%+v", in.Message)
	}
	in, err = r.Receive(robot(members("conversationType", `"1"`, "sessionWebhook", "", "createAt", `"yesterday"`)))
	if err != nil || in.Message.ReplyTo != (command.ReplyTo{Kind: "person", ID: "u1"}) || !in.Message.Sent.IsZero() {
		t.Errorf("one to one, answered later by %+v, %v", in.Message, err)
	}
	// Where no robot is named, the client id is its code, and a message need not say.
	r = receiver(t, with("DingTalkRobotCode", "", "DingTalkCorpId", ""))
	for code, want := range map[string]callback.Step{`"dingexample"`: "", "": "",
		`"dingrobot"`: callback.StepReceiver} {
		if _, err := r.Receive(robot(members("robotCode", code, "chatbotCorpId", ""))); platformtest.StepOf(
			err) != want {
			t.Errorf("robot code %s: %v", code, err)
		}
	}
}

// A callback has one signature of one kind; a better one that fails is not made up for by another.
func TestModesAreNotMixed(t *testing.T) {
	r := receiver(t, with())
	both := robot(members())
	maps.Copy(both.Header, card("{}").Header)
	robotAndEvent := event(t, `{"EventType":"check_url"}`, "dingowner", "1795420800000")
	robotAndEvent.Header = robot("").Header
	none := robot(members())
	none.Header.Del("Sign")
	twice := event(t, `{"EventType":"check_url"}`, "dingowner", "1795420800000")
	twice.Query["timeStamp"] = twice.Query["timestamp"]
	old := event(t, `{"EventType":"check_url"}`, "dingowner", "1795420800000")
	old.Query["msg_signature"], old.Query["signature"] = old.Query["signature"], []string{"x", "y"}
	cardAsRobot := robot(members())
	cardAsRobot.Header = http.Header{"Sign": card("").Header["X-Ddpaas-Signature"],
		"Timestamp": card("").Header["X-Ddpaas-Signature-Timestamp"]}
	for name, test := range map[string]struct {
		in   *callback.Request
		want callback.Step
	}{
		"of a robot and of a card":        {both, callback.StepRequest},
		"of a robot and of an event":      {robotAndEvent, callback.StepRequest},
		"no signature":                    {none, callback.StepRequest},
		"two timestamps in two spellings": {twice, callback.StepRequest},
		"the second signature twice":      {old, callback.StepRequest},
		"a card's as a robot's":           {cardAsRobot, callback.StepSignature},
	} {
		if _, err := r.Receive(test.in); platformtest.StepOf(err) != test.want {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
	bare := receiver(t, callback.Settings{"DingTalkClientId": "dingexample",
		"DingTalkClientSecret": "not-a-real-secret"})
	for name, in := range map[string]*callback.Request{"a card": card("{}"),
		"an event": event(t, "{}", "dingexample", "1795420800000")} {
		if _, err := bare.Receive(in); platformtest.StepOf(err) != callback.StepRequest {
			t.Errorf("%s, which is not set up: %v", name, err)
		}
	}
}

func TestEvents(t *testing.T) {
	ago := func(d time.Duration) string { return strconv.FormatInt(now.Add(-d).UnixMilli(), 10) }
	r := receiver(t, with())
	at := strconv.FormatInt(now.UnixMilli(), 10)
	for name, test := range map[string]struct {
		message   string
		timestamp string
		step      callback.Step
		handshake bool
	}{
		"the check of the URL": {message: `{"EventType":"check_url"}`, handshake: true},
		"the check of a suite's URL": {message: `{"EventType":"check_update_suite_url","Random":"x"}`,
			handshake: true},
		"an event": {
			message: `{"EventType":"user_add_org","CorpId":"dingcorp","TimeStamp":"` + at + `","UserId":["u"]}`},
		"an event of seconds, as a number": {message: `{"EventType":"user_add_org","TimeStamp":` +
			at[:10] + `}`, timestamp: at[:10]},
		"an event of another corporation": {message: `{"EventType":"x","CorpId":"dingother"}`,
			step: callback.StepReceiver},
		"an event that is old inside": {message: `{"EventType":"x","TimeStamp":"1445827045067"}`,
			step: callback.StepFreshness},
		"an event at its last retry": {message: `{"EventType":"x","TimeStamp":"` + ago(6*time.Minute) + `"}`},
		"an event later than any retry": {message: `{"EventType":"x","TimeStamp":"` +
			ago(6*time.Minute+time.Second) + `"}`, step: callback.StepFreshness},
		"an event without a time inside": {message: `{"EventType":"x","TimeStamp":"soon"}`,
			step: callback.StepRequest},
		"an event without a type":         {message: `{}`, step: callback.StepDecode},
		"an event whose type is a number": {message: `{"EventType":1}`, step: callback.StepDecode},
		"something that is no event":      {message: `success`, step: callback.StepDecode},
		"an old event": {message: `{"EventType":"check_url"}`, timestamp: "1445827045067",
			step: callback.StepFreshness},
		"a timestamp that is no time at all": {message: `{"EventType":"check_url"}`,
			timestamp: "12", step: callback.StepRequest},
	} {
		if test.timestamp == "" {
			test.timestamp = at
		}
		in, err := r.Receive(event(t, test.message, "dingowner", test.timestamp))
		if platformtest.StepOf(err) != test.step {
			t.Errorf("%s: %v, want %q", name, err, test.step)
			continue
		}
		if err != nil {
			continue
		}
		if in.Message != nil || (in.Handshake != nil) != test.handshake {
			t.Errorf("%s: %+v", name, in)
		}
		response, err := r.Answer(in, "text that an event does not show")
		if err != nil || response.Carries {
			t.Fatalf("%s: %+v, %v", name, response, err)
		}
		if got := opened(t, response); got != "success" {
			t.Errorf("%s is answered with %q, want success", name, got)
		}
	}
	camel := event(t, `{"EventType":"check_url"}`, "dingowner", at)
	camel.Query["timeStamp"], camel.Query["timestamp"] = camel.Query["timestamp"], nil
	delete(camel.Query, "timestamp")
	if _, err := r.Receive(camel); err != nil {
		t.Errorf("a timeStamp: %v", err)
	}
	wrong := event(t, `{"EventType":"check_url"}`, "dingowner", at)
	wrong.Body = []byte(`{"encrypt":1}`)
	if _, err := r.Receive(wrong); platformtest.StepOf(err) != callback.StepDecode {
		t.Errorf("a ciphertext that is a number: %v", err)
	}
}

// Where DingTalk takes the robot's mention off, a mention of somebody else is no sign of a wrong
// BotName.
func TestAMentionOfSomebodyIsNoWrongBotName(t *testing.T) {
	r := receiver(t, with("BotName", "ops"))
	for body, want := range map[string]string{
		members("text", `{"content":" kick @Bob"}`):                        "",
		rich(`{"text":"@ops"},{"text":" kick @Bob"}`):                      "",
		rich(`{"text":"@Another"},{"text":" restart i-1"}`):                "Another",
		members("conversationType", `"1"`, "text", `{"content":"@Bob x"}`): "",
	} {
		if in, err := r.Receive(robot(body)); err != nil || in.Mention != want {
			t.Errorf("%s: %+v, %v, want the mention %q", body, in, err, want)
		}
	}
}

// Other people's documents have it that a robot's body may be encrypted as events are. It still
// needs the robot's signature.
func TestARobotsBodyMayBeEncrypted(t *testing.T) {
	sealed := string(event(t, members(), "dingowner", "1795420800000").Body)
	in, err := receiver(t, with()).Receive(robot(sealed))
	if err != nil || in.Message == nil || in.Message.Text != "help" || len(in.Guards) != 1 {
		t.Errorf("%+v, %v", in, err)
	}
	unsigned := robot(sealed)
	unsigned.Header.Set("Sign", mac("another", "x"))
	other := string(event(t, members(), "dingother", "1795420800000").Body)
	noKey := with("DingTalkToken", "", "DingTalkEncodingAesKey", "")
	for name, test := range map[string]struct {
		settings callback.Settings
		in       *callback.Request
		want     callback.Step
	}{
		"not signed":        {with(), unsigned, callback.StepSignature},
		"for another owner": {with(), robot(other), callback.StepReceiver},
		"damaged":           {with(), robot(`{"encrypt":"AAAA"}`), callback.StepDecrypt},
		"a number":          {with(), robot(`{"encrypt":1}`), callback.StepDecode},
		"without a key":     {noKey, robot(sealed), callback.StepDecrypt},
		"no JSON inside": {with(), robot(string(event(t, "x", "dingowner", "1795420800000").Body)),
			callback.StepDecode},
		"for another robot": {with("DingTalkRobotCode", "x"), robot(sealed), callback.StepReceiver},
	} {
		if _, err := receiver(t, test.settings).Receive(test.in); platformtest.StepOf(err) != test.want {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

// A refusal says which setting to set, and to what.
func TestRefusalsSayWhatToSet(t *testing.T) {
	at := strconv.FormatInt(now.UnixMilli(), 10)
	bare := with("DingTalkRobotCode", "", "DingTalkCorpId", "", "DingTalkOwnerKey", "")
	for name, test := range map[string]struct {
		settings callback.Settings
		in       *callback.Request
		want     string
	}{
		"a robot code that is normal": {bare, robot(members("robotCode", `"normal"`)),
			`set DingTalkRobotCode to "normal"`},
		"another robot code": {with(), robot(members("robotCode", `"dingother"`)),
			`set DingTalkRobotCode to "dingother"`},
		"no robot code": {with(), robot(members("robotCode", "")), `remove DingTalkRobotCode`},
		"another corporation": {with(), robot(members("chatbotCorpId", `"dingother"`)),
			`set DingTalkCorpId to "dingother"`},
		"no corporation": {with(), robot(members("chatbotCorpId", "")), `remove DingTalkCorpId`},
		"an owner that is the corp id": {bare, event(t, `{"EventType":"check_url"}`, "dingcorp", at),
			`receive id "dingcorp"`},
		"the setting of the receive id": {bare, event(t, `{"EventType":"check_url"}`, "dingcorp", at),
			`set DingTalkOwnerKey to it`},
		"the corporation of an event": {with(), event(t, `{"EventType":"x","CorpId":"dingother"}`, "dingowner", at),
			`set DingTalkCorpId to "dingother"`},
	} {
		_, err := receiver(t, test.settings).Receive(test.in)
		if platformtest.StepOf(err) != callback.StepReceiver || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

// An old event without a time inside is not made fresh by exchanging the time and the nonce.
func TestTimeAndNonceAreNotExchanged(t *testing.T) {
	r := receiver(t, with())
	at, old := strconv.FormatInt(now.UnixMilli(), 10), strconv.FormatInt(now.Add(-9*time.Hour).UnixMilli(), 10)
	for name, test := range map[string]struct {
		message, timestamp, nonce string
		want                      callback.Step
	}{
		"as it was":             {`{"EventType":"check_url"}`, old, at, callback.StepFreshness},
		"exchanged":             {`{"EventType":"check_url"}`, at, old, callback.StepFreshness},
		"exchanged, in seconds": {`{"EventType":"check_url"}`, at[:10], old[:10], callback.StepFreshness},
		"with a time inside":    {`{"EventType":"check_url","TimeStamp":"` + at + `"}`, at, old, ""},
		"a nonce of letters":    {`{"EventType":"check_url"}`, at, "nEXhMP4r", ""},
	} {
		in := event(t, test.message, "dingowner", at)
		var body struct{ Encrypt string }
		if err := json.Unmarshal(in.Body, &body); err != nil {
			t.Fatal(err)
		}
		in.Query = url.Values{"timestamp": {test.timestamp}, "nonce": {test.nonce},
			"msg_signature": {callback.SignEnvelope("notarealtoken", test.timestamp, test.nonce, body.Encrypt)}}
		if _, err := r.Receive(in); platformtest.StepOf(err) != test.want {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

func opened(t *testing.T, response *callback.Response) string {
	t.Helper()
	var a struct {
		Signature string `json:"msg_signature"`
		TimeStamp string `json:"timeStamp"`
		Nonce     string `json:"nonce"`
		Encrypt   string `json:"encrypt"`
	}
	if err := json.Unmarshal(response.Body, &a); err != nil {
		t.Fatal(err)
	}
	if a.Signature != callback.SignEnvelope("notarealtoken", a.TimeStamp, a.Nonce, a.Encrypt) {
		t.Error("the answer's signature is not right")
	}
	key, err := callback.ParseEnvelopeKey(platformtest.Settings("DingTalk").Get("DingTalkEncodingAesKey"))
	if err != nil {
		t.Fatal(err)
	}
	message, owner, err := key.Open(a.Encrypt, 32)
	if err != nil || owner != "dingowner" {
		t.Fatalf("the answer opens to %q for %q, %v", message, owner, err)
	}
	return message
}

func TestCards(t *testing.T) {
	r := receiver(t, with())
	body := func(rest string) string {
		return `{"type":"actionCallback","outTrackId":"t1","corpId":"dingcorp","userId":"u1"` + rest + `}`
	}
	content := `,"content":"{\"cardPrivateData\":{\"actionIds\":[\"restart\"],\"params\":{\"command\":\"restart ` +
		`i-1\"}}}"`
	action := `,"content":"{\"cardPrivateData\":{\"actionIds\":[\"restart\"]}}"`
	for name, test := range map[string]struct {
		body                            string
		text, unread, user, kind, space string
		step                            callback.Step
		nothing                         bool
	}{
		"a parameter command": {body: body(content + `,"spaceId":"cid==","spaceType":"IM_GROUP"`),
			text: "restart i-1", user: "u1", kind: "group"},
		"a command and a choice": {
			body: body(`,"content":"{\"cardPrivateData\":{\"actionIds\":[\"x\"],\"params\":{\"command\":\"restart\",` +
				`\"instance\":\"i 1\"}}}"`), text: "restart 'i 1'", user: "u1", kind: "person"},
		"an action and two choices": {
			body: body(`,"content":"{\"cardPrivateData\":{\"actionIds\":[\"restart\"],` +
				`\"params\":{\"instance\":\"i-1\",\"force\":true,\"empty\":\"\",\"none\":null}}}"`),
			text: "restart instance=i-1 force=true", user: "u1", kind: "person"},
		"a choice that is an object": {
			body: body(`,"content":"{\"cardPrivateData\":{\"actionIds\":[\"restart\"],` +
				`\"params\":{\"instance\":{\"id\":\"i-1\"}}}}"`), text: "restart", unread: "an element of type params",
			user: "u1", kind: "person"},
		"a space in its long form": {body: body(action +
			`,"spaceId":"dtv1.card//IM_GROUP.cid==","spaceType":"im_group"`), text: "restart",
			user: "u1", kind: "group", space: "cid=="},
		"the id of an action": {body: body(action + `,"spaceId":"u1","spaceType":"IM_ROBOT","userIdType":1`),
			text: "restart", user: "u1", kind: "person"},
		"a place that is not told": {body: body(action), text: "restart", user: "u1", kind: "person"},
		"a unionId":                {body: body(action + `,"userIdType":2`), text: "restart", kind: "person"},
		"another type":             {body: `{"type":"other","corpId":"dingcorp"}`, nothing: true},
		"another corporation": {body: `{"type":"actionCallback","corpId":"dingother"}`,
			step: callback.StepReceiver},
		"content that is no JSON": {body: body(`,"content":"x"`), step: callback.StepDecode},
		"actions that are numbers": {body: body(`,"content":"{\"cardPrivateData\":{\"actionIds\":[1]}}"`),
			step: callback.StepDecode},
		"a space that is a number":     {body: body(action + `,"spaceId":1`), step: callback.StepDecode},
		"no JSON":                      {body: "x", step: callback.StepDecode},
		"a type that is not even text": {body: `{"type":1,"corpId":"dingcorp"}`, step: callback.StepDecode},
	} {
		in, err := r.Receive(card(test.body))
		if platformtest.StepOf(err) != test.step {
			t.Errorf("%s: %v, want %q", name, err, test.step)
			continue
		}
		if err != nil {
			continue
		}
		if m := in.Message; (m == nil) != test.nothing || m != nil &&
			(m.Text != test.text || m.Unread != test.unread || m.User != test.user || m.ReplyTo.Kind != test.kind ||
				test.space != "" && (m.Conversation != test.space || m.ReplyTo.ID != test.space)) {
			t.Errorf("%s: %+v", name, m)
		}
		if response, err := r.Answer(in, "x"); err != nil || string(response.Body) != "{}" || response.Carries {
			t.Errorf("%s: answered with %+v, %v", name, response, err)
		}
	}
	seconds := card(body(content))
	seconds.Header.Set("X-Ddpaas-Signature-Timestamp", strconv.FormatInt(now.Unix(), 10))
	seconds.Header.Set("X-Ddpaas-Signature", mac("not-a-real-card-secret", strconv.FormatInt(now.Unix(), 10)))
	if _, err := r.Receive(seconds); err != nil {
		t.Errorf("a time in seconds, which no document rules out: %v", err)
	}
}

func TestWindow(t *testing.T) {
	r := receiver(t, with("DingTalkWindowSeconds", "3600"))
	for by, want := range map[time.Duration]callback.Step{59 * time.Minute: "",
		61 * time.Minute: callback.StepFreshness, -61 * time.Minute: callback.StepFreshness} {
		in := robot(members())
		in.Now = now.Add(by)
		if _, err := r.Receive(in); platformtest.StepOf(err) != want {
			t.Errorf("%s later: %v", by, err)
		}
	}
	seconds := robot(members())
	at := strconv.FormatInt(now.Unix(), 10)
	seconds.Header = http.Header{"Timestamp": {at}, "Sign": {mac("not-a-real-secret", at+"\nnot-a-real-secret")}}
	if _, err := r.Receive(seconds); platformtest.StepOf(err) != callback.StepRequest {
		t.Errorf("a robot's time in seconds: %v", err)
	}
}

func TestNewReceiver(t *testing.T) {
	for name, s := range map[string]callback.Settings{
		"no client id":          with("DingTalkClientId", "", "DingTalkRobotCode", "", "DingTalkOwnerKey", ""),
		"a token without a key": with("DingTalkEncodingAesKey", ""),
		"a key without a token": with("DingTalkToken", ""), "an invalid key": with("DingTalkEncodingAesKey",
			"short"), "a window of two hours": with("DingTalkWindowSeconds", "7200"),
		"only a previous secret": with("DingTalkClientSecret", "", "DingTalkClientSecretPrevious", "not-a-real-secret"),
	} {
		if _, err := (dingtalk.Platform{}).NewReceiver(s); err == nil || strings.Contains(err.Error(), "not-a-real") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLongAnswersAreCut(t *testing.T) {
	r := receiver(t, with())
	in, err := r.Receive(robot(members()))
	if err != nil {
		t.Fatal(err)
	}
	response, err := r.Answer(in, strings.Repeat("钉", 20_000))
	if err != nil || len(response.Body) > 15_000 || !json.Valid(response.Body) ||
		!strings.Contains(string(response.Body), "…") {
		t.Errorf("%d bytes, %v", len(response.Body), err)
	}
}

// FuzzReceive gives any body to the robot and to cards, signed. Whatever is taken has ids that can
// be kept, and is taken the same again.
func FuzzReceive(f *testing.F) {
	f.Add(members())
	f.Add(members("msgtype", `"richText"`, "content", `{"richText":[{"text":"x"}]}`))
	f.Add(members("msgtype", `"audio"`, "content", `{"recognition":"x"}`))
	f.Add(rich(`{"text":"@ops"},{"type":"picture"},{"text":" x"}`))
	f.Add(`{"type":"actionCallback","outTrackId":"t1","corpId":"dingcorp","userId":"u1",` +
		`"content":"{\"cardPrivateData\":{\"actionIds\":[\"x\"]}}"}`)
	r := receiver(f, with())
	f.Fuzz(func(t *testing.T, body string) {
		for _, make := range []func(string) *callback.Request{robot, card} {
			in, err := r.Receive(make(body))
			if err != nil {
				if platformtest.StepOf(err) == "" {
					t.Errorf("an error that is no refusal: %v", err)
				}
				continue
			}
			again, err := r.Receive(make(body))
			if err != nil || (in.Message == nil) != (again.Message == nil) || in.Message != nil &&
				*in.Message != *again.Message {
				t.Fatalf("taken differently the second time: %v", err)
			}
			if m := in.Message; m != nil && (m.ID == "" || m.Conversation == "" || len(m.User) > 256 ||
				strings.ContainsAny(m.User+m.ID+m.Conversation, " \n\x00")) {
				t.Errorf("%+v", m)
			}
		}
	})
}

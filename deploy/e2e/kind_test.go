package e2e_test

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Speech, buttons and rich text are heard whole; what is no text is answered and not run.
func TestAMessageIsUnderstoodWholeOrNotRun(t *testing.T) {
	t.Parallel()
	s := serveCrowd(t)
	grants := permissions(allow("li", "*"), allow("ou_1", "*"))
	check := func(b *bot, what, decision, command string, arguments ...string) {
		t.Helper()
		if r := b.latest(t); r.Decision != decision || r.Command != command ||
			strings.Join(r.Arguments, " ") != strings.Join(arguments, " ") {
			t.Errorf("%s: recorded was %+v, want %s %s %q", what, r, decision, command, arguments)
		}
	}

	ding := newBot(t, s, "DingTalk", "ding", grants)
	for what, to := range map[string]string{"a picture": `"msgtype":"picture","content":{"downloadCode":"x"}`,
		"speech": `"msgtype":"audio","content":{"recognition":"restart i-1"}`} {
		c := dingTalkRobot(goHMAC)(t, ding, said("li", "cid==", "x"))
		c.body = changed(t, c.body, `"msgtype":"text"`, to)
		shown := ding.shows(t, c)
		if what == "speech" {
			check(ding, what, "Allowed", "restart", "i-1")
			continue
		}
		if check(ding, what, "Denied", ""); !strings.Contains(shown,
			"I can read only text, and this message contains a picture.") {
			t.Errorf("%s is answered with %q", what, shown)
		}
	}

	wecom := newBot(t, s, "WeChat", "wecom", grants)
	if shown := wecom.shows(t, wecomApp(wecomGo{})(t, wecom, said("li", "", "restart\x02 i-1"))); !strings.Contains(
		shown, "invisible") {
		t.Errorf("a control character is answered with %q", shown)
	}
	check(wecom, "a control character", "Denied", "")
	pressed := said("Li", "", "x")
	c := wecomApp(wecomGo{})(t, wecom, pressed)
	event := "<xml><ToUserName>wwexample</ToUserName><FromUserName>Li</FromUserName><CreateTime>" + pressed.seconds() +
		"</CreateTime><MsgType>event</MsgType><Event>template_card_event</Event><EventKey>restart</EventKey><TaskId>t</TaskId><SelectedItems><SelectedItem>" +
		"<QuestionKey>q</QuestionKey><OptionIds><OptionId>i-1</OptionId></OptionIds></SelectedItem></SelectedItems><AgentID>1000002</AgentID></xml>"
	encrypt, signature := wecomGo{}.seal(t, wecom.settings["WeChatToken"], wecom.settings["WeChatEncodingAesKey"],
		"wwexample", event, pressed.seconds(), "n")
	c.query = url.Values{"msg_signature": {signature}, "timestamp": {pressed.seconds()}, "nonce": {"n"}}
	c.body = "<xml><ToUserName>wwexample</ToUserName><Encrypt>" + encrypt + "</Encrypt></xml>"
	wecom.shows(t, c)
	check(wecom, "a button and a choice", "Allowed", "restart", "i-1")

	feishu := newBot(t, s, "Feishu", "feishu", grants)
	post := said("ou_1", "oc_1", "x")
	say := func(event, content string) callback {
		return feishuSigned(t, feishu, said("ou_1", "oc_1", "x"), jsonText(object{
			"schema": "2.0",
			"header": object{"event_id": event, "event_type": "im.message.receive_v1", "create_time": post.millis(),
				"token": feishu.settings["FeishuVerificationToken"], "app_id": feishu.settings["FeishuAppId"]},
			"event": object{
				"sender": object{"sender_id": object{"open_id": "ou_1"}, "sender_type": "user"},
				"message": object{"message_id": "om_" + post.id, "chat_id": "oc_1", "chat_type": "p2p",
					"message_type": "post", "content": content},
			},
		}))
	}
	const content = `{"content":[[{"tag":"text","text":"restart"}],[{"tag":"code_block","text":"i-1"}]]}`
	for _, event := range []string{"first-" + post.id, "second-" + post.id} {
		feishu.call(t, say(event, content))
	}
	check(feishu, "text and code", "Allowed", "restart", "i-1")
	if all := feishu.records(t); len(all) != 1 || all[0].MessageId != "om_"+post.id {
		t.Errorf("one message in two events: recorded was %+v", all)
	}
}

// An old message to a robot of WeCom is not made fresh by exchanging its time and its nonce, though
// the signature is the same.
func TestTimeAndNonceOfWeComAreNotExchanged(t *testing.T) {
	t.Parallel()
	b := newBot(t, serveCrowd(t), "WeChat", "wecom", permissions(allow("li", "*")))
	now := said("li", "wr1", "restart")
	old := strconv.FormatInt(now.at.Add(-9*time.Hour).Unix(), 10)
	message := jsonText(object{"msgid": now.id, "aibotid": "b", "chatid": "wr1", "chattype": "group",
		"from": object{"userid": "li"}, "msgtype": "text", "text": object{"content": "restart"}})
	encrypt, signature := wecomGo{}.seal(t, b.settings["WeChatToken"], b.settings["WeChatEncodingAesKey"],
		"", message, old, now.seconds())
	for _, order := range [][2]string{{old, now.seconds()}, {now.seconds(), old}} {
		a := b.call(t, callback{query: url.Values{"msg_signature": {signature}, "timestamp": {order[0]},
			"nonce": {order[1]}}, body: jsonText(object{"encrypt": encrypt})})
		if a.status != http.StatusUnauthorized {
			t.Errorf("the time %s and the nonce %s: %d, want 401", order[0], order[1], a.status)
		}
	}
	if all := b.records(t); len(all) != 0 {
		t.Errorf("recorded was %+v", all)
	}
}

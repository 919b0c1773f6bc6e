package webhook_test

import (
	"net/http"
	"strings"
	"testing"

	"chatconf/shared/platform/platformsim"
	"chatconf/shared/platform/platformtest"
	"chatconf/shared/webhook/webhooktest"
)

// One message is run once, though its platform tells of it in two events; the record has both ids.
func TestOneMessageUnderTwoEvents(t *testing.T) {
	w := webhooktest.New(t)
	process := w.Process()
	bot := process.Create("ops", "Feishu", platformtest.Settings("Feishu"), webhooktest.Open, toHTTP)
	var handed dispatched
	h := process.Handler(handed.add)
	text := func(event string) string {
		return `{"schema":"2.0","header":{"event_id":"` + event + `","event_type":"im.message.receive_v1","create_time":"{millis}","token":"not-a-real-token","app_id":"cli_example"},
			"event":{"sender":{"sender_id":{"open_id":"ou_1"},"sender_type":"user"},"message":{"message_id":"om_1","chat_id":"oc_1","chat_type":"p2p","message_type":"text","content":"{\"text\":\"restart i-1\"}"}}}`
	}
	for _, event := range []string{"e1", "e2", "e1"} {
		if out := bot.Post(h, tell(bot, "event", text(event))); out.Code != http.StatusOK {
			t.Errorf("%s: %d", event, out.Code)
		}
	}
	list := process.Commands("ops")
	if len(list) != 1 || list[0].MessageId != "om_1" || list[0].EventId != "e1" || len(handed.refs) != 1 {
		t.Errorf("recorded %+v, dispatched %d times", list, len(handed.refs))
	}
	if health := process.Health("ops").Health; health.Counters["Duplicates"] != 2 {
		t.Errorf("health = %+v", health)
	}
}

// A control character is answered like on every platform, though WeCom makes XML of it that is
// none.
func TestWeComsControlCharactersAreAnswered(t *testing.T) {
	w := webhooktest.New(t)
	process := w.Process()
	bot := process.Create("ops", "WeChat", platformtest.Settings("WeChat"), webhooktest.Open)
	c := bot.Say("app", platformsim.Message{Text: "placeholder"})
	sealed := tell(bot, "app",
		"<xml><ToUserName>wwexample</ToUserName><FromUserName>u1</FromUserName><CreateTime>{seconds}</CreateTime>"+
			"<MsgType>text</MsgType><Content><![CDATA[restart\x02 "+
			"i-1]]></Content><MsgId>1</MsgId><AgentID>1000002</AgentID></xml>")
	c.Query, c.Body = sealed.Query, sealed.Body
	if text := w.Read(c, bot.Post(process.Handler(nobody), c)); !strings.Contains(text, "invisible") {
		t.Errorf("the answer is %q", text)
	}
}

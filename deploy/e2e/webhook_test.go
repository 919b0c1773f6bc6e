package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestAMessageIsDecidedRecordedAndAnswered is what the data plane is for, with every peer as the
// platform: the URL is checked, who has a grant may, who has none is told what grant it would take,
// and with just that may too; SimulateChatPermission says the same beforehand, and ListChatCommands
// afterwards.
func TestAMessageIsDecidedRecordedAndAnswered(t *testing.T) {
	t.Parallel()
	s := serveCrowd(t)
	for i, p := range everyPeer() {
		t.Run(p.name, func(t *testing.T) {
			p.needs(t)
			liveAChat(t, s, p, fmt.Sprintf("ops-%d", i))
		})
	}
}

func liveAChat(t *testing.T, s *service, p peer, name string) {
	const stranger = "stranger7"
	user, place := users[p.typ], p.place(users[p.typ].grants)
	grant := allow(user.grants, "restart")
	grant["RamRole"] = "OpsRole"
	b := newBot(t, s, p.typ, name, permissions(grant))
	if p.check != nil {
		c, want := p.check(t, b, time.Now())
		if got := b.shows(t, c); got != want {
			t.Errorf("the check of the URL is answered %q, want %q", got, want)
		}
	}

	foreseen := b.simulate(t, user.grants, place, `restart "i-123 4" --now`).Permission
	if !foreseen.Allowed || foreseen.RamRole != "OpsRole" || foreseen.Command != "restart" ||
		!slices.Equal(foreseen.Commands, []string{"restart"}) {
		t.Errorf("simulated: %+v, want it allowed as OpsRole", foreseen)
	}
	c := p.say(t, b, said(user.writes, place, `Restart "i-123 4" <b> & --now`))
	answers := c.read != nil
	if got, want := b.shows(t, c), "restart was accepted."; answers && got != want {
		t.Errorf("answer = %q, want %q", got, want)
	}

	if p.direct {
		place = stranger
	}
	refused := b.simulate(t, stranger, place, "restart i-123").Permission
	if refused.Allowed || refused.Statement != nil || len(refused.Commands) != 0 ||
		!strings.Contains(refused.Reason, stranger) {
		t.Errorf("simulated: %+v, want it denied, with the user in the reason", refused)
	}
	told := b.shows(t, p.say(t, b, said(stranger, place, "restart i-123")))
	needed := fmt.Sprintf(`{"Effect":"Allow","Principals":["user:%s"],"Commands":["restart"],"Conversations":["%s"]}`,
		stranger, place)
	for _, want := range []string{"You may not run restart here.", "user:" + stranger, place, needed} {
		if answers && !strings.Contains(told, want) {
			t.Errorf("who may not is told %q, want %q in it", told, want)
		}
	}

	latest := b.records(t)
	if len(latest) != 2 {
		t.Fatalf("there are %d records, want 2: %+v", len(latest), latest)
	}
	if latest[0].Decision == "Allowed" { // records of one millisecond have no order
		slices.Reverse(latest)
	}
	wantRecord(t, latest[0], record{
		Name: name, Platform: p.typ, ConversationId: place, UserId: stranger,
		Command: "restart", Arguments: []string{"i-123"},
		Decision: "Denied", Reason: refused.Reason, Revision: 1,
	})
	wantRecord(t, latest[1], record{
		Name: name, Platform: p.typ, ConversationId: p.place(user.grants), UserId: user.grants, Command: "restart",
		Arguments: []string{"i-123 4", "<b>", "&", "--now"},
		Decision:  "Allowed", Reason: foreseen.Reason, StatementText: foreseen.StatementText,
		RamRole: "OpsRole", Target: "Journal", Revision: 1,
	})
	if latest[1].Statement == nil || *latest[1].Statement != 0 {
		t.Errorf("the statement that decided is %v, want 0", latest[1].Statement)
	}

	// What the stranger was told to ask for is what it takes, no more and no less.
	var statement object
	if err := json.Unmarshal([]byte(needed), &statement); err != nil {
		t.Fatal(err)
	}
	b.update(t, permissions(grant, statement))
	if got := b.shows(t, p.say(t, b, said(stranger, place, "restart i-123"))); answers &&
		got != "restart was accepted." {
		t.Errorf("with the grant, the answer is %q", got)
	}
	if got := b.shows(t, p.say(t, b, said(stranger, place, "stop i-123"))); answers &&
		!strings.Contains(got, "You may not run stop here.") {
		t.Errorf("for another command, the answer is %q", got)
	}
	if got := b.shows(t, p.say(t, b, said(stranger, place, "help"))); answers &&
		!strings.Contains(got, "You may run here: restart.") {
		t.Errorf("help answers %q", got)
	}
	if got := b.shows(t, p.say(t, b, said(stranger, place, "whoami"))); answers &&
		(!strings.Contains(got, "user:"+stranger) || !strings.Contains(got, place)) {
		t.Errorf("whoami answers %q, want the ids in it", got)
	}
	h := b.awaitHealth(t, "the check of the URL is in the health",
		func(h health) bool { return p.check == nil || h.LastHandshakeDate != "" })
	if h.State != "Working" || h.LastError != nil || h.Counters["Allowed"] != 4 ||
		h.Counters["Denied"] != 2 || h.LastCommandDate == "" {
		t.Errorf("health = %+v", h)
	}
	denied := b.records(t, "Decision", "Denied", "User", stranger, "Command", "st*")
	if len(denied) != 1 || denied[0].Command != "stop" || denied[0].Revision != 2 {
		t.Errorf("filtered, the records are %+v, want the last that was denied", denied)
	}
}

// wantRecord compares what the test decides of a record.
func wantRecord(t *testing.T, got, want record) {
	t.Helper()
	if !date.MatchString(got.Date) || got.Id == "" || got.MessageId == "" || got.Latency < 0 || got.Latency > 10_000 {
		t.Errorf("record = %+v, want a date, ids and a latency", got)
	}
	want.Id, want.Date, want.MessageId, want.Latency, want.UserName, want.Direct = got.Id, got.Date, got.MessageId,
		got.Latency, got.UserName, got.Direct
	want.Statement, want.Outcome, want.Answered, want.Detail, want.Attempts, want.SettledDate = got.Statement,
		got.Outcome, got.Answered, got.Detail, got.Attempts, got.SettledDate
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("record differs (-want +got):\n%s", diff)
	}
}

// What an inactive bot, a conversation that is not in ConversationIds, and a denial say, in both
// languages.
func TestWhoIsRefusedIsToldWhy(t *testing.T) {
	t.Parallel()
	s := serveCrowd(t)
	for _, c := range []struct {
		language, stranger, elsewhere, denied, off string
	}{
		{"en", "You may not run restart here.", "is not in ConversationIds",
			"Permissions[1] denies stop.", "is inactive"},
		{"zh", "您无权在此执行 restart。", "不在 ConversationIds 中", "Permissions[1] 拒绝执行 stop。", "已停用"},
	} {
		t.Run(c.language, func(t *testing.T) {
			p := ofType("DingTalk")
			everybody := object{"Effect": "Allow", "Principals": []string{"group:sre"}, "Commands": []string{"*"}}
			deny := object{"Effect": "Deny", "Principals": []string{"*"}, "Commands": []string{"stop"}}
			b := newBot(t, s, p.typ, "ops-"+c.language, object{
				"Language": c.language, "ConversationIds": []string{"cidhere=="},
				"UserGroups": object{"sre": []string{"li"}}, "Permissions": []object{everybody, deny},
			})
			says := func(user, place, text, want string) {
				t.Helper()
				if got := b.shows(t, p.say(t, b, said(user, place, text))); !strings.Contains(got, want) {
					t.Errorf("%s in %s: answer = %q, want %q in it", user, place, got, want)
				}
			}
			says("wang", "cidhere==", "restart i-1", c.stranger)
			says("li", "cidthere==", "restart i-1", c.elsewhere)
			says("li", "cidhere==", "stop i-1", c.denied)
			s.send(t, newACS3(s.key, "UpdateChatConfiguration", "Name", b.name, "Status", "Inactive")).ok(t, nil)
			says("li", "cidhere==", "restart i-1", c.off)
			if all := b.records(t, "Decision", "Allowed"); len(all) != 0 {
				t.Errorf("allowed was %+v, want nothing", all)
			}
			if all := b.records(t); len(all) != 4 {
				t.Errorf("there are %d records, want all 4", len(all))
			}
		})
	}
}

// What input methods and chat clients do to a text changes no command, and what nobody can see is
// none.
func TestATextIsReadAsItWasMeant(t *testing.T) {
	t.Parallel()
	s := serveCrowd(t)
	for i, p := range everyPeer() {
		t.Run(p.name, func(t *testing.T) {
			p.needs(t)
			user := users[p.typ]
			b := newBot(t, s, p.typ, fmt.Sprintf("ops-%d", i), permissions(allow(user.grants, "*")))
			say := func(text string) (got string, answers bool) {
				t.Helper()
				c := p.say(t, b, said(user.writes, p.place(user.grants), text))
				return b.shows(t, c), c.read != nil
			}
			for _, c := range []struct {
				text string
				want []string
			}{
				{"  RESTART \u3000 i-1\u00a0\u2003x ", []string{"i-1", "x"}},
				{"restart\ni-1\n", []string{"i-1"}},
				{`restart “smart ones” 'x "y"' a\ b`, []string{"smart ones", `x "y"`, "a b"}},
				{"restart a&b <c> 1>2 &amp; &lt;", []string{"a&b", "<c>", "1>2", "&amp;", "&lt;"}},
				{"restart 重启 🤖 é", []string{"重启", "🤖", "é"}},
				{"restart --password hunter22 token=x", []string{"--password", "******", "token=******"}},
			} {
				say(c.text)
				latest := b.latest(t)
				if latest.Command != "restart" || !slices.Equal(latest.Arguments, c.want) {
					t.Errorf("%q is read as %s %q, want restart %q", c.text, latest.Command, latest.Arguments, c.want)
				}
			}
			for _, text := range []string{"restart \u202ei-1", "restart \"i-1", "restart i-1\\"} {
				got, answers := say(text)
				if latest := b.latest(t); latest.Decision != "Denied" || latest.Command != "" || answers && got == "" {
					t.Errorf("%q: answer = %q, record = %+v, want it to be no command", text, got, latest)
				}
			}
		})
	}
}

// An answer has people's own ids and words in it. None of them becomes a mention, a link or a tag.
func TestAnAnswerMentionsNobody(t *testing.T) {
	t.Parallel()
	s := serveCrowd(t)
	for _, p := range goPeers {
		b := newBot(t, s, p.typ, "ops-"+p.typ, nil)
		for _, evil := range []string{"<!channel>", "<at>everyone</at>", "@all", "<a/href=https://evil.example>x</a>",
			"]]></Content><Content>x", `"},"at":{"isAtAll":true},"x":{"y":"`} {
			c := p.say(t, b, said(evil, evil, "whoami"))
			a := b.call(t, c)
			if a.status != http.StatusOK || c.read == nil {
				continue // an id that no platform makes may be refused
			}
			text := c.read(t, a) // which asks for the form too
			if !strings.Contains(strings.ToLower(visible(text)), evil[:4]) {
				t.Errorf("%s: answer = %q, want %q in it", p.typ, text, evil)
			}
			for _, raw := range []string{"<!", "<at", "<a/"} {
				if p.typ != "DingTalk" && p.typ != "Slack" && strings.Contains(text, raw) || p.typ == "Slack" &&
					strings.Contains(string(a.body), raw) {
					t.Errorf("%s: answer = %s, want no %q in it", p.typ, a.body, raw)
				}
			}
			if p.typ == "WeChat" && strings.Contains(text, "@all") {
				t.Errorf("%s: answer = %q mentions all", p.typ, text)
			}
		}
	}
}

// After a rotation the old URL, and with WeCom what signs and encrypts, is good through the grace
// time and no longer; another rotation ends it at once.
func TestARotatedWebhookStaysGoodThroughItsGrace(t *testing.T) {
	t.Parallel()
	s := serveCrowd(t)
	rotate := func(t *testing.T, b *bot, grace string) *bot {
		t.Helper()
		var out struct {
			ChatConfiguration struct{ Outputs, GraceUntil string }
		}
		s.send(t, newACS3(s.key, "RotateChatWebhook", "Name", b.name, "GraceSeconds", grace)).ok(t, &out)
		if !date.MatchString(out.ChatConfiguration.GraceUntil) {
			t.Errorf("GraceUntil = %q", out.ChatConfiguration.GraceUntil)
		}
		next := *b
		next.take(t, out.ChatConfiguration.Outputs)
		if next.url == b.url || b.typ == "WeChat" && (next.settings["WeChatToken"] == b.settings["WeChatToken"] ||
			next.settings["WeChatEncodingAesKey"] == b.settings["WeChatEncodingAesKey"]) {
			t.Error("a rotation changed nothing")
		}
		return &next
	}
	for _, p := range goPeers {
		t.Run(p.typ, func(t *testing.T) {
			user := users[p.typ]
			first := newBot(t, s, p.typ, "ops-"+p.typ, permissions(allow(user.grants, "*")))
			works := func(b *bot) {
				t.Helper()
				c := p.say(t, b, said(user.writes, p.place(user.grants), "restart i-1"))
				if got := b.shows(t, c); c.read != nil && got != "restart was accepted." {
					t.Errorf("answer = %q", got)
				}
			}
			gone := func(b *bot) {
				t.Helper()
				b.refused(t, p.say(t, b, said(user.writes, p.place(user.grants), "restart i-1")))
			}
			works(first)
			second := rotate(t, first, "600")
			works(second)
			works(first)
			if p.typ == "WeChat" { // the old secrets at the new URL, as a console that was changed by half
				half := *second
				half.settings = first.settings
				works(&half)
			}
			third := rotate(t, second, "600")
			works(third)
			works(second)
			gone(first)
			last := rotate(t, third, "0")
			works(last)
			gone(third)
			gone(second)
			if n := len(last.records(t)); n != 6+map[bool]int{true: 1}[p.typ == "WeChat"] {
				t.Errorf("there are %d records", n)
			}
			// A grace time that runs out does so by itself.
			short := rotate(t, last, "1")
			await(t, "the URL of before has ended", func() bool {
				return last.call(t, p.say(t, last, said(user.writes, p.place(user.grants),
					"whoami"))).status == http.StatusUnauthorized
			})
			works(short)
		})
	}
}

// Secrets that the platform makes are rotated in the Configuration: both are taken while the one
// before stands there.
func TestASecretMayBeTwoWhileItIsRotated(t *testing.T) {
	t.Parallel()
	s := serveCrowd(t)
	for typ, secret := range map[string]string{
		"DingTalk": "DingTalkClientSecret", "Feishu": "FeishuEncryptKey", "Slack": "SlackSigningSecret",
		"Teams": "TeamsWebhookSecret",
	} {
		t.Run(typ, func(t *testing.T) {
			p, user := ofType(typ), users[typ]
			before := newBot(t, s, typ, "ops-"+typ, permissions(allow(user.grants, "*")))
			after := *before
			after.settings = map[string]string{}
			for key, value := range before.settings {
				after.settings[key] = value
			}
			after.settings[secret] = "YW5vdGhlci1ub3QtcmVhbC1zZWNyZXQ="
			say := func(b *bot) callback { return p.say(t, b, said(user.writes, p.place(user.grants), "restart")) }
			after.refused(t, say(&after))
			after.update(t, object{secret + "Previous": before.settings[secret]})
			after.shows(t, say(&after))
			after.shows(t, say(before))
			after.update(t, nil)
			after.shows(t, say(&after))
			after.refused(t, say(before))
		})
	}
}

// What 'chatconf send' says for somebody is genuine to whatever serves the webhook: it is answered,
// decided and recorded, and once only.
func TestWhatIsSentIsGenuine(t *testing.T) {
	t.Parallel()
	s := serveCrowd(t)
	for _, p := range goPeers {
		user := users[p.typ]
		b := newBot(t, s, p.typ, "ops-"+p.typ, permissions(allow(user.grants, "restart")))
		send := func(args ...string) string {
			t.Helper()
			return command{args: append([]string{"send", b.name, "--data", s.data}, args...)}.run(t).ok(t)
		}
		token := b.url[strings.LastIndex(b.url, "/")+1:]
		for i := range 2 {
			out := send("-v", "--user", user.writes, "--message-id", "1234567", "restart i-1")
			if !strings.Contains(out, "200 OK") || strings.Contains(out, token) {
				t.Errorf("%s: send printed %s, want it taken, and no token", p.typ, out)
			}
			shown := p.typ + " shows" + [...]string{":\n\n  restart was accepted.\n",
				" nothing: the message is a duplicate"}[i]
			if !strings.HasPrefix(out, shown) {
				t.Errorf("%s: send printed %s, want %q", p.typ, out, shown)
			}
		}
		send("--user", "stranger7", "restart i-1")
		all := b.records(t)
		if len(all) != 2 || all[0].Decision != "Denied" || all[0].UserId != "stranger7" ||
			all[1].Decision != "Allowed" || all[1].UserId != user.grants {
			t.Errorf("%s: recorded was %+v, want one that was allowed, and a stranger's", p.typ, all)
		}
		for _, r := range all {
			if !r.Answered || r.Outcome == "Pending" {
				t.Errorf("%s: the record is left open: %+v", p.typ, r)
			}
		}
	}
}

// What is genuine and holds no message is acknowledged and leaves no record.
func TestWhatIsNoMessageIsAcknowledged(t *testing.T) {
	t.Parallel()
	s := serveCrowd(t)
	quiet := func(b *bot, c callback) {
		t.Helper()
		a := b.call(t, c)
		if text := strings.TrimSpace(string(a.body)); a.status != http.StatusOK || text != "" &&
			text != "{}" && text != `{"msgtype":"empty"}` {
			t.Errorf("%s: answer = %d %q, want an acknowledgement", b.typ, a.status, a.body)
		}
		if all := b.records(t); len(all) != 0 {
			t.Errorf("%s: recorded was %+v, want nothing", b.typ, all)
		}
	}
	now := said("x", "y", "z")

	ding := newBot(t, s, "DingTalk", "ding", nil)
	for _, change := range [][2]string{
		{`"senderId":"$:LWCP_v1:$example"`, `"senderId":"$:LWCP_v1:$bot"`}, // the bot's own
		// the organisation's quota
		{`"text":{"content":" restart "}`, `"errorCode":20001,"errorMessage":"quota exceeded"`},
	} {
		c := dingTalkRobot(goHMAC)(t, ding, said("li", "cid==", "restart"))
		c.body = changed(t, c.body, change[0], change[1])
		quiet(ding, c)
	}

	slack := newBot(t, s, "Slack", "slack", nil)
	for _, event := range []object{
		{"type": "app_mention", "bot_id": "B1", "user": "U1", "text": "<@U0BOT> restart", "channel": "C1"},
		{"type": "message", "subtype": "message_changed", "channel": "D1", "channel_type": "im"},
		{"type": "message", "user": "U1", "text": "not to the bot", "channel": "C1", "channel_type": "channel"},
	} {
		body := jsonText(object{"type": "event_callback", "team_id": "T0EXAMPLE", "api_app_id": "A1",
			"event_id": now.id, "event": event})
		quiet(slack, slackSigned(t, goHMAC, slack, now, body, "application/json"))
	}
	quiet(slack, slackSigned(t, goHMAC, slack, now, "ssl_check=1&token=x", "application/x-www-form-urlencoded"))

	feishu := newBot(t, s, "Feishu", "feishu", nil)
	for _, kind := range []string{"im.message.message_read_v1", "contact.user.updated_v3"} {
		header := object{"event_id": now.id, "event_type": kind, "create_time": now.millis(),
			"token": feishu.settings["FeishuVerificationToken"], "app_id": "cli_example"}
		quiet(feishu, feishuSigned(t, feishu, now,
			jsonText(object{"schema": "2.0", "header": header, "event": object{}})))
	}
	quiet(feishu, robotSaid(t, feishu, now))

	wecom := newBot(t, s, "WeChat", "wecom", nil)
	token, key := wecom.settings["WeChatToken"], wecom.settings["WeChatEncodingAesKey"]
	event := "<xml><ToUserName>wwexample</ToUserName><FromUserName>li</FromUserName><CreateTime>" + now.seconds() +
		"</CreateTime><MsgType>event</MsgType><AgentID>1000002</AgentID><Event>enter_agent</Event></xml>"
	encrypt, signature := wecomGo{}.seal(t, token, key, "wwexample", event, now.seconds(), "1")
	quiet(wecom, callback{
		query: url.Values{"msg_signature": {signature}, "timestamp": {now.seconds()}, "nonce": {"1"}},
		body:  "<xml><ToUserName>wwexample</ToUserName><Encrypt>" + encrypt + "</Encrypt></xml>",
	})

	teams := newBot(t, s, "Teams", "teams", nil)
	c := teamsMessage(goHMAC)(t, teams, said("x", "19:y", "z"))
	c.body = changed(t, c.body, `"id":"29:1example"`, `"id":"28:1example"`) // a bot's
	c.header["Authorization"] = teamsAuthorization(t, goHMAC, teams, c.body)
	if got := teams.shows(t, c); got != "" || len(teams.records(t)) != 0 {
		t.Errorf("a bot is answered %q", got)
	}
}

// robotSaid is a message of another app's.
func robotSaid(t *testing.T, b *bot, s saying) callback {
	t.Helper()
	return feishuSigned(t, b, s, jsonText(object{
		"schema": "2.0",
		"header": object{"event_id": s.id, "event_type": "im.message.receive_v1", "create_time": s.millis(),
			"token": b.settings["FeishuVerificationToken"], "app_id": b.settings["FeishuAppId"]},
		"event": object{
			"sender": object{"sender_id": object{"open_id": s.user}, "sender_type": "app"},
			"message": object{"message_id": "om_1", "chat_id": "oc_1", "chat_type": "p2p", "message_type": "text",
				"content": `{"text":"restart"}`},
		},
	}))
}

// What clients make of a command is the command, a message that is edited runs once, and the
// unsigned probe of Slack's certificate is answered.
func TestWhatPeopleReallyType(t *testing.T) {
	t.Parallel()
	s := serveCrowd(t)
	b := newBot(t, s, "Slack", "typed", permissions(allow("U1", "restart")))
	start, n := said("", "", "").seconds(), 0
	tell := func(text, ts, edited string) record {
		t.Helper()
		now := said("U1", "C1", text)
		event := object{"type": "app_mention", "user": "U1", "channel": "C1", "ts": ts, "text": text}
		if edited != "" {
			event["edited"] = object{"user": "U1", "ts": edited}
		}
		body := jsonText(object{"type": "event_callback", "team_id": "T0EXAMPLE", "api_app_id": "A1",
			"event_id": now.id, "event": event,
			"authorizations": []object{{"user_id": "U0BOT", "is_bot": true}}})
		if a := b.call(t, slackSigned(t, goHMAC, b, now, body, "application/json")); a.status != http.StatusOK {
			t.Fatalf("%s: answer = %d %s", text, a.status, a.body)
		}
		return b.latest(t)
	}
	for text, want := range map[string][]string{
		"<@U0BOT>: restart i-1":         {"i-1"},
		"<@U2> <@U0BOT> restart i-1":    {"i-1"},
		"restart i-1 <@U0BOT>":          {"i-1"},
		"<@U0BOT> `restart i-1`":        {"i-1"},
		"<@U0BOT> restart `i-1` —force": {"i-1", "--force"},
		"<@U0BOT> *restart* i-1 –f":     {"i-1", "-f"},
		"<@U0BOT> /restart i-1":         {"i-1"},
		"<@U0BOT> ```restart i-1```":    {"i-1"},
	} {
		n++
		if latest := tell(text, fmt.Sprintf("%s.%06d", start, n), ""); latest.Command != "restart" ||
			latest.Decision != "Allowed" || !slices.Equal(latest.Arguments, want) {
			t.Errorf("%q is read as %s %q, want restart %q", text, latest.Command, latest.Arguments, want)
		}
	}
	edited := start + ".000999"
	tell("<@U0BOT> restrat i-1", edited, "")
	for i, text := range []string{"<@U0BOT> restart i-1", "<@U0BOT> restart i-1", "<@U0BOT> restart i-2"} {
		if latest := tell(text, edited, fmt.Sprintf("%d.000000", 10+i)); latest.Decision != "Allowed" ||
			latest.Arguments[0] != "i-1" {
			t.Errorf("edited for the %d. time, the last record is %+v", i+1, latest)
		}
	}
	if all := b.records(t, "Decision", "Allowed"); len(all) != n+1 {
		t.Errorf("%d commands were allowed, want %d", len(all), n+1)
	}
	probe := callback{header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"},
		body: "ssl_check=1&token=example"}
	before := len(b.records(t))
	if a := b.call(t, probe); a.status != http.StatusOK || len(a.body) > 0 {
		t.Errorf("the probe: answer = %d %q", a.status, a.body)
	}
	if after := len(b.records(t)); after != before {
		t.Errorf("the probe left %d records", after-before)
	}
}

package chat_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/command"
	"chatconf/shared/fault"
	"chatconf/shared/journal"
	"chatconf/shared/secret"
	"chatconf/shared/table"
)

func TestOpenWebhook(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one", func(in *chat.CreateRequest) {
		in.Type, in.RamRole = "WeChat", "Ops"
		in.Configuration = secret.Text(chattest.With(minWeChat,
			`"BotName":"b","Language":"zh","WeChatTokenPrevious":"planted2"`))
	})
	stored := h.stored("one")
	h.Spy.Reset()
	e := h.Open("one")
	if got := h.Spy.Took(); got != "Get Get" { // of Outputs, and of the webhook
		t.Errorf("calls = %s", got)
	}
	chattest.Equal(t, "Settings", e.Settings, map[string]secret.Text{
		"WeChatCorpId": e.Settings["WeChatCorpId"], "WeChatAgentId": e.Settings["WeChatAgentId"],
		"WeChatSecret":         secret.Text(stored.Secrets["WeChatSecret"]),
		"WeChatToken":          secret.Text(stored.Secrets["WeChatToken"]),
		"WeChatEncodingAesKey": secret.Text(stored.Secrets["WeChatEncodingAesKey"]),
		"WeChatTokenPrevious":  "planted2", "BotName": "b",
	})
	if e.Settings["WeChatCorpId"] == "" || e.Settings["WeChatSecret"] == "" ||
		len(e.Settings["WeChatEncodingAesKey"]) != 43 {
		t.Errorf("Settings lack something: %d", len(e.Settings))
	}
	e.Settings, e.Permissions = nil, nil
	chattest.Equal(t, "the endpoint", e, &command.Endpoint{Account: chattest.Account, Region: chattest.Region,
		Name: "one", Type: "WeChat", Revision: 1, Life: "1795420800000-1", Created: h.Clock.Now(), Active: true,
		Receive: "Webhook", Language: "zh", BotName: "b", RamRole: "Ops", Target: command.Target{Type: "Journal"}})
}

// TestOpenWebhookTellsNothing holds that a URL that opens no configuration has one error, whatever
// is wrong with it, and that only a name that may be one costs a read.
func TestOpenWebhookTellsNothing(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one")
	one := h.Open("one").Ref()
	token := h.stored("one").Secrets[chat.FieldWebhookToken]
	if bits := len(token) * 6; bits < 128 {
		t.Errorf("the token has %d bits", bits)
	}
	const unknown, wrong = "there is no such configuration", "the token is wrong"
	for about, c := range map[string]struct{ account, region, name, token, reason, calls string }{
		"another token": {chattest.Account, chattest.Region, "one",
			strings.Repeat("A", 22), wrong, "Get"},
		"a bit of the token":        {chattest.Account, chattest.Region, "one", token[:21] + "!", wrong, "Get"},
		"a token that is too short": {chattest.Account, chattest.Region, "one", token[:21], wrong, "Get"},
		"a token that is too long":  {chattest.Account, chattest.Region, "one", token + "A", wrong, "Get"},
		"no token":                  {chattest.Account, chattest.Region, "one", "", wrong, "Get"},
		"no such configuration":     {chattest.Account, chattest.Region, "two", token, unknown, "Get"},
		"another account":           {"9", chattest.Region, "one", token, unknown, "Get"},
		"another region":            {chattest.Account, "us-east-1", "one", token, unknown, "Get"},
		"an invalid account":        {"x", chattest.Region, "one", token, unknown, ""},
		"no account":                {"", chattest.Region, "one", token, unknown, ""},
		"an invalid region":         {chattest.Account, "x", "one", token, unknown, ""},
		"an invalid name":           {chattest.Account, chattest.Region, "a b", token, unknown, ""},
		"a name that is too long": {chattest.Account, chattest.Region,
			strings.Repeat("x", 2000), token, unknown, ""},
		"a name that is reserved":      {chattest.Account, chattest.Region, "acs-one", token, unknown, ""},
		"no name":                      {chattest.Account, chattest.Region, "", token, unknown, ""},
		"the partition of access keys": {"keys", "keys", "one", token, unknown, ""},
	} {
		h.Spy.Reset()
		e, err := h.OpenWebhook(h.T.Context(), c.account, c.region, c.name, c.token)
		var why *chat.Unproven
		if e != nil || !errors.Is(err, chat.ErrNoWebhook) || !errors.As(err, &why) {
			t.Errorf("%s: %v, %v", about, e, err)
			continue
		}
		want := chat.Unproven{Reason: c.reason}
		if c.reason == wrong {
			want.Of = one
		}
		chattest.Equal(t, about, *why, want)
		if c.token != "" && strings.Contains(fmt.Sprint(err), c.token) {
			t.Errorf("%s: the error shows the token: %v", about, err)
		}
		if got := h.Spy.Took(); got != c.calls {
			t.Errorf("%s: calls = %q, want %q", about, got, c.calls)
		}
	}
}

func TestOpenWebhookWhenTheStoreFails(t *testing.T) {
	for about, f := range chattest.Faults {
		h := newHouse(t)
		h.MustCreate("one")
		url := h.URL("one")
		ctx, calls := h.Spy.FailAt(h.Ctx, 1, f)
		parts := strings.Split(url, "/")
		_, err := h.OpenWebhook(ctx, chattest.Account, chattest.Region, "one", parts[7])
		calls()
		chattest.WantError(t, "OpenWebhook when "+about, err, f.Code, "")
		ctx, calls = h.Spy.FailAt(h.Ctx, 1, f)
		_, err = h.OpenConfiguration(ctx, command.Ref{Account: chattest.Account, Region: chattest.Region, Name: "one"})
		calls()
		chattest.WantError(t, "OpenConfiguration when "+about, err, f.Code, "")
	}
}

// TestEndpointOfARecordThatIsTampered holds that a damaged record opens nothing.
func TestEndpointOfARecordThatIsTampered(t *testing.T) {
	hidden := func(field string, edit func(map[string]any)) func(map[string]any) {
		return func(m map[string]any) { edit(m["secrets"].(map[string]any)) }
	}
	flip := func(field string) func(map[string]any) {
		return hidden(field, func(s map[string]any) { s[field] = chattest.FlipBit(s[field].(string)) })
	}
	for about, edit := range map[string]func(map[string]any){
		"another version":              func(m map[string]any) { m["v"] = 2 },
		"a type that is not known":     func(m map[string]any) { m["type"] = "Matrix" },
		"an invalid configuration":     func(m map[string]any) { m["configuration"] = "planted" },
		"a bit of the token":           flip(chat.FieldWebhookToken),
		"no token":                     hidden("", func(s map[string]any) { delete(s, chat.FieldWebhookToken) }),
		"a bit of a secret":            flip("WeChatSecret"),
		"a bit of the target's secret": flip(chat.FieldTargetSecret),
		"a bit of the token before":    flip("#WebhookTokenPrevious"),
		"a bit of a secret before":     flip("#WeChatTokenPrevious"),
	} {
		h := newHouse(t)
		h.MustCreate("one", func(in *chat.CreateRequest) {
			in.Type, in.Configuration = "WeChat",
				secret.Text(chattest.With(minWeChat, `"Target":{"Type":"Http","Url":"https://h","Secret":"`+
					chattest.TargetSecret+`"}`))
		})
		if _, err := h.Rotate(h.Ctx, &chat.RotateRequest{Name: "one"}); err != nil {
			t.Fatal(err)
		}
		url := h.URL("one")
		item := h.Item("c#one")
		h.Tamper(table.Change{Puts: []table.Put{{Sort: "c#one", Value: chattest.Reencode(item.Value, edit),
			Revision: item.Revision}}})
		e, err := h.OpenURL(url)
		if e != nil {
			t.Errorf("%s: it opens", about)
		}
		chattest.WantError(t, "OpenWebhook of a record with "+about, err, fault.Internal, "")
		chattest.WantNoDetail(t, err)
		_, err = h.OpenConfiguration(h.Ctx, command.Ref{Account: chattest.Account,
			Region: chattest.Region, Name: "one"})
		chattest.WantError(t, "OpenConfiguration of a record with "+about, err, fault.Internal, "")
	}
}

// TestEndpointIsKeptWhileTheRecordStays holds that a record is parsed once, and never believed
// longer than it is so.
func TestEndpointIsKeptWhileTheRecordStays(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one", func(in *chat.CreateRequest) { in.Type, in.Configuration = "WeChat", minWeChat })
	first := h.Open("one")
	if again := h.Open("one"); again != first {
		t.Error("the same record is another endpoint")
	}
	if other, err := h.OpenConfiguration(h.Ctx, first.Ref()); err != nil || other != first {
		t.Errorf("OpenConfiguration = another endpoint, %v", err)
	}
	h.MustUpdate(&chat.UpdateRequest{Name: "one", Status: "Inactive"})
	second := h.Open("one")
	if second == first || second.Active || second.Revision != 2 {
		t.Errorf("after an update: %v", second)
	}
	if _, err := h.Rotate(h.Ctx, &chat.RotateRequest{Name: "one", GraceSeconds: chattest.Ptr[int64](60)}); err != nil {
		t.Fatal(err)
	}
	h.Clock.Advance(59 * time.Second)
	third := h.Open("one")
	if third != h.Open("one") || third.Settings["WeChatTokenPrevious"] != first.Settings["WeChatToken"] {
		t.Error("within the grace the old token is missing")
	}
	h.Clock.Advance(time.Second)
	if fourth := h.Open("one"); fourth == third || fourth.Settings["WeChatTokenPrevious"] != "" ||
		fourth != h.Open("one") {
		t.Error("after the grace the old token is still there")
	}
	h.MustDelete("one")
	_, err := h.OpenConfiguration(h.Ctx, first.Ref())
	chattest.WantError(t, "OpenConfiguration of what was deleted", err, fault.NotFound, "Name")
}

func TestEndpointsThatAreKeptAreBounded(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one")
	h.MustCreate("two")
	chat.FillEndpoints(h.Service, chat.MaxEndpoints)
	h.Open("one")
	h.Open("two")
	if got := chat.Endpoints(h.Service); got != chat.MaxEndpoints {
		t.Errorf("%d endpoints are kept, want %d", got, chat.MaxEndpoints)
	}
}

func TestCommandOfAMessage(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one", func(in *chat.CreateRequest) {
		in.Configuration = secret.Text(chattest.With(chattest.Slack,
			`"UserGroups":{"sre":["u1"],"dev":["u1"],"ops":["u2"]}`))
	})
	e := h.Open("one")
	sent := h.Clock.Now()
	m := &command.Message{ID: "m1", Conversation: "c1", Direct: true, User: "u1", UserName: "n",
		Text: "Restart 'i 1'", Sent: sent}
	want := command.Command{
		Account: chattest.Account, Region: chattest.Region, Configuration: "one", Platform: "Slack", Conversation: "c1",
		Direct: true, User: "u1", UserName: "n",
		Groups: []string{"sre", "dev"}, MessageID: "m1", Sent: sent, Text: "Restart 'i 1'",
		Name: "restart", Arguments: []string{"i 1"},
	}
	got, err := e.Command(m)
	if err != nil {
		t.Fatal(err)
	}
	chattest.Equal(t, "the command", got, want)
	if d := e.Decide(got); d.Allowed || d.Cause != command.CauseDefault {
		t.Errorf("Decide = %+v", d)
	}
	m.Text, want.Text, want.Name, want.Arguments = "restart 'i", "restart 'i", "", nil
	got, err = e.Command(m)
	var wrong *command.Error
	if !errors.As(err, &wrong) {
		t.Errorf("error = %v", err)
	}
	if d := e.Decide(got); d.Allowed || d.Cause != command.CauseCommand ||
		d.Reason != "A quotation mark is not closed." {
		t.Errorf("Decide = %+v", d)
	}
	got.Problem = nil
	chattest.Equal(t, "what is known of no command", got, want)
}

// TestMessageThatIsNotReadWhole holds that what has something in it besides its text that changes
// its meaning is answered and not run.
func TestMessageThatIsNotReadWhole(t *testing.T) {
	h := newHouse(t)
	for unread, want := range map[string][2]string{
		command.UnreadPicture: {"I can read only text, and this message contains a picture.",
			"我只能识别文字，而此消息含有图片。"},
		command.UnreadElement("media"): {"this message contains an element of type media.",
			"此消息含有类型为 media 的内容。"},
		command.UnreadElement("a\nb{c}\xff"): {"this message contains an element of type ab{c}.",
			"此消息含有类型为 ab{c} 的内容。"},
		command.UnreadElement(""): {"an element without a type", "an element without a type"},
		"a poll":                  {"this message contains a poll.", "此消息含有a poll。"},
		command.UnreadMention:     {"which words after @ are my name", "BotName"},
		command.UnreadEdit:        {"Send the command as a new message.", "新消息"},
	} {
		for i, language := range []string{"en", "zh"} {
			name := fmt.Sprintf("%s-%x", language, unread)
			h.MustCreate(name, func(in *chat.CreateRequest) {
				in.Configuration = secret.Text(chattest.With(chattest.Slack, `"Language":"`+language+
					`","Permissions":[{"Effect":"Allow","Principals":["*"],"Commands":["*"]}]`))
			})
			e := h.Open(name)
			cmd, err := e.Command(&command.Message{ID: "m1", EventID: "e1", Conversation: "c1", User: "u1",
				Text: "restart i-1", Unread: unread})
			var wrong *command.Error
			if !errors.As(err, &wrong) || cmd.Name != "" || cmd.Arguments != nil {
				t.Errorf("%s: %+v, %v", unread, cmd, err)
				continue
			}
			d := e.Decide(cmd)
			if reply := e.Reply(cmd, d); d.Allowed || d.Cause != command.CauseCommand || reply != d.Reason ||
				!strings.Contains(reply, want[i]) {
				t.Errorf("%s: %+v: %q, want %q in it", unread, d, reply, want[i])
			}
			h.MustRecord(e, journal.Arrival{Command: cmd, Decision: d})
			if _, verdict, err := h.Journal.Record(h.Ctx, e, journal.Arrival{Command: cmd, Decision: d}); err != nil ||
				verdict != journal.Duplicate {
				t.Errorf("again: %v, %v", verdict, err)
			}
			if list := h.Commands(name); len(list) != 1 || list[0].Decision != journal.DecisionDenied ||
				list[0].Reason != d.Reason || list[0].MessageId != "m1" || list[0].EventId != "e1" {
				t.Errorf("%s: recorded as %+v", unread, list)
			}
		}
	}
}

func TestReply(t *testing.T) {
	members := `"ConversationIds":["c1"],"UserGroups":{"sre":["u1"],"dev":["u1"]},"Permissions":[
		{"Effect":"Allow","Principals":["group:sre"],"Commands":["restart","scale-*"]},
		{"Effect":"Deny","Principals":["*"],"Commands":["scale-in"]}]`
	h := newHouse(t)
	h.MustCreate("en", func(in *chat.CreateRequest) {
		in.Configuration = secret.Text(
			chattest.With(chattest.Slack, members))
	})
	h.MustCreate("zh", func(in *chat.CreateRequest) {
		in.Configuration = secret.Text(chattest.With(chattest.Slack, `"Language":"zh",`+members))
	})
	for _, c := range []struct{ name, user, conversation, text, want string }{
		{"en", "u1", "c1", "restart i-1", "restart was accepted."},
		{"en", "u1", "c1", "whoami", "Your user id is u1; in Principals, write user:u1. The conversation id " +
			"is c1.\nYour groups are sre, dev."},
		{"en", "u2", "c1", "whoami", "Your user id is u2; in Principals, write user:u2. The conversation id is c1."},
		{"en", "u1", "c1", "help", "You may run here: restart, scale-*.\nExcept: " +
			"scale-in.\nAlways allowed: help, whoami."},
		{"en", "u2", "c1", "help", "You may not run any command here.\nAlways allowed: help, whoami."},
		{"en", `u"2`, "c1", "restart i-1", "You may not run restart here.\nYour user id is u\"2; in Principals, " +
			"write user:u\"2. The conversation id is c1.\n" +
			`An administrator can allow it with this statement in Permissions of ` +
			`en: {"Effect":"Allow","Principals":["user:u\"2"],"Commands":["restart"],"Conversations":["c1"]}`},
		{"en", "u1", "c1", "scale-in", "You may not run scale-in here.\nPermissions[1] denies scale-in.\nYour user " +
			"id is u1; in Principals, write user:u1. The conversation id is c1.\nYour groups are sre, dev."},
		{"en", "u1", "c2", "restart", "The conversation c2 is not in ConversationIds.\nYour user id is u1; " +
			"in Principals, write user:u1. The conversation id is c2.\n" +
			"Your groups are sre, dev.\nAn administrator can add the conversation to ConversationIds of en."},
		{"en", "", "c1", "restart", "The platform did not identify the user."},
		{"zh", "u1", "c1", "restart", "已受理 restart。"},
		{"zh", "u1", "c1", "help", "您在此可以执行：restart、scale-*。\n但不包括：scale-in。\n始终可用：help、whoami。"},
		{"zh", "u2", "c1", "restart", "您无权在此执行 restart。\n您的用户标识为 u2，在 Principals 中写作 user:u2。会话标识为 c1。\n" +
			`管理员可在 zh 的 Permissions 中添加以下语句授权：{"Effect":"Allow","Principals":["user:u2"],` +
			`"Commands":["restart"],"Conversations":["c1"]}`},
	} {
		e := h.Open(c.name)
		command, err := e.Command(&command.Message{ID: "m", User: c.user, Conversation: c.conversation, Text: c.text})
		if err != nil {
			t.Fatal(err)
		}
		if got := e.Reply(command, e.Decide(command)); got != c.want {
			t.Errorf("%s by %q in %s: %q, want %q", c.text, c.user, c.conversation, got, c.want)
		}
	}
	many := make([]string, 101)
	for i := range many {
		many[i] = fmt.Sprintf(`"c%d"`, i)
	}
	h.MustCreate("many", func(in *chat.CreateRequest) {
		in.Configuration = secret.Text(chattest.With(chattest.Slack,
			`"Permissions":[{"Effect":"Allow","Principals":["*"],"Commands":[`+strings.Join(many, ",")+`]}]`))
	})
	e := h.Open("many")
	command, _ := e.Command(&command.Message{ID: "m", User: "u", Conversation: "c", Text: "help"})
	if got := e.Reply(command, e.Decide(command)); !strings.Contains(got, "The list is not complete.") {
		t.Errorf("of 101 commands: %q", got)
	}
}

// TestGrantOfAReplyGrants holds that the statement that a refusal shows is one that makes the
// command run.
func TestGrantOfAReplyGrants(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one")
	e := h.Open("one")
	m := &command.Message{ID: "m", User: "u:1", Conversation: "群/1", Text: "重启 i-1"}
	command, _ := e.Command(m)
	_, grant, ok := strings.Cut(e.Reply(command, e.Decide(command)), "of one: ")
	if !ok {
		t.Fatal("no grant")
	}
	h.MustUpdate(&chat.UpdateRequest{Name: "one", Configuration: chattest.Ptr(
		secret.Text(chattest.With(chattest.Slack, `"Permissions":[`+grant+`]`)))})
	e = h.Open("one")
	if d := e.Decide(command); !d.Allowed {
		t.Errorf("granted: %+v", d)
	}
}

func TestRotate(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one", func(in *chat.CreateRequest) { in.Type, in.Configuration = "WeChat", minWeChat })
	first, old := h.stored("one"), h.URL("one")
	out, err := h.Rotate(h.Ctx, &chat.RotateRequest{Name: "one", GraceSeconds: chattest.Ptr[int64](3600),
		Revision: chattest.Ptr[int64](1)})
	if err != nil {
		t.Fatal(err)
	}
	second, fresh := h.stored("one"), h.URL("one")
	chattest.Equal(t, "the answer", out, &chat.RotateResponse{ChatConfiguration: chat.Rotated{
		Name: "one", CreatedDate: "2026-11-23T08:00:00+00:00", UpdatedDate: "2026-11-23T08:00:00+00:00", Revision: 2,
		Outputs: h.MustGet("one").Outputs, GraceUntil: "2026-11-23T09:00:00+00:00",
	}})
	if out.ETag() != `"2"` || old == fresh {
		t.Errorf("ETag %s, URL %s", out.ETag(), fresh)
	}
	for _, field := range []string{chat.FieldWebhookToken, "WeChatToken", "WeChatEncodingAesKey"} {
		if second.Secrets[field] == first.Secrets[field] || second.Secrets["#"+strings.TrimPrefix(field, "#")+
			"Previous"] != first.Secrets[field] {
			t.Errorf("%s was not rotated", field)
		}
	}
	if second.Secrets["WeChatSecret"] != first.Secrets["WeChatSecret"] || second.Configuration != first.Configuration {
		t.Error("what is not put out was rotated")
	}
	h.MustAgree()
	if entries := h.history("one"); len(entries) != 2 || entries[1].Action != "RotateChatWebhook" {
		t.Errorf("history = %+v", entries)
	}

	both := func(about string, oldWorks bool) *command.Endpoint {
		t.Helper()
		e, err := h.OpenURL(fresh)
		if err != nil {
			t.Errorf("%s: the new URL: %v", about, err)
		}
		was, err := h.OpenURL(old)
		if (err == nil) != oldWorks || oldWorks && was != e {
			t.Errorf("%s: the old URL: %v", about, err)
		}
		return e
	}
	e := both("within the grace", true)
	if e.Settings["WeChatTokenPrevious"].Reveal() != first.Secrets["WeChatToken"] ||
		e.Settings["WeChatEncodingAesKeyPrevious"].Reveal() != first.Secrets["WeChatEncodingAesKey"] ||
		e.Settings["WeChatToken"].Reveal() != second.Secrets["WeChatToken"] {
		t.Error("the endpoint lacks a secret")
	}
	// An update in between takes nothing away.
	h.MustUpdate(&chat.UpdateRequest{Name: "one", Configuration: chattest.Ptr(
		secret.Text(h.MustGet("one").Configuration)), RamRole: chattest.Ptr("r")})
	both("after an update", true)
	h.MustUpdate(&chat.UpdateRequest{Name: "one", Status: "Active"})
	h.Clock.Advance(time.Hour - time.Millisecond)
	both("at the end of the grace", true)
	h.Clock.Advance(time.Millisecond)
	if e := both("after the grace", false); len(e.Settings) != 5 {
		t.Errorf("%d settings", len(e.Settings))
	}
	// The next update removes what is good no more.
	h.Touch("one")
	if got := h.stored("one").Secrets; len(got) != 4 {
		t.Errorf("after the grace there are %d secrets", len(got))
	}
	h.MustAgree()
}

func TestRotateTwice(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one")
	zero := h.URL("one")
	rotate := func(in *chat.RotateRequest) string {
		t.Helper()
		in.Name = "one"
		if _, err := h.Rotate(h.Ctx, in); err != nil {
			t.Fatal(err)
		}
		return h.URL("one")
	}
	one := rotate(&chat.RotateRequest{})
	two := rotate(&chat.RotateRequest{GraceSeconds: chattest.Ptr[int64](chat.MaxGrace)})
	opens := func(want ...string) {
		t.Helper()
		for i, url := range []string{zero, one, two} {
			_, err := h.OpenURL(url)
			if wanted := strings.Contains(strings.Join(want, " "), url); (err == nil) != wanted {
				t.Errorf("URL %d: %v", i, err)
			}
		}
	}
	opens(one, two)
	h.Clock.Advance((chat.MaxGrace - 1) * time.Second)
	opens(one, two)
	h.Clock.Advance(time.Second)
	opens(two)
	three := rotate(&chat.RotateRequest{GraceSeconds: chattest.Ptr[int64](0)})
	opens(three)
	if got := h.stored("one").Secrets; len(got) != 2 {
		t.Errorf("%d secrets", len(got))
	}
	h.MustAgree()
}

// What a Configuration itself has as predecessors goes when the service replaces the secrets:
// whoever rotates with no grace wants no old one taken.
func TestRotateEndsWhatTheConfigurationSaysWasBefore(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one", func(in *chat.CreateRequest) {
		in.Type = "WeChat"
		in.Configuration = secret.Text(strings.TrimSuffix(minWeChat, "}") +
			`,"WeChatTokenPrevious":"plantedtoken","WeChatEncodingAesKeyPrevious":"` +
			strings.Repeat("k", 43) + `","BotName":"b"}`)
	})
	if _, err := h.Rotate(h.Ctx, &chat.RotateRequest{Name: "one", GraceSeconds: chattest.Ptr[int64](0)}); err != nil {
		t.Fatal(err)
	}
	e, err := h.OpenURL(h.URL("one"))
	if err != nil {
		t.Fatal(err)
	}
	for key := range e.Settings {
		if strings.HasSuffix(key, "Previous") {
			t.Errorf("%s is still taken", key)
		}
	}
	if text := h.MustGet("one").Configuration; strings.Contains(text, "Previous") ||
		!strings.Contains(text, `"BotName":"b"`) {
		t.Errorf("the configuration is %s", text)
	}
	if _, ok := h.stored("one").Secrets["WeChatTokenPrevious"]; ok {
		t.Error("the secret is still stored")
	}
	h.MustUpdate(&chat.UpdateRequest{Name: "one", Configuration: chattest.Ptr(
		secret.Text(h.MustGet("one").Configuration))})
	h.MustAgree()
}

func TestRotateIsRefused(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one")
	for _, c := range []struct {
		about string
		in    chat.RotateRequest
		code  fault.Code
		param string
	}{
		{"a grace below zero", chat.RotateRequest{Name: "one", GraceSeconds: chattest.Ptr[int64](-1)},
			fault.InvalidParameter, "GraceSeconds"},
		{"a grace over the most", chat.RotateRequest{Name: "one", GraceSeconds: chattest.Ptr[int64](chat.MaxGrace + 1)},
			fault.InvalidParameter, "GraceSeconds"},
		{"no name", chat.RotateRequest{}, fault.MissingParameter, "Name"},
		{"none of the name", chat.RotateRequest{Name: "two"}, fault.NotFound, "Name"},
		{"another revision", chat.RotateRequest{Name: "one", Revision: chattest.Ptr[int64](2)},
			fault.Conflict, "Revision"},
		{"a bad token", chat.RotateRequest{Name: "one", ClientToken: " "}, fault.InvalidParameter, "ClientToken"},
		{"a bad region", chat.RotateRequest{Name: "one", RegionID: "x"}, fault.InvalidRegion, "RegionId"},
	} {
		_, err := h.Rotate(h.Ctx, &c.in)
		chattest.WantError(t, "Rotate with "+c.about, err, c.code, c.param)
	}
}

// TestRotateWithAClientToken holds that a rotation happens once, and that what is remembered of it
// is not secret.
func TestRotateWithAClientToken(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one", func(in *chat.CreateRequest) { in.Type, in.Configuration = "WeChat", minWeChat })
	in := &chat.RotateRequest{Name: "one", ClientToken: "t"}
	first, err := h.Rotate(h.Ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	h.Clock.Advance(time.Minute)
	again, err := h.Rotate(h.Ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	chattest.Equal(t, "the answer again", again, first)
	for field, secret := range h.stored("one").Secrets {
		for _, item := range h.Dump() {
			if strings.Contains(string(item.Value), secret) {
				t.Errorf("%s lies open in %s", field, item.Sort)
			}
		}
	}
	_, err = h.Rotate(h.Ctx, &chat.RotateRequest{Name: "one", ClientToken: "t", GraceSeconds: chattest.Ptr[int64](1)})
	chattest.WantError(t, "Rotate with other parameters", err, fault.IdempotencyMismatch, "ClientToken")
	h.Spy.Fail("Get", 2, table.ErrUnavailable)
	_, err = h.Rotate(h.Ctx, in)
	chattest.WantError(t, "Rotate again when its Outputs cannot be read", err, fault.Unavailable, "")
	h.Spy.Reset()
	h.MustDelete("one")
	_, err = h.Rotate(h.Ctx, in)
	chattest.WantError(t, "Rotate again of what was deleted", err, fault.NotFound, "Name")
	in.RegionID = "cn-hangzhou"
	_, err = h.Rotate(h.Ctx, in)
	chattest.WantError(t, "Rotate again with a region", err, fault.NotFound, "Name")
}

// TestRotateThatLosesARace holds that the answer of a rotation which its twin did first shows what
// the twin made. A ClientToken brings back what a rotation said, and for that its caller need not
// be allowed it any more. Outputs are those of today, and need it.
func TestRotateRepeatedByWhoMayNotAnyMore(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one")
	const may = `{"Effect":"Allow","Action":"oos:RotateChatWebhook","Resource":"*"}`
	in := &chat.RotateRequest{Name: "one", ClientToken: "t"}
	if _, err := h.Rotate(chattest.As(h.Ctx, callerOf(t, "CCKonce", may)), in); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Rotate(chattest.As(h.Ctx, callerOf(t, "CCKonce", may)), in); err != nil {
		t.Errorf("once more: %v", err)
	}
	_, err := h.Rotate(chattest.As(h.Ctx, callerOf(t, "CCKonce",
		`{"Effect":"Allow","Action":"oos:ListTagKeys","Resource":"*"}`)), in)
	chattest.WantError(t, "Rotate by who may not any more", err, fault.NoPermission, "")
}

func TestRotateThatLosesARace(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one")
	in := &chat.RotateRequest{Name: "one", ClientToken: "t"}
	var twin *chat.RotateResponse
	h.Spy.OnWrite = func(*table.Change) error {
		h.Spy.OnWrite = nil
		var err error
		twin, err = h.Rotate(h.Ctx, in)
		return err
	}
	out, err := h.Rotate(h.Ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	chattest.Equal(t, "the answer", out, twin)
	if out.ChatConfiguration.Outputs != h.MustGet("one").Outputs || out.ChatConfiguration.Revision != 2 {
		t.Errorf("the answer shows a URL that is not the configuration's")
	}
}

func TestRotateOfWhatCannotBe(t *testing.T) {
	for about, edit := range map[string]func(map[string]any){
		"a type that is not known": func(m map[string]any) { m["type"] = "Matrix" },
		"an invalid Configuration": func(m map[string]any) { m["configuration"] = `{"XPrevious"` },
		"a bit of the token": func(m map[string]any) {
			s := m["secrets"].(map[string]any)
			s[chat.FieldWebhookToken] = chattest.FlipBit(s[chat.FieldWebhookToken].(string))
		},
		"a bit of a token": func(m map[string]any) {
			s := m["secrets"].(map[string]any)
			s["WeChatToken"] = chattest.FlipBit(s["WeChatToken"].(string))
		},
	} {
		h := newHouse(t)
		h.MustCreate("one", func(in *chat.CreateRequest) { in.Type, in.Configuration = "WeChat", minWeChat })
		item := h.Item("c#one")
		h.Tamper(table.Change{Puts: []table.Put{{Sort: "c#one", Value: chattest.Reencode(item.Value, edit),
			Revision: item.Revision}}})
		_, err := h.Rotate(h.Ctx, &chat.RotateRequest{Name: "one"})
		chattest.WantError(t, "Rotate of a record with "+about, err, fault.Internal, "")
		chattest.WantNoDetail(t, err)
	}
	h := newHouse(t)
	h.MustCreate("one", func(in *chat.CreateRequest) { in.Type, in.Configuration = "WeChat", minWeChat })
	for n := range 3 {
		s := h.ServiceWith(chat.Options{Random: &chattest.Few{N: n}}, h.Ring)
		_, err := s.Rotate(h.Ctx, &chat.RotateRequest{Name: "one"})
		chattest.WantError(t, fmt.Sprint("Rotate without random after ", n), err, fault.Internal, "")
	}
	if _, err := h.ServiceWith(chat.Options{Random: &chattest.Few{N: 3}}, h.Ring).Rotate(h.Ctx,
		&chat.RotateRequest{Name: "one"}); err != nil {
		t.Errorf("Rotate with just enough: %v", err)
	}
}

// TestSetupInOutputs holds that the steps of a platform stand behind what Outputs had before, with
// the URL and in the language.
func TestSetupInOutputs(t *testing.T) {
	setup := func(url, language string) []string { return []string{"paste " + url, "<" + language + ">"} }
	streamSetup := func(language string) []string { return []string{"turn it on", "<" + language + ">"} }
	h := newHouse(t)
	h.Service = h.ServiceWithPlatforms(command.Platform{Type: "Slack", Setup: setup, StreamSetup: streamSetup,
		Settings: platformOf(t, "Slack").Settings})
	h.MustCreate("stream", func(in *chat.CreateRequest) { in.Configuration = streamSlack })
	if got, want := h.MustGet("stream").Outputs, `{"URL": "`+h.URL("stream")+
		`", "Setup": "turn it on\n<en>"}`; got != want {
		t.Errorf("Outputs of a stream = %s, want %s", got, want)
	}
	for language, members := range map[string]string{"en": `"BotName":"b"`, "zh": `"Language":"zh"`} {
		h.MustCreate(language, func(in *chat.CreateRequest) {
			in.Configuration = secret.Text(
				chattest.With(chattest.Slack, members))
		})
		url := h.URL(language)
		if got, want := h.MustGet(language).Outputs, `{"URL": "`+url+`", "Setup": "paste `+
			url+`\n<`+language+`>"}`; got != want {
			t.Errorf("Outputs = %s, want %s", got, want)
		}
	}
	item := h.Item("c#en")
	h.Tamper(table.Change{Puts: []table.Put{{Sort: "c#en", Value: chattest.Reencode(item.Value,
		func(m map[string]any) { m["configuration"] = `"Language"planted` }), Revision: 1}}})
	_, err := h.Get(h.Ctx, &chat.GetRequest{Name: "en"})
	chattest.WantError(t, "Get of a record whose configuration is none", err, fault.Internal, "")
}

package platformsim_test

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"chatconf/shared/platform"
	"chatconf/shared/platform/callback"
	"chatconf/shared/platform/platformsim"
	"chatconf/shared/platform/platformtest"
	"chatconf/shared/secret"
)

func TestMakeSaysWhatIsWrong(t *testing.T) {
	m := platformsim.Message{User: "u", Text: "x"}
	if _, err := (&platformsim.Maker{}).Make("Pigeon", "", m); err == nil {
		t.Error("an invalid platform")
	}
	if _, err := (&platformsim.Maker{Settings: platformtest.Settings("Slack"), Now: platformtest.Now}).Make("Slack",
		"pigeon", m); err == nil || !strings.Contains(err.Error(), "command, event, button, check") {
		t.Errorf("an invalid callback: %v", err)
	}
	for _, p := range platform.All().Descriptions() {
		messages, checks := platformsim.Modes(p.Type)
		for _, mode := range append(messages, checks...) {
			if _, err := (&platformsim.Maker{Now: platformtest.Now}).Make(p.Type, mode, m); err == nil ||
				!strings.Contains(err.Error(), "is not set") {
				t.Errorf("%s, %s, without settings: %v", p.Type, mode, err)
			}
			settings := platformtest.Settings(p.Type)
			for key := range settings {
				if strings.HasSuffix(key, "AesKey") || key == "TeamsWebhookSecret" {
					settings[key] = "short"
				}
			}
			_, err := (&platformsim.Maker{Settings: settings, Now: platformtest.Now}).Make(p.Type, mode, m)
			if keyed := p.Type == "WeChat" || p.Type == "Teams" || mode == "check" &&
				p.Type == "DingTalk"; (err != nil) != keyed || err != nil && strings.Contains(err.Error(), "short") {
				t.Errorf("%s, %s, with an invalid key: %v", p.Type, mode, err)
			}
		}
	}
	m.ID = "1"
	for _, p := range []struct{ platform, mode string }{{"WeChat", "app"}, {"Feishu", "message"}} {
		k := &platformsim.Maker{Settings: platformtest.Settings(p.platform), Now: platformtest.Now,
			Random: iotest.ErrReader(errors.New("no random bytes"))}
		if _, err := k.Make(p.platform, p.mode, m); err == nil {
			t.Errorf("%s without random bytes", p.platform)
		}
	}
}

func TestRequest(t *testing.T) {
	k := &platformsim.Maker{Settings: platformtest.Settings("WeChat"), Now: platformtest.Now}
	c, err := k.Make("WeChat", "", platformsim.Message{User: "u", Text: "help"})
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.Request("https://example.com/webhook/1/cn/ops/not-a-real-token")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil || r.Method != "POST" || r.URL.Path != "/webhook/1/cn/ops/not-a-real-token" ||
		r.URL.Query().Get("msg_signature") == "" || !slices.Equal(body, c.Body) ||
		r.Header.Get("Content-Type") != "text/xml" {
		t.Errorf("%v, %v", r, err)
	}
	c.Method = "bad method"
	for _, address := range []string{"https://example.com/%zz-not-a-real-token",
		"https://example.com/not-a-real-token"} {
		if _, err := c.Request(address); err == nil || strings.Contains(err.Error(), "not-a-real") {
			t.Errorf("%v", err)
		}
	}
}

// An answer that a platform would not take is told from one that it would.
func TestReadAnswerIsStrict(t *testing.T) {
	answer := func(platformType, mode string, settings callback.Settings) (*platformsim.Callback, string) {
		t.Helper()
		c, err := (&platformsim.Maker{Settings: platformtest.Settings(platformType), Now: platformtest.Now}).Make(
			platformType, mode, platformsim.Message{User: "u", Text: "help"})
		if err != nil {
			t.Fatal(err)
		}
		receiver, err := platform.All().Receivers()[platformType](platformtest.Settings(platformType))
		if err != nil {
			t.Fatal(err)
		}
		in, err := receiver.Receive(c.Received(platformtest.Now))
		if err != nil {
			t.Fatal(err)
		}
		if in.Handshake != nil {
			return c, string(in.Handshake.Body)
		}
		response, err := receiver.Answer(in, "done")
		if err != nil {
			t.Fatal(err)
		}
		return c, string(response.Body)
	}
	for _, p := range platform.All().Descriptions() {
		messages, checks := platformsim.Modes(p.Type)
		for _, mode := range append(messages, checks...) {
			c, body := answer(p.Type, mode, platformtest.Settings(p.Type))
			if _, err := c.ReadAnswer([]byte(body)); err != nil {
				t.Errorf("%s, %s: %v", p.Type, mode, err)
			}
			for _, other := range []string{"x", "[1]", `"done"`,
				`{"type":"other","msgtype":"other","response_type":"in_channel","challenge":"x"}`,
				"<xml></xml>", body + "x"} {
				if text, err := c.ReadAnswer([]byte(other)); err == nil &&
					!(strings.HasPrefix(other, "{") && text == "") {
					t.Errorf("%s, %s: reads %q as %q", p.Type, mode, other, text)
				}
			}
		}
	}
	c, body := answer("DingTalk", "robot", nil)
	if _, err := c.ReadAnswer([]byte(strings.Replace(body, `"isAtAll":false`, `"isAtAll":true`, 1))); err == nil {
		t.Error("an answer that mentions everybody is taken")
	}
	c, _ = answer("Slack", "command", nil)
	if _, err := c.ReadAnswer([]byte(`{"response_type":"ephemeral","text":"<!channel>"}`)); err == nil {
		t.Error("an answer with markup is taken")
	}
	// An answer that was sealed for another callback's user, or with another key, is not read.
	k := &platformsim.Maker{Settings: platformtest.Settings("WeChat"), Now: platformtest.Now}
	for _, mode := range []string{"app", "json", "button", "aibot"} {
		one, body := answer("WeChat", mode, nil)
		other, err := k.Make("WeChat", mode, platformsim.Message{User: "other", Text: "x"})
		if err != nil {
			t.Fatal(err)
		}
		// a robot's answer names nobody
		if _, err := other.ReadAnswer([]byte(body)); (err == nil) != (mode == "aibot") {
			t.Errorf("%s: an answer to another: %v", mode, err)
		}
		settings := platformtest.Settings("WeChat")
		settings["WeChatToken"] = secret.Text("othertoken")
		stranger, err := (&platformsim.Maker{Settings: settings, Now: platformtest.Now}).Make("WeChat", mode,
			platformsim.Message{User: "u", Text: "x"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stranger.ReadAnswer([]byte(body)); err == nil {
			t.Errorf("%s: an answer with another token is read", mode)
		}
		changed := []byte(body)
		if changed[len(body)/2] = 'A'; body[len(body)/2] == 'A' { // of the ciphertext
			changed[len(body)/2] = 'B'
		}
		if _, err := one.ReadAnswer(changed); err == nil {
			t.Errorf("%s: an answer that was changed is read", mode)
		}
	}
}

// A field that is given is unused where the callback is the same without it; one that is not given
// is not reported.
func TestUnused(t *testing.T) {
	all := platformsim.Message{ID: "1", User: "u", UserName: "Ann", Conversation: "c", Direct: true, Text: "x"}
	for _, c := range []struct {
		platform, mode string
		m              platformsim.Message
		want           []platformsim.Field
	}{
		{"WeChat", "app", all, []platformsim.Field{platformsim.FieldUserName,
			platformsim.FieldConversation, platformsim.FieldDirect}},
		{"WeChat", "aibot", platformsim.Message{User: "u", Conversation: "c", Text: "x"}, nil},
		{"DingTalk", "robot", all, nil},
		{"DingTalk", "robot", platformsim.Message{User: "u", Text: "x"}, nil},
		{"Feishu", "check", all, []platformsim.Field{platformsim.FieldID, platformsim.FieldUser,
			platformsim.FieldUserName, platformsim.FieldConversation, platformsim.FieldText, platformsim.FieldDirect}},
		{"Slack", "command", all, []platformsim.Field{platformsim.FieldDirect}}, // which the conversation's id says
		{"Teams", "webhook", all, nil},
	} {
		got, err := (&platformsim.Maker{Settings: platformtest.Settings(c.platform), Now: platformtest.Now}).Unused(
			c.platform, c.mode, c.m)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s, %s: %v, %v, want %v", c.platform, c.mode, got, err, c.want)
		}
	}
	if _, err := (&platformsim.Maker{Now: platformtest.Now}).Unused("Slack", "command", all); err == nil {
		t.Error("without settings: no error")
	}
}

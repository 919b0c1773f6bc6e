package chat_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/fault"
	"chatconf/shared/platform"
	"chatconf/shared/secret"
)

// What people copy from a platform's console is understood under the console's names, and stored
// under ours.
func TestConsoleNames(t *testing.T) {
	aesKey := strings.Repeat("q", 43)
	for _, c := range []struct{ as, written, stored string }{
		{"DingTalk", `{"ClientId":"dingabc","ClientSecret":"planted-1","TemplateId":"0a1b.schema"}`,
			`{"DingTalkClientId":"dingabc","DingTalkClientSecret":"******","DingTalkTemplateId":"0a1b.schema"}`},
		{"DingTalk", `{"AppKey":"dingabc","AppSecret":"planted-1","RobotCode":"r","CorpId":"ding1"}`,
			`{"DingTalkClientId":"dingabc","DingTalkClientSecret":"******",` +
				`"DingTalkRobotCode":"r","DingTalkCorpId":"ding1"}`},
		{"DingTalk", `{"Client ID":"dingabc","Client Secret":"planted-1","Token":"planted","aes_key":"` + aesKey + `"}`,
			`{"DingTalkClientId":"dingabc","DingTalkClientSecret":"******","DingTalkToken":"******",` +
				`"DingTalkEncodingAesKey":"******"}`},
		{"DingTalk", `{"ClientId":"dingabc","AppSecret":"planted-1","AppSecretPrevious":"planted-0"}`,
			`{"DingTalkClientId":"dingabc","DingTalkClientSecret":"******","DingTalkClientSecretPrevious":"******"}`},
		{"DingTalk", `{"DingTalkAppKey":"dingabc","DingTalkClientSecret":"planted-1"}`,
			`{"DingTalkClientId":"dingabc","DingTalkClientSecret":"******"}`},
		{"WeChat", `{"CorpId":"ww1","AgentId":1000002,"Secret":"planted-1","Token":"planted","EncodingAESKey":"` +
			aesKey + `"}`,
			`{"WeChatCorpId":"ww1","WeChatAgentId":1000002,"WeChatSecret":"******","WeChatToken":"******",` +
				`"WeChatEncodingAesKey":"******"}`},
		{"WeCom", `{"WeComCorpId":"ww1","AgentID":"1000002","corp_secret":"planted-1","WeComToken":"planted",` +
			`"WeComEncodingAesKey":"` + aesKey + `","Aibot":true}`,
			`{"WeChatCorpId":"ww1","WeChatAgentId":"1000002","WeChatSecret":"******","WeChatToken":"******",` +
				`"WeChatEncodingAesKey":"******","WeChatAibot":"true"}`},
		{"Feishu", `{"AppId":"cli_1","AppSecret":"planted-1","EncryptKey":"planted-2","VerificationToken":"planted-3"}`,
			`{"FeishuAppId":"cli_1","FeishuAppSecret":"******","FeishuEncryptKey":"******",` +
				`"FeishuVerificationToken":"******"}`},
		{"Lark", `{"LarkAppId":"cli_1","App Secret":"planted-1","Encrypt ` +
			`Key":"planted-2","Domain":"lark","FeishuOldCards":false}`,
			`{"FeishuAppId":"cli_1","FeishuAppSecret":"******","FeishuEncryptKey":"******",` +
				`"FeishuDomain":"lark","FeishuOldCards":"false"}`},
		{"Slack", `{"SigningSecret":"planted-1","BotToken":"planted-2","TeamId":"T01"}`,
			`{"SlackSigningSecret":"******","SlackBotToken":"******","SlackTeamId":"T01"}`},
		{"Slack", `{"signing_secret":"planted-1","Bot User OAuth Token":"planted-2"}`,
			`{"SlackSigningSecret":"******","SlackBotToken":"******"}`},
		{"Teams", `{"SecurityToken":"cGxhbnRlZHBsYW50ZWRwbGFudGVk","TenantId":"t"}`,
			`{"TeamsWebhookSecret":"******","TeamsTenantId":"t"}`},
		{"Teams", `{"WebhookSecret":"cGxhbnRlZHBsYW50ZWRwbGFudGVk"}`, `{"TeamsWebhookSecret":"******"}`},

		{"Slack", chattest.With(chattest.Slack, `"ConversationId":"c1"`),
			`{"SlackSigningSecret":"******","ConversationIds":["c1"]}`},
		{"Slack", chattest.With(chattest.Slack, `"ConversationId":["c1","c2"]`),
			`{"SlackSigningSecret":"******","ConversationIds":["c1","c2"]}`},
		{"Slack", chattest.With(chattest.Slack, `"ConversationId":"c1","ConversationIds":["c1"]`),
			`{"SlackSigningSecret":"******","ConversationIds":["c1"]}`},
		{"Slack", chattest.With(chattest.Slack, `"SigningSecret":"signing-secret-0"`),
			`{"SlackSigningSecret":"******"}`},
	} {
		h := newHouse(t)
		_, err := h.Create(h.Ctx, &chat.CreateRequest{Name: "one", Type: c.as, Configuration: secret.Text(c.written)})
		if err != nil {
			t.Errorf("Create %s of %s: %v", c.as, c.written, err)
			continue
		}
		chattest.Equal(t, "the configuration of "+c.written, h.MustGet("one").Configuration, generated(c.stored))
		for field, secret := range h.stored("one").Secrets {
			if c.as == "WeChat" && (field == "WeChatToken" && secret != "planted" ||
				field == "WeChatEncodingAesKey" && secret != aesKey) {
				t.Errorf("%s of %s is not what was given", field, c.written)
			}
		}

		// The masks that a read shows keep the secrets when they are sent back under the console's
		// names.
		before := h.stored("one").Secrets
		var members map[string]any
		if err := json.Unmarshal([]byte(c.written), &members); err != nil {
			t.Fatal(err)
		}
		for name, value := range members {
			if text, ok := value.(string); ok && (strings.HasPrefix(text, "planted") ||
				strings.HasPrefix(text, "cGxh") || text == aesKey || text == "signing-secret-0") {
				members[name] = secret.Mask
			}
		}
		masked, err := json.Marshal(members)
		if err != nil {
			t.Fatal(err)
		}
		h.MustUpdate(&chat.UpdateRequest{Name: "one", Configuration: chattest.Ptr(secret.Text(masked))})
		chattest.Equal(t, "the secrets after "+string(masked), h.stored("one").Secrets, before)
	}
}

// generated returns the configuration as it is stored: what is left out of it and made up follows.
func generated(text string) string {
	for _, key := range []string{"WeChatToken", "WeChatEncodingAesKey"} {
		if strings.Contains(text, "WeChatCorpId") && !strings.Contains(text, key) {
			text = chattest.With(text, `"`+key+`":"******"`)
		}
	}
	return text
}

// No name of a console is another setting's, and each is understood alone, with the platform's
// name, and by itself.
func TestEveryConsoleName(t *testing.T) {
	n := 0
	for _, p := range platform.All().Descriptions() {
		for _, s := range p.Settings {
			for _, name := range append([]string{s.Key, strings.TrimPrefix(s.Key, p.Type)}, s.Names...) {
				for _, written := range []string{name, strings.ToLower(strings.TrimPrefix(name, p.Type))} {
					if key, ok := chat.KeyOf(p, written); !ok || key != s.Key {
						t.Errorf("%s: %q means %q, want %s", p.Type, written, key, s.Key)
					}
					n++
				}
			}
		}
		for _, other := range []string{"", "x", "BotNam", "clientidx", strings.ToLower(p.Type),
			strings.ToLower(p.Settings[0].Key), "Target.Secret"} {
			if key, ok := chat.KeyOf(p, other); ok {
				t.Errorf("%s: %q means %q, want nothing", p.Type, other, key)
			}
		}
	}
	if n < 60 {
		t.Errorf("only %d names were looked at", n)
	}
}

func TestConsoleNamesThatDoNotAgree(t *testing.T) {
	h := newHouse(t)
	for _, c := range []struct{ as, text, want string }{
		{"DingTalk", `{"ClientId":"a","DingTalkClientId":"b","ClientSecret":"planted"}`,
			"Configuration.DingTalkClientId: is the same setting as ClientId, with " +
				"another value; write only one of them."},
		{"DingTalk", `{"AppKey":"a","ClientId":"b","DingTalkClientSecret":"planted"}`,
			"Configuration.ClientId: is the same setting as AppKey, with another value; write only one of them."},
		{"DingTalk", `{"ClientId":"a","DingTalkClientSecret":"planted","ClientSecret":"******"}`,
			"Configuration.ClientSecret: is the same setting as DingTalkClientSecret, with " +
				"another value; write only one of them."},
		{"Slack", chattest.With(chattest.Slack, `"ConversationId":"c1","ConversationIds":["c1","c2"]`),
			"Configuration.ConversationIds: is the same setting as ConversationId, with " +
				"another value; write only one of them."},
		{"Slack", chattest.With(chattest.Slack, `"ConversationId":"a b"`),
			`Configuration.ConversationId: "a b" is not 1 to 256 bytes`},
		{"Slack", chattest.With(chattest.Slack, `"ConversationId":null`),
			"Configuration.ConversationId: is true, false or null; write a string"},
		{"Slack", `{"SigningSecret":"short"}`, "Configuration.SigningSecret: is not 8 to 256 printable"},
		{"Slack", `{"SigningSecret":"******"}`,
			"Configuration.SigningSecret: is masked, and no stored secret exists"},
		{"Slack", `{"SigningSecret":7}`, "Configuration.SigningSecret: is a number; write a string"},
		{"Slack", `{"SigningSecret":"planted-1","BotToekn":"x"}`,
			"Configuration.BotToekn: unknown key for type Slack; did you mean BotToken?"},
		{"WeChat", `{"CorpId":"ww1","AgentId":"x","Secret":"planted"}`,
			`Configuration.AgentId: "x" is not 1 to 20 digits.`},
		{"DingTalk", `{"ClientId":"a","ClientSecret":"planted","Token":"planted"}`,
			"Configuration.DingTalkEncodingAesKey: is missing; Token needs it."},
		{"Feishu", `{"AppId":"a","AppSecret":"planted","EncryptKey":"planted","OldCards":"True"}`,
			`Configuration.OldCards: "True" is not true or false; write true.`},
		{"Feishu", `{"AppId":"a","AppSecret":"planted","EncryptKey":"planted","OldCards":null}`,
			"Configuration.OldCards: is true, false or null"},
	} {
		_, err := h.Create(h.Ctx, &chat.CreateRequest{Name: "one", Type: c.as, Configuration: secret.Text(c.text)})
		chattest.WantError(t, c.text, err, fault.InvalidParameter, "Configuration", c.want)
		if err != nil && (strings.Contains(err.Error(), "planted") ||
			strings.Count(err.Error(), "Configuration.") != 1) {
			t.Errorf("%s: want one mistake and no secret: %v", c.text, err)
		}
	}
}

// All mistakes of a Configuration are named at once, in the order of the text, then what is
// missing.
func TestAllMistakesOfAConfiguration(t *testing.T) {
	h := newHouse(t)
	text := `{"ClientID2":"x","DingTalkToken":"planted!","DingTalkTemplateId":7,"BotName":"","BotName":"twice",` +
		`"ConversationIds":["a b","c1","c1",null],"UserGroups":{"a b":["x"],"sre":[]},"Language":"fr",` +
		`"Permissions":[{"Effect":"allow","Principals":["user:a*","bob"],"Commands":[],` +
		`"Conversations":["zz"],"X":1},7,` +
		`{"Effect":"Deny","Principals":"*","Commands":["help"],"RamRole":"r"}],"Target":{"Type":"Http",` +
		`"Url":"http://x","Sekret":"planted"}}`
	_, err := h.Create(h.Ctx, &chat.CreateRequest{Name: "one", Type: "DingTalk", Configuration: secret.Text(text)})
	wants := []string{
		"Configuration.BotName: is given twice",
		"Configuration.ClientID2: unknown key for type DingTalk; did you mean ClientId?",
		"Configuration.DingTalkToken: is not 3 to 63",
		`Configuration.DingTalkTemplateId: is a number; write a string of 1 to 256 printable ASCII ` +
			`characters without blanks; write "7".`,
		`Configuration.BotName: "" is not`,
		`Configuration.ConversationIds[0]: "a b"`,
		`Configuration.ConversationIds[2]: "c1" is listed twice`,
		"Configuration.ConversationIds[3]: is true, false or null",
		`Configuration.UserGroups["a b"]: is not a group's name`,
		"Configuration.UserGroups.sre: has 0 entries",
		`Configuration.Language: "fr" is not`,
		"Configuration.Permissions[0].X: unknown key",
		`Configuration.Permissions[0].Effect: "allow" is not`,
		`Configuration.Permissions[0].Principals[0]: "user:a*"`,
		`Configuration.Permissions[0].Principals[1]: "bob" is not a principal`,
		"Configuration.Permissions[0].Commands: has 0 entries",
		`Configuration.Permissions[0].Conversations[0]: "zz" matches none`,
		"Configuration.Permissions[1]: is a number",
		`Configuration.Permissions[2].Principals: is a string; write an array of strings such as ["*"]`,
		`Configuration.Permissions[2].Commands[0]: "help" is always allowed`,
		"There are more mistakes.",
	}
	chattest.WantError(t, "all mistakes", err, fault.InvalidParameter, "Configuration", wants...)
	wantInOrder(t, err, wants)

	short := `{"Target":{"Type":"Http","Url":"http://x","Sekret":"planted"},"DingTalkToken":"abc"}`
	_, err = h.Create(h.Ctx, &chat.CreateRequest{Name: "one", Type: "DingTalk", Configuration: secret.Text(short)})
	wantInOrder(t, err, []string{
		"Configuration.Target.Sekret: unknown key; did you mean Secret?",
		"Configuration.Target.Secret: is missing",
		"Configuration.Target.Url: write an https URL",
		"Configuration.DingTalkClientId: is missing",
		"Configuration.DingTalkClientSecret: is missing",
		"Configuration.DingTalkEncodingAesKey: is missing; DingTalkToken needs it.",
	})
}

// wantInOrder fails the test unless the message has the texts one after the other, and no secret.
func wantInOrder(t *testing.T, err error, texts []string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	rest := err.Error()
	for _, text := range texts {
		_, after, ok := strings.Cut(rest, text)
		if !ok {
			t.Fatalf("the message does not go on with %q:\n%s", text, rest)
		}
		rest = after
	}
	if strings.Contains(err.Error(), "planted") {
		t.Errorf("the message shows a secret: %v", err)
	}
}

// A document of nothing but mistakes costs and says no more than a bound.
func TestManyMistakes(t *testing.T) {
	h := newHouse(t)
	var keys, groups, statements strings.Builder
	for i := range 4000 {
		fmt.Fprintf(&keys, `,"k%d":1`, i)
		fmt.Fprintf(&groups, `,"g %d":[]`, i)
	}
	for i := range 100 {
		fmt.Fprintf(&statements, `,{"Principals":["%d"],"x":1,"y":1,"z":1}`, i)
	}
	for _, text := range []string{
		chattest.With(chattest.Slack, keys.String()[1:]),
		chattest.With(chattest.Slack, `"UserGroups":{`+groups.String()[1:]+`}`),
		chattest.With(chattest.Slack, `"Permissions":[`+statements.String()[1:]+`]`),
		chattest.With(chattest.Slack, `"ConversationIds":[`+strings.Repeat("7,", 999)+`7]`),
		chattest.With(chattest.Slack, strings.Repeat(`"SlackBotToken":"",`, 2000)+`"BotName":""`),
	} {
		_, err := h.Create(h.Ctx, &chat.CreateRequest{Name: "one", Type: "Slack", Configuration: secret.Text(text)})
		chattest.WantError(t, text[:60], err, fault.InvalidParameter, "Configuration", "There are more mistakes.")
		if err != nil && len(err.Error()) > 20*500 {
			t.Errorf("%s…: the message has %d bytes", text[:60], len(err.Error()))
		}
	}
}

func TestNearest(t *testing.T) {
	known := []string{"Name", "Type", "Key", "MaxResults", "ResourceGroupId", "NextToken", "Status"}
	for word, want := range map[string]string{
		"Nmae": "Name", "name": "Name", "NAME": "Name", "Names": "Name", "Nam": "Name", "kEY": "Key", "Keys": "Key",
		"max-results": "MaxResults", "max_results": "MaxResults", "MaxResult": "MaxResults", "MxaResult": "MaxResults",
		"ResurceGrupId": "ResourceGroupId", "resourcegroupid": "ResourceGroupId",
		"NextTokn": "NextToken", "Staus": "Status",
		"Mode": "", "ClientToken": "", "ResourceId": "", "Tags": "", "": "", "SourceIp": "",
		"Colour": "", "Time": "", "Id": "",
		strings.Repeat("Name", 100): "",
	} {
		if got, ok := chat.Nearest(word, known); got != want || ok != (want != "") {
			t.Errorf("Nearest(%q) = %q, %v, want %q", word, got, ok, want)
		}
	}
}

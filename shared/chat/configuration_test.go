package chat_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/command"
	"chatconf/shared/fault"
	"chatconf/shared/platform"
	"chatconf/shared/secret"
)

// platformOf returns the declaration of a type.
func platformOf(t testing.TB, name string) command.Platform {
	t.Helper()
	for _, p := range platform.All().Descriptions() {
		if p.Type == name {
			return p
		}
	}
	t.Fatalf("no platform %q", name)
	return command.Platform{}
}

func never(string) bool  { return false }
func always(string) bool { return true }

// zeros is a source of randomness without any.
var zeros = zeroReader{}

type zeroReader struct{}

func (zeroReader) Read(b []byte) (int, error) { clear(b); return len(b), nil }

const (
	fullDingTalk = `{"DingTalkClientId":"dingabc","DingTalkClientSecret":"planted-1",` +
		`"DingTalkTemplateId":"0a1b.schema","DingTalkRobotCode":"robot-1","DingTalkToken":"planted2",` +
		`"DingTalkEncodingAesKey":"plantedAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA3"}`
	fullWeChat = `{"WeChatCorpId":"ww0123","WeChatAgentId":"1000002","WeChatSecret":"planted-1",` +
		`"WeChatToken":"planted2","WeChatEncodingAesKey":"plantedAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA3"}`
	fullFeishu = `{"FeishuAppId":"cli_a1","FeishuAppSecret":"planted-1","FeishuEncryptKey":"planted-2",` +
		`"FeishuVerificationToken":"planted-3","FeishuDomain":"lark"}`
	fullSlack = `{"SlackSigningSecret":"planted-1","SlackBotToken":"xoxb-planted-2","SlackTeamId":"T0123456789"}`
	fullTeams = `{"TeamsWebhookSecret":"cGxhbnRlZHBsYW50ZWRwbGFudGVk",` +
		`"TeamsTenantId":"72f988bf-86f1-41af-91ab-2d7cd011db47"}`
	minDingTalk = `{"DingTalkClientId":"dingabc","DingTalkClientSecret":"planted-1"}`
	minWeChat   = `{"WeChatCorpId":"ww0123","WeChatAgentId":1000002,"WeChatSecret":"planted-1"}`
	minFeishu   = `{"FeishuAppId":"cli_a1","FeishuAppSecret":"planted-1","FeishuEncryptKey":"planted-2"}`
	minTeams    = `{"TeamsWebhookSecret":"cGxhbnRlZHBsYW50ZWRwbGFudGVk"}`
	common      = `"BotName":"运维 bot <&>","ConversationIds":["群/1","c2"],"UserGroups":{"sre":["manager4220",` +
		`"u-2"],"dev.ops":["u3"]},` +
		`"Permissions":[{"Effect":"Allow","Principals":["user:manager4220","group:sre","*"],"Commands":["restart",` +
		`"scale-*"],"Conversations":["*"],"RamRole":"OpsRole"},` +
		`{"Effect":"Deny","Principals":["group:dev.ops"],"Commands":["*"]}],` +
		`"Target":{"Type":"Http","Url":"https://example.com/hook?x=1",` +
		`"Secret":"whsec_cGxhbnRlZHBsYW50ZWRwbGFudGVkcGxhbnRlZA=="}`
)

// mask returns text with every secret masked.
func mask(text string, secrets ...string) string {
	for _, s := range secrets {
		text = strings.ReplaceAll(text, `"`+s+`"`, `"`+secret.Mask+`"`)
	}
	return text
}

func TestEveryPlatformsConfiguration(t *testing.T) {
	const aesKey = "plantedAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA3"
	const teamsSecret = "cGxhbnRlZHBsYW50ZWRwbGFudGVk"
	for _, c := range []struct {
		about, as, stored, text string
		secrets                 map[string]string
		outputs                 map[string]string // besides URL
		generated               bool
	}{
		{"the least of DingTalk", "DingTalk", "DingTalk", minDingTalk,
			map[string]string{"DingTalkClientSecret": "planted-1"}, nil, false},
		{"all of DingTalk", "dingtalk", "DingTalk", fullDingTalk,
			map[string]string{"DingTalkClientSecret": "planted-1", "DingTalkToken": "planted2",
				"DingTalkEncodingAesKey": aesKey}, nil, false},
		{"the least of WeCom", "WeChat", "WeChat", minWeChat, map[string]string{"WeChatSecret": "planted-1"},
			nil, true},
		{"all of WeCom by its alias", "wecom", "WeChat", fullWeChat,
			map[string]string{"WeChatSecret": "planted-1", "WeChatToken": "planted2", "WeChatEncodingAesKey": aesKey},
			map[string]string{"Token": secret.Mask, "AesKey": secret.Mask}, false},
		{"the least of Feishu", "Feishu", "Feishu", minFeishu, map[string]string{"FeishuAppSecret": "planted-1",
			"FeishuEncryptKey": "planted-2"}, nil, false},
		{"all of Feishu by its alias", "LARK", "Feishu", fullFeishu,
			map[string]string{"FeishuAppSecret": "planted-1", "FeishuEncryptKey": "planted-2",
				"FeishuVerificationToken": "planted-3"}, nil, false},
		{"the least of Slack", "Slack", "Slack", chattest.Slack,
			map[string]string{"SlackSigningSecret": "signing-secret-0"}, nil, false},
		{"all of Slack", "Slack", "Slack", fullSlack, map[string]string{"SlackSigningSecret": "planted-1",
			"SlackBotToken": "xoxb-planted-2"}, nil, false},
		{"the least of Teams", "Teams", "Teams", minTeams, map[string]string{"TeamsWebhookSecret": teamsSecret},
			nil, false},
		{"all of Teams", "TEAMS", "Teams", fullTeams, map[string]string{"TeamsWebhookSecret": teamsSecret}, nil, false},
	} {
		for _, more := range []bool{false, true} {
			h := newHouse(t)
			text, secrets := c.text, []string{chattest.TargetSecret}
			for _, secret := range c.secrets {
				secrets = append(secrets, secret)
			}
			if more {
				text = chattest.With(text, common)
			}
			h.MustCreate("one", func(in *chat.CreateRequest) { in.Type, in.Configuration = c.as, secret.Text(text) })
			chat.Settled(platformOf(t, c.stored), text, nil)
			got, stored := h.MustGet("one"), h.stored("one")
			if got.Type != c.stored {
				t.Errorf("%s: Type = %q, want %q", c.about, got.Type, c.stored)
			}
			want := mask(text, secrets...)
			if c.generated {
				want = chattest.With(want, `"WeChatToken":"******","WeChatEncodingAesKey":"******"`)
			}
			if got.Configuration != want {
				t.Errorf("%s: Configuration =\n%s, want\n%s", c.about, got.Configuration, want)
			}
			wantSecrets := map[string]string{chat.FieldWebhookToken: stored.Secrets[chat.FieldWebhookToken]}
			for field, secret := range c.secrets {
				wantSecrets[field] = secret
			}
			if more {
				wantSecrets[chat.FieldTargetSecret] = chattest.TargetSecret
			}
			if c.generated {
				wantSecrets["WeChatToken"], wantSecrets["WeChatEncodingAesKey"] = stored.Secrets["WeChatToken"],
					stored.Secrets["WeChatEncodingAesKey"]
			}
			chattest.Equal(t, c.about+": secrets", stored.Secrets, wantSecrets)
			outputs := decodeOutputs(t, got.Outputs)
			wantOutputs := map[string]string{"URL": "http://127.0.0.1:9000/webhook/" + chattest.Account +
				"/cn-hangzhou/one/" + stored.Secrets[chat.FieldWebhookToken]}
			for k, v := range c.outputs {
				wantOutputs[k] = v
			}
			if c.generated {
				wantOutputs["Token"], wantOutputs["AesKey"] = stored.Secrets["WeChatToken"],
					stored.Secrets["WeChatEncodingAesKey"]
			}
			chattest.Equal(t, c.about+": Outputs", outputs, wantOutputs)
			h.MustAgree()
		}
	}
}

// decodeOutputs returns the text of Outputs as a map, without Setup.
func decodeOutputs(t testing.TB, text string) map[string]string {
	t.Helper()
	var all map[string]any
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		t.Fatalf("Outputs %q: %v", text, err)
	}
	out := make(map[string]string)
	for key, value := range all {
		if key != "Setup" {
			out[key] = value.(string)
		}
	}
	return out
}

func TestOutputsKeepTheOrderOfTheOfficialExample(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one", func(in *chat.CreateRequest) { in.Type, in.Configuration = "WeChat", minWeChat })
	text := h.MustGet("one").Outputs
	if url, key := strings.Index(text, `{"URL": "http`), strings.Index(text, `, "AesKey": "`); url != 0 || key < 0 {
		t.Errorf("Outputs = %s", text)
	}
}

func TestGeneratedSecrets(t *testing.T) {
	h := newHouse(t)
	seen := make(map[string]bool)
	for i := range 20 {
		name := fmt.Sprint("one-", i)
		h.MustCreate(name, func(in *chat.CreateRequest) { in.Type, in.Configuration = "WeChat", minWeChat })
		secrets := h.stored(name).Secrets
		token, key, hook := secrets["WeChatToken"], secrets["WeChatEncodingAesKey"], secrets[chat.FieldWebhookToken]
		// https://developer.work.weixin.qq.com/document/path/90968:
		// AESKey=Base64_Decode(EncodingAESKey + "=")
		raw, err := base64.StdEncoding.DecodeString(key + "=")
		if err != nil || len(raw) != 32 || len(key) != 43 || strings.ContainsAny(key, "+/") {
			t.Errorf("EncodingAesKey %q: %d bytes, %v", key, len(raw), err)
		}
		if len(token) != 32 || strings.Trim(token,
			"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") != "" {
			t.Errorf("Token %q", token)
		}
		if bits, err := base64.RawURLEncoding.DecodeString(hook); err != nil || len(bits) != 16 {
			t.Errorf("webhook token %q: %v", hook, err)
		}
		seen[token], seen[key], seen[hook] = true, true, true
	}
	if len(seen) != 60 {
		t.Errorf("%d different secrets of 60", len(seen))
	}

	before := h.stored("one-0")
	h.MustUpdate(&chat.UpdateRequest{Name: "one-0", Configuration: chattest.Ptr[secret.Text](
		`{"WeChatCorpId":"ww9","WeChatAgentId":"7","WeChatSecret":"******"}`)})
	after := h.stored("one-0")
	chattest.Equal(t, "sealed secrets after an update that leaves them out", after.Sealed, before.Sealed)
	if got, want := after.Configuration,
		`{"WeChatCorpId":"ww9","WeChatAgentId":"7","WeChatSecret":"******","WeChatToken":"******",`+
			`"WeChatEncodingAesKey":"******"}`; got != want {
		t.Errorf("Configuration = %s, want %s", got, want)
	}
	h.MustUpdate(&chat.UpdateRequest{Name: "one-0",
		Configuration: chattest.Ptr(secret.Text(chattest.With(minWeChat, `"WeChatToken":"mine"`)))})
	last := h.stored("one-0").Secrets
	if last["WeChatToken"] != "mine" || last["WeChatEncodingAesKey"] != before.Secrets["WeChatEncodingAesKey"] {
		t.Errorf("after an update with a token of one's own: %q", last)
	}
	outputs := decodeOutputs(t, h.MustGet("one-0").Outputs)
	if outputs["Token"] != secret.Mask || outputs["AesKey"] != last["WeChatEncodingAesKey"] {
		t.Errorf("Outputs = %v, want the caller's own token masked, and the key that was made up", outputs)
	}
}

// TestConfigurationIsRefused goes through all that can be wrong in a Configuration.
func TestConfigurationIsRefused(t *testing.T) {
	h := newHouse(t)
	in := func(members string) string { return chattest.With(chattest.Slack, members) }
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	permission := func(p string) string { return in(`"UserGroups":{"sre":["a"]},"Permissions":[` + p + `]`) }
	const allow = `"Effect":"Allow","Principals":["*"],"Commands":["*"]`
	for _, c := range []struct {
		about, as, text string
		texts           []string
	}{
		{"an array", "Slack", `[]`, []string{"Configuration is an array", "write a JSON object"}},
		{"a string", "Slack", `"{}"`, []string{"Configuration is a string"}},
		{"a number", "Slack", `7`, []string{"Configuration is a number"}},
		{"null", "Slack", `null`, []string{"Configuration is true, false or null"}},
		{"no JSON", "Slack", `planted`, []string{"Configuration is not JSON at line 1, column 1; write a JSON object"}},
		{"the official example's parenthesis", "DingTalk", `({"DingTalkClientId":"planted"}`, []string{"not JSON"}},
		{"only blanks", "Slack", " \n", []string{"ends too early"}},
		{"an unfinished object", "Slack", `{"SlackSigningSecret":"planted-1"`, []string{"ends too early"}},
		{"an unfinished string", "Slack", `{"SlackSigningSecret":"planted-1`,
			[]string{"Configuration.SlackSigningSecret is not JSON", "ends too early"}},
		{"a trailing comma", "Slack", `{"SlackSigningSecret":"planted-1",}`, []string{"not JSON"}},
		{"a key without quotes", "Slack", `{SlackSigningSecret:"planted-1"}`, []string{"not JSON"}},
		{"a key that is a number", "Slack", `{7:"planted-1"}`, []string{"not JSON"}},
		{"a comment", "Slack", `{/*planted*/}`, []string{"not JSON"}},
		{"a second value", "Slack", chattest.Slack + `{}`, []string{"text after its end"}},
		{"text after the end", "Slack", chattest.Slack + ` planted`, []string{"text after its end"}},
		{"a zero byte after the end", "Slack", chattest.Slack + "\x00", []string{"text after its end"}},
		{"text that is not UTF-8", "Slack", "{\"SlackSigningSecret\":\"planted-\xff\"}",
			[]string{"Configuration is not UTF-8"}},
		{"a byte order mark", "Slack", "\ufeff" + chattest.Slack, []string{"not JSON"}},
		{"a key twice", "Slack", in(`"SlackSigningSecret":"planted-2"`),
			[]string{"Configuration.SlackSigningSecret: is given twice"}},
		{"a key twice, once escaped", "Slack", in(`"Slack\u0053igningSecret":"planted-2"`),
			[]string{"Configuration.SlackSigningSecret: is given twice"}},
		{"a key twice at depth", "Slack", in(`"Permissions":[{"Effect":"Allow","Effect":"Deny"}]`),
			[]string{"Configuration.Permissions[0].Effect: is given twice"}},
		{"a strange key twice", "Slack", in(`"UserGroups":{"a.b":["x"],"a.b":["y"]}`),
			[]string{`Configuration.UserGroups["a.b"]: is given twice`}},
		{"17 levels", "Slack", in(`"Target":` + deep(16)), []string{"nested more than 16 levels"}},
		{"64 thousand levels", "Slack", strings.Repeat("[", 60_000), []string{"nested more than 16 levels"}},
		{"65,537 bytes", "Slack", in(`"BotName":"` + strings.Repeat("planted", 10_000)[:65537-len(in(`"BotName":""`))] +
			`"`), []string{"65537 bytes", "65536"}},
		{"65,536 bytes that escaping makes more", "Slack", strings.Replace(filled(65536-767, "a"), `"x"`, `"`+
			strings.Repeat("\u2028", 256)+`"`, 1), []string{"as it is stored", "65536"}},

		{"an unknown key that is near a known one", "DingTalk",
			chattest.With(minDingTalk, `"DingTalkTemplatId":"planted"`),
			[]string{"Configuration.DingTalkTemplatId: unknown key for type DingTalk",
				"did you mean DingTalkTemplateId?"}},
		{"a known key in another case", "Slack", in(`"slackbottoken":"planted"`),
			[]string{"Configuration.slackbottoken", "did you mean SlackBotToken?"}},
		{"a common key misspelt", "Slack", in(`"Permission":[]`), []string{"did you mean Permissions?"}},
		{"a key of another platform", "Slack", in(`"FeishuVerificationToken":"planted"`),
			[]string{"use one of SlackSigningSecret, ", "SlackBotToken, SlackTeamId, BotName"}},
		{"an empty key", "Slack", in(`"":"planted"`), []string{`Configuration[""]: unknown key`, "use one of"}},
		{"a key with a newline", "Slack", in(`"a\nb":"planted"`), []string{`Configuration["a\nb"]`}},

		{"a DingTalk token with two letters", "DingTalk", chattest.With(minDingTalk, `"DingTalkToken":"zq"`),
			[]string{"Configuration.DingTalkToken", "3 to 63 letters and digits"}},
		{"an AES key of 42", "DingTalk", chattest.With(minDingTalk, `"DingTalkEncodingAesKey":"`+
			strings.Repeat("q", 42)+`"`), []string{"Configuration.DingTalkEncodingAesKey", "43 letters and digits"}},
		{"an AES key with a plus", "WeChat", chattest.With(minWeChat, `"WeChatEncodingAesKey":"`+
			strings.Repeat("q", 42)+`+"`), []string{"Configuration.WeChatEncodingAesKey", "43 letters and digits"}},
		{"a WeCom token of 33", "WeChat", chattest.With(minWeChat, `"WeChatToken":"`+strings.Repeat("q", 33)+`"`),
			[]string{"Configuration.WeChatToken", "1 to 32 letters and digits"}},
		{"an agent id with a letter", "WeChat",
			`{"WeChatCorpId":"ww","WeChatAgentId":"10x","WeChatSecret":"planted-1"}`,
			[]string{`Configuration.WeChatAgentId: "10x" is not 1 to 20 digits`}},
		{"a negative agent id", "WeChat", `{"WeChatCorpId":"ww","WeChatAgentId":-1,"WeChatSecret":"planted-1"}`,
			[]string{`Configuration.WeChatAgentId: "-1"`}},
		{"an agent id with an exponent", "WeChat",
			`{"WeChatCorpId":"ww","WeChatAgentId":1e3,"WeChatSecret":"planted-1"}`,
			[]string{`Configuration.WeChatAgentId: "1e3"`}},
		{"an agent id that is true", "WeChat", `{"WeChatCorpId":"ww","WeChatAgentId":true,"WeChatSecret":"planted-1"}`,
			[]string{"Configuration.WeChatAgentId: is true, false or null"}},
		{"an agent id of 21 digits", "WeChat",
			`{"WeChatCorpId":"ww","WeChatAgentId":123456789012345678901,"WeChatSecret":"planted-1"}`,
			[]string{"1 to 20 digits"}},
		{"a DingTalk token without its key", "DingTalk", chattest.With(minDingTalk, `"DingTalkToken":"planted2"`),
			[]string{"Configuration.DingTalkEncodingAesKey: is missing; DingTalkToken needs it."}},
		{"a DingTalk key without its token", "DingTalk", chattest.With(minDingTalk, `"DingTalkEncodingAesKey":"`+
			strings.Repeat("q", 43)+`"`),
			[]string{"Configuration.DingTalkToken: is missing; DingTalkEncodingAesKey needs it."}},
		{"a DingTalk token of before alone", "DingTalk", chattest.With(minDingTalk,
			`"DingTalkTokenPrevious":"planted2"`),
			[]string{"Configuration.DingTalkToken: is missing; DingTalkTokenPrevious needs it."}},
		{"a DingTalk key of before alone", "DingTalk", chattest.With(minDingTalk, `"DingTalkEncodingAesKeyPrevious":"`+
			strings.Repeat("q", 43)+`"`),
			[]string{"Configuration.DingTalkEncodingAesKey: is missing; DingTalkEncodingAesKeyPrevious needs it."}},
		{"a DingTalk card's secret of before alone", "DingTalk",
			chattest.With(minDingTalk, `"DingTalkCardSecretPrevious":"planted"`),
			[]string{"Configuration.DingTalkCardSecret: is missing; DingTalkCardSecretPrevious needs it."}},
		{"a Feishu token of before alone", "Feishu", chattest.With(minFeishu,
			`"FeishuVerificationTokenPrevious":"planted"`),
			[]string{"Configuration.FeishuVerificationToken: is missing; FeishuVerificationTokenPrevious needs it."}},
		{"another domain", "Feishu", chattest.With(minFeishu, `"FeishuDomain":"Lark"`),
			[]string{`Configuration.FeishuDomain: "Lark" is not feishu or lark`}},
		{"a Slack team with a dash", "Slack", in(`"SlackTeamId":"T-1"`), []string{`Configuration.SlackTeamId: "T-1"`}},
		{"a signing secret of 7", "Slack", `{"SlackSigningSecret":"planted"}`,
			[]string{"Configuration.SlackSigningSecret: is not 8 to 256"}},
		{"a Teams secret that is no base64", "Teams", `{"TeamsWebhookSecret":"planted-planted-planted"}`,
			[]string{"Configuration.TeamsWebhookSecret: is not 16 to 64 bytes in base64"}},
		{"a Teams secret with a newline", "Teams", `{"TeamsWebhookSecret":"cGxhbnRlZHBsYW50\nZWRwbGFudGVk"}`,
			[]string{"Configuration.TeamsWebhookSecret"}},
		{"a Teams secret that is too short", "Teams", `{"TeamsWebhookSecret":"cGxhbnRlZA=="}`,
			[]string{"Configuration.TeamsWebhookSecret"}},

		{"a bot name that is a number", "Slack", in(`"BotName":7`),
			[]string{"Configuration.BotName: is a number; write a string of 1 to 256 characters"}},
		{"an empty bot name", "Slack", in(`"BotName":""`), []string{`Configuration.BotName: "" is not`}},
		{"a bot name of 257 runes", "Slack", in(`"BotName":"` + strings.Repeat("钉", 257) + `"`),
			[]string{"Configuration.BotName"}},
		{"a bot name with a newline", "Slack", in(`"BotName":"a\nb"`), []string{`"a\nb" is not`}},

		{"conversations that are a string", "Slack", in(`"ConversationIds":"c1"`),
			[]string{"Configuration.ConversationIds: is a string; write an array"}},
		{"no conversations", "Slack", in(`"ConversationIds":[]`),
			[]string{"Configuration.ConversationIds: has 0 entries"}},
		{"1001 conversations", "Slack", in(`"ConversationIds":[` + strings.Repeat(`"a",`, 1000) + `"b"]`),
			[]string{"has 1001 entries; use 1 to 1000"}},
		{"a conversation twice", "Slack", in(`"ConversationIds":["c1","c2","c1"]`),
			[]string{`Configuration.ConversationIds[2]: "c1" is listed twice`}},
		{"a conversation with what cannot be seen", "Slack", in("\"ConversationIds\":[\"c\u200b1\"]"),
			[]string{"Configuration.ConversationIds[0]: ",
				"1 to 256 bytes of visible characters without blanks, '*' and '?'"}},
		{"a conversation with a blank", "Slack", in(`"ConversationIds":["c1","a b"]`),
			[]string{`Configuration.ConversationIds[1]: "a b" is not 1 to 256 bytes ` +
				`of visible characters without blanks`}},
		{"a conversation with a blank of another kind", "Slack", in(`"ConversationIds":["a\u3000b"]`),
			[]string{"Configuration.ConversationIds[0]: "}},
		{"a conversation of 86 Chinese characters", "Slack", in(`"ConversationIds":["` + strings.Repeat("群", 86) +
			`"]`), []string{"Configuration.ConversationIds[0]: "}},
		{"a conversation that could not be read", "Slack", in(`"ConversationIds":["a\ufffd"]`),
			[]string{"Configuration.ConversationIds[0]: "}},
		{"all conversations, as a pattern has it", "Slack", in(`"ConversationIds":["*"]`),
			[]string{`Configuration.ConversationIds[0]: "*" is not`, "without blanks, '*' and '?'"}},
		{"a grant with a blank in a conversation", "Slack",
			in(`"Permissions":[{"Effect":"Allow","Principals":["*"],"Commands":["*"],"Conversations":["a b"]}]`),
			[]string{`Configuration.Permissions[0].Conversations[0]: "a b" is not 1 to 256 bytes of ` +
				`visible characters without blanks`}},
		{"a grant with what cannot be seen", "Slack",
			in(`"Permissions":[{"Effect":"Allow","Principals":["*"],"Commands":["*"],"Conversations":["19:x@` +
				"\u200b" + `thread.tacv2"]}]`),
			[]string{"Configuration.Permissions[0].Conversations[0]: ", "visible characters"}},
		{"a conversation that is null", "Slack", in(`"ConversationIds":["c1",null]`),
			[]string{"Configuration.ConversationIds[1]: is true, false or null"}},

		{"groups that are an array", "Slack", in(`"UserGroups":[]`),
			[]string{"Configuration.UserGroups: is an array; write an object"}},
		{"a group with a strange name", "Slack", in(`"UserGroups":{"a b":["x"]}`),
			[]string{`Configuration.UserGroups["a b"]: is not a group's name`}},
		{"a group without members", "Slack", in(`"UserGroups":{"sre":[]}`),
			[]string{"Configuration.UserGroups.sre: has 0 entries"}},
		{"a group without members beside one with some", "Slack", in(`"UserGroups":{"dev":["a"],"sre":[]}`),
			[]string{"Configuration.UserGroups.sre: has 0 entries; use 1 to 1000"}},
		{"a member with a blank", "Slack", in(`"UserGroups":{"sre":["a","b c"]}`),
			[]string{`Configuration.UserGroups.sre[1]: "b c"`}},

		{"permissions that are an object", "Slack", in(`"Permissions":{}`),
			[]string{"Configuration.Permissions: is an object; write an array"}},
		{"101 statements", "Slack", in(`"Permissions":[` + strings.Repeat(`{`+allow+`},`, 100) + `{}]`),
			[]string{"has 101 statements; the most is 100"}},
		{"a statement that is a string", "Slack", permission(`"x"`),
			[]string{"Configuration.Permissions[0]: is a string; write an object"}},
		{"a statement with an unknown key", "Slack", permission(`{` + allow + `},{` + allow + `,"Comands":[]}`),
			[]string{"Configuration.Permissions[1].Comands: unknown key; did you mean Commands?"}},
		{"a statement without effect", "Slack", permission(`{"Principals":["*"],"Commands":["*"]}`),
			[]string{"Configuration.Permissions[0].Effect: is missing"}},
		{"a statement without principals", "Slack", permission(`{"Effect":"Deny","Commands":["*"]}`),
			[]string{"Permissions[0].Principals: is missing"}},
		{"a statement without commands", "Slack", permission(`{"Effect":"Deny","Principals":["*"]}`),
			[]string{"Permissions[0].Commands: is missing"}},
		{"an effect in lower case", "Slack", permission(`{"Effect":"allow","Principals":["*"],"Commands":["*"]}`),
			[]string{`Permissions[0].Effect: "allow" is not Allow or Deny`}},
		{"an unknown sort of principal", "Slack",
			permission(`{"Effect":"Allow","Principals":["*","role:x"],"Commands":["*"]}`),
			[]string{`Permissions[0].Principals[1]: "role:x" is not a principal`}},
		{"an empty principal", "Slack", permission(`{"Effect":"Allow","Principals":[""],"Commands":["*"]}`),
			[]string{`Permissions[0].Principals[0]: "" is not user:<id>, group:<name> or *`}},
		{"a user with a blank", "Slack", permission(`{"Effect":"Allow","Principals":["user:a b"],"Commands":["*"]}`),
			[]string{`Permissions[0].Principals[0]: "user:a b" names a user whose id is not 1 ` +
				`to 256 bytes of visible characters`}},
		{"a user with what cannot be seen", "Slack",
			permission(`{"Effect":"Deny","Principals":["user:a\u200db"],"Commands":["*"]}`),
			[]string{`Permissions[0].Principals[0]: `, "visible characters"}},
		{"a user of 257 letters", "Slack", permission(`{"Effect":"Allow","Principals":["user:` +
			strings.Repeat("a", 257) + `"],"Commands":["*"]}`),
			[]string{`Permissions[0].Principals[0]: `, "1 to 256 bytes"}},
		{"a user without id", "Slack", permission(`{"Effect":"Allow","Principals":["user:"],"Commands":["*"]}`),
			[]string{`"user:" is not a principal`}},
		{"a group that is not declared", "Slack",
			permission(`{"Effect":"Allow","Principals":["group:dev"],"Commands":["*"]}`),
			[]string{`Principals[0]: the group "dev" is not among UserGroups`}},
		{"a group where none are declared", "Slack",
			in(`"Permissions":[{"Effect":"Allow","Principals":["group:sre"],"Commands":["*"]}]`),
			[]string{`the group "sre" is not among UserGroups`}},
		{"a group where the groups are no object", "Slack",
			in(`"Permissions":[{"Effect":"Allow","Principals":["group:sre"],"Commands":["*"]}],"UserGroups":"sre"`),
			[]string{"not among UserGroups"}},
		{"principals that are a string", "Slack", permission(`{"Effect":"Allow","Principals":"*","Commands":["*"]}`),
			[]string{"Permissions[0].Principals: is a string"}},
		{"a command with a blank", "Slack", permission(`{"Effect":"Allow","Principals":["*"],"Commands":["a b"]}`),
			[]string{`Permissions[0].Commands[0]: "a b"`}},
		{"a denial of help alone", "Slack", permission(`{"Effect":"Deny","Principals":["*"],"Commands":["help"]}`),
			[]string{`Configuration.Permissions[0].Commands[0]: "help" is always allowed, so it cannot be denied.`}},
		{"a denial of whoami among others", "Slack",
			permission(`{"Effect":"Deny","Principals":["*"],"Commands":["restart","ＷｈｏAmI"]}`),
			[]string{`Permissions[0].Commands[1]: "ＷｈｏAmI" is always allowed`}},
		{"conversations of a statement that are none", "Slack", permission(`{` + allow + `,"Conversations":[]}`),
			[]string{"Permissions[0].Conversations: has 0 entries"}},
		{"a role in a denial", "Slack",
			permission(`{"Effect":"Deny","Principals":["*"],"Commands":["*"],"RamRole":"x"}`),
			[]string{"Permissions[0].RamRole: does not apply to a Deny"}},
		{"a role that is the ARN of a user", "Slack", permission(`{` + allow + `,"RamRole":"acs:ram::1:user/x"}`),
			[]string{"Permissions[0].RamRole: is not a role; write a name"}},
		{"an empty role", "Slack", permission(`{` + allow + `,"RamRole":""}`),
			[]string{"Permissions[0].RamRole: is not a role; write"}},
		{"a role that is null", "Slack", permission(`{` + allow + `,"RamRole":null}`),
			[]string{"Permissions[0].RamRole: is not a role; write"}},

		{"a target that is a string", "Slack", in(`"Target":"https://planted"`),
			[]string{"Configuration.Target: is a string; write an object"}},
		{"a target without type", "Slack", in(`"Target":{}`),
			[]string{"Configuration.Target.Type: use Journal, Http, Function or Program"}},
		{"a target's type that is a number", "Slack", in(`"Target":{"Type":7}`),
			[]string{"Configuration.Target.Type: use"}},
		{"a target of unknown type", "Slack", in(`"Target":{"Type":"Email"}`),
			[]string{`Configuration.Target.Type: unknown type "Email"; use Journal, Http, Function or Program`}},
		{"a journal with a URL", "Slack", in(`"Target":{"Type":"Journal","Url":"https://planted"}`),
			[]string{"Configuration.Target.Url: unknown key; use Type"}},
		{"a target without secret", "Slack", in(`"Target":{"Type":"Http","Url":"https://planted"}`),
			[]string{"Configuration.Target.Secret: is missing"}},
		{"a target without URL", "Slack", in(`"Target":{"Type":"Http","Secret":"` + chattest.TargetSecret + `"}`),
			[]string{"Configuration.Target.Url: is missing"}},
		{"a target by http", "Slack", in(`"Target":{"Type":"Http","Url":"http://planted","Secret":"` +
			chattest.TargetSecret + `"}`), []string{"Configuration.Target.Url: write an https URL"}},
		{"a target with a password", "Slack", in(`"Target":{"Type":"Http","Url":"https://u:planted@h","Secret":"` +
			chattest.TargetSecret + `"}`), []string{"Configuration.Target.Url: write an https URL without user name"}},
		{"a target without host", "Slack", in(`"Target":{"Type":"Http","Url":"https:///planted","Secret":"` +
			chattest.TargetSecret + `"}`), []string{"Configuration.Target.Url"}},
		{"a target with a fragment", "Slack", in(`"Target":{"Type":"Http","Url":"https://h/#planted","Secret":"` +
			chattest.TargetSecret + `"}`), []string{"Configuration.Target.Url"}},
		{"a target's URL with a blank", "Slack", in(`"Target":{"Type":"Http","Url":"https://h/ planted","Secret":"` +
			chattest.TargetSecret + `"}`), []string{"Configuration.Target.Url"}},
		{"a target's URL that is a number", "Slack", in(`"Target":{"Type":"Http","Url":7,"Secret":"` +
			chattest.TargetSecret + `"}`), []string{"Configuration.Target.Url"}},
		{"an invalid target's URL", "Slack", in(`"Target":{"Type":"Http","Url":"https://h/%planted","Secret":"` +
			chattest.TargetSecret + `"}`), []string{"Configuration.Target.Url"}},
		{"a target's secret that is short", "Slack",
			in(`"Target":{"Type":"Http","Url":"https://h","Secret":"whsec_cGxhbnRlZA=="}`),
			[]string{"Configuration.Target.Secret: is not 24 to 64 bytes in base64"}},
		{"a target's secret that is a number", "Slack", in(`"Target":{"Type":"Http","Url":"https://h","Secret":7}`),
			[]string{"Configuration.Target.Secret: is a number"}},
		{"a target's secret that is masked", "Slack",
			in(`"Target":{"Type":"Http","Url":"https://h","Secret":"******"}`),
			[]string{"Configuration.Target.Secret: is masked, and no stored secret exists"}},
		{"a function without name", "Slack", in(`"Target":{"Type":"Function"}`),
			[]string{"Configuration.Target.Name: is missing"}},
		{"a function with a blank in its name", "Slack", in(`"Target":{"Type":"Function","Name":"a b"}`),
			[]string{`Configuration.Target.Name: "a b"`}},
	} {
		_, err := h.Create(h.Ctx, &chat.CreateRequest{Name: "one", Type: c.as, Configuration: secret.Text(c.text)})
		chattest.WantError(t, c.about, err, fault.InvalidParameter, "Configuration", c.texts...)
		chat.Settled(platformOf(t, c.as), c.text, err)
		if err != nil && (strings.Contains(err.Error(), "planted") || strings.Contains(err.Error(), "cGxhbnRlZ")) {
			t.Errorf("%s: the error shows a value: %v", c.about, err)
		}
	}
}

// filled returns a Slack configuration of exactly n bytes whose conversations are long texts of one
// rune.
func filled(n int, r string) string {
	var b strings.Builder
	b.WriteString(`{"SlackSigningSecret":"signing-secret-0","ConversationIds":[`)
	for i := 0; b.Len() < n-1000; i++ {
		fmt.Fprintf(&b, `"%d%s",`, i, strings.Repeat(r, 200/len(r)))
	}
	rest := n - b.Len() - len(`"`+`"],"BotName":"x"}`)
	b.WriteString(`"` + strings.Repeat("z", min(rest, 200)) + `"],`)
	b.WriteString(strings.Repeat(" ", rest-min(rest, 200)) + `"BotName":"x"}`)
	return b.String()
}

func TestLargestConfiguration(t *testing.T) {
	for about, text := range map[string]string{
		"ASCII":      filled(65536, "a"),
		"quotes":     filled(65536, `\"`),
		"four bytes": filled(65536, "😀"),
	} {
		if len(text) != 65536 {
			t.Fatalf("%s: %d bytes", about, len(text))
		}
		h := newHouse(t)
		h.MustCreate("one", func(in *chat.CreateRequest) { in.Configuration = secret.Text(text) })
		got := h.MustGet("one").Configuration
		h.MustUpdate(&chat.UpdateRequest{Name: "one", Configuration: chattest.Ptr(secret.Text(got))})
		if again := h.MustGet("one").Configuration; again != got {
			t.Errorf("%s: the text changed when it was sent back", about)
		}
	}
}

func TestConfigurationThatIsMissing(t *testing.T) {
	h := newHouse(t)
	_, err := h.Create(h.Ctx, &chat.CreateRequest{Name: "one", Type: "Slack"})
	chattest.WantError(t, "Create without Configuration", err, fault.MissingParameter, "Configuration", "mandatory")
	h.MustCreate("one")
	_, err = h.Update(h.Ctx, &chat.UpdateRequest{Name: "one", Configuration: chattest.Ptr[secret.Text]("")})
	chattest.WantError(t, "Update with an empty Configuration", err, fault.MissingParameter,
		"Configuration", "mandatory")
}

func TestAcceptedCommonKeys(t *testing.T) {
	for about, members := range map[string]string{
		"no statement": `"Permissions":[]`,
		"no group":     `"UserGroups":{}`,
		"help and whoami, which are allowed anyway": `"Permissions":[{"Effect":"Allow","Principals":["*"],` +
			`"Commands":["help","whoami"]}]`,
		"a denial of more than help": `"Permissions":[{"Effect":"Deny",` +
			`"Principals":["*"],"Commands":["hel*","*"]}]`,
		"people whose ids are Chinese": `"UserGroups":{"sre":["张三"]},"Permissions":[{"Effect":"Allow",` +
			`"Principals":["user:张三","group:sre"],"Commands":["*"]}]`,
		"a user and a conversation of 256 bytes": `"ConversationIds":["` + strings.Repeat("c", 256) +
			`"],"Permissions":[{"Effect":"Allow","Principals":["user:` +
			strings.Repeat("群", 85) + `u"],"Commands":["*"]}]`,
		"groups that come after the statements": `"Permissions":[{"Effect":"Allow","Principals":["group:sre"],` +
			`"Commands":["*"]}],"UserGroups":{"sre":["a"]}`,
		"a journal": `"Target":{"Type":"Journal"}`,
		"a function": `"Target":{"Name":"acs:fc:cn-hangzhou:1:functions/f",` +
			`"Type":"Function"}`,
		"a target's secret without its prefix": `"Target":{"Type":"Http","Url":"https://h:8443/x?y=z",` +
			`"Secret":"cGxhbnRlZHBsYW50ZWRwbGFudGVkcGxhbnRlZA=="}`,
		"a principal with colons": `"Permissions":[{"Effect":"Allow",` +
			`"Principals":["user:a:b"],"Commands":["*"]}]`,
		"1000 conversations":                  `"ConversationIds":[` + strings.Join(numbered(1000), ",") + `]`,
		"numbers of names in ConversationIds": `"ConversationIds":["cid+/=","群"]`,
	} {
		if _, _, _, err := chat.Settle(platformOf(t, "Slack"), chattest.With(chattest.Slack, members),
			never, zeros); err != nil {
			t.Errorf("%s: %v", about, err)
		}
	}
}

// TestHalvesThatAreThere holds that a setting that another needs may be one that was made up, or a
// stored secret whose mask was sent back.
func TestHalvesThatAreThere(t *testing.T) {
	if _, secrets, _, err := chat.Settle(platformOf(t, "WeChat"),
		chattest.With(minWeChat, `"WeChatTokenPrevious":"planted2"`), never, zeros); err != nil ||
		secrets["WeChatToken"] == "" {
		t.Errorf("a token of before, and one that is made up: %v", err)
	}
	masked := chattest.With(minDingTalk,
		`"DingTalkToken":"******","DingTalkTokenPrevious":"planted2","DingTalkEncodingAesKey":"******"`)
	if _, _, kept, err := chat.Settle(platformOf(t, "DingTalk"), masked, always, zeros); err != nil || len(kept) != 2 {
		t.Errorf("masks of a token and its key: kept %q, %v", kept, err)
	}
}

func numbered(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("%q", fmt.Sprint("c", i))
	}
	return list
}

// TestMaskedRoundTrip goes through what may happen to secrets when what was read is changed and
// sent back.
func TestMaskedRoundTrip(t *testing.T) {
	h := newHouse(t)
	full := chattest.With(fullDingTalk, `"Target":{"Type":"Http","Url":"https://a","Secret":"`+
		chattest.TargetSecret+`"}`)
	h.MustCreate("one", func(in *chat.CreateRequest) { in.Type, in.Configuration = "DingTalk", secret.Text(full) })
	first := h.stored("one")

	update := func(text string) *chat.Stored {
		t.Helper()
		h.MustUpdate(&chat.UpdateRequest{Name: "one", Configuration: chattest.Ptr(secret.Text(text))})
		return h.stored("one")
	}
	refuse := func(about, text string, texts ...string) {
		t.Helper()
		_, err := h.Update(h.Ctx, &chat.UpdateRequest{Name: "one", Configuration: chattest.Ptr(secret.Text(text))})
		chattest.WantError(t, about, err, fault.InvalidParameter, "Configuration", texts...)
	}

	kept := update(strings.Replace(first.Configuration, "robot-1", "robot-2", 1))
	chattest.Equal(t, "sealed secrets after masks were sent back", kept.Sealed, first.Sealed)
	if !strings.Contains(kept.Configuration, "robot-2") {
		t.Errorf("Configuration = %s", kept.Configuration)
	}

	replaced := update(strings.Replace(kept.Configuration, `"DingTalkClientSecret":"******"`,
		`"DingTalkClientSecret":"planted-new"`, 1))
	if got := replaced.Secrets["DingTalkClientSecret"]; got != "planted-new" {
		t.Errorf("the new secret is %q", got)
	}
	chattest.Equal(t, "sealed token after another secret was replaced", replaced.Sealed["DingTalkToken"],
		first.Sealed["DingTalkToken"])

	removed := update(`{"DingTalkClientId":"dingabc","DingTalkClientSecret":"******"}`)
	chattest.Equal(t, "fields after secrets were left out", keys(removed.Secrets),
		[]string{chat.FieldWebhookToken, "DingTalkClientSecret"})
	if got := removed.Secrets["DingTalkClientSecret"]; got != "planted-new" {
		t.Errorf("the kept secret is %q", got)
	}
	refuse("a mask for a secret that was removed",
		`{"DingTalkClientId":"dingabc","DingTalkClientSecret":"******","DingTalkToken":"******"}`,
		"Configuration.DingTalkToken: is masked")
	refuse("a mask for a target that was removed", chattest.With(removed.Configuration,
		`"Target":{"Type":"Http","Url":"https://a","Secret":"******"}`),
		"Configuration.Target.Secret: is masked")
	refuse("a required secret that is left out", `{"DingTalkClientId":"dingabc"}`,
		"Configuration.DingTalkClientSecret: is missing")
	refuse("a mask of five", `{"DingTalkClientId":"dingabc","DingTalkClientSecret":"*****","DingTalkToken":"*****"}`,
		"Configuration.DingTalkToken")

	_, err := h.Create(h.Ctx, &chat.CreateRequest{Name: "two", Type: "DingTalk",
		Configuration: secret.Text(first.Configuration)})
	chattest.WantError(t, "Create with masks", err, fault.InvalidParameter, "Configuration",
		"Configuration.DingTalkClientSecret: is masked", "write the secret itself")
	h.MustAgree()
}

func keys[V any](m map[string]V) []string {
	list := make([]string, 0, len(m))
	for k := range m {
		list = append(list, k)
	}
	slices.Sort(list)
	return list
}

// TestMaskIsOnlyForSecrets holds that a mask in another setting is a value like any other.
func TestMaskIsOnlyForSecrets(t *testing.T) {
	text, _, kept, err := chat.Settle(platformOf(t, "Slack"), chattest.With(chattest.Slack, `"BotName":"******"`),
		always, zeros)
	if err != nil || len(kept) != 0 || !strings.Contains(text, `"BotName":"******"`) {
		t.Errorf("Settle = %s, %q, %v", text, kept, err)
	}
}

func TestRandomnessThatFailsIsOurFault(t *testing.T) {
	broken := iotest.ErrReader(errors.New("planted"))
	for about, c := range map[string]struct {
		as, text string
	}{
		"for a generated setting": {"WeChat", minWeChat},
		"for a webhook token":     {"Slack", chattest.Slack},
	} {
		h := newHouseWith(t, chat.Options{Random: broken})
		out, err := h.Create(h.Ctx, &chat.CreateRequest{Name: "one", Type: c.as, Configuration: secret.Text(c.text)})
		chattest.WantError(t, "Create without randomness "+about, err, fault.Internal, "")
		chattest.WantNoDetail(t, err)
		if out != nil {
			t.Errorf("Create without randomness %s returned %+v", about, out)
		}
	}
	h := newHouseWith(t, chat.Options{Random: io.LimitReader(zeros, 16)})
	h.MustCreate("one")
	_, err := h.Create(h.Ctx, &chat.CreateRequest{Name: "two", Type: "Slack", Configuration: chattest.Slack})
	chattest.WantError(t, "Create when randomness ends", err, fault.Internal, "")
}

func TestSuggestion(t *testing.T) {
	known := []string{"Effect", "Principals", "Commands"}
	for word, want := range map[string]string{
		"effect":     "did you mean Effect?",
		"Efect":      "did you mean Effect?",
		"Principal":  "did you mean Principals?",
		"Command":    "did you mean Commands?",
		"Comamnds":   "did you mean Commands?",
		"X":          "use one of Effect, Principals, Commands",
		"":           "use one of Effect, Principals, Commands",
		"Wavelength": "use one of Effect, Principals, Commands",
	} {
		if got := chat.Suggestion(word, known); got != want {
			t.Errorf("Suggestion(%q) = %q, want %q", word, got, want)
		}
	}
	for _, word := range []string{"Tags", strings.Repeat("Name", 20)} {
		if got, want := chat.Suggestion(word, []string{"Name", "Type"}), "use one of Name, Type"; got != want {
			t.Errorf("Suggestion(%q) = %q, want %q", word, got, want)
		}
	}
}

// fieldOf returns the value of a secret's field in a Configuration.
func fieldOf(m map[string]any, field string) any {
	if target, ok := strings.CutPrefix(field, "Actions."); ok {
		name := strings.TrimSuffix(target, "."+chat.FieldTargetSecret)
		for key, action := range m["Actions"].(map[string]any) {
			if command.FoldName(key) == name {
				return action.(map[string]any)["Target"].(map[string]any)["Secret"]
			}
		}
		return nil
	}
	var at any = m
	for step := range strings.SplitSeq(field, ".") {
		at = at.(map[string]any)[step]
	}
	return at
}

// FuzzSettle holds what is promised of any Configuration text: no panic; what is accepted is JSON,
// compact, without any of its secrets, complete; and sent back it is taken as it is, all secrets
// kept.
func FuzzSettle(f *testing.F) {
	platforms := platform.All().Descriptions()
	for i, seeds := range [][]string{{minDingTalk, fullDingTalk}, {minWeChat, fullWeChat}, {minFeishu, fullFeishu},
		{chattest.Slack, fullSlack}, {minTeams, fullTeams}} {
		for _, seed := range seeds {
			f.Add(uint8(i), seed)
			f.Add(uint8(i), chattest.With(seed, common))
		}
	}
	f.Add(uint8(1), streamWeChat)
	f.Add(uint8(3), streamSlack)
	f.Add(uint8(4), chattest.With(minTeams, `"Receive":"Stream"`))
	f.Add(uint8(3), chattest.With(chattest.Slack,
		`"Target":{"Type":"Function","Name":"f"},"BotName":"\u2028<&>\ud800"`))
	f.Add(uint8(3), chattest.With(chattest.Slack, `"Actions":{"/Re.start":{"Target":{"Type":"Http",`+
		`"Url":"https://a","Secret":"`+chattest.TargetSecret+`"},"DryRun":true}},"StrictActions":false`))
	f.Fuzz(func(t *testing.T, which uint8, text string) {
		p := platforms[int(which)%len(platforms)]
		masked, secrets, kept, err := chat.Settle(p, text, never, zeros)
		if err != nil {
			var e *fault.Error
			if !errors.As(err, &e) || e.Param != "Configuration" || e.Message == "" {
				t.Fatalf("%v (%T)", err, err)
			}
			if _, _, _, err := chat.Settle(p, text, always, zeros); err == nil && !strings.Contains(text, `*`) &&
				!strings.Contains(text, `\u002`) {
				t.Fatal("taken only where secrets are stored, and there is no mask in it")
			}
			return
		}
		if len(kept) != 0 {
			t.Fatalf("kept %q of nothing", kept)
		}
		var m map[string]any
		if err := json.Unmarshal([]byte(masked), &m); err != nil || len(masked) > chat.MaxConfiguration {
			t.Fatalf("%d bytes, %v", len(masked), err)
		}
		for field, hidden := range secrets {
			if at := fieldOf(m, field); at != secret.Mask {
				t.Fatalf("%s stands there as %v", field, at)
			}
			if hidden == secret.Mask || hidden == "" {
				t.Fatalf("%s is %q", field, hidden)
			}
		}
		for _, s := range p.Settings {
			_, there := m[s.Key]
			_, found := secrets[s.Key]
			receive, ok := m["Receive"].(string)
			if !ok {
				receive = "Webhook"
			}
			if (s.Required || s.Generate) && s.Applies(receive) && !there || s.Secret && there != found {
				t.Fatalf("%s: in the text %v, among the secrets %v", s.Key, there, found)
			}
		}
		again, none, keptAll, err := chat.Settle(p, masked, func(field string) bool {
			_,
				ok := secrets[field]
			return ok
		}, zeros)
		if err != nil || again != masked || len(none) != 0 || len(keptAll) != len(secrets) {
			t.Fatalf("sent back: %v, %q, kept %q\n%s\n%s", err, none, keptAll, masked, again)
		}
	})
}

package platform_test

import (
	"path/filepath"
	"strings"
	"testing"

	"chatconf/shared/chat"
	"chatconf/shared/platform"
	"chatconf/shared/seal"
	"chatconf/shared/secret"
	"chatconf/shared/table/file"
)

// TestDeclarations holds what the control plane relies on, of every platform.
func TestDeclarations(t *testing.T) {
	all := platform.All().Descriptions()
	if got, want := len(all), 5; got != want {
		t.Fatalf("%d platforms, want %d", got, want)
	}
	common := map[string]bool{"BotName": true, "ConversationIds": true, "UserGroups": true, "Permissions": true, "Target": true}
	taken := make(map[string]string) // type or alias in lower case
	owner := make(map[string]string) // of a key
	for _, p := range all {
		for _, name := range append([]string{p.Type}, p.Aliases...) {
			if other, ok := taken[strings.ToLower(name)]; ok {
				t.Errorf("%s: the name %s is taken by %s", p.Type, name, other)
			}
			taken[strings.ToLower(name)] = p.Type
		}
		if p.Title == "" {
			t.Errorf("%s has no title", p.Type)
		}
		secrets := 0
		for _, s := range p.Settings {
			if other, ok := owner[s.Key]; ok || common[s.Key] {
				t.Errorf("%s: the key %s is taken by %s", p.Type, s.Key, other)
			}
			owner[s.Key] = p.Type
			if !strings.HasPrefix(s.Key, p.Type) {
				t.Errorf("%s: the key %s does not begin with the type", p.Type, s.Key)
			}
			if s.Secret && s.Required {
				secrets++
			}
			if s.Required && s.Generate {
				t.Errorf("%s: %s is required and generated", p.Type, s.Key)
			}
			for _, word := range []string{"Secret", "Token", "AesKey", "EncryptKey"} {
				if strings.HasSuffix(s.Key, word) && !s.Secret {
					t.Errorf("%s: %s is not declared secret", p.Type, s.Key)
				}
			}
			if s.Shape.Fits("") || s.Shape.Fits(strings.Repeat("a", 100_000)) || s.Shape.Fits("a\nb") || s.Shape.Fits("a\x00") {
				t.Errorf("%s: %s takes nothing, too much, or a control character", p.Type, s.Key)
			}
			if s.Secret && s.Shape.Fits(secret.Mask) && !strings.Contains(s.Shape.Want, "printable") {
				t.Errorf("%s: the shape of %s takes the mask", p.Type, s.Key)
			}
			if !s.Generate {
				continue
			}
			for i := range 256 {
				random := make([]byte, 32)
				for j := range random {
					random[j] = byte(i * (j + 1))
				}
				if made := s.Shape.Make(random); !s.Shape.Fits(made) {
					t.Errorf("%s: %s is made as %q, which does not fit", p.Type, s.Key, made)
				}
			}
		}
		if secrets == 0 {
			t.Errorf("%s has no required secret: nothing would prove its messages genuine", p.Type)
		}
	}
}

// TestServiceTakesThem holds that a service with all platforms starts.
func TestServiceTakesThem(t *testing.T) {
	db, err := file.Open(filepath.Join(t.TempDir(), "table.db"), file.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	ring, err := seal.NewRing(seal.Key{ID: "k", Secret: [seal.KeySize]byte{1}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := chat.New(db.Table("t", file.TableOptions{}), ring, platform.All().Descriptions(), chat.Options{}); err != nil {
		t.Error(err)
	}
}

// TestSettings holds the settings that the issue names: each key, whether it must be there, whether it is secret.
func TestSettings(t *testing.T) {
	want := map[string]string{
		"DingTalk": "DingTalkClientId! DingTalkClientSecret!* DingTalkClientSecretPrevious* DingTalkTemplateId DingTalkRobotCode DingTalkCorpId DingTalkWindowSeconds DingTalkToken* DingTalkEncodingAesKey* DingTalkTokenPrevious* DingTalkEncodingAesKeyPrevious* DingTalkOwnerKey DingTalkCardSecret* DingTalkCardSecretPrevious*",
		"WeChat":   "WeChatCorpId! WeChatAgentId! WeChatSecret!* WeChatToken*+ WeChatEncodingAesKey*+ WeChatTokenPrevious* WeChatEncodingAesKeyPrevious* WeChatAibot",
		"Feishu":   "FeishuAppId! FeishuAppSecret!* FeishuEncryptKey!* FeishuVerificationToken* FeishuEncryptKeyPrevious* FeishuVerificationTokenPrevious* FeishuWindowSeconds FeishuOldCards FeishuDomain",
		"Slack":    "SlackSigningSecret!* SlackSigningSecretPrevious* SlackBotToken* SlackTeamId",
		"Teams":    "TeamsWebhookSecret!* TeamsWebhookSecretPrevious* TeamsTenantId",
	}
	for _, p := range platform.All().Descriptions() {
		var got []string
		for _, s := range p.Settings {
			key := s.Key
			for _, mark := range []struct {
				is   bool
				sign string
			}{{s.Required, "!"}, {s.Secret, "*"}, {s.Generate, "+"}} {
				if mark.is {
					key += mark.sign
				}
			}
			got = append(got, key)
		}
		if got := strings.Join(got, " "); got != want[p.Type] {
			t.Errorf("%s has %s, want %s", p.Type, got, want[p.Type])
		}
	}
}

// TestShapes tries values of each setting, as people and the platforms' consoles write them.
func TestShapes(t *testing.T) {
	long := func(n int) string { return strings.Repeat("x", n) }
	values := map[string]struct{ good, bad []string }{
		"DingTalkClientId":                {[]string{"dingabc123", long(128)}, []string{"ding abc", "钉", long(129)}},
		"DingTalkClientSecret":            {[]string{"s/e+c=r*~", long(256)}, []string{"a b", long(257)}},
		"DingTalkTemplateId":              {[]string{"0a1b2c3d-0000-4000-8000-000000000000.schema"}, []string{"a b"}},
		"DingTalkRobotCode":               {[]string{"dingabc123"}, []string{"a b"}},
		"DingTalkToken":                   {[]string{"abc", long(63)}, []string{"ab", "a-b", long(64)}},
		"DingTalkClientSecretPrevious":    {[]string{"s/e+c=r*~"}, []string{"a b", long(257)}},
		"DingTalkCorpId":                  {[]string{"ding6ccabc44d2c8d38b"}, []string{"a b", long(65)}},
		"DingTalkWindowSeconds":           {[]string{"1", "300", "3600"}, []string{"0", "3601", "-1", "+1", "01", "1e2", "1.0", "٣", "99999999999999999999"}},
		"DingTalkTokenPrevious":           {[]string{"abc"}, []string{"ab", "a-b"}},
		"DingTalkEncodingAesKeyPrevious":  {[]string{long(43)}, []string{long(42), long(44)}},
		"DingTalkOwnerKey":                {[]string{"suite4xxxxxxxxxxxxxxx"}, []string{"a b", long(129)}},
		"DingTalkCardSecret":              {[]string{"x!"}, []string{"a b", long(257)}},
		"DingTalkCardSecretPrevious":      {[]string{"x!"}, []string{"a b", long(257)}},
		"WeChatTokenPrevious":             {[]string{"a", long(32)}, []string{long(33), "a_b"}},
		"WeChatEncodingAesKeyPrevious":    {[]string{long(43)}, []string{long(42), long(42) + "/"}},
		"WeChatAibot":                     {[]string{"true", "false"}, []string{"True", "1", "yes"}},
		"FeishuEncryptKeyPrevious":        {[]string{"x!"}, []string{"é"}},
		"FeishuVerificationTokenPrevious": {[]string{"x"}, []string{long(257)}},
		"FeishuWindowSeconds":             {[]string{"1", "28800"}, []string{"0", "28801", ""}},
		"SlackSigningSecretPrevious":      {[]string{long(8)}, []string{long(7)}},
		"TeamsWebhookSecretPrevious":      {[]string{"vqF0En+Z0ucuRTM/01o2GuhMH3hKKk/N2bOmlM31zaA="}, []string{"AAAA"}},
		"DingTalkEncodingAesKey":          {[]string{long(43)}, []string{long(42), long(44), long(42) + "=", long(42) + "+"}},
		"WeChatCorpId":                    {[]string{"ww0123456789abcdef"}, []string{long(65)}},
		"WeChatAgentId":                   {[]string{"1000002", "0", long(0) + "12345678901234567890"}, []string{"-1", "1.0", "1e3", "x", "١", "123456789012345678901"}},
		"WeChatSecret":                    {[]string{"a_b-c"}, []string{"a\tb"}},
		"WeChatToken":                     {[]string{"a", long(32)}, []string{long(33), "a_b"}},
		"WeChatEncodingAesKey":            {[]string{long(43)}, []string{long(42), long(42) + "/"}},
		"FeishuAppId":                     {[]string{"cli_a1b2c3"}, []string{"cli a"}},
		"FeishuAppSecret":                 {[]string{"x"}, []string{"x y"}},
		"FeishuEncryptKey":                {[]string{"x!"}, []string{"é"}},
		"FeishuVerificationToken":         {[]string{"x"}, []string{long(257)}},
		"FeishuOldCards":                  {[]string{"true", "false"}, []string{"True", "1", "yes"}},
		"FeishuDomain":                    {[]string{"feishu", "lark"}, []string{"Feishu", "feishu ", "x"}},
		"SlackSigningSecret":              {[]string{"8f742231b10e8888abcd99yyyzzz85a5", long(8)}, []string{long(7)}},
		"SlackBotToken":                   {[]string{"xoxb-1-2-abc"}, []string{"xoxb 1"}},
		"SlackTeamId":                     {[]string{"T0123456789", "E1"}, []string{"T-1", long(33)}},
		"TeamsWebhookSecret":              {[]string{"vqF0En+Z0ucuRTM/01o2GuhMH3hKKk/N2bOmlM31zaA="}, []string{"vqF0En+Z0ucuRTM/01o2GuhMH3hKKk/N2bOmlM31zaA", "AAAA", "vqF0En-Z0ucuRTM_01o2GuhMH3hKKk_N2bOmlM31zaA="}},
		"TeamsTenantId":                   {[]string{"72f988bf-86f1-41af-91ab-2d7cd011db47"}, []string{long(65), "a b"}},
	}
	for _, p := range platform.All().Descriptions() {
		for _, s := range p.Settings {
			c, ok := values[s.Key]
			if !ok {
				t.Errorf("%s: no values are tried for %s", p.Type, s.Key)
			}
			delete(values, s.Key)
			for _, v := range c.good {
				if !s.Shape.Fits(v) {
					t.Errorf("%s does not take %q, wanted %s", s.Key, v, s.Shape.Want)
				}
			}
			for _, v := range c.bad {
				if s.Shape.Fits(v) {
					t.Errorf("%s takes %q, wanted %s", s.Key, v, s.Shape.Want)
				}
			}
		}
	}
	for key := range values {
		t.Errorf("values are tried for %s, which no platform has", key)
	}
}

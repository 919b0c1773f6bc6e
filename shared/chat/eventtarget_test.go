package chat_test

import (
	"net/netip"
	"strings"
	"testing"

	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/command"
	"chatconf/shared/dial"
	"chatconf/shared/secret"
)

func TestParseEventTarget(t *testing.T) {
	networks := dial.Networks{netip.MustParsePrefix("10.1.0.0/16")}
	const sns, fifo = "arn:aws:sns:eu-west-1:123456789012:chat_conf", "arn:aws-cn:sns:cn-north-1:123456789012:a-1.fifo"
	const mns = "acs:mns:cn-hangzhou:1234567890123456:/topics/chatconf"
	for text, want := range map[string]command.Target{
		`{"Type":"Http","Url":"https://10.1.2.3/?key=a","Secret":"` + chattest.TargetSecret + `"}`: {Type: "Http",
			URL: "https://10.1.2.3/?key=a", Secrets: []secret.Text{chattest.TargetSecret}},
		`{"Type":"Function","Name":"audit"}`:            {Type: "Function", Name: "audit"},
		`{"TopicArn":"` + sns + `","Type":"Topic"}`:     {Type: "Topic", TopicArn: sns},
		` {"Type":"Topic","TopicArn":"` + fifo + `"}  `: {Type: "Topic", TopicArn: fifo},
		`{"Type":"Topic","TopicArn":"` + mns + `"}`:     {Type: "Topic", TopicArn: mns},
	} {
		got, err := chat.ParseEventTarget(text, networks)
		if err != nil || got.Type != want.Type || got.URL.Reveal() != want.URL.Reveal() || got.Name != want.Name ||
			got.TopicArn != want.TopicArn ||
			len(want.Secrets) > 0 && got.Secrets[0].Reveal() != want.Secrets[0].Reveal() {
			t.Errorf("ParseEventTarget(%s) = %+v, %v", text, got, err)
		}
	}
}

// All mistakes are said at once, with what would be right, and without a secret.
func TestParseEventTargetRefuses(t *testing.T) {
	const use = `use {"Type":"Http","Url":"https://…","Secret":"whsec_…"}, {"Type":"Function","Name":"…"} ` +
		`or {"Type":"Topic","TopicArn":"…"}`
	for _, test := range []struct {
		text string
		want []string
	}{
		{`planted`, []string{"Target is not JSON at line 1, column 1; " + use}},
		{`{"Type":"Http","Url":"planted`, []string{"it ends too early"}},
		{`["planted"]`, []string{"Target: is an array; " + use}},
		{`{"Url":"https://planted.example.com"}`, []string{"Target.Type: is missing; " + use}},
		{`{"Type":"Oos"}`, []string{`Target: unknown type "Oos"; ` + use}},
		{`{"Type":"Journal"}`, []string{`unknown type "Journal"`}},
		{`{"Type":"Http","Url":"http://planted.example.com","Secret":"planted","Name":"n"}`,
			[]string{"Target.Url: write an https URL", "Target.Secret: is not 24 to 64 bytes in base64",
				"Target.Name: unknown key"}},
		{`{"Type":"Http","Url":"https://127.0.0.1/planted"}`, []string{"use a host on the public Internet",
			"CHATCONF_TARGET_NETWORKS", "Target.Secret: is missing"}},
		{`{"Type":"Http","Url":"https://a.example.com","Secret":"******"}`, []string{"Target.Secret: is masked"}},
		{`{"Type":"Function","Type":"Function","Name":"a*"}`, []string{"Target.Type: is given twice",
			`Target.Name: "a*" is not`}},
		{`{"Type":"Topic"}`, []string{"Target.TopicArn: is missing"}},
	} {
		_, err := chat.ParseEventTarget(test.text, nil)
		if err == nil {
			t.Errorf("ParseEventTarget(%s) succeeds", test.text)
			continue
		}
		for _, want := range test.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("ParseEventTarget(%s) = %v, want it to hold %s", test.text, err, want)
			}
		}
		if strings.Contains(err.Error(), "planted") || strings.HasSuffix(err.Error(), ".") {
			t.Errorf("ParseEventTarget(%s) = %v", test.text, err)
		}
	}
	for _, arn := range []string{
		"chatconf", "arn:aws:sns:eu-west-1:123456789012:", "arn:aws:sqs:eu-west-1:123456789012:a",
		"arn:aws:sns::123456789012:a", "arn:aws:sns:eu-west-1:123456789012:a:b",
		"arn:aws:sns:eu-west-1:123456789012:a.b", "arn:aws:sns:eu-west-1:123456789012:*",
		"acs:mns:cn-hangzhou:1:/queues/a", "acs:mns:cn-hangzhou:1:/topics/", "acs:mns:cn-hangzhou:1:/topics/a/b",
		"acs:mns::1:/topics/a",
	} {
		_, err := chat.ParseEventTarget(`{"Type":"Topic","TopicArn":"`+arn+`"}`, nil)
		if err == nil || !strings.Contains(err.Error(), "is not the ARN of a topic, such as") {
			t.Errorf("TopicArn %s: %v", arn, err)
		}
	}
}

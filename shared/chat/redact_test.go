package chat_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"chatconf/shared/chat"
)

func TestRedact(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"i-123 --region cn-hangzhou n=3 url:http://h/x", "i-123 --region cn-hangzhou n=3 url:http://h/x"},
		{"password=planted", "password=******"},
		{"PassWord:planted", "PassWord:******"},
		{"db_password=planted", "db_password=******"},
		{"--db-passwd=planted --api-key=planted API_KEY=planted apiKey:planted", "--db-passwd=****** --api-key=****** API_KEY=****** apiKey:******"},
		{"--token planted after", "--token ****** after"},
		{"--token --force", "--token --force"},
		{"-token planted", "-token ******"},
		{"token planted", "token ******"},
		{"secret= planted", "secret= ******"},
		{"Authorization: Bearer planted after", "Authorization: ****** ****** after"},
		{"密码=planted 口令 planted", "密码=****** 口令 ******"},
		{`{"user":"a","password":"planted","n":1}`, `{"user":"a","password":******`},
		{"https://h/x?a=1&access_token=planted&b=2", "https://h/x?a=1&access_token=******"},
		{"https://user:planted@h/x?a=1", "https://******@h/x?a=1"},
		{"https://planted@h", "https://******@h"},
		{"xoxb-planted ghp_planted LTAIplanted AKIAPLANTED whsec_planted eyJplanted -----BEGIN", "****** ****** ****** ****** ****** ****** ******"},
		{"private.key=planted", "private.key=******"},
		{"a=b=token", "a=b=token"},
		{"a=token planted", "a=token ******"},
		{"set password = planted after", "set password = ****** after"},
		{"密码 ： planted 密码：planted", "密码 ： ****** 密码：******"},
		{"SLACK=xoxb-planted hook:whsec_planted https://h/eyJplanted n=(AKIAPLANTED", "SLACK=****** hook:****** https://h/****** n=(******"},
		{"n(AKIAplanted=x xAKIAx ＝", "n(****** xAKIAx ＝"},
		{"asia-east1 n=asia-east1 h/asia/x", "****** n=asia-east1 h/asia/x"},
		{"postgres://user:pl#anted@h/db", "postgres://******@h/db"},
		{"mysql://root:100%planted@h", "mysql://******@h"},
		{"http://u:12#planted@h", "http://******@h"},
		{"EncodingAesKey=planted", "EncodingAesKey=******"},
		{"", ""},
	} {
		var args []string
		if c.args != "" {
			args = strings.Split(c.args, " ")
		}
		got := chat.Redact(args)
		if strings.Join(got, " ") != c.want || len(got) != len(args) {
			t.Errorf("redact %q = %q, want %q", c.args, got, c.want)
		}
	}
}

// FuzzRedact holds that the value of a name that is a secret's is never shown, whatever stands before it.
func FuzzRedact(f *testing.F) {
	f.Add("x", "planted-value")
	f.Add("https://u:p@h/?a=1&", "v=1")
	f.Fuzz(func(t *testing.T, before, value string) {
		const planted = "pl4nted"
		for _, args := range [][]string{{before + "password=" + planted + value}, {before, "--token", planted + value}, {"--secret", planted + value}} {
			got := chat.Redact(slices.Clone(args))
			if len(got) != len(args) || strings.Contains(strings.Join(got, " "), planted) && !strings.Contains(before, planted) {
				t.Errorf("redact %q = %q", args, got)
			}
		}
	})
}

// A command's own name may hold a secret, or say that its arguments are some.
func TestRecordMasksTheNameOfACommand(t *testing.T) {
	h := newHouse(t)
	e := h.bot("one")
	for text, want := range map[string]string{
		"token=planted x":              "token=****** [x]",
		"xoxb-planted":                 "****** []",
		"set-password planted planted": "set-password [****** ******]",
		"stop planned":                 "stop [planned]",
	} {
		h.clock.advance(time.Second)
		h.record(e, arrival(t, e, fmt.Sprint("m", len(text), want[:1]), "u1", text))
		got := h.commands("one")[0]
		if show := fmt.Sprint(got.Command, " ", got.Arguments); show != want || strings.Contains(got.Reason, "planted") || !strings.Contains(got.Reason, got.Command) {
			t.Errorf("%s: %s, %s", text, show, got.Reason)
		}
		command, err := e.Command(&chat.Message{Text: text})
		if err != nil {
			t.Fatal(err)
		}
		if log := command.LogValue().String(); strings.Contains(log, "planted") {
			t.Errorf("%s: the log has %s", text, log)
		}
	}
	for _, item := range h.journalItems(partition) {
		if strings.HasPrefix(item.Sort, "r#") && strings.Contains(string(item.Value), "planted") {
			t.Errorf("%s holds a secret: %s", item.Sort, item.Value)
		}
	}
}

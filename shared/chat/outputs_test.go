package chat_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/secret"
	"chatconf/shared/table"
)

// allOutputs returns the Outputs of a configuration that each action shows to the caller of ctx, as
// they are and as Setup has the URL.
func (h *house) allOutputs(ctx context.Context, name string) map[string]map[string]string {
	h.T.Helper()
	out := make(map[string]map[string]string)
	add := func(action, text string) {
		var all map[string]string
		if err := json.Unmarshal([]byte(text), &all); err != nil {
			h.T.Fatalf("Outputs of %s, %q: %v", action, text, err)
		}
		out[action] = all
	}
	if got, err := h.Get(ctx, &chat.GetRequest{Name: name}); err == nil {
		add("Get", got.ChatConfiguration.Outputs)
	}
	list, err := h.List(ctx, &chat.ListRequest{Filters: []chat.Filter{{Name: "Name", Value: name}}})
	if err == nil && list.ChatConfigurations[0].Outputs != "" { // it is, for those who may not get the configuration
		add("List", list.ChatConfigurations[0].Outputs)
	}
	rotate := &chat.RotateRequest{Name: name, ClientToken: "token-" + chat.CallerFrom(ctx).AccessKeyID}
	for _, action := range []string{"Rotate", "Rotate again"} { // the second repeats the first, by its token
		if got, err := h.Rotate(ctx, rotate); err == nil {
			add(action, got.ChatConfiguration.Outputs)
		}
	}
	return out
}

// TestOutputsAreRevealedToWhoMay goes through who may do what, and holds which actions then show
// the secrets in Outputs. To all others Outputs have the same shape, and the mask in place of each
// secret.
func TestOutputsAreRevealedToWhoMay(t *testing.T) {
	const reads, reveals, rotates = `["oos:Get*","oos:List*"]`, `"oos:RevealChatConfigurationOutputs"`,
		`"oos:RotateChatWebhook"`
	allow := func(action string) string { return `{"Effect":"Allow","Action":` + action + `,"Resource":"*"}` }
	dev := `,"Condition":{"StringEquals":{"oos:tag/env":"dev"}}}`
	for about, c := range map[string]struct {
		statements []string
		shown      string // the actions that show Outputs
		revealed   string // and those that reveal their secrets
	}{
		"an administrator": {[]string{allow(`"oos:*"`)}, "Get List Rotate Rotate-again",
			"Get List Rotate Rotate-again"},
		"a reader": {[]string{allow(reads)}, "Get List", ""},
		"who may list and get another": {[]string{allow(`"oos:List*"`),
			`{"Effect":"Allow","Action":"oos:Get*","Resource":"*/two"}`}, "", ""},
		"who may list":            {[]string{allow(`"oos:List*"`)}, "", ""},
		"who may list and reveal": {[]string{allow(`"oos:List*"`), allow(reveals)}, "", ""},
		"a reader who may reveal": {[]string{allow(reads), allow(reveals)}, "Get List", "Get List"},
		"who may rotate":          {[]string{allow(rotates)}, "Rotate Rotate-again", ""},
		"who may read and rotate": {[]string{allow(rotates), allow(reads)}, "Get List Rotate Rotate-again", ""},
		"who may rotate and reveal": {[]string{allow(rotates), allow(reveals)},
			"Rotate Rotate-again", "Rotate Rotate-again"},
		"who may all but reveal": {[]string{allow(`"oos:*"`), `{"Effect":"Deny","Action":` + reveals +
			`,"Resource":"*"}`}, "Get List Rotate Rotate-again", ""},
		"who may reveal by this tag": {[]string{allow(reads), `{"Effect":"Allow","Action":` + reveals +
			`,"Resource":"*"` + dev}, "Get List", "Get List"},
		"who may not reveal by this tag": {[]string{allow(`"oos:*"`), `{"Effect":"Deny","Action":` + reveals +
			`,"Resource":"*"` + dev}, "Get List Rotate Rotate-again", ""},
		"who may reveal another": {[]string{allow(reads), `{"Effect":"Allow","Action":` + reveals +
			`,"Resource":"*/two"}`}, "Get List", ""},
		"who may do all but get": {[]string{allow(`"oos:*"`),
			`{"Effect":"Deny","Action":"oos:GetChatConfiguration","Resource":"*"}`},
			"Rotate Rotate-again", "Rotate Rotate-again"},
	} {
		h := newHouse(t)
		for _, name := range []string{"one", "two"} {
			h.MustCreate(name, func(in *chat.CreateRequest) {
				in.Type, in.Configuration, in.Tags = "WeChat", minWeChat, map[string]string{"env": "dev"}
			})
		}
		first := h.stored("one").Secrets
		got := h.allOutputs(chattest.As(t.Context(), callerOf(t, "CCKasker", c.statements...)), "one")
		last := h.stored("one").Secrets
		for _, action := range []string{"Get", "List", "Rotate", "Rotate again"} {
			hyphened := strings.ReplaceAll(action, " ", "-")
			outputs, ok := got[action]
			if want := contains(c.shown, hyphened); ok != want {
				t.Errorf("%s: %s shows Outputs: %v, want %v", about, action, ok, want)
			}
			if !ok {
				continue
			}
			secrets := first
			if strings.HasPrefix(action, "Rotate") {
				secrets = last
			}
			base := "http://127.0.0.1:9000/webhook/" + chattest.Account + "/cn-hangzhou/one/"
			want := map[string]string{"URL": base + secret.Mask, "Token": secret.Mask, "AesKey": secret.Mask}
			if contains(c.revealed, hyphened) {
				want = map[string]string{"URL": base + secrets[chat.FieldWebhookToken], "Token": secrets["WeChatToken"],
					"AesKey": secrets["WeChatEncodingAesKey"]}
			}
			if setup := outputs["Setup"]; (setup != "") != (action != "List") || setup != "" &&
				!strings.Contains(setup, want["URL"]) {
				t.Errorf("%s: %s, Setup = %q", about, action, setup)
			}
			text := strings.Join([]string{outputs["URL"], outputs["Setup"], outputs["Token"], outputs["AesKey"]}, "\n")
			for field, secret := range secrets {
				if !contains(c.revealed, hyphened) && strings.Contains(text, secret) {
					t.Errorf("%s: %s shows %s", about, action, field)
				}
			}
			delete(outputs, "Setup")
			chattest.Equal(t, about+": "+action, outputs, want)
		}
	}
}

func contains(words, word string) bool {
	for _, w := range strings.Fields(words) {
		if w == word {
			return true
		}
	}
	return false
}

// TestOutputsMaskWhatTheCallerSupplied holds that a secret that was given is shown to nobody again,
// and one that was made up is until another is given.
func TestOutputsMaskWhatTheCallerSupplied(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one", func(in *chat.CreateRequest) { in.Type, in.Configuration = "WeChat", minWeChat })
	shows := func(about string, token, key bool) {
		t.Helper()
		list, err := h.List(h.Ctx, &chat.ListRequest{})
		if err != nil {
			t.Fatal(err)
		}
		for action, outputs := range map[string]string{"Get": h.MustGet("one").Outputs,
			"List": list.ChatConfigurations[0].Outputs} {
			got, stored := decodeOutputs(t, outputs), h.stored("one").Secrets
			want := map[string]string{"URL": got["URL"], "Token": secret.Mask, "AesKey": secret.Mask}
			if token {
				want["Token"] = stored["WeChatToken"]
			}
			if key {
				want["AesKey"] = stored["WeChatEncodingAesKey"]
			}
			chattest.Equal(t, about+": "+action, got, want)
			if strings.Contains(got["URL"], secret.Mask) {
				t.Errorf("%s: URL = %s", about, got["URL"])
			}
		}
	}
	update := func(text string) {
		h.MustUpdate(&chat.UpdateRequest{Name: "one", Configuration: chattest.Ptr(secret.Text(text))})
	}
	shows("both were made up", true, true)
	update(chattest.With(minWeChat, `"WeChatToken":"******","WeChatEncodingAesKey":"******"`))
	shows("both were kept", true, true)
	update(minWeChat)
	shows("both were left out", true, true)
	h.MustUpdate(&chat.UpdateRequest{Name: "one", Status: "Inactive"})
	shows("something else was changed", true, true)
	update(chattest.With(minWeChat, `"WeChatToken":"planted"`))
	shows("a token was given", false, true)
	update(chattest.With(minWeChat, `"WeChatToken":"******"`))
	shows("the given token was kept", false, true)
	update(fullWeChat)
	shows("both were given", false, false)
	if _, err := h.Rotate(h.Ctx, &chat.RotateRequest{Name: "one"}); err != nil {
		t.Fatal(err)
	}
	shows("both were rotated", true, true)
	h.MustAgree()
}

// TestOutputsOfARecordOfBefore holds that of a record that does not say who made its secrets up,
// nothing but the URL is shown, until a rotation makes new ones.
func TestOutputsOfARecordOfBefore(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one", func(in *chat.CreateRequest) { in.Type, in.Configuration = "WeChat", minWeChat })
	item := h.Item("c#one")
	h.Tamper(table.Change{Puts: []table.Put{{Sort: "c#one", Revision: item.Revision,
		Value: chattest.Reencode(item.Value, func(m map[string]any) { delete(m, "generated") })}}})
	got, stored := decodeOutputs(t, h.MustGet("one").Outputs), h.stored("one").Secrets
	if !strings.HasSuffix(got["URL"], "/"+stored[chat.FieldWebhookToken]) || got["Token"] != secret.Mask ||
		got["AesKey"] != secret.Mask {
		t.Errorf("Outputs = %v", got)
	}
	if _, err := h.Rotate(h.Ctx, &chat.RotateRequest{Name: "one"}); err != nil {
		t.Fatal(err)
	}
	got, stored = decodeOutputs(t, h.MustGet("one").Outputs), h.stored("one").Secrets
	if got["Token"] != stored["WeChatToken"] || got["AesKey"] != stored["WeChatEncodingAesKey"] {
		t.Errorf("Outputs after a rotation = %v", got)
	}
}

package chat_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"chatconf/shared/accesskey"
	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/secret"
)

func TestSecretPrintsAsMask(t *testing.T) {
	hidden := secret.Text("planted-secret")
	requests := []any{
		hidden, &hidden, []secret.Text{hidden}, map[string]secret.Text{"k": hidden}, struct{ S secret.Text }{hidden},
		struct{ S *secret.Text }{&hidden},
		&chat.CreateRequest{Name: "n", Configuration: secret.Text(fullDingTalk)},
		chat.CreateRequest{Configuration: secret.Text(fullDingTalk)},
		&chat.UpdateRequest{Configuration: chattest.Ptr(secret.Text(fullDingTalk))},
		chat.UpdateRequest{Configuration: chattest.Ptr(secret.Text(fullDingTalk))},
		&accesskey.Key{ID: "i", Secret: hidden}, accesskey.Key{Secret: hidden}, []accesskey.Key{{Secret: hidden}},
	}
	for _, v := range requests {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t",
			"%c", "%08.3f", "%U", "%!", "%T"} {
			if got := fmt.Sprintf(verb, v); strings.Contains(got, chattest.Planted) ||
				strings.Contains(strings.ToLower(got), fmt.Sprintf("%x", chattest.Planted)) {
				t.Errorf("%s of %T shows the secret: %s", verb, v, got)
			}
		}
		text, err := json.Marshal(v)
		if err != nil || bytes.Contains(text, []byte(chattest.Planted)) {
			t.Errorf("JSON of %T: %s, %v", v, text, err)
		}
		var b bytes.Buffer
		slog.New(slog.NewTextHandler(&b, nil)).Info("request", "v", v)
		slog.New(slog.NewJSONHandler(&b, nil)).Info("request", "v", v)
		if strings.Contains(b.String(), chattest.Planted) {
			t.Errorf("slog of %T shows the secret: %s", v, b.String())
		}
	}
	type element struct{ S secret.Text }
	if text, err := xml.Marshal(element{hidden}); err != nil || bytes.Contains(text, []byte(chattest.Planted)) {
		t.Errorf("XML: %s, %v", text, err)
	}
	for got, want := range map[string]string{
		fmt.Sprint(hidden): secret.Mask, hidden.String(): secret.Mask, fmt.Sprintf("%#v", hidden): secret.Mask,
		hidden.LogValue().String(): secret.Mask, hidden.Reveal(): "planted-secret",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestNoSecretComesBack plants a secret wherever one may stand, and looks for it in every answer,
// error and stored item.
func TestNoSecretComesBack(t *testing.T) {
	target := `"Target":{"Type":"Http","Url":"https://a","Secret":"` + chattest.TargetSecret + `"}`
	target += `,"Actions":{"restart":{` + target + `}}`
	for as, text := range map[string]string{"DingTalk": fullDingTalk, "WeChat": fullWeChat, "Feishu": fullFeishu,
		"Slack": fullSlack, "Teams": fullTeams} {
		h := newHouse(t)
		full := secret.Text(chattest.With(text, target))
		var log bytes.Buffer
		see := func(what string, v any, err error) {
			fmt.Fprintf(&log, "%s: %v %+v %#v", what, v, v, v)
			b, _ := json.Marshal(v)
			log.Write(b)
			if err != nil {
				fmt.Fprintf(&log, " %v %+v %#v\n", err, err, err)
			}
		}
		out, err := h.Create(h.Ctx, &chat.CreateRequest{Name: "one", Type: as,
			Configuration: full, ClientToken: "token"})
		see("Create", out, err)
		_, err = h.Create(h.Ctx, &chat.CreateRequest{Name: "one", Type: as, Configuration: full, ClientToken: "token2"})
		see("Create of the same name", nil, err)
		_, err = h.Create(h.Ctx, &chat.CreateRequest{Name: "two", Type: as, Configuration: full, ClientToken: "token"})
		see("Create with a used token", nil, err)
		_, err = h.Create(h.Ctx, &chat.CreateRequest{Name: "two", Type: as, Configuration: full + "x"})
		see("Create with trailing text", nil, err)
		_, err = h.Create(h.Ctx, &chat.CreateRequest{Name: "two", Type: as,
			Configuration: secret.Text(chattest.With(string(full), target))})
		see("Create with a key twice", nil, err)
		for _, other := range []string{"DingTalk", "WeChat", "Feishu", "Slack", "Teams"} {
			if other != as {
				_, err = h.Create(h.Ctx, &chat.CreateRequest{Name: "two", Type: other, Configuration: full})
				see("Create as another type", nil, err)
			}
		}
		up, err := h.Update(h.Ctx, &chat.UpdateRequest{Name: "one", Configuration: &full, ClientToken: "token3"})
		see("Update", up, err)
		list, err := h.ListTagResources(h.Ctx, &chat.ListTagResourcesRequest{ResourceType: "chatconfiguration"})
		see("ListTagResources", list, err)
		// Outputs are where WeCom's console values are shown on purpose.
		got, err := h.Get(h.Ctx, &chat.GetRequest{Name: "one"})
		if err != nil {
			t.Fatal(err)
		}
		for _, value := range decodeOutputs(t, got.ChatConfiguration.Outputs) {
			if as != "WeChat" && strings.Contains(value, chattest.Planted) {
				t.Errorf("%s: Outputs show %q", as, value)
			}
		}
		got.ChatConfiguration.Outputs = ""
		see("Get", got, err)
		all, err := h.List(h.Ctx, &chat.ListRequest{})
		for i := range all.ChatConfigurations {
			all.ChatConfigurations[i].Outputs = ""
		}
		see("List", all, err)
		h.MustDelete("one")
		for _, item := range h.Dump() {
			fmt.Fprintf(&log, "item %q: %s\n", item.Sort, item.Value)
		}
		if text := log.String(); strings.Contains(text, chattest.Planted) ||
			strings.Contains(text, chattest.PlantedBase64) {
			i := max(strings.Index(text, chattest.Planted), strings.Index(text, chattest.PlantedBase64))
			t.Errorf("%s: a secret came back: …%s…", as, text[max(0, i-200):min(len(text), i+50)])
		}
	}
}

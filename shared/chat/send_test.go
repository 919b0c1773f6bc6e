package chat_test

import (
	"strings"
	"testing"

	"chatconf/shared/chat"
	"chatconf/shared/policy"
	"chatconf/shared/table"
)

func TestOpenToSend(t *testing.T) {
	h := newHouse(t)
	h.create("one", func(in *chat.CreateRequest) { in.Tags = map[string]string{"env": "prod"} })
	h.spy.reset()
	e, url, err := h.OpenToSend(h.ctx, region, "one")
	if got := h.spy.took(); err != nil || got != "Get" {
		t.Errorf("%v, calls = %s", err, got)
	}
	equal(t, "the URL", url.Reveal(), h.url("one"))
	equal(t, "the endpoint", e.Settings, h.open("one").Settings)
	_, _, err = h.OpenToSend(h.ctx, "", "missing")
	wantError(t, "of one that is not there", err, chat.NotFound, "Name")
	_, _, err = h.OpenToSend(h.ctx, "", "")
	wantError(t, "of none", err, chat.MissingParameter, "Name")
	_, _, err = h.OpenToSend(h.ctx, "x", "one")
	wantError(t, "in no region", err, chat.InvalidRegion, "RegionId")
}

// Only who may do SendChatMessage on the configuration gets its secrets: who may read it, or all others, does not.
func TestOpenToSendIsAuthorised(t *testing.T) {
	h := newHouse(t)
	for _, name := range []string{"one", "two"} {
		h.create(name, func(in *chat.CreateRequest) { in.Tags = map[string]string{"env": name} })
	}
	for about, c := range map[string]struct {
		policies []*policy.Policy
		want     bool
	}{
		"nobody":                             {nil, false},
		"a reader":                           {[]*policy.Policy{policy.ReadOnly()}, false},
		"one who may do all but send":        {[]*policy.Policy{policy.Administrator(), mustPolicy(t, "Deny", "oos:SendChatMessage", "*")}, false},
		"one who may send as another one":    {[]*policy.Policy{mustPolicy(t, "Allow", "oos:SendChatMessage", "acs:oos:*:*:chatconfiguration/two")}, false},
		"one who may send as it":             {[]*policy.Policy{mustPolicy(t, "Allow", "oos:SendChatMessage", "acs:oos:*:*:chatconfiguration/one")}, true},
		"one who may, but in another region": {[]*policy.Policy{mustPolicy(t, "Allow", "oos:SendChatMessage", "acs:oos:us-east-1:*:chatconfiguration/one")}, false},
	} {
		asker := caller(t, "CCKasker")
		asker.Policies = c.policies
		e, url, err := h.OpenToSend(as(t.Context(), asker), "", "one")
		if got := err == nil; got != c.want || got != (e != nil) || got != (url != "") {
			t.Errorf("%s: %v, %v, want %v", about, e, err, c.want)
		}
		if !c.want {
			wantError(t, about, err, chat.NoPermission, "")
		}
	}
}

func mustPolicy(t *testing.T, effect, action, resource string) *policy.Policy {
	t.Helper()
	p, err := policy.Parse([]byte(`{"Version":"1","Statement":[{"Effect":"` + effect + `","Action":"` + action + `","Resource":"` + resource + `"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestOpenToSendWhenTheStoreFails(t *testing.T) {
	for about, f := range faults {
		h := newHouse(t)
		h.create("one")
		ctx, calls := h.spy.failAt(h.ctx, 1, f)
		_, _, err := h.OpenToSend(ctx, "", "one")
		calls()
		wantError(t, "OpenToSend when "+about, err, f.code, "")
	}
}

func TestOpenToSendOfARecordThatIsTampered(t *testing.T) {
	for about, edit := range map[string]func(secrets map[string]any){
		"a bit of a secret":    func(s map[string]any) { s["WeChatSecret"] = flipBit(s["WeChatSecret"].(string)) },
		"a bit of the token":   func(s map[string]any) { s[chat.FieldWebhookToken] = flipBit(s[chat.FieldWebhookToken].(string)) },
		"no token for the URL": func(s map[string]any) { delete(s, chat.FieldWebhookToken) },
	} {
		h := newHouse(t)
		h.create("one", func(in *chat.CreateRequest) { in.Type, in.Configuration = "WeChat", chat.Secret(minWeChat) })
		token := h.url("one")[strings.LastIndex(h.url("one"), "/")+1:]
		item := h.item("c#one")
		h.tamper(table.Change{Puts: []table.Put{{Sort: "c#one", Revision: item.Revision,
			Value: chat.Reencode(item.Value, func(m map[string]any) { edit(m["secrets"].(map[string]any)) })}}})
		e, url, err := h.OpenToSend(h.ctx, "", "one")
		if e != nil || url != "" || strings.Contains(err.Error(), token) {
			t.Errorf("%s: it opens, or the error shows the token", about)
		}
		wantError(t, about, err, chat.Internal, "")
		wantNoDetail(t, err)
	}
}

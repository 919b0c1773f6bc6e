package chat_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/command"
	"chatconf/shared/fault"
	"chatconf/shared/journal"
	"chatconf/shared/policy"
	"chatconf/shared/secret"
	"chatconf/shared/table"
)

func TestOpenToSend(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one", func(in *chat.CreateRequest) { in.Tags = map[string]string{"env": "prod"} })
	h.Spy.Reset()
	e, url, err := h.OpenToSend(h.Ctx, chattest.Region, "one", false)
	if got := h.Spy.Took(); err != nil || got != "Get" {
		t.Errorf("%v, calls = %s", err, got)
	}
	chattest.Equal(t, "the URL", url.Reveal(), h.URL("one"))
	chattest.Equal(t, "the endpoint", e.Settings, h.Open("one").Settings)
	_, _, err = h.OpenToSend(h.Ctx, "", "missing", false)
	chattest.WantError(t, "of one that is not there", err, fault.NotFound, "Name")
	_, _, err = h.OpenToSend(h.Ctx, "", "", false)
	chattest.WantError(t, "of none", err, fault.MissingParameter, "Name")
	_, _, err = h.OpenToSend(h.Ctx, "x", "one", false)
	chattest.WantError(t, "in no region", err, fault.InvalidRegion, "RegionId")
}

// Only who may do SendChatMessage on the configuration gets its secrets: who may read it, or all
// others, does not.
func TestOpenToSendIsAuthorised(t *testing.T) {
	h := newHouse(t)
	for _, name := range []string{"one", "two"} {
		h.MustCreate(name, func(in *chat.CreateRequest) { in.Tags = map[string]string{"env": name} })
	}
	for about, c := range map[string]struct {
		policies []*policy.Policy
		want     bool
	}{
		"nobody":                          {nil, false},
		"a reader":                        {[]*policy.Policy{policy.ReadOnly()}, false},
		"one who may do all by a pattern": {[]*policy.Policy{policy.Administrator()}, false},
		"one who may by a longer pattern": {[]*policy.Policy{mustPolicy(t, "Allow", "oos:Send*", "*"),
			mustPolicy(t, "Allow", "*", "*")}, false},
		"the owner": {[]*policy.Policy{policy.Owner()}, true},
		"the owner, who is denied all": {[]*policy.Policy{policy.Owner(), mustPolicy(t, "Deny", "oos:*", "*")},
			false},
		"one who may do all but send": {[]*policy.Policy{policy.Administrator(),
			mustPolicy(t, "Deny", "oos:SendChatMessage", "*")}, false},
		"one who may send as another one": {[]*policy.Policy{mustPolicy(t, "Allow", "oos:SendChatMessage",
			"acs:oos:*:*:chatconfiguration/two")}, false},
		"one who may send as it": {[]*policy.Policy{mustPolicy(t, "Allow", "oos:SendChatMessage",
			"acs:oos:*:*:chatconfiguration/one")}, true},
		"one who may, but in another region": {[]*policy.Policy{mustPolicy(t, "Allow", "oos:SendChatMessage",
			"acs:oos:us-east-1:*:chatconfiguration/one")}, false},
	} {
		asker := callerOf(t, "CCKasker")
		asker.Policies = c.policies
		e, url, err := h.OpenToSend(chattest.As(t.Context(), asker), "", "one", false)
		if got := err == nil; got != c.want || got != (e != nil) || got != (url != "") {
			t.Errorf("%s: %v, %v, want %v", about, e, err, c.want)
		}
		if !c.want {
			chattest.WantError(t, about, err, fault.NoPermission, "", "oos:SendChatMessage on ",
				"A policy has to name oos:SendChatMessage; no pattern allows it.")
		}
	}
	// The URL with its token is for those who may reveal it, too; both are named at once.
	sends, reveals := mustPolicy(t, "Allow", "oos:SendChatMessage", "*"), mustPolicy(t, "Allow", "oos:Reveal*", "*")
	for about, c := range map[string]struct {
		policies []*policy.Policy
		texts    []string
	}{
		"neither": {[]*policy.Policy{policy.ReadOnly()},
			[]string{"oos:SendChatMessage on ", "oos:RevealChatConfigurationOutputs on "}},
		"only to send": {[]*policy.Policy{policy.ReadOnly(), sends},
			[]string{"oos:RevealChatConfigurationOutputs on "}},
		"only to see":   {[]*policy.Policy{reveals}, []string{"oos:SendChatMessage on "}},
		"both of these": {[]*policy.Policy{sends, reveals}, nil},
	} {
		asker := callerOf(t, "CCKasker")
		asker.Policies = c.policies
		_, _, err := h.OpenToSend(chattest.As(t.Context(), asker), "", "one", true)
		if c.texts != nil {
			chattest.WantError(t, about, err, fault.NoPermission, "", c.texts...)
		} else if err != nil {
			t.Errorf("%s: %v", about, err)
		}
	}
}

func mustPolicy(t *testing.T, effect, action, resource string) *policy.Policy {
	t.Helper()
	p, err := policy.Parse([]byte(`{"Version":"1","Statement":[{"Effect":"` + effect + `","Action":"` + action +
		`","Resource":"` + resource + `"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestOpenToSendWhenTheStoreFails(t *testing.T) {
	for about, f := range chattest.Faults {
		h := newHouse(t)
		h.MustCreate("one")
		ctx, calls := h.Spy.FailAt(h.Ctx, 1, f)
		_, _, err := h.OpenToSend(ctx, "", "one", false)
		calls()
		chattest.WantError(t, "OpenToSend when "+about, err, f.Code, "")
	}
}

func TestOpenToSendOfARecordThatIsTampered(t *testing.T) {
	for about, edit := range map[string]func(secrets map[string]any){
		"a bit of a secret": func(s map[string]any) {
			s["WeChatSecret"] = chattest.FlipBit(
				s["WeChatSecret"].(string))
		},
		"a bit of the token": func(s map[string]any) {
			s[chat.FieldWebhookToken] = chattest.FlipBit(s[chat.FieldWebhookToken].(string))
		},
		"no token for the URL": func(s map[string]any) { delete(s, chat.FieldWebhookToken) },
	} {
		h := newHouse(t)
		h.MustCreate("one", func(in *chat.CreateRequest) {
			in.Type,
				in.Configuration = "WeChat", secret.Text(minWeChat)
		})
		token := h.URL("one")[strings.LastIndex(h.URL("one"), "/")+1:]
		item := h.Item("c#one")
		h.Tamper(table.Change{Puts: []table.Put{{Sort: "c#one", Revision: item.Revision,
			Value: chattest.Reencode(item.Value, func(m map[string]any) { edit(m["secrets"].(map[string]any)) })}}})
		e, url, err := h.OpenToSend(h.Ctx, "", "one", false)
		if e != nil || url != "" || strings.Contains(err.Error(), token) {
			t.Errorf("%s: it opens, or the error shows the token", about)
		}
		chattest.WantError(t, about, err, fault.Internal, "")
		chattest.WantNoDetail(t, err)
	}
}

// What SendChatMessage proves is one callback of one configuration, to a process with the same key
// ring. Nothing else passes for it.
func TestTheProofOfASentMessage(t *testing.T) {
	h := newHouse(t)
	one, two := h.Bot("one"), h.Bot("two")
	proof, err := h.ProveSent(one, []byte("digest"))
	if err != nil || !h.IsSent(one, proof, []byte("digest")) {
		t.Fatalf("the proof does not prove: %v", err)
	}
	again, err := h.ProveSent(one, []byte("digest"))
	if err != nil || again == proof {
		t.Errorf("two proofs are the same: %v", err)
	}
	stranger := h.ServiceWith(chat.Options{}, chattest.NewRing(t, 7))
	foreign, err := stranger.ProveSent(one, []byte("digest"))
	if err != nil {
		t.Fatal(err)
	}
	for about, test := range map[string]struct {
		e      *command.Endpoint
		proof  string
		digest string
	}{
		"none":                          {one, "", "digest"},
		"of another callback":           {one, proof, "another"},
		"of no callback":                {one, proof, ""},
		"of another configuration":      {two, proof, "digest"},
		"with another key ring":         {one, foreign, "digest"},
		"the digest itself":             {one, "ZGlnZXN0", "digest"},
		"no base64":                     {one, "?" + proof[1:], "digest"},
		"cut":                           {one, proof[:len(proof)-2], "digest"},
		"with something behind it":      {one, proof + "AA", "digest"},
		"with bits that are not used":   {one, proof[:len(proof)-1] + "_", "digest"},
		"much longer than one can be":   {one, strings.Repeat("A", 1<<20), "digest"},
		"what else the ring has sealed": {one, sealedIn(t, h.Item("c#one").Value, "SlackSigningSecret"), "digest"},
	} {
		if h.IsSent(test.e, test.proof, []byte(test.digest)) {
			t.Errorf("a proof %s is taken", about)
		}
	}
}

// FuzzIsSent holds that a text which passes for a proof passes for one callback of one
// configuration alone, and in one spelling.
func FuzzIsSent(f *testing.F) {
	h := newHouse(f)
	one, two := h.Bot("one"), h.Bot("two")
	proof, err := h.ProveSent(one, []byte("digest"))
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{proof, "", "AA", proof + "A", proof[1:], strings.ToUpper(proof), "ZGlnZXN0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		switch {
		case h.IsSent(two, text, []byte("digest")), h.IsSent(one, text, []byte("digest2")), h.IsSent(one, text, nil):
			t.Errorf("%q proves another callback", text)
		case h.IsSent(one, text, []byte("digest")) && (h.IsSent(one, text+"=", []byte("digest")) ||
			h.IsSent(one, text+"\n", []byte("digest"))):
			t.Errorf("%q is read in more than one spelling", text)
		}
	})
}

// An answer that is kept is sealed in the record, and found by the message's id.
func TestAnswersAreKept(t *testing.T) {
	h := newHouse(t)
	e := h.Bot("one", `"Target":{"Type":"Http","Url":"https://h.example.com/","Secret":"`+chattest.TargetSecret+`"}`)
	if _, recorded, err := h.FollowSent(h.Ctx, e, "m1"); recorded || err != nil {
		t.Errorf("before the message: %v, %v", recorded, err)
	}
	a := chattest.Arrival(t, e, "m1", "u1", "restart")
	a.Pending = &journal.Pending{ReplyTo: command.ReplyTo{Kind: "response_url",
		URL: "https://planted.example.com", ID: "planted-id"}.Kept()}
	ref := h.MustRecord(e, a)
	if m, recorded, err := h.FollowSent(h.Ctx, e, "m1"); !recorded || err != nil ||
		m.Outcome != journal.OutcomePending || m.ID != ref.ID || m.Answer != "" {
		t.Errorf("before its end: %+v, %v, %v", m, recorded, err)
	}
	job, err := h.Journal.Claim(h.Ctx, ref, time.Minute)
	if err != nil || !job.KeepsAnswers() || job.ReplyTo.URL != "" || job.ReplyTo.ID != "" {
		t.Fatalf("%+v, %v", job, err)
	}
	job.Keep("planted" + strings.Repeat("界", 10_000))
	if err := h.Journal.Settle(h.Ctx, job, journal.Result{Outcome: journal.OutcomeDelivered,
		Answered: true}); err != nil {
		t.Fatal(err)
	}
	m, recorded, err := h.FollowSent(h.Ctx, e, "m1")
	if again, ok, err := h.FollowCommand(h.Ctx, e, ref.ID); !ok || err != nil || again != m {
		t.Errorf("by the id of the record: %+v, %v, %v", again, ok, err)
	}
	for _, id := range []string{"", "x", ref.ID + "0", "0000000000000-0000000000000000", "../" + ref.ID} {
		if again, ok, err := h.FollowCommand(h.Ctx, e, id); ok || err != nil {
			t.Errorf("by the id %q: %+v, %v, %v", id, again, ok, err)
		}
	}
	if !recorded || err != nil || m.Outcome != journal.OutcomeDelivered || !strings.HasPrefix(m.Answer, "planted界") ||
		!strings.HasSuffix(m.Answer, "界…") || len(m.Answer) > 16<<10+8 {
		t.Errorf("after it: %v, %v, %d bytes", recorded, err, len(m.Answer))
	}
	if c := h.Commands("one")[0]; !strings.Contains(c.Detail, "the message came from SendChatMessage") || !c.Answered ||
		c.Outcome != journal.OutcomeDelivered {
		t.Errorf("the record is %+v", c)
	}
	for _, item := range h.JournalItems(chattest.Account + "/" + chattest.Region) {
		if strings.Contains(string(item.Value), "planted") {
			t.Errorf("%s holds the answer in the clear", item.Sort)
		}
	}
	ring := chattest.NewRing(t, 7)
	other := h.ServiceWith(chat.Options{Journal: h.JournalWith(ring)}, ring)
	if _, _, err := other.FollowSent(h.Ctx, e, "m1"); err == nil || strings.Contains(err.Error(), "planted") {
		t.Errorf("with another key ring: %v", err)
	}
	without := h.ServiceWith(chat.Options{}, h.Ring)
	if m, recorded, err := without.FollowCommand(h.Ctx, e, ref.ID); recorded || err != nil {
		t.Errorf("without a journal: %+v, %v, %v", m, recorded, err)
	}
	if kept := (command.ReplyTo{}).Kept(); kept != (command.ReplyTo{}) {
		t.Errorf("where there is no way to answer, there is %+v", kept)
	}
}

func TestFollowSentWhenTheStoreFails(t *testing.T) {
	for about, f := range chattest.Faults {
		for n := 1; n <= 2; n++ {
			h := newHouse(t)
			e := h.Bot("one")
			ref := h.MustRecord(e, chattest.Arrival(t, e, "m1", "u1", "restart"))
			ctx, calls := h.Pages.FailAt(h.Ctx, n, f)
			_, _, err := h.FollowSent(ctx, e, "m1")
			calls()
			chattest.WantError(t, "FollowSent when "+about, err, f.Code, "")
			if n > 1 {
				continue
			}
			ctx, calls = h.Pages.FailAt(h.Ctx, n, f)
			_, _, err = h.FollowCommand(ctx, e, ref.ID)
			calls()
			chattest.WantError(t, "FollowCommand when "+about, err, f.Code, "")
		}
	}
	h := newHouse(t)
	e := h.Bot("one")
	ref := h.MustRecord(e, chattest.Arrival(t, e, "m1", "u1", "restart"))
	partition := chattest.Account + "/" + chattest.Region
	for _, item := range h.JournalItems(partition) {
		if !strings.HasPrefix(item.Sort, "r#") {
			continue
		}
		for about, value := range map[string]string{
			"no JSON":          "{",
			"kept is no seal":  strings.TrimSuffix(string(item.Value), "}") + `,"kept":"eA=="}`,
			"another's record": strings.Replace(string(item.Value), ref.ID, "x", 1),
		} {
			if err := h.Pages.Table.Write(h.Ctx, partition,
				table.Change{Puts: []table.Put{{Sort: item.Sort, Value: []byte(value),
					Revision: item.Revision}}}); err != nil {
				t.Fatal(err)
			}
			_, _, err := h.FollowSent(h.Ctx, e, "m1")
			chattest.WantError(t, about, err, fault.Internal, "")
		}
		if err := h.Pages.Table.Write(h.Ctx, partition,
			table.Change{Deletes: []table.Delete{{Sort: item.Sort}}}); err != nil {
			t.Fatal(err)
		}
		if _, recorded, err := h.FollowSent(h.Ctx, e, "m1"); recorded || err != nil {
			t.Errorf("a record that vanished by its age: %v, %v", recorded, err)
		}
	}
}

// sealedIn returns a secret of a record as it is sealed, in the alphabet of a proof.
func sealedIn(t *testing.T, record []byte, field string) string {
	t.Helper()
	var in struct {
		Secrets map[string]string `json:"secrets"`
	}
	if err := json.Unmarshal(record, &in); err != nil || in.Secrets[field] == "" {
		t.Fatalf("no secret %s: %v", field, err)
	}
	return strings.NewReplacer("+", "-", "/", "_", "=", "").Replace(in.Secrets[field])
}

package chat_test

import (
	"cmp"
	"context"
	"strings"
	"testing"
	"time"

	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/command"
	"chatconf/shared/fault"
	"chatconf/shared/secret"
	"chatconf/shared/table"
)

const otherRegion = "us-east-1"

func (h *house) copyAs(ctx context.Context, name string, edit ...func(*chat.CopyRequest)) error {
	h.T.Helper()
	in := &chat.CopyRequest{Name: name, DestinationName: "copy"}
	for _, e := range edit {
		e(in)
	}
	return second(h.Copy(ctx, in))
}

// original makes a configuration with all that a copy may have.
func (h *house) original() {
	h.T.Helper()
	const target = `"Target":{"Type":"Http","Url":"https://a.example.com","Secret":"` + chattest.TargetSecret + `"}`
	h.MustCreate("one", func(in *chat.CreateRequest) {
		in.RamRole, in.ResourceGroupID, in.Status = "Ops", "rg-1", "Inactive"
		in.Tags = map[string]string{"env": "prod"}
		in.Configuration = secret.Text(chattest.With(twoSecrets, target+`,"Actions":{"restart":{`+target+`}}`))
	})
}

func TestACopyIsLikeTheOriginal(t *testing.T) {
	h := newHouse(t)
	h.original()
	h.Clock.Advance(time.Hour)
	h.mustRotate("one", "SlackSigningSecret", "signing-two", 3600)
	if _, err := h.Rotate(h.Ctx, &chat.RotateRequest{Name: "one"}); err != nil {
		t.Fatal(err)
	}
	before, original, source := h.raw("one"), h.MustGet("one"), h.stored("one")
	h.Clock.Advance(time.Minute)
	for _, region := range []string{"", otherRegion} {
		out, err := h.Copy(h.Ctx, &chat.CopyRequest{Name: "one", DestinationName: "copy", DestinationRegionID: region})
		if err != nil {
			t.Fatal(err)
		}
		const now = "2026-11-23T09:01:00+00:00"
		chattest.Equal(t, "the answer", out.ChatConfiguration, chat.Written{Name: "copy", CreatedDate: now,
			UpdatedDate: now, Revision: 1})
		got, err := h.Get(h.Ctx, &chat.GetRequest{Name: "copy", RegionID: region})
		if err != nil {
			t.Fatal(err)
		}
		want := original
		want.Name, want.CreatedDate, want.UpdatedDate, want.Revision = "copy", now, now, 1
		want.Outputs, want.Secrets = got.ChatConfiguration.Outputs, got.ChatConfiguration.Secrets
		chattest.Equal(t, "Get", got.ChatConfiguration, want)
		for i, state := range got.ChatConfiguration.Secrets {
			was := original.Secrets[i]
			if state.Key == "Webhook" {
				was.SinceDate = now
			}
			if state.Key != was.Key || state.SinceDate != was.SinceDate || state.PreviousUntil != "" ||
				state.Digest != "" && state.Digest == was.Digest {
				t.Errorf("of %s Get shows %+v, and of the original %+v", state.Key, state, was)
			}
		}
		stored, err := h.Read(h.Ctx, chattest.Account, cmp.Or(region, chattest.Region), "copy")
		if err != nil {
			t.Fatal(err)
		}
		for field, value := range stored.Secrets {
			if (value == source.Secrets[field]) != (field != chat.FieldWebhookToken) {
				t.Errorf("%s of the copy is %q, and of the original %q", field, value, source.Secrets[field])
			}
			if string(stored.Sealed[field]) == string(source.Sealed[field]) {
				t.Errorf("%s was not sealed again", field)
			}
		}
		if len(stored.Secrets) != 5 {
			t.Errorf("the copy has %d secrets", len(stored.Secrets))
		}
	}
	list := h.history("copy")
	if len(list) != 1 || list[0].Action != "CopyChatConfiguration" || list[0].Actor == "" {
		t.Errorf("history = %+v", list)
	}
	chattest.Equal(t, "the original afterwards", h.raw("one"), before)
	h.MustAgree()
	report, err := h.Check(h.Ctx, chattest.Account, otherRegion)
	if err != nil || len(report.Problems) > 0 || report.Configurations != 1 {
		t.Errorf("Check of the other region: %+v, %v", report, err)
	}
	// The copy works, and its secrets are the original's.
	h.MustUpdate(&chat.UpdateRequest{Name: "copy", Configuration: chattest.Ptr(secret.Text(original.Configuration))})
	e := h.Open("copy")
	if e.Settings["SlackSigningSecret"] != "signing-two" || e.Settings["SlackSigningSecretPrevious"] != "" {
		t.Errorf("the settings are %q", e.Settings["SlackSigningSecret"].Reveal())
	}
	chattest.Equal(t, "the secrets of the action", e.TargetOf(command.Command{Action: "restart"}).Secrets,
		[]secret.Text{chattest.TargetSecret})
	if len(h.Commands("copy")) > 0 {
		t.Error("the copy has records")
	}
}

// A copy goes on with the revisions of its name, like a configuration that is created.
func TestACopyUnderANameThatHadALife(t *testing.T) {
	h := newHouse(t)
	h.original()
	h.MustCreate("copy")
	first := h.Open("copy").Life
	h.MustDelete("copy")
	if err := h.copyAs(h.Ctx, "one"); err != nil {
		t.Fatal(err)
	}
	if got := h.MustGet("copy").Revision; got != 3 || h.Open("copy").Life == first {
		t.Errorf("revision = %d, life = %s", got, h.Open("copy").Life)
	}
	chattest.WantError(t, "Copy onto a configuration", h.copyAs(h.Ctx, "one"), fault.AlreadyExists, "DestinationName",
		`"copy"`)
	h.MustAgree()
}

// TestWhoMayCopy holds that a copy needs Copy and Get for the original, and for the copy what its
// creation would need. Without both, the error is the same for any original and for none.
func TestWhoMayCopy(t *testing.T) {
	h := newHouse(t)
	h.original()
	h.MustCreate("bare")
	allow := func(action, resource string) string {
		return `{"Effect":"Allow","Action":"` + action + `","Resource":"` + resource + `"}`
	}
	const at = "acs:oos:cn-hangzhou:" + chattest.Account + ":chatconfiguration/"
	const role = "acs:ram::" + chattest.Account + ":role/Ops"
	get := allow("oos:GetChatConfiguration", at+"*")
	blind := []string{allow("oos:CopyChatConfiguration", at+"*"), allow("oos:CreateChatConfiguration", at+"copy")}
	copying := []string{allow("oos:CopyChatConfiguration", at+"*"), get}
	creating := append([]string{allow("oos:CreateChatConfiguration", at+"copy")}, copying...)
	tagging := append([]string{allow("oos:TagResources", at+"copy")}, creating...)
	grouping := append([]string{allow("oos:ChangeResourceGroup", at+"copy")}, tagging...)
	passing := append([]string{allow("ram:PassRole", role)}, grouping...)
	for _, c := range []struct {
		about      string
		statements []string
		lacks      string
		hides      string
	}{
		{"nothing", nil, "oos:CopyChatConfiguration on " + at + "one, oos:GetChatConfiguration on " + at +
			"one, oos:CreateChatConfiguration on " + at + "copy", "role"},
		{"all but Copy", []string{get, allow("oos:CreateChatConfiguration", "*"), allow("oos:TagResources", "*")},
			"oos:CopyChatConfiguration on " + at + "one.", "copy"},
		{"all but Get", blind, "oos:GetChatConfiguration on " + at + "one.", "copy"},
		{"Copy and Get", copying, "oos:CreateChatConfiguration on " + at + "copy, oos:TagResources on " + at +
			"copy, oos:ChangeResourceGroup on " + at + "copy, ram:PassRole on " + role + " (for RamRole)",
			"Configuration"},
		{"Create", creating, "oos:TagResources on " + at + "copy, oos:ChangeResourceGroup", "Configuration"},
		{"Create and Tag", tagging, "may not perform oos:ChangeResourceGroup on " + at + "copy", "Configuration"},
		{"all but PassRole", grouping, "may not perform ram:PassRole on " + role + " (for RamRole)", "Configuration"},
	} {
		before := h.Dump()
		ctx := chattest.As(t.Context(), callerOf(t, "CCKcopy", c.statements...))
		err := h.copyAs(ctx, "one")
		chattest.WantError(t, "Copy with "+c.about, err, fault.NoPermission, "", c.lacks)
		text := strings.NewReplacer("CopyChatConfiguration", "", "GetChatConfiguration", "",
			"CreateChatConfiguration", "").Replace(err.Error())
		if strings.Contains(text, c.hides) {
			t.Errorf("the error with %s tells of %s: %v", c.about, c.hides, err)
		}
		if strings.HasPrefix(c.lacks, "oos:Copy") || strings.HasPrefix(c.lacks, "oos:Get") {
			for _, name := range []string{"bare", "none"} {
				other := h.copyAs(ctx, name)
				if got, want := strings.ReplaceAll(other.Error(), "/"+name, "/one"), err.Error(); got != want {
					t.Errorf("the error for %s is %q, and for one %q", name, got, want)
				}
			}
		}
		chattest.Equal(t, "the table after Copy with "+c.about, h.Dump(), before)
	}
	if err := h.copyAs(chattest.As(t.Context(), callerOf(t, "CCKcopy", passing...)), "one"); err != nil {
		t.Errorf("Copy with all permissions: %v", err)
	}
	err := h.copyAs(chattest.As(t.Context(), callerOf(t, "CCKcopy", passing...)), "none")
	chattest.WantError(t, "Copy of none", err, fault.NotFound, "Name", `"none"`)
	h.MustAgree()
}

// Only a caller who may reveal the generated secrets of the original makes a copy that shows them.
func TestACopyRevealsNoGeneratedSecret(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one", func(in *chat.CreateRequest) { in.Type, in.Configuration = "WeChat", minWeChat })
	token := h.stored("one").Secrets["WeChatToken"]
	copier := chattest.As(t.Context(), callerOf(t, "CCKcopy", allowOOS,
		`{"Effect":"Deny","Action":"oos:Reveal*","Resource":"*"}`))
	if err := h.copyAs(copier, "one"); err != nil {
		t.Fatal(err)
	}
	if err := h.copyAs(h.Ctx, "one", func(in *chat.CopyRequest) { in.DestinationName = "shown" }); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"copy": secret.Mask, "shown": token} {
		if got := decodeOutputs(t, h.MustGet(name).Outputs)["Token"]; got != want {
			t.Errorf("Outputs of %s show the token %q, want %q", name, got, want)
		}
		if got := h.stored(name).Secrets["WeChatToken"]; got != token {
			t.Errorf("the token of %s is %q", name, got)
		}
	}
	h.mustRotate("copy", "WeChatToken", "", 60) // makes one to show
	if got := decodeOutputs(t, h.MustGet("copy").Outputs)["Token"]; got != h.stored("copy").Secrets["WeChatToken"] {
		t.Errorf("Outputs show %q", got)
	}
	h.MustAgree()
}

func TestCopyWithAClientToken(t *testing.T) {
	h := newHouse(t)
	h.original()
	h.MustCreate("other")
	in := &chat.CopyRequest{Name: "one", DestinationRegionID: otherRegion, ClientToken: "t"}
	first, err := h.Copy(h.Ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	h.Clock.Advance(time.Minute)
	// The same place, written in another way.
	again, err := h.Copy(h.Ctx, &chat.CopyRequest{RegionID: chattest.Region, Name: "one", DestinationName: "one",
		DestinationRegionID: otherRegion, ClientToken: "t"})
	if err != nil {
		t.Fatal(err)
	}
	chattest.Equal(t, "the answer to the same", again, first)
	for about, edit := range map[string]func(*chat.CopyRequest){
		"another original":    func(in *chat.CopyRequest) { in.Name = "other" },
		"another destination": func(in *chat.CopyRequest) { in.DestinationName = "two" },
	} {
		other := *in
		edit(&other)
		chattest.WantError(t, "Copy with "+about, second(h.Copy(h.Ctx, &other)), fault.IdempotencyMismatch,
			"ClientToken")
	}
	// The original may be invalid, or deleted, once the answer is known.
	h.rewrite("one", func(m map[string]any) { m["configuration"] = `{"SlackSigningSecret":"******","Old":"hidden"}` })
	if again, err = h.Copy(h.Ctx, in); err != nil {
		t.Fatal(err)
	}
	chattest.Equal(t, "the answer when the original is invalid", again, first)
	h.MustDelete("one")
	again, err = h.Copy(h.Ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	chattest.Equal(t, "the answer when the original is gone", again, first)
	h.Spy.Fail("Query", 1, table.ErrUnavailable)
	_, err = h.Copy(h.Ctx, in)
	chattest.WantError(t, "Copy when the answer cannot be read", err, fault.Unavailable, "")
	h.Spy.Reset()
	in.ClientToken = "u"
	chattest.WantError(t, "Copy of what is gone", second(h.Copy(h.Ctx, in)), fault.NotFound, "Name")
}

func TestCopyIsRefused(t *testing.T) {
	h := newHouseWith(t, chat.Options{Quota: 1})
	h.original()
	for about, c := range map[string]struct {
		in    chat.CopyRequest
		code  fault.Code
		param string
		text  string
	}{
		"nothing":  {chat.CopyRequest{}, fault.MissingParameter, "Name", "Name is mandatory"},
		"no place": {chat.CopyRequest{Name: "one"}, fault.MissingParameter, "DestinationName", ""},
		"its place": {chat.CopyRequest{Name: "one", DestinationName: "one"}, fault.InvalidParameter, "DestinationName",
			`"one" in "cn-hangzhou" is the original; give another DestinationName or DestinationRegionId.`},
		"its own region": {chat.CopyRequest{Name: "one", DestinationRegionID: chattest.Region}, fault.InvalidParameter,
			"DestinationName", "is the original"},
		"a bad name": {chat.CopyRequest{Name: "one", DestinationName: "a b"}, fault.InvalidParameter, "DestinationName",
			`DestinationName "a b" has a character`},
		"a reserved name": {chat.CopyRequest{Name: "one", DestinationName: "acs1"}, fault.InvalidParameter,
			"DestinationName", "reserved"},
		"a bad region": {chat.CopyRequest{Name: "one", DestinationRegionID: "x", ClientToken: " "}, fault.InvalidRegion,
			"DestinationRegionId", "ClientToken"},
		"a bad region of the original": {chat.CopyRequest{Name: "one", RegionID: "x"}, fault.InvalidRegion,
			"RegionId", ""},
		"too many": {chat.CopyRequest{Name: "one", DestinationName: "two"}, fault.QuotaExceeded, "ChatConfiguration",
			"the quota is 1"},
	} {
		_, err := h.Copy(h.Ctx, &c.in)
		chattest.WantError(t, "Copy with "+about, err, c.code, c.param, c.text)
	}
	if err := second(h.Copy(h.Ctx, &chat.CopyRequest{Name: "one", DestinationRegionID: otherRegion})); err != nil {
		t.Errorf("Copy into a region with room: %v", err)
	}
}

// An original that today's rules refuse is not copied.
func TestCopyOfWhatIsNoLongerValid(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one")
	reader := chattest.As(t.Context(), callerOf(t, "CCKread", `{"Effect":"Allow","Action":"oos:*","Resource":"*"}`))
	h.rewrite("one", func(m map[string]any) { m["configuration"] = `{"SlackSigningSecret":"******","Old":"hidden"}` })
	chattest.WantError(t, "Copy by a reader", h.copyAs(reader, "one"), fault.InvalidParameter, "Configuration",
		"Configuration.Old: unknown key")
	for about, edit := range map[string]func(map[string]any){
		"an unknown type": func(m map[string]any) { m["type"] = "Matrix" },
		"a secret that does not open": func(m map[string]any) {
			s := m["secrets"].(map[string]any)
			s["SlackSigningSecret"] = chattest.FlipBit(s["SlackSigningSecret"].(string))
		},
	} {
		h := newHouse(t)
		h.MustCreate("one")
		h.rewrite("one", edit)
		err := h.copyAs(h.Ctx, "one")
		chattest.WantError(t, "Copy of "+about, err, fault.Internal, "")
		chattest.WantNoDetail(t, err)
	}
	other := newHouse(t)
	other.MustCreate("one")
	other.Service = other.ServiceWith(chat.Options{Random: &chattest.Few{}}, other.Ring)
	chattest.WantError(t, "Copy without random", other.copyAs(other.Ctx, "one"), fault.Internal, "")
}

package chat_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/command"
	"chatconf/shared/fault"
	"chatconf/shared/secret"
)

const otherTargetSecret = "whsec_bm90IGEgcmVhbCBzZWNyZXQgb2YgMzIgYnl0ZXM="

// rotate rotates a secret of a configuration.
func (h *house) rotate(name, key string, value secret.Text, grace int64) (chat.RotatedSecret, error) {
	h.T.Helper()
	out, err := h.RotateSecret(h.Ctx, &chat.RotateSecretRequest{Name: name, Key: key, Value: value,
		GraceSeconds: &grace})
	if err != nil {
		return chat.RotatedSecret{}, err
	}
	return out.ChatConfiguration, nil
}

func (h *house) mustRotate(name, key string, value secret.Text, grace int64) chat.RotatedSecret {
	h.T.Helper()
	out, err := h.rotate(name, key, value, grace)
	if err != nil {
		h.T.Fatal(err)
	}
	return out
}

func TestARotatedSecretAndTheOneBeforeAreValid(t *testing.T) {
	h := newHouse(t)
	h.mustCreateTwo("one")
	before, url := h.raw("one"), h.URL("one")
	h.Clock.Advance(time.Hour)
	grace := int64(60)
	out, err := h.RotateSecret(h.Ctx, &chat.RotateSecretRequest{Name: "one", Key: "SlackSigningSecret",
		Value: "signing-two", GraceSeconds: &grace, Revision: chattest.Ptr[int64](1)})
	if err != nil {
		t.Fatal(err)
	}
	after := h.raw("one")
	state := chat.SecretState{Key: "SlackSigningSecret", SinceDate: "2026-11-23T09:00:00+00:00",
		Digest: after.Set["SlackSigningSecret"].Digest, PreviousUntil: "2026-11-23T09:01:00+00:00"}
	chattest.Equal(t, "the answer", out, &chat.RotateSecretResponse{ChatConfiguration: chat.RotatedSecret{Name: "one",
		CreatedDate: "2026-11-23T08:00:00+00:00", UpdatedDate: "2026-11-23T09:00:00+00:00", Revision: 2,
		Secret: state}})
	if got := out.ETag(); got != `"2"` {
		t.Errorf("ETag = %s", got)
	}
	chattest.Equal(t, "Secrets of Get", h.MustGet("one").Secrets, []chat.SecretState{state,
		{Key: "SlackBotToken", SinceDate: "2026-11-23T08:00:00+00:00", Digest: before.Set["SlackBotToken"].Digest},
		{Key: "Webhook", SinceDate: "2026-11-23T08:00:00+00:00"}})
	if state.Digest == before.Set["SlackSigningSecret"].Digest {
		t.Error("the digest is that of the secret before")
	}
	settings := func(want ...string) {
		t.Helper()
		e, err := h.OpenURL(url)
		if err != nil {
			t.Fatal(err)
		}
		got := []string{e.Settings["SlackSigningSecret"].Reveal(), e.Settings["SlackSigningSecretPrevious"].Reveal()}
		chattest.Equal(t, "the valid secrets", got, want)
	}
	settings("signing-two", "signing-one")
	if list := h.history("one"); list[1].Action != "RotateChatSecret" {
		t.Errorf("history says %s", list[1].Action)
	}
	h.Clock.Advance(time.Minute - time.Millisecond)
	settings("signing-two", "signing-one")
	h.Clock.Advance(time.Millisecond)
	settings("signing-two", "")
	if got := h.MustGet("one").Secrets[0].PreviousUntil; got != "" {
		t.Errorf("after the grace time, PreviousUntil = %s", got)
	}
	h.MustAgree()
}

// A rotation of one secret ends the grace time of no other, in either order.
func TestEachSecretHasItsOwnGraceTime(t *testing.T) {
	h := newHouse(t)
	h.mustCreateTwo("one")
	zero := h.URL("one")
	h.mustRotate("one", "SlackSigningSecret", "signing-two", 100)
	if _, err := h.Rotate(h.Ctx, &chat.RotateRequest{Name: "one", GraceSeconds: chattest.Ptr[int64](50)}); err != nil {
		t.Fatal(err)
	}
	h.mustRotate("one", "SlackBotToken", "token-two", 10) // has no previous value
	valid := func(about string, url, previous bool) {
		t.Helper()
		_, err := h.OpenURL(zero)
		got := h.Open("one").Settings["SlackSigningSecretPrevious"]
		if (err == nil) != url || (got == "signing-one") != previous {
			t.Errorf("%s: the URL before is valid: %v; the secret before: %q", about, err == nil, got.Reveal())
		}
	}
	valid("at first", true, true)
	h.Clock.Advance(50 * time.Second)
	valid("after the shorter grace time", false, true)
	h.MustUpdate(&chat.UpdateRequest{Name: "one", RamRole: chattest.Ptr("r")})
	valid("after an update", false, true)
	h.Clock.Advance(50 * time.Second)
	valid("after the longer grace time", false, false)

	// A second rotation of the same secret ends the first one's grace time.
	h.mustRotate("one", "SlackSigningSecret", "signing-three", 100)
	h.mustRotate("one", "SlackSigningSecret", "signing-four", 100)
	e := h.Open("one")
	if got := e.Settings["SlackSigningSecretPrevious"]; got != "signing-three" {
		t.Errorf("the previous secret is %q", got.Reveal())
	}
	h.mustRotate("one", "SlackSigningSecret", "signing-five", 0)
	if got, there := h.Open("one").Settings["SlackSigningSecretPrevious"]; there {
		t.Errorf("without a grace time, the previous secret is %q", got.Reveal())
	}
	if got := h.raw("one"); len(got.Previous) > 0 || len(got.Secrets) != 3 {
		t.Errorf("stored are the previous %v and %d secrets", got.Previous, len(got.Secrets))
	}
	h.MustAgree()
}

func TestASecretThatOnlySendsIsReplacedAtOnce(t *testing.T) {
	h := newHouse(t)
	h.mustCreateTwo("one")
	if got := h.mustRotate("one", "BotUserOAuthToken", "token-two", 60); got.Secret.PreviousUntil != "" ||
		got.Secret.Key != "SlackBotToken" {
		t.Errorf("the answer is %+v", got)
	}
	e := h.Open("one")
	if _, there := e.Settings["SlackBotTokenPrevious"]; there || e.Settings["SlackBotToken"] != "token-two" {
		t.Errorf("the settings are %v", e.Settings)
	}
}

func TestTheSecretOfATargetIsRotated(t *testing.T) {
	h := newHouse(t)
	const target = `"Target":{"Type":"Http","Url":"https://a.example.com","Secret":"` + chattest.TargetSecret + `"}`
	h.MustCreate("one", func(in *chat.CreateRequest) {
		in.Configuration = secret.Text(chattest.With(chattest.Slack, target+`,"Actions":{"Restart":{`+target+
			`},"重启.now":{`+target+`}}`))
	})
	secrets := func(action string) []secret.Text {
		return h.Open("one").TargetOf(command.Command{Action: action}).Secrets
	}
	one, both := []secret.Text{chattest.TargetSecret}, []secret.Text{otherTargetSecret, chattest.TargetSecret}
	h.mustRotate("one", "Target.Secret", otherTargetSecret, 60)
	chattest.Equal(t, "secrets of the Target", secrets(""), both)
	chattest.Equal(t, "secrets of the action", secrets("restart"), one)
	h.mustRotate("one", "Configuration.Actions.Restart.Target.Secret", otherTargetSecret, 60)
	h.mustRotate("one", `Actions["重启.now"].Target.Secret`, otherTargetSecret, 60)
	chattest.Equal(t, "secrets of the action after its rotation", secrets("restart"), both)
	var keys []string
	for _, s := range h.MustGet("one").Secrets {
		keys = append(keys, s.Key+" "+s.PreviousUntil)
	}
	const until = " 2026-11-23T08:01:00+00:00"
	chattest.Equal(t, "Secrets of Get", keys, []string{"SlackSigningSecret ", "Target.Secret" + until,
		"Actions.Restart.Target.Secret" + until, `Actions["重启.now"].Target.Secret` + until, "Webhook "})
	// The previous value ends with its field.
	h.MustUpdate(&chat.UpdateRequest{Name: "one", Configuration: chattest.Ptr(secret.Text(
		chattest.With(chattest.Slack, strings.Replace(target, chattest.TargetSecret, secret.Mask, 1))))})
	if got := h.raw("one"); len(got.Previous) != 1 || len(got.Secrets) != 4 {
		t.Errorf("after the actions are gone, %d secrets are stored, with the previous %v", len(got.Secrets),
			got.Previous)
	}
	chattest.Equal(t, "secrets of the Target after the update", secrets(""), both)
	h.MustAgree()
}

func TestAMadeSecretIsMadeAgain(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one", func(in *chat.CreateRequest) { in.Type, in.Configuration = "WeChat", minWeChat })
	first := h.stored("one").Secrets
	h.mustRotate("one", "Token", "", 60)
	second := h.stored("one").Secrets
	outputs := decodeOutputs(t, h.MustGet("one").Outputs)
	if second["WeChatToken"] == first["WeChatToken"] || outputs["Token"] != second["WeChatToken"] ||
		second["#WeChatTokenPrevious"] != first["WeChatToken"] {
		t.Errorf("Outputs are %v", outputs)
	}
	if second["WeChatEncodingAesKey"] != first["WeChatEncodingAesKey"] {
		t.Error("another secret was made, too")
	}
	// What the caller sets is masked in Outputs, as after an update.
	h.mustRotate("one", "WeChatToken", "mine", 60)
	if got := decodeOutputs(t, h.MustGet("one").Outputs)["Token"]; got != secret.Mask {
		t.Errorf("Outputs show %q", got)
	}
	h.mustRotate("one", "WeChatToken", "", 60)
	if got := decodeOutputs(t, h.MustGet("one").Outputs)["Token"]; got != h.stored("one").Secrets["WeChatToken"] {
		t.Errorf("Outputs show %q", got)
	}
	s := h.ServiceWith(chat.Options{Random: &chattest.Few{}}, h.Ring)
	_, err := s.RotateSecret(h.Ctx, &chat.RotateSecretRequest{Name: "one", Key: "WeChatToken"})
	chattest.WantError(t, "RotateSecret without random", err, fault.Internal, "")
	h.MustAgree()
}

// The last word on what was before counts: a rotation, or a Configuration that names it.
func TestThePreviousSecretInAConfiguration(t *testing.T) {
	h := newHouse(t)
	const named = `"SlackSigningSecretPrevious":"signing-zero"`
	h.MustCreate("one", func(in *chat.CreateRequest) {
		in.Configuration = secret.Text(chattest.With(chattest.Slack, named))
	})
	h.mustRotate("one", "SlackSigningSecret", "signing-two", 60)
	if got := h.Open("one").Settings["SlackSigningSecretPrevious"]; got != "signing-secret-0" {
		t.Errorf("after the rotation the previous secret is %q", got.Reveal())
	}
	got := h.MustGet("one")
	if strings.Contains(got.Configuration, "Previous") || len(got.Secrets) != 2 {
		t.Errorf("Get shows %s, %v", got.Configuration, got.Secrets)
	}
	h.MustUpdate(&chat.UpdateRequest{Name: "one", Configuration: chattest.Ptr(secret.Text(
		chattest.With(got.Configuration, named)))})
	if got := h.Open("one").Settings["SlackSigningSecretPrevious"]; got != "signing-zero" {
		t.Errorf("after the update the previous secret is %q", got.Reveal())
	}
	if got := h.raw("one"); len(got.Previous) > 0 {
		t.Errorf("stored are the previous %v", got.Previous)
	}
	h.MustAgree()
}

func TestRotateSecretIsRefused(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one", func(in *chat.CreateRequest) {
		in.Configuration = secret.Text(chattest.With(chattest.Slack, `"SlackSigningSecretPrevious":"signing-zero",`+
			`"Target":{"Type":"Http","Url":"https://a.example.com","Secret":"`+chattest.TargetSecret+`"}`))
	})
	for about, c := range map[string]struct {
		key   string
		value secret.Text
		code  fault.Code
		param string
		texts []string
	}{
		"a key that is nearly one": {"SlackSigningSecrets", "planted-value", fault.InvalidParameter, "Key",
			[]string{`Unknown Key "SlackSigningSecrets"; did you mean SlackSigningSecret?`}},
		"an unknown key": {"x", "planted-value", fault.InvalidParameter, "Key",
			[]string{`Unknown Key "x"; use one of SlackSigningSecret, Target.Secret.`}},
		"a setting that is not secret": {"SlackTeamId", "T0", fault.InvalidParameter, "Key",
			[]string{"SlackTeamId is not secret; change it with UpdateChatConfiguration"}},
		"a secret that is not set": {"SlackBotToken", "planted-value", fault.InvalidParameter, "Key",
			[]string{`"one" has no SlackBotToken; set it with UpdateChatConfiguration`}},
		"a previous secret": {"SlackSigningSecretPrevious", "planted-value", fault.InvalidParameter, "Key",
			[]string{"SlackSigningSecretPrevious is a previous value; rotate SlackSigningSecret"}},
		"the webhook": {"Webhook", "planted-value", fault.InvalidParameter, "Key", []string{"use RotateChatWebhook"}},
		"the field of the webhook": {chat.FieldWebhookToken, "planted-value", fault.InvalidParameter, "Key",
			[]string{"Unknown Key"}},
		"no value": {"SlackSigningSecret", "", fault.MissingParameter, "Value",
			[]string{"the service cannot make SlackSigningSecret. Write 8 to 256 printable ASCII"}},
		"no value for a Target": {"Target.Secret", "", fault.MissingParameter, "Value",
			[]string{"the service cannot make Target.Secret. Write 24 to 64 bytes in base64"}},
		"a short value": {"SlackSigningSecret", "planted", fault.InvalidParameter, "Value",
			[]string{"is not 8 to 256"}},
		"a wrong value": {"Target.Secret", "planted-value", fault.InvalidParameter, "Value",
			[]string{"is not 24 to 64"}},
		"the mask": {"SlackSigningSecret", secret.Mask, fault.InvalidParameter, "Value", []string{"is the mask"}},
		"the same value": {"SlackSigningSecret", "signing-secret-0", fault.InvalidParameter, "Value",
			[]string{"is the present"}},
	} {
		_, err := h.rotate("one", c.key, c.value, 60)
		chattest.WantError(t, "RotateSecret with "+about, err, c.code, c.param, c.texts...)
		if strings.Contains(err.Error(), "planted") || strings.Contains(err.Error(), "signing-secret") {
			t.Errorf("the error for %s shows the value: %v", about, err)
		}
	}
	_, err := h.RotateSecret(h.Ctx, &chat.RotateSecretRequest{Name: "a b", GraceSeconds: chattest.Ptr[int64](-1),
		ClientToken: " "})
	chattest.WantError(t, "RotateSecret with everything wrong", err, fault.InvalidParameter, "Name", "Key is mandatory",
		"GraceSeconds is -1", "ClientToken ")
	_, err = h.RotateSecret(h.Ctx, &chat.RotateSecretRequest{Name: "one", Key: "x", Revision: chattest.Ptr[int64](9)})
	chattest.WantError(t, "RotateSecret of another revision", err, fault.Conflict, "Revision")
	_, err = h.rotate("two", "x", "", 0)
	chattest.WantError(t, "RotateSecret of no configuration", err, fault.NotFound, "Name")
	if got := h.MustGet("one").Revision; got != 1 {
		t.Errorf("revision = %d", got)
	}
	for about, edit := range map[string]func(map[string]any){
		"a type that is not known": func(m map[string]any) { m["type"] = "Matrix" },
		"an invalid Configuration": func(m map[string]any) { m["configuration"] = `{"XPrevious"` },
	} {
		h := newHouse(t)
		h.MustCreate("one", func(in *chat.CreateRequest) {
			in.Configuration = secret.Text(chattest.With(chattest.Slack, `"Target":{"Type":"Http",`+
				`"Url":"https://a.example.com","Secret":"`+chattest.TargetSecret+`"}`))
		})
		h.rewrite("one", edit)
		_, err := h.rotate("one", "SlackSigningSecret", "signing-two", 60)
		chattest.WantError(t, "RotateSecret of "+about, err, fault.Internal, "")
		_, err = h.Get(h.Ctx, &chat.GetRequest{Name: "one"})
		chattest.WantError(t, "Get of "+about, err, fault.Internal, "")
	}
}

// A secret whose key is gone can be replaced, but not kept for a grace time.
func TestASecretWhoseKeyIsGone(t *testing.T) {
	h := newHouse(t)
	h.mustCreateTwo("one")
	h.Service = h.ServiceWith(chat.Options{}, chattest.NewRing(t, 9))
	_, err := h.rotate("one", "SlackSigningSecret", "signing-two", 60)
	chattest.WantError(t, "RotateSecret with a grace time", err, fault.InvalidParameter, "GraceSeconds", "use 0")
	_, err = h.Rotate(h.Ctx, &chat.RotateRequest{Name: "one"})
	chattest.WantError(t, "Rotate with a grace time", err, fault.InvalidParameter, "GraceSeconds", "use 0")
	h.mustRotate("one", "SlackSigningSecret", "signing-two", 0)
	h.mustRotate("one", "SlackBotToken", "token-two", 60)
	if _, err := h.Rotate(h.Ctx, &chat.RotateRequest{Name: "one", GraceSeconds: chattest.Ptr[int64](0)}); err != nil {
		t.Fatal(err)
	}
	chattest.Equal(t, "the secrets", h.Open("one").Settings, map[string]secret.Text{
		"SlackSigningSecret": "signing-two", "SlackBotToken": "token-two"})
}

// A caller who sets the secret that proves callbacks can stand for every user, and use the roles.
func TestRotateSecretNeedsPassRole(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one", func(in *chat.CreateRequest) { in.Configuration = secret.Text(slack(opsAllow)) })
	rotate := func(ctx context.Context) error {
		return second(h.RotateSecret(ctx, &chat.RotateSecretRequest{Name: "one", Key: "SlackSigningSecret",
			Value: "signing-two", ClientToken: "t"}))
	}
	chattest.WantError(t, "RotateSecret without PassRole", rotate(h.mayPass()), fault.NoPermission, "", opsRole)
	only := chattest.As(t.Context(), callerOf(t, "CCKother", `{"Effect":"Allow","Action":"oos:Get*","Resource":"*"}`))
	err := rotate(only)
	chattest.WantError(t, "RotateSecret by a reader", err, fault.NoPermission, "", "oos:RotateChatSecret")
	if strings.Contains(err.Error(), "Ops") {
		t.Errorf("the error tells a role: %v", err)
	}
	only = chattest.As(t.Context(), callerOf(t, "CCKonly",
		`{"Effect":"Allow","Action":"oos:RotateChatSecret","Resource":"*"}`))
	err = rotate(only)
	chattest.WantError(t, "RotateSecret without Get", err, fault.NoPermission, "", "ram:PassRole on acs:ram::"+
		chattest.Account+":role/******.")
	if strings.Contains(err.Error(), "Ops") {
		t.Errorf("the error tells a role: %v", err)
	}
	if h.MustGet("one").Revision != 1 {
		t.Error("a refused rotation changed something")
	}
	may := h.mayPass("acs:ram::" + chattest.Account + ":role/Ops")
	for range 2 { // the second time by the ClientToken
		if err := rotate(may); err != nil {
			t.Errorf("RotateSecret with PassRole: %v", err)
		}
	}
	if got := h.MustGet("one").Revision; got != 2 {
		t.Errorf("revision = %d", got)
	}
}

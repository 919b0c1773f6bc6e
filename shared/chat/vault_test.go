package chat_test

import (
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"testing"
	"time"

	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/fault"
	"chatconf/shared/seal"
	"chatconf/shared/secret"
	"chatconf/shared/table"
)

// raw is what a stored record says of its secrets.
type raw struct {
	Secrets  map[string][]byte
	Set      map[string]chat.Set
	Previous map[string]time.Time
	Rotation any
}

func (h *house) raw(name string) raw {
	h.T.Helper()
	var out raw
	if err := json.Unmarshal(h.Item("c#"+name).Value, &out); err != nil {
		h.T.Fatal(err)
	}
	return out
}

// rewrite changes the stored record of a configuration behind the service's back.
func (h *house) rewrite(name string, edit func(map[string]any)) {
	h.T.Helper()
	item := h.Item("c#" + name)
	h.Tamper(table.Change{Puts: []table.Put{{Sort: item.Sort, Revision: item.Revision,
		Value: chattest.Reencode(item.Value, edit)}}})
}

const twoSecrets = `{"SlackSigningSecret":"signing-one","SlackBotToken":"token-one"}`

func (h *house) mustCreateTwo(name string) {
	h.T.Helper()
	h.MustCreate(name, func(in *chat.CreateRequest) { in.Type, in.Configuration = "Slack", twoSecrets })
}

func TestADigestChangesOnlyWithItsSecret(t *testing.T) {
	h := newHouse(t)
	h.mustCreateTwo("one")
	first, born := h.raw("one"), h.Clock.Now().UTC()
	for _, field := range []string{"SlackSigningSecret", "SlackBotToken", chat.FieldWebhookToken} {
		if got := first.Set[field]; len(got.Digest) != 16 || !got.Since.Equal(born) {
			t.Errorf("%s is set %+v, want since %v", field, got, born)
		}
	}
	h.Clock.Advance(time.Hour)
	h.MustUpdate(&chat.UpdateRequest{Name: "one", Configuration: chattest.Ptr[secret.Text](
		`{"SlackSigningSecret":"signing-two","SlackBotToken":"token-one","BotName":"b"}`)})
	second := h.raw("one")
	if got := second.Set["SlackSigningSecret"]; got.Digest == first.Set["SlackSigningSecret"].Digest ||
		!got.Since.Equal(h.Clock.Now()) {
		t.Errorf("a new secret is set %+v", got)
	}
	chattest.Equal(t, "an unchanged secret", second.Set["SlackBotToken"], first.Set["SlackBotToken"])
	chattest.Equal(t, "its sealed value", second.Secrets["SlackBotToken"], first.Secrets["SlackBotToken"])

	// The same secret has another digest in another place.
	h.mustCreateTwo("two")
	if h.raw("two").Set["SlackBotToken"].Digest == first.Set["SlackBotToken"].Digest {
		t.Error("another configuration has the same digest")
	}
	h.MustAgree()
}

func TestAWriteSealsAgainWhatAnOlderKeySealed(t *testing.T) {
	h := newHouse(t)
	h.mustCreateTwo("one")
	if _, err := h.Rotate(h.Ctx, &chat.RotateRequest{Name: "one"}); err != nil {
		t.Fatal(err)
	}
	before, secrets := h.raw("one"), h.stored("one").Secrets
	h.Service = h.ServiceWith(chat.Options{}, chattest.NewRing(t, 2, 1))
	if _, err := h.Tag(h.Ctx, &chat.TagRequest{ResourceType: "chatconfiguration",
		ResourceIDs: []string{"one"}, Tags: map[string]string{"a": "b"}}); err != nil {
		t.Fatal(err)
	}
	after := h.raw("one")
	if len(after.Secrets) != 4 {
		t.Errorf("%d secrets, want 4", len(after.Secrets))
	}
	for field, sealed := range after.Secrets {
		if id, err := seal.KeyID(sealed); err != nil || id != chattest.NewRing(t, 2).Current() {
			t.Errorf("%s is sealed with %s, %v", field, id, err)
		}
	}
	chattest.Equal(t, "the digests", after.Set, before.Set)
	chattest.Equal(t, "the previous values", after.Previous, before.Previous)
	h.Service = h.ServiceWith(chat.Options{}, chattest.NewRing(t, 2)) // the old key is gone
	chattest.Equal(t, "the secrets", h.stored("one").Secrets, secrets)

	// What does not open stays, and the rest of its configuration can be changed.
	h.Service = h.ServiceWith(chat.Options{}, chattest.NewRing(t, 3))
	h.MustUpdate(&chat.UpdateRequest{Name: "one", Status: "Inactive"})
	chattest.Equal(t, "what does not open", h.raw("one").Secrets, after.Secrets)
}

func TestARecordFromBeforeSecretsHadDigests(t *testing.T) {
	h := newHouse(t)
	h.mustCreateTwo("one")
	zero := h.URL("one")
	if _, err := h.Rotate(h.Ctx, &chat.RotateRequest{Name: "one"}); err != nil {
		t.Fatal(err)
	}
	before := h.raw("one")
	until := before.Previous[chat.FieldWebhookToken]
	if !until.Equal(h.Clock.Now().Add(chat.DefaultGrace * time.Second)) {
		t.Errorf("the previous token is valid until %v", until)
	}
	h.rewrite("one", func(m map[string]any) {
		delete(m, "set")
		delete(m, "previous")
		m["rotation"] = map[string]any{"until": until, "fields": []string{chat.FieldWebhookToken}}
	})
	if _, err := h.OpenURL(zero); err != nil {
		t.Errorf("the previous URL of the older record: %v", err)
	}
	h.MustAgree()
	h.MustUpdate(&chat.UpdateRequest{Name: "one", RamRole: chattest.Ptr("r")})
	after := h.raw("one")
	if after.Rotation != nil {
		t.Errorf("the written record has rotation %v", after.Rotation)
	}
	chattest.Equal(t, "the previous values", after.Previous, before.Previous)
	chattest.Equal(t, "the fields with a digest", slices.Sorted(maps.Keys(after.Set)),
		slices.Sorted(maps.Keys(before.Set)))
	for field, got := range after.Set {
		if !got.Since.IsZero() || got.Digest != before.Set[field].Digest {
			t.Errorf("%s is set %+v, want digest %s and no time", field, got, before.Set[field].Digest)
		}
	}
	h.Clock.Advance(chat.DefaultGrace * time.Second)
	if _, err := h.OpenURL(zero); err == nil {
		t.Error("the previous URL opens after the grace time")
	}
	// Any write drops what is no longer valid.
	h.MustUpdate(&chat.UpdateRequest{Name: "one", RamRole: chattest.Ptr("s")})
	if got := h.raw("one"); len(got.Previous) != 0 || len(got.Secrets) != 3 {
		t.Errorf("after the grace time: %v, %d secrets", got.Previous, len(got.Secrets))
	}
	h.MustAgree()
}

func TestCheckFindsAPreviousSecretThatIsMissing(t *testing.T) {
	h := newHouse(t)
	h.mustCreateTwo("one")
	h.rewrite("one", func(m map[string]any) {
		m["previous"] = map[string]any{"SlackSigningSecret": h.Clock.Now().Add(time.Hour)}
	})
	report, err := h.Check(h.Ctx, chattest.Account, chattest.Region)
	if err != nil || !slices.Contains(report.Problems, `"one" has no #SlackSigningSecretPrevious`) {
		t.Errorf("Check: %v, %v", report.Problems, err)
	}
	h.rewrite("one", func(m map[string]any) {
		s := m["secrets"].(map[string]any)
		s["#SlackSigningSecretPrevious"] = s["SlackSigningSecret"] // from another place
	})
	_, err = h.OpenURL(h.URL("one"))
	chattest.WantError(t, "a previous secret that does not open", err, fault.Internal, "")
}

func TestADateOfASecretThatIsDamaged(t *testing.T) {
	h := newHouse(t)
	h.mustCreateTwo("one")
	h.rewrite("one", func(m map[string]any) {
		m["set"] = map[string]any{"SlackSigningSecret": "0123456789abcdef yesterday"}
	})
	_, err := h.Get(h.Ctx, &chat.GetRequest{Name: "one"})
	chattest.WantError(t, "Get", err, fault.Internal, "")
}

// A digest identifies a secret at its place: it is the same for the same five texts only, however
// they are divided.
func FuzzDigest(f *testing.F) {
	f.Add("1", "cn-hangzhou", "ops", "SlackSigningSecret", "signing-secret-0", 3, 5)
	f.Add("1", "cn-hangzhou", "ops", "Target.Secret", "", 0, 0)
	f.Add("", "", "", "", "planted", 7, 1)
	h := newHouse(f)
	rotated := h.ServiceWith(chat.Options{}, chattest.NewRing(f, 2, 1))
	f.Fuzz(func(t *testing.T, account, region, name, field, hidden string, from, move int) {
		texts := [5]string{account, region, name, field, hidden}
		digest := h.Digest(texts)
		if again := h.Digest(texts); again != digest {
			t.Errorf("%q has the digests %s and %s", texts, digest, again)
		}
		if _, err := hex.DecodeString(digest); err != nil || len(digest) != 16 {
			t.Errorf("the digest of %q is %q", texts, digest)
		}
		if rotated.Digest(texts) == digest {
			t.Errorf("the digest of %q is the same under another key", texts)
		}
		// Another division of the same bytes, and the same with one text changed.
		others := [][5]string{texts, texts}
		i := (from%4 + 4) % 4
		if n := len(texts[i]); n > 0 {
			at := (move%n + n) % n
			others[0][i], others[0][i+1] = texts[i][:at], texts[i][at:]+texts[i+1]
		}
		others[1][i] += "x"
		for _, other := range others {
			if other != texts && h.Digest(other) == digest {
				t.Errorf("%q and %q have the same digest", texts, other)
			}
		}
	})
}

package chat_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/fault"
	"chatconf/shared/seal"
	"chatconf/shared/secret"
)

// A team may do everything with the configurations that have its tag, except some actions.
func (h *house) team(name string, except ...string) context.Context {
	statements := []string{`{"Effect":"Allow","Action":"oos:*","Resource":"*","Condition":{"StringEquals":` +
		`{"oos:tag/team":"` + name + `"}}}`}
	for _, action := range except {
		statements = append(statements, `{"Effect":"Deny","Action":"`+action+`","Resource":"*"}`)
	}
	return chattest.As(h.T.Context(), callerOf(h.T, "CCK"+name, statements...))
}

// revisionsSeen returns the revisions that a caller sees in pages of n.
func (h *house) revisionsSeen(ctx context.Context, name string, n int64) (seen []int64) {
	list, _ := h.revisions(ctx, name, n)
	for _, r := range list {
		seen = append(seen, r.Revision)
	}
	return seen
}

// TestALifeWhoseEndIsPruned holds that an earlier life stays hidden when history no longer has the
// tags of its end: the first revision, which always stays, had others.
func TestALifeWhoseEndIsPruned(t *testing.T) {
	h := newHouseWith(t, chat.Options{History: 2})
	b := map[string]string{"team": "b"}
	h.MustCreate("one", func(in *chat.CreateRequest) { in.Tags = b })
	if err := h.tag(map[string]string{"team": "a"}, "one"); err != nil {
		t.Fatal(err)
	}
	h.again("one", b)
	for range 5 {
		h.Touch("one")
	}
	team := h.team("b")
	if seen := h.revisionsSeen(team, "one", 50); slices.Contains(seen, 1) {
		t.Errorf("team b sees the revisions %v, also the one of team a", seen)
	}
	_, err := h.GetRevision(team, &chat.GetRevisionRequest{Name: "one", Revision: new(int64(1))})
	chattest.WantError(t, "GetRevision", err, fault.NotFound, "Revision")
	_, err = h.Restore(team, &chat.RestoreRequest{Name: "one", Revision: new(int64(1))})
	chattest.WantError(t, "Restore", err, fault.NotFound, "Revision")
}

// TestALifeThatWentOn holds that the tags at the end of a life count, although another life of the
// name lies between its entries.
func TestALifeThatWentOn(t *testing.T) {
	h := newHouse(t)
	b := map[string]string{"team": "b"}
	h.MustCreate("one", func(in *chat.CreateRequest) { in.Tags = b }) // 1
	h.again("one", b)                                                 // 2, 3
	h.MustDelete("one")                                               // 4
	h.mustRestore(h.Ctx, "one", 1)                                    // 5, the first life again
	if err := h.tag(map[string]string{"team": "a"}, "one"); err != nil {
		t.Fatal(err) // 6
	}
	h.again("one", b) // 7, 8
	team := h.team("b")
	for _, n := range []int64{1, 2, 3, 4, 5, 50} {
		if seen := h.revisionsSeen(team, "one", n); !slices.Equal(seen, []int64{8, 4, 3}) {
			t.Errorf("in pages of %d, team b sees the revisions %v; those of team a are not theirs", n, seen)
		}
		if seen := h.revisionsSeen(h.Ctx, "one", n); !slices.Equal(seen, []int64{8, 7, 6, 5, 4, 3, 2, 1}) {
			t.Errorf("in pages of %d, an administrator sees the revisions %v", n, seen)
		}
	}
	_, err := h.GetRevision(team, &chat.GetRevisionRequest{Name: "one", Revision: new(int64(1))})
	chattest.WantError(t, "GetRevision", err, fault.NotFound, "Revision")
}

// TestRestoreFromALifeOfOthers holds that the secrets and records of an earlier life are for those
// who may restore that life, and change its tags: a revision may have other tags than its end.
func TestRestoreFromALifeOfOthers(t *testing.T) {
	for _, there := range []bool{true, false} {
		h := newHouse(t)
		b := map[string]string{"team": "b"}
		h.MustCreate("one", func(in *chat.CreateRequest) {
			in.Tags, in.Type, in.Configuration = b, "WeChat", minWeChat
		})
		if err := h.tag(map[string]string{"team": "a"}, "one"); err != nil {
			t.Fatal(err)
		}
		h.MustDelete("one")
		h.MustCreate("one", func(in *chat.CreateRequest) {
			in.Tags, in.Type, in.Configuration = b, "WeChat", minWeChat
		})
		if !there {
			h.MustDelete("one")
		}
		allow := func(team string, actions ...string) string {
			return `{"Effect":"Allow","Action":["oos:` + strings.Join(actions, `","oos:`) + `"],"Resource":"*",` +
				`"Condition":{"StringEquals":{"oos:tag/team":"` + team + `"}}}`
		}
		caller := func(actions ...string) context.Context {
			return chattest.As(t.Context(), callerOf(t, "CCKb", allow("b", "*"), allow("a", actions...)))
		}
		in := &chat.RestoreRequest{Name: "one", Revision: new(int64(1))}
		_, err := h.Restore(caller("GetChatConfigurationRevision"), in)
		chattest.WantError(t, "a caller who may only read that life", err, fault.NoPermission, "",
			"oos:RestoreChatConfiguration on acs:oos:cn-hangzhou:"+chattest.Account+
				":chatconfiguration/one with the tags at the end of that life, oos:TagResources on acs:")
		h.mustRestore(caller("GetChatConfigurationRevision", "RestoreChatConfiguration", "TagResources"), "one", 1)
	}
}

// TestARepeatedRestoreOfALifeOfOthers holds that a repeated answer shows no changes of a life that
// the caller may not read.
func TestARepeatedRestoreOfALifeOfOthers(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one", func(in *chat.CreateRequest) { in.Tags = map[string]string{"team": "a"} })
	h.Touch("one")
	token := func(in *chat.RestoreRequest) { in.ClientToken = "t" }
	h.mustRestore(h.Ctx, "one", 1, token)
	h.again("one", map[string]string{"team": "b"})
	if got := h.mustRestore(h.team("b"), "one", 1, token); len(got.Changes) > 0 || got.Revision != 3 {
		t.Errorf("the repeated answer = %+v", got)
	}
}

// TestADeletionSealsAgainWhatAnOlderKeySealed holds that no write keeps an old key in use: a walk
// that seals everything again has perhaps just passed.
func TestADeletionSealsAgainWhatAnOlderKeySealed(t *testing.T) {
	h := newHouse(t)
	h.mustCreateTwo("one")
	want := h.stored("one").Secrets
	h.Service = h.ServiceWith(chat.Options{}, chattest.NewRing(t, 2, 1))
	h.MustDelete("one")
	list := h.history("one")
	for field, sealed := range list[1].Stored.Sealed {
		if id, err := seal.KeyID(sealed); err != nil || id != chattest.NewRing(t, 2).Current() {
			t.Errorf("%s of the deletion is sealed with %s, %v", field, id, err)
		}
	}
	h.Service = h.ServiceWith(chat.Options{}, chattest.NewRing(t, 2)) // the old key is gone
	h.mustRestore(h.Ctx, "one", 2)
	chattest.Equal(t, "the secrets", h.stored("one").Secrets, want)
}

// TestRestoreRemovesNoTagAgainstAPolicy holds that a restore needs the permission to untag for a
// tag that it removes, and to tag only for one that it sets.
func TestRestoreRemovesNoTagAgainstAPolicy(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one")
	if err := h.tag(map[string]string{"guard": "on"}, "one"); err != nil {
		t.Fatal(err)
	}
	const resource = " on acs:oos:cn-hangzhou:" + chattest.Account + ":chatconfiguration/one"
	for _, c := range []struct {
		revision     int64
		needs, other string
	}{{1, "oos:UntagResources", "oos:TagResources"}, {2, "oos:TagResources", "oos:UntagResources"}} {
		without := func(action string) context.Context {
			return chattest.As(t.Context(), callerOf(t, "CCKsome", `{"Effect":"Allow","Action":"oos:*","Resource":"*"}`,
				`{"Effect":"Deny","Action":"`+action+`","Resource":"*"}`))
		}
		_, err := h.Restore(without(c.needs), &chat.RestoreRequest{Name: "one", Revision: &c.revision})
		chattest.WantError(t, "without "+c.needs, err, fault.NoPermission, "", c.needs+resource+".")
		h.mustRestore(without(c.other), "one", c.revision)
	}
}

// TestRestoreOverWhatDoesNotOpen holds that a restore brings back a configuration whose present
// secrets are sealed under a key that is gone.
func TestRestoreOverWhatDoesNotOpen(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one", func(in *chat.CreateRequest) {
		in.Type, in.RamRole = "WeChat", "Ops"
		in.Configuration = secret.Text(chattest.With(minWeChat, chattest.OpenToAll))
	})
	want, url := h.stored("one").Secrets, h.URL("one")
	h.Service = h.ServiceWith(chat.Options{}, chattest.NewRing(t, 2, 1))
	if _, err := h.Rotate(h.Ctx, &chat.RotateRequest{Name: "one"}); err != nil {
		t.Fatal(err)
	}
	h.Service = h.ServiceWith(chat.Options{}, chattest.NewRing(t, 1)) // the new key is gone
	h.mustRestore(h.Ctx, "one", 1)
	chattest.Equal(t, "the secrets", h.stored("one").Secrets, want)
	if h.URL("one") != url {
		t.Error("the URL became another one")
	}
}

package chat_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/fault"
	"chatconf/shared/secret"
	"chatconf/shared/table"
)

const day = 24 * time.Hour

// tokens returns how many client tokens are remembered.
func (h *house) tokens() int {
	n := 0
	for _, item := range h.Dump() {
		if strings.HasPrefix(item.Sort, "t#") {
			n++
		}
	}
	return n
}

func TestClientTokenRepeatsTheFirstAnswer(t *testing.T) {
	h := newHouse(t)
	create := &chat.CreateRequest{Name: "one", Type: "Slack", Configuration: chattest.Slack,
		Tags: map[string]string{"a": "b", "c": "d"}, ClientToken: "create"}
	update := &chat.UpdateRequest{Name: "one", RamRole: chattest.Ptr("Ops"),
		Configuration: chattest.Ptr(secret.Text(fullSlack)), Revision: chattest.Ptr[int64](1), ClientToken: "update"}
	remove := &chat.DeleteRequest{Name: "one", Revision: chattest.Ptr[int64](2), ClientToken: "delete"}

	created, err := h.Create(h.Ctx, create)
	if err != nil {
		t.Fatal(err)
	}
	h.Clock.Advance(time.Minute)
	updated, err := h.Update(h.Ctx, update)
	if err != nil {
		t.Fatal(err)
	}
	h.Clock.Advance(time.Minute)
	removed, err := h.Delete(h.Ctx, remove)
	if err != nil {
		t.Fatal(err)
	}
	before := h.Dump()
	h.Clock.Advance(day - 3*time.Minute)
	for range 2 {
		again, err := h.Create(h.Ctx, create)
		if err != nil {
			t.Fatalf("Create again: %v", err)
		}
		chattest.Equal(t, "the answer to a repeated Create", again, created)
		upAgain, err := h.Update(h.Ctx, update)
		if err != nil {
			t.Fatalf("Update again: %v", err)
		}
		chattest.Equal(t, "the answer to a repeated Update", upAgain, updated)
		deleteAgain, err := h.Delete(h.Ctx, remove)
		if err != nil {
			t.Fatalf("Delete again: %v", err)
		}
		chattest.Equal(t, "the answer to a repeated Delete", deleteAgain, removed)
	}
	chattest.Equal(t, "the table after the repeats", h.Dump(), before)
	h.MustAgree()
}

func TestClientTokenStandsForItsParameters(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one")
	h.MustCreate("two", func(in *chat.CreateRequest) {
		in.ClientToken, in.Tags, in.RamRole = "create", map[string]string{"a": "b"}, "Ops"
	})
	h.MustUpdate(&chat.UpdateRequest{Name: "one", RamRole: chattest.Ptr("Ops"), ClientToken: "update"})
	update := func(edit func(*chat.UpdateRequest)) func() error {
		in := &chat.UpdateRequest{Name: "one", RamRole: chattest.Ptr("Ops"), ClientToken: "update"}
		edit(in)
		return func() error { _, err := h.Update(h.Ctx, in); return err }
	}
	create := func(edit func(*chat.CreateRequest)) func() error {
		in := &chat.CreateRequest{Name: "two", Type: "Slack", Configuration: chattest.Slack, ClientToken: "create",
			Tags: map[string]string{"a": "b"}, RamRole: "Ops"}
		edit(in)
		return func() error { _, err := h.Create(h.Ctx, in); return err }
	}
	if err := create(func(*chat.CreateRequest) {})(); err != nil {
		t.Errorf("the same Create: %v", err)
	}
	for about, call := range map[string]func() error{
		"another name":  update(func(in *chat.UpdateRequest) { in.Name = "two" }),
		"another role":  update(func(in *chat.UpdateRequest) { in.RamRole = chattest.Ptr("Dev") }),
		"no role":       update(func(in *chat.UpdateRequest) { in.RamRole = nil }),
		"an empty role": update(func(in *chat.UpdateRequest) { in.RamRole = chattest.Ptr("") }),
		"the value in another place": update(func(in *chat.UpdateRequest) {
			in.RamRole,
				in.ResourceGroupID = nil, chattest.Ptr("Ops")
		}),
		"a revision": update(func(in *chat.UpdateRequest) { in.Revision = chattest.Ptr[int64](2) }),
		"a configuration": update(
			func(in *chat.UpdateRequest) { in.Configuration = chattest.Ptr[secret.Text](chattest.Slack) }),
		"a status": update(func(in *chat.UpdateRequest) { in.Status = "Active" }),
		"another secret, on create": create(
			func(in *chat.CreateRequest) { in.Configuration = `{"SlackSigningSecret":"signing-secret-1"}` }),
		"another value of a tag": create(func(in *chat.CreateRequest) { in.Tags = map[string]string{"a": "c"} }),
		"a tag more": create(func(in *chat.CreateRequest) {
			in.Tags = map[string]string{"a": "b", "": ""}
			delete(in.Tags, "")
			in.Tags["c"] = ""
		}),
		"another name, on create":     create(func(in *chat.CreateRequest) { in.Name = "three" }),
		"the token of another action": update(func(in *chat.UpdateRequest) { in.ClientToken = "create" }),
		"the token of an update":      create(func(in *chat.CreateRequest) { in.ClientToken = "update" }),
		"delete with the token of an update": func() error {
			_, err := h.Delete(h.Ctx, &chat.DeleteRequest{Name: "one", ClientToken: "update"})
			return err
		},
	} {
		chattest.WantError(t, about, call(), fault.IdempotencyMismatch, "ClientToken", "ClientToken was used")
	}
	if got := h.MustGet("one").Revision; got != 2 {
		t.Errorf("revision = %d, want 2", got)
	}
	// In another region, and in another account, the token is another.
	h.MustCreate("two", func(in *chat.CreateRequest) { in.RegionID, in.ClientToken = "us-east-1", "create" })
	h.MustAgree()
}

func TestClientTokenExpires(t *testing.T) {
	h := newHouse(t)
	in := &chat.UpdateRequest{Name: "one", RamRole: chattest.Ptr("Ops"), ClientToken: "token"}
	h.MustCreate("one")
	first := h.MustUpdate(in)
	h.Clock.Advance(day - time.Nanosecond)
	chattest.Equal(t, "the answer just before a day is over", h.MustUpdate(in), first)
	h.Clock.Advance(time.Nanosecond)
	h.Touch("one")
	second := h.MustUpdate(in)
	if got, want := second.ChatConfiguration.Revision, int64(4); got != want {
		t.Errorf("revision a day later = %d, want %d", got, want)
	}
	chattest.Equal(t, "the answer from then on", h.MustUpdate(in), second)
	h.Clock.Advance(day)
	if _, err := h.Delete(h.Ctx, &chat.DeleteRequest{Name: "one", ClientToken: "token"}); err != nil {
		t.Errorf("another action with an old token: %v", err)
	}
	chattest.Equal(t, "tokens remembered", h.tokens(), 1)
}

// TestOldClientTokensAreSwept holds that what is left behind stays bounded: each write takes some
// of its neighbours over age along.
func TestOldClientTokensAreSwept(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one")
	for i := range 100 {
		h.MustUpdate(&chat.UpdateRequest{Name: "one", ClientToken: fmt.Sprint("old-", i)})
	}
	chattest.Equal(t, "tokens of a day", h.tokens(), 100)
	h.Clock.Advance(day)
	const fresh = 100
	for i := range fresh {
		h.MustUpdate(&chat.UpdateRequest{Name: "one", RamRole: chattest.Ptr(fmt.Sprint("R", i)),
			ClientToken: fmt.Sprint("new-", i)})
	}
	if got := h.tokens(); got >= fresh+15 {
		t.Errorf("%d tokens are left of 100 old and %d new ones", got, fresh)
	}
	for i := range fresh {
		if got, want := h.MustUpdate(&chat.UpdateRequest{Name: "one", RamRole: chattest.Ptr(fmt.Sprint("R", i)),
			ClientToken: fmt.Sprint("new-", i)}).ChatConfiguration.Revision, int64(2+i); got != want {
			t.Errorf("a token that is not old was swept: revision = %d, want %d", got, want)
		}
	}
	h.MustAgree()
}

// TestClientTokensSweptByTwo holds that two writes that sweep the same neighbour both happen.
func TestClientTokensSweptByTwo(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one")
	for i := range 8 {
		h.MustUpdate(&chat.UpdateRequest{Name: "one", ClientToken: fmt.Sprint("old-", i)})
	}
	h.Clock.Advance(day)
	once := false
	h.Spy.OnWrite = func(c *table.Change) error {
		if once || len(c.Deletes) == 0 {
			return nil
		}
		once = true
		h.Tamper(table.Change{Deletes: []table.Delete{{Sort: c.Deletes[len(c.Deletes)-1].Sort}}})
		return nil
	}
	for i := range 8 {
		h.MustUpdate(&chat.UpdateRequest{Name: "one", ClientToken: fmt.Sprint("new-", i)})
	}
	if !once {
		t.Error("nothing was swept")
	}
	h.MustAgree()
}

func TestOneClientTokenAtOnceHasOneEffect(t *testing.T) {
	for action, do := range map[string]func(h *house) (any, error){
		"Create": func(h *house) (any, error) {
			return h.Create(h.Ctx, &chat.CreateRequest{Name: "new", Type: "Slack",
				Configuration: chattest.Slack, ClientToken: "token"})
		},
		"Update": func(h *house) (any, error) {
			return h.Update(h.Ctx, &chat.UpdateRequest{Name: "one", RamRole: chattest.Ptr("Ops"), ClientToken: "token"})
		},
		"Delete": func(h *house) (any, error) {
			return h.Delete(h.Ctx, &chat.DeleteRequest{Name: "one", ClientToken: "token"})
		},
	} {
		h := newHouse(t)
		h.MustCreate("one")
		var mu sync.Mutex
		answers := make(map[string]int)
		chattest.InParallel(t, 16, func(int) error {
			out, err := do(h)
			if err != nil {
				return err
			}
			text, err := json.Marshal(out)
			mu.Lock()
			answers[string(text)]++
			mu.Unlock()
			return err
		})
		if len(answers) != 1 {
			t.Errorf("%s: %d different answers: %v", action, len(answers), answers)
		}
		name, want := "one", 2
		if action == "Create" {
			name, want = "new", 1
		}
		if got := len(h.history(name)); got != want {
			t.Errorf("%s: %d revisions, want %d", action, got, want)
		}
		h.MustAgree()
	}
}

// TestClientTokenIsLookedUpForWhoMay holds that a first answer goes to every caller who may do the
// action now, and that to others a token says nothing: neither that it was used, nor for what.
func TestClientTokenIsLookedUpForWhoMay(t *testing.T) {
	h := newHouse(t)
	creator := callerOf(t, "CCKcreator",
		`{"Effect":"Allow","Action":"oos:CreateChatConfiguration","Resource":"*"}`)
	updater := callerOf(t, "CCKupdater",
		`{"Effect":"Allow","Action":["oos:UpdateChatConfiguration","ram:PassRole"],"Resource":["*/one","*:role/Ops"]}`)
	stranger := callerOf(t, "CCKstranger",
		`{"Effect":"Allow","Action":"oos:UpdateChatConfiguration","Resource":"*/two"}`)
	create := &chat.CreateRequest{Name: "one", Type: "Slack", Configuration: chattest.Slack, ClientToken: "c"}
	update := &chat.UpdateRequest{Name: "one", RamRole: chattest.Ptr("Ops"), ClientToken: "u"}
	first, err := h.Create(chattest.As(t.Context(), creator), create)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Update(chattest.As(t.Context(), updater), update); err != nil {
		t.Fatal(err)
	}
	again, err := h.Create(h.Ctx, create)
	if err != nil {
		t.Errorf("Create by another caller who may: %v", err)
	}
	chattest.Equal(t, "the answer to another caller", again, first)
	if _, err := h.Update(chattest.As(t.Context(), updater), update); err != nil {
		t.Errorf("Update by the same: %v", err)
	}
	// Whatever the token and the parameters are, and even of those who had it done and may no more.
	lost := callerOf(t, "CCKupdater", `{"Effect":"Allow","Action":"oos:Get*","Resource":"*"}`)
	other := *update
	other.RamRole = chattest.Ptr("Dev")
	unused := *update
	unused.ClientToken = "unused"
	for about, who := range map[string]*chat.Caller{"a creator": creator,
		"who may update another": stranger, "who might once": lost} {
		for token, in := range map[string]*chat.UpdateRequest{"the token": update,
			"the token with other parameters": &other, "an unused token": &unused} {
			h.Spy.Reset()
			_, err := h.Update(chattest.As(t.Context(), who), in)
			chattest.WantError(t, "Update by "+about+" with "+token, err, fault.NoPermission, "",
				"may not perform oos:UpdateChatConfiguration")
			if got := h.Spy.Took(); got != "Get" {
				t.Errorf("Update by %s with %s: calls = %s, want no look for the token", about, token, got)
			}
		}
	}
	h.Spy.Reset()
	_, err = h.Create(chattest.As(t.Context(), updater), create)
	chattest.WantError(t, "Create by one who may only update", err, fault.NoPermission, "")
	if got := h.Spy.Took(); got != "" {
		t.Errorf("Create by one who may only update: calls = %s", got)
	}
	if got := h.MustGet("one").Revision; got != 2 {
		t.Errorf("revision = %d, want 2", got)
	}
}

// TestARepeatedDeleteIsDecidedByTheTagsThatWere holds that a delete can be repeated by a caller
// whose permission is by tags: those that the configuration had.
func TestARepeatedDeleteIsDecidedByTheTagsThatWere(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one", func(in *chat.CreateRequest) { in.Tags = map[string]string{"env": "dev"} })
	dev := callerOf(t, "CCKdev",
		`{"Effect":"Allow","Action":"oos:*","Resource":"*","Condition":{"StringEquals":{"oos:tag/env":"dev"}}}`)
	prod := callerOf(t, "CCKprod",
		`{"Effect":"Allow","Action":"oos:*","Resource":"*","Condition":{"StringEquals":{"oos:tag/env":"prod"}}}`)
	in := &chat.DeleteRequest{Name: "one", ClientToken: "token"}
	first, err := h.Delete(chattest.As(t.Context(), dev), in)
	if err != nil {
		t.Fatal(err)
	}
	again, err := h.Delete(chattest.As(t.Context(), dev), in)
	if err != nil {
		t.Errorf("the same again: %v", err)
	}
	chattest.Equal(t, "the answer to the same", again, first)
	_, err = h.Delete(chattest.As(t.Context(), prod), in)
	chattest.WantError(t, "by a caller who may delete what is tagged otherwise", err, fault.NoPermission, "")
	in.ClientToken = ""
	_, err = h.Delete(chattest.As(t.Context(), dev), in)
	chattest.WantError(t, "without a token", err, fault.NotFound, "Name")
}

func TestClientTokenSurvivesRotation(t *testing.T) {
	h := newHouse(t)
	in := &chat.CreateRequest{Name: "one", Type: "Slack", Configuration: chattest.Slack, ClientToken: "token"}
	first, err := h.Create(h.Ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	rotated := h.ServiceWith(chat.Options{}, chattest.NewRing(t, 2, 1))
	again, err := rotated.Create(h.Ctx, in)
	if err != nil {
		t.Fatalf("Create again after a rotation: %v", err)
	}
	chattest.Equal(t, "the answer after a rotation", again, first)
	other := h.ServiceWith(chat.Options{}, chattest.NewRing(t, 3))
	_, err = other.Create(h.Ctx, in)
	chattest.WantError(t, "Create again under another ring", err, fault.IdempotencyMismatch, "ClientToken")
}

// TestNothingIsRememberedOfWhatFailed holds that a refused request leaves its token free.
func TestNothingIsRememberedOfWhatFailed(t *testing.T) {
	h := newHouse(t)
	_, err := h.Update(h.Ctx, &chat.UpdateRequest{Name: "one", ClientToken: "token"})
	chattest.WantError(t, "Update of what is not there", err, fault.NotFound, "Name")
	h.MustCreate("one", func(in *chat.CreateRequest) { in.ClientToken = "token" })
	chattest.Equal(t, "tokens remembered", h.tokens(), 1)
}

func TestRepeatOverTheQuota(t *testing.T) {
	h := newHouseWith(t, chat.Options{Quota: 1})
	h.MustCreate("one", func(in *chat.CreateRequest) { in.ClientToken = "token" })
	h.MustCreate("one", func(in *chat.CreateRequest) { in.ClientToken = "token" })
}

func TestClientTokenEntryThatIsBroken(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one", func(in *chat.CreateRequest) { in.ClientToken = "token" })
	in := &chat.CreateRequest{Name: "one", Type: "Slack", Configuration: chattest.Slack, ClientToken: "token"}
	key := chat.ClientTokenKey("token")
	item := h.Item(key)
	for about, value := range map[string][]byte{
		"no JSON":     []byte("planted"),
		"odd answers": chattest.Reencode(item.Value, func(m map[string]any) { m["answer"] = []any{"planted"} }),
	} {
		h.Tamper(table.Change{Puts: []table.Put{{Sort: key, Value: value, Revision: item.Revision}}})
		_, err := h.Create(h.Ctx, in)
		chattest.WantError(t, "Create over an entry of "+about, err, fault.Internal, "")
		chattest.WantNoDetail(t, err)
	}
}

// TestRepeatUnderTheFirst has the first request of a token happen between two reads of its repeat:
// the repeat gets the first answer, and not an error about what the first did.
func TestRepeatUnderTheFirst(t *testing.T) {
	for about, do := range map[string]func(h *house) (any, error){
		"a delete": func(h *house) (any, error) {
			return h.Delete(h.Ctx, &chat.DeleteRequest{Name: "one", ClientToken: "token"})
		},
		"an update at a revision": func(h *house) (any, error) {
			return h.Update(h.Ctx, &chat.UpdateRequest{Name: "one",
				Revision: chattest.Ptr[int64](1), ClientToken: "token"})
		},
		"a create that fills the quota": func(h *house) (any, error) {
			return h.Create(h.Ctx, &chat.CreateRequest{Name: "two", Type: "Slack",
				Configuration: chattest.Slack, ClientToken: "token"})
		},
	} {
		for call := range 3 {
			h := newHouseWith(t, chat.Options{Quota: 2})
			h.MustCreate("one")
			h.Spy.Reset()
			var first any
			n, busy := 0, false
			h.Spy.Before = func(string, int) (err error) {
				if busy {
					return nil
				}
				if n++; n == call+1 {
					busy = true
					first, err = do(h)
					busy = false
				}
				return err
			}
			second, err := do(h)
			if err != nil {
				t.Errorf("%s, before call %d: %v", about, call, err)
				continue
			}
			chattest.Equal(t, fmt.Sprintf("%s, before call %d", about, call), second, first)
			h.Spy.Reset()
			h.MustAgree()
		}
	}
}

// TestClientTokenOfAnotherIsNoWayAroundADeny has somebody repeat another's update of a
// configuration whose tag denies it to them.
func TestClientTokenOfAnotherIsNoWayAroundADeny(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one", func(in *chat.CreateRequest) { in.Tags = map[string]string{"env": "prod"} })
	in := &chat.UpdateRequest{Name: "one", RamRole: chattest.Ptr("Ops"), ClientToken: "token"}
	h.MustUpdate(in)
	other := callerOf(t, "CCKother", `{"Effect":"Allow","Action":"oos:*","Resource":"*"}`,
		`{"Effect":"Deny","Action":"oos:*","Resource":"*","Condition":{"StringEquals":{"oos:tag/env":"prod"}}}`)
	_, err := h.Update(chattest.As(h.Ctx, other), in)
	chattest.WantError(t, "a repeat by another", err, fault.NoPermission, "")
}

func TestClientTokenLooksAtWhatIsMeant(t *testing.T) {
	h := newHouse(t)
	in := chat.CreateRequest{Name: "one", Type: "Slack", Configuration: chattest.Slack, ClientToken: "token"}
	first, err := h.Create(h.Ctx, &in)
	if err != nil {
		t.Fatal(err)
	}
	in.Type, in.Status, in.RegionID = "sLACK", "active", chattest.Region
	again, err := h.Create(h.Ctx, &in)
	if err != nil {
		t.Fatalf("the same, spelled another way: %v", err)
	}
	chattest.Equal(t, "the answer to the same, spelled another way", again, first)
}

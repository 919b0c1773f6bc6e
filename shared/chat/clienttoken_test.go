package chat_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"chatconf/shared/chat"
	"chatconf/shared/secret"
	"chatconf/shared/table"
)

const day = 24 * time.Hour

// tokens returns how many client tokens are remembered.
func (h *house) tokens() int {
	n := 0
	for _, item := range h.dump() {
		if strings.HasPrefix(item.Sort, "t#") {
			n++
		}
	}
	return n
}

func TestClientTokenRepeatsTheFirstAnswer(t *testing.T) {
	h := newHouse(t)
	create := &chat.CreateRequest{Name: "one", Type: "Slack", Configuration: slack, Tags: map[string]string{"a": "b", "c": "d"}, ClientToken: "create"}
	update := &chat.UpdateRequest{Name: "one", RamRole: ptr("Ops"), Configuration: ptr(secret.Text(fullSlack)), Revision: ptr[int64](1), ClientToken: "update"}
	remove := &chat.DeleteRequest{Name: "one", Revision: ptr[int64](2), ClientToken: "delete"}

	created, err := h.Create(h.ctx, create)
	if err != nil {
		t.Fatal(err)
	}
	h.clock.advance(time.Minute)
	updated, err := h.Update(h.ctx, update)
	if err != nil {
		t.Fatal(err)
	}
	h.clock.advance(time.Minute)
	removed, err := h.Delete(h.ctx, remove)
	if err != nil {
		t.Fatal(err)
	}
	before := h.dump()
	h.clock.advance(day - 3*time.Minute)
	for range 2 {
		again, err := h.Create(h.ctx, create)
		if err != nil {
			t.Fatalf("Create again: %v", err)
		}
		equal(t, "the answer to a repeated Create", again, created)
		upAgain, err := h.Update(h.ctx, update)
		if err != nil {
			t.Fatalf("Update again: %v", err)
		}
		equal(t, "the answer to a repeated Update", upAgain, updated)
		deleteAgain, err := h.Delete(h.ctx, remove)
		if err != nil {
			t.Fatalf("Delete again: %v", err)
		}
		equal(t, "the answer to a repeated Delete", deleteAgain, removed)
	}
	equal(t, "the table after the repeats", h.dump(), before)
	h.mustAgree()
}

func TestClientTokenStandsForItsParameters(t *testing.T) {
	h := newHouse(t)
	h.create("one")
	h.create("two", func(in *chat.CreateRequest) {
		in.ClientToken, in.Tags, in.RamRole = "create", map[string]string{"a": "b"}, "Ops"
	})
	h.update(&chat.UpdateRequest{Name: "one", RamRole: ptr("Ops"), ClientToken: "update"})
	update := func(edit func(*chat.UpdateRequest)) func() error {
		in := &chat.UpdateRequest{Name: "one", RamRole: ptr("Ops"), ClientToken: "update"}
		edit(in)
		return func() error { _, err := h.Update(h.ctx, in); return err }
	}
	create := func(edit func(*chat.CreateRequest)) func() error {
		in := &chat.CreateRequest{Name: "two", Type: "Slack", Configuration: slack, ClientToken: "create", Tags: map[string]string{"a": "b"}, RamRole: "Ops"}
		edit(in)
		return func() error { _, err := h.Create(h.ctx, in); return err }
	}
	if err := create(func(*chat.CreateRequest) {})(); err != nil {
		t.Errorf("the same Create: %v", err)
	}
	for about, call := range map[string]func() error{
		"another name":               update(func(in *chat.UpdateRequest) { in.Name = "two" }),
		"another role":               update(func(in *chat.UpdateRequest) { in.RamRole = ptr("Dev") }),
		"no role":                    update(func(in *chat.UpdateRequest) { in.RamRole = nil }),
		"an empty role":              update(func(in *chat.UpdateRequest) { in.RamRole = ptr("") }),
		"the value in another place": update(func(in *chat.UpdateRequest) { in.RamRole, in.ResourceGroupID = nil, ptr("Ops") }),
		"a revision":                 update(func(in *chat.UpdateRequest) { in.Revision = ptr[int64](2) }),
		"a configuration":            update(func(in *chat.UpdateRequest) { in.Configuration = ptr[secret.Text](slack) }),
		"a status":                   update(func(in *chat.UpdateRequest) { in.Status = "Active" }),
		"another secret, on create":  create(func(in *chat.CreateRequest) { in.Configuration = `{"SlackSigningSecret":"signing-secret-1"}` }),
		"another value of a tag":     create(func(in *chat.CreateRequest) { in.Tags = map[string]string{"a": "c"} }),
		"a tag more": create(func(in *chat.CreateRequest) {
			in.Tags = map[string]string{"a": "b", "": ""}
			delete(in.Tags, "")
			in.Tags["c"] = ""
		}),
		"another name, on create":     create(func(in *chat.CreateRequest) { in.Name = "three" }),
		"the token of another action": update(func(in *chat.UpdateRequest) { in.ClientToken = "create" }),
		"the token of an update":      create(func(in *chat.CreateRequest) { in.ClientToken = "update" }),
		"delete with the token of an update": func() error {
			_, err := h.Delete(h.ctx, &chat.DeleteRequest{Name: "one", ClientToken: "update"})
			return err
		},
	} {
		wantError(t, about, call(), chat.IdempotencyMismatch, "ClientToken", "ClientToken was used")
	}
	if got := h.get("one").Revision; got != 2 {
		t.Errorf("revision = %d, want 2", got)
	}
	// In another region, and in another account, the token is another.
	h.create("two", func(in *chat.CreateRequest) { in.RegionID, in.ClientToken = "us-east-1", "create" })
	h.mustAgree()
}

func TestClientTokenExpires(t *testing.T) {
	h := newHouse(t)
	in := &chat.UpdateRequest{Name: "one", RamRole: ptr("Ops"), ClientToken: "token"}
	h.create("one")
	first := h.update(in)
	h.clock.advance(day - time.Nanosecond)
	equal(t, "the answer just before a day is over", h.update(in), first)
	h.clock.advance(time.Nanosecond)
	second := h.update(in)
	if got, want := second.ChatConfiguration.Revision, int64(3); got != want {
		t.Errorf("revision a day later = %d, want %d", got, want)
	}
	equal(t, "the answer from then on", h.update(in), second)
	h.clock.advance(day)
	if _, err := h.Delete(h.ctx, &chat.DeleteRequest{Name: "one", ClientToken: "token"}); err != nil {
		t.Errorf("another action with an old token: %v", err)
	}
	equal(t, "tokens remembered", h.tokens(), 1)
}

// TestOldClientTokensAreSwept holds that what is left behind stays bounded: each write takes some of its neighbours over age along.
func TestOldClientTokensAreSwept(t *testing.T) {
	h := newHouse(t)
	h.create("one")
	for i := range 100 {
		h.update(&chat.UpdateRequest{Name: "one", ClientToken: fmt.Sprint("old-", i)})
	}
	equal(t, "tokens of a day", h.tokens(), 100)
	h.clock.advance(day)
	const fresh = 100
	for i := range fresh {
		h.update(&chat.UpdateRequest{Name: "one", ClientToken: fmt.Sprint("new-", i)})
	}
	if got := h.tokens(); got >= fresh+15 {
		t.Errorf("%d tokens are left of 100 old and %d new ones", got, fresh)
	}
	for i := range fresh {
		if got, want := h.update(&chat.UpdateRequest{Name: "one", ClientToken: fmt.Sprint("new-", i)}).ChatConfiguration.Revision, int64(102+i); got != want {
			t.Errorf("a token that is not old was swept: revision = %d, want %d", got, want)
		}
	}
	h.mustAgree()
}

// TestClientTokensSweptByTwo holds that two writes that sweep the same neighbour both happen.
func TestClientTokensSweptByTwo(t *testing.T) {
	h := newHouse(t)
	h.create("one")
	for i := range 8 {
		h.update(&chat.UpdateRequest{Name: "one", ClientToken: fmt.Sprint("old-", i)})
	}
	h.clock.advance(day)
	once := false
	h.spy.write = func(c *table.Change) error {
		if once || len(c.Deletes) == 0 {
			return nil
		}
		once = true
		h.tamper(table.Change{Deletes: []table.Delete{{Sort: c.Deletes[len(c.Deletes)-1].Sort}}})
		return nil
	}
	for i := range 8 {
		h.update(&chat.UpdateRequest{Name: "one", ClientToken: fmt.Sprint("new-", i)})
	}
	if !once {
		t.Error("nothing was swept")
	}
	h.mustAgree()
}

func TestOneClientTokenAtOnceHasOneEffect(t *testing.T) {
	for action, do := range map[string]func(h *house) (any, error){
		"Create": func(h *house) (any, error) {
			return h.Create(h.ctx, &chat.CreateRequest{Name: "new", Type: "Slack", Configuration: slack, ClientToken: "token"})
		},
		"Update": func(h *house) (any, error) {
			return h.Update(h.ctx, &chat.UpdateRequest{Name: "one", RamRole: ptr("Ops"), ClientToken: "token"})
		},
		"Delete": func(h *house) (any, error) {
			return h.Delete(h.ctx, &chat.DeleteRequest{Name: "one", ClientToken: "token"})
		},
	} {
		h := newHouse(t)
		h.create("one")
		var mu sync.Mutex
		answers := make(map[string]int)
		inParallel(t, 16, func(int) error {
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
		h.mustAgree()
	}
}

// TestClientTokenIsLookedUpForWhoMay holds that a first answer goes to every caller who may do the
// action now, and that to others a token says nothing: neither that it was used, nor for what.
func TestClientTokenIsLookedUpForWhoMay(t *testing.T) {
	h := newHouse(t)
	creator := caller(t, "CCKcreator", `{"Effect":"Allow","Action":"oos:CreateChatConfiguration","Resource":"*"}`)
	updater := caller(t, "CCKupdater", `{"Effect":"Allow","Action":"oos:UpdateChatConfiguration","Resource":"*/one"}`)
	stranger := caller(t, "CCKstranger", `{"Effect":"Allow","Action":"oos:UpdateChatConfiguration","Resource":"*/two"}`)
	create := &chat.CreateRequest{Name: "one", Type: "Slack", Configuration: slack, ClientToken: "c"}
	update := &chat.UpdateRequest{Name: "one", RamRole: ptr("Ops"), ClientToken: "u"}
	first, err := h.Create(as(t.Context(), creator), create)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Update(as(t.Context(), updater), update); err != nil {
		t.Fatal(err)
	}
	again, err := h.Create(h.ctx, create)
	if err != nil {
		t.Errorf("Create by another caller who may: %v", err)
	}
	equal(t, "the answer to another caller", again, first)
	if _, err := h.Update(as(t.Context(), updater), update); err != nil {
		t.Errorf("Update by the same: %v", err)
	}
	// Whatever the token and the parameters are, and even of those who had it done and may no more.
	lost := caller(t, "CCKupdater", `{"Effect":"Allow","Action":"oos:Get*","Resource":"*"}`)
	other := *update
	other.RamRole = ptr("Dev")
	unused := *update
	unused.ClientToken = "unused"
	for about, who := range map[string]*chat.Caller{"a creator": creator, "who may update another": stranger, "who might once": lost} {
		for token, in := range map[string]*chat.UpdateRequest{"the token": update, "the token with other parameters": &other, "an unused token": &unused} {
			h.spy.reset()
			_, err := h.Update(as(t.Context(), who), in)
			wantError(t, "Update by "+about+" with "+token, err, chat.NoPermission, "", "may not perform oos:UpdateChatConfiguration")
			if got := h.spy.took(); got != "Get" {
				t.Errorf("Update by %s with %s: calls = %s, want no look for the token", about, token, got)
			}
		}
	}
	h.spy.reset()
	_, err = h.Create(as(t.Context(), updater), create)
	wantError(t, "Create by one who may only update", err, chat.NoPermission, "")
	if got := h.spy.took(); got != "" {
		t.Errorf("Create by one who may only update: calls = %s", got)
	}
	if got := h.get("one").Revision; got != 2 {
		t.Errorf("revision = %d, want 2", got)
	}
}

// TestARepeatedDeleteIsDecidedByTheTagsThatWere holds that a delete can be repeated by a caller
// whose permission is by tags: those that the configuration had.
func TestARepeatedDeleteIsDecidedByTheTagsThatWere(t *testing.T) {
	h := newHouse(t)
	h.create("one", func(in *chat.CreateRequest) { in.Tags = map[string]string{"env": "dev"} })
	dev := caller(t, "CCKdev", `{"Effect":"Allow","Action":"oos:*","Resource":"*","Condition":{"StringEquals":{"oos:tag/env":"dev"}}}`)
	prod := caller(t, "CCKprod", `{"Effect":"Allow","Action":"oos:*","Resource":"*","Condition":{"StringEquals":{"oos:tag/env":"prod"}}}`)
	in := &chat.DeleteRequest{Name: "one", ClientToken: "token"}
	first, err := h.Delete(as(t.Context(), dev), in)
	if err != nil {
		t.Fatal(err)
	}
	again, err := h.Delete(as(t.Context(), dev), in)
	if err != nil {
		t.Errorf("the same again: %v", err)
	}
	equal(t, "the answer to the same", again, first)
	_, err = h.Delete(as(t.Context(), prod), in)
	wantError(t, "by a caller who may delete what is tagged otherwise", err, chat.NoPermission, "")
	in.ClientToken = ""
	_, err = h.Delete(as(t.Context(), dev), in)
	wantError(t, "without a token", err, chat.NotFound, "Name")
}

func TestClientTokenSurvivesRotation(t *testing.T) {
	h := newHouse(t)
	in := &chat.CreateRequest{Name: "one", Type: "Slack", Configuration: slack, ClientToken: "token"}
	first, err := h.Create(h.ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	rotated := h.serviceWith(chat.Options{}, newRing(t, 2, 1))
	again, err := rotated.Create(h.ctx, in)
	if err != nil {
		t.Fatalf("Create again after a rotation: %v", err)
	}
	equal(t, "the answer after a rotation", again, first)
	other := h.serviceWith(chat.Options{}, newRing(t, 3))
	_, err = other.Create(h.ctx, in)
	wantError(t, "Create again under another ring", err, chat.IdempotencyMismatch, "ClientToken")
}

// TestNothingIsRememberedOfWhatFailed holds that a refused request leaves its token free.
func TestNothingIsRememberedOfWhatFailed(t *testing.T) {
	h := newHouse(t)
	_, err := h.Update(h.ctx, &chat.UpdateRequest{Name: "one", ClientToken: "token"})
	wantError(t, "Update of what is not there", err, chat.NotFound, "Name")
	h.create("one", func(in *chat.CreateRequest) { in.ClientToken = "token" })
	equal(t, "tokens remembered", h.tokens(), 1)
}

func TestRepeatOverTheQuota(t *testing.T) {
	h := newHouseWith(t, chat.Options{Quota: 1})
	h.create("one", func(in *chat.CreateRequest) { in.ClientToken = "token" })
	h.create("one", func(in *chat.CreateRequest) { in.ClientToken = "token" })
}

func TestClientTokenEntryThatIsBroken(t *testing.T) {
	h := newHouse(t)
	h.create("one", func(in *chat.CreateRequest) { in.ClientToken = "token" })
	in := &chat.CreateRequest{Name: "one", Type: "Slack", Configuration: slack, ClientToken: "token"}
	key := chat.ClientTokenKey("token")
	item := h.item(key)
	for about, value := range map[string][]byte{
		"no JSON":     []byte("planted"),
		"odd answers": chat.Reencode(item.Value, func(m map[string]any) { m["answer"] = []any{"planted"} }),
	} {
		h.tamper(table.Change{Puts: []table.Put{{Sort: key, Value: value, Revision: item.Revision}}})
		_, err := h.Create(h.ctx, in)
		wantError(t, "Create over an entry of "+about, err, chat.Internal, "")
		wantNoDetail(t, err)
	}
}

// TestRepeatUnderTheFirst has the first request of a token happen between two reads of its repeat: the repeat gets the first answer,
// and not an error about what the first did.
func TestRepeatUnderTheFirst(t *testing.T) {
	for about, do := range map[string]func(h *house) (any, error){
		"a delete": func(h *house) (any, error) {
			return h.Delete(h.ctx, &chat.DeleteRequest{Name: "one", ClientToken: "token"})
		},
		"an update at a revision": func(h *house) (any, error) {
			return h.Update(h.ctx, &chat.UpdateRequest{Name: "one", Revision: ptr[int64](1), ClientToken: "token"})
		},
		"a create that fills the quota": func(h *house) (any, error) {
			return h.Create(h.ctx, &chat.CreateRequest{Name: "two", Type: "Slack", Configuration: slack, ClientToken: "token"})
		},
	} {
		for call := range 3 {
			h := newHouseWith(t, chat.Options{Quota: 2})
			h.create("one")
			h.spy.reset()
			var first any
			n, busy := 0, false
			h.spy.before = func(string, int) (err error) {
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
			equal(t, fmt.Sprintf("%s, before call %d", about, call), second, first)
			h.spy.reset()
			h.mustAgree()
		}
	}
}

// TestClientTokenOfAnotherIsNoWayAroundADeny has somebody repeat another's update of a configuration whose tag denies it to them.
func TestClientTokenOfAnotherIsNoWayAroundADeny(t *testing.T) {
	h := newHouse(t)
	h.create("one", func(in *chat.CreateRequest) { in.Tags = map[string]string{"env": "prod"} })
	in := &chat.UpdateRequest{Name: "one", RamRole: ptr("Ops"), ClientToken: "token"}
	h.update(in)
	other := caller(t, "CCKother", `{"Effect":"Allow","Action":"oos:*","Resource":"*"}`,
		`{"Effect":"Deny","Action":"oos:*","Resource":"*","Condition":{"StringEquals":{"oos:tag/env":"prod"}}}`)
	_, err := h.Update(as(h.ctx, other), in)
	wantError(t, "a repeat by another", err, chat.NoPermission, "")
}

func TestClientTokenLooksAtWhatIsMeant(t *testing.T) {
	h := newHouse(t)
	in := chat.CreateRequest{Name: "one", Type: "Slack", Configuration: slack, ClientToken: "token"}
	first, err := h.Create(h.ctx, &in)
	if err != nil {
		t.Fatal(err)
	}
	in.Type, in.Status, in.RegionID = "sLACK", "active", region
	again, err := h.Create(h.ctx, &in)
	if err != nil {
		t.Fatalf("the same, spelled another way: %v", err)
	}
	equal(t, "the answer to the same, spelled another way", again, first)
}

package chat_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"chatconf/shared/accesskey"
	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/fault"
	"chatconf/shared/policy"
)

// A keyHouse is a service that manages access keys.
type keyHouse struct {
	*house
	keys *chattest.Locksmith
}

func newKeyHouse(t testing.TB) *keyHouse {
	t.Helper()
	h := &keyHouse{house: newHouse(t), keys: chattest.NewLocksmith(t)}
	h.keys.Clock = h.Clock
	h.keys.Store = accesskey.New(h.keys.Spy, h.keys.Spy, h.Ring, h.Clock.Now)
	h.Service = h.ServiceWith(chat.Options{Keys: h.keys.Store}, h.Ring)
	h.Ctx = chattest.As(t.Context(), &chat.Caller{Account: chattest.Account, AccessKeyID: "CCKowner", Name: "owner",
		Policies: []*policy.Policy{policy.Owner()}})
	return h
}

func (h *keyHouse) createKey(edit ...func(*chat.CreateAccessKeyRequest)) chat.AccessKeyInfo {
	h.T.Helper()
	in := &chat.CreateAccessKeyRequest{Name: "ci", Policy: "ReadOnly"}
	for _, e := range edit {
		e(in)
	}
	out, err := h.CreateAccessKey(h.Ctx, in)
	if err != nil {
		h.T.Fatalf("CreateAccessKey: %v", err)
	}
	return out.AccessKey
}

func TestAccessKeysAreManaged(t *testing.T) {
	h := newKeyHouse(t)
	made := h.createKey(func(in *chat.CreateAccessKeyRequest) {
		in.Description, in.ExpireDate = "of the pipeline", "2027-01-31T02:00:00+02:00"
		in.Policy, in.PolicyDocument = "",
			`{ "Version": "1", "Statement": [{"Effect":"Allow","Action":"oos:Get*","Resource":"*"}] }`
	})
	secret := made.AccessKeySecret
	if len(secret) != 40 || !strings.HasPrefix(made.AccessKeyId, "CCK") {
		t.Errorf("CreateAccessKey = %+v", made)
	}
	want := chat.AccessKeyInfo{
		AccessKeyId: made.AccessKeyId, AccessKeySecret: secret, AccountId: chattest.Account, Name: "ci",
		Description: "of the pipeline", Status: "Active",
		Policies:   []string{`{"Version":"1","Statement":[{"Effect":"Allow","Action":"oos:Get*","Resource":"*"}]}`},
		CreateDate: "2026-11-23T08:00:00+00:00", CreatedBy: made.CreatedBy, ExpireDate: "2027-01-31T00:00:00+00:00",
	}
	chattest.Equal(t, "CreateAccessKey", made, want)
	if made.CreatedBy == "" {
		t.Error("it is not known who made the key")
	}
	key := h.keys.MustFind(made.AccessKeyId)
	if key.Secret.Reveal() != secret || !key.Active || key.Account != chattest.Account {
		t.Errorf("stored is %+v", key)
	}
	if at := want.ExpireDate; key.Expired(time.Date(2027, 1, 30, 23, 59, 59, 999, time.UTC)) ||
		!key.Expired(time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("the key does not expire at %s", at)
	}
	want.AccessKeySecret = ""
	list, err := h.ListAccessKeys(h.Ctx, new(chat.ListAccessKeysRequest))
	if err != nil {
		t.Fatal(err)
	}
	chattest.Equal(t, "ListAccessKeys", list, &chat.ListAccessKeysResponse{AccessKeys: []chat.AccessKeyInfo{want},
		MaxResults: 50})

	out, err := h.UpdateAccessKey(h.Ctx, &chat.UpdateAccessKeyRequest{AccessKeyID: made.AccessKeyId,
		Status: "inactive"})
	if err != nil {
		t.Fatal(err)
	}
	want.Status = "Inactive"
	chattest.Equal(t, "UpdateAccessKey", out.AccessKey, want)
	out, err = h.UpdateAccessKey(h.Ctx, &chat.UpdateAccessKeyRequest{
		AccessKeyID: made.AccessKeyId, Status: "Active", Policy: "Administrator",
		ExpireDate: "Never", Description: chattest.Ptr(""),
	})
	if err != nil {
		t.Fatal(err)
	}
	want.Status, want.Policies, want.ExpireDate, want.Description = "Active",
		[]string{policy.Administrator().String()}, "", ""
	chattest.Equal(t, "UpdateAccessKey of all", out.AccessKey, want)
	if key := h.keys.MustFind(made.AccessKeyId); key.Secret.Reveal() != secret {
		t.Error("an update changed the secret")
	}
	if _, err := h.DeleteAccessKey(h.Ctx, &chat.DeleteAccessKeyRequest{AccessKeyID: made.AccessKeyId}); err != nil {
		t.Fatal(err)
	}
	_, err = h.keys.Find(t.Context(), made.AccessKeyId)
	chattest.WantError(t, "Find after DeleteAccessKey", err, fault.KeyNotFound, "AccessKeyId")
}

func TestAccessKeyActionsRefuse(t *testing.T) {
	h := newKeyHouse(t)
	made := h.createKey()
	create := func(edit func(*chat.CreateAccessKeyRequest)) error {
		in := &chat.CreateAccessKeyRequest{Name: "ci", Policy: "ReadOnly"}
		edit(in)
		_, err := h.CreateAccessKey(h.Ctx, in)
		return err
	}
	update := func(in chat.UpdateAccessKeyRequest) error {
		if in.AccessKeyID == "" {
			in.AccessKeyID = made.AccessKeyId
		}
		_, err := h.UpdateAccessKey(h.Ctx, &in)
		return err
	}
	list := func(in chat.ListAccessKeysRequest) error { _, err := h.ListAccessKeys(h.Ctx, &in); return err }
	type createIn = chat.CreateAccessKeyRequest
	for about, c := range map[string]struct {
		err   error
		code  fault.Code
		param string
		says  string
	}{
		"no name": {create(func(in *createIn) { in.Name = "" }), fault.MissingParameter, "Name", ""},
		"a long name": {create(func(in *createIn) { in.Name = strings.Repeat("x", 129) }),
			fault.InvalidParameter, "Name", "128"},
		"a long description": {create(func(in *createIn) { in.Description = strings.Repeat("x", 257) }),
			fault.InvalidParameter, "Description", "256"},
		"no policy": {create(func(in *createIn) { in.Policy = "" }),
			fault.MissingParameter, "Policy", "ReadOnly"},
		"an unknown policy": {create(func(in *createIn) { in.Policy = "Root" }), fault.InvalidParameter, "Policy",
			`"Root"; write Owner, Administrator, ReadOnly`},
		"two policies": {create(func(in *createIn) { in.PolicyDocument = "{}" }),
			fault.InvalidParameter, "Policy", "one of them"},
		"a broken policy": {create(func(in *createIn) { in.Policy = `{"Version":"1"` }),
			fault.InvalidParameter, "Policy", ""},
		"a broken document": {create(func(in *createIn) { in.Policy, in.PolicyDocument = "", `{"Version":"2"}` }),
			fault.InvalidParameter, "PolicyDocument", ""},
		"an invalid date": {create(func(in *createIn) { in.ExpireDate = "soon" }), fault.InvalidParameter,
			"ExpireDate", `"soon" is not a date; write one such as`},
		"a date in the past": {create(func(in *createIn) { in.ExpireDate = "2026-11-23T08:00:00Z" }),
			fault.InvalidParameter, "ExpireDate", "has passed"},
		"no key": {func() error {
			_, err := h.UpdateAccessKey(h.Ctx,
				new(chat.UpdateAccessKeyRequest))
			return err
		}(), fault.MissingParameter, "UserAccessKeyId", ""},
		"no key to delete": {func() error {
			_, err := h.DeleteAccessKey(h.Ctx,
				new(chat.DeleteAccessKeyRequest))
			return err
		}(), fault.MissingParameter, "UserAccessKeyId", ""},
		"nothing to change": {update(chat.UpdateAccessKeyRequest{}), fault.MissingParameter,
			"Status", "nothing to change"},
		"an unknown status": {update(chat.UpdateAccessKeyRequest{Status: "Off"}),
			fault.InvalidParameter, "Status", `"Off"`},
		"an update to a past": {update(chat.UpdateAccessKeyRequest{ExpireDate: "2020-01-01T00:00:00Z"}),
			fault.InvalidParameter, "ExpireDate", "has passed"},
		"an update to no date": {update(chat.UpdateAccessKeyRequest{ExpireDate: "30d"}),
			fault.InvalidParameter, "ExpireDate", "never"},
		"a bad update": {update(chat.UpdateAccessKeyRequest{Policy: "none"}),
			fault.InvalidParameter, "Policy", ""},
		"a long update": {update(chat.UpdateAccessKeyRequest{
			Description: chattest.Ptr(strings.Repeat("x", 257))}), fault.InvalidParameter, "Description", ""},
		"an unknown key": {update(chat.UpdateAccessKeyRequest{AccessKeyID: "CCKnone", Status: "Active"}),
			fault.AccessKeyNotFound, "UserAccessKeyId", `"CCKnone"`},
		"a page of none": {list(chat.ListAccessKeysRequest{MaxResults: chattest.Ptr[int64](0)}),
			fault.InvalidParameter, "MaxResults", ""},
		"a token of nobody": {list(chat.ListAccessKeysRequest{NextToken: "x"}),
			fault.InvalidNextToken, "NextToken", ""},
		"an invalid region": {list(chat.ListAccessKeysRequest{RegionID: "!"}), fault.InvalidRegion, "RegionId", ""},
	} {
		chattest.WantError(t, about, c.err, c.code, c.param, c.says)
	}
	bare := newHouse(t)
	_, err := bare.ListAccessKeys(bare.Ctx, new(chat.ListAccessKeysRequest))
	chattest.WantError(t, "ListAccessKeys without keys", err, fault.Unavailable, "")
}

// keyActions are the actions on one key, and what a policy must name to allow each.
var keyActions = map[string]func(context.Context, *chat.Service, string) error{
	"CreateAccessKey": func(ctx context.Context, s *chat.Service, _ string) error {
		_, err := s.CreateAccessKey(ctx, &chat.CreateAccessKeyRequest{Name: "x", Policy: "Administrator"})
		return err
	},
	"ListAccessKeys": func(ctx context.Context, s *chat.Service, _ string) error {
		_, err := s.ListAccessKeys(ctx, new(chat.ListAccessKeysRequest))
		return err
	},
	"UpdateAccessKey": func(ctx context.Context, s *chat.Service, id string) error {
		_, err := s.UpdateAccessKey(ctx, &chat.UpdateAccessKeyRequest{AccessKeyID: id, Policy: "Administrator"})
		return err
	},
	"DeleteAccessKey": func(ctx context.Context, s *chat.Service, id string) error {
		_, err := s.DeleteAccessKey(ctx, &chat.DeleteAccessKeyRequest{AccessKeyID: id})
		return err
	},
}

// Whoever can make or change keys can have any right, so that a policy must name each of these
// actions: no pattern will do.
func TestAccessKeyActionsMustBeNamed(t *testing.T) {
	h := newKeyHouse(t)
	statement := func(effect, action, resource string) string {
		return fmt.Sprintf(`{"Effect":%q,"Action":%q,"Resource":%q}`, effect, action, resource)
	}
	for action, do := range keyActions {
		for _, c := range []struct {
			statements []string
			want       bool
		}{
			{[]string{statement("Allow", "oos:"+action, "*")}, true},
			{[]string{statement("Allow", strings.ToUpper("oos:"+action), "acs:oos:*:"+chattest.Account+":accesskey/*")},
				true},
			{[]string{statement("Allow", "*", "*")}, false},
			{[]string{statement("Allow", "oos:*", "*")}, false},
			{[]string{statement("Allow", "oos:"+action[:len(action)-1]+"?", "*")}, false},
			{[]string{statement("Allow", "oos:"+action+"*", "*")}, false},
			{[]string{statement("Allow", "oos:"+action, "acs:oos:*:*:chatconfiguration/*")}, false},
			{[]string{statement("Allow", "oos:"+action, "acs:oos:*:2:accesskey/*")}, false},
			{[]string{statement("Allow", "oos:"+action, "acs:oos:*:*:accesskey/?")}, false},
			{[]string{statement("Allow", "oos:"+action, "*"), statement("Deny", "oos:*AccessKey*", "*")}, false},
			{[]string{statement("Allow", "oos:"+action, "*"), statement("Deny", "*", "*")}, false},
		} {
			id := h.createKey().AccessKeyId
			p, err := policy.Parse([]byte(`{"Version":"1","Statement":[` + strings.Join(c.statements, ",") + `]}`))
			if err != nil {
				t.Fatal(err)
			}
			before := len(h.keys.Dump())
			err = do(chattest.As(t.Context(), &chat.Caller{Account: chattest.Account, Name: "some one",
				Policies: []*policy.Policy{p}}), h.Service, id)
			if c.want && err != nil {
				t.Errorf("%s with %q = %v", action, c.statements, err)
			}
			if !c.want {
				chattest.WantError(t, fmt.Sprintf("%s with %q", action, c.statements), err, fault.NoPermission,
					"", "oos:"+action, ":accesskey/")
				if after := len(h.keys.Dump()); after != before {
					t.Errorf("%s with %q: %d items, and before it %d", action, c.statements, after, before)
				}
			}
		}
	}
}

// The keys of another account are not there, whoever asks.
func TestAccessKeysBelongToAnAccount(t *testing.T) {
	h := newKeyHouse(t)
	other := chattest.As(t.Context(), &chat.Caller{Account: "42", Name: "other",
		Policies: []*policy.Policy{policy.Owner()}})
	mine := h.createKey().AccessKeyId
	for range 3 {
		if _, err := h.CreateAccessKey(other, &chat.CreateAccessKeyRequest{Name: "theirs",
			Policy: "ReadOnly"}); err != nil {
			t.Fatal(err)
		}
	}
	for _, action := range []string{"UpdateAccessKey", "DeleteAccessKey"} {
		err := keyActions[action](other, h.Service, mine)
		chattest.WantError(t, action+" of another account's key", err, fault.AccessKeyNotFound, "UserAccessKeyId", mine)
	}
	list, err := h.ListAccessKeys(other, new(chat.ListAccessKeysRequest))
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range list.AccessKeys {
		if key.AccountId != "42" || key.AccessKeyId == mine {
			t.Errorf("listed is %+v", key)
		}
	}
	if len(list.AccessKeys) != 3 {
		t.Errorf("%d keys are listed, want 3", len(list.AccessKeys))
	}
}

// Pages of every size show each key of the account once, though most of the table is another's.
func TestPagesOfAccessKeys(t *testing.T) {
	h := newKeyHouse(t)
	var want []string
	for i := range 230 {
		key := chattest.SomeKey(func(k *accesskey.Key) { k.ID = fmt.Sprintf("CCK%03d", i) })
		if i%10 != 0 {
			key.Account = "42"
		} else {
			want = append(want, key.ID)
		}
		h.keys.MustCreate(key)
	}
	for _, size := range []int64{1, 2, 7, 23, 100} {
		var got []string
		token, pages := "", 0
		for {
			out, err := h.ListAccessKeys(h.Ctx, &chat.ListAccessKeysRequest{MaxResults: &size, NextToken: token})
			if err != nil {
				t.Fatal(err)
			}
			if int64(len(out.AccessKeys)) > size || out.NextPageToken() != out.NextToken {
				t.Errorf("a page of %d has %d keys", size, len(out.AccessKeys))
			}
			for _, key := range out.AccessKeys {
				got = append(got, key.AccessKeyId)
			}
			if token = out.NextToken; token == "" {
				break
			}
			if pages++; pages > 1000 {
				t.Fatal("the list does not end")
			}
			_, err = h.ListAccessKeys(chattest.As(t.Context(),
				&chat.Caller{Account: "42", Policies: []*policy.Policy{policy.Owner()}}),
				&chat.ListAccessKeysRequest{NextToken: token})
			chattest.WantError(t, "another account's token", err, fault.InvalidNextToken, "NextToken")
		}
		chattest.Equal(t, fmt.Sprintf("keys in pages of %d", size), got, want)
	}
}

// A request that may be a replay changes no key.
func TestAccessKeyActionsAskForReplays(t *testing.T) {
	h := newKeyHouse(t)
	made := h.createKey()
	replay := errors.New("replay")
	ctx := chattest.As(t.Context(), &chat.Caller{
		Account: chattest.Account, Policies: []*policy.Policy{policy.Owner()},
		Confirm: func(context.Context) error { return replay },
	})
	before := h.keys.Dump()
	for action, do := range keyActions {
		err := do(ctx, h.Service, made.AccessKeyId)
		if want := action != "ListAccessKeys"; errors.Is(err, replay) != want {
			t.Errorf("%s of a replay = %v", action, err)
		}
	}
	chattest.Equal(t, "the keys", h.keys.Dump(), before)
}

func TestAccessKeyActionsWhenTheStoreFails(t *testing.T) {
	for about, f := range chattest.Faults {
		for action, do := range keyActions {
			h := newKeyHouse(t)
			id := h.createKey().AccessKeyId
			before := h.keys.Dump()
			for n := 1; ; n++ {
				ctx, calls := h.keys.Spy.FailAt(h.Ctx, n, f)
				err := do(ctx, h.Service, id)
				if calls() < n {
					if err != nil || n == 1 {
						t.Errorf("%s made no call %d and ended with %v", action, n, err)
					}
					break
				}
				what := fmt.Sprintf("%s when %s at call %d", action, about, n)
				chattest.WantError(t, what, err, f.Code, "")
				chattest.WantNoDetail(t, err)
				chattest.Equal(t, "the keys after "+what, h.keys.Dump(), before)
			}
		}
	}
}

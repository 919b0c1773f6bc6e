package rpc_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"chatconf/shared/chat"
	"chatconf/shared/policy"
	"chatconf/shared/rpc"
	"chatconf/shared/rpc/sign"
)

// An access key is made, used, changed and deleted over the wire, in both dialects. Its secret is
// in one answer and in no log; disabled, expired and deleted it is refused.
func TestAccessKeysOnTheWire(t *testing.T) {
	for _, v1 := range []bool{false, true} {
		w := newWorld(t, nil, rpc.KeyActions()...)
		do := func(action string, form url.Values) answer {
			t.Helper()
			a := w.do(request{action: action, form: form, v1: v1})
			w.wantOK(a)
			return a
		}
		expires := w.clock.Now().Add(time.Hour).Format(time.RFC3339)
		made := do("CreateAccessKey", url.Values{"Name": {"ci"}, "Policy": {"ReadOnly"}, "ExpireDate": {expires}})
		var out struct{ AccessKey chat.AccessKeyInfo }
		if err := json.Unmarshal([]byte(made.body), &out); err != nil {
			t.Fatal(err)
		}
		key := sign.Key{ID: out.AccessKey.AccessKeyId, Secret: out.AccessKey.AccessKeySecret}
		if len(key.Secret) != 40 || strings.Contains(made.log, key.Secret) {
			t.Fatalf("CreateAccessKey = %v", made)
		}
		call := func() answer { return w.do(request{action: "ListChatConfigurations", key: key, v1: v1}) }
		w.wantOK(call())
		if list := do("ListAccessKeys", nil); strings.Contains(list.body, key.Secret) ||
			!strings.Contains(list.body, key.ID) {
			t.Errorf("ListAccessKeys = %v", list)
		}
		w.want(w.do(request{action: "CreateAccessKey", form: url.Values{"Name": {"x"}, "Policy": {"ReadOnly"}},
			key: key, v1: v1}), 403, "NoPermission")
		do("UpdateAccessKey", url.Values{"UserAccessKeyId": {key.ID}, "Status": {"Inactive"}})
		w.want(call(), 400, "InvalidAccessKeyId.Inactive")
		do("UpdateAccessKey", url.Values{"UserAccessKeyId": {key.ID}, "Status": {"Active"}})
		w.wantOK(call())
		w.clock.Add(time.Hour - time.Second)
		w.wantOK(call())
		w.clock.Add(time.Second) // though the key was read a moment ago
		if a := call(); !strings.Contains(a.body, "has expired") {
			t.Errorf("a key that has expired: %v", a)
		} else {
			w.want(a, 400, "InvalidAccessKeyId.Inactive")
		}
		do("UpdateAccessKey", url.Values{"UserAccessKeyId": {key.ID}, "ExpireDate": {"never"}})
		w.wantOK(call())
		do("DeleteAccessKey", url.Values{"UserAccessKeyId": {key.ID}})
		w.want(call(), 404, "InvalidAccessKeyId.NotFound")
		w.want(w.do(request{action: "DeleteAccessKey", form: url.Values{"UserAccessKeyId": {key.ID}}, v1: v1}),
			404, "EntityNotExists.AccessKey")
	}
}

// The functions of configurations do not offer the actions on keys.
func TestKeyActionsAreApart(t *testing.T) {
	w := newWorld(t, nil)
	for _, a := range rpc.KeyActions() {
		w.want(w.do(request{action: a.Name}), 404, "InvalidApi.NotFound")
		if a.ReadOnly() != (a.Name == policy.ListAccessKeys) {
			t.Errorf("%s: ReadOnly = %v", a.Name, a.ReadOnly())
		}
	}
}

// The day on which a key was used is in the list of keys: of requests that were proven, and of no
// others.
func TestTheUseOfAKeyIsNoted(t *testing.T) {
	w := newWorld(t, nil, rpc.KeyActions()...)
	w.want(w.do(request{action: "ListChatConfigurations", key: sign.Key{ID: reader.ID, Secret: "wrong"}}),
		400, "SignatureDoesNotMatch")
	used := func() map[string]string {
		t.Helper()
		days, err := w.options.Keys.LastUses(t.Context(), admin.ID, reader.ID, off.ID)
		if err != nil {
			t.Fatal(err)
		}
		return days
	}
	w.wantOK(w.do(request{action: "ListChatConfigurations"}))
	for range 500 {
		if len(used()) > 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if days := used(); len(days) != 1 || days[admin.ID] != "2026-11-22" {
		t.Errorf("last uses = %v, want that of the administrator alone", days)
	}
	if a := w.do(request{action: "ListAccessKeys"}); !strings.Contains(a.body, `"LastUsedDate":"2026-11-22"`) {
		t.Errorf("ListAccessKeys = %v", a)
	}
}

package rpc_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"chatconf/shared/accesskey"
	"chatconf/shared/chat"
	"chatconf/shared/fault"
	"chatconf/shared/policy"
	"chatconf/shared/rpc"
)

func TestCallsInThisProcess(t *testing.T) {
	w := newWorld(t, nil)
	made := map[string]string{"Name": "ops", "Type": "DingTalk", "Configuration": configuration}
	var created chat.WriteResponse
	if err := w.handler.As(admin.ID).Call(t.Context(), "CreateChatConfiguration", made, &created); err != nil ||
		created.ChatConfiguration.Revision != 1 {
		t.Fatalf("Create = %+v, %v", created, err)
	}
	var got chat.GetResponse
	named := map[string]string{"Name": "ops"}
	if err := w.handler.As(reader.ID).Call(t.Context(), "GetChatConfiguration", named, &got); err != nil ||
		got.ChatConfiguration.Name != "ops" || strings.Contains(got.ChatConfiguration.Configuration, planted) {
		t.Errorf("Get = %+v, %v", got, err)
	}
	for about, c := range map[string]struct {
		id, action string
		params     map[string]string
		want       fault.Code
	}{
		"a reader who writes": {reader.ID, "DeleteChatConfiguration", named, fault.NoPermission},
		"an unknown key":      {"CCKnobody", "GetChatConfiguration", named, fault.KeyNotFound},
		"a revoked key":       {off.ID, "GetChatConfiguration", named, fault.KeyNotFound},
		"an unknown action":   {admin.ID, "NoSuchAction", named, fault.Internal},
		"a bot that is not":   {admin.ID, "GetChatConfiguration", map[string]string{"Name": "no"}, fault.NotFound},
		"a mistake":           {admin.ID, "GetChatConfiguration", nil, fault.MissingParameter},
		"not a number": {admin.ID, "ListChatConfigurations", map[string]string{"MaxResults": "x"},
			fault.InvalidParameter},
	} {
		err := w.handler.As(c.id).Call(t.Context(), c.action, c.params, new(chat.GetResponse))
		if err == nil || fault.CodeOf(err) != c.want {
			t.Errorf("%s: %v, want code %v", about, err, c.want)
		}
	}
	if err := w.handler.As(admin.ID).Call(t.Context(), "GetChatConfiguration", named, new([]int)); err == nil {
		t.Error("an answer of another type is taken")
	}
}

func TestCallsSeeAChangedKeyAtOnce(t *testing.T) {
	w := newWorld(t, nil)
	call := func() error {
		return w.handler.As(admin.ID).Call(t.Context(), "ListChatConfigurations", nil, new(chat.ListResponse))
	}
	if err := call(); err != nil {
		t.Fatal(err)
	}
	expires := w.clock.Now().Add(time.Hour)
	nothing := mustParse(t, `{"Version":"1","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}`)
	change := accesskey.Change{Policies: []*policy.Policy{nothing}, Expires: &expires}
	if _, err := w.options.Keys.Update(t.Context(), "", admin.ID, change); err != nil {
		t.Fatal(err)
	}
	if err := call(); fault.CodeOf(err) != fault.NoPermission {
		t.Errorf("with other policies: %v", err)
	}
	w.clock.Add(time.Hour)
	if err := call(); fault.CodeOf(err) != fault.KeyNotFound {
		t.Errorf("after it has expired: %v", err)
	}
}

// What is denied in addition to a key's policies is denied, and nothing else.
func TestCallsAreDeniedMore(t *testing.T) {
	w := newWorld(t, nil)
	w.wantOK(w.do(create("ops")))
	reveal := mustParse(t, `{"Version":"1","Statement":[{"Effect":"Deny",`+
		`"Action":"oos:RevealChatConfigurationOutputs","Resource":"*"}]}`)
	for _, denied := range []bool{false, true} {
		as := w.handler.As(admin.ID)
		if denied {
			as = w.handler.As(admin.ID, reveal)
		}
		var got chat.GetResponse
		err := as.Call(t.Context(), "GetChatConfiguration", map[string]string{"Name": "ops"}, &got)
		if masked := strings.Contains(got.ChatConfiguration.Outputs, "******"); err != nil || masked != denied {
			t.Errorf("denied %v: %+v, %v", denied, got, err)
		}
	}
}

// A key has one limit for its requests, however they come.
func TestRequestsInThisProcessAreLimited(t *testing.T) {
	w := newWorld(t, func(o *rpc.Options) { o.Rate = 2 })
	w.wantOK(w.do(create("ops")))
	if _, ok := w.handler.Admit(admin.ID); !ok {
		t.Error("the second request is refused")
	}
	if seconds, ok := w.handler.Admit(admin.ID); ok || seconds != 1 {
		t.Errorf("the third request: %v, after %d seconds", ok, seconds)
	}
	if _, ok := w.handler.Admit(reader.ID); !ok {
		t.Error("another key is refused")
	}
	w.clock.Add(time.Second)
	if _, ok := w.handler.Admit(admin.ID); !ok {
		t.Error("a second later the key is refused")
	}
}

// A panic of an action is an error.
func TestCallsSurviveAPanic(t *testing.T) {
	panics := rpc.NewAction("GetPanic",
		func(*chat.Service, context.Context, *chat.GetRequest) (*chat.GetResponse, error) { panic("planted") })
	w := newWorld(t, nil, panics)
	err := w.handler.As(admin.ID).Call(t.Context(), "GetPanic", map[string]string{"Name": "ops"}, nil)
	var refused *fault.Error
	if err == nil || errors.As(err, &refused) {
		t.Errorf("Call = %v", err)
	}
}

func mustParse(t *testing.T, text string) *policy.Policy {
	t.Helper()
	p, err := policy.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

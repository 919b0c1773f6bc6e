package chat_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"chatconf/shared/chat"
	"chatconf/shared/invoke"
	"chatconf/shared/policy"
)

// TestDefaultDeny holds that without an Allow no action does or shows anything, nor reads before it knows what there may be to read.
func TestDefaultDeny(t *testing.T) {
	noAccount := *administrator
	noAccount.Account = ""
	denied := caller(t, "CCKdenied", `{"Effect":"Allow","Action":"oos:*","Resource":"*"}`, `{"Effect":"Deny","Action":"*","Resource":"*"}`)
	wrongAccount := caller(t, "CCKwrong", `{"Effect":"Allow","Action":"oos:*","Resource":"acs:oos:*:9:*"}`)
	zero := caller(t, "CCKzero", `{"Effect":"Allow","Action":"oos:*","Resource":"*"}`)
	zero.Policies = append(zero.Policies, nil)
	for about, c := range map[string]struct {
		ctx  context.Context
		kind string
		who  *chat.Caller
	}{
		"nobody":                                 {t.Context(), "ImplicitDeny", &chat.Caller{}},
		"a nil caller":                           {as(t.Context(), nil), "ImplicitDeny", &chat.Caller{}},
		"an administrator without account":       {as(t.Context(), &noAccount), "ImplicitDeny", &noAccount},
		"a caller without policies":              {as(t.Context(), caller(t, "CCKnone")), "ImplicitDeny", caller(t, "CCKnone")},
		"a caller who is allowed all and denied": {as(t.Context(), denied), "ExplicitDeny", denied},
		"a caller for another account's things":  {as(t.Context(), wrongAccount), "ImplicitDeny", wrongAccount},
		"a caller one of whose policies is lost": {as(t.Context(), zero), "ImplicitDeny", zero},
	} {
		h := newHouse(t)
		h.create("one", func(in *chat.CreateRequest) { in.Tags = map[string]string{"env": "prod"} })
		before := h.dump()
		for action, call := range everyAction(h.Service, here) {
			err := call(c.ctx)
			wantError(t, action+" by "+about, err, chat.NoPermission, "", "may not perform oos:"+action)
			var e *chat.Error
			if !errors.As(err, &e) || e.Denied == nil {
				t.Fatalf("%s by %s: %#v", action, about, err)
			}
			equal(t, action+" by "+about, *e.Denied, chat.AccessDenied{
				AuthAction: "oos:" + action, AuthPrincipalType: "AccessKey", AuthPrincipalOwnerId: c.who.Account,
				AuthPrincipalDisplayName: c.who.Name, NoPermissionType: c.kind, PolicyType: "AccountLevelIdentityBasedPolicy",
			})
		}
		equal(t, "the table after "+about, h.dump(), before)
	}
}

// TestEachActionNeedsItsOwnPermission holds that exactly the permission of an action's name opens it.
func TestEachActionNeedsItsOwnPermission(t *testing.T) {
	for action := range everyAction(nil, here) {
		h := newHouse(t)
		h.create("one", func(in *chat.CreateRequest) { in.Tags = map[string]string{"env": "prod"} })
		only := as(t.Context(), caller(t, "CCKonly", `{"Effect":"Allow","Action":"oos:`+action+`","Resource":"acs:oos:cn-hangzhou:`+account+`:chatconfiguration/*"}`))
		for other, call := range everyAction(h.Service, here) {
			if other == action {
				continue
			}
			wantError(t, other+" with the permission for "+action, call(only), chat.NoPermission, "")
		}
		if err := everyAction(h.Service, here)[action](only); err != nil {
			t.Errorf("%s with its permission: %v", action, err)
		}
	}
}

// TestTagConditions holds that a condition on tags is asked of the tags that are there, and on create of those that shall be.
func TestTagConditions(t *testing.T) {
	h := newHouse(t)
	h.create("dev", func(in *chat.CreateRequest) { in.Tags = map[string]string{"env": "dev"} })
	h.create("prod", func(in *chat.CreateRequest) { in.Tags = map[string]string{"env": "prod"} })
	h.create("bare")
	ctx := as(t.Context(), caller(t, "CCKdev", `{"Effect":"Allow","Action":"oos:*","Resource":"*","Condition":{"StringEquals":{"oos:tag/env":"dev"}}}`))
	for name, want := range map[string]chat.Code{"dev": chat.Internal, "prod": chat.NoPermission, "bare": chat.NoPermission, "none": chat.NoPermission} {
		check := func(action string, err error) {
			t.Helper()
			if want == chat.Internal && err == nil {
				return
			}
			wantError(t, action+" of "+name, err, want, "")
		}
		_, err := h.Get(ctx, &chat.GetRequest{Name: name})
		check("Get", err)
		_, err = h.Update(ctx, &chat.UpdateRequest{Name: name})
		check("Update", err)
		_, err = h.Tag(ctx, &chat.TagRequest{ResourceType: "chatconfiguration", ResourceIDs: []string{name}, Tags: map[string]string{"x": "y"}})
		check("Tag", err)
		_, err = h.ChangeResourceGroup(ctx, &chat.ChangeResourceGroupRequest{ResourceType: "chatconfiguration", ResourceID: name, NewResourceGroupID: "g"})
		check("ChangeResourceGroup", err)
		_, err = h.Delete(ctx, &chat.DeleteRequest{Name: name})
		check("Delete", err)
	}
	_, err := h.Tag(ctx, &chat.TagRequest{ResourceType: "chatconfiguration", ResourceIDs: []string{"prod"}, Tags: map[string]string{"env": "dev"}})
	wantError(t, "Tag into one's own permission", err, chat.NoPermission, "")
	for env, want := range map[string]chat.Code{"dev": chat.Internal, "prod": chat.NoPermission} {
		_, err := h.Create(ctx, &chat.CreateRequest{Name: "new-" + env, Type: "Slack", Configuration: slack, Tags: map[string]string{"env": env}})
		if got := chat.CodeOf(err); err != nil && got != want || err == nil && want != chat.Internal {
			t.Errorf("Create with the tag %s: %v", env, err)
		}
	}
	_, err = h.Create(ctx, &chat.CreateRequest{Name: "new-bare", Type: "Slack", Configuration: slack})
	wantError(t, "Create without the tag", err, chat.NoPermission, "")
	_, err = h.List(ctx, &chat.ListRequest{})
	wantError(t, "List under a condition on tags", err, chat.NoPermission, "", "chatconfiguration/*")
}

// TestRequestConditions holds what policies learn of a request.
func TestRequestConditions(t *testing.T) {
	h := newHouse(t)
	h.create("one")
	for _, c := range []struct {
		about, condition string
		inv              *invoke.Invocation
		allowed          bool
	}{
		{"an address within", `"IpAddress":{"acs:SourceIp":"192.0.2.0/24"}`, &invoke.Invocation{SourceIP: "192.0.2.7"}, true},
		{"an address without", `"IpAddress":{"acs:SourceIp":"192.0.2.0/24"}`, &invoke.Invocation{SourceIP: "198.51.100.7"}, false},
		{"no address", `"IpAddress":{"acs:SourceIp":"192.0.2.0/24"}`, nil, false},
		{"TLS", `"Bool":{"acs:SecureTransport":"true"}`, &invoke.Invocation{Secure: true}, true},
		{"no TLS", `"Bool":{"acs:SecureTransport":"true"}`, &invoke.Invocation{}, false},
		{"a time to come", `"DateLessThan":{"acs:CurrentTime":"2026-11-23T08:00:01Z"}`, nil, true},
		{"a time gone by", `"DateLessThan":{"acs:CurrentTime":"2026-11-23T07:59:59Z"}`, nil, false},
	} {
		ctx := as(t.Context(), caller(t, "CCKif", `{"Effect":"Allow","Action":"oos:GetChatConfiguration","Resource":"*","Condition":{`+c.condition+`}}`))
		if c.inv != nil {
			ctx = invoke.With(ctx, c.inv)
		}
		if _, err := h.Get(ctx, &chat.GetRequest{Name: "one"}); (err == nil) != c.allowed {
			t.Errorf("%s: %v, want allowed %v", c.about, err, c.allowed)
		}
	}
}

func TestListHidesOutputsFromWhoMayNotGet(t *testing.T) {
	h := newHouse(t)
	for _, name := range []string{"a-dev", "a-prod", "b"} {
		h.create(name, func(in *chat.CreateRequest) {
			in.Type, in.Configuration, in.Tags = "WeChat", chat.Secret(fullWeChat), map[string]string{"env": strings.TrimPrefix(name, "a-")}
		})
	}
	for about, c := range map[string]struct {
		statements []string
		shown      []string
	}{
		"the administrator": {[]string{`{"Effect":"Allow","Action":"oos:*","Resource":"*"}`}, []string{"a-dev", "a-prod", "b"}},
		"who may only list": {[]string{`{"Effect":"Allow","Action":"oos:ListChatConfigurations","Resource":"*"}`}, nil},
		"who may get some": {[]string{`{"Effect":"Allow","Action":"oos:List*","Resource":"*"}`, `{"Effect":"Allow","Action":"oos:Get*","Resource":"*/a-*"}`},
			[]string{"a-dev", "a-prod"}},
		"who may get by tag": {[]string{`{"Effect":"Allow","Action":"oos:List*","Resource":"*"}`,
			`{"Effect":"Allow","Action":"oos:Get*","Resource":"*","Condition":{"StringEquals":{"oos:tag/env":"dev"}}}`}, []string{"a-dev"}},
		"who may get all but one": {[]string{`{"Effect":"Allow","Action":"oos:*","Resource":"*"}`, `{"Effect":"Deny","Action":"oos:GetChatConfiguration","Resource":"*/b"}`},
			[]string{"a-dev", "a-prod"}},
	} {
		out, err := h.List(as(t.Context(), caller(t, "CCKlist", c.statements...)), &chat.ListRequest{})
		if err != nil {
			t.Fatalf("%s: %v", about, err)
		}
		var shown []string
		for _, s := range out.ChatConfigurations {
			if s.Outputs != "" {
				shown = append(shown, s.Name)
				equal(t, "Outputs of "+s.Name, decodeOutputs(t, s.Outputs), decodeOutputs(t, h.get(s.Name).Outputs))
			}
		}
		equal(t, "what List shows the Outputs of to "+about, shown, c.shown)
		equal(t, "what List shows to "+about, names(out.ChatConfigurations), []string{"a-dev", "a-prod", "b"})
	}
}

func TestReadOnlyChangesNothing(t *testing.T) {
	h := newHouse(t)
	h.create("one", func(in *chat.CreateRequest) { in.Tags = map[string]string{"env": "prod"} })
	reader := caller(t, "CCKreader")
	reader.Policies = []*policy.Policy{policy.ReadOnly()}
	for action, call := range everyAction(h.Service, here) {
		err := call(as(t.Context(), reader))
		if reads := strings.HasPrefix(action, "Get") || strings.HasPrefix(action, "List") || action == "SimulateChatPermission"; reads != (err == nil) {
			t.Errorf("%s by a reader: %v", action, err)
		}
	}
}

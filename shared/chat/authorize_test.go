package chat_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/fault"
	"chatconf/shared/invoke"
	"chatconf/shared/policy"
)

// TestDefaultDeny holds that without an Allow no action does or shows anything, nor reads before it
// knows what there may be to read.
func TestDefaultDeny(t *testing.T) {
	noAccount := *chattest.Administrator
	noAccount.Account = ""
	denied := callerOf(t, "CCKdenied", `{"Effect":"Allow","Action":"oos:*","Resource":"*"}`,
		`{"Effect":"Deny","Action":"*","Resource":"*"}`)
	wrongAccount := callerOf(t, "CCKwrong", `{"Effect":"Allow","Action":"oos:*","Resource":"acs:oos:*:9:*"}`)
	zero := callerOf(t, "CCKzero", `{"Effect":"Allow","Action":"oos:*","Resource":"*"}`)
	zero.Policies = append(zero.Policies, nil)
	for about, c := range map[string]struct {
		ctx  context.Context
		kind string
		who  *chat.Caller
	}{
		"nobody":                           {t.Context(), "ImplicitDeny", &chat.Caller{}},
		"a nil caller":                     {chattest.As(t.Context(), nil), "ImplicitDeny", &chat.Caller{}},
		"an administrator without account": {chattest.As(t.Context(), &noAccount), "ImplicitDeny", &noAccount},
		"a caller without policies": {chattest.As(t.Context(), callerOf(t, "CCKnone")),
			"ImplicitDeny", callerOf(t, "CCKnone")},
		"a caller who is allowed all and denied": {chattest.As(t.Context(), denied), "ExplicitDeny", denied},
		"a caller for another account's things": {chattest.As(t.Context(), wrongAccount),
			"ImplicitDeny", wrongAccount},
		"a caller one of whose policies is lost": {chattest.As(t.Context(), zero), "ImplicitDeny", zero},
	} {
		h := newHouse(t)
		h.MustCreate("one", func(in *chat.CreateRequest) { in.Tags = map[string]string{"env": "prod"} })
		before := h.Dump()
		for action, call := range everyAction(h.Service, here) {
			err := call(c.ctx)
			chattest.WantError(t, action+" by "+about, err, fault.NoPermission, "", "may not perform oos:"+action)
			var e *fault.Error
			if !errors.As(err, &e) || e.Denied == nil {
				t.Fatalf("%s by %s: %#v", action, about, err)
			}
			chattest.Equal(t, action+" by "+about, *e.Denied, fault.AccessDenied{
				AuthAction: "oos:" + action, AuthPrincipalType: "AccessKey", AuthPrincipalOwnerId: c.who.Account,
				AuthPrincipalDisplayName: c.who.Name, NoPermissionType: c.kind,
				PolicyType: "AccountLevelIdentityBasedPolicy",
			})
		}
		chattest.Equal(t, "the table after "+about, h.Dump(), before)
	}
}

// TestEachActionNeedsItsOwnPermission holds that exactly the permission of an action's name opens
// it.
func TestEachActionNeedsItsOwnPermission(t *testing.T) {
	for action := range everyAction(nil, here) {
		h := newHouse(t)
		h.MustPrepare()
		allow := func(action, name string) string {
			return `{"Effect":"Allow","Action":"oos:` + action + `","Resource":"acs:oos:cn-hangzhou:` +
				chattest.Account + `:chatconfiguration/` + name + `"}`
		}
		statements := []string{allow(action, "*")}
		var further []string
		if action == "CopyChatConfiguration" { // which also reads, and needs what the creation of its copy needs
			further = []string{"GetChatConfiguration", "CreateChatConfiguration"}
			statements = append(statements, allow("GetChatConfiguration", "one"), allow("TagResources", "new"),
				allow("CreateChatConfiguration", "new"))
		}
		only := chattest.As(t.Context(), callerOf(t, "CCKonly", statements...))
		for other, call := range everyAction(h.Service, here) {
			if other == action || slices.Contains(further, other) {
				continue
			}
			chattest.WantError(t, other+" with the permission for "+action, call(only), fault.NoPermission, "")
		}
		if err := everyAction(h.Service, here)[action](only); err != nil {
			t.Errorf("%s with its permission: %v", action, err)
		}
	}
}

// TestTagConditions holds that a condition on tags is asked of the tags that are there, and on
// create of those that shall be.
func TestTagConditions(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("dev", func(in *chat.CreateRequest) { in.Tags = map[string]string{"env": "dev"} })
	h.MustCreate("prod", func(in *chat.CreateRequest) { in.Tags = map[string]string{"env": "prod"} })
	h.MustCreate("bare")
	ctx := chattest.As(t.Context(), callerOf(t, "CCKdev",
		`{"Effect":"Allow","Action":"oos:*","Resource":"*","Condition":{"StringEquals":{"oos:tag/env":"dev"}}}`))
	for name, want := range map[string]fault.Code{"dev": fault.Internal, "prod": fault.NoPermission,
		"bare": fault.NoPermission, "none": fault.NoPermission} {
		check := func(action string, err error) {
			t.Helper()
			if want == fault.Internal && err == nil {
				return
			}
			chattest.WantError(t, action+" of "+name, err, want, "")
		}
		_, err := h.Get(ctx, &chat.GetRequest{Name: name})
		check("Get", err)
		_, err = h.Update(ctx, &chat.UpdateRequest{Name: name})
		check("Update", err)
		_, err = h.Tag(ctx, &chat.TagRequest{ResourceType: "chatconfiguration", ResourceIDs: []string{name},
			Tags: map[string]string{"x": "y"}})
		check("Tag", err)
		_, err = h.ChangeResourceGroup(ctx, &chat.ChangeResourceGroupRequest{ResourceType: "chatconfiguration",
			ResourceID: name, NewResourceGroupID: "g"})
		check("ChangeResourceGroup", err)
		_, err = h.Delete(ctx, &chat.DeleteRequest{Name: name})
		check("Delete", err)
	}
	_, err := h.Tag(ctx, &chat.TagRequest{ResourceType: "chatconfiguration", ResourceIDs: []string{"prod"},
		Tags: map[string]string{"env": "dev"}})
	chattest.WantError(t, "Tag into one's own permission", err, fault.NoPermission, "")
	for env, want := range map[string]fault.Code{"dev": fault.Internal, "prod": fault.NoPermission} {
		_, err := h.Create(ctx, &chat.CreateRequest{Name: "new-" + env, Type: "Slack", Configuration: chattest.Slack,
			Tags: map[string]string{"env": env}})
		if got := fault.CodeOf(err); err != nil && got != want || err == nil && want != fault.Internal {
			t.Errorf("Create with the tag %s: %v", env, err)
		}
	}
	_, err = h.Create(ctx, &chat.CreateRequest{Name: "new-bare", Type: "Slack", Configuration: chattest.Slack})
	chattest.WantError(t, "Create without the tag", err, fault.NoPermission, "")
	_, err = h.List(ctx, &chat.ListRequest{})
	chattest.WantError(t, "List under a condition on tags", err, fault.NoPermission, "", "chatconfiguration/*")
}

// TestRequestConditions holds what policies learn of a request.
func TestRequestConditions(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one")
	for _, c := range []struct {
		about, condition string
		inv              *invoke.Invocation
		allowed          bool
	}{
		{"an address within", `"IpAddress":{"acs:SourceIp":"192.0.2.0/24"}`,
			&invoke.Invocation{SourceIP: "192.0.2.7"}, true},
		{"an address without", `"IpAddress":{"acs:SourceIp":"192.0.2.0/24"}`,
			&invoke.Invocation{SourceIP: "198.51.100.7"}, false},
		{"no address", `"IpAddress":{"acs:SourceIp":"192.0.2.0/24"}`, nil, false},
		{"TLS", `"Bool":{"acs:SecureTransport":"true"}`, &invoke.Invocation{Secure: true}, true},
		{"no TLS", `"Bool":{"acs:SecureTransport":"true"}`, &invoke.Invocation{}, false},
		{"a time to come", `"DateLessThan":{"acs:CurrentTime":"2026-11-23T08:00:01Z"}`, nil, true},
		{"a time gone by", `"DateLessThan":{"acs:CurrentTime":"2026-11-23T07:59:59Z"}`, nil, false},
	} {
		ctx := chattest.As(t.Context(), callerOf(t, "CCKif",
			`{"Effect":"Allow","Action":"oos:GetChatConfiguration","Resource":"*","Condition":{`+c.condition+`}}`))
		if c.inv != nil {
			ctx = invoke.With(ctx, c.inv)
		}
		if _, err := h.Get(ctx, &chat.GetRequest{Name: "one"}); (err == nil) != c.allowed {
			t.Errorf("%s: %v, want allowed %v", c.about, err, c.allowed)
		}
	}
}

// only returns a context of a caller who may do the given actions on everything.
func (h *house) only(actions ...string) context.Context {
	h.T.Helper()
	var statements []string
	for _, action := range actions {
		statements = append(statements, `{"Effect":"Allow","Action":"oos:`+action+`","Resource":"*"}`)
	}
	return chattest.As(h.T.Context(), callerOf(h.T, "CCKonly", statements...))
}

// TestOneChangeMayTakeSeveralPermissions holds that tags and a resource group need their own
// permissions, however they are set, and that all that are missing are named at once.
func TestOneChangeMayTakeSeveralPermissions(t *testing.T) {
	create := func(edit func(*chat.CreateRequest)) func(*house, context.Context) error {
		return func(h *house, ctx context.Context) error {
			in := &chat.CreateRequest{Name: "new", Type: "Slack", Configuration: chattest.Slack}
			edit(in)
			_, err := h.Create(ctx, in)
			return err
		}
	}
	update := func(in chat.UpdateRequest) func(*house, context.Context) error {
		return func(h *house, ctx context.Context) error { _, err := h.Update(ctx, &in); return err }
	}
	tags := func(in *chat.CreateRequest) { in.Tags = map[string]string{"env": "prod"} }
	group := func(in *chat.CreateRequest) { in.ResourceGroupID = "rg-new" }
	const creates, updates, tagging, grouping = "CreateChatConfiguration", "UpdateChatConfiguration",
		"TagResources", "ChangeResourceGroup"
	for about, c := range map[string]struct {
		do    func(*house, context.Context) error
		needs []string
	}{
		"create": {create(func(*chat.CreateRequest) {}), []string{creates}},
		"create with no tags": {create(func(in *chat.CreateRequest) { in.Tags = map[string]string{} }),
			[]string{creates}},
		"create with tags":  {create(tags), []string{creates, tagging}},
		"create in a group": {create(group), []string{creates, grouping}},
		"create with tags in a group": {create(func(in *chat.CreateRequest) { tags(in); group(in) }),
			[]string{creates, tagging, grouping}},
		"update": {update(chat.UpdateRequest{Name: "old", Status: "Inactive"}),
			[]string{updates}},
		"update of the group to itself": {update(chat.UpdateRequest{Name: "old",
			ResourceGroupID: chattest.Ptr("rg-old")}), []string{updates}},
		"update of the group": {update(chat.UpdateRequest{Name: "old",
			ResourceGroupID: chattest.Ptr("rg-new")}), []string{updates, grouping}},
		"update that takes the group away": {update(chat.UpdateRequest{Name: "old", ResourceGroupID: chattest.Ptr("")}),
			[]string{updates, grouping}},
		"update that gives a group": {update(chat.UpdateRequest{Name: "bare",
			ResourceGroupID: chattest.Ptr("rg-new")}), []string{updates, grouping}},
	} {
		h := newHouse(t)
		h.MustCreate("old", group, func(in *chat.CreateRequest) { in.ResourceGroupID = "rg-old" })
		h.MustCreate("bare")
		before := h.Dump()
		for i, needed := range c.needs {
			others := slices.Delete(slices.Clone(c.needs), i, i+1)
			err := c.do(h, h.only(others...))
			chattest.WantError(t, about+" without "+needed, err, fault.NoPermission, "", "oos:"+needed+" on acs:oos:")
			for _, other := range others {
				if strings.Contains(err.Error(), other) {
					t.Errorf("%s without %s: %v", about, needed, err)
				}
			}
			var e *fault.Error
			if errors.As(err, &e) && e.Denied.AuthAction != "oos:"+needed {
				t.Errorf("%s without %s: the detail is of %s", about, needed, e.Denied.AuthAction)
			}
			allowed := callerOf(t, "CCKdenied", `{"Effect":"Allow","Action":"oos:*","Resource":"*"}`,
				`{"Effect":"Deny","Action":"oos:`+needed+`","Resource":"*"}`)
			chattest.WantError(t, about+" with "+needed+" denied", c.do(h, chattest.As(t.Context(), allowed)),
				fault.NoPermission, "", "oos:"+needed)
		}
		err := c.do(h, h.only("GetChatConfiguration"))
		for _, needed := range c.needs {
			chattest.WantError(t, about+" without all", err, fault.NoPermission, "", "oos:"+needed+" on ")
		}
		chattest.Equal(t, "the table after what was refused of "+about, h.Dump(), before)
		if err := c.do(h, h.only(c.needs...)); err != nil {
			t.Errorf("%s with all: %v", about, err)
		}
	}
}

// TestTagsAreDecidedByWhatIsAndWhatWouldBe holds that a caller whose permissions are by tags can by
// tagging neither take in what it may not touch, nor let go of what it may.
func TestTagsAreDecidedByWhatIsAndWhatWouldBe(t *testing.T) {
	h := newHouse(t)
	for _, env := range []string{"dev", "prod"} {
		h.MustCreate(env, func(in *chat.CreateRequest) { in.Tags = map[string]string{"env": env, "team": "a"} })
	}
	h.MustCreate("bare")
	dev := chattest.As(t.Context(), callerOf(t, "CCKdev",
		`{"Effect":"Allow","Action":"oos:*","Resource":"*","Condition":{"StringEquals":{"oos:tag/env":"dev"}}}`))
	notProd := chattest.As(t.Context(), callerOf(t, "CCKnotprod",
		`{"Effect":"Allow","Action":"oos:*","Resource":"*"}`,
		`{"Effect":"Deny","Action":["oos:TagResources","oos:UntagResources"],"Resource":"*",`+
			`"Condition":{"StringEquals":{"oos:tag/env":"prod"}}}`))
	tag := func(ctx context.Context, key, value string, names ...string) error {
		_, err := h.Tag(ctx, &chat.TagRequest{ResourceType: "chatconfiguration", ResourceIDs: names,
			Tags: map[string]string{key: value}})
		return err
	}
	untag := func(ctx context.Context, in chat.UntagRequest, names ...string) error {
		in.ResourceType, in.ResourceIDs = "chatconfiguration", names
		_, err := h.Untag(ctx, &in)
		return err
	}
	create := func(ctx context.Context, name, env string) error {
		_, err := h.Create(ctx, &chat.CreateRequest{Name: name, Type: "Slack", Configuration: chattest.Slack,
			Tags: map[string]string{"env": env}})
		return err
	}
	const would = " with the tags that it would have"
	before := h.Dump()
	for about, c := range map[string]struct {
		err   error
		texts []string
		not   string
	}{
		"dev takes prod in": {tag(dev, "env", "dev", "prod"),
			[]string{"oos:TagResources on acs:oos:cn-hangzhou:" + chattest.Account +
				":chatconfiguration/prod."}, would},
		"dev takes a bare one in": {tag(dev, "env", "dev", "bare"), []string{"chatconfiguration/bare."}, would},
		"dev lets go by another value": {tag(dev, "env", "prod", "dev"),
			[]string{"oos:TagResources on ", "chatconfiguration/dev" + would + "."}, ""},
		"dev lets go by taking it away": {untag(dev, chat.UntagRequest{TagKeys: []string{"env"}}, "dev"),
			[]string{"oos:UntagResources on ", "chatconfiguration/dev" + would}, ""},
		"dev lets go of all tags": {untag(dev, chat.UntagRequest{All: true}, "dev"),
			[]string{"chatconfiguration/dev" + would}, ""},
		"dev creates for prod": {create(dev, "new", "prod"),
			[]string{"oos:CreateChatConfiguration on ", "oos:TagResources on "}, ""},
		"not prod makes one prod": {tag(notProd, "env", "prod", "bare"),
			[]string{"chatconfiguration/bare" + would}, ""},
		"not prod creates for prod": {create(notProd, "new", "prod"), []string{"oos:TagResources on "},
			"oos:CreateChatConfiguration"},
		"not prod takes prod's tag": {untag(notProd, chat.UntagRequest{TagKeys: []string{"env"}}, "prod"),
			[]string{"chatconfiguration/prod."}, would},
		"all that is missing of several": {tag(dev, "env", "prod", "prod", "none", "dev", "bare"),
			[]string{"chatconfiguration/prod", "chatconfiguration/none", "chatconfiguration/dev" +
				would, "chatconfiguration/bare"}, ""},
	} {
		chattest.WantError(t, about, c.err, fault.NoPermission, "", c.texts...)
		if c.err != nil && c.not != "" && strings.Contains(c.err.Error(), c.not) {
			t.Errorf("%s: %v", about, c.err)
		}
	}
	chattest.Equal(t, "the table", h.Dump(), before)
	for about, err := range map[string]error{
		"dev changes another tag":   tag(dev, "team", "b", "dev"),
		"dev takes another tag":     untag(dev, chat.UntagRequest{TagKeys: []string{"team"}}, "dev"),
		"dev tags it the same":      tag(dev, "env", "dev", "dev"),
		"dev creates for dev":       create(dev, "new", "dev"),
		"not prod makes one dev":    tag(notProd, "env", "dev", "bare"),
		"not prod creates for test": create(notProd, "newer", "test"),
	} {
		if err != nil {
			t.Errorf("%s: %v", about, err)
		}
	}
	// A caller who may learns what there is not, and what is too much.
	chattest.WantError(t, "a tag of what is not there", tag(h.Ctx, "a", "b", "dev", "none"),
		fault.ResourceNotFound, "ResourceIds", "none")
}

// TestListsAreForPatternsOfAllNames holds that a list is for a policy on all names: one on names of
// one character is none, nor does it deny.
func TestListsAreForPatternsOfAllNames(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one")
	lists := func(ctx context.Context) map[string]error {
		_, list := h.List(ctx, &chat.ListRequest{})
		_, tagged := h.ListTagResources(ctx, &chat.ListTagResourcesRequest{ResourceType: "chatconfiguration"})
		_, keys := h.ListTagKeys(ctx, &chat.ListTagKeysRequest{ResourceType: "chatconfiguration"})
		_, values := h.ListTagValues(ctx, &chat.ListTagValuesRequest{ResourceType: "chatconfiguration", Key: "env"})
		return map[string]error{"List": list, "ListTagResources": tagged, "ListTagKeys": keys, "ListTagValues": values}
	}
	for pattern, all := range map[string]bool{"?": false, "??": false, "o*": false, "*e": false, "one": false,
		"*": true, "?*": true, "*?": true, "**": true} {
		resource := `"Resource":"acs:oos:*:*:chatconfiguration/` + pattern + `"}`
		allowed := chattest.As(t.Context(), callerOf(t, "CCKallowed",
			`{"Effect":"Allow","Action":"oos:*",`+resource))
		denied := chattest.As(t.Context(), callerOf(t, "CCKdenied",
			`{"Effect":"Allow","Action":"oos:*","Resource":"*"}`, `{"Effect":"Deny","Action":"oos:*",`+resource))
		for action, err := range lists(allowed) {
			if (err == nil) != all {
				t.Errorf("%s with %q allowed: %v", action, pattern, err)
			}
		}
		for action, err := range lists(denied) {
			if (err != nil) != all {
				t.Errorf("%s with %q denied: %v", action, pattern, err)
			}
		}
	}
	// No request names all by a name.
	for _, name := range []string{"*", "?", "o*", "one*"} {
		for about, err := range map[string]error{
			"Get":    second(h.Get(h.Ctx, &chat.GetRequest{Name: name})),
			"Health": second(h.Health(h.Ctx, &chat.HealthRequest{Name: name})),
			"Delete": second(h.Delete(h.Ctx, &chat.DeleteRequest{Name: name})),
			"Create": second(h.Create(h.Ctx, &chat.CreateRequest{Name: name, Type: "Slack",
				Configuration: chattest.Slack})),
		} {
			chattest.WantError(t, about+" of "+name, err, fault.InvalidParameter, "Name")
		}
		_, err := h.Tag(h.Ctx, &chat.TagRequest{ResourceType: "chatconfiguration", ResourceIDs: []string{name},
			Tags: map[string]string{"a": "b"}})
		chattest.WantError(t, "Tag of "+name, err, fault.ResourceNotFound, "ResourceIds")
	}
}

func second[T any](_ T, err error) error { return err }

func TestReadOnlyChangesNothing(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one", func(in *chat.CreateRequest) { in.Tags = map[string]string{"env": "prod"} })
	reader := callerOf(t, "CCKreader")
	reader.Policies = []*policy.Policy{policy.ReadOnly()}
	for action, call := range everyAction(h.Service, here) {
		err := call(chattest.As(t.Context(), reader))
		if reads := strings.HasPrefix(action, "Get") || strings.HasPrefix(action, "List") ||
			action == "SimulateChatPermission"; reads != (err == nil) {
			t.Errorf("%s by a reader: %v", action, err)
		}
	}
}

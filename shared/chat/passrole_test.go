package chat_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/fault"
	"chatconf/shared/policy"
	"chatconf/shared/secret"
)

const (
	allowOOS   = `{"Effect":"Allow","Action":"oos:*","Resource":"*"}`
	opsRole    = "ram:PassRole on acs:ram::" + chattest.Account + ":role/Ops"
	slackWith  = `{"SlackSigningSecret":"signing-secret-0","UserGroups":{"sre":["a"],"dev":["b"]},"Permissions":[%]}`
	opsAllow   = `{"Effect":"Allow","Principals":["group:sre"],"Commands":["restart"],"RamRole":"Ops"}`
	plainAllow = `{"Effect":"Allow","Principals":["user:a"],"Commands":["status"]}`
)

func slack(statements ...string) string {
	return strings.Replace(slackWith, "%", strings.Join(statements, ","), 1)
}

const restartAction = `"restart":{"Summary":"Restarts.","RamRole":"Ops","Parameters":[{"Name":"id"}]}`

// withActions returns a Configuration with actions.
func withActions(configuration string, actions ...string) string {
	return strings.Replace(configuration, `"Permissions"`,
		`"Actions":{`+strings.Join(actions, ",")+`},"Permissions"`, 1)
}

// mayPass returns a context of a caller who may do everything of chatconf's own, and pass the roles
// of these resources.
func (h *house) mayPass(resources ...string) context.Context {
	statements := []string{allowOOS}
	for _, r := range resources {
		statements = append(statements, `{"Effect":"Allow","Action":"ram:PassRole","Resource":"`+r+`"}`)
	}
	return chattest.As(h.T.Context(), callerOf(h.T, "CCKpasser", statements...))
}

// A change with a role needs the permission to pass it, whoever names it where, and whichever
// policy says so.
func TestPassRole(t *testing.T) {
	const ours, otherAccount = "acs:ram::" + chattest.Account + ":role/", "acs:ram::9:role/"
	deny := func(resource string) []string {
		return []string{allowOOS, `{"Effect":"Allow","Action":"ram:*","Resource":"*"}`,
			`{"Effect":"Deny","Action":"ram:PassRole","Resource":"` + resource + `"}`}
	}
	pass := func(action, resource string) []string {
		return []string{allowOOS, `{"Effect":"Allow","Action":"` + action + `","Resource":"` + resource + `"}`}
	}
	ways := map[string]func(*house, context.Context) error{
		"create with RamRole": func(h *house, ctx context.Context) error {
			return second(h.Create(ctx, &chat.CreateRequest{Name: "new", Type: "Slack", RamRole: "Ops",
				Configuration: chattest.Slack}))
		},
		"create with a statement": func(h *house, ctx context.Context) error {
			return second(h.Create(ctx, &chat.CreateRequest{Name: "new", Type: "Slack",
				Configuration: secret.Text(slack(plainAllow, opsAllow))}))
		},
		"create with an action": func(h *house, ctx context.Context) error {
			return second(h.Create(ctx, &chat.CreateRequest{Name: "new", Type: "Slack",
				Configuration: secret.Text(withActions(slack(plainAllow), restartAction))}))
		},
		"update of an action": func(h *house, ctx context.Context) error {
			return second(h.Update(ctx, &chat.UpdateRequest{Name: "one",
				Configuration: chattest.Ptr(secret.Text(withActions(slack(plainAllow), restartAction)))}))
		},
		"update of RamRole": func(h *house, ctx context.Context) error {
			return second(h.Update(ctx, &chat.UpdateRequest{Name: "one", RamRole: chattest.Ptr("Ops")}))
		},
		"update of a statement": func(h *house, ctx context.Context) error {
			return second(h.Update(ctx, &chat.UpdateRequest{Name: "one",
				Configuration: chattest.Ptr(secret.Text(slack(plainAllow, opsAllow)))}))
		},
	}
	path := map[string]string{"create with RamRole": "RamRole", "update of RamRole": "RamRole",
		"create with a statement": "Configuration.Permissions[1].RamRole",
		"update of a statement":   "Configuration.Permissions[1].RamRole",
		"create with an action":   "Configuration.Actions.restart.RamRole",
		"update of an action":     "Configuration.Actions.restart.RamRole"}
	for about, c := range map[string]struct {
		statements []string
		kind       string // of the denial; empty if it is allowed
	}{
		"the role":                   {pass("ram:PassRole", ours+"Ops"), ""},
		"a pattern":                  {pass("ram:PassRole", ours+"O*"), ""},
		"every account":              {pass("ram:PassRole", policy.RoleResource("*", "Op?")), ""},
		"everything":                 {pass("ram:PassRole", "*"), ""},
		"every operation on roles":   {pass("ram:*", "*"), ""},
		"every operation":            {pass("*", "*"), ""},
		"in any case":                {pass("RAM:passrole", ours+"Ops"), ""},
		"nothing":                    {[]string{allowOOS}, "ImplicitDeny"},
		"another role":               {pass("ram:PassRole", ours+"Dev"), "ImplicitDeny"},
		"another case of the role":   {pass("ram:PassRole", ours+"ops"), "ImplicitDeny"},
		"a Deny in another case":     {deny(ours + "oPS"), "ExplicitDeny"},
		"a longer role":              {pass("ram:PassRole", ours+"Ops2"), "ImplicitDeny"},
		"another account":            {pass("ram:PassRole", otherAccount+"*"), "ImplicitDeny"},
		"another operation":          {pass("ram:GetRole", "*"), "ImplicitDeny"},
		"an operation of chatconf's": {pass("oos:PassRole", "*"), "ImplicitDeny"},
		"configurations":             {pass("ram:PassRole", "acs:oos:*:*:chatconfiguration/*"), "ImplicitDeny"},
		"a deny":                     {deny(ours + "Ops"), "ExplicitDeny"},
		"a deny of all":              {deny("*"), "ExplicitDeny"},
		"a deny of another role":     {deny(ours + "Dev"), ""},
		"a deny of another account":  {deny(otherAccount + "*"), ""},
	} {
		for way, do := range ways {
			h := newHouse(t)
			h.MustCreate("one")
			before := h.Dump()
			err := do(h, chattest.As(t.Context(), callerOf(t, "CCKci", c.statements...)))
			if c.kind == "" {
				if err != nil {
					t.Errorf("%s with %s: %v", way, about, err)
				}
				continue
			}
			chattest.WantError(t, way+" with "+about, err, fault.NoPermission, "",
				"may not perform "+opsRole+" (for "+path[way]+").")
			var e *fault.Error
			if !errors.As(err, &e) || e.Denied.AuthAction != "ram:PassRole" || e.Denied.NoPermissionType != c.kind {
				t.Errorf("%s with %s: %+v", way, about, e)
			}
			const fix = " To let this access key pass it, run 'chatconf keys update CCKci --pass-role Ops'."
			if got, want := strings.HasSuffix(err.Error(), fix), c.kind == "ImplicitDeny"; got != want {
				t.Errorf("%s with %s: %v; want it to name the fix: %v", way, about, err, want)
			}
			chattest.Equal(t, "the table after "+way+" with "+about, h.Dump(), before)
		}
	}
}

// TestPredefinedPoliciesPassRoles checks who of the predefined may pass roles, and who of before.
func TestPredefinedPoliciesPassRoles(t *testing.T) {
	h := newHouse(t)
	old, err := policy.Parse([]byte(`{"Version":"1","Statement":[` + allowOOS + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		p    *policy.Policy
		want bool
	}{
		"Owner": {policy.Owner(), true}, "Administrator": {policy.Administrator(), true},
		"ReadOnly": {policy.ReadOnly(), false}, "an Administrator of before": {old, false},
	} {
		who := callerOf(t, "CCKwho")
		who.Policies = []*policy.Policy{c.p}
		_, err := h.Create(chattest.As(t.Context(), who), &chat.CreateRequest{Name: strings.ReplaceAll(name, " ", "-"),
			Type: "Slack", RamRole: "Ops", Configuration: chattest.Slack})
		if (err == nil) != c.want || err != nil && !strings.Contains(err.Error(), opsRole) {
			t.Errorf("%s: %v, want allowed %v", name, err, c.want)
		}
	}
}

// TestPassRoleOfAnUpdate checks which updates need the permission for the roles of a configuration,
// and which do not.
func TestPassRoleOfAnUpdate(t *testing.T) {
	const other = `"SlackSigningSecret":"signing-secret-1"`
	stored := slack(opsAllow, plainAllow)
	edit := func(pairs ...string) *secret.Text {
		return chattest.Ptr(secret.Text(strings.NewReplacer(pairs...).Replace(stored)))
	}
	target := func(text string) *secret.Text {
		return edit(`"Permissions"`, `"Target":`+text+`,"Permissions"`)
	}
	const http = `{"Type":"Http","Url":"https://ops.example.com/run",` +
		`"Secret":"bm90LWEtcmVhbC1zZWNyZXQtb2YtMzItYnl0ZXM="}`
	const oosAction = `"Target":{"Type":"Oos","TemplateName":"T","Parameters":{"Help":"about"},` +
		`"Allow":[{"Action":"ecs:Describe*","Resource":"*"}]}`
	anyone := strings.Replace(opsAllow, `,"RamRole":"Ops"`, "", 1)
	action := func(pairs ...string) *secret.Text {
		text := withActions(slack(anyone, plainAllow), restartAction)
		return chattest.Ptr(secret.Text(strings.NewReplacer(pairs...).Replace(text)))
	}
	const actionRole = "Configuration.Actions.restart.RamRole"
	const statement, shared = "Configuration.Permissions[0].RamRole",
		"the RamRole that applies to Configuration.Permissions[1]"
	for about, c := range map[string]struct {
		role   string // of the stored configuration
		stored *secret.Text
		in     chat.UpdateRequest
		needs  []string // role and place, as the error has them
	}{
		"nothing":    {"Dev", nil, chat.UpdateRequest{}, nil},
		"the status": {"Dev", nil, chat.UpdateRequest{Status: "Inactive"}, nil},
		"the same": {"Dev", nil, chat.UpdateRequest{RamRole: chattest.Ptr("Dev"),
			Configuration: edit()}, nil},
		"the same, masked": {"Dev", nil,
			chat.UpdateRequest{Configuration: edit("signing-secret-0", "******")}, nil},
		"the bot's name": {"Dev", nil,
			chat.UpdateRequest{Configuration: edit(`"Permissions"`, `"BotName":"x","Permissions"`)}, nil},
		"the language": {"Dev", nil,
			chat.UpdateRequest{Configuration: edit(`"Permissions"`, `"Language":"zh","Permissions"`)}, nil},
		"the role is removed": {"Dev", nil, chat.UpdateRequest{RamRole: chattest.Ptr("")}, nil},
		"the role is changed": {"Dev", nil, chat.UpdateRequest{RamRole: chattest.Ptr("Adm")},
			[]string{"Adm (for RamRole)"}},
		"the statement is removed": {"Dev", nil, chat.UpdateRequest{Configuration: edit(opsAllow+",", "")}, nil},
		"the statement without a role": {"Dev", nil, chat.UpdateRequest{Configuration: edit("status", "stat*")},
			[]string{"Dev (for " + shared + ")"}},
		"it is without any role": {"", nil, chat.UpdateRequest{Configuration: edit("status", "stat*")}, nil},
		"the statement with a role": {"Dev", nil, chat.UpdateRequest{Configuration: edit("restart", "re*")},
			[]string{"Ops (for " + statement + ")"}},
		"the group of the statement": {"Dev", nil,
			chat.UpdateRequest{Configuration: edit(`"sre":["a"]`, `"sre":["a","x"]`)},
			[]string{"Ops (for " + statement + ")"}},
		"another group": {"Dev", nil,
			chat.UpdateRequest{Configuration: edit(`"dev":["b"]`, `"dev":["c"]`)}, nil},
		"the role of the statement": {"Dev", nil, chat.UpdateRequest{Configuration: edit(`"Ops"`, `"Adm"`)},
			[]string{"Adm (for " + statement + ")"}},
		"conversations": {"Dev", edit(`"Permissions"`, `"ConversationIds":["c1"],"Permissions"`),
			chat.UpdateRequest{Configuration: edit()}, []string{"Ops (for " + statement +
				")", "Dev (for " + shared + ")"}},
		"the signing secret": {"Dev", nil,
			chat.UpdateRequest{Configuration: edit(`"SlackSigningSecret":"signing-secret-0"`, other)},
			[]string{"Ops (for " + statement + ")", "Dev (for " + shared + ")"}},
		"a former secret": {"Dev", nil,
			chat.UpdateRequest{Configuration: edit(`"Permissions"`,
				`"SlackSigningSecretPrevious":"signing-secret-1","Permissions"`)},
			[]string{"Ops (for " + statement + ")", "Dev (for " + shared + ")"}},
		"a setting": {"Dev", nil,
			chat.UpdateRequest{Configuration: edit(`"Permissions"`, `"SlackTeamId":"T1","Permissions"`)},
			[]string{"Ops (for " + statement + ")", "Dev (for " + shared + ")"}},
		"the target": {"Dev", nil, chat.UpdateRequest{Configuration: target(`{"Type":"Journal"}`)},
			[]string{"Ops (for " + statement + ")", "Dev (for " + shared + ")"}},
		"the target's address": {"", target(http),
			chat.UpdateRequest{Configuration: target(strings.Replace(http, "/run", "/x", 1))},
			[]string{"Ops (for " + statement + ")"}},
		"the target's secret": {"", target(http),
			chat.UpdateRequest{Configuration: target(strings.Replace(http, "bm90", "bm91", 1))},
			[]string{"Ops (for " + statement + ")"}},
		"the target's members' order": {"", target(http),
			chat.UpdateRequest{Configuration: target(
				`{"Url":"https://ops.example.com/run","Secret":"******","Type":"Http"}`)}, nil},
		"the target, but no role": {"", target(http),
			chat.UpdateRequest{Configuration: chattest.Ptr(secret.Text(slack(plainAllow)))}, nil},
		"an action's summary": {"", action(), chat.UpdateRequest{Configuration: action("Restarts", "R")}, nil},
		"an action's parameters": {"", action(),
			chat.UpdateRequest{Configuration: action(`"id"`, `"instance"`)}, []string{"Ops (for " + actionRole + ")"}},
		"an action's help": {"", action(`{"Name":"id"}`, `{"Name":"id","Help":"x"}`),
			chat.UpdateRequest{Configuration: action(`{"Name":"id"}`, `{"Help":"y","Name":"id"}`)}, nil},
		"what the steps of an action may do": {"", action(`"Parameters"`, oosAction+`,"Parameters"`),
			chat.UpdateRequest{Configuration: action(`"Parameters"`, strings.Replace(oosAction, "Describe", "", 1)+
				`,"Parameters"`)}, []string{"Ops (for " + actionRole + ")"}},
		"what a template gets": {"", action(`"Parameters"`, oosAction+`,"Parameters"`),
			chat.UpdateRequest{Configuration: action(`"Parameters"`, strings.Replace(oosAction, "about", "x", 1)+
				`,"Parameters"`)}, []string{"Ops (for " + actionRole + ")"}},
		"another action": {"", action(),
			chat.UpdateRequest{Configuration: action(`"restart":`, `"stop":{},"restart":`)}, nil},
		"the target's secret of an action": {"", action(`"Parameters"`, `"Target":`+http+`,"Parameters"`),
			chat.UpdateRequest{Configuration: action(`"Parameters"`,
				`"Target":`+strings.Replace(http, "bm90", "bm91", 1)+`,"Parameters"`)},
			[]string{"Ops (for " + actionRole + ")"}},
		"who may run an action": {"", action(), chat.UpdateRequest{Configuration: action("group:sre", "*")},
			[]string{"Ops (for the RamRole that applies to Configuration.Permissions[0])"}},
		"a removed action": {"Dev", action(), chat.UpdateRequest{Configuration: action(restartAction, "")},
			[]string{"Dev (for the RamRole that applies to Configuration.Permissions[0])"}},
		"both, together with the group": {"Dev", nil, chat.UpdateRequest{RamRole: chattest.Ptr("Adm"),
			Configuration: edit("restart", "re*")}, []string{"Adm (for RamRole)", "Ops (for " + statement + ")"}},
	} {
		h := newHouse(t)
		if c.stored == nil {
			c.stored = edit()
		}
		h.MustCreate("one", func(in *chat.CreateRequest) { in.RamRole, in.Configuration = c.role, *c.stored })
		before := h.Dump()
		c.in.Name = "one"
		_, err := h.Update(h.mayPass(), &c.in)
		if c.needs == nil {
			if err != nil {
				t.Errorf("%s: %v", about, err)
			}
			continue
		}
		var resources []string
		for _, need := range c.needs {
			chattest.WantError(t, about, err, fault.NoPermission, "", "ram:PassRole on acs:ram::"+
				chattest.Account+":role/"+need)
			role, _, _ := strings.Cut(need, " ")
			resources = append(resources, policy.RoleResource("*", role))
		}
		if n := strings.Count(err.Error(), "ram:PassRole"); n != len(c.needs) {
			t.Errorf("%s: %v; want %d roles", about, err, len(c.needs))
		}
		chattest.Equal(t, "the table after "+about, h.Dump(), before)
		for i := range resources { // each of them is needed
			if _, err := h.Update(h.mayPass(append(resources[:i:i], resources[i+1:]...)...), &c.in); err == nil {
				t.Errorf("%s without %s is allowed", about, c.needs[i])
			}
		}
		if _, err := h.Update(h.mayPass(resources...), &c.in); err != nil {
			t.Errorf("%s with the permissions: %v", about, err)
		}
		// Once it is so, who may not pass the roles may save it again.
		if _, err := h.Update(h.mayPass(), &c.in); err != nil {
			t.Errorf("%s again: %v", about, err)
		}
	}
}

// TestPassRoleIsNamedWithTheOthers checks that one error has all that a change lacks, a role once
// with all its places, and a way out for access keys and events.
func TestPassRoleIsNamedWithTheOthers(t *testing.T) {
	h := newHouse(t)
	in := chat.CreateRequest{Name: "new", Type: "Slack", RamRole: "Ops", ResourceGroupID: "rg-1",
		Tags: map[string]string{"env": "dev"},
		Configuration: secret.Text(withActions(slack(opsAllow, plainAllow, strings.Replace(opsAllow, "Ops", "Adm", 1)),
			restartAction))}
	_, err := h.Create(h.only("GetChatConfiguration"), &in)
	chattest.WantError(t, "a create", err, fault.NoPermission, "", "oos:CreateChatConfiguration on ",
		"oos:TagResources on ",
		"oos:ChangeResourceGroup on ", opsRole+" (for RamRole, Configuration.Permissions[0].RamRole, "+
			"Configuration.Actions.restart.RamRole), ", ":role/Adm (for Configuration.Permissions[2].RamRole). "+
			"To let this access key pass it, run 'chatconf keys update CCKonly --pass-role Ops --pass-role Adm'.")
	_, err = h.Update(h.only("GetChatConfiguration"), &chat.UpdateRequest{Name: "none", RamRole: chattest.Ptr("Ops"),
		Configuration: &in.Configuration})
	chattest.WantError(t, "an update", err, fault.NoPermission, "", "oos:UpdateChatConfiguration on ",
		opsRole+" (for RamRole, Configuration.Permissions[0].RamRole, Configuration.Actions.restart.RamRole), ",
		":role/Adm (for ")
	event := callerOf(t, "", allowOOS)
	_, err = h.Create(chattest.As(t.Context(), event), &in)
	chattest.WantError(t, "an event", err, fault.NoPermission, "",
		"). To let events pass a role, allow ram:PassRole in CHATCONF_EVENT_POLICY.")
	var many []string
	for range 12 {
		many = append(many, opsAllow)
	}
	in.Configuration = secret.Text(slack(many...))
	_, err = h.Create(h.mayPass(), &in)
	chattest.WantError(t, "many places", err, fault.NoPermission, "", "Permissions[8].RamRole, and more).")
}

// TestPassRoleTellsNothing checks that a caller without the permission of the action learns from
// the error nothing of what is stored, and one who may not read it nothing of its role.
func TestPassRoleTellsNothing(t *testing.T) {
	h := newHouse(t)
	stored := secret.Text(slack(opsAllow, plainAllow))
	h.MustCreate("same", func(in *chat.CreateRequest) {
		in.RamRole, in.Configuration, in.ResourceGroupID = "Dev", stored, "rg-secret"
	})
	h.MustCreate("other")
	message := func(ctx context.Context, in chat.UpdateRequest, name string) string {
		in.Name = name
		_, err := h.Update(ctx, &in)
		chattest.WantError(t, "an update of "+name, err, fault.NoPermission, "")
		return strings.ReplaceAll(err.Error(), "/"+name, "/x")
	}
	for about, in := range map[string]chat.UpdateRequest{
		"a group": {ResourceGroupID: chattest.Ptr("rg-secret")}, "no group": {ResourceGroupID: chattest.Ptr("")},
		"the role": {RamRole: chattest.Ptr("Dev")}, "all": {RamRole: chattest.Ptr("Dev"), Configuration: &stored},
		"an invalid role": {RamRole: chattest.Ptr("a:b")}, "no JSON": {Configuration: chattest.Ptr(secret.Text("{"))},
		"an invalid document": {Configuration: chattest.Ptr(
			secret.Text(`{"Permissions":[1,{"RamRole":"D ev"},{"RamRole":2}]}`))},
	} {
		for _, ctx := range []context.Context{h.only("GetChatConfiguration"), h.only("CreateChatConfiguration")} {
			want := message(ctx, in, "same")
			for _, name := range []string{"other", "none"} {
				if got := message(ctx, in, name); got != want {
					t.Errorf("%s: of %s %q, of the same %q", about, name, got, want)
				}
			}
		}
	}
	in := &chat.UpdateRequest{Name: "same", Configuration: chattest.Ptr(secret.Text(slack(opsAllow,
		strings.Replace(plainAllow, "status", "stat*", 1))))}
	_, err := h.Update(h.only("UpdateChatConfiguration"), in)
	chattest.WantError(t, "a caller who may not get", err, fault.NoPermission, "",
		":role/****** (for the RamRole that applies to Configuration.Permissions[1]).")
	if strings.Contains(err.Error(), "Dev") {
		t.Errorf("it tells the stored role: %v", err)
	}
	// A caller who may update learns of mistakes and of what there is not, whatever roles there
	// are.
	_, err = h.Update(h.mayPass(), &chat.UpdateRequest{Name: "none", RamRole: chattest.Ptr("Ops")})
	chattest.WantError(t, "an update of what there is not", err, fault.NotFound, "Name")
	_, err = h.Update(h.mayPass(), &chat.UpdateRequest{Name: "same", RamRole: chattest.Ptr("a:b")})
	chattest.WantError(t, "an invalid role", err, fault.InvalidParameter, "RamRole")
	_, err = h.Create(h.mayPass(), &chat.CreateRequest{Name: "new", Type: "Slack",
		RamRole: "a:b", Configuration: stored})
	chattest.WantError(t, "a create with an invalid role", err, fault.InvalidParameter, "RamRole")
}

// TestPassRoleIsDecidedByTags checks that a policy can tie roles to the tags of configurations.
func TestPassRoleIsDecidedByTags(t *testing.T) {
	h := newHouse(t)
	ctx := chattest.As(t.Context(), callerOf(t, "CCKdev", allowOOS,
		`{"Effect":"Allow","Action":"ram:PassRole","Resource":"*","Condition":{"StringEquals":{"oos:tag/env":"dev"}}}`))
	for _, env := range []string{"dev", "prod"} {
		h.MustCreate(env, func(in *chat.CreateRequest) { in.Tags = map[string]string{"env": env} })
		_, made := h.Create(ctx, &chat.CreateRequest{Name: "new-" + env, Type: "Slack", RamRole: "Ops",
			Configuration: chattest.Slack, Tags: map[string]string{"env": env}})
		_, updated := h.Update(ctx, &chat.UpdateRequest{Name: env, RamRole: chattest.Ptr("Ops")})
		for about, err := range map[string]error{"create": made, "update": updated} {
			if (err == nil) != (env == "dev") {
				t.Errorf("%s for %s: %v", about, env, err)
			}
		}
	}
}

// TestPassRoleConfirmsNoGuess tries stored values at another revision: right and wrong guesses get
// the same error.
func TestPassRoleConfirmsNoGuess(t *testing.T) {
	h := newHouse(t)
	stored := slack(opsAllow, plainAllow)
	h.MustCreate("one", func(in *chat.CreateRequest) { in.RamRole, in.Configuration = "Dev", secret.Text(stored) })
	for about, in := range map[string]chat.UpdateRequest{
		"the role": {RamRole: chattest.Ptr("Dev")}, "another role": {RamRole: chattest.Ptr("Other")},
		"the secret": {Configuration: chattest.Ptr(secret.Text(stored))},
		"another secret": {Configuration: chattest.Ptr(
			secret.Text(strings.Replace(stored, "signing-secret", "guess", 1)))},
	} {
		in.Name, in.Revision = "one", chattest.Ptr(int64(99))
		_, err := h.Update(h.only("UpdateChatConfiguration"), &in)
		chattest.WantError(t, about, err, fault.Conflict, "Revision")
	}
}

// TestPassRoleOfARepeat checks that a ClientToken is no way around the permission.
func TestPassRoleOfARepeat(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one")
	create := &chat.CreateRequest{Name: "two", Type: "Slack", RamRole: "Ops",
		Configuration: chattest.Slack, ClientToken: "c"}
	update := &chat.UpdateRequest{Name: "one", RamRole: chattest.Ptr("Ops"), ClientToken: "u"}
	may := h.mayPass(policy.RoleResource("*", "Ops"))
	for range 2 {
		if _, err := h.Create(may, create); err != nil {
			t.Error(err)
		}
		if _, err := h.Update(may, update); err != nil {
			t.Error(err)
		}
	}
	_, err := h.Create(h.mayPass(), create)
	chattest.WantError(t, "a repeat of a create", err, fault.NoPermission, "", opsRole)
	h.MustUpdate(&chat.UpdateRequest{Name: "one", RamRole: chattest.Ptr("")})
	_, err = h.Update(h.mayPass(), update)
	chattest.WantError(t, "a repeat of an update", err, fault.NoPermission, "", opsRole)
	if _, err := h.Update(may, update); err != nil {
		t.Errorf("a repeat by a caller who may: %v", err)
	}
	got, err := h.Get(h.Ctx, &chat.GetRequest{Name: "one"})
	if err != nil || got.ChatConfiguration.RamRole != "" {
		t.Errorf("the repeat set the role to %q, %v", got.ChatConfiguration.RamRole, err)
	}
}

// TestPassRoleIsDecidedByWhatIsReplaced has somebody else change the configuration between the
// decision and the write.
func TestPassRoleIsDecidedByWhatIsReplaced(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one", func(in *chat.CreateRequest) { in.RamRole = "Ops" })
	done := false
	h.Spy.Before = func(call string, _ int) error {
		if call == "Write" && !done {
			done = true
			h.MustUpdate(&chat.UpdateRequest{Name: "one", RamRole: chattest.Ptr("")})
		}
		return nil
	}
	_, err := h.Update(h.mayPass(), &chat.UpdateRequest{Name: "one", RamRole: chattest.Ptr("Ops"), Status: "Inactive"})
	chattest.WantError(t, "an update that kept the role", err, fault.NoPermission, "", opsRole)
	if !done {
		t.Error("nobody came in between")
	}
}

// TestPassRoleOfManyActions checks that Permissions that are too large to be compared are no way to
// get an action's role without the permission to pass it.
func TestPassRoleOfManyActions(t *testing.T) {
	h := newHouse(t)
	configuration := func(principal string) secret.Text {
		return secret.Text(withActions(slack(strings.Replace(plainAllow, `"user:a"],"Commands":["status"`,
			`"`+principal+`"],"Commands":["restart"`, 1),
			strings.Replace(plainAllow, `"status"`, repeat(900, `"x%d"`), 1),
			strings.Replace(plainAllow, `"status"`, repeat(900, `"y%d"`), 1)),
			repeat(90, `"a%d":{"RamRole":"Dev"}`), restartAction))
	}
	h.MustCreate("one", func(in *chat.CreateRequest) { in.Configuration = configuration("user:a") })
	_, err := h.Update(h.mayPass(policy.RoleResource("*", "Dev")), &chat.UpdateRequest{Name: "one",
		Configuration: chattest.Ptr(configuration("user:mallory"))})
	chattest.WantError(t, "an update", err, fault.NoPermission, "", opsRole,
		"the RamRole that applies to Configuration.Permissions[0]")
	if _, err = h.Update(h.mayPass(), &chat.UpdateRequest{Name: "one",
		Configuration: chattest.Ptr(configuration("user:a"))}); err != nil {
		t.Errorf("the same again: %v", err)
	}
}

// TestPassRoleOfAnotherAccount checks that a role's ARN needs the permission for the role of that
// account, by the account's name, and that a caller who may not read the configuration does not
// learn the account.
func TestPassRoleOfAnotherAccount(t *testing.T) {
	const own = "acs:ram::" + chattest.Account + ":role/*"
	for _, arn := range []string{"acs:ram::210000000000:role/Ops", "arn:aws:iam::210000000000:role/Ops",
		"arn:aws-cn:iam::210000000000:role/Ops"} {
		for where, configuration := range map[string]string{
			"Permissions[0]":  slack(strings.Replace(opsAllow, `"Ops"`, `"`+arn+`"`, 1)),
			"Actions.restart": withActions(slack(plainAllow), strings.Replace(restartAction, `"Ops"`, `"`+arn+`"`, 1)),
		} {
			h := newHouse(t)
			in := &chat.CreateRequest{Name: "one", Type: "Slack", Configuration: secret.Text(configuration)}
			for _, of := range []string{own, "*", "acs:ram::*", "acs:ram::2?0000000000:role/Ops"} {
				_, err := h.Create(h.mayPass(of), in)
				chattest.WantError(t, arn+" with "+of, err, fault.NoPermission, "",
					"ram:PassRole on acs:ram::210000000000:role/Ops (for Configuration."+where+".RamRole). ",
					"--pass-role "+arn+"'.")
			}
			if _, err := h.Create(h.mayPass("acs:ram::210000000000:role/O*"), in); err != nil {
				t.Errorf("%s in %s with the permission: %v", arn, where, err)
			}
		}
	}
	h := newHouse(t)
	if _, err := h.Create(h.mayPass("acs:ram::210000000000:role/*"), &chat.CreateRequest{Name: "one", Type: "Slack",
		Configuration: secret.Text(withActions(slack(plainAllow),
			`"status":{"RamRole":"acs:ram::210000000000:role/Ops"}`))}); err != nil {
		t.Fatal(err)
	}
	_, err := h.Update(h.only("UpdateChatConfiguration"), &chat.UpdateRequest{Name: "one", Configuration: chattest.Ptr(
		secret.Text(withActions(slack(strings.Replace(plainAllow, "user:a", "*", 1)), `"status":{"RamRole":"acs:ram::`+
			`210000000000:role/Ops"}`)))})
	chattest.WantError(t, "a caller who may not get", err, fault.NoPermission, "",
		"ram:PassRole on acs:ram::"+chattest.Account+":role/****** (for the RamRole that applies to "+
			"Configuration.Permissions[0]).")
	if strings.Contains(err.Error(), "210000000000") {
		t.Errorf("it tells the stored account: %v", err)
	}
}

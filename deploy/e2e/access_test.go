package e2e_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	oos "github.com/alibabacloud-go/oos-20190601/v4/client"
	"github.com/alibabacloud-go/tea/dara"
	"github.com/google/go-cmp/cmp"
)

func TestKeysMayDoWhatTheirPoliciesSay(t *testing.T) {
	t.Parallel()
	onlyFile(t, "keys opens the file")
	data := newData(t)
	readOnly := createKey(t, data, "dashboard", "--read-only")
	team := createKeyWith(t, data, "运维组", `{"Version":"1","Statement":[
		{"Effect":"Allow","Action":"oos:*","Resource":"acs:oos:cn-hangzhou:*:chatconfiguration/team-*"},
		{"Effect":"Allow","Action":"ram:PassRole","Resource":"acs:ram::*:role/Role"},
		{"Effect":"Deny","Action":"oos:DeleteChatConfiguration","Resource":"*"}]}`)
	byTag := createKeyWith(t, data, "by-tag", `{"Version":"1","Statement":[
		{"Effect":"Allow","Action":"oos:GetChatConfiguration","Resource":"*","Condition":{"StringEquals":{"oos:tag/env":"prod"}}}]}`)
	elsewhere := createKeyWith(t, data, "elsewhere", `{"Version":"1","Statement":[
		{"Effect":"Allow","Action":"oos:*","Resource":"*","Condition":{"IpAddress":{"acs:SourceIp":"203.0.113.0/24"}}}]}`)
	stranger := createKey(t, data, "stranger", "--admin", "--account", "2000000000000000")
	s := serveOn(t, data)
	admin := s.client(t)
	create(t, admin, "ops")
	create(t, admin, "team-1")
	must(admin.TagResources(&oos.TagResourcesRequest{
		RegionId: dara.String("cn-hangzhou"), ResourceType: dara.String(resourceType),
		ResourceIds: ids("ops"), Tags: object{"env": "prod"},
	}))(t)

	get := func(key accessKey, name string) error {
		_, err := s.clientOf(t, key).GetChatConfiguration(&oos.GetChatConfigurationRequest{Name: dara.String(name)})
		return err
	}
	update := func(key accessKey, name string) error {
		_, err := s.clientOf(t, key).UpdateChatConfiguration(&oos.UpdateChatConfigurationRequest{
			Name: dara.String(name), RamRole: dara.String("Role")})
		return err
	}
	remove := func(key accessKey, name string) error {
		_, err := s.clientOf(t, key).DeleteChatConfiguration(
			&oos.DeleteChatConfigurationRequest{Name: dara.String(name)})
		return err
	}
	list := func(key accessKey) error {
		_, err := s.clientOf(t, key).ListChatConfigurations(&oos.ListChatConfigurationsRequest{})
		return err
	}
	for _, c := range []struct {
		name                 string
		err                  error
		action, denied, user string // the denial; none if all are empty
	}{
		{"a read-only key gets", get(readOnly, "ops"), "", "", ""},
		{"a read-only key lists", list(readOnly), "", "", ""},
		{"a read-only key updates", update(readOnly, "ops"), "oos:UpdateChatConfiguration",
			"ImplicitDeny", "dashboard"},
		{"a read-only key deletes", remove(readOnly, "ops"), "oos:DeleteChatConfiguration",
			"ImplicitDeny", "dashboard"},
		{"a team gets its own", get(team, "team-1"), "", "", ""},
		{"a team updates its own", update(team, "team-1"), "", "", ""},
		{"a team gets another's", get(team, "ops"), "oos:GetChatConfiguration", "ImplicitDeny", "运维组"},
		{"a team gets what is not there, and does not learn it", get(team, "nobody"),
			"oos:GetChatConfiguration", "ImplicitDeny", "运维组"},
		{"a team lists everything", list(team), "oos:ListChatConfigurations", "ImplicitDeny", "运维组"},
		{"a team deletes what it may do everything to but delete", remove(team, "team-1"),
			"oos:DeleteChatConfiguration", "ExplicitDeny", "运维组"},
		{"a key by tag gets what has the tag", get(byTag, "ops"), "", "", ""},
		{"a key by tag gets what has not", get(byTag, "team-1"), "oos:GetChatConfiguration", "ImplicitDeny", "by-tag"},
		{"a key of another network", get(elsewhere, "ops"), "oos:GetChatConfiguration", "ImplicitDeny", "elsewhere"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.action == "" {
				if c.err != nil {
					t.Error(c.err)
				}
				return
			}
			e := wantSDKError(t, c.err, http.StatusForbidden, "NoPermission")
			want := map[string]any{
				"AuthAction":               c.action,
				"AuthPrincipalType":        "AccessKey",
				"AuthPrincipalOwnerId":     "1000000000000000",
				"AuthPrincipalDisplayName": c.user,
				"NoPermissionType":         c.denied,
				"PolicyType":               "AccountLevelIdentityBasedPolicy",
			}
			if diff := cmp.Diff(want, e.AccessDeniedDetail); diff != "" {
				t.Errorf("AccessDeniedDetail (-want +got):\n%s", diff)
			}
		})
	}

	t.Run("another account has names of its own", func(t *testing.T) {
		wantSDKError(t, get(stranger, "ops"), http.StatusNotFound, "EntityNotExists.ChatConfiguration")
		create(t, s.clientOf(t, stranger), "ops")
		if err := remove(stranger, "ops"); err != nil {
			t.Error(err)
		}
		if err := get(s.key, "ops"); err != nil {
			t.Error(err)
		}
	})
}

// Whoever reads does not see the secrets in Outputs: neither a read-only key, nor one that rotates,
// by any action. The shape is the same.
func TestOutputsAreRevealedByAPermissionOfTheirOwn(t *testing.T) {
	t.Parallel()
	onlyFile(t, "keys opens the file")
	data := newData(t)
	const allow = `{"Version":"1","Statement":[{"Effect":"Allow","Resource":"*","Action":[`
	readOnly := createKey(t, data, "dashboard", "--read-only")
	pattern := createKeyWith(t, data, "pattern", allow+`"oos:Get*","oos:List*"]}]}`)
	rotator := createKeyWith(t, data, "rotator", allow+`"oos:Get*","oos:List*","oos:RotateChatWebhook"]}]}`)
	revealer := createKeyWith(t, data, "revealer", allow+
		`"oos:Get*","oos:List*","oos:RotateChatWebhook","oos:RevealChatConfigurationOutputs"]}]}`)
	admin := createKey(t, data, "second admin", "--admin")
	s := serveOn(t, data)
	s.send(t, newACS3(s.key, "CreateChatConfiguration", "Name", "ops", "Type", "WeCom",
		"Configuration", `{"WeChatCorpId":"ww","WeChatAgentId":"1","WeChatSecret":"not-a-real-secret"}`)).ok(t, nil)

	type outputs struct{ URL, Token, AesKey, Setup string }
	read := func(text string) (o outputs) {
		t.Helper()
		if err := json.Unmarshal([]byte(text), &o); err != nil {
			t.Fatalf("Outputs %q: %v", text, err)
		}
		return o
	}
	for about, c := range map[string]struct {
		key     accessKey
		rotates bool
		reveals bool
	}{
		"a read-only key":        {readOnly, false, false},
		"oos:Get* and oos:List*": {pattern, false, false},
		"a key that rotates":     {rotator, true, false},
		"a key that reveals":     {revealer, true, true},
		"an administrator's":     {admin, true, true},
		"the first key":          {s.key, true, true},
	} {
		var got, rotated struct{ ChatConfiguration struct{ Outputs string } }
		var list struct{ ChatConfigurations []struct{ Outputs string } }
		all := map[string]outputs{}
		s.send(t, newACS3(c.key, "GetChatConfiguration", "Name", "ops")).ok(t, &got)
		all["Get"] = read(got.ChatConfiguration.Outputs)
		s.send(t, newV1(c.key, "ListChatConfigurations")).ok(t, &list)
		all["List"] = read(list.ChatConfigurations[0].Outputs)
		if c.rotates {
			s.send(t, newACS3(c.key, "RotateChatWebhook", "Name", "ops")).ok(t, &rotated)
			all["Rotate"] = read(rotated.ChatConfiguration.Outputs)
		}
		for action, o := range all {
			masked := "http://" + s.endpoint + "/webhook/1000000000000000/cn-hangzhou/ops/******"
			if c.reveals != (o.URL != masked) || c.reveals != (o.Token != "******") ||
				c.reveals != (o.AesKey != "******") || o.AesKey == "" || o.Token == "" {
				t.Errorf("%s: %s shows %+v", about, action, o)
			}
			if action != "List" && !strings.Contains(o.Setup, o.URL) {
				t.Errorf("%s: %s, Setup = %s", about, action, o.Setup)
			}
		}
	}
}

// One change takes all the permissions of what it does, and an action that speaks as anybody one
// that names it.
func TestOneChangeTakesSeveralPermissions(t *testing.T) {
	t.Parallel()
	onlyFile(t, "keys opens the file")
	data := newData(t)
	plain := createKeyWith(t, data, "plain", `{"Version":"1","Statement":[
		{"Effect":"Allow","Action":"oos:*","Resource":"*"},
		{"Effect":"Deny","Action":["oos:TagResources","oos:ChangeResourceGroup"],"Resource":"*"}]}`)
	short := createKeyWith(t, data, "short names", `{"Version":"1","Statement":[
		{"Effect":"Allow","Action":"oos:*","Resource":"acs:oos:*:*:chatconfiguration/?"}]}`)
	s := serveOn(t, data)
	create(t, s.client(t), "ops")
	refused := func(about string, key accessKey, action string, actions []string, pairs ...string) {
		t.Helper()
		a := s.send(t, newACS3(key, action, pairs...))
		var e struct{ Code, Message string }
		if err := json.Unmarshal(a.body, &e); err != nil || a.status != http.StatusForbidden ||
			e.Code != "NoPermission" {
			t.Errorf("%s: %d %s", about, a.status, a.body)
		}
		for _, action := range actions {
			if !strings.Contains(e.Message, action+" on acs:oos:") {
				t.Errorf("%s: %q does not name %s", about, e.Message, action)
			}
		}
	}
	const slack = `{"SlackSigningSecret":"not-a-real-secret"}`
	passed := s.send(t, newACS3(plain, "CreateChatConfiguration", "Name", "new", "Type", "Slack", "RamRole", "Role",
		"Configuration", slack))
	if want := "may not perform ram:PassRole on acs:ram::1000000000000000:role/Role (for RamRole). To let this " +
		"access key pass it, run 'chatconf keys update " + plain.ID + " --pass-role Role'."; passed.status !=
		http.StatusForbidden || !strings.Contains(string(passed.body), want) {
		t.Errorf("create with a role: %d %s", passed.status, passed.body)
	}
	refused("create", plain, "CreateChatConfiguration", []string{"oos:TagResources", "oos:ChangeResourceGroup"},
		"Name", "new", "Type", "Slack", "Configuration", slack, "Tags", `{"env":"prod"}`, "ResourceGroupId", "rg-new")
	refused("update", plain, "UpdateChatConfiguration", []string{"oos:ChangeResourceGroup"}, "Name",
		"ops", "ResourceGroupId", "rg-new")
	refused("send", plain, "SendChatMessage", []string{"oos:SendChatMessage"}, "Name",
		"ops", "UserId", "u", "Text", "help")
	refused("list", short, "ListChatConfigurations", []string{"oos:ListChatConfigurations"})
	s.send(t, newACS3(plain, "CreateChatConfiguration", "Name", "new", "Type", "Slack",
		"Configuration", slack)).ok(t, nil)
	s.send(t, newACS3(plain, "UpdateChatConfiguration", "Name", "new", "Status", "Inactive")).ok(t, nil)
	s.send(t, newACS3(short, "CreateChatConfiguration", "Name", "a", "Type", "Slack",
		"Configuration", slack)).ok(t, nil)
	s.send(t, newACS3(s.key, "SendChatMessage", "Name", "ops", "UserId", "u", "Text", "help")).ok(t, nil)
}

package e2e_test

import (
	"net/http"
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
		RegionId: dara.String("cn-hangzhou"), ResourceType: dara.String(resourceType), ResourceIds: ids("ops"), Tags: object{"env": "prod"},
	}))(t)

	get := func(key accessKey, name string) error {
		_, err := s.clientOf(t, key).GetChatConfiguration(&oos.GetChatConfigurationRequest{Name: dara.String(name)})
		return err
	}
	update := func(key accessKey, name string) error {
		_, err := s.clientOf(t, key).UpdateChatConfiguration(&oos.UpdateChatConfigurationRequest{Name: dara.String(name), RamRole: dara.String("Role")})
		return err
	}
	remove := func(key accessKey, name string) error {
		_, err := s.clientOf(t, key).DeleteChatConfiguration(&oos.DeleteChatConfigurationRequest{Name: dara.String(name)})
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
		{"a read-only key updates", update(readOnly, "ops"), "oos:UpdateChatConfiguration", "ImplicitDeny", "dashboard"},
		{"a read-only key deletes", remove(readOnly, "ops"), "oos:DeleteChatConfiguration", "ImplicitDeny", "dashboard"},
		{"a team gets its own", get(team, "team-1"), "", "", ""},
		{"a team updates its own", update(team, "team-1"), "", "", ""},
		{"a team gets another's", get(team, "ops"), "oos:GetChatConfiguration", "ImplicitDeny", "运维组"},
		{"a team gets what is not there, and does not learn it", get(team, "nobody"), "oos:GetChatConfiguration", "ImplicitDeny", "运维组"},
		{"a team lists everything", list(team), "oos:ListChatConfigurations", "ImplicitDeny", "运维组"},
		{"a team deletes what it may do everything to but delete", remove(team, "team-1"), "oos:DeleteChatConfiguration", "ExplicitDeny", "运维组"},
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

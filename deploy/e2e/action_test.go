package e2e_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/client"
	oos "github.com/alibabacloud-go/oos-20190601/v4/client"
	"github.com/alibabacloud-go/tea/dara"
	"github.com/google/go-cmp/cmp"
)

// actionSecrets are the secrets of two actions with Http targets.
var actionSecrets = map[string]string{
	"restart": "whsec_YWN0aW9uLW9uZS1ub3QtcmVhbC0zMi1ieXRlcy0=",
	"重启.now":  "YWN0aW9uLXR3by1ub3QtcmVhbC0zMi1ieXRlcy0=",
}

// withActions returns a Configuration whose actions have these secrets.
func withActions(secretOf func(action string) string) object {
	http := func(action string) object {
		return object{"Type": "Http", "Url": "https://hooks.example.com/run?x=1", "Secret": secretOf(action)}
	}
	return object{
		"SlackSigningSecret": "******",
		"StrictActions":      "true",
		"Actions": object{
			"restart": object{
				"Summary": hardText, "Aliases": []any{"重启", "reboot"}, "Target": http("restart"), "DryRun": "true",
				"TimeoutSeconds": json.Number("40"), "RamRole": "OpsRestart",
				"Parameters": []any{
					object{"Name": "instance", "Required": "true", "Pattern": `i-[a-z0-9+%&=]{1,20}`},
					object{"Name": "env", "Type": "Enum", "Values": []any{"test", "prod"}, "Default": "test"},
					object{"Name": "count", "Type": "Integer", "Min": json.Number("1"), "Max": json.Number("9")},
					object{"Name": "password", "Secret": "true"},
				},
			},
			"重启.now": object{"Target": http("重启.now")},
			"scale":  object{"Target": object{"Type": "Oos", "TemplateName": "Scale", "Parameters": object{"n": "1"}}},
		},
		"Permissions": []any{object{"Effect": "Allow", "Principals": []any{"user:alice"},
			"Commands": []any{"restart"}, "Parameters": object{"env": []any{"te*"}}}},
	}
}

// TestActionsThroughTheSDK saves actions with the official client, reads them, sends back what was
// read, and asks what messages mean. All mistakes of a Configuration come in one error.
func TestActionsThroughTheSDK(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for _, dialect := range dialects {
		client := s.client(t, func(c *openapi.Config) { c.SignatureAlgorithm = dialect.algorithm })
		name := "actions-" + dialect.name
		given := withActions(func(action string) string { return actionSecrets[action] })
		given["SlackSigningSecret"] = "not-a-real-secret"
		must(client.CreateChatConfiguration(&oos.CreateChatConfigurationRequest{Name: dara.String(name),
			Type: dara.String("Slack"), Configuration: dara.String(jsonText(given))}))(t)
		masked := withActions(func(string) string { return "******" })
		read := func() string {
			text := dara.StringValue(get(t, client, name).Body.ChatConfiguration.Configuration)
			var got object
			decoder := json.NewDecoder(strings.NewReader(text))
			decoder.UseNumber()
			if err := decoder.Decode(&got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(masked, got); diff != "" {
				t.Errorf("%s: read (-want +got):\n%s", dialect.name, diff)
			}
			return text
		}
		must(client.UpdateChatConfiguration(&oos.UpdateChatConfigurationRequest{Name: dara.String(name),
			Configuration: dara.String(read())}))(t)
		read()

		b := &bot{s: s, name: name}
		for text, want := range map[string]struct {
			action, parameters, problem string
			allowed, dryRun             bool
		}{
			"restart i-1": {"restart", `{"instance":"i-1","env":"test"}`, "", true, false},
			"重启 --password=hunter22 i-2 count=3 --dry-run": {"restart",
				`{"instance":"i-2","env":"test","count":3,"password":"******"}`, "", true, true},
			"restart i-1 env=prod": {"restart", `{"instance":"i-1","env":"prod"}`, "", false, false},
			"restart i-1 env=tset": {"restart", "", "test", false, false},
			"whatever":             {"", "", " ", false, false},
		} {
			got := b.simulate(t, "alice", "c1", text).Permission
			role := ""
			if want.allowed {
				role = "OpsRestart"
			}
			if got.Action != want.action || string(got.Parameters) != want.parameters || got.DryRun != want.dryRun ||
				got.Allowed != want.allowed || got.RamRole != role || !strings.Contains(got.Problem, want.problem) {
				t.Errorf("%s: %q means %+v (%s), want %+v", dialect.name, text, got, got.Parameters, want)
			}
		}

		wrong := withActions(func(string) string { return "short" })
		wrong["Actions"].(object)["reboot"] = object{"DryRn": "true"}
		_, err := client.CreateChatConfiguration(&oos.CreateChatConfigurationRequest{Name: dara.String("wrong"),
			Type: dara.String("Slack"), Configuration: dara.String(jsonText(wrong))})
		message := dara.StringValue(wantSDKError(t, err, http.StatusBadRequest,
			"InvalidParameter.Configuration").Message)
		for _, path := range []string{"SlackSigningSecret", "Actions.restart.Target.Secret",
			"Actions.restart.Aliases[1]", "Actions.reboot.DryRn", `Actions["重启.now"].Target.Secret`} {
			if !strings.Contains(message, "Configuration."+path+": ") {
				t.Errorf("%s: the error lacks %s: %s", dialect.name, path, message)
			}
		}
	}
}

// TestRolesOfActionsNeedPassRole saves the role of an action with a key that may not pass it.
func TestRolesOfActionsNeedPassRole(t *testing.T) {
	t.Parallel()
	onlyFile(t, "keys opens the file")
	data := newData(t)
	team := createKeyWith(t, data, "team", `{"Version":"1","Statement":[
		{"Effect":"Allow","Action":"oos:*","Resource":"*"},
		{"Effect":"Allow","Action":"ram:PassRole","Resource":"acs:ram::*:role/Dev*"}]}`)
	s := serveOn(t, data)
	client := s.clientOf(t, team)
	save := func(role string) error {
		_, err := client.CreateChatConfiguration(&oos.CreateChatConfigurationRequest{
			Name: dara.String("role-" + role), Type: dara.String("Slack"), Configuration: dara.String(jsonText(object{
				"SlackSigningSecret": "not-a-real-secret", "Actions": object{"restart": object{"RamRole": role}}}))})
		return err
	}
	if err := save("DevRestart"); err != nil {
		t.Error(err)
	}
	e := wantSDKError(t, save("OpsRestart"), http.StatusForbidden, "NoPermission")
	if message := dara.StringValue(e.Message); !strings.Contains(message, "ram:PassRole on "+
		"acs:ram::1000000000000000:role/OpsRestart (for Configuration.Actions.restart.RamRole)") {
		t.Error(message)
	}
}

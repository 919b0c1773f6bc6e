package e2e_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"strings"
	"testing"

	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/client"
	oos "github.com/alibabacloud-go/oos-20190601/v4/client"
	"github.com/alibabacloud-go/tea/dara"
)

// hard is what percent-encoding and signatures get wrong most often; it may stand in a secret.
const hard = `a+b*c~d/e=f&g%h%20i?j#k"l\m<n>;o`

// hardText is the same for free text, which may also have blanks and every script.
const hardText = "钉钉机器人 + * ~ / = & % %2B 🤖 é\u00a0\"\\<>"

// platforms has a Configuration of each type, with every key that it may have.
var platforms = []struct {
	typ     string
	plain   object
	secrets map[string]string
}{
	{
		"DingTalk",
		object{"DingTalkClientId": "ding" + hard, "DingTalkTemplateId": "381c5aee-f8af-48a4-94be-cce587e42ea4.schema",
			"DingTalkRobotCode": "robot/1"},
		map[string]string{"DingTalkClientSecret": hard, "DingTalkToken": "token123",
			"DingTalkEncodingAesKey": strings.Repeat("a1Z", 14) + "x"},
	},
	{
		"WeChat",
		object{"WeChatCorpId": "ww" + hard, "WeChatAgentId": "1000002"},
		map[string]string{"WeChatSecret": hard, "WeChatToken": "token456",
			"WeChatEncodingAesKey": strings.Repeat("b2Y", 14) + "y"},
	},
	{
		"Feishu",
		object{"FeishuAppId": "cli_" + hard, "FeishuDomain": "lark"},
		map[string]string{"FeishuAppSecret": hard, "FeishuEncryptKey": hard + "2",
			"FeishuVerificationToken": hard + "3"},
	},
	{
		"Slack",
		object{"SlackTeamId": "T0123456789"},
		map[string]string{"SlackSigningSecret": hard, "SlackBotToken": "xoxb-" + hard},
	},
	{
		"Teams",
		object{"TeamsTenantId": "00000000-0000-0000-0000-000000000000"},
		map[string]string{"TeamsWebhookSecret": "bm90LWEtcmVhbC1zZWNyZXQ+Pz8/"},
	},
}

// common are the keys that every type has.
func common() object {
	return object{
		"BotName":         hardText,
		"ConversationIds": []any{"cid+/=", "会话"},
		"UserGroups":      object{"sre": []any{"manager4220"}},
		"Permissions": []any{object{"Effect": "Allow", "Principals": []any{"group:sre"},
			"Commands": []any{"restart", "scale-*"}, "RamRole": "OpsRole"}},
	}
}

func TestEveryTypeLivesItsLifeThroughTheSDK(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for _, dialect := range dialects {
		client := s.client(t, func(c *openapi.Config) { c.SignatureAlgorithm = dialect.algorithm })
		for _, p := range platforms {
			t.Run(dialect.name+"/"+p.typ, func(t *testing.T) {
				liveALife(t, s, client, "ops-"+dialect.name+"_"+
					p.typ, p.typ, p.plain, p.secrets)
			})
		}
	}
}

func liveALife(t *testing.T, s *service, client *oos.Client, name, typ string,
	plain object, secrets map[string]string) {
	given, seen := common(), common()
	maps.Copy(given, plain)
	maps.Copy(seen, plain)
	for key, secret := range secrets {
		given[key], seen[key] = secret, "******"
	}

	created := must(client.CreateChatConfiguration(&oos.CreateChatConfigurationRequest{
		RegionId:        dara.String("cn-hangzhou"),
		Name:            dara.String(name),
		Type:            dara.String(typ),
		RamRole:         dara.String("AliyunOOSDefaultRole"),
		Configuration:   dara.String(jsonText(given)),
		ResourceGroupId: dara.String("rg-acfmxh4em5jncda"),
	}))(t)
	if got := dara.StringValue(created.Body.ChatConfiguration.Name); got != name {
		t.Errorf("created name = %q, want %q", got, name)
	}
	wantDate(t, created.Body.ChatConfiguration.CreatedDate)
	wantDate(t, created.Body.ChatConfiguration.UpdatedDate)

	got := get(t, client, name).Body.ChatConfiguration
	wantJSON(t, got.Configuration, seen)
	wantEqual(t, "Name", got.Name, name)
	wantEqual(t, "Type", got.Type, typ)
	wantEqual(t, "RamRole", got.RamRole, "AliyunOOSDefaultRole")
	wantEqual(t, "ResourceGroupId", got.ResourceGroupId, "rg-acfmxh4em5jncda")
	wantEqual(t, "CreatedDate", got.CreatedDate, dara.StringValue(created.Body.ChatConfiguration.CreatedDate))
	outputs := dara.StringValue(got.Outputs)
	wantOutputs(t, s, outputs, name, secrets)

	// What was read is sent back, with another name of the bot.
	seen["BotName"] = "换了名字 + " + hardText
	updated := must(client.UpdateChatConfiguration(&oos.UpdateChatConfigurationRequest{
		Name:          dara.String(name),
		Configuration: dara.String(jsonText(seen)),
	}))(t)
	wantEqual(t, "CreatedDate", updated.Body.ChatConfiguration.CreatedDate, dara.StringValue(got.CreatedDate))
	got = get(t, client, name).Body.ChatConfiguration
	wantJSON(t, got.Configuration, seen)
	wantEqual(t, "Outputs", got.Outputs, outputs)
	wantEqual(t, "RamRole", got.RamRole, "AliyunOOSDefaultRole")

	// An empty parameter takes the role away, which an absent one does not.
	must(client.UpdateChatConfiguration(&oos.UpdateChatConfigurationRequest{
		Name:    dara.String(name),
		Type:    dara.String(typ),
		RamRole: dara.String(""),
	}))(t)
	wantEqual(t, "RamRole", get(t, client, name).Body.ChatConfiguration.RamRole, "")

	list := must(client.ListChatConfigurations(&oos.ListChatConfigurationsRequest{
		Filters: []*oos.ListChatConfigurationsRequestFilters{{Name: dara.String("name"), Value: dara.String(name)}},
	}))(t)
	if n := len(list.Body.ChatConfigurations); n != 1 {
		t.Fatalf("list has %d entries, want 1", n)
	}
	wantOutputs(t, s, dara.StringValue(list.Body.ChatConfigurations[0].Outputs), name, secrets)
	wantEqual(t, "Type in the list", list.Body.ChatConfigurations[0].Type, typ)

	deleted := must(client.DeleteChatConfiguration(&oos.DeleteChatConfigurationRequest{Name: dara.String(name)}))(t)
	wantEqual(t, "Content", deleted.Body.Content, "Chat configuration deleted successfully.")
	_, err := client.GetChatConfiguration(&oos.GetChatConfigurationRequest{Name: dara.String(name)})
	wantSDKError(t, err, http.StatusNotFound, "EntityNotExists.ChatConfiguration")
}

// wantOutputs asks for a webhook URL on the service itself, and for what WeCom's console asks for,
// masked, since it was given.
func wantOutputs(t *testing.T, s *service, outputs, name string, secrets map[string]string) {
	t.Helper()
	var all map[string]any
	if err := json.Unmarshal([]byte(outputs), &all); err != nil {
		t.Fatalf("Outputs %q: %v", outputs, err)
	}
	delete(all, "Setup") // which is for people, and not in a list
	got := make(map[string]string)
	for key, value := range all {
		got[key], _ = value.(string)
	}
	pattern := "^" + regexp.QuoteMeta("http://"+s.endpoint+"/webhook/1000000000000000/cn-hangzhou/"+name+"/") +
		`[A-Za-z0-9_-]{22,}$`
	if !regexp.MustCompile(pattern).MatchString(got["URL"]) {
		t.Errorf("Outputs.URL = %q, want %s", got["URL"], pattern)
	}
	delete(got, "URL")
	want := map[string]string{}
	if secrets["WeChatSecret"] != "" {
		want = map[string]string{"Token": "******", "AesKey": "******"}
	}
	if !maps.Equal(got, want) {
		t.Errorf("Outputs besides URL = %v, want %v", got, want)
	}
}

var date = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00$`)

func wantDate(t *testing.T, got *string) {
	t.Helper()
	if !date.MatchString(dara.StringValue(got)) {
		t.Errorf("date = %q, want one like 2025-12-11T13:49:10+00:00", dara.StringValue(got))
	}
}

func wantEqual(t *testing.T, what string, got *string, want string) {
	t.Helper()
	if dara.StringValue(got) != want {
		t.Errorf("%s = %q, want %q", what, dara.StringValue(got), want)
	}
}

func TestAliasesOfTypesAreStoredByTheirNames(t *testing.T) {
	t.Parallel()
	s := serve(t)
	client := s.client(t)
	for alias, want := range map[string]string{"WeCom": "WeChat", "Lark": "Feishu", "dingtalk": "DingTalk"} {
		var configuration string
		for _, p := range platforms {
			if p.typ == want {
				all := maps.Clone(p.plain)
				for key, secret := range p.secrets {
					all[key] = secret
				}
				configuration = jsonText(all)
			}
		}
		must(client.CreateChatConfiguration(&oos.CreateChatConfigurationRequest{
			Name:          dara.String(alias),
			Type:          dara.String(alias),
			Configuration: dara.String(configuration),
		}))(t)
		wantEqual(t, "Type of "+alias, get(t, client, alias).Body.ChatConfiguration.Type, want)
	}
}

func TestGeneratedSecretsOfWeComStay(t *testing.T) {
	t.Parallel()
	client := serve(t).client(t)
	configuration := `{"WeChatCorpId":"ww1","WeChatAgentId":1000002,"WeChatSecret":"not-a-real-secret"}`
	must(client.CreateChatConfiguration(&oos.CreateChatConfigurationRequest{
		Name:          dara.String("wecom"),
		Type:          dara.String("WeChat"),
		Configuration: dara.String(configuration),
	}))(t)
	first := get(t, client, "wecom").Body.ChatConfiguration
	var outputs map[string]string
	if err := json.Unmarshal([]byte(dara.StringValue(first.Outputs)), &outputs); err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^[A-Za-z0-9]{1,32}$`).MatchString(outputs["Token"]) ||
		!regexp.MustCompile(`^[A-Za-z0-9]{43}$`).MatchString(outputs["AesKey"]) {
		t.Errorf("Outputs = %v, want a Token of up to 32 letters and digits and an AesKey of 43", outputs)
	}
	for _, again := range []string{configuration, dara.StringValue(first.Configuration)} {
		must(client.UpdateChatConfiguration(&oos.UpdateChatConfigurationRequest{Name: dara.String("wecom"),
			Configuration: dara.String(again)}))(t)
		wantEqual(t, "Outputs", get(t, client, "wecom").Body.ChatConfiguration.Outputs, dara.StringValue(first.Outputs))
	}
}

func TestRegionsAreApart(t *testing.T) {
	t.Parallel()
	client := serve(t, "CHATCONF_REGION=cn-shanghai").client(t)
	for i, region := range []string{"cn-shanghai", "cn-beijing"} {
		must(client.CreateChatConfiguration(&oos.CreateChatConfigurationRequest{
			RegionId:      dara.String(region),
			Name:          dara.String("ops"),
			Type:          dara.String("DingTalk"),
			Configuration: dara.String(dingTalk(fmt.Sprint("bot ", i))),
		}))(t)
	}
	// The region that a request does not name is that of the settings.
	if got := dara.StringValue(get(t, client, "ops").Body.ChatConfiguration.Configuration); !strings.Contains(got,
		"bot 0") {
		t.Errorf("Configuration in the default region = %s, want that of bot 0", got)
	}
	must(client.DeleteChatConfiguration(&oos.DeleteChatConfigurationRequest{RegionId: dara.String("cn-beijing"),
		Name: dara.String("ops")}))(t)
	get(t, client, "ops")
	_, err := client.GetChatConfiguration(&oos.GetChatConfigurationRequest{RegionId: dara.String("cn-beijing"),
		Name: dara.String("ops")})
	wantSDKError(t, err, http.StatusNotFound, "EntityNotExists.ChatConfiguration")
	_, err = client.GetChatConfiguration(&oos.GetChatConfigurationRequest{RegionId: dara.String("Nowhere"),
		Name: dara.String("ops")})
	wantSDKError(t, err, http.StatusNotFound, "InvalidRegion.NotFound")
}

func TestIfMatchKeepsWhatSomebodyElseWrote(t *testing.T) {
	t.Parallel()
	client := serve(t).client(t)
	wantEqual(t, "ETag of create", create(t, client, "ops").Headers["etag"], `"1"`)
	rename := func(bot string, runtime *dara.RuntimeOptions) (*oos.UpdateChatConfigurationResponse, error) {
		return client.UpdateChatConfigurationWithOptions(&oos.UpdateChatConfigurationRequest{
			Name: dara.String("ops"),
			Configuration: dara.String(`{"DingTalkClientId":"dingexample","DingTalkClientSecret":"******","BotName":"` +
				bot + `"}`),
		}, runtime)
	}
	first := must(rename("first", extend(nil, headers{"If-Match": `"1"`})))(t)
	wantEqual(t, "ETag of update", first.Headers["etag"], `"2"`)

	for _, stale := range []*dara.RuntimeOptions{
		extend(nil, headers{"If-Match": `"1"`}),
		extend(nil, headers{"If-Match": "1"}),
		extend(queries{"Revision": "1"}, nil),
	} {
		_, err := rename("lost", stale)
		wantSDKError(t, err, http.StatusConflict, "OperationConflict")
	}
	_, err := client.DeleteChatConfigurationWithOptions(&oos.DeleteChatConfigurationRequest{Name: dara.String("ops")},
		extend(nil, headers{"If-Match": `"1"`}))
	wantSDKError(t, err, http.StatusConflict, "OperationConflict")
	_, err = rename("lost", extend(nil, headers{"If-Match": "first"}))
	wantSDKError(t, err, http.StatusBadRequest, "InvalidParameter.If-Match")

	got := get(t, client, "ops")
	wantEqual(t, "ETag of get", got.Headers["etag"], `"2"`)
	wantJSON(t, got.Body.ChatConfiguration.Configuration, object{"DingTalkClientId": "dingexample",
		"DingTalkClientSecret": "******", "BotName": "first"})

	must(rename("second", extend(nil, headers{"If-Match": "2"})))(t)
	must(rename("third", extend(queries{"Revision": "3"}, nil)))(t)
	must(rename("fourth", extend(nil, headers{"If-Match": "*"})))(t)
	must(client.DeleteChatConfigurationWithOptions(&oos.DeleteChatConfigurationRequest{Name: dara.String("ops")},
		extend(nil, headers{"If-Match": `"5"`})))(t)

	// A second life of the name goes on counting, so that no old ETag fits it.
	wantEqual(t, "ETag of a second life", create(t, client, "ops").Headers["etag"], `"7"`)
}

func TestClientTokenRepeatsTheFirstAnswer(t *testing.T) {
	t.Parallel()
	s := serve(t)
	client := s.client(t)
	createAs := func(client *oos.Client, name, bot, token string) (*oos.CreateChatConfigurationResponse, error) {
		return client.CreateChatConfigurationWithOptions(&oos.CreateChatConfigurationRequest{
			Name:          dara.String(name),
			Type:          dara.String("DingTalk"),
			Configuration: dara.String(dingTalk(bot)),
		}, extend(queries{"ClientToken": token}, nil))
	}
	token := "tok-1+/=~*&%"
	first := must(createAs(client, "ops", "bot", token))(t)
	for range 2 {
		again := must(createAs(client, "ops", "bot", token))(t)
		wantEqual(t, "CreatedDate", again.Body.ChatConfiguration.CreatedDate,
			dara.StringValue(first.Body.ChatConfiguration.CreatedDate))
		wantEqual(t, "ETag", again.Headers["etag"], `"1"`)
		if dara.StringValue(again.Body.RequestId) == dara.StringValue(first.Body.RequestId) {
			t.Error("a repeated request has the request id of the first")
		}
	}
	_, err := createAs(client, "ops", "another bot", token)
	wantSDKError(t, err, http.StatusBadRequest, "IdempotentParameterMismatch")
	_, err = createAs(client, "ops", "bot", "another token")
	wantSDKError(t, err, http.StatusBadRequest, "InvalidParameter.ClientToken") // it has a blank
	_, err = createAs(client, "ops", "bot", "tok-2")
	wantSDKError(t, err, http.StatusConflict, "EntityAlreadyExists.ChatConfiguration")

	update := func(client *oos.Client, role string) (*oos.UpdateChatConfigurationResponse, error) {
		return client.UpdateChatConfigurationWithOptions(&oos.UpdateChatConfigurationRequest{
			Name:    dara.String("ops"),
			RamRole: dara.String(role),
		}, extend(queries{"ClientToken": "tok-3"}, headers{"If-Match": `"1"`}))
	}
	for range 2 { // the second time the If-Match would be stale
		wantEqual(t, "ETag", must(update(client, "Role1"))(t).Headers["etag"], `"2"`)
	}
	_, err = update(client, "Role2")
	wantSDKError(t, err, http.StatusBadRequest, "IdempotentParameterMismatch")

	s.kill()
	s = s.restart()
	client = s.client(t)
	wantEqual(t, "ETag after kill -9", must(update(client, "Role1"))(t).Headers["etag"], `"2"`)
	remove := func(token string) (*oos.DeleteChatConfigurationResponse, error) {
		return client.DeleteChatConfigurationWithOptions(&oos.DeleteChatConfigurationRequest{Name: dara.String("ops")},
			extend(queries{"ClientToken": token}, nil))
	}
	for range 2 {
		wantEqual(t, "Content", must(remove("tok-4"))(t).Body.Content, "Chat configuration deleted successfully.")
	}
	_, err = remove("tok-5")
	wantSDKError(t, err, http.StatusNotFound, "EntityNotExists.ChatConfiguration")
	// The first create is still answered as it was, though what it made is gone.
	wantEqual(t, "ETag", must(createAs(client, "ops", "bot", token))(t).Headers["etag"], `"1"`)
}

// The MAC that a ClientToken is kept with covers every parameter, so the answer is repeated only if
// each way to send them was decoded to the very same bytes.
func TestEveryWayToSendParametersMeansTheSame(t *testing.T) {
	t.Parallel()
	s := serve(t)
	secrets := object{"DingTalkClientId": "ding", "DingTalkClientSecret": hard, "BotName": hardText}
	pairs := []string{
		"Name", "ops",
		"Type", "DingTalk",
		"Configuration", jsonText(secrets),
		"Tags", `{"环境 +*~":"生产/=&%"}`,
		"Status", "Inactive",
		"ClientToken", "one+/=~*token",
	}
	must(s.client(t).CreateChatConfigurationWithOptions(&oos.CreateChatConfigurationRequest{
		Name:          dara.String("ops"),
		Type:          dara.String("DingTalk"),
		Configuration: dara.String(jsonText(secrets)),
	}, extend(queries{"Tags": pairs[7], "Status": "Inactive", "ClientToken": pairs[11]}, nil)))(t)

	v1Form := newV1(s.key, "CreateChatConfiguration", pairs...)
	v1Form.form = true
	blank := newV1(s.key, "CreateChatConfiguration", append(pairs, "SignatureType", "")...)
	chunked := newACS3(s.key, "CreateChatConfiguration", pairs...).inForm()
	chunked.chunked = true
	flat := newV1(s.key, "CreateChatConfiguration", pairs...)
	delete(flat.params, "Tags")
	flat.params["Tags.1.Key"], flat.params["Tags.1.Value"] = "环境 +*~", "生产/=&%"
	for _, way := range []struct {
		name string
		signed
	}{
		{"V1 in the URL", newV1(s.key, "CreateChatConfiguration", pairs...)},
		{"V1 as a form", v1Form},
		{"V1 with a blank SignatureType", blank},
		{"V1 with flattened tags", flat},
		{"ACS3 in the URL", newACS3(s.key, "CreateChatConfiguration", pairs...)},
		{"ACS3 as a form", newACS3(s.key, "CreateChatConfiguration", pairs...).inForm()},
		{"ACS3 as a chunked form", chunked},
		{"ACS3 as JSON", newACS3(s.key, "CreateChatConfiguration", pairs...).inJSON()},
	} {
		t.Run(way.name, func(t *testing.T) {
			a := s.send(t, way)
			a.ok(t, nil)
			if got, want := a.header.Get("ETag"), `"1"`; got != want {
				t.Errorf("ETag = %s, want %s", got, want)
			}
		})
	}
	s.send(t, newV1(s.key, "CreateChatConfiguration", append(pairs, "RamRole", "Other")...)).wantFault(t,
		http.StatusBadRequest, "IdempotentParameterMismatch")
}

package e2e_test

import (
	"encoding/xml"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A shown is a configuration as a raw Get answers it.
type shown struct {
	ChatConfiguration struct {
		Name, Type, RamRole, Configuration, ResourceGroupId, CreatedDate, UpdatedDate, Outputs, Status string
		Tags                                                                                           map[string]string
		Revision                                                                                       int
	}
}

func TestEveryDialectReadsTheSame(t *testing.T) {
	t.Parallel()
	s := serve(t)
	configuration := jsonText(object{"DingTalkClientId": "ding", "DingTalkClientSecret": hard, "BotName": hardText})
	s.send(t, newACS3(s.key, "CreateChatConfiguration",
		"Name", "ops", "Type", "DingTalk", "RamRole", "OpsRole", "Configuration", configuration, "Tags",
		`{"环境":"生产 +*~"}`).inForm()).ok(t, nil)
	var want shown
	s.send(t, newACS3(s.key, "GetChatConfiguration", "Name", "ops")).ok(t, &want)
	if c := want.ChatConfiguration; c.Status != "Active" || c.Revision != 1 || c.Tags["环境"] != "生产 +*~" {
		t.Errorf("what was read is %+v", c)
	}
	wantJSON(t, &want.ChatConfiguration.Configuration, object{"DingTalkClientId": "ding",
		"DingTalkClientSecret": "******", "BotName": hardText})

	byGet := func(v *v1) { v.method = http.MethodGet }
	asForm := func(v *v1) { v.form = true }
	const action = "GetChatConfiguration"
	for _, c := range []struct {
		name string
		signed
	}{
		{"V1 GET", edited(newV1(s.key, action, "Name", "ops"), byGet)},
		{"V1 GET as the CLI sends it with --force", edited(newV1(s.key, action, "Name", "ops", "SignatureType", "",
			"RegionId", "cn-hangzhou"), byGet)},
		{"V1 GET with format in lower case", edited(newV1(s.key, action, "Name", "ops", "Format", "json"), byGet)},
		{"V1 GET without a format", edited(newV1(s.key, action, "Name", "ops"),
			func(v *v1) { byGet(v); delete(v.params, "Format") })},
		{"V1 POST with everything in the URL", newV1(s.key, action, "Name", "ops")},
		{"V1 POST as the CLI sends it", newV1(s.key, action, "Name", "ops", "SignatureType", "")},
		{"V1 POST of a form", edited(newV1(s.key, action, "Name", "ops"), asForm)},
		{"V1 POST of a form with a blank SignatureType",
			edited(newV1(s.key, action, "Name", "ops", "SignatureType", ""), asForm)},
		{"ACS3 GET", edited(newACS3(s.key, action, "Name", "ops"), func(a *acs3) { a.method = http.MethodGet })},
		{"ACS3 POST of a form", newACS3(s.key, action, "Name", "ops").inForm()},
		{"ACS3 POST of a chunked form", edited(newACS3(s.key, action, "Name", "ops").inForm(),
			func(a *acs3) { a.chunked = true })},
		{"ACS3 POST of JSON", newACS3(s.key, action, "Name", "ops").inJSON()},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got shown
			a := s.send(t, c)
			a.ok(t, &got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("answer differs (-want +got):\n%s", diff)
			}
			if got, want := a.header.Get("Content-Type"), "application/json;charset=utf-8"; got != want {
				t.Errorf("content type = %q, want %q", got, want)
			}
		})
	}
}

func TestJSONBodiesMayHoldListsAndObjects(t *testing.T) {
	t.Parallel()
	s := serve(t)
	post := func(action, body string) answer {
		return s.send(t, edited(newACS3(s.key, action), func(a *acs3) {
			a.body, a.kind = body,
				"application/json; charset=utf-8"
		}))
	}
	post("CreateChatConfiguration", `{
		"Name": "ops", "Type": "DingTalk", "RamRole": null,
		"Configuration": {"DingTalkClientId": "ding", "DingTalkClientSecret": "not-a-real-secret", "BotName": "机器人"},
		"Tags": {"env": "prod"}}`).ok(t, nil)
	post("UpdateChatConfiguration", `{"Name": "ops", "Revision": 1, "Status": "Inactive"}`).ok(t, nil)
	var list struct {
		ChatConfigurations []struct{ Name, Status string }
	}
	post("ListChatConfigurations", `{"MaxResults": 10, "Filters": [{"Name": "tag:env", "Value": "prod"}, {"Name": `+
		`"Status", "Value": "Inactive"}]}`).ok(t, &list)
	if len(list.ChatConfigurations) != 1 || list.ChatConfigurations[0].Name != "ops" {
		t.Errorf("list = %+v, want ops", list)
	}
	post("UntagResources", `{"ResourceType": "chatconfiguration", "ResourceIds": ["ops"], "All": true}`).ok(t, nil)
}

func TestEveryStringOfTheAPIIsAString(t *testing.T) {
	t.Parallel()
	s := serve(t)
	create(t, s.client(t), "ops")
	var body struct{ ChatConfiguration map[string]any }
	s.send(t, newACS3(s.key, "GetChatConfiguration", "Name", "ops")).ok(t, &body)
	for _, name := range []string{"Name", "Type", "RamRole", "Configuration", "ResourceGroupId",
		"CreatedDate", "UpdatedDate", "Outputs"} {
		if _, ok := body.ChatConfiguration[name].(string); !ok {
			t.Errorf("%s is %T, want a string, also when it is empty", name, body.ChatConfiguration[name])
		}
	}
}

func TestXML(t *testing.T) {
	t.Parallel()
	s := serve(t)
	configuration := jsonText(object{"DingTalkClientId": "ding", "DingTalkClientSecret": hard, "BotName": hardText})
	s.send(t, newV1(s.key, "CreateChatConfiguration", "Name", "ops", "Type", "DingTalk", "Configuration", configuration,
		"Tags", `{"a":"<b>","环 境":"& c"}`)).ok(t, nil)
	create(t, s.client(t), "ops-2")
	asXML := func(action string, pairs ...string) answer {
		t.Helper()
		a := s.send(t, newV1(s.key, action, append(pairs, "Format", "XML")...))
		// The SDK switches on exactly this.
		if got, want := a.header.Get("Content-Type"), "text/xml;charset=utf-8"; got != want {
			t.Errorf("content type = %q, want %q", got, want)
		}
		var root struct {
			RequestId string
		}
		if err := xml.Unmarshal(a.body, &root); err != nil {
			t.Fatalf("%s: %v", a.body, err)
		}
		a.checkRequestID(t, root.RequestId)
		return a
	}

	var got struct {
		XMLName           xml.Name
		ChatConfiguration struct{ Name, Type, Configuration, Outputs, CreatedDate, Status string }
	}
	a := asXML("GetChatConfiguration", "Name", "ops")
	if err := xml.Unmarshal(a.body, &got); err != nil || a.status != http.StatusOK {
		t.Fatalf("%d %s: %v", a.status, a.body, err)
	}
	if got.XMLName.Local != "GetChatConfigurationResponse" || got.ChatConfiguration.Name != "ops" ||
		got.ChatConfiguration.Type != "DingTalk" {
		t.Errorf("answer = %s", a.body)
	}
	wantDate(t, &got.ChatConfiguration.CreatedDate)
	wantJSON(t, &got.ChatConfiguration.Configuration, object{"DingTalkClientId": "ding",
		"DingTalkClientSecret": "******", "BotName": hardText})

	var list struct {
		ChatConfigurations []struct{ Name string }
		TotalCount         int
	}
	a = asXML("ListChatConfigurations")
	if err := xml.Unmarshal(a.body, &list); err != nil || len(list.ChatConfigurations) != 2 ||
		list.ChatConfigurations[1].Name != "ops-2" || list.TotalCount != 2 {
		t.Errorf("list = %s: %v", a.body, err)
	}

	var fault struct {
		XMLName                                     xml.Name
		RequestId, HostId, Code, Message, Recommend string
	}
	for name, a := range map[string]answer{
		"EntityNotExists.ChatConfiguration": asXML("GetChatConfiguration", "Name", "nobody"),
		"MissingParameter.Name":             asXML("DeleteChatConfiguration"),
		"InvalidApi.NotFound":               asXML("ExplodeChatConfiguration"),
	} {
		if err := xml.Unmarshal(a.body, &fault); err != nil {
			t.Fatalf("%s: %v", a.body, err)
		}
		if fault.XMLName.Local != "Error" || fault.Code != name || fault.HostId != s.endpoint ||
			fault.Message == "" || fault.Recommend == "" {
			t.Errorf("error = %s, want an Error of code %s", a.body, name)
		}
	}
}

func TestWhatNeedsNoSignature(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for path, want := range map[string]string{"/": "chatconf", "/healthz": "ok"} {
		a := do(t, newRequest(t, http.MethodGet, "http://"+s.endpoint+path, "", ""))
		if a.status != http.StatusOK || !strings.Contains(string(a.body), want) ||
			strings.Count(string(a.body), "\n") != 1 {
			t.Errorf("GET %s = %d %q, want one line with %q", path, a.status, a.body, want)
		}
	}
	do(t, newRequest(t, http.MethodGet, "http://"+s.endpoint+"/favicon.ico", "", "")).wantFault(t,
		http.StatusNotFound, "InvalidApi.NotFound")
	do(t, newRequest(t, http.MethodPost, "http://"+s.endpoint+"/", "", "")).wantFault(t,
		http.StatusBadRequest, "MissingParameter.Signature")
}

// A proxy may put a host of its own into the request; the settings say which are to be believed.
func TestHostsOfAProxyAreAccepted(t *testing.T) {
	t.Parallel()
	s := serve(t, "CHATCONF_HOSTS=chatconf.example.com, chatconf.example.com:8443",
		"CHATCONF_WEBHOOK_BASE_URL=https://chatconf.example.com/hooks")
	create(t, s.client(t), "ops")
	to := func(host string) answer {
		req := newACS3(s.key, "GetChatConfiguration", "Name", "ops").request(t, host)
		req.Host, req.URL.Host = s.endpoint, s.endpoint
		return do(t, req)
	}
	for _, host := range []string{"chatconf.example.com", "chatconf.example.com:8443"} {
		var got shown
		to(host).ok(t, &got)
		want := `{"URL": "https://chatconf.example.com/hooks/webhook/1000000000000000/cn-hangzhou/ops/`
		if !strings.HasPrefix(got.ChatConfiguration.Outputs, want) {
			t.Errorf("Outputs = %s, want it to start with %s", got.ChatConfiguration.Outputs, want)
		}
	}
	to("evil.example.com").wantFault(t, http.StatusBadRequest, "SignatureDoesNotMatch")
}

// One line a request is what operators see. It names the action, the caller and the outcome, and
// nothing that was sent.
func TestEveryRequestLeavesOneLogLine(t *testing.T) {
	t.Parallel()
	s := serve(t)
	create(t, s.client(t), "ops")
	a := s.send(t, newACS3(s.key, "GetChatConfiguration", "Name", "nobody"))
	e := a.wantFault(t, http.StatusNotFound, "EntityNotExists.ChatConfiguration")
	s.send(t, newACS3(accessKey{s.key.ID, "wrong"}, "GetChatConfiguration", "Name", "ops")).wantFault(t,
		http.StatusBadRequest, "SignatureDoesNotMatch")
	s.stop()
	lines := s.requestLog()
	if len(lines) != 3 {
		t.Fatalf("there are %d lines, want 3:\n%s", len(lines), s.stderr)
	}
	for i, want := range []object{
		{"action": "CreateChatConfiguration", "caller": s.key.ID, "status": 200.0, "code": "", "level": "INFO"},
		{"action": "GetChatConfiguration", "caller": s.key.ID, "status": 404.0,
			"code": "EntityNotExists.ChatConfiguration", "request_id": e.RequestId, "source_ip": "127.0.0.1"},
		// a caller is named only once proven
		{"action": "GetChatConfiguration", "caller": "", "status": 400.0, "code": "SignatureDoesNotMatch"},
	} {
		for key, value := range want {
			if lines[i][key] != value {
				t.Errorf("line %d: %s = %v, want %v", i+1, key, lines[i][key], value)
			}
		}
		if d, ok := lines[i]["duration_ms"].(float64); !ok || d < 0 {
			t.Errorf("line %d: duration_ms = %v", i+1, lines[i]["duration_ms"])
		}
	}
}

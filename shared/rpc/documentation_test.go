package rpc_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"
)

// The examples of the API's own documentation, of its SDKs and of the clients' captured requests,
// in the order in which they build on each other, word for word but for ids and secrets that are
// made up. Each is answered as written, or is one that the documentation gets wrong: then the
// answer says what would be right.
//
// https://help.aliyun.com/zh/oos/developer-reference/api-oos-2019-06-01-createchatconfiguration and
// its siblings.
var documented = []struct {
	about, action string
	params        url.Values
	code          string
	holds         []string // in the answer
}{
	{"the Configuration of Create", "CreateChatConfiguration", url.Values{
		"RegionId": {"cn-hangzhou"}, "Name": {"chatops"}, "Type": {"DingTalk"}, "RamRole": {"AliyunOOSDefaultRole"},
		"ResourceGroupId": {"rg-acfmxh4em5jncda"},
		"Configuration": {`{"DingTalkClientId": "dingxxxx", "DingTalkClientSecret": "` + planted +
			`", "DingTalkTemplateId": "0a1b2c3d-0000-4000-8000-000000000000.schema"}`},
	}, "", []string{`"Name":"chatops"`, `"CreatedDate":"`, `"UpdatedDate":"`}},
	{"the same with the parenthesis that its Create example opens with", "CreateChatConfiguration", url.Values{
		"Name": {"chatops2"}, "Type": {"DingTalk"},
		"Configuration": {`({"DingTalkClientId": "dingxxxx", "DingTalkClientSecret": "` + planted + `"}`},
	}, "InvalidParameter.Configuration",
		[]string{"Configuration is not JSON at line 1, column 1; write a JSON object"}},
	{"the Configuration in the SDK's comment", "CreateChatConfiguration", url.Values{
		"Name": {"chatops2"}, "Type": {"DingTalk"}, "Configuration": {`{"BotName":"chatops"}`},
	}, "InvalidParameter.Configuration", []string{"Configuration.DingTalkClientId: is missing",
		"Configuration.DingTalkClientSecret: is missing"}},
	{"the names of the prose: ClientId, ClientSecret, ConversationId", "CreateChatConfiguration", url.Values{
		"Name": {"TestChatConfig-9be97b40"}, "Type": {"DingTalk"}, "RamRole": {"OOSServiceRole"},
		"ResourceGroupId": {"s"},
		"Configuration":   {`{"ClientId":"dingxxxx","ClientSecret":"` + planted + `","ConversationId":"cidxxxx"}`},
	}, "", []string{`"Name":"TestChatConfig-9be97b40"`}},
	{"what is stored of these", "GetChatConfiguration", url.Values{"Name": {"TestChatConfig-9be97b40"}}, "", []string{
		`"Configuration":"{\"DingTalkClientId\":\"dingxxxx\",\"DingTalkClientSecret\":\"******\",` +
			`\"ConversationIds\":[\"cidxxxx\"]}"`, `"ResourceGroupId":"s"`}},
	{"a WeCom configuration", "CreateChatConfiguration", url.Values{
		"Name": {"chatOps-qiwei"}, "Type": {"WeChat"}, "RamRole": {"AliyunOOSLifecycleHook4CSRole"},
		"Configuration": {`{"WeChatCorpId":"ww0123","WeChatAgentId":"1000002","WeChatSecret":"` + planted +
			`","WeChatToken":"token1","WeChatEncodingAesKey":"` + strings.Repeat("q", 43) + `"}`},
	}, "", nil},
	{"the same under the console's names", "CreateChatConfiguration", url.Values{
		"Name": {"test-wechat"}, "Type": {"WeCom"},
		"Configuration": {`{"CorpId":"ww0123","AgentId":1000002,"Secret":"` + planted +
			`","Token":"token1","EncodingAESKey":"` + strings.Repeat("q", 43) + `"}`},
	}, "", nil},
	{"another name of the examples", "CreateChatConfiguration",
		url.Values{"Name": {"Ginlong-AIops"}, "Type": {"DingTalk"}, "Configuration": {configuration}}, "", nil},
	{"the Go SDK's Create, whose name and id cannot be", "CreateChatConfiguration", url.Values{
		"Name": {"钉钉-ops"}, "Type": {"DingTalk"}, "RamRole": {"AliyunOOSDefaultRole"}, "RegionId": {"cn-hangzhou"},
		"Configuration": {`{"DingTalkClientId":"a b*c~d","DingTalkClientSecret":"s/e+c=r"}`},
	}, "InvalidParameter.Name", []string{`Name \"钉钉-ops\" has a character other than`,
		`Configuration.DingTalkClientId: \"a b*c~d\" is not`}},

	{"a masked Configuration sent back", "UpdateChatConfiguration", url.Values{
		"Name": {"chatops"}, "Type": {"DingTalk"}, "RamRole": {"OOSServiceRole"},
		"Configuration": {`{"DingTalkClientId": "dingxxxx", "DingTalkClientSecret": "******", "DingTalkTemplateId": ` +
			`"0a1b2c3d-0000-4000-8000-000000000000.schema"}`},
	}, "", []string{`"Name":"chatops"`}},
	{"Get", "GetChatConfiguration", url.Values{"RegionId": {"cn-hangzhou"}, "Name": {"chatops"}}, "", []string{
		`"Type":"DingTalk"`, `"RamRole":"OOSServiceRole"`, `\"DingTalkClientSecret\":\"******\"`,
		`"Outputs":"{\"URL\": \"http`}},

	{"the filters of List", "ListChatConfigurations", url.Values{
		"Filters": {`[{"Name":"status","Value":"inactive"},{"Name":"type","Value":"private"}]`},
	}, "", []string{`"ChatConfigurations":[]`}},
	{"the filters of List, flattened as the SDKs do", "ListChatConfigurations", url.Values{
		"RegionId": {"cn-hangzhou"}, "MaxResults": {"10"}, "Filters.1.Name": {"status"},
		"Filters.1.Value": {"inactive"}, "Filters.2.Name": {"type"}, "Filters.2.Value": {"private"},
	}, "", []string{`"ChatConfigurations":[]`}},
	{"the Go SDK's List", "ListChatConfigurations", url.Values{
		"Filters.1.Name": {"type"}, "Filters.1.Value": {"DingTalk"}, "Filters.2.Name": {"Name"},
		"Filters.2.Value": {"a b*~/钉"}, "MaxResults": {"10"}, "RegionId": {"cn-hangzhou"},
	}, "", []string{`"ChatConfigurations":[]`}},
	{"the CLI's List", "ListChatConfigurations", url.Values{
		"Filters.1.Name": {"type"}, "Filters.1.Value": {"DingTalk"}, "Format": {"JSON"},
		"MaxResults": {"10"}, "RegionId": {"cn-hangzhou"},
	}, "", []string{`"Name":"chatops"`, `"Name":"Ginlong-AIops"`, `"MaxResults":10`, `"TotalCount":3`}},
	{"the CLI's filters, unflattened", "ListChatConfigurations",
		url.Values{"Filters": {`[{"Name":"type","Value":"WeChat"}]`}}, "",
		[]string{`"Name":"chatOps-qiwei"`, `"Name":"test-wechat"`}},

	{"the Go SDK's map of ids", "TagResources", url.Values{
		"RegionId": {"cn-hangzhou"}, "ResourceType": {"chatconfiguration"}, "ResourceIds": {`{"0":"chatops"}`},
		"Tags": {`{"k1":"v1","k2":"v2"}`},
	}, "", nil},
	{"Terraform's array of ids", "ListTagResources", url.Values{"ResourceType": {"chatconfiguration"},
		"ResourceIds": {`["chatops"]`}}, "", []string{
		`"TagResources":{"TagResource":[{"ResourceId":"chatops","ResourceType":"chatconfiguration",` +
			`"TagKey":"k1","TagValue":"v1"},`}},
	{"Terraform's TagKey beside TagKeys", "UntagResources", url.Values{
		"ResourceType": {"chatconfiguration"}, "ResourceIds": {`["chatops"]`},
		"TagKeys": {`["k1"]`}, "TagKey.1": {"k1"},
	}, "", nil},
	{"tags flattened", "TagResources", url.Values{
		"ResourceType": {"ChatConfiguration"}, "ResourceIds.1": {"chatops"}, "Tags.1.Key": {"k3"},
		"Tags.1.Value": {"v3"}, "Tag.1.Key": {"k4"}, "Tag.1.Value": {"v4"},
	}, "", nil},
	{"ListTagKeys", "ListTagKeys", url.Values{"RegionId": {"cn-hangzhou"}}, "",
		[]string{`"Keys":["k2","k3","k4"]`, `"MaxResults":50`}},
	{"ListTagValues", "ListTagValues", url.Values{"RegionId": {"cn-hangzhou"}, "Key": {"k3"}},
		"", []string{`"Values":["v3"]`}},
	{"a missing resource, as Terraform expects it", "ListTagResources",
		url.Values{"ResourceType": {"chatconfiguration"}, "ResourceIds": {`["t1"]`}},
		"InvalidResourceId.NotFound", nil},
	{"ChangeResourceGroup", "ChangeResourceGroup", url.Values{
		"RegionId": {"cn-hangzhou"}, "ResourceType": {"chatconfiguration"}, "ResourceId": {"chatops"},
		"NewResourceGroupId": {"rg-aekzstn7aqktw6y"},
	}, "", nil},

	{"Delete", "DeleteChatConfiguration", url.Values{"RegionId": {"cn-hangzhou"}, "Name": {"chatops"}},
		"", []string{`"Content":"Chat configuration deleted successfully."`}},
	{"Get of what is deleted", "GetChatConfiguration", url.Values{"Name": {"chatops"}},
		"EntityNotExists.ChatConfiguration", nil},
}

func TestDocumentationWorksVerbatim(t *testing.T) {
	for _, v1 := range []bool{false, true} {
		w := newWorld(t, nil)
		for _, example := range documented {
			a := w.do(request{action: example.action, query: example.params, v1: v1})
			if a.Code != example.code {
				t.Errorf("%s: %v, want %q", example.about, a, example.code)
			}
			for _, text := range example.holds {
				if !strings.Contains(a.body, text) {
					t.Errorf("%s: the answer does not hold %s:\n%s", example.about, text, a.body)
				}
			}
			w.checkDates(a)
		}
	}
}

// checkDates reports a date that is not written as the documentation's 2025-12-11T13:49:10+00:00.
func (w *world) checkDates(a answer) {
	w.Helper()
	var of struct {
		ChatConfiguration  struct{ CreatedDate, UpdatedDate string }
		ChatConfigurations []struct{ CreatedDate, UpdatedDate string }
	}
	if err := json.Unmarshal([]byte(a.body), &of); err != nil {
		w.Fatal(err)
	}
	for _, c := range append(of.ChatConfigurations, of.ChatConfiguration) {
		for _, date := range []string{c.CreatedDate, c.UpdatedDate} {
			if _, err := time.Parse("2006-01-02T15:04:05+00:00", date); err != nil && date != "" {
				w.Errorf("the date %q is written differently", date)
			}
		}
	}
}

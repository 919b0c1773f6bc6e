package e2e_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	oos "github.com/alibabacloud-go/oos-20190601/v4/client"
	"github.com/alibabacloud-go/tea/dara"
)

// edited returns r after f changed it.
func edited[R any](r R, f func(R)) R {
	f(r)
	return r
}

// tampered changes an ACS3 request after it was signed.
func tampered(a *acs3, f func(*http.Request)) *acs3 {
	a.tamper = f
	return a
}

func TestMistakesInASignature(t *testing.T) {
	t.Parallel()
	data := newData(t)
	var disabled accessKey
	if store.name == storeFile {
		disabled = createKey(t, data, "disabled", "--admin")
		run(t, "keys", "disable", disabled.ID, "--data", data).ok(t)
	}
	s := serveOn(t, data)
	key := s.key
	nobody := accessKey{"LTAInobody", "whatever"}
	wrong := accessKey{key.ID, "wrong-" + key.Secret}
	const list, get = "ListChatConfigurations", "GetChatConfiguration"
	header := func(name, value string) func(*acs3) {
		return func(a *acs3) { a.header[name] = value }
	}
	param := func(name, value string) func(*v1) {
		return func(v *v1) { v.params[name] = value }
	}
	without := func(name string) func(*v1) {
		return func(v *v1) { delete(v.params, name) }
	}
	for _, c := range []struct {
		name   string
		in     signed
		status int
		code   string
	}{
		{"ACS3 by an unknown key", newACS3(nobody, list), 404, "InvalidAccessKeyId.NotFound"},
		{"V1 by an unknown key", newV1(nobody, list), 404, "InvalidAccessKeyId.NotFound"},
		{"ACS3 with a wrong secret", newACS3(wrong, list), 400, "SignatureDoesNotMatch"},
		{"V1 with a wrong secret", newV1(wrong, list), 400, "SignatureDoesNotMatch"},
		{"ACS3 by a disabled key", newACS3(disabled, list), 400, "InvalidAccessKeyId.Inactive"},
		{"V1 by a disabled key", newV1(disabled, list), 400, "InvalidAccessKeyId.Inactive"},
		{"ACS3 of 16 minutes ago", edited(newACS3(key, list),
			header("x-acs-date", stamp(time.Now().Add(-16*time.Minute)))), 400, "InvalidTimeStamp.Expired"},
		{"ACS3 of in 16 minutes", edited(newACS3(key, list),
			header("x-acs-date", stamp(time.Now().Add(16*time.Minute)))), 400, "InvalidTimeStamp.Expired"},
		{"V1 of 16 minutes ago", edited(newV1(key, list), param("Timestamp", stamp(time.Now().Add(-16*time.Minute)))),
			400, "InvalidTimeStamp.Expired"},
		{"V1 of in 16 minutes", edited(newV1(key, list), param("Timestamp", stamp(time.Now().Add(16*time.Minute)))),
			400, "InvalidTimeStamp.Expired"},
		{"ACS3 with an invalid date", edited(newACS3(key, list), header("x-acs-date", "yesterday")),
			400, "InvalidTimeStamp.Format"},
		{"V1 with a date in local time", edited(newV1(key, list), param("Timestamp", "2026-01-01T08:00:00+08:00")),
			400, "InvalidTimeStamp.Format"},
		{"ACS3 without a nonce", edited(newACS3(key, list),
			func(a *acs3) { delete(a.header, "x-acs-signature-nonce") }),
			400, "MissingParameter.x-acs-signature-nonce"},
		{"V1 without a nonce", edited(newV1(key, list), without("SignatureNonce")), 400,
			"MissingParameter.SignatureNonce"},
		{"V1 without a timestamp", edited(newV1(key, list), without("Timestamp")), 400, "MissingParameter.Timestamp"},
		{"V1 without an action", edited(newV1(key, list), without("Action")), 400, "MissingParameter.Action"},
		{"V1 without a key", edited(newV1(key, list), without("AccessKeyId")), 400, "MissingParameter.AccessKeyId"},
		{"no signature at all", edited(newV1(key, list),
			func(v *v1) { v.tamper = func(p map[string]string) { delete(p, "Signature") } }),
			400, "MissingParameter.Signature"},
		{"V1 by HMAC-SHA256", edited(newV1(key, list), param("SignatureMethod", "HMAC-SHA256")),
			400, "InvalidSignatureMethod"},
		{"V1 with a bearer token", edited(newV1(key, list), param("SignatureType", "BEARERTOKEN")),
			400, "InvalidSignatureMethod"},
		{"ACS3 by RSA", tampered(newACS3(key, list), func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "HMAC", "RSA", 1))
		}), 400, "InvalidSignatureMethod"},
		{"V1 of version 2.0", edited(newV1(key, list), param("SignatureVersion", "2.0")), 400,
			"InvalidParameter.SignatureVersion"},
		{"V1 with half a signature", edited(newV1(key, list),
			func(v *v1) { v.tamper = func(p map[string]string) { p["Signature"] = p["Signature"][:10] } }),
			400, "IncompleteSignature"},
		{"ACS3 with an x-acs header that is not signed", tampered(newACS3(key, list),
			func(r *http.Request) { r.Header.Set("x-acs-extra", "1") }), 400, "IncompleteSignature"},
		{"ACS3 and V1 at once", tampered(newACS3(key, list, "Signature", "x"), nil), 400, "IncompleteSignature"},
		{"ACS3 with another action than signed", tampered(newACS3(key, list),
			func(r *http.Request) { r.Header.Set("x-acs-action", "DeleteChatConfiguration") }),
			400, "SignatureDoesNotMatch"},
		{"ACS3 with another parameter than signed", tampered(newACS3(key, get, "Name", "one"),
			func(r *http.Request) { r.URL.RawQuery = "Name=two" }), 400, "SignatureDoesNotMatch"},
		{"ACS3 with another body than signed", tampered(newACS3(key, get, "Name", "one").inForm(),
			func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("Name=two")) }),
			400, "ContentMD5NotMatched"},
		{"V1 with another parameter than signed", edited(newV1(key, get, "Name", "one"),
			func(v *v1) { v.tamper = func(p map[string]string) { p["Name"] = "two" } }), 400, "SignatureDoesNotMatch"},
		{"V1 with a parameter added", edited(newV1(key, get, "Name", "one"),
			func(v *v1) { v.tamper = func(p map[string]string) { p["RegionId"] = "cn-beijing" } }),
			400, "SignatureDoesNotMatch"},
		{"V1 with a body of JSON", edited(newV1(key, get), func(v *v1) {
			v.body, v.kind = `{"Name":"one"}`,
				"application/json"
		}), 400, "IncompleteSignature"},
		{"V1 with a security token", newV1(key, list, "SecurityToken", "CAISxx/+="),
			400, "InvalidSecurityToken.Malformed"},
		{"ACS3 with a security token", edited(newACS3(key, list), header("x-acs-security-token", "CAISxx/+=")),
			400, "InvalidSecurityToken.Malformed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.code == "InvalidAccessKeyId.Inactive" {
				onlyFile(t, "keys opens the file")
			}
			s.send(t, c.in).wantFault(t, c.status, c.code)
		})
	}

	t.Run("the clock may be 14 minutes off", func(t *testing.T) {
		for _, d := range []time.Duration{-14 * time.Minute, 14 * time.Minute} {
			s.send(t, edited(newACS3(key, list), header("x-acs-date", stamp(time.Now().Add(d))))).ok(t, nil)
			s.send(t, edited(newV1(key, list), param("Timestamp", stamp(time.Now().Add(d))))).ok(t, nil)
		}
	})
}

// The CLI compares what the server signed with what it signed itself, and tells its user which of
// the two is to blame.
func TestASignatureThatDoesNotMatchShowsWhatWasSigned(t *testing.T) {
	t.Parallel()
	s := serve(t)
	wrong := accessKey{s.key.ID, "wrong-secret"}
	in := newV1(wrong, "GetChatConfiguration", "Name", "a+b*c~d 钉")
	e := s.send(t, in).wantFault(t, http.StatusBadRequest, "SignatureDoesNotMatch")
	if _, got, _ := strings.Cut(e.Message, "server string to sign is:"); got != in.stringToSign() {
		t.Errorf("string to sign = %q, want %q", got, in.stringToSign())
	}
	in = newV1(wrong, "CreateChatConfiguration", "Configuration", "{}")
	e = s.send(t, in).wantFault(t, http.StatusBadRequest, "SignatureDoesNotMatch")
	if strings.Contains(e.Message, "string to sign") {
		t.Errorf("the string to sign is shown though it holds Configuration: %q", e.Message)
	}
	e = s.send(t, newACS3(wrong, "ListChatConfigurations")).wantFault(t, http.StatusBadRequest, "SignatureDoesNotMatch")
	if !strings.Contains(e.Message, "server string to sign is:ACS3-HMAC-SHA256\n") {
		t.Errorf("message = %q, want it to have the string to sign", e.Message)
	}
}

func TestMistakesInARequest(t *testing.T) {
	t.Parallel()
	s := serve(t)
	key := s.key
	create(t, s.client(t), "ops")
	const (
		createIt = "CreateChatConfiguration"
		getIt    = "GetChatConfiguration"
		listThem = "ListChatConfigurations"
		updateIt = "UpdateChatConfiguration"
		deleteIt = "DeleteChatConfiguration"
	)
	with := func(action string, pairs ...string) *acs3 { return newACS3(key, action, pairs...) }
	making := func(pairs ...string) *acs3 {
		a := newACS3(key, createIt, "Name", "new", "Type", "DingTalk", "Configuration", dingTalk("new"))
		for name, value := range pairMap(pairs) {
			a.query[name] = value
		}
		return a.inForm()
	}
	tagging := func(pairs ...string) *acs3 {
		a := newACS3(key, "TagResources", "ResourceType", resourceType, "ResourceIds", `["ops"]`, "Tags", `{"a":"b"}`)
		for name, value := range pairMap(pairs) {
			a.query[name] = value
		}
		return a
	}
	var tooManyIDs, tooManyTags []string
	for i := range 51 {
		tooManyIDs = append(tooManyIDs, fmt.Sprintf("bot-%d", i))
	}
	for i := range 21 {
		tooManyTags = append(tooManyTags, fmt.Sprintf(`"k%d":""`, i))
	}
	for _, c := range []struct {
		name   string
		in     signed
		status int
		code   string
		says   string // what the message must have
	}{
		{"an unknown action", with("ExplodeChatConfiguration"), 404, "InvalidApi.NotFound", ""},
		{"an action in lower case", with("listchatconfigurations"), 404, "InvalidApi.NotFound", ""},
		{"another path", tampered(with(listThem), func(r *http.Request) { r.URL.Path = "/oos/" }),
			404, "InvalidApi.NotFound", ""},
		{"another version", edited(with(listThem), func(a *acs3) { a.header["x-acs-version"] = "2014-05-26" }),
			400, "InvalidVersion", "2019-06-01"},
		{"GET of an action that changes something", edited(with(deleteIt, "Name", "ops"),
			func(a *acs3) { a.method = "GET" }), 403, "UnsupportedHTTPMethod", ""},
		{"PUT", edited(with(listThem), func(a *acs3) { a.method = "PUT" }), 403, "UnsupportedHTTPMethod", ""},
		{"an invalid format", newV1(key, listThem, "Format", "YAML"), 400, "InvalidParameter.Format", ""},
		{"a body of text", edited(with(listThem), func(a *acs3) { a.body, a.kind = "Name=ops", "text/plain" }), 400,
			"InvalidParameter", "application/json"},
		{"a body of JSON that is a list", edited(with(getIt), func(a *acs3) {
			a.body, a.kind = `["ops"]`,
				"application/json"
		}), 400, "InvalidParameter", "object"},
		{"a body of broken JSON", edited(with(getIt), func(a *acs3) {
			a.body, a.kind = `{"Name":"ops"`,
				"application/json"
		}), 400, "InvalidParameter", ""},
		{"a parameter twice", tampered(with(getIt, "Name", "ops"),
			func(r *http.Request) { r.URL.RawQuery = "Name=ops&Name=ops" }), 400,
			"InvalidParameter.Name", "more than once"},
		{"a parameter with another value in the body", edited(with(getIt, "Name", "ops").inForm(),
			func(a *acs3) { a.query = map[string]string{"Name": "dev"} }), 400,
			"InvalidParameter.Name", "more than once"},
		{"a body of more than 256 KiB", making("Configuration", strings.Repeat("x", 257<<10)),
			413, "RequestEntityTooLarge", ""},
		{"a chunked body of more than 256 KiB", edited(making("Configuration", strings.Repeat("x", 257<<10)),
			func(a *acs3) { a.chunked = true }), 413, "RequestEntityTooLarge", ""},
		{"a URL of more than 32 KiB", with(getIt, "Name", strings.Repeat("x", 33<<10)), 431,
			"RequestHeaderFieldsTooLarge", "body"},

		{"create without Name", making("Name", ""), 400, "MissingParameter.Name", "Name is mandatory"},
		{"create without Type", making("Type", ""), 400, "MissingParameter.Type", ""},
		{"create without Configuration", making("Configuration", ""), 400, "MissingParameter.Configuration", ""},
		{"get without Name", with(getIt), 400, "MissingParameter.Name", ""},
		{"update without Name", with(updateIt), 400, "MissingParameter.Name", ""},
		{"delete without Name", with(deleteIt), 400, "MissingParameter.Name", ""},
		{"a name with a blank", making("Name", "a b"), 400, "InvalidParameter.Name", ""},
		{"a Chinese name", making("Name", "钉钉"), 400, "InvalidParameter.Name", ""},
		{"a name of 201 characters", making("Name", strings.Repeat("n", 201)), 400, "InvalidParameter.Name", "200"},
		{"a reserved name", making("Name", "AliCloud-ops"), 400, "InvalidParameter.Name", "alicloud"},
		{"an unknown type", making("Type", "ICQ"), 400, "InvalidParameter.Type",
			"DingTalk, WeChat, Feishu, Slack, Teams"},
		{"a role's ARN", making("RamRole", "acs:ram::1:role/ops"), 400, "InvalidParameter.RamRole", ""},
		{"an invalid resource group", making("ResourceGroupId", "rg one"), 400,
			"InvalidParameter.ResourceGroupId", ""},
		{"an invalid status", making("Status", "Sleeping"), 400, "InvalidParameter.Status", "Inactive"},
		{"tags that are a number", making("Tags", "7"), 400, "InvalidParameter.Tags", ""},
		{"a client token of 65 characters", making("ClientToken", strings.Repeat("t", 65)),
			400, "InvalidParameter.ClientToken", "64"},
		{"an invalid region", making("RegionId", "Nowhere!"), 404, "InvalidRegion.NotFound", ""},
		{"create of what is there", making("Name", "ops"), 409, "EntityAlreadyExists.ChatConfiguration", "ops"},

		{"Configuration that is not JSON", making("Configuration", "({"), 400, "InvalidParameter.Configuration", ""},
		{"Configuration that is a list", making("Configuration", "[]"), 400,
			"InvalidParameter.Configuration", "an array"},
		{"Configuration of more than 64 KiB", making("Configuration", dingTalk(strings.Repeat("x", 64<<10))),
			400, "InvalidParameter.Configuration", "65536"},
		{"an unknown key", making("Configuration", `{"DingTalkClientID":"a","DingTalkClientSecret":"b"}`), 400,
			"InvalidParameter.Configuration", "Configuration.DingTalkClientID: unknown key for type " +
				"DingTalk; did you mean DingTalkClientId?"},
		{"a key twice", making("Configuration", `{"BotName":"a","BotName":"b"}`), 400,
			"InvalidParameter.Configuration", "BotName"},
		{"a key missing", making("Configuration", `{"DingTalkClientId":"a"}`), 400, "InvalidParameter.Configuration",
			"Configuration.DingTalkClientSecret: is missing"},
		{"a secret of another shape", making("Type", "WeChat", "Configuration",
			`{"WeChatCorpId":"a","WeChatAgentId":1,"WeChatSecret":"b","WeChatEncodingAesKey":"short"}`), 400,
			"InvalidParameter.Configuration", "Configuration.WeChatEncodingAesKey: is not 43 letters and digits"},
		{"a masked secret on create", making("Configuration",
			`{"DingTalkClientId":"a","DingTalkClientSecret":"******"}`), 400,
			"InvalidParameter.Configuration", "masked"},
		{"an invalid permission for a group", making("Configuration",
			`{"DingTalkClientId":"a","DingTalkClientSecret":"b","Permissions":[{"Effect":"Allow","Principals":["*",`+
				`"group:sre"],"Commands":["*"]}]}`), 400, "InvalidParameter.Configuration",
			"Configuration.Permissions[0].Principals[1]"},

		{"get of what is not there", with(getIt, "Name", "nobody"), 404, "EntityNotExists.ChatConfiguration", "nobody"},
		{"update of what is not there", with(updateIt, "Name", "nobody"), 404, "EntityNotExists.ChatConfiguration", ""},
		{"delete of what is not there", with(deleteIt, "Name", "nobody"), 404, "EntityNotExists.ChatConfiguration", ""},
		{"another type", with(updateIt, "Name", "ops", "Type", "Slack"), 400, "InvalidParameter.Type", "DingTalk"},
		{"an invalid revision", with(updateIt, "Name", "ops", "Revision", "latest"),
			400, "InvalidParameter.Revision", ""},
		{"an old revision", with(updateIt, "Name", "ops", "Revision", "7"), 409, "OperationConflict", "1"},
		{"pages of nothing", with(listThem, "MaxResults", "0"), 400, "InvalidParameter.MaxResults", "1 to 100"},
		{"pages of too much", with(listThem, "MaxResults", "101"), 400, "InvalidParameter.MaxResults", "1 to 100"},
		{"pages of ten", with(listThem, "MaxResults", "ten"), 400, "InvalidParameter.MaxResults", ""},
		{"an unknown filter", with(listThem, "Filters.1.Name", "Colour", "Filters.1.Value", "red"), 400,
			"InvalidParameter.Filters", "CreatedAfter"},
		{"a filter without a name", with(listThem, "Filters.1.Value", "red"), 400, "MissingParameter.Filters", ""},
		{"an invalid filter of a date", with(listThem, "Filters.1.Name", "CreatedAfter", "Filters.1.Value",
			"yesterday"), 400, "InvalidParameter.Filters", ""},
		{"filters that are a number", with(listThem, "Filters", "7"), 400, "InvalidParameter.Filters", "write [{"},
		{"several mistakes", with(listThem, "Filters", "7", "MaxResults", "many", "NxtToken", "x"), 400,
			"InvalidParameter.Filters", `"NxtToken"; did you mean NextToken?`},
		{"an invalid page token", with(listThem, "NextToken", "x"), 400, "InvalidNextToken", ""},

		{"tags without a resource type", tagging("ResourceType", ""), 400, "MissingParameter.ResourceType", ""},
		{"tags of templates", tagging("ResourceType", "template"), 400, "InvalidParameter.ResourceType", resourceType},
		{"tags of nothing", tagging("ResourceIds", "[]"), 400, "MissingParameter.ResourceIds", ""},
		{"tags of too much", tagging("ResourceIds", jsonText(tooManyIDs)), 400, "InvalidParameter.ResourceIds", "50"},
		{"tags of nobody", tagging("ResourceIds", `["ops","nobody"]`), 404, "InvalidResourceId.NotFound", "nobody"},
		{"no tags", tagging("Tags", ""), 400, "MissingParameter.Tags", ""},
		{"too many tags", tagging("Tags", "{"+strings.Join(tooManyTags, ",")+"}"), 400, "InvalidParameter.Tags", "20"},
		{"a reserved tag", tagging("Tags", `{"acs:x":"y"}`), 400, "InvalidParameter.Tags", "acs:"},
		{"untag without keys", with("UntagResources", "ResourceType", resourceType, "ResourceIds", `["ops"]`),
			400, "MissingParameter.TagKeys", ""},
		{"All that is neither true nor false", with("UntagResources", "ResourceType", resourceType, "ResourceIds",
			`["ops"]`, "All", "maybe"), 400, "InvalidParameter.All", ""},
		{"values without a key", with("ListTagValues", "ResourceType", resourceType), 400, "MissingParameter.Key", ""},
		{"keys of another resource type", with("ListTagKeys", "ResourceType", "parameter"),
			400, "InvalidParameter.ResourceType", resourceType},
		{"tags listed of nobody", with("ListTagResources", "ResourceType", resourceType, "ResourceIds", `["nobody"]`),
			404, "InvalidResourceId.NotFound", ""},
		{"a new group of nothing", with("ChangeResourceGroup", "ResourceType", resourceType, "NewResourceGroupId",
			"rg"), 400, "MissingParameter.ResourceId", ""},
		{"no new group", with("ChangeResourceGroup", "ResourceType", resourceType, "ResourceId", "ops"), 400,
			"MissingParameter.NewResourceGroupId", ""},
		{"a new group of nobody", with("ChangeResourceGroup", "ResourceType", resourceType, "ResourceId", "nobody",
			"NewResourceGroupId", "rg"), 404, "InvalidResourceId.NotFound", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			// whose HTTP trigger makes one of two, with a comma
			if c.name == "a parameter twice" && functions.target == targetFC {
				c.code, c.says = "SignatureDoesNotMatch", ""
			}
			e := s.send(t, c.in).wantFault(t, c.status, c.code)
			if !strings.Contains(e.Message, c.says) {
				t.Errorf("message = %q, want it to say %q", e.Message, c.says)
			}
		})
	}
	if names, _ := walk(t, s.client(t), 100, nil); len(names) != 1 {
		t.Errorf("after nothing but mistakes there are %q, want ops alone", names)
	}
	wantEqual(t, "ETag", get(t, s.client(t), "ops").Headers["etag"], `"1"`)
}

func TestABodyThatEndsEarlyIsRefused(t *testing.T) {
	t.Parallel()
	s := serve(t)
	conn, err := net.Dial("tcp", s.endpoint)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "POST / HTTP/1.1\r\nHost: "+s.endpoint+
		"\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"Name\":")
	conn.(*net.TCPConn).CloseWrite()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if a := readAnswer(t, resp); functions.target == "" {
		a.wantFault(t, http.StatusBadRequest, "ContentLengthDoesNotMatch")
	} else if a.status != http.StatusBadRequest { // by the gateway, before any function
		t.Errorf("status = %d, want 400", a.status)
	}
}

func TestTheSDKReadsMistakes(t *testing.T) {
	t.Parallel()
	s := serve(t)
	get := func(key accessKey, name *string) error {
		_, err := s.clientOf(t, key).GetChatConfiguration(&oos.GetChatConfigurationRequest{Name: name})
		return err
	}
	wantSDKError(t, get(accessKey{"LTAInobody", "whatever"}, dara.String("ops")), 404, "InvalidAccessKeyId.NotFound")
	wantSDKError(t, get(accessKey{s.key.ID, "wrong"}, dara.String("ops")), 400, "SignatureDoesNotMatch")
	wantSDKError(t, get(s.key, nil), 400, "MissingParameter.Name")
	wantSDKError(t, get(s.key, dara.String("钉钉")), 400, "InvalidParameter.Name")
	e := wantSDKError(t, get(s.key, dara.String("nobody")), 404, "EntityNotExists.ChatConfiguration")
	if got, want := dara.StringValue(e.Message),
		`code: 404, There is no chat configuration "nobody". request id: `; !strings.HasPrefix(got, want) {
		t.Errorf("message = %q, want it to start with %q", got, want)
	}
}

func TestAConfigurationHasAtMost20Tags(t *testing.T) {
	t.Parallel()
	s := serve(t)
	create(t, s.client(t), "ops")
	for i := range 2 {
		tags := make(map[string]string)
		for j := range 10 {
			tags[fmt.Sprintf("k%d-%d", i, j)] = "v"
		}
		s.send(t, newACS3(s.key, "TagResources", "ResourceType", resourceType, "ResourceIds", `["ops"]`,
			"Tags", jsonText(tags))).ok(t, nil)
	}
	s.send(t, newACS3(s.key, "TagResources", "ResourceType", resourceType, "ResourceIds", `["ops"]`, "Tags",
		`{"k1-0":"another value"}`)).ok(t, nil)
	s.send(t, newACS3(s.key, "TagResources", "ResourceType", resourceType, "ResourceIds", `["ops"]`, "Tags",
		`{"one":"too many"}`)).wantFault(t, 400, "QuotaExceeded.Tag")
}

package rpc_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"chatconf/shared/chat"
	"chatconf/shared/fault"
	"chatconf/shared/rpc"
	"chatconf/shared/secret"
)

// fillers read parameters into each request type of the API.
var fillers = map[string]func(url.Values) (any, error){
	"CreateChatConfiguration":        filler[chat.CreateRequest],
	"GetChatConfiguration":           filler[chat.GetRequest],
	"ListChatConfigurations":         filler[chat.ListRequest],
	"UpdateChatConfiguration":        filler[chat.UpdateRequest],
	"CopyChatConfiguration":          filler[chat.CopyRequest],
	"DeleteChatConfiguration":        filler[chat.DeleteRequest],
	"TagResources":                   filler[chat.TagRequest],
	"UntagResources":                 filler[chat.UntagRequest],
	"ListTagResources":               filler[chat.ListTagResourcesRequest],
	"ListTagKeys":                    filler[chat.ListTagKeysRequest],
	"ListTagValues":                  filler[chat.ListTagValuesRequest],
	"ChangeResourceGroup":            filler[chat.ChangeResourceGroupRequest],
	"RotateChatWebhook":              filler[chat.RotateRequest],
	"RotateChatSecret":               filler[chat.RotateSecretRequest],
	"SimulateChatPermission":         filler[chat.SimulateRequest],
	"ListChatCommands":               filler[chat.ListCommandsRequest],
	"GetChatConfigurationHealth":     filler[chat.HealthRequest],
	"CheckChatConfiguration":         filler[chat.CheckConfigurationRequest],
	"ListChatConfigurationRevisions": filler[chat.ListRevisionsRequest],
	"GetChatConfigurationRevision":   filler[chat.GetRevisionRequest],
	"RestoreChatConfiguration":       filler[chat.RestoreRequest],
}

func filler[Req any](p url.Values) (any, error) {
	in, err := rpc.Fill[Req](p)
	if err != nil {
		return nil, err
	}
	return in, nil
}

// encoded returns the fields of a request as parameters: scalars as text, lists flattened, tags
// too, so that bytes that are not UTF-8 survive. What is empty is there with the value "".
func encoded(in any) map[string]string {
	out := make(map[string]string)
	v := reflect.ValueOf(in).Elem()
	for i := range v.NumField() {
		name, field := v.Type().Field(i).Tag.Get("param"), v.Field(i)
		whole := field.Interface()
		if tags, ok := whole.(*map[string]string); ok && tags != nil {
			whole, out[name] = *tags, "{}" // given, even if it is empty
		}
		switch value := whole.(type) {
		case []chat.Filter:
			for i, f := range value {
				out[fmt.Sprintf("%s.%d.Name", name, i+1)] = f.Name
				out[fmt.Sprintf("%s.%d.Value", name, i+1)] = f.Value
			}
		case []string:
			for i, s := range value {
				out[fmt.Sprintf("%s.%d", name, i+1)] = s
			}
		case map[string]string:
			n := 0
			for k, s := range value {
				n++
				out[fmt.Sprintf("%s.%d.Key", name, n)] = k
				out[fmt.Sprintf("%s.%d.Value", name, n)] = s
			}
		default:
			if field.Kind() == reflect.Pointer {
				if field.IsNil() {
					continue
				}
				field = field.Elem()
			}
			switch field.Kind() {
			case reflect.String:
				out[name] = field.String()
			default:
				out[name] = fmt.Sprint(field.Interface())
			}
		}
	}
	return out
}

// flattens reports whether a request can be written flattened and read back: no list has an entry
// twice or more than 1000, no tag an empty key.
func flattens(in any) bool {
	v := reflect.ValueOf(in).Elem()
	for i := range v.NumField() {
		whole := v.Field(i).Interface()
		if tags, ok := whole.(*map[string]string); ok && tags != nil {
			whole = *tags
		}
		switch value := whole.(type) {
		case []chat.Filter:
			if len(value) > 1000 || slices.Contains(value, chat.Filter{}) { // one sent empty is none
				return false
			}
		case []string:
			if slices.Contains(value, "") || len(value) > 1000 ||
				len(slices.Compact(slices.Sorted(slices.Values(value)))) != len(value) {
				return false
			}
		case map[string]string:
			if _, ok := value[""]; ok || len(value) > 1000 {
				return false
			}
		}
	}
	return true
}

var sameSecret = cmp.Comparer(func(a, b secret.Text) bool { return a.Reveal() == b.Reveal() })

// FuzzParameters reads arbitrary queries as net/url does, and fills every request type from them.
// It does not panic, an error is the caller's and names what it is about, and what was read is the
// same when it is written out again and read once more.
func FuzzParameters(f *testing.F) {
	for _, seed := range []string{
		"Filters.1.Name=type&Filters.1.Value=DingTalk&Filters.2.Name=Name&Filters.2.Value=a+b%2A~%2F%E9%92%89&" +
			"MaxResults=10&RegionId=cn-hangzhou",
		`Filters=[{"Name":"type","Value":"DingTalk"}]&NextToken=x`,
		`Tags={"env":"prod"}&Tag.1.Key=a&Tag.1.Value=b&Tags.7.Key=c`,
		`Tags=[{"Key":"env","Value":null}]&ResourceIds={"0":"t1","1":"t2"}`,
		`ResourceIds={"t1":true}&TagKeys=["a"]&TagKey.1=a&TagKey.1000=b&All=TRUE`,
		"a=1;b=2", "a=%", "a=b=c&=&&",
		"Revision=3&Name=ops&Configuration=%7B%7D&RamRole=&ClientToken=x&Status=%FF",
		"Tags={}", "Tag=[]&Tags.1.Key=",
		"Filters.0.Name=&Filters.01.Name=&Filters.1.=&ResourceIds.=&Tags.1",
		"&&a&=b&a=c&%41=d&a=1;b=2&x=%zz&" + strings.Repeat("y=1&", 70),
		`TagKeys=[1,2.50,true,null]&Tags={"":""}&ResourceIds.1=%FF&ResourceIds.2=%FE`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		values, err := rpc.ReadParams(&http.Request{URL: &url.URL{RawQuery: query}}, nil)
		want, wantErr := url.ParseQuery(query)
		refused := wantErr != nil || strings.Count(query, "&") >= rpc.MaxParams
		for _, values := range want {
			refused = refused || len(values) > 1
		}
		if (err != nil) != refused || err == nil && !reflect.DeepEqual(values, want) {
			t.Fatalf("%q is read as %q, %v; net/url reads %q, %v", query, values, err, want, wantErr)
		}
		if err != nil {
			return
		}
		for action, fill := range fillers {
			in, err := fill(values)
			if err != nil {
				var known *fault.Error
				if known, _ = err.(*fault.Error); known == nil || known.Param == "" ||
					known.Code != fault.InvalidParameter && known.Code != fault.MissingParameter {
					t.Errorf("%s: error %#v is not about a parameter", action, err)
				}
				continue
			}
			if !flattens(in) {
				continue
			}
			again := make(url.Values)
			for name, value := range encoded(in) {
				again.Set(name, value)
			}
			out, err := fill(again)
			if err != nil {
				t.Fatalf("%s: what was read of %q cannot be read again as %q: %v", action, values, again, err)
			}
			// An absent and an empty list are the same.
			if diff := cmp.Diff(in, out, sameSecret, cmp.Transformer("len",
				func(l []chat.Filter) []chat.Filter { return append([]chat.Filter{}, l...) })); diff != "" {
				t.Errorf("%s: -first +again\n%s", action, diff)
			}
		}
	})
}

// FuzzJSONBody reads arbitrary JSON bodies. What it takes is JSON to encoding/json too, every
// parameter has one value, strings are themselves, and the parameters written as a JSON object of
// strings are read as the same.
func FuzzJSONBody(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"Name":"ops","Configuration":{"a":[1,2.50,{"b":null}]}}`, `{"a":null,"b":true,"c":-0,"d":1e5,"e":""}`,
		`{"a":1,"a":2}`, `[]`, `{"a":"\ud800"}`,
		"{\"\":\"\u2028\"}", `{"a":[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]}`, `{"a":1} `, `{"a":1}x`, "{\"a\":\"\x00\"}",
		`{"Filters":[{"Name":"a","Value":"<>&"}]}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		values, err := rpc.ParseJSON(text)
		var object map[string]json.RawMessage
		if json.Unmarshal([]byte(text), &object) == nil && len(object) > rpc.MembersAtLeast(text) {
			t.Errorf("%q has %d members, and is counted as %d", text, len(object), rpc.MembersAtLeast(text))
		}
		if err != nil {
			if fault.CodeOf(err) != fault.InvalidParameter {
				t.Errorf("error %#v is not the caller's", err)
			}
			return
		}
		var want map[string]json.RawMessage
		if err := json.Unmarshal([]byte(text), &want); err != nil {
			t.Fatalf("%q was taken, and encoding/json says %v", text, err)
		}
		flat := make(map[string]string)
		for name, list := range values {
			raw, ok := want[name]
			if !ok || len(list) != 1 {
				t.Fatalf("parameter %q is made up, or not one: %q", name, list)
			}
			flat[name] = list[0]
			var s string
			if raw[0] == '"' && json.Unmarshal(raw, &s) == nil && s != list[0] {
				t.Errorf("%q = %q, want %q", name, list[0], s)
			}
			if raw[0] == '{' || raw[0] == '[' {
				var a, b any
				if json.Unmarshal(raw, &a) == nil && (json.Unmarshal([]byte(list[0]), &b) != nil ||
					!reflect.DeepEqual(a, b)) {
					t.Errorf("%q = %s, which is not %s", name, list[0], raw)
				}
			}
		}
		for name, raw := range want {
			if _, ok := values[name]; !ok && string(raw) != "null" {
				t.Errorf("parameter %q is lost", name)
			}
		}
		again, err := json.Marshal(flat)
		if err != nil {
			t.Fatal(err)
		}
		back, err := rpc.ParseJSON(string(again))
		if err != nil || !reflect.DeepEqual(back, values) {
			t.Errorf("%s is read as %q, %v, want %q", again, back, err, values)
		}
	})
}

// FuzzHandler sends arbitrary requests, signed as they are where they can be, by a caller who may
// do everything. Whatever they hold, the answer is no fault of ours, and a JSON or XML envelope
// with the request's id; the world's own checks look at the rest.
func FuzzHandler(f *testing.F) {
	actions := rpc.Actions()
	add := func(action int, r request, header, value string) {
		body := r.json
		kind := "application/json"
		if r.form != nil {
			body, kind = r.form.Encode(), "application/x-www-form-urlencoded"
		}
		f.Add(uint8(action), uint8(0), http.MethodPost, r.query.Encode(), kind, body, header, value)
		f.Add(uint8(action), uint8(1), http.MethodPost, r.query.Encode(), kind, body, header, value)
		f.Add(uint8(action), uint8(2), http.MethodGet, r.query.Encode(), kind, body, header, value)
	}
	// No planted secret: the fuzzer would put it where it is none.
	add(0, request{form: parse(`Name=ops Type=DingTalk ` +
		`Configuration={"DingTalkClientId":"a","DingTalkClientSecret":"b"}`)}, "", "")
	add(0, request{json: `{"Name":"ops","Type":"Slack","Configuration":{"SlackSigningSecret":"12345678"},` +
		`"ClientToken":"t","Tags":{"a":"b"}}`}, "", "")
	add(1, get("there"), "If-Match", `"1"`)
	add(2, request{query: parse("Filters.1.Name=Name Filters.1.Value=a* Filters.2.Name=tag:a Filters.2.Value=b " +
		"MaxResults=1 Format=XML")}, "", "")
	add(2, request{query: url.Values{"Filters": {`[{"Name":"CreatedAfter","Value":"2026-01-01T00:00:00Z"}]`},
		"NextToken": {"x"}}}, "", "")
	add(3, request{form: parse("Name=there RamRole=x Status=inactive Configuration={}")}, "If-Match", "1")
	add(4, del("ops"), "If-Match", "*")
	add(5, request{form: parse(`ResourceType=chatconfiguration ResourceIds=["there"] Tags={"a":"b"}`)}, "", "")
	add(6, request{form: parse(`ResourceType=chatconfiguration ResourceIds={"0":"there"} TagKey.1=a`)}, "", "")
	add(7, request{query: parse("ResourceType=chatconfiguration ResourceIds.1=there Tags.1.Key=a Tags.1.Value=b")},
		"", "")
	add(8, request{query: parse("ResourceType=chatconfiguration MaxResults=100")}, "X-Acs-Extra", "1")
	add(9, request{query: parse("ResourceType=chatconfiguration Key=a")}, "Accept", "text/xml")
	add(10, request{form: parse("ResourceType=chatconfiguration ResourceId=there NewResourceGroupId=rg-1")}, "", "")

	w := newWorld(f, nil)
	w.wantOK(w.do(create("there")))
	f.Fuzz(func(t *testing.T, action, dialect uint8, method, query, kind, body, header, value string) {
		w.TB = t
		for _, code := range wireCodes {
			if strings.Contains(query+body+header+value, code) {
				return // it would be in a message because the caller put it there
			}
		}
		if !isToken(method) {
			method = http.MethodPost
		}
		req, err := http.NewRequest(method, "http://example.com/", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.URL.RawQuery = query
		req.Header.Set("Content-Type", kind)
		if isToken(header) {
			req.Header.Set(header, value)
		}
		name := actions[int(action)%len(actions)].Name
		switch dialect % 4 {
		case 0:
			req.Header.Set("X-Acs-Action", name)
			req.Header.Set("X-Acs-Version", rpc.Version)
			admin.SignACS3(req, []byte(body), w.clock.Now(), w.nonce())
		case 1, 2:
			values, err := url.ParseQuery(query)
			if err != nil {
				break
			}
			all := clone(values)
			form, _ := url.ParseQuery(body)
			if dialect%4 == 2 {
				form = nil
				req.Body, req.ContentLength = http.NoBody, 0
			}
			for name, v := range form {
				all[name] = append(all[name], v...)
			}
			all.Set("Action", name)
			all.Set("Version", rpc.Version)
			if admin.SignV1(method, all, w.clock.Now(), w.nonce()) != nil {
				break
			}
			for name := range form {
				all.Del(name)
			}
			req.URL.RawQuery = all.Encode()
		}
		if a := w.serve(w.handler, req); a.status >= 500 {
			t.Errorf("a fault of ours: %v\n%s", a, a.log)
		}
		w.log.mu.Lock()
		w.log.lines = nil
		w.log.mu.Unlock()
	})
}

// isToken reports whether s can be a method or a header's name.
func isToken(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") == ""
}

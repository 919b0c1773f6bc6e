package rpc_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"chatconf/shared/chat"
	"chatconf/shared/policy"
	"chatconf/shared/rpc"
	"chatconf/shared/secret"
)

func ptr[T any](v T) *T { return &v }

// parse returns the parameters that a query names, in an easy hand: "Tags.1.Key=a Tags.1.Value=b",
// spaces between them.
func parse(text string) url.Values {
	v := make(url.Values)
	for _, pair := range strings.Fields(text) {
		name, value, _ := strings.Cut(pair, "=")
		v.Set(name, strings.ReplaceAll(value, "␣", " "))
	}
	return v
}

// Lists and maps come in every alias that some client has; the answer to a bad one names the
// parameter.
func TestFlattening(t *testing.T) {
	filter := func(pairs ...string) []chat.Filter {
		var out []chat.Filter
		for i := 0; i < len(pairs); i += 2 {
			out = append(out, chat.Filter{Name: pairs[i], Value: pairs[i+1]})
		}
		return out
	}
	w, got := echoed(t)
	for name, test := range map[string]struct {
		params string
		want   echo
		code   string
	}{
		"nothing": {params: ""},
		"unknown parameters": {params: "Colour=x SourceIp=1.2.3.4 OwnerId=1 " +
			"Product=oos Nothing.1=x ReadTimeout=3"},
		"a misspelt parameter":        {params: "Nmae=x", code: "InvalidParameter.Nmae"},
		"a parameter in another case": {params: "name=x", code: "InvalidParameter.name"},
		"a parameter with hyphens":    {params: "resource-ids=x", code: "InvalidParameter.resource-ids"},
		"a misspelt list":             {params: "Filtres.1.Name=x", code: "InvalidParameter.Filtres.1.Name"},
		"a misspelt list, singular":   {params: "Fliter.1.Name=x", code: "InvalidParameter.Fliter.1.Name"},
		"two misspelt parameters":     {params: "tEXT=x Revison=1", code: "InvalidParameter.Revison"},

		"text":                        {params: "Text=a+*~/=&b", want: echo{Text: "a+*~/=&b"}},
		"text that is there, empty":   {params: "Name=", want: echo{Name: ptr("")}},
		"a number":                    {params: "Number=-7", want: echo{Number: ptr(int64(-7))}},
		"an invalid number":           {params: "Number=7.5", code: "InvalidParameter.Number"},
		"an empty number":             {params: "Number= Revision= Secret= Text="},
		"a number too large":          {params: "Number=9223372036854775808", code: "InvalidParameter.Number"},
		"a number with underscores":   {params: "Number=1_000", code: "InvalidParameter.Number"},
		"true":                        {params: "All=True", want: echo{All: true}},
		"false":                       {params: "All=FALSE"},
		"an empty boolean":            {params: "All="},
		"an invalid boolean":          {params: "All=1", code: "InvalidParameter.All"},
		"a flattened text is no text": {params: "Text.1=a", code: "InvalidParameter.Text.1"},

		"filters flattened": {params: "Filters.1.Name=type Filters.1.Value=DingTalk " +
			"Filters.2.Name=Name Filters.2.Value=a*", want: echo{Filters: filter("type", "DingTalk", "Name", "a*")}},
		"filters flattened, out of order": {params: "Filters.10.Value=j Filters.2.Name=b Filters.10.Name=j " +
			"Filters.2.Value=b", want: echo{Filters: filter("b", "b", "j", "j")}},
		"filters flattened, with gaps": {params: "Filters.5.Name=a Filters.900.Name=b",
			want: echo{Filters: filter("a", "", "b", "")}},
		"filters as JSON, by the CLI": {
			params: `Filters=[{"Name":"type","Value":"DingTalk"},{"Value":2,"Name":true}]`,
			want:   echo{Filters: filter("type", "DingTalk", "true", "2")}},
		"filters as JSON with null": {params: `Filters=[{"Name":"type","Value":null}]`,
			want: echo{Filters: filter("type", "")}},
		"filters as an empty array": {params: "Filters=[]"},
		"filters empty":             {params: "Filters="},
		"filters as JSON and flattened": {params: `Filters=[{"Name":"a","Value":"1"}] Filters.1.Name=b ` +
			`Filters.1.Value=2`, want: echo{Filters: filter("a", "1", "b", "2")}},
		"a filter without name": {params: "Filters.1.Value=x", code: "MissingParameter.Filters"},
		"a filter of empty name": {params: "Filters.1.Name= Filters.1.Value=x",
			code: "MissingParameter.Filters"},
		"a filter in JSON without name": {params: `Filters=[{"Value":"x"}]`, code: "InvalidParameter.Filters"},
		"filters as an object": {params: `Filters={"type":"DingTalk","Name":"a*"}`,
			want: echo{Filters: filter("type", "DingTalk", "Name", "a*")}},
		"a filter as an object": {params: `Filters={"Value":"DingTalk","Name":"type"}`,
			want: echo{Filters: filter("type", "DingTalk")}},
		"filters as plain text": {params: "Filters=type=DingTalk",
			want: echo{Filters: filter("type", "DingTalk")}},
		"a filter as a JSON string": {params: `Filters="Name=a=b"`,
			want: echo{Filters: filter("Name", "a=b")}},
		"filters as strings": {params: `Filters=["type=DingTalk","Name=a*"]`,
			want: echo{Filters: filter("type", "DingTalk", "Name", "a*")}},
		"filters singular": {params: `Filter.1.Name=type Filter.1.Value=DingTalk`,
			want: echo{Filters: filter("type", "DingTalk")}},
		"filters singular, as JSON": {params: `Filter=[{"Name":"type","Value":"DingTalk"}]`,
			want: echo{Filters: filter("type", "DingTalk")}},
		"filters nested": {params: `Filters.Filter.1.Name=type Filters.Filter.1.Value=DingTalk`,
			want: echo{Filters: filter("type", "DingTalk")}},
		"filters flattened as text": {params: `Filters.1=type=DingTalk Filter.2={"Name":"Name","Value":"x"}`,
			want: echo{Filters: filter("type", "DingTalk", "Name", "x")}},
		"filters sent empty": {params: "Filters.1.Name= Filters.1.Value= Filters.2= Filter="},
		"several filters in plain text": {params: "Filters=type=DingTalk,Name=a",
			code: "InvalidParameter.Filters"},
		"a filter whole and in parts": {params: "Filters.1=type=DingTalk Filters.1.Name=a",
			code: "InvalidParameter.Filters"},
		"filters as text":    {params: "Filters=type", code: "InvalidParameter.Filters"},
		"filters as null":    {params: "Filters=null", code: "InvalidParameter.Filters"},
		"filters of strings": {params: `Filters=["type"]`, code: "InvalidParameter.Filters"},
		"filters of arrays":  {params: `Filters=[[]]`, code: "InvalidParameter.Filters"},
		"a filter whose value is an array": {params: `Filters=[{"Name":"type","Value":["a"]}]`,
			code: "InvalidParameter.Filters"},
		"a filter with a part more in JSON": {params: `Filters=[{"Name":"type","Operator":"eq"}]`,
			code: "InvalidParameter.Filters"},
		"a filter with a part more": {params: "Filters.1.Name=a Filters.1.Operator=eq",
			code: "InvalidParameter.Filters"},
		"a filter with no part":           {params: "Filters.1=a", code: "InvalidParameter.Filters"},
		"a filter with a part of a part":  {params: "Filters.1.Value.1=a", code: "InvalidParameter.Filters"},
		"a filter's part in another case": {params: "Filters.1.name=a", code: "InvalidParameter.Filters"},
		"index 0":                         {params: "Filters.0.Name=a", code: "InvalidParameter.Filters"},
		"index 1001":                      {params: "Filters.1001.Name=a", code: "InvalidParameter.Filters"},
		"index -1":                        {params: "Filters.-1.Name=a", code: "InvalidParameter.Filters"},
		"index +1":                        {params: "Filters.+1.Name=a", code: "InvalidParameter.Filters"},
		"index 01, which is 1 too": {params: "Filters.1.Name=a Filters.01.Name=b",
			code: "InvalidParameter.Filters"},
		"index 1e1":               {params: "Filters.1e1.Name=a", code: "InvalidParameter.Filters"},
		"index of another script": {params: "Filters.١.Name=a", code: "InvalidParameter.Filters"},
		"no index":                {params: "Filters..Name=a", code: "InvalidParameter.Filters"},
		"nothing behind the dot":  {params: "Filters.=a", code: "InvalidParameter.Filters"},
		"an index beyond 64 bits": {params: "Filters.99999999999999999999.Name=a",
			code: "InvalidParameter.Filters"},
		"a name that only begins like a list": {params: "FiltersOfMine=1 Filtersets.1.Name=a"},

		"tags as an object": {params: `Tags={"env":"prod","团队":"运维","n":1,"b":true,"none":null}`,
			want: echo{Tags: map[string]string{"env": "prod", "团队": "运维", "n": "1", "b": "true", "none": ""}}},
		"tags as an array": {params: `Tags=[{"Key":"env","Value":"prod"},{"Key":"a"}]`,
			want: echo{Tags: map[string]string{"env": "prod", "a": ""}}},
		"tags flattened": {params: "Tags.1.Key=env Tags.1.Value=prod Tags.3.Key=a",
			want: echo{Tags: map[string]string{"env": "prod", "a": ""}}},
		"tags flattened, singular": {params: "Tag.1.Key=env Tag.1.Value=prod",
			want: echo{Tags: map[string]string{"env": "prod"}}},
		"tags flattened in both ways": {params: "Tags.1.Key=a Tags.1.Value=1 Tag.1.Key=b Tag.1.Value=2",
			want: echo{Tags: map[string]string{"a": "1", "b": "2"}}},
		"tags as an object and flattened": {params: `Tags={"a":"1"} Tags.1.Key=b Tags.1.Value=2 Tag.1.Key=c ` +
			`Tag=[{"Key":"d"}]`, want: echo{Tags: map[string]string{"a": "1", "b": "2", "c": "", "d": ""}}},
		"tags as an array and flattened": {params: `Tags=[{"Key":"a"}] Tag.1.Key=b Tags.1.Key=c`,
			want: echo{Tags: map[string]string{"a": "", "b": "", "c": ""}}},
		"tags with space before":   {params: `Tags=␣{"a":"1"}`, want: echo{Tags: map[string]string{"a": "1"}}},
		"no tags":                  {params: "Tags={}"},
		"a tag of empty key":       {params: `Tags={"":"x"}`, want: echo{Tags: map[string]string{"": "x"}}},
		"a tag twice in an object": {params: `Tags={"a":"1","a":"1"}`, code: "InvalidParameter.Tags"},
		"a tag twice in an array": {params: `Tags=[{"Key":"a"},{"Key":"a"}]`,
			want: echo{Tags: map[string]string{"a": ""}}},
		"a tag twice in two spellings": {params: "Tags.1.Key=a Tag.1.Key=a",
			want: echo{Tags: map[string]string{"a": ""}}},
		"a tag with two values": {params: `Tags=[{"Key":"a"},{"Key":"a","Value":"1"}]`,
			code: "InvalidParameter.Tags"},
		"a tag with two values, singular": {params: "Tags.1.Key=a Tag.1.Key=a Tag.1.Value=1",
			code: "InvalidParameter.Tags"},
		"tags as plain text": {params: "Tags=env=prod",
			want: echo{Tags: map[string]string{"env": "prod"}}},
		"tags as plain text, singular": {params: "Tag=env=a=b", want: echo{Tags: map[string]string{"env": "a=b"}}},
		"tags as strings": {params: `Tags=["env=prod","team="]`,
			want: echo{Tags: map[string]string{"env": "prod", "team": ""}}},
		"tags as a JSON string": {params: `Tags="env=prod"`,
			want: echo{Tags: map[string]string{"env": "prod"}}},
		"one tag as an object": {params: `Tags={"Key":"env","Value":"prod"}`,
			want: echo{Tags: map[string]string{"env": "prod"}}},
		"one tag as an object, singular": {params: `Tag={"TagKey":"env","TagValue":"prod"}`,
			want: echo{Tags: map[string]string{"env": "prod"}}},
		"tags with the answer's names": {params: "Tag.1.TagKey=env Tag.1.TagValue=prod",
			want: echo{Tags: map[string]string{"env": "prod"}}},
		"tags nested": {params: "Tags.Tag.1.Key=env Tags.Tag.1.Value=prod Tag.Tags.1.Key=x",
			want: echo{Tags: map[string]string{"env": "prod", "x": ""}}},
		"tags flattened as text": {params: `Tags.1=env=prod Tag.2={"Key":"a"}`,
			want: echo{Tags: map[string]string{"env": "prod", "a": ""}}},
		"tags sent empty":                 {params: "Tags= Tag= Tags.1.Key= Tags.1.Value= Tag.1="},
		"a tag's key under two names":     {params: "Tag.1.TagKey=a Tag.1.Key=b", code: "InvalidParameter.Tags"},
		"several tags in plain text":      {params: "Tags=env=prod,team=ops", code: "InvalidParameter.Tags"},
		"a tag in plain text without key": {params: "Tags==prod", code: "InvalidParameter.Tags"},
		"a tag that is broken JSON":       {params: `Tags.1={"Key":`, code: "InvalidParameter.Tags"},
		"a tag in object and flattened": {params: `Tags={"a":"1"} Tag.1.Key=a Tag.1.Value=2`,
			code: "InvalidParameter.Tags"},
		"a tag value alone":              {params: "Tags.1.Value=x", code: "MissingParameter.Tags"},
		"a tag value alone, singular":    {params: "Tag.1.Value=x", code: "MissingParameter.Tags"},
		"a tag whose value is an object": {params: `Tags={"a":{}}`, code: "InvalidParameter.Tags"},
		"tags by Name":                   {params: "Tags.1.Name=a", code: "InvalidParameter.Tags"},
		"tags as text":                   {params: "Tags=env", code: "InvalidParameter.Tags"},
		"tags as a broken object":        {params: `Tags={"a"`, code: "InvalidParameter.Tags"},
		"tags as words":                  {params: `Tags=["a"]`, code: "InvalidParameter.Tags"},

		"ids as an array": {params: `ResourceIds=["b","a"]`,
			want: echo{ResourceIDs: []string{"b", "a"}}},
		"ids as the Go SDK's object": {params: `ResourceIds={"0":"t1","2":"t3","10":"t4","1":"t2"}`,
			want: echo{ResourceIDs: []string{"t1", "t2", "t3", "t4"}}},
		"ids as keys with true": {params: `ResourceIds={"t1":true,"t2":true}`,
			want: echo{ResourceIDs: []string{"t1", "t2"}}},
		"ids as keys with nothing": {params: `ResourceIds={"t2":"","t1":null}`,
			want: echo{ResourceIDs: []string{"t1", "t2"}}},
		"ids as keys, and one has a value": {params: `ResourceIds={"t2":"","t1":"x"}`,
			want: echo{ResourceIDs: []string{"x", ""}}},
		"ids as an empty object": {params: `ResourceIds={}`},
		"ids flattened": {params: "ResourceIds.2=b ResourceIds.1=a ResourceIds.10=c",
			want: echo{ResourceIDs: []string{"a", "b", "c"}}},
		"ids flattened, singular": {params: "ResourceId.1=a ResourceId.2=b",
			want: echo{ResourceIDs: []string{"a", "b"}}},
		"ids of numbers": {params: `ResourceIds=[1,2e3,true]`,
			want: echo{ResourceIDs: []string{"1", "2e3", "true"}}},
		"ids in all spellings": {params: `ResourceIds=["a"] ResourceIds.1=b ResourceId.1=c`,
			want: echo{ResourceIDs: []string{"a", "b", "c"}}},
		"ids singular": {params: "ResourceId=a", want: echo{ResourceIDs: []string{"a"}}},
		"ids singular, as an array": {params: `ResourceId=["a","b"]`,
			want: echo{ResourceIDs: []string{"a", "b"}}},
		"ids as plain text": {params: "ResourceIds=ops", want: echo{ResourceIDs: []string{"ops"}}},
		"ids as a string":   {params: `ResourceIds="a"`, want: echo{ResourceIDs: []string{"a"}}},
		"ids as a number":   {params: "ResourceIds=7", want: echo{ResourceIDs: []string{"7"}}},
		"ids nested": {params: "ResourceIds.ResourceId.1=a ResourceIds.ResourceId.2=b",
			want: echo{ResourceIDs: []string{"a", "b"}}},
		"ids sent empty":            {params: "ResourceIds= ResourceIds.1= ResourceId.1="},
		"several ids in plain text": {params: "ResourceIds=a,b", code: "InvalidParameter.ResourceIds"},
		"ids as broken JSON":        {params: `ResourceIds=["a"`, code: "InvalidParameter.ResourceIds"},
		"an id whole and in parts": {params: "ResourceIds.1=a ResourceIds.1.x=b",
			code: "InvalidParameter.ResourceIds"},
		"ids as null":       {params: "ResourceIds=null", code: "InvalidParameter.ResourceIds"},
		"ids of arrays":     {params: `ResourceIds=[["a"]]`, code: "InvalidParameter.ResourceIds"},
		"ids of objects":    {params: `ResourceIds={"0":{}}`, code: "InvalidParameter.ResourceIds"},
		"an id with a part": {params: "ResourceIds.1.Name=a", code: "InvalidParameter.ResourceIds"},
		"an id of index 0":  {params: "ResourceIds.0=a", code: "InvalidParameter.ResourceIds"},
		"ids that a key twice makes ambiguous": {params: `ResourceIds={"0":"a","0":"b"}`,
			code: "InvalidParameter.ResourceIds"},

		"tag keys twice, as Terraform does": {params: `TagKeys=["a","b"] TagKey.1=a TagKey.2=b`,
			want: echo{TagKeys: []string{"a", "b"}}},
		"tag keys that differ": {params: `TagKeys=["a"] TagKey.1=b`,
			want: echo{TagKeys: []string{"a", "b"}}},
		"tag keys flattened":               {params: "TagKeys.1=a", want: echo{TagKeys: []string{"a"}}},
		"tag keys as plain text":           {params: "TagKeys=env", want: echo{TagKeys: []string{"env"}}},
		"tag keys as plain text, singular": {params: "TagKey=env", want: echo{TagKeys: []string{"env"}}},
		"tag keys nested":                  {params: "TagKeys.TagKey.1=env", want: echo{TagKeys: []string{"env"}}},

		"of several mistakes always the same": {params: "Filters.x=1 Filters.y=1 Filters.0.Name=1 Filters.z=1",
			code: "InvalidParameter.Filters"},
	} {
		t.Run(name, func(t *testing.T) {
			w.TB = t
			*got = echo{}
			a := w.do(request{action: "GetEcho", query: parse(test.params)})
			if a.Code != test.code || test.code != "" && a.status != http.StatusBadRequest {
				t.Fatalf("%s: %v, want %q", test.params, a, test.code)
			}
			if test.code == "" {
				if diff := cmp.Diff(test.want, *got); diff != "" {
					t.Errorf("%s: -want +got\n%s", test.params, diff)
				}
				return
			}
			_, param, _ := strings.Cut(test.code, ".")
			if !strings.Contains(a.Message, param) {
				t.Errorf("the message does not name %s: %v", param, a)
			}
			for range 10 {
				if again := w.do(request{action: "GetEcho", query: parse(test.params)}); again.Message != a.Message {
					t.Errorf("another answer to the same request: %v and %v", a, again)
				}
			}
		})
	}
}

// In a JSON body parameters are written as what they are.
func TestJSONBody(t *testing.T) {
	w, got := echoed(t)
	for text, want := range map[string]echo{
		`{}`:                                      {},
		` {"Text" : "a\u00e9\n\"\\/<>&\u2028"} `:  {Text: "aé\n\"\\/<>&\u2028"},
		`{"Text":"😀 \ud83d\ude00"}`:               {Text: "😀 😀"},
		`{"Text":1.50}`:                           {Text: "1.50"},
		`{"Text":1e400}`:                          {Text: "1e400"},
		`{"Text":true,"All":true}`:                {Text: "true", All: true},
		`{"Text":null,"Name":null,"Number":null}`: {},
		`{"Text":[],"Name":""}`:                   {Text: "[]", Name: ptr("")},
		`{"Text":{"b":1,"a":[2,"<"]}}`:            {Text: `{"b":1,"a":[2,"<"]}`},
		`{"Number":12345678901234567}`:            {Number: ptr(int64(12345678901234567))},
		`{"Number":"7"}`:                          {Number: ptr(int64(7))},
		`{"Filters":[{"Name":"a","Value":"b"}]}`:  {Filters: []chat.Filter{{Name: "a", Value: "b"}}},
		`{"Filters.1.Name":"a"}`:                  {Filters: []chat.Filter{{Name: "a"}}},
		`{"Tags":{"a":"b"},"TagKeys":["x"]}`:      {Tags: map[string]string{"a": "b"}, TagKeys: []string{"x"}},
		`{"ResourceIds":["a","b"]}`:               {ResourceIDs: []string{"a", "b"}},
		`{"Texture":"no parameter of ours"}`:      {},
		`{"Secret":{"k":"` + planted + `"}}`:      {Secret: secret.Text(`{"k":"` + planted + `"}`)},
	} {
		*got = echo{}
		w.wantOK(w.do(request{action: "GetEcho", json: text}))
		if diff := cmp.Diff(want, *got,
			cmp.Comparer(func(a, b secret.Text) bool { return a.Reveal() == b.Reveal() })); diff != "" {
			t.Errorf("%s: -want +got\n%s", text, diff)
		}
	}
	for text, code := range map[string]string{
		`{"Text":01}`:             "InvalidParameter",
		`{"Text":'a'}`:            "InvalidParameter",
		`{"Text":"a",}`:           "InvalidParameter",
		`{"Text":NaN}`:            "InvalidParameter",
		`{Text:"a"}`:              "InvalidParameter",
		`"Text"`:                  "InvalidParameter",
		`null`:                    "InvalidParameter",
		"\ufeff{}":                "InvalidParameter",
		`{"Number":1.5}`:          "InvalidParameter.Number",
		`{"Number":[1]}`:          "InvalidParameter.Number",
		`{"All":"yes"}`:           "InvalidParameter.All",
		`{"text":"in its case"}`:  "InvalidParameter.text",
		`{"Tags":7}`:              "InvalidParameter.Tags",
		`[]`:                      "InvalidParameter",
		`{"Text":`:                "InvalidParameter",
		`{} {}`:                   "InvalidParameter",
		"{\"Text\":\"\xff\"}":     "InvalidParameter",
		`{"Text":"a","Text":"a"}`: "InvalidParameter",
		`{"Tags":` + strings.Repeat("[", 20) + strings.Repeat("]", 20) + `}`: "InvalidParameter",
		`{"Secret":"` + planted + `"]`:                                       "InvalidParameter",
	} {
		w.want(w.do(request{action: "GetEcho", json: text}), 400, code)
	}
}

// A parameter of caller-chosen length or bytes does not come back in whole.
func TestLongNamesAreCut(t *testing.T) {
	w := newWorld(t, nil)
	long := strings.Repeat("x", 10_000)
	for _, raw := range []string{long + "=1&" + long + "=2", "Filters." + long + "=1", "MaxResults=" + long,
		"Filters.1." + long + "=1", "%00%ff=1&%00%ff=2"} {
		a := w.do(request{action: "ListChatConfigurations", change: func(r *http.Request) {
			r.URL.RawQuery = raw
			if err := admin.SignACS3(r, nil, w.clock.Now(), w.nonce()); err != nil && !strings.Contains(raw, "=2") {
				t.Fatal(err)
			}
		}})
		if a.status != 400 || len(a.body) > 1000 || strings.ContainsFunc(a.Code,
			func(r rune) bool { return r <= ' ' || r > '~' }) {
			t.Errorf("%.20s: %v", raw, a)
		}
	}
}

// What an action says that it takes is what makes a difference to its request.
func TestTakesIsWhatIsRead(t *testing.T) {
	action := rpc.NewAction("GetEcho", func(*chat.Service, context.Context, *echo) (*chat.Empty, error) {
		return nil,
			nil
	})
	read := 0
	for _, name := range append(action.Parameters(), "", "name", "Nam", "Names", "Name.1", "Tex", "SourceIp",
		"Filter", "Filters.1", "Filters.1.Name", "Filter.1.Name", "Tag", "Tags.1.Key", "Tag.1.Key", "Tag.x",
		"Tagging.1.Key", "ResourceId", "ResourceId.1",
		"ResourceIds.1", "ResourceIdss.1", "TagKey", "TagKey.1", "TagKeys.1", "TagKeys.",
		"Number.1", "Revisions", "ClientToken") {
		made := false
		for _, value := range []string{"1", "true", `["a"]`, `[{"Key":"a"}]`, `[{"Name":"a"}]`} {
			got, err := rpc.Fill[echo](url.Values{name: {value}})
			if err != nil && strings.HasPrefix(err.Error(), "Unknown parameter") {
				continue
			}
			made = made || err != nil || !cmp.Equal(got, new(echo))
		}
		if got := action.Takes(name); got != made {
			t.Errorf("Takes(%q) = %v, but that it is read is %v", name, got, made)
		}
		if made {
			read++
		}
	}
	if read < len(action.Parameters()) {
		t.Errorf("only %d names are read", read)
	}
	if !action.TakesSecret() || rpc.NewAction("GetChatConfiguration", (*chat.Service).Get).TakesSecret() {
		t.Error("which action takes a secret is wrong")
	}
}

// takenBy returns those of the parameters that an action takes.
func takenBy(action string, all url.Values) url.Values {
	out := make(url.Values)
	for _, a := range rpc.Actions() {
		for name, values := range all {
			if a.Name == action && a.Takes(name) {
				out[name] = values
			}
		}
	}
	return out
}

// The actions' own requests can be filled from nothing and from everything at once.
func TestEveryRequestTypeCanBeFilled(t *testing.T) {
	all := parse("RegionId=cn-hangzhou Name=n Type=t RamRole=r Configuration={} ResourceGroupId=g Status=s " +
		"ClientToken=c Revision=1 MaxResults=2 " +
		`NextToken=x ResourceType=y ResourceIds=["a"] Tags={"a":"b"} TagKeys=["k"] All=true Key=k ResourceId=i ` +
		`NewResourceGroupId=z Filters=[] ` +
		"UserId=u ConversationId=v Command=w User=u Decision=d State=g Target=h Since=e Until=f GraceSeconds=3 " +
		"Value=j Compared=4 SendTo=m DestinationName=k DestinationRegionId=l")
	for name, fill := range fillers {
		empty, err := fill(url.Values{})
		if err != nil {
			t.Errorf("%s of nothing: %v", name, err)
		}
		full, err := fill(takenBy(name, all))
		if err != nil {
			t.Errorf("%s of everything: %v", name, err)
		}
		if cmp.Equal(empty, full) {
			t.Errorf("%s: nothing was read", name)
		}
		for _, field := range encoded(full) {
			if field == "" {
				t.Errorf("%s: a field was not read: %#v", name, full)
			}
		}
	}
	if got, want := len(fillers), len(rpc.Actions()); got != want {
		t.Errorf("%d request types are tried, want those of %d actions", got, want)
	}
}

// All mistakes of a request are in one answer, those of its wire and those of its meaning, by
// whichever way it comes; its code is the first's.
func TestAllMistakesAtOnce(t *testing.T) {
	w := newWorld(t, nil)
	for _, c := range []struct {
		action, params, code string
		texts                []string
	}{
		{"ListChatConfigurations", "MaxResults=many Filters={ NxtToken=x RegionId=X", "InvalidParameter.Filters",
			[]string{"Filters is not JSON: it ends too early, at line 1, column 2; write [{",
				`"many" is not a whole number`, `"NxtToken"; did you mean NextToken?`, "RegionId "}},
		{"ListChatConfigurations", "MaxResults=1000 Filter.1.Name=Owner Filter.1.Value=x Filter.2.Name=Status",
			"InvalidParameter.MaxResults",
			[]string{"MaxResults is 1000", `Unknown filter "Owner"`, `"Status" has no value`}},
		{"TagResources", "ResourceIds=a,b Tags=x", "InvalidParameter.ResourceIds",
			[]string{"ResourceType is mandatory", `write a JSON list such as ["ops"]`,
				`Tags has no Key; write {"env":"prod"}`}},
		{"CreateChatConfiguration", "name=ops Type=Slack RamRole=a:b Configuration={\"SigningSecret\":\"" + planted +
			"\",\"X\":1} Tags=x", "InvalidParameter.Tags",
			[]string{`"name"; did you mean Name?`, "Name is mandatory", "RamRole ", "Configuration.X: unknown key"}},
		{"UpdateChatConfiguration", "Name=ops Revision=new Status=Sleeping Configuration={",
			"InvalidParameter.Revision",
			[]string{`"new" is not a whole number`, "Unknown Status ", "Configuration is not JSON: it ends too early"}},
		{"GetChatConfiguration", "Nmae=ops", "InvalidParameter.Nmae",
			[]string{`Unknown parameter "Nmae"; did you mean Name?`, "Name is mandatory"}},
		{"ListTagResources", "ResourceIds=[[1],[2]] MaxResults=x", "InvalidParameter.ResourceIds",
			[]string{"ResourceIds[0] is an array", "ResourceIds[1] is an array",
				`"x" is not`, "ResourceType is mandatory"}},
		{"GetChatConfigurationRevision", "Name=ops Revision=x Compared=0", "InvalidParameter.Revision",
			[]string{`"x" is not a whole number`, "Compared is 0"}},
	} {
		params := parse(c.params)
		object := make(map[string]string)
		for name := range params {
			object[name] = params.Get(name)
		}
		text, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		object["Action"] = c.action
		event, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		answers := map[string]answer{
			"query": w.do(request{action: c.action, query: params}),
			"form":  w.do(request{action: c.action, form: params, v1: true}),
			"JSON":  w.do(request{action: c.action, json: string(text)}),
		}
		said, err := w.handler.ServeEvent(t.Context(), chat.Caller{Account: account,
			Policies: []*policy.Policy{policy.Administrator()}}, rpc.Event{Data: event})
		var a answer
		if err := errors.Join(err, json.Unmarshal(said, &a)); err != nil {
			t.Fatal(err)
		}
		answers["event"] = a
		for way, a := range answers {
			if strings.Contains(a.Message, "Revision is 0") { // it is what a value that cannot be read looks like
				t.Errorf("%s %s as %s names a mistake that nobody made:\n%s", c.action, c.params, way, a.Message)
			}
			if a.Code != c.code {
				t.Errorf("%s %s as %s: %v, want %s", c.action, c.params, way, a, c.code)
			}
			for _, text := range c.texts {
				if !strings.Contains(a.Message, text) {
					t.Errorf("%s %s as %s: the message does not hold %q:\n%s", c.action, c.params, way, text, a.Message)
				}
			}
		}
	}
}

// A parameter that may be left out may be sent empty instead, whatever the action. Only of an
// update's strings it says something.
func TestEmptyIsAbsent(t *testing.T) {
	w := newWorld(t, nil)
	w.wantOK(w.do(create("one")))
	given := map[string]url.Values{
		"CreateChatConfiguration": {"Name": {"two"}, "Type": {"DingTalk"}, "Configuration": {configuration}},
		"SimulateChatPermission":  {"Name": {"one"}, "UserId": {"u"}, "ConversationId": {"c"}, "Command": {"x"}},
		"TagResources":            {"ResourceType": {"chatconfiguration"}, "ResourceIds": {"one"}, "Tags": {"a=b"}},
		"UntagResources":          {"ResourceType": {"chatconfiguration"}, "ResourceIds": {"one"}, "TagKeys": {"a"}},
		"ListTagResources":        {"ResourceType": {"chatconfiguration"}},
		"ListTagValues":           {"Key": {"a"}},
		"CopyChatConfiguration":   {"Name": {"one"}, "DestinationName": {"copy"}},
		"RotateChatSecret":        {"Name": {"one"}, "Key": {"DingTalkClientSecret"}, "Value": {"another"}},
		"ChangeResourceGroup": {"ResourceType": {"chatconfiguration"},
			"ResourceId": {"one"}, "NewResourceGroupId": {"g"}},
	}
	for _, action := range rpc.Actions() {
		if action.Name == "ListChatCommands" || action.Name == "GetChatConfigurationHealth" { // they need a journal
			continue
		}
		query := url.Values{"Name": {"one"}, "Revision": {"1"}}
		if more, ok := given[action.Name]; ok {
			query = clone(more)
		}
		if !action.Takes("Name") {
			query.Del("Name")
		}
		if action.Name != "GetChatConfigurationRevision" && action.Name != "RestoreChatConfiguration" {
			query.Del("Revision") // it is a condition
		}
		for _, name := range action.Parameters() {
			if !query.Has(name) {
				query.Set(name, "")
			}
		}
		if action.Name == "DeleteChatConfiguration" {
			query.Set("Name", "two")
		}
		a := w.do(request{action: action.Name, query: query})
		if a.status != http.StatusOK && !(action.Name == "DeleteChatConfiguration" &&
			a.Code == "EntityNotExists.ChatConfiguration") {
			t.Errorf("%s with the rest empty: %v", action.Name, a)
		}
	}
}

// New tags that are absent or sent empty change nothing; an empty object or array removes all.
func TestNewTags(t *testing.T) {
	type request struct {
		Tags *map[string]string `param:"Tags"`
	}
	for text, want := range map[string]*map[string]string{
		"": nil, "Tags=": nil, "Tags=␣": nil, "Tag.1.Key=": nil, "Other={}": nil,
		"Tags={}": {}, "Tags=[]": {}, "Tag=␣{}": {}, `Tags={"a":"1"}`: {"a": "1"}, "Tag.1.Key=a": {"a": ""},
		"Tags={} Tags.1.Key=a Tags.1.Value=1": {"a": "1"},
	} {
		got, err := rpc.Fill[request](parse(text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if diff := cmp.Diff(want, got.Tags); diff != "" {
			t.Errorf("%s: -want +got\n%s", text, diff)
		}
	}
	for _, text := range []string{"Tags=null", "Tags=env", `Tags={"a":"1"} Tag.1.Key=a`, "Tags.x=1", "Tgas={}"} {
		if got, err := rpc.Fill[request](parse(text)); err == nil {
			t.Errorf("%s: %v, want an error", text, got.Tags)
		}
	}
}

package serve_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"chatconf/shared/serve"
)

func TestParse(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for _, test := range []struct {
		name, text, want string // part of the error, empty for none
	}{
		{"an object", ` {"a": [1, -2.5e+10, true, false, null, "x\"\\\/\b\f\n\r\t\u00e9"] , "b":{}, "c":[ ]} `, ""},
		{"a huge number", `{"a":1e999999999999999999}`, ""},
		{"nothing", "", "not JSON, at byte"},
		{"only space", " \n", "not JSON, at byte"},
		{"two values", `{} {}`, "not JSON, at byte"},
		{"a truncated object", `{"a":1`, "not JSON, at byte"},
		{"a truncated list", `[1`, "not JSON, at byte"},
		{"a truncated string", `"abc`, "not JSON, at byte"},
		{"a truncated escape", `"abc\`, "not JSON, at byte"},
		{"a truncated code point", `"\u12`, "not JSON, at byte"},
		{"an invalid code point", `"\u12g4"`, "not JSON, at byte"},
		{"a code point with a sign", `"\u+123"`, "not JSON, at byte"},
		{"an unknown escape", `"\x"`, "not JSON, at byte"},
		{"a control character", "\"a\nb\"", "not JSON, at byte"},
		{"a comma at the end", `[1,]`, "not JSON, at byte"},
		{"a comma at the end of an object", `{"a":1,}`, "not JSON, at byte"},
		{"a key that is no string", `{1:2}`, "not JSON, at byte"},
		{"a broken key", `{"\x":2}`, "not JSON, at byte"},
		{"no colon", `{"a" 1}`, "not JSON, at byte"},
		{"a broken member", `{"a":x}`, "not JSON, at byte"},
		{"a number with a leading zero", `[01]`, "not JSON, at byte"},
		{"a number without digits", `[-]`, "not JSON, at byte"},
		{"a fraction without digits", `[1.]`, "not JSON, at byte"},
		{"an exponent without digits", `[1e+]`, "not JSON, at byte"},
		{"an invalid word", `[nul]`, "not JSON, at byte"},
		{"invalid UTF-8", "\"\xff\"", "UTF-8"},
		{"as deep as may be", deep(serve.MaxDepth), ""},
		{"deeper than may be", deep(serve.MaxDepth + 1), "deep"},
		{"a million levels", deep(1_000_000), "deep"},
		{"as many members as may be", manyMembers(serve.MaxMembers), ""},
		{"more members than may be", manyMembers(serve.MaxMembers + 1), "more than 1000 members"},
		{"more members than may be, one level down", `{"a":` + manyMembers(serve.MaxMembers+1) +
			`}`, "more than 1000 members"},
		{"more members than may be, in a list", `[` + manyMembers(serve.MaxMembers+1) + `]`, "more than 1000 members"},
		{"many members further down", `{"a":{"b":` + manyMembers(serve.MaxMembers+1) + `}}`, ""},
	} {
		_, err := serve.Parse([]byte(test.text))
		if test.want == "" && err != nil || test.want != "" &&
			(err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, want an error with %q", test.name, err, test.want)
		}
	}
}

// The reader takes what encoding/json takes, but for its limits, and sees the same in it.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{`{"a":1,"a":{"b":[1,2,"]"]}}`, `["\ud83d\ude00","\ud800",-0.5E7]`, `"\\"`,
		` [ true , null ] `, `{"\u0061":"é"}`, "\xff", `[[[[`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := serve.Parse(text)
		if valid := json.Valid(text); err == nil && !valid {
			t.Fatalf("Parse takes %q, which is no JSON", text)
		} else if err != nil && valid && utf8.Valid(text) && bytes.Count(text, []byte("["))+
			bytes.Count(text, []byte("{")) <= serve.MaxDepth && bytes.Count(text, []byte(":")) <= serve.MaxMembers {
			t.Fatalf("Parse refuses %q: %v", text, err)
		}
		if err != nil {
			return
		}
		if got, want := string(v), strings.Trim(string(text), " \t\r\n"); got != want {
			t.Errorf("Parse = %q, want %q", got, want)
		}
		var object map[string]json.RawMessage
		if v[0] == '{' {
			if err := json.Unmarshal(text, &object); err != nil {
				t.Fatal(err)
			}
		}
		members := v.Members()
		if len(members) != len(object) {
			t.Errorf("%d members are seen, want %d", len(members), len(object))
		}
		for key, want := range object {
			if members[key] != string(want) {
				t.Errorf("member %q is %q, want %q", key, members[key], want)
			}
		}
		var list []json.RawMessage
		if v[0] == '[' {
			if err := json.Unmarshal(text, &list); err != nil {
				t.Fatal(err)
			}
		}
		items := v.Items()
		if len(items) != len(list) {
			t.Fatalf("%d items are seen, want %d", len(items), len(list))
		}
		for i, want := range list {
			if items[i] != string(want) {
				t.Errorf("item %d is %q, want %q", i, items[i], want)
			}
		}
		if v[0] == '"' {
			var want string
			if err := json.Unmarshal(text, &want); err != nil {
				t.Fatal(err)
			}
			if got, ok := v.Text(); !ok || got != want {
				t.Errorf("text = %q, want %q", got, want)
			}
		}
	})
}

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
		{"nothing", "", "ends where a value"},
		{"only space", " \n", "ends where a value"},
		{"two values", `{} {}`, "after its end"},
		{"a truncated object", `{"a":1`, "does not end"},
		{"a truncated list", `[1`, "does not end"},
		{"a truncated string", `"abc`, "does not end"},
		{"a truncated escape", `"abc\`, "escape"},
		{"a truncated code point", `"\u12`, "escape"},
		{"a code point that is none", `"\u12g4"`, "escape"},
		{"a code point with a sign", `"\u+123"`, "escape"},
		{"an unknown escape", `"\x"`, "escape"},
		{"a control character", "\"a\nb\"", "control character"},
		{"a comma at the end", `[1,]`, "no value"},
		{"a comma at the end of an object", `{"a":1,}`, "no key"},
		{"a key that is no string", `{1:2}`, "no key"},
		{"a broken key", `{"\x":2}`, "escape"},
		{"no colon", `{"a" 1}`, "no colon"},
		{"a broken member", `{"a":x}`, "no value"},
		{"a number with a leading zero", `[01]`, "does not end"},
		{"a number without digits", `[-]`, "a number"},
		{"a fraction without digits", `[1.]`, "a number"},
		{"an exponent without digits", `[1e+]`, "a number"},
		{"a word that is none", `[nul]`, "no value"},
		{"invalid UTF-8", "\"\xff\"", "UTF-8"},
		{"as deep as may be", deep(serve.MaxDepth), ""},
		{"deeper than may be", deep(serve.MaxDepth + 1), "deep"},
		{"a million levels", deep(1_000_000), "deep"},
		{"as many members as may be", manyMembers(serve.MaxMembers), ""},
		{"more members than may be", manyMembers(serve.MaxMembers + 1), "more than 1000 members"},
		{"more members than may be, one level down", `{"a":` + manyMembers(serve.MaxMembers+1) + `}`, "more than 1000 members"},
		{"more members than may be, in a list", `[` + manyMembers(serve.MaxMembers+1) + `]`, "more than 1000 members"},
		{"many members further down", `{"a":{"b":` + manyMembers(serve.MaxMembers+1) + `}}`, ""},
	} {
		_, err := serve.Parse([]byte(test.text))
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, want an error with %q", test.name, err, test.want)
		}
	}
}

// The reader takes what encoding/json takes, but for its limits, and sees the same in it.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{`{"a":1,"a":{"b":[1,2,"]"]}}`, `["\ud83d\ude00","\ud800",-0.5E7]`, `"\\"`, ` [ true , null ] `, `{"\u0061":"é"}`, "\xff", `[[[[`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := serve.Parse(text)
		if valid := json.Valid(text); err == nil && !valid {
			t.Fatalf("Parse takes %q, which is no JSON", text)
		} else if err != nil && valid && utf8.Valid(text) && bytes.Count(text, []byte("["))+bytes.Count(text, []byte("{")) <= serve.MaxDepth && bytes.Count(text, []byte(":")) <= serve.MaxMembers {
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

// Whatever is appended as a string is read as itself, but that bytes which are no UTF-8 become the replacement character.
func FuzzAppendString(f *testing.F) {
	for _, seed := range []string{"", "a\"\\\n\r\t\x00\x1f\x7f</script>", "é😀\u2028", "a\xffb\xc3", "\xed\xa0\x80"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		text := serve.AppendString(nil, s)
		v, err := serve.Parse(text)
		if err != nil {
			t.Fatalf("AppendString(%q) = %q: %v", s, text, err)
		}
		var want strings.Builder
		for _, r := range s {
			want.WriteRune(r)
		}
		if got, ok := v.Text(); !ok || got != want.String() {
			t.Errorf("AppendString(%q) is read as %q", s, got)
		}
	})
}

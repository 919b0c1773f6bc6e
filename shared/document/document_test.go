package document_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"chatconf/shared/document"
)

func TestParse(t *testing.T) {
	type node = document.Node
	for text, want := range map[string]*node{
		`null`:                    {Kind: document.Literal, Text: "null"},
		` true `:                  {Kind: document.Literal, Text: "true"},
		`false`:                   {Kind: document.Literal, Text: "false"},
		`-1.50e+07`:               {Kind: document.Number, Text: "-1.50e+07"},
		`123456789012345678901`:   {Kind: document.Number, Text: "123456789012345678901"},
		`1e999`:                   {Kind: document.Number, Text: "1e999"},
		`"a\u0000\"\ud83d\ude00"`: {Kind: document.String, Text: "a\x00\"😀"},
		`"\ud800"`:                {Kind: document.String, Text: "\ufffd"},
		`[]`:                      {Kind: document.Array},
		`{}`:                      {Kind: document.Object},
		"[1,\t[\"x\"]\r\n]": {Kind: document.Array, Items: []*node{
			{Kind: document.Number, Text: "1"}, {Kind: document.Array,
				Items: []*node{{Kind: document.String, Text: "x"}}},
		}},
		`{"b":1,"a":{"b":null},"":2}`: {Kind: document.Object, Members: []document.Member{
			{Key: "b", Value: &node{Kind: document.Number, Text: "1"}},
			{Key: "a", Value: &node{Kind: document.Object,
				Members: []document.Member{{Key: "b", Value: &node{Kind: document.Literal, Text: "null"}}}}},
			{Key: "", Value: &node{Kind: document.Number, Text: "2"}},
		}},
	} {
		got, err := document.Parse("Root", text)
		if err != nil {
			t.Errorf("Parse(%s): %v", text, err)
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Parse(%s) (-want +got):\n%s", text, diff)
		}
	}
}

// TestParseRefuses holds what each error says: where, and nothing of the values.
func TestParseRefuses(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for text, want := range map[string]string{
		``:                                  "Root is not JSON: it ends too early",
		` `:                                 "Root is not JSON: it ends too early",
		`{`:                                 "Root is not JSON: it ends too early",
		`[1,`:                               "Root[1] is not JSON: it ends too early",
		`{"a":`:                             "Root.a is not JSON: it ends too early",
		`{"a":"planted`:                     "Root.a is not JSON: it ends too early",
		`{"a"`:                              "Root.a is not JSON: it ends too early",
		`"planted`:                          "Root is not JSON: it ends too early",
		`planted`:                           "Root is not JSON at line ",
		`{"a":planted}`:                     "Root.a is not JSON at line ",
		`{"a":"planted",}`:                  "Root is not JSON at line ",
		`["planted",]`:                      "Root[1] is not JSON at line ",
		`["planted" 1]`:                     "Root[1] is not JSON at line ",
		`{"a" "planted"}`:                   "Root.a is not JSON at line ",
		`{"a":["planted"}`:                  "Root.a is not JSON at line ",
		`{"a":"planted"]`:                   "Root is not JSON at line ",
		`{1:"planted"}`:                     "Root is not JSON",
		`{null:"planted"}`:                  "Root is not JSON",
		`{{}:"planted"}`:                    "Root is not JSON",
		`}`:                                 "Root is not JSON at line ",
		`]`:                                 "Root is not JSON at line ",
		`'planted'`:                         "Root is not JSON at line ",
		`01`:                                "Root is not JSON: it has text after its end, at line ",
		`+1`:                                "Root is not JSON at line ",
		`"a` + "\n" + `b"`:                  "Root is not JSON at line ",
		`"\x"`:                              "Root is not JSON at line ",
		`NaN`:                               "Root is not JSON at line ",
		"\ufeff{}":                          "Root is not JSON at line ",
		"\"\xff\"":                          "Root is not UTF-8",
		`{} {}`:                             "Root is not JSON: it has text after its end, at line ",
		`{},`:                               "Root is not JSON: it has text after its end, at line ",
		`1 planted`:                         "Root is not JSON: it has text after its end, at line ",
		`{"a":1,"a":2}`:                     "Root.a is given twice",
		`{"a":1,"\u0061":2}`:                "Root.a is given twice",
		`[{"x":{"b c":1,"b c":"planted"}}]`: `Root[0].x["b c"] is given twice`,
		`{"":1,"":2}`:                       `Root[""] is given twice`,
		deep(17):                            "Root" + strings.Repeat("[0]", 16) + " is nested more than 16 levels deep",
		strings.Repeat("[", 1<<20):          "Root" + strings.Repeat("[0]", 16) + " is nested more than 16 levels deep",
	} {
		n, err := document.Parse("Root", text)
		if err == nil || n != nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("Parse(%.60s) = %v, %v, want the error %q", text, n, err, want)
		} else if strings.Contains(err.Error(), "planted") {
			t.Errorf("Parse(%.60s): the error shows a value: %v", text, err)
		}
	}
	for text, want := range map[string]string{
		"{\n  \"名\": planted\n}":       "Root[\"名\"] is not JSON at line 2, column 8",
		"{\"a\":1,\r\n \"b\":[1,]}":    "Root.b[1] is not JSON at line 2, column 9",
		"{'a':1}":                      "Root is not JSON at line 1, column 2",
		"{1:2}":                        "Root is not JSON at line 1, column 2",
		"{\n\"a\":1\n":                 "Root is not JSON: it ends too early, at line 3, column 1",
		"{}\n\nplanted":                "Root is not JSON: it has text after its end, at line 3, column 1",
		"{\"a\":\"x\ny\"}":             "Root.a is not JSON at line 1, column 8",
		"{\"a\":1}\n{\"a\":1,\"a\":2}": "Root is not JSON: it has text after its end, at line 2, column 1",
	} {
		if _, err := document.Parse("Root", text); err == nil || err.Error() != want {
			t.Errorf("Parse(%q) = %v, want %s", text, err, want)
		}
	}
	if _, err := document.Parse("Root", deep(document.MaxDepth)); err != nil {
		t.Errorf("Parse of the deepest: %v", err)
	}
}

// All keys that are given twice are named, once for each time too many, and the first value of each
// counts.
func TestParseRepeated(t *testing.T) {
	n, twice, err := document.ParseRepeated("Root", `{"a":1,"a":2,"b":[{"c":1,"c":{"d":1,"d":2}}],"a":3}`)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"Root.a", "Root.b[0].c", "Root.b[0].c.d", "Root.a"}, twice); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if got, want := n.String(), `{"a":1,"b":[{"c":1}]}`; got != want {
		t.Errorf("the node is %s, want %s", got, want)
	}
	many := "{" + strings.Repeat(`"a":1,`, 1000) + `"a":1}`
	if _, twice, err = document.ParseRepeated("Root", many); err != nil || len(twice) != document.MaxRepeated {
		t.Errorf("of 1000 repeated keys %d are named, %v, want %d", len(twice), err, document.MaxRepeated)
	}
}

func TestPaths(t *testing.T) {
	for got, want := range map[string]string{
		document.Under("R", "a-Z_9"):                  "R.a-Z_9",
		document.Under("R", ""):                       `R[""]`,
		document.Under("R", "a.b"):                    `R["a.b"]`,
		document.Under("R", "空"):                      `R["空"]`,
		document.Under("R", "\"]\n"):                  `R["\"]\n"]`,
		document.Under("R", strings.Repeat(".", 101)): `R["` + strings.Repeat(".", 100) + `"…]`,
		document.At("R", 7):                           "R[7]",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestGet(t *testing.T) {
	n, err := document.Parse("R", `{"a":1,"b":"x"}`)
	if err != nil {
		t.Fatal(err)
	}
	if got := n.Get("b"); got == nil || got.Text != "x" {
		t.Errorf("Get(b) = %v", got)
	}
	if got := n.Get("c"); got != nil {
		t.Errorf("Get(c) = %v, want nil", got)
	}
	if got := n.Get("a").Get("a"); got != nil {
		t.Errorf("Get of a number = %v, want nil", got)
	}
}

func TestString(t *testing.T) {
	for text, want := range map[string]string{
		` { "b" : [ 1.0 , true , null , { } , [ ] ] , "a" : ` +
			`"<&>\u00e9\/" } `: `{"b":[1.0,true,null,{},[]],"a":"<&>é/"}`,
		`"\u2028\u0001\""`: `"\u2028\u0001\""`,
	} {
		n, err := document.Parse("R", text)
		if err != nil {
			t.Fatal(err)
		}
		if got := n.String(); got != want {
			t.Errorf("String = %s, want %s", got, want)
		}
	}
	var b bytes.Buffer
	b.WriteString("x")
	document.WriteString(&b, "<>")
	if got, want := b.String(), `x"<>"`; got != want {
		t.Errorf("WriteString = %s, want %s", got, want)
	}
	for kind, want := range map[document.Kind]string{
		document.Literal: "true, false or null", document.Number: "a number", document.String: "a string",
		document.Array: "an array", document.Object: "an object",
	} {
		if got := kind.String(); got != want {
			t.Errorf("Kind(%d) = %q, want %q", kind, got, want)
		}
	}
}

// FuzzParse holds that what is taken is JSON to encoding/json too, means the same, and is the same
// once written and parsed again; and that what encoding/json takes is only refused for a key twice,
// for depth or for what is no UTF-8.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{"a":[1,2.5e-3,"x",true,null,{"b":{}}],"":"\u2028\ud800"}`, `[]`, `"x"`, `1e999`, `{"a":1,"a":2}`, "\"\xff\"",
		`{} {}`, `[1,]`, strings.Repeat("[", 20) + strings.Repeat("]", 20),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := document.Parse("R", text)
		if err != nil {
			strict := strings.Contains(err.Error(), "is given twice") ||
				strings.Contains(err.Error(), "nested more than") || err.Error() == "R is not UTF-8"
			if json.Valid([]byte(text)) && !strict {
				t.Fatalf("encoding/json takes it: %v", err)
			}
			return
		}
		if !json.Valid([]byte(text)) {
			t.Fatal("encoding/json does not take it")
		}
		written := n.String()
		again, err := document.Parse("R", written)
		if err != nil {
			t.Fatalf("%s: %v", written, err)
		}
		if diff := cmp.Diff(n, again); diff != "" || again.String() != written {
			t.Fatalf("%s: %s", written, diff)
		}
		if decode(t, text) != decode(t, written) {
			t.Fatalf("%s means something else", written)
		}
	})
}

// decode returns what encoding/json makes of a text, as text.
func decode(t *testing.T, text string) string {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A path is spelled for an error only, and cut then: a hostile document has long keys and many
// places.
func TestLongKeysCostLittle(t *testing.T) {
	long := strings.Repeat("a", 100_000)
	nested := `{"` + long + `":[` + strings.Repeat("0,", 30_000) + `0]}`
	bytes := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := document.Parse("body", nested); err != nil {
				b.Fatal(err)
			}
		}
	}).AllocedBytesPerOp()
	if most := int64(100 * len(nested)); bytes > most {
		t.Errorf("%d bytes of JSON took %d bytes, want at most %d", len(nested), bytes, most)
	}
	for _, text := range []string{`{"` + long + `":1,"` + long + `":1}`, `{"` + long + `":[tru]}`} {
		if _, err := document.Parse("body", text); err == nil || len(err.Error()) > 400 {
			t.Errorf("the error of a document with a long key has %d bytes", len(err.Error()))
		}
	}
}

// What is written without an encoder is what the encoder writes.
func FuzzWriteString(f *testing.F) {
	for _, s := range []string{"", "a", `a"b\c`, "a\nb\tc\r", "<&>", "运维", "\x00\x1f\x7f", "\u2028\u2029",
		"\xff", "\ufffd", "a\n\"\\\nb"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var got, want bytes.Buffer
		document.WriteString(&got, s)
		e := json.NewEncoder(&want)
		e.SetEscapeHTML(false)
		if err := e.Encode(s); err != nil {
			t.Fatal(err)
		}
		if want := strings.TrimSuffix(want.String(), "\n"); got.String() != want {
			t.Errorf("WriteString(%q) = %s, want %s", s, got.String(), want)
		}
	})
}

// Marshal writes what encoding/json does, but for < > &, and panics without quoting the value.
func TestMarshal(t *testing.T) {
	got := string(document.Marshal(struct {
		A string      `json:"a"`
		B []string    `json:"b,omitempty"`
		C json.Number `json:"c"`
	}{"<&>\u2028\n", nil, "12"}))
	if want := `{"a":"<&>\u2028\n","c":12}`; got != want {
		t.Errorf("Marshal = %s, want %s", got, want)
	}
	defer func() {
		if r := fmt.Sprint(recover()); !strings.Contains(r, "json.Number") || strings.Contains(r, "not-a-real") {
			t.Errorf("the panic says %q", r)
		}
	}()
	document.Marshal(json.Number("not-a-real-secret"))
}

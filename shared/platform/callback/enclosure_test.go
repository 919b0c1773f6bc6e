package callback_test

import (
	"encoding/xml"
	"errors"
	"strings"
	"testing"

	"chatconf/shared/document"
	"chatconf/shared/platform/callback"
)

// textOf returns the text of a member, or that it is none.
func textOf(e callback.Enclosure, name string) string {
	text, err := e.Text(name)
	var refusal *callback.Refusal
	if errors.As(err, &refusal) && refusal.Step == callback.StepDecode {
		return "not a text"
	}
	return text
}

func TestReadJSON(t *testing.T) {
	for body, want := range map[string]string{
		`{"encrypt":"abc"}`: "abc",
		` { "tousername" : "ww1" , "encrypt" : "a\/b+\u003d" , "agentid" : 1000002 } ` + "\n": "a/b+=",
		`{"encrypt":"","x":null,"y":true,"z":-1.5e3}`:                                         "",
		`{"x":"\\","encrypt":"q\"\\"}`:                                                        `q"\`,
		`{}`:                                                                                  "",
		`{"encrypt":1}`:                                                                       "not a text",
		`{"encrypt":true}`:                                                                    "not a text",
		`{"encrypt":null}`:                                                                    "",
	} {
		e, err := callback.ReadEnclosureJSON([]byte(body))
		if got := textOf(e, "encrypt"); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", body, got, err, want)
		}
	}
	e, err := callback.ReadEnclosureJSON([]byte(`{"a":null,"b":"","c":1}`))
	if err != nil || e.Has("a") || !e.Has("b") || !e.Has("c") || e.Has("d") {
		t.Errorf("%+v, %v", e, err)
	}
	refused(t, callback.ReadEnclosureJSON, []string{
		``, `[]`, `"x"`, `null`, `{`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,}`, `{"a":1}}`, `{"a":1} x`, `{a:1}`,
		`{"a":"1"`, `{"a":"1}`, `{"a":"\"}`, `{"a":"\x"}`, "{\"a\":\"\n\"}",
		`{"a":{}}`, `{"a":[]}`, `{"a":[1]}`, `{"a":nul}`, `{"a":}`, `{"a":1 "b":2}`, `{"a":"1","a":"2"}`,
		`{"a":"1","\u0061":"2"}`, "{\"a\":\"\xff\"}", `{"a":` + strings.Repeat("1", 65) + `}`,
		"{" + strings.TrimSuffix(strings.Repeat(`"a":1,`, 17), ",") + "}",
		`{"a":"` + strings.Repeat("a", callback.MaxEnclosure) + `"}`,
	})
}

func TestReadXML(t *testing.T) {
	for body, want := range map[string]string{
		`<xml><ToUserName><![CDATA[ww1]]></ToUserName><Encrypt><![CDATA[a/b+=]]></Encrypt><AgentID>1</AgentID></xml>`: "a/b+=",
		"\n<?xml version=\"1.0\" encoding='UTF-8'?>\r\n<xml>\n  " +
			"<Encrypt>abc</Encrypt>\n</xml>\n": "abc",
		`<?xml version="1.0"?><xml><Encrypt></Encrypt></xml>`: "",
		`<xml><Encrypt><![CDATA[<&` +
			`]]]]></Encrypt></xml>`: "<&]]",
		`<xml></xml>`: "",
	} {
		e, err := callback.ReadEnclosureXML([]byte(body))
		if got := textOf(e, "Encrypt"); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", body, got, err, want)
		}
	}
	refused(t, callback.ReadEnclosureXML, []string{
		``, `<xml>`, `<xml/>`, `<a></a>`, `<xml></xml><xml></xml>`, `<xml></xml>x`, `x<xml></xml>`, `<xml>x</xml>`,
		`<xml><a></xml>`, `<xml><a>`, `<xml><a>x</b></xml>`, `<xml><a`,
		`<xml><a b="c">x</a></xml>`, `<xml><a:b>x</a:b></xml>`, `<xml><a><b>x</b></a></xml>`,
		`<xml><a>x</a><a>y</a></xml>`, `<xml><!-- --><a>x</a></xml>`, `<!DOCTYPE xml><xml></xml>`,
		`<xml><a>&lt;</a></xml>`, `<xml><a>]]></a></xml>`, `<xml><a><![CDATA[x]></a></xml>`,
		`<xml><a><![CDATA[x]]>y</a></xml>`, `<xml><a>é</a></xml>`, "<xml><a>\x02</a></xml>", "<xml><a>\n</a></xml>",
		`<xml><1>x</1></xml>`, `<xml><></></xml>`, `<xml a="b"></xml>`, `<?xml version="1.1"?><xml></xml>`,
		`<?xml version="1.0" encoding="gbk"?><xml></xml>`, `<?xml`, `<?xml ` +
			strings.Repeat(" ", 200) + `?><xml></xml>`,
		"<xml>\xff</xml>", "<xml>" + manyElements(17) + "</xml>", "<xml><a>" +
			strings.Repeat("a", callback.MaxEnclosure) + "</a></xml>",
	})
}

func manyElements(n int) string {
	var b strings.Builder
	for i := range n {
		name := "e" + string(rune('a'+i))
		b.WriteString("<" + name + ">x</" + name + ">")
	}
	return b.String()
}

func refused(t *testing.T, read func([]byte) (callback.Enclosure, error), bodies []string) {
	t.Helper()
	for _, body := range bodies {
		e, err := read([]byte(body))
		var refusal *callback.Refusal
		if !errors.As(err, &refusal) || len(refusal.Reason) > 200 {
			t.Errorf("%.100q: %+v, %v, want a refusal", body, e, err)
		}
	}
}

// What is taken is JSON to a reader of all of it, with the same members.
func FuzzReadJSON(f *testing.F) {
	for _, seed := range []string{`{"encrypt":"a\/b"}`, `{"tousername":"x","encrypt":"y","agentid":1}`,
		`{"a":null,"b":"\ud83d\ude00"}`, `{"a":{}}`, `{"a":1,"a":2}`, `{"a":-}`, `{"a":"\\\\\""}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		e, err := callback.ReadEnclosureJSON([]byte(body))
		if err != nil {
			return
		}
		root, err := document.Parse("body", body)
		if err != nil || root.Kind != document.Object {
			t.Fatalf("%q was taken: %v", body, err)
		}
		for _, m := range root.Members {
			isText := m.Value.Kind == document.String
			if e.Has(m.Key) != (m.Value.Kind != document.Literal || m.Value.Text != "null") || isText &&
				textOf(e, m.Key) != m.Value.Text || !isText && m.Value.Text != "null" &&
				textOf(e, m.Key) != "not a text" {
				t.Errorf("%q: member %q is %v, %q", body, m.Key, e.Has(m.Key), textOf(e, m.Key))
			}
		}
	})
}

// What is taken is XML to encoding/xml, with the same texts.
func FuzzReadXML(f *testing.F) {
	for _, seed := range []string{`<xml><Encrypt><![CDATA[a]]></Encrypt><b>c</b></xml>`,
		`<?xml version="1.0" encoding="utf-8"?><xml> <a></a> </xml>`, `<xml><a>]]</a></xml>`, `<xml><a><b/></a></xml>`,
		`<?xml version='1.0"?><xml></xml>`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		e, err := callback.ReadEnclosureXML([]byte(body))
		if err != nil {
			return
		}
		var root struct {
			XMLName xml.Name `xml:"xml"`
			All     []struct {
				XMLName xml.Name
				Text    string `xml:",chardata"`
			} `xml:",any"`
		}
		if err := xml.Unmarshal([]byte(body), &root); err != nil {
			t.Fatalf("%q was taken: %v", body, err)
		}
		for _, m := range root.All {
			if !e.Has(m.XMLName.Local) || textOf(e, m.XMLName.Local) != m.Text {
				t.Errorf("%q: element %q is %q, encoding/xml has %q", body, m.XMLName.Local,
					textOf(e, m.XMLName.Local), m.Text)
			}
		}
	})
}

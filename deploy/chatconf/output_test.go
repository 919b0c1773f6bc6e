package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// YAML means what JSON means, with the same keys.
func FuzzYAML(f *testing.F) {
	for _, text := range []string{"ops", "true", "null", "1e3", "0x1F", "~", "", " a", "a: b", "- a", "two\nlines",
		"two \nlines\n", "\n", "\tx\ny", "#", "\u2028", "\u0085", "\x7f",
		"2026-01-31", "ключ", "'\"\\", "{a}", "<<", "=",
		"a\n b", " a\nb", "---\na", "\ufeffa",
		"a\u202eb", "\\\u2066\n\u200f", "\u061c: \x1b"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		text = strings.ToValidUTF8(text, "?")
		in := map[string]any{"k" + text: []any{text, map[string]any{"b": true, "n": nil, "i": 7.0}}}
		var b bytes.Buffer
		if err := printData(&b, outputYAML, in); err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := yaml.Unmarshal(b.Bytes(), &got); err != nil {
			t.Fatalf("%v:\n%s", err, &b)
		}
		if printable(b.String()) != b.String() {
			t.Errorf("a terminal obeys %q", &b)
		}
		gotText, _ := json.Marshal(got)
		wantText, _ := json.Marshal(in)
		if diff := cmp.Diff(string(wantText), string(gotText)); diff != "" {
			t.Errorf("%s\n%s", diff, &b)
		}
	})
}

// JSON has nothing that a terminal obeys, and means the same.
func TestJSONDoesNotControlATerminal(t *testing.T) {
	hostile := "a\x1b[2J\u009b31m\x7f\u202ez\r\n"
	text, err := json.Marshal(hostile) // leaves some of them as they are
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "{\"A\":%s}\r\n", text)
	}))
	defer s.Close()
	noEnv(t)
	called := mustRun(t, "call", "ListChatConfigurations", "--endpoint", s.URL, "--access-key-id", "a",
		"--access-key-secret", "b")
	var pretty, line bytes.Buffer
	if err := errors.Join(printJSON(&pretty, map[string]string{"A": hostile}),
		printLine(&line, map[string]string{"A": hostile})); err != nil {
		t.Fatal(err)
	}
	for _, out := range []string{called, pretty.String(), line.String()} {
		var got map[string]string
		if err := json.Unmarshal([]byte(out), &got); err != nil || got["A"] != hostile || printable(out) != out {
			t.Errorf("%q: %v, %q", out, err, got)
		}
	}
	if err := printJSON(failing{errors.ErrUnsupported}, 1); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("output that cannot be written: %v", err)
	}
}

func TestOutputs(t *testing.T) {
	at := edited(t)
	for output, begins := range map[string]string{"table": "REVISION  ", "wide": "REVISION  ",
		"json": "[\n  {\n    \"Rev", "yaml": "- Revision: 2\n"} {
		out := mustRun(t, append([]string{"history", "ops", "-o", output}, at...)...)
		if !strings.HasPrefix(out, begins) || leak.MatchString(out) {
			t.Errorf("-o %s: %s", output, out)
		}
	}
	mustRun(t, append([]string{"send", "ops", "restart", "--user", "manager4220"}, at...)...)
	out := mustRun(t, append([]string{"log", "ops", "-o", "yaml"}, at...)...)
	if err := yaml.Unmarshal([]byte(out), new(any)); err != nil || !strings.HasPrefix(out, "---\nId: ") {
		t.Errorf("log -o yaml: %v, %s", err, out)
	}
	if got, err := completeLine(t, "log", "-o", ""); err != nil || got != "table\nwide\njson\nyaml\n:4\n" {
		t.Errorf("completion of -o: %q, %v", got, err)
	}
	broken := errors.New("planted")
	if err := printData(failing{broken}, outputYAML, 1); !errors.Is(err, broken) {
		t.Errorf("output that cannot be written: %v", err)
	}
	if err := printData(new(bytes.Buffer), outputYAML, func() {}); err == nil {
		t.Error("a function has no YAML, and no error")
	}
}

// A file that is written again has nothing that a terminal obeys, even where it is otherwise kept.
func TestYAMLDoesNotControlATerminal(t *testing.T) {
	const before = "Name: ops # a\u202eb\r\nType: Slack\r\n# c\u2066d\r\nStatus: Active\r\nTags: {a: x\u202ey}\r\n" +
		"Configuration:\r\n  BotName: 'x\u202ey'\r\n  \"k\u200f\": |\r\n    two\r\n    l\u2067nes\r\n"
	f, err := parseBot("ops.yaml", []byte(before))
	if err != nil {
		t.Fatal(err)
	}
	b := f.botState
	b.status = "Inactive"
	got, err := textOfBot(&b, f)
	if err != nil || printable(string(got)) != string(got) || !strings.Contains(string(got), "# c") {
		t.Errorf("%q, %v", got, err)
	}
	again, err := parseBot("ops.yaml", got)
	if err != nil || again.status != "Inactive" || again.configuration.String() != f.configuration.String() ||
		again.tags.String() != f.tags.String() {
		t.Errorf("%q: %v", got, err)
	}
}

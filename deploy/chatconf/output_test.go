package main

import (
	"bytes"
	"encoding/json"
	"errors"
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
		"a\n b", " a\nb", "---\na", "\ufeffa"} {
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
		gotText, _ := json.Marshal(got)
		wantText, _ := json.Marshal(in)
		if diff := cmp.Diff(string(wantText), string(gotText)); diff != "" {
			t.Errorf("%s\n%s", diff, &b)
		}
	})
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

package platform_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"testing"

	"chatconf/deploy/schema"
	"chatconf/shared/command"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// runValues compares the settings of a platform with its file testdata/values.txt: their keys,
// their marks (required, secret, generated, for a Receive) and the values that they accept.
//
// A line is a key with its marks. A line that begins with a tab has "good" or "bad" and quoted
// values for the key above it. Lines that begin with # are comments.
func runValues(t *testing.T, p command.Platform, folder fs.FS) {
	text, err := fs.ReadFile(folder, "testdata/values.txt")
	if err != nil {
		t.Fatal(err)
	}
	valid := schemaOf(t, p)
	settings := slices.Clone(p.Settings)
	var at *command.Setting
	tried := make(map[string]bool)
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		word, rest, _ := strings.Cut(strings.TrimPrefix(line, "\t"), " ")
		switch {
		case line == "" || line[0] == '#':
		case line[0] != '\t':
			if len(settings) == 0 || line != markedRows(settings[0]) {
				t.Fatalf("the file has %q where the platform has %q", line, append(settings, command.Setting{})[0].Key)
			}
			at, settings = &settings[0], settings[1:]
		default:
			values, err := readValues(rest)
			if err != nil || at == nil || len(values) == 0 || word != "good" && word != "bad" {
				t.Fatalf("%q: %v", line, err)
			}
			tried[at.Key+" "+word] = true
			for _, v := range values {
				if got := at.Shape.Fits(v); got != (word == "good") {
					t.Errorf("%s accepts %q: %v; the shape is %s", at.Key, v, got, at.Shape.Want)
				}
				isValid := valid(at.Key, v) // it may know less than the shape
				if isValid && word == "bad" && at.Shape.Also == nil || !isValid && word == "good" {
					t.Errorf("the schema says of %s that %q is valid: %v", at.Key, v, isValid)
				}
			}
		}
	}
	for _, s := range p.Settings {
		if !tried[s.Key+" good"] || !tried[s.Key+" bad"] {
			t.Errorf("no good or no bad values are tried for %s", s.Key)
		}
	}
}

// schemaOf returns what the published schema of a platform says of the value of a setting.
func schemaOf(t *testing.T, p command.Platform) func(key, value string) bool {
	name := "configuration-" + strings.ToLower(p.Type) + ".json"
	c := jsonschema.NewCompiler()
	text, err := schema.Made(name)
	if errors.Is(err, fs.ErrNotExist) { // the platform is one of a test
		return func(key, value string) bool {
			i := slices.IndexFunc(p.Settings, func(s command.Setting) bool { return s.Key == key })
			return p.Settings[i].Shape.Fits(value)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.AddResource(name, doc); err != nil {
		t.Fatal(err)
	}
	return func(key, value string) bool {
		s, err := c.Compile(name + "#/properties/" + key)
		if err != nil {
			t.Fatal(err)
		}
		return s.Validate(value) == nil
	}
}

// markedRows returns a setting's line in the file.
func markedRows(s command.Setting) string {
	line := s.Key
	for _, mark := range []struct {
		is   bool
		word string
	}{{s.Required, " required"}, {s.Secret, " secret"}, {s.Generate, " generated"}} {
		if mark.is {
			line += mark.word
		}
	}
	if s.For != "" {
		line += " for " + s.For
	}
	return line
}

// readValues reads values that are quoted as in Go; "x"*3 means "xxx".
func readValues(text string) ([]string, error) {
	var values []string
	for text != "" {
		quoted, err := strconv.QuotedPrefix(text)
		if err != nil {
			return nil, err
		}
		value, _ := strconv.Unquote(quoted) // QuotedPrefix has checked it
		times, rest, _ := strings.Cut(text[len(quoted):], " ")
		if times != "" {
			n, err := strconv.Atoi(strings.TrimPrefix(times, "*"))
			if err != nil {
				return nil, fmt.Errorf("how often: %w", err)
			}
			value = strings.Repeat(value, n)
		}
		values, text = append(values, value), rest
	}
	return values, nil
}

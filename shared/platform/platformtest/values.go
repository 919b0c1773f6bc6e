package platformtest

import (
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"testing"

	"chatconf/shared/command"
)

// runValues holds the settings of a platform to its file testdata/values.txt: which there are,
// which are required, secret and generated, and which values are accepted.
//
// A line is a key with its marks, and behind a tab good or bad and quoted values of the key above.
// Lines behind a # are left out.
func runValues(t *testing.T, p command.Platform, folder fs.FS) {
	text, err := fs.ReadFile(folder, "testdata/values.txt")
	if err != nil {
		t.Fatal(err)
	}
	settings := slices.Clone(p.Settings)
	var at *command.Setting
	tried := make(map[string]bool)
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		word, rest, _ := strings.Cut(strings.TrimPrefix(line, "\t"), " ")
		switch {
		case line == "" || line[0] == '#':
		case line[0] != '\t':
			if len(settings) == 0 || line != marked(settings[0]) {
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
					t.Errorf("%s accepts %q: %v, wanted %s", at.Key, v, got, at.Shape.Want)
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

// marked returns a setting as the file names it.
func marked(s command.Setting) string {
	line := s.Key
	for _, mark := range []struct {
		is   bool
		word string
	}{{s.Required, " required"}, {s.Secret, " secret"}, {s.Generate, " generated"}} {
		if mark.is {
			line += mark.word
		}
	}
	return line
}

// readValues reads values as Go quotes them, of which "x"*3 is "xxx".
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

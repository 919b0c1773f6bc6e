package command_test

import (
	"slices"
	"strings"
	"testing"

	"chatconf/shared/command"
)

func TestSentencesAreInBothLanguages(t *testing.T) {
	list, n := command.Sentences()
	if len(list) != n || n == 0 {
		t.Fatalf("%d phrases, want %d", len(list), n)
	}
	blanks := func(s string) []string {
		var out []string
		for _, part := range strings.Split(s, "{")[1:] {
			name, _, ok := strings.Cut(part, "}")
			if !ok {
				t.Errorf("%q has a brace that is not closed", s)
			}
			out = append(out, name)
		}
		slices.Sort(out)
		return slices.Compact(out)
	}
	for i, p := range list {
		if p[0] == "" || p[1] == "" || p[0] == p[1] {
			t.Errorf("phrase %d = %q", i+1, p)
		}
		if got, want := blanks(p[1]), blanks(p[0]); !slices.Equal(got, want) {
			t.Errorf("%s: filled in are %q in Chinese, want %q", p[0], got, want)
		}
	}
}

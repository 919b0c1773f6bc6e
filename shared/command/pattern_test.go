package command_test

import (
	"regexp"
	"strings"
	"testing"

	"chatconf/shared/command"
)

func TestAPatternMatchesTheWholeValue(t *testing.T) {
	for _, c := range []struct {
		pattern string
		yes, no []string
	}{
		{`i-[0-9a-f]{1,17}`, []string{"i-0", "i-0abc"}, []string{"", "i-", "xi-0", "i-0x", "i-0\n", "i-0 ", "I-0"}},
		{`^i-\d+$`, []string{"i-1"}, []string{"i-1\n", "\ni-1", "i-1 i-1"}},
		{`a|b`, []string{"a", "b"}, []string{"ab", "ax", "xb"}},
		{`(?i)prod`, []string{"prod", "PROD"}, []string{"prods"}},
		{`(?m)^a$`, []string{"a"}, []string{"a\nb", "b\na"}},
		{`\p{Han}{2}`, []string{"中国"}, []string{"中", "中国人"}},
		{``, []string{""}, []string{"a"}},
		{`a*`, []string{"", strings.Repeat("a", command.MaxPatterned)},
			[]string{strings.Repeat("a", command.MaxPatterned+1)}},
	} {
		p, err := command.CompilePattern(c.pattern)
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
			continue
		}
		if p.String() != c.pattern {
			t.Errorf("%s is %s", c.pattern, p)
		}
		for _, text := range c.yes {
			if !p.Match(text) {
				t.Errorf("%s does not match %.20q", c.pattern, text)
			}
		}
		for _, text := range c.no {
			if p.Match(text) {
				t.Errorf("%s matches %.20q", c.pattern, text)
			}
		}
	}
}

func TestPatternsThatAreRefused(t *testing.T) {
	for pattern, want := range map[string]string{
		strings.Repeat("a", 257):       "has 257 characters; the most is 256",
		"\xff":                         "invalid UTF-8",
		"(a":                           `missing closing ) in "(a"`,
		"a)":                           "unexpected )",
		"a)|(b":                        "unexpected )", // it must not close our own group
		`\`:                            "trailing backslash",
		"(?=a)":                        "invalid or unsupported Perl syntax",
		`(a)\1`:                        `invalid escape sequence in "\\1"`,
		"a{1001}":                      "invalid repeat count",
		"a{1000}b{1000}c{1000}":        "too long to match",
		`\pL{200}`:                     "",
		"(?:a|b*|(?:c?d){0}){1,199}":   "",
		"(?:a|b*|(?:c?d){0}){1,999}":   "too long to match",
		strings.Repeat(`\w{1000}`, 32): "too long to match",
		"((((a{1000}){1000}){1000}){1000}){1000}":           "invalid repeat count",
		strings.Repeat("(", 128) + strings.Repeat(")", 128): "",
	} {
		_, err := command.CompilePattern(pattern)
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", pattern, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %s", pattern, err, want)
		}
	}
}

// BenchmarkPattern matches the worst pattern with the longest value.
func BenchmarkPattern(b *testing.B) {
	p, err := command.CompilePattern(`(a?a?a?){160}b`)
	if err != nil {
		b.Fatal(err)
	}
	text := strings.Repeat("a", command.MaxPatterned)
	for b.Loop() {
		if p.Match(text) {
			b.Fatal("it matched")
		}
	}
}

// FuzzPattern tests that a pattern matches a text if its longest match is the whole text.
func FuzzPattern(f *testing.F) {
	f.Add(`i-[0-9a-f]{1,17}`, "i-0abc")
	f.Add(`(a|bc?)*[^x\d-]+|\w{2,}`, "abcbz")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		p, err := command.CompilePattern(pattern)
		if err != nil {
			return
		}
		whole := regexp.MustCompile(pattern)
		whole.Longest()
		at := whole.FindStringIndex(text)
		want := at != nil && at[0] == 0 && at[1] == len(text) && len(text) <= command.MaxPatterned
		if got := p.Match(text); got != want {
			t.Errorf("%q matches %q: %v, want %v", pattern, text, got, want)
		}
	})
}

package command_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"chatconf/shared/command"
)

func TestPatternMatchesAsRegexpDoes(t *testing.T) {
	texts := []string{"", "a", "b", "ab", "aab", "abab", "i-123", "i-12", "I-123", "中文", "a\nb", "a.b", "-", "]", "^",
		"x" + strings.Repeat("9", 20), "a\\b", "{", "a{2}", "_", " ", "\t", "$", "aaaaaaaaaa"}
	for _, pattern := range []string{
		``, `a`, `.`, `.*`, `i-[0-9]+`, `^i-\d{3}$`,
		`(a|b)*`, `(?:ab)+`, `a{2,}b`, `a{1,2}b`,
		`a{0}`, `[^a]`, `[]a]`, `[^]a]+`, `[a-]`, `[-a]`, `[a-c-e]+`, `[\w-]+`, `\w*\W\w*`, `\s`, `\S+`, `\D+`,
		`(|a)b?`,
		`()`, `(a*)*`, `(a*)+b|`, `[\u4e00]`, `中.`, `\.`, `a\\b`, `\{`, `}`, `]`, `(((a)?b)*)`, `x\d{5,20}`, `[\.\-\]]`,
		`a?a?a?a?a?aaaaa`, `[^\d\s]`, `\$`, `\n`, `a\nb`, `a.b`} {
		p, err := command.CompilePattern(pattern)
		want, errRegexp := regexp.Compile(`\A(?:` + pattern + `)\z`)
		if err != nil || errRegexp != nil {
			if pattern != `[\u4e00]` {
				t.Errorf("%s: %v, %v", pattern, err, errRegexp)
			}
			continue
		}
		if p.String() != pattern {
			t.Errorf("%s is %s", pattern, p)
		}
		for _, text := range texts {
			if got, want := p.Match(text), want.MatchString(text); got != want {
				t.Errorf("%s matches %q: %v, want %v", pattern, text, got, want)
			}
		}
	}
}

func TestPatternsThatAreRefused(t *testing.T) {
	for pattern, want := range map[string]string{
		strings.Repeat("a", 257):  "256",
		"\xff":                    "UTF-8",
		"(a":                      "at character 3: a group is not closed",
		"a)":                      "at character 2: ) closes no group",
		"[a":                      "a [ is not closed",
		"[a-":                     "a [ is not closed",
		"*a":                      "nothing to repeat",
		"(+)":                     "nothing to repeat",
		"a**":                     "repeats a repetition",
		"a+?":                     "repeats a repetition",
		"a{2}{3}":                 "repeats a repetition",
		"a{":                      "{2,5}",
		"a{,2}":                   "{2,5}",
		"a{3,2}":                  "{2,5}",
		"a{+2}":                   "{2,5}",
		"a{1001}":                 "{2,5}",
		"a{99999999999999999999}": "{2,5}",
		"(?i)a":                   "(?:",
		"(?P<n>a)":                "(?:",
		"a^b":                     `write \^`,
		"a$b":                     `write \^`,
		`a\`:                      "backslash",
		`\b`:                      `\b is not known`,
		`\pL`:                     `\p is not known`,
		`\1`:                      `\1 is not known`,
		`[\D]`:                    "not known in brackets",
		`[b-a]`:                   "before its beginning",
		`[a-\d]`:                  "before its beginning",
		`[\d-z]`:                  `write \-`,
		`[[:alpha:]]`:             "[:alpha:]",
		`[\q]`:                    `\q is not known`,
		`[a-\q]`:                  `\q is not known`,
		"a{1000}b{1000}":          "too long to match",
		"((((a{1000}){1000}){1000}){1000}){1000}":         "too long to match",
		"(((((){1000}){1000}){1000}){1000}){1000}":        "too long to match",
		"((((a*|b){0,1000}){0,1000}){0,1000})*":           "too long to match",
		strings.Repeat("(", 22) + strings.Repeat(")", 22): "nested too deep",
	} {
		start := time.Now()
		_, err := command.CompilePattern(pattern)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", pattern, err, want)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("%s took %v", pattern, took)
		}
	}
}

// The worst pattern and the longest text take a bounded time.
func TestAPatternTakesBoundedTime(t *testing.T) {
	p, err := command.CompilePattern(`(a?a?a?){160}b`)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if p.Match(strings.Repeat("a", command.MaxPatterned)) || p.Match(strings.Repeat("a", command.MaxPatterned+1)) {
		t.Error("it matched")
	}
	if took := time.Since(start); took > time.Second { // some 10 ms
		t.Errorf("it took %v", took)
	}
	if p, err = command.CompilePattern("a*"); err != nil || !p.Match(strings.Repeat("a", command.MaxPatterned)) ||
		p.Match(strings.Repeat("a", command.MaxPatterned+1)) {
		t.Errorf("the limit of a text: %v", err)
	}
}

// FuzzPattern holds that a pattern that is accepted means what it means to package regexp.
func FuzzPattern(f *testing.F) {
	f.Add(`i-[0-9a-f]{1,17}`, "i-0abc")
	f.Add(`(a|bc?)*[^x\d-]+|\w{2,}`, "abcbz")
	f.Add(`^中(?:文|国)+$`, "中文国")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		p, err := command.CompilePattern(pattern)
		if err != nil {
			return
		}
		want, err := regexp.Compile(`\A(?:` + pattern + `)\z`)
		if err != nil {
			if !strings.Contains(err.Error(), "repeat") && !strings.Contains(err.Error(), "large") {
				t.Errorf("%q is accepted: %v", pattern, err)
			}
			return
		}
		if got := p.Match(text); got != (want.MatchString(text) && len(text) <= command.MaxPatterned) {
			t.Errorf("%q matches %q: %v", pattern, text, got)
		}
	})
}

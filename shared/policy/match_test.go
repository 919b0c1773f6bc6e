package policy_test

import (
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"chatconf/shared/policy"
)

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true},
		{"", "a", false},
		{"a", "", false},
		{"a", "a", true},
		{"a", "A", false},
		{"*", "", true},
		{"*", "a/b*c", true},
		{"?", "", false},
		{"?", "a", true},
		{"?", "ab", false},
		{"?", "数", true},
		{"??", "数", false},
		{"*??", "数", false},
		{"*?", "数", true},
		{"数*", "数据", true},
		{"a*b*c", "a-b-b-c", true},
		{"a*b*c", "a-b-c-b", false},
		{"*ab", "aab", true},
		{"*a?b", "aaab", true},
		{"**a**", "a", true},
		{"a*", "b", false},
		{"a?*", "a", false},
		{"*.*", "a.b.c", true},
		{"scale-*", "scale-", true},
		{"\xff", "\xff", true},
		{"\xff", "\xfe", false},
		{"?", "\xff", true},
		{"*\xb0", "数", false}, // '*' does not take a part of a character
	} {
		if got := policy.Match(c.pattern, c.s); got != c.want {
			t.Errorf("Match(%q, %q) = %v, want %v", c.pattern, c.s, got, c.want)
		}
		if got := naiveMatch(c.pattern, c.s); got != c.want {
			t.Errorf("the oracle says %v of (%q, %q), want %v", got, c.pattern, c.s, c.want)
		}
	}
}

// naiveMatch follows the definition of Match, character by character, in a table of positions in
// pattern and text.
func naiveMatch(pattern, s string) bool {
	p, q := characters(pattern), characters(s)
	table := make([][]bool, len(p)+1)
	for i := len(p); i >= 0; i-- {
		table[i] = make([]bool, len(q)+1)
		for j := len(q); j >= 0; j-- {
			switch {
			case i == len(p):
				table[i][j] = j == len(q)
			case p[i] == "*":
				table[i][j] = table[i+1][j] || j < len(q) && table[i][j+1]
			default:
				table[i][j] = j < len(q) && (p[i] == "?" || p[i] == q[j]) && table[i+1][j+1]
			}
		}
	}
	return table[0][0]
}

func characters(s string) []string {
	var list []string
	for s != "" {
		_, n := utf8.DecodeRuneInString(s)
		list, s = append(list, s[:n]), s[n:]
	}
	return list
}

// TestMatchAgainstOracle compares Match with the oracle on all short patterns and texts of a small
// alphabet.
func TestMatchAgainstOracle(t *testing.T) {
	patterns, texts := words([]string{"a", "b", "*", "?"}, 5), words([]string{"a", "b", "é"}, 4)
	matched := 0
	for _, p := range patterns {
		for _, s := range texts {
			got := policy.Match(p, s)
			if want := naiveMatch(p, s); got != want {
				t.Fatalf("Match(%q, %q) = %v, want %v", p, s, got, want)
			}
			if got {
				matched++
			}
		}
	}
	if matched == 0 {
		t.Error("nothing matched")
	}
}

// TestAResourceForAllNames checks that exactly those patterns match a request for all names that
// match every name.
func TestAResourceForAllNames(t *testing.T) {
	const prefix = "acs:oos:r:1:chatconfiguration/"
	all := words([]string{"a", "b"}, 3)[1:]
	covering := 0
	for _, pattern := range words([]string{"a", "*", "?"}, 5) {
		p := parse(t, `{"Version":"1","Statement":[{"Effect":"Allow","Action":"oos:List","Resource":"`+prefix+pattern+
			`"}]}`)
		want := !slices.ContainsFunc(all, func(name string) bool { return !naiveMatch(pattern, name) })
		got := policy.Decide(policy.Request{Action: "oos:List", Resource: prefix + "*"}, p).Allowed
		if got != want {
			t.Errorf("a pattern for the names %q matches all: %v, want %v", pattern, got, want)
		}
		if want {
			covering++
		}
		for _, name := range all {
			if got := policy.Decide(policy.Request{Action: "oos:List", Resource: prefix + name},
				p).Allowed; got != naiveMatch(pattern, name) {
				t.Errorf("a pattern for the names %q matches %q: %v", pattern, name, got)
			}
		}
	}
	if covering == 0 {
		t.Error("no pattern matches all names")
	}
}

// words returns all words of up to n letters.
func words(letters []string, n int) []string {
	all, last := []string{""}, []string{""}
	for range n {
		var next []string
		for _, w := range last {
			for _, l := range letters {
				next = append(next, w+l)
			}
		}
		all, last = slices.Concat(all, next), next
	}
	return all
}

// TestMatchIsNotExponential would never end if every '*' were tried with every other.
func TestMatchIsNotExponential(t *testing.T) {
	start := time.Now()
	if policy.Match(strings.Repeat("a*", 30)+"b", strings.Repeat("a", 10_000)) {
		t.Error("matched, want no match")
	}
	if policy.Match(strings.Repeat("*a?", 1000)+"b", strings.Repeat("a", 5000)) {
		t.Error("matched, want no match")
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
}

func FuzzMatch(f *testing.F) {
	for _, seed := range [][2]string{{"a*b?c", "axxbyc"}, {"*", ""}, {"?\xff*é", "é\xffé"}, {"*ab*ab*", "abab"},
		{"A*", "a"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, s string) {
		if len(pattern)*len(s) > 1<<20 {
			return
		}
		if got, want := policy.Match(pattern, s), naiveMatch(pattern, s); got != want {
			t.Errorf("Match(%q, %q) = %v, want %v", pattern, s, got, want)
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		policy.Match("acs:oos:*:1234567890123456:chatconfiguration/*",
			"acs:oos:cn-hangzhou:1234567890123456:chatconfiguration/prod-alerts")
	}
}

package table_test

import (
	"chatconf/shared/table"
	"strings"
	"testing"
)

func TestEscape(t *testing.T) {
	for text, want := range map[string]string{
		"":         "",
		"prod-1_A": "prod-1_A",
		"tag:env":  "tag:env",
		"a#b":      "a%23b",
		"$":        "%24",
		"100%":     "100%25",
		" !\"":     "%20%21%22",
		"\x00\n":   "%00%0A",
		"&'":       "&'",
		"空\xff":    "空\xff",
		"%23":      "%2523",
	} {
		if got := table.Escape(text); got != want {
			t.Errorf("Escape(%q) = %q, want %q", text, got, want)
		}
		if got, err := table.Unescape(want); err != nil || got != text {
			t.Errorf("Unescape(%q) = %q, %v, want %q", want, got, err, text)
		}
	}
	for _, text := range []string{"#", "$", " ", "%", "%2", "%zz", "%2f", "%23%", "%26",
		"%41", "%2G", "a%", "%%25", "%0a"} {
		if got, err := table.Unescape(text); err == nil {
			t.Errorf("Unescape(%q) = %q, want an error", text, got)
		}
	}
}

// FuzzEscape checks what sort keys rely on: escaping can be reversed, keeps order and prefixes, and
// does not produce the separators.
func FuzzEscape(f *testing.F) {
	for _, seed := range [][2]string{{"", "a"}, {"a#b", "a$b"}, {"%23", "#"}, {"%", "%25"},
		{"a", "a\x00"}, {"&", "%"}, {"空", "\xff\xfe"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		x, y := table.Escape(a), table.Escape(b)
		for _, text := range []string{x, y} {
			if strings.ContainsAny(text, "#$") || strings.ContainsFunc(text, func(r rune) bool { return r < '%' }) {
				t.Fatalf("escaped to %q", text)
			}
		}
		if back, err := table.Unescape(x); err != nil || back != a {
			t.Fatalf("Unescape(%q) = %q, %v, want %q", x, back, err, a)
		}
		if strings.Compare(a, b) != strings.Compare(x, y) {
			t.Fatalf("%q and %q are in another order than %q and %q", x, y, a, b)
		}
		if strings.HasPrefix(a, b) != strings.HasPrefix(x, y) {
			t.Fatalf("prefix of %q and %q, %q and %q", a, b, x, y)
		}
		if c := table.Escape(a + b); c != x+y {
			t.Fatalf("Escape(%q) = %q, want %q", a+b, c, x+y)
		}
		if raw, err := table.Unescape(a); err == nil && table.Escape(raw) != a {
			t.Fatalf("Unescape takes %q, which Escape does not return", a)
		}
	})
}

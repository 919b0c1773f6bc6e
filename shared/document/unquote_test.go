package document_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"chatconf/shared/document"
)

// FuzzUnquote holds Unquote against encoding/json.
func FuzzUnquote(f *testing.F) {
	for _, seed := range []string{
		"", "plain", `a\"b\\c\/d`, `\b\f\n\r\t`, `\u0041\u00e9\u4e2d`, `\ud83d\ude00`, `\ud83d`, `\ud83dx`,
		`\ud83d\u0041`, `\ude00\ud83d`, `\ud83d\ud83d\ude00`,
		`\`, `\u`, `\u12`, `\u12g4`, `\x`, `\'`, "a\nb", `a"b`, "\x7f\u2028é", `\uD83D\uDE00`,
		`\u0000`, `é\u`, `\ud83d\`, `\ud83d\u12`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			return
		}
		got, ok := document.Unquote(text)
		var want string
		err := json.Unmarshal([]byte(`"`+text+`"`), &want)
		if ok != (err == nil) || ok && got != want {
			t.Errorf("Unquote(%q) = %q, %v; encoding/json: %q, %v", text, got, ok, want, err)
		}
	})
}

func TestUnquoteAllocatesOnce(t *testing.T) {
	for text, most := range map[string]float64{strings.Repeat("a", 10_000): 0, strings.Repeat(`\u0041\/`, 10_000): 1} {
		if got := testing.AllocsPerRun(10, func() { document.Unquote(text) }); got > most {
			t.Errorf("%.20s…: %v allocations, want at most %v", text, got, most)
		}
	}
}

//go:build unix

package program

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestVariableNames(t *testing.T) {
	for name, want := range map[string]string{
		"env": "CHATCONF_PARAM_ENV", "Instance-ID": "CHATCONF_PARAM_INSTANCE_ID", "a.b2": "CHATCONF_PARAM_A_B2",
		"环境": "CHATCONF_PARAM___", "x=y\n": "CHATCONF_PARAM_X_Y_",
	} {
		if got := VariableName(name); got != want {
			t.Errorf("VariableName(%q) = %s, want %s", name, got, want)
		}
	}
}

// However an output is written, it shows no secret, does nothing to a terminal, and is short.
func FuzzCapture(f *testing.F) {
	f.Add("password: hunter2 hunter2", "hunter2", "unter", uint8(3))
	f.Add("\x1b[31mhunhunter2ter2\r\n\xff", "hunter2", "", uint8(1))
	f.Add(strings.Repeat("0123456789", 3000), "0123", "89", uint8(100))
	f.Fuzz(func(t *testing.T, output, secret, other string, step uint8) {
		var secrets []string
		for _, s := range []string{secret, other} {
			if len(s) > 3 && !strings.ContainsAny(s, "*…� \t\r\n") {
				secrets = append(secrets, s)
			}
		}
		c := newCapture(secrets)
		for rest := output; rest != ""; {
			n := min(int(step)+1, len(rest))
			if wrote, err := c.Write([]byte(rest[:n])); wrote != n || err != nil {
				t.Fatalf("Write = %d, %v", wrote, err)
			}
			rest = rest[n:]
		}
		answer, lines := c.answer(), c.lastLines()
		for _, text := range []string{answer, lines} {
			for _, r := range text {
				if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) {
					t.Errorf("%q has %U", text, r)
				}
			}
			if !utf8.ValidString(text) {
				t.Errorf("%q is not UTF-8", text)
			}
		}
		clean := func(s string) bool { return !strings.ContainsFunc(s, unicode.IsControl) && utf8.ValidString(s) }
		for _, s := range secrets {
			if note := "\n… ("; strings.Contains(strings.Split(answer, note)[0], s) || strings.Contains(lines, s) {
				t.Errorf("%q is in %q or %q", s, answer, lines)
			}
		}
		if len(answer) > 3*MaxAnswer+100 || len(lines) > 3*maxTail || strings.Count(lines, "\n") >= maxLines {
			t.Errorf("%d and %d bytes", len(answer), len(lines))
		}
		if len(secrets) == 0 && clean(output) && len(output) <= MaxAnswer &&
			answer != strings.TrimRightFunc(output, unicode.IsSpace) && !strings.ContainsFunc(output,
			func(r rune) bool { return unicode.Is(unicode.Bidi_Control, r) }) {
			t.Errorf("%q became %q", output, answer)
		}
	})
}

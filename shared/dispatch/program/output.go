//go:build unix

package program

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"chatconf/shared/secret"
)

// A capture keeps the beginning and the end of an output. Secrets in the output are masked before
// anything is kept.
type capture struct {
	secrets [][]byte
	longest int
	held    []byte // the end of what was written, which may be the first part of a secret

	head, tail []byte
	size       int64
}

// Format writes what holds no secret, for every verb.
func (c *capture) Format(s fmt.State, _ rune) { fmt.Fprintf(s, "[%d bytes of output]", c.size) }

func newCapture(secrets []string) *capture {
	c := new(capture)
	for _, s := range secrets {
		c.secrets = append(c.secrets, []byte(s))
		c.longest = max(c.longest, len(s))
	}
	return c
}

// Write implements io.Writer. It returns no error, so that the program can write without end.
func (c *capture) Write(p []byte) (int, error) {
	if c.longest == 0 {
		c.keep(p)
		return len(p), nil
	}
	c.held = append(c.held, p...)
	c.held = c.held[c.mask(len(c.held)-c.longest+1):]
	return len(p), nil
}

// mask keeps what is held from each position before limit on, with secrets masked, and returns the
// position after it.
func (c *capture) mask(limit int) int {
	var out []byte
	i := 0
	for i < limit {
		n := 0
		for _, s := range c.secrets {
			if len(s) > n && bytes.HasPrefix(c.held[i:], s) {
				n = len(s)
			}
		}
		if n > 0 {
			out = append(out, secret.Mask...)
			i += n
			continue
		}
		out = append(out, c.held[i])
		i++
	}
	c.keep(out)
	return i
}

func (c *capture) keep(p []byte) {
	c.size += int64(len(p))
	if room := MaxAnswer - len(c.head); room > 0 {
		c.head = append(c.head, p[:min(room, len(p))]...)
	}
	c.tail = append(c.tail, p[max(0, len(p)-maxTail):]...)
	if extra := len(c.tail) - maxTail; extra > maxTail {
		c.tail = append(c.tail[:0], c.tail[extra:]...)
	}
}

// flush keeps what is held. Nothing is written after it.
func (c *capture) flush() {
	c.mask(len(c.held))
	c.held = nil
}

// answer returns the output as an answer. A note follows if it was cut.
func (c *capture) answer() string {
	c.flush()
	if c.size <= int64(len(c.head)) {
		return c.shown(c.head)
	}
	return c.shown(wholeRunes(c.head)) + fmt.Sprintf("\n… (%d of %d bytes)", len(c.head), c.size)
}

// lastLines returns the last lines of the output.
func (c *capture) lastLines() string {
	c.flush()
	tail := c.tail
	cut := c.size > int64(len(tail))
	if extra := len(tail) - maxTail; extra > 0 {
		tail, cut = tail[extra:], true
	}
	if _, rest, ok := bytes.Cut(tail, []byte("\n")); cut && ok && len(bytes.TrimSpace(rest)) > 0 {
		tail = rest // without the rest of a line
	}
	lines := strings.Split(c.shown(tail), "\n")
	return strings.Join(lines[max(0, len(lines)-maxLines):], "\n")
}

// shown returns a part of the output as harmless text. Secrets are masked once more: without an
// escape sequence in the middle a text may be one.
func (c *capture) shown(part []byte) string {
	text := harmless(part)
	for _, s := range c.secrets {
		text = strings.ReplaceAll(text, string(s), secret.Mask)
	}
	return text
}

// wholeRunes returns text without a last character that is not whole.
func wholeRunes(text []byte) []byte {
	for range utf8.UTFMax - 1 {
		if r, size := utf8.DecodeLastRune(text); r != utf8.RuneError || size != 1 {
			break
		}
		text = text[:len(text)-1]
	}
	return text
}

// escapes are the sequences that terminals obey: colours, titles, movements.
var escapes = regexp.MustCompile(`\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-Z^-~])`)

// harmless returns an output as text: valid UTF-8, without escape sequences, control characters and
// characters that change the direction of writing, and without blanks at the end.
func harmless(output []byte) string {
	text := strings.ToValidUTF8(string(output), string(unicode.ReplacementChar))
	text = escapes.ReplaceAllString(text, "")
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
	text = strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
	return strings.TrimRightFunc(text, unicode.IsSpace)
}

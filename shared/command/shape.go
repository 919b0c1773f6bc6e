package command

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"chatconf/shared/secret"
)

// A Shape is a rule for the text of a value. Its parts are also what the published JSON Schema of a
// Configuration says of the value, except for Also.
type Shape struct {
	Want   string                     // the rule in words, to follow "write "
	Words  []string                   // the text is one of these; the other parts are empty then
	Least  int                        // the smallest number of characters
	Most   int                        // the largest
	First  func(rune) bool            // whether the text may begin with a character; nil: as Each
	Each   func(rune) bool            // whether the text may contain a character; nil: any
	Also   func(text string) bool     // what else must hold; nil: nothing
	Make   func(random []byte) string // makes a value from 32 random bytes; only for generated settings
	Number bool                       // a JSON number is accepted in addition to a string
	Up     int                        // the largest number; 0: only Most limits it
	Truth  bool                       // JSON's true and false are accepted, and stored as "true" and "false"
}

// Fits reports whether a text obeys the rule.
func (s Shape) Fits(text string) bool {
	if s.Words != nil {
		return slices.Contains(s.Words, text)
	}
	n := 0
	for i, r := range text {
		if n++; n > s.Most || i == 0 && s.First != nil && !s.First(r) || s.Each != nil && !s.Each(r) {
			return false
		}
	}
	return n >= s.Least && (s.Also == nil || s.Also(text))
}

// IsZero reports whether a Shape has no rule.
func (s Shape) IsZero() bool { return s.Want == "" || s.Words == nil && s.Most == 0 }

// Among returns a function that reports whether a character is in set.
func Among(set string) func(rune) bool {
	return func(r rune) bool { return strings.ContainsRune(set, r) }
}

// Text is the Shape of any text of at most n characters without control characters.
func Text(n int) Shape {
	return Shape{
		Want:  fmt.Sprintf("1 to %d characters", n),
		Least: 1, Most: n,
		Each: func(r rune) bool { return r >= ' ' && r != 0x7f },
	}
}

// Visible is the Shape of printable ASCII without blanks, of least to most characters.
func Visible(least, most int) Shape {
	return Shape{
		Want:  fmt.Sprintf("%d to %d printable ASCII characters without blanks", least, most),
		Least: least, Most: most,
		Each: isVisibleASCII,
	}
}

func isVisibleASCII(r rune) bool { return r > ' ' && r < 0x7f }

// maxID is the length of the longest id of a user or a conversation, in bytes.
const maxID = 256

// ID is the Shape of a platform's id of a user or a conversation, both in callbacks and in a
// Configuration, so that every id that arrives can be written into Permissions. It has no
// wildcards: a statement for one id would match others. It is not only ASCII, since an organisation
// chooses its own userids in DingTalk.
var ID = Shape{
	Want:  fmt.Sprintf("1 to %d bytes of visible characters without blanks, '*' and '?'", maxID),
	Least: 1, Most: maxID,
	Each: func(r rune) bool { return isVisible(r) && !strings.ContainsRune(Wildcards, r) },
	Also: fitsID,
}

// IDPattern is the Shape of a pattern for an ID. Text copied from a chat client may contain
// invisible characters, and a pattern with one of them would match nothing.
var IDPattern = Shape{
	Want:  fmt.Sprintf("1 to %d bytes of visible characters without blanks", maxID),
	Least: 1, Most: maxID,
	Each: isVisible,
	Also: fitsID,
}

func isVisible(r rune) bool {
	return r != utf8.RuneError && !isBlank(r) && !isHidden(r) && !joins(r) && !unicode.Is(unicode.C, r)
}

func fitsID(text string) bool { return len(text) <= maxID }

// Alphanumeric is the Shape of least to most ASCII letters and digits. Make makes most of them.
func Alphanumeric(least, most int) Shape {
	want := fmt.Sprintf("%d to %d letters and digits", least, most)
	if least == most {
		want = fmt.Sprintf("%d letters and digits", most)
	}
	return Shape{
		Want:  want,
		Least: least, Most: most,
		Each: isAlphanumeric,
		Make: func(random []byte) string { return secret.Alphanumeric(random, most) },
	}
}

// Digits is the Shape of decimal digits, as a string or a JSON number.
func Digits(most int) Shape {
	return Shape{
		Want:  fmt.Sprintf("1 to %d digits", most),
		Least: 1, Most: most,
		Each:   isDecimal,
		Number: true,
	}
}

// UpTo is the Shape of a whole number from 1 to most, as a string or a JSON number.
func UpTo(most int) Shape {
	return Shape{
		Want:  fmt.Sprintf("a whole number from 1 to %d", most),
		Least: 1, Most: len(strconv.Itoa(most)),
		First: Among("123456789"),
		Each:  isDecimal,
		Also: func(text string) bool {
			n, err := strconv.Atoi(text)
			return err == nil && n <= most
		},
		Number: true,
		Up:     most,
	}
}

// OneOf is the Shape of one of the given words.
func OneOf(words ...string) Shape {
	return Shape{Want: strings.Join(words, " or "), Words: words}
}

// TrueOrFalse is the Shape of true or false, as a string or as a JSON literal.
func TrueOrFalse() Shape {
	shape := OneOf("true", "false")
	shape.Truth = true
	return shape
}

// Base64 is the Shape of least to most bytes in standard base64 with padding.
func Base64(least, most int) Shape {
	want := fmt.Sprintf("%d to %d bytes in base64", least, most)
	if least == most {
		want = fmt.Sprintf("%d bytes in base64", most)
	}
	return Shape{
		Want:  want,
		Least: base64.StdEncoding.EncodedLen(least), Most: base64.StdEncoding.EncodedLen(most),
		Each: Among(alphanumeric + "+/="), // the decoder would skip line ends
		Also: func(s string) bool {
			b, err := base64.StdEncoding.DecodeString(s)
			return err == nil && len(b) >= least && len(b) <= most
		},
	}
}

// EncodingAESKey is the Shape of the 43 letters and digits from which WeCom and DingTalk make an
// AES-256 key, by adding "=" and decoding base64.
//
// The last character carries four bits. The platforms' own keys have the other bits set, so they
// are ignored.
var EncodingAESKey = Alphanumeric(43, 43)

const alphanumeric = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" + digits

const digits = "0123456789"

func isAlphanumeric(r rune) bool { return strings.ContainsRune(alphanumeric, r) }

func isDecimal(r rune) bool { return r >= '0' && r <= '9' }

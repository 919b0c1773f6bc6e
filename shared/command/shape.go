package command

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"chatconf/shared/secret"
)

// A Shape is a rule for the text of a value.
type Shape struct {
	Want   string                     // the rule in words, to follow "write "
	Fits   func(text string) bool     // whether text obeys the rule
	Make   func(random []byte) string // makes a value from 32 random bytes; only for generated settings
	Number bool                       // a JSON number is accepted in addition to a string
	Truth  bool                       // JSON's true and false are accepted, and stored as "true" and "false"
}

// Text is the Shape of any text of at most n characters without control characters.
func Text(n int) Shape {
	return Shape{
		Want: fmt.Sprintf("1 to %d characters", n),
		Fits: func(s string) bool {
			return s != "" && utf8.RuneCountInString(s) <= n &&
				!strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
		},
	}
}

// Visible is the Shape of printable ASCII without blanks, of least to most characters.
func Visible(least, most int) Shape {
	return Shape{
		Want: fmt.Sprintf("%d to %d printable ASCII characters without blanks", least, most),
		Fits: func(s string) bool {
			return len(s) >= least && len(s) <= most && !strings.ContainsFunc(s,
				func(r rune) bool { return r <= ' ' || r >= 0x7f })
		},
	}
}

// maxID is the length of the longest id of a user or a conversation, in bytes.
const maxID = 256

// ID is the Shape of a platform's id of a user or a conversation, both in callbacks and in a
// Configuration, so that every id that arrives can be written into Permissions. It has no
// wildcards: a statement for one id would match others. It is not only ASCII, since an organisation
// chooses its own userids in DingTalk.
var ID = Shape{
	Want: fmt.Sprintf("1 to %d bytes of visible characters without blanks, '*' and '?'", maxID),
	Fits: func(s string) bool { return IDPattern.Fits(s) && !strings.ContainsAny(s, Wildcards) },
}

// IDPattern is the Shape of a pattern for an ID. Text copied from a chat client may contain
// invisible characters, and a pattern with one of them would match nothing.
var IDPattern = Shape{
	Want: fmt.Sprintf("1 to %d bytes of visible characters without blanks", maxID),
	Fits: func(s string) bool {
		return s != "" && len(s) <= maxID && !strings.ContainsFunc(s, func(r rune) bool {
			return r == utf8.RuneError || isBlank(r) || isHidden(r) || joins(r) || unicode.Is(unicode.C, r)
		})
	},
}

// Alphanumeric is the Shape of least to most ASCII letters and digits. Make makes most of them.
func Alphanumeric(least, most int) Shape {
	want := fmt.Sprintf("%d to %d letters and digits", least, most)
	if least == most {
		want = fmt.Sprintf("%d letters and digits", most)
	}
	return Shape{
		Want: want,
		Fits: func(s string) bool { return len(s) >= least && len(s) <= most && only(s, alphanumeric) },
		Make: func(random []byte) string { return secret.Alphanumeric(random, most) },
	}
}

// Digits is the Shape of decimal digits, as a string or a JSON number.
func Digits(most int) Shape {
	return Shape{
		Want: fmt.Sprintf("1 to %d digits", most),
		Fits: func(s string) bool {
			return s != "" && len(s) <= most && only(s, digits)
		},
		Number: true,
	}
}

// OneOf is the Shape of one of the given words.
func OneOf(words ...string) Shape {
	return Shape{
		Want: strings.Join(words, " or "),
		Fits: func(s string) bool { return slices.Contains(words, s) },
	}
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
		Want: want,
		Fits: func(s string) bool {
			if strings.ContainsAny(s, "\r\n") { // which the decoder skips
				return false
			}
			b, err := base64.StdEncoding.DecodeString(s)
			return err == nil && len(b) >= least && len(b) <= most
		},
	}
}

// EncodingAESKey is the Shape of the 43 letters and digits from which WeCom and DingTalk make an
// AES-256 key, by adding "=" and decoding base64.
var EncodingAESKey = Shape{
	Want: "43 letters and digits",
	// The last character carries four bits. The platforms' own keys have the other bits set, so
	// they are ignored.
	Fits: func(s string) bool { return len(s) == 43 && only(s, alphanumeric) },
	Make: func(random []byte) string { return secret.Alphanumeric(random, 43) },
}

const alphanumeric = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" + digits

const digits = "0123456789"

// only reports whether text consists of these bytes.
func only(text, bytes string) bool { return strings.Trim(text, bytes) == "" }

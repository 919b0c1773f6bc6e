package command

import (
	"encoding/base64"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"chatconf/shared/secret"
)

// A Shape is a rule for the text of a value.
type Shape struct {
	Want   string                     // in words, to follow "wanted "
	Fits   func(text string) bool     // whether text fits
	Make   func(random []byte) string // a value that fits, from 32 random bytes; only for settings that are generated
	Number bool                       // a JSON number is accepted besides a string
	Truth  bool                       // JSON's true and false are accepted, and kept as "true" and "false"
}

// Text is a shape: any text of at most n characters without control characters.
func Text(n int) Shape {
	return Shape{
		Want: fmt.Sprintf("1 to %d characters", n),
		Fits: func(s string) bool {
			return s != "" && utf8.RuneCountInString(s) <= n &&
				!strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
		},
	}
}

// Visible is a shape: printable ASCII without blanks, of at least and at most so many characters.
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

// ID is a shape: what a platform calls a user or a conversation by. What is taken from a platform
// fits it, and so does what a Configuration names, so whoever asks can be granted what they asked
// for. No id has a wildcard in it: a statement that grants something in one place would grant it in
// others. It is not ASCII alone, since an organisation makes up its own userids in DingTalk, and no
// document rules out that they are Chinese.
var ID = Shape{
	Want: fmt.Sprintf("1 to %d bytes of visible characters without blanks, '*' and '?'", maxID),
	Fits: func(s string) bool { return IDPattern.Fits(s) && !strings.ContainsAny(s, Wildcards) },
}

// IDPattern is the shape of a pattern for an ID. Chat clients leave invisible characters in what is
// copied from them, and a pattern that has one in it would match nothing.
var IDPattern = Shape{
	Want: fmt.Sprintf("1 to %d bytes of visible characters without blanks", maxID),
	Fits: func(s string) bool {
		return s != "" && len(s) <= maxID && !strings.ContainsFunc(s, func(r rune) bool {
			return r == utf8.RuneError || isBlank(r) || isHidden(r) || joins(r) || unicode.Is(unicode.C, r)
		})
	},
}

// Alphanumeric is a shape: ASCII letters and digits, of at least and at most so many characters;
// made with most.
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

// Digits is a shape: decimal digits, as a string or a JSON number.
func Digits(most int) Shape {
	return Shape{
		Want: fmt.Sprintf("1 to %d digits", most),
		Fits: func(s string) bool {
			return s != "" && len(s) <= most && only(s, digits)
		},
		Number: true,
	}
}

// OneOf is a shape: one of the given words.
func OneOf(words ...string) Shape {
	return Shape{
		Want: strings.Join(words, " or "),
		Fits: func(s string) bool {
			for _, word := range words {
				if s == word {
					return true
				}
			}
			return false
		},
	}
}

// TrueOrFalse is a shape: true or false, as a string or as JSON has them.
func TrueOrFalse() Shape {
	shape := OneOf("true", "false")
	shape.Truth = true
	return shape
}

// Base64 is a shape: standard base64 with padding, of at least and at most so many bytes.
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

// EncodingAESKey is a shape: the 43 letters and digits that WeCom and DingTalk make an AES-256 key
// from, by adding "=" and decoding base64.
var EncodingAESKey = Shape{
	Want: "43 letters and digits",
	// The last character carries four bits; the platforms' own keys leave the others set, so they
	// are not looked at.
	Fits: func(s string) bool { return len(s) == 43 && only(s, alphanumeric) },
	Make: func(random []byte) string { return secret.Alphanumeric(random, 43) },
}

// alphanumeric are ASCII's letters and digits.
const alphanumeric = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" + digits

const digits = "0123456789"

// only reports whether a text has no other bytes than these.
func only(text, bytes string) bool { return strings.Trim(text, bytes) == "" }

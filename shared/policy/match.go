package policy

import "unicode/utf8"

// Match reports whether pattern matches all of s: '*' stands for any run of characters, also none,
// '?' for exactly one, and every other character for itself. There is no escape. A character is one
// of UTF-8; a byte that is not part of one counts as one.
//
// It takes no memory, and time in proportion to len(s) for a pattern with one '*' or none, to
// len(pattern)*len(s) at worst.
func Match(pattern, s string) bool { return match(pattern, s, exactCase) }

// A comparison says how match compares characters.
type comparison uint8

const (
	exactCase  comparison = iota
	foldCase              // the case of ASCII letters does not matter
	ofResource            // as exactCase, and a '*' in s stands for every name: see covers
)

// match goes through s once. Where it fails it goes back no further than the last '*', which takes
// one character more: a '*' before that one has no need to, for whatever it would add the last one
// can take. That is why nothing here is exponential.
func match(pattern, s string, c comparison) bool {
	p, i := 0, 0
	star, taken := -1, 0 // the position after the last '*', and in s after what it takes
	for i < len(s) {
		n := charSize(s[i:])
		if p < len(pattern) {
			if pattern[p] == '*' {
				p++
				star, taken = p, i
				continue
			}
			m := charSize(pattern[p:])
			if pattern[p] == '?' && covers(pattern, p, s[i], c) || equal(pattern[p:p+m], s[i:i+n], c) {
				p += m
				i += n
				continue
			}
		}
		if star < 0 {
			return false
		}
		taken += charSize(s[taken:])
		p, i = star, taken
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// covers reports whether the '?' of pattern at p may take a character. The '*' of a resource stands
// for names of one character and of many, so a '?' takes it only beside a '*': "?*" and "*?" match
// all names, and "?" does not.
func covers(pattern string, p int, character byte, c comparison) bool {
	return c != ofResource || character != '*' || p > 0 && pattern[p-1] == '*' || p+1 < len(pattern) &&
		pattern[p+1] == '*'
}

// charSize returns the size of the first character of s, in bytes.
func charSize(s string) int {
	if s[0] < utf8.RuneSelf {
		return 1
	}
	_, n := utf8.DecodeRuneInString(s)
	return n
}

// equal reports whether a and b, one character each, are the same.
func equal(a, b string, c comparison) bool {
	return a == b || c == foldCase && len(a) == 1 && len(b) == 1 && lower(a[0]) == lower(b[0])
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + ('a' - 'A')
	}
	return c
}

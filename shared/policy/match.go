package policy

import "unicode/utf8"

// Match reports whether pattern matches all of s. '*' matches any characters, including none; '?'
// matches exactly one; every other character matches itself. There is no escape. A character is a
// UTF-8 character, or a byte that is not part of one.
//
// Match allocates nothing. Its time is proportional to len(s) for patterns with at most one '*',
// and to len(pattern)*len(s) at worst.
func Match(pattern, s string) bool { return match(pattern, s, exactCase) }

// A comparison selects how match compares characters.
type comparison uint8

const (
	exactCase  comparison = iota
	foldCase              // ignores the case of ASCII letters
	ofResource            // as exactCase, and a '*' in s means every name: see covers
)

// match reads s once. On a mismatch it goes back only to the last '*', which then matches one more
// character. Going back to an earlier '*' cannot help, because the last one can match the same
// characters. So the time is never exponential.
func match(pattern, s string, c comparison) bool {
	p, i := 0, 0
	star, taken := -1, 0 // the position after the last '*', and the position in s after its match
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

// covers reports whether the '?' of pattern at p may match a character. The '*' of a resource means
// names of any length, so '?' matches it only beside a '*': "?*" and "*?" match all names, "?" does
// not.
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

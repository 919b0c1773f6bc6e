package table

import (
	"fmt"
	"strings"
)

const upperHex = "0123456789ABCDEF"

// Escape returns s with every byte up to '%' written as % and two hexadecimal digits. It is
// injective, and keeps byte order and prefixes. The result contains no '#', no '$', and no byte
// below '%'.
func Escape(s string) string {
	n := 0
	for i := 0; i < len(s); i++ {
		if s[i] <= '%' {
			n++
		}
	}
	if n == 0 {
		return s
	}
	b := make([]byte, 0, len(s)+2*n)
	for i := 0; i < len(s); i++ {
		if c := s[i]; c <= '%' {
			b = append(b, '%', upperHex[c>>4], upperHex[c&15])
		} else {
			b = append(b, c)
		}
	}
	return string(b)
}

// Unescape is the inverse of Escape. It refuses texts that escape cannot return.
func Unescape(s string) (string, error) {
	if !strings.ContainsFunc(s, func(r rune) bool { return r <= '%' }) {
		return s, nil
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c > '%' {
			b = append(b, c)
			continue
		}
		if c != '%' || i+2 >= len(s) {
			return "", fmt.Errorf("%q is not escaped text", s)
		}
		high, low := strings.IndexByte(upperHex, s[i+1]), strings.IndexByte(upperHex, s[i+2])
		if high < 0 || low < 0 || high<<4|low > '%' {
			return "", fmt.Errorf("%q is not escaped text", s)
		}
		b = append(b, byte(high<<4|low))
		i += 2
	}
	return string(b), nil
}

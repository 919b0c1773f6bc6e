package chat

import (
	"fmt"
	"hash/fnv"
	"strings"
)

// Sort keys. A separator is '#'; a range that lies beyond all entries under a prefix starts at '$', the next byte.
// escape leaves neither of them in a name, and every byte it leaves is greater than both.
const (
	configurationPrefix = "c#"
	counterPrefix       = "c!" // sorts right before configurationPrefix, and both start with listPrefix
	listPrefix          = "c"
	indexPrefix         = "i#"
	historyPrefix       = "h#"
	clientTokenPrefix   = "t#"

	counters       = 16
	revisionDigits = 10
)

func configurationKey(name string) string { return configurationPrefix + escape(name) }

func counterKey(name string) string {
	h := fnv.New32a()
	h.Write([]byte(name))
	return fmt.Sprintf("%s%02d", counterPrefix, h.Sum32()%counters)
}

func historyKey(name string, revision int64) string {
	return fmt.Sprintf("%s%s#%0*d", historyPrefix, escape(name), revisionDigits, revision)
}

// indexKey returns the sort key of the entry of name under one value of one attribute.
func indexKey(attribute, value, name string) string {
	return indexRange(attribute, value) + escape(name)
}

// indexRange returns the prefix of all entries under one value of one attribute.
func indexRange(attribute, value string) string {
	return indexPrefix + escape(attribute) + "#" + escape(value) + "#"
}

// parseIndexKey takes an index entry's sort key apart.
func parseIndexKey(key string) (attribute, value, name string, err error) {
	rest, ok := strings.CutPrefix(key, indexPrefix)
	parts := strings.Split(rest, "#")
	if !ok || len(parts) != 3 {
		return "", "", "", fmt.Errorf("chat: index entry %q is malformed", key)
	}
	for i := range parts {
		if parts[i], err = unescape(parts[i]); err != nil {
			return "", "", "", fmt.Errorf("chat: index entry %q: %w", key, err)
		}
	}
	return parts[0], parts[1], parts[2], nil
}

const upperHex = "0123456789ABCDEF"

// escape returns s with every byte up to '%' written as % and two hexadecimal digits. It is injective, keeps the byte order, and
// maps prefixes to prefixes. What it returns has no '#' and no '$', and no byte below '%'.
func escape(s string) string {
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

// unescape is the inverse of escape; it refuses what escape does not return.
func unescape(s string) (string, error) {
	if only(s, func(b byte) bool { return b > '%' }) {
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

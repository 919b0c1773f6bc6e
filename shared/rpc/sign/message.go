package sign

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"slices"
	"strings"
)

const (
	algorithmACS3 = "ACS3-HMAC-SHA256"
	// stringToSignACS3 is the length of "ACS3-HMAC-SHA256\n" and a SHA-256 in hexadecimal.
	stringToSignACS3 = len(algorithmACS3) + 1 + 2*sha256.Size
	// maxMAC is the length of the longest MAC of any dialect.
	maxMAC = sha256.Size
)

// A param is one query or form parameter, decoded.
type param struct{ name, value string }

// A header is one signed header: its name in lower case, its value without surrounding space.
type header struct {
	name, value string
	count       int // the number of its values in the request
}

// A message is the content that a signature covers.
type message struct {
	method  string
	path    string
	params  []param  // sorted by name: ACS3 those of the query, V1 those of query and form except Signature
	headers []header // sorted by name; ACS3 only
	payload string   // hash of the body in hexadecimal; ACS3 only
}

// appendACS3 appends the canonical request of the ACS3 dialect, for a request to host.
func (m *message) appendACS3(dst []byte, host string) []byte {
	dst = append(dst, m.method...)
	dst = append(dst, '\n')
	dst = append(dst, m.path...)
	dst = append(dst, '\n')
	for i, p := range m.params {
		if i > 0 {
			dst = append(dst, '&')
		}
		dst = appendEncoded(dst, p.name, "%")
		dst = append(dst, '=')
		dst = appendEncoded(dst, p.value, "%")
	}
	dst = append(dst, '\n')
	for _, h := range m.headers {
		value := h.value
		if h.name == "host" {
			value = host
		}
		dst = append(dst, h.name...)
		dst = append(dst, ':')
		dst = append(dst, value...)
		dst = append(dst, '\n')
	}
	dst = append(dst, '\n')
	dst = m.appendSignedHeaders(dst)
	dst = append(dst, '\n')
	return append(dst, m.payload...)
}

// appendSignedHeaders appends the names of the signed headers in the format of Authorization and
// the canonical request.
func (m *message) appendSignedHeaders(dst []byte) []byte {
	for i, h := range m.headers {
		if i > 0 {
			dst = append(dst, ';')
		}
		dst = append(dst, h.name...)
	}
	return dst
}

// stringToSignACS3 writes the algorithm and the hash of the canonical request to text.
func (m *message) stringToSignACS3(text *[stringToSignACS3]byte, host string) {
	hash := sha256.Sum256(m.appendACS3(make([]byte, 0, m.size()), host))
	n := copy(text[:], algorithmACS3+"\n")
	hex.Encode(text[n:], hash[:])
}

// macACS3 returns the MAC of an ACS3 string to sign. The key is the secret itself; no key is
// derived.
func macACS3(secret string, text []byte) (mac [sha256.Size]byte) {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write(text)
	h.Sum(mac[:0])
	return mac
}

// appendV1 appends the string to sign of the V1 dialect: the parameters encoded as a query, and the
// result encoded again.
func (m *message) appendV1(dst []byte) []byte {
	// The double encoding is written in one step: %25 replaces each percent sign.
	dst = slices.Grow(dst, m.sizeV1())
	dst = append(dst, m.method...)
	dst = append(dst, '&')
	dst = appendEncoded(dst, m.path, "%")
	dst = append(dst, '&')
	for i, p := range m.params {
		if i > 0 {
			dst = append(dst, "%26"...)
		}
		dst = appendEncoded(dst, p.name, "%25")
		dst = append(dst, "%3D"...)
		dst = appendEncoded(dst, p.value, "%25")
	}
	return dst
}

// macV1 returns the MAC of a V1 string to sign. The key is the secret and an ampersand; a token's
// secret would follow it, but is always empty.
func macV1(secret string, text []byte) (mac [sha1.Size]byte) {
	h := hmac.New(sha1.New, []byte(secret+"&"))
	h.Write(text)
	h.Sum(mac[:0])
	return mac
}

// sizeV1 estimates the length of the V1 text to sign. It may be too small for an unusual path.
func (m *message) sizeV1() int {
	n := len(m.method) + len(m.path) + len("&%2F&")
	for _, p := range m.params {
		n += len("%26%3D") + len(p.name) + len(p.value) + len("%255")*(reserved(p.name)+reserved(p.value))
	}
	return n
}

// reserved returns the number of bytes of s that percent-encoding replaces.
func reserved(s string) (n int) {
	for i := range len(s) {
		if !isUnreserved(s[i]) {
			n++
		}
	}
	return n
}

// isUnreserved reports whether percent-encoding keeps c: RFC 3986, section 2.3.
func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_' ||
		c == '~'
}

// size estimates the length of the text to sign, so that its buffer does not grow.
func (m *message) size() int {
	n := 256 + len(m.payload)
	for _, p := range m.params {
		n += len(p.name) + len(p.value) + len(p.value)/2 + 8
	}
	for _, h := range m.headers {
		n += 2*len(h.name) + len(h.value) + 3
	}
	return n
}

// sortParams sorts by the bytes of the name, as the SDKs do. A duplicate name is an error.
func sortParams(params []param) error {
	slices.SortFunc(params, func(a, b param) int { return strings.Compare(a.name, b.name) })
	for i := 1; i < len(params); i++ {
		if params[i].name == params[i-1].name {
			return repeated(params[i].name)
		}
	}
	return nil
}

// checkOnce returns an error for a parameter without exactly one value, because some servers use
// the first value and some the last.
func checkOnce(params url.Values) error {
	name, found := "", false
	for n, values := range params {
		// The first by name, so that the error is deterministic.
		if len(values) != 1 && (!found || n < name) {
			name, found = n, true
		}
	}
	if found {
		return repeated(name)
	}
	return nil
}

// appendEncoded appends s with the percent-encoding of RFC 3986: every byte except letters, digits
// and "-._~" becomes percent and two upper-case digits. percent is "%", or "%25" for a second
// encoding.
func appendEncoded(dst []byte, s, percent string) []byte {
	const digits = "0123456789ABCDEF"
	for i := range len(s) {
		c := s[i]
		if isUnreserved(c) {
			dst = append(dst, c)
			continue
		}
		dst = append(dst, percent...)
		dst = append(dst, digits[c>>4], digits[c&15])
	}
	return dst
}

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

// A header is one header that is signed, its name in lower case, its value without the space around
// it.
type header struct {
	name, value string
	count       int // how many values the request has for it
}

// A message is what a signature covers.
type message struct {
	method  string
	path    string
	params  []param  // sorted by name: in ACS3 those of the query, in V1 those of query and form but Signature
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

// appendSignedHeaders appends the names of the signed headers, as Authorization and the canonical
// request have them.
func (m *message) appendSignedHeaders(dst []byte) []byte {
	for i, h := range m.headers {
		if i > 0 {
			dst = append(dst, ';')
		}
		dst = append(dst, h.name...)
	}
	return dst
}

// stringToSignACS3 writes the algorithm and the hash of the canonical request into text.
func (m *message) stringToSignACS3(text *[stringToSignACS3]byte, host string) {
	hash := sha256.Sum256(m.appendACS3(make([]byte, 0, m.size()), host))
	n := copy(text[:], algorithmACS3+"\n")
	hex.Encode(text[n:], hash[:])
}

// macACS3 returns the MAC of an ACS3 string to sign. The secret is the key as it is, nothing is
// derived from it.
func macACS3(secret string, text []byte) (mac [sha256.Size]byte) {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write(text)
	h.Sum(mac[:0])
	return mac
}

// appendV1 appends the string to sign of the V1 dialect: the parameters encoded once as a query,
// and then once more in whole.
func (m *message) appendV1(dst []byte) []byte {
	// The double encoding is written in one go: what the second encoding makes of a percent sign is
	// %25.
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

// macV1 returns the MAC of a V1 string to sign. The key is the secret and an ampersand: the place
// of a token's secret, always empty.
func macV1(secret string, text []byte) (mac [sha1.Size]byte) {
	h := hmac.New(sha1.New, []byte(secret+"&"))
	h.Write(text)
	h.Sum(mac[:0])
	return mac
}

// sizeV1 returns how long the text to sign of V1 will be, or a little less for an odd path.
func (m *message) sizeV1() int {
	n := len(m.method) + len(m.path) + len("&%2F&")
	for _, p := range m.params {
		n += len("%26%3D") + len(p.name) + len(p.value) + len("%255")*(reserved(p.name)+reserved(p.value))
	}
	return n
}

// reserved returns how many bytes of s percent-encoding replaces.
func reserved(s string) (n int) {
	for i := range len(s) {
		if !isUnreserved(s[i]) {
			n++
		}
	}
	return n
}

// isUnreserved reports whether c stays as it is in percent-encoding: RFC 3986, section 2.3.
func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_' ||
		c == '~'
}

// size returns about how long the text to sign will be, so that it is written without growing.
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

// sortParams sorts by the bytes of the name, as the SDKs do, and returns an error if a name occurs
// twice.
func sortParams(params []param) error {
	slices.SortFunc(params, func(a, b param) int { return strings.Compare(a.name, b.name) })
	for i := 1; i < len(params); i++ {
		if params[i].name == params[i-1].name {
			return repeated(params[i].name)
		}
	}
	return nil
}

// checkOnce returns an error that names a parameter that has not exactly one value: each value
// counts once or not at all.
func checkOnce(params url.Values) error {
	name, found := "", false
	for n, values := range params {
		// The first by name, so that the same request always has the same answer.
		if len(values) != 1 && (!found || n < name) {
			name, found = n, true
		}
	}
	if found {
		return repeated(name)
	}
	return nil
}

// appendEncoded appends s in the percent-encoding of RFC 3986: everything but letters, digits and
// "-._~" becomes percent and two upper-case digits. percent is "%", or "%25" for what has been
// encoded and is encoded again.
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

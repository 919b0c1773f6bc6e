package sign

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const (
	// maxAuthorization is the maximum size of an Authorization header in bytes. The SDKs send about
	// 300.
	maxAuthorization = 4096
	// maxSignedHeaders is the maximum number of signed headers. The SDKs send about ten.
	maxSignedHeaders = 64
)

// requiredHeaders must be present and signed in every request. They are sorted for a binary search.
var requiredHeaders = [...]string{"host", "x-acs-action", "x-acs-content-sha256", "x-acs-date", "x-acs-signature-nonce",
	"x-acs-version"}

func parseACS3(r *http.Request, value string, params url.Values, body []byte) (*Signature, error) {
	auth, err := parseAuthorization(value)
	if err != nil {
		return nil, err
	}
	s := &Signature{Dialect: ACS3, AccessKeyID: auth.credential, host: r.Host}
	if err := decodeHex(s.mac[:], auth.signature); err != nil {
		return nil, err
	}
	headers, err := parseSignedHeaders(auth.signedHeaders)
	if err != nil {
		return nil, err
	}
	if s.message, err = newACS3Message(r, headers, params, body); err != nil {
		return nil, err
	}
	s.Action = s.message.header("x-acs-action")
	s.Version = s.message.header("x-acs-version")
	s.Nonce = s.message.header("x-acs-signature-nonce")
	s.SecurityToken = s.message.header("x-acs-security-token")
	if err := checkNonce("x-acs-signature-nonce", s.Nonce); err != nil {
		return nil, err
	}
	if s.Time, err = parseTime("x-acs-date", s.message.header("x-acs-date")); err != nil {
		return nil, err
	}
	return s, nil
}

// newACS3Message returns the content of an ACS3 signature of r over the named headers. It returns
// an error if they leave out a header that must be signed.
func newACS3Message(r *http.Request, headers []header, params url.Values, body []byte) (message, error) {
	m := message{method: r.Method, path: pathOf(r.URL), headers: headers}
	if err := checkMethod(m.method); err != nil {
		return message{}, err
	}
	if err := bindHeaders(headers, r.Header, len(body) > 0); err != nil {
		return message{}, err
	}
	m.payload = m.header("x-acs-content-sha256")
	hash := sha256.Sum256(body)
	var text [2 * sha256.Size]byte
	hex.Encode(text[:], hash[:])
	if m.payload != string(text[:]) {
		return message{}, &Error{
			Code:      BodyDoesNotMatch,
			Parameter: "x-acs-content-sha256",
			Message:   "Specified x-acs-content-sha256 is not matched with your request body.",
		}
	}
	var err error
	m.params, err = queryParams(r.URL.RawQuery, params, len(body) == 0)
	return m, err
}

// header returns the value of a signed header, or "".
func (m *message) header(name string) string {
	if i, ok := findHeader(m.headers, name); ok {
		return m.headers[i].value
	}
	return ""
}

// An authorization holds the parts of an ACS3 Authorization header.
type authorization struct{ credential, signedHeaders, signature string }

// parseAuthorization parses "ACS3-HMAC-SHA256 Credential=…,SignedHeaders=…,Signature=…". Each part
// occurs once, in any order, without spaces around the commas.
func parseAuthorization(s string) (authorization, error) {
	if len(s) > maxAuthorization {
		return authorization{}, incomplete("the Authorization header is too long")
	}
	algorithm, rest, _ := strings.Cut(s, " ")
	if algorithm != algorithmACS3 {
		return authorization{}, unsupportedMethod()
	}
	if !isPrintable(rest) {
		return authorization{}, incomplete("the Authorization header has a space or a non-ASCII character")
	}
	var a authorization
	for more := true; more; {
		var part string
		part, rest, more = strings.Cut(rest, ",")
		name, value, _ := strings.Cut(part, "=")
		var field *string
		switch name {
		case "Credential":
			field = &a.credential
		case "SignedHeaders":
			field = &a.signedHeaders
		case "Signature":
			field = &a.signature
		default:
			return authorization{},
				incomplete("the Authorization header has a part other than Credential, SignedHeaders and Signature")
		}
		if *field != "" {
			return authorization{}, incomplete("the Authorization header has " + name + " more than once")
		}
		if value == "" {
			return authorization{}, incomplete("the Authorization header has an empty " + name)
		}
		*field = value
	}
	switch {
	case a.credential == "":
		return authorization{}, incomplete("the Authorization header has no Credential")
	case a.signedHeaders == "":
		return authorization{}, incomplete("the Authorization header has no SignedHeaders")
	case a.signature == "":
		return authorization{}, incomplete("the Authorization header has no Signature")
	}
	return a, checkKeyID(a.credential)
}

// decodeHex decodes a signature of exactly 64 lower-case hexadecimal digits. encoding/hex also
// accepts upper case.
func decodeHex(dst []byte, s string) error {
	if len(s) == 2*sha256.Size && strings.Trim(s, "0123456789abcdef") == "" {
		_, err := hex.Decode(dst, []byte(s))
		return err
	}
	return incomplete("the Signature is not 64 lower-case hexadecimal digits")
}

// parseSignedHeaders parses "a;b;c": lower-case names, sorted, without duplicates.
func parseSignedHeaders(s string) ([]header, error) {
	n := strings.Count(s, ";") + 1
	if n > maxSignedHeaders {
		return nil, incomplete("SignedHeaders has more than " + strconv.Itoa(maxSignedHeaders) + " names")
	}
	headers := make([]header, 0, n)
	for name := range strings.SplitSeq(s, ";") {
		if !isHeaderName(name) {
			return nil, incomplete("SignedHeaders has a name that is not in lower case")
		}
		if len(headers) > 0 && name <= headers[len(headers)-1].name {
			return nil, incomplete("SignedHeaders is not sorted, or has a name more than once")
		}
		headers = append(headers, header{name: name})
	}
	return headers, nil
}

func isHeaderName(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

// bindHeaders sets the value of each of headers from the request. It returns an error if a header
// is absent from the request, or if headers leave out one that must be signed.
func bindHeaders(headers []header, in http.Header, hasBody bool) error {
	unsigned := ""
	for name, values := range in {
		if i, ok := findHeader(headers, name); ok {
			headers[i].count += len(values)
			if len(values) > 0 {
				headers[i].value = strings.Trim(values[0], " \t")
			}
			continue
		}
		if mustSign(name, hasBody) && (unsigned == "" || name < unsigned) {
			unsigned = name
		}
	}
	if i, ok := findHeader(headers, "host"); ok {
		headers[i] = header{name: "host", count: 1} // its value is Request.Host, not that of a header
	}
	for _, name := range requiredHeaders {
		i, ok := findHeader(headers, name)
		switch {
		case ok && headers[i].count == 1 && headers[i].value == "" && name != "host", ok && headers[i].count == 0:
			return missing(name)
		case !ok && (name == "host" || hasHeader(in, name)):
			return incomplete("the header " + name + " is not in SignedHeaders")
		case !ok:
			return missing(name)
		}
	}
	if unsigned != "" {
		return incomplete("the header " + quote(strings.ToLower(unsigned)) + " is not in SignedHeaders")
	}
	for _, h := range headers {
		switch {
		case h.count == 0:
			return incomplete("the request lacks the header " + quote(h.name) +
				", which SignedHeaders names")
		case h.count > 1:
			return repeated(h.name)
		case !isClean(h.value):
			return invalid(h.name, "has a control character")
		}
	}
	return nil
}

// mustSign reports whether a header must be signed if it is present. The content type decides how a
// body is read.
func mustSign(name string, hasBody bool) bool {
	const prefix = "x-acs-"
	return len(name) >= len(prefix) && compareFold(prefix, name[:len(prefix)]) == 0 || hasBody &&
		compareFold("content-type", name) == 0
}

// findHeader returns the position of a name, in any case, in a sorted list of lower-case names.
func findHeader(headers []header, name string) (int, bool) {
	return slices.BinarySearchFunc(headers, name, func(h header, name string) int { return compareFold(h.name, name) })
}

// hasHeader reports whether h has the lower-case name, in any case.
func hasHeader(h http.Header, lower string) bool {
	for name := range h {
		if compareFold(lower, name) == 0 {
			return true
		}
	}
	return false
}

// compareFold compares a lower-case name with a name in any case, without allocating.
func compareFold(lower, name string) int {
	for i := range min(len(lower), len(name)) {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if lower[i] != c {
			return int(lower[i]) - int(c)
		}
	}
	return len(lower) - len(name)
}

// queryParams returns the parameters of a raw query, sorted by name. Each must have exactly one
// value, and the same value in params, because the request is served from params. Without a form,
// params must have no others.
func queryParams(query string, params url.Values, noForm bool) ([]param, error) {
	if err := checkOnce(params); err != nil {
		return nil, err
	}
	out := make([]param, 0, min(strings.Count(query, "&")+1, len(params)))
	for query != "" {
		var part string
		part, query, _ = strings.Cut(query, "&")
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		name, err := url.QueryUnescape(name)
		if err == nil {
			value, err = url.QueryUnescape(value)
		}
		if err != nil || strings.Contains(part, ";") {
			return nil, &Error{Code: InvalidParameter, Message: "The query is not well formatted."}
		}
		if served, ok := params[name]; !ok || served[0] != value {
			return nil, notServed(name)
		}
		out = append(out, param{name: name, value: value})
	}
	if err := sortParams(out); err != nil {
		return nil, err
	}
	if noForm && len(out) != len(params) {
		return nil, notServed("")
	}
	return out, nil
}

func notServed(name string) error {
	return &Error{Code: InternalError, Parameter: name, Message: "The parameters are not those of the signed request."}
}

// pathOf returns the path as sent, or "/" if it is empty.
func pathOf(u *url.URL) string {
	if path := u.EscapedPath(); path != "" {
		return path
	}
	return "/"
}

package sign

import (
	"crypto/sha1"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
)

const methodV1 = "HMAC-SHA1"

// strictBase64 refuses padding bits that are set, so that a signature has one spelling.
var strictBase64 = base64.StdEncoding.Strict()

func parseV1(r *http.Request, params url.Values, body []byte) (*Signature, error) {
	// Nothing in V1 covers a body but its form parameters.
	if len(body) > 0 && !isForm(r.Header) {
		return nil, incomplete("a body that is not a form is not signed")
	}
	m, err := newV1Message(r.Method, pathOf(r.URL), params)
	if err != nil {
		return nil, err
	}
	s := &Signature{
		Dialect:       V1,
		AccessKeyID:   params.Get("AccessKeyId"),
		SecurityToken: params.Get("SecurityToken"),
		Nonce:         params.Get("SignatureNonce"),
		Action:        params.Get("Action"),
		Version:       params.Get("Version"),
		message:       m,
	}
	if err := checkV1(params); err != nil {
		return nil, err
	}
	if err := checkKeyID(s.AccessKeyID); err != nil {
		return nil, err
	}
	if err := checkNonce("SignatureNonce", s.Nonce); err != nil {
		return nil, err
	}
	if s.Time, err = parseTime("Timestamp", params.Get("Timestamp")); err != nil {
		return nil, err
	}
	if err := decodeBase64(s.mac[:], params.Get("Signature")); err != nil {
		return nil, err
	}
	return s, nil
}

// newV1Message returns what a V1 signature covers: all parameters but Signature, those that are
// empty too.
func newV1Message(method, path string, params url.Values) (message, error) {
	if err := checkMethod(method); err != nil {
		return message{}, err
	}
	if err := checkOnce(params); err != nil {
		return message{}, err
	}
	m := message{method: method, path: path, params: make([]param, 0, len(params))}
	for name, values := range params {
		if name != "Signature" {
			m.params = append(m.params, param{name: name, value: values[0]})
		}
	}
	return m, sortParams(m.params)
}

// checkV1 returns an error unless params say that they are signed as V1 signs.
func checkV1(params url.Values) error {
	for _, name := range [...]string{"Action", "Version", "SignatureMethod", "SignatureVersion"} {
		if params.Get(name) == "" {
			return missing(name)
		}
	}
	// SignatureType is empty or absent for an access key. BEARERTOKEN asks for no signature at all.
	if params.Get("SignatureMethod") != methodV1 || params.Get("SignatureType") != "" {
		return unsupportedMethod()
	}
	if params.Get("SignatureVersion") != "1.0" {
		return invalid("SignatureVersion", "must be 1.0")
	}
	return nil
}

// decodeBase64 reads a signature of exactly 20 bytes.
func decodeBase64(dst []byte, s string) error {
	if s == "" {
		return missing("Signature")
	}
	// The length rules out the line breaks that encoding/base64 passes over even when strict.
	var buf [sha1.Size + 1]byte // what the decoder may touch
	bad := len(s) != base64.StdEncoding.EncodedLen(sha1.Size)
	if !bad {
		n, err := strictBase64.Decode(buf[:], []byte(s))
		bad = err != nil || n != sha1.Size
	}
	if bad {
		return incomplete("the Signature is not the base64 of 20 bytes; a plus sign in it must be sent as %2B")
	}
	copy(dst, buf[:sha1.Size])
	return nil
}

// isForm reports whether h says, once, that the body is a form.
func isForm(h http.Header) bool {
	values := h["Content-Type"]
	if len(values) != 1 {
		return false
	}
	kind, _, _ := strings.Cut(values[0], ";")
	return strings.EqualFold(strings.TrimSpace(kind), "application/x-www-form-urlencoded")
}

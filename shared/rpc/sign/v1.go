package sign

import (
	"crypto/sha1"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
)

const methodV1 = "HMAC-SHA1"

// strictBase64 refuses non-zero padding bits, so that a signature has only one encoding.
var strictBase64 = base64.StdEncoding.Strict()

func parseV1(r *http.Request, params url.Values, body []byte) (*Signature, error) {
	// V1 covers nothing of a body except its form parameters.
	if len(body) > 0 && !isForm(r.Header) {
		return nil, incomplete("V1 cannot sign a body that is not a form; use ACS3-HMAC-SHA256")
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

// newV1Message returns the content of a V1 signature: all parameters except Signature, also empty
// ones.
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

// checkV1 returns an error unless params describe a V1 signature.
func checkV1(params url.Values) error {
	for _, name := range [...]string{"Action", "Version", "SignatureMethod", "SignatureVersion"} {
		if params.Get(name) == "" {
			return missing(name)
		}
	}
	// SignatureType is empty or absent for an access key. BEARERTOKEN means that there is no
	// signature.
	if params.Get("SignatureMethod") != methodV1 || params.Get("SignatureType") != "" {
		return unsupportedMethod()
	}
	if params.Get("SignatureVersion") != "1.0" {
		return invalid("SignatureVersion", "must be 1.0")
	}
	return nil
}

// decodeBase64 decodes a signature of exactly 20 bytes.
func decodeBase64(dst []byte, s string) error {
	if s == "" {
		return missing("Signature")
	}
	// The length check refuses line breaks, which encoding/base64 ignores even in strict mode.
	var buf [sha1.Size + 1]byte // what the decoder may touch
	bad := len(s) != base64.StdEncoding.EncodedLen(sha1.Size)
	if !bad {
		n, err := strictBase64.Decode(buf[:], []byte(s))
		bad = err != nil || n != sha1.Size
	}
	if bad {
		return incomplete("the Signature is not base64 of 20 bytes; send a plus sign in it as %2B")
	}
	copy(dst, buf[:sha1.Size])
	return nil
}

// isForm reports whether h says exactly once that the body is a form.
func isForm(h http.Header) bool {
	values := h["Content-Type"]
	if len(values) != 1 {
		return false
	}
	kind, _, _ := strings.Cut(values[0], ";")
	return strings.EqualFold(strings.TrimSpace(kind), "application/x-www-form-urlencoded")
}

package sign

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"chatconf/shared/secret"
)

// A Key is an access key. A client signs requests with it.
type Key struct {
	secret.Hidden

	ID            string
	Secret        string
	SecurityToken string // of temporary credentials; otherwise empty
}

// SignACS3 signs req in the ACS3 dialect. The headers x-acs-action and x-acs-version, the query and
// everything else must already be final. body is the content of req.Body. SignACS3 sets x-acs-date,
// x-acs-signature-nonce, x-acs-content-sha256 and Authorization; for temporary credentials also
// x-acs-accesskey-id and x-acs-security-token.
//
// The query must not contain a parameter twice, and a signed header must not have two values. Use a
// new nonce for each request.
func (k Key) SignACS3(req *http.Request, body []byte, now time.Time, nonce string) error {
	if err := k.check("x-acs-signature-nonce", nonce); err != nil {
		return err
	}
	params, err := url.ParseQuery(req.URL.RawQuery)
	if err != nil {
		return &Error{Code: InvalidParameter, Message: "The query is not well formatted."}
	}
	hash := sha256.Sum256(body)
	req.Header.Set("x-acs-date", now.UTC().Format(TimeFormat))
	req.Header.Set("x-acs-signature-nonce", nonce)
	req.Header.Set("x-acs-content-sha256", hex.EncodeToString(hash[:]))
	req.Header.Del("x-acs-accesskey-id")
	req.Header.Del("x-acs-security-token")
	if k.SecurityToken != "" {
		req.Header.Set("x-acs-accesskey-id", k.ID)
		req.Header.Set("x-acs-security-token", k.SecurityToken)
	}
	m, err := newACS3Message(req, headersToSign(req.Header), params, body)
	if err != nil {
		return err
	}
	host := req.Host
	if host == "" {
		host = req.URL.Host
	}
	if host == "" || !isClean(host) {
		return missing("host")
	}
	var text [stringToSignACS3]byte
	m.stringToSignACS3(&text, host)
	mac := macACS3(k.Secret, text[:])
	out := m.appendSignedHeaders([]byte(algorithmACS3 + " Credential=" + k.ID + ",SignedHeaders="))
	req.Header.Set("Authorization", string(hex.AppendEncode(append(out, ",Signature="...), mac[:])))
	return nil
}

// SignV1 signs params in the V1 dialect. The caller sends them with method, in the query, in a
// form, or in both. SignV1 sets AccessKeyId, SignatureMethod, SignatureVersion, SignatureNonce,
// Timestamp and Signature; for temporary credentials also SecurityToken.
//
// Action and Version are required. No parameter may have two values. Use a new nonce for each
// request.
func (k Key) SignV1(method string, params url.Values, now time.Time, nonce string) error {
	if err := k.check("SignatureNonce", nonce); err != nil {
		return err
	}
	params.Set("AccessKeyId", k.ID)
	params.Set("SignatureMethod", methodV1)
	params.Set("SignatureVersion", "1.0")
	params.Set("SignatureNonce", nonce)
	params.Set("Timestamp", now.UTC().Format(TimeFormat))
	params.Del("SecurityToken")
	if k.SecurityToken != "" {
		params.Set("SecurityToken", k.SecurityToken)
	}
	if err := checkV1(params); err != nil {
		return err
	}
	m, err := newV1Message(method, "/", params)
	if err != nil {
		return err
	}
	mac := macV1(k.Secret, m.appendV1(nil))
	params.Set("Signature", base64.StdEncoding.EncodeToString(mac[:]))
	return nil
}

// check returns an error if k cannot sign, or if nonce cannot be sent as name.
func (k Key) check(name, nonce string) error {
	if err := checkKeyID(k.ID); err != nil {
		return err
	}
	if k.Secret == "" {
		return missing("AccessKeySecret")
	}
	return checkNonce(name, nonce)
}

// headersToSign returns the names of the headers that a signature must cover, including the content
// type.
func headersToSign(h http.Header) []header {
	headers := []header{{name: "host"}}
	for name := range h {
		if mustSign(name, true) {
			headers = append(headers, header{name: strings.ToLower(name)})
		}
	}
	slices.SortFunc(headers, func(a, b header) int { return strings.Compare(a.name, b.name) })
	return headers
}

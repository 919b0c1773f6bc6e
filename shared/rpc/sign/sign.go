// Package sign signs Alibaba Cloud RPC requests and verifies their signatures. It supports two
// dialects: ACS3-HMAC-SHA256, which signs the headers, the query and the hash of the body, and V1
// HMAC-SHA1, which signs the parameters.
//
// Each dialect has one function that writes the text to sign; signing and verifying share it. A
// request that could be read in two ways (a repeated parameter, an unsigned x-acs header, two
// signatures) is refused before its secret is looked up.
//
// Check a request in this order: Parse, look up the secret of AccessKeyID, Verify, CheckTime, then
// the nonce. Clock and nonces are used only after Verify, so a forger learns nothing from them and
// cannot fill the nonce store.
package sign

import (
	"crypto/hmac"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	// MaxSkew is the maximum difference between a request's time and ours; a larger one is the
	// gateway's InvalidTimeStamp.Expired. Remember a nonce until its request's time is that long
	// ago.
	MaxSkew = 15 * time.Minute
	// MaxNonce is the maximum length of a nonce in printable characters. The SDKs send 32
	// hexadecimal digits. PHP sends a digest and microtime(), which contains a blank.
	MaxNonce = 128
	// MaxAccessKeyID is the maximum length of an access key id in printable ASCII characters.
	MaxAccessKeyID = 128
	// TimeFormat is the layout of x-acs-date and Timestamp, always in UTC. Other formats are
	// refused.
	TimeFormat = "2006-01-02T15:04:05Z"
)

// A Dialect is one way to sign a request. The zero Dialect is invalid and never verifies.
type Dialect uint8

const (
	// ACS3 is ACS3-HMAC-SHA256 in headers. The current SDKs send it.
	// https://help.aliyun.com/zh/sdk/product-overview/v3-request-structure-and-signature
	ACS3 Dialect = iota + 1
	// V1 is HMAC-SHA1 in parameters. The aliyun CLI, Terraform and older SDKs send it.
	// https://help.aliyun.com/zh/sdk/product-overview/rpc-mechanism
	V1
)

// String returns the dialect's name.
func (d Dialect) String() string {
	switch d {
	case ACS3:
		return "ACS3"
	case V1:
		return "V1"
	default:
		return "unknown"
	}
}

// A Signature holds what a request claims about its signature. Nothing of it is proven until Verify
// returns nil.
//
// Action and Version are the signed ones: the headers x-acs-action and x-acs-version in ACS3, the
// parameters in V1. The CLI also sends the headers with V1, but unsigned; ignore them. V1 signs no
// headers. ACS3 signs x-acs headers, host, and the content type of a body; other headers, such as
// If-Match, are not signed.
type Signature struct {
	Dialect       Dialect
	AccessKeyID   string
	SecurityToken string // of temporary credentials; otherwise empty
	Nonce         string
	Time          time.Time
	Action        string
	Version       string

	message message
	host    string
	mac     [maxMAC]byte // its length depends on the dialect
}

// Parse parses the signature of r: ACS3 if its Authorization header starts with "ACS3-", V1 if it
// has the parameter Signature. Both together are an error, and so is neither.
//
// params are the decoded parameters of query and form together, with all their values. Serve the
// request from params. body is the whole body, or empty. Parse changes neither; do not change them
// until Verify has returned. In ACS3 Parse also compares the body with its hash. Errors are of type
// *Error.
func Parse(r *http.Request, params url.Values, body []byte) (*Signature, error) {
	authorization := r.Header["Authorization"]
	acs3 := false
	for _, a := range authorization {
		acs3 = acs3 || strings.HasPrefix(a, "ACS3-")
	}
	_, v1 := params["Signature"]
	switch {
	case acs3 && v1:
		return nil, incomplete("the request has both an Authorization header and a Signature parameter; " +
			"send only one")
	case acs3 && len(authorization) > 1:
		return nil, incomplete("the request has more than one Authorization header")
	case acs3:
		return parseACS3(r, authorization[0], params, body)
	case v1:
		return parseV1(r, params, body)
	case params.Get("SignatureType") != "" || hasHeader(r.Header, "x-acs-bearer-token"):
		return nil, unsupportedMethod()
	default:
		return nil, missing("Signature")
	}
}

// Verify returns nil only if the request was signed with secret. An empty secret is an error of
// code InternalError; any other failure is SignatureDoesNotMatch.
//
// In ACS3 the host is signed. hosts are further accepted hosts, for a proxy that rewrites Host.
func (s *Signature) Verify(secret string, hosts ...string) error {
	if secret == "" || s.AccessKeyID == "" {
		return &Error{Code: InternalError, Message: "The access key has no secret."}
	}
	switch s.Dialect {
	case ACS3:
		matches := func(host string) bool { return s.matchesACS3(secret, host) }
		if matches(s.host) || slices.ContainsFunc(hosts, matches) {
			return nil
		}
		var text [stringToSignACS3]byte
		s.message.stringToSignACS3(&text, s.host)
		return mismatch(string(text[:]), nil)
	case V1:
		text := s.message.appendV1(nil)
		mac := macV1(secret, text)
		if !hmac.Equal(mac[:], s.mac[:len(mac)]) {
			return mismatch(string(text), s.message.params)
		}
		return nil
	default:
		return &Error{Code: InternalError, Message: "The signature was not parsed."}
	}
}

// matchesACS3 reports whether the signature is that of secret for a request to host. It returns
// false for an empty host.
func (s *Signature) matchesACS3(secret, host string) bool {
	if host == "" || !isClean(host) {
		return false
	}
	var text [stringToSignACS3]byte
	s.message.stringToSignACS3(&text, host)
	mac := macACS3(secret, text[:])
	return hmac.Equal(mac[:], s.mac[:len(mac)])
}

// CheckTime returns an error of code InvalidTimeStamp.Expired if the request's time is more than
// MaxSkew before or after now.
func (s *Signature) CheckTime(now time.Time) error {
	if d := now.Sub(s.Time); d < -MaxSkew || d > MaxSkew {
		return &Error{Code: TimeExpired, Message: "Specified time stamp or date value is expired."}
	}
	return nil
}

// String returns dialect, action and access key id. So no log line or error contains the parameters
// or the token.
func (s Signature) String() string {
	return s.Dialect.String() + " signature of " + s.Action + " by " + s.AccessKeyID
}

// Format writes what String returns, whatever the verb.
func (s Signature) Format(f fmt.State, _ rune) { io.WriteString(f, s.String()) }

// LogValue returns what String does.
func (s Signature) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalJSON returns what String does.
func (s Signature) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// checkNonce returns an error if nonce is invalid; name is the parameter or header that contains
// it.
func checkNonce(name, nonce string) error {
	switch {
	case nonce == "":
		return missing(name)
	case !isNonce(nonce):
		return invalid(name, "must be 1 to 128 printable characters without a blank at either end")
	}
	return nil
}

// isNonce reports whether s is printable text without blanks at either end, because a header would
// lose them.
func isNonce(s string) bool {
	if len(s) > utf8.UTFMax*MaxNonce || !utf8.ValidString(s) || utf8.RuneCountInString(s) > MaxNonce {
		return false
	}
	return strings.Trim(s, " ") == s && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// checkKeyID returns an error if id cannot be an access key id. The error is the same as for an
// unknown id.
func checkKeyID(id string) error {
	switch {
	case id == "":
		return missing("AccessKeyId")
	case len(id) > MaxAccessKeyID || !isPrintable(id) || strings.Contains(id, ","):
		return &Error{Code: InvalidAccessKeyID, Parameter: "AccessKeyId", Message: "Specified access key is not found."}
	}
	return nil
}

// parseTime parses a time in TimeFormat; name is the parameter or header that contains it.
func parseTime(name, value string) (time.Time, error) {
	if value == "" {
		return time.Time{}, missing(name)
	}
	// time.Parse also accepts an hour of one digit, and a fraction of a second that the layout does
	// not have.
	t, err := time.Parse(TimeFormat, value)
	var buf [2 * len(TimeFormat)]byte
	if err != nil || string(t.AppendFormat(buf[:0], TimeFormat)) != value {
		return time.Time{}, &Error{Code: InvalidTimeFormat, Parameter: name,
			Message: "Specified time stamp or date value is not well formatted."}
	}
	return t, nil
}

// checkMethod returns an error if method contains characters that would change the text to sign.
func checkMethod(method string) error {
	if method == "" || len(method) > 16 || strings.Trim(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return unsupportedHTTPMethod()
	}
	return nil
}

// isPrintable reports whether s is ASCII without spaces and control characters.
func isPrintable(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c >= 0x7f })
}

// isClean reports whether s has no control characters, so that it cannot start a new line.
func isClean(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c == 0x7f })
}

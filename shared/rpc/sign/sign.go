// Package sign is the signature of an Alibaba Cloud RPC request, made and checked, in the two
// dialects that reach an endpoint: ACS3-HMAC-SHA256, which signs the headers, the query and the
// hash of the body, and V1 HMAC-SHA1, which signs the parameters.
//
// Each dialect has one function that writes what is signed, and both directions go through it. A
// request that could be read in two ways (a repeated parameter, an unsigned x-acs header, two
// signatures) is refused before any secret is asked for.
//
// The order of a check is Parse, find the secret of the AccessKeyID, Verify, CheckTime, and then
// the nonce: the clock and the nonces are consulted only for a request that is proven, so a forger
// learns nothing from them and cannot fill them.
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
	// MaxSkew is how far a request's time may be from ours, either way, itself included: the
	// gateway's InvalidTimeStamp.Expired. A nonce must be remembered until its request's time is
	// that long ago.
	MaxSkew = 15 * time.Minute
	// MaxNonce is the length of a nonce, in printable characters. The SDKs send 32 hexadecimal
	// digits, PHP's a digest and its microtime(), which has a blank inside.
	MaxNonce = 128
	// MaxAccessKeyID is the length of an access key id, in printable ASCII characters.
	MaxAccessKeyID = 128
	// TimeFormat is the layout of x-acs-date and of Timestamp, always in UTC. No other spelling of
	// a time is taken.
	TimeFormat = "2006-01-02T15:04:05Z"
)

// A Dialect is one way to sign a request. The zero Dialect is none, and never verifies.
type Dialect uint8

const (
	// ACS3 is ACS3-HMAC-SHA256, in headers: what the SDKs of today send.
	// https://help.aliyun.com/zh/sdk/product-overview/v3-request-structure-and-signature
	ACS3 Dialect = iota + 1
	// V1 is HMAC-SHA1, in parameters: what the aliyun CLI, Terraform and the older SDKs send.
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

// A Signature is what a request says of its own signature. Nothing of it is proven until Verify has
// returned nil.
//
// Action and Version are those that are signed: in ACS3 the headers x-acs-action and x-acs-version,
// in V1 the parameters. The CLI sends the headers with V1 too, unsigned; they mean nothing. Nor is
// any other header signed in V1, nor in ACS3 those that are not x-acs headers, host, or the content
// type of a body; If-Match is one of these.
type Signature struct {
	Dialect       Dialect
	AccessKeyID   string
	SecurityToken string // of temporary credentials; empty when there is none
	Nonce         string
	Time          time.Time
	Action        string
	Version       string

	message message
	host    string
	mac     [maxMAC]byte // of the length that the dialect has
}

// Parse reads the signature of r: ACS3 if its Authorization header starts with "ACS3-", V1 if it
// has the parameter Signature. Both at once are refused, as is neither.
//
// params are the parameters of query and form together, decoded, every value of them; they must be
// what the request is served by. body is the whole body, empty if there is none. Neither is
// changed; both must stay as they are until Verify has returned. In ACS3 Parse also compares the
// body with its hash. Errors are of type *Error.
func Parse(r *http.Request, params url.Values, body []byte) (*Signature, error) {
	authorization := r.Header["Authorization"]
	acs3 := false
	for _, a := range authorization {
		acs3 = acs3 || strings.HasPrefix(a, "ACS3-")
	}
	_, v1 := params["Signature"]
	switch {
	case acs3 && v1:
		return nil, incomplete("an Authorization header and a Signature parameter are given, which must be " +
			"one of the two")
	case acs3 && len(authorization) > 1:
		return nil, incomplete("more than one Authorization header is given")
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

// Verify proves that the request was signed with secret, and returns nil only then. An empty secret
// proves nothing and is an error of code InternalError; any other failure is SignatureDoesNotMatch.
//
// In ACS3 the host is signed; hosts are further values accepted in place of the request's own, for
// a proxy that rewrites Host.
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

// matchesACS3 reports whether the signature is that of secret for a request to host. Nothing is a
// request to no host.
func (s *Signature) matchesACS3(secret, host string) bool {
	if host == "" || !isClean(host) {
		return false
	}
	var text [stringToSignACS3]byte
	s.message.stringToSignACS3(&text, host)
	mac := macACS3(secret, text[:])
	return hmac.Equal(mac[:], s.mac[:len(mac)])
}

// CheckTime returns an error of code InvalidTimeStamp.Expired when the request's time is more than
// MaxSkew before or after now.
func (s *Signature) CheckTime(now time.Time) error {
	if d := now.Sub(s.Time); d < -MaxSkew || d > MaxSkew {
		return &Error{Code: TimeExpired, Message: "Specified time stamp or date value is expired."}
	}
	return nil
}

// String returns dialect, action and access key id, so that no log line or error can hold the
// parameters or the token.
func (s Signature) String() string {
	return s.Dialect.String() + " signature of " + s.Action + " by " + s.AccessKeyID
}

// Format writes what String returns, whatever the verb.
func (s Signature) Format(f fmt.State, _ rune) { io.WriteString(f, s.String()) }

// LogValue returns what String does.
func (s Signature) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalJSON returns what String does.
func (s Signature) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// checkNonce returns an error unless nonce can be one; name is where it was given.
func checkNonce(name, nonce string) error {
	switch {
	case nonce == "":
		return missing(name)
	case !isNonce(nonce):
		return invalid(name, "must be 1 to 128 printable characters, none of them a blank at either end")
	}
	return nil
}

// isNonce reports whether s is printable text, with blanks only inside: a header would lose those
// around it.
func isNonce(s string) bool {
	if len(s) > utf8.UTFMax*MaxNonce || !utf8.ValidString(s) || utf8.RuneCountInString(s) > MaxNonce {
		return false
	}
	return strings.Trim(s, " ") == s && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// checkKeyID returns an error unless id can be an access key id; an impossible one is answered like
// an unknown one.
func checkKeyID(id string) error {
	switch {
	case id == "":
		return missing("AccessKeyId")
	case len(id) > MaxAccessKeyID || !isPrintable(id) || strings.Contains(id, ","):
		return &Error{Code: InvalidAccessKeyID, Parameter: "AccessKeyId", Message: "Specified access key is not found."}
	}
	return nil
}

// parseTime reads a time in TimeFormat; name is where it was given.
func parseTime(name, value string) (time.Time, error) {
	if value == "" {
		return time.Time{}, missing(name)
	}
	// time.Parse also takes an hour of one digit, and a fraction of a second though the layout has
	// none.
	t, err := time.Parse(TimeFormat, value)
	var buf [2 * len(TimeFormat)]byte
	if err != nil || string(t.AppendFormat(buf[:0], TimeFormat)) != value {
		return time.Time{}, &Error{Code: InvalidTimeFormat, Parameter: name,
			Message: "Specified time stamp or date value is not well formatted."}
	}
	return t, nil
}

// checkMethod returns an error unless method is one that cannot be mistaken for more of the text it
// is written into.
func checkMethod(method string) error {
	if method == "" || len(method) > 16 {
		return unsupportedHTTPMethod()
	}
	for i := range len(method) {
		if c := method[i]; c < 'A' || c > 'Z' {
			return unsupportedHTTPMethod()
		}
	}
	return nil
}

// isPrintable reports whether s is ASCII without spaces and control characters.
func isPrintable(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}

// isClean reports whether s has no control characters, so that it stays on the line it is written
// on.
func isClean(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == 0x7f {
			return false
		}
	}
	return true
}

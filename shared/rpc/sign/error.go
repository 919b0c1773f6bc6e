package sign

import (
	"slices"
	"strconv"
)

// A Code is the gateway's code for a problem with a signature.
type Code string

// The codes of this package's errors. All except InternalError are mistakes of the client.
const (
	// MissingParameter: a parameter or header that a signature needs is absent or empty;
	// Error.Parameter names it.
	MissingParameter Code = "MissingParameter"
	// InvalidParameter: a parameter or header is invalid, or is given more than once;
	// Error.Parameter names it.
	InvalidParameter Code = "InvalidParameter"
	// UnsupportedHTTPMethod: HTTP does not define the request's method.
	UnsupportedHTTPMethod Code = "UnsupportedHTTPMethod"
	// InvalidAccessKeyID: the access key id is malformed, so it cannot exist.
	InvalidAccessKeyID Code = "InvalidAccessKeyId.NotFound"
	// InvalidSignatureMethod: the signature method is unsupported or unknown, such as SM3, RSA or a
	// bearer token.
	InvalidSignatureMethod Code = "InvalidSignatureMethod"
	// InvalidTimeFormat: the time is not in TimeFormat.
	InvalidTimeFormat Code = "InvalidTimeStamp.Format"
	// TimeExpired: the time differs too much from ours.
	TimeExpired Code = "InvalidTimeStamp.Expired"
	// IncompleteSignature: the signature is malformed, or does not cover everything that it must.
	IncompleteSignature Code = "IncompleteSignature"
	// BodyDoesNotMatch: x-acs-content-sha256 is not the hash of the body. The gateway has one code
	// for this; it dates from the time when the digest was MD5.
	BodyDoesNotMatch Code = "ContentMD5NotMatched"
	// SignatureDoesNotMatch: the request was signed with another secret, or was changed in transit.
	SignatureDoesNotMatch Code = "SignatureDoesNotMatch"
	// InternalError: the caller of this package gave no secret, no parsed signature, or the
	// parameters of another request.
	InternalError Code = "InternalError"
)

// An Error is the reason why a signature was refused. It never contains a secret or the correct
// signature.
type Error struct {
	Code      Code
	Parameter string // the missing or invalid parameter or header, if any
	Message   string // for the caller, in the gateway's wording if that is known

	// StringToSign is the text that we signed, only for SignatureDoesNotMatch. The caller needs it
	// to find the mistake. In V1 it contains every parameter of the request; see Sensitive.
	StringToSign string

	params []param // in StringToSign
}

// Error returns code and message.
func (e *Error) Error() string { return "sign: " + string(e.Code) + ": " + e.Message }

// Sensitive reports whether StringToSign may contain secret parameters, so that it must not be
// shown. Parameters of the signature itself are not secret, nor those for which plain returns true.
// A string to sign of ACS3 is a hash and never sensitive.
func (e *Error) Sensitive(plain func(name string) bool) bool {
	return slices.ContainsFunc(e.params, func(p param) bool {
		switch p.name {
		case "AccessKeyId", "Action", "Version", "Format", "SignatureMethod", "SignatureVersion", "SignatureNonce",
			"SignatureType", "Timestamp":
			return false
		}
		return !plain(p.name)
	})
}

func missing(name string) error {
	return &Error{Code: MissingParameter, Parameter: name, Message: name + " is mandatory for this action."}
}

func invalid(name, why string) error {
	return &Error{Code: InvalidParameter, Parameter: name, Message: "Specified parameter " + quote(name) + " " + why +
		"."}
}

func repeated(name string) error { return invalid(name, "is given more than once") }

// incomplete returns an error with the words of https://help.aliyun.com/document_detail/51132.html
// and the reason.
func incomplete(why string) error {
	return &Error{Code: IncompleteSignature, Message: "The request signature does not conform to Aliyun standards: " +
		why + "."}
}

func unsupportedMethod() error {
	return &Error{Code: InvalidSignatureMethod,
		Message: "Specified signature method is not supported, only ACS3-HMAC-SHA256 and HMAC-SHA1 are."}
}

func unsupportedHTTPMethod() error {
	return &Error{Code: UnsupportedHTTPMethod, Message: "This http method not supported."}
}

func mismatch(stringToSign string, params []param) error {
	return &Error{
		Code:         SignatureDoesNotMatch,
		Message:      "Specified signature is not matched with our calculation.",
		StringToSign: stringToSign,
		params:       params,
	}
}

// quote returns name for a message: short, and without control characters.
func quote(name string) string {
	const most = 64
	if len(name) > most {
		return strconv.QuoteToASCII(name[:most]) + "…"
	}
	return strconv.QuoteToASCII(name)
}

package sign

import (
	"slices"
	"strconv"
)

// A Code says what is wrong with a signature, in the gateway's own word for it.
type Code string

// The codes of this package's errors. All are the client's mistakes but InternalError.
const (
	// MissingParameter: a parameter or header that a signature needs is absent or empty;
	// Error.Parameter names it.
	MissingParameter Code = "MissingParameter"
	// InvalidParameter: a parameter or header cannot be what it is, or is given more than once;
	// Error.Parameter names it.
	InvalidParameter Code = "InvalidParameter"
	// UnsupportedHTTPMethod: the request's method is not one that HTTP defines.
	UnsupportedHTTPMethod Code = "UnsupportedHTTPMethod"
	// InvalidAccessKeyID: the access key id is not in the form of one, so nobody has it.
	InvalidAccessKeyID Code = "InvalidAccessKeyId.NotFound"
	// InvalidSignatureMethod: signed in a way that is not served: SM3, RSA, bearer token, or one
	// that is not known.
	InvalidSignatureMethod Code = "InvalidSignatureMethod"
	// InvalidTimeFormat: the time is not written as TimeFormat says.
	InvalidTimeFormat Code = "InvalidTimeStamp.Format"
	// TimeExpired: the time is too far from ours, before or after.
	TimeExpired Code = "InvalidTimeStamp.Expired"
	// IncompleteSignature: the signature is malformed, or leaves out what it must cover.
	IncompleteSignature Code = "IncompleteSignature"
	// BodyDoesNotMatch: the hash in x-acs-content-sha256 is not that of the body. The gateway's
	// table has one code for a body that is not what its digest says, and it is from the time when
	// the digest was MD5.
	BodyDoesNotMatch Code = "ContentMD5NotMatched"
	// SignatureDoesNotMatch: the request is not signed with the secret of its access key, or was
	// changed on the way.
	SignatureDoesNotMatch Code = "SignatureDoesNotMatch"
	// InternalError: the caller of this package gave it no secret, no parsed signature, or not the
	// parameters of the request.
	InternalError Code = "InternalError"
)

// An Error says why a signature was refused. It never holds a secret, nor the signature that would
// have been right.
type Error struct {
	Code      Code
	Parameter string // the parameter or header that is missing or wrong, where it is one
	Message   string // for the caller, in the gateway's wording where that is known

	// StringToSign is what we signed, only for SignatureDoesNotMatch: what the caller needs to find
	// its mistake. In V1 it holds every parameter of the request; see Sensitive.
	StringToSign string

	params []param // in StringToSign
}

// Error returns code and message.
func (e *Error) Error() string { return "sign: " + string(e.Code) + ": " + e.Message }

// Sensitive reports whether StringToSign holds parameters that may be secret, and must not be
// shown: any but those of the signature itself and those whose name plain says can hold none. A
// string to sign of ACS3 is a hash and never is.
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

// incomplete returns an error in the words of https://help.aliyun.com/document_detail/51132.html,
// and why.
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

// quote returns name as a message can show it: short, and without control characters.
func quote(name string) string {
	const most = 64
	if len(name) > most {
		return strconv.QuoteToASCII(name[:most]) + "…"
	}
	return strconv.QuoteToASCII(name)
}

package rpc

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"chatconf/shared/fault"
	"chatconf/shared/rpc/sign"
)

// A wireError is an error as the client sees it.
type wireError struct {
	status  int
	code    string
	message string
	denied  *fault.AccessDenied
	retry   *retryAfter // only of Throttling
	err     error       // for the log
}

// Error returns the code and the message.
func (f *wireError) Error() string { return f.code + ": " + f.message }

// Unwrap returns the error for the log.
func (f *wireError) Unwrap() error { return f.err }

// A retryAfter tells a throttled caller when to retry.
type retryAfter struct {
	limit   int
	seconds int
}

// Errors of the gateway. Their texts and statuses are those of
// https://help.aliyun.com/zh/oos/developer-reference/api-oos-2019-06-01-errorcodes and the
// gateway's public error codes.
var (
	errNoAction = &wireError{status: http.StatusNotFound, code: "InvalidApi.NotFound",
		message: "Specified api is not found, please check your url and method."}
	errVersion = &wireError{status: http.StatusBadRequest, code: "InvalidVersion",
		message: "Specified parameter Version is not valid; use " + Version + "."}
	errMethod = &wireError{status: http.StatusForbidden, code: "UnsupportedHTTPMethod",
		message: "This http method is not supported; use POST. GET is for actions that only read, tags and resource " +
			"groups; the aliyun CLI sends it with --force unless --method POST is given."}
	errFormat = &wireError{status: http.StatusBadRequest, code: "InvalidParameter.Format",
		message: "Specified parameter Format is not valid; use JSON or XML."}
	errKeyInactive = &wireError{status: http.StatusBadRequest, code: "InvalidAccessKeyId.Inactive",
		message: "Specified access key is disabled."}
	errKeyExpired = &wireError{status: http.StatusBadRequest, code: "InvalidAccessKeyId.Inactive",
		message: "Specified access key has expired."}
	errNonceUsed = &wireError{status: http.StatusBadRequest, code: "SignatureNonceUsed",
		message: "Specified signature nonce was used already."}
	errSecurityToken = &wireError{status: http.StatusBadRequest, code: "InvalidSecurityToken.Malformed",
		message: "Specified parameter SecurityToken is not valid; use an access key without one."}
	errBodyTooLarge = &wireError{status: http.StatusRequestEntityTooLarge, code: "RequestEntityTooLarge",
		message: fmt.Sprintf("The request body is too large; the limit is %d bytes.", MaxBody)}
	errHeadTooLarge = &wireError{status: http.StatusRequestHeaderFieldsTooLarge, code: "RequestHeaderFieldsTooLarge",
		message: fmt.Sprintf("The URL and the headers have more than %d bytes; send the parameters in the body.",
			MaxHead)}
	errTooManyParams = &fault.Error{Code: fault.InvalidParameter,
		Message: fmt.Sprintf("The request has too many parameters; the limit is %d.", MaxParams)}
	errBodyBroken = &wireError{status: http.StatusBadRequest, code: "ContentLengthDoesNotMatch",
		message: "The request body is shorter than its Content-Length."}
)

// onWire maps the domain's codes to statuses and codes of the API. The parameter's name follows a
// code that ends in a dot.
var onWire = [...]struct {
	status int
	code   string
}{
	fault.Internal:            {http.StatusInternalServerError, "InternalError"},
	fault.Unavailable:         {http.StatusServiceUnavailable, "ServiceUnavailable"},
	fault.Unsupported:         {http.StatusBadRequest, "UnsupportedStore"}, // not 5xx, which clients retry
	fault.MissingParameter:    {http.StatusBadRequest, "MissingParameter."},
	fault.InvalidParameter:    {http.StatusBadRequest, "InvalidParameter."},
	fault.InvalidRegion:       {http.StatusNotFound, "InvalidRegion.NotFound"},
	fault.InvalidNextToken:    {http.StatusBadRequest, "InvalidNextToken"},
	fault.NotFound:            {http.StatusNotFound, "EntityNotExists.ChatConfiguration"},
	fault.ResourceNotFound:    {http.StatusNotFound, "InvalidResourceId.NotFound"},
	fault.AlreadyExists:       {http.StatusConflict, "EntityAlreadyExists.ChatConfiguration"},
	fault.QuotaExceeded:       {http.StatusBadRequest, "QuotaExceeded."},
	fault.Conflict:            {http.StatusConflict, "OperationConflict"},
	fault.IdempotencyMismatch: {http.StatusBadRequest, "IdempotentParameterMismatch"},
	fault.NoPermission:        {http.StatusForbidden, "NoPermission"},
	fault.KeyNotFound:         {http.StatusNotFound, "InvalidAccessKeyId.NotFound"},
	fault.AccessKeyNotFound:   {http.StatusNotFound, "EntityNotExists.AccessKey"},
}

// FaultOf returns an error of the API as one of the domain, for clients. A code that the table does
// not have is Internal.
func FaultOf(code, message string) *fault.Error {
	if strings.HasPrefix(code, "InvalidAccessKeyId.") {
		return &fault.Error{Code: fault.KeyNotFound, Param: "AccessKeyId", Message: message}
	}
	for of, row := range onWire {
		of := fault.Code(of)
		if row.code == code {
			return &fault.Error{Code: of, Message: message}
		}
		if param, ok := strings.CutPrefix(code, row.code); ok && strings.HasSuffix(row.code, ".") {
			return &fault.Error{Code: of, Param: param, Message: message}
		}
	}
	return &fault.Error{Code: fault.Internal, Err: errors.New(code + ": " + message)}
}

const internalMessage = "The request processing has failed due to some unknown error, exception or failure."

// faultOf returns an error as the client sees it. An unknown error is an InternalError without
// details.
func faultOf(err error) *wireError {
	var f *wireError
	if errors.As(err, &f) {
		return f
	}
	var signature *sign.Error
	if errors.As(err, &signature) {
		return signatureFault(signature, nil)
	}
	var e *fault.Error
	if !errors.As(err, &e) {
		e = &fault.Error{Code: fault.Internal, Err: err}
	}
	row := onWire[e.Code]
	f = &wireError{status: row.status, code: row.code, message: e.Message, denied: e.Denied, err: e.Err}
	if code, ok := strings.CutSuffix(f.code, "."); ok {
		f.code = withParam(code, e.Param)
	}
	switch e.Code {
	case fault.Internal:
		f.message = internalMessage
	case fault.Unavailable:
		f.message = "The request has failed due to a temporary failure of the server."
	case fault.Unsupported:
		f.message = "The store of this service lacks an operation that the service needs, such as transactions; " +
			"the operator must use another store."
	case fault.KeyNotFound:
		f.message = "Specified access key is not found."
	}
	return f
}

// maxStringToSign is the length in bytes up to which an answer shows the string to sign.
// Unauthenticated clients get it too, and in V1 it is up to five times as long as the request.
const maxStringToSign = 16 << 10

// signatureFault returns an error of package sign as the client sees it. It shows the string to
// sign only if no parameter in it may be secret; plain reports which are not.
func signatureFault(err error, plain func(name string) bool) *wireError {
	var e *sign.Error
	if !errors.As(err, &e) || e.Code == sign.InternalError {
		return &wireError{status: onWire[fault.Internal].status, code: onWire[fault.Internal].code,
			message: internalMessage, err: err}
	}
	f := &wireError{status: http.StatusBadRequest, code: string(e.Code), message: e.Message}
	switch e.Code {
	case sign.MissingParameter, sign.InvalidParameter:
		f.code = withParam(f.code, e.Parameter)
	case sign.InvalidAccessKeyID:
		f.status = http.StatusNotFound
	case sign.UnsupportedHTTPMethod:
		f.status = http.StatusForbidden
	case sign.SignatureDoesNotMatch:
		if e.StringToSign != "" && len(e.StringToSign) <= maxStringToSign && plain != nil && !e.Sensitive(plain) {
			f.message += " server string to sign is:" + e.StringToSign
		}
	}
	return f
}

const paramBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"

// withParam appends the name of a parameter to a code. A name with other characters is only in the
// message, quoted.
func withParam(code, param string) string {
	if param == "" || strings.Trim(param, paramBytes) != "" {
		return code
	}
	return code + "." + param
}

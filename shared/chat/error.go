package chat

import (
	"errors"
	"fmt"
	"strconv"
)

// A Code says what kind of error an Error is. Callers switch on it, never on text.
type Code int

// The codes. Package rpc has the one table from code to wire.
const (
	Internal            Code = iota // a fault of ours; Err has the detail, for the log only
	Unavailable                     // the store cannot answer now; a later try may succeed
	MissingParameter                // Param is needed and absent
	InvalidParameter                // Param has a value that cannot be
	InvalidRegion                   // RegionId is none
	InvalidNextToken                // a page token that is not ours, or not for this list
	NotFound                        // there is no such chat configuration
	ResourceNotFound                // the same, of a tag operation's ResourceIds
	AlreadyExists                   // there is one of that name
	QuotaExceeded                   // one more would be too many; Param says of what
	Conflict                        // it was changed by somebody else in between
	IdempotencyMismatch             // the ClientToken was used with other parameters
	NoPermission                    // no policy of the caller allows it, or one denies it; Denied has the detail
	KeyNotFound                     // there is no such access key
)

// An Error is every error that the domain returns.
type Error struct {
	Code    Code
	Param   string        // the parameter it is about, by its name in the API; may be empty
	Message string        // for the caller: whole sentences, no secret
	Denied  *AccessDenied // only with NoPermission
	Err     error         // for the log only, never for the caller
}

// AccessDenied is the detail of a NoPermission error, named as RAM names it.
type AccessDenied struct {
	AuthAction               string
	AuthPrincipalType        string
	AuthPrincipalOwnerId     string
	AuthPrincipalDisplayName string
	NoPermissionType         string // ImplicitDeny or ExplicitDeny
	PolicyType               string
}

// Error returns the message, or the detail where there is no message.
func (e *Error) Error() string {
	if e.Message == "" && e.Err != nil {
		return e.Err.Error()
	}
	return e.Message
}

// Unwrap returns the detail.
func (e *Error) Unwrap() error { return e.Err }

// CodeOf returns the code of err; Internal for an error that is not the domain's.
func CodeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return Internal
}

func missing(param string) error {
	return &Error{Code: MissingParameter, Param: param, Message: param + " is mandatory for this action."}
}

func invalid(param, format string, args ...any) error {
	return &Error{Code: InvalidParameter, Param: param, Message: fmt.Sprintf(format, args...)}
}

// quote returns s as messages show a caller's own value: quoted, and cut where it is long.
func quote(s string) string {
	const most = 100
	if len(s) > most {
		return strconv.Quote(s[:most]) + "…"
	}
	return strconv.Quote(s)
}

// Package fault has the error type of the domain: a code to switch on, a message for the caller,
// and a detail for the log.
package fault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"chatconf/shared/table"
)

// A Code is the kind of an Error. Callers switch on it, never on text.
type Code int

// The codes. Package rpc has the one table from code to wire.
const (
	Internal            Code = iota // a fault of the service; Err has the detail for the log
	Unavailable                     // the store cannot answer now; a retry may succeed
	Unsupported                     // the store lacks a required operation; no retry can succeed
	MissingParameter                // Param is mandatory and absent
	InvalidParameter                // the value of Param is invalid
	InvalidRegion                   // RegionId is invalid
	InvalidNextToken                // the page token is forged or belongs to another list
	NotFound                        // the chat configuration does not exist
	ResourceNotFound                // the same, for the ResourceIds of a tag operation
	AlreadyExists                   // the name is in use
	QuotaExceeded                   // the quota of Param is used up
	Conflict                        // another caller changed it at the same time
	IdempotencyMismatch             // the ClientToken was used with other parameters
	NoPermission                    // no policy of the caller allows it, or one denies it; Denied has the detail
	KeyNotFound                     // the access key of the signature does not exist
	AccessKeyNotFound               // the access key that the action names does not exist
)

// An Error is the type of every error of the domain.
type Error struct {
	Code    Code
	Param   string        // the name of the parameter in the API; may be empty
	Message string        // for the caller: whole sentences, no secret
	Denied  *AccessDenied // only with NoPermission
	Err     error         // for the log only, never for the caller

	parts []*Error // the mistakes of an error of Join
}

// AccessDenied is the detail of a NoPermission error, with RAM's names.
type AccessDenied struct {
	AuthAction               string
	AuthPrincipalType        string
	AuthPrincipalOwnerId     string
	AuthPrincipalDisplayName string
	NoPermissionType         string // ImplicitDeny or ExplicitDeny
	PolicyType               string
}

// Error returns the message, or the detail if there is no message.
func (e *Error) Error() string {
	if e.Message == "" && e.Err != nil {
		return e.Err.Error()
	}
	return e.Message
}

// Unwrap returns the detail.
func (e *Error) Unwrap() error { return e.Err }

// CodeOf returns the code of err; Internal if err is not an *Error.
func CodeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return Internal
}

// MaxMistakes is how many mistakes of one request, and of one Configuration, a message lists.
const MaxMistakes = 20

// Join returns all mistakes of one request as one error, with the code and the parameter of the
// first and the messages of all. An error that is not a mistake of the caller is returned alone. A
// parameter with another mistake is not called missing. Join returns nil if every error is nil.
func Join(errs ...error) error {
	var parts []*Error
	for _, err := range errs {
		if err == nil {
			continue
		}
		var e *Error
		if !errors.As(err, &e) || !e.isMistake() {
			return err
		}
		if e.parts != nil {
			parts = append(parts, e.parts...)
		} else {
			parts = append(parts, e)
		}
	}
	if len(parts) == 0 {
		return nil
	}
	about := make(map[string]bool)
	for _, e := range parts {
		if e.Code != MissingParameter {
			about[e.Param] = true
		}
	}
	parts = slices.DeleteFunc(slices.Clone(parts), func(e *Error) bool {
		known := e.Code == MissingParameter && about[e.Param]
		about[e.Param] = true
		return known
	})
	if len(parts) == 1 {
		return parts[0]
	}
	texts := make([]string, 0, len(parts))
	for _, e := range parts[:min(len(parts), MaxMistakes)] {
		texts = append(texts, e.Message)
	}
	if more := len(parts) - MaxMistakes; more > 0 {
		texts = append(texts, fmt.Sprintf("There are %d more mistakes.", more))
	}
	return &Error{Code: parts[0].Code, Param: parts[0].Param, Message: strings.Join(texts, " "), parts: parts}
}

// Parts returns the mistakes that err consists of: those of an error of Join, or err itself.
func Parts(err error) []*Error {
	var e *Error
	switch {
	case !errors.As(err, &e):
		return nil
	case e.parts != nil:
		return e.parts
	}
	return []*Error{e}
}

// isMistake reports whether a parameter is missing or invalid.
func (e *Error) isMistake() bool {
	switch e.Code {
	case MissingParameter, InvalidParameter, InvalidRegion, InvalidNextToken:
		return true
	}
	return false
}

// Missing returns the error for an absent mandatory parameter.
func Missing(param string) error {
	return &Error{Code: MissingParameter, Param: param, Message: param + " is mandatory for this action."}
}

// Invalid returns the error for a parameter with an invalid value.
func Invalid(param, format string, args ...any) error {
	return &Error{Code: InvalidParameter, Param: param, Message: fmt.Sprintf(format, args...)}
}

// Quote returns a caller's value for a message: quoted, and cut if it is long.
func Quote(s string) string {
	const most = 100
	if len(s) > most {
		return strconv.Quote(s[:most]) + "…"
	}
	return strconv.Quote(s)
}

// Wrap turns an error of a table into an *Error. Its text is for the log; the code tells the caller
// whether a retry can succeed. An *Error stays as it is.
func Wrap(ctx context.Context, what string, err error) error {
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	e := &Error{Code: Internal, Err: fmt.Errorf("%s: %w", what, err)}
	switch {
	case errors.Is(err, table.ErrUnsupported):
		e.Code = Unsupported
	case errors.Is(err, table.ErrUnavailable), errors.Is(err, table.ErrClosed), ctx.Err() != nil:
		e.Code = Unavailable
	}
	return e
}

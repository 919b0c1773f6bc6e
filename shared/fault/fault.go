// Package fault is the one error of the domain: a code to switch on, a message for the caller, and
// a detail for the log.
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

// A Code says what kind of error an Error is. Callers switch on it, never on text.
type Code int

// The codes. Package rpc has the one table from code to wire.
const (
	Internal            Code = iota // a fault of ours; Err has the detail, for the log only
	Unavailable                     // the store cannot answer now; a later try may succeed
	Unsupported                     // the store has no operation that the service relies on; no later try succeeds
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
	KeyNotFound                     // the access key that the caller signed with does not exist
	AccessKeyNotFound               // the access key that an action is about does not exist
)

// An Error is every error that the domain returns.
type Error struct {
	Code    Code
	Param   string        // the parameter it is about, by its name in the API; may be empty
	Message string        // for the caller: whole sentences, no secret
	Denied  *AccessDenied // only with NoPermission
	Err     error         // for the log only, never for the caller

	parts []*Error // of an error that Join made: the mistakes, each by itself
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

// MaxMistakes is how many mistakes of one request, and of one Configuration, are named.
const MaxMistakes = 20

// Join returns all mistakes of one request as one error: the code and the parameter of the first,
// the messages of all. An error that is not a mistake of the caller's is returned alone. A
// parameter is not called missing if another mistake is about it. Join returns nil if every error
// is nil.
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

// isMistake reports whether the error says that a parameter is missing or has a value that cannot
// be.
func (e *Error) isMistake() bool {
	switch e.Code {
	case MissingParameter, InvalidParameter, InvalidRegion, InvalidNextToken:
		return true
	}
	return false
}

// Missing returns the error of a parameter that is mandatory and absent.
func Missing(param string) error {
	return &Error{Code: MissingParameter, Param: param, Message: param + " is mandatory for this action."}
}

// Invalid returns the error of a parameter that has a value that cannot be.
func Invalid(param, format string, args ...any) error {
	return &Error{Code: InvalidParameter, Param: param, Message: fmt.Sprintf(format, args...)}
}

// Quote returns s as messages show a caller's own value: quoted, and cut where it is long.
func Quote(s string) string {
	const most = 100
	if len(s) > most {
		return strconv.Quote(s[:most]) + "…"
	}
	return strconv.Quote(s)
}

// Wrap turns an error of a table into one for the caller. What went wrong, and in what, is for the
// log; the caller learns whether to come back. An error that is one of ours stays as it is.
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

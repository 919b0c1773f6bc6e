package sts

import (
	"fmt"
	"net/http"
)

// An Error is an error as the gateway answers it.
type Error struct {
	Status  int // of HTTP
	Code    string
	Message string
	// Denied says what was refused; only of NoPermission.
	Denied *AccessDenied
	// Retry is how many seconds to wait, said in the headers that SDKs and the CLI read; 0 says
	// nothing.
	Retry int
}

// Error returns code and message.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// An AccessDenied is the detail of a refusal, in RAM's words.
type AccessDenied struct {
	AuthAction               string
	AuthPrincipalType        string // SubUser or AssumedRoleUser
	AuthPrincipalOwnerId     string
	AuthPrincipalDisplayName string
	NoPermissionType         string // ImplicitDeny or ExplicitDeny
	PolicyType               string // AccountLevelIdentityBasedPolicy, SessionPolicy or AssumeRolePolicy
}

// Errorf returns an error of status 400.
func Errorf(code, format string, args ...any) *Error {
	return &Error{Status: http.StatusBadRequest, Code: code, Message: fmt.Sprintf(format, args...)}
}

// Missing returns the error of a required parameter that is absent.
func Missing(name string) *Error {
	return Errorf("Missing"+name, "%s is mandatory for this action.", name)
}

// Throttled returns the error of too many requests. Its status is 400, as the gateway's is, so that
// a client has to look at the code. Clients that read headers try again after that many seconds.
func Throttled(seconds int) *Error {
	e := Errorf("Throttling.User", "Request was denied due to user flow control.")
	e.Retry = seconds
	return e
}

// Unavailable returns the error of a service that is down for a moment.
func Unavailable() *Error {
	return &Error{Status: http.StatusServiceUnavailable, Code: "ServiceUnavailable",
		Message: "The request has failed due to a temporary failure of the server."}
}

// Internal returns the error of a service that has failed.
func Internal() *Error {
	return &Error{Status: http.StatusInternalServerError, Code: "InternalError",
		Message: "The request processing has failed due to some unknown error."}
}

// A Request describes a request to a fault hook.
type Request struct {
	Product   string // Sts or Oos
	Action    string
	Principal string // the ARN of who signed it
	// Params are the parameters. The map may be kept and changed.
	Params map[string]string
}

// A Fault is what a test does to one request. The zero Fault does nothing.
type Fault struct {
	// Before delays the request until the channel is closed or the client disconnects.
	Before <-chan struct{}
	// Err is the answer in place of the result. The request is not executed unless Applied is set.
	Err *Error
	// Drop closes the connection without an answer. The request is not executed unless Applied is
	// set.
	Drop bool
	// Applied executes the request before Err or Drop discards its result.
	Applied bool
	// Body replaces a result's JSON, to answer what no client expects.
	Body []byte
}

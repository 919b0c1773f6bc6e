package ots

import (
	"fmt"
	"net/http"
)

// An Error is an error answer to a request, or to one row of a batch.
type Error struct {
	Code    string // such as OTSConditionCheckFail
	Message string
	Status  int // HTTP status; 0 means the one that belongs to the code
}

// Error returns code and message.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// statuses maps error codes to HTTP statuses; all other codes have 400. See
// https://www.alibabacloud.com/help/en/tablestore/developer-reference/error-codes.
var statuses = map[string]int{
	"OTSAuthFailed":            http.StatusForbidden,
	"OTSNoPermissionAccess":    http.StatusForbidden,
	"OTSConditionCheckFail":    http.StatusForbidden,
	"OTSQuotaExhausted":        http.StatusForbidden,
	"OTSNotEnoughCapacityUnit": http.StatusForbidden,
	"OTSObjectNotExist":        http.StatusNotFound,
	"OTSTableNotReady":         http.StatusNotFound,
	"OTSSessionNotExist":       http.StatusNotFound,
	"OTSTrimmedDataAccess":     http.StatusNotFound,
	"OTSMethodNotAllowed":      http.StatusMethodNotAllowed,
	"OTSRequestTimeout":        http.StatusRequestTimeout,
	"OTSObjectAlreadyExist":    http.StatusConflict,
	"OTSRowOperationConflict":  http.StatusConflict,
	"OTSRequestBodyTooLarge":   http.StatusRequestEntityTooLarge,
	"OTSFlowControl":           http.StatusTooManyRequests,
	"OTSInternalServerError":   http.StatusInternalServerError,
	"OTSServerBusy":            http.StatusServiceUnavailable,
	"OTSStorageServerBusy":     http.StatusServiceUnavailable,
	"OTSPartitionUnavailable":  http.StatusServiceUnavailable,
	"OTSTimeout":               http.StatusServiceUnavailable,
	"OTSServerUnavailable":     http.StatusServiceUnavailable,
}

func (e *Error) status() int {
	if e.Status != 0 {
		return e.Status
	}
	if status, ok := statuses[e.Code]; ok {
		return status
	}
	return http.StatusBadRequest
}

// Errors with a fixed text.
var (
	errTableNotExist  = &Error{Code: "OTSObjectNotExist", Message: "Requested table does not exist."}
	errTableExists    = &Error{Code: "OTSObjectAlreadyExist", Message: "Requested table already exists."}
	errCondition      = &Error{Code: "OTSConditionCheckFail", Message: "Condition check failed."}
	errConflict       = &Error{Code: "OTSRowOperationConflict", Message: "Data is being modified by the other request."}
	errNoSession      = &Error{Code: "OTSSessionNotExist", Message: "Session not exist or may be timeout."}
	errUnavailable    = &Error{Code: "OTSServerUnavailable", Message: "Server is not available."}
	errMethod         = &Error{Code: "OTSMethodNotAllowed", Message: "Only POST method for requests is supported."}
	errBodyTooLarge   = &Error{Code: "OTSRequestBodyTooLarge", Message: "The size of POST data is too large."}
	errMessage        = invalid("Failed to parse the ProtoBuf message.")
	errIndexWrite     = invalid("Can't write index table directly.")
	errTxnDisabled    = invalid("Try to call method using explicit transaction on explicit-transaction-disabled table.")
	errNoCells        = invalid("Invalid update row request: missing cells in request.") // in a batch
	errNoColumns      = invalid("Attribute column is missing.")                          // in UpdateRow
	errUpdate         = invalid("Update operation is not allowed in this table")
	errKeySize        = invalid("The number of primary key columns must be in range: [1, %d].", maxKeyColumns)
	errTransactionID  = invalid("TransactionID is invalid.")
	errNoVersions     = invalid("No version condition is specified.")
	errNoVersionsRows = invalid("No version condition is specified while querying row.") // in a batch
	errRepeatedExist  = invalid("Repeated rows do not support row exist expectation check in BatchModify.")
	errRepeatedFilter = invalid("Repeated rows do not support row condition check in BatchModify.")
)

// invalid returns the error for an invalid request.
func invalid(format string, args ...any) *Error {
	return &Error{Code: "OTSParameterInvalid", Message: fmt.Sprintf(format, args...)}
}

// invalidKey returns the error for a primary key that does not fit the table.
func invalidKey(format string, args ...any) *Error {
	return &Error{Code: "OTSInvalidPK", Message: fmt.Sprintf(format, args...)}
}

// outOfScope returns the error for a row outside the partition of an atomic batch or transaction.
func outOfScope(of, kind, partition, data string) *Error {
	return &Error{Code: "OTSDataOutOfRange", Message: fmt.Sprintf(
		"Data out of scope of %s. %s PartKey:%s. Data PartKey:%s", of, kind, partition, data)}
}

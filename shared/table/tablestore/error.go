package tablestore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"chatconf/shared/invoke"
	"chatconf/shared/table"

	sdk "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
)

// A fate is what became of a request that failed.
type fate uint8

const (
	unknown  fate = iota // it has happened, or has not, or yet will
	rejected             // it has not happened, and may be sent again
	refused              // it has not happened: a condition did not hold
	invalid              // it has not happened and never can
	hopeless             // it has not happened, and sending it again at once is no use
)

// A failure is the end of a request that did not succeed. Its text holds no secret.
type failure struct {
	fate fate
	code string // the service's; empty if it said none
	text string
}

const (
	// notExist is the code for a table that is not there.
	notExist = "OTSObjectNotExist"
	// quotaExhausted is the code for an instance that has as many tables as it may, which the
	// message says; with the message tooFrequent it is only about the last second. The SDK tells
	// the two apart in the same way.
	quotaExhausted = "OTSQuotaExhausted"
	tooFrequent    = "Too frequent table operations."
)

// Error returns the text.
func (f *failure) Error() string { return f.text }

var errNoCredentials = &failure{fate: hopeless,
	text: "tablestore: no credentials: neither the invocation nor the settings have any"}

// garbled returns the failure of a request whose answer makes no sense.
func garbled(format string, args ...any) *failure {
	return &failure{text: "tablestore: garbled answer: " + fmt.Sprintf(format, args...)}
}

// mapError says what an error of the SDK, or one that a row of a batch came with, means for its
// request.
//
// Codes are those of
// https://www.alibabacloud.com/help/en/tablestore/developer-reference/error-codes. Which of them
// say that nothing has happened is the SDK's own judgement: it sends even increments again after
// those (api.go, retryNotMatterActions).
func mapError(err error, credentials invoke.Credentials) *failure {
	var known *failure
	if errors.As(err, &known) {
		return known
	}
	var ots *sdk.OtsError
	if !errors.As(err, &ots) {
		var op *net.OpError
		if errors.As(err, &op) && op.Op == "dial" {
			return &failure{fate: rejected, text: "tablestore: " + err.Error()}
		}
		return &failure{fate: unknown, text: "tablestore: " + err.Error()}
	}
	f := &failure{code: ots.Code, text: describe(ots, credentials)}
	switch ots.Code {
	case "OTSConditionCheckFail":
		f.fate = refused
	case "OTSServerBusy", "OTSStorageServerBusy", "OTSPartitionUnavailable",
		"OTSTableNotReady", "OTSRowOperationConflict",
		"OTSNotEnoughCapacityUnit", "OTSCapacityUnitExhausted", "OTSFlowControl":
		f.fate = rejected
	case quotaExhausted:
		if f.fate = hopeless; ots.Message == tooFrequent {
			f.fate = rejected
		}
	case "OTSParameterInvalid", "OTSInvalidPK", "OTSDataOutOfRange", "OTSOutOfRowSizeLimit", "OTSOutOfColumnCountLimit",
		"OTSRequestBodyTooLarge":
		f.fate = invalid
	case "OTSAuthFailed", "OTSNoPermissionAccess", notExist, "OTSObjectAlreadyExist",
		"OTSMethodNotAllowed", "OTSUnsupportOperation":
		f.fate = hopeless
	// OTSTimeout, OTSServerUnavailable, OTSInternalServerError; and what no Tablestore says, but
	// something before it
	default:
		f.fate = unknown
	}
	return f
}

// describe returns what people need to know of an error, without what they may not.
func describe(e *sdk.OtsError, credentials invoke.Credentials) string {
	message := e.Message
	for _, secret := range []string{credentials.AccessKeySecret, credentials.SecurityToken} {
		if secret != "" {
			message = strings.ReplaceAll(message, secret, "[secret]")
		}
	}
	return fmt.Sprintf("tablestore: %s: %.200q (request %.80s)", e.Code, message, e.RequestId)
}

// fateOf returns the fate of the request that err ends.
func fateOf(err error) fate {
	var f *failure
	if errors.As(err, &f) {
		return f.fate
	}
	return unknown
}

// portError gives an error its place in the port's contract. ctx is that of the call.
func portError(ctx context.Context, err error) error {
	var condition *table.ConditionError
	switch {
	case errors.As(err, &condition), errors.Is(err, table.ErrInvalid):
		return err
	case fateOf(err) == invalid:
		return fmt.Errorf("%w: %w", table.ErrInvalid, err)
	case ctx.Err() != nil:
		return ctx.Err()
	default:
		return fmt.Errorf("%w: %w", table.ErrUnavailable, err)
	}
}

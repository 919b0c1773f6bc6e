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

// A fate is the result of a failed request.
type fate uint8

const (
	unknown  fate = iota // unknown; it may still arrive
	rejected             // not done; a retry may succeed
	refused              // not done: a condition did not hold
	invalid              // not done; the request is invalid
	hopeless             // not done; an immediate retry cannot succeed
)

// A failure is the error of a request. Its text has no secret.
type failure struct {
	fate fate
	code string // the service's; may be empty
	text string
}

const (
	// notExist is the code for a missing table.
	notExist = "OTSObjectNotExist"
	// quotaExhausted is the code for an instance with the largest number of tables. With the
	// message tooFrequent it only means too many requests in a second. The SDK distinguishes
	// them in the same way.
	quotaExhausted = "OTSQuotaExhausted"
	tooFrequent    = "Too frequent table operations."
)

// Error returns the text.
func (f *failure) Error() string { return f.text }

var errNoCredentials = &failure{fate: hopeless,
	text: "tablestore: no credentials in the invocation or in the settings"}

// garbled returns the failure of a request with an invalid answer.
func garbled(format string, args ...any) *failure {
	return &failure{text: "tablestore: invalid answer: " + fmt.Sprintf(format, args...)}
}

// mapError maps an error of the SDK, or of one row of a batch, to a failure.
//
// The codes are those of
// https://www.alibabacloud.com/help/en/tablestore/developer-reference/error-codes. Which of them
// mean that nothing was done is the SDK's judgement: after those it retries even increments
// (api.go, retryNotMatterActions).
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
		// OTSTimeout, OTSServerUnavailable, OTSInternalServerError, and codes of a proxy before
		// Tablestore
	default:
		f.fate = unknown
	}
	return f
}

func describe(e *sdk.OtsError, credentials invoke.Credentials) string {
	message := e.Message
	for _, secret := range []string{credentials.AccessKeySecret, credentials.SecurityToken} {
		if secret != "" {
			message = strings.ReplaceAll(message, secret, "[secret]")
		}
	}
	return fmt.Sprintf("tablestore: %s: %.200q (request %.80s)", e.Code, message, e.RequestId)
}

func fateOf(err error) fate {
	var f *failure
	if errors.As(err, &f) {
		return f.fate
	}
	return unknown
}

// portError maps an error to one of the port. ctx is that of the call.
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

package cloud

import (
	"encoding/json"
	"net/http"
	"time"
)

// CallTime limits the call of a function.
const CallTime = 40 * time.Second

// CallQuestion returns a Question that invokes a function and waits for its answer; read parses it.
// It is sent only once, because the function may have run even if no answer arrives.
func CallQuestion(read func(status int, h http.Header, body []byte) ([]byte, error)) Question {
	return Question{Read: read, Attempts: 1, Timeout: CallTime}
}

// StartQuestion returns a Question that invokes a function without waiting for its answer. For any
// status except Accepted, refusal makes the error.
func StartQuestion(refusal func(status int, h http.Header, body []byte) error) Question {
	return Question{Attempts: 2, Read: func(status int, h http.Header, body []byte) ([]byte, error) {
		if status != http.StatusAccepted {
			return nil, refusal(status, h, body)
		}
		return nil, nil
	}}
}

// FunctionFailed returns the refusal of a function that has failed; kind is the cloud's word for
// how, and body the function's error.
func FunctionFailed(kind, requestID string, body []byte) *Refusal {
	var failed struct{ ErrorMessage string } // encoding/json ignores case
	if json.Unmarshal(body, &failed) != nil {
		failed.ErrorMessage = ""
	}
	return &Refusal{Status: http.StatusOK, Code: kind, RequestID: requestID, Retryable: true,
		Failure: failed.ErrorMessage}
}

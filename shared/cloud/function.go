package cloud

import (
	"net/http"
	"time"
)

// CallTime is how long the call of a function may take.
const CallTime = 40 * time.Second

// CallQuestion returns the question that invokes a function and waits for its answer, which read
// returns. It is asked once, since the function may have run when no answer arrives.
func CallQuestion(read func(status int, h http.Header, body []byte) ([]byte, error)) Question {
	return Question{Read: read, Attempts: 1, Timeout: CallTime}
}

// StartQuestion returns the question that starts a function and does not wait for its answer. For
// any status but Accepted its error is the one that refusal returns.
func StartQuestion(refusal func(status int, h http.Header, body []byte) error) Question {
	return Question{Attempts: 2, Read: func(status int, h http.Header, body []byte) ([]byte, error) {
		if status != http.StatusAccepted {
			return nil, refusal(status, h, body)
		}
		return nil, nil
	}}
}

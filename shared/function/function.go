// Package function is how functions of a cloud are invoked: once when the answer is waited for, and perhaps again when it is not. Its
// folders are one cloud each.
package function

import (
	"net/http"
	"time"

	"chatconf/shared/cloud"
)

// CallTime is how long a function that is waited for may take.
const CallTime = 40 * time.Second

// Call is the question of an invocation whose answer, which read returns, is waited for. It is asked once: a function may have begun.
func Call(read func(status int, h http.Header, body []byte) ([]byte, error)) cloud.Question {
	return cloud.Question{Read: read, Attempts: 1, Timeout: CallTime}
}

// Start is the question of an invocation that is not waited for. Anything but that it was accepted is what refusal makes of it.
func Start(refusal func(status int, h http.Header, body []byte) error) cloud.Question {
	return cloud.Question{Attempts: 2, Read: func(status int, h http.Header, body []byte) ([]byte, error) {
		if status != http.StatusAccepted {
			return nil, refusal(status, h, body)
		}
		return nil, nil
	}}
}

package dispatch

import (
	"context"
	"encoding/json"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/journal"
)

// A Target runs commands. Its room is a folder of this package, which imports this package; app
// gives a Dispatcher its targets. A Target is safe for concurrent use.
type Target interface {
	// Start starts the operation of a call: one try. The operation may end at once, and Progress
	// then has an ended State. Only a Follower may return the State Running.
	//
	// ctx ends after StartTime at the latest. A call with the same ID may come again, after an
	// error and after a crash: a target that can recognise it starts nothing twice and returns the
	// progress of the first. An error is an *Error, or means that there was no answer.
	Start(ctx context.Context, c *Call) (Progress, error)
}

// A Follower is a Target whose operations go on after Start.
type Follower interface {
	Target
	// Follow returns the progress of the operation Call.Execution. The State Unknown means that the
	// target does not know it, or no longer. After an error it is called again later.
	Follow(ctx context.Context, c *Call) (Progress, error)
	// Cancel asks the target to end the operation Call.Execution. It does not wait for the end,
	// which Follow shows. An operation that has ended is no error.
	Cancel(ctx context.Context, c *Call) error
}

// A Scoped target calls a cloud under the role of the command, with no more rights than the step
// needs. Each step then has a context whose invocation has the credentials of a session of the
// role.
type Scoped interface {
	Target
	// Policy returns the session policy for one step: JSON that allows exactly its requests.
	Policy(step Step, c *Call) string
}

// A Step is one kind of request to a target.
type Step string

// The steps.
const (
	StepStart  Step = "Start"
	StepFollow Step = "Follow"
	StepCancel Step = "Cancel"
)

// A Call is one operation: an allowed command for its target.
type Call struct {
	ID        string // the record's, the same for every try: the idempotency key
	Endpoint  *command.Endpoint
	Event     *command.Event // what a target receives that takes events
	Command   command.Command
	Target    command.Target
	Role      string        // the role to run as, as configured; may be empty
	Timeout   time.Duration // how long the operation may take
	Execution string        // the target's id of the operation; empty in Start

	// Began records the id of an operation before Start returns. A Follower whose Start waits for
	// the end calls it once the operation has begun, and then returns no error.
	Began func(execution string)
}

// Progress is what a target says of an operation.
type Progress struct {
	State     journal.State
	Execution string // the target's id of the operation; empty if none
	Text      string // for the conversation, shown as it is: the answer or, while it is Running, the progress
	Detail    string // for the record, and for people; no secret
}

// An Error is the reason why a target did not start, follow or cancel an operation.
type Error struct {
	Why     string // for people; no secret, and nothing of the internal network
	Again   bool   // another try may help
	Refused bool   // the target answered; after Start this means that nothing was started
	Cause   string // for the log only; no secret
}

// Error returns Why.
func (e *Error) Error() string { return e.Why }

// TextOf returns the text of an answer {"text":"…"}, as Http and Function targets give it. Any
// other answer has none.
func TextOf(answer []byte) string {
	var out struct {
		Text string `json:"text"`
	}
	if json.Unmarshal(answer, &out) != nil {
		return ""
	}
	return out.Text
}

// onlyRecorded is the target Journal: the record is all.
type onlyRecorded struct{}

// Start implements Target.
func (onlyRecorded) Start(context.Context, *Call) (Progress, error) {
	return Progress{State: journal.StateAccepted}, nil
}

package journal

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/table"
)

// An Outcome is the result of a command.
type Outcome string

// The outcomes.
const (
	OutcomeRecorded  Outcome = "Recorded"  // there is nothing more to do
	OutcomePending   Outcome = "Pending"   // it must still be dispatched, or its answer sent
	OutcomeDelivered Outcome = "Delivered" // the target accepted it, or its answer was sent
	OutcomeFailed    Outcome = "Failed"    // there are no more retries
)

// A State is how far the operation of an allowed command is.
type State string

// The states. Accepted and Running are the ones of an operation that has not ended.
const (
	StateAccepted  State = "Accepted"  // it is to be started, or the target does not say how it ends
	StateRunning   State = "Running"   // the target has started it
	StateSucceeded State = "Succeeded" // it ended as it should
	StateFailed    State = "Failed"    // it ended otherwise, or was never started
	StateCancelled State = "Cancelled" // it was ended early, by the target or for a person
	StateTimedOut  State = "TimedOut"  // it was ended early, since it took too long
	StateUnknown   State = "Unknown"   // it may have been started, and its end cannot be found out
)

// States are all states.
var States = [...]State{StateAccepted, StateRunning, StateSucceeded, StateFailed, StateCancelled, StateTimedOut,
	StateUnknown}

// Ended reports whether nothing more happens to an operation in this state.
func (s State) Ended() bool { return s != "" && s != StateAccepted && s != StateRunning }

// Values of Record.Decision.
const (
	DecisionAllowed = "Allowed"
	DecisionDenied  = "Denied"
)

// A Record is the record of a command as it is stored: JSON, under recordKey.
type Record struct {
	Version      int       `json:"v"`
	ID           string    `json:"id"`
	Time         time.Time `json:"time"`
	Name         string    `json:"name"`
	Life         string    `json:"life,omitempty"`
	Revision     int64     `json:"revision"` // of the configuration
	Platform     string    `json:"platform"`
	Conversation string    `json:"conversation"`
	Direct       bool      `json:"direct,omitempty"`
	User         string    `json:"user"`
	UserName     string    `json:"userName,omitempty"`
	Command      string    `json:"command"` // likely secrets are masked, here and in Arguments
	Arguments    []string  `json:"arguments,omitempty"`
	Decision     string    `json:"decision"`
	Statement    int       `json:"statement"`
	Text         string    `json:"text,omitempty"` // the statement's
	Reason       string    `json:"reason"`
	RamRole      string    `json:"ramRole,omitempty"`
	Target       string    `json:"target,omitempty"`
	Outcome      Outcome   `json:"outcome"`
	Answered     bool      `json:"answered,omitempty"`
	Detail       string    `json:"detail,omitempty"`
	Attempts     int       `json:"attempts,omitempty"`
	Latency      int64     `json:"latency"`          // milliseconds from the callback's arrival to the record
	Settled      time.Time `json:"settled,omitzero"` // when the outcome was known
	State        State     `json:"state,omitempty"`  // of an allowed command's operation
	Execution    string    `json:"execution,omitempty"`
	SessionName  string    `json:"sessionName,omitempty"` // of the role's session that started it
	Started      time.Time `json:"started,omitzero"`      // when the target had started it
	Ended        time.Time `json:"ended,omitzero"`        // when it was seen to have ended
	MessageID    string    `json:"messageId"`
	EventID      string    `json:"eventId,omitempty"`
	Edit         string    `json:"edit,omitempty"` // Message.Edit
	Kept         []byte    `json:"kept,omitempty"` // an answer for SendChatMessage, sealed
}

// corrects reports whether the record is of a later edit of a message that did not run before.
func (e *Record) corrects(before *Record) bool {
	later := len(e.Edit) > len(before.Edit) || len(e.Edit) == len(before.Edit) && e.Edit > before.Edit
	same := e.Decision == before.Decision && e.Command == before.Command && e.Reason == before.Reason &&
		slices.Equal(e.Arguments, before.Arguments)
	return later && before.Decision == DecisionDenied && !same
}

func newRecord(e *command.Endpoint, ref command.Ref, now time.Time, a Arrival) *Record {
	cmd, arguments := a.Command.Recorded()
	reason := a.Decision.Reason
	if cmd != a.Command.Name {
		reason = strings.ReplaceAll(reason, a.Command.Name, cmd)
	}
	out := &Record{
		Version:      RecordVersion,
		ID:           ref.ID,
		Time:         now.Truncate(time.Millisecond),
		Name:         ref.Name,
		Life:         ref.Life,
		Revision:     e.Revision,
		Platform:     e.Type,
		Conversation: cut(a.Command.Conversation, 512),
		Direct:       a.Command.Direct,
		User:         cut(a.Command.User, 512),
		UserName:     cut(a.Command.UserName, 256),
		Command:      cmd,
		Arguments:    arguments,
		Decision:     DecisionDenied,
		Statement:    a.Decision.Statement,
		Text:         cut(a.Decision.Text, 1024),
		Reason:       cut(reason, 2048),
		RamRole:      a.Decision.RamRole,
		Outcome:      OutcomeRecorded,
		Answered:     a.Answered,
		MessageID:    cut(a.Command.MessageID, 512),
		EventID:      cut(a.Command.EventID, 512),
		Edit:         cut(a.Command.Edit, 64),
	}
	if a.Decision.Allowed {
		out.Decision = DecisionAllowed
		if a.Decision.Cause != command.CauseBuiltIn {
			out.Target = cut(e.TargetOf(a.Command).String(), 512)
			out.State = StateAccepted
		}
	}
	if a.Pending != nil {
		out.Outcome = OutcomePending
	}
	if !a.Received.IsZero() {
		out.Latency = max(0, now.Sub(a.Received).Milliseconds())
	}
	return out
}

// decodeRecord reads the record of an item, and refuses a record that belongs to another key.
func decodeRecord(item table.Item) (*Record, error) {
	e := new(Record)
	if err := json.Unmarshal(item.Value, e); err != nil {
		return nil, fmt.Errorf("journal: item %q: %w", item.Sort, err)
	}
	if e.Version != RecordVersion || recordKey(command.Ref{Name: e.Name, Life: e.Life, ID: e.ID}) != item.Sort {
		return nil, fmt.Errorf("journal: item %q holds the record %q of %q, version %d",
			item.Sort, e.ID, e.Name, e.Version)
	}
	return e, nil
}

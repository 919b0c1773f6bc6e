package command

import (
	"strings"
	"time"
)

// An Operation is the operation of a recorded command, as people in chat read of it.
type Operation struct {
	ID        string // the record's
	Command   string // as the record shows it
	State     string // of package journal
	Execution string // the target's id; may be empty
	Started   time.Time
	Text      string // what the target says of it; may be empty
}

// Ended returns the answer for the sender of a command whose operation has ended.
func (e *Endpoint) Ended(o Operation) string {
	p, ok := map[string]phrase{"Succeeded": saidSucceeded, "Failed": saidFailed, "Cancelled": saidCancelled,
		"TimedOut": saidTimedOut}[o.State]
	if !ok {
		p = saidUnknown
	}
	return e.sayOf(p, o)
}

// Progress returns what the sender of a command reads while its operation goes on.
func (e *Endpoint) Progress(o Operation) string { return e.sayOf(saidRunning, o) }

// Accepted returns the answer to the sender of an allowed command.
func (e *Endpoint) Accepted(c Command) string { return e.Reply(c, Decision{Allowed: true}) }

// Shown returns the answer to status: the operation, its state and its ids.
func (e *Endpoint) Shown(o Operation) string {
	if o.Execution == "" {
		return e.sayOf(saidState, o)
	}
	last := e.sayOf(saidExecution, o)
	o.Text = "" // is in the last lines
	return e.sayOf(saidState, o) + "\n" + last
}

// Cancelling returns the answer to cancel: the request was recorded.
func (e *Endpoint) Cancelling(o Operation) string {
	o.Text = "" // how far it is does not matter any more
	return e.sayOf(saidCancelling, o)
}

// Several returns the answer to a cancel without an id where there are several operations.
func (e *Endpoint) Several(all []Operation) string {
	lines := []string{sentenceIn(e.Language, saidSeveral)}
	for _, o := range all {
		lines = append(lines, e.sayOf(saidState, o))
	}
	return strings.Join(lines, "\n")
}

// NoOperation returns the answer to status and cancel where there is no such operation, or the
// sender may not know of it. id may be empty.
func (e *Endpoint) NoOperation(id string) string {
	if id == "" {
		return sentenceIn(e.Language, saidNoOperation)
	}
	return sentenceIn(e.Language, saidNoSuchOperation, "id", Printable(id, 64))
}

// TooManyOperations returns the answer to status or cancel without an id where more operations are
// unfinished than can be searched.
func (e *Endpoint) TooManyOperations(word string) string {
	return sentenceIn(e.Language, saidTooManyOperations, "word", word)
}

func (e *Endpoint) sayOf(p phrase, o Operation) string {
	text := sentenceIn(e.Language, p, "command", o.Command, "id", o.ID, "name", e.Name, "execution", o.Execution,
		"state", stateIn(e.Language, o.State), "started", o.Started.UTC().Format(time.RFC3339))
	if o.Text != "" {
		text += "\n" + o.Text
	}
	return text
}

// statesChinese are the states of package journal in Chinese.
var statesChinese = map[string]string{"Accepted": "已受理", "Running": "执行中", "Succeeded": "成功", "Failed": "失败",
	"Cancelled": "已取消", "TimedOut": "超时", "Unknown": "结果未知"}

func stateIn(language, state string) string {
	if in, ok := statesChinese[state]; ok && language == Chinese {
		return in
	}
	return state
}

package oos

import (
	"crypto/rand"
	"fmt"
	"hash/crc32"
	"maps"
	"time"

	"chatconf/shared/document"
	"chatconf/shared/emulator/sts"
	"chatconf/shared/page"
)

// A Status is the state of an execution, in the service's words.
type Status string

// The statuses. The last three are final.
const (
	Started   Status = "Started"
	Queued    Status = "Queued"
	Running   Status = "Running"
	Waiting   Status = "Waiting"
	Success   Status = "Success"
	Failed    Status = "Failed"
	Cancelled Status = "Cancelled"
)

// statuses are those that ListExecutions filters by. Pending and Skipped are never reached here.
var statuses = []Status{Started, Queued, Running, Waiting, Success, Failed, Cancelled, "Pending", "Skipped"}

// Ended reports whether the status is final.
func (s Status) Ended() bool { return s == Success || s == Failed || s == Cancelled }

// An Execution is what a test sees of an execution.
type Execution struct {
	ID              string
	TemplateName    string
	TemplateVersion string
	Status          Status
	StatusMessage   string
	Parameters      map[string]string // as the steps see them, with defaults
	Outputs         map[string]string
	Tags            map[string]string
	RamRole         string
	Description     string
	ClientToken     string
	Principal       string // the ARN of who started it
	SourceIdentity  string
	Created, Ended  time.Time
}

// An execution is an Execution and how far it is.
type execution struct {
	Execution

	template   *Template
	request    string // the parameters of the request, to compare one with the same ClientToken
	given      *document.Node
	executedBy string
	mode       string
	safety     string
	group      string
	runsAs     *sts.Identity
	updated    time.Time

	step     int       // the index of the current step
	entered  time.Time // when the current step began, or was approved
	begun    bool      // the current step has its permissions
	approved bool      // the current step need not wait again
	failures int       // of the current step
	waiting  waiting
}

// waiting is what a waiting execution waits for.
type waiting uint8

const (
	forNothing waiting = iota
	forApproval
	forFailure // a failed step to be retried or skipped
)

// advanceLocked brings an execution to where it is at a time.
func (s *Server) advanceLocked(e *execution, now time.Time) {
	for !e.Status.Ended() && e.waiting == forNothing {
		if e.Status == Started || e.Status == Queued {
			begin := e.Created.Add(e.template.Queued)
			if now.Before(begin) {
				e.Status = Queued
				return
			}
			e.to(Running, begin)
			e.entered = begin
		}
		if e.step == len(e.template.Steps) {
			e.Outputs = make(map[string]string)
			for name, text := range e.template.Outputs {
				e.Outputs[name] = s.render(text, e)
			}
			e.end(Success, "", e.entered)
			return
		}
		step := &e.template.Steps[e.step]
		if !e.approved && (step.Approve || step.Risky && e.safety != "Skip") {
			e.waiting = forApproval
			e.to(Waiting, e.entered)
			return
		}
		if message := s.beginLocked(e, step); message != "" {
			e.fail(step, message, e.entered)
			continue
		}
		done := e.entered.Add(step.Takes)
		if step.Endless || now.Before(done) {
			return
		}
		if step.Fails != "" && (step.FailTimes == 0 || e.failures < step.FailTimes) {
			e.fail(step, step.Fails, done)
			continue
		}
		e.next(done)
	}
}

// beginLocked asks for the permissions of a step, once, and returns why it may not run.
func (s *Server) beginLocked(e *execution, step *Step) (message string) {
	if e.begun {
		return ""
	}
	e.begun = true
	for _, need := range step.Needs {
		if err := s.account.Authorize(e.runsAs, need.Action, s.render(need.Resource, e)); err != nil {
			return err.Error()
		}
	}
	return ""
}

func (e *execution) to(status Status, at time.Time) { e.Status, e.updated = status, at }

func (e *execution) next(at time.Time) {
	e.step++
	e.entered, e.begun, e.approved, e.failures = at, false, false, 0
}

// fail ends the execution, or has it wait where its mode says so.
func (e *execution) fail(step *Step, message string, at time.Time) {
	e.failures++
	message = step.Name + ": " + message
	if e.mode != "FailurePause" {
		e.end(Failed, message, at)
		return
	}
	e.StatusMessage, e.entered, e.waiting = message, at, forFailure
	e.to(Waiting, at)
}

func (e *execution) end(status Status, message string, at time.Time) {
	e.StatusMessage, e.Ended, e.waiting = message, at, forNothing
	e.to(status, at)
}

// render replaces the references in a text.
func (s *Server) render(text string, e *execution) string {
	return reference.ReplaceAllStringFunc(text, func(m string) string {
		switch name := reference.FindStringSubmatch(m)[1]; name {
		case executionID:
			return e.ID
		case regionID:
			return s.region
		case accountID:
			return s.account.ID()
		default:
			return e.Parameters[name]
		}
	})
}

// Executions returns all executions as they are now, in the order of their starts.
func (s *Server) Executions() []Execution {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.account.Now()
	out := make([]Execution, len(s.executions))
	for i, e := range s.executions {
		s.advanceLocked(e, now)
		out[i] = e.Execution
		out[i].Parameters, out[i].Outputs, out[i].Tags = maps.Clone(e.Parameters),
			maps.Clone(e.Outputs), maps.Clone(e.Tags)
	}
	return out
}

// A task is a running task on the wire.
type task struct{ TaskAction, TaskExecutionId, TaskName string }

// wire returns an execution as the service answers it. Parameters is JSON text in the answer of
// StartExecution, and an object in that of ListExecutions.
func (e *execution) wire(parameters any) map[string]any {
	outputs := "{}"
	if e.Outputs != nil {
		outputs = string(document.Marshal(e.Outputs))
	}
	tasks := []task{}
	if e.Status == Running || e.Status == Waiting {
		tasks = append(tasks, e.task())
	}
	return map[string]any{
		"ExecutionId": e.ID, "TemplateId": fmt.Sprintf("t-%08x", crc32.ChecksumIEEE([]byte(e.TemplateName))),
		"TemplateName": e.TemplateName, "TemplateVersion": e.TemplateVersion, "Status": e.Status,
		"StatusMessage": e.StatusMessage, "Mode": e.mode, "SafetyCheck": e.safety, "LoopMode": "Automatic",
		"Category": "Other", "Description": e.Description, "RamRole": e.RamRole, "ExecutedBy": e.executedBy,
		"ResourceGroupId": e.group, "IsParent": false, "Parameters": parameters, "Outputs": outputs, "Tags": e.Tags,
		"Counters": e.counters(), "CurrentTasks": tasks, "CreateDate": date(e.Created), "StartDate": date(e.Created),
		"EndDate": date(e.Ended), "UpdateDate": date(e.updated),
	}
}

// object returns the parameters for JSON: those that were given as they were, and the defaults.
func (e *execution) object() map[string]any {
	out := make(map[string]any, len(e.Parameters))
	for name, text := range e.Parameters {
		out[name] = text
	}
	for _, m := range e.given.Members {
		out[m.Key] = rawJSON(m.Value.String())
	}
	return out
}

// rawJSON is JSON text that is encoded as it is.
type rawJSON string

// MarshalJSON returns the text.
func (r rawJSON) MarshalJSON() ([]byte, error) { return []byte(r), nil }

// counters returns how many tasks there are and how they ended.
func (e *execution) counters() map[string]int {
	c := map[string]int{"Total": len(e.template.Steps), "Success": e.step, "Failed": 0, "FailedAccepted": 0}
	if e.Status == Failed {
		c["Failed"] = 1
	}
	return c
}

func (e *execution) task() task {
	step := e.template.Steps[e.step]
	return task{step.Action, fmt.Sprintf("task-%s#%d", e.ID, e.step+1), step.Name}
}

// date returns a time as the service writes it; nothing for the zero time.
func date(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func randomKey() []byte {
	key := make([]byte, page.KeySize)
	rand.Read(key) // never fails
	return key
}

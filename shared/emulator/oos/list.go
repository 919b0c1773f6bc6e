package oos

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"chatconf/shared/emulator/sts"
)

// The numbers of executions on a page.
const (
	minResults     = 10
	defaultResults = 50
	maxResults     = 100
)

// filters are the parameters of ListExecutions that choose, so a page token is bound to them.
var filters = []string{"ExecutionId", "TemplateName", "Status", "Mode", "RamRole", "ExecutedBy", "Description",
	"ResourceGroupId", "Tags"}

// list is the operation ListExecutions: the execution that was started last comes first.
func (s *Server) list(c *sts.Call) (any, error) {
	names := append([]string{"MaxResults", "NextToken"}, filters...)
	if err := s.onlyTakes(c, names...); err != nil {
		return nil, err
	}
	if err := c.Authorize("oos:ListExecutions", s.resource("execution",
		cmp.Or(c.Get("ExecutionId"), "*"))); err != nil {
		return nil, err
	}
	most := defaultResults
	if text := c.Get("MaxResults"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < minResults || n > maxResults {
			return nil, sts.Errorf("InvalidParameter", "The parameter MaxResults must be %d to %d.",
				minResults, maxResults)
		}
		most = n
	}
	fits, err := readFilters(c)
	if err != nil {
		return nil, err
	}
	scope := make([]string, len(filters))
	for i, name := range filters {
		scope[i] = c.Get(name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []*execution
	for _, e := range slices.Backward(s.executions) {
		if s.advanceLocked(e, c.Time); fits(e) {
			found = append(found, e)
		}
	}
	answer := struct {
		Executions []any
		MaxResults int
		NextToken  string
		TotalCount int
	}{[]any{}, most, "", len(found)}
	if token := c.Get("NextToken"); token != "" {
		last, err := s.pages.Decode(token, scope...)
		i := slices.IndexFunc(found, func(e *execution) bool { return e.ID == string(last) })
		if err != nil || i < 0 {
			return nil, sts.Errorf("InvalidNextToken", "The parameter NextToken is invalid.")
		}
		found = found[i+1:]
	}
	for i, e := range found[:min(most, len(found))] {
		answer.Executions = append(answer.Executions, e.wire(e.object()))
		if i == most-1 && len(found) > most {
			answer.NextToken = s.pages.Encode([]byte(e.ID), scope...)
		}
	}
	return answer, nil
}

// readFilters returns whether an execution fits all filters of a call.
func readFilters(c *sts.Call) (func(*execution) bool, error) {
	tags, err := readTags(c)
	if err != nil {
		return nil, err
	}
	if status := c.Get("Status"); status != "" && !slices.Contains(statuses, Status(status)) {
		return nil, sts.Errorf("InvalidParameter", "The parameter Status has no value %q.", status)
	}
	return func(e *execution) bool {
		for name, value := range map[string]string{
			"ExecutionId": e.ID, "Status": string(e.Status), "Mode": e.mode,
			"RamRole": e.RamRole, "ExecutedBy": e.executedBy, "Description": e.Description, "ResourceGroupId": e.group,
		} {
			if wanted := c.Get(name); wanted != "" && wanted != value {
				return false
			}
		}
		for key, value := range tags {
			if has, ok := e.Tags[key]; !ok || has != value {
				return false
			}
		}
		return strings.Contains(e.TemplateName, c.Get("TemplateName"))
	}, nil
}

// findLocked returns the execution that a call wants to change, brought up to now, once the caller
// may change it.
func (s *Server) findLocked(c *sts.Call) (*execution, error) {
	id := c.Get("ExecutionId")
	if id == "" {
		return nil, sts.Missing("ExecutionId")
	}
	if err := c.Authorize("oos:"+c.Action, s.resource("execution", id)); err != nil {
		return nil, err
	}
	for _, e := range s.executions {
		if e.ID != id {
			continue
		}
		if s.advanceLocked(e, c.Time); e.Status.Ended() {
			return nil, sts.Errorf("InvalidExecutionStatus", "The execution has ended: %s.", e.Status)
		}
		return e, nil
	}
	return nil, &sts.Error{Status: http.StatusNotFound, Code: "EntityNotExists.Execution",
		Message: "The specified execution does not exist."}
}

func (s *Server) cancel(c *sts.Call) (any, error) {
	if err := s.onlyTakes(c, "ExecutionId"); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.findLocked(c)
	if err != nil {
		return nil, err
	}
	e.end(Cancelled, "", c.Time)
	return struct{}{}, nil
}

func (s *Server) notify(c *sts.Call) (any, error) {
	if err := s.onlyTakes(c, "ExecutionId", "NotifyType", "NotifyNote", "TaskExecutionId", "TaskName"); err != nil {
		return nil, err
	}
	kind := c.Get("NotifyType")
	if kind == "" {
		return nil, sts.Missing("NotifyType")
	}
	var wants waiting
	switch kind {
	case "Approve", "Reject":
		wants = forApproval
	case "RetryTask", "SkipTask":
		wants = forFailure
	default:
		return nil, sts.Errorf("InvalidParameter",
			"The emulator's NotifyType is Approve, Reject, RetryTask or SkipTask.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.findLocked(c)
	if err != nil {
		return nil, err
	}
	if e.waiting != wants {
		return nil, sts.Errorf("InvalidExecutionStatus", "The execution does not wait for %s.", kind)
	}
	task := e.task()
	for name, current := range map[string]string{"TaskExecutionId": task.TaskExecutionId, "TaskName": task.TaskName} {
		if given := c.Get(name); given != "" && given != current {
			return nil, sts.Errorf("InvalidParameter", "The parameter %s is not that of the task that waits.", name)
		}
	}
	e.waiting, e.StatusMessage = forNothing, ""
	switch kind {
	case "Approve":
		e.approved, e.entered = true, c.Time
	case "Reject":
		note := cmp.Or(c.Get("NotifyNote"), "no note")
		e.end(Failed, task.TaskName+": rejected by "+c.Caller.Name()+": "+note, c.Time)
		return struct{}{}, nil
	case "RetryTask":
		e.entered, e.begun = c.Time, false
	case "SkipTask":
		e.next(c.Time)
	}
	e.to(Running, c.Time)
	return struct{}{}, nil
}

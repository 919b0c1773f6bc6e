package oos

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"chatconf/shared/emulator/sts"
)

// The numbers of executions on a page.
const (
	minResults     = 10
	defaultResults = 50
	maxResults     = 100
)

// filters are the parameters of ListExecutions that choose and sort, so a page token is bound to
// them.
var filters = []string{"ExecutionId", "TemplateName", "Status", "Mode", "RamRole", "ExecutedBy", "Category",
	"Description", "ResourceGroupId", "ParentExecutionId", "Tags", "StartDateAfter", "StartDateBefore", "EndDateAfter",
	"EndDateBefore", "SortField", "SortOrder"}

// list is the operation ListExecutions.
func (s *Server) list(c *sts.Call) (any, error) {
	names := append([]string{"MaxResults", "NextToken", "IncludeChildExecution", "Depth"}, filters...)
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
	order, err := readOrder(c)
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
	slices.SortStableFunc(found, order)
	answer := struct {
		Executions []wireExecution
		MaxResults int
		NextToken  string
		TotalCount int
	}{[]wireExecution{}, most, "", len(found)}
	if token := c.Get("NextToken"); token != "" {
		last, err := s.pages.Decode(token, scope...)
		i := slices.IndexFunc(found, func(e *execution) bool { return e.ID == string(last) })
		if err != nil || i < 0 {
			return nil, sts.Errorf("InvalidNextToken", "The parameter NextToken is invalid.")
		}
		found = found[i+1:]
	}
	for i, e := range found[:min(most, len(found))] {
		answer.Executions = append(answer.Executions, e.wire())
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
	dates := make(map[string]time.Time)
	for _, name := range []string{"StartDateAfter", "StartDateBefore", "EndDateAfter", "EndDateBefore"} {
		if text := c.Get(name); text != "" {
			if dates[name], err = time.Parse("2006-01-02T15:04:05Z", text); err != nil {
				return nil, sts.Errorf("InvalidParameter",
					"The parameter %s must be a time such as 2019-05-16T10:26:14Z.", name)
			}
		}
	}
	return func(e *execution) bool {
		for name, value := range map[string]string{
			"ExecutionId": e.ID, "Status": string(e.Status), "Mode": e.mode,
			"RamRole": e.RamRole, "ExecutedBy": e.executedBy,
			"Category": "Other", "Description": e.Description, "ResourceGroupId": e.group, "ParentExecutionId": "",
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
		return strings.Contains(e.TemplateName, c.Get("TemplateName")) &&
			within(e.Created, dates["StartDateAfter"], dates["StartDateBefore"]) &&
			within(e.Ended, dates["EndDateAfter"], dates["EndDateBefore"])
	}, nil
}

// within reports whether t is between two times, which are included. A bound that is zero is none;
// a t that is zero fits no bound.
func within(t, after, before time.Time) bool {
	t = t.Truncate(time.Second)
	return (after.IsZero() || !t.IsZero() && !t.Before(after)) && (before.IsZero() || !t.IsZero() && !t.After(before))
}

// readOrder returns the order of a list. Executions that it does not tell apart are in the order of
// their starts, the last first.
func readOrder(c *sts.Call) (func(a, b *execution) int, error) {
	field, err := oneOf(c, "SortField", "StartDate", "EndDate", "Status")
	if err != nil {
		return nil, err
	}
	direction, err := oneOf(c, "SortOrder", "Descending", "Ascending")
	if err != nil {
		return nil, err
	}
	return func(a, b *execution) int {
		order := a.Created.Compare(b.Created)
		switch field {
		case "EndDate":
			order = a.Ended.Compare(b.Ended)
		case "Status":
			order = strings.Compare(string(a.Status), string(b.Status))
		}
		if direction == "Descending" {
			order = -order
		}
		return order
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

// cancel is the operation CancelExecution.
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

// notify is the operation NotifyExecution.
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

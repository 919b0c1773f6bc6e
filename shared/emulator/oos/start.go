package oos

import (
	"net/http"
	"regexp"
	"strings"

	"chatconf/shared/document"
	"chatconf/shared/emulator/sts"
)

// clientToken is the form of a ClientToken.
var clientToken = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// maxTags is how many tags an execution has at most.
const maxTags = 20

// start is the operation StartExecution. Its permissions are those of
// https://www.alibabacloud.com/help/en/operation-orchestration-service/latest/ram-authorization-policies,
// and ram:PassRole on the role that the steps run under.
func (s *Server) start(c *sts.Call) (any, error) {
	if err := s.onlyTakes(c, "TemplateName", "TemplateVersion", "Parameters", "Mode", "SafetyCheck", "LoopMode",
		"ClientToken", "Tags", "Description", "ResourceGroupId"); err != nil {
		return nil, err
	}
	name := c.Get("TemplateName")
	if name == "" {
		return nil, sts.Missing("TemplateName")
	}
	if !templateName.MatchString(name) {
		return nil, sts.Errorf("InvalidParameter", "The parameter TemplateName is wrongly formed.")
	}
	for _, resource := range []string{s.resource("template", name), s.resource("execution", "*")} {
		if err := c.Authorize("oos:StartExecution", resource); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	token, request := c.Get("ClientToken"), requestText(c)
	if before := s.byToken[token]; token != "" && before != nil {
		if before.request != request {
			return nil, sts.Errorf("IdempotentParameterMismatch",
				"The request uses the same client token as a previous, but non-identical request.")
		}
		s.advanceLocked(before, c.Time)
		return started(before), nil
	}
	e, err := s.readStart(c, name)
	if err != nil {
		return nil, err
	}
	e.request = request
	s.executions = append(s.executions, e)
	if token != "" {
		s.byToken[token] = e
	}
	return started(e), nil
}

func requestText(c *sts.Call) string { return string(document.Marshal(c.Params())) }

func started(e *execution) any {
	return map[string]any{"Execution": e.wire(string(document.Marshal(e.object())))}
}

// readStart returns the execution that a call asks for.
func (s *Server) readStart(c *sts.Call, name string) (*execution, error) {
	e := &execution{
		Execution: Execution{
			Status: Started, Description: c.Get("Description"), ClientToken: c.Get("ClientToken"),
			Principal: c.Caller.ARN(), SourceIdentity: c.Caller.SourceIdentity(), Created: c.Time,
		},
		executedBy: c.Caller.Name() + "(" + s.account.ID() + ")", group: c.Get("ResourceGroupId"),
		runsAs: c.Caller, updated: c.Time,
	}
	var err error
	switch {
	case e.ClientToken != "" && !clientToken.MatchString(e.ClientToken):
		return nil, sts.Errorf("InvalidParameter", "The parameter ClientToken is wrongly formed.")
	case len(e.Description) > 200:
		return nil, sts.Errorf("InvalidParameter", "The parameter Description is longer than 200 characters.")
	}
	if e.mode, err = oneOf(c, "Mode", "Automatic", "FailurePause"); err != nil {
		return nil, err
	}
	if e.safety, err = oneOf(c, "SafetyCheck", "ConfirmEveryHighRiskAction", "Skip"); err != nil {
		return nil, err
	}
	if _, err = oneOf(c, "LoopMode", "Automatic"); err != nil {
		return nil, err
	}
	if e.Tags, err = readTags(c); err != nil {
		return nil, err
	}
	if e.template = s.template(name, c.Get("TemplateVersion")); e.template == nil {
		return nil, &sts.Error{Status: http.StatusNotFound, Code: "EntityNotExists.Template",
			Message: "The specified template does not exist."}
	}
	e.TemplateName, e.TemplateVersion = e.template.Name, e.template.Version
	if err := e.readParameters(c.Get("Parameters")); err != nil {
		return nil, err
	}
	e.ID = "exec-" + strings.ReplaceAll(s.account.NewID(), "-", "")
	return e, s.passRole(c, e)
}

// oneOf returns a parameter that has one of these values; the first is the default.
func oneOf(c *sts.Call, name string, values ...string) (string, error) {
	value := c.Get(name)
	if value == "" {
		return values[0], nil
	}
	for _, v := range values {
		if v == value {
			return v, nil
		}
	}
	return "", sts.Errorf("InvalidParameter", "The parameter %s must be one of %s here.", name,
		strings.Join(values, ", "))
}

// readTags reads the parameter Tags: a JSON object of strings.
func readTags(c *sts.Call) (map[string]string, error) {
	tags := make(map[string]string)
	text := c.Get("Tags")
	if text == "" {
		return tags, nil
	}
	n, err := document.Parse("Tags", text)
	if err != nil || n.Kind != document.Object || len(n.Members) > maxTags {
		return nil, sts.Errorf("InvalidParameter", "The parameter Tags must be a JSON object of at most %d strings.",
			maxTags)
	}
	for _, m := range n.Members {
		if m.Value.Kind != document.String || m.Key == "" || len(m.Key) > 128 || len(m.Value.Text) > 128 {
			return nil, sts.Errorf("InvalidParameter",
				"A tag has 1 to 128 characters in its key, and at most 128 in its value.")
		}
		tags[m.Key] = m.Value.Text
	}
	return tags, nil
}

// readParameters reads the parameter Parameters: a JSON object with what the template declares.
func (e *execution) readParameters(text string) error {
	if text == "" {
		text = "{}"
	}
	n, err := document.Parse("Parameters", text)
	if err != nil || n.Kind != document.Object {
		return sts.Errorf("InvalidParameter", "The parameter Parameters must be a JSON object.")
	}
	e.given, e.Parameters = n, make(map[string]string)
	for _, p := range e.template.Parameters {
		value := n.Get(p.Name)
		switch {
		case value == nil && p.Required:
			return sts.Errorf("MissingParameter", "The template's parameter %s is required.", p.Name)
		case value == nil:
			e.Parameters[p.Name] = p.Default
		case value.Kind == document.Array || value.Kind == document.Object:
			e.Parameters[p.Name] = value.String()
		default:
			e.Parameters[p.Name] = value.Text
		}
	}
	for _, m := range n.Members {
		if _, declared := e.Parameters[m.Key]; !declared {
			return sts.Errorf("InvalidParameter", "The template declares no parameter %q.", m.Key)
		}
	}
	return nil
}

// passRole finds the role that the steps run under. Who starts an execution must be allowed to pass
// its role.
func (s *Server) passRole(c *sts.Call, e *execution) error {
	if e.RamRole = s.render(e.template.RamRole, e); e.RamRole == "" {
		return nil
	}
	if err := c.Authorize("ram:PassRole", "acs:ram::"+s.account.ID()+":role/"+e.RamRole); err != nil {
		return err
	}
	role, ok := s.account.ServiceRole(e.RamRole, service)
	if !ok {
		return sts.Errorf("AssumeRoleNotExist", "The role does not exist, or does not trust %s.", service)
	}
	e.runsAs = role
	return nil
}

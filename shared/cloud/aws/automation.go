package aws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"chatconf/shared/cloud"
	"chatconf/shared/document"
)

// maxExecution is the maximum size of an answer with an execution: parameters and outputs.
const maxExecution = 1 << 20

// askJSON calls an operation of a service with a version of the JSON protocol, and decodes its
// answer into out.
func (c *Client) askJSON(ctx context.Context, version, operation string, in, out any) error {
	body, err := c.Ask(ctx, "/", http.Header{
		"Content-Type": {"application/x-amz-json-" + version},
		"X-Amz-Target": {operation},
	}, document.Marshal(in), cloud.Question{Read: readJSON, Limit: maxExecution})
	_, name, _ := strings.Cut(operation, ".")
	if err != nil {
		return fmt.Errorf("%s: %s: %w", c.service, name, err)
	}
	if json.Unmarshal(body, out) != nil {
		return fmt.Errorf("%s: %s: the answer is not the expected JSON", c.service, name)
	}
	return nil
}

// readJSON returns the JSON of an answer.
func readJSON(status int, h http.Header, body []byte) ([]byte, error) {
	if status == http.StatusOK {
		return body, nil
	}
	return nil, refusalJSON(status, h, body)
}

// refusalJSON returns the refusal in an answer.
func refusalJSON(status int, h http.Header, body []byte) *cloud.Refusal {
	var answer struct {
		Type    string `json:"__type"`
		Message string // or message; encoding/json ignores case
	}
	if json.Unmarshal(body, &answer) != nil {
		answer.Type, answer.Message = "", ""
	}
	code := answer.Type[strings.LastIndexByte(answer.Type, '#')+1:] // com.amazonaws.kms#NotFoundException
	return &cloud.Refusal{
		Status:    status,
		Code:      code,
		Message:   answer.Message,
		RequestID: h.Get("X-Amzn-Requestid"),
		Retryable: cloud.Retryable(status) || slices.Contains(throttled, code),
	}
}

// Automations calls Systems Manager Automation.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_StartAutomationExecution.html
type Automations struct {
	api *Client
}

// NewAutomations returns the executions of runbooks. It does no I/O.
func NewAutomations(o Options) (*Automations, error) {
	api, err := NewClient("ssm", o)
	if err != nil {
		return nil, fmt.Errorf("ssm: %w", err)
	}
	return &Automations{api}, nil
}

// Region returns the region of the runbooks.
func (a *Automations) Region() string { return a.api.region }

// An Automation is the state of an execution of a runbook, in the words of AWS.
type Automation struct {
	ID      string              `json:"AutomationExecutionId"`
	Status  string              `json:"AutomationExecutionStatus"`
	Failure string              `json:"FailureMessage"` // may contain what the runbook put there
	Step    string              `json:"CurrentStepName"`
	Action  string              `json:"CurrentAction"`
	Outputs map[string][]string // likewise
}

// Start starts an execution and returns its id. token is a UUID, the same for every try: AWS starts
// one execution for it.
func (a *Automations) Start(ctx context.Context, runbook, token string,
	parameters map[string][]string) (string, error) {
	in := struct {
		DocumentName string
		ClientToken  string
		Parameters   map[string][]string `json:",omitempty"`
	}{runbook, token, parameters}
	var out struct{ AutomationExecutionId string }
	if err := a.api.askJSON(ctx, "1.1", "AmazonSSM.StartAutomationExecution", in, &out); err != nil {
		return "", err
	}
	if out.AutomationExecutionId == "" {
		return "", errors.New("ssm: StartAutomationExecution: the answer has no AutomationExecutionId")
	}
	return out.AutomationExecutionId, nil
}

// Get returns an execution.
func (a *Automations) Get(ctx context.Context, id string) (Automation, error) {
	var out struct{ AutomationExecution Automation }
	err := a.api.askJSON(ctx, "1.1", "AmazonSSM.GetAutomationExecution", automationID{id}, &out)
	if err == nil && out.AutomationExecution.ID != id {
		err = errors.New("ssm: GetAutomationExecution: the answer is about another execution")
	}
	return out.AutomationExecution, err
}

// Cancel asks AWS to end an execution.
func (a *Automations) Cancel(ctx context.Context, id string) error {
	in := struct {
		automationID
		Type string
	}{automationID{id}, "Cancel"}
	return a.api.askJSON(ctx, "1.1", "AmazonSSM.StopAutomationExecution", in, new(struct{}))
}

type automationID struct{ AutomationExecutionId string }

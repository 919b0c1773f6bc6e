package alibaba

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"

	"chatconf/shared/cloud"
	"chatconf/shared/document"
)

// executionVersion is the API version of CloudOps Orchestration Service, OOS.
// https://www.alibabacloud.com/help/en/oos/developer-reference/api-oos-2019-06-01-startexecution
const executionVersion = "2019-06-01"

// maxExecution is the maximum size of an answer with an execution: parameters and outputs.
const maxExecution = 1 << 20

// Executions calls OOS.
type Executions struct {
	client func(region string) (*Client, error) // a function, so that printing does not show credentials
}

// NewExecutions returns the executions of each region. With o.Endpoint they are all there. Inside a
// VPC the endpoint is https://oos-vpc.<region>.aliyuncs.com. It does no I/O.
func NewExecutions(o Options) (*Executions, error) {
	if o.Endpoint != "" {
		if err := cloud.CheckEndpoint(o.Endpoint); err != nil {
			return nil, fmt.Errorf("oos: endpoint: %w", err)
		}
	}
	return &Executions{func(region string) (*Client, error) {
		o := o
		o.Region = region
		return newRegional("oos", executionVersion, o)
	}}, nil
}

// A StartRequest describes an execution.
type StartRequest struct {
	TemplateName    string
	TemplateVersion string // empty: the latest
	SafetyCheck     string // empty: OOS's default
	Parameters      string // a JSON object
	Tags            map[string]string
	// ClientToken is the same for every try: OOS starts one execution for it.
	ClientToken string
}

// An Execution is the state of an execution, in the words of OOS.
type Execution struct {
	ID            string `json:"ExecutionId"`
	Status        string
	StatusMessage string // may contain what the template put there
	Outputs       string // JSON, likewise
	CurrentTasks  []Task
}

// A Task is a step of an execution.
type Task struct {
	Name   string `json:"TaskName"`
	Action string `json:"TaskAction"`
}

// Start starts an execution.
func (e *Executions) Start(ctx context.Context, region string, r StartRequest) (Execution, error) {
	params := url.Values{"TemplateName": {r.TemplateName}, "Parameters": {r.Parameters}}
	for name, value := range map[string]string{"TemplateVersion": r.TemplateVersion, "SafetyCheck": r.SafetyCheck,
		"ClientToken": r.ClientToken} {
		if value != "" {
			params.Set(name, value)
		}
	}
	if len(r.Tags) > 0 {
		params.Set("Tags", string(document.Marshal(r.Tags)))
	}
	var answer struct{ Execution Execution }
	if err := e.ask(ctx, region, "StartExecution", params, &answer); err != nil {
		return Execution{}, err
	}
	if answer.Execution.ID == "" {
		return Execution{}, errors.New("oos: StartExecution: the answer has no ExecutionId")
	}
	return answer.Execution, nil
}

// Get returns an execution. found is false if OOS does not know it, or no longer.
func (e *Executions) Get(ctx context.Context, region, id string) (_ Execution, found bool, err error) {
	var answer struct{ Executions []Execution }
	if err := e.ask(ctx, region, "ListExecutions", url.Values{"ExecutionId": {id}}, &answer); err != nil {
		return Execution{}, false, err
	}
	for _, one := range answer.Executions {
		if one.ID == id {
			return one, true, nil
		}
	}
	return Execution{}, false, nil
}

// Cancel asks OOS to end an execution.
func (e *Executions) Cancel(ctx context.Context, region, id string) error {
	return e.ask(ctx, region, "CancelExecution", url.Values{"ExecutionId": {id}}, new(struct{}))
}

// ask calls an action in a region and decodes its answer.
func (e *Executions) ask(ctx context.Context, region, action string, params url.Values, answer any) error {
	api, err := e.client(region)
	if err != nil {
		return err
	}
	params.Set("RegionId", region)
	body, err := api.askRPC(ctx, action, params, cloud.Question{Limit: maxExecution})
	if err != nil {
		return fmt.Errorf("oos: %s: %w", action, err)
	}
	if err := json.Unmarshal(body, answer); err != nil {
		return fmt.Errorf("oos: %s: the answer is not the expected JSON", action)
	}
	return nil
}

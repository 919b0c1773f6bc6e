package aws

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"chatconf/shared/cloud"
)

// StateMachines calls Step Functions.
// https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
type StateMachines struct {
	client func(region string) (*Client, error) // a function, so that printing does not show credentials
}

// NewStateMachines returns the executions of state machines, each in the region of its ARN. With
// o.Endpoint they are all there. It does no I/O.
func NewStateMachines(o Options) (*StateMachines, error) {
	s := &StateMachines{func(region string) (*Client, error) {
		o := o
		o.Region = region
		api, err := NewClient("states", o)
		if err != nil {
			return nil, fmt.Errorf("states: %w", err)
		}
		return api, nil
	}}
	_, err := s.client(o.Region)
	return s, err
}

// A StateExecution is the state of an execution of a state machine, in the words of AWS.
type StateExecution struct {
	ARN    string `json:"executionArn"`
	Status string
	Output string // JSON; may contain what the state machine put there, as the next two
	Error  string
	Cause  string
}

// Start starts an execution and returns its ARN. name is the same for every try: AWS starts one
// execution of a standard state machine for it.
func (s *StateMachines) Start(ctx context.Context, machine, name, input string) (string, error) {
	in := struct {
		Machine string `json:"stateMachineArn"`
		Name    string `json:"name"`
		Input   string `json:"input"`
	}{machine, name, input}
	var out StateExecution
	if err := s.ask(ctx, machine, "StartExecution", in, &out); err != nil {
		return "", err
	}
	if out.ARN == "" {
		return "", errors.New("states: StartExecution: the answer has no executionArn")
	}
	return out.ARN, nil
}

// Get returns an execution.
func (s *StateMachines) Get(ctx context.Context, execution string) (StateExecution, error) {
	var out StateExecution
	err := s.ask(ctx, execution, "DescribeExecution", executionARN{execution}, &out)
	return out, err
}

// Cancel asks AWS to end an execution.
func (s *StateMachines) Cancel(ctx context.Context, execution string) error {
	return s.ask(ctx, execution, "StopExecution", executionARN{execution}, new(struct{}))
}

type executionARN struct {
	ARN string `json:"executionArn"`
}

// ask calls an operation in the region of an ARN.
func (s *StateMachines) ask(ctx context.Context, arn, operation string, in, out any) error {
	fields := strings.Split(arn, ":")
	if len(fields) < 7 || !cloud.IsLabel(fields[3]) {
		return fmt.Errorf("states: %s: %.80q is not an ARN", operation, arn)
	}
	api, err := s.client(fields[3])
	if err != nil {
		return err
	}
	return api.askJSON(ctx, "1.0", "AWSStepFunctions."+operation, in, out)
}

// Package aws assembles the targets that run in AWS.
package aws

import (
	"chatconf/shared/cloud/aws"
	"chatconf/shared/command"
	"chatconf/shared/dispatch"
	"chatconf/shared/dispatch/function"
	"chatconf/shared/dispatch/ssm"
	"chatconf/shared/dispatch/stepfunctions"
)

// Read returns the targets of the cloud that an environment describes, as aws.ReadServices reads
// it. It sends nothing.
func Read(getenv func(string) string) (dispatch.Cloud, error) {
	services, err := aws.ReadServices(getenv)
	if err != nil {
		return dispatch.Cloud{}, err
	}
	return dispatch.Cloud{
		Targets: map[string]dispatch.Target{
			command.TargetFunction:      function.New("Lambda", "2012-10-17", services.Functions),
			command.TargetSSM:           ssm.New(services.Automations),
			command.TargetStepFunctions: stepfunctions.New(services.StateMachines),
		},
		Assume: services.Roles.Assume,
		Close:  services.Close,
	}, nil
}

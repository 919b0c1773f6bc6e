// Package aws assembles the targets that run in AWS.
package aws

import (
	awssdk "github.com/aws/aws-sdk-go-v2/aws"

	"chatconf/shared/cloud/aws"
	"chatconf/shared/command"
	"chatconf/shared/dispatch"
	"chatconf/shared/dispatch/function"
	"chatconf/shared/dispatch/ssm"
	"chatconf/shared/dispatch/stepfunctions"
	"chatconf/shared/dispatch/topic"
)

// Read returns the targets of the cloud that an environment describes, as aws.ReadServices reads
// it. It sends nothing.
func Read(getenv func(string) string) (dispatch.Cloud, error) {
	return targets(aws.ReadServices(getenv))
}

// ReadWith is Read with these credentials instead of those of the environment.
func ReadWith(getenv func(string) string, credentials awssdk.CredentialsProvider) (dispatch.Cloud, error) {
	return targets(aws.ReadServicesWith(getenv, credentials))
}

func targets(services aws.Services, err error) (dispatch.Cloud, error) {
	if err != nil {
		return dispatch.Cloud{}, err
	}
	return dispatch.Cloud{
		Targets: map[string]dispatch.Target{
			command.TargetFunction:      function.New("Lambda", "2012-10-17", services.Functions),
			command.TargetSSM:           ssm.New(services.Automations),
			command.TargetStepFunctions: stepfunctions.New(services.StateMachines),
			command.TargetTopic:         topic.New("SNS", services.Topics),
		},
		Assume: services.Roles.Assume,
		Close:  services.Close,
	}, nil
}

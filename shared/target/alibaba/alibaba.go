// Package alibaba assembles the targets that run in Alibaba Cloud.
package alibaba

import (
	"chatconf/shared/cloud/alibaba"
	"chatconf/shared/command"
	"chatconf/shared/dispatch"
	"chatconf/shared/dispatch/function"
	"chatconf/shared/dispatch/oos"
	"chatconf/shared/dispatch/topic"
)

// Read returns the targets of the cloud that an environment describes, as alibaba.ReadServices
// reads it. It sends nothing.
func Read(getenv func(string) string) (dispatch.Cloud, error) {
	services, err := alibaba.ReadServices(getenv)
	if err != nil {
		return dispatch.Cloud{}, err
	}
	return dispatch.Cloud{
		Targets: map[string]dispatch.Target{
			command.TargetFunction: function.New("Function Compute", "1", services.Functions),
			command.TargetOOS:      oos.New(services.Executions, nil),
			command.TargetTopic:    topic.New("Simple Message Queue", services.Topics),
		},
		Assume: services.Roles.Assume,
		Close:  services.Close,
	}, nil
}

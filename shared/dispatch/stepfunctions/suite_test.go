package stepfunctions_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"chatconf/shared/command"
	"chatconf/shared/dispatch/dispatchtest"
)

// The suite of all targets, with a service that has one state machine.
func TestSuite(t *testing.T) {
	dispatchtest.Run(t, func(t *testing.T) *dispatchtest.Fixture {
		var mu sync.Mutex
		all := make(map[string]string) // executions, and their status
		server := dispatchtest.NewService(t, false, func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			var in struct{ Name, ExecutionArn string }
			if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
				t.Error(err)
			}
			operation := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "AWSStepFunctions.")
			arn := in.ExecutionArn
			if operation == "StartExecution" {
				if arn = strings.Replace(machine, "stateMachine", "execution", 1) + ":" + in.Name; all[arn] == "" {
					all[arn] = "RUNNING"
				}
			}
			switch {
			case all[arn] == "":
				w.WriteHeader(http.StatusBadRequest)
				fmt.Fprint(w, `{"__type":"ExecutionDoesNotExist"}`)
				return
			case operation == "StopExecution":
				all[arn] = "ABORTED"
			}
			fmt.Fprintf(w, `{"executionArn":%q,"status":%q,"output":"{}","startDate":1,"stopDate":1}`, arn, all[arn])
		}, dispatchtest.AWSFails)
		return &dispatchtest.Fixture{
			Target:        newTarget(t, server.URL),
			Type:          command.TargetStepFunctions,
			Configuration: `{"Type":"StepFunctions","StateMachineArn":"` + machine + `"}`,
			Sessions:      dispatchtest.Lend,
			Keyed:         true,
			Started:       func() int { mu.Lock(); defer mu.Unlock(); return len(all) },
			End: func() {
				mu.Lock()
				defer mu.Unlock()
				for arn, status := range all {
					if status == "RUNNING" {
						all[arn] = "SUCCEEDED"
					}
				}
			},
			Fault: server.Set,
		}
	})
}

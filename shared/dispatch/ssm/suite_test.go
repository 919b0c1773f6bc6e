package ssm_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"chatconf/shared/cloud/aws"
	"chatconf/shared/command"
	"chatconf/shared/dispatch/dispatchtest"
	"chatconf/shared/dispatch/ssm"
)

// The suite of all targets, with a service that has one runbook.
func TestSuite(t *testing.T) {
	dispatchtest.Run(t, func(t *testing.T) *dispatchtest.Fixture {
		var mu sync.Mutex
		status, tokens := "", make(map[string]bool)
		server := dispatchtest.NewService(t, false, func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			var in struct{ ClientToken, AutomationExecutionId string }
			if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
				t.Error(err)
			}
			operation := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "AmazonSSM.")
			if operation == "StartAutomationExecution" {
				if !tokens[in.ClientToken] {
					tokens[in.ClientToken], status = true, "InProgress"
				}
				fmt.Fprintf(w, `{"AutomationExecutionId":%q}`, execution)
				return
			}
			if in.AutomationExecutionId != execution {
				w.WriteHeader(http.StatusBadRequest)
				fmt.Fprint(w, `{"__type":"AutomationExecutionNotFoundException"}`)
				return
			}
			if operation == "StopAutomationExecution" {
				status = "Cancelled"
				fmt.Fprint(w, "{}")
				return
			}
			fmt.Fprintf(w, `{"AutomationExecution":{"AutomationExecutionId":%q,"AutomationExecutionStatus":%q}}`,
				execution, status)
		}, dispatchtest.AWSFails)
		automations, err := aws.NewAutomations(aws.Options{Region: "eu-central-1", Endpoint: server.URL})
		if err != nil {
			t.Fatal(err)
		}
		return &dispatchtest.Fixture{
			Target:        ssm.New(automations),
			Type:          command.TargetSSM,
			Configuration: `{"Type":"Ssm","DocumentName":"Restart"}`,
			Sessions:      dispatchtest.Lend,
			Keyed:         true,
			Started:       func() int { mu.Lock(); defer mu.Unlock(); return len(tokens) },
			End: func() {
				mu.Lock()
				defer mu.Unlock()
				if status == "InProgress" {
					status = "Success"
				}
			},
			Fault: server.Set,
		}
	})
}

package function_test

import (
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"

	"chatconf/shared/command"
	"chatconf/shared/dispatch/dispatchtest"
)

// The suite of all targets, with a function of each cloud.
func TestSuite(t *testing.T) {
	for name, codes := range map[string]map[dispatchtest.Fault]string{
		"fc":     {dispatchtest.Busy: "ResourceThrottled", dispatchtest.Denies: "AccessDenied"},
		"lambda": {dispatchtest.Busy: "TooManyRequestsException", dispatchtest.Denies: "AccessDeniedException"},
	} {
		t.Run(name, func(t *testing.T) {
			dispatchtest.Run(t, func(t *testing.T) *dispatchtest.Fixture {
				var started atomic.Int32
				server := dispatchtest.NewService(t, false, func(w http.ResponseWriter, r *http.Request) {
					io.Copy(io.Discard, r.Body)
					started.Add(1)
					io.WriteString(w, `{"text":"i-1 is up"}`)
				}, func(w http.ResponseWriter, fault dispatchtest.Fault) {
					w.Header().Set("X-Amzn-Errortype", codes[fault])
					w.WriteHeader(map[dispatchtest.Fault]int{dispatchtest.Busy: 429, dispatchtest.Denies: 403}[fault])
					fmt.Fprintf(w, `{"Code":%q,"Message":"planted-message"}`, codes[fault])
				})
				return &dispatchtest.Fixture{
					Target:        targetsAt(t, server.URL)[name],
					Type:          command.TargetFunction,
					Configuration: `{"Type":"Function","Name":"restart-bot"}`,
					Sessions:      dispatchtest.Lend,
					Started:       func() int { return int(started.Load()) },
					Fault:         server.Set,
				}
			})
		})
	}
}

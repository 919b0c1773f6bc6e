package function_test

import (
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"

	"chatconf/shared/cloud/alibaba"
	"chatconf/shared/cloud/aws"
	"chatconf/shared/command"
	"chatconf/shared/dispatch/dispatchtest"
	"chatconf/shared/dispatch/function"
	"chatconf/shared/invoke"
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
				fc, err := alibaba.NewFunctions("1000000000000000", alibaba.Options{Region: "cn-hangzhou",
					Endpoint:    server.URL,
					Credentials: invoke.Credentials{AccessKeyID: "id", AccessKeySecret: "secret"}})
				if err != nil {
					t.Fatal(err)
				}
				lambda, err := aws.NewFunctions(aws.Options{Region: "eu-central-1", Endpoint: server.URL,
					Credentials: awssdk.CredentialsProviderFunc(nil)})
				if err != nil {
					t.Fatal(err)
				}
				target := function.New("Lambda", "2012-10-17", lambda)
				if name == "fc" {
					target = function.New("Function Compute", "1", fc)
				}
				return &dispatchtest.Fixture{
					Target:        target,
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

package oos_test

import (
	"testing"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/dispatch/dispatchtest"
	"chatconf/shared/emulator/oos"
	"chatconf/shared/emulator/oos/oostest"
	"chatconf/shared/emulator/sts"
	"chatconf/shared/webhook/webhooktest"
)

// The suite of all targets, with the emulators of OOS and STS, which evaluate the policy of each
// session.
func TestSuite(t *testing.T) {
	dispatchtest.Run(t, func(t *testing.T) *dispatchtest.Fixture {
		in := oostest.RunT(t, func(o *oostest.Options) {
			o.Account.Roles = []sts.Role{{Name: dispatchtest.Role, Policies: []string{oostest.Everything},
				Trust: `{"Version":"1","Statement":[{"Effect":"Allow",
					"Action":["sts:AssumeRole","sts:SetSourceIdentity"],"Principal":{"RAM":"acs:ram::` + account + `:root"},
					"Condition":{"StringEquals":{"sts:ExternalId":"acs:oos:cn-hangzhou:` + account + `:chatconfiguration/ops"}}}]}`}}
			o.Templates = []oos.Template{{Name: "restart", Parameters: []oos.Parameter{{Name: dispatchtest.Parameter,
				Required: true}},
				Outputs: map[string]string{"message": "i-1 is up, {{ password }}"},
				Steps:   []oos.Step{{Name: "reboot", Takes: 2 * time.Minute}}}}
		})
		in.Advance(webhooktest.Start.Sub(in.Now()))
		to, sessions := connect(t, in)
		never := make(chan struct{})
		return &dispatchtest.Fixture{
			Target:        to,
			Type:          command.TargetOOS,
			Configuration: `{"Type":"Oos","TemplateName":"restart"}`,
			Sessions:      sessions.With,
			Keyed:         true,
			Started:       func() int { return len(in.Server.Executions()) },
			End:           func() { in.Advance(time.Minute) },
			Fault: func(f dispatchtest.Fault) {
				fault := map[dispatchtest.Fault]sts.Fault{
					dispatchtest.Hangs:  {Before: never},
					dispatchtest.Broken: {Drop: true, Applied: true},
					dispatchtest.Busy: {Err: &sts.Error{Status: 429, Code: "Throttling.User",
						Message: "planted-message"}},
					dispatchtest.Denies: {Err: &sts.Error{Status: 403, Code: "NoPermission",
						Message: "planted-message"}},
					dispatchtest.TooLong: {Body: make([]byte, 1<<20)},
				}[f]
				in.SetFault(func(r sts.Request) sts.Fault {
					if r.Product == "Sts" {
						return sts.Fault{}
					}
					return fault
				})
			},
			Narrow: func() {
				for _, grant := range in.Account.Unused() {
					t.Error(grant)
				}
			},
			Secrets: []string{oostest.KeySecret},
		}
	})
}
